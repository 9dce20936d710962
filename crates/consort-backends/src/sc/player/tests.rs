use consort_osc::{OscMessage, OscValue, Packet};
use consort_router::{Options, Problems, Usage};

use super::super::DESCRIPTOR;
use super::super::reader::read_config;
use super::*;

/// The player of an instance with these options and channels.
pub(super) fn player(options: &[(&str, &str)], targets: &[&str], sources: &[&str]) -> Player {
    let (config, channels) = configured(options, targets, sources);
    Player::new(config, channels)
}

/// An instance with these options and channels.
pub(super) fn configured(
    options: &[(&str, &str)],
    targets: &[&str],
    sources: &[&str],
) -> (Config, Channels) {
    let options = Options::from_pairs(DESCRIPTOR.instance_options, options);
    let mut problems = Problems::new();
    let config = read_config(&options, &mut problems);
    let config = config.unwrap_or_else(|| panic!("{:?}", problems.into_vec()));
    let mut channels = Channels::new(&config);
    for (names, usage) in [(targets, Usage::Target), (sources, Usage::Source)] {
        for name in names {
            channels
                .channel(name, usage, &config)
                .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
    }
    (config, channels)
}

/// The server of the tests.
pub(super) fn server_info(player: &Player) -> ServerInfo {
    ServerInfo {
        buses: (10..10 + player.config.buses.len() as u32).collect(),
        buffers: (3..3 + player.config.buffers.len() as u32).collect(),
        meter: 20,
        is_owned: true,
        ..ServerInfo::default()
    }
}

/// A message as text.
fn line(message: &OscMessage) -> String {
    let mut line = message.address.clone();
    for argument in &message.arguments {
        line.push(' ');
        match argument {
            OscValue::Float(number) => line.push_str(&format!("{number:.2}")),
            other => match (other.as_i32(), other.as_str()) {
                (Some(number), _) => line.push_str(&number.to_string()),
                (_, Some(text)) => line.push_str(text),
                _ => panic!("{other:?}"),
            },
        }
    }
    line
}

/// The gathered messages, one line each.
pub(super) fn sent(player: &mut Player) -> Vec<String> {
    let mut lines = Vec::new();
    player.packets.send(None, |packet| {
        let packet = Packet::decode(packet).expect("OSC");
        lines.extend(packet.messages().map(|message| line(&OscMessage::from(message))));
    });
    lines
}

#[test]
fn a_new_server_receives_the_whole_state_in_order() {
    let options = [
        ("voice.pad", "pad"),
        ("voice.pad.group", "voices"),
        ("control.pad.out", "bus wet"),
        ("control.pad.cutoff", "200 8000 exponential start 1200"),
        ("synth.room", "reverb"),
        ("control.room.in", "bus wet"),
        ("control.room.mix", "map amount"),
        ("control.room.damping", "0.5"),
        ("bus.wet", "audio 2"),
        ("bus.amount", "0 2 start 0.5"),
        ("level", "-6"),
    ];
    let mut player = player(&options, &["room.room", "room.run", "level", "bus.7"], &[]);
    player.deliver(0, 0.25);
    player.deliver(1, 0.0);
    player.deliver(3, 0.75);
    let server = server_info(&player);
    player.on_server_ready(server);
    assert_eq!(
        sent(&mut player),
        [
            "/g_new 900000 1 1 900001 1 1",
            "/c_set 11 0.50",
            "/c_set 7 0.75",
            "/g_new 900002 1 900000",
            "/s_new reverb 900003 1 900001 in 10.00 mix c11 damping 0.50 room 0.25",
            "/n_run 900003 0",
            "/s_new consort:master:2 900004 1 1 level 0.50 meter 20.00",
        ]
    );
    // On a server that the show has not started, an earlier show may have left nodes.
    let server = ServerInfo { is_owned: false, client: 2, ..server_info(&player) };
    player.on_server_ready(server);
    let first = (2 << 26) | 900_000;
    let lines = sent(&mut player);
    assert_eq!(lines[0], format!("/n_free {first}"));
    assert_eq!(lines[3], format!("/g_new {first} 1 3 {} 1 3", first + 1));
}

#[test]
fn a_note_is_one_message_with_all_controls() {
    let options = [
        ("voice.pad", "pad"),
        ("voice.pad.bend", "12"),
        ("control.pad.cutoff", "200 8000 exponential start 1200"),
        ("control.pad.amplitude", "0.5"),
        ("control.pad.out", "bus wet"),
        ("bus.wet", "audio"),
    ];
    let targets =
        ["pad.note69", "pad.bend", "pad.cutoff", "pad.pressure", "pad.pressure69", "pad.panic"];
    let mut player = player(&options, &targets, &["pad.voices", "pad.note69"]);
    let server = server_info(&player);
    player.on_server_ready(server);
    sent(&mut player);
    player.deliver(0, 0.5);
    let start = sent(&mut player);
    player.on_node_started(1_000_001);
    assert_eq!(
        start,
        ["/s_new pad 1000001 1 900002 frequency 440.00 amplitude 0.12 out 10.00 cutoff 1200.00"]
    );
    player.deliver(1, 1.0);
    player.deliver(2, 1.0);
    player.deliver(3, 0.5);
    player.deliver(4, 0.75);
    assert_eq!(
        sent(&mut player),
        [
            "/n_set 1000001 frequency 880.00",
            "/n_set 900002 cutoff 8000.00",
            "/n_set 900002 pressure 0.50",
            "/n_set 1000001 pressure 0.75",
        ]
    );
    // The next note starts with the current bend, pressure and cutoff.
    player.deliver(0, 1.0);
    assert_eq!(
        sent(&mut player),
        [
            "/n_set 1000001 gate 0.00",
            "/s_new pad 1000002 1 900002 frequency 880.00 amplitude 0.50 out 10.00 \
             cutoff 8000.00 pressure 0.50",
        ]
    );
    player.on_node_started(1_000_002);
    player.on_node_ended(1_000_001);
    player.deliver(0, 0.0);
    player.on_node_ended(1_000_002);
    assert_eq!(sent(&mut player), ["/n_set 1000002 gate 0.00"]);
    let share = 1.0 / 16.0;
    let voices = |count: f64| (6, count * share);
    assert_eq!(
        player.emits,
        [voices(1.0), (0, 0.5), voices(2.0), (0, 1.0), voices(1.0), (0, 0.0), voices(0.0),]
    );
    player.deliver(0, 1.0);
    player.deliver(5, 1.0);
    assert_eq!(sent(&mut player)[1..], ["/g_freeAll 900002"]);
    player.deliver(0, 0.0);
    assert_eq!(sent(&mut player), [""; 0]);
}

#[test]
fn a_new_amplitude_keeps_the_velocity_of_each_voice() {
    let mut player = player(
        &[("voice.pad", "pad"), ("control.pad.amplitude", "0 1 start 0.5")],
        &["pad.note60", "pad.note61", "pad.amplitude"],
        &[],
    );
    let server = server_info(&player);
    player.on_server_ready(server);
    player.deliver(0, 1.0);
    player.deliver(1, 0.5);
    sent(&mut player);
    player.deliver(2, 0.8);
    assert_eq!(
        sent(&mut player),
        ["/n_set 1000001 amplitude 0.80", "/n_set 1000002 amplitude 0.20"]
    );
}

#[test]
fn drums_keep_their_tuning_and_end_by_themselves() {
    let mut player = player(
        &[("voice.kick", "kick"), ("control.kick.frequency", "55"), ("voice.kick.polyphony", "1")],
        &["kick.note36"],
        &["kick.stolen"],
    );
    let server = server_info(&player);
    player.on_server_ready(server);
    sent(&mut player);
    player.deliver(0, 1.0);
    player.deliver(0, 0.0);
    let start = |node| format!("/s_new kick {node} 1 900002 amplitude 0.80 frequency 55.00");
    assert_eq!(sent(&mut player), [start(1_000_001)]);
    player.deliver(0, 1.0);
    assert_eq!(sent(&mut player), ["/n_free 1000001".to_owned(), start(1_000_002)]);
    assert_eq!(player.emits, [], "a released note does not count as stolen");
    player.deliver(0, 1.0);
    assert_eq!(player.losses(), (0, 0));
}

#[test]
fn a_slide_starts_at_the_last_note() {
    let mut player = player(
        &[("voice.lead", "lead"), ("voice.lead.mode", "legato"), ("voice.lead.glide", "0.2")],
        &["lead.note69", "lead.note57"],
        &[],
    );
    let server = server_info(&player);
    player.on_server_ready(server);
    sent(&mut player);
    for (channel, value) in [(0, 1.0), (1, 1.0), (1, 0.0), (0, 0.0), (1, 1.0)] {
        player.deliver(channel, value);
        player.on_node_started(1_000_001);
    }
    assert_eq!(
        sent(&mut player),
        [
            "/s_new lead 1000001 1 900002 frequency 440.00 glide 0.20 amplitude 0.20",
            "/n_set 1000001 frequency 220.00",
            "/n_set 1000001 frequency 440.00",
            "/n_set 1000001 gate 0.00",
            "/s_new lead 1000002 1 900002 frequency 440.00 glide 0.20 amplitude 0.20",
            "/n_set 1000002 frequency 220.00",
        ]
    );
}

#[test]
fn without_a_server_held_notes_are_kept_and_others_are_dropped() {
    let options = [("voice.pad", "pad"), ("voice.kick", "kick")];
    let targets = ["pad.note60", "pad.note61", "kick.note36", "pad.sustain"];
    let mut player = player(&options, &targets, &["pad.note60", "pad.voices"]);
    assert_eq!(player.deliver(0, 0.5), 0);
    assert_eq!(player.deliver(2, 0.5), 1, "a drum has no held notes");
    assert_eq!(player.deliver(1, 0.5), 0);
    player.deliver(1, 0.0);
    let server = server_info(&player);
    assert_eq!(player.on_server_ready(server), 1, "the fading note is not restored");
    let start = "/s_new pad 1000003 1 900002 frequency 261.63 amplitude 0.04";
    assert_eq!(sent(&mut player).last().map(String::as_str), Some(start));
    player.on_node_started(1_000_003);
    // The server is lost: the note ends in the show, and starts again on the next server.
    player.on_server_lost();
    assert_eq!(player.emits.split_off(1), [(0, 0.5), (0, 0.0), (4, 0.0)]);
    let server = server_info(&player);
    assert_eq!(player.on_server_ready(server), 0);
    assert!(sent(&mut player).last().is_some_and(|line| line.starts_with("/s_new pad 1000005")));
    // Without restoring, nothing is kept.
    let with = [("voice.pad", "pad"), ("restore", "none")];
    let mut player = self::player(&with, &["pad.note60"], &[]);
    assert_eq!(player.deliver(0, 0.5), 1);
    let server = server_info(&player);
    player.on_server_ready(server);
    player.deliver(0, 0.5);
    player.on_server_lost();
    let server = server_info(&player);
    player.on_server_ready(server);
    assert!(!sent(&mut player).iter().any(|line| line.contains("s_new pad")));
}

#[test]
fn the_master_is_muted_and_unmuted() {
    let mut player = player(&[("bus.a", "0 1")], &["level", "mute", "bus.a"], &[]);
    let server = server_info(&player);
    player.on_server_ready(server);
    sent(&mut player);
    for (channel, value) in [(0, 0.5), (1, 1.0), (0, 1.0), (1, 0.0), (2, 0.25)] {
        player.deliver(channel, value);
    }
    let level = |level: &str| format!("/n_set 900002 level {level}");
    assert_eq!(
        sent(&mut player),
        [level("0.25"), level("0.00"), level("0.00"), level("1.00"), "/c_set 10 0.25".into()]
    );
}
