//! The nonrealtime context: the operations of a server, written into a score.

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

/// What stands in the score: seconds, and each message as text.
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
                other => other.to_string(),
            });
            (entry.seconds, messages.collect())
        })
        .collect()
}

/// Plays on anything: a server takes the same code.
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
    let score = Nonrealtime::new(options()).expect("sound options");
    play(&score, &system::default(), 0.5).expect("everything is possible");
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
fn a_score_has_no_present_and_gives_no_answers() {
    let score = Nonrealtime::new(options()).expect("sound options");
    let kind = |result: consort_sc::Result<()>| result.expect_err("not in a score").kind();
    assert_eq!(kind(score.do_nothing()), ErrorKind::InvalidMoment);
    assert_eq!(kind(score.at(None).map(drop)), ErrorKind::InvalidMoment);
    for seconds in [-1.0, 1e12, f64::NAN] {
        assert_eq!(kind(score.at(seconds).map(drop)), ErrorKind::InvalidMoment);
    }
    let asked = score.at_once(1.0, |moment| moment.ask(QueryStatus).map(drop));
    assert_eq!(kind(asked), ErrorKind::InvalidArgument);
    assert!(score.at_once(1.0, |moment| moment.ask(QueryVersion).map(drop)).is_err());
    assert!(score.score().is_empty(), "what is refused leaves nothing");
    let bad = Options { block_size: 0, ..options() };
    assert_eq!(Nonrealtime::new(bad).expect_err("no block").kind(), ErrorKind::InvalidOptions);
    // A dropped moment is none.
    drop(score.at(1.0).expect("a moment"));
    assert!(score.score().is_empty());
    score.at_once(1.0, |moment| moment.do_nothing()).expect("a place in time");
    assert_eq!(score.score().duration(), 1.0);
}

#[test]
fn ids_of_buffers_are_given_out_once() {
    let score = Nonrealtime::new(options()).expect("sound options");
    let content = || BufferContent::Empty { channel_count: 1, frame_count: 64 };
    let mut ids = Vec::new();
    for second in 0..4 {
        let buffer = score
            .at_once(f64::from(second), |moment| moment.add_buffer(content()))
            .expect("a buffer");
        score
            .at_once(f64::from(second) + 0.5, |moment| moment.free_buffer(&buffer))
            .expect("it is freed");
        ids.push(buffer.id());
    }
    assert_eq!(ids, [0, 1, 2, 3]);
}

/// Autocorrelation at one lag, as a share of the energy.
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
    let score = Nonrealtime::new(options()).expect("sound options");
    let (pluck, reverb) =
        (instruments::pluck().expect("sound"), instruments::reverb().expect("sound"));
    score
        .at_once(0.0, |moment| {
            moment.add_synthdefs([pluck.file(), reverb.file()])?;
            let bus = moment.add_bus_group(CalculationRate::Audio, 2)?;
            let id = f32::from(u16::try_from(bus.id()).expect("a small id"));
            let effect =
                moment.add_synth(&reverb, Placement::default(), [("bus", id), ("mix", 0.2)])?;
            moment.add_synth(
                &pluck,
                Placement::new(AddAction::Before, &effect),
                [("out", id), ("frequency", 240.0)],
            )
        })
        .expect("everything is possible");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("out.wav");
    let report = score.render(&path, Some(1.0), |_| true).expect("it is rendered");
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    let mut reader = hound::WavReader::open(&path).expect("a WAV file");
    let samples: Vec<f32> = reader
        .samples::<i32>()
        .step_by(2)
        .map(|s| s.expect("a sample") as f32 / 8_388_608.0)
        .collect();
    let part = &samples[9_600..19_200];
    let level = (part.iter().map(|sample| sample * sample).sum::<f32>() / part.len() as f32).sqrt();
    let same = similarity(part, 200);
    println!("through the bus: level {level:.4}, similarity after 1/240 s {same:.3}");
    assert!((0.005..0.3).contains(&level) && same > 0.8, "{level} {same}");
}

/// The same score from the peer, byte for byte.
#[test]
fn scores_are_those_of_supriya() {
    let python =
        std::env::var_os("CONSORT_VENV").map(|venv| PathBuf::from(venv).join("bin/python"));
    let usable = python.filter(|python| {
        let import = Command::new(python).args(["-c", "import supriya"]).output();
        import.is_ok_and(|output| output.status.success())
    });
    let Some(python) = usable else {
        let reason = "CONSORT_VENV names no virtual environment with supriya";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "missing peer: {reason}");
        println!("SKIPPED: {reason}");
        return;
    };
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers/supriya_score.py");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = folder.path().join("score.osc");
    let done = Command::new(python).arg(script).arg(&output).output().expect("the peer starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let theirs = Score::read(&output).expect("a sound score");

    let score = Nonrealtime::new(options()).expect("sound options");
    let instrument = system::default().renamed("supriya:default").expect("a name");
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
    play().expect("everything is possible");
    let ours = Score::decode(&score.score().encode(Some(3.0)).expect("a length")).expect("sound");
    assert_eq!(listing(&ours), listing(&theirs));
    assert_eq!(ours.encode(None).expect("bytes"), theirs.encode(None).expect("bytes"));
    println!("score identical with Supriya's: {} entries", ours.entries().count());
}
