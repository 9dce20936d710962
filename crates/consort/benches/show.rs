//! The command as a whole: a configuration of 100,000 mapped channels, the time from the start
//! to the first routed event, and the wake-ups of an idle show. The time to start a process that
//! does nothing is printed for comparison.
#![allow(clippy::print_stdout)] // the figures are the result

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CONSORT: &str = env!("CARGO_BIN_EXE_consort");
const ROUNDS: usize = 5;

/// `/x ,f 0.5`
const MESSAGE: &[u8] = b"/x/0\0\0\0\0,f\0\0\x3f\0\0\0";

/// A running show; killed when this is dropped.
struct Show {
    child: Child,
    input: u16,
    output: UdpSocket,
}

impl Drop for Show {
    fn drop(&mut self) {
        // Fails if the process has ended already, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.local_addr().expect("an address").port()
}

/// A configuration that maps `pairs` addresses of one instance to as many of another.
fn configuration(pairs: u32, input: u16, output: u16) -> String {
    let mut text = format!("[osc in]\nbind = 127.0.0.1 {input}\n");
    let _ = write!(text, "[osc out]\ndestination = 127.0.0.1 {output}\n/x/* = f 0 1\n[map]\n");
    let last = pairs - 1;
    let _ = writeln!(text, "in./x/{{0..{last}}} > out./x/{{0..{last}}}");
    text
}

fn start(file: &Path, pairs: u32) -> Show {
    let output = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    output.set_read_timeout(Some(Duration::from_micros(200))).expect("set");
    let input = free_port();
    let port = output.local_addr().expect("an address").port();
    std::fs::write(file, configuration(pairs, input, port)).expect("written");
    let child = Command::new(CONSORT)
        .arg("run")
        .arg(file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts");
    Show { child, input, output }
}

/// Sends events until one is routed.
fn first_event(show: &Show) {
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let (mut buffer, started) = ([0; 64], Instant::now());
    loop {
        // Fails while the show does not listen yet.
        let _ = sender.send_to(MESSAGE, ("127.0.0.1", show.input));
        if show.output.recv(&mut buffer).is_ok() {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "no event was routed in 30 s");
    }
}

fn milliseconds(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn timed(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed()
        })
        .collect();
    milliseconds(&mut times)
}

/// A number from /proc/PID/status.
fn status(pid: u32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("such a line");
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

/// Voluntary context switches of all threads, which is how often they went to sleep.
fn wake_ups(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a running process");
    let count = |task: std::io::Result<std::fs::DirEntry>| {
        let path = task.expect("a task").path().join("status");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|rest| rest.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    tasks.map(count).sum()
}

fn main() {
    let folder = std::env::temp_dir().join(format!("consort-show-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file: PathBuf = folder.join("show.cfg");

    let floor = timed(|| {
        Command::new("true").status().expect("true starts");
    });
    println!("a process that does nothing: {floor:.1} ms (the minimum for any start)");

    let first = timed(|| first_event(&start(&file, 1)));
    println!("start of `consort run` to the first routed event: {first:.1} ms (budget 20)");

    std::fs::write(&file, configuration(50_000, free_port(), free_port())).expect("written");
    let check = timed(|| {
        let status = Command::new(CONSORT).arg("check").arg(&file).stdout(Stdio::null()).status();
        assert!(status.expect("the command starts").success());
    });
    println!("100,000 mapped channels: check {check:.0} ms (budget 300)");

    let mut memory = 0;
    let running = timed(|| {
        let show = start(&file, 50_000);
        first_event(&show);
        memory = memory.max(status(show.child.id(), "VmRSS:"));
    });
    println!(
        "100,000 mapped channels: running after {running:.0} ms (budget 1000), {:.1} MB (budget 64)",
        memory as f64 / 1e3
    );

    let show = start(&file, 1);
    first_event(&show);
    let (before, length) = (wake_ups(show.child.id()), Duration::from_secs(10));
    std::thread::sleep(length);
    let rate = (wake_ups(show.child.id()) - before) as f64 / length.as_secs_f64();
    println!("idle: {rate:.1} wake-ups/s over {length:?} (budget 1)");
    drop(show);
    // Nothing depends on the removal of the temporary folder.
    let _ = std::fs::remove_dir_all(&folder);
}
