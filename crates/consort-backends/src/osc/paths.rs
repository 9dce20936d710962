//! Addresses and their arguments: which channels there are, and from messages to values.

use std::hash::BuildHasher;
use std::rc::Rc;

use consort_osc::{Argument, Message, address_matches, is_pattern};
use consort_router::{ChannelError, Usage};
use hashbrown::{DefaultHashBuilder, HashTable};

use super::config::{Parameter, PathPattern, normalise};
use super::outputs::Outputs;

const UNMAPPED: u32 = u32::MAX;

/// The largest `:n`.
const ARGUMENT_LIMIT: usize = 63;

/// How much comparing the patterns of one packet may cost: this, or for each address the other,
/// whichever is more. One packet has room for thousands of patterns, and each of them is held
/// against every address. An effort of 1 is some ten nanoseconds: a pattern of 32 bytes against
/// an address of 32 costs 72.
const EFFORT: usize = 1 << 20;
const EFFORT_AN_ADDRESS: usize = 256;

/// What an incoming message found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Channels have its address.
    Known,
    /// No channel has.
    Unknown,
    /// It is a pattern, and too much was spent on patterns already.
    TooMuch,
}

/// An address of an instance, as running needs it: where in `addresses` it stands, root
/// included, and where in `inputs` its arguments.
#[derive(Clone, Copy)]
struct Path {
    start: u32,
    length: u32,
    input: u32,
    inputs: u32,
}

impl Path {
    #[inline]
    fn address(self, addresses: &str) -> &str {
        &addresses[self.start as usize..][..self.length as usize]
    }
}

/// The same as the configuration makes it.
struct Draft {
    parameters: Option<Rc<[Parameter]>>,
    /// The channel of each argument, as far as any is mapped.
    channels: Vec<u32>,
    is_target: bool,
}

/// Where an incoming argument goes, and its range if an option gives one.
struct Input {
    parameter: Option<Parameter>,
    channel: u32,
}

/// All addresses of an instance.
pub(super) struct Paths {
    root: String,
    patterns: Vec<PathPattern>,
    /// The addresses, one after the other.
    addresses: String,
    list: Vec<Path>,
    drafts: Vec<Draft>,
    by_address: HashTable<u32>,
    hasher: DefaultHashBuilder,
    inputs: Vec<Input>,
    channels: u32,
    has_sources: bool,
}

impl Paths {
    pub(super) fn new(root: String, patterns: Vec<PathPattern>) -> Self {
        Paths {
            root,
            patterns,
            addresses: String::new(),
            list: Vec::new(),
            drafts: Vec::new(),
            by_address: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            inputs: Vec::new(),
            channels: 0,
            has_sources: false,
        }
    }

    /// The path of an address.
    #[inline]
    fn find(&self, address: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(address);
        let is_it =
            |&at: &u32| self.list[at as usize].address(&self.addresses).as_bytes() == address;
        self.by_address.find(hash, is_it).copied()
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
        let at = match self.find(address.as_bytes()) {
            Some(at) => at,
            None => self.add(&address, local),
        };
        let draft = &mut self.drafts[at as usize];
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
            *channel = self.channels;
            self.channels += 1;
        }
        Ok(*channel)
    }

    fn add(&mut self, address: &str, local: &str) -> u32 {
        let at = self.list.len() as u32;
        let start = self.addresses.len() as u32;
        self.list.push(Path { start, length: address.len() as u32, input: 0, inputs: 0 });
        self.addresses.push_str(address);
        let found = self.patterns.iter().find(|it| it.pattern.matches(local));
        let parameters = found.map(|it| Rc::clone(&it.parameters));
        self.drafts.push(Draft { parameters, channels: Vec::new(), is_target: false });
        let hash = self.hasher.hash_one(address.as_bytes());
        let (hasher, list, addresses) = (&self.hasher, &self.list, &self.addresses);
        self.by_address.insert_unique(hash, at, |&other| {
            hasher.hash_one(list[other as usize].address(addresses).as_bytes())
        });
        at
    }

    /// Whether any channel is the source of a mapping.
    pub(super) fn has_sources(&self) -> bool {
        self.has_sources
    }

    /// Whether any channel is the target of a mapping; before [`Paths::prepare`].
    pub(super) fn has_targets(&self) -> bool {
        self.drafts.iter().any(|draft| draft.is_target)
    }

    /// Prepares what is read at run time and returns what is sent; called once, when all
    /// channels are known.
    pub(super) fn prepare(&mut self) -> Outputs {
        let mut outputs = Outputs::new(self.channels as usize);
        for (at, draft) in std::mem::take(&mut self.drafts).into_iter().enumerate() {
            let parameters = draft.parameters.as_deref();
            let path = &mut self.list[at];
            path.input = self.inputs.len() as u32;
            path.inputs = draft.channels.len() as u32;
            self.inputs.extend(draft.channels.iter().enumerate().map(|(at, &channel)| Input {
                channel,
                parameter: parameters.and_then(|parameters| parameters.get(at)).copied(),
            }));
            if draft.is_target {
                let floats = [Parameter::FLOAT; ARGUMENT_LIMIT + 1];
                let parameters = parameters.unwrap_or(&floats[..draft.channels.len()]);
                let channels = draft.channels.iter().copied().enumerate();
                let path = self.list[at];
                outputs.add(
                    path.address(&self.addresses),
                    parameters,
                    channels.filter(|(_, channel)| *channel != UNMAPPED),
                );
            }
        }
        outputs
    }

    /// Whether a message's address begins with the root.
    pub(super) fn is_ours(&self, address: &[u8]) -> bool {
        address.starts_with(self.root.as_bytes())
    }

    /// What the patterns of one packet may cost.
    pub(super) fn effort(&self) -> usize {
        EFFORT.max(self.list.len() * EFFORT_AN_ADDRESS)
    }

    /// Gives every value of a message to `emit` with its channel. What comparing a pattern costs
    /// is taken from `effort`; one that would cost more than is left reaches nothing.
    #[inline]
    pub(super) fn values(
        &self,
        message: &Message<'_>,
        effort: &mut usize,
        mut emit: impl FnMut(u32, f64),
    ) -> Found {
        if let Some(at) = self.find(message.address_bytes()) {
            self.emit(self.list[at as usize], message, &mut emit);
            return Found::Known;
        }
        let pattern = message.address();
        if !is_pattern(pattern) {
            return Found::Unknown;
        }
        // All or nothing: half of what a pattern means would be wrong.
        let cost = self.list.len() * 8 + pattern.len() * self.addresses.len() / 16;
        let Some(left) = effort.checked_sub(cost) else { return Found::TooMuch };
        *effort = left;
        let mut found = Found::Unknown;
        for &path in &self.list {
            if address_matches(pattern, path.address(&self.addresses)).unwrap_or(false) {
                self.emit(path, message, &mut emit);
                found = Found::Known;
            }
        }
        found
    }

    #[inline]
    fn emit(&self, path: Path, message: &Message<'_>, mut emit: impl FnMut(u32, f64)) {
        let inputs = &self.inputs[path.input as usize..][..path.inputs as usize];
        let range = |at| inputs.get(at).and_then(|input: &Input| input.parameter);
        each_value(range, message, |argument, value| {
            if let Some(input) = inputs.get(argument)
                && input.channel != UNMAPPED
            {
                emit(input.channel, value);
            }
        });
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
