//! A *keyboard* that plays and a *synth* that receives notes, both over MIDI: on the kernel's
//! sequencer if it can be used, otherwise on the embedded one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_seq::{Embedded, Engine, Event, Key, Payload, Port, SequencerClient};

use super::Part;
use crate::text::counted;

/// The notes that the keyboard repeats.
const NOTES: [u8; 6] = [60, 64, 67, 72, 67, 64];

/// How long each note lasts.
const NOTE_LENGTH: Duration = Duration::from_millis(120);
/// The pause after each note.
const PAUSE: Duration = Duration::from_millis(30);

/// The keyboard and the synth.
pub(super) struct Music {
    engine: &'static str,
    remark: String,
    /// Keyboard and synth; taken when they start.
    devices: Option<(Device, Device)>,
    played: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    /// The number of notes that are on at the synth.
    sounding: Arc<AtomicU64>,
}

/// A sequencer client with one port.
struct Device {
    client: SequencerClient,
    port: Port,
}

impl Device {
    fn open(engine: &Engine, name: &str) -> consort_seq::Result<Self> {
        let client = SequencerClient::builder(name).engine(engine.clone()).open()?;
        let port = client.create_port(name)?;
        Ok(Device { client, port })
    }
}

impl Music {
    pub(super) fn new() -> anyhow::Result<Self> {
        let wanted = Engine::from_environment()?;
        let (engine, name, keyboard, remark) = match Device::open(&wanted, "Demo keyboard") {
            Ok(keyboard) if matches!(wanted, Engine::Kernel { .. }) => {
                let remark = "MIDI uses the kernel's sequencer: other programs can connect to the \
                              ports.";
                (wanted, "kernel", keyboard, remark.to_owned())
            }
            Ok(keyboard) => {
                let remark = "MIDI uses the embedded sequencer, as set by CONSORT_SEQ: other \
                              programs cannot connect.";
                (wanted, "embedded", keyboard, remark.to_owned())
            }
            Err(error) => {
                let embedded = Engine::Embedded(Embedded::process_wide());
                let keyboard = Device::open(&embedded, "Demo keyboard")?;
                let remark = format!(
                    "MIDI uses the embedded sequencer, to which other programs cannot connect, \
                     because the kernel's is not available:\n{error}"
                );
                (embedded, "embedded", keyboard, remark)
            }
        };
        let synth = Device::open(&engine, "Demo synth")?;
        Ok(Music {
            engine: name,
            remark,
            devices: Some((keyboard, synth)),
            played: Arc::default(),
            received: Arc::default(),
            sounding: Arc::default(),
        })
    }
}

impl Part for Music {
    fn sections(&self) -> String {
        format!(
            "\
[backend midi]
engine = {}

[midi keyboard]
read = Demo keyboard

[midi synth]
write = Demo synth
",
            self.engine
        )
    }

    fn mappings(&self) -> String {
        "\
keyboard.ch0.note{60,64,67,72} > synth.ch1.note{48,52,55,60}
keyboard.ch0.velocity > lamps./flash
tablet./fader/2 > synth.ch1.cc7
"
        .to_owned()
    }

    fn remark(&self) -> Option<String> {
        Some(self.remark.clone())
    }

    fn start(&mut self, running: &Arc<AtomicBool>) -> anyhow::Result<Vec<JoinHandle<()>>> {
        let Some((keyboard, synth)) = self.devices.take() else { return Ok(Vec::new()) };
        let (is_running, played) = (Arc::clone(running), Arc::clone(&self.played));
        let keyboard_thread = std::thread::Builder::new()
            .name("keyboard".into())
            .spawn(move || play(&keyboard, &is_running, &played))?;
        let is_running = Arc::clone(running);
        let (received, sounding) = (Arc::clone(&self.received), Arc::clone(&self.sounding));
        let synth_thread = std::thread::Builder::new()
            .name("synth".into())
            .spawn(move || listen(&synth, &is_running, &received, &sounding))?;
        Ok(vec![keyboard_thread, synth_thread])
    }

    fn report(&self, _: &Path) -> Vec<String> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let [played, received, sounding] =
            [&self.played, &self.received, &self.sounding].map(|counter| count(counter));
        let stuck = match sounding {
            0 => "no stuck notes".to_owned(),
            count => counted(count, "stuck note"),
        };
        vec![
            format!(
                "the keyboard played {} over MIDI ({} sequencer)",
                counted(played, "note"),
                self.engine
            ),
            format!("the synth received {}, {stuck}", counted(received, "note")),
        ]
    }
}

/// Plays the keyboard until the demo ends.
fn play(keyboard: &Device, running: &AtomicBool, played: &AtomicU64) {
    let mut next = Instant::now();
    let mut step = 0;
    while running.load(Ordering::Relaxed) {
        let note = NOTES[step % NOTES.len()];
        // The first note of every bar is accented.
        let velocity = if step % NOTES.len() == 0 { 120 } else { 70 };
        for (velocity, pause) in [(velocity, NOTE_LENGTH), (0, PAUSE)] {
            let event = Event::new(Payload::NoteOn(Key { channel: 0, note, velocity }));
            if let Err(error) = keyboard.client.event_output_direct(&event, &keyboard.port) {
                tracing::error!("the demo's keyboard: {error}");
                return;
            }
            next += pause;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        played.fetch_add(1, Ordering::Relaxed);
        step += 1;
    }
}

/// Receives notes for the synth until the demo has ended and all events have been read.
fn listen(synth: &Device, running: &AtomicBool, received: &AtomicU64, sounding: &AtomicU64) {
    let mut notes = 0_u128;
    loop {
        // Checked before the wait, so that the last events of the show are received, too.
        let is_running = running.load(Ordering::Relaxed);
        match synth.client.event_input(Some(Duration::from_millis(100))) {
            Ok(Some(event)) => match event.payload() {
                Payload::NoteOn(key) if key.velocity > 0 => {
                    notes |= 1 << (key.note & 127);
                    received.fetch_add(1, Ordering::Relaxed);
                }
                Payload::NoteOn(key) | Payload::NoteOff(key) => notes &= !(1 << (key.note & 127)),
                _ => {}
            },
            Ok(None) if !is_running => return,
            Ok(None) => {}
            Err(error) => tracing::warn!("the demo's synth: {error}"),
        }
        sounding.store(notes.count_ones().into(), Ordering::Relaxed);
    }
}
