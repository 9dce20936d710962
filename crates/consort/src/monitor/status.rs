//! `consort status`: the running shows of this user, for people and for scripts.

use std::fmt::Write as _;
use std::process::ExitCode;

use consort_control::{InstanceReading, Layout, Reading};
use serde::Serialize;

use super::say;
use super::socket;
use super::source::Source;
use crate::cli::StatusArgs;

/// A show, for programs.
#[derive(Serialize)]
struct Status {
    show: String,
    process: u32,
    seconds: f64,
    instances: Vec<InstanceStatus>,
}

#[derive(Serialize)]
struct InstanceStatus {
    name: String,
    backend: String,
    #[serde(flatten)]
    reading: InstanceReading,
    channels: Vec<ChannelStatus>,
}

#[derive(Serialize)]
struct ChannelStatus {
    name: String,
    /// None before the first value.
    value: Option<f64>,
    events: u64,
}

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
            .map(|(name, (value, events))| ChannelStatus {
                name,
                value: (events > 0).then_some(value),
                events,
            })
            .collect(),
    });
    Status {
        instances: instances.collect(),
        show: layout.show,
        process: layout.process,
        seconds: reading.seconds,
    }
}

/// `consort status`: the running shows of this user. Exit status 1 when there is none, or when
/// one does not answer.
pub(crate) fn print_status(arguments: &StatusArgs) -> anyhow::Result<ExitCode> {
    let mut shows = Vec::new();
    let mut numbers = Vec::new();
    let mut is_ill = false;
    for (number, show) in socket::running()? {
        numbers.push(number);
        if arguments.process.is_some_and(|wanted| wanted != number) {
            continue;
        }
        // One that hangs hides no other.
        let asked = show.and_then(|mut show| Ok(status(show.layout()?, show.read(u64::MAX)?)));
        match asked {
            Ok(show) => shows.push(show),
            Err(error) if socket::is_ended(&error) => drop(numbers.pop()),
            Err(error) => {
                is_ill = true;
                tracing::error!("process {number}: {error:#}");
            }
        }
    }
    if arguments.json {
        say(&format!("{}\n", serde_json::to_string_pretty(&shows)?))?;
    } else if shows.is_empty() && !is_ill {
        say(&format!("{}\n", socket::none_such(arguments.process, &numbers)))?;
    } else {
        say(&shows.iter().map(status_text).collect::<String>())?;
    }
    Ok(if shows.is_empty() || is_ill { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn status_text(show: &Status) -> String {
    let mut text = format!("{}: process {}, for {:.0} s\n", show.show, show.process, show.seconds);
    for instance in &show.instances {
        let reading = &instance.reading;
        let _ = writeln!(
            text,
            "  {:<18} {:<9} {:<9} {} in, {} out, {} dropped, {} errors{}",
            instance.name,
            instance.backend,
            reading.state,
            reading.incoming,
            reading.outgoing,
            reading.dropped,
            reading.errors,
            reading.reason.as_ref().map(|it| format!("; {it}")).unwrap_or_default()
        );
    }
    text
}
