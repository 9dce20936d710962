//! `consort reload`: replaces the configuration of a running show.

mod reloader;
pub(crate) mod watch;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use consort_control::{ReloadRequest, Reloaded};

pub(crate) use self::reloader::{Outcome, Reloader};
use crate::monitor;
use crate::text::counted;

/// The end of the help of `consort reload`.
const EXIT: &str = "\
Exit status: 0 on success, 1 if the show was not reloaded, 2 if the command line is invalid.";

/// Arguments of `consort reload`.
#[derive(Args, Debug)]
#[command(after_help = EXIT)]
pub(crate) struct ReloadArgs {
    /// Print what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Return to the configuration before the last reload
    #[arg(long)]
    back: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Process ID or configuration file of the show; needed if several are running
    show: Option<String>,
}

/// Runs `consort reload`. The exit status is 1 if the configuration has errors.
pub(crate) fn run(arguments: &ReloadArgs) -> anyhow::Result<ExitCode> {
    let mut show = monitor::find_named(arguments.show.as_deref())?;
    let request = ReloadRequest {
        back: arguments.back,
        dry_run: arguments.dry_run,
        ..ReloadRequest::default()
    };
    let outcome = show.reload(request)?;
    let (text, status) = match &outcome {
        Outcome::Reloaded(reloaded) => (&reloaded.text, ExitCode::SUCCESS),
        Outcome::Rejected(rejected) => (&rejected.text, ExitCode::FAILURE),
    };
    if arguments.json {
        let document = match &outcome {
            Outcome::Reloaded(reloaded) => serde_json::to_string_pretty(reloaded)?,
            Outcome::Rejected(rejected) => serde_json::to_string_pretty(rejected)?,
        };
        monitor::print(&format!("{document}\n"))?;
        return Ok(status);
    }
    // If standard error is closed, there is nowhere to report that.
    let _ = io::stderr().lock().write_all(text.as_bytes());
    if let Outcome::Reloaded(reloaded) = &outcome {
        monitor::print(&describe(reloaded))?;
    }
    Ok(status)
}

/// The changes, a line each.
fn describe(reloaded: &Reloaded) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let mut line = |what: &str, name: &str, reason: &str| {
        let _ = match reason {
            "" => writeln!(text, "{what:<9} {name}"),
            reason => writeln!(text, "{what:<9} {name}: {reason}"),
        };
    };
    reloaded.adopted.iter().for_each(|name| line("kept", name, ""));
    reloaded.restarted.iter().for_each(|entry| line("restarted", &entry.name, &entry.reason));
    reloaded.opened.iter().for_each(|name| line("opened", name, ""));
    reloaded.closed.iter().for_each(|name| line("closed", name, ""));
    reloaded.added_mappings.iter().for_each(|mapping| line("added", mapping, ""));
    reloaded.removed_mappings.iter().for_each(|mapping| line("removed", mapping, ""));
    let _ = match reloaded.dry_run {
        true => writeln!(text, "dry run: nothing was changed"),
        false => writeln!(
            text,
            "reloaded: {} kept, {} restarted, {} opened, {} closed; nothing was routed for {:.2} ms",
            counted(reloaded.adopted.len() as u64, "instance"),
            reloaded.restarted.len(),
            reloaded.opened.len(),
            reloaded.closed.len(),
            reloaded.pause_ms
        ),
    };
    text
}
