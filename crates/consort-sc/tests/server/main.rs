//! Tests with real servers: scsynth, and supernova if it is installed, on a JACK server that the
//! tests start with the dummy driver. The cases run one after another and share the JACK server;
//! each boots servers on free ports.

mod cases;
mod entities;
mod fake;
mod faults;
mod lifecycle;
mod music;
mod refusals;
mod rig;
mod supriya;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

/// A test and its name.
type Case = (&'static str, fn());

#[allow(clippy::print_stdout, clippy::print_stderr)] // This is the test runner.
fn main() -> ExitCode {
    let mut filters = Vec::new();
    let mut list = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--list" => list = true,
            flag if flag.starts_with('-') => {}
            filter => filters.push(filter.to_owned()),
        }
    }
    let mut cases: Vec<Case> = fake::CASES.to_vec();
    cases.extend_from_slice(cases::CASES);
    cases.extend_from_slice(entities::CASES);
    cases.extend_from_slice(faults::CASES);
    cases.extend_from_slice(lifecycle::CASES);
    cases.extend_from_slice(music::CASES);
    cases.extend_from_slice(refusals::CASES);
    if list {
        for (name, _) in &cases {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    cases.retain(|(name, _)| {
        filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
    });
    println!("\nrunning {} tests against real servers", cases.len());
    let start = Instant::now();
    let (mut passed, mut failed, mut skipped) = (0, Vec::new(), 0);
    for (name, case) in cases {
        let needs_jack = !name.starts_with("fake::");
        if needs_jack && let Err(reason) = rig::jack() {
            if std::env::var_os("CI").is_some_and(|ci| ci == "true") {
                println!("test {name} ... FAILED\n    {reason}");
                failed.push(name);
            } else {
                println!("SKIPPED: {name}: {reason}");
                skipped += 1;
            }
            continue;
        }
        let case_start = Instant::now();
        match catch_unwind(AssertUnwindSafe(case)) {
            Ok(()) => {
                passed += 1;
                println!("test {name} ... ok ({:.2} s)", case_start.elapsed().as_secs_f64());
            }
            Err(_) => {
                failed.push(name);
                println!("test {name} ... FAILED");
            }
        }
    }
    rig::stop_jack();
    let result = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {result}. {passed} passed; {} failed; {skipped} skipped; finished in {:.2}s",
        failed.len(),
        start.elapsed().as_secs_f64()
    );
    for name in &failed {
        println!("    failed: {name}");
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
