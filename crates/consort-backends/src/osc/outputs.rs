//! From values to messages: what is sent, made ahead of time, into which numbers are written.
//!
//! Everything that a value touches stands side by side in a few arrays, in the order of the
//! configuration: at a thousand messages a second the caches are cold, and what a message costs
//! is how much memory it reaches.

use consort_osc::MessageBuilder;
use consort_router::Event;

use super::config::{Kind, Parameter};

/// The argument that a channel stands for.
#[derive(Clone, Copy)]
struct Argument {
    parameter: Parameter,
    /// Which message it belongs to; `NOT_SENT` for a channel that only comes in.
    message: u32,
    /// Where its number stands among the bytes of all messages.
    place: u32,
    /// Its place in the masks of the message.
    number: u8,
}

const NOT_SENT: u32 = u32::MAX;

/// What is sent to one address.
struct Message {
    start: u32,
    length: u32,
    /// Which arguments have had a value, and which changed since the message was last sent.
    known: u64,
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
    /// For so many channels, none of which is sent yet.
    pub(super) fn new(channels: usize) -> Self {
        let none = Argument { parameter: Parameter::FLOAT, message: NOT_SENT, place: 0, number: 0 };
        Outputs { arguments: vec![none; channels], ..Outputs::default() }
    }

    /// Makes the message to an address; `channels` has the channel of each argument that has
    /// one.
    pub(super) fn add(
        &mut self,
        address: &str,
        parameters: &[Parameter],
        channels: impl Iterator<Item = (usize, u32)>,
    ) {
        let mut bytes = Vec::new();
        let mut builder = MessageBuilder::with_tags(&mut bytes, address, parameters.len());
        for parameter in parameters {
            // An argument that has had no value yet.
            let start =
                0.0_f64.clamp(parameter.low.min(parameter.high), parameter.low.max(parameter.high));
            match parameter.kind {
                Kind::Int => builder.int(start as i32),
                Kind::Float => builder.float(start as f32),
                Kind::Long => builder.long(start as i64),
                Kind::Double => builder.double(start),
            };
        }
        builder.finish().expect("a checked address and 64 arguments make a message");
        drop(builder);

        let message = self.messages.len() as u32;
        let start = self.bytes.len();
        let lengths = || parameters.iter().map(|parameter| parameter.kind.length());
        let values = start + bytes.len() - lengths().sum::<usize>();
        for (number, channel) in channels {
            self.arguments[channel as usize] = Argument {
                parameter: parameters[number],
                message,
                place: (values + lengths().take(number).sum::<usize>()) as u32,
                number: number as u8,
            };
        }
        let length = bytes.len() as u32;
        self.messages.push(Message { start: start as u32, length, known: 0, changed: 0 });
        self.bytes.append(&mut bytes);
    }

    /// Takes a value to be sent. `send` gets what has to leave first, because the same argument
    /// changes again.
    #[inline]
    pub(super) fn set(&mut self, event: &Event, send: impl FnMut(&[u8])) {
        let argument = &self.arguments[event.channel as usize];
        if argument.message == NOT_SENT {
            return;
        }
        let bit = 1 << argument.number;
        let message = &mut self.messages[argument.message as usize];
        let (number, length) = argument.parameter.encode(event.value);
        let place = &mut self.bytes[argument.place as usize..][..length];
        if message.known & bit != 0 && *place == number[..length] {
            return;
        }
        if message.changed & bit == 0 {
            if message.changed == 0 {
                self.pending.push(argument.message);
            }
            message.known |= bit;
            message.changed |= bit;
            place.copy_from_slice(&number[..length]);
        } else {
            self.flush(send);
            self.set_again(event);
        }
    }

    /// A value whose message has just left.
    #[cold]
    fn set_again(&mut self, event: &Event) {
        self.set(event, |_| {});
    }

    /// Gives the pending messages to `send`, in order, and forgets that they are pending.
    #[inline]
    pub(super) fn flush(&mut self, mut send: impl FnMut(&[u8])) {
        for at in self.pending.drain(..) {
            let message = &mut self.messages[at as usize];
            message.changed = 0;
            send(&self.bytes[message.start as usize..][..message.length as usize]);
        }
    }
}

impl Parameter {
    /// A value as it stands in a message, and how many of the bytes count.
    #[inline]
    fn encode(&self, value: f64) -> ([u8; 8], usize) {
        let Parameter { kind, low, high } = *self;
        // The upper end is exact, also where the range is wider than a float's precision.
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
}

impl Kind {
    fn length(self) -> usize {
        match self {
            Kind::Int | Kind::Float => 4,
            Kind::Long | Kind::Double => 8,
        }
    }
}
