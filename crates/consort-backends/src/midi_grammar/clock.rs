//! MIDI clock and MIDI time code that arrive.

use std::time::Instant;

/// Clocks per quarter note.
pub(crate) const CLOCKS_PER_QUARTER: u32 = 24;

/// The tempo of the value 1.0, in quarter notes per minute.
pub(crate) const MAX_TEMPO: f64 = 300.0;

/// Counts clocks that arrive.
#[derive(Default)]
pub(crate) struct ClockInput {
    /// The position of the next clock in its quarter note.
    count: u32,
    /// When the last quarter note began.
    beat: Option<Instant>,
    /// The position at which the song was stopped. Clocks may continue while it is stopped.
    stopped: Option<u32>,
}

/// The position of one clock, and the tempo.
pub(crate) struct Tick {
    /// The position in the quarter note, 0 to 23.
    pub(crate) position: u32,
    /// The tempo in quarter notes per minute, at the first clock of a quarter note.
    pub(crate) tempo: Option<f64>,
}

impl ClockInput {
    /// Counts a clock that has arrived at `now`.
    pub(crate) fn clock(&mut self, now: Instant) -> Tick {
        let position = self.count % CLOCKS_PER_QUARTER;
        self.count = self.count.wrapping_add(1) % CLOCKS_PER_QUARTER;
        let mut tempo = None;
        if position == 0 {
            let before = self.beat.replace(now);
            let quarter = before.map(|before| (now - before).as_secs_f64());
            // A quarter note of 4 s or more is a pause, not a tempo.
            tempo = quarter
                .filter(|seconds| (1e-3..4.0).contains(seconds))
                .map(|quarter| 60.0 / quarter);
        }
        Tick { position, tempo }
    }

    /// Handles the message stop.
    pub(crate) fn stop(&mut self) {
        self.stopped.get_or_insert(self.count);
    }

    /// Handles the message continue: the song continues where it was stopped.
    pub(crate) fn resume(&mut self) {
        self.count = self.stopped.take().unwrap_or(self.count);
        self.beat = None;
    }

    /// Handles a song position: the song will continue so many sixteenth notes from its beginning.
    pub(crate) fn locate(&mut self, sixteenths: u32) {
        self.stopped = Some(sixteenths * (CLOCKS_PER_QUARTER / 4) % CLOCKS_PER_QUARTER);
    }

    /// Handles the message start: the next clock is the first of a quarter note.
    pub(crate) fn restart(&mut self) {
        *self = ClockInput::default();
    }
}

/// A time of day in time code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timecode {
    pub(crate) hours: u32,
    pub(crate) minutes: u32,
    pub(crate) seconds: u32,
    pub(crate) frames: u32,
    /// Frames per second.
    pub(crate) per_second: u32,
}

impl Timecode {
    /// Checks the parts of a time; bits 5 and 6 of `hours` are the frame rate.
    fn new(hours: u8, minutes: u8, seconds: u8, frames: u8) -> Option<Timecode> {
        let per_second = match hours >> 5 & 3 {
            0 => 24,
            1 => 25,
            _ => 30,
        };
        let hours = hours & 0x1F;
        let valid = hours < 24 && minutes < 60 && seconds < 60 && u32::from(frames) < per_second;
        valid.then(|| Timecode {
            hours: hours.into(),
            minutes: minutes.into(),
            seconds: seconds.into(),
            frames: frames.into(),
            per_second,
        })
    }

    /// The time of a full-frame message (`F0 7F xx 01 01 hh mm ss ff F7`).
    pub(crate) fn full_frame(message: &[u8]) -> Option<Timecode> {
        match *message {
            [0xF0, 0x7F, _, 1, 1, hours, minutes, seconds, frames, 0xF7] => {
                Timecode::new(hours, minutes, seconds, frames)
            }
            _ => None,
        }
    }

    /// The time as a fraction of the day.
    pub(crate) fn of_day(&self) -> f64 {
        let seconds = self.hours * 3_600 + self.minutes * 60 + self.seconds;
        (f64::from(seconds) + f64::from(self.frames) / f64::from(self.per_second)) / 86_400.0
    }

    /// The time so many frames later.
    fn plus_frames(self, frames: u32) -> Timecode {
        let mut all = ((self.hours * 60 + self.minutes) * 60 + self.seconds) * self.per_second;
        all += self.frames + frames;
        let seconds = all / self.per_second % 86_400;
        Timecode {
            hours: seconds / 3_600,
            minutes: seconds / 60 % 60,
            seconds: seconds % 60,
            frames: all % self.per_second,
            per_second: self.per_second,
        }
    }
}

/// Assembles quarter frames to times.
#[derive(Default)]
pub(crate) struct QuarterFrames {
    pieces: [u8; 8],
    /// The index of the next piece; 8 after an error, until piece 0.
    next: u8,
}

impl QuarterFrames {
    /// Adds a quarter frame. Returns the time after eight pieces in order. That is the time of the
    /// first piece, two frames before the eighth, so two frames are added.
    pub(crate) fn add(&mut self, data: u8) -> Option<Timecode> {
        let piece = data >> 4 & 7;
        if piece == 0 {
            self.next = 0;
        }
        if piece != self.next {
            self.next = 8;
            return None;
        }
        self.pieces[usize::from(piece)] = data & 0xF;
        self.next = piece + 1;
        if piece < 7 {
            return None;
        }
        let byte = |index: usize| self.pieces[index] | self.pieces[index + 1] << 4;
        Timecode::new(byte(6), byte(4), byte(2), byte(0)).map(|time| time.plus_frames(2))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_read_and_corrected() {
        let mut frames = QuarterFrames::default();
        // 23:59:59:24 at 25 frames per second; two frames later is the next day.
        let bytes = [0x08, 0x11, 0x2B, 0x33, 0x4B, 0x53, 0x67, 0x73];
        let time = bytes.map(|byte| frames.add(byte))[7];
        let expected = Timecode { hours: 0, minutes: 0, seconds: 0, frames: 1, per_second: 25 };
        assert_eq!(time, Some(expected));
        assert_eq!(frames.add(0x11), None, "not in order");
        let full = Timecode::full_frame(&[0xF0, 0x7F, 0x7F, 1, 1, 0x60 | 12, 0, 0, 0, 0xF7]);
        assert_eq!(full.expect("a time").of_day(), 0.5);
        assert_eq!(Timecode::full_frame(&[0xF0, 0x7F, 0x7F, 1, 1, 0, 60, 0, 0, 0xF7]), None);
    }

    #[test]
    fn clocks_have_positions_and_a_tempo() {
        let mut input = ClockInput::default();
        let start = Instant::now();
        let mut tempos = Vec::new();
        for clock in 0..49 {
            // 150 quarter notes a minute.
            let tick = input.clock(start + Duration::from_micros(clock * 400_000 / 24));
            assert_eq!(u64::from(tick.position), clock % 24);
            tempos.extend(tick.tempo);
        }
        assert_eq!(tempos.len(), 2);
        assert!(tempos.iter().all(|tempo| (tempo - 150.0).abs() < 0.01), "{tempos:?}");
    }
}
