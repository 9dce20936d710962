//! Loads any text as a configuration with other files and overrides.
#![no_main]

use consort_router::config::fuzz;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::config(bytes, &[&fuzz::BACKEND]));
