//! Events, and clocks on scores and in virtual time.

use consort_osc::{OscPacket, OscValue};
use consort_synthdef::prelude::*;

use super::*;
use crate::Placement;
use crate::error::{Error, ErrorKind};
use crate::values::{ControlKey, ControlValue};

/// An instrument with a gate.
fn organ() -> SynthDef {
    SynthDef::build("organ", |controls| {
        let frequency = controls.control("frequency", 440.0);
        let swell = EnvGen::kr(Envelope::asr(0.01, 1.0, 0.1))
            .gate(controls.control("gate", 1.0))
            .done_action(DoneAction::FreeSynth);
        Out::ar(controls.scalar("out", 0), SinOsc::ar(frequency) * swell * 0.1);
    })
    .unwrap()
}

/// An instrument without a gate, whose control is called `freq`.
fn bell() -> SynthDef {
    SynthDef::build("bell", |controls| {
        let ring = EnvGen::kr(Envelope::percussive(0.01, 1.0)).done_action(DoneAction::FreeSynth);
        Out::ar(0, SinOsc::ar(controls.control("freq", 440.0)) * ring * 0.1);
    })
    .unwrap()
}

/// A score with a clock, on which something is played until a time.
fn played(
    tempo: f64,
    run: impl FnOnce(&TempoClock) -> Result<()>,
    play: impl FnOnce(&TempoClock) -> Result<()>,
) -> Vec<String> {
    let score = Nonrealtime::new(Options::default()).unwrap();
    let clock = TempoClock::new(&score, tempo).unwrap();
    play(&clock).unwrap();
    run(&clock).unwrap();
    lines(&score)
}

/// The messages of a score except for SynthDefs, one a line: time, address, arguments.
fn lines(score: &Nonrealtime) -> Vec<String> {
    let entries = score.score().entries().collect::<Vec<_>>();
    let messages = entries.iter().flat_map(|entry| {
        entry.packets.iter().filter_map(|packet| match packet {
            OscPacket::Message(message) => Some((entry.seconds, message)),
            OscPacket::Bundle(_) => None,
        })
    });
    messages
        .filter(|(_, message)| message.address != "/d_recv")
        .map(|(seconds, message)| {
            let arguments: Vec<String> = message
                .arguments
                .iter()
                .map(|argument| match argument {
                    OscValue::Float(number) => format!("{number:.2}"),
                    OscValue::Int(number) => number.to_string(),
                    OscValue::String(text) => text.clone(),
                    other => format!("{other:?}"),
                })
                .collect();
            format!("{seconds:.3} {} {}", message.address, arguments.join(" "))
        })
        .collect()
}

/// Beat, length, and the pitches in hertz of each event.
fn pitches(events: &(impl Compose + Clone), beats: f64) -> Vec<(f64, f64, Vec<f32>)> {
    let pitch = |note: &Note| {
        note.settings.iter().find_map(|(key, value)| match (key, value) {
            (ControlKey::Name(name), ControlValue::Float(value)) if name == "frequency" => {
                Some(*value)
            }
            _ => None,
        })
    };
    let list = events.list(1, beats);
    list.iter()
        .map(|(beat, event)| (*beat, event.beats, event.notes.iter().filter_map(pitch).collect()))
        .collect()
}

#[test]
fn a_voice_ends_with_its_shortest_pattern_and_has_rests_and_chords() {
    let tune = voice("organ").note(seq([69.0, REST, 81.0])).beats(seq([1.0, 0.5, 0.5, 2.0]));
    let expected = vec![(0.0, 1.0, vec![440.0]), (1.0, 0.5, vec![]), (1.5, 0.5, vec![880.0])];
    assert_eq!(pitches(&tune, 9.0), expected);
    let chords = voice("organ").note(seq([[69, 81], [57, 69]])).amplitude(steps("x."));
    let expected = vec![(0.0, 1.0, vec![440.0, 880.0]), (1.0, 1.0, vec![])];
    assert_eq!(pitches(&chords, 9.0), expected);
    let degrees = voice("organ").degree(seq([5, -2]), Scale::MAJOR, 60.0);
    assert_eq!(pitches(&degrees, 9.0)[0].2, [440.0]);
    let synthdef = bell();
    let settings = &voice(&synthdef).note(69).list(1, 1.0)[0].1.notes[0].settings;
    assert_eq!(settings[..], [("freq".into(), ControlValue::Float(440.0))]);
}

#[test]
fn events_are_joined_cut_delayed_and_nested() {
    let a = voice("a").frequency(seq([1, 2]));
    let b = voice("b").frequency(seq([3, 4, 5])).beats(0.5);
    let nested = parallel([a.clone().then(&b), b.clone().after(1.0)]).for_beats(3.25);
    let beats: Vec<(f64, Vec<f32>)> = pitches(&nested, 9.0)
        .into_iter()
        .filter(|(_, _, notes)| !notes.is_empty())
        .map(|(beat, _, notes)| (beat, notes))
        .collect();
    let expected: [(f64, &[f32]); 7] = [
        (0.0, &[1.0]),
        (1.0, &[2.0]),
        (1.0, &[3.0]),
        (1.5, &[4.0]),
        (2.0, &[3.0]),
        (2.0, &[5.0]),
        (2.5, &[4.0]),
    ];
    assert_eq!(
        beats[..7].iter().map(|(beat, notes)| (*beat, &notes[..])).collect::<Vec<_>>(),
        expected
    );
    let list = nested.list(1, 9.0);
    assert_eq!(list.iter().map(|(_, event)| event.beats).sum::<f64>(), 3.25);
    let last = list.iter().rev().find(|(_, event)| !event.notes.is_empty()).unwrap();
    assert_eq!((last.0, last.1.notes[0].sustain), (3.0, 0.25));
    assert_eq!(a.clone().repeat(3).list(1, 99.0).len(), 6);
    assert_eq!(a.clone().forever().take(5).list(1, 99.0).len(), 5);
    assert_eq!(a.clone().beats(0.0).forever().list(1, 99.0).len(), 2, "takes no time");
    let thin = a.forever().thin(0.5).list(3, 400.0);
    let sounding = thin.iter().filter(|(_, event)| !event.notes.is_empty()).count();
    assert!((140..260).contains(&sounding), "{sounding}");
}

#[test]
fn random_choices_are_made_anew_by_each_repetition_and_depend_on_the_seed() {
    let walk = voice("a").frequency(choose([1.0, 2.0, 3.0, 4.0])).take(8).repeat(2);
    let once = pitches(&walk, 99.0);
    assert_eq!(once, pitches(&walk, 99.0));
    let notes: Vec<f32> = once.iter().map(|(_, _, notes)| notes[0]).collect();
    assert_ne!(notes[..8], notes[8..]);
    let other: Vec<f32> = (walk.list(2, 99.0).iter())
        .filter_map(|(_, event)| match event.notes[0].settings[0].1 {
            ControlValue::Float(value) => Some(value),
            _ => None,
        })
        .collect();
    assert_ne!(notes, other);
}

#[test]
fn a_clock_plays_into_a_score_with_gates_and_tempo() {
    let organ = organ();
    let found = played(
        120.0,
        |clock| clock.run_until(10.0),
        |clock| {
            clock.set_tempo_at(1.0, 60.0)?;
            clock.play(voice(&organ).frequency(seq([100, 200])).legato(1.0)).map(drop)
        },
    );
    // Gates close before the next note of the same beat begins.
    let expected = [
        "0.000 /s_new organ 1000 0 0 frequency 100.00",
        "0.500 /n_set 1000 gate 0.00",
        "0.500 /s_new organ 1001 0 0 frequency 200.00",
        "1.500 /n_set 1001 gate 0.00",
    ];
    assert_eq!(found, expected);
    let bell = bell();
    let found = played(
        60.0,
        |clock| clock.run_until(10.0),
        |clock| clock.play(voice(&bell).frequency(seq([100]))).map(drop),
    );
    assert_eq!(found, ["0.000 /s_new bell 1000 0 0 freq 100.00"], "no gate to close");
}

/// A piece with everything: nested events, random choices, functions, changes of tempo and metre.
fn piece(clock: &TempoClock) -> Result<()> {
    let (organ, bell) = (organ(), bell());
    clock.set_seed(99);
    clock.set_metre(8.0, Metre { count: 3, unit: 4 })?;
    clock.ramp_tempo(4.0, 4.0, 140.0)?;
    let melody = voice(&organ).note(whole_walk(60..=72, 4)).beats(choose([0.25, 1.0 / 3.0, 0.5]));
    let drums =
        voice(&bell).set("freq", steps("x.x. xx..") * uniform(50.0, 60.0)).beats(0.5).forever();
    clock.play(melody.with(drums).for_beats(16.0))?;
    let echo = voice(&bell).note(choose([90, 95])).beats(0.5).take(2);
    clock.every(2.0, move |tick| {
        let (bar, beat) = tick.bar();
        let pitch = 200.0 + 10.0 * bar as f64 + beat + tick.random().uniform(0.0, 0.5);
        let synth = tick.add_synth("organ", Placement::default(), [("frequency", pitch)])?;
        tick.release_after(&synth, 0.75)?;
        tick.play(&echo)
    })?;
    Ok(())
}

#[test]
fn a_virtual_clock_plays_the_same_as_a_score_whatever_its_steps() {
    let at_once = played(100.0, |clock| clock.run_until(9.0), piece);
    assert!(at_once.len() > 80, "{}", at_once.len());
    for steps in [vec![0.01_f64], vec![0.7, 0.001, 0.25], vec![3.0]] {
        let stepped = played(
            100.0,
            |clock| {
                for step in steps.iter().cycle() {
                    let left = 9.0 - clock.seconds();
                    if left <= 0.0 {
                        return Ok(());
                    }
                    clock.advance(f64::min(*step, left))?;
                }
                Ok(())
            },
            piece,
        );
        assert_eq!(stepped, at_once);
    }
}

#[test]
fn a_player_that_is_stopped_closes_its_gates_and_those_of_its_children() {
    let organ = organ();
    let score = Nonrealtime::new(Options::default()).unwrap();
    let clock = TempoClock::new(&score, 60.0).unwrap();
    let long = voice(&organ).frequency(seq([100]).forever()).sustain(100.0);
    let parent = clock
        .call_at(0.0, {
            let long = long.clone();
            move |tick| tick.play(&long).map(|()| Some(1.0))
        })
        .unwrap();
    let other = clock.play(long.take(1)).unwrap();
    clock.run_until(1.5).unwrap();
    assert!(parent.is_playing() && other.is_playing());
    parent.stop();
    clock.run_until(5.0).unwrap();
    assert!(!parent.is_playing() && other.is_playing());
    let found = lines(&score);
    let starts = found.iter().filter(|line| line.contains("/s_new")).count();
    let ends: Vec<&String> = found.iter().filter(|line| line.contains("gate 0.00")).collect();
    assert_eq!((starts, ends.len()), (4, 3), "{found:?}");
    assert!(ends.iter().all(|line| line.starts_with("1.500 ")), "{ends:?}");
    clock.stop().unwrap();
    clock.run_until(6.0).unwrap();
    assert!(lines(&score).last().unwrap().starts_with("5.000 /n_set"));
}

#[test]
fn errors_of_functions_end_them_and_are_returned() {
    let score = Nonrealtime::new(Options::default()).unwrap();
    let clock = TempoClock::new(&score, 60.0).unwrap();
    let player = clock
        .every(1.0, |tick| {
            if tick.beat() < 2.0 {
                Ok(())
            } else {
                Err(Error::new(ErrorKind::InvalidArgument, "enough"))
            }
        })
        .unwrap();
    clock.run_until(1.5).unwrap();
    assert_eq!(clock.run_until(5.0).unwrap_err().to_string(), "enough");
    assert!(!player.is_playing());
    clock.run_until(6.0).unwrap();
    assert!(clock.every(0.0, |_| Ok(())).is_err());
    assert!(clock.play_at(-1.0, voice("x")).is_err());
    assert_eq!(clock.wait().unwrap_err().kind(), ErrorKind::InvalidMoment);
}

#[test]
fn events_without_a_duration_end_with_an_error_instead_of_hanging() {
    let score = Nonrealtime::new(Options::default()).unwrap();
    let clock = TempoClock::new(&score, 60.0).unwrap();
    clock.play(automation(1).set("x", 1).beats(0)).unwrap();
    let error = clock.run_until(1.0).unwrap_err().to_string();
    assert!(error.contains("events at beat 0"), "{error}");
    clock.play(automation(1).set("x", 1).beats(-1)).unwrap();
    let error = clock.run_until(2.0).unwrap_err().to_string();
    assert_eq!(error, "invalid number of beats -1: expected 0 or more");
}
