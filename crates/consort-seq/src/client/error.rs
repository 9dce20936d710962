//! Errors of clients: kind, subject, errno, and what to do about them.

use std::fmt;

use crate::engine::{Errno, OpenError};
use crate::event::{Address, Event, EventType, QUEUE_DIRECT};

/// Result of an operation of a client.
pub type Result<T> = std::result::Result<T, Error>;

/// The kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client, port or queue has been closed.
    Closed,
    /// The sequencer could not be opened; [`Error::source`](std::error::Error::source) is an
    /// [`OpenError`].
    Open,
    /// Events were lost: the input pool was full, and the kernel has cleared it (`ENOSPC`).
    /// Reading continues with the next event that arrives.
    Overrun,
    /// The client, port, queue or connection does not exist.
    NotFound,
    /// The object belongs to another client, or the port lacks the capability.
    NotPermitted,
    /// The object is in use, or exists already.
    Busy,
    /// The sequencer has no room at present (`EAGAIN`), and the operation does not wait.
    WouldBlock,
    /// A receiver has not read its input for [`RECEIVER_TIMEOUT`](crate::client::RECEIVER_TIMEOUT),
    /// and its input pool is full (`EAGAIN`); the subject is its port.
    StuckReceiver,
    /// No client, port or queue number is free, or the event is larger than the pool (`ENOMEM`).
    Exhausted,
    /// An argument is not valid.
    Invalid,
    /// The event went through too many clients (`EMLINK`).
    TooManyHops,
    /// The sequencer sent cells that do not form an event.
    Corrupt,
    /// A name matches more than one port.
    Ambiguous,
    /// Another failure; see the errno.
    Other,
}

/// The object of the failed operation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// No particular object.
    None,
    /// A client.
    Client(i32),
    /// A port.
    Port(Address),
    /// A connection from the first port to the second.
    Connection(Address, Address),
    /// A queue.
    Queue(i32),
    /// A name.
    Name(String),
    /// An event that was sent.
    Event {
        /// The event's type.
        event_type: EventType,
        /// The port that sends it.
        source: Address,
        /// The port that receives it.
        dest: Address,
        /// The queue that delivers it; [`QUEUE_DIRECT`] for none.
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

/// An operation of a client failed. The text names the operation and its client, port or queue,
/// the errno with its meaning, and what to do.
pub struct Error(Box<Details>);

/// A failed operation inside the client, before the public method adds its name with
/// [`OperationName::during`]. The internals are shared by several methods and have no name that
/// a caller would recognise.
pub(crate) struct Failure(Box<Details>);

/// What an internal function returns.
pub(crate) type Outcome<T> = std::result::Result<T, Failure>;

/// Everything that is known about an error. It is boxed, so that a `Result` stays small.
struct Details {
    kind: ErrorKind,
    /// The public method; empty in a [`Failure`].
    operation: &'static str,
    subject: Subject,
    errno: Option<Errno>,
    open: Option<OpenError>,
    note: Option<String>,
}

/// Adds the operation's name to an internal [`Outcome`], at the public edge.
pub(crate) trait OperationName<T> {
    /// The result as the caller of the public method `operation` gets it.
    fn during(self, operation: &'static str) -> Result<T>;
}

impl<T> OperationName<T> for Outcome<T> {
    #[inline]
    fn during(self, operation: &'static str) -> Result<T> {
        self.map_err(|failure| failure.during(operation))
    }
}

impl Failure {
    fn new(kind: ErrorKind, subject: Subject) -> Self {
        Self(Box::new(Details {
            kind,
            operation: "",
            subject,
            errno: None,
            open: None,
            note: None,
        }))
    }

    /// The error that the caller of the public method `operation` gets.
    #[cold]
    pub(crate) fn during(mut self, operation: &'static str) -> Error {
        self.0.operation = operation;
        Error(self.0)
    }

    pub(crate) fn system(subject: Subject, errno: Errno) -> Self {
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
        let mut failure = Self::new(kind, subject);
        failure.0.errno = Some(errno);
        failure
    }

    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, Subject::None)
    }

    pub(crate) fn open(error: OpenError) -> Self {
        let mut failure = Self::new(ErrorKind::Open, Subject::None);
        failure.0.errno = error.errno();
        failure.0.open = Some(error);
        failure
    }

    pub(crate) fn stuck(receiver: Address, note: String) -> Self {
        let mut failure = Self::new(ErrorKind::StuckReceiver, Subject::Port(receiver));
        failure.0.errno = Some(Errno::WOULD_BLOCK);
        failure.with_note(note)
    }

    pub(crate) fn corrupt(note: String) -> Self {
        Self::new(ErrorKind::Corrupt, Subject::None).with_note(note)
    }

    pub(crate) fn invalid(subject: Subject, note: String) -> Self {
        Self::system(subject, Errno::INVALID).with_note(note)
    }

    pub(crate) fn name(name: &str, kind: ErrorKind, note: String) -> Self {
        Self::new(kind, Subject::Name(name.to_owned())).with_note(note)
    }

    pub(crate) fn with_note(mut self, note: String) -> Self {
        self.0.note = Some(note);
        self
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    pub(crate) fn errno(&self) -> Option<Errno> {
        self.0.errno
    }
}

impl Error {
    /// The kind of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The name of the method that failed.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The object of the operation.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.0.subject
    }

    /// The errno of the system call, if one failed.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        self.0.errno
    }

    /// Why the sequencer could not be opened, for [`ErrorKind::Open`].
    #[must_use]
    pub fn open_error(&self) -> Option<&OpenError> {
        self.0.open.as_ref()
    }

    /// What to do about the error, if there is a general answer.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        if let Some(open) = &self.0.open {
            return Some(open.advice());
        }
        match (self.0.kind, &self.0.subject) {
            (ErrorKind::Closed, _) => Some("open a new client"),
            (ErrorKind::Overrun, _) => Some(
                "read more often, or enlarge the input pool with set_client_pool_input (up to 2000 \
                 cells)",
            ),
            (ErrorKind::WouldBlock, _) => {
                Some("drain the output and wait until the client is writable")
            }
            (ErrorKind::StuckReceiver, _) => Some(
                "continue or end that program, or disconnect it; an event that was buffered stays \
                 at the head of the output buffer",
            ),
            (ErrorKind::Exhausted, Subject::Event { .. }) => Some(
                "enlarge the output pool with set_client_pool_output (up to 2000 cells of 28 \
                 bytes), or send the data in parts",
            ),
            (ErrorKind::Exhausted, _) => Some(
                "close clients, ports or queues that are not needed (limits: 192 clients, 254 \
                 ports per client, 32 queues)",
            ),
            (ErrorKind::Invalid, Subject::Event { event_type: EventType::NOTE, queue, .. })
                if *queue == QUEUE_DIRECT =>
            {
                Some(
                    "send notes with a duration through a queue, or send note on and note off \
                     directly",
                )
            }
            (ErrorKind::Invalid, Subject::Event { .. }) => {
                Some("check that the queue exists and that this client uses it")
            }
            (ErrorKind::NotFound | ErrorKind::NotPermitted, Subject::Event { .. }) => Some(
                "check that the destination exists and is writable; the event stays at the head \
                 of the output buffer until extract_output or drop_output_buffer removes it",
            ),
            (ErrorKind::NotPermitted, Subject::Connection(..)) => Some(
                "the sender needs READ and SUBS_READ, the destination needs WRITE and SUBS_WRITE, \
                 and neither may be another client's NO_EXPORT port",
            ),
            (ErrorKind::Busy, Subject::Connection(..)) => {
                Some("the ports are already connected, or one of them is connected exclusively")
            }
            (ErrorKind::Invalid, Subject::Connection(..)) => {
                Some("check with list_ports that both ports exist")
            }
            (ErrorKind::NotPermitted, Subject::Queue(_)) => {
                Some("use a queue of this client, or have the queue's owner unlock it")
            }
            (ErrorKind::Busy, Subject::Queue(_)) => {
                Some("stop the queue before changing its resolution")
            }
            (ErrorKind::Invalid, Subject::Queue(_)) => Some(
                "check that the queue exists and that the values are above 0 (skew base: 0x10000)",
            ),
            (ErrorKind::Busy, Subject::Port(_)) => {
                Some("choose another port number, or let the sequencer choose")
            }
            (ErrorKind::NotFound | ErrorKind::Ambiguous, Subject::Name(_)) => {
                Some("list the ports with list_ports and give the address as CLIENT:PORT")
            }
            (ErrorKind::NotFound, _) => {
                Some("check with list_ports that the client or port still exists")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details { kind, operation, subject, errno, open, note } = &*self.0;
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

impl fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details { kind, subject, errno, note, .. } = &*self.0;
        write!(formatter, "Failure({kind:?}{subject}: errno {errno:?}, note {note:?})")
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
            ErrorKind::StuckReceiver => std::io::ErrorKind::TimedOut,
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
    fn the_text_names_operation_subject_cause_and_remedy() {
        let subject = Subject::Connection(Address::new(128, 0), Address::new(14, 0));
        let error = Failure::system(subject, Errno::BUSY).during("subscribe_port");
        let text = error.to_string();
        assert!(text.starts_with("subscribe_port 128:0 -> 14:0 failed: EBUSY (16)"), "{text}");
        assert!(text.ends_with("connected exclusively"), "{text}");
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(
            Failure::closed().during("event_input").to_string().contains("the client is closed")
        );
    }
}
