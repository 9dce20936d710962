//! The measurements of the `alsa` crate, one of the peers.

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use alsa::seq::{
    Addr, ClientIter, EvNote, Event, EventType, PortCap, PortIter, PortSubscribe, PortType,
    QueueTempo, Seq,
};

/// The clients of the measurements.
pub(super) struct Peer {
    sender: Seq,
    receiver: Seq,
    /// A port without subscribers.
    silent: i32,
    /// A port that is connected to the receiver.
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

/// A client with one port for both directions.
fn duplex_client(name: &std::ffi::CStr) -> (Seq, i32) {
    let seq = Seq::open(None, None, false).expect("libasound");
    seq.set_client_name(name).expect("a name");
    let caps = PortCap::READ | PortCap::SUBS_READ | PortCap::WRITE | PortCap::SUBS_WRITE;
    let port = seq.create_simple_port(name, caps, PortType::MIDI_GENERIC).expect("a port");
    (seq, port)
}

/// The nanoseconds of each of `count` round trips to a process that echoes with this crate. That
/// process sends a first event when it is connected.
fn round_trips(count: usize) -> Vec<f64> {
    let (seq, port) = duplex_client(c"alsa round trip");
    let address = format!("{}:{port}", seq.client_id().expect("a number"));
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--echo-alsa", &address])
        .stdout(Stdio::null())
        .spawn()
        .expect("the echo");
    let mut input = seq.input();
    while input.event_input().expect("input").get_type() != EventType::Noteon {}
    let mut event = note(port);
    let times = (0..count)
        .map(|_| {
            let start = Instant::now();
            seq.event_output(&mut event).expect("output");
            seq.drain_output().expect("output");
            input.event_input().expect("input");
            start.elapsed().as_nanos() as f64
        })
        .collect();
    let _ = child.kill();
    let _ = child.wait();
    times
}

/// Connects to `address` and returns each note that arrives, until the process is killed.
pub(super) fn echo(address: &str) {
    let (seq, port) = duplex_client(c"alsa echo");
    let own = Addr { client: seq.client_id().expect("a number"), port };
    let (client, other) = address.split_once(':').expect("an address");
    let other =
        Addr { client: client.parse().expect("a number"), port: other.parse().expect("a number") };
    for (sender, dest) in [(other, own), (own, other)] {
        let subscription = PortSubscribe::empty().expect("memory");
        subscription.set_sender(sender);
        subscription.set_dest(dest);
        seq.subscribe_port(&subscription).expect("connected");
    }
    let mut event = note(port);
    let mut input = seq.input();
    loop {
        seq.event_output(&mut event).expect("output");
        seq.drain_output().expect("output");
        while input.event_input().expect("input").get_type() != EventType::Noteon {}
    }
}

impl Peer {
    /// See [`round_trips`].
    #[allow(clippy::unused_self)] // a method like the other measurements
    pub(super) fn round_trips(&self, count: usize) -> Vec<f64> {
        round_trips(count)
    }

    pub(super) fn open() -> Option<Self> {
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
        let address = |seq: &Seq, port| Addr { client: seq.client_id().expect("a number"), port };
        subscription.set_sender(address(&sender, out));
        subscription.set_dest(address(&receiver, into));
        receiver.subscribe_port(&subscription).expect("connected");
        Some(Self { sender, receiver, silent, out })
    }

    pub(super) fn output(&self, count: usize, every: usize, reused: bool) {
        let mut event = note(self.silent);
        for _ in 0..count / every {
            for _ in 0..every {
                if reused {
                    self.sender.event_output(&mut event).expect("output");
                } else {
                    self.sender.event_output(black_box(&mut note(self.silent))).expect("output");
                }
            }
            self.sender.drain_output().expect("output");
        }
    }

    pub(super) fn sysex(&self, count: usize, data: &[u8]) {
        let mut event = Event::new_ext(EventType::Sysex, data);
        event.set_source(self.silent);
        event.set_subs();
        event.set_direct();
        for _ in 0..count {
            self.sender.event_output(&mut event).expect("output");
            self.sender.drain_output().expect("output");
        }
    }

    /// Collects what `list_ports` returns: addresses and names of all ports of type generic MIDI.
    pub(super) fn list_ports(&self) -> usize {
        let mut ports = Vec::new();
        for client in ClientIter::new(&self.sender) {
            let number = client.get_client();
            if number == 0 {
                continue;
            }
            let name = client.get_name().expect("a name");
            for port in PortIter::new(&self.sender, number) {
                if port.get_type().contains(PortType::MIDI_GENERIC) {
                    let text = port.get_name().expect("a name").to_owned();
                    ports.push((port.addr(), port.get_capability(), name.to_owned(), text));
                }
            }
        }
        black_box(ports).len()
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
            black_box(&input.event_input().expect("input"));
        }
    }

    /// The arrival times, in nanoseconds, of `count` events that are due every 5 ms.
    pub(super) fn scheduled(&self, count: u32) -> Vec<f64> {
        let queue = self.sender.alloc_queue().expect("a queue");
        let tempo = QueueTempo::empty().expect("memory");
        tempo.set_tempo(500_000);
        tempo.set_ppq(96);
        self.sender.set_queue_tempo(queue, &tempo).expect("the tempo");
        self.sender.control_queue(queue, EventType::Start, 0, None).expect("start");
        self.sender.drain_output().expect("output");
        for number in 1..=count {
            let mut event = note(self.out);
            let time = Duration::from_millis(u64::from(number) * 5 + 200);
            event.schedule_real(queue, false, time);
            self.sender.event_output(&mut event).expect("output");
        }
        self.sender.drain_output().expect("output");
        let mut input = self.receiver.input();
        let start = Instant::now();
        let arrivals = (0..count)
            .map(|_| {
                input.event_input().expect("input");
                start.elapsed().as_nanos() as f64
            })
            .collect();
        self.sender.free_queue(queue).expect("free");
        arrivals
    }
}
