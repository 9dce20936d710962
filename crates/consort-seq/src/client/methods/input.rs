//! Input without waiting.

use super::ClientBase;
use crate::client::error::{OperationName, Result};
use crate::event::Event;

impl ClientBase {
    /// The next event, or `None` if there is none now. Never waits, and never allocates for an
    /// event of fixed size.
    ///
    /// # Errors
    /// [`Overrun`](crate::ErrorKind::Overrun) if events were lost.
    #[inline]
    pub fn try_event_input(&self) -> Result<Option<Event>> {
        self.core.try_input().during("event_input")
    }

    /// Whether the next attempt to read reports a loss that was found after events which
    /// [`event_input_batch`](Self::event_input_batch) has already returned. Such a loss does not
    /// make the descriptor readable.
    pub fn has_overrun(&self) -> bool {
        self.core.input().has_overrun()
    }

    /// Appends up to `limit` events to `events` without waiting, and returns how many: 0 if there
    /// are none now. If the number is less than `limit`, no event is left to read, but there may
    /// be a loss to report; see [`has_overrun`](Self::has_overrun).
    ///
    /// # Errors
    /// [`Overrun`](crate::ErrorKind::Overrun) if events were lost, after those that came before.
    pub fn event_input_batch(&self, events: &mut Vec<Event>, limit: usize) -> Result<usize> {
        self.core.try_input_batch(events, limit).during("event_input_batch")
    }

    /// The number of bytes in the input buffer. If there are none and `fetch_sequencer` is set,
    /// reads from the sequencer without waiting and returns the number of events.
    ///
    /// # Errors
    /// [`Overrun`](crate::ErrorKind::Overrun) if events were lost.
    pub fn event_input_pending(&self, fetch_sequencer: bool) -> Result<usize> {
        self.core.input_pending(fetch_sequencer).during("event_input_pending")
    }
}
