//! From values to messages: messages are encoded in advance, and numbers are written into them.
//!
//! All data that a value needs is adjacent in a few arrays, in the order of the configuration. At
//! a thousand messages a second the caches are cold, so that the cost of a message is the amount
//! of memory that it touches.

use consort_osc::{MessageBuilder, OscPacket};
use consort_router::{ChannelTable, Event};

use super::config::{Kind, Parameter};

/// The argument that belongs to a channel.
#[derive(Clone, Copy)]
struct Argument {
    parameter: Parameter,
    /// The index of its message; [`NOT_SENT`] for a channel that is only a source.
    message: u32,
    /// The offset of its number in the bytes of all messages.
    offset: u32,
    /// The number of its bit in the masks of the message.
    number: u8,
}

/// The message index of channels that are never sent.
const NOT_SENT: u32 = u32::MAX;

/// The encoded message to one address.
struct Message {
    start: u32,
    length: u32,
    /// A bit for each argument that has had a value.
    known: u64,
    /// A bit for each argument that has changed since the message was last sent.
    changed: u64,
}

/// All messages of an instance.
#[derive(Default)]
pub(super) struct Outputs {
    arguments: Vec<Argument>,
    messages: Vec<Message>,
    bytes: Vec<u8>,
    /// Messages with changed arguments, in the order in which they changed.
    pending: Vec<u32>,
}

impl Outputs {
    /// Creates the table for a number of channels, none of which is sent yet.
    pub(super) fn new(channels: usize) -> Self {
        let none =
            Argument { parameter: Parameter::FLOAT, message: NOT_SENT, offset: 0, number: 0 };
        Outputs { arguments: vec![none; channels], ..Outputs::default() }
    }

    /// Adds the message to an address. `channels` yields the number and channel of each argument
    /// that has a channel.
    pub(super) fn add(
        &mut self,
        address: &str,
        parameters: &[Parameter],
        channels: impl Iterator<Item = (usize, u32)>,
    ) {
        let mut bytes = Vec::new();
        let mut builder = MessageBuilder::with_tags(&mut bytes, address, parameters.len());
        for parameter in parameters {
            // The number that is sent before the argument has had a value.
            let start =
                0.0_f64.clamp(parameter.low.min(parameter.high), parameter.low.max(parameter.high));
            match parameter.kind {
                Kind::Int => builder.int(start as i32),
                Kind::Float => builder.float(start as f32),
                Kind::Long => builder.long(start as i64),
                Kind::Double => builder.double(start),
            };
        }
        builder.finish().expect("a valid address and at most 64 arguments are a valid message");
        drop(builder);

        let message = self.messages.len() as u32;
        let start = self.bytes.len();
        let lengths = || parameters.iter().map(|parameter| parameter.kind.length());
        let values = start + bytes.len() - lengths().sum::<usize>();
        for (number, channel) in channels {
            self.arguments[channel as usize] = Argument {
                parameter: parameters[number],
                message,
                offset: (values + lengths().take(number).sum::<usize>()) as u32,
                number: number as u8,
            };
        }
        let length = bytes.len() as u32;
        self.messages.push(Message { start: start as u32, length, known: 0, changed: 0 });
        self.bytes.append(&mut bytes);
    }

    /// Writes a value into its message. If the argument has changed already, the pending messages
    /// are passed to `send` first, so that neither value is lost.
    #[inline]
    pub(super) fn set(&mut self, event: &Event, send: impl FnMut(&[u8])) {
        let argument = &self.arguments[event.channel as usize];
        if argument.message == NOT_SENT {
            return;
        }
        let bit = 1 << argument.number;
        let message = &mut self.messages[argument.message as usize];
        let (number, length) = argument.parameter.encode(event.value);
        let target = &mut self.bytes[argument.offset as usize..][..length];
        if message.known & bit != 0 && *target == number[..length] {
            return;
        }
        if message.changed & bit == 0 {
            if message.changed == 0 {
                self.pending.push(argument.message);
            }
            message.known |= bit;
            message.changed |= bit;
            target.copy_from_slice(&number[..length]);
        } else {
            self.flush(send);
            self.set_again(event);
        }
    }

    /// Writes a value whose message has just been sent.
    #[cold]
    fn set_again(&mut self, event: &Event) {
        self.set(event, |_| {});
    }

    /// The address of the message that a channel belongs to. `None` for a channel that is only a
    /// source.
    pub(super) fn address(&self, channel: u32) -> Option<&str> {
        let message = self.arguments.get(channel as usize)?.message;
        (message != NOT_SENT).then(|| self.message_address(message))
    }

    /// The message that was last sent for a channel, in the notation of `consort-osc`; none before
    /// the first value.
    pub(super) fn last_message(&self, channel: u32) -> Option<String> {
        let argument = self.arguments.get(channel as usize)?;
        let message = self.messages.get(argument.message as usize)?;
        if message.known & 1 << argument.number == 0 {
            return None;
        }
        let packet = OscPacket::decode(self.message_bytes(argument.message)).ok()?;
        Some(packet.to_string())
    }

    fn message_address(&self, message: u32) -> &str {
        let bytes = self.message_bytes(message);
        let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(0);
        std::str::from_utf8(&bytes[..length]).unwrap_or_default()
    }

    fn message_bytes(&self, message: u32) -> &[u8] {
        let message = &self.messages[message as usize];
        &self.bytes[message.start as usize..][..message.length as usize]
    }

    /// The offset and the type of an argument of a message, mapped or not.
    fn locate(&self, message: u32, number: u8) -> Option<(usize, Kind)> {
        let bytes = self.message_bytes(message);
        let tags = (self.message_address(message).len() + 4) & !3;
        let kinds = || bytes[tags + 1..].iter().map_while(|&tag| Kind::from_tag(tag));
        let values: usize = kinds().map(Kind::length).sum();
        let before: usize = kinds().take(usize::from(number)).map(Kind::length).sum();
        let start = self.messages[message as usize].start as usize + bytes.len() - values;
        Some((start + before, kinds().nth(usize::from(number))?))
    }

    /// Takes over from the messages of the old plan which values the receivers have, so that only
    /// changes are sent. A channel whose range or address differs sends its next value in any case;
    /// arguments whose channels are gone keep their numbers in messages that stay.
    pub(super) fn adopt(&mut self, old: &Outputs, channels: &ChannelTable) {
        let mut new_of_old = vec![NOT_SENT; old.messages.len()];
        for channel in 0..self.arguments.len() {
            let argument = self.arguments[channel];
            let before = channels.old_number(channel as u32);
            let Some(before) = before.and_then(|number| old.arguments.get(number as usize)) else {
                continue;
            };
            if argument.message == NOT_SENT || before.message == NOT_SENT {
                continue;
            }
            new_of_old[before.message as usize] = argument.message;
            if old.messages[before.message as usize].known & 1 << before.number == 0 {
                continue;
            }
            let number = &old.bytes[before.offset as usize..][..before.parameter.kind.length()];
            let target = &mut self.bytes[argument.offset as usize..];
            if argument.parameter == before.parameter {
                target[..number.len()].copy_from_slice(number);
                if self.message_address(argument.message) == old.message_address(before.message) {
                    self.messages[argument.message as usize].known |= 1 << argument.number;
                }
            } else {
                let (number, length) = argument.parameter.encode(before.parameter.decode(number));
                target[..length].copy_from_slice(&number[..length]);
            }
        }
        for (channel, before) in old.arguments.iter().enumerate() {
            let is_gone = channels.new_number(channel as u32).is_none();
            if !is_gone || before.message == NOT_SENT {
                continue;
            }
            let message = new_of_old[before.message as usize];
            if message != NOT_SENT
                && let Some((offset, kind)) = self.locate(message, before.number)
                && kind == before.parameter.kind
            {
                let number = &old.bytes[before.offset as usize..][..kind.length()];
                self.bytes[offset..][..kind.length()].copy_from_slice(number);
            }
        }
    }

    /// Passes the pending messages to `send` in order and clears the list.
    #[inline]
    pub(super) fn flush(&mut self, mut send: impl FnMut(&[u8])) {
        for index in self.pending.drain(..) {
            let message = &mut self.messages[index as usize];
            message.changed = 0;
            send(&self.bytes[message.start as usize..][..message.length as usize]);
        }
    }
}

impl Parameter {
    /// Encodes a value as in a message; returns the bytes and how many of them are used.
    #[inline]
    fn encode(&self, value: f64) -> ([u8; 8], usize) {
        let Parameter { kind, low, high } = *self;
        // This keeps the upper end exact even if the range exceeds the precision of a float.
        let number = if value >= 1.0 { high } else { low + (high - low) * value };
        let mut bytes = [0; 8];
        match kind {
            Kind::Int => bytes[..4].copy_from_slice(&(number.round() as i32).to_be_bytes()),
            Kind::Float => bytes[..4].copy_from_slice(&(number as f32).to_be_bytes()),
            Kind::Long => bytes = (number.round() as i64).to_be_bytes(),
            Kind::Double => bytes = number.to_be_bytes(),
        }
        (bytes, kind.length())
    }

    /// The value of a number as [`encode`](Self::encode) wrote it.
    fn decode(&self, bytes: &[u8]) -> f64 {
        let wide = || bytes.try_into().unwrap_or_default();
        let narrow = || bytes.try_into().unwrap_or_default();
        let number = match self.kind {
            Kind::Int => f64::from(i32::from_be_bytes(narrow())),
            Kind::Float => f64::from(f32::from_be_bytes(narrow())),
            Kind::Long => i64::from_be_bytes(wide()) as f64,
            Kind::Double => f64::from_be_bytes(wide()),
        };
        self.normalise(number).unwrap_or(0.0)
    }
}

impl Kind {
    /// The type of a tag in a message that [`Outputs`] encoded.
    fn from_tag(tag: u8) -> Option<Kind> {
        match tag {
            b'i' => Some(Kind::Int),
            b'f' => Some(Kind::Float),
            b'h' => Some(Kind::Long),
            b'd' => Some(Kind::Double),
            _ => None,
        }
    }

    /// The size in bytes of a number of this type.
    fn length(self) -> usize {
        match self {
            Kind::Int | Kind::Float => 4,
            Kind::Long | Kind::Double => 8,
        }
    }
}
