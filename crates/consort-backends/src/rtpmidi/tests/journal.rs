//! Losses: what a stream has changed is the same at both ends in the end.

use std::time::Duration;

use super::super::session::{Join, Port};
use super::network::{Model, Network, Random, Weather};
use crate::midi_grammar::message::Message;
use crate::midi_grammar::parameters::parameter_output;

/// Passes the messages of one random event to `send`.
fn event(random: &mut Random, send: &mut dyn FnMut(&Message<'_>)) {
    let channel = random.below(4) as u8;
    let (note, value) = (random.below(128) as u8, random.below(128) as u8);
    let message = match random.below(40) {
        0..12 => Message::NoteOn { channel, note: note % 24, velocity: value.max(1) },
        12..22 => Message::NoteOn { channel, note: note % 24, velocity: 0 },
        22..26 => Message::NoteOff { channel, note: note % 24, velocity: value },
        26..30 => Message::Controller { channel, number: note % 32 + 40, value },
        30 => Message::PitchBend { channel, bend: u16::from(value) << 7 | u16::from(note) },
        31 => Message::ChannelPressure { channel, pressure: value },
        32 => Message::KeyPressure { channel, note: note % 24, pressure: value },
        33 => {
            for (number, value) in [(0, value % 4), (32, note % 4)] {
                send(&Message::Controller { channel, number, value });
            }
            Message::Program { channel, program: note }
        }
        34 | 35 => {
            let wide = random.below(16_384) as u16;
            let (registered, deselects) = (value & 1 == 0, value & 2 == 0);
            let parameter = u16::from(note % 8) * 129;
            for (number, value) in parameter_output(registered, parameter, wide, deselects) {
                send(&Message::Controller { channel, number, value });
            }
            return;
        }
        36 => Message::SongSelect(value),
        37 => [Message::Start, Message::Stop, Message::Continue, Message::Clock]
            [usize::from(value % 4)],
        38 => {
            let message = [0xF0, 0x7D, note, value, 0xF7];
            return send(&Message::Exclusive(&message));
        }
        _ if value < 8 => Message::Controller { channel, number: 120 + value, value: 0 },
        _ => Message::Controller { channel, number: 64 + (value & 2), value: note },
    };
    send(&message);
}

/// Sends so many events in bad weather, and lets the sky clear up.
fn storm(network: &mut Network, events: usize, weather: Weather) -> Model {
    network.weather = weather;
    let mut sent = Model::default();
    let mut random = Random(99);
    let mut count = 0;
    while count < events {
        let (now, batch) = (network.now, 1 + random.below(8));
        let node = &mut network.nodes[0];
        for _ in 0..batch {
            event(&mut random, &mut |message| {
                sent.apply(message);
                node.session.send(message, now, &mut node.world);
            });
            count += 1;
        }
        network.send(0, &[]);
        network.run(Duration::from_millis(random.below(4)));
    }
    network.run(Duration::from_secs(20));
    sent
}

/// The differences between what was sent and what has arrived.
fn differences(sent: &Model, arrived: &Model) -> Vec<String> {
    let keys = sent.values.keys().chain(arrived.values.keys());
    let differ = |key: &&(&'static str, u8, u16)| {
        // A value that is 0 at one end and has never been set at the other one is the same.
        let at = |model: &Model| model.values.get(*key).copied().unwrap_or(0);
        at(sent) != at(arrived)
    };
    keys.filter(differ)
        .map(|key| format!("{key:?}: {:?} {:?}", sent.values.get(key), arrived.values.get(key)))
        .collect()
}

const STORM: Weather = Weather { lost: 20, repeated: 5, reordered: 20 };

#[test]
fn a_hundred_thousand_events_in_a_storm_leave_the_same_state() {
    let mut network = Network::pair(1);
    let sent = storm(&mut network, 100_000, STORM);
    let arrived = &network.nodes[1].world;
    assert_eq!(differences(&sent, &arrived.model), [""; 0]);
    assert_eq!(arrived.model.sounding(), sent.sounding());
    assert_eq!(arrived.releases, 0, "every loss is repaired");
    // System exclusive messages arrive in order, none twice.
    let mut rest = sent.exclusives.iter();
    assert!(arrived.model.exclusives.iter().all(|one| rest.any(|other| other == one)));
    let (sent, arrived) = (sent.exclusives.len(), arrived.model.exclusives.len());
    assert!(arrived * 100 >= sent * 99, "{arrived} of {sent}");
}

#[test]
fn the_direct_mode_repairs_losses_without_feedback() {
    let mut network = Network::new(2);
    network.add(true, Join::Nobody, false);
    network.add(true, Join::Nobody, false);
    network.invite(0, 1, Port::Data);
    let sent = storm(&mut network, 3_000, STORM);
    let arrived = &network.nodes[1].world;
    assert_eq!(differences(&sent, &arrived.model), [""; 0]);
}

#[test]
fn a_journal_that_does_not_reach_back_releases_what_is_held() {
    let mut network = Network::pair(3);
    let on = |note| Message::NoteOn { channel: 0, note, velocity: 100 };
    network.send(0, &[on(60), Message::Controller { channel: 0, number: 64, value: 127 }]);
    network.run(Duration::from_secs(2));
    assert_eq!(network.nodes[1].world.model.sounding(), 1);
    // The peer restarts its stream: a number far away, and no journal.
    let data = super::network::address(0, Port::Data);
    let packet = [0x80, 0x61, 0, 7, 0, 0, 0, 0, 0, 0, 3, 0xE8, 3, 0x91, 62, 1];
    let now = network.now;
    let node = &mut network.nodes[1];
    assert!(node.session.receive(Port::Data, data, &packet, now, &mut node.world));
    let model = &node.world.model;
    assert_eq!((model.sounding(), model.values[&("controller", 0, 64)]), (1, 0));
    assert_eq!(model.values[&("note", 1, 62)], 1, "what follows the loss is received");
}

#[test]
fn a_single_lost_note_off_arrives_with_the_guard_packet() {
    let mut network = Network::pair(4);
    network.send(0, &[Message::NoteOn { channel: 3, note: 40, velocity: 9 }]);
    network.run(Duration::from_secs(3));
    network.weather.lost = 100;
    network.send(0, &[Message::NoteOff { channel: 3, note: 40, velocity: 64 }]);
    network.weather.lost = 0;
    network.run(Duration::from_millis(45));
    assert_eq!(network.nodes[1].world.model.sounding(), 1);
    network.run(Duration::from_millis(10));
    assert_eq!(network.nodes[1].world.model.sounding(), 0);
    assert_eq!(network.nodes[1].world.releases, 0);
}

#[test]
fn a_confirmed_stream_is_silent() {
    let mut network = Network::pair(5);
    network.run(Duration::from_secs(20));
    network.send(0, &[Message::NoteOn { channel: 0, note: 1, velocity: 1 }]);
    network.run(Duration::from_secs(5));
    let before = network.sent.len();
    network.run(Duration::from_secs(30));
    // Three clock synchronisations of three messages each.
    assert!(network.sent.len() - before <= 12, "{}", network.sent.len() - before);
}

#[test]
fn long_system_exclusive_messages_arrive_in_parts() {
    let mut network = Network::pair(6);
    let mut long = vec![0xF0];
    long.extend((0..5_000_u32).map(|number| (number % 128) as u8));
    long.push(0xF7);
    let short = [0xF0, 0x7D, 1, 0xF7];
    network.send(0, &[Message::Exclusive(&short), Message::Exclusive(&long), Message::Start]);
    network.run(Duration::from_millis(10));
    assert_eq!(network.nodes[1].world.model.exclusives, [short.to_vec(), long.clone()]);
    assert_eq!(network.nodes[1].world.model.values[&("running", 0, 0)], 1);
    assert!(network.sent.iter().all(|(_, bytes)| bytes.len() < 1_400));
}

/// Everything changes within one journal: 128 notes and controllers of each MIDI channel.
#[test]
fn the_largest_journal_is_valid_and_is_read_back() {
    let mut network = Network::pair(7);
    network.weather.lost = 100;
    let mut sent = Model::default();
    let mut send = |network: &mut Network, message: Message<'_>| {
        sent.apply(&message);
        network.send(0, &[message]);
    };
    for channel in 0..16 {
        for note in 0..128 {
            send(&mut network, Message::NoteOn { channel, note, velocity: note.max(1) });
        }
        for number in (0..98).chain(102..120) {
            send(&mut network, Message::Controller { channel, number, value: number });
        }
        send(&mut network, Message::PitchBend { channel, bend: 3 });
    }
    network.weather.lost = 0;
    network.run(Duration::from_secs(3));
    assert_eq!(differences(&sent, &network.nodes[1].world.model), [""; 0]);
    assert_eq!(network.nodes[1].world.model.sounding(), 16 * 128);
}
