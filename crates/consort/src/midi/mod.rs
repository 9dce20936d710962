//! `consort midi`: the ALSA sequencer from the command line.
//!
//! There is one file per subcommand. Logic is kept apart from the sequencer: `words` (the text
//! form of events), `find` (names of ports), `schedule` (when events of files are sent),
//! `pulses` (their MIDI clock) and `chase` (the state in the middle of a file) do no I/O. `player`, `listener` and `follow` run on
//! any engine, so that tests run them on the embedded one with its virtual clock.

mod chase;
mod connect;
mod describe;
mod find;
mod follow;
mod info;
mod journal;
mod keys;
mod listener;
mod metronome;
mod monitor;
mod overdub;
mod play;
mod player;
mod ports;
mod progress;
mod pulses;
mod receivers;
mod record;
mod recover;
mod roll;
mod schedule;
mod send;
mod songs;
mod target;
#[cfg(test)]
mod tests;
mod watch;
mod words;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::ValueEnum;
use consort_seq::engine::OpenErrorKind;
use consort_seq::{Embedded, Engine, Error, SequencerClient};

use crate::errors::{is_closed_output, with_hint};
use crate::text::counted;

/// List and connect MIDI ports; monitor, send, play and record MIDI.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum MidiCommand {
    /// List the ports
    Ports(ports::PortsArguments),
    /// Connect two ports
    Connect(connect::ConnectArguments),
    /// Disconnect two ports
    Disconnect(connect::ConnectArguments),
    /// Print incoming events until Ctrl-C
    Monitor(monitor::MonitorArguments),
    /// Send events to a port
    #[command(after_long_help = send::help())]
    Send(send::SendArguments),
    /// Play Standard MIDI Files to a port
    Play(play::PlayArguments),
    /// Print what Standard MIDI Files contain, and where they are damaged
    Info(info::InfoArguments),
    /// Record to a Standard MIDI File until Ctrl-C
    Record(record::RecordArguments),
    /// Write the recordings that an interrupted `record` left in journals
    Recover(recover::RecoverArguments),
    /// Print devices, ports and connections as they appear and disappear
    Watch(watch::WatchArguments),
}

/// The sequencer to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    /// The kernel's sequencer (ALSA), which connects to MIDI devices and other programs
    Kernel,
    /// A sequencer inside this process, without other clients, for trying things out
    Embedded,
}

/// The option that selects the sequencer.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct EngineArguments {
    /// Sequencer to use [default: CONSORT_SEQ, then kernel]
    #[arg(long, value_enum, value_name = "ENGINE")]
    pub(crate) engine: Option<EngineName>,
}

impl EngineArguments {
    fn engine(self) -> anyhow::Result<Engine> {
        Ok(match self.engine {
            None => Engine::from_environment()?,
            Some(EngineName::Kernel) => Engine::kernel(),
            Some(EngineName::Embedded) => Engine::Embedded(Embedded::process_wide()),
        })
    }
}

/// Runs a subcommand until it is done or `stop` is set (by Ctrl-C); prints to `out`.
pub(crate) fn run(
    command: &MidiCommand,
    stop: &Arc<AtomicBool>,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let done = match command {
        MidiCommand::Ports(arguments) => ports::run(arguments, out).map(|()| ExitCode::SUCCESS),
        MidiCommand::Connect(arguments) => {
            connect::connect(arguments, out).map(|()| ExitCode::SUCCESS)
        }
        MidiCommand::Disconnect(arguments) => {
            connect::disconnect(arguments, out).map(|()| ExitCode::SUCCESS)
        }
        MidiCommand::Monitor(arguments) => monitor::run(arguments, stop, out),
        MidiCommand::Send(arguments) => send::run(arguments, stop),
        MidiCommand::Play(arguments) => play::run(arguments, stop, out),
        MidiCommand::Info(arguments) => info::run(arguments, out),
        MidiCommand::Recover(arguments) => recover::run(arguments, out),
        MidiCommand::Record(arguments) => record::run(arguments, stop, out),
        MidiCommand::Watch(arguments) => watch::run(arguments, stop, out),
    };
    match done {
        // If the output is closed, nobody reads the rest: no error.
        Err(error) if is_closed_output(&error) => Ok(ExitCode::SUCCESS),
        // The messages of the sequencer's errors include their sources.
        Err(error) if error.is::<Error>() => Err(anyhow!("{error}")),
        done => done,
    }
}

/// An output for progress and summaries, whose failure does not stop playing or recording.
struct Optional<'a>(&'a mut dyn Write);

impl Write for Optional<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.0.write(bytes).unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// Opens a client on an engine.
fn open(name: &str, engine: &Engine) -> anyhow::Result<SequencerClient> {
    SequencerClient::builder(name).engine(engine.clone()).open().map_err(|error| {
        match group_of_device(engine, &error) {
            Some(group) => with_hint(
                error.to_string(),
                format!("join the group `{group}`: sudo usermod -aG {group} USER"),
            ),
            None => error.into(),
        }
    })
}

/// The group that may open the sequencer, if this user is not in it.
fn group_of_device(engine: &Engine, error: &Error) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;

    if error.open_error()?.kind() != OpenErrorKind::PermissionDenied {
        return None;
    }
    let Engine::Kernel { path } = engine else { return None };
    let device = std::fs::metadata(path).ok()?;
    // Joining the group helps only if the group has access.
    if device.mode() & 0o060 != 0o060 || device.gid() == 0 {
        return None;
    }
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    group_name(&groups, device.gid())
}

/// The name of group number `wanted` in the text of /etc/group.
fn group_name(groups: &str, wanted: u32) -> Option<String> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number = fields.nth(1)?;
        (number.parse() == Ok(wanted)).then(|| name.to_owned())
    })
}

/// When a subcommand ends: at a signal, or after a time.
struct Ending<'a> {
    stop: &'a AtomicBool,
    deadline: Option<Instant>,
}

impl<'a> Ending<'a> {
    fn new(stop: &'a AtomicBool, seconds: Option<f64>) -> anyhow::Result<Self> {
        let after = |seconds| {
            let time = Duration::try_from_secs_f64(seconds).context("--seconds")?;
            Instant::now().checked_add(time).context("--seconds")
        };
        Ok(Self { stop, deadline: seconds.map(after).transpose()? })
    }

    fn is_due(&self) -> bool {
        let is_stopped = self.stop.load(Ordering::Relaxed);
        is_stopped || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The time until the end, but at most `limit`. A signal interrupts a wait, but not one that
    /// begins just after it, so waits must be short.
    fn left(&self, limit: Duration) -> Duration {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        left.map_or(limit, |left| left.min(limit))
    }
}

/// A time as it is printed: `3:25`, `1:02:03`.
fn clock(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Parses seconds, `MINUTES:SECONDS` or `HOURS:MINUTES:SECONDS`; seconds may have decimals.
fn read_clock(text: &str) -> Result<Duration, String> {
    let fail = || format!("invalid time `{text}`; expected seconds, M:SS or H:MM:SS");
    let mut parts = text.rsplit(':');
    let seconds: f64 = parts.next().and_then(|part| part.parse().ok()).ok_or_else(fail)?;
    let mut whole = 0u64;
    for (part, unit) in parts.zip([60, 3600, 0]) {
        let number: u32 = part.parse().map_err(|_| fail())?;
        if unit == 0 {
            return Err(fail());
        }
        whole += u64::from(number) * unit;
    }
    let time = Duration::try_from_secs_f64(seconds).map_err(|_| fail())?;
    time.checked_add(Duration::from_secs(whole)).ok_or_else(fail)
}
