//! Datagrams that the kernel drops or a host refuses are counted, and views show them.
#![cfg(feature = "default")]

mod support;

use std::net::UdpSocket;
use std::path::Path;

use serde_json::Value;
use support::{Show, command, wait_until};

/// The output of `consort status` with these arguments.
fn status(folder: &Path, arguments: &[&str]) -> String {
    let mut command = command(folder);
    command.arg("status").args(arguments).stdout(std::process::Stdio::piped());
    String::from_utf8(command.output().expect("an output").stdout).expect("UTF-8")
}

/// A counter of an instance.
fn counter(folder: &Path, instance: &str, name: &str) -> u64 {
    let shows: Value = serde_json::from_str(&status(folder, &["--json"])).expect("JSON");
    let instances = shows[0]["instances"].as_array().expect("instances");
    let found = instances.iter().find(|entry| entry["name"] == instance).expect("the instance");
    found[name].as_u64().expect("a number")
}

#[test]
fn every_datagram_is_received_or_counted_as_lost() {
    const SENT: u64 = 30_000;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut show = Show::start(folder, ["", ""], |_| {});
    let total = || counter(folder, "in", "packets") + counter(folder, "in", "lost");
    let before = total();
    show.signal("STOP");
    let stat = format!("/proc/{}/stat", show.child.id());
    wait_until("the show is stopped", || {
        std::fs::read_to_string(&stat).expect("a process").contains(") T ")
    });
    for number in 0..SENT {
        show.send_to("/a", (number % 100) as f32 / 100.0);
    }
    show.signal("CONT");
    wait_until("every datagram is counted", || total() == before + SENT);
    let lost = counter(folder, "in", "lost");
    assert!(lost > 0, "the receive buffer holds all {SENT} datagrams");
    let text = status(folder, &[]);
    assert!(text.contains(&format!("{lost} datagrams lost")), "{text}");
    show.routes();
}

#[test]
fn refused_datagrams_are_counted_and_do_not_stop_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let closed = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = closed.local_addr().expect("an address").port();
    drop(closed);
    let more = format!("[osc closed]\ndestination = 127.0.0.1 {port}\n[map]\nin./a > closed./x");
    let mut show = Show::start(folder, ["", &more], |_| {});
    wait_until("the refusal is counted", || {
        show.routes();
        counter(folder, "closed", "refused") > 1
    });
    assert_eq!(counter(folder, "out", "refused"), 0);
    assert!(counter(folder, "closed", "refused") <= counter(folder, "closed", "outgoing"));
}
