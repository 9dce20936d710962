//! An instance of the backend, on the router's thread.

use std::any::Any;
use std::fmt::Write;
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use consort_osc::Packet;
use consort_router::{
    ChannelTable, Context, Event, Instance, Plan, Readiness, Sender, State, Unmatched, downcast,
};
use consort_sc::{Event as ServerEvent, SynthDefRefusal};
use mio::Interest;
use mio::unix::SourceFd;

use super::config::{Place, SynthConfig};
use super::inputs::{Inputs, load_value};
use super::plan::ScPlan;
use super::player::Player;
use super::server::{Departed, Report, ServerInfo, ServerThread};
use super::transport::Transport;
use crate::net::loss::LossReport;

/// The key of the pipe with the reports of the server thread.
const REPORTS_KEY: u32 = 0;
/// The key of the library's notifications.
const NOTIFICATIONS_KEY: u32 = 1;
/// The key of the instance's own socket.
const REPLIES_KEY: u32 = 2;

/// How long released notes may fade when the show ends.
const FADE_TIME: Duration = Duration::from_millis(150);
/// How often the server's load is read.
const LOAD_INTERVAL: Duration = Duration::from_secs(1);
/// How many errors of the server are logged; further ones are counted only.
const MAX_LOGGED_ERRORS: u64 = 10;

/// An instance: a server and the channels that control it.
pub(super) struct ScInstance {
    player: Player,
    inputs: Inputs,
    transport: Transport,
    server_thread: Option<ServerThread>,
    /// Takes the server thread if the instance is dropped before it has ended.
    departed: Departed,
    has_ended: bool,
    /// When to poll buses and meters.
    poll_due: Option<Instant>,
    /// When to read the server's load.
    load_due: Option<Instant>,
    /// When the fade at the end of the show is over.
    stop_due: Option<Instant>,
    /// When to call [`Player::tick`].
    tick_due: Option<Instant>,
    error_count: u64,
    /// The SynthDefs that the server refused.
    refused: Vec<String>,
    /// When the last server was lost.
    lost: Option<Instant>,
    buffer: Vec<u8>,
    losses: LossReport,
}

impl ScInstance {
    pub(super) fn new(plan: ScPlan, departed: Departed) -> Self {
        let player = Player::new(plan.config, plan.channels);
        ScInstance {
            inputs: Inputs::new(&player),
            player,
            transport: Transport::None,
            server_thread: None,
            departed,
            has_ended: false,
            poll_due: None,
            load_due: None,
            stop_due: None,
            tick_due: None,
            error_count: 0,
            refused: Vec::new(),
            lost: None,
            buffer: vec![0; 65_536],
            losses: LossReport::default(),
        }
    }

    /// Sends the gathered messages, and emits the gathered values.
    fn flush(&mut self, context: &mut Context<'_>) {
        for (channel, value) in self.player.emits.drain(..) {
            context.emit(channel, value);
        }
        self.send(context);
    }

    /// Sends the gathered messages.
    fn send(&mut self, context: &mut Context<'_>) {
        if self.tick_due.is_none()
            && let Some(delay) = self.player.next_tick()
        {
            self.tick_due = Some(context.now() + delay);
            self.schedule(context);
        }
        if self.player.packets.is_empty() {
            return;
        }
        let latency = self.player.config.latency;
        let (unsent, error) = self.transport.send(&mut self.player.packets, latency, context.now());
        if let Some(error) = error {
            context.count_dropped(unsent);
            let plural = if unsent == 1 { "" } else { "s" };
            self.report_error(&format!("cannot send {unsent} packet{plural}: {error}"), context);
        }
        self.report_losses(context);
    }

    fn report_losses(&mut self, context: &mut Context<'_>) {
        if let Some(losses) = self.transport.take_losses() {
            self.losses.report(losses, None, context);
        }
    }

    /// Counts an error, and logs it unless there were many.
    fn report_error(&mut self, message: &str, context: &mut Context<'_>) {
        context.count_errors(1);
        self.error_count += 1;
        if self.error_count <= MAX_LOGGED_ERRORS {
            tracing::warn!(instance = context.name(), "{message}");
        }
        if self.error_count == MAX_LOGGED_ERRORS {
            tracing::warn!(instance = context.name(), "further errors are counted, not logged");
        }
    }

    fn schedule(&self, context: &mut Context<'_>) {
        let emit_due = (!self.player.emits.is_empty()).then(|| context.now());
        let next = [self.poll_due, self.load_due, self.tick_due, self.stop_due, emit_due];
        let next = next.into_iter().flatten().min();
        if next != context.wake_time() {
            context.wake_at(next);
        }
    }

    fn start_score(&mut self, context: &mut Context<'_>) {
        let Place::Score(path) = self.player.config.place.clone() else { return };
        self.transport = Transport::score(path, context.now());
        let Transport::Score(score) = &mut self.transport else { return };
        let config = &self.player.config;
        let mut numbers = super::score::NumberAllocator::new(config);
        let server = numbers.server_info(config);
        let prepared = super::score::prepare(config, &server, score);
        if let Err(error) = prepared {
            context.set_state(State::Failed(error));
            return;
        }
        self.player.on_server_ready(server);
        context.set_state(State::Up);
        self.flush(context);
    }

    fn start_server(&mut self, context: &mut Context<'_>) {
        let fixed_buses = self.player.fixed_buses().clone();
        let started = ServerThread::start(&self.player.config, fixed_buses, &self.departed);
        let mut server_thread = match started {
            Ok(server_thread) => server_thread,
            Err(reason) => return context.set_state(State::Failed(reason)),
        };
        let registered = context
            .register(&mut server_thread.wake_source, REPORTS_KEY, Interest::READABLE)
            .and_then(|()| match server_thread.events.descriptor() {
                Some(descriptor) => {
                    let descriptor = descriptor.as_raw_fd();
                    context.register(
                        &mut SourceFd(&descriptor),
                        NOTIFICATIONS_KEY,
                        Interest::READABLE,
                    )
                }
                None => Err(io::Error::other("no file descriptor is available")),
            });
        if let Err(error) = registered {
            return context.set_state(State::Failed(format!("cannot watch the server: {error}")));
        }
        self.server_thread = Some(server_thread);
    }

    /// Handles the reports of the server thread.
    fn handle_reports(&mut self, context: &mut Context<'_>) {
        let Some(server_thread) = &mut self.server_thread else { return };
        server_thread.drain();
        while let Some(report) = self.server_thread.as_mut().and_then(ServerThread::next_report) {
            match report {
                Report::Ready(server) => self.on_server_ready(*server, context),
                Report::Waiting(reason) => {
                    if !context.is_stopping() {
                        // Repeated attempts that fail alike are one error.
                        let before = context.state();
                        context.set_state(State::Waiting(reason));
                        context.count_errors(u64::from(context.state() != before));
                    }
                }
                Report::Lost(reason) => self.on_server_lost(reason, context),
            }
        }
    }

    fn on_server_ready(&mut self, server: ServerInfo, context: &mut Context<'_>) {
        if context.is_stopping() {
            return;
        }
        let transport = match (&self.server_thread, server.address) {
            (Some(server_thread), _)
                if self.player.config.server.protocol == consort_sc::Protocol::Tcp =>
            {
                Ok(Transport::Stream(server_thread.server.clone()))
            }
            (_, Some(address)) => Transport::datagrams(address),
            _ => Err(io::Error::other("the address of the server is unknown")),
        };
        self.transport = match transport {
            Ok(transport) => transport,
            Err(error) => {
                context.set_state(State::Waiting(format!(
                    "cannot open a socket to the server: {error}"
                )));
                return;
            }
        };
        if let Transport::Datagrams(socket, _) = &mut self.transport
            && let Err(error) = context.register(socket, REPLIES_KEY, Interest::READABLE)
        {
            tracing::error!("cannot receive replies of the server: {error}");
        }
        let startup_time = server.startup_time;
        self.refused = server.refused.iter().filter_map(|refusal| refusal.name.clone()).collect();
        let refused = server.refused.iter().map(|refusal| self.describe_refusal(refusal));
        let problems: Vec<String> = refused.chain(server.problems.iter().cloned()).collect();
        let state = match problems.as_slice() {
            [] => State::Up,
            [problem] => State::Degraded(problem.clone()),
            [problem, rest @ ..] => State::Degraded(format!("{problem}; and {} more", rest.len())),
        };
        // The state is logged with the first problem.
        context.count_errors(problems.len().min(1) as u64);
        for problem in problems.iter().skip(1) {
            self.report_error(problem, context);
        }
        let client = server.client;
        let has_memory = server.memory.is_some();
        let forgotten = self.player.on_server_ready(server);
        context.count_dropped(forgotten);
        self.inputs.on_server_ready(&self.player);
        self.schedule_polls(context.now());
        self.flush(context);
        context.set_state(state);
        let outage = self.lost.take().map(|lost| context.now().duration_since(lost));
        let outage = outage
            .map(|outage| format!("; the instance had no server for {outage:.0?}"))
            .unwrap_or_default();
        tracing::info!(
            instance = context.name(),
            client,
            shared_memory = has_memory,
            "the server is ready after {startup_time:.0?}{outage}"
        );
        self.schedule(context);
    }

    /// A SynthDef that the server refused, and what is silent because of it.
    fn describe_refusal(&self, refusal: &SynthDefRefusal) -> String {
        let config = &self.player.config;
        let is_affected =
            |synth: &SynthConfig| Some(synth.definition.name.as_str()) == refusal.name.as_deref();
        let voices =
            config.voices.iter().map(|voice| &voice.synth).filter(|synth| is_affected(synth));
        let synths = config.synths.iter().filter(|synth| is_affected(synth));
        let voices = voices.map(|voice| format!("the voice `{}` is silent", voice.name));
        let synths = synths.map(|synth| format!("the synth `{}` does not run", synth.name));
        let affected: Vec<String> = voices.chain(synths).collect();
        match affected.is_empty() {
            true => refusal.to_string(),
            false => format!("{}: {refusal}", affected.join(", ")),
        }
    }

    /// The reason of a rejected command. A SynthDef that the server does not have was refused when it
    /// was loaded.
    fn explain_rejection(&self, command: &str, reason: &str) -> String {
        let reason = reason.trim_end();
        let text = format!("the server rejected {command}: {reason}");
        if command != "/s_new" || !reason.contains("SynthDef not found") || self.refused.is_empty()
        {
            return text;
        }
        let names: Vec<String> = self.refused.iter().map(|name| format!("`{name}`")).collect();
        format!("{text} (it refused {} at the start)", names.join(", "))
    }

    /// Sets when to poll next, as far as anything is polled and a server is ready.
    fn schedule_polls(&mut self, now: Instant) {
        let is_ready = self.player.is_server_ready();
        let next = |due: Option<Instant>, is_polled: bool, interval: Duration| {
            (is_ready && is_polled)
                .then(|| due.map_or(now + interval, |due| due.min(now + interval)))
        };
        let interval = self.player.config.interval;
        self.poll_due = next(self.poll_due, self.inputs.reads_buses(), interval);
        self.load_due = next(self.load_due, self.inputs.load().is_some(), LOAD_INTERVAL);
    }

    fn on_server_lost(&mut self, reason: String, context: &mut Context<'_>) {
        if let Transport::Datagrams(socket, _) = &mut self.transport
            && let Err(error) = context.deregister(socket)
        {
            tracing::debug!("cannot deregister the socket of a lost server: {error}");
        }
        self.transport = Transport::None;
        self.player.on_server_lost();
        (self.poll_due, self.load_due) = (None, None);
        self.lost = Some(context.now());
        if !context.is_stopping() {
            context.count_errors(1);
            context.set_state(State::Waiting(reason));
        }
        self.flush(context);
        self.schedule(context);
    }

    /// Handles the notifications that the library has received.
    fn handle_notifications(&mut self, context: &mut Context<'_>) {
        let Some(server_thread) = &self.server_thread else { return };
        let mut errors = Vec::new();
        let mut budget = context.budget();
        let mut message_count = 0;
        while budget > 0
            && let Some(event) = server_thread.events.try_next()
        {
            budget -= 1;
            match event {
                ServerEvent::Message(message) => {
                    message_count += 1;
                    if !self.inputs.on_notification(&message, &mut self.player) {
                        report_unmatched(&message, &self.player, context);
                    }
                }
                ServerEvent::Fail(fail) if is_harmless(&fail.command, &fail.reason) => {
                    tracing::debug!(instance = context.name(), "{}: {}", fail.command, fail.reason);
                }
                ServerEvent::Fail(fail) => {
                    errors.push(self.explain_rejection(&fail.command, &fail.reason));
                }
                _ => {}
            }
        }
        if message_count > 0 {
            context.count_input(message_count);
        }
        if budget == 0 {
            context.call_again(NOTIFICATIONS_KEY);
        }
        for error in errors {
            self.report_error(&error, context);
        }
        if self.player.needs_rebuild() && !context.is_stopping() {
            self.player.rebuild();
            let message = "another program freed the show's groups; they are created again";
            self.report_error(message, context);
        }
        self.flush(context);
    }

    /// Handles the replies to the instance's own messages.
    fn handle_replies(&mut self, context: &mut Context<'_>) {
        for _ in 0..context.budget() {
            let count = match self.transport.receive(&mut self.buffer) {
                Ok(count) => count,
                // The library notices a closed port, too, and the thread reports it.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(_) => {
                    self.report_losses(context);
                    return self.flush(context);
                }
            };
            context.count_input(1);
            let buffer = std::mem::take(&mut self.buffer);
            match Packet::decode(&buffer[..count]) {
                Ok(packet) => {
                    for message in packet.messages() {
                        match message.address() {
                            "/c_set" => self.inputs.on_bus_values(&message, &mut self.player),
                            "/fail" => self.handle_fail(&message, context),
                            _ => {}
                        }
                    }
                }
                Err(error) => {
                    self.report_error(
                        &format!("a reply of {count} bytes is not a valid OSC packet: {error}"),
                        context,
                    );
                }
            }
            self.buffer = buffer;
        }
        context.call_again(REPLIES_KEY);
        self.flush(context);
    }

    /// Handles `/fail`.
    fn handle_fail(&mut self, message: &consort_osc::Message<'_>, context: &mut Context<'_>) {
        let mut arguments = message.arguments();
        let command =
            arguments.next().and_then(|argument| argument.as_str()).unwrap_or("a message");
        let reason =
            arguments.next().and_then(|argument| argument.as_str()).unwrap_or("no reason given");
        if is_harmless(command, reason) {
            tracing::debug!(instance = context.name(), "{command}: {}", reason.trim_end());
            return;
        }
        let error = self.explain_rejection(command, reason);
        self.report_error(&error, context);
    }

    /// Ends the instance after the last notes have faded.
    fn end(&mut self, context: &mut Context<'_>) {
        self.stop_due = None;
        self.tick_due = None;
        if let Err(error) = self.leave(context.now()) {
            context.count_errors(1);
            tracing::error!(instance = context.name(), "{error}");
        }
        let (stolen, refused) = self.player.losses();
        if stolen + refused > 0 {
            tracing::info!(
                instance = context.name(),
                "stolen voices: {stolen}; dropped notes: {refused}"
            );
        }
        if let Some(server_thread) = &mut self.server_thread {
            server_thread.stop();
        }
    }

    /// Leaves nothing behind on a server that runs on, and writes a score.
    fn leave(&mut self, now: Instant) -> Result<(), String> {
        self.has_ended = true;
        let mut transport = std::mem::take(&mut self.transport);
        if matches!(self.player.config.place, Place::Connect(_)) {
            self.player.leave();
            let latency = self.player.config.latency;
            let (_, error) = transport.send(&mut self.player.packets, latency, now);
            error.map_or(Ok(()), |error| Err(format!("cannot free the nodes: {error}")))?;
        }
        match transport {
            Transport::Score(score) => {
                score.write(now).map_err(|error| format!("cannot write the score: {error}"))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for ScInstance {
    /// A reload that restarts an instance does not wait for the notes to fade.
    fn drop(&mut self) {
        if !self.has_ended
            && let Err(error) = self.leave(Instant::now())
        {
            tracing::error!("{error}");
        }
        if let Some(server_thread) = self.server_thread.take() {
            self.departed.add(server_thread);
        }
    }
}

/// Reports a notification that belongs to no mapped channel.
fn report_unmatched(message: &consort_sc::OscMessage, player: &Player, context: &mut Context<'_>) {
    let Some(unmatched) = Inputs::unmatched(message, player) else { return };
    let input = Unmatched {
        types: unmatched.types.as_str(),
        raw: unmatched.raw,
        value: unmatched.value,
        sender: player.server().address.map_or(Sender::Unknown, Sender::Address),
    };
    context.unmatched(input, |channel| {
        // Writing to a string does not fail.
        let _ = write!(channel, "{}", unmatched.channel);
    });
}

impl Instance for ScInstance {
    fn start(&mut self, context: &mut Context<'_>) {
        if matches!(self.player.config.place, Place::Score(_)) {
            self.start_score(context);
        } else {
            self.start_server(context);
        }
    }

    fn obstacle(&self, plan: &dyn Plan, context: &Context<'_>) -> Option<String> {
        let plan = (plan as &dyn Any).downcast_ref::<ScPlan>()?;
        let has_failed = matches!(context.state(), State::Failed(_));
        let failed = has_failed.then(|| "the instance has failed".to_owned());
        failed.or_else(|| self.player.obstacle(&plan.config, &plan.channels))
    }

    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        _: &ChannelTable,
        context: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        if self.obstacle(&*plan, context).is_some() {
            // The server has failed since it was asked. The channel numbers are not those of the show any more.
            self.player.channels.silence_sources();
            return Err(plan);
        }
        let plan = downcast::<ScPlan>(plan)?;
        self.player.adopt(plan.config, plan.channels);
        let mut inputs = Inputs::new(&self.player);
        inputs.on_server_ready(&self.player);
        inputs.continue_from(std::mem::take(&mut self.inputs));
        self.inputs = inputs;
        if let Some(server_thread) = &self.server_thread {
            server_thread.set_fixed_buses(self.player.fixed_buses().clone());
            server_thread.server.set_timeouts(self.player.config.timeouts());
        }
        self.schedule_polls(context.now());
        self.send(context);
        self.schedule(context);
        Ok(())
    }

    fn ready(&mut self, key: u32, _: Readiness, context: &mut Context<'_>) {
        match key {
            REPORTS_KEY => self.handle_reports(context),
            NOTIFICATIONS_KEY => self.handle_notifications(context),
            _ => self.handle_replies(context),
        }
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        if self.poll_due.is_some_and(|due| due <= now) {
            let interval = self.player.config.interval;
            // Polls that were missed are not repeated.
            self.poll_due = self.poll_due.map(|due| (due + interval).max(now + interval / 2));
            self.inputs.poll(&mut self.player);
        }
        if self.load_due.is_some_and(|due| due <= now) {
            self.load_due = Some(now + LOAD_INTERVAL);
            let status = self.server_thread.as_ref().and_then(|thread| thread.server.status());
            let load = status.and_then(|status| load_value(status.average_cpu_usage));
            self.player.emits.extend(self.inputs.load().zip(load));
        }
        if self.tick_due.is_some_and(|due| due <= now) {
            self.tick_due = None;
            self.player.tick();
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
            dropped += self.player.deliver(event.channel, event.value);
        }
        if dropped > 0 {
            context.count_dropped(dropped);
        }
        self.flush(context);
    }

    fn panic(&mut self, context: &mut Context<'_>) {
        self.player.silence_all();
        self.flush(context);
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        if self.transport.is_none() {
            return self.end(context);
        }
        self.player.release_all();
        self.flush(context);
        self.stop_due = Some(context.now() + FADE_TIME);
        self.schedule(context);
    }

    fn is_stopped(&self) -> bool {
        self.stop_due.is_none() && self.server_thread.as_ref().is_none_or(ServerThread::is_stopped)
    }
}

/// Whether a refused command is expected: a message to a node that has just ended or never
/// existed, or the creation of a group that exists.
fn is_harmless(command: &str, reason: &str) -> bool {
    match command {
        "/g_head" | "/n_after" | "/n_free" | "/n_map" | "/n_run" | "/n_set" => {
            reason.contains("not found")
        }
        "/g_new" => reason.contains("duplicate node ID"),
        _ => false,
    }
}
