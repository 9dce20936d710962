//! Reloads: what an instance keeps, what it releases, and what restarts it.

use consort_router::State;
use consort_router::testing::{Performance, TestShow};
use consort_seq::{Address, Engine, Event, Payload};

use super::super::DESCRIPTOR;
use super::{Device, ENGINE, engine, pairs, receiving, sending};
use crate::test_log::Log;

/// A show with one instance `midi` and these mappings.
fn show(options: &[(&str, &str)], mappings: &[(&str, &str)]) -> TestShow {
    backend_show(&[], options, mappings)
}

/// A show with options of the backend.
fn backend_show(
    backend: &[(&str, &str)],
    options: &[(&str, &str)],
    mappings: &[(&str, &str)],
) -> TestShow {
    let mut test = TestShow::new();
    test.backend(&DESCRIPTOR, backend);
    test.instance(&DESCRIPTOR, "midi", options);
    for (source, target) in mappings {
        test.map(source, target);
    }
    test
}

/// Replaces the configuration, and checks that the instance adopts it.
fn adopt(running: &mut Performance, new: TestShow) {
    let adoption = running.adopt(new);
    assert_eq!(adoption.adopted, ["probe", "midi"]);
    assert_eq!(adoption.restarted, [""; 0]);
}

/// The address of the show's port.
fn port_of(device: &Device) -> Address {
    device.client.find_port("Consort:midi").expect("the port").address()
}

/// The sequencer of the test on this thread.
fn current_engine() -> Engine {
    ENGINE.with_borrow(|engine| engine.clone().expect("set"))
}

const SYNTH: &[(&str, &str)] = &[("write", "Synth")];
const KEYS: &[(&str, &str)] = &[("read", "Keys")];

#[test]
fn port_connections_sounding_notes_and_counters_are_kept() {
    let (mut running, device) = sending(&[], &["ch0.note60"]);
    let port = port_of(&device);
    // A connection that another program has made.
    let other = Device::new(&current_engine(), "Other");
    other.port.connect_from(port).expect("connected");
    running.send("ch0.note60", 1.0);
    assert_eq!(device.receive(&mut running), "Note on channel=0 note=60 velocity=127");
    other.receive(&mut running);
    // The note has another number now.
    let mappings = [("probe.cc", "midi.ch0.cc1"), ("probe.ch0.note60", "midi.ch0.note60")];
    adopt(&mut running, show(SYNTH, &mappings));
    assert_eq!(running.state("midi"), State::Up);
    device.receives_nothing();
    assert_eq!(port_of(&device), port);
    running.send("ch0.note60", 0.0);
    assert_eq!(device.receive(&mut running), "Note on channel=0 note=60 velocity=0");
    assert_eq!(other.receive(&mut running), "Note on channel=0 note=60 velocity=0");
    running.send("cc", 1.0);
    assert_eq!(device.receive(&mut running), "Control change channel=0 param=1 value=127");
    assert_eq!(running.counters("midi").outgoing, 3);
}

#[test]
fn what_sounds_on_removed_targets_is_released() {
    let channels =
        ["ch0.note60", "ch0.note61", "ch0.cc64", "ch1.cc64", "ch2.velocity", "ch3.velocity"];
    let (mut running, device) = sending(&[], &channels);
    running.send_all(&channels.map(|channel| (channel, 1.0)));
    for _ in channels {
        device.receive(&mut running);
    }
    // `ch0.note61` is a source now, and no target any more.
    let mappings = [
        ("probe.ch1.cc64", "midi.ch1.cc64"),
        ("probe.ch3.velocity", "midi.ch3.velocity"),
        ("probe.ch0.note60", "midi.ch0.note60"),
        ("midi.ch0.note61", "probe.x"),
    ];
    adopt(&mut running, show(SYNTH, &mappings));
    for expected in [
        "Note on channel=0 note=61 velocity=0",
        "Note on channel=2 note=60 velocity=0",
        "Control change channel=0 param=64 value=0",
    ] {
        assert_eq!(device.receive(&mut running), expected);
    }
    device.receives_nothing();
    // The end of the show releases the rest, and nothing twice.
    running.finish();
    for expected in [
        "Note on channel=0 note=60 velocity=0",
        "Note on channel=3 note=60 velocity=0",
        "Control change channel=1 param=64 value=0",
    ] {
        assert_eq!(device.receive(&mut running), expected);
    }
    device.receives_nothing();
}

#[test]
fn another_spelling_of_a_channel_is_the_same_channel() {
    let (mut running, device) = sending(&[], &["ch0.note60"]);
    running.send("ch0.note60", 1.0);
    device.receive(&mut running);
    adopt(&mut running, show(SYNTH, &[("probe.key", "midi.channel0.note60")]));
    device.receives_nothing();
    running.send("key", 0.0);
    assert_eq!(device.receive(&mut running), "Note on channel=0 note=60 velocity=0");
}

#[test]
fn the_clock_runs_on_until_its_channel_goes() {
    let (mut running, device) = sending(&[], &["tempo"]);
    running.send("tempo", 1.0);
    assert_eq!(device.receive(&mut running), "Clock queue=0");
    adopt(&mut running, show(SYNTH, &[("probe.cc", "midi.ch0.cc1"), ("probe.t", "midi.tempo")]));
    for _ in 0..12 {
        assert_eq!(device.receive(&mut running), "Clock queue=0");
    }
    adopt(&mut running, show(SYNTH, &[("probe.cc", "midi.ch0.cc1")]));
    let pool = device.client.get_any_client_pool(port_of(&device).client).expect("a pool");
    assert_eq!(pool.output_free, pool.output_pool, "no clock is scheduled");
}

#[test]
fn held_notes_are_released_on_channels_that_stay_and_forgotten_on_others() {
    let (mut running, keys) = receiving(&["ch0.note60", "ch0.note61", "ch0.cc64"]);
    for note in [60, 61] {
        keys.send(Event::note_on(0, note, 127).expect("valid"));
    }
    keys.send(Event::control_change(0, 64, 127).expect("valid"));
    assert_eq!(running.receive(3).len(), 3);
    adopt(&mut running, show(KEYS, &[("midi.ch0.note61", "probe.b")]));
    // The router releases the targets of the mappings that are gone.
    let released = [("ch0.note60", 0.0), ("ch0.note61", 0.0)];
    assert_eq!(running.receive(2), pairs(&released));
    // Mapped again, but what was held before is forgotten.
    let mappings = [("midi.ch0.note60", "probe.a"), ("midi.ch0.note61", "probe.b")];
    adopt(&mut running, show(KEYS, &mappings));
    assert_eq!(running.received(), [], "nothing is emitted by a reload");
    drop(keys);
    running.until_state("midi", "waiting");
    assert_eq!(running.received(), pairs(&[("b", 0.0)]));
    assert_eq!(running.router.handle().live().unmatched_count(running.id("midi")), 0);
}

#[test]
fn output_options_are_live() {
    let (mut running, device) = sending(&[], &["ch0.note60", "ch0.rpn1"]);
    let mappings = [("probe.ch0.note60", "midi.ch0.note60"), ("probe.ch0.rpn1", "midi.ch0.rpn1")];
    running.send("ch0.note60", 1.0);
    device.receive(&mut running);
    let options = [("write", "Synth"), ("note-off", "on"), ("epn-tx", "short")];
    adopt(&mut running, show(&options, &mappings));
    running.send("ch0.note60", 0.0);
    assert_eq!(device.receive(&mut running), "Note off channel=0 note=60 velocity=0");
    running.send("ch0.rpn1", 0.0);
    for (param, value) in [(101, 0), (100, 1), (6, 0), (38, 0)] {
        let expected = format!("Control change channel=0 param={param} value={value}");
        assert_eq!(device.receive(&mut running), expected);
    }
    device.receives_nothing();
}

#[test]
fn detect_is_live() {
    let (mut running, keys) = receiving(&["ch0.cc1"]);
    let (log, _guard) = Log::start();
    let mappings = [("midi.ch0.cc1", "probe.ch0.cc1")];
    for (detect, lines) in [("on", 1), ("off", 1), ("on", 2)] {
        adopt(&mut running, backend_show(&[("detect", detect)], KEYS, &mappings));
        keys.send(Event::control_change(0, 1, 127).expect("valid"));
        assert_eq!(running.receive(1), pairs(&[("ch0.cc1", 1.0)]));
        assert_eq!(log.count(&["detected `midi.ch0.cc1`"]), lines, "detect = {detect}");
    }
}

#[test]
fn another_output_device_is_connected_after_a_release() {
    let engine = engine();
    let (one, two) = (Device::new(&engine, "One"), Device::new(&engine, "Two"));
    let mappings = [("probe.note", "midi.ch0.note60"), ("probe.pedal", "midi.ch0.cc64")];
    let mut running = show(&[("write", "One")], &mappings).start();
    running.until_state("midi", "up");
    let port = port_of(&one);
    running.send_all(&[("note", 1.0), ("pedal", 1.0)]);
    one.receive(&mut running);
    one.receive(&mut running);
    adopt(&mut running, show(&[("write", "Two")], &mappings));
    assert_eq!(running.state("midi"), State::Up);
    assert_eq!(one.receive(&mut running), "Note on channel=0 note=60 velocity=0");
    assert_eq!(one.receive(&mut running), "Control change channel=0 param=64 value=0");
    assert_eq!(port_of(&two), port, "the port stays");
    two.receives_nothing();
    running.send("note", 0.5);
    assert_eq!(two.receive(&mut running), "Note on channel=0 note=60 velocity=64");
    one.receives_nothing();
    // Another name of the same device changes nothing.
    let address = two.port.address().to_string();
    adopt(&mut running, show(&[("write", &address)], &mappings));
    two.receives_nothing();
    running.send("note", 0.0);
    assert_eq!(two.receive(&mut running), "Note on channel=0 note=60 velocity=0");
    // A device that is missing is waited for; none at all is not.
    adopt(&mut running, show(&[("write", "Three")], &mappings));
    let State::Waiting(reason) = running.state("midi") else { panic!("it does not wait") };
    assert!(reason.contains("no device `Three` to write to"), "{reason}");
    running.send("note", 1.0);
    two.receives_nothing();
    let three = Device::new(&engine, "Three");
    running.until_state("midi", "up");
    running.send("note", 1.0);
    assert_eq!(three.receive(&mut running), "Note on channel=0 note=60 velocity=127");
    adopt(&mut running, show(&[], &mappings));
    assert_eq!(running.state("midi"), State::Up);
    assert_eq!(three.receive(&mut running), "Note on channel=0 note=60 velocity=0");
}

#[test]
fn a_device_that_does_not_read_is_disconnected_later() {
    let engine = engine();
    let (one, two) = (Device::new(&engine, "One"), Device::new(&engine, "Two"));
    let mappings = [("probe.cc", "midi.ch0.cc1")];
    let mut running = show(&[("write", "One")], &mappings).start();
    running.until_state("midi", "up");
    // The pool of the first device holds 2,000 events.
    for _ in 0..21 {
        running.send_all(&vec![("cc", 0.5); 100]);
    }
    adopt(&mut running, show(&[("write", "Two")], &mappings));
    let is_connected =
        |device: &Device| !device.port.list_subscribers(None).expect("a list").is_empty();
    // Output waits for it, unless the machine was so slow that it was dropped already.
    assert!(is_connected(&one) || running.counters("midi").dropped > 0);
    running.until("the first device to be disconnected", |_| !is_connected(&one));
    assert!(is_connected(&two));
}

#[test]
fn what_a_replaced_input_device_holds_is_released() {
    let engine = engine();
    let (one, two) = (Device::new(&engine, "One"), Device::new(&engine, "Two"));
    let mappings = [("midi.ch0.note60", "probe.note")];
    let mut running = show(&[("read", "One")], &mappings).start();
    running.until_state("midi", "up");
    one.send(Event::note_on(0, 60, 127).expect("valid"));
    assert_eq!(running.receive(1), pairs(&[("note", 1.0)]));
    adopt(&mut running, show(&[("read", "Two")], &mappings));
    assert_eq!(running.received(), [], "a reload emits nothing itself");
    assert_eq!(running.receive(1), pairs(&[("note", 0.0)]));
    one.send(Event::note_on(0, 60, 127).expect("valid"));
    two.send(Event::note_on(0, 60, 64).expect("valid"));
    assert_eq!(running.receive(1), pairs(&[("note", 64.0 / 127.0)]));
    assert_eq!(running.state("midi"), State::Up);
}

#[test]
fn a_clock_mapping_that_is_added_finds_the_position() {
    let (mut running, device) = receiving(&["ch0.cc1"]);
    let clocks = |count| {
        for _ in 0..count {
            device.send(Event::new(Payload::Clock { queue: 0 }));
        }
    };
    device.send(Event::new(Payload::Start { queue: 0 }));
    clocks(20);
    device.send(Event::control_change(0, 1, 127).expect("valid"));
    assert_eq!(running.receive(1), pairs(&[("ch0.cc1", 1.0)]));
    adopt(&mut running, show(KEYS, &[("midi.clock", "probe.clock")]));
    clocks(5);
    let positions: Vec<f64> =
        running.receive(5).iter().map(|(_, value)| (value * 24.0).round()).collect();
    assert_eq!(positions, [20.0, 21.0, 22.0, 23.0, 0.0]);
}

#[test]
fn another_client_name_restarts_the_instances_with_another_client() {
    let (mut running, device) = sending(&[], &["ch0.note60"]);
    running.send("ch0.note60", 1.0);
    device.receive(&mut running);
    let mappings = [("probe.ch0.note60", "midi.ch0.note60")];
    let adoption = running.adopt(backend_show(&[("name", "Other")], SYNTH, &mappings));
    assert_eq!(adoption.restarted, ["midi"]);
    assert_eq!(device.receive(&mut running), "Note on channel=0 note=60 velocity=0");
    running.until_state("midi", "up");
    assert!(device.client.find_port("Consort:midi").is_err(), "the old client is closed");
    assert!(device.client.find_port("Other:midi").is_ok());
    running.send("ch0.note60", 0.5);
    assert_eq!(device.receive(&mut running), "Note on channel=0 note=60 velocity=64");
    device.receives_nothing();
}

#[test]
fn one_of_two_instances_changes_and_the_other_goes_on() {
    let engine = engine();
    let (keys, synth) = (Device::new(&engine, "Keys"), Device::new(&engine, "Synth"));
    let make = |note_off: &str| {
        let mut test = TestShow::new();
        test.instance(&DESCRIPTOR, "keys", &[("read", "Keys")]);
        test.instance(&DESCRIPTOR, "synth", &[("write", "Synth"), ("note-off", note_off)]);
        test.map("keys.ch0.note60", "synth.ch0.note60");
        test
    };
    let mut running = make("off").start();
    running.until_state("keys", "up");
    running.until_state("synth", "up");
    keys.send(Event::note_on(0, 60, 100).expect("valid"));
    assert_eq!(synth.receive(&mut running), "Note on channel=0 note=60 velocity=100");
    let adoption = running.adopt(make("on"));
    assert_eq!(adoption.adopted, ["probe", "keys", "synth"]);
    keys.send(Event::note_off(0, 60, 0).expect("valid"));
    assert_eq!(synth.receive(&mut running), "Note off channel=0 note=60 velocity=0");
}
