//! Benchmark of the client library, compared with a baseline (the same system calls without any
//! library) and with peers: the `alsa` crate (feature `peer-alsa`, which needs libasound's headers)
//! and python-alsa-midi (installed for the Python in `CONSORT_VENV`). The rounds of all subjects are
//! interleaved.
//!
//! Arguments select sections: `output`, `input`, `list`, `round-trips`, `jitter`, `idle`.
//! `CONSORT_SEQ=kernel` measures the kernel's sequencer (in the virtual machine, see
//! `tests/bench/20-sequencer.sh`), any other value the embedded one.
#![allow(clippy::print_stdout)] // a benchmark prints its figures

use std::hint::black_box;
use std::time::Duration;

use consort_bench::{CountingAllocator, allocations, process_time, report};
use consort_seq::client::{READ_PORT, WRITE_PORT};
use consort_seq::engine::{ClockKind, Connection, Embedded, Request};
use consort_seq::{Engine, Event, ListPorts, OpenMode, Port, PortOptions, SequencerClient, raw};

#[cfg(not(feature = "peer-alsa"))]
#[path = "alsa_absent.rs"]
mod alsa_crate;
#[cfg(feature = "peer-alsa")]
mod alsa_crate;
mod latency;
mod peers;
mod table;

use peers::Peers;
use table::{Budgets, Line, ROUNDS, time};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn engine() -> Engine {
    match std::env::var("CONSORT_SEQ").as_deref() {
        Ok("kernel") => Engine::kernel(),
        _ => Engine::Embedded(Embedded::new(ClockKind::Real)),
    }
}

fn client(engine: &Engine, name: &str) -> SequencerClient {
    SequencerClient::builder(name).engine(engine.clone()).open().expect("a sequencer")
}

fn note() -> Event {
    Event::note_on(0, 60, 100).expect("a note")
}

/// The baseline of output: writes cells that are prepared already.
fn write_raw(connection: &dyn Connection, cells: &[u8], times: usize) {
    for _ in 0..times {
        let mut rest = cells;
        while !rest.is_empty() {
            rest = &rest[connection.write(rest).expect("room, since there is no subscriber")..];
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
            let mut allocated = 0;
            for _ in 0..ROUNDS {
                line.subjects[0]
                    .push(time(count, || write_raw(&*connection, &cells, count / every)));
                line.subjects[1].push(time(count, || {
                    let before = allocations();
                    for _ in 0..count / every {
                        for _ in 0..every {
                            if reused {
                                client.event_output(&event, ()).expect("output");
                            } else {
                                client.event_output(black_box(&note()), &port).expect("output");
                            }
                        }
                        client.drain_output().expect("output");
                    }
                    allocated += allocations() - before;
                }));
                if let Some(alsa) = &peers.alsa {
                    line.subjects[2].push(time(count, || alsa.output(count, every, reused)));
                }
                line.subjects[3].extend(peers.python(&what).into_iter().flatten());
            }
            let budgets = if every == 1 { Budgets::Single } else { Budgets::None };
            line.print(engine, &what, budgets);
            println!("    allocations per event: {}", allocated as f64 / (ROUNDS * count) as f64);
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
        // The peers have no batch calls, so they output one event at a time.
        if let Some(alsa) = &peers.alsa {
            line.subjects[2].push(time(count, || alsa.output(count, 500, true)));
        }
        let what = "output reused, drain every 500";
        line.subjects[3].extend(peers.python(what).into_iter().flatten());
    }
    line.print(engine, "output in batches of 500", Budgets::Batch);

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
        if let Some(alsa) = &peers.alsa {
            line.subjects[2].push(time(2000, || alsa.sysex(2000, &data)));
        }
        line.subjects[3].extend(peers.python("SysEx 1 KiB").into_iter().flatten());
    }
    line.print(engine, "SysEx 1 KiB, drain every 1", Budgets::None);
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
    let mut allocated = 0;
    for _ in 0..ROUNDS {
        fill();
        let baseline = time(count, || {
            let mut bytes = 0;
            while bytes < count * 28 {
                bytes += connection.read(&mut buffer).expect("events");
            }
        });
        one.subjects[0].push(baseline);
        batch.subjects[0].push(baseline);
        fill();
        one.subjects[1].push(time(count, || {
            let before = allocations();
            for _ in 0..count {
                black_box(&receiver.event_input(None).expect("input"));
            }
            allocated += allocations() - before;
        }));
        fill();
        events.clear();
        batch.subjects[1].push(time(count, || {
            let before = allocations();
            assert_eq!(receiver.event_input_batch(&mut events, count).expect("input"), count);
            allocated += allocations() - before;
        }));
        if let Some(alsa) = &peers.alsa {
            alsa.fill(count);
            one.subjects[2].push(time(count, || alsa.input(count)));
        }
        one.subjects[3].extend(peers.python("input").into_iter().flatten());
    }
    // The peers have no batch calls, so they read one event at a time.
    for peer in [2, 3] {
        batch.subjects[peer] = one.subjects[peer].clone();
    }
    one.print(engine, "input, event by event", Budgets::Single);
    batch.print(engine, "input, in batches", Budgets::Batch);
    println!("    allocations per event: {}", allocated as f64 / (ROUNDS * 2 * count) as f64);
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
        if let Some(alsa) = &peers.alsa {
            line.subjects[2].push(time(repeat, || {
                (0..repeat).for_each(|_| assert!(alsa.list_ports() >= ports.len()));
            }));
        }
        line.subjects[3].extend(peers.python("list_ports").into_iter().flatten());
    }
    line.print(engine, "list_ports, 60 ports", Budgets::None);
}

fn idle(engine: &Engine, _peers: &mut Peers) {
    let client = client(engine, "idle");
    let before = process_time();
    let event = client.event_input(Some(Duration::from_secs(1))).expect("input");
    assert!(event.is_none());
    let used = (process_time() - before).as_secs_f64() * 1e6;
    let engine_name = table::engine_name(engine);
    report(format!("sequencer, {engine_name}: processor time of event_input(1 s), idle"), "µs")
        .ours(used)
        .print();
}

/// A section of the benchmark.
type Section = fn(&Engine, &mut Peers);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "--echo", address] => return latency::echo(false, address),
        [_, "--echo-raw", address] => return latency::echo(true, address),
        [_, "--echo-alsa", address] => return alsa_crate::echo(address),
        _ => {}
    }
    let engine = engine();
    let connection = engine.open(OpenMode::Duplex).expect("a sequencer");
    println!("sequencer: {} {}", connection.engine_name(), connection.protocol_version());
    drop(connection);
    println!("median (range) of {ROUNDS} interleaved rounds");
    let mut peers = Peers::find(&engine);
    let is_selected = |section: &str| {
        let mut named = arguments[1..].iter().filter(|argument| !argument.starts_with('-'));
        named.clone().next().is_none() || named.any(|argument| argument == section)
    };
    let sections: [(&str, Section); 6] = [
        ("output", output),
        ("input", input),
        ("list", list_ports),
        ("round-trips", latency::round_trips),
        ("jitter", latency::jitter),
        ("idle", idle),
    ];
    for (name, section) in sections {
        if is_selected(name) {
            section(&engine, &mut peers);
        }
    }
}
