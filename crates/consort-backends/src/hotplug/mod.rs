//! Devices that come and go: opening them on other threads, and watching folders for their nodes.
//!
//! Opening and closing a device can take many milliseconds (a USB device wakes up, the kernel waits
//! for other processors), so the router's thread does neither.

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::mpsc::{self, TryRecvError};
use std::time::Duration;

use consort_router::Context;
use mio::Interest;
use mio::unix::{SourceFd, pipe};
use rustix::fs::inotify;
use rustix::io::Errno;

use crate::net::Registrar;

/// The time between two attempts to find a missing device. A new node in a watched folder starts an
/// attempt at once.
pub(crate) const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// Work on another thread, whose result the router's thread takes.
pub(crate) struct Job<T> {
    source: pipe::Receiver,
    answer: mpsc::Receiver<Result<T, String>>,
}

impl<T: Send + 'static> Job<T> {
    /// Starts a thread. When it ends, the router calls `ready` of the registrar's owner with `key`; call
    /// [`Job::finish`] then.
    ///
    /// # Errors
    /// A message if no thread or pipe can be created.
    pub(crate) fn start(
        name: &str,
        key: u32,
        registrar: &mut impl Registrar,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<Self, String> {
        let start = || -> io::Result<Self> {
            let (mut done, mut source) = pipe::new()?;
            let (sender, answer) = mpsc::channel();
            registrar.register(&mut source, key, Interest::READABLE)?;
            let spawned = std::thread::Builder::new().name(name.into()).spawn(move || {
                // Both fail if the show has ended in the meantime.
                let _ = sender.send(work());
                let _ = done.write_all(&[0]);
            });
            if let Err(error) = spawned {
                let _ = registrar.deregister(&mut source);
                return Err(error);
            }
            Ok(Job { source, answer })
        };
        start().map_err(|error| format!("cannot start a thread: {error}"))
    }

    /// The result, if the thread has ended.
    pub(crate) fn finish(&mut self, registrar: &mut impl Registrar) -> Option<Result<T, String>> {
        let result = match self.answer.try_recv() {
            Ok(result) => result,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err("the thread ended without a result".into()),
        };
        self.cancel(registrar);
        Some(result)
    }

    /// Ignores the end of the thread.
    pub(crate) fn cancel(&mut self, registrar: &mut impl Registrar) {
        if let Err(error) = registrar.deregister(&mut self.source) {
            tracing::debug!("cannot deregister the pipe of a thread: {error}");
        }
    }
}

/// Closes a device on another thread.
pub(crate) fn close(device: impl Send + 'static) {
    // Without a thread, the closure is dropped here, which closes the device, too.
    let _ = std::thread::Builder::new().name("close".into()).spawn(move || drop(device));
}

/// Reports nodes that appear in folders, or whose permissions change.
pub(crate) struct Watch {
    descriptor: OwnedFd,
}

impl Watch {
    /// Watches those of the folders that exist. `None` if that is impossible; devices are then
    /// found after [`RETRY_INTERVAL`].
    pub(crate) fn folders(folders: &[&Path]) -> Option<Self> {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let descriptor = inotify::init(flags).ok()?;
        // The permissions of a node are set after it is created.
        let events = inotify::WatchFlags::CREATE
            | inotify::WatchFlags::ATTRIB
            | inotify::WatchFlags::MOVED_TO;
        let mut watched = 0;
        for folder in folders {
            watched += u32::from(inotify::add_watch(&descriptor, *folder, events).is_ok());
        }
        (watched > 0).then_some(Watch { descriptor })
    }

    /// A watch whose descriptor becomes readable when there may be a new device.
    #[cfg(test)]
    pub(crate) fn from_descriptor(descriptor: OwnedFd) -> Self {
        Watch { descriptor }
    }

    /// Registers the watch with the router.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(crate) fn register(&self, key: u32, context: &mut Context<'_>) -> io::Result<()> {
        context.register(&mut SourceFd(&self.descriptor.as_raw_fd()), key, Interest::READABLE)
    }

    /// Reads and discards all reports.
    pub(crate) fn drain(&self) {
        let mut reports = [0_u8; 4_096];
        loop {
            match rustix::io::read(self.descriptor.as_fd(), &mut reports) {
                Ok(0) | Err(Errno::AGAIN) => return,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return tracing::debug!("cannot read the reports of nodes: {error}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_reports_a_new_node_and_is_silent_when_drained() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = folder.path().join("missing");
        let watch = Watch::folders(&[folder.path(), &missing]).expect("a watch");
        let is_readable = || {
            let mut polled =
                [rustix::event::PollFd::new(&watch.descriptor, rustix::event::PollFlags::IN)];
            rustix::event::poll(&mut polled, Some(&rustix::time::Timespec::default()))
                .expect("poll")
                > 0
        };
        assert!(!is_readable());
        std::fs::write(folder.path().join("event7"), "").expect("a node");
        assert!(is_readable(), "inotify reports before the call that makes the node returns");
        watch.drain();
        assert!(!is_readable());
        assert!(Watch::folders(&[&missing]).is_none());
    }
}
