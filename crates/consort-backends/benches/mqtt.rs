//! `mqtt` through mosquitto, compared with bare sockets through the same broker: messages a second
//! and processor time in each direction, the latency that a show adds, and channels that eight
//! shows share.
//!
//! ```text
//! cargo bench -p consort-backends --bench mqtt -- [--messages N]
//! ```

#![allow(clippy::print_stdout)] // a benchmark prints its figures

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use consort_backends::mqtt;
use consort_bench::{Budget, Samples, pin_thread, report, thread_time};
use consort_router::testing::TestShow;
use consort_router::{
    Backend, BackendDescriptor, ChannelError, Context, Driver, Event, Instance, InstanceConfig,
    Plan, Problems, Readiness, State, Usage,
};

/// How many messages may be between the sender and the receiver.
const WINDOW: u64 = 4_096;

/// How many messages a bare client writes at once, as the router does.
const BATCH: u64 = 256;

/// How long a sender waits when the window is full.
const WAIT: Duration = Duration::from_micros(200);

/// How many shows share channels.
const SHOWS: usize = 8;

/// How often each subject is measured.
const ROUNDS: usize = 7;

/// How long something may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a source and a sink share with the benchmark.
#[derive(Default)]
struct Shared {
    /// How many values the source is to emit, in all.
    wanted: AtomicU64,
    /// How many values have arrived at the receiver.
    received: AtomicU64,
    /// The times of the last value at the source and at the sink, in nanoseconds since the start.
    emitted: AtomicU64,
    arrived: AtomicU64,
}

static SHARED: std::sync::LazyLock<Shared> = std::sync::LazyLock::new(Shared::default);
static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);

fn nanoseconds() -> u64 {
    START.elapsed().as_nanos() as u64
}

/// A backend whose channel 0 emits values as fast as they are wanted, and whose others take them.
const PROBE: BackendDescriptor = BackendDescriptor {
    name: "load",
    summary: "",
    documentation: "",
    options: &[],
    instance_options: &[],
    instance_families: &[],
    channels: &[],
    example: "",
    create: || Box::new(LoadBackend),
};

struct LoadBackend;

impl Backend for LoadBackend {
    fn instance(&mut self, _: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        Some(Box::<LoadPlan>::default())
    }
}

#[derive(Default)]
struct LoadPlan(Vec<String>);

impl Plan for LoadPlan {
    fn channel(&mut self, name: &str, _: Usage) -> Result<u32, ChannelError> {
        if let Some(index) = self.0.iter().position(|other| other == name) {
            return Ok(index as u32);
        }
        self.0.push(name.to_owned());
        Ok(self.0.len() as u32 - 1)
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        let channel = self.0.iter().position(|name| name == "source").map(|index| index as u32);
        Box::new(Load { channel, emitted: 0 })
    }
}

/// The running instance.
struct Load {
    channel: Option<u32>,
    emitted: u64,
}

impl Instance for Load {
    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
        if self.channel.is_some() {
            context.call_again(0);
        }
    }

    fn ready(&mut self, _: u32, _: Readiness, context: &mut Context<'_>) {
        let Some(channel) = self.channel else { return };
        let limit = SHARED.wanted.load(Ordering::Acquire);
        let limit = limit.min(SHARED.received.load(Ordering::Acquire) + WINDOW);
        if limit >= self.emitted + BATCH || limit == SHARED.wanted.load(Ordering::Acquire) {
            SHARED.emitted.store(nanoseconds(), Ordering::Release);
            for _ in 0..limit.saturating_sub(self.emitted).min(BATCH) {
                context.emit(channel, (self.emitted % 1_000) as f64 / 1_000.0);
                self.emitted += 1;
            }
        }
        if limit >= self.emitted + BATCH {
            context.call_again(0);
        } else {
            context.wake_in(WAIT);
        }
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        context.call_again(0);
    }

    fn deliver(&mut self, events: &[Event], _: &mut Context<'_>) {
        SHARED.arrived.store(nanoseconds(), Ordering::Release);
        SHARED.received.fetch_add(events.len() as u64, Ordering::AcqRel);
    }
}

// ---- the broker and bare clients ---------------------------------------------------------------

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A running mosquitto.
struct Broker {
    port: u16,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Broker {
    fn start() -> Option<Broker> {
        let program = program("mosquitto")?;
        let folder = tempfile::tempdir().expect("a folder");
        let socket = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let port = socket.local_addr().expect("an address").port();
        drop(socket);
        let path = folder.path().join("mosquitto.conf");
        let text = format!(
            "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n\
             max_queued_messages 200000\nmax_inflight_messages 1000\nlog_dest none\n"
        );
        std::fs::write(&path, text).expect("written");
        let process = Command::new(program)
            .arg("-c")
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let deadline = Instant::now() + DEADLINE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "mosquitto does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Broker { port, process, _folder: folder })
    }

    /// A bare connection with MQTT 3.1.1.
    fn connect(&self, id: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connected");
        stream.set_nodelay(true).expect("set");
        let mut packet = vec![0x10, 12 + id.len() as u8];
        packet.extend(b"\0\x04MQTT\x04\x02\0\0\0");
        packet.push(id.len() as u8);
        packet.extend(id.as_bytes());
        stream.write_all(&packet).expect("written");
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).expect("an answer");
        stream
    }

    /// A bare connection that has subscribed to a topic.
    fn subscribe(&self, id: &str, topic: &str) -> TcpStream {
        let mut stream = self.connect(id);
        let mut packet = vec![0x82, 5 + topic.len() as u8, 0, 1, 0, topic.len() as u8];
        packet.extend(topic.as_bytes());
        packet.push(0);
        stream.write_all(&packet).expect("written");
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).expect("an answer");
        stream
    }
}

fn publish(topic: &str, payload: &str) -> Vec<u8> {
    let mut packet = vec![0x30, (2 + topic.len() + payload.len()) as u8, 0, topic.len() as u8];
    packet.extend(topic.as_bytes());
    packet.extend(payload.as_bytes());
    packet
}

/// Messages a second and the processor time of each in microseconds.
type Rate = (f64, f64);

/// Waits until all messages have arrived.
fn wait(messages: u64) {
    let deadline = Instant::now() + DEADLINE;
    while SHARED.received.load(Ordering::Acquire) < messages {
        assert!(Instant::now() < deadline, "messages are missing");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Publishes with a bare client; returns the processor time.
fn bare_publisher(broker: &Broker, topic: &str, messages: u64) -> Duration {
    let mut stream = broker.connect("bare-publisher");
    let batch = publish(topic, "0.500000").repeat(BATCH as usize);
    let before = thread_time();
    let mut sent = 0;
    while sent < messages {
        if sent + BATCH > SHARED.received.load(Ordering::Acquire) + WINDOW {
            std::thread::sleep(WAIT);
            continue;
        }
        stream.write_all(&batch).expect("written");
        sent += BATCH;
    }
    let time = thread_time() - before;
    wait(messages);
    time
}

/// Receives with a bare client until all messages have arrived; returns the processor time.
fn bare_subscriber(mut stream: TcpStream, size: usize, messages: u64) -> Duration {
    let mut buffer = vec![0; 65_536];
    let before = thread_time();
    let mut bytes = 0;
    while (bytes / size) < messages as usize {
        let count = stream.read(&mut buffer).expect("read");
        assert!(count > 0, "the broker closed the connection");
        bytes += count;
        SHARED.received.store((bytes / size) as u64, Ordering::Release);
    }
    thread_time() - before
}

/// A show on a thread of its own.
struct Show {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Duration>,
}

impl Show {
    /// Starts a show with an instance `m` and mappings, and waits until it is up.
    fn start(broker: &Broker, options: &[(&str, &str)], mappings: &[(&str, &str)]) -> Show {
        let host = format!("127.0.0.1:{}", broker.port);
        let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
        };
        let (options, mappings) =
            (owned(&[&[("host", host.as_str())], options].concat()), owned(mappings));
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = std::sync::mpsc::channel();
        let is_stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut setup = TestShow::new();
            let options: Vec<(&str, &str)> =
                options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            setup.instance(&mqtt::DESCRIPTOR, "m", &options);
            setup.instance(&PROBE, "load", &[]);
            for (source, target) in &mappings {
                setup.map(source, target);
            }
            let mut show = setup.start();
            show.until_state("m", "up");
            // The subscriptions arrive at the broker.
            let end = Instant::now() + Duration::from_millis(200);
            while Instant::now() < end {
                show.router.step(Some(Duration::from_millis(20))).expect("a turn");
            }
            ready.send(()).expect("the benchmark waits");
            let before = thread_time();
            while !is_stopped.load(Ordering::Acquire) {
                show.router.step(Some(Duration::from_millis(20))).expect("a turn");
            }
            assert_eq!(show.counters("m").dropped, 0, "the show dropped values");
            thread_time() - before
        });
        is_ready.recv().expect("the show is up");
        Show { stop, thread }
    }

    /// Stops the show; returns the processor time of its thread.
    fn stop(self) -> Duration {
        self.stop.store(true, Ordering::Release);
        self.thread.join().expect("no panic")
    }
}

fn reset() {
    SHARED.wanted.store(0, Ordering::Release);
    SHARED.received.store(0, Ordering::Release);
}

fn rate(messages: u64, elapsed: Duration, time: Duration) -> Rate {
    (messages as f64 / elapsed.as_secs_f64(), time.as_secs_f64() * 1e6 / messages as f64)
}

/// Publishing: the receiver is a bare client in both cases.
fn measure_publishing(broker: &Broker, is_ours: bool, messages: u64) -> Rate {
    reset();
    let subscriber = broker.subscribe("bare-subscriber", "bench/out");
    let size = publish("bench/out", "0.500000").len();
    let receiver = std::thread::spawn(move || bare_subscriber(subscriber, size, messages));
    let show = is_ours.then(|| Show::start(broker, &[], &[("load.source", "m.bench/out")]));
    let start = Instant::now();
    let (elapsed, time) = match show {
        Some(show) => {
            SHARED.wanted.store(messages, Ordering::Release);
            wait(messages);
            let elapsed = start.elapsed();
            (elapsed, show.stop())
        }
        None => {
            let time = bare_publisher(broker, "bench/out", messages);
            (start.elapsed(), time)
        }
    };
    receiver.join().expect("no panic");
    rate(messages, elapsed, time)
}

/// Receiving: the sender is a bare client in both cases.
fn measure_receiving(broker: &Broker, is_ours: bool, messages: u64) -> Rate {
    reset();
    let size = publish("bench/in", "0.500000").len();
    if is_ours {
        let show = Show::start(broker, &[], &[("m.bench/in", "load.sink")]);
        let start = Instant::now();
        bare_publisher(broker, "bench/in", messages);
        let elapsed = start.elapsed();
        return rate(messages, elapsed, show.stop());
    }
    let subscriber = broker.subscribe("bare-subscriber", "bench/in");
    let receiver = std::thread::spawn(move || bare_subscriber(subscriber, size, messages));
    let start = Instant::now();
    bare_publisher(broker, "bench/in", messages);
    let elapsed = start.elapsed();
    rate(messages, elapsed, receiver.join().expect("no panic"))
}

/// The time for waking a thread of another processor through a pipe, in microseconds: half of a
/// round trip.
fn wake_up() -> f64 {
    let pipe = || std::io::pipe().expect("a pipe");
    let ((mut from_here, mut to), (mut from_there, mut back)) = (pipe(), pipe());
    let thread = std::thread::spawn(move || {
        pin_thread(0, 1..2);
        let mut byte = [0];
        while from_here.read_exact(&mut byte).is_ok() {
            back.write_all(&byte).expect("written");
        }
    });
    // On a thread of its own, so that the benchmark is not pinned.
    let samples = std::thread::spawn(move || {
        pin_thread(0, 0..1);
        let mut samples = Samples::default();
        for _ in 0..2_000 {
            std::thread::sleep(Duration::from_micros(500));
            let start = Instant::now();
            to.write_all(&[1]).expect("written");
            from_there.read_exact(&mut [0]).expect("read");
            samples.push(start.elapsed().as_secs_f64() * 1e6 / 2.0);
        }
        samples
    });
    let samples = samples.join().expect("no panic");
    thread.join().expect("no panic");
    samples.median()
}

/// Publishes and waits for the answer, at about 1,000 a second; microseconds.
fn round_trips(stream: &mut TcpStream, topic: &str, size: usize, count: usize) -> Samples {
    let packet = publish(topic, "0.500000");
    let mut answer = vec![0; size];
    let mut samples = Samples::default();
    for _ in 0..count {
        std::thread::sleep(Duration::from_micros(700));
        let start = Instant::now();
        stream.write_all(&packet).expect("written");
        stream.read_exact(&mut answer).expect("read");
        samples.push(start.elapsed().as_secs_f64() * 1e6);
    }
    samples
}

/// Through a bare forwarder, or through a show: `ping` is received and `pong` published.
fn forwarding(broker: &Broker, is_ours: bool) -> Samples {
    reset();
    let mut client = broker.subscribe("bare-client", "pong");
    let size = publish("pong", "0.500000").len();
    if is_ours {
        let show = Show::start(broker, &[], &[("m.ping", "m.pong")]);
        let samples = round_trips(&mut client, "ping", size, 2_000);
        show.stop();
        return samples;
    }
    let mut forwarder = broker.subscribe("bare-forwarder", "ping");
    let thread = std::thread::spawn(move || {
        let packet = publish("pong", "0.500000");
        let mut buffer = vec![0; publish("ping", "0.500000").len()];
        for _ in 0..2_000 {
            forwarder.read_exact(&mut buffer).expect("read");
            forwarder.write_all(&packet).expect("written");
        }
    });
    let samples = round_trips(&mut client, "ping", size, 2_000);
    thread.join().expect("no panic");
    samples
}

/// From a value that one of eight shows writes to its arrival at the last of the others.
fn sharing(broker: &Broker) -> Samples {
    reset();
    let options = [("share", "on"), ("prefix", "bench/bus")];
    let sinks: Vec<Show> =
        (1..SHOWS).map(|_| Show::start(broker, &options, &[("m.x", "load.sink")])).collect();
    let source = Show::start(broker, &options, &[("load.source", "m.x")]);
    let mut samples = Samples::default();
    for count in 1..=1_000_u64 {
        std::thread::sleep(Duration::from_micros(700));
        SHARED.wanted.store(count, Ordering::Release);
        wait_quickly(count * (SHOWS as u64 - 1));
        let latency =
            SHARED.arrived.load(Ordering::Acquire) - SHARED.emitted.load(Ordering::Acquire);
        samples.push(latency as f64 / 1e3);
    }
    source.stop();
    sinks.into_iter().map(Show::stop).for_each(|_| {});
    samples
}

fn wait_quickly(messages: u64) {
    let deadline = Instant::now() + DEADLINE;
    while SHARED.received.load(Ordering::Acquire) < messages {
        assert!(Instant::now() < deadline, "messages are missing");
        std::thread::sleep(Duration::from_micros(50));
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let messages = arguments
        .iter()
        .position(|argument| argument == "--messages")
        .and_then(|index| arguments.get(index + 1)?.parse::<u64>().ok())
        .unwrap_or(102_400)
        .next_multiple_of(BATCH);
    let Some(broker) = Broker::start() else {
        return println!("SKIPPED: mosquitto is not installed");
    };
    for (direction, measure) in [
        ("publish", measure_publishing as fn(&Broker, bool, u64) -> Rate),
        ("receive", measure_receiving),
    ] {
        let mut samples: [[Samples; 2]; 2] = Default::default();
        for _ in 0..ROUNDS {
            for (index, is_ours) in [false, true].into_iter().enumerate() {
                let (rate, time) = measure(&broker, is_ours, messages);
                samples[index][0].push(rate);
                samples[index][1].push(time);
            }
        }
        let [floor, ours] = &samples;
        report(format!("mqtt {direction}: messages"), "1/s")
            .floor(floor[0].median())
            .ours(ours[0].median())
            .higher_is_better()
            .budget(Budget::AtLeastFloor(0.8))
            .print();
        report(format!("mqtt {direction}: CPU per message"), "µs")
            .floor(floor[1].median())
            .ours(ours[1].median())
            .budget(Budget::AtMostFloor(2.0))
            .print();
    }
    let wake_up = wake_up();
    let (mut floor, mut ours) = (Samples::default(), Samples::default());
    for _ in 0..3 {
        floor.push(forwarding(&broker, false).median());
        ours.push(forwarding(&broker, true).median());
    }
    report("mqtt in → mqtt out: added p50 over a bare forwarder", "µs")
        .floor(wake_up)
        .ours(ours.median() - floor.median())
        .budget(Budget::AtMostFloor(2.0))
        .note(format!(
            "the floor is one wake-up of a thread on the other processor; through the forwarder {:.0} µs, through the show {:.0} µs",
            floor.median(),
            ours.median()
        ))
        .print();
    let mut client = broker.subscribe("bare-echo", "echo");
    let bare = round_trips(&mut client, "echo", publish("echo", "0.500000").len(), 2_000).median();
    let shared = sharing(&broker).median();
    report(format!("mqtt share: p50 to the last of {SHOWS} shows"), "µs")
        .floor(bare)
        .ours(shared)
        .budget(Budget::AtMostFloor(2.0))
        .note("the floor is one round trip of a bare client through the broker")
        .print();
}
