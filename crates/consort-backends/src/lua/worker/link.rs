//! The pipes from the instance and to it.

// Taking over a descriptor by its number, and ending without destructors.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};

use crate::worker::protocol::{Message, RECORD_BYTES, WorkerSetup, push_message};

/// How much is read at once.
const READ_BYTES: usize = RECORD_BYTES * 512;
/// The largest setup, in bytes.
const MAX_SETUP_BYTES: u32 = 1 << 30;

/// Why the worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The instance has stopped it, or the script has ended itself; the last message is sent.
    Stopped,
    /// The instance is gone.
    Disconnected,
}

/// The connection to the instance.
pub(super) struct Link {
    source: File,
    sink: File,
    /// What was read and is not handled yet.
    pub(super) received: Vec<u8>,
    /// Bytes of messages.
    encoded: Vec<u8>,
}

impl Link {
    /// Takes the pipes from the script's reach: its standard input becomes empty, and `sink` is not
    /// inherited by programs that it starts. None if they are not pipes.
    pub(super) fn take(sink: RawFd) -> Option<Link> {
        let is_pipe = |descriptor: RawFd| {
            // SAFETY: a structure of integers for which zeros are valid, and a system call that
            // writes it.
            unsafe {
                let mut status: libc::stat = std::mem::zeroed();
                libc::fstat(descriptor, &raw mut status) == 0
                    && status.st_mode & libc::S_IFMT == libc::S_IFIFO
            }
        };
        if sink <= 2 || !is_pipe(sink) || !is_pipe(0) {
            return None;
        }
        // SAFETY: the descriptor is open, and nothing else in this process uses it.
        let sink = unsafe { OwnedFd::from_raw_fd(sink) };
        rustix::io::fcntl_setfd(&sink, rustix::io::FdFlags::CLOEXEC).ok()?;
        let source = rustix::io::fcntl_dupfd_cloexec(std::io::stdin().as_fd(), 3).ok()?;
        let empty = File::open("/dev/null").ok()?;
        // SAFETY: a system call; the standard input is not used by anything else.
        if unsafe { libc::dup2(empty.as_raw_fd(), 0) } < 0 {
            return None;
        }
        let (received, encoded) = (Vec::with_capacity(READ_BYTES), Vec::new());
        Some(Link { source: source.into(), sink: sink.into(), received, encoded })
    }

    /// The pipe to the instance, once more.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub(super) fn sink(&self) -> std::io::Result<File> {
        self.sink.try_clone()
    }

    /// Reads the settings, which the instance sends first.
    pub(super) fn read_setup(&mut self) -> Result<WorkerSetup, Ending> {
        let mut length = [0; 4];
        self.source.read_exact(&mut length).map_err(|_| Ending::Disconnected)?;
        let length = u32::from_le_bytes(length);
        if length > MAX_SETUP_BYTES {
            return Err(Ending::Disconnected);
        }
        let mut bytes = vec![0; length as usize];
        self.source.read_exact(&mut bytes).map_err(|_| Ending::Disconnected)?;
        WorkerSetup::decode(&bytes).ok_or(Ending::Disconnected)
    }

    /// Waits for input until `deadline`, and reads it; returns whether there was any.
    pub(super) fn fill(&mut self, deadline: Option<Instant>) -> Result<bool, Ending> {
        if let Some(deadline) = deadline {
            let remaining = deadline.saturating_duration_since(Instant::now());
            let timeout = rustix::event::Timespec {
                tv_sec: remaining.as_secs() as i64,
                tv_nsec: i64::from(remaining.subsec_nanos()),
            };
            let mut watched = [PollFd::new(&self.source, PollFlags::IN)];
            match rustix::event::poll(&mut watched, Some(&timeout)) {
                Ok(1) => {}
                _ => return Ok(false),
            }
        }
        let start = self.received.len();
        self.received.resize(start + READ_BYTES, 0);
        let result = self.source.read(&mut self.received[start..]);
        self.received.truncate(start + *result.as_ref().unwrap_or(&0));
        match result {
            Ok(0) => Err(Ending::Disconnected),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(false),
            Err(_) => Err(Ending::Disconnected),
        }
    }

    /// Writes encoded messages.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Ending> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.sink.write_all(bytes).map_err(|_| Ending::Disconnected)
    }

    /// Writes one message.
    pub(super) fn send(&mut self, message: &Message<'_>) -> Result<(), Ending> {
        let mut encoded = std::mem::take(&mut self.encoded);
        encoded.clear();
        push_message(&mut encoded, message);
        let result = self.write(&encoded);
        self.encoded = encoded;
        result
    }
}

/// Writes what the script has printed. Precedes the last message, after which the instance may
/// kill the process.
pub(super) fn flush_streams() {
    // SAFETY: flushes all streams of the C library.
    unsafe {
        libc::fflush(std::ptr::null_mut());
    }
}

/// Ends the process at once, without calling finalizers or destructors.
pub(super) fn exit_now(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}
