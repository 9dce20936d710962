//! The channels of an instance: their names and what they control or report.

use std::collections::HashMap;

use consort_router::{ChannelError, ChannelKind, Resolution, Usage};
use consort_suggest::did_you_mean_or_list;

use super::config::{BusKind, Config, RESERVED, Setting, SynthConfig};
use super::controls::Scale;
use super::settings::check_control;

/// What a channel controls or reports. Voices, synths and buses are given by their index in the
/// configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum ChannelRole {
    /// Target: the velocity of a note, 0 ends it. Source: its velocity when it has started on the
    /// server, 0 when it has ended.
    Note(usize, u8),
    NotePressure(usize, u8),
    Bend(usize),
    Sustain(usize),
    /// Ends all notes of a voice.
    VoicePanic(usize),
    /// Source: the number of sounding voices, divided by the polyphony.
    Voices(usize),
    /// Source: 1 whenever the voice of a note is stolen.
    Stolen(usize),
    /// A control of all voices of an instrument: voice, and index in [`MappedControls`].
    VoiceControl(usize, usize),
    /// A control of a fixed synth: synth, and index in [`MappedControls`].
    SynthControl(usize, usize),
    /// Target: whether a fixed synth runs or pauses. Source: whether it exists and runs.
    Run(usize),
    /// A bus of the configuration.
    NamedBus(usize),
    /// The control bus with this number.
    NumberedBus(u32),
    /// Source: the value of `/tr` messages with this id.
    Trigger(i32),
    /// Source: the argument with this index of messages to this address.
    Reply(String, usize),
    Level,
    Mute,
    Panic,
    /// Source: the peak of an output, or of all outputs.
    Meter(Option<u32>),
    /// Source: the CPU load of the server.
    Load,
}

/// The controls of a voice or synth that channels or start values set: names and ranges.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MappedControls(pub(super) Vec<(String, Scale)>);

impl MappedControls {
    /// The index of a control, which is added if it is not there yet.
    pub(super) fn find_or_add(&mut self, name: &str, scale: Scale) -> usize {
        if let Some(index) = self.0.iter().position(|(other, _)| other == name) {
            return index;
        }
        self.0.push((name.to_owned(), scale));
        self.0.len() - 1
    }
}

/// How mappings use a channel.
#[derive(Clone, Copy, Debug, Default)]
struct Directions {
    is_source: bool,
    is_target: bool,
}

/// The channels of an instance.
#[derive(Default)]
pub(super) struct Channels {
    roles: Vec<ChannelRole>,
    numbers: HashMap<ChannelRole, u32>,
    directions: Vec<Directions>,
    /// The mapped controls of each voice, and of each fixed synth.
    pub(super) voice_controls: Vec<MappedControls>,
    pub(super) synth_controls: Vec<MappedControls>,
}

impl Channels {
    pub(super) fn new(config: &Config) -> Self {
        Channels {
            voice_controls: vec![MappedControls::default(); config.voices.len()],
            synth_controls: vec![MappedControls::default(); config.synths.len()],
            ..Channels::default()
        }
    }

    /// Returns the number of a channel, which is added if it is not there yet.
    pub(super) fn channel(
        &mut self,
        text: &str,
        usage: Usage,
        config: &Config,
    ) -> Result<u32, ChannelError> {
        let role = self.parse(text, config)?;
        check_direction(&role, usage, text)?;
        let next = self.roles.len() as u32;
        let number = *self.numbers.entry(role.clone()).or_insert(next);
        if number == next {
            self.roles.push(role);
            self.directions.push(Directions::default());
        }
        let directions = &mut self.directions[number as usize];
        match usage {
            Usage::Source => directions.is_source = true,
            Usage::Target => directions.is_target = true,
        }
        Ok(number)
    }

    /// What a channel controls or reports.
    pub(super) fn role(&self, number: u32) -> &ChannelRole {
        &self.roles[number as usize]
    }

    /// The number of a channel, if it is the source of a mapping.
    pub(super) fn source(&self, role: &ChannelRole) -> Option<u32> {
        let number = *self.numbers.get(role)?;
        self.directions[number as usize].is_source.then_some(number)
    }

    /// Whether a channel is the target of a mapping.
    pub(super) fn is_target(&self, role: &ChannelRole) -> bool {
        let number = self.numbers.get(role);
        number.is_some_and(|number| self.directions[*number as usize].is_target)
    }

    /// Every channel that is the source of a mapping.
    pub(super) fn sources(&self) -> impl Iterator<Item = (u32, &ChannelRole)> {
        let all = self.roles.iter().zip(&self.directions).enumerate();
        all.filter(|(_, (_, directions))| directions.is_source)
            .map(|(number, (role, _))| (number as u32, role))
    }

    /// Makes every channel a mere target, so that nothing is emitted any more.
    pub(super) fn silence_sources(&mut self) {
        self.directions.iter_mut().for_each(|directions| directions.is_source = false);
    }

    /// How the values of a channel behave.
    pub(super) fn kind(&self, number: u32) -> ChannelKind {
        match self.role(number) {
            ChannelRole::Note(..)
            | ChannelRole::VoicePanic(_)
            | ChannelRole::Panic
            | ChannelRole::Stolen(_)
            | ChannelRole::Trigger(_) => ChannelKind::Momentary,
            _ => ChannelKind::Absolute,
        }
    }

    /// How finely a channel distinguishes values.
    pub(super) fn resolution(&self, number: u32, config: &Config) -> Resolution {
        match self.role(number) {
            ChannelRole::Sustain(_) | ChannelRole::Mute => Resolution::steps(2),
            ChannelRole::Voices(voice) => {
                Resolution::steps(config.voices[*voice].rules.polyphony as u32 + 1)
            }
            _ => Resolution::CONTINUOUS,
        }
    }

    /// Adds the controls that have a start value, whether a mapping sets them or not.
    pub(super) fn add_start_values(&mut self, config: &Config) {
        let voices = config.voices.iter().map(|voice| &voice.synth);
        let mapped = self.voice_controls.iter_mut().chain(&mut self.synth_controls);
        for (synth, controls) in voices.chain(&config.synths).zip(mapped) {
            for (name, setting) in &synth.controls {
                if let Setting::Scaled(scale @ Scale { start: Some(_), .. }) = setting {
                    controls.find_or_add(name, *scale);
                }
            }
        }
    }

    /// The control buses that mappings name by number.
    pub(super) fn numbered_buses(&self) -> impl Iterator<Item = u32> {
        self.roles.iter().filter_map(|role| match role {
            ChannelRole::NumberedBus(number) => Some(*number),
            _ => None,
        })
    }

    fn parse(&mut self, text: &str, config: &Config) -> Result<ChannelRole, ChannelError> {
        let (name, rest) = match text.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (text, None),
        };
        let offset = name.len() + 1;
        match (name, rest) {
            ("level", None) => Ok(ChannelRole::Level),
            ("mute", None) => Ok(ChannelRole::Mute),
            ("panic", None) => Ok(ChannelRole::Panic),
            ("meter", None) => Ok(ChannelRole::Meter(None)),
            ("load", None) => Ok(ChannelRole::Load),
            ("meter", Some(digits)) => {
                let max = config.channels.saturating_sub(1);
                Ok(ChannelRole::Meter(Some(number(digits, max, "output", offset)?)))
            }
            ("bus", Some(bus)) => parse_bus(bus, offset, config),
            ("trigger", Some(digits)) => digits.parse().map(ChannelRole::Trigger).map_err(|_| {
                ChannelError::new(format!("expected the number of a trigger, not `{digits}`"))
                    .with_range(offset, text.len())
                    .with_hint("use the `id` of a SendTrig, such as `trigger.1`")
            }),
            ("reply", Some(address)) => parse_reply(address, offset),
            (name, rest) => {
                let voice = config.voices.iter().position(|voice| voice.synth.name == name);
                let synth = config.synths.iter().position(|synth| synth.name == name);
                match (voice, synth, rest) {
                    (Some(voice), _, Some(rest)) => self.voice(voice, rest, offset, config),
                    (_, Some(synth), Some(rest)) => self.synth(synth, rest, offset, config),
                    (Some(_), _, None) => Err(ChannelError::new(format!(
                        "expected a channel of the voice, such as `{name}.note60`"
                    ))
                    .with_hint(VOICE_CHANNELS)),
                    (_, Some(_), None) => Err(ChannelError::new(format!(
                        "expected a channel of the synth, such as `{name}.run`"
                    ))
                    .with_hint(format!("expected `{name}.run` or `{name}.CONTROL`"))),
                    (None, None, _) => Err(unknown(name, config)),
                }
            }
        }
    }

    fn voice(
        &mut self,
        voice: usize,
        text: &str,
        offset: usize,
        config: &Config,
    ) -> Result<ChannelRole, ChannelError> {
        let synth = &config.voices[voice].synth;
        let single = match text {
            "bend" => Some(ChannelRole::Bend(voice)),
            "sustain" => Some(ChannelRole::Sustain(voice)),
            "panic" => Some(ChannelRole::VoicePanic(voice)),
            "voices" => Some(ChannelRole::Voices(voice)),
            "stolen" => Some(ChannelRole::Stolen(voice)),
            _ => None,
        };
        if let Some(role) = single {
            return Ok(role);
        }
        for (prefix, make) in [
            ("note", ChannelRole::Note as fn(usize, u8) -> ChannelRole),
            ("pressure", ChannelRole::NotePressure),
        ] {
            let digits = text.strip_prefix(prefix).unwrap_or_default();
            if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
                let number = number(digits, 127, prefix, offset + prefix.len())?;
                if prefix == "pressure" {
                    self.voice_controls[voice].add(synth, "pressure", offset)?;
                }
                return Ok(make(voice, number as u8));
            }
        }
        let control = text.strip_prefix("control.").unwrap_or(text);
        let added = self.voice_controls[voice].add(synth, control, offset);
        added.map(|control| ChannelRole::VoiceControl(voice, control))
    }

    fn synth(
        &mut self,
        synth: usize,
        text: &str,
        offset: usize,
        config: &Config,
    ) -> Result<ChannelRole, ChannelError> {
        if text == "run" {
            return Ok(ChannelRole::Run(synth));
        }
        let control = text.strip_prefix("control.").unwrap_or(text);
        let added = self.synth_controls[synth].add(&config.synths[synth], control, offset);
        added.map(|control| ChannelRole::SynthControl(synth, control))
    }
}

impl MappedControls {
    /// The index of a control that a mapping sets; `offset` is where the channel names it.
    fn add(
        &mut self,
        synth: &SynthConfig,
        control: &str,
        offset: usize,
    ) -> Result<usize, ChannelError> {
        let end = offset + control.len();
        if let Err(hint) = check_control(&synth.definition, control) {
            let (name, synthdef) = (&synth.name, &synth.definition.name);
            return Err(ChannelError::new(format!(
                "`{name}` has no control `{control}` (its SynthDef is `{synthdef}`)"
            ))
            .with_hint(hint)
            .with_range(offset, end));
        }
        let setting = synth.controls.iter().find(|(name, _)| name == control);
        let scale = match setting.map(|(_, setting)| *setting) {
            Some(Setting::Scaled(scale)) => scale,
            Some(Setting::Map(_)) => {
                let error = format!("the control `{control}` follows a bus");
                return Err(ChannelError::new(error)
                    .with_hint("map to the bus instead: `bus.NAME`")
                    .with_range(offset, end));
            }
            Some(Setting::Bus(_) | Setting::Buffer(_)) => {
                let error = format!("the control `{control}` is set to a bus or buffer");
                return Err(ChannelError::new(error).with_range(offset, end));
            }
            Some(Setting::Constant(number)) => {
                let name = &synth.name;
                return Err(ChannelError::new(format!(
                    "the control `{control}` is set to {number}"
                ))
                .with_hint(format!("give it a range: `control.{name}.{control} = LOW HIGH`"))
                .with_range(offset, end));
            }
            None => Scale::default_for(control),
        };
        Ok(self.find_or_add(control, scale))
    }
}

/// The hint for a voice without a channel.
const VOICE_CHANNELS: &str = "expected `noteN`, `bend`, `pressure`, `pressureN`, `sustain`, \
                              `panic`, `voices`, `stolen` or the name of a control";

/// The error for a channel whose first part is unknown.
fn unknown(name: &str, config: &Config) -> ChannelError {
    let synths = config.voices.iter().map(|voice| &voice.synth).chain(&config.synths);
    let mut names: Vec<&str> = synths.map(|synth| synth.name.as_str()).collect();
    names.extend(RESERVED);
    ChannelError::new(format!("there is no voice, synth or channel `{name}`"))
        .with_hint(did_you_mean_or_list(name, "names", names))
        .with_range(0, name.len())
}

/// Reads the rest of `bus.NAME` or `bus.N`.
fn parse_bus(text: &str, offset: usize, config: &Config) -> Result<ChannelRole, ChannelError> {
    if let Some(bus) = config.buses.iter().position(|bus| bus.name == text) {
        return match config.buses[bus].kind {
            BusKind::Control(_) => Ok(ChannelRole::NamedBus(bus)),
            BusKind::Audio(_) => {
                Err(ChannelError::new(format!("the audio bus `{text}` has no value"))
                    .with_range(offset, offset + text.len())
                    .with_hint(
                        "the SynthDef `level` measures an audio bus and writes to a control bus",
                    ))
            }
        };
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let max = config.server.control_bus_channel_count.saturating_sub(1);
        return Ok(ChannelRole::NumberedBus(number(text, max, "control bus", offset)?));
    }
    let names: Vec<&str> = config.buses.iter().map(|bus| bus.name.as_str()).collect();
    Err(ChannelError::new(format!("there is no bus `{text}`"))
        .with_hint(did_you_mean_or_list(text, "buses", names))
        .with_range(offset, offset + text.len()))
}

/// Reads the rest of `reply./ADDRESS` or `reply./ADDRESS:N`.
fn parse_reply(text: &str, offset: usize) -> Result<ChannelRole, ChannelError> {
    let (address, argument) = match text.rsplit_once(':') {
        Some((address, digits)) => {
            let start = offset + address.len() + 1;
            (address, number(digits, 1_000, "argument", start)? as usize)
        }
        None => (text, 0),
    };
    match consort_osc::validate_address(address) {
        Ok(()) => Ok(ChannelRole::Reply(address.to_owned(), argument)),
        Err(error) => Err(ChannelError::new(format!("invalid OSC address `{address}`: {error}"))
            .with_range(offset, offset + address.len())
            .with_hint("use the command name of the SendReply, such as `reply./beat:0`")),
    }
}

/// Checks whether a channel can be a source or a target.
fn check_direction(role: &ChannelRole, usage: Usage, text: &str) -> Result<(), ChannelError> {
    let is_source_only = matches!(
        role,
        ChannelRole::Voices(_)
            | ChannelRole::Stolen(_)
            | ChannelRole::Trigger(_)
            | ChannelRole::Reply(..)
            | ChannelRole::Meter(_)
            | ChannelRole::Load
    );
    let is_two_way = matches!(
        role,
        ChannelRole::Note(..)
            | ChannelRole::Run(_)
            | ChannelRole::NamedBus(_)
            | ChannelRole::NumberedBus(_)
    );
    match usage {
        Usage::Target if is_source_only => {
            Err(ChannelError::new(format!("`{text}` is a source and cannot be a target"))
                .with_hint("its values come from the server"))
        }
        Usage::Source if !is_source_only && !is_two_way => {
            Err(ChannelError::new(format!("`{text}` is a target and cannot be a source"))
                .with_hint("sources are `noteN`, `bus.NAME`, `trigger.ID`, `meter` and others"))
        }
        _ => Ok(()),
    }
}

/// Reads a number from 0 to `max`.
fn number(digits: &str, max: u32, what: &str, offset: usize) -> Result<u32, ChannelError> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<u32>() {
        Ok(number) if is_number && number <= max => Ok(number),
        _ => Err(ChannelError::new(if is_number {
            format!("{what} {digits} is out of range: expected 0 to {max}")
        } else {
            format!("invalid {what} `{digits}`: expected a number from 0 to {max}")
        })
        .with_range(offset, offset + digits.len())),
    }
}
