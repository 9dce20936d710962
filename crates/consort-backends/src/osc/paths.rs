//! Addresses and their arguments: the channels of an instance, and the values of messages.

use std::cell::{Cell, RefCell};
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use consort_osc::{Argument, Message, address_matches, is_pattern};
use consort_router::inspect::{ExpectedRange, RawInput};
use consort_router::{ChannelError, ChannelTable, RawValue, Resolution, Usage};
use hashbrown::{DefaultHashBuilder, HashTable};

use super::config::{Kind, Parameter, normalise};
use super::outputs::Outputs;
use super::pattern_index::PatternIndex;
use super::patterns::{Constant, PathPattern, Shape};

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

/// How many addresses and options are compared to find misspelt ones.
const MAX_MISSPELT: usize = 64;

/// Whether an option would describe an address with one letter more, less, or another one.
fn differs_by_a_letter(option: &PathPattern, address: &str) -> bool {
    let mut letters: Vec<char> = option.name().chars().filter(|c| c.is_alphanumeric()).collect();
    letters.sort_unstable();
    letters.dedup();
    let ends = address.char_indices().map(|(start, letter)| (start, start + letter.len_utf8()));
    let without = |(start, end): (usize, usize)| [&address[..start], &address[end..]].concat();
    ends.clone().any(|range| option.matches(&without(range)))
        || letters.iter().any(|letter| {
            let with = |start: usize, end: usize| {
                option.matches(&format!("{}{letter}{}", &address[..start], &address[end..]))
            };
            // A number may be right as it is: `/fader2` is not a misspelt `/fader1`.
            let is_letter =
                |start: usize| address[start..].chars().next().is_some_and(char::is_alphabetic);
            ends.clone().any(|(start, end)| {
                with(start, start)
                    || (letter.is_alphabetic() && is_letter(start) && with(start, end))
            }) || with(address.len(), address.len())
        })
}

/// An address of an instance while the configuration is read.
struct Draft {
    /// The index of the option that describes it.
    option: Option<usize>,
    /// The channel of each argument, up to the last mapped one.
    channels: Vec<u32>,
    source_channels: Vec<u32>,
    target_channels: Vec<u32>,
    is_target: bool,
}

/// The channel of an incoming argument, its range if an option specifies one, and what has arrived.
struct Input {
    parameter: Option<Parameter>,
    text: TextUse,
    channel: u32,
    /// Whether mappings also write the channel.
    is_two_way: bool,
    seen: Cell<Seen>,
}

/// What a text is for an argument.
enum TextUse {
    /// A text.
    Text,
    /// Nothing: a number is expected.
    Unused,
    /// One of several words, evenly spaced from 0.0 to 1.0.
    Words(Arc<[Box<str>]>),
    /// A number of the range.
    Number,
}

impl Input {
    /// An argument that an option describes, or none does.
    fn new(shape: Option<&Shape>, channel: u32, is_two_way: bool) -> Self {
        let (parameter, text) = match shape {
            None | Some(Shape::Text) => (None, TextUse::Text),
            Some(Shape::Number(parameter)) => (Some(*parameter), TextUse::Unused),
            Some(Shape::NumberText(parameter)) => (Some(*parameter), TextUse::Number),
            Some(Shape::Words(words)) => {
                let (kind, high) = (Kind::Float, (words.len() - 1) as f64);
                (Some(Parameter { kind, low: 0.0, high }), TextUse::Words(Arc::clone(words)))
            }
            // The number itself is 1, and what is one less or smaller is 0.
            Some(Shape::Constant(Constant::Number(parameter))) => {
                let low = parameter.high - 1.0;
                (Some(Parameter { low, ..*parameter }), TextUse::Unused)
            }
            Some(Shape::Constant(Constant::Text(text))) => {
                (None, TextUse::Words([text.clone()].into()))
            }
            Some(Shape::Constant(Constant::Blob(_) | Constant::Tag(_))) => (None, TextUse::Unused),
        };
        Input { parameter, text, channel, is_two_way, seen: Cell::new(Seen::NOTHING) }
    }

    /// The value of a text; `None` if it has none.
    fn value_of(&self, text: &str) -> Option<f64> {
        match &self.text {
            TextUse::Text | TextUse::Unused => None,
            TextUse::Words(words) => {
                let index = words.iter().position(|word| **word == *text)?;
                Some(if words.len() > 1 { index as f64 / (words.len() - 1) as f64 } else { 1.0 })
            }
            TextUse::Number => self.parameter?.normalise(text.trim().parse().ok()?),
        }
    }
}

/// Checks the address of a channel: like an OSC address, but it may end with a slash and contain
/// spaces, `#` and commas, which some programs send.
pub(super) fn check_channel_address(address: &str) -> Result<(), consort_osc::Error> {
    let plain: String = address
        .chars()
        .map(|character| if " #,".contains(character) { '_' } else { character })
        .collect();
    consort_osc::validate_address(match plain.strip_suffix('/') {
        Some(start) if start.len() > 1 => start,
        _ => &plain,
    })
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

/// What is known of a channel.
struct ChannelFacts {
    resolution: Resolution,
    /// Whether equal values are sent, too.
    is_always: bool,
}

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
    channels: Vec<ChannelFacts>,
    has_sources: bool,
    /// Values that arrived for channels that mappings also write, until the outputs take them.
    peer_values: RefCell<Vec<(u32, f64)>>,
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
            channels: Vec::new(),
            has_sources: false,
            peer_values: RefCell::default(),
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
        if let Err(error) = check_channel_address(local) {
            return Err(ChannelError::new(format!("not a valid OSC address: {error}"))
                .with_hint("an address begins with `/`, such as `/1/fader1`"));
        }
        let address = format!("{}{local}", self.root);
        let index = match self.find(address.as_bytes()) {
            Some(index) => index,
            None => self.add(&address, local),
        };
        let draft = &mut self.drafts[index as usize];
        let option = draft.option.map(|option| &self.patterns[option]);
        let shapes = option.map(|option| &option.shapes);
        if let Some(shapes) = shapes
            && argument >= shapes.len().max(1)
        {
            let count = shapes.len();
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
            *channel = self.channels.len() as u32;
            let resolution = match shapes.map(|shapes| (shapes.is_empty(), shapes.get(argument))) {
                Some((true, _)) => Resolution::steps(2),
                Some((_, Some(shape))) => shape.resolution(),
                _ => Resolution::CONTINUOUS,
            };
            let is_always = option.is_some_and(|option| option.sending.always);
            self.channels.push(ChannelFacts { resolution, is_always });
        }
        let channel = *channel;
        match usage {
            Usage::Source => draft.source_channels.push(channel),
            Usage::Target => draft.target_channels.push(channel),
        }
        Ok(channel)
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
        self.drafts.push(Draft {
            option,
            channels: Vec::new(),
            source_channels: Vec::new(),
            target_channels: Vec::new(),
            is_target: false,
        });
        let hash = self.hasher.hash_one(address.as_bytes());
        let (hasher, list, addresses) = (&self.hasher, &self.list, &self.addresses);
        self.by_address.insert_unique(hash, index, |&other| {
            hasher.hash_one(list[other as usize].address(addresses).as_bytes())
        });
        index
    }

    /// The addresses with their arguments and channels. Only valid before [`Paths::prepare`].
    #[cfg(feature = "oscquery")]
    pub(super) fn nodes(&self) -> Vec<consort_web::QueryNode> {
        let node = |(path, draft): (&Path, &Draft)| {
            let shapes = draft.option.map(|option| &*self.patterns[option].shapes);
            let count = shapes.map_or(draft.channels.len(), <[Shape]>::len);
            let argument = |index: usize| {
                let channel = draft.channels.get(index).copied();
                let channel = channel.filter(|channel| *channel != UNMAPPED);
                super::query::argument(shapes.map(|shapes| &shapes[index]), channel)
            };
            consort_web::QueryNode {
                address: path.address(&self.addresses).to_owned(),
                arguments: (0..count).map(argument).collect(),
                is_writable: !draft.source_channels.is_empty(),
            }
        };
        self.list.iter().zip(&self.drafts).map(node).collect()
    }

    /// Passes the values that arrived for channels that mappings also write.
    pub(super) fn take_peer_values(&self, mut take: impl FnMut(u32, f64)) {
        for (channel, value) in self.peer_values.borrow_mut().drain(..) {
            take(channel, value);
        }
    }

    /// Targets that no option describes although the instance has options: the address, and the
    /// option that was probably meant. Only valid before [`Paths::prepare`].
    pub(super) fn undescribed(&self) -> Vec<(&str, &PathPattern)> {
        let targets = self.drafts.iter().enumerate();
        let targets = targets.filter(|(_, draft)| draft.is_target && draft.option.is_none());
        let local = |index: usize| {
            let address = self.list[index].address(&self.addresses);
            address.strip_prefix(&*self.root).unwrap_or(address)
        };
        targets
            .filter_map(|(index, _)| {
                let address = local(index);
                let crossing = self
                    .patterns
                    .iter()
                    .find(|option| !option.is_literal() && option.matches_across_slashes(address));
                let nearly = || {
                    let literal = self.patterns.iter().filter(|option| option.is_literal());
                    let name = |option: &&PathPattern| -> bool {
                        option.name().eq_ignore_ascii_case(address)
                    };
                    literal.clone().find(name)
                };
                Some((address, crossing.or_else(nearly)?))
            })
            .collect()
    }

    /// Addresses that no option describes and that differ by one letter from those of an option that
    /// describes no other address, either: the address, the option, and whether values are sent to
    /// it. At most [`MAX_MISSPELT`] of each are compared. Only valid before [`Paths::prepare`].
    pub(super) fn misspelt(&self) -> Vec<(&str, &PathPattern, bool)> {
        let mut is_used = vec![false; self.patterns.len()];
        for option in self.drafts.iter().filter_map(|draft| draft.option) {
            is_used[option] = true;
        }
        let unused = self.patterns.iter().zip(&is_used).filter(|(_, is_used)| !**is_used);
        let unused: Vec<&PathPattern> =
            unused.map(|(option, _)| option).take(MAX_MISSPELT).collect();
        if unused.is_empty() {
            return Vec::new();
        }
        let plain = self.drafts.iter().enumerate().filter(|(_, draft)| draft.option.is_none());
        plain
            .take(MAX_MISSPELT)
            .filter_map(|(index, draft)| {
                let address = self.list[index].address(&self.addresses);
                let address = address.strip_prefix(&*self.root).unwrap_or(address);
                let option = unused.iter().find(|option| differs_by_a_letter(option, address))?;
                Some((address, *option, draft.is_target))
            })
            .collect()
    }

    /// How finely a channel distinguishes values.
    pub(super) fn resolution(&self, channel: u32) -> Resolution {
        self.channels.get(channel as usize).map(|facts| facts.resolution).unwrap_or_default()
    }

    /// Whether any channel is the source of a mapping.
    pub(super) fn has_sources(&self) -> bool {
        self.has_sources
    }

    /// Whether any channel is the target of a mapping. Only valid before [`Paths::prepare`].
    pub(super) fn has_targets(&self) -> bool {
        self.drafts.iter().any(|draft| draft.is_target)
    }

    /// Whether the option of a channel sends equal values, too.
    pub(super) fn is_always(&self, channel: u32) -> bool {
        self.channels.get(channel as usize).is_some_and(|facts| facts.is_always)
    }

    /// Builds the run-time tables and returns the messages to send. Called once, when all channels
    /// are known.
    pub(super) fn prepare(&mut self) -> Outputs {
        let mut outputs = Outputs::new(self.channels.len());
        let mut is_sent = vec![false; self.patterns.len()];
        for (index, draft) in std::mem::take(&mut self.drafts).into_iter().enumerate() {
            let option = draft.option.map(|option| &self.patterns[option]);
            let shapes = option.map(|option| &*option.shapes);
            let path = &mut self.list[index];
            path.first_input = self.inputs.len() as u32;
            path.input_count = draft.channels.len() as u32;
            self.inputs.extend(draft.channels.iter().enumerate().map(|(number, &channel)| {
                let is_two_way = draft.source_channels.contains(&channel)
                    && draft.target_channels.contains(&channel);
                Input::new(shapes.and_then(|shapes| shapes.get(number)), channel, is_two_way)
            }));
            if draft.is_target {
                let floats: Vec<Shape> =
                    draft.channels.iter().map(|_| Shape::Number(Parameter::FLOAT)).collect();
                let channels = draft.channels.iter().copied().enumerate();
                let path = self.list[index];
                outputs.add(
                    path.address(&self.addresses),
                    shapes.unwrap_or(&floats),
                    option.map(|option| option.sending).unwrap_or_default(),
                    channels.filter(|(_, channel)| *channel != UNMAPPED),
                );
                if let Some(option) = draft.option {
                    is_sent[option] = true;
                }
            }
        }
        // What is sent at an interval needs no mapping.
        for (option, _) in self
            .patterns
            .iter()
            .zip(is_sent)
            .filter(|(option, is_sent)| !is_sent && option.sending.every.is_some())
        {
            let address = format!("{}{}", self.root, option.name());
            outputs.add(&address, &option.shapes, option.sending, std::iter::empty());
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
        let mut before: Vec<Option<Seen>> = vec![None; channels.new_count()];
        for input in &old.inputs {
            if let Some(number) = channels.new_number(input.channel) {
                before[number as usize] = Some(input.seen.get());
            }
        }
        for input in &self.inputs {
            if let Some(seen) = before.get(input.channel as usize).copied().flatten() {
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
                if input.is_two_way {
                    self.peer_values.borrow_mut().push((input.channel, value));
                }
                handle(Found::Value(input.channel, value));
            } else if let Some(text) = argument.as_str()
                && matches!(input.text, TextUse::Text)
            {
                handle(Found::Text(input.channel, text));
            } else if let Some(value) = argument.as_str().and_then(|text| input.value_of(text)) {
                handle(Found::Value(input.channel, value));
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
