//! Snapshots of the diagnostics for every configuration in `invalid/`. A first line
//! `; arguments: …` gives arguments for the command.
//!
//! After a change of messages, `INSTA_UPDATE=always cargo test -p consort --test invalid` updates
//! the snapshots; read the difference before it is committed.
#![cfg(feature = "default")]

use std::path::Path;

use assert_cmd::Command;

fn consort(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("consort"));
    command.current_dir(folder).env_remove("CONSORT_LOG").env("NO_COLOR", "1");
    command
}

#[test]
fn every_invalid_configuration_is_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invalid");
    let mut files: Vec<String> = std::fs::read_dir(&folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .filter(|name| name.ends_with(".cfg"))
        .collect();
    files.sort();
    // A new backend must not change the snapshots.
    let backends: Vec<String> =
        consort_backends::BACKENDS.iter().map(|backend| format!("`{}`", backend.name)).collect();
    let backends = backends.join(", ");
    assert!(files.len() >= 40, "{} configurations", files.len());
    for file in files {
        let bytes = std::fs::read(folder.join(&file)).expect("a file");
        let text = String::from_utf8_lossy(&bytes);
        let first = text.lines().next().unwrap_or_default();
        let arguments = first.strip_prefix("; arguments: ").unwrap_or_default();
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let output = consort(&folder)
            .arg("check")
            .args(&arguments)
            .arg(&file)
            .output()
            .expect("the command runs");
        let status = output.status.code().expect("an exit status");
        let text = format!(
            "exit status {status}\n{}{}",
            String::from_utf8(output.stderr).expect("UTF-8"),
            String::from_utf8(output.stdout).expect("UTF-8"),
        );
        let text = text.replace(&backends, "(every backend of this build)");
        assert!(!text.contains('\u{1b}'), "{file}: control characters reach the terminal");
        let errors = text.lines().filter(|line| line.starts_with("error[")).count();
        let warnings = text.lines().filter(|line| line.starts_with("warning[")).count();
        assert!(errors + warnings > 0, "{file} is valid");
        assert_eq!(status, i32::from(errors > 0), "{file}: the exit status");
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(file.trim_end_matches(".cfg"), text);
        });
    }
}

#[test]
fn the_json_document_contains_the_same_diagnostics() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invalid");
    let output = consort(&folder)
        .args(["check", "--format", "json", "five-errors.cfg", "byte-order-mark.cfg", "none.cfg"])
        .output()
        .expect("the command runs");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("document", text);
    });
}

#[test]
fn a_valid_configuration_is_reported_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "[loopback faders]\n\n[map]\nfaders.in{1..4} > faders.out\n";
    std::fs::write(folder.path().join("show.cfg"), text).expect("a file");
    let check = |arguments: &[&str]| {
        let output = consort(folder.path()).arg("check").args(arguments).output().expect("runs");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    assert_eq!(check(&["show.cfg"]), "show.cfg: fine, 1 instance, 5 channels, 4 mappings\n");
    let document = check(&["--format", "json", "show.cfg"]);
    assert!(document.contains("\"ok\": true") && document.contains("\"mappings\": 4"));
}
