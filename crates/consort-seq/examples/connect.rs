//! Connects two ports, given by address or by name: `connect SENDER DEST`.
//!
//! `cargo run -p consort-seq --example connect -- "Midi Through" 128:0`
#![allow(clippy::print_stdout)]

use consort_seq::{SequencerClient, SubscribeOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(sender), Some(dest)) = (arguments.next(), arguments.next()) else {
        return Err("usage: connect SENDER DEST (such as 128:0, or a name)".into());
    };
    let client = SequencerClient::new("connect")?;
    let (sender, dest) = (client.find_port(&sender)?, client.find_port(&dest)?);
    client.subscribe_port(&sender, &dest, SubscribeOptions::new())?;
    println!("{sender} -> {dest}");
    Ok(())
}
