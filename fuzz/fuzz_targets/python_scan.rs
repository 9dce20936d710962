//! Scans any bytes as a Python module.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::python::scan::fuzz(bytes));
