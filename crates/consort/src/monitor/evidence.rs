//! Collects from a running show what `why` needs, on the thread of the one who asks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use consort_control::{Finding, InputReading};
use consort_router::inspect::{InstanceReport, MAX_INSPECTED_CHANNELS};
use consort_router::{InstanceId, State};

use super::source::Local;
use super::why::{self, InstanceEvidence, SourceEvidence, TargetEvidence};

/// How long the router may take to answer.
const ROUTER_TIMEOUT: Duration = Duration::from_secs(1);

/// How many channels of an instance are examined.
const MAX_CHANNELS: u32 = 1_024;

/// How many targets of a channel are examined.
const MAX_TARGETS: usize = 8;

/// How many findings about an instance are reported.
const MAX_FINDINGS: usize = 20;

/// The addresses of this computer that others can send to, with the names of their interfaces:
/// IPv4 first, without loopback and link-local ones.
fn local_addresses() -> Vec<(String, IpAddr)> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let mut addresses: Vec<(String, IpAddr)> = interfaces
        .into_iter()
        .filter(|interface| !interface.is_loopback() && !interface.is_link_local())
        .map(|interface| (interface.name.clone(), interface.ip()))
        .collect();
    addresses.sort_by_key(|(_, address)| address.is_ipv6());
    addresses
}

/// Asks the router for the reports of one explanation.
struct Inspector<'a> {
    show: &'a Local,
    /// Reports without channels.
    instances: HashMap<InstanceId, InstanceReport>,
    /// Set after the first question that the router did not answer in time: the others would
    /// take as long.
    is_unanswered: bool,
}

impl Inspector<'_> {
    fn ask(&mut self, instance: InstanceId, channels: Range<u32>) -> InstanceReport {
        if self.is_unanswered {
            return InstanceReport::default();
        }
        let report = self.show.inspect(instance, channels, ROUTER_TIMEOUT);
        self.is_unanswered = report.is_none();
        report.unwrap_or_default()
    }

    /// What the instance reports about itself and about these channels.
    fn report(&mut self, instance: InstanceId, channels: Range<u32>) -> InstanceReport {
        let next = |first: u32| first..channels.end.min(first + MAX_INSPECTED_CHANNELS);
        let mut whole = self.ask(instance, next(channels.start));
        let mut first = channels.start + MAX_INSPECTED_CHANNELS;
        while first < channels.end {
            whole.channels.extend(self.ask(instance, next(first)).channels);
            first += MAX_INSPECTED_CHANNELS;
        }
        whole
    }

    fn target(&mut self, instance: InstanceId, channel: u32, with_output: bool) -> TargetEvidence {
        let live = self.show.live();
        let name = live.instance_name(instance).to_owned();
        let report = if with_output {
            self.ask(instance, channel..channel + 1)
        } else {
            if !self.instances.contains_key(&instance) {
                let report = self.ask(instance, 0..0);
                self.instances.insert(instance, report);
            }
            self.instances[&instance].clone()
        };
        let counters = live.counters(instance);
        TargetEvidence {
            name: format!("{name}.{}", live.channel_infos(instance)[channel as usize].name),
            instance: name,
            trouble: trouble(&live.state(instance)),
            value: live.channel(instance, channel).map(|(value, _)| value),
            output: report.channels.into_iter().next().and_then(|(_, channel)| channel.output),
            sends: report.sends,
            sends_nothing: report.sends_nothing,
            refused: counters.refused,
            dropped: counters.dropped,
        }
    }
}

impl Local {
    /// What keeps an instance or one of its channels from working. Asks the router, which answers
    /// within its turn; must not be called on the router's thread.
    pub(crate) fn why(&self, instance: InstanceId, channel: Option<u32>) -> Vec<Finding> {
        let live = self.live();
        let infos = live.channel_infos(instance);
        let channels = match channel {
            Some(channel) => channel..channel + 1,
            None => 0..(infos.len() as u32).min(MAX_CHANNELS),
        };
        let mut inspector =
            Inspector { show: self, instances: HashMap::new(), is_unanswered: false };
        let report = inspector.report(instance, channels.clone());
        let unmatched = self.unmatched(instance);
        let addresses = local_addresses();
        let evidence = InstanceEvidence {
            name: live.instance_name(instance),
            backend: live.backend_name(instance),
            trouble: trouble(&live.state(instance)),
            packets: live.input(instance).0,
            report: &report,
            unmatched: &unmatched,
            addresses: &addresses,
        };
        let has_sources = channels.clone().any(|channel| infos[channel as usize].is_source);
        let mut findings = why::of_instance(&evidence, has_sources);
        for number in channels {
            let info = &infos[number as usize];
            let text = live.text(instance, number).map(|(text, _)| text);
            let value = live.channel(instance, number);
            if info.is_source {
                let known = report.channels.iter().find(|(channel, _)| *channel == number);
                let source = SourceEvidence {
                    channel: &info.name,
                    value: value.map(|(value, _)| value),
                    events: value.map_or(0, |(_, events)| events),
                    text: text.as_deref(),
                    input: known.and_then(|(_, report)| report.input.as_ref()),
                    targets: live
                        .targets(instance, number)
                        .take(MAX_TARGETS)
                        .map(|(target, number)| inspector.target(target, number, channel.is_some()))
                        .collect(),
                };
                findings.extend(why::of_source(&evidence, &source, channel.is_some()));
            }
            if info.is_target && channel.is_some() {
                let target = inspector.target(instance, number, true);
                findings.extend(why::of_target(&target, text.is_some(), true));
            }
            if findings.len() >= MAX_FINDINGS {
                break;
            }
        }
        // Several channels often share a cause.
        let mut seen = Vec::new();
        findings.retain(|finding| {
            let is_new = !seen.contains(&finding.message);
            seen.push(finding.message.clone());
            is_new
        });
        findings.truncate(MAX_FINDINGS);
        findings
    }

    /// The raw values that arrived at the channels of an instance from number `first` on.
    pub(crate) fn inputs(&self, instance: InstanceId, first: u32) -> Vec<InputReading> {
        let end = first.saturating_add(MAX_INSPECTED_CHANNELS);
        let report = self.inspect(instance, first..end, ROUTER_TIMEOUT).unwrap_or_default();
        let inputs = report.channels.into_iter();
        let readings = inputs.filter_map(|(channel, report)| {
            let input = report.input?;
            Some(InputReading {
                channel,
                types: input.types,
                raw: input.raw.to_string(),
                range: input.range,
                expected: input.expected.map(|expected| (expected.low, expected.high)),
            })
        });
        readings.collect()
    }
}

/// The word and the reason of a state that needs attention.
fn trouble(state: &State) -> Option<(String, String)> {
    state.reason().map(|reason| (state.word().to_owned(), reason.to_owned()))
}
