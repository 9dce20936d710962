//! `consort midi play`.

use std::fs::File;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, bail};
use consort_seq::file::{Body, MidiFile, SIZE_LIMIT};
use consort_seq::{
    Announcement, ClockKind, Embedded, Engine, Event, Port, RealTime, SequencerClient,
};

use super::describe::{Style, line};
use super::find::{Use, all_ports, find, full_name, usable};
use super::follow::Receivers;
use super::listener::{Heard, Listener, POOL, stamp};
use super::player::{Player, Step};
use super::progress::Progress;
use super::schedule::{Schedule, Settings};
use super::{Aside, Ending, EngineArguments, EngineName, clock, counted, read_clock, send};

/// Most that a wait lasts: then signals are looked at, and the bar is drawn.
const GLANCE: Duration = Duration::from_millis(100);

/// Arguments of `consort midi play`.
#[derive(clap::Args, Debug)]
pub(crate) struct PlayArguments {
    /// Standard MIDI Files of format 0 or 1, played one after the other
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The port to play to: address, name, or the beginning of a name; may repeat
    #[arg(long, value_name = "PORT")]
    to: Vec<String>,
    /// Begin the first file here: seconds, M:SS or H:MM:SS. Programs and controllers are set as
    /// they stand there
    #[arg(long, value_name = "TIME", value_parser = read_clock, default_value = "0")]
    from: Duration,
    /// Play again and again; or so many times
    #[arg(long = "loop", value_name = "TIMES", num_args = 0..=1, require_equals = true,
          default_missing_value = "0", value_parser = clap::value_parser!(u32))]
    repeat: Option<u32>,
    /// Play what is sound of damaged files
    #[arg(long)]
    partial: bool,
    /// Bytes a second of system exclusive messages longer than 1024 bytes, so that a device can
    /// follow; 0: all at once
    #[arg(long, value_name = "RATE", default_value_t = 3125)]
    sysex_rate: u32,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
    /// With --engine embedded: do not wait, let virtual time pass
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
        bail!("--fast is for --engine embedded: devices take their time");
    }
    let songs = load(arguments)?;
    let settings = settings(arguments, &songs)?;
    let ending = Ending::new(stop, None)?;
    if is_embedded && arguments.to.is_empty() {
        let kind = if arguments.fast { ClockKind::Virtual } else { ClockKind::Real };
        return print(&Embedded::new(kind), &songs, settings, &ending, out);
    }
    if arguments.fast {
        bail!("--fast is for playing without --to, which prints what is played");
    }
    let out: &mut dyn Write = &mut Aside(out);
    let client = super::open("consort play", &arguments.engine.engine()?)?;
    if arguments.to.is_empty() {
        bail!("--to PORT says where to play to; {}", usable(&all_ports(&client)?, Use::Target));
    }
    let mut targets = Vec::new();
    for text in &arguments.to {
        targets.push(find(&client, text, Use::Target)?);
    }
    client.set_client_pool_output(POOL)?;
    let port = send::source(&client)?;
    let mut receivers = Receivers::connect(&client, &port, &targets)?;
    if !arguments.quiet {
        let names: Vec<String> = targets.iter().map(full_name).collect();
        for song in &songs {
            writeln!(out, "{} to {}", song.summary(), names.join(", "))?;
        }
        out.flush()?;
    }
    let mut progress = Progress::new(arguments.quiet);
    let result = play(&client, &port, &songs, settings, &ending, |client, player, time| {
        let gone = receivers.gone(client, &port)?;
        for name in &gone {
            tracing::warn!("{name} has gone");
        }
        if receivers.is_empty() {
            bail!("{} has gone, and nobody is left to play to", gone.join(", "));
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

/// How it ended.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) events: u64,
    /// When, in nanoseconds from the beginning.
    pub(super) time: u64,
    /// Events that it took to release what was down, if it was stopped.
    pub(super) released: Option<usize>,
}

fn report(played: &Played, is_quiet: bool, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let (time, events) = (clock(played.time), counted(played.events as usize, "event"));
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

/// A file with its name.
pub(super) struct Song {
    pub(super) name: String,
    pub(super) file: MidiFile,
}

impl Song {
    fn summary(&self) -> String {
        let Self { name, file } = self;
        let title = file.name().map(|title| format!(" “{}”", super::ports::plain(&title)));
        format!(
            "{name}{}: {}, {}, {}, {}",
            title.unwrap_or_default(),
            clock(file.length().as_nanoseconds()),
            counted(file.track_count(), "track"),
            counted(file.message_count(), "event"),
            file.division()
        )
    }
}

fn load(arguments: &PlayArguments) -> anyhow::Result<Vec<Song>> {
    arguments.files.iter().map(|path| read(path, arguments.partial)).collect()
}

fn read(path: &Path, is_partial: bool) -> anyhow::Result<Song> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    // One byte more than is taken, so that a file that is too large is seen to be.
    File::open(path)
        .and_then(|file| file.take(SIZE_LIMIT as u64 + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {name}"))?;
    let (file, errors) = MidiFile::read_partial(&bytes).with_context(|| name.clone())?;
    if let Some(error) = errors.first() {
        if !is_partial {
            let hint = "--partial plays what is sound";
            let (events, length) = (file.message_count(), clock(file.length().as_nanoseconds()));
            bail!("{name}: {error} ({hint}: {}, {length})", counted(events, "event"));
        }
        for error in &errors {
            tracing::warn!("{name}: {error}");
        }
    }
    Ok(Song { name, file })
}

fn settings(arguments: &PlayArguments, songs: &[Song]) -> anyhow::Result<Settings> {
    let from = RealTime::from(arguments.from);
    let length = songs[0].file.length();
    if from > RealTime::ZERO && from >= length {
        let (name, length) = (&songs[0].name, clock(length.as_nanoseconds()));
        bail!("--from {} is behind the end: {name} lasts {length}", clock(from.as_nanoseconds()));
    }
    let passes = match arguments.repeat {
        None => Some(1),
        Some(0) => None,
        times => times,
    };
    if passes.is_none() && songs.iter().all(|song| song.file.length() == RealTime::ZERO) {
        bail!("--loop: there is nothing that lasts in these files");
    }
    // A loop through nothing would never come to an event.
    let is_sent = |song: &Song, index| {
        let mut events = song.file.events().skip(index);
        events.any(|event| !matches!(event.body, Body::Meta(..)))
    };
    let (first, rest) = songs.split_at(1);
    let index = first[0].file.index_at(from);
    if passes != Some(1) && !is_sent(&first[0], index) && !rest.iter().any(|it| is_sent(it, 0)) {
        bail!("--loop: there is nothing to play in these files");
    }
    Ok(Settings { from, passes, exclusive_rate: arguments.sysex_rate })
}

/// Plays until all is over, `ending` is due, or `glance`, which is called several times a second
/// with the queue's time, fails; in the latter two cases nothing stays down.
fn play(
    client: &SequencerClient,
    port: &Port,
    songs: &[Song],
    settings: Settings,
    ending: &Ending<'_>,
    mut glance: impl FnMut(&SequencerClient, &mut Player<'_>, u64) -> anyhow::Result<()>,
) -> anyhow::Result<Played> {
    let files = songs.iter().map(|song| &song.file).collect();
    let mut player = Player::start(client, port, Schedule::new(files, settings))?;
    let mut turn = |player: &mut Player<'_>| -> anyhow::Result<(Step, u64)> {
        let step = player.step()?;
        let time = player.time()?;
        glance(client, player, time)?;
        Ok((step, time))
    };
    loop {
        let (step, time) = turn(&mut player).inspect_err(|_| {
            // Whatever is wrong, notes must not hang; what is wrong with that is less worth.
            let _ = player.release();
        })?;
        if ending.is_due() {
            let released = player.release()?;
            return Ok(Played { events: player.played(), time, released: Some(released) });
        }
        match step {
            Step::Done => {
                player.finish()?;
                return Ok(Played { events: player.played(), time, released: None });
            }
            Step::Full => client.wait_writable(Some(GLANCE))?,
            Step::Wait(time) => client.wait_readable(Some(time.min(GLANCE)))?,
        };
    }
}

/// Plays on an engine of its own and prints what arrives, with the times at which it does.
fn print(
    engine: &Embedded,
    songs: &[Song],
    settings: Settings,
    ending: &Ending<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let style = Style { is_coloured: false, is_whole: true };
    let played = play_here(engine, songs, settings, ending, |time, event| {
        Ok(writeln!(out, "{}", line(style, Some(time), None, event))?)
    })?;
    report(&played, false, out)
}

/// Plays on an engine of its own to `heard`, which gets each event with the time of its arrival.
pub(super) fn play_here(
    engine: &Embedded,
    songs: &[Song],
    settings: Settings,
    ending: &Ending<'_>,
    mut heard: impl FnMut(RealTime, &Event) -> anyhow::Result<()>,
) -> anyhow::Result<Played> {
    let mut listener = Listener::open("listener", &Engine::Embedded(engine.clone()))?;
    let target = listener.port("in")?;
    let client = super::open("consort play", &Engine::Embedded(engine.clone()))?;
    client.set_client_pool_output(POOL)?;
    let port = send::source(&client)?;
    port.connect_to(&target)?;
    let mut listen = |listener: &mut Listener| {
        listener.read(|_, what| match what {
            // The port hears of its own connection too.
            Heard::Event(event) if Announcement::from_event(event).is_some() => Ok(()),
            Heard::Event(event) => heard(stamp(event), event),
            Heard::Lost => bail!("events were lost on the way to the printer"),
        })
    };
    let files = songs.iter().map(|song| &song.file).collect();
    let mut player = Player::start(&client, &port, Schedule::new(files, settings))?;
    loop {
        let step = player.step()?;
        listen(&mut listener)?;
        let is_asked = ending.is_due();
        if is_asked || step == Step::Done {
            let released = is_asked.then(|| player.release()).transpose()?;
            listen(&mut listener)?;
            return Ok(Played { events: player.played(), time: player.time()?, released });
        }
        let wait = match step {
            Step::Wait(time) => time,
            Step::Full | Step::Done => Duration::ZERO,
        };
        if engine.clock() == ClockKind::Real {
            listener.client.wait_readable(Some(wait.clamp(Duration::from_millis(1), GLANCE)))?;
            continue;
        }
        // Virtual time passes from one moment at which something is due to the next, so that
        // what arrives is read before more does.
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
