//! `consort midi record`.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, bail};
use consort_seq::file::{EVENT_LIMIT, MidiFile, Recording};
use consort_seq::{Announcement, Engine, Event, EventType, RealTime};

use super::find::{Use, find, name};
use super::follow::{Change, Follower};
use super::listener::{Heard, Listener, stamp};
use super::progress::Progress;
use super::{Ending, EngineArguments, clock, counted};

/// Arguments of `consort midi record`.
#[derive(clap::Args, Debug)]
pub(crate) struct RecordArguments {
    /// The file to write: format 0 for one source, format 1 with a track for each of several
    file: PathBuf,
    /// Where events come from; may repeat. Without one, a port waits to be connected
    #[arg(long, value_name = "PORT")]
    from: Vec<String>,
    /// End after so many seconds; otherwise at Ctrl-C
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// The file's tempo in quarter notes per minute; it changes the notation, not the timing
    #[arg(long, value_name = "BPM", default_value_t = 120.0)]
    bpm: f64,
    /// Ticks of a quarter note, 1 to 32767: how finely times are kept
    #[arg(long, value_name = "TICKS", default_value_t = 9600)]
    ticks: u16,
    /// Leave out the silence before the first event
    #[arg(long)]
    trim: bool,
    /// Record what controls sequencers too: clock, start, stop, position, sensing and so on
    #[arg(long)]
    system: bool,
    /// Replace the file if there is one
    #[arg(long, short)]
    force: bool,
    /// Print nothing but errors
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
    let mut recorder = Recorder::open(arguments, &arguments.engine.engine()?)?;
    let ending = Ending::new(stop, arguments.seconds)?;
    if !arguments.quiet {
        writeln!(out, "{}; Ctrl-C ends", recorder.opening())?;
        out.flush()?;
    }
    let mut progress = Progress::new(arguments.quiet);
    let shown = arguments.file.display().to_string();
    while !ending.is_due() && !recorder.is_full() {
        let wait = ending.left(Duration::from_millis(200));
        recorder.listener.client.wait_readable(Some(wait))?;
        recorder.read()?;
        progress.show(&shown, recorder.listener.time()?.as_nanoseconds(), 0, out)?;
    }
    progress.finish();
    let (file, losses) = recorder.finish()?;
    target.write(&file)?;
    if !arguments.quiet {
        let events = counted(file.message_count(), "event");
        let length = clock(file.length().as_nanoseconds());
        writeln!(out, "{shown}: {events} in {length}, {}", counted(file.track_count(), "track"))?;
    }
    if losses > 0 {
        bail!("{shown} is there, but events were lost {losses} times: they came too fast");
    }
    Ok(ExitCode::SUCCESS)
}

/// What is being recorded.
pub(super) struct Recorder {
    pub(super) listener: Listener,
    follower: Follower,
    recording: Recording,
    /// The time of the first event.
    first: Option<RealTime>,
    is_trimmed: bool,
    with_system: bool,
    losses: u64,
    is_full: bool,
}

impl Recorder {
    pub(super) fn open(arguments: &RecordArguments, engine: &Engine) -> anyhow::Result<Self> {
        let microseconds = (60e6 / arguments.bpm).round();
        if !(1.0..16_777_216.0).contains(&microseconds) {
            bail!("--bpm {}; expected 3.58 to 60000000", arguments.bpm);
        }
        let listener = Listener::open("consort record", engine)?;
        let client = &listener.client;
        let find = |text: &String| find(client, text, Use::Source);
        let sources = arguments.from.iter().map(find).collect::<anyhow::Result<Vec<_>>>()?;
        let mut ports = Vec::new();
        for number in 0..sources.len().max(1) {
            ports.push(listener.port(&format!("in {number}"))?);
        }
        let names: Vec<String> = match sources.is_empty() {
            true => vec![String::new()],
            false => sources.iter().map(name).collect(),
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let recording = Recording::new(arguments.ticks, microseconds as u32, &names)?;
        let follower = Follower::named(client, &sources, ports)?;
        Ok(Self {
            listener,
            follower,
            recording,
            first: None,
            is_trimmed: arguments.trim,
            with_system: arguments.system,
            losses: 0,
            is_full: false,
        })
    }

    fn opening(&self) -> String {
        let names: Vec<&str> = self.follower.connected().map(String::as_str).collect();
        match names.as_slice() {
            [] => format!("recording what is sent to {}:0", self.listener.client.client_id()),
            names => format!("recording from {}", names.join(", ")),
        }
    }

    fn is_full(&self) -> bool {
        self.is_full
    }

    /// Takes what has arrived.
    pub(super) fn read(&mut self) -> anyhow::Result<()> {
        let now = self.listener.time()?;
        let Self { listener, follower, recording, first, is_trimmed, losses, is_full, .. } = self;
        let with_system = self.with_system;
        listener.read(|client, heard| {
            let event = match heard {
                Heard::Event(event) => event,
                Heard::Lost => {
                    *losses += 1;
                    tracing::warn!("events were lost at {}", clock(now.as_nanoseconds()));
                    recording.release_all(now - first.unwrap_or(RealTime::ZERO));
                    follower.announced(client, Announcement::Lost);
                    return Ok(());
                }
            };
            let port = event.dest().port;
            if let Some(announcement) = Announcement::from_event(event) {
                // Every port hears of its own connections; what counts comes to the one for it.
                if !follower.is_announcement(port) {
                    return Ok(());
                }
                for change in follower.announced(client, announcement) {
                    report(&change, now);
                    if let Change::Went(track, _) = change {
                        recording.release(track, now - first.unwrap_or(RealTime::ZERO));
                    }
                }
                return Ok(());
            }
            let Some(track) = follower.track(port) else { return Ok(()) };
            if !with_system && is_system(event) {
                return Ok(());
            }
            let time = stamp(event);
            let zero = match is_trimmed {
                true => *first.get_or_insert(time),
                false => RealTime::ZERO,
            };
            if !recording.push(track, time - zero, event) && recording.is_full() {
                if !*is_full {
                    tracing::warn!("{EVENT_LIMIT} events are recorded; a file takes no more");
                }
                *is_full = true;
            }
            Ok(())
        })
    }

    /// The file, and how often events were lost.
    pub(super) fn finish(mut self) -> anyhow::Result<(MidiFile, u64)> {
        self.read()?;
        let end = self.listener.time()? - self.first.unwrap_or(RealTime::ZERO);
        Ok((self.recording.finish(end), self.losses))
    }
}

fn report(change: &Change, now: RealTime) {
    let at = clock(now.as_nanoseconds());
    match change {
        Change::Came(name) => tracing::info!("{name} is back at {at}"),
        Change::Went(_, name) => {
            tracing::warn!("{name} has gone at {at}; recording goes on and waits for it");
        }
    }
}

/// Whether an event is about sequencers and wires rather than music.
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

/// Where the file goes: written beside its place and moved there when it is whole.
pub(super) struct Target {
    path: PathBuf,
    folder: PathBuf,
    is_forced: bool,
}

impl Target {
    /// Fails early where writing could only fail at the end.
    pub(super) fn new(path: &Path, is_forced: bool) -> anyhow::Result<Self> {
        let shown = path.display();
        if !is_forced && path.exists() {
            bail!("{shown} exists already; --force replaces it");
        }
        if path.is_dir() || path.file_name().is_none() {
            bail!("{shown} is a folder; expected a file to write");
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let this = Self { path: path.to_path_buf(), folder, is_forced };
        drop(this.temporary()?);
        Ok(this)
    }

    fn temporary(&self) -> anyhow::Result<tempfile::NamedTempFile> {
        tempfile::Builder::new()
            .prefix(".consort-")
            .suffix(".mid")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(&self.folder)
            .with_context(|| format!("cannot write to the folder {}", self.folder.display()))
    }

    pub(super) fn write(&self, file: &MidiFile) -> anyhow::Result<()> {
        let cannot = || format!("cannot write {}", self.path.display());
        let bytes = file.to_bytes().with_context(cannot)?;
        let mut temporary = self.temporary()?;
        temporary.write_all(&bytes).with_context(cannot)?;
        temporary.as_file().sync_all().with_context(cannot)?;
        if self.is_forced {
            temporary.persist(&self.path).map_err(|error| error.error).with_context(cannot)?;
            return Ok(());
        }
        match temporary.persist_noclobber(&self.path) {
            Ok(_) => Ok(()),
            Err(error) => {
                // Somebody else has made it meanwhile: what was recorded must not be lost.
                let (_, kept) = error.file.keep().with_context(cannot)?;
                bail!(
                    "{} has come into being meanwhile; the recording is in {}",
                    self.path.display(),
                    kept.display()
                );
            }
        }
    }
}
