//! When intervals and threads are due.

use std::time::{Duration, Instant};

use mlua::{Function, Thread};

/// How many intervals, and how many threads, one script may have.
const LIMIT: usize = 1_024;

/// How late a thread may wake and still count its next sleep from when it should have woken.
const CATCH_UP: Duration = Duration::from_millis(250);

struct Interval {
    function: Function,
    every: Duration,
    next: Instant,
}

struct Sleeper {
    thread: Thread,
    wake: Instant,
}

/// Something that is due.
pub(super) enum Due {
    Call(Function),
    /// A thread, and when it should have woken.
    Resume(Thread, Instant),
}

/// All intervals and sleeping threads of a script.
#[derive(Default)]
pub(super) struct Schedule {
    intervals: Vec<Interval>,
    sleepers: Vec<Sleeper>,
}

impl Schedule {
    /// Sets, changes or (with no time) ends an interval. The function is the key.
    pub(super) fn interval(
        &mut self,
        function: Function,
        every: Duration,
        now: Instant,
    ) -> Result<(), String> {
        let at = self.intervals.iter().position(|it| it.function == function);
        match (at, every.is_zero()) {
            (Some(at), true) => {
                self.intervals.remove(at);
            }
            (Some(at), false) => {
                self.intervals[at].every = every;
                self.intervals[at].next = now + every;
            }
            (None, true) => {}
            (None, false) if self.intervals.len() >= LIMIT => {
                return Err(format!("there are {LIMIT} intervals already"));
            }
            (None, false) => self.intervals.push(Interval { function, every, next: now + every }),
        }
        Ok(())
    }

    /// Whether another thread may be made.
    pub(super) fn has_room(&self) -> bool {
        self.sleepers.len() < LIMIT
    }

    /// A thread goes to sleep. `woken` is when it should have woken before.
    pub(super) fn sleep(
        &mut self,
        thread: Thread,
        time: Duration,
        woken: Option<Instant>,
        now: Instant,
    ) {
        let from = woken.filter(|&woken| now.saturating_duration_since(woken) < CATCH_UP);
        self.sleepers.push(Sleeper { thread, wake: from.unwrap_or(now) + time });
    }

    /// The next that is due at `now`, in order of time. An interval goes on from when it was due,
    /// without the ticks that were missed.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Due> {
        let interval = (0..self.intervals.len()).min_by_key(|&at| self.intervals[at].next);
        let sleeper = (0..self.sleepers.len()).min_by_key(|&at| self.sleepers[at].wake);
        let interval = interval.filter(|&at| self.intervals[at].next <= now);
        let sleeper = sleeper.filter(|&at| self.sleepers[at].wake <= now);
        let interval_first = match (interval, sleeper) {
            (Some(a), Some(b)) => self.intervals[a].next <= self.sleepers[b].wake,
            (interval, _) => interval.is_some(),
        };
        if interval_first {
            let it = &mut self.intervals[interval?];
            let missed = (now - it.next).as_nanos() / it.every.as_nanos();
            it.next += it.every * u32::try_from(missed + 1).unwrap_or(u32::MAX);
            Some(Due::Call(it.function.clone()))
        } else {
            let it = self.sleepers.remove(sleeper?);
            Some(Due::Resume(it.thread, it.wake))
        }
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Option<Instant> {
        let intervals = self.intervals.iter().map(|it| it.next);
        intervals.chain(self.sleepers.iter().map(|it| it.wake)).min()
    }
}
