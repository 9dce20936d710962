//! Renders six instruments with the real server and measures the sound.

#![allow(clippy::print_stdout)]

#[path = "../examples/instruments/instruments.rs"]
mod instruments;

use std::path::Path;
use std::process::Command;

use consort_osc::{OscMessage, OscValue};
use consort_sc::score::{
    HeaderFormat, RenderReport, RenderSettings, SampleFormat, Score, ScoreErrorKind, render_file,
};
use consort_sc::synthdef::prelude::*;
use consort_sc::synthdef::system;
use consort_sc::ugens;

const RATE: u32 = 48_000;

/// Whether scsynth is installed. If not, prints that the test is skipped, and fails in CI.
fn has_server() -> bool {
    if Command::new("scsynth").arg("-v").output().is_ok() {
        return true;
    }
    let reason = "scsynth is not installed";
    assert!(std::env::var("CI").as_deref() != Ok("true"), "missing peer: {reason}");
    println!("SKIPPED: {reason}");
    false
}

fn message(address: &str, arguments: Vec<OscValue>) -> OscMessage {
    OscMessage::new(address, arguments)
}

fn synth(name: &str, id: i32, action: i32, controls: &[(&str, f32)]) -> OscMessage {
    let mut arguments: Vec<OscValue> = vec![name.into(), id.into(), action.into(), 0.into()];
    for (control, value) in controls {
        arguments.extend([OscValue::from(*control), OscValue::from(*value)]);
    }
    message("/s_new", arguments)
}

/// A rendered sound file.
struct Sound {
    channels: Vec<Vec<f32>>,
    report: RenderReport,
}

fn render(score: &Score, seconds: f64) -> Sound {
    let folder = tempfile::tempdir().expect("a temporary folder is created");
    let path = folder.path().join("out.wav");
    let settings = RenderSettings {
        sample_rate: RATE,
        sample_format: SampleFormat::Float,
        ..RenderSettings::default()
    };
    let mut fractions = Vec::new();
    let report = score
        .render(&path, &settings, Some(seconds), |progress| {
            fractions.push(progress.share());
            true
        })
        .expect("the score is rendered");
    assert!(fractions.is_sorted(), "progress never decreases: {fractions:?}");
    assert!(*fractions.last().expect("progress is reported at the end") > 0.99, "{fractions:?}");
    assert_eq!(report.failures, Vec::<String>::new());
    let mut reader = hound::WavReader::open(&path).expect("the output is a WAV file");
    let spec = reader.spec();
    assert_eq!((spec.channels, spec.sample_rate), (2, RATE));
    let samples: Vec<f32> =
        reader.samples::<f32>().map(|sample| sample.expect("the sample can be read")).collect();
    let channels: Vec<Vec<f32>> =
        (0..2).map(|channel| samples.iter().skip(channel).step_by(2).copied().collect()).collect();
    let frames = (seconds * f64::from(RATE)) as usize;
    assert!((frames..frames + 128).contains(&channels[0].len()), "{} frames", channels[0].len());
    Sound { channels, report }
}

fn rms(samples: &[f32]) -> f64 {
    let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (energy / samples.len().max(1) as f64).sqrt()
}

fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, sample| sample.abs().max(peak))
}

fn part(samples: &[f32], from: f64, to: f64) -> &[f32] {
    let index = |seconds: f64| (seconds * f64::from(RATE)) as usize;
    &samples[index(from)..index(to)]
}

/// The pitch in hertz between two frequencies, by autocorrelation. A parabola through the peak and
/// its neighbours gives the position between two lags.
fn pitch(samples: &[f32], lowest: f64, highest: f64) -> f64 {
    let rate = f64::from(RATE);
    let (shortest, longest) = ((rate / highest) as usize, (rate / lowest) as usize + 1);
    let window = &samples[..samples.len() - longest - 1];
    let similarity: Vec<f64> = (shortest - 1..=longest + 1)
        .map(|lag| {
            let shifted = &samples[lag..lag + window.len()];
            let product: f64 =
                window.iter().zip(shifted).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            product / (rms(window) * rms(shifted) * window.len() as f64)
        })
        .collect();
    let best = similarity.iter().copied().fold(f64::MIN, f64::max);
    // Multiples of the period have peaks, too: take the first one that is close to the highest.
    let peak_index = (1..similarity.len() - 1)
        .find(|index| {
            let [before, here, after] =
                [index - 1, *index, index + 1].map(|index| similarity[index]);
            here >= before && here >= after && here > 0.9 * best
        })
        .expect("the autocorrelation has a peak");
    let [before, here, after] =
        [peak_index - 1, peak_index, peak_index + 1].map(|index| similarity[index]);
    let shift = 0.5 * (before - after) / (before - 2.0 * here + after);
    rate / (peak_index as f64 + shift + shortest as f64 - 1.0)
}

/// The fraction of the energy above a frequency, by a DFT of one window of 4,096 samples.
fn fraction_above(samples: &[f32], frequency: f64) -> f64 {
    let window = &samples[..4096];
    let step = f64::from(RATE) / 4096.0;
    let energy = |bin: usize| {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (index, sample) in window.iter().enumerate() {
            let angle = std::f64::consts::TAU * (bin * index % 4096) as f64 / 4096.0;
            let hann = 0.5 - 0.5 * (std::f64::consts::TAU * index as f64 / 4096.0).cos();
            real += f64::from(*sample) * hann * angle.cos();
            imaginary += f64::from(*sample) * hann * angle.sin();
        }
        real * real + imaginary * imaginary
    };
    let bins: Vec<f64> = (1..2048).step_by(4).map(energy).collect();
    let above: f64 = bins
        .iter()
        .enumerate()
        .filter(|(index, _)| (1 + 4 * index) as f64 * step > frequency)
        .map(|(_, energy)| energy)
        .sum();
    above / bins.iter().sum::<f64>()
}

/// Checks that a sound is finite, does not clip, and has a level in this range.
fn check(name: &str, sound: &Sound, level: std::ops::Range<f64>, details: &str) {
    for channel in &sound.channels {
        assert!(channel.iter().all(|sample| sample.is_finite()), "{name}: a sample is not finite");
        assert!(peak(channel) <= 1.0, "{name} clips: {}", peak(channel));
    }
    let loudness = rms(&sound.channels[0]);
    println!(
        "{name}: level {loudness:.4} (peak {:.3}), {details}, rendered in {:.0} ms",
        peak(&sound.channels[0]),
        sound.report.elapsed.as_secs_f64() * 1000.0
    );
    assert!(level.contains(&loudness), "{name}: level {loudness} is not in {level:?}");
}

/// Renders one note of a SynthDef.
fn solo(synthdef: &SynthDef, controls: &[(&str, f32)], seconds: f64) -> Sound {
    let mut score = Score::new();
    score.add_synthdefs(0.0, [synthdef]).expect("the SynthDef is added");
    score.send(0.0, synth(synthdef.name(), 1000, 0, controls)).expect("the message is valid");
    render(&score, seconds)
}

/// Checks that a frequency is less than 35 cents off.
fn check_pitch(name: &str, found: f64, expected: f64) {
    let cents = 1200.0 * (found / expected).log2();
    assert!(
        cents.abs() < 35.0,
        "{name}: {found:.2} Hz instead of {expected} ({cents:.0} cents off)"
    );
}

#[test]
fn pluck_has_its_pitch_and_ends() {
    if !has_server() {
        return;
    }
    for frequency in [110.0, 220.0, 523.25] {
        let synthdef = instruments::pluck().expect("the SynthDef is valid");
        let sound = solo(&synthdef, &[("frequency", frequency as f32)], 2.5);
        let found = pitch(part(&sound.channels[0], 0.2, 0.6), 60.0, 1500.0);
        check("pluck", &sound, 0.005..0.3, &format!("pitch {found:.2} Hz of {frequency}"));
        check_pitch("pluck", found, frequency);
        assert!(rms(part(&sound.channels[0], 2.2, 2.5)) < 1e-4, "the sound does not end");
    }
}

#[test]
fn bell_has_its_pitch_and_darkens() {
    if !has_server() {
        return;
    }
    let synthdef = instruments::bell().expect("the SynthDef is valid");
    let sound = solo(&synthdef, &[("frequency", 440.0)], 3.5);
    // The modulator fades sooner than the carrier, so that a sine is left at the end.
    let found = pitch(part(&sound.channels[0], 1.3, 1.6), 100.0, 2000.0);
    let early = fraction_above(part(&sound.channels[0], 0.0, 0.3), 1_000.0);
    let late = fraction_above(part(&sound.channels[0], 1.3, 1.6), 1_000.0);
    check(
        "bell",
        &sound,
        0.005..0.3,
        &format!("pitch {found:.2} Hz, above 1 kHz {early:.3} then {late:.4}"),
    );
    check_pitch("bell", found, 440.0);
    assert!(early > 0.05 && late < early / 10.0, "{early} {late}");
}

#[test]
fn pad_has_its_pitch_and_follows_its_gate() {
    if !has_server() {
        return;
    }
    let synthdef = instruments::pad().expect("the SynthDef is valid");
    let mut score = Score::new();
    score.add_synthdefs(0.0, [&synthdef]).expect("the SynthDef is added");
    score.send(0.0, synth("pad", 1000, 0, &[("frequency", 220.0)])).expect("the message is valid");
    let release = vec![1000.into(), "gate".into(), 0.into()];
    score.send(2.0, message("/n_set", release)).expect("the message is valid");
    let sound = render(&score, 4.0);
    let found = pitch(part(&sound.channels[0], 1.2, 1.8), 80.0, 1500.0);
    check("pad", &sound, 0.005..0.3, &format!("pitch {found:.2} Hz"));
    check_pitch("pad", found, 220.0);
    assert!(
        rms(part(&sound.channels[0], 3.8, 4.0)) < 1e-4,
        "the sound does not end after its gate closes"
    );
    assert_ne!(sound.channels[0], sound.channels[1], "both channels are the same");
}

#[test]
fn kick_has_its_pitch_and_is_low() {
    if !has_server() {
        return;
    }
    let synthdef = instruments::kick().expect("the SynthDef is valid");
    let sound = solo(&synthdef, &[], 1.0);
    let found = pitch(part(&sound.channels[0], 0.1, 0.3), 30.0, 300.0);
    let low = 1.0 - fraction_above(part(&sound.channels[0], 0.1, 0.3), 200.0);
    check("kick", &sound, 0.01..0.5, &format!("pitch {found:.2} Hz, below 200 Hz {low:.4}"));
    check_pitch("kick", found, 50.0);
    assert!(low > 0.95, "{low}");
    assert!(peak(&sound.channels[0]) > 0.5, "the peak is too low");
    assert!(rms(part(&sound.channels[0], 0.7, 1.0)) < 1e-4, "the sound does not end");
}

#[test]
fn hat_is_high_and_short() {
    if !has_server() {
        return;
    }
    let synthdef = instruments::hat().expect("the SynthDef is valid");
    let sound = solo(&synthdef, &[], 0.5);
    let high = fraction_above(part(&sound.channels[0], 0.0, 0.1), 5_000.0);
    check("hat", &sound, 0.001..0.1, &format!("above 5 kHz {high:.4}"));
    assert!(high > 0.95, "{high}");
    let (begin, end) =
        (rms(part(&sound.channels[0], 0.0, 0.02)), rms(part(&sound.channels[0], 0.2, 0.5)));
    assert!(begin > 0.01 && end < 1e-4, "the sound is not short: {begin} then {end}");
}

#[test]
fn reverb_continues_after_the_sound_and_fades() {
    if !has_server() {
        return;
    }
    let mut score = Score::new();
    let (hat, reverb) = (
        instruments::hat().expect("the SynthDef is valid"),
        instruments::reverb().expect("the SynthDef is valid"),
    );
    score.add_synthdefs(0.0, [&hat, &reverb]).expect("the SynthDefs are added");
    // The effect is added first, so that its source, at the head of the group, runs before it.
    score.send(0.0, synth("reverb", 1000, 1, &[("mix", 0.5)])).expect("the message is valid");
    score
        .send(0.0, synth("hat", 1001, 0, &[("out", 16.0), ("amplitude", 0.9)]))
        .expect("the message is valid");
    let sound = render(&score, 3.0);
    let tail = rms(part(&sound.channels[0], 0.3, 0.8));
    let later = rms(part(&sound.channels[0], 2.0, 2.5));
    check("reverb", &sound, 0.0005..0.1, &format!("tail {tail:.5} then {later:.6}"));
    assert!(tail > 1e-4, "there is no reverb after the sound: {tail}");
    assert!(later < tail / 2.0, "the reverb does not fade: {tail} then {later}");
}

/// The server loads a SynthDef with each UGen of the table at each of its rates.
#[test]
fn the_server_has_every_ugen_of_the_table() {
    if !has_server() {
        return;
    }
    let mut score = Score::new();
    let mut count = 0;
    for spec in
        ugens::all().filter(|spec| !spec.rates.is_empty() && !spec.name.ends_with("Control"))
    {
        for &rate in spec.rates {
            let synthdef = SynthDef::build_unoptimized(format!("{}-{rate}", spec.name), |_| {
                let source = if rate == Rate::Audio { DC::ar(1.0) } else { DC::kr(1.0) }.signal();
                let mut builder = spec.at(rate);
                for parameter in spec.parameters {
                    if parameter.default == ugens::ParameterDefault::Required {
                        builder = builder.input(parameter.name, source);
                    }
                }
                builder.signal()
            });
            // Without a LocalBuf the compiler removes this UGen, which leaves an empty graph.
            if spec.name == "MaxLocalBufs" {
                continue;
            }
            let synthdef = synthdef.unwrap_or_else(|error| panic!("{}: {error}", spec.name));
            score.add_synthdefs(0.0, [&synthdef]).expect("the SynthDef is added");
            count += 1;
        }
    }
    let folder = tempfile::tempdir().expect("a temporary folder is created");
    let report = score
        .render(folder.path().join("out.wav"), &RenderSettings::default(), Some(0.1), |_| true)
        .expect("the score is rendered");
    println!("SynthDefs that the server loaded: {count}, failures: {:?}", report.failures);
    // Debian's scsynth 3.13 does not have this UGen, although Supriya lists it.
    let missing_in_debian = "UGen 'Dunique' not installed";
    let failures: Vec<_> =
        report.failures.iter().filter(|line| !line.contains(missing_in_debian)).collect();
    assert!(failures.is_empty(), "{failures:?}");
}

#[test]
fn formats_score_files_and_errors_of_rendering() {
    if !has_server() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder is created");
    let mut score = Score::new();
    score.add_synthdefs(0.0, [&system::default()]).expect("the SynthDef is added");
    score.send(0.0, synth("default", 1000, 0, &[])).expect("the message is valid");
    score
        .send(0.0, synth("missing", 1001, 0, &[]))
        .expect("the message is valid, but fails on the server");
    let aiff = folder.path().join("out.aiff");
    let settings = RenderSettings {
        sample_rate: 44_100,
        output_channels: 4,
        sample_format: SampleFormat::Int16,
        ..RenderSettings::default()
    };
    let report =
        score.render(&aiff, &settings, Some(0.5), |_| true).expect("the score is rendered");
    assert!(report.failures.iter().any(|line| line.contains("missing")), "{:?}", report.failures);
    let bytes = std::fs::read(&aiff).expect("the output can be read");
    assert_eq!((&bytes[..4], &bytes[8..12]), (&b"FORM"[..], &b"AIFF"[..]));
    let common =
        bytes.windows(4).position(|window| window == b"COMM").expect("the file has a COMM chunk");
    assert_eq!(bytes[common + 8..common + 10], [0, 4], "channel count");
    assert_eq!(bytes[common + 14..common + 16], [0, 16], "bits per sample");

    // A score file on disk.
    let file = folder.path().join("score.osc");
    score.write(&file, Some(0.25)).expect("the score is written");
    assert_eq!(Score::read(&file).expect("the score is read").duration(), 0.25);
    let wav = folder.path().join("out.wav");
    let report = render_file(&file, &wav, &settings, |_| true).expect("the score is rendered");
    assert_eq!(report.duration, 0.25);
    assert_eq!(hound::WavReader::open(&wav).expect("the output is a WAV file").spec().channels, 4);

    // Errors.
    let error = |settings: &RenderSettings, path: &Path| {
        score.render(path, settings, Some(0.5), |_| true).expect_err("the rendering fails").kind()
    };
    let missing_folder = folder.path().join("missing").join("out.wav");
    assert_eq!(error(&settings, &missing_folder), ScoreErrorKind::ServerFailed);
    let missing_server =
        RenderSettings { executable: Some("/nonexistent/scsynth".into()), ..settings.clone() };
    assert_eq!(error(&missing_server, &wav), ScoreErrorKind::CannotStart);
    let no_channels = RenderSettings { output_channels: 0, ..settings.clone() };
    assert_eq!(error(&no_channels, &wav), ScoreErrorKind::InvalidSetting);
    let raw = RenderSettings { header_format: Some(HeaderFormat::Raw), ..settings };
    assert!(score.render(&wav, &raw, Some(0.1), |_| true).is_ok());
    let empty = Score::new().render(&wav, &raw, None, |_| true).expect_err("the score is empty");
    assert_eq!(empty.kind(), ScoreErrorKind::Empty);
}

#[test]
fn a_rendering_can_be_stopped() {
    if !has_server() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder is created");
    let path = folder.path().join("long.wav");
    let score = Score::new();
    let started = std::time::Instant::now();
    // Rendering a day of silence takes far longer than the first report of progress.
    let error = score
        .render(&path, &RenderSettings::default(), Some(86_400.0), |progress| {
            progress.share() > 1.0
        })
        .expect_err("the rendering is stopped");
    assert_eq!(error.kind(), ScoreErrorKind::Stopped);
    assert!(started.elapsed().as_secs() < 60);
}
