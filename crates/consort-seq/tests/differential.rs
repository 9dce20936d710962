//! Runs the same random programs on the kernel's sequencer and on the embedded one: every answer,
//! every event and the readiness of every descriptor must be equal. It needs the kernel's sequencer
//! (`CONSORT_SEQ=kernel`); the test suite runs it in the virtual machine.
#![allow(clippy::print_stdout)]

use std::time::Duration;

use consort_seq::engine::exercise::{Timing, run};
use consort_seq::engine::{ClockKind, Embedded, Engine, OpenMode, ProtocolVersion};

/// Generates a program from its number, so that the number is enough to repeat it.
fn program(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let length = 200 + (number % 7) * 300;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        })
        .collect()
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn kernel_and_embedded_engine_give_the_same_answers() {
    if std::env::var("CONSORT_SEQ").as_deref() != Ok("kernel") {
        println!(
            "SKIPPED: kernel_and_embedded_engine_give_the_same_answers: CONSORT_SEQ is not \
             `kernel` (tests/suites/20-kernel.sh runs it in the virtual machine)"
        );
        return;
    }
    let version = Engine::kernel().open(OpenMode::Duplex).unwrap().protocol_version();
    if version < ProtocolVersion::CURRENT && setting("CONSORT_ANY_VERSION", 0) == 0 {
        println!(
            "SKIPPED: kernel_and_embedded_engine_give_the_same_answers: this kernel has protocol \
             version {version}; the embedded engine follows Linux 7.0, protocol version {}",
            ProtocolVersion::CURRENT
        );
        return;
    }
    let first = setting("CONSORT_PROGRAM", 0);
    let count = setting("CONSORT_PROGRAMS", 80);
    let max_differences = setting("CONSORT_DIFFERENCES", 1);
    let mut steps = 0;
    let mut differences = 0;
    for number in first..first + count {
        let bytes = program(number);
        let run_on = |engine: &Engine, milliseconds| {
            let settle = Duration::from_millis(milliseconds);
            run(engine, &bytes, Timing::Comparable { settle })
        };
        let kernel = run_on(&Engine::kernel(), 6);
        let embedded = run_on(&Engine::Embedded(Embedded::new(ClockKind::Virtual)), 0);
        steps += kernel.len();
        if let Some(step) = (0..kernel.len().max(embedded.len()))
            .find(|&index| kernel.get(index) != embedded.get(index))
        {
            println!("program {number} differs at step {step}:");
            let context = setting("CONSORT_CONTEXT", 6) as usize;
            for line in &kernel[step.saturating_sub(context)..step] {
                println!("           {line}");
            }
            println!("  kernel   {}", kernel.get(step).map_or("", |line| line));
            println!("  embedded {}", embedded.get(step).map_or("", |line| line));
            differences += 1;
            if differences >= max_differences {
                break;
            }
        }
    }
    assert_eq!(differences, 0, "the engines differ");
    println!("{count} programs, {steps} steps: kernel and embedded engine give the same answers");
}
