//! The values that wait for a worker: a bounded queue that always has the newest value of each
//! channel.

use std::collections::VecDeque;

/// How many values are queued in order of arrival. Beyond that, one value per channel is kept.
pub(crate) const MAX_ORDERED_VALUES: usize = 65_536;

/// Values in order of arrival, up to a limit; beyond it, the newest of each channel.
///
/// With a limit of 2, the values 0.1 and 0.2 for channel 0 and then 0.3 and 0.5 for channel 1 are
/// taken as 0.1, 0.2, 0.5: when 0.3 arrived, `ordered` was full, so 0.5 replaced it.
#[derive(Debug)]
pub(crate) struct Queue {
    ordered: VecDeque<(u32, f64)>,
    limit: usize,
    /// Values that arrived when `ordered` was full, one per channel, by first arrival.
    newest: Vec<(u32, f64)>,
    /// For each channel its index in `newest` plus one; 0 for none.
    positions: Vec<u32>,
}

impl Queue {
    /// Creates an empty queue for channels whose numbers are below `channels`.
    pub(crate) fn new(channels: usize, limit: usize) -> Self {
        Queue {
            ordered: VecDeque::with_capacity(1_024.min(limit)),
            limit,
            newest: Vec::new(),
            positions: vec![0; channels],
        }
    }

    /// How many values are queued.
    pub(crate) fn len(&self) -> usize {
        self.ordered.len() + self.newest.len()
    }

    /// Adds a value; returns false if it replaced an older one of its channel.
    #[inline]
    pub(crate) fn push(&mut self, channel: u32, value: f64) -> bool {
        if self.newest.is_empty() && self.ordered.len() < self.limit {
            self.ordered.push_back((channel, value));
            return true;
        }
        let position = &mut self.positions[channel as usize];
        if *position > 0 {
            self.newest[*position as usize - 1].1 = value;
            return false;
        }
        self.newest.push((channel, value));
        *position = self.newest.len() as u32;
        true
    }

    /// Takes the oldest value.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(u32, f64)> {
        if self.ordered.is_empty() && !self.newest.is_empty() {
            for (channel, _) in &self.newest {
                self.positions[*channel as usize] = 0;
            }
            self.ordered.extend(self.newest.drain(..));
        }
        self.ordered.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_below_the_limit_keep_their_order() {
        let mut queue = Queue::new(2, 4);
        for value in [0.1, 0.2, 0.3, 0.4] {
            assert!(queue.push(1, value));
        }
        let values: Vec<f64> = std::iter::from_fn(|| queue.pop()).map(|(_, value)| value).collect();
        assert_eq!(values, [0.1, 0.2, 0.3, 0.4]);
    }

    #[test]
    fn a_full_queue_keeps_the_newest_of_each_channel() {
        let mut queue = Queue::new(3, 2);
        assert!(queue.push(0, 0.1) && queue.push(0, 0.2));
        assert!(queue.push(1, 0.3) && queue.push(2, 0.4));
        assert!(!queue.push(1, 0.5), "replaces 0.3");
        assert!(queue.push(0, 0.6));
        assert!(!queue.push(0, 0.7), "replaces 0.6");
        let all: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(all, [(0, 0.1), (0, 0.2), (1, 0.5), (2, 0.4), (0, 0.7)]);
    }

    proptest! {
        #[test]
        fn the_queue_is_bounded_and_ends_with_the_newest_values(
            steps in proptest::collection::vec((0_u32..4, any::<bool>()), 0..300),
        ) {
            let mut queue = Queue::new(4, 8);
            let (mut newest, mut seen, mut pushed, mut replaced, mut popped) =
                ([None; 4], [None; 4], 0, 0, 0);
            let mut take = |queue: &mut Queue, seen: &mut [Option<f64>; 4]| {
                let Some((channel, value)) = queue.pop() else { return false };
                let last = &mut seen[channel as usize];
                assert!(last.is_none_or(|last| last < value), "order of a channel");
                *last = Some(value);
                popped += 1;
                true
            };
            for (step, (channel, pop)) in steps.into_iter().enumerate() {
                if pop {
                    take(&mut queue, &mut seen);
                } else {
                    newest[channel as usize] = Some(step as f64);
                    pushed += 1;
                    replaced += usize::from(!queue.push(channel, step as f64));
                }
                prop_assert!(queue.len() <= 8 + 4);
            }
            while take(&mut queue, &mut seen) {}
            prop_assert_eq!(newest, seen);
            prop_assert_eq!(pushed, popped + replaced);
        }
    }
}
