//! The command: shows are run, checked and explained.

mod check;
mod cli;
#[cfg(feature = "demo")]
mod demo;
mod diagnostics;
mod generate;
mod json;
mod learn;
mod log;
#[cfg(feature = "midi")]
mod midi;
mod monitor;
mod notify;
mod realtime;
mod reference;
mod run;
#[cfg(feature = "sc")]
mod sc;
#[cfg(feature = "sc")]
mod sc_files;
#[cfg(feature = "sc")]
mod sc_ugens;
mod signals;

use std::process::ExitCode;

use clap::Parser;

#[cfg(feature = "sc")]
use crate::cli::ScCommands;
use crate::cli::{Cli, Command};
#[cfg(feature = "midi")]
use crate::midi::MidiCommand;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let _log = log::init();
    let done = match &cli.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Backends(arguments) => reference::run(arguments),
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => demo::run(arguments),
        Command::Monitor(arguments) => monitor::run(arguments),
        Command::Status(arguments) => monitor::print_status(arguments),
        Command::Learn(arguments) => learn::run(arguments),
        Command::Generate(arguments) => generate::run(arguments),
        #[cfg(feature = "sc")]
        Command::Sc(command) => supercollider(command),
        #[cfg(feature = "midi")]
        Command::Midi(command) => sequencer(command),
    };
    done.unwrap_or_else(|error| {
        if is_reader_gone(&error) {
            return ExitCode::SUCCESS;
        }
        tracing::error!("{}", said(&error));
        ExitCode::FAILURE
    })
}

/// An error and its causes on one line. A cause that the words before it end with, as libraries
/// do it whose errors are whole sentences, is not said again.
fn said(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| match cause.to_string() {
        cause if text.is_empty() => cause,
        cause if text.ends_with(&cause) => text,
        cause => text + ": " + &cause,
    })
}

/// Whether all that failed is that nobody reads standard output any more (`| head`). What
/// fails on another pipe says so with a context of its own.
fn is_reader_gone(error: &anyhow::Error) -> bool {
    let error = error.chain().next().and_then(|it| it.downcast_ref::<std::io::Error>());
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cause_is_said_twice() {
        let error = anyhow::Error::new(std::io::Error::from_raw_os_error(2));
        let whole = error.to_string();
        assert_eq!(said(&error), whole);
        let error = error.context(format!("cannot read x: {whole}")).context("nothing is played");
        assert_eq!(said(&error), format!("nothing is played: cannot read x: {whole}"));
    }
}
