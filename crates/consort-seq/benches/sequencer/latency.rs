//! Round trips between two processes, and the jitter of scheduled events.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use consort_bench::{Samples, median};
use consort_seq::client::{READ_PORT, WRITE_PORT};
use consort_seq::engine::Connection;
use consort_seq::{Engine, PortOptions, QueueTempo, RealTime};

use super::peers::Peers;
use super::table::{Budgets, Line};
use super::{client, engine, note, write_raw};

/// The nanoseconds of each of `count` round trips to a process that echoes.
fn round_trip_times(echo: &str, count: usize, engine: &Engine) -> Samples {
    let client = client(engine, "round trip");
    let port = client.create_port("round trip").expect("a port");
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program)
        .args([echo, &port.address().to_string()])
        .stdout(Stdio::null())
        .spawn()
        .expect("the echo");
    let deadline = Instant::now() + Duration::from_secs(10);
    while port.list_subscribers(None).expect("a list").len() < 2 {
        assert!(Instant::now() < deadline, "the echo process does not connect");
        std::thread::sleep(Duration::from_millis(2));
    }
    client.drop_input().expect("dropped");
    let is_raw = echo == "--echo-raw";
    let connection = client.connection().expect("open");
    let event = note().from_port(port.port_id());
    let cell = event.to_raw().to_bytes();
    let mut buffer = [0; 28 * 16];
    let times = (0..count)
        .map(|_| {
            let start = Instant::now();
            if is_raw {
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
    times
}

fn wait_readable(connection: &dyn Connection) {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut polled = [PollFd::from_borrowed_fd(connection.descriptor(), PollFlags::IN)];
    poll(&mut polled, None).expect("poll");
}

/// The echo process, which is the other end of the round trips.
pub(super) fn echo(is_raw: bool, address: &str) {
    let client = client(&engine(), "echo");
    let port = client.create_port("echo").expect("a port");
    let address = client.parse_address(address).expect("an address");
    port.connect_from(address).expect("connected");
    port.connect_to(address).expect("connected");
    let connection = client.connection().expect("open");
    let cell = note().from_port(port.port_id()).to_raw().to_bytes();
    let mut buffer = [0; 28 * 16];
    loop {
        if is_raw {
            wait_readable(&*connection);
            connection.read(&mut buffer).expect("input");
            connection.write(&cell).expect("output");
        } else if client.event_input(None).expect("input").is_some() {
            client.event_output(&note(), &port).expect("output");
            client.drain_output().expect("output");
        }
    }
}

pub(super) fn round_trips(engine: &Engine, peers: &mut Peers) {
    if !matches!(engine, Engine::Kernel { .. }) {
        println!("round trips between two processes: measured on the kernel only");
        return;
    }
    let (mut p50, mut p99) = (Line::default(), Line::default());
    for _ in 0..5 {
        let mut add = |subject: usize, times: Samples| {
            let [middle, high] = times.quantiles([0.5, 0.99]);
            p50.subjects[subject].push(middle);
            p99.subjects[subject].push(high);
        };
        for (subject, echo) in ["--echo-raw", "--echo"].into_iter().enumerate() {
            add(subject, round_trip_times(echo, 1000, engine));
        }
        if let Some(alsa) = &peers.alsa {
            add(2, alsa.round_trips(1000).into_iter().collect());
        }
        if let Some(times) = peers.python("round trip") {
            add(3, times.into_iter().collect());
        }
    }
    p50.print(engine, "round trip, two processes, p50", Budgets::None);
    p99.print(engine, "round trip, two processes, p99", Budgets::None);
}

/// Measures how far the arrivals of events that are due every 5 ms deviate from an even spacing, by
/// the receiver's clock. A constant delay is not jitter.
pub(super) fn jitter(engine: &Engine, peers: &mut Peers) {
    let count = 200;
    let (mut p50, mut p99) = (Line::default(), Line::default());
    for _ in 0..3 {
        let mut add = |subject: usize, times: Samples| {
            let [middle, high] = times.quantiles([0.5, 0.99]);
            p50.subjects[subject].push(middle);
            p99.subjects[subject].push(high);
        };
        add(0, deviations(&scheduled(engine, count, true)));
        add(1, deviations(&scheduled(engine, count, false)));
        if let Some(alsa) = &peers.alsa {
            add(2, deviations(&alsa.scheduled(count)));
        }
        if let Some(times) = peers.python("jitter") {
            add(3, deviations(&times));
        }
    }
    p50.print(engine, "jitter, scheduled every 5 ms, p50", Budgets::None);
    p99.print(engine, "jitter, scheduled every 5 ms, p99", Budgets::None);
}

/// The deviation of each arrival, in nanoseconds, from a grid of 5 ms whose offset is the median
/// delay.
fn deviations(arrivals: &[f64]) -> Samples {
    let delays: Vec<f64> =
        arrivals.iter().enumerate().map(|(index, time)| time - 5e6 * index as f64).collect();
    let middle = median(delays.iter().copied());
    delays.iter().map(|delay| (delay - middle).abs()).collect()
}

/// The arrival times of `count` scheduled events, in nanoseconds. The baseline (`is_raw`) writes and
/// reads cells without the library.
fn scheduled(engine: &Engine, count: u32, is_raw: bool) -> Vec<f64> {
    let (sender, receiver) = (client(engine, "sender"), client(engine, "receiver"));
    let out = sender.create_port(PortOptions::new("out").caps(READ_PORT)).expect("a port");
    let into = receiver.create_port(PortOptions::new("in").caps(WRITE_PORT)).expect("a port");
    into.connect_from(&out).expect("connected");
    let queue = sender.create_queue("jitter").expect("a queue");
    queue.set_tempo(&QueueTempo::new(500_000, 96)).expect("the tempo");
    queue.start_now().expect("start");
    let (from, to) = (sender.connection().expect("open"), receiver.connection().expect("open"));
    let mut cells = Vec::new();
    for number in 1..=count {
        let time = RealTime::from_nanoseconds(u64::from(number) * 5_000_000 + 200_000_000);
        let event = note().from_port(out.port_id()).on_queue(&queue).at_time(time);
        if is_raw {
            cells.extend_from_slice(&event.to_raw().to_bytes());
        } else {
            sender.event_output(&event, ()).expect("output");
        }
    }
    write_raw(&*from, &cells, 1);
    sender.drain_output().expect("output");
    let mut buffer = vec![0; 28 * count as usize];
    let (start, mut arrivals) = (Instant::now(), Vec::new());
    while arrivals.len() < count as usize {
        let mut read = 1;
        if is_raw {
            wait_readable(&*to);
            read = to.read(&mut buffer).expect("input") / 28;
        } else {
            receiver.event_input(None).expect("input");
        }
        arrivals.extend(std::iter::repeat_n(start.elapsed().as_nanos() as f64, read));
    }
    arrivals
}
