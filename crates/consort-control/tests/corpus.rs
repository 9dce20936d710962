//! What fuzzing found, and what it began with, replayed.
#![allow(clippy::print_stdout)] // how much was replayed is part of the result

use std::path::Path;

#[test]
fn the_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/control_line");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("a corpus") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        consort_control::fuzz::control_line(&bytes);
        count += 1;
    }
    println!("{count} files of the corpus replayed");
    assert!(count >= 15, "only {count} files");
}
