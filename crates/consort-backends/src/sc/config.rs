//! The options of an instance as values. `reader` reads them; this module is data only.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use consort_sc::SynthDefFile;

use super::controls::Scale;
use super::definitions::Definition;
use super::voices::Rules;
use crate::net::HostPort;

/// Names that voices and fixed synths cannot have, because they are channels of the instance.
pub(super) const RESERVED: [&str; 8] =
    ["bus", "level", "load", "meter", "mute", "panic", "reply", "trigger"];

/// Where the server is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    /// The show starts the server and ends it.
    Boot,
    /// The server runs independently of the show.
    Connect(HostPort),
    /// There is no server: the messages are written to this file when the show ends.
    Score(PathBuf),
}

/// How the configuration sets a control.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Setting {
    /// Values of the show set it, in this range.
    Scaled(Scale),
    /// It has this number throughout.
    Constant(f64),
    /// It is the number of the bus with this index.
    Bus(usize),
    /// It follows the control bus with this index.
    Map(usize),
    /// It is the number of the buffer with this index.
    Buffer(usize),
}

/// What voices and fixed synths have in common.
#[derive(Clone, Debug)]
pub(super) struct SynthConfig {
    pub(super) name: String,
    pub(super) definition: Arc<Definition>,
    /// The index of its group.
    pub(super) group: usize,
    /// The controls that the configuration sets.
    pub(super) controls: Vec<(String, Setting)>,
}

/// An instrument that notes play.
#[derive(Clone, Debug)]
pub(super) struct VoiceConfig {
    pub(super) synth: SynthConfig,
    pub(super) rules: Rules,
    /// The range of the pitch bend in semitones, each way.
    pub(super) bend: f64,
    /// How long the slide from one note to the next takes, in seconds.
    pub(super) glide: f64,
}

/// The rate of a bus, and what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum BusKind {
    /// A control bus and the range of its numbers.
    Control(Scale),
    /// Consecutive audio buses, that many.
    Audio(u32),
}

/// A bus of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BusConfig {
    pub(super) name: String,
    pub(super) kind: BusKind,
    /// Its number, if its name is a number.
    pub(super) number: Option<u32>,
}

/// What a buffer contains at the start.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum BufferContent {
    /// A sound file.
    File(PathBuf),
    /// Silence: the number of frames and of channels.
    Empty(u32, u32),
}

/// The options of an instance.
pub(super) struct Config {
    pub(super) place: Place,
    pub(super) server: consort_sc::Options,
    pub(super) files: Vec<SynthDefFile>,
    pub(super) groups: Vec<String>,
    pub(super) voices: Vec<VoiceConfig>,
    pub(super) synths: Vec<SynthConfig>,
    pub(super) buses: Vec<BusConfig>,
    pub(super) buffers: Vec<(String, BufferContent)>,
    /// Ranges of `trigger.ID` and `reply./ADDRESS`.
    pub(super) ranges: Vec<(String, Scale)>,
    /// The time between two readings of buses and meters.
    pub(super) interval: Duration,
    /// Seconds from a value to its effect; `None` is as soon as possible.
    pub(super) latency: Option<f64>,
    /// Whether held notes start again on a new server.
    pub(super) restores_notes: bool,
    /// The range of the master's amplitude.
    pub(super) level: Scale,
    /// How many outputs the master scales and the meter measures.
    pub(super) channels: u32,
}

impl Config {
    /// The range of a trigger or reply, from 0 to 1 unless configured.
    pub(super) fn range_of(&self, name: &str) -> Scale {
        let found = self.ranges.iter().find(|(other, _)| other == name);
        found.map_or(Scale::UNIT, |(_, scale)| *scale)
    }
}
