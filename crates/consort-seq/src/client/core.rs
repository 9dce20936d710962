//! What a client is made of: the connection, the two buffers, and waiting.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};

use super::buffers::{Flush, InputBuffer, OutputBuffer};
use super::error::{Error, Result, Subject};
use super::queue::QueueInner;
use super::routing::Routing;
use crate::engine::{Connection, Engine, Errno, Request};
use crate::event::{Cell, Event, EventFlags};
use crate::midi::{MidiDecoder, MidiEncoder};

/// Which direction to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    Ready,
    TimedOut,
}

/// How long to stay away from a sequencer that says it has room and yet takes nothing: an event
/// larger than the room that is left, which the kernel cannot be asked to wait for.
pub(crate) const BACK_OFF: Duration = Duration::from_millis(1);

pub(crate) struct Core {
    connection: RwLock<Option<Arc<dyn Connection>>>,
    closed: AtomicBool,
    /// Readable from the moment the client is closed.
    closing: OwnedFd,
    pub(crate) client_id: u8,
    pub(crate) engine: Engine,
    pub(crate) engine_name: &'static str,
    /// Whether operations without a future may wait for room.
    pub(crate) may_block: bool,
    input: Mutex<InputBuffer>,
    output: Mutex<OutputBuffer>,
    pub(crate) encoder: Mutex<MidiEncoder>,
    pub(crate) decoder: Mutex<MidiDecoder>,
    pub(crate) queues: Mutex<HashMap<u8, Weak<QueueInner>>>,
    pub(crate) waits_for_all: Mutex<WaitsForAll>,
}

/// Who waits for the whole output pool to be free at present, see `RoomForAll`.
#[derive(Default)]
pub(crate) struct WaitsForAll {
    pub(crate) number: u32,
    /// The room that the client had before.
    pub(crate) room: i32,
}

#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The moment when a time-out of that length is over; `None`: never.
pub(crate) fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

impl Core {
    pub(crate) fn new(
        connection: Arc<dyn Connection>,
        engine: Engine,
        may_block: bool,
    ) -> Result<Self> {
        let failed = |errno| Error::system("open", Subject::None, errno);
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
            queues: Mutex::default(),
            waits_for_all: Mutex::default(),
            connection: RwLock::new(Some(connection)),
        })
    }

    #[inline]
    pub(crate) fn input(&self) -> MutexGuard<'_, InputBuffer> {
        lock(&self.input)
    }

    #[inline]
    pub(crate) fn output(&self) -> MutexGuard<'_, OutputBuffer> {
        lock(&self.output)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Readable once the client is closed.
    pub(crate) fn closing(&self) -> &OwnedFd {
        &self.closing
    }

    pub(crate) fn connection(&self, operation: &'static str) -> Result<Arc<dyn Connection>> {
        self.try_connection().ok_or_else(|| Error::closed(operation))
    }

    pub(crate) fn try_connection(&self) -> Option<Arc<dyn Connection>> {
        self.connection.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the client: wakes everybody who waits, and lets go of the connection.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let connection = self.connection.write().unwrap_or_else(PoisonError::into_inner).take();
        // Eight bytes into a fresh eventfd cannot fail.
        let _ = rustix::io::write(&self.closing, &1u64.to_ne_bytes());
        drop(connection);
        self.output().close();
        let mut input = self.input();
        input.connection = None;
        input.clear();
    }

    pub(crate) fn ioctl(
        &self,
        operation: &'static str,
        request: Request<'_>,
        subject: impl FnOnce() -> Subject,
    ) -> Result<i32> {
        let connection = self.connection(operation)?;
        connection.ioctl(request).map_err(|errno| Error::system(operation, subject(), errno))
    }

    /// Waits until the direction is ready, the deadline has passed, or the client is closed.
    pub(crate) fn wait(
        &self,
        operation: &'static str,
        direction: Direction,
        deadline: Option<Instant>,
    ) -> Result<Woken> {
        let connection = self.connection(operation)?;
        let flags = match direction {
            Direction::Read => PollFlags::IN,
            Direction::Write => PollFlags::OUT,
        };
        loop {
            let left = match deadline {
                None => None,
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    Some(Timespec {
                        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                        tv_nsec: left.subsec_nanos().into(),
                    })
                }
            };
            let device = connection.descriptor();
            let mut polled = [
                PollFd::from_borrowed_fd(device, flags),
                PollFd::from_borrowed_fd(self.closing.as_fd(), PollFlags::IN),
            ];
            match rustix::event::poll(&mut polled, left.as_ref()) {
                Ok(0) => return Ok(Woken::TimedOut),
                Ok(_) if self.is_closed() => return Err(Error::closed(operation)),
                Ok(_) => return Ok(Woken::Ready),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(Error::system(operation, Subject::None, errno.into())),
            }
        }
    }

    /// Stays away for a moment ([`BACK_OFF`], or up to the deadline), or until the client is
    /// closed.
    pub(crate) fn pause(&self, operation: &'static str, deadline: Option<Instant>) -> Result<()> {
        let mut left = BACK_OFF;
        if let Some(deadline) = deadline {
            left = left.min(deadline.saturating_duration_since(Instant::now()));
        }
        let left = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
        let mut polled = [PollFd::from_borrowed_fd(self.closing.as_fd(), PollFlags::IN)];
        match rustix::event::poll(&mut polled, Some(&left)) {
            Ok(_) if self.is_closed() => Err(Error::closed(operation)),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(Error::system(operation, Subject::None, errno.into())),
        }
    }

    // ---- output ----

    /// The cell of `event` as it is to be written.
    pub(crate) fn prepare(
        &self,
        operation: &'static str,
        event: &Event,
        routing: &Routing,
    ) -> Result<Cell> {
        if event.flags().contains(EventFlags::LENGTH_USER_MEMORY) {
            return Err(user_memory(operation, event));
        }
        let mut cell = event.cell_to_write();
        routing.apply(&mut cell.0, self.client_id);
        Ok(cell)
    }

    /// Puts an event of fixed size into the buffer where that is simple, which it mostly is: the
    /// bytes that wait then. `None`: [`buffer`](Self::buffer) will do it or say why not.
    #[inline(always)]
    pub(crate) fn quick_output(&self, event: &Event, routing: &Routing) -> Option<usize> {
        if !event.cell.is_fixed() {
            return None;
        }
        self.output().append_fixed(&event.cell, routing, self.client_id)
    }

    /// Puts an event into the buffer: `Some(bytes used)`, or `None` if it is full.
    pub(crate) fn buffer(
        &self,
        operation: &'static str,
        event: &Event,
        routing: &Routing,
    ) -> Result<Option<usize>> {
        let mut output = self.output();
        if !output.is_closed()
            && !event.flags().contains(EventFlags::LENGTH_USER_MEMORY)
            && output.append(event, routing, self.client_id)
        {
            return Ok(Some(output.used()));
        }
        refused(&output, operation, event)
    }

    /// Puts events into the buffer up to the first that has no room; how many.
    pub(crate) fn buffer_many(
        &self,
        operation: &'static str,
        events: &[Event],
        routing: &Routing,
    ) -> Result<usize> {
        let mut output = self.output();
        let mut rest = events;
        loop {
            let quick = output.append_fixed_many(rest, routing, self.client_id);
            rest = &rest[quick..];
            let Some((event, after)) = rest.split_first() else { return Ok(events.len()) };
            let fits = !output.is_closed()
                && !event.flags().contains(EventFlags::LENGTH_USER_MEMORY)
                && output.append(event, routing, self.client_id);
            if !fits {
                // Those before have gone in; only a first one that never fits is an error.
                return match refused(&output, operation, event) {
                    Err(error) if rest.len() == events.len() => Err(error),
                    _ => Ok(events.len() - rest.len()),
                };
            }
            rest = after;
        }
    }

    /// Writes as much of the buffer as the sequencer takes now.
    pub(crate) fn flush(&self, operation: &'static str) -> Result<(Flush, usize)> {
        let mut output = self.output();
        match output.flush() {
            Ok(flush) => Ok((flush, output.used())),
            Err(errno) => Err(not_written(&output, operation, errno)),
        }
    }

    /// Writes one event past the buffer: `None` if there is no room now.
    pub(crate) fn write_direct(
        &self,
        operation: &'static str,
        cell: &Cell,
        event: &Event,
    ) -> Result<Option<usize>> {
        let connection = self.connection(operation)?;
        let written = if event.variable.is_empty() {
            connection.write(&cell.0)
        } else {
            let mut bytes = Vec::with_capacity(event.length());
            bytes.extend_from_slice(&cell.0);
            bytes.extend_from_slice(&event.variable);
            connection.write(&bytes)
        };
        match written {
            Ok(0) | Err(Errno::WOULD_BLOCK) => Ok(None),
            Ok(written) => Ok(Some(written)),
            Err(errno) => {
                let sent = Event { cell: *cell, variable: Vec::new() };
                Err(Error::system(operation, Subject::event(&sent), errno))
            }
        }
    }

    // ---- input ----

    /// The next event, if it has been read and has fixed size. Only the cell is copied under
    /// the lock, so that the event is made where the caller wants it.
    #[inline(always)]
    pub(crate) fn quick_input(&self) -> Option<Event> {
        let cell = self.input().take_fixed()?;
        Some(Event { cell, variable: Vec::new() })
    }

    /// The next event, without waiting.
    #[inline]
    pub(crate) fn try_input(&self, operation: &'static str) -> Result<Option<Event>> {
        match self.quick_input() {
            Some(event) => Ok(Some(event)),
            None => self.fetch(operation),
        }
    }

    /// The next event, which has variable size or must be read first.
    #[inline(never)]
    pub(crate) fn fetch(&self, operation: &'static str) -> Result<Option<Event>> {
        let mut input = self.input();
        if input.connection.is_none() {
            return Err(Error::closed(operation));
        }
        if let Some(event) = input.take() {
            return event.map(Some).map_err(|corrupt| corrupt_error(operation, corrupt));
        }
        match input.fill() {
            Ok(()) => match input.take() {
                Some(event) => event.map(Some).map_err(|corrupt| corrupt_error(operation, corrupt)),
                None => Ok(None),
            },
            Err(Errno::WOULD_BLOCK) => Ok(None),
            Err(errno) => Err(Error::system(operation, self.subject(), errno)),
        }
    }

    /// Up to `limit` events, without waiting, appended to `events`.
    pub(crate) fn try_input_batch(
        &self,
        operation: &'static str,
        events: &mut Vec<Event>,
        limit: usize,
    ) -> Result<usize> {
        let mut input = self.input();
        if input.connection.is_none() {
            return Err(Error::closed(operation));
        }
        let mut count = 0;
        while count < limit {
            let taken = input.take_fixed_many(events, limit - count);
            if taken > 0 {
                count += taken;
                continue;
            }
            match input.take() {
                Some(Ok(event)) => {
                    events.push(event);
                    count += 1;
                    continue;
                }
                Some(Err(corrupt)) => return Err(corrupt_error(operation, corrupt)),
                None => {}
            }
            match input.fill() {
                Ok(()) => {}
                Err(Errno::WOULD_BLOCK) => break,
                Err(Errno::OVERRUN) if count > 0 => {
                    input.remember_overrun();
                    break;
                }
                Err(errno) => return Err(Error::system(operation, self.subject(), errno)),
            }
        }
        Ok(count)
    }

    pub(crate) fn subject(&self) -> Subject {
        Subject::Client(i32::from(self.client_id))
    }
}

fn corrupt_error(operation: &'static str, corrupt: super::buffers::Corrupt) -> Error {
    let super::buffers::Corrupt { stated, available } = corrupt;
    Error::corrupt(
        operation,
        format!("the sequencer sent an event of {stated} bytes of which {available} came"),
    )
}

/// Why an event does not go into the buffer: `None` if there is only no room at present.
#[cold]
fn refused(output: &OutputBuffer, operation: &'static str, event: &Event) -> Result<Option<usize>> {
    let length = event.length();
    if output.is_closed() {
        Err(Error::closed(operation))
    } else if event.flags().contains(EventFlags::LENGTH_USER_MEMORY) {
        Err(user_memory(operation, event))
    } else if length > output.capacity() {
        Err(Error::invalid(
            operation,
            Subject::event(event),
            format!(
                "the event has {length} bytes and the output buffer {}; enlarge it with \
                 set_output_buffer_size or use event_output_direct",
                output.capacity()
            ),
        ))
    } else {
        Ok(None)
    }
}

/// Why the buffer could not be written.
#[cold]
fn not_written(output: &OutputBuffer, operation: &'static str, errno: Errno) -> Error {
    if output.is_closed() {
        return Error::closed(operation);
    }
    let subject = output.head().map_or(Subject::None, |head| Subject::event(&head));
    Error::system(operation, subject, errno)
}

#[cold]
fn user_memory(operation: &'static str, event: &Event) -> Error {
    let note = "data in the sender's memory is for drivers".to_owned();
    Error::invalid(operation, Subject::event(event), note)
}
