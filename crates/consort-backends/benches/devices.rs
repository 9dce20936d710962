//! Devices on the desk: breaks of a DMX line beside those of a bare thread with the same sleeps, the
//! processor time of four adapters at 44 frames per second, and, where `/dev/uinput` exists, the
//! latency from an input device to OSC beside a bare reader.
//!
//! ```text
//! cargo bench -p consort-backends --bench devices
//! ```

#![allow(clippy::print_stdout)] // a benchmark prints its figures

use std::io::{self, Read, Write};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use consort_backends::{dmxusb, evdev, osc};
use consort_bench::{Budget, Samples, process_time, report, thread_time};
use consort_router::testing::TestShow;
use rustix::pty::OpenptFlags;

const BREAK: Duration = Duration::from_micros(110);
const MARK: Duration = Duration::from_micros(16);

/// The frames of one round, and how many rounds take turns.
const FRAMES: usize = 500;
const ROUNDS: usize = 40;

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// The lengths of breaks, from the return of the request that begins one to the call of the request
/// that ends it.
fn measure_breaks() {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut began = Instant::now();
        dmxusb::bench_line(FRAMES, BREAK, MARK, |action| {
            match action {
                1 => began = Instant::now(),
                2 => ours.push(began.elapsed()),
                _ => {}
            }
            Ok(())
        })
        .expect("frames");
        for _ in 0..FRAMES {
            let began = Instant::now();
            std::thread::sleep(BREAK);
            bare.push(began.elapsed());
            std::thread::sleep(MARK);
        }
    }
    let shortest = ours.iter().min().copied().unwrap_or_default();
    assert!(shortest >= BREAK, "a break of {shortest:?}");
    ours.sort_unstable();
    bare.sort_unstable();
    for (name, part) in [("median", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        let at = |list: &[Duration]| micros(list[(list.len() as f64 * part) as usize]);
        let line = report(format!("dmxusb: break of 110 µs, {name}"), "µs");
        let line = line.floor(at(&bare)).ours(at(&ours));
        let line = if part == 0.999 { line.budget(Budget::AtMostFloor(1.5)) } else { line };
        line.print();
    }
    println!("shortest of {} breaks: {:.1} µs", ours.len(), micros(shortest));
}

fn terminal(link: &Path) -> OwnedFd {
    use std::os::unix::ffi::OsStrExt;

    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags).expect("a pseudo terminal");
    rustix::pty::grantpt(&master).expect("grantpt");
    rustix::pty::unlockpt(&master).expect("unlockpt");
    let name = rustix::pty::ptsname(&master, Vec::new()).expect("its name");
    let name = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
    std::os::unix::fs::symlink(name, link).expect("a link");
    master
}

/// The processor time of a show with four adapters, all channels of which change 44 times per second.
fn measure_adapters(kind: &str) {
    const SECONDS: u64 = 5;

    let folder = tempfile::tempdir().expect("a folder");
    let mut show = TestShow::new();
    let mut names = Vec::new();
    let readers: Vec<_> = (0..4)
        .map(|number| {
            let link: PathBuf = folder.path().join(format!("adapter{number}"));
            let mut master = std::fs::File::from(terminal(&link));
            let device = link.display().to_string();
            let name = format!("line{number}");
            show.instance(&dmxusb::DESCRIPTOR, &name, &[("device", &device), ("type", kind)]);
            for slot in 1..=512 {
                show.map(&format!("probe.{slot}"), &format!("{name}.{slot}"));
            }
            names.push(name);
            std::thread::spawn(move || {
                let mut bytes = [0; 4_096];
                let (mut total, mut measured) = (0, (0, Duration::ZERO));
                // Reads until the line is closed.
                while let Ok(count @ 1..) = master.read(&mut bytes) {
                    if total == 0 && kind_of(&bytes) == b'P' {
                        let answer = [0x7E, 3, 5, 0, 44, 1, 9, 1, 40, 0xE7];
                        master.write_all(&answer).expect("an answer");
                    }
                    total += count;
                    measured = (total, thread_time());
                }
                measured
            })
        })
        .collect();
    let channels: Vec<String> = (1..=512).map(|slot| slot.to_string()).collect();
    let mut show = show.start();
    for name in &names {
        show.until_state(name, "up");
    }
    let (before, start) = (process_time(), Instant::now());
    let frames = SECONDS * 44;
    for frame in 0..frames {
        let value = (frame % 256) as f64 / 255.0;
        let values: Vec<(&str, f64)> = channels.iter().map(|channel| (&**channel, value)).collect();
        show.send_all(&values);
        let next = start + Duration::from_secs(1) * (frame as u32 + 1) / 44;
        while Instant::now() < next {
            let rest = next.saturating_duration_since(Instant::now());
            show.router.step(Some(rest)).expect("a turn");
        }
    }
    let used = process_time() - before;
    let elapsed = start.elapsed();
    show.finish();
    drop(show);
    let read: Vec<(usize, Duration)> =
        readers.into_iter().map(|reader| reader.join().expect("a reader")).collect();
    let reading: Duration = read.iter().map(|(_, time)| *time).sum();
    let bytes: usize = read.iter().map(|(count, _)| count).sum();
    // The readers stand for the adapters. What the probe of the test costs is included.
    let percent = 100.0 * used.saturating_sub(reading).as_secs_f64() / elapsed.as_secs_f64();
    report(format!("dmxusb: four adapters of type {kind} at 44 frames/s"), "% of a processor")
        .ours(percent)
        .budget(Budget::AtMost(5.0))
        .print();
    println!("{:.1} frames/s on each line", bytes as f64 / 4.0 / 515.0 / elapsed.as_secs_f64());
}

/// `P` if the bytes begin with a message.
fn kind_of(bytes: &[u8]) -> u8 {
    if bytes.first() == Some(&0x7E) { b'P' } else { b'O' }
}

/// The bytes of a report in which the button has this state.
fn press(is_down: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, code, value) in [(1_u16, 0x130_u16, i32::from(is_down)), (0, 0, 0)] {
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&code.to_ne_bytes());
        bytes.extend_from_slice(&value.to_ne_bytes());
    }
    bytes
}

/// The node of the device with a name.
fn node(name: &str) -> Option<PathBuf> {
    let found = evdev::devices().into_iter().find(|device| device.name == name)?;
    let line = found.options.lines().find_map(|line| line.strip_prefix("device = "))?;
    Some(line.into())
}

/// The time from a press to the datagram that it causes: through a show, and through a bare loop that
/// reads the device and sends a datagram.
fn measure_input() -> io::Result<()> {
    const EVENTS: usize = 4_000;

    let mut ours = std::fs::File::from(evdev::bench_device("Bench Ours")?);
    let mut bare = std::fs::File::from(evdev::bench_device("Bench Bare")?);
    let receiver = || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        socket
    };
    let (from_show, from_bare) = (receiver(), receiver());
    let deadline = Instant::now() + Duration::from_secs(30);
    let path = loop {
        match node("Bench Bare") {
            Some(path) => break path,
            None => assert!(Instant::now() < deadline, "no node"),
        }
    };
    let target = from_bare.local_addr()?;
    let mut device = std::fs::File::open(path)?;
    std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let message = *b"/key\0\0\0\0,f\0\0\x3f\x80\0\0";
        let mut bytes = [0; 24 * 64];
        while let Ok(count @ 24..) = device.read(&mut bytes) {
            let is_key = bytes[..count].chunks_exact(24).any(|event| event[16] == 1);
            if is_key && socket.send_to(&message, target).is_err() {
                return;
            }
        }
    });
    let (has_ended, is_up) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (ends, up) = (Arc::clone(&has_ended), Arc::clone(&is_up));
    let destination = from_show.local_addr()?.to_string();
    let running = std::thread::spawn(move || {
        let mut show = TestShow::new();
        show.instance(&evdev::DESCRIPTOR, "pad", &[("input", "Bench Ours")]);
        show.instance(&osc::DESCRIPTOR, "out", &[("destination", &destination)]);
        show.map("pad.EV_KEY.BTN_SOUTH", "out./key");
        let mut show = show.start();
        show.until_state("pad", "up");
        show.until_state("out", "up");
        up.store(true, Ordering::Release);
        while !ends.load(Ordering::Acquire) {
            show.router.step(Some(Duration::from_millis(50))).expect("a turn");
        }
        show.finish();
    });
    while !is_up.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    let mut latencies = [Vec::new(), Vec::new()];
    let mut answer = [0; 64];
    for number in 0..EVENTS {
        let bytes = press(number % 2 == 0);
        let subjects = [(&mut ours, &from_show), (&mut bare, &from_bare)];
        for ((device, socket), list) in subjects.into_iter().zip(&mut latencies) {
            // Both sleep again when the next event arrives.
            std::thread::sleep(Duration::from_micros(500));
            let began = Instant::now();
            device.write_all(&bytes)?;
            socket.recv(&mut answer)?;
            list.push(micros(began.elapsed()));
        }
    }
    has_ended.store(true, Ordering::Release);
    running.join().expect("the show");
    let [ours, bare] = latencies.map(|list| {
        let mut samples = Samples::default();
        list.into_iter().for_each(|latency| samples.push(latency));
        samples
    });
    for (name, part) in [("median", 0.5), ("p99", 0.99)] {
        let line = report(format!("evdev: press to OSC, {name}"), "µs");
        let line = line.floor(bare.quantile(part)).ours(ours.quantile(part));
        let line = if part == 0.99 { line.budget(Budget::AtMostFloor(1.5)) } else { line };
        line.print();
    }
    Ok(())
}

fn main() {
    let is_kernel_run = std::env::args().any(|argument| argument == "--input");
    if is_kernel_run {
        measure_input().expect("input devices");
    } else {
        measure_breaks();
        measure_adapters("open");
        measure_adapters("pro");
    }
}
