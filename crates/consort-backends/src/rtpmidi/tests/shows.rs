//! Shows with the backend, on the sockets of this computer.

use std::net::{Ipv4Addr, UdpSocket};

use consort_router::State;
use consort_router::testing::{Performance, TestShow, free_port, free_ports};

use super::super::DESCRIPTOR;

/// A show with two instances, of which `west` invites `east`.
fn show(mappings: &[(&str, &str)]) -> TestShow {
    let [control, data] = free_ports();
    show_on(control, data, mappings)
}

fn show_on(control: u16, data: u16, mappings: &[(&str, &str)]) -> TestShow {
    let mut test = TestShow::new();
    let bind = format!("127.0.0.1 {data}");
    test.instance(&DESCRIPTOR, "east", &[("mode", "apple"), ("bind", &bind), ("join", "west")]);
    let peer = format!("127.0.0.1 {control}");
    let west = [("mode", "apple"), ("bind", "127.0.0.1"), ("peer", peer.as_str())];
    test.instance(&DESCRIPTOR, "west", &west);
    for (source, target) in mappings {
        test.map(source, target);
    }
    test
}

/// Waits for a value at the probe.
fn until_received(show: &mut Performance, channel: &str, value: f64) {
    show.until("a value", |show| {
        show.received().last().is_some_and(|last| *last == (channel.to_owned(), value))
    });
}

#[test]
fn every_kind_of_value_passes_between_two_instances() {
    let channels = [
        "ch0.note60",
        "ch1.cc7",
        "ch2.pitch",
        "ch3.aftertouch",
        "ch4.pressure61",
        "ch5.program",
        "ch6.rpn0",
        "ch7.nrpn900",
        "song",
        "position",
        "start",
        "sysex.F0 7D vv F7",
    ];
    let mappings: Vec<(String, String, String)> = channels
        .iter()
        .map(|channel| {
            let at = |instance| format!("{instance}.{channel}");
            (at("probe"), at("west"), at("east"))
        })
        .collect();
    let mut all = Vec::new();
    for (probe, west, east) in &mappings {
        all.push((probe.as_str(), west.as_str()));
        all.push((east.as_str(), probe.as_str()));
    }
    let mut show = show(&all).start();
    show.until_state("west", "up");
    show.until_state("east", "up");
    for channel in channels {
        show.send(channel, 1.0);
        until_received(&mut show, channel, 1.0);
    }
    // The other direction, through the same session.
    drop(show);
    let mut show =
        self::show(&[("probe.ch0.cc1", "east.ch0.cc1"), ("west.ch0.cc1", "probe.ch0.cc1")]).start();
    show.until_state("west", "up");
    show.send("ch0.cc1", 64.0 / 127.0);
    until_received(&mut show, "ch0.cc1", 64.0 / 127.0);
}

#[test]
fn a_missing_peer_is_waited_for_and_values_are_counted_as_dropped() {
    let control = free_port();
    let mut test = TestShow::new();
    let peer = format!("127.0.0.1 {control}");
    test.instance(
        &DESCRIPTOR,
        "west",
        &[("mode", "apple"), ("bind", "127.0.0.1"), ("peer", &peer)],
    );
    test.map("probe.ch0.note1", "west.ch0.note1");
    let mut show = test.start();
    let State::Waiting(reason) = show.state("west") else { panic!("{:?}", show.state("west")) };
    assert!(reason.contains("no answer from") && reason.contains(&control.to_string()), "{reason}");
    show.send("ch0.note1", 1.0);
    show.until("the count", |show| show.counters("west").dropped == 1);
}

#[test]
fn notes_are_ended_when_the_show_stops_and_when_a_reload_removes_their_channel() {
    let [control, data] = free_ports();
    let mappings = [
        ("probe.ch0.note60", "west.ch0.note60"),
        ("probe.ch0.note61", "west.ch0.note61"),
        ("east.ch0.note60", "probe.ch0.note60"),
        ("east.ch0.note61", "probe.ch0.note61"),
    ];
    let mut running = show_on(control, data, &mappings).start();
    running.until_state("west", "up");
    running.send("ch0.note60", 1.0);
    running.send("ch0.note61", 1.0);
    until_received(&mut running, "ch0.note61", 1.0);
    let adoption = running.adopt(show_on(control, data, &mappings[1..]));
    assert_eq!(adoption.restarted, [""; 0]);
    until_received(&mut running, "ch0.note60", 0.0);
    running.finish();
    assert_eq!(running.received().last(), Some(&("ch0.note61".to_owned(), 0.0)));
}

#[test]
fn a_port_in_use_is_waited_for() {
    let [control, data] = free_ports();
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, control)).expect("a socket");
    let mut test = TestShow::new();
    let bind = format!("127.0.0.1 {data}");
    test.instance(&DESCRIPTOR, "east", &[("mode", "apple"), ("bind", &bind), ("join", "*")]);
    let mut show = test.start();
    let State::Waiting(reason) = show.state("east") else { panic!("{:?}", show.state("east")) };
    assert!(reason.contains(&format!("port {control} is in use")), "{reason}");
    drop(taken);
    show.until_state("east", "up");
}

#[test]
fn options_are_checked() {
    let mut test = TestShow::new();
    let options = [("mode", "apple"), ("bind", ":: 1")];
    let problems = test.try_instance(&DESCRIPTOR, "x", &options);
    let text = format!("{:?}", problems.expect_err("an error"));
    assert!(text.contains("no control port"), "{text}");
    for (text, is_valid) in [
        ("::", true),
        ("10.1.2.1 5005", true),
        ("localhost", true),
        ("0.0.0.0", true),
        ("10.1.2.1 x", false),
        ("", false),
    ] {
        assert_eq!(super::super::config::check_bind(text).is_ok(), is_valid, "{text}");
    }
}
