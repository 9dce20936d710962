//! Six instruments, rendered by the real server and measured.

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

/// Whether the server is there, or a loud reason why the test cannot run.
fn server() -> bool {
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

struct Sound {
    channels: Vec<Vec<f32>>,
    report: RenderReport,
}

fn render(score: &Score, seconds: f64) -> Sound {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("out.wav");
    let settings = RenderSettings {
        sample_rate: RATE,
        sample_format: SampleFormat::Float,
        ..RenderSettings::default()
    };
    let mut shares = Vec::new();
    let report = score
        .render(&path, &settings, Some(seconds), |progress| {
            shares.push(progress.share());
            true
        })
        .expect("the score is rendered");
    assert!(shares.is_sorted(), "progress goes on: {shares:?}");
    assert!(*shares.last().expect("progress at the end") > 0.99, "{shares:?}");
    assert_eq!(report.failures, Vec::<String>::new());
    let mut reader = hound::WavReader::open(&path).expect("a WAV file");
    let spec = reader.spec();
    assert_eq!((spec.channels, spec.sample_rate), (2, RATE));
    let samples: Vec<f32> =
        reader.samples::<f32>().map(|sample| sample.expect("a sample")).collect();
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

/// Pitch by autocorrelation between two frequencies, refined by a parabola.
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
    // The first peak that is nearly the best one: later ones are its multiples.
    let place = (1..similarity.len() - 1)
        .find(|place| {
            let [before, here, after] = [place - 1, *place, place + 1].map(|at| similarity[at]);
            here >= before && here >= after && here > 0.9 * best
        })
        .expect("a peak of similarity");
    let [before, here, after] = [place - 1, place, place + 1].map(|at| similarity[at]);
    let shift = 0.5 * (before - after) / (before - 2.0 * here + after);
    rate / (place as f64 + shift + shortest as f64 - 1.0)
}

/// Share of the energy above a frequency, by a first difference of sums: a plain DFT of one
/// window of 4,096 samples.
fn share_above(samples: &[f32], frequency: f64) -> f64 {
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

fn check(name: &str, sound: &Sound, level: std::ops::Range<f64>, more: &str) {
    for channel in &sound.channels {
        assert!(channel.iter().all(|sample| sample.is_finite()), "{name}: NaN or infinite");
        assert!(peak(channel) <= 1.0, "{name} clips: {}", peak(channel));
    }
    let loudness = rms(&sound.channels[0]);
    println!(
        "{name}: level {loudness:.4} (peak {:.3}), {more}, rendered in {:.0} ms",
        peak(&sound.channels[0]),
        sound.report.elapsed.as_secs_f64() * 1000.0
    );
    assert!(level.contains(&loudness), "{name}: level {loudness} is not in {level:?}");
}

fn solo(synthdef: &SynthDef, controls: &[(&str, f32)], seconds: f64) -> Sound {
    let mut score = Score::new();
    score.add_synthdefs(0.0, [synthdef]).expect("a SynthDef can be added");
    score.send(0.0, synth(synthdef.name(), 1000, 0, controls)).expect("a note");
    render(&score, seconds)
}

fn near(name: &str, found: f64, wanted: f64) {
    let cents = 1200.0 * (found / wanted).log2();
    assert!(cents.abs() < 35.0, "{name}: {found:.2} Hz instead of {wanted} ({cents:.0} cents off)");
}

#[test]
fn pluck() {
    if !server() {
        return;
    }
    for frequency in [110.0, 220.0, 523.25] {
        let synthdef = instruments::pluck().expect("the instrument is sound");
        let sound = solo(&synthdef, &[("frequency", frequency as f32)], 2.5);
        let found = pitch(part(&sound.channels[0], 0.2, 0.6), 60.0, 1500.0);
        check("pluck", &sound, 0.005..0.3, &format!("pitch {found:.2} Hz of {frequency}"));
        near("pluck", found, frequency);
        assert!(rms(part(&sound.channels[0], 2.2, 2.5)) < 1e-4, "the string ends");
    }
}

#[test]
fn bell() {
    if !server() {
        return;
    }
    let synthdef = instruments::bell().expect("the instrument is sound");
    let sound = solo(&synthdef, &[("frequency", 440.0)], 3.5);
    // At the end of the ring the modulator is gone, and the carrier's sine is left.
    let found = pitch(part(&sound.channels[0], 1.3, 1.6), 100.0, 2000.0);
    let bright = share_above(part(&sound.channels[0], 0.0, 0.3), 1_000.0);
    let dark = share_above(part(&sound.channels[0], 1.3, 1.6), 1_000.0);
    check(
        "bell",
        &sound,
        0.005..0.3,
        &format!("pitch {found:.2} Hz, above 1 kHz {bright:.3} then {dark:.4}"),
    );
    near("bell", found, 440.0);
    assert!(bright > 0.05 && dark < bright / 10.0, "{bright} {dark}");
}

#[test]
fn pad() {
    if !server() {
        return;
    }
    let synthdef = instruments::pad().expect("the instrument is sound");
    let mut score = Score::new();
    score.add_synthdefs(0.0, [&synthdef]).expect("a SynthDef can be added");
    score.send(0.0, synth("pad", 1000, 0, &[("frequency", 220.0)])).expect("a note");
    let release = vec![1000.into(), "gate".into(), 0.into()];
    score.send(2.0, message("/n_set", release)).expect("a release");
    let sound = render(&score, 4.0);
    let found = pitch(part(&sound.channels[0], 1.2, 1.8), 80.0, 1500.0);
    check("pad", &sound, 0.005..0.3, &format!("pitch {found:.2} Hz"));
    near("pad", found, 220.0);
    assert!(rms(part(&sound.channels[0], 3.8, 4.0)) < 1e-4, "the gate closes");
    assert_ne!(sound.channels[0], sound.channels[1], "the pad is wide");
}

#[test]
fn kick() {
    if !server() {
        return;
    }
    let synthdef = instruments::kick().expect("the instrument is sound");
    let sound = solo(&synthdef, &[], 1.0);
    let found = pitch(part(&sound.channels[0], 0.1, 0.3), 30.0, 300.0);
    let low = 1.0 - share_above(part(&sound.channels[0], 0.1, 0.3), 200.0);
    check("kick", &sound, 0.01..0.5, &format!("pitch {found:.2} Hz, below 200 Hz {low:.4}"));
    near("kick", found, 50.0);
    assert!(low > 0.95, "{low}");
    assert!(peak(&sound.channels[0]) > 0.5, "a kick is loud");
    assert!(rms(part(&sound.channels[0], 0.7, 1.0)) < 1e-4, "the drum ends");
}

#[test]
fn hat() {
    if !server() {
        return;
    }
    let synthdef = instruments::hat().expect("the instrument is sound");
    let sound = solo(&synthdef, &[], 0.5);
    let high = share_above(part(&sound.channels[0], 0.0, 0.1), 5_000.0);
    check("hat", &sound, 0.001..0.1, &format!("above 5 kHz {high:.4}"));
    assert!(high > 0.95, "{high}");
    let (begin, end) =
        (rms(part(&sound.channels[0], 0.0, 0.02)), rms(part(&sound.channels[0], 0.2, 0.5)));
    assert!(begin > 0.01 && end < 1e-4, "a short stroke: {begin} then {end}");
}

#[test]
fn reverb() {
    if !server() {
        return;
    }
    let mut score = Score::new();
    let (hat, reverb) = (instruments::hat().expect("sound"), instruments::reverb().expect("sound"));
    score.add_synthdefs(0.0, [&hat, &reverb]).expect("SynthDefs can be added");
    // The effect stands behind its source.
    score.send(0.0, synth("reverb", 1000, 1, &[("mix", 0.5)])).expect("an effect");
    score.send(0.0, synth("hat", 1001, 0, &[("out", 16.0), ("amplitude", 0.9)])).expect("a note");
    let sound = render(&score, 3.0);
    let tail = rms(part(&sound.channels[0], 0.3, 0.8));
    let later = rms(part(&sound.channels[0], 2.0, 2.5));
    check("reverb", &sound, 0.0005..0.1, &format!("tail {tail:.5} then {later:.6}"));
    assert!(tail > 1e-4, "the room answers after the stroke: {tail}");
    assert!(later < tail / 2.0, "the room fades: {tail} then {later}");
}

/// Every UGen of the table is one that the server has: it takes a SynthDef that holds it.
#[test]
fn the_server_knows_every_ugen_of_the_table() {
    if !server() {
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
            // Purged when it stands alone.
            if spec.name == "MaxLocalBufs" {
                continue;
            }
            let synthdef = synthdef.unwrap_or_else(|error| panic!("{}: {error}", spec.name));
            score.add_synthdefs(0.0, [&synthdef]).expect("a SynthDef can be added");
            count += 1;
        }
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = score
        .render(folder.path().join("out.wav"), &RenderSettings::default(), Some(0.1), |_| true)
        .expect("the score is rendered");
    println!("SynthDefs that the server took: {count}, failures: {:?}", report.failures);
    // Debian's server 3.13 comes without this one, though the peer lists it.
    let known = "UGen 'Dunique' not installed";
    let unknown: Vec<_> = report.failures.iter().filter(|line| !line.contains(known)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn files_of_other_kinds_and_failures() {
    if !server() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut score = Score::new();
    score.add_synthdefs(0.0, [&system::default()]).expect("a SynthDef can be added");
    score.send(0.0, synth("default", 1000, 0, &[])).expect("a note");
    score.send(0.0, synth("nobody", 1001, 0, &[])).expect("a note that will fail");
    let aiff = folder.path().join("out.aiff");
    let settings = RenderSettings {
        sample_rate: 44_100,
        output_channels: 4,
        sample_format: SampleFormat::Int16,
        ..RenderSettings::default()
    };
    let report = score.render(&aiff, &settings, Some(0.5), |_| true).expect("it is rendered");
    assert!(report.failures.iter().any(|line| line.contains("nobody")), "{:?}", report.failures);
    let bytes = std::fs::read(&aiff).expect("the file");
    assert_eq!((&bytes[..4], &bytes[8..12]), (&b"FORM"[..], &b"AIFF"[..]));
    let common = bytes.windows(4).position(|window| window == b"COMM").expect("its common chunk");
    assert_eq!(bytes[common + 8..common + 10], [0, 4], "four channels");
    assert_eq!(bytes[common + 14..common + 16], [0, 16], "16 bits");

    // A score file on disk, and an input file.
    let file = folder.path().join("score.osc");
    score.write(&file, Some(0.25)).expect("the score is written");
    assert_eq!(Score::read(&file).expect("the score is read").duration(), 0.25);
    let wav = folder.path().join("out.wav");
    let report = render_file(&file, &wav, &settings, |_| true).expect("it is rendered");
    assert_eq!(report.duration, 0.25);
    assert_eq!(hound::WavReader::open(&wav).expect("a WAV file").spec().channels, 4);

    // What cannot be.
    let error = |settings: &RenderSettings, path: &Path| {
        score.render(path, settings, Some(0.5), |_| true).expect_err("it cannot be rendered").kind()
    };
    let nowhere = folder.path().join("missing").join("out.wav");
    assert_eq!(error(&settings, &nowhere), ScoreErrorKind::ServerFailed);
    let missing =
        RenderSettings { executable: Some("/nonexistent/scsynth".into()), ..settings.clone() };
    assert_eq!(error(&missing, &wav), ScoreErrorKind::CannotStart);
    let silent = RenderSettings { output_channels: 0, ..settings.clone() };
    assert_eq!(error(&silent, &wav), ScoreErrorKind::InvalidSetting);
    let raw = RenderSettings { header_format: Some(HeaderFormat::Raw), ..settings };
    assert!(score.render(&wav, &raw, Some(0.1), |_| true).is_ok());
    let empty = Score::new().render(&wav, &raw, None, |_| true).expect_err("nothing to render");
    assert_eq!(empty.kind(), ScoreErrorKind::Empty);
}

#[test]
fn a_rendering_can_be_stopped() {
    if !server() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("long.wav");
    let score = Score::new();
    let started = std::time::Instant::now();
    // A day of silence takes far longer than the first report.
    let error = score
        .render(&path, &RenderSettings::default(), Some(86_400.0), |progress| {
            progress.share() > 1.0
        })
        .expect_err("it is stopped");
    assert_eq!(error.kind(), ScoreErrorKind::Stopped);
    assert!(started.elapsed().as_secs() < 60);
}
