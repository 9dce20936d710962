//! Input: from the sequencer into the buffer, and out of the buffer, without waiting.

use super::ClientCore;
use crate::client::buffers::Corrupt;
use crate::client::error::{Failure, Outcome};
use crate::engine::Errno;
use crate::event::Event;

impl ClientCore {
    /// The next event, if it has been read and has fixed size. Only the cell is copied under
    /// the lock, so that the event is made where the caller wants it.
    #[inline(always)]
    pub(crate) fn quick_input(&self) -> Option<Event> {
        let cell = self.input().take_fixed()?;
        Some(Event { cell, variable: Vec::new() })
    }

    /// The next event, without waiting.
    #[inline]
    pub(crate) fn try_input(&self) -> Outcome<Option<Event>> {
        match self.quick_input() {
            Some(event) => Ok(Some(event)),
            None => self.fetch(),
        }
    }

    /// The slow path of [`try_input`](Self::try_input): the next event has variable size or must
    /// be read first.
    #[inline(never)]
    pub(crate) fn fetch(&self) -> Outcome<Option<Event>> {
        let mut input = self.input();
        if input.connection.is_none() {
            return Err(Failure::closed());
        }
        if let Some(event) = input.take() {
            return event.map(Some).map_err(corrupt);
        }
        match input.fill() {
            Ok(()) => input.take().transpose().map_err(corrupt),
            Err(Errno::WOULD_BLOCK) => Ok(None),
            Err(errno) => Err(Failure::system(self.subject(), errno)),
        }
    }

    /// Appends up to `limit` events to `events` without waiting, and returns how many.
    pub(crate) fn try_input_batch(&self, events: &mut Vec<Event>, limit: usize) -> Outcome<usize> {
        let mut input = self.input();
        if input.connection.is_none() {
            return Err(Failure::closed());
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
                Some(Err(cells)) => return Err(corrupt(cells)),
                None => {}
            }
            match input.fill() {
                Ok(()) => {}
                Err(Errno::WOULD_BLOCK) => break,
                Err(Errno::OVERRUN) if count > 0 => {
                    input.remember_overrun();
                    break;
                }
                Err(errno) => return Err(Failure::system(self.subject(), errno)),
            }
        }
        Ok(count)
    }

    /// The bytes that have been read into the buffer; if there are none and `fetch` is set, the
    /// number of events of one read.
    pub(crate) fn input_pending(&self, fetch: bool) -> Outcome<usize> {
        let mut input = self.input();
        if input.connection.is_none() {
            return Err(Failure::closed());
        }
        let pending = input.pending_bytes();
        if pending > 0 || !fetch {
            return Ok(pending);
        }
        match input.fill() {
            Ok(()) => Ok(input.count()),
            Err(Errno::WOULD_BLOCK) => Ok(0),
            Err(errno) => Err(Failure::system(self.subject(), errno)),
        }
    }
}

#[cold]
fn corrupt(Corrupt { stated, available }: Corrupt) -> Failure {
    Failure::corrupt(format!(
        "the sequencer sent only {available} bytes of an event that has {stated}"
    ))
}
