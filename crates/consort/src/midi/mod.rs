//! `consort midi`: the sequencer at the command line.
//!
//! One file a sub-command. What decides something is apart from what talks to the sequencer:
//! `words` (events in words), `find` (names of ports), `schedule` (files in time) and
//! `chase` (what stands in the middle of a file) are pure;
//! `player`, `listener` and `follow` step on any engine, so that the tests run them on the
//! embedded one and its virtual clock.

mod chase;
mod connect;
mod describe;
mod find;
mod follow;
mod listener;
mod monitor;
mod play;
mod player;
mod ports;
mod progress;
mod record;
mod schedule;
mod send;
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

use crate::diagnostics::counted;

/// The ALSA sequencer: ports and connections, events in words, MIDI files.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum MidiCommand {
    /// List the ports that there are
    Ports(ports::PortsArguments),
    /// Connect two ports, so that events go from one to the other
    Connect(connect::ConnectArguments),
    /// Disconnect two ports
    Disconnect(connect::ConnectArguments),
    /// Print every event that comes in, until Ctrl-C
    Monitor(monitor::MonitorArguments),
    /// Send events to a port
    #[command(after_long_help = send::help())]
    Send(send::SendArguments),
    /// Play Standard MIDI Files to a port
    Play(play::PlayArguments),
    /// Record what comes in to a Standard MIDI File, until Ctrl-C
    Record(record::RecordArguments),
    /// Say which devices and ports come and go, until Ctrl-C
    Watch(watch::WatchArguments),
}

/// Which sequencer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    /// The kernel's, with its devices and all other programs
    Kernel,
    /// One inside this process, where there is nobody else: to try things out
    Embedded,
}

#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct EngineArguments {
    /// Which sequencer [default: what CONSORT_SEQ says, or the kernel's]
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

/// Runs a command until it is done or `stop` is set (by Ctrl-C); prints to `out`.
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
        MidiCommand::Record(arguments) => record::run(arguments, stop, out),
        MidiCommand::Watch(arguments) => watch::run(arguments, stop, out),
    };
    match done {
        // Whoever closed the output has seen enough.
        Err(error) if is_closed_output(&error) => Ok(ExitCode::SUCCESS),
        // The sequencer's errors say all that their sources do.
        Err(error) if error.is::<Error>() => Err(anyhow!("{error}")),
        done => done,
    }
}

/// For what is said beside the work: where the output takes nothing, the work goes on.
struct Aside<'a>(&'a mut dyn Write);

impl Write for Aside<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.0.write(bytes).unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

fn is_closed_output(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Opens a client on an engine.
fn open(name: &str, engine: &Engine) -> anyhow::Result<SequencerClient> {
    SequencerClient::builder(name).engine(engine.clone()).open().map_err(|error| {
        match group_of_device(engine, &error) {
            Some(group) => anyhow!("{error}; here it is `{group}`: sudo usermod -aG {group} USER"),
            None => error.into(),
        }
    })
}

/// The group that may open the sequencer, where that is what is missing.
fn group_of_device(engine: &Engine, error: &Error) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;

    if error.open_error()?.kind() != OpenErrorKind::PermissionDenied {
        return None;
    }
    let Engine::Kernel { path } = engine else { return None };
    let device = std::fs::metadata(path).ok()?;
    // Only where the group has what others lack does joining it help.
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

/// When to end: at a signal, or after a time.
struct Ending<'a> {
    stop: &'a AtomicBool,
    at: Option<Instant>,
}

impl<'a> Ending<'a> {
    fn new(stop: &'a AtomicBool, seconds: Option<f64>) -> anyhow::Result<Self> {
        let after = |seconds| {
            let time = Duration::try_from_secs_f64(seconds).context("--seconds")?;
            Instant::now().checked_add(time).context("--seconds")
        };
        Ok(Self { stop, at: seconds.map(after).transpose()? })
    }

    fn is_asked(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn is_due(&self) -> bool {
        self.is_asked() || self.at.is_some_and(|at| Instant::now() >= at)
    }

    /// `most`, or what is left until the end. A signal interrupts the wait, but one that comes
    /// just before it does not: so waits are short.
    fn left(&self, most: Duration) -> Duration {
        let left = self.at.map(|at| at.saturating_duration_since(Instant::now()));
        left.map_or(most, |left| left.min(most))
    }
}

/// A time for people: `3:25`, `1:02:03`.
fn clock(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Reads seconds, `MINUTES:SECONDS` or `HOURS:MINUTES:SECONDS`; seconds may have decimals.
fn read_clock(text: &str) -> Result<Duration, String> {
    let fail = || format!("`{text}` is no time; expected seconds, M:SS or H:MM:SS");
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
