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

/// Runs `consort why` for a name; its output.
fn why(folder: &Path, name: &str) -> String {
    let mut command = command(folder);
    let output = command.args(["why", name]).stdout(Stdio::piped()).output().expect("started");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A message with one text.
fn text_message(address: &str, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [address, ",s", text] {
        bytes.extend_from_slice(part.as_bytes());
        bytes.resize(bytes.len() / 4 * 4 + 4, 0);
    }
    bytes
}

#[test]
fn what_arrives_and_does_nothing_is_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    let more = [
        "/1/pan = i 0 127",
        "[map]\nin./1/Fader2 > out./dim\nin./1/xy:1 > out./y\nin./1/pan > out./pan\n\
         in./raw > out./raw\nin./mode > out./mode",
    ];
    let show = Show::start(folder.path(), more, |_| {});
    let first = why(folder.path(), "in./1/Fader2");
    assert!(first.contains("none for `/1/Fader2`"), "{first}");
    let wait_for = |name: &str, expected: &[&str], send: &dyn Fn()| {
        let mut text = String::new();
        wait_until(name, || {
            send();
            text = why(folder.path(), name);
            expected.iter().all(|part| text.contains(part))
        });
    };
    wait_for(
        "in./1/Fader2",
        &["`/1/fader2` arrives", "upper and lower case", "map `in./1/fader2`"],
        &|| show.send_to("/1/fader2", 0.7),
    );
    wait_for("in./1/xy:1", &["value in argument 0", "argument 1 is mapped"], &|| {
        show.send_to("/1/xy", 0.7)
    });
    wait_for("in./1/pan", &["the option expects 0 to 127", "`/1/pan = f 0 1`"], &|| {
        show.send_to("/1/pan", 0.7)
    });
    wait_for(
        "in./raw",
        &["numbers outside are cut off", "`/raw = f 0 127`", "left as /raw ,f 1"],
        &|| show.send_to("/raw", 127.0),
    );
    wait_for("in./mode", &["\"auto\"", "not as a number"], &|| {
        show.send_packet(&text_message("/mode", "auto"))
    });
    wait_for("in./nothing", &["no mapping in show.cfg reads it"], &|| {
        show.send_to("/nothing", 0.5)
    });
    let (_, text) = status(folder.path(), &[]);
    assert!(text.contains("unmatched: /nothing f 0.5 from 127.0.0.1:"), "{text}");
    assert!(
        text.contains("upper and lower case") && text.contains(" packets, the last "),
        "{text}"
    );
    let (_, json) = status(folder.path(), &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let instance = &json[0]["instances"][0];
    let channels = instance["unmatched_inputs"].as_array().expect("a list");
    assert!(channels.iter().any(|input| input["channel"] == "/1/xy"), "{json}");
    assert!(instance["seconds_since_input"].as_f64().is_some_and(|age| age >= 0.0), "{json}");
    drop(show);
}

#[test]
fn a_destination_where_nobody_listens_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let unused = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = unused.local_addr().expect("an address").port();
    drop(unused);
    let lamp = format!("[osc lamp]\ndestination = 127.0.0.1 {port}\n[map]\nin./dim > lamp./dim");
    let show = Show::start(folder.path(), ["", &lamp], |_| {});
    let mut value = 0.0;
    let mut text = String::new();
    wait_until("a datagram has returned", || {
        value += 0.001;
        show.send_to("/dim", value);
        text = why(folder.path(), "in./dim");
        text.contains(&format!("nobody listens at 127.0.0.1:{port}"))
    });
    assert!(text.contains("correct the port in `destination`"), "{text}");
    assert!(status(folder.path(), &[]).1.contains("nobody listens at"), "status says it, too");
    drop(show);
}

#[test]
fn nothing_that_arrives_is_explained_with_addresses() {
    let folder = tempfile::tempdir().expect("a folder");
    let unused = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = unused.local_addr().expect("an address").port();
    drop(unused);
    let quiet = format!("[osc quiet]\nbind = 0.0.0.0 {port}\n[map]\nquiet./a > out./quiet");
    let show = Show::start(folder.path(), ["", &quiet], |_| {});
    let text = why(folder.path(), "quiet");
    assert!(text.contains(&format!("nothing has arrived at UDP port {port}")), "{text}");
    assert!(text.contains("tcpdump"), "{text}");
    drop(show);
}
