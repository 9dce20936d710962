//! The error type of the crate.

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why bytes were rejected or a value could not be written, and where.
///
/// Programs match [`kind`](Error::kind); the `Display` text is for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{kind} (at byte {offset})")]
pub struct Error {
    kind: ErrorKind,
    offset: usize,
}

impl Error {
    #[cold]
    pub(crate) fn new(kind: ErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    /// What was wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The byte at which the error was detected, counted from the start of the packet, stream, pattern
    /// or address that was given; while encoding, from the start of the message being written.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A packet without bytes.
    #[error("the packet is empty")]
    Empty,
    /// The first byte is neither `/` (a message) nor the start of `#bundle` (a bundle).
    #[error("neither a message, which starts with '/', nor a bundle, which starts with '#bundle'")]
    NotAPacket,
    /// The size of a message or bundle is not a multiple of four.
    #[error("the size of an OSC packet must be a multiple of 4 bytes, not {0}")]
    UnalignedSize(usize),
    /// An argument or element extends beyond the end of the packet.
    #[error("expected {needed} bytes here, found {available}")]
    Truncated {
        /// The bytes that the value needs.
        needed: usize,
        /// The bytes that remain.
        available: usize,
    },
    /// A string without its terminating zero byte.
    #[error("a string has no terminating zero byte")]
    UnterminatedString,
    /// An address or a string is not UTF-8 (of which the ASCII of the specification is a part).
    #[error("a string is not valid UTF-8")]
    NotUtf8,
    /// Arguments without a type tag string, as very old programs send them.
    #[error("the type tag string is missing: expected ',' after the address")]
    TypeTagsMissing,
    /// A type tag that OSC 1.0 and 1.1 do not define; its size is unknown.
    #[error("unknown type tag {:?}", char::from(*.0))]
    UnknownTypeTag(u8),
    /// A `c` argument that is not a Unicode scalar value.
    #[error("{0:#010x} is not a Unicode character")]
    InvalidCharacter(u32),
    /// A blob, bundle element or frame with a negative size.
    #[error("negative size {0}")]
    NegativeSize(i32),
    /// `[` without `]`, or `]` without `[`.
    #[error("'[' and ']' do not balance")]
    UnbalancedArray,
    /// Bundles or arrays nested deeper than allowed.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The limit in levels.
        limit: usize,
    },
    /// More arguments in one message than allowed.
    #[error("more than {limit} arguments in one message")]
    TooManyArguments {
        /// The limit.
        limit: usize,
    },
    /// A packet or frame above the limit, or above the range of its `i32` size.
    #[error("larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// Bytes after the last argument.
    #[error("{0} unexpected bytes after the last argument")]
    TrailingBytes(usize),
    /// The caller's buffer is too small for the packet.
    #[error("the buffer is too small: {needed} more bytes needed")]
    BufferTooSmall {
        /// The missing bytes.
        needed: usize,
    },
    /// An address that does not start with `/`.
    #[error("an address must start with '/'")]
    AddressWithoutSlash,
    /// An address or pattern with nothing between two slashes, or after the last one.
    #[error("an address must have a name after every '/'")]
    EmptyName,
    /// A character that is not allowed in an address.
    #[error("the character {0:?} is not allowed in an address")]
    ForbiddenCharacter(char),
    /// A zero byte inside a string to be written: OSC strings end at the first one.
    #[error("a string contains a zero byte, which would end it")]
    ZeroInString,
    /// A bracket or brace of a pattern that is not closed.
    #[error("{0:?} is not closed")]
    Unclosed(char),
    /// A closing bracket or brace of a pattern without an opening one.
    #[error("{0:?} has no opening counterpart")]
    Unopened(char),
    /// A pattern's `[]` or `[!]`, which could match nothing or anything.
    #[error("an empty list of characters")]
    EmptyClass,
    /// A range of characters in descending order.
    #[error("the range {0:?}-{1:?} is in descending order")]
    ReversedRange(char, char),
    /// A character that is not allowed between a pattern's brackets or braces.
    #[error("the character {0:?} is not allowed between brackets or braces")]
    ForbiddenInside(char),
    /// An invalid escape sequence of a SLIP frame (RFC 1055).
    #[error("invalid SLIP escape {0:#04x}: expected 0xdc or 0xdd")]
    InvalidEscape(u8),
}
