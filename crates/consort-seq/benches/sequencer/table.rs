//! The lines of the result table.

use std::time::Instant;

use consort_bench::{Budget, Samples, report};
use consort_seq::Engine;

/// Rounds of each subject in a line.
pub(super) const ROUNDS: usize = 15;

/// The nanoseconds of each round, by subject: the floor, consort-seq, the `alsa` crate and
/// python-alsa-midi. A peer that is not available has none.
#[derive(Default)]
pub(super) struct Line {
    pub(super) subjects: [Samples; 4],
}

/// The budgets of a line, which apply to the kernel's sequencer.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Budgets {
    /// Batches are within 1.1 × of raw cells, and 180 times as fast as python-alsa-midi.
    Batch,
    /// Single calls take at most the time of the `alsa` crate.
    Single,
    /// None.
    None,
}

impl Line {
    /// Prints the line beside the floor and the `alsa` crate, and another beside python-alsa-midi.
    pub(super) fn print(&self, engine: &Engine, work: &str, budgets: Budgets) {
        let engine_name = engine_name(engine);
        let is_kernel = matches!(engine, Engine::Kernel { .. });
        let budgets = if is_kernel { budgets } else { Budgets::None };
        let [floor, ours, alsa, python] = &self.subjects;
        let figure = |samples: &Samples| (!samples.is_empty()).then(|| samples.median());
        let mut line = report(format!("sequencer, {engine_name}: {work}"), "ns")
            .floor(floor.median())
            .peer("alsa crate", figure(alsa))
            .ours(ours.median())
            .note(format!("{:.0}–{:.0}", ours.min(), ours.max()));
        match budgets {
            Budgets::Batch => line = line.budget(Budget::AtMostFloor(1.1)),
            Budgets::Single => line = line.budget(Budget::FasterThanPeer(1.0)),
            Budgets::None => {}
        }
        line.print();
        if let Some(figure) = figure(python) {
            let mut line =
                report(format!("sequencer, {engine_name}: {work}, as python-alsa-midi"), "ns")
                    .peer("python-alsa-midi", figure)
                    .ours(ours.median());
            if budgets == Budgets::Batch {
                line = line.budget(Budget::FasterThanPeer(180.0));
            }
            line.print();
        }
    }
}

/// The name of an engine in the lines.
pub(super) fn engine_name(engine: &Engine) -> &'static str {
    match engine {
        Engine::Kernel { .. } => "kernel",
        _ => "embedded",
    }
}

/// Runs `count` steps and returns the nanoseconds per step.
pub(super) fn time(count: usize, run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_nanos() as f64 / count as f64
}
