//! Waiting for futures: a thread of the client's own.

use std::future::Future;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Instant;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};

use super::core::{Core, Direction, lock};
use super::error::{Error, Result, Subject};

/// A thread that polls the client's descriptor for those directions in which somebody waits,
/// and wakes them. Without anybody waiting it sleeps.
pub(crate) struct Reactor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Tells the thread that the state has changed.
    changed: OwnedFd,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    next: u64,
    stop: bool,
}

struct Waiting {
    number: u64,
    direction: Option<Direction>,
    until: Option<Instant>,
    waker: Waker,
}

impl Shared {
    fn notify(&self) {
        // An eventfd that is full already is readable already.
        let _ = rustix::io::write(&self.changed, &1u64.to_ne_bytes());
    }
}

impl Reactor {
    pub(crate) fn start(core: &Arc<Core>) -> Result<Self> {
        let failed = |errno: rustix::io::Errno| Error::system("open", Subject::None, errno.into());
        let changed = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(failed)?;
        let shared = Arc::new(Shared { state: Mutex::default(), changed });
        let (core, theirs) = (Arc::clone(core), Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name(format!("consort-seq {}", core.client_id))
            .spawn(move || run(&core, &theirs))
            .map_err(|error| {
                Error::system("open", Subject::None, crate::Errno::WOULD_BLOCK)
                    .with_note(format!("the client's thread cannot be started: {error}"))
            })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// A future that is ready once the direction is (perhaps) ready, the time is over, or the
    /// client is closed. `direction` `None` waits for the time only.
    pub(crate) fn wait(
        &self,
        direction: Option<Direction>,
        until: Option<Instant>,
    ) -> impl Future<Output = ()> + Send + Unpin + use<> {
        Wait { shared: Arc::clone(&self.shared), direction, until, number: None }
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        lock(&self.shared.state).stop = true;
        self.shared.notify();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // It cannot have panicked but in a waker, which is not ours to report.
            let _ = thread.join();
        }
    }
}

struct Wait {
    shared: Arc<Shared>,
    direction: Option<Direction>,
    until: Option<Instant>,
    number: Option<u64>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = lock(&this.shared.state);
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
        let number = state.next;
        state.next += 1;
        state.waiting.push(Waiting {
            number,
            direction: this.direction,
            until: this.until,
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
            lock(&self.shared.state).waiting.retain(|waiting| waiting.number != number);
        }
    }
}

fn run(core: &Core, shared: &Shared) {
    loop {
        let (mut flags, mut until, mut expired) = (PollFlags::empty(), None::<Instant>, Vec::new());
        {
            let mut state = lock(&shared.state);
            if state.stop || core.is_closed() {
                state.stop = true;
                expired = state.waiting.drain(..).map(|waiting| waiting.waker).collect();
            } else {
                for waiting in &state.waiting {
                    flags |= match waiting.direction {
                        Some(Direction::Read) => PollFlags::IN,
                        Some(Direction::Write) => PollFlags::OUT,
                        None => PollFlags::empty(),
                    };
                    until = match (until, waiting.until) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    };
                }
            }
            if state.stop {
                drop(state);
                expired.into_iter().for_each(Waker::wake);
                return;
            }
        }
        let ready = match core.try_connection() {
            Some(connection) => {
                let left = until.map(|until| {
                    let left = until.saturating_duration_since(Instant::now());
                    Timespec {
                        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                        tv_nsec: left.subsec_nanos().into(),
                    }
                });
                let mut polled = [
                    PollFd::from_borrowed_fd(shared.changed.as_fd(), PollFlags::IN),
                    PollFd::from_borrowed_fd(core.closing().as_fd(), PollFlags::IN),
                    PollFd::from_borrowed_fd(connection.descriptor(), flags),
                ];
                // Without a direction an error state of the device must not wake us.
                let count = if flags.is_empty() { 2 } else { 3 };
                match rustix::event::poll(&mut polled[..count], left.as_ref()) {
                    Ok(_) => polled[2].revents(),
                    Err(_) => PollFlags::empty(),
                }
            }
            None => continue,
        };
        let mut count = [0; 8];
        // Empty if nothing has changed.
        let _ = rustix::io::read(&shared.changed, &mut count);
        let now = Instant::now();
        let broken = ready.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
        let mut state = lock(&shared.state);
        state.waiting.retain(|waiting| {
            let is_ready = match waiting.direction {
                Some(Direction::Read) => ready.contains(PollFlags::IN) || broken,
                Some(Direction::Write) => ready.contains(PollFlags::OUT) || broken,
                None => false,
            };
            let over = is_ready || waiting.until.is_some_and(|until| until <= now);
            if over {
                expired.push(waiting.waker.clone());
            }
            !over
        });
        drop(state);
        expired.into_iter().for_each(Waker::wake);
    }
}
