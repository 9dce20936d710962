//! The I/O thread of a server, and what it shares with the callers.

mod io_thread;
mod link;

use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_osc::TimeTag;

use crate::bundling::encode_packets;
use crate::callbacks::CallbackRegistry;
use crate::capture::{CaptureBuffer, CapturedPacket, Direction};
use crate::context::{ContextShared, Host, Outgoing};
use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Event, EventQueue};
use crate::lifecycle::{BootStatus, Timeouts};
use crate::options::{Options, Protocol};
use crate::pending::Slot;
use crate::shared_memory::SharedMemory;
use link::Link;

/// Datagrams from this size on are counted, so that a server gets no more of them at once than
/// the system keeps for it; smaller ones are sent by the caller's own thread, unless larger ones
/// wait.
const LARGE: usize = 8_192;

/// Text that the process prints between two points.
#[derive(Debug)]
pub(crate) struct ConsoleTap {
    pub(crate) marker: String,
    pub(crate) lines: Vec<String>,
    pub(crate) slot: Arc<Slot<Vec<String>>>,
    pub(crate) deadline: Duration,
}

#[derive(Debug)]
struct Connection {
    link: Arc<Link>,
    limit: usize,
}

/// What the I/O thread and the callers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) context: Arc<ContextShared>,
    core: Mutex<Core>,
    connection: Mutex<Option<Connection>>,
    wake: OwnedFd,
    /// When the I/O thread wakes by itself, in microseconds since `start`.
    wakes_at: AtomicU64,
    closing: AtomicBool,
    refused: AtomicBool,
    /// Datagrams wait for the server to read earlier ones; what is sent now goes behind them.
    /// Written with the state machine locked.
    paced: AtomicBool,
    start: Instant,
    pub(crate) callbacks: Arc<CallbackRegistry>,
    events: Mutex<Vec<Weak<EventQueue>>>,
    captures: Mutex<Vec<Weak<CaptureBuffer>>>,
    capture_count: AtomicUsize,
    event_count: AtomicUsize,
    pub(crate) console: Mutex<Vec<ConsoleTap>>,
    memory: Mutex<Option<Arc<SharedMemory>>>,
    pub(crate) signals: Signals,
    process_id: AtomicU64,
}

/// Waiters for the start and the end of a server's life.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    state: Mutex<SignalState>,
}

#[derive(Debug, Default)]
struct SignalState {
    started: Option<bool>,
    ended: Option<bool>,
    start_slots: Vec<Arc<Slot<bool>>>,
    end_slots: Vec<Arc<Slot<bool>>>,
    was_online: bool,
}

impl Signals {
    fn lock(&self) -> MutexGuard<'_, SignalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new life begins.
    pub(crate) fn begin(&self) {
        let mut state = self.lock();
        state.started = None;
        state.ended = None;
        state.was_online = false;
    }

    pub(crate) fn started(&self, success: bool) {
        let mut state = self.lock();
        state.started.get_or_insert(success);
        state.was_online |= success;
        for slot in state.start_slots.drain(..) {
            slot.fill(Ok(success));
        }
    }

    /// The life ended: in good order or not.
    pub(crate) fn ended(&self, in_order: bool) {
        let mut state = self.lock();
        state.started.get_or_insert(false);
        state.ended = Some(in_order);
        for slot in state.end_slots.drain(..) {
            slot.fill(Ok(in_order));
        }
        for slot in state.start_slots.drain(..) {
            slot.fill(Ok(false));
        }
    }

    pub(crate) fn start_slot(&self) -> Arc<Slot<bool>> {
        let slot = Slot::new();
        let mut state = self.lock();
        match state.started {
            Some(success) => slot.fill(Ok(success)),
            None => state.start_slots.push(slot.clone()),
        }
        slot
    }

    pub(crate) fn end_slot(&self) -> Arc<Slot<bool>> {
        let slot = Slot::new();
        let mut state = self.lock();
        match state.ended {
            Some(in_order) => slot.fill(Ok(in_order)),
            None => state.end_slots.push(slot.clone()),
        }
        slot
    }
}

impl Shared {
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on the state machine and lets the I/O thread do what it asks for.
    pub(crate) fn command<T>(&self, work: impl FnOnce(&mut Core, Duration) -> T) -> T {
        let result = work(&mut self.core(), self.now());
        self.wake_up();
        result
    }

    pub(crate) fn wake_up(&self) {
        // Only fails when the counter is full, and then the thread wakes anyway.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// The process that this client started, if it runs.
    pub(crate) fn process_id(&self) -> Option<u32> {
        u32::try_from(self.process_id.load(Ordering::Relaxed)).ok().filter(|id| *id != 0)
    }

    pub(crate) fn add_events(&self, queue: &Arc<EventQueue>) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.retain(|queue| queue.strong_count() > 0);
        events.push(Arc::downgrade(queue));
        self.event_count.store(events.len(), Ordering::Relaxed);
    }

    pub(crate) fn publish(&self, event: &Event) {
        if self.event_count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.retain(|queue| match queue.upgrade() {
            Some(queue) => {
                if queue.wants(event) {
                    queue.push(event.clone());
                }
                true
            }
            None => false,
        });
        self.event_count.store(events.len(), Ordering::Relaxed);
    }

    pub(crate) fn add_capture(&self, buffer: &Arc<CaptureBuffer>) {
        let mut captures = self.captures.lock().unwrap_or_else(PoisonError::into_inner);
        captures.retain(|buffer| buffer.strong_count() > 0);
        captures.push(Arc::downgrade(buffer));
        self.capture_count.store(captures.len(), Ordering::Relaxed);
    }

    fn capture(&self, direction: Direction, bytes: &[u8]) {
        if self.capture_count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut captures = self.captures.lock().unwrap_or_else(PoisonError::into_inner);
        let time = self.now();
        captures.retain(|buffer| match buffer.upgrade() {
            Some(buffer) => {
                buffer.push(CapturedPacket { time, direction, bytes: bytes.to_vec() });
                true
            }
            None => false,
        });
        self.capture_count.store(captures.len(), Ordering::Relaxed);
    }

    fn connection(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn link(&self) -> Option<(Arc<Link>, usize)> {
        self.connection().as_ref().map(|connection| (connection.link.clone(), connection.limit))
    }

    /// Sends a packet without waiting for anything.
    ///
    /// # Errors
    /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) if the system takes no datagram now.
    fn send_packet(&self, link: &Link, packet: &[u8]) -> std::io::Result<()> {
        self.capture(Direction::Sent, packet);
        match link.send(packet) {
            Ok(false) => Ok(()),
            Ok(true) => {
                self.wake_up();
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                // An earlier datagram found the port closed, and this one was not sent.
                self.refused.store(true, Ordering::Relaxed);
                self.wake_up();
                link.send(packet).map(|_| ())
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the slots of these requests wait for their replies. Returns the waits' numbers.
    fn wait_for_replies(&self, outgoing: &Outgoing<'_>) -> Result<Range<u64>> {
        if outgoing.waiting.is_empty() {
            return Ok(0..0);
        }
        let now = self.now();
        let mut core = self.core();
        let mut waits = 0..0;
        for (index, slot) in outgoing.waiting {
            let request = &outgoing.requests[*index];
            // A reply comes when the time does.
            let later = outgoing.seconds.map(|seconds| {
                let ahead = seconds - unix_now();
                let ahead = Duration::try_from_secs_f64(ahead.max(0.0)).unwrap_or(Duration::MAX);
                ahead.saturating_add(core.timeouts().request)
            });
            match core.wait_for(request, slot.clone(), later, now) {
                Ok(number) if waits.is_empty() => waits = number..number + 1,
                Ok(number) => waits.end = number + 1,
                Err(error) => {
                    core.forget(waits);
                    return Err(error);
                }
            }
        }
        let deadline = core.next_deadline();
        drop(core);
        if deadline.is_some_and(|deadline| {
            (deadline.as_micros() as u64) < self.wakes_at.load(Ordering::Relaxed)
        }) {
            self.wake_up();
        }
        Ok(waits)
    }

    /// Encodes and sends requests. Large datagrams, and all that follows them, are left to the
    /// I/O thread.
    fn send_requests(
        &self,
        outgoing: &Outgoing<'_>,
        link: &Link,
        limit: usize,
        waits: Range<u64>,
    ) -> Result<()> {
        let time = outgoing
            .seconds
            .map(|seconds| TimeTag::from_unix_seconds(seconds + self.context.lock().latency));
        let is_datagram = limit == Protocol::Udp.packet_limit();
        let is_paced = self.paced.load(Ordering::Acquire);
        let mut left: Vec<Vec<u8>> = Vec::new();
        encode_packets(time, outgoing.requests, limit, &mut |packet| {
            if is_datagram && (is_paced || !left.is_empty() || packet.len() >= LARGE) {
                left.push(packet.to_vec());
                return Ok(());
            }
            match self.send_packet(link, packet) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && is_datagram => {
                    left.push(packet.to_vec());
                    Ok(())
                }
                Err(error) => Err(cannot_send(error)),
                Ok(()) => Ok(()),
            }
        })?;
        if !left.is_empty() {
            let mut core = self.core();
            core.pace(left, waits)?;
            self.paced.store(true, Ordering::Release);
            drop(core);
            self.wake_up();
        }
        Ok(())
    }

    pub(crate) fn memory(&self) -> Option<Arc<SharedMemory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Maps the memory of a server on this machine, if that is possible.
    fn open_memory(&self, options: &Options) {
        if options.ip_address.is_loopback() || options.ip_address.is_unspecified() {
            match SharedMemory::open(options.port, options.control_bus_channel_count) {
                Ok(memory) => {
                    *self.memory.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(Arc::new(memory));
                }
                Err(error) => tracing::debug!(%error, "no shared memory; OSC serves instead"),
            }
        }
    }
}

impl Host for Shared {
    fn transmit(&self, outgoing: Outgoing<'_>) -> Result<()> {
        if !self.context.is_online() {
            return Err(Error::new(
                ErrorKind::ServerOffline,
                "the server is not online; boot it or connect to it first",
            ));
        }
        let Some((link, limit)) = self.link() else {
            return Err(Error::new(ErrorKind::ServerOffline, "the connection is closed"));
        };
        let waits = self.wait_for_replies(&outgoing)?;
        let sent = self.send_requests(&outgoing, &link, limit, waits.clone());
        if sent.is_err() && !waits.is_empty() {
            self.core().forget(waits);
        }
        sent
    }

    fn check_time(&self, _seconds: Option<f64>) -> Result<()> {
        if self.context.is_online() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::ServerOffline,
            "the server is not online; boot it or connect to it first",
        ))
    }

    fn shared_memory(&self) -> Option<Arc<SharedMemory>> {
        self.memory()
    }

    fn warn(&self, warning: &str) {
        tracing::warn!("{warning}");
        self.publish(&Event::Warning(warning.to_owned()));
    }
}

fn cannot_send(error: std::io::Error) -> Error {
    Error::io("cannot send to the server", error)
}

/// Seconds of Unix time.
pub(crate) fn unix_now() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |duration| duration.as_secs_f64())
}

/// A server's I/O thread; dropping this ends an owned server and logs out of another's.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Driver {
    pub(crate) fn start(context: Arc<ContextShared>, timeouts: Timeouts) -> Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| Error::io("cannot make an event descriptor", error.into()))?;
        let shared = Arc::new(Shared {
            core: Mutex::new(Core::new(context.clone(), timeouts)),
            context: context.clone(),
            connection: Mutex::new(None),
            wake,
            wakes_at: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            paced: AtomicBool::new(false),
            start: Instant::now(),
            callbacks: Arc::default(),
            events: Mutex::default(),
            captures: Mutex::default(),
            capture_count: AtomicUsize::new(0),
            event_count: AtomicUsize::new(0),
            console: Mutex::default(),
            memory: Mutex::new(None),
            signals: Signals::default(),
            process_id: AtomicU64::new(0),
        });
        let host: Arc<dyn Host> = shared.clone();
        context.set_host(Arc::downgrade(&host));
        let for_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("consort-sc-io".into())
            .spawn(move || io_thread::run(&for_thread))
            .map_err(|error| Error::io("cannot start the I/O thread", error))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        self.shared.wake_up();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the I/O thread of a server panicked");
        }
    }
}

fn packet_limit(protocol: Protocol) -> usize {
    protocol.packet_limit()
}

fn is_over(status: BootStatus) -> bool {
    status == BootStatus::Offline
}
