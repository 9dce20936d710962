//! Waking futures from tokio's reactor.
#![allow(unsafe_code)] // `AsyncFd::register` requires descriptors that stay open

use std::future::Future;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::core::{ClientCore, Direction};
use super::error::{Failure, Outcome, Subject};
use crate::engine::Connection;

/// A connection as tokio registers it.
struct Device(Arc<dyn Connection>);

impl AsRawFd for Device {
    fn as_raw_fd(&self) -> RawFd {
        self.0.descriptor().as_raw_fd()
    }
}

/// A client's closing event as tokio registers it.
struct Closing(Arc<ClientCore>);

impl AsRawFd for Closing {
    fn as_raw_fd(&self) -> RawFd {
        self.0.closing().as_raw_fd()
    }
}

/// Waits for a client through the reactor of the runtime in which it was opened.
pub(crate) struct TokioReactor {
    /// `None` once the client is closed.
    device: Mutex<Option<Arc<AsyncFd<Device>>>>,
    closing: AsyncFd<Closing>,
}

impl TokioReactor {
    pub(crate) fn start(core: &Arc<ClientCore>) -> Outcome<Self> {
        let failed = |error: std::io::Error| {
            let errno = crate::Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
            Failure::system(Subject::None, errno)
        };
        let device = Device(core.connection()?);
        let closing = Closing(Arc::clone(core));
        // SAFETY: a connection keeps its descriptor open until it is dropped, and `Device` holds
        // the connection.
        let device = unsafe { AsyncFd::register(device) }.map_err(|error| failed(error.into()))?;
        // SAFETY: the event descriptor lives as long as the core, which `Closing` holds.
        let closing = unsafe { AsyncFd::register_with_interest(closing, Interest::READABLE) }
            .map_err(|error| failed(error.into()))?;
        Ok(Self { device: Mutex::new(Some(Arc::new(device))), closing })
    }

    /// Drops the connection, so that closing the client closes it.
    pub(crate) fn release(&self) {
        self.device.lock().take();
    }

    /// Repeats `attempt` until it returns a value or fails, waiting for the direction in between.
    /// `None` if the deadline passes first.
    pub(crate) async fn run<T>(
        &self,
        direction: Direction,
        deadline: Option<Instant>,
        mut attempt: impl FnMut() -> Outcome<Option<T>>,
    ) -> Outcome<Option<T>> {
        loop {
            if let Some(value) = attempt()? {
                return Ok(Some(value));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            let Some(device) = self.device.lock().clone() else {
                // The client is closed, so this attempt returns that error.
                attempt()?;
                return Ok(None);
            };
            let interest = match direction {
                Direction::Read => Interest::READABLE,
                Direction::Write => Interest::WRITABLE,
            };
            let ready = std::pin::pin!(device.ready(interest));
            let closed = std::pin::pin!(self.closing.readable());
            let sleep = std::pin::pin!(async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            });
            let (mut ready, mut closed, mut sleep) = (ready, closed, sleep);
            let guard = std::future::poll_fn(|context| {
                if closed.as_mut().poll(context).is_ready()
                    || sleep.as_mut().poll(context).is_ready()
                {
                    return Poll::Ready(None);
                }
                ready.as_mut().poll(context).map(Some)
            })
            .await;
            if let Some(Ok(mut guard)) = guard {
                // Tokio's readiness is edge-triggered, so it must be cleared when an attempt
                // finds nothing. `clear_ready` keeps a readiness that is newer than the guard.
                if let Some(value) = attempt()? {
                    return Ok(Some(value));
                }
                guard.clear_ready();
            }
        }
    }
}
