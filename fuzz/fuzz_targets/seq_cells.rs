//! Parses any bytes as cells that were read from a sequencer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|cells: &[u8]| consort_seq::client::fuzz::seq_cells(cells));
