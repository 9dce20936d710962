//! Plays a scale on a queue, to a port that is given or to Midi Through.
//!
//! `cargo run -p consort-seq --example scale -- 128:0`
#![allow(clippy::print_stdout)]

use consort_seq::client::READ_PORT;
use consort_seq::{Event, PortOptions, QueueTempo, SequencerClient};

const SCALE: [u8; 8] = [60, 62, 64, 65, 67, 69, 71, 72];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = SequencerClient::new("scale")?;
    let port = client.create_port(PortOptions::new("out").caps(READ_PORT))?;
    let dest = client.find_port(&std::env::args().nth(1).unwrap_or("Midi Through".into()))?;
    port.connect_to(&dest)?;

    let queue = client.create_queue("scale")?;
    queue.set_tempo(&QueueTempo::from_bpm(240.0, 96))?;
    queue.start()?;
    for (beat, note) in (0..).zip(SCALE) {
        let event = Event::note(0, note, 100, 90)?.on_queue(&queue).at_tick(beat * 96);
        client.event_output(&event, &port)?;
    }
    client.drain_output()?;
    println!("playing a scale to {dest}");
    client.sync_output_queue()?;
    Ok(())
}
