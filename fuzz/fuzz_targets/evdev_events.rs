//! Takes any events of an input device with any range.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::evdev::fuzz::evdev_events(bytes));
