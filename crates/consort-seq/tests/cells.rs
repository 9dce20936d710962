//! Random input for `seq_cells`, the body of the fuzz target that reads sequencer cells.

use proptest::prelude::*;

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
