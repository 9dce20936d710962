//! What the server has to be told when it is new: the tree of groups, fixed synths, controls,
//! buses and the master, with the values that they have by now. And the numbers of all nodes.

use std::collections::BTreeMap;

use consort_osc::MessageBuilder;
use consort_sc::AddAction;

use super::channels::{Channels, Controls};
use super::config::{BusKind, Config, Player, Setting, VoiceConfig};
use super::packets::Packets;
use super::server::Up;

/// Fixed nodes are numbered from here, inside a client's 26 bits.
const FIXED: i32 = 900_000;
/// Nodes of notes are numbered from here.
pub(super) const NOTES: u32 = 1_000_000;

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
            first: ((client << 26) as i32) | FIXED,
            groups: config.groups.len() as i32,
            voices: config.voices.len() as i32,
            synths: config.synths.len() as i32,
            default_group: client as i32 + 1,
        }
    }

    pub(super) fn group(&self, group: usize) -> i32 {
        self.first + group as i32
    }

    /// The group in which the nodes of a voice are.
    pub(super) fn voice(&self, voice: usize) -> i32 {
        self.first + self.groups + voice as i32
    }

    pub(super) fn synth(&self, synth: usize) -> i32 {
        self.first + self.groups + self.voices + synth as i32
    }

    /// The group of the client itself, which the library makes.
    pub(super) fn default_group(&self) -> i32 {
        self.default_group
    }

    pub(super) fn master(&self) -> i32 {
        self.first + self.groups + self.voices + self.synths
    }

    /// Whether it is one of the groups, or the master: what everything else needs.
    pub(super) fn is_frame(&self, node: i32) -> bool {
        (self.first..self.synth(0)).contains(&node) || node == self.master()
    }

    /// The fixed synth of that number.
    pub(super) fn synth_of(&self, node: i32) -> Option<usize> {
        let at = usize::try_from(node.checked_sub(self.synth(0))?).ok()?;
        (at < self.synths as usize).then_some(at)
    }
}

/// What the values of the show have made of one voice or synth.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PlayerState {
    /// The number of each control that values reach; none before the first.
    pub(super) controls: Vec<Option<f32>>,
    /// In semitones.
    pub(super) bend: f64,
    /// Whether a fixed synth runs.
    pub(super) is_paused: bool,
}

/// What the values of the show have made of everything that is not a note.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Values {
    pub(super) voices: Vec<PlayerState>,
    pub(super) synths: Vec<PlayerState>,
    /// Of buses of the configuration.
    pub(super) buses: Vec<Option<f32>>,
    /// Of control buses by number.
    pub(super) numbered: BTreeMap<u32, f32>,
    /// The master's amplitude.
    pub(super) level: f32,
    pub(super) mute: bool,
}

impl Values {
    pub(super) fn new(config: &Config, channels: &Channels) -> Self {
        let of = |controls: &Controls| PlayerState {
            controls: controls.0.iter().map(|(_, scale)| scale.start.map(|it| it as f32)).collect(),
            ..PlayerState::default()
        };
        let start = |kind: &BusKind| match kind {
            BusKind::Control(scale) => scale.start.map(|it| it as f32),
            BusKind::Audio(_) => None,
        };
        Values {
            voices: channels.of_voices.iter().map(of).collect(),
            synths: channels.of_synths.iter().map(of).collect(),
            buses: config.buses.iter().map(|bus| start(&bus.kind)).collect(),
            numbered: BTreeMap::new(),
            level: config.level.high as f32,
            mute: false,
        }
    }

    /// The amplitude that the master has.
    pub(super) fn master(&self) -> f32 {
        if self.mute { 0.0 } else { self.level }
    }
}

/// How notes reach a voice's SynthDef.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Keyboard {
    pub(super) pitch: Option<Pitch>,
    pub(super) loudness: Option<Loudness>,
    /// The control for the bend in semitones, where there is one.
    pub(super) bend: Option<&'static str>,
    pub(super) glide: Option<&'static str>,
}

/// The control that a note sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pitch {
    Hertz(&'static str),
    Note(&'static str),
}

/// The control that a velocity sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Loudness {
    /// It is the velocity.
    Velocity(&'static str),
    /// An amplitude: its number times the square of the velocity.
    Amplitude(&'static str, f32),
}

impl Keyboard {
    pub(super) fn new(voice: &VoiceConfig) -> Self {
        let player = &voice.player;
        let definition = &player.definition;
        // Of a SynthDef that is not known, the usual names are hoped for.
        let first = |names: &[&'static str]| match definition.is_known {
            true => definition.first_of(names),
            false => names.first().copied(),
        };
        let is_set = |control: &str| player.controls.iter().any(|it| it.0 == control);
        let pitch = first(&["frequency", "freq"])
            .map(Pitch::Hertz)
            .or_else(|| definition.first_of(&["note", "midinote"]).map(Pitch::Note))
            .filter(|(Pitch::Hertz(name) | Pitch::Note(name))| !is_set(name));
        let amplitude = || {
            let name = first(&["amplitude", "amp"])?;
            let constant = player.controls.iter().find_map(|(control, setting)| match setting {
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

/// The control buses of a running server as `/s_new` writes what follows them.
#[derive(Debug, Default)]
pub(super) struct Symbols(Vec<String>);

impl Symbols {
    pub(super) fn new(up: &Up) -> Self {
        Symbols(up.buses.iter().map(|number| format!("c{number}")).collect())
    }
}

/// Everything that writes settings needs.
pub(super) struct Settings<'a> {
    pub(super) up: &'a Up,
    pub(super) symbols: &'a Symbols,
}

impl Settings<'_> {
    /// Writes what the configuration and the values say of a player's controls, but for those
    /// that notes set.
    pub(super) fn write(
        &self,
        writer: &mut Writer<'_>,
        player: &Player,
        controls: &Controls,
        state: &PlayerState,
        without: Option<&str>,
    ) {
        for (name, setting) in &player.controls {
            let number = |list: &[u32], at: usize| list.get(at).copied().unwrap_or(0) as f32;
            if Some(name.as_str()) == without {
                continue;
            }
            match setting {
                Setting::Scaled(_) => {}
                Setting::Constant(value) => {
                    writer.string(name).float(*value as f32);
                }
                Setting::Bus(bus) => {
                    writer.string(name).float(number(&self.up.buses, *bus));
                }
                Setting::Map(bus) => {
                    if let Some(symbol) = self.symbols.0.get(*bus) {
                        writer.string(name).string(symbol);
                    }
                }
                Setting::Buffer(buffer) => {
                    writer.string(name).float(number(&self.up.buffers, *buffer));
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

/// Frees whatever the show has on a server; the server says if there is nothing.
pub(super) fn free(config: &Config, nodes: &Nodes, packets: &mut Packets) {
    for node in (0..config.groups.len()).map(|it| nodes.group(it)).chain([nodes.master()]) {
        packets.message("/n_free", |it| {
            it.int(node);
        });
    }
}

/// Tells a new server everything but the notes.
pub(super) fn rebuild(
    config: &Config,
    channels: &Channels,
    values: &Values,
    nodes: &Nodes,
    settings: &Settings<'_>,
    packets: &mut Packets,
) {
    let tail = AddAction::ToTail.code();
    packets.message("/g_new", |it| {
        for group in 0..config.groups.len() {
            it.int(nodes.group(group)).int(tail).int(nodes.default_group);
        }
    });
    // Buses first: synths may read them when they start.
    let known = config.buses.iter().zip(&settings.up.buses).zip(&values.buses);
    let named = known.filter_map(|((_, number), value)| Some((*number, (*value)?)));
    for (number, value) in named.chain(values.numbered.iter().map(|it| (*it.0, *it.1))) {
        packets.message("/c_set", |it| {
            it.int(number as i32).float(value);
        });
    }
    for (at, voice) in config.voices.iter().enumerate() {
        packets.message("/g_new", |it| {
            it.int(nodes.voice(at)).int(tail).int(nodes.group(voice.player.group));
        });
    }
    for (at, synth) in config.synths.iter().enumerate() {
        let state = &values.synths[at];
        packets.message("/s_new", |it| {
            it.string(&synth.definition.name);
            it.int(nodes.synth(at)).int(tail).int(nodes.group(synth.group));
            settings.write(it, synth, &channels.of_synths[at], state, None);
        });
        if state.is_paused {
            packets.message("/n_run", |it| {
                it.int(nodes.synth(at)).int(0);
            });
        }
    }
    let master = format!("consort:master:{}", config.channels);
    packets.message("/s_new", |it| {
        it.string(&master).int(nodes.master()).int(tail).int(nodes.default_group);
        it.string("level").float(values.master());
        it.string("meter").float(settings.up.meter as f32);
    });
}
