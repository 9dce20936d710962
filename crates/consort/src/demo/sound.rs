//! A pad and a plucked string that the keyboard plays, and a kick drum: on SuperCollider's server
//! where there is one and a sound system that it can use; else they are written to a score, and
//! rendered when the show has ended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use consort_sc::score::{RenderSettings, SampleFormat, Score};
use consort_sc::{Options, Server, Timeouts, find_executable};

use super::{Part, lights};

/// The score of a show that nobody hears, beside the configuration.
const SCORE: &str = "sound.osc";

/// How long the last notes may ring, in seconds.
const TAIL: f64 = 1.5;

enum Mode {
    /// The server starts at this port.
    Heard(u16),
    /// It would, but there is no sound system; this is why, and where the sound will be.
    Rendered(String, PathBuf),
    /// There is no server, and this is why.
    Missing(String),
}

pub(super) struct Sound {
    mode: Mode,
}

impl Sound {
    pub(super) fn new() -> anyhow::Result<Self> {
        if let Err(error) = find_executable(None) {
            return Ok(Sound { mode: Mode::Missing(error.to_string()) });
        }
        let port = lights::free_port()?;
        let mode = match try_boot(port) {
            Ok(()) => Mode::Heard(port),
            Err(error) => {
                let name = format!("consort-demo-{}.wav", std::process::id());
                // What the server printed is for people who look for the cause.
                tracing::debug!("{error}");
                let why = error.to_string();
                let why = why.lines().next().unwrap_or_default();
                let why = why.strip_suffix("; it printed:").unwrap_or(why).to_owned();
                Mode::Rendered(why, std::env::temp_dir().join(name))
            }
        };
        Ok(Sound { mode })
    }
}

/// Whether a server can sound here: it is started and ended. No sound system is started for it.
fn try_boot(port: u16) -> consort_sc::Result<()> {
    let options = Options {
        port,
        load_synthdefs: false,
        environment: vec![("JACK_NO_START_SERVER".into(), "1".into())],
        ..Options::default()
    };
    let timeouts = Timeouts { boot: Duration::from_secs(5), ..Timeouts::default() };
    let server = Server::with_timeouts(options, None, timeouts)?;
    server.boot()?;
    server.quit()
}

impl Part for Sound {
    fn sections(&self) -> String {
        let server = match &self.mode {
            Mode::Heard(port) => format!("server = boot\nport = {port}\n"),
            Mode::Rendered(..) => format!("server = score\nscore = {SCORE}\n"),
            Mode::Missing(_) => return String::new(),
        };
        format!(
            "\
[sc sound]
{server}level = -3
voice.pluck = pluck
voice.pad = pad
voice.kick = kick
control.kick.frequency = 50
control.pad.cutoff = 300 6000 exponential
control.pad.attack = 0.05
bus.wet = audio 2
control.pluck.out = bus wet
control.pad.out = bus wet
synth.room = reverb
control.room.in = bus wet
"
        )
    }

    fn mappings(&self) -> String {
        if matches!(self.mode, Mode::Missing(_)) {
            return String::new();
        }
        "\
keyboard.ch0.note{60,64,67,72} > sound.pluck.note{60,64,67,72}
keyboard.ch0.note{60,67} > sound.pad.note{48,55}
keyboard.ch0.note60 > sound.kick.note36
tablet./fader/1 > sound.pad.cutoff
tablet./fader/3 > sound.room.mix
sound.pluck.voices > lamps./voices/pluck
sound.pad.voices > lamps./voices/pad
sound.meter > lamps./level
"
        .to_owned()
    }

    fn remark(&self) -> Option<String> {
        Some(match &self.mode {
            Mode::Heard(_) => "SuperCollider's server plays along: listen.".to_owned(),
            Mode::Rendered(why, _) => format!(
                "SuperCollider's server is here, but it finds no sound system, so the sound is \
                 rendered to a file when the show has ended:\n{why}"
            ),
            Mode::Missing(why) => format!(
                "There is no sound, because SuperCollider's server is \
                                           not here:\n{why}"
            ),
        })
    }

    fn start(&mut self, _: &Arc<AtomicBool>) -> anyhow::Result<Vec<JoinHandle<()>>> {
        // The server is the show's own.
        Ok(Vec::new())
    }

    fn report(&self, folder: &Path) -> Vec<String> {
        let Mode::Rendered(_, path) = &self.mode else { return Vec::new() };
        match render(&folder.join(SCORE), path) {
            Ok(line) => vec![line],
            Err(error) => vec![format!("the sound could not be rendered: {error:#}")],
        }
    }
}

fn render(score: &Path, path: &Path) -> anyhow::Result<String> {
    let score = Score::read(score)?;
    let settings =
        RenderSettings { sample_format: SampleFormat::Int16, ..RenderSettings::default() };
    let report = score.render(path, &settings, Some(score.duration() + TAIL), |_| true)?;
    let peak = peak(&std::fs::read(path)?);
    let complaints = match report.failures.len() {
        0 => String::new(),
        count => format!("; the server complained {count} times: {}", report.failures[0]),
    };
    let loudness = match peak {
        Some(peak) if peak > 0.0 => format!("the loudest sample at {:.1} dB", 20.0 * peak.log10()),
        _ => "silent".to_owned(),
    };
    Ok(format!(
        "the sound: {} ({:.1} s, {loudness}); `aplay {}` plays it{complaints}",
        path.display(),
        report.duration,
        path.display()
    ))
}

/// The largest sample of a WAV file of 16 bits, 1.0 being full scale.
fn peak(bytes: &[u8]) -> Option<f64> {
    let at = bytes.windows(4).position(|it| it == b"data")? + 8;
    let samples = bytes.get(at..)?.chunks_exact(2);
    let largest = samples.map(|it| i16::from_le_bytes([it[0], it[1]]).unsigned_abs()).max()?;
    Some(f64::from(largest) / 32_768.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_sample_is_found() {
        let mut bytes = b"RIFF....WAVEdata....".to_vec();
        assert_eq!(peak(&bytes), None);
        for sample in [100_i16, -16_384, 0] {
            bytes.extend(sample.to_le_bytes());
        }
        assert_eq!(peak(&bytes), Some(0.5));
        assert_eq!(peak(b"no sound"), None);
    }
}
