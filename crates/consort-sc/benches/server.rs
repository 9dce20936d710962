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

use consort_osc::{MessageBuilder, OscPacket};
use consort_sc::*;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The mean time of `count` calls in nanoseconds.
fn time(count: u32, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        work();
    }
    start.elapsed().as_nanos() as f64 / f64::from(count)
}

/// Prints one row of the report.
fn print_row(name: &str, consort: String, comparison: String) {
    println!("{name:44} {consort:>22} {comparison}");
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    if let Err(reason) = rig::jack() {
        println!("SKIPPED: {reason}");
        return;
    }
    println!("{:44} {:>22} baseline or Supriya, same run", "benchmark", "consort");
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

/// Supriya's figure, and how many times that of Consort (in seconds) it is.
fn versus(supriya: Option<&SupriyaFigures>, name: &str, consort: f64) -> String {
    match supriya.and_then(|figures| figures.get(name)) {
        Some(figure) => format!("Supriya {:.3} us, {:.1} x", figure * 1e6, figure / consort),
        None => "Supriya: none".to_owned(),
    }
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
    let (mut consort, mut bare) = (Vec::new(), Vec::new());
    // In turns, and in batches that are small enough for the server.
    for _ in 0..200 {
        bare.push(time(100, || {
            socket.send(black_box(&bytes)).unwrap();
        }));
        consort.push(time(100, || synth.set([(black_box("frequency"), 440.0)]).unwrap()));
        server.sync().unwrap();
    }
    let (consort, bare) = (median(consort), median(bare));
    print_row(
        "set_node",
        format!("{consort:.0} ns"),
        format!(
            "bare send {bare:.0} ns: {:.2} x (budget 1.3); {}",
            consort / bare,
            versus(supriya, "set_node", consort / 1e9)
        ),
    );
}

fn moment(supriya: Option<&SupriyaFigures>) {
    let server = rig::booted();
    let tone = rig::tone();
    server.add_synthdefs([&tone]).unwrap();
    server.sync().unwrap();
    let synth = server.add_synth(&tone, AddAction::ToHead, NO_SETTINGS).unwrap();
    let mut rounds = Vec::new();
    for _ in 0..50 {
        let start = Instant::now();
        let moment = server.at(None).unwrap();
        for value in 0..1000 {
            moment.set_node(&synth, [(black_box("frequency"), value as f32)]).unwrap();
        }
        moment.send().unwrap();
        rounds.push(start.elapsed().as_nanos() as f64 / 1000.0);
        server.sync().unwrap();
    }
    let consort = median(rounds);
    print_row(
        "set_node inside a moment of 1,000, sent",
        format!("{consort:.0} ns"),
        format!("{} (budget 20 x)", versus(supriya, "moment", consort / 1e9)),
    );
}

fn round_trips(supriya: Option<&SupriyaFigures>) {
    let server = rig::booted();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", server.options().port)).unwrap();
    let mut status = Vec::new();
    MessageBuilder::new(&mut status, "/status").finish().unwrap();
    let mut sync = Vec::new();
    MessageBuilder::new(&mut sync, "/sync").int(7).finish().unwrap();
    let mut buffer = [0; 65_536];
    let mut raw = |bytes: &[u8]| {
        let start = Instant::now();
        socket.send(bytes).unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        black_box(OscPacket::decode(&buffer[..length]).unwrap());
        start.elapsed().as_secs_f64()
    };
    let measure = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    let mut figures: [Vec<f64>; 4] = Default::default();
    for _ in 0..300 {
        figures[0].push(raw(&status));
        figures[1].push(measure(&mut || {
            server.query_status().unwrap();
        }));
        figures[2].push(raw(&sync));
        figures[3].push(measure(&mut || server.sync().unwrap()));
    }
    let [raw_status, status, raw_sync, sync] = figures.map(median);
    for (label, name, consort, baseline) in
        [("query_status", "status", status, raw_status), ("sync", "sync", sync, raw_sync)]
    {
        print_row(
            label,
            format!("{:.3} ms", consort * 1e3),
            format!(
                "raw socket {:.3} ms: {:.3} x (budget 1.05); {}",
                baseline * 1e3,
                consort / baseline,
                versus(supriya, name, consort)
            ),
        );
    }
}

fn memory() {
    let server = rig::booted();
    let Some(memory) = server.shared_memory() else {
        println!("SKIPPED: no shared memory");
        return;
    };
    let mut sum = 0.0;
    let consort = time(10_000_000, || sum += memory.control_bus_value(black_box(100)).unwrap());
    black_box(sum);
    print_row(
        "control bus through shared memory",
        format!("{consort:.1} ns"),
        "budget 50 ns".into(),
    );
}

fn boot(supriya: Option<&SupriyaFigures>) {
    let (mut consort, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        let options = rig::options();
        let start = Instant::now();
        let mut child = Command::new(find_executable(None).unwrap())
            .args(options.arguments())
            .envs(options.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.map_while(std::io::Result::ok) {
            if line.contains("server ready") {
                break;
            }
        }
        bare.push(start.elapsed().as_secs_f64());
        child.kill().unwrap();
        child.wait().unwrap();
        let server = Server::new(rig::options()).unwrap();
        let start = Instant::now();
        server.boot().unwrap();
        consort.push(start.elapsed().as_secs_f64());
    }
    let (consort, bare) = (median(consort), median(bare));
    print_row(
        "boot, connected and with its groups",
        format!("{:.1} ms", consort * 1e3),
        format!(
            "process to its ready line {:.1} ms: {:.2} x (budget 1.2); {}",
            bare * 1e3,
            consort / bare,
            versus(supriya, "boot", consort)
        ),
    );
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
    let consort = start.elapsed().as_secs_f64();
    let with_controls = tree
        .walk()
        .iter()
        .filter(
            |(_, node)| matches!(node, QueryTreeNode::Synth(synth) if synth.controls.len() == 3),
        )
        .count();
    print_row(
        "tree of 1,000 synths with controls",
        format!("{:.1} ms, {with_controls} of 1000", consort * 1e3),
        match supriya.and_then(|figures| figures.get("tree")) {
            Some(_) => versus(supriya, "tree", consort),
            None => "Supriya: fails".to_owned(),
        },
    );
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
    print_row(
        "500 synths and a sync",
        format!("{:.1} ms (sent: {:.2})", consort * 1e3, sent * 1e3),
        versus(supriya, "synths", consort),
    );
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
    print_row(
        "10,000 set_node/s, each with its number",
        format!("{count} of {total} received"),
        format!("{elapsed:.1} s; {} events dropped", output.dropped()),
    );
}
