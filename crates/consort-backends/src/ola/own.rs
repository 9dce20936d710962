//! Recognises own values that olad sends back.
//!
//! olad sends each change of a universe to all its clients, also to the one that made it. By then
//! newer values may have been sent, so that a value is compared with those of the last frames.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::dmx::{ChannelSlots, SLOTS};

/// How long a sent frame is remembered. The newest is never forgotten.
const LIFETIME: Duration = Duration::from_secs(2);

/// The most frames that are remembered: two seconds of DMX.
const MAX_FRAMES: usize = 88;

/// The frames of a universe that were sent lately.
#[derive(Default)]
pub(super) struct OwnFrames {
    frames: VecDeque<(Instant, Box<[u8; SLOTS]>)>,
    /// The slots that have own values; the others of a frame are 0 without having been set.
    written: [u64; SLOTS / 64],
}

impl OwnFrames {
    /// Takes note of slots that get own values.
    pub(super) fn mark(&mut self, slots: ChannelSlots) {
        for slot in [Some(slots.high), slots.low].into_iter().flatten() {
            self.written[usize::from(slot) / 64] |= 1 << (slot % 64);
        }
    }

    fn is_written(&self, slot: u16) -> bool {
        self.written[usize::from(slot) / 64] >> (slot % 64) & 1 == 1
    }

    /// Remembers a frame that is sent. Does not allocate in the steady state.
    pub(super) fn record(&mut self, data: &[u8; SLOTS], now: Instant) {
        let is_old = |sent: Instant| now.saturating_duration_since(sent) > LIFETIME;
        let mut free = None;
        while self.frames.front().is_some_and(|(sent, _)| is_old(*sent))
            || self.frames.len() >= MAX_FRAMES
        {
            free = self.frames.pop_front();
        }
        let mut frame = free.map_or_else(|| Box::new([0; SLOTS]), |(_, frame)| frame);
        frame.copy_from_slice(data);
        self.frames.push_back((now, frame));
    }

    /// Whether the value of a channel in a received frame is one that was sent.
    pub(super) fn contains(&self, slots: ChannelSlots, received: &[u8], now: Instant) -> bool {
        let parts = [Some(slots.high), slots.low];
        let parts = || parts.into_iter().flatten();
        if !parts().all(|slot| self.is_written(slot)) {
            return false;
        }
        let is_equal = |frame: &[u8; SLOTS]| {
            parts().all(|slot| received.get(usize::from(slot)) == Some(&frame[usize::from(slot)]))
        };
        let newest = self.frames.len().saturating_sub(1);
        self.frames.iter().enumerate().rev().any(|(index, (sent, frame))| {
            let is_known = index == newest || now.saturating_duration_since(*sent) <= LIFETIME;
            is_known && is_equal(frame)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_values_are_recognised_until_they_are_old() {
        let (mut own, start) = (OwnFrames::default(), Instant::now());
        let narrow = ChannelSlots { high: 3, low: None };
        let wide = ChannelSlots { high: 4, low: Some(5) };
        own.mark(narrow);
        own.mark(wide);
        let mut frame = [0; SLOTS];
        for level in 1..=3 {
            (frame[3], frame[4], frame[5]) = (level, level, level + 10);
            own.record(&frame, start);
        }
        let received = |levels: [u8; 3]| {
            let mut data = [0; SLOTS];
            data[3..6].copy_from_slice(&levels);
            data
        };
        assert!(own.contains(narrow, &received([1, 0, 0]), start), "an earlier frame");
        assert!(!own.contains(narrow, &received([4, 0, 0]), start), "another program's value");
        assert!(own.contains(wide, &received([0, 2, 12]), start));
        assert!(!own.contains(wide, &received([0, 2, 13]), start), "parts of two frames");
        assert!(!own.contains(narrow, &[1, 1], start), "a shorter frame");
        let unwritten = ChannelSlots { high: 9, low: None };
        assert!(!own.contains(unwritten, &frame, start), "a 0 that nobody has set");
        let later = start + LIFETIME * 2;
        assert!(!own.contains(narrow, &received([1, 0, 0]), later), "an old value");
        assert!(own.contains(narrow, &received([3, 0, 0]), later), "the newest");
        for _ in 0..200 {
            own.record(&frame, later);
        }
        assert_eq!(own.frames.len(), MAX_FRAMES);
    }
}
