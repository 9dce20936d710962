//! Compares both matchers of OSC address patterns.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_osc::fuzz::osc_pattern(bytes));
