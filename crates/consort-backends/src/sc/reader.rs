//! From the lines of an instance's section to a [`Config`]; every problem is reported. Reads
//! SynthDef files; no other side effects.

use std::sync::Arc;
use std::time::Duration;

use consort_router::{Options, Problems};

use super::config::{
    BufferContent, BusConfig, BusKind, Config, Place, Player, RESERVED, VoiceConfig,
};
use super::controls::{self, Curve, Scale};
use super::definitions::{Catalogue, Definition, suggest};
use super::server_options;
use super::settings::{check_control, find_group, set, setting};
use super::voices::{Ending, Mode, Rules, Steal};
use crate::net::HostPort;

pub(super) struct Reader<'a> {
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
    pub(super) fn new(options: &'a Options, problems: &'a mut Problems) -> Self {
        Reader { options, problems, catalogue: Catalogue::default() }
    }

    pub(super) fn read(&mut self) -> Option<Config> {
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
