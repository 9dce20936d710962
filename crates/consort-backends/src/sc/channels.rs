//! What the channels of an instance are called, and what they stand for.

use std::collections::HashMap;

use consort_router::{ChannelError, Usage};

use super::config::{BusKind, Config, Player, RESERVED, Setting};
use super::controls::Scale;
use super::definitions::suggest;
use super::settings::check_control;

/// What a channel of the router stands for. Numbers are places in the configuration's lists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Control {
    /// Target: velocity, 0 ends it. Source: velocity when it sounds, 0 when it has ended.
    Note(usize, u8),
    NotePressure(usize, u8),
    Bend(usize),
    Sustain(usize),
    Silence(usize),
    /// Source: the share of voices that sound.
    Voices(usize),
    /// Source: 1 whenever a note is ended for another.
    Stolen(usize),
    /// A control of all voices, by its place in [`Controls`].
    OfVoice(usize, usize),
    OfSynth(usize, usize),
    /// Whether a fixed synth runs. Source: whether it is there.
    Run(usize),
    /// A bus of the configuration.
    NamedBus(usize),
    /// A control bus by its number.
    NumberedBus(u32),
    /// Source: `/tr` of this id.
    Trigger(i32),
    /// Source: an argument of messages to this address.
    Reply(String, usize),
    Level,
    Mute,
    Panic,
    /// Source: the peak of an output, or of all.
    Meter(Option<u32>),
    /// Source: how busy the server is.
    Load,
}

/// The controls of a voice or synth that values reach: their names and ranges.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Controls(pub(super) Vec<(String, Scale)>);

impl Controls {
    pub(super) fn find_or_add(&mut self, name: &str, scale: Scale) -> usize {
        if let Some(at) = self.0.iter().position(|it| it.0 == name) {
            return at;
        }
        self.0.push((name.to_owned(), scale));
        self.0.len() - 1
    }
}

/// The channels of an instance.
#[derive(Default)]
pub(super) struct Channels {
    controls: Vec<Control>,
    numbers: HashMap<Control, u32>,
    sources: Vec<bool>,
    /// Controls that values reach, of each voice and each synth.
    pub(super) of_voices: Vec<Controls>,
    pub(super) of_synths: Vec<Controls>,
}

impl Channels {
    pub(super) fn new(config: &Config) -> Self {
        Channels {
            of_voices: vec![Controls::default(); config.voices.len()],
            of_synths: vec![Controls::default(); config.synths.len()],
            ..Channels::default()
        }
    }

    /// Finds or makes a channel.
    pub(super) fn channel(
        &mut self,
        text: &str,
        usage: Usage,
        config: &Config,
    ) -> Result<u32, ChannelError> {
        let control = self.parse(text, config)?;
        check_direction(&control, usage, text)?;
        let next = self.controls.len() as u32;
        let number = *self.numbers.entry(control.clone()).or_insert(next);
        if number == next {
            self.controls.push(control);
            self.sources.push(false);
        }
        self.sources[number as usize] |= usage == Usage::Source;
        Ok(number)
    }

    /// What a channel stands for.
    pub(super) fn control(&self, number: u32) -> &Control {
        &self.controls[number as usize]
    }

    /// The number of a channel that something of the show listens to.
    pub(super) fn source(&self, control: &Control) -> Option<u32> {
        let number = *self.numbers.get(control)?;
        self.sources[number as usize].then_some(number)
    }

    /// Every channel that something of the show listens to.
    pub(super) fn sources(&self) -> impl Iterator<Item = (u32, &Control)> {
        let all = self.controls.iter().zip(&self.sources).enumerate();
        all.filter(|(_, (_, is_source))| **is_source).map(|(at, (it, _))| (at as u32, it))
    }

    /// Control buses that the show names by number.
    pub(super) fn numbered_buses(&self) -> impl Iterator<Item = u32> {
        self.controls.iter().filter_map(|control| match control {
            Control::NumberedBus(number) => Some(*number),
            _ => None,
        })
    }

    fn parse(&mut self, text: &str, config: &Config) -> Result<Control, ChannelError> {
        let (name, rest) = match text.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (text, None),
        };
        let at = name.len() + 1;
        match (name, rest) {
            ("level", None) => Ok(Control::Level),
            ("mute", None) => Ok(Control::Mute),
            ("panic", None) => Ok(Control::Panic),
            ("meter", None) => Ok(Control::Meter(None)),
            ("load", None) => Ok(Control::Load),
            ("meter", Some(digits)) => {
                let most = config.channels.saturating_sub(1);
                Ok(Control::Meter(Some(number(digits, most, "output", at)?)))
            }
            ("bus", Some(bus)) => parse_bus(bus, at, config),
            ("trigger", Some(digits)) => digits.parse().map(Control::Trigger).map_err(|_| {
                ChannelError::new(format!("`{digits}` is no number of a trigger"))
                    .with_range(at, text.len())
                    .with_hint("the `id` of a SendTrig, such as `trigger.1`")
            }),
            ("reply", Some(address)) => parse_reply(address, at),
            (name, rest) => {
                let voice = config.voices.iter().position(|it| it.player.name == name);
                let synth = config.synths.iter().position(|it| it.name == name);
                match (voice, synth, rest) {
                    (Some(voice), _, Some(rest)) => self.voice(voice, rest, at, config),
                    (_, Some(synth), Some(rest)) => self.synth(synth, rest, at, config),
                    (Some(_), _, None) => Err(ChannelError::new(format!(
                        "what of the voice `{name}` is meant is missing"
                    ))
                    .with_hint(OF_A_VOICE)),
                    (_, Some(_), None) => Err(ChannelError::new(format!(
                        "what of the synth `{name}` is meant is missing"
                    ))
                    .with_hint(format!("`{name}.run` or one of its controls"))),
                    (None, None, _) => Err(unknown(name, config)),
                }
            }
        }
    }

    fn voice(
        &mut self,
        voice: usize,
        text: &str,
        at: usize,
        config: &Config,
    ) -> Result<Control, ChannelError> {
        let player = &config.voices[voice].player;
        let alone = match text {
            "bend" => Some(Control::Bend(voice)),
            "sustain" => Some(Control::Sustain(voice)),
            "panic" => Some(Control::Silence(voice)),
            "voices" => Some(Control::Voices(voice)),
            "stolen" => Some(Control::Stolen(voice)),
            _ => None,
        };
        if let Some(alone) = alone {
            return Ok(alone);
        }
        for (prefix, make) in [
            ("note", Control::Note as fn(usize, u8) -> Control),
            ("pressure", Control::NotePressure),
        ] {
            let digits = text.strip_prefix(prefix).unwrap_or_default();
            if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
                let number = number(digits, 127, prefix, at + prefix.len())?;
                if prefix == "pressure" {
                    self.of_voices[voice].add(player, "pressure", at)?;
                }
                return Ok(make(voice, number as u8));
            }
        }
        let control = text.strip_prefix("control.").unwrap_or(text);
        let added = self.of_voices[voice].add(player, control, at);
        added.map(|control| Control::OfVoice(voice, control))
    }

    fn synth(
        &mut self,
        synth: usize,
        text: &str,
        at: usize,
        config: &Config,
    ) -> Result<Control, ChannelError> {
        if text == "run" {
            return Ok(Control::Run(synth));
        }
        let control = text.strip_prefix("control.").unwrap_or(text);
        let added = self.of_synths[synth].add(&config.synths[synth], control, at);
        added.map(|control| Control::OfSynth(synth, control))
    }
}

impl Controls {
    /// Finds a control that values reach, or makes it one.
    fn add(&mut self, player: &Player, control: &str, at: usize) -> Result<usize, ChannelError> {
        let end = at + control.len();
        if let Err(hint) = check_control(&player.definition, control) {
            let (name, synthdef) = (&player.name, &player.definition.name);
            return Err(ChannelError::new(format!(
                "`{name}` has no control `{control}` (its SynthDef is `{synthdef}`)"
            ))
            .with_hint(hint)
            .with_range(at, end));
        }
        let set = player.controls.iter().find(|it| it.0 == control).map(|it| it.1);
        let scale = match set {
            Some(Setting::Scaled(scale)) => scale,
            Some(Setting::Map(_)) => {
                let error = format!("the control `{control}` follows a bus");
                return Err(ChannelError::new(error)
                    .with_hint("map to the bus instead, `bus.NAME`")
                    .with_range(at, end));
            }
            Some(Setting::Bus(_) | Setting::Buffer(_)) => {
                let error = format!("the control `{control}` is the number of a bus or buffer");
                return Err(ChannelError::new(error).with_range(at, end));
            }
            Some(Setting::Constant(number)) => {
                let name = &player.name;
                return Err(ChannelError::new(format!(
                    "the control `{control}` is always {number}"
                ))
                .with_hint(format!("give it a range: `control.{name}.{control} = LOW HIGH`"))
                .with_range(at, end));
            }
            None => Scale::usual(control),
        };
        Ok(self.find_or_add(control, scale))
    }
}

const OF_A_VOICE: &str = "expected `noteN`, `bend`, `pressure`, `pressureN`, `sustain`, `panic`, \
                          `voices`, `stolen` or one of its controls";

fn unknown(name: &str, config: &Config) -> ChannelError {
    let players = config.voices.iter().map(|it| &it.player).chain(&config.synths);
    let mut names: Vec<&str> = players.map(|player| player.name.as_str()).collect();
    names.extend(RESERVED);
    ChannelError::new(format!("there is nothing called `{name}` here"))
        .with_hint(suggest(name, "names", names))
        .with_range(0, name.len())
}

fn parse_bus(text: &str, at: usize, config: &Config) -> Result<Control, ChannelError> {
    if let Some(bus) = config.buses.iter().position(|bus| bus.name == text) {
        return match config.buses[bus].kind {
            BusKind::Control(_) => Ok(Control::NamedBus(bus)),
            BusKind::Audio(_) => {
                Err(ChannelError::new(format!("`{text}` is an audio bus, which has no value"))
                    .with_range(at, at + text.len())
                    .with_hint("the synth `level` measures one and writes a control bus"))
            }
        };
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let most = config.server.control_bus_channel_count.saturating_sub(1);
        return Ok(Control::NumberedBus(number(text, most, "control bus", at)?));
    }
    let names: Vec<&str> = config.buses.iter().map(|bus| bus.name.as_str()).collect();
    Err(ChannelError::new(format!("there is no bus `{text}`"))
        .with_hint(suggest(text, "buses", names))
        .with_range(at, at + text.len()))
}

fn parse_reply(text: &str, at: usize) -> Result<Control, ChannelError> {
    let (address, argument) = match text.rsplit_once(':') {
        Some((address, digits)) => {
            let start = at + address.len() + 1;
            (address, number(digits, 1_000, "argument", start)? as usize)
        }
        None => (text, 0),
    };
    match consort_osc::validate_address(address) {
        Ok(()) => Ok(Control::Reply(address.to_owned(), argument)),
        Err(error) => Err(ChannelError::new(format!("`{address}` is no OSC address: {error}"))
            .with_range(at, at + address.len())
            .with_hint("the name that SendReply was given, such as `reply./beat:0`")),
    }
}

fn check_direction(control: &Control, usage: Usage, text: &str) -> Result<(), ChannelError> {
    let is_source_only = matches!(
        control,
        Control::Voices(_)
            | Control::Stolen(_)
            | Control::Trigger(_)
            | Control::Reply(..)
            | Control::Meter(_)
            | Control::Load
    );
    let is_two_way = matches!(
        control,
        Control::Note(..) | Control::Run(_) | Control::NamedBus(_) | Control::NumberedBus(_)
    );
    match usage {
        Usage::Target if is_source_only => {
            Err(ChannelError::new(format!("`{text}` cannot be set"))
                .with_hint("it is a source: the server says it"))
        }
        Usage::Source if !is_source_only && !is_two_way => Err(ChannelError::new(format!(
            "nothing comes from `{text}`"
        ))
        .with_hint("it is a target; `noteN`, `bus.NAME`, `trigger.ID` and `meter` are sources")),
        _ => Ok(()),
    }
}

fn number(digits: &str, most: u32, what: &str, at: usize) -> Result<u32, ChannelError> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<u32>() {
        Ok(number) if is_number && number <= most => Ok(number),
        _ => Err(ChannelError::new(if is_number {
            format!("{what} {digits} is out of range: expected 0 to {most}")
        } else {
            format!("`{digits}` is no number of a {what}: expected 0 to {most}")
        })
        .with_range(at, at + digits.len())),
    }
}
