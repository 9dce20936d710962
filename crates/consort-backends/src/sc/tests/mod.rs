//! Instances in a test show, with a fake server; `tests/sc_server.rs` uses real servers.

mod configuration;
mod show;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use consort_osc::{OscMessage, OscPacket, OscValue};
use consort_router::testing::TestShow;
use parking_lot::Mutex;

use super::DESCRIPTOR;

/// A UDP server that answers logins and records all messages.
struct FakeServer {
    socket: UdpSocket,
    stop: Arc<AtomicBool>,
    received: Arc<Mutex<Vec<OscMessage>>>,
    /// The address that has logged in, which is the library's socket.
    client: Arc<Mutex<Option<SocketAddr>>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the fake server panicked");
        }
    }
}

/// Encodes a message.
fn encode(address: &str, arguments: impl Into<Vec<OscValue>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    OscMessage::new(address, arguments).encode(&mut bytes).expect("OSC");
    bytes
}

/// The reply of a server; empty if there is none.
fn reply_to(message: &OscMessage) -> Vec<u8> {
    let f = |number: f32| OscValue::from(number);
    let d = |number: f64| OscValue::from(number);
    let i = |number: i32| OscValue::from(number);
    match message.address.as_str() {
        "/status" => encode(
            "/status.reply",
            [i(1), i(0), i(0), i(2), i(0), f(0.5), f(1.0), d(48_000.0), d(48_000.0)],
        ),
        "/notify" => encode("/done", ["/notify".into(), i(0), i(2)]),
        "/g_queryTree" => encode("/g_queryTree.reply", [i(0), i(0), i(1), i(1), i(0)]),
        "/sync" => encode("/synced", [message.arguments[0].clone()]),
        "/quit" => encode("/done", ["/quit".into()]),
        // Every bus has the value of its number divided by 100.
        "/c_get" => {
            let value = |bus: &OscValue| f(bus.as_i32().expect("a bus") as f32 / 100.0);
            let pairs = message.arguments.iter();
            let pairs = pairs.flat_map(|bus| [bus.clone(), value(bus)]);
            encode("/c_set", pairs.collect::<Vec<_>>())
        }
        "/s_new" if message.arguments[0].as_str() == Some("lead") => {
            encode("/fail", ["/s_new".into(), "SynthDef not found".into()])
        }
        _ => Vec::new(),
    }
}

impl FakeServer {
    /// Starts a server at a free port.
    fn start() -> Self {
        Self::at_port(0)
    }

    fn at_port(port: u16) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", port)).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("set");
        let stop = Arc::new(AtomicBool::new(false));
        let received = Arc::<Mutex<Vec<OscMessage>>>::default();
        let client = Arc::<Mutex<Option<SocketAddr>>>::default();
        let (thread_stop, thread_received, thread_client) =
            (stop.clone(), received.clone(), client.clone());
        let thread_socket = socket.try_clone().expect("a socket");
        let thread = std::thread::spawn(move || {
            let mut bytes = vec![0; 65_536];
            while !thread_stop.load(Ordering::Relaxed) {
                let Ok((length, from)) = thread_socket.recv_from(&mut bytes) else { continue };
                let packet = OscPacket::decode(&bytes[..length]).expect("OSC");
                let mut all = Vec::new();
                flatten(packet, &mut all);
                for message in all {
                    if message.address == "/notify" {
                        *thread_client.lock() = Some(from);
                    }
                    let reply = reply_to(&message);
                    thread_received.lock().push(message);
                    if !reply.is_empty() {
                        // The client may have gone.
                        let _ = thread_socket.send_to(&reply, from);
                    }
                }
            }
        });
        FakeServer { socket, stop, received, client, thread: Some(thread) }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().expect("an address").port()
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// Removes the received messages of one address.
    fn take(&self, address: &str) -> Vec<OscMessage> {
        let mut received = self.received.lock();
        let (taken, rest) = received.drain(..).partition(|message| message.address == address);
        *received = rest;
        taken
    }

    /// Whether a message of this address was received.
    fn has(&self, address: &str) -> bool {
        self.received.lock().iter().any(|message| message.address == address)
    }

    /// Sends a notification to the client that has logged in.
    fn notify(&self, address: &str, arguments: impl Into<Vec<OscValue>>) {
        let client = self.client.lock().expect("a client");
        self.socket.send_to(&encode(address, arguments), client).expect("sent");
    }
}

/// Appends the messages of a packet.
fn flatten(packet: OscPacket, all: &mut Vec<OscMessage>) {
    match packet {
        OscPacket::Message(message) => all.push(message),
        OscPacket::Bundle(bundle) => {
            bundle.elements.into_iter().for_each(|element| flatten(element, all))
        }
    }
}

/// The arguments of `/n_go` and `/n_end`.
fn node_notification(node: i32) -> Vec<OscValue> {
    [node, 900_002, -1, -1, 0].map(OscValue::from).to_vec()
}

/// A test show with an instance `sound` that uses the fake server.
fn test_show(fake: &FakeServer, options: &[(&str, &str)]) -> TestShow {
    let mut test = TestShow::new();
    let address = fake.address();
    let options: Vec<(&str, &str)> =
        [("server", address.as_str())].into_iter().chain(options.iter().copied()).collect();
    test.instance(&DESCRIPTOR, "sound", &options);
    test
}

/// The node of `/s_new`.
fn node(message: &OscMessage) -> i32 {
    message.arguments[1].as_i32().expect("a node")
}
