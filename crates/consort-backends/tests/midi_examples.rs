//! The MIDI shows under `examples/`, on the embedded sequencer, or with `CONSORT_SEQ=kernel` on
//! the kernel's (run one test at a time then).
#![allow(clippy::print_stdout)] // The received events are part of the result.
#![cfg(all(feature = "midi", feature = "osc", feature = "python"))]

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use consort_backends::BACKENDS;
use consort_osc::MessageBuilder;
use consort_router::config::{Override, load};
use consort_router::{Router, State};
use consort_seq::{Embedded, Engine, Event, EventType, Port, SequencerClient};

/// How long a condition may take.
const CONDITION_TIMEOUT: Duration = Duration::from_secs(30);

/// A show under `examples/`, which runs on the test's thread.
struct Show {
    router: Router,
}

impl Show {
    fn start(name: &str, overrides: &[String]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
        let mut all = vec![Override::backend(format!("midi.engine={}", engine_name()))];
        all.extend(overrides.iter().map(Override::instance));
        let loaded = load(&folder.join("show.cfg"), &all, BACKENDS);
        let messages: Vec<_> =
            loaded.diagnostics.iter().map(|diagnostic| &diagnostic.message).collect();
        assert!(messages.is_empty(), "{name}: {messages:?}");
        let mut router = Router::new(loaded.show.expect("a show")).expect("an event loop");
        router.start();
        Show { router }
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + CONDITION_TIMEOUT;
        while !done(self) {
            assert!(Instant::now() < deadline, "waited {CONDITION_TIMEOUT:?} for: {what}");
            self.router.step(Some(Duration::from_millis(5))).expect("a turn");
        }
    }

    fn until_up(&mut self, instance: &str) {
        self.until(&format!("{instance} to be up"), |show| {
            let live = show.router.handle().live();
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

    /// Runs the show until the next event, which is returned as text.
    fn receive(&self, show: &mut Show) -> String {
        let mut received = None;
        show.until("the device to receive an event", |_| {
            while let Some(event) = self.client.try_event_input().expect("input") {
                let kind = event.event_type();
                if ![EventType::PORT_SUBSCRIBED, EventType::PORT_UNSUBSCRIBED].contains(&kind) {
                    received = Some(event.payload().to_string());
                    return true;
                }
            }
            false
        });
        received.expect("an event")
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
    // The device appears while the show runs.
    let controller = Device::new("nanoKONTROL2");
    show.until_up("controller");
    let mut check = |event: Event, expected: &[(&str, f32)]| {
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
    check(Event::control_change(0, 0, 127).expect("valid"), &[("/fader/1", 1.0)]);
    check(Event::control_change(0, 23, 127).expect("valid"), &[("/pan/8", 1.0)]);
    check(Event::pitch_bend(0, -8192).expect("valid"), &[("/master", 0.0)]);
    let note = [("/key", 60.0 / 127.0), ("/velocity", 100.0 / 127.0)];
    check(Event::note_on(0, 60, 100).expect("valid"), &note);
    check(Event::note_off(0, 60, 0).expect("valid"), &[("/velocity", 0.0)]);
    check(Event::new(consort_seq::Payload::Start { queue: 0 }), &[("/play", 1.0)]);
    show.router.finish().expect("a clean stop");
    println!("midi-to-osc on the {} sequencer: 6 gestures arrived", engine_name());
}

#[test]
fn an_osc_tablet_plays_a_midi_synthesizer() {
    let tablet = socket();
    let show_port = port_of(&socket());
    let binds = format!("tablet.bind=127.0.0.1 {show_port}");
    let synth = Device::new("FLUID Synth (1234)");
    // The full name, because the test of the arpeggiator also has a synthesizer.
    let writes = "synth.write=FLUID Synth (1234)".to_owned();
    let mut show = Show::start("osc-to-midi", &[binds, writes]);
    show.until_up("synth");
    show.until_up("tablet");
    let mut check = |address: &str, value: f32, expected: &str| {
        let packet = message(address, value);
        tablet.send_to(&packet, ("127.0.0.1", show_port)).expect("sent");
        assert_eq!(synth.receive(&mut show), expected, "{address} {value}");
    };
    check("/keys/1", 1.0, "Note on channel=0 note=60 velocity=127");
    check("/fader/2", 0.0, "Control change channel=0 param=10 value=0");
    check("/wheel", 1.0, "Pitch bend channel=0 value=8191");
    check("/program", 5.0 / 127.0, "Program change channel=0 value=5");
    check("/tempo", 120.0, "Clock queue=0");
    tablet.send_to(&message("/tempo", 0.0), ("127.0.0.1", show_port)).expect("sent");
    tablet.send_to(&message("/panic", 1.0), ("127.0.0.1", show_port)).expect("sent");
    let mut received = synth.receive(&mut show);
    while received == "Clock queue=0" {
        received = synth.receive(&mut show);
    }
    assert_eq!(received, "Note on channel=0 note=60 velocity=0", "it was held until now");
    for channel in 0..16 {
        for controller in [64, 120, 123] {
            let expected = format!("Control change channel={channel} param={controller} value=0");
            assert_eq!(synth.receive(&mut show), expected);
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
        let received = synth.receive(&mut show);
        if let Some(note) = received.strip_suffix(" velocity=100") {
            notes.push(note.rsplit('=').next().expect("a number").to_owned());
        } else {
            let sounding = notes.last().expect("a note sounds");
            let end = format!("Note off channel=0 note={sounding} velocity=0");
            assert_eq!(received, end, "each note ends before the next");
        }
    }
    // The chord may be incomplete at the first step; after that, it goes up and down.
    let text = notes.join(" ");
    assert!(text.contains("60 64 67 64 60 64"), "{text}");
    // The keyboard is unplugged: its notes are released, and the arpeggio ends.
    drop(keys);
    show.until("silence", |show| {
        let live = show.router.handle().live();
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
