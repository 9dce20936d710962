//! `consort status`: the running shows of this user, as text or JSON.

use std::fmt::Write as _;
use std::process::ExitCode;

use consort_backends::receive_buffer_advice;
use consort_control::{InstanceReading, Layout, Reading};
use serde::Serialize;

use super::print;
use super::socket;
use super::source::Source;
use crate::cli::StatusArgs;
use crate::text::{counted, losses};

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
    channels: Vec<ChannelStatus>,
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

/// Joins names and values.
fn status(layout: Layout, reading: Reading) -> Status {
    let mut values = reading.values.into_iter();
    let instances = layout.instances.into_iter().zip(reading.instances);
    let instances = instances.map(|(instance, reading)| InstanceStatus {
        name: instance.name,
        backend: instance.backend,
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
            return Ok(status(layout, reading));
        }
    }
    anyhow::bail!("the show is reloaded too often to be read; try again")
}

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
        print(&format!("{}\n", socket::not_found(arguments.process, &processes)))?;
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

/// A show as text: a line for the show and one for each instance.
fn status_text(show: &Status) -> String {
    let mut text =
        format!("{}: process {}, running for {:.0} s\n", show.show, show.process, show.seconds);
    for instance in &show.instances {
        let reading = &instance.reading;
        let _ = writeln!(
            text,
            "  {:<18} {:<9} {:<9} {} in, {} out, {} dropped, {}{}{}",
            instance.name,
            instance.backend,
            reading.state,
            reading.incoming,
            reading.outgoing,
            reading.dropped,
            counted(reading.errors, "error"),
            losses(reading.lost, reading.refused),
            [&reading.reason, &reading.note]
                .into_iter()
                .flatten()
                .map(|text| format!("; {text}"))
                .collect::<String>()
        );
    }
    if let Some(advice) = &show.advice {
        let _ = writeln!(text, "  datagrams were lost: {advice}");
    }
    text
}
