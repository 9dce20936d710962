//! The client's own buffers of cells on their way in and out.

use std::sync::Arc;

use super::routing::Routing;
use crate::engine::{Connection, Errno};
use crate::event::{Cell, Event, EventFlags};
use crate::raw::VARIABLE_LENGTH_LIMIT;

/// Bytes of the output buffer, unless set otherwise.
pub(crate) const OUTPUT_SIZE: usize = 16 * 1024;
/// Bytes of the input buffer, unless set otherwise: 500 cells.
pub(crate) const INPUT_SIZE: usize = 500 * Cell::SIZE;
/// The input buffer grows up to here for an event that is longer.
const INPUT_LIMIT: usize = VARIABLE_LENGTH_LIMIT + Cell::SIZE;

/// An event that came in, with its MIDI bytes where it has any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BytesOrEvent {
    /// The event.
    pub event: Event,
    /// Its MIDI bytes; `None` for an event that has none, such as an announcement.
    pub midi_bytes: Option<Vec<u8>>,
}

/// Why buffered cells make no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corrupt {
    pub(crate) stated: usize,
    pub(crate) available: usize,
}

/// Takes the first event off `bytes`: the event and the bytes that it took, padding included.
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
    let taken = Cell::SIZE + length.next_multiple_of(Cell::SIZE);
    Ok((Event::from_cell(cell, data), taken.min(bytes.len())))
}

#[inline]
fn is_variable(cell: &[u8; Cell::SIZE]) -> bool {
    cell[1] & EventFlags::LENGTH_MASK.bits() == EventFlags::LENGTH_VARIABLE.bits()
}

/// Cells that have been read and not yet taken.
#[derive(Debug)]
pub(crate) struct InputBuffer {
    /// Gone once the client is closed.
    pub(crate) connection: Option<Arc<dyn Connection>>,
    bytes: Vec<u8>,
    /// The size that was asked for; `bytes` may be longer, so that every event fits.
    size: usize,
    start: usize,
    end: usize,
    /// A loss that the sequencer reported after events which had to be handed out first.
    overrun: bool,
}

impl InputBuffer {
    pub(crate) fn new(connection: Arc<dyn Connection>) -> Self {
        Self {
            connection: Some(connection),
            bytes: vec![0; INPUT_SIZE],
            size: INPUT_SIZE,
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

    /// Sees to it that an event which fills an input pool of `cells` cells can be read. (A read
    /// into a buffer that is too short says "try again", as if there were nothing.)
    pub(crate) fn fit_pool(&mut self, cells: u32) {
        self.reserve((cells as usize + 1) * Cell::SIZE);
    }

    /// Makes room for a longer event, where the sequencer says there is something to read, and
    /// reading says there is nothing.
    pub(crate) fn grow(&mut self) {
        self.reserve(self.bytes.len() * 2);
    }

    fn reserve(&mut self, size: usize) {
        let size = size.min(INPUT_LIMIT);
        if self.bytes.len() < size {
            self.bytes.resize(size, 0);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
        self.overrun = false;
    }

    /// The cell of the next event that has been read, if it has fixed size: the quick way.
    #[inline]
    pub(crate) fn take_fixed(&mut self) -> Option<Cell> {
        let cell = self.bytes.get(self.start..self.end)?.first_chunk::<{ Cell::SIZE }>()?;
        if is_variable(cell) {
            return None;
        }
        self.start += Cell::SIZE;
        Some(Cell::load(cell))
    }

    /// Appends up to `limit` events of fixed size that have been read, up to the first of
    /// variable size.
    pub(crate) fn take_fixed_many(&mut self, events: &mut Vec<Event>, limit: usize) -> usize {
        let (cells, _) = self.bytes[self.start..self.end].as_chunks::<{ Cell::SIZE }>();
        let cells = &cells[..cells.len().min(limit)];
        let count = cells.iter().position(is_variable).unwrap_or(cells.len());
        // The number is known before, so that the vector asks for room once.
        let new = |cell| Event { cell: Cell::load(cell), variable: Vec::new() };
        events.extend(cells[..count].iter().map(new));
        self.start += count * Cell::SIZE;
        count
    }

    /// The next event that has been read, if any.
    pub(crate) fn take(&mut self) -> Option<Result<Event, Corrupt>> {
        if self.start == self.end {
            return None;
        }
        match parse_cell(&self.bytes[self.start..self.end]) {
            Ok((event, taken)) => {
                self.start += taken;
                Some(Ok(event))
            }
            Err(corrupt) => {
                self.clear();
                Some(Err(corrupt))
            }
        }
    }

    /// Events that have been read.
    pub(crate) fn count(&self) -> usize {
        let mut rest = &self.bytes[self.start..self.end];
        let mut count = 0;
        while let Ok((_, taken)) = parse_cell(rest) {
            rest = &rest[taken..];
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
                Err(Errno::NO_MEMORY) if self.bytes.len() < INPUT_LIMIT => self.grow(),
                Err(errno) => return Err(errno),
            }
        }
    }

    pub(crate) fn has_overrun(&self) -> bool {
        self.overrun
    }

    /// Keeps a loss for the next call, because this one has events to hand out.
    pub(crate) fn remember_overrun(&mut self) {
        self.overrun = true;
    }
}

/// Cells that are to be written.
#[derive(Debug)]
pub(crate) struct OutputBuffer {
    /// Gone once the client is closed.
    connection: Option<Arc<dyn Connection>>,
    /// As long as the capacity, or empty once the client is closed, so that nothing goes in any
    /// more. What waits stands between `start` and `end`.
    bytes: Vec<u8>,
    capacity: usize,
    start: usize,
    end: usize,
    /// Bytes that ever went out; with what waits they tell a drain when it is done, though
    /// others add.
    removed: u64,
}

/// What became of an attempt to write the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Everything is written.
    Done,
    /// The sequencer has no room at present.
    Blocked,
}

impl OutputBuffer {
    pub(crate) fn new(connection: Arc<dyn Connection>) -> Self {
        let bytes = vec![0; OUTPUT_SIZE];
        let capacity = OUTPUT_SIZE;
        Self { connection: Some(connection), bytes, capacity, start: 0, end: 0, removed: 0 }
    }

    /// Lets go of the connection and of everything that waits.
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

    /// `false` if more is waiting than `capacity`, or there is no memory for that.
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

    /// Bytes that ever went in.
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

    /// Appends an event of fixed size, the quick way: the bytes that wait now, or `None` if there
    /// is no room at the end.
    #[inline]
    pub(crate) fn append_fixed(
        &mut self,
        cell: &Cell,
        routing: &Routing,
        client: u8,
    ) -> Option<usize> {
        let place = self.bytes.get_mut(self.end..)?.first_chunk_mut::<{ Cell::SIZE }>()?;
        cell.store(place);
        routing.apply(place, client);
        self.end += Cell::SIZE;
        Some(self.used())
    }

    /// Appends events of fixed size up to the first for which the quick way does not do.
    pub(crate) fn append_fixed_many(
        &mut self,
        events: &[Event],
        routing: &Routing,
        client: u8,
    ) -> usize {
        let (places, _) = self.bytes[self.end..].as_chunks_mut::<{ Cell::SIZE }>();
        let mut count = 0;
        for (event, place) in events.iter().zip(places) {
            if !event.cell.is_fixed() {
                break;
            }
            event.cell.store(place);
            routing.apply(place, client);
            count += 1;
        }
        self.end += count * Cell::SIZE;
        count
    }

    /// Appends an event of any kind; `false` if there is no room.
    pub(crate) fn append(&mut self, event: &Event, routing: &Routing, client: u8) -> bool {
        let length = event.length();
        if self.bytes.len() - self.end < length {
            if self.bytes.len() - self.used() < length {
                return false;
            }
            self.compact();
        }
        let place = &mut self.bytes[self.end..self.end + length];
        let Some((cell, variable)) = place.split_first_chunk_mut::<{ Cell::SIZE }>() else {
            return false;
        };
        event.cell_to_write().store(cell);
        routing.apply(cell, client);
        variable.copy_from_slice(&event.variable);
        self.end += length;
        true
    }

    /// Writes as much as the sequencer takes. An event that fails stays at the head.
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
                    self.removed += written as u64;
                    self.start += written;
                }
                Err(errno) => return Err(errno),
            }
        }
        self.start = 0;
        self.end = 0;
        Ok(Flush::Done)
    }

    fn head_length(&self, at: usize) -> usize {
        let mut cell = Cell([0; Cell::SIZE]);
        cell.0.copy_from_slice(&self.bytes[at..at + Cell::SIZE]);
        if cell.is_variable() { Cell::SIZE + cell.stated_length() } else { Cell::SIZE }
    }

    fn event_at(&self, at: usize) -> Event {
        let mut cell = Cell([0; Cell::SIZE]);
        cell.0.copy_from_slice(&self.bytes[at..at + Cell::SIZE]);
        let length = self.head_length(at);
        Event::from_cell(cell, self.bytes[at + Cell::SIZE..at + length].to_vec())
    }

    /// The first event, left where it is.
    pub(crate) fn head(&self) -> Option<Event> {
        (self.used() > 0).then(|| self.event_at(self.start))
    }

    /// Takes the first event out.
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

    /// Takes out every event for which `gone` holds.
    pub(crate) fn remove_if(&mut self, gone: impl Fn(&Event) -> bool) {
        let mut kept = Vec::with_capacity(self.bytes.len());
        let mut at = self.start;
        while at < self.end {
            let length = self.head_length(at);
            if gone(&self.event_at(at)) {
                self.removed += length as u64;
            } else {
                kept.extend_from_slice(&self.bytes[at..at + length]);
            }
            at += length;
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
    fn a_size_that_no_memory_has_is_refused() {
        let connection = Embedded::new(ClockKind::Virtual).open(OpenMode::Duplex).unwrap();
        let mut output = OutputBuffer::new(Arc::new(connection));
        for size in [usize::MAX, isize::MAX as usize, 1 << 60] {
            assert!(!output.set_capacity(size), "{size}");
        }
        assert_eq!(output.capacity(), OUTPUT_SIZE);
        assert!(output.set_capacity(1 << 20));
    }
}
