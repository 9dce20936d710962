//! Callbacks for messages and for lifecycle events.
//!
//! Callbacks run on threads of their own, never on the I/O thread, so that one that blocks, panics
//! or sends requests (also requests that wait) delays nothing else. Calls of one callback run one
//! after another, in order; different callbacks may run at the same time.

mod pool;

use std::future::Future;
use std::sync::{Arc, Weak};

use consort_osc::{OscMessage, OscValue};
use parking_lot::Mutex;

use crate::lifecycle::LifecycleEvent;
use crate::requests::starts_with;
use crate::wire::weight;
use pool::{CallbackPool, Mailbox};

/// The messages that a callback receives.
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

/// A callback for messages.
struct OscEntry {
    id: u64,
    pattern: OscPattern,
    failure_pattern: Option<OscPattern>,
    once: bool,
    target: Target,
}

/// Where the messages of a callback go.
enum Target {
    /// To a thread of the callbacks.
    Mailbox(Arc<Mailbox<OscMessage>>),
    /// To a procedure that runs on the I/O thread, and only queues them.
    Queue(Box<dyn FnMut(OscMessage) + Send>),
}

/// A callback for lifecycle events.
struct LifecycleEntry {
    id: u64,
    events: Vec<LifecycleEvent>,
    once: bool,
    mailbox: Arc<Mailbox<LifecycleEvent>>,
}

/// The registered callbacks.
#[derive(Default)]
struct Entries {
    next_id: u64,
    osc: Vec<OscEntry>,
    lifecycle: Vec<LifecycleEntry>,
}

/// Work of the server itself.
type Job = Box<dyn FnOnce() + Send>;

/// All callbacks of one server.
pub(crate) struct CallbackRegistry {
    entries: Mutex<Entries>,
    jobs: Arc<Mailbox<Job>>,
    pool: Arc<CallbackPool>,
}

impl Default for CallbackRegistry {
    fn default() -> Self {
        let jobs = Mailbox::new(|job: Job| job());
        Self { entries: Mutex::default(), jobs, pool: Arc::default() }
    }
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
    /// Unregisters the callback. Calls that already wait may still run.
    pub fn unregister(&self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.unregister(self.id);
        }
    }
}

impl CallbackRegistry {
    /// Registers a callback for messages that match one of the patterns; with `once`, for the first
    /// of them only.
    pub(crate) fn register_osc(
        self: &Arc<Self>,
        pattern: OscPattern,
        failure_pattern: Option<OscPattern>,
        once: bool,
        procedure: impl FnMut(OscMessage) + Send + 'static,
    ) -> CallbackHandle {
        let target = Target::Mailbox(Mailbox::new(procedure));
        self.add_osc(pattern, failure_pattern, once, target)
    }

    /// As `register_osc`, with a procedure that runs on the I/O thread.
    pub(crate) fn register_osc_queue(
        self: &Arc<Self>,
        pattern: OscPattern,
        failure_pattern: Option<OscPattern>,
        once: bool,
        procedure: impl FnMut(OscMessage) + Send + 'static,
    ) -> CallbackHandle {
        self.add_osc(pattern, failure_pattern, once, Target::Queue(Box::new(procedure)))
    }

    fn add_osc(
        self: &Arc<Self>,
        pattern: OscPattern,
        failure_pattern: Option<OscPattern>,
        once: bool,
        target: Target,
    ) -> CallbackHandle {
        let mut entries = self.entries.lock();
        let id = entries.next_id;
        entries.next_id += 1;
        entries.osc.push(OscEntry { id, pattern, failure_pattern, once, target });
        CallbackHandle { registry: Arc::downgrade(self), id }
    }

    /// Registers a callback for lifecycle events; with `once`, for the first of them only.
    pub(crate) fn register_lifecycle(
        self: &Arc<Self>,
        events: Vec<LifecycleEvent>,
        once: bool,
        procedure: impl FnMut(LifecycleEvent) + Send + 'static,
    ) -> CallbackHandle {
        let mailbox = Mailbox::new(procedure);
        let mut entries = self.entries.lock();
        let id = entries.next_id;
        entries.next_id += 1;
        entries.lifecycle.push(LifecycleEntry { id, events, once, mailbox });
        CallbackHandle { registry: Arc::downgrade(self), id }
    }

    fn unregister(&self, id: u64) {
        let mut entries = self.entries.lock();
        entries.osc.retain(|entry| entry.id != id);
        entries.lifecycle.retain(|entry| entry.id != id);
    }

    /// Runs `job` on a thread of the callbacks, after the jobs that were given before.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        self.jobs.post(Box::new(job), 0, &self.pool);
    }

    /// Posts a message to the callbacks that match it. Returns whether one of them was registered
    /// for it as a failure.
    pub(crate) fn message(&self, message: &OscMessage) -> bool {
        let mut entries = self.entries.lock();
        let mut is_claimed = false;
        let pool = &self.pool;
        entries.osc.retain_mut(|entry| {
            let is_failure =
                entry.failure_pattern.as_ref().is_some_and(|failure| failure.matches(message));
            if !is_failure && !entry.pattern.matches(message) {
                return true;
            }
            is_claimed |= is_failure || message.address == "/fail";
            match &mut entry.target {
                Target::Mailbox(mailbox) => mailbox.post(message.clone(), weight(message), pool),
                Target::Queue(procedure) => procedure(message.clone()),
            }
            !entry.once
        });
        is_claimed
    }

    /// Posts a lifecycle event to the callbacks that are registered for it.
    pub(crate) fn lifecycle(&self, event: LifecycleEvent) {
        let mut entries = self.entries.lock();
        let pool = &self.pool;
        entries.lifecycle.retain(|entry| {
            if !entry.events.contains(&event) {
                return true;
            }
            entry.mailbox.post(event, 0, pool);
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
    use std::time::Duration;

    use super::pool::MAX_WAITING_BYTES;

    /// How long a call may take on a busy machine.
    const CALL_TIMEOUT: Duration = Duration::from_secs(10);

    fn message(id: i32) -> OscMessage {
        OscMessage::new("/tr", [1.into(), id.into()])
    }

    #[test]
    fn a_callback_that_blocks_or_panics_does_not_affect_others() {
        let registry = Arc::new(CallbackRegistry::default());
        let (release, released) = mpsc::channel::<()>();
        let (sender, receiver) = mpsc::channel();
        registry.register_osc("/tr".into(), None, false, move |_| {
            let _ = released.recv();
        });
        registry.register_osc("/tr".into(), None, false, |_| panic!("expected in this test"));
        registry.register_osc("/tr".into(), None, false, move |message| {
            sender.send(message.arguments[1].as_i32().unwrap()).unwrap();
        });
        for id in 0..100 {
            registry.message(&message(id));
        }
        let received: Vec<i32> =
            (0..100).map(|_| receiver.recv_timeout(CALL_TIMEOUT).unwrap()).collect();
        assert_eq!(received, (0..100).collect::<Vec<_>>());
        drop(release);
    }

    #[test]
    fn calls_of_a_slow_callback_are_dropped_when_they_occupy_too_many_bytes() {
        let registry = Arc::new(CallbackRegistry::default());
        let (release, released) = mpsc::channel::<()>();
        let (sender, receiver) = mpsc::channel();
        registry.register_osc("/blob".into(), None, false, move |_| {
            sender.send(()).unwrap();
            let _ = released.recv();
        });
        let large = OscMessage::new("/blob", [vec![0; MAX_WAITING_BYTES / 8].into()]);
        registry.message(&large);
        receiver.recv_timeout(CALL_TIMEOUT).unwrap();
        // One call is running. Seven of an eighth fit beside the rest of a message.
        (0..99).for_each(|_| assert!(!registry.message(&large)));
        let dropped = match &registry.entries.lock().osc[0].target {
            Target::Mailbox(mailbox) => mailbox.dropped(),
            Target::Queue(_) => unreachable!("the callback was registered for a thread"),
        };
        assert_eq!(dropped, 92);
        drop(release);
        (0..7).for_each(|_| receiver.recv_timeout(CALL_TIMEOUT).unwrap());
        // There is space again.
        registry.message(&large);
        receiver.recv_timeout(CALL_TIMEOUT).unwrap();
    }

    #[test]
    fn once_leading_arguments_failure_patterns_and_unregister() {
        let registry = Arc::new(CallbackRegistry::default());
        let (sender, receiver) = mpsc::channel();
        let lifecycle_sender = sender.clone();
        registry.register_osc(
            OscPattern::new("/done", ["/b_alloc".into()]),
            Some(OscPattern::new("/fail", ["/b_alloc".into()])),
            true,
            move |message| sender.send(message.address).unwrap(),
        );
        assert!(!registry.message(&OscMessage::new("/done", ["/b_free".into()])));
        assert!(registry.message(&OscMessage::new("/fail", ["/b_alloc".into()])));
        assert!(!registry.message(&OscMessage::new("/fail", ["/b_alloc".into()])));
        assert_eq!(receiver.recv_timeout(CALL_TIMEOUT).unwrap(), "/fail");
        let handle = registry.register_lifecycle(
            vec![LifecycleEvent::Booting, LifecycleEvent::Quit],
            false,
            move |event| lifecycle_sender.send(event.to_string()).unwrap(),
        );
        registry.lifecycle(LifecycleEvent::Booting);
        registry.lifecycle(LifecycleEvent::Booted);
        registry.lifecycle(LifecycleEvent::Quit);
        assert_eq!(receiver.recv_timeout(CALL_TIMEOUT).unwrap(), "BOOTING");
        assert_eq!(receiver.recv_timeout(CALL_TIMEOUT).unwrap(), "QUIT");
        handle.unregister();
        registry.lifecycle(LifecycleEvent::Quit);
        assert!(
            registry.entries.lock().osc.is_empty() && registry.entries.lock().lifecycle.is_empty()
        );
    }
}
