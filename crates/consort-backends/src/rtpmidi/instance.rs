//! An instance while it is configured, and as the router runs it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use consort_router::inspect::{Endpoint, InstanceReport};
use consort_router::{
    ChannelError, ChannelKind, ChannelTable, Context, Driver, Event, Instance, InstanceId, Plan,
    Readiness, Resolution, State, Usage, WarnOnce, downcast, driver,
};

use super::KIND;
use super::config::Config;
use super::session::{Effects, Notice, Port, Session, Settings};
use super::sockets::{Outgoing, Sockets, key, port};
use super::stream::Arrival;
use crate::mdns::{Directory, FOUND, MdnsDriver};
use crate::midi_grammar::channels::{Channels, Control, System};
use crate::midi_grammar::clock::MAX_TEMPO;
use crate::midi_grammar::input::{Input, SourceNames};
use crate::midi_grammar::message::Message;
use crate::midi_grammar::output::{Output, Sending};
use crate::midi_grammar::timed_clock::TimedClock;
use crate::net::{Allow, Backoff, DenialReport, Lookup};

/// The key of the look-up of `bind`, and of the first peer's.
const RESOLVE_BIND: u32 = 2;
const RESOLVE_PEER: u32 = 3;

/// The most names of found sessions that are remembered while the show runs.
const MAX_FOUND: usize = 1_024;

/// How long the end of the show waits for peers to acknowledge the ends of notes.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// One `[rtpmidi NAME]` section before it runs.
pub(super) struct RtpMidiPlan {
    config: Config,
    channels: Channels,
}

impl RtpMidiPlan {
    pub(super) fn new(config: Config) -> Self {
        RtpMidiPlan { config, channels: Channels::new() }
    }
}

impl Plan for RtpMidiPlan {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        self.channels.channel(specification, usage)
    }

    fn kind(&self, channel: u32) -> ChannelKind {
        self.channels.control(channel).kind()
    }

    fn resolution(&self, channel: u32) -> Resolution {
        self.channels.control(channel).resolution()
    }

    fn open(mut self: Box<Self>, driver: &mut dyn Driver) -> Box<dyn Instance> {
        let config = self.config;
        let driver = self::driver::<MdnsDriver>(driver);
        let name = config.name.clone();
        let controls = self.channels.take_controls().into();
        let [seed, ssrc] = random();
        let settings = Settings {
            name: config.name,
            ssrc: if config.ssrc == 0 { ssrc as u32 } else { config.ssrc },
            is_direct: config.is_direct,
            join: config.join,
            learns: config.learns,
        };
        let hosts =
            config.peers.into_iter().map(|peer| Lookup::new(peer).reached_from(Some(&config.bind)));
        Box::new(RtpMidiInstance {
            is_direct: settings.is_direct,
            hosts: hosts.collect(),
            session: Session::new(settings, seed, Instant::now()),
            detect: driver.detect(),
            announced_host: driver.name(),
            directory: driver.directory(),
            name,
            id: None,
            invitations: config.invitations,
            found: Vec::new(),
            link: Link {
                input: Input::new(self.channels, PeerNames::default()),
                outgoing: Outgoing::default(),
                has_changed: false,
                reports: Reports::default(),
            },
            output: Output::new(config.output),
            controls,
            bind: Lookup::new(config.bind),
            sockets: Sockets::default(),
            allow: config.allow,
            denials: DenialReport::default(),
            invalid_packets: 0,
            backoff: Backoff::default(),
            retry: None,
            clock: TimedClock::default(),
            stop_until: None,
            is_stopped: false,
        })
    }
}

/// Two numbers that others cannot guess.
fn random() -> [u64; 2] {
    let mut bytes = [0; 16];
    let flags = rustix::rand::GetRandomFlags::empty();
    if rustix::rand::getrandom(&mut bytes[..], flags).is_err() {
        // Only early in the start of a machine.
        let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let time = time.unwrap_or_default().as_nanos() ^ u128::from(std::process::id()) << 64;
        bytes = time.to_ne_bytes();
    }
    let [low, high] = [0, 8].map(|start| bytes[start..start + 8].try_into().unwrap_or_default());
    [u64::from_ne_bytes(low), u64::from_ne_bytes(high)]
}

/// The names of the peers that have sent something.
#[derive(Default)]
pub(super) struct PeerNames {
    names: Vec<(u32, String)>,
}

impl SourceNames for PeerNames {
    type Source = u32;

    fn name(&mut self, source: u32) -> &str {
        self.names.iter().find(|(peer, _)| *peer == source).map_or("", |(_, name)| name)
    }
}

/// What is reported once.
#[derive(Default)]
struct Reports {
    refused: WarnOnce,
    lost: WarnOnce,
    invalid: WarnOnce,
}

/// Where the effects of the session go.
struct Link {
    input: Input<PeerNames>,
    outgoing: Outgoing,
    /// Whether a peer has come or gone.
    has_changed: bool,
    reports: Reports,
}

/// [`Link`] during one call of the router.
struct World<'w, 'c> {
    link: &'w mut Link,
    context: &'w mut Context<'c>,
}

impl Effects for World<'_, '_> {
    fn send(&mut self, port: Port, to: SocketAddr, bytes: &[u8]) {
        let outgoing = &mut self.link.outgoing[key(port) as usize];
        if !outgoing.push(to, |queue| queue.extend_from_slice(bytes)) {
            self.context.count_dropped(1);
        }
    }

    fn arrive(&mut self, peer: u32, arrival: Arrival<'_>) {
        let input = &mut self.link.input;
        match arrival {
            Arrival::Message(message) => {
                self.context.count_input(1);
                input.receive(peer, &message, self.context);
            }
            Arrival::Cancelled => input.discard_exclusive(peer),
            Arrival::Release => input.release_held(&|source| source == peer, self.context),
        }
    }

    fn notice(&mut self, peer: u32, name: &str, address: SocketAddr, notice: Notice<'_>) {
        let instance = self.context.name();
        // Names come from the network.
        let shown = name.escape_debug();
        let names = &mut self.link.input.names.names;
        match notice {
            Notice::Joined => {
                let label = if name.is_empty() { address.to_string() } else { shown.to_string() };
                names.push((peer, label));
                self.link.has_changed = true;
                tracing::info!(instance, "connected to `{shown}` ({address})");
            }
            Notice::Left(reason) => {
                names.retain(|(known, _)| *known != peer);
                self.link.has_changed = true;
                tracing::warn!(instance, "`{shown}` ({address}) is not connected: {reason}");
            }
            Notice::Refused => {
                if self.link.reports.refused.is_first() {
                    tracing::warn!(
                        instance,
                        "refused an invitation of `{shown}` ({address}), because `join` does not \
                         name it; further ones are not logged"
                    );
                }
            }
            Notice::Lost(count) => {
                if self.link.reports.lost.is_first() {
                    tracing::warn!(
                        instance,
                        "packets of `{shown}` ({address}) were lost, and its next one does not \
                         repair that: held notes and pedals are released; further losses are only \
                         counted"
                    );
                }
                self.context.count_lost(count.into());
            }
            Notice::Repaired(count) => {
                tracing::debug!(instance, count, "lost packets of `{shown}` were repaired");
            }
            Notice::Latency(latency) => {
                tracing::debug!(instance, ?latency, "the clock of `{shown}` was compared");
            }
            Notice::Invalid => {
                if self.link.reports.invalid.is_first() {
                    tracing::warn!(
                        instance,
                        "`{shown}` ({address}) has sent a list of commands that is not valid; \
                         further ones are only counted"
                    );
                }
                self.context.count_errors(1);
            }
        }
    }
}

/// One `[rtpmidi NAME]` section that runs.
struct RtpMidiInstance {
    name: String,
    /// Its number, when it runs.
    id: Option<InstanceId>,
    is_direct: bool,
    session: Session,
    /// The name of this computer for others; without it, the session is not announced.
    announced_host: Option<String>,
    directory: Rc<RefCell<Directory>>,
    /// The names of sessions to invite.
    invitations: Vec<String>,
    /// The full names of sessions that were found and invited: their places are numbers of hosts
    /// after those of the configuration.
    found: Vec<String>,
    link: Link,
    output: Output,
    /// What each channel sends, by number.
    controls: Rc<[Control]>,
    detect: Rc<Cell<bool>>,
    bind: Lookup,
    /// The peers of the configuration.
    hosts: Vec<Lookup>,
    sockets: Sockets,
    allow: Allow,
    denials: DenialReport,
    invalid_packets: u64,
    backoff: Backoff,
    /// When to try again what has failed.
    retry: Option<Instant>,
    clock: TimedClock,
    /// Until when the end of the show waits for the peers.
    stop_until: Option<Instant>,
    is_stopped: bool,
}

impl Drop for RtpMidiInstance {
    fn drop(&mut self) {
        self.directory.borrow_mut().leave(KIND, &self.name, self.id);
    }
}

impl RtpMidiInstance {
    /// Announces the session, and searches for those to invite, unless no other computer can reach
    /// this one. That mDNS does not work does not hinder the session.
    fn appear(&mut self, context: &mut Context<'_>) {
        self.id = Some(context.instance());
        let control = self.sockets.address(Port::Control);
        let Some(control) = control.filter(|address| !address.ip().is_loopback()) else { return };
        let mut directory = self.directory.borrow_mut();
        let mut result = match &self.announced_host {
            Some(host) => directory.announce(KIND, &self.name, host, control.port()),
            None => Ok(()),
        };
        if result.is_ok() && !self.invitations.is_empty() {
            result = directory.search(context);
        }
        if let Err(reason) = result {
            context.count_errors(1);
            tracing::warn!(instance = context.name(), "{reason}");
        }
    }

    /// Invites the sessions that were found, and no longer those that are gone.
    fn invite_found(&mut self, context: &mut Context<'_>) {
        if self.invitations.is_empty() || !self.sockets.is_open() {
            return;
        }
        let is_v4 = self.bind.address().is_some_and(|address| address.is_ipv4());
        let now = context.now();
        let directory = self.directory.borrow();
        let is_wanted = |name: &str| self.invitations.iter().any(|one| one == "*" || one == name);
        for service in directory.services().iter().filter(|service| is_wanted(&service.name)) {
            let reachable = |address: &&SocketAddr| address.is_ipv4() || !is_v4;
            let Some(&address) = service.addresses.iter().find(reachable) else { continue };
            let known = self.found.iter().position(|name| *name == service.full_name);
            if known.is_none() && self.found.len() == MAX_FOUND {
                continue;
            }
            let place = known.unwrap_or_else(|| {
                self.found.push(service.full_name.clone());
                self.found.len() - 1
            });
            let mut world = World { link: &mut self.link, context };
            self.session.add_host(self.hosts.len() + place, address, now, &mut world);
        }
        for (place, name) in self.found.iter().enumerate() {
            if !directory.services().iter().any(|service| service.full_name == *name) {
                self.session.remove_host(self.hosts.len() + place);
            }
        }
    }

    /// Starts the look-ups and opens the ports where that is not done yet.
    fn open(&mut self, context: &mut Context<'_>) {
        self.retry = None;
        if let Err(reason) = self.try_open(context) {
            self.wait(reason, context);
        } else {
            self.invite_found(context);
            self.report_state(context);
        }
    }

    fn wait(&mut self, reason: String, context: &mut Context<'_>) {
        context.count_errors(1);
        context.set_state(State::Waiting(reason));
        self.retry = Some(context.now() + self.backoff.next_delay());
    }

    fn try_open(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        if !self.sockets.is_open() {
            self.bind.start(RESOLVE_BIND, context)?;
            let Some(local) = self.bind.address() else { return Ok(()) };
            self.sockets.open(local, self.is_direct, context)?;
            self.backoff.reset();
            self.appear(context);
        }
        let now = context.now();
        let mut failure = Ok(());
        for (index, host) in self.hosts.iter_mut().enumerate() {
            // One peer without an address does not keep the others waiting.
            if let Err(reason) = host.start(RESOLVE_PEER + index as u32, context) {
                failure = Err(reason);
            }
            if let Some(address) = host.address() {
                let mut world = World { link: &mut self.link, context };
                self.session.add_host(index, address, now, &mut world);
            }
        }
        failure
    }

    /// Says which peers are missing, if none of those that are invited is connected.
    fn report_state(&mut self, context: &mut Context<'_>) {
        self.link.has_changed = false;
        if !self.sockets.is_open() || self.retry.is_some() {
            return;
        }
        let peers = self.session.peers();
        let is_connected = peers.iter().any(|peer| peer.is_connected());
        context.set_state(if self.hosts.is_empty() || is_connected {
            State::Up
        } else {
            let hosts: Vec<_> =
                self.hosts.iter().map(|host| format!("`{}`", host.target())).collect();
            let port = if self.is_direct { "its data port" } else { "its control port" };
            State::Waiting(format!(
                "no answer from {}: check that a session is open there and that `peer` is {port}",
                hosts.join(", ")
            ))
        });
    }

    /// Does what is due, sends what waits, and sets the timer.
    fn settle(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        if self.sockets.is_open() {
            let mut world = World { link: &mut self.link, context };
            self.session.timer(now, &mut world);
            let is_acknowledged =
                || !self.session.peers().iter().any(|peer| peer.sender.is_unacknowledged());
            if self.stop_until.is_some_and(|until| until <= now || is_acknowledged()) {
                self.session.close(&mut world);
                self.is_stopped = true;
            }
            self.sockets.flush(&mut self.link.outgoing, context);
        }
        if self.link.has_changed {
            self.report_state(context);
            if !self.session.has_receiver() {
                self.output.forget();
            }
        }
        let session = self.session.due().filter(|_| self.sockets.is_open());
        let stop = self.stop_until.filter(|_| !self.is_stopped);
        let all = [session, self.retry, self.clock.due(), stop];
        context.wake_at(all.into_iter().flatten().min());
    }

    /// Sends what `work` sends, to all peers.
    fn send(
        &mut self,
        context: &mut Context<'_>,
        work: impl FnOnce(&mut Sending<'_, &mut dyn FnMut(Message<'_>)>),
    ) {
        let (now, is_stopping) = (context.now(), context.is_stopping());
        let mut world = World { link: &mut self.link, context };
        let session = &mut self.session;
        let mut put = |message: Message<'_>| session.send(&message, now, &mut world);
        work(&mut self.output.sending(is_stopping, &mut put));
    }

    fn flush(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        self.session.flush(now, &mut World { link: &mut self.link, context });
    }

    fn read(&mut self, port: Port, context: &mut Context<'_>) {
        let now = context.now();
        self.link.input.detect = self.detect.get();
        let mut remaining = context.budget();
        loop {
            let Some(socket) = &mut self.sockets.sockets[key(port) as usize] else { return };
            let (session, allow, denials) = (&mut self.session, &self.allow, &mut self.denials);
            let (link, invalid) = (&mut self.link, &mut self.invalid_packets);
            let received = socket.receive(|bytes, peer| {
                let Some(from) = peer.address() else { return };
                if !allow.contains(from.ip()) {
                    return denials.report(1, from.ip(), context);
                }
                let mut world = World { link: &mut *link, context: &mut *context };
                if !session.receive(port, from, bytes, now, &mut world) {
                    *invalid += 1;
                    context.count_errors(1);
                }
            });
            self.sockets.report_losses(port, context);
            match received {
                Ok(received) if !received.more => return,
                Ok(received) => {
                    remaining = remaining.saturating_sub(received.count.max(1));
                    if remaining == 0 {
                        return context.call_again(key(port));
                    }
                }
                Err(error) => {
                    context.count_errors(1);
                    tracing::debug!(instance = context.name(), "cannot receive: {error}");
                    return context.call_again(key(port));
                }
            }
        }
    }

    fn set_tempo(&mut self, tempo: f64, context: &Context<'_>) {
        let tempo = if context.is_stopping() { 0.0 } else { tempo };
        self.clock.set_tempo(tempo, context.now());
    }
}

impl Instance for RtpMidiInstance {
    fn start(&mut self, context: &mut Context<'_>) {
        self.open(context);
        self.settle(context);
    }

    /// Keeps the sessions and what sounds; ends what was started on channels that no mapping
    /// writes any more.
    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        _: &ChannelTable,
        context: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let mut plan = *downcast::<RtpMidiPlan>(plan)?;
        self.output.set_options(plan.config.output);
        self.session.set_join(plan.config.join);
        self.session.set_learns(plan.config.learns);
        self.send(context, |sending| sending.release_removed(&plan.channels));
        if !plan.channels.is_target(&Control::System(System::Tempo)) {
            self.set_tempo(0.0, context);
        }
        self.controls = plan.channels.take_controls().into();
        self.link.input.set_channels(plan.channels);
        self.flush(context);
        self.settle(context);
        Ok(())
    }

    fn ready(&mut self, key: u32, _: Readiness, context: &mut Context<'_>) {
        if key == FOUND {
            self.invite_found(context);
            return self.settle(context);
        }
        let lookup = match (port(key), key) {
            (Some(port), _) => {
                self.read(port, context);
                return self.settle(context);
            }
            (None, RESOLVE_BIND) => Some(&mut self.bind),
            (None, _) => self.hosts.get_mut((key - RESOLVE_PEER) as usize),
        };
        match lookup.map_or(Ok(()), |lookup| lookup.finish(context)) {
            Ok(()) => self.open(context),
            Err(reason) => self.wait(reason, context),
        }
        self.settle(context);
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        if self.retry.is_some_and(|due| due <= context.now()) && !context.is_stopping() {
            self.open(context);
        }
        let has_receiver = self.session.has_receiver();
        while self.clock.take_due(context.now()).is_some() {
            if has_receiver {
                self.send(context, |sending| {
                    sending.deliver(&Control::System(System::Clock), 1.0);
                });
            }
        }
        if has_receiver {
            self.flush(context);
        }
        self.settle(context);
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        let has_receiver = self.session.has_receiver();
        let controls = Rc::clone(&self.controls);
        let mut unsent = 0;
        for event in events {
            match &controls[event.channel as usize] {
                Control::System(System::Tempo) => {
                    self.set_tempo(event.value * MAX_TEMPO, context);
                }
                _ if !has_receiver => unsent += 1,
                control => self.send(context, |sending| sending.deliver(control, event.value)),
            }
        }
        if unsent > 0 {
            context.count_dropped(unsent);
            context.count_unsent(unsent);
        }
        self.flush(context);
        self.settle(context);
    }

    fn inspect(&self, _: std::ops::Range<u32>) -> InstanceReport {
        let mut report =
            InstanceReport { invalid_packets: self.invalid_packets, ..InstanceReport::default() };
        let endpoint = |address| Endpoint { transport: "UDP", address };
        let ports = [Port::Control, Port::Data].into_iter();
        report.listens.extend(ports.filter_map(|port| self.sockets.address(port)).map(endpoint));
        let receiving = self.session.peers().iter().filter(|peer| peer.is_receiving());
        report.sends.extend(receiving.map(|peer| endpoint(peer.data)));
        if report.sends.is_empty() {
            report.sends_nothing = Some(match (self.is_direct, self.hosts.is_empty()) {
                (true, true) => "it has no peer: add `peer = HOST PORT`, or `learn = on`".into(),
                (false, true) => "nobody has joined its session: add `join = *` and connect from \
                                  the other computer, or add `peer = HOST PORT`"
                    .into(),
                (_, false) => "none of its peers has answered".into(),
            });
        }
        report
    }

    fn panic(&mut self, context: &mut Context<'_>) {
        if self.session.has_receiver() {
            self.send(context, |sending| sending.silence_all());
            self.flush(context);
            self.settle(context);
        }
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.set_tempo(0.0, context);
        if !self.sockets.is_open() {
            self.is_stopped = true;
            return;
        }
        if self.session.has_receiver() {
            self.send(context, |sending| sending.release_all());
            self.flush(context);
        }
        self.stop_until = Some(context.now() + STOP_TIMEOUT);
        self.settle(context);
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped
    }
}
