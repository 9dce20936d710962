//! The one error type of the crate.

/// What a fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why bytes were refused, or why a value could not be written, and where.
///
/// [`kind`](Error::kind) is for programs, the `Display` text for people.
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

    /// The byte at which it was noticed, counted from the start of the packet, stream, pattern
    /// or address that was given; while encoding, from the start of the message being written.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A packet of no bytes.
    #[error("the packet is empty")]
    Empty,
    /// The first byte is neither `/` (a message) nor the start of `#bundle` (a bundle).
    #[error("neither a message, which starts with '/', nor a bundle, which starts with '#bundle'")]
    NotAPacket,
    /// The size of a message or bundle is no multiple of four.
    #[error("the size of an OSC packet must be a multiple of 4 bytes, not {0}")]
    UnalignedSize(usize),
    /// An argument or element goes on beyond the end of the packet.
    #[error("{needed} bytes are needed here, and {available} are left")]
    Truncated {
        /// Bytes that the value takes.
        needed: usize,
        /// Bytes that are left.
        available: usize,
    },
    /// A string has no closing zero byte.
    #[error("a string without its closing zero byte")]
    UnterminatedString,
    /// An address or a string is not UTF-8 (of which the ASCII of the specification is a part).
    #[error("a string that is not UTF-8")]
    NotUtf8,
    /// Arguments without a type tag string, as very old programs send them.
    #[error("there is data after the address, but no type tag string, which starts with ','")]
    TypeTagsMissing,
    /// A type tag whose size nobody can know.
    #[error("unknown type tag {:?}", char::from(*.0))]
    UnknownTypeTag(u8),
    /// A `c` argument that is no Unicode scalar value.
    #[error("{0:#010x} is no character")]
    InvalidCharacter(u32),
    /// A blob, bundle element or frame whose size is below zero.
    #[error("a size below zero: {0}")]
    NegativeSize(i32),
    /// `[` without `]` or the other way round.
    #[error("'[' and ']' do not balance")]
    UnbalancedArray,
    /// Bundles or arrays nested deeper than allowed.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The deepest nesting allowed.
        limit: usize,
    },
    /// More arguments in one message than allowed.
    #[error("more than {limit} arguments in one message")]
    TooManyArguments {
        /// The most that is allowed.
        limit: usize,
    },
    /// A packet or frame that is larger than allowed, or than an `i32` can say.
    #[error("larger than the {limit} bytes allowed")]
    TooLarge {
        /// The most that is allowed, in bytes.
        limit: usize,
    },
    /// Bytes after the last argument.
    #[error("{0} bytes follow the last argument")]
    TrailingBytes(usize),
    /// The caller's buffer cannot hold what is to be written.
    #[error("the buffer is too small: {needed} bytes more are needed")]
    BufferTooSmall {
        /// Bytes that did not fit.
        needed: usize,
    },
    /// An address that does not start with `/`.
    #[error("an address must start with '/'")]
    AddressWithoutSlash,
    /// An address or pattern with nothing between two slashes, or after the last one.
    #[error("an address must have a name after every '/'")]
    EmptyName,
    /// A character that has no place in an address.
    #[error("the character {0:?} is not allowed in an address")]
    ForbiddenCharacter(char),
    /// A zero byte inside a string that is to be written: OSC strings end at the first one.
    #[error("a zero byte inside a string, where OSC would end it")]
    ZeroInString,
    /// A bracket or brace of a pattern that is not closed.
    #[error("{0:?} is never closed")]
    Unclosed(char),
    /// A closing bracket or brace of a pattern that was not opened.
    #[error("{0:?} closes nothing")]
    Unopened(char),
    /// A pattern's `[]` or `[!]`, which could match nothing or anything.
    #[error("an empty list of characters")]
    EmptyClass,
    /// A range of characters that runs backwards.
    #[error("the range {0:?}-{1:?} runs backwards")]
    ReversedRange(char, char),
    /// A character that has no place between a pattern's brackets or braces.
    #[error("the character {0:?} is not allowed between brackets or braces")]
    ForbiddenInside(char),
    /// A broken escape of a SLIP frame (RFC 1055).
    #[error("{0:#04x} after a SLIP escape, where only 0xdc and 0xdd may stand")]
    InvalidEscape(u8),
}
