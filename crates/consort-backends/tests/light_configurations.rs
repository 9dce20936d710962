//! Checks configurations in the style of MIDIMonster's documented uses and the examples with lights,
//! and that the errors of an invalid configuration are reported.

#![cfg(all(feature = "artnet", feature = "sacn", feature = "lua", feature = "osc"))]

use std::path::{Path, PathBuf};

use consort_backends::BACKENDS;
use consort_router::config::{Severity, load};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Whether this build has every backend that a configuration names.
fn can_run(text: &str) -> bool {
    let names =
        text.lines().filter_map(|line| line.trim().strip_prefix('[')?.split([' ', ']']).next());
    names
        .filter(|name| !matches!(*name, "map" | "backend" | "include"))
        .all(|name| BACKENDS.iter().any(|backend| backend.name == name))
}

#[test]
fn every_configuration_passes_check() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("tests/light/configurations"))
        .expect("a folder")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| {
            path.extension().is_some_and(|extension| extension == "cfg")
                && !path.ends_with("invalid.cfg")
        })
        .collect();
    for example in ["osc-to-lights", "lua-chase", "python-chase", "artnet-to-sacn"] {
        files.push(root().join("examples").join(example).join("show.cfg"));
    }
    assert!(files.len() >= 9, "{files:?}");
    let mut checked = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable");
        if !can_run(&text) {
            eprintln!("SKIPPED: {}: this build lacks a backend", file.display());
            continue;
        }
        let loaded = load(&file, &[], BACKENDS);
        let messages: Vec<_> =
            loaded.diagnostics.iter().map(|diagnostic| &diagnostic.message).collect();
        assert!(loaded.show.is_some() && messages.is_empty(), "{}: {messages:?}", file.display());
        checked += 1;
    }
    assert!(checked >= 8, "only {checked}");
}

#[test]
fn one_check_reports_all_errors() {
    let loaded = load(&root().join("tests/light/configurations/invalid.cfg"), &[], BACKENDS);
    assert!(loaded.show.is_none());
    let errors: Vec<_> = loaded
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(|diagnostic| diagnostic.message.as_str())
        .collect();
    let all = errors.join("\n");
    for words in ["99999", "256", "64000", "`c` needs the option `universe`", "`code`"] {
        assert!(all.contains(words), "{words}: {all}");
    }
}
