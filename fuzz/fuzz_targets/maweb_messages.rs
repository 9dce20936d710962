//! Takes any messages of a console, while a show uses it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::maweb::fuzz::maweb_messages(bytes));
