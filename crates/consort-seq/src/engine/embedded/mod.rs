//! A sequencer inside this process, with the semantics of Linux 7.0 (built without MIDI 2.0).
//!
//! It serves for tests of MIDI code on any machine, and for demonstrations without a sound system.
//! Clients of one [`Embedded`] see each other, `System` and `Midi Through`, but no clients of other
//! processes or of the kernel's sequencer.
//!
//! One lock protects the whole state (`state`). Each method of a connection takes the lock, brings
//! the time up to date, and carries out its request: `client`, `ports`, `queue_requests` and
//! `remove` hold the requests, `deliver` the way of an event to its destination, `queue` what is
//! scheduled, `pool` the counting of cells. Before the lock is released, `signal` updates the
//! descriptors of the clients that the request has affected. On the real clock, the thread in
//! `clock` sleeps until the next scheduled event is due.

mod client;
mod clock;
mod deliver;
#[cfg(feature = "faults")]
mod fault;
#[cfg(any(test, feature = "fuzzing"))]
mod invariant;
mod listing;
mod pool;
mod ports;
mod queue;
mod queue_requests;
mod remove;
mod signal;
mod state;
mod system;

use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

#[cfg(feature = "faults")]
#[doc(hidden)]
pub use fault::Fault;

pub use self::clock::ClockKind;
use self::clock::Core;
use self::signal::Signal;
use super::open::Cause;
use super::{Connection, Errno, OpenError, OpenMode, ProtocolVersion, Request};

/// An embedded sequencer. Clones are handles to the same sequencer, which exists until the last
/// handle and the last connection are dropped.
#[derive(Clone)]
pub struct Embedded {
    engine: Arc<Running>,
}

/// Stops the clock's thread when the last handle or connection is dropped.
struct Running {
    core: Arc<Core>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.core.stop();
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Embedded").field("clock", &self.clock()).finish_non_exhaustive()
    }
}

impl Embedded {
    /// Creates a sequencer with the clients `System` and `Midi Through`.
    #[must_use]
    pub fn new(clock: ClockKind) -> Self {
        Self { engine: Arc::new(Running { core: Arc::new(Core::new(clock)) }) }
    }

    /// The sequencer that the whole process shares, on the real clock. `CONSORT_SEQ=embedded`
    /// selects it.
    #[must_use]
    pub fn process_wide() -> Self {
        static SHARED: OnceLock<Embedded> = OnceLock::new();
        SHARED.get_or_init(|| Self::new(ClockKind::Real)).clone()
    }

    /// The clock of this sequencer.
    #[must_use]
    pub fn clock(&self) -> ClockKind {
        self.engine.core.clock()
    }

    /// Opens a connection: a new client with the lowest free number from 128.
    ///
    /// # Errors
    /// All 64 numbers are in use (`ENOMEM`), or the process has no descriptor left.
    pub fn open(&self, mode: OpenMode) -> Result<EmbeddedConnection, OpenError> {
        self.engine
            .core
            .with(|state| state.open(mode))
            .map(|(client, signal)| EmbeddedConnection {
                engine: Arc::clone(&self.engine),
                client,
                signal,
            })
            .map_err(|errno| OpenError { cause: Cause::Embedded { errno } })
    }

    /// Time since the sequencer was created, by its own clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.engine.core.with(|state| state.now))
    }

    /// Time until the next event of a running queue is due; `None` if no event is scheduled.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        self.engine.core.with(|state| {
            state.next_due.map(|due| Duration::from_nanos(due.saturating_sub(state.now)))
        })
    }

    /// Advances virtual time: every event due within `duration` is delivered at its own moment, in
    /// order. A receiver that does not read in between keeps as many events as its pool holds (200
    /// cells unless it requests more) and then overruns, as on the kernel.
    ///
    /// On the real clock this does nothing.
    pub fn advance(&self, duration: Duration) {
        if self.clock() == ClockKind::Virtual {
            let step = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
            self.engine.core.with(|state| state.advance_to(state.now.saturating_add(step)));
        }
    }

    /// Advances virtual time to the next moment at which an event is due, delivers all events due
    /// then, and returns the time that has passed. Returns `None`, without advancing, if no running
    /// queue has an event, or on the real clock.
    pub fn advance_to_next(&self) -> Option<Duration> {
        if self.clock() == ClockKind::Real {
            return None;
        }
        self.engine.core.with(|state| {
            let before = state.now;
            let due = state.next_due?.max(before);
            state.advance_to(due);
            Some(Duration::from_nanos(due - before))
        })
    }

    /// Advances virtual time until no running queue has an event left, and returns the time that
    /// has passed. The events of stopped queues stay.
    ///
    /// On the real clock this does nothing.
    pub fn run_until_idle(&self) -> Duration {
        if self.clock() == ClockKind::Real {
            return Duration::ZERO;
        }
        self.engine.core.with(|state| {
            let before = state.now;
            while let Some(due) = state.next_due {
                state.advance_to(due);
            }
            Duration::from_nanos(state.now - before)
        })
    }

    /// Clients, ports and connections, in the format of `/proc/asound/seq/clients`.
    #[must_use]
    pub fn clients_listing(&self) -> String {
        self.engine.core.with(|state| state.clients_listing())
    }

    /// Queues, in the format of `/proc/asound/seq/queues`.
    #[must_use]
    pub fn queues_listing(&self) -> String {
        self.engine.core.with(|state| state.queues_listing())
    }

    /// Switches one deliberate fault on, or all of them off.
    #[cfg(feature = "faults")]
    #[doc(hidden)]
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.engine.core.with(|state| state.fault = fault);
    }
}

/// A client of an embedded sequencer.
pub struct EmbeddedConnection {
    engine: Arc<Running>,
    client: u8,
    signal: Arc<Signal>,
}

impl fmt::Debug for EmbeddedConnection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EmbeddedConnection")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl Drop for EmbeddedConnection {
    fn drop(&mut self) {
        self.engine.core.with(|state| state.close(self.client));
    }
}

impl Connection for EmbeddedConnection {
    fn ioctl(&self, request: Request<'_>) -> Result<i32, Errno> {
        self.engine.core.with(|state| state.request(self.client, request))
    }

    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.engine.core.with(|state| state.read(self.client, buffer))
    }

    fn write(&self, cells: &[u8]) -> Result<usize, Errno> {
        self.engine.core.with(|state| state.write(self.client, cells))
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.signal.descriptor()
    }

    fn protocol_version(&self) -> ProtocolVersion {
        ProtocolVersion::CURRENT
    }

    fn engine_name(&self) -> &'static str {
        "embedded"
    }
}
