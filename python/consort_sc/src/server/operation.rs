//! Operations that wait for the server: for a thread, or for an event loop.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use consort_sc::{OscMessage, QueryTreeGroup, Result};
use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::inbox::{Inbox, QueueWaker};
use super::values::{exception, message_object, tree_object};

/// How often a thread that waits looks for signals, such as that of Ctrl-C.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(20);

/// The result of an operation.
pub(super) enum Outcome {
    Nothing,
    Message(OscMessage),
    Tree(QueryTreeGroup),
}

impl Outcome {
    fn object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Outcome::Nothing => Ok(py.None().into_bound(py)),
            Outcome::Message(message) => Ok(message_object(py, message)?.into_any()),
            Outcome::Tree(tree) => tree_object(py, tree),
        }
    }
}

/// An operation that is under way.
type Work = Pin<Box<dyn Future<Output = Result<Outcome>> + Send>>;

/// An operation that is under way. It does nothing until it is waited for or polled.
#[pyclass(frozen, module = "consort_sc._core")]
pub(crate) struct Operation(Mutex<Option<Work>>);

impl Operation {
    pub(super) fn new(work: impl Future<Output = Result<Outcome>> + Send + 'static) -> Self {
        Self(Mutex::new(Some(Box::pin(work))))
    }
}

/// Wakes a thread that waits.
struct ThreadWaker(Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls until the operation is done, for at most [`SIGNAL_INTERVAL`].
fn wait_for_interval(work: &mut Work, waker: &Waker) -> Option<Result<Outcome>> {
    let deadline = Instant::now() + SIGNAL_INTERVAL;
    loop {
        if let Poll::Ready(result) = work.as_mut().poll(&mut Context::from_waker(waker)) {
            return Some(result);
        }
        std::thread::park_timeout(deadline.checked_duration_since(Instant::now())?);
    }
}

fn already_awaited() -> PyErr {
    PyRuntimeError::new_err("the operation was awaited before")
}

#[pymethods]
impl Operation {
    /// Blocks until the operation is done. Other threads run meanwhile, and signals end it.
    fn wait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut work = self.0.lock().take().ok_or_else(already_awaited)?;
        let waker = Waker::from(Arc::new(ThreadWaker(std::thread::current())));
        loop {
            match py.detach(|| wait_for_interval(&mut work, &waker)) {
                Some(result) => {
                    return result.map_err(|error| exception(&error))?.object(py);
                }
                None => py.check_signals()?,
            }
        }
    }

    /// Continues the operation: whether it is done, and its result. Otherwise the inbox gets the
    /// number when it may continue.
    fn poll<'py>(
        &self,
        py: Python<'py>,
        inbox: &Bound<'_, Inbox>,
        number: u64,
    ) -> PyResult<(bool, Option<Bound<'py, PyAny>>)> {
        let mut work = self.0.lock();
        let future = work.as_mut().ok_or_else(already_awaited)?;
        let waker = Waker::from(Arc::new(QueueWaker { queue: inbox.get().queue(), number }));
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => Ok((false, None)),
            Poll::Ready(result) => {
                *work = None;
                Ok((true, Some(result.map_err(|error| exception(&error))?.object(py)?)))
            }
        }
    }
}
