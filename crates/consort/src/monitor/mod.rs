//! The live view: `consort run --monitor`, `consort monitor` and `consort status`.

mod screen;
mod socket;
mod source;

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event};
use serde::Serialize;

use crate::cli::{MonitorArgs, StatusArgs};
use crate::log;
use screen::{Action, Screen};
pub(crate) use socket::Server;
pub(crate) use source::Local;
use source::{Layout, Reading, Source};

/// How often the screen is drawn; shows with very many channels are drawn less often.
const FRAME: Duration = Duration::from_millis(100);
const SLOW_FRAME: Duration = Duration::from_millis(500);
const MANY_CHANNELS: usize = 10_000;

/// How many channels a plain line names.
const PLAIN_CHANNELS: usize = 8;

/// Shows a running show of this process on a thread of its own, until it ends, the time is up
/// or the person leaves; the last two stop the show.
pub(crate) fn start(mut show: Local, limit: Option<Duration>) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("monitor".into()).spawn(move || {
        if let Err(error) = view(&mut show, limit) {
            tracing::error!("the live view broke: {error:#}; the show goes on");
        }
        if limit.is_some() {
            show.stop();
        }
    })
}

/// Attaches to a running show.
pub(crate) fn run(arguments: &MonitorArgs) -> anyhow::Result<ExitCode> {
    let mut show = socket::find(arguments.process)?;
    view(&mut show, None)?;
    Ok(ExitCode::SUCCESS)
}

fn view(show: &mut dyn Source, limit: Option<Duration>) -> anyhow::Result<()> {
    let end = limit.map(|limit| Instant::now() + limit);
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return plain(show, end);
    }
    let mut terminal = ratatui::try_init()?;
    log::hold(true);
    let done = interactive(show, &mut terminal, end);
    log::hold(false);
    ratatui::try_restore()?;
    done
}

fn interactive(
    show: &mut dyn Source,
    terminal: &mut ratatui::DefaultTerminal,
    end: Option<Instant>,
) -> anyhow::Result<()> {
    let mut screen = Screen::new(show.layout()?);
    let is_large = screen.channel_count() > MANY_CHANNELS;
    let frame = if is_large { SLOW_FRAME } else { FRAME };
    loop {
        let reading = show.read(screen.log_next())?;
        let is_over = !reading.running || end.is_some_and(|end| Instant::now() >= end);
        screen.update(reading);
        terminal.draw(|frame| screen.draw(frame))?;
        if is_over {
            return Ok(());
        }
        let next = Instant::now() + frame;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            if !event::poll(left)? {
                break;
            }
            let Event::Key(key) = event::read()? else { break };
            match screen.key(key) {
                Action::Nothing => {}
                Action::Send { instance, channel, value } => {
                    if !show.inject(instance, channel, value)? {
                        screen.notice("the show did not take the value: too many wait already");
                    }
                }
                Action::Quit => {
                    // Of another process only the view ends.
                    show.stop();
                    return Ok(());
                }
            }
            terminal.draw(|frame| screen.draw(frame))?;
        }
    }
}

/// A line a second: the channels that had values since the last one.
fn plain(show: &mut dyn Source, end: Option<Instant>) -> anyhow::Result<()> {
    let names = channel_names(&show.layout()?);
    let mut before: Vec<u64> = vec![0; names.len()];
    let mut next = Instant::now();
    loop {
        next += Duration::from_secs(1);
        let reading = loop {
            let wake = end.map_or(next, |end| next.min(end));
            let left = wake.saturating_duration_since(Instant::now());
            std::thread::sleep(left.min(Duration::from_millis(250)));
            let reading = show.read(u64::MAX)?;
            if !reading.running || Instant::now() >= wake {
                break reading;
            }
        };
        say(&plain_line(&names, &mut before, &reading))?;
        if !reading.running || end.is_some_and(|end| Instant::now() >= end) {
            return Ok(());
        }
    }
}

fn plain_line(names: &[String], before: &mut [u64], reading: &Reading) -> String {
    let mut line = format!("{:6.1} s ", reading.seconds);
    let mut changed = 0;
    for ((name, count), (value, events)) in names.iter().zip(before).zip(&reading.values) {
        if *events != *count {
            changed += 1;
            if changed <= PLAIN_CHANNELS {
                let _ = write!(line, " {name} {value:.3}");
            }
        }
        *count = *events;
    }
    match changed {
        0 => line.push_str(" nothing moved"),
        count if count > PLAIN_CHANNELS => {
            let _ = write!(line, " and {} more", count - PLAIN_CHANNELS);
        }
        _ => {}
    }
    line.push('\n');
    line
}

fn channel_names(layout: &Layout) -> Vec<String> {
    let instances = layout.instances.iter();
    let names = instances.flat_map(|it| it.channels.iter().map(|name| (&it.name, name)));
    names.map(|(instance, name)| format!("{instance}.{name}")).collect()
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// A show, for programs.
#[derive(Serialize)]
struct Status {
    show: String,
    process: u32,
    seconds: f64,
    instances: Vec<InstanceStatus>,
}

#[derive(Serialize)]
struct InstanceStatus {
    name: String,
    backend: String,
    #[serde(flatten)]
    reading: source::InstanceReading,
    channels: Vec<ChannelStatus>,
}

#[derive(Serialize)]
struct ChannelStatus {
    name: String,
    /// None before the first value.
    value: Option<f64>,
    events: u64,
}

fn status(layout: Layout, reading: Reading) -> Status {
    let mut values = reading.values.into_iter();
    let instances = layout.instances.into_iter().zip(reading.instances);
    let instances = instances.map(|(instance, reading)| InstanceStatus {
        name: instance.name,
        backend: instance.backend,
        reading,
        channels: instance
            .channels
            .into_iter()
            .zip(values.by_ref())
            .map(|(name, (value, events))| ChannelStatus {
                name,
                value: (events > 0).then_some(value),
                events,
            })
            .collect(),
    });
    Status {
        instances: instances.collect(),
        show: layout.show,
        process: layout.process,
        seconds: reading.seconds,
    }
}

/// `consort status`: the running shows of this user. Exit status 1 when there is none.
pub(crate) fn print_status(arguments: &StatusArgs) -> anyhow::Result<ExitCode> {
    let mut shows = Vec::new();
    for (number, mut show) in socket::running() {
        if arguments.process.is_some_and(|wanted| wanted != number) {
            continue;
        }
        let layout = show.layout()?;
        let reading = show.read(u64::MAX)?;
        shows.push(status(layout, reading));
    }
    if arguments.json {
        say(&format!("{}\n", serde_json::to_string_pretty(&shows)?))?;
    } else if shows.is_empty() {
        say("no show of this user runs\n")?;
    } else {
        say(&shows.iter().map(status_text).collect::<String>())?;
    }
    Ok(if shows.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn status_text(show: &Status) -> String {
    let mut text = format!("{}: process {}, for {:.0} s\n", show.show, show.process, show.seconds);
    for instance in &show.instances {
        let reading = &instance.reading;
        let _ = writeln!(
            text,
            "  {:<18} {:<9} {:<9} {} in, {} out, {} dropped, {} errors{}",
            instance.name,
            instance.backend,
            reading.state,
            reading.incoming,
            reading.outgoing,
            reading.dropped,
            reading.errors,
            reading.reason.as_ref().map(|it| format!("; {it}")).unwrap_or_default()
        );
    }
    text
}
