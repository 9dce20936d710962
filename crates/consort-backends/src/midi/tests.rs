//! The backend against clients of the embedded sequencer.

use std::cell::RefCell;
use std::time::Duration;

use consort_router::testing::{Performance, Stage};
use consort_router::{State, Usage};
use consort_seq::{ClockKind, Embedded, Event, EventType, Payload, Port, SequencerClient};
use proptest::prelude::*;

use super::DESCRIPTOR;

thread_local! {
    /// The sequencer of the test that runs on this thread.
    pub(super) static ENGINE: RefCell<Option<Embedded>> = const { RefCell::new(None) };
}

/// A sequencer of this test's own, which the backend uses too.
fn engine(clock: ClockKind) -> Embedded {
    let engine = Embedded::new(clock);
    ENGINE.set(Some(engine.clone()));
    engine
}

/// A device: a client with one port.
struct Device {
    client: SequencerClient,
    port: Port,
}

impl Device {
    fn new(engine: &Embedded, name: &str) -> Self {
        let builder = SequencerClient::builder(name).engine(engine.clone());
        let client = builder.open().expect("a client");
        client.set_client_pool_input(2_000).expect("a pool");
        let port = client.create_port(format!("{name} port")).expect("a port");
        Device { client, port }
    }

    fn send(&self, event: Event) {
        self.client.event_output_direct(&event, &self.port).expect("sent");
    }

    fn try_hear(&self) -> Option<String> {
        while let Some(event) = self.client.try_event_input().expect("input") {
            let kind = event.event_type();
            if ![EventType::PORT_SUBSCRIBED, EventType::PORT_UNSUBSCRIBED].contains(&kind) {
                return Some(event.payload().to_string());
            }
        }
        None
    }

    /// What it hears next while the show runs, as text, without notices of connections.
    fn hear(&self, show: &mut Performance) -> String {
        let mut heard = None;
        show.until("the device to hear something", |_| {
            heard = self.try_hear();
            heard.is_some()
        });
        heard.expect("until says so")
    }

    fn hears_nothing(&self) {
        assert_eq!(self.try_hear(), None);
    }
}

/// A show that receives from a device.
fn receiving(channels: &[&str]) -> (Performance, Device) {
    let engine = engine(ClockKind::Real);
    let device = Device::new(&engine, "Keys");
    let mut stage = Stage::new();
    stage.instance(&DESCRIPTOR, "midi", &[("read", "Keys")]);
    for channel in channels {
        stage.map(&format!("midi.{channel}"), &format!("probe.{channel}"));
    }
    let mut show = stage.start();
    show.until_state("midi", "up");
    (show, device)
}

/// A show that sends to a device.
fn sending(options: &[(&str, &str)], channels: &[&str]) -> (Performance, Device) {
    let engine = engine(ClockKind::Real);
    let device = Device::new(&engine, "Synth");
    let mut stage = Stage::new();
    let mut all = vec![("write", "Synth")];
    all.extend(options);
    stage.instance(&DESCRIPTOR, "midi", &all);
    for channel in channels {
        stage.map(&format!("probe.{channel}"), &format!("midi.{channel}"));
    }
    let mut show = stage.start();
    show.until_state("midi", "up");
    (show, device)
}

fn pairs(expected: &[(&str, f64)]) -> Vec<(String, f64)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

#[test]
fn every_kind_of_message_arrives_on_its_channel() {
    let channels = [
        "ch0.cc7",
        "ch0.note60",
        "ch1.pressure61",
        "ch2.pitch",
        "ch3.aftertouch",
        "ch4.program",
        "position",
        "song",
        "start",
        "stop",
        "continue",
    ];
    let (mut show, device) = receiving(&channels);
    device.send(Event::control_change(0, 7, 127).expect("valid"));
    device.send(Event::note_on(0, 60, 127).expect("valid"));
    device.send(Event::note_off(0, 60, 64).expect("valid"));
    device.send(Event::key_pressure(1, 61, 0).expect("valid"));
    device.send(Event::pitch_bend(2, 8191).expect("valid"));
    device.send(Event::channel_pressure(3, 127).expect("valid"));
    device.send(Event::program_change(4, 127).expect("valid"));
    device.send(Event::song_position(16_383).expect("valid"));
    device.send(Event::song_select(127).expect("valid"));
    device.send(Event::new(Payload::Start { queue: 0 }));
    device.send(Event::new(Payload::Stop { queue: 0 }));
    device.send(Event::new(Payload::Continue { queue: 0 }));
    let expected = pairs(&[
        ("ch0.cc7", 1.0),
        ("ch0.note60", 1.0),
        ("ch0.note60", 0.0),
        ("ch1.pressure61", 0.0),
        ("ch2.pitch", 1.0),
        ("ch3.aftertouch", 1.0),
        ("ch4.program", 1.0),
        ("position", 1.0),
        ("song", 1.0),
        ("start", 1.0),
        ("stop", 1.0),
        ("continue", 1.0),
    ]);
    assert_eq!(show.receive(12), expected);
}

#[test]
fn every_kind_of_message_is_sent() {
    let channels = [
        "ch0.cc7",
        "channel0.note60",
        "ch1.pressure61",
        "ch2.pitch",
        "ch3.aftertouch",
        "ch4.program",
        "position",
        "song",
        "start",
        "clock",
        "sysex.F0 7D 01 vv F7",
    ];
    let (mut show, device) = sending(&[], &channels);
    for (channel, expected) in channels.iter().zip([
        "Control change channel=0 param=7 value=127",
        "Note on channel=0 note=60 velocity=127",
        "Key pressure channel=1 note=61 velocity=127",
        "Pitch bend channel=2 value=8191",
        "Channel pressure channel=3 value=127",
        "Program change channel=4 value=127",
        "Song position 16383",
        "Song select 127",
        "Start queue=0",
        "Clock queue=0",
        "System exclusive f0 7d 01 7f f7",
    ]) {
        show.send(channel, 1.0);
        assert_eq!(device.hear(&mut show), expected, "{channel}");
    }
    show.send("channel0.note60", 0.0);
    assert_eq!(device.hear(&mut show), "Note on channel=0 note=60 velocity=0");
    show.send("start", 0.0);
    device.hears_nothing();
}

#[test]
fn note_off_sends_real_note_offs() {
    let (mut show, device) = sending(&[("note-off", "on")], &["ch9.note36"]);
    show.send("ch9.note36", 0.5);
    assert_eq!(device.hear(&mut show), "Note on channel=9 note=36 velocity=64");
    show.send("ch9.note36", 0.0);
    assert_eq!(device.hear(&mut show), "Note off channel=9 note=36 velocity=0");
}

#[test]
fn parameters_travel_as_controllers() {
    let (mut show, device) = sending(&[], &["ch0.nrpn900", "ch0.rpn1"]);
    show.send("ch0.nrpn900", 1.0);
    let heard: Vec<String> = (0..6).map(|_| device.hear(&mut show)).collect();
    let control = |(param, value)| format!("Control change channel=0 param={param} value={value}");
    let expected = [(99, 7), (98, 4), (6, 127), (38, 127), (101, 127), (100, 127)];
    assert_eq!(heard, expected.map(control));

    let (mut show, device) = sending(&[("epn-tx", "short")], &["ch0.rpn1"]);
    show.send("ch0.rpn1", 0.0);
    let heard: Vec<String> = (0..4).map(|_| device.hear(&mut show)).collect();
    assert_eq!(heard, [(101, 0), (100, 1), (6, 0), (38, 0)].map(control));
    device.hears_nothing();

    let (mut show, device) = receiving(&["ch3.nrpn900", "ch3.rpn2"]);
    for (param, value) in [(99, 7), (98, 4), (6, 127), (38, 127)] {
        device.send(Event::control_change(3, param, value).expect("valid"));
    }
    device.send(Event::registered_parameter(3, 2, 0).expect("valid"));
    assert_eq!(show.receive(2), pairs(&[("ch3.nrpn900", 1.0), ("ch3.rpn2", 0.0)]));
}

#[test]
fn the_last_note_is_told_and_can_be_played() {
    let (mut show, device) = receiving(&["ch0.notenumber", "ch0.velocity"]);
    device.send(Event::note_on(0, 127, 127).expect("valid"));
    device.send(Event::note_off(0, 127, 0).expect("valid"));
    let expected = [
        ("ch0.notenumber", 1.0),
        ("ch0.velocity", 1.0),
        ("ch0.notenumber", 1.0),
        ("ch0.velocity", 0.0),
    ];
    assert_eq!(show.receive(4), pairs(&expected));

    let (mut show, device) = sending(&[], &["ch0.notenumber", "ch0.velocity"]);
    show.send_all(&[("ch0.notenumber", 64.0 / 127.0), ("ch0.velocity", 1.0)]);
    assert_eq!(device.hear(&mut show), "Note on channel=0 note=64 velocity=127");
    show.send_all(&[("ch0.notenumber", 65.0 / 127.0), ("ch0.velocity", 1.0)]);
    assert_eq!(device.hear(&mut show), "Note on channel=0 note=64 velocity=0");
    assert_eq!(device.hear(&mut show), "Note on channel=0 note=65 velocity=127");
    show.send("ch0.velocity", 0.0);
    assert_eq!(device.hear(&mut show), "Note on channel=0 note=65 velocity=0");
}

#[test]
fn the_end_of_the_show_and_panic_leave_no_note_hanging() {
    let (mut show, device) = sending(&[], &["ch0.note60", "ch5.note70", "ch5.panic"]);
    show.send_all(&[("ch0.note60", 1.0), ("ch5.note70", 1.0)]);
    device.hear(&mut show);
    device.hear(&mut show);
    show.send("ch5.panic", 1.0);
    assert_eq!(device.hear(&mut show), "Note on channel=5 note=70 velocity=0");
    for controller in [64, 120, 123] {
        let expected = format!("Control change channel=5 param={controller} value=0");
        assert_eq!(device.hear(&mut show), expected);
    }
    show.finish();
    assert_eq!(device.hear(&mut show), "Note on channel=0 note=60 velocity=0");
    device.hears_nothing();
}

#[test]
fn a_device_vanishes_mid_note_and_returns_with_another_number_a_hundred_times() {
    let engine = engine(ClockKind::Real);
    let synth = Device::new(&engine, "Synth");
    let mut stage = Stage::new();
    stage.instance(&DESCRIPTOR, "keys", &[("read", "Hot Keys")]);
    stage.instance(&DESCRIPTOR, "synth", &[("write", "Synth")]);
    stage.map("keys.ch0.note60", "synth.ch1.note72");
    let mut show = stage.start();
    show.until_state("synth", "up");
    let State::Waiting(reason) = show.state("keys") else { panic!("the device is not there") };
    assert!(reason.contains("`Hot Keys`") && reason.contains("Synth:Synth port"), "{reason}");
    let mut placeholders = Vec::new();
    let mut numbers = std::collections::HashSet::new();
    for round in 0..100 {
        let device = Device::new(&engine, "Hot Keys");
        numbers.insert(device.client.client_id());
        show.until_state("keys", "up");
        device.send(Event::note_on(0, 60, 100).expect("valid"));
        assert_eq!(
            synth.hear(&mut show),
            "Note on channel=1 note=72 velocity=100",
            "round {round}"
        );
        drop(device);
        // Somebody else takes the number.
        if placeholders.len() == 40 {
            placeholders.clear();
        }
        placeholders.push(Device::new(&engine, "Somebody else"));
        show.until_state("keys", "waiting");
        assert_eq!(synth.hear(&mut show), "Note on channel=1 note=72 velocity=0", "round {round}");
    }
    assert!(numbers.len() > 30, "the numbers changed: {numbers:?}");
    synth.hears_nothing();
}

#[test]
fn a_connection_made_by_others_counts_too_and_two_sources_hold_a_note_together() {
    let engine = engine(ClockKind::Real);
    let (one, two) = (Device::new(&engine, "One"), Device::new(&engine, "Two"));
    let mut stage = Stage::new();
    stage.backend(&DESCRIPTOR, &[("name", "Stage")]);
    stage.instance(&DESCRIPTOR, "midi", &[]);
    stage.map("midi.ch0.note60", "probe.note");
    let mut show = stage.start();
    show.until_state("midi", "up");
    let ours = one.client.find_port("Stage:midi").expect("the virtual port").address();
    one.port.connect_to(ours).expect("connected");
    two.port.connect_to(ours).expect("connected");
    one.send(Event::note_on(0, 60, 127).expect("valid"));
    two.send(Event::note_on(0, 60, 127).expect("valid"));
    assert_eq!(show.receive(2), pairs(&[("note", 1.0), ("note", 1.0)]));
    one.port.disconnect_to(ours).expect("disconnected");
    two.send(Event::note_on(0, 60, 127).expect("valid"));
    assert_eq!(show.receive(1), pairs(&[("note", 1.0)]), "not released: the other holds it");
    drop(two);
    assert_eq!(show.receive(1), pairs(&[("note", 0.0)]));
}

#[test]
fn an_overrun_is_counted_and_releases_held_notes() {
    let (mut show, device) = receiving(&["ch0.note60", "ch0.cc1"]);
    device.send(Event::note_on(0, 60, 127).expect("valid"));
    assert_eq!(show.receive(1), pairs(&[("ch0.note60", 1.0)]));
    // The show does not turn: its pool of 2,000 fills up.
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
    show.until("the release", |show| {
        show.received().iter().any(|it| it == &("ch0.note60".to_owned(), 0.0))
    });
    let counters = show.counters("midi");
    assert_eq!((counters.dropped, counters.errors), (1, 1), "{counters:?}");
    device.send(Event::control_change(0, 1, 127).expect("valid"));
    show.until("later input", |show| show.received().last().is_some_and(|it| it.1 == 1.0));
}

#[test]
fn a_receiver_that_is_stuck_holds_up_nobody() {
    let (mut show, device) = sending(&[], &["ch0.cc1"]);
    let other = Device::new(&ENGINE.with_borrow(|it| it.clone().expect("set")), "Other");
    let ours = device.client.find_port("Consort:midi").expect("the port").address();
    other.port.connect_from(ours).expect("connected");
    // The first device never reads; its pool holds 2,000.
    let mut heard = 0;
    for _ in 0..40 {
        show.send_all(&vec![("ch0.cc1", 0.5); 100]);
        while other.try_hear().is_some() {
            heard += 1;
        }
    }
    // Everything once; but the event at which the pool filled up was the end of a longer write,
    // of which the sequencer only says that it ended early, so that it is written again.
    assert!((4_000..=4_001).contains(&heard), "the other device heard {heard}");
    assert!(show.counters("midi").dropped > 1_900, "{:?}", show.counters("midi"));

    // Alone, it is given some time, and then what it does not take is dropped.
    other.port.disconnect_from(ours).expect("disconnected");
    show.send_all(&vec![("ch0.cc1", 0.5); 100]);
    let before = show.counters("midi").dropped;
    show.until("the end of patience", |show| show.counters("midi").dropped == before + 100);
}

#[test]
fn a_mapping_out_of_range_is_told_with_the_range() {
    let mut stage = Stage::new();
    stage.instance(&DESCRIPTOR, "midi", &[]);
    let error = stage.channel("midi.ch16.cc1", Usage::Source).expect_err("out of range");
    assert_eq!(error.message, "MIDI channel 16 is out of range: expected 0 to 15");
    assert_eq!(error.range, Some((2, 4)));
}

#[test]
fn a_second_device_of_one_direction_is_an_error() {
    let mut stage = Stage::new();
    let options = [("read", "a"), ("read", "b")];
    let problems = stage.try_instance(&DESCRIPTOR, "midi", &options).expect_err("twice");
    assert_eq!(problems[0].message, "`read` is given twice");
}

#[test]
fn clock_out_has_its_tempo_on_the_virtual_clock() {
    let engine = engine(ClockKind::Virtual);
    let device = Device::new(&engine, "Drums");
    let queue = device.client.create_queue("stamps").expect("a queue");
    queue.start_now().expect("started");
    let mut stage = Stage::new();
    stage.instance(&DESCRIPTOR, "midi", &[]);
    stage.map("probe.tempo", "midi.tempo");
    let mut show = stage.start();
    show.until_state("midi", "up");
    let ours = device.client.find_port("Consort:midi").expect("the port").address();
    let stamps = consort_seq::SubscribeOptions::new().stamp_real_time(&queue);
    device.port.connect_from_with(ours, stamps).expect("connected");
    // 120 quarter notes a minute: 48 clocks a second.
    show.send("tempo", 120.0 / 300.0);
    let mut times = Vec::new();
    while times.len() < 97 {
        // Half of what is handed over in advance, so that no clock is late.
        engine.advance(Duration::from_millis(1));
        let due = engine.next_due();
        if due.is_none_or(|due| due > Duration::from_millis(30)) {
            let before = engine.queues_listing();
            show.until("more clocks", |_| {
                engine.next_due().is_some_and(|due| due <= Duration::from_millis(30))
                    || engine.queues_listing() != before
            });
        }
        while let Some(event) = device.client.try_event_input().expect("input") {
            if event.event_type() == EventType::CLOCK {
                times.push(event.real_time().expect("a stamp").as_nanoseconds());
            }
        }
    }
    let steps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().all(|step| (20_833_300..=20_833_400).contains(step)), "{steps:?}");
    show.send("tempo", 0.0);
    assert_eq!(engine.next_due(), None, "the clocks that were handed over are taken back");
}

#[test]
fn clock_and_time_code_come_in() {
    let (mut show, device) = receiving(&["clock", "beat", "timecode.seconds"]);
    device.send(Event::new(Payload::Start { queue: 0 }));
    for _ in 0..25 {
        device.send(Event::new(Payload::Clock { queue: 0 }));
    }
    let values = show.receive(28);
    let beats: Vec<f64> = values.iter().filter(|(name, _)| name == "beat").map(|it| it.1).collect();
    assert_eq!(beats, [1.0, 0.0, 1.0]);
    let places: Vec<f64> =
        values.iter().filter(|(name, _)| name == "clock").map(|it| it.1 * 24.0).collect();
    assert!(places.iter().enumerate().all(|(at, place)| (place - (at % 24) as f64).abs() < 1e-9));
    // 00:00:59:00 at 25 frames a second.
    for byte in [0x00, 0x10, 0x2B, 0x33, 0x40, 0x50, 0x60, 0x72] {
        device.send(Event::quarter_frame(byte).expect("valid"));
    }
    assert_eq!(show.receive(1), pairs(&[("timecode.seconds", 1.0)]));
}

#[test]
fn system_exclusive_messages_come_in_parts_too() {
    let (mut show, device) = receiving(&["sysex.F0 7D xx vv F7"]);
    device.send(Event::system_exclusive(&[0xF0, 0x7D]));
    device.send(Event::system_exclusive(&[5, 127, 0xF7]));
    assert_eq!(show.receive(1), pairs(&[("sysex.F0 7D xx vv F7", 1.0)]));
}

#[test]
fn without_a_sequencer_the_instance_waits_and_the_show_runs() {
    ENGINE.set(None);
    if std::path::Path::new(consort_seq::engine::KERNEL_DEVICE).exists() {
        // There is one here; the missing one is tested where there is none.
        return;
    }
    let mut stage = Stage::new();
    stage.backend(&DESCRIPTOR, &[("engine", "kernel")]);
    stage.instance(&DESCRIPTOR, "midi", &[]);
    stage.map("probe.cc", "midi.ch0.cc1");
    let mut show = stage.start();
    let State::Waiting(reason) = show.state("midi") else { panic!("there is no sequencer") };
    assert!(reason.contains("/dev/snd/seq") && reason.contains("modprobe"), "{reason}");
    show.send("cc", 1.0);
    assert_eq!(show.counters("midi").dropped, 1);
    show.finish();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// MIDI in → router → MIDI out gives the same bytes, also through 14 bits.
    #[test]
    fn values_pass_the_router_without_loss(
        sevens in prop::collection::vec(0_u8..128, 1..40),
        bends in prop::collection::vec(-8192_i16..8192, 1..40),
        parameters in prop::collection::vec(0_u16..16_384, 1..10),
    ) {
        let engine = engine(ClockKind::Real);
        let (keys, synth) = (Device::new(&engine, "Keys"), Device::new(&engine, "Synth"));
        let mut stage = Stage::new();
        stage.instance(&DESCRIPTOR, "midi", &[("read", "Keys"), ("write", "Synth")]);
        for channel in ["ch0.cc7", "ch0.pitch", "ch0.nrpn5"] {
            stage.map(&format!("midi.{channel}"), &format!("midi.{channel}"));
        }
        let mut show = stage.start();
        show.until_state("midi", "up");
        let mut hear = |expected: &Event| {
            assert_eq!(synth.hear(&mut show), expected.payload().to_string());
        };
        for value in sevens {
            let event = Event::control_change(0, 7, value).expect("valid");
            keys.send(event.clone());
            hear(&event);
        }
        for value in bends {
            let event = Event::pitch_bend(0, value).expect("valid");
            keys.send(event.clone());
            hear(&event);
        }
        for value in parameters {
            keys.send(Event::non_registered_parameter(0, 5, value).expect("valid"));
            for (param, value) in super::parameters::parameter_output(false, 5, value, true) {
                hear(&Event::control_change(0, param, value).expect("valid"));
            }
        }
    }
}
