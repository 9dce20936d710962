//! Voices, fixed synths and their controls.

use std::sync::Arc;

use consort_suggest::did_you_mean_or_list;

use super::super::config::{BufferContent, BusConfig, RESERVED, SynthConfig, VoiceConfig};
use super::super::definitions::Definition;
use super::super::settings::{check_control, control_setting, find_group, set_voice_option};
use super::super::voices::{Ending, Mode, Rules, Steal};
use super::{Line, Reader};

impl Reader<'_> {
    /// Finds the SynthDef that the line names.
    fn definition(&mut self, line: &Line<'_>) -> Option<Arc<Definition>> {
        if RESERVED.contains(&line.name) {
            let message = format!("every instance has a channel `{}`", line.name);
            self.problems.error(Some(line.position), message).hint("choose another name");
            return None;
        }
        let found = self.catalogue.find(line.value);
        if found.is_none() {
            let names: Vec<&str> = self.catalogue.names().collect();
            let hint = did_you_mean_or_list(line.value, "SynthDefs", names.iter().copied());
            let message = if line.value.is_empty() {
                "expected the name of a SynthDef".to_owned()
            } else {
                format!("there is no SynthDef `{}`", line.value)
            };
            self.problems.error(Some(line.position), message).hint(format!(
                "{hint} (`synthdef = FILE` loads more; use `server:NAME` for a SynthDef that the \
                 server already has)"
            ));
        }
        found
    }

    pub(super) fn voices(&mut self, groups: &[String]) -> Vec<VoiceConfig> {
        let lines = self.lines("voice.");
        let mut voices: Vec<VoiceConfig> = Vec::new();
        for line in lines.iter().filter(|line| line.setting.is_none()) {
            if voices.iter().any(|voice| voice.synth.name == line.name) {
                let message = format!("duplicate voice `{}`", line.name);
                self.problems.error(Some(line.position), message);
                continue;
            }
            let Some(definition) = self.definition(line) else { continue };
            let mut voice = default_voice(line.name, definition);
            let mut sets_ending = false;
            for line in lines.iter().filter(|other| other.name == line.name) {
                let Some(option) = line.setting else { continue };
                sets_ending |= option == "end";
                if let Err((message, hint)) =
                    set_voice_option(&mut voice, option, line.value, groups)
                {
                    let problem = self.problems.error(Some(line.position), message);
                    if let Some(hint) = hint {
                        problem.hint(hint);
                    }
                }
            }
            self.check_voice(&voice, sets_ending, line);
            voices.push(voice);
        }
        let exists = |name: &str| voices.iter().any(|voice| voice.synth.name == name);
        self.report_orphans(&lines, &exists, "voice");
        voices
    }

    /// Checks whether the SynthDef supports what the voice is configured to do.
    fn check_voice(&mut self, voice: &VoiceConfig, sets_ending: bool, line: &Line<'_>) {
        let position = Some(line.position);
        let definition = &voice.synth.definition;
        let name = &definition.name;
        if voice.rules.ending == Ending::Cut && !sets_ending {
            self.problems
                .warning(
                    position,
                    format!(
                        "the SynthDef `{name}` has no control `gate` and does not free itself: \
                         each note is cut off with a click"
                    ),
                )
                .hint(format!(
                    "add a `gate` to the SynthDef, or set `voice.{}.end = cut` if you want this",
                    voice.synth.name
                ));
        }
        if voice.rules.ending == Ending::Gate && !definition.has_gate() {
            self.problems
                .error(position, format!("the SynthDef `{name}` has no control `gate`"))
                .hint("set `end` to `itself` or `cut`");
        }
        if voice.rules.ending == Ending::Itself && !definition.frees_itself {
            self.problems
                .error(position, format!("the SynthDef `{name}` does not free itself"))
                .hint("its notes would never end; set `end` to `gate` or `cut`");
        }
        if voice.rules.mode == Mode::Legato && voice.rules.ending == Ending::Itself {
            self.problems
                .error(position, format!("`{name}` cannot play legato: it frees itself"))
                .hint("`legato` needs a SynthDef with a gate");
        }
        let glides = definition.first_of(&["glide", "portamento"]).is_some();
        if voice.glide > 0.0 && definition.is_known && !glides {
            self.problems
                .error(position, format!("the SynthDef `{name}` has no control `glide`"))
                .hint("`pad` and `lead` have one: the time to slide to a new frequency");
        }
    }

    pub(super) fn synths(&mut self, groups: &[String], voices: &[VoiceConfig]) -> Vec<SynthConfig> {
        let lines = self.lines("synth.");
        let mut synths: Vec<SynthConfig> = Vec::new();
        for line in lines.iter().filter(|line| line.setting.is_none()) {
            let mut others = voices.iter().map(|voice| &voice.synth).chain(&synths);
            if others.any(|other| other.name == line.name) {
                self.problems
                    .error(Some(line.position), format!("duplicate name `{}`", line.name))
                    .hint(
                        "the name of a synth must differ from those of all voices and other \
                     synths",
                    );
                continue;
            }
            let Some(definition) = self.definition(line) else { continue };
            let group = groups.len().saturating_sub(1);
            let name = line.name.to_owned();
            let mut synth = SynthConfig { name, definition, group, controls: Vec::new() };
            for line in lines.iter().filter(|other| other.name == line.name) {
                match line.setting {
                    None => {}
                    Some("group") => match find_group(line.value, groups) {
                        Ok(group) => synth.group = group,
                        Err((message, hint)) => {
                            let problem = self.problems.error(Some(line.position), message);
                            hint.map(|hint| problem.hint(hint).is_warning);
                        }
                    },
                    Some(setting) => {
                        self.problems
                            .error(
                                Some(line.position),
                                format!("unknown option `{setting}` of a synth"),
                            )
                            .hint(format!(
                                "expected `group`; set a control with `control.{}.{setting} = …`",
                                line.name
                            ));
                    }
                }
            }
            synths.push(synth);
        }
        let exists = |name: &str| synths.iter().any(|synth| synth.name == name);
        self.report_orphans(&lines, &exists, "synth");
        synths
    }

    /// Reports settings of voices or synths that do not exist.
    fn report_orphans(&mut self, lines: &[Line<'_>], exists: &dyn Fn(&str) -> bool, what: &str) {
        for line in lines.iter().filter(|line| line.setting.is_some() && !exists(line.name)) {
            // If the line of the voice or synth itself was refused, that has been reported.
            if !lines.iter().any(|other| other.setting.is_none() && other.name == line.name) {
                self.problems
                    .error(Some(line.position), format!("there is no {what} `{}`", line.name))
                    .hint(format!("add `{what}.{} = SYNTHDEF`", line.name));
            }
        }
    }

    pub(super) fn controls(
        &mut self,
        mut voices: Vec<VoiceConfig>,
        mut synths: Vec<SynthConfig>,
        buses: &[BusConfig],
        buffers: &[(String, BufferContent)],
    ) -> (Vec<VoiceConfig>, Vec<SynthConfig>) {
        for line in self.lines("control.") {
            let Some(control) = line.setting.filter(|control| !control.is_empty()) else {
                self.problems
                    .error(Some(line.position), "expected the name of a control")
                    .hint(format!("write `control.{}.CONTROL = LOW HIGH`", line.name));
                continue;
            };
            let mut all = voices.iter_mut().map(|voice| &mut voice.synth).chain(&mut synths);
            let Some(synth) = all.find(|synth| synth.name == line.name) else {
                drop(all);
                let all = voices.iter().map(|voice| &voice.synth).chain(&synths);
                let names: Vec<String> = all.map(|synth| synth.name.clone()).collect();
                let names = names.iter().map(String::as_str);
                let hint = did_you_mean_or_list(line.name, "voices and synths", names);
                // Controls of a voice that was refused are not reported again.
                if self.problems.is_ok() {
                    let message = format!("there is no voice or synth `{}`", line.name);
                    self.problems.error(Some(line.position), message).hint(hint);
                }
                continue;
            };
            if let Err(hint) = check_control(&synth.definition, control) {
                let name = &synth.definition.name;
                let message = format!("the SynthDef `{name}` has no control `{control}`");
                self.problems.error(Some(line.position), message).hint(hint);
                continue;
            }
            match control_setting(line.value, buses, buffers) {
                Ok(setting) => {
                    synth.controls.retain(|(other, _)| other != control);
                    synth.controls.push((control.to_owned(), setting));
                }
                Err((message, hint)) => {
                    self.problems.error(Some(line.position), message).hint(hint);
                }
            }
        }
        (voices, synths)
    }
}

/// A voice as it is without further options.
fn default_voice(name: &str, definition: Arc<Definition>) -> VoiceConfig {
    let ending = match (definition.has_gate(), definition.frees_itself) {
        (true, _) => Ending::Gate,
        (false, true) => Ending::Itself,
        (false, false) => Ending::Cut,
    };
    VoiceConfig {
        synth: SynthConfig { name: name.to_owned(), definition, group: 0, controls: Vec::new() },
        rules: Rules {
            polyphony: 16,
            steal: Steal::default(),
            mode: Mode::default(),
            ending,
            glides: false,
        },
        bend: 2.0,
        glide: 0.0,
    }
}
