//! Arguments of a message as views into its bytes.

use std::fmt;

use crate::text::{padded, write_tags, write_value};
use crate::{OscValue, TimeTag};

/// A colour, `r`: four bytes from red to alpha.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Color {
    /// Red, 0–255.
    pub red: u8,
    /// Green, 0–255.
    pub green: u8,
    /// Blue, 0–255.
    pub blue: u8,
    /// Opacity, 0–255.
    pub alpha: u8,
}

/// A MIDI message, `m`: port, status and two data bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MidiMessage {
    /// The port that the message is for.
    pub port: u8,
    /// The status byte.
    pub status: u8,
    /// The first data byte.
    pub data1: u8,
    /// The second data byte.
    pub data2: u8,
}

/// One argument, borrowed from the packet.
///
/// `From` makes the simple ones from Rust values, for [`encode_message`](crate::encode_message)
/// and [`MessageBuilder::argument`](crate::MessageBuilder::argument).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Argument<'a> {
    /// `i`
    Int(i32),
    /// `f`
    Float(f32),
    /// `s`
    String(&'a str),
    /// `b`
    Blob(&'a [u8]),
    /// `h`
    Long(i64),
    /// `d`
    Double(f64),
    /// `t`
    Time(TimeTag),
    /// `S`, a symbol, for systems that distinguish symbols from strings.
    Symbol(&'a str),
    /// `c`
    Char(char),
    /// `r`
    Color(Color),
    /// `m`
    Midi(MidiMessage),
    /// `T` and `F`
    Bool(bool),
    /// `N`
    Nil,
    /// `I`: "Infinitum" in OSC 1.0, "Impulse" (bang) in 1.1.
    Impulse,
    /// `[` … `]`
    Array(Array<'a>),
}

impl<'a> Argument<'a> {
    /// The type tag; `[` for an array.
    #[inline]
    pub fn type_tag(&self) -> char {
        match self {
            Self::Int(_) => 'i',
            Self::Float(_) => 'f',
            Self::String(_) => 's',
            Self::Blob(_) => 'b',
            Self::Long(_) => 'h',
            Self::Double(_) => 'd',
            Self::Time(_) => 't',
            Self::Symbol(_) => 'S',
            Self::Char(_) => 'c',
            Self::Color(_) => 'r',
            Self::Midi(_) => 'm',
            Self::Bool(true) => 'T',
            Self::Bool(false) => 'F',
            Self::Nil => 'N',
            Self::Impulse => 'I',
            Self::Array(_) => '[',
        }
    }

    /// The number of an `i`, `h`, `f` or `d`, and 1 or 0 for `T` and `F`.
    #[inline]
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::Int(value) => Some(f64::from(value)),
            Self::Float(value) => Some(f64::from(value)),
            Self::Long(value) => Some(value as f64),
            Self::Double(value) => Some(value),
            Self::Bool(value) => Some(f64::from(u8::from(value))),
            _ => None,
        }
    }

    /// The whole number of an `i` or `h`; of an `f` or `d` only if it is whole and fits.
    #[inline]
    pub fn as_i64(&self) -> Option<i64> {
        let whole = |value: f64| {
            let fits = value.trunc() == value && value.abs() <= 9_007_199_254_740_992.0;
            fits.then_some(value as i64)
        };
        match *self {
            Self::Int(value) => Some(i64::from(value)),
            Self::Long(value) => Some(value),
            Self::Float(value) => whole(f64::from(value)),
            Self::Double(value) => whole(value),
            _ => None,
        }
    }

    /// As [`as_i64`](Self::as_i64), if it fits 32 bits.
    #[inline]
    pub fn as_i32(&self) -> Option<i32> {
        self.as_i64().and_then(|value| i32::try_from(value).ok())
    }

    /// The text of an `s` or `S`.
    #[inline]
    pub fn as_str(&self) -> Option<&'a str> {
        match *self {
            Self::String(text) | Self::Symbol(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of a `b`.
    #[inline]
    pub fn as_blob(&self) -> Option<&'a [u8]> {
        match *self {
            Self::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The content of an array.
    #[inline]
    pub fn as_array(&self) -> Option<Array<'a>> {
        match *self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }

    /// An owned copy.
    pub fn to_value(&self) -> OscValue {
        match *self {
            Self::Int(value) => OscValue::Int(value),
            Self::Float(value) => OscValue::Float(value),
            Self::String(text) => OscValue::String(text.to_owned()),
            Self::Blob(bytes) => OscValue::Blob(bytes.to_vec()),
            Self::Long(value) => OscValue::Long(value),
            Self::Double(value) => OscValue::Double(value),
            Self::Time(tag) => OscValue::Time(tag),
            Self::Symbol(text) => OscValue::Symbol(text.to_owned()),
            Self::Char(character) => OscValue::Char(character),
            Self::Color(color) => OscValue::Color(color),
            Self::Midi(midi) => OscValue::Midi(midi),
            Self::Bool(value) => OscValue::Bool(value),
            Self::Nil => OscValue::Nil,
            Self::Impulse => OscValue::Impulse,
            Self::Array(array) => OscValue::Array(crate::owned::values(array.iter())),
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),+ $(,)?) => {
        $(impl<'a> From<$type> for Argument<'a> {
            #[inline]
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        })+
    };
}
from! {
    i32 => Int, f32 => Float, &'a str => String, &'a [u8] => Blob, i64 => Long, f64 => Double,
    TimeTag => Time, char => Char, Color => Color, MidiMessage => Midi, bool => Bool,
    Array<'a> => Array,
}

/// The value in the crate's notation: numbers plain, texts quoted.
impl fmt::Display for Argument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_value(f, self)
    }
}

/// The content of an array argument.
#[derive(Clone, Copy)]
pub struct Array<'a> {
    pub(crate) tags: &'a [u8],
    pub(crate) data: &'a [u8],
}

impl<'a> Array<'a> {
    /// The items in order; arrays inside come as one item each.
    #[inline]
    pub fn iter(&self) -> Arguments<'a> {
        Arguments { tags: self.tags, data: self.data }
    }

    /// The type tags between the brackets.
    #[inline]
    pub fn type_tags(&self) -> &'a [u8] {
        self.tags
    }

    /// Whether there are no items.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }
}

impl<'a> IntoIterator for Array<'a> {
    type Item = Argument<'a>;
    type IntoIter = Arguments<'a>;

    fn into_iter(self) -> Arguments<'a> {
        self.iter()
    }
}

impl PartialEq for Array<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.tags == other.tags && self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Display for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_tags(f, self.tags)?;
        self.iter().try_for_each(|item| write!(f, " {item}"))
    }
}

/// Iterator over arguments. Never allocates, never panics.
#[derive(Clone)]
pub struct Arguments<'a> {
    pub(crate) tags: &'a [u8],
    pub(crate) data: &'a [u8],
}

impl<'a> Arguments<'a> {
    /// The type tags that are still to come.
    #[inline]
    pub fn type_tags(&self) -> &'a [u8] {
        self.tags
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.data.split_first_chunk::<N>()?;
        self.data = rest;
        Some(*bytes)
    }

    #[inline]
    fn text(&mut self) -> Option<&'a str> {
        let end = find_zero(self.data)?;
        let text = std::str::from_utf8(&self.data[..end]).ok()?;
        self.data = self.data.get(padded(end + 1)..)?;
        Some(text)
    }

    #[inline]
    fn blob(&mut self) -> Option<&'a [u8]> {
        let size = usize::try_from(i32::from_be_bytes(self.take()?)).ok()?;
        let bytes = self.data.get(..size)?;
        self.data = self.data.get(padded(size)..)?;
        Some(bytes)
    }

    /// After a `[`: the tags up to its `]`, and their data. Both cursors move past it.
    fn array(&mut self) -> Option<Array<'a>> {
        let (tags, data) = (self.tags, self.data);
        let mut depth = 0usize;
        loop {
            let (&tag, rest) = self.tags.split_first()?;
            match tag {
                b'[' => depth += 1,
                b']' if depth == 0 => break,
                b']' => depth -= 1,
                tag => {
                    let size = size_of(tag, self.data)?;
                    self.data = self.data.get(size..)?;
                }
            }
            self.tags = rest;
        }
        let array = Array {
            tags: tags.get(..tags.len() - self.tags.len())?,
            data: data.get(..data.len() - self.data.len())?,
        };
        self.tags = &self.tags[1..];
        Some(array)
    }
}

/// The padded size of the argument with `tag` at the start of `data`, without looking into it.
#[inline]
fn size_of(tag: u8, data: &[u8]) -> Option<usize> {
    Some(match tag {
        b'i' | b'f' | b'c' | b'r' | b'm' => 4,
        b'h' | b'd' | b't' => 8,
        b's' | b'S' => padded(find_zero(data)? + 1),
        b'b' => {
            let size = i32::from_be_bytes(*data.first_chunk::<4>()?);
            4 + padded(usize::try_from(size).ok()?)
        }
        _ => 0,
    })
}

/// The index of the first zero byte, if any.
#[inline]
pub(crate) fn find_zero(bytes: &[u8]) -> Option<usize> {
    // Four at a time: strings are padded to that, so the last step is never short in a
    // well-formed packet.
    let mut words = bytes.chunks_exact(4);
    let mut offset = 0;
    for word in &mut words {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        let found = word.wrapping_sub(0x0101_0101) & !word & 0x8080_8080;
        if found != 0 {
            return Some(offset + found.trailing_zeros() as usize / 8);
        }
        offset += 4;
    }
    words.remainder().iter().position(|&byte| byte == 0).map(|index| offset + index)
}

impl<'a> Iterator for Arguments<'a> {
    type Item = Argument<'a>;

    #[inline]
    fn next(&mut self) -> Option<Argument<'a>> {
        let (&tag, rest) = self.tags.split_first()?;
        self.tags = rest;
        Some(match tag {
            b'f' => Argument::Float(f32::from_be_bytes(self.take()?)),
            b'i' => Argument::Int(i32::from_be_bytes(self.take()?)),
            b's' => Argument::String(self.text()?),
            b'b' => Argument::Blob(self.blob()?),
            b'h' => Argument::Long(i64::from_be_bytes(self.take()?)),
            b'd' => Argument::Double(f64::from_be_bytes(self.take()?)),
            b't' => Argument::Time(TimeTag::from_raw(u64::from_be_bytes(self.take()?))),
            b'S' => Argument::Symbol(self.text()?),
            b'c' => Argument::Char(char::from_u32(u32::from_be_bytes(self.take()?))?),
            b'r' => {
                let [red, green, blue, alpha] = self.take()?;
                Argument::Color(Color { red, green, blue, alpha })
            }
            b'm' => {
                let [port, status, data1, data2] = self.take()?;
                Argument::Midi(MidiMessage { port, status, data1, data2 })
            }
            b'T' => Argument::Bool(true),
            b'F' => Argument::Bool(false),
            b'N' => Argument::Nil,
            b'I' => Argument::Impulse,
            b'[' => Argument::Array(self.array()?),
            _ => return None,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(!self.tags.is_empty()), Some(self.tags.len()))
    }
}

impl fmt::Debug for Arguments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
