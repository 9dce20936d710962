//! Events for other threads: a bounded queue with a descriptor that becomes readable.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use consort_osc::OscMessage;

use crate::lifecycle::LifecycleEvent;
use crate::queries::FailInfo;
use crate::wire::{arguments_weight, weight};

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The server's life went on.
    Lifecycle(LifecycleEvent),
    /// The server sent a message.
    Message(OscMessage),
    /// The server refused a request that nobody waits for.
    Fail(FailInfo),
    /// The server's process, which this client started, printed a line.
    ProcessOutput(String),
    /// Something is probably a mistake, such as the name of a control.
    Warning(String),
}

/// Which events a receiver wants; lifecycle, failures and warnings always come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Addresses of messages that are wanted.
    pub addresses: Vec<String>,
    /// Every message is wanted.
    pub all_messages: bool,
    /// What the process prints is wanted.
    pub process_output: bool,
}

impl EventFilter {
    /// Messages of these addresses.
    pub fn addresses<S: Into<String>>(addresses: impl IntoIterator<Item = S>) -> Self {
        Self { addresses: addresses.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

impl Event {
    fn weight(&self) -> usize {
        match self {
            Event::Lifecycle(_) => 0,
            Event::Message(message) => weight(message),
            Event::Fail(fail) => {
                fail.command.len() + fail.reason.len() + arguments_weight(&fail.other)
            }
            Event::ProcessOutput(text) | Event::Warning(text) => text.len(),
        }
    }
}

const CAPACITY: usize = 65_536;
/// Bytes that the events of a queue may take; few of them need so much.
const CAPACITY_BYTES: usize = 64 << 20;

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    bytes: usize,
    dropped: u64,
}

impl Queue {
    fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.bytes -= event.weight();
        Some(event)
    }
}

#[derive(Debug)]
pub(crate) struct EventQueue {
    filter: EventFilter,
    queue: Mutex<Queue>,
    arrived: Condvar,
    descriptor: Option<OwnedFd>,
}

impl EventQueue {
    pub(crate) fn wants(&self, event: &Event) -> bool {
        match event {
            Event::Message(message) => {
                self.filter.all_messages || self.filter.addresses.contains(&message.address)
            }
            Event::ProcessOutput(_) => self.filter.process_output,
            _ => true,
        }
    }

    pub(crate) fn push(&self, event: Event) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.bytes += event.weight();
        queue.events.push_back(event);
        while queue.events.len() > CAPACITY || queue.bytes > CAPACITY_BYTES {
            queue.pop();
            queue.dropped += 1;
        }
        drop(queue);
        self.arrived.notify_one();
        if let Some(descriptor) = &self.descriptor {
            // Only fails when the counter is full, which is as readable as it gets.
            let _ = rustix::io::write(descriptor, &1u64.to_ne_bytes());
        }
    }
}

/// Receives events. Holds the newest 65,536, and at most 64 MiB of them; what is older is dropped
/// and counted.
#[derive(Debug)]
pub struct EventReceiver(Arc<EventQueue>);

impl EventReceiver {
    pub(crate) fn new(filter: EventFilter) -> (Self, Arc<EventQueue>) {
        use rustix::event::{EventfdFlags, eventfd};
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok();
        let queue = Arc::new(EventQueue {
            filter,
            queue: Mutex::default(),
            arrived: Condvar::new(),
            descriptor,
        });
        (Self(queue.clone()), queue)
    }

    /// The next event, if there is one. Never blocks.
    pub fn try_next(&self) -> Option<Event> {
        let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let event = queue.pop();
        if queue.events.is_empty()
            && let Some(descriptor) = &self.0.descriptor
        {
            let _ = rustix::io::read(descriptor, &mut [0u8; 8]);
        }
        event
    }

    /// The next event; blocks for at most `timeout` ([`Duration::MAX`]: until there is one).
    pub fn next_timeout(&self, timeout: Duration) -> Option<Event> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if let Some(event) = self.try_next() {
                return Some(event);
            }
            let left = match deadline {
                Some(deadline) => deadline.checked_duration_since(Instant::now())?,
                None => timeout,
            };
            let queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
            if queue.events.is_empty() {
                drop(self.0.arrived.wait_timeout(queue, left));
            }
        }
    }

    /// A descriptor that is readable while there are events, for `poll` and its kin; `None` if
    /// the system had none to give.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.descriptor.as_ref().map(AsFd::as_fd)
    }

    /// How many events were dropped because nobody took them.
    pub fn dropped(&self) -> u64 {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_holds_so_many_events_and_so_many_bytes() {
        let filter = EventFilter { all_messages: true, ..EventFilter::default() };
        let (receiver, queue) = EventReceiver::new(filter);
        let large = Event::Message(OscMessage::new("/blob", [vec![0; 1 << 20].into()]));
        (0..100).for_each(|_| queue.push(large.clone()));
        // Each takes a little more than its blob.
        assert_eq!(receiver.dropped(), 37);
        assert_eq!(std::iter::from_fn(|| receiver.try_next()).count(), 63);
        let small = Event::Message(OscMessage::new("/tr", [1.into()]));
        (0..CAPACITY + 5).for_each(|_| queue.push(small.clone()));
        assert_eq!(receiver.dropped(), 42);
        // Any wait is a wait, also one that no clock can hold.
        assert!(receiver.next_timeout(Duration::MAX).is_some());
    }
}
