//! Events for other threads: a bounded queue with a descriptor that is readable while it holds
//! events.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use consort_osc::OscMessage;
use parking_lot::{Condvar, Mutex};

use crate::lifecycle::LifecycleEvent;
use crate::output::SynthDefRefusal;
use crate::queries::FailInfo;
use crate::wire::{arguments_weight, weight};

/// Something that happened at a server.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The server's lifecycle continued.
    Lifecycle(LifecycleEvent),
    /// The server sent a message.
    Message(OscMessage),
    /// The server rejected a request whose reply is not awaited.
    Fail(FailInfo),
    /// The process that this client started printed a line.
    ProcessOutput(String),
    /// A request is probably a mistake, such as one with an unknown control; or the server printed
    /// a warning. The same warning is reported once for each connection.
    Warning(String),
    /// The server refused a SynthDef that was sent without waiting for it. One that is waited for
    /// ([`Server::install_synthdefs`](crate::Server::install_synthdefs)) is reported to the caller.
    ///
    /// This needs the output of the server, so that it is reported only to the client that started
    /// the server.
    SynthDefRefused(SynthDefRefusal),
}

/// The events that a receiver gets, in addition to lifecycle events, failures, warnings and refused
/// SynthDefs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Messages with these addresses.
    pub addresses: Vec<String>,
    /// All messages, but those of `except`.
    pub all_messages: bool,
    /// With `all_messages`: messages with these addresses are left out, unless `addresses` has
    /// them. Replies to the requests of the library are frequent and wake the receiver.
    pub except: Vec<String>,
    /// The output of the process.
    pub process_output: bool,
}

impl EventFilter {
    /// A filter for messages with these addresses.
    pub fn addresses<S: Into<String>>(addresses: impl IntoIterator<Item = S>) -> Self {
        Self { addresses: addresses.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

impl Event {
    /// About how many bytes of memory the event occupies.
    fn weight(&self) -> usize {
        match self {
            Event::Lifecycle(_) => 0,
            Event::Message(message) => weight(message),
            Event::Fail(fail) => {
                fail.command.len() + fail.reason.len() + arguments_weight(&fail.other)
            }
            Event::ProcessOutput(text) | Event::Warning(text) => text.len(),
            Event::SynthDefRefused(refusal) => refusal.name.as_ref().map_or(0, String::len),
        }
    }
}

/// How many events a queue holds before it drops the oldest.
const MAX_QUEUED_EVENTS: usize = 65_536;
/// How many bytes the events of a queue may occupy before it drops the oldest.
const MAX_QUEUED_BYTES: usize = 64 << 20;

/// The events of a receiver.
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

/// The sending end of an [`EventReceiver`].
#[derive(Debug)]
pub(crate) struct EventQueue {
    filter: EventFilter,
    queue: Mutex<Queue>,
    arrived: Condvar,
    descriptor: Option<OwnedFd>,
}

impl EventQueue {
    /// Whether the receiver gets this event.
    pub(crate) fn accepts(&self, event: &Event) -> bool {
        match event {
            Event::Message(message) => {
                let EventFilter { addresses, all_messages, except, .. } = &self.filter;
                addresses.contains(&message.address)
                    || (*all_messages && !except.contains(&message.address))
            }
            Event::ProcessOutput(_) => self.filter.process_output,
            _ => true,
        }
    }

    /// Adds an event and wakes the receiver.
    pub(crate) fn push(&self, event: Event) {
        let mut queue = self.queue.lock();
        queue.bytes += event.weight();
        queue.events.push_back(event);
        while queue.events.len() > MAX_QUEUED_EVENTS || queue.bytes > MAX_QUEUED_BYTES {
            queue.pop();
            queue.dropped += 1;
        }
        drop(queue);
        self.arrived.notify_one();
        if let Some(descriptor) = &self.descriptor {
            // This fails only when the counter is full, and then the descriptor is readable anyway.
            let _ = rustix::io::write(descriptor, &1u64.to_ne_bytes());
        }
    }
}

/// Receives events. It holds the newest 65,536 events, and at most 64 MiB of them; older ones are
/// dropped and counted.
#[derive(Debug)]
pub struct EventReceiver(Arc<EventQueue>);

impl EventReceiver {
    /// A receiver and the queue that is to be filled.
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

    /// The next event, if one has arrived. Never blocks.
    pub fn try_next(&self) -> Option<Event> {
        let mut queue = self.0.queue.lock();
        let event = queue.pop();
        if queue.events.is_empty()
            && let Some(descriptor) = &self.0.descriptor
        {
            let _ = rustix::io::read(descriptor, &mut [0u8; 8]);
        }
        event
    }

    /// The next event. Blocks the calling thread until one arrives, for at most `timeout`
    /// ([`Duration::MAX`]: without a limit).
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
            let mut queue = self.0.queue.lock();
            if queue.events.is_empty() {
                self.0.arrived.wait_for(&mut queue, left);
            }
        }
    }

    /// A descriptor that is readable while events wait, for `poll` and similar calls; `None` if the
    /// system could not create one.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.descriptor.as_ref().map(AsFd::as_fd)
    }

    /// How many events were dropped because the receiver was too slow.
    pub fn dropped(&self) -> u64 {
        self.0.queue.lock().dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_for_all_messages_has_exceptions() {
        let filter = EventFilter {
            addresses: vec!["/n_go".into()],
            all_messages: true,
            except: vec!["/synced".into(), "/n_go".into()],
            process_output: false,
        };
        let (_receiver, queue) = EventReceiver::new(filter);
        let accepts = |address: &str| queue.accepts(&Event::Message(OscMessage::new(address, [])));
        assert!(accepts("/beat") && accepts("/n_go") && !accepts("/synced"));
    }

    #[test]
    fn a_full_queue_drops_the_oldest_events_by_count_and_by_bytes() {
        let filter = EventFilter { all_messages: true, ..EventFilter::default() };
        let (receiver, queue) = EventReceiver::new(filter);
        let large = Event::Message(OscMessage::new("/blob", [vec![0; 1 << 20].into()]));
        (0..100).for_each(|_| queue.push(large.clone()));
        // Each occupies a little more than its blob.
        assert_eq!(receiver.dropped(), 37);
        assert_eq!(std::iter::from_fn(|| receiver.try_next()).count(), 63);
        let small = Event::Message(OscMessage::new("/tr", [1.into()]));
        (0..MAX_QUEUED_EVENTS + 5).for_each(|_| queue.push(small.clone()));
        assert_eq!(receiver.dropped(), 42);
        // A timeout beyond the range of the clock is accepted.
        assert!(receiver.next_timeout(Duration::MAX).is_some());
    }
}
