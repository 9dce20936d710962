//! Loads any text as a configuration of the sc backend, and plays it on a server with any replies.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::sc::fuzz::sc_config(bytes));
