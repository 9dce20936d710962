//! The fuzz target's corpus.

use super::super::fuzz::sc_config;

#[test]
fn the_committed_corpus_passes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/sc_config");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus") {
        let bytes = std::fs::read(entry.expect("a file").path()).expect("readable");
        sc_config(&bytes);
        count += 1;
    }
    assert!(count >= 15, "only {count} files");
}
