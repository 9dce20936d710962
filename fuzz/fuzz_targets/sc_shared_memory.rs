//! Reads any bytes as the shared memory of a SuperCollider server.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_sc::fuzz::sc_shared_memory(bytes));
