//! Standard MIDI Files: any bytes are read, and what was read is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| consort_seq::file::fuzz::midi_file(bytes));
