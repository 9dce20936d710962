//! The lines of the table: the rounds of each subject, and how they are printed.

use std::time::Instant;

pub(super) const ROUNDS: usize = 15;
const NAMES: [&str; 4] = ["floor", "consort-seq", "alsa crate", "python-alsa-midi"];

/// Nanoseconds of each subject's rounds.
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
        let floor = median(&mut self.subjects[0]);
        print!("{what:<34}");
        for (name, times) in NAMES.iter().zip(&mut self.subjects) {
            let Some(middle) = median(times) else { continue };
            let (least, most) = (times[0], times[times.len() - 1]);
            print!(" | {name} {middle:.0} ({least:.0}–{most:.0})");
            if let Some(floor) = floor.filter(|_| *name != "floor") {
                print!(" ×{:.2}", middle / floor);
            }
        }
        println!();
    }
}

/// Time of `count` steps, in nanoseconds a step.
pub(super) fn time(count: usize, run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_nanos() as f64 / count as f64
}
