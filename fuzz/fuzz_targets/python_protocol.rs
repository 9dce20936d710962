//! Decodes any bytes as messages of a Python worker.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::worker::protocol::fuzz(bytes));
