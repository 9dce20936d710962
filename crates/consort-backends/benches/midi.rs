//! MIDI in → router → MIDI out, compared with a bare loop over `consort-seq` in the same run.
//!
//! ```text
//! cargo bench -p consort-backends --bench midi -- [--events COUNT] [--quick]
//! ```
//!
//! `CONSORT_SEQ=kernel` measures on the kernel's sequencer (in the virtual machine, see
//! `tests/bench/25-midi.sh`), otherwise on the embedded one. Exits with status 1 if an event is
//! lost or out of order.
#![allow(clippy::print_stdout)] // A benchmark prints its figures.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_backends::BACKENDS;
use consort_bench::{Budget, CountingAllocator, Samples, allocations, median, report};
use consort_router::config::load_text;
use consort_router::{Handle, Router};
use consort_seq::client::{READ_PORT, WRITE_PORT};
use consort_seq::{Embedded, Engine, Event, EventType, Port, PortOptions, SequencerClient};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// How many rounds of latencies are measured; the figures are medians over them.
const ROUNDS: usize = 5;

/// The maximum number of events in flight; the pools hold 2,000.
const IN_FLIGHT: u32 = 512;

/// How long no event may arrive before the rest counts as lost.
const LOSS_TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut events, mut slices) = (1_000_000, 8);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--events" => {
                let count = arguments.next().and_then(|text| text.parse().ok());
                events = count.expect("--events needs a number");
            }
            "--quick" => (events, slices) = (50_000, 2),
            "--bench" => {}
            other => panic!("unknown argument {other}"),
        }
    }
    let (engine, name) = match std::env::var("CONSORT_SEQ").as_deref() {
        Ok("kernel") => (Engine::kernel(), "kernel"),
        _ => (Engine::Embedded(Embedded::process_wide()), "embedded"),
    };
    let mut bare = Subject::bare(&engine);
    let mut router = Subject::router(&engine, name);
    println!("MIDI in → … → MIDI out on the {name} sequencer");
    for subject in [&mut bare, &mut router] {
        subject.load.flood(IN_FLIGHT * 20); // to warm up
    }
    let lost = flood(&mut bare, &mut router, events, name);
    latencies(&mut bare, &mut router, slices, name);
    bare.stop();
    router.stop();
    if lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Sends as fast as possible; returns how many events were lost or out of order.
fn flood(bare: &mut Subject, router: &mut Subject, events: u32, engine: &str) -> u32 {
    let measure = |subject: &mut Subject| {
        let before = allocations();
        let flooded = subject.load.flood(events);
        let allocated = (allocations() - before) as f64 / f64::from(events);
        println!(
            "{:<12} {events} events, {IN_FLIGHT} in flight: {} lost, {} out of order, {allocated:.4} \
             allocations per event",
            subject.name, flooded.lost, flooded.disordered,
        );
        let rate = f64::from(events) / flooded.time.as_secs_f64();
        (rate, flooded.lost + flooded.disordered)
    };
    let ((floor, floor_lost), (ours, lost)) = (measure(bare), measure(router));
    report(format!("MIDI → MIDI, {engine}: {IN_FLIGHT} in flight"), "events/s")
        .floor(floor)
        .ours(ours)
        .higher_is_better()
        .print();
    report(format!("MIDI → MIDI, {engine}: lost or out of order"), "events")
        .floor(f64::from(floor_lost))
        .ours(f64::from(lost))
        .budget(Budget::AtMost(0.0))
        .print();
    floor_lost + lost
}

/// Sends 1,000 events per second, one at a time, to the subjects in turns.
fn latencies(bare: &mut Subject, router: &mut Subject, slices: usize, engine: &str) {
    const SHARES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("maximum", 1.0)];
    let mut figures = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let mut rounds = [Samples::default(), Samples::default()];
        for slice in 0..slices {
            for turn in 0..2 {
                // The first subject changes, so that disturbances affect both alike.
                let index = (turn + slice) % 2;
                let subject = if index == 0 { &mut *bare } else { &mut *router };
                subject.load.ping(250, &mut rounds[index]);
            }
        }
        for (figures, times) in figures.iter_mut().zip(rounds) {
            figures.push(times.quantiles(SHARES.map(|(_, share)| share)));
        }
    }
    println!("round trip, 1,000 events/s, median of {ROUNDS} rounds of {} in turns:", slices * 250);
    for (index, (name, _)) in SHARES.into_iter().enumerate() {
        let [floor, ours] =
            figures.each_ref().map(|figures| median(figures.iter().map(|figures| figures[index])));
        let mut line = report(format!("MIDI → MIDI, {engine}: round trip, {name}"), "µs")
            .floor(floor)
            .ours(ours);
        if name == "p99" {
            line = line.budget(Budget::AtMostFloor(2.0));
        }
        line.print();
    }
}

/// A measured program: it reads from one of the load's ports and writes to the other.
struct Subject {
    name: &'static str,
    load: Load,
    stop: Box<dyn FnOnce()>,
    thread: JoinHandle<()>,
}

impl Subject {
    fn bare(engine: &Engine) -> Self {
        let load = Load::new(engine, "load bare");
        let client = client(engine, "bare loop");
        let port = client.create_port("bare loop").expect("a port");
        port.connect_from(&load.out).expect("connected");
        port.connect_to(&load.into).expect("connected");
        let running = Arc::new(AtomicBool::new(true));
        let thread_running = Arc::clone(&running);
        let thread = std::thread::spawn(move || forward(&client, &port, &thread_running));
        let stop = Box::new(move || running.store(false, Ordering::Relaxed));
        Subject { name: "bare loop", load, stop, thread }
    }

    fn router(engine: &Engine, engine_name: &str) -> Self {
        let load = Load::new(engine, "load router");
        let text = format!(
            "[backend midi]\nengine = {engine_name}\n\n\
             [midi bench]\nread = load router:out\nwrite = load router:in\n\n\
             [map]\nbench.ch{{0..15}}.pitch > bench.ch{{0..15}}.pitch\n"
        );
        let (sender, receiver) = std::sync::mpsc::channel::<Handle>();
        let thread = std::thread::spawn(move || {
            let show = load_text("bench.cfg", &text, &[], BACKENDS).show.expect("a show");
            let mut router = Router::new(show).expect("an event loop");
            sender.send(router.handle()).expect("the receiver exists");
            router.run().expect("the router runs");
        });
        let handle = receiver.recv().expect("the router starts");
        let end = Instant::now() + LOSS_TIMEOUT;
        for port in [&load.out, &load.into] {
            while port.list_subscribers(None).expect("a list").is_empty() {
                assert!(Instant::now() < end, "the router does not connect");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        Subject { name: "router", load, stop: Box::new(move || handle.stop()), thread }
    }

    fn stop(self) {
        (self.stop)();
        self.thread.join().expect("the thread ends");
    }
}

/// The bare loop: reads the available events, writes them, and waits.
fn forward(client: &SequencerClient, port: &Port, running: &AtomicBool) {
    let mut events = Vec::with_capacity(256);
    while running.load(Ordering::Relaxed) {
        client.wait_readable(Some(Duration::from_millis(100))).expect("the client works");
        while client.event_input_batch(&mut events, 256).expect("no overrun") > 0 {
            for event in events.drain(..) {
                client.event_output(&Event::new(event.payload()), port).expect("output");
            }
            client.drain_output().expect("output");
        }
    }
}

/// A client with large pools.
fn client(engine: &Engine, name: &str) -> SequencerClient {
    let client = SequencerClient::builder(name).engine(engine.clone()).open();
    let client = client.expect("a sequencer");
    client.set_client_pool_input(2_000).expect("the pool");
    client.set_client_pool_output(2_000).expect("the pool");
    client
}

/// The result of a flood.
struct Flooded {
    lost: u32,
    disordered: u32,
    time: Duration,
}

/// The client that sends the events and receives them back.
struct Load {
    client: SequencerClient,
    out: Port,
    into: Port,
    events: Vec<Event>,
}

/// An event with 18 bits of a running number, in the MIDI channel and the pitch.
fn numbered(number: u32) -> Event {
    let pitch = (number & 0x3FFF) as i16 - 8_192;
    Event::pitch_bend((number >> 14 & 15) as u8, pitch).expect("valid")
}

/// The number in such an event.
fn number(event: &Event) -> Option<u32> {
    match event.payload() {
        consort_seq::Payload::PitchBend(data) => {
            Some(u32::from(data.channel) << 14 | (data.value + 8_192) as u32)
        }
        _ => None,
    }
}

impl Load {
    fn new(engine: &Engine, name: &str) -> Self {
        let client = client(engine, name);
        let out = client.create_port(PortOptions::new("out").caps(READ_PORT)).expect("a port");
        let into = client.create_port(PortOptions::new("in").caps(WRITE_PORT)).expect("a port");
        Load { client, out, into, events: Vec::with_capacity(2_000) }
    }

    /// Waits for events; false if none has arrived for [`LOSS_TIMEOUT`].
    fn receive(&mut self) -> bool {
        self.events.clear();
        let end = Instant::now() + LOSS_TIMEOUT;
        while self.events.is_empty() {
            if Instant::now() > end {
                return false;
            }
            self.client.event_input_batch(&mut self.events, 2_000).expect("no overrun");
            let notices = [EventType::PORT_SUBSCRIBED, EventType::PORT_UNSUBSCRIBED];
            self.events.retain(|event| !notices.contains(&event.event_type()));
            if self.events.is_empty() {
                self.client.wait_readable(Some(LOSS_TIMEOUT)).expect("the client works");
            }
        }
        true
    }

    /// Sends `count` events as fast as the receiver takes them.
    fn flood(&mut self, count: u32) -> Flooded {
        let start = Instant::now();
        let (mut sent, mut next, mut received, mut disordered) = (0, 0, 0, 0);
        while received < count {
            while sent < count && sent - received < IN_FLIGHT {
                self.client.event_output(&numbered(sent), &self.out).expect("output");
                sent += 1;
            }
            self.client.drain_output().expect("output");
            if !self.receive() {
                break;
            }
            for event in &self.events {
                disordered += u32::from(number(event) != Some(next & 0x3_FFFF));
                next = number(event).map_or(next, |number| number + (next & !0x3_FFFF)) + 1;
                received += 1;
            }
        }
        Flooded { lost: count - received, disordered, time: start.elapsed() }
    }

    /// Sends `count` events, one per millisecond, and adds their round-trip times in µs.
    fn ping(&mut self, count: usize, times: &mut Samples) {
        let event = numbered(1);
        let mut due = Instant::now();
        for _ in 0..count {
            let start = Instant::now();
            self.client.event_output_direct(&event, &self.out).expect("output");
            assert!(self.receive(), "an event did not come back");
            times.push(start.elapsed().as_nanos() as f64 / 1e3);
            due += Duration::from_millis(1);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
}
