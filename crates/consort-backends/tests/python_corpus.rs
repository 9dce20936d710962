//! Replays the corpora of the fuzz targets, and checks the shows under `examples/`.
#![cfg(feature = "python")]

use std::path::Path;

use consort_backends::python;

fn replay(name: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("a corpus") {
        let path = entry.expect("an entry").path();
        run(&std::fs::read(&path).expect("a file"));
        count += 1;
    }
    assert!(count > 5, "{} has too few files", folder.display());
}

#[test]
fn the_corpus_of_the_protocol() {
    replay("python_protocol", python::protocol::fuzz);
}

#[test]
fn the_corpus_of_the_scanner() {
    replay("python_scan", python::scan::fuzz);
}

#[test]
#[cfg(feature = "osc")]
fn the_examples_have_no_diagnostics() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for name in ["arpeggiator", "lfo", "socket-bridge", "memory"] {
        let file = folder.join(format!("python-{name}")).join("show.cfg");
        let loaded = consort_router::config::load(&file, &[], consort_backends::BACKENDS);
        let messages: Vec<_> =
            loaded.diagnostics.iter().map(|diagnostic| &diagnostic.message).collect();
        assert!(messages.is_empty() && loaded.show.is_some(), "{name}: {messages:?}");
    }
}
