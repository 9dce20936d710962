//! Parses any bytes as an sACN packet, and writes what was parsed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::sacn::fuzz::sacn_packet(bytes));
