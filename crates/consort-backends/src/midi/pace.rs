//! Values for a device that cannot take them all at once: one at a time, the newest of each channel.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use consort_router::ChannelTable;

/// Values that wait until the device can take them. A channel has at most one, so that no more wait
/// than there are channels.
#[derive(Default)]
pub(super) struct Pace {
    interval: Duration,
    /// The newest value of each channel that waits, by its number.
    newest: Vec<Option<f64>>,
    /// The channels that wait, in the order of their first values: buttons, then all others.
    buttons: VecDeque<u32>,
    others: VecDeque<u32>,
    /// When the next value may leave.
    next: Option<Instant>,
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Self {
        Pace { interval, ..Pace::default() }
    }

    /// Whether values wait for each other at all.
    pub(super) fn is_on(&self) -> bool {
        !self.interval.is_zero()
    }

    /// Takes another interval, and the numbers that channels have after a reload.
    pub(super) fn adopt(&mut self, interval: Duration, table: &ChannelTable) {
        self.interval = interval;
        let mut newest = vec![None; table.new_count()];
        for (old, value) in self.newest.iter().enumerate() {
            if let Some(new) = table.new_number(old as u32) {
                newest[new as usize] = *value;
            }
        }
        self.newest = newest;
        for queue in [&mut self.buttons, &mut self.others] {
            *queue = queue.iter().filter_map(|&old| table.new_number(old)).collect();
        }
    }

    /// Takes a value for a channel, instead of the one that waits there.
    pub(super) fn push(&mut self, channel: u32, value: f64, is_button: bool) {
        let index = channel as usize;
        if index >= self.newest.len() {
            self.newest.resize(index + 1, None);
        }
        if self.newest[index].replace(value).is_none() {
            let queue = if is_button { &mut self.buttons } else { &mut self.others };
            queue.push_back(channel);
        }
    }

    /// The next value, if one may leave now.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(u32, f64)> {
        if self.next.is_some_and(|next| now < next) {
            return None;
        }
        let popped = self.pop_any();
        self.next = popped.map(|_| now + self.interval);
        popped
    }

    /// The next value, however soon.
    pub(super) fn pop_any(&mut self) -> Option<(u32, f64)> {
        let channel = self.buttons.pop_front().or_else(|| self.others.pop_front())?;
        let value = self.newest[channel as usize].take()?;
        Some((channel, value))
    }

    /// Forgets all that waits.
    pub(super) fn clear(&mut self) {
        while self.pop_any().is_some() {}
    }

    /// When the next value may leave; `None` if none waits.
    pub(super) fn due(&self) -> Option<Instant> {
        let is_waiting = !self.buttons.is_empty() || !self.others.is_empty();
        self.next.filter(|_| is_waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buttons_come_first_and_only_the_newest_value_of_a_channel_leaves() {
        let mut pace = Pace::new(Duration::from_millis(2));
        let start = Instant::now();
        let at = |milliseconds: u64| start + Duration::from_millis(milliseconds);
        for (channel, value, is_button) in
            [(0, 0.1, false), (1, 0.2, false), (2, 1.0, true), (0, 0.3, false), (2, 0.0, true)]
        {
            pace.push(channel, value, is_button);
        }
        assert_eq!(pace.pop(start), Some((2, 0.0)));
        assert_eq!(pace.pop(at(1)), None);
        assert_eq!(pace.due(), Some(at(2)));
        assert_eq!(pace.pop(at(2)), Some((0, 0.3)));
        // Late: the time to the one after counts from now on, so that the rate is never exceeded.
        assert_eq!(pace.pop(at(9)), Some((1, 0.2)));
        pace.push(1, 0.5, false);
        assert_eq!(pace.pop(at(10)), None);
        assert_eq!(pace.pop(at(11)), Some((1, 0.5)));
        assert_eq!((pace.pop(at(13)), pace.due()), (None, None));
    }

    #[test]
    fn a_reload_keeps_what_waits_under_its_new_number() {
        let mut pace = Pace::new(Duration::from_millis(2));
        pace.push(0, 0.1, false);
        pace.push(1, 0.2, false);
        let table = ChannelTable::between(&["gone", "stays"], &["new", "other", "stays"]);
        pace.adopt(Duration::ZERO, &table);
        assert!(!pace.is_on());
        assert_eq!((pace.pop_any(), pace.pop_any()), (Some((2, 0.2)), None));
    }
}
