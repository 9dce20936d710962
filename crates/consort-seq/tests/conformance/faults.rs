//! Ten deliberate faults of the embedded engine: each must turn some fact red.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use consort_seq::engine::embedded::Fault;
use consort_seq::engine::{ClockKind, Embedded};

use crate::FACTS;
use crate::support::{Fact, Rig};

/// Facts that have to do with what the faults break; the others would only take time. The test
/// fails if a fault slips through these, so the choice cannot hide one.
const WORTH_TRYING: &[&str] = &["announcements", "delivery", "errors", "pools", "queues", "stamps"];

/// Runs a fact on a faulty engine; whether it noticed.
fn notices(fault: Fault, fact: &Fact) -> bool {
    let embedded = Embedded::new(ClockKind::Virtual);
    embedded.set_fault(Some(fault));
    catch_unwind(AssertUnwindSafe(|| (fact.1)(&Rig::embedded(embedded).impatient()))).is_err()
}

#[test]
fn every_fault_is_noticed() {
    if std::env::var("CONSORT_SEQ").as_deref() == Ok("kernel") {
        eprintln!("SKIPPED: every_fault_is_noticed: the kernel has no deliberate faults");
        return;
    }
    // What fails on purpose need not be told in full; one hook for the whole process, so
    // messages of this thread only are kept back.
    static QUIET: Mutex<Option<std::thread::ThreadId>> = Mutex::new(None);
    *QUIET.lock().unwrap() = Some(std::thread::current().id());
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if QUIET.lock().map_or(true, |quiet| *quiet != Some(std::thread::current().id())) {
            loud(info);
        }
    }));
    let mut table = String::from("fault                     noticed by\n");
    let mut slipped = Vec::new();
    for fault in Fault::ALL {
        let noticed: Vec<String> = FACTS
            .iter()
            .filter(|(module, _)| WORTH_TRYING.contains(module))
            .flat_map(|(module, facts)| facts.iter().map(move |fact| (module, fact)))
            .filter(|(_, fact)| notices(fault, fact))
            .map(|(module, fact)| format!("{module}::{}", fact.0))
            .collect();
        table += &format!("{:<25} {}\n", format!("{fault:?}"), noticed.join(", "));
        if noticed.is_empty() {
            slipped.push(fault);
        }
    }
    *QUIET.lock().unwrap() = None;
    eprintln!("{table}");
    assert!(slipped.is_empty(), "no fact has noticed {slipped:?}");
}
