//! `consort generate`: man pages and completions, derived from the definition of the command line.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;

use crate::cli::{Cli, GenerateArgs, Generated};

/// Writes man pages or prints completions.
pub(crate) fn run(arguments: &GenerateArgs) -> anyhow::Result<ExitCode> {
    match &arguments.target {
        Generated::Man { folder } => {
            std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
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
