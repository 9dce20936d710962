//! A cursor over the bytes of a SynthDef file, whose errors have an offset.

use crate::error::{SynthDefError, SynthDefErrorKind as Kind};
use crate::rate::Rate;

/// The maximum number of elements of each kind in one SynthDef; larger counts are rejected before
/// memory is reserved.
const MAX_COUNT: u32 = 65_535;

/// A position in the bytes of a file.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) offset: usize,
    /// Whether counts and indices have 16 bits instead of 32, as in version 1.
    pub(super) narrow: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0, narrow: false }
    }

    /// The next bytes; `what` names them in errors.
    pub(super) fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8], SynthDefError> {
        let rest = self.bytes.len() - self.offset;
        if count > rest {
            return Err(SynthDefError::at(
                Kind::Truncated,
                self.offset,
                format!("the file ends before {what}: expected {count} bytes, found {rest}"),
            ));
        }
        let slice = &self.bytes[self.offset..self.offset + count];
        self.offset += count;
        Ok(slice)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], SynthDefError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self, what: &str) -> Result<u8, SynthDefError> {
        Ok(self.array::<1>(what)?[0])
    }

    pub(super) fn short(&mut self, what: &str) -> Result<i16, SynthDefError> {
        Ok(i16::from_be_bytes(self.array(what)?))
    }

    /// A count or an index; -1 of either width is `u32::MAX`.
    pub(super) fn word(&mut self, what: &str) -> Result<u32, SynthDefError> {
        if self.narrow {
            return Ok(match self.short(what)? {
                -1 => u32::MAX,
                value => u32::from(value as u16),
            });
        }
        Ok(u32::from_be_bytes(self.array(what)?))
    }

    /// A count of elements of at least `size_each` bytes, which must fit into the rest of the file.
    pub(super) fn count(&mut self, what: &str, size_each: usize) -> Result<u32, SynthDefError> {
        let start = self.offset;
        let count = self.word(what)?;
        let rest = self.bytes.len() - self.offset;
        if count > MAX_COUNT {
            return Err(SynthDefError::at(
                Kind::TooMany,
                start,
                format!("{what} is {count}; the maximum is {MAX_COUNT}"),
            ));
        }
        if count as usize * size_each > rest {
            return Err(SynthDefError::at(
                Kind::Truncated,
                start,
                format!("{what} is {count}, but only {rest} bytes follow"),
            ));
        }
        Ok(count)
    }

    pub(super) fn float(&mut self, what: &str) -> Result<f32, SynthDefError> {
        Ok(f32::from_be_bytes(self.array(what)?))
    }

    pub(super) fn string(&mut self, what: &str) -> Result<&'a str, SynthDefError> {
        let start = self.offset;
        let length = self.byte(what)?;
        let bytes = self.take(usize::from(length), what)?;
        std::str::from_utf8(bytes).map_err(|_| {
            SynthDefError::at(Kind::Malformed, start, format!("{what} is not valid UTF-8"))
        })
    }

    pub(super) fn rate(&mut self, what: &str) -> Result<Rate, SynthDefError> {
        let start = self.offset;
        let byte = self.byte(what)?;
        Rate::from_byte(byte).ok_or_else(|| {
            SynthDefError::at(Kind::Malformed, start, format!("{what} is {byte}; expected 0 to 3"))
        })
    }
}
