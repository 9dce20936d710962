//! Takes any replies of a camera, while a show moves it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::visca::fuzz::visca_replies(bytes));
