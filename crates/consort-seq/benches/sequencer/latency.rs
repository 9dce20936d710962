//! Round trips between two processes, and the times of scheduled events.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use consort_seq::client::{READ_PORT, WRITE_PORT};
use consort_seq::engine::Connection;
use consort_seq::{Engine, PortOptions, QueueTempo, RealTime};

use super::peers::Peers;
use super::table::Line;
use super::{client, engine, note, write_raw};

/// Nanoseconds of each of `count` round trips to a process that echoes.
fn trips(echo: &str, count: usize, engine: &Engine) -> Vec<f64> {
    let client = client(engine, "round trip");
    let port = client.create_port("round trip").expect("a port");
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program)
        .args([echo, &port.address().to_string()])
        .stdout(Stdio::null())
        .spawn()
        .expect("the echo");
    let end = Instant::now() + Duration::from_secs(10);
    while port.list_subscribers(None).expect("a list").len() < 2 {
        assert!(Instant::now() < end, "the echo does not connect");
        std::thread::sleep(Duration::from_millis(2));
    }
    client.drop_input().expect("dropped");
    let raw_side = echo == "--echo-raw";
    let connection = client.connection().expect("open");
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
    times
}

fn wait_readable(connection: &dyn Connection) {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut polled = [PollFd::from_borrowed_fd(connection.descriptor(), PollFlags::IN)];
    poll(&mut polled, None).expect("poll");
}

/// The other end of the round trips, in a process of its own.
pub(super) fn echo(raw_side: bool, address: &str) {
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

pub(super) fn round_trips(engine: &Engine, peers: &mut Peers) {
    if !matches!(engine, Engine::Kernel { .. }) {
        println!("round trip between two processes: on the kernel only");
        return;
    }
    let (mut p50, mut p99) = (Line::default(), Line::default());
    for _ in 0..5 {
        let mut add = |subject: usize, (middle, late): (f64, f64)| {
            p50.subjects[subject].push(middle);
            p99.subjects[subject].push(late);
        };
        for (subject, echo) in ["--echo-raw", "--echo"].into_iter().enumerate() {
            add(subject, percentiles(trips(echo, 1000, engine)));
        }
        if let Some(alsa) = &peers.alsa {
            add(2, percentiles(alsa.round_trips(1000)));
        }
        if let Some(times) = peers.python("round trip") {
            add(3, percentiles(times));
        }
    }
    p50.print("round trip, two processes, p50");
    p99.print("round trip, two processes, p99");
}

/// The middle and the 99th of a hundred.
fn percentiles(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// Events that are due every 5 ms: how far their arrivals are off an even spacing, by the
/// receiver's clock. What all of them are late by is no jitter.
pub(super) fn jitter(engine: &Engine, peers: &mut Peers) {
    let count = 200;
    let (mut p50, mut p99) = (Line::default(), Line::default());
    for _ in 0..3 {
        let mut add = |subject: usize, (middle, late): (f64, f64)| {
            p50.subjects[subject].push(middle);
            p99.subjects[subject].push(late);
        };
        add(0, percentiles(off(&scheduled(engine, count, true))));
        add(1, percentiles(off(&scheduled(engine, count, false))));
        if let Some(alsa) = &peers.alsa {
            add(2, percentiles(off(&alsa.scheduled(count))));
        }
        if let Some(times) = peers.python("jitter") {
            add(3, percentiles(off(&times)));
        }
    }
    p50.print("scheduled every 5 ms, off by, p50");
    p99.print("scheduled every 5 ms, off by, p99");
}

/// How far arrivals, in nanoseconds, are off the grid of 5 ms that lies in the middle of them.
fn off(arrivals: &[f64]) -> Vec<f64> {
    let late: Vec<f64> =
        arrivals.iter().enumerate().map(|(index, at)| at - 5e6 * index as f64).collect();
    let (usual, _) = percentiles(late.clone());
    late.iter().map(|late| (late - usual).abs()).collect()
}

/// When each of `count` events arrives, in nanoseconds. The floor writes and reads cells by hand.
fn scheduled(engine: &Engine, count: u32, raw_side: bool) -> Vec<f64> {
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
        let at = RealTime::from_nanoseconds(u64::from(number) * 5_000_000 + 200_000_000);
        let event = note().from_port(out.port_id()).on_queue(&queue).at_time(at);
        if raw_side {
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
        if raw_side {
            wait_readable(&*to);
            read = to.read(&mut buffer).expect("input") / 28;
        } else {
            receiver.event_input(None).expect("input");
        }
        arrivals.extend(std::iter::repeat_n(start.elapsed().as_nanos() as f64, read));
    }
    arrivals
}
