//! What waits for an event loop or a thread: messages for callbacks, and operations that may continue.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::Wake;

use consort_sc::OscMessage;
use parking_lot::Mutex;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use rustix::event::{EventfdFlags, eventfd};

use super::values::message_object;

/// How many messages wait before the oldest are dropped.
const MAX_WAITING_MESSAGES: usize = 65_536;

/// One entry of an inbox.
enum Item {
    /// A message for the callback with this number.
    Message(u64, OscMessage),
    /// The operation with this number may continue.
    Ready(u64),
}

/// The queue behind an [`Inbox`].
pub(super) struct Queue {
    items: Mutex<VecDeque<Item>>,
    descriptor: OwnedFd,
}

impl Queue {
    fn push(&self, item: Item) {
        self.items.lock().push_back(item);
        // This fails only when the counter is full, and then the descriptor is readable anyway.
        let _ = rustix::io::write(&self.descriptor, &1u64.to_ne_bytes());
    }

    /// A descriptor that is readable while there are entries.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Adds a message for a callback.
    pub(super) fn push_message(&self, number: u64, message: OscMessage) {
        {
            let mut items = self.items.lock();
            if items.len() >= MAX_WAITING_MESSAGES {
                let oldest = items.iter().position(|item| matches!(item, Item::Message(..)));
                oldest.and_then(|index| items.remove(index));
            }
        }
        self.push(Item::Message(number, message));
    }

    /// Notes that an operation may continue.
    pub(super) fn push_ready(&self, number: u64) {
        self.push(Item::Ready(number));
    }
}

/// Wakes the event loop for an operation.
pub(super) struct QueueWaker {
    pub(super) queue: Arc<Queue>,
    pub(super) number: u64,
}

impl Wake for QueueWaker {
    fn wake(self: Arc<Self>) {
        self.queue.push_ready(self.number);
    }
}

/// The inbox of an event loop, which watches its descriptor.
#[pyclass(frozen, module = "consort_sc._core")]
pub(crate) struct Inbox(Arc<Queue>);

impl Inbox {
    pub(super) fn queue(&self) -> Arc<Queue> {
        self.0.clone()
    }
}

#[pymethods]
impl Inbox {
    #[new]
    fn new() -> PyResult<Self> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| PyOSError::new_err(format!("cannot create an inbox: {error}")))?;
        Ok(Self(Arc::new(Queue { items: Mutex::default(), descriptor })))
    }

    /// The descriptor, which is readable while there are entries.
    fn fileno(&self) -> i32 {
        self.0.descriptor.as_raw_fd()
    }

    /// Takes all entries: the number of a callback and a message, or the number of an operation and
    /// `None`.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Vec<(u64, Option<Bound<'py, PyAny>>)>> {
        let _ = rustix::io::read(&self.0.descriptor, &mut [0u8; 8]);
        let items = std::mem::take(&mut *self.0.items.lock());
        items
            .into_iter()
            .map(|item| match item {
                Item::Message(number, message) => {
                    Ok((number, Some(message_object(py, &message)?.into_any())))
                }
                Item::Ready(number) => Ok((number, None)),
            })
            .collect()
    }
}
