//! From values to messages: messages are encoded in advance, and numbers are written into them.
//!
//! All data that a value needs is adjacent in a few arrays, in the order of the configuration. At
//! a thousand messages a second the caches are cold, so that the cost of a message is the amount
//! of memory that it touches.

use consort_osc::{MessageBuilder, OscPacket};
use std::time::{Duration, Instant};

use consort_router::{ChannelTable, Event};

use super::config::{Kind, Parameter};
use super::patterns::{Sending, Shape};
use super::variable::VariableMessage;

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
    mode: Mode,
}

/// How a value gets into a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mode {
    /// Its number is written into the message, which is sent when it has changed.
    Change,
    /// The same, but every value is sent.
    Always,
    /// The message has no numbers that change: every value above 0 sends it.
    Trigger,
    /// The message has texts; `message` is its index in the list of those.
    Variable,
}

/// The message index of channels that are never sent.
const NOT_SENT: u32 = u32::MAX;

/// Marks pending messages of the list `variables`.
const VARIABLE_BIT: u32 = 1 << 31;

/// A message that is sent again at an interval.
struct Repeat {
    /// As in [`Outputs::pending`].
    message: u32,
    interval: Duration,
    /// Also before it has had a value.
    is_unconditional: bool,
    due: Option<Instant>,
}

/// The encoded message to one address.
struct Message {
    start: u32,
    length: u32,
    /// A bit for each argument that has had a value.
    known: u64,
    /// A bit for each argument that has changed since the message was last sent.
    changed: u64,
    is_trigger: bool,
}

/// All messages of an instance.
#[derive(Default)]
pub(super) struct Outputs {
    arguments: Vec<Argument>,
    messages: Vec<Message>,
    bytes: Vec<u8>,
    /// Messages with changed arguments, in the order in which they changed; [`VARIABLE_BIT`] marks
    /// those with texts.
    pending: Vec<u32>,
    variables: Vec<VariableMessage>,
    repeats: Vec<Repeat>,
}

impl Outputs {
    /// Creates the table for a number of channels, none of which is sent yet.
    pub(super) fn new(channels: usize) -> Self {
        let (parameter, mode) = (Parameter::FLOAT, Mode::Change);
        let none = Argument { parameter, message: NOT_SENT, offset: 0, number: 0, mode };
        Outputs { arguments: vec![none; channels], ..Outputs::default() }
    }

    /// Adds the message to an address. `channels` yields the number and channel of each argument
    /// that has a channel.
    pub(super) fn add(
        &mut self,
        address: &str,
        shapes: &[Shape],
        sending: Sending,
        channels: impl Iterator<Item = (usize, u32)>,
    ) {
        let pending = if shapes.iter().any(Shape::is_variable) {
            self.add_variable(address, shapes, sending, channels)
        } else {
            self.add_fixed(address, shapes, sending, channels)
        };
        for (interval, is_unconditional) in [(sending.refresh, false), (sending.every, true)] {
            if let Some(interval) = interval {
                let repeat = Repeat { message: pending, interval, is_unconditional, due: None };
                self.repeats.push(repeat);
            }
        }
    }

    /// Adds a message whose size does not change.
    fn add_fixed(
        &mut self,
        address: &str,
        shapes: &[Shape],
        sending: Sending,
        channels: impl Iterator<Item = (usize, u32)>,
    ) -> u32 {
        let mut bytes = Vec::new();
        let mut builder = MessageBuilder::with_tags(&mut bytes, address, shapes.len());
        for shape in shapes {
            match shape {
                Shape::Number(parameter) => parameter.append_start(&mut builder),
                Shape::Constant(constant) => constant.append(&mut builder),
                Shape::NumberText(_) | Shape::Words(_) | Shape::Text => {}
            }
        }
        builder.finish().expect("a valid address and at most 64 arguments are a valid message");
        drop(builder);

        let message = self.messages.len() as u32;
        let start = self.bytes.len();
        let lengths = || {
            shapes.iter().map(|shape| match shape {
                Shape::Constant(constant) => constant.length(),
                Shape::Number(parameter) => parameter.kind.length(),
                Shape::NumberText(_) | Shape::Words(_) | Shape::Text => 0,
            })
        };
        let values = start + bytes.len() - lengths().sum::<usize>();
        let is_trigger = shapes.iter().all(|shape| matches!(shape, Shape::Constant(_)));
        for (number, channel) in channels {
            let (parameter, mode) = match shapes.get(number) {
                Some(Shape::Number(parameter)) if sending.always => (*parameter, Mode::Always),
                Some(Shape::Number(parameter)) => (*parameter, Mode::Change),
                // A constant beside numbers sends the message as it is.
                _ => (Parameter::FLOAT, Mode::Trigger),
            };
            self.arguments[channel as usize] = Argument {
                parameter,
                message,
                offset: (values + lengths().take(number).sum::<usize>()) as u32,
                number: number as u8,
                mode,
            };
        }
        let length = bytes.len() as u32;
        let start = start as u32;
        self.messages.push(Message { start, length, known: 0, changed: 0, is_trigger });
        self.bytes.append(&mut bytes);
        message
    }

    /// Adds a message with texts.
    fn add_variable(
        &mut self,
        address: &str,
        shapes: &[Shape],
        sending: Sending,
        channels: impl Iterator<Item = (usize, u32)>,
    ) -> u32 {
        let message = self.variables.len() as u32;
        self.variables.push(VariableMessage::new(address, shapes, sending.always));
        for (number, channel) in channels {
            let (number, mode) = (number as u8, Mode::Variable);
            let parameter = Parameter::FLOAT;
            self.arguments[channel as usize] =
                Argument { parameter, message, offset: 0, number, mode };
        }
        message | VARIABLE_BIT
    }

    /// Writes a value into its message; returns whether it leaves. If the argument has changed
    /// already, the pending messages are passed to `send` first, so that neither value is lost.
    #[inline]
    pub(super) fn set(&mut self, event: &Event, send: impl FnMut(&[u8])) -> bool {
        let argument = &self.arguments[event.channel as usize];
        if argument.message == NOT_SENT {
            return false;
        }
        if argument.mode >= Mode::Trigger {
            return self.set_special(event, send);
        }
        let bit = 1 << argument.number;
        let message = &mut self.messages[argument.message as usize];
        let (number, length) = argument.parameter.encode(event.value);
        let target = &mut self.bytes[argument.offset as usize..][..length];
        if message.known & bit != 0 && *target == number[..length] && argument.mode == Mode::Change
        {
            return false;
        }
        if message.changed & bit == 0 {
            if message.changed == 0 {
                self.pending.push(argument.message);
            }
            message.known |= bit;
            message.changed |= bit;
            target.copy_from_slice(&number[..length]);
            true
        } else {
            self.flush(send);
            self.set_again(event)
        }
    }

    /// Writes a value whose message has just been sent.
    #[cold]
    fn set_again(&mut self, event: &Event) -> bool {
        self.set(event, |_| {})
    }

    /// [`set`](Self::set) for triggers and messages with texts.
    fn set_special(&mut self, event: &Event, send: impl FnMut(&[u8])) -> bool {
        let Argument { message, number, mode, .. } = self.arguments[event.channel as usize];
        if mode == Mode::Trigger {
            if event.value <= 0.0 {
                return false;
            }
            if self.messages[message as usize].changed != 0 {
                self.flush(send);
            }
            let trigger = &mut self.messages[message as usize];
            trigger.known |= 1 << number;
            trigger.changed |= 1 << number;
            self.pending.push(message);
            return true;
        }
        if self.pending.contains(&(message | VARIABLE_BIT)) {
            self.flush(send);
        }
        let is_sent = self.variables[message as usize].set(number, event.value);
        if is_sent {
            self.pending.push(message | VARIABLE_BIT);
        }
        is_sent
    }

    /// Puts a text into the message of its channel and sends it; returns false if the argument
    /// takes no texts.
    pub(super) fn set_text(
        &mut self,
        channel: u32,
        text: &str,
        mut send: impl FnMut(&[u8]),
    ) -> bool {
        let Some(&Argument { message, number, mode, .. }) = self.arguments.get(channel as usize)
        else {
            return false;
        };
        if message == NOT_SENT || mode != Mode::Variable {
            return false;
        }
        let variable = &mut self.variables[message as usize];
        let is_taken = variable.set_text(number, text);
        if is_taken {
            send(variable.encode());
        }
        is_taken
    }

    /// The peer has sent a value of its own for a channel: the next value is a change unless it is
    /// the same as the peer's.
    pub(super) fn on_peer_value(&mut self, channel: u32, value: f64) {
        let Some(&argument) = self.arguments.get(channel as usize) else { return };
        if argument.message == NOT_SENT {
            return;
        }
        match argument.mode {
            Mode::Change | Mode::Always => {
                let (number, length) = argument.parameter.encode(value);
                if self.bytes[argument.offset as usize..][..length] != number[..length] {
                    self.messages[argument.message as usize].known &= !(1 << argument.number);
                }
            }
            Mode::Variable => self.variables[argument.message as usize].forget(argument.number),
            Mode::Trigger => {}
        }
    }

    /// Makes every message that has had a value pending, except triggers: for a new peer. Returns
    /// whether there are any.
    pub(super) fn resend_all(&mut self) -> bool {
        for (index, message) in self.messages.iter_mut().enumerate() {
            if message.known != 0 && message.changed == 0 && !message.is_trigger {
                message.changed = message.known;
                self.pending.push(index as u32);
            }
        }
        let known = self.variables.iter().enumerate().filter(|(_, message)| message.is_known());
        self.pending.extend(known.map(|(index, _)| index as u32 | VARIABLE_BIT));
        !self.pending.is_empty()
    }

    /// Makes the messages pending that are to be repeated now. The first time is `now` itself for
    /// those that are sent without a value.
    pub(super) fn repeat(&mut self, now: Instant) {
        for repeat in &mut self.repeats {
            let first = if repeat.is_unconditional { now } else { now + repeat.interval };
            let due = *repeat.due.get_or_insert(first);
            if due > now {
                continue;
            }
            // Repetitions that were missed are not made up for.
            repeat.due = Some((due + repeat.interval).max(now + repeat.interval / 2));
            if repeat.message & VARIABLE_BIT != 0 {
                let index = (repeat.message & !VARIABLE_BIT) as usize;
                if repeat.is_unconditional || self.variables[index].is_known() {
                    self.pending.push(repeat.message);
                }
                continue;
            }
            let message = &mut self.messages[repeat.message as usize];
            let is_known = message.known != 0 && !message.is_trigger;
            if message.changed == 0 && (repeat.is_unconditional || is_known) {
                message.changed = 1;
                self.pending.push(repeat.message);
            }
        }
    }

    /// When the next repetition is due.
    pub(super) fn next_repeat(&self) -> Option<Instant> {
        self.repeats.iter().filter_map(|repeat| repeat.due).min()
    }

    /// Whether any message is repeated.
    pub(super) fn has_repeats(&self) -> bool {
        !self.repeats.is_empty()
    }

    /// The address of the message that a channel belongs to. `None` for a channel that is only a
    /// source.
    pub(super) fn address(&self, channel: u32) -> Option<&str> {
        let argument = self.arguments.get(channel as usize)?;
        match argument.mode {
            _ if argument.message == NOT_SENT => None,
            Mode::Variable => Some(self.variables[argument.message as usize].address()),
            _ => Some(self.message_address(argument.message)),
        }
    }

    /// The message that was last sent for a channel, in the notation of `consort-osc`; none before
    /// the first value.
    pub(super) fn last_message(&self, channel: u32) -> Option<String> {
        let argument = self.arguments.get(channel as usize)?;
        if argument.message == NOT_SENT {
            return None;
        }
        if argument.mode == Mode::Variable {
            return self.variables[argument.message as usize].notation();
        }
        if self.messages[argument.message as usize].known & 1 << argument.number == 0 {
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
        let tags = bytes[tags + 1..].iter().take_while(|&&tag| tag != 0);
        // The offsets of messages with constants are not computed.
        if tags.clone().any(|&tag| Kind::from_tag(tag).is_none()) {
            return None;
        }
        let kinds = || tags.clone().filter_map(|&tag| Kind::from_tag(tag));
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
            if argument.mode == Mode::Variable && before.mode == Mode::Variable {
                let old = &old.variables[before.message as usize];
                self.variables[argument.message as usize].adopt(old);
            }
            if argument.mode >= Mode::Trigger || before.mode >= Mode::Trigger {
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
            if !is_gone || before.message == NOT_SENT || before.mode >= Mode::Trigger {
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
            if index & VARIABLE_BIT != 0 {
                send(self.variables[(index & !VARIABLE_BIT) as usize].encode());
                continue;
            }
            let message = &mut self.messages[index as usize];
            message.changed = 0;
            send(&self.bytes[message.start as usize..][..message.length as usize]);
        }
    }
}

impl Parameter {
    /// The number of a value in the range, not rounded.
    #[inline]
    pub(super) fn number(&self, value: f64) -> f64 {
        // This keeps the upper end exact even if the range exceeds the precision of a float.
        if value >= 1.0 { self.high } else { self.low + (self.high - self.low) * value }
    }

    /// Adds the number of a value to a message.
    pub(super) fn append(&self, value: f64, message: &mut MessageBuilder<'_, Vec<u8>>) {
        self.append_number(self.number(value), message);
    }

    /// Adds the number that is sent before the argument has had a value: 0, or the end of the range
    /// that is closest to it.
    fn append_start(&self, message: &mut MessageBuilder<'_, Vec<u8>>) {
        let (low, high) = (self.low.min(self.high), self.low.max(self.high));
        self.append_number(0.0_f64.clamp(low, high), message);
    }

    fn append_number(&self, number: f64, message: &mut MessageBuilder<'_, Vec<u8>>) {
        match self.kind {
            Kind::Int => message.int(number.round() as i32),
            Kind::Float => message.float(number as f32),
            Kind::Long => message.long(number.round() as i64),
            Kind::Double => message.double(number),
        };
    }

    /// Encodes a value as in a message; returns the bytes and how many of them are used.
    #[inline]
    fn encode(&self, value: f64) -> ([u8; 8], usize) {
        let kind = self.kind;
        let number = self.number(value);
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
    pub(super) fn length(self) -> usize {
        match self {
            Kind::Int | Kind::Float => 4,
            Kind::Long | Kind::Double => 8,
        }
    }
}
