//! What can go wrong, as one type: [`Error`] with a [`kind`](Error::kind) that programs act on
//! and a message that people read.

use std::fmt;
use std::io;

/// What sort of thing went wrong. More kinds may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No bus, buffer, node or scope id is left, or a requested block does not fit.
    Allocation,
    /// An option is outside its range, or two options contradict each other.
    InvalidOptions,
    /// An argument of a request is outside its range.
    InvalidArgument,
    /// A bus of this rate cannot be used here.
    InvalidCalculationRate,
    /// A moment was used after it was sent, or belongs to another context.
    MomentClosed,
    /// The context needs a time (a score), or the time is not one that it can take.
    InvalidMoment,
    /// The server is already online, booting or connecting.
    ServerOnline,
    /// The server is not online.
    ServerOffline,
    /// The server process could not be started or did not become ready.
    ServerCannotBoot,
    /// Every login of the server is taken.
    TooManyClients,
    /// An owner asked to disconnect; an owned server is quit instead.
    OwnedServerShutdown,
    /// A client that does not own the process asked to quit without force.
    UnownedServerShutdown,
    /// Nothing answered, or what answered is not a SuperCollider server.
    CannotConnect,
    /// No answer within the deadline.
    Timeout,
    /// The server answered `/fail`.
    RequestFailed,
    /// The request does not fit what the transport or the server can carry.
    TooLarge,
    /// An answer did not have the expected form.
    Protocol,
    /// The operating system refused an operation.
    Io,
    /// Shared memory is absent or did not pass a sanity check.
    SharedMemory,
    /// A SynthDef could not be understood.
    InvalidSynthDef,
}

/// An error of this crate.
///
/// `Clone`, so that one failure can end several waiting requests.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<std::sync::Arc<io::Error>>,
}

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// An operating system's error, with what was attempted.
    pub(crate) fn io(what: impl fmt::Display, source: io::Error) -> Self {
        Self {
            kind: ErrorKind::Io,
            message: format!("{what}: {source}"),
            source: Some(std::sync::Arc::new(source)),
        }
    }

    /// The same error as another kind.
    #[must_use]
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// What sort of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as &(dyn std::error::Error + 'static))
    }
}

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;
