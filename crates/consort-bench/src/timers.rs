//! Timers: single runs, many calls, and subjects that are measured in turns.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::statistics::Samples;

/// How long a round of one subject takes in [`interleave_calls`].
const ROUND: Duration = Duration::from_millis(5);

/// The milliseconds that `work` takes.
pub fn milliseconds<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    black_box(work());
    start.elapsed().as_secs_f64() * 1e3
}

/// The mean time of `count` calls in nanoseconds.
pub fn nanoseconds_per_call<T>(count: usize, mut work: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        black_box(work());
    }
    start.elapsed().as_nanos() as f64 / count as f64
}

/// Calls each subject once per round and collects its figures. The order is reversed in every other
/// round, so that no subject always runs after the same one.
pub fn interleave<const N: usize>(
    rounds: usize,
    subjects: [&mut dyn FnMut() -> f64; N],
) -> [Samples; N] {
    let mut samples: [Samples; N] = std::array::from_fn(|_| Samples::default());
    for round in 0..rounds {
        for turn in 0..N {
            let index = if round % 2 == 0 { turn } else { N - 1 - turn };
            samples[index].push(subjects[index]());
        }
    }
    samples
}

/// A subject of [`interleave_calls`]: a function so short that many calls are timed together.
pub struct Timed<'a>(Box<dyn FnMut(usize) -> f64 + 'a>);

impl<'a> Timed<'a> {
    /// A subject whose figure is the time of a call of `work`. Its result is kept from being
    /// optimised away; that of its input is up to `work`.
    pub fn new<T>(mut work: impl FnMut() -> T + 'a) -> Self {
        Timed(Box::new(move |count| nanoseconds_per_call(count, &mut work)))
    }

    /// How many calls fill a round. The calls until this is known warm up.
    fn calibrate(&mut self) -> usize {
        let mut count = 1;
        loop {
            let time = (self.0)(count) * count as f64;
            if time >= ROUND.as_nanos() as f64 / 2.0 {
                return ((count as f64 * ROUND.as_nanos() as f64 / time) as usize).max(1);
            }
            count *= 2;
        }
    }
}

/// Like [`interleave`], with so many calls in each round that it takes milliseconds. The figures
/// are nanoseconds per call.
pub fn interleave_calls<const N: usize>(
    rounds: usize,
    mut subjects: [Timed<'_>; N],
) -> [Samples; N] {
    let counts = subjects.each_mut().map(Timed::calibrate);
    let mut index = 0;
    let mut rounds_of = subjects.each_mut().map(|subject| {
        let count = counts[index];
        index += 1;
        move || (subject.0)(count)
    });
    interleave(rounds, rounds_of.each_mut().map(|round| round as &mut dyn FnMut() -> f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn subjects_take_turns_in_alternating_order() {
        let order = RefCell::new(String::new());
        let mut first = || {
            order.borrow_mut().push('a');
            1.0
        };
        let mut second = || {
            order.borrow_mut().push('b');
            2.0
        };
        let [a, b] = interleave(3, [&mut first, &mut second]);
        assert_eq!((a.values(), b.values()), (&[1.0; 3][..], &[2.0; 3][..]));
        assert_eq!(*order.borrow(), "abbaab");
    }

    #[test]
    fn calls_are_timed_one_by_one() {
        let work = |count: usize| {
            move || (0..count).map(|number| black_box(number as f64).sqrt()).sum::<f64>()
        };
        let [short, long] = interleave_calls(5, [Timed::new(work(50)), Timed::new(work(5_000))]);
        assert_eq!(short.len(), 5);
        assert!(short.min() < long.max());
        assert!(milliseconds(|| ()) >= 0.0);
    }
}
