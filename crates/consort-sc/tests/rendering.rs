//! Renders six instruments with the real server and measures the sound.

#![allow(clippy::print_stdout)]

#[path = "../examples/instruments/instruments.rs"]
mod instruments;
mod measure;

use std::path::Path;

use consort_osc::{OscMessage, OscValue};
use consort_sc::score::{
    HeaderFormat, RenderSettings, SampleFormat, Score, ScoreErrorKind, render_file,
};
use consort_sc::synthdef::prelude::*;
use consort_sc::synthdef::system;
use consort_sc::ugens;

use measure::{
    Sound, check, check_pitch, fraction_above, has_server, part, peak, pitch, render, rms,
};

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

/// Renders one note of a SynthDef.
fn solo(synthdef: &SynthDef, controls: &[(&str, f32)], seconds: f64) -> Sound {
    let mut score = Score::new();
    score.add_synthdefs(0.0, [synthdef]).expect("the SynthDef is added");
    score.send(0.0, synth(synthdef.name(), 1000, 0, controls)).expect("the message is valid");
    render(&score, seconds)
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
fn organ_has_its_pitch_and_follows_its_gate() {
    if !has_server() {
        return;
    }
    let synthdef = instruments::organ().expect("the SynthDef is valid");
    let mut score = Score::new();
    score.add_synthdefs(0.0, [&synthdef]).expect("the SynthDef is added");
    score.send(0.0, synth("organ", 1000, 0, &[("frequency", 330.0)])).expect("a valid message");
    let release = vec![1000.into(), "gate".into(), 0.into()];
    score.send(1.0, message("/n_set", release)).expect("the message is valid");
    let sound = render(&score, 2.0);
    let found = pitch(part(&sound.channels[0], 0.3, 0.9), 100.0, 1500.0);
    check("organ", &sound, 0.01..0.3, &format!("pitch {found:.2} Hz"));
    check_pitch("organ", found, 330.0);
    assert!(rms(part(&sound.channels[0], 1.5, 2.0)) < 1e-4, "the sound does not end");
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
