//! Lists all ports, those of devices and instruments first.
//!
//! `cargo run -p consort-seq --example list_ports`
//! (`CONSORT_SEQ=embedded` shows the embedded sequencer of this process.)
#![allow(clippy::print_stdout)]

use consort_seq::{ListPorts, SequencerClient};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = SequencerClient::new("list ports")?;
    println!("to read from:");
    for port in client.list_ports(&ListPorts::readable())? {
        println!("  {port}");
    }
    println!("to write to:");
    for port in client.list_ports(&ListPorts::writable())? {
        println!("  {port}");
    }
    Ok(())
}
