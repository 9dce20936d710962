//! Instances of `sc` with servers of other makes and of other people: `supernova`, and an
//! `scsynth` that the show did not start.

#![cfg(feature = "sc")]
#![allow(clippy::print_stdout)]

mod sc_support;

use std::path::Path;
use std::time::{Duration, Instant};

use consort_backends::sc::DESCRIPTOR;
use consort_router::testing::{Performance, TestShow};
use consort_sc::{Server, find_executable};
use sc_support::{Jack, Network, PATIENCE, Stranger, client, free_port, process_at, signal};

/// The last value that the probe has of a channel.
fn last(show: &Performance, channel: &str) -> f64 {
    let received = show.received();
    received.iter().rev().find(|it| it.0 == channel).map_or(-1.0, |it| it.1)
}

/// The server's tree as text.
fn tree(server: &Server) -> String {
    server.query_tree(0, true).expect("the tree").to_string()
}

/// Another client of a server that may be starting still.
fn patient_client(port: u16) -> Server {
    let deadline = Instant::now() + PATIENCE;
    let server =
        Server::new(consort_sc::Options { port, ..consort_sc::Options::default() }).expect("one");
    while let Err(error) = server.connect() {
        assert!(Instant::now() < deadline, "no server at {port}: {error}");
        std::thread::sleep(Duration::from_millis(10));
    }
    server
}

fn maps(stage: &mut TestShow) {
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
        stage.map(source, target);
    }
}

const PLAYS: [(&str, &str); 8] = [
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
fn supernova_plays_dies_and_comes_back() {
    if find_executable(Some(Path::new("supernova"))).is_err() {
        println!("SKIPPED: sc: supernova (Debian: apt install supercollider-supernova)");
        return;
    }
    let Some(jack) = Jack::start("sc: supernova") else { return };
    let port = free_port();
    let mut stage = TestShow::new();
    let all = jack.instance_options(port);
    let all = all.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let all: Vec<(&str, &str)> =
        all.chain(PLAYS).chain([("program", "supernova"), ("threads", "1")]).collect();
    stage.instance(&DESCRIPTOR, "sound", &all);
    maps(&mut stage);
    let mut show = stage.start();
    show.until_state("sound", "up");
    show.send_all(&[("mix", 0.75), ("knob", 0.5), ("key", 1.0)]);
    show.until("sound", |show| {
        last(show, "meter") > 0.005
            && last(show, "sounds") == 1.0
            && (last(show, "read") - 0.5).abs() < 1e-6
            && last(show, "room") == 1.0
    });
    show.until("the load", |show| last(show, "load") >= 0.0);
    let watcher = client(port);
    assert_eq!(watcher.query_version().expect("a version").program, "supernova");
    let text = tree(&watcher);
    for wanted in ["pad", "reverb", "mix: 0.75", "consort:master"] {
        assert!(text.contains(wanted), "no {wanted} in\n{text}");
    }
    watcher.disconnect().expect("disconnected");
    // A life that is long enough not to count as a failed start.
    let first_life = Instant::now() + Duration::from_millis(3_200);
    show.until("a life", |_| Instant::now() > first_life);
    signal(process_at(port).expect("a process"), "KILL");
    show.until("the loss", |show| last(show, "sounds") == 0.0);
    show.until("sound again", |show| last(show, "sounds") == 1.0 && last(show, "meter") > 0.005);
    show.send("key", 0.0);
    show.until("the end", |show| last(show, "sounds") == 0.0 && last(show, "voices") == 0.0);
    show.until("silence", |show| last(show, "meter") < 0.001);
    println!("supernova: {:?}", show.counters("sound"));
    // The loss is the only thing that went wrong.
    assert_eq!(show.counters("sound").errors, 1);
    show.finish();
    assert_eq!(process_at(port), None, "the server that was started is ended");
}

/// A stranger's server is not ended, and nothing of the show is left on it.
fn is_left_as_it_was(stranger: &mut Stranger, port: u16) {
    assert!(stranger.is_running(), "a stranger's server is not ended");
    let text = tree(&patient_client(port));
    assert!(!text.contains("pad") && !text.contains("master"), "left behind:\n{text}");
}

#[test]
fn a_stranger_dies_and_comes_back() {
    let Some(jack) = Jack::start("sc: a stranger dies") else { return };
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut stranger = Stranger::start(&jack, port, 4);
    let mut stage = TestShow::new();
    let options: Vec<_> = PLAYS.into_iter().chain([("server", address.as_str())]).collect();
    stage.instance(&DESCRIPTOR, "sound", &options);
    maps(&mut stage);
    let mut show = stage.start();
    show.until_state("sound", "up");
    show.send_all(&[("mix", 0.75), ("knob", 0.5), ("key", 1.0)]);
    show.until("sound", |show| last(show, "meter") > 0.005 && last(show, "sounds") == 1.0);
    // It is gone for a while, and another one is at its place later.
    stranger.kill();
    show.until_state("sound", "waiting");
    assert_eq!(last(&show, "sounds"), 0.0);
    assert_eq!(last(&show, "room"), 0.0);
    stranger = Stranger::start(&jack, port, 4);
    show.until("sound again", |show| last(show, "sounds") == 1.0 && last(show, "meter") > 0.005);
    show.until_state("sound", "up");
    let watcher = patient_client(port);
    let text = tree(&watcher);
    // Its eight outputs and eight inputs are no buses of ours.
    for wanted in ["pad", "out: 16.0", "reverb", "in: 16.0", "mix: 0.75", "consort:master"] {
        assert!(text.contains(wanted), "no {wanted} in\n{text}");
    }
    // This time another is at its place at once, as a supervisor would see to it.
    stranger.kill();
    stranger = Stranger::start(&jack, port, 4);
    let killed = Instant::now();
    show.until("the loss", |show| last(show, "sounds") == 0.0);
    show.until("sound again", |show| last(show, "sounds") == 1.0 && last(show, "meter") > 0.005);
    println!("replaced at once: the held note sounds again after {:.0?}", killed.elapsed());
    show.send("key", 0.0);
    show.until("the end", |show| last(show, "sounds") == 0.0 && last(show, "voices") == 0.0);
    show.finish();
    drop(watcher);
    is_left_as_it_was(&mut stranger, port);
}

/// On another machine: no shared memory, and a network that is away for a while.
#[test]
fn a_stranger_out_of_sight_is_found_again() {
    let Some(jack) = Jack::start("sc: a stranger out of sight") else { return };
    let port = free_port();
    // There is no login to spare.
    let mut stranger = Stranger::start(&jack, port, 1);
    drop(patient_client(port));
    let network = Network::to(port);
    let address = format!("127.0.0.1:{}", network.port());
    let mut stage = TestShow::new();
    let options: Vec<_> = PLAYS.into_iter().chain([("server", address.as_str())]).collect();
    stage.instance(&DESCRIPTOR, "sound", &options);
    maps(&mut stage);
    let mut show = stage.start();
    show.until_state("sound", "up");
    show.send_all(&[("knob", 0.5), ("key", 1.0)]);
    show.until("sound", |show| {
        last(show, "meter") > 0.005 && last(show, "sounds") == 1.0 && last(show, "read") == 0.5
    });
    network.set_away(true);
    show.until_state("sound", "waiting");
    // The key is let go meanwhile; the server, which plays on, must not go on for ever.
    show.send("key", 0.0);
    network.set_away(false);
    show.until_state("sound", "up");
    show.until("silence", |show| last(show, "meter") < 0.001);
    show.send("key", 1.0);
    show.until("sound again", |show| last(show, "sounds") == 1.0 && last(show, "meter") > 0.005);
    show.finish();
    is_left_as_it_was(&mut stranger, port);
}

/// As Cmd-period in `sclang` does: it frees whatever plays, of every client.
#[test]
fn what_another_frees_is_made_again() {
    let Some(jack) = Jack::start("sc: another frees everything") else { return };
    for protocol in ["udp", "tcp"] {
        let port = free_port();
        let mut stage = TestShow::new();
        let all = jack.instance_options(port);
        let all = all.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<(&str, &str)> = all.chain(PLAYS).chain([("protocol", protocol)]).collect();
        stage.instance(&DESCRIPTOR, "sound", &all);
        maps(&mut stage);
        let mut show = stage.start();
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
            // Everything, or one of our groups alone.
            match round {
                0 => other.free_group_children(0, false).expect("sent"),
                _ => other.free_group_children(1, false).expect("sent"),
            }
            show.until("the end", |show| {
                last(show, "sounds") == 0.0 && last(show, "voices") == 0.0
            });
            show.send("key", 0.0);
            show.until("the effect, which ended and is there again", |show| {
                let ends = show.received().iter().filter(|it| **it == ("room".into(), 0.0)).count();
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
        println!("freed by another, over {protocol:?}: {:?}", show.counters("sound"));
        assert_eq!(show.counters("sound").errors, 2, "each loss is said once");
        drop(other);
        show.finish();
    }
}
