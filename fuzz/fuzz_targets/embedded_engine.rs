//! Runs arbitrary programs of requests, writes and reads on the embedded sequencer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|program: &[u8]| consort_seq::engine::exercise::embedded_engine(program));
