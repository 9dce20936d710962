//! The futures of replies and of other results of the server, which their callers hold.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use consort_osc::OscMessage;
use parking_lot::Mutex;

use crate::error::{Error, ErrorKind, Result};

/// The state of a [`Slot`].
#[derive(Debug)]
enum SlotState<T> {
    Waiting(Option<Waker>),
    Done(Result<T>),
    Taken,
}

/// A place for one result: filled by the I/O thread, awaited by a caller.
///
/// It is not a one-shot channel, because several parties may fill it and the first one wins: a
/// moment that cannot be sent, the reply, the deadline, and the end of the connection.
#[derive(Debug)]
pub(crate) struct Slot<T>(Mutex<SlotState<T>>);

impl<T> Slot<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(SlotState::Waiting(None))))
    }

    /// Fills the slot and wakes its waiter. Only the first call has an effect.
    pub(crate) fn fill(&self, result: Result<T>) {
        let mut state = self.0.lock();
        if let SlotState::Waiting(waker) = &mut *state {
            let waker = waker.take();
            *state = SlotState::Done(result);
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn poll(&self, task: &mut TaskContext<'_>) -> Poll<Result<T>> {
        let mut state = self.0.lock();
        match std::mem::replace(&mut *state, SlotState::Taken) {
            SlotState::Waiting(_) => {
                *state = SlotState::Waiting(Some(task.waker().clone()));
                Poll::Pending
            }
            SlotState::Done(result) => Poll::Ready(result),
            SlotState::Taken => Poll::Ready(Err(result_taken())),
        }
    }
}

fn result_taken() -> Error {
    Error::new(ErrorKind::InvalidArgument, "the result of this request was already taken")
}

/// A future of a slot's result.
#[derive(Debug)]
pub(crate) struct SlotFuture<T>(pub(crate) Arc<Slot<T>>);

impl<T> Future for SlotFuture<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        self.0.poll(task)
    }
}

/// Reads a reply as the caller's type.
type Parse<T> = Box<dyn FnOnce(&OscMessage) -> Result<T> + Send>;

/// The reply to a request: a future, and [`wait`](Pending::wait) for threads.
///
/// It always ends: with an error when the server answers `/fail`, when the deadline passes, and
/// when the server goes offline. Dropping it is harmless: the reply is then ignored.
#[must_use = "the reply is ignored unless it is awaited"]
pub struct Pending<T> {
    slot: Arc<Slot<OscMessage>>,
    parse: Option<Parse<T>>,
}

impl<T> std::fmt::Debug for Pending<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Pending")
    }
}

impl<T> Pending<T> {
    pub(crate) fn new(
        slot: Arc<Slot<OscMessage>>,
        parse: impl FnOnce(&OscMessage) -> Result<T> + Send + 'static,
    ) -> Self {
        Self { slot, parse: Some(Box::new(parse)) }
    }

    /// Blocks the calling thread until the reply arrives.
    ///
    /// # Errors
    /// [`ErrorKind::RequestFailed`], [`ErrorKind::Timeout`], [`ErrorKind::ServerOffline`] or
    /// [`ErrorKind::Protocol`].
    pub fn wait(self) -> Result<T> {
        futures_lite::future::block_on(self)
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        match self.slot.poll(task) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(result) => {
                Poll::Ready(result.and_then(|message| match self.parse.take() {
                    Some(parse) => parse(&message),
                    None => Err(result_taken()),
                }))
            }
        }
    }
}
