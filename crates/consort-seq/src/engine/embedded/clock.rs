//! What moves an engine's time: the system's clock with a thread that sleeps to the next due
//! event, or the program itself.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::ClockKind;
use super::state::State;

/// State and clock of an engine.
#[derive(Debug)]
pub(super) struct Core {
    state: Mutex<Locked>,
    clock: ClockKind,
    started: Instant,
    changed: Condvar,
}

#[derive(Debug)]
pub(super) struct Locked {
    pub(super) state: State,
    /// The moment the thread sleeps to; `None` while it waits for anything to do.
    sleeping_to: Option<u64>,
    has_thread: bool,
    stopped: bool,
}

impl Core {
    pub(super) fn new(clock: ClockKind) -> Self {
        Self {
            state: Mutex::new(Locked {
                state: State::new(),
                sleeping_to: None,
                has_thread: false,
                stopped: false,
            }),
            clock,
            started: Instant::now(),
            changed: Condvar::new(),
        }
    }

    pub(super) const fn clock(&self) -> ClockKind {
        self.clock
    }

    fn lock(&self) -> MutexGuard<'_, Locked> {
        // Every step leaves the state whole, so that a panic elsewhere does no harm here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Does something with the state, at the present moment of the clock, then shows what has
    /// changed: descriptors, and the moment the thread is to wake at.
    pub(super) fn with<R>(self: &Arc<Self>, action: impl FnOnce(&mut State) -> R) -> R {
        let mut locked = self.lock();
        if self.clock == ClockKind::Real {
            let now = self.elapsed();
            locked.state.advance_to(now);
        }
        let result = action(&mut locked.state);
        locked.state.show();
        if self.clock == ClockKind::Real
            && let Some(due) = locked.state.next_due
        {
            if !locked.has_thread {
                locked.has_thread = start(self);
            } else if locked.sleeping_to.is_none_or(|moment| due < moment) {
                self.changed.notify_one();
            }
        }
        result
    }

    /// Ends the thread.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }
}

/// Starts the thread; where the system refuses one, events are delivered late, with the next call.
fn start(core: &Arc<Core>) -> bool {
    let core = Arc::downgrade(core);
    std::thread::Builder::new().name("sequencer clock".into()).spawn(move || run(&core)).is_ok()
}

fn run(core: &Weak<Core>) {
    let Some(core) = core.upgrade() else { return };
    let mut locked = core.lock();
    while !locked.stopped {
        let now = core.elapsed();
        locked.state.advance_to(now);
        locked.state.show();
        let due = locked.state.next_due;
        locked.sleeping_to = due;
        let wait = due.map(|due| Duration::from_nanos(due.saturating_sub(core.elapsed())));
        locked = match wait {
            Some(Duration::ZERO) => locked,
            Some(wait) => core
                .changed
                .wait_timeout(locked, wait)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(locked, _)| locked),
            None => core.changed.wait(locked).unwrap_or_else(PoisonError::into_inner),
        };
    }
}
