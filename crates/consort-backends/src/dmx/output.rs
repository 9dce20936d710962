//! Output: the frame of a universe and its schedule.

use std::time::{Duration, Instant};

use consort_router::{Block, Event};

use super::slots::{SLOTS, Slots, to_byte, to_word};

/// The time between two frames. A frame of 512 slots takes this long on a DMX line at full speed:
/// 44 frames per second.
pub(crate) const FRAME_INTERVAL: Duration = Duration::from_nanos(1_000_000_000 / 44);

/// The time between two repetitions of a changed frame.
const REPEAT_INTERVAL: Duration = Duration::from_millis(60);

/// The time between two frames that keep an unchanged universe alive.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_millis(900);

/// The age from which an unchanged frame is sent together with those of other universes, which
/// synchronises the keep-alive frames of all universes.
const MIN_KEEP_ALIVE_AGE: Duration = Duration::from_millis(800);

/// The schedule of frames that are sent at most at a given rate.
///
/// A frame may be sent up to half an interval earlier than scheduled, so that an input of the same
/// rate with some jitter is not slowed down. The average rate is not affected.
pub(crate) struct Pace {
    interval: Duration,
    /// When the next frame is scheduled.
    scheduled: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(interval: Duration) -> Self {
        Pace { interval, scheduled: None }
    }

    pub(crate) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// When the next frame may be sent.
    pub(crate) fn due_time(&self, now: Instant) -> Instant {
        self.scheduled.map_or(now, |time| (time - self.interval / 2).max(now))
    }

    /// Takes note of a frame that was sent.
    pub(crate) fn count_frame(&mut self, now: Instant) {
        let time = self.scheduled.map_or(now, |time| time.max(now));
        self.scheduled = Some(time + self.interval);
    }
}

/// The outgoing frame of one universe.
pub(crate) struct Output {
    data: [u8; SLOTS],
    /// 1 for each slot whose value has not been sent yet, otherwise 0: bytes, so that blocks are
    /// compared by the vector.
    pending: [u8; SLOTS],
    is_dirty: bool,
    sequence: u8,
    is_realtime: bool,
    pace: Pace,
    /// When the last frame was sent.
    sent: Option<Instant>,
    /// How many times a changed frame is repeated.
    repeats: u8,
    /// How many of the repetitions are left.
    repeats_left: u8,
}

impl Output {
    pub(crate) fn new(is_realtime: bool, repeats: u8) -> Self {
        Output {
            data: [0; SLOTS],
            pending: [0; SLOTS],
            is_dirty: false,
            sequence: 0,
            is_realtime,
            pace: Pace::new(FRAME_INTERVAL),
            sent: None,
            repeats,
            repeats_left: 0,
        }
    }

    #[inline]
    fn is_pending(&self, slot: u16) -> bool {
        self.pending[usize::from(slot)] == 1
    }

    #[inline]
    fn put(&mut self, slot: u16, byte: u8) {
        self.pending[usize::from(slot)] = 1;
        self.data[usize::from(slot)] = byte;
        self.is_dirty = true;
    }

    /// Whether this event would replace a value that has not been sent yet.
    #[inline]
    pub(crate) fn replaces(&self, event: &Event, slots: &Slots) -> bool {
        self.is_pending(slots.slots_of(event.channel).high)
    }

    /// Writes a value into the frame.
    #[inline]
    pub(crate) fn set(&mut self, event: &Event, slots: &Slots) {
        let channel = slots.slots_of(event.channel);
        match channel.low {
            None => self.put(channel.high, to_byte(event.value)),
            Some(low) => {
                let [high_byte, low_byte] = to_word(event.value).to_be_bytes();
                self.put(channel.high, high_byte);
                self.put(low, low_byte);
            }
        }
    }

    /// The frame as it would be sent now.
    #[cfg(test)]
    pub(crate) fn data(&self) -> &[u8; SLOTS] {
        &self.data
    }

    /// How many levels of a block would replace values that have not been sent yet.
    pub(crate) fn count_replaced(&self, block: &Block<'_>) -> u64 {
        let pending = &self.pending[usize::from(block.slot)..];
        let replaced = pending.iter().zip(block.changed).map(|(a, b)| u32::from(a & b));
        replaced.sum::<u32>().into()
    }

    /// Writes the changed levels of a block into the frame.
    pub(crate) fn set_block(&mut self, block: &Block<'_>) {
        let slots = usize::from(block.slot)..usize::from(block.slot) + block.levels.len();
        let (data, pending) = (&mut self.data[slots.clone()], &mut self.pending[slots]);
        for (pending, changed) in pending.iter_mut().zip(block.changed) {
            *pending |= changed;
        }
        for ((data, &level), &changed) in data.iter_mut().zip(block.levels).zip(block.changed) {
            // All bits for a changed level.
            let mask = changed.wrapping_neg();
            *data = (*data & !mask) | (level & mask);
        }
        self.is_dirty = true;
    }

    pub(crate) fn is_realtime(&self) -> bool {
        self.is_realtime
    }

    pub(crate) fn set_realtime(&mut self, is_realtime: bool) {
        self.is_realtime = is_realtime;
    }

    /// Whether the frame has values that have not been sent yet.
    pub(crate) fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    /// Whether any frame has been sent.
    pub(crate) fn has_sent(&self) -> bool {
        self.sent.is_some()
    }

    /// A frame that was sent is sent again at once: the receiver is a new one.
    pub(crate) fn resend(&mut self) {
        self.is_dirty |= self.sent.is_some();
        self.pace = Pace::new(FRAME_INTERVAL);
    }

    /// When the next frame is due. `None` before the first value.
    pub(crate) fn due_time(&self, now: Instant) -> Option<Instant> {
        if self.is_dirty {
            return Some(if self.is_realtime { now } else { self.pace.due_time(now) });
        }
        let interval = if self.repeats_left > 0 { REPEAT_INTERVAL } else { KEEP_ALIVE_INTERVAL };
        Some(self.sent? + interval)
    }

    /// Whether a frame is due now. With `with_others`, frames of other universes are sent
    /// now, so a keep-alive frame may be sent early.
    pub(crate) fn is_due(&self, now: Instant, with_others: bool) -> bool {
        let is_early_keep_alive = with_others
            && !self.is_dirty
            && self.sent.is_some_and(|sent| now - sent >= MIN_KEEP_ALIVE_AGE);
        is_early_keep_alive || self.due_time(now).is_some_and(|due| due <= now)
    }

    /// Marks the frame as sent; returns its slots and its sequence number. Numbers run from 1 to
    /// 255 and wrap to 0, or to 1 with `skip_zero`.
    pub(crate) fn next_frame(&mut self, now: Instant, skip_zero: bool) -> (&[u8; SLOTS], u8) {
        if self.is_dirty {
            self.pace.count_frame(now);
            self.repeats_left = self.repeats;
            self.is_dirty = false;
            self.pending = [0; SLOTS];
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

    /// The number of replaced values, and the times of the frames in milliseconds, when a value
    /// arrives every `interval` milliseconds for `duration` milliseconds.
    fn frames(output: &mut Output, interval: u64, duration: u64) -> (usize, Vec<u64>) {
        let mut slots = Slots::default();
        slots.channel("1", Usage::Target).expect("a channel");
        let start = Instant::now();
        let (mut replaced, mut sent) = (0, Vec::new());
        for time in 0..duration {
            let now = start + Duration::from_millis(time);
            if time % interval == 0 {
                let event = Event::new(0, (time % 100) as f64 / 100.0);
                replaced += usize::from(output.replaces(&event, &slots));
                output.set(&event, &slots);
            }
            if output.is_due(now, false) {
                output.next_frame(now, true);
                sent.push(time);
            }
        }
        (replaced, sent)
    }

    #[test]
    fn a_flood_is_limited_to_44_frames_a_second_and_replaced_values_are_counted() {
        let mut output = Output::new(false, 0);
        let (replaced, sent) = frames(&mut output, 1, 10_000);
        assert!((439..=442).contains(&sent.len()), "{} frames", sent.len());
        assert_eq!(replaced + sent.len() + usize::from(output.is_dirty), 10_000);
    }

    #[test]
    fn input_at_44_frames_a_second_is_sent_immediately_despite_jitter() {
        let mut output = Output::new(false, 3);
        let mut slots = Slots::default();
        slots.channel("1", Usage::Target).expect("a channel");
        let start = Instant::now();
        for frame in 0..1_000_u32 {
            // Up to 10 ms late, as from a busy sender.
            let jitter = Duration::from_micros(u64::from(frame * 7_919 % 10_000));
            let now = start + FRAME_INTERVAL * frame + jitter;
            output.set(&Event::new(0, f64::from(frame % 255) / 255.0), &slots);
            assert!(output.is_due(now, false), "frame {frame} was delayed");
            output.next_frame(now, true);
        }
    }

    #[test]
    fn realtime_has_no_rate_limit() {
        let (replaced, sent) = frames(&mut Output::new(true, 0), 1, 1_000);
        assert_eq!((replaced, sent.len()), (0, 1_000));
    }

    #[test]
    fn an_unchanged_frame_is_repeated_then_kept_alive() {
        let (_, sent) = frames(&mut Output::new(false, 3), 100_000, 3_000);
        assert_eq!(sent, [0, 60, 120, 180, 1_080, 1_980, 2_880]);
        let (_, sent) = frames(&mut Output::new(false, 0), 100_000, 2_000);
        assert_eq!(sent, [0, 900, 1_800]);
        assert_eq!(frames(&mut Output::new(false, 3), 1, 0).1, [0; 0]);
    }

    #[test]
    fn sequence_numbers_wrap_and_may_skip_zero() {
        let mut output = Output::new(true, 0);
        let now = Instant::now();
        let numbers: Vec<u8> = (0..260).map(|_| output.next_frame(now, true).1).collect();
        assert_eq!((numbers[0], numbers[254], numbers[255], numbers[259]), (1, 255, 1, 5));
        let mut output = Output::new(true, 0);
        let numbers: Vec<u8> = (0..260).map(|_| output.next_frame(now, false).1).collect();
        assert_eq!((numbers[254], numbers[255], numbers[256]), (255, 0, 1));
    }
}
