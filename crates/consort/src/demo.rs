//! `consort demo`: a show that is alive, on a machine that has nothing but this program.
//!
//! Two threads play the parts of devices: a *tablet* whose faders move, and a *lamp desk* that
//! listens. Between them is a real show, with a real configuration, over real OSC.

use std::io::{self, IsTerminal, Write};
use std::net::UdpSocket;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_backends::BACKENDS;
use consort_osc::MessageBuilder;
use consort_router::{Handle, Live, Router, config};

use crate::cli::DemoArgs;
use crate::{diagnostics, run, signals};

/// How often the tablet's faders move, a second.
const RATE: u64 = 50;
const FADERS: usize = 4;

/// Runs the demo.
pub(crate) fn run(arguments: &DemoArgs) -> anyhow::Result<ExitCode> {
    let tablet = UdpSocket::bind("127.0.0.1:0")?;
    let lamps = UdpSocket::bind("127.0.0.1:0")?;
    let show_port = free_port()?;
    tablet.connect(("127.0.0.1", show_port))?;
    let text = configuration(show_port, lamps.local_addr()?.port());
    let loaded = config::load_text("demo.cfg", &text, &[], BACKENDS);
    diagnostics::print(&loaded);
    let Some(show) = loaded.show else { return Ok(ExitCode::FAILURE) };
    say(&format!(
        "This is the whole show (demo.cfg):\n\n{}\n",
        text.lines().map(|line| format!("    {line}\n")).collect::<String>()
    ));
    let mut router = Router::new(show)?;
    let handle = router.handle();
    signals::stop_on_signals(handle.clone())?;
    let devices = Devices::start(tablet, lamps)?;
    let view = view(handle.clone(), Duration::from_secs(arguments.seconds));
    router.run()?;
    if view.join().is_err() {
        tracing::error!("the view broke");
    }
    let (sent, heard) = devices.stop();
    report(&handle, sent, heard);
    Ok(ExitCode::SUCCESS)
}

fn configuration(show_port: u16, lamp_port: u16) -> String {
    format!(
        "\
[osc tablet]
bind = 127.0.0.1 {show_port}

[osc lamps]
destination = 127.0.0.1 {lamp_port}
/lamp/* = i 0 255

[loopback desk]

[map]
tablet./fader/{{1..{FADERS}}} > desk.fader{{1..{FADERS}}}
desk.fader{{1..{FADERS}}} > lamps./lamp/{{{FADERS}..1}}"
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

/// Shows the channels until the time is up, then stops the show.
fn view(handle: Handle, length: Duration) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let alive = io::stdout().is_terminal();
        let step = Duration::from_millis(if alive { 50 } else { 1_000 });
        let started = Instant::now();
        let mut lines = 0;
        while started.elapsed() < length && handle.live().is_running() {
            std::thread::sleep(step.min(length.saturating_sub(started.elapsed())));
            if handle.live().is_running() {
                lines = draw(handle.live(), alive, lines, started.elapsed());
            }
        }
        handle.stop();
    })
}

/// Draws every channel once; returns how many lines that took.
fn draw(live: &Live, alive: bool, before: usize, elapsed: Duration) -> usize {
    let channels = live.instance_count() as u32;
    let channels = (0..channels).map(consort_router::InstanceId).flat_map(|instance| {
        let names = live.channel_names(instance).iter().enumerate();
        names.map(move |(at, name)| {
            let name = format!("{}.{name}", live.instance_name(instance));
            (name, live.channel(instance, at as u32))
        })
    });
    if !alive {
        let values: Vec<String> =
            channels.filter_map(|(name, state)| Some(format!("{name} {:.2}", state?.0))).collect();
        say(&format!("{:5.1} s  {}\n", elapsed.as_secs_f64(), values.join("  ")));
        return 1;
    }
    let mut screen = String::new();
    if before > 0 {
        screen.push_str(&format!("\x1b[{before}A"));
    }
    let mut lines = 0;
    for (name, state) in channels {
        let (value, events) = state.unwrap_or_default();
        let filled = (value * 40.0).round() as usize;
        screen.push_str(&format!(
            "\x1b[2K  {name:<18} \x1b[36m{}\x1b[90m{}\x1b[0m {value:5.3} {events:>7} events\n",
            "█".repeat(filled),
            "░".repeat(40 - filled)
        ));
        lines += 1;
    }
    say(&screen);
    lines
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
         consort run FILE            your own show; examples/ has some to begin with\n",
    );
    say(&text);
}
