//! A show of six protocols is edited while values pass through it: nothing of what is adopted is
//! lost or doubled.
//!
//! `CONSORT_SOAK=1` makes 100 edits instead of 15.
#![cfg(feature = "default")]
#![allow(clippy::print_stderr)] // the figures

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{WAIT_TIMEOUT, command, lacks_python, wait_until};

const PROTOCOLS: [&str; 6] = ["osc", "artnet", "sacn", "python", "lua", "midi"];

/// The time between two values of each lane.
const PACE: Duration = Duration::from_millis(4);

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What the edits change: for each protocol whether its second instance is there, and which of two
/// values an option has that needs a restart; how many further mappings there are.
#[derive(Default)]
struct Edits {
    is_present: [bool; 6],
    option: [bool; 6],
    mappings: u64,
    is_reversed: bool,
}

/// The ports of the show.
struct Ports {
    osc: [u16; 2],
    artnet: u16,
    sacn: u16,
    sink: u16,
}

fn configuration(edits: &Edits, ports: &Ports) -> String {
    let mut sections = vec![
        format!("[osc osc0]\nbind = 127.0.0.1 {}\n", ports.osc[0]),
        format!("[osc out]\ndestination = 127.0.0.1 {}\n", ports.sink),
        "[artnet artnet0]\nuniverse = 1\n".to_owned(),
        "[sacn sacn0]\nuniverse = 1\n".to_owned(),
        "[python python0]\nmodule = first\n".to_owned(),
        "[lua lua0]\nscript = first.lua\n".to_owned(),
        // What is sent to the port `Midi Through` comes back from it.
        "[midi midi0]\nwrite = 14:0\n".to_owned(),
        "[midi through]\nread = 14:0\n".to_owned(),
    ];
    let other = |index: usize, names: [&str; 2]| names[usize::from(edits.option[index])].to_owned();
    let second = [
        format!("[osc osc1]\nbind = {} {}\n", other(0, ["127.0.0.1", "0.0.0.0"]), ports.osc[1]),
        format!("[artnet artnet1]\nuniverse = {}\n", other(1, ["2", "3"])),
        format!("[sacn sacn1]\nuniverse = {}\n", other(2, ["2", "3"])),
        format!("[python python1]\nmodule = {}\n", other(3, ["first", "second"])),
        format!("[lua lua1]\nscript = {}.lua\n", other(4, ["first", "second"])),
        "[midi midi1]\nwrite = 14:0\n".to_owned(),
    ];
    let present = (0..PROTOCOLS.len()).filter(|&index| edits.is_present[index]);
    sections.extend(present.clone().map(|index| second[index].clone()));
    if edits.is_reversed {
        sections.reverse();
    }
    let mut text = format!(
        "[backend artnet]\nbind = 127.0.0.1 {}\n[backend sacn]\nbind = 127.0.0.1 {}\n\
         [backend midi]\nengine = embedded\n",
        ports.artnet, ports.sacn
    );
    text.extend(sections);
    text.push_str("[map]\n");
    let lanes = std::iter::repeat_n(0, 6).zip(0..6).chain(present.map(|index| (1, index)));
    for (number, index) in lanes {
        let protocol = PROTOCOLS[index];
        let lane = format!("{protocol}{number}");
        let _ = match protocol {
            "osc" => writeln!(text, "{lane}./v > out./{lane}"),
            "artnet" | "sacn" => writeln!(text, "{lane}.1 > out./{lane}"),
            "midi" => writeln!(
                text,
                "osc0./{lane} > {lane}.ch0.cc{number}\nthrough.ch0.cc{number} > out./{lane}"
            ),
            _ => {
                let module = if protocol == "lua" || !edits.option[3] || number == 0 {
                    "first"
                } else {
                    "second"
                };
                let handler =
                    if protocol == "lua" { "turn".to_owned() } else { format!("{module}.turn") };
                writeln!(text, "osc0./{lane} > {lane}.{handler}\n{lane}.answer > out./{lane}")
            }
        };
    }
    for number in 0..edits.mappings {
        let _ = writeln!(text, "osc0./more{number} > out./more{number}");
    }
    text
}

fn osc(address: &str, value: f32) -> Vec<u8> {
    let mut bytes = address.as_bytes().to_vec();
    bytes.resize(address.len() / 4 * 4 + 4, 0);
    [&bytes, &b",f\0\0"[..], &value.to_be_bytes()].concat()
}

fn artnet(universe: u8, level: u8) -> Vec<u8> {
    [&b"Art-Net\0\0\x50\0\x0e\0\0"[..], &[universe, 0, 0, 2, level, 0]].concat()
}

fn sacn(universe: u8, sequence: u8, level: u8) -> Vec<u8> {
    let mut packet = b"\0\x10\0\0ASC-E1.17\0\0\0\x72\x6e\0\0\0\x04".to_vec();
    packet.extend([7; 16]);
    packet.extend(b"\x72\x58\0\0\0\x02");
    let mut name = b"the test".to_vec();
    name.resize(64, 0);
    packet.extend(name);
    packet.extend([100, 0, 0, sequence, 0, 0, universe]);
    packet.extend(b"\x72\x0b\x02\xa1\0\0\0\x01\x02\x01\0");
    packet.push(level);
    packet.resize(638, 0);
    packet
}

/// What arrived at the sink, by address: the values, and the longest time between two of them.
type Received = BTreeMap<String, (Vec<f32>, Duration)>;

fn receive(sink: &UdpSocket, is_over: &AtomicBool) -> Received {
    let mut received = Received::new();
    let mut last: BTreeMap<String, Instant> = BTreeMap::new();
    let mut buffer = [0; 2_048];
    loop {
        let Ok(count) = sink.recv(&mut buffer) else {
            if is_over.load(Ordering::Acquire) {
                return received;
            }
            continue;
        };
        let end = buffer[..count].iter().position(|&byte| byte == 0).unwrap_or(count);
        let address = String::from_utf8_lossy(&buffer[1..end]).into_owned();
        let value = f32::from_be_bytes(buffer[count - 4..count].try_into().expect("four bytes"));
        let now = Instant::now();
        let (values, longest) = received.entry(address.clone()).or_default();
        values.push(value);
        if let Some(last) = last.insert(address, now) {
            *longest = (*longest).max(now - last);
        }
    }
}

/// Sends the values of all lanes until it is over; returns what was sent, by lane.
fn send(ports: &Ports, is_over: &AtomicBool) -> BTreeMap<String, Vec<f32>> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut sent: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    let mut number = 0_u32;
    while !is_over.load(Ordering::Acquire) {
        number += 1;
        let value = (number % 60_000) as f32 / 65_536.0;
        // From 1 to 255: the first frame of a universe emits no zeros.
        let level = (number % 255 + 1) as u8;
        let byte = (number % 128) as f32 / 127.0;
        for lane in 0..2 {
            let to = |packet: &[u8], port: u16| {
                // A port that is closed at the moment refuses.
                let _ = socket.send_to(packet, ("127.0.0.1", port));
            };
            to(&osc("/v", value), ports.osc[usize::from(lane)]);
            to(&artnet(lane + 1, level), ports.artnet);
            to(&sacn(lane + 1, number as u8, level), ports.sacn);
            for script in ["python", "lua"] {
                to(&osc(&format!("/{script}{lane}"), value), ports.osc[0]);
            }
            to(&osc(&format!("/midi{lane}"), byte), ports.osc[0]);
            for protocol in PROTOCOLS {
                let value = match protocol {
                    "artnet" | "sacn" => f32::from(level) / 255.0,
                    "midi" => byte,
                    _ => value,
                };
                sent.entry(format!("{protocol}{lane}")).or_default().push(value);
            }
        }
        std::thread::sleep(PACE);
    }
    sent
}

fn ask(stream: &UnixStream, request: &Value) -> Value {
    writeln!(&*stream, "{request}").expect("sent");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    serde_json::from_str(&line).expect("JSON")
}

fn are_all_up(stream: &UnixStream) -> bool {
    let generation = ask(stream, &json!("layout"))["layout"]["generation"].clone();
    let reading = ask(stream, &json!({"read": {"generation": generation, "log_from": 0}}));
    let instances = reading["reading"]["instances"].as_array().cloned().unwrap_or_default();
    !instances.is_empty() && instances.iter().all(|instance| instance["state"] == "up")
}

fn write_scripts(folder: &Path) {
    for name in ["first", "second"] {
        let python =
            "import midimonster\n\ndef turn(value):\n    midimonster.output('answer', value)\n";
        std::fs::write(folder.join(format!("{name}.py")), python).expect("written");
        let lua = "function turn(value)\n  output('answer', value)\nend\n";
        std::fs::write(folder.join(format!("{name}.lua")), lua).expect("written");
    }
}

#[test]
fn edits_lose_and_double_nothing_on_instances_that_are_adopted() {
    if lacks_python() {
        return;
    }
    let edit_count = if std::env::var_os("CONSORT_SOAK").is_some() { 100 } else { 15 };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_scripts(folder);
    let sink = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    sink.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
    let port = |socket: &UdpSocket| socket.local_addr().expect("an address").port();
    let free = [(); 4].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a socket"));
    let [first, second, light, stream] = free.each_ref().map(port);
    drop(free);
    let ports =
        Arc::new(Ports { osc: [first, second], artnet: light, sacn: stream, sink: port(&sink) });
    let mut edits = Edits { is_present: [true; 6], ..Edits::default() };
    std::fs::write(folder.join("show.cfg"), configuration(&edits, &ports)).expect("written");
    let mut child = command(folder).args(["run", "show.cfg"]).spawn().expect("started");
    let path = folder.join(format!("consort/{}.sock", child.id()));
    wait_until("the control socket", || UnixStream::connect(&path).is_ok());
    let stream = UnixStream::connect(&path).expect("connected");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
    wait_until("all instances are up", || are_all_up(&stream));

    let (has_sent, is_over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let receiving = std::thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || receive(&sink, &is_over)
    });
    let sending = std::thread::spawn({
        let (ports, has_sent) = (Arc::clone(&ports), Arc::clone(&has_sent));
        move || send(&ports, &has_sent)
    });

    let mut random = Random(0x5eed_cafe);
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut longest_pause, mut changed) = (0.0_f64, 0);
    for edit in 0..edit_count {
        let protocol = edit % PROTOCOLS.len();
        match random.below(3) {
            0 | 1 if PROTOCOLS[protocol] == "midi" => edits.is_present[protocol] ^= true,
            0 => edits.is_present[protocol] ^= true,
            _ => {
                edits.option[protocol] ^= true;
                edits.is_present[protocol] = true;
            }
        }
        *counts.entry(PROTOCOLS[protocol]).or_default() += 1;
        edits.mappings = random.below(40);
        edits.is_reversed = random.below(2) == 0;
        let text = configuration(&edits, &ports);
        let texts = [json!({"path": "show.cfg", "text": text})];
        let answer = ask(&stream, &json!({"reload": {"texts": texts}}));
        let adopted = answer["reloaded"]["adopted"].as_array().cloned().unwrap_or_default();
        let first = PROTOCOLS.map(|protocol| format!("{protocol}0"));
        for name in first.iter().map(String::as_str).chain(["out", "through"]) {
            assert!(adopted.contains(&json!(name)), "{name} is adopted: {answer}");
        }
        for kind in ["restarted", "opened", "closed"] {
            changed += answer["reloaded"][kind].as_array().map_or(0, Vec::len);
        }
        longest_pause = longest_pause.max(answer["reloaded"]["pause_ms"].as_f64().unwrap_or(0.0));
        std::thread::sleep(Duration::from_millis(random.below(120)));
    }
    has_sent.store(true, Ordering::Release);
    let sent = sending.join().expect("no panic");
    is_over.store(true, Ordering::Release);
    let received = receiving.join().expect("no panic");
    assert!(child.try_wait().expect("a child").is_none(), "the show runs");
    support::signal(child.id(), "TERM");
    assert!(child.wait().expect("it ends").success());

    eprintln!(
        "{edit_count} edits {counts:?}, {changed} instances restarted, opened or closed; \
         longest pause {longest_pause:.2} ms"
    );
    assert!(changed * 10 >= edit_count * 3, "{changed} of {edit_count} edits change instances");
    eprintln!("lane       sent received lost doubled longest gap");
    let mut problems = Vec::new();
    for (lane, sent) in &sent {
        let empty = (Vec::new(), Duration::ZERO);
        let (values, gap) = received.get(lane).unwrap_or(&empty);
        let (lost, doubled) =
            (sent.len().saturating_sub(values.len()), values.len().saturating_sub(sent.len()));
        eprintln!("{lane:<9} {:>5} {:>8} {lost:>4} {doubled:>7} {gap:?}", sent.len(), values.len());
        // In order, too.
        let is_same = values.len() == sent.len()
            && values.iter().zip(sent).all(|(left, right)| (left - right).abs() < 1e-5);
        if lane.ends_with('0') && !is_same {
            problems.push(lane.clone());
        }
    }
    assert!(problems.is_empty(), "not what was sent, in order: {problems:?}");
}
