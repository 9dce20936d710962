//! The thread that passes events and messages to a server without an event loop.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use consort_sc::EventReceiver;
use parking_lot::{Condvar, Mutex};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::inbox::Queue;

/// How often a thread that waits looks whether all is handled.
const IDLE_INTERVAL: Duration = Duration::from_millis(2);

/// A thread that calls `_drain_events()` of a server when there are events or messages. It ends when
/// it is dropped.
pub(super) struct Pump {
    state: Arc<PumpState>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread shares with those that wait for it.
pub(super) struct PumpState {
    events: Arc<EventReceiver>,
    inbox: Arc<Queue>,
    stop: OwnedFd,
    progress: Mutex<Progress>,
    idle: Condvar,
}

/// What the thread is doing.
#[derive(Default)]
struct Progress {
    is_busy: bool,
    thread: Option<ThreadId>,
}

impl Pump {
    pub(super) fn start(
        events: Arc<EventReceiver>,
        inbox: Arc<Queue>,
        target: Py<PyAny>,
    ) -> PyResult<Self> {
        let failed = |error: std::io::Error| {
            PyOSError::new_err(format!("cannot start the thread for events: {error}"))
        };
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| failed(error.into()))?;
        let state = Arc::new(PumpState {
            events,
            inbox,
            stop,
            progress: Mutex::default(),
            idle: Condvar::new(),
        });
        let shared = state.clone();
        let thread = std::thread::Builder::new()
            .name("consort-sc-events".to_owned())
            .spawn(move || shared.run(&target))
            .map_err(failed)?;
        state.progress.lock().thread = Some(thread.thread().id());
        Ok(Self { state, thread: Some(thread) })
    }

    pub(super) fn state(&self) -> Arc<PumpState> {
        self.state.clone()
    }
}

impl PumpState {
    /// Waits until there is something to handle, for at most `timeout`. Returns whether there is,
    /// and whether the thread has to end.
    fn poll(&self, timeout: Option<Timespec>) -> (bool, bool) {
        let Some(events) = self.events.descriptor() else { return (false, true) };
        let mut descriptors = [
            PollFd::from_borrowed_fd(events, PollFlags::IN),
            PollFd::from_borrowed_fd(self.inbox.descriptor(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN),
        ];
        match poll(&mut descriptors, timeout.as_ref()) {
            Ok(_) => {
                let has = |index: usize| !descriptors[index].revents().is_empty();
                (has(0) || has(1), has(2))
            }
            Err(rustix::io::Errno::INTR) => (false, false),
            Err(_) => (false, true),
        }
    }

    fn run(&self, target: &Py<PyAny>) {
        loop {
            let (is_ready, is_stopped) = self.poll(None);
            if is_stopped {
                return;
            }
            if !is_ready {
                continue;
            }
            self.progress.lock().is_busy = true;
            // `None` while the interpreter shuts down.
            let called = Python::try_attach(|py| {
                let Ok(server) = target.call0(py) else { return false };
                if server.is_none(py) {
                    return false;
                }
                if let Err(error) = server.call_method0(py, "_drain_events") {
                    error.write_unraisable(py, Some(server.bind(py)));
                }
                true
            });
            self.progress.lock().is_busy = false;
            self.idle.notify_all();
            if called != Some(true) {
                return;
            }
        }
    }

    /// Waits until the thread has handled all that has arrived; false if it has not within
    /// `timeout`, or if it is the thread that calls.
    pub(super) fn wait_idle(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut progress = self.progress.lock();
        if progress.thread == Some(std::thread::current().id()) {
            return false;
        }
        loop {
            if !progress.is_busy && !self.poll(Some(Timespec { tv_sec: 0, tv_nsec: 0 })).0 {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            self.idle.wait_for(&mut progress, IDLE_INTERVAL);
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.state.stop, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}
