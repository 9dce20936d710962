//! The time and memory to load 100,000 mappings. The floor is the part that cannot be omitted:
//! splitting the lines, and storing and numbering the names of the channels.

#![allow(clippy::print_stdout)] // a benchmark prints its figures

mod support;

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use consort_backends::loopback;
use consort_router::config::load;
use support::median;

const CHANNELS: usize = 100_000;
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

/// The peak resident memory of this process, in megabytes.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kilobytes.unwrap_or(f64::NAN) / 1024.0
}

/// The median time of all rounds, in milliseconds.
fn time(mut work: impl FnMut() -> usize) -> f64 {
    let mut round = || {
        let started = Instant::now();
        assert_eq!(work(), CHANNELS);
        started.elapsed().as_secs_f64() * 1e3
    };
    median((0..ROUNDS).map(|_| round()).collect())
}

fn main() {
    let head = "[loopback in]\n\n[loopback out]\n\n[map]\n";
    let mut lines = head.to_owned();
    for number in 0..CHANNELS {
        writeln!(lines, "in.ch{}.cc{number} > out./fader/{number}", number % 16)
            .expect("into a string");
    }
    let expression = format!("{head}in.{{1..{CHANNELS}}} > out.{{1..{CHANNELS}}}\n");
    let folder = std::env::temp_dir().join(format!("consort-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("show.cfg");
    let registry = [&loopback::DESCRIPTOR];
    let check = || load(&path, &[], &registry).show.map_or(0, |show| show.mappings.len());

    std::fs::write(&path, expression).expect("a file");
    let expression_time = time(check);
    std::fs::write(&path, lines).expect("a file");
    let lines_time = time(check);
    let memory = peak_memory();
    let floor_time = time(|| floor(&path));
    std::fs::remove_dir_all(&folder).expect("the folder");

    println!("loading {CHANNELS} mappings, 200,000 channels (budget 300 ms, 64 MB)");
    println!("  one line each       {:7.1} ms", lines_time);
    println!("  one expression      {:7.1} ms", expression_time);
    println!("  floor               {:7.1} ms   (split lines, store and number names)", floor_time);
    println!("  ratio to the floor  {:7.2}", lines_time / floor_time);
    println!("  peak memory         {memory:7.1} MB");
}
