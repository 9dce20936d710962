//! Prints the events that arrive: from a port that is given, or from whoever connects.
//!
//! `cargo run -p consort-seq --example dump -- 14:0`
#![allow(clippy::print_stdout)]

use consort_seq::client::WRITE_PORT;
use consort_seq::{ErrorKind, PortOptions, SequencerClient};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = SequencerClient::new("dump")?;
    let port = client.create_port(PortOptions::new("in").caps(WRITE_PORT))?;
    if let Some(name) = std::env::args().nth(1) {
        port.connect_from(&client.find_port(&name)?)?;
    }
    println!("waiting for events at {}", port.address());
    loop {
        match client.event_input(None) {
            Ok(Some(event)) => println!("{event}"),
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::Overrun => println!("{error}"),
            Err(error) => return Err(error.into()),
        }
    }
}
