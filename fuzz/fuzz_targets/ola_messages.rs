//! Takes any bytes of olad.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::ola::fuzz::ola_messages(bytes));
