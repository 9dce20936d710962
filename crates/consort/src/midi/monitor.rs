//! `consort midi monitor`.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use consort_seq::{Announcement, Engine, EventType};

use super::describe::{Colour, Style, line};
use super::find::{Use, find};
use super::follow::{Follower, Wish};
use super::listener::{Listener, Received, stamp};
use super::{Ending, EngineArguments};

/// Arguments of `consort midi monitor`.
#[derive(clap::Args, Debug)]
pub(crate) struct MonitorArguments {
    /// Ports to monitor [default: all]; other programs can connect to this command's port, too
    #[arg(value_name = "PORT")]
    ports: Vec<String>,
    /// Stop after this many seconds instead of at Ctrl-C
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Stop after this many events
    #[arg(long, value_name = "COUNT")]
    count: Option<u64>,
    /// Omit MIDI clock and active sensing
    #[arg(long)]
    no_clock: bool,
    /// Print system exclusive messages in full
    #[arg(long)]
    whole: bool,
    /// When to color the output
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    color: Colour,
    #[command(flatten)]
    engine: EngineArguments,
}

pub(super) fn run(
    arguments: &MonitorArguments,
    stop: &Arc<AtomicBool>,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let ending = Ending::new(stop, arguments.seconds)?;
    let mut monitor = Monitor::open(arguments, &arguments.engine.engine()?)?;
    tracing::info!("{}", monitor.opening());
    while !ending.is_due() && !monitor.is_full() {
        let wait = ending.left(Duration::from_millis(200));
        monitor.listener.client.wait_readable(Some(wait))?;
        monitor.print(out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A monitor with its connections.
pub(super) struct Monitor {
    listener: Listener,
    follower: Follower,
    style: Style,
    is_clock_hidden: bool,
    /// How many events are still to be printed.
    left: Option<u64>,
}

impl Monitor {
    pub(super) fn open(arguments: &MonitorArguments, engine: &Engine) -> anyhow::Result<Self> {
        let listener = Listener::open("consort monitor", engine)?;
        let client = &listener.client;
        let follower = if arguments.ports.is_empty() {
            Follower::all(client, listener.port("in")?)?
        } else {
            let find = |text: &String| find(client, text, Use::Source).map(Wish::Known);
            let sources = arguments.ports.iter().map(find).collect::<anyhow::Result<Vec<_>>>()?;
            let mut ports = Vec::new();
            for number in 0..sources.len() {
                ports.push(listener.port(&format!("in {number}"))?);
            }
            Follower::named(client, &sources, ports)?
        };
        let style = Style { is_coloured: arguments.color.is_on(), is_whole: arguments.whole };
        let is_clock_hidden = arguments.no_clock;
        Ok(Self { listener, follower, style, is_clock_hidden, left: arguments.count })
    }

    /// The first message: what is monitored.
    fn opening(&self) -> String {
        let names: Vec<&String> = self.follower.connected().collect();
        let client = self.listener.client.client_id();
        match names.as_slice() {
            [] => format!("no ports to monitor yet; connect a port to {client}:0"),
            [one] => format!("monitoring {one}"),
            several => format!("monitoring {} ports", several.len()),
        }
    }

    /// Whether the requested number of events was printed.
    fn is_full(&self) -> bool {
        self.left == Some(0)
    }

    /// Prints the events that have arrived.
    pub(super) fn print(&mut self, out: &mut dyn Write) -> anyhow::Result<()> {
        let Self { listener, follower, style, is_clock_hidden, left } = self;
        listener.read(|client, received| {
            let event = match received {
                Received::Event(event) => event,
                Received::Lost => {
                    tracing::warn!("events were lost: they arrived faster than they were printed");
                    for change in follower.announced(client, Announcement::Lost) {
                        writeln!(out, "-- {change}")?;
                    }
                    return Ok(());
                }
            };
            if let Some(announcement) = Announcement::from_event(event) {
                // Every port receives announcements of its own connections; only those at the
                // announcement port count.
                if !follower.is_announcement(event.dest().port) {
                    return Ok(());
                }
                for change in follower.announced(client, announcement) {
                    writeln!(out, "-- {change}")?;
                }
                return Ok(());
            }
            let is_clock =
                matches!(event.event_type(), EventType::CLOCK | EventType::ACTIVE_SENSING);
            if is_clock && *is_clock_hidden || *left == Some(0) {
                return Ok(());
            }
            let source = (event.source(), follower.name(event.source()));
            writeln!(out, "{}", line(*style, Some(stamp(event)), Some(source), event))?;
            *left = left.map(|left| left - 1);
            Ok(())
        })?;
        Ok(out.flush()?)
    }
}
