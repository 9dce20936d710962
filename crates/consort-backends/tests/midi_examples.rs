//! The shows with MIDI under `examples/` do what they say: on the embedded sequencer, or with
//! `CONSORT_SEQ=kernel` on the kernel's (one test at a time then).
#![allow(clippy::print_stdout)] // what was heard is part of the result
#![cfg(all(feature = "midi", feature = "osc", feature = "python"))]

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use consort_backends::BACKENDS;
use consort_osc::MessageBuilder;
use consort_router::config::{Override, load};
use consort_router::{Router, State};
use consort_seq::{Embedded, Engine, Event, EventType, Port, SequencerClient};

const DEADLINE: Duration = Duration::from_secs(30);

/// A show under `examples/`, moved on by the test that holds it.
struct Show {
    router: Router,
}

impl Show {
    fn start(name: &str, overrides: &[String]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
        let mut all = vec![Override::backend(format!("midi.engine={}", engine_name()))];
        all.extend(overrides.iter().map(Override::instance));
        let loaded = load(&folder.join("show.cfg"), &all, BACKENDS);
        let said: Vec<_> = loaded.diagnostics.iter().map(|it| &it.message).collect();
        assert!(said.is_empty(), "{name}: {said:?}");
        let mut router = Router::new(loaded.show.expect("a show")).expect("an event loop");
        router.start();
        Show { router }
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !done(self) {
            assert!(Instant::now() < deadline, "waited {DEADLINE:?} for: {what}");
            self.router.step(Some(Duration::from_millis(5))).expect("a turn");
        }
    }

    fn until_up(&mut self, instance: &str) {
        self.until(&format!("{instance} to be up"), |show| {
            let live = show.router.handle().live().clone();
            live.state(live.find_instance(instance).expect("an instance")) == State::Up
        });
    }
}

fn engine_name() -> &'static str {
    let is_kernel = std::env::var("CONSORT_SEQ").is_ok_and(|engine| engine == "kernel");
    if is_kernel { "kernel" } else { "embedded" }
}

/// A MIDI device: a client with one port.
struct Device {
    client: SequencerClient,
    port: Port,
}

impl Device {
    fn new(name: &str) -> Self {
        let engine = match engine_name() {
            "kernel" => Engine::kernel(),
            _ => Engine::Embedded(Embedded::process_wide()),
        };
        let builder = SequencerClient::builder(name).engine(engine);
        let client = builder.open().expect("a sequencer");
        let port = client.create_port("MIDI 1").expect("a port");
        Device { client, port }
    }

    fn send(&self, event: Event) {
        self.client.event_output_direct(&event, &self.port).expect("sent");
    }

    fn hear(&self, show: &mut Show) -> String {
        let mut heard = None;
        show.until("the device to hear something", |_| {
            while let Some(event) = self.client.try_event_input().expect("input") {
                let kind = event.event_type();
                if ![EventType::PORT_SUBSCRIBED, EventType::PORT_UNSUBSCRIBED].contains(&kind) {
                    heard = Some(event.payload().to_string());
                    return true;
                }
            }
            false
        });
        heard.expect("until says so")
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_nonblocking(true).expect("set");
    socket
}

fn port_of(socket: &UdpSocket) -> u16 {
    socket.local_addr().expect("an address").port()
}

/// A message with one float, as bytes.
fn message(address: &str, value: f32) -> Vec<u8> {
    let mut bytes = Vec::new();
    MessageBuilder::new(&mut bytes, address).float(value).finish().expect("a message");
    bytes
}

#[test]
fn a_midi_controller_moves_an_osc_mixer() {
    let mixer = socket();
    let to_mixer = format!("mixer.destination=127.0.0.1 {}", port_of(&mixer));
    let mut show = Show::start("midi-to-osc", &[to_mixer]);
    // The device comes while the show runs already.
    let controller = Device::new("nanoKONTROL2");
    show.until_up("controller");
    let mut hears = |event: Event, expected: &[(&str, f32)]| {
        controller.send(event);
        for (address, value) in expected {
            let mut packet = [0; 256];
            let mut length = 0;
            show.until(&format!("{address} {value}"), |_| {
                length = mixer.recv(&mut packet).unwrap_or(0);
                length > 0
            });
            assert_eq!(packet[..length], message(address, *value), "{address} {value}");
        }
    };
    hears(Event::control_change(0, 0, 127).expect("valid"), &[("/fader/1", 1.0)]);
    hears(Event::control_change(0, 23, 127).expect("valid"), &[("/pan/8", 1.0)]);
    hears(Event::pitch_bend(0, -8192).expect("valid"), &[("/master", 0.0)]);
    let note = [("/key", 60.0 / 127.0), ("/velocity", 100.0 / 127.0)];
    hears(Event::note_on(0, 60, 100).expect("valid"), &note);
    hears(Event::note_off(0, 60, 0).expect("valid"), &[("/velocity", 0.0)]);
    hears(Event::new(consort_seq::Payload::Start { queue: 0 }), &[("/play", 1.0)]);
    show.router.finish().expect("a clean stop");
    println!("midi-to-osc on the {} sequencer: 6 gestures arrived", engine_name());
}

#[test]
fn an_osc_tablet_plays_a_midi_synthesizer() {
    let tablet = socket();
    let show_port = port_of(&socket());
    let binds = format!("tablet.bind=127.0.0.1 {show_port}");
    let synth = Device::new("FLUID Synth (1234)");
    // The arpeggiator's test has a synthesizer, too.
    let writes = "synth.write=FLUID Synth (1234)".to_owned();
    let mut show = Show::start("osc-to-midi", &[binds, writes]);
    show.until_up("synth");
    show.until_up("tablet");
    let mut hears = |address: &str, value: f32, expected: &str| {
        let packet = message(address, value);
        tablet.send_to(&packet, ("127.0.0.1", show_port)).expect("sent");
        assert_eq!(synth.hear(&mut show), expected, "{address} {value}");
    };
    hears("/keys/1", 1.0, "Note on channel=0 note=60 velocity=127");
    hears("/fader/2", 0.0, "Control change channel=0 param=10 value=0");
    hears("/wheel", 1.0, "Pitch bend channel=0 value=8191");
    hears("/program", 5.0 / 127.0, "Program change channel=0 value=5");
    hears("/tempo", 120.0, "Clock queue=0");
    tablet.send_to(&message("/tempo", 0.0), ("127.0.0.1", show_port)).expect("sent");
    tablet.send_to(&message("/panic", 1.0), ("127.0.0.1", show_port)).expect("sent");
    let mut heard = synth.hear(&mut show);
    while heard == "Clock queue=0" {
        heard = synth.hear(&mut show);
    }
    assert_eq!(heard, "Note on channel=0 note=60 velocity=0", "it was held all the time");
    for channel in 0..16 {
        for controller in [64, 120, 123] {
            let expected = format!("Control change channel={channel} param={controller} value=0");
            assert_eq!(synth.hear(&mut show), expected);
        }
    }
    show.router.finish().expect("a clean stop");
    println!("osc-to-midi on the {} sequencer: 7 gestures arrived", engine_name());
}

#[test]
fn a_chord_becomes_an_arpeggio_between_two_midi_ports() {
    let (keys, synth) = (Device::new("Keystation 49"), Device::new("FLUID Synth (99)"));
    let writes = "synth.write=FLUID Synth (99)".to_owned();
    let mut show = Show::start("midi-arpeggiator", &[writes]);
    for instance in ["keys", "synth", "arpeggiator"] {
        show.until_up(instance);
    }
    keys.send(Event::control_change(0, 1, 127).expect("valid"));
    for note in [64, 60, 67] {
        keys.send(Event::note_on(0, note, 100).expect("valid"));
    }
    let mut notes = Vec::new();
    while notes.len() < 9 {
        let heard = synth.hear(&mut show);
        if let Some(note) = heard.strip_suffix(" velocity=100") {
            notes.push(note.rsplit('=').next().expect("a number").to_owned());
        } else {
            let sounding = notes.last().expect("a note sounds");
            let end = format!("Note off channel=0 note={sounding} velocity=0");
            assert_eq!(heard, end, "each note ends before the next");
        }
    }
    // The chord may not be complete at the first step; then it goes up and down.
    let text = notes.join(" ");
    assert!(text.contains("60 64 67 64 60 64"), "{text}");
    // The keyboard is unplugged: its notes are let go, and the arpeggio ends by itself.
    drop(keys);
    show.until("silence", |show| {
        let live = show.router.handle().live().clone();
        let id = live.find_instance("keys").expect("an instance");
        live.state(id).word() == "waiting"
    });
    show.router.finish().expect("a clean stop");
    let mut last = String::new();
    while let Ok(Some(event)) = synth.client.try_event_input() {
        let text = event.payload().to_string();
        if text.starts_with("Note") {
            last = text;
        }
    }
    assert!(!last.starts_with("Note on"), "it ends with silence: {last}");
    println!("midi-arpeggiator on the {} sequencer: {text}", engine_name());
}
