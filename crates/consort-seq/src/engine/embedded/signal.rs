//! The descriptor of an embedded client, which becomes readable and writable like the device of
//! the kernel's sequencer.
//!
//! It is the outer end of a socket pair; the engine keeps the inner end. A byte sent from the inner
//! end makes it readable, and its own send buffer, once full, makes it not writable. Only changes
//! cost system calls:
//!
//! | the descriptor becomes | the engine |
//! |---|---|
//! | readable | sends one byte from the inner end |
//! | not readable | reads everything from the outer end |
//! | not writable | fills the send buffer of the outer end |
//! | writable | reads everything from the inner end |

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use crate::engine::Errno;

/// The two ends of the socket pair.
#[derive(Debug)]
pub(super) struct Signal {
    outer: OwnedFd,
    inner: OwnedFd,
}

/// The directions in which a descriptor is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Readiness {
    pub(super) readable: bool,
    pub(super) writable: bool,
}

impl Readiness {
    /// The readiness of a new socket pair: nothing to read, room to write.
    pub(super) const INITIAL: Self = Self { readable: false, writable: true };
}

impl Signal {
    pub(super) fn new() -> Result<Self, Errno> {
        let (outer, inner) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            None,
        )?;
        // The smallest size that the system allows, so that one short write fills the buffer.
        sockopt::set_socket_send_buffer_size(&outer, 1)?;
        Ok(Self { outer, inner })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.outer.as_fd()
    }

    /// Changes the descriptor's readiness from `before` to `now`.
    pub(super) fn set(&self, before: Readiness, now: Readiness) {
        match (before.readable, now.readable) {
            (false, true) => send(&self.inner, &[1]),
            (true, false) => drain(&self.outer),
            _ => {}
        }
        match (before.writable, now.writable) {
            (true, false) => fill(&self.outer),
            (false, true) => drain(&self.inner),
            _ => {}
        }
    }
}

fn send(socket: &OwnedFd, bytes: &[u8]) {
    // Sending one byte into this empty, non-blocking socket can fail only because of a signal.
    let _infallible = rustix::io::retry_on_intr(|| {
        rustix::net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
    });
}

fn fill(socket: &OwnedFd) {
    let bytes = [0; 4096];
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    while rustix::io::retry_on_intr(|| rustix::net::send(socket, &bytes, flags)).is_ok() {}
    // The space left may be smaller than a whole write.
    while rustix::io::retry_on_intr(|| rustix::net::send(socket, &bytes[..1], flags)).is_ok() {}
}

fn drain(socket: &OwnedFd) {
    let mut bytes = [0_u8; 8192];
    while let Ok((count, _)) =
        rustix::io::retry_on_intr(|| rustix::net::recv(socket, &mut bytes[..], RecvFlags::DONTWAIT))
    {
        if count == 0 {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    fn readiness(signal: &Signal) -> Readiness {
        let descriptor = signal.descriptor();
        let mut descriptors = [PollFd::new(&descriptor, PollFlags::IN | PollFlags::OUT)];
        poll(&mut descriptors, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap();
        let events = descriptors[0].revents();
        Readiness {
            readable: events.contains(PollFlags::IN),
            writable: events.contains(PollFlags::OUT),
        }
    }

    #[test]
    fn poll_reports_every_change() {
        let signal = Signal::new().unwrap();
        let mut before = Readiness::INITIAL;
        assert_eq!(readiness(&signal), before);
        for _ in 0..3 {
            for (readable, writable) in
                [(true, true), (true, false), (false, false), (false, true), (true, false)]
            {
                let now = Readiness { readable, writable };
                signal.set(before, now);
                assert_eq!(readiness(&signal), now);
                before = now;
            }
        }
    }
}
