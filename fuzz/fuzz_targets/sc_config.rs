#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::sc::fuzz::sc_config(bytes));
