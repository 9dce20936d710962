//! What is wrong with a Standard MIDI File, and where.

use std::fmt;

/// What kind of damage it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileErrorKind {
    /// These bytes are no Standard MIDI File.
    NotMidi,
    /// The file ends too early.
    Truncated,
    /// The file contradicts itself or the standard.
    Corrupt,
    /// A kind of file that is not played: format 2, or one that nobody has defined.
    Unsupported,
    /// More bytes or events than are taken: see [`SIZE_LIMIT`](super::SIZE_LIMIT) and
    /// [`EVENT_LIMIT`](super::EVENT_LIMIT).
    TooLarge,
}

/// Something is wrong with a Standard MIDI File. The text says at which byte, in which track, and
/// what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    pub(super) kind: FileErrorKind,
    pub(super) position: usize,
    pub(super) track: Option<usize>,
    pub(super) message: String,
}

impl FileError {
    pub(super) fn new(kind: FileErrorKind, position: usize, message: impl Into<String>) -> Self {
        Self { kind, position, track: None, message: message.into() }
    }

    pub(super) fn in_track(mut self, track: usize) -> Self {
        self.track = Some(track);
        self
    }

    /// What kind of damage it is.
    #[must_use]
    pub fn kind(&self) -> FileErrorKind {
        self.kind
    }

    /// Where it is: a byte of the file, from 0.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// The track that it is in, from 0; `None` outside the tracks.
    #[must_use]
    pub fn track(&self) -> Option<usize> {
        self.track
    }

    /// What was found and what was expected, without the position.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "at byte {}", self.position)?;
        if let Some(track) = self.track {
            write!(formatter, " (track {})", track + 1)?;
        }
        write!(formatter, ": {}", self.message)
    }
}

impl std::error::Error for FileError {}
