//! The router's thread allocates nothing for unmatched input of a server, nor for notes and
//! controls in the steady state.

#![cfg(feature = "sc")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_backends::sc::DESCRIPTOR;
use consort_bench::{CountingAllocator, thread_allocations};
use consort_osc::{OscMessage, OscValue, Packet};
use consort_router::testing::{Performance, TestShow};
use parking_lot::Mutex;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// A UDP server that answers logins.
struct FakeServer {
    socket: UdpSocket,
    stop: Arc<AtomicBool>,
    client: Arc<Mutex<Option<SocketAddr>>>,
    thread: Option<JoinHandle<()>>,
}

fn encode(address: &str, arguments: impl Into<Vec<OscValue>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    OscMessage::new(address, arguments).encode(&mut bytes).expect("OSC");
    bytes
}

/// The reply of a server; none for messages that need none.
fn reply_to(message: &OscMessage) -> Option<Vec<u8>> {
    let i = |number: i32| OscValue::from(number);
    let (f, d) = (OscValue::from(0.5f32), OscValue::from(48_000f64));
    Some(match message.address.as_str() {
        "/status" => {
            let all = [i(1), i(0), i(0), i(2), i(0), f.clone(), f, d.clone(), d];
            encode("/status.reply", all)
        }
        "/notify" => encode("/done", ["/notify".into(), i(0), i(2)]),
        "/g_queryTree" => encode("/g_queryTree.reply", [i(0), i(0), i(1), i(1), i(0)]),
        "/sync" => encode("/synced", [message.arguments[0].clone()]),
        _ => return None,
    })
}

impl FakeServer {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("set");
        let (stop, client) = (Arc::<AtomicBool>::default(), Arc::<Mutex<_>>::default());
        let (thread_socket, thread_stop, thread_client) =
            (socket.try_clone().expect("a socket"), Arc::clone(&stop), Arc::clone(&client));
        let thread = std::thread::spawn(move || {
            let mut bytes = vec![0; 65_536];
            while !thread_stop.load(Ordering::Relaxed) {
                let Ok((length, from)) = thread_socket.recv_from(&mut bytes) else { continue };
                let packet = Packet::decode(&bytes[..length]).expect("OSC");
                for message in packet.messages().map(OscMessage::from) {
                    if message.address == "/notify" {
                        *thread_client.lock() = Some(from);
                    }
                    if let Some(reply) = reply_to(&message) {
                        // The client may have gone.
                        let _ = thread_socket.send_to(&reply, from);
                    }
                }
            }
        });
        FakeServer { socket, stop, client, thread: Some(thread) }
    }

    fn notify(&self, packet: &[u8]) {
        let client = self.client.lock().expect("a client");
        self.socket.send_to(packet, client).expect("sent");
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the fake server panicked");
        }
    }
}

/// Turns until the instance has counted that many inputs; returns how often this thread has
/// allocated meanwhile.
fn allocations_until(show: &mut Performance, inputs: u64) -> u64 {
    let (live, id) = (show.router.handle().live(), show.id("sound"));
    let deadline = Instant::now() + Duration::from_secs(30);
    let before = thread_allocations();
    while live.input(id).0 < inputs {
        assert!(Instant::now() < deadline, "{} of {inputs} inputs", live.input(id).0);
        show.router.step(Some(Duration::from_millis(5))).expect("a turn");
    }
    thread_allocations() - before
}

#[test]
fn unmatched_input_and_notes_do_not_allocate() {
    let fake = FakeServer::start();
    let address = fake.socket.local_addr().expect("an address").to_string();
    let mut test = TestShow::new();
    let options = [
        ("server", address.as_str()),
        ("voice.pad", "pad"),
        ("trigger.9", "0 10"),
        ("reply./beat", "0 4"),
    ];
    test.instance(&DESCRIPTOR, "sound", &options);
    test.map("probe.key", "sound.pad.note60");
    test.map("probe.cutoff", "sound.pad.cutoff");
    let mut show = test.start();
    show.until_state("sound", "up");
    let (f, i) = (OscValue::from(2.0f32), OscValue::from(9));
    let packets = [
        encode("/tr", [1000.into(), i.clone(), f.clone()]),
        encode("/beat", [1000.into(), i, f.clone(), f]),
        encode("/text", [1000.into(), 0.into(), "a text".into()]),
    ];
    let mut sent = 0;
    let mut send = |count: u64| {
        for _ in 0..count {
            packets.iter().for_each(|packet| fake.notify(packet));
        }
        sent += count * packets.len() as u64;
        sent
    };
    // The first of each kind gets memory.
    let first = send(10);
    allocations_until(&mut show, first);
    for _ in 0..50 {
        let next = send(20);
        assert_eq!(allocations_until(&mut show, next), 0);
    }
    let live = show.router.handle().live();
    assert_eq!(live.unmatched_count(show.id("sound")), 3_030);
    assert_eq!(live.unmatched(show.id("sound")).len(), 3);

    // Values for the server: the router's commands allocate when they are queued, so that only
    // the turn counts.
    let handle = show.router.handle();
    let probe = show.id("probe");
    let play = |show: &mut Performance, round: u32| {
        let key = f64::from(round % 2);
        assert!(handle.inject(probe, 0, key) && handle.inject(probe, 1, f64::from(round) / 1e3));
        let before = thread_allocations();
        show.router.step(Some(Duration::ZERO)).expect("a turn");
        thread_allocations() - before
    };
    for round in 0..100 {
        play(&mut show, round);
    }
    let allocated: u64 = (100..300).map(|round| play(&mut show, round)).sum();
    assert_eq!(allocated, 0);
    show.finish();
}
