//! Every kind of message, in and out.

use std::cell::RefCell;
use std::rc::Rc;

use consort_router::testing::TestShow;
use consort_router::{ChannelKind, Resolution};
use consort_seq::{Event, Payload};
use proptest::prelude::*;

use super::super::DESCRIPTOR;
use super::super::fuzz::midi_input;
use super::{Device, ENGINE, engine, pairs, receiving, sending};
use crate::midi_grammar::channels::parse;
use crate::midi_grammar::parameters::parameter_output;

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
        assert_eq!(device.receive(&mut show), expected, "{channel}");
    }
    show.send("channel0.note60", 0.0);
    assert_eq!(device.receive(&mut show), "Note on channel=0 note=60 velocity=0");
    show.send("start", 0.0);
    device.receives_nothing();
}

#[test]
fn note_off_sends_real_note_offs() {
    let (mut show, device) = sending(&[("note-off", "on")], &["ch9.note36"]);
    show.send("ch9.note36", 0.5);
    assert_eq!(device.receive(&mut show), "Note on channel=9 note=36 velocity=64");
    show.send("ch9.note36", 0.0);
    assert_eq!(device.receive(&mut show), "Note off channel=9 note=36 velocity=0");
}

#[test]
fn parameters_travel_as_controllers() {
    let (mut show, device) = sending(&[], &["ch0.nrpn900", "ch0.rpn1"]);
    show.send("ch0.nrpn900", 1.0);
    let received: Vec<String> = (0..6).map(|_| device.receive(&mut show)).collect();
    let control = |(param, value)| format!("Control change channel=0 param={param} value={value}");
    let expected = [(99, 7), (98, 4), (6, 127), (38, 127), (101, 127), (100, 127)];
    assert_eq!(received, expected.map(control));

    // The next show must not find the device of this one.
    drop((show, device));
    let (mut show, device) = sending(&[("epn-tx", "short")], &["ch0.rpn1"]);
    show.send("ch0.rpn1", 0.0);
    let received: Vec<String> = (0..4).map(|_| device.receive(&mut show)).collect();
    assert_eq!(received, [(101, 0), (100, 1), (6, 0), (38, 0)].map(control));
    device.receives_nothing();

    let (mut show, device) = receiving(&["ch3.nrpn900", "ch3.rpn2"]);
    for (param, value) in [(99, 7), (98, 4), (6, 127), (38, 127)] {
        device.send(Event::control_change(3, param, value).expect("valid"));
    }
    device.send(Event::registered_parameter(3, 2, 0).expect("valid"));
    assert_eq!(show.receive(2), pairs(&[("ch3.nrpn900", 1.0), ("ch3.rpn2", 0.0)]));
}

/// Many devices send only the upper half of a parameter (controller 6, never 38). The first value
/// arrives when it is clear that no lower half follows, later ones at once.
#[test]
fn parameters_of_seven_bits_arrive_too() {
    let (mut show, device) = receiving(&["ch3.nrpn900", "ch3.nrpn901", "ch3.cc1"]);
    let send = |pairs: &[(u8, u8)]| {
        for (param, value) in pairs {
            device.send(Event::control_change(3, *param, *value).expect("valid"));
        }
    };
    send(&[(99, 7), (98, 4), (6, 0), (99, 7), (98, 5), (6, 127), (6, 0), (1, 127)]);
    let expected =
        [("ch3.nrpn900", 0.0), ("ch3.nrpn901", 1.0), ("ch3.nrpn901", 0.0), ("ch3.cc1", 1.0)];
    assert_eq!(show.receive(4), pairs(&expected));
    // A device that sends both halves gives one value.
    send(&[(38, 0), (99, 7), (98, 4), (6, 127), (38, 127), (1, 0)]);
    let expected = [("ch3.nrpn901", 0.0), ("ch3.nrpn900", 1.0), ("ch3.cc1", 0.0)];
    assert_eq!(show.receive(3), pairs(&expected));
}

/// Sequencers send these messages when they stop, keyboards when the panic button is pressed.
#[test]
fn all_notes_off_and_resets_release_what_their_source_holds() {
    let (mut show, device) = receiving(&["ch0.note60", "ch0.note61", "ch1.note60", "ch0.cc64"]);
    let on = |channel, note| device.send(Event::note_on(channel, note, 127).expect("valid"));
    let control = |param, value| {
        device.send(Event::control_change(0, param, value).expect("valid"));
    };
    for controller in [120, 123, 124, 125, 126, 127] {
        on(0, 60);
        on(0, 61);
        on(1, 60);
        control(64, 127);
        assert_eq!(show.receive(4).len(), 4);
        control(controller, 0);
        control(121, 0);
        device.send(Event::note_off(1, 60, 0).expect("valid"));
        let expected =
            [("ch0.note60", 0.0), ("ch0.note61", 0.0), ("ch0.cc64", 0.0), ("ch1.note60", 0.0)];
        assert_eq!(show.receive(4), pairs(&expected), "{controller}");
    }
}

#[test]
fn the_last_note_has_channels_in_and_out() {
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
    assert_eq!(device.receive(&mut show), "Note on channel=0 note=64 velocity=127");
    show.send_all(&[("ch0.notenumber", 65.0 / 127.0), ("ch0.velocity", 1.0)]);
    assert_eq!(device.receive(&mut show), "Note on channel=0 note=64 velocity=0");
    assert_eq!(device.receive(&mut show), "Note on channel=0 note=65 velocity=127");
    show.send("ch0.velocity", 0.0);
    assert_eq!(device.receive(&mut show), "Note on channel=0 note=65 velocity=0");
}

#[test]
fn the_end_of_the_show_and_panic_end_all_notes() {
    let (mut show, device) = sending(&[], &["ch0.note60", "ch5.note70", "ch5.panic"]);
    show.send_all(&[("ch0.note60", 1.0), ("ch5.note70", 1.0)]);
    device.receive(&mut show);
    device.receive(&mut show);
    show.send("ch5.panic", 1.0);
    assert_eq!(device.receive(&mut show), "Note on channel=5 note=70 velocity=0");
    for controller in [64, 120, 123] {
        let expected = format!("Control change channel=5 param={controller} value=0");
        assert_eq!(device.receive(&mut show), expected);
    }
    show.finish();
    assert_eq!(device.receive(&mut show), "Note on channel=0 note=60 velocity=0");
    device.receives_nothing();
}

#[test]
fn the_end_of_the_show_releases_the_pedals() {
    let (mut show, device) = sending(&[], &["ch0.cc64", "ch2.cc66", "ch3.cc64", "ch0.cc65"]);
    let down = [("ch0.cc64", 1.0), ("ch2.cc66", 1.0), ("ch3.cc64", 1.0), ("ch0.cc65", 1.0)];
    show.send_all(&down);
    show.send("ch3.cc64", 0.0);
    for _ in 0..5 {
        device.receive(&mut show);
    }
    show.finish();
    assert_eq!(device.receive(&mut show), "Control change channel=0 param=64 value=0");
    assert_eq!(device.receive(&mut show), "Control change channel=2 param=66 value=0");
    device.receives_nothing();
}

#[test]
fn system_exclusive_messages_are_assembled_from_parts() {
    let (mut show, device) = receiving(&["sysex.F0 7D xx vv F7"]);
    device.send(Event::system_exclusive(&[0xF0, 0x7D]));
    device.send(Event::system_exclusive(&[5, 127, 0xF7]));
    assert_eq!(show.receive(1), pairs(&[("sysex.F0 7D xx vv F7", 1.0)]));
}

#[test]
fn parts_of_messages_of_several_devices_are_kept_apart() {
    let (mut show, one) = receiving(&["sysex.F0 7D xx vv F7"]);
    let two = Device::new(&ENGINE.with_borrow(|engine| engine.clone().expect("set")), "Other");
    let ours = two.client.find_port("Consort:midi").expect("the port").address();
    two.port.connect_to(ours).expect("connected");
    one.send(Event::system_exclusive(&[0xF0, 0x7D, 1]));
    two.send(Event::system_exclusive(&[0xF0, 0x7D, 2]));
    one.send(Event::system_exclusive(&[127, 0xF7]));
    two.send(Event::system_exclusive(&[0, 0xF7]));
    let name = "sysex.F0 7D xx vv F7";
    assert_eq!(show.receive(2), pairs(&[(name, 1.0), (name, 0.0)]));
}

#[test]
fn unmatched_input_is_reported_as_it_could_be_mapped() {
    let (mut show, device) = receiving(&["ch0.cc1"]);
    let unmatched = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&unmatched);
    show.router.observe_unmatched(Box::new(move |_, specification, input| {
        log.borrow_mut().push((specification.to_owned(), input.value.expect("a value")));
    }));
    device.send(Event::control_change(3, 9, 127).expect("valid"));
    device.send(Event::note_on(0, 60, 127).expect("valid"));
    device.send(Event::pitch_bend(1, 8191).expect("valid"));
    device.send(Event::system_exclusive(&[0xF0, 0x7D, 1, 0xF7]));
    let mut dump = [1; 256];
    (dump[0], dump[255]) = (0xF0, 0xF7);
    device.send(Event::system_exclusive(&dump));
    device.send(Event::control_change(0, 1, 127).expect("valid"));
    show.receive(1);
    let long = format!("sysex.F0{} F7", " 01".repeat(254));
    let expected = [
        ("ch3.cc9", 1.0),
        ("ch0.note60", 1.0),
        ("ch1.pitch", 1.0),
        ("sysex.F0 7D 01 F7", 1.0),
        (&long, 1.0),
    ];
    assert_eq!(*unmatched.borrow(), pairs(&expected));
    for (specification, _) in expected {
        assert!(parse(specification).is_ok(), "{specification}");
    }
}

#[test]
fn unmatched_input_has_its_type_raw_value_and_sender() {
    let (mut show, device) = receiving(&["ch0.cc1"]);
    device.send(Event::control_change(3, 9, 12).expect("valid"));
    device.send(Event::control_change(3, 9, 100).expect("valid"));
    device.send(Event::pitch_bend(1, -8192).expect("valid"));
    device.send(Event::new(Payload::Start { queue: 0 }));
    device.send(Event::new(Payload::Clock { queue: 0 }));
    device.send(Event::system_exclusive(&[0xF0, 0x7D, 1, 0xF7]));
    device.send(Event::control_change(0, 1, 127).expect("valid"));
    show.receive(1);
    let live = show.router.handle().live();
    let midi = show.id("midi");
    assert_eq!((live.unmatched_count(midi), live.input(midi).0), (6, 7));
    let mut inputs = live.unmatched(midi);
    inputs.sort_by(|a, b| a.channel.cmp(&b.channel));
    let described: Vec<String> = inputs
        .iter()
        .map(|input| {
            format!(
                "{} {} [{}] x{} from {}",
                input.types, input.channel, input.raw, input.count, input.sender
            )
        })
        .collect();
    let expected = [
        "pitch ch1.pitch [0] x1",
        "cc ch3.cc9 [100] x2",
        "clock clock [] x1",
        "start start [] x1",
        "sysex sysex.F0 7D 01 F7 [4 bytes] x1",
    ];
    assert_eq!(described, expected.map(|input| format!("{input} from Keys:Keys port")));
    assert_eq!(inputs[1].range, Some((12.0, 100.0)));
}

#[test]
fn a_message_with_several_channels_is_matched_by_any_of_them() {
    let (mut show, device) =
        receiving(&["ch0.velocity", "ch1.nrpn900", "beat", "timecode.seconds", "ch0.cc1"]);
    device.send(Event::note_on(0, 60, 127).expect("valid"));
    for (param, value) in [(99, 7), (98, 4), (6, 127), (38, 127)] {
        device.send(Event::control_change(1, param, value).expect("valid"));
    }
    device.send(Event::new(Payload::Clock { queue: 0 }));
    device.send(Event::system_exclusive(&[0xF0, 0x7F, 0x7F, 1, 1, 0, 0, 0, 0, 0xF7]));
    // A parameter that is not mapped is reported as such, once.
    for (param, value) in [(99, 7), (98, 5), (6, 0), (38, 1)] {
        device.send(Event::control_change(1, param, value).expect("valid"));
    }
    device.send(Event::control_change(0, 1, 127).expect("valid"));
    assert_eq!(show.receive(5).len(), 5);
    let unmatched = show.router.handle().live().unmatched(show.id("midi"));
    let described: Vec<_> =
        unmatched.iter().map(|input| (&*input.channel, input.raw.to_string())).collect();
    assert_eq!(described, [("ch1.nrpn901", "1".to_owned())]);
}

#[test]
fn channels_declare_kind_and_resolution() {
    let momentary = ChannelKind::Momentary;
    let absolute = ChannelKind::Absolute;
    for (channel, kind, steps) in [
        ("ch0.note60", momentary, 128),
        ("ch0.velocity", momentary, 128),
        ("start", momentary, 0),
        ("beat", momentary, 2),
        ("sysex.F0 7D F7", momentary, 0),
        ("ch0.cc7", absolute, 128),
        ("ch0.pressure60", absolute, 128),
        ("ch0.pitch", absolute, 16_384),
        ("ch0.rpn0", absolute, 16_384),
        ("ch0.nrpn900", absolute, 16_384),
        ("position", absolute, 16_384),
        ("sysex.F0 7D vv F7", absolute, 128),
        ("sysex.F0 7D hh ll F7", absolute, 16_384),
        ("tempo", absolute, 0),
        ("timecode.hours", absolute, 24),
    ] {
        let control = parse(channel).expect(channel);
        assert_eq!(control.kind(), kind, "{channel}");
        assert_eq!(control.resolution(), Resolution::steps(steps), "{channel}");
    }
}

#[test]
fn a_text_is_dropped_and_counted() {
    let (mut show, device) = sending(&[], &["ch0.cc1"]);
    show.send_text("ch0.cc1", "hello");
    show.send("ch0.cc1", 1.0);
    assert_eq!(device.receive(&mut show), "Control change channel=0 param=1 value=127");
    let counters = show.counters("midi");
    assert_eq!((counters.outgoing, counters.dropped), (2, 1));
}

#[test]
fn a_panic_of_the_show_ends_notes_and_pedals_on_all_midi_channels() {
    let (mut show, device) = sending(&[], &["ch0.note60", "ch1.cc66"]);
    show.send_all(&[("ch0.note60", 1.0), ("ch1.cc66", 1.0)]);
    device.receive(&mut show);
    device.receive(&mut show);
    assert!(show.router.handle().panic());
    assert_eq!(device.receive(&mut show), "Note on channel=0 note=60 velocity=0");
    for channel in 0..16 {
        let pedal = (channel == 1).then_some(66);
        for controller in pedal.into_iter().chain([64, 120, 123]) {
            let expected = format!("Control change channel={channel} param={controller} value=0");
            assert_eq!(device.receive(&mut show), expected);
        }
    }
    device.receives_nothing();
    show.send("ch0.note60", 0.5);
    assert_eq!(device.receive(&mut show), "Note on channel=0 note=60 velocity=64");
}

proptest! {
    #[test]
    fn any_input_is_handled(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        midi_input(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// MIDI in → router → MIDI out gives the same bytes, even for 14 bits.
    #[test]
    fn values_pass_the_router_without_loss(
        sevens in prop::collection::vec(0_u8..128, 1..40),
        bends in prop::collection::vec(-8192_i16..8192, 1..40),
        parameters in prop::collection::vec(0_u16..16_384, 1..10),
    ) {
        let engine = engine();
        let (keys, synth) = (Device::new(&engine, "Keys"), Device::new(&engine, "Synth"));
        let mut test = TestShow::new();
        test.instance(&DESCRIPTOR, "midi", &[("read", "Keys"), ("write", "Synth")]);
        for channel in ["ch0.cc7", "ch0.pitch", "ch0.nrpn5"] {
            test.map(&format!("midi.{channel}"), &format!("midi.{channel}"));
        }
        let mut show = test.start();
        show.until_state("midi", "up");
        let mut expect = |expected: &Event| {
            assert_eq!(synth.receive(&mut show), expected.payload().to_string());
        };
        for value in sevens {
            let event = Event::control_change(0, 7, value).expect("valid");
            keys.send(event.clone());
            expect(&event);
        }
        for value in bends {
            let event = Event::pitch_bend(0, value).expect("valid");
            keys.send(event.clone());
            expect(&event);
        }
        for value in parameters {
            keys.send(Event::non_registered_parameter(0, 5, value).expect("valid"));
            for (param, value) in parameter_output(false, 5, value, true) {
                expect(&Event::control_change(0, param, value).expect("valid"));
            }
        }
    }
}

#[test]
fn lights_and_motors_are_paced_and_everything_else_is_sent_at_once() {
    let engine = engine();
    let device = Device::new(&engine, "Synth");
    let mut test = TestShow::new();
    test.instance(&DESCRIPTOR, "midi", &[("write", "Synth"), ("pace", "50")]);
    for channel in ["ch0.cc1", "ch0.cc2", "ch0.note60"] {
        test.map("probe.all", &format!("midi.{channel}"));
        test.map(&format!("midi.{channel}"), &format!("probe.{channel}"));
    }
    test.map("probe.all", "midi.ch0.cc9");
    let mut show = test.start();
    show.until_state("midi", "up");
    let start = std::time::Instant::now();
    show.send("all", 1.0);
    for expected in [
        "Control change channel=0 param=9 value=127",
        "Note on channel=0 note=60 velocity=127",
        "Control change channel=0 param=1 value=127",
        "Control change channel=0 param=2 value=127",
    ] {
        assert_eq!(device.receive(&mut show), expected);
    }
    assert!(start.elapsed() >= std::time::Duration::from_millis(100), "{:?}", start.elapsed());
    // The end of the show sends the positions that still wait; it begins no notes.
    show.send("all", 0.5);
    show.finish();
    let mut rest = Vec::new();
    while let Some(text) = device.try_receive() {
        rest.push(text);
    }
    let controllers = rest.iter().filter(|text| text.contains("value=64")).count();
    assert_eq!(controllers, 3, "{rest:?}");
    assert!(rest.last().is_some_and(|text| text.ends_with("velocity=0")), "{rest:?}");
}
