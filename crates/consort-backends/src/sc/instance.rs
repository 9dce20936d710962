//! An instance: the router's side of it.

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use consort_osc::Packet;
use consort_router::{ChannelError, Context, Event, Instance, Readiness, State, Usage};
use consort_sc::Event as ServerEvent;
use mio::Interest;
use mio::unix::SourceFd;

use super::config::{Config, Place};
use super::desk::Desk;
use super::inputs::{self, Inputs};
use super::link::Link;
use super::server::{Conductor, Report, Up};

const REPORTS: u32 = 0;
const EVENTS: u32 = 1;
const ANSWERS: u32 = 2;

/// How long released notes may fade when the show ends.
const FADE: Duration = Duration::from_millis(150);
/// How often the server's load is looked at.
const LOAD_INTERVAL: Duration = Duration::from_secs(1);
/// How many complaints of the server are logged; the rest is counted.
const COMPLAINTS: u64 = 10;

pub(super) struct ScInstance {
    desk: Desk,
    inputs: Inputs,
    link: Link,
    conductor: Option<Conductor>,
    look_due: Option<Instant>,
    load_due: Option<Instant>,
    stop_due: Option<Instant>,
    tick_due: Option<Instant>,
    complaints: u64,
    /// When the last server was lost.
    lost: Option<Instant>,
    buffer: Vec<u8>,
}

impl ScInstance {
    pub(super) fn new(config: Config) -> Self {
        ScInstance {
            desk: Desk::new(config),
            inputs: Inputs::default(),
            link: Link::None,
            conductor: None,
            look_due: None,
            load_due: None,
            stop_due: None,
            tick_due: None,
            complaints: 0,
            lost: None,
            buffer: vec![0; 65_536],
        }
    }

    /// Sends what has gathered, and tells the show what there is to tell.
    fn flush(&mut self, context: &mut Context<'_>) {
        for (channel, value) in self.desk.emits.drain(..) {
            context.emit(channel, value);
        }
        if self.tick_due.is_none()
            && let Some(delay) = self.desk.next_tick()
        {
            self.tick_due = Some(context.now() + delay);
            self.schedule(context);
        }
        if self.desk.packets.is_empty() {
            return;
        }
        let latency = self.desk.config.latency;
        let (refused, error) = self.link.send(&mut self.desk.packets, latency, context.now());
        if let Some(error) = error {
            context.count_dropped(refused);
            self.complain(&format!("{refused} packets were not sent: {error}"), context);
        }
    }

    fn complain(&mut self, what: &str, context: &mut Context<'_>) {
        context.count_errors(1);
        self.complaints += 1;
        if self.complaints <= COMPLAINTS {
            tracing::warn!(instance = context.name(), "{what}");
        }
        if self.complaints == COMPLAINTS {
            tracing::warn!(instance = context.name(), "further complaints are only counted");
        }
    }

    fn schedule(&self, context: &mut Context<'_>) {
        let next = [self.look_due, self.load_due, self.tick_due, self.stop_due];
        let next = next.into_iter().flatten().min();
        if next != context.wake_time() {
            context.wake_at(next);
        }
    }

    fn start_score(&mut self, context: &mut Context<'_>) {
        let Place::Score(path) = self.desk.config.place.clone() else { return };
        self.link = Link::score(path, context.now());
        let Link::Score(score) = &mut self.link else { return };
        let config = &self.desk.config;
        let mut numbers = super::score::Numbers::new(config);
        let up = numbers.up(config);
        let prepared = super::score::prepare(config, &up, score);
        if let Err(error) = prepared {
            context.set_state(State::Failed(error));
            return;
        }
        self.desk.go_up(up);
        context.set_state(State::Up);
        self.flush(context);
    }

    fn start_server(&mut self, context: &mut Context<'_>) {
        let numbered = self.desk.config.buses.iter().filter_map(|bus| bus.number);
        let used = self.desk.channels.numbered_buses();
        let addresses = self.inputs.addresses();
        let started =
            Conductor::start(&self.desk.config, addresses, numbered.chain(used).collect());
        let mut conductor = match started {
            Ok(conductor) => conductor,
            Err(reason) => return context.set_state(State::Failed(reason)),
        };
        let registered = context
            .register(&mut conductor.source, REPORTS, Interest::READABLE)
            .and_then(|()| match conductor.events.descriptor() {
                Some(descriptor) => {
                    let descriptor = descriptor.as_raw_fd();
                    context.register(&mut SourceFd(&descriptor), EVENTS, Interest::READABLE)
                }
                None => Err(io::Error::other("the system has no descriptor to give")),
            });
        if let Err(error) = registered {
            return context.set_state(State::Failed(format!("cannot watch the server: {error}")));
        }
        self.conductor = Some(conductor);
    }

    fn reports(&mut self, context: &mut Context<'_>) {
        let Some(conductor) = &mut self.conductor else { return };
        conductor.drain();
        while let Some(report) = self.conductor.as_mut().and_then(Conductor::report) {
            match report {
                Report::Up(up) => self.go_up(*up, context),
                Report::Waiting(reason) => {
                    if !context.is_stopping() {
                        context.count_errors(1);
                        context.set_state(State::Waiting(reason));
                    }
                }
                Report::Lost(reason) => self.go_down(reason, context),
            }
        }
    }

    fn go_up(&mut self, up: Up, context: &mut Context<'_>) {
        if context.is_stopping() {
            return;
        }
        let link = match (&self.conductor, up.address) {
            (Some(conductor), _)
                if self.desk.config.server.protocol == consort_sc::Protocol::Tcp =>
            {
                Ok(Link::Stream(conductor.server.clone()))
            }
            (_, Some(address)) => Link::datagrams(address),
            _ => Err(io::Error::other("it has no address")),
        };
        self.link = match link {
            Ok(link) => link,
            Err(error) => {
                context.set_state(State::Waiting(format!("no socket to the server: {error}")));
                return;
            }
        };
        if let Link::Datagrams(socket) = &mut self.link
            && let Err(error) = context.register(socket, ANSWERS, Interest::READABLE)
        {
            tracing::error!("answers of the server cannot be watched: {error}");
        }
        let took = up.took;
        for problem in &up.problems {
            self.complain(&format!("the server refused {problem}"), context);
        }
        let client = up.client;
        let has_memory = up.memory.is_some();
        let forgotten = self.desk.go_up(up);
        context.count_dropped(forgotten);
        self.inputs.go_up(&self.desk);
        if self.inputs.reads_buses() {
            self.look_due = Some(context.now() + self.desk.config.interval);
        }
        self.load_due = self.inputs.load().map(|_| context.now() + LOAD_INTERVAL);
        self.flush(context);
        context.set_state(State::Up);
        let away = self.lost.take().map(|lost| context.now().duration_since(lost));
        tracing::info!(
            instance = context.name(),
            client,
            shared_memory = has_memory,
            "the server is ready after {took:.0?}{}",
            away.map(|it| format!("; the instance was without one for {it:.0?}"))
                .unwrap_or_default()
        );
        self.schedule(context);
    }

    fn go_down(&mut self, reason: String, context: &mut Context<'_>) {
        if let Link::Datagrams(socket) = &mut self.link
            && let Err(error) = context.deregister(socket)
        {
            tracing::debug!("the socket of a server that is gone: {error}");
        }
        self.link = Link::None;
        self.desk.go_down();
        (self.look_due, self.load_due) = (None, None);
        self.lost = Some(context.now());
        if !context.is_stopping() {
            context.count_errors(1);
            context.set_state(State::Waiting(reason));
        }
        self.flush(context);
        self.schedule(context);
    }

    /// Notifications that the library has received.
    fn notifications(&mut self, context: &mut Context<'_>) {
        let Some(conductor) = &self.conductor else { return };
        let mut complaints = Vec::new();
        let mut left = context.budget();
        while left > 0
            && let Some(event) = conductor.events.try_next()
        {
            left -= 1;
            match event {
                ServerEvent::Message(message) => {
                    if context.is_observed()
                        && let Some((id, value)) = self.inputs.unmapped(&message, &self.desk)
                    {
                        context.unmapped(value, || format!("trigger.{id}"));
                    }
                    self.inputs.notified(&message, &mut self.desk);
                }
                ServerEvent::Fail(fail) if is_harmless(&fail.command, &fail.reason) => {
                    tracing::debug!(instance = context.name(), "{}: {}", fail.command, fail.reason);
                }
                ServerEvent::Fail(fail) => {
                    complaints
                        .push(format!("the server refused {}: {}", fail.command, fail.reason));
                }
                _ => {}
            }
        }
        if left == 0 {
            context.call_again(EVENTS);
        }
        for complaint in complaints {
            self.complain(&complaint, context);
        }
        if self.desk.is_torn() && !context.is_stopping() {
            self.desk.mend();
            self.complain("another program freed the show's groups; they are made again", context);
        }
        self.flush(context);
    }

    /// Answers to what the show itself has sent.
    fn answers(&mut self, context: &mut Context<'_>) {
        for _ in 0..context.budget() {
            let count = match self.link.receive(&mut self.buffer) {
                Ok(count) => count,
                // That the port is closed is noticed by the library, too.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(_) => return self.flush(context),
            };
            let buffer = std::mem::take(&mut self.buffer);
            match Packet::decode(&buffer[..count]) {
                Ok(packet) => {
                    for message in packet.messages() {
                        match message.address() {
                            "/c_set" => self.inputs.answered(&message, &mut self.desk),
                            "/fail" => self.failed(&message, context),
                            _ => {}
                        }
                    }
                }
                Err(error) => {
                    self.complain(
                        &format!("an answer of {count} bytes is no OSC: {error}"),
                        context,
                    );
                }
            }
            self.buffer = buffer;
        }
        context.call_again(ANSWERS);
        self.flush(context);
    }

    fn failed(&mut self, message: &consort_osc::Message<'_>, context: &mut Context<'_>) {
        let mut arguments = message.arguments();
        let command = arguments.next().and_then(|it| it.as_str()).unwrap_or("a message");
        let reason = arguments.next().and_then(|it| it.as_str()).unwrap_or("no reason given");
        if is_harmless(command, reason) {
            tracing::debug!(instance = context.name(), "{command}: {}", reason.trim_end());
            return;
        }
        self.complain(&format!("the server refused {command}: {}", reason.trim_end()), context);
    }

    fn end(&mut self, context: &mut Context<'_>) {
        self.stop_due = None;
        self.tick_due = None;
        if matches!(self.desk.config.place, Place::Connect(_)) {
            self.desk.leave();
            self.flush(context);
        }
        if let Link::Score(score) = &self.link
            && let Err(error) = score.write(context.now())
        {
            context.count_errors(1);
            tracing::error!(instance = context.name(), "the score is not written: {error}");
        }
        let (stolen, refused) = self.desk.losses();
        if stolen + refused > 0 {
            tracing::info!(
                instance = context.name(),
                "{stolen} notes were ended for others, {refused} were refused"
            );
        }
        self.link = Link::None;
        if let Some(conductor) = &mut self.conductor {
            conductor.stop();
        }
    }
}

impl Instance for ScInstance {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        let Desk { channels, config, .. } = &mut self.desk;
        channels.channel(specification, usage, config)
    }

    fn start(&mut self, context: &mut Context<'_>) {
        self.desk.prepare();
        self.inputs = Inputs::new(&self.desk);
        if matches!(self.desk.config.place, Place::Score(_)) {
            self.start_score(context);
        } else {
            self.start_server(context);
        }
    }

    fn ready(&mut self, key: u32, _: Readiness, context: &mut Context<'_>) {
        match key {
            REPORTS => self.reports(context),
            EVENTS => self.notifications(context),
            _ => self.answers(context),
        }
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        if self.look_due.is_some_and(|due| due <= now) {
            let interval = self.desk.config.interval;
            // Looks that were missed are left out.
            self.look_due = self.look_due.map(|due| (due + interval).max(now + interval / 2));
            self.inputs.look(&mut self.desk);
        }
        if self.load_due.is_some_and(|due| due <= now) {
            self.load_due = Some(now + LOAD_INTERVAL);
            let status = self.conductor.as_ref().and_then(|it| it.server.status());
            let load = status.and_then(|it| inputs::load(it.average_cpu_usage));
            self.desk.emits.extend(self.inputs.load().zip(load));
        }
        if self.tick_due.is_some_and(|due| due <= now) {
            self.tick_due = None;
            self.desk.tick();
        }
        self.flush(context);
        if self.stop_due.is_some_and(|due| due <= now) {
            self.end(context);
        }
        self.schedule(context);
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        let mut dropped = 0;
        for event in events {
            dropped += self.desk.deliver(event.channel, event.value);
        }
        if dropped > 0 {
            context.count_dropped(dropped);
        }
        self.flush(context);
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        if self.link.is_none() {
            return self.end(context);
        }
        self.desk.release_all();
        self.flush(context);
        self.stop_due = Some(context.now() + FADE);
        self.schedule(context);
    }

    fn is_stopped(&self) -> bool {
        self.stop_due.is_none() && self.conductor.as_ref().is_none_or(Conductor::is_stopped)
    }
}

/// Of a note that had just ended by itself, or of what an earlier show did not leave; and of the
/// client's group, which is made again whether it is there or not.
fn is_harmless(command: &str, reason: &str) -> bool {
    match command {
        "/n_set" | "/n_free" | "/n_run" => reason.contains("not found"),
        "/g_new" => reason.contains("duplicate node ID"),
        _ => false,
    }
}

/// Whether two instances would start servers on one port.
pub(super) fn boots_at(config: &Config) -> Option<u16> {
    (config.place == Place::Boot).then_some(config.server.port)
}
