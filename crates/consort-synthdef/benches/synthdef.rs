//! Building and compiling SynthDefs beside Supriya, and rendering beside the bare server.
//!
//! `CONSORT_VENV` names the virtual environment with Supriya; without it, or without `scsynth`,
//! the figures are printed alone.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use consort_osc::OscMessage;
use consort_sc::score::{RenderSettings, Score};
use consort_sc::synthdef::prelude::*;

fn small() -> Vec<u8> {
    SynthDef::build("small", |controls| {
        let frequency = controls.control("frequency", 440.0);
        let amplitude = controls.control("amplitude", 0.1);
        let out = controls.control("out", 0.0);
        let source = SinOsc::ar(frequency) * amplitude;
        Out::ar(out, [source, source]);
    })
    .expect("the SynthDef is sound")
    .compile()
}

fn voice() -> Vec<u8> {
    SynthDef::build("voice", |controls| {
        let frequency = controls.control("frequency", 440.0);
        let amplitude = controls.control("amplitude", 0.1);
        let out = controls.control("out", 0.0);
        let gate = controls.control("gate", 1.0);
        let saws = Saw::ar([0.99, 1.0, 1.01, 2.0].map(|factor| frequency * factor)).signal();
        let envelope = EnvGen::kr(Envelope::adsr(0.01, 0.3, 0.5, 1.0))
            .gate(gate)
            .done_action(DoneAction::FreeSynth)
            .signal();
        let source = LPF::ar(Mix::new(saws), frequency * 4.0) * envelope * amplitude;
        Out::ar(out, Pan2::ar(source));
    })
    .expect("the SynthDef is sound")
    .compile()
}

/// The best of several rounds, a call.
fn time(function: fn() -> Vec<u8>) -> Duration {
    const CALLS: u32 = 20_000;
    (0..7)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..CALLS {
                black_box(function());
            }
            started.elapsed() / CALLS
        })
        .min()
        .unwrap_or_default()
}

/// What the peer prints: a name, seconds, and the bytes that it compiled.
fn peer() -> Option<Vec<(String, f64, String)>> {
    let python = PathBuf::from(std::env::var_os("CONSORT_VENV")?).join("bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/supriya_synthdef.py");
    let output = Command::new(python).arg(script).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let lines = text.lines().map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?, words.next()?.to_owned()))
    });
    lines.collect::<Option<Vec<_>>>().filter(|lines| !lines.is_empty())
}

fn synthdefs() {
    let peer = peer();
    if peer.is_none() {
        println!("SKIPPED: CONSORT_VENV names no virtual environment with supriya");
    }
    let ours: [(&str, Build); 2] = [("small", small), ("voice", voice)];
    for (name, function) in ours {
        let nanoseconds = time(function).as_nanos();
        print!("build and compile {name:>5} ({} bytes): {nanoseconds} ns", function().len());
        match peer.iter().flatten().find(|(theirs, ..)| theirs == name) {
            Some((_, seconds, bytes)) => {
                let hex: String = function().iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(hex, *bytes, "the peer compiles something else");
                println!(
                    ", Supriya {:.1} us: {:.0} times as fast, same bytes",
                    seconds * 1e6,
                    seconds * 1e9 / nanoseconds as f64
                );
            }
            None => println!(),
        }
    }
}

/// Many voices, so that the server has something to do.
fn score(seconds: f64) -> Score {
    let mut score = Score::new();
    let synthdef = SynthDef::build("tone", |controls| {
        let frequency = controls.control("frequency", 440.0);
        Out::ar(0, Pan2::ar(RLPF::ar(Saw::ar(frequency), 900.0) * 0.01));
    })
    .expect("the SynthDef is sound");
    score.add_synthdefs(0.0, [&synthdef]).expect("a SynthDef can be added");
    for voice in 0..40 {
        let arguments = vec![
            "tone".into(),
            (1000 + voice).into(),
            0.into(),
            0.into(),
            "frequency".into(),
            (110.0 + voice as f32 * 7.0).into(),
        ];
        score.send(0.0, OscMessage::new("/s_new", arguments)).expect("a note");
    }
    let steps = (seconds * 100.0) as i32;
    for step in 1..steps {
        let arguments =
            vec![(1000 + step % 40).into(), "frequency".into(), (100 + step % 500).into()];
        let message = OscMessage::new("/n_set", arguments);
        score.send(f64::from(step) / 100.0, message).expect("a change");
    }
    score
}

fn rendering() {
    const SECONDS: f64 = 120.0;
    const ROUNDS: usize = 7;
    if Command::new("scsynth").arg("-v").output().is_err() {
        println!("SKIPPED: scsynth is not installed");
        return;
    }
    let folder = std::env::temp_dir().join(format!("consort-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let score = score(SECONDS);
    let (file, wav) = (folder.join("score.osc"), folder.join("out.wav"));
    score.write(&file, Some(SECONDS)).expect("the score is written");
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // Neither has an old file to replace.
        let _ = std::fs::remove_file(&wav);
        let started = Instant::now();
        let status = Command::new("scsynth")
            .args(["-o", "2", "-i", "0", "-a", "1028", "-z", "64", "-m", "65536"])
            .args(["-D", "0", "-R", "0", "-l", "1", "-V", "-1", "-N"])
            .args([file.as_os_str(), "_".as_ref(), wav.as_os_str()])
            .args(["48000", "wav", "int24"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.is_ok_and(|status| status.success()), "the server renders");
        bare.push(started.elapsed());
        let _ = std::fs::remove_file(&wav);
        let started = Instant::now();
        let report = score
            .render(&wav, &RenderSettings::default(), Some(SECONDS), |_| true)
            .expect("the score is rendered");
        ours.push(started.elapsed());
        assert!(report.failures.is_empty(), "{:?}", report.failures);
    }
    let _ = std::fs::remove_dir_all(&folder);
    bare.sort();
    ours.sort();
    let (bare, ours) = (bare[ROUNDS / 2], ours[ROUNDS / 2]);
    println!(
        "render {SECONDS} s of 40 voices, median of {ROUNDS} interleaved rounds: {:.0} ms, bare \
         scsynth {:.0} ms: {:+.1} %",
        ours.as_secs_f64() * 1e3,
        bare.as_secs_f64() * 1e3,
        (ours.as_secs_f64() / bare.as_secs_f64() - 1.0) * 100.0
    );
}

type Build = fn() -> Vec<u8>;

fn main() {
    // `cargo test --benches` asks for a look only.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    synthdefs();
    rendering();
}
