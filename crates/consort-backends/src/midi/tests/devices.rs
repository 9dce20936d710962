//! Devices that appear and disappear.
#![allow(clippy::print_stdout)] // The log of one round is part of the result.

use consort_router::State;
use consort_router::testing::TestShow;
use consort_seq::Event;

use super::super::DESCRIPTOR;
use super::{Device, engine, pairs};
use crate::test_log::Log;

#[test]
fn a_device_disappears_mid_note_and_returns_with_another_number_a_hundred_times() {
    let engine = engine();
    let (log, _guard) = Log::start();
    let synth = Device::new(&engine, "Synth");
    let mut test = TestShow::new();
    test.instance(&DESCRIPTOR, "keys", &[("read", "Hot Keys")]);
    test.instance(&DESCRIPTOR, "synth", &[("write", "Synth")]);
    test.map("keys.ch0.note60", "synth.ch1.note72");
    let mut show = test.start();
    show.until_state("synth", "up");
    let State::Waiting(reason) = show.state("keys") else { panic!("the device is not connected") };
    assert!(reason.contains("no device `Hot Keys` to read from"), "{reason}");
    assert!(reason.contains("Synth:Synth port"), "the available devices: {reason}");
    let mut placeholders = Vec::new();
    let mut numbers = Vec::new();
    let mut rounds = Vec::new();
    for round in 1..=100 {
        let start = log.lines().len();
        let device = Device::new(&engine, "Hot Keys");
        let address = device.port.address();
        log.add(format!("round {round}: the device appears as {address}"));
        show.until_state("keys", "up");
        device.send(Event::note_on(0, 60, 100).expect("valid"));
        let event = synth.receive(&mut show);
        assert_eq!(event, "Note on channel=1 note=72 velocity=100", "round {round}");
        log.add(format!("the synth receives: {event}"));
        numbers.push(address.client);
        drop(device);
        log.add("the device disappears, and another client takes its number".to_owned());
        if placeholders.len() == 40 {
            placeholders.clear();
        }
        placeholders.push(Device::new(&engine, "Other client"));
        show.until_state("keys", "waiting");
        let event = synth.receive(&mut show);
        assert_eq!(event, "Note on channel=1 note=72 velocity=0", "round {round}");
        log.add(format!("the synth receives: {event}"));
        synth.receives_nothing();
        rounds.push(log.lines()[start..].to_vec());
    }
    for (round, (lines, number)) in rounds.iter().zip(&numbers).enumerate() {
        let has = |words: &str| lines.iter().any(|line| line.contains(words));
        assert!(has(&format!("connected to `Hot Keys` ({number}:0)")), "{round}: {lines:#?}");
        assert!(has(&format!("`Hot Keys` ({number}:0) has disappeared")), "{round}: {lines:#?}");
        assert!(has("1 held note released"), "{round}: {lines:#?}");
    }
    assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]), "the numbers changed: {numbers:?}");
    println!("100 rounds, client numbers {numbers:?}; the log of the second:");
    for line in &rounds[1] {
        println!("    {line}");
    }
}

#[test]
fn an_output_device_appears_late_disappears_and_returns() {
    let engine = engine();
    let mut test = TestShow::new();
    test.instance(&DESCRIPTOR, "synth", &[("write", "Late Synth:Late Synth port")]);
    test.map("probe.note", "synth.ch0.note60");
    let mut show = test.start();
    let State::Waiting(reason) = show.state("synth") else { panic!("the device is not connected") };
    assert!(reason.contains("no device `Late Synth:Late Synth port` to write to"), "{reason}");
    show.send("note", 1.0);
    for _ in 0..3 {
        let device = Device::new(&engine, "Late Synth");
        show.until_state("synth", "up");
        show.send("note", 0.5);
        assert_eq!(device.receive(&mut show), "Note on channel=0 note=60 velocity=64");
        drop(device);
        show.until_state("synth", "waiting");
    }
    // The sounding note ended with the device; nothing is released on the next one.
    let device = Device::new(&engine, "Late Synth");
    show.until_state("synth", "up");
    show.finish();
    device.receives_nothing();
}

#[test]
fn a_connection_that_others_remove_is_not_restored_until_the_device_returns() {
    let engine = engine();
    let mut test = TestShow::new();
    test.backend(&DESCRIPTOR, &[("name", "TestShow")]);
    test.instance(&DESCRIPTOR, "midi", &[("read", "Pads")]);
    test.map("midi.ch0.note60", "probe.note");
    let pads = Device::new(&engine, "Pads");
    let mut show = test.start();
    show.until_state("midi", "up");
    let ours = pads.client.find_port("TestShow:midi").expect("the virtual port").address();
    pads.send(Event::note_on(0, 60, 127).expect("valid"));
    assert_eq!(show.receive(1), pairs(&[("note", 1.0)]));
    pads.port.disconnect_to(ours).expect("disconnected");
    assert_eq!(show.receive(1), pairs(&[("note", 0.0)]), "its held note is released");
    show.until_state("midi", "waiting");
    let State::Waiting(reason) = show.state("midi") else { panic!("the instance does not wait") };
    assert!(reason.contains("another program has disconnected `Pads`"), "{reason}");
    drop(pads);
    show.until("the device to be reported as missing", |show| {
        matches!(show.state("midi"), State::Waiting(reason) if reason.contains("no device `Pads`"))
    });
    let pads = Device::new(&engine, "Pads");
    show.until_state("midi", "up");
    pads.send(Event::note_on(0, 60, 127).expect("valid"));
    assert_eq!(show.receive(1), pairs(&[("note", 1.0)]));
}

#[test]
fn two_sources_connected_by_others_hold_a_note_together() {
    let engine = engine();
    let (one, two) = (Device::new(&engine, "One"), Device::new(&engine, "Two"));
    let mut test = TestShow::new();
    test.backend(&DESCRIPTOR, &[("name", "TestShow")]);
    test.instance(&DESCRIPTOR, "midi", &[]);
    test.map("midi.ch0.note60", "probe.note");
    let mut show = test.start();
    show.until_state("midi", "up");
    let ours = one.client.find_port("TestShow:midi").expect("the virtual port").address();
    one.port.connect_to(ours).expect("connected");
    two.port.connect_to(ours).expect("connected");
    one.send(Event::note_on(0, 60, 127).expect("valid"));
    two.send(Event::note_on(0, 60, 127).expect("valid"));
    assert_eq!(show.receive(2), pairs(&[("note", 1.0), ("note", 1.0)]));
    one.port.disconnect_to(ours).expect("disconnected");
    two.send(Event::note_on(0, 60, 127).expect("valid"));
    assert_eq!(
        show.receive(1),
        pairs(&[("note", 1.0)]),
        "not released, because the other source holds it"
    );
    drop(two);
    assert_eq!(show.receive(1), pairs(&[("note", 0.0)]));
}

#[test]
fn the_pedal_of_a_device_that_disappears_is_released() {
    let engine = engine();
    let mut test = TestShow::new();
    test.instance(&DESCRIPTOR, "midi", &[("read", "Keys")]);
    for channel in ["ch0.note60", "ch0.cc64", "ch0.cc66", "ch0.cc1"] {
        test.map(&format!("midi.{channel}"), &format!("probe.{channel}"));
    }
    let keys = Device::new(&engine, "Keys");
    let mut show = test.start();
    show.until_state("midi", "up");
    for (param, value) in [(64, 127), (66, 127), (1, 127), (66, 0)] {
        keys.send(Event::control_change(0, param, value).expect("valid"));
    }
    keys.send(Event::note_on(0, 60, 127).expect("valid"));
    show.receive(5);
    drop(keys);
    assert_eq!(show.receive(2), pairs(&[("ch0.note60", 0.0), ("ch0.cc64", 0.0)]));
    show.until_state("midi", "waiting");
    assert_eq!(show.received(), []);
}
