//! Values through Python handlers: messages per second with 1, 16 and 64 in flight, what a handler
//! in Python or Lua adds at 1,000 per second, the effect of a sleeping handler and of a killed
//! worker on other routes, and the start of 16 instances.
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
use consort_bench::{
    Budget, Samples, child_processes, median, median_difference, report, time_of_process, wake_ups,
};
use consort_router::config::{ChannelRef, Show, ShowBackend, ShowInstance};
use consort_router::testing::TestShow;
use consort_router::{
    Backend, ChannelError, Context, Driver, Event, Instance, InstanceConfig, InstanceId, Options,
    Plan, Problems, Router, State, Usage,
};
use floor::{Latencies, Ports, Shape, Subject, Throughput, load};

const SCRIPT: &str = "\
import midimonster
import time
def go(value):
    midimonster.output('out', value)
def sleep(value):
    time.sleep(1)
";

/// The same handler in Lua.
#[cfg(feature = "lua")]
const LUA_SCRIPT: &str = "function go(value) output('out', value) end";

/// Messages per second of MIDIMonster on the machine of the budgets, with 64 in flight.
const PEER_RATE: f64 = 72_000.0;

fn interpreter() -> String {
    std::env::var("CONSORT_TEST_PYTHON").unwrap_or_else(|_| "python3".into())
}

fn main() -> io::Result<()> {
    #[cfg(feature = "lua")]
    consort_backends::worker::serve_if_worker();
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
    let sections: [(&str, &dyn Fn() -> io::Result<()>); 6] = [
        ("batching", &|| batching(&folder, quick)),
        ("osc", &|| through_osc(&folder, quick)),
        ("added", &|| added(&folder, quick)),
        ("others", &|| others(&folder, quick)),
        ("start", &|| start_of_sixteen(&folder)),
        ("start-lua", &start_of_lua),
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
struct Sender {
    in_flight: u32,
    started: bool,
    returned: Arc<AtomicU64>,
}

/// The backend of the sender, which is made in code.
struct Made;

impl Backend for Made {
    fn instance(&mut self, _: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        None
    }
}

impl Plan for Sender {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        Ok(u32::from(specification == "back"))
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        self
    }
}

impl Instance for Sender {
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

/// The options of an instance with the script.
fn script_config(folder: &str, name: &str) -> InstanceConfig {
    let options = Options::from_pairs(
        python::DESCRIPTOR.instance_options,
        &[("module", "script"), ("python", &interpreter())],
    );
    InstanceConfig { name: name.into(), options, directory: folder.into() }
}

/// Values per second through a handler, with `in_flight` of them on their way.
fn handler_rate(folder: &str, in_flight: u32, length: Duration) -> io::Result<f64> {
    let returned = Arc::new(AtomicU64::new(0));
    let (started, receiver) = std::sync::mpsc::channel();
    let (count, folder) = (Arc::clone(&returned), folder.to_owned());
    let thread = std::thread::spawn(move || {
        let mut backend = python::backend(Box::new(io::stdout()));
        backend.configure(&Options::default(), &mut Problems::new());
        let config = script_config(&folder, "py");
        let script = backend.instance(config, &mut Problems::new());
        let mut script = script.expect("valid options");
        let go = script.channel("script.go", Usage::Target).expect("a channel");
        let out = script.channel("out", Usage::Source).expect("a channel");
        let entry = |name: &str, driver, plan, channels: [&str; 2]| ShowInstance {
            name: name.into(),
            backend: "bench",
            driver,
            plan,
            options: Options::default(),
            families: &[],
            channels: channels.map(str::to_owned).to_vec(),
        };
        let sender = Box::new(Sender { in_flight, started: false, returned: count });
        let channel_ref =
            |instance, channel| ChannelRef { instance: InstanceId::new(instance), channel };
        let mut show = Show::default();
        let backends: [(_, Box<dyn Backend>); 2] = [("made", Box::new(Made)), ("python", backend)];
        for (name, backend) in backends {
            show.backends.push(ShowBackend { name, backend, options: Options::default() });
        }
        show.instances.push(entry("sender", 0, sender, ["send", "back"]));
        show.instances.push(entry("py", 1, script, ["script.go", "out"]));
        show.mappings.push((channel_ref(0, 0), channel_ref(1, go)));
        show.mappings.push((channel_ref(1, out), channel_ref(0, 1)));
        let mut router = Router::new(show).expect("an event loop");
        let _ = started.send(router.handle());
        router.run().expect("a run");
    });
    let handle = receiver.recv().map_err(io::Error::other)?;
    // When the first value returns, the sender emits the others.
    handle.inject(InstanceId::new(0), 0, 0.5);
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
    println!("\nPython handler, own sender: median of {rounds} rounds of {length:?}");
    for in_flight in [1, 16, 64] {
        let (mut ours, mut floors) = (Samples::default(), Samples::default());
        for _ in 0..rounds {
            ours.push(handler_rate(folder, in_flight, length)?);
            floors.push(floor_rate(in_flight as usize, length)?);
        }
        report(format!("Python handler, {in_flight} in flight"), "values/s")
            .floor(floors.median())
            .ours(ours.median())
            .higher_is_better()
            .note("floor: a bare Python loop over pipes")
            .print();
    }
    Ok(())
}

// ---- OSC to a handler to OSC --------------------------------------------------------------

/// Runs the show that is measured: `/x` to a handler to `/x`, in Python (`through`) or in Lua
/// (`lua`); or from OSC to OSC, alone (`plain`) or while `/sleep` calls a handler that sleeps
/// (`beside`).
fn serve(arguments: &[String]) -> io::Result<()> {
    let [input, output, source, folder, path] = arguments else {
        return Err(io::Error::other("--serve INPUT OUTPUT SOURCE FOLDER PATH"));
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
    let mut add_script = || {
        let options = [("module", "script"), ("python", python.as_str())];
        show_config.instance(&python::DESCRIPTOR, "py", &options);
    };
    match path.as_str() {
        "through" => {
            add_script();
            show_config.map("in./x:0", "py.script.go");
            show_config.map("py.out", "out./x:0");
        }
        #[cfg(feature = "lua")]
        "lua" => {
            show_config.instance(
                &consort_backends::lua::DESCRIPTOR,
                "lua",
                &[("code", LUA_SCRIPT)],
            );
            show_config.map("in./x:0", "lua.go");
            show_config.map("lua.out", "out./x:0");
        }
        "plain" => show_config.map("in./x:0", "out./x:0"),
        "beside" => {
            add_script();
            show_config.map("in./x:0", "out./x:0");
            show_config.map("in./sleep:0", "py.script.sleep");
        }
        other => return Err(io::Error::other(format!("unknown path {other}"))),
    }
    let mut show = show_config.start();
    loop {
        show.router.step(None).map_err(io::Error::other)?;
    }
}

/// Starts the show as a process; see [`serve`] for the path. With `alone`, it and its worker get the last processor, and the
/// load generator the others.
fn subject(name: &str, folder: &str, path: &str, alone: bool) -> io::Result<Subject> {
    let program = std::env::current_exe()?;
    Subject::start_on(name, Shape::Float, alone, |ports: Ports| {
        let Ports { input, output, source } = ports;
        let ports = [input, output, source].map(|port| port.to_string());
        let mut command = Command::new(program);
        command.arg("--serve").args(ports).args([folder, path]);
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
        let consort = subject("consort", folder, "through", alone)?;
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
        "\nOSC → Python handler → OSC: median of {rounds} rounds; rates on all processors, latency \
         with load and show apart"
    );
    println!(
        "{:<12} {:>12} {:>12} {:>12} | {:>8} {:>8} {:>8}",
        "messages/s", "1 in flight", "16", "64", "p50 µs", "p99 µs", "max µs"
    );
    let rate = |rates: &[[f64; 3]], index: usize| median(rates.iter().map(|rates| rates[index]));
    let percentile = |latencies: &[Latencies], share| {
        median(latencies.iter().map(|latencies| latencies.percentile(share)))
    };
    for (name, (rates, latencies)) in names.iter().zip(&results) {
        println!(
            "{name:<12} {:>12.0} {:>12.0} {:>12.0} | {:>8.1} {:>8.1} {:>8.1}",
            rate(rates, 0),
            rate(rates, 1),
            rate(rates, 2),
            percentile(latencies, 0.5),
            percentile(latencies, 0.99),
            percentile(latencies, 1.0)
        );
    }
    let [floor, ours] = [&results[1], &results[2]];
    let midimonster = results.get(3);
    for (index, in_flight) in [1, 16, 64].into_iter().enumerate() {
        let mut line = report(format!("OSC → Python → OSC, {in_flight} in flight"), "messages/s")
            .floor(rate(&floor.0, index))
            .peer("MIDIMonster", midimonster.map(|(rates, _)| rate(rates, index)))
            .ours(rate(&ours.0, index))
            .higher_is_better();
        if in_flight == 64 {
            line = line.budget(Budget::AtLeast(PEER_RATE * 1.3));
        }
        line.print();
    }
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        report(format!("OSC → Python → OSC at 1,000/s: {name}"), "µs")
            .floor(percentile(&floor.1, share))
            .peer("MIDIMonster", midimonster.map(|(_, latencies)| percentile(latencies, share)))
            .ours(percentile(&ours.1, share))
            .print();
    }
    Ok(())
}

/// What a handler adds to a route from OSC to OSC at 1,000 messages per second, in latency and in
/// processor time, and what an idle script costs.
fn added(folder: &str, quick: bool) -> io::Result<()> {
    let (pairs, messages) = if quick { (5, 250) } else { (20, 1_000) };
    println!("\nadded to OSC → OSC at 1,000/s: {pairs} interleaved rounds of {messages} messages");
    let measured = std::thread::scope(|scope| {
        let measure = || -> io::Result<()> {
            // The load does not use the processor of the subjects.
            floor::messages::pin(0, false);
            let mut plain = subject("plain", folder, "plain", true)?;
            measure_added(
                "Python",
                &mut plain,
                subject("python", folder, "through", true)?,
                pairs,
                messages,
            )?;
            #[cfg(feature = "lua")]
            measure_added(
                "Lua",
                &mut plain,
                subject("lua", folder, "lua", true)?,
                pairs,
                messages,
            )?;
            Ok(())
        };
        scope.spawn(measure).join()
    });
    measured.map_err(|_| io::Error::other("the load panicked"))?
}

/// The processor time of a show and its workers so far, in microseconds.
fn family_time(subject: &Subject) -> io::Result<f64> {
    let mut time = time_of_process(subject.id())?;
    for worker in child_processes(subject.id()) {
        time += time_of_process(worker)?;
    }
    Ok(time.as_secs_f64() * 1e6)
}

/// Compares a show whose route leads through a script with one whose route does not.
fn measure_added(
    language: &str,
    plain: &mut Subject,
    mut script: Subject,
    pairs: usize,
    messages: u64,
) -> io::Result<()> {
    // p50, p99 and the processor time per message of each round.
    let slice = |subject: &mut Subject, figures: &mut [Samples; 3]| -> io::Result<()> {
        let (time, mut latencies) = (family_time(subject)?, Latencies::default());
        load::at_rate(subject, Shape::Float, messages, 1_000, &mut latencies)?;
        let used = (family_time(subject)? - time) / messages as f64;
        let [p50, p99] = [0.5, 0.99].map(|share| latencies.percentile(share));
        for (samples, figure) in figures.iter_mut().zip([p50, p99, used]) {
            samples.push(figure);
        }
        Ok(())
    };
    let mut warm_up = Default::default();
    slice(plain, &mut warm_up)?;
    slice(&mut script, &mut warm_up)?;
    let (mut without, mut with) = (Default::default(), Default::default());
    for pair in 0..pairs {
        // The order alternates.
        if pair % 2 == 0 {
            slice(plain, &mut without)?;
        }
        slice(&mut script, &mut with)?;
        if pair % 2 == 1 {
            slice(plain, &mut without)?;
        }
    }
    let range = |index: usize| {
        let [without, with]: [&Samples; 2] = [&without[index], &with[index]];
        format!("{:.1} and {:.1}", without.median(), with.median())
    };
    for (index, name, budget) in [(0, "p50", 15.0), (1, "p99", 40.0)] {
        report(format!("OSC → {language} → OSC at 1,000/s: added to OSC → OSC, {name}"), "µs")
            .ours_between(median_difference(&with[index], &without[index]))
            .budget(Budget::AtMost(budget))
            .note(range(index))
            .print();
    }
    report(format!("OSC → {language} → OSC at 1,000/s: CPU time per message"), "µs")
        .floor(without[2].median())
        .ours(with[2].median())
        .note("router and worker; floor: OSC → OSC")
        .print();
    let count = || -> io::Result<u64> {
        let workers = child_processes(script.id()).into_iter().map(wake_ups);
        Ok(wake_ups(script.id())? + workers.sum::<io::Result<u64>>()?)
    };
    let (before, length) = (count()?, Duration::from_secs(10));
    std::thread::sleep(length);
    report(format!("idle show with {language}: wake-ups"), "1/s")
        .ours((count()? - before) as f64 / length.as_secs_f64())
        .budget(Budget::AtMost(1.0))
        .print();
    Ok(())
}

// ---- other routes -------------------------------------------------------------------------

fn others(folder: &str, quick: bool) -> io::Result<()> {
    let rounds = if quick { 3 } else { 5 };
    let seconds = if quick { 1 } else { 3 };
    let mut subject = subject("beside", folder, "beside", false)?;
    let slice = |subject: &mut Subject| -> io::Result<Latencies> {
        let mut sum = Latencies::default();
        load::at_rate(subject, Shape::Float, seconds * 1_000, 1_000, &mut sum)?;
        Ok(sum)
    };
    let mut all: [Vec<Latencies>; 3] = Default::default();
    let mut restarts = Samples::default();
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
            let killed = child_processes(process);
            for worker in &killed {
                let _ = Command::new("kill").args(["-KILL", &worker.to_string()]).status();
            }
            let start = Instant::now();
            // Polling takes time itself, so it is not done too often.
            while !child_processes(process).iter().any(|worker| !killed.contains(worker)) {
                std::thread::sleep(Duration::from_millis(25));
            }
            start.elapsed()
        });
        all[2].push(slice(&mut subject)?);
        let restart = killer.join().map_err(|_| io::Error::other("the killer panicked"))?;
        restarts.push(restart.as_secs_f64() * 1e3);
    }
    println!("\nOSC → OSC at 1,000/s beside a script: median of {rounds} rounds of {seconds} s");
    let [idle, others @ ..] = &all;
    let percentile = |latencies: &[Latencies], share| {
        median(latencies.iter().map(|latencies| latencies.percentile(share)))
    };
    for (name, latencies) in ["a sleeping handler", "a killed worker"].iter().zip(others) {
        report(format!("OSC → OSC beside {name}: p50"), "µs")
            .floor(percentile(idle, 0.5))
            .ours(percentile(latencies, 0.5))
            .print();
        report(format!("OSC → OSC beside {name}: p99"), "µs")
            .floor(percentile(idle, 0.99))
            .ours(percentile(latencies, 0.99))
            .budget(Budget::AtMostFloor(1.1))
            .note("floor: an idle script")
            .print();
    }
    report("killed worker: time until another process runs", "ms")
        .ours(restarts.median())
        .budget(Budget::AtMost(1_000.0))
        .print();
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
    let (mut times, mut memory_of_each) = (Samples::default(), Samples::default());
    for _ in 0..3 {
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
        times.push(start_time.as_secs_f64() * 1e3);
        let memories: Vec<(u64, u64)> = child_processes(std::process::id())
            .into_iter()
            .filter_map(|worker| memory(worker).ok())
            .collect();
        let most = memories.iter().map(|(resident, _)| *resident).max().unwrap_or(0);
        let share =
            memories.iter().map(|(_, share)| share).sum::<u64>() / memories.len().max(1) as u64;
        memory_of_each.push(most as f64 / 1e3);
        println!(
            "  {} processes, {:.1} MB proportionally each",
            memories.len(),
            share as f64 / 1e3
        );
        show.finish();
    }
    report("16 Python instances: all imported", "ms")
        .ours(times.median())
        .budget(Budget::AtMost(1_500.0))
        .print();
    report("16 Python instances: resident memory of the largest", "MB")
        .ours(memory_of_each.max())
        .budget(Budget::AtMost(20.0))
        .print();
    Ok(())
}

#[cfg(not(feature = "lua"))]
fn start_of_lua() -> io::Result<()> {
    Ok(())
}

/// 64 Lua instances, whose worker is this program.
#[cfg(feature = "lua")]
fn start_of_lua() -> io::Result<()> {
    println!("\n64 Lua instances, from the start of the router until all scripts are loaded");
    let (mut times, mut memory_of_each) = (Samples::default(), Samples::default());
    for _ in 0..3 {
        let mut show_config = TestShow::new();
        let names: Vec<String> = (0..64).map(|number| format!("lua{number}")).collect();
        for name in &names {
            let options = [("code", LUA_SCRIPT)];
            show_config.instance(&consort_backends::lua::DESCRIPTOR, name, &options);
            show_config.map("probe.go", &format!("{name}.go"));
        }
        let start = Instant::now();
        let mut show = show_config.start();
        show.until("all are up", |show| names.iter().all(|name| show.state(name) == State::Up));
        times.push(start.elapsed().as_secs_f64() * 1e3);
        let workers = child_processes(std::process::id());
        let shares = workers.into_iter().filter_map(|worker| memory(worker).ok());
        memory_of_each.push(shares.map(|(_, share)| share).max().unwrap_or(0) as f64 / 1e3);
        show.finish();
    }
    report("64 Lua instances: all loaded", "ms")
        .ours(times.median())
        .budget(Budget::AtMost(500.0))
        .print();
    report("64 Lua instances: proportional memory of the largest", "MB")
        .ours(memory_of_each.max())
        .budget(Budget::AtMost(4.0))
        .print();
    Ok(())
}
