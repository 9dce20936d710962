//! The nonrealtime context: the operations of a server, recorded in a score.

#![allow(clippy::print_stdout)]

#[allow(dead_code)]
#[path = "../examples/instruments/instruments.rs"]
mod instruments;

use std::path::PathBuf;
use std::process::Command;

use consort_osc::{OscPacket, OscValue};
use consort_sc::requests::{QueryStatus, QueryVersion};
use consort_sc::score::{Nonrealtime, Score};
use consort_sc::synthdef::SynthDef;
use consort_sc::synthdef::system;
use consort_sc::{
    AddAction, BufferContent, CalculationRate, Context, ErrorKind, NO_SETTINGS, Options, Placement,
};

fn options() -> Options {
    Options { output_bus_channel_count: 2, input_bus_channel_count: 2, ..Options::default() }
}

/// The entries of a score: the time in seconds, and each message as text.
fn listing(score: &Score) -> Vec<(f64, Vec<String>)> {
    score
        .entries()
        .map(|entry| {
            let messages = entry.packets.iter().map(|packet| match packet {
                OscPacket::Message(message) => {
                    let arguments: Vec<String> = message
                        .arguments
                        .iter()
                        .map(|argument| match argument {
                            OscValue::Blob(bytes) => format!("<{} bytes>", bytes.len()),
                            argument => argument.to_string(),
                        })
                        .collect();
                    format!("{} {}", message.address, arguments.join(" "))
                }
                bundle => bundle.to_string(),
            });
            (entry.seconds, messages.collect())
        })
        .collect()
}

/// Plays on any context; the same code runs on a server.
fn play(context: &Context, instrument: &SynthDef, start: f64) -> consort_sc::Result<()> {
    let group = context.at_once(start, |moment| {
        moment.add_synthdefs([instrument.file()])?;
        moment.add_group(AddAction::ToHead)
    })?;
    let mut synths = Vec::new();
    for (step, frequency) in [220.0_f32, 275.0, 330.0].into_iter().enumerate() {
        let synth = context.at_once(start + step as f64 * 0.25, |moment| {
            let settings = [("frequency", frequency)];
            moment.add_synth(instrument, Placement::new(AddAction::ToTail, &group), settings)
        })?;
        synths.push(synth);
    }
    context.at_once(start + 1.0, |moment| {
        synths.iter().try_for_each(|synth| synth.within(moment).set([("gate", 0.0)]))
    })
}

#[test]
fn moments_become_entries() {
    let score = Nonrealtime::new(options()).expect("the options are valid");
    play(&score, &system::default(), 0.5).expect("all requests are valid");
    let size = system::default().compile().len();
    let expected = vec![
        (
            0.5,
            vec![
                format!("/d_recv <{size} bytes>"),
                "/g_new 1000 0 0".to_owned(),
                "/s_new \"default\" 1001 1 1000 \"frequency\" 220.0".to_owned(),
            ],
        ),
        (0.75, vec!["/s_new \"default\" 1002 1 1000 \"frequency\" 275.0".to_owned()]),
        (1.0, vec!["/s_new \"default\" 1003 1 1000 \"frequency\" 330.0".to_owned()]),
        (
            1.5,
            vec![
                "/n_set 1001 \"gate\" 0.0".to_owned(),
                "/n_set 1002 \"gate\" 0.0".to_owned(),
                "/n_set 1003 \"gate\" 0.0".to_owned(),
            ],
        ),
    ];
    assert_eq!(listing(&score.score()), expected);
}

#[test]
fn a_score_rejects_requests_without_a_time_and_requests_with_a_reply() {
    let score = Nonrealtime::new(options()).expect("the options are valid");
    let kind = |result: consort_sc::Result<()>| result.expect_err("a score rejects this").kind();
    assert_eq!(kind(score.do_nothing()), ErrorKind::InvalidMoment);
    assert_eq!(kind(score.at(None).map(drop)), ErrorKind::InvalidMoment);
    for seconds in [-1.0, 1e12, f64::NAN] {
        assert_eq!(kind(score.at(seconds).map(drop)), ErrorKind::InvalidMoment);
    }
    let result = score.at_once(1.0, |moment| moment.ask(QueryStatus).map(drop));
    assert_eq!(kind(result), ErrorKind::InvalidArgument);
    assert!(score.at_once(1.0, |moment| moment.ask(QueryVersion).map(drop)).is_err());
    assert!(score.score().is_empty(), "rejected requests leave no entries");
    let invalid = Options { block_size: 0, ..options() };
    assert_eq!(
        Nonrealtime::new(invalid).expect_err("the block size is 0").kind(),
        ErrorKind::InvalidOptions
    );
    // A dropped moment leaves no entry.
    drop(score.at(1.0).expect("the time is valid"));
    assert!(score.score().is_empty());
    score.at_once(1.0, |moment| moment.do_nothing()).expect("the time is valid");
    assert_eq!(score.score().duration(), 1.0);
}

#[test]
fn buffer_ids_are_never_reused() {
    let score = Nonrealtime::new(options()).expect("the options are valid");
    let content = || BufferContent::Empty { channel_count: 1, frame_count: 64 };
    let mut ids = Vec::new();
    for second in 0..4 {
        let buffer = score
            .at_once(f64::from(second), |moment| moment.add_buffer(content()))
            .expect("an id is free");
        score
            .at_once(f64::from(second) + 0.5, |moment| moment.free_buffer(&buffer))
            .expect("the buffer is freed");
        ids.push(buffer.id());
    }
    assert_eq!(ids, [0, 1, 2, 3]);
}

/// The autocorrelation at one lag, normalized to the energy.
fn similarity(samples: &[f32], lag: usize) -> f64 {
    let (first, second) = (&samples[..samples.len() - lag], &samples[lag..]);
    let sum = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    sum(first, second) / (sum(first, first) * sum(second, second)).sqrt()
}

#[test]
fn an_effect_on_a_bus_is_rendered() {
    if Command::new("scsynth").arg("-v").output().is_err() {
        let reason = "scsynth is not installed";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "missing peer: {reason}");
        println!("SKIPPED: {reason}");
        return;
    }
    let score = Nonrealtime::new(options()).expect("the options are valid");
    let (pluck, reverb) = (
        instruments::pluck().expect("the SynthDef is valid"),
        instruments::reverb().expect("the SynthDef is valid"),
    );
    score
        .at_once(0.0, |moment| {
            moment.add_synthdefs([pluck.file(), reverb.file()])?;
            let bus = moment.add_bus_group(CalculationRate::Audio, 2)?;
            let id = f32::from(u16::try_from(bus.id()).expect("the id fits"));
            let effect =
                moment.add_synth(&reverb, Placement::default(), [("bus", id), ("mix", 0.2)])?;
            moment.add_synth(
                &pluck,
                Placement::new(AddAction::Before, &effect),
                [("out", id), ("frequency", 240.0)],
            )
        })
        .expect("all requests are valid");
    let folder = tempfile::tempdir().expect("a temporary folder is created");
    let path = folder.path().join("out.wav");
    let report = score.render(&path, Some(1.0), |_| true).expect("the score is rendered");
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    let mut reader = hound::WavReader::open(&path).expect("the output is a WAV file");
    let samples: Vec<f32> = reader
        .samples::<i32>()
        .step_by(2)
        .map(|sample| sample.expect("the sample can be read") as f32 / 8_388_608.0)
        .collect();
    let part = &samples[9_600..19_200];
    let level = (part.iter().map(|sample| sample * sample).sum::<f32>() / part.len() as f32).sqrt();
    let similarity = similarity(part, 200);
    println!("through the bus: level {level:.4}, similarity after 1/240 s {similarity:.3}");
    assert!((0.005..0.3).contains(&level) && similarity > 0.8, "{level} {similarity}");
}

/// Supriya encodes the same score to the same bytes.
#[test]
fn scores_are_identical_with_supriyas() {
    let python =
        std::env::var_os("CONSORT_VENV").map(|venv| PathBuf::from(venv).join("bin/python"));
    let python_with_supriya = python.filter(|python| {
        let import = Command::new(python).args(["-c", "import supriya"]).output();
        import.is_ok_and(|output| output.status.success())
    });
    let Some(python) = python_with_supriya else {
        let reason = "CONSORT_VENV is not a virtual environment with supriya";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "missing peer: {reason}");
        println!("SKIPPED: {reason}");
        return;
    };
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers/supriya_score.py");
    let folder = tempfile::tempdir().expect("a temporary folder is created");
    let output = folder.path().join("score.osc");
    let result = Command::new(python).arg(script).arg(&output).output().expect("Python starts");
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    let theirs = Score::read(&output).expect("the score is valid");

    let score = Nonrealtime::new(options()).expect("the options are valid");
    let instrument = system::default().renamed("supriya:default").expect("the name is valid");
    let play = || -> consort_sc::Result<()> {
        let (group, synth, bus) = score.at_once(0.0, |moment| {
            moment.add_synthdefs([instrument.file()])?;
            let group = moment.add_group(AddAction::ToHead)?;
            let bus = moment.add_bus(CalculationRate::Control)?;
            let settings = [("frequency", 443.0)];
            let synth = moment.add_synth(&instrument, &group, settings)?;
            moment.set_bus(&bus, 0.25)?;
            Ok((group, synth, bus))
        })?;
        score.at_once(0.3, |moment| {
            moment.add_synth(
                &instrument,
                Placement::new(AddAction::ToTail, &group),
                NO_SETTINGS,
            )?;
            synth.within(moment).set([("amplitude", 0.5), ("pan", -1.0)])
        })?;
        score.at_once(1.7, |moment| {
            synth.within(moment).map([("amplitude", Some(bus.map_symbol()))])?;
            moment.pause_node(&group)
        })?;
        score.at_once(2.2, |moment| group.within(moment).free(true))
    };
    play().expect("all requests are valid");
    let ours = Score::decode(&score.score().encode(Some(3.0)).expect("the time is valid"))
        .expect("the score is valid");
    assert_eq!(listing(&ours), listing(&theirs));
    assert_eq!(
        ours.encode(None).expect("the score can be encoded"),
        theirs.encode(None).expect("the score can be encoded")
    );
    println!("the score is identical with Supriya's: {} entries", ours.entries().count());
}
