//! Output: into the buffer, from the buffer into the sequencer, and waiting for room.

use std::time::{Duration, Instant};

use super::receivers::{RECEIVER_TIMEOUT, Receivers};
use super::{ClientCore, Direction, WaitEnd};
use crate::client::buffers::{Flush, OutputBuffer};
use crate::client::error::{Failure, OperationName, Outcome, Subject};
use crate::client::routing::Routing;
use crate::engine::Errno;
use crate::event::{Cell, Event, EventFlags};

/// The result of one attempt to output that does not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStep<T> {
    /// The output is complete.
    Done(T),
    /// The sequencer has no room at present.
    Blocked {
        /// A count that grows whenever part of the output has been written. It shows
        /// [`RoomWait`] whether the attempt made progress.
        written: u64,
    },
}

/// Decides how one output waits for room between its attempts.
///
/// An output alternates attempts ([`OutputStep`]) with waits until the client is writable. However,
/// the kernel reports a client as writable when a fixed number of cells is free, and an event may
/// need more cells than that: then the client is writable, but no attempt makes progress. A loop of
/// `poll` and `write` would use a whole processor until the queue delivers something. Therefore,
/// the output pauses before each attempt that follows one without progress.
///
/// The blocking client, the asynchronous client and clients of other runtimes (an interpreter)
/// wait by different means but share this rule. A receiver that does not read its input is not
/// waited for longer than [`RECEIVER_TIMEOUT`].
///
/// ```text
/// loop {
///     match attempt {
///         Done => return,
///         Blocked { written } => if let Some(pause) = room.pause_after(client, written)? {
///             sleep(pause)
///         }
///     }
///     wait until the client is writable
/// }
/// ```
#[derive(Debug, Default)]
pub struct RoomWait {
    /// The count of the previous attempt, if there was one.
    written: Option<u64>,
    /// Since when a receiver has blocked this output without progress.
    blocked_since: Option<Instant>,
}

impl RoomWait {
    /// The pause after an attempt without progress.
    const BACK_OFF_DELAY: Duration = Duration::from_millis(1);

    /// The state at the beginning of an output.
    #[must_use]
    pub const fn new() -> Self {
        Self { written: None, blocked_since: None }
    }

    /// How long to pause before waiting until the client is writable, after an attempt that was
    /// blocked; `None` for not at all. `written` is the attempt's count, or always 0 for an
    /// output that is written as a whole.
    ///
    /// # Errors
    /// [`StuckReceiver`](crate::ErrorKind::StuckReceiver) if a receiver has blocked the output for
    /// [`RECEIVER_TIMEOUT`].
    pub fn pause_after(
        &mut self,
        client: &crate::ClientBase,
        written: u64,
    ) -> crate::Result<Option<Duration>> {
        self.pause(&client.core, written).during("event_output")
    }

    /// [`pause_after`](Self::pause_after), before a public method adds its name.
    pub(crate) fn pause(&mut self, core: &ClientCore, written: u64) -> Outcome<Option<Duration>> {
        let has_progress = self.has_progress(written);
        if has_progress {
            self.blocked_since = None;
        }
        core.check_receiver()?;
        match core.blocked() {
            Some((receiver, _)) => {
                let since = *self.blocked_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= RECEIVER_TIMEOUT {
                    return Err(core.stuck(receiver));
                }
            }
            None => self.blocked_since = None,
        }
        Ok((!has_progress).then_some(Self::BACK_OFF_DELAY))
    }

    /// Whether an attempt with this count made progress; the first one did.
    fn has_progress(&mut self, written: u64) -> bool {
        self.written.replace(written) != Some(written)
    }
}

impl ClientCore {
    /// The cell of `event` as it is written.
    pub(crate) fn prepare(&self, event: &Event, routing: &Routing) -> Outcome<Cell> {
        if event.flags().contains(EventFlags::LENGTH_USER_MEMORY) {
            return Err(user_memory(event));
        }
        if routing.returns(&event.cell, self.client_id) {
            return Err(returning(event));
        }
        let mut cell = event.cell_to_write();
        routing.apply(&mut cell.0, self.client_id);
        Ok(cell)
    }

    /// The fast path of [`buffer`](Self::buffer): puts an event of fixed size into the buffer if
    /// there is room at its end. Returns the number of bytes in the buffer, or `None` if the slow
    /// path has to decide.
    #[inline(always)]
    pub(crate) fn quick_output(&self, event: &Event, routing: &Routing) -> Option<usize> {
        if !event.cell.is_plain(self.client_id) {
            return None;
        }
        self.output().append_fixed(&event.cell, routing, self.client_id)
    }

    /// Puts an event into the buffer. Returns the number of bytes in the buffer, or `None` if the
    /// buffer is full.
    pub(crate) fn buffer(&self, event: &Event, routing: &Routing) -> Outcome<Option<usize>> {
        let mut output = self.output();
        if !output.is_closed()
            && !event.flags().contains(EventFlags::LENGTH_USER_MEMORY)
            && !routing.returns(&event.cell, self.client_id)
            && output.append(event, routing, self.client_id)
        {
            return Ok(Some(output.used()));
        }
        self.not_buffered(&output, event, routing)
    }

    /// Puts events into the buffer until one does not fit. Returns their number.
    pub(crate) fn buffer_many(&self, events: &[Event], routing: &Routing) -> Outcome<usize> {
        let mut output = self.output();
        let mut rest = events;
        loop {
            let appended = output.append_fixed_many(rest, routing, self.client_id);
            rest = &rest[appended..];
            let Some((event, after)) = rest.split_first() else { return Ok(events.len()) };
            let fits = !output.is_closed()
                && !event.flags().contains(EventFlags::LENGTH_USER_MEMORY)
                && !routing.returns(&event.cell, self.client_id)
                && output.append(event, routing, self.client_id);
            if !fits {
                // The events before it are in the buffer, so the caller must get their number;
                // the next call reports the error.
                return match self.not_buffered(&output, event, routing) {
                    Err(failure) if rest.len() == events.len() => Err(failure),
                    _ => Ok(events.len() - rest.len()),
                };
            }
            rest = after;
        }
    }

    /// Why an event does not go into the buffer: `None` if there is no room at present.
    #[cold]
    fn not_buffered(
        &self,
        output: &OutputBuffer,
        event: &Event,
        routing: &Routing,
    ) -> Outcome<Option<usize>> {
        let length = event.length();
        if output.is_closed() {
            Err(Failure::closed())
        } else if event.flags().contains(EventFlags::LENGTH_USER_MEMORY) {
            Err(user_memory(event))
        } else if routing.returns(&event.cell, self.client_id) {
            Err(returning(event))
        } else if length > output.capacity() {
            Err(Failure::invalid(
                Subject::event(event),
                format!(
                    "the event has {length} bytes, more than the output buffer ({} bytes); \
                     enlarge the buffer with set_output_buffer_size, or use event_output_direct",
                    output.capacity()
                ),
            ))
        } else {
            Ok(None)
        }
    }

    /// Writes as much of the buffer as the sequencer accepts now. Also returns the number of bytes
    /// that remain. An event that one of several receivers cannot take is counted as undelivered.
    pub(crate) fn flush(&self) -> Outcome<(Flush, usize)> {
        let mut output = self.output();
        match output.flush() {
            Ok(Flush::Done) => {
                self.clear_blocked();
                Ok((Flush::Done, output.used()))
            }
            Ok(blocked) => self.flush_refused(&mut output, blocked),
            Err(errno) => Err(not_written(&output, errno)),
        }
    }

    /// The rest of [`flush`](Self::flush) after the sequencer has refused an event.
    #[cold]
    fn flush_refused(
        &self,
        output: &mut OutputBuffer,
        mut flush: Flush,
    ) -> Outcome<(Flush, usize)> {
        // Another attempt to write an event that some receivers have got would repeat it there.
        let mut has_progress = flush == Flush::Refused;
        while flush != Flush::Done {
            let Some(head) = output.head_cell() else { break };
            match (self.receivers(&head), flush) {
                (Receivers::Several, _) => {
                    output.remove_head();
                    self.count_undelivered(&head);
                    has_progress = true;
                }
                (_, Flush::Refused) => {}
                (Receivers::One(receiver), _) => {
                    self.set_blocked(receiver, has_progress);
                    return Ok((Flush::Blocked, output.used()));
                }
                (Receivers::Nobody, _) => {
                    self.clear_blocked();
                    return Ok((Flush::Blocked, output.used()));
                }
            }
            flush = output.flush().map_err(|errno| not_written(output, errno))?;
            has_progress |= flush == Flush::Refused;
        }
        self.clear_blocked();
        Ok((Flush::Done, output.used()))
    }

    /// Writes one event, bypassing the buffer. Returns the number of bytes written, or `None` if
    /// there is no room now. If one of several receivers cannot take the event, it is counted as
    /// undelivered there.
    pub(crate) fn write_direct(&self, cell: &Cell, event: &Event) -> Outcome<Option<usize>> {
        let connection = self.connection()?;
        let written = if event.variable.is_empty() {
            connection.write(&cell.0)
        } else {
            let mut bytes = Vec::with_capacity(event.length());
            bytes.extend_from_slice(&cell.0);
            bytes.extend_from_slice(&event.variable);
            connection.write(&bytes)
        };
        match written {
            Ok(0) | Err(Errno::WOULD_BLOCK) => match self.receivers(cell) {
                Receivers::Several => {
                    self.count_undelivered(cell);
                    Ok(Some(event.length()))
                }
                Receivers::One(receiver) => {
                    self.set_blocked(receiver, false);
                    Ok(None)
                }
                Receivers::Nobody => Ok(None),
            },
            Ok(written) => {
                self.clear_blocked();
                Ok(Some(written))
            }
            Err(errno) => {
                let sent = Event { cell: *cell, variable: Vec::new() };
                Err(Failure::system(Subject::event(&sent), errno))
            }
        }
    }

    /// One attempt to put an event into the buffer, writing the buffer out if it is full.
    pub(crate) fn output_step(
        &self,
        event: &Event,
        routing: &Routing,
    ) -> Outcome<OutputStep<usize>> {
        loop {
            if let Some(used) = self.buffer(event, routing)? {
                return Ok(OutputStep::Done(used));
            }
            if self.flush()?.0 == Flush::Blocked {
                return Ok(OutputStep::Blocked { written: self.output().removed() });
            }
        }
    }

    /// One attempt to write an event, bypassing the buffer.
    pub(crate) fn direct_step(&self, cell: &Cell, event: &Event) -> Outcome<OutputStep<usize>> {
        Ok(match self.write_direct(cell, event)? {
            Some(written) => OutputStep::Done(written),
            None => OutputStep::Blocked { written: 0 },
        })
    }

    /// One attempt to write what was in the buffer when the count [`OutputBuffer::appended`] was
    /// `target`; other threads may have added more since. Returns the number of bytes that remain.
    pub(crate) fn drain_step(&self, target: u64) -> Outcome<OutputStep<usize>> {
        let (flush, used) = self.flush()?;
        let written = self.output().removed();
        Ok(match flush {
            Flush::Blocked if written < target => OutputStep::Blocked { written },
            _ => OutputStep::Done(used),
        })
    }

    /// Repeats an attempt until it is done, blocking the thread while there is no room. `None`
    /// if the deadline passes first.
    pub(crate) fn output_blocking<T>(
        &self,
        deadline: Option<Instant>,
        mut attempt: impl FnMut() -> Outcome<OutputStep<T>>,
    ) -> Outcome<Option<T>> {
        let mut room = RoomWait::new();
        loop {
            let written = match attempt()? {
                OutputStep::Done(value) => return Ok(Some(value)),
                OutputStep::Blocked { written } => written,
            };
            if let Some(pause) = room.pause(self, written)? {
                self.pause(pause, deadline)?;
            }
            if self.wait(Direction::Write, deadline)? == WaitEnd::TimedOut {
                return Ok(None);
            }
        }
    }

    /// Puts a control event of a queue into the output buffer. A blocking client waits for room; an
    /// asynchronous one fails with `EAGAIN`, because the methods of its queues are not futures.
    pub(crate) fn output_control(&self, event: &Event) -> Outcome<()> {
        let attempt = || self.output_step(event, &Routing::new());
        if self.may_block {
            self.output_blocking(None, attempt)?;
            return Ok(());
        }
        match attempt()? {
            OutputStep::Done(_) => Ok(()),
            OutputStep::Blocked { .. } => Err(no_room(event)),
        }
    }
}

/// The failure of an output that may not wait and finds no room.
#[cold]
pub(crate) fn no_room(event: &Event) -> Failure {
    Failure::system(Subject::event(event), Errno::WOULD_BLOCK)
}

/// Why the buffer could not be written.
#[cold]
fn not_written(output: &OutputBuffer, errno: Errno) -> Failure {
    if output.is_closed() {
        return Failure::closed();
    }
    let subject = output.head().map_or(Subject::None, |head| Subject::event(&head));
    Failure::system(subject, errno)
}

/// The failure of passing a received event on without another destination.
#[cold]
fn returning(event: &Event) -> Failure {
    let note = "a received event keeps its destination, so that this client would receive it again \
                without end; pass it on with Routing::pass_on, or set the destination with \
                Routing::dest";
    Failure::invalid(Subject::event(event), note.to_owned())
}

#[cold]
fn user_memory(event: &Event) -> Failure {
    let note = "only kernel drivers may send data that is in the sender's memory".to_owned();
    Failure::invalid(Subject::event(event), note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_pauses_only_after_an_attempt_without_progress() {
        let mut room = RoomWait::new();
        assert!(room.has_progress(0), "the first attempt");
        assert!(room.has_progress(28), "progress");
        assert!(!room.has_progress(28));
        assert!(!room.has_progress(28));
        assert!(room.has_progress(56), "progress again");
    }
}
