//! Reads the options of an instance into a [`Config`] and reports every problem.
//!
//! The options depend on each other in one direction: groups, buses and buffers (`resources`)
//! come first, then voices and synths (`instruments`), then the controls that refer to all of
//! them. Reading opens SynthDef files; it has no other side effects.

mod instruments;
mod resources;

use std::time::Duration;

use consort_router::{Options, Problems};
use consort_sc::Protocol;

use super::config::{BusConfig, Config, Place, SynthConfig, VoiceConfig};
use super::controls::{self, Curve, Scale};
use super::definitions::Catalogue;
use super::server_options;
use crate::net::HostPort;
use resources::is_local;

/// The largest SynthDef that fits into a datagram beside its command and the header of a bundle.
const MAX_DATAGRAM_SYNTHDEF: usize = 65_450;

/// Reads the options of an instance; `None` if they have errors, which are reported.
pub(super) fn read_config(options: &Options, problems: &mut Problems) -> Option<Config> {
    let config = Reader { options, problems, catalogue: Catalogue::default() }.read();
    problems.is_ok().then_some(config).flatten()
}

/// The state of reading one instance.
struct Reader<'a> {
    options: &'a Options,
    problems: &'a mut Problems,
    catalogue: Catalogue,
}

/// An option of a family: `voice.NAME = VALUE` or `voice.NAME.SETTING = VALUE`.
struct Line<'a> {
    /// The position of the option, for problems.
    position: usize,
    name: &'a str,
    setting: Option<&'a str>,
    value: &'a str,
}

impl<'a> Reader<'a> {
    fn read(&mut self) -> Option<Config> {
        let options = self.options;
        for (position, entry) in options.all("synthdef") {
            let path = entry.directory.join(&entry.value);
            if let Err(message) = self.catalogue.add(&path) {
                // The message names the file as the configuration does.
                let folder = format!("{}/", entry.directory.display());
                self.problems.error(Some(position), message.replace(&folder, ""));
            }
        }
        let groups = self.groups();
        let buses = self.buses();
        let buffers = self.buffers();
        let voices = self.voices(&groups);
        let synths = self.synths(&groups, &voices);
        let ranges = self.ranges();
        let (voices, synths) = self.controls(voices, synths, &buses, &buffers);
        self.warn_if_empty(&voices, &synths, &buses, &ranges);
        let place = self.place();
        let server = server_options::read(options, place.as_ref(), self.problems)?;
        self.check_synthdefs(place.as_ref(), &server, &voices, &synths);
        let level = options.number("level").unwrap_or(0.0);
        let channels = options.integer("channels").and_then(|count| u32::try_from(count).ok());
        let channels = channels.unwrap_or(2);
        if channels > server.output_bus_channel_count {
            self.problems
                .error(
                    options.position("channels"),
                    format!("the server has {} outputs", server.output_bus_channel_count),
                )
                .hint("set `outputs`, too");
        }
        let rate = options.number("rate").unwrap_or(30.0);
        let latency = options.number("latency").map(|milliseconds| milliseconds / 1_000.0);
        let (user_files, built_in) = std::mem::take(&mut self.catalogue).into_files();
        Some(Config {
            place: place?,
            server,
            user_files,
            built_in,
            groups,
            voices,
            synths,
            buses,
            buffers,
            ranges,
            interval: Duration::from_secs_f64(1.0 / rate),
            latency: latency.filter(|seconds| *seconds > 0.0),
            restores_notes: options
                .text("restore")
                .is_some_and(|choice| choice.eq_ignore_ascii_case("notes")),
            level: Scale {
                low: 0.0,
                high: controls::amplitude(level),
                curve: Curve::Squared,
                start: None,
            },
            channels,
            health: server_options::read_health(options),
        })
    }

    /// Reports SynthDefs that the server would refuse, or that would not reach it.
    fn check_synthdefs(
        &mut self,
        place: Option<&Place>,
        server: &consort_sc::Options,
        voices: &[VoiceConfig],
        synths: &[SynthConfig],
    ) {
        let position = self.options.position("synthdef");
        let synths = voices.iter().map(|voice| &voice.synth).chain(synths);
        let used: Vec<&str> = synths.map(|synth| synth.definition.name.as_str()).collect();
        let program = self.options.text("program").unwrap_or("scsynth");
        for file in &self.catalogue.files {
            let Some(first) = file.definitions().first() else { continue };
            let size = file.bytes().len();
            if let Some(Place::Connect(target)) = place
                && !is_local(target)
                && server.protocol == Protocol::Udp
                && size > MAX_DATAGRAM_SYNTHDEF
            {
                self.problems
                    .error(
                        position,
                        format!(
                            "the SynthDef `{}` has {size} bytes; a UDP packet to another computer \
                             carries {MAX_DATAGRAM_SYNTHDEF}",
                            first.name
                        ),
                    )
                    .hint("set `protocol = tcp`, if the server accepts TCP connections (`-t`)");
            }
            if place != Some(&Place::Boot) || program.contains("supernova") {
                continue;
            }
            for info in file.definitions() {
                let (needed, count) = (info.wire_buffers.0, server.wire_buffer_count);
                if needed <= count {
                    continue;
                }
                let message = format!(
                    "the SynthDef `{}` needs {needed} wire buffers or more; the server has {count} and \
                     would refuse it",
                    info.name
                );
                let problem = match used.contains(&info.name.as_str()) {
                    true => self.problems.error(position, message),
                    false => self.problems.warning(position, message),
                };
                problem.hint(format!("set `wire-buffers = {}`", needed.next_power_of_two()));
            }
        }
    }

    fn place(&mut self) -> Option<Place> {
        let text = self.options.text("server").unwrap_or("boot");
        if text.eq_ignore_ascii_case("boot") {
            return Some(Place::Boot);
        }
        if !text.eq_ignore_ascii_case("score") {
            return Some(Place::Connect(HostPort::parse(text).ok()?));
        }
        match self.options.path("score") {
            Some(path) => Some(Place::Score(path)),
            None => {
                self.problems
                    .error(
                        self.options.position("server"),
                        "missing option `score`, the file to write",
                    )
                    .hint("add `score = FILE.osc`");
                None
            }
        }
    }

    /// The options of a family that have valid names; reports the others.
    fn lines(&mut self, prefix: &str) -> Vec<Line<'a>> {
        let mut lines = Vec::new();
        for (position, entry) in self.options.family(prefix) {
            let rest = &entry.name[prefix.len()..];
            let (name, setting) = match rest.split_once('.') {
                Some((name, setting)) => (name, Some(setting)),
                None => (rest, None),
            };
            let is_valid =
                |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
            if name.is_empty() || !name.chars().all(is_valid) {
                self.problems
                    .error(Some(position), format!("invalid name in `{}`", entry.name))
                    .hint("a name consists of letters, digits, `-` and `_`");
                continue;
            }
            lines.push(Line { position, name, setting, value: entry.value.as_str() });
        }
        lines
    }

    fn groups(&mut self) -> Vec<String> {
        let position = self.options.position("groups");
        let text = self.options.text("groups").unwrap_or("voices effects");
        let mut groups: Vec<String> = Vec::new();
        for name in text.split_ascii_whitespace() {
            if groups.iter().any(|other| other == name) {
                self.problems.error(position, format!("duplicate group `{name}`"));
            }
            groups.push(name.to_owned());
        }
        if groups.is_empty() {
            self.problems.error(position, "expected at least one group");
        }
        groups
    }

    fn warn_if_empty(
        &mut self,
        voices: &[VoiceConfig],
        synths: &[SynthConfig],
        buses: &[BusConfig],
        ranges: &[(String, Scale)],
    ) {
        let is_empty =
            voices.is_empty() && synths.is_empty() && buses.is_empty() && ranges.is_empty();
        if is_empty && self.problems.is_ok() {
            self.problems
                .warning(None, "the instance has no voices, synths, buses, triggers or replies")
                .hint("add `voice.NAME = SYNTHDEF`, such as `voice.pad = pad`");
        }
    }
}
