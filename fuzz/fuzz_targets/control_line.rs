#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_control::fuzz::control_line(bytes));
