//! Runs the bodies of the fuzz targets on the committed corpus.

use std::path::Path;

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    let mut file_count = 0;
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        let bytes = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        body(&bytes);
        file_count += 1;
    }
    assert!(file_count >= 10, "only {file_count} files in {}", folder.display());
}

#[test]
fn score() {
    replay("score", consort_sc::fuzz::score);
}

#[test]
fn sc_reply() {
    replay("sc_reply", consort_sc::fuzz::sc_reply);
}

#[test]
fn sc_shared_memory() {
    replay("sc_shared_memory", consort_sc::fuzz::sc_shared_memory);
}
