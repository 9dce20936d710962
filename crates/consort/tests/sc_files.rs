//! `consort sc synthdef` and `consort sc render`, called as functions.
#![cfg(feature = "default")]
#![allow(clippy::print_stdout)]

#[path = "../src/sc_files.rs"]
mod sc_files;

use std::path::Path;
use std::process::Command;

use clap::Parser;
use consort_osc::{OscMessage, OscValue};
use consort_sc::score::Score;
use consort_sc::synthdef::prelude::*;
use consort_sc::synthdef::system;

#[derive(Parser)]
enum Arguments {
    Synthdef(sc_files::SynthDefArguments),
    Render(sc_files::RenderArguments),
}

fn run(arguments: &[&str]) -> (anyhow::Result<()>, String) {
    let mut out = Vec::new();
    let all = std::iter::once("sc").chain(arguments.iter().copied());
    let result = match Arguments::try_parse_from(all).expect("valid arguments") {
        Arguments::Synthdef(arguments) => sc_files::synthdef(&arguments, &mut out),
        Arguments::Render(arguments) => sc_files::render(&arguments, &mut out),
    };
    (result, String::from_utf8(out).expect("text"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of plain text")
}

#[test]
fn synthdef_files_are_printed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("system.scsyndef");
    let link = system::control_link(2).expect("a link");
    std::fs::write(&path, SynthDef::compile_all([&system::default(), &link])).expect("a file");
    let (result, out) = run(&["synthdef", text(&path)]);
    result.expect("it is printed");
    assert!(out.starts_with("SynthDef \"default\"\n  controls\n    0 out ir = 0\n"), "{out}");
    assert!(out.contains("SynthDef \"consort:link-kr:2\""), "{out}");
    assert!(out.contains("LPF.ar source: "), "{out}");
    let (result, out) = run(&["synthdef", "--controls", text(&path)]);
    result.expect("they are printed");
    assert_eq!(out.lines().count(), 10);
    assert!(out.contains("\tdefault\t2\tfrequency\tkr\t440\t0\n"), "{out}");

    let (result, out) = run(&["synthdef", "--graph=dot", text(&path)]);
    result.expect("they are drawn");
    assert_eq!(out.matches("digraph {").count(), 2);
    let (result, out) = run(&["synthdef", text(&path), "--graph"]);
    let error = result.expect_err("there are two").to_string();
    assert!(error.starts_with("cannot draw 2 SynthDefs") && out.is_empty(), "{error}");
    let single = folder.path().join("single.scsyndef");
    std::fs::write(&single, link.compile()).expect("a file");
    let (result, out) = run(&["synthdef", text(&single), "--graph"]);
    result.expect("it is drawn");
    assert!(out.starts_with("<svg ") && out.contains(">In.kr</text>"), "{out}");

    std::fs::write(&path, b"SCgf\0\0\0\x02\0\x01").expect("a file");
    let error = format!("{:#}", run(&["synthdef", text(&path)]).0.expect_err("it is truncated"));
    assert!(error.contains("at byte 10") && error.contains("system.scsyndef"), "{error}");
    let error = run(&["synthdef", "/nonexistent.scsyndef"]).0.expect_err("it does not exist");
    assert!(error.to_string().contains("/nonexistent.scsyndef"), "{error}");
}

#[test]
fn scores_are_rendered() {
    if Command::new("scsynth").arg("-v").output().is_err() {
        let reason = "scsynth is not installed";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "missing peer: {reason}");
        println!("SKIPPED: {reason}");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let note = |name: &str, id: i32| {
        OscMessage::new("/s_new", vec![OscValue::from(name), id.into(), 0.into(), 0.into()])
    };
    let mut score = Score::new();
    score.add_synthdefs(0.0, [&system::default()]).expect("a SynthDef");
    score.send(0.0, note("default", 1000)).expect("a note");
    let (file, wav) = (folder.path().join("score.osc"), folder.path().join("out.wav"));
    score.write(&file, None).expect("the score");
    let (result, out) = run(&[
        "render",
        text(&file),
        text(&wav),
        "--duration",
        "0.5",
        "--channels",
        "1",
        "--sample-rate",
        "44100",
        "--sample-format",
        "int16",
    ]);
    result.expect("it is rendered");
    assert!(out.contains("out.wav: 0.500 s of sound in "), "{out}");
    let bytes = std::fs::read(&wav).expect("the sound file");
    assert_eq!((&bytes[..4], &bytes[8..12]), (&b"RIFF"[..], &b"WAVE"[..]));
    assert!((44_100..44_100 + 400).contains(&bytes.len()), "{} bytes", bytes.len());

    let (result, out) = run(&["render", text(&file), text(&wav), "--duration", "0.1", "--quiet"]);
    result.expect("it is rendered");
    assert_eq!(out, "");
    // What the server prints about plugins, and the values of a `Poll`, are not failures.
    let wrapper = folder.path().join("scsynth-with-plugins");
    std::fs::write(&wrapper, "#!/bin/sh\necho \"Found 0 LADSPA plugins\"\nexec scsynth \"$@\"\n")
        .expect("a program");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&wrapper, mode).expect("an executable");
    let mut polled = Score::new();
    let poll = SynthDef::build("poll", |_| {
        Poll::kr(Impulse::kr(20.0), DC::kr(440.0)).label("error").signal();
    });
    polled.add_synthdefs(0.0, [&poll.expect("a SynthDef")]).expect("a SynthDef");
    polled.send(0.0, note("poll", 1000)).expect("a note");
    let poll_file = folder.path().join("poll.osc");
    polled.write(&poll_file, Some(0.5)).expect("the score");
    let (result, out) = run(&["render", text(&poll_file), text(&wav), "--server", text(&wrapper)]);
    result.expect("it is rendered");
    assert!(out.contains("out.wav: 0.500 s of sound in "), "{out}");
    // A score whose only entry is at the start has no duration.
    let error = run(&["render", text(&file), text(&wav)]).0.expect_err("the score has no duration");
    assert!(error.to_string().contains("no duration"), "{error}");
    score.send(0.0, note("nobody", 1001)).expect("a note");
    score.write(&file, Some(0.1)).expect("the score");
    let error = run(&["render", text(&file), text(&wav), "-q"]).0.expect_err("a failure");
    assert!(error.to_string().contains("SynthDef nobody not found"), "{error}");
    assert!(wav.exists(), "the sound file is written nevertheless");
}
