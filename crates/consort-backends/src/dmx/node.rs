//! All universes and interfaces of a backend, which its instances share because they share sockets.

use std::collections::{HashMap, HashSet};
use std::net::{SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use consort_router::{Context, Event, InstanceId, State, WarnOnce};

use super::interface::Interface;
use super::merge::{Acceptance, Merger, Policy, SourceId};
use super::output::Output;
use super::slots::{Slots, name};
use super::{Incoming, Protocol};
use crate::net::{HostPort, Lookup};

/// The most sources of universes that `detect` remembers.
const MAX_DETECTED_SOURCES: usize = 4_096;

/// The most polls that are answered per second. A reply is larger than a poll, so that an unlimited
/// node could be abused to flood others.
const MAX_POLLS_PER_SECOND: u32 = 20;

/// The least time between two log lines about the number of sources of a universe.
const SOURCE_COUNT_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The mark of datagrams that do not belong to a universe.
pub(crate) const NO_UNIVERSE: u32 = u32::MAX;

/// What to log about incoming packets: the option `detect`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Detect {
    #[default]
    Off,
    /// Each new source of each universe.
    Sources,
    /// Every packet.
    Packets,
}

impl Detect {
    /// The choices of the option.
    pub(crate) const WORDS: &'static [&'static str] =
        &["on", "off", "verbose", "true", "false", "yes", "no", "1", "0"];

    pub(crate) fn read(text: Option<&str>) -> Self {
        match text {
            Some(word) if word.eq_ignore_ascii_case("verbose") => Detect::Packets,
            Some(word) if consort_router::options::parse_flag(word) == Some(true) => {
                Detect::Sources
            }
            _ => Detect::Off,
        }
    }
}

/// The options of an instance.
pub(crate) struct UniverseConfig {
    /// The instance's name.
    pub(crate) name: String,
    pub(crate) number: u16,
    pub(crate) interface: usize,
    pub(crate) policy: Policy,
    /// If set, only frames of this source are accepted.
    pub(crate) from: Option<SourceId>,
    /// Whether preview frames are accepted.
    pub(crate) accepts_preview: bool,
    /// Whether the universe's group is joined, if the protocol has groups.
    pub(crate) joins_group: bool,
    /// Whether the universe is sent.
    pub(crate) is_output: bool,
    /// Where it is sent, if not to the group.
    pub(crate) destination: Option<HostPort>,
    pub(crate) is_realtime: bool,
    pub(crate) priority: u8,
    pub(crate) is_preview: bool,
}

/// The universe of one instance.
pub(crate) struct Universe {
    pub(crate) config: UniverseConfig,
    pub(crate) slots: Slots,
    id: InstanceId,
    merger: Merger,
    /// The frame that was emitted last.
    emitted: Vec<u8>,
    output: Option<Output>,
    destination: Option<Lookup>,
    group: Option<SocketAddr>,
    /// Why the last frame could not be sent.
    problem: Option<String>,
    /// Errors that occurred during calls of other instances and are not counted yet.
    errors: u64,
    /// When the number of sources was logged last.
    source_count_logged: Option<Instant>,
}

impl Universe {
    /// The address to send to, if it is known.
    fn target(&self) -> Option<SocketAddr> {
        match &self.destination {
            Some(lookup) => lookup.address(),
            None => self.group,
        }
    }

    /// Whether the universe has been received.
    pub(crate) fn has_input(&self) -> bool {
        self.merger.source_count() > 0
    }

    /// Whether more than one source sends the universe.
    pub(crate) fn is_merging(&self) -> bool {
        self.merger.source_count() > 1
    }

    /// Whether the universe has been sent.
    pub(crate) fn has_output(&self) -> bool {
        self.output.as_ref().is_some_and(Output::has_sent)
    }

    /// Emits the values that differ from the last emitted frame; returns how many there were.
    fn emit(&mut self, context: &mut Context<'_>) -> usize {
        let new = self.merger.merged();
        let old = (!self.emitted.is_empty()).then_some(&self.emitted[..]);
        if old == Some(new) {
            return 0;
        }
        let (id, mut count) = (self.id, 0);
        self.slots.changes(old, new, |channel, value| match channel {
            Ok(channel) => {
                count += 1;
                context.emit_for(id, channel, value);
            }
            Err(slots) => context.unmapped(value, || name(slots)),
        });
        self.emitted.clear();
        self.emitted.extend_from_slice(new);
        count
    }
}

/// The state that all instances of a backend share.
pub(crate) struct Node<P> {
    pub(crate) protocol: P,
    pub(crate) detect: Detect,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) universes: Vec<Universe>,
    /// The universes with each number on each interface, as indices.
    by_number: HashMap<(usize, u16), Vec<u32>>,
    /// The sources that `detect` has logged.
    detected: HashSet<(u16, SourceId)>,
    invalid_packets: WarnOnce,
    /// The start of the current second of polls, and how many were answered in it.
    polls: (Option<Instant>, u32),
    /// Polls that are not answered yet: the peer and the range of universes.
    pending_polls: Vec<(SocketAddr, (u16, u16))>,
}

/// The keys with which sockets and look-ups are registered with the router.
pub(crate) mod key {
    pub(crate) const SOCKET: u32 = 0;
    pub(crate) const BIND: u32 = 1 << 24;
    pub(crate) const DESTINATION: u32 = 2 << 24;

    /// The key of an interface's first socket; its other sockets have the following keys.
    pub(crate) fn socket(interface: usize) -> u32 {
        SOCKET | (interface as u32) << 12
    }
}

/// The most interfaces of a backend: the keys have 12 bits for them.
pub(crate) const MAX_INTERFACES: usize = 4_096;

impl<P: Protocol> Node<P> {
    pub(crate) fn new(protocol: P) -> Self {
        Node {
            protocol,
            detect: Detect::Off,
            interfaces: Vec::new(),
            universes: Vec::new(),
            by_number: HashMap::new(),
            detected: HashSet::new(),
            invalid_packets: WarnOnce::default(),
            polls: (None, 0),
            pending_polls: Vec::new(),
        }
    }

    /// Adds an instance; returns the index of its universe.
    pub(crate) fn add(&mut self, config: UniverseConfig) -> usize {
        let index = self.universes.len();
        let group = self.protocol.group(config.number);
        let interface = &mut self.interfaces[config.interface];
        if let Some(group) = group
            && config.joins_group
            && !interface.groups.contains(&group)
        {
            interface.groups.push(group);
        }
        let port = interface.port();
        let local = interface.bind.target();
        let destination = config.destination.clone();
        let destination = destination.map(|target| Lookup::new(target).reached_from(Some(local)));
        self.by_number.entry((config.interface, config.number)).or_default().push(index as u32);
        self.universes.push(Universe {
            slots: Slots::default(),
            id: InstanceId(0),
            merger: Merger::new(config.policy, P::SOURCE_TIMEOUT),
            emitted: Vec::new(),
            output: config.is_output.then(|| Output::new(config.is_realtime, P::REPEATS)),
            destination,
            group: group.map(|group| SocketAddrV4::new(group, port).into()),
            problem: None,
            errors: 0,
            source_count_logged: None,
            config,
        });
        index
    }

    /// Starts an instance.
    pub(crate) fn start(&mut self, index: usize, context: &mut Context<'_>) {
        self.universes[index].id = context.instance();
        self.service(index, context);
    }

    /// Handles the end of the look-up of an interface's name or of an instance's destination.
    pub(crate) fn finish_lookup(&mut self, index: usize, key: u32, context: &mut Context<'_>) {
        if key & key::DESTINATION != 0 {
            let universe = &mut self.universes[index];
            if let Some(lookup) = &mut universe.destination
                && let Err(reason) = lookup.finish(context)
            {
                context.count_errors(1);
                universe.problem = Some(reason);
            }
        } else {
            let interface = &mut self.interfaces[(key & 0xFFF) as usize];
            if let Err(reason) = interface.bind.finish(context) {
                interface.fail(reason, context);
            }
        }
        self.service(index, context);
    }

    /// Does everything that is due for an instance, and schedules the next call.
    pub(crate) fn service(&mut self, index: usize, context: &mut Context<'_>) {
        let now = context.now();
        let number = self.universes[index].config.interface;
        let interface = &mut self.interfaces[number];
        interface.open(key::socket(number), key::BIND | number as u32, context);
        if interface.next_check.is_some_and(|time| time <= now) {
            interface.check(context);
        }
        let universe = &mut self.universes[index];
        let mut next: Option<Instant> = None;
        let mut schedule = |time: Option<Instant>| next = next.into_iter().chain(time).min();
        if let Some(lookup) = &mut universe.destination
            && lookup.address().is_none()
        {
            let target = lookup.target().to_string();
            match lookup.start(key::DESTINATION, context) {
                // The end of the look-up calls this function again; the timer does so if the
                // look-up fails.
                Ok(()) => {
                    universe.problem.get_or_insert_with(|| format!("looking up {target}"));
                    schedule(Some(now + Duration::from_secs(2)));
                }
                Err(reason) => universe.problem = Some(reason),
            }
        }
        if universe.merger.expire(now) {
            universe.emit(context);
        }
        self.announce(number, now);
        self.flush(number, now, context);
        self.update_state(index, context);

        let interface = &self.interfaces[number];
        let universe = &self.universes[index];
        schedule(universe.merger.deadline());
        schedule(interface.next_check);
        if !interface.is_open() {
            // The first instance whose timer fires tries to open the interface; the others check
            // whether that worked.
            schedule(Some(interface.retry_at.unwrap_or(now + Duration::from_millis(250))));
        } else if universe.target().is_some()
            && let Some(output) = &universe.output
        {
            schedule(output.due_time(now));
            schedule(
                P::ANNOUNCE_INTERVAL.and_then(|interval| Some(interface.announced? + interval)),
            );
        }
        context.wake_at(next);
    }

    /// Handles the readiness of a socket.
    pub(crate) fn ready(
        &mut self,
        key: u32,
        is_readable: bool,
        is_writable: bool,
        context: &mut Context<'_>,
    ) {
        let (number, socket) = ((key >> 12) as usize & 0xFFF, key as usize & 0xFFF);
        let now = context.now();
        if is_readable {
            self.read(number, socket, key, context);
        }
        if !self.pending_polls.is_empty() {
            self.answer_polls(number, now);
        }
        if is_writable || !self.interfaces[number].outgoing.is_empty() {
            self.flush(number, now, context);
        }
    }

    /// Reads datagrams until the socket is empty or the budget of the turn is spent.
    fn read(&mut self, number: usize, socket: usize, key: u32, context: &mut Context<'_>) {
        let mut remaining = context.budget();
        loop {
            let Node {
                protocol,
                detect,
                interfaces,
                universes,
                by_number,
                detected,
                invalid_packets,
                pending_polls,
                ..
            } = self;
            let Some(socket) = interfaces[number].socket(socket) else { return };
            let received = socket.receive(|bytes, peer| {
                let Some(from) = peer.address() else { return };
                let incoming = match protocol.decode(bytes, from) {
                    Ok(incoming) => incoming,
                    Err(reason) => {
                        context.count_errors(1);
                        if invalid_packets.is_first() {
                            tracing::warn!(
                                instance = context.name(),
                                "invalid packet of {} bytes from {from}: {reason}; further ones are \
                                 only counted",
                                bytes.len()
                            );
                        }
                        return;
                    }
                };
                match incoming {
                    Incoming::Frame { universe, frame, is_preview } => {
                        let indices = by_number.get(&(number, universe));
                        if *detect != Detect::Off {
                            report(*detect, detected, universe, &frame, from, indices.is_some());
                        }
                        for &index in indices.into_iter().flatten() {
                            let universe = &mut universes[index as usize];
                            let count = accept(universe, &frame, is_preview, context);
                            remaining = remaining.saturating_sub(count.max(1));
                        }
                    }
                    Incoming::Terminated { universe, source } => {
                        for &index in by_number.get(&(number, universe)).into_iter().flatten() {
                            let universe = &mut universes[index as usize];
                            universe.merger.remove(source);
                            universe.emit(context);
                        }
                    }
                    Incoming::Poll { first, last } => {
                        if pending_polls.len() < MAX_POLLS_PER_SECOND as usize {
                            pending_polls.push((from, (first, last)));
                        }
                    }
                    Incoming::Other => {}
                }
            });
            match received {
                Ok(received) if !received.more => return,
                Ok(_) if remaining == 0 => return context.call_again(key),
                Ok(_) => {}
                Err(error) => {
                    context.count_errors(1);
                    tracing::debug!(instance = context.name(), "cannot receive: {error}");
                    return context.call_again(key);
                }
            }
        }
    }

    /// Answers the pending polls, up to the limit per second.
    fn answer_polls(&mut self, number: usize, now: Instant) {
        let (since, count) = &mut self.polls;
        if since.is_none_or(|since| now - since >= Duration::from_secs(1)) {
            (*since, *count) = (Some(now), 0);
        }
        for (peer, range) in self.pending_polls.drain(..) {
            if *count >= MAX_POLLS_PER_SECOND {
                continue;
            }
            *count += 1;
            let mut outgoing = std::mem::take(&mut self.interfaces[number].outgoing);
            let interface = &self.interfaces[number];
            self.protocol.reply_to_poll(
                &self.universes,
                interface,
                number,
                range,
                peer,
                &mut outgoing,
            );
            self.interfaces[number].outgoing = outgoing;
        }
    }

    /// Announces the universes that are sent, if that is due.
    fn announce(&mut self, number: usize, now: Instant) {
        let Some(interval) = P::ANNOUNCE_INTERVAL else { return };
        let interface = &mut self.interfaces[number];
        if !interface.is_open() || interface.announced.is_some_and(|time| now - time < interval) {
            return;
        }
        interface.announced = Some(now);
        let mut numbers: Vec<u16> = self
            .universes
            .iter()
            .filter(|universe| universe.config.interface == number && universe.output.is_some())
            .map(|universe| universe.config.number)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        if !numbers.is_empty() {
            let port = interface.port();
            self.protocol.announce(&numbers, port, &mut interface.outgoing);
        }
    }

    /// Writes values into the outgoing frame of an instance.
    pub(crate) fn deliver(&mut self, index: usize, events: &[Event], context: &mut Context<'_>) {
        let now = context.now();
        let universe = &mut self.universes[index];
        let Some(output) = &mut universe.output else {
            return context.count_dropped(events.len() as u64);
        };
        if output.is_realtime() {
            for event in events {
                let universe = &self.universes[index];
                let replaces = |output: &Output| output.replaces(event, &universe.slots);
                if universe.output.as_ref().is_some_and(replaces) {
                    self.push(index, now);
                }
                let universe = &mut self.universes[index];
                if let Some(output) = &mut universe.output {
                    output.set(event, &universe.slots);
                }
            }
            self.flush(self.universes[index].config.interface, now, context);
        } else {
            let mut replaced = 0;
            for event in events {
                replaced += u64::from(output.replaces(event, &universe.slots));
                output.set(event, &universe.slots);
            }
            if replaced > 0 {
                context.count_dropped(replaced);
            }
        }
        // Frames are sent at the end of the turn, so that values that arrive together are sent
        // together.
        let universe = &self.universes[index];
        let can_send =
            universe.target().is_some() && self.interfaces[universe.config.interface].is_open();
        if can_send
            && let Some(due) = universe.output.as_ref().and_then(|output| output.due_time(now))
            && context.wake_time().is_none_or(|time| time > due)
        {
            context.wake_at(Some(due));
        }
    }

    /// Queues the frame of a universe.
    fn push(&mut self, index: usize, now: Instant) {
        let universe = &mut self.universes[index];
        let Some(target) = universe.target() else { return };
        let interface = &mut self.interfaces[universe.config.interface];
        let Some(output) = &mut universe.output else { return };
        let (data, sequence) = output.next_frame(now, P::SKIPS_SEQUENCE_ZERO);
        let (protocol, config) = (&self.protocol, &universe.config);
        let pushed = interface.outgoing.push_marked(target, index as u32, |bytes| {
            protocol.encode_frame(config, sequence, data, bytes);
        });
        if !pushed {
            universe.errors += 1;
        }
    }

    /// Sends all frames of an interface that are due.
    fn flush(&mut self, number: usize, now: Instant, context: &mut Context<'_>) {
        if !self.interfaces[number].is_open() {
            return;
        }
        let is_due = |universe: &Universe, with_others: bool| {
            universe.config.interface == number
                && universe.output.as_ref().is_some_and(|output| output.is_due(now, with_others))
                && universe.target().is_some()
        };
        if self.universes.iter().any(|universe| is_due(universe, false)) {
            for index in 0..self.universes.len() {
                if is_due(&self.universes[index], true) {
                    // Set again below if the frame cannot be sent.
                    self.universes[index].problem = None;
                    self.push(index, now);
                }
            }
        }
        let universes = &mut self.universes;
        self.interfaces[number].flush(key::socket(number), context, |mark, error| {
            if mark != NO_UNIVERSE
                && let Some(universe) = universes.get_mut(mark as usize)
            {
                universe.errors += 1;
                universe.problem = Some(format!("cannot send: {error}"));
            }
        });
    }

    /// Counts pending errors and sets the state of an instance.
    fn update_state(&mut self, index: usize, context: &mut Context<'_>) {
        let universe = &mut self.universes[index];
        if universe.errors > 0 {
            context.count_errors(std::mem::take(&mut universe.errors));
        }
        let interface = &self.interfaces[universe.config.interface];
        let problem = interface.problem.as_ref().or(universe.problem.as_ref());
        match problem {
            Some(reason) => context.set_state(State::Waiting(reason.clone())),
            None if interface.is_open() => context.set_state(State::Up),
            None => {}
        }
    }

    /// Stops an instance: sends the last values and terminates the universe.
    pub(crate) fn stop(&mut self, index: usize, context: &mut Context<'_>) {
        let now = context.now();
        let number = self.universes[index].config.interface;
        if !self.interfaces[number].is_open() {
            return;
        }
        let is_in_use = |output: &Output| output.has_sent() || output.due_time(now).is_some();
        if self.universes[index].output.as_ref().is_some_and(is_in_use) {
            // The last values are sent whatever the rate.
            self.push(index, now);
            let universe = &mut self.universes[index];
            if let (Some(target), Some(output)) = (universe.target(), &mut universe.output) {
                for _ in 0..P::TERMINATION_PACKETS {
                    let (data, sequence) = output.next_frame(now, P::SKIPS_SEQUENCE_ZERO);
                    let (protocol, config) = (&self.protocol, &universe.config);
                    self.interfaces[number].outgoing.push_marked(target, index as u32, |bytes| {
                        protocol.encode_termination(config, sequence, data, bytes);
                    });
                }
            }
        }
        self.interfaces[number].flush(key::socket(number), context, |_, _| {});
        context.wake_at(None);
    }
}

/// Merges a frame into a universe and emits what has changed; returns how many values that were.
fn accept(
    universe: &mut Universe,
    frame: &super::Frame<'_>,
    is_preview: bool,
    context: &mut Context<'_>,
) -> usize {
    if universe.config.from.is_some_and(|from| from != frame.source)
        || (is_preview && !universe.config.accepts_preview)
    {
        return 0;
    }
    let (before, now) = (universe.merger.source_count(), context.now());
    match universe.merger.accept(frame, now) {
        Acceptance::Accepted => {
            let count = universe.merger.source_count();
            // A source that appears and disappears with every packet must not fill the log.
            let is_old = |time| now.saturating_duration_since(time) >= SOURCE_COUNT_LOG_INTERVAL;
            if count > 1 && count != before && universe.source_count_logged.is_none_or(is_old) {
                universe.source_count_logged = Some(now);
                tracing::info!(
                    instance = universe.config.name,
                    "{count} sources send this universe"
                );
            }
            universe.emit(context)
        }
        Acceptance::OutOfOrder | Acceptance::TooManySources => {
            universe.errors += 1;
            0
        }
    }
}

/// Logs a frame or a new source.
fn report(
    detect: Detect,
    detected: &mut HashSet<(u16, SourceId)>,
    universe: u16,
    frame: &super::Frame<'_>,
    from: SocketAddr,
    has_instance: bool,
) {
    let is_new = detected.len() < MAX_DETECTED_SOURCES && detected.insert((universe, frame.source));
    if is_new || detect == Detect::Packets {
        let usage = if has_instance { "used by an instance" } else { "not used" };
        tracing::info!(
            "detected universe {universe} ({usage}) from {from}, priority {}, {} slots",
            frame.priority,
            frame.data.len()
        );
    }
}
