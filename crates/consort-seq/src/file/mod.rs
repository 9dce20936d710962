//! Standard MIDI Files: conversion to timed events of the sequencer, and back (feature
//! `midi-file`).
//!
//! [`MidiFile::read`] merges the tracks of a file into one list ordered by time,
//! with its tempo map, so that every event has an exact time: rounding errors do not accumulate.
//! [`MidiFile::to_bytes`] is the reverse; [`Recording`] creates a file from events with time stamps.
//! Nothing here does input or output, or depends on an engine.
//!
//! The reader reports the byte and the track of each error. [`MidiFile::read`] accepts a file
//! without errors only; [`MidiFile::read_partial`] leaves out what is damaged and reads on, as
//! players do. Both accept what players accept: running status may continue across meta
//! events, a track may lack its end, unknown chunks are skipped, and a RIFF wrapper (`.rmi`) is
//! removed. The patterns of a file of format 2 follow one another.
//! Memory is bounded by [`MAX_FILE_BYTES`] and [`MAX_EVENTS`]: 24 bytes per event.
//!
//! ```
//! use consort_seq::file::MidiFile;
//! use consort_seq::{Event, RealTime};
//!
//! let bytes = b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk\0\0\0\x0c\0\x90\x3c\x40\x60\x80\x3c\0\0\xff\x2f\0";
//! let file = MidiFile::read(bytes)?;
//! let timed: Vec<(RealTime, Option<Event>)> =
//!     file.events().map(|event| (file.time(event.tick), event.to_event())).collect();
//! assert_eq!(timed[0], (RealTime::ZERO, Some(Event::note_on(0, 60, 64)?)));
//! assert_eq!(timed[1], (RealTime::new(0, 500_000_000), Some(Event::note_off(0, 60, 0)?)));
//! assert_eq!(file.to_bytes()?, bytes);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Source: the Standard MIDI Files 1.0 specification (RP-001), and RP-029 for the RIFF wrapper.

mod bars;
mod damage;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod overdub;
mod read;
mod record;
#[cfg(test)]
mod tests;
mod track;
mod write;

use std::fmt;

pub use bars::TimeSignature;
pub use damage::Damage;
pub use error::{FileError, FileErrorKind};
pub use record::{Recording, RecordingError};
pub use write::TooLong;

use crate::event::{Event, Payload, RealTime};
use crate::midi::MidiEncoder;
use crate::tempo::TempoMap;

/// The maximum number of bytes of a file: 64 MiB.
pub const MAX_FILE_BYTES: usize = 64 << 20;
/// The maximum number of events of a file or recording: 16,777,216.
pub const MAX_EVENTS: usize = 1 << 24;

const META_NAME: u8 = 0x03;
const META_END: u8 = 0x2f;
const META_TEMPO: u8 = 0x51;
/// The tempo of a file without tempo events, in microseconds per quarter note.
const DEFAULT_TEMPO: u32 = 500_000;

/// The meaning of a tick in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Division {
    /// Ticks per quarter note, 1 to 32767; the file's tempo determines the length of a quarter
    /// note.
    Metrical(u16),
    /// A part of a frame of SMPTE time, independent of the tempo.
    Timecode {
        /// Frames per second: 24, 25, 30, or 29 for the 30 000/1001 of drop-frame time.
        frames: u8,
        /// Ticks per frame, 1 to 255.
        ticks: u8,
    },
}

impl Division {
    /// The tempo map before the first tempo event: 120 quarter notes per minute, or the constant
    /// ticks of SMPTE time.
    fn tempo_map(self) -> TempoMap {
        let (resolution, tempo) = match self {
            Self::Metrical(ticks) => (u32::from(ticks), 500_000),
            // 30 frames in 1.001 s.
            Self::Timecode { frames: 29, ticks } => (30 * u32::from(ticks), 1_001_000),
            Self::Timecode { frames, ticks } => (u32::from(frames) * u32::from(ticks), 1_000_000),
        };
        let map = TempoMap::new(resolution.max(1)).and_then(|mut map| {
            map.set_tempo(0, tempo)?;
            Ok(map)
        });
        map.unwrap_or_else(|_| unreachable!("neither the resolution nor the tempo is 0"))
    }
}

impl fmt::Display for Division {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metrical(ticks) => write!(formatter, "{ticks} ticks per quarter note"),
            Self::Timecode { frames: 29, ticks } => {
                write!(formatter, "29.97 frames per second of {ticks} ticks")
            }
            Self::Timecode { frames, ticks } => {
                write!(formatter, "{frames} frames per second of {ticks} ticks")
            }
        }
    }
}

/// The content of an event in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Body<'a> {
    /// A complete channel or system message with its status byte, one to three bytes.
    Message(&'a [u8]),
    /// A system exclusive message, or a part of one: the first part begins with 0xf0, the last
    /// ends with 0xf7.
    Exclusive(&'a [u8]),
    /// A meta event, with its type and its data. The end of a track is not reported.
    Meta(u8, &'a [u8]),
}

/// An event of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileEvent<'a> {
    /// The time in ticks from the beginning of the file.
    pub tick: u64,
    /// The track of the event, from 0.
    pub track: u16,
    /// The content.
    pub body: Body<'a>,
}

impl FileEvent<'_> {
    /// Converts the event to one of the sequencer, direct and to all subscribers; `None` for meta
    /// events, which are not sent.
    #[must_use]
    pub fn to_event(&self) -> Option<Event> {
        match self.body {
            Body::Message(bytes) => {
                let mut encoder = MidiEncoder::new();
                bytes.iter().filter_map(|byte| encoder.encode_byte(*byte)).last()
            }
            Body::Exclusive(bytes) => Some(Event::new(Payload::SystemExclusive(bytes))),
            Body::Meta(..) => None,
        }
    }
}

/// An event in memory. Short messages are stored inside it, long ones in the file's `data`.
#[derive(Debug, Clone, Copy)]
struct Stored {
    tick: u64,
    track: u16,
    content: Content,
}

/// The content of a stored event.
#[derive(Debug, Clone, Copy)]
enum Content {
    Message { length: u8, bytes: [u8; 3] },
    Exclusive { start: u32, length: u32 },
    Meta { kind: u8, start: u32, length: u32 },
}

/// A Standard MIDI File in memory: its events in the order of time, and its tempo map.
///
/// Two files are equal if they have the same events in the same tracks at the same ticks.
#[derive(Clone)]
pub struct MidiFile {
    format: u16,
    division: Division,
    /// The tick at which each track starts: 0 except for the patterns of format 2.
    starts: Vec<u64>,
    /// The end of each track in ticks.
    ends: Vec<u64>,
    tempo: TempoMap,
    events: Vec<Stored>,
    data: Vec<u8>,
}

impl MidiFile {
    fn new(format: u16, division: Division) -> Self {
        Self {
            format,
            division,
            starts: Vec::new(),
            ends: Vec::new(),
            tempo: division.tempo_map(),
            events: Vec::new(),
            data: Vec::new(),
        }
    }

    /// Reads a file without errors.
    ///
    /// # Errors
    /// The first error in the file, with its position.
    pub fn read(bytes: &[u8]) -> Result<Self, FileError> {
        let (file, damage) = read::read(bytes)?;
        damage.into_first().map_or(Ok(file), Err)
    }

    /// Reads what is valid of a file, as players do. Damaged events are left out: those of a known
    /// length alone, others up to the next plausible event. The notes of a damaged track that lack
    /// their ends are ended with the track. Returns the file with its errors.
    ///
    /// # Errors
    /// The header is damaged, so that no track can be read.
    pub fn read_partial(bytes: &[u8]) -> Result<(Self, Damage), FileError> {
        read::read(bytes)
    }

    /// The file with the events of one track (from 0) only, and with the tempo changes of all
    /// tracks that are played together with it; `None` if the track does not exist.
    #[must_use]
    pub fn single_track(&self, track: usize) -> Option<Self> {
        let (&start, &end) = (self.starts.get(track)?, self.ends.get(track)?);
        let mut single = Self::new(0, self.division);
        single.starts.push(0);
        single.ends.push(end - start);
        for event in self.events() {
            let is_own = usize::from(event.track) == track;
            let is_tempo = matches!(event.body, Body::Meta(META_TEMPO, _)) && self.format != 2;
            if is_own || is_tempo {
                single.push(FileEvent { tick: event.tick - start, track: 0, ..event });
                single.ends[0] = single.ends[0].max(event.tick - start);
            }
        }
        single.arrange();
        Some(single)
    }

    /// Where the next track starts: after the previous ones in a file of patterns.
    fn pattern_start(&self) -> u64 {
        match (self.format, self.ends.last()) {
            (2, Some(end)) => *end,
            _ => 0,
        }
    }

    /// The format: 0 for a single track, 1 for tracks that are played together, 2 for patterns
    /// that are played one after the other.
    #[must_use]
    pub fn format(&self) -> u16 {
        self.format
    }

    /// The meaning of a tick.
    #[must_use]
    pub fn division(&self) -> Division {
        self.division
    }

    /// Number of tracks.
    #[must_use]
    pub fn track_count(&self) -> usize {
        self.ends.len()
    }

    /// The tempo changes of the file.
    #[must_use]
    pub fn tempo_map(&self) -> &TempoMap {
        &self.tempo
    }

    /// Number of events, including meta events but not the ends of tracks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Number of events that are sent: all except meta events.
    #[must_use]
    pub fn message_count(&self) -> usize {
        let is_meta = |stored: &&Stored| matches!(stored.content, Content::Meta { .. });
        self.events.len() - self.events.iter().filter(is_meta).count()
    }

    /// Whether the file has no events.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The events in the order of time; those at the same tick in the order of the tracks, and
    /// within a track in the order of the file.
    pub fn events(&self) -> impl ExactSizeIterator<Item = FileEvent<'_>> + DoubleEndedIterator {
        self.events.iter().map(|stored| self.view(stored))
    }

    /// The event at `index`, from 0, in the order of [`events`](Self::events).
    #[must_use]
    pub fn get(&self, index: usize) -> Option<FileEvent<'_>> {
        self.events.get(index).map(|stored| self.view(stored))
    }

    /// The index of the first event at or after `time`.
    #[must_use]
    pub fn index_at(&self, time: RealTime) -> usize {
        self.events.partition_point(|stored| self.time(stored.tick) < time)
    }

    /// The time of a tick from the beginning of the file, rounded down to the nanosecond.
    #[must_use]
    pub fn time(&self, tick: u64) -> RealTime {
        self.tempo.real_time(tick)
    }

    /// The tick at which the longest track ends.
    #[must_use]
    pub fn end_tick(&self) -> u64 {
        self.ends.iter().copied().max().unwrap_or(0)
    }

    /// The duration of the file.
    #[must_use]
    pub fn length(&self) -> RealTime {
        self.time(self.end_tick())
    }

    /// The title: the name of the first track that has one.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let names = self.events.iter().filter(|stored| {
            matches!(stored.content, Content::Meta { kind: META_NAME, length, .. } if length > 0)
        });
        match self.view(names.min_by_key(|stored| stored.track)?).body {
            Body::Meta(_, name) => Some(String::from_utf8_lossy(name).into_owned()),
            _ => None,
        }
    }

    fn view<'a>(&'a self, stored: &'a Stored) -> FileEvent<'a> {
        let data = |start: u32, length: u32| {
            let start = start as usize;
            &self.data[start..start + length as usize]
        };
        let body = match &stored.content {
            Content::Message { length, bytes } => Body::Message(&bytes[..usize::from(*length)]),
            Content::Exclusive { start, length } => Body::Exclusive(data(*start, *length)),
            Content::Meta { kind, start, length } => Body::Meta(*kind, data(*start, *length)),
        };
        FileEvent { tick: stored.tick, track: stored.track, body }
    }

    /// Stores an event; returns whether there was room for it.
    fn push(&mut self, event: FileEvent<'_>) -> bool {
        if self.events.len() >= MAX_EVENTS {
            return false;
        }
        let mut store = |data: &[u8]| {
            let start = u32::try_from(self.data.len()).ok()?;
            let length = u32::try_from(data.len()).ok()?;
            start.checked_add(length)?;
            self.data.extend_from_slice(data);
            Some((start, length))
        };
        let content = match event.body {
            Body::Message(message) => {
                let mut bytes = [0; 3];
                let length = message.len().min(3);
                bytes[..length].copy_from_slice(&message[..length]);
                Content::Message { length: length as u8, bytes }
            }
            Body::Exclusive(data) => match store(data) {
                Some((start, length)) => Content::Exclusive { start, length },
                None => return false,
            },
            Body::Meta(kind, data) => match store(data) {
                Some((start, length)) => Content::Meta { kind, start, length },
                None => return false,
            },
        };
        self.events.push(Stored { tick: event.tick, track: event.track, content });
        true
    }

    /// Sorts the events of all tracks by time, and builds the tempo map from the tempo events.
    fn arrange(&mut self) {
        self.events.sort_by_key(|stored| stored.tick);
        self.tempo = self.division.tempo_map();
        if !matches!(self.division, Division::Metrical(_)) {
            return;
        }
        let mut map = self.tempo.clone();
        // Each pattern of format 2 begins with the default tempo.
        let mut patterns = self.starts.iter().enumerate().skip(1).peekable();
        for event in self.events() {
            while self.format == 2
                && let Some((_, start)) =
                    patterns.next_if(|(pattern, _)| *pattern <= usize::from(event.track))
            {
                let _infallible = map.set_tempo(*start, DEFAULT_TEMPO);
            }
            if let Body::Meta(META_TEMPO, &[high, middle, low, ..]) = event.body {
                let tempo = u32::from_be_bytes([0, high, middle, low]);
                // Only a tempo of 0 fails, which the reader rejects.
                let _infallible = map.set_tempo(event.tick, tempo);
            }
        }
        self.tempo = map;
    }
}

impl PartialEq for MidiFile {
    fn eq(&self, other: &Self) -> bool {
        self.format == other.format
            && self.division == other.division
            && self.ends == other.ends
            && self.events().eq(other.events())
    }
}

impl Eq for MidiFile {}

impl fmt::Debug for MidiFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MidiFile")
            .field("format", &self.format)
            .field("division", &self.division)
            .field("ends", &self.ends)
            .field("events", &self.events().collect::<Vec<_>>())
            .finish()
    }
}
