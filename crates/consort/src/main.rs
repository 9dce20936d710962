//! The `consort` command: runs and checks shows, and describes what they can consist of.

mod check;
mod cli;
#[cfg(feature = "demo")]
mod demo;
mod diagnostics;
#[cfg(feature = "discovery")]
mod discover;
mod errors;
mod generate;
mod inherited;
mod json;
mod learn;
mod log;
#[cfg(feature = "midi")]
mod midi;
mod monitor;
mod notify;
mod realtime;
mod reference;
mod reload;
mod run;
#[cfg(feature = "sc")]
mod sc;
#[cfg(feature = "sc")]
mod sc_files;
#[cfg(feature = "sc")]
mod sc_ugens;
mod set;
mod signals;
mod stages;
#[cfg(any(feature = "discovery", feature = "midi"))]
mod table;
mod text;
#[cfg(feature = "web")]
mod web;
mod why;

use std::process::ExitCode;

#[cfg(feature = "sc")]
use crate::cli::ScCommands;
use crate::cli::{Cli, Command};
#[cfg(feature = "midi")]
use crate::midi::MidiCommand;

fn main() -> ExitCode {
    inherited::repair();
    // A worker starts as fast as possible: before anything else is set up.
    #[cfg(any(feature = "lua", feature = "python"))]
    consort_backends::worker::serve_if_worker();
    let cli = Cli::from_arguments();
    let _log = log::init();
    let done = match &cli.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Backends(arguments) => reference::run(arguments),
        Command::Stages(arguments) => stages::run(arguments),
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => demo::run(arguments),
        Command::Monitor(arguments) => monitor::run(arguments),
        Command::Status(arguments) => monitor::print_status(arguments),
        Command::Reload(arguments) => reload::run(arguments),
        Command::Set(arguments) => set::set(arguments),
        Command::Get(arguments) => set::get(arguments),
        Command::Why(arguments) => why::run(arguments),
        #[cfg(feature = "discovery")]
        Command::Discover(arguments) => discover::run(arguments),
        Command::Learn(arguments) => learn::run(arguments),
        Command::Generate(arguments) => generate::run(arguments),
        #[cfg(feature = "sc")]
        Command::Sc(command) => supercollider(command),
        #[cfg(feature = "web")]
        Command::Web(arguments) => web::run(arguments),
        #[cfg(feature = "midi")]
        Command::Midi(command) => sequencer(command),
    };
    done.unwrap_or_else(|error| {
        if errors::is_closed_output(&error) {
            return ExitCode::SUCCESS;
        }
        errors::log(&error);
        ExitCode::FAILURE
    })
}

#[cfg(feature = "sc")]
fn supercollider(command: &ScCommands) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match command {
        ScCommands::Server(command) => sc::run(command, &signals::flag_on_signals()?, &mut out),
        ScCommands::Synthdef(arguments) => {
            sc_files::synthdef(arguments, &mut out).map(|()| ExitCode::SUCCESS)
        }
        ScCommands::Render(arguments) => {
            sc_files::render(arguments, &mut out).map(|()| ExitCode::SUCCESS)
        }
        ScCommands::Ugens(arguments) => sc_ugens::run(arguments, &mut out),
    }
}

#[cfg(feature = "midi")]
fn sequencer(command: &MidiCommand) -> anyhow::Result<ExitCode> {
    midi::run(command, &signals::flag_on_signals()?, &mut std::io::stdout().lock())
}
