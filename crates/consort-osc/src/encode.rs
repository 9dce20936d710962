//! Writing messages and bundles into a caller's buffer.

use crate::decode::BUNDLE;
use crate::text::padded;
use crate::{Argument, Color, Error, ErrorKind, Limits, MidiMessage, Result, TimeTag};

/// Where packets are written: a `Vec<u8>`, which grows at its end, or a [`SliceSink`], which
/// does not allocate.
pub trait Sink {
    /// All bytes written so far, also those from before the packet.
    fn written(&mut self) -> &mut [u8];

    /// How many bytes were written so far.
    fn position(&self) -> usize;

    /// Adds bytes at the end.
    ///
    /// # Errors
    ///
    /// The number of bytes that are missing, if they do not fit; nothing is written then.
    fn append(&mut self, bytes: &[u8]) -> Result<(), usize>;

    /// Adds `count` zero bytes at the end.
    ///
    /// # Errors
    ///
    /// As [`append`](Sink::append).
    fn append_zeros(&mut self, count: usize) -> Result<(), usize>;

    /// Forgets what was written after `position`.
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
    /// An empty sink over `buffer`, whose content does not matter.
    #[inline]
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, position: 0 }
    }

    /// What was written.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.position]
    }

    /// What was written, for as long as the buffer lives.
    #[inline]
    pub fn into_bytes(self) -> &'b mut [u8] {
        &mut self.buffer[..self.position]
    }

    #[inline]
    fn room(&mut self, count: usize) -> Result<&mut [u8], usize> {
        let left = self.buffer.len() - self.position;
        if count > left {
            return Err(count - left);
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
        self.room(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn append_zeros(&mut self, count: usize) -> Result<(), usize> {
        self.room(count)?.fill(0);
        Ok(())
    }

    #[inline]
    fn truncate(&mut self, position: usize) {
        self.position = self.position.min(position);
    }
}

#[inline]
fn too_small(needed: usize) -> ErrorKind {
    ErrorKind::BufferTooSmall { needed }
}

/// Opens a place for a size that is known later.
#[inline]
fn reserve_size<S: Sink + ?Sized>(sink: &mut S) -> Result<(), usize> {
    sink.append_zeros(4)
}

/// Writes the size of everything after `size_at + 4` to `size_at`.
#[inline]
fn patch_size<S: Sink + ?Sized>(sink: &mut S, size_at: usize) -> Result<(), ErrorKind> {
    let size = sink.position() - size_at - 4;
    let Ok(size) = i32::try_from(size) else {
        return Err(ErrorKind::TooLarge { limit: i32::MAX as usize });
    };
    sink.written()[size_at..size_at + 4].copy_from_slice(&size.to_be_bytes());
    Ok(())
}

/// Text, its closing zero and the padding.
#[inline]
fn append_text<S: Sink + ?Sized>(sink: &mut S, text: &str) -> Result<(), ErrorKind> {
    let bytes = text.as_bytes();
    if bytes.contains(&0) {
        return Err(ErrorKind::ZeroInString);
    }
    let whole = padded(bytes.len() + 1);
    sink.append(bytes).map_err(too_small)?;
    sink.append(&[0; 4][..whole - bytes.len()]).map_err(too_small)
}

/// Writes one message, argument by argument, without allocating.
///
/// Errors are kept until [`finish`](Self::finish); calls after one do nothing. A builder that
/// fails, or is dropped unfinished, leaves the sink as it was found. Type tags stand before the
/// arguments, so the arguments are moved up when the tags outgrow their place: rarely, and
/// never with [`with_tags`](Self::with_tags).
///
/// ```
/// use consort_osc::{MessageBuilder, TimeTag};
/// let mut bytes = Vec::new();
/// // In one go:
/// MessageBuilder::new(&mut bytes, "/a").int(1).string("x").finish().unwrap();
/// // Or step by step; the sink is free again once the builder is gone.
/// {
///     let mut message = MessageBuilder::with_tags(&mut bytes, "/b", 3);
///     for value in [0.1, 0.2, 0.3] {
///         message.float(value);
///     }
///     message.finish().unwrap();
/// }
/// assert_eq!(bytes.len(), 16 + 24);
/// ```
#[derive(Debug)]
pub struct MessageBuilder<'s, S: Sink + ?Sized> {
    sink: &'s mut S,
    /// Where the sink stood, before a size as well.
    start: usize,
    has_size: bool,
    /// Where the comma stands.
    tags_at: usize,
    /// Comma and tags written so far.
    tags: usize,
    /// Bytes kept for comma, tags and padding.
    reserved: usize,
    arrays: usize,
    error: Option<Error>,
    finished: bool,
}

impl<'s, S: Sink + ?Sized> MessageBuilder<'s, S> {
    /// Begins a message to `address`, which must start with `/`; it may be a pattern.
    #[inline]
    pub fn new(sink: &'s mut S, address: &str) -> Self {
        Self::begin(sink, address, 2, false)
    }

    /// As [`new`](Self::new), with a place for `tags` type tags (brackets of arrays count).
    #[inline]
    pub fn with_tags(sink: &'s mut S, address: &str, tags: usize) -> Self {
        Self::begin(sink, address, tags, false)
    }

    /// As [`new`](Self::new), with the size of the message before it, as a TCP stream of
    /// OSC 1.0 wants it.
    #[inline]
    pub fn length_prefixed(sink: &'s mut S, address: &str) -> Self {
        Self::begin(sink, address, 2, true)
    }

    #[inline]
    fn begin(sink: &'s mut S, address: &str, tags: usize, has_size: bool) -> Self {
        let start = sink.position();
        let mut builder = Self {
            sink,
            start,
            has_size,
            tags_at: 0,
            tags: 1,
            reserved: padded(tags.saturating_add(2).min(1 << 20)),
            arrays: 0,
            error: None,
            finished: false,
        };
        if let Err(kind) = builder.head(address) {
            builder.fail(kind);
        }
        builder
    }

    #[inline]
    fn head(&mut self, address: &str) -> Result<(), ErrorKind> {
        if !address.starts_with('/') {
            return Err(ErrorKind::AddressWithoutSlash);
        }
        if self.has_size {
            reserve_size(self.sink).map_err(too_small)?;
        }
        append_text(self.sink, address)?;
        self.tags_at = self.sink.position();
        if self.reserved == 4 {
            return self.sink.append(b",\0\0\0").map_err(too_small);
        }
        self.sink.append_zeros(self.reserved).map_err(too_small)?;
        self.sink.written()[self.tags_at] = b',';
        Ok(())
    }

    #[cold]
    fn fail(&mut self, kind: ErrorKind) {
        if self.error.is_none() {
            self.error = Some(Error::new(kind, self.sink.position().saturating_sub(self.start)));
        }
    }

    /// Adds a type tag, and makes room for it if need be. False after an error.
    #[inline]
    fn tag(&mut self, tag: u8) -> bool {
        if self.error.is_some() {
            return false;
        }
        if self.tags + 2 > self.reserved && !self.more_tags() {
            return false;
        }
        let at = self.tags_at + self.tags;
        self.sink.written()[at] = tag;
        self.tags += 1;
        true
    }

    /// Doubles the place for tags, or adds the least that helps if the sink is nearly full.
    #[cold]
    fn more_tags(&mut self) -> bool {
        let data_at = self.tags_at + self.reserved;
        let end = self.sink.position();
        let more = match self.sink.append_zeros(self.reserved) {
            Ok(()) => self.reserved,
            Err(_) => match self.sink.append_zeros(4) {
                Ok(()) => 4,
                Err(needed) => {
                    self.fail(ErrorKind::BufferTooSmall { needed });
                    return false;
                }
            },
        };
        let written = self.sink.written();
        written.copy_within(data_at..end, data_at + more);
        written[data_at..data_at + more].fill(0);
        self.reserved += more;
        true
    }

    /// Adds a tag and what `write` writes. If that does not fit, once more without the spare
    /// place for tags.
    #[inline]
    fn add(&mut self, tag: u8, write: impl Fn(&mut S) -> Result<(), ErrorKind>) -> &mut Self {
        if self.tag(tag) {
            let before = self.sink.position();
            if write(self.sink).is_err() {
                self.sink.truncate(before);
                self.compact();
                if let Err(kind) = write(self.sink) {
                    self.fail(kind);
                }
            }
        }
        self
    }

    /// Moves the arguments down to where they belong behind the tags written so far.
    #[inline]
    fn compact(&mut self) {
        let needed = padded(self.tags + 1);
        if needed < self.reserved {
            let end = self.sink.position();
            let (from, to) = (self.tags_at + self.reserved, self.tags_at + needed);
            self.sink.written().copy_within(from..end, to);
            self.sink.truncate(end - (from - to));
            self.reserved = needed;
        }
    }

    #[inline]
    fn fixed(&mut self, tag: u8, bytes: &[u8]) -> &mut Self {
        self.add(tag, |sink| sink.append(bytes).map_err(too_small))
    }

    fn text(&mut self, tag: u8, text: &str) -> &mut Self {
        self.add(tag, |sink| append_text(sink, text))
    }

    /// Adds an `i`.
    #[inline]
    pub fn int(&mut self, value: i32) -> &mut Self {
        self.fixed(b'i', &value.to_be_bytes())
    }

    /// Adds an `f`.
    #[inline]
    pub fn float(&mut self, value: f32) -> &mut Self {
        self.fixed(b'f', &value.to_be_bytes())
    }

    /// Adds an `h`.
    #[inline]
    pub fn long(&mut self, value: i64) -> &mut Self {
        self.fixed(b'h', &value.to_be_bytes())
    }

    /// Adds a `d`.
    #[inline]
    pub fn double(&mut self, value: f64) -> &mut Self {
        self.fixed(b'd', &value.to_be_bytes())
    }

    /// Adds a `t`.
    #[inline]
    pub fn time(&mut self, tag: TimeTag) -> &mut Self {
        self.fixed(b't', &tag.raw().to_be_bytes())
    }

    /// Adds an `s`; a zero byte in it is [`ErrorKind::ZeroInString`].
    #[inline]
    pub fn string(&mut self, text: &str) -> &mut Self {
        self.text(b's', text)
    }

    /// Adds an `S`; a zero byte in it is [`ErrorKind::ZeroInString`].
    #[inline]
    pub fn symbol(&mut self, text: &str) -> &mut Self {
        self.text(b'S', text)
    }

    /// Adds a `b`.
    pub fn blob(&mut self, bytes: &[u8]) -> &mut Self {
        let Ok(size) = i32::try_from(bytes.len()) else {
            self.fail(ErrorKind::TooLarge { limit: i32::MAX as usize });
            return self;
        };
        let padding = padded(bytes.len()) - bytes.len();
        self.add(b'b', |sink| {
            sink.append(&size.to_be_bytes()).map_err(too_small)?;
            sink.append(bytes).map_err(too_small)?;
            sink.append(&[0; 3][..padding]).map_err(too_small)
        })
    }

    /// Adds a `c`.
    #[inline]
    pub fn char(&mut self, character: char) -> &mut Self {
        self.fixed(b'c', &u32::from(character).to_be_bytes())
    }

    /// Adds an `r`.
    #[inline]
    pub fn color(&mut self, color: Color) -> &mut Self {
        self.fixed(b'r', &[color.red, color.green, color.blue, color.alpha])
    }

    /// Adds an `m`.
    #[inline]
    pub fn midi(&mut self, midi: MidiMessage) -> &mut Self {
        self.fixed(b'm', &[midi.port, midi.status, midi.data1, midi.data2])
    }

    /// Adds a `T` or `F`.
    #[inline]
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.fixed(if value { b'T' } else { b'F' }, &[])
    }

    /// Adds an `N`.
    #[inline]
    pub fn nil(&mut self) -> &mut Self {
        self.fixed(b'N', &[])
    }

    /// Adds an `I`.
    #[inline]
    pub fn impulse(&mut self) -> &mut Self {
        self.fixed(b'I', &[])
    }

    /// Opens an array: what follows, up to [`close_array`](Self::close_array), is in it.
    pub fn open_array(&mut self) -> &mut Self {
        if self.arrays >= Limits::MAX_DEPTH {
            self.fail(ErrorKind::TooDeep { limit: Limits::MAX_DEPTH });
        } else if self.tag(b'[') {
            self.arrays += 1;
        }
        self
    }

    /// Closes the array opened last.
    pub fn close_array(&mut self) -> &mut Self {
        if self.arrays == 0 {
            self.fail(ErrorKind::UnbalancedArray);
        } else if self.tag(b']') {
            self.arrays -= 1;
        }
        self
    }

    /// Adds an argument of any type.
    pub fn argument(&mut self, argument: Argument<'_>) -> &mut Self {
        match argument {
            Argument::Int(value) => self.int(value),
            Argument::Float(value) => self.float(value),
            Argument::String(text) => self.string(text),
            Argument::Blob(bytes) => self.blob(bytes),
            Argument::Long(value) => self.long(value),
            Argument::Double(value) => self.double(value),
            Argument::Time(tag) => self.time(tag),
            Argument::Symbol(text) => self.symbol(text),
            Argument::Char(character) => self.char(character),
            Argument::Color(color) => self.color(color),
            Argument::Midi(midi) => self.midi(midi),
            Argument::Bool(value) => self.bool(value),
            Argument::Nil => self.nil(),
            Argument::Impulse => self.impulse(),
            Argument::Array(array) => {
                self.open_array();
                for item in array {
                    self.argument(item);
                }
                self.close_array()
            }
        }
    }

    /// Completes the message. Returns its size in bytes, the length before it not counted.
    ///
    /// # Errors
    ///
    /// The first error of all calls: [`ErrorKind::BufferTooSmall`],
    /// [`AddressWithoutSlash`](ErrorKind::AddressWithoutSlash),
    /// [`ZeroInString`](ErrorKind::ZeroInString), [`UnbalancedArray`](ErrorKind::UnbalancedArray),
    /// [`TooDeep`](ErrorKind::TooDeep) or [`TooLarge`](ErrorKind::TooLarge).
    /// The sink is then as it was before the message.
    #[inline]
    pub fn finish(&mut self) -> Result<usize> {
        if self.arrays != 0 {
            self.fail(ErrorKind::UnbalancedArray);
        }
        if self.error.is_none() && !self.finished {
            self.compact();
            if self.has_size
                && let Err(kind) = patch_size(self.sink, self.start)
            {
                self.fail(kind);
            }
        }
        if let Some(error) = self.error {
            self.sink.truncate(self.start);
            self.finished = true;
            return Err(error);
        }
        self.finished = true;
        Ok(self.sink.position() - self.start - if self.has_size { 4 } else { 0 })
    }
}

impl<S: Sink + ?Sized> Drop for MessageBuilder<'_, S> {
    #[inline]
    fn drop(&mut self) {
        if !self.finished {
            self.sink.truncate(self.start);
        }
    }
}

/// Writes one message with these arguments; returns its size in bytes.
///
/// # Errors
///
/// As [`MessageBuilder::finish`].
pub fn encode_message<S: Sink + ?Sized>(
    sink: &mut S,
    address: &str,
    arguments: &[Argument<'_>],
) -> Result<usize> {
    let mut builder = MessageBuilder::with_tags(sink, address, arguments.len());
    for &argument in arguments {
        builder.argument(argument);
    }
    builder.finish()
}

/// Writes a bundle, element by element, without allocating.
///
/// As with [`MessageBuilder`], one that fails or is dropped unfinished leaves the sink as it
/// was found; so an element that failed is simply not in the bundle.
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
    /// Begins a bundle that is to take effect at `time`.
    pub fn new(sink: &'s mut S, time: TimeTag) -> Self {
        Self::begin(sink, time, 1, false)
    }

    /// As [`new`](Self::new), with the size of the bundle before it, as a TCP stream of
    /// OSC 1.0 and a SuperCollider score want it.
    pub fn length_prefixed(sink: &'s mut S, time: TimeTag) -> Self {
        Self::begin(sink, time, 1, true)
    }

    fn begin(sink: &'s mut S, time: TimeTag, depth: usize, has_size: bool) -> Self {
        let start = sink.position();
        let mut builder = Self { sink, start, has_size, depth, error: None, finished: false };
        let header = if has_size { reserve_size(builder.sink) } else { Ok(()) }
            .and_then(|()| builder.sink.append(BUNDLE))
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

    /// As [`message`](Self::message), with a place for `tags` type tags.
    #[inline]
    pub fn message_with_tags(&mut self, address: &str, tags: usize) -> MessageBuilder<'_, S> {
        MessageBuilder::begin(self.sink, address, tags, true)
    }

    /// Begins a bundle in the bundle.
    pub fn bundle(&mut self, time: TimeTag) -> BundleBuilder<'_, S> {
        BundleBuilder::begin(self.sink, time, self.depth + 1, true)
    }

    /// Adds a packet that is encoded already, which is not looked into.
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
