#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_osc::fuzz::osc_decode(bytes));
