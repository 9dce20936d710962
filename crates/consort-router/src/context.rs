//! What an instance can do with the router while one of its methods runs.

use std::time::{Duration, Instant};

use mio::event::Source;
use mio::{Interest, Registry, Token};

use crate::event::{Event, InstanceId};
use crate::live::{Live, LiveCounters, State, add};
use crate::warn_once::WarnOnce;

/// How many events an instance should emit in one call before other instances get a turn.
pub const BUDGET: usize = 256;

/// How many events one instance may emit in response to deliveries in one turn; more are
/// dropped and counted.
pub const ANSWER_LIMIT: usize = 65_536;

/// How many passed-on events may wait at once. Mappings that split and join again double a value
/// each time, so a few dozen of them could produce more events than memory holds; more are
/// dropped and counted.
pub const ECHO_LIMIT: usize = 1 << 22;

/// Called with an instance's number, a channel specification and a value for input that no
/// mapping uses.
pub type Observer = Box<dyn FnMut(InstanceId, &str, f64)>;

/// The parts of the router that instances reach through a [`Context`].
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) live: std::sync::Arc<Live>,
    pub(crate) bases: Vec<u32>,
    pub(crate) started: Instant,
    pub(crate) now: Instant,
    /// Events to be routed in this turn.
    pub(crate) arrived: Vec<Event>,
    /// Events to be routed in the next turn, and how many of each instance.
    pub(crate) deferred: Vec<Event>,
    pub(crate) deferred_of: Vec<u32>,
    pub(crate) delivering: bool,
    pub(crate) next_root: u32,
    pub(crate) deadlines: Vec<Option<Instant>>,
    pub(crate) earliest: Option<Instant>,
    pub(crate) again: Vec<(InstanceId, u32)>,
    /// Reports the first overflow above [`ECHO_LIMIT`].
    pub(crate) echo_overflow: WarnOnce,
    /// The instance that expects an answer within microseconds, and until when to poll for it.
    pub(crate) expecting: Option<(InstanceId, Instant)>,
    pub(crate) observer: Option<Observer>,
    pub(crate) stopping: bool,
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

    /// Whether the show is ending.
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping
    }

    /// Emits a value on one of this instance's channels.
    ///
    /// Called from [`Instance::deliver`](crate::Instance::deliver) the value is routed in the next
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
        let shared = &mut *self.shared;
        let base = shared.bases[instance.index()];
        debug_assert!(base + channel < shared.bases[instance.index() + 1], "unknown channel");
        let root = shared.next_root;
        shared.next_root = root.wrapping_add(1);
        let event = Event { value, channel: base + channel, root };
        let counters = &shared.live.instances[instance.index()].counters;
        if !shared.delivering {
            shared.arrived.push(event);
        } else {
            let count = &mut shared.deferred_of[instance.index()];
            if *count as usize >= ANSWER_LIMIT {
                add(&counters.dropped, 1);
                return;
            }
            *count += 1;
            shared.deferred.push(event);
        }
        add(&counters.incoming, 1);
    }

    /// Passes a delivery on, on the same channels, within this turn. An event that comes back
    /// to where it has been, by way of mappings, is dropped and the loop reported; so is what is
    /// more than [`ECHO_LIMIT`]. Only for instances whose [`Instance::echoes`](crate::Instance::echoes) is true.
    #[inline]
    pub fn echo_all(&mut self, events: &[Event]) {
        let base = self.shared.bases[self.instance.index()];
        let room = ECHO_LIMIT.saturating_sub(self.shared.arrived.len());
        let events = if events.len() > room { self.overflow(events, room) } else { events };
        self.shared
            .arrived
            .extend(events.iter().map(|event| Event { channel: base + event.channel, ..*event }));
        add(&self.counters().incoming, events.len() as u64);
    }

    /// Drops and counts the echoes above [`ECHO_LIMIT`].
    #[cold]
    fn overflow<'e>(&mut self, events: &'e [Event], room: usize) -> &'e [Event] {
        self.count_dropped((events.len() - room) as u64);
        if self.shared.echo_overflow.is_first() {
            tracing::warn!(
                instance = self.name(),
                "the mappings multiply values: at most {ECHO_LIMIT} events are handled at once; \
                 the excess is dropped and counted"
            );
        }
        &events[..room]
    }

    /// Reports input that no mapping uses. `specification` is only called when an observer is
    /// set (`consort learn`).
    pub fn unmapped(&mut self, value: f64, specification: impl FnOnce() -> String) {
        if let Some(observer) = &mut self.shared.observer {
            observer(self.instance, &specification(), value);
        }
    }

    /// Whether an observer receives what [`Context::unmapped`] reports.
    pub fn is_observed(&self) -> bool {
        self.shared.observer.is_some()
    }

    /// Asks for another call of [`Instance::ready`](crate::Instance::ready) with `key` in the
    /// next turn, after all other instances.
    pub fn call_again(&mut self, key: u32) {
        let call = (self.instance, key);
        if !self.shared.again.contains(&call) {
            self.shared.again.push(call);
        }
    }

    /// Announces an answer that is due within microseconds: until then the loop polls for
    /// readiness instead of sleeping, because waking a sleeping thread takes longer than such an
    /// answer. Other sources that become ready meanwhile are served at once. `None`: the answer
    /// has arrived.
    pub fn expect_answer(&mut self, within: Option<Duration>) {
        match within {
            Some(delay) => {
                self.shared.expecting = Some((self.instance, Instant::now() + delay));
            }
            None if self.is_expecting() => self.shared.expecting = None,
            None => {}
        }
    }

    /// Whether this instance is the last that expects an answer, in time or not.
    pub fn is_expecting(&self) -> bool {
        self.shared.expecting.is_some_and(|(instance, _)| instance == self.instance)
    }

    /// Asks for a call of [`Instance::timer`](crate::Instance::timer) at (or, when the loop is
    /// busy, soon after) a time; replaces what was asked before. None: no call.
    pub fn wake_at(&mut self, time: Option<Instant>) {
        let shared = &mut *self.shared;
        shared.deadlines[self.instance.index()] = time;
        shared.earliest = shared.deadlines.iter().flatten().min().copied();
    }

    /// Asks for a call of [`Instance::timer`](crate::Instance::timer) after `delay`.
    pub fn wake_in(&mut self, delay: Duration) {
        self.wake_at(Some(self.shared.now + delay));
    }

    /// The time set with [`Context::wake_at`] that has not come yet.
    pub fn wake_time(&self) -> Option<Instant> {
        self.shared.deadlines[self.instance.index()]
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
        let token = token(self.instance, key);
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
        let token = token(self.instance, key);
        self.shared.registry.reregister(source, token, interest)
    }

    /// Deregisters a source.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn deregister(&mut self, source: &mut impl Source) -> std::io::Result<()> {
        self.shared.registry.deregister(source)
    }

    /// Sets the state of this instance and logs the change.
    pub fn set_state(&mut self, state: State) {
        let name = self.shared.live.instance_name(self.instance);
        let before = self.shared.live.set_state(self.instance, state.clone());
        if before == state {
            return;
        }
        match &state {
            State::Starting => tracing::debug!(instance = name, "starting"),
            State::Up => tracing::info!(instance = name, "up"),
            State::Waiting(reason) => tracing::warn!(instance = name, "waiting: {reason}"),
            State::Failed(reason) => tracing::error!(instance = name, "failed: {reason}"),
            State::Stopped => tracing::debug!(instance = name, "stopped"),
        }
    }

    /// The state of this instance.
    pub fn state(&self) -> State {
        self.shared.live.state(self.instance)
    }

    /// Counts events that this instance had to drop.
    pub fn count_dropped(&mut self, count: u64) {
        add(&self.counters().dropped, count);
    }

    /// Counts errors of this instance.
    pub fn count_errors(&mut self, count: u64) {
        add(&self.counters().errors, count);
    }

    fn counters(&self) -> &LiveCounters {
        &self.shared.live.instances[self.instance.index()].counters
    }
}

pub(crate) const WAKER: Token = Token(usize::MAX);

pub(crate) fn token(instance: InstanceId, key: u32) -> Token {
    Token((instance.index() << 32) | key as usize)
}

pub(crate) fn untoken(token: Token) -> (InstanceId, u32) {
    (InstanceId((token.0 >> 32) as u32), (token.0 & 0xFFFF_FFFF) as u32)
}
