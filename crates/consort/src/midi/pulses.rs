//! MIDI clock for files that are played: 24 pulses per quarter note, start, stop and position.

use std::collections::VecDeque;
use std::ops::Range;

use consort_seq::file::{Division, MidiFile};
use consort_seq::{Event, Payload, RealTime};

use super::schedule::{Outlet, Settings, Timed};

/// Pulses per quarter note.
const PULSES_PER_QUARTER: u64 = 24;
/// Pulses per sixteenth note, the unit of song positions.
const PULSES_PER_SIXTEENTH: u64 = 6;
/// The last song position.
const MAX_SONG_POSITION: u64 = 0x3fff;

/// The clock of one pass through a file: an iterator over its messages, in order of time.
pub(super) struct Pulses<'a> {
    file: &'a MidiFile,
    settings: Settings,
    /// What is sent before the first pulse: start, or a song position and continue.
    opening: VecDeque<Timed>,
    ticks_per_quarter: u64,
    /// The number of the next pulse, counted from the beginning of the file.
    next: u64,
    /// The time of the position `range.start`.
    start: u64,
    /// The part of the file that is played, in nanoseconds.
    range: Range<u64>,
    is_over: bool,
}

impl<'a> Pulses<'a> {
    /// The clock of the part `range` of a file, which plays from `start` on; the receivers are
    /// prepared at `announced`. All times are in nanoseconds. `None` for a file with SMPTE time,
    /// which has no quarter notes.
    pub(super) fn new(
        file: &'a MidiFile,
        settings: Settings,
        announced: u64,
        start: u64,
        range: Range<u64>,
    ) -> Option<Self> {
        let Division::Metrical(ticks) = file.division() else { return None };
        let ticks_per_quarter = u64::from(ticks);
        let mut opening = VecDeque::new();
        let mut prepare = |event| {
            opening.push_back(Timed { time: announced, event, outlet: Outlet::Clock });
        };
        let mut next = 0;
        if range.start == 0 {
            prepare(Event::new(Payload::Start { queue: 0 }));
        } else {
            let tick = file.tempo_map().tick(RealTime::from_nanoseconds(range.start));
            // A position is a whole number of sixteenth notes: the receivers continue with the
            // next one.
            let sixteenths = tick.saturating_mul(4).div_ceil(ticks_per_quarter);
            next = sixteenths.saturating_mul(PULSES_PER_SIXTEENTH);
            let position = sixteenths.min(MAX_SONG_POSITION) as u16;
            if let Ok(event) = Event::song_position(position) {
                prepare(event);
            }
            prepare(Event::new(Payload::Continue { queue: 0 }));
        }
        let is_over = false;
        Some(Self { file, settings, opening, ticks_per_quarter, next, start, range, is_over })
    }

    /// The position of a pulse in the file, in nanoseconds. A pulse between two ticks is placed in
    /// proportion, so that a coarse file has an even clock.
    fn time_of(&self, pulse: u64) -> u64 {
        let parts = pulse.saturating_mul(self.ticks_per_quarter);
        let (tick, part) = (parts / PULSES_PER_QUARTER, parts % PULSES_PER_QUARTER);
        let time = |tick| self.file.time(tick).as_nanoseconds();
        let before = time(tick);
        if part == 0 {
            return before;
        }
        let length = time(tick + 1).saturating_sub(before);
        before.saturating_add(length.saturating_mul(part) / PULSES_PER_QUARTER)
    }
}

impl Iterator for Pulses<'_> {
    type Item = Timed;

    fn next(&mut self) -> Option<Timed> {
        if let Some(opening) = self.opening.pop_front() {
            return Some(opening);
        }
        if self.is_over {
            return None;
        }
        let position = self.time_of(self.next);
        self.is_over = position >= self.range.end;
        let position = position.clamp(self.range.start, self.range.end);
        let played = self.settings.scaled(position - self.range.start);
        let message = match self.is_over {
            true => Payload::Stop { queue: 0 },
            false => Payload::Clock { queue: 0 },
        };
        self.next += 1;
        Some(Timed {
            time: self.start.saturating_add(played),
            event: Event::new(message),
            outlet: Outlet::Clock,
        })
    }
}
