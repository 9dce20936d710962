//! Reads any bytes as the stream of a control socket, split anywhere.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_control::fuzz::control_line(bytes));
