//! Waking a thread from another one, also from one that must not wait.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// A descriptor that becomes readable when somebody rings.
pub(super) struct Bell {
    descriptor: OwnedFd,
    /// Whether it is readable already, so that another write is not needed.
    has_rung: AtomicBool,
}

impl Bell {
    /// # Errors
    /// The error of the operating system.
    pub(super) fn new() -> io::Result<Self> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Bell { descriptor, has_rung: AtomicBool::new(false) })
    }

    /// Wakes the other side, with at most one system call. Neither blocks nor allocates.
    pub(super) fn ring(&self) {
        if !self.has_rung.swap(true, Ordering::AcqRel) {
            // Fails only if the counter is full, and then the descriptor is readable.
            let _ = rustix::io::write(&self.descriptor, &1_u64.to_ne_bytes());
        }
    }

    /// Makes the descriptor unreadable. What was written before a ring is visible afterwards.
    pub(super) fn clear(&self) {
        let _ = rustix::io::read(&self.descriptor, &mut [0_u8; 8]);
        // A ring between both lines is not lost: the caller looks at everything after this call.
        self.has_rung.swap(false, Ordering::AcqRel);
    }

    /// Blocks until somebody rings, for at most this time, and clears.
    pub(super) fn wait(&self, timeout: Option<Duration>) {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().min(1 << 30) as i64,
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let mut polled = [PollFd::new(&self.descriptor, PollFlags::IN)];
        // An interrupted call returns early, which the caller expects anyway.
        let _ = poll(&mut polled, timeout.as_ref());
        self.clear();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_wakes_once_for_any_number_of_rings() {
        let bell = Bell::new().expect("an eventfd");
        bell.ring();
        bell.ring();
        bell.wait(None);
        let before = std::time::Instant::now();
        bell.wait(Some(Duration::from_millis(10)));
        assert!(before.elapsed() >= Duration::from_millis(10), "the second ring wrote nothing");
        bell.ring();
        bell.wait(None);
    }
}
