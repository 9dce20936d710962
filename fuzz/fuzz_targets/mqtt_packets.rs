//! Decodes any bytes as the packets of a broker, and handles them in a session.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::mqtt::fuzz::mqtt_packets(bytes));
