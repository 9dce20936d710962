//! Runs the shows of examples/cookbook against stand-ins that receive and answer as the manuals of
//! the devices describe it. The real devices were not there: the book says so.
#![cfg(feature = "default")]

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use support::WAIT_TIMEOUT;

/// A show of the cookbook with a tablet; killed when this is dropped.
struct Show {
    child: Child,
    tablet: UdpSocket,
    /// The port on which the show receives the tablet.
    input: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Show {
    fn drop(&mut self) {
        // Fails only if the process has exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("set");
    socket
}

fn port(socket: &UdpSocket) -> u16 {
    socket.local_addr().expect("an address").port()
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    port(&socket())
}

fn padded(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(text.len() / 4 * 4 + 4, 0);
    bytes
}

/// An OSC message with one float.
fn float(address: &str, value: f32) -> Vec<u8> {
    [padded(address), padded(",f"), value.to_be_bytes().to_vec()].concat()
}

/// An OSC message with one whole number.
fn integer(address: &str, value: i32) -> Vec<u8> {
    [padded(address), padded(",i"), value.to_be_bytes().to_vec()].concat()
}

/// An OSC message without arguments.
fn bare(address: &str) -> Vec<u8> {
    [padded(address), padded(",")].concat()
}

impl Show {
    /// Starts a show of the cookbook; the overrides of instances and backends are `-i` or `-b`.
    fn start(name: &str, overrides: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../examples/cookbook")
            .join(name)
            .canonicalize()
            .expect("an example");
        let input = free_port();
        let mut run = support::command(folder.path());
        run.args(["run", "-i", &format!("tablet.bind=127.0.0.1 {input}")]);
        for (flag, text) in overrides {
            run.args([flag, text.as_str()]);
        }
        let child = run.arg(file).spawn().expect("started");
        Show { child, tablet: socket(), input, _folder: folder }
    }

    /// The tablet sends a message; nobody receives it while the show is starting.
    fn send(&self, message: &[u8]) {
        let _ = self.tablet.send_to(message, ("127.0.0.1", self.input));
    }

    /// Calls `act` until a packet arrives that is wanted; returns who sent it.
    fn wait_for(
        &mut self,
        socket: &UdpSocket,
        what: &str,
        mut act: impl FnMut(&Show),
        is_wanted: impl Fn(&[u8]) -> bool,
    ) -> SocketAddr {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        let mut buffer = [0; 2_048];
        loop {
            assert!(Instant::now() < deadline, "{what}: not within {WAIT_TIMEOUT:?}");
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "the show has ended: {ended:?}");
            act(self);
            while let Ok((count, sender)) = socket.recv_from(&mut buffer) {
                if is_wanted(&buffer[..count]) {
                    return sender;
                }
            }
        }
    }

    /// Presses and releases a button of the tablet until the device gets a message.
    fn press(&mut self, device: &UdpSocket, button: &str, expected: &[u8]) {
        let act = |show: &Show| {
            show.send(&float(button, 1.0));
            show.send(&float(button, 0.0));
        };
        self.wait_for(device, button, act, |packet| packet == expected);
    }

    /// Moves a fader of the tablet until the device gets a message.
    fn move_fader(&mut self, device: &UdpSocket, fader: &str, value: f32, expected: &[u8]) {
        // The first move may be lost while the show starts, and equal values are sent once.
        let act = |show: &Show| {
            show.send(&float(fader, 0.0));
            show.send(&float(fader, value));
        };
        self.wait_for(device, fader, act, |packet| packet == expected);
    }
}

#[test]
fn an_x32_follows_the_tablet_and_reports_its_own_changes() {
    let (desk, tablet) = (socket(), socket());
    let overrides = [
        ("-i", format!("desk.bind=127.0.0.1 {}", free_port())),
        ("-i", format!("desk.destination=127.0.0.1 {}", port(&desk))),
        ("-i", format!("tablet.destination=127.0.0.1 {}", port(&tablet))),
    ];
    let mut show = Show::start("x32.cfg", &overrides);
    // The desk reports changes only to who subscribes, at the port that subscribed.
    let subscription = bare("/xremote");
    let is_subscription =
        |packet: &[u8]| packet == subscription || packet == padded("/xremote").as_slice();
    let client = show.wait_for(&desk, "the subscription", |_| {}, is_subscription);
    show.move_fader(&desk, "/fader/01", 0.5, &float("/ch/01/mix/fader", 0.5));
    show.move_fader(&desk, "/on/08", 1.0, &integer("/ch/08/mix/on", 1));
    let report = float("/ch/02/mix/fader", 0.75);
    let act = |_: &Show| {
        let _ = desk.send_to(&report, client);
    };
    let expected = float("/fader/02", 0.75);
    show.wait_for(&tablet, "the desk's change", act, |packet| packet == expected);
}

#[test]
fn qlab_starts_a_cue_at_every_press() {
    let qlab = socket();
    let mut show =
        Show::start("qlab.cfg", &[("-i", format!("qlab.destination=127.0.0.1 {}", port(&qlab)))]);
    for _ in 0..3 {
        show.press(&qlab, "/go", &bare("/go"));
    }
    show.press(&qlab, "/cue/5", &bare("/cue/5/start"));
    show.press(&qlab, "/panic", &bare("/panic"));
}

#[test]
fn resolume_starts_clips_again_and_fades_layers() {
    let resolume = socket();
    let destination = format!("resolume.destination=127.0.0.1 {}", port(&resolume));
    let mut show = Show::start("resolume.cfg", &[("-i", destination)]);
    for _ in 0..2 {
        let clip = integer("/composition/layers/1/clips/2/connect", 1);
        show.press(&resolume, "/clip/2", &clip);
    }
    let opacity = float("/composition/layers/3/video/opacity", 0.25);
    show.move_fader(&resolume, "/opacity/3", 0.25, &opacity);
}

#[test]
fn reaper_plays_and_its_volumes_return_to_the_tablet() {
    let (reaper, tablet) = (socket(), socket());
    let feedback = free_port();
    let overrides = [
        ("-i", format!("reaper.bind=127.0.0.1 {feedback}")),
        ("-i", format!("reaper.destination=127.0.0.1 {}", port(&reaper))),
        ("-i", format!("tablet.destination=127.0.0.1 {}", port(&tablet))),
    ];
    let mut show = Show::start("reaper.cfg", &overrides);
    for _ in 0..2 {
        show.press(&reaper, "/play", &float("/play", 1.0));
    }
    show.move_fader(&reaper, "/volume/3", 0.5, &float("/track/3/volume", 0.5));
    let report = float("/track/4/volume", 0.75);
    let act = |_: &Show| {
        let _ = reaper.send_to(&report, ("127.0.0.1", feedback));
    };
    let expected = float("/volume/4", 0.75);
    show.wait_for(&tablet, "the volume of REAPER", act, |packet| packet == expected);
}

#[test]
fn a_wled_lamp_gets_its_colour_over_art_net() {
    let lamp = socket();
    let overrides = [
        ("-b", format!("artnet.bind=127.0.0.1 {}", free_port())),
        ("-i", format!("wled.destination=127.0.0.1 {}", port(&lamp))),
    ];
    let mut show = Show::start("wled.cfg", &overrides);
    let act = |show: &Show| {
        show.send(&float("/red", 1.0));
        show.send(&float("/green", 0.0));
        show.send(&float("/blue", 0.2));
    };
    // ArtDmx for the universe 0; the levels begin at byte 18.
    let is_colour = |packet: &[u8]| {
        packet.starts_with(b"Art-Net\0\x00\x50")
            && packet.get(14..16) == Some(&[0, 0])
            && packet.get(18..21) == Some(&[255, 0, 51])
    };
    show.wait_for(&lamp, "the colour", act, is_colour);
}
