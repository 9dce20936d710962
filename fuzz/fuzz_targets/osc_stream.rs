//! Parses any bytes as a stream of framed OSC packets, split anywhere.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_osc::fuzz::osc_stream(bytes));
