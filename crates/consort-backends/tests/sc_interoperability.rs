//! Instances of `sc` with `supernova`, and with servers and clients of other programs.

#![cfg(feature = "sc")]
#![allow(clippy::print_stdout)]

mod sc_support;

use std::path::Path;
use std::time::{Duration, Instant};

use consort_backends::sc::DESCRIPTOR;
use consort_router::testing::{Performance, TestShow};
use consort_sc::{Server, find_executable};
use sc_support::{
    CONDITION_TIMEOUT, ForeignServer, Jack, Network, client, free_port, process_at, signal,
};

/// The last value that the probe has received on a channel.
fn last(show: &Performance, channel: &str) -> f64 {
    let received = show.received();
    received.iter().rev().find(|(own, _)| own == channel).map_or(-1.0, |(_, value)| *value)
}

/// The server's tree as text.
fn tree(server: &Server) -> String {
    server.query_tree(0, true).expect("the tree").to_string()
}

/// Connects another client to a server that may still be starting.
fn client_when_ready(port: u16) -> Server {
    let deadline = Instant::now() + CONDITION_TIMEOUT;
    let server = Server::new(consort_sc::Options { port, ..consort_sc::Options::default() })
        .expect("a client");
    while let Err(error) = server.connect() {
        assert!(Instant::now() < deadline, "no server on port {port}: {error}");
        std::thread::sleep(Duration::from_millis(10));
    }
    server
}

/// Maps every kind of channel that the tests use.
fn add_mappings(test: &mut TestShow) {
    for (source, target) in [
        ("probe.key", "sound.pad.note60"),
        ("probe.mix", "sound.room.mix"),
        ("probe.knob", "sound.bus.knob"),
        ("sound.bus.knob", "probe.read"),
        ("sound.pad.note60", "probe.sounds"),
        ("sound.pad.voices", "probe.voices"),
        ("sound.room.run", "probe.room"),
        ("sound.meter", "probe.meter"),
        ("sound.load", "probe.load"),
    ] {
        test.map(source, target);
    }
}

/// The options of the instance in these tests.
const OPTIONS: [(&str, &str); 8] = [
    ("voice.pad", "pad"),
    ("control.pad.out", "bus wet"),
    ("bus.wet", "audio 2"),
    ("bus.knob", "0 10"),
    ("synth.room", "reverb"),
    ("control.room.in", "bus wet"),
    ("buffer.loop", "empty 1000 1"),
    ("rate", "100"),
];

#[test]
fn supernova_plays_crashes_and_is_restarted() {
    if find_executable(Some(Path::new("supernova"))).is_err() {
        println!("SKIPPED: sc: supernova (Debian: apt install supercollider-supernova)");
        return;
    }
    let Some(jack) = Jack::start("sc: supernova") else { return };
    let port = free_port();
    let mut test = TestShow::new();
    let all = jack.instance_options(port);
    let all = all.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let all: Vec<(&str, &str)> =
        all.chain(OPTIONS).chain([("program", "supernova"), ("threads", "1")]).collect();
    test.instance(&DESCRIPTOR, "sound", &all);
    add_mappings(&mut test);
    let mut show = test.start();
    show.until_state("sound", "up");
    show.send_all(&[("mix", 0.75), ("knob", 0.5), ("key", 1.0)]);
    show.until("sound", |show| {
        last(show, "meter") > 0.005
            && last(show, "sounds") == 1.0
            && (last(show, "read") - 0.5).abs() < 1e-6
            && last(show, "room") == 1.0
    });
    show.until("the load", |show| last(show, "load") >= 0.0);
    let observer = client(port);
    assert_eq!(observer.query_version().expect("a version").program, "supernova");
    let text = tree(&observer);
    for wanted in ["pad", "reverb", "mix: 0.75", "consort:master"] {
        assert!(text.contains(wanted), "no {wanted} in\n{text}");
    }
    observer.disconnect().expect("disconnected");
    // A server that is lost sooner than this counts as a failed start.
    let min_uptime = Instant::now() + Duration::from_millis(3_200);
    show.until("the minimum uptime", |_| Instant::now() > min_uptime);
    signal(process_at(port).expect("a process"), "KILL");
    show.until("the loss", |show| last(show, "sounds") == 0.0);
    show.until("sound again", |show| last(show, "sounds") == 1.0 && last(show, "meter") > 0.005);
    show.send("key", 0.0);
    show.until("the end", |show| last(show, "sounds") == 0.0 && last(show, "voices") == 0.0);
    show.until("silence", |show| last(show, "meter") < 0.001);
    println!("supernova: {:?}", show.counters("sound"));
    // The loss is the only error.
    assert_eq!(show.counters("sound").errors, 1);
    show.finish();
    assert_eq!(process_at(port), None, "the started server has ended");
}

/// Checks that a foreign server still runs, and that the show has left nothing on it.
fn assert_left_clean(server: &mut ForeignServer, port: u16) {
    assert!(server.is_running(), "a foreign server keeps running");
    let text = tree(&client_when_ready(port));
    assert!(!text.contains("pad") && !text.contains("master"), "left behind:\n{text}");
}

#[test]
fn a_foreign_server_crashes_and_is_restarted() {
    let Some(jack) = Jack::start("sc: a foreign server crashes") else { return };
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut server = ForeignServer::start(&jack, port, 4);
    let mut test = TestShow::new();
    let options: Vec<_> = OPTIONS.into_iter().chain([("server", address.as_str())]).collect();
    test.instance(&DESCRIPTOR, "sound", &options);
    add_mappings(&mut test);
    let mut show = test.start();
    show.until_state("sound", "up");
    show.send_all(&[("mix", 0.75), ("knob", 0.5), ("key", 1.0)]);
    show.until("sound", |show| last(show, "meter") > 0.005 && last(show, "sounds") == 1.0);
    // There is no server for a while; then another one starts on the same port.
    server.kill();
    show.until_state("sound", "waiting");
    assert_eq!(last(&show, "sounds"), 0.0);
    assert_eq!(last(&show, "room"), 0.0);
    server = ForeignServer::start(&jack, port, 4);
    show.until("sound again", |show| last(show, "sounds") == 1.0 && last(show, "meter") > 0.005);
    show.until_state("sound", "up");
    let observer = client_when_ready(port);
    let text = tree(&observer);
    // The show does not use the server's eight outputs and eight inputs as private buses.
    for wanted in ["pad", "out: 16.0", "reverb", "in: 16.0", "mix: 0.75", "consort:master"] {
        assert!(text.contains(wanted), "no {wanted} in\n{text}");
    }
    // This time another server starts at once, as with a supervisor.
    server.kill();
    server = ForeignServer::start(&jack, port, 4);
    let killed = Instant::now();
    show.until("the loss", |show| last(show, "sounds") == 0.0);
    show.until("sound again", |show| last(show, "sounds") == 1.0 && last(show, "meter") > 0.005);
    println!("restarted at once: the held note sounds again after {:.0?}", killed.elapsed());
    show.send("key", 0.0);
    show.until("the end", |show| last(show, "sounds") == 0.0 && last(show, "voices") == 0.0);
    show.finish();
    drop(observer);
    assert_left_clean(&mut server, port);
}

/// A server on another computer: no shared memory, and a network that is down for a while.
#[test]
fn a_foreign_server_is_found_again_after_a_network_failure() {
    let Some(jack) = Jack::start("sc: a network failure") else { return };
    let port = free_port();
    // The server accepts a single client.
    let mut server = ForeignServer::start(&jack, port, 1);
    drop(client_when_ready(port));
    let network = Network::to(port);
    let address = format!("127.0.0.1:{}", network.port());
    let mut test = TestShow::new();
    let options: Vec<_> = OPTIONS.into_iter().chain([("server", address.as_str())]).collect();
    test.instance(&DESCRIPTOR, "sound", &options);
    add_mappings(&mut test);
    let mut show = test.start();
    show.until_state("sound", "up");
    show.send_all(&[("knob", 0.5), ("key", 1.0)]);
    show.until("sound", |show| {
        last(show, "meter") > 0.005 && last(show, "sounds") == 1.0 && last(show, "read") == 0.5
    });
    network.set_down(true);
    show.until_state("sound", "waiting");
    // The key is released meanwhile, but the server plays on; it must be released later.
    show.send("key", 0.0);
    network.set_down(false);
    show.until_state("sound", "up");
    show.until("silence", |show| last(show, "meter") < 0.001);
    show.send("key", 1.0);
    show.until("sound again", |show| last(show, "sounds") == 1.0 && last(show, "meter") > 0.005);
    show.finish();
    assert_left_clean(&mut server, port);
}

/// Cmd-period in `sclang` frees the nodes of all clients.
#[test]
fn nodes_that_another_client_frees_are_created_again() {
    let Some(jack) = Jack::start("sc: another client frees everything") else { return };
    for protocol in ["udp", "tcp"] {
        let port = free_port();
        let mut test = TestShow::new();
        let all = jack.instance_options(port);
        let all = all.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<(&str, &str)> = all.chain(OPTIONS).chain([("protocol", protocol)]).collect();
        test.instance(&DESCRIPTOR, "sound", &all);
        add_mappings(&mut test);
        let mut show = test.start();
        show.until_state("sound", "up");
        let protocol = match protocol {
            "tcp" => consort_sc::Protocol::Tcp,
            _ => consort_sc::Protocol::Udp,
        };
        let options = consort_sc::Options { port, protocol, ..consort_sc::Options::default() };
        let other = Server::new(options).expect("a client");
        other.connect().expect("connected");
        for round in 0..2 {
            show.send_all(&[("mix", 0.75), ("key", 1.0)]);
            show.until("sound", |show| last(show, "meter") > 0.005 && last(show, "sounds") == 1.0);
            // Everything, or the default group of the show alone.
            match round {
                0 => other.free_group_children(0, false).expect("sent"),
                _ => other.free_group_children(1, false).expect("sent"),
            }
            show.until("the end", |show| {
                last(show, "sounds") == 0.0 && last(show, "voices") == 0.0
            });
            show.send("key", 0.0);
            show.until("the end and the restart of the effect", |show| {
                let ends =
                    show.received().iter().filter(|event| **event == ("room".into(), 0.0)).count();
                ends == round + 1 && last(show, "room") == 1.0
            });
        }
        show.send("key", 1.0);
        show.until("sound again", |show| {
            last(show, "meter") > 0.005 && last(show, "sounds") == 1.0
        });
        let text = tree(&other);
        for wanted in ["pad", "reverb", "mix: 0.75", "consort:master"] {
            assert_eq!(text.matches(wanted).count(), 1, "{wanted} in\n{text}");
        }
        println!("freed by another client, over {protocol:?}: {:?}", show.counters("sound"));
        assert_eq!(show.counters("sound").errors, 2, "each loss is reported once");
        drop(other);
        show.finish();
    }
}
