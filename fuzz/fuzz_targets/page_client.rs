//! Reads any bytes as the headers and a message of a browser.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_web::fuzz::page_client(bytes));
