#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::sacn::fuzz::sacn_packet(bytes));
