//! The backend: its packets, its journal under loss, its sessions, and shows that use it.

mod journal;
mod network;
mod packets;
mod sessions;
mod shows;

use std::path::Path;

use proptest::prelude::*;

use super::fuzz::rtpmidi_packets;

#[test]
fn the_committed_corpus_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/rtpmidi_packets");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("a corpus") {
        rtpmidi_packets(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
        count += 1;
    }
    assert!(count >= 8, "{count}");
}

proptest! {
    #[test]
    fn any_bytes_are_handled(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        rtpmidi_packets(&bytes);
        let mut packet = vec![0x80, 0x61, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        packet.extend(&bytes);
        rtpmidi_packets(&packet);
    }
}
