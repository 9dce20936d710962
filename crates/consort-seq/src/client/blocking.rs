//! The client whose methods block.

use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

use super::base::{ClientBase, ClientBuilder};
use super::buffers::{BytesOrEvent, Flush};
use super::core::{Core, Direction, Woken, deadline, lock};
use super::error::Result;
use super::routing::Routing;
use super::watch::Watch;
use crate::engine::Request;
use crate::event::Event;
use crate::raw;

/// A client of the sequencer whose input and output wait by blocking the calling thread.
///
/// `Send + Sync`: threads may read and write at once, and none holds up another. What does not
/// wait stands in [`ClientBase`], to which this dereferences.
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

/// Waits for room. `stuck`: there was room the last time, and yet nothing was taken.
fn wait_for_room(
    core: &Core,
    operation: &'static str,
    until: Option<Instant>,
    stuck: bool,
) -> Result<Woken> {
    if stuck {
        core.pause(operation, until)?;
    }
    core.wait(operation, Direction::Write, until)
}

impl SequencerClient {
    /// Opens a client called `name` for input and output, on the engine that the environment
    /// says; see [`ClientBuilder`].
    ///
    /// # Errors
    /// [`ErrorKind::Open`](crate::ErrorKind::Open) if there is no sequencer or no room for
    /// another client; the text says which module or group is missing.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        ClientBuilder::new(name).open()
    }

    /// How to open a client otherwise.
    #[must_use]
    pub fn builder(name: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(name)
    }

    pub(crate) fn from_base(base: ClientBase) -> Self {
        Self { base }
    }

    /// Waits for the next event. `None`: for ever; zero: does not wait at all. Returns `None`
    /// when the time is over. While waiting it uses no processor time.
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

    /// The rest of [`event_input`](Self::event_input), where the sequencer must be asked.
    #[inline(never)]
    fn input_when_ready(&self, timeout: Option<Duration>) -> Result<Option<Event>> {
        let operation = "event_input";
        // The clock is not asked where an event is there already.
        if let Some(event) = self.core.fetch(operation)? {
            return Ok(Some(event));
        }
        if timeout == Some(Duration::ZERO) {
            return Ok(None);
        }
        let until = deadline(timeout);
        loop {
            let woken = self.core.wait(operation, Direction::Read, until)?;
            if let Some(event) = self.core.try_input(operation)? {
                return Ok(Some(event));
            }
            if woken == Woken::TimedOut {
                return Ok(None);
            }
            // Another thread was quicker, or the event is longer than the buffer.
            self.core.input().grow();
        }
    }

    /// Like [`event_input`](Self::event_input), and adds the MIDI bytes of events that have any.
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

    /// Puts an event into the output buffer, draining that first if it is full (which may wait
    /// for room in the sequencer). Returns the bytes that wait in the buffer.
    ///
    /// `routing` is `()`, a [`&Port`](crate::Port) to send from, or a full [`Routing`].
    ///
    /// # Errors
    /// `EINVAL` if the event is larger than the buffer; what
    /// [`drain_output`](Self::drain_output) reports.
    #[inline]
    pub fn event_output(&self, event: &Event, routing: impl Into<Routing>) -> Result<usize> {
        let routing = routing.into();
        match self.core.quick_output(event, &routing) {
            Some(used) => Ok(used),
            None => self.output_otherwise(event, routing),
        }
    }

    /// Puts many events into the output buffer, in order: the same as
    /// [`event_output`](Self::event_output) for each, at less cost.
    ///
    /// # Errors
    /// As [`event_output`](Self::event_output); the events before the failing one have gone in.
    pub fn event_output_batch(&self, events: &[Event], routing: impl Into<Routing>) -> Result<()> {
        let routing = routing.into();
        let mut rest = events;
        while let Some(first) = rest.first() {
            let gone = self.core.buffer_many("event_output_batch", rest, &routing)?;
            rest = &rest[gone..];
            if gone == 0 {
                self.output_when_drained(first, routing)?;
                rest = &rest[1..];
            }
        }
        Ok(())
    }

    /// The rest of [`event_output`](Self::event_output), where the event is long or the buffer
    /// has no room at its end.
    #[inline(never)]
    fn output_otherwise(&self, event: &Event, routing: Routing) -> Result<usize> {
        match self.core.buffer("event_output", event, &routing)? {
            Some(used) => Ok(used),
            None => self.output_when_drained(event, routing),
        }
    }

    /// The rest of [`event_output`](Self::event_output), where the buffer is full.
    #[cold]
    fn output_when_drained(&self, event: &Event, routing: Routing) -> Result<usize> {
        let operation = "event_output";
        let mut stuck = None;
        loop {
            if self.core.flush(operation)?.0 == Flush::Blocked {
                let removed = Some(self.core.output().removed());
                wait_for_room(&self.core, operation, None, stuck == removed)?;
                stuck = removed;
            }
            if let Some(used) = self.core.buffer(operation, event, &routing)? {
                return Ok(used);
            }
        }
    }

    /// Writes an event to the sequencer at once, past the output buffer and whatever waits
    /// there, waiting for room if need be. Returns the bytes written.
    ///
    /// # Errors
    /// The sequencer's errno for the event: `ENOENT` no such destination (or it filters this
    /// type), `EPERM` no capability to be written to, `EINVAL` a bad queue or a note with a
    /// duration sent direct, `ENOMEM` larger than the pool.
    pub fn event_output_direct(&self, event: &Event, routing: impl Into<Routing>) -> Result<usize> {
        let operation = "event_output_direct";
        let cell = self.core.prepare(operation, event, &routing.into())?;
        let mut stuck = false;
        loop {
            if let Some(written) = self.core.write_direct(operation, &cell, event)? {
                return Ok(written);
            }
            wait_for_room(&self.core, operation, None, stuck)?;
            stuck = true;
        }
    }

    /// Makes events of MIDI bytes, which may be parts of messages, and puts them into the output
    /// buffer; unfinished messages are completed by later calls. `template` gives time, queue,
    /// tag, source and destination. Returns the number of events.
    ///
    /// # Errors
    /// As [`event_output`](Self::event_output); the bytes have been taken nevertheless.
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

    /// Writes everything that is in the output buffer when this is called, waiting for room in
    /// the sequencer as long as it takes. Returns the bytes that other threads have added
    /// meanwhile, usually 0.
    ///
    /// # Errors
    /// The errno of the first event that fails. It stays at the head of the buffer, and every
    /// later drain fails likewise, until [`extract_output`](ClientBase::extract_output) or
    /// [`drop_output_buffer`](ClientBase::drop_output_buffer) takes it.
    #[inline]
    pub fn drain_output(&self) -> Result<usize> {
        self.drain_output_timeout(None)
    }

    /// Like [`drain_output`](Self::drain_output), but gives up waiting after `timeout`; then the
    /// bytes that remain are not 0.
    ///
    /// # Errors
    /// As [`drain_output`](Self::drain_output).
    #[inline]
    pub fn drain_output_timeout(&self, timeout: Option<Duration>) -> Result<usize> {
        match self.core.flush("drain_output")? {
            (Flush::Done, used) => Ok(used),
            (Flush::Blocked, _) => self.drain_waiting(timeout),
        }
    }

    /// The rest of [`drain_output_timeout`](Self::drain_output_timeout), where there is no room.
    #[cold]
    fn drain_waiting(&self, timeout: Option<Duration>) -> Result<usize> {
        let operation = "drain_output";
        let until = deadline(timeout);
        let target = self.core.output().appended();
        let mut stuck = None;
        loop {
            let (flush, used) = self.core.flush(operation)?;
            let removed = self.core.output().removed();
            if flush == Flush::Done || removed >= target {
                return Ok(used);
            }
            let woken = wait_for_room(&self.core, operation, until, stuck == Some(removed))?;
            stuck = Some(removed);
            if woken == Woken::TimedOut {
                return Ok(used);
            }
        }
    }

    /// Waits until the sequencer has delivered all events that this client has written, those in
    /// queues included: for ever if a queue does not run. Does not drain the output buffer.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn sync_output_queue(&self) -> Result<()> {
        self.sync_output_queue_timeout(None).map(|_| ())
    }

    /// Like [`sync_output_queue`](Self::sync_output_queue), but gives up after `timeout`;
    /// whether everything has been delivered.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn sync_output_queue_timeout(&self, timeout: Option<Duration>) -> Result<bool> {
        let operation = "sync_output_queue";
        let until = deadline(timeout);
        let Some(restore) = RoomForAll::set(&self.core, operation)? else { return Ok(true) };
        let woken = self.core.wait(operation, Direction::Write, until)?;
        drop(restore);
        Ok(woken == Woken::Ready)
    }

    /// Follows clients and ports as they come and go, with a client of its own on the same
    /// engine.
    ///
    /// # Errors
    /// If that client cannot be opened.
    pub fn watch(&self) -> Result<Watch> {
        Watch::open(self.engine().clone())
    }
}

/// While one lives the client counts as writable only when its output pool is all free.
pub(crate) struct RoomForAll<'a> {
    core: &'a Core,
}

impl<'a> RoomForAll<'a> {
    /// `None` if nothing has ever been written, so that there is nothing to wait for.
    pub(crate) fn set(core: &'a Core, operation: &'static str) -> Result<Option<Self>> {
        let mut waits = lock(&core.waits_for_all);
        if waits.number == 0 {
            let pool = Self::pool(core, operation)?;
            if pool.output_room == 0 {
                return Ok(None);
            }
            Self::set_room(core, operation, pool.output_pool)?;
            waits.room = pool.output_room;
        }
        waits.number += 1;
        Ok(Some(Self { core }))
    }

    fn pool(core: &Core, operation: &'static str) -> Result<raw::ClientPool> {
        let client = i32::from(core.client_id);
        let mut pool = raw::ClientPool { client, ..raw::ClientPool::default() };
        core.ioctl(operation, Request::GetClientPool(&mut pool), || core.subject())?;
        Ok(pool)
    }

    /// Sets the room; sizes of 0 leave the pools as they are.
    fn set_room(core: &Core, operation: &'static str, room: i32) -> Result<()> {
        let client = i32::from(core.client_id);
        let mut pool = raw::ClientPool { client, output_room: room, ..raw::ClientPool::default() };
        core.ioctl(operation, Request::SetClientPool(&mut pool), || core.subject())?;
        Ok(())
    }
}

impl Drop for RoomForAll<'_> {
    fn drop(&mut self) {
        let operation = "sync_output_queue";
        let mut waits = lock(&self.core.waits_for_all);
        waits.number -= 1;
        // A client that was closed meanwhile has no pool left, and a room that somebody has set
        // meanwhile stays.
        if waits.number == 0
            && let Ok(pool) = Self::pool(self.core, operation)
            && pool.output_room == pool.output_pool
        {
            let _ = Self::set_room(self.core, operation, waits.room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{ClockKind, Embedded};

    #[test]
    fn overlapping_waits_leave_the_room_as_it_was() {
        let engine = Embedded::new(ClockKind::Virtual);
        let client = SequencerClient::builder("sync").engine(engine).open().unwrap();
        let port = client.create_port("out").unwrap();
        client.event_output_direct(&Event::note_on(0, 60, 100).unwrap(), &port).unwrap();
        let room = || client.get_client_pool().unwrap().output_room;
        let before = room();
        let first = RoomForAll::set(&client.core, "first").unwrap();
        let second = RoomForAll::set(&client.core, "second").unwrap();
        assert_eq!(room(), 500);
        drop(first);
        assert_eq!(room(), 500, "the second still waits");
        drop(second);
        assert_eq!(room(), before);
    }

    #[test]
    fn a_wait_leaves_pools_that_were_resized_meanwhile() {
        let engine = Embedded::new(ClockKind::Virtual);
        let client = SequencerClient::builder("sync").engine(engine).open().unwrap();
        let port = client.create_port("out").unwrap();
        client.event_output_direct(&Event::note_on(0, 60, 100).unwrap(), &port).unwrap();
        let waits = RoomForAll::set(&client.core, "sync").unwrap();
        client.set_client_pool_input(400).unwrap();
        drop(waits);
        assert_eq!(client.get_client_pool().unwrap().input_pool, 400);
    }
}
