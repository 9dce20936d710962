//! Reloads: which messages they send, and what they keep.

use super::tests::{configured, player, sent, server_info};
use super::*;

/// Options, targets and sources of an instance.
type Setup<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a [&'a str]);

/// A player on a server that has received its state.
fn running((options, targets, sources): Setup<'_>) -> Player {
    let mut player = player(options, targets, sources);
    let server = server_info(&player);
    player.on_server_ready(server);
    sent(&mut player);
    player
}

/// Reloads; returns what is sent.
fn reload(player: &mut Player, (options, targets, sources): Setup<'_>) -> Vec<String> {
    let (config, channels) = configured(options, targets, sources);
    assert_eq!(player.obstacle(&config, &channels), None);
    player.adopt(config, channels);
    sent(player)
}

/// Why a reload needs another server.
fn obstacle(player: &Player, (options, targets, sources): Setup<'_>) -> String {
    let (config, channels) = configured(options, targets, sources);
    player.obstacle(&config, &channels).expect("an obstacle")
}

#[test]
fn an_unchanged_configuration_sends_nothing() {
    let options = [
        ("voice.pad", "pad"),
        ("control.pad.cutoff", "200 8000 exponential start 1200"),
        ("control.pad.out", "bus wet"),
        ("synth.room", "reverb"),
        ("control.room.mix", "map amount"),
        ("bus.wet", "audio 2"),
        ("bus.amount", "0 2 start 0.5"),
    ];
    let targets = ["pad.note60", "pad.cutoff", "pad.bend", "room.room", "level", "bus.7"];
    let setup: Setup<'_> = (&options, &targets, &["pad.note60"]);
    let mut player = running(setup);
    for (channel, value) in [(0, 1.0), (1, 0.5), (2, 0.75), (3, 0.25), (4, 0.5), (5, 0.5)] {
        player.deliver(channel, value);
    }
    sent(&mut player);
    let before = player.values.clone();
    assert_eq!(reload(&mut player, setup), [""; 0]);
    assert_eq!(player.values, before);
    // Another order of the lines and of the channels changes nothing either.
    let mut reversed = options;
    reversed.reverse();
    let targets = ["bus.7", "level", "room.room", "pad.bend", "pad.cutoff", "pad.note60"];
    assert_eq!(reload(&mut player, (&reversed, &targets, &["pad.note60"])), [""; 0]);
    player.on_node_started(1_000_001);
    player.deliver(5, 0.0);
    assert_eq!(sent(&mut player), ["/n_set 1000001 gate 0.00"]);
    assert_eq!(player.emits.last(), Some(&(5, 1.0)), "the new number of the channel");
}

#[test]
fn controls_keep_their_values_in_changed_ranges() {
    let targets = ["pad.note60", "pad.cutoff", "pad.bend", "pad.amplitude", "room.mix", "bus.a"];
    let mut player = running((
        &[
            ("voice.pad", "pad"),
            ("control.pad.cutoff", "0 1000"),
            ("control.pad.release", "0 1 start 0.5"),
            ("synth.room", "reverb"),
            ("bus.a", "0 1"),
        ],
        &targets,
        &[],
    ));
    for (channel, value) in [(0, 0.5), (1, 0.5), (2, 1.0), (3, 0.5), (4, 0.25), (5, 0.5)] {
        player.deliver(channel, value);
    }
    sent(&mut player);
    let changed = [
        ("voice.pad", "pad"),
        ("voice.pad.bend", "12"),
        ("control.pad.cutoff", "0 4000"),
        ("control.pad.release", "0 1 start 0.75"),
        ("control.pad.amplitude", "0 2"),
        ("control.pad.attack", "0.125"),
        ("synth.room", "reverb"),
        ("control.room.mix", "0.5 1"),
        ("bus.a", "0 10"),
        ("level", "-20"),
    ];
    assert_eq!(
        reload(&mut player, (&changed, &targets, &[])),
        [
            "/c_set 10 5.00",
            "/n_set 900002 attack 0.12",
            "/n_set 900002 cutoff 2000.00",
            "/n_set 900002 release 0.75",
            "/n_set 1000001 amplitude 0.25",
            "/n_set 1000001 frequency 523.25",
            "/n_set 900003 mix 0.62",
            "/n_set 900004 level 0.10",
        ]
    );
    // The next note starts with them.
    player.deliver(0, 0.0);
    player.deliver(0, 1.0);
    let start = sent(&mut player).pop().expect("a note");
    assert_eq!(
        start,
        "/s_new pad 1000002 1 900002 frequency 523.25 amplitude 1.00 attack 0.12 \
         cutoff 2000.00 release 0.75"
    );
}

#[test]
fn a_control_without_a_mapping_keeps_its_number_and_a_setting_overrides_it() {
    let voice = [("voice.pad", "pad"), ("bus.a", "0 1")];
    let mut player = running((&voice, &["pad.cutoff", "pad.pressure", "pad.note60"], &[]));
    player.deliver(0, 1.0);
    player.deliver(1, 1.0);
    sent(&mut player);
    assert_eq!(reload(&mut player, (&voice, &["pad.note60"], &[])), [""; 0]);
    player.deliver(0, 1.0);
    let start = sent(&mut player).pop().expect("a note");
    assert!(start.ends_with("cutoff 15000.00 pressure 1.00"), "{start}");
    let set = [
        ("voice.pad", "pad"),
        ("bus.a", "0 1"),
        ("control.pad.cutoff", "900"),
        ("control.pad.pressure", "map a"),
    ];
    assert_eq!(
        reload(&mut player, (&set, &["pad.note60"], &[])),
        ["/n_set 900002 cutoff 900.00", "/n_map 900002 pressure 10"]
    );
    // Without settings, the defaults of the SynthDef apply again.
    assert_eq!(
        reload(&mut player, (&voice, &["pad.note60"], &[])),
        ["/n_set 900002 cutoff 1200.00", "/n_set 900002 pressure 0.00"]
    );
}

#[test]
fn what_is_held_on_channels_that_go_is_released() {
    let voice = [("voice.pad", "pad"), ("voice.kick", "kick"), ("voice.raw", "reverb")];
    let voice = [&voice[..], &[("voice.raw.end", "cut")]].concat();
    let targets = [
        "pad.note60",
        "pad.note61",
        "pad.note62",
        "pad.bend",
        "raw.note60",
        "pad.sustain",
        "kick.note36",
    ];
    let sources = ["pad.note60", "raw.note60", "raw.voices"];
    let mut player = running((&voice, &targets, &sources));
    for (channel, value) in [(0, 1.0), (1, 1.0), (3, 1.0), (4, 1.0), (6, 1.0)] {
        player.deliver(channel, value);
    }
    for node in 1_000_001..=1_000_004 {
        player.on_node_started(node);
    }
    // One note is sustained by the pedal, and one has not started yet.
    player.deliver(5, 1.0);
    player.deliver(1, 0.0);
    player.deliver(2, 1.0);
    sent(&mut player);
    player.emits.clear();
    // `pad.note60` stays as a source, so that its end is reported with its new number.
    let sources = ["raw.voices", "raw.note60", "pad.note60"];
    let lines = reload(&mut player, (&voice, &["kick.note36"], &sources));
    assert_eq!(
        lines,
        [
            "/n_set 1000001 gate 0.00",
            "/n_set 1000002 gate 0.00",
            "/n_free 1000003",
            "/n_set 1000001 frequency 261.63",
            "/n_set 1000002 frequency 277.18",
            "/n_set 1000005 frequency 293.66",
        ]
    );
    assert_eq!(player.emits, [(2, 0.0), (1, 0.0)]);
    player.on_node_started(1_000_005);
    assert_eq!(sent(&mut player), ["/n_set 1000005 gate 0.00"], "as soon as it has started");
    player.on_node_ended(1_000_001);
    assert_eq!(player.emits.last(), Some(&(3, 0.0)));
}

#[test]
fn voices_and_synths_come_and_go_in_order() {
    let first = [("voice.pad", "pad"), ("voice.kick", "kick"), ("synth.room", "reverb")];
    let targets = ["pad.note60", "kick.note36"];
    let mut player = running((&first, &targets, &["room.run"]));
    let starts = |player: &mut Player, nodes: std::ops::RangeInclusive<i32>| {
        nodes.for_each(|node| player.on_node_started(node));
    };
    starts(&mut player, 900_000..=900_005);
    player.deliver(0, 1.0);
    player.on_node_started(1_000_001);
    sent(&mut player);
    let second = [
        ("voice.low", "server:pad"),
        ("voice.kick", "kick"),
        ("voice.kick.group", "effects"),
        ("synth.second", "reverb"),
        ("control.second.mix", "0.5"),
        ("synth.room", "reverb"),
    ];
    let targets = ["kick.note36", "low.note60"];
    assert_eq!(
        reload(&mut player, (&second, &targets, &["room.run"])),
        [
            "/n_set 1000001 gate 0.00",
            "/g_new 900006 1 900000",
            "/s_new reverb 900007 1 900001 mix 0.50",
            "/g_head 900000 900006",
            "/g_head 900001 900003",
            "/n_after 900007 900003",
            "/n_after 900004 900007",
        ]
    );
    starts(&mut player, 900_006..=900_007);
    // The group of the removed voice is not part of the scaffold any more.
    player.on_node_ended(900_002);
    assert!(!player.needs_rebuild());
    player.deliver(1, 1.0);
    let start = sent(&mut player).pop().expect("a note");
    assert_eq!(start, "/s_new pad 1000002 1 900006 frequency 261.63 amplitude 0.10");
    // Another SynthDef: the synth is replaced in its place; the voice uses it from now on.
    let third = [
        ("voice.low", "kick"),
        ("voice.kick", "kick"),
        ("voice.kick.group", "effects"),
        ("synth.second", "server:echo"),
    ];
    assert_eq!(
        reload(&mut player, (&third, &targets, &["second.run"])),
        [
            "/n_free 900004",
            "/s_new echo 900008 4 900007",
            "/g_head 900001 900003",
            "/n_after 900008 900003",
        ]
    );
    player.emits.clear();
    player.on_node_ended(900_007);
    player.on_node_started(900_008);
    assert_eq!(player.emits, [(2, 1.0)]);
    player.on_node_started(1_000_002);
    player.deliver(1, 0.0);
    assert_eq!(sent(&mut player), ["/n_set 1000002 gate 0.00"], "it ends as it started");
    player.deliver(1, 1.0);
    assert!(sent(&mut player)[0].starts_with("/s_new kick 1000003 1 900006"));
    // A panic reaches the notes of removed voices, too.
    player.silence_all();
    assert_eq!(sent(&mut player), ["/g_freeAll 900006", "/g_freeAll 900003", "/n_free 900002"]);
    // The next server gets everything, with numbers from the start.
    player.on_server_lost();
    let server = server_info(&player);
    player.on_server_ready(server);
    let lines = sent(&mut player);
    assert!(lines.contains(&"/s_new echo 900004 1 900001".to_owned()), "{lines:?}");
}

#[test]
fn buses_and_buffers_keep_their_numbers() {
    let first = [
        ("bus.a", "0 1 start 0.25"),
        ("bus.b", "0 1"),
        ("buffer.x", "empty 10 1"),
        ("buffer.y", "empty 20 1"),
        ("voice.tone", "sample"),
        ("control.tone.buffer", "buffer x"),
    ];
    let mut player = running((&first, &["bus.b", "tone.note60"], &[]));
    let second = [
        ("bus.b", "0 1"),
        ("buffer.y", "empty 20 1"),
        ("voice.tone", "sample"),
        ("control.tone.buffer", "buffer y"),
        ("control.tone.rate", "map b"),
    ];
    assert_eq!(
        reload(&mut player, (&second, &["bus.b", "tone.note60"], &[])),
        ["/n_set 900002 buffer 4.00", "/n_map 900002 rate 11"]
    );
    player.deliver(0, 1.0);
    player.deliver(1, 1.0);
    assert_eq!(
        sent(&mut player),
        ["/c_set 11 1.00", "/s_new sample 1000001 1 900002 amplitude 0.80 buffer 4.00 rate c11",]
    );
    // What the first configuration had is still there.
    assert_eq!(
        reload(&mut player, (&first, &["bus.b", "tone.note60"], &[])),
        ["/c_set 10 0.25", "/n_set 900002 buffer 3.00", "/n_set 900002 rate 1.00"]
    );
}

#[test]
fn what_needs_another_server_is_refused() {
    let options = [("voice.pad", "pad"), ("bus.a", "0 1"), ("buffer.x", "empty 10 1")];
    let player = running((&options, &["pad.note60"], &[]));
    let pad = ("voice.pad", "pad");
    for (options, targets, expected) in [
        (&[pad, ("voice.bell", "bell")][..], &[][..], "the SynthDef `bell` is not on the server"),
        (&[pad, ("bus.b", "0 1")], &[], "the bus `b` is not on the server"),
        (&[pad, ("bus.a", "audio 2")], &[], "the bus `a` is not on the server"),
        (&[pad, ("buffer.x", "empty 11 1")], &[], "the buffer `x` is not on the server"),
        (&[pad, ("groups", "one voices")], &[], "options of the server"),
        (&[pad, ("outputs", "4")], &[], "options of the server"),
        // Bus 10 is `a`, the meters are 20 and 21.
        (&[pad], &["bus.10"], "uses the control bus 10"),
        (&[pad, ("bus.21", "0 1")], &[], "uses the control bus 21"),
    ] {
        let reason = obstacle(&player, (options, targets, &[]));
        assert!(reason.contains(expected), "{reason}");
    }
    let mut player = player;
    let free: Setup<'_> = (&[pad, ("bus.22", "0 1")], &["bus.22", "bus.19"], &[]);
    assert_eq!(reload(&mut player, free), [""; 0]);
    player.deliver(0, 1.0);
    assert_eq!(sent(&mut player), ["/c_set 22 1.00"]);
}

#[test]
fn a_reload_without_a_server_is_part_of_the_next_one() {
    let options = [("voice.pad", "pad")];
    let mut player = player(&options, &["pad.note60", "pad.note61", "pad.cutoff"], &[]);
    for channel in 0..3 {
        player.deliver(channel, 1.0);
    }
    let changed = [("voice.pad", "pad"), ("control.pad.cutoff", "0 100")];
    assert_eq!(reload(&mut player, (&changed, &["pad.cutoff", "pad.note61"], &[])), [""; 0]);
    let server = server_info(&player);
    assert_eq!(player.on_server_ready(server), 1, "the note without a channel is not restored");
    let start = sent(&mut player).pop().expect("a note");
    assert!(start.contains("frequency 277.18") && start.ends_with("cutoff 100.00"), "{start}");
}
