//! Decodes any bytes as an OSC packet, and encodes what was decoded.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_osc::fuzz::osc_decode(bytes));
