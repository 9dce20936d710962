//! The plan of an instance, and the instance: it connects its session to a console.

use std::any::Any;
use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use consort_router::inspect::{Endpoint, InstanceReport};
use consort_router::{
    Backend, ChannelError, ChannelKind, ChannelTable, Context, Driver, DriverContext,
    Event as Value, Instance, Plan, RawValue, Readiness, Resolution, Sender, State, Unmatched,
    Usage, WarnOnce, downcast, driver,
};
use mio::Interest;

use super::Maweb;
use super::channels::Channel;
use super::config::Config;
use super::session::{Entry, Event, Failure, Model, Session};
use super::socket::{Received, Socket};
use crate::detect::log_value;
use crate::net::{Backoff, Lookup};

const RESOLVE: u32 = 0;
const CONNECTION: u32 = 1;

/// The options of the backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) detect: bool,
    /// Whether unanswered and refused inquiries are logged.
    pub(super) is_quiet: bool,
    /// The time between inquiries.
    pub(super) interval: Duration,
}

/// The running part of the backend: the options that all instances share.
pub(super) struct MawebDriver {
    settings: Rc<Cell<Settings>>,
}

impl MawebDriver {
    pub(super) fn new(settings: Settings) -> Self {
        MawebDriver { settings: Rc::new(Cell::new(settings)) }
    }
}

impl Driver for MawebDriver {
    fn adopt(
        &mut self,
        backend: Box<dyn Backend>,
        _: &mut DriverContext<'_>,
    ) -> Result<(), Box<dyn Backend>> {
        let settings = (&*backend as &dyn Any).downcast_ref::<Maweb>().map(|maweb| maweb.settings);
        let Some(settings) = settings else { return Err(backend) };
        self.settings.set(settings);
        Ok(())
    }
}

/// One `[maweb NAME]` section before it runs.
pub(super) struct MawebPlan {
    config: Config,
    entries: Vec<Entry>,
}

impl MawebPlan {
    pub(super) fn new(config: Config) -> Self {
        MawebPlan { config, entries: Vec::new() }
    }
}

impl Plan for MawebPlan {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        let channel = Channel::parse(specification, usage, self.config.command_line)?;
        let known = self.entries.iter().position(|entry| entry.channel == channel);
        let number = known.unwrap_or_else(|| {
            self.entries.push(Entry::new(channel));
            self.entries.len() - 1
        });
        self.entries[number].is_source |= usage == Usage::Source;
        Ok(number as u32)
    }

    fn kind(&self, channel: u32) -> ChannelKind {
        self.entries[channel as usize].channel.kind()
    }

    fn resolution(&self, channel: u32) -> Resolution {
        self.entries[channel as usize].channel.resolution()
    }

    fn open(self: Box<Self>, backend: &mut dyn Driver) -> Box<dyn Instance> {
        let settings = Rc::clone(&driver::<MawebDriver>(backend).settings);
        let MawebPlan { config, entries } = *self;
        Box::new(MawebInstance {
            lookups: config.hosts.iter().cloned().map(Lookup::new).collect(),
            session: Session::new(&config, entries, Instant::now()),
            config,
            settings,
            host: 0,
            failures: 0,
            socket: None,
            problem: None,
            retry: None,
            backoff: Backoff::default(),
            refused: WarnOnce::default(),
            unanswered: WarnOnce::default(),
            is_stopping: false,
        })
    }
}

/// One `[maweb NAME]` section that runs.
struct MawebInstance {
    config: Config,
    settings: Rc<Cell<Settings>>,
    session: Session,
    lookups: Vec<Lookup>,
    /// The host that is used or tried.
    host: usize,
    /// The failed attempts since the last login.
    failures: usize,
    socket: Option<Socket>,
    problem: Option<String>,
    /// When the next attempt is due.
    retry: Option<Instant>,
    backoff: Backoff,
    refused: WarnOnce,
    unanswered: WarnOnce,
    is_stopping: bool,
}

impl MawebInstance {
    fn connect(&mut self, context: &mut Context<'_>) {
        self.retry = None;
        if let Err(reason) = self.try_connect(context) {
            self.fail(&reason, context);
        }
    }

    fn try_connect(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        if self.socket.is_some() || self.is_stopping {
            return Ok(());
        }
        let lookup = &mut self.lookups[self.host];
        lookup.start(RESOLVE, context)?;
        let Some(address) = lookup.address() else { return Ok(()) };
        let host = &self.config.hosts[self.host];
        let both = Interest::READABLE | Interest::WRITABLE;
        let socket =
            Socket::connect(address, host, |stream| context.register(stream, CONNECTION, both));
        self.socket = Some(socket.map_err(|error| format!("cannot connect to {host}: {error}"))?);
        self.session.begin(context.now());
        Ok(())
    }

    fn serve(&mut self, readiness: Readiness, context: &mut Context<'_>) -> Result<(), String> {
        let host = &self.config.hosts[self.host];
        let Some(socket) = &mut self.socket else { return Ok(()) };
        let was_open = socket.is_open();
        let explain = |error: String| format!("cannot connect to {host}: {error}");
        if !socket.advance().map_err(explain)? {
            return Ok(());
        }
        if readiness.writable {
            socket.flush().map_err(|error| format!("lost the connection to {host}: {error}"))?;
        }
        // What follows the handshake may have arrived with it.
        if readiness.readable || !was_open {
            self.read(context)?;
        }
        Ok(())
    }

    /// Reads until nothing is left or the budget of the turn is spent.
    fn read(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        let mut remaining = context.budget();
        loop {
            let host = &self.config.hosts[self.host];
            let Some(socket) = &mut self.socket else { return Ok(()) };
            let received =
                socket.read().map_err(|error| format!("lost the connection to {host}: {error}"))?;
            let text = match received {
                Received::Nothing => return Ok(()),
                Received::Text(text) => text,
                Received::Other => String::new(),
            };
            let mut count = 1;
            if !text.is_empty() {
                context.count_input(1);
                let mut events = Vec::new();
                let now = context.now();
                let result = self.session.message(&text, now, &mut |event| events.push(event));
                count += events.len();
                for event in events {
                    self.handle(event, context);
                }
                result.map_err(|Failure(reason)| {
                    format!("{}: {reason}", self.config.hosts[self.host])
                })?;
            }
            remaining = remaining.saturating_sub(count);
            if remaining == 0 {
                context.call_again(CONNECTION);
                return Ok(());
            }
        }
    }

    fn handle(&mut self, event: Event, context: &mut Context<'_>) {
        match event {
            Event::Open(model) => {
                self.backoff.reset();
                self.failures = 0;
                self.problem = None;
                let model = match model {
                    Model::GrandMa2 => "grandMA2",
                    Model::Dot2 => "dot2",
                };
                tracing::info!(
                    instance = context.name(),
                    "logged in to the {model} {}",
                    self.config.hosts[self.host]
                );
                context.set_state(State::Up);
            }
            Event::Value(channel, value) => {
                if self.settings.get().detect
                    && let Channel::Executor { page, executor, control } =
                        self.session.entries[channel as usize].channel
                {
                    let name = format!("page{page}.{}{executor}", control.name());
                    log_value(&name, value, context);
                }
                context.emit(channel, value);
            }
            Event::Unmatched { page, executor, control, value } => {
                use std::fmt::Write;

                let name = control.name();
                if self.settings.get().detect {
                    log_value(&format!("page{page}.{name}{executor}"), value, context);
                }
                let address = self.lookups[self.host].address();
                let sender = address.map_or(Sender::Unknown, Sender::Address);
                let raw = RawValue::Number(value);
                let input = Unmatched { types: "f", raw, value: Some(value), sender };
                context.unmatched(input, |channel| {
                    let _ = write!(channel, "page{page}.{name}{executor}");
                });
            }
            Event::Refused => {
                context.count_errors(1);
                if self.refused.is_first() && !self.settings.get().is_quiet {
                    tracing::warn!(
                        instance = context.name(),
                        "the console has sent a message that is not JSON; further ones are only \
                         counted"
                    );
                }
            }
            Event::Unanswered => {
                context.count_errors(1);
                if self.unanswered.is_first() && !self.settings.get().is_quiet {
                    tracing::warn!(
                        instance = context.name(),
                        "the console has not answered an inquiry within a second; it is asked \
                         again, and further ones are only counted"
                    );
                }
            }
        }
    }

    /// Sends what waits, and sets the timer.
    fn pump(&mut self, context: &mut Context<'_>) {
        if let Err(reason) = self.try_pump(context) {
            self.fail(&reason, context);
        }
        let session = self.socket.as_ref().map(|_| self.session.deadline());
        let next = self.retry.into_iter().chain(session).min();
        if next != context.wake_time() {
            context.wake_at(next);
        }
    }

    fn try_pump(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        let host = &self.config.hosts[self.host];
        let Some(socket) = &mut self.socket else { return Ok(()) };
        let settings = self.settings.get();
        self.session.configure(settings.interval, settings.detect || context.is_observed());
        let mut is_unanswered = false;
        let result = self
            .session
            .tick(context.now(), &mut |event| is_unanswered |= event == Event::Unanswered);
        if let Err(Failure(reason)) = result {
            return Err(match socket.is_open() {
                true => format!("{host}: {reason}"),
                false => format!("cannot connect to {host}: no answer"),
            });
        }
        if !socket.is_blocked() {
            self.session.flush();
        }
        while socket.is_open() && !socket.is_blocked() {
            let Some(message) = self.session.next() else { break };
            socket
                .write(message)
                .map_err(|error| format!("lost the connection to {host}: {error}"))?;
        }
        if self.session.is_full() {
            return Err(format!("{host} does not take what is sent"));
        }
        if is_unanswered {
            self.handle(Event::Unanswered, context);
        }
        Ok(())
    }

    /// Closes the connection and tries the next host, after a pause when all have failed.
    fn fail(&mut self, reason: &str, context: &mut Context<'_>) {
        self.socket = None;
        self.session.begin(context.now());
        self.lookups[self.host].forget();
        if self.is_stopping {
            self.retry = None;
            return;
        }
        context.count_errors(1);
        context.set_state(State::Waiting(reason.to_owned()));
        self.problem = Some(reason.to_owned());
        self.failures += 1;
        self.host = (self.host + 1) % self.config.hosts.len();
        let has_tried_all = self.failures.is_multiple_of(self.config.hosts.len());
        let delay = if has_tried_all { self.backoff.next_delay() } else { Duration::ZERO };
        self.retry = Some(context.now() + delay);
    }
}

impl Instance for MawebInstance {
    fn start(&mut self, context: &mut Context<'_>) {
        self.connect(context);
        self.pump(context);
    }

    /// Keeps the session, and what is known about channels.
    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        _: &ChannelTable,
        context: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let MawebPlan { entries, .. } = *downcast::<MawebPlan>(plan)?;
        self.session.adopt(entries);
        self.pump(context);
        Ok(())
    }

    fn ready(&mut self, key: u32, readiness: Readiness, context: &mut Context<'_>) {
        let result = match key {
            RESOLVE => {
                self.lookups[self.host].finish(context).and_then(|()| self.try_connect(context))
            }
            _ => self.serve(readiness, context),
        };
        if let Err(reason) = result {
            self.fail(&reason, context);
        }
        self.pump(context);
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        if self.retry.is_some_and(|time| time <= context.now()) {
            self.connect(context);
        }
        // What has arrived meanwhile counts, also if this turn is late.
        if let Err(reason) = self.read(context) {
            self.fail(&reason, context);
        }
        self.pump(context);
    }

    fn deliver(&mut self, events: &[Value], context: &mut Context<'_>) {
        let mut dropped = 0;
        for event in events {
            dropped += self.session.set(event.channel as usize, event.value);
        }
        if dropped > 0 {
            context.count_dropped(dropped);
        }
        self.pump(context);
    }

    fn inspect(&self, _: Range<u32>) -> InstanceReport {
        let mut report = InstanceReport::default();
        if let Some(address) = self.lookups[self.host].address() {
            report.sends.push(Endpoint { transport: "TCP", address });
        }
        report.sends_nothing = self.problem.clone();
        report
    }

    /// Releases what is pressed; faders keep their levels.
    fn panic(&mut self, context: &mut Context<'_>) {
        self.session.release_all();
        self.pump(context);
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.is_stopping = true;
        self.session.close();
        self.pump(context);
        if let Some(socket) = &mut self.socket
            && self.session.is_idle()
        {
            socket.close();
        }
    }

    fn is_stopped(&self) -> bool {
        let Some(socket) = &self.socket else { return true };
        !socket.is_open() || self.session.is_idle() && !socket.is_blocked()
    }
}
