//! MIDI input does not allocate in the steady state, mapped or not.
#![cfg(feature = "midi")]
#![allow(clippy::print_stdout)] // The figure is part of the result.

use std::time::{Duration, Instant};

use consort_backends::BACKENDS;
use consort_bench::{CountingAllocator, thread_allocations};
use consort_router::config::load_text;
use consort_router::{Router, State};
use consort_seq::{Embedded, Engine, Event, SequencerClient};

/// How long the test may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// How many messages are sent before the show reads them; its pool holds 2,000.
const BATCH: usize = 1_000;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const SHOW: &str = "\
[backend midi]
engine = embedded

[midi midi]
read = Allocation Keys

[map]
midi.ch0.cc1 > midi.ch0.cc1
midi.ch0.velocity > midi.ch0.cc2
";

#[test]
fn fifty_thousand_messages_of_each_kind_do_not_allocate() {
    let engine = Engine::Embedded(Embedded::process_wide());
    let keys = SequencerClient::builder("Allocation Keys").engine(engine).open().expect("a client");
    let port = keys.create_port("keys").expect("a port");
    let show = load_text("show.cfg", SHOW, &[], BACKENDS).show.expect("a show");
    let mut router = Router::new(show).expect("an event loop");
    router.start();
    let live = router.handle().live();
    let midi = live.find_instance("midi").expect("the instance");
    let deadline = Instant::now() + DEADLINE;
    while live.state(midi) != State::Up {
        assert!(Instant::now() < deadline, "{:?}", live.state(midi));
        router.step(Some(Duration::from_millis(5))).expect("a turn");
    }
    let matched = Event::control_change(0, 1, 100).expect("valid");
    let matched_note = Event::note_on(0, 60, 0).expect("valid");
    let unmatched = [
        Event::control_change(3, 9, 100).expect("valid"),
        Event::note_on(1, 60, 100).expect("valid"),
        Event::pitch_bend(1, 0).expect("valid"),
    ];
    let mut round = |count: usize| {
        let (mut allocated, mut sent) = (0, 0);
        while sent < count {
            for index in 0..BATCH {
                let event = match index % 4 {
                    0 => &matched,
                    1 => &matched_note,
                    _ => &unmatched[index % unmatched.len()],
                };
                keys.event_output(event, &port).expect("room");
            }
            keys.drain_output().expect("sent");
            sent += BATCH;
            let expected = live.input(midi).0 + BATCH as u64;
            let before = thread_allocations();
            while live.input(midi).0 < expected {
                router.step(Some(Duration::from_millis(5))).expect("a turn");
            }
            allocated += thread_allocations() - before;
        }
        allocated
    };
    round(4 * BATCH);
    let started = Instant::now();
    let allocated = round(100_000);
    let time = started.elapsed();
    assert_eq!(allocated, 0);
    assert_eq!(live.unmatched_count(midi), 52_000, "half of 104,000");
    assert_eq!(live.counters(midi).dropped, 0);
    println!("100,000 messages, half of them unmatched, in {time:?}: {allocated} allocations");
    router.finish().expect("a clean stop");
}
