//! Steps for drivers of other kinds than the two that are here (other languages' interpreters,
//! other event loops): attempts that do not wait, and waits that end at a signal.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::base::ClientBase;
use super::buffers::Flush;
use super::error::{Error, Result, Subject};
use super::routing::Routing;
use crate::event::Event;

/// How a wait for the sequencer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Waited {
    /// There is (perhaps) something to read, or room to write.
    Ready,
    /// The time is over.
    TimedOut,
    /// A signal came in (`EINTR`); its handlers have run.
    Interrupted,
}

impl ClientBase {
    /// Waits until there is an event to read, the time is over (`None`: never), a signal comes
    /// in, or the client is closed. Events that stand in the client's own buffer do not count:
    /// take those first, with [`try_event_input`](Self::try_event_input).
    ///
    /// # Errors
    /// [`Closed`](crate::ErrorKind::Closed) if the client is closed meanwhile.
    pub fn wait_readable(&self, timeout: Option<Duration>) -> Result<Waited> {
        self.wait_once("event_input", PollFlags::IN, timeout)
    }

    /// Waits until there is room to write, the time is over (`None`: never), a signal comes in,
    /// or the client is closed.
    ///
    /// # Errors
    /// [`Closed`](crate::ErrorKind::Closed) if the client is closed meanwhile.
    pub fn wait_writable(&self, timeout: Option<Duration>) -> Result<Waited> {
        self.wait_once("event_output", PollFlags::OUT, timeout)
    }

    fn wait_once(
        &self,
        operation: &'static str,
        flags: PollFlags,
        timeout: Option<Duration>,
    ) -> Result<Waited> {
        let connection = self.core.connection(operation)?;
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let mut polled = [
            PollFd::from_borrowed_fd(connection.descriptor(), flags),
            PollFd::from_borrowed_fd(self.core.closing().as_fd(), PollFlags::IN),
        ];
        match rustix::event::poll(&mut polled, timeout.as_ref()) {
            Ok(0) => Ok(Waited::TimedOut),
            Ok(_) if self.is_closed() => Err(Error::closed(operation)),
            Ok(_) => Ok(Waited::Ready),
            Err(rustix::io::Errno::INTR) => Ok(Waited::Interrupted),
            Err(errno) => Err(Error::system(operation, Subject::None, errno.into())),
        }
    }

    /// Puts an event into the output buffer, writing what is there first if it is full, without
    /// waiting: the bytes that wait in the buffer now, or `None` if the sequencer has no room
    /// at present.
    ///
    /// # Errors
    /// As [`SequencerClient::event_output`](crate::SequencerClient::event_output).
    pub fn try_event_output(
        &self,
        event: &Event,
        routing: impl Into<Routing>,
    ) -> Result<Option<usize>> {
        let operation = "event_output";
        let routing = routing.into();
        if let Some(used) = self.core.quick_output(event, &routing) {
            return Ok(Some(used));
        }
        loop {
            if let Some(used) = self.core.buffer(operation, event, &routing)? {
                return Ok(Some(used));
            }
            if self.core.flush(operation)?.0 == Flush::Blocked {
                return self.core.buffer(operation, event, &routing);
            }
        }
    }

    /// Writes an event to the sequencer at once, past the output buffer, without waiting: the
    /// bytes written, or `None` if the sequencer has no room at present.
    ///
    /// # Errors
    /// As [`SequencerClient::event_output_direct`](crate::SequencerClient::event_output_direct).
    pub fn try_event_output_direct(
        &self,
        event: &Event,
        routing: impl Into<Routing>,
    ) -> Result<Option<usize>> {
        let operation = "event_output_direct";
        let cell = self.core.prepare(operation, event, &routing.into())?;
        self.core.write_direct(operation, &cell, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{ClockKind, Embedded, Engine};
    use crate::{ErrorKind, Queue, SequencerClient};

    fn client(engine: &Embedded) -> SequencerClient {
        SequencerClient::builder("waiting").engine(Engine::Embedded(engine.clone())).open().unwrap()
    }

    #[test]
    fn attempts_and_waits_go_together() {
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
            assert!(sent < 5000, "nothing ever blocks");
        }
        assert_eq!(sender.wait_writable(Some(Duration::ZERO)).unwrap(), Waited::TimedOut);
        sender.drop_output().unwrap();
        assert_eq!(sender.wait_writable(None).unwrap(), Waited::Ready);
        assert!(sender.try_event_output(&later, &out).unwrap().is_some());
        sender.close();
        assert_eq!(sender.wait_writable(None).unwrap_err().kind(), ErrorKind::Closed);
    }

    #[test]
    fn an_adopted_port_goes_with_its_handle() {
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
