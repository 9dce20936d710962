//! A show under steady load: the cost of views, and latencies over a long time.
//!
//! Without `CONSORT_SOAK_SECONDS`: the CPU time of the router's thread per event, with and without
//! a view, measured in one process in short alternating slices, so that other load affects both
//! alike. One event is in flight at a time, so that each needs a whole turn of the loop. With it:
//! that many seconds at 10,000 events/s, first without and then with `--realtime`; memory at the
//! start and at the end, p99.9 and maximum latency.
#![allow(clippy::print_stdout)] // the figures are the result

use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use consort_bench::{
    Budget, Histogram, interleave, median_ratio, report, resident_memory, time_of_main_thread,
};
use rustix::pty::OpenptFlags;
use rustix::termios::{Action, Winsize};

/// Events per second of the long test.
const RATE: u64 = 10_000;
/// Pairs of slices, one with and one without a view.
const ROUNDS: usize = 60;
/// The length of a slice.
const SLICE: Duration = Duration::from_millis(200);
/// Further channels of the show, which a view also reads.
const CHANNELS: usize = 500;
/// Latencies are counted in steps of 10 µs up to 1 s.
const STEP: Duration = Duration::from_micros(10);
const STEPS: usize = 100_000;
/// The number of distinct values that identify messages: one second's worth.
const SLOTS: u64 = RATE;

/// A running show; killed when this is dropped.
struct Show {
    child: Child,
    folder: tempfile::TempDir,
    input: UdpSocket,
    output: UdpSocket,
}

impl Drop for Show {
    fn drop(&mut self) {
        // Fails only if the process has exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").expect("a socket")
}

fn port(socket: &UdpSocket) -> u16 {
    socket.local_addr().expect("an address").port()
}

fn start(arguments: &[&str], terminal: Option<&OwnedFd>) -> Show {
    let folder = tempfile::tempdir().expect("a folder");
    let (input, output) = (socket(), socket());
    output.set_read_timeout(Some(Duration::from_millis(100))).expect("set");
    let show_port = port(&socket());
    let text = format!(
        "[osc in]\nbind = 127.0.0.1 {show_port}\n[osc out]\ndestination = 127.0.0.1 {}\n\
         /b = i 0 1000000\n[map]\nin./a > out./b\nin./{{1..{CHANNELS}}} > out./{{1..{CHANNELS}}}\n",
        port(&output)
    );
    let file = folder.path().join("show.cfg");
    std::fs::write(&file, text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_consort"));
    command.arg("run").args(arguments).arg(&file).env("XDG_RUNTIME_DIR", folder.path());
    let screen = || match terminal {
        Some(terminal) => terminal.try_clone().expect("a descriptor").into(),
        None => Stdio::null(),
    };
    command.stdin(screen()).stdout(screen()).stderr(Stdio::null());
    let child = command.spawn().expect("started");
    input.connect(("127.0.0.1", show_port)).expect("connected");
    let show = Show { child, folder, input, output };
    let begin = Instant::now();
    loop {
        // Fails while the show does not listen yet.
        let _ = show.input.send(&message(0.5));
        if show.output.recv(&mut [0; 64]).is_ok() {
            return show;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "no event was routed in 30 s");
    }
}

fn message(value: f32) -> [u8; 12] {
    let mut bytes = *b"/a\0\0,f\0\0\0\0\0\0";
    bytes[8..].copy_from_slice(&value.to_be_bytes());
    bytes
}

/// The CPU time of the router's thread.
fn cpu(show: &Show) -> Duration {
    time_of_main_thread(show.child.id()).expect("a running process")
}

/// The memory of the show in kB.
fn memory(show: &Show) -> u64 {
    resident_memory(show.child.id()).expect("a running process")
}

/// Sends events at `RATE`, in steps of a millisecond. Each message carries one of 10,000 values,
/// which identifies its answer. Returns the latencies and how many messages were sent.
fn load(show: &Show, seconds: u64) -> (Histogram, u64) {
    let begin = Instant::now();
    let sent_at: Arc<Vec<AtomicU64>> = Arc::new((0..SLOTS).map(|_| AtomicU64::new(0)).collect());
    let is_over = Arc::new(AtomicBool::new(false));
    let (times, over) = (Arc::clone(&sent_at), Arc::clone(&is_over));
    let output = show.output.try_clone().expect("a socket");
    let is_ready = Arc::new(Barrier::new(2));
    let ready = Arc::clone(&is_ready);
    let receiving = std::thread::spawn(move || {
        raise_priority();
        ready.wait();
        let (mut latencies, mut buffer) = (Histogram::new(STEP, STEPS), [0; 64]);
        loop {
            let Ok(count) = output.recv(&mut buffer) else {
                if over.load(Ordering::Relaxed) {
                    return latencies;
                }
                continue;
            };
            let bytes = buffer[count - 4..count].try_into().expect("four");
            let slot = (u64::from(u32::from_be_bytes(bytes)) + 50) / 100 % SLOTS;
            let sent = times[slot as usize].load(Ordering::Relaxed);
            latencies.push(Duration::from_nanos(begin.elapsed().as_nanos() as u64 - sent));
        }
    });
    // On a thread of its own, because the next show would otherwise inherit the priority.
    let number = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            raise_priority();
            is_ready.wait();
            send(show, seconds, begin, &sent_at)
        });
        sending.join().expect("sent")
    });
    is_over.store(true, Ordering::Relaxed);
    (receiving.join().expect("received"), number)
}

/// Sends events at `RATE` and records their times since `begin`; returns how many were sent.
fn send(show: &Show, seconds: u64, begin: Instant, sent_at: &[AtomicU64]) -> u64 {
    let first = Instant::now();
    let batch = RATE / 1_000;
    let mut number = 0;
    for turn in 1..=seconds * 1_000 {
        for _ in 0..batch {
            number += 1;
            let slot = number % SLOTS;
            let now = begin.elapsed().as_nanos() as u64;
            sent_at[slot as usize].store(now, Ordering::Relaxed);
            // A lost message shows in the number of answers.
            let _ = show.input.send(&message(slot as f32 / SLOTS as f32));
        }
        let next = first + Duration::from_millis(turn);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    number
}

/// Gives the calling thread a realtime priority, so that it does not measure its own delays.
/// Returns whether the system allows it.
fn raise_priority() -> bool {
    let id = rustix::thread::gettid().as_raw_nonzero().to_string();
    let mut chrt = Command::new("chrt");
    chrt.args(["-f", "-p", "60", &id]).stdout(Stdio::null()).stderr(Stdio::null());
    chrt.status().is_ok_and(|status| status.success())
}

/// Routes one event after the other for a slice; returns the router's CPU time per event in µs.
fn slice(show: &Show, number: &Cell<u32>) -> f64 {
    let (begin, before, first) = (Instant::now(), cpu(show), number.get());
    while begin.elapsed() < SLICE {
        number.set(number.get() + 1);
        // Always a new value, because an unchanged one is not sent.
        show.input.send(&message((number.get() % 10_000) as f32 / 10_000.0)).expect("sent");
        show.output.recv(&mut [0; 64]).expect("answered");
    }
    (cpu(show) - before).as_secs_f64() * 1e6 / f64::from(number.get() - first)
}

/// A view that can be paused.
trait View {
    fn set_active(&self, is_active: bool);
}

/// No view, for measuring the noise.
struct NoView;

impl View for NoView {
    fn set_active(&self, _: bool) {}
}

/// Reads the whole show ten times a second, as `consort monitor` does.
struct Monitor {
    is_active: Arc<AtomicBool>,
}

impl Monitor {
    fn new(show: &Show) -> Self {
        let path = show.folder.path().join(format!("consort/{}.sock", show.child.id()));
        let is_active = Arc::new(AtomicBool::new(false));
        let active = Arc::clone(&is_active);
        std::thread::spawn(move || {
            let stream = UnixStream::connect(path).expect("it listens");
            let mut answers = BufReader::new(&stream);
            loop {
                std::thread::sleep(Duration::from_millis(100));
                if !active.load(Ordering::Relaxed) {
                    continue;
                }
                let mut line = String::new();
                let asked = (&stream).write_all(b"{\"read\":{\"generation\":1,\"log_from\":0}}\n");
                // Fails once the show has exited.
                if asked.and_then(|()| answers.read_line(&mut line)).is_err() {
                    return;
                }
            }
        });
        Monitor { is_active }
    }
}

impl View for Monitor {
    fn set_active(&self, is_active: bool) {
        self.is_active.store(is_active, Ordering::Relaxed);
    }
}

/// A terminal of 120 × 40 for `--monitor`; stopping its output blocks the view.
struct Screen {
    terminal: OwnedFd,
    drawn: Arc<AtomicU64>,
}

impl Screen {
    fn new() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).expect("a pseudo terminal");
        rustix::pty::unlockpt(&master).expect("unlocked");
        let size = Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&master, size).expect("set");
        let terminal = rustix::pty::ioctl_tiocgptpeer(&master, flags).expect("the terminal's end");
        let drawn = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&drawn);
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(count @ 1..) = rustix::io::read(&master, &mut buffer) {
                counted.fetch_add(count as u64, Ordering::Relaxed);
            }
        });
        Screen { terminal, drawn }
    }
}

impl View for Screen {
    fn set_active(&self, is_active: bool) {
        let action = if is_active { Action::OOn } else { Action::OOff };
        rustix::termios::tcflow(&self.terminal, action).expect("stopped or continued");
    }
}

/// Compares the CPU time of the router's thread without and with a view, and prints it. The figure
/// with the view is that without it times the median ratio of the pairs.
fn compare(work: &str, show: &Show, view: &dyn View) {
    // Discards events from the start of the show.
    while show.output.recv(&mut [0; 64]).is_ok() {}
    let number = Cell::new(0);
    let measure = |is_active: bool| {
        view.set_active(is_active);
        slice(show, &number)
    };
    measure(false);
    let [without, with] = interleave(ROUNDS, [&mut || measure(false), &mut || measure(true)]);
    let ratio = median_ratio(&with, &without);
    report(format!("router's CPU time per event, {work}"), "µs")
        .floor(without.median())
        .ours(without.median() * ratio.estimate)
        .budget(Budget::AtMostFloor(1.02))
        .note(format!("ratio {:.3} to {:.3}", ratio.low, ratio.high))
        .print();
}

fn cost() {
    println!(
        "CPU time of the router's thread per event, {} channels, one event in flight; median of \
         {ROUNDS} pairs of slices of {SLICE:?}:",
        2 * CHANNELS + 2
    );
    let show = start(&[], None);
    compare("no view (the noise)", &show, &NoView);
    compare("`consort monitor`", &show, &Monitor::new(&show));
    drop(show);
    let screen = Screen::new();
    let show = start(&["--monitor"], Some(&screen.terminal));
    compare("`run --monitor`, blocked and drawing", &show, &screen);
    let drawn = screen.drawn.load(Ordering::Relaxed);
    println!("  (it drew {drawn} bytes)");
    assert!(drawn > 10_000, "the view did not draw");
}

fn soak(seconds: u64) {
    let is_realtime = std::thread::spawn(raise_priority).join().expect("asked");
    println!(
        "sender and receiver {}",
        if is_realtime {
            "at SCHED_FIFO 60"
        } else {
            "at normal priority: their own delays are included"
        }
    );
    for arguments in [&[][..], &["--realtime"][..]] {
        let show = start(arguments, None);
        load(&show, 2);
        let before = memory(&show);
        let (latencies, sent) = load(&show, seconds);
        let mode = if arguments.is_empty() { "without --realtime" } else { "with --realtime" };
        println!(
            "{seconds} s at {RATE} events/s {mode}: {} of {sent} received; p50 {:?}, p99.9 {:?}, \
             maximum {:?}; memory {before} kB, then {} kB",
            latencies.len(),
            latencies.quantile(0.5),
            latencies.quantile(0.999),
            latencies.max(),
            memory(&show)
        );
        assert!(memory(&show) < before + 1_000, "memory grew");
    }
}

fn main() {
    match std::env::var("CONSORT_SOAK_SECONDS") {
        Ok(seconds) => soak(seconds.parse().expect("CONSORT_SOAK_SECONDS is a number")),
        Err(_) => cost(),
    }
}
