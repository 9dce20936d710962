//! What can go wrong with a client, and what to do about it.

use std::fmt;

use crate::engine::{Errno, OpenError};
use crate::event::{Address, Event, EventType, QUEUE_DIRECT};

/// Result of an operation of a client.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client, port or queue has been closed.
    Closed,
    /// The sequencer could not be opened; [`Error::source`](std::error::Error::source) is an
    /// [`OpenError`].
    Open,
    /// Events were lost: the input was full, and the kernel has cleared it (`ENOSPC`). Reading
    /// goes on with the next event that arrives.
    Overrun,
    /// There is no such client, port, queue or connection.
    NotFound,
    /// It belongs to another client, or the port lacks the capability.
    NotPermitted,
    /// It is in use, or there already.
    Busy,
    /// No room at present (`EAGAIN`), in an operation that does not wait.
    WouldBlock,
    /// No number is left, or the event is larger than the pool (`ENOMEM`).
    Exhausted,
    /// An argument is not valid.
    Invalid,
    /// The event went through too many clients (`EMLINK`).
    TooManyHops,
    /// The sequencer sent cells that make no event.
    Corrupt,
    /// A name fits more than one port.
    Ambiguous,
    /// Something else; see the errno.
    Other,
}

/// What the failing operation was about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// Nothing in particular.
    None,
    /// A client.
    Client(i32),
    /// A port.
    Port(Address),
    /// A connection of two ports.
    Connection(Address, Address),
    /// A queue.
    Queue(i32),
    /// A name.
    Name(String),
    /// An event on its way.
    Event {
        /// Its type.
        event_type: EventType,
        /// From.
        source: Address,
        /// To.
        dest: Address,
        /// Through this queue.
        queue: u8,
    },
}

impl Subject {
    pub(crate) fn event(event: &Event) -> Self {
        Self::Event {
            event_type: event.event_type(),
            source: event.source(),
            dest: event.dest(),
            queue: event.queue(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::None => Ok(()),
            Subject::Client(client) => write!(formatter, " client {client}"),
            Subject::Port(address) => write!(formatter, " port {address}"),
            Subject::Connection(sender, dest) => write!(formatter, " {sender} -> {dest}"),
            Subject::Queue(queue) => write!(formatter, " queue {queue}"),
            Subject::Name(name) => write!(formatter, " {name:?}"),
            Subject::Event { event_type, source, dest, queue } => {
                write!(formatter, " {event_type} from {source} to {dest}")?;
                if *queue != QUEUE_DIRECT {
                    write!(formatter, " on queue {queue}")?;
                }
                Ok(())
            }
        }
    }
}

/// An operation of a client failed. Its text says which operation on which client, port or
/// queue, the errno with its meaning, and what to do.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    subject: Subject,
    errno: Option<Errno>,
    open: Option<OpenError>,
    note: Option<String>,
}

impl Error {
    fn build(kind: ErrorKind, operation: &'static str, subject: Subject) -> Self {
        Self(Box::new(Inner { kind, operation, subject, errno: None, open: None, note: None }))
    }

    pub(crate) fn system(operation: &'static str, subject: Subject, errno: Errno) -> Self {
        let kind = match errno {
            Errno::OVERRUN => ErrorKind::Overrun,
            Errno::NOT_FOUND | Errno::NO_SUCH_ADDRESS => ErrorKind::NotFound,
            Errno::NOT_PERMITTED | Errno::ACCESS => ErrorKind::NotPermitted,
            Errno::BUSY => ErrorKind::Busy,
            Errno::WOULD_BLOCK => ErrorKind::WouldBlock,
            Errno::NO_MEMORY => ErrorKind::Exhausted,
            Errno::INVALID => ErrorKind::Invalid,
            Errno::TOO_MANY_HOPS => ErrorKind::TooManyHops,
            _ => ErrorKind::Other,
        };
        let mut error = Self::build(kind, operation, subject);
        error.0.errno = Some(errno);
        error
    }

    pub(crate) fn closed(operation: &'static str) -> Self {
        Self::build(ErrorKind::Closed, operation, Subject::None)
    }

    pub(crate) fn open(error: OpenError) -> Self {
        let mut this = Self::build(ErrorKind::Open, "open", Subject::None);
        this.0.errno = error.errno();
        this.0.open = Some(error);
        this
    }

    pub(crate) fn corrupt(operation: &'static str, note: String) -> Self {
        Self::build(ErrorKind::Corrupt, operation, Subject::None).with_note(note)
    }

    pub(crate) fn invalid(operation: &'static str, subject: Subject, note: String) -> Self {
        Self::system(operation, subject, Errno::INVALID).with_note(note)
    }

    pub(crate) fn name(operation: &'static str, name: &str, kind: ErrorKind, note: String) -> Self {
        Self::build(kind, operation, Subject::Name(name.to_owned())).with_note(note)
    }

    pub(crate) fn with_note(mut self, note: String) -> Self {
        self.0.note = Some(note);
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed, by the name of its method.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// What the operation was about.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.0.subject
    }

    /// The errno of the system call, where one failed.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        self.0.errno
    }

    /// Why the sequencer could not be opened, for [`ErrorKind::Open`].
    #[must_use]
    pub fn open_error(&self) -> Option<&OpenError> {
        self.0.open.as_ref()
    }

    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        if let Some(open) = &self.0.open {
            return Some(open.advice());
        }
        match (self.0.kind, &self.0.subject) {
            (ErrorKind::Closed, _) => Some("open a new client"),
            (ErrorKind::Overrun, _) => Some(
                "read faster, or enlarge the input pool with set_client_pool_input (up to 2000)",
            ),
            (ErrorKind::WouldBlock, _) => {
                Some("drain the output and wait until the client is writable")
            }
            (ErrorKind::Exhausted, Subject::Event { .. }) => Some(
                "enlarge the output pool with set_client_pool_output (up to 2000 cells of 28 \
                 bytes), or send the data in parts",
            ),
            (ErrorKind::Exhausted, _) => {
                Some("close what is not needed: 192 clients, 254 ports a client, 32 queues at most")
            }
            (ErrorKind::Invalid, Subject::Event { event_type: EventType::NOTE, queue, .. })
                if *queue == QUEUE_DIRECT =>
            {
                Some("send notes with a duration through a queue, or note on and note off direct")
            }
            (ErrorKind::Invalid, Subject::Event { .. }) => {
                Some("check that the queue exists and that this client uses it")
            }
            (ErrorKind::NotFound | ErrorKind::NotPermitted, Subject::Event { .. }) => Some(
                "check the destination (and its capability to be written to); the event stays at \
                 the head of the output buffer until extract_output or drop_output_buffer takes it",
            ),
            (ErrorKind::NotPermitted, Subject::Connection(..)) => Some(
                "the sender needs READ and SUBS_READ, the destination WRITE and SUBS_WRITE, and \
                 neither may be NO_EXPORT of another client",
            ),
            (ErrorKind::Busy, Subject::Connection(..)) => {
                Some("they are connected already, or one of the ports is connected exclusively")
            }
            (ErrorKind::Invalid, Subject::Connection(..)) => {
                Some("check with list_ports that both ports exist")
            }
            (ErrorKind::NotPermitted, Subject::Queue(_)) => {
                Some("ask the queue's owner to unlock it, or use a queue of your own")
            }
            (ErrorKind::Busy, Subject::Queue(_)) => {
                Some("stop the queue before its resolution is changed")
            }
            (ErrorKind::Invalid, Subject::Queue(_)) => {
                Some("check that the queue exists and the values are above 0 (skew base 0x10000)")
            }
            (ErrorKind::Busy, Subject::Port(_)) => {
                Some("choose another port number, or let the sequencer choose")
            }
            (ErrorKind::NotFound | ErrorKind::Ambiguous, Subject::Name(_)) => {
                Some("list the ports with list_ports, and give the address as CLIENT:PORT")
            }
            (ErrorKind::NotFound, _) => Some("check with list_ports that it (still) exists"),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, operation, subject, errno, open, note } = &*self.0;
        if let Some(open) = open {
            return fmt::Display::fmt(open, formatter);
        }
        write!(formatter, "{operation}{subject} failed: ")?;
        match (kind, note, errno) {
            (ErrorKind::Closed, ..) => write!(formatter, "the client is closed")?,
            (_, Some(note), Some(errno)) => write!(formatter, "{note} ({errno})")?,
            (_, Some(note), None) => write!(formatter, "{note}")?,
            (_, None, Some(errno)) => write!(formatter, "{errno}")?,
            (_, None, None) => write!(formatter, "{kind:?}")?,
        }
        match self.remedy() {
            Some(remedy) => write!(formatter, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Error({:?}: {self})", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match (&self.0.open, &self.0.errno) {
            (Some(open), _) => Some(open),
            (None, Some(errno)) => Some(errno),
            (None, None) => None,
        }
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::NotFound => std::io::ErrorKind::NotFound,
            ErrorKind::NotPermitted => std::io::ErrorKind::PermissionDenied,
            ErrorKind::WouldBlock => std::io::ErrorKind::WouldBlock,
            ErrorKind::Invalid => std::io::ErrorKind::InvalidInput,
            ErrorKind::Closed => std::io::ErrorKind::NotConnected,
            _ => std::io::ErrorKind::Other,
        };
        std::io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_what_where_why_and_what_to_do() {
        let subject = Subject::Connection(Address::new(128, 0), Address::new(14, 0));
        let error = Error::system("subscribe_port", subject, Errno::BUSY);
        let text = error.to_string();
        assert!(text.starts_with("subscribe_port 128:0 -> 14:0 failed: EBUSY (16)"), "{text}");
        assert!(text.ends_with("connected exclusively"), "{text}");
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(Error::closed("event_input").to_string().contains("the client is closed"));
    }
}
