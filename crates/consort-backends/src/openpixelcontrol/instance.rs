//! An instance while it is configured, and as the router runs it.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;

use consort_router::inspect::{Endpoint, InstanceReport};
use consort_router::{
    Block, ChannelError, ChannelTable, Context, Driver, Event, Instance, Plan, Problems, Readiness,
    Resolution, State, Usage, downcast, driver,
};

use super::channels::Channels;
use super::codec::Mode;
use super::config::{Config, Settings};
use super::input::Inputs;
use super::output::Outputs;
use super::server::{FIRST_CLIENT, LISTENER, RESOLVE_LISTEN, Server};
use crate::detect::DetectDriver;
use crate::net::tcp::Outbound;

const RESOLVE_DESTINATION: u32 = 0;
const DESTINATION: u32 = 1;

/// How often the answers of a server, which has nothing to say, are read in one turn.
const MAX_READS: usize = 16;

/// An instance that does not run.
pub(super) struct OpcPlan {
    config: Config,
    channels: Channels,
}

impl OpcPlan {
    pub(super) fn new(config: Config) -> Self {
        let channels = Channels::new(config.mode, config.order.clone());
        OpcPlan { config, channels }
    }

    fn outputs(&self) -> Outputs {
        let Config { mode, order, settings, .. } = &self.config;
        Outputs::new(self.channels.list(), *mode, order, settings)
    }
}

impl Plan for OpcPlan {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        let Config { listen, destination, .. } = &self.config;
        let missing = match usage {
            Usage::Source if listen.is_none() => Some(("receives", "listen")),
            Usage::Target if destination.is_none() => Some(("sends", "destination")),
            _ => None,
        };
        let channel = self.channels.channel(specification, usage)?;
        match missing {
            None => Ok(channel),
            Some((verb, option)) => Err(ChannelError::new(format!(
                "this instance {verb} nothing: it has no `{option}`"
            ))
            .with_hint(format!("add `{option} = HOST PORT` to its section"))),
        }
    }

    fn check(&self, problems: &mut Problems) {
        let has_output = self.channels.list().iter().any(|channel| channel.is_target);
        if self.config.destination.is_some() && self.config.listen.is_none() && !has_output {
            problems
                .warning(None, "no mapping sends to this instance, so that it sends nothing")
                .hint("map a value to one of its channels, such as `strip1.red1`");
        }
    }

    /// A component of 8 bits of a strip that is sent. Rows are taken apart, since each value has its
    /// strip.
    fn slot(&self, channel: u32, usage: Usage) -> Option<u16> {
        let is_sent = usage == Usage::Target && self.config.mode == Mode::Bytes;
        let channel = self.channels.list().get(channel as usize).filter(|_| is_sent)?;
        Some(channel.component.index)
    }

    fn resolution(&self, _: u32) -> Resolution {
        self.channels.resolution()
    }

    fn open(self: Box<Self>, driver: &mut dyn Driver) -> Box<dyn Instance> {
        let detect = self::driver::<DetectDriver>(driver).flag();
        let (outputs, inputs) = (self.outputs(), Inputs::new(&self.channels));
        let Config { destination, listen, allow, settings, .. } = self.config;
        Box::new(OpcInstance {
            link: destination.map(|target| Outbound::new(target, RESOLVE_DESTINATION, DESTINATION)),
            server: listen.map(|bind| Server::new(bind, allow)),
            outputs,
            inputs,
            settings,
            detect,
            reported: None,
        })
    }
}

/// A running instance.
struct OpcInstance {
    link: Option<Outbound>,
    server: Option<Server>,
    outputs: Outputs,
    inputs: Inputs,
    settings: Settings,
    /// Whether received values are logged; the driver changes it.
    detect: Rc<Cell<bool>>,
    /// The problem that was reported last as the state; `None` before the first report.
    reported: Option<Option<String>>,
}

impl OpcInstance {
    /// Sends what is due, and sets the state and the time of the next call.
    fn finish(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        if let Some(link) = self.link.as_mut().filter(|link| link.is_open()) {
            let mut result = link.flush();
            // The values of a slow receiver wait for the end of what was written before, so that
            // the newest ones follow it.
            if result.is_ok() && link.waiting() == 0 {
                self.outputs.write_due(now, context.is_stopping(), link.outgoing());
                result = link.flush();
            }
            if let Err(reason) = result {
                context.count_errors(1);
                link.lose(&reason, context, now);
            }
        }
        self.update(context);
    }

    fn update(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        let mut next = None;
        let mut lower = |time| next = next.into_iter().chain(time).min();
        let (mut is_known, mut problem) = (true, None);
        if let Some(server) = &self.server {
            lower(server.deadline());
            is_known &= server.is_open() || server.problem().is_some();
            problem = server.problem();
        }
        if let Some(link) = &self.link {
            lower(link.deadline());
            if link.is_open() && link.waiting() == 0 {
                lower(self.outputs.due_time(now));
            }
            is_known &= link.is_open() || link.problem().is_some();
            problem = problem.or(link.problem());
        }
        if context.is_stopping() {
            next = None;
        }
        if next != context.wake_time() {
            context.wake_at(next);
        }
        // Values arrive more often than the state changes.
        let has_changed = self.reported.as_ref().is_none_or(|known| known.as_deref() != problem);
        if (is_known || problem.is_some()) && has_changed {
            self.reported = Some(problem.map(str::to_owned));
            context.set_state(match problem {
                Some(problem) => State::Waiting(problem.to_owned()),
                None => State::Up,
            });
        }
    }

    /// Takes a report of the connection to the server.
    fn serve_link(&mut self, key: u32, context: &mut Context<'_>) {
        let Some(link) = &mut self.link else { return };
        let now = context.now();
        let had_problem = link.problem().is_some();
        if link.ready(key, context, now) {
            self.outputs.restart();
        }
        if !had_problem && link.problem().is_some() {
            context.count_errors(1);
        }
        // Servers send nothing; the end of the connection is found by reading.
        let mut buffer = [0; 1_024];
        for _ in 0..MAX_READS {
            match link.read(&mut buffer) {
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(reason) => {
                    context.count_errors(1);
                    return link.lose(&reason, context, now);
                }
            }
        }
        context.call_again(key);
    }
}

impl Instance for OpcInstance {
    fn start(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        if let Some(server) = &mut self.server {
            server.open(context);
        }
        if let Some(link) = &mut self.link {
            link.start(context, now);
        }
        self.update(context);
    }

    /// Keeps the connections and what was received and sent.
    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        _: &ChannelTable,
        context: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let plan = *downcast::<OpcPlan>(plan)?;
        self.outputs.adopt(plan.channels.list(), plan.outputs());
        self.inputs.adopt(&plan.channels);
        self.settings = plan.config.settings;
        self.finish(context);
        Ok(())
    }

    fn ready(&mut self, key: u32, _: Readiness, context: &mut Context<'_>) {
        match key {
            RESOLVE_DESTINATION | DESTINATION => self.serve_link(key, context),
            LISTENER | RESOLVE_LISTEN | FIRST_CLIENT.. => {
                if let Some(server) = &mut self.server {
                    server.ready(key, &mut self.inputs, self.detect.get(), context);
                }
            }
            _ => {}
        }
        self.finish(context);
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        if let Some(server) = &mut self.server {
            server.timer(context);
        }
        if let Some(link) = &mut self.link {
            link.timer(context, now);
        }
        self.finish(context);
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        let replaced = self.outputs.deliver(events.iter().copied());
        if replaced > 0 {
            context.count_dropped(replaced);
        }
        self.finish(context);
    }

    fn deliver_block(&mut self, block: &Block<'_>, context: &mut Context<'_>) {
        let replaced = self.outputs.deliver(block.events());
        if replaced > 0 {
            context.count_dropped(replaced);
        }
        self.finish(context);
    }

    fn inspect(&self, _: Range<u32>) -> InstanceReport {
        let endpoint = |address| Endpoint { transport: "TCP", address };
        let mut report =
            InstanceReport { invalid_packets: self.inputs.invalid, ..InstanceReport::default() };
        if let Some(server) = &self.server {
            report.listens.extend(server.address().map(endpoint));
        }
        match &self.link {
            Some(link) if link.is_open() => report.sends.extend(link.address().map(endpoint)),
            Some(_) if self.outputs.is_used() => {
                report.sends_nothing = Some(
                    "there is no connection to the server: start it, or correct \
`destination`"
                        .into(),
                );
            }
            _ => {}
        }
        report
    }

    /// Sends the last values, whatever the rate.
    fn stop(&mut self, context: &mut Context<'_>) {
        self.finish(context);
    }

    fn is_stopped(&self) -> bool {
        self.link.as_ref().is_none_or(|link| !link.is_open() || link.waiting() == 0)
    }
}
