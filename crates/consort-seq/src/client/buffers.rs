//! The client's buffers of input and output cells.

use std::sync::Arc;

use super::routing::Routing;
use crate::engine::{Connection, Errno};
use crate::event::{Cell, Event, EventFlags};
use crate::raw::MAX_VARIABLE_BYTES;

/// Initial size of the output buffer in bytes.
pub(crate) const INITIAL_OUTPUT_BYTES: usize = 16 * 1024;
/// Initial size of the input buffer in bytes: 500 cells.
pub(crate) const INITIAL_INPUT_BYTES: usize = 500 * Cell::SIZE;
/// The size up to which the input buffer grows for a long event.
const MAX_INPUT_BYTES: usize = MAX_VARIABLE_BYTES + Cell::SIZE;

/// An event that was read, with its MIDI bytes if it has a MIDI form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BytesOrEvent {
    /// The event.
    pub event: Event,
    /// Its MIDI bytes; `None` for an event without a MIDI form, such as an announcement.
    pub midi_bytes: Option<Vec<u8>>,
}

/// Cells that do not form an event: they state more bytes than there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corrupt {
    pub(crate) stated: usize,
    pub(crate) available: usize,
}

/// Parses the first event of `bytes`. Returns it with its length in bytes, including padding.
#[inline]
pub(crate) fn parse_cell(bytes: &[u8]) -> Result<(Event, usize), Corrupt> {
    let Some(cell) = bytes.first_chunk::<{ Cell::SIZE }>() else {
        return Err(Corrupt { stated: Cell::SIZE, available: bytes.len() });
    };
    let cell = Cell::load(cell);
    if !cell.is_variable() {
        return Ok((Event { cell, variable: Vec::new() }, Cell::SIZE));
    }
    let length = cell.stated_length();
    let available = bytes.len() - Cell::SIZE;
    if length > available {
        return Err(Corrupt { stated: length, available });
    }
    let data = bytes[Cell::SIZE..Cell::SIZE + length].to_vec();
    let padded_length = Cell::SIZE + length.next_multiple_of(Cell::SIZE);
    Ok((Event::from_cell(cell, data), padded_length.min(bytes.len())))
}

#[inline]
fn is_variable(cell: &[u8; Cell::SIZE]) -> bool {
    cell[1] & EventFlags::LENGTH_MASK.bits() == EventFlags::LENGTH_VARIABLE.bits()
}

/// Cells that have been read from the sequencer and not yet returned to the caller.
#[derive(Debug)]
pub(crate) struct InputBuffer {
    /// `None` once the client is closed.
    pub(crate) connection: Option<Arc<dyn Connection>>,
    bytes: Vec<u8>,
    /// The size that the user has set; `bytes` may be longer, so that every event fits.
    size: usize,
    start: usize,
    end: usize,
    /// Whether the sequencer has reported a loss that the next read returns as an error. Events
    /// that were read before it had to be returned first.
    overrun: bool,
}

impl InputBuffer {
    pub(crate) fn new(connection: Arc<dyn Connection>) -> Self {
        Self {
            connection: Some(connection),
            bytes: vec![0; INITIAL_INPUT_BYTES],
            size: INITIAL_INPUT_BYTES,
            start: 0,
            end: 0,
            overrun: false,
        }
    }

    pub(crate) fn pending_bytes(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn set_size(&mut self, size: usize) {
        self.size = size;
        self.reserve(size);
    }

    /// Enlarges the buffer for the longest event that fits an input pool of `cells` cells. (The
    /// kernel answers a read into a shorter buffer with `EAGAIN`, as if there were no event.)
    pub(crate) fn fit_pool(&mut self, cells: u32) {
        self.reserve((cells as usize + 1) * Cell::SIZE);
    }

    /// Doubles the buffer. This is for a sequencer that is readable and yet returns no event,
    /// because the event is longer than the buffer.
    pub(crate) fn grow(&mut self) {
        self.reserve(self.bytes.len() * 2);
    }

    fn reserve(&mut self, size: usize) {
        let size = size.min(MAX_INPUT_BYTES);
        if self.bytes.len() < size {
            self.bytes.resize(size, 0);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
        self.overrun = false;
    }

    /// The fast path of [`take`](Self::take): the cell of the next event, if it has fixed size.
    #[inline]
    pub(crate) fn take_fixed(&mut self) -> Option<Cell> {
        let cell = self.bytes.get(self.start..self.end)?.first_chunk::<{ Cell::SIZE }>()?;
        if is_variable(cell) {
            return None;
        }
        self.start += Cell::SIZE;
        Some(Cell::load(cell))
    }

    /// Moves up to `limit` events of fixed size to `events`, up to the first of variable size, and
    /// returns how many.
    pub(crate) fn take_fixed_many(&mut self, events: &mut Vec<Event>, limit: usize) -> usize {
        let (cells, _) = self.bytes[self.start..self.end].as_chunks::<{ Cell::SIZE }>();
        let cells = &cells[..cells.len().min(limit)];
        let count = cells.iter().position(is_variable).unwrap_or(cells.len());
        // The iterator knows its length, so the vector allocates only once.
        let new = |cell| Event { cell: Cell::load(cell), variable: Vec::new() };
        events.extend(cells[..count].iter().map(new));
        self.start += count * Cell::SIZE;
        count
    }

    /// Removes the next event from the buffer, if there is one.
    pub(crate) fn take(&mut self) -> Option<Result<Event, Corrupt>> {
        if self.start == self.end {
            return None;
        }
        match parse_cell(&self.bytes[self.start..self.end]) {
            Ok((event, length)) => {
                self.start += length;
                Some(Ok(event))
            }
            Err(corrupt) => {
                self.clear();
                Some(Err(corrupt))
            }
        }
    }

    /// The number of events in the buffer.
    pub(crate) fn count(&self) -> usize {
        let mut rest = &self.bytes[self.start..self.end];
        let mut count = 0;
        while let Ok((_, length)) = parse_cell(rest) {
            rest = &rest[length..];
            count += 1;
        }
        count
    }

    /// Reads once into the buffer, which must be empty.
    pub(crate) fn fill(&mut self) -> Result<(), Errno> {
        debug_assert_eq!(self.start, self.end);
        if self.connection.is_some() && std::mem::take(&mut self.overrun) {
            return Err(Errno::OVERRUN);
        }
        loop {
            let Some(connection) = &self.connection else {
                return Err(Errno::CLOSED);
            };
            match connection.read(&mut self.bytes) {
                Ok(0) => return Err(Errno::WOULD_BLOCK),
                Ok(read) => {
                    self.start = 0;
                    self.end = read.min(self.bytes.len());
                    return Ok(());
                }
                Err(Errno::NO_MEMORY) if self.bytes.len() < MAX_INPUT_BYTES => self.grow(),
                Err(errno) => return Err(errno),
            }
        }
    }

    pub(crate) fn has_overrun(&self) -> bool {
        self.overrun
    }

    /// Keeps a loss for the next call, because this one has events to return.
    pub(crate) fn remember_overrun(&mut self) {
        self.overrun = true;
    }
}

/// Cells that have not yet been written to the sequencer.
#[derive(Debug)]
pub(crate) struct OutputBuffer {
    /// `None` once the client is closed.
    connection: Option<Arc<dyn Connection>>,
    /// As long as the capacity, or empty once the client is closed, so that nothing more fits.
    /// The waiting cells are between `start` and `end`.
    bytes: Vec<u8>,
    capacity: usize,
    start: usize,
    end: usize,
    /// The number of bytes ever removed. A drain compares it with [`appended`](Self::appended) at
    /// its beginning, so that it ends even if other threads keep adding events.
    removed: u64,
}

/// The result of an attempt to write the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Everything is written.
    Done,
    /// The sequencer has no room at present.
    Blocked,
    /// The sequencer refused the event that is now at the head, for a reason that it did not give,
    /// because it accepted events before it in the same write.
    Refused,
}

impl OutputBuffer {
    pub(crate) fn new(connection: Arc<dyn Connection>) -> Self {
        let bytes = vec![0; INITIAL_OUTPUT_BYTES];
        let capacity = INITIAL_OUTPUT_BYTES;
        Self { connection: Some(connection), bytes, capacity, start: 0, end: 0, removed: 0 }
    }

    /// Drops the connection and everything that waits.
    pub(crate) fn close(&mut self) {
        self.clear();
        self.connection = None;
        self.bytes = Vec::new();
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.connection.is_none()
    }

    #[inline]
    pub(crate) fn used(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns `false` if more is waiting than `capacity`, or there is not enough memory.
    pub(crate) fn set_capacity(&mut self, capacity: usize) -> bool {
        let more = capacity.saturating_sub(self.bytes.len());
        if self.used() > capacity || self.bytes.try_reserve_exact(more).is_err() {
            return false;
        }
        self.capacity = capacity;
        if !self.is_closed() {
            self.compact();
            self.bytes.resize(capacity, 0);
        }
        true
    }

    /// The number of bytes ever appended.
    pub(crate) fn appended(&self) -> u64 {
        self.removed + self.used() as u64
    }

    pub(crate) fn removed(&self) -> u64 {
        self.removed
    }

    fn compact(&mut self) {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
    }

    fn remove_front(&mut self, length: usize) {
        self.start += length;
        self.removed += length as u64;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// The fast path of [`append`](Self::append): appends an event of fixed size. Returns the
    /// bytes that wait then, or `None` if there is no room at the end of the buffer.
    #[inline]
    pub(crate) fn append_fixed(
        &mut self,
        cell: &Cell,
        routing: &Routing,
        client: u8,
    ) -> Option<usize> {
        let slot = self.bytes.get_mut(self.end..)?.first_chunk_mut::<{ Cell::SIZE }>()?;
        cell.store(slot);
        routing.apply(slot, client);
        self.end += Cell::SIZE;
        Some(self.used())
    }

    /// Appends events up to the first that the fast path cannot append, and returns how many.
    pub(crate) fn append_fixed_many(
        &mut self,
        events: &[Event],
        routing: &Routing,
        client: u8,
    ) -> usize {
        let (slots, _) = self.bytes[self.end..].as_chunks_mut::<{ Cell::SIZE }>();
        let mut count = 0;
        for (event, slot) in events.iter().zip(slots) {
            if !event.cell.is_plain(client) {
                break;
            }
            event.cell.store(slot);
            routing.apply(slot, client);
            count += 1;
        }
        self.end += count * Cell::SIZE;
        count
    }

    /// Appends an event of any kind. Returns `false` if there is no room.
    pub(crate) fn append(&mut self, event: &Event, routing: &Routing, client: u8) -> bool {
        let length = event.length();
        if self.bytes.len() - self.end < length {
            if self.bytes.len() - self.used() < length {
                return false;
            }
            self.compact();
        }
        let slot = &mut self.bytes[self.end..self.end + length];
        let Some((cell, variable)) = slot.split_first_chunk_mut::<{ Cell::SIZE }>() else {
            return false;
        };
        event.cell_to_write().store(cell);
        routing.apply(cell, client);
        variable.copy_from_slice(&event.variable);
        self.end += length;
        true
    }

    /// Writes as much as the sequencer accepts. An event that fails stays at the head.
    ///
    /// # Errors
    /// The sequencer's; `EBADFD` once the client is closed.
    #[inline]
    pub(crate) fn flush(&mut self) -> Result<Flush, Errno> {
        let Some(connection) = &self.connection else { return Err(Errno::CLOSED) };
        while self.start < self.end {
            let Some(waiting) = self.bytes.get(self.start..self.end) else { break };
            match connection.write(waiting) {
                Ok(0) | Err(Errno::WOULD_BLOCK) => return Ok(Flush::Blocked),
                Ok(written) => {
                    let is_short = written < waiting.len();
                    self.removed += written as u64;
                    self.start += written;
                    if is_short {
                        return Ok(Flush::Refused);
                    }
                }
                Err(errno) => return Err(errno),
            }
        }
        self.start = 0;
        self.end = 0;
        Ok(Flush::Done)
    }

    /// The length of the event at `offset`.
    fn length_at(&self, offset: usize) -> usize {
        let mut cell = Cell([0; Cell::SIZE]);
        cell.0.copy_from_slice(&self.bytes[offset..offset + Cell::SIZE]);
        if cell.is_variable() { Cell::SIZE + cell.stated_length() } else { Cell::SIZE }
    }

    /// The cell of the first event.
    pub(crate) fn head_cell(&self) -> Option<Cell> {
        let bytes = self.bytes.get(self.start..self.end)?.first_chunk::<{ Cell::SIZE }>()?;
        Some(Cell::load(bytes))
    }

    /// Removes the first event.
    pub(crate) fn remove_head(&mut self) {
        if self.used() > 0 {
            self.remove_front(self.length_at(self.start));
        }
    }

    fn event_at(&self, offset: usize) -> Event {
        let mut cell = Cell([0; Cell::SIZE]);
        cell.0.copy_from_slice(&self.bytes[offset..offset + Cell::SIZE]);
        let length = self.length_at(offset);
        Event::from_cell(cell, self.bytes[offset + Cell::SIZE..offset + length].to_vec())
    }

    /// The first event, which stays in the buffer.
    pub(crate) fn head(&self) -> Option<Event> {
        (self.used() > 0).then(|| self.event_at(self.start))
    }

    /// Removes the first event.
    pub(crate) fn extract(&mut self) -> Option<Event> {
        let event = self.head()?;
        self.remove_front(event.length());
        Some(event)
    }

    pub(crate) fn clear(&mut self) {
        self.removed += self.used() as u64;
        self.start = 0;
        self.end = 0;
    }

    /// Removes every event for which `is_removed` returns `true`.
    pub(crate) fn remove_if(&mut self, is_removed: impl Fn(&Event) -> bool) {
        let mut kept = Vec::with_capacity(self.bytes.len());
        let mut offset = self.start;
        while offset < self.end {
            let length = self.length_at(offset);
            if is_removed(&self.event_at(offset)) {
                self.removed += length as u64;
            } else {
                kept.extend_from_slice(&self.bytes[offset..offset + length]);
            }
            offset += length;
        }
        self.start = 0;
        self.end = kept.len();
        kept.resize(self.bytes.len(), 0);
        self.bytes = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{ClockKind, Embedded, OpenMode};

    #[test]
    fn a_capacity_that_cannot_be_allocated_is_refused() {
        let connection = Embedded::new(ClockKind::Virtual).open(OpenMode::Duplex).unwrap();
        let mut output = OutputBuffer::new(Arc::new(connection));
        for size in [usize::MAX, isize::MAX as usize, 1 << 60] {
            assert!(!output.set_capacity(size), "{size}");
        }
        assert_eq!(output.capacity(), INITIAL_OUTPUT_BYTES);
        assert!(output.set_capacity(1 << 20));
    }
}
