//! The command line. Parsing only validates; the modules named like the subcommands do the work.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use consort_router::config::Override;

#[cfg(feature = "discovery")]
use crate::discover::DiscoverArgs;
#[cfg(feature = "midi")]
use crate::midi::MidiCommand;
use crate::reference::BackendsArgs;
use crate::reload::ReloadArgs;
#[cfg(feature = "sc")]
use crate::sc::ScCommand;
#[cfg(feature = "sc")]
use crate::sc_files::{RenderArguments, SynthDefArguments};
#[cfg(feature = "sc")]
use crate::sc_ugens::UGensArguments;
use crate::set::{GetArgs, SetArgs};
use crate::stages::StagesArgs;
#[cfg(feature = "web")]
use crate::web::{WebArgs, WebOptions};
use crate::why::WhyArgs;

/// The end of the help: environment variables and exit statuses.
const ENVIRONMENT: &str = "\
Environment:
  CONSORT_LOG      Log filter: warn, info, debug, consort_router=trace, … [default: info]
  CONSORT_SEQ      MIDI sequencer: kernel or embedded [default: kernel]
  CONSORT_SCSYNTH  SuperCollider server program [default: scsynth]
  XDG_RUNTIME_DIR  Folder with the sockets of running shows [default: /tmp/consort-UID]
  XDG_STATE_HOME   Folder with the tokens of the page [default: ~/.local/state]
  NO_COLOR         Disable colors

Exit status: 0 on success, 1 on failure, 2 if the command line is invalid.";

/// The control bus for live music and shows.
#[derive(Debug, Parser)]
#[command(version, disable_version_flag = true, max_term_width = 100, after_help = ENVIRONMENT)]
pub(crate) struct Cli {
    /// Print version
    #[arg(short = 'v', visible_short_alias = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Parses the arguments of this process; prints help and errors and ends it, if need be.
    pub(crate) fn from_arguments() -> Self {
        let arguments: Vec<_> = std::env::args_os().collect();
        let parsed = Self::try_parse_from(with_run(arguments));
        parsed.map_err(with_tip).unwrap_or_else(|error| error.exit())
    }
}

fn is_configuration(argument: &OsString) -> bool {
    Path::new(argument).extension().is_some_and(|extension| extension == "cfg")
}

/// Inserts `run` before a configuration and the options before it, as in `consort show.cfg` and
/// `consort -i lamp.bind=9000 show.cfg`: MIDIMonster takes these arguments without a subcommand.
fn with_run(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_option = |argument: &OsString| argument.as_encoded_bytes().starts_with(b"-");
    let has_no_command =
        arguments.get(1).is_some_and(|first| is_configuration(first) || is_option(first));
    if has_no_command && arguments.iter().skip(1).any(is_configuration) {
        arguments.insert(1, "run".into());
    }
    arguments
}

/// Adds a tip to the error about an unknown subcommand: the command that runs the file of this name,
/// or the nearest subcommand.
fn with_tip(mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand).cloned()
    else {
        return error;
    };
    if Path::new(&word).is_file() {
        let tip = format!("to run a show, use 'consort run {word}'");
        error.remove(ContextKind::SuggestedSubcommand);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    } else if error.get(ContextKind::SuggestedSubcommand).is_none() {
        let command = Cli::command();
        let names = command.get_subcommands().map(clap::Command::get_name);
        if let Some(name) = consort_suggest::nearest(&word, names) {
            let names = ContextValue::Strings(vec![name.to_owned()]);
            error.insert(ContextKind::SuggestedSubcommand, names);
        }
    }
    error
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a show until it is stopped
    Run(RunArgs),
    /// Check a configuration and report all errors (opens no devices)
    Check(CheckArgs),
    /// List the backends, or describe the options and channels of one
    Backends(BackendsArgs),
    /// List the stages of mappings, or describe one
    Stages(StagesArgs),
    /// Control SuperCollider servers; print SynthDefs, render scores
    #[cfg(feature = "sc")]
    #[command(subcommand)]
    Sc(ScCommands),
    /// List and connect MIDI ports; monitor, send, play and record MIDI
    #[cfg(feature = "midi")]
    #[command(subcommand)]
    Midi(MidiCommand),
    /// Run a self-contained demo show
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Attach the live view to a running show
    Monitor(MonitorArgs),
    /// Show running instances and their status
    Status(StatusArgs),
    /// Replace the configuration of a running show by what its files contain now
    Reload(ReloadArgs),
    /// Set a channel of a running show
    Set(SetArgs),
    /// Print the last value of a channel of a running show
    Get(GetArgs),
    /// Explain why an instance or a channel of a running show does nothing
    Why(WhyArgs),
    /// Serve the page of a running show to web browsers
    #[cfg(feature = "web")]
    Web(WebArgs),
    /// Print the channels on which an instance receives input, as lines for the mapping
    Learn(LearnArgs),
    /// List what is on the local network: OSC, RTP-MIDI, Art-Net, sACN
    #[cfg(feature = "discovery")]
    Discover(DiscoverArgs),
    /// Generate man pages or shell completions
    Generate(GenerateArgs),
}

/// The subcommands of `consort sc`.
#[cfg(feature = "sc")]
#[derive(Debug, Subcommand)]
pub(crate) enum ScCommands {
    #[command(flatten)]
    Server(ScCommand),
    /// Print the contents of SynthDef files
    Synthdef(SynthDefArguments),
    /// Render a score to a sound file
    Render(RenderArguments),
    /// List the UGens, or describe one
    Ugens(UGensArguments),
}

/// Options that override the configuration.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct OverrideArgs {
    /// Override an option of a backend (repeatable)
    #[arg(short = 'b', value_name = "BACKEND.OPTION=VALUE")]
    backend: Vec<String>,
    /// Override an option of an instance (repeatable)
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
    /// Show instances, values and the log in the terminal
    #[arg(long)]
    pub(crate) monitor: bool,
    /// Reload the show when its configuration or its scripts change
    #[arg(long)]
    pub(crate) watch: bool,
    /// Run the router at realtime priority (1 to 99) and lock its memory
    #[arg(long, value_name = "PRIORITY", num_args = 0..=1, require_equals = true,
          default_missing_value = "50", value_parser = clap::value_parser!(u8).range(1..=99))]
    pub(crate) realtime: Option<u8>,
    #[cfg(feature = "web")]
    #[command(flatten)]
    pub(crate) web: WebOptions,
    /// Configuration file [default: show.cfg, then monster.cfg]
    pub(crate) file: Option<PathBuf>,
}

impl RunArgs {
    /// The options that override the configuration.
    pub(crate) fn overrides(&self) -> Vec<Override> {
        self.set.overrides()
    }
}

/// Arguments of `consort check`.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    set: OverrideArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub(crate) format: CheckFormat,
    /// Exit with 1 on warnings, too
    #[arg(long)]
    pub(crate) strict: bool,
    /// Configuration files
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

impl CheckArgs {
    /// The options that override the configurations.
    pub(crate) fn overrides(&self) -> Vec<Override> {
        self.set.overrides()
    }
}

/// The output formats of `consort check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// Source lines with errors underlined, and hints
    Text,
    /// One JSON document on standard output
    Json,
}

/// Arguments of `consort demo`.
#[cfg(feature = "demo")]
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Duration of the demo
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) seconds: u64,
}

/// Arguments of `consort monitor`.
#[derive(Args, Debug)]
pub(crate) struct MonitorArgs {
    /// Process ID of the show; needed if several are running
    pub(crate) process: Option<u32>,
}

/// The end of the help of `consort status`.
const STATUS_EXIT: &str = "\
Exit status: 0 on success, 1 if no show is running or one does not respond, 2 if the command line
is invalid, 3 if an instance is failed or degraded.";

/// Arguments of `consort status`.
#[derive(Args, Debug)]
#[command(after_help = STATUS_EXIT)]
pub(crate) struct StatusArgs {
    /// Print JSON: a list of shows with instances, channels and values
    #[arg(long)]
    pub(crate) json: bool,
    /// Process ID of the show; by default all are shown
    pub(crate) process: Option<u32>,
}

/// Arguments of `consort learn`.
#[derive(Args, Debug)]
pub(crate) struct LearnArgs {
    #[command(flatten)]
    set: OverrideArgs,
    /// Stop after this many seconds instead of at Ctrl-C
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: Option<u64>,
    /// Write the options that the values need into the file
    #[arg(long)]
    pub(crate) write: bool,
    /// With --write, map what was learned to a channel, or to the same channels of an instance
    #[arg(long = "to", value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// Configuration file; the command attaches to this show, or runs it if it is not running
    pub(crate) file: PathBuf,
    /// Instance whose input to print [default: all]
    #[arg(value_name = "INSTANCE")]
    pub(crate) name: Option<String>,
}

impl LearnArgs {
    /// The options that override the configuration.
    pub(crate) fn overrides(&self) -> Vec<Override> {
        self.set.overrides()
    }
}

/// Arguments of `consort generate`.
#[derive(Args, Debug)]
pub(crate) struct GenerateArgs {
    #[command(subcommand)]
    pub(crate) target: Generated,
}

/// What `consort generate` writes.
#[derive(Debug, Subcommand)]
pub(crate) enum Generated {
    /// Write man pages, one for each subcommand, into a folder
    Man {
        /// Folder for the pages; created if it does not exist
        folder: PathBuf,
    },
    /// Print shell completions
    Completions {
        /// Shell to generate completions for
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_unknown_subcommand_gets_a_tip() {
        let tip = |word: &str| {
            let error = Cli::try_parse_from(["consort", word]).expect_err("an unknown subcommand");
            with_tip(error).to_string()
        };
        assert!(tip("Cargo.toml").contains("tip: to run a show, use 'consort run Cargo.toml'"));
        assert!(tip("rnu").contains("a similar subcommand exists: 'run'"), "{}", tip("rnu"));
        assert!(!tip("xyzzy").contains("tip"), "{}", tip("xyzzy"));
    }

    #[test]
    fn a_configuration_alone_is_run() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (line, expected) in [
            ("consort show.cfg", "consort run show.cfg"),
            ("consort --monitor show.cfg", "consort run --monitor show.cfg"),
            ("consort -i a.b=1 shows/show.cfg", "consort run -i a.b=1 shows/show.cfg"),
            ("consort check show.cfg", "consort check show.cfg"),
            ("consort -v", "consort -v"),
            ("consort rnu", "consort rnu"),
        ] {
            assert_eq!(with_run(words(line)), words(expected), "{line}");
        }
        for flag in ["-v", "-V", "--version"] {
            let shown = Cli::try_parse_from(["consort", flag]).expect_err("the version");
            assert_eq!(shown.kind(), ErrorKind::DisplayVersion, "{flag}");
        }
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
