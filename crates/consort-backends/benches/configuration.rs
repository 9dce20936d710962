//! The time and memory to load 100,000 mapped channels. The floor is the part that cannot be omitted:
//! splitting the lines, and storing and numbering the names of the channels.

#![allow(clippy::print_stdout)] // a benchmark prints its figures

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use consort_backends::loopback;
use consort_bench::{Budget, interleave, milliseconds, peak_memory, report};
use consort_router::config::load;

/// Each maps one channel to another.
const MAPPINGS: usize = 50_000;
const ROUNDS: usize = 7;

/// The minimum of work: stores and numbers the names of both sides.
fn floor(path: &Path) -> usize {
    let text = std::fs::read_to_string(path).expect("the file");
    let mut names = [Vec::new(), Vec::new()];
    let mut numbers = [HashMap::new(), HashMap::new()];
    let mut pairs = Vec::new();
    for line in text.lines() {
        let Some((left, right)) = line.split_once('>') else { continue };
        let mut number = |side: usize, text: &str| {
            let (_, name) = text.trim().split_once('.').expect("a channel");
            let next = names[side].len();
            *numbers[side].entry(name.to_owned()).or_insert_with(|| {
                names[side].push(name.to_owned());
                next
            })
        };
        pairs.push((number(0, left), number(1, right)));
    }
    pairs.len()
}

/// The time of a load in milliseconds.
fn time(work: impl FnOnce() -> usize) -> f64 {
    milliseconds(|| assert_eq!(work(), MAPPINGS))
}

fn main() {
    let head = "[loopback in]\n\n[loopback out]\n\n[map]\n";
    let mut lines = head.to_owned();
    for number in 0..MAPPINGS {
        writeln!(lines, "in.ch{}.cc{number} > out./fader/{number}", number % 16)
            .expect("into a string");
    }
    let expression = format!("{head}in.{{1..{MAPPINGS}}} > out.{{1..{MAPPINGS}}}\n");
    let folder = std::env::temp_dir().join(format!("consort-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let (expression, lines) = (write("expression.cfg", &expression), write("lines.cfg", &lines));
    let registry = [&loopback::DESCRIPTOR];
    let check = |path: &Path| load(path, &[], &registry).show.map_or(0, |show| show.mappings.len());

    let [expression_time, lines_time] =
        interleave(ROUNDS, [&mut || time(|| check(&expression)), &mut || time(|| check(&lines))]);
    let memory = peak_memory(std::process::id()).expect("this process");
    let [floor_time] = interleave(ROUNDS, [&mut || time(|| floor(&lines))]);
    std::fs::remove_dir_all(&folder).expect("the folder");

    println!("loading 100,000 mapped channels, median of {ROUNDS} rounds");
    report("load 100,000 channels, one line per mapping", "ms")
        .floor(floor_time.median())
        .ours(lines_time.median())
        .budget(Budget::AtMost(100.0))
        .note("floor: split lines, store and number names")
        .print();
    report("load 100,000 channels, one expression", "ms")
        .ours(expression_time.median())
        .budget(Budget::AtMost(100.0))
        .print();
    report("load 100,000 channels: peak memory", "MB")
        .ours(memory as f64 / 1e3)
        .budget(Budget::AtMost(48.0))
        .print();
}
