//! `consort sc boot`, `status`, `tree`, `dump` and `quit` with a simulated server.
#![cfg(feature = "default")]

#[path = "../src/sc.rs"]
mod sc;
#[path = "../src/text.rs"]
mod text;

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use consort_osc::{OscMessage, OscPacket, OscValue};

/// The command line of `consort sc`.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: sc::ScCommand,
}

/// Runs `consort sc` with these arguments; returns its output and its result.
fn run(arguments: &[&str]) -> (String, anyhow::Result<std::process::ExitCode>) {
    let cli = Cli::parse_from(["sc"].iter().chain(arguments));
    let mut out = Vec::new();
    let stop = Arc::new(AtomicBool::new(false));
    let result = sc::run(&cli.command, &stop, &mut out);
    (String::from_utf8(out).unwrap(), result)
}

fn encode(address: &str, arguments: impl Into<Vec<OscValue>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    OscMessage::new(address, arguments).encode(&mut bytes).unwrap();
    bytes
}

/// The reply to a request.
fn answer(message: &OscMessage) -> Option<Vec<u8>> {
    Some(match message.address.as_str() {
        "/status" => encode(
            "/status.reply",
            vec![
                1.into(),
                4.into(),
                1.into(),
                2.into(),
                7.into(),
                0.5f32.into(),
                1.5f32.into(),
                48_000f64.into(),
                48_000f64.into(),
            ],
        ),
        "/version" => encode(
            "/version.reply",
            ["scsynth".into(), 3.into(), 13.into(), ".0".into(), "".into(), "".into()],
        ),
        "/notify" => encode("/done", ["/notify".into(), 1.into(), 4.into()]),
        "/g_queryTree" => {
            let controls = message.arguments[1].as_i32() == Some(1);
            let mut reply: Vec<OscValue> = vec![
                i32::from(controls).into(),
                0.into(),
                1.into(),
                1.into(),
                1.into(),
                1000.into(),
                (-1).into(),
                // This would clear a terminal.
                "to\x1b[2Jne".into(),
            ];
            if controls {
                reply.extend([1.into(), "frequency".into(), 440.0f32.into()]);
            }
            encode("/g_queryTree.reply", reply)
        }
        "/sync" => encode("/synced", [message.arguments[0].clone()]),
        "/quit" => encode("/done", ["/quit".into()]),
        _ => return None,
    })
}

/// A simulated server, which is stopped when it is dropped.
struct SimulatedServer {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl SimulatedServer {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut bytes = vec![0; 65_536];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
                let mut packets = vec![OscPacket::decode(&bytes[..length]).unwrap()];
                while let Some(packet) = packets.pop() {
                    match packet {
                        OscPacket::Message(message) => {
                            if let Some(reply) = answer(&message) {
                                socket.send_to(&reply, from).unwrap();
                            }
                        }
                        OscPacket::Bundle(bundle) => {
                            packets.extend(bundle.elements.into_iter().rev())
                        }
                    }
                }
            }
        });
        Self { port, stop, thread: Some(thread) }
    }
}

impl Drop for SimulatedServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[test]
fn status_tree_dump_and_quit_print_what_the_server_replies() {
    let server = SimulatedServer::start();
    let port = server.port.to_string();
    let (text, result) = run(&["status", "--port", &port]);
    result.unwrap();
    assert_eq!(
        text.replace(&port, "PORT"),
        "scsynth 3.13.0 at 127.0.0.1:PORT, client 1 of 4\n4 UGens, 1 synth, 2 groups, 7 \
         SynthDefs; load 0.5 % (peak 1.5 %); 48000.0 Hz\n"
    );
    let (text, result) = run(&["tree", "--port", &port]);
    result.unwrap();
    assert_eq!(
        text,
        "NODE TREE 0 group\n    1 group\n        1000 to\\u{1b}[2Jne\n            frequency: 440.0\n"
    );
    let (text, result) = run(&["dump", "--port", &port, "--seconds", "0.3"]);
    result.unwrap();
    assert!(text.contains("-> /notify ,i 1") && text.contains("<- /done"), "{text}");
    // Durations that exceed the range of the clock, and an interval of 0, last until Ctrl-C.
    for arguments in
        [["dump", "--seconds", "1e19"], ["tree", "--watch", "1e19"], ["status", "--watch", "0"]]
    {
        let cli = Cli::parse_from(["sc"].iter().chain(&arguments).chain(&["--port", &port]));
        let stop = Arc::new(AtomicBool::new(true));
        sc::run(&cli.command, &stop, &mut Vec::new()).unwrap();
    }
    let (text, result) = run(&["quit", "--port", &port]);
    result.unwrap();
    assert!(text.contains("quit the server"), "{text}");
}

#[test]
fn a_missing_server_or_program_is_reported() {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let (_, result) = run(&["tree", "--port", &port, "--timeout", "0.3"]);
    assert!(result.unwrap_err().to_string().contains("no server is listening"));
    let missing = ["boot", "--port", &port, "--program", "no-such-synth"];
    let (_, result) = run(&missing);
    assert!(result.unwrap_err().to_string().contains("apt install"));
}
