//! `consort generate`: man pages and completions, derived from the definition of the command line.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;

use crate::cli::{Cli, GenerateArgs, Generated};

/// Writes man pages or prints completions.
pub(crate) fn run(arguments: &GenerateArgs) -> anyhow::Result<ExitCode> {
    match &arguments.target {
        Generated::Man { folder } => {
            std::fs::create_dir_all(folder)
                .and_then(|()| {
                    let mut command = Cli::command().disable_help_subcommand(true);
                    command.build();
                    write_pages(&command, folder)
                })
                .with_context(|| format!("cannot write man pages to {}", folder.display()))?;
        }
        Generated::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "consort", &mut text);
            io::stdout().lock().write_all(&text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the man pages of a command and of its subcommands, each with the version of the program
/// in its footer.
fn write_pages(command: &clap::Command, folder: &Path) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        write_pages(subcommand, folder)?;
    }
    clap_mangen::Man::new(command.clone())
        .source(concat!("consort ", env!("CARGO_PKG_VERSION")))
        .manual("Consort")
        .generate_to(folder)
        .map(drop)
}
