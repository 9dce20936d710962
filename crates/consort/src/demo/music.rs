//! A *keyboard* that plays and a *synth* that listens, both over MIDI: on the kernel's sequencer
//! where there is one, else on the embedded one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_seq::{Embedded, Engine, Event, Key, Payload, Port, SequencerClient};

use super::Part;

/// What the keyboard plays, over and over.
const NOTES: [u8; 6] = [60, 64, 67, 72, 67, 64];

/// How long each note lasts, and the pause after it.
const NOTE: Duration = Duration::from_millis(120);
const PAUSE: Duration = Duration::from_millis(30);

pub(super) struct Music {
    engine: &'static str,
    remark: String,
    /// Keyboard and synth; taken when they start.
    devices: Option<(Device, Device)>,
    played: Arc<AtomicU64>,
    heard: Arc<AtomicU64>,
    /// How many notes sound on the synth.
    sounding: Arc<AtomicU64>,
}

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
                let remark = "MIDI goes through the kernel's sequencer: other programs can connect \
                              to the ports meanwhile.";
                (wanted, "kernel", keyboard, remark.to_owned())
            }
            Ok(keyboard) => {
                let remark = "MIDI goes through the embedded sequencer, as CONSORT_SEQ says: no \
                              other program hears it.";
                (wanted, "embedded", keyboard, remark.to_owned())
            }
            Err(error) => {
                let embedded = Engine::Embedded(Embedded::process_wide());
                let keyboard = Device::open(&embedded, "Demo keyboard")?;
                let remark = format!(
                    "MIDI goes through the embedded sequencer, which no other program hears, \
                     because the kernel's cannot be used here:\n{error}"
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
            heard: Arc::default(),
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
        let (on, count) = (Arc::clone(running), Arc::clone(&self.played));
        let playing = std::thread::Builder::new()
            .name("keyboard".into())
            .spawn(move || play(&keyboard, &on, &count))?;
        let on = Arc::clone(running);
        let (heard, sounding) = (Arc::clone(&self.heard), Arc::clone(&self.sounding));
        let listening = std::thread::Builder::new()
            .name("synth".into())
            .spawn(move || listen(&synth, &on, &heard, &sounding))?;
        Ok(vec![playing, listening])
    }

    fn report(&self, _: &Path) -> Vec<String> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let [played, heard, sounding] =
            [&self.played, &self.heard, &self.sounding].map(|it| count(it));
        vec![
            format!("the keyboard played {played} notes over MIDI ({} sequencer)", self.engine),
            format!("the synth heard {heard} notes, of which {sounding} hang"),
        ]
    }
}

fn play(keyboard: &Device, running: &AtomicBool, played: &AtomicU64) {
    let mut next = Instant::now();
    let mut step = 0;
    while running.load(Ordering::Relaxed) {
        let note = NOTES[step % NOTES.len()];
        // Every bar begins with an accent.
        let velocity = if step % NOTES.len() == 0 { 120 } else { 70 };
        for (velocity, pause) in [(velocity, NOTE), (0, PAUSE)] {
            let event = Event::new(Payload::NoteOn(Key { channel: 0, note, velocity }));
            if let Err(error) = keyboard.client.event_output_direct(&event, &keyboard.port) {
                tracing::error!("the keyboard of the demo: {error}");
                return;
            }
            next += pause;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        played.fetch_add(1, Ordering::Relaxed);
        step += 1;
    }
}

fn listen(synth: &Device, running: &AtomicBool, heard: &AtomicU64, sounding: &AtomicU64) {
    let mut notes = 0_u128;
    loop {
        // What the show said last is heard too.
        let is_running = running.load(Ordering::Relaxed);
        match synth.client.event_input(Some(Duration::from_millis(100))) {
            Ok(Some(event)) => match event.payload() {
                Payload::NoteOn(key) if key.velocity > 0 => {
                    notes |= 1 << (key.note & 127);
                    heard.fetch_add(1, Ordering::Relaxed);
                }
                Payload::NoteOn(key) | Payload::NoteOff(key) => notes &= !(1 << (key.note & 127)),
                _ => {}
            },
            Ok(None) if !is_running => return,
            Ok(None) => {}
            Err(error) => tracing::warn!("the synth of the demo: {error}"),
        }
        sounding.store(notes.count_ones().into(), Ordering::Relaxed);
    }
}
