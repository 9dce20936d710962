//! The options of an instance, as values; `reader` reads them, `settings` what stands on one line.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use consort_router::{Options, Problems};
use consort_sc::SynthDefFile;

use super::controls::Scale;
use super::definitions::Definition;
use super::reader::Reader;
use super::voices::Rules;
use crate::net::HostPort;

/// Names that voices and fixed synths cannot have: channels of the instance itself.
pub(super) const RESERVED: [&str; 8] =
    ["bus", "level", "load", "meter", "mute", "panic", "reply", "trigger"];

/// Where the server is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    /// Started by this show, and ended with it.
    Boot,
    /// Somebody else's.
    Connect(HostPort),
    /// None: what would be sent is written to a file when the show ends.
    Score(PathBuf),
}

/// What a control is set to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Setting {
    /// By values of the show.
    Scaled(Scale),
    /// Once and for all.
    Constant(f64),
    /// It holds the number of a bus.
    Bus(usize),
    /// It follows a control bus.
    Map(usize),
    /// It holds the number of a buffer.
    Buffer(usize),
}

/// A voice or a fixed synth.
#[derive(Clone, Debug)]
pub(super) struct Player {
    pub(super) name: String,
    pub(super) definition: Arc<Definition>,
    /// The group it is in.
    pub(super) group: usize,
    /// Controls that the configuration speaks of.
    pub(super) controls: Vec<(String, Setting)>,
}

/// An instrument that notes play.
#[derive(Clone, Debug)]
pub(super) struct VoiceConfig {
    pub(super) player: Player,
    pub(super) rules: Rules,
    /// The bend's range in semitones, each way.
    pub(super) bend: f64,
    /// The time in which one note slides to the next, in seconds.
    pub(super) glide: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum BusKind {
    /// A control bus, with what its numbers are scaled to.
    Control(Scale),
    /// Audio buses: that many neighbours.
    Audio(u32),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct BusConfig {
    pub(super) name: String,
    pub(super) kind: BusKind,
    /// Its number, where the configuration says it.
    pub(super) number: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum BufferContent {
    File(PathBuf),
    /// Frames and channels of silence.
    Empty(u32, u32),
}

pub(super) struct Config {
    pub(super) place: Place,
    pub(super) server: consort_sc::Options,
    pub(super) files: Vec<SynthDefFile>,
    pub(super) groups: Vec<String>,
    pub(super) voices: Vec<VoiceConfig>,
    pub(super) synths: Vec<Player>,
    pub(super) buses: Vec<BusConfig>,
    pub(super) buffers: Vec<(String, BufferContent)>,
    /// Ranges of `trigger.ID` and `reply./ADDRESS`.
    pub(super) ranges: Vec<(String, Scale)>,
    /// Time between two looks at buses.
    pub(super) interval: Duration,
    /// Seconds between a value and its effect; none: at once.
    pub(super) latency: Option<f64>,
    /// Whether held notes start again on a new server.
    pub(super) restores_notes: bool,
    /// The master, in decibels at the channel's end.
    pub(super) level: Scale,
    /// Outputs that the master and the meter look after.
    pub(super) channels: u32,
}

impl Config {
    pub(super) fn read(options: &Options, problems: &mut Problems) -> Option<Config> {
        let config = Reader::new(options, problems).read();
        problems.is_ok().then_some(config).flatten()
    }

    /// The range of a trigger or reply.
    pub(super) fn range_of(&self, name: &str) -> Scale {
        let found = self.ranges.iter().find(|(other, _)| other == name);
        found.map_or(Scale::UNIT, |(_, scale)| *scale)
    }
}

/// For the table of options.
pub(super) fn check_server(text: &str) -> Result<(), String> {
    if ["boot", "score"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Ok(());
    }
    match HostPort::parse(text) {
        Ok(HostPort { port: 0, .. }) => Err("a server has a port from 1 to 65535".into()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("expected `boot`, `score` or HOST:PORT ({error})")),
    }
}
