//! OSC in → OSC out: compares programs with the bare forwarder of `floor`, in interleaved rounds.
//!
//! ```text
//! cargo bench -p consort-backends --bench osc_forward -- [--quick] [--only SHAPE]
//!     [--subject NAME=COMMAND …]
//! ```
//!
//! Without `--subject`, the subject is `consort run`, from the same target folder or from the path in
//! `CONSORT_BIN`; `MIDIMONSTER_BIN` adds a MIDIMonster, which reads the same configuration. In a
//! `--subject` command, `{input}` and `{output}` are replaced by the ports and `{config}` by the
//! path of the configuration. The command is split at spaces.

#![allow(clippy::print_stdout)] // a benchmark prints its figures

mod floor;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use consort_bench::{Budget, median, report};
use floor::{Latencies, Ports, Shape, Subject, Throughput, load};

/// How many times all subjects are measured.
const ROUNDS: usize = 5;
/// The number of messages in flight.
const IN_FLIGHT: u64 = 64;

/// The programs to measure, each with a name and the words of its command.
type Subjects = Vec<(String, Vec<String>)>;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (mut subjects, mut quick, mut only) = (Subjects::new(), false, None);
    while let Some(argument) = arguments.next() {
        let mut next = |what: &str| {
            arguments.next().ok_or_else(|| io::Error::other(format!("{argument} needs {what}")))
        };
        match argument.as_str() {
            "--forward" => {
                let port = |text: String| text.parse().map_err(io::Error::other);
                return floor::forward(port(next("two ports")?)?, port(next("two ports")?)?);
            }
            "--subject" => {
                let subject = next("NAME=COMMAND")?;
                let (name, command) = subject
                    .split_once('=')
                    .ok_or_else(|| io::Error::other("--subject needs NAME=COMMAND"))?;
                let words = command.split(' ').map(str::to_owned).collect();
                subjects.push((name.to_owned(), words));
            }
            "--only" => only = Some(next("the name of a shape")?),
            "--quick" => quick = true,
            "--bench" => {}
            other => return Err(io::Error::other(format!("unknown argument {other}"))),
        }
    }
    if subjects.is_empty() {
        subjects = default_subjects();
    }
    let forwarder = std::env::current_exe()?.to_string_lossy().into_owned();
    let words = [&forwarder, "--forward", "{input}", "{output}"].map(str::to_owned);
    subjects.insert(0, ("forwarder".to_owned(), words.to_vec()));

    // The load does not use the processor of the subjects.
    floor::messages::pin(0, false);
    let folder = Folder::new()?;
    for (name, shape) in [
        ("one path", Shape::Float),
        ("two arguments", Shape::TwoFloats),
        ("1,000 paths", Shape::Paths(1_000)),
        ("patterns", Shape::Patterns(1_000)),
        ("bundles of 20", Shape::Bundle(20)),
    ] {
        if only.as_ref().is_none_or(|only| only == name) {
            measure(name, shape, &subjects, quick, &folder.0)?;
        }
    }
    Ok(())
}

/// `consort run` and, if `MIDIMONSTER_BIN` is set, MIDIMonster.
fn default_subjects() -> Subjects {
    let mut subjects = Subjects::new();
    let sibling = std::env::current_exe().ok().and_then(|path| {
        // target/release/deps/osc_forward-… → target/release/consort
        Some(path.parent()?.parent()?.join("consort"))
    });
    let consort = std::env::var_os("CONSORT_BIN").map(PathBuf::from).or(sibling);
    match consort.filter(|path| path.is_file()) {
        Some(path) => {
            let words = [&path.to_string_lossy(), "run", "{config}"].map(str::to_owned);
            subjects.push(("consort".to_owned(), words.to_vec()));
        }
        None => println!(
            "SKIPPED: consort is not built; run `cargo build --release -p consort` or set CONSORT_BIN"
        ),
    }
    if let Ok(path) = std::env::var("MIDIMONSTER_BIN") {
        subjects.push(("midimonster".to_owned(), vec![path, "{config}".to_owned()]));
    }
    subjects
}

/// The configuration that forwards a shape, for both consort and MIDIMonster.
fn configuration(shape: Shape, ports: Ports) -> String {
    let Ports { input, output, source } = ports;
    let (paths, types, arguments): (Vec<String>, _, _) = match shape {
        Shape::Float => (vec!["/x".to_owned()], "f 0.0 1.0", 1),
        Shape::TwoFloats => (vec!["/x".to_owned()], "ff 0.0 1.0 0.0 1.0", 2),
        Shape::Paths(count) | Shape::Patterns(count) | Shape::Bundle(count) => {
            ((0..count).map(|path| format!("/path/{path}")).collect(), "f 0.0 1.0", 1)
        }
    };
    let mut text = format!("[osc in]\nbind = 127.0.0.1 {input}\n");
    let mut patterns = String::new();
    if let Shape::Patterns(_) = shape {
        let _ = writeln!(patterns, "/path/* = {types}");
    } else {
        for path in &paths {
            let _ = writeln!(patterns, "{path} = {types}");
        }
    }
    let _ = write!(text, "{patterns}\n[osc out]\nbind = 127.0.0.1 {source}\n");
    let _ = write!(text, "destination = 127.0.0.1 {output}\n{patterns}\n[map]\n");
    for path in &paths {
        for argument in 0..arguments {
            let _ = writeln!(text, "in.{path}:{argument} > out.{path}:{argument}");
        }
    }
    text
}

/// A folder for configurations that is removed when the program ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("consort-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Starts a subject with the configuration for a shape.
fn start(name: &str, words: &[String], shape: Shape, folder: &Path) -> io::Result<Subject> {
    Subject::start(name, shape, |ports| {
        let config = folder.join(format!("{name}.cfg"));
        std::fs::write(&config, configuration(shape, ports))?;
        let mut words = words.iter().map(|word| {
            word.replace("{input}", &ports.input.to_string())
                .replace("{output}", &ports.output.to_string())
                .replace("{config}", &config.to_string_lossy())
        });
        let program = words.next().ok_or_else(|| io::Error::other("an empty command"))?;
        let mut command = Command::new(program);
        command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command)
    })
}

/// The figures of one subject, one of each kind per round.
#[derive(Default)]
struct Figures {
    throughput: Vec<Throughput>,
    latencies: Vec<Latencies>,
}

impl Figures {
    fn cpu(&self) -> f64 {
        median(self.throughput.iter().map(Throughput::cpu))
    }

    fn percentile(&self, part: f64) -> f64 {
        median(self.latencies.iter().map(|round| round.percentile(part)))
    }

    fn lost(&self) -> u64 {
        self.throughput.iter().map(|round| round.lost).sum::<u64>()
            + self.latencies.iter().map(|round| round.lost).sum::<u64>()
    }
}

/// A figure of a subject.
type Figure = fn(&Figures) -> f64;

/// Measures all subjects with one shape. In every round, all subjects are started again and run in
/// turn for short slices, so that disturbances by other programs affect all of them.
fn measure(
    name: &str,
    shape: Shape,
    subjects: &Subjects,
    quick: bool,
    folder: &Path,
) -> io::Result<()> {
    let (slices, messages) = if quick { (4, 5_000) } else { (12, 20_000) };
    // The rate counts messages; a slice takes a quarter of a second.
    let rate = (1_000 / shape.messages()).max(1);
    let mut figures: Vec<Figures> = subjects.iter().map(|_| Figures::default()).collect();
    for _ in 0..ROUNDS {
        let mut running = Vec::new();
        for (name, words) in subjects {
            let mut subject = start(name, words, shape, folder)?;
            // Warm up.
            load::in_flight(&mut subject, shape, messages, IN_FLIGHT, &mut Throughput::default())?;
            running.push((subject, Throughput::default(), Latencies::default()));
        }
        for _ in 0..slices {
            for (subject, throughput, _) in &mut running {
                load::in_flight(subject, shape, messages, IN_FLIGHT, throughput)?;
            }
            running.reverse();
        }
        for _ in 0..slices {
            for (subject, _, latencies) in &mut running {
                load::at_rate(subject, shape, rate / 4, rate, latencies)?;
            }
            running.reverse();
        }
        // `slices` is even, so that the order is the original one again.
        for ((_, throughput, latencies), figures) in running.into_iter().zip(&mut figures) {
            figures.throughput.push(throughput);
            figures.latencies.push(latencies);
        }
    }

    println!(
        "\nOSC in → OSC out, {name}: median of {ROUNDS} rounds, in turns of a slice; {IN_FLIGHT} in \
         flight, {} messages a round; then 1000 messages/s, {} s a round",
        slices * messages,
        f64::from(slices as u32) / 4.0
    );
    println!(
        "{:<12} {:>9} {:>7} {:>11} | {:>8} {:>7} {:>8} {:>7} {:>9} {:>9} {:>9} {:>6}",
        "",
        "CPU µs",
        "ratio",
        "messages/s",
        "p50 µs",
        "ratio",
        "p99 µs",
        "ratio",
        "p99.9 µs",
        "max µs",
        "CPU µs",
        "lost"
    );
    let floor = &figures[0];
    let (floor_cpu, floor_p50, floor_p99) =
        (floor.cpu(), floor.percentile(0.5), floor.percentile(0.99));
    for ((name, _), figures) in subjects.iter().zip(&figures) {
        let (p50, p99) = (figures.percentile(0.5), figures.percentile(0.99));
        println!(
            "{name:<12} {:>9.2} {:>7.2} {:>11.0} | {:>8.1} {:>7.2} {:>8.1} {:>7.2} {:>9.1} {:>9.1} {:>9.2} {:>6}",
            figures.cpu(),
            figures.cpu() / floor_cpu,
            median(figures.throughput.iter().map(Throughput::rate)),
            p50,
            p50 / floor_p50,
            p99,
            p99 / floor_p99,
            figures.percentile(0.999),
            figures.percentile(1.0),
            median(figures.latencies.iter().map(Latencies::cpu)),
            figures.lost(),
        );
    }
    let find = |wanted: &str| {
        let index = subjects.iter().position(|(name, _)| name == wanted)?;
        Some(&figures[index])
    };
    let Some(consort) = find("consort") else { return Ok(()) };
    let midimonster = find("midimonster");
    let budgets: [(&str, Figure, f64); 3] = [
        ("CPU time per message", Figures::cpu, 1.2),
        ("p50 at 1,000/s", |figures| figures.percentile(0.5), 1.1),
        ("p99 at 1,000/s", |figures| figures.percentile(0.99), 1.15),
    ];
    for (what, figure, budget) in budgets {
        report(format!("OSC → OSC, {name}: {what}"), "µs")
            .floor(figure(floor))
            .peer("MIDIMonster", midimonster.map(figure))
            .ours(figure(consort))
            .budget(Budget::AtMostFloor(budget))
            .print();
    }
    report(format!("OSC → OSC, {name}: lost"), "messages")
        .ours(consort.lost() as f64)
        .budget(Budget::AtMost(0.0))
        .print();
    Ok(())
}
