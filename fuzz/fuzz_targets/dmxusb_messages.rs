//! Takes any bytes of a DMX interface.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::dmxusb::fuzz::dmxusb_messages(bytes));
