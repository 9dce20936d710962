//! How to test MIDI code without a sound system and without waiting: the code under test gets
//! an engine, the test gives it an embedded one with virtual time.
//!
//! `cargo run -p consort-seq --example test_midi_code`
#![allow(clippy::print_stdout)]

use std::time::Duration;

use consort_seq::{
    ClockKind, Embedded, Engine, Event, Payload, Port, QueueTempo, Result, SequencerClient,
};

/// The code under test: an arpeggio of three notes, a beat each.
struct Arpeggio {
    client: SequencerClient,
    port: Port,
}

impl Arpeggio {
    fn new(engine: Engine) -> Result<Self> {
        let client = SequencerClient::builder("arpeggio").engine(engine).open()?;
        let port = client.create_port("out")?;
        Ok(Self { client, port })
    }

    fn play(&self, notes: [u8; 3]) -> std::result::Result<(), Box<dyn std::error::Error>> {
        let queue = self.client.create_queue("arpeggio")?;
        queue.set_tempo(&QueueTempo::from_bpm(60.0, 96))?;
        queue.start()?;
        for (beat, note) in (0..).zip(notes) {
            let event = Event::note(0, note, 100, 96)?.on_queue(&queue).at_tick(beat * 96);
            self.client.event_output(&event, &self.port)?;
        }
        self.client.drain_output()?;
        self.client.sync_output_queue()?;
        Ok(())
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let sequencer = Embedded::new(ClockKind::Virtual);
    let listener = SequencerClient::builder("listener").engine(sequencer.clone()).open()?;
    let ear = listener.create_port("ear")?;
    let arpeggio = Arpeggio::new(sequencer.clone().into())?;
    ear.connect_from(&arpeggio.port)?;

    // Three seconds of music: they pass as fast as the processor goes.
    let playing =
        std::thread::spawn(move || arpeggio.play([60, 64, 67]).map_err(|e| e.to_string()));
    let mut heard = Vec::new();
    while heard.len() < 6 {
        match listener.event_input(Some(Duration::from_millis(1)))? {
            Some(event) => {
                println!("{:?} {event}", sequencer.now());
                heard.push(event);
            }
            None => {
                sequencer.advance_to_next();
            }
        }
    }
    playing.join().map_err(|_| "the arpeggio panicked")??;

    let ons: Vec<u8> = heard
        .iter()
        .filter_map(|event| match event.payload() {
            Payload::NoteOn(key) => Some(key.note),
            _ => None,
        })
        .collect();
    assert_eq!(ons, [60, 64, 67]);
    println!("heard {ons:?} in {:?} of virtual time", sequencer.now());
    Ok(())
}
