//! `consort midi record`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, bail};
use consort_seq::file::{MAX_EVENTS, MidiFile, Recording};
use consort_seq::{Announcement, Engine, Event, EventType, RealTime};
use signal_hook::consts::SIGXFSZ;

use super::find::{Use, find, find_or_wait};
use super::follow::{Change, Follower, Wish};
use super::journal::{self, Journal};
use super::listener::{Listener, Received, stamp};
use super::metronome::{Beats, LEAD_NANOSECONDS, Meter, Metronome, read_meter};
use super::overdub::Overdub;
use super::progress::Progress;
use super::recover::{create_journal, journal_path, recover_before};
use super::target::Target;
use super::{Ending, EngineArguments, Optional, clock, counted};
use crate::errors::{hint, message};

/// An event may be this part of a quarter note early and still belong to the first beat.
const EARLY_DIVISOR: u64 = 4;

/// Arguments of `consort midi record`.
#[derive(clap::Args, Debug)]
pub(crate) struct RecordArguments {
    /// File to write: format 0 if there is one source, otherwise format 1 with one track per source
    file: PathBuf,
    /// Port to record from, also one that does not exist yet (repeatable) [default: wait for other
    /// programs to connect]
    #[arg(long, value_name = "PORT")]
    from: Vec<String>,
    /// File to play meanwhile; the new file has its tracks and those that are recorded, with its
    /// tempo
    #[arg(long, value_name = "FILE", requires = "play_to", conflicts_with_all = ["bpm", "trim"])]
    overdub: Option<PathBuf>,
    /// Port to which the file of --overdub is played (repeatable)
    #[arg(long, value_name = "PORT", requires = "overdub")]
    play_to: Vec<String>,
    /// Stop after this many seconds instead of at Ctrl-C
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Tempo of the file in quarter notes per minute; affects the notation, not the timing
    #[arg(long, value_name = "BPM", default_value_t = 120.0)]
    bpm: f64,
    /// Port to which a metronome plays at the tempo of the file
    #[arg(long, value_name = "PORT")]
    metronome: Option<String>,
    /// Bars that the metronome plays before the recording begins
    #[arg(long, value_name = "BARS", default_value_t = 1, requires = "metronome")]
    count_in: u32,
    /// Beats of a bar and their note value, for the metronome and the file
    #[arg(long, value_name = "METER", default_value = "4/4", value_parser = read_meter,
          conflicts_with = "overdub")]
    meter: Meter,
    /// Ticks per quarter note (1 to 32767), the resolution of times
    #[arg(long, value_name = "TICKS", default_value_t = 9600)]
    ticks: u16,
    /// Omit the silence before the first event
    #[arg(long)]
    trim: bool,
    /// Include system messages: clock, start, stop, song position, active sensing and so on
    #[arg(long)]
    system: bool,
    /// Overwrite an existing file; of a link, the file that it points to
    #[arg(long, short)]
    force: bool,
    /// Print only errors
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    engine: EngineArguments,
}

pub(super) fn run(
    arguments: &RecordArguments,
    stop: &Arc<AtomicBool>,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let target = Target::new(&arguments.file, arguments.force)?;
    if let Some(recovered) = recover_before(&target.path)? {
        tracing::warn!("{recovered}");
    }
    // A limit of file sizes is an error of the write then, not the end of the process.
    let _ignored = signal_hook::flag::register(SIGXFSZ, Arc::default());
    let engine = arguments.engine.engine()?;
    let overdub = match &arguments.overdub {
        Some(path) => Some(Overdub::open(path, &arguments.play_to, &engine)?),
        None => None,
    };
    let mut recorder = Recorder::open(arguments, overdub.as_ref(), &engine)?;
    let mut player = match &overdub {
        Some(overdub) => Some(overdub.player(&recorder)?),
        None => None,
    };
    recorder.keep_journal(&target.path)?;
    let ending = Ending::new(stop, arguments.seconds)?;
    let shown = arguments.file.display().to_string();
    let out: &mut dyn Write = &mut Optional(out);
    if !arguments.quiet {
        writeln!(out, "{}; press Ctrl-C to stop", recorder.opening())?;
        out.flush()?;
    }
    let mut progress = Progress::new(arguments.quiet);
    let mut turn = |recorder: &mut Recorder| -> anyhow::Result<()> {
        let wait = ending.left(Duration::from_millis(200));
        recorder.listener.client.wait_readable(Some(wait))?;
        recorder.read()?;
        if let Some(player) = &mut player {
            player.step()?;
        }
        Ok(progress.show(&shown, recorder.now.as_nanoseconds(), 0, out)?)
    };
    // If the sequencer fails, the events so far are written.
    let mut recorded = Ok(());
    while recorded.is_ok() && !ending.is_due() && !recorder.is_full() {
        recorded = turn(&mut recorder);
    }
    progress.finish();
    if let Some(Err(error)) = player.map(|mut player| player.release()) {
        tracing::warn!("cannot release the notes of the file: {error}");
    }
    let (take, losses, end) = recorder.finish();
    let file = match &overdub {
        Some(overdub) => overdub.combine(&take, arguments.ticks)?,
        None => take,
    };
    // The journal stays if the file cannot be written.
    target.write(&file)?;
    // If it cannot be removed, the next start recovers the recording a second time.
    let _ = std::fs::remove_file(journal_path(&target.path));
    recorded.and(end).with_context(|| format!("{shown} was written, but recording ended early"))?;
    if !arguments.quiet {
        let events = counted(file.message_count() as u64, "event");
        let length = clock(file.length().as_nanoseconds());
        writeln!(
            out,
            "{shown}: {events} in {length}, {}",
            counted(file.track_count() as u64, "track")
        )?;
    }
    if losses > 0 {
        let times = counted(losses, "time");
        bail!("{shown} was written, but events were lost {times}: they arrived too fast");
    }
    Ok(ExitCode::SUCCESS)
}

/// A recording in progress.
pub(super) struct Recorder {
    pub(super) listener: Listener,
    follower: Follower,
    recording: Recording,
    /// The time of the first event.
    first: Option<RealTime>,
    /// The time of the latest event.
    latest: RealTime,
    is_trimmed: bool,
    with_system: bool,
    /// How often events were lost.
    losses: u64,
    is_full: bool,
    /// The time of the last call of `read`.
    now: RealTime,
    /// The beginning of a journal of this recording.
    start: Vec<u8>,
    journal: Option<Journal>,
    /// What is missing for each source that does not exist yet.
    missing: Vec<String>,
    metronome: Option<Metronome>,
    /// The queue's time at which the recording begins, after the metronome has counted in.
    origin: RealTime,
    /// How much earlier an event may be and still belong to the recording.
    early: RealTime,
}

impl Recorder {
    pub(super) fn open(
        arguments: &RecordArguments,
        overdub: Option<&Overdub>,
        engine: &Engine,
    ) -> anyhow::Result<Self> {
        let microseconds = (60e6 / arguments.bpm).round();
        if !(1.0..16_777_216.0).contains(&microseconds) {
            bail!("invalid --bpm {}; expected 3.58 to 60000000", arguments.bpm);
        }
        let listener = Listener::open("consort record", engine)?;
        let client = &listener.client;
        let mut missing = Vec::new();
        let mut source = |text: &String| -> anyhow::Result<Wish> {
            Ok(match find_or_wait(client, text, Use::Source)? {
                Ok(port) => Wish::Known(port),
                Err(error) => {
                    let hint = hint(&error).map(|hint| format!(" ({hint})"));
                    missing.push(message(&error) + &hint.unwrap_or_default());
                    Wish::Text(text.clone())
                }
            })
        };
        let sources = arguments.from.iter().map(&mut source).collect::<anyhow::Result<Vec<_>>>()?;
        let mut ports = Vec::new();
        for number in 0..sources.len().max(1) {
            ports.push(listener.port(&format!("in {number}"))?);
        }
        let names: Vec<String> = match sources.is_empty() {
            true => vec![String::new()],
            false => sources.iter().map(Wish::name).collect(),
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut recording = Recording::new(arguments.ticks, microseconds as u32, &names)?;
        let meter = arguments.meter;
        if meter != Meter::COMMON {
            recording.set_time_signature(meter.numerator, meter.denominator);
        }
        let quarter = microseconds as u64 * 1000;
        let metronome = match &arguments.metronome {
            Some(text) => {
                let target = find(client, text, Use::Target)?;
                let beats = match overdub {
                    Some(overdub) => overdub.beats()?,
                    None => Beats::steady(quarter, meter),
                };
                Some(Metronome::open(&listener, &target, beats, arguments.count_in)?)
            }
            None => None,
        };
        let origin = match (&metronome, overdub) {
            (Some(metronome), _) => metronome.origin(),
            (None, Some(_)) => RealTime::from_nanoseconds(LEAD_NANOSECONDS),
            (None, None) => RealTime::ZERO,
        };
        let start = journal::start(arguments.ticks, microseconds as u32, &names);
        let follower = Follower::named(client, &sources, ports)?;
        Ok(Self {
            listener,
            follower,
            recording,
            first: None,
            latest: RealTime::ZERO,
            is_trimmed: arguments.trim,
            with_system: arguments.system,
            losses: 0,
            is_full: false,
            now: RealTime::ZERO,
            start,
            journal: None,
            missing,
            metronome,
            origin,
            early: RealTime::from_nanoseconds(quarter / EARLY_DIVISOR),
        })
    }

    /// Writes what is recorded to a journal beside the file at the same time.
    fn keep_journal(&mut self, target: &Path) -> anyhow::Result<()> {
        let journal = Journal::start(create_journal(target)?)?;
        journal.add(self.start.clone());
        self.journal = Some(journal);
        Ok(())
    }

    /// The first message: what is recorded.
    fn opening(&self) -> String {
        let names: Vec<&str> = self.follower.connected().map(String::as_str).collect();
        if !self.missing.is_empty() {
            let missing = self.missing.join("; ");
            let from = if names.is_empty() { String::new() } else { names.join(", ") + "; " };
            return format!("recording from {from}waiting for a source: {missing}");
        }
        match names.as_slice() {
            [] => format!("recording events sent to {}:0", self.listener.client.client_id()),
            names => format!("recording from {}", names.join(", ")),
        }
    }

    /// The queue's time at which the recording begins.
    pub(super) fn origin(&self) -> RealTime {
        self.origin
    }

    fn is_full(&self) -> bool {
        self.is_full
    }

    /// Records the events that have arrived.
    pub(super) fn read(&mut self) -> anyhow::Result<()> {
        let now = self.listener.time()?;
        self.now = now;
        if let Some(metronome) = &mut self.metronome {
            metronome.step(&self.listener, now)?;
        }
        let (origin, early) = (self.origin, self.early);
        let Self {
            listener,
            follower,
            recording,
            first,
            latest,
            is_trimmed,
            losses,
            is_full,
            journal,
            ..
        } = self;
        let with_system = self.with_system;
        let note = |frame: Option<Vec<u8>>| {
            if let (Some(journal), Some(frame)) = (&*journal, frame) {
                journal.add(frame);
            }
        };
        listener.read(|client, received| {
            let event = match received {
                Received::Event(event) => event,
                Received::Lost => {
                    *losses += 1;
                    tracing::warn!("events were lost at {}", clock(now.as_nanoseconds()));
                    let time = now - first.unwrap_or(origin);
                    recording.release_all(time);
                    note(Some(journal::release(None, time)));
                    for change in follower.announced(client, Announcement::Lost) {
                        report(&change, now);
                    }
                    return Ok(());
                }
            };
            let port = event.dest().port;
            if let Some(announcement) = Announcement::from_event(event) {
                // Every port receives announcements of its own connections; only those at the
                // announcement port count.
                if !follower.is_announcement(port) {
                    return Ok(());
                }
                for change in follower.announced(client, announcement) {
                    report(&change, now);
                    if let Change::Disconnected(track, _) = change {
                        let time = now - first.unwrap_or(origin);
                        recording.release(track, time);
                        note(Some(journal::release(Some(track), time)));
                    }
                }
                return Ok(());
            }
            let Some(track) = follower.track(port) else { return Ok(()) };
            if !with_system && is_system(event) {
                return Ok(());
            }
            // The kernel's stamps can go back a little when its timer is late, and a recording is
            // sorted by time: the order of arrival is kept.
            let time = stamp(event).max(*latest);
            *latest = time;
            if time + early < origin {
                return Ok(());
            }
            let time = time.max(origin);
            let zero = match is_trimmed {
                true => *first.get_or_insert(time),
                false => origin,
            };
            if recording.push(track, time - zero, event) {
                note(journal::event(track, time - zero, event));
            } else if recording.is_full() {
                if !*is_full {
                    tracing::warn!(
                        "recorded {MAX_EVENTS} events, the maximum of a file; recording stops"
                    );
                }
                *is_full = true;
            }
            Ok(())
        })
    }

    /// Ends the recording: the file, how often events were lost, and the result of the last read.
    pub(super) fn finish(mut self) -> (MidiFile, u64, anyhow::Result<()>) {
        let last = self.read();
        if let Some(metronome) = &self.metronome
            && let Err(error) = metronome.stop(&self.listener)
        {
            tracing::warn!("{error:#}");
        }
        let now = self.listener.time().unwrap_or(self.now);
        let end = now - self.first.unwrap_or(self.origin);
        (self.recording.finish(end), self.losses, last)
    }
}

/// Logs a change of the connections.
fn report(change: &Change, now: RealTime) {
    let time = clock(now.as_nanoseconds());
    match change {
        Change::Connected(name) => tracing::info!("{name} connected at {time}"),
        Change::Disconnected(_, name) => {
            tracing::warn!("{name} disconnected at {time}; recording continues and waits for it");
        }
    }
}

/// Whether an event is a system message rather than music: clock, transport, active sensing.
fn is_system(event: &Event) -> bool {
    matches!(
        event.event_type(),
        EventType::CLOCK
            | EventType::START
            | EventType::CONTINUE
            | EventType::STOP
            | EventType::ACTIVE_SENSING
            | EventType::RESET
            | EventType::TUNE_REQUEST
            | EventType::SONG_POSITION
            | EventType::SONG_SELECT
            | EventType::QUARTER_FRAME
    )
}
