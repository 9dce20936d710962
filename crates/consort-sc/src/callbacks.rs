//! Callbacks for messages and for the server's life.
//!
//! Callbacks run on threads of their own, never on the I/O thread: one that blocks, panics or
//! makes requests (also requests that wait) holds up nobody. Calls of one callback come one
//! after another, in order; different callbacks may run at the same time.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use consort_osc::{OscMessage, OscValue};

use crate::lifecycle::LifecycleEvent;
use crate::requests::starts_with;
use crate::wire::weight;

/// Calls that may wait for one callback before further ones are dropped and counted.
const MAILBOX_CAPACITY: usize = 65_536;
/// Bytes that they may take.
const MAILBOX_BYTES: usize = 64 << 20;
/// A thread without work ends after this long.
const IDLE: Duration = Duration::from_secs(5);

trait Runnable: Send + Sync {
    fn run(&self);
}

/// Calls that wait.
struct Calls<T> {
    /// Each with the bytes that it takes.
    queue: VecDeque<(T, usize)>,
    bytes: usize,
    /// A thread sees to them.
    is_running: bool,
}

/// The calls that wait for one callback.
struct Mailbox<T> {
    calls: Mutex<Calls<T>>,
    procedure: Mutex<Box<dyn FnMut(T) + Send>>,
    dropped: AtomicU64,
}

impl<T: Send + 'static> Mailbox<T> {
    fn new(procedure: impl FnMut(T) + Send + 'static) -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::new(Calls { queue: VecDeque::new(), bytes: 0, is_running: false }),
            procedure: Mutex::new(Box::new(procedure)),
            dropped: AtomicU64::new(0),
        })
    }

    fn post(self: &Arc<Self>, call: T, bytes: usize, workers: &Arc<Workers>) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.queue.len() >= MAILBOX_CAPACITY || calls.bytes + bytes > MAILBOX_BYTES {
            if self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!("a callback is too slow; calls of it are dropped");
            }
            return;
        }
        calls.queue.push_back((call, bytes));
        calls.bytes += bytes;
        if !std::mem::replace(&mut calls.is_running, true) {
            drop(calls);
            workers.add(self.clone());
        }
    }
}

impl<T: Send + 'static> Runnable for Mailbox<T> {
    fn run(&self) {
        loop {
            let call = {
                let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
                match calls.queue.pop_front() {
                    Some((call, bytes)) => {
                        calls.bytes -= bytes;
                        call
                    }
                    None => break calls.is_running = false,
                }
            };
            let mut procedure = self.procedure.lock().unwrap_or_else(PoisonError::into_inner);
            if catch_unwind(AssertUnwindSafe(|| procedure(call))).is_err() {
                tracing::error!("a callback panicked; it stays registered");
            }
        }
    }
}

#[derive(Default)]
struct WorkerState {
    ready: VecDeque<Arc<dyn Runnable>>,
    idle: usize,
    running: usize,
}

/// Threads that run mailboxes: as many as there are mailboxes with calls, made when needed.
#[derive(Default)]
pub(crate) struct Workers {
    state: Mutex<WorkerState>,
    changed: Condvar,
}

impl Workers {
    fn add(self: &Arc<Self>, mailbox: Arc<dyn Runnable>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ready.push_back(mailbox);
        if state.idle >= state.ready.len() {
            drop(state);
            self.changed.notify_one();
            return;
        }
        state.running += 1;
        drop(state);
        let workers = self.clone();
        let spawned = std::thread::Builder::new()
            .name("consort-sc-call".into())
            .spawn(move || workers.work());
        if let Err(error) = spawned {
            tracing::error!(%error, "cannot start a thread for callbacks; they wait");
            self.state.lock().unwrap_or_else(PoisonError::into_inner).running -= 1;
        }
    }

    fn work(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(mailbox) = state.ready.pop_front() {
                drop(state);
                mailbox.run();
                state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.idle += 1;
            let (next, waited) =
                self.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = next;
            state.idle -= 1;
            if waited.timed_out() && state.ready.is_empty() {
                state.running -= 1;
                // For whoever waits for all calls to be over.
                self.changed.notify_all();
                return;
            }
        }
    }
}

/// What a callback for messages waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct OscPattern {
    /// The address.
    pub address: String,
    /// The leading arguments.
    pub arguments: Vec<OscValue>,
}

impl OscPattern {
    /// Messages to `address` that begin with `arguments`.
    pub fn new(address: impl Into<String>, arguments: impl Into<Vec<OscValue>>) -> Self {
        Self { address: address.into(), arguments: arguments.into() }
    }

    fn matches(&self, message: &OscMessage) -> bool {
        self.address == message.address && starts_with(&message.arguments, &self.arguments)
    }
}

impl From<&str> for OscPattern {
    fn from(address: &str) -> Self {
        Self::new(address, [])
    }
}

struct OscEntry {
    id: u64,
    pattern: OscPattern,
    failure_pattern: Option<OscPattern>,
    once: bool,
    mailbox: Arc<Mailbox<OscMessage>>,
}

struct LifecycleEntry {
    id: u64,
    events: Vec<LifecycleEvent>,
    once: bool,
    mailbox: Arc<Mailbox<LifecycleEvent>>,
}

#[derive(Default)]
struct Entries {
    next_id: u64,
    osc: Vec<OscEntry>,
    lifecycle: Vec<LifecycleEntry>,
}

/// All callbacks of one server.
#[derive(Default)]
pub(crate) struct CallbackRegistry {
    entries: Mutex<Entries>,
    workers: Arc<Workers>,
}

impl std::fmt::Debug for CallbackRegistry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CallbackRegistry")
    }
}

/// A registered callback. Dropping the handle leaves it registered.
#[derive(Clone, Debug)]
pub struct CallbackHandle {
    registry: Weak<CallbackRegistry>,
    id: u64,
}

impl CallbackHandle {
    /// Ends the callback; calls that wait already may still come.
    pub fn unregister(&self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.unregister(self.id);
        }
    }
}

impl CallbackRegistry {
    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn register_osc(
        self: &Arc<Self>,
        pattern: OscPattern,
        failure_pattern: Option<OscPattern>,
        once: bool,
        procedure: impl FnMut(OscMessage) + Send + 'static,
    ) -> CallbackHandle {
        let mailbox = Mailbox::new(procedure);
        let mut entries = self.lock();
        let id = entries.next_id;
        entries.next_id += 1;
        entries.osc.push(OscEntry { id, pattern, failure_pattern, once, mailbox });
        CallbackHandle { registry: Arc::downgrade(self), id }
    }

    pub(crate) fn register_lifecycle(
        self: &Arc<Self>,
        events: Vec<LifecycleEvent>,
        once: bool,
        procedure: impl FnMut(LifecycleEvent) + Send + 'static,
    ) -> CallbackHandle {
        let mailbox = Mailbox::new(procedure);
        let mut entries = self.lock();
        let id = entries.next_id;
        entries.next_id += 1;
        entries.lifecycle.push(LifecycleEntry { id, events, once, mailbox });
        CallbackHandle { registry: Arc::downgrade(self), id }
    }

    fn unregister(&self, id: u64) {
        let mut entries = self.lock();
        entries.osc.retain(|entry| entry.id != id);
        entries.lifecycle.retain(|entry| entry.id != id);
    }

    /// Posts a message to whoever wants it. True if one wanted it as its failure.
    pub(crate) fn message(&self, message: &OscMessage) -> bool {
        let mut entries = self.lock();
        let mut claimed = false;
        let workers = &self.workers;
        entries.osc.retain(|entry| {
            let failed =
                entry.failure_pattern.as_ref().is_some_and(|failure| failure.matches(message));
            if !failed && !entry.pattern.matches(message) {
                return true;
            }
            claimed |= failed || message.address == "/fail";
            entry.mailbox.post(message.clone(), weight(message), workers);
            !entry.once
        });
        claimed
    }

    pub(crate) fn lifecycle(&self, event: LifecycleEvent) {
        let mut entries = self.lock();
        let workers = &self.workers;
        entries.lifecycle.retain(|entry| {
            if !entry.events.contains(&event) {
                return true;
            }
            entry.mailbox.post(event, 0, workers);
            !entry.once
        });
    }
}

/// Turns a callback that returns a future into one that a thread can run.
pub(crate) fn blocking<T, F: Future<Output = ()> + Send>(
    mut procedure: impl FnMut(T) -> F + Send,
) -> impl FnMut(T) + Send {
    move |argument| futures_lite::future::block_on(procedure(argument))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn message(id: i32) -> OscMessage {
        OscMessage::new("/tr", [1.into(), id.into()])
    }

    #[test]
    fn a_callback_that_blocks_or_panics_harms_nobody() {
        let registry = Arc::new(CallbackRegistry::default());
        let (release, released) = mpsc::channel::<()>();
        let (told, tell) = mpsc::channel();
        registry.register_osc("/tr".into(), None, false, move |_| {
            let _ = released.recv();
        });
        registry.register_osc("/tr".into(), None, false, |_| panic!("expected in this test"));
        registry.register_osc("/tr".into(), None, false, move |message| {
            told.send(message.arguments[1].as_i32().unwrap()).unwrap();
        });
        for id in 0..100 {
            registry.message(&message(id));
        }
        let seen: Vec<i32> = (0..100).map(|_| tell.recv_timeout(PATIENCE).unwrap()).collect();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        drop(release);
    }

    #[test]
    fn a_callback_that_does_not_keep_up_with_large_messages_holds_so_many_bytes() {
        let registry = Arc::new(CallbackRegistry::default());
        let (release, released) = mpsc::channel::<()>();
        let (told, tell) = mpsc::channel();
        registry.register_osc("/blob".into(), None, false, move |_| {
            told.send(()).unwrap();
            let _ = released.recv();
        });
        let large = OscMessage::new("/blob", [vec![0; MAILBOX_BYTES / 8].into()]);
        registry.message(&large);
        tell.recv_timeout(PATIENCE).unwrap();
        // One is in the callback's hands; seven fit, with what else a message takes.
        (0..99).for_each(|_| assert!(!registry.message(&large)));
        assert_eq!(registry.lock().osc[0].mailbox.dropped.load(Ordering::Relaxed), 92);
        drop(release);
        (0..7).for_each(|_| tell.recv_timeout(PATIENCE).unwrap());
        // There is room again.
        registry.message(&large);
        tell.recv_timeout(PATIENCE).unwrap();
    }

    #[test]
    fn once_leading_arguments_failure_patterns_and_unregister() {
        let registry = Arc::new(CallbackRegistry::default());
        let (told, tell) = mpsc::channel();
        let again = told.clone();
        registry.register_osc(
            OscPattern::new("/done", ["/b_alloc".into()]),
            Some(OscPattern::new("/fail", ["/b_alloc".into()])),
            true,
            move |message| told.send(message.address).unwrap(),
        );
        assert!(!registry.message(&OscMessage::new("/done", ["/b_free".into()])));
        assert!(registry.message(&OscMessage::new("/fail", ["/b_alloc".into()])));
        assert!(!registry.message(&OscMessage::new("/fail", ["/b_alloc".into()])));
        assert_eq!(tell.recv_timeout(PATIENCE).unwrap(), "/fail");
        let handle = registry.register_lifecycle(
            vec![LifecycleEvent::Booting, LifecycleEvent::Quit],
            false,
            move |event| again.send(event.to_string()).unwrap(),
        );
        registry.lifecycle(LifecycleEvent::Booting);
        registry.lifecycle(LifecycleEvent::Booted);
        registry.lifecycle(LifecycleEvent::Quit);
        assert_eq!(tell.recv_timeout(PATIENCE).unwrap(), "BOOTING");
        assert_eq!(tell.recv_timeout(PATIENCE).unwrap(), "QUIT");
        handle.unregister();
        registry.lifecycle(LifecycleEvent::Quit);
        assert!(registry.lock().osc.is_empty() && registry.lock().lifecycle.is_empty());
    }
}
