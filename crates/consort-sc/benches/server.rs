//! The figures of the real-time contexts, each beside its floor (a raw socket, the bare
//! process) and beside Supriya's from the same run.
#![allow(clippy::print_stdout)] // The report.
#![allow(dead_code)] // The rig serves the tests, too.

#[path = "../tests/server/rig.rs"]
mod rig;
#[path = "../tests/server/supriya.rs"]
mod supriya;

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

/// Nanoseconds of one of `count` calls.
fn time(count: u32, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        work();
    }
    start.elapsed().as_nanos() as f64 / f64::from(count)
}

fn line(what: &str, ours: String, floor: String) {
    println!("{what:44} {ours:>22} {floor}");
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    if let Err(why) = rig::jack() {
        println!("SKIPPED: {why}");
        return;
    }
    println!("{:44} {:>22} floor or peer, same run", "what", "consort");
    let peer = peer();
    // Parts can be named, as tests are.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let parts: [(&str, &dyn Fn()); 8] = [
        ("set_node", &|| set_node(peer.as_ref())),
        ("moment", &|| moment(peer.as_ref())),
        ("round_trips", &|| round_trips(peer.as_ref())),
        ("memory", &memory),
        ("boot", &|| boot(peer.as_ref())),
        ("tree", &|| tree(peer.as_ref())),
        ("synths", &|| synths(peer.as_ref())),
        ("flood", &flood),
    ];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            part();
        }
    }
    rig::stop_jack();
}

/// What Supriya takes for the same, in seconds, by name.
fn peer() -> Option<std::collections::HashMap<String, f64>> {
    let python = match supriya::python() {
        Ok(python) => python,
        Err(why) => {
            println!("SKIPPED: Supriya: {why}");
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
    let read = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    Some(text.lines().filter_map(read).collect())
}

fn versus(
    peer: Option<&std::collections::HashMap<String, f64>>,
    name: &str,
    ours_in_seconds: f64,
) -> String {
    match peer.and_then(|peer| peer.get(name)) {
        Some(theirs) => {
            format!("Supriya {:.3} us, {:.1} x", theirs * 1e6, theirs / ours_in_seconds)
        }
        None => "Supriya: none".to_owned(),
    }
}

type Peer<'a> = Option<&'a std::collections::HashMap<String, f64>>;

fn set_node(peer: Peer<'_>) {
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
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    // Turn about, in slices that the server can follow.
    for _ in 0..200 {
        bare.push(time(100, || {
            socket.send(black_box(&bytes)).unwrap();
        }));
        ours.push(time(100, || synth.set([(black_box("frequency"), 440.0)]).unwrap()));
        server.sync().unwrap();
    }
    let (ours, bare) = (median(ours), median(bare));
    line(
        "set_node",
        format!("{ours:.0} ns"),
        format!(
            "bare send {bare:.0} ns: {:.2} x (budget 1.3); {}",
            ours / bare,
            versus(peer, "set_node", ours / 1e9)
        ),
    );
}

fn moment(peer: Peer<'_>) {
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
    let ours = median(rounds);
    line(
        "set_node inside a moment of 1,000, sent",
        format!("{ours:.0} ns"),
        format!("{} (budget 20 x)", versus(peer, "moment", ours / 1e9)),
    );
}

fn round_trips(peer: Peer<'_>) {
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
    let measured = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    let mut figures: [Vec<f64>; 4] = Default::default();
    for _ in 0..300 {
        figures[0].push(raw(&status));
        figures[1].push(measured(&mut || {
            server.query_status().unwrap();
        }));
        figures[2].push(raw(&sync));
        figures[3].push(measured(&mut || server.sync().unwrap()));
    }
    let [raw_status, status, raw_sync, sync] = figures.map(median);
    for (what, name, ours, floor) in
        [("query_status", "status", status, raw_status), ("sync", "sync", sync, raw_sync)]
    {
        line(
            what,
            format!("{:.3} ms", ours * 1e3),
            format!(
                "raw socket {:.3} ms: {:.3} x (budget 1.05); {}",
                floor * 1e3,
                ours / floor,
                versus(peer, name, ours)
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
    let ours = time(10_000_000, || sum += memory.control_bus_value(black_box(100)).unwrap());
    black_box(sum);
    line("control bus through shared memory", format!("{ours:.1} ns"), "budget 50 ns".into());
}

fn boot(peer: Peer<'_>) {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
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
        ours.push(start.elapsed().as_secs_f64());
    }
    let (ours, bare) = (median(ours), median(bare));
    line(
        "boot, connected and with its groups",
        format!("{:.1} ms", ours * 1e3),
        format!(
            "process to its ready line {:.1} ms: {:.2} x (budget 1.2); {}",
            bare * 1e3,
            ours / bare,
            versus(peer, "boot", ours)
        ),
    );
}

fn tree(peer: Peer<'_>) {
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
    let ours = start.elapsed().as_secs_f64();
    let with_controls = tree
        .walk()
        .iter()
        .filter(
            |(_, node)| matches!(node, QueryTreeNode::Synth(synth) if synth.controls.len() == 3),
        )
        .count();
    line(
        "tree of 1,000 synths with controls",
        format!("{:.1} ms, {with_controls} of 1000", ours * 1e3),
        match peer.and_then(|peer| peer.get("tree")) {
            Some(_) => versus(peer, "tree", ours),
            None => "Supriya: fails".to_owned(),
        },
    );
}

fn synths(peer: Peer<'_>) {
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
    let ours = start.elapsed().as_secs_f64();
    line(
        "500 synths and a sync",
        format!("{:.1} ms (sent: {:.2})", ours * 1e3, sent * 1e3),
        versus(peer, "synths", ours),
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
    // The server prints what it receives: that is how it is seen to have seen it.
    server.submit(requests::DumpOsc { mode: 1 }).unwrap();
    server.sync().unwrap();
    let total = 10_000 * seconds;
    let mut seen = vec![false; total as usize];
    let mut count = 0;
    let mut take = |patience: Duration| {
        while let Some(event) = output.next_timeout(patience) {
            if let Event::ProcessOutput(line) = event
                && line.contains("/n_set")
                && let Some(number) = line.rsplit([',', ' ']).find_map(|word| {
                    word.trim_matches(|letter: char| !letter.is_ascii_digit()).parse::<usize>().ok()
                })
                && let Some(seen) = seen.get_mut(number)
                && !std::mem::replace(seen, true)
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
        take(Duration::from_millis(1));
    }
    let elapsed = start.elapsed().as_secs_f64();
    let count = take(Duration::from_millis(500));
    line(
        "10,000 set_node/s, each with its number",
        format!("{count} of {total} seen"),
        format!("{elapsed:.1} s; {} notices dropped", output.dropped()),
    );
}
