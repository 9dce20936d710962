//! Limits for the answers to polls.
//!
//! An answer is larger than a poll, and the sender's address can be forged: unlimited answers would
//! flood others. A limit for all askers together would in turn let one of them keep the others from
//! getting answers, so that each asker has a limit, and those that are known have the larger share.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// The most polls of all askers that are answered per second.
const MAX_POLLS_PER_SECOND: u32 = 20;

/// The most polls of askers that were not answered before, per second.
const MAX_NEW_ASKERS_PER_SECOND: u32 = 10;

/// The most polls of one asker that are answered per second.
const MAX_POLLS_PER_ASKER: u32 = 2;

/// The most askers that are remembered; the one that asked longest ago is forgotten first.
const MAX_ASKERS: usize = 64;

const SECOND: Duration = Duration::from_secs(1);

/// A range of universes, both ends included.
pub(super) type Range = (u16, u16);

/// How many of something happened in the current second.
#[derive(Clone, Copy, Debug, Default)]
struct PerSecond {
    since: Option<Instant>,
    count: u32,
}

impl PerSecond {
    /// Whether one more is allowed now.
    fn has_room(&mut self, limit: u32, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= SECOND) {
            *self = PerSecond { since: Some(now), count: 0 };
        }
        self.count < limit
    }
}

/// An address that has polled.
#[derive(Clone, Copy, Debug)]
struct Asker {
    address: IpAddr,
    last: Instant,
    answered: PerSecond,
}

/// The polls that are to be answered.
#[derive(Debug, Default)]
pub(super) struct Polls {
    pending: Vec<(SocketAddr, Range)>,
    askers: Vec<Asker>,
    all: PerSecond,
    new: PerSecond,
}

impl Polls {
    /// Takes a poll, or ignores it above the limits.
    pub(super) fn add(&mut self, from: SocketAddr, range: Range, now: Instant) {
        let found = self.askers.iter().position(|asker| asker.address == from.ip());
        let has_room = self.all.has_room(MAX_POLLS_PER_SECOND, now)
            && (found.is_some() || self.new.has_room(MAX_NEW_ASKERS_PER_SECOND, now));
        if !has_room {
            return;
        }
        let index = found.unwrap_or_else(|| self.remember(from.ip(), now));
        let asker = &mut self.askers[index];
        asker.last = now;
        if asker.answered.has_room(MAX_POLLS_PER_ASKER, now) {
            asker.answered.count += 1;
            self.all.count += 1;
            self.pending.push((from, range));
        }
    }

    /// Adds an asker; returns its index.
    fn remember(&mut self, address: IpAddr, now: Instant) -> usize {
        self.new.count += 1;
        let asker = Asker { address, last: now, answered: PerSecond::default() };
        if self.askers.len() < MAX_ASKERS {
            self.askers.push(asker);
            return self.askers.len() - 1;
        }
        let oldest = (0..MAX_ASKERS).min_by_key(|&index| self.askers[index].last).unwrap_or(0);
        self.askers[oldest] = asker;
        oldest
    }

    /// The polls to answer now.
    pub(super) fn take(&mut self) -> Vec<(SocketAddr, Range)> {
        std::mem::take(&mut self.pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> SocketAddr {
        (std::net::Ipv4Addr::from(number), 6454).into()
    }

    #[test]
    fn one_asker_does_not_keep_others_from_getting_answers() {
        let (mut polls, start) = (Polls::default(), Instant::now());
        let mut honest = 0;
        for millisecond in 0..10_000_u32 {
            let now = start + Duration::from_millis(millisecond.into());
            polls.add(address(1), (0, 9), now);
            if millisecond % 2_500 == 7 {
                polls.add(address(2), (0, 9), now);
            }
            honest += polls.take().iter().filter(|(from, _)| *from == address(2)).count();
        }
        assert_eq!(honest, 4, "the honest asker got every answer");
    }

    #[test]
    fn answers_are_limited_for_each_asker_and_for_all() {
        let (mut polls, start) = (Polls::default(), Instant::now());
        for _ in 0..100 {
            polls.add(address(1), (0, 9), start);
        }
        assert_eq!(polls.take().len(), MAX_POLLS_PER_ASKER as usize);
        // A thousand forged addresses: a known one still gets its answer.
        for number in 10..1_000 {
            polls.add(address(number), (0, 9), start + SECOND);
        }
        polls.add(address(1), (0, 9), start + SECOND);
        let answered = polls.take();
        assert_eq!(answered.len(), MAX_NEW_ASKERS_PER_SECOND as usize + 1);
        assert_eq!(answered.last().map(|(from, _)| *from), Some(address(1)));
        assert!(polls.askers.len() <= MAX_ASKERS);
    }
}
