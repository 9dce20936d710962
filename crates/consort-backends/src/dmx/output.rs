//! What goes out: the frame of a universe, and when it may leave.

use std::time::{Duration, Instant};

use consort_router::Event;

use super::slots::{SLOTS, Slots, to_byte, to_word};

/// How long a frame of 512 slots takes on a DMX line at the fastest: 44 frames a second.
pub(crate) const INTERVAL: Duration = Duration::from_nanos(1_000_000_000 / 44);

/// How much earlier than its turn a frame may leave, so that a sender of 44 frames a second that
/// is not quite even is not slowed down. In the long run the rate holds.
const TOLERANCE: Duration = Duration::from_nanos(INTERVAL.as_nanos() as u64 / 2);

/// After how long without a change a frame is said again, while repetitions are left.
const REPEAT: Duration = Duration::from_millis(60);

/// After how long without a change the frame is sent to keep the universe alive.
const KEEP_ALIVE: Duration = Duration::from_millis(900);

/// Frames this old are kept alive when others leave anyway, so that universes fall into step.
const KEEP_ALIVE_EARLY: Duration = Duration::from_millis(800);

/// The outgoing frame of one universe.
pub(crate) struct Output {
    data: [u8; SLOTS],
    /// Slots whose value has not left yet.
    pending: [u64; SLOTS / 64],
    is_dirty: bool,
    sequence: u8,
    is_realtime: bool,
    /// When the next frame has its turn, at 44 frames a second.
    turn: Option<Instant>,
    sent: Option<Instant>,
    /// How often an unchanged frame is said again, and how many of these are left.
    repeats: u8,
    repeats_left: u8,
}

impl Output {
    pub(crate) fn new(is_realtime: bool, repeats: u8) -> Self {
        Output {
            data: [0; SLOTS],
            pending: [0; SLOTS / 64],
            is_dirty: false,
            sequence: 0,
            is_realtime,
            turn: None,
            sent: None,
            repeats,
            repeats_left: 0,
        }
    }

    #[inline]
    fn is_pending(&self, slot: u16) -> bool {
        self.pending[usize::from(slot) / 64] >> (slot % 64) & 1 == 1
    }

    #[inline]
    fn put(&mut self, slot: u16, byte: u8) {
        self.pending[usize::from(slot) / 64] |= 1 << (slot % 64);
        self.data[usize::from(slot)] = byte;
        self.is_dirty = true;
    }

    /// Whether this event would replace a value that has not left yet.
    #[inline]
    pub(crate) fn replaces(&self, event: &Event, slots: &Slots) -> bool {
        self.is_pending(slots.place(event.channel).high)
    }

    /// Takes a value.
    #[inline]
    pub(crate) fn set(&mut self, event: &Event, slots: &Slots) {
        let place = slots.place(event.channel);
        match place.low {
            None => self.put(place.high, to_byte(event.value)),
            Some(low) => {
                let [high_byte, low_byte] = to_word(event.value).to_be_bytes();
                self.put(place.high, high_byte);
                self.put(low, low_byte);
            }
        }
    }

    pub(crate) fn is_realtime(&self) -> bool {
        self.is_realtime
    }

    /// Whether any frame has left.
    pub(crate) fn has_sent(&self) -> bool {
        self.sent.is_some()
    }

    /// When a frame should leave next; none before the first value.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        if self.is_dirty {
            return Some(match self.turn {
                Some(turn) if !self.is_realtime => (turn - TOLERANCE).max(now),
                _ => now,
            });
        }
        let after = if self.repeats_left > 0 { REPEAT } else { KEEP_ALIVE };
        Some(self.sent? + after)
    }

    /// Whether a frame should leave now; `early` when others leave anyway.
    pub(crate) fn is_due(&self, now: Instant, early: bool) -> bool {
        let early =
            early && !self.is_dirty && self.sent.is_some_and(|sent| now - sent >= KEEP_ALIVE_EARLY);
        early || self.due(now).is_some_and(|due| due <= now)
    }

    /// The frame leaves: its slots and its sequence number, 1 to 255 and 0 (0 is left out where
    /// `skip_zero`).
    pub(crate) fn take(&mut self, now: Instant, skip_zero: bool) -> (&[u8; SLOTS], u8) {
        if self.is_dirty {
            let turn = self.turn.map_or(now, |turn| turn.max(now));
            self.turn = Some(turn + INTERVAL);
            self.repeats_left = self.repeats;
            self.is_dirty = false;
            self.pending = [0; SLOTS / 64];
        } else {
            self.repeats_left = self.repeats_left.saturating_sub(1);
        }
        self.sent = Some(now);
        self.sequence = self.sequence.wrapping_add(1);
        if skip_zero && self.sequence == 0 {
            self.sequence = 1;
        }
        (&self.data, self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consort_router::Usage;

    /// Frames that leave over a time, when a value comes every `every`; looks every millisecond.
    fn frames(output: &mut Output, every: u64, milliseconds: u64) -> (usize, Vec<u64>) {
        let mut slots = Slots::default();
        slots.channel("1", Usage::Target).expect("a channel");
        let start = Instant::now();
        let (mut replaced, mut gone) = (0, Vec::new());
        for at in 0..milliseconds {
            let now = start + Duration::from_millis(at);
            if at % every == 0 {
                let event = Event::new(0, (at % 100) as f64 / 100.0);
                replaced += usize::from(output.replaces(&event, &slots));
                output.set(&event, &slots);
            }
            if output.is_due(now, false) {
                output.take(now, true);
                gone.push(at);
            }
        }
        (replaced, gone)
    }

    #[test]
    fn a_flood_leaves_at_44_frames_a_second_and_what_is_replaced_is_counted() {
        let mut output = Output::new(false, 0);
        let (replaced, gone) = frames(&mut output, 1, 10_000);
        assert!((439..=442).contains(&gone.len()), "{} frames", gone.len());
        assert_eq!(replaced + gone.len() + usize::from(output.is_dirty), 10_000);
    }

    #[test]
    fn what_comes_at_44_frames_a_second_leaves_at_once_however_uneven() {
        let mut output = Output::new(false, 3);
        let mut slots = Slots::default();
        slots.channel("1", Usage::Target).expect("a channel");
        let start = Instant::now();
        for frame in 0..1_000_u32 {
            // Up to 10 ms late, as a busy sender is.
            let late = Duration::from_micros(u64::from(frame * 7_919 % 10_000));
            let now = start + INTERVAL * frame + late;
            output.set(&Event::new(0, f64::from(frame % 255) / 255.0), &slots);
            assert!(output.is_due(now, false), "frame {frame} was held back");
            output.take(now, true);
        }
    }

    #[test]
    fn realtime_has_no_rate() {
        let (replaced, gone) = frames(&mut Output::new(true, 0), 1, 1_000);
        assert_eq!((replaced, gone.len()), (0, 1_000));
    }

    #[test]
    fn an_unchanged_frame_is_repeated_then_kept_alive() {
        let (_, gone) = frames(&mut Output::new(false, 3), 100_000, 3_000);
        assert_eq!(gone, [0, 60, 120, 180, 1_080, 1_980, 2_880]);
        let (_, gone) = frames(&mut Output::new(false, 0), 100_000, 2_000);
        assert_eq!(gone, [0, 900, 1_800]);
        assert_eq!(frames(&mut Output::new(false, 3), 1, 0).1, []);
    }

    #[test]
    fn sequence_numbers_wrap_and_may_leave_out_zero() {
        let mut output = Output::new(true, 0);
        let now = Instant::now();
        let numbers: Vec<u8> = (0..260).map(|_| output.take(now, true).1).collect();
        assert_eq!((numbers[0], numbers[254], numbers[255], numbers[259]), (1, 255, 1, 5));
        let mut output = Output::new(true, 0);
        let numbers: Vec<u8> = (0..260).map(|_| output.take(now, false).1).collect();
        assert_eq!((numbers[254], numbers[255], numbers[256]), (255, 0, 1));
    }
}
