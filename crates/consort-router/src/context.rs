//! What an instance can do with the router while one of its methods runs.

use std::cell::Cell;
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::{Interest, Registry, Token};

use crate::blocks::BlockSource;
use crate::event::{Event, InstanceId, Root, TextEvent};
use crate::live::{Live, LiveCounters, LoadedFiles, State, add};
use crate::queue::EventQueue;
use crate::timers::Deadlines;
use crate::unmatched::Unmatched;
use crate::warn_once::WarnOnce;

/// How many events an instance should emit in one call before other instances get a turn.
pub const BUDGET: usize = 256;

/// How many events one instance may emit in response to deliveries in one turn; more are
/// dropped and counted.
pub const ANSWER_LIMIT: usize = 65_536;

/// How many passed-on events may wait at once. Mappings that split and join again double a value
/// each time, so a few dozen of them could produce more events than fit into memory. The
/// excess is dropped and counted.
pub const PASS_ON_LIMIT: usize = 1 << 22;

/// The longest text that a channel carries, in bytes.
pub const MAX_TEXT_BYTES: usize = 1_024;

/// Called with an instance's number, a channel specification and the input, for input that no
/// mapping uses.
pub type Observer = Box<dyn FnMut(InstanceId, &str, &Unmatched<'_>)>;

/// The number of a driver, in the order of the show's backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DriverId(pub(crate) u32);

/// An instance or a driver, which have descriptors and timers alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Instance(InstanceId),
    Driver(DriverId),
}

/// The parts of the router that instances reach through a [`Context`].
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) live: std::sync::Arc<Live>,
    pub(crate) bases: Vec<u32>,
    pub(crate) started: Instant,
    pub(crate) now: Instant,
    /// Events to be routed in this turn.
    pub(crate) arrived: EventQueue,
    /// Events to be routed in the next turn, and how many of each instance.
    pub(crate) deferred: EventQueue,
    pub(crate) deferred_of: Vec<u32>,
    pub(crate) delivering: bool,
    pub(crate) next_root: Cell<u32>,
    pub(crate) deadlines: Deadlines,
    pub(crate) driver_deadlines: Deadlines,
    /// The driver of each instance.
    pub(crate) driver_of: Vec<DriverId>,
    pub(crate) again: Vec<(Owner, u32)>,
    /// Where channel specifications of unmatched input are written.
    pub(crate) scratch: String,
    /// Reports the first overflow above [`PASS_ON_LIMIT`].
    pub(crate) pass_on_overflow: WarnOnce,
    /// The instance that expects an answer within microseconds, and until when to poll for it.
    pub(crate) expecting: Option<(InstanceId, Instant)>,
    pub(crate) observer: Option<Observer>,
    pub(crate) stopping: bool,
    /// Instances that a reload is stopping.
    pub(crate) leaving: Vec<InstanceId>,
    /// Instances whose state has changed between working and not working in this turn.
    pub(crate) state_changes: Vec<(u32, bool)>,
    /// The time of tests that have a clock of their own.
    pub(crate) frozen_clock: Option<Instant>,
    /// What the thread that asked for a reload frees.
    pub(crate) discarded: Vec<Box<dyn std::any::Any + Send>>,
}

/// Takes the next root.
#[inline]
pub(crate) fn take_root(next: &Cell<u32>) -> u32 {
    let root = next.get();
    next.set(root.wrapping_add(1));
    root
}

impl Shared {
    /// The root of the next input.
    #[inline]
    pub(crate) fn next_root(&self) -> u32 {
        take_root(&self.next_root)
    }

    /// The time.
    pub(crate) fn clock(&self) -> Instant {
        self.frozen_clock.unwrap_or_else(Instant::now)
    }

    /// Asks for a call of the owner's `ready` with `key` in the next turn.
    fn call_again(&mut self, owner: Owner, key: u32) {
        let call = (owner, key);
        if !self.again.contains(&call) {
            self.again.push(call);
        }
    }
}

/// The router, as seen by one instance during one call.
pub struct Context<'a> {
    shared: &'a mut Shared,
    instance: InstanceId,
}

impl<'a> Context<'a> {
    pub(crate) fn new(shared: &'a mut Shared, instance: InstanceId) -> Self {
        Context { shared, instance }
    }

    /// The instance that is called.
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    /// The name of the instance that is called.
    pub fn name(&self) -> &str {
        self.shared.live.instance_name(self.instance)
    }

    /// The time of this turn of the loop.
    #[inline]
    pub fn now(&self) -> Instant {
        self.shared.now
    }

    /// Milliseconds since the show started, as of this turn.
    pub fn timestamp(&self) -> u64 {
        u64::try_from((self.shared.now - self.shared.started).as_millis()).unwrap_or(u64::MAX)
    }

    /// How many events to emit in one call of [`Instance::ready`](crate::Instance::ready)
    /// before asking for another with [`Context::call_again`].
    pub fn budget(&self) -> usize {
        BUDGET
    }

    /// Whether the show is ending, or a reload is stopping this instance.
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping || self.shared.leaving.contains(&self.instance)
    }

    /// Emits a value on one of this instance's channels.
    ///
    /// In [`Instance::deliver`](crate::Instance::deliver), the value is routed in the next
    /// turn of the loop, after all other instances.
    #[inline]
    pub fn emit(&mut self, channel: u32, value: f64) {
        self.emit_for(self.instance, channel, value);
    }

    /// The context of another instance of the same backend, for a shared resource (such as a
    /// sequencer client) that serves several.
    pub fn for_instance(&mut self, instance: InstanceId) -> Context<'_> {
        Context { shared: self.shared, instance }
    }

    /// [`emit`](Self::emit) for another instance of the same backend, for a shared socket.
    #[inline]
    pub fn emit_for(&mut self, instance: InstanceId, channel: u32, value: f64) {
        let root = self.shared.next_root();
        self.push(instance, channel, value, root);
    }

    /// One of the rows of this instance's channels that go as blocks, in the order of their slots;
    /// `None` after the last one. Channels of a row may be emitted with [`emit`](Self::emit), too;
    /// inside [`Instance::deliver`](crate::Instance::deliver) they must be, and there are no rows.
    #[inline]
    pub fn block_source(&self, index: usize) -> Option<BlockSource> {
        if self.shared.delivering {
            return None;
        }
        self.shared.live.blocks.source(self.instance.index(), index)
    }

    /// Emits the changed levels of a row of channels, as [`emit`](Self::emit) does in the order of
    /// their slots. `changed` has 1 for a level that is a new value, otherwise 0; returns how many
    /// there are.
    ///
    /// # Panics
    /// When `levels` and `changed` do not have the row's length.
    pub fn emit_block(&mut self, source: BlockSource, levels: &[u8], changed: &[u8]) -> u32 {
        let length = usize::from(source.length);
        assert!(levels.len() == length && changed.len() == length, "one level for each channel");
        debug_assert!(!self.shared.delivering);
        let count = changed.iter().map(|&changed| u32::from(changed)).sum();
        if count > 0 {
            let shared = &mut *self.shared;
            let root = shared.next_root.get();
            shared.next_root.set(root.wrapping_add(count));
            shared.arrived.push_block(source.run, (root, count), levels, changed);
            let counters = &shared.live.instances[self.instance.index()].counters;
            add(&counters.incoming, count.into());
        }
        count
    }

    /// Emits a value that results from a delivery, such as the output of a script's handler: it
    /// keeps the root of its cause, so that feedback through the instance is found and the path of
    /// a value can be traced. Otherwise as [`emit`](Self::emit).
    #[inline]
    pub fn emit_descended(&mut self, channel: u32, value: f64, root: Root) {
        self.push(self.instance, channel, value, root.0);
    }

    #[inline]
    fn push(&mut self, instance: InstanceId, channel: u32, value: f64, root: u32) {
        let shared = &mut *self.shared;
        let base = shared.bases[instance.index()];
        debug_assert!(base + channel < shared.bases[instance.index() + 1], "unknown channel");
        let event = Event { value, channel: base + channel, root };
        let counters = &shared.live.instances[instance.index()].counters;
        if !shared.delivering {
            shared.arrived.values.push(event);
        } else {
            let count = &mut shared.deferred_of[instance.index()];
            if *count as usize >= ANSWER_LIMIT {
                add(&counters.dropped, 1);
                return;
            }
            *count += 1;
            shared.deferred.values.push(event);
        }
        add(&counters.incoming, 1);
    }

    /// Emits a text on one of this instance's channels, in order with the values. Texts of more
    /// than [`MAX_TEXT_BYTES`] bytes are dropped and counted. Targets that take no texts drop and
    /// count them. Does not allocate in the steady state.
    ///
    /// In [`Instance::deliver`](crate::Instance::deliver), the text is routed in the next
    /// turn of the loop, after all other instances.
    pub fn emit_text(&mut self, channel: u32, text: &str) {
        let root = self.shared.next_root();
        self.push_text(channel, text, root);
    }

    /// [`emit_text`](Self::emit_text) for a text that results from a delivery; see
    /// [`emit_descended`](Self::emit_descended).
    pub fn emit_text_descended(&mut self, channel: u32, text: &str, root: Root) {
        self.push_text(channel, text, root.0);
    }

    fn push_text(&mut self, channel: u32, text: &str, root: u32) {
        let index = self.instance.index();
        let shared = &mut *self.shared;
        let counters = &shared.live.instances[index].counters;
        if text.len() > MAX_TEXT_BYTES {
            add(&counters.dropped, 1);
            return;
        }
        let global = shared.bases[index] + channel;
        debug_assert!(global < shared.bases[index + 1], "unknown channel");
        if !shared.delivering {
            shared.arrived.push_text(global, root, text);
        } else {
            let count = &mut shared.deferred_of[index];
            if *count as usize >= ANSWER_LIMIT {
                add(&counters.dropped, 1);
                return;
            }
            *count += 1;
            shared.deferred.push_text(global, root, text);
        }
        add(&counters.incoming, 1);
    }

    /// Passes delivered events on, on the same channels, within this turn. An event that returns
    /// through mappings to a channel that it has passed before is dropped, and the loop is
    /// reported. Events above [`PASS_ON_LIMIT`] are dropped, too. Only for instances whose
    /// [`Plan::passes_on`](crate::Plan::passes_on) is true.
    #[inline]
    pub fn pass_on(&mut self, events: &[Event]) {
        let base = self.shared.bases[self.instance.index()];
        let room = PASS_ON_LIMIT.saturating_sub(self.shared.arrived.values.len());
        let events = if events.len() > room { self.overflow(events, room) } else { events };
        self.shared
            .arrived
            .values
            .extend(events.iter().map(|event| Event { channel: base + event.channel, ..*event }));
        add(&self.counters().incoming, events.len() as u64);
    }

    /// [`pass_on`](Self::pass_on) for a text.
    pub fn pass_on_text(&mut self, event: TextEvent<'_>) {
        if self.shared.arrived.len() >= PASS_ON_LIMIT {
            self.overflow(&[Event { value: 0.0, channel: event.channel, root: event.root }], 0);
            return;
        }
        let channel = self.shared.bases[self.instance.index()] + event.channel;
        self.shared.arrived.push_text(channel, event.root, event.text);
        add(&self.counters().incoming, 1);
    }

    /// Drops and counts the passed-on events above [`PASS_ON_LIMIT`].
    #[cold]
    fn overflow<'e>(&mut self, events: &'e [Event], room: usize) -> &'e [Event] {
        self.count_dropped((events.len() - room) as u64);
        if self.shared.pass_on_overflow.is_first() {
            tracing::warn!(
                instance = self.name(),
                "the mappings multiply values: at most {PASS_ON_LIMIT} events are handled at once; \
                 the excess is dropped and counted"
            );
        }
        &events[..room]
    }

    /// Reports input that belongs to no mapped channel: counts it, and keeps the last hundred
    /// different ones for the views. `specification` writes the channel as one would write it in
    /// `[map]` after `INSTANCE.`. Does not allocate in the steady state and does not block: while
    /// a view reads the list, the input is only counted.
    pub fn unmatched(&mut self, input: Unmatched<'_>, specification: impl FnOnce(&mut String)) {
        let shared = &mut *self.shared;
        shared.scratch.clear();
        specification(&mut shared.scratch);
        let live = &shared.live.instances[self.instance.index()];
        add(&live.unmatched_count, 1);
        if let Some(mut log) = live.unmatched.try_lock() {
            log.record(&shared.scratch, input, shared.now - shared.started);
        }
        if let Some(observer) = &mut shared.observer {
            observer(self.instance, &shared.scratch, &input);
        }
    }

    /// Counts input that belongs to no mapped channel without reporting it: for input so frequent
    /// that only a part of it is reported with [`unmatched`](Self::unmatched).
    pub fn count_unmatched(&mut self, count: u64) {
        add(&self.shared.live.instances[self.instance.index()].unmatched_count, count);
    }

    /// Whether an observer receives what [`Context::unmatched`] reports.
    pub fn is_observed(&self) -> bool {
        self.shared.observer.is_some()
    }

    /// Counts input of this instance, matched or not: packets, MIDI messages, frames. Views show
    /// the time since the last one.
    #[inline]
    pub fn count_input(&mut self, count: u64) {
        let live = &self.shared.live.instances[self.instance.index()];
        add(&live.packets, count);
        live.last_input.store(
            u64::try_from((self.shared.now - self.shared.started).as_micros()).unwrap_or(u64::MAX),
            std::sync::atomic::Ordering::Relaxed,
        );
    }

    /// The driver of this instance's backend: for registering what the instances share.
    pub fn driver(&mut self) -> DriverContext<'_> {
        let driver = self.shared.driver_of[self.instance.index()];
        DriverContext { shared: self.shared, driver }
    }

    /// Asks for another call of [`Instance::ready`](crate::Instance::ready) with `key` in the
    /// next turn, after all other instances.
    pub fn call_again(&mut self, key: u32) {
        self.shared.call_again(Owner::Instance(self.instance), key);
    }

    /// Announces an answer that is due within microseconds: until then the loop polls for
    /// readiness instead of sleeping, because waking a sleeping thread takes longer than such an
    /// answer. Other sources that become ready meanwhile are served at once. `None` after
    /// the answer has arrived.
    pub fn expect_answer(&mut self, within: Option<Duration>) {
        match within {
            Some(delay) => {
                self.shared.expecting = Some((self.instance, Instant::now() + delay));
            }
            None if self.is_expecting() => self.shared.expecting = None,
            None => {}
        }
    }

    /// Whether this instance was the last to announce an answer that has not arrived, even if the
    /// answer is overdue.
    pub fn is_expecting(&self) -> bool {
        self.shared.expecting.is_some_and(|(instance, _)| instance == self.instance)
    }

    /// Asks for a call of [`Instance::timer`](crate::Instance::timer) at (or, when the loop is
    /// busy, soon after) a time; replaces an earlier time. With `None`, there is no call.
    pub fn wake_at(&mut self, time: Option<Instant>) {
        self.shared.deadlines.set(self.instance.index(), time);
    }

    /// Asks for a call of [`Instance::timer`](crate::Instance::timer) after `delay`.
    pub fn wake_in(&mut self, delay: Duration) {
        self.wake_at(Some(self.shared.now + delay));
    }

    /// The time set with [`Context::wake_at`], if it has not come yet.
    pub fn wake_time(&self) -> Option<Instant> {
        self.shared.deadlines.get(self.instance.index())
    }

    /// Registers a source with the event loop; its readiness is reported to
    /// [`Instance::ready`](crate::Instance::ready) with `key`.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn register(
        &mut self,
        source: &mut impl Source,
        key: u32,
        interest: Interest,
    ) -> std::io::Result<()> {
        let token = token(Owner::Instance(self.instance), key);
        self.shared.registry.register(source, token, interest)
    }

    /// Changes the interest of a registered source.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn reregister(
        &mut self,
        source: &mut impl Source,
        key: u32,
        interest: Interest,
    ) -> std::io::Result<()> {
        let token = token(Owner::Instance(self.instance), key);
        self.shared.registry.reregister(source, token, interest)
    }

    /// Deregisters a source.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn deregister(&mut self, source: &mut impl Source) -> std::io::Result<()> {
        self.shared.registry.deregister(source)
    }

    /// Sets the state of this instance and logs the change: `degraded` and `waiting` as a warning,
    /// `failed` as an error, each with its reason. The reason is the first line of the given text;
    /// further lines, such as the output of a program that has exited, are logged at the level
    /// `debug`.
    pub fn set_state(&mut self, mut state: State) {
        let details = state.take_details();
        let name = self.shared.live.instance_name(self.instance);
        let before = self.shared.live.set_state(self.instance, state.clone());
        if before == state {
            return;
        }
        let works = |state: &State| matches!(state, State::Up | State::Degraded(_));
        if works(&before) != works(&state) {
            self.shared.state_changes.push((self.instance.slot(), works(&state)));
        }
        if let Some(details) = details {
            tracing::debug!(instance = name, "{}:\n{details}", state.word());
        }
        match &state {
            State::Starting => tracing::debug!(instance = name, "starting"),
            State::Up => tracing::info!(instance = name, "up"),
            State::Degraded(reason) => tracing::warn!(instance = name, "degraded: {reason}"),
            State::Waiting(reason) => tracing::warn!(instance = name, "waiting: {reason}"),
            State::Failed(reason) => tracing::error!(instance = name, "failed: {reason}"),
            State::Stopped => tracing::debug!(instance = name, "stopped"),
        }
    }

    /// The state of this instance.
    pub fn state(&self) -> State {
        self.shared.live.state(self.instance)
    }

    /// The last value of one of this instance's channels; none before the first. After a reload,
    /// channels of the same name have the value that they had before.
    pub fn last_value(&self, channel: u32) -> Option<f64> {
        self.shared.live.channel(self.instance, channel).map(|(value, _)| value)
    }

    /// Replaces the list of files that this instance has loaded besides the configuration, which
    /// can be watched for changes: a reload restarts the instance when one of them was changed
    /// after `since`, the time when it began to load them.
    pub fn set_files(&mut self, paths: Vec<std::path::PathBuf>, since: Instant) {
        let since = std::time::SystemTime::now() - since.elapsed();
        *self.shared.live.instances[self.instance.index()].files.lock() =
            LoadedFiles { paths, since };
    }

    /// Has `memory` freed on the thread that asked for the reload: for large tables that
    /// [`Instance::adopt`](crate::Instance::adopt) replaces, since freeing 100,000 texts takes
    /// milliseconds.
    pub fn discard(&mut self, memory: impl std::any::Any + Send) {
        self.shared.discarded.push(Box::new(memory));
    }

    /// Sets what views show about this instance besides its state, in one line, such as its peers.
    /// Allocates; not for the path of each value.
    pub fn set_details(&mut self, details: Option<String>) {
        *self.shared.live.instances[self.instance.index()].details.lock() = details;
    }

    /// Counts events that this instance had to drop.
    pub fn count_dropped(&mut self, count: u64) {
        add(&self.counters().dropped, count);
    }

    /// Takes back that delivered values have left: for those that the instance does not send, such
    /// as repetitions of the last value. `out` counts every delivered value first.
    pub fn count_unsent(&mut self, count: u64) {
        add(&self.counters().outgoing, count.wrapping_neg());
    }

    /// Counts errors of this instance.
    pub fn count_errors(&mut self, count: u64) {
        add(&self.counters().errors, count);
    }

    /// Counts received datagrams that the kernel dropped before this instance could read them.
    pub fn count_lost(&mut self, count: u64) {
        add(&self.counters().lost, count);
    }

    /// Counts sent datagrams for which a host reported that nobody takes them.
    pub fn count_refused(&mut self, count: u64) {
        add(&self.counters().refused, count);
    }

    /// Sets what views show beside the state, such as a source that was lost. It is not logged.
    pub fn set_note(&mut self, note: Option<String>) {
        *self.shared.live.instances[self.instance.index()].note.lock() = note;
    }

    fn counters(&self) -> &LiveCounters {
        &self.shared.live.instances[self.instance.index()].counters
    }
}

/// The router, as seen by a driver during one call.
pub struct DriverContext<'a> {
    shared: &'a mut Shared,
    driver: DriverId,
}

impl<'a> DriverContext<'a> {
    pub(crate) fn new(shared: &'a mut Shared, driver: DriverId) -> Self {
        DriverContext { shared, driver }
    }

    /// The time of this turn of the loop.
    pub fn now(&self) -> Instant {
        self.shared.now
    }

    /// How many events to emit in one call of [`Driver::ready`](crate::Driver::ready) before
    /// asking for another with [`call_again`](Self::call_again).
    pub fn budget(&self) -> usize {
        BUDGET
    }

    /// Whether the show is ending.
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping
    }

    /// The context of one of the backend's instances.
    pub fn for_instance(&mut self, instance: InstanceId) -> Context<'_> {
        debug_assert_eq!(self.shared.driver_of[instance.index()], self.driver);
        Context { shared: self.shared, instance }
    }

    /// Asks for another call of [`Driver::ready`](crate::Driver::ready) with `key` in the next
    /// turn, after all other instances.
    pub fn call_again(&mut self, key: u32) {
        self.shared.call_again(Owner::Driver(self.driver), key);
    }

    /// Asks for a call of [`Driver::timer`](crate::Driver::timer) at (or soon after) a time;
    /// replaces an earlier time. With `None`, there is no call.
    pub fn wake_at(&mut self, time: Option<Instant>) {
        self.shared.driver_deadlines.set(self.driver.0 as usize, time);
    }

    /// The time set with [`wake_at`](Self::wake_at), if it has not come yet.
    pub fn wake_time(&self) -> Option<Instant> {
        self.shared.driver_deadlines.get(self.driver.0 as usize)
    }

    /// Registers a source with the event loop; its readiness is reported to
    /// [`Driver::ready`](crate::Driver::ready) with `key`.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn register(
        &mut self,
        source: &mut impl Source,
        key: u32,
        interest: Interest,
    ) -> std::io::Result<()> {
        let token = token(Owner::Driver(self.driver), key);
        self.shared.registry.register(source, token, interest)
    }

    /// Changes the interest of a registered source.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn reregister(
        &mut self,
        source: &mut impl Source,
        key: u32,
        interest: Interest,
    ) -> std::io::Result<()> {
        let token = token(Owner::Driver(self.driver), key);
        self.shared.registry.reregister(source, token, interest)
    }

    /// Deregisters a source.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn deregister(&mut self, source: &mut impl Source) -> std::io::Result<()> {
        self.shared.registry.deregister(source)
    }
}

pub(crate) const WAKER: Token = Token(usize::MAX);

/// Bits of a token: the kind of owner, 11 bits of the slot's generation, 20 bits of the slot, and
/// 32 bits of the owner's key.
const DRIVER_BIT: usize = 1 << 63;
const GENERATION_SHIFT: u32 = 52;
const GENERATION_MASK: u32 = (1 << 11) - 1;
const SLOT_SHIFT: u32 = 32;
const SLOT_MASK: u32 = InstanceId::MAX_SLOTS - 1;

pub(crate) fn token(owner: Owner, key: u32) -> Token {
    let owner = match owner {
        Owner::Instance(id) => {
            let generation = (id.generation() & GENERATION_MASK) as usize;
            (generation << GENERATION_SHIFT) | ((id.slot() as usize) << SLOT_SHIFT)
        }
        Owner::Driver(id) => DRIVER_BIT | ((id.0 as usize) << SLOT_SHIFT),
    };
    Token(owner | key as usize)
}

/// The owner and key of a token. An instance's generation comes without its upper bits.
pub(crate) fn untoken(token: Token) -> (Owner, u32) {
    let slot = (token.0 >> SLOT_SHIFT) as u32 & SLOT_MASK;
    let key = (token.0 & 0xFFFF_FFFF) as u32;
    if token.0 & DRIVER_BIT != 0 {
        return (Owner::Driver(DriverId(slot)), key);
    }
    let generation = (token.0 >> GENERATION_SHIFT) as u32 & GENERATION_MASK;
    (Owner::Instance(InstanceId::with_generation(slot, generation)), key)
}

/// Whether a token's owner is the instance that has the slot now.
pub(crate) fn is_current(token: InstanceId, current: InstanceId) -> bool {
    token.slot() == current.slot() && token.generation() == current.generation() & GENERATION_MASK
}
