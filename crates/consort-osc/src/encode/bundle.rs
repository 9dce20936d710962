//! Encoding bundles.

use super::message::MessageBuilder;
use super::sink::{Sink, patch_size, reserve_size};
use crate::decode::BUNDLE_PREFIX;
use crate::{Error, ErrorKind, Limits, Result, TimeTag};

/// Writes a bundle, element by element, without allocating.
///
/// As with [`MessageBuilder`], a builder that fails or is dropped unfinished leaves the sink
/// unchanged; an element that failed is therefore not in the bundle.
///
/// ```
/// use consort_osc::{BundleBuilder, Packet, TimeTag};
/// # fn main() -> Result<(), consort_osc::Error> {
/// let mut bytes = Vec::new();
/// let mut bundle = BundleBuilder::new(&mut bytes, TimeTag::IMMEDIATE);
/// bundle.message("/a").int(1).finish()?;
/// bundle.message("/b").float(0.5).string("x").finish()?;
/// bundle.finish()?;
/// assert_eq!(
///     Packet::decode(&bytes)?.to_string(),
///     r#"#bundle @immediately { /a ,i 1; /b ,fs 0.5 "x" }"#
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BundleBuilder<'s, S: Sink + ?Sized> {
    sink: &'s mut S,
    start: usize,
    has_size: bool,
    depth: usize,
    error: Option<Error>,
    finished: bool,
}

impl<'s, S: Sink + ?Sized> BundleBuilder<'s, S> {
    /// Begins a bundle that takes effect at `time`.
    pub fn new(sink: &'s mut S, time: TimeTag) -> Self {
        Self::begin(sink, time, 1, false)
    }

    /// As [`new`](Self::new), with the size of the bundle before it, as TCP streams of
    /// OSC 1.0 and SuperCollider scores require.
    pub fn length_prefixed(sink: &'s mut S, time: TimeTag) -> Self {
        Self::begin(sink, time, 1, true)
    }

    fn begin(sink: &'s mut S, time: TimeTag, depth: usize, has_size: bool) -> Self {
        let start = sink.position();
        let mut builder = Self { sink, start, has_size, depth, error: None, finished: false };
        let header = if has_size { reserve_size(builder.sink) } else { Ok(()) }
            .and_then(|()| builder.sink.append(BUNDLE_PREFIX))
            .and_then(|()| builder.sink.append(&time.raw().to_be_bytes()));
        if depth > Limits::MAX_DEPTH {
            builder.fail(ErrorKind::TooDeep { limit: Limits::MAX_DEPTH });
        } else if let Err(needed) = header {
            builder.fail(ErrorKind::BufferTooSmall { needed });
        }
        builder
    }

    #[cold]
    fn fail(&mut self, kind: ErrorKind) {
        if self.error.is_none() {
            self.error = Some(Error::new(kind, self.sink.position() - self.start));
        }
    }

    /// Begins a message in the bundle.
    #[inline]
    pub fn message(&mut self, address: &str) -> MessageBuilder<'_, S> {
        MessageBuilder::begin(self.sink, address, 2, true)
    }

    /// As [`message`](Self::message), reserving space for `tags` type tags.
    #[inline]
    pub fn message_with_tags(&mut self, address: &str, tags: usize) -> MessageBuilder<'_, S> {
        MessageBuilder::begin(self.sink, address, tags, true)
    }

    /// Begins a bundle in the bundle.
    pub fn bundle(&mut self, time: TimeTag) -> BundleBuilder<'_, S> {
        BundleBuilder::begin(self.sink, time, self.depth + 1, true)
    }

    /// Adds an encoded packet without examining it.
    pub fn encoded(&mut self, packet: &[u8]) {
        if self.error.is_none() {
            let before = self.sink.position();
            if let Err(error) = crate::encode_length_prefixed(packet, self.sink) {
                self.sink.truncate(before);
                self.fail(error.kind());
            }
        }
    }

    /// Bytes of the bundle so far, the length before it not counted.
    pub fn size(&self) -> usize {
        self.sink.position() - self.start - if self.has_size { 4 } else { 0 }
    }

    /// Completes the bundle. Returns its size in bytes, the length before it not counted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BufferTooSmall`], [`TooDeep`](ErrorKind::TooDeep) or
    /// [`TooLarge`](ErrorKind::TooLarge); the sink is then as it was before the bundle. Errors
    /// of elements are those of their own builders.
    pub fn finish(mut self) -> Result<usize> {
        if self.error.is_none()
            && self.has_size
            && !self.finished
            && let Err(kind) = patch_size(self.sink, self.start)
        {
            self.fail(kind);
        }
        let size = self.size();
        self.finished = true;
        match self.error {
            Some(error) => {
                self.sink.truncate(self.start);
                Err(error)
            }
            None => Ok(size),
        }
    }
}

impl<S: Sink + ?Sized> Drop for BundleBuilder<'_, S> {
    fn drop(&mut self) {
        if !self.finished {
            self.sink.truncate(self.start);
        }
    }
}
