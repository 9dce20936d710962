//! A metronome: `metronome [BEATS PER MINUTE [BEATS A BAR]]`, to the most useful synthesizer. It
//! schedules a bar at a time and wakes itself for the next with an echo event.
//!
//! `cargo run -p consort-seq --example metronome -- 96 4`
#![allow(clippy::print_stdout)]

use consort_seq::{Event, ListPorts, Payload, QueueTempo, SequencerClient};

const TICKS: u32 = 96;
/// Channel 10, where General MIDI has percussion.
const PERCUSSION: u8 = 9;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let beats_per_minute: f64 = arguments.next().map_or(Ok(120.0), |text| text.parse())?;
    let beats: u32 = arguments.next().map_or(Ok(4), |text| text.parse())?;

    let client = SequencerClient::new("metronome")?;
    let port = client.create_port("clicks")?;
    let synthesizers = client.list_ports(&ListPorts::writable())?;
    let best = synthesizers.iter().find(|info| info.client_id != client.client_id());
    let best = best.ok_or("there is nothing to play to")?;
    port.connect_to(best)?;
    println!("{beats_per_minute} beats per minute to {best}");

    let queue = client.create_queue("metronome")?;
    queue.set_tempo(&QueueTempo::from_bpm(beats_per_minute, TICKS))?;
    queue.start()?;
    let mut bar = 0;
    loop {
        let start = bar * beats * TICKS;
        for beat in 0..beats {
            let (note, velocity) = if beat == 0 { (76, 127) } else { (77, 90) };
            let click = Event::note(PERCUSSION, note, velocity, TICKS / 4)?;
            client.event_output(&click.on_queue(&queue).at_tick(start + beat * TICKS), &port)?;
        }
        let wake = start + beats * TICKS - TICKS / 2;
        let echo = Event::echo([0; 12]).to(&port).on_queue(&queue).at_tick(wake);
        client.event_output(&echo, &port)?;
        client.drain_output()?;
        while let Some(event) = client.event_input(None)? {
            if matches!(event.payload(), Payload::Echo(_)) {
                break;
            }
        }
        bar += 1;
    }
}
