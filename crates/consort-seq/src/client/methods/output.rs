//! Output without waiting.

use super::ClientBase;
use crate::client::core::{OutputStep, Undelivered, no_room};
use crate::client::error::{OperationName, Result};
use crate::client::routing::Routing;
use crate::event::Event;

impl ClientBase {
    /// The number of bytes in the output buffer.
    #[must_use]
    pub fn event_output_pending(&self) -> usize {
        self.core.output().used()
    }

    /// Puts an event into the output buffer without waiting and without writing to the sequencer.
    /// Returns the number of bytes that are in the buffer then.
    ///
    /// # Errors
    /// `EAGAIN` if the buffer is full; `EINVAL` if the event is larger than the buffer.
    #[inline]
    pub fn event_output_buffer(&self, event: &Event, routing: impl Into<Routing>) -> Result<usize> {
        let routing = routing.into();
        if let Some(used) = self.core.quick_output(event, &routing) {
            return Ok(used);
        }
        self.core
            .buffer(event, &routing)
            .and_then(|used| used.ok_or_else(|| no_room(event)))
            .during("event_output_buffer")
    }

    /// Puts events into the output buffer, in order and under one lock, without waiting and without
    /// writing to the sequencer. Returns how many events fitted; that is fewer than all if the
    /// buffer is full.
    ///
    /// # Errors
    /// As [`event_output_buffer`](Self::event_output_buffer) for the first event, but a full buffer
    /// gives 0 instead of `EAGAIN`. A later event that fails ends the batch before it.
    pub fn event_output_buffer_batch(
        &self,
        events: &[Event],
        routing: impl Into<Routing>,
    ) -> Result<usize> {
        self.core.buffer_many(events, &routing.into()).during("event_output_buffer_batch")
    }

    /// Writes as much of the output buffer as the sequencer accepts without waiting. Returns the
    /// number of bytes that remain.
    ///
    /// # Errors
    /// The errno of the first event that fails. It stays at the head of the buffer, and every
    /// later drain fails in the same way, until [`extract_output`](Self::extract_output) or
    /// [`drop_output_buffer`](Self::drop_output_buffer) removes it.
    pub fn try_drain_output(&self) -> Result<usize> {
        let (_, remaining) = self.core.flush().during("drain_output")?;
        Ok(remaining)
    }

    /// The events since the last call that one of several receivers did not get, because it does
    /// not read its input and its pool is full; one entry for each port of this client. The other
    /// receivers got them.
    #[must_use]
    pub fn take_undelivered(&self) -> Vec<Undelivered> {
        self.core.take_undelivered()
    }

    /// Fails if a receiver has blocked direct output for
    /// [`RECEIVER_TIMEOUT`](crate::client::RECEIVER_TIMEOUT). The methods that wait for room check
    /// this themselves; those that do not wait only return that there is no room.
    ///
    /// # Errors
    /// [`StuckReceiver`](crate::ErrorKind::StuckReceiver), which names the port.
    pub fn check_receiver(&self) -> Result<()> {
        self.core.check_receiver().during("event_output")
    }

    /// The first event in the output buffer, which stays there; `None` if the buffer is empty.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn peek_output(&self) -> Result<Option<Event>> {
        self.core.check_open().during("peek_output")?;
        Ok(self.core.output().head())
    }

    /// Removes the first event from the output buffer; `None` if the buffer is empty.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn extract_output(&self) -> Result<Option<Event>> {
        self.core.check_open().during("extract_output")?;
        Ok(self.core.output().extract())
    }

    /// Puts an event into the output buffer, writing the buffer out first if it is full, without
    /// waiting. Returns the number of bytes that are in the buffer then, or `None` if the
    /// sequencer has no room at present.
    ///
    /// # Errors
    /// As [`SequencerClient::event_output`](crate::SequencerClient::event_output).
    pub fn try_event_output(
        &self,
        event: &Event,
        routing: impl Into<Routing>,
    ) -> Result<Option<usize>> {
        let routing = routing.into();
        if let Some(used) = self.core.quick_output(event, &routing) {
            return Ok(Some(used));
        }
        match self.core.output_step(event, &routing) {
            Ok(OutputStep::Done(used)) => Ok(Some(used)),
            // A part of the buffer may have been written, which makes room for this event.
            Ok(OutputStep::Blocked { .. }) => self.core.buffer(event, &routing),
            Err(failure) => Err(failure),
        }
        .during("event_output")
    }

    /// Writes an event to the sequencer immediately, bypassing the output buffer, without waiting.
    /// Returns the number of bytes written, or `None` if the sequencer has no room at present.
    ///
    /// # Errors
    /// As [`SequencerClient::event_output_direct`](crate::SequencerClient::event_output_direct).
    pub fn try_event_output_direct(
        &self,
        event: &Event,
        routing: impl Into<Routing>,
    ) -> Result<Option<usize>> {
        self.core
            .prepare(event, &routing.into())
            .and_then(|cell| self.core.write_direct(&cell, event))
            .during("event_output_direct")
    }
}
