//! Waiting for the sequencer by blocking the calling thread.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::ClientCore;
use crate::client::error::{Failure, Outcome, Subject};

/// The direction to wait for: an event to read, or room to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitEnd {
    Ready,
    TimedOut,
}

/// The time at which a time-out that starts now is over; `None` for one that never ends.
pub(crate) fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

/// Converts a duration for `poll`.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

impl ClientCore {
    /// Waits until the direction is ready, the deadline has passed, or the client is closed.
    pub(crate) fn wait(&self, direction: Direction, deadline: Option<Instant>) -> Outcome<WaitEnd> {
        let connection = self.connection()?;
        let flags = match direction {
            Direction::Read => PollFlags::IN,
            Direction::Write => PollFlags::OUT,
        };
        loop {
            let remaining = deadline
                .map(|deadline| timespec(deadline.saturating_duration_since(Instant::now())));
            let mut polled = [
                PollFd::from_borrowed_fd(connection.descriptor(), flags),
                PollFd::from_borrowed_fd(self.closing.as_fd(), PollFlags::IN),
            ];
            match rustix::event::poll(&mut polled, remaining.as_ref()) {
                Ok(0) => return Ok(WaitEnd::TimedOut),
                Ok(_) if self.is_closed() => return Err(Failure::closed()),
                Ok(_) => return Ok(WaitEnd::Ready),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(Failure::system(Subject::None, errno.into())),
            }
        }
    }

    /// Pauses for `duration`, or until the deadline or until the client is closed, whichever is
    /// first.
    pub(crate) fn pause(&self, duration: Duration, deadline: Option<Instant>) -> Outcome<()> {
        let remaining = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let pause = timespec(remaining.map_or(duration, |remaining| remaining.min(duration)));
        let mut polled = [PollFd::from_borrowed_fd(self.closing.as_fd(), PollFlags::IN)];
        match rustix::event::poll(&mut polled, Some(&pause)) {
            Ok(_) if self.is_closed() => Err(Failure::closed()),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(Failure::system(Subject::None, errno.into())),
        }
    }
}
