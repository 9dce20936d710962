//! The schedule of intervals and sleeping threads.

use std::time::{Duration, Instant};

use mlua::{Function, Thread};

/// The maximum number of intervals of a script, and that of its sleeping threads.
const MAX_ENTRIES: usize = 1_024;

/// If a thread was resumed at most this late, its next sleep is counted from its scheduled time, so
/// that delays do not add up.
const MAX_CATCH_UP: Duration = Duration::from_millis(250);

/// A function that is called periodically.
struct Interval {
    function: Function,
    period: Duration,
    next: Instant,
}

/// A thread that is suspended until a time.
struct Sleeper {
    thread: Thread,
    wake: Instant,
}

/// An interval or a thread that is due.
pub(super) enum Due {
    Call(Function),
    /// A thread, and when it should have been resumed.
    Resume(Thread, Instant),
}

/// All intervals and sleeping threads of a script.
#[derive(Default)]
pub(super) struct Schedule {
    intervals: Vec<Interval>,
    sleepers: Vec<Sleeper>,
}

impl Schedule {
    /// Adds, changes or, if the period is zero, removes the interval of a function.
    pub(super) fn interval(
        &mut self,
        function: Function,
        period: Duration,
        now: Instant,
    ) -> Result<(), String> {
        let index = self.intervals.iter().position(|interval| interval.function == function);
        match (index, period.is_zero()) {
            (Some(index), true) => {
                self.intervals.remove(index);
            }
            (Some(index), false) => {
                self.intervals[index].period = period;
                self.intervals[index].next = now + period;
            }
            (None, true) => {}
            (None, false) if self.intervals.len() >= MAX_ENTRIES => {
                return Err(format!("interval: a script may have at most {MAX_ENTRIES} intervals"));
            }
            (None, false) => self.intervals.push(Interval { function, period, next: now + period }),
        }
        Ok(())
    }

    /// Whether another thread may be created.
    pub(super) fn can_add_thread(&self) -> bool {
        self.sleepers.len() < MAX_ENTRIES
    }

    /// Suspends a thread for a time. `scheduled` is when it was due, if it was
    /// suspended before.
    pub(super) fn sleep(
        &mut self,
        thread: Thread,
        time: Duration,
        scheduled: Option<Instant>,
        now: Instant,
    ) {
        let start = scheduled.filter(|&time| now.saturating_duration_since(time) < MAX_CATCH_UP);
        self.sleepers.push(Sleeper { thread, wake: start.unwrap_or(now) + time });
    }

    /// Takes the entry that is due first, if any is due at `now`. The next call of an interval is
    /// computed from its scheduled time, and missed calls are skipped.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Due> {
        let interval = (0..self.intervals.len()).min_by_key(|&index| self.intervals[index].next);
        let sleeper = (0..self.sleepers.len()).min_by_key(|&index| self.sleepers[index].wake);
        let interval = interval.filter(|&index| self.intervals[index].next <= now);
        let sleeper = sleeper.filter(|&index| self.sleepers[index].wake <= now);
        let is_interval_first = match (interval, sleeper) {
            (Some(interval), Some(sleeper)) => {
                self.intervals[interval].next <= self.sleepers[sleeper].wake
            }
            (interval, _) => interval.is_some(),
        };
        if is_interval_first {
            let interval = &mut self.intervals[interval?];
            let missed = (now - interval.next).as_nanos() / interval.period.as_nanos();
            interval.next += interval.period * u32::try_from(missed + 1).unwrap_or(u32::MAX);
            Some(Due::Call(interval.function.clone()))
        } else {
            let sleeper = self.sleepers.remove(sleeper?);
            Some(Due::Resume(sleeper.thread, sleeper.wake))
        }
    }

    /// When the next entry is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let intervals = self.intervals.iter().map(|interval| interval.next);
        intervals.chain(self.sleepers.iter().map(|sleeper| sleeper.wake)).min()
    }
}
