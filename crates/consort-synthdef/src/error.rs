//! What can go wrong while a SynthDef is built, compiled or read.

use std::fmt;
use std::io;
use std::sync::Arc;

/// An error of building, compiling or reading a SynthDef.
///
/// The message names the UGen or the part of the file, and the reason; for files,
/// [`offset`](SynthDefError::offset) is the position.
#[derive(Clone, Debug)]
pub struct SynthDefError {
    kind: SynthDefErrorKind,
    /// Which SynthDef or file it is about, if known.
    context: Option<String>,
    offset: Option<usize>,
    message: String,
    source: Option<Arc<io::Error>>,
}

/// The sort of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SynthDefErrorKind {
    /// A UGen does not run at the rate, or an input has a rate that the UGen cannot read.
    WrongRate,
    /// An input that has no default was not given.
    MissingInput,
    /// A signal belongs to another SynthDef, or was created outside of a SynthDef.
    ForeignSignal,
    /// An input, an output count or an argument that the UGen cannot take.
    InvalidInput,
    /// More than 65,535 of something, or lists that are nested too deeply.
    TooMany,
    /// A number that is NaN, or too large for 32 bits.
    InvalidConstant,
    /// A name that is empty, longer than 255 bytes, or used twice.
    InvalidName,
    /// The table has no UGen of this name.
    UnknownUGen,
    /// The SynthDef has no UGen, or the file has no SynthDef.
    Empty,
    /// The file ends too early.
    Truncated,
    /// The file contradicts the format.
    Malformed,
    /// The file has an unknown version of the format.
    UnknownVersion,
    /// The file cannot be read.
    Io,
}

impl SynthDefError {
    pub(crate) fn new(kind: SynthDefErrorKind, message: impl Into<String>) -> Self {
        Self { kind, context: None, offset: None, message: message.into(), source: None }
    }

    /// An error at an offset of a file.
    pub(crate) fn at(kind: SynthDefErrorKind, offset: usize, message: impl Into<String>) -> Self {
        Self { offset: Some(offset), ..Self::new(kind, message) }
    }

    /// An error of the operating system; `message` is what failed: `cannot read FILE`.
    pub(crate) fn io(message: impl Into<String>, source: io::Error) -> Self {
        Self { source: Some(Arc::new(source)), ..Self::new(SynthDefErrorKind::Io, message) }
    }

    /// The same error, prefixed with the SynthDef or file that it is about.
    pub(crate) fn in_context(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into());
        self
    }

    /// The sort of the error.
    pub fn kind(&self) -> SynthDefErrorKind {
        self.kind
    }

    /// For files: the offset in bytes at which the error was found.
    pub fn offset(&self) -> Option<usize> {
        self.offset
    }

    /// For [`Io`](SynthDefErrorKind::Io): the operating system's error.
    pub fn io_error(&self) -> Option<&Arc<io::Error>> {
        self.source.as_ref()
    }
}

impl fmt::Display for SynthDefError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(context) = &self.context {
            write!(formatter, "{context}: ")?;
        }
        if let Some(offset) = self.offset {
            write!(formatter, "at byte {offset}: ")?;
        }
        formatter.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(formatter, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SynthDefError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::{SynthDefError, SynthDefErrorKind as Kind};
    use std::error::Error as _;

    #[test]
    fn the_context_comes_before_the_offset() {
        let error = SynthDefError::at(Kind::Malformed, 4, "the version is 3");
        assert_eq!(error.to_string(), "at byte 4: the version is 3");
        let error = error.in_context("x.scsyndef is not a SynthDef file");
        assert_eq!(
            error.to_string(),
            "x.scsyndef is not a SynthDef file: at byte 4: the version is 3"
        );
        assert_eq!((error.kind(), error.offset()), (Kind::Malformed, Some(4)));
    }

    #[test]
    fn an_error_of_the_operating_system_is_the_source() {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        let text = source.to_string();
        let error = SynthDefError::io("cannot read x", source);
        assert_eq!(error.to_string(), format!("cannot read x: {text}"));
        assert!(error.source().is_some() && error.io_error().is_some());
        assert_eq!(error.kind(), Kind::Io);
    }
}
