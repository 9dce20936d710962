//! `visca` with cameras: one that is written from the specification, over UDP with and without
//! Sony's header, TCP and a pseudo terminal. A foreign client checks it first.

#![cfg(feature = "visca")]
#![allow(clippy::print_stdout)]

mod visca_support;

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use consort_backends::visca::DESCRIPTOR;
use consort_router::testing::{Performance, TestShow};
use parking_lot::Mutex;
use visca_support::{Camera, Model, SerialLine};

const LOCAL: [u8; 4] = [127, 0, 0, 1];

/// Prints why a test is skipped, or panics in CI.
fn skip(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "missing peer: {reason}");
    println!("SKIPPED: {reason}");
}

fn model(id: u8) -> Arc<Mutex<Model>> {
    Arc::new(Mutex::new(Model::new(id)))
}

fn show_of(options: &[(&str, &str)], mappings: &[(&str, &str)]) -> Performance {
    let mut show = TestShow::new();
    show.instance(&DESCRIPTOR, "cam", options);
    for (source, target) in mappings {
        show.map(source, target);
    }
    show.start()
}

/// The mappings of MIDIMonster's example, with the controls as channels of the probe.
const EXAMPLE: [(&str, &str); 10] = [
    ("probe./1/xy", "cam.tilt"),
    ("probe./1/xy:1", "cam.pan"),
    ("probe./1/fader1", "cam.panspeed"),
    ("probe./1/fader2", "cam.tiltspeed"),
    ("probe./1/fader4", "cam.zoom"),
    ("probe./1/push1", "cam.home"),
    ("probe./1/push2", "cam.memory1"),
    ("probe./1/push3", "cam.memory2"),
    ("probe./1/push4", "cam.store1"),
    ("probe./1/push5", "cam.store2"),
];

/// Plays the controls of MIDIMonster's example, and checks what the camera does.
fn play_example(show: &mut Performance, camera: &Arc<Mutex<Model>>, mut turn: impl FnMut()) {
    let mut until = |show: &mut Performance, what: &str, done: &dyn Fn(&Model) -> bool| {
        show.until(what, |_| {
            turn();
            done(&camera.lock())
        });
    };
    show.send_all(&[("/1/fader1", 0.0), ("/1/xy", 1.0), ("/1/xy:1", 0.0)]);
    until(show, "pan and tilt", &|model| (model.pan, model.tilt) == (-2448, 1296));
    let first = camera.lock().commands.clone();
    let expected = [0x01, 0x06, 0x02, 1, 20, 15, 6, 7, 0, 0, 5, 1, 0, 0xFF];
    assert_eq!(first[0][1..], expected, "{first:x?}");
    show.send("/1/fader4", 0.5);
    until(show, "zoom", &|model| model.zoom == 0x2000);
    show.send("/1/push4", 1.0);
    until(show, "a stored memory", &|model| model.commands.iter().any(|c| c[3..6] == [0x3F, 1, 1]));
    show.send_all(&[("/1/push4", 0.0), ("/1/push1", 1.0)]);
    until(show, "home", &|model| (model.pan, model.tilt) == (0, 0));
    show.send_all(&[("/1/push1", 0.0), ("/1/fader4", 0.0), ("/1/push2", 1.0)]);
    until(show, "the memory", &|model| {
        (model.pan, model.tilt, model.zoom) == (-2448, 1296, 0x2000)
    });
    // The releases of the buttons have sent nothing.
    let count = camera.lock().commands.iter().filter(|c| c[3..] == [0x04, 0xFF]).count();
    assert_eq!(count, 1, "home");
}

#[test]
fn a_foreign_client_controls_the_camera_of_these_tests() {
    let Some(venv) = std::env::var_os("CONSORT_VENV").map(PathBuf::from) else {
        return skip("CONSORT_VENV is not set (PyPI: visca-over-ip)");
    };
    let python = venv.join("bin/python");
    let has_client = Command::new(&python).args(["-c", "import visca_over_ip"]).output();
    if !has_client.is_ok_and(|output| output.status.success()) {
        return skip("no visca-over-ip (PyPI)");
    }
    // The client binds the same port for its inquiries, so that the camera has another address.
    let camera = Camera::udp(model(1), SocketAddr::from(([127, 0, 0, 2], 0)), true);
    let script = "\
import sys
from visca_over_ip import Camera
camera = Camera('127.0.0.2', int(sys.argv[1]))
camera.pantilt(24, 20, -2448, 1296)
print(camera.get_pantilt_position())
camera.zoom_to(0.5)
print(camera.get_zoom_position())
camera.set_focus_mode('manual')
print(camera.get_focus_mode())
camera.save_preset(3)
camera.pantilt_home()
print(camera.get_pantilt_position())
camera.recall_preset(3)
print(camera.get_pantilt_position())
camera.pantilt(7, -5)
camera.pantilt(0, 0)
";
    let output = Command::new(&python)
        .args(["-c", script, &camera.port.to_string()])
        .output()
        .expect("python runs");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text, "(-2448, 1296)\n8192\nmanual\n(0, 0)\n(-2448, 1296)\n");
    let model = camera.model.lock();
    assert_eq!((model.drive, model.sequence_errors), ([0, 0, 3, 3], 0));
    let expected = [0x81, 1, 6, 1, 7, 5, 2, 1, 0xFF];
    assert!(model.commands.iter().any(|command| *command == expected), "{:x?}", model.commands);
}

#[test]
fn the_example_of_midimonster_controls_a_camera_over_tcp() {
    let camera = Camera::tcp(model(1), 0);
    let connect = format!("127.0.0.1 {}", camera.port);
    let mut show = show_of(&[("connect", &connect)], &EXAMPLE);
    play_example(&mut show, &camera.model, || {});
    show.until_state("cam", "up");
    show.finish();
}

#[test]
fn a_camera_over_udp_is_asked_for_its_framing() {
    for (is_sony, framing) in [(true, "auto"), (false, "auto"), (true, "sony"), (false, "raw")] {
        let camera = Camera::udp(model(1), SocketAddr::from((LOCAL, 0)), is_sony);
        let connect = format!("127.0.0.1 {} udp", camera.port);
        let mut show = show_of(&[("connect", &connect), ("framing", framing)], &EXAMPLE);
        play_example(&mut show, &camera.model, || {});
        show.until_state("cam", "up");
        assert_eq!(camera.model.lock().sequence_errors, 0, "{framing}");
        show.finish();
    }
}

#[test]
fn the_framing_of_a_camera_that_is_switched_on_later_is_found() {
    for is_sony in [true, false] {
        let camera = Camera::udp(model(1), SocketAddr::from((LOCAL, 0)), is_sony);
        camera.model.lock().is_mute = true;
        let connect = format!("127.0.0.1 {} udp", camera.port);
        let mut show = show_of(&[("connect", &connect)], &[("probe.zoom", "cam.zoom")]);
        show.until_state("cam", "degraded");
        camera.model.lock().is_mute = false;
        show.until_state("cam", "up");
        show.send("zoom", 1.0);
        show.until("zoom", |_| camera.model.lock().zoom == 0x4000);
        show.finish();
    }
}

#[test]
fn several_cameras_share_a_serial_line() {
    let mut line = SerialLine::new(vec![model(1), model(2)]);
    let device = format!("{} 38400", line.link.display());
    let mut setup = TestShow::new();
    setup.instance(&DESCRIPTOR, "one", &[("device", &device)]);
    setup.instance(&DESCRIPTOR, "two", &[("device", &device), ("id", "2"), ("poll", "20")]);
    for (source, target) in [
        ("probe.zoom1", "one.zoom"),
        ("probe.zoom2", "two.zoom"),
        ("probe.pan2", "two.pan"),
        ("two.tilt", "probe.tilt2"),
    ] {
        setup.map(source, target);
    }
    let mut show = setup.start();
    let cameras = line.cameras.clone();
    cameras[1].lock().tilt = 648;
    show.until("both to answer", |show| {
        line.turn();
        show.state("one").word() == "up" && show.state("two").word() == "up"
    });
    // 0x0A and 0x0D arrive unchanged, so that the line is in raw mode.
    show.send_all(&[("zoom1", 1.0), ("zoom2", 0x0D0A as f64 / 16384.0), ("pan2", 0.75)]);
    show.until("the values", |_| {
        line.turn();
        let (one, two) = (cameras[0].lock(), cameras[1].lock());
        one.zoom == 0x4000 && two.zoom == 0x0D0A && two.pan == 1224
    });
    assert_eq!(cameras[1].lock().tilt, 648, "the other axis keeps its position");
    assert_eq!(line.received[..9], [0x88, 0x30, 1, 0xFF, 0x88, 1, 0, 1, 0xFF]);
    show.until("the position", |show| {
        line.turn();
        show.received().contains(&("tilt2".into(), 0.75))
    });
    line.replug();
    show.until("the line again", |show| {
        line.turn();
        show.state("one").word() != "up"
    });
    line.turn();
    cameras[0].lock().commands.clear();
    show.send("zoom1", 0.5);
    show.until("the newest value", |_| {
        line.turn();
        cameras[0].lock().zoom == 0x2000
    });
    show.finish();
}

/// A camera that only takes what arrives, without a thread.
struct Listener {
    socket: UdpSocket,
}

impl Listener {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(1))).expect("set");
        Listener { socket }
    }

    fn connect(&self) -> String {
        format!("127.0.0.1 {} udp", self.socket.local_addr().expect("an address").port())
    }

    /// What has arrived, without turning the show.
    fn take(&self) -> Vec<Vec<u8>> {
        let mut buffer = [0; 64];
        std::iter::from_fn(|| self.socket.recv(&mut buffer).ok().map(|n| buffer[..n].to_vec()))
            .collect()
    }
}

fn is_inquiry(message: &[u8]) -> bool {
    message[1] == 0x09
}

#[test]
fn a_stop_leaves_in_the_turn_of_its_event_while_two_commands_are_unacknowledged() {
    let camera = Listener::new();
    let connect = camera.connect();
    let mappings = [
        ("probe.zoom", "cam.zoom"),
        ("probe.focus", "cam.focus"),
        ("probe.red", "cam.wb.red"),
        ("probe.left", "cam.move.left"),
        ("probe.stop", "cam.stop"),
    ];
    let mut show = show_of(&[("connect", &connect), ("framing", "raw")], &mappings);
    let mut commands = Vec::new();
    show.send_all(&[("zoom", 0.1), ("left", 1.0), ("focus", 0.2), ("zoom", 0.3), ("red", 1.0)]);
    // Two leave; the newest zoom is one of them.
    commands.extend(camera.take().into_iter().filter(|message| !is_inquiry(message)));
    assert_eq!(commands.len(), 2, "{commands:x?}");
    assert_eq!(commands[0], [0x81, 1, 4, 0x47, 1, 3, 3, 3, 0xFF]);
    assert_eq!(commands[1], [0x81, 1, 6, 1, 24, 0, 1, 3, 0xFF]);
    show.send("left", 0.0);
    // It arrives in the same turn. If this computer was slow, the others are repeated before it.
    let mut second = camera.take();
    second.retain(|message| !is_inquiry(message) && !commands.contains(message));
    assert_eq!(second, [[0x81, 1, 6, 1, 24, 20, 3, 3, 0xFF]]);
    show.finish();
}

/// How often a camera is killed and started again; the suite of cameras does it more often.
fn restarts() -> u16 {
    std::env::var("CONSORT_REPLUGS").ok().and_then(|count| count.parse().ok()).unwrap_or(5)
}

#[test]
fn a_camera_that_is_killed_and_started_again_gets_every_stop() {
    let count = restarts();
    for transport in ["udp", "tcp"] {
        let shared = model(1);
        let start = |port: u16| match transport {
            "udp" => Camera::udp(Arc::clone(&shared), SocketAddr::from((LOCAL, port)), true),
            _ => Camera::tcp(Arc::clone(&shared), port),
        };
        let mut camera = Some(start(0));
        let port = camera.as_ref().expect("a camera").port;
        let connect = format!("127.0.0.1 {port} {transport}");
        let framing = if transport == "udp" { "sony" } else { "raw" };
        let mappings = [("probe.x", "cam.move.x"), ("probe.zoom", "cam.zoom")];
        let mut show = show_of(&[("connect", &connect), ("framing", framing)], &mappings);
        show.until_state("cam", "up");
        for round in 1..=count {
            let zoom = f64::from(round) / f64::from(count);
            show.send_all(&[("x", 1.0), ("zoom", zoom)]);
            show.until("a movement", |_| shared.lock().drive == [24, 0, 1, 3]);
            drop(camera.take());
            // It stops while the camera is away.
            show.send_all(&[("x", 0.5), ("zoom", zoom - 0.005)]);
            shared.lock().drive = [24, 0, 1, 3];
            camera = Some(start(port));
            let expected = ((zoom - 0.005) * 16384.0).round() as u16;
            show.until("the stop and the newest value", |_| {
                let model = shared.lock();
                model.drive[2..] == [3, 3] && model.zoom == expected
            });
        }
        println!("{transport}: {count} times, {:?}", show.counters("cam"));
        drop(camera);
        show.finish();
    }
}
