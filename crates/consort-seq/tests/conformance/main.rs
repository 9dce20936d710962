//! The conformance suite: the documented behaviour of the sequencer and of this client library,
//! as test cases that pass on both engines.
//!
//! `CONSORT_SEQ=kernel` runs the suite on the kernel's sequencer (in the virtual machine of
//! `tests/vm/run`). `CONSORT_SEQ=embedded`, or no value, runs it on the embedded engine; then each
//! case has a new sequencer with virtual time. Where kernels differ, a case checks the version;
//! the embedded engine counts as 7.0.
#![allow(clippy::print_stderr)]

#[macro_use]
mod support;

mod announcements;
mod asynchronous;
mod buffers;
mod clients;
mod connections;
mod delivery;
mod discovery;
mod errors;
mod events;
#[cfg(feature = "faults")]
mod faults;
mod foreign;
mod lifetimes;
mod methods;
mod numbers;
mod pools;
mod queues;
mod remove;
mod stamps;
mod streams;
mod stuck;

use support::Case;

/// Every case of the suite, by module.
const CASES: &[(&str, &[Case])] = &[
    ("announcements", announcements::CASES),
    ("asynchronous", asynchronous::CASES),
    ("buffers", buffers::CASES),
    ("clients", clients::CASES),
    ("connections", connections::CASES),
    ("delivery", delivery::CASES),
    ("discovery", discovery::CASES),
    ("errors", errors::CASES),
    ("events", events::CASES),
    ("foreign", foreign::CASES),
    ("lifetimes", lifetimes::CASES),
    ("numbers", numbers::CASES),
    ("pools", pools::CASES),
    ("queues", queues::CASES),
    ("remove", remove::CASES),
    ("stamps", stamps::CASES),
    ("streams", streams::CASES),
    ("stuck", stuck::CASES),
];
