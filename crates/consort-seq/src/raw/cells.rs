//! Streams of cells: how `read` and `write` pack events with variable data.
//!
//! A read pads variable data to whole cells; a write does not.

use super::{Event, UmpEvent};

/// Most bytes of variable data that one event may announce before a reader refuses it.
///
/// The kernel's pools end at 2,000 cells, so that nothing longer can pass through it.
pub const VARIABLE_LENGTH_LIMIT: usize = 2000 * UmpEvent::SIZE;

/// The bits of `ext.len` that the kernel uses itself: user pointer and chained cells.
const LENGTH_FLAGS: u32 = 0xc000_0000;

/// Why a stream of cells cannot be read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CellError {
    /// The stream ends inside an event.
    #[error("the cells end inside an event: {needed} bytes are needed, {available} are left")]
    Truncated {
        /// Bytes that the event takes.
        needed: usize,
        /// Bytes that are left.
        available: usize,
    },
    /// An event announces more variable data than any sequencer can hold.
    #[error("an event announces {length} bytes of data; the limit is {VARIABLE_LENGTH_LIMIT}")]
    TooLong {
        /// Bytes announced.
        length: usize,
    },
}

/// The bytes that a `read` has returned, as events. It allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct Cells<'a> {
    bytes: &'a [u8],
    stride: usize,
}

impl<'a> Cells<'a> {
    /// Cells of 28 bytes, as every client reads that has not asked for UMP.
    #[must_use]
    pub const fn legacy(bytes: &'a [u8]) -> Self {
        Self { bytes, stride: Event::SIZE }
    }

    /// Cells of 32 bytes, as a UMP client reads them.
    #[must_use]
    pub const fn ump(bytes: &'a [u8]) -> Self {
        Self { bytes, stride: UmpEvent::SIZE }
    }
}

impl<'a> IntoIterator for Cells<'a> {
    type Item = Result<(UmpEvent, &'a [u8]), CellError>;
    type IntoIter = CellIterator<'a>;

    fn into_iter(self) -> CellIterator<'a> {
        CellIterator { rest: self.bytes, stride: self.stride }
    }
}

/// Iterator over [`Cells`]: each event (legacy ones widened) and its variable data. After an
/// error it ends.
#[derive(Clone, Debug)]
pub struct CellIterator<'a> {
    rest: &'a [u8],
    stride: usize,
}

impl<'a> CellIterator<'a> {
    /// The bytes that have not been read yet.
    #[must_use]
    pub const fn remaining(&self) -> &'a [u8] {
        self.rest
    }

    fn next_event(&mut self) -> Result<(UmpEvent, &'a [u8]), CellError> {
        let available = self.rest.len();
        let truncated = |needed| CellError::Truncated { needed, available };
        let (event, rest) = if self.stride == UmpEvent::SIZE {
            let (cell, rest) = self.rest.split_first_chunk().ok_or(truncated(UmpEvent::SIZE))?;
            (UmpEvent::from_bytes(cell), rest)
        } else {
            let (cell, rest) = self.rest.split_first_chunk().ok_or(truncated(Event::SIZE))?;
            (UmpEvent::from_legacy(Event::from_bytes(cell)), rest)
        };
        let legacy = event.legacy();
        if event.is_ump() || !legacy.is_variable() {
            self.rest = rest;
            return Ok((event, &[]));
        }
        let length = (legacy.data.external_length() & !LENGTH_FLAGS) as usize;
        if length > VARIABLE_LENGTH_LIMIT {
            return Err(CellError::TooLong { length });
        }
        let padded = length.next_multiple_of(self.stride);
        if rest.len() < padded {
            return Err(truncated(self.stride + padded));
        }
        let (data, rest) = rest.split_at(padded);
        self.rest = rest;
        Ok((event, &data[..length]))
    }
}

impl<'a> Iterator for CellIterator<'a> {
    type Item = Result<(UmpEvent, &'a [u8]), CellError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let result = self.next_event();
        if result.is_err() {
            self.rest = &[];
        }
        Some(result)
    }
}

/// Appends an event as a `write` of a legacy client wants it: 28 bytes, then the data without
/// padding. `data` is ignored unless the event's flags say that it is variable; the length field
/// is set from it.
///
/// # Panics
/// Never for data up to 2³⁰ − 1 bytes, far above what any sequencer accepts; beyond that the
/// length field is cut.
pub fn write_cells(into: &mut Vec<u8>, event: &Event, data: &[u8]) {
    let mut event = *event;
    if event.is_variable() {
        event.data.words[0] = (data.len() as u32) & !LENGTH_FLAGS;
        event.data.words[1] = 0;
        event.data.words[2] = 0;
        into.extend_from_slice(&event.to_bytes());
        into.extend_from_slice(data);
    } else {
        into.extend_from_slice(&event.to_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::{EventData, event_flag, event_type};

    #[test]
    fn padded_variable_data_is_read_back() {
        let event = Event {
            kind: event_type::SYSEX,
            flags: event_flag::LENGTH_VARIABLE,
            data: EventData::from_external_length(30),
            ..Event::default()
        };
        let mut bytes = event.to_bytes().to_vec();
        bytes.extend((0..56).map(|i| if i < 30 { i } else { 0 }));
        bytes.extend(Event { kind: event_type::CLOCK, ..Event::default() }.to_bytes());
        let read: Vec<_> = Cells::legacy(&bytes).into_iter().collect::<Result<_, _>>().unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].1, (0..30).collect::<Vec<u8>>());
        assert_eq!((read[1].0.kind, read[1].1), (event_type::CLOCK, &[][..]));
    }

    #[test]
    fn cut_and_absurd_streams_end_with_an_error() {
        let mut event = Event { flags: event_flag::LENGTH_VARIABLE, ..Event::default() };
        event.data = EventData::from_external_length(10);
        let bytes = event.to_bytes();
        let mut cells = Cells::legacy(&bytes).into_iter();
        assert_eq!(cells.next(), Some(Err(CellError::Truncated { needed: 56, available: 28 })));
        assert_eq!(cells.next(), None);
        event.data = EventData::from_external_length(0x3fff_ffff);
        let bytes = event.to_bytes();
        let first = Cells::legacy(&bytes).into_iter().next();
        assert_eq!(first, Some(Err(CellError::TooLong { length: 0x3fff_ffff })));
    }
}
