//! Reads any bytes as a Standard MIDI File, writes it, and reads it again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| consort_seq::file::fuzz::midi_file(bytes));
