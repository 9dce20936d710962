//! Missing devices, invalid input, full receivers and overruns.
#![allow(clippy::print_stdout)] // The figure of the flood is part of the result.

use consort_router::config::{Severity, load_text};
use consort_router::testing::TestShow;
use consort_router::{State, Usage};
use consort_seq::{Engine, Event};

use super::super::DESCRIPTOR;
use super::{Device, ENGINE, engine, pairs, receiving, sending};
use crate::test_log::Log;

#[test]
fn an_overrun_is_counted_and_releases_held_notes() {
    let (mut show, device) = receiving(&["ch0.note60", "ch0.cc1"]);
    device.send(Event::note_on(0, 60, 127).expect("valid"));
    assert_eq!(show.receive(1), pairs(&[("ch0.note60", 1.0)]));
    // The show does not run meanwhile, so its pool of 2,000 cells fills up.
    let mut event = Event::control_change(0, 1, 1).expect("valid");
    event.set_source(device.port.address());
    let mut refused = 0;
    for _ in 0..2_100 {
        device.client.event_output_buffer(&event, &device.port).expect("room");
        if device.client.try_drain_output().expect("drained") > 0 {
            refused += 1;
            device.client.drop_output_buffer().expect("dropped");
        }
    }
    assert!(refused > 0, "the pool did not fill up");
    show.until("the release", |show| show.received().contains(&("ch0.note60".to_owned(), 0.0)));
    let counters = show.counters("midi");
    assert_eq!((counters.dropped, counters.errors), (1, 1), "{counters:?}");
    device.send(Event::control_change(0, 1, 127).expect("valid"));
    show.until("later input", |show| {
        show.received().last().is_some_and(|(_, value)| *value == 1.0)
    });
}

/// Sends more events than the show's pool of 2,000 cells holds, while the show does not run.
fn overrun(device: &Device) {
    let event = Event::control_change(0, 1, 1).expect("valid");
    let is_taken = |_: &u32| {
        device.client.try_event_output_direct(&event, &device.port).expect("no error").is_some()
    };
    assert!((0..2_100).take_while(is_taken).count() < 2_100, "the pool did not fill up");
}

#[test]
fn messages_cut_by_a_loss_are_not_combined_with_later_ones() {
    let (mut show, device) =
        receiving(&["ch0.rpn0", "sysex.F0 7D xx vv F7", "ch0.note60", "ch0.cc7"]);
    let select = [(101, 0), (100, 0), (6, 1), (38, 0)];
    for (param, value) in select {
        device.send(Event::control_change(0, param, value).expect("valid"));
    }
    device.send(Event::system_exclusive(&[0xF0, 0x7D]));
    device.send(Event::note_on(0, 60, 127).expect("valid"));
    assert_eq!(show.receive(2).len(), 2);
    overrun(&device);
    assert_eq!(show.receive(1), pairs(&[("ch0.note60", 0.0)]));
    // A new selection of a parameter, and a part of the message, may have been lost.
    for (param, value) in [(6, 2), (38, 3)] {
        device.send(Event::control_change(0, param, value).expect("valid"));
    }
    device.send(Event::system_exclusive(&[1, 127, 0xF7]));
    device.send(Event::control_change(0, 7, 127).expect("valid"));
    assert_eq!(show.receive(1), pairs(&[("ch0.cc7", 1.0)]));
}

#[test]
fn a_full_receiver_does_not_block_others() {
    let (mut show, device) = sending(&[], &["ch0.cc1"]);
    let other = Device::new(&ENGINE.with_borrow(|engine| engine.clone().expect("set")), "Other");
    let ours = device.client.find_port("Consort:midi").expect("the port").address();
    other.port.connect_from(ours).expect("connected");
    // The first device never reads; its pool holds 2,000.
    let mut received = 0;
    for _ in 0..40 {
        show.send_all(&vec![("ch0.cc1", 0.5); 100]);
        while other.try_receive().is_some() {
            received += 1;
        }
    }
    // Every event once, except that the event at which the pool filled up may arrive twice: it
    // was in the middle of a longer write, of which the sequencer only reports that it was cut.
    assert!((4_000..=4_001).contains(&received), "the other device received {received}");
    assert!(show.counters("midi").dropped > 1_900, "{:?}", show.counters("midi"));

    // If it is the only receiver, the show waits for some time, then drops events.
    other.port.disconnect_from(ours).expect("disconnected");
    show.send_all(&vec![("ch0.cc1", 0.5); 100]);
    let before = show.counters("midi").dropped;
    show.until("the events to be dropped", |show| show.counters("midi").dropped == before + 100);
}

#[test]
fn a_mapping_out_of_range_is_reported_with_the_range() {
    let mut test = TestShow::new();
    test.instance(&DESCRIPTOR, "midi", &[]);
    let error = test.channel("midi.ch16.cc1", Usage::Source).expect_err("out of range");
    assert_eq!(error.message, "MIDI channel 16 is out of range: expected 0 to 15");
    assert_eq!(error.range, Some((2, 4)));
}

#[test]
fn a_second_device_of_one_direction_is_an_error() {
    // Aliases of the option count, too.
    for (first, second, name) in [("read", "source", "read"), ("target", "write", "write")] {
        let text = format!("[midi keys]\n{first} = a\n{second} = b\n");
        let loaded = load_text("show.cfg", &text, &[], &[&DESCRIPTOR]);
        assert!(loaded.show.is_none());
        let message = format!("the option `{name}` is given twice");
        assert_eq!(loaded.diagnostics[0].message, message);
        assert_eq!(loaded.diagnostics[0].severity, Severity::Error);
    }
}

/// The reason for which the instance waits if the sequencer cannot be opened; the show runs.
fn reason_without(engine: Engine) -> String {
    ENGINE.set(Some(engine));
    let mut test = TestShow::new();
    test.instance(&DESCRIPTOR, "midi", &[("read", "Keys")]);
    test.map("probe.cc", "midi.ch0.cc1");
    test.map("probe.tempo", "midi.tempo");
    test.map("probe.cc", "probe.echo");
    let mut show = test.start();
    let State::Waiting(reason) = show.state("midi") else { panic!("{:?}", show.state("midi")) };
    show.send_all(&[("cc", 1.0), ("tempo", 0.4)]);
    assert_eq!(show.receive(1), pairs(&[("echo", 1.0)]), "the show runs");
    assert_eq!(show.counters("midi").dropped, 1);
    show.finish();
    reason
}

#[test]
fn without_a_sequencer_the_instance_waits_and_the_show_runs() {
    let reason = reason_without(Engine::Kernel { path: "/nonexistent/snd/seq".into() });
    assert!(reason.contains("/nonexistent/snd/seq: the device is missing"), "{reason}");
    assert!(reason.contains("modprobe snd-seq"), "the advice: {reason}");
}

#[test]
fn without_permission_the_group_is_named() {
    // Not even root may write to this file.
    let reason = reason_without(Engine::Kernel { path: "/proc/sys/kernel/ostype".into() });
    assert!(reason.contains("permission denied (EACCES)"), "{reason}");
    assert!(reason.contains("group") && reason.contains("`audio`"), "the advice: {reason}");
}

#[test]
fn detect_logs_what_arrives_mapped_or_not() {
    let engine = engine();
    let (log, _guard) = Log::start();
    let keys = Device::new(&engine, "Keys");
    let mut test = TestShow::new();
    test.backend(&DESCRIPTOR, &[("detect", "on")]);
    test.instance(&DESCRIPTOR, "midi", &[("read", "Keys")]);
    test.map("midi.ch0.cc1", "probe.cc");
    let mut show = test.start();
    show.until_state("midi", "up");
    keys.send(Event::control_change(9, 99, 12).expect("valid"));
    keys.send(Event::registered_parameter(4, 1, 8192).expect("valid"));
    keys.send(Event::control_change(0, 1, 127).expect("valid"));
    assert_eq!(show.receive(1), pairs(&[("cc", 1.0)]));
    for (channel, value) in [("ch9.cc99", "0.094"), ("ch0.cc1", "1.000"), ("ch4.rpn1", "0.500")] {
        let line = format!("detected `midi.{channel}` = {value}");
        assert_eq!(log.count(&[&line, "instance=\"midi\""]), 1, "{:#?}", log.lines());
    }
}

/// A twentieth of what the benchmark `midi` sends.
#[test]
fn a_flood_passes_without_loss_and_in_order() {
    let count = 50_000;
    let engine = engine();
    let (keys, synth) = (Device::new(&engine, "Keys"), Device::new(&engine, "Synth"));
    let mut test = TestShow::new();
    test.instance(&DESCRIPTOR, "midi", &[("read", "Keys"), ("write", "Synth")]);
    for channel in 0..16 {
        test.map(&format!("midi.ch{channel}.pitch"), &format!("midi.ch{channel}.pitch"));
    }
    let mut show = test.start();
    show.until_state("midi", "up");
    // 18 bits of a running number: the MIDI channel and its pitch.
    let event = |number: u32| {
        let pitch = (number & 0x3FFF) as i16 - 8_192;
        Event::pitch_bend((number >> 14 & 15) as u8, pitch).expect("valid")
    };
    let (mut sent, mut received) = (0_u32, 0_u32);
    show.until("all events", |_| {
        // The pools hold 2,000.
        while sent < count && sent - received < 1_000 {
            keys.client.event_output(&event(sent), &keys.port).expect("room");
            sent += 1;
        }
        keys.client.drain_output().expect("sent");
        while let Some(next) = synth.try_receive_event() {
            assert_eq!(next.payload(), event(received).payload(), "event {received}");
            received += 1;
        }
        received == count
    });
    synth.receives_nothing();
    let counters = show.counters("midi");
    assert_eq!((counters.dropped, counters.errors), (0, 0), "{counters:?}");
    println!("{count} events through the router: none lost, all in order");
}
