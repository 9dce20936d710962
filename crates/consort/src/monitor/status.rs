//! `consort status`: the running shows of this user, as text or JSON.

use std::fmt::Write as _;
use std::process::ExitCode;

use consort_backends::receive_buffer_advice;
use consort_control::{Finding, InstanceReading, Layout, Reading, UnmatchedReading};
use serde::Serialize;

use super::print;
use super::socket;
use super::source::Source;
use crate::cli::StatusArgs;
use crate::text::{counted, losses, printable};
use crate::why;

/// The maximum number of attempts to read a show that is being reloaded.
const MAX_READ_ATTEMPTS: usize = 5;

/// A show, as it is printed as JSON.
#[derive(Serialize)]
struct Status {
    show: String,
    process: u32,
    seconds: f64,
    /// What to change in the system, if datagrams were lost because of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
    instances: Vec<InstanceStatus>,
}

/// An instance of a show.
#[derive(Serialize)]
struct InstanceStatus {
    name: String,
    backend: String,
    #[serde(flatten)]
    reading: InstanceReading,
    /// Seconds since the last packet, message or frame arrived.
    seconds_since_input: Option<f64>,
    channels: Vec<ChannelStatus>,
    /// The last inputs that no mapping uses, the newest first.
    unmatched_inputs: Vec<UnmatchedReading>,
    /// What keeps it from working.
    findings: Vec<Finding>,
}

/// A channel of an instance.
#[derive(Serialize)]
struct ChannelStatus {
    name: String,
    /// None before the first value.
    value: Option<f64>,
    events: u64,
}

impl Status {
    /// Whether an instance is `failed` or `degraded`.
    fn is_impaired(&self) -> bool {
        self.instances
            .iter()
            .any(|instance| matches!(instance.reading.state.as_str(), "failed" | "degraded"))
    }
}

/// Joins names and values. The rest is filled in by [`explain`].
fn status(layout: Layout, reading: Reading) -> Status {
    let mut values = reading.values.into_iter();
    let seconds = reading.seconds;
    let instances = layout.instances.into_iter().zip(reading.instances);
    let instances = instances.map(|(instance, reading)| InstanceStatus {
        name: instance.name,
        backend: instance.backend,
        seconds_since_input: reading.last_input.map(|last| (seconds - last).max(0.0)),
        unmatched_inputs: Vec::new(),
        findings: Vec::new(),
        reading,
        channels: instance
            .channels
            .into_iter()
            .zip(values.by_ref())
            .map(|(channel, (value, events))| ChannelStatus {
                name: channel.name,
                value: (events > 0).then_some(value),
                events,
            })
            .collect(),
    });
    let instances: Vec<InstanceStatus> = instances.collect();
    let has_lost = instances.iter().any(|instance| instance.reading.lost > 0);
    Status {
        advice: has_lost.then(receive_buffer_advice).flatten(),
        instances,
        show: layout.show,
        process: layout.process,
        seconds: reading.seconds,
    }
}

/// Reads a show; repeats that if the show is reloaded between its layout and its values.
fn read(show: &mut dyn Source) -> anyhow::Result<Status> {
    for _ in 0..MAX_READ_ATTEMPTS {
        let layout = show.layout()?;
        if let Some(reading) = show.read(u64::MAX)? {
            let mut status = status(layout, reading);
            if explain(show, &mut status).is_ok() {
                return Ok(status);
            }
        }
    }
    anyhow::bail!("the show is reloaded too often to be read; try again")
}

/// Adds what arrived unmatched and what keeps instances from working.
fn explain(show: &mut dyn Source, status: &mut Status) -> anyhow::Result<()> {
    for (number, instance) in status.instances.iter_mut().enumerate() {
        if instance.reading.unmatched > 0 {
            instance.unmatched_inputs = show.unmatched(number as u32)?;
        }
        instance.findings = show.why(number as u32, None)?;
    }
    Ok(())
}

/// How many unmatched inputs and how many findings of an instance are printed.
const MAX_LINES: usize = 3;

/// The exit status if an instance is `failed` or `degraded`.
const NOT_WORKING: u8 = 3;

/// Runs `consort status`. The exit status is 1 if no show is running or one does not respond, and
/// [`NOT_WORKING`] if an instance is `failed` or `degraded`. Instances that are `waiting` do not
/// change it: a device that is not plugged in is normal.
pub(crate) fn print_status(arguments: &StatusArgs) -> anyhow::Result<ExitCode> {
    let mut shows = Vec::new();
    let mut processes = Vec::new();
    let mut has_failure = false;
    for (process, show) in socket::running()? {
        processes.push(process);
        if arguments.process.is_some_and(|wanted| wanted != process) {
            continue;
        }
        // A show that hangs must not hide the others.
        let answer = show.and_then(|mut show| read(&mut show));
        match answer {
            Ok(show) => shows.push(show),
            Err(error) if socket::show_has_ended(&error) => drop(processes.pop()),
            Err(error) => {
                has_failure = true;
                tracing::error!("process {process}: {error:#}");
            }
        }
    }
    if arguments.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&shows)?))?;
    } else if shows.is_empty() && !has_failure {
        print(&format!("{}\n", socket::not_found(arguments.process, socket::running()?)))?;
    } else {
        print(&shows.iter().map(status_text).collect::<String>())?;
    }
    Ok(if shows.is_empty() || has_failure {
        ExitCode::FAILURE
    } else if shows.iter().any(Status::is_impaired) {
        ExitCode::from(NOT_WORKING)
    } else {
        ExitCode::SUCCESS
    })
}

/// A show as text: a line for the show and one for each instance, followed by input that no
/// mapping uses and what keeps the instance from working.
fn status_text(show: &Status) -> String {
    let mut text =
        format!("{}: process {}, running for {:.0} s\n", show.show, show.process, show.seconds);
    for instance in &show.instances {
        let reading = &instance.reading;
        let _ = writeln!(
            text,
            "  {:<18} {:<9} {:<9} {} in, {} out, {} dropped, {}{}{}{}",
            instance.name,
            instance.backend,
            reading.state,
            reading.incoming,
            reading.outgoing,
            reading.dropped,
            counted(reading.errors, "error"),
            losses(reading.lost, reading.refused),
            input_text(instance),
            [&reading.reason, &reading.note, &reading.details]
                .into_iter()
                .flatten()
                .map(|text| format!("; {}", printable(text)))
                .collect::<String>()
        );
        text.push_str(&details(instance));
    }
    if let Some(advice) = &show.advice {
        let _ = writeln!(text, "  datagrams were lost: {advice}");
    }
    text
}

/// What has arrived at an instance: `; 12 packets, the last 0.3 s ago; 9 unmatched`.
fn input_text(instance: &InstanceStatus) -> String {
    let reading = &instance.reading;
    let mut text = String::new();
    if reading.packets > 0 {
        let _ = write!(text, "; {}", counted(reading.packets, "packet"));
    }
    if let Some(seconds) = instance.seconds_since_input {
        let _ = write!(text, ", the last {seconds:.1} s ago");
    }
    if reading.unmatched > 0 {
        let _ = write!(text, "; {} unmatched", reading.unmatched);
    }
    text
}

/// The lines below an instance.
fn details(instance: &InstanceStatus) -> String {
    let mut text = String::new();
    for input in instance.unmatched_inputs.iter().take(MAX_LINES) {
        let sender =
            if input.sender.is_empty() { String::new() } else { format!(" from {}", input.sender) };
        let value = format!("{} {}", input.types, input.raw);
        let _ = writeln!(
            text,
            "      unmatched: {} {}{sender}, {}",
            input.channel,
            value.trim(),
            counted(input.count, "time")
        );
    }
    if let more @ 1.. = instance.unmatched_inputs.len().saturating_sub(MAX_LINES) {
        let _ = writeln!(text, "      unmatched: {more} more, in --json");
    }
    // The state and its reason are in the line of the instance.
    let findings = instance.findings.iter();
    let problems: Vec<_> =
        findings.filter(|finding| finding.problem && finding.code != "not-up").collect();
    for finding in problems.iter().take(MAX_LINES) {
        text.push_str(&why::text(finding, "      "));
    }
    if let more @ 1.. = problems.len().saturating_sub(MAX_LINES) {
        let more = counted(more as u64, "more problem");
        let _ = writeln!(text, "      {more}: `consort why {}`", instance.name);
    }
    text
}
