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
use consort_sc::{AddAction, SynthDefFile};

use super::channels::{Channels, MappedControls};
use super::config::{BufferContent, BusConfig, BusKind, Config, Setting, SynthConfig, VoiceConfig};
use super::packets::Packets;
use super::server::ServerInfo;

/// The first number of a fixed node, inside the 26 bits that a client has for its nodes.
const FIRST_FIXED_NODE: i32 = 900_000;
/// The first number of a note's node.
pub(super) const FIRST_NOTE_NODE: u32 = 1_000_000;

/// Writes the arguments of a message.
type Writer<'a> = MessageBuilder<'a, Vec<u8>>;

/// The numbers of the fixed nodes of one client. They never change while a server runs: what a
/// reload adds gets new numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    first: i32,
    groups: i32,
    /// The group of each voice, which contains its notes.
    voices: Vec<i32>,
    synths: Vec<i32>,
    master: i32,
    default_group: i32,
    /// The lowest number that was never used.
    next: i32,
    /// The groups of voices that a reload has removed, in which notes may still fade.
    retired: Vec<i32>,
}

impl Nodes {
    pub(super) fn new(client: u32, config: &Config) -> Self {
        let first = ((client << 26) as i32) | FIRST_FIXED_NODE;
        let groups = config.groups.len() as i32;
        let mut next = first + groups;
        let mut allocate = |count: usize| {
            let numbers = next..next + count as i32;
            next = numbers.end;
            numbers
        };
        let voices = allocate(config.voices.len()).collect();
        let synths = allocate(config.synths.len()).collect();
        let master = allocate(1).start;
        let (default_group, retired) = (client as i32 + 1, Vec::new());
        Nodes { first, groups, voices, synths, master, default_group, next, retired }
    }

    /// The group with this index in the option `groups`.
    pub(super) fn group(&self, group: usize) -> i32 {
        self.first + group as i32
    }

    /// The group of a voice, which contains its notes.
    pub(super) fn voice(&self, voice: usize) -> i32 {
        self.voices.get(voice).copied().unwrap_or_default()
    }

    /// The node of a fixed synth.
    pub(super) fn synth(&self, synth: usize) -> i32 {
        self.synths.get(synth).copied().unwrap_or_default()
    }

    /// The default group of the client, which the library creates.
    pub(super) fn default_group(&self) -> i32 {
        self.default_group
    }

    pub(super) fn master(&self) -> i32 {
        self.master
    }

    /// Whether the node is a group or the master, which everything else depends on.
    pub(super) fn is_scaffold(&self, node: i32) -> bool {
        (self.first..self.next).contains(&node)
            && (node < self.first + self.groups
                || node == self.master
                || self.voices.contains(&node))
    }

    /// The index of the fixed synth with this node number.
    pub(super) fn synth_of(&self, node: i32) -> Option<usize> {
        if !(self.first..self.next).contains(&node) {
            return None;
        }
        self.synths.iter().position(|synth| *synth == node)
    }

    /// A number for a node that a reload adds.
    pub(super) fn allocate(&mut self) -> i32 {
        self.next += 1;
        self.next - 1
    }

    /// Whether there are numbers for `count` more nodes.
    pub(super) fn has_room_for(&self, count: usize) -> bool {
        let used = (self.next - self.first) as usize;
        used + count < FIRST_NOTE_NODE as usize - FIRST_FIXED_NODE as usize
    }

    /// Replaces the nodes of voices and synths after a reload; `retired` are the groups of the
    /// voices that it has removed.
    pub(super) fn replace(&mut self, voices: Vec<i32>, synths: Vec<i32>, retired: Vec<i32>) {
        (self.voices, self.synths) = (voices, synths);
        self.retired.extend(retired);
    }

    /// Gives a synth that is replaced its new node.
    pub(super) fn set_synth(&mut self, synth: usize, node: i32) {
        self.synths[synth] = node;
    }

    /// Takes the groups of voices that reloads have removed.
    pub(super) fn take_retired(&mut self) -> Vec<i32> {
        std::mem::take(&mut self.retired)
    }

    /// The nodes inside a group of the option `groups`, in the order in which the server computes
    /// them: voices, then fixed synths.
    pub(super) fn in_group(&self, group: usize, config: &Config) -> Vec<i32> {
        let voices = config.voices.iter().map(|voice| voice.synth.group).zip(&self.voices);
        let synths = config.synths.iter().map(|synth| synth.group).zip(&self.synths);
        let all = voices.chain(synths).filter(|(other, _)| *other == group);
        all.map(|(_, node)| *node).collect()
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

/// What a server has loaded at its start. A reload can use less of it while the server runs, but
/// not more.
#[derive(Clone)]
pub(super) struct Resources {
    pub(super) user_files: Vec<SynthDefFile>,
    pub(super) built_in: Vec<SynthDefFile>,
    pub(super) buses: Vec<BusConfig>,
    pub(super) buffers: Vec<(String, BufferContent)>,
}

impl Resources {
    pub(super) fn new(config: &Config) -> Self {
        Resources {
            user_files: config.user_files.clone(),
            built_in: config.built_in.clone(),
            buses: config.buses.clone(),
            buffers: config.buffers.clone(),
        }
    }
}

/// The numbers that the buses and buffers of the configuration have on the running server.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) buses: Vec<u32>,
    pub(super) buffers: Vec<u32>,
    /// The symbols with which `/s_new` maps a control to a control bus (`c12`), one for each bus.
    symbols: Vec<String>,
}

impl Numbers {
    pub(super) fn new(config: &Config, resources: &Resources, server: &ServerInfo) -> Self {
        let bus = |bus: &BusConfig| {
            let index = resources.buses.iter().position(|other| other.name == bus.name);
            let allocated = index.and_then(|index| server.buses.get(index).copied());
            bus.number.or(allocated).unwrap_or(0)
        };
        let buffer = |(name, _): &(String, BufferContent)| {
            let index = resources.buffers.iter().position(|(other, _)| other == name);
            index.and_then(|index| server.buffers.get(index).copied()).unwrap_or(0)
        };
        let buses: Vec<u32> = config.buses.iter().map(bus).collect();
        Numbers {
            buffers: config.buffers.iter().map(buffer).collect(),
            symbols: buses.iter().map(|number| format!("c{number}")).collect(),
            buses,
        }
    }

    fn bus(&self, index: usize) -> f32 {
        self.buses.get(index).copied().unwrap_or(0) as f32
    }

    fn buffer(&self, index: usize) -> f32 {
        self.buffers.get(index).copied().unwrap_or(0) as f32
    }

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
            if Some(name.as_str()) == without {
                continue;
            }
            match setting {
                Setting::Scaled(_) => {}
                Setting::Constant(value) => {
                    writer.string(name).float(*value as f32);
                }
                Setting::Bus(bus) => {
                    writer.string(name).float(self.bus(*bus));
                }
                Setting::Map(bus) => {
                    if let Some(symbol) = self.symbols.get(*bus) {
                        writer.string(name).string(symbol);
                    }
                }
                Setting::Buffer(buffer) => {
                    writer.string(name).float(self.buffer(*buffer));
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

    /// What [`Numbers::write`] sets, by control.
    pub(super) fn effects(
        &self,
        synth: &SynthConfig,
        controls: &MappedControls,
        state: &SynthState,
    ) -> BTreeMap<String, Effect> {
        let set = synth.controls.iter().filter_map(|(name, setting)| {
            let effect = match setting {
                Setting::Scaled(_) => return None,
                Setting::Constant(value) => Effect::Number(*value as f32),
                Setting::Bus(bus) => Effect::Number(self.bus(*bus)),
                Setting::Map(bus) => Effect::Follows(self.bus(*bus) as u32),
                Setting::Buffer(buffer) => Effect::Number(self.buffer(*buffer)),
            };
            Some((name.clone(), effect))
        });
        let values = controls.0.iter().zip(&state.controls);
        let values =
            values.filter_map(|((name, _), value)| Some((name.clone(), Effect::Number((*value)?))));
        set.chain(values).collect()
    }
}

/// What the configuration and the values of the show make of a control.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Effect {
    /// It has this number.
    Number(f32),
    /// It follows the control bus with this number.
    Follows(u32),
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
    numbers: &Numbers,
    meter: u32,
    packets: &mut Packets,
) {
    let tail = AddAction::ToTail.code();
    packets.message("/g_new", |message| {
        for group in 0..config.groups.len() {
            message.int(nodes.group(group)).int(tail).int(nodes.default_group);
        }
    });
    // The buses come first, because synths may read them when they start.
    let known = config.buses.iter().zip(&numbers.buses).zip(&values.buses);
    let named = known.filter_map(|((_, number), value)| Some((*number, (*value)?)));
    for (number, value) in
        named.chain(values.numbered.iter().map(|(number, value)| (*number, *value)))
    {
        packets.message("/c_set", |message| {
            message.int(number as i32).float(value);
        });
    }
    for voice in 0..config.voices.len() {
        create_voice(config, nodes, voice, packets);
    }
    for (index, synth) in config.synths.iter().enumerate() {
        let place = Place { action: AddAction::ToTail, target: nodes.group(synth.group) };
        let controls = &channels.synth_controls[index];
        let state = &values.synths[index];
        create_synth(synth, controls, state, nodes.synth(index), place, numbers, packets);
    }
    let master = format!("consort:master:{}", config.channels);
    packets.message("/s_new", |message| {
        message.string(&master).int(nodes.master()).int(tail).int(nodes.default_group);
        message.string("level").float(values.master());
        message.string("meter").float(meter as f32);
    });
}

/// Where a new node goes.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) action: AddAction,
    pub(super) target: i32,
}

/// Creates the group of a voice at the tail of its group.
pub(super) fn create_voice(config: &Config, nodes: &Nodes, voice: usize, packets: &mut Packets) {
    let group = nodes.group(config.voices[voice].synth.group);
    packets.message("/g_new", |message| {
        message.int(nodes.voice(voice)).int(AddAction::ToTail.code()).int(group);
    });
}

/// Creates a fixed synth, and pauses it if it does not run.
pub(super) fn create_synth(
    synth: &SynthConfig,
    controls: &MappedControls,
    state: &SynthState,
    node: i32,
    place: Place,
    numbers: &Numbers,
    packets: &mut Packets,
) {
    packets.message("/s_new", |message| {
        message.string(&synth.definition.name);
        message.int(node).int(place.action.code()).int(place.target);
        numbers.write(message, synth, controls, state, None);
    });
    if state.is_paused {
        packets.message("/n_run", |message| {
            message.int(node).int(0);
        });
    }
}
