//! Packets, messages and bundles as views that are validated once.

use std::fmt;

use crate::argument::{Arguments, find_zero};
use crate::text::{padded, write_tags};
use crate::{Error, ErrorKind, Limits, OscPacket, Result, TimeTag};

/// The string at the start of a bundle, with its padding.
pub(crate) const BUNDLE_PREFIX: &[u8; 8] = b"#bundle\0";
/// The size of `#bundle` and the time tag.
pub(crate) const BUNDLE_HEADER_BYTES: usize = 16;

/// A message or a bundle, borrowed from the bytes that contain it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Packet<'a> {
    /// An address with arguments.
    Message(Message<'a>),
    /// A time tag and packets.
    Bundle(Bundle<'a>),
}

impl<'a> Packet<'a> {
    /// Validates `bytes` under the default [`Limits`]. Does not allocate.
    ///
    /// # Errors
    ///
    /// Every [`ErrorKind`] of decoding, with the offset in `bytes`.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        Self::decode_with(bytes, &Limits::DEFAULT)
    }

    /// Validates `bytes` under `limits`. Does not allocate.
    ///
    /// # Errors
    ///
    /// Every [`ErrorKind`] of decoding, with the offset in `bytes`.
    #[inline]
    pub fn decode_with(bytes: &'a [u8], limits: &Limits) -> Result<Self> {
        if bytes.len() > limits.size {
            return Err(Error::new(ErrorKind::TooLarge { limit: limits.size }, limits.size));
        }
        if bytes.first() == Some(&b'/') {
            return validate_message(bytes, 0, limits).map(Packet::Message);
        }
        validate_packet(bytes, 0, 0, limits)
    }

    /// The view of bytes that were validated as part of a bundle.
    fn trusted(bytes: &'a [u8]) -> Option<Self> {
        if bytes.first() == Some(&b'/') {
            Message::trusted(bytes).map(Packet::Message)
        } else {
            Bundle::trusted(bytes).map(Packet::Bundle)
        }
    }

    /// The bytes of this packet.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Message(message) => message.as_bytes(),
            Self::Bundle(bundle) => bundle.as_bytes(),
        }
    }

    /// All messages in order, including those of nested bundles, without their time tags.
    /// Neither recurses nor allocates.
    #[inline]
    pub fn messages(&self) -> Messages<'a> {
        match *self {
            Self::Message(message) => Messages { first: Some(message), rest: &[] },
            Self::Bundle(bundle) => bundle.messages(),
        }
    }

    /// An owned copy.
    pub fn to_owned(&self) -> OscPacket {
        OscPacket::from(*self)
    }
}

/// Validates one packet at offset `base` of the whole, nested in `depth` bundles.
fn validate_packet<'a>(
    bytes: &'a [u8],
    base: usize,
    depth: usize,
    limits: &Limits,
) -> Result<Packet<'a>> {
    match bytes.first() {
        None => Err(Error::new(ErrorKind::Empty, base)),
        Some(b'/') => validate_message(bytes, base, limits).map(Packet::Message),
        Some(_) if bytes.starts_with(BUNDLE_PREFIX) => {
            validate_bundle(bytes, base, depth, limits).map(Packet::Bundle)
        }
        Some(_) => Err(Error::new(ErrorKind::NotAPacket, base)),
    }
}

/// Validates a bundle. Recursion is bounded by [`Limits::MAX_DEPTH`].
fn validate_bundle<'a>(
    bytes: &'a [u8],
    base: usize,
    depth: usize,
    limits: &Limits,
) -> Result<Bundle<'a>> {
    let limit = limits.bundle_depth.min(Limits::MAX_DEPTH);
    if depth >= limit {
        return Err(Error::new(ErrorKind::TooDeep { limit }, base));
    }
    let view = Bundle::trusted(bytes).ok_or_else(|| {
        let kind = ErrorKind::Truncated { needed: BUNDLE_HEADER_BYTES, available: bytes.len() };
        Error::new(kind, base)
    })?;
    let mut offset = BUNDLE_HEADER_BYTES;
    while offset < bytes.len() {
        let rest = &bytes[offset..];
        let Some((size, rest)) = rest.split_first_chunk::<4>() else {
            let kind = ErrorKind::Truncated { needed: 4, available: rest.len() };
            return Err(Error::new(kind, base + offset));
        };
        let size = i32::from_be_bytes(*size);
        let Ok(needed) = usize::try_from(size) else {
            return Err(Error::new(ErrorKind::NegativeSize(size), base + offset));
        };
        offset += 4;
        let Some(element) = rest.get(..needed) else {
            let kind = ErrorKind::Truncated { needed, available: rest.len() };
            return Err(Error::new(kind, base + offset));
        };
        validate_packet(element, base + offset, depth + 1, limits)?;
        offset += needed;
    }
    Ok(view)
}

/// Validates a message, whose first byte is known to be `/`.
#[inline]
fn validate_message<'a>(bytes: &'a [u8], base: usize, limits: &Limits) -> Result<Message<'a>> {
    let fail = |kind, offset| Err(Error::new(kind, base + offset));
    if !bytes.len().is_multiple_of(4) {
        return fail(ErrorKind::UnalignedSize(bytes.len()), 0);
    }
    let Some(address_end) = find_zero(bytes) else {
        return fail(ErrorKind::UnterminatedString, 0);
    };
    let address = &bytes[..address_end];
    if !address.is_ascii() && std::str::from_utf8(address).is_err() {
        return fail(ErrorKind::NotUtf8, 0);
    }
    let tags_start = padded(address_end + 1);
    let rest = &bytes[tags_start..];
    match rest.first() {
        None => return Ok(Message { bytes, address, tags: &[], data: &[] }),
        Some(b',') => {}
        Some(_) => return fail(ErrorKind::TypeTagsMissing, tags_start),
    }
    let Some(tags_end) = find_zero(rest) else {
        return fail(ErrorKind::UnterminatedString, tags_start);
    };
    let tags = &rest[1..tags_end];
    let data = &rest[padded(tags_end + 1)..];
    let data_offset = bytes.len() - data.len();
    let remaining = validate_arguments(tags, data, tags_start + 1, data_offset, base, limits)?;
    if remaining != 0 {
        return fail(ErrorKind::TrailingBytes(remaining), bytes.len() - remaining);
    }
    Ok(Message { bytes, address, tags, data })
}

/// Validates all arguments in one pass; returns how many bytes of `data` follow the last one.
#[inline]
fn validate_arguments(
    tags: &[u8],
    data: &[u8],
    tags_start: usize,
    data_offset: usize,
    base: usize,
    limits: &Limits,
) -> Result<usize> {
    if tags.len() > limits.arguments {
        let kind = ErrorKind::TooManyArguments { limit: limits.arguments };
        return Err(Error::new(kind, base + tags_start + limits.arguments));
    }
    let mut offset = 0usize;
    let mut depth = 0usize;
    for (index, &tag) in tags.iter().enumerate() {
        let needed = match tag {
            b'i' | b'f' | b'r' | b'm' => 4,
            b'h' | b'd' | b't' => 8,
            b'T' | b'F' | b'N' | b'I' => 0,
            b's' | b'S' | b'b' | b'c' => padded_size(tag, &data[offset..])
                .map_err(|kind| Error::new(kind, base + data_offset + offset))?,
            tag => {
                validate_bracket(tag, &mut depth, limits)
                    .map_err(|kind| Error::new(kind, base + tags_start + index))?;
                0
            }
        };
        let available = data.len() - offset;
        if needed > available {
            let kind = ErrorKind::Truncated { needed, available };
            return Err(Error::new(kind, base + data_offset + offset));
        }
        offset += needed;
    }
    if depth != 0 {
        return Err(Error::new(ErrorKind::UnbalancedArray, base + tags_start + tags.len()));
    }
    Ok(data.len() - offset)
}

/// The padded size of an argument whose content must be examined: strings, blobs and characters.
fn padded_size(tag: u8, data: &[u8]) -> Result<usize, ErrorKind> {
    match tag {
        b'b' => match data.first_chunk::<4>() {
            Some(size) => {
                let size = i32::from_be_bytes(*size);
                let size = usize::try_from(size).map_err(|_| ErrorKind::NegativeSize(size))?;
                Ok(padded(size).saturating_add(4))
            }
            None => Ok(4),
        },
        b'c' => match data.first_chunk::<4>().map(|code| u32::from_be_bytes(*code)) {
            Some(code) if char::from_u32(code).is_none() => Err(ErrorKind::InvalidCharacter(code)),
            _ => Ok(4),
        },
        _ => {
            let end = find_zero(data).ok_or(ErrorKind::UnterminatedString)?;
            std::str::from_utf8(&data[..end]).map_err(|_| ErrorKind::NotUtf8)?;
            Ok(padded(end + 1))
        }
    }
}

/// Handles `[` and `]`; any other tag is unknown.
fn validate_bracket(tag: u8, depth: &mut usize, limits: &Limits) -> Result<(), ErrorKind> {
    let limit = limits.array_depth.min(Limits::MAX_DEPTH);
    match tag {
        b'[' if *depth >= limit => Err(ErrorKind::TooDeep { limit }),
        b'[' => {
            *depth += 1;
            Ok(())
        }
        b']' => {
            *depth = depth.checked_sub(1).ok_or(ErrorKind::UnbalancedArray)?;
            Ok(())
        }
        tag => Err(ErrorKind::UnknownTypeTag(tag)),
    }
}

/// A message: an address and its arguments.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    address: &'a [u8],
    tags: &'a [u8],
    data: &'a [u8],
}

impl<'a> Message<'a> {
    /// Validates `bytes`, which must be one message, under the default [`Limits`].
    ///
    /// # Errors
    ///
    /// As [`Packet::decode`]; a bundle is [`ErrorKind::NotAPacket`] here.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        match Packet::decode_with(bytes, &const { Limits::DEFAULT.with_bundle_depth(0) }) {
            Ok(Packet::Message(message)) => Ok(message),
            Ok(Packet::Bundle(_)) => Err(Error::new(ErrorKind::NotAPacket, 0)),
            Err(error) if matches!(error.kind(), ErrorKind::TooDeep { limit: 0 }) => {
                Err(Error::new(ErrorKind::NotAPacket, 0))
            }
            Err(error) => Err(error),
        }
    }

    fn trusted(bytes: &'a [u8]) -> Option<Self> {
        let address_end = find_zero(bytes)?;
        let address = &bytes[..address_end];
        let rest = bytes.get(padded(address_end + 1)..)?;
        if rest.is_empty() {
            return Some(Self { bytes, address, tags: &[], data: &[] });
        }
        let tags_end = find_zero(rest)?;
        let tags = rest.get(1..tags_end)?;
        let data = rest.get(padded(tags_end + 1)..)?;
        Some(Self { bytes, address, tags, data })
    }

    /// The address, which may be a pattern.
    #[inline]
    pub fn address(&self) -> &'a str {
        std::str::from_utf8(self.address).unwrap_or_default()
    }

    /// The bytes of the address without its padding: the fastest key for a look-up.
    #[inline]
    pub fn address_bytes(&self) -> &'a [u8] {
        self.address
    }

    /// The type tags without the comma, including the brackets of arrays.
    #[inline]
    pub fn type_tags(&self) -> &'a [u8] {
        self.tags
    }

    /// The bytes of the arguments, in the order of the type tags.
    #[inline]
    pub fn argument_bytes(&self) -> &'a [u8] {
        self.data
    }

    /// The arguments in order; an array is one argument.
    #[inline]
    pub fn arguments(&self) -> Arguments<'a> {
        Arguments { tags: self.tags, data: self.data }
    }

    /// The bytes of this message.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl PartialEq for Message<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
            && self.tags == other.tags
            && self.arguments().eq(other.arguments())
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("address", &self.address())
            .field("arguments", &self.arguments())
            .finish()
    }
}

/// `/address ,tags value value …`
impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.address())?;
        write_tags(f, self.tags)?;
        self.arguments().try_for_each(|argument| write!(f, " {argument}"))
    }
}

/// A bundle: a time tag and packets.
#[derive(Clone, Copy)]
pub struct Bundle<'a> {
    bytes: &'a [u8],
    time: TimeTag,
}

impl<'a> Bundle<'a> {
    fn trusted(bytes: &'a [u8]) -> Option<Self> {
        let time = bytes.get(BUNDLE_PREFIX.len()..)?.first_chunk::<8>()?;
        Some(Self { bytes, time: TimeTag::from_raw(u64::from_be_bytes(*time)) })
    }

    /// The time at which the content takes effect.
    #[inline]
    pub fn time(&self) -> TimeTag {
        self.time
    }

    /// The packets in the bundle, in order; a nested bundle is one packet.
    #[inline]
    pub fn elements(&self) -> Elements<'a> {
        Elements { rest: self.content() }
    }

    /// All messages in order, those of nested bundles included; see [`Packet::messages`].
    #[inline]
    pub fn messages(&self) -> Messages<'a> {
        Messages { first: None, rest: self.content() }
    }

    /// The bytes of this bundle.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn content(&self) -> &'a [u8] {
        self.bytes.get(BUNDLE_HEADER_BYTES..).unwrap_or_default()
    }
}

impl PartialEq for Bundle<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.time == other.time && self.elements().eq(other.elements())
    }
}

impl fmt::Debug for Bundle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("time", &self.time)
            .field("elements", &self.elements())
            .finish()
    }
}

/// `#bundle @time { packet; packet }`
impl fmt::Display for Bundle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#bundle @{} {{", self.time)?;
        for (index, element) in self.elements().enumerate() {
            write!(f, "{}{element}", if index == 0 { " " } else { "; " })?;
        }
        f.write_str(" }")
    }
}

impl fmt::Display for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => message.fmt(f),
            Self::Bundle(bundle) => bundle.fmt(f),
        }
    }
}

/// Iterator over the packets of a bundle. Never allocates, never panics.
#[derive(Clone)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Elements<'a> {
    type Item = Packet<'a>;

    #[inline]
    fn next(&mut self) -> Option<Packet<'a>> {
        let (size, rest) = self.rest.split_first_chunk::<4>()?;
        let size = usize::try_from(i32::from_be_bytes(*size)).ok()?;
        let (element, rest) = rest.split_at_checked(size)?;
        self.rest = rest;
        Packet::trusted(element)
    }
}

impl fmt::Debug for Elements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// Iterator over all messages of a packet. Never allocates, never recurses, never panics.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    first: Option<Message<'a>>,
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    #[inline]
    fn next(&mut self) -> Option<Message<'a>> {
        if let Some(message) = self.first.take() {
            return Some(message);
        }
        loop {
            let (size, rest) = self.rest.split_first_chunk::<4>()?;
            if rest.first() == Some(&b'/') {
                let size = usize::try_from(i32::from_be_bytes(*size)).ok()?;
                let (element, rest) = rest.split_at_checked(size)?;
                self.rest = rest;
                return Message::trusted(element);
            }
            // A nested bundle: its elements follow, then its siblings, each with a size.
            self.rest = rest.get(BUNDLE_HEADER_BYTES..)?;
        }
    }
}
