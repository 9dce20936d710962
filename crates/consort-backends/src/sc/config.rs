//! The options of an instance as values. `reader` reads them; this module is data only.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use consort_sc::{HealthCheck, SynthDefFile, Timeouts};

use super::controls::Scale;
use super::definitions::Definition;
use super::voices::Rules;
use crate::net::HostPort;

/// Names that voices and fixed synths cannot have, because they are channels of the instance.
pub(super) const RESERVED: [&str; 8] =
    ["bus", "level", "load", "meter", "mute", "panic", "reply", "trigger"];

/// How long a running server may take to accept a login.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

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
    /// The SynthDef files that the option `synthdef` names.
    pub(super) user_files: Vec<SynthDefFile>,
    /// The built-in SynthDefs that are used.
    pub(super) built_in: Vec<SynthDefFile>,
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
    /// How a server that hangs is detected.
    pub(super) health: HealthCheck,
}

impl Config {
    /// The deadlines of the server.
    pub(super) fn timeouts(&self) -> Timeouts {
        Timeouts { connect: CONNECT_TIMEOUT, health: self.health, ..Timeouts::default() }
    }

    /// All SynthDefs to load.
    pub(super) fn files(&self) -> impl Iterator<Item = &SynthDefFile> {
        self.user_files.iter().chain(&self.built_in)
    }

    /// The range of a trigger, from 0 to 1 unless configured.
    pub(super) fn trigger_range(&self, id: i32) -> Scale {
        self.range_where(|name| {
            name.strip_prefix("trigger.").and_then(|digits| digits.parse().ok()) == Some(id)
        })
        .unwrap_or(Scale::UNIT)
    }

    /// The range of an argument of a reply: its own, that of the reply, or from 0 to 1.
    pub(super) fn reply_range(&self, address: &str, argument: usize) -> Scale {
        let is_address = |name: &str| name.strip_prefix("reply.") == Some(address);
        let exact = self.range_where(|name| {
            name.rsplit_once(':')
                .is_some_and(|(name, digits)| is_address(name) && digits.parse() == Ok(argument))
        });
        exact.or_else(|| self.range_where(is_address)).unwrap_or(Scale::UNIT)
    }

    fn range_where(&self, matches: impl Fn(&str) -> bool) -> Option<Scale> {
        self.ranges.iter().find(|(name, _)| matches(name)).map(|(_, scale)| *scale)
    }
}
