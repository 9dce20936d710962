//! The live view: `consort run --monitor`, `consort monitor` and `consort status`.

mod drawing;
mod editing;
mod evidence;
mod keys;
mod pages;
mod screen;
mod socket;
mod source;
mod status;
mod subscription;
mod terminal;
mod why;

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_control::{Content, Direction, Layout, Reading, RouteReading, UnmatchedReading};
use crossterm::event::Event;

use crate::cli::MonitorArgs;
use crate::{log, signals};
pub(crate) use editing::Editing;
use keys::Action;
use screen::Screen;
#[cfg(feature = "web")]
pub(crate) use socket::attach;
pub(crate) use socket::{Server, find, find_named, running_file};
pub(crate) use source::Local;
pub(crate) use source::Source;
pub(crate) use status::print_status;
use terminal::Terminal;
pub(crate) use why::{suggested_range, usual_range};

/// The time between two drawings of the screen.
const FRAME_INTERVAL: Duration = Duration::from_millis(100);
/// The same for shows with more than [`MANY_CHANNELS`] channels.
const SLOW_FRAME_INTERVAL: Duration = Duration::from_millis(500);
/// From this number of channels on, reading a show takes noticeable time.
const MANY_CHANNELS: usize = 10_000;

/// How many channels a line of plain output names.
const MAX_PLAIN_CHANNELS: usize = 8;

/// How long the end of a show waits for a view that is blocked in writing to its terminal.
const VIEW_TIMEOUT: Duration = Duration::from_secs(1);

/// The thread that shows this process's own show.
pub(crate) struct View {
    thread: JoinHandle<()>,
    /// Disconnected when the thread ends.
    ended: Receiver<()>,
}

impl View {
    /// Waits for the thread after the show has ended; gives up on a view that is blocked in
    /// writing to its terminal.
    ///
    /// # Errors
    /// When the thread panicked.
    pub(crate) fn join(self) -> std::thread::Result<()> {
        if self.ended.recv_timeout(VIEW_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the live view does not end: its terminal is blocked");
            terminal::restore(Duration::ZERO);
            return Ok(());
        }
        self.thread.join()
    }
}

/// Shows this process's show on a thread of its own until the show ends, the time is up or the
/// user quits; the last two stop the show.
pub(crate) fn start(mut show: Local, limit: Option<Duration>) -> io::Result<View> {
    let (running, ended) = sync_channel(1);
    let thread = std::thread::Builder::new().name("monitor".into()).spawn(move || {
        // Dropped when the thread ends, even by a panic.
        let _running = running;
        if let Err(error) = view(&mut show, limit, &AtomicBool::new(false)) {
            tracing::error!("the live view failed: {error:#}; the show continues");
        }
        if limit.is_some() {
            show.stop();
        }
    });
    let explain = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot start the thread of the live view: {error}"))
    };
    Ok(View { thread: thread.map_err(explain)?, ended })
}

/// Runs `consort monitor`: attaches to a running show.
pub(crate) fn run(arguments: &MonitorArgs) -> anyhow::Result<ExitCode> {
    let mut show = socket::find(arguments.process)?;
    let has_quit = signals::flag_on_signals()?;
    view(&mut show, None, &has_quit)?;
    Ok(ExitCode::SUCCESS)
}

/// Shows a show, on the whole screen or as plain lines, until it ends, the time is up or
/// `has_quit` is set.
fn view(
    show: &mut dyn Source,
    limit: Option<Duration>,
    has_quit: &AtomicBool,
) -> anyhow::Result<()> {
    let end = limit.map(|limit| Instant::now() + limit);
    let is_over = |reading: &Reading| {
        let is_late = end.is_some_and(|end| Instant::now() >= end);
        !reading.running || is_late || has_quit.load(Ordering::Acquire)
    };
    if io::stdout().is_terminal() && io::stdin().is_terminal() && !log::is_dumb() {
        interactive(show, is_over)
    } else {
        plain(show, end, is_over)
    }
}

/// Shows a show on the whole screen.
fn interactive(show: &mut dyn Source, is_over: impl Fn(&Reading) -> bool) -> anyhow::Result<()> {
    let mut screen = Screen::new(show.layout()?);
    screen.is_own = show.own().is_some();
    let is_large = screen.channel_count() > MANY_CHANNELS;
    let frame = if is_large { SLOW_FRAME_INTERVAL } else { FRAME_INTERVAL };
    let mut terminal = Terminal::take()?;
    loop {
        let Some(reading) = show.read(screen.log_next())? else {
            screen.relayout(show.layout()?);
            continue;
        };
        let is_last = is_over(&reading);
        screen.update(reading);
        if screen.wants_unmatched() {
            screen.update_unmatched(unmatched(show, screen.instance_count()));
        }
        let wanted = screen.wanted_routes();
        if !wanted.is_empty() {
            screen.update_routes(routes(show, &wanted));
        }
        terminal.draw(&mut screen)?;
        if is_last {
            return Ok(());
        }
        let next = Instant::now() + frame;
        while let Some(event) = terminal.next_event(next)? {
            let is_over = handle(show, &mut screen, event);
            if is_over {
                drop(terminal);
                // If the show runs in another process, only the view ends.
                if let Some(own) = show.own() {
                    own.stop();
                    signals::request_end_by_key();
                }
                return Ok(());
            }
            terminal.draw(&mut screen)?;
        }
    }
}

/// Handles a key, a click or another event; true if it ends the view.
fn handle(show: &mut dyn Source, screen: &mut Screen, event: Event) -> bool {
    let action = match event {
        Event::Key(key) => screen.key(key),
        Event::Mouse(event) => {
            screen.mouse(event);
            Action::Nothing
        }
        // Drawing adapts to the size by itself.
        _ => Action::Nothing,
    };
    match action {
        Action::Nothing => {}
        Action::Send { instance, channel, value } => {
            // A channel that is both source and target is set as source, like input.
            let direction = screen.is_two_way(instance, channel).then_some(Direction::Source);
            if let Err(error) = show.set(instance, channel, Content::Value(value), direction) {
                screen.notice(format!("the value was not sent: {error:#}"));
            }
        }
        Action::SwitchLayer { layer, on } => {
            if let Err(error) = show.switch_layer(layer, on) {
                screen.notice(format!("the layer was not switched: {error:#}"));
            }
        }
        Action::ControlRoute { route, control, on } => {
            if let Err(error) = show.control_route(route, control, on) {
                screen.notice(format!("the route was not changed: {error:#}"));
            }
        }
        Action::Why { instance, channel } => match show.why(instance, channel) {
            Ok(findings) => screen.explain(findings),
            Err(error) => screen.notice(format!("{error:#}")),
        },
        Action::Quit => return true,
    }
    false
}

/// What these routes do, by ascending number; nothing if the show was reloaded meanwhile.
fn routes(show: &mut dyn Source, wanted: &[u32]) -> Vec<RouteReading> {
    let mut readings: Vec<RouteReading> = Vec::with_capacity(wanted.len());
    for &route in wanted {
        if readings.last().is_some_and(|last| last.route >= route) {
            continue;
        }
        // Each answer describes the routes that follow as well. The next reading notices a reload.
        let Ok(mut more) = show.routes(route) else { return Vec::new() };
        if more.is_empty() {
            break;
        }
        readings.append(&mut more);
    }
    readings.retain(|reading| wanted.binary_search(&reading.route).is_ok());
    readings
}

/// What no mapping uses, by instance; nothing if the show was reloaded meanwhile.
fn unmatched(show: &mut dyn Source, instances: u32) -> Vec<(u32, UnmatchedReading)> {
    let mut all = Vec::new();
    for instance in 0..instances {
        // The next reading notices a reload.
        let Ok(inputs) = show.unmatched(instance) else { return Vec::new() };
        all.extend(inputs.into_iter().map(|input| (instance, input)));
    }
    all
}

/// Prints a line per second: the channels that had values since the last line.
fn plain(
    show: &mut dyn Source,
    end: Option<Instant>,
    is_over: impl Fn(&Reading) -> bool,
) -> anyhow::Result<()> {
    let mut names = channel_names(&show.layout()?);
    let mut before: Vec<u64> = vec![0; names.len()];
    let mut next = Instant::now();
    loop {
        next += Duration::from_secs(1);
        let reading = loop {
            let wake = end.map_or(next, |end| next.min(end));
            let left = wake.saturating_duration_since(Instant::now());
            std::thread::sleep(left.min(Duration::from_millis(250)));
            let Some(reading) = show.read(u64::MAX)? else {
                names = channel_names(&show.layout()?);
                // Counts continue through a reload: only what changes from now on is printed.
                if let Some(reading) = show.read(u64::MAX)? {
                    before = reading.values.iter().map(|(_, count)| *count).collect();
                }
                continue;
            };
            if is_over(&reading) || Instant::now() >= wake {
                break reading;
            }
        };
        print(&plain_line(&names, &mut before, &reading))?;
        if is_over(&reading) {
            return Ok(());
        }
    }
}

/// A line of plain output; updates the counts in `before`.
fn plain_line(names: &[String], before: &mut [u64], reading: &Reading) -> String {
    let mut line = format!("{:6.1} s ", reading.seconds);
    let mut changed = 0;
    for ((name, count), (value, events)) in names.iter().zip(before).zip(&reading.values) {
        if *events != *count {
            changed += 1;
            if changed <= MAX_PLAIN_CHANNELS {
                let _ = write!(line, " {name} {value:.3}");
            }
        }
        *count = *events;
    }
    match changed {
        0 => line.push_str(" no changes"),
        count if count > MAX_PLAIN_CHANNELS => {
            let _ = write!(line, " and {} more", count - MAX_PLAIN_CHANNELS);
        }
        _ => {}
    }
    line.push('\n');
    line
}

/// All channels with their instances, in the layout's order.
fn channel_names(layout: &Layout) -> Vec<String> {
    let instances = layout.instances.iter();
    let names = instances.flat_map(|instance| {
        instance.channels.iter().map(|channel| (&instance.name, &channel.name))
    });
    names.map(|(instance, channel)| format!("{instance}.{channel}")).collect()
}

/// Prints to standard output.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
