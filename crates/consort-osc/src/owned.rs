//! Owned packets.

use std::fmt;

use crate::text::{write_blob, write_value};
use crate::{
    Argument, Arguments, Bundle, BundleBuilder, Color, Error, Limits, Message, MessageBuilder,
    MidiMessage, Packet, Result, Sink, TimeTag,
};

/// One argument that owns its content. `From` converts most Rust values.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum OscValue {
    /// `i`
    Int(i32),
    /// `f`
    Float(f32),
    /// `s`
    String(String),
    /// `b`
    Blob(Vec<u8>),
    /// `h`
    Long(i64),
    /// `d`
    Double(f64),
    /// `t`
    Time(TimeTag),
    /// `S`
    Symbol(String),
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
    /// `I`
    Impulse,
    /// `[` … `]`
    Array(Vec<OscValue>),
}

impl OscValue {
    /// The value as a borrowed argument; `None` for an array, whose content
    /// is not encoded.
    pub fn as_argument(&self) -> Option<Argument<'_>> {
        Some(match self {
            Self::Int(value) => Argument::Int(*value),
            Self::Float(value) => Argument::Float(*value),
            Self::String(text) => Argument::String(text),
            Self::Blob(bytes) => Argument::Blob(bytes),
            Self::Long(value) => Argument::Long(*value),
            Self::Double(value) => Argument::Double(*value),
            Self::Time(tag) => Argument::Time(*tag),
            Self::Symbol(text) => Argument::Symbol(text),
            Self::Char(character) => Argument::Char(*character),
            Self::Color(color) => Argument::Color(*color),
            Self::Midi(midi) => Argument::Midi(*midi),
            Self::Bool(value) => Argument::Bool(*value),
            Self::Nil => Argument::Nil,
            Self::Impulse => Argument::Impulse,
            Self::Array(_) => return None,
        })
    }

    /// The number of an `i`, `h`, `f` or `d`, and 1 or 0 for `T` and `F`.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_argument()?.as_f64()
    }

    /// The whole number of an `i` or `h`; of an `f` or `d` only if it is whole and fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_argument()?.as_i64()
    }

    /// As [`as_i64`](Self::as_i64), if it fits 32 bits.
    pub fn as_i32(&self) -> Option<i32> {
        self.as_argument()?.as_i32()
    }

    /// The text of an `s` or `S`.
    pub fn as_str(&self) -> Option<&str> {
        self.as_argument()?.as_str()
    }

    /// The bytes of a `b`.
    pub fn as_blob(&self) -> Option<&[u8]> {
        self.as_argument()?.as_blob()
    }

    /// How many type tags the value needs. Stops at the depth that encoders reject.
    fn tags(&self, depth: usize) -> usize {
        match self {
            Self::Array(items) if depth <= Limits::MAX_DEPTH => {
                2 + items.iter().map(|item| item.tags(depth + 1)).sum::<usize>()
            }
            _ => 1,
        }
    }

    fn write<S: Sink + ?Sized>(&self, builder: &mut MessageBuilder<'_, S>, depth: usize) {
        match self {
            Self::Array(items) => {
                builder.open_array();
                // Beyond the deepest level the builder has failed already.
                if depth < Limits::MAX_DEPTH {
                    items.iter().for_each(|item| item.write(builder, depth + 1));
                }
                builder.close_array();
            }
            value => {
                if let Some(argument) = value.as_argument() {
                    builder.argument(argument);
                }
            }
        }
    }

    fn write_tags(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Array(items) => {
                f.write_str("[")?;
                items.iter().try_for_each(|item| item.write_tags(f))?;
                f.write_str("]")
            }
            value => match value.as_argument() {
                Some(argument) => write!(f, "{}", argument.type_tag()),
                None => Ok(()),
            },
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),+ $(,)?) => {
        $(impl From<$type> for OscValue {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })+
    };
}
from! {
    i32 => Int, f32 => Float, &str => String, String => String, &[u8] => Blob, Vec<u8> => Blob,
    i64 => Long, f64 => Double, TimeTag => Time, char => Char, Color => Color,
    MidiMessage => Midi, bool => Bool, Vec<OscValue> => Array,
}

impl From<Argument<'_>> for OscValue {
    fn from(argument: Argument<'_>) -> Self {
        argument.to_value()
    }
}

impl fmt::Display for OscValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Blob(bytes) => write_blob(f, bytes),
            value => match value.as_argument() {
                Some(argument) => write_value(f, &argument),
                None => Ok(()),
            },
        }
    }
}

/// A message that owns its content.
#[derive(Debug, Clone, PartialEq)]
pub struct OscMessage {
    /// The address, which starts with `/`.
    pub address: String,
    /// The arguments in order.
    pub arguments: Vec<OscValue>,
}

impl OscMessage {
    /// A message to `address`.
    ///
    /// ```
    /// use consort_osc::OscMessage;
    /// let message = OscMessage::new("/s_new", ["default".into(), 1000.into(), 0.5f32.into()]);
    /// assert_eq!(message.to_string(), r#"/s_new ,sif "default" 1000 0.5"#);
    /// ```
    pub fn new(address: impl Into<String>, arguments: impl Into<Vec<OscValue>>) -> Self {
        Self { address: address.into(), arguments: arguments.into() }
    }

    /// Writes the message at the end of `sink`; returns its size in bytes.
    ///
    /// # Errors
    ///
    /// As [`MessageBuilder::finish`]; the sink is then unchanged.
    pub fn encode<S: Sink + ?Sized>(&self, sink: &mut S) -> Result<usize> {
        self.write(MessageBuilder::with_tags(sink, &self.address, self.tags()))
    }

    fn tags(&self) -> usize {
        self.arguments.iter().map(|value| value.tags(1)).sum()
    }

    fn write<S: Sink + ?Sized>(&self, mut builder: MessageBuilder<'_, S>) -> Result<usize> {
        self.arguments.iter().for_each(|value| value.write(&mut builder, 0));
        builder.finish()
    }
}

/// Owned copies. The vector is allocated at its final size if there are no arrays inside. (With
/// arrays, a small packet of deeply nested tags could otherwise demand memory at every level.)
pub(crate) fn values(arguments: Arguments<'_>) -> Vec<OscValue> {
    let tags = arguments.type_tags();
    let mut values = match tags.contains(&b'[') {
        true => Vec::new(),
        false => Vec::with_capacity(tags.len()),
    };
    values.extend(arguments.map(|argument| argument.to_value()));
    values
}

impl From<Message<'_>> for OscMessage {
    fn from(message: Message<'_>) -> Self {
        Self { address: message.address().to_owned(), arguments: values(message.arguments()) }
    }
}

/// `/address ,tags value value …`
impl fmt::Display for OscMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ,", self.address)?;
        self.arguments.iter().try_for_each(|value| value.write_tags(f))?;
        self.arguments.iter().try_for_each(|value| write!(f, " {value}"))
    }
}

/// A bundle that owns its content.
#[derive(Debug, Clone, PartialEq)]
pub struct OscBundle {
    /// The time at which the content takes effect.
    pub time: TimeTag,
    /// The packets in order.
    pub elements: Vec<OscPacket>,
}

impl OscBundle {
    /// A bundle that takes effect at `time`.
    pub fn new(time: TimeTag, elements: impl Into<Vec<OscPacket>>) -> Self {
        Self { time, elements: elements.into() }
    }

    /// Writes the bundle at the end of `sink`; returns its size in bytes.
    ///
    /// # Errors
    ///
    /// As [`OscPacket::encode`]; the sink is then unchanged.
    pub fn encode<S: Sink + ?Sized>(&self, sink: &mut S) -> Result<usize> {
        self.write(BundleBuilder::new(sink, self.time), 1)
    }

    fn write<S: Sink + ?Sized>(
        &self,
        mut builder: BundleBuilder<'_, S>,
        depth: usize,
    ) -> Result<usize> {
        // A level too deep makes `finish` fail; its content is not needed for that.
        let elements = if depth > Limits::MAX_DEPTH { &[] } else { self.elements.as_slice() };
        for element in elements {
            match element {
                OscPacket::Message(message) => {
                    message.write(builder.message_with_tags(&message.address, message.tags()))?
                }
                OscPacket::Bundle(bundle) => {
                    bundle.write(builder.bundle(bundle.time), depth + 1)?
                }
            };
        }
        builder.finish()
    }
}

impl From<Bundle<'_>> for OscBundle {
    fn from(bundle: Bundle<'_>) -> Self {
        Self { time: bundle.time(), elements: bundle.elements().map(OscPacket::from).collect() }
    }
}

/// `#bundle @time { packet; packet }`
impl fmt::Display for OscBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#bundle @{} {{", self.time)?;
        for (index, element) in self.elements.iter().enumerate() {
            write!(f, "{}{element}", if index == 0 { " " } else { "; " })?;
        }
        f.write_str(" }")
    }
}

/// A message or a bundle that owns its content.
#[derive(Debug, Clone, PartialEq)]
pub enum OscPacket {
    /// An address with arguments.
    Message(OscMessage),
    /// A time tag and packets.
    Bundle(OscBundle),
}

impl OscPacket {
    /// Decodes under the default [`Limits`].
    ///
    /// # Errors
    ///
    /// As [`Packet::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Packet::decode(bytes).map(Self::from)
    }

    /// Writes the packet at the end of `sink`; returns its size in bytes.
    ///
    /// # Errors
    ///
    /// As [`MessageBuilder::finish`] and [`BundleBuilder::finish`]; bundles and arrays nested
    /// deeper than [`Limits::MAX_DEPTH`] are rejected. The sink is then unchanged.
    pub fn encode<S: Sink + ?Sized>(&self, sink: &mut S) -> Result<usize> {
        match self {
            Self::Message(message) => message.encode(sink),
            Self::Bundle(bundle) => bundle.encode(sink),
        }
    }

    /// The packet's bytes.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn to_vec(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes)?;
        Ok(bytes)
    }
}

impl From<Packet<'_>> for OscPacket {
    fn from(packet: Packet<'_>) -> Self {
        match packet {
            Packet::Message(message) => Self::Message(message.into()),
            Packet::Bundle(bundle) => Self::Bundle(bundle.into()),
        }
    }
}

impl From<OscMessage> for OscPacket {
    fn from(message: OscMessage) -> Self {
        Self::Message(message)
    }
}

impl From<OscBundle> for OscPacket {
    fn from(bundle: OscBundle) -> Self {
        Self::Bundle(bundle)
    }
}

impl TryFrom<&[u8]> for OscPacket {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self> {
        Self::decode(bytes)
    }
}

impl fmt::Display for OscPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => message.fmt(f),
            Self::Bundle(bundle) => bundle.fmt(f),
        }
    }
}
