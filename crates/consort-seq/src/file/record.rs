//! Files of events with time stamps.

use super::{Body, Division, EVENT_LIMIT, FileEvent, META_NAME, META_TEMPO, MidiFile};
use crate::event::{Event, Payload, RealTime};
use crate::held::HeldNotes;
use crate::midi::MidiDecoder;

/// What cannot be the resolution or the tempo of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// Ticks per quarter note out of range.
    #[error("{0} ticks per quarter note; expected 1 to 32767")]
    Resolution(u16),
    /// Microseconds per quarter note out of range.
    #[error("{0} µs per quarter note; expected 1 to 16777215")]
    Tempo(u32),
    /// No track, or more than a file can have.
    #[error("{0} tracks; expected 1 to 65534")]
    Tracks(usize),
}

/// A file in the making: events go in with their times, in any order of tracks.
///
/// With one track the file is of format 0; with more it is of format 1, and a track before them
/// holds the tempo. Times become the nearest ticks, each from its distance to the beginning, so
/// that no error accumulates: at 120 quarter notes per minute with 9600 ticks each it is at most
/// 26 µs.
#[derive(Debug, Clone)]
pub struct Recording {
    file: MidiFile,
    /// Number of the first track that takes events.
    first: u16,
    /// Nanoseconds of a tick, times the ticks per quarter note.
    scaled: u128,
    resolution: u128,
    held: Vec<HeldNotes>,
    /// The last tick of each track.
    last: Vec<u64>,
    bytes: Vec<u8>,
}

impl Recording {
    /// A recording with `ticks_per_quarter` ticks per quarter note of `microseconds` each and one
    /// track for each name; an empty name is left out.
    ///
    /// # Errors
    /// If a number is out of range.
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
        file.ends = vec![0; tracks.len() + usize::from(first)];
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
            scaled: u128::from(microseconds) * 1000,
            resolution: u128::from(ticks_per_quarter),
            held: vec![HeldNotes::new(); tracks.len()],
            last: vec![0; tracks.len()],
            bytes: Vec::new(),
        })
    }

    /// The nearest tick.
    fn tick(&self, time: RealTime) -> u64 {
        let scaled = u128::from(time.as_nanoseconds()) * self.resolution;
        u64::try_from((scaled + self.scaled / 2) / self.scaled).unwrap_or(u64::MAX)
    }

    /// How many messages have gone in.
    #[must_use]
    pub fn len(&self) -> usize {
        self.file.message_count()
    }

    /// Whether no message has gone in yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing more goes in: [`EVENT_LIMIT`](super::EVENT_LIMIT) is reached.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.file.len() >= EVENT_LIMIT
    }

    /// Puts an event into a track (from 0, in the order of the names) at a time from the
    /// beginning. Wide controllers and parameters become the plain ones that they are made of.
    /// `false` if nothing was put in: the event has no bytes in MIDI (a queue's tempo, an
    /// announcement), there is no such track, or [`EVENT_LIMIT`](super::EVENT_LIMIT) is reached.
    pub fn push(&mut self, track: usize, time: RealTime, event: &Event) -> bool {
        if track >= self.held.len() {
            return false;
        }
        self.held[track].track(event);
        let tick = self.tick(time);
        self.last[track] = tick.max(self.last[track]);
        self.put(track, tick, event)
    }

    fn put(&mut self, track: usize, tick: u64, event: &Event) -> bool {
        let number = self.first + track as u16;
        if let Payload::SystemExclusive(data) = event.payload() {
            let body = Body::Exclusive(data);
            return !data.is_empty() && self.file.push(FileEvent { tick, track: number, body });
        }
        self.bytes.clear();
        if MidiDecoder::new().decode(event, &mut self.bytes).is_err() {
            return false;
        }
        let mut rest = &self.bytes[..];
        while let Some(&status) = rest.first() {
            let (message, behind) = rest.split_at(message_length(status).min(rest.len()));
            let body = Body::Message(message);
            if !self.file.push(FileEvent { tick, track: number, body }) {
                return false;
            }
            rest = behind;
        }
        true
    }

    /// Releases what a track still holds, at a time, but not before its last event: its source
    /// has gone.
    pub fn release(&mut self, track: usize, time: RealTime) {
        self.release_at(track, self.tick(time));
    }

    /// Releases what all tracks still hold, at a time, but not before their last events: events
    /// were lost, the ends of notes may have been among them.
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
        for event in held.releases() {
            self.put(track, tick, &event);
        }
    }

    /// Ends the recording at a time, releasing the notes that are still held then, so that the
    /// file does not hang.
    #[must_use]
    pub fn finish(mut self, end: RealTime) -> MidiFile {
        let end = self.last.iter().fold(self.tick(end), |end, last| end.max(*last));
        self.release_all_at(end);
        self.file.ends.fill(end);
        self.file.arrange();
        self.file
    }
}

const fn message_length(status: u8) -> usize {
    match status {
        0xc0..=0xdf | 0xf1 | 0xf3 => 2,
        0xf4.. => 1,
        _ => 3,
    }
}
