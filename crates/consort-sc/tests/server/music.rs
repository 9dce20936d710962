//! Music in real time, compared with the same music in a score.

use std::collections::HashMap;

use consort_osc::{OscMessage, OscPacket, OscValue};
use consort_sc::music::*;
use consort_sc::requests::Waveform;
use consort_sc::score::Nonrealtime;
use consort_sc::synthdef::prelude::*;
use consort_sc::{Audition, BufferContent, Direction, Options, Placement, Server, settings};

use crate::rig::{booted, eventually};

pub(crate) const CASES: &[crate::Case] = &[
    (
        "music::a_piece_is_the_same_in_real_time_and_in_a_score",
        a_piece_is_the_same_in_real_time_and_in_a_score,
    ),
    ("music::players_stop_cleanly", players_stop_cleanly),
    ("music::synthdefs_scores_and_buffers_are_played", synthdefs_scores_and_buffers_are_played),
];

/// A quiet instrument with a gate.
fn organ() -> SynthDef {
    SynthDef::build("music_organ", |controls| {
        let frequency = controls.control("frequency", 440.0);
        let swell = EnvGen::kr(Envelope::asr(0.01, 1.0, 0.05))
            .gate(controls.control("gate", 1.0))
            .done_action(DoneAction::FreeSynth);
        Out::ar(0, SinOsc::ar(frequency) * swell * controls.control("amplitude", 0.01));
    })
    .expect("a valid SynthDef")
}

/// Nested events with random choices, a function, and changes of tempo.
fn piece(clock: &TempoClock) -> consort_sc::Result<()> {
    let organ = organ();
    clock.set_seed(5);
    clock.ramp_tempo(2.0, 2.0, 600.0)?;
    let melody = voice(&organ).note(whole_walk(60..=72, 4)).beats(choose([0.25, 1.0 / 3.0, 0.5]));
    let chords = voice(&organ).note(seq([[48, 55], [50, 57]]).forever()).beats(2.0);
    clock.play(melody.with(chords).for_beats(8.0).then(voice(&organ).note(seq([60]))))?;
    let mut count = 0;
    clock.call_at(1.0, move |tick| {
        let pitch = tick.random().uniform(100.0, 200.0);
        let synth = tick.add_synth("music_organ", Placement::default(), [("frequency", pitch)])?;
        tick.release_after(&synth, 0.5)?;
        count += 1;
        Ok((count < 4).then_some(1.0))
    })?;
    Ok(())
}

/// A message with its time in seconds after the first one. The ids of nodes are replaced by their order,
/// and targets are left out, because a score has other ids than a server.
type Played = (f64, String);

fn played(messages: Vec<(f64, OscMessage)>) -> Vec<Played> {
    let start = messages.first().map_or(0.0, |(seconds, _)| *seconds);
    let mut names = HashMap::new();
    messages
        .into_iter()
        .map(|(seconds, message)| {
            let position = if message.address == "/s_new" { 1 } else { 0 };
            let OscValue::Int(id) = message.arguments[position] else { panic!("no id: {message}") };
            let next = names.len();
            let name = *names.entry(id).or_insert(next);
            let others: Vec<String> = (message.arguments.iter().enumerate())
                .filter(|(index, _)| {
                    *index != position && (message.address != "/s_new" || *index != 3)
                })
                .map(|(_, argument)| format!("{argument:?}"))
                .collect();
            (seconds - start, format!("{} node {name} {}", message.address, others.join(" ")))
        })
        .collect()
}

/// The messages of a packet about synths, with the time of their bundle.
fn flatten(packet: OscPacket, seconds: f64, messages: &mut Vec<(f64, OscMessage)>) {
    match packet {
        OscPacket::Message(message) => {
            if ["/s_new", "/n_set"].contains(&message.address.as_str()) {
                messages.push((seconds, message));
            }
        }
        OscPacket::Bundle(bundle) => {
            let seconds = bundle.time.raw() as f64 / 4_294_967_296.0;
            bundle.elements.into_iter().for_each(|element| flatten(element, seconds, messages));
        }
    }
}

fn a_piece_is_the_same_in_real_time_and_in_a_score() {
    let score = Nonrealtime::new(Options::default()).expect("valid options");
    let clock = TempoClock::new(&score, 300.0).expect("a valid tempo");
    piece(&clock).expect("a piece");
    clock.run_until(30.0).expect("a score");
    let mut messages = Vec::new();
    for entry in score.score().entries() {
        for packet in entry.packets {
            flatten(packet, entry.seconds, &mut messages);
        }
    }
    let in_score = played(messages);
    assert!(in_score.len() > 60, "{}", in_score.len());

    let server: Server = booted();
    let clock = TempoClock::new(&server, 300.0).expect("a valid tempo");
    piece(&clock).expect("a piece");
    let capture = server.capture();
    clock.start(&server).expect("the clock starts");
    assert!(clock.start(&server).is_err(), "a clock is started once");
    assert!(clock.run_until(1.0).is_err(), "a clock in real time cannot be run by hand");
    clock.wait().expect("the piece ends");
    let mut messages = Vec::new();
    for packet in capture.take() {
        if packet.direction == Direction::Sent {
            flatten(packet.decode().expect("valid OSC"), 0.0, &mut messages);
        }
    }
    let in_real_time = played(messages);
    assert_eq!(in_real_time.len(), in_score.len());
    // The clock follows the sample rate that the server reports, which a busy computer with a simulated
    // sound card keeps only roughly.
    for ((seconds, text), (expected, expected_text)) in in_real_time.iter().zip(&in_score) {
        assert_eq!(text, expected_text);
        assert!(
            (seconds - expected).abs() < 0.05 + 0.25 * expected,
            "{text}: {seconds} {expected}"
        );
    }
    // All gates are closed, so that no synth remains.
    eventually("all synths have ended", || server.default_group().children().is_empty());
    server.quit().expect("the server quits");
}

fn players_stop_cleanly() {
    let server: Server = booted();
    let clock = TempoClock::new(&server, 120.0).expect("a valid tempo");
    let organ = organ();
    let endless = voice(&organ).note(choose([60, 64])).beats(0.25).sustain(1_000.0).forever();
    let player = clock.play(&endless).expect("a player");
    let other = clock.play(parallel([endless.clone(), endless]).for_beats(1e9)).expect("a player");
    clock.start(&server).expect("the clock starts");
    let count = || server.default_group().children().len();
    eventually("notes sound", || count() >= 6);
    player.stop();
    eventually("the player ends", || !player.is_playing());
    assert!(other.is_playing());
    clock.stop().expect("the clock stops");
    assert!(!other.is_playing());
    eventually("all synths have ended", || count() == 0);
    assert!(clock.start(&server).is_err(), "a clock that was stopped is not started again");
    server.quit().expect("the server quits");
}

fn synthdefs_scores_and_buffers_are_played() {
    let server: Server = booted();
    let count = || server.default_group().children().len();
    // The SynthDef is loaded and played in one call, without waiting in between.
    let synth = server.play(&organ(), Placement::default(), settings! { frequency: 220 });
    let synth = synth.expect("a synth");
    eventually("the synth sounds", || synth.is_allocated());
    let tree = server.root_node().query_tree(true).expect("a tree");
    assert!(tree.diagram().graphviz().contains("music_organ"), "{tree}");
    synth.free(false).expect("it is released");
    eventually("the synth ends", || count() == 0);

    let buffer = server.add_buffer(BufferContent::empty(1, 1_000)).expect("a buffer");
    let waveform = Waveform::Sine1 { amplitudes: vec![1.0] };
    buffer.generate(waveform, true, false, true).expect("a sine");
    server.sync().expect("the server has it");
    let sound = buffer.sound().expect("its content");
    assert_eq!((sound.channels.len(), sound.frames()), (1, 1_000));
    assert!((sound.peak() - 1.0).abs() < 0.01 && (sound.level() - 0.707).abs() < 0.01);
    assert!(buffer.plot().expect("a picture").contains("peak 1.0"));
    let player = buffer.play(1).expect("a synth");
    assert!(player.synthdef().is_some_and(|info| info.has_control("buffer")));
    // The buffer is so short that the player may have ended before it is seen.
    server.sync().expect("the server has played it");
    eventually("the player ends", || count() == 0);

    let (score, _) = organ().to_score(0.2).expect("a score");
    let capture = server.capture();
    score.play(&server).expect("it is played");
    let sent: Vec<String> = capture.take().iter().map(ToString::to_string).collect();
    assert!(sent.iter().any(|packet| packet.contains("/s_new")), "{sent:?}");
    eventually("the synth ends", || {
        !server.root_node().children().iter().any(|node| node.id() == 1000)
    });
    server.quit().expect("the server quits");
}
