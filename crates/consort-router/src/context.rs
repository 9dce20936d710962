//! What an instance may ask of the router while one of its methods runs.

use std::time::{Duration, Instant};

use mio::event::Source;
use mio::{Interest, Registry, Token};

use crate::event::{Event, InstanceId};
use crate::live::{Live, LiveCounters, State, add};

/// How many events an instance should emit in one call before it lets others have a turn.
pub const BUDGET: usize = 256;

/// How many events the answers of one instance to its deliveries may add up to in one turn;
/// what is beyond that is dropped and counted.
pub const ANSWER_LIMIT: usize = 65_536;

/// How many events that are passed on unchanged may wait at once. Mappings that part and meet
/// again double a value each time, so a few dozen of them could make more than memory holds;
/// what is beyond this is dropped and counted.
pub const ECHO_LIMIT: usize = 1 << 22;

/// Called with an instance's number, a channel specification and a value for input that no
/// mapping uses.
pub type Observer = Box<dyn FnMut(InstanceId, &str, f64)>;

/// Everything of the router that instances reach through a [`Context`].
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
    /// Whether it was said that there were more echoes than [`ECHO_LIMIT`].
    pub(crate) echoes_overflowed: bool,
    /// Who expects an answer within microseconds, and until when it is worth waiting awake.
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

    /// A value has come in on one of this instance's channels.
    ///
    /// Out of [`Instance::deliver`](crate::Instance::deliver) the value is routed in the next
    /// turn of the loop, after everyone else had theirs.
    #[inline]
    pub fn emit(&mut self, channel: u32, value: f64) {
        self.emit_for(self.instance, channel, value);
    }

    /// The router as another instance of the backend sees it, where something shared (a
    /// sequencer client) serves several.
    pub fn for_instance(&mut self, instance: InstanceId) -> Context<'_> {
        Context { shared: self.shared, instance }
    }

    /// The same for another instance of the backend, where a shared socket serves several.
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

    /// Leaves out the echoes that there is no room for.
    #[cold]
    fn overflow<'e>(&mut self, events: &'e [Event], room: usize) -> &'e [Event] {
        self.count_dropped((events.len() - room) as u64);
        if !std::mem::replace(&mut self.shared.echoes_overflowed, true) {
            tracing::warn!(
                instance = self.name(),
                "mappings multiply values: more than {ECHO_LIMIT} at once are dropped and counted"
            );
        }
        &events[..room]
    }

    /// Something came in that no mapping uses. `specification` is only built when somebody
    /// listens (`consort learn`).
    pub fn unmapped(&mut self, value: f64, specification: impl FnOnce() -> String) {
        if let Some(observer) = &mut self.shared.observer {
            observer(self.instance, &specification(), value);
        }
    }

    /// Whether somebody listens to what [`Context::unmapped`] reports.
    pub fn is_observed(&self) -> bool {
        self.shared.observer.is_some()
    }

    /// Asks for another call of [`Instance::ready`](crate::Instance::ready) with `key` in the
    /// next turn, after everyone else had theirs.
    pub fn call_again(&mut self, key: u32) {
        let call = (self.instance, key);
        if !self.shared.again.contains(&call) {
            self.shared.again.push(call);
        }
    }

    /// Says that an answer is due within microseconds: until then the loop looks for readiness
    /// again and again instead of sleeping, because waking a sleeping thread takes longer than
    /// such an answer. Whatever else becomes ready meanwhile is served at once. None: it came.
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

    /// Asks for a call of [`Instance::timer`](crate::Instance::timer) in a while.
    pub fn wake_in(&mut self, delay: Duration) {
        self.wake_at(Some(self.shared.now + delay));
    }

    /// What was asked with [`Context::wake_at`] and has not come yet.
    pub fn wake_time(&self) -> Option<Instant> {
        self.shared.deadlines[self.instance.index()]
    }

    /// Has the router watch a source; its readiness comes to
    /// [`Instance::ready`](crate::Instance::ready) with `key`.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn register(
        &mut self,
        source: &mut impl Source,
        key: u32,
        interest: Interest,
    ) -> std::io::Result<()> {
        let token = token(self.instance, key);
        self.shared.registry.register(source, token, interest)
    }

    /// Changes what a registered source is watched for.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn reregister(
        &mut self,
        source: &mut impl Source,
        key: u32,
        interest: Interest,
    ) -> std::io::Result<()> {
        let token = token(self.instance, key);
        self.shared.registry.reregister(source, token, interest)
    }

    /// Ends the watch of a source.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn deregister(&mut self, source: &mut impl Source) -> std::io::Result<()> {
        self.shared.registry.deregister(source)
    }

    /// Says what this instance is doing; a change is logged.
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

    /// What this instance is doing.
    pub fn state(&self) -> State {
        self.shared.live.state(self.instance)
    }

    /// Counts events that this instance had to drop.
    pub fn count_dropped(&mut self, count: u64) {
        add(&self.counters().dropped, count);
    }

    /// Counts errors that this instance met.
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
