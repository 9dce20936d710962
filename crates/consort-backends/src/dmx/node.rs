//! All universes and interfaces of a backend, which its instances share because they share sockets.
//!
//! The node does its work in the calls of the backend's driver:
//!
//! | call | work |
//! |---|---|
//! | `ready` | merges incoming frames and emits what has changed |
//! | `timer`, at the end of a turn with new values | sends the frames that have changed and are due |
//! | `timer`, at [`Node::next_sweep`] | everything else: opens and checks interfaces, looks up names, removes silent sources, repeats frames, announces universes |
//!
//! Only the last one visits all universes.

use std::collections::{HashMap, HashSet};
use std::net::{SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use consort_router::{
    Block, ChannelTable, DriverContext, Event, InstanceId, Readiness, Sender, State, WarnOnce,
};

use super::emission::Emission;
use super::interface::Interface;
use super::merge::{Acceptance, Merger, Policy, SourceId};
use super::output::Output;
use super::own::SentFrames;
use super::polls::Polls;
use super::slots::Slots;
use super::sources::SourceReport;
use super::{Incoming, InterfaceConfig, Protocol};
use crate::net::{Allow, DatagramSocket, DenialReport, HostPort, Lookup, Losses};

/// The most sources of universes that `detect` remembers.
const MAX_DETECTED_SOURCES: usize = 4_096;

/// The least time between two log lines about the number of sources of a universe.
const SOURCE_COUNT_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The delay before a name that has no address is looked up again.
const LOOKUP_RETRY_DELAY: Duration = Duration::from_secs(2);

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
    /// Whether the first frame emits zeros, too.
    pub(crate) emits_all_first: bool,
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
    slots: Slots,
    /// The instance, while it runs.
    id: Option<InstanceId>,
    merger: Merger,
    emission: Emission,
    output: Option<Output>,
    /// Whether the universe is in the list of frames to send.
    is_queued: bool,
    /// Whether the show ends and the universe was terminated.
    is_stopped: bool,
    destination: Option<Lookup>,
    /// When the look-up of the destination may start.
    lookup_at: Option<Instant>,
    group: Option<SocketAddr>,
    /// Why the last frame could not be sent.
    problem: Option<String>,
    /// The problem that was reported last as the instance's state; `None` before the first report.
    reported: Option<Option<String>>,
    /// Errors that are not counted yet.
    errors: u64,
    /// When the number of sources was logged last.
    source_count_logged: Option<Instant>,
    sources: SourceReport,
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

    /// Emits the values that differ from the last emitted frame, and reports slots that are not
    /// mapped. Returns how many there were.
    fn emit(&mut self, sender: Sender<'_>, context: &mut DriverContext<'_>) -> usize {
        let Some(id) = self.id else { return 0 };
        let new = self.merger.merged();
        if self.emission.is_current(new) {
            return 0;
        }
        let mut context = context.for_instance(id);
        let emits_all_first = self.config.emits_all_first;
        self.emission.emit(&self.slots, new, emits_all_first, sender, &mut context)
    }
}

/// The state that all instances of a backend share.
pub(crate) struct Node<P> {
    protocol: P,
    pub(crate) detect: Detect,
    allow: Allow,
    denials: DenialReport,
    interfaces: Vec<Interface>,
    /// The universe of each instance. The places of removed ones are used again.
    universes: Vec<Option<Universe>>,
    /// The universes with each number on each interface, as indices.
    by_number: HashMap<(usize, u16), Vec<u32>>,
    /// The interfaces that listen on each port.
    by_port: HashMap<u16, Vec<usize>>,
    /// The universes whose frames have values that are not sent yet.
    queued: Vec<u32>,
    /// When the next of the queued frames is due.
    next_frame: Option<Instant>,
    /// When [`Node::sweep`] must be called next.
    next_sweep: Option<Instant>,
    /// Whether states of instances may have changed since they were reported.
    has_news: bool,
    /// The sources that `detect` has logged.
    detected: HashSet<(u16, SourceId)>,
    invalid_packets: WarnOnce,
    polls: Polls,
    sent_frames: SentFrames,
    /// The values of a block that are written one by one.
    events: Vec<Event>,
}

/// The keys with which sockets and look-ups are registered with the router.
mod key {
    pub(super) const BIND: u32 = 1 << 24;
    pub(super) const DESTINATION: u32 = 2 << 24;

    /// The bits of the interface or the universe of a look-up.
    pub(super) const INDEX: u32 = BIND - 1;

    /// The key of an interface's first socket; its other sockets have the following keys.
    pub(super) fn socket(interface: usize) -> u32 {
        (interface as u32) << 12
    }
}

/// The most interfaces of a backend: the keys have 12 bits for them.
pub(crate) const MAX_INTERFACES: usize = 4_096;

/// Moves a time forward to `time` if that is earlier.
fn lower(earliest: &mut Option<Instant>, time: Option<Instant>) {
    *earliest = earliest.iter().copied().chain(time).min();
}

impl<P: Protocol> Node<P> {
    pub(crate) fn new(
        protocol: P,
        detect: Detect,
        allow: Allow,
        interfaces: Vec<InterfaceConfig>,
    ) -> Self {
        let mut by_port = HashMap::<u16, Vec<usize>>::new();
        for (number, interface) in interfaces.iter().enumerate() {
            by_port.entry(interface.address.port).or_default().push(number);
        }
        Node {
            protocol,
            detect,
            allow,
            denials: DenialReport::default(),
            interfaces: interfaces.into_iter().map(Interface::new).collect(),
            by_port,
            universes: Vec::new(),
            by_number: HashMap::new(),
            queued: Vec::new(),
            next_frame: None,
            next_sweep: None,
            has_news: false,
            detected: HashSet::new(),
            invalid_packets: WarnOnce::default(),
            polls: Polls::default(),
            sent_frames: SentFrames::default(),
            events: Vec::new(),
        }
    }

    /// Adds an instance; returns the index of its universe.
    pub(crate) fn add(&mut self, config: UniverseConfig, slots: Slots) -> usize {
        let index = self.universes.iter().position(Option::is_none).unwrap_or_else(|| {
            self.universes.push(None);
            self.universes.len() - 1
        });
        let group = self.protocol.group(config.number);
        let interface = &mut self.interfaces[config.interface];
        if let (Some(group), true) = (group, config.joins_group) {
            interface.add_group(group);
        }
        let port = interface.port();
        let local = interface.bind.target();
        let destination = config.destination.clone();
        let destination = destination.map(|target| Lookup::new(target).reached_from(Some(local)));
        self.by_number.entry((config.interface, config.number)).or_default().push(index as u32);
        self.universes[index] = Some(Universe {
            slots,
            id: None,
            merger: Merger::new(config.policy, P::SOURCE_TIMEOUT),
            emission: Emission::default(),
            output: config.is_output.then(|| Output::new(config.is_realtime, P::REPEATS)),
            is_queued: false,
            is_stopped: false,
            destination,
            lookup_at: None,
            group: group.map(|group| SocketAddrV4::new(group, port).into()),
            problem: None,
            reported: None,
            errors: 0,
            source_count_logged: None,
            sources: SourceReport::default(),
            config,
        });
        index
    }

    /// Removes an instance, and leaves its group unless another one needs it.
    pub(crate) fn remove(&mut self, index: usize) {
        let Some(universe) = self.universes[index].take() else { return };
        let UniverseConfig { number, interface, joins_group, .. } = universe.config;
        if universe.id.is_some() {
            self.interfaces[interface].users -= 1;
        }
        self.queued.retain(|&queued| queued as usize != index);
        if let Some(indices) = self.by_number.get_mut(&(interface, number)) {
            indices.retain(|&other| other as usize != index);
            if indices.is_empty() {
                self.by_number.remove(&(interface, number));
            }
        }
        let Some(group) = self.protocol.group(number).filter(|_| joins_group) else { return };
        let is_needed = self.universes.iter().flatten().any(|other| {
            let config = &other.config;
            config.interface == interface && config.number == number && config.joins_group
        });
        if !is_needed {
            self.interfaces[interface].remove_group(group);
        }
    }

    /// Starts an instance.
    pub(crate) fn start(&mut self, index: usize, id: InstanceId, context: &mut DriverContext<'_>) {
        let Some(universe) = &mut self.universes[index] else { return };
        universe.id = Some(id);
        let number = universe.config.interface;
        self.interfaces[number].users += 1;
        self.service_interface(number, context);
        self.look_up_destination(index, context);
        self.update_state(index, context);
        self.sweep_now(context);
    }

    /// Takes the options and channels of a reloaded instance.
    pub(crate) fn adopt(
        &mut self,
        index: usize,
        config: UniverseConfig,
        slots: Slots,
        channels: &ChannelTable,
    ) {
        let Some(universe) = &mut self.universes[index] else { return };
        universe.emission.adopt(slots.channel_count(), channels);
        universe.slots = slots;
        universe.merger.set_policy(config.policy);
        if let Some(output) = &mut universe.output {
            output.set_realtime(config.is_realtime);
        }
        universe.config = config;
    }

    /// Handles the readiness of a socket or of a look-up.
    pub(crate) fn ready(
        &mut self,
        key: u32,
        readiness: Readiness,
        context: &mut DriverContext<'_>,
    ) {
        if key & (key::BIND | key::DESTINATION) != 0 {
            return self.finish_lookup(key, context);
        }
        let (number, socket) = ((key >> 12) as usize & 0xFFF, key as usize & 0xFFF);
        if number >= self.interfaces.len() {
            return; // a late report for a driver that was replaced
        }
        if readiness.readable {
            self.read(number, socket, key, context);
        }
        self.answer_polls(number);
        if readiness.writable || !self.interfaces[number].outgoing.is_empty() {
            self.flush(number, context);
        }
        self.update_states(context);
        self.schedule(context);
    }

    /// Sends what is due, and does everything else that is due.
    pub(crate) fn timer(&mut self, context: &mut DriverContext<'_>) {
        let now = context.now();
        if self.next_sweep.is_some_and(|time| time <= now) {
            self.sweep(context);
        }
        self.send_queued(now, context);
        self.update_states(context);
        self.schedule(context);
    }

    /// Asks for the next call of [`Node::timer`].
    fn schedule(&mut self, context: &mut DriverContext<'_>) {
        let mut next = self.next_sweep;
        lower(&mut next, self.next_frame);
        if next != context.wake_time() {
            context.wake_at(next);
        }
    }

    /// Asks for a call of [`Node::sweep`] at the end of this turn.
    fn sweep_now(&mut self, context: &mut DriverContext<'_>) {
        lower(&mut self.next_sweep, Some(context.now()));
        self.schedule(context);
    }

    /// Handles the end of the look-up of an interface's name or of an instance's destination.
    fn finish_lookup(&mut self, key: u32, context: &mut DriverContext<'_>) {
        let index = (key & key::INDEX) as usize;
        if key & key::DESTINATION != 0 {
            if let Some(Some(universe)) = self.universes.get_mut(index)
                && let Some(lookup) = &mut universe.destination
            {
                universe.problem = lookup.finish(context).err();
                if universe.problem.is_some() {
                    universe.errors += 1;
                    universe.lookup_at = Some(context.now() + LOOKUP_RETRY_DELAY);
                }
            }
        } else if let Some(interface) = self.interfaces.get_mut(index)
            && let Err(reason) = interface.bind.finish(context)
        {
            interface.fail(reason, context.now());
            self.count_failure(index);
        }
        self.has_news = true;
        self.sweep_now(context);
    }

    /// Counts an error of every instance of an interface.
    fn count_failure(&mut self, number: usize) {
        for universe in self.universes.iter_mut().flatten() {
            universe.errors += u64::from(universe.config.interface == number);
        }
        self.has_news = true;
    }

    /// Opens an interface, or checks it, if that is due.
    fn service_interface(&mut self, number: usize, context: &mut DriverContext<'_>) {
        let interface = &mut self.interfaces[number];
        let before = (interface.is_open(), interface.problem.clone());
        let failed = interface.service(key::socket(number), key::BIND | number as u32, context);
        self.has_news |= before != (interface.is_open(), interface.problem.clone());
        if failed {
            self.count_failure(number);
        }
    }

    /// Starts the look-up of an instance's destination if that is due.
    fn look_up_destination(&mut self, index: usize, context: &mut DriverContext<'_>) {
        let Some(universe) = &mut self.universes[index] else { return };
        let Some(lookup) = &mut universe.destination else { return };
        if lookup.address().is_some() || universe.lookup_at.is_some_and(|time| time > context.now())
        {
            return;
        }
        match lookup.start(key::DESTINATION | index as u32, context) {
            Ok(()) => {
                let target = lookup.target();
                universe.problem.get_or_insert_with(|| format!("looking up {target}"));
                // The end of the look-up is reported.
                universe.lookup_at = None;
            }
            Err(reason) => {
                universe.problem = Some(reason);
                universe.lookup_at = Some(context.now() + LOOKUP_RETRY_DELAY);
            }
        }
        self.has_news = true;
    }

    /// Does everything that is due but sending changed frames, for all interfaces and universes.
    fn sweep(&mut self, context: &mut DriverContext<'_>) {
        let now = context.now();
        self.next_sweep = None;
        for number in 0..self.interfaces.len() {
            if self.interfaces[number].users > 0 {
                self.service_interface(number, context);
                self.announce(number, now);
            }
        }
        let mut repeats = false;
        for index in 0..self.universes.len() {
            let Some(universe) = &mut self.universes[index] else { continue };
            if universe.id.is_none() {
                continue;
            }
            let count = universe.merger.source_count();
            if universe.merger.expire(now) {
                universe.emit(Sender::Unknown, context);
            }
            let lost = count - universe.merger.source_count();
            let is_silent = universe.merger.is_silent(now);
            universe.sources.after_sweep(
                &universe.config.name,
                &universe.merger,
                lost,
                is_silent,
                now,
            );
            self.has_news |= universe.sources.has_news;
            repeats |= self.repeats_frame(index, now, false);
            self.look_up_destination(index, context);
        }
        for index in 0..self.universes.len() {
            if repeats && self.repeats_frame(index, now, true) {
                self.push(index, now);
            }
            let Some(universe) = &self.universes[index] else { continue };
            lower(&mut self.next_sweep, universe.merger.deadline().filter(|&time| time > now));
            lower(&mut self.next_sweep, universe.lookup_at.filter(|&time| time > now));
            // The frame of an interface or a target that is missing waits for it.
            if self.interfaces[universe.config.interface].is_open()
                && universe.target().is_some()
                && !universe.is_stopped
                && let Some(output) = universe.output.as_ref().filter(|output| !output.is_dirty())
            {
                lower(&mut self.next_sweep, output.due_time(now));
            }
        }
        for number in 0..self.interfaces.len() {
            self.flush(number, context);
            let interface = &self.interfaces[number];
            if interface.users > 0 {
                lower(&mut self.next_sweep, interface.due_time());
                let announced = interface.announced.filter(|_| interface.is_open());
                let next = P::ANNOUNCE_INTERVAL.zip(announced);
                lower(&mut self.next_sweep, next.map(|(interval, time)| time + interval));
            }
        }
    }

    /// Whether the unchanged frame of a universe is to be repeated now. `with_others`: frames of
    /// other universes are repeated now.
    fn repeats_frame(&self, index: usize, now: Instant, with_others: bool) -> bool {
        self.universes[index].as_ref().is_some_and(|universe| {
            let is_due = |output: &Output| !output.is_dirty() && output.is_due(now, with_others);
            universe.output.as_ref().is_some_and(is_due)
                && !universe.is_stopped
                && universe.target().is_some()
                && self.interfaces[universe.config.interface].is_open()
        })
    }

    /// Sends the changed frames that are due.
    fn send_queued(&mut self, now: Instant, context: &mut DriverContext<'_>) {
        let mut queued = std::mem::take(&mut self.queued);
        self.next_frame = None;
        queued.retain(|&index| {
            let Some(universe) = &mut self.universes[index as usize] else { return false };
            let is_open = self.interfaces[universe.config.interface].is_open();
            let due = universe.output.as_ref().and_then(|output| output.due_time(now));
            if !is_open || universe.target().is_none() {
                return true;
            }
            match due {
                Some(due) if due > now => {
                    lower(&mut self.next_frame, Some(due));
                    true
                }
                _ => {
                    universe.is_queued = false;
                    self.push(index as usize, now);
                    false
                }
            }
        });
        self.queued = queued;
        for number in 0..self.interfaces.len() {
            if !self.interfaces[number].outgoing.is_empty() {
                self.flush(number, context);
            }
        }
    }

    /// Reads datagrams until the socket is empty or the budget of the turn is spent.
    fn read(&mut self, number: usize, socket: usize, key: u32, context: &mut DriverContext<'_>) {
        let mut remaining = context.budget();
        loop {
            let Node {
                protocol,
                detect,
                allow,
                interfaces,
                universes,
                by_number,
                by_port,
                next_sweep,
                detected,
                invalid_packets,
                polls,
                sent_frames,
                has_news,
                ..
            } = self;
            let now = context.now();
            let receives_groups = socket > 0;
            let Some(socket) = interfaces[number].socket(socket) else { return };
            let mut invalid = 0;
            let mut denied = None;
            let received = socket.receive(|bytes, peer| {
                // Whatever arrives counts, so that packets of no use cannot delay the others.
                remaining = remaining.saturating_sub(1);
                let Some(from) = peer.address() else { return };
                if receives_groups && bytes.is_empty() {
                    return; // not sent to a group
                }
                if !allow.is_everyone() && !allow.contains(from.ip()) {
                    denied = Some((denied.map_or(1, |(count, _)| count + 1), from.ip()));
                    return;
                }
                let incoming = match protocol.decode(bytes, from) {
                    Ok(incoming) => incoming,
                    Err(reason) => {
                        invalid += 1;
                        if invalid_packets.is_first() {
                            tracing::warn!(
                                "invalid packet of {} bytes from {from}: {reason}; further ones are \
                                 only counted",
                                bytes.len()
                            );
                        }
                        return;
                    }
                };
                match incoming {
                    Incoming::Frame { universe, frame, is_preview, may_be_own } => {
                        let sequence = frame.sequence.unwrap_or(0);
                        if may_be_own
                            && by_port.contains_key(&from.port())
                            && sent_frames.take(number, universe, sequence, frame.data, from, now)
                        {
                            return;
                        }
                        let indices = by_number.get(&(number, universe));
                        if *detect != Detect::Off {
                            report(*detect, detected, universe, &frame, from, indices.is_some());
                        }
                        for &index in indices.into_iter().flatten() {
                            let Some(universe) = &mut universes[index as usize] else { continue };
                            let count = accept(universe, &frame, is_preview, from, context);
                            remaining = remaining.saturating_sub(count);
                            *has_news |= universe.sources.has_news;
                            lower(next_sweep, universe.merger.deadline());
                        }
                    }
                    Incoming::Terminated { universe, source } => {
                        for &index in by_number.get(&(number, universe)).into_iter().flatten() {
                            let Some(universe) = &mut universes[index as usize] else { continue };
                            universe.merger.remove(source);
                            universe.emit(Sender::Address(from), context);
                            lower(next_sweep, Some(now));
                        }
                    }
                    Incoming::Poll { first, last } => {
                        polls.add(from, (first, last), now);
                    }
                    Incoming::Other => {}
                }
            });
            let losses = socket.take_losses();
            if invalid > 0 {
                self.count_invalid(number, invalid, context);
            }
            if let Some((count, host)) = denied
                && let Some(id) = self.first_instance(number)
            {
                self.denials.report(count, host, &mut context.for_instance(id));
            }
            if let Some(losses) = losses {
                self.report_losses(number, losses, context);
            }
            match received {
                Ok(received) if !received.more => return,
                Ok(_) if remaining == 0 => return context.call_again(key),
                Ok(_) => {}
                Err(error) => {
                    self.count_invalid(number, 1, context);
                    tracing::debug!("cannot receive: {error}");
                    return context.call_again(key);
                }
            }
        }
    }

    /// The first running instance of an interface.
    fn first_instance(&self, number: usize) -> Option<InstanceId> {
        let mut universes = self.universes.iter().flatten();
        universes.find_map(|universe| universe.id.filter(|_| universe.config.interface == number))
    }

    /// Counts packets that belong to no universe as errors of the interface's first instance.
    fn count_invalid(&self, number: usize, count: u64, context: &mut DriverContext<'_>) {
        if let Some(id) = self.first_instance(number) {
            context.for_instance(id).count_errors(count);
        }
    }

    /// Counts losses of an interface's sockets: refused datagrams at the first instance that sends
    /// there, others at the interface's first instance, because nothing is known about them.
    fn report_losses(&mut self, number: usize, losses: Losses, context: &mut DriverContext<'_>) {
        let sends_there = |universe: &&Universe| {
            losses.refused_by.is_some()
                && universe.id.is_some()
                && universe.config.interface == number
                && universe.target() == losses.refused_by
        };
        let first = self.first_instance(number);
        let sender = self.universes.iter().flatten().find(sends_there);
        let sender = sender.and_then(|universe| universe.id).or(first);
        let (Some(first), Some(sender)) = (first, sender) else { return };
        let report = &mut self.interfaces[number].losses;
        let shared = Some("for the instances of this interface");
        let lost = Losses { lost: losses.lost, ..Losses::default() };
        report.report(lost, shared, &mut context.for_instance(first));
        let refused = Losses { lost: 0, ..losses };
        report.report(refused, shared, &mut context.for_instance(sender));
    }

    /// Answers the polls that were received.
    fn answer_polls(&mut self, number: usize) {
        for (peer, range) in self.polls.take() {
            let mut outgoing = std::mem::take(&mut self.interfaces[number].outgoing);
            let universes = self.universes.iter().flatten().filter(|other| other.id.is_some());
            let interface = &self.interfaces[number];
            self.protocol.reply_to_poll(universes, interface, number, range, peer, &mut outgoing);
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
        let sent = self.universes.iter().flatten().filter(|universe| {
            let is_running = universe.id.is_some();
            is_running && universe.config.interface == number && universe.output.is_some()
        });
        let mut numbers: Vec<u16> = sent.map(|universe| universe.config.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if !numbers.is_empty() {
            interface.announced = Some(now);
            let port = interface.port();
            self.protocol.announce(&numbers, port, &mut interface.outgoing);
        }
    }

    /// Writes values into the outgoing frame of an instance; returns how many values were dropped.
    pub(crate) fn deliver(
        &mut self,
        index: usize,
        events: &[Event],
        context: &mut DriverContext<'_>,
    ) -> u64 {
        let now = context.now();
        let Some(universe) = &mut self.universes[index] else { return events.len() as u64 };
        let Some(output) = &mut universe.output else { return events.len() as u64 };
        let mut replaced = 0;
        if output.is_realtime() {
            for event in events {
                let Some(Some(universe)) = self.universes.get_mut(index) else { break };
                let Some(output) = &mut universe.output else { break };
                if output.replaces(event, &universe.slots) {
                    self.push(index, now);
                }
                let Some(Some(universe)) = self.universes.get_mut(index) else { break };
                if let Some(output) = &mut universe.output {
                    output.set(event, &universe.slots);
                }
            }
            if let Some(Some(universe)) = self.universes.get(index) {
                self.flush(universe.config.interface, context);
            }
        } else {
            for event in events {
                replaced += u64::from(output.replaces(event, &universe.slots));
                output.set(event, &universe.slots);
            }
        }
        self.queue(index, now, context);
        replaced
    }

    /// Writes a block into the outgoing frame as [`deliver`](Self::deliver) writes values.
    pub(crate) fn deliver_block(
        &mut self,
        index: usize,
        block: &Block<'_>,
        context: &mut DriverContext<'_>,
    ) -> u64 {
        let universe = self.universes[index].as_mut();
        let Some(output) = universe.and_then(|universe| universe.output.as_mut()) else {
            return block.events().count() as u64;
        };
        let replaced = output.count_replaced(block);
        if output.is_realtime() && replaced > 0 {
            // Each value that would be replaced is sent before.
            let mut events = std::mem::take(&mut self.events);
            events.extend(block.events());
            let dropped = self.deliver(index, &events, context);
            events.clear();
            self.events = events;
            return dropped;
        }
        output.set_block(block);
        self.queue(index, context.now(), context);
        replaced
    }

    /// Has a frame with new values sent.
    fn queue(&mut self, index: usize, now: Instant, context: &mut DriverContext<'_>) {
        // Frames are sent at the end of the turn, so that values that arrive together are sent
        // together.
        let Some(Some(universe)) = self.universes.get_mut(index) else { return };
        if universe.is_stopped {
            // Last values of other instances, such as those of a script's clean-up.
            let number = universe.config.interface;
            self.push(index, now);
            self.terminate(index, now);
            self.flush(number, context);
            return;
        }
        if !universe.is_queued {
            universe.is_queued = true;
            self.queued.push(index as u32);
        }
        if self.interfaces[universe.config.interface].is_open()
            && universe.target().is_some()
            && let Some(due) = universe.output.as_ref().and_then(|output| output.due_time(now))
            && self.next_frame.is_none_or(|time| time > due)
        {
            self.next_frame = Some(due);
            self.schedule(context);
        }
    }

    /// Queues the frame of a universe.
    fn push(&mut self, index: usize, now: Instant) {
        let Some(universe) = &mut self.universes[index] else { return };
        let Some(target) = universe.target() else { return };
        let interface = &mut self.interfaces[universe.config.interface];
        let Some(output) = &mut universe.output else { return };
        // Set again if the frame cannot be sent.
        self.has_news |= universe.problem.take().is_some();
        let (data, sequence) = output.next_frame(now, P::SKIPS_SEQUENCE_ZERO);
        for &number in self.by_port.get(&target.port()).into_iter().flatten() {
            self.sent_frames.record(number, universe.config.number, sequence, data, now);
        }
        let (protocol, config) = (&self.protocol, &universe.config);
        let pushed = interface.outgoing.push_marked(target, index as u32, |bytes| {
            protocol.encode_frame(config, sequence, data, bytes);
        });
        if !pushed {
            universe.errors += 1;
            self.has_news = true;
        }
        lower(&mut self.next_sweep, output.due_time(now));
    }

    /// Sends the queued datagrams of an interface.
    fn flush(&mut self, number: usize, context: &mut DriverContext<'_>) {
        let (universes, has_news) = (&mut self.universes, &mut self.has_news);
        self.interfaces[number].flush(key::socket(number), context, |mark, error| {
            if mark != NO_UNIVERSE
                && let Some(Some(universe)) = universes.get_mut(mark as usize)
            {
                universe.errors += 1;
                universe.problem = Some(format!("cannot send: {error}"));
                *has_news = true;
            }
        });
        let losses = self.interfaces[number].socket(0).and_then(DatagramSocket::take_losses);
        if let Some(losses) = losses {
            self.report_losses(number, losses, context);
        }
    }

    /// Reports the states of all instances if any may have changed.
    fn update_states(&mut self, context: &mut DriverContext<'_>) {
        if std::mem::take(&mut self.has_news) {
            for index in 0..self.universes.len() {
                self.update_state(index, context);
            }
        }
    }

    /// Counts pending errors and sets the state of an instance, if it has changed.
    fn update_state(&mut self, index: usize, context: &mut DriverContext<'_>) {
        let Some(universe) = &mut self.universes[index] else { return };
        let Some(id) = universe.id else { return };
        let mut context = context.for_instance(id);
        if universe.errors > 0 {
            context.count_errors(std::mem::take(&mut universe.errors));
        }
        let interface = &self.interfaces[universe.config.interface];
        let problem = interface.problem.as_ref().or(universe.problem.as_ref());
        if std::mem::take(&mut universe.sources.has_news) {
            context.set_note(universe.sources.note());
        }
        let is_known = problem.is_some() || interface.is_open();
        if is_known && universe.reported.as_ref().map(Option::as_ref) != Some(problem) {
            universe.reported = Some(problem.cloned());
            context.set_state(match problem {
                Some(reason) => State::Waiting(reason.clone()),
                None => State::Up,
            });
        }
    }

    /// Stops an instance: sends the last values and terminates the universe. When only the instance
    /// stops, not the show, nothing more is sent or received for it.
    pub(crate) fn stop(&mut self, index: usize, context: &mut DriverContext<'_>) {
        let now = context.now();
        let Some(universe) = &self.universes[index] else { return };
        let number = universe.config.interface;
        if self.interfaces[number].is_open() {
            let is_in_use = |output: &Output| output.has_sent() || output.due_time(now).is_some();
            if universe.output.as_ref().is_some_and(is_in_use) {
                // The last values are sent whatever the rate.
                self.push(index, now);
                self.terminate(index, now);
            }
            self.flush(number, context);
        }
        let Some(universe) = &mut self.universes[index] else { return };
        if context.is_stopping() {
            universe.is_stopped = true;
        } else {
            universe.output = None;
            if universe.id.take().is_some() {
                self.interfaces[number].users -= 1;
            }
        }
    }

    /// Queues the packets that terminate a universe.
    fn terminate(&mut self, index: usize, now: Instant) {
        let Some(universe) = &mut self.universes[index] else { return };
        let Some(target) = universe.target() else { return };
        let Some(output) = &mut universe.output else { return };
        let interface = &mut self.interfaces[universe.config.interface];
        for _ in 0..P::TERMINATION_PACKETS {
            let (data, sequence) = output.next_frame(now, P::SKIPS_SEQUENCE_ZERO);
            let (protocol, config) = (&self.protocol, &universe.config);
            interface.outgoing.push_marked(target, index as u32, |bytes| {
                protocol.encode_termination(config, sequence, data, bytes);
            });
        }
    }
}

/// Merges a frame into a universe and emits what has changed; returns how many values that were.
fn accept(
    universe: &mut Universe,
    frame: &super::Frame<'_>,
    is_preview: bool,
    from: SocketAddr,
    context: &mut DriverContext<'_>,
) -> usize {
    if universe.config.from.is_some_and(|source| source != frame.source)
        || (is_preview && !universe.config.accepts_preview)
    {
        return 0;
    }
    let Some(id) = universe.id else { return 0 };
    context.for_instance(id).count_input(1);
    let (before, now) = (universe.merger.source_count(), context.now());
    let acceptance = universe.merger.accept(frame, now);
    universe.sources.after_frame(&universe.config.name, acceptance, frame.priority, from, now);
    match acceptance {
        Acceptance::Accepted | Acceptance::Replaced => {
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
            universe.emit(Sender::Address(from), context)
        }
        Acceptance::OutOfOrder | Acceptance::TooManySources => {
            context.for_instance(id).count_errors(1);
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
            target: "detect",
            "detected universe {universe} ({usage}) from {from}, priority {}, {} slots",
            frame.priority,
            frame.data.len()
        );
    }
}
