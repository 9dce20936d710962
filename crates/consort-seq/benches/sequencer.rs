//! Costs of the client library beside the floor (the same system calls made by hand) and peers:
//! the `alsa` crate (feature `peer-alsa`, which needs libasound's headers) and python-alsa-midi
//! (a Python with it in `CONSORT_VENV`). Rounds are interleaved; the median and the spread
//! (smallest to largest) are printed in nanoseconds, with the ratio to the floor.
//!
//! `CONSORT_SEQ=kernel` measures the kernel's sequencer (in the virtual machine, see
//! `tests/bench/20-sequencer.sh`), otherwise the embedded one.
#![allow(unsafe_code)] // a counting allocator
#![allow(clippy::print_stdout)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use consort_seq::client::{READ_PORT, WRITE_PORT};
use consort_seq::engine::{ClockKind, Connection, Embedded, Request};
use consort_seq::{
    Engine, Event, ListPorts, OpenMode, Port, PortOptions, QueueTempo, RealTime, SequencerClient,
    raw,
};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROUNDS: usize = 15;
const NAMES: [&str; 4] = ["floor", "consort-seq", "alsa crate", "python-alsa-midi"];

/// Nanoseconds of each subject's rounds.
#[derive(Default)]
struct Line {
    subjects: [Vec<f64>; 4],
}

impl Line {
    fn print(&mut self, what: &str) {
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times.get(times.len() / 2).copied()
        };
        let floor = median(&mut self.subjects[0]);
        print!("{what:<34}");
        for (name, times) in NAMES.iter().zip(&mut self.subjects) {
            let Some(middle) = median(times) else { continue };
            let (least, most) = (times[0], times[times.len() - 1]);
            print!(" | {name} {middle:.0} ({least:.0}–{most:.0})");
            if let Some(floor) = floor.filter(|_| *name != "floor") {
                print!(" ×{:.2}", middle / floor);
            }
        }
        println!();
    }
}

fn engine() -> Engine {
    match std::env::var("CONSORT_SEQ").as_deref() {
        Ok("kernel") => Engine::kernel(),
        _ => Engine::Embedded(Embedded::new(ClockKind::Real)),
    }
}

fn client(engine: &Engine, name: &str) -> SequencerClient {
    SequencerClient::builder(name).engine(engine.clone()).open().expect("a sequencer")
}

/// Time of `count` steps, in nanoseconds a step.
fn time(count: usize, run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_nanos() as f64 / count as f64
}

fn note() -> Event {
    Event::note_on(0, 60, 100).expect("a note")
}

/// The floor of output: the cells are ready, and written as they are.
fn write_raw(connection: &dyn Connection, cells: &[u8], times: usize) {
    for _ in 0..times {
        let mut rest = cells;
        while !rest.is_empty() {
            rest = &rest[connection.write(rest).expect("no subscriber, so always room")..];
        }
    }
}

fn output(engine: &Engine, peers: &mut Peers) {
    let client = client(engine, "bench");
    let port = client.create_port(PortOptions::new("out").caps(READ_PORT)).expect("a port");
    let connection = client.connection().expect("open");
    let event = note().from_port(port.port_id());
    let count = 20_000;
    for every in [1, 16, 500] {
        let cells = event.to_raw().to_bytes().repeat(every);
        for reused in [false, true] {
            let what =
                format!("output {}, drain every {every}", if reused { "reused" } else { "new" });
            let mut line = Line::default();
            let mut allocations = 0;
            for _ in 0..ROUNDS {
                line.subjects[0]
                    .push(time(count, || write_raw(&*connection, &cells, count / every)));
                line.subjects[1].push(time(count, || {
                    let before = ALLOCATIONS.load(Ordering::Relaxed);
                    for number in 1..=count {
                        if reused {
                            client.event_output(&event, ()).expect("output");
                        } else {
                            client.event_output(&black_box(note()), &port).expect("output");
                        }
                        if number % every == 0 {
                            client.drain_output().expect("output");
                        }
                    }
                    allocations += ALLOCATIONS.load(Ordering::Relaxed) - before;
                }));
                if let Some(nanoseconds) = peers.alsa_output(count, every, reused) {
                    line.subjects[2].push(nanoseconds);
                }
            }
            line.subjects[3].extend(peers.python(&what));
            line.print(&what);
            println!("    allocations per event: {}", allocations as f64 / (ROUNDS * count) as f64);
        }
    }

    let batch = vec![event.clone(); 500];
    let cells = event.to_raw().to_bytes().repeat(500);
    let mut line = Line::default();
    for _ in 0..ROUNDS {
        line.subjects[0].push(time(count, || write_raw(&*connection, &cells, count / 500)));
        line.subjects[1].push(time(count, || {
            for _ in 0..count / 500 {
                client.event_output_batch(&batch, ()).expect("output");
                client.drain_output().expect("output");
            }
        }));
    }
    line.print("output in batches of 500");

    let data = [&[0xf0][..], &[1; 1022], &[0xf7]].concat();
    let message = Event::system_exclusive(&data).from_port(port.port_id());
    let mut cells = Vec::new();
    raw::write_cells(&mut cells, &message.to_raw(), &data);
    let mut line = Line::default();
    for _ in 0..ROUNDS {
        line.subjects[0].push(time(2000, || write_raw(&*connection, &cells, 2000)));
        line.subjects[1].push(time(2000, || {
            for _ in 0..2000 {
                client.event_output(&message, ()).expect("output");
                client.drain_output().expect("output");
            }
        }));
    }
    line.subjects[3].extend(peers.python("SysEx 1 KiB, drain every 1"));
    line.print("SysEx 1 KiB, drain every 1");
}

fn input(engine: &Engine, peers: &mut Peers) {
    let (sender, receiver) = (client(engine, "sender"), client(engine, "receiver"));
    let out = sender.create_port(PortOptions::new("out").caps(READ_PORT)).expect("a port");
    let into = receiver.create_port(PortOptions::new("in").caps(WRITE_PORT)).expect("a port");
    into.connect_from(&out).expect("connected");
    receiver.set_client_pool_input(2000).expect("the pool");
    let connection = receiver.connection().expect("open");
    let count = 1900;
    let fill = || {
        for _ in 0..count {
            sender.event_output(&note(), &out).expect("output");
        }
        sender.drain_output().expect("output");
    };
    let mut one = Line::default();
    let mut batch = Line::default();
    let mut buffer = vec![0; 14_000];
    let mut events = Vec::with_capacity(count);
    let mut allocations = 0;
    for _ in 0..ROUNDS {
        fill();
        let floor = time(count, || {
            let mut bytes = 0;
            while bytes < count * 28 {
                bytes += connection.read(&mut buffer).expect("events");
            }
        });
        one.subjects[0].push(floor);
        batch.subjects[0].push(floor);
        fill();
        one.subjects[1].push(time(count, || {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            for _ in 0..count {
                black_box(receiver.event_input(None).expect("input"));
            }
            allocations += ALLOCATIONS.load(Ordering::Relaxed) - before;
        }));
        fill();
        events.clear();
        batch.subjects[1].push(time(count, || {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            assert_eq!(receiver.event_input_batch(&mut events, count).expect("input"), count);
            allocations += ALLOCATIONS.load(Ordering::Relaxed) - before;
        }));
        if let Some(nanoseconds) = peers.alsa_input(count) {
            one.subjects[2].push(nanoseconds);
        }
    }
    one.subjects[3].extend(peers.python("input, event by event"));
    one.print("input, event by event");
    batch.print("input, in batches");
    println!("    allocations per event: {}", allocations as f64 / (ROUNDS * 2 * count) as f64);
}

fn list_ports(engine: &Engine, peers: &mut Peers) {
    let client = client(engine, "lister");
    let ports: Vec<Port> = (0..60)
        .map(|number| client.create_port(format!("port {number}")).expect("a port"))
        .collect();
    let connection = client.connection().expect("open");
    let mut line = Line::default();
    let repeat = 200;
    for _ in 0..ROUNDS {
        line.subjects[0].push(time(repeat, || {
            for _ in 0..repeat {
                let mut info = raw::ClientInfo { client: -1, ..raw::ClientInfo::default() };
                let mut count = 0;
                while connection.ioctl(Request::QueryNextClient(&mut info)).is_ok() {
                    let address = raw::Address::new(info.client as u8, 255);
                    let mut port = raw::PortInfo { address, ..raw::PortInfo::default() };
                    while connection.ioctl(Request::QueryNextPort(&mut port)).is_ok() {
                        count += 1;
                    }
                }
                assert!(black_box(count) >= ports.len());
            }
        }));
        line.subjects[1].push(time(repeat, || {
            for _ in 0..repeat {
                let listed = client.list_ports(&ListPorts::new()).expect("a list");
                assert!(listed.len() >= ports.len());
            }
        }));
    }
    line.subjects[3].extend(peers.python("list_ports, 60 ports"));
    line.print("list_ports, 60 ports");
}

/// Nanoseconds of each of `count` round trips to a process that echoes.
fn round_trips(echo: &str, count: usize, engine: &Engine) -> Option<Vec<f64>> {
    let client = client(engine, "round trip");
    let port = client.create_port("round trip").ok()?;
    let program = std::env::current_exe().ok()?;
    let mut child = Command::new(program)
        .args([echo, &port.address().to_string()])
        .stdout(Stdio::null())
        .spawn()
        .ok()?;
    let end = Instant::now() + Duration::from_secs(10);
    while port.list_subscribers(None).ok()?.len() < 2 {
        assert!(Instant::now() < end, "the echo does not connect");
        std::thread::sleep(Duration::from_millis(2));
    }
    client.drop_input().ok()?;
    let raw_side = echo == "--echo-raw";
    let connection = client.connection().ok()?;
    let event = note().from_port(port.port_id());
    let cell = event.to_raw().to_bytes();
    let mut buffer = [0; 28 * 16];
    let times = (0..count)
        .map(|_| {
            let start = Instant::now();
            if raw_side {
                connection.write(&cell).expect("output");
                wait_readable(&*connection);
                connection.read(&mut buffer).expect("input");
            } else {
                client.event_output(&event, ()).expect("output");
                client.drain_output().expect("output");
                client.event_input(None).expect("input");
            }
            start.elapsed().as_nanos() as f64
        })
        .collect();
    let _ = child.kill();
    let _ = child.wait();
    Some(times)
}

fn wait_readable(connection: &dyn Connection) {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut polled = [PollFd::from_borrowed_fd(connection.descriptor(), PollFlags::IN)];
    poll(&mut polled, None).expect("poll");
}

/// The other end of the round trips, in a process of its own.
fn echo(raw_side: bool, address: &str) {
    let client = client(&engine(), "echo");
    let port = client.create_port("echo").expect("a port");
    let address = client.parse_address(address).expect("an address");
    port.connect_from(address).expect("connected");
    port.connect_to(address).expect("connected");
    let connection = client.connection().expect("open");
    let cell = note().from_port(port.port_id()).to_raw().to_bytes();
    let mut buffer = [0; 28 * 16];
    loop {
        if raw_side {
            wait_readable(&*connection);
            connection.read(&mut buffer).expect("input");
            connection.write(&cell).expect("output");
        } else if client.event_input(None).expect("input").is_some() {
            client.event_output(&note(), &port).expect("output");
            client.drain_output().expect("output");
        }
    }
}

fn latency(engine: &Engine) {
    if !matches!(engine, Engine::Kernel { .. }) {
        println!("round trip between two processes: on the kernel only");
        return;
    }
    let (mut p50, mut p99) = (Line::default(), Line::default());
    for _ in 0..5 {
        for (subject, echo) in ["--echo-raw", "--echo"].into_iter().enumerate() {
            let Some(mut times) = round_trips(echo, 1000, engine) else { continue };
            times.sort_by(f64::total_cmp);
            p50.subjects[subject].push(times[times.len() / 2]);
            p99.subjects[subject].push(times[times.len() * 99 / 100]);
        }
    }
    p50.print("round trip, two processes, p50");
    p99.print("round trip, two processes, p99");
}

/// How late scheduled events arrive: by the receiver's clock, against the even spacing.
fn jitter(engine: &Engine) {
    let (sender, receiver) = (client(engine, "sender"), client(engine, "receiver"));
    let out = sender.create_port(PortOptions::new("out").caps(READ_PORT)).expect("a port");
    let into = receiver.create_port(PortOptions::new("in").caps(WRITE_PORT)).expect("a port");
    into.connect_from(&out).expect("connected");
    let queue = sender.create_queue("jitter").expect("a queue");
    queue.set_tempo(&QueueTempo::new(500_000, 96)).expect("the tempo");
    queue.start_now().expect("start");
    let count: u32 = 200;
    for number in 1..=count {
        let at = RealTime::from_nanoseconds(u64::from(number) * 5_000_000 + 20_000_000);
        sender.event_output(&note().on_queue(&queue).at_time(at), &out).expect("output");
    }
    sender.drain_output().expect("output");
    let mut arrivals = Vec::new();
    while arrivals.len() < count as usize {
        receiver.event_input(None).expect("input");
        arrivals.push(Instant::now());
    }
    let mut late: Vec<f64> = arrivals
        .iter()
        .enumerate()
        .map(|(index, at)| {
            let even = arrivals[0] + Duration::from_millis(5) * index as u32;
            let early = even.saturating_duration_since(*at).as_nanos() as f64;
            (at.saturating_duration_since(even).as_nanos() as f64).max(early)
        })
        .collect();
    late.sort_by(f64::total_cmp);
    println!(
        "scheduled every 5 ms: off by p50 {:.0} ns, p99 {:.0} ns, most {:.0} ns",
        late[late.len() / 2],
        late[late.len() * 99 / 100],
        late[late.len() - 1]
    );
}

fn idle(engine: &Engine) {
    let client = client(engine, "idle");
    let processor = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let before = processor();
    let event = client.event_input(Some(Duration::from_secs(1))).expect("input");
    assert!(event.is_none());
    println!("idle event_input(1 s): {:?} of processor time", processor() - before);
}

/// The peers that can be had.
struct Peers {
    python: Vec<(String, f64)>,
    #[cfg(feature = "peer-alsa")]
    alsa: Option<alsa_crate::Peer>,
}

impl Peers {
    fn find(engine: &Engine) -> Self {
        let kernel = matches!(engine, Engine::Kernel { .. });
        let mut python = Vec::new();
        if kernel {
            let folder = std::env::var("CONSORT_VENV").unwrap_or_default();
            let program = if folder.is_empty() {
                "python3".to_owned()
            } else {
                format!("{folder}/bin/python3")
            };
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/sequencer_peer.py");
            for _ in 0..3 {
                let Ok(output) = Command::new(&program).arg(script).output() else { break };
                if !output.status.success() {
                    println!(
                        "SKIPPED: python-alsa-midi: {}",
                        String::from_utf8_lossy(&output.stderr)
                    );
                    break;
                }
                for line in String::from_utf8_lossy(&output.stdout).lines() {
                    if let Some((what, time)) = line.split_once('\t') {
                        python.push((what.to_owned(), time.parse().expect("a number")));
                    }
                }
            }
        } else {
            println!("SKIPPED: peers: they reach the kernel's sequencer only");
        }
        Self {
            python,
            #[cfg(feature = "peer-alsa")]
            alsa: kernel.then(alsa_crate::Peer::open),
        }
    }

    fn python(&self, what: &str) -> Vec<f64> {
        self.python.iter().filter(|(other, _)| other == what).map(|(_, time)| *time).collect()
    }

    #[cfg(feature = "peer-alsa")]
    fn alsa_output(&mut self, count: usize, every: usize, reused: bool) -> Option<f64> {
        self.alsa.as_ref().map(|peer| time(count, || peer.output(count, every, reused)))
    }

    #[cfg(not(feature = "peer-alsa"))]
    fn alsa_output(&mut self, _count: usize, _every: usize, _reused: bool) -> Option<f64> {
        None
    }

    #[cfg(feature = "peer-alsa")]
    fn alsa_input(&mut self, count: usize) -> Option<f64> {
        self.alsa.as_ref().map(|peer| {
            peer.fill(count);
            time(count, || peer.input(count))
        })
    }

    #[cfg(not(feature = "peer-alsa"))]
    fn alsa_input(&mut self, _count: usize) -> Option<f64> {
        None
    }
}

#[cfg(feature = "peer-alsa")]
mod alsa_crate {
    use std::hint::black_box;

    use alsa::seq::{Addr, EvNote, Event, EventType, PortCap, PortSubscribe, PortType, Seq};

    pub(super) struct Peer {
        sender: Seq,
        receiver: Seq,
        silent: i32,
        out: i32,
    }

    fn note(port: i32) -> Event<'static> {
        let note = EvNote { channel: 0, note: 60, velocity: 100, off_velocity: 0, duration: 0 };
        let mut event = Event::new(EventType::Noteon, &note);
        event.set_source(port);
        event.set_subs();
        event.set_direct();
        event
    }

    impl Peer {
        pub(super) fn open() -> Self {
            let open = |name: &std::ffi::CStr| {
                let seq = Seq::open(None, None, false).expect("libasound");
                seq.set_client_name(name).expect("a name");
                seq
            };
            let (sender, receiver) = (open(c"alsa sender"), open(c"alsa receiver"));
            let kind = PortType::MIDI_GENERIC | PortType::APPLICATION;
            let read = PortCap::READ | PortCap::SUBS_READ;
            let write = PortCap::WRITE | PortCap::SUBS_WRITE;
            let silent = sender.create_simple_port(c"silent", read, kind).expect("a port");
            let out = sender.create_simple_port(c"out", read, kind).expect("a port");
            let into = receiver.create_simple_port(c"in", write, kind).expect("a port");
            receiver.set_client_pool_input(2000).expect("the pool");
            let subscription = PortSubscribe::empty().expect("memory");
            let address =
                |seq: &Seq, port| Addr { client: seq.client_id().expect("a number"), port };
            subscription.set_sender(address(&sender, out));
            subscription.set_dest(address(&receiver, into));
            receiver.subscribe_port(&subscription).expect("connected");
            Self { sender, receiver, silent, out }
        }

        pub(super) fn output(&self, count: usize, every: usize, reused: bool) {
            let mut event = note(self.silent);
            for number in 1..=count {
                if reused {
                    self.sender.event_output(&mut event).expect("output");
                } else {
                    self.sender.event_output(&mut black_box(note(self.silent))).expect("output");
                }
                if number % every == 0 {
                    self.sender.drain_output().expect("output");
                }
            }
        }

        pub(super) fn fill(&self, count: usize) {
            for _ in 0..count {
                self.sender.event_output(&mut note(self.out)).expect("output");
            }
            self.sender.drain_output().expect("output");
        }

        pub(super) fn input(&self, count: usize) {
            let mut input = self.receiver.input();
            for _ in 0..count {
                black_box(input.event_input().expect("input"));
            }
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "--echo", address] => return echo(false, address),
        [_, "--echo-raw", address] => return echo(true, address),
        _ => {}
    }
    let engine = engine();
    let connection = engine.open(OpenMode::Duplex).expect("a sequencer");
    println!("sequencer: {} {}", connection.engine_name(), connection.protocol_version());
    drop(connection);
    println!("nanoseconds: median (least–most) of {ROUNDS} interleaved rounds, × the floor");
    let mut peers = Peers::find(&engine);
    output(&engine, &mut peers);
    input(&engine, &mut peers);
    list_ports(&engine, &mut peers);
    latency(&engine);
    jitter(&engine);
    idle(&engine);
}
