//! The lines of the result table.

use std::time::Instant;

/// Rounds of each subject in a line.
pub(super) const ROUNDS: usize = 15;
/// The subjects; the first is the baseline.
const SUBJECTS: [&str; 4] = ["baseline", "consort-seq", "alsa crate", "python-alsa-midi"];

/// The nanoseconds of each round, by subject.
#[derive(Default)]
pub(super) struct Line {
    pub(super) subjects: [Vec<f64>; 4],
}

impl Line {
    pub(super) fn print(&mut self, what: &str) {
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times.get(times.len() / 2).copied()
        };
        let baseline = median(&mut self.subjects[0]);
        print!("{what:<34}");
        for (name, times) in SUBJECTS.iter().zip(&mut self.subjects) {
            let Some(median) = median(times) else { continue };
            let (min, max) = (times[0], times[times.len() - 1]);
            print!(" | {name} {median:.0} ({min:.0}–{max:.0})");
            if let Some(baseline) = baseline.filter(|_| *name != SUBJECTS[0]) {
                print!(" ×{:.2}", median / baseline);
            }
        }
        println!();
    }
}

/// Runs `count` steps and returns the nanoseconds per step.
pub(super) fn time(count: usize, run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_nanos() as f64 / count as f64
}
