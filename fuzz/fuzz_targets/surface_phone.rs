//! Reads any bytes as messages of two phones to a control surface.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_web::fuzz::surface_phone(bytes));
