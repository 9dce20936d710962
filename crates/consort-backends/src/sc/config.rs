//! The options of an instance, as values. Reads SynthDef files; no other side effects.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use consort_router::{Options, Problems};
use consort_sc::SynthDefFile;

use super::controls::{self, Curve, Scale};
use super::definitions::{Catalogue, Definition, suggest};
use super::server_options;
use super::voices::{Ending, Mode, Rules, Steal};
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
        let mut reader = Reader { options, problems, catalogue: Catalogue::default() };
        let config = reader.read();
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

struct Reader<'a> {
    options: &'a Options,
    problems: &'a mut Problems,
    catalogue: Catalogue,
}

/// What a line of a family is about: `voice.NAME` or `voice.NAME.WHAT`.
struct Line<'a> {
    at: usize,
    name: &'a str,
    what: Option<&'a str>,
    value: &'a str,
}

impl<'a> Reader<'a> {
    fn read(&mut self) -> Option<Config> {
        let options = self.options;
        for (at, entry) in options.all("synthdef") {
            let path = entry.directory.join(&entry.value);
            if let Err(message) = self.catalogue.add(&path) {
                // As it is written, not as it is found.
                let folder = format!("{}/", entry.directory.display());
                self.problems.error(Some(at), message.replace(&folder, ""));
            }
        }
        let groups = self.groups();
        let buses = self.buses();
        let buffers = self.buffers();
        let voices = self.voices(&groups);
        let synths = self.synths(&groups, &voices);
        let ranges = self.ranges();
        let (voices, synths) = self.controls(voices, synths, &buses, &buffers);
        self.nothing_to_do(&voices, &synths, &buses, &ranges);
        let place = self.place();
        let server = server_options::read(options, place.as_ref(), self.problems)?;
        let level = options.number("level").unwrap_or(0.0);
        let channels = options.integer("channels").and_then(|it| u32::try_from(it).ok());
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
        Some(Config {
            place: place?,
            server,
            files: std::mem::take(&mut self.catalogue).into_files(),
            groups,
            voices,
            synths,
            buses,
            buffers,
            ranges,
            interval: Duration::from_secs_f64(1.0 / rate),
            latency: options.number("latency").map(|it| it / 1_000.0).filter(|it| *it > 0.0),
            restores_notes: options
                .text("restore")
                .is_some_and(|it| it.eq_ignore_ascii_case("notes")),
            level: Scale {
                low: 0.0,
                high: controls::amplitude(level),
                curve: Curve::Squared,
                start: None,
            },
            channels,
        })
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
                    .error(self.options.position("server"), "`score` needs a file to write")
                    .hint("add `score = FILE.osc`");
                None
            }
        }
    }

    /// The lines of a family, with sound names.
    fn lines(&mut self, prefix: &str) -> Vec<Line<'a>> {
        let mut lines = Vec::new();
        for (at, entry) in self.options.family(prefix) {
            let rest = &entry.name[prefix.len()..];
            let (name, what) = match rest.split_once('.') {
                Some((name, what)) => (name, Some(what)),
                None => (rest, None),
            };
            let is_sound = |it: char| it.is_alphanumeric() || it == '-' || it == '_';
            if name.is_empty() || !name.chars().all(is_sound) {
                self.problems
                    .error(Some(at), format!("`{}` has no sound name", entry.name))
                    .hint("a name has letters, digits, `-` and `_`");
                continue;
            }
            lines.push(Line { at, name, what, value: entry.value.as_str() });
        }
        lines
    }

    fn groups(&mut self) -> Vec<String> {
        let at = self.options.position("groups");
        let text = self.options.text("groups").unwrap_or("voices effects");
        let mut groups: Vec<String> = Vec::new();
        for name in text.split_ascii_whitespace() {
            if groups.iter().any(|other| other == name) {
                self.problems.error(at, format!("the group `{name}` is named twice"));
            }
            groups.push(name.to_owned());
        }
        if groups.is_empty() {
            self.problems.error(at, "there must be one group at least");
        }
        groups
    }

    fn buses(&mut self) -> Vec<BusConfig> {
        let mut buses: Vec<BusConfig> = Vec::new();
        for line in self.lines("bus.") {
            if line.what.is_some() {
                self.problems.error(Some(line.at), "a bus has one line, `bus.NAME = …`");
                continue;
            }
            if buses.iter().any(|bus| bus.name == line.name) {
                self.problems
                    .error(Some(line.at), format!("the bus `{}` is there twice", line.name));
                continue;
            }
            let number = line.name.parse::<u32>().ok();
            let mut words = line.value.split_ascii_whitespace();
            let kind = match words.next() {
                Some("audio") => {
                    let channels = words.next().map_or(Ok(2), str::parse::<u32>);
                    match channels {
                        Ok(count @ 1..=64) if words.next().is_none() => Ok(BusKind::Audio(count)),
                        _ => Err("expected `audio CHANNELS`, 1 to 64".to_owned()),
                    }
                }
                Some("control") if line.value.trim() == "control" => {
                    Ok(BusKind::Control(Scale::UNIT))
                }
                Some("control") => {
                    let range = line.value.trim_start()["control".len()..].trim_start();
                    Scale::parse(range).map(BusKind::Control)
                }
                _ => Scale::parse(line.value).map(BusKind::Control),
            };
            match kind {
                Ok(kind) => buses.push(BusConfig { name: line.name.to_owned(), kind, number }),
                Err(message) => {
                    self.problems.error(Some(line.at), message).hint(
                        "such as `bus.wobble = 0 1`, `bus.wobble = 20 2000 exponential`, or \
                         `bus.wet = audio 2`",
                    );
                }
            }
        }
        buses
    }

    fn buffers(&mut self) -> Vec<(String, BufferContent)> {
        let mut buffers: Vec<(String, BufferContent)> = Vec::new();
        for line in self.lines("buffer.") {
            if line.what.is_some() || buffers.iter().any(|it| it.0 == line.name) {
                self.problems.error(
                    Some(line.at),
                    format!("the buffer `{}` has one line, `buffer.NAME = …`", line.name),
                );
                continue;
            }
            let words: Vec<&str> = line.value.split_ascii_whitespace().collect();
            let content = match words.as_slice() {
                [] => Err("expected a sound file, or `empty FRAMES CHANNELS`".to_owned()),
                ["empty", frames, channels] => match (frames.parse(), channels.parse()) {
                    (Ok(frames @ 1..=1_000_000_000), Ok(channels @ 1..=64)) => {
                        Ok(BufferContent::Empty(frames, channels))
                    }
                    _ => Err("expected `empty FRAMES CHANNELS`, up to 64 channels".to_owned()),
                },
                _ => {
                    let entry = &self.options.entries()[line.at];
                    let path = entry.directory.join(&entry.value);
                    // Another machine's files cannot be looked at.
                    let is_here = !matches!(self.options.text("server"), Some(text)
                        if HostPort::parse(text).is_ok_and(|it| !is_local(&it)));
                    if is_here && !path.is_file() {
                        Err(format!("there is no file {}", entry.value))
                    } else {
                        Ok(BufferContent::File(path))
                    }
                }
            };
            match content {
                Ok(content) => buffers.push((line.name.to_owned(), content)),
                Err(message) => {
                    self.problems.error(Some(line.at), message);
                }
            }
        }
        buffers
    }

    fn definition(&mut self, line: &Line<'_>) -> Option<Arc<Definition>> {
        if RESERVED.contains(&line.name) {
            self.problems
                .error(Some(line.at), format!("`{}` is a channel of every instance", line.name))
                .hint("choose another name");
            return None;
        }
        let found = self.catalogue.find(line.value);
        if found.is_none() {
            let names: Vec<&str> = self.catalogue.names().collect();
            let hint = suggest(line.value, "SynthDefs", names.iter().copied());
            let message = if line.value.is_empty() {
                "the name of a SynthDef is missing".to_owned()
            } else {
                format!("there is no SynthDef `{}`", line.value)
            };
            self.problems.error(Some(line.at), message).hint(format!(
                "{hint} (`synthdef = FILE` loads more; `server:NAME` is one that the server has)"
            ));
        }
        found
    }

    fn voices(&mut self, groups: &[String]) -> Vec<VoiceConfig> {
        let lines = self.lines("voice.");
        let mut voices: Vec<VoiceConfig> = Vec::new();
        for line in lines.iter().filter(|line| line.what.is_none()) {
            if voices.iter().any(|voice| voice.player.name == line.name) {
                self.problems
                    .error(Some(line.at), format!("the voice `{}` is there twice", line.name));
                continue;
            }
            let Some(definition) = self.definition(line) else { continue };
            let ending = match (definition.has_gate(), definition.frees_itself) {
                (true, _) => Ending::Gate,
                (false, true) => Ending::Itself,
                (false, false) => Ending::Cut,
            };
            let mut voice = VoiceConfig {
                player: Player {
                    name: line.name.to_owned(),
                    definition,
                    group: 0,
                    controls: Vec::new(),
                },
                rules: Rules {
                    polyphony: 16,
                    steal: Steal::default(),
                    mode: Mode::default(),
                    ending,
                    glides: false,
                },
                bend: 2.0,
                glide: 0.0,
            };
            let mut says_end = false;
            for line in lines.iter().filter(|it| it.name == line.name) {
                let Some(what) = line.what else { continue };
                says_end |= what == "end";
                if let Err((message, hint)) = set(&mut voice, what, line.value, groups) {
                    let problem = self.problems.error(Some(line.at), message);
                    if let Some(hint) = hint {
                        problem.hint(hint);
                    }
                }
            }
            self.check_voice(&voice, says_end, line);
            voices.push(voice);
        }
        self.orphans(&lines, &|name| voices.iter().any(|it| it.player.name == name), "voice");
        voices
    }

    fn check_voice(&mut self, voice: &VoiceConfig, says_end: bool, line: &Line<'_>) {
        let definition = &voice.player.definition;
        let name = &definition.name;
        if voice.rules.ending == Ending::Cut && !says_end {
            self.problems
                .warning(
                    Some(line.at),
                    format!(
                        "the SynthDef `{name}` has no control `gate` and never ends by itself: \
                         its voices are freed at once when a note ends, which clicks"
                    ),
                )
                .hint(format!(
                    "give it a `gate`, or say so: `voice.{}.end = cut`",
                    voice.player.name
                ));
        }
        if voice.rules.ending == Ending::Gate && !definition.has_gate() {
            self.problems
                .error(Some(line.at), format!("the SynthDef `{name}` has no control `gate`"))
                .hint("`end` is `itself` or `cut` then");
        }
        if voice.rules.ending == Ending::Itself && !definition.frees_itself {
            self.problems
                .error(Some(line.at), format!("the SynthDef `{name}` never ends by itself"))
                .hint("its voices would pile up; `end` is `gate` or `cut` then");
        }
        if voice.rules.mode == Mode::Legato && voice.rules.ending == Ending::Itself {
            self.problems
                .error(Some(line.at), format!("`{name}` cannot slide: it ends by itself"))
                .hint("`legato` needs a SynthDef with a gate");
        }
        let glides = definition.first_of(&["glide", "portamento"]).is_some();
        if voice.glide > 0.0 && definition.is_known && !glides {
            self.problems
                .error(Some(line.at), format!("the SynthDef `{name}` has no control `glide`"))
                .hint("`pad` and `lead` have one: the time that a new frequency takes");
        }
    }

    fn synths(&mut self, groups: &[String], voices: &[VoiceConfig]) -> Vec<Player> {
        let lines = self.lines("synth.");
        let mut synths: Vec<Player> = Vec::new();
        for line in lines.iter().filter(|line| line.what.is_none()) {
            let mut names = voices.iter().map(|voice| &voice.player).chain(&synths);
            if names.any(|player| player.name == line.name) {
                self.problems
                    .error(Some(line.at), format!("`{}` is there twice", line.name))
                    .hint("voices and synths share their names");
                continue;
            }
            let Some(definition) = self.definition(line) else { continue };
            let group = groups.len().saturating_sub(1);
            let name = line.name.to_owned();
            let mut synth = Player { name, definition, group, controls: Vec::new() };
            for line in lines.iter().filter(|it| it.name == line.name) {
                match line.what {
                    None => {}
                    Some("group") => match find_group(line.value, groups) {
                        Ok(group) => synth.group = group,
                        Err((message, hint)) => {
                            let problem = self.problems.error(Some(line.at), message);
                            hint.map(|hint| problem.hint(hint).is_warning);
                        }
                    },
                    Some(what) => {
                        self.problems
                            .error(Some(line.at), format!("a synth has no setting `{what}`"))
                            .hint(format!(
                                "it has `group`; its controls are set by `control.{}.{what} = …`",
                                line.name
                            ));
                    }
                }
            }
            synths.push(synth);
        }
        self.orphans(&lines, &|name| synths.iter().any(|it| it.name == name), "synth");
        synths
    }

    /// Settings of what is not there.
    fn orphans(&mut self, lines: &[Line<'_>], is_there: &dyn Fn(&str) -> bool, what: &str) {
        for line in lines.iter().filter(|line| line.what.is_some() && !is_there(line.name)) {
            // Where the line itself was refused, that has been said.
            if !lines.iter().any(|it| it.what.is_none() && it.name == line.name) {
                self.problems
                    .error(Some(line.at), format!("there is no {what} `{}`", line.name))
                    .hint(format!("add `{what}.{} = SYNTHDEF`", line.name));
            }
        }
    }

    fn ranges(&mut self) -> Vec<(String, Scale)> {
        let mut ranges = Vec::new();
        for prefix in ["trigger.", "reply."] {
            for (at, entry) in self.options.family(prefix) {
                match Scale::parse(&entry.value) {
                    Ok(scale) => ranges.push((entry.name.clone(), scale)),
                    Err(message) => {
                        self.problems.error(Some(at), message);
                    }
                }
            }
        }
        ranges
    }

    fn controls(
        &mut self,
        mut voices: Vec<VoiceConfig>,
        mut synths: Vec<Player>,
        buses: &[BusConfig],
        buffers: &[(String, BufferContent)],
    ) -> (Vec<VoiceConfig>, Vec<Player>) {
        for line in self.lines("control.") {
            let Some(control) = line.what.filter(|it| !it.is_empty()) else {
                self.problems
                    .error(Some(line.at), "which control is missing")
                    .hint(format!("write `control.{}.CONTROL = LOW HIGH`", line.name));
                continue;
            };
            let mut all = voices.iter_mut().map(|voice| &mut voice.player).chain(&mut synths);
            let Some(player) = all.find(|player| player.name == line.name) else {
                drop(all);
                let all = voices.iter().map(|voice| &voice.player).chain(&synths);
                let names: Vec<String> = all.map(|player| player.name.clone()).collect();
                let hint =
                    suggest(line.name, "voices and synths", names.iter().map(String::as_str));
                // What was refused before leaves its controls behind.
                if self.problems.is_ok() {
                    self.problems
                        .error(Some(line.at), format!("there is no voice or synth `{}`", line.name))
                        .hint(hint);
                }
                continue;
            };
            if let Err(hint) = check_control(&player.definition, control) {
                let name = &player.definition.name;
                self.problems
                    .error(
                        Some(line.at),
                        format!("the SynthDef `{name}` has no control `{control}`"),
                    )
                    .hint(hint);
                continue;
            }
            match setting(line.value, buses, buffers) {
                Ok(setting) => {
                    player.controls.retain(|other| other.0 != control);
                    player.controls.push((control.to_owned(), setting));
                }
                Err((message, hint)) => {
                    self.problems.error(Some(line.at), message).hint(hint);
                }
            }
        }
        (voices, synths)
    }

    fn nothing_to_do(
        &mut self,
        voices: &[VoiceConfig],
        synths: &[Player],
        buses: &[BusConfig],
        ranges: &[(String, Scale)],
    ) {
        let is_bare = voices.is_empty() && synths.is_empty() && buses.is_empty();
        if is_bare && ranges.is_empty() && self.problems.is_ok() {
            self.problems
                .warning(None, "this instance plays nothing")
                .hint("add `voice.NAME = SYNTHDEF`, such as `voice.pad = pad`");
        }
    }
}

fn is_local(target: &HostPort) -> bool {
    target.host == "localhost" || target.literal().is_some_and(|it| it.ip().is_loopback())
}

/// Whether a SynthDef has a control; if not, the hint.
pub(super) fn check_control(definition: &Definition, control: &str) -> Result<(), String> {
    if !definition.is_known || definition.has(control) {
        return Ok(());
    }
    Err(suggest(control, "controls", definition.controls.iter().map(|it| it.0.as_str())))
}

type Refusal = (String, Option<String>);

fn find_group(name: &str, groups: &[String]) -> Result<usize, Refusal> {
    groups.iter().position(|group| group == name).ok_or_else(|| {
        let hint = suggest(name, "groups", groups.iter().map(String::as_str));
        (format!("there is no group `{name}`"), Some(format!("{hint} (`groups = …` names them)")))
    })
}

fn choice<T: Copy>(value: &str, words: &[(&str, T)]) -> Result<T, Refusal> {
    let found = words.iter().find(|(word, _)| value.eq_ignore_ascii_case(word));
    found.map(|it| it.1).ok_or_else(|| {
        let all = words.iter().map(|it| format!("`{}`", it.0)).collect::<Vec<_>>().join(", ");
        (format!("`{value}` is none of {all}"), None)
    })
}

fn within(value: &str, low: f64, high: f64, unit: &str) -> Result<f64, Refusal> {
    let number = controls::number(value).ok().filter(|it| (low..=high).contains(it));
    number.ok_or_else(|| (format!("expected {unit} from {low} to {high}, not `{value}`"), None))
}

const SETTINGS: [&str; 7] = ["bend", "end", "glide", "group", "mode", "polyphony", "steal"];

/// Sets one setting of a voice.
fn set(voice: &mut VoiceConfig, what: &str, value: &str, groups: &[String]) -> Result<(), Refusal> {
    match what {
        "polyphony" => match value.parse() {
            Ok(count @ 1..=1_024) => voice.rules.polyphony = count,
            _ => return Err((format!("expected 1 to 1024 voices, not `{value}`"), None)),
        },
        "steal" => {
            voice.rules.steal = choice(
                value,
                &[
                    ("oldest", Steal::Oldest),
                    ("quietest", Steal::Quietest),
                    ("lowest", Steal::Lowest),
                    ("highest", Steal::Highest),
                    ("none", Steal::None),
                ],
            )?;
        }
        "mode" => {
            voice.rules.mode = choice(
                value,
                &[("poly", Mode::Poly), ("mono", Mode::Mono), ("legato", Mode::Legato)],
            )?;
        }
        "end" => {
            voice.rules.ending = choice(
                value,
                &[("gate", Ending::Gate), ("itself", Ending::Itself), ("cut", Ending::Cut)],
            )?;
        }
        "glide" => {
            voice.glide = within(value, 0.0, 60.0, "seconds")?;
            voice.rules.glides = voice.glide > 0.0;
        }
        "bend" => voice.bend = within(value, 0.0, 96.0, "semitones")?,
        "group" => voice.player.group = find_group(value, groups)?,
        other => {
            let hint = suggest(other, "settings", SETTINGS);
            let name = &voice.player.name;
            return Err((
                format!("a voice has no setting `{other}`"),
                Some(format!("{hint} (controls are set by `control.{name}.{other} = …`)")),
            ));
        }
    }
    Ok(())
}

fn setting(
    value: &str,
    buses: &[BusConfig],
    buffers: &[(String, BufferContent)],
) -> Result<Setting, (String, String)> {
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    match words.as_slice() {
        [what @ ("bus" | "map"), name] => {
            let Some(at) = buses.iter().position(|bus| bus.name == *name) else {
                let names: Vec<&str> = buses.iter().map(|bus| bus.name.as_str()).collect();
                return Err((format!("there is no bus `{name}`"), suggest(name, "buses", names)));
            };
            match (*what, buses[at].kind) {
                ("map", BusKind::Audio(_)) => Err((
                    format!("`{name}` is an audio bus, which a control cannot follow"),
                    format!("`bus {name}` is its number"),
                )),
                ("map", _) => Ok(Setting::Map(at)),
                _ => Ok(Setting::Bus(at)),
            }
        }
        ["buffer", name] => {
            let found = buffers.iter().position(|it| it.0 == *name).map(Setting::Buffer);
            found.ok_or_else(|| {
                let names: Vec<&str> = buffers.iter().map(|it| it.0.as_str()).collect();
                (format!("there is no buffer `{name}`"), suggest(name, "buffers", names))
            })
        }
        [word] => match controls::number(word) {
            Ok(number) => Ok(Setting::Constant(number)),
            Err(error) => Err((
                error,
                "a control is a number, a range `LOW HIGH`, `bus NAME`, `map NAME` or `buffer NAME`"
                    .into(),
            )),
        },
        _ => Scale::parse(value).map(Setting::Scaled).map_err(|error| {
            (error, "such as `200 8000 exponential start 1200`, `bus NAME` or `buffer NAME`".into())
        }),
    }
}
