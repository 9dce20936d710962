//! The conformance suite: what the reference says of the sequencer and of a client library, as
//! facts that hold on both engines.
//!
//! `CONSORT_SEQ=kernel` runs it on the kernel's sequencer (in the virtual machine of
//! `tests/vm/run`), `CONSORT_SEQ=embedded` or nothing on the embedded one, each fact on a
//! sequencer of its own with virtual time. Where kernels differ, a fact asks for the version;
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

use support::Fact;

/// Every fact of the suite, by module.
const FACTS: &[(&str, &[Fact])] = &[
    ("announcements", announcements::FACTS),
    ("asynchronous", asynchronous::FACTS),
    ("buffers", buffers::FACTS),
    ("clients", clients::FACTS),
    ("connections", connections::FACTS),
    ("delivery", delivery::FACTS),
    ("discovery", discovery::FACTS),
    ("errors", errors::FACTS),
    ("events", events::FACTS),
    ("foreign", foreign::FACTS),
    ("lifetimes", lifetimes::FACTS),
    ("numbers", numbers::FACTS),
    ("pools", pools::FACTS),
    ("queues", queues::FACTS),
    ("remove", remove::FACTS),
    ("stamps", stamps::FACTS),
];
