//! Parses any bytes as a score.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_sc::fuzz::score(bytes));
