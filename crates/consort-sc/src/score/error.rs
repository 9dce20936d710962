//! What can go wrong with scores.

use std::error::Error;
use std::fmt;
use std::path::Path;

/// An error of making, reading or rendering a score.
#[derive(Debug)]
pub struct ScoreError {
    kind: ScoreErrorKind,
    message: String,
    offset: Option<usize>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What sort of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScoreErrorKind {
    /// A time that a score cannot have.
    InvalidTime,
    /// A packet that cannot be written.
    InvalidPacket,
    /// The score has no length.
    Empty,
    /// The file contradicts the format, or ends too early.
    Malformed,
    /// A file or a folder cannot be read or written.
    Io,
    /// A setting that the server does not take.
    InvalidSetting,
    /// The server's program cannot be started.
    CannotStart,
    /// The server gave up.
    ServerFailed,
    /// The caller stopped the rendering.
    Stopped,
}

impl ScoreError {
    pub(crate) fn new(kind: ScoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), offset: None, source: None }
    }

    pub(crate) fn io(verb: &str, path: &Path, error: std::io::Error) -> Self {
        Self::new(ScoreErrorKind::Io, format!("cannot {verb} {}: {error}", path.display()))
            .because(error)
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn at(mut self, offset: usize) -> Self {
        self.offset = Some(offset);
        self
    }

    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        self.message = format!("{}: {}", path.display(), self.message);
        self
    }

    /// What sort of error it is.
    pub fn kind(&self) -> ScoreErrorKind {
        self.kind
    }

    /// For files: the offset in bytes at which the error was found.
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

impl Error for ScoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
