//! Waits that a signal ends, for runtimes other than the two that this library drives (such as
//! the interpreter of another language). They alternate with the `try_` methods, which do not
//! wait.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use super::ClientBase;
use crate::client::core::timespec;
use crate::client::error::{Failure, OperationName, Outcome, Result, Subject};

/// How a wait for the sequencer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Waited {
    /// An event can probably be read, or there is probably room to write. Another thread may be
    /// faster.
    Ready,
    /// The time-out is over.
    TimedOut,
    /// A signal arrived (`EINTR`), and its handler has run.
    Interrupted,
}

impl ClientBase {
    /// Waits until the sequencer has an event to read, the time-out is over (`None`: no time-out),
    /// a signal arrives, or the client is closed. Events in the client's own buffer do not count;
    /// read those first, with [`try_event_input`](Self::try_event_input).
    ///
    /// # Errors
    /// [`Closed`](crate::ErrorKind::Closed) if the client is closed meanwhile.
    pub fn wait_readable(&self, timeout: Option<Duration>) -> Result<Waited> {
        self.wait_once(PollFlags::IN, timeout).during("event_input")
    }

    /// Waits until there is room to write, the time-out is over (`None`: no time-out), a signal
    /// arrives, or the client is closed.
    ///
    /// # Errors
    /// [`Closed`](crate::ErrorKind::Closed) if the client is closed meanwhile.
    pub fn wait_writable(&self, timeout: Option<Duration>) -> Result<Waited> {
        self.wait_once(PollFlags::OUT, timeout).during("event_output")
    }

    fn wait_once(&self, flags: PollFlags, timeout: Option<Duration>) -> Outcome<Waited> {
        let connection = self.core.connection()?;
        let timeout = timeout.map(timespec);
        let mut polled = [
            PollFd::from_borrowed_fd(connection.descriptor(), flags),
            PollFd::from_borrowed_fd(self.core.closing().as_fd(), PollFlags::IN),
        ];
        match rustix::event::poll(&mut polled, timeout.as_ref()) {
            Ok(0) => Ok(Waited::TimedOut),
            Ok(_) if self.is_closed() => Err(Failure::closed()),
            Ok(_) => Ok(Waited::Ready),
            Err(rustix::io::Errno::INTR) => Ok(Waited::Interrupted),
            Err(errno) => Err(Failure::system(Subject::None, errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{ClockKind, Embedded, Engine};
    use crate::{ErrorKind, Event, Queue, SequencerClient};

    fn client(engine: &Embedded) -> SequencerClient {
        SequencerClient::builder("waiting").engine(Engine::Embedded(engine.clone())).open().unwrap()
    }

    #[test]
    fn attempts_succeed_after_the_wait_for_them() {
        let engine = Embedded::new(ClockKind::Virtual);
        let (sender, receiver) = (client(&engine), client(&engine));
        let (out, input) =
            (sender.create_port("out").unwrap(), receiver.create_port("in").unwrap());
        assert_eq!(receiver.wait_readable(Some(Duration::ZERO)).unwrap(), Waited::TimedOut);
        let event = Event::note_on(0, 60, 100).unwrap().to(input.address());
        assert_eq!(sender.try_event_output_direct(&event, &out).unwrap(), Some(28));
        assert_eq!(receiver.wait_readable(None).unwrap(), Waited::Ready);
        assert_eq!(receiver.try_event_input().unwrap().unwrap().payload(), event.payload());

        // Fill pool and buffer with events that a stopped queue keeps.
        let queue: Queue = sender.create_queue("stopped").unwrap();
        let later = event.on_queue(&queue).at_tick(1000);
        let mut sent = 0;
        while sender.try_event_output(&later, &out).unwrap().is_some() {
            sent += 1;
            assert!(sent < 5000, "the output never blocks");
        }
        assert_eq!(sender.wait_writable(Some(Duration::ZERO)).unwrap(), Waited::TimedOut);
        sender.drop_output().unwrap();
        assert_eq!(sender.wait_writable(None).unwrap(), Waited::Ready);
        assert!(sender.try_event_output(&later, &out).unwrap().is_some());
        sender.close();
        assert_eq!(sender.wait_writable(None).unwrap_err().kind(), ErrorKind::Closed);
    }

    #[test]
    fn an_adopted_port_is_deleted_with_its_handle() {
        let client = client(&Embedded::new(ClockKind::Virtual));
        let port = client.create_port("own").unwrap();
        let address = port.address();
        let adopted = client.adopt_port(port.port_id()).unwrap();
        assert_eq!(adopted.address(), address);
        drop(adopted);
        assert!(client.get_port_info(address).is_err());
        assert!(client.adopt_port(77).is_err());
        drop(port);
    }
}
