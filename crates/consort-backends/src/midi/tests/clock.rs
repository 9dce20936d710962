//! Clock and time code, in and out.

use std::time::{Duration, Instant};

use consort_router::testing::{Performance, TestShow};
use consort_seq::{ClockKind, Embedded, Event, EventType, Payload};

use super::super::DESCRIPTOR;
use super::{Device, ENGINE, pairs, receiving, sending};
use crate::midi_grammar::clock::ClockInput;

#[test]
fn sent_clock_has_its_tempo_on_the_virtual_clock() {
    let engine = Embedded::new(ClockKind::Virtual);
    ENGINE.set(Some(engine.clone().into()));
    let device = Device::new(&engine.clone().into(), "Drums");
    let queue = device.client.create_queue("stamps").expect("a queue");
    queue.start_now().expect("started");
    let mut test = TestShow::new();
    test.instance(&DESCRIPTOR, "midi", &[]);
    test.map("probe.tempo", "midi.tempo");
    let mut show = test.start();
    show.until_state("midi", "up");
    let ours = device.client.find_port("Consort:midi").expect("the port").address();
    let stamps = consort_seq::SubscribeOptions::new().stamp_real_time(&queue);
    device.port.connect_from_with(ours, stamps).expect("connected");
    // 120 quarter notes per minute are 48 clocks per second.
    show.send("tempo", 120.0 / 300.0);
    let mut times = Vec::new();
    while times.len() < 97 {
        // Half of what is scheduled in advance, so that no clock is late.
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
    assert_eq!(engine.next_due(), None, "the scheduled clocks are removed");
}

#[test]
fn sent_clock_starts_and_stops_on_any_sequencer() {
    let (mut show, device) = sending(&[], &["tempo"]);
    let ours = device.client.find_port("Consort:midi").expect("the port").address();
    show.send("tempo", 1.0);
    for _ in 0..30 {
        assert_eq!(device.receive(&mut show), "Clock queue=0");
    }
    // A change of tempo does not restart the clock; tempo 0 removes the scheduled clocks.
    show.send("tempo", 0.5);
    assert_eq!(device.receive(&mut show), "Clock queue=0");
    show.send("tempo", 0.0);
    let pool = device.client.get_any_client_pool(ours.client).expect("a pool");
    assert_eq!(pool.output_free, pool.output_pool, "no clock is scheduled");
    while device.try_receive().is_some() {}
    show.finish();
    device.receives_nothing();
}

#[test]
fn clock_and_time_code_are_received() {
    let (mut show, device) = receiving(&["clock", "beat", "timecode.seconds"]);
    device.send(Event::new(Payload::Start { queue: 0 }));
    for _ in 0..25 {
        device.send(Event::new(Payload::Clock { queue: 0 }));
    }
    let values = show.receive(28);
    let beats: Vec<f64> =
        values.iter().filter(|(name, _)| name == "beat").map(|(_, value)| *value).collect();
    assert_eq!(beats, [1.0, 0.0, 1.0]);
    let positions: Vec<f64> =
        values.iter().filter(|(name, _)| name == "clock").map(|(_, value)| value * 24.0).collect();
    assert!(
        positions
            .iter()
            .enumerate()
            .all(|(index, position)| { (position - (index % 24) as f64).abs() < 1e-9 })
    );
    // 00:00:59:00 at 25 frames per second.
    for byte in [0x00, 0x10, 0x2B, 0x33, 0x40, 0x50, 0x60, 0x72] {
        device.send(Event::quarter_frame(byte).expect("valid"));
    }
    assert_eq!(show.receive(1), pairs(&[("timecode.seconds", 1.0)]));
}

/// The position in the quarter note that the show reports for each clock.
fn positions(show: &mut Performance, count: usize) -> Vec<u32> {
    let values = show.receive(count);
    let clocks = values.iter().filter(|(name, _)| name == "clock");
    clocks.map(|(_, value)| (value * 24.0).round() as u32).collect()
}

#[test]
fn clocks_continue_at_the_song_position() {
    let (mut show, device) = receiving(&["clock"]);
    let clocks = |count| {
        for _ in 0..count {
            device.send(Event::new(Payload::Clock { queue: 0 }));
        }
    };
    device.send(Event::new(Payload::Start { queue: 0 }));
    clocks(5);
    device.send(Event::new(Payload::Stop { queue: 0 }));
    // Clocks may continue while the song is stopped.
    clocks(3);
    device.send(Event::new(Payload::Continue { queue: 0 }));
    clocks(2);
    assert_eq!(positions(&mut show, 10), [0, 1, 2, 3, 4, 5, 6, 7, 5, 6]);
    // The third sixteenth of a quarter note.
    device.send(Event::new(Payload::Stop { queue: 0 }));
    device.send(Event::song_position(6).expect("valid"));
    device.send(Event::new(Payload::Continue { queue: 0 }));
    clocks(2);
    assert_eq!(positions(&mut show, 2), [12, 13]);
}

#[test]
fn no_tempo_is_measured_across_a_stop() {
    let mut input = ClockInput::default();
    let start = Instant::now();
    let time = |milliseconds| start + Duration::from_millis(milliseconds);
    assert!((0..24).all(|clock| input.clock(time(20 * clock)).tempo.is_none()));
    input.stop();
    input.resume();
    assert_eq!(input.clock(time(2_000)).tempo, None, "the pause is not a quarter note");
    assert!((1..24).all(|clock| input.clock(time(2_000 + 20 * clock)).tempo.is_none()));
    let tempo = input.clock(time(2_480)).tempo.expect("a whole quarter note");
    assert!((tempo - 125.0).abs() < 1e-9, "{tempo}");
}
