//! The command: shows are run, checked and explained.

mod check;
mod cli;
mod demo;
mod diagnostics;
mod json;
mod log;
mod reference;
mod run;
mod signals;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::init();
    let done = match &cli.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Backends(arguments) => reference::run(arguments),
        Command::Demo(arguments) => demo::run(arguments),
    };
    done.unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        ExitCode::FAILURE
    })
}
