//! A *tablet* whose faders move and *lamps* that receive values, both over real OSC.

use std::io;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_osc::MessageBuilder;

use super::Part;
use crate::text::counted;

/// How often per second the tablet's faders move.
const MOVES_PER_SECOND: u64 = 50;

/// The number of faders, and of lamps.
pub(super) const FADERS: usize = 4;

/// The tablet and the lamps.
pub(super) struct Lights {
    show_port: u16,
    lamp_port: u16,
    /// Taken when the devices start.
    sockets: Option<(UdpSocket, UdpSocket)>,
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
}

/// A port that is free at the moment.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Lights {
    pub(super) fn new() -> io::Result<Self> {
        let tablet = UdpSocket::bind("127.0.0.1:0")?;
        let lamps = UdpSocket::bind("127.0.0.1:0")?;
        let show_port = free_port()?;
        tablet.connect(("127.0.0.1", show_port))?;
        lamps.set_read_timeout(Some(Duration::from_millis(100)))?;
        Ok(Lights {
            show_port,
            lamp_port: lamps.local_addr()?.port(),
            sockets: Some((tablet, lamps)),
            sent: Arc::default(),
            received: Arc::default(),
        })
    }
}

impl Part for Lights {
    fn sections(&self) -> String {
        let Lights { show_port, lamp_port, .. } = self;
        format!(
            "\
[osc tablet]
bind = 127.0.0.1 {show_port}

[osc lamps]
destination = 127.0.0.1 {lamp_port}
/lamp/* = i 0 255
/step/* = i 0 255
/flash = i 0 255

[loopback faders]
"
        )
    }

    fn mappings(&self) -> String {
        format!(
            "\
tablet./fader/{{1..{FADERS}}} > faders.f{{1..{FADERS}}}
faders.f{{1..{FADERS}}} > lamps./lamp/{{{FADERS}..1}}
"
        )
    }

    fn start(&mut self, running: &Arc<AtomicBool>) -> anyhow::Result<Vec<JoinHandle<()>>> {
        let Some((tablet, lamps)) = self.sockets.take() else { return Ok(Vec::new()) };
        let (on, count) = (Arc::clone(running), Arc::clone(&self.sent));
        let moving = std::thread::Builder::new()
            .name("tablet".into())
            .spawn(move || move_faders(&tablet, &on, &count))?;
        let (on, count) = (Arc::clone(running), Arc::clone(&self.received));
        let listening = std::thread::Builder::new().name("lamps".into()).spawn(move || {
            let mut packet = [0; 1_024];
            while on.load(Ordering::Relaxed) {
                if lamps.recv(&mut packet).is_ok() {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        })?;
        Ok(vec![moving, listening])
    }

    fn report(&self, _: &Path) -> Vec<String> {
        let messages =
            |counter: &AtomicU64| counted(counter.load(Ordering::Relaxed), "OSC message");
        vec![
            format!("the tablet sent {}", messages(&self.sent)),
            format!("the lamps received {}", messages(&self.received)),
        ]
    }
}

/// Moves the faders in waves, each a little later than the one before.
fn move_faders(tablet: &UdpSocket, running: &AtomicBool, sent: &AtomicU64) {
    let started = Instant::now();
    let mut packet = Vec::new();
    let mut next = started;
    while running.load(Ordering::Relaxed) {
        let time = started.elapsed().as_secs_f64();
        for fader in 0..FADERS {
            let phase = time * 0.5 - fader as f64 / 8.0;
            let value = 0.5 - 0.5 * (phase * std::f64::consts::TAU).cos();
            packet.clear();
            let address = format!("/fader/{}", fader + 1);
            let built = MessageBuilder::new(&mut packet, &address).float(value as f32).finish();
            // A message before the show listens is not an error.
            if built.is_ok() && tablet.send(&packet).is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
        next += Duration::from_millis(1_000 / MOVES_PER_SECOND);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}
