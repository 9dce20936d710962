//! `consort why`: what keeps an instance or a channel of a running show from working.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use consort_control::{Finding, Layout, UnmatchedReading};

use crate::monitor::{self, Source as _};
use crate::set;
use crate::text::counted;

/// Arguments of `consort why`.
#[derive(Args, Debug)]
pub(crate) struct WhyArgs {
    /// Instance or channel, as in a mapping: INSTANCE or INSTANCE.CHANNEL
    #[arg(value_name = "INSTANCE[.CHANNEL]")]
    name: String,
    /// Print JSON: a list of findings
    #[arg(long)]
    json: bool,
    /// Process ID of the show; needed if several are running
    #[arg(long)]
    process: Option<u32>,
}

/// Runs `consort why`.
pub(crate) fn run(arguments: &WhyArgs) -> anyhow::Result<ExitCode> {
    let mut show = monitor::find(arguments.process)?;
    let layout = show.layout()?;
    let findings = match arguments.name.split_once('.') {
        None => {
            let instance = set::find_instance(&layout, &arguments.name)?;
            show.why(instance, None)?
        }
        Some((name, channel)) => match set::find(&layout, &arguments.name) {
            Ok((instance, channel)) => show.why(instance, Some(channel))?,
            Err(error) => {
                // It may arrive without being mapped.
                let instance = set::find_instance(&layout, name)?;
                let unmatched = show.unmatched(instance)?;
                vec![not_mapped(&layout, name, channel, &unmatched).ok_or(error)?]
            }
        },
    };
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&findings)? + "\n",
        false if findings.is_empty() => {
            format!("no problem found at `{}`\n", arguments.name)
        }
        false => findings.iter().map(|finding| text(finding, "")).collect(),
    };
    monitor::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// A finding as text: its message, and the hint on a line of its own.
pub(crate) fn text(finding: &Finding, indent: &str) -> String {
    let mut text = indent.to_owned();
    if let Some(channel) = &finding.channel {
        let _ = write!(text, "{channel}: ");
    }
    let _ = writeln!(text, "{}", finding.message);
    if let Some(hint) = &finding.hint {
        let _ = writeln!(text, "{indent}    {hint}");
    }
    text
}

/// A channel that arrives, although no mapping uses it.
fn not_mapped(
    layout: &Layout,
    instance: &str,
    channel: &str,
    unmatched: &[UnmatchedReading],
) -> Option<Finding> {
    let input = unmatched.iter().find(|input| input.channel == channel)?;
    Some(Finding {
        code: "not-mapped".into(),
        channel: Some(format!("{instance}.{channel}")),
        message: format!(
            "arrives ({} {}, {}), but no mapping in {} reads it",
            input.types,
            input.raw,
            counted(input.count, "time"),
            layout.show
        ),
        hint: Some(format!("add `{instance}.{channel} > TARGET` to [map]")),
        problem: true,
    })
}
