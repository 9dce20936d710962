//! Ten deliberate faults of the embedded engine. The suite must detect each of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use consort_seq::engine::embedded::Fault;
use consort_seq::engine::{ClockKind, Embedded};

use crate::CASES;
use crate::support::{Case, Rig};

/// The modules whose cases can detect the faults; the others would only take time. The test fails
/// if these detect too little, so the selection cannot hide a fault.
const RELEVANT_MODULES: &[&str] =
    &["announcements", "delivery", "errors", "pools", "queues", "stamps"];

/// Whether a case fails on an engine with this fault.
fn detects(fault: Fault, case: &Case) -> bool {
    let embedded = Embedded::new(ClockKind::Virtual);
    embedded.set_fault(Some(fault));
    catch_unwind(AssertUnwindSafe(|| (case.1)(&Rig::embedded(embedded).with_short_timeout())))
        .is_err()
}

#[test]
fn every_fault_is_detected() {
    if std::env::var("CONSORT_SEQ").as_deref() == Ok("kernel") {
        eprintln!("SKIPPED: every_fault_is_detected: the kernel has no deliberate faults");
        return;
    }
    // The panics of this test are expected, so their messages are suppressed. The panic hook is
    // one for the whole process, so it suppresses only those of this thread.
    static QUIET_THREAD: Mutex<Option<std::thread::ThreadId>> = Mutex::new(None);
    *QUIET_THREAD.lock().unwrap() = Some(std::thread::current().id());
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if QUIET_THREAD.lock().map_or(true, |thread| *thread != Some(std::thread::current().id())) {
            default_hook(info);
        }
    }));
    let mut table = String::from("fault                     detected by\n");
    let mut undetected = Vec::new();
    for fault in Fault::ALL {
        let detected_by: Vec<String> = CASES
            .iter()
            .filter(|(module, _)| RELEVANT_MODULES.contains(module))
            .flat_map(|(module, cases)| cases.iter().map(move |case| (module, case)))
            .filter(|(_, case)| detects(fault, case))
            .map(|(module, case)| format!("{module}::{}", case.0))
            .collect();
        table += &format!("{:<25} {}\n", format!("{fault:?}"), detected_by.join(", "));
        if detected_by.is_empty() {
            undetected.push(fault);
        }
    }
    *QUIET_THREAD.lock().unwrap() = None;
    eprintln!("{table}");
    assert!(undetected.is_empty(), "no case detects {undetected:?}");
}
