//! The threads of the callbacks, and the mailbox through which each callback gets its calls.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How many calls may wait for one callback before further ones are dropped and counted.
const MAX_WAITING_CALLS: usize = 65_536;
/// How many bytes the waiting calls of one callback may occupy.
pub(super) const MAX_WAITING_BYTES: usize = 64 << 20;
/// A thread without work exits after this long.
const THREAD_IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// A mailbox of any call type, as the pool runs it.
trait Runnable: Send + Sync {
    /// Runs calls until none waits.
    fn run(&self);
}

/// The calls that wait in a mailbox.
struct Calls<T> {
    /// Each call with the bytes that it occupies.
    queue: VecDeque<(T, usize)>,
    bytes: usize,
    /// A thread runs the calls, or will do so.
    is_scheduled: bool,
}

/// One callback and the calls that wait for it. Calls run one after another, in order.
pub(super) struct Mailbox<T> {
    calls: Mutex<Calls<T>>,
    procedure: Mutex<Box<dyn FnMut(T) + Send>>,
    dropped: AtomicU64,
}

impl<T: Send + 'static> Mailbox<T> {
    pub(super) fn new(procedure: impl FnMut(T) + Send + 'static) -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::new(Calls { queue: VecDeque::new(), bytes: 0, is_scheduled: false }),
            procedure: Mutex::new(Box::new(procedure)),
            dropped: AtomicU64::new(0),
        })
    }

    /// Adds a call that occupies `bytes`, and schedules the mailbox if no thread runs it yet.
    pub(super) fn post(self: &Arc<Self>, call: T, bytes: usize, pool: &Arc<CallbackPool>) {
        let mut calls = self.calls.lock();
        if calls.queue.len() >= MAX_WAITING_CALLS || calls.bytes + bytes > MAX_WAITING_BYTES {
            if self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!("a callback is too slow; calls to it are dropped");
            }
            return;
        }
        calls.queue.push_back((call, bytes));
        calls.bytes += bytes;
        if !std::mem::replace(&mut calls.is_scheduled, true) {
            drop(calls);
            pool.schedule(self.clone());
        }
    }

    /// How many calls were dropped because too many waited.
    #[cfg(test)]
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl<T: Send + 'static> Runnable for Mailbox<T> {
    fn run(&self) {
        loop {
            let call = {
                let mut calls = self.calls.lock();
                match calls.queue.pop_front() {
                    Some((call, bytes)) => {
                        calls.bytes -= bytes;
                        call
                    }
                    None => break calls.is_scheduled = false,
                }
            };
            let mut procedure = self.procedure.lock();
            if catch_unwind(AssertUnwindSafe(|| procedure(call))).is_err() {
                tracing::error!("a callback panicked; it remains registered");
            }
        }
    }
}

/// The queue of a pool.
#[derive(Default)]
struct PoolState {
    /// Mailboxes with calls that no thread runs yet.
    scheduled: VecDeque<Arc<dyn Runnable>>,
    idle_threads: usize,
}

/// Threads that run mailboxes. Every scheduled mailbox gets a thread at once, so that a callback
/// that blocks does not delay others; idle threads are used again before new ones are started.
#[derive(Default)]
pub(super) struct CallbackPool {
    state: Mutex<PoolState>,
    scheduled: Condvar,
}

impl CallbackPool {
    fn schedule(self: &Arc<Self>, mailbox: Arc<dyn Runnable>) {
        let mut state = self.state.lock();
        state.scheduled.push_back(mailbox);
        if state.idle_threads >= state.scheduled.len() {
            drop(state);
            self.scheduled.notify_one();
            return;
        }
        drop(state);
        let pool = self.clone();
        let spawned = std::thread::Builder::new()
            .name("consort-sc-call".into())
            .spawn(move || pool.run_thread());
        if let Err(error) = spawned {
            tracing::error!(%error, "cannot start a thread for callbacks; their calls are delayed");
        }
    }

    fn run_thread(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(mailbox) = state.scheduled.pop_front() {
                drop(state);
                mailbox.run();
                state = self.state.lock();
                continue;
            }
            state.idle_threads += 1;
            let wait = self.scheduled.wait_for(&mut state, THREAD_IDLE_TIMEOUT);
            state.idle_threads -= 1;
            if wait.timed_out() && state.scheduled.is_empty() {
                return;
            }
        }
    }
}
