//! Sends back what arrives, an octave higher, and tells of comings and goings meanwhile: two
//! tasks on any executor.
//!
//! `cargo run -p consort-seq --example echo_async`
#![allow(clippy::print_stdout)]

use consort_seq::{AsyncSequencerClient, Event, Payload};
use futures_lite::{StreamExt, future};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = AsyncSequencerClient::new("echo")?;
    let port = client.create_port("echo")?;
    println!("connect something to and from {}", port.address());
    let mut watch = client.watch()?;

    let echo = async {
        while let Some(event) = client.event_input(None).await? {
            let higher = match event.payload() {
                Payload::NoteOn(key) => Payload::NoteOn(up(key)),
                Payload::NoteOff(key) => Payload::NoteOff(up(key)),
                _ => continue,
            };
            client.event_output(&Event::new(higher), &port).await?;
            client.drain_output().await?;
        }
        Ok::<(), consort_seq::Error>(())
    };
    let follow = async {
        while let Some(announcement) = StreamExt::next(&mut watch).await {
            println!("{}", announcement?);
        }
        Ok(())
    };
    future::block_on(future::or(echo, follow))?;
    Ok(())
}

fn up(key: consort_seq::Key) -> consort_seq::Key {
    consort_seq::Key { note: (key.note + 12).min(127), ..key }
}
