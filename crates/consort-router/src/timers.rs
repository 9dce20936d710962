//! One deadline for each instance and each driver.

use std::time::Instant;

/// Deadlines by slot, and the earliest of them.
///
/// Setting a deadline costs constant time: the minimum is recomputed only after the earliest one
/// was moved to a later time or removed.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    times: Vec<Option<Instant>>,
    earliest: Option<Instant>,
    is_stale: bool,
}

impl Deadlines {
    pub(crate) fn new(count: usize) -> Self {
        Deadlines { times: vec![None; count], earliest: None, is_stale: false }
    }

    /// Adds slots without deadlines.
    pub(crate) fn resize(&mut self, count: usize) {
        self.times.resize(count, None);
    }

    pub(crate) fn get(&self, slot: usize) -> Option<Instant> {
        self.times[slot]
    }

    pub(crate) fn set(&mut self, slot: usize, time: Option<Instant>) {
        let before = std::mem::replace(&mut self.times[slot], time);
        if before == time {
            return;
        }
        if let Some(time) = time
            && self.earliest.is_none_or(|earliest| time <= earliest)
        {
            // Not stale even if the slot held the earliest: the new time precedes all others.
            self.earliest = Some(time);
        } else if before == self.earliest {
            self.is_stale = true;
        }
    }

    pub(crate) fn earliest(&mut self) -> Option<Instant> {
        if self.is_stale {
            self.earliest = self.times.iter().flatten().min().copied();
            self.is_stale = false;
        }
        self.earliest
    }

    /// The next slot from `start` on whose deadline has passed; its deadline is removed.
    pub(crate) fn take_due(&mut self, start: usize, now: Instant) -> Option<usize> {
        let due = |time: &Option<Instant>| time.is_some_and(|time| time <= now);
        let slot = start + self.times[start..].iter().position(due)?;
        self.set(slot, None);
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_earliest_deadline_is_the_minimum_of_all(
            steps in proptest::collection::vec((0_usize..6, proptest::option::of(0_u64..20)), 1..60)
        ) {
            let start = Instant::now();
            let mut deadlines = Deadlines::new(6);
            let mut model = [None; 6];
            for (slot, time) in steps {
                let time = time.map(|seconds| start + Duration::from_secs(seconds));
                deadlines.set(slot, time);
                model[slot] = time;
                prop_assert_eq!(deadlines.earliest(), model.iter().flatten().min().copied());
            }
            let now = start + Duration::from_secs(10);
            let mut due = Vec::new();
            let mut next = 0;
            while let Some(slot) = deadlines.take_due(next, now) {
                due.push(slot);
                next = slot + 1;
            }
            let expected: Vec<usize> =
                (0..6).filter(|&slot| model[slot].is_some_and(|time| time <= now)).collect();
            prop_assert_eq!(due, expected);
            prop_assert!(deadlines.earliest().is_none_or(|time| time > now));
        }
    }
}
