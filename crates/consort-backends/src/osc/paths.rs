//! Addresses and their arguments: from messages to values, from values to messages.

use std::collections::HashMap;
use std::rc::Rc;

use consort_osc::{Argument, Message, MessageBuilder, address_matches, is_pattern};
use consort_router::{ChannelError, Event, Usage};

use super::config::{Kind, Parameter, PathPattern, normalise};

const UNMAPPED: u32 = u32::MAX;

/// The largest `:n`.
const ARGUMENT_LIMIT: usize = 63;

/// An address of an instance.
struct Path {
    /// The whole address, the root included.
    address: String,
    parameters: Option<Rc<[Parameter]>>,
    /// The channel of each argument, as far as any is mapped.
    channels: Vec<u32>,
    /// The same with the ranges, side by side: what a message reads, made by `prepare`.
    inputs: Box<[Input]>,
    is_target: bool,
    output: Option<Output>,
}

/// Where an incoming argument goes, and its range if an option gives one.
struct Input {
    channel: u32,
    parameter: Option<Parameter>,
}

/// An argument of a message that is sent, and where in it its number stands.
struct Slot {
    parameter: Parameter,
    place: usize,
}

/// What is sent to an address: a message made ahead of time, into which numbers are written.
struct Output {
    message: Vec<u8>,
    slots: Box<[Slot]>,
    /// Which arguments have had a value, and which changed since the last message.
    known: u64,
    changed: u64,
}

/// All addresses of an instance.
pub(super) struct Paths {
    root: String,
    patterns: Vec<PathPattern>,
    list: Vec<Path>,
    by_address: HashMap<Box<[u8]>, u32>,
    /// Path and argument of each channel.
    channels: Vec<(u32, u8)>,
    has_sources: bool,
    /// Paths with changed arguments, in the order in which they changed.
    pending: Vec<u32>,
}

impl Paths {
    pub(super) fn new(root: String, patterns: Vec<PathPattern>) -> Self {
        Paths {
            root,
            patterns,
            list: Vec::new(),
            by_address: HashMap::new(),
            channels: Vec::new(),
            has_sources: false,
            pending: Vec::new(),
        }
    }

    /// Finds or makes a channel.
    pub(super) fn channel(
        &mut self,
        specification: &str,
        usage: Usage,
    ) -> Result<u32, ChannelError> {
        let (local, argument) = match specification.rsplit_once(':') {
            None => (specification, 0),
            Some((local, number)) => match number.parse::<usize>() {
                Ok(argument) if argument <= ARGUMENT_LIMIT => (local, argument),
                _ => {
                    let message = format!("expected an argument number from 0 to {ARGUMENT_LIMIT}");
                    return Err(
                        ChannelError::new(message).with_range(local.len() + 1, specification.len())
                    );
                }
            },
        };
        if let Err(error) = consort_osc::validate_address(local) {
            return Err(ChannelError::new(format!("this is no OSC address: {error}"))
                .with_hint("an address begins with `/`, such as `/1/fader1`"));
        }
        let address = format!("{}{local}", self.root);
        let at = match self.by_address.get(address.as_bytes()) {
            Some(&at) => at,
            None => {
                let found = self.patterns.iter().find(|it| it.pattern.matches(local));
                let at = self.list.len() as u32;
                self.by_address.insert(address.clone().into_bytes().into(), at);
                self.list.push(Path {
                    address,
                    parameters: found.map(|it| Rc::clone(&it.parameters)),
                    channels: Vec::new(),
                    inputs: Box::default(),
                    is_target: false,
                    output: None,
                });
                at
            }
        };
        let path = &mut self.list[at as usize];
        if let Some(parameters) = &path.parameters
            && argument >= parameters.len()
        {
            let count = parameters.len();
            return Err(ChannelError::new(format!(
                "argument {argument} does not exist: the option for this address describes {count}"
            ))
            .with_hint("arguments are counted from 0"));
        }
        path.is_target |= usage == Usage::Target;
        self.has_sources |= usage == Usage::Source;
        if path.channels.len() <= argument {
            path.channels.resize(argument + 1, UNMAPPED);
        }
        let channel = &mut path.channels[argument];
        if *channel == UNMAPPED {
            *channel = self.channels.len() as u32;
            self.channels.push((at, argument as u8));
        }
        Ok(*channel)
    }

    /// Whether any channel is the source of a mapping.
    pub(super) fn has_sources(&self) -> bool {
        self.has_sources
    }

    /// Prepares what is read and sent at run time; called once, when all channels are known.
    pub(super) fn prepare(&mut self) {
        for path in &mut self.list {
            let parameters = path.parameters.as_deref();
            path.inputs = (path.channels.iter().enumerate())
                .map(|(at, &channel)| Input {
                    channel,
                    parameter: parameters.and_then(|parameters| parameters.get(at)).copied(),
                })
                .collect();
            if path.is_target && path.output.is_none() {
                let parameters = match &path.parameters {
                    Some(parameters) => Rc::clone(parameters),
                    None => vec![Parameter::FLOAT; path.channels.len()].into(),
                };
                path.output = Some(Output::new(&path.address, &parameters));
            }
        }
    }

    /// Whether a message's address begins with the root.
    pub(super) fn is_ours(&self, address: &[u8]) -> bool {
        address.starts_with(self.root.as_bytes())
    }

    /// Gives every value of a message to `emit` with its channel. Returns whether any channel
    /// has the message's address.
    #[inline]
    pub(super) fn values(&self, message: &Message<'_>, mut emit: impl FnMut(u32, f64)) -> bool {
        if let Some(&at) = self.by_address.get(message.address_bytes()) {
            self.list[at as usize].values(message, &mut emit);
            return true;
        }
        let pattern = message.address();
        if !is_pattern(pattern) {
            return false;
        }
        let mut found = false;
        for path in &self.list {
            if address_matches(pattern, &path.address).unwrap_or(false) {
                path.values(message, &mut emit);
                found = true;
            }
        }
        found
    }

    /// Gives the values that a message would have if it were mapped, for `consort learn`.
    pub(super) fn unmapped(&self, message: &Message<'_>, mut emit: impl FnMut(String, f64)) {
        if !self.is_ours(message.address_bytes()) {
            return;
        }
        let local = &message.address()[self.root.len()..];
        let found = self.patterns.iter().find(|it| it.pattern.matches(local));
        let parameters = found.map(|it| &it.parameters[..]);
        let range = |at: usize| parameters.and_then(|parameters| parameters.get(at)).copied();
        each_value(range, message, |argument, value| {
            emit(
                if argument == 0 { local.to_owned() } else { format!("{local}:{argument}") },
                value,
            );
        });
    }

    /// Takes a value to be sent. `flush` is called when what is pending has to leave first,
    /// because the same argument changes again.
    #[inline]
    pub(super) fn set(&mut self, event: &Event, flush: impl FnOnce(&mut Self)) {
        let (at, argument) = self.channels[event.channel as usize];
        let Some(output) = &mut self.list[at as usize].output else { return };
        let bytes = output.encode(argument, event.value);
        if !output.differs(argument, &bytes) {
            return;
        }
        if output.changed & (1 << argument) != 0 {
            flush(self);
        }
        let Some(output) = &mut self.list[at as usize].output else { return };
        if output.changed == 0 {
            self.pending.push(at);
        }
        output.write(argument, &bytes);
    }

    /// Gives the pending messages to `send`, in order, and forgets that they are pending.
    #[inline]
    pub(super) fn flush(&mut self, mut send: impl FnMut(&[u8])) {
        for at in self.pending.drain(..) {
            if let Some(output) = &mut self.list[at as usize].output {
                output.changed = 0;
                send(&output.message);
            }
        }
    }
}

impl Path {
    #[inline]
    fn values(&self, message: &Message<'_>, mut emit: impl FnMut(u32, f64)) {
        let range = |at| self.inputs.get(at).and_then(|input: &Input| input.parameter);
        each_value(range, message, |argument, value| {
            if let Some(input) = self.inputs.get(argument)
                && input.channel != UNMAPPED
            {
                emit(input.channel, value);
            }
        });
    }
}

/// The values of a message's arguments, by the ranges given or by the defaults of their types.
#[inline]
fn each_value(
    range: impl Fn(usize) -> Option<Parameter>,
    message: &Message<'_>,
    mut emit: impl FnMut(usize, f64),
) {
    if message.type_tags().is_empty() {
        emit(0, 1.0);
    }
    for (at, argument) in message.arguments().enumerate() {
        let (number, high) = match argument {
            Argument::Int(number) => (f64::from(number), 255.0),
            Argument::Float(number) => (f64::from(number), 1.0),
            Argument::Long(number) => (number as f64, 1024.0),
            Argument::Double(number) => (number, 1.0),
            Argument::Bool(on) => {
                emit(at, f64::from(u8::from(on)));
                continue;
            }
            Argument::Impulse => {
                emit(at, 1.0);
                continue;
            }
            _ => continue,
        };
        let value = match range(at) {
            Some(parameter) => parameter.normalise(number),
            None => normalise(number, 0.0, high),
        };
        if let Some(value) = value {
            emit(at, value);
        }
    }
}

/// A number as it stands in a message: 4 or 8 bytes.
#[derive(Clone, Copy)]
struct Wire {
    bytes: [u8; 8],
    length: usize,
}

impl Output {
    fn new(address: &str, parameters: &[Parameter]) -> Self {
        let mut message = Vec::new();
        let mut builder = MessageBuilder::with_tags(&mut message, address, parameters.len());
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
        let mut place = message.len()
            - parameters.iter().map(|parameter| parameter.kind.length()).sum::<usize>();
        let slots = parameters.iter().map(|&parameter| {
            let slot = Slot { parameter, place };
            place += parameter.kind.length();
            slot
        });
        let slots = slots.collect();
        Output { message, slots, known: 0, changed: 0 }
    }

    #[inline]
    fn encode(&self, argument: u8, value: f64) -> Wire {
        let Parameter { kind, low, high } = self.slots[argument as usize].parameter;
        // The upper end is exact, also where the range is wider than a float's precision.
        let number = if value >= 1.0 { high } else { low + (high - low) * value };
        let mut bytes = [0; 8];
        match kind {
            Kind::Int => bytes[..4].copy_from_slice(&(number.round() as i32).to_be_bytes()),
            Kind::Float => bytes[..4].copy_from_slice(&(number as f32).to_be_bytes()),
            Kind::Long => bytes = (number.round() as i64).to_be_bytes(),
            Kind::Double => bytes = number.to_be_bytes(),
        }
        Wire { bytes, length: kind.length() }
    }

    #[inline]
    fn differs(&self, argument: u8, wire: &Wire) -> bool {
        let place = self.slots[argument as usize].place;
        self.known & (1 << argument) == 0
            || self.message[place..place + wire.length] != wire.bytes[..wire.length]
    }

    #[inline]
    fn write(&mut self, argument: u8, wire: &Wire) {
        let place = self.slots[argument as usize].place;
        self.message[place..place + wire.length].copy_from_slice(&wire.bytes[..wire.length]);
        self.known |= 1 << argument;
        self.changed |= 1 << argument;
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
