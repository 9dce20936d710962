//! All universes and interfaces of a backend: instances share sockets, so they share this.

use std::collections::{HashMap, HashSet};
use std::net::{SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use consort_router::{Context, Event, InstanceId, State};

use super::interface::Interface;
use super::merge::{Merger, Policy, SourceId, Taken};
use super::output::Output;
use super::slots::{Slots, name};
use super::{Incoming, Protocol};
use crate::net::{HostPort, Lookup};

/// How many sources of universes that no instance has are remembered for `detect`.
const DETECT_LIMIT: usize = 4_096;

/// How many polls are answered in a second; an answer is larger than its question.
const POLLS_PER_SECOND: u32 = 20;

/// How often it is logged how many sources a universe has.
const SOURCES_LOGGED_EVERY: Duration = Duration::from_secs(10);

/// The mark of datagrams that belong to no universe.
const NO_UNIVERSE: u32 = u32::MAX;

/// What to log about what comes in.
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
    /// For the tables of options.
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

/// What the options of an instance say.
pub(crate) struct UniverseConfig {
    /// The instance's name.
    pub(crate) name: String,
    pub(crate) number: u16,
    pub(crate) interface: usize,
    pub(crate) policy: Policy,
    /// Only frames of this source are taken.
    pub(crate) from: Option<SourceId>,
    pub(crate) takes_preview: bool,
    /// Whether the universe's group is joined, where the protocol has groups.
    pub(crate) joins_group: bool,
    /// Whether anything is sent, and where to if not to the group.
    pub(crate) is_output: bool,
    pub(crate) destination: Option<HostPort>,
    pub(crate) is_realtime: bool,
    pub(crate) priority: u8,
    pub(crate) is_preview: bool,
}

/// One instance's universe.
pub(crate) struct Universe {
    pub(crate) config: UniverseConfig,
    pub(crate) slots: Slots,
    id: InstanceId,
    merger: Merger,
    /// What was emitted last.
    emitted: Vec<u8>,
    output: Option<Output>,
    destination: Option<Lookup>,
    group: Option<SocketAddr>,
    /// Why the last frame could not be sent.
    trouble: Option<String>,
    /// Errors that other instances met on this one's behalf.
    errors: u64,
    /// When it was last logged how many sources there are.
    sources_logged: Option<Instant>,
}

impl Universe {
    fn target(&self) -> Option<SocketAddr> {
        match &self.destination {
            Some(lookup) => lookup.address(),
            None => self.group,
        }
    }

    /// Whether anything came in so far.
    pub(crate) fn has_input(&self) -> bool {
        self.merger.source_count() > 0
    }

    pub(crate) fn is_merging(&self) -> bool {
        self.merger.source_count() > 1
    }

    /// Whether anything was sent so far.
    pub(crate) fn has_output(&self) -> bool {
        self.output.as_ref().is_some_and(Output::has_sent)
    }

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
            Err(place) => context.unmapped(value, || name(place)),
        });
        self.emitted.clear();
        self.emitted.extend_from_slice(new);
        count
    }
}

/// What all instances of a backend share.
pub(crate) struct Node<P> {
    pub(crate) protocol: P,
    pub(crate) detect: Detect,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) universes: Vec<Universe>,
    /// The instances of each universe on each interface.
    by_number: HashMap<(usize, u16), Vec<u32>>,
    detected: HashSet<(u16, SourceId)>,
    complained: bool,
    polls: (Option<Instant>, u32),
    waiting_polls: Vec<(SocketAddr, (u16, u16))>,
}

/// Keys of sources that the router watches.
pub(crate) mod key {
    pub(crate) const SOCKET: u32 = 0;
    pub(crate) const BIND: u32 = 1 << 24;
    pub(crate) const DESTINATION: u32 = 2 << 24;

    /// Of an interface's first socket; those that follow have the keys that follow.
    pub(crate) fn socket(interface: usize) -> u32 {
        SOCKET | (interface as u32) << 12
    }
}

/// How many interfaces there may be: what the keys have room for.
pub(crate) const INTERFACE_LIMIT: usize = 4_096;

impl<P: Protocol> Node<P> {
    pub(crate) fn new(protocol: P) -> Self {
        Node {
            protocol,
            detect: Detect::Off,
            interfaces: Vec::new(),
            universes: Vec::new(),
            by_number: HashMap::new(),
            detected: HashSet::new(),
            complained: false,
            polls: (None, 0),
            waiting_polls: Vec::new(),
        }
    }

    /// Adds an instance; returns its place.
    pub(crate) fn add(&mut self, config: UniverseConfig) -> usize {
        let place = self.universes.len();
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
        let destination = destination.map(|it| Lookup::new(it).reached_from(Some(local)));
        self.by_number.entry((config.interface, config.number)).or_default().push(place as u32);
        self.universes.push(Universe {
            slots: Slots::default(),
            id: InstanceId(0),
            merger: Merger::new(config.policy, P::SOURCE_TIMEOUT),
            emitted: Vec::new(),
            output: config.is_output.then(|| Output::new(config.is_realtime, P::REPEATS)),
            destination,
            group: group.map(|group| SocketAddrV4::new(group, port).into()),
            trouble: None,
            errors: 0,
            sources_logged: None,
            config,
        });
        place
    }

    pub(crate) fn start(&mut self, place: usize, context: &mut Context<'_>) {
        self.universes[place].id = context.instance();
        self.attend(place, context);
    }

    /// The look-up of an interface's name, or of an instance's destination, has ended.
    pub(crate) fn looked_up(&mut self, place: usize, key: u32, context: &mut Context<'_>) {
        if key & key::DESTINATION != 0 {
            let universe = &mut self.universes[place];
            if let Some(lookup) = &mut universe.destination
                && let Err(reason) = lookup.finish(context)
            {
                context.count_errors(1);
                universe.trouble = Some(reason);
            }
        } else {
            let interface = &mut self.interfaces[(key & 0xFFF) as usize];
            if let Err(reason) = interface.bind.finish(context) {
                interface.fail(reason, context);
            }
        }
        self.attend(place, context);
    }

    /// Does all that is due for an instance, and asks for the next call.
    pub(crate) fn attend(&mut self, place: usize, context: &mut Context<'_>) {
        let now = context.now();
        let number = self.universes[place].config.interface;
        let interface = &mut self.interfaces[number];
        interface.open(key::socket(number), key::BIND | number as u32, context);
        if interface.look_at.is_some_and(|time| time <= now) {
            interface.look(context);
        }
        let universe = &mut self.universes[place];
        let mut next: Option<Instant> = None;
        let mut soon = |time: Option<Instant>| next = next.into_iter().chain(time).min();
        if let Some(lookup) = &mut universe.destination
            && lookup.address().is_none()
        {
            let target = lookup.target().to_string();
            match lookup.start(key::DESTINATION, context) {
                // The end of the look-up calls again; after a failure this does.
                Ok(()) => {
                    universe.trouble.get_or_insert_with(|| format!("looking up {target}"));
                    soon(Some(now + Duration::from_secs(2)));
                }
                Err(reason) => universe.trouble = Some(reason),
            }
        }
        if universe.merger.expire(now) {
            universe.emit(context);
        }
        self.announce(number, now);
        self.flush(number, now, context);
        self.show_state(place, context);

        let interface = &self.interfaces[number];
        let universe = &self.universes[place];
        soon(universe.merger.deadline());
        soon(interface.look_at);
        if !interface.is_open() {
            // Whoever comes first tries; the others look from time to time.
            soon(Some(interface.retry_at.unwrap_or(now + Duration::from_millis(250))));
        } else if universe.target().is_some()
            && let Some(output) = &universe.output
        {
            soon(output.due(now));
            soon(P::ANNOUNCE.and_then(|every| Some(interface.announced? + every)));
        }
        context.wake_at(next);
    }

    /// A socket has something to read, or room.
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
        if !self.waiting_polls.is_empty() {
            self.answer(number, now);
        }
        if is_writable || !self.interfaces[number].outgoing.is_empty() {
            self.flush(number, now, context);
        }
    }

    fn read(&mut self, number: usize, socket: usize, key: u32, context: &mut Context<'_>) {
        let mut left = context.budget();
        loop {
            let Node {
                protocol,
                detect,
                interfaces,
                universes,
                by_number,
                detected,
                complained,
                waiting_polls,
                ..
            } = self;
            let Some(socket) = interfaces[number].socket(socket) else { return };
            let received = socket.receive(|bytes, peer| {
                let Some(from) = peer.address() else { return };
                let incoming = match protocol.read(bytes, from) {
                    Ok(incoming) => incoming,
                    Err(reason) => {
                        context.count_errors(1);
                        if !std::mem::replace(complained, true) {
                            tracing::warn!(
                                instance = context.name(),
                                "a packet of {} bytes from {from} is not understood: {reason}; \
                                 further ones are only counted",
                                bytes.len()
                            );
                        }
                        return;
                    }
                };
                match incoming {
                    Incoming::Frame { universe, frame, is_preview } => {
                        let places = by_number.get(&(number, universe));
                        if *detect != Detect::Off {
                            report(*detect, detected, universe, &frame, from, places.is_some());
                        }
                        for &place in places.into_iter().flatten() {
                            let universe = &mut universes[place as usize];
                            let count = take(universe, &frame, is_preview, context);
                            left = left.saturating_sub(count.max(1));
                        }
                    }
                    Incoming::Terminated { universe, source } => {
                        for &place in by_number.get(&(number, universe)).into_iter().flatten() {
                            let universe = &mut universes[place as usize];
                            universe.merger.remove(source);
                            universe.emit(context);
                        }
                    }
                    Incoming::Poll { first, last } => {
                        if waiting_polls.len() < POLLS_PER_SECOND as usize {
                            waiting_polls.push((from, (first, last)));
                        }
                    }
                    Incoming::Other => {}
                }
            });
            match received {
                Ok(received) if !received.more => return,
                Ok(_) if left == 0 => return context.call_again(key),
                Ok(_) => {}
                Err(error) => {
                    context.count_errors(1);
                    tracing::debug!(instance = context.name(), "receiving: {error}");
                    return context.call_again(key);
                }
            }
        }
    }

    fn answer(&mut self, number: usize, now: Instant) {
        let (since, count) = &mut self.polls;
        if since.is_none_or(|since| now - since >= Duration::from_secs(1)) {
            (*since, *count) = (Some(now), 0);
        }
        for (to, range) in self.waiting_polls.drain(..) {
            if *count >= POLLS_PER_SECOND {
                continue;
            }
            *count += 1;
            let mut outgoing = std::mem::take(&mut self.interfaces[number].outgoing);
            let interface = &self.interfaces[number];
            self.protocol.answer(&self.universes, interface, number, range, to, &mut outgoing);
            self.interfaces[number].outgoing = outgoing;
        }
    }

    fn announce(&mut self, number: usize, now: Instant) {
        let Some(every) = P::ANNOUNCE else { return };
        let interface = &mut self.interfaces[number];
        if !interface.is_open() || interface.announced.is_some_and(|time| now - time < every) {
            return;
        }
        interface.announced = Some(now);
        let mut numbers: Vec<u16> = self
            .universes
            .iter()
            .filter(|it| it.config.interface == number && it.output.is_some())
            .map(|it| it.config.number)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        if !numbers.is_empty() {
            let port = interface.port();
            self.protocol.announce(&numbers, port, &mut interface.outgoing);
        }
    }

    /// Takes values of an instance to be sent.
    pub(crate) fn deliver(&mut self, place: usize, events: &[Event], context: &mut Context<'_>) {
        let now = context.now();
        let universe = &mut self.universes[place];
        let Some(output) = &mut universe.output else {
            return context.count_dropped(events.len() as u64);
        };
        if output.is_realtime() {
            for event in events {
                let replaces = self.universes[place]
                    .output
                    .as_ref()
                    .is_some_and(|it| it.replaces(event, &self.universes[place].slots));
                if replaces {
                    self.push(place, now);
                }
                let universe = &mut self.universes[place];
                if let Some(output) = &mut universe.output {
                    output.set(event, &universe.slots);
                }
            }
            self.flush(self.universes[place].config.interface, now, context);
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
        // At the end of this turn at the soonest: values that come together leave together.
        let universe = &self.universes[place];
        let can_send =
            universe.target().is_some() && self.interfaces[universe.config.interface].is_open();
        if can_send
            && let Some(due) = universe.output.as_ref().and_then(|output| output.due(now))
            && context.wake_time().is_none_or(|time| time > due)
        {
            context.wake_at(Some(due));
        }
    }

    /// Puts a universe's frame among what waits to be sent.
    fn push(&mut self, place: usize, now: Instant) {
        let universe = &mut self.universes[place];
        let Some(to) = universe.target() else { return };
        let interface = &mut self.interfaces[universe.config.interface];
        let Some(output) = &mut universe.output else { return };
        let (data, sequence) = output.take(now, P::SKIPS_ZERO);
        let (protocol, config) = (&self.protocol, &universe.config);
        let pushed = interface.outgoing.push_marked(to, place as u32, |bytes| {
            protocol.write(config, sequence, data, bytes);
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
        let is_due = |universe: &Universe, early: bool| {
            universe.config.interface == number
                && universe.output.as_ref().is_some_and(|output| output.is_due(now, early))
                && universe.target().is_some()
        };
        if self.universes.iter().any(|universe| is_due(universe, false)) {
            for place in 0..self.universes.len() {
                if is_due(&self.universes[place], true) {
                    // Cleared when the frame leaves; set again if it cannot.
                    self.universes[place].trouble = None;
                    self.push(place, now);
                }
            }
        }
        let universes = &mut self.universes;
        self.interfaces[number].flush(key::socket(number), context, |mark, error| {
            if mark != NO_UNIVERSE
                && let Some(universe) = universes.get_mut(mark as usize)
            {
                universe.errors += 1;
                universe.trouble = Some(format!("cannot send: {error}"));
            }
        });
    }

    fn show_state(&mut self, place: usize, context: &mut Context<'_>) {
        let universe = &mut self.universes[place];
        if universe.errors > 0 {
            context.count_errors(std::mem::take(&mut universe.errors));
        }
        let interface = &self.interfaces[universe.config.interface];
        let trouble = interface.trouble.as_ref().or(universe.trouble.as_ref());
        match trouble {
            Some(reason) => context.set_state(State::Waiting(reason.clone())),
            None if interface.is_open() => context.set_state(State::Up),
            None => {}
        }
    }

    /// The show ends: what waits is sent, and that the universe ends.
    pub(crate) fn stop(&mut self, place: usize, context: &mut Context<'_>) {
        let now = context.now();
        let number = self.universes[place].config.interface;
        if !self.interfaces[number].is_open() {
            return;
        }
        let is_dirty = |universe: &Universe| {
            let output = universe.output.as_ref();
            output.is_some_and(|it| it.has_sent() || it.due(now).is_some())
        };
        if is_dirty(&self.universes[place]) {
            // The last values leave, whatever the rate.
            self.push(place, now);
            let universe = &mut self.universes[place];
            if let (Some(to), Some(output)) = (universe.target(), &mut universe.output) {
                for _ in 0..P::FAREWELLS {
                    let (data, sequence) = output.take(now, P::SKIPS_ZERO);
                    let (protocol, config) = (&self.protocol, &universe.config);
                    self.interfaces[number].outgoing.push_marked(to, place as u32, |bytes| {
                        protocol.farewell(config, sequence, data, bytes);
                    });
                }
            }
        }
        self.interfaces[number].flush(key::socket(number), context, |_, _| {});
        context.wake_at(None);
    }
}

fn take(
    universe: &mut Universe,
    frame: &super::Frame<'_>,
    is_preview: bool,
    context: &mut Context<'_>,
) -> usize {
    if universe.config.from.is_some_and(|from| from != frame.source)
        || (is_preview && !universe.config.takes_preview)
    {
        return 0;
    }
    let (before, now) = (universe.merger.source_count(), context.now());
    match universe.merger.take(frame, now) {
        Taken::Yes => {
            let count = universe.merger.source_count();
            // Whoever comes and goes with every packet must not fill the log.
            let is_quiet = |at: Instant| now.saturating_duration_since(at) >= SOURCES_LOGGED_EVERY;
            if count > 1 && count != before && universe.sources_logged.is_none_or(is_quiet) {
                universe.sources_logged = Some(now);
                tracing::info!(
                    instance = universe.config.name,
                    "{count} sources send this universe"
                );
            }
            universe.emit(context)
        }
        Taken::TooLate | Taken::TooMany => {
            universe.errors += 1;
            0
        }
    }
}

/// Logs what came in.
fn report(
    detect: Detect,
    detected: &mut HashSet<(u16, SourceId)>,
    universe: u16,
    frame: &super::Frame<'_>,
    from: SocketAddr,
    is_ours: bool,
) {
    let is_new = detected.len() < DETECT_LIMIT && detected.insert((universe, frame.source));
    if is_new || detect == Detect::Packets {
        let whose = if is_ours { "mapped by an instance" } else { "of no instance" };
        tracing::info!(
            "detected universe {universe} ({whose}) from {from}, priority {}, {} channels",
            frame.priority,
            frame.data.len()
        );
    }
}
