//! Converts MIDI bytes, split anywhere, to events and back.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| consort_seq::midi::fuzz::midi_coder(bytes));
