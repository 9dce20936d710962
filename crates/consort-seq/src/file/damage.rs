//! What is wrong with a file that was read nevertheless, and where a damaged track continues.

use super::{FileError, META_END, META_TEMPO};

/// The maximum number of errors that are stored; all are counted.
const MAX_ERRORS: usize = 100;
/// The number of valid events that make a position plausible.
const PLAUSIBLE_EVENTS: usize = 4;
/// The maximum number of bytes of a time between plausible events: up to 2,097,151 ticks.
const MAX_TIME_BYTES: usize = 3;

/// The errors of a file, in the order in which they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    errors: Vec<FileError>,
    count: u64,
}

impl Damage {
    /// The errors with their positions: the first 100.
    #[must_use]
    pub fn errors(&self) -> &[FileError] {
        &self.errors
    }

    /// The number of errors.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether the file has no errors.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn add(&mut self, error: FileError) {
        self.count += 1;
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }

    /// The first error, if there is one.
    pub(super) fn into_first(self) -> Option<FileError> {
        self.errors.into_iter().next()
    }
}

/// The first position from `from` on at which a track plausibly continues: a time, an event with
/// its status byte, and then valid events, four in all or up to the end of the track. Bytes of a
/// text or of a system exclusive message do not qualify, because they are below 0x80.
pub(super) fn resume(track: &[u8], from: usize) -> Option<usize> {
    (from..track.len()).find(|start| is_plausible(track, *start))
}

fn is_plausible(track: &[u8], start: usize) -> bool {
    let mut rest = &track[start..];
    let mut running = None;
    for index in 0..PLAUSIBLE_EVENTS {
        if rest.is_empty() {
            return index > 0;
        }
        match event(rest, &mut running) {
            Some(Found::Event(after)) => rest = after,
            // The end of a track is a rare sequence of bytes.
            Some(Found::End) => return true,
            None => return false,
        }
    }
    true
}

/// A valid event: the bytes after it, or the end of the track.
enum Found<'a> {
    Event(&'a [u8]),
    End,
}

/// A number of variable length with at most `limit` bytes, and the bytes after it.
fn number(bytes: &[u8], limit: usize) -> Option<(usize, &[u8])> {
    let mut number = 0;
    for (index, byte) in bytes.iter().take(limit).enumerate() {
        number = number << 7 | usize::from(byte & 0x7f);
        if *byte < 0x80 {
            return Some((number, &bytes[index + 1..]));
        }
    }
    None
}

/// The event at the beginning of `bytes`, if it is valid.
fn event<'a>(bytes: &'a [u8], running: &mut Option<u8>) -> Option<Found<'a>> {
    let (_, rest) = number(bytes, MAX_TIME_BYTES)?;
    let (&first, after) = rest.split_first()?;
    match first {
        0xff => {
            let (&kind, after) = after.split_first()?;
            let (length, after) = number(after, 4)?;
            let after = after.get(length..)?;
            let is_valid = match kind {
                META_END if length == 0 => return Some(Found::End),
                META_TEMPO => length == 3,
                0x00..=0x0a | 0x7f => true,
                0x20 | 0x21 => length == 1,
                0x54 => length == 5,
                0x58 => length == 4,
                0x59 => length == 2,
                _ => false,
            };
            is_valid.then_some(Found::Event(after))
        }
        0xf0 | 0xf7 => {
            let (length, after) = number(after, 4)?;
            let (data, after) = after.split_at_checked(length)?;
            (data.last() == Some(&0xf7)).then_some(Found::Event(after))
        }
        0xf1..=0xfe => None,
        0x80..=0xef => {
            *running = Some(first);
            message(after, first)
        }
        _ => message(rest, (*running)?),
    }
}

/// The data bytes of a channel message, if they are valid.
fn message(bytes: &[u8], status: u8) -> Option<Found<'_>> {
    let (data, after) = bytes.split_at_checked(data_length(status))?;
    data.iter().all(|byte| *byte < 0x80).then_some(Found::Event(after))
}

/// The number of data bytes of a channel message.
pub(super) const fn data_length(status: u8) -> usize {
    if matches!(status & 0xf0, 0xc0 | 0xd0) { 1 } else { 2 }
}
