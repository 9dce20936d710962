//! Addresses and their arguments: the channels of an instance, and the values of messages.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use consort_osc::{Argument, Message, address_matches, is_pattern};
use consort_router::inspect::{ExpectedRange, RawInput};
use consort_router::{ChannelError, ChannelTable, RawValue, Resolution, Usage};
use hashbrown::{DefaultHashBuilder, HashTable};

use super::config::{Parameter, PathPattern, normalise};
use super::outputs::Outputs;
use super::pattern_index::PatternIndex;

/// The channel of an argument that is not mapped.
const UNMAPPED: u32 = u32::MAX;

/// The largest argument number (`:n`).
pub(super) const MAX_ARGUMENT: usize = 63;

/// How much effort matching the patterns of one packet may take, at least. One packet can contain
/// thousands of patterns, each of which is compared with every address. One unit of effort takes
/// about ten nanoseconds; matching a pattern of 32 bytes with an address of 32 bytes takes 72.
const MIN_PATTERN_EFFORT: usize = 1 << 20;

/// The same for each address of the instance; the greater of the two limits applies.
const PATTERN_EFFORT_PER_ADDRESS: usize = 256;

/// The result of matching the address of an incoming message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressMatch {
    /// At least one channel has the address.
    Mapped,
    /// No channel has the address.
    Unmapped,
    /// The address is a pattern, and matching it would exceed the effort of the packet.
    TooExpensive,
}

/// What a message contains, argument by argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found<'m> {
    /// The value of a channel.
    Value(u32, f64),
    /// The text of a channel.
    Text(u32, &'m str),
    /// An argument that is not mapped, or one that is mapped and has neither a value nor a text,
    /// by its number; a message without arguments is a 1 on argument 0.
    Unmatched(usize, Option<Argument<'m>>),
}

/// An address of an instance at run time: the range of its text (with the root) in `addresses` and
/// of its arguments in `inputs`.
#[derive(Clone, Copy)]
struct Path {
    start: u32,
    length: u32,
    first_input: u32,
    input_count: u32,
}

impl Path {
    #[inline]
    fn address(self, addresses: &str) -> &str {
        &addresses[self.start as usize..][..self.length as usize]
    }
}

/// An address of an instance while the configuration is read.
struct Draft {
    parameters: Option<Arc<[Parameter]>>,
    /// The channel of each argument, up to the last mapped one.
    channels: Vec<u32>,
    is_target: bool,
}

/// The channel of an incoming argument, its range if an option specifies one, and what has arrived.
struct Input {
    parameter: Option<Parameter>,
    channel: u32,
    seen: Cell<Seen>,
}

/// The raw numbers that have arrived for a channel. Single precision is enough to show them, and
/// keeps an [`Input`] within one cache line.
#[derive(Clone, Copy)]
struct Seen {
    last: f32,
    low: f32,
    high: f32,
    /// The type tag of the last value; 0 before the first.
    tag: u8,
}

impl Seen {
    const NOTHING: Seen = Seen { last: 0.0, low: f32::INFINITY, high: f32::NEG_INFINITY, tag: 0 };

    /// Adds a value; truth values count as 0 and 1. NaN changes no end of the range.
    #[inline]
    fn add(mut self, argument: &Argument<'_>) -> Seen {
        (self.last, self.tag) = match *argument {
            Argument::Float(number) => (number, b'f'),
            Argument::Int(number) => (number as f32, b'i'),
            Argument::Long(number) => (number as f32, b'h'),
            Argument::Double(number) => (number as f32, b'd'),
            Argument::Bool(on) => (f32::from(u8::from(on)), if on { b'T' } else { b'F' }),
            _ => (1.0, b'I'),
        };
        self.low = self.low.min(self.last);
        self.high = self.high.max(self.last);
        self
    }

    /// The same for views. `parameter` is the range of an option.
    fn raw_input(self, parameter: Option<Parameter>) -> Option<RawInput> {
        let number = f64::from(self.last);
        let (raw, default_high) = match self.tag {
            0 => return None,
            b'i' => (RawValue::Integer(number as i64), Some(DEFAULT_INT_HIGH)),
            b'h' => (RawValue::Integer(number as i64), Some(DEFAULT_LONG_HIGH)),
            b'f' | b'd' => (RawValue::Number(number), Some(1.0)),
            _ => (RawValue::Flag(self.last > 0.0), None),
        };
        let range = |low, high, is_configured| ExpectedRange { low, high, is_configured };
        let expected = default_high.map(|high| match parameter {
            Some(parameter) => range(parameter.low, parameter.high, true),
            None => range(0.0, high, false),
        });
        let numbers = (self.low <= self.high && default_high.is_some())
            .then(|| (f64::from(self.low), f64::from(self.high)));
        let types = char::from(self.tag).to_string();
        Some(RawInput { types, raw: raw.into(), range: numbers, expected })
    }
}

/// The upper end of the range of a whole number of 32 bits without an option, as in MIDIMonster.
const DEFAULT_INT_HIGH: f64 = 255.0;

/// The same for 64 bits.
const DEFAULT_LONG_HIGH: f64 = 1024.0;

/// All addresses of an instance.
pub(super) struct Paths {
    root: String,
    patterns: Vec<PathPattern>,
    pattern_index: PatternIndex,
    /// The texts of all addresses, concatenated.
    addresses: String,
    list: Vec<Path>,
    drafts: Vec<Draft>,
    by_address: HashTable<u32>,
    hasher: DefaultHashBuilder,
    inputs: Vec<Input>,
    /// The resolution of each channel.
    resolutions: Vec<Resolution>,
    has_sources: bool,
}

impl Paths {
    pub(super) fn new(root: String, patterns: Vec<PathPattern>) -> Self {
        Paths {
            root,
            pattern_index: PatternIndex::new(&patterns),
            patterns,
            addresses: String::new(),
            list: Vec::new(),
            drafts: Vec::new(),
            by_address: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            inputs: Vec::new(),
            resolutions: Vec::new(),
            has_sources: false,
        }
    }

    /// The index of the path with an address.
    #[inline]
    fn find(&self, address: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(address);
        let is_equal =
            |&index: &u32| self.list[index as usize].address(&self.addresses).as_bytes() == address;
        self.by_address.find(hash, is_equal).copied()
    }

    /// Finds or adds a channel.
    pub(super) fn channel(
        &mut self,
        specification: &str,
        usage: Usage,
    ) -> Result<u32, ChannelError> {
        let (local, argument) = match specification.rsplit_once(':') {
            None => (specification, 0),
            Some((local, number)) => match number.parse::<usize>() {
                Ok(argument) if argument <= MAX_ARGUMENT => (local, argument),
                _ => {
                    let message = format!("expected an argument number from 0 to {MAX_ARGUMENT}");
                    return Err(
                        ChannelError::new(message).with_range(local.len() + 1, specification.len())
                    );
                }
            },
        };
        if let Err(error) = consort_osc::validate_address(local) {
            return Err(ChannelError::new(format!("not a valid OSC address: {error}"))
                .with_hint("an address begins with `/`, such as `/1/fader1`"));
        }
        let address = format!("{}{local}", self.root);
        let index = match self.find(address.as_bytes()) {
            Some(index) => index,
            None => self.add(&address, local),
        };
        let draft = &mut self.drafts[index as usize];
        if let Some(parameters) = &draft.parameters
            && argument >= parameters.len()
        {
            let count = parameters.len();
            return Err(ChannelError::new(format!(
                "argument {argument} does not exist: the option for this address describes {count}"
            ))
            .with_hint("arguments are counted from 0"));
        }
        draft.is_target |= usage == Usage::Target;
        self.has_sources |= usage == Usage::Source;
        if draft.channels.len() <= argument {
            draft.channels.resize(argument + 1, UNMAPPED);
        }
        let channel = &mut draft.channels[argument];
        if *channel == UNMAPPED {
            *channel = self.resolutions.len() as u32;
            let parameter = draft.parameters.as_ref().and_then(|all| all.get(argument));
            let resolution = parameter.map_or(Resolution::CONTINUOUS, Parameter::resolution);
            self.resolutions.push(resolution);
        }
        Ok(*channel)
    }

    /// Adds a path. `local` is the address without the root, which patterns are matched with.
    fn add(&mut self, address: &str, local: &str) -> u32 {
        let index = self.list.len() as u32;
        let start = self.addresses.len() as u32;
        self.list.push(Path {
            start,
            length: address.len() as u32,
            first_input: 0,
            input_count: 0,
        });
        self.addresses.push_str(address);
        let option = self.pattern_index.find(&self.patterns, local);
        let parameters = option.map(|option| Arc::clone(&option.parameters));
        self.drafts.push(Draft { parameters, channels: Vec::new(), is_target: false });
        let hash = self.hasher.hash_one(address.as_bytes());
        let (hasher, list, addresses) = (&self.hasher, &self.list, &self.addresses);
        self.by_address.insert_unique(hash, index, |&other| {
            hasher.hash_one(list[other as usize].address(addresses).as_bytes())
        });
        index
    }

    /// How finely a channel distinguishes values.
    pub(super) fn resolution(&self, channel: u32) -> Resolution {
        self.resolutions.get(channel as usize).copied().unwrap_or_default()
    }

    /// Whether any channel is the source of a mapping.
    pub(super) fn has_sources(&self) -> bool {
        self.has_sources
    }

    /// Whether any channel is the target of a mapping. Only valid before [`Paths::prepare`].
    pub(super) fn has_targets(&self) -> bool {
        self.drafts.iter().any(|draft| draft.is_target)
    }

    /// Builds the run-time tables and returns the messages to send. Called once, when all channels
    /// are known.
    pub(super) fn prepare(&mut self) -> Outputs {
        let mut outputs = Outputs::new(self.resolutions.len());
        for (index, draft) in std::mem::take(&mut self.drafts).into_iter().enumerate() {
            let parameters = draft.parameters.as_deref();
            let path = &mut self.list[index];
            path.first_input = self.inputs.len() as u32;
            path.input_count = draft.channels.len() as u32;
            self.inputs.extend(draft.channels.iter().enumerate().map(|(number, &channel)| Input {
                channel,
                parameter: parameters.and_then(|parameters| parameters.get(number)).copied(),
                seen: Cell::new(Seen::NOTHING),
            }));
            if draft.is_target {
                let floats = [Parameter::FLOAT; MAX_ARGUMENT + 1];
                let parameters = parameters.unwrap_or(&floats[..draft.channels.len()]);
                let channels = draft.channels.iter().copied().enumerate();
                let path = self.list[index];
                outputs.add(
                    path.address(&self.addresses),
                    parameters,
                    channels.filter(|(_, channel)| *channel != UNMAPPED),
                );
            }
        }
        outputs
    }

    /// What has arrived for the channels with these numbers.
    pub(super) fn raw_inputs(&self, channels: &Range<u32>) -> Vec<(u32, RawInput)> {
        let inputs = self.inputs.iter().filter(|input| channels.contains(&input.channel));
        inputs
            .filter_map(|input| Some((input.channel, input.seen.get().raw_input(input.parameter)?)))
            .collect()
    }

    /// Keeps what has arrived for channels that stay when a show is reloaded.
    pub(super) fn adopt_seen(&self, old: &Paths, channels: &ChannelTable) {
        let before: HashMap<u32, Seen> = old
            .inputs
            .iter()
            .filter_map(|input| Some((channels.new_number(input.channel)?, input.seen.get())))
            .collect();
        for input in &self.inputs {
            if let Some(&seen) = before.get(&input.channel) {
                input.seen.set(seen);
            }
        }
    }

    /// Whether an address begins with the root.
    pub(super) fn has_root(&self, address: &[u8]) -> bool {
        address.starts_with(self.root.as_bytes())
    }

    /// The address of a message without the root, as channels have it. `None` outside the root.
    pub(super) fn local<'m>(&self, message: &Message<'m>) -> Option<&'m str> {
        message.address().strip_prefix(&*self.root).filter(|local| local.starts_with('/'))
    }

    /// The option `root`.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// How much effort matching the patterns of one packet may take.
    pub(super) fn pattern_effort(&self) -> usize {
        MIN_PATTERN_EFFORT.max(self.list.len() * PATTERN_EFFORT_PER_ADDRESS)
    }

    /// Calls `handle` for everything that a message contains for its channels, and for arguments
    /// that are not mapped. Matching a pattern is deducted from `effort`; a pattern that would take
    /// more than is left is not matched at all. For a pattern and for a message whose address is
    /// not mapped, [`Found::Unmatched`] is never passed.
    #[inline]
    pub(super) fn values<'m>(
        &self,
        message: &Message<'m>,
        effort: &mut usize,
        mut handle: impl FnMut(Found<'m>),
    ) -> AddressMatch {
        if let Some(index) = self.find(message.address_bytes()) {
            self.pass(self.list[index as usize], message, &mut handle);
            return AddressMatch::Mapped;
        }
        let pattern = message.address();
        if !is_pattern(pattern) {
            return AddressMatch::Unmapped;
        }
        // A pattern is matched completely or not at all: setting only some of its channels would be
        // wrong.
        let cost = self.list.len() * 8 + pattern.len() * self.addresses.len() / 16;
        let Some(remaining) = effort.checked_sub(cost) else { return AddressMatch::TooExpensive };
        *effort = remaining;
        let mut result = AddressMatch::Unmapped;
        for &path in &self.list {
            if address_matches(pattern, path.address(&self.addresses)).unwrap_or(false) {
                self.pass(path, message, |found| {
                    if !matches!(found, Found::Unmatched(..)) {
                        handle(found);
                    }
                });
                result = AddressMatch::Mapped;
            }
        }
        result
    }

    /// Calls `handle` for the arguments of a message to one path.
    #[inline]
    fn pass<'m>(&self, path: Path, message: &Message<'m>, mut handle: impl FnMut(Found<'m>)) {
        let inputs = &self.inputs[path.first_input as usize..][..path.input_count as usize];
        let mapped = |number: usize| -> Option<&Input> {
            inputs.get(number).filter(|input| input.channel != UNMAPPED)
        };
        if message.type_tags().is_empty() {
            handle(match mapped(0) {
                Some(input) => Found::Value(input.channel, 1.0),
                None => Found::Unmatched(0, None),
            });
            return;
        }
        for (number, argument) in message.arguments().enumerate() {
            let Some(input) = mapped(number) else {
                handle(Found::Unmatched(number, Some(argument)));
                continue;
            };
            if let Some(value) = scale(&argument, input.parameter) {
                input.seen.set(input.seen.get().add(&argument));
                handle(Found::Value(input.channel, value));
            } else if let (Some(text), None) = (argument.as_str(), input.parameter) {
                handle(Found::Text(input.channel, text));
            } else {
                // It is mapped, but has no value.
                handle(Found::Unmatched(number, Some(argument)));
            }
        }
    }
}

/// The value of an argument, scaled by the range given or by the default range of its type. `None`
/// for NaN, and for arguments that are not a number or truth value.
#[inline]
pub(super) fn scale(argument: &Argument<'_>, parameter: Option<Parameter>) -> Option<f64> {
    let (number, high) = match *argument {
        Argument::Int(number) => (f64::from(number), DEFAULT_INT_HIGH),
        Argument::Float(number) => (f64::from(number), 1.0),
        Argument::Long(number) => (number as f64, DEFAULT_LONG_HIGH),
        Argument::Double(number) => (number, 1.0),
        Argument::Bool(on) => return Some(f64::from(u8::from(on))),
        Argument::Impulse => return Some(1.0),
        _ => return None,
    };
    match parameter {
        Some(parameter) => parameter.normalise(number),
        None => normalise(number, 0.0, high),
    }
}
