//! Takes any bytes of an Open Pixel Control client.
#![no_main]

libfuzzer_sys::fuzz_target!(
    |bytes: &[u8]| consort_backends::openpixelcontrol::fuzz::openpixelcontrol_messages(bytes)
);
