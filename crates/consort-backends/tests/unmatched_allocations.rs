//! Input that no mapping uses is counted and listed without allocating, once as many different
//! inputs as the list holds have arrived.

#![cfg(any(feature = "osc", feature = "artnet"))]

use std::net::UdpSocket;
use std::time::Duration;

use consort_bench::{CountingAllocator, thread_allocations};
use consort_router::testing::{Performance, TestShow, free_port};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn packets(show: &Performance) -> u64 {
    show.router.handle().live().input(show.id("net")).0
}

/// Sends all packets `rounds` times, twice, and checks that the second time allocates nothing and
/// that everything was counted: `unmatched` for each round.
fn check(setup: TestShow, port: u16, round: &[Vec<u8>], rounds: u64, unmatched: u64) {
    let mut show = setup.start();
    show.until_state("net", "up");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    sender.connect(("127.0.0.1", port)).expect("connected");
    let mut run = |expected: u64| {
        for _ in 0..rounds {
            for packet in round {
                sender.send(packet).expect("sent");
            }
            show.router.step(Some(Duration::ZERO)).expect("a turn");
        }
        show.until("all packets", |show| packets(show) == expected);
    };
    let count = rounds * round.len() as u64;
    run(count);
    let before = thread_allocations();
    run(2 * count);
    let allocations = thread_allocations() - before;
    let live = show.router.handle().live();
    assert_eq!(live.unmatched_count(show.id("net")), 2 * rounds * unmatched);
    assert!(!live.unmatched(show.id("net")).is_empty());
    assert_eq!(allocations, 0, "in {count} packets");
}

#[cfg(feature = "osc")]
#[test]
fn osc_messages() {
    use consort_osc::{BundleBuilder, MessageBuilder, TimeTag};
    let port = free_port();
    let mut setup = TestShow::new();
    let bind = format!("127.0.0.1 {port}");
    setup.instance(&consort_backends::osc::DESCRIPTOR, "net", &[("bind", &bind)]);
    setup.channel("net./xy", consort_router::Usage::Source).expect("a channel");
    let mut round = Vec::new();
    for number in 0..10 {
        let mut bytes = Vec::new();
        let address = format!("/1/fader{number}");
        MessageBuilder::new(&mut bytes, &address).float(0.5).finish().expect("encodes");
        round.push(bytes);
    }
    let mut bytes = Vec::new();
    MessageBuilder::new(&mut bytes, "/name").string("a text").int(3).finish().expect("encodes");
    round.push(bytes);
    let mut bytes = Vec::new();
    let mut bundle = BundleBuilder::new(&mut bytes, TimeTag::IMMEDIATE);
    bundle.message("/xy").float(0.25).float(0.5).finish().expect("encodes");
    bundle.message("/x*").float(0.25).finish().expect("encodes");
    bundle.message("/go").finish().expect("encodes");
    bundle.finish().expect("encodes");
    round.push(bytes);
    check(setup, port, &round, 500, 14);
}

#[cfg(feature = "artnet")]
#[test]
fn slots_of_a_universe() {
    let port = free_port();
    let mut setup = TestShow::new();
    let bind = format!("127.0.0.1 {port}");
    setup.backend(&consort_backends::artnet::DESCRIPTOR, &[("bind", &bind)]);
    setup.instance(&consort_backends::artnet::DESCRIPTOR, "net", &[]);
    setup.channel("net.1", consort_router::Usage::Source).expect("a channel");
    let frame = |value: u8| {
        let mut bytes = Vec::new();
        let data = [value; 512];
        let dmx = consort_backends::artnet::codec::Dmx {
            sequence: 0,
            physical: 0,
            port_address: 0,
            data: &data,
        };
        dmx.encode(&mut bytes);
        bytes
    };
    check(setup, port, &[frame(1), frame(2)], 500, 2 * 511);
}
