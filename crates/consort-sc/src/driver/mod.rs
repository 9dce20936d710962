//! The I/O thread of a server, which drives the [`Connection`], and the state that it shares with
//! the callers. Callers lock the connection, make their requests and send the packets themselves;
//! the I/O thread receives, keeps the time and performs the events.

mod io_thread;
mod link;
mod refusals;
mod synthdef_files;
mod waiters;
mod warnings;

use std::borrow::Cow;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_osc::{OscMessage, TimeTag};
use parking_lot::{Mutex, MutexGuard};

use crate::SynthDefFile;
use crate::callbacks::CallbackRegistry;
use crate::capture::{CaptureBuffer, CapturedPacket, Direction};
use crate::clock::unix_now;
use crate::context::{ContextShared, Host, Outgoing, ReplyWait};
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Event, EventQueue};
use crate::options::Options;
use crate::pending::Slot;
use crate::proto::{CommandId, Connection, RequestIds, Submission};
use crate::requests::Request;
use crate::shared_memory::SharedMemory;
use link::Link;
pub(crate) use refusals::{Refusals, refused};
use synthdef_files::SynthDefFiles;
use waiters::Waiters;
use warnings::Warnings;

/// Collects the lines that the process prints until a line contains the marker.
#[derive(Debug)]
pub(crate) struct ConsoleTap {
    pub(crate) marker: String,
    pub(crate) lines: Vec<String>,
    pub(crate) slot: Arc<Slot<Vec<String>>>,
    pub(crate) deadline: Duration,
}

/// The state that the I/O thread and the callers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) context: Arc<ContextShared>,
    /// The open socket to the server. It is locked after the connection.
    link: Mutex<Option<Arc<Link>>>,
    waiters: Waiters,
    wake: OwnedFd,
    /// When the I/O thread wakes up by itself, in microseconds since `start`.
    wakes_at: AtomicU64,
    /// The last handle was dropped.
    is_closing: AtomicBool,
    /// A caller's thread found the server's port closed.
    was_refused: AtomicBool,
    /// The system does not accept a datagram now. The I/O thread sends when it does.
    is_full: AtomicBool,
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

    /// The connection.
    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.context.connection()
    }

    /// Runs `work` on the connection and lets the I/O thread perform its events.
    pub(crate) fn step<T>(&self, work: impl FnOnce(&mut Connection, Duration) -> T) -> T {
        let result = work(&mut self.connection(), self.now());
        self.wake_up();
        result
    }

    /// Gives a command to the connection. The slot gets its result.
    pub(crate) fn command(
        &self,
        slot: &Arc<Slot<()>>,
        work: impl FnOnce(&mut Connection, Duration) -> Result<CommandId>,
    ) {
        let result = self.step(|connection, now| {
            work(connection, now).map(|command| self.waiters.commands.add(command, slot))
        });
        if let Err(error) = result {
            slot.fill(Err(error));
        }
    }

    /// Lets the slot wait for which of these SynthDefs the server has.
    pub(crate) fn probe(&self, names: &[String], slot: &Arc<Slot<Vec<bool>>>) -> Result<()> {
        self.step(|connection, now| {
            connection.probe(names, now).map(|probe| self.waiters.probes.add(probe, slot))
        })
    }

    /// Lets the slot wait for the reply to a request that is sent afterwards.
    pub(crate) fn wait_for(
        &self,
        request: &Request,
        slot: &Arc<Slot<OscMessage>>,
        timeout: Duration,
    ) -> Result<()> {
        self.step(|connection, now| {
            let id = connection.wait_for(request, Some(timeout), now)?;
            self.waiters.replies.add(id, slot);
            Ok(())
        })
    }

    /// A slot for the result of the start.
    pub(crate) fn start_slot(&self) -> Arc<Slot<bool>> {
        self.waiters.starts.slot(self.connection().start_result())
    }

    /// A slot for the end of the connection.
    pub(crate) fn end_slot(&self) -> Arc<Slot<bool>> {
        self.waiters.ends.slot(self.connection().end_result())
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

    /// Wakes the I/O thread if it would sleep beyond the deadline.
    fn wake_before(&self, deadline: Option<Duration>) {
        if deadline.is_some_and(|deadline| {
            (deadline.as_micros() as u64) < self.wakes_at.load(Ordering::Relaxed)
        }) {
            self.wake_up();
        }
    }

    /// Sends what the connection has to send. What the system does not accept now is left to the I/O
    /// thread. Returns the first error.
    fn flush(&self, connection: &mut Connection) -> std::io::Result<()> {
        if self.is_full.load(Ordering::Relaxed) {
            return Ok(());
        }
        // Otherwise the time does not matter.
        let now = if connection.has_window() { self.now() } else { Duration::ZERO };
        let link = self.link.lock();
        let mut result = Ok(());
        while connection.has_queue()
            && let Some(packet) = connection.poll_transmit(now)
        {
            // What was to be sent when the connection was closed is dropped.
            let Some(link) = &*link else { continue };
            match self.send_packet(link, packet) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    connection.transmit_blocked();
                    self.is_full.store(true, Ordering::Relaxed);
                    self.wake_up();
                    break;
                }
                sent => result = result.and(sent),
            }
        }
        result
    }

    /// Sends requests that were just made, and lets the slots wait for their replies.
    fn send_submitted<'s>(
        &self,
        connection: &mut Connection,
        ids: RequestIds,
        slots: impl Iterator<Item = &'s Arc<Slot<OscMessage>>>,
    ) -> Result<()> {
        let mut is_waiting = connection.has_window();
        for (id, slot) in ids.clone().zip(slots) {
            is_waiting = true;
            self.waiters.replies.add(id, slot);
        }
        let sent = self.flush(connection);
        if sent.is_err() {
            self.waiters.replies.remove(ids.clone());
            connection.forget(ids);
        } else if is_waiting {
            self.wake_before(connection.poll_timeout());
        }
        sent.map_err(cannot_send)
    }

    /// The requests, with those for SynthDefs that are too large for a datagram replaced.
    fn with_synthdef_files<'r>(&self, requests: &'r [Request]) -> Result<Cow<'r, [Request]>> {
        let may_be_large = |request: &Request| matches!(request, Request::ReceiveSynthDef(_));
        if !requests.iter().any(may_be_large) || !self.context.is_online() {
            return Ok(Cow::Borrowed(requests));
        }
        let (options, is_owner) = {
            let connection = self.connection();
            (connection.options().clone(), connection.is_owner())
        };
        self.synthdef_files.replace_large(requests, &options, is_owner)
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
        let requests = self.with_synthdef_files(outgoing.requests)?;
        let mut connection = self.connection();
        if !connection.is_online() {
            return Err(offline());
        }
        // Without waits the time does not matter.
        let now = if outgoing.waiting.is_empty() { Duration::ZERO } else { self.now() };
        let latency = connection.state().latency;
        let delay = match outgoing.seconds {
            Some(seconds) if !outgoing.waiting.is_empty() => {
                let ahead = (seconds - unix_now()).max(0.0);
                Duration::try_from_secs_f64(ahead).unwrap_or(Duration::MAX)
            }
            _ => Duration::ZERO,
        };
        let submission = Submission {
            time: outgoing.seconds.map(|seconds| TimeTag::from_unix_seconds(seconds + latency)),
            delay,
            requests: &requests,
        };
        let indices = outgoing.waiting.iter().map(|(index, _)| *index);
        let ids = connection.submit(submission, indices, now)?;
        let slots = outgoing.waiting.iter().map(|(_, slot)| slot);
        self.send_submitted(&mut connection, ids, slots)
    }

    fn transmit_encoded(&self, packet: &[u8], wait: Option<ReplyWait>) -> Result<()> {
        let mut connection = self.connection();
        if !connection.is_online() {
            return Err(offline());
        }
        let now = self.now();
        let (wait, slot) = match wait {
            Some(ReplyWait { command, pattern, slot, timeout }) => {
                (Some((command, pattern, timeout)), Some(slot))
            }
            None => (None, None),
        };
        let ids = connection.submit_encoded(packet, wait, now)?;
        self.send_submitted(&mut connection, ids, slot.iter())
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
        self.connection().sample_clock().ratio()
    }

    fn sample_position(&self) -> f64 {
        self.connection().sample_clock().position(self.now())
    }

    fn time_of_position(&self, position: f64) -> f64 {
        let clock = self.connection().sample_clock();
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
    pub(crate) fn start(context: Arc<ContextShared>) -> Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| Error::io("cannot create an event descriptor", error.into()))?;
        let shared = Arc::new(Shared {
            context: context.clone(),
            link: Mutex::new(None),
            waiters: Waiters::default(),
            wake,
            wakes_at: AtomicU64::new(0),
            is_closing: AtomicBool::new(false),
            was_refused: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
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
