//! A connection and the cameras behind it: connecting, framing, writing and reading.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use consort_router::{
    DriverContext, Event, InstanceId, RawValue, Readiness, Sender, State, Unmatched, WarnOnce,
};

use super::channels::{Channel, Source};
use super::config::{Config, Endpoint, Framing, Settings};
use super::flow::{Flow, Outcome, Outgoing, What};
use super::transport::Transport;
use super::wire::{
    Found, Framed, Inquiry, Message, Reply, Splitter, decode_framed, encode_framed, payload, reason,
};
use crate::detect::log_value;
use crate::hotplug::Job;
use crate::net::{Backoff, Lookup};
use crate::serial::{SerialLine, Setup};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a camera may take to answer with one framing.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// How often each framing is tried.
const PROBES: u32 = 2;

/// The time between two attempts to find the framing of a camera that does not answer.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// The port of Sony's VISCA over IP.
const SONY_PORT: u16 = 52_381;

/// How long a peer may take nothing before the connection counts as lost.
const BLOCKED_TIMEOUT: Duration = Duration::from_secs(5);

/// The most bytes that wait to be written.
const MAX_OUTGOING_BYTES: usize = 4_096;

/// The unanswered messages after which a camera counts as missing.
const MISSING_COUNT: u32 = 3;

/// The shortest time between two resets of the number in Sony's header.
const RESET_INTERVAL: Duration = Duration::from_secs(1);

/// A camera of a line.
pub(super) struct Camera {
    pub(super) instance: InstanceId,
    pub(super) flow: Flow,
    /// The channels, by their numbers.
    pub(super) channels: Vec<Channel>,
    /// The channel of each source that is mapped.
    pub(super) sources: [Option<u32>; Source::ALL.len()],
    /// What the camera has reported last.
    pub(super) last: [Option<i32>; Source::ALL.len()],
    reported: Option<Reported>,
    refused: WarnOnce,
    invalid: WarnOnce,
}

/// The state that was reported last.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reported {
    Waiting(String),
    Missing,
    Up,
}

impl Camera {
    pub(super) fn new(
        instance: InstanceId,
        config: &Config,
        channels: Vec<Channel>,
        sources: [Option<u32>; Source::ALL.len()],
    ) -> Self {
        Camera {
            instance,
            flow: Flow::new(config.id, config.settings.clone()),
            channels,
            sources,
            last: [None; Source::ALL.len()],
            reported: None,
            refused: WarnOnce::default(),
            invalid: WarnOnce::default(),
        }
    }

    /// The inquiries that are sent regularly. `all`: also for sources that are not mapped.
    fn inquiries(&self, all: bool) -> u16 {
        let wanted = Source::ALL.into_iter().zip(&self.sources);
        wanted
            .filter(|(_, channel)| all || channel.is_some())
            .fold(0, |set, (source, _)| set | inquiry(source).bit())
    }
}

/// What is asked for a source.
fn inquiry(source: Source) -> Inquiry {
    match source {
        Source::Pan | Source::Tilt => Inquiry::PanTilt,
        Source::Zoom => Inquiry::Zoom,
        Source::Focus => Inquiry::Focus,
        Source::AutoFocus => Inquiry::AutoFocus,
        Source::WhiteAuto => Inquiry::WhiteMode,
        Source::WhiteRed => Inquiry::WhiteRed,
        Source::WhiteBlue => Inquiry::WhiteBlue,
        Source::Power => Inquiry::Power,
    }
}

/// The sources that an answer has, with their numbers.
fn answered(asked: Inquiry, [first, second]: [i32; 2]) -> impl Iterator<Item = (Source, i32)> {
    Source::ALL
        .into_iter()
        .filter(move |source| inquiry(*source) == asked)
        .map(move |source| (source, if source == Source::Tilt { second } else { first }))
}

/// Finding out how a camera frames its messages.
#[derive(Clone, Copy, Debug)]
struct Probe {
    count: u32,
    deadline: Instant,
}

/// A connection.
pub(super) struct Line {
    endpoint: Endpoint,
    framing: Framing,
    keys: Keys,
    pub(super) cameras: Vec<Camera>,
    detect: Rc<Cell<bool>>,
    lookup: Option<Lookup>,
    opening: Option<Job<SerialLine>>,
    transport: Option<Transport>,
    is_ready: bool,
    /// When an attempt to connect ends.
    connect_deadline: Option<Instant>,
    retry: Option<Instant>,
    backoff: Backoff,
    problem: Option<String>,
    is_sony: bool,
    probe: Option<Probe>,
    /// When the framing of a silent camera is looked for again.
    next_probe: Option<Instant>,
    sequence: u32,
    reset: Option<Instant>,
    splitter: Splitter,
    outgoing: Vec<u8>,
    written: usize,
    blocked_since: Option<Instant>,
}

/// The keys with which a line registers its descriptors.
#[derive(Clone, Copy)]
pub(super) struct Keys {
    pub(super) connection: u32,
    pub(super) opening: u32,
}

impl Line {
    pub(super) fn new(config: &Config, keys: Keys, detect: Rc<Cell<bool>>) -> Self {
        let lookup = match &config.endpoint {
            Endpoint::Tcp(peer) => Some(Lookup::new(peer.clone())),
            Endpoint::Udp { peer, bind } => {
                Some(Lookup::new(peer.clone()).reached_from(bind.as_ref()))
            }
            Endpoint::Serial { .. } => None,
        };
        Line {
            endpoint: config.endpoint.clone(),
            framing: config.framing,
            keys,
            cameras: Vec::new(),
            detect,
            lookup,
            opening: None,
            transport: None,
            is_ready: false,
            connect_deadline: None,
            retry: None,
            backoff: Backoff::default(),
            problem: None,
            is_sony: false,
            probe: None,
            next_probe: None,
            sequence: 0,
            reset: None,
            splitter: Splitter::default(),
            outgoing: Vec::new(),
            written: 0,
            blocked_since: None,
        }
    }

    /// Whether an instance with these options uses this line.
    pub(super) fn fits(&self, config: &Config) -> bool {
        self.endpoint == config.endpoint && self.framing == config.framing
    }

    pub(super) fn is_connected(&self) -> bool {
        self.is_ready
    }

    /// Whether everything that must not be lost is written.
    pub(super) fn is_idle(&self) -> bool {
        let has_stops = self.cameras.iter().any(|camera| camera.flow.has_stops());
        !self.is_ready || self.outgoing.is_empty() && !has_stops
    }

    /// The address of the peer, for views.
    pub(super) fn peer(&self) -> Option<(&'static str, std::net::SocketAddr)> {
        let address = self.lookup.as_ref()?.address()?;
        let transport = if matches!(self.endpoint, Endpoint::Tcp(_)) { "TCP" } else { "UDP" };
        Some((transport, address))
    }

    /// Why nothing is sent.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    pub(super) fn add(&mut self, camera: Camera, context: &mut DriverContext<'_>) {
        self.cameras.push(camera);
        if self.is_ready {
            let now = context.now();
            if let Some(camera) = self.cameras.last_mut() {
                camera.flow.connected(now);
            }
        } else if self.transport.is_none() && self.opening.is_none() && self.retry.is_none() {
            self.connect(context);
        }
        self.pump(context);
    }

    fn connect(&mut self, context: &mut DriverContext<'_>) {
        self.retry = None;
        if let Err(reason) = self.try_connect(context) {
            self.fail(reason, context);
        }
    }

    fn try_connect(&mut self, context: &mut DriverContext<'_>) -> Result<(), String> {
        if self.transport.is_some() || self.opening.is_some() {
            return Ok(());
        }
        let endpoint = &self.endpoint;
        let explain = |error: io::Error| format!("cannot connect to {endpoint}: {error}");
        let transport = match endpoint {
            Endpoint::Serial { path, speed } => {
                let (path, speed) = (path.clone(), *speed);
                let job = Job::start("visca", self.keys.opening, context, move || {
                    let setup = Setup { speed, has_two_stop_bits: false, blocks: false };
                    SerialLine::open(&path, &setup).map_err(|error| {
                        let hint = match error.raw_os_error() {
                            Some(libc::EACCES) => {
                                "; add this user to the group of the device, usually `dialout`"
                            }
                            Some(libc::EBUSY) => "; another program uses it",
                            Some(libc::ENOTTY) => ": it is not a serial line",
                            _ => "",
                        };
                        format!("cannot open {}: {error}{hint}", path.display())
                    })
                })?;
                self.opening = Some(job);
                return Ok(());
            }
            Endpoint::Tcp(_) | Endpoint::Udp { .. } => {
                let Some(lookup) = &mut self.lookup else { return Ok(()) };
                lookup.start(self.keys.opening, context)?;
                let Some(address) = lookup.address() else { return Ok(()) };
                match endpoint {
                    Endpoint::Udp { bind, .. } => Transport::udp(address, bind.as_ref()),
                    _ => Transport::tcp(address),
                }
            }
        };
        self.connect_deadline = Some(context.now() + CONNECT_TIMEOUT);
        self.take(transport.map_err(explain)?, context)
    }

    /// Takes an open transport into use.
    fn take(
        &mut self,
        mut transport: Transport,
        context: &mut DriverContext<'_>,
    ) -> Result<(), String> {
        let explain = |error: io::Error| format!("cannot connect to {}: {error}", self.endpoint);
        transport.register(self.keys.connection, context).map_err(explain)?;
        self.transport = Some(transport);
        self.establish(context)
    }

    /// Begins to send when the connection is established.
    fn establish(&mut self, context: &mut DriverContext<'_>) -> Result<(), String> {
        let explain = |error: io::Error| format!("cannot connect to {}: {error}", self.endpoint);
        let Some(transport) = &mut self.transport else { return Ok(()) };
        if self.is_ready || !transport.establish().map_err(explain)? {
            return Ok(());
        }
        let now = context.now();
        self.is_ready = true;
        self.connect_deadline = None;
        self.problem = None;
        self.splitter.clear();
        self.outgoing.clear();
        self.written = 0;
        self.blocked_since = None;
        self.sequence = 0;
        self.probe = None;
        self.next_probe = None;
        self.is_sony = match (&self.endpoint, self.framing) {
            (_, Framing::Sony) => true,
            (Endpoint::Udp { peer, .. }, Framing::Auto) => peer.port == SONY_PORT,
            _ => false,
        };
        for camera in &mut self.cameras {
            camera.flow.connected(now);
            camera.last = [None; Source::ALL.len()];
        }
        match (&self.endpoint, self.framing) {
            (Endpoint::Serial { .. }, _) => self.assign_addresses(),
            (_, Framing::Sony) | (Endpoint::Udp { .. }, Framing::Auto) => {
                self.start_probe(0, now);
            }
            _ => {}
        }
        Ok(())
    }

    /// Gives the cameras of a serial line their addresses, and clears their sockets.
    fn assign_addresses(&mut self) {
        self.send_bytes(Message::new(8, &[0x30, 0x01]).bytes());
        self.send_bytes(Message::new(8, &[0x01, 0x00, 0x01]).bytes());
    }

    /// Asks with one framing: that of the beginning, then in turn.
    fn start_probe(&mut self, count: u32, now: Instant) {
        self.probe = Some(Probe { count, deadline: now + PROBE_TIMEOUT });
        if count > 0 && self.framing == Framing::Auto {
            self.is_sony = !self.is_sony;
        }
        self.send_probe(self.is_sony);
    }

    /// Sends what a camera with this framing answers.
    fn send_probe(&mut self, is_sony: bool) {
        if is_sony {
            self.send_reset();
        } else if let Some(camera) = self.cameras.first() {
            let message = Inquiry::Version.message(camera.flow.id());
            self.send_bytes(message.bytes());
        }
    }

    /// Looks for the framing of a camera again that does not answer: it may have been switched on
    /// later, or have been replaced by another one.
    fn probe_again(&mut self, now: Instant) {
        let is_silent = |camera: &Camera| camera.flow.presence().1 >= MISSING_COUNT;
        let is_wanted = self.is_ready
            && self.probe.is_none()
            && self.framing == Framing::Auto
            && matches!(self.endpoint, Endpoint::Udp { .. })
            && self.cameras.iter().all(is_silent);
        if !is_wanted {
            self.next_probe = None;
        } else if self.next_probe.is_none_or(|time| time <= now) {
            self.next_probe = Some(now + PROBE_INTERVAL);
            // In its present framing it is asked by the flow.
            self.send_probe(!self.is_sony);
        }
    }

    /// Sets the number in Sony's header to 0, on both sides.
    fn send_reset(&mut self) {
        self.sequence = 0;
        let mut bytes = Vec::new();
        encode_framed(payload::CONTROL, 0, &[0x01], &mut bytes);
        self.send_bytes(&bytes);
    }

    /// Writes bytes, or keeps them until the line accepts more. A datagram that the system does not
    /// accept is lost, like one that the network loses.
    fn send_bytes(&mut self, bytes: &[u8]) {
        let Some(transport) = &mut self.transport else { return };
        if transport.is_datagram() {
            // An error such as a refusal is reported by the next call that reads.
            if let Err(error) = transport.write(bytes) {
                tracing::debug!("cannot send to {}: {error}", self.endpoint);
            }
        } else if self.outgoing.len() + bytes.len() <= MAX_OUTGOING_BYTES {
            self.outgoing.extend(bytes);
        }
    }

    /// Sends everything that is due, sets the states, and reports a lost connection.
    pub(super) fn pump(&mut self, context: &mut DriverContext<'_>) {
        if let Err(reason) = self.try_pump(context) {
            self.fail(reason, context);
        }
        self.report(context);
    }

    fn try_pump(&mut self, context: &mut DriverContext<'_>) -> Result<(), String> {
        if !self.is_ready {
            return Ok(());
        }
        let now = context.now();
        self.flush(now)?;
        let only_stops = self.probe.is_some() || !self.outgoing.is_empty();
        let mut cameras = std::mem::take(&mut self.cameras);
        for camera in &mut cameras {
            let is_learning =
                self.detect.get() || context.for_instance(camera.instance).is_observed();
            camera.flow.poll_if_changed(camera.inquiries(is_learning), now);
            while let Some(outgoing) = camera.flow.next(now, only_stops, &mut self.sequence) {
                self.send(&outgoing);
            }
        }
        self.cameras = cameras;
        self.flush(now)
    }

    fn send(&mut self, outgoing: &Outgoing) {
        if !self.is_sony {
            return self.send_bytes(outgoing.message.bytes());
        }
        let kind = match outgoing.what {
            What::Inquiry(_) => payload::INQUIRY,
            _ => payload::COMMAND,
        };
        let mut bytes = Vec::with_capacity(24);
        encode_framed(kind, outgoing.sequence, outgoing.message.bytes(), &mut bytes);
        self.send_bytes(&bytes);
    }

    /// Writes what waits.
    fn flush(&mut self, now: Instant) -> Result<(), String> {
        let Some(transport) = &mut self.transport else { return Ok(()) };
        while self.written < self.outgoing.len() {
            match transport.write(&self.outgoing[self.written..]) {
                Ok(0) => return Err(format!("{} takes no bytes", self.endpoint)),
                Ok(count) => {
                    self.written += count;
                    self.blocked_since = None;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let since = *self.blocked_since.get_or_insert(now);
                    return match now >= since + BLOCKED_TIMEOUT {
                        true => Err(format!("{} does not take what is sent", self.endpoint)),
                        false => Ok(()),
                    };
                }
                Err(error) => {
                    return Err(format!("lost the connection to {}: {error}", self.endpoint));
                }
            }
        }
        self.outgoing.clear();
        self.written = 0;
        self.blocked_since = None;
        Ok(())
    }

    pub(super) fn ready(
        &mut self,
        key: u32,
        readiness: Readiness,
        context: &mut DriverContext<'_>,
    ) {
        let result = match key == self.keys.opening {
            true => self.opened(context),
            false => self.establish(context).and_then(|()| match self.is_ready {
                true if readiness.readable => self.read(context),
                _ => Ok(()),
            }),
        };
        if let Err(reason) = result {
            self.fail(reason, context);
        }
        self.pump(context);
    }

    /// Takes the result of a look-up or of opening a serial line.
    fn opened(&mut self, context: &mut DriverContext<'_>) -> Result<(), String> {
        if let Some(job) = &mut self.opening {
            let Some(result) = job.finish(context) else { return Ok(()) };
            self.opening = None;
            return self.take(Transport::Serial(Some(result?)), context);
        }
        if let Some(lookup) = &mut self.lookup {
            lookup.finish(context)?;
            return self.try_connect(context);
        }
        Ok(())
    }

    fn read(&mut self, context: &mut DriverContext<'_>) -> Result<(), String> {
        let mut budget = context.budget();
        let mut buffer = [0; 1_024];
        loop {
            let Some(transport) = &mut self.transport else { return Ok(()) };
            let is_datagram = transport.is_datagram();
            let count = match transport.read(&mut buffer) {
                Ok(0) if is_datagram => continue,
                Ok(0) => return Err(format!("{} closed the connection", self.endpoint)),
                Ok(count) => count,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(()),
                    io::ErrorKind::Interrupted => continue,
                    io::ErrorKind::ConnectionRefused => {
                        return Err(format!("{} refuses messages", self.endpoint));
                    }
                    _ => {
                        return Err(format!("lost the connection to {}: {error}", self.endpoint));
                    }
                },
            };
            let bytes = &buffer[..count];
            let messages = if is_datagram {
                self.datagram(bytes, context)
            } else {
                self.stream(bytes, context)
            };
            budget = budget.saturating_sub(messages.max(1));
            if budget == 0 {
                context.call_again(self.keys.connection);
                return Ok(());
            }
        }
    }

    /// Takes a datagram. Returns how many messages it has.
    fn datagram(&mut self, bytes: &[u8], context: &mut DriverContext<'_>) -> usize {
        if let Ok(Some((framed, length))) = decode_framed(bytes)
            && length == bytes.len()
        {
            self.settle(true);
            self.framed(framed, context);
            return 1;
        }
        self.splitter.clear();
        let count = self.raw(bytes, context);
        self.splitter.clear();
        count
    }

    fn stream(&mut self, bytes: &[u8], context: &mut DriverContext<'_>) -> usize {
        if !self.is_sony {
            return self.raw(bytes, context);
        }
        let mut splitter = std::mem::take(&mut self.splitter);
        let mut count = 0;
        splitter.push_framed(bytes, |found| {
            count += 1;
            match found {
                Found::Framed(framed) => self.framed(framed, context),
                _ => self.invalid(context),
            }
        });
        self.splitter = splitter;
        count
    }

    fn raw(&mut self, bytes: &[u8], context: &mut DriverContext<'_>) -> usize {
        let mut splitter = std::mem::take(&mut self.splitter);
        let mut count = 0;
        splitter.push_raw(bytes, |found| {
            count += 1;
            match found {
                Found::Raw(message) => self.message(message, None, context),
                _ => self.invalid(context),
            }
        });
        self.splitter = splitter;
        count
    }

    /// The camera uses this framing.
    fn settle(&mut self, is_sony: bool) {
        self.backoff.reset();
        if self.framing == Framing::Auto && matches!(self.endpoint, Endpoint::Udp { .. }) {
            if self.probe.is_some() || self.is_sony != is_sony {
                let framing = if is_sony { "sony" } else { "raw" };
                tracing::info!("the camera at {} uses `framing = {framing}`", self.endpoint);
            }
            self.is_sony = is_sony;
        }
        self.probe = None;
        self.next_probe = None;
    }

    fn framed(&mut self, framed: Framed<'_>, context: &mut DriverContext<'_>) {
        match (framed.kind, framed.payload) {
            (payload::REPLY, message) => self.message(message, Some(framed.sequence), context),
            (payload::CONTROL_REPLY, [0x0F, 0x01]) => {
                // The camera expects another number: both sides begin again.
                let now = context.now();
                if self.reset.is_none_or(|time| now >= time + RESET_INTERVAL) {
                    self.reset = Some(now);
                    for camera in &mut self.cameras {
                        let lost = camera.flow.lost();
                        camera.flow.connected(now);
                        context.for_instance(camera.instance).count_dropped(lost);
                    }
                    self.send_reset();
                }
            }
            (payload::CONTROL_REPLY, [0x0F, ..]) => self.invalid(context),
            (payload::CONTROL_REPLY, _) => {}
            _ => self.invalid(context),
        }
    }

    /// Counts input that is not a message of a camera.
    fn invalid(&mut self, context: &mut DriverContext<'_>) {
        let Some(camera) = self.cameras.first_mut() else { return };
        let mut context = context.for_instance(camera.instance);
        context.count_errors(1);
        if camera.invalid.is_first() {
            tracing::warn!(
                instance = context.name(),
                "{} has sent bytes that are not VISCA; further ones are only counted",
                self.endpoint
            );
        }
    }

    fn message(&mut self, bytes: &[u8], sequence: Option<u32>, context: &mut DriverContext<'_>) {
        let Some((id, reply)) = Reply::decode(bytes) else { return self.invalid(context) };
        if sequence.is_none() {
            self.settle(false);
        }
        if let Reply::NetworkChanged = reply
            && matches!(self.endpoint, Endpoint::Serial { .. })
        {
            self.assign_addresses();
        }
        // A camera on a network answers as number 1, whatever number it is addressed with. While
        // an instance restarts, the newer one of its number is meant.
        let index = match self.cameras.iter().rposition(|camera| camera.flow.id() == id) {
            Some(index) => index,
            None if self.cameras.len() == 1 && id != 8 => 0,
            None => return,
        };
        let camera = &mut self.cameras[index];
        let outcome = camera.flow.reply(reply, sequence, context.now());
        let mut context = context.for_instance(camera.instance);
        context.count_input(1);
        match outcome {
            Outcome::Nothing => {}
            Outcome::Refused(what, why) => {
                context.count_errors(1);
                if camera.refused.is_first() {
                    let what = match what {
                        What::Command(key) | What::Stop(key) => format!("`{}`", key.name()),
                        What::Inquiry(inquiry) => format!("the inquiry {inquiry:?}"),
                        What::Cancel(_) => "a cancellation".into(),
                    };
                    tracing::warn!(
                        instance = context.name(),
                        "the camera refuses {what}: {} ({why:02x}); further refusals are only \
                         counted",
                        reason::text(why)
                    );
                }
            }
            Outcome::Answer(asked, numbers) => {
                let sender = match self.lookup.as_ref().and_then(Lookup::address) {
                    Some(address) => Sender::Address(address),
                    None => Sender::Unknown,
                };
                for (source, number) in answered(asked, numbers) {
                    let last = &mut camera.last[source as usize];
                    if last.replace(number) == Some(number) {
                        continue;
                    }
                    let value = source.scale(number, &camera.flow.settings);
                    if self.detect.get() {
                        log_value(source.name(), value, &mut context);
                    }
                    match camera.sources[source as usize] {
                        Some(channel) => context.emit(channel, value),
                        None => {
                            let raw = RawValue::Integer(number.into());
                            let input = Unmatched { types: "i", raw, value: Some(value), sender };
                            context.unmatched(input, |channel| channel.push_str(source.name()));
                        }
                    }
                }
            }
        }
    }

    /// Takes values for a camera.
    pub(super) fn deliver(
        &mut self,
        instance: InstanceId,
        events: &[Event],
        context: &mut DriverContext<'_>,
    ) {
        let Some(camera) = self.cameras.iter_mut().find(|camera| camera.instance == instance)
        else {
            return;
        };
        let mut dropped = 0;
        for event in events {
            let channel = camera.channels[event.channel as usize];
            dropped += u64::from(camera.flow.set(channel, event.value));
        }
        if !self.is_ready {
            dropped += camera.flow.drop_triggers();
        }
        if dropped > 0 {
            context.for_instance(instance).count_dropped(dropped);
        }
        self.pump(context);
    }

    pub(super) fn timer(&mut self, context: &mut DriverContext<'_>) {
        let now = context.now();
        let is_due = |time: Option<Instant>| time.is_some_and(|time| time <= now);
        if is_due(self.retry) {
            self.connect(context);
        }
        if is_due(self.connect_deadline) && !self.is_ready {
            self.fail(format!("cannot connect to {}: no answer", self.endpoint), context);
        }
        if let Some(probe) = self.probe
            && probe.deadline <= now
        {
            let framings = if self.framing == Framing::Auto { 2 } else { 1 };
            if probe.count + 1 < PROBES * framings {
                self.start_probe(probe.count + 1, now);
            } else {
                // Nothing answers: the more probable framing, without waiting for answers.
                self.probe = None;
                if self.framing == Framing::Auto {
                    self.is_sony = !self.is_sony;
                }
            }
        }
        // What has arrived meanwhile counts, also if this turn is late.
        if self.is_ready
            && let Err(reason) = self.read(context)
        {
            self.fail(reason, context);
        }
        for camera in &mut self.cameras {
            camera.flow.expire(now);
        }
        self.probe_again(now);
        self.pump(context);
    }

    /// When [`timer`](Self::timer) is to be called next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let blocked = self.blocked_since.map(|since| since + BLOCKED_TIMEOUT);
        let connect = self.connect_deadline.filter(|_| !self.is_ready);
        let probe = self.probe.map(|probe| probe.deadline).or(self.next_probe);
        let own = [self.retry, connect, probe, blocked];
        let is_ready = self.is_ready;
        let flows = self.cameras.iter().filter(|_| is_ready);
        own.into_iter().flatten().chain(flows.filter_map(|camera| camera.flow.deadline())).min()
    }

    /// Closes the connection and tries again later.
    fn fail(&mut self, reason: String, context: &mut DriverContext<'_>) {
        if let Some(mut transport) = self.transport.take()
            && let Err(error) = transport.deregister(context)
        {
            tracing::debug!("cannot deregister the connection to {}: {error}", self.endpoint);
        }
        self.is_ready = false;
        self.connect_deadline = None;
        self.probe = None;
        self.next_probe = None;
        self.outgoing.clear();
        self.written = 0;
        self.blocked_since = None;
        if let Some(lookup) = &mut self.lookup {
            lookup.forget();
        }
        for camera in &mut self.cameras {
            let lost = camera.flow.lost();
            let mut context = context.for_instance(camera.instance);
            context.count_errors(1);
            context.count_dropped(lost);
        }
        self.problem = Some(reason);
        self.retry = (!context.is_stopping()).then(|| context.now() + self.backoff.next_delay());
    }

    /// Sets the states of the instances.
    fn report(&mut self, context: &mut DriverContext<'_>) {
        for camera in &mut self.cameras {
            let (has_answered, unanswered) = camera.flow.presence();
            let reported = match &self.problem {
                Some(problem) => match &camera.reported {
                    // The values of a waiting instance arrive more often than its state changes.
                    Some(Reported::Waiting(reported)) if reported == problem => continue,
                    _ => Reported::Waiting(problem.clone()),
                },
                None if !self.is_ready => continue,
                None if unanswered >= MISSING_COUNT => Reported::Missing,
                None if has_answered || matches!(self.endpoint, Endpoint::Tcp(_)) => Reported::Up,
                None => continue,
            };
            if camera.reported.as_ref() == Some(&reported) {
                continue;
            }
            let state = match &reported {
                Reported::Waiting(problem) => State::Waiting(problem.clone()),
                Reported::Missing => State::Degraded(format!(
                    "camera {} at {} does not answer; check that it is switched on, and the \
                     options `id` and `framing`; commands are sent all the same",
                    camera.flow.id(),
                    self.endpoint
                )),
                Reported::Up => State::Up,
            };
            context.for_instance(camera.instance).set_state(state);
            camera.reported = Some(reported);
        }
    }

    /// Changes the options and channels of a camera.
    pub(super) fn adopt(
        &mut self,
        instance: InstanceId,
        settings: Settings,
        channels: Vec<Channel>,
        sources: [Option<u32>; Source::ALL.len()],
        context: &mut DriverContext<'_>,
    ) {
        let Some(camera) = self.cameras.iter_mut().find(|camera| camera.instance == instance)
        else {
            return;
        };
        for (last, (old, new)) in camera.last.iter_mut().zip(camera.sources.iter().zip(&sources)) {
            if old.is_none() && new.is_some() {
                *last = None;
            }
        }
        // What a removed channel holds is released.
        for channel in &camera.channels {
            if !channels.contains(channel) {
                camera.flow.release(*channel);
            }
        }
        camera.flow.settings = settings;
        camera.channels = channels;
        camera.sources = sources;
        self.pump(context);
    }
}
