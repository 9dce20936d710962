//! `consort status`: its text and its exit status.
#![cfg(feature = "default")]

mod support;

use std::path::Path;
use std::process::Stdio;

use support::{Show, command, wait_until};

/// Runs `consort status` with further arguments; its exit status and output.
fn status(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = command(folder);
    let output = command.arg("status").args(arguments).stdout(Stdio::piped()).output();
    let output = output.expect("started");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    (output.status.code().expect("an exit status"), text)
}

#[test]
fn an_instance_that_failed_changes_the_exit_status() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(status(folder.path(), &[]).0, 1, "no show is running");
    let script = "\n[lua script]\ncode = error('the lights are missing')\n";
    let show = Show::start(folder.path(), ["", script], |_| {});
    let mut text = String::new();
    wait_until("the script has failed", || {
        let (code, printed) = status(folder.path(), &[]);
        text = printed;
        code == 3
    });
    let line = text.lines().find(|line| line.contains("script")).expect("the instance");
    assert!(line.contains("failed") && line.contains("the lights are missing"), "{text}");
    let (code, json) = status(folder.path(), &["--json"]);
    assert_eq!(code, 3);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json[0]["instances"][2]["state"], "failed", "{json}");
    drop(show);
}

#[test]
fn a_show_that_works_has_the_exit_status_0() {
    let folder = tempfile::tempdir().expect("a folder");
    let show = Show::start(folder.path(), ["", ""], |_| {});
    assert_eq!(status(folder.path(), &[]).0, 0);
    drop(show);
}
