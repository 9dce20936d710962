//! The classes that own a port or a queue of the sequencer.
//!
//! Only the data is here, so that events can read the numbers of ports and queues without
//! depending on clients. The methods are in `ports` and `queues`.

use std::sync::OnceLock;

use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::errors;

/// Owns a port of a client. The port is deleted with this object, or by `_close`.
#[pyclass(module = "alsa_midi._core", subclass, frozen)]
#[derive(Default)]
pub(crate) struct PortHandle {
    port: Mutex<Option<consort_seq::Port>>,
    /// Client and port; they remain after the port has been closed.
    address: OnceLock<(u8, u8)>,
}

impl PortHandle {
    /// Client and port, or `None` before the port exists.
    pub(crate) fn address(&self) -> Option<(u8, u8)> {
        self.address.get().copied()
    }

    /// Takes ownership of a port; returns its address.
    pub(crate) fn own(&self, port: consort_seq::Port) -> (u8, u8) {
        let address = *self.address.get_or_init(|| (port.client_id(), port.port_id()));
        *self.port.lock() = Some(port);
        address
    }

    /// Gives up ownership; `None` if there is no open port.
    pub(crate) fn release(&self) -> Option<consort_seq::Port> {
        self.port.lock().take()
    }
}

/// Owns a queue, or the use of another client's queue. The queue is freed or released with this
/// object, or by `_close`.
#[pyclass(module = "alsa_midi._core", subclass, frozen)]
#[derive(Default)]
pub(crate) struct QueueHandle {
    queue: Mutex<Option<consort_seq::Queue>>,
    number: OnceLock<u8>,
}

impl QueueHandle {
    /// Takes ownership of a queue; returns its number and whether it belongs to the client.
    pub(crate) fn own(&self, queue: consort_seq::Queue) -> (u8, bool) {
        let number = *self.number.get_or_init(|| queue.queue_id());
        let is_own = queue.is_own();
        *self.queue.lock() = Some(queue);
        (number, is_own)
    }

    /// Gives up ownership; `None` if there is no open queue.
    pub(crate) fn release(&self) -> Option<consort_seq::Queue> {
        self.queue.lock().take()
    }

    /// The open queue.
    pub(crate) fn queue(&self, py: Python<'_>) -> PyResult<consort_seq::Queue> {
        // The lock is released before the exception is created, because that runs Python code,
        // which may use this handle.
        let queue = self.queue.lock().clone();
        queue.ok_or_else(|| errors::state_error(py, "Already closed: the queue"))
    }

    /// The number of the open queue.
    pub(crate) fn number(&self, py: Python<'_>) -> PyResult<u8> {
        self.queue(py).map(|queue| queue.queue_id())
    }
}
