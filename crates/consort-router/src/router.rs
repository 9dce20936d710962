//! The event loop.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Waker};
use parking_lot::Mutex;

use crate::backend::{Backend, Instance, Readiness};
use crate::config::Show;
use crate::context::{Context, Observer, Shared, WAKER, untoken};
use crate::event::{Event, InstanceId};
use crate::live::{Live, LiveChannel, LiveCounters, LiveInstance, State, add};
use crate::routes::Routes;
use crate::warn_once::WarnOnce;

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
    Inject { instance: InstanceId, channel: u32, value: f64 },
}

/// How other threads reach the router.
struct Mailbox {
    waker: Waker,
    stop: AtomicBool,
    commands: Mutex<VecDeque<Command>>,
}

/// Controls a running show from any thread.
#[derive(Clone)]
pub struct Handle {
    mailbox: Arc<Mailbox>,
    live: Arc<Live>,
}

impl Handle {
    /// Ends the show: every instance is stopped, its last events are routed, and
    /// [`Router::run`] returns. Does not block.
    pub fn stop(&self) {
        self.mailbox.stop.store(true, Ordering::Release);
        self.wake();
    }

    /// Puts a value into the router as if it had come in on that channel. Does not block.
    /// Returns false when the channel does not exist, the value is NaN, or 4,096 values are
    /// waiting already.
    pub fn inject(&self, instance: InstanceId, channel: u32, value: f64) -> bool {
        let known = self
            .live
            .instances
            .get(instance.index())
            .is_some_and(|instance| (channel as usize) < instance.channels.len());
        let mut commands = self.mailbox.commands.lock();
        if !known || value.is_nan() || commands.len() >= COMMAND_LIMIT {
            return false;
        }
        commands.push_back(Command::Inject { instance, channel, value: value.clamp(0.0, 1.0) });
        drop(commands);
        self.wake();
        true
    }

    /// The show as other threads see it.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    fn wake(&self) {
        if let Err(error) = self.mailbox.waker.wake() {
            tracing::error!("cannot wake the event loop: {error}");
        }
    }
}

/// The event loop of a show. Everything runs on the thread that calls [`Router::run`].
pub struct Router {
    shared: Shared,
    poll: Poll,
    events: Events,
    instances: Vec<Box<dyn Instance>>,
    routes: Routes,
    /// The batch collected for each instance.
    batches: Vec<Vec<Event>>,
    /// The instances whose batch is not empty, in the order of their first event.
    pending: Vec<u32>,
    /// The events being routed; what instances pass on meanwhile is routed after them.
    routing: Vec<Event>,
    /// Channels on a loop and the roots that have passed them while routing.
    visited: HashSet<(u32, u32)>,
    loop_reports: Vec<u64>,
    /// Calls asked for in the last turn, made in this one.
    called: Vec<(InstanceId, u32)>,
    handle: Handle,
    // Dropped after the instances, whose shared state they may hold.
    _backends: Vec<Box<dyn Backend>>,
}

fn poll_error(operation: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::Poll { operation, source }
}

impl Router {
    /// Builds a router for a show without starting it.
    ///
    /// # Errors
    /// When the operating system gives no descriptors to wait on.
    pub fn new(show: Show) -> Result<Self, RunError> {
        let poll = Poll::new().map_err(poll_error("be made"))?;
        let registry = poll.registry().try_clone().map_err(poll_error("be shared"))?;
        let waker = Waker::new(&registry, WAKER).map_err(poll_error("be woken"))?;
        let routes = Routes::new(&show);
        let count = show.instances.len();
        let mut instances = Vec::with_capacity(count);
        let mut live_instances = Vec::with_capacity(count);
        for (index, entry) in show.instances.into_iter().enumerate() {
            instances.push(entry.instance);
            live_instances.push(LiveInstance {
                name: entry.name,
                backend: entry.backend,
                base: routes.bases[index] as usize,
                channels: entry.channels,
                counters: LiveCounters::default(),
                state: Mutex::new(State::Starting),
            });
        }
        let mut channels = Vec::new();
        channels.resize_with(routes.channel_count(), LiveChannel::default);
        let live =
            Arc::new(Live { instances: live_instances, channels, running: AtomicBool::new(true) });
        let now = Instant::now();
        let shared = Shared {
            registry,
            live: Arc::clone(&live),
            bases: routes.bases.clone(),
            started: now,
            now,
            arrived: Vec::with_capacity(1_024),
            deferred: Vec::with_capacity(1_024),
            deferred_of: vec![0; count],
            delivering: false,
            next_root: 1,
            deadlines: vec![None; count],
            earliest: None,
            again: Vec::with_capacity(count),
            echo_overflow: WarnOnce::default(),
            expecting: None,
            observer: None,
            stopping: false,
        };
        let mailbox = Arc::new(Mailbox {
            waker,
            stop: AtomicBool::new(false),
            commands: Mutex::new(VecDeque::new()),
        });
        Ok(Router {
            shared,
            poll,
            events: Events::with_capacity(256),
            instances,
            batches: vec![Vec::new(); count],
            pending: Vec::with_capacity(count),
            routing: Vec::with_capacity(1_024),
            visited: HashSet::new(),
            loop_reports: vec![0; routes.loop_count as usize + 1],
            routes,
            called: Vec::with_capacity(count),
            handle: Handle { mailbox, live },
            _backends: show.backends,
        })
    }

    /// A handle for other threads.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Calls `observer`, on the router's thread, for input that no mapping uses.
    pub fn observe_unmapped(&mut self, observer: Observer) {
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
        for index in 0..self.instances.len() {
            self.call(index, |instance, context| instance.start(context));
        }
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
            let due = self.shared.earliest;
            let due = due.map(|time| time.saturating_duration_since(Instant::now()));
            due.into_iter().chain(limit).min()
        };
        match self.wait(timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(source) => return Err(RunError::Poll { operation: "wait", source }),
        }
        self.shared.now = Instant::now();
        self.route_deferred();

        std::mem::swap(&mut self.called, &mut self.shared.again);
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            if event.token() == WAKER {
                self.take_commands();
                continue;
            }
            let (instance, key) = untoken(event.token());
            let readiness = Readiness {
                readable: event.is_readable() || event.is_read_closed() || event.is_error(),
                writable: event.is_writable() || event.is_write_closed() || event.is_error(),
                closed: event.is_read_closed() || event.is_error(),
                again: false,
            };
            self.called.retain(|call| *call != (instance, key));
            self.call(instance.index(), |instance, context| {
                instance.ready(key, readiness, context)
            });
        }
        self.events = events;
        let again = Readiness { readable: true, writable: false, closed: false, again: true };
        for index in 0..self.called.len() {
            let (instance, key) = self.called[index];
            self.call(instance.index(), |instance, context| instance.ready(key, again, context));
        }
        self.called.clear();
        self.run_timers();
        Ok(())
    }

    /// Waits for readiness; while an answer is expected, without sleeping.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if timeout != Some(Duration::ZERO)
            && let Some((_, until)) = self.shared.expecting
        {
            let due = self.shared.earliest.map_or(until, |due| due.min(until));
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

    /// Calls an instance and routes what came in.
    fn call(&mut self, index: usize, method: impl FnOnce(&mut dyn Instance, &mut Context<'_>)) {
        let id = InstanceId(index as u32);
        method(&mut *self.instances[index], &mut Context::new(&mut self.shared, id));
        if !self.shared.arrived.is_empty() {
            self.route();
        }
    }

    fn run_timers(&mut self) {
        let now = self.shared.now;
        if self.shared.earliest.is_none_or(|time| time > now) {
            return;
        }
        for index in 0..self.instances.len() {
            if self.shared.deadlines[index].is_some_and(|time| time <= now) {
                self.shared.deadlines[index] = None;
                self.call(index, |instance, context| instance.timer(context));
            }
        }
        self.shared.earliest = self.shared.deadlines.iter().flatten().min().copied();
    }

    fn take_commands(&mut self) {
        let mut commands = self.handle.mailbox.commands.lock();
        let taken = std::mem::take(&mut *commands);
        drop(commands);
        for Command::Inject { instance, channel, value } in taken {
            Context::new(&mut self.shared, instance).emit(channel, value);
        }
        self.route();
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
            while next < self.routing.len() {
                next = self.collect(next);
                self.deliver();
            }
            self.routing.clear();
        }
        self.shared.delivering = false;
        self.visited.clear();
    }

    /// Sorts the events from index `next` on into the batches of their targets, until
    /// [`DELIVERY_CHUNK`] deliveries are collected; returns the index of the next event.
    fn collect(&mut self, mut next: usize) -> usize {
        let live = &*self.shared.live;
        let mut count = 0;
        while next < self.routing.len() && count < DELIVERY_CHUNK {
            let event = self.routing[next];
            next += 1;
            let index = event.channel as usize;
            live.channels[index].record(event.value);
            if self.routes.loops[index] != 0 && !self.visited.insert((event.channel, event.root)) {
                report_feedback(&self.routes, live, index, &mut self.loop_reports);
                continue;
            }
            let targets = self.routes.targets(event.channel);
            count += targets.len();
            for target in targets {
                let batch = &mut self.batches[target.instance as usize];
                if batch.is_empty() {
                    self.pending.push(target.instance);
                }
                batch.push(Event { channel: target.channel, ..event });
                if !target.echoes {
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
            let id = InstanceId(self.pending[index]);
            add(&self.shared.live.instances[instance].counters.outgoing, batch.len() as u64);
            let mut context = Context::new(&mut self.shared, id);
            self.instances[instance].deliver(&batch, &mut context);
            batch.clear();
            self.batches[instance] = batch;
        }
        self.pending.clear();
    }

    /// Stops every instance; routing goes on until all are done or the time is up.
    ///
    /// # Errors
    /// When the operating system refuses to wait for events.
    pub fn finish(&mut self) -> Result<(), RunError> {
        self.shared.stopping = true;
        self.shared.now = Instant::now();
        let limit = self.shared.now + STOP_LIMIT;
        for index in 0..self.instances.len() {
            self.call(index, |instance, context| instance.stop(context));
        }
        loop {
            let waiting = self.instances.iter().any(|instance| !instance.is_stopped());
            if !waiting && self.shared.deferred.is_empty() {
                break;
            }
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.report_unstopped();
                break;
            }
            self.step(Some(left))?;
        }
        for index in 0..self.instances.len() {
            self.shared.live.set_state(InstanceId(index as u32), State::Stopped);
        }
        self.handle.live.running.store(false, Ordering::Release);
        Ok(())
    }

    fn report_unstopped(&self) {
        for (index, instance) in self.instances.iter().enumerate() {
            if !instance.is_stopped() {
                let name = &self.shared.live.instances[index].name;
                tracing::warn!(instance = %name, "did not stop within {STOP_LIMIT:?}");
            }
        }
    }
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
            format!("{}.{}", instance.name, instance.channels[channel - instance.base])
        })
        .collect();
    tracing::warn!(
        "feedback: these channels are mapped in a loop; values stop at the channel where they started: {}",
        names.join(", ")
    );
}
