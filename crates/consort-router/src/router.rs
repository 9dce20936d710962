//! The event loop.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Waker};
use parking_lot::Mutex;

use crate::activity::Activity;
use crate::backend::{Driver, Instance, Readiness};
use crate::blocks::Block;
use crate::context::{
    Context, DriverContext, DriverId, MAX_TEXT_BYTES, Observer, Owner, Shared, WAKER, is_current,
    untoken,
};
use crate::engine::{Engine, MARK_BLOCK, MARK_GUARD, MARK_LOOP, Out, RouteControl};
use crate::event::{Event, InstanceId, TextEvent};
use crate::inspect::{InstanceReport, MAX_INSPECTED_CHANNELS};
use crate::live::{Live, State, add};
use crate::queue::{EventQueue, QueuedBlock};
use crate::routes::Routes;

mod build;
mod outside;
mod reload;

use outside::Guards;
pub(crate) use outside::Samples;
pub use reload::{Adoption, Reload, ReloadError, Reloaded};
use reload::{ReloadRequest, Reloading};

/// How long instances may take to stop, their last events included.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(3);

/// How many deliveries are collected before the batches are delivered.
const DELIVERY_CHUNK: usize = 8_192;

/// How many commands of other threads wait at most.
const COMMAND_LIMIT: usize = 4_096;

/// Why a show could not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The operating system gives no descriptor to wait on.
    #[error("the event loop cannot {operation}: {source}")]
    Poll {
        /// What was tried.
        operation: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// What another thread asks the router to do.
enum Command {
    /// Emits a value from a channel.
    Inject { instance: InstanceId, channel: u32, value: f64 },
    /// Delivers a value to a channel.
    Deliver { instance: InstanceId, channel: u32, value: f64 },
    /// Emits a text from a channel.
    InjectText { instance: InstanceId, channel: u32, text: Box<str> },
    /// Delivers a text to a channel.
    DeliverText { instance: InstanceId, channel: u32, text: Box<str> },
    /// Calls [`Instance::panic`] of every instance.
    Panic,
    /// Switches a layer.
    SwitchLayer { layer: u32, is_on: bool },
    /// Mutes, soloes or freezes a mapping.
    ControlRoute { route: u32, control: RouteControl, is_on: bool },
    /// Closes all mappings, or opens them again.
    Hold { is_on: bool },
    /// Puts a guard on a channel that may hear what it sends, with its rate in values per second.
    Guard { instance: InstanceId, channel: u32, rate: u64 },
    /// Answers with [`Instance::inspect`].
    Inspect { instance: InstanceId, channels: Range<u32>, answer: SyncSender<InstanceReport> },
}

/// How other threads reach the router.
struct Mailbox {
    waker: Waker,
    stop: AtomicBool,
    /// The instances are not waited for.
    stop_now: AtomicBool,
    activity: Activity,
    /// Commands with the generation of the layout that their numbers belong to.
    commands: Mutex<VecDeque<(u64, Command)>>,
    /// A reload that waits for the router.
    reload: Mutex<Option<ReloadRequest>>,
    live: Mutex<Arc<Live>>,
}

/// Controls a running show from any thread. Only [`inspect`](Self::inspect) blocks.
#[derive(Clone)]
pub struct Handle {
    mailbox: Arc<Mailbox>,
    /// The generation of the layout that the caller's numbers belong to; none: the present one.
    generation: Option<u64>,
}

impl Handle {
    /// Ends the show: every instance is stopped, its last events are routed, and
    /// [`Router::run`] returns.
    pub fn stop(&self) {
        self.mailbox.stop.store(true, Ordering::Release);
        self.wake();
    }

    /// Ends a show that is ending without waiting for its instances any longer: everything that
    /// sounds is ended as by [`panic`](Self::panic), what was emitted is delivered, and
    /// [`Router::run`] returns. Has no effect while an instance does not return.
    pub fn stop_now(&self) {
        self.mailbox.stop_now.store(true, Ordering::Release);
        self.stop();
    }

    /// Whether the show has ended.
    pub fn has_ended(&self) -> bool {
        !self.live().is_running()
    }

    pub(crate) fn activity(&self) -> &Activity {
        &self.mailbox.activity
    }

    /// The same handle for numbers of the layout of that generation: when a reload has made another
    /// one, setting channels returns false or has no effect.
    pub fn for_generation(&self, generation: u64) -> Handle {
        Handle { mailbox: Arc::clone(&self.mailbox), generation: Some(generation) }
    }

    /// Routes a value as if it had arrived on that channel: it goes to the channel's targets.
    /// Returns false when the channel does not exist, the value is NaN, or 4,096 commands are
    /// waiting already.
    pub fn inject(&self, instance: InstanceId, channel: u32, value: f64) -> bool {
        let value = value.clamp(0.0, 1.0);
        self.has_channel(instance, channel)
            && !value.is_nan()
            && self.push(Command::Inject { instance, channel, value })
    }

    /// Delivers a value to that channel as a mapping would. Returns false as
    /// [`inject`](Self::inject) does.
    pub fn deliver(&self, instance: InstanceId, channel: u32, value: f64) -> bool {
        let value = value.clamp(0.0, 1.0);
        self.has_channel(instance, channel)
            && !value.is_nan()
            && self.push(Command::Deliver { instance, channel, value })
    }

    /// [`inject`](Self::inject) for a text of at most [`MAX_TEXT_BYTES`] bytes.
    pub fn inject_text(&self, instance: InstanceId, channel: u32, text: &str) -> bool {
        self.has_channel(instance, channel)
            && text.len() <= MAX_TEXT_BYTES
            && self.push(Command::InjectText { instance, channel, text: text.into() })
    }

    /// [`deliver`](Self::deliver) for a text of at most [`MAX_TEXT_BYTES`] bytes.
    pub fn deliver_text(&self, instance: InstanceId, channel: u32, text: &str) -> bool {
        self.has_channel(instance, channel)
            && text.len() <= MAX_TEXT_BYTES
            && self.push(Command::DeliverText { instance, channel, text: text.into() })
    }

    /// Makes a layer active: the one of its group, or, without a group, one that was switched off.
    /// `is_on = false` switches a layer without a group off; layers of a group are switched off by
    /// another one. Conditions (`when`, `unless`) still count. Returns false as
    /// [`inject`](Self::inject) does.
    pub fn switch_layer(&self, layer: u32, is_on: bool) -> bool {
        let live = self.live();
        self.generation.is_none_or(|generation| generation == live.generation())
            && (layer as usize) < live.layer_count()
            && self.push(Command::SwitchLayer { layer, is_on })
    }

    /// Mutes, soloes or freezes a mapping, by its number in [`Live::route`], or ends that. Returns
    /// false as [`inject`](Self::inject) does.
    pub fn control_route(&self, route: u32, control: RouteControl, is_on: bool) -> bool {
        let live = self.live();
        self.generation.is_none_or(|generation| generation == live.generation())
            && (route as usize) < live.route_count()
            && self.push(Command::ControlRoute { route, control, is_on })
    }

    /// Closes all mappings, so that the outputs keep their values, or opens them again. The release of
    /// a press that began before passes still, and so does what views send to a target. Returns false
    /// when 4,096 commands are waiting already.
    pub fn hold(&self, is_on: bool) -> bool {
        self.push(Command::Hold { is_on })
    }

    /// Ends everything that sounds or is held at the receivers; lights keep their levels. Returns
    /// false when 4,096 commands are waiting already.
    pub fn panic(&self) -> bool {
        self.push(Command::Panic)
    }

    /// What an instance knows about its sockets and about its channels with these numbers, of which
    /// at most [`MAX_INSPECTED_CHANNELS`] count. Waits for the router, for `limit` at most; `None`
    /// after that, and if there is no such instance. Must not be called on the router's thread.
    pub fn inspect(
        &self,
        instance: InstanceId,
        channels: Range<u32>,
        limit: Duration,
    ) -> Option<InstanceReport> {
        let live = self.live();
        if !live.has_instance(instance) || !live.is_running() {
            return None;
        }
        let count = live.channel_infos(instance).len() as u32;
        let end = channels.end.min(channels.start.saturating_add(MAX_INSPECTED_CHANNELS));
        let channels = channels.start.min(count)..end.min(count);
        let (answer, answered) = sync_channel(1);
        let is_asked = self.push(Command::Inspect { instance, channels, answer });
        is_asked.then(|| answered.recv_timeout(limit).ok()).flatten()
    }

    /// The show as other threads see it. A reload replaces it: see [`Live::is_replaced`].
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.mailbox.live.lock())
    }

    fn has_channel(&self, instance: InstanceId, channel: u32) -> bool {
        let live = self.live();
        self.generation.is_none_or(|generation| generation == live.generation())
            && live.has_instance(instance)
            && (channel as usize) < live.channel_infos(instance).len()
    }

    fn push(&self, command: Command) -> bool {
        let generation = self.generation.unwrap_or_else(|| self.live().generation());
        let mut commands = self.mailbox.commands.lock();
        if commands.len() >= COMMAND_LIMIT {
            return false;
        }
        commands.push_back((generation, command));
        drop(commands);
        self.wake();
        true
    }

    fn wake(&self) {
        if let Err(error) = self.mailbox.waker.wake() {
            tracing::error!("cannot wake the event loop: {error}");
        }
    }
}

/// An instance in its slot.
struct Slot {
    id: InstanceId,
    instance: Box<dyn Instance>,
}

/// The event loop of a show. Everything runs on the thread that calls [`Router::run`].
pub struct Router {
    shared: Shared,
    poll: Poll,
    events: Events,
    slots: Vec<Slot>,
    /// The drivers in the order of the show's backends. Dropped after the instances, whose shared
    /// state they may hold.
    drivers: Vec<Box<dyn Driver>>,
    routes: Arc<Routes>,
    /// The mappings with stages, layers or a mute.
    engine: Engine,
    /// The batch collected for each instance.
    batches: Vec<Vec<Event>>,
    /// The instances whose batch is not empty, in the order of their first event.
    pending: Vec<u32>,
    /// The events being routed; what instances pass on meanwhile is routed after them.
    routing: EventQueue,
    /// The events of a block that is taken apart.
    expanded: EventQueue,
    /// Channels on a loop and the roots that have passed them while routing.
    visited: HashSet<(u32, u32)>,
    loop_reports: Vec<u64>,
    /// Guards on channels that hear what they send.
    guards: Guards,
    /// Calls asked for in the last turn, made in this one.
    called: Vec<(Owner, u32)>,
    /// A reload whose instances are stopping.
    reloading: Option<Reloading>,
    handle: Handle,
}

impl Router {
    /// A handle for other threads.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Calls `observer`, on the router's thread, for input that belongs to no mapped channel.
    pub fn observe_unmatched(&mut self, observer: Observer) {
        self.shared.observer = Some(observer);
    }

    /// Starts every instance, routes until [`Handle::stop`], and stops every instance.
    /// Blocks for as long as the show runs.
    ///
    /// # Errors
    /// Only when the operating system refuses to wait for events.
    pub fn run(&mut self) -> Result<(), RunError> {
        self.start();
        while !self.is_stop_asked() {
            self.step(None)?;
        }
        self.finish()
    }

    /// Whether [`Handle::stop`] was called.
    pub fn is_stop_asked(&self) -> bool {
        self.handle.mailbox.stop.load(Ordering::Acquire)
    }

    /// Starts every instance and routes what they emit while starting. For programs with a loop of
    /// their own, which call [`Router::step`] and [`Router::finish`] after it.
    pub fn start(&mut self) {
        self.shared.now = Instant::now();
        for index in 0..self.slots.len() {
            self.call(index, |instance, context| instance.start(context));
        }
        self.apply_state_changes();
    }

    /// One turn of the loop: waits until something is ready (or a timer is due, or `limit`
    /// has passed; none: without limit), reads it, routes it.
    ///
    /// # Errors
    /// When the operating system refuses to wait for events.
    pub fn step(&mut self, limit: Option<Duration>) -> Result<(), RunError> {
        let busy = !self.shared.again.is_empty() || !self.shared.deferred.is_empty();
        let timeout = if busy {
            Some(Duration::ZERO)
        } else {
            let due = self.shared.deadlines.earliest();
            let due = due.into_iter().chain(self.shared.driver_deadlines.earliest()).min();
            let tick = self.engine.next_tick();
            let tick = tick.map(|micros| self.shared.started + Duration::from_micros(micros));
            let due = due.into_iter().chain(tick).min();
            let due = due.map(|time| time.saturating_duration_since(self.shared.clock()));
            due.into_iter().chain(limit).chain(self.reload_timeout()).min()
        };
        self.handle.mailbox.activity.end_turn();
        let waited = self.wait(timeout);
        self.handle.mailbox.activity.begin_turn();
        match waited {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(source) => return Err(RunError::Poll { operation: "wait", source }),
        }
        self.shared.now = self.shared.clock();
        self.route_deferred();

        std::mem::swap(&mut self.called, &mut self.shared.again);
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            if event.token() == WAKER {
                self.take_commands();
                self.take_reload();
                continue;
            }
            let (owner, key) = untoken(event.token());
            let readiness = Readiness {
                readable: event.is_readable() || event.is_read_closed() || event.is_error(),
                writable: event.is_writable() || event.is_write_closed() || event.is_error(),
                closed: event.is_read_closed() || event.is_error(),
                again: false,
            };
            self.called.retain(|call| !is_same_call(call, owner, key));
            self.call_owner(owner, key, readiness);
        }
        self.events = events;
        let again = Readiness { readable: true, writable: false, closed: false, again: true };
        for index in 0..self.called.len() {
            let (owner, key) = self.called[index];
            self.call_owner(owner, key, again);
        }
        self.called.clear();
        self.run_timers();
        if self.engine.next_tick().is_some_and(|tick| tick <= self.micros()) {
            self.with_engine(|engine, out| engine.tick(out));
        }
        if !self.shared.state_changes.is_empty() {
            self.apply_state_changes();
        }
        if self.reloading.is_some() {
            self.turn_reload();
        }
        Ok(())
    }

    /// Waits for readiness; while an answer is expected, without sleeping.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if timeout != Some(Duration::ZERO)
            && let Some((_, until)) = self.shared.expecting
        {
            let timers =
                [self.shared.deadlines.earliest(), self.shared.driver_deadlines.earliest()];
            let due = timers.into_iter().flatten().fold(until, Instant::min);
            while Instant::now() < due {
                // The worker that is to answer may be waiting for this processor.
                std::thread::yield_now();
                self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
                if !self.events.is_empty() {
                    return Ok(());
                }
            }
            self.shared.expecting = None;
        }
        self.poll.poll(&mut self.events, timeout)
    }

    /// Calls `method` with the context of an instance, for tests.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn with_context(&mut self, id: InstanceId, method: impl FnOnce(&mut Context<'_>)) {
        method(&mut Context::new(&mut self.shared, id));
        self.route();
    }

    /// Stops the router's clock, for tests: it moves only by [`advance`](Self::advance).
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn freeze_clock(&mut self) {
        self.shared.frozen_clock = Some(self.shared.now);
    }

    /// Moves a stopped clock on, in steps of a tick at most, with a turn after each.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn advance(&mut self, duration: Duration) {
        let end = self.shared.clock() + duration;
        while self.shared.clock() < end {
            let next = self.shared.clock() + Duration::from_millis(10);
            self.shared.frozen_clock = Some(next.min(end));
            self.step(Some(Duration::ZERO)).expect("a turn");
        }
    }

    /// Calls an instance and routes what it emitted.
    fn call(&mut self, index: usize, method: impl FnOnce(&mut dyn Instance, &mut Context<'_>)) {
        self.handle.mailbox.activity.enter(index);
        let slot = &mut self.slots[index];
        method(&mut *slot.instance, &mut Context::new(&mut self.shared, slot.id));
        if !self.shared.arrived.is_empty() {
            self.route();
        }
    }

    /// Reports readiness to an instance or a driver. A report for an instance that was replaced
    /// meanwhile is dropped.
    fn call_owner(&mut self, owner: Owner, key: u32, readiness: Readiness) {
        match owner {
            Owner::Instance(id) => {
                if self.slots.get(id.index()).is_some_and(|slot| is_current(id, slot.id)) {
                    self.call(id.index(), |instance, context| {
                        instance.ready(key, readiness, context);
                    });
                }
            }
            Owner::Driver(id) => self.call_driver(id, |driver, context| {
                driver.ready(key, readiness, context);
            }),
        }
    }

    fn call_driver(
        &mut self,
        id: DriverId,
        method: impl FnOnce(&mut dyn Driver, &mut DriverContext<'_>),
    ) {
        let Some(driver) = self.drivers.get_mut(id.0 as usize) else {
            if self.is_guard_timer(id) {
                self.check_guards();
            }
            return;
        };
        method(&mut **driver, &mut DriverContext::new(&mut self.shared, id));
        if !self.shared.arrived.is_empty() {
            self.route();
        }
    }

    fn run_timers(&mut self) {
        let now = self.shared.now;
        let is_due = |time: Option<Instant>| time.is_some_and(|time| time <= now);
        if is_due(self.shared.deadlines.earliest()) {
            let mut next = 0;
            while let Some(index) = self.shared.deadlines.take_due(next, now) {
                self.call(index, |instance, context| instance.timer(context));
                next = index + 1;
            }
        }
        if is_due(self.shared.driver_deadlines.earliest()) {
            let mut next = 0;
            while let Some(index) = self.shared.driver_deadlines.take_due(next, now) {
                self.call_driver(DriverId(index as u32), |driver, context| driver.timer(context));
                next = index + 1;
            }
        }
    }

    fn take_commands(&mut self) {
        let commands = std::mem::take(&mut *self.handle.mailbox.commands.lock());
        for (generation, command) in commands {
            // Numbers of an older layout mean other channels now.
            if generation == self.shared.live.generation() {
                self.execute(command);
            }
        }
        self.route();
    }

    /// Carries out a command. Injected values wait for each other and are routed together by the
    /// next command of another kind or by the caller.
    fn execute(&mut self, command: Command) {
        if !matches!(command, Command::Inject { .. } | Command::InjectText { .. }) {
            self.route();
        }
        // The layout may have changed since the command was given.
        let exists = |shared: &Shared, instance: InstanceId, channel: u32| {
            shared.live.has_instance(instance)
                && (channel as usize) < shared.live.channel_infos(instance).len()
        };
        match command {
            Command::Inject { instance, channel, value } => {
                if exists(&self.shared, instance, channel) {
                    Context::new(&mut self.shared, instance).emit(channel, value);
                }
            }
            Command::InjectText { instance, channel, text } => {
                if exists(&self.shared, instance, channel) {
                    Context::new(&mut self.shared, instance).emit_text(channel, &text);
                }
            }
            Command::Deliver { instance, channel, value } => {
                if exists(&self.shared, instance, channel) {
                    self.deliver_value(instance, channel, value);
                }
            }
            Command::DeliverText { instance, channel, text } => {
                if exists(&self.shared, instance, channel) {
                    let root = self.shared.next_root();
                    let global = self.shared.bases[instance.index()] + channel;
                    self.shared.live.record_text(global, &text);
                    self.deliver_text(instance, TextEvent { text: &text, channel, root });
                }
            }
            Command::Inspect { instance, channels, answer } => {
                if self.shared.live.has_instance(instance) {
                    let report = self.slots[instance.index()].instance.inspect(channels);
                    // The one who asked may have stopped waiting.
                    let _ = answer.try_send(report);
                }
            }
            Command::SwitchLayer { layer, is_on } => {
                self.with_engine(|engine, out| engine.switch_layer(layer, is_on, out));
            }
            Command::ControlRoute { route, control, is_on } => {
                if (route as usize) < self.routes.len() {
                    self.with_engine(|engine, out| {
                        engine.control(route as usize, control, is_on, out);
                    });
                }
            }
            Command::Hold { is_on } => {
                self.with_engine(|engine, out| engine.hold(is_on, out));
                self.shared.live.holding.store(is_on, Ordering::Relaxed);
            }
            Command::Guard { instance, channel, rate } => {
                if exists(&self.shared, instance, channel) {
                    self.guard(self.shared.bases[instance.index()] + channel, rate);
                }
            }
            Command::Panic => {
                for index in 0..self.slots.len() {
                    self.call(index, |instance, context| instance.panic(context));
                }
            }
        }
    }

    /// Delivers one value that no mapping routes.
    fn deliver_value(&mut self, id: InstanceId, channel: u32, value: f64) {
        let event = Event { value, channel, root: self.shared.next_root() };
        let global = (self.shared.bases[id.index()] + channel) as usize;
        if !self.shared.live.origin.instances[id.index()].passes_on {
            self.shared.live.record(global as u32, value);
        }
        self.batches[id.index()].push(event);
        self.pending.push(id.slot());
        self.shared.delivering = true;
        self.deliver();
        self.shared.delivering = false;
        self.with_engine(|engine, out| engine.delivered(global as u32, value, out));
    }

    /// Microseconds since the start of the show.
    fn micros(&self) -> u64 {
        micros(&self.shared)
    }

    /// Calls the engine and routes what it put into batches.
    fn with_engine(&mut self, method: impl FnOnce(&mut Engine, &mut Out<'_>)) {
        let root = self.shared.next_root();
        let mut out = Out {
            batches: &mut self.batches,
            pending: &mut self.pending,
            live: &self.shared.live,
            routes: &self.routes,
            now: micros(&self.shared),
            root,
            roots: &self.shared.next_root,
            count: 0,
        };
        method(&mut self.engine, &mut out);
        self.shared.delivering = true;
        self.deliver();
        self.shared.delivering = false;
        self.route();
    }

    /// Sends devices that came back what they show, and takes the contributions of others away.
    fn apply_state_changes(&mut self) {
        while let Some((instance, is_up)) = self.shared.state_changes.pop() {
            if is_up {
                self.with_engine(|engine, out| engine.refresh(instance, out));
            } else {
                self.with_engine(|engine, out| engine.instance_lost(instance, out));
            }
        }
    }

    fn route_deferred(&mut self) {
        if self.shared.deferred.is_empty() {
            return;
        }
        std::mem::swap(&mut self.shared.arrived, &mut self.shared.deferred);
        self.shared.deferred_of.fill(0);
        self.route();
    }

    /// Routes all that has arrived, and what instances pass on, until nothing is left.
    fn route(&mut self) {
        self.shared.delivering = true;
        while !self.shared.arrived.is_empty() {
            std::mem::swap(&mut self.routing, &mut self.shared.arrived);
            let mut next = 0;
            let mut blocks = 0;
            for text in 0..self.routing.texts.len() {
                self.route_blocks(&mut blocks, &mut next, text);
                // The values that arrived before a text are delivered before it.
                let position = self.routing.texts[text].position;
                self.route_values(&mut next, position);
                self.route_text(text);
            }
            self.route_blocks(&mut blocks, &mut next, self.routing.texts.len());
            let end = self.routing.values.len();
            self.route_values(&mut next, end);
            self.routing.clear();
        }
        self.shared.delivering = false;
        self.visited.clear();
    }

    #[inline]
    fn route_values(&mut self, next: &mut usize, end: usize) {
        while *next < end {
            *next = self.collect(*next, end);
            self.deliver();
        }
    }

    /// Routes the blocks that arrived before the text of an index, and the values before them.
    fn route_blocks(&mut self, block: &mut usize, next: &mut usize, text: usize) {
        while let Some(&queued) = self.routing.blocks.get(*block)
            && queued.texts <= text
        {
            self.route_values(next, queued.position);
            self.route_block(&queued);
            *block += 1;
        }
    }

    /// Delivers a block to its target, or routes the events that it stands for.
    fn route_block(&mut self, queued: &QueuedBlock) {
        let run = self.shared.live.blocks.run(queued.run);
        let queue = std::mem::take(&mut self.routing);
        let (levels, changed) = queue.levels(queued);
        let (channel, slot, root) = (run.target_channel, run.target_slot, queued.root);
        let marks = &self.engine.marks[run.source as usize..][..run.length as usize];
        if marks.iter().fold(0, |other, mark| other | (mark ^ MARK_BLOCK)) == 0 {
            let block = Block { channel, slot, levels, changed, root };
            let live = &self.shared.live;
            live.blocks.record(queued.run, &block, &live.channels);
            let target = run.target_instance as usize;
            add(&live.instances[target].counters.outgoing, queued.count.into());
            self.handle.mailbox.activity.enter(target);
            let slot = &mut self.slots[target];
            slot.instance.deliver_block(&block, &mut Context::new(&mut self.shared, slot.id));
        } else {
            let block = Block { channel: run.source, slot, levels, changed, root };
            std::mem::swap(&mut self.routing, &mut self.expanded);
            self.routing.values.extend(block.events());
            let (mut next, end) = (0, self.routing.values.len());
            self.route_values(&mut next, end);
            self.routing.clear();
            std::mem::swap(&mut self.routing, &mut self.expanded);
        }
        self.routing = queue;
    }

    /// Sorts the events from index `next` up to `end` into the batches of their targets, until
    /// [`DELIVERY_CHUNK`] deliveries are collected; returns the index of the next event.
    fn collect(&mut self, mut next: usize, end: usize) -> usize {
        let live = &*self.shared.live;
        let routes = &*self.routes;
        let values = &self.routing.values[..end];
        let mut count = 0;
        while next < values.len() && count < DELIVERY_CHUNK {
            let event = values[next];
            next += 1;
            let index = event.channel as usize;
            live.channels[index].record(event.value);
            let mark = self.engine.marks[index];
            if mark != 0 {
                if mark & MARK_BLOCK != 0 {
                    settle_event(live, routes, event);
                }
                if mark & MARK_LOOP != 0 && !self.visited.insert((event.channel, event.root)) {
                    report_feedback(routes, live, index, &mut self.loop_reports);
                    continue;
                }
                if mark & MARK_GUARD != 0 && self.guards.stops(event, live, self.shared.now) {
                    continue;
                }
                if mark & !(MARK_LOOP | MARK_GUARD | MARK_BLOCK) != 0 {
                    count += mapped_event(
                        &mut self.engine,
                        (&mut self.batches, &mut self.pending),
                        (&self.shared, routes),
                        event,
                    );
                    continue;
                }
            }
            let targets = routes.targets(event.channel);
            count += targets.len();
            for target in targets {
                let batch = &mut self.batches[target.instance as usize];
                if batch.is_empty() {
                    self.pending.push(target.instance);
                }
                batch.push(Event { channel: target.channel, ..event });
                if !target.passes_on {
                    live.channels[target.global as usize].record(event.value);
                }
            }
        }
        next
    }

    fn deliver(&mut self) {
        for index in 0..self.pending.len() {
            let instance = self.pending[index] as usize;
            let mut batch = std::mem::take(&mut self.batches[instance]);
            self.handle.mailbox.activity.enter(instance);
            let slot = &mut self.slots[instance];
            add(&self.shared.live.instances[instance].counters.outgoing, batch.len() as u64);
            let mut context = Context::new(&mut self.shared, slot.id);
            slot.instance.deliver(&batch, &mut context);
            batch.clear();
            self.batches[instance] = batch;
        }
        self.pending.clear();
    }

    /// Delivers a text of the queue to its targets.
    fn route_text(&mut self, index: usize) {
        let queue = std::mem::take(&mut self.routing);
        let queued = &queue.texts[index];
        let text = queue.text(queued);
        let (channel, root) = (queued.channel, queued.root);
        self.shared.live.record_text(channel, text);
        let on_loop = self.routes.loops[channel as usize] != 0;
        if on_loop && !self.visited.insert((channel, root)) {
            let live = &*self.shared.live;
            report_feedback(&self.routes, live, channel as usize, &mut self.loop_reports);
        } else {
            for index in self.routes.range(channel) {
                let target = self.routes.target(index);
                if !self.engine.passes_text(index) {
                    continue;
                }
                if !target.passes_on {
                    self.shared.live.record_text(target.global, text);
                }
                let id = self.slots[target.instance as usize].id;
                self.deliver_text(id, TextEvent { text, channel: target.channel, root });
            }
        }
        self.routing = queue;
    }

    fn deliver_text(&mut self, id: InstanceId, event: TextEvent<'_>) {
        add(&self.shared.live.instances[id.index()].counters.outgoing, 1);
        let was_delivering = std::mem::replace(&mut self.shared.delivering, true);
        let mut context = Context::new(&mut self.shared, id);
        self.slots[id.index()].instance.deliver_text(event, &mut context);
        self.shared.delivering = was_delivering;
    }

    /// Stops every instance; routing goes on until all are done or the time is up.
    ///
    /// # Errors
    /// When the operating system refuses to wait for events.
    pub fn finish(&mut self) -> Result<(), RunError> {
        self.abandon_reload(ReloadError::Ending);
        self.shared.stopping = true;
        self.shared.now = Instant::now();
        let limit = self.shared.now + STOP_LIMIT;
        for index in 0..self.slots.len() {
            // A reload may have stopped some already.
            if !self.shared.leaving.contains(&self.slots[index].id) {
                self.call(index, |instance, context| instance.stop(context));
            }
        }
        loop {
            let waiting = self.slots.iter().any(|slot| !slot.instance.is_stopped());
            if !waiting && self.shared.deferred.is_empty() {
                break;
            }
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.report_unstopped();
                break;
            }
            if self.handle.mailbox.stop_now.load(Ordering::Acquire) {
                self.report_unstopped();
                for index in 0..self.slots.len() {
                    self.call(index, |instance, context| instance.panic(context));
                }
                self.step(Some(Duration::ZERO))?;
                break;
            }
            self.step(Some(left))?;
        }
        for slot in &self.slots {
            self.shared.live.set_state(slot.id, State::Stopped);
        }
        self.shared.live.running.store(false, Ordering::Release);
        self.handle.mailbox.activity.wake();
        Ok(())
    }

    fn report_unstopped(&self) {
        for slot in (0..self.slots.len()).filter(|&slot| !self.slots[slot].instance.is_stopped()) {
            self.report_unstopped_slot(slot);
        }
    }

    fn report_unstopped_slot(&self, slot: usize) {
        let name = self.shared.live.instance_name(self.slots[slot].id);
        tracing::warn!(instance = %name, "did not stop within {STOP_LIMIT:?}");
    }
}

/// Hands an event of a marked channel to the engine; returns how many values it put into batches.
/// Not part of the loop over other channels, so that this keeps its registers.
#[cold]
#[inline(never)]
fn mapped_event(
    engine: &mut Engine,
    (batches, pending): (&mut Vec<Vec<Event>>, &mut Vec<u32>),
    (shared, routes): (&Shared, &Routes),
    event: Event,
) -> usize {
    let (live, now, root) = (&*shared.live, micros(shared), event.root);
    let roots = &shared.next_root;
    let mut out = Out { batches, pending, live, routes, now, root, roots, count: 0 };
    engine.event(event, &mut out);
    out.count
}

/// Settles the counts of a channel that may have values in blocks, and of its targets, before the
/// event is routed. The channel's own value is that of the event.
#[cold]
#[inline(never)]
fn settle_event(live: &Live, routes: &Routes, event: Event) {
    live.blocks.settle(event.channel, &live.channels);
    live.channels[event.channel as usize].record_many(event.value, 0);
    for target in routes.targets(event.channel) {
        live.blocks.settle(target.global, &live.channels);
    }
}

/// Microseconds since the start of the show.
fn micros(shared: &Shared) -> u64 {
    u64::try_from((shared.now - shared.started).as_micros()).unwrap_or(u64::MAX)
}

/// Whether a pending call is for this owner and key. A generation counts by its lower bits.
fn is_same_call(call: &(Owner, u32), owner: Owner, key: u32) -> bool {
    let is_same_owner = match (owner, call.0) {
        (Owner::Instance(token), Owner::Instance(id)) => is_current(token, id),
        (token, called) => token == called,
    };
    call.1 == key && is_same_owner
}

/// Reports once for each loop the channels that feed each other.
#[cold]
fn report_feedback(routes: &Routes, live: &Live, index: usize, reports: &mut [u64]) {
    let number = routes.loops[index];
    let count = &mut reports[number as usize];
    *count += 1;
    let owner = routes.bases.partition_point(|&base| base as usize <= index) - 1;
    add(&live.instances[owner].counters.dropped, 1);
    if *count > 1 {
        return;
    }
    let names: Vec<String> = (0..routes.loops.len())
        .filter(|&channel| routes.loops[channel] == number)
        .take(8)
        .map(|channel| {
            let owner = routes.bases.partition_point(|&base| base as usize <= channel) - 1;
            let instance = &live.instances[owner];
            format!("{}.{}", instance.name, instance.channels[channel - instance.base].name)
        })
        .collect();
    tracing::warn!(
        "feedback: these channels are mapped in a loop; values stop at the channel where they started: {}",
        names.join(", ")
    );
}
