//! Replays the committed corpora of the fuzz targets `midi_coder`, `seq_cells` and (with the
//! feature `midi-file`) `midi_file`, and tests `seq_cells` with random input.

use std::path::Path;

use proptest::prelude::*;

fn replay(name: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is in the repository") {
        body(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

#[test]
fn midi_coder() {
    replay("midi_coder", consort_seq::midi::fuzz::midi_coder);
}

#[test]
fn seq_cells() {
    replay("seq_cells", consort_seq::client::fuzz::seq_cells);
}

#[cfg(feature = "midi-file")]
#[test]
fn midi_file() {
    replay("midi_file", consort_seq::file::fuzz::midi_file);
}

proptest! {
    #[test]
    fn any_cells_are_read(data in prop::collection::vec(any::<u8>(), 0..400)) {
        consort_seq::client::fuzz::seq_cells(&data);
    }

    #[test]
    fn typical_cells_are_read(
        cells in prop::collection::vec(
            (any::<u8>(), prop_oneof![Just(0u8), Just(1), Just(4), Just(5)], 0u32..80,
             prop::collection::vec(any::<u8>(), 80)),
            0..12,
        )
    ) {
        let mut bytes = Vec::new();
        for (kind, flags, length, data) in cells {
            let mut cell = [0u8; 28];
            cell.copy_from_slice(&data[..28]);
            (cell[0], cell[1]) = (kind, flags);
            if flags & 4 != 0 {
                cell[16..20].copy_from_slice(&length.to_ne_bytes());
            }
            bytes.extend_from_slice(&cell);
            if flags & 4 != 0 {
                let padded = (length as usize).next_multiple_of(28);
                let mut variable = data[..length as usize].to_vec();
                variable.resize(padded, 0);
                bytes.extend_from_slice(&variable);
            }
        }
        consort_seq::client::fuzz::seq_cells(&bytes);
    }
}
