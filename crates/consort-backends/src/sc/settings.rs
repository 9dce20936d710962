//! The value of one line: an option of a voice, or the setting of a control.

use consort_suggest::did_you_mean_or_list;

use super::config::{BufferContent, BusConfig, BusKind, Setting, VoiceConfig};
use super::controls::{self, Scale};
use super::definitions::Definition;
use super::voices::{Ending, Mode, Steal};

/// Checks whether a SynthDef has a control. The error is a hint for the message.
pub(super) fn check_control(definition: &Definition, control: &str) -> Result<(), String> {
    if !definition.is_known || definition.has(control) {
        return Ok(());
    }
    let names = definition.controls.iter().map(|(name, _)| name.as_str());
    Err(did_you_mean_or_list(control, "controls", names))
}

/// An error message and perhaps a hint.
pub(super) type Refusal = (String, Option<String>);

/// The index of a group.
pub(super) fn find_group(name: &str, groups: &[String]) -> Result<usize, Refusal> {
    groups.iter().position(|group| group == name).ok_or_else(|| {
        let hint = did_you_mean_or_list(name, "groups", groups.iter().map(String::as_str));
        let hint = format!("{hint} (the option `groups` defines them)");
        (format!("there is no group `{name}`"), Some(hint))
    })
}

/// Finds a word among the choices.
fn choice<T: Copy>(value: &str, words: &[(&str, T)]) -> Result<T, Refusal> {
    let found = words.iter().find(|(word, _)| value.eq_ignore_ascii_case(word));
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let all: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        (format!("expected one of {}, not `{value}`", all.join(", ")), None)
    })
}

/// Reads a number within a range.
fn within(value: &str, low: f64, high: f64, unit: &str) -> Result<f64, Refusal> {
    let number = controls::number(value).ok().filter(|number| (low..=high).contains(number));
    number.ok_or_else(|| (format!("expected {unit} from {low} to {high}, not `{value}`"), None))
}

/// The options of a voice.
const VOICE_OPTIONS: [&str; 7] = ["bend", "end", "glide", "group", "mode", "polyphony", "steal"];

/// Sets an option of a voice.
pub(super) fn set_voice_option(
    voice: &mut VoiceConfig,
    option: &str,
    value: &str,
    groups: &[String],
) -> Result<(), Refusal> {
    match option {
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
        "group" => voice.synth.group = find_group(value, groups)?,
        other => {
            let hint = did_you_mean_or_list(other, "options", VOICE_OPTIONS);
            let name = &voice.synth.name;
            return Err((
                format!("unknown option `{other}` of a voice"),
                Some(format!("{hint} (set a control with `control.{name}.{other} = …`)")),
            ));
        }
    }
    Ok(())
}

/// Reads the setting of a control; the error is a message and a hint.
pub(super) fn control_setting(
    value: &str,
    buses: &[BusConfig],
    buffers: &[(String, BufferContent)],
) -> Result<Setting, (String, String)> {
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    match words.as_slice() {
        [word @ ("bus" | "map"), name] => {
            let Some(index) = buses.iter().position(|bus| bus.name == *name) else {
                let names: Vec<&str> = buses.iter().map(|bus| bus.name.as_str()).collect();
                let hint = did_you_mean_or_list(name, "buses", names);
                return Err((format!("there is no bus `{name}`"), hint));
            };
            match (*word, buses[index].kind) {
                ("map", BusKind::Audio(_)) => Err((
                    format!("a control cannot follow the audio bus `{name}`"),
                    format!("`bus {name}` sets the control to its number"),
                )),
                ("map", _) => Ok(Setting::Map(index)),
                _ => Ok(Setting::Bus(index)),
            }
        }
        ["buffer", name] => {
            let found = buffers.iter().position(|(buffer, _)| buffer == name);
            found.map(Setting::Buffer).ok_or_else(|| {
                let names: Vec<&str> = buffers.iter().map(|(name, _)| name.as_str()).collect();
                let hint = did_you_mean_or_list(name, "buffers", names);
                (format!("there is no buffer `{name}`"), hint)
            })
        }
        [word] => match controls::number(word) {
            Ok(number) => Ok(Setting::Constant(number)),
            Err(error) => Err((
                error,
                "expected a number, a range `LOW HIGH`, `bus NAME`, `map NAME` or `buffer NAME`"
                    .into(),
            )),
        },
        _ => Scale::parse(value).map(Setting::Scaled).map_err(|error| {
            (error, "such as `200 8000 exponential start 1200`, `bus NAME` or `buffer NAME`".into())
        }),
    }
}
