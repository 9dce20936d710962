//! Clock and time code, both ways.

use std::time::{Duration, Instant};

use consort_router::testing::{Performance, TestShow};
use consort_seq::{ClockKind, Embedded, Event, EventType, Payload};

use super::super::DESCRIPTOR;
use super::super::clock::ClockInput;
use super::{Device, ENGINE, pairs, receiving, sending};

#[test]
fn clock_out_has_its_tempo_on_the_virtual_clock() {
    let engine = Embedded::new(ClockKind::Virtual);
    ENGINE.set(Some(engine.clone().into()));
    let device = Device::new(&engine.clone().into(), "Drums");
    let queue = device.client.create_queue("stamps").expect("a queue");
    queue.start_now().expect("started");
    let mut stage = TestShow::new();
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
fn clock_out_starts_and_stops_on_any_sequencer() {
    let (mut show, device) = sending(&[], &["tempo"]);
    let ours = device.client.find_port("Consort:midi").expect("the port").address();
    show.send("tempo", 1.0);
    for _ in 0..30 {
        assert_eq!(device.hear(&mut show), "Clock queue=0");
    }
    // A change of tempo is no new start; none takes back what is not due yet.
    show.send("tempo", 0.5);
    assert_eq!(device.hear(&mut show), "Clock queue=0");
    show.send("tempo", 0.0);
    let pool = device.client.get_any_client_pool(ours.client).expect("a pool");
    assert_eq!(pool.output_free, pool.output_pool, "nothing waits in the sequencer");
    while device.try_hear().is_some() {}
    show.finish();
    device.hears_nothing();
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

/// Where in the quarter note each clock is told to be, and the tempos, of what a device sends.
fn places(show: &mut Performance, count: usize) -> Vec<u32> {
    let values = show.receive(count);
    let clocks = values.iter().filter(|(name, _)| name == "clock");
    clocks.map(|(_, value)| (value * 24.0).round() as u32).collect()
}

#[test]
fn clocks_go_on_where_the_song_stands() {
    let (mut show, device) = receiving(&["clock"]);
    let clocks = |count| {
        for _ in 0..count {
            device.send(Event::new(Payload::Clock { queue: 0 }));
        }
    };
    device.send(Event::new(Payload::Start { queue: 0 }));
    clocks(5);
    device.send(Event::new(Payload::Stop { queue: 0 }));
    // Clocks may go on while the song stands.
    clocks(3);
    device.send(Event::new(Payload::Continue { queue: 0 }));
    clocks(2);
    assert_eq!(places(&mut show, 10), [0, 1, 2, 3, 4, 5, 6, 7, 5, 6]);
    // The third sixteenth of a quarter note.
    device.send(Event::new(Payload::Stop { queue: 0 }));
    device.send(Event::song_position(6).expect("valid"));
    device.send(Event::new(Payload::Continue { queue: 0 }));
    clocks(2);
    assert_eq!(places(&mut show, 2), [12, 13]);
}

#[test]
fn no_tempo_is_measured_across_a_stop() {
    let mut input = ClockInput::default();
    let start = Instant::now();
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    assert!((0..24).all(|clock| input.clock(at(20 * clock)).tempo.is_none()));
    input.stop();
    input.resume();
    assert_eq!(input.clock(at(2_000)).tempo, None, "the pause is no quarter note");
    assert!((1..24).all(|clock| input.clock(at(2_000 + 20 * clock)).tempo.is_none()));
    let tempo = input.clock(at(2_480)).tempo.expect("a whole quarter note");
    assert!((tempo - 125.0).abs() < 1e-9, "{tempo}");
}
