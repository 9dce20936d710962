//! The SuperCollider shows under `examples/`, played on a real server, or rendered from a score,
//! and measured.

#![cfg(all(feature = "sc", feature = "osc", feature = "python", feature = "midi"))]
#![allow(clippy::print_stdout)] // The measurements are part of the result.

mod sc_support;

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use consort_backends::BACKENDS;
use consort_osc::{MessageBuilder, OscMessage, OscPacket};
use consort_router::config::{Override, load};
use consort_router::{Router, State};
use consort_sc::find_executable;
use consort_sc::score::{RenderSettings, SampleFormat, Score};
use consort_seq::{Embedded, Engine, Event, SequencerClient};
use sc_support::{CONDITION_TIMEOUT, Jack, free_port};

/// A show under `examples/`, which runs on the test's thread.
struct Show {
    router: Router,
}

impl Show {
    fn start(name: &str, overrides: &[String]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
        let mut all: Vec<_> = overrides.iter().map(Override::instance).collect();
        if name == "sc-keyboard-pad" {
            all.push(Override::backend("midi.engine=embedded"));
        }
        let loaded = load(&folder.join("show.cfg"), &all, BACKENDS);
        let errors: Vec<_> =
            loaded.diagnostics.iter().map(|diagnostic| &diagnostic.message).collect();
        let show = loaded.show.unwrap_or_else(|| panic!("{name}: {errors:?}"));
        let mut router = Router::new(show).expect("an event loop");
        router.start();
        Show { router }
    }

    fn until(&mut self, what: &str, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + CONDITION_TIMEOUT;
        while !done() {
            assert!(Instant::now() < deadline, "waited {CONDITION_TIMEOUT:?} for: {what}");
            self.router.step(Some(Duration::from_millis(5))).expect("a turn");
        }
    }

    fn until_up(&mut self, instance: &str) {
        let live = self.router.handle().live().clone();
        let id = live.find_instance(instance).expect("an instance");
        self.until(&format!("{instance} to be up"), || live.state(id) == State::Up);
    }

    /// Runs the show for so many seconds.
    fn play(&mut self, seconds: f64) {
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        while Instant::now() < end {
            self.router.step(Some(Duration::from_millis(1))).expect("a turn");
        }
    }
}

/// A message with one number.
fn message(address: &str, value: f32) -> Vec<u8> {
    let mut bytes = Vec::new();
    MessageBuilder::new(&mut bytes, address).float(value).finish().expect("a message");
    bytes
}

/// The messages that have arrived.
fn receive_all(socket: &UdpSocket) -> Vec<(String, f64)> {
    let mut all = Vec::new();
    let mut bytes = [0; 4_096];
    while let Ok(count) = socket.recv(&mut bytes) {
        let packet = OscPacket::decode(&bytes[..count]).expect("OSC");
        if let OscPacket::Message(OscMessage { address, arguments }) = packet {
            all.push((address, arguments[0].as_f64().expect("a number")));
        }
    }
    all
}

/// A socket and its port.
fn listener() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_nonblocking(true).expect("set");
    let port = socket.local_addr().expect("an address").port();
    (socket, port)
}

/// Overrides that start the server of an instance on the test's JACK server.
fn boot_overrides(jack: &Jack, instance: &str) -> Vec<String> {
    let options = jack.instance_options(free_port());
    options.iter().map(|(name, value)| format!("{instance}.{name}={value}")).collect()
}

/// Whether scores can be rendered. If not, prints why, or panics in CI.
fn can_render(what: &str) -> bool {
    let found = find_executable(None);
    if let Err(error) = &found {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "missing peer: {error}");
        println!("SKIPPED: {what}: {error}");
    }
    found.is_ok()
}

/// The left channel of a score at 48 kHz.
fn render(score: &Path, seconds: f64) -> Vec<f64> {
    let score = Score::read(score).expect("a score");
    let wav = tempfile::NamedTempFile::new().expect("a file");
    let settings =
        RenderSettings { sample_format: SampleFormat::Int16, ..RenderSettings::default() };
    let header = consort_sc::score::HeaderFormat::Wav;
    let settings = RenderSettings { header_format: Some(header), ..settings };
    let report = score.render(wav.path(), &settings, Some(seconds), |_| true).expect("rendered");
    assert_eq!(report.failures, Vec::<String>::new());
    let bytes = std::fs::read(wav.path()).expect("a file");
    let start = bytes.windows(4).position(|tag| tag == b"data").expect("samples") + 8;
    let frames = bytes[start..].chunks_exact(4);
    frames.map(|frame| f64::from(i16::from_le_bytes([frame[0], frame[1]])) / 32_768.0).collect()
}

/// The samples between two times in seconds.
fn part(samples: &[f64], from: f64, to: f64) -> &[f64] {
    &samples[(from * 48_000.0) as usize..(to * 48_000.0) as usize]
}

/// The root mean square.
fn rms(samples: &[f64]) -> f64 {
    (samples.iter().map(|sample| sample * sample).sum::<f64>() / samples.len() as f64).sqrt()
}

/// The brightness of a sound: the level of its differences in proportion to its own.
fn brightness(samples: &[f64]) -> f64 {
    let differences: Vec<f64> = samples.windows(2).map(|pair| pair[1] - pair[0]).collect();
    rms(&differences) / rms(samples)
}

/// Converts an amplitude to decibels.
fn decibels(level: f64) -> f64 {
    20.0 * level.log10()
}

#[test]
fn the_keyboard_plays_the_pad_and_the_wheel_opens_it() {
    if !can_render("the keyboard show") {
        return;
    }
    let engine = Engine::Embedded(Embedded::process_wide());
    let client = SequencerClient::builder("Keystation").engine(engine).open().expect("a client");
    let port = client.create_port("MIDI 1").expect("a port");
    let send = |event: Event| {
        client.event_output_direct(&event, &port).expect("sent");
    };
    let key = |note, velocity| Event::note_on(0, note, velocity).expect("valid");
    let wheel = |value| Event::control_change(0, 1, value).expect("valid");
    let pedal = |value| Event::control_change(0, 64, value).expect("valid");
    let folder = tempfile::tempdir().expect("a folder");
    let score = folder.path().join("take.osc");
    let overrides = ["sound.server=score".to_owned(), format!("sound.score={}", score.display())];
    let mut show = Show::start("sc-keyboard-pad", &overrides);
    show.until_up("keys");
    show.until_up("sound");
    let started = Instant::now();
    send(wheel(0));
    [57, 64, 69].into_iter().for_each(|note| send(key(note, 100)));
    show.play(1.2);
    send(wheel(127));
    show.play(1.0);
    // The pedal holds the released notes.
    send(pedal(127));
    [57, 64, 69].into_iter().for_each(|note| send(key(note, 0)));
    show.play(0.8);
    send(pedal(0));
    show.play(0.2);
    let end = started.elapsed().as_secs_f64();
    show.router.finish().expect("a clean stop");
    let samples = render(&score, end + 6.0);
    let (closed, open) = (part(&samples, 0.8, 1.15), part(&samples, 1.6, 2.1));
    let (held, ended) = (part(&samples, 2.5, 2.9), part(&samples, end + 5.0, end + 5.8));
    println!(
        "keyboard show: closed {:.1} dB, brightness {:.3}; wheel up {:.1} dB, brightness {:.3}; \
         held by the pedal {:.1} dB; after the end {:.1} dB",
        decibels(rms(closed)),
        brightness(closed),
        decibels(rms(open)),
        brightness(open),
        decibels(rms(held)),
        decibels(rms(ended))
    );
    assert!(rms(closed) > 0.005 && rms(open) > 0.005, "the notes sound");
    assert!(brightness(open) > 1.5 * brightness(closed), "the wheel opens the filter");
    assert!(rms(held) > 0.5 * rms(open), "the pedal holds");
    assert!(rms(ended) < 0.01 * rms(open), "no note is stuck");
}

#[test]
fn the_script_plays_the_drums() {
    if !can_render("the drums") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let score = folder.path().join("drums.osc");
    let overrides = [
        "sound.server=score".to_owned(),
        format!("sound.score={}", score.display()),
        format!("tablet.bind=127.0.0.1 {}", free_port()),
    ];
    let mut show = Show::start("sc-drums", &overrides);
    show.until_up("sequencer");
    show.play(3.0);
    show.router.finish().expect("a clean stop");
    let length = Score::read(&score).expect("a score").duration();
    let samples = render(&score, length + 1.0);
    let loud = samples.chunks(4_800).filter(|chunk| rms(chunk) > 0.01).count();
    println!("drums: {loud} tenths of a second sound, {:.1} dB", decibels(rms(&samples)));
    assert!(loud >= 20, "{loud} tenths of a second sound");
}

#[test]
fn the_tablet_mixes_and_shows_the_meters() {
    let Some(jack) = Jack::start("the mixer show") else { return };
    let (tablet, port) = listener();
    let show_port = free_port();
    let mut overrides = boot_overrides(&jack, "desk");
    overrides.push(format!("tablet.bind=127.0.0.1 {show_port}"));
    overrides.push(format!("tablet.destination=127.0.0.1 {port}"));
    let mut show = Show::start("sc-mixer", &overrides);
    show.until_up("desk");
    let send = |address: &str, value: f32| {
        tablet.send_to(&message(address, value), ("127.0.0.1", show_port)).expect("sent");
    };
    let mut level = 0.0;
    let update = |level: &mut f64| {
        for (address, value) in receive_all(&tablet) {
            if address == "/meter/1" {
                *level = value;
            }
        }
    };
    send("/fader/1", 1.0);
    send("/fader/3", 1.0);
    show.until("the meter to rise", || {
        update(&mut level);
        level > 0.02
    });
    let before = level;
    send("/mute", 1.0);
    show.until("the meter to fall", || {
        update(&mut level);
        level < 0.002
    });
    send("/mute", 0.0);
    send("/master", 1.0);
    show.until("the meter to rise again", || {
        update(&mut level);
        level > 0.02
    });
    println!("mixer: {:.1} dB on the tablet's meter", decibels(before));
    show.router.finish().expect("a clean stop");
}

#[test]
fn the_loudness_of_a_sound_drives_a_meter() {
    let Some(jack) = Jack::start("the meter show") else { return };
    let (wall, port) = listener();
    let mut overrides = boot_overrides(&jack, "ears");
    // A tone replaces the microphone.
    overrides.extend(["ears.synth.tone=lead", "ears.synth.tone.group=voices"].map(str::to_owned));
    overrides
        .extend(["ears.control.tone.out=2", "ears.control.tone.amplitude=0 1"].map(str::to_owned));
    overrides.push(format!("wall.bind=127.0.0.1 {}", free_port()));
    overrides.push(format!("wall.destination=127.0.0.1 {port}"));
    let mut show = Show::start("sc-meter", &overrides);
    show.until_up("ears");
    let (mut meter, mut lamp) = (0.0, 0.0);
    show.until("the meter and the lamp", || {
        for (address, value) in receive_all(&wall) {
            match address.as_str() {
                "/meter" => meter = value,
                _ => lamp = value,
            }
        }
        meter > 0.3 && lamp > 70.0
    });
    println!("meter: {meter:.2}, lamp: {lamp}");
    show.router.finish().expect("a clean stop");
}
