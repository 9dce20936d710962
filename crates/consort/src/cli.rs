//! What can be asked of the command. Parsing only validates; the modules named like the
//! sub-commands act.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use consort_router::config::Override;

#[cfg(feature = "midi")]
use crate::midi::MidiCommand;
#[cfg(feature = "sc")]
use crate::sc::ScCommand;
#[cfg(feature = "sc")]
use crate::sc_files::{RenderArguments, SynthDefArguments};
#[cfg(feature = "sc")]
use crate::sc_ugens::UGensArguments;

/// What is asked of the environment.
const ENVIRONMENT: &str = "\
Environment:
  CONSORT_LOG      What is logged: warn, info, debug, consort_router=trace, …
  CONSORT_SEQ      The MIDI sequencer: kernel, or embedded in this process
  CONSORT_SCSYNTH  The program of SuperCollider's server, otherwise scsynth
  XDG_RUNTIME_DIR  Where running shows are found; otherwise in /tmp/consort-UID
  NO_COLOR         Nothing is coloured

Exit status: 0 if all went well, 1 if not, 2 if the command line is wrong.";

/// The control bus for live music and shows.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = ENVIRONMENT)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a show until it is stopped
    Run(RunArgs),
    /// Say everything that is wrong with a configuration; opens and sends nothing
    Check(CheckArgs),
    /// Explain what can be connected, and the options of each backend
    Backends(BackendsArgs),
    /// SuperCollider: servers, SynthDefs and scores
    #[cfg(feature = "sc")]
    #[command(subcommand)]
    Sc(ScCommands),
    /// The ALSA sequencer: ports and connections, events in words, MIDI files
    #[cfg(feature = "midi")]
    #[command(subcommand)]
    Midi(MidiCommand),
    /// See a show that is alive, on a machine that has nothing but this program
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Look into a show that runs: instances, values, rates, log
    Monitor(MonitorArgs),
    /// Say which shows run and how they are
    Status(StatusArgs),
    /// Show which channels come in at an instance, ready to be mapped
    Learn(LearnArgs),
    /// Write the manual pages or the completions of a shell
    #[command(hide = true)]
    Generate(GenerateArgs),
}

/// What `consort sc` does.
#[cfg(feature = "sc")]
#[derive(Debug, Subcommand)]
pub(crate) enum ScCommands {
    #[command(flatten)]
    Server(ScCommand),
    /// Print what is in SynthDef files
    Synthdef(SynthDefArguments),
    /// Render a score to a sound file
    Render(RenderArguments),
    /// Explain a UGen, or list all
    Ugens(UGensArguments),
}

/// Options of the command line that replace those of the configuration.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct OverrideArgs {
    /// Set an option of a backend, instead of what the configuration says; may repeat
    #[arg(short = 'b', value_name = "BACKEND.OPTION=VALUE")]
    backend: Vec<String>,
    /// Set an option of an instance, instead of what the configuration says; may repeat
    #[arg(short = 'i', value_name = "INSTANCE.OPTION=VALUE")]
    instance: Vec<String>,
}

impl OverrideArgs {
    fn overrides(&self) -> Vec<Override> {
        let backend = self.backend.iter().map(Override::backend);
        backend.chain(self.instance.iter().map(Override::instance)).collect()
    }
}

/// Arguments of `consort run`.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    set: OverrideArgs,
    /// Show instances, values and the log while the show runs
    #[arg(long)]
    pub(crate) monitor: bool,
    /// Route at realtime priority (1 to 99), in locked memory; says what the system refuses
    #[arg(long, value_name = "PRIORITY", num_args = 0..=1, require_equals = true,
          default_missing_value = "50", value_parser = clap::value_parser!(u8).range(1..=99))]
    pub(crate) realtime: Option<u8>,
    /// The configuration [default: show.cfg, then monster.cfg]
    pub(crate) file: Option<PathBuf>,
}

impl RunArgs {
    /// What the command line says instead of the configuration.
    pub(crate) fn overrides(&self) -> Vec<Override> {
        self.set.overrides()
    }
}

/// Arguments of `consort check`.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    set: OverrideArgs,
    /// How to say it
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub(crate) format: CheckFormat,
    /// The configurations
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

impl CheckArgs {
    /// What the command line says instead of the configurations.
    pub(crate) fn overrides(&self) -> Vec<Override> {
        self.set.overrides()
    }
}

/// How `consort check` says what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// For people: the text underlined, with hints
    Text,
    /// For programs: one JSON document on standard output
    Json,
}

/// Arguments of `consort backends`.
#[derive(Args, Debug)]
pub(crate) struct BackendsArgs {
    /// The backend to explain; without one, all are listed
    pub(crate) name: Option<String>,
    /// How to write it
    #[arg(long, value_enum, default_value_t = PageFormat::Text)]
    pub(crate) format: PageFormat,
}

/// How a page of the reference is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PageFormat {
    /// For the terminal
    Text,
    /// As in docs/
    Markdown,
}

/// Arguments of `consort demo`.
#[cfg(feature = "demo")]
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// How long it lasts
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) seconds: u64,
}

/// Arguments of `consort monitor`.
#[derive(Args, Debug)]
pub(crate) struct MonitorArgs {
    /// The process that runs the show, where there are several
    pub(crate) process: Option<u32>,
}

/// Arguments of `consort status`.
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// One JSON document: a list of shows with instances, channels and values
    #[arg(long)]
    pub(crate) json: bool,
    /// Only the show of this process
    pub(crate) process: Option<u32>,
}

/// Arguments of `consort learn`.
#[derive(Args, Debug)]
pub(crate) struct LearnArgs {
    #[command(flatten)]
    set: OverrideArgs,
    /// End after so many seconds; otherwise at Ctrl-C
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: Option<u64>,
    /// The configuration; it runs while you learn
    pub(crate) file: PathBuf,
    /// The instance whose input is shown
    #[arg(value_name = "INSTANCE")]
    pub(crate) name: String,
}

impl LearnArgs {
    /// What the command line says instead of the configuration.
    pub(crate) fn overrides(&self) -> Vec<Override> {
        self.set.overrides()
    }
}

/// Arguments of `consort generate`.
#[derive(Args, Debug)]
pub(crate) struct GenerateArgs {
    #[command(subcommand)]
    pub(crate) what: Generated,
}

/// What `consort generate` writes.
#[derive(Debug, Subcommand)]
pub(crate) enum Generated {
    /// Manual pages, one for each command, into a folder
    Man {
        /// The folder; it is made where it is missing
        folder: PathBuf,
    },
    /// Completions, to standard output
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn overrides_keep_their_order() {
        let arguments = ["consort", "run", "-i", "a.b=1", "-b", "osc.detect=on", "-i", "a.b=2"];
        let Command::Run(run) = Cli::parse_from(arguments).command else { panic!("not run") };
        assert_eq!(run.file, None);
        assert_eq!(
            run.overrides(),
            [
                Override::backend("osc.detect=on"),
                Override::instance("a.b=1"),
                Override::instance("a.b=2")
            ]
        );
    }
}
