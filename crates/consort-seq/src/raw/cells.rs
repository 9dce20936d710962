//! Streams of cells: the format in which `read` and `write` transfer events.
//!
//! An event is a cell, followed by its variable data. `read` pads variable data to whole cells;
//! `write` expects it without padding.

use super::{Event, UmpEvent};

/// The maximum number of bytes of variable data in one event that a reader accepts.
///
/// The kernel's pools have at most 2,000 cells, so it cannot transfer anything longer.
pub const MAX_VARIABLE_BYTES: usize = 2000 * UmpEvent::SIZE;

/// The bits of `ext.len` that the kernel reserves for itself: user pointer and chained cells.
const LENGTH_FLAGS: u32 = 0xc000_0000;

/// The error of reading a stream of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CellError {
    /// The stream ends inside an event.
    #[error("truncated event: expected {needed} bytes, found {available}")]
    Truncated {
        /// Bytes of the event.
        needed: usize,
        /// Bytes left in the stream.
        available: usize,
    },
    /// The length of an event's variable data exceeds the limit.
    #[error(
        "invalid event with {length} bytes of data; expected at most {MAX_VARIABLE_BYTES} bytes"
    )]
    TooLong {
        /// The length in bytes.
        length: usize,
    },
}

/// The events in the bytes that a `read` has returned. Iterating allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct Cells<'a> {
    bytes: &'a [u8],
    stride: usize,
}

impl<'a> Cells<'a> {
    /// Cells of 28 bytes, as clients read them that have not requested UMP.
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

/// Iterator over [`Cells`]: yields each event (legacy events are widened) with its variable data,
/// and ends after an error.
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
        if length > MAX_VARIABLE_BYTES {
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

/// Appends an event in the format that `write` of a legacy client expects: 28 bytes, then the data
/// without padding. Sets the length field from `data`, which is ignored unless the event's flags
/// mark variable length.
///
/// Data of 2³⁰ bytes or more, far above the limit of any sequencer, gets a truncated length field.
pub fn write_cells(bytes: &mut Vec<u8>, event: &Event, data: &[u8]) {
    let mut event = *event;
    if event.is_variable() {
        event.data.words[0] = (data.len() as u32) & !LENGTH_FLAGS;
        event.data.words[1] = 0;
        event.data.words[2] = 0;
        bytes.extend_from_slice(&event.to_bytes());
        bytes.extend_from_slice(data);
    } else {
        bytes.extend_from_slice(&event.to_bytes());
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
        bytes.extend((0..56).map(|index| if index < 30 { index } else { 0 }));
        bytes.extend(Event { kind: event_type::CLOCK, ..Event::default() }.to_bytes());
        let read: Vec<_> = Cells::legacy(&bytes).into_iter().collect::<Result<_, _>>().unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].1, (0..30).collect::<Vec<u8>>());
        assert_eq!((read[1].0.kind, read[1].1), (event_type::CLOCK, &[][..]));
    }

    #[test]
    fn truncated_events_and_excessive_lengths_are_errors() {
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
