//! Limits for each peer of an OSC instance: who may send, who is followed, and how many connections
//! and incomplete packets there may be.
#![cfg(feature = "osc")]

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use consort_backends::osc::DESCRIPTOR;
use consort_osc::{OscMessage, OscPacket, OscValue, Packet};
use consort_router::testing::{DEADLINE, Performance, TestShow, free_port};

fn peer() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(DEADLINE)).expect("set");
    socket
}

fn message(address: &str, arguments: Vec<OscValue>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let message = OscMessage { address: address.into(), arguments };
    OscPacket::Message(message).encode(&mut bytes).expect("encodes");
    bytes
}

/// The next packet that a socket receives, as text.
fn next(socket: &UdpSocket) -> String {
    let mut buffer = [0; 65_536];
    let count = socket.recv(&mut buffer).expect("a packet");
    Packet::decode(&buffer[..count]).expect("OSC").to_owned().to_string()
}

#[test]
fn only_valid_packets_below_the_root_move_a_learned_destination() {
    for (learn, follows) in [("last", true), ("first", false)] {
        let port = free_port();
        let mut setup = TestShow::new();
        let bind = format!("127.0.0.1 {port}");
        let options = [
            ("bind", bind.as_str()),
            ("destination", "learn"),
            ("learn", learn),
            ("root", "/desk"),
        ];
        setup.instance(&DESCRIPTOR, "osc", &options);
        setup.map("probe.x", "osc./fb");
        setup.map("osc./f", "probe.f");
        let mut show = setup.start();
        show.until_state("osc", "up");
        let (tablet, other) = (peer(), peer());
        let float = |address: &str, value: f32| message(address, vec![OscValue::Float(value)]);
        let send = |from: &UdpSocket, bytes: &[u8]| {
            from.send_to(bytes, ("127.0.0.1", port)).expect("sent");
        };
        send(&tablet, &float("/desk/f", 0.25));
        show.receive(1);
        send(&other, b"\xff\xfe no OSC");
        send(&other, &float("/other/f", 0.5));
        send(&other, b"");
        show.until("the packets", |show| show.router.handle().live().input(show.id("osc")).0 == 4);
        show.send("x", 0.5);
        assert_eq!(next(&tablet), "/desk/fb ,f 0.5");
        // A valid packet of another peer.
        send(&other, &float("/desk/f", 0.75));
        show.receive(1);
        if follows {
            assert_eq!(next(&other), "/desk/fb ,f 0.5", "a new peer gets the state");
        }
        show.send("x", 0.25);
        assert_eq!(next(if follows { &other } else { &tablet }), "/desk/fb ,f 0.25", "{learn}");
    }
}

#[test]
fn hosts_outside_the_allowed_networks_are_ignored_and_counted() {
    let port = free_port();
    let mut setup = TestShow::new();
    let bind = format!("127.0.0.1 {port}");
    setup.instance(&DESCRIPTOR, "osc", &[("bind", &bind), ("allow", "127.0.0.1 10.0.0.0/8")]);
    setup.map("osc./f", "probe./f");
    let mut show = setup.start();
    show.until_state("osc", "up");
    let allowed = peer();
    allowed.connect(("127.0.0.1", port)).expect("connected");
    let denied = UdpSocket::bind("127.0.0.2:0").expect("a socket");
    for number in 0..100 {
        let value = f64::from(number) / 100.0;
        let packet = message("/f", vec![OscValue::Double(value)]);
        denied.send_to(&packet, ("127.0.0.1", port)).expect("sent");
    }
    allowed.send(&message("/f", vec![OscValue::Double(0.5)])).expect("sent");
    assert_eq!(show.receive(1), [("/f".to_owned(), 0.5)]);
    assert_eq!(show.counters("osc").errors, 100);
    assert_eq!(show.router.handle().live().input(show.id("osc")).0, 1);
}

/// A show that listens for streams, with `options`.
fn listening(options: &[(&str, &str)]) -> (Performance, u16) {
    let port = free_port();
    let mut setup = TestShow::new();
    let bind = format!("127.0.0.1 {port}");
    let mut all = vec![("bind", bind.as_str()), ("transport", "tcp")];
    all.extend(options);
    setup.instance(&DESCRIPTOR, "osc", &all);
    setup.map("osc./f", "probe.f");
    let mut show = setup.start();
    show.until_state("osc", "up");
    (show, port)
}

fn whole_packet(value: f64) -> Vec<u8> {
    let packet = message("/f", vec![OscValue::Double(value)]);
    [&(packet.len() as u32).to_be_bytes()[..], &packet].concat()
}

fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("set");
    match (&*stream).read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn idle_connections_do_not_keep_others_out() {
    let (mut show, port) = listening(&[]);
    let connect = || TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let mut used = connect();
    let idle: Vec<TcpStream> = (0..63).map(|_| connect()).collect();
    used.write_all(&whole_packet(0.25)).expect("written");
    assert_eq!(show.receive(1), [("f".to_owned(), 0.25)]);
    let mut later = Vec::new();
    for number in 1..=8 {
        let value = f64::from(number) / 16.0;
        let mut late = connect();
        late.write_all(&whole_packet(value)).expect("written");
        assert_eq!(show.receive(1), [("f".to_owned(), value)], "connection {number}");
        later.push(late);
    }
    // Eight that never sent anything are gone; those that are used stay.
    show.until("eight connections to be closed", |_| {
        idle.iter().filter(|stream| is_closed(stream)).count() == 8
    });
    used.write_all(&whole_packet(1.0)).expect("written");
    assert_eq!(show.receive(1), [("f".to_owned(), 1.0)]);
}

#[test]
fn connections_from_outside_the_allowed_networks_are_closed() {
    let (mut show, port) = listening(&[("allow", "10.0.0.0/8")]);
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    show.until("the connection to be closed", |_| is_closed(&stream));
    assert_eq!(show.counters("osc").errors, 1);
}

#[test]
fn a_connection_with_half_a_packet_is_closed_after_ten_seconds() {
    let (mut show, port) = listening(&[]);
    let mut half = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let mut idle = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    half.write_all(&whole_packet(0.5)[..7]).expect("written");
    let start = std::time::Instant::now();
    show.until("the connection to be closed", |_| is_closed(&half));
    assert!(start.elapsed() >= Duration::from_secs(9), "{:?}", start.elapsed());
    // A connection that is only silent stays.
    idle.write_all(&whole_packet(0.75)).expect("written");
    assert_eq!(show.receive(1), [("f".to_owned(), 0.75)]);
}
