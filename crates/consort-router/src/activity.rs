//! What the event loop is doing, for a thread that watches it.
//!
//! The loop stores one word when a turn begins and ends, and when it calls an instance. A watching
//! thread compares that word with the one of a second ago. While the loop waits for events, the
//! watching thread sleeps, so that an idle show does not wake up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::router::{Handle, Samples};

/// In place of an instance's slot: the loop waits, or does its own work.
const WAITING: u32 = 0;
const ROUTER: u32 = 1;
const FIRST_SLOT: u32 = 2;

/// How long a watching thread sleeps at most while the loop waits: a turn that begins just when the
/// thread falls asleep may not wake it.
const MAX_SLEEP: Duration = Duration::from_secs(10);

/// The word that the loop stores: the number of the turn, and what it is doing.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    word: AtomicU64,
    /// A watching thread sleeps until the next turn.
    is_asleep: AtomicBool,
    watcher: Mutex<Option<Thread>>,
}

impl Activity {
    /// A turn begins.
    #[inline]
    pub(crate) fn begin_turn(&self) {
        let turn = (self.word.load(Ordering::Relaxed) >> 32).wrapping_add(1);
        self.word.store(turn << 32 | u64::from(ROUTER), Ordering::Relaxed);
        if self.is_asleep.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    /// The loop calls the instance in a slot.
    #[inline]
    pub(crate) fn enter(&self, slot: usize) {
        let turn = self.word.load(Ordering::Relaxed) & !u64::from(u32::MAX);
        self.word.store(turn | (slot as u64 + u64::from(FIRST_SLOT)), Ordering::Relaxed);
    }

    /// A turn has ended; the loop waits for events.
    #[inline]
    pub(crate) fn end_turn(&self) {
        let turn = self.word.load(Ordering::Relaxed) & !u64::from(u32::MAX);
        self.word.store(turn | u64::from(WAITING), Ordering::Relaxed);
    }

    /// Wakes the watching thread.
    #[cold]
    pub(crate) fn wake(&self) {
        self.is_asleep.store(false, Ordering::Relaxed);
        if let Some(thread) = &*self.watcher.lock() {
            thread.unpark();
        }
    }

    /// The turn, and what the loop does in it.
    fn read(&self) -> (u32, u32) {
        let word = self.word.load(Ordering::Relaxed);
        ((word >> 32) as u32, word as u32)
    }

    /// Sleeps while the loop waits for events.
    fn sleep(&self) {
        self.is_asleep.store(true, Ordering::SeqCst);
        if self.read().1 == WAITING {
            std::thread::park_timeout(MAX_SLEEP);
        }
        self.is_asleep.store(false, Ordering::Relaxed);
    }
}

/// An event loop that does not turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stall {
    /// One turn takes longer than the limit; the name of the instance that is being called, none
    /// for the router itself or what instances share.
    Begun(Option<String>),
    /// The loop turns again; how long that turn took, as precisely as the limit.
    Ended(Duration),
}

impl Handle {
    /// Watches the event loop until the show has stopped, and reports turns that take longer than
    /// `limit`. It also finds channels that hear from outside what they send; the router then limits
    /// them to 1,000 values per second and logs their names. Blocks: for a thread of its own, one for each show. While the show is idle, the
    /// thread wakes up once in ten seconds.
    pub fn watch(&self, limit: Duration, mut report: impl FnMut(Stall)) {
        let activity = self.activity();
        *activity.watcher.lock() = Some(std::thread::current());
        let mut seen = (0, WAITING);
        let mut since = Instant::now();
        let mut is_stalled = false;
        let mut samples = Samples::default();
        while !self.has_ended() {
            let (turn, work) = activity.read();
            if work == WAITING || turn != seen.0 {
                if std::mem::take(&mut is_stalled) {
                    report(Stall::Ended(since.elapsed()));
                }
                since = Instant::now();
            } else if !is_stalled && since.elapsed() >= limit {
                is_stalled = true;
                let live = self.live();
                let slot = work.checked_sub(FIRST_SLOT);
                let id = slot.and_then(|slot| live.instance_in(slot));
                report(Stall::Begun(id.map(|id| live.instance_name(id).to_owned())));
            }
            seen = (turn, work);
            samples.take(self);
            if work == WAITING {
                activity.sleep();
            } else {
                std::thread::park_timeout(limit);
            }
        }
    }
}
