//! Parses any text as a channel of an input device.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::evdev::fuzz::evdev_channel(bytes));
