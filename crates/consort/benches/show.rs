//! The command as a whole: a configuration of 100,000 mapped channels, the time from the start
//! to the first routed event, and the wake-ups of an idle show. The floor of all times is the time
//! of a process that does nothing.
#![allow(clippy::print_stdout)] // the figures are the result

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use consort_bench::{Budget, median, milliseconds, report, resident_memory, wake_ups};

const CONSORT: &str = env!("CARGO_BIN_EXE_consort");
const ROUNDS: usize = 5;

/// An event for the channel `/x/0`: the value 0.5.
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
fn wait_for_first_event(show: &Show) {
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

/// The median time of all rounds, in milliseconds.
fn median_time(mut work: impl FnMut()) -> f64 {
    median((0..ROUNDS).map(|_| milliseconds(&mut work)))
}

fn main() {
    let folder = std::env::temp_dir().join(format!("consort-show-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file: PathBuf = folder.join("show.cfg");

    println!("the command `consort`, median of {ROUNDS} rounds");
    // A process that does nothing.
    let floor = median_time(|| {
        Command::new("true").status().expect("true starts");
    });
    let first = median_time(|| wait_for_first_event(&start(&file, 1)));
    report("start to the first routed event", "ms")
        .floor(floor)
        .ours(first)
        .budget(Budget::AtMost(20.0))
        .print();

    std::fs::write(&file, configuration(50_000, free_port(), free_port())).expect("written");
    let check = median_time(|| {
        let status = Command::new(CONSORT).arg("check").arg(&file).stdout(Stdio::null()).status();
        assert!(status.expect("the command starts").success());
    });
    report("100,000 mapped channels: check", "ms")
        .floor(floor)
        .ours(check)
        .budget(Budget::AtMost(100.0))
        .print();

    let mut memory = 0;
    let running = median_time(|| {
        let show = start(&file, 50_000);
        wait_for_first_event(&show);
        memory = memory.max(resident_memory(show.child.id()).expect("a running process"));
    });
    report("100,000 mapped channels: start to the first routed event", "ms")
        .floor(floor)
        .ours(running)
        .budget(Budget::AtMost(200.0))
        .print();
    report("100,000 mapped channels: memory", "MB")
        .ours(memory as f64 / 1e3)
        .budget(Budget::AtMost(48.0))
        .print();

    let show = start(&file, 1);
    wait_for_first_event(&show);
    let count = || wake_ups(show.child.id()).expect("a running process");
    let (before, length) = (count(), Duration::from_secs(10));
    std::thread::sleep(length);
    report("idle show: wake-ups", "1/s")
        .ours((count() - before) as f64 / length.as_secs_f64())
        .budget(Budget::AtMost(1.0))
        .note(format!("over {length:?}"))
        .print();
    drop(show);
    // Nothing depends on the removal of the temporary folder.
    let _ = std::fs::remove_dir_all(&folder);
}
