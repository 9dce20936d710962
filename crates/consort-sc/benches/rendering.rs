//! Rendering a score compared with the bare server: the overhead of `Score::render`.
//!
//! Without `scsynth` the benchmark is skipped.

#![allow(clippy::print_stdout)]

use std::process::{Command, Stdio};

use consort_bench::{Budget, interleave, median_ratio, milliseconds, report};
use consort_osc::OscMessage;
use consort_sc::score::{RenderSettings, Score};
use consort_sc::synthdef::prelude::*;

/// A score of 40 voices, so that rendering keeps the server busy.
fn score(seconds: f64) -> Score {
    let mut score = Score::new();
    let synthdef = SynthDef::build("tone", |controls| {
        let frequency = controls.control("frequency", 440.0);
        Out::ar(0, Pan2::ar(RLPF::ar(Saw::ar(frequency), 900.0) * 0.01));
    })
    .expect("a valid SynthDef");
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
    // The file is removed first, so that neither run has to replace one.
    let mut render_bare = || {
        let _ = std::fs::remove_file(&wav);
        milliseconds(|| {
            let status = Command::new("scsynth")
                .args(["-o", "2", "-i", "0", "-a", "1028", "-z", "64", "-m", "65536"])
                .args(["-D", "0", "-R", "0", "-l", "1", "-V", "-1", "-N"])
                .args([file.as_os_str(), "_".as_ref(), wav.as_os_str()])
                .args(["48000", "wav", "int24"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            assert!(status.is_ok_and(|status| status.success()), "the server renders the score");
        })
    };
    let mut render = || {
        let _ = std::fs::remove_file(&wav);
        milliseconds(|| {
            let report = score
                .render(&wav, &RenderSettings::default(), Some(SECONDS), |_| true)
                .expect("the score is rendered");
            assert!(report.failures.is_empty(), "{:?}", report.failures);
        })
    };
    let [bare, ours] = interleave(ROUNDS, [&mut render_bare, &mut render]);
    let _ = std::fs::remove_dir_all(&folder);
    let ratio = median_ratio(&ours, &bare);
    report(format!("render {SECONDS} s of 40 voices with scsynth"), "ms")
        .floor(bare.median())
        .ours(ours.median())
        .budget(Budget::AtMostFloor(1.05))
        .note(format!("{ROUNDS} rounds, ratio {:.3} to {:.3}", ratio.low, ratio.high))
        .print();
}

fn main() {
    // `cargo test --benches` only checks that the benchmark starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    rendering();
}
