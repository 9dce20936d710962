//! What stands on one line: a setting of a voice, or what a control is set to.

use super::config::{BufferContent, BusConfig, BusKind, Setting, VoiceConfig};
use super::controls::{self, Scale};
use super::definitions::{Definition, suggest};
use super::voices::{Ending, Mode, Steal};

/// Whether a SynthDef has a control; if not, the hint.
pub(super) fn check_control(definition: &Definition, control: &str) -> Result<(), String> {
    if !definition.is_known || definition.has(control) {
        return Ok(());
    }
    Err(suggest(control, "controls", definition.controls.iter().map(|it| it.0.as_str())))
}

/// What is wrong, and what to do about it.
pub(super) type Refusal = (String, Option<String>);

pub(super) fn find_group(name: &str, groups: &[String]) -> Result<usize, Refusal> {
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
pub(super) fn set(
    voice: &mut VoiceConfig,
    what: &str,
    value: &str,
    groups: &[String],
) -> Result<(), Refusal> {
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

pub(super) fn setting(
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
