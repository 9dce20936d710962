//! Parses a channel of the midi backend, and any bytes as its input.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::midi::fuzz::midi_input(bytes));
