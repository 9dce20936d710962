//! An instance while it is configured, and as the router runs it.

use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use consort_router::inspect::InstanceReport;
use consort_router::{
    ChannelError, ChannelKind, ChannelTable, Context, Driver, Event, Instance, Plan, Problems,
    RawValue, Readiness, Resolution, Sender, State, Unmatched, Usage, WarnOnce, downcast, driver,
};
use mio::Interest;
use mio::unix::SourceFd;

use super::JackDriver;
use super::bell::Bell;
use super::cell::{Part, Record};
use super::channels::{Endpoint, PortChannels, TransportControl};
use super::config::{Config, Direction, PortConfig, Signal};
use super::process::{Levels, RouterEnd};
use super::session::{Command, Notice, Opened, Session, Settings, Status};
use crate::detect::log_value;
use crate::midi_grammar::channels::{Control, System};
use crate::midi_grammar::clock::MAX_TEMPO;
use crate::midi_grammar::input::{Input, SourceNames};
use crate::midi_grammar::message::Message;
use crate::midi_grammar::output::{Output, Sending};
use crate::midi_grammar::timed_clock::TimedClock;

/// The key of the bell.
const BELL: u32 = 0;

/// How long a server may take to answer without being reported.
const ANSWER_TIME: Duration = Duration::from_secs(3);

/// How long the end of the show waits for the server to take the ends of notes, and to close the
/// client.
const STOP_TIMEOUT: Duration = Duration::from_millis(1_000);

/// How often the end of the show looks whether the server has taken everything.
const STOP_INTERVAL: Duration = Duration::from_millis(2);

/// After how many periods what was taken has reached its receivers.
const STOP_PERIODS: u64 = 2;

/// One `[jack NAME]` section before it runs.
pub(super) struct JackPlan {
    config: Config,
    channels: PortChannels,
}

impl JackPlan {
    pub(super) fn new(config: Config) -> Self {
        let channels = PortChannels::new(&config.ports);
        JackPlan { config, channels }
    }
}

impl Plan for JackPlan {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        self.channels.channel(specification, usage, &self.config.ports)
    }

    fn check(&self, problems: &mut Problems) {
        for (position, message) in &self.channels.misused {
            problems.warning(Some(*position), message.clone());
        }
    }

    fn kind(&self, channel: u32) -> ChannelKind {
        self.channels.kind(channel, &self.config.ports)
    }

    fn resolution(&self, channel: u32) -> Resolution {
        self.channels.resolution(channel)
    }

    fn open(self: Box<Self>, driver: &mut dyn Driver) -> Box<dyn Instance> {
        let JackPlan { config, mut channels } = *self;
        let driver = self::driver::<JackDriver>(driver);
        let rests = config.ports.iter().map(|port| AtomicU32::new(port.range.rest().to_bits()));
        let levels: Levels = rests.collect();
        let mut midi = std::mem::take(&mut channels.midi).into_iter();
        let ports = config.ports.iter().map(|port| {
            let channels = midi.next().unwrap_or_else(crate::midi_grammar::channels::Channels::new);
            let mut input = Input::new(channels, PortName(port.name.clone()));
            input.prefix = format!("{}.", port.name);
            PortState { input, output: Output::new(config.output), clock: TimedClock::default() }
        });
        let settings = Settings {
            instance: config.name.clone(),
            client: config.client.clone(),
            server: config.server.clone(),
            ports: config.ports.clone(),
            rules: config.rules.clone(),
            libraries: driver.libraries.clone(),
            sets_tempo: channels.sets_tempo,
            levels: Arc::clone(&levels),
            connections: driver.connections(&config.name),
            logs_messages: driver.logs_messages,
        };
        Box::new(JackInstance {
            ports: ports.collect(),
            endpoints: std::mem::take(&mut channels.endpoints).into(),
            channels,
            configs: config.ports,
            settings: Some(settings),
            detect: driver.detect.flag(),
            levels,
            session: None,
            bell: None,
            link: None,
            status: Status::default(),
            is_stalled: false,
            lost: WarnOnce::default(),
            answer_due: None,
            stop: None,
            is_closed: false,
            invalid_samples: 0,
        })
    }
}

/// The sender of what arrives at a port: the port itself, because the server mixes its senders.
struct PortName(String);

impl SourceNames for PortName {
    type Source = ();

    fn name(&mut self, (): ()) -> &str {
        &self.0
    }
}

/// What an instance keeps of a port. The parts that its direction does not use are empty.
struct PortState {
    input: Input<PortName>,
    output: Output,
    /// The MIDI clock that is sent.
    clock: TimedClock,
}

/// A client that runs.
struct Link {
    end: RouterEnd,
    clock: (Instant, u64),
    /// The losses that are counted already.
    lost_input: u64,
    lost_output: u64,
}

impl Link {
    /// The time of the server's clock in ns.
    fn time(&self, now: Instant) -> u64 {
        let (then, clock) = self.clock;
        let signed = |elapsed: Duration| u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        match now.checked_duration_since(then) {
            Some(elapsed) => clock.saturating_add(signed(elapsed)),
            None => clock.saturating_sub(signed(then - now)),
        }
    }
}

/// The end of an instance.
struct Stop {
    until: Instant,
    /// The number of the period from which on everything has been sent.
    periods: Option<u64>,
    is_closing: bool,
}

/// A running instance: one client of a server.
struct JackInstance {
    configs: Vec<PortConfig>,
    ports: Vec<PortState>,
    /// What the channels are, by number.
    endpoints: Rc<[Endpoint]>,
    channels: PortChannels,
    /// What the thread needs, until it is started.
    settings: Option<Settings>,
    detect: Rc<Cell<bool>>,
    levels: Levels,
    session: Option<Session>,
    bell: Option<Arc<Bell>>,
    link: Option<Link>,
    status: Status,
    is_stalled: bool,
    lost: WarnOnce,
    /// When a server that has not answered is reported.
    answer_due: Option<Instant>,
    stop: Option<Stop>,
    is_closed: bool,
    invalid_samples: u64,
}

/// Sends messages that `work` sends to a MIDI port, with the time `at`. Returns how many were lost.
fn send(
    port: &mut PortState,
    number: usize,
    link: Option<&mut Link>,
    at: Instant,
    is_stopping: bool,
    work: impl FnOnce(&mut Sending<'_, &mut dyn FnMut(Message<'_>)>),
) -> u64 {
    let Some(link) = link else { return 1 };
    let time = link.time(at);
    let mut lost = 0;
    let mut put = |message: Message<'_>| {
        let is_sent = match message {
            Message::Exclusive(bytes) => link.end.send(bytes, time, number as u16),
            message => message.bytes().is_some_and(|(bytes, length)| {
                link.end.send(&bytes[..length], time, number as u16)
            }),
        };
        lost += u64::from(!is_sent);
    };
    work(&mut port.output.sending(is_stopping, &mut put));
    lost
}

impl JackInstance {
    /// Sends to a MIDI port what `work` sends.
    fn send(
        &mut self,
        number: usize,
        context: &mut Context<'_>,
        work: impl FnOnce(&mut Sending<'_, &mut dyn FnMut(Message<'_>)>),
    ) {
        let link = self.link.as_mut();
        let now = Instant::now();
        let lost = send(&mut self.ports[number], number, link, now, context.is_stopping(), work);
        self.count_lost(lost, context);
    }

    /// Counts messages that could not be sent.
    fn count_lost(&mut self, lost: u64, context: &mut Context<'_>) {
        if lost == 0 {
            return;
        }
        context.count_dropped(lost);
        context.count_unsent(lost);
        if self.link.is_some() && self.lost.is_first() {
            tracing::warn!(
                instance = context.name(),
                "the server takes messages more slowly than they arrive; the excess is dropped and \
                 counted"
            );
        }
    }

    /// The MIDI outputs.
    fn outputs(&self) -> impl Iterator<Item = usize> + use<> {
        let is_output =
            |port: &PortConfig| (port.signal, port.direction) == (Signal::Midi, Direction::Out);
        let numbers: Vec<usize> =
            (0..self.configs.len()).filter(|&number| is_output(&self.configs[number])).collect();
        numbers.into_iter()
    }

    /// Handles what the thread has reported.
    fn take_notices(&mut self, context: &mut Context<'_>) {
        while let Some(notice) =
            self.session.as_ref().and_then(|session| session.notices.try_recv().ok())
        {
            self.answer_due = None;
            match notice {
                Notice::Opened(opened) => self.take_link(opened, context),
                Notice::Waiting(reason) => {
                    self.lose_link(context);
                    context.count_errors(1);
                    context.set_state(State::Waiting(reason));
                }
                Notice::Failed(reason) => {
                    self.lose_link(context);
                    context.set_state(State::Failed(reason));
                }
                Notice::Status(status) => {
                    self.status = status;
                    self.report_state(context);
                }
                Notice::Stalled(is_stalled) => {
                    self.is_stalled = is_stalled;
                    self.report_state(context);
                }
                Notice::Closed => {
                    self.is_closed = true;
                    self.link = None;
                }
            }
        }
    }

    fn take_link(&mut self, opened: Opened, context: &mut Context<'_>) {
        let Opened { end, clock } = opened;
        end.shared.reads_transport.store(self.reads_transport(), Ordering::Relaxed);
        self.link = Some(Link { end, clock, lost_input: 0, lost_output: 0 });
        self.is_stalled = false;
        self.invalid_samples = 0;
        context.set_state(State::Up);
    }

    /// Releases what arrived from a server that is gone, and forgets what sounds there.
    fn lose_link(&mut self, context: &mut Context<'_>) {
        if self.link.take().is_none() {
            return;
        }
        context.set_details(None);
        for port in &mut self.ports {
            port.input.on_input_lost(context);
            port.output.forget();
        }
    }

    fn reads_transport(&self) -> bool {
        [TransportControl::Rolling, TransportControl::Tempo]
            .into_iter()
            .any(|control| self.channels.transport(control).is_some())
    }

    /// Sets the state and what views show.
    fn report_state(&mut self, context: &mut Context<'_>) {
        if self.link.is_none() {
            return;
        }
        let Status { client, sample_rate, frames, is_freewheeling, connections, missing } =
            &self.status;
        if frames > &0 {
            let freewheels = if *is_freewheeling { ", freewheeling" } else { "" };
            let plural = if *connections == 1 { "" } else { "s" };
            context.set_details(Some(format!(
                "client `{client}`, {sample_rate} Hz, {frames} frames{freewheels}, {connections} \
                 connection{plural}"
            )));
        }
        let missing: Vec<String> = missing.iter().map(|pattern| format!("`{pattern}`")).collect();
        context.set_state(if self.is_stalled {
            State::Degraded("the server does not run: it has had no period for 2 s".into())
        } else if missing.is_empty() {
            State::Up
        } else {
            State::Degraded(format!(
                "no port matches {} of `connect`; it is connected when it appears",
                missing.join(", ")
            ))
        });
    }

    /// Handles what the callback has received, until there is nothing more or the budget of the turn
    /// is used up.
    fn read(&mut self, context: &mut Context<'_>) {
        for port in &mut self.ports {
            port.input.detect = self.detect.get();
        }
        for _ in 0..context.budget() {
            let Some(record) = self.link.as_mut().and_then(|link| link.end.input.pop().ok()) else {
                return self.count_losses(context);
            };
            match record {
                Record::Midi(part) => self.receive(&part, context),
                Record::Value(port, value) => self.receive_value(port, value, context),
                Record::Rolling(is_rolling) => {
                    self.emit_transport(TransportControl::Rolling, is_rolling.into(), context);
                }
                Record::Tempo(tempo) => {
                    let value = (tempo / MAX_TEMPO).min(1.0);
                    self.emit_transport(TransportControl::Tempo, value, context);
                }
            }
        }
        context.call_again(BELL);
    }

    fn emit_transport(&self, control: TransportControl, value: f64, context: &mut Context<'_>) {
        if let Some(channel) = self.channels.transport(control) {
            context.emit(channel, value);
        }
    }

    /// Handles a message, or a part of one.
    fn receive(&mut self, part: &Part, context: &mut Context<'_>) {
        if !part.is_continued {
            context.count_input(1);
        }
        let input = &mut self.ports[usize::from(part.port)].input;
        let mut bytes = part.bytes();
        while let Some((&status, data)) = bytes.split_first() {
            if status == 0xF0 || status < 0x80 || status == 0xF7 {
                return input.receive((), &Message::Exclusive(bytes), context);
            }
            let message = Message::data_length(status).filter(|length| *length <= data.len());
            let message = message.and_then(|length| {
                let byte = |index: usize| if index < length { data[index] } else { 0 };
                Some((Message::from_bytes(status, [byte(0), byte(1)])?, length))
            });
            let Some((message, length)) = message else { return context.count_errors(1) };
            input.receive((), &message, context);
            bytes = &data[length..];
        }
    }

    /// Handles a value of a port for control voltage.
    fn receive_value(&mut self, port: u16, value: f64, context: &mut Context<'_>) {
        context.count_input(1);
        let name = &self.configs[usize::from(port)].name;
        if self.detect.get() {
            log_value(name, value, context);
        }
        match self.channels.cv[usize::from(port)] {
            Some(channel) => context.emit(channel, value),
            None => {
                let sender = Sender::Name(name);
                let input =
                    Unmatched { types: "cv", raw: RawValue::None, value: Some(value), sender };
                context.unmatched(input, |text| text.push_str(name));
            }
        }
    }

    /// Counts what the callback has lost, and releases what may hang because of it.
    fn count_losses(&mut self, context: &mut Context<'_>) {
        let Some(link) = &mut self.link else { return };
        let lost = link.end.shared.lost_input.load(Ordering::Relaxed);
        let unsent = link.end.shared.lost_output.load(Ordering::Relaxed);
        let invalid = link.end.shared.invalid.load(Ordering::Relaxed);
        let has_lost = lost > link.lost_input;
        context.count_lost(lost - link.lost_input);
        context.count_dropped(unsent - link.lost_output);
        (link.lost_input, link.lost_output) = (lost, unsent);
        if invalid > self.invalid_samples {
            context.count_errors(invalid - self.invalid_samples);
            self.invalid_samples = invalid;
        }
        if has_lost {
            tracing::warn!(
                instance = context.name(),
                "input was lost because it arrives faster than the show handles it"
            );
            for port in &mut self.ports {
                port.input.on_input_lost(context);
            }
        }
    }

    /// Passes a command on to the thread, or counts it as dropped.
    fn command(&self, command: Command, context: &mut Context<'_>) {
        if !self.session.as_ref().is_some_and(|session| session.send(command)) {
            context.count_dropped(1);
            context.count_unsent(1);
        }
    }

    fn deliver_transport(
        &mut self,
        control: TransportControl,
        value: f64,
        context: &mut Context<'_>,
    ) {
        let command = match control {
            TransportControl::Rolling => Command::Roll(value > 0.5),
            TransportControl::Tempo => Command::Tempo((value * MAX_TEMPO).clamp(1.0, MAX_TEMPO)),
            _ if value <= 0.0 => return,
            TransportControl::Start => Command::Roll(true),
            TransportControl::Stop => Command::Roll(false),
            TransportControl::Rewind => Command::Rewind,
        };
        self.command(command, context);
    }

    /// Sets the tempo of the MIDI clock that a port sends, in quarter notes per minute.
    fn set_clock(&mut self, port: usize, tempo: f64, context: &Context<'_>) {
        let tempo = if context.is_stopping() { 0.0 } else { tempo };
        self.ports[port].clock.set_tempo(tempo, context.now());
    }

    /// Continues the end of the instance: everything is sent, then the client is closed.
    fn proceed(&mut self, context: &Context<'_>) {
        let Some(stop) = &mut self.stop else { return };
        let is_sent = match &self.link {
            None => true,
            Some(link) => {
                let periods = link.end.shared.periods.load(Ordering::Acquire);
                if link.end.is_empty() {
                    let last = *stop.periods.get_or_insert(periods + STOP_PERIODS);
                    periods >= last
                } else {
                    false
                }
            }
        };
        // Half of the time is for the messages, and half for the client.
        let is_late = context.now() + STOP_TIMEOUT / 2 >= stop.until;
        if (is_sent || is_late) && !stop.is_closing {
            stop.is_closing = true;
            match &self.session {
                Some(session) => session.end(),
                None => self.is_closed = true,
            }
        }
        if context.now() >= stop.until {
            self.is_closed = true;
        }
    }

    /// Sets the time of the next call of `timer`.
    fn schedule(&mut self, context: &mut Context<'_>) {
        let clocks = self.ports.iter().filter_map(|port| port.clock.due()).min();
        let stop = (self.stop.is_some() && !self.is_closed).then(|| context.now() + STOP_INTERVAL);
        context.wake_at([clocks, stop, self.answer_due].into_iter().flatten().min());
    }
}

impl Instance for JackInstance {
    fn start(&mut self, context: &mut Context<'_>) {
        let Some(settings) = self.settings.take() else { return };
        let started = Bell::new().and_then(|bell| {
            let bell = Arc::new(bell);
            context.register(&mut SourceFd(&bell.as_raw_fd()), BELL, Interest::READABLE)?;
            self.bell = Some(Arc::clone(&bell));
            Session::start(settings, bell)
        });
        match started {
            Ok(session) => {
                self.session = Some(session);
                self.answer_due = Some(context.now() + ANSWER_TIME);
            }
            Err(error) => {
                let reason = format!("cannot start a thread: {error}");
                context.set_state(State::Failed(reason));
            }
        }
        self.schedule(context);
    }

    /// Keeps the client, its connections and what sounds; ends what was started on channels that no
    /// mapping writes any more.
    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        _: &ChannelTable,
        context: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let mut plan = *downcast::<JackPlan>(plan)?;
        for number in self.outputs() {
            self.ports[number].output.set_options(plan.config.output);
            let channels = &plan.channels.midi[number];
            if self.link.is_some() {
                self.send(number, context, |sending| sending.release_removed(channels));
            }
            if !channels.is_target(&Control::System(System::Tempo)) {
                self.set_clock(number, 0.0, context);
            }
        }
        let midi = std::mem::take(&mut plan.channels.midi);
        for (port, channels) in self.ports.iter_mut().zip(midi) {
            port.input.set_channels(channels);
        }
        if plan.channels.sets_tempo && !self.channels.sets_tempo {
            self.command(Command::ProvideTempo, context);
        }
        self.command(Command::Rules(plan.config.rules), context);
        self.endpoints = std::mem::take(&mut plan.channels.endpoints).into();
        self.channels = plan.channels;
        if let Some(link) = &self.link {
            link.end.shared.reads_transport.store(self.reads_transport(), Ordering::Relaxed);
        }
        self.schedule(context);
        Ok(())
    }

    fn ready(&mut self, _: u32, _: Readiness, context: &mut Context<'_>) {
        if let Some(bell) = &self.bell {
            bell.clear();
        }
        self.take_notices(context);
        self.read(context);
        self.proceed(context);
        self.schedule(context);
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        if self.answer_due.take_if(|due| *due <= now).is_some() {
            let reason = "the JACK server does not answer; restart it".into();
            context.set_state(State::Waiting(reason));
        }
        let mut lost = 0;
        for number in 0..self.ports.len() {
            while let Some(due) = self.ports[number].clock.take_due(now) {
                let Some(link) = &mut self.link else { continue };
                let port = &mut self.ports[number];
                lost += send(port, number, Some(link), due, context.is_stopping(), |sending| {
                    sending.deliver(&Control::System(System::Clock), 1.0);
                });
            }
        }
        self.count_lost(lost, context);
        self.proceed(context);
        self.schedule(context);
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        let endpoints = Rc::clone(&self.endpoints);
        let mut has_clock = false;
        for event in events {
            match &endpoints[event.channel as usize] {
                Endpoint::Midi(port, control) => {
                    let number = usize::from(*port);
                    if self.configs[number].direction == Direction::In {
                        self.count_lost(1, context);
                    } else if *control == Control::System(System::Tempo) {
                        self.set_clock(number, event.value * MAX_TEMPO, context);
                        has_clock = true;
                    } else {
                        self.send(number, context, |sending| sending.deliver(control, event.value));
                    }
                }
                Endpoint::Cv(port) => {
                    let number = usize::from(*port);
                    let sample = self.configs[number].range.sample(event.value);
                    self.levels[number].store(sample.to_bits(), Ordering::Relaxed);
                }
                Endpoint::Transport(control) => {
                    self.deliver_transport(*control, event.value, context);
                }
            }
        }
        if has_clock {
            self.schedule(context);
        }
    }

    fn inspect(&self, _: std::ops::Range<u32>) -> InstanceReport {
        let mut report = InstanceReport::default();
        if self.link.is_none() {
            report.sends_nothing = Some("it is not connected to a JACK server".into());
        } else if self.status.connections == 0 {
            report.sends_nothing = Some(
                "none of its ports is connected: add `connect = PATTERN`, or use `jack_connect`"
                    .into(),
            );
        }
        report
    }

    fn panic(&mut self, context: &mut Context<'_>) {
        if self.link.is_some() {
            for number in self.outputs() {
                self.send(number, context, |sending| sending.silence_all());
            }
        }
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        for number in self.outputs() {
            self.set_clock(number, 0.0, context);
            if self.link.is_some() {
                self.send(number, context, |sending| sending.release_all());
            }
        }
        self.answer_due = None;
        let until = context.now() + STOP_TIMEOUT;
        self.stop = Some(Stop { until, periods: None, is_closing: false });
        self.proceed(context);
        self.schedule(context);
    }

    fn is_stopped(&self) -> bool {
        self.is_closed
    }
}
