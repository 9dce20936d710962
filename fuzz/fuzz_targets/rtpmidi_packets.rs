//! Reads any bytes as a packet, as a recovery journal, and as the datagrams of a session.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| consort_backends::rtpmidi::fuzz::rtpmidi_packets(bytes));
