//! Prints six instruments and a reverb, and renders a bar of music with them:
//! `cargo run -p consort-sc --example instruments -- out.wav`.

#![allow(clippy::print_stdout)]

mod instruments;

use consort_osc::{OscMessage, OscValue};
use consort_sc::score::{RenderSettings, Score};

/// A message that starts a synth.
fn start(id: i32, name: &str, controls: &[(&str, f32)]) -> OscMessage {
    // At the head of the root group, so that the reverb, which was added first, runs after it.
    let mut arguments: Vec<OscValue> = vec![name.into(), id.into(), 0.into(), 0.into()];
    for (control, value) in controls {
        arguments.extend([OscValue::from(*control), OscValue::from(*value)]);
    }
    OscMessage::new("/s_new", arguments)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let synthdefs = [
        instruments::pluck()?,
        instruments::bell()?,
        instruments::pad()?,
        instruments::organ()?,
        instruments::kick()?,
        instruments::hat()?,
        instruments::reverb()?,
    ];
    for synthdef in &synthdefs {
        println!("{synthdef}");
    }
    let Some(path) = std::env::args().nth(1) else {
        return Ok(());
    };
    let mut score = Score::new();
    score.add_synthdefs(0.0, &synthdefs)?;
    score.send(0.0, start(1000, "reverb", &[]))?;
    score.send(0.0, start(1001, "pad", &[("out", 16.0), ("frequency", 110.0)]))?;
    score.send(3.0, OscMessage::new("/n_set", vec![1001.into(), "gate".into(), 0.into()]))?;
    let melody = [440.0, 523.25, 659.25, 523.25, 587.33, 493.88, 440.0, 329.63];
    for (step, frequency) in melody.into_iter().enumerate() {
        let seconds = step as f64 * 0.5;
        let id = 2000 + 10 * step as i32;
        let voice = if step % 2 == 0 { "pluck" } else { "bell" };
        score.send(seconds, start(id, voice, &[("out", 16.0), ("frequency", frequency)]))?;
        score.send(seconds, start(id + 1, "kick", &[]))?;
        score.send(seconds + 0.25, start(id + 2, "hat", &[("out", 16.0)]))?;
    }
    let settings = RenderSettings::default();
    let report = score.render(&path, &settings, Some(7.0), |progress| {
        println!("{:3.0} %", progress.share() * 100.0);
        true
    })?;
    println!("{} s of sound in {:?}: {path}", report.duration, report.elapsed);
    for failure in report.failures {
        println!("the server reports: {failure}");
    }
    Ok(())
}
