//! Mutated packets of every protocol against a running show, with a probe that finds stalls, and
//! floods after which every datagram is received or counted.
//!
//! `CONSORT_SOAK=20` sends twenty times as many packets for twenty times as long, and is strict about
//! stalls: the probe of the show may take 20 ms longer than that of a bare receive loop in the same
//! run. Otherwise, on a machine that runs other tests, the limit only finds a show that hangs.
#![cfg(feature = "default")]
#![allow(clippy::print_stdout)] // prints the figures

mod support;

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use consort_backends::{artnet, sacn};
use serde_json::Value;
use support::{command, wait_until};

/// How many mutated packets are sent in the ordinary tests, a twentieth of the long run.
const MUTATED_PACKETS: u64 = 500_000;

/// The limit for stalls in the ordinary tests.
const HANG: Duration = Duration::from_secs(10);

/// How much longer the show's probe may take than the bare loop's in the long run.
const STALL: Duration = Duration::from_millis(20);

/// How many times longer the run is: `CONSORT_SOAK`.
fn soak() -> u64 {
    std::env::var("CONSORT_SOAK").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn socket() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = socket.local_addr().expect("an address").port();
    (socket, port)
}

fn free_port() -> u16 {
    socket().1
}

fn message(address: &str, value: f32) -> Vec<u8> {
    let mut bytes = address.as_bytes().to_vec();
    bytes.resize(address.len() / 4 * 4 + 4, 0);
    [&bytes, &b",f\0\0"[..], &value.to_be_bytes()].concat()
}

/// A running show; killed when it is dropped.
struct Show {
    child: Child,
    log: std::path::PathBuf,
}

impl Show {
    fn start(folder: &Path, configuration: &str) -> Self {
        std::fs::write(folder.join("show.cfg"), configuration).expect("written");
        let log = folder.join("log");
        let file = std::fs::File::create(&log).expect("a file");
        let child = command(folder).args(["run", "show.cfg"]).stderr(Stdio::from(file)).spawn();
        Show { child: child.expect("started"), log }
    }

    fn assert_is_sound(&mut self) {
        assert_eq!(self.child.try_wait().expect("a child"), None, "the show has ended");
        let log = std::fs::read_to_string(&self.log).expect("a log");
        assert!(!log.contains("panicked"), "{log}");
        assert!(log.lines().count() < 1_000, "{} lines", log.lines().count());
    }

    /// The memory that the process uses, in KiB.
    fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).expect("a process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
        line.split_ascii_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number")
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        // Fails only if the process has exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A counter of an instance.
fn counter(folder: &Path, instance: &str, name: &str) -> u64 {
    let mut status = command(folder);
    let output = status.args(["status", "--json"]).stdout(Stdio::piped()).output();
    let shows: Value = serde_json::from_slice(&output.expect("an output").stdout).expect("JSON");
    let instances = shows[0]["instances"].as_array().expect("instances");
    let found = instances.iter().find(|entry| entry["name"] == instance).expect("the instance");
    found[name].as_u64().expect("a number")
}

/// Sends a value and waits for it to come back; returns how long that took, `None` if it was lost.
fn probe(socket: &UdpSocket, to: u16, value: f32) -> Option<Duration> {
    let start = Instant::now();
    socket.send_to(&message("/probe", value), ("127.0.0.1", to)).expect("sent");
    let mut buffer = [0; 64];
    while start.elapsed() < HANG {
        if let Ok(count) = socket.recv(&mut buffer)
            && buffer[..count] == message("/probe", value)
        {
            return Some(start.elapsed());
        }
    }
    None
}

/// Sends back what arrives, until the flag is set.
fn run_bare_loop(socket: &UdpSocket, is_over: &AtomicBool) {
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("set");
    let mut buffer = [0; 2_048];
    while !is_over.load(Ordering::Relaxed) {
        if let Ok((count, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..count], from);
        }
    }
}

/// Numbers that are the same in each run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }

    /// Changes some bytes, cuts the packet, or repeats a part of it.
    fn mutate(&mut self, packet: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            if packet.is_empty() {
                return;
            }
            let index = self.below(packet.len());
            match self.below(6) {
                0 => packet[index] ^= 1 << self.below(8),
                1 => packet[index] = [0, 1, 0x7F, 0x80, 0xFF][self.below(5)],
                2 => packet.truncate(index),
                3 => packet.insert(index, self.below(256) as u8),
                4 => _ = packet.remove(index),
                _ => {
                    let part = packet[index..packet.len().min(index + 64)].to_vec();
                    packet.splice(index..index, part);
                }
            }
        }
    }
}

/// Valid packets of each protocol, which are mutated: OSC, Art-Net, sACN.
fn captures() -> [Vec<Vec<u8>>; 3] {
    let bundle = |parts: &[Vec<u8>]| {
        let mut bytes = b"#bundle\0\0\0\0\0\0\0\0\x01".to_vec();
        for part in parts {
            bytes.extend((part.len() as u32).to_be_bytes());
            bytes.extend(part);
        }
        bytes
    };
    let fader = message("/1/fader1", 0.5);
    let osc = vec![
        fader.clone(),
        message("/1/{fader1,x}*", 0.25),
        b"/s\0\0,sbT[i]\0\0\0\0abc\0\0\0\0\x02\x01\x02\0\0\0\0\0\x05".to_vec(),
        bundle(&[fader.clone(), bundle(&[fader.clone(), message("/2/[a-z]?", 1.0)])]),
    ];
    let encode = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        write(&mut bytes);
        bytes
    };
    let slots: Vec<u8> = (0..512).map(|slot| slot as u8).collect();
    let light = vec![
        encode(&|bytes| {
            artnet::codec::Dmx { sequence: 1, physical: 0, port_address: 0, data: &slots }
                .encode(bytes);
        }),
        encode(&|bytes| artnet::codec::encode_poll(bytes)),
    ];
    let data = sacn::codec::Data {
        cid: [7; 16],
        name: b"desk",
        priority: 100,
        sync: 0,
        sequence: 1,
        is_preview: false,
        is_terminated: false,
        universe: 1,
        slots: &slots,
    };
    let streams = vec![
        encode(&|bytes| data.encode(bytes)),
        encode(&|bytes| {
            sacn::codec::Data { is_terminated: true, ..data }.encode(bytes);
        }),
        encode(&|bytes| {
            sacn::codec::encode_discovery([7; 16], b"desk", &[1, 2, 3], |page| {
                bytes.extend_from_slice(page);
            });
        }),
    ];
    [osc, light, streams]
}

#[test]
fn mutated_packets_of_every_protocol_neither_stop_nor_stall_a_show() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (prober, output) = socket();
    prober.set_read_timeout(Some(Duration::from_millis(20))).expect("set");
    let [input, osc, artnet, sacn] = std::array::from_fn(|_| free_port());
    let mut show = Show::start(
        folder,
        &format!(
            "[osc in]\nbind = 127.0.0.1 {input}\n[osc out]\ndestination = 127.0.0.1 {output}\n\
             [osc hostile]\nbind = 127.0.0.1 {osc}\n/1/* = f 0 1\n\
             [backend artnet]\nbind = 127.0.0.1 {artnet}\n[artnet light]\nuniverse = 0\n\
             [backend sacn]\nbind = 127.0.0.1 {sacn}\n[sacn stream]\nuniverse = 1\nunicast = on\n\
             [loopback sink]\n[map]\nin./probe > out./probe\nhostile./1/fader1 > sink.osc\n\
             light.{{1..8}} > sink.light{{1..8}}\nstream.{{1..8}} > sink.stream{{1..8}}\n"
        ),
    );
    let (bare, bare_port) = socket();
    let is_over = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_over);
    let bare_loop = thread::spawn(move || run_bare_loop(&bare, &flag));
    wait_until("the show routes", || {
        prober.send_to(&message("/probe", 0.5), ("127.0.0.1", input)).is_ok()
            && prober.recv(&mut [0; 64]).is_ok()
    });
    let total = MUTATED_PACKETS * soak();
    let flag = Arc::clone(&is_over);
    let flood = thread::spawn(move || {
        let (sender, _) = socket();
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let captures = captures();
        let mut sent = [0_u64; 3];
        for _ in 0..total {
            let protocol = random.below(3);
            let packets = &captures[protocol];
            let mut packet = packets[random.below(packets.len())].clone();
            random.mutate(&mut packet);
            packet.truncate(60_000);
            let port = [osc, artnet, sacn][protocol];
            if sender.send_to(&packet, ("127.0.0.1", port)).is_ok() {
                sent[protocol] += 1;
            }
        }
        flag.store(true, Ordering::Relaxed);
        sent
    });
    let (mut number, mut show_stall, mut bare_stall) = (0, Duration::ZERO, Duration::ZERO);
    while !is_over.load(Ordering::Relaxed) {
        number += 1;
        let value = number as f32 / (1 << 20) as f32;
        let taken = probe(&prober, input, value);
        show_stall = show_stall.max(taken.expect("the show hangs"));
        // The bare loop may have ended with the flood.
        let bare = probe_bare(&prober, bare_port, value, &is_over);
        bare_stall = bare_stall.max(bare);
        thread::sleep(Duration::from_millis(1));
    }
    let sent = flood.join().expect("sent");
    bare_loop.join().expect("ended");
    wait_until("every packet for OSC is counted", || {
        counter(folder, "hostile", "packets") + counter(folder, "hostile", "lost") == sent[0]
    });
    println!(
        "{} mutated packets (OSC, Art-Net, sACN: {sent:?}), {number} probes, longest {show_stall:?}; \
         bare loop {bare_stall:?}; OSC: {} in + {} lost",
        sent.iter().sum::<u64>(),
        counter(folder, "hostile", "packets"),
        counter(folder, "hostile", "lost")
    );
    show.assert_is_sound();
    if soak() > 1 {
        assert!(show_stall <= bare_stall + STALL, "{show_stall:?}, bare loop {bare_stall:?}");
    }
}

/// [`probe`] of the bare loop, which ends with the flood.
fn probe_bare(socket: &UdpSocket, to: u16, value: f32, is_over: &AtomicBool) -> Duration {
    let start = Instant::now();
    socket.send_to(&message("/probe", value), ("127.0.0.1", to)).expect("sent");
    let mut buffer = [0; 64];
    while !is_over.load(Ordering::Relaxed) && start.elapsed() < HANG {
        if socket.recv(&mut buffer).is_ok_and(|count| buffer[..count] == message("/probe", value)) {
            return start.elapsed();
        }
    }
    Duration::ZERO
}

#[test]
fn a_flood_is_received_or_counted_and_memory_stays_flat() {
    const RATE: u64 = 50_000;
    /// Seconds of the ordinary tests; the long run takes ten minutes.
    const SECONDS: u64 = 3;
    let seconds = if soak() > 1 { 30 * soak() } else { SECONDS };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let input = free_port();
    let mut show = Show::start(
        folder,
        &format!("[osc in]\nbind = 127.0.0.1 {input}\n[loopback sink]\n[map]\nin./a > sink.a\n"),
    );
    let (sender, _) = socket();
    let send = |value: f32| {
        sender.send_to(&message("/a", value), ("127.0.0.1", input)).expect("sent");
    };
    let ready = folder.join("consort");
    wait_until("the show runs", || {
        std::fs::read_dir(&ready).is_ok_and(|mut files| {
            files
                .any(|file| file.is_ok_and(|file| file.path().extension() == Some("sock".as_ref())))
        })
    });
    let state = || {
        let output = command(folder).args(["status"]).stdout(Stdio::piped()).output();
        String::from_utf8(output.expect("an output").stdout).expect("UTF-8")
    };
    wait_until("the instance is up", || state().contains(" up "));
    let start = Instant::now();
    let (mut sent, mut early) = (0_u64, 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        let due = start.elapsed().as_micros() as u64 * RATE / 1_000_000;
        while sent < due {
            send((sent % 1_000) as f32 / 1_000.0);
            sent += 1;
        }
        if early == 0 && start.elapsed() > Duration::from_secs(seconds) / 4 {
            early = show.memory();
        }
        thread::sleep(Duration::from_micros(200));
    }
    let count = |name| counter(folder, "in", name);
    wait_until("every datagram is counted", || count("packets") + count("lost") == sent);
    let (memory, lost) = (show.memory(), count("lost"));
    println!(
        "sent {sent} = in {} + lost {lost}; memory {early} KiB, then {memory} KiB",
        sent - lost
    );
    assert!(memory <= early + 4_096, "memory grew from {early} to {memory} KiB");
    show.assert_is_sound();
}
