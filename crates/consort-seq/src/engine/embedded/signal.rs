//! The descriptor of an embedded client: one, readable and writable as the device is.
//!
//! It is one end of a socket pair whose other end stays inside. A byte sent from inside makes it
//! readable; its own send buffer, filled to the brim, makes it not writable. Only changes cost
//! system calls.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use crate::engine::Errno;

#[derive(Debug)]
pub(super) struct Signal {
    outer: OwnedFd,
    inner: OwnedFd,
}

/// What the descriptor says at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Readiness {
    pub(super) readable: bool,
    pub(super) writable: bool,
}

impl Readiness {
    /// A fresh socket pair: nothing to read, room to write.
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
        // As small as the system lets it be, so that filling it is one short write.
        sockopt::set_socket_send_buffer_size(&outer, 1)?;
        Ok(Self { outer, inner })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.outer.as_fd()
    }

    /// Makes the descriptor say `now`, which said `before`.
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
    // One byte into an empty, non-blocking socket of our own cannot fail but by a signal.
    let _sent = rustix::io::retry_on_intr(|| {
        rustix::net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
    });
}

fn fill(socket: &OwnedFd) {
    let bytes = [0; 4096];
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    while rustix::io::retry_on_intr(|| rustix::net::send(socket, &bytes, flags)).is_ok() {}
    // The last stretch may be shorter than a whole write.
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

    fn seen(signal: &Signal) -> Readiness {
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
    fn every_change_is_seen_by_poll() {
        let signal = Signal::new().unwrap();
        let mut before = Readiness::INITIAL;
        assert_eq!(seen(&signal), before);
        for _ in 0..3 {
            for (readable, writable) in
                [(true, true), (true, false), (false, false), (false, true), (true, false)]
            {
                let now = Readiness { readable, writable };
                signal.set(before, now);
                assert_eq!(seen(&signal), now);
                before = now;
            }
        }
    }
}
