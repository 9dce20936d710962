//! `consort midi send`.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use consort_seq::{HeldNotes, Port, PortCaps, PortOptions, PortType, SequencerClient};

use super::EngineArguments;
use super::find::{Use, find};
use super::words::{Step, WORDS, parse};

/// Arguments of `consort midi send`.
#[derive(clap::Args, Debug)]
pub(crate) struct SendArguments {
    /// The port to send to: address, name, or the beginning of a name
    port: String,
    /// Events in words, one after the other: note-on 60 100 wait 0.5 note-off 60
    #[arg(required = true, value_name = "EVENT", allow_negative_numbers = true)]
    events: Vec<String>,
    /// The channel, 0 to 15
    #[arg(long, short, value_name = "CHANNEL", default_value_t = 0,
          value_parser = clap::value_parser!(u8).range(0..=15))]
    channel: u8,
    #[command(flatten)]
    engine: EngineArguments,
}

impl SendArguments {
    /// What is to be done, in order.
    pub(super) fn steps(&self) -> anyhow::Result<Vec<Step>> {
        parse(&self.events, self.channel)
    }
}

/// The list of events, behind the help.
pub(super) fn help() -> String {
    let mut text = "Events:\n".to_owned();
    for (word, arguments) in WORDS {
        text.push_str(&format!("  {}\n", format!("{word:<14} {arguments}").trim_end()));
    }
    text.push_str(
        "\nNotes are numbers, or names as C4 (60), F#3, Bb5. Channels count from 0, as in \
         configurations.",
    );
    text
}

pub(super) fn run(arguments: &SendArguments, stop: &Arc<AtomicBool>) -> anyhow::Result<ExitCode> {
    // Everything is read before anything is sent.
    let steps = arguments.steps()?;
    let client = super::open("consort send", &arguments.engine.engine()?)?;
    let target = find(&client, &arguments.port, Use::Target)?;
    let port = source(&client)?;
    // Connected, because a device is only open while something is connected to it.
    port.connect_to(target.address())?;
    let is_whole = send(&client, &port, &steps, stop)?;
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(130) })
}

/// A port that events go out from.
pub(super) fn source(client: &SequencerClient) -> anyhow::Result<Port> {
    let options = PortOptions::new("out")
        .caps(PortCaps::READ | PortCaps::SUBS_READ)
        .port_type(PortType::MIDI_GENERIC | PortType::APPLICATION);
    Ok(client.create_port(options)?)
}

/// Whether all was sent; if it was stopped, what was left down in the middle is released.
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
                    let most = Duration::from_millis(100);
                    // Nothing is read here, so that waiting for input might not wait at all.
                    std::thread::sleep(left.map_or(most, |left| left.min(most)));
                }
            }
        }
    }
    client.drain_output()?;
    Ok(true)
}
