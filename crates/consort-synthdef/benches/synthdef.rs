//! Building and compiling SynthDefs compared with Supriya.
//!
//! `CONSORT_VENV` names the virtual environment with Supriya; without it, only the times of this
//! crate are printed.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;

use consort_bench::{Budget, Timed, interleave_calls, report};
use consort_synthdef::prelude::*;

/// Rounds of each SynthDef; the figure is the fastest, as it is for Supriya.
const ROUNDS: usize = 21;

fn small() -> Vec<u8> {
    SynthDef::build("small", |controls| {
        let frequency = controls.control("frequency", 440.0);
        let amplitude = controls.control("amplitude", 0.1);
        let out = controls.control("out", 0.0);
        let source = SinOsc::ar(frequency) * amplitude;
        Out::ar(out, [source, source]);
    })
    .expect("a valid SynthDef")
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
    .expect("a valid SynthDef")
    .compile()
}

/// The results of Supriya: the name of a SynthDef, seconds per call, and the compiled bytes.
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
    let builds: [(&str, Build); 2] = [("small", small), ("voice", voice)];
    for (name, function) in builds {
        let [time] = interleave_calls(ROUNDS, [Timed::new(|| black_box(function)())]);
        let supriya = peer.iter().flatten().find(|(peer_name, ..)| peer_name == name);
        if let Some((_, _, bytes)) = supriya {
            let hex: String = function().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, *bytes, "Supriya compiles other bytes");
        }
        report(format!("build and compile the SynthDef {name}"), "ns")
            .peer("Supriya", supriya.map(|(_, seconds, _)| seconds * 1e9))
            .ours(time.min())
            .budget(Budget::FasterThanPeer(100.0))
            .note(format!("{} bytes", function().len()))
            .print();
    }
}

type Build = fn() -> Vec<u8>;

fn main() {
    // `cargo test --benches` only checks that the benchmark starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    synthdefs();
}
