//! A show under steady load: what looking at it costs, and how long events take over time.
//!
//! Without `CONSORT_SOAK_SECONDS`: the router's CPU time an event, alone and with an onlooker,
//! in interleaved rounds. With it: that many seconds at 10,000 events/s, first without and then
//! with `--realtime`; memory at the start and at the end, p99.9 and maximum.
#![allow(clippy::print_stdout)] // the figures are what it is for

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const RATE: u64 = 10_000;
const ROUNDS: usize = 5;
/// Latencies are counted in steps of 10 µs up to 1 s.
const STEP: Duration = Duration::from_micros(10);
const STEPS: usize = 100_000;

struct Show {
    child: Child,
    folder: tempfile::TempDir,
    input: UdpSocket,
    output: UdpSocket,
}

impl Drop for Show {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
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

fn start(arguments: &[&str]) -> Show {
    let folder = tempfile::tempdir().expect("a folder");
    let (input, output) = (socket(), socket());
    output.set_read_timeout(Some(Duration::from_millis(100))).expect("set");
    let show_port = port(&socket());
    let text = format!(
        "[osc in]\nbind = 127.0.0.1 {show_port}\n[osc out]\ndestination = 127.0.0.1 {}\n\
         /b = i 0 1000000\n[map]\nin./a > out./b\n",
        port(&output)
    );
    let file = folder.path().join("show.cfg");
    std::fs::write(&file, text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_consort"));
    command.arg("run").args(arguments).arg(&file).env("XDG_RUNTIME_DIR", folder.path());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    input.connect(("127.0.0.1", show_port)).expect("connected");
    let show = Show { child, folder, input, output };
    let begin = Instant::now();
    loop {
        // Nobody listens yet: no error.
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

/// The router's thread so far, in nanoseconds; proc(5), schedstat.
fn cpu(show: &Show) -> u64 {
    let id = show.child.id();
    let text = std::fs::read_to_string(format!("/proc/{id}/task/{id}/schedstat")).expect("it");
    text.split(' ').next().and_then(|it| it.parse().ok()).expect("a number")
}

fn memory(show: &Show) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", show.child.id())).expect("it");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.split_whitespace().next().and_then(|it| it.parse().ok()).expect("kB")
}

/// Sends at the rate, in steps of a millisecond; each message carries one of 10,000 values, by
/// which its answer is known. Returns counts of latencies and the longest one.
fn load(show: &Show, seconds: u64) -> (Vec<u64>, Duration, u64) {
    const SLOTS: u64 = 10_000;
    let begin = Instant::now();
    let sent_at: Arc<Vec<std::sync::atomic::AtomicU64>> =
        Arc::new((0..SLOTS).map(|_| std::sync::atomic::AtomicU64::new(0)).collect());
    let is_over = Arc::new(AtomicBool::new(false));
    let (times, over) = (Arc::clone(&sent_at), Arc::clone(&is_over));
    let output = show.output.try_clone().expect("a socket");
    let receiving = std::thread::spawn(move || {
        let (mut counts, mut longest, mut buffer) = (vec![0_u64; STEPS], Duration::ZERO, [0; 64]);
        loop {
            let Ok(count) = output.recv(&mut buffer) else {
                if over.load(Ordering::Relaxed) {
                    return (counts, longest);
                }
                continue;
            };
            let bytes = buffer[count - 4..count].try_into().expect("four");
            let slot = (u64::from(u32::from_be_bytes(bytes)) + 50) / 100 % SLOTS;
            let sent = times[slot as usize].load(Ordering::Relaxed);
            let late = Duration::from_nanos(begin.elapsed().as_nanos() as u64 - sent);
            longest = longest.max(late);
            counts[((late.as_nanos() / STEP.as_nanos()) as usize).min(STEPS - 1)] += 1;
        }
    });
    let batch = RATE / 1_000;
    let mut number = 0;
    for turn in 1..=seconds * 1_000 {
        for _ in 0..batch {
            number += 1;
            let slot = number % SLOTS;
            let now = begin.elapsed().as_nanos() as u64;
            sent_at[slot as usize].store(now, Ordering::Relaxed);
            // A lost message is seen in the count of answers.
            let _ = show.input.send(&message(slot as f32 / SLOTS as f32));
        }
        let next = begin + Duration::from_millis(turn);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    is_over.store(true, Ordering::Relaxed);
    let (counts, longest) = receiving.join().expect("received");
    (counts, longest, number)
}

fn percentile(counts: &[u64], share: f64) -> Duration {
    let wanted = (counts.iter().sum::<u64>() as f64 * share) as u64;
    let mut seen = 0;
    let at = counts.iter().position(|count| {
        seen += count;
        seen > wanted
    });
    STEP * at.map_or(STEPS, |at| at + 1) as u32
}

/// Reads the whole show ten times a second, as `consort monitor` does.
fn look(show: &Show, is_over: &AtomicBool) {
    let path = show.folder.path().join(format!("consort/{}.sock", show.child.id()));
    let stream = UnixStream::connect(path).expect("it listens");
    let mut answers = BufReader::new(&stream);
    while !is_over.load(Ordering::Relaxed) {
        (&stream).write_all(b"{\"read\":{\"log_from\":0}}\n").expect("asked");
        answers.read_line(&mut String::new()).expect("answered");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn cost() {
    let show = start(&[]);
    let mut costs = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (kind, costs) in costs.iter_mut().enumerate() {
            let before = cpu(&show);
            let is_over = AtomicBool::new(false);
            let number = std::thread::scope(|scope| {
                if kind == 1 {
                    scope.spawn(|| look(&show, &is_over));
                }
                let (_, _, number) = load(&show, 3);
                is_over.store(true, Ordering::Relaxed);
                number
            });
            costs.push((cpu(&show) - before) as f64 / number as f64 / 1e3);
        }
    }
    let [alone, watched] = costs.map(|mut costs| {
        costs.sort_by(f64::total_cmp);
        costs[ROUNDS / 2]
    });
    println!("router's CPU time an event at {RATE}/s, median of {ROUNDS} interleaved rounds:");
    println!("  nobody looks  {alone:.2} µs");
    println!("  monitored     {watched:.2} µs  ({:+.1} %)", (watched / alone - 1.0) * 100.0);
}

fn soak(seconds: u64) {
    for arguments in [&[][..], &["--realtime"][..]] {
        let show = start(arguments);
        load(&show, 2);
        let before = memory(&show);
        let (counts, longest, sent) = load(&show, seconds);
        let heard: u64 = counts.iter().sum();
        println!(
            "{seconds} s at {RATE} events/s {}: {heard} of {sent} heard; p50 {:?}, p99.9 {:?}, \
             maximum {longest:?}; memory {before} kB, then {} kB",
            if arguments.is_empty() { "without --realtime" } else { "with --realtime" },
            percentile(&counts, 0.5),
            percentile(&counts, 0.999),
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
