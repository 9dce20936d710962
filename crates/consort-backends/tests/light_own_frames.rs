//! Frames that the program has sent itself are not input; those of other programs are, also of one
//! on the same machine and port.
#![cfg(all(feature = "artnet", feature = "sacn"))]

use std::net::UdpSocket;

use consort_backends::artnet::codec::{Dmx, Packet};
use consort_backends::{artnet, sacn};
use consort_router::testing::{Performance, TestShow, free_port};

/// The address from which every socket of this machine that is bound to `0.0.0.0` receives.
const BROADCAST: &str = "127.255.255.255";

/// A socket of another program on the same port.
fn sharing(port: u16) -> UdpSocket {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None);
    let socket = socket.expect("a socket");
    socket.set_reuse_address(true).expect("set");
    socket.set_broadcast(true).expect("set");
    socket.set_nonblocking(true).expect("set");
    socket.bind(&std::net::SocketAddr::from(([0, 0, 0, 0], port)).into()).expect("bound");
    socket.into()
}

fn dmx(universe: u16, sequence: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Dmx { sequence, physical: 0, port_address: universe, data }.encode(&mut bytes);
    bytes
}

/// A show on a port that receives broadcasts.
fn setup(port: u16) -> TestShow {
    let mut setup = TestShow::new();
    setup.backend(&artnet::DESCRIPTOR, &[("bind", &format!("0.0.0.0 {port}"))]);
    setup
}

/// How many frames an instance has received.
fn packets(show: &Performance, instance: &str) -> u64 {
    show.router.handle().live().input(show.id(instance)).0
}

/// Turns until a full frame of a universe whose first slot has a value is on the wire; returns it.
fn until_sent(show: &mut Performance, wire: &UdpSocket, universe: u16, value: u8) -> Vec<u8> {
    let mut buffer = [0; 2_048];
    let mut found = Vec::new();
    show.until("a frame on the wire", |_| {
        while let Ok(count) = wire.recv(&mut buffer) {
            if let Ok(Packet::Dmx(dmx)) = Packet::decode(&buffer[..count])
                && dmx.port_address == universe
                && dmx.data.len() == 512
                && dmx.data[0] == value
            {
                found = buffer[..count].to_vec();
                return true;
            }
        }
        false
    });
    found
}

#[test]
fn a_relay_of_broadcasts_goes_dark_when_the_desk_does() {
    let port = free_port();
    let destination = format!("{BROADCAST} {port}");
    let mut setup = setup(port);
    setup.instance(&artnet::DESCRIPTOR, "desk", &[]);
    setup.instance(&artnet::DESCRIPTOR, "lights", &[("destination", &destination)]);
    setup.map("desk.1", "lights.1");
    setup.map("desk.1", "probe.one");
    let mut show = setup.start();
    show.until_state("lights", "up");
    let wire = sharing(port);
    let console = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    console.set_broadcast(true).expect("set");
    // The first value is not 0: a channel is silent until it has left 0.
    let values = [128, 255, 0, 200, 0, 50, 0];
    for value in values {
        console.send_to(&dmx(0, 0, &[value, 0]), (BROADCAST, port)).expect("sent");
        let expected = f64::from(value) / 255.0;
        assert_eq!(show.receive(1), [("one".to_owned(), expected)]);
        until_sent(&mut show, &wire, 0, value);
    }
    // Both instances have the universe of the desk.
    assert_eq!((packets(&show, "desk"), packets(&show, "lights")), (7, 7));
    assert_eq!(show.counters("desk").errors, 0);
}

#[test]
fn a_two_way_show_gets_no_echoes() {
    let port = free_port();
    let mut setup = setup(port);
    let destination = format!("{BROADCAST} {port}");
    setup.instance(&artnet::DESCRIPTOR, "out", &[("destination", &destination)]);
    for channel in 1..=8 {
        setup.map(&format!("probe.{channel}"), &format!("out.{channel}"));
        setup.map(&format!("out.{channel}"), &format!("probe.{channel}"));
    }
    let mut show = setup.start();
    show.until_state("out", "up");
    let wire = sharing(port);
    for value in [1.0, 0.5, 0.25] {
        show.send("1", value);
        until_sent(&mut show, &wire, 0, (value * 255.0 + 0.5) as u8);
    }
    // The frame is sent again to keep the universe alive, which takes some turns.
    until_sent(&mut show, &wire, 0, 64);
    assert_eq!(show.received(), []);
    assert_eq!(packets(&show, "out"), 0);
}

#[test]
fn another_program_on_the_same_machine_and_port_is_input() {
    let port = free_port();
    let mut setup = setup(port);
    let destination = format!("{BROADCAST} {port}");
    setup.instance(&artnet::DESCRIPTOR, "net", &[("destination", &destination)]);
    setup.map("probe.a", "net.1");
    setup.map("net.1", "probe.b");
    let mut show = setup.start();
    show.until_state("net", "up");
    let other = sharing(port);
    show.send("a", 1.0);
    let own = until_sent(&mut show, &other, 0, 255);
    // The same bytes, from the same address and port, but sent by another program.
    other.send_to(&own, (BROADCAST, port)).expect("sent");
    assert_eq!(show.receive(1), [("b".to_owned(), 1.0)]);
    other.send_to(&dmx(0, 0, &[51; 512]), (BROADCAST, port)).expect("sent");
    assert_eq!(show.receive(1), [("b".to_owned(), 0.2)]);
    assert_eq!(packets(&show, "net"), 2);
}

#[test]
fn two_shows_on_one_port_receive_each_other_and_not_themselves() {
    let port = free_port();
    let destination = format!("{BROADCAST} {port}");
    let start = || {
        let mut setup = setup(port);
        setup.instance(&artnet::DESCRIPTOR, "net", &[("destination", &destination)]);
        setup.map("probe.a", "net.1");
        setup.map("net.1", "probe.b");
        let mut show = setup.start();
        show.until_state("net", "up");
        show
    };
    let (mut first, mut second) = (start(), start());
    // Equal values, and equal sequence numbers, because both shows have just begun.
    first.send("a", 1.0);
    second.send("a", 1.0);
    for show in [&mut first, &mut second] {
        assert_eq!(show.receive(1), [("b".to_owned(), 1.0)]);
    }
    first.send("a", 0.2);
    first.until("the frame of the second show is still the highest", |show| {
        show.counters("net").outgoing == 2
    });
    // Without the second one, only the first show's own frames would be left.
    assert_eq!(packets(&first, "net"), 1);
}

#[test]
fn an_sacn_source_with_the_own_cid_is_input_unless_it_is_this_program() {
    let port = free_port();
    let mut setup = TestShow::new();
    let cid = "0102030405060708090a0b0c0d0e0f10";
    setup.backend(&sacn::DESCRIPTOR, &[("bind", &format!("127.0.0.1 {port}")), ("cid", cid)]);
    let destination = format!("127.0.0.1 {port}");
    setup.instance(
        &sacn::DESCRIPTOR,
        "net",
        &[("universe", "1"), ("priority", "100"), ("destination", &destination), ("unicast", "on")],
    );
    setup.map("probe.a", "net.1");
    setup.map("net.1", "probe.b");
    let mut show = setup.start();
    show.until_state("net", "up");
    show.send("a", 1.0);
    let copy = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut bytes = Vec::new();
    sacn::codec::Data {
        cid: std::array::from_fn(|index| index as u8 + 1),
        name: b"backup",
        priority: 100,
        sync: 0,
        sequence: 200,
        is_preview: false,
        is_terminated: false,
        universe: 1,
        slots: &[51; 512],
    }
    .encode(&mut bytes);
    show.until("the own frame is sent", |show| show.counters("net").outgoing == 1);
    copy.send_to(&bytes, ("127.0.0.1", port)).expect("sent");
    assert_eq!(show.receive(1), [("b".to_owned(), 0.2)]);
    assert_eq!(packets(&show, "net"), 1);
}

#[test]
fn a_universe_that_is_lost_is_noted_until_it_is_received_again() {
    let port = free_port();
    let mut setup = TestShow::new();
    setup.backend(&sacn::DESCRIPTOR, &[("bind", &format!("127.0.0.1 {port}"))]);
    setup.instance(&sacn::DESCRIPTOR, "net", &[("universe", "1"), ("unicast", "on")]);
    setup.map("net.1", "probe.b");
    let mut show = setup.start();
    show.until_state("net", "up");
    let console = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let send = |cid: u8, priority: u8, sequence: u8, value: u8| {
        let mut bytes = Vec::new();
        sacn::codec::Data {
            cid: [cid; 16],
            name: b"console",
            priority,
            sync: 0,
            sequence,
            is_preview: false,
            is_terminated: false,
            universe: 1,
            slots: &[value],
        }
        .encode(&mut bytes);
        console.send_to(&bytes, ("127.0.0.1", port)).expect("sent");
    };
    let note = |show: &Performance| show.router.handle().live().note(show.id("net"));
    // A laptop with a new CID at each start takes all places; the console still finds one.
    for cid in 1..=16 {
        send(cid, 0, 1, 0);
    }
    show.until("the frames", |show| packets(show, "net") == 16);
    assert_eq!(note(&show), None);
    send(200, 200, 1, 255);
    assert_eq!(show.receive(1), [("b".to_owned(), 1.0)]);
    show.until("the note about sources", |show| {
        note(show).is_some_and(|text| text.contains("more than 16 sources"))
    });
    show.until("the note about the loss", |show| {
        note(show).is_some_and(|text| text.contains("not received any more"))
    });
    assert_eq!(show.received(), [], "the last values are kept");
    send(200, 200, 2, 51);
    assert_eq!(show.receive(1), [("b".to_owned(), 0.2)]);
    show.until("no note", |show| note(show).is_none());
}
