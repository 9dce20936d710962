//! Waking futures from a thread that waits for the sequencer.

use std::future::Future;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, PollFd, PollFlags};

use super::core::{ClientCore, Direction, timespec};
use super::error::{Failure, Outcome, Subject};

/// A thread that polls the client's descriptor for the directions in which tasks wait, and wakes
/// these tasks. While no task waits, the thread sleeps.
pub(crate) struct Reactor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and the futures share.
struct Shared {
    state: Mutex<State>,
    /// An eventfd that wakes the thread when the state has changed.
    changed: OwnedFd,
}

/// The tasks that wait.
#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    /// The number of the next task.
    next_number: u64,
    /// Set when the reactor is dropped or the client is closed. No future waits any more then.
    stop: bool,
}

/// A task that waits.
struct Waiting {
    number: u64,
    /// `None` for a task that waits for the deadline only.
    direction: Option<Direction>,
    deadline: Option<Instant>,
    waker: Waker,
}

impl Shared {
    fn notify(&self) {
        // Writing fails only if the eventfd's counter is full, and then it is readable anyway.
        let _ = rustix::io::write(&self.changed, &1u64.to_ne_bytes());
    }
}

impl Reactor {
    pub(crate) fn start(core: &Arc<ClientCore>) -> Outcome<Self> {
        let failed = |errno: rustix::io::Errno| Failure::system(Subject::None, errno.into());
        let changed = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(failed)?;
        let shared = Arc::new(Shared { state: Mutex::default(), changed });
        let (core, thread_shared) = (Arc::clone(core), Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name(format!("consort-seq {}", core.client_id))
            .spawn(move || run(&core, &thread_shared))
            .map_err(|error| {
                Failure::system(Subject::None, crate::Errno::WOULD_BLOCK)
                    .with_note(format!("cannot start the client's thread: {error}"))
            })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// A future that is ready when the direction is probably ready, the deadline has passed, or
    /// the client is closed. Without a direction it waits for the deadline only.
    pub(crate) fn wait(
        &self,
        direction: Option<Direction>,
        deadline: Option<Instant>,
    ) -> impl Future<Output = ()> + Send + Unpin + use<> {
        Wait { shared: Arc::clone(&self.shared), direction, deadline, number: None }
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.shared.state.lock().stop = true;
        self.shared.notify();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // The thread can only have panicked in a waker, which is the executor's error.
            let _ = thread.join();
        }
    }
}

/// The future of [`Reactor::wait`].
struct Wait {
    shared: Arc<Shared>,
    direction: Option<Direction>,
    deadline: Option<Instant>,
    /// The task's number in [`State::waiting`], once the future has been polled.
    number: Option<u64>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.shared.state.lock();
        if state.stop {
            return Poll::Ready(());
        }
        if let Some(number) = this.number {
            return match state.waiting.iter_mut().find(|waiting| waiting.number == number) {
                Some(waiting) => {
                    waiting.waker.clone_from(context.waker());
                    Poll::Pending
                }
                None => Poll::Ready(()),
            };
        }
        let number = state.next_number;
        state.next_number += 1;
        state.waiting.push(Waiting {
            number,
            direction: this.direction,
            deadline: this.deadline,
            waker: context.waker().clone(),
        });
        this.number = Some(number);
        drop(state);
        this.shared.notify();
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.shared.state.lock().waiting.retain(|waiting| waiting.number != number);
        }
    }
}

/// What the thread waits for in one round.
struct Interest {
    flags: PollFlags,
    deadline: Option<Instant>,
}

/// The thread: waits for everything that the tasks wait for, and wakes those whose wait is over.
fn run(core: &ClientCore, shared: &Shared) {
    while let Some(interest) = next_interest(core, shared) {
        // Without a connection the client has been closed, which ends the next round.
        let Ok(connection) = core.connection() else { continue };
        let remaining = interest
            .deadline
            .map(|deadline| timespec(deadline.saturating_duration_since(Instant::now())));
        let mut polled = [
            PollFd::from_borrowed_fd(shared.changed.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(core.closing().as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(connection.descriptor(), interest.flags),
        ];
        // `poll` reports an error state of the device even if no flag is set, so the device is
        // left out while no task waits for it.
        let count = if interest.flags.is_empty() { 2 } else { 3 };
        let ready = match rustix::event::poll(&mut polled[..count], remaining.as_ref()) {
            Ok(_) => polled[2].revents(),
            Err(_) => PollFlags::empty(),
        };
        drop(connection);
        // Reading resets the eventfd; it fails if the state has not changed.
        let _ = rustix::io::read(&shared.changed, &mut [0; 8]);
        wake_ready(shared, ready);
    }
}

/// What the tasks wait for. At the end of the client or reactor, `None`; all tasks are woken then.
fn next_interest(core: &ClientCore, shared: &Shared) -> Option<Interest> {
    let mut state = shared.state.lock();
    if state.stop || core.is_closed() {
        state.stop = true;
        let wakers: Vec<Waker> = state.waiting.drain(..).map(|waiting| waiting.waker).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        return None;
    }
    let mut interest = Interest { flags: PollFlags::empty(), deadline: None };
    for waiting in &state.waiting {
        interest.flags |= match waiting.direction {
            Some(Direction::Read) => PollFlags::IN,
            Some(Direction::Write) => PollFlags::OUT,
            None => PollFlags::empty(),
        };
        interest.deadline = match (interest.deadline, waiting.deadline) {
            (Some(earliest), Some(deadline)) => Some(earliest.min(deadline)),
            (earliest, deadline) => earliest.or(deadline),
        };
    }
    Some(interest)
}

/// Wakes the tasks whose direction is ready or whose deadline has passed.
fn wake_ready(shared: &Shared, ready: PollFlags) {
    let now = Instant::now();
    let has_failed = ready.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
    let mut wakers = Vec::new();
    let mut state = shared.state.lock();
    state.waiting.retain(|waiting| {
        let is_ready = match waiting.direction {
            Some(Direction::Read) => ready.contains(PollFlags::IN) || has_failed,
            Some(Direction::Write) => ready.contains(PollFlags::OUT) || has_failed,
            None => false,
        };
        let is_over = is_ready || waiting.deadline.is_some_and(|deadline| deadline <= now);
        if is_over {
            wakers.push(waiting.waker.clone());
        }
        !is_over
    });
    drop(state);
    wakers.into_iter().for_each(Waker::wake);
}
