//! Waiting for futures through tokio's reactor.
#![allow(unsafe_code)] // tokio wants a promise about the life of the descriptors

use std::future::Future;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Instant;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::core::{Core, Direction, lock};
use super::error::{Error, Result, Subject};
use crate::engine::Connection;

struct Device(Arc<dyn Connection>);

impl AsRawFd for Device {
    fn as_raw_fd(&self) -> RawFd {
        self.0.descriptor().as_raw_fd()
    }
}

struct Closing(Arc<Core>);

impl AsRawFd for Closing {
    fn as_raw_fd(&self) -> RawFd {
        self.0.closing().as_raw_fd()
    }
}

pub(crate) struct TokioReactor {
    device: Mutex<Option<Arc<AsyncFd<Device>>>>,
    closing: AsyncFd<Closing>,
}

impl TokioReactor {
    pub(crate) fn start(core: &Arc<Core>) -> Result<Self> {
        let failed = |error: std::io::Error| {
            let errno = crate::Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
            Error::system("open", Subject::None, errno)
        };
        let device = Device(core.connection("open")?);
        let closing = Closing(Arc::clone(core));
        // SAFETY: a connection keeps its one descriptor open until it is dropped, and `Device`
        // holds the connection.
        let device = unsafe { AsyncFd::register(device) }.map_err(|error| failed(error.into()))?;
        // SAFETY: the event descriptor lives as long as the core, which `Closing` holds.
        let closing = unsafe { AsyncFd::register_with_interest(closing, Interest::READABLE) }
            .map_err(|error| failed(error.into()))?;
        Ok(Self { device: Mutex::new(Some(Arc::new(device))), closing })
    }

    /// Lets go of the connection, so that closing the client closes it.
    pub(crate) fn release(&self) {
        lock(&self.device).take();
    }

    /// Runs `attempt` until it gives something, the time is over (`None`), or it fails.
    pub(crate) async fn run<T>(
        &self,
        direction: Direction,
        until: Option<Instant>,
        mut attempt: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        loop {
            if let Some(value) = attempt()? {
                return Ok(Some(value));
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(None);
            }
            let Some(device) = lock(&self.device).clone() else {
                // Closed: the next attempt says so.
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
                match until {
                    Some(until) => tokio::time::sleep_until(until.into()).await,
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
                // Tokio hears of changes only: its readiness is cleared where the attempt
                // that follows finds nothing, and not if something came in between.
                if let Some(value) = attempt()? {
                    return Ok(Some(value));
                }
                guard.clear_ready();
            }
        }
    }
}
