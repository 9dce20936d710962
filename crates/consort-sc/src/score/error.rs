//! Errors of scores.

use std::error::Error;
use std::fmt;
use std::path::Path;

/// An error in making, reading or rendering a score.
#[derive(Debug)]
pub struct ScoreError {
    kind: ScoreErrorKind,
    message: String,
    offset: Option<usize>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kind of a [`ScoreError`]. More kinds may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScoreErrorKind {
    /// A time that is negative, not finite, or too late for a score.
    InvalidTime,
    /// A packet that cannot be encoded or is too large.
    InvalidPacket,
    /// The score has no duration.
    Empty,
    /// The file does not have the format of a score, or is truncated.
    Malformed,
    /// A file or folder cannot be read or written.
    Io,
    /// A setting that the server does not accept.
    InvalidSetting,
    /// The server cannot be started.
    CannotStart,
    /// The server exited with an error.
    ServerFailed,
    /// The caller stopped the rendering.
    Stopped,
}

impl ScoreError {
    pub(crate) fn new(kind: ScoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), offset: None, source: None }
    }

    /// An error of the operating system: `cannot VERB PATH: REASON`.
    pub(crate) fn io(verb: &str, path: &Path, error: std::io::Error) -> Self {
        Self::new(ScoreErrorKind::Io, format!("cannot {verb} {}: {error}", path.display()))
            .with_source(error)
    }

    /// The same error with its cause.
    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error with the offset in the file at which it was found.
    pub(crate) fn at_offset(mut self, offset: usize) -> Self {
        self.offset = Some(offset);
        self
    }

    /// The same error with the file's name in the message.
    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        self.message = format!("{}: {}", path.display(), self.message);
        self
    }

    /// The kind of the error.
    pub fn kind(&self) -> ScoreErrorKind {
        self.kind
    }

    /// The offset in the file, in bytes, at which the error was found.
    pub fn offset(&self) -> Option<usize> {
        self.offset
    }
}

impl fmt::Display for ScoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(formatter, "{} (at byte {offset})", self.message),
            None => formatter.write_str(&self.message),
        }
    }
}

impl From<ScoreError> for crate::Error {
    /// The same message, so that music and its rendering share one error type.
    fn from(error: ScoreError) -> Self {
        use crate::ErrorKind;
        let kind = match error.kind {
            ScoreErrorKind::InvalidTime => ErrorKind::InvalidMoment,
            ScoreErrorKind::InvalidPacket | ScoreErrorKind::Empty => ErrorKind::InvalidArgument,
            ScoreErrorKind::Malformed => ErrorKind::Protocol,
            ScoreErrorKind::Io => ErrorKind::Io,
            ScoreErrorKind::InvalidSetting => ErrorKind::InvalidOptions,
            ScoreErrorKind::CannotStart => ErrorKind::ServerCannotBoot,
            ScoreErrorKind::ServerFailed | ScoreErrorKind::Stopped => ErrorKind::RequestFailed,
        };
        Self::new(kind, error.to_string())
    }
}

impl Error for ScoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
