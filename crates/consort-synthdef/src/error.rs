//! What can go wrong while a SynthDef is built, compiled or read.

use std::fmt;

/// An error of building, compiling or reading a SynthDef.
///
/// The message says which UGen and why; for files, [`offset`](SynthDefError::offset) tells where.
#[derive(Clone, Debug)]
pub struct SynthDefError {
    kind: SynthDefErrorKind,
    message: String,
    offset: Option<usize>,
}

/// What sort of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SynthDefErrorKind {
    /// A UGen does not run at the rate, or an input has a rate that the UGen cannot read.
    WrongRate,
    /// An input that has no default was not given.
    MissingInput,
    /// A signal of another SynthDef, or of none.
    ForeignSignal,
    /// An input, an output count or an argument that the UGen cannot take.
    InvalidInput,
    /// More than 65,535 of something, or nested too deeply.
    TooMany,
    /// A number that is NaN, or too large for 32 bits.
    InvalidConstant,
    /// A name that is empty, longer than 255 bytes, or in use.
    InvalidName,
    /// The table has no UGen of this name.
    UnknownUGen,
    /// The SynthDef has no UGen.
    Empty,
    /// The file ends too early.
    Truncated,
    /// The file contradicts the format.
    Malformed,
    /// A version of the format that is not known.
    UnknownVersion,
}

impl SynthDefError {
    pub(crate) fn new(kind: SynthDefErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), offset: None }
    }

    pub(crate) fn at(kind: SynthDefErrorKind, offset: usize, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), offset: Some(offset) }
    }

    /// What sort of error it is.
    pub fn kind(&self) -> SynthDefErrorKind {
        self.kind
    }

    /// For files: the offset in bytes at which the error was found.
    pub fn offset(&self) -> Option<usize> {
        self.offset
    }
}

impl fmt::Display for SynthDefError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(formatter, "at byte {offset}: {}", self.message),
            None => formatter.write_str(&self.message),
        }
    }
}

impl std::error::Error for SynthDefError {}
