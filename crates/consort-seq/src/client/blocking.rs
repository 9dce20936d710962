//! The client whose methods block.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::buffers::{BytesOrEvent, Flush};
use super::builder::ClientBuilder;
use super::core::{Direction, EmptyPoolWait, WaitEnd, deadline};
use super::error::{OperationName, Outcome, Result};
use super::methods::ClientBase;
use super::routing::Routing;
use crate::event::Event;

/// A client of the sequencer whose input and output wait by blocking the calling thread.
///
/// It is `Send + Sync`: threads may read and write at the same time, and input does not delay
/// output. The operations that do not wait are methods of [`ClientBase`], to which this
/// dereferences.
///
/// ```no_run
/// use consort_seq::{Event, SequencerClient};
///
/// let client = SequencerClient::new("player")?;
/// let port = client.create_port("out")?;
/// port.connect_to(client.find_port("14:0")?.address())?;
/// client.event_output(&Event::note_on(0, 60, 100)?, &port)?;
/// client.drain_output()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SequencerClient {
    base: ClientBase,
}

impl Deref for SequencerClient {
    type Target = ClientBase;

    fn deref(&self) -> &ClientBase {
        &self.base
    }
}

impl fmt::Debug for SequencerClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.base, formatter)
    }
}

impl ClientBuilder {
    /// Opens a client whose methods block.
    ///
    /// # Errors
    /// [`ErrorKind::Open`](crate::ErrorKind::Open) if there is no sequencer, or if it has reached
    /// its limit of clients; the text names the missing module or group.
    pub fn open(self) -> Result<SequencerClient> {
        Ok(SequencerClient { base: self.open_base(true)? })
    }
}

impl SequencerClient {
    /// Opens a client called `name` for input and output, on the engine that the environment
    /// selects; see [`ClientBuilder`].
    ///
    /// # Errors
    /// As [`ClientBuilder::open`].
    pub fn new(name: impl Into<String>) -> Result<Self> {
        ClientBuilder::new(name).open()
    }

    /// Options for opening a client.
    #[must_use]
    pub fn builder(name: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(name)
    }

    /// Waits for the next event, and returns `None` when the time-out is over. A time-out of
    /// `None` waits without limit, and one of zero does not wait at all. Waiting uses no processor
    /// time.
    ///
    /// # Errors
    /// [`Overrun`](crate::ErrorKind::Overrun) if events were lost,
    /// [`Closed`](crate::ErrorKind::Closed) if the client is closed meanwhile.
    #[inline]
    pub fn event_input(&self, timeout: Option<Duration>) -> Result<Option<Event>> {
        match self.core.quick_input() {
            Some(event) => Ok(Some(event)),
            None => self.input_when_ready(timeout),
        }
    }

    /// The slow path of [`event_input`](Self::event_input), which reads from the sequencer.
    #[inline(never)]
    fn input_when_ready(&self, timeout: Option<Duration>) -> Result<Option<Event>> {
        self.wait_for_input(timeout).during("event_input")
    }

    fn wait_for_input(&self, timeout: Option<Duration>) -> Outcome<Option<Event>> {
        // An attempt without a deadline first saves reading the clock if an event is there.
        if let Some(event) = self.core.fetch()? {
            return Ok(Some(event));
        }
        if timeout == Some(Duration::ZERO) {
            return Ok(None);
        }
        let deadline = deadline(timeout);
        loop {
            let end = self.core.wait(Direction::Read, deadline)?;
            if let Some(event) = self.core.try_input()? {
                return Ok(Some(event));
            }
            if end == WaitEnd::TimedOut {
                return Ok(None);
            }
            // Another thread was faster, or the event is longer than the buffer.
            self.core.input().grow();
        }
    }

    /// Like [`event_input`](Self::event_input), but adds the MIDI bytes of events that have a MIDI
    /// form.
    ///
    /// # Errors
    /// As [`event_input`](Self::event_input).
    pub fn event_input_prefer_bytes(
        &self,
        timeout: Option<Duration>,
    ) -> Result<Option<BytesOrEvent>> {
        let event = self.event_input(timeout)?;
        Ok(event.map(|event| BytesOrEvent { midi_bytes: self.decode_midi_bytes(&event), event }))
    }

    /// Puts an event into the output buffer, draining the buffer first if it is full (which may
    /// wait for room in the sequencer). Returns the number of bytes in the buffer.
    ///
    /// `routing` is `()`, a [`&Port`](crate::Port) to send from, or a full [`Routing`].
    ///
    /// # Errors
    /// `EINVAL` if the event is larger than the buffer; the errors of
    /// [`drain_output`](Self::drain_output).
    #[inline]
    pub fn event_output(&self, event: &Event, routing: impl Into<Routing>) -> Result<usize> {
        let routing = routing.into();
        match self.core.quick_output(event, &routing) {
            Some(used) => Ok(used),
            None => self.output_when_drained(event, routing),
        }
    }

    /// Puts many events into the output buffer, in order. This is
    /// [`event_output`](Self::event_output) for each event, at less cost.
    ///
    /// # Errors
    /// As [`event_output`](Self::event_output); the events before the failing one are in the
    /// buffer.
    pub fn event_output_batch(&self, events: &[Event], routing: impl Into<Routing>) -> Result<()> {
        let routing = routing.into();
        let mut rest = events;
        while let Some(first) = rest.first() {
            let buffered = self.core.buffer_many(rest, &routing).during("event_output_batch")?;
            rest = &rest[buffered..];
            if buffered == 0 {
                self.output_when_drained(first, routing)?;
                rest = &rest[1..];
            }
        }
        Ok(())
    }

    /// The slow path of [`event_output`](Self::event_output): the event has variable size, or the
    /// buffer has no room at its end.
    #[inline(never)]
    fn output_when_drained(&self, event: &Event, routing: Routing) -> Result<usize> {
        let used = self
            .core
            .output_blocking(None, || self.core.output_step(event, &routing))
            .during("event_output")?;
        Ok(used.unwrap_or(0))
    }

    /// Writes an event to the sequencer immediately, bypassing the output buffer and its events,
    /// waiting for room if necessary. Returns the number of bytes written.
    ///
    /// A receiver that does not read its input delays nobody else: if there are several receivers,
    /// the event is counted there and reported by
    /// [`take_undelivered`](ClientBase::take_undelivered). A single receiver is waited for.
    ///
    /// # Errors
    /// [`StuckReceiver`](crate::ErrorKind::StuckReceiver) if the only receiver does not read for
    /// [`RECEIVER_TIMEOUT`](crate::client::RECEIVER_TIMEOUT).
    /// The sequencer's errno for the event: `ENOENT` if the destination does not exist or filters
    /// this type, `EPERM` if it is not writable, `EINVAL` for a wrong queue or a note with a
    /// duration that is sent directly, `ENOMEM` if the event is larger than the pool.
    pub fn event_output_direct(&self, event: &Event, routing: impl Into<Routing>) -> Result<usize> {
        let written = self
            .core
            .prepare(event, &routing.into())
            .and_then(|cell| {
                self.core.output_blocking(None, || self.core.direct_step(&cell, event))
            })
            .during("event_output_direct")?;
        Ok(written.unwrap_or(0))
    }

    /// Converts MIDI bytes to events and puts these into the output buffer. The bytes may be parts
    /// of messages; later calls complete them. `template` provides time, queue, tag, source and
    /// destination. Returns the number of events.
    ///
    /// # Errors
    /// As [`event_output`](Self::event_output). The bytes are consumed even then.
    pub fn midi_bytes_output(
        &self,
        bytes: &[u8],
        template: &Event,
        routing: impl Into<Routing>,
    ) -> Result<usize> {
        let routing = routing.into();
        let mut events = Vec::new();
        self.encode_midi_bytes(bytes, |event| events.push(event));
        for event in &events {
            let mut addressed = template.clone();
            addressed.set_payload(event.payload());
            self.event_output(&addressed, routing)?;
        }
        Ok(events.len())
    }

    /// Writes everything that is in the output buffer at the time of the call, waiting for room in
    /// the sequencer without limit, and for a receiver as
    /// [`event_output_direct`](Self::event_output_direct) does. Returns the number of bytes that
    /// other threads have added meanwhile, usually 0.
    ///
    /// # Errors
    /// [`StuckReceiver`](crate::ErrorKind::StuckReceiver) if the only receiver of an event does not
    /// read.
    /// The errno of the first event that fails. It stays at the head of the buffer, and every
    /// later drain fails in the same way, until [`extract_output`](ClientBase::extract_output) or
    /// [`drop_output_buffer`](ClientBase::drop_output_buffer) removes it.
    #[inline]
    pub fn drain_output(&self) -> Result<usize> {
        self.drain_output_timeout(None)
    }

    /// Like [`drain_output`](Self::drain_output), but stops waiting after `timeout`; then the
    /// number of bytes that remain is not 0.
    ///
    /// # Errors
    /// As [`drain_output`](Self::drain_output).
    #[inline]
    pub fn drain_output_timeout(&self, timeout: Option<Duration>) -> Result<usize> {
        match self.core.flush().during("drain_output")? {
            (Flush::Done, used) => Ok(used),
            (Flush::Blocked | Flush::Refused, _) => self.drain_waiting(timeout),
        }
    }

    /// The slow path of [`drain_output_timeout`](Self::drain_output_timeout): the sequencer has no
    /// room.
    #[cold]
    fn drain_waiting(&self, timeout: Option<Duration>) -> Result<usize> {
        let target = self.core.output().appended();
        let remaining = self
            .core
            .output_blocking(deadline(timeout), || self.core.drain_step(target))
            .during("drain_output")?;
        Ok(remaining.unwrap_or_else(|| self.core.output().used()))
    }

    /// Waits until the sequencer has delivered all events that this client has written, including
    /// those in queues. If a queue is stopped, this never returns. It does not drain the output
    /// buffer.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn sync_output_queue(&self) -> Result<()> {
        self.sync_output_queue_timeout(None).map(|_| ())
    }

    /// Like [`sync_output_queue`](Self::sync_output_queue), but stops waiting after `timeout`.
    /// Returns whether everything has been delivered.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn sync_output_queue_timeout(&self, timeout: Option<Duration>) -> Result<bool> {
        self.wait_for_delivery(timeout).during("sync_output_queue")
    }

    fn wait_for_delivery(&self, timeout: Option<Duration>) -> Outcome<bool> {
        let deadline = deadline(timeout);
        let Some(empty_pool) = EmptyPoolWait::begin(&self.core)? else { return Ok(true) };
        let end = self.core.wait(Direction::Write, deadline)?;
        drop(empty_pool);
        Ok(end == WaitEnd::Ready)
    }
}
