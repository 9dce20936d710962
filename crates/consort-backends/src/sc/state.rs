//! The state that a new server receives: groups, fixed synths, controls, buses and the master,
//! with their current values; and the numbers of all nodes.
//!
//! The tree of nodes on the server, inside the default group of the client:
//!
//! ```text
//! group of the option `groups`, one for each name
//!     group of a voice: its notes
//!     fixed synth
//! master
//! ```

use std::collections::BTreeMap;

use consort_osc::MessageBuilder;
use consort_sc::AddAction;

use super::channels::{Channels, MappedControls};
use super::config::{BusKind, Config, Setting, SynthConfig, VoiceConfig};
use super::packets::Packets;
use super::server::ServerInfo;

/// The first number of a fixed node, inside the 26 bits that a client has for its nodes.
const FIRST_FIXED_NODE: i32 = 900_000;
/// The first number of a note's node.
pub(super) const FIRST_NOTE_NODE: u32 = 1_000_000;

/// Writes the arguments of a message.
type Writer<'a> = MessageBuilder<'a, Vec<u8>>;

/// The numbers of the fixed nodes of one client.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Nodes {
    first: i32,
    groups: i32,
    voices: i32,
    synths: i32,
    default_group: i32,
}

impl Nodes {
    pub(super) fn new(client: u32, config: &Config) -> Self {
        Nodes {
            first: ((client << 26) as i32) | FIRST_FIXED_NODE,
            groups: config.groups.len() as i32,
            voices: config.voices.len() as i32,
            synths: config.synths.len() as i32,
            default_group: client as i32 + 1,
        }
    }

    /// The group with this index in the option `groups`.
    pub(super) fn group(&self, group: usize) -> i32 {
        self.first + group as i32
    }

    /// The group of a voice, which contains its notes.
    pub(super) fn voice(&self, voice: usize) -> i32 {
        self.first + self.groups + voice as i32
    }

    /// The node of a fixed synth.
    pub(super) fn synth(&self, synth: usize) -> i32 {
        self.first + self.groups + self.voices + synth as i32
    }

    /// The default group of the client, which the library creates.
    pub(super) fn default_group(&self) -> i32 {
        self.default_group
    }

    pub(super) fn master(&self) -> i32 {
        self.first + self.groups + self.voices + self.synths
    }

    /// Whether the node is a group or the master, which everything else depends on.
    pub(super) fn is_scaffold(&self, node: i32) -> bool {
        (self.first..self.synth(0)).contains(&node) || node == self.master()
    }

    /// The index of the fixed synth with this node number.
    pub(super) fn synth_of(&self, node: i32) -> Option<usize> {
        let index = usize::try_from(node.checked_sub(self.synth(0))?).ok()?;
        (index < self.synths as usize).then_some(index)
    }
}

/// The state to which values of the show have set one voice or synth.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SynthState {
    /// The number of each mapped control; `None` before its first value.
    pub(super) controls: Vec<Option<f32>>,
    /// The pitch bend in semitones.
    pub(super) bend: f64,
    /// Whether a fixed synth runs.
    pub(super) is_paused: bool,
}

/// The state to which values of the show have set everything except the notes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Values {
    pub(super) voices: Vec<SynthState>,
    pub(super) synths: Vec<SynthState>,
    /// The numbers on the buses of the configuration; `None` before the first value.
    pub(super) buses: Vec<Option<f32>>,
    /// The numbers on control buses that the show names by number.
    pub(super) numbered: BTreeMap<u32, f32>,
    /// The master's amplitude.
    pub(super) level: f32,
    pub(super) mute: bool,
}

impl Values {
    pub(super) fn new(config: &Config, channels: &Channels) -> Self {
        let initial = |controls: &MappedControls| SynthState {
            controls: controls
                .0
                .iter()
                .map(|(_, scale)| scale.start.map(|number| number as f32))
                .collect(),
            ..SynthState::default()
        };
        let start = |kind: &BusKind| match kind {
            BusKind::Control(scale) => scale.start.map(|number| number as f32),
            BusKind::Audio(_) => None,
        };
        Values {
            voices: channels.voice_controls.iter().map(initial).collect(),
            synths: channels.synth_controls.iter().map(initial).collect(),
            buses: config.buses.iter().map(|bus| start(&bus.kind)).collect(),
            numbered: BTreeMap::new(),
            level: config.level.high as f32,
            mute: false,
        }
    }

    /// The amplitude of the master: 0 if it is muted.
    pub(super) fn master(&self) -> f32 {
        if self.mute { 0.0 } else { self.level }
    }
}

/// The controls of a voice's SynthDef that notes set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Keyboard {
    pub(super) pitch: Option<Pitch>,
    pub(super) loudness: Option<Loudness>,
    /// The control for the pitch bend in semitones, if there is one.
    pub(super) bend: Option<&'static str>,
    pub(super) glide: Option<&'static str>,
}

/// The control that the note number sets, and its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pitch {
    Hertz(&'static str),
    Note(&'static str),
}

/// The control that the velocity sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Loudness {
    /// The control is the velocity.
    Velocity(&'static str),
    /// The control is an amplitude; this number is multiplied by the square of the velocity.
    Amplitude(&'static str, f32),
}

impl Keyboard {
    pub(super) fn new(voice: &VoiceConfig) -> Self {
        let synth = &voice.synth;
        let definition = &synth.definition;
        // A SynthDef whose controls are not known is assumed to use the usual names.
        let first = |names: &[&'static str]| match definition.is_known {
            true => definition.first_of(names),
            false => names.first().copied(),
        };
        let is_set = |control: &str| synth.controls.iter().any(|(name, _)| name == control);
        let pitch = first(&["frequency", "freq"])
            .map(Pitch::Hertz)
            .or_else(|| definition.first_of(&["note", "midinote"]).map(Pitch::Note))
            .filter(|(Pitch::Hertz(name) | Pitch::Note(name))| !is_set(name));
        let amplitude = || {
            let name = first(&["amplitude", "amp"])?;
            let constant = synth.controls.iter().find_map(|(control, setting)| match setting {
                Setting::Constant(number) if control == name => Some(*number as f32),
                _ => None,
            });
            let default = definition.default_of(name).unwrap_or(0.1);
            Some(Loudness::Amplitude(name, constant.unwrap_or(default)))
        };
        Keyboard {
            pitch,
            loudness: definition.first_of(&["velocity"]).map(Loudness::Velocity).or_else(amplitude),
            bend: definition.first_of(&["bend"]).filter(|name| !is_set(name)),
            glide: first(&["glide", "portamento"]),
        }
    }
}

/// The symbols with which `/s_new` maps a control to a control bus (`c12`), one for each bus.
#[derive(Debug, Default)]
pub(super) struct Symbols(Vec<String>);

impl Symbols {
    pub(super) fn new(server: &ServerInfo) -> Self {
        Symbols(server.buses.iter().map(|number| format!("c{number}")).collect())
    }
}

/// The numbers on the running server that the settings of controls refer to.
pub(super) struct Settings<'a> {
    pub(super) server: &'a ServerInfo,
    pub(super) symbols: &'a Symbols,
}

impl Settings<'_> {
    /// Writes the controls of a voice or synth: the settings of the configuration, then the
    /// current values. Leaves out the control `without`, which the note sets.
    pub(super) fn write(
        &self,
        writer: &mut Writer<'_>,
        synth: &SynthConfig,
        controls: &MappedControls,
        state: &SynthState,
        without: Option<&str>,
    ) {
        for (name, setting) in &synth.controls {
            let number = |list: &[u32], index: usize| list.get(index).copied().unwrap_or(0) as f32;
            if Some(name.as_str()) == without {
                continue;
            }
            match setting {
                Setting::Scaled(_) => {}
                Setting::Constant(value) => {
                    writer.string(name).float(*value as f32);
                }
                Setting::Bus(bus) => {
                    writer.string(name).float(number(&self.server.buses, *bus));
                }
                Setting::Map(bus) => {
                    if let Some(symbol) = self.symbols.0.get(*bus) {
                        writer.string(name).string(symbol);
                    }
                }
                Setting::Buffer(buffer) => {
                    writer.string(name).float(number(&self.server.buffers, *buffer));
                }
            }
        }
        for ((name, _), value) in controls.0.iter().zip(&state.controls) {
            if let Some(value) = value
                && Some(name.as_str()) != without
            {
                writer.string(name).float(*value);
            }
        }
    }
}

/// Frees every node of the show. The server refuses the message for nodes that do not exist,
/// which is harmless.
pub(super) fn free(config: &Config, nodes: &Nodes, packets: &mut Packets) {
    for node in (0..config.groups.len()).map(|group| nodes.group(group)).chain([nodes.master()]) {
        packets.message("/n_free", |message| {
            message.int(node);
        });
    }
}

/// Sends the state except the notes to a new server.
pub(super) fn build(
    config: &Config,
    channels: &Channels,
    values: &Values,
    nodes: &Nodes,
    settings: &Settings<'_>,
    packets: &mut Packets,
) {
    let tail = AddAction::ToTail.code();
    packets.message("/g_new", |message| {
        for group in 0..config.groups.len() {
            message.int(nodes.group(group)).int(tail).int(nodes.default_group);
        }
    });
    // The buses come first, because synths may read them when they start.
    let known = config.buses.iter().zip(&settings.server.buses).zip(&values.buses);
    let named = known.filter_map(|((_, number), value)| Some((*number, (*value)?)));
    for (number, value) in
        named.chain(values.numbered.iter().map(|(number, value)| (*number, *value)))
    {
        packets.message("/c_set", |message| {
            message.int(number as i32).float(value);
        });
    }
    for (index, voice) in config.voices.iter().enumerate() {
        packets.message("/g_new", |message| {
            message.int(nodes.voice(index)).int(tail).int(nodes.group(voice.synth.group));
        });
    }
    for (index, synth) in config.synths.iter().enumerate() {
        let state = &values.synths[index];
        packets.message("/s_new", |message| {
            message.string(&synth.definition.name);
            message.int(nodes.synth(index)).int(tail).int(nodes.group(synth.group));
            settings.write(message, synth, &channels.synth_controls[index], state, None);
        });
        if state.is_paused {
            packets.message("/n_run", |message| {
                message.int(nodes.synth(index)).int(0);
            });
        }
    }
    let master = format!("consort:master:{}", config.channels);
    packets.message("/s_new", |message| {
        message.string(&master).int(nodes.master()).int(tail).int(nodes.default_group);
        message.string("level").float(values.master());
        message.string("meter").float(settings.server.meter as f32);
    });
}
