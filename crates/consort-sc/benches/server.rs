//! Benchmarks of the real-time contexts. Each figure is printed with its baseline (a raw socket, the
//! bare process) and with Supriya's figure, both from the same run.
#![allow(clippy::print_stdout)] // The report.
#![allow(dead_code)] // The tests share the rig and use more of it.

#[path = "../tests/server/rig.rs"]
mod rig;
#[path = "../tests/server/supriya.rs"]
mod supriya;

use std::collections::HashMap;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use consort_bench::{Budget, interleave, median, milliseconds, nanoseconds_per_call, report};
use consort_osc::{MessageBuilder, OscPacket};
use consort_sc::*;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    if let Err(reason) = rig::jack() {
        println!("SKIPPED: {reason}");
        return;
    }
    println!(
        "SuperCollider in real time; raw sockets, the bare process and Supriya in the same run"
    );
    let supriya = measure_supriya();
    let supriya = supriya.as_ref();
    // Names on the command line select benchmarks, as for tests.
    let selected: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let benchmarks: [(&str, &dyn Fn()); 8] = [
        ("set_node", &|| set_node(supriya)),
        ("moment", &|| moment(supriya)),
        ("round_trips", &|| round_trips(supriya)),
        ("memory", &memory),
        ("boot", &|| boot(supriya)),
        ("tree", &|| tree(supriya)),
        ("synths", &|| synths(supriya)),
        ("flood", &flood),
    ];
    for (name, benchmark) in benchmarks {
        if selected.is_empty() || selected.iter().any(|selected| selected == name) {
            benchmark();
        }
    }
    rig::stop_jack();
}

/// Supriya's figures in seconds, by the names of the benchmarks.
type SupriyaFigures = HashMap<String, f64>;

/// Runs Supriya's benchmarks, if it is installed.
fn measure_supriya() -> Option<SupriyaFigures> {
    let python = match supriya::python() {
        Ok(python) => python,
        Err(reason) => {
            println!("SKIPPED: Supriya: {reason}");
            return None;
        }
    };
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/supriya_server.py"))
        .arg(rig::free_port().to_string())
        .env("JACK_DEFAULT_SERVER", rig::jack_name())
        .env("JACK_NO_START_SERVER", "1")
        .stderr(Stdio::inherit())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let parse = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    Some(text.lines().filter_map(parse).collect())
}

/// Supriya's figure in the unit of which a second has `per_second`.
fn supriya_figure(supriya: Option<&SupriyaFigures>, name: &str, per_second: f64) -> Option<f64> {
    supriya.and_then(|figures| figures.get(name)).map(|seconds| seconds * per_second)
}

fn set_node(supriya: Option<&SupriyaFigures>) {
    let server = rig::booted();
    let tone = rig::tone();
    server.add_synthdefs([&tone]).unwrap();
    server.sync().unwrap();
    let synth = server.add_synth(&tone, AddAction::ToHead, NO_SETTINGS).unwrap();
    server.sync().unwrap();
    let mut bytes = Vec::new();
    MessageBuilder::new(&mut bytes, "/n_set")
        .int(synth.id())
        .string("frequency")
        .float(440.0)
        .finish()
        .unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", server.options().port)).unwrap();
    // In batches that are small enough for the server.
    let mut send_bare = || nanoseconds_per_call(100, || socket.send(black_box(&bytes)).unwrap());
    let mut set = || {
        let time =
            nanoseconds_per_call(100, || synth.set([(black_box("frequency"), 440.0)]).unwrap());
        server.sync().unwrap();
        time
    };
    let [bare, consort] = interleave(200, [&mut send_bare, &mut set]);
    report("set_node", "ns")
        .floor(bare.median())
        .peer("Supriya", supriya_figure(supriya, "set_node", 1e9))
        .ours(consort.median())
        .budget(Budget::AtMostFloor(1.1))
        .print();
}

fn moment(supriya: Option<&SupriyaFigures>) {
    let server = rig::booted();
    let tone = rig::tone();
    server.add_synthdefs([&tone]).unwrap();
    server.sync().unwrap();
    let synth = server.add_synth(&tone, AddAction::ToHead, NO_SETTINGS).unwrap();
    let rounds = (0..50).map(|_| {
        let time = milliseconds(|| {
            let moment = server.at(None).unwrap();
            for value in 0..1000 {
                moment.set_node(&synth, [(black_box("frequency"), value as f32)]).unwrap();
            }
            moment.send().unwrap();
        });
        server.sync().unwrap();
        time * 1e6 / 1000.0
    });
    report("set_node inside a moment of 1,000, sent", "ns")
        .peer("Supriya", supriya_figure(supriya, "moment", 1e9))
        .ours(median(rounds))
        .budget(Budget::FasterThanPeer(20.0))
        .print();
}

fn round_trips(supriya: Option<&SupriyaFigures>) {
    let server = rig::booted();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", server.options().port)).unwrap();
    let mut status = Vec::new();
    MessageBuilder::new(&mut status, "/status").finish().unwrap();
    let mut sync = Vec::new();
    MessageBuilder::new(&mut sync, "/sync").int(7).finish().unwrap();
    let raw = |bytes: &[u8]| {
        let mut buffer = [0; 65_536];
        milliseconds(|| {
            socket.send(bytes).unwrap();
            let length = socket.recv(&mut buffer).unwrap();
            OscPacket::decode(&buffer[..length]).unwrap()
        })
    };
    let [raw_status, status, raw_sync, sync] = interleave(
        300,
        [
            &mut || raw(&status),
            &mut || milliseconds(|| server.query_status().unwrap()),
            &mut || raw(&sync),
            &mut || milliseconds(|| server.sync().unwrap()),
        ],
    );
    for (work, name, consort, bare) in
        [("query_status", "status", status, raw_status), ("sync", "sync", sync, raw_sync)]
    {
        report(work, "ms")
            .floor(bare.median())
            .peer("Supriya", supriya_figure(supriya, name, 1e3))
            .ours(consort.median())
            .budget(Budget::AtMostFloor(1.05))
            .print();
    }
}

fn memory() {
    let server = rig::booted();
    let Some(memory) = server.shared_memory() else {
        println!("SKIPPED: no shared memory");
        return;
    };
    let read = || memory.control_bus_value(black_box(100)).unwrap();
    // A system call, which unlike an access to a mapping fails if the file is cut.
    report("control bus through shared memory", "ns")
        .ours(nanoseconds_per_call(1_000_000, read))
        .budget(Budget::AtMost(2_000.0))
        .print();
}

fn boot(supriya: Option<&SupriyaFigures>) {
    let mut boot_bare = || {
        let options = rig::options();
        let mut child = None;
        let time = milliseconds(|| {
            let child = child.insert(
                Command::new(find_executable(None).unwrap())
                    .args(options.arguments())
                    .envs(options.environment.iter().map(|(name, value)| (name, value)))
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap(),
            );
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("server ready")))
        });
        let mut child = child.unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        time
    };
    let mut boot = || {
        let server = Server::new(rig::options()).unwrap();
        milliseconds(|| server.boot().unwrap())
    };
    let [bare, consort] = interleave(7, [&mut boot_bare, &mut boot]);
    report("boot, connected and with its groups", "ms")
        .floor(bare.median())
        .peer("Supriya", supriya_figure(supriya, "boot", 1e3))
        .ours(consort.median())
        .budget(Budget::AtMostFloor(1.2))
        .print();
}

fn tree(supriya: Option<&SupriyaFigures>) {
    let options = Options { maximum_node_count: 4096, memory_size: 65_536, ..rig::options() };
    let server = rig::booted_with(options);
    let tone = rig::named_tone("tone", false);
    server.add_synthdefs([&tone]).unwrap();
    server.sync().unwrap();
    server
        .at_once(None, |moment| {
            for _ in 0..1000 {
                moment.add_synth(&tone, AddAction::ToTail, NO_SETTINGS)?;
            }
            Ok(())
        })
        .unwrap();
    server.sync().unwrap();
    let start = Instant::now();
    let tree = server.query_tree(&server.root_node(), true).unwrap();
    let consort = start.elapsed().as_secs_f64() * 1e3;
    let with_controls = tree
        .walk()
        .iter()
        .filter(
            |(_, node)| matches!(node, QueryTreeNode::Synth(synth) if synth.controls.len() == 3),
        )
        .count();
    report("tree of 1,000 synths with controls", "ms")
        .peer("Supriya", supriya_figure(supriya, "tree", 1e3))
        .ours(consort)
        .note(format!("{with_controls} of 1,000 complete"))
        .print();
}

fn synths(supriya: Option<&SupriyaFigures>) {
    let server = rig::booted();
    let tone = rig::tone();
    server.add_synthdefs([&tone]).unwrap();
    server.sync().unwrap();
    let start = Instant::now();
    for _ in 0..500 {
        server.add_synth(&tone, AddAction::ToTail, NO_SETTINGS).unwrap();
    }
    let sent = start.elapsed().as_secs_f64();
    server.sync().unwrap();
    let consort = start.elapsed().as_secs_f64();
    report("500 synths and a sync", "ms")
        .peer("Supriya", supriya_figure(supriya, "synths", 1e3))
        .ours(consort * 1e3)
        .note(format!("sent after {:.2}", sent * 1e3))
        .print();
}

fn flood() {
    let seconds: u32 =
        std::env::var("CONSORT_FLOOD").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let server = rig::booted();
    let tone = rig::tone();
    server.add_synthdefs([&tone]).unwrap();
    server.sync().unwrap();
    let synth = server.add_synth(&tone, AddAction::ToHead, NO_SETTINGS).unwrap();
    let output = server.events(EventFilter { process_output: true, ..EventFilter::default() });
    // The server prints the messages that it receives; the output shows which have arrived.
    server.submit(requests::DumpOsc { mode: 1 }).unwrap();
    server.sync().unwrap();
    let total = 10_000 * seconds;
    let mut is_received = vec![false; total as usize];
    let mut count = 0;
    let mut count_received = |timeout: Duration| {
        while let Some(event) = output.next_timeout(timeout) {
            if let Event::ProcessOutput(line) = event
                && line.contains("/n_set")
                && let Some(number) = line.rsplit([',', ' ']).find_map(|word| {
                    word.trim_matches(|letter: char| !letter.is_ascii_digit()).parse::<usize>().ok()
                })
                && let Some(is_received) = is_received.get_mut(number)
                && !std::mem::replace(is_received, true)
            {
                count += 1;
            }
        }
        count
    };
    let start = Instant::now();
    let mut number = 0;
    while number < total {
        let due = ((start.elapsed().as_secs_f64() * 10_000.0) as u32).min(total);
        while number < due {
            synth.set([("frequency", number as f32)]).unwrap();
            number += 1;
        }
        count_received(Duration::from_millis(1));
    }
    let elapsed = start.elapsed().as_secs_f64();
    let count = count_received(Duration::from_millis(500));
    report("10,000 set_node/s, each with its number: lost", "messages")
        .ours(f64::from(total - count))
        .budget(Budget::AtMost(0.0))
        .note(format!("of {total} in {elapsed:.1} s; {} events dropped", output.dropped()))
        .print();
}
