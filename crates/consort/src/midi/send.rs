//! `consort midi send`.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use consort_seq::{HeldNotes, Port, PortCaps, PortOptions, PortType, SequencerClient};

use super::find::{Use, find};
use super::words::{Step, WORDS, parse};
use super::{EngineArguments, counted};

/// Arguments of `consort midi send`.
#[derive(clap::Args, Debug)]
pub(crate) struct SendArguments {
    /// Port to send to: address, name, or part of a name
    port: String,
    /// Events in order, for example: note-on 60 100 wait 0.5 note-off 60
    #[arg(required = true, value_name = "EVENT", allow_negative_numbers = true)]
    events: Vec<String>,
    /// MIDI channel, 0 to 15
    #[arg(long, short, value_name = "CHANNEL", default_value_t = 0,
          value_parser = clap::value_parser!(u8).range(0..=15))]
    channel: u8,
    #[command(flatten)]
    engine: EngineArguments,
}

impl SendArguments {
    /// The events and waits, in order.
    pub(super) fn steps(&self) -> anyhow::Result<Vec<Step>> {
        parse(&self.events, self.channel)
    }
}

/// The list of events at the end of the help.
pub(super) fn help() -> String {
    let mut text = "Events:\n".to_owned();
    for (word, arguments) in WORDS {
        text.push_str(&format!("  {}\n", format!("{word:<14} {arguments}").trim_end()));
    }
    text.push_str(
        "\nNotes are numbers or names such as C4 (60), F#3, Bb5. Channels are numbered from 0, as in \
         configurations.",
    );
    text
}

pub(super) fn run(arguments: &SendArguments, stop: &Arc<AtomicBool>) -> anyhow::Result<ExitCode> {
    // All events are parsed before the first is sent.
    let steps = arguments.steps()?;
    let client = super::open("consort send", &arguments.engine.engine()?)?;
    let target = find(&client, &arguments.port, Use::Target)?;
    let port = source(&client)?;
    // Connected, because the kernel opens a device only while something is connected to it.
    port.connect_to(target.address())?;
    let is_complete = send(&client, &port, &steps, stop)?;
    for undelivered in client.take_undelivered() {
        let receiver = undelivered.receiver.map(|receiver| format!(" {receiver}"));
        tracing::warn!(
            "{} not delivered: receiver{} does not read its input",
            counted(undelivered.count, "event"),
            receiver.unwrap_or_default()
        );
    }
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::from(130) })
}

/// Creates a port that sends events.
pub(super) fn source(client: &SequencerClient) -> anyhow::Result<Port> {
    Ok(client.create_port(options("out"))?)
}

/// The options of a port that sends events.
pub(super) fn options(name: &str) -> PortOptions {
    PortOptions::new(name)
        .caps(PortCaps::READ | PortCaps::SUBS_READ)
        .port_type(PortType::MIDI_GENERIC | PortType::APPLICATION)
}

/// Sends the events and returns whether all were sent. If `stop` is set meanwhile, held notes are
/// released.
pub(super) fn send(
    client: &SequencerClient,
    port: &Port,
    steps: &[Step],
    stop: &AtomicBool,
) -> anyhow::Result<bool> {
    let mut held = HeldNotes::new();
    for step in steps {
        match step {
            Step::Send(event) => {
                client.event_output(event, port)?;
                held.track(event);
            }
            Step::Wait(time) => {
                client.drain_output()?;
                let until = Instant::now().checked_add(*time);
                while until.is_none_or(|until| Instant::now() < until) {
                    if stop.load(Ordering::Relaxed) {
                        client.event_output_batch(&held.releases(), port)?;
                        client.drain_output()?;
                        return Ok(false);
                    }
                    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
                    let limit = Duration::from_millis(100);
                    // Not a wait for input: unread input would end that immediately.
                    std::thread::sleep(left.map_or(limit, |left| left.min(limit)));
                }
            }
        }
    }
    client.drain_output()?;
    Ok(true)
}
