//! MIDI clock output and input, and MIDI time code input.

use std::time::{Duration, Instant};

use consort_seq::{Event, Payload, Queue, RealTime, Result, Routing, SequencerClient};

/// Clocks per quarter note.
const CLOCKS_PER_QUARTER: u32 = 24;

/// The tempo of the value 1.0, in quarter notes per minute.
pub(super) const MAX_TEMPO: f64 = 300.0;

/// How long before they are due clocks are scheduled on the sequencer's queue, so that their times
/// do not depend on the load of the show.
const SCHEDULE_AHEAD: Duration = Duration::from_millis(50);

/// How often clocks are scheduled.
pub(super) const REFILL_INTERVAL: Duration = Duration::from_millis(20);

/// Sends clocks at a tempo, through a queue. Dropping it frees the queue, which also removes the
/// scheduled clocks.
pub(super) struct ClockOutput {
    queue: Queue,
    /// The queue time of the first clock that is not scheduled yet, in ns.
    next: u64,
    /// The time from clock to clock, in ns.
    interval: u64,
}

/// The time from clock to clock in ns, at a tempo in quarter notes per minute.
fn interval(tempo: f64) -> u64 {
    (60e9 / (tempo * f64::from(CLOCKS_PER_QUARTER))) as u64
}

impl ClockOutput {
    /// Starts at a tempo in quarter notes per minute, above 0.
    pub(super) fn start(client: &SequencerClient, tempo: f64) -> Result<Self> {
        let queue = client.create_queue("clock")?;
        queue.start_now()?;
        Ok(ClockOutput { queue, next: 0, interval: interval(tempo) })
    }

    /// Changes the tempo, beginning with the first clock that is not scheduled yet.
    pub(super) fn set_tempo(&mut self, tempo: f64) {
        self.interval = interval(tempo);
    }

    /// Schedules the clocks of the next [`SCHEDULE_AHEAD`] with `send`.
    pub(super) fn refill(
        &mut self,
        routing: Routing,
        mut send: impl FnMut(&Event, Routing),
    ) -> Result<()> {
        let now = self.queue.get_status()?.real_time.as_nanoseconds();
        // After a pause of the whole program, the missed clocks are skipped.
        if self.next + 1_000_000_000 < now {
            self.next = now;
        }
        let until = now + SCHEDULE_AHEAD.as_nanos() as u64;
        while self.next < until {
            let clock = Event::new(Payload::Clock { queue: 0 })
                .at_time(RealTime::from_nanoseconds(self.next));
            send(&clock, routing.queue(&self.queue));
            self.next += self.interval.max(1);
        }
        Ok(())
    }
}

/// Counts clocks that arrive.
#[derive(Default)]
pub(super) struct ClockInput {
    /// The position of the next clock in its quarter note.
    count: u32,
    /// When the last quarter note began.
    beat: Option<Instant>,
    /// The position at which the song was stopped. Clocks may continue while it is stopped.
    stopped: Option<u32>,
}

/// The position of one clock, and the tempo.
pub(super) struct Tick {
    /// The position in the quarter note, 0 to 23.
    pub(super) position: u32,
    /// The tempo in quarter notes per minute, at the first clock of a quarter note.
    pub(super) tempo: Option<f64>,
}

impl ClockInput {
    /// Counts a clock that has arrived at `now`.
    pub(super) fn clock(&mut self, now: Instant) -> Tick {
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
    pub(super) fn stop(&mut self) {
        self.stopped.get_or_insert(self.count);
    }

    /// Handles the message continue: the song continues where it was stopped.
    pub(super) fn resume(&mut self) {
        self.count = self.stopped.take().unwrap_or(self.count);
        self.beat = None;
    }

    /// Handles a song position: the song will continue so many sixteenth notes from its beginning.
    pub(super) fn locate(&mut self, sixteenths: u32) {
        self.stopped = Some(sixteenths * (CLOCKS_PER_QUARTER / 4) % CLOCKS_PER_QUARTER);
    }

    /// Handles the message start: the next clock is the first of a quarter note.
    pub(super) fn restart(&mut self) {
        *self = ClockInput::default();
    }
}

/// A time of day in time code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timecode {
    pub(super) hours: u32,
    pub(super) minutes: u32,
    pub(super) seconds: u32,
    pub(super) frames: u32,
    /// Frames per second.
    pub(super) per_second: u32,
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
    pub(super) fn full_frame(message: &[u8]) -> Option<Timecode> {
        match *message {
            [0xF0, 0x7F, _, 1, 1, hours, minutes, seconds, frames, 0xF7] => {
                Timecode::new(hours, minutes, seconds, frames)
            }
            _ => None,
        }
    }

    /// The time as a fraction of the day.
    pub(super) fn of_day(&self) -> f64 {
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
pub(super) struct QuarterFrames {
    pieces: [u8; 8],
    /// The index of the next piece; 8 after an error, until piece 0.
    next: u8,
}

impl QuarterFrames {
    /// Adds a quarter frame. Returns the time after eight pieces in order. That is the time of the
    /// first piece, two frames before the eighth, so two frames are added.
    pub(super) fn add(&mut self, data: u8) -> Option<Timecode> {
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
