//! The callback of the backend `jack` allocates nothing, and its processor time is far below its
//! period.

#![cfg(feature = "jack")]
#![allow(clippy::print_stdout)] // the figures

use consort_backends::jack::exercise::{Done, Exercise};
use consort_bench::{CountingAllocator, thread_allocations, thread_time};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// The messages of a period of 64 frames at 48 kHz, both ways, at 10,000 a second.
const MESSAGES: usize = 13;

#[test]
fn the_callback_allocates_nothing() {
    let mut exercise = Exercise::new().expect("an eventfd");
    let mut times = Vec::with_capacity(20_000);
    let mut allocations = 0;
    let mut done = Done::default();
    for _ in 0..20_000 {
        exercise.prepare(MESSAGES);
        let (before, start) = (thread_allocations(), thread_time());
        exercise.run();
        times.push((thread_time() - start).as_secs_f64() * 1e6);
        allocations += thread_allocations() - before;
        let finished = exercise.finish();
        done.sent += finished.sent;
        done.received += finished.received;
    }
    assert_eq!(allocations, 0);
    assert_eq!(done.sent, 20_000 * MESSAGES);
    assert!(done.received > 20_000 * MESSAGES, "{done:?}");
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[(share * times.len() as f64) as usize];
    println!(
        "a period of 1,333 µs with {MESSAGES} messages each way: {:.2} µs of processor time, p99.9 \
         {:.2} µs ({:.2} %)",
        at(0.5),
        at(0.999),
        at(0.999) / 13.33
    );
}
