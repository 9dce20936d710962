//! Encoding messages.

use super::sink::{Sink, append_text, patch_size, reserve_size, too_small};
use crate::text::padded;
use crate::{Argument, Color, Error, ErrorKind, Limits, MidiMessage, Result, TimeTag};

/// Writes one message, argument by argument, without allocating.
///
/// The first error is returned by [`finish`](Self::finish); calls after an error do nothing. A
/// builder that fails, or is dropped unfinished, leaves the sink unchanged. Type tags precede the
/// arguments, so the arguments are moved when the tags exceed the reserved space: rarely, and never
/// with [`with_tags`](Self::with_tags).
///
/// ```
/// use consort_osc::{MessageBuilder, TimeTag};
/// let mut bytes = Vec::new();
/// // In one expression:
/// MessageBuilder::new(&mut bytes, "/a").int(1).string("x").finish().unwrap();
/// // Or step by step; the sink can be used again when the builder is dropped.
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
    /// The position of the sink at the start, before the size if there is one.
    start: usize,
    has_size: bool,
    /// The position of the comma.
    tags_start: usize,
    /// The number of bytes written for the comma and the tags.
    tags: usize,
    /// The number of bytes reserved for the comma, the tags and their padding.
    reserved: usize,
    /// The number of arrays that are open.
    open_arrays: usize,
    error: Option<Error>,
    finished: bool,
}

impl<'s, S: Sink + ?Sized> MessageBuilder<'s, S> {
    /// Begins a message to `address`, which must start with `/`; it may be a pattern.
    #[inline]
    pub fn new(sink: &'s mut S, address: &str) -> Self {
        Self::begin(sink, address, 2, false)
    }

    /// As [`new`](Self::new), reserving space for `tags` type tags. Each bracket of an array is one.
    #[inline]
    pub fn with_tags(sink: &'s mut S, address: &str, tags: usize) -> Self {
        Self::begin(sink, address, tags, false)
    }

    /// As [`new`](Self::new), with the size of the message before it, as TCP streams of
    /// OSC 1.0 require.
    #[inline]
    pub fn length_prefixed(sink: &'s mut S, address: &str) -> Self {
        Self::begin(sink, address, 2, true)
    }

    #[inline]
    pub(super) fn begin(sink: &'s mut S, address: &str, tags: usize, has_size: bool) -> Self {
        let start = sink.position();
        let mut builder = Self {
            sink,
            start,
            has_size,
            tags_start: 0,
            tags: 1,
            reserved: padded(tags.saturating_add(2).min(1 << 20)),
            open_arrays: 0,
            error: None,
            finished: false,
        };
        if let Err(kind) = builder.write_head(address) {
            builder.fail(kind);
        }
        builder
    }

    #[inline]
    fn write_head(&mut self, address: &str) -> Result<(), ErrorKind> {
        if !address.starts_with('/') {
            return Err(ErrorKind::AddressWithoutSlash);
        }
        if self.has_size {
            reserve_size(self.sink).map_err(too_small)?;
        }
        append_text(self.sink, address)?;
        self.tags_start = self.sink.position();
        if self.reserved == 4 {
            return self.sink.append(b",\0\0\0").map_err(too_small);
        }
        self.sink.append_zeros(self.reserved).map_err(too_small)?;
        self.sink.written()[self.tags_start] = b',';
        Ok(())
    }

    #[cold]
    fn fail(&mut self, kind: ErrorKind) {
        if self.error.is_none() {
            self.error = Some(Error::new(kind, self.sink.position().saturating_sub(self.start)));
        }
    }

    /// Adds a type tag and grows the space for tags if needed. False after an error.
    #[inline]
    fn tag(&mut self, tag: u8) -> bool {
        if self.error.is_some() {
            return false;
        }
        if self.tags + 2 > self.reserved && !self.grow_tags() {
            return false;
        }
        let tag_offset = self.tags_start + self.tags;
        self.sink.written()[tag_offset] = tag;
        self.tags += 1;
        true
    }

    /// Doubles the space for tags, or adds the minimum if the sink is nearly full.
    #[cold]
    fn grow_tags(&mut self) -> bool {
        let data_start = self.tags_start + self.reserved;
        let end = self.sink.position();
        let added = match self.sink.append_zeros(self.reserved) {
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
        written.copy_within(data_start..end, data_start + added);
        written[data_start..data_start + added].fill(0);
        self.reserved += added;
        true
    }

    /// Adds a tag and the data that `write` writes. If the data does not fit, tries again without
    /// the spare space for tags.
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

    /// Moves the arguments to their final place after the tags written so far.
    #[inline]
    fn compact(&mut self) {
        let needed = padded(self.tags + 1);
        if needed < self.reserved {
            let end = self.sink.position();
            let (from, to) = (self.tags_start + self.reserved, self.tags_start + needed);
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

    /// Adds an integer of 32 bits (`i`).
    #[inline]
    pub fn int(&mut self, value: i32) -> &mut Self {
        self.fixed(b'i', &value.to_be_bytes())
    }

    /// Adds a float of 32 bits (`f`).
    #[inline]
    pub fn float(&mut self, value: f32) -> &mut Self {
        self.fixed(b'f', &value.to_be_bytes())
    }

    /// Adds an integer of 64 bits (`h`).
    #[inline]
    pub fn long(&mut self, value: i64) -> &mut Self {
        self.fixed(b'h', &value.to_be_bytes())
    }

    /// Adds a float of 64 bits (`d`).
    #[inline]
    pub fn double(&mut self, value: f64) -> &mut Self {
        self.fixed(b'd', &value.to_be_bytes())
    }

    /// Adds a time tag (`t`).
    #[inline]
    pub fn time(&mut self, tag: TimeTag) -> &mut Self {
        self.fixed(b't', &tag.raw().to_be_bytes())
    }

    /// Adds a string (`s`); a zero byte in it is [`ErrorKind::ZeroInString`].
    #[inline]
    pub fn string(&mut self, text: &str) -> &mut Self {
        self.text(b's', text)
    }

    /// Adds a symbol (`S`); a zero byte in it is [`ErrorKind::ZeroInString`].
    #[inline]
    pub fn symbol(&mut self, text: &str) -> &mut Self {
        self.text(b'S', text)
    }

    /// Adds a blob (`b`).
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

    /// Adds a character (`c`).
    #[inline]
    pub fn char(&mut self, character: char) -> &mut Self {
        self.fixed(b'c', &u32::from(character).to_be_bytes())
    }

    /// Adds an RGBA colour (`r`).
    #[inline]
    pub fn color(&mut self, color: Color) -> &mut Self {
        self.fixed(b'r', &[color.red, color.green, color.blue, color.alpha])
    }

    /// Adds a MIDI message (`m`).
    #[inline]
    pub fn midi(&mut self, midi: MidiMessage) -> &mut Self {
        self.fixed(b'm', &[midi.port, midi.status, midi.data1, midi.data2])
    }

    /// Adds a boolean (`T` or `F`), which is only a type tag.
    #[inline]
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.fixed(if value { b'T' } else { b'F' }, &[])
    }

    /// Adds nil (`N`), which is only a type tag.
    #[inline]
    pub fn nil(&mut self) -> &mut Self {
        self.fixed(b'N', &[])
    }

    /// Adds an impulse (`I`), which is only a type tag.
    #[inline]
    pub fn impulse(&mut self) -> &mut Self {
        self.fixed(b'I', &[])
    }

    /// Opens an array: what follows, up to [`close_array`](Self::close_array), is in it.
    pub fn open_array(&mut self) -> &mut Self {
        if self.open_arrays >= Limits::MAX_DEPTH {
            self.fail(ErrorKind::TooDeep { limit: Limits::MAX_DEPTH });
        } else if self.tag(b'[') {
            self.open_arrays += 1;
        }
        self
    }

    /// Closes the array opened last.
    pub fn close_array(&mut self) -> &mut Self {
        if self.open_arrays == 0 {
            self.fail(ErrorKind::UnbalancedArray);
        } else if self.tag(b']') {
            self.open_arrays -= 1;
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

    /// Completes the message. Returns its size in bytes, without the length prefix.
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
        if self.open_arrays != 0 {
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
