//! Values, texts and unmatched outputs of a script do not allocate in the steady state.
#![cfg(feature = "python")]
#![allow(clippy::print_stdout)] // The figure is part of the result.

use std::time::{Duration, Instant};

use consort_backends::python;
use consort_bench::{CountingAllocator, thread_allocations};
use consort_router::testing::{DEADLINE, TestShow};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Outputs on channels that are mapped to the script itself, and on others that are not mapped.
const SCRIPT: &str = "
import midimonster
def tick():
    for step in range(100):
        for name in ('lamp1', 'lamp2'):
            midimonster.output(name, step / 100)
        midimonster.output('label', 'unmatched ' + str(step))
        midimonster.output('value', step / 100)
        midimonster.output('text', 'mapped ' + str(step))
def back(value): pass
midimonster.interval(tick, 10)
";

#[test]
fn fifty_thousand_outputs_do_not_allocate() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("script.py"), SCRIPT).unwrap();
    let mut show = TestShow::new();
    show.directory = folder.path().into();
    let python = std::env::var("CONSORT_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    show.instance(&python::DESCRIPTOR, "py", &[("module", "script"), ("python", &python)]);
    show.map("py.value", "py.script.back");
    show.map("py.text", "py.script.back");
    let mut running = show.start();
    running.until_state("py", "up");
    let py = running.id("py");
    let live = running.router.handle().live();
    let mut count = |outputs: u64| {
        let target = live.counters(py).incoming + live.unmatched_count(py) + outputs;
        let deadline = Instant::now() + DEADLINE;
        let before = thread_allocations();
        while live.counters(py).incoming + live.unmatched_count(py) < target {
            assert!(Instant::now() < deadline, "the script is too slow");
            running.router.step(Some(Duration::from_millis(5))).expect("a turn");
        }
        thread_allocations() - before
    };
    count(20_000);
    let allocated = count(50_000);
    println!("50,000 outputs of a script: {allocated} allocations");
    // A turn that handles more at once than any before makes a buffer grow.
    assert!(allocated <= 8, "{allocated} allocations");
    let counters = live.counters(py);
    assert!(live.unmatched_count(py) > 30_000 && counters.dropped == 0, "{counters:?}");
}
