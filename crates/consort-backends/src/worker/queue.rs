//! The values and texts that wait for a worker: a bounded queue that always has the newest value
//! of each channel.

use std::collections::VecDeque;

use consort_router::ChannelTable;

/// How many values and texts are queued in order of arrival. Beyond that, one value per channel
/// is kept.
pub(crate) const MAX_ORDERED_VALUES: usize = 65_536;

/// How many bytes of texts are queued at most.
const MAX_QUEUED_TEXT_BYTES: usize = 1 << 20;

/// The bit of [`Entry::channel`] that marks a text. Channels' numbers are below it.
const TEXT: u32 = 1 << 31;

/// A value, or a text, whose length in bytes then takes the place of the value.
#[derive(Clone, Copy, Debug)]
struct Entry {
    channel: u32,
    root: u32,
    value: f64,
}

/// What is taken from the queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Queued<'q> {
    /// A value for a channel, and its root.
    Value(u32, u32, f64),
    /// A text for a channel, and its root.
    Text(u32, u32, &'q str),
}

/// Values and texts in order of arrival, up to a limit; beyond it, the newest value of each
/// channel. Does not allocate in the steady state.
///
/// With a limit of 2, the values 0.1 and 0.2 for channel 0 and then 0.3 and 0.5 for channel 1 are
/// taken as 0.1, 0.2, 0.5: when 0.3 arrived, `ordered` was full, so 0.5 replaced it.
#[derive(Debug)]
pub(crate) struct Queue {
    ordered: VecDeque<Entry>,
    limit: usize,
    /// Values that arrived when `ordered` was full, one per channel, by first arrival.
    newest: Vec<Entry>,
    /// For each channel its index in `newest` plus one; 0 for none.
    positions: Vec<u32>,
    /// The texts of `ordered`, one after the other.
    texts: VecDeque<u8>,
    /// The text that was taken last.
    taken: Vec<u8>,
}

impl Queue {
    /// Creates an empty queue for channels whose numbers are below `channels`.
    pub(crate) fn new(channels: usize, limit: usize) -> Self {
        Queue {
            ordered: VecDeque::with_capacity(1_024.min(limit)),
            limit,
            newest: Vec::new(),
            positions: vec![0; channels],
            texts: VecDeque::new(),
            taken: Vec::new(),
        }
    }

    /// How many values and texts are queued.
    pub(crate) fn len(&self) -> usize {
        self.ordered.len() + self.newest.len()
    }

    /// Adds a value; returns false if it replaced an older one of its channel.
    #[inline]
    pub(crate) fn push(&mut self, channel: u32, root: u32, value: f64) -> bool {
        let entry = Entry { channel, root, value };
        if self.newest.is_empty() && self.ordered.len() < self.limit {
            self.ordered.push_back(entry);
            return true;
        }
        let position = &mut self.positions[channel as usize];
        if *position > 0 {
            self.newest[*position as usize - 1] = entry;
            return false;
        }
        self.newest.push(entry);
        *position = self.newest.len() as u32;
        true
    }

    /// Adds a text; returns false if the queue is full and the text is dropped.
    pub(crate) fn push_text(&mut self, channel: u32, root: u32, text: &str) -> bool {
        let is_full = !self.newest.is_empty()
            || self.ordered.len() >= self.limit
            || self.texts.len() + text.len() > MAX_QUEUED_TEXT_BYTES;
        if !is_full {
            self.texts.extend(text.as_bytes());
            let value = text.len() as f64;
            self.ordered.push_back(Entry { channel: channel | TEXT, root, value });
        }
        !is_full
    }

    /// Takes the oldest value or text.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Queued<'_>> {
        if self.ordered.is_empty() && !self.newest.is_empty() {
            for entry in &self.newest {
                self.positions[entry.channel as usize] = 0;
            }
            self.ordered.extend(self.newest.drain(..));
        }
        let Entry { channel, root, value } = self.ordered.pop_front()?;
        if channel & TEXT == 0 {
            return Some(Queued::Value(channel, root, value));
        }
        Some(self.take_text(channel & !TEXT, root, value as usize))
    }

    fn take_text(&mut self, channel: u32, root: u32, length: usize) -> Queued<'_> {
        self.taken.clear();
        self.taken.extend(self.texts.drain(..length));
        Queued::Text(channel, root, std::str::from_utf8(&self.taken).unwrap_or_default())
    }

    /// Gives the queued values the numbers of changed channels. Returns how many were dropped,
    /// because their channels have gone.
    pub(crate) fn renumber(&mut self, table: &ChannelTable) -> usize {
        let before = self.len();
        let (mut kept, mut start) = (0, 0);
        for index in 0..self.ordered.len() {
            let entry = self.ordered[index];
            let length = if entry.channel & TEXT == 0 { 0 } else { entry.value as usize };
            if let Some(channel) = table.new_number(entry.channel & !TEXT) {
                let channel = channel | entry.channel & TEXT;
                self.ordered[kept] = Entry { channel, ..entry };
                kept += 1;
                start += length;
            } else {
                self.texts.drain(start..start + length);
            }
        }
        self.ordered.truncate(kept);
        self.newest.retain_mut(|entry| match table.new_number(entry.channel) {
            Some(channel) => {
                entry.channel = channel;
                true
            }
            None => false,
        });
        self.positions = vec![0; table.new_count()];
        for (index, entry) in self.newest.iter().enumerate() {
            self.positions[entry.channel as usize] = index as u32 + 1;
        }
        before - self.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything that is queued, as text.
    fn drain(queue: &mut Queue) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(queued) = queue.pop() {
            all.push(match queued {
                Queued::Value(channel, root, value) => format!("{channel} {value} {root}"),
                Queued::Text(channel, root, text) => format!("{channel} {text:?} {root}"),
            });
        }
        all
    }

    #[test]
    fn values_below_the_limit_keep_their_order() {
        let mut queue = Queue::new(2, 4);
        for (root, value) in [0.1, 0.2, 0.3, 0.4].into_iter().enumerate() {
            assert!(queue.push(1, root as u32, value));
        }
        assert_eq!(drain(&mut queue), ["1 0.1 0", "1 0.2 1", "1 0.3 2", "1 0.4 3"]);
    }

    #[test]
    fn a_full_queue_keeps_the_newest_of_each_channel() {
        let mut queue = Queue::new(3, 2);
        assert!(queue.push(0, 1, 0.1) && queue.push(0, 2, 0.2));
        assert!(queue.push(1, 3, 0.3) && queue.push(2, 4, 0.4));
        assert!(!queue.push(1, 5, 0.5), "replaces 0.3");
        assert!(queue.push(0, 6, 0.6));
        assert!(!queue.push(0, 7, 0.7), "replaces 0.6");
        assert!(!queue.push_text(0, 8, "dropped"));
        assert_eq!(drain(&mut queue), ["0 0.1 1", "0 0.2 2", "1 0.5 5", "2 0.4 4", "0 0.7 7"]);
    }

    #[test]
    fn texts_keep_their_place_among_values_and_are_bounded() {
        let mut queue = Queue::new(2, 10_000);
        assert!(queue.push_text(1, 1, "één") && queue.push(0, 2, 0.5));
        assert!(queue.push_text(0, 3, "") && queue.push_text(1, 4, "two"));
        assert_eq!(drain(&mut queue), ["1 \"één\" 1", "0 0.5 2", "0 \"\" 3", "1 \"two\" 4"]);
        let text = "x".repeat(1_024);
        assert_eq!((0..2_000).filter(|_| queue.push_text(0, 0, &text)).count(), 1_024);
        assert!(queue.push(0, 0, 0.5), "values are not concerned");
    }

    #[test]
    fn what_waits_for_a_channel_that_goes_is_dropped() {
        let names = |names: &str| names.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let table = ChannelTable::between(&names("a b c"), &names("c new a"));
        let mut queue = Queue::new(3, 5);
        assert!(queue.push_text(0, 1, "for a") && queue.push_text(1, 2, "for b"));
        assert!(queue.push(1, 3, 0.1) && queue.push(2, 4, 0.2) && queue.push_text(2, 5, "for c"));
        assert!(queue.push(1, 6, 0.3) && queue.push(2, 7, 0.4) && queue.push(0, 8, 0.5));
        assert_eq!(queue.renumber(&table), 3);
        assert!(!queue.push(0, 9, 0.6), "replaces 0.4 of `c`");
        assert!(queue.push(1, 10, 0.7));
        let all = drain(&mut queue);
        assert_eq!(
            all,
            ["2 \"for a\" 1", "0 0.2 4", "0 \"for c\" 5", "0 0.6 9", "2 0.5 8", "1 0.7 10"]
        );
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
                let Some(Queued::Value(channel, _, value)) = queue.pop() else { return false };
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
                    replaced += usize::from(!queue.push(channel, 0, step as f64));
                }
                prop_assert!(queue.len() <= 8 + 4);
            }
            while take(&mut queue, &mut seen) {}
            prop_assert_eq!(newest, seen);
            prop_assert_eq!(pushed, popped + replaced);
        }
    }
}
