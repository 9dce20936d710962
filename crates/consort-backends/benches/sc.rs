//! The latency from a key to the server, and a real server under load.
//!
//! 1. Note-on of a MIDI device on the embedded sequencer → the packet at the server, which is a
//!    socket of this program: latency at 1,000 notes/s. For comparison, the same bytes from one
//!    bare socket to another.
//! 2. 1,000 notes/s with 64 voices on a real `scsynth`: every note starts, none is stuck.
//! 3. `kill -9` of that server under load: the time until it sounds again, and lost events of
//!    other routes.
//!
//! ```text
//! cargo bench -p consort-backends --bench sc -- [--seconds N]
//! ```

#![allow(clippy::print_stdout)] // A benchmark prints its figures.

#[path = "../tests/sc_support/mod.rs"]
mod sc_support;

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use consort_backends::{midi, sc};
use consort_bench::{Budget, CountingAllocator, Samples, allocations, report};
use consort_osc::{OscMessage, OscPacket, OscValue};
use consort_router::testing::{Performance, TestShow};
use consort_seq::{Embedded, Engine, Event, Port, SequencerClient};
use sc_support::{Jack, client, free_port, process_at, signal};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Notes per second.
const NOTE_RATE: u32 = 1_000;
/// The largest permitted p99 of the latency, in microseconds.
const MAX_P99: f64 = 1_000.0;

/// A keyboard on the embedded sequencer.
struct Keyboard {
    client: Arc<SequencerClient>,
    port: Port,
}

impl Keyboard {
    fn new(name: &str) -> Self {
        let engine = Engine::Embedded(Embedded::process_wide());
        let client = SequencerClient::builder(name).engine(engine).open().expect("a client");
        let port = client.create_port(format!("{name} keys")).expect("a port");
        Keyboard { client: Arc::new(client), port }
    }

    /// The same keyboard, for another thread.
    fn share(other: &Keyboard) -> Self {
        Keyboard { client: Arc::clone(&other.client), port: other.port.clone() }
    }

    fn key(&self, note: u8, velocity: u8) {
        let event = Event::note_on(0, note, velocity).expect("a note");
        self.client.event_output_direct(&event, &self.port).expect("sent");
    }
}

/// A show with a MIDI instance that receives from the keyboard, and a pad that it plays.
fn show(keyboard: &str, options: &[(&str, &str)]) -> Performance {
    let mut test = TestShow::new();
    test.backend(&midi::DESCRIPTOR, &[("engine", "embedded")]);
    test.instance(&midi::DESCRIPTOR, "keys", &[("read", keyboard)]);
    test.instance(&sc::DESCRIPTOR, "sound", options);
    for note in 0..128 {
        test.map(&format!("keys.ch0.note{note}"), &format!("sound.pad.note{note}"));
        test.map(&format!("sound.pad.note{note}"), &format!("probe.{note}"));
    }
    test.map("sound.pad.voices", "probe.voices");
    test.map("keys.ch0.cc1", "probe.other");
    let mut show = test.start();
    show.until_state("keys", "up");
    show.until_state("sound", "up");
    show
}

/// Encodes a message.
fn encode(address: &str, arguments: impl Into<Vec<OscValue>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    OscMessage::new(address, arguments).encode(&mut bytes).expect("OSC");
    bytes
}

/// Calls `work` with each message of a packet.
fn each(packet: OscPacket, work: &mut dyn FnMut(OscMessage)) {
    match packet {
        OscPacket::Message(message) => work(message),
        OscPacket::Bundle(bundle) => {
            bundle.elements.into_iter().for_each(|element| each(element, work))
        }
    }
}

/// A fake server that answers logins and reports the starts and ends of nodes. Returns the arrival
/// time of each note, in order.
fn serve(socket: &UdpSocket, stop: &AtomicBool) -> Vec<Instant> {
    let mut arrivals = Vec::new();
    let mut bytes = vec![0; 65_536];
    let mut client_address = None;
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
        let arrived = Instant::now();
        let i = |number: i32| OscValue::from(number);
        let node =
            |address: &str, id: i32| encode(address, [i(id), i(900_002), i(-1), i(-1), i(0)]);
        each(OscPacket::decode(&bytes[..length]).expect("OSC"), &mut |message| {
            let (to, reply) = match (message.address.as_str(), message.arguments.as_slice()) {
                ("/status", _) => {
                    let (f, d) = (OscValue::from(0.5f32), OscValue::from(48_000f64));
                    let all = [i(1), i(0), i(0), i(2), i(0), f.clone(), f, d.clone(), d];
                    (Some(from), encode("/status.reply", all))
                }
                ("/notify", _) => {
                    client_address = Some(from);
                    (client_address, encode("/done", ["/notify".into(), i(0), i(2)]))
                }
                ("/g_queryTree", _) => {
                    (Some(from), encode("/g_queryTree.reply", [i(0), i(0), i(1), i(1), i(0)]))
                }
                ("/sync", [id]) => (Some(from), encode("/synced", [id.clone()])),
                ("/s_new", [name, id, ..]) if name.as_str() == Some("pad") => {
                    arrivals.push(arrived);
                    (client_address, node("/n_go", id.as_i32().unwrap_or(0)))
                }
                ("/n_set", [id, name, ..]) if name.as_str() == Some("gate") => {
                    (client_address, node("/n_end", id.as_i32().unwrap_or(0)))
                }
                _ => return,
            };
            if let Some(to) = to {
                let _ = socket.send_to(&reply, to);
            }
        });
    }
    arrivals
}

/// Calls `send` at an even rate; returns the start time of each call.
fn pace(count: u32, mut send: impl FnMut(u32)) -> Vec<Instant> {
    let start = Instant::now() + Duration::from_millis(5);
    let mut starts = Vec::with_capacity(count as usize);
    for index in 0..count {
        let due = start + Duration::from_secs(1) * index / NOTE_RATE;
        if let Some(left) = due.checked_duration_since(Instant::now()) {
            std::thread::sleep(left);
        }
        starts.push(Instant::now());
        send(index);
    }
    starts
}

/// The delays of all arrivals in microseconds; prints them.
fn delays(what: &str, starts: &[Instant], arrivals: &[Instant]) -> Samples {
    let delays: Samples = starts
        .iter()
        .zip(arrivals)
        .map(|(from, to)| to.duration_since(*from).as_secs_f64() * 1e6)
        .collect();
    let [p50, p99, p999, max] = delays.quantiles([0.5, 0.99, 0.999, 1.0]);
    println!(
        "{what:<46} {:>6} of {} arrived   p50 {p50:>6.1} µs   p99 {p99:>6.1} µs   p99.9 {p999:>7.1} \
         µs   max {max:>8.1} µs",
        arrivals.len(),
        starts.len(),
    );
    delays
}

/// Runs the router on this thread while another thread does `work`.
fn alongside<T: Send + 'static>(
    show: &mut Performance,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let worker = std::thread::spawn(work);
    while !worker.is_finished() {
        show.router.step(Some(Duration::from_millis(20))).expect("a turn");
    }
    worker.join().expect("the worker panicked")
}

/// Part 1.
fn latency(seconds: u32) {
    let count = seconds * NOTE_RATE;
    // For comparison: a packet from one socket to another.
    let (from, to) = (UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
    let (from, to) = (from.expect("a socket"), to.expect("a socket"));
    from.connect(to.local_addr().expect("an address")).expect("connected");
    to.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
    let receiver = std::thread::spawn(move || {
        let mut arrivals = Vec::new();
        while to.recv(&mut [0; 256]).is_ok() {
            arrivals.push(Instant::now());
        }
        arrivals
    });
    let packet = encode("/s_new", ["pad".into(), 1.into(), 1.into(), 2.into(), 440.0f32.into()]);
    let starts = pace(count / 4, |_| {
        from.send(&packet).expect("sent");
    });
    let received = receiver.join().expect("received");
    let floor = delays("a bare socket to a bare socket", &starts, &received);

    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(10))).expect("set");
    let address = socket.local_addr().expect("an address").to_string();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let server = std::thread::spawn(move || serve(&socket, &stopped));
    let keyboard = Keyboard::new("Bench");
    let options =
        [("server", address.as_str()), ("voice.pad", "pad"), ("voice.pad.polyphony", "64")];
    let mut show = show("Bench", &options);
    let before = allocations();
    let starts = alongside(&mut show, move || {
        pace(count, |index| {
            let note = (index % 128) as u8;
            keyboard.key(note, 100);
            // Each note ends 60 ms later.
            keyboard.key((note + 68) % 128, 0);
        })
    });
    let allocated = allocations() - before;
    show.until("the last note", |show| {
        let received = show.received();
        received.iter().filter(|(name, value)| name != "voices" && *value > 0.0).count()
            >= starts.len()
    });
    stop.store(true, Ordering::Relaxed);
    let arrivals = server.join().expect("the server panicked");
    let ours = delays("note-on (MIDI, embedded) to the server's socket", &starts, &arrivals);
    println!(
        "    {allocated} allocations of the whole process, the fake server and the library's thread \
         included; {:?}",
        show.counters("sound")
    );
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let mut line = report(format!("note-on to the server's socket, {name}"), "µs")
            .floor(floor.quantile(share))
            .ours(ours.quantile(share));
        if name == "p99" {
            line = line.budget(Budget::AtMost(MAX_P99));
        }
        line.print();
    }
    print_lost("note-on to the server's socket: lost", starts.len() - arrivals.len());
}

/// Prints how many notes or values were lost.
fn print_lost(work: &str, count: usize) {
    report(work, "events").ours(count as f64).budget(Budget::AtMost(0.0)).print();
}

/// Parts 2 and 3.
fn load(seconds: u32) {
    let Some(jack) = Jack::start("1,000 notes/s on a real server") else { return };
    let port = free_port();
    let keyboard = Keyboard::new("Load");
    let second = Keyboard::share(&keyboard);
    let all = jack.instance_options(port);
    let all = all.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let options: Vec<(&str, &str)> =
        all.chain([("voice.pad", "pad"), ("voice.pad.polyphony", "64")]).collect();
    let mut show = show("Load", &options);
    let observer = client(port);
    let count = seconds * NOTE_RATE;
    let loads = Arc::new(AtomicU64::new(0));
    let (peak_load, status_client) = (Arc::clone(&loads), observer.clone());
    alongside(&mut show, move || {
        pace(count, |index| {
            let note = (index % 128) as u8;
            keyboard.key(note, 100);
            keyboard.key((note + 68) % 128, 0);
            if index % NOTE_RATE == 0
                && let Some(status) = status_client.status()
            {
                peak_load.fetch_max(status.peak_cpu_usage as u64, Ordering::Relaxed);
            }
        });
        for note in 0..128 {
            keyboard.key(note, 0);
        }
    });
    show.until("silence", |show| {
        let received = show.received();
        let last = received.iter().rev().find(|(name, _)| name == "voices");
        last.is_some_and(|(_, value)| *value == 0.0)
    });
    let received = show.received();
    let started = received.iter().filter(|(name, value)| name != "voices" && *value > 0.0).count();
    let mut left = usize::MAX;
    show.until("an empty tree", |_| {
        left = observer.query_tree(0, false).map_or(usize::MAX, |tree| {
            let synths = tree.walk().into_iter().filter(|(_, node)| {
                matches!(node, consort_sc::QueryTreeNode::Synth(synth)
                    if synth.synthdef == "pad")
            });
            synths.count()
        });
        left == 0
    });
    let counters = show.counters("sound");
    println!(
        "scsynth, {count} notes at 1,000/s, 64 voices: {started} started there, {left} left in the \
         tree, {} dropped, {} errors, the server's peak load {} %",
        counters.dropped,
        counters.errors,
        loads.load(Ordering::Relaxed)
    );
    let work = "scsynth, 1,000 notes/s, 64 voices: lost or dropped";
    print_lost(work, (count as usize).abs_diff(started) + counters.dropped as usize);
    print_lost("scsynth, 1,000 notes/s, 64 voices: stuck", left);
    observer.disconnect().expect("disconnected");
    kill(&mut show, port, second);
    show.finish();
}

/// Kills the server while the keyboard plays and another route is busy.
fn kill(show: &mut Performance, port: u16, keyboard: Keyboard) {
    let process = process_at(port).expect("a process");
    let count = 4 * NOTE_RATE;
    show.receive(0);
    let worker = std::thread::spawn(move || {
        pace(count, |index| {
            let controller = Event::control_change(0, 1, (index % 128) as u8).expect("valid");
            keyboard.client.event_output_direct(&controller, &keyboard.port).expect("sent");
            let note = (index % 128) as u8;
            keyboard.key(note, 100);
            keyboard.key((note + 68) % 128, 0);
        });
        for note in 0..128 {
            keyboard.key(note, 0);
        }
    });
    let starts = Instant::now();
    let (mut killed, mut noticed, mut up, mut sounds) = (None, None, None, None);
    let mut others = Vec::new();
    let mut is_silent = false;
    while !worker.is_finished() || !is_silent || others.len() < count as usize {
        show.router.step(Some(Duration::from_millis(1))).expect("a turn");
        let now = Instant::now();
        assert!(now < starts + Duration::from_secs(30), "the show is stuck");
        if killed.is_none() && now > starts + Duration::from_secs(1) {
            signal(process, "KILL");
            killed = Some(Instant::now());
        }
        let word = show.state("sound").word();
        if killed.is_some() && word == "waiting" {
            noticed.get_or_insert(now);
        }
        if noticed.is_some() && word == "up" {
            up.get_or_insert(now);
        }
        for (name, value) in show.receive(0) {
            match name.as_str() {
                "other" => others.push(value),
                "voices" => is_silent = worker.is_finished() && value == 0.0,
                _ if up.is_some() && value > 0.0 => {
                    sounds.get_or_insert(now);
                }
                _ => {}
            }
        }
    }
    worker.join().expect("the keyboard panicked");
    let since_kill = |time: Option<Instant>| match (time, killed) {
        (Some(time), Some(killed)) => time.duration_since(killed),
        _ => Duration::MAX,
    };
    let in_order = others
        .iter()
        .enumerate()
        .filter(|(index, value)| (**value - (index % 128) as f64 / 127.0).abs() < 1e-9);
    let in_order = in_order.count();
    println!(
        "kill -9 of scsynth (process {process}) at 1,000 notes/s: noticed after {:.0?}, up again \
         after {:.0?}, the first note sounds after {:.0?}; the other route had {} of {count} \
         values, {in_order} in order; {:?}",
        since_kill(noticed),
        since_kill(up),
        since_kill(sounds),
        others.len(),
        show.counters("sound")
    );
    report("scsynth killed: time until it sounds again", "s")
        .ours(since_kill(sounds).as_secs_f64())
        .budget(Budget::AtMost(2.0))
        .print();
    print_lost("scsynth killed: values of another route lost", count as usize - in_order);
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let option = arguments.iter().position(|argument| argument == "--seconds");
    let seconds = option.and_then(|index| arguments.get(index + 1)?.parse().ok()).unwrap_or(10);
    latency(seconds);
    load(seconds);
}
