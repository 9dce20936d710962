//! Values through Python handlers: messages per second with 1, 16 and 64 in flight, latency at
//! 1,000 per second, the effect of a sleeping handler and of a killed worker on other routes, and
//! the start of 16 instances.
//!
//! ```text
//! cargo bench -p consort-backends --bench python -- [--quick] [--only SECTION]
//! ```
//!
//! `CONSORT_TEST_PYTHON` sets the interpreter; `MIDIMONSTER_BIN` adds a MIDIMonster with the same
//! configuration and script. The floor is a bare Python loop that reads records from one pipe and
//! writes them to another, which is the cost of the interpreter and the kernel alone.

#![allow(clippy::print_stdout)] // A benchmark prints its results.

mod floor;

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use consort_backends::{osc, python};
use consort_router::config::{ChannelRef, Show, ShowInstance};
use consort_router::testing::TestShow;
use consort_router::{
    ChannelError, Context, Event, Instance, InstanceConfig, InstanceId, Options, Problems, Router,
    State, Usage,
};
use floor::{Latencies, Ports, Shape, Subject, Throughput, load, median};

const SCRIPT: &str = "\
import midimonster
import time
def go(value):
    midimonster.output('out', value)
def sleep(value):
    time.sleep(1)
";

/// MIDIMonster's results on the machine of the budgets: messages per second, and microseconds.
const PEER_RATE: f64 = 72_000.0;
const PEER_P50: f64 = 35.0;

fn interpreter() -> String {
    std::env::var("CONSORT_TEST_PYTHON").unwrap_or_else(|_| "python3".into())
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(index) = arguments.iter().position(|argument| argument == "--serve") {
        return serve(&arguments[index + 1..]);
    }
    if let [first, input, output] = &arguments[..]
        && first == "--forward"
    {
        let port = |text: &String| text.parse().map_err(io::Error::other);
        return floor::forward(port(input)?, port(output)?);
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let only_index = arguments.iter().position(|argument| argument == "--only");
    let only = only_index.map(|index| arguments[index + 1].clone());
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("script.py"), SCRIPT)?;
    let folder = folder.path().to_str().expect("a folder's name").to_owned();
    let sections: [(&str, &dyn Fn() -> io::Result<()>); 4] = [
        ("batching", &|| batching(&folder, quick)),
        ("osc", &|| through_osc(&folder, quick)),
        ("others", &|| others(&folder, quick)),
        ("start", &|| start_of_sixteen(&folder)),
    ];
    for (name, section) in sections {
        if only.as_ref().is_none_or(|only| only == name) {
            section()?;
        }
    }
    Ok(())
}

// ---- batching ----------------------------------------------------------------------------

/// Keeps a number of values on their way through a handler.
struct Driver {
    in_flight: u32,
    started: bool,
    returned: Arc<AtomicU64>,
}

impl Instance for Driver {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        Ok(u32::from(specification == "back"))
    }

    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        self.returned.fetch_add(events.len() as u64, Ordering::Relaxed);
        for event in events {
            context.emit(0, event.value);
        }
        if !self.started {
            self.started = true;
            for _ in events.len() as u32..self.in_flight {
                context.emit(0, 0.5);
            }
        }
    }
}

fn instance(folder: &str, name: &str) -> Box<dyn Instance> {
    let options = Options::from_pairs(
        python::DESCRIPTOR.instance_options,
        &[("module", "script"), ("python", &interpreter())],
    );
    let config = InstanceConfig { name: name.into(), options, directory: folder.into() };
    let mut backend = python::backend(Box::new(io::stdout()));
    backend.instance(config, &mut Problems::new()).expect("valid options")
}

/// Values per second through a handler, with `in_flight` of them on their way.
fn handler_rate(folder: &str, in_flight: u32, length: Duration) -> io::Result<f64> {
    let returned = Arc::new(AtomicU64::new(0));
    let (sender, receiver) = std::sync::mpsc::channel();
    let (count, folder) = (Arc::clone(&returned), folder.to_owned());
    let thread = std::thread::spawn(move || {
        let mut script = instance(&folder, "py");
        let go = script.channel("script.go", Usage::Target).expect("a channel");
        let out = script.channel("out", Usage::Source).expect("a channel");
        let entry = |name: &str, instance, channels: [&str; 2]| ShowInstance {
            name: name.into(),
            backend: "bench",
            instance,
            channels: channels.map(str::to_owned).to_vec(),
        };
        let driver = Box::new(Driver { in_flight, started: false, returned: count });
        let channel_ref =
            |instance, channel| ChannelRef { instance: InstanceId(instance), channel };
        let show = Show {
            backends: Vec::new(),
            instances: vec![
                entry("driver", driver, ["send", "back"]),
                entry("py", script, ["script.go", "out"]),
            ],
            mappings: vec![
                (channel_ref(0, 0), channel_ref(1, go)),
                (channel_ref(1, out), channel_ref(0, 1)),
            ],
        };
        let mut router = Router::new(show).expect("an event loop");
        let _ = sender.send(router.handle());
        router.run().expect("a run");
    });
    let handle = receiver.recv().map_err(io::Error::other)?;
    // When the first value returns, the driver sends the others.
    handle.inject(InstanceId(0), 0, 0.5);
    let counted = || returned.load(Ordering::Relaxed);
    while counted() < 1_000 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let (first, start) = (counted(), Instant::now());
    std::thread::sleep(length);
    let rate = (counted() - first) as f64 / start.elapsed().as_secs_f64();
    handle.stop();
    let _ = thread.join();
    Ok(rate)
}

/// Reads records and writes them back, handling each in Python as a handler would.
const FLOOR: &str = "
import os, struct
unpack, pack = struct.Struct('<Id').iter_unpack, struct.Struct('<Id').pack
buffer = bytearray(6144)
view = memoryview(buffer)
while True:
    size = os.readv(0, (view,))
    if not size: break
    out = bytearray()
    for number, value in unpack(view[:size]):
        out += pack(number, value)
    os.write(1, out)
";

/// Records per second through a bare loop.
fn floor_rate(in_flight: usize, length: Duration) -> io::Result<f64> {
    let mut child = Command::new(interpreter())
        .args(["-c", FLOOR])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut to = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut from = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut records = vec![0; in_flight * 12];
    let mut round = |count: &mut u64, until: &dyn Fn(u64) -> bool| -> io::Result<()> {
        // Complete records are sent again as soon as they return.
        to.write_all(&records)?;
        let mut pending = 0;
        while until(*count) {
            pending += from.read(&mut records[..])?;
            let whole = pending / 12;
            pending %= 12;
            *count += whole as u64;
            if until(*count) {
                to.write_all(&vec![0; whole * 12])?;
            } else {
                let mut rest = vec![0; (in_flight - whole) * 12 - pending];
                from.read_exact(&mut rest)?;
            }
        }
        Ok(())
    };
    let mut count = 0;
    round(&mut count, &|count| count < 1_000)?;
    let start = Instant::now();
    let mut count = 0;
    round(&mut count, &|_| start.elapsed() < length)?;
    let rate = count as f64 / start.elapsed().as_secs_f64();
    drop(to);
    child.wait()?;
    Ok(rate)
}

fn batching(folder: &str, quick: bool) -> io::Result<()> {
    let (rounds, length) = if quick { (3, 300) } else { (5, 1_000) };
    let length = Duration::from_millis(length);
    println!("\nPython handler, own driver: median of {rounds} rounds of {length:?}");
    for in_flight in [1, 16, 64] {
        let (mut ours, mut floors) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(handler_rate(folder, in_flight, length)?);
            floors.push(floor_rate(in_flight as usize, length)?);
        }
        let (rate, floor) = (median(ours), median(floors));
        println!(
            "  {in_flight:>2} in flight: {rate:>9.0} messages/s ({:.2} of a bare Python loop's \
             {floor:.0})",
            rate / floor
        );
    }
    Ok(())
}

// ---- OSC to a handler to OSC --------------------------------------------------------------

/// Runs the show that is measured: `/x` to a handler to `/x`, or with `beside` from OSC to OSC
/// while `/sleep` calls a handler that sleeps.
fn serve(arguments: &[String]) -> io::Result<()> {
    let [input, output, source, folder, beside] = arguments else {
        return Err(io::Error::other("--serve INPUT OUTPUT SOURCE FOLDER BESIDE"));
    };
    let python = interpreter();
    let local = |port: &str| format!("127.0.0.1 {port}");
    let mut show_config = TestShow::new();
    show_config.directory = folder.into();
    let value = ("/x", "f 0.0 1.0");
    show_config.instance(&osc::DESCRIPTOR, "in", &[("bind", &local(input)), value]);
    let (bind, destination) = (local(source), local(output));
    show_config.instance(
        &osc::DESCRIPTOR,
        "out",
        &[("bind", &bind), ("destination", &destination), value],
    );
    let options = [("module", "script"), ("python", python.as_str())];
    show_config.instance(&python::DESCRIPTOR, "py", &options);
    if beside == "beside" {
        show_config.map("in./x:0", "out./x:0");
        show_config.map("in./sleep:0", "py.script.sleep");
    } else {
        show_config.map("in./x:0", "py.script.go");
        show_config.map("py.out", "out./x:0");
    }
    let mut show = show_config.start();
    loop {
        show.router.step(None).map_err(io::Error::other)?;
    }
}

/// Starts the show as a process. With `alone`, it and its worker get the last processor, and the
/// load generator the others.
fn subject(name: &str, folder: &str, beside: bool, alone: bool) -> io::Result<Subject> {
    let program = std::env::current_exe()?;
    let beside = if beside { "beside" } else { "through" };
    Subject::start_on(name, Shape::Float, alone, |ports: Ports| {
        let Ports { input, output, source } = ports;
        let ports = [input, output, source].map(|port| port.to_string());
        let mut command = Command::new(program);
        command.arg("--serve").args(ports).args([folder, beside]);
        Ok(command)
    })
}

fn midimonster(folder: &str, alone: bool) -> io::Result<Option<Subject>> {
    let Ok(program) = std::env::var("MIDIMONSTER_BIN") else { return Ok(None) };
    let subject = Subject::start_on("midimonster", Shape::Float, alone, |ports: Ports| {
        let Ports { input, output, source } = ports;
        let text = format!(
            "[osc in]\nbind = 127.0.0.1 {input}\n/x = f 0.0 1.0\n\n[osc out]\nbind = 127.0.0.1 \
             {source}\ndestination = 127.0.0.1 {output}\n/x = f 0.0 1.0\n\n[python py]\nmodule = \
             script\n\n[map]\nin./x:0 > py.script.go\npy.out > out./x:0\n"
        );
        let path = std::path::Path::new(folder).join("midimonster.cfg");
        std::fs::write(&path, text)?;
        let mut command = Command::new(program);
        command.arg(path).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command)
    })?;
    Ok(Some(subject))
}

fn forwarder(alone: bool) -> io::Result<Subject> {
    let program = std::env::current_exe()?;
    Subject::start_on("forwarder", Shape::Float, alone, |ports: Ports| {
        let mut command = Command::new(program);
        command.arg("--forward").arg(ports.input.to_string()).arg(ports.output.to_string());
        Ok(command)
    })
}

/// The minimum for a process with Python in it: no router, no worker, one path.
const PYTHON_LOOP: &str = "
import socket, struct, sys
source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
source.bind(('127.0.0.1', int(sys.argv[1])))
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.connect(('127.0.0.1', int(sys.argv[2])))
values = []
def output(name, value):
    values.append(value)
def go(value):
    output('out', value)
while True:
    packet = source.recv(2048)
    if packet[:8] == b'/x\\0\\0,f\\0\\0':
        go(struct.unpack('>f', packet[8:12])[0])
    for value in values:
        sink.send(b'/x\\0\\0,f\\0\\0' + struct.pack('>f', value))
    values.clear()
";

fn python_loop(alone: bool) -> io::Result<Subject> {
    Subject::start_on("python loop", Shape::Float, alone, |ports: Ports| {
        let mut command = Command::new(interpreter());
        let ports = [ports.input, ports.output].map(|port| port.to_string());
        command.args(["-c", PYTHON_LOOP]).args(ports);
        Ok(command)
    })
}

fn through_osc(folder: &str, quick: bool) -> io::Result<()> {
    let (rounds, messages) = if quick { (3, 10_000) } else { (5, 60_000) };
    let names = ["forwarder", "python loop", "consort", "midimonster"];
    let start = |alone: bool| -> io::Result<Vec<Subject>> {
        let consort = subject("consort", folder, false, alone)?;
        let mut subjects = vec![forwarder(alone)?, python_loop(alone)?, consort];
        subjects.extend(midimonster(folder, alone)?);
        Ok(subjects)
    };
    // Throughput, with load and subject on all processors.
    let mut results: Vec<(Vec<[f64; 3]>, Vec<Latencies>)> = Vec::new();
    for _ in 0..rounds {
        let mut subjects = start(false)?;
        results.resize_with(subjects.len(), Default::default);
        for (subject, (rates, _)) in subjects.iter_mut().zip(&mut results) {
            let mut rate = |in_flight: u64, messages: u64| -> io::Result<f64> {
                let mut sum = Throughput::default();
                load::in_flight(subject, Shape::Float, messages, in_flight, &mut sum)?;
                Ok(sum.rate())
            };
            rate(64, messages / 4)?;
            rates.push([rate(1, messages / 8)?, rate(16, messages)?, rate(64, messages)?]);
        }
    }
    // Latency, with the subject and its worker on one processor and the load on the others, as in
    // the benchmark that forwards OSC without a script.
    let measured = std::thread::scope(|scope| {
        let latencies = || -> io::Result<()> {
            floor::messages::pin(0, false);
            for _ in 0..rounds {
                for (subject, (_, latencies)) in start(true)?.iter_mut().zip(&mut results) {
                    let (count, mut sum) = (if quick { 500 } else { 2_000 }, Latencies::default());
                    load::at_rate(subject, Shape::Float, count, 1_000, &mut sum)?;
                    latencies.push(sum);
                }
            }
            Ok(())
        };
        scope.spawn(latencies).join()
    });
    measured.map_err(|_| io::Error::other("the load panicked"))??;
    println!(
        "\nOSC → Python handler → OSC: median of {rounds} rounds; rates on all processors, latency with load and show apart; \
         budget: {:.0} messages/s with 64 in flight (1.3 × {PEER_RATE:.0}), p50 {:.1} µs at 1,000/s",
        PEER_RATE * 1.3,
        PEER_P50 * 1.5
    );
    println!(
        "{:<12} {:>12} {:>12} {:>12} | {:>8} {:>8} {:>8}",
        "messages/s", "1 in flight", "16", "64", "p50 µs", "p99 µs", "max µs"
    );
    for (name, (rates, latencies)) in names.iter().zip(&mut results) {
        let rate = |index: usize| median(rates.iter().map(|rates| rates[index]));
        let mut percentile =
            |part| median(latencies.iter_mut().map(|latency| latency.percentile(part)));
        println!(
            "{name:<12} {:>12.0} {:>12.0} {:>12.0} | {:>8.1} {:>8.1} {:>8.1}",
            rate(0),
            rate(1),
            rate(2),
            percentile(0.5),
            percentile(0.99),
            percentile(1.0)
        );
    }
    Ok(())
}

// ---- other routes -------------------------------------------------------------------------

/// The workers of a show: the children of its process.
fn workers(process: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent = |number: &u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
        stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()
    };
    numbers.filter(|number| parent(number) == Some(process)).collect()
}

fn others(folder: &str, quick: bool) -> io::Result<()> {
    let rounds = if quick { 3 } else { 5 };
    let seconds = if quick { 1 } else { 3 };
    let mut subject = subject("beside", folder, true, false)?;
    let slice = |subject: &mut Subject| -> io::Result<Latencies> {
        let mut sum = Latencies::default();
        load::at_rate(subject, Shape::Float, seconds * 1_000, 1_000, &mut sum)?;
        Ok(sum)
    };
    let mut all: [Vec<Latencies>; 3] = Default::default();
    slice(&mut subject)?;
    for _ in 0..rounds {
        all[0].push(slice(&mut subject)?);
        // Handlers that sleep during the whole next slice.
        let mut datagram = Vec::new();
        for _ in 0..seconds + 1 {
            consort_osc::MessageBuilder::new(&mut datagram, "/sleep")
                .float(0.5)
                .finish()
                .map_err(io::Error::other)?;
            subject.input().send(&datagram)?;
            datagram.clear();
        }
        all[1].push(slice(&mut subject)?);
        // A worker that is killed in the middle of the next slice.
        let process = subject.id();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(seconds * 300));
            let killed = workers(process);
            for worker in &killed {
                let _ = Command::new("kill").args(["-KILL", &worker.to_string()]).status();
            }
            let start = Instant::now();
            // Polling takes time itself, so it is not done too often.
            while !workers(process).iter().any(|worker| !killed.contains(worker)) {
                std::thread::sleep(Duration::from_millis(25));
            }
            start.elapsed()
        });
        all[2].push(slice(&mut subject)?);
        let restart = killer.join().map_err(|_| io::Error::other("the killer panicked"))?;
        println!("killed worker: another process after {restart:.1?}");
    }
    println!("\nOSC → OSC at 1,000/s beside a script: median of {rounds} rounds of {seconds} s");
    let mut reference = 0.0;
    for (name, latencies) in
        ["idle script", "sleeping handler", "killed worker"].iter().zip(&mut all)
    {
        let mut percentile =
            |part| median(latencies.iter_mut().map(|latency| latency.percentile(part)));
        let (p50, p99) = (percentile(0.5), percentile(0.99));
        if reference == 0.0 {
            reference = p99;
        }
        println!("  {name:<17} p50 {p50:>6.1} µs  p99 {p99:>6.1} µs  {:.2} ×", p99 / reference);
    }
    Ok(())
}

// ---- start --------------------------------------------------------------------------------

/// The resident and the proportional memory of a process, in kB.
fn memory(process: u32) -> io::Result<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
    };
    Ok((field("Rss:"), field("Pss:")))
}

fn start_of_sixteen(folder: &str) -> io::Result<()> {
    println!("\n16 instances, from the start of the router until all imports are finished");
    for round in 1..=3 {
        let mut show_config = TestShow::new();
        show_config.directory = folder.into();
        let python = interpreter();
        let names: Vec<String> = (0..16).map(|number| format!("py{number}")).collect();
        for name in &names {
            let options = [("module", "script"), ("python", python.as_str())];
            show_config.instance(&python::DESCRIPTOR, name, &options);
            show_config.map("probe.go", &format!("{name}.script.go"));
        }
        let start = Instant::now();
        let mut show = show_config.start();
        show.until("all are up", |show| names.iter().all(|name| show.state(name) == State::Up));
        let start_time = start.elapsed();
        let memories: Vec<(u64, u64)> = workers(std::process::id())
            .into_iter()
            .filter_map(|worker| memory(worker).ok())
            .collect();
        let most = memories.iter().map(|(resident, _)| *resident).max().unwrap_or(0);
        let share =
            memories.iter().map(|(_, share)| share).sum::<u64>() / memories.len().max(1) as u64;
        println!(
            "  round {round}: {start_time:>7.0?} (budget 1.5 s); {} processes, at most {:.1} MB resident \
             each (budget 20 MB), {:.1} MB proportionally",
            memories.len(),
            most as f64 / 1_000.0,
            share as f64 / 1_000.0
        );
        show.finish();
    }
    Ok(())
}
