//! Errors of Standard MIDI Files, with their positions.

use std::fmt;

/// The kind of a [`FileError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileErrorKind {
    /// The bytes are not a Standard MIDI File.
    NotMidi,
    /// The file ends too early.
    Truncated,
    /// The file contradicts itself or the standard.
    Corrupt,
    /// The file has an unsupported format: format 2, or an undefined one.
    Unsupported,
    /// The file exceeds [`MAX_FILE_BYTES`](super::MAX_FILE_BYTES) or
    /// [`MAX_EVENTS`](super::MAX_EVENTS).
    TooLarge,
}

/// An error in a Standard MIDI File. Its text contains the byte, the track, and what was expected.
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

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> FileErrorKind {
        self.kind
    }

    /// The position of the error: a byte of the file, from 0.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// The track of the error, from 0; `None` outside the tracks.
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
