//! `consort sc boot`, `status`, `tree`, `dump` and `quit`: control of SuperCollider servers from
//! the command line.

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use consort_sc::{
    Capture, Event, EventFilter, LifecycleEvent, Options, Protocol, Server, StatusInfo, Timeouts,
};

use crate::text::counted;

/// SuperCollider servers: start, inspect and stop them.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum ScCommand {
    /// Start a server and keep it running until Ctrl-C
    Boot(BootArguments),
    /// Print the status of a server
    Status(WatchArguments),
    /// Print the node tree with controls
    Tree(TreeArguments),
    /// Print the messages exchanged with a server
    Dump(DumpArguments),
    /// Quit a server, whether or not Consort started it
    Quit(Address),
}

/// The address of a server.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Address {
    /// IP address of the server
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,
    /// Port of the server
    #[arg(long, short, value_name = "PORT", default_value_t = 57_110)]
    port: u16,
    /// Use TCP instead of UDP
    #[arg(long)]
    tcp: bool,
    /// Password of a TCP server
    #[arg(long, value_name = "PASSWORD", requires = "tcp")]
    password: Option<String>,
    /// Seconds to wait for a reply
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    timeout: f64,
}

/// Options of a server that is started.
#[derive(clap::Args, Debug)]
pub(crate) struct BootArguments {
    #[command(flatten)]
    address: Address,
    /// Server program, a name or a path [default: CONSORT_SCSYNTH, then scsynth]
    #[arg(long, value_name = "PROGRAM")]
    program: Option<PathBuf>,
    /// Maximum number of clients
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    logins: u32,
    /// Number of hardware inputs
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    inputs: u32,
    /// Number of hardware outputs
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    outputs: u32,
    /// Sample rate in hertz [default: the sound card's]
    #[arg(long, value_name = "HERTZ")]
    sample_rate: Option<u32>,
    /// Realtime memory in kilobytes
    #[arg(long, value_name = "KB", default_value_t = 8192)]
    memory: u32,
    /// Name of the sound device
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
}

/// A query that is made once or repeatedly.
#[derive(clap::Args, Debug)]
pub(crate) struct WatchArguments {
    #[command(flatten)]
    address: Address,
    /// Repeat at this interval until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1")]
    watch: Option<f64>,
}

/// The part of the node tree to print.
#[derive(clap::Args, Debug)]
pub(crate) struct TreeArguments {
    #[command(flatten)]
    watch: WatchArguments,
    /// Group to start from; 0 is the root
    #[arg(long, value_name = "ID", default_value_t = 0)]
    group: i32,
    /// Omit the controls
    #[arg(long)]
    no_controls: bool,
}

/// The messages to print.
#[derive(clap::Args, Debug)]
pub(crate) struct DumpArguments {
    #[command(flatten)]
    address: Address,
    /// Stop after this many seconds instead of at Ctrl-C
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Include health checks
    #[arg(long)]
    all: bool,
}

/// Runs a command until it is done or `stop` is set (by Ctrl-C); prints to `out`.
pub(crate) fn run(
    command: &ScCommand,
    stop: &Arc<AtomicBool>,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    match command {
        ScCommand::Boot(arguments) => boot(arguments, stop, out),
        ScCommand::Status(arguments) => status(arguments, stop, out),
        ScCommand::Tree(arguments) => tree(arguments, stop, out),
        ScCommand::Dump(arguments) => dump(arguments, stop, out),
        ScCommand::Quit(address) => {
            let server = connect(address)?;
            server.force_quit().context("cannot quit the server")?;
            writeln!(out, "quit the server at {}:{}", address.host, address.port)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn options(address: &Address) -> Options {
    Options {
        ip_address: address.host,
        port: address.port,
        protocol: if address.tcp { Protocol::Tcp } else { Protocol::Udp },
        password: address.password.clone(),
        ..Options::default()
    }
}

fn timeouts(address: &Address) -> anyhow::Result<Timeouts> {
    let timeout = Duration::try_from_secs_f64(address.timeout).context("--timeout")?;
    Ok(Timeouts { connect: timeout, request: timeout, ..Timeouts::default() })
}

fn connect(address: &Address) -> anyhow::Result<Server> {
    let server = Server::with_timeouts(options(address), None, timeouts(address)?)?;
    server.connect()?;
    Ok(server)
}

fn boot(
    arguments: &BootArguments,
    stop: &Arc<AtomicBool>,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let options = Options {
        executable: arguments.program.clone(),
        maximum_logins: arguments.logins,
        input_bus_channel_count: arguments.inputs,
        output_bus_channel_count: arguments.outputs,
        sample_rate: arguments.sample_rate,
        memory_size: arguments.memory,
        output_device: arguments.device.clone(),
        ..options(&arguments.address)
    };
    let server = Server::with_timeouts(options, None, timeouts(&arguments.address)?)?;
    let events = server.events(EventFilter { process_output: true, ..EventFilter::default() });
    server.boot()?;
    let version = server.query_version()?;
    writeln!(
        out,
        "{version} at {}:{}, process {}; press Ctrl-C to quit",
        arguments.address.host,
        arguments.address.port,
        server.process_id().unwrap_or(0)
    )?;
    out.flush()?;
    while !stop.load(Ordering::Relaxed) {
        match events.next_timeout(Duration::from_millis(100)) {
            Some(Event::ProcessOutput(line)) => writeln!(out, "{}", plain(&line))?,
            // The line that the server printed does not have the name.
            Some(Event::SynthDefRefused(refusal)) => {
                writeln!(out, "warning: {}", plain(&refusal.to_string()))?;
            }
            Some(Event::Lifecycle(LifecycleEvent::Quit)) => {
                writeln!(out, "the server exited")?;
                return Ok(ExitCode::FAILURE);
            }
            _ => {}
        }
        out.flush()?;
    }
    server.quit()?;
    Ok(ExitCode::SUCCESS)
}

/// Prints once, or at an interval until `stop` is set.
fn repeatedly(
    watch: Option<f64>,
    stop: &Arc<AtomicBool>,
    mut print: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    print()?;
    if let Some(seconds) = watch {
        let interval = Duration::try_from_secs_f64(seconds).context("--watch")?;
        loop {
            let start = Instant::now();
            loop {
                if stop.load(Ordering::Relaxed) {
                    return Ok(ExitCode::SUCCESS);
                }
                let Some(left) = interval.checked_sub(start.elapsed()) else { break };
                std::thread::park_timeout(left.min(Duration::from_millis(50)));
            }
            print()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The status in one line.
fn status_line(status: &StatusInfo) -> String {
    format!(
        "{}, {}, {}, {}; load {:.1} % (peak {:.1} %); {:.1} Hz",
        counted(status.ugen_count as u64, "UGen"),
        counted(status.synth_count as u64, "synth"),
        counted(status.group_count as u64, "group"),
        counted(status.synthdef_count as u64, "SynthDef"),
        status.average_cpu_usage,
        status.peak_cpu_usage,
        status.actual_sample_rate
    )
}

fn status(
    arguments: &WatchArguments,
    stop: &Arc<AtomicBool>,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let server = connect(&arguments.address)?;
    writeln!(
        out,
        "{} at {}:{}, client {} of {}",
        plain(&server.query_version()?.to_string()),
        arguments.address.host,
        arguments.address.port,
        server.client_id(),
        server.maximum_logins()
    )?;
    repeatedly(arguments.watch, stop, || {
        writeln!(out, "{}", status_line(&server.query_status()?))?;
        Ok(out.flush()?)
    })
}

fn tree(
    arguments: &TreeArguments,
    stop: &Arc<AtomicBool>,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let server = connect(&arguments.watch.address)?;
    let mut last = String::new();
    repeatedly(arguments.watch.watch, stop, || {
        let text = server.query_tree(arguments.group, !arguments.no_controls)?.to_string();
        if text != last {
            out.write_all(plain(&text).as_bytes())?;
            last = text;
        }
        Ok(out.flush()?)
    })
}

fn dump(
    arguments: &DumpArguments,
    stop: &Arc<AtomicBool>,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let address = &arguments.address;
    let server = Server::with_timeouts(options(address), None, timeouts(address)?)?;
    let events = server.events(EventFilter { all_messages: true, ..EventFilter::default() });
    let capture = server.capture();
    server.connect()?;
    let length = arguments.seconds.map(Duration::try_from_secs_f64);
    let length = length.transpose().context("--seconds")?;
    let start = Instant::now();
    loop {
        let event = events.next_timeout(Duration::from_millis(50));
        print_captured(&capture, arguments.all, out)?;
        if matches!(event, Some(Event::Lifecycle(LifecycleEvent::Disconnected))) {
            writeln!(out, "connection lost")?;
            return Ok(ExitCode::FAILURE);
        }
        if stop.load(Ordering::Relaxed) || length.is_some_and(|length| start.elapsed() >= length) {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn print_captured(capture: &Capture, all: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    for packet in capture.take() {
        let text = packet.to_string();
        if all || !text.contains(" /status") {
            writeln!(out, "{}", plain(&text))?;
        }
    }
    Ok(out.flush()?)
}

/// Text of a server, with control characters escaped: they could control the terminal.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => plain.push(letter),
            _ if letter.is_control() => plain.extend(letter.escape_default()),
            _ => plain.push(letter),
        }
    }
    plain
}
