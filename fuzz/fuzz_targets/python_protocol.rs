#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::python::protocol::fuzz(bytes));
