//! The destination of encoded packets, and the writing of their parts.

use crate::text::padded;
use crate::{ErrorKind, Result};

/// The destination of encoded packets: a `Vec<u8>`, which grows at its end, or a [`SliceSink`],
/// which does not allocate.
pub trait Sink {
    /// All bytes written so far, including those before the packet.
    fn written(&mut self) -> &mut [u8];

    /// The number of bytes written so far.
    fn position(&self) -> usize;

    /// Adds bytes at the end.
    ///
    /// # Errors
    ///
    /// The number of missing bytes, if they do not fit; then nothing is written.
    fn append(&mut self, bytes: &[u8]) -> Result<(), usize>;

    /// Adds `count` zero bytes at the end.
    ///
    /// # Errors
    ///
    /// As [`append`](Sink::append).
    fn append_zeros(&mut self, count: usize) -> Result<(), usize>;

    /// Discards the bytes after `position`.
    fn truncate(&mut self, position: usize);
}

impl Sink for Vec<u8> {
    #[inline]
    fn written(&mut self) -> &mut [u8] {
        self
    }

    #[inline]
    fn position(&self) -> usize {
        self.len()
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) -> Result<(), usize> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn append_zeros(&mut self, count: usize) -> Result<(), usize> {
        self.resize(self.len() + count, 0);
        Ok(())
    }

    #[inline]
    fn truncate(&mut self, position: usize) {
        Vec::truncate(self, position);
    }
}

/// A [`Sink`] over a buffer of fixed size.
///
/// ```
/// use consort_osc::{MessageBuilder, SliceSink};
/// let mut buffer = [0; 64];
/// let mut sink = SliceSink::new(&mut buffer);
/// MessageBuilder::new(&mut sink, "/x").int(5).finish().unwrap();
/// assert_eq!(sink.bytes(), b"/x\0\0,i\0\0\0\0\0\x05");
/// ```
#[derive(Debug)]
pub struct SliceSink<'b> {
    buffer: &'b mut [u8],
    position: usize,
}

impl<'b> SliceSink<'b> {
    /// An empty sink over `buffer`, whose content is overwritten.
    #[inline]
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, position: 0 }
    }

    /// The bytes written.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.position]
    }

    /// The bytes written, for the lifetime of the buffer.
    #[inline]
    pub fn into_bytes(self) -> &'b mut [u8] {
        &mut self.buffer[..self.position]
    }

    /// The next `count` bytes, which become part of the content, or the number of missing bytes.
    #[inline]
    fn advance(&mut self, count: usize) -> Result<&mut [u8], usize> {
        let available = self.buffer.len() - self.position;
        if count > available {
            return Err(count - available);
        }
        let start = self.position;
        self.position += count;
        Ok(&mut self.buffer[start..start + count])
    }
}

impl Sink for SliceSink<'_> {
    #[inline]
    fn written(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.position]
    }

    #[inline]
    fn position(&self) -> usize {
        self.position
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) -> Result<(), usize> {
        self.advance(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn append_zeros(&mut self, count: usize) -> Result<(), usize> {
        self.advance(count)?.fill(0);
        Ok(())
    }

    #[inline]
    fn truncate(&mut self, position: usize) {
        self.position = self.position.min(position);
    }
}

/// The error of a sink whose buffer is too small by `needed` bytes.
#[inline]
pub(super) fn too_small(needed: usize) -> ErrorKind {
    ErrorKind::BufferTooSmall { needed }
}

/// Reserves space for a size that is known later.
#[inline]
pub(super) fn reserve_size<S: Sink + ?Sized>(sink: &mut S) -> Result<(), usize> {
    sink.append_zeros(4)
}

/// Writes the size of everything after `size_offset + 4` into the 4 bytes at `size_offset`.
#[inline]
pub(super) fn patch_size<S: Sink + ?Sized>(
    sink: &mut S,
    size_offset: usize,
) -> Result<(), ErrorKind> {
    let size = sink.position() - size_offset - 4;
    let Ok(size) = i32::try_from(size) else {
        return Err(ErrorKind::TooLarge { limit: i32::MAX as usize });
    };
    sink.written()[size_offset..size_offset + 4].copy_from_slice(&size.to_be_bytes());
    Ok(())
}

/// Writes text, its terminating zero and the padding.
#[inline]
pub(super) fn append_text<S: Sink + ?Sized>(sink: &mut S, text: &str) -> Result<(), ErrorKind> {
    let bytes = text.as_bytes();
    if bytes.contains(&0) {
        return Err(ErrorKind::ZeroInString);
    }
    let padded_length = padded(bytes.len() + 1);
    sink.append(bytes).map_err(too_small)?;
    sink.append(&[0; 4][..padded_length - bytes.len()]).map_err(too_small)
}
