//! Parses any bytes as a SynthDef file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_synthdef::fuzz::scsyndef(bytes));
