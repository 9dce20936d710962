//! The state that a client shares with the handles of its ports and queues.
//!
//! Methods in here return a [`Failure`], which does not contain the name of a method. The public
//! method that the user has called adds its own name.

mod input;
mod output;
mod receivers;
mod requests;
mod sync;
mod wait;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock};
use rustix::event::EventfdFlags;

use super::buffers::{InputBuffer, OutputBuffer};
use super::error::{Failure, Outcome, Subject};
use crate::engine::{Connection, Engine, Request};
use crate::midi::{MidiDecoder, MidiEncoder};

pub(crate) use output::no_room;
pub use output::{OutputStep, RoomWait};
pub use receivers::{RECEIVER_TIMEOUT, Undelivered};
pub(crate) use sync::EmptyPoolWait;
pub(crate) use wait::{Direction, WaitEnd, deadline, timespec};

/// A client without its public methods: the connection to the sequencer, the two buffers with a
/// lock each, and the state of the MIDI coder.
///
/// The client and every handle of a port or queue hold one in an `Arc`. No method holds a lock
/// while it waits, so input and output never delay each other.
pub(crate) struct ClientCore {
    /// `None` once the client is closed.
    connection: RwLock<Option<Arc<dyn Connection>>>,
    closed: AtomicBool,
    /// An eventfd that becomes readable when the client is closed, which ends every wait.
    closing: OwnedFd,
    pub(crate) client_id: u8,
    pub(crate) engine: Engine,
    pub(crate) engine_name: &'static str,
    /// Whether operations without a future may wait for room.
    may_block: bool,
    input: Mutex<InputBuffer>,
    output: Mutex<OutputBuffer>,
    pub(crate) encoder: Mutex<MidiEncoder>,
    pub(crate) decoder: Mutex<MidiDecoder>,
    /// The current waits for an empty output pool.
    empty_pool_waits: Mutex<sync::EmptyPoolWaits>,
    /// Receivers that do not read.
    stuck: Mutex<receivers::StuckReceivers>,
    /// Whether a receiver blocks the output: saves the lock after each write that succeeds.
    is_blocked: AtomicBool,
}

impl ClientCore {
    pub(crate) fn new(
        connection: Arc<dyn Connection>,
        engine: Engine,
        may_block: bool,
    ) -> Outcome<Self> {
        let failed = |errno| Failure::system(Subject::None, errno);
        let mut client_id = 0;
        connection.ioctl(Request::ClientId(&mut client_id)).map_err(failed)?;
        let closing = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| failed(errno.into()))?;
        Ok(Self {
            engine_name: connection.engine_name(),
            closed: AtomicBool::new(false),
            closing,
            client_id: client_id as u8,
            engine,
            may_block,
            input: Mutex::new(InputBuffer::new(Arc::clone(&connection))),
            output: Mutex::new(OutputBuffer::new(Arc::clone(&connection))),
            encoder: Mutex::default(),
            decoder: Mutex::default(),
            empty_pool_waits: Mutex::default(),
            stuck: Mutex::default(),
            is_blocked: AtomicBool::new(false),
            connection: RwLock::new(Some(connection)),
        })
    }

    #[inline]
    pub(crate) fn input(&self) -> MutexGuard<'_, InputBuffer> {
        self.input.lock()
    }

    #[inline]
    pub(crate) fn output(&self) -> MutexGuard<'_, OutputBuffer> {
        self.output.lock()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Fails if the client is closed.
    pub(crate) fn check_open(&self) -> Outcome<()> {
        if self.is_closed() { Err(Failure::closed()) } else { Ok(()) }
    }

    /// A descriptor that is readable once the client is closed.
    pub(crate) fn closing(&self) -> &OwnedFd {
        &self.closing
    }

    pub(crate) fn connection(&self) -> Outcome<Arc<dyn Connection>> {
        self.connection.read().clone().ok_or_else(Failure::closed)
    }

    /// Closes the client: wakes every thread and task that waits, and drops the connection.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let connection = self.connection.write().take();
        // Writing eight bytes to a fresh eventfd cannot fail.
        let _ = rustix::io::write(&self.closing, &1u64.to_ne_bytes());
        drop(connection);
        self.output().close();
        let mut input = self.input();
        input.connection = None;
        input.clear();
    }

    pub(crate) fn ioctl(
        &self,
        request: Request<'_>,
        subject: impl FnOnce() -> Subject,
    ) -> Outcome<i32> {
        let connection = self.connection()?;
        connection.ioctl(request).map_err(|errno| Failure::system(subject(), errno))
    }

    /// This client, as the object of an operation.
    pub(crate) fn subject(&self) -> Subject {
        Subject::Client(i32::from(self.client_id))
    }
}
