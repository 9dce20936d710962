//! Feedback through the outside: over OSC, and over MIDI Through.
#![cfg(feature = "default")]

mod support;

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Stdio};

use support::{command, wait_until};

/// A running show, which is killed when this is dropped.
struct Looping(Child);

impl Drop for Looping {
    fn drop(&mut self) {
        // Fails only if the process has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a show, sends a value to a channel, and returns the log once the loop is reported and its
/// values are limited.
fn run(folder: &Path, text: &str, channel: &str, engine: &str) -> String {
    std::fs::write(folder.join("show.cfg"), text).expect("written");
    let log = std::fs::File::create(folder.join("log")).expect("a file");
    let mut run = command(folder);
    run.env("CONSORT_SEQ", engine).args(["run", "show.cfg"]).stderr(log);
    let _show = Looping(run.spawn().expect("it runs"));
    let log = || std::fs::read_to_string(folder.join("log")).expect("a log");
    let output = |arguments: &[&str]| {
        let mut command = command(folder);
        command.args(arguments).stdout(Stdio::piped());
        String::from_utf8(command.output().expect("it ran").stdout).expect("text")
    };
    wait_until("the value is set", || {
        let mut set = command(folder);
        set.args(["set", channel, "0.5", "--as", "source"]).status().expect("it ran").success()
    });
    wait_until("the loop is reported", || log().contains("feedback: what"));
    wait_until("the note is shown", || output(&["status"]).contains("comes back from outside"));
    // Loops of thousands per second are limited to a thousand: values by the show's own time.
    let count = || -> (u64, f64) {
        let status: serde_json::Value =
            serde_json::from_str(&output(&["status", "--json"])).expect("JSON");
        let name = channel.split('.').next().expect("a name");
        let instances = status[0]["instances"].as_array().expect("instances").clone();
        let instance = instances.iter().find(|instance| instance["name"] == name).expect("it");
        let seconds = status[0]["seconds"].as_f64().expect("a time");
        (instance["outgoing"].as_u64().expect("a count"), seconds)
    };
    let before = count();
    let mut after = before;
    wait_until("a second passes", || {
        after = count();
        after.1 >= before.1 + 1.0
    });
    let (passed, seconds) = (after.0 - before.0, after.1 - before.1);
    assert!((passed as f64) < 1_000.0 * seconds + 200.0, "{passed} in {seconds} s");
    log()
}

#[test]
fn an_osc_instance_that_sends_to_itself_is_limited() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = socket.local_addr().expect("an address").port();
    drop(socket);
    let text = format!(
        "[osc mirror]\nbind = 127.0.0.1 {port}\ndestination = 127.0.0.1 {port}\n\
         /a = f 0 1 always\n[map]\nmirror./a > mirror./a\n"
    );
    let log = run(folder.path(), &text, "mirror./a", "embedded");
    assert!(log.contains("what `mirror./a` sends to `mirror./a` comes back"), "{log}");
}

#[test]
fn midi_through_is_limited() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "[midi through]\nread = Midi Through\nwrite = Midi Through\n\
                [loopback bay]\n[map]\nthrough.ch0.cc7 > bay.volume\nbay.volume > through.ch0.cc7\n";
    let engine = std::env::var("CONSORT_SEQ").unwrap_or_else(|_| "embedded".to_owned());
    let log = run(folder.path(), text, "through.ch0.cc7", &engine);
    assert!(log.contains("what `through.ch0.cc7` sends to `through.ch0.cc7` comes back"), "{log}");
}
