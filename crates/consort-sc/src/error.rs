//! The error type: an [`Error`] has a [`kind`](Error::kind) for programs, a message for people,
//! and the error that caused it, if there is one.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use consort_synthdef::{SynthDefError, SynthDefErrorKind};

use crate::output::SynthDefRefusal;

/// The kind of an [`Error`]. More kinds may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No bus, buffer, node or scope id is free, or a requested block does not fit.
    Allocation,
    /// An option is outside its range, or two options contradict each other.
    InvalidOptions,
    /// An argument of a request is outside its range.
    InvalidArgument,
    /// A bus of this rate cannot be used here.
    InvalidCalculationRate,
    /// A moment was used after it was sent, or belongs to another context.
    MomentClosed,
    /// The context requires a time (a score), or does not accept this time.
    InvalidMoment,
    /// The server is already online, booting or connecting.
    ServerOnline,
    /// The server is not online.
    ServerOffline,
    /// The server process could not be started or did not become ready.
    ServerCannotBoot,
    /// Every login of the server is taken.
    TooManyClients,
    /// An owner tried to disconnect; it has to quit the server instead.
    OwnedServerShutdown,
    /// A client that does not own the process tried to quit without force.
    UnownedServerShutdown,
    /// Nothing answered, or what answered is not a SuperCollider server.
    CannotConnect,
    /// No answer within the deadline.
    Timeout,
    /// The server answered `/fail`.
    RequestFailed,
    /// The request exceeds what the transport or the server can carry.
    TooLarge,
    /// An answer did not have the expected form.
    Protocol,
    /// The operating system rejected an operation.
    Io,
    /// Shared memory is absent or did not pass a sanity check.
    SharedMemory,
    /// A SynthDef is malformed.
    InvalidSynthDef,
    /// The server refused a SynthDef; [`Error::synthdef_refusals`] has its name and the cause.
    SynthDefRefused,
}

/// An error of this crate.
///
/// `Clone`, so that one failure can end several waiting requests.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    refusals: Arc<[SynthDefRefusal]>,
}

impl Error {
    /// An error with a kind and a message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, refusals: Arc::default() }
    }

    /// An error with the error that caused it. The message is `what: source`, because most
    /// programs print only the message; the source is kept for those that inspect it.
    pub(crate) fn with_source(
        kind: ErrorKind,
        what: impl fmt::Display,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let source = source.into();
        let error = Self::new(kind, format!("{what}: {source}"));
        Self { source: Some(Arc::from(source)), ..error }
    }

    /// An error of the operating system; `what` is the operation that failed.
    pub(crate) fn io(what: impl fmt::Display, source: io::Error) -> Self {
        Self::with_source(ErrorKind::Io, what, source)
    }

    /// The same error with another kind.
    #[must_use]
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same error with the SynthDefs that it is about.
    #[must_use]
    pub(crate) fn with_refusals(mut self, refusals: Vec<SynthDefRefusal>) -> Self {
        self.refusals = refusals.into();
        self
    }

    /// The SynthDefs that the server refused, if the error is about them.
    pub fn synthdef_refusals(&self) -> &[SynthDefRefusal] {
        &self.refusals
    }

    /// The kind of this error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

/// Errors of SynthDefs keep their message; those of reading a file also keep their source.
impl From<SynthDefError> for Error {
    fn from(error: SynthDefError) -> Self {
        let kind = match error.kind() {
            SynthDefErrorKind::Io => ErrorKind::Io,
            _ => ErrorKind::InvalidSynthDef,
        };
        let source = error.io_error().cloned();
        let source = source.map(|error| error as Arc<dyn StdError + Send + Sync>);
        Self { source, ..Self::new(kind, error.to_string()) }
    }
}

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_of_an_error_survives_clones_and_other_kinds() {
        let error = Error::io("cannot open x", io::Error::from(io::ErrorKind::NotFound));
        let error = error.clone().with_kind(ErrorKind::ServerCannotBoot);
        assert_eq!(error.kind(), ErrorKind::ServerCannotBoot);
        assert!(error.to_string().starts_with("cannot open x: "), "{error}");
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::NotFound));
        let encoding = Error::from(consort_osc::OscPacket::decode(&[]).unwrap_err());
        assert!(encoding.source().is_some_and(|source| source.is::<consort_osc::Error>()));
    }
}
