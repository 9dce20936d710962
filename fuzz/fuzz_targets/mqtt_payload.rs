//! Reads any bytes as the contents of messages and as payloads of shared channels.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::mqtt::fuzz::mqtt_payload(bytes));
