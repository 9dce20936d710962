//! Recording of events with time stamps into a file.

use super::bars::META_TIME_SIGNATURE;
use super::{Body, Division, FileEvent, MAX_EVENTS, META_NAME, META_TEMPO, MidiFile};
use crate::event::{Address, Event, Payload, RealTime};
use crate::held::HeldNotes;
use crate::midi::MidiDecoder;

/// The error for an invalid argument of [`Recording::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// Ticks per quarter note out of range.
    #[error("invalid resolution of {0} ticks per quarter note; expected 1 to 32767")]
    Resolution(u16),
    /// Microseconds per quarter note out of range.
    #[error("invalid tempo of {0} µs per quarter note; expected 1 to 16777215")]
    Tempo(u32),
    /// No track, or more tracks than a file can have.
    #[error("invalid number of tracks: {0}; expected 1 to 65534")]
    Tracks(usize),
}

/// A file that is being recorded: events are added with their times, to any of its tracks.
///
/// With one track the file has format 0. With more tracks it has format 1, and an additional first
/// track contains the tempo. Each time is rounded to the nearest tick from the beginning of the
/// file, so that errors do not accumulate: at 120 quarter notes per minute with 9600 ticks each,
/// the error is at most 26 µs.
#[derive(Debug, Clone)]
pub struct Recording {
    file: MidiFile,
    /// Number of the first track with events: 1 if there is a track for the tempo.
    first: u16,
    /// Nanoseconds per quarter note.
    quarter: u128,
    /// Ticks per quarter note.
    resolution: u128,
    /// The held notes of each track.
    held: Vec<HeldNotes>,
    /// The last tick of each track.
    last: Vec<u64>,
    /// A buffer for the bytes of one event.
    bytes: Vec<u8>,
    /// System exclusive messages that have begun and not ended.
    parts: Vec<Part>,
}

/// The maximum number of bytes of a system exclusive message that is joined from its parts.
const MAX_JOINED_BYTES: usize = 1 << 24;

/// The beginning of a system exclusive message.
#[derive(Debug, Clone)]
struct Part {
    track: usize,
    source: Address,
    /// The time of the first part.
    tick: u64,
    data: Vec<u8>,
}

impl Recording {
    /// Creates a recording with `ticks_per_quarter` ticks per quarter note of `microseconds`, and
    /// one track for each of the names in `tracks`. A track with an empty name has no name event.
    ///
    /// # Errors
    /// A number is out of range.
    pub fn new(
        ticks_per_quarter: u16,
        microseconds: u32,
        tracks: &[&str],
    ) -> Result<Self, RecordingError> {
        if !(1..=0x7fff).contains(&ticks_per_quarter) {
            return Err(RecordingError::Resolution(ticks_per_quarter));
        }
        if !(1..=0xff_ffff).contains(&microseconds) {
            return Err(RecordingError::Tempo(microseconds));
        }
        if tracks.is_empty() || tracks.len() > 65_534 {
            return Err(RecordingError::Tracks(tracks.len()));
        }
        let first = u16::from(tracks.len() > 1);
        let mut file = MidiFile::new(first, Division::Metrical(ticks_per_quarter));
        let tempo = microseconds.to_be_bytes();
        file.starts = vec![0; tracks.len() + usize::from(first)];
        file.ends = file.starts.clone();
        file.push(FileEvent { tick: 0, track: 0, body: Body::Meta(META_TEMPO, &tempo[1..]) });
        for (track, name) in (first..).zip(tracks) {
            if !name.is_empty() {
                let body = Body::Meta(META_NAME, name.as_bytes());
                file.push(FileEvent { tick: 0, track, body });
            }
        }
        Ok(Self {
            file,
            first,
            quarter: u128::from(microseconds) * 1000,
            resolution: u128::from(ticks_per_quarter),
            held: vec![HeldNotes::new(); tracks.len()],
            last: vec![0; tracks.len()],
            bytes: Vec::new(),
            parts: Vec::new(),
        })
    }

    /// Stores a time signature at the beginning. `denominator` is a power of two.
    pub fn set_time_signature(&mut self, numerator: u8, denominator: u8) {
        let power = denominator.trailing_zeros() as u8;
        // The bytes after it are the usual ones: a click per quarter note of 24 MIDI clocks.
        let body = Body::Meta(META_TIME_SIGNATURE, &[numerator, power, 24, 8]);
        self.file.push(FileEvent { tick: 0, track: 0, body });
    }

    /// The tick nearest to a time.
    fn tick(&self, time: RealTime) -> u64 {
        let scaled = u128::from(time.as_nanoseconds()) * self.resolution;
        u64::try_from((scaled + self.quarter / 2) / self.quarter).unwrap_or(u64::MAX)
    }

    /// Number of messages recorded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.file.message_count()
    }

    /// Whether no message has been recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the recording has reached [`MAX_EVENTS`](super::MAX_EVENTS) and accepts no more
    /// events.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.file.len() >= MAX_EVENTS
    }

    /// Adds an event to a track (from 0, in the order of the names) at a time from the beginning.
    /// 14-bit controllers and parameters are stored as the control changes that they consist of,
    /// and a system exclusive message that arrives in parts as one message.
    ///
    /// Returns whether the event was added. It is not if it has no MIDI bytes (such as a queue's
    /// tempo or an announcement), if the track does not exist, or if
    /// [`MAX_EVENTS`](super::MAX_EVENTS) is reached.
    pub fn push(&mut self, track: usize, time: RealTime, event: &Event) -> bool {
        if track >= self.held.len() {
            return false;
        }
        self.held[track].track(event);
        let tick = self.tick(time);
        self.last[track] = tick.max(self.last[track]);
        self.add(track, tick, event)
    }

    /// Adds a system exclusive message, or a part of one: the parts of a message from one port
    /// become one event at the time of the first.
    fn add_exclusive(&mut self, track: usize, tick: u64, source: Address, data: &[u8]) -> bool {
        if data.is_empty() || self.is_full() {
            return false;
        }
        let is_same = |part: &Part| part.track == track && part.source == source;
        let mut begun = self.parts.iter().position(is_same);
        if data[0] == 0xf0
            && let Some(index) = begun.take()
        {
            // The previous message was never ended.
            self.add_part(index);
        }
        let ends = data.last() == Some(&0xf7);
        match begun {
            None if ends || data[0] != 0xf0 => {
                let (track, body) = (self.first + track as u16, Body::Exclusive(data));
                self.file.push(FileEvent { tick, track, body })
            }
            None => {
                self.parts.push(Part { track, source, tick, data: data.to_vec() });
                true
            }
            Some(index) => {
                self.parts[index].data.extend_from_slice(data);
                !(ends || self.parts[index].data.len() >= MAX_JOINED_BYTES) || self.add_part(index)
            }
        }
    }

    /// Adds a message whose parts have been collected.
    fn add_part(&mut self, index: usize) -> bool {
        let Part { track, tick, data, .. } = self.parts.remove(index);
        let (track, body) = (self.first + track as u16, Body::Exclusive(&data));
        self.file.push(FileEvent { tick, track, body })
    }

    fn add(&mut self, track: usize, tick: u64, event: &Event) -> bool {
        let number = self.first + track as u16;
        if let Payload::SystemExclusive(data) = event.payload() {
            return self.add_exclusive(track, tick, event.source(), data);
        }
        self.bytes.clear();
        if MidiDecoder::new().decode(event, &mut self.bytes).is_err() {
            return false;
        }
        let mut rest = &self.bytes[..];
        while let Some(&status) = rest.first() {
            let (message, remaining) = rest.split_at(message_length(status).min(rest.len()));
            let body = Body::Message(message);
            if !self.file.push(FileEvent { tick, track: number, body }) {
                return false;
            }
            rest = remaining;
        }
        true
    }

    /// Releases the held notes of a track at a time, and ends its system exclusive messages, but not before its last event. Call this when
    /// the track's source has disappeared.
    pub fn release(&mut self, track: usize, time: RealTime) {
        self.release_at(track, self.tick(time));
    }

    /// Releases the held notes of all tracks at a time, but not before their last events. Call this
    /// when events were lost, because they may have included the ends of notes.
    pub fn release_all(&mut self, time: RealTime) {
        self.release_all_at(self.tick(time));
    }

    fn release_all_at(&mut self, tick: u64) {
        for track in 0..self.held.len() {
            self.release_at(track, tick);
        }
    }

    fn release_at(&mut self, track: usize, tick: u64) {
        let Some(held) = self.held.get_mut(track) else { return };
        let tick = tick.max(self.last[track]);
        let releases = held.releases();
        let has_parts = self.parts.iter().any(|part| part.track == track);
        while let Some(index) = self.parts.iter().position(|part| part.track == track) {
            self.parts[index].data.push(0xf7);
            self.add_part(index);
        }
        for event in releases {
            // The end of a system exclusive message belongs to its parts.
            let is_end = matches!(event.payload(), Payload::SystemExclusive(_));
            if !(is_end && has_parts) {
                self.add(track, tick, &event);
            }
        }
    }

    /// Ends the recording at a time, and releases the notes that are still held, so that the file
    /// leaves no notes sounding.
    #[must_use]
    pub fn finish(mut self, end: RealTime) -> MidiFile {
        let end = self.last.iter().fold(self.tick(end), |end, last| end.max(*last));
        self.release_all_at(end);
        self.file.ends.fill(end);
        self.file.arrange();
        self.file
    }
}

/// Bytes of a message with its status byte.
const fn message_length(status: u8) -> usize {
    match status {
        0xc0..=0xdf | 0xf1 | 0xf3 => 2,
        0xf4.. => 1,
        _ => 3,
    }
}
