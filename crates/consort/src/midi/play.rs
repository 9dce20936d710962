//! `consort midi play`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use consort_seq::file::{Body, Division};
use consort_seq::{Announcement, ClockKind, Embedded, Engine, Event, RealTime, SequencerClient};

use super::describe::{Style, line};
use super::find::{Use, all_ports, find, full_name, usable};
use super::keys::Keys;
use super::listener::{Listener, POOL_CELLS, Received, stamp};
use super::player::{Outlets, Player, Step};
use super::progress::Progress;
use super::receivers::{ReceiverChange, Receivers};
use super::schedule::{Schedule, Settings};
use super::songs::{self, Song};
use super::{Ending, EngineArguments, EngineName, Optional, clock, counted, read_clock, send};
use crate::errors::with_hint;

/// How long playing continues while no receiver is connected.
const RETURN_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest wait: after it, signals are checked and the bar is drawn.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// The longest wait while keys are read.
const KEY_INTERVAL: Duration = Duration::from_millis(20);

/// Arguments of `consort midi play`.
#[derive(clap::Args, Debug)]
pub(crate) struct PlayArguments {
    /// Standard MIDI Files to play in sequence
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Port to play to: address, name, or part of a name (repeatable)
    #[arg(long, value_name = "PORT")]
    to: Vec<String>,
    /// Port to which MIDI clock, start, stop and the song position are sent (repeatable)
    #[arg(long, value_name = "PORT", requires = "to")]
    clock: Vec<String>,
    /// Start the first file at this time (seconds, M:SS or H:MM:SS) or bar (bar:17), with the
    /// programs and controllers in effect then
    #[arg(long, value_name = "TIME", value_parser = read_position, default_value = "0")]
    from: Position,
    /// End the first file at this time, or before this bar
    #[arg(long, value_name = "TIME", value_parser = read_position)]
    until: Option<Position>,
    /// Speed in percent of that of the files (10 to 1000)
    #[arg(long, value_name = "PERCENT", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(10..=1000))]
    tempo: u32,
    /// Semitones by which to transpose all notes but those of channel 9 (-127 to 127)
    #[arg(long, value_name = "SEMITONES", default_value_t = 0, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i8).range(-127..=127))]
    transpose: i8,
    /// Do not send the messages of this channel, 0 to 15 (repeatable)
    #[arg(long, value_name = "CHANNEL", value_parser = clap::value_parser!(u8).range(0..=15))]
    mute: Vec<u8>,
    /// Play only this track, counted from 1; a pattern of a file of format 2
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    track: Option<u16>,
    /// Repeat endlessly, or this many times
    #[arg(long = "loop", value_name = "TIMES", num_args = 0..=1, require_equals = true,
          default_missing_value = "0", value_parser = clap::value_parser!(u32))]
    repeat: Option<u32>,
    /// Refuse damaged files instead of leaving out what is damaged
    #[arg(long)]
    strict: bool,
    /// Has no effect: damaged files are played without it
    #[arg(long, hide = true)]
    partial: bool,
    /// Bytes per second at which to send system exclusive messages longer than 1024 bytes; 0 sends
    /// them at full speed, which slow devices may not handle
    #[arg(long, value_name = "RATE", default_value_t = 3125)]
    sysex_rate: u32,
    /// Print only errors
    #[arg(long, short)]
    quiet: bool,
    /// With --engine embedded: play in virtual time, without waiting
    #[arg(long)]
    fast: bool,
    #[command(flatten)]
    engine: EngineArguments,
}

pub(super) fn run(
    arguments: &PlayArguments,
    stop: &Arc<AtomicBool>,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let is_embedded = match (arguments.engine.engine, arguments.engine.engine()?) {
        (Some(name), _) => name == EngineName::Embedded,
        (None, engine) => matches!(engine, Engine::Embedded(_)),
    };
    if arguments.fast && !is_embedded {
        bail!("--fast requires --engine embedded: devices play in real time");
    }
    let load = |path: &PathBuf| songs::load(path, arguments.track, arguments.strict);
    let songs = arguments.files.iter().map(load).collect::<anyhow::Result<Vec<_>>>()?;
    let settings = settings(arguments, &songs)?;
    let ending = Ending::new(stop, None)?;
    if is_embedded && arguments.to.is_empty() {
        let kind = if arguments.fast { ClockKind::Virtual } else { ClockKind::Real };
        let mut keys = if arguments.fast { Keys::none() } else { Keys::new() };
        return print(&Embedded::new(kind), &songs, settings, &ending, &mut keys, out);
    }
    if arguments.fast {
        bail!("--fast cannot be used with --to; without --to, the events are printed");
    }
    let out: &mut dyn Write = &mut Optional(out);
    let client = super::open("consort play", &arguments.engine.engine()?)?;
    if arguments.to.is_empty() {
        return Err(with_hint(
            "missing option --to PORT",
            usable(&all_ports(&client)?, Use::Target),
        ));
    }
    client.set_client_pool_output(POOL_CELLS)?;
    let port = send::source(&client)?;
    let clock_port = match settings.has_clock {
        true => Some(client.create_port(send::options("clock"))?),
        false => None,
    };
    let outlets = Outlets { music: &port, clock: clock_port.as_ref() };
    let mut connections = Vec::new();
    for text in &arguments.to {
        connections.push((&port, find(&client, text, Use::Target)?));
    }
    for (text, port) in arguments.clock.iter().zip(clock_port.iter().cycle()) {
        connections.push((port, find(&client, text, Use::Target)?));
    }
    let mut receivers = Receivers::connect(&client, &connections)?;
    if !arguments.quiet {
        let targets = connections.iter().take(arguments.to.len());
        let names: Vec<String> = targets.map(|(_, target)| full_name(target)).collect();
        for song in &songs {
            writeln!(out, "{} to {}", song.summary(), names.join(", "))?;
        }
        out.flush()?;
    }
    let mut keys = Keys::new();
    if keys.is_available() && !arguments.quiet {
        writeln!(out, "press n for the next file, p for the previous one, a to play it again")?;
    }
    let mut progress = Progress::new(arguments.quiet);
    let mut left_alone = None;
    let result =
        play(&client, outlets, &songs, settings, &ending, &mut keys, |client, player, time| {
            for change in receivers.update(client)? {
                match change {
                    ReceiverChange::Gone(name) => tracing::warn!("{name} disconnected"),
                    ReceiverChange::Back(name) => tracing::info!("{name} connected again"),
                }
            }
            if !receivers.is_empty() {
                left_alone = None;
            } else if left_alone.get_or_insert_with(Instant::now).elapsed() >= RETURN_TIMEOUT {
                bail!("no receiver is left: {} disconnected", receivers.missing().join(", "));
            }
            if let Some((file, position)) = player.position(time) {
                let length = songs[file].file.length().as_nanoseconds();
                progress.show(&songs[file].name, position, length, out)?;
            }
            Ok(())
        });
    progress.finish();
    report(&result?, arguments.quiet, out)
}

/// How playing ended.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) events: u64,
    /// The time of the end, in nanoseconds from the start.
    pub(super) time: u64,
    /// If playing was stopped, the number of events that released held notes and pedals.
    pub(super) released: Option<usize>,
}

/// Prints how playing ended.
fn report(played: &Played, is_quiet: bool, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let (time, events) = (clock(played.time), counted(played.events, "event"));
    let Some(released) = played.released else {
        if !is_quiet {
            writeln!(out, "played {events} in {time}")?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    if !is_quiet {
        writeln!(out, "stopped at {time} after {events}; {released} released")?;
    }
    Ok(ExitCode::from(130))
}

/// A position in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    Time(Duration),
    /// The begin of a bar, counted from 1.
    Bar(u32),
}

impl Position {
    /// The time of the position in a file.
    fn time(self, song: &Song) -> anyhow::Result<RealTime> {
        match self {
            Self::Time(time) => Ok(RealTime::from(time)),
            Self::Bar(bar) => {
                let tick = song.file.bar_tick(bar);
                let tick = tick.with_context(|| format!("{} has no bar {bar}", song.name))?;
                Ok(song.file.time(tick))
            }
        }
    }
}

/// Parses a time or `bar:NUMBER`.
fn read_position(text: &str) -> Result<Position, String> {
    let Some(bar) = text.strip_prefix("bar:") else { return read_clock(text).map(Position::Time) };
    let bar = bar.parse().ok().filter(|bar| *bar > 0);
    let error = || format!("invalid bar `{text}`; expected bar:1 or more");
    bar.map(Position::Bar).ok_or_else(error)
}

/// Checks the options that depend on the files.
fn settings(arguments: &PlayArguments, songs: &[Song]) -> anyhow::Result<Settings> {
    let from = arguments.from.time(&songs[0])?;
    let length = songs[0].file.length();
    if from > RealTime::ZERO && from >= length {
        let (name, length) = (&songs[0].name, clock(length.as_nanoseconds()));
        bail!("--from {} is after the end of {name} ({length})", clock(from.as_nanoseconds()));
    }
    let is_timecode = |song: &&Song| matches!(song.file.division(), Division::Timecode { .. });
    if let Some(song) = songs.iter().find(is_timecode)
        && !arguments.clock.is_empty()
    {
        bail!("cannot send MIDI clock for {}: it has SMPTE time instead of a tempo", song.name);
    }
    let until = arguments.until.map(|until| until.time(&songs[0])).transpose()?;
    if let Some(until) = until.filter(|until| *until <= from) {
        let (from, until) = (clock(from.as_nanoseconds()), clock(until.as_nanoseconds()));
        bail!("--until {until} is not after --from {from}");
    }
    let passes = match arguments.repeat {
        None => Some(1),
        Some(0) => None,
        times => times,
    };
    if passes.is_none() && songs.iter().all(|song| song.file.length() == RealTime::ZERO) {
        bail!("cannot use --loop: the files have no length");
    }
    // A loop without events would never end the search for the next one.
    let is_sent = |song: &Song, index| {
        let mut events = song.file.events().skip(index);
        events.any(|event| !matches!(event.body, Body::Meta(..)))
    };
    let (first, rest) = songs.split_at(1);
    let index = first[0].file.index_at(from);
    if passes != Some(1) && !is_sent(&first[0], index) && !rest.iter().any(|song| is_sent(song, 0))
    {
        bail!("cannot use --loop: the files have no events to play");
    }
    Ok(Settings {
        from,
        until,
        passes,
        exclusive_rate: arguments.sysex_rate,
        percent: arguments.tempo,
        transpose: arguments.transpose,
        has_clock: !arguments.clock.is_empty(),
        muted: arguments.mute.iter().fold(0, |muted, channel| muted | 1 << channel),
    })
}

/// Plays until the end of the files, until `ending` is due, or until `observe` fails, which is
/// called several times a second with the queue's time. In the last two cases held notes and
/// pedals are released.
fn play(
    client: &SequencerClient,
    outlets: Outlets<'_>,
    songs: &[Song],
    settings: Settings,
    ending: &Ending<'_>,
    keys: &mut Keys,
    mut observe: impl FnMut(&SequencerClient, &mut Player<'_>, u64) -> anyhow::Result<()>,
) -> anyhow::Result<Played> {
    let files = songs.iter().map(|song| &song.file).collect();
    let mut player = Player::start(client, outlets, Schedule::new(files, settings))?;
    let longest = if keys.is_available() { KEY_INTERVAL } else { MAX_WAIT };
    let mut turn = |player: &mut Player<'_>| -> anyhow::Result<(Step, u64)> {
        if let Some(skip) = keys.pressed() {
            player.skip(skip)?;
        }
        let step = player.step()?;
        let time = player.time()?;
        observe(client, player, time)?;
        Ok((step, time))
    };
    loop {
        let (step, time) = turn(&mut player).inspect_err(|_| {
            // Notes must not hang, whatever failed. The first error is the one to report.
            let _ = player.release();
        })?;
        if ending.is_due() {
            let released = player.release()?;
            return Ok(Played { events: player.played(), time, released: Some(released) });
        }
        match step {
            Step::Done => {
                if !player.finish()? {
                    bail!("the sequencer did not deliver the last events in time");
                }
                return Ok(Played { events: player.played(), time, released: None });
            }
            Step::Full => client.wait_writable(Some(longest))?,
            Step::Wait(time) => client.wait_readable(Some(time.min(longest)))?,
        };
    }
}

/// Plays on an engine of its own and prints the events with the times at which they arrive.
fn print(
    engine: &Embedded,
    songs: &[Song],
    settings: Settings,
    ending: &Ending<'_>,
    keys: &mut Keys,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let style = Style { is_coloured: false, is_whole: true };
    let played = play_here(engine, songs, settings, ending, keys, |time, event| {
        Ok(writeln!(out, "{}", line(style, Some(time), None, event))?)
    })?;
    report(&played, false, out)
}

/// Plays on an engine of its own; calls `sink` for each event with the time of its arrival.
pub(super) fn play_here(
    engine: &Embedded,
    songs: &[Song],
    settings: Settings,
    ending: &Ending<'_>,
    keys: &mut Keys,
    mut sink: impl FnMut(RealTime, &Event) -> anyhow::Result<()>,
) -> anyhow::Result<Played> {
    let mut listener = Listener::open("listener", &Engine::Embedded(engine.clone()))?;
    let target = listener.port("in")?;
    let client = super::open("consort play", &Engine::Embedded(engine.clone()))?;
    client.set_client_pool_output(POOL_CELLS)?;
    let port = send::source(&client)?;
    port.connect_to(&target)?;
    let mut listen = |listener: &mut Listener| {
        listener.read(|_, received| match received {
            // The port also receives announcements of its own connection.
            Received::Event(event) if Announcement::from_event(event).is_some() => Ok(()),
            Received::Event(event) => sink(stamp(event), event),
            Received::Lost => bail!("events were lost: they arrived faster than they were printed"),
        })
    };
    let files = songs.iter().map(|song| &song.file).collect();
    let outlets = Outlets { music: &port, clock: None };
    let mut player = Player::start(&client, outlets, Schedule::new(files, settings))?;
    loop {
        if let Some(skip) = keys.pressed() {
            player.skip(skip)?;
        }
        let step = player.step()?;
        listen(&mut listener)?;
        let is_stopped = ending.is_due();
        if is_stopped || step == Step::Done {
            let released = is_stopped.then(|| player.release()).transpose()?;
            listen(&mut listener)?;
            return Ok(Played { events: player.played(), time: player.time()?, released });
        }
        let wait = match step {
            Step::Wait(time) => time,
            Step::Full | Step::Done => Duration::ZERO,
        };
        if engine.clock() == ClockKind::Real {
            listener
                .client
                .wait_readable(Some(wait.clamp(Duration::from_millis(1), KEY_INTERVAL)))?;
            continue;
        }
        // Virtual time advances from one due event to the next, so that each is read before the
        // next arrives and the pool cannot overflow.
        let mut left = wait;
        while let Some(due) = engine.next_due().filter(|due| *due <= left || wait.is_zero()) {
            engine.advance_to_next();
            listen(&mut listener)?;
            left = left.saturating_sub(due);
            if wait.is_zero() {
                break;
            }
        }
        engine.advance(left);
    }
}
