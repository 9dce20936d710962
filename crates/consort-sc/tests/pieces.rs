//! Renders the pieces of the example with the real server and measures the sound.

#![allow(clippy::print_stdout)]

#[path = "../examples/instruments/instruments.rs"]
#[allow(dead_code)]
mod instruments;
mod measure;
#[path = "../examples/pieces/pieces.rs"]
mod pieces;

use consort_sc::music::TempoClock;
use consort_sc::score::{Nonrealtime, RenderSettings};
use consort_sc::{Audition, Options, Result};

use measure::{
    RATE, Sound, check, check_pitch, fraction_above, has_server, part, peak, pitch, render_with,
    rms,
};

/// Renders a piece.
fn rendered(
    tempo: f64,
    seconds: f64,
    settings: RenderSettings,
    play: fn(&TempoClock) -> Result<()>,
) -> Sound {
    let options = Options { output_bus_channel_count: 2, ..Options::default() };
    let score = Nonrealtime::new(options).expect("valid options");
    let clock = TempoClock::new(&score, tempo).expect("a valid tempo");
    play(&clock).expect("a piece");
    clock.run_until(seconds).expect("the piece is played");
    render_with(&score.score(), seconds, settings)
}

#[test]
fn the_drum_loop_has_its_beats_and_ends() {
    if !has_server() {
        return;
    }
    let sound = rendered(120.0, 17.0, RenderSettings::default(), pieces::drum_loop);
    check("drum loop", &sound, 0.02..0.4, "120 beats a minute");
    let left = &sound.channels[0];
    // A kick on every beat of the first bar, and little before it.
    for beat in 0..4 {
        let start = f64::from(beat) * 0.5;
        assert!(peak(part(left, start, start + 0.05)) > 0.25, "beat {beat}");
    }
    let before_the_second_beat = rms(part(left, 0.45, 0.49));
    assert!(before_the_second_beat < 0.3 * rms(part(left, 0.5, 0.54)), "{before_the_second_beat}");
    // The loop is the same again, except for the noise of the hi-hat.
    let (first, again) = (rms(part(left, 0.0, 4.0)), rms(part(left, 8.0, 12.0)));
    assert!((first / again - 1.0).abs() < 0.05, "{first} {again}");
    assert!(rms(part(left, 16.7, 17.0)) < 1e-3, "the sound does not end");
}

#[test]
fn the_generative_piece_sounds_to_its_end() {
    if !has_server() {
        return;
    }
    let sound = rendered(96.0, 28.0, RenderSettings::default(), pieces::generative);
    check("generative", &sound, 0.005..0.3, "32 beats with a ritardando");
    for second in 1..21 {
        let level = rms(part(&sound.channels[0], f64::from(second), f64::from(second) + 1.0));
        assert!(level > 1e-3, "silence at {second} s: {level}");
    }
    // 24 beats at 96, and 8 beats from 96 to 60.
    let end = 24.0 * 60.0 / 96.0 + 8.0 * 60.0 / 36.0 * (96.0_f64 / 60.0).ln();
    assert!((21.0..22.0).contains(&end), "{end}");
    let (during, after) =
        (rms(part(&sound.channels[0], 18.0, 20.0)), rms(part(&sound.channels[0], 27.0, 28.0)));
    assert!(after < during / 3.0, "the piece does not end: {during} {after}");
    assert_ne!(sound.channels[0], sound.channels[1]);
}

#[test]
fn the_cloud_of_grains_has_the_pitch_of_its_buffer() {
    if !has_server() {
        return;
    }
    let sound = rendered(60.0, 8.0, RenderSettings::default(), pieces::granular);
    let first = pitch(part(&sound.channels[0], 1.0, 2.4), 80.0, 1000.0);
    let second = pitch(part(&sound.channels[0], 4.5, 5.4), 60.0, 1000.0);
    check("granular", &sound, 0.01..0.4, &format!("pitch {first:.2} Hz, then {second:.2} Hz"));
    check_pitch("granular", first, 220.0);
    check_pitch("granular, an octave lower", second, 110.0);
    assert!(rms(part(&sound.channels[0], 7.5, 8.0)) < 1e-3, "the sound does not end");
}

#[test]
fn live_input_gets_a_reverb() {
    if !has_server() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = folder.path().join("input.wav");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    // Half a second of 440 Hz, then silence.
    let mut writer = hound::WavWriter::create(&input, spec).expect("the input is created");
    for frame in 0..2 * RATE {
        let angle = std::f32::consts::TAU * 440.0 * frame as f32 / RATE as f32;
        let sample = if frame < RATE / 2 { 0.3 * angle.sin() } else { 0.0 };
        writer.write_sample(sample).expect("a sample is written");
    }
    writer.finalize().expect("the input is written");
    let settings =
        RenderSettings { input: Some(input), input_channels: 1, ..RenderSettings::default() };
    let sound = rendered(60.0, 2.0, settings, pieces::live_reverb);
    let left = &sound.channels[0];
    let found = pitch(part(left, 0.2, 0.45), 100.0, 1000.0);
    let (tail, later) = (rms(part(left, 0.6, 0.8)), rms(part(left, 1.7, 1.9)));
    check("live reverb", &sound, 0.005..0.3, &format!("pitch {found:.2} Hz, tail {tail:.4}"));
    check_pitch("live reverb", found, 440.0);
    assert!(tail > 1e-3 && later < tail / 2.0, "no reverb that fades: {tail} {later}");
    assert!(fraction_above(part(left, 0.2, 0.4), 2_000.0) < 0.1);
}

#[test]
fn synthdefs_and_scores_are_rendered_and_drawn_in_one_call() {
    if !has_server() {
        return;
    }
    let kick = instruments::kick().expect("the SynthDef is valid");
    let sound = kick.sound(1.0).expect("it is rendered");
    assert_eq!((sound.channels.len(), sound.frames()), (2, RATE as usize));
    assert!(sound.is_finite() && (0.5..1.0).contains(&sound.peak()), "{}", sound.peak());
    check_pitch("kick", pitch(part(&sound.channels[0], 0.1, 0.3), 30.0, 300.0), 50.0);
    assert_eq!(peak(&sound.channels[1]), 0.0);
    let picture = kick.plot(0.5).expect("it is drawn");
    assert!(picture.starts_with("<svg") && picture.contains("0.500 s, peak 0.7"));
    // The gate closes after three quarters of the time.
    let organ = instruments::organ().expect("the SynthDef is valid").sound(2.0).expect("a sound");
    let (open, closed) = (part(&organ.channels[0], 1.0, 1.4), part(&organ.channels[0], 1.8, 2.0));
    assert!(rms(open) > 0.01 && rms(closed) < 1e-4);
    let (score, _) = kick.to_score(1.0).expect("a score");
    assert_eq!(score.sound(1.0).expect("it is rendered").level(), sound.level());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("kick.wav");
    kick.render_to(&path, 0.25).expect("it is rendered");
    let reader = hound::WavReader::open(&path).expect("a WAV file");
    assert!(reader.duration() >= RATE / 4);
    assert!(kick.sound(0.0).is_err());
}

/// The picture of the book; with `UPDATE_DOCS` in the environment, it is written first.
#[test]
fn the_picture_of_a_graph_in_the_book_is_current() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pictures/synthdef.svg");
    let picture = instruments::hat().expect("the SynthDef is valid").diagram().svg();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &picture).expect("the picture is written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let advice = "UPDATE_DOCS=1 cargo test -p consort-sc --test pieces";
    assert!(kept == picture, "{} is out of date; run: {advice}", path.display());
}

#[test]
fn errors_of_rendering_are_errors_of_music() {
    let score = Nonrealtime::new(Options::default()).expect("valid options");
    let error = score.render("out.wav", None, |_| true).expect_err("the score is empty");
    let text = error.to_string();
    let error = consort_sc::Error::from(error);
    assert_eq!((error.kind(), error.to_string()), (consort_sc::ErrorKind::InvalidArgument, text));
}
