//! Reloading a running show: how long nothing is routed, and what 10,000 reloads leave behind.
//!
//! The pause is what the router reports: from the last event that goes the old way to the first
//! that can go the new way. Half of the instances are OSC, whose tables are adopted.

#![allow(clippy::print_stdout)] // a benchmark prints its figures

use std::fmt::Write;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use consort_backends::{loopback, osc};
use consort_bench::{Budget, report, resident_memory};
use consort_router::config::{Show, load_text};
use consort_router::{Handle, Reload, Reloaded, Router};

const ROUNDS: usize = 15;

/// How often the leak test reloads.
const RELOADS: usize = 10_000;

/// A port that nothing uses now.
fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.local_addr().expect("an address").port()
}

/// Maps OSC to loopback; `edit` changes a few mappings and `port` the socket of one instance.
fn text(mappings: usize, port: u16, edit: usize) -> String {
    let mut text = format!(
        "[osc desk]\nbind = 127.0.0.1 {port}\n[loopback bay]\n[loopback extra{}]\n[map]\n",
        edit % 2
    );
    for number in 0..mappings {
        let target = if number < 8 { number + edit } else { number };
        writeln!(text, "desk./fader/{number} > bay.out{target}").expect("into a string");
    }
    text
}

fn show(text: &str) -> Show {
    let loaded = load_text("bench.cfg", text, &[], &[&loopback::DESCRIPTOR, &osc::DESCRIPTOR]);
    loaded.show.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn reload(handle: &Handle, text: &str) -> Reloaded {
    handle.reload(Reload::new(show(text), handle)).expect("reloaded")
}

/// Runs `work` with a handle while a show runs on another thread.
fn running<T>(text: &str, work: impl FnOnce(&Handle) -> T) -> T {
    let show = show(text);
    let (sender, receiver) = std::sync::mpsc::channel();
    let router = std::thread::spawn(move || {
        let mut router = Router::new(show).expect("an event loop");
        sender.send(router.handle()).expect("received");
        router.run().expect("a clean stop");
    });
    let handle = receiver.recv().expect("a handle");
    let result = work(&handle);
    handle.stop();
    router.join().expect("no panic");
    result
}

/// The longest pause of several reloads, in milliseconds.
fn longest_pause(mappings: usize) -> f64 {
    let port = free_port();
    running(&text(mappings, port, 0), |handle| {
        let pauses = (1..=ROUNDS).map(|edit| {
            let reloaded = reload(handle, &text(mappings, port, edit));
            assert_eq!(reloaded.adoption.adopted, ["desk", "bay"]);
            reloaded.pause
        });
        pauses.max().map_or(0.0, |pause| pause.as_secs_f64() * 1e3)
    })
}

/// How long a socket that restarts receives nothing, in milliseconds: the longest time between two
/// packets that arrive, of packets that are sent every 0.2 ms.
fn socket_gap() -> f64 {
    let (first, second) = (free_port(), free_port());
    let configuration = |host: &str| {
        format!(
            "[osc desk]\nbind = {host} {first}\n[osc out]\ndestination = 127.0.0.1 {second}\n\
             [map]\ndesk./a > out./a\n"
        )
    };
    let sink = UdpSocket::bind(("127.0.0.1", second)).expect("a socket");
    sink.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
    running(&configuration("127.0.0.1"), |handle| {
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let sending = std::thread::spawn(move || {
            let end = Instant::now() + Duration::from_secs(2);
            let mut number = 0_u16;
            while Instant::now() < end {
                number = number.wrapping_add(1);
                let value = f32::from(number) / f32::from(u16::MAX);
                let packet = [&b"/a\0\0,f\0\0"[..], &value.to_be_bytes()].concat();
                let _ = sender.send_to(&packet, ("127.0.0.1", first));
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        let receiving = std::thread::spawn(move || {
            let (mut longest, mut last) = (Duration::ZERO, None);
            let (mut buffer, mut count) = ([0; 64], 0);
            while sink.recv(&mut buffer).is_ok() {
                let now = Instant::now();
                longest = last.map_or(longest, |last| longest.max(now - last));
                last = Some(now);
                count += 1;
            }
            assert!(count > 100, "only {count} packets were forwarded");
            longest
        });
        for host in ["0.0.0.0", "127.0.0.1", "0.0.0.0"] {
            std::thread::sleep(Duration::from_millis(400));
            assert_eq!(reload(handle, &configuration(host)).adoption.restarted, ["desk"]);
        }
        sending.join().expect("no panic");
        receiving.join().expect("no panic").as_secs_f64() * 1e3
    })
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("this process").count()
}

/// Reloads many times, with restarts; returns the growth of the memory in kilobytes and the
/// difference in descriptors, both after a tenth of the reloads.
fn growth() -> (f64, f64) {
    let (first, second) = (free_port(), free_port());
    running(&text(100, first, 0), |handle| {
        let mut before = (0, 0);
        for edit in 1..=RELOADS {
            let port = if edit % 10 < 5 { first } else { second };
            reload(handle, &text(100, port, edit % 50));
            if edit == RELOADS / 10 {
                before = (resident_memory(std::process::id()).expect("status"), descriptors());
            }
        }
        let memory = resident_memory(std::process::id()).expect("status");
        let growth = memory as f64 - before.0 as f64;
        (growth, descriptors() as f64 - before.1 as f64)
    })
}

fn main() {
    for (mappings, limit) in [(1_000, 2.0), (100_000, 20.0)] {
        report(format!("reload {mappings} mappings: longest pause"), "ms")
            .ours(longest_pause(mappings))
            .budget(Budget::AtMost(limit))
            .note(format!("of {ROUNDS} reloads"))
            .print();
    }
    report("reload: gap of a socket that restarts", "ms")
        .ours(socket_gap())
        .budget(Budget::AtMost(50.0))
        .note("between two packets that are forwarded")
        .print();
    let (memory, descriptors) = growth();
    report(format!("{RELOADS} reloads: growth of the memory"), "KB")
        .ours(memory)
        .budget(Budget::AtMost(512.0))
        .note("from the 1,000th to the last")
        .print();
    report(format!("{RELOADS} reloads: more descriptors"), "")
        .ours(descriptors)
        .budget(Budget::AtMost(0.0))
        .print();
}
