//! Sessions in both roles, on a simulated network.

use std::time::Duration;

use super::super::session::{Join, MAX_PEERS, Port};
use super::network::{Network, Weather, address};
use crate::midi_grammar::message::Message;

const NOTE: Message<'static> = Message::NoteOn { channel: 0, note: 60, velocity: 100 };

/// Whether every node has so many connected peers.
fn are_connected(network: &Network, counts: &[usize]) -> bool {
    let count = |node: usize| {
        network.nodes[node].session.peers().iter().filter(|peer| peer.is_connected()).count()
    };
    counts.iter().enumerate().all(|(node, wanted)| count(node) == *wanted)
}

#[test]
fn an_invitation_on_both_ports_makes_a_session_with_input_and_output() {
    let mut network = Network::pair(1);
    assert!(are_connected(&network, &[1, 1]));
    assert_eq!(network.nodes[0].world.notices, ["node 1: Joined"]);
    assert_eq!(network.nodes[1].world.notices, ["node 0: Joined"]);
    network.send(0, &[NOTE]);
    network.send(1, &[NOTE]);
    network.run(Duration::from_millis(5));
    assert!(network.nodes.iter().all(|node| node.world.model.sounding() == 1));
    // Control port first, then data port, with one token; then the clock on the data port.
    let sent: Vec<_> = network.sent.iter().map(|(to, bytes)| (*to, &bytes[..4])).collect();
    let (control, data) = (address(1, Port::Control), address(1, Port::Data));
    let exchanges = [
        (control, &b"\xFF\xFFIN"[..]),
        (address(0, Port::Control), b"\xFF\xFFOK"),
        (data, b"\xFF\xFFIN"),
        (address(0, Port::Data), b"\xFF\xFFOK"),
        (data, b"\xFF\xFFCK"),
    ];
    assert_eq!(sent[..5], exchanges);
    assert_eq!(network.sent[0].1[8..12], network.sent[2].1[8..12], "the token");
}

#[test]
fn sessions_start_in_any_weather_and_in_both_directions_at_once() {
    for seed in 0..20 {
        let mut network = Network::new(seed);
        network.weather = Weather { lost: 20, repeated: 20, reordered: 20 };
        network.add(false, Join::Nobody, false);
        network.add(false, Join::Nobody, false);
        // Each accepts the other, because it is one of its hosts.
        network.invite(0, 1, Port::Control);
        network.invite(1, 0, Port::Control);
        network.run(Duration::from_secs(60));
        assert!(
            are_connected(&network, &[1, 1]),
            "seed {seed}: {:?}",
            network.nodes[0].world.notices
        );
    }
}

#[test]
fn invitations_are_accepted_as_join_says() {
    for (join, is_accepted) in [
        (Join::Everyone, true),
        (Join::Named("node 0".into()), true),
        (Join::Named("other".into()), false),
        (Join::Nobody, false),
    ] {
        let mut network = Network::new(2);
        network.add(false, Join::Nobody, false);
        network.add(false, join.clone(), false);
        network.invite(0, 1, Port::Control);
        network.run(Duration::from_secs(1));
        assert_eq!(are_connected(&network, &[1, 1]), is_accepted, "{join:?}");
        // A reload changes the answer, and the host is invited again.
        network.nodes[1].session.set_join(Join::Everyone);
        network.run(Duration::from_secs(12));
        assert!(are_connected(&network, &[1, 1]), "{join:?}");
    }
}

#[test]
fn a_peer_that_leaves_releases_its_notes_and_is_invited_again() {
    let mut network = Network::pair(3);
    network.send(1, &[NOTE]);
    network.run(Duration::from_millis(5));
    let node = &mut network.nodes[1];
    node.session.close(&mut node.world);
    network.send(1, &[]);
    network.run(Duration::from_millis(5));
    assert!(are_connected(&network, &[0, 0]));
    assert_eq!(network.nodes[0].world.model.sounding(), 0);
    assert_eq!(network.nodes[0].world.notices[1], "node 1: Left(\"it has ended the session\")");
    network.run(Duration::from_secs(11));
    assert!(are_connected(&network, &[1, 1]));
}

#[test]
fn a_silent_peer_is_gone_after_a_minute_and_comes_back() {
    let mut network = Network::pair(4);
    network.send(1, &[NOTE]);
    network.run(Duration::from_secs(50));
    assert!(are_connected(&network, &[1, 1]), "the clock keeps the session alive");
    network.weather.lost = 100;
    network.run(Duration::from_secs(62));
    assert!(are_connected(&network, &[0, 0]));
    assert_eq!(network.nodes[0].world.model.sounding(), 0);
    network.weather.lost = 0;
    network.run(Duration::from_secs(25));
    assert!(are_connected(&network, &[1, 1]));
}

#[test]
fn a_peer_that_restarts_is_accepted_again() {
    let mut network = Network::pair(5);
    network.send(0, &[NOTE]);
    network.run(Duration::from_millis(5));
    // Node 0 loses its memory without saying so.
    let mut other = Network::pair(6);
    network.nodes[0].session = other.nodes.remove(0).session;
    network.nodes.truncate(2);
    let invitation = b"\xFF\xFFIN\0\0\0\x02\0\0\0\x09\0\0\x03\xE8node 0\0";
    let (now, from) = (network.now, address(0, Port::Control));
    let node = &mut network.nodes[1];
    assert!(node.session.receive(Port::Control, from, invitation, now, &mut node.world));
    assert_eq!(node.world.model.sounding(), 0, "what the old session held is released");
    let from = address(0, Port::Data);
    // Another number on the second port, as some programs use.
    let invitation = b"\xFF\xFFIN\0\0\0\x02\0\0\0\x09\0\0\0\x07node 0\0";
    assert!(node.session.receive(Port::Data, from, invitation, now, &mut node.world));
    assert_eq!(node.session.peers().len(), 1);
    assert!(node.session.peers()[0].is_connected());
}

#[test]
fn outsiders_get_no_session_and_their_packets_no_effect() {
    let mut network = Network::pair(7);
    let (now, outsider) = (network.now, address(7, Port::Data));
    let node = &mut network.nodes[1];
    let packet = [0x80, 0x61, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 3, 0x90, 60, 100];
    assert!(!node.session.receive(Port::Data, outsider, &packet, now, &mut node.world));
    assert!(!node.session.receive(Port::Control, outsider, b"GET /", now, &mut node.world));
    let bye = b"\xFF\xFFBY\0\0\0\x02\0\0\0\x01\0\0\0\x02";
    node.session.receive(Port::Control, outsider, bye, now, &mut node.world);
    assert_eq!(node.world.model.sounding(), 0);
    assert!(are_connected(&network, &[1, 1]));
}

#[test]
fn the_number_of_peers_is_limited() {
    let mut network = Network::new(8);
    network.add(false, Join::Everyone, false);
    network.add(true, Join::Nobody, true);
    let now = network.now;
    for host in 10..60 {
        let invitation = b"\xFF\xFFIN\0\0\0\x02\0\0\0\x01\0\0\0\x02x\0";
        let node = &mut network.nodes[0];
        let from = address(host, Port::Control);
        node.session.receive(Port::Control, from, invitation, now, &mut node.world);
        let packet = [0x80, 0x61, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 3, 0x90, host as u8, 100];
        let node = &mut network.nodes[1];
        node.session.receive(Port::Data, address(host, Port::Data), &packet, now, &mut node.world);
    }
    assert_eq!(network.nodes[0].session.peers().len(), MAX_PEERS);
    assert_eq!(network.nodes[1].session.peers().len(), MAX_PEERS);
    // Those that do not open the second port are forgotten; those that were replaced are released.
    network.run(Duration::from_secs(11));
    assert_eq!(network.nodes[0].session.peers().len(), 0);
    assert_eq!(network.nodes[1].world.releases, 50 - MAX_PEERS);
}

#[test]
fn the_direct_mode_learns_its_peers_only_if_asked() {
    for learns in [false, true] {
        let mut network = Network::new(9);
        network.add(true, Join::Nobody, false);
        network.add(true, Join::Nobody, learns);
        network.invite(0, 1, Port::Data);
        network.send(0, &[NOTE]);
        network.run(Duration::from_millis(5));
        assert_eq!(network.nodes[1].world.model.sounding(), 1);
        assert_eq!(network.nodes[1].session.has_receiver(), learns);
        network.send(1, &[NOTE]);
        network.run(Duration::from_millis(5));
        assert_eq!(network.nodes[0].world.model.sounding(), usize::from(learns));
    }
}
