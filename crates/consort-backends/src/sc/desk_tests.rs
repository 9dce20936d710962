use consort_osc::{OscMessage, OscValue, Packet};
use consort_router::{Options, Problems, Usage};

use super::*;

/// A desk of an instance with these options and channels, prepared.
fn desk(options: &[(&str, &str)], targets: &[&str], sources: &[&str]) -> Desk {
    let options = Options::from_pairs(super::super::DESCRIPTOR.instance_options, options);
    let mut problems = Problems::new();
    let config = Config::read(&options, &mut problems);
    let mut desk = Desk::new(config.unwrap_or_else(|| panic!("{:?}", problems.into_vec())));
    for (names, usage) in [(targets, Usage::Target), (sources, Usage::Source)] {
        for name in names {
            let Desk { channels, config, .. } = &mut desk;
            channels.channel(name, usage, config).unwrap_or_else(|it| panic!("{name}: {it:?}"));
        }
    }
    desk.prepare();
    desk
}

fn up(desk: &Desk) -> Up {
    Up {
        buses: (10..10 + desk.config.buses.len() as u32).collect(),
        buffers: (3..3 + desk.config.buffers.len() as u32).collect(),
        meter: 20,
        is_owned: true,
        ..Up::default()
    }
}

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

/// What would be sent, one line a message.
fn sent(desk: &mut Desk) -> Vec<String> {
    let mut lines = Vec::new();
    desk.packets.send(None, |packet| {
        let packet = Packet::decode(packet).expect("OSC");
        lines.extend(packet.messages().map(|it| line(&OscMessage::from(it))));
    });
    lines
}

#[test]
fn a_new_server_is_told_everything_in_order() {
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
    let mut desk = desk(&options, &["room.room", "room.run", "level", "bus.7"], &[]);
    desk.deliver(0, 0.25);
    desk.deliver(1, 0.0);
    desk.deliver(3, 0.75);
    let server = up(&desk);
    desk.go_up(server);
    assert_eq!(
        sent(&mut desk),
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
    // Another's server may hold what an earlier show left.
    let server = Up { is_owned: false, client: 2, ..up(&desk) };
    desk.go_up(server);
    let first = (2 << 26) | 900_000;
    let lines = sent(&mut desk);
    assert_eq!(lines[0], format!("/n_free {first}"));
    assert_eq!(lines[3], format!("/g_new {first} 1 3 {} 1 3", first + 1));
}

#[test]
fn a_note_is_one_message_with_all_that_is_known() {
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
    let mut desk = desk(&options, &targets, &["pad.voices", "pad.note69"]);
    let server = up(&desk);
    desk.go_up(server);
    sent(&mut desk);
    desk.deliver(0, 0.5);
    let start = sent(&mut desk);
    desk.started(1_000_001);
    assert_eq!(
        start,
        ["/s_new pad 1000001 1 900002 frequency 440.00 amplitude 0.12 out 10.00 cutoff 1200.00"]
    );
    desk.deliver(1, 1.0);
    desk.deliver(2, 1.0);
    desk.deliver(3, 0.5);
    desk.deliver(4, 0.75);
    assert_eq!(
        sent(&mut desk),
        [
            "/n_set 1000001 frequency 880.00",
            "/n_set 900002 cutoff 8000.00",
            "/n_set 900002 pressure 0.50",
            "/n_set 1000001 pressure 0.75",
        ]
    );
    // The next note begins bent, pressed and open.
    desk.deliver(0, 1.0);
    assert_eq!(
        sent(&mut desk),
        [
            "/n_set 1000001 gate 0.00",
            "/s_new pad 1000002 1 900002 frequency 880.00 amplitude 0.50 out 10.00 \
             cutoff 8000.00 pressure 0.50",
        ]
    );
    desk.started(1_000_002);
    desk.ended(1_000_001);
    desk.deliver(0, 0.0);
    desk.ended(1_000_002);
    assert_eq!(sent(&mut desk), ["/n_set 1000002 gate 0.00"]);
    let share = 1.0 / 16.0;
    let voices = |count: f64| (6, count * share);
    assert_eq!(
        desk.emits,
        [voices(1.0), (0, 0.5), voices(2.0), (0, 1.0), voices(1.0), (0, 0.0), voices(0.0),]
    );
    desk.deliver(0, 1.0);
    desk.deliver(5, 1.0);
    assert_eq!(sent(&mut desk)[1..], ["/g_freeAll 900002"]);
    desk.deliver(0, 0.0);
    assert_eq!(sent(&mut desk), [""; 0]);
}

#[test]
fn an_amplitude_that_is_moved_keeps_each_voices_velocity() {
    let mut desk = desk(
        &[("voice.pad", "pad"), ("control.pad.amplitude", "0 1 start 0.5")],
        &["pad.note60", "pad.note61", "pad.amplitude"],
        &[],
    );
    let server = up(&desk);
    desk.go_up(server);
    desk.deliver(0, 1.0);
    desk.deliver(1, 0.5);
    sent(&mut desk);
    desk.deliver(2, 0.8);
    assert_eq!(sent(&mut desk), ["/n_set 1000001 amplitude 0.80", "/n_set 1000002 amplitude 0.20"]);
}

#[test]
fn drums_keep_their_tuning_and_end_by_themselves() {
    let mut desk = desk(
        &[("voice.kick", "kick"), ("control.kick.frequency", "55"), ("voice.kick.polyphony", "1")],
        &["kick.note36"],
        &["kick.stolen"],
    );
    let server = up(&desk);
    desk.go_up(server);
    sent(&mut desk);
    desk.deliver(0, 1.0);
    desk.deliver(0, 0.0);
    let start = |node| format!("/s_new kick {node} 1 900002 amplitude 0.80 frequency 55.00");
    assert_eq!(sent(&mut desk), [start(1_000_001)]);
    desk.deliver(0, 1.0);
    assert_eq!(sent(&mut desk), ["/n_free 1000001".to_owned(), start(1_000_002)]);
    assert_eq!(desk.emits, [], "what had been let go was no loss");
    desk.deliver(0, 1.0);
    assert_eq!(desk.losses(), (0, 0));
}

#[test]
fn a_slide_starts_where_the_last_note_was() {
    let mut desk = desk(
        &[("voice.lead", "lead"), ("voice.lead.mode", "legato"), ("voice.lead.glide", "0.2")],
        &["lead.note69", "lead.note57"],
        &[],
    );
    let server = up(&desk);
    desk.go_up(server);
    sent(&mut desk);
    for (channel, value) in [(0, 1.0), (1, 1.0), (1, 0.0), (0, 0.0), (1, 1.0)] {
        desk.deliver(channel, value);
        desk.started(1_000_001);
    }
    assert_eq!(
        sent(&mut desk),
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
fn while_there_is_no_server_held_notes_are_kept_and_others_counted() {
    let options = [("voice.pad", "pad"), ("voice.kick", "kick")];
    let targets = ["pad.note60", "pad.note61", "kick.note36", "pad.sustain"];
    let mut desk = desk(&options, &targets, &["pad.note60", "pad.voices"]);
    assert_eq!(desk.deliver(0, 0.5), 0);
    assert_eq!(desk.deliver(2, 0.5), 1, "a drum is over before the server is there");
    assert_eq!(desk.deliver(1, 0.5), 0);
    desk.deliver(1, 0.0);
    let server = up(&desk);
    assert_eq!(desk.go_up(server), 1, "the note that began to fade is gone");
    let start = "/s_new pad 1000003 1 900002 frequency 261.63 amplitude 0.04";
    assert_eq!(sent(&mut desk).last().map(String::as_str), Some(start));
    desk.started(1_000_003);
    // It dies: the note is over for the show, and starts again on the next server.
    desk.go_down();
    assert_eq!(desk.emits.split_off(1), [(0, 0.5), (0, 0.0), (4, 0.0)]);
    let server = up(&desk);
    assert_eq!(desk.go_up(server), 0);
    assert!(sent(&mut desk).last().is_some_and(|it| it.starts_with("/s_new pad 1000005")));
    // Without restoring, nothing is kept.
    let with = [("voice.pad", "pad"), ("restore", "none")];
    let mut desk = self::desk(&with, &["pad.note60"], &[]);
    assert_eq!(desk.deliver(0, 0.5), 1);
    let server = up(&desk);
    desk.go_up(server);
    desk.deliver(0, 0.5);
    desk.go_down();
    let server = up(&desk);
    desk.go_up(server);
    assert!(!sent(&mut desk).iter().any(|line| line.contains("s_new pad")));
}

#[test]
fn the_master_is_muted_and_comes_back() {
    let mut desk = desk(&[("bus.a", "0 1")], &["level", "mute", "bus.a"], &[]);
    let server = up(&desk);
    desk.go_up(server);
    sent(&mut desk);
    for (channel, value) in [(0, 0.5), (1, 1.0), (0, 1.0), (1, 0.0), (2, 0.25)] {
        desk.deliver(channel, value);
    }
    let level = |level: &str| format!("/n_set 900002 level {level}");
    assert_eq!(
        sent(&mut desk),
        [level("0.25"), level("0.00"), level("0.00"), level("1.00"), "/c_set 10 0.25".into()]
    );
}
