//! The clock of an embedded engine: the system's clock with a thread that sleeps until the next
//! event is due, or a virtual clock that the program advances.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::state::State;

/// The clock of an embedded sequencer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClockKind {
    /// The system's monotonic clock. A thread sleeps until the next event is due; it is started
    /// when the first event is scheduled.
    Real,
    /// Time passes only in [`Embedded::advance`](super::Embedded::advance),
    /// [`Embedded::advance_to_next`](super::Embedded::advance_to_next) and
    /// [`Embedded::run_until_idle`](super::Embedded::run_until_idle).
    Virtual,
}

/// State and clock of an engine.
#[derive(Debug)]
pub(super) struct Core {
    state: Mutex<Locked>,
    clock: ClockKind,
    started: Instant,
    changed: Condvar,
}

/// What the engine's lock protects.
#[derive(Debug)]
struct Locked {
    state: State,
    /// The moment until which the thread sleeps; `None` while no event is scheduled.
    sleeping_until: Option<u64>,
    has_thread: bool,
    stopped: bool,
}

impl Core {
    pub(super) fn new(clock: ClockKind) -> Self {
        Self {
            state: Mutex::new(Locked {
                state: State::new(),
                sleeping_until: None,
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

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Calls `action` with the state at the present moment of the clock. Afterwards, updates the
    /// descriptors, and wakes the thread if an event has become due earlier.
    pub(super) fn with<R>(self: &Arc<Self>, action: impl FnOnce(&mut State) -> R) -> R {
        let mut locked = self.state.lock();
        if self.clock == ClockKind::Real {
            let now = self.elapsed();
            locked.state.advance_to(now);
        }
        let result = action(&mut locked.state);
        locked.state.update_descriptors();
        if self.clock == ClockKind::Real
            && let Some(due) = locked.state.next_due
        {
            if !locked.has_thread {
                locked.has_thread = start(self);
            } else if locked.sleeping_until.is_none_or(|moment| due < moment) {
                self.changed.notify_one();
            }
        }
        result
    }

    /// Stops the thread.
    pub(super) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }
}

/// Starts the thread; whether that succeeded. Without the thread, events are delivered late, with
/// the next call.
fn start(core: &Arc<Core>) -> bool {
    let core = Arc::downgrade(core);
    std::thread::Builder::new().name("sequencer clock".into()).spawn(move || run(&core)).is_ok()
}

fn run(core: &Weak<Core>) {
    let Some(core) = core.upgrade() else { return };
    let mut locked = core.state.lock();
    while !locked.stopped {
        let now = core.elapsed();
        locked.state.advance_to(now);
        locked.state.update_descriptors();
        let due = locked.state.next_due;
        locked.sleeping_until = due;
        match due.map(|due| Duration::from_nanos(due.saturating_sub(core.elapsed()))) {
            Some(Duration::ZERO) => {}
            Some(wait) => {
                core.changed.wait_for(&mut locked, wait);
            }
            None => core.changed.wait(&mut locked),
        }
    }
}
