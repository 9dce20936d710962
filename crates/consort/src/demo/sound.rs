//! A pad, a plucked string and a kick drum that the keyboard plays, on SuperCollider's server. If
//! the server finds no sound system, they are written to a score and rendered after the show;
//! without a server they are left out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use consort_sc::score::{RenderSettings, SampleFormat, Score};
use consort_sc::{Options, Server, Timeouts, find_executable};

use super::{Part, lights};
use crate::text::counted;

/// The name of the score in the configuration's folder.
const SCORE_FILE: &str = "sound.osc";

/// How long the last notes may ring.
const TAIL_SECONDS: f64 = 1.5;

/// How the sound is produced.
enum Mode {
    /// By a server at this port.
    Live(u16),
    /// By rendering, because the server finds no sound system: the reason and the sound file.
    Rendered(String),
    /// Not at all, because there is no server: the reason.
    Missing(String),
}

/// The instruments.
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
            Ok(()) => Mode::Live(port),
            Err(error) => {
                // The server's whole output is for those who look for the cause.
                tracing::debug!("{error}");
                let reason = error.to_string();
                let reason = reason.lines().next().unwrap_or_default();
                let reason = reason.strip_suffix("; it printed:").unwrap_or(reason).to_owned();
                Mode::Rendered(reason)
            }
        };
        Ok(Sound { mode })
    }
}

/// Starts a server and quits it, to find out whether it has a sound system. JACK is kept from
/// starting one.
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
            Mode::Live(port) => format!("server = boot\nport = {port}\n"),
            Mode::Rendered(..) => format!("server = score\nscore = {SCORE_FILE}\n"),
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
            Mode::Live(_) => "SuperCollider's server plays the sound.".to_owned(),
            Mode::Rendered(reason) => format!(
                "SuperCollider's server found no sound system: the sound is rendered to a file \
                 after the show.\n{reason}"
            ),
            Mode::Missing(reason) => format!(
                "SuperCollider's server was not found: the demo runs without sound.\n{reason}"
            ),
        })
    }

    fn start(&mut self, _: &Arc<AtomicBool>) -> anyhow::Result<Vec<JoinHandle<()>>> {
        // The show itself starts the server.
        Ok(Vec::new())
    }

    fn report(&self, folder: &Path) -> Vec<String> {
        let Mode::Rendered(_) = &self.mode else { return Vec::new() };
        match new_sound_file().and_then(|path| render(&folder.join(SCORE_FILE), &path)) {
            Ok(line) => vec![line],
            Err(error) => vec![format!("cannot render the sound: {error:#}")],
        }
    }
}

/// Creates the file that the demo leaves behind, under a name that nobody can guess, so that another
/// user of the shared folder cannot have put a link there.
fn new_sound_file() -> anyhow::Result<PathBuf> {
    let file = tempfile::Builder::new().prefix("consort-demo-").suffix(".wav").tempfile()?;
    let (_, path) = file.keep()?;
    Ok(path)
}

/// Renders the score and describes the result.
fn render(score: &Path, path: &Path) -> anyhow::Result<String> {
    let score = Score::read(score)?;
    let settings =
        RenderSettings { sample_format: SampleFormat::Int16, ..RenderSettings::default() };
    let report = score.render(path, &settings, Some(score.duration() + TAIL_SECONDS), |_| true)?;
    let peak = peak(&std::fs::read(path)?);
    let failures = match report.failures.len() {
        0 => String::new(),
        count => {
            let failures = counted(count as u64, "failure");
            format!("; the server reported {failures}: {}", report.failures[0])
        }
    };
    let loudness = match peak {
        Some(peak) if peak > 0.0 => format!("peak {:.1} dB", 20.0 * peak.log10()),
        _ => "silent".to_owned(),
    };
    Ok(format!(
        "the sound: {} ({:.1} s, {loudness}); play it with `aplay {}`{failures}",
        path.display(),
        report.duration,
        path.display()
    ))
}

/// The peak of a 16-bit WAV file; 1.0 is full scale.
fn peak(bytes: &[u8]) -> Option<f64> {
    let start = bytes.windows(4).position(|window| window == b"data")? + 8;
    let samples = bytes.get(start..)?.chunks_exact(2);
    let sample = |bytes: &[u8]| i16::from_le_bytes([bytes[0], bytes[1]]).unsigned_abs();
    let largest = samples.map(sample).max()?;
    Some(f64::from(largest) / 32_768.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_demo_is_new_and_private() {
        use std::os::unix::fs::MetadataExt;
        let (first, second) =
            (new_sound_file().expect("a file"), new_sound_file().expect("a file"));
        assert_ne!(first, second);
        for path in [first, second] {
            let metadata = std::fs::symlink_metadata(&path).expect("a file");
            assert!(metadata.is_file() && metadata.mode() & 0o077 == 0, "{metadata:?}");
            std::fs::remove_file(path).expect("removed");
        }
    }

    #[test]
    fn the_peak_of_a_file_is_found() {
        let mut bytes = b"RIFF....WAVEdata....".to_vec();
        assert_eq!(peak(&bytes), None);
        for sample in [100_i16, -16_384, 0] {
            bytes.extend(sample.to_le_bytes());
        }
        assert_eq!(peak(&bytes), Some(0.5));
        assert_eq!(peak(b"no sound"), None);
    }
}
