//! `consort demo`: a show that is alive, on a machine that has nothing but this program.
//!
//! Two threads play the parts of devices: a *tablet* whose faders move, and a *lamp desk* that
//! listens. Between them is a real show, with a real configuration, over real OSC; where there
//! is a `python3`, a script plays a pattern that the first fader makes faster or slower.

use std::io::{self, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_backends::BACKENDS;
use consort_osc::MessageBuilder;
use consort_router::{Handle, Router, config};

use crate::cli::DemoArgs;
use crate::monitor::Local;
use crate::{diagnostics, monitor, run, signals};

/// How often the tablet's faders move, a second.
const RATE: u64 = 50;
const FADERS: usize = 4;

/// Runs the demo.
pub(crate) fn run(arguments: &DemoArgs) -> anyhow::Result<ExitCode> {
    let tablet = UdpSocket::bind("127.0.0.1:0")?;
    let lamps = UdpSocket::bind("127.0.0.1:0")?;
    let show_port = free_port()?;
    tablet.connect(("127.0.0.1", show_port))?;
    let has_python = has_python();
    let text = configuration(show_port, lamps.local_addr()?.port(), has_python);
    let folder = Folder::new()?;
    std::fs::write(folder.0.join("demo.cfg"), &text)?;
    std::fs::write(folder.0.join("pattern.py"), PATTERN)?;
    let loaded = config::load(&folder.0.join("demo.cfg"), &[], BACKENDS);
    diagnostics::print(&loaded);
    let Some(show) = loaded.show else { return Ok(ExitCode::FAILURE) };
    say(&format!(
        "This is the whole show (demo.cfg):\n\n{}\n",
        text.lines().map(|line| format!("    {line}\n")).collect::<String>()
    ));
    if has_python {
        let script = PATTERN.lines().map(|line| format!("    {line}\n")).collect::<String>();
        say(&format!("And this is its script (pattern.py):\n\n{script}\n"));
    } else {
        say("There is no python3 here (3.8 or newer), so no script plays along.\n\n");
    }
    let mut router = Router::new(show)?;
    let handle = router.handle();
    signals::stop_on_signals(handle.clone())?;
    let devices = Devices::start(tablet, lamps)?;
    let local = Local::new(handle.clone(), "demo.cfg".into());
    let server = run::serve(&local);
    let view = monitor::start(local, Some(Duration::from_secs(arguments.seconds)))?;
    router.run()?;
    drop(server);
    if view.join().is_err() {
        tracing::error!("the view broke");
    }
    let (sent, heard) = devices.stop();
    report(&handle, sent, heard);
    Ok(ExitCode::SUCCESS)
}

/// The script: a light that runs to and fro.
const PATTERN: &str = "\
import midimonster

position = 0

def step():
    global position
    position = (position + 1) % 6
    for lamp in range(1, 5):
        distance = abs(lamp - 1 - (position if position < 4 else 6 - position))
        midimonster.output(f\"step{lamp}\", 1.0 if distance == 0 else 0.2 / distance)

def speed(value):
    midimonster.interval(step, 60 + round(24 * (1 - value)) * 10)

midimonster.interval(step, 150)
";

/// A folder of this run, gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let name = format!("consort-demo-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let path: &Path = &self.0;
        if let Err(error) = std::fs::remove_dir_all(path) {
            tracing::warn!("{} is left behind: {error}", path.display());
        }
    }
}

fn has_python() -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", "import sys; sys.exit(sys.version_info < (3, 8))"]);
    python.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    python.status().is_ok_and(|status| status.success())
}

fn configuration(show_port: u16, lamp_port: u16, has_python: bool) -> String {
    let (instance, mappings) = if has_python {
        (
            "\n[python pattern]\nmodule = pattern\n",
            format!(
                "\ntablet./fader/1 > pattern.pattern.speed\n\
                 pattern.step{{1..{FADERS}}} > lamps./step/{{1..{FADERS}}}"
            ),
        )
    } else {
        ("", String::new())
    };
    format!(
        "\
[osc tablet]
bind = 127.0.0.1 {show_port}

[osc lamps]
destination = 127.0.0.1 {lamp_port}
/lamp/* = i 0 255
/step/* = i 0 255

[loopback desk]
{instance}
[map]
tablet./fader/{{1..{FADERS}}} > desk.fader{{1..{FADERS}}}
desk.fader{{1..{FADERS}}} > lamps./lamp/{{{FADERS}..1}}{mappings}"
    )
}

fn free_port() -> io::Result<u16> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn say(text: &str) {
    let mut out = io::stdout().lock();
    // Whoever closed the output does not want to read it.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The two devices.
struct Devices {
    running: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    heard: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Devices {
    fn start(tablet: UdpSocket, lamps: UdpSocket) -> io::Result<Self> {
        lamps.set_read_timeout(Some(Duration::from_millis(100)))?;
        let running = Arc::new(AtomicBool::new(true));
        let (sent, heard) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (on, count) = (Arc::clone(&running), Arc::clone(&sent));
        let moving = std::thread::Builder::new()
            .name("tablet".into())
            .spawn(move || move_faders(&tablet, &on, &count))?;
        let (on, count) = (Arc::clone(&running), Arc::clone(&heard));
        let listening = std::thread::Builder::new().name("lamps".into()).spawn(move || {
            let mut packet = [0; 1_024];
            while on.load(Ordering::Relaxed) {
                if lamps.recv(&mut packet).is_ok() {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        })?;
        Ok(Devices { running, sent, heard, threads: vec![moving, listening] })
    }

    fn stop(self) -> (u64, u64) {
        self.running.store(false, Ordering::Relaxed);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a device of the demo broke");
            }
        }
        (self.sent.load(Ordering::Relaxed), self.heard.load(Ordering::Relaxed))
    }
}

/// Waves that run through the faders, one after the other.
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
            let made = MessageBuilder::new(&mut packet, &address).float(value as f32).finish();
            // The show may not listen yet; a fader that nobody hears is no error.
            if made.is_ok() && tablet.send(&packet).is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
        next += Duration::from_millis(1_000 / RATE);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn report(handle: &Handle, sent: u64, heard: u64) {
    let live = handle.live();
    let mut text = String::from("\nWhat went where:\n");
    text.push_str(&format!("  the tablet sent {sent} OSC messages\n"));
    for instance in run::instances(handle) {
        let counters = live.counters(instance);
        text.push_str(&format!(
            "  {:<8} ({}): {} values in, {} out, {} dropped, {} errors\n",
            live.instance_name(instance),
            live.backend_name(instance),
            counters.incoming,
            counters.outgoing,
            counters.dropped,
            counters.errors
        ));
    }
    text.push_str(&format!("  the lamps heard {heard} OSC messages\n"));
    text.push_str(
        "\nWhat to try next:\n  \
         consort backends            what can be connected\n  \
         consort check FILE          what is wrong with a configuration, with places and hints\n  \
         consort run FILE --monitor  your own show, with this view; examples/ has some to begin with\n  \
         consort learn FILE NAME     what an instance receives, ready to be mapped\n",
    );
    say(&text);
}
