//! Parses any bytes as an Art-Net packet, and writes what was parsed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::artnet::fuzz::artnet_packet(bytes));
