//! Handles any packets as those of a SuperCollider server.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_sc::fuzz::sc_reply(bytes));
