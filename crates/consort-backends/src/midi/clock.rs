//! MIDI clock out and in, and MIDI time code in.

use std::time::{Duration, Instant};

use consort_seq::{Event, Payload, Queue, RealTime, Result, Routing, SequencerClient};

/// Clocks in a quarter note.
const PER_QUARTER: u32 = 24;

/// Quarter notes per minute that the value 1.0 of `tempo` stands for.
pub(super) const FASTEST: f64 = 300.0;

/// Clocks are handed to the sequencer's queue this long before they are due, so that their times
/// do not depend on how busy the show is.
const AHEAD: Duration = Duration::from_millis(50);

/// How often the clocks of the next while are handed over.
pub(super) const REFILL: Duration = Duration::from_millis(20);

/// Sends clocks at a tempo, through a queue. When it is dropped the queue goes, and with it the
/// clocks that have been handed over and are not due yet.
pub(super) struct ClockOutput {
    queue: Queue,
    /// Time of the next clock that has not been handed over, in ns of the queue.
    next: u64,
    interval: u64,
}

fn interval(tempo: f64) -> u64 {
    (60e9 / (tempo * f64::from(PER_QUARTER))) as u64
}

impl ClockOutput {
    /// Starts at a tempo in quarter notes per minute, above 0.
    pub(super) fn start(client: &SequencerClient, tempo: f64) -> Result<Self> {
        let queue = client.create_queue("clock")?;
        queue.start_now()?;
        Ok(ClockOutput { queue, next: 0, interval: interval(tempo) })
    }

    /// Changes the tempo, from the next clock that has not been handed over on.
    pub(super) fn set_tempo(&mut self, tempo: f64) {
        self.interval = interval(tempo);
    }

    /// Hands the clocks of the next while to `send`.
    pub(super) fn refill(
        &mut self,
        routing: Routing,
        mut send: impl FnMut(&Event, Routing),
    ) -> Result<()> {
        let now = self.queue.get_status()?.real_time.as_nanoseconds();
        // After a pause of the whole program, the clocks that nobody got are left out.
        if self.next + 1_000_000_000 < now {
            self.next = now;
        }
        let until = now + AHEAD.as_nanos() as u64;
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
    count: u32,
    beat: Option<Instant>,
    /// Where the song was stopped; clocks may go on meanwhile, but not the song.
    stopped: Option<u32>,
}

/// What one clock means.
pub(super) struct Tick {
    /// Where in the quarter note it is, 0 to 23.
    pub(super) place: u32,
    /// At the first clock of a quarter note: its tempo in quarter notes per minute.
    pub(super) tempo: Option<f64>,
}

impl ClockInput {
    /// Counts one that has arrived at `now`.
    pub(super) fn clock(&mut self, now: Instant) -> Tick {
        let place = self.count % PER_QUARTER;
        self.count = self.count.wrapping_add(1) % PER_QUARTER;
        let mut tempo = None;
        if place == 0 {
            let before = self.beat.replace(now);
            let quarter = before.map(|before| (now - before).as_secs_f64());
            // After a pause of 4 s or more there is nothing to measure.
            tempo = quarter.filter(|it| (1e-3..4.0).contains(it)).map(|quarter| 60.0 / quarter);
        }
        Tick { place, tempo }
    }

    /// The song stops.
    pub(super) fn stop(&mut self) {
        self.stopped.get_or_insert(self.count);
    }

    /// The song goes on where it was stopped.
    pub(super) fn go_on(&mut self) {
        self.count = self.stopped.take().unwrap_or(self.count);
        self.beat = None;
    }

    /// The song is to go on at so many sixteenth notes from its beginning.
    pub(super) fn locate(&mut self, sixteenths: u32) {
        self.stopped = Some(sixteenths * (PER_QUARTER / 4) % PER_QUARTER);
    }

    /// The music starts from the beginning: the next clock is the first of a quarter note.
    pub(super) fn restart(&mut self) {
        *self = ClockInput::default();
    }
}

/// A time of day, as time code tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timecode {
    pub(super) hours: u32,
    pub(super) minutes: u32,
    pub(super) seconds: u32,
    pub(super) frames: u32,
    pub(super) per_second: u32,
}

impl Timecode {
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

    /// What a full-frame message (`F0 7F xx 01 01 hh mm ss ff F7`) says.
    pub(super) fn full_frame(message: &[u8]) -> Option<Timecode> {
        match *message {
            [0xF0, 0x7F, _, 1, 1, hours, minutes, seconds, frames, 0xF7] => {
                Timecode::new(hours, minutes, seconds, frames)
            }
            _ => None,
        }
    }

    /// The part of the day that has passed.
    pub(super) fn of_day(&self) -> f64 {
        let seconds = self.hours * 3_600 + self.minutes * 60 + self.seconds;
        (f64::from(seconds) + f64::from(self.frames) / f64::from(self.per_second)) / 86_400.0
    }

    fn later(self, frames: u32) -> Timecode {
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

/// Puts quarter frames together.
#[derive(Default)]
pub(super) struct QuarterFrames {
    pieces: [u8; 8],
    /// Which piece is expected next.
    next: u8,
}

impl QuarterFrames {
    /// Takes one; after eight in order, the time. It lies two frames back when the eighth
    /// arrives, which is corrected.
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
        let byte = |at: usize| self.pieces[at] | self.pieces[at + 1] << 4;
        Timecode::new(byte(6), byte(4), byte(2), byte(0)).map(|time| time.later(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_corrected() {
        let mut frames = QuarterFrames::default();
        // 23:59:59:24 at 25 frames a second; two frames later it is the next day.
        let bytes = [0x08, 0x11, 0x2B, 0x33, 0x4B, 0x53, 0x67, 0x73];
        let made = bytes.map(|byte| frames.add(byte))[7];
        let expected = Timecode { hours: 0, minutes: 0, seconds: 0, frames: 1, per_second: 25 };
        assert_eq!(made, Some(expected));
        assert_eq!(frames.add(0x11), None, "not in order");
        let full = Timecode::full_frame(&[0xF0, 0x7F, 0x7F, 1, 1, 0x60 | 12, 0, 0, 0, 0xF7]);
        assert_eq!(full.expect("a time").of_day(), 0.5);
        assert_eq!(Timecode::full_frame(&[0xF0, 0x7F, 0x7F, 1, 1, 0, 60, 0, 0, 0xF7]), None);
    }

    #[test]
    fn clocks_tell_places_and_tempo() {
        let mut input = ClockInput::default();
        let start = Instant::now();
        let mut tempos = Vec::new();
        for clock in 0..49 {
            // 150 quarter notes a minute.
            let tick = input.clock(start + Duration::from_micros(clock * 400_000 / 24));
            assert_eq!(u64::from(tick.place), clock % 24);
            tempos.extend(tick.tempo);
        }
        assert_eq!(tempos.len(), 2);
        assert!(tempos.iter().all(|tempo| (tempo - 150.0).abs() < 0.01), "{tempos:?}");
    }
}
