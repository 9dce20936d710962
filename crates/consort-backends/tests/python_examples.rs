//! Checks the Python shows under `examples/`.
#![cfg(all(feature = "osc", feature = "python"))]

use std::path::Path;

use consort_backends::BACKENDS;
use consort_router::config::load;

#[test]
fn the_examples_have_no_diagnostics() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for name in ["arpeggiator", "lfo", "socket-bridge", "memory"] {
        let file = folder.join(format!("python-{name}")).join("show.cfg");
        let loaded = load(&file, &[], BACKENDS);
        let messages: Vec<_> =
            loaded.diagnostics.iter().map(|diagnostic| &diagnostic.message).collect();
        assert!(messages.is_empty() && loaded.show.is_some(), "{name}: {messages:?}");
    }
}
