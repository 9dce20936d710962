//! The I/O thread of a server, which drives the [`Core`], and the state that it shares with the
//! callers.

mod io_thread;
mod link;
mod refusals;
mod synthdef_files;
mod warnings;

use std::borrow::Cow;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_osc::TimeTag;
use parking_lot::{Mutex, MutexGuard};

use crate::SynthDefFile;
use crate::bundling::encode_packets;
use crate::callbacks::CallbackRegistry;
use crate::capture::{CaptureBuffer, CapturedPacket, Direction};
use crate::clock::unix_now;
use crate::context::{ContextShared, Host, Outgoing, ReplyWait};
use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Event, EventQueue};
use crate::lifecycle::Timeouts;
use crate::options::{Options, Protocol};
use crate::pending::Slot;
use crate::requests::Request;
use crate::shared_memory::SharedMemory;
use link::Link;
pub(crate) use refusals::{Refusals, refused};
use synthdef_files::SynthDefFiles;
use warnings::Warnings;

/// Datagrams of at least this size go through the send window, so that the server gets no more at
/// once than the system keeps for it. Smaller ones are sent by the caller's own thread, unless
/// larger ones wait.
const LARGE_DATAGRAM_BYTES: usize = 8_192;

/// Collects the lines that the process prints until a line contains the marker.
#[derive(Debug)]
pub(crate) struct ConsoleTap {
    pub(crate) marker: String,
    pub(crate) lines: Vec<String>,
    pub(crate) slot: Arc<Slot<Vec<String>>>,
    pub(crate) deadline: Duration,
}

/// The open socket to the server.
#[derive(Clone, Debug)]
struct Connection {
    link: Arc<Link>,
    protocol: Protocol,
}

/// The state that the I/O thread and the callers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) context: Arc<ContextShared>,
    core: Mutex<Core>,
    connection: Mutex<Option<Connection>>,
    wake: OwnedFd,
    /// When the I/O thread wakes up by itself, in microseconds since `start`.
    wakes_at: AtomicU64,
    /// The last handle was dropped.
    is_closing: AtomicBool,
    /// A caller's thread found the server's port closed.
    was_refused: AtomicBool,
    /// Datagrams wait for the server to read earlier ones, so that further ones have to be queued.
    /// Written while the state machine is locked.
    has_queue: AtomicBool,
    start: Instant,
    pub(crate) callbacks: Arc<CallbackRegistry>,
    events: Mutex<Vec<Weak<EventQueue>>>,
    captures: Mutex<Vec<Weak<CaptureBuffer>>>,
    capture_count: AtomicUsize,
    event_count: AtomicUsize,
    pub(crate) console: Mutex<Vec<ConsoleTap>>,
    memory: Mutex<Option<Arc<SharedMemory>>>,
    process_id: AtomicU64,
    pub(crate) refusals: Refusals,
    synthdef_files: SynthDefFiles,
    warnings: Warnings,
    /// SynthDef files above the size of a datagram, which are loaded after each boot.
    pub(crate) large_initial_synthdefs: Mutex<Vec<SynthDefFile>>,
}

impl Shared {
    /// The time since the client object was created.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// The state machine.
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock()
    }

    /// Runs `work` on the state machine and lets the I/O thread perform its actions.
    pub(crate) fn command<T>(&self, work: impl FnOnce(&mut Core, Duration) -> T) -> T {
        let result = work(&mut self.core(), self.now());
        self.wake_up();
        result
    }

    /// Wakes the I/O thread.
    pub(crate) fn wake_up(&self) {
        // This fails only when the counter is full, and then the thread wakes up anyway.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// The id of the process that this client started, if it runs.
    pub(crate) fn process_id(&self) -> Option<u32> {
        u32::try_from(self.process_id.load(Ordering::Relaxed)).ok().filter(|id| *id != 0)
    }

    /// Adds a receiver of events.
    pub(crate) fn add_events(&self, queue: &Arc<EventQueue>) {
        let mut events = self.events.lock();
        events.retain(|queue| queue.strong_count() > 0);
        events.push(Arc::downgrade(queue));
        self.event_count.store(events.len(), Ordering::Relaxed);
    }

    /// Passes an event to all receivers that accept it.
    pub(crate) fn publish(&self, event: &Event) {
        if self.event_count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut events = self.events.lock();
        events.retain(|queue| match queue.upgrade() {
            Some(queue) => {
                if queue.accepts(event) {
                    queue.push(event.clone());
                }
                true
            }
            None => false,
        });
        self.event_count.store(events.len(), Ordering::Relaxed);
    }

    /// Adds a capture.
    pub(crate) fn add_capture(&self, buffer: &Arc<CaptureBuffer>) {
        let mut captures = self.captures.lock();
        captures.retain(|buffer| buffer.strong_count() > 0);
        captures.push(Arc::downgrade(buffer));
        self.capture_count.store(captures.len(), Ordering::Relaxed);
    }

    fn capture(&self, direction: Direction, bytes: &[u8]) {
        if self.capture_count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut captures = self.captures.lock();
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

    /// Sends a packet without waiting.
    ///
    /// # Errors
    /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) if the system does not accept a datagram now.
    fn send_packet(&self, link: &Link, packet: &[u8]) -> std::io::Result<()> {
        self.capture(Direction::Sent, packet);
        match link.send(packet) {
            Ok(false) => Ok(()),
            Ok(true) => {
                self.wake_up();
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                // The error is about an earlier datagram that found the port closed; this one was not
                // sent.
                self.was_refused.store(true, Ordering::Relaxed);
                self.wake_up();
                link.send(packet).map(|_| ())
            }
            Err(error) => Err(error),
        }
    }

    /// Registers the waiting requests. Returns the numbers of their waits.
    fn wait_for_replies(&self, outgoing: &Outgoing<'_>) -> Result<Range<u64>> {
        if outgoing.waiting.is_empty() {
            return Ok(0..0);
        }
        let now = self.now();
        let mut core = self.core();
        let mut waits = 0..0;
        for (index, slot) in outgoing.waiting {
            let request = &outgoing.requests[*index];
            // The reply to a timed request arrives after its time.
            let timeout = outgoing.seconds.map(|seconds| {
                let ahead = seconds - unix_now();
                let ahead = Duration::try_from_secs_f64(ahead.max(0.0)).unwrap_or(Duration::MAX);
                ahead.saturating_add(core.timeouts().request)
            });
            match core.wait_for(request, slot.clone(), timeout, now) {
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
        self.wake_before(deadline);
        Ok(waits)
    }

    /// Wakes the I/O thread if it would sleep beyond the deadline.
    fn wake_before(&self, deadline: Option<Duration>) {
        if deadline.is_some_and(|deadline| {
            (deadline.as_micros() as u64) < self.wakes_at.load(Ordering::Relaxed)
        }) {
            self.wake_up();
        }
    }

    /// Encodes and sends requests. Large datagrams, and everything after them, are left to the I/O
    /// thread.
    fn send_requests(
        &self,
        outgoing: &Outgoing<'_>,
        connection: &Connection,
        waits: Range<u64>,
    ) -> Result<()> {
        let time = outgoing
            .seconds
            .map(|seconds| TimeTag::from_unix_seconds(seconds + self.context.lock().latency));
        let limit = connection.protocol.packet_limit();
        let has_queue = self.has_queue.load(Ordering::Acquire);
        let mut queued: Vec<Vec<u8>> = Vec::new();
        encode_packets(time, outgoing.requests, limit, &mut |packet| {
            self.send_or_queue(packet, connection, has_queue, &mut queued)
        })?;
        self.enqueue(queued, waits)
    }

    /// Sends a packet, or adds it to `queued` if it has to wait for the send window.
    fn send_or_queue(
        &self,
        packet: &[u8],
        connection: &Connection,
        has_queue: bool,
        queued: &mut Vec<Vec<u8>>,
    ) -> Result<()> {
        let is_datagram = connection.protocol == Protocol::Udp;
        if is_datagram && (has_queue || !queued.is_empty() || packet.len() >= LARGE_DATAGRAM_BYTES)
        {
            queued.push(packet.to_vec());
            return Ok(());
        }
        match self.send_packet(&connection.link, packet) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && is_datagram => {
                queued.push(packet.to_vec());
                Ok(())
            }
            Err(error) => Err(cannot_send(error)),
            Ok(()) => Ok(()),
        }
    }

    /// Leaves packets to the I/O thread.
    fn enqueue(&self, queued: Vec<Vec<u8>>, waits: Range<u64>) -> Result<()> {
        if !queued.is_empty() {
            let mut core = self.core();
            core.enqueue(queued, waits)?;
            self.has_queue.store(true, Ordering::Release);
            drop(core);
            self.wake_up();
        }
        Ok(())
    }

    /// The requests, with those for SynthDefs that are too large for a datagram replaced.
    fn with_synthdef_files<'r>(
        &self,
        requests: &'r [Request],
        protocol: Protocol,
    ) -> Result<Cow<'r, [Request]>> {
        let may_be_large = |request: &Request| matches!(request, Request::ReceiveSynthDef(_));
        if protocol != Protocol::Udp || !requests.iter().any(may_be_large) {
            return Ok(Cow::Borrowed(requests));
        }
        let is_owner = self.core().is_owner();
        self.synthdef_files.replace_large(requests, &self.context.options(), is_owner)
    }

    /// The server's shared memory, if it is mapped.
    pub(crate) fn memory(&self) -> Option<Arc<SharedMemory>> {
        self.memory.lock().clone()
    }

    /// Maps the shared memory of a server on this machine, if possible.
    fn open_memory(&self, options: &Options) {
        if options.ip_address.is_loopback() || options.ip_address.is_unspecified() {
            match SharedMemory::open(options.port, options.control_bus_channel_count) {
                Ok(memory) => {
                    *self.memory.lock() = Some(Arc::new(memory));
                }
                Err(error) => {
                    tracing::debug!(%error, "shared memory is not available; using OSC instead")
                }
            }
        }
    }
}

impl Host for Shared {
    fn transmit(&self, outgoing: Outgoing<'_>) -> Result<()> {
        if !self.context.is_online() {
            return Err(offline());
        }
        let Some(connection) = self.connection.lock().clone() else {
            return Err(Error::new(ErrorKind::ServerOffline, "the connection is closed"));
        };
        let requests = self.with_synthdef_files(outgoing.requests, connection.protocol)?;
        let outgoing = Outgoing { requests: &requests, ..outgoing };
        let waits = self.wait_for_replies(&outgoing)?;
        let sent = self.send_requests(&outgoing, &connection, waits.clone());
        if sent.is_err() && !waits.is_empty() {
            self.core().forget(waits);
        }
        sent
    }

    fn transmit_encoded(&self, packet: &[u8], wait: Option<ReplyWait>) -> Result<()> {
        if !self.context.is_online() {
            return Err(offline());
        }
        let Some(connection) = self.connection.lock().clone() else {
            return Err(Error::new(ErrorKind::ServerOffline, "the connection is closed"));
        };
        let limit = connection.protocol.packet_limit();
        if packet.len() > limit {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the packet has {} bytes; {limit} can be sent", packet.len()),
            ));
        }
        let waits = match wait {
            Some(ReplyWait { command, pattern, slot, timeout }) => {
                let now = self.now();
                let mut core = self.core();
                let number = core.wait_for_pattern(command, pattern, slot, timeout, now)?;
                self.wake_before(core.next_deadline());
                number..number + 1
            }
            None => 0..0,
        };
        let mut queued = Vec::new();
        let has_queue = self.has_queue.load(Ordering::Acquire);
        let sent = self
            .send_or_queue(packet, &connection, has_queue, &mut queued)
            .and_then(|()| self.enqueue(queued, waits.clone()));
        if sent.is_err() && !waits.is_empty() {
            self.core().forget(waits);
        }
        sent
    }

    fn check_time(&self, _seconds: Option<f64>) -> Result<()> {
        if self.context.is_online() { Ok(()) } else { Err(offline()) }
    }

    fn shared_memory(&self) -> Option<Arc<SharedMemory>> {
        self.memory()
    }

    fn has_present(&self) -> bool {
        true
    }

    fn sample_clock_ratio(&self) -> f64 {
        self.core().sample_clock().ratio()
    }

    fn sample_position(&self) -> f64 {
        self.core().sample_clock().position(self.now())
    }

    fn time_of_position(&self, position: f64) -> f64 {
        let clock = self.core().sample_clock();
        unix_now() + clock.seconds_until(position, self.now())
    }

    fn warn(&self, warning: &str) {
        if self.warnings.is_new(warning) {
            tracing::warn!("{warning}");
            self.print_unheard(&warning);
            self.publish(&Event::Warning(warning.to_owned()));
        }
    }
}

/// The error for requests while no server is online.
fn offline() -> Error {
    Error::new(ErrorKind::ServerOffline, "the server is not online; boot it or connect to it first")
}

/// The error for a packet that the system did not send.
fn cannot_send(error: std::io::Error) -> Error {
    Error::io("cannot send to the server", error)
}

/// The I/O thread of a server. Dropping it quits an owned server and logs out of any other.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Driver {
    /// Starts the I/O thread.
    pub(crate) fn start(context: Arc<ContextShared>, timeouts: Timeouts) -> Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| Error::io("cannot create an event descriptor", error.into()))?;
        let shared = Arc::new(Shared {
            core: Mutex::new(Core::new(context.clone(), timeouts)),
            context: context.clone(),
            connection: Mutex::new(None),
            wake,
            wakes_at: AtomicU64::new(0),
            is_closing: AtomicBool::new(false),
            was_refused: AtomicBool::new(false),
            has_queue: AtomicBool::new(false),
            start: Instant::now(),
            callbacks: Arc::default(),
            events: Mutex::default(),
            captures: Mutex::default(),
            capture_count: AtomicUsize::new(0),
            event_count: AtomicUsize::new(0),
            console: Mutex::default(),
            memory: Mutex::new(None),
            process_id: AtomicU64::new(0),
            refusals: Refusals::default(),
            synthdef_files: SynthDefFiles::default(),
            warnings: Warnings::default(),
            large_initial_synthdefs: Mutex::default(),
        });
        let host: Arc<dyn Host> = shared.clone();
        context.set_host(Arc::downgrade(&host));
        let thread_shared = shared.clone();
        let thread = std::thread::Builder::new()
            .name("consort-sc-io".into())
            .spawn(move || io_thread::run(&thread_shared))
            .map_err(|error| Error::io("cannot start the I/O thread", error))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.is_closing.store(true, Ordering::Relaxed);
        self.shared.wake_up();
        let thread = self.thread.get_mut().take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the I/O thread panicked");
        }
    }
}
