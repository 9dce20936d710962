//! Tests of the backend with plain sockets.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use consort_router::Usage;
use consort_router::testing::{DEADLINE, Performance, TestShow, free_port};
use proptest::prelude::*;

use super::DESCRIPTOR;
use super::codec::{DecodeError, Dmx, Packet, PollReply, encode_poll};

fn peer_at(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).expect("a socket");
    socket.set_read_timeout(Some(DEADLINE)).expect("set");
    socket
}

fn peer() -> UdpSocket {
    peer_at("127.0.0.1")
}

fn dmx(port_address: u16, sequence: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Dmx { sequence, physical: 0, port_address, data }.encode(&mut bytes);
    bytes
}

/// A show with one instance `net`, not started, whose backend listens on a port.
fn setup(port: u16, options: &[(&str, &str)], mappings: &[(&str, &str)]) -> TestShow {
    let mut setup = TestShow::new();
    setup.backend(&DESCRIPTOR, &[("bind", &format!("127.0.0.1 {port}"))]);
    setup.instance(&DESCRIPTOR, "net", options);
    for (from, to) in mappings {
        setup.map(from, to);
    }
    setup
}

/// A running show with one instance `net`, and the address on which it listens.
struct Show {
    performance: Performance,
    address: SocketAddr,
}

impl Show {
    fn new(options: &[(&str, &str)], mappings: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut performance = setup(port, options, mappings).start();
        performance.until_state("net", "up");
        Show { performance, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    /// Replaces the options and the mappings; returns the names of the restarted instances.
    fn adopt(&mut self, options: &[(&str, &str)], mappings: &[(&str, &str)]) -> Vec<String> {
        self.performance.adopt(setup(self.address.port(), options, mappings)).restarted
    }
}

/// The next frame that a socket receives: port-address, sequence, data.
fn next(show: &mut Performance, socket: &UdpSocket) -> (u16, u8, Vec<u8>) {
    socket.set_nonblocking(true).expect("set");
    let mut buffer = [0; 2_048];
    let mut count = 0;
    show.until("a frame", |_| match socket.recv(&mut buffer) {
        Ok(bytes) => {
            count = bytes;
            true
        }
        Err(_) => false,
    });
    match Packet::decode(&buffer[..count]).expect("Art-Net") {
        Packet::Dmx(dmx) => (dmx.port_address, dmx.sequence, dmx.data.to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_are_emitted_when_they_change() {
    let mut show = Show::new(
        &[("net", "1"), ("universe", "0x23")],
        &[("net.1", "probe.one"), ("net.3+4", "probe.wide"), ("net.512", "probe.last")],
    );
    let sender = peer();
    let mut data = [0; 512];
    (data[0], data[2], data[3]) = (255, 1, 2);
    sender.send_to(&dmx(0x123, 1, &data), show.address).expect("sent");
    let wide = 258.0 / 65_535.0;
    // A zero of the first frame is not an event.
    let first = [("one", 1.0), ("wide", wide)].map(|(name, value)| (name.to_owned(), value));
    assert_eq!(show.performance.receive(2), first);
    // Another universe, an unchanged frame and a late frame are ignored.
    sender.send_to(&dmx(0x023, 2, &[9; 512]), show.address).expect("sent");
    sender.send_to(&dmx(0x123, 2, &data), show.address).expect("sent");
    sender.send_to(&dmx(0x123, 250, &[7; 512]), show.address).expect("sent");
    (data[1], data[511]) = (5, 51);
    sender.send_to(&dmx(0x123, 3, &data), show.address).expect("sent");
    assert_eq!(show.performance.receive(1), [("last".to_owned(), 0.2)]);
    assert_eq!(show.performance.counters("net").incoming, 3);
    // A short frame does not change the other channels.
    sender.send_to(&dmx(0x123, 4, &[0, 0]), show.address).expect("sent");
    assert_eq!(show.performance.receive(1), [("one".to_owned(), 0.0)]);
}

#[test]
fn the_first_frame_emits_zeros_only_if_asked() {
    for (option, expected) in [("moved", 1), ("all", 3)] {
        let channels = [("net.1", "probe.one"), ("net.2", "probe.two"), ("net.3", "probe.three")];
        let mut show = Show::new(&[("first-values", option)], &channels);
        let sender = peer();
        sender.send_to(&dmx(0, 1, &[0, 7, 0, 0]), show.address).expect("sent");
        let received = show.performance.receive(expected);
        assert!(received.contains(&("two".to_owned(), 7.0 / 255.0)), "{received:?}");
        // From now on a zero is a change like any other.
        sender.send_to(&dmx(0, 2, &[0, 0, 0, 0]), show.address).expect("sent");
        assert_eq!(show.performance.receive(1), [("two".to_owned(), 0.0)]);
        assert_eq!(show.performance.counters("net").incoming, expected as u64 + 1);
    }
}

#[test]
fn several_sources_are_merged_according_to_the_option() {
    for (merge, expected) in [("htp", 200.0), ("ltp", 100.0)] {
        let mut show = Show::new(&[("merge", merge)], &[("net.1", "probe.one")]);
        let (first, second) = (peer(), peer_at("127.0.0.2"));
        first.send_to(&dmx(0, 0, &[200, 0]), show.address).expect("sent");
        show.performance.receive(1);
        second.send_to(&dmx(0, 0, &[100, 0]), show.address).expect("sent");
        second.send_to(&dmx(0, 0, &[100, 1]), show.address).expect("sent");
        first.send_to(&dmx(0, 0, &[200, 2]), show.address).expect("sent");
        let last = peer();
        last.send_to(&dmx(0, 0, &[250, 0]), show.address).expect("sent");
        let values = show.performance.receive(if merge == "htp" { 1 } else { 2 });
        if merge == "ltp" {
            assert_eq!(values[0].1, expected / 255.0);
        }
        assert_eq!(values.last().expect("one").1, 250.0 / 255.0, "{merge}");
    }
}

#[test]
fn frames_are_sent_with_the_newest_values_at_44_a_second() {
    let socket = peer();
    let destination = format!("127.0.0.1 {}", socket.local_addr().expect("one").port());
    let mut show = Show::new(
        &[("net", "2"), ("universe", "7"), ("destination", &destination)],
        &[("probe.a", "net.1"), ("probe.b", "net.2+3")],
    )
    .performance;
    show.send_all(&[("a", 0.2), ("b", 258.0 / 65_535.0)]);
    let (address, sequence, data) = next(&mut show, &socket);
    assert_eq!((address, sequence, data.len()), (0x207, 1, 512));
    assert_eq!(data[..4], [51, 1, 2, 0]);
    // A flood for half a second: every frame has the newest value, and replaced values are counted.
    let (start, mut sent, mut frames) = (Instant::now(), 0_u32, Vec::new());
    let mut buffer = [0; 2_048];
    while start.elapsed() < Duration::from_millis(500) {
        show.send("a", f64::from(sent % 256) / 255.0);
        sent += 1;
        while let Ok(count) = socket.recv(&mut buffer) {
            frames.push(buffer[18]);
            assert_eq!(count, 530);
        }
    }
    let last = ((sent - 1) % 256) as u8;
    while frames.last() != Some(&last) {
        frames.push(next(&mut show, &socket).2[0]);
    }
    // One frame at the start, then one every 22.7 ms, the first of these up to half of that early.
    assert!(frames.len() <= 26, "{} frames in half a second", frames.len());
    let dropped = show.counters("net").dropped;
    assert_eq!(
        dropped + frames.len() as u64,
        u64::from(sent),
        "every value was sent or is counted"
    );
}

#[test]
fn realtime_sends_every_value_immediately() {
    let socket = peer();
    let destination = format!("127.0.0.1 {}", socket.local_addr().expect("one").port());
    let options = [("destination", destination.as_str()), ("realtime", "on")];
    let mappings = [("probe.a", "net.1"), ("probe.b", "net.2")];
    let mut show = Show::new(&options, &mappings).performance;
    show.send_all(&[("a", 0.2), ("b", 1.0), ("a", 0.4), ("a", 0.6)]);
    let frames: Vec<_> = (0..3).map(|_| next(&mut show, &socket).2).collect();
    let starts: Vec<_> = frames.iter().map(|data| (data[0], data[1])).collect();
    assert_eq!(starts, [(51, 255), (102, 255), (153, 255)]);
    assert_eq!(show.counters("net").dropped, 0);
}

#[test]
fn an_idle_universe_is_kept_alive() {
    let socket = peer();
    let destination = format!("127.0.0.1 {}", socket.local_addr().expect("one").port());
    let mut show = Show::new(&[("destination", &destination)], &[("probe.a", "net.1")]).performance;
    show.send("a", 1.0);
    next(&mut show, &socket);
    let start = Instant::now();
    let (_, sequence, data) = next(&mut show, &socket);
    assert_eq!((sequence, data[0]), (2, 255));
    let after = start.elapsed();
    assert!(after >= Duration::from_millis(850) && after < Duration::from_secs(4), "{after:?}");
}

#[test]
fn a_poll_is_answered_for_each_instance() {
    let port = free_port();
    let mut setup = TestShow::new();
    let bind = format!("127.0.0.1 {port} announce=10.1.2.3");
    setup.backend(&DESCRIPTOR, &[("bind", &bind)]);
    setup.instance(&DESCRIPTOR, "in", &[("net", "1"), ("universe", "0x45")]);
    setup.instance(&DESCRIPTOR, "out", &[("destination", "127.0.0.1 9"), ("merge", "ltp")]);
    let mut show = setup.start();
    show.until_state("out", "up");
    let socket = peer();
    let mut poll = Vec::new();
    encode_poll(&mut poll);
    socket.send_to(&poll, ("127.0.0.1", port)).expect("sent");
    socket.set_nonblocking(true).expect("set");
    let mut replies = Vec::new();
    let mut buffer = [0; 512];
    show.until("two replies", |_| {
        while let Ok(count) = socket.recv(&mut buffer) {
            replies.push(buffer[..count].to_vec());
        }
        replies.len() == 2
    });
    let reply = &replies[0];
    assert_eq!(Packet::decode(reply), Ok(Packet::PollReply));
    assert_eq!((reply.len(), &reply[10..14]), (239, &[10, 1, 2, 3][..]));
    assert_eq!((reply[18], reply[19], reply[190]), (1, 4, 5), "net, sub-net, universe");
    assert_eq!((reply[174], reply[211]), (0x80, 1), "receives; the first");
    assert_eq!(&reply[26..29], b"in\0");
    let reply = &replies[1];
    assert_eq!((reply[174], reply[182], reply[211]), (0xC0, 0x02, 2), "receives and sends; LTP");

    // A targeted poll, to universes 0 to 0x100 only.
    poll[12] = 0x20;
    poll.extend([1, 0, 0, 0]);
    socket.send_to(&poll, ("127.0.0.1", port)).expect("sent");
    show.until("a reply", |_| socket.recv(&mut buffer).is_ok());
    assert_eq!(&buffer[26..30], b"out\0");
    // A flood of polls is not amplified, and does not keep others from getting their answers.
    for _ in 0..200 {
        socket.send_to(&poll, ("127.0.0.1", port)).expect("sent");
    }
    let other = peer_at("127.0.0.2");
    other.send_to(&poll, ("127.0.0.1", port)).expect("sent");
    other.set_nonblocking(true).expect("set");
    let mut count = 0;
    show.until("a reply to the other", |_| {
        count += std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count();
        other.recv(&mut buffer).is_ok()
    });
    // Two a second, and the test may take longer than one.
    assert!(count <= 20, "{count} replies");
}

#[test]
fn two_instances_of_one_universe_both_receive_it() {
    let port = free_port();
    let mut setup = TestShow::new();
    setup.backend(&DESCRIPTOR, &[("bind", &format!("127.0.0.1 {port}"))]);
    for name in ["a", "b"] {
        setup.instance(&DESCRIPTOR, name, &[]);
        setup.map(&format!("{name}.1"), &format!("probe.{name}"));
    }
    let mut show = setup.start();
    show.until_state("b", "up");
    peer().send_to(&dmx(0, 0, &[255, 0]), ("127.0.0.1", port)).expect("sent");
    let values = show.receive(2);
    assert_eq!(values, [("a".to_owned(), 1.0), ("b".to_owned(), 1.0)]);
}

#[test]
fn an_instance_waits_for_an_address_that_the_machine_lacks() {
    let mut setup = TestShow::new();
    setup.backend(&DESCRIPTOR, &[("bind", "192.0.2.77 6454")]);
    setup.instance(&DESCRIPTOR, "net", &[]);
    setup.map("net.1", "probe.a");
    let show = setup.start();
    let state = show.state("net");
    assert!(state.reason().is_some_and(|reason| reason.contains("192.0.2.77")), "{state:?}");
}

#[test]
fn invalid_options_are_reported() {
    let mut setup = TestShow::new();
    let problems = setup.try_instance(&DESCRIPTOR, "net", &[("interface", "1")]).expect_err("one");
    assert!(problems[0].message.contains("no interface 1"), "{problems:?}");
    setup.instance(&DESCRIPTOR, "net", &[]);
    assert!(setup.channel("net.513", Usage::Source).is_err());
    setup.map("probe.a", "net.1");
    let problems = setup.check("net");
    assert!(problems[0].is_warning && problems[0].message.contains("sends nothing"));
    for text in ["", "1.2.3.4 x", "1.2.3.4 1 announce=x", "1.2.3.4 1 loud", "1.2.3.4 99999"] {
        assert!(super::config::check_bind(text).is_err(), "{text}");
    }
}

#[test]
fn invalid_packets_are_counted_and_ignored() {
    let mut show = Show::new(&[], &[("net.1", "probe.a")]);
    let sender = peer();
    let valid = dmx(0, 0, &[255; 512]);
    for end in 0..valid.len() {
        sender.send_to(&valid[..end], show.address).expect("sent");
        if end % 16 == 0 {
            show.performance.router.step(Some(Duration::ZERO)).expect("a turn");
        }
    }
    let mut long = valid.clone();
    long[16..18].copy_from_slice(&u16::MAX.to_be_bytes());
    sender.send_to(&long, show.address).expect("sent");
    sender.send_to(&[0; 60_000], show.address).expect("sent");
    sender.send_to(&valid, show.address).expect("sent");
    assert_eq!(show.performance.receive(1), [("a".to_owned(), 1.0)]);
    assert_eq!(show.performance.counters("net").errors, valid.len() as u64 + 2);
}

#[test]
fn each_kind_of_invalid_packet_has_its_error() {
    let valid = dmx(1, 1, &[1, 2]);
    let with = |offset: usize, bytes: &[u8]| {
        let mut packet = valid.clone();
        packet[offset..offset + bytes.len()].copy_from_slice(bytes);
        packet
    };
    for (bytes, error) in [
        (b"Art-Nut\0\0\x50".to_vec(), DecodeError::NotArtNet),
        (valid[..9].to_vec(), DecodeError::Truncated { needed: 10, found: 9 }),
        (valid[..19].to_vec(), DecodeError::Truncated { needed: 20, found: 19 }),
        (with(10, &[0, 13]), DecodeError::Version(13)),
        (with(16, &[0, 0]), DecodeError::Length(0)),
        (with(16, &[2, 1]), DecodeError::Length(513)),
        (with(15, &[0x80]), DecodeError::PortAddress(0x8001)),
    ] {
        assert_eq!(Packet::decode(&bytes), Err(error), "{error}");
    }
    assert_eq!(Packet::decode(&with(8, &[0, 0x52])), Ok(Packet::Sync));
    assert_eq!(Packet::decode(&with(8, &[0, 0x99])), Ok(Packet::Other(0x9900)));
}

#[test]
fn names_of_any_length_fit_a_reply() {
    let name = "ü".repeat(100);
    let mut bytes = Vec::new();
    let reply = PollReply {
        address: [1, 2, 3, 4].into(),
        port: 6454,
        port_address: 0x7FFF,
        bind_index: 1,
        short_name: &name,
        long_name: &name,
        receives: None,
        is_merging: false,
        is_latest: false,
        sends: Some(true),
    };
    reply.encode(&mut bytes);
    assert_eq!((bytes[43], bytes[107], bytes.len()), (0, 0, 239));
    assert!(std::str::from_utf8(&bytes[26..42]).is_ok());
}

#[test]
fn packets_interoperate_with_the_artnet_protocol_crate() {
    use artnet_protocol::ArtCommand;
    let bytes = dmx(0x1234, 77, &[1, 2, 3, 4]);
    match ArtCommand::from_buffer(&bytes).expect("Art-Net") {
        ArtCommand::Output(output) => {
            let address: u16 = output.port_address.into();
            assert_eq!((address, output.sequence), (0x1234, 77));
            assert_eq!(output.data.as_ref(), &vec![1, 2, 3, 4]);
        }
        other => panic!("{other:?}"),
    }
    let foreign = artnet_protocol::Output {
        port_address: 0x0345.try_into().expect("in range"),
        sequence: 9,
        data: vec![5, 6].into(),
        ..Default::default()
    };
    let bytes = ArtCommand::Output(foreign).write_to_buffer().expect("written");
    let expected = Dmx { sequence: 9, physical: 0, port_address: 0x345, data: &[5, 6] };
    assert_eq!(Packet::decode(&bytes), Ok(Packet::Dmx(expected)));
    let mut poll = Vec::new();
    encode_poll(&mut poll);
    assert!(matches!(ArtCommand::from_buffer(&poll), Ok(ArtCommand::Poll(_))));
    let poll = ArtCommand::Poll(artnet_protocol::Poll::default()).write_to_buffer();
    let poll = poll.expect("written");
    assert_eq!(Packet::decode(&poll), Ok(Packet::Poll { first: 0, last: 0x7FFF }));
    let reply = PollReply {
        address: [1, 2, 3, 4].into(),
        port: 6454,
        port_address: 0x0123,
        bind_index: 3,
        short_name: "console",
        long_name: "the console",
        receives: Some(true),
        is_merging: false,
        is_latest: false,
        sends: None,
    };
    let mut bytes = Vec::new();
    reply.encode(&mut bytes);
    match ArtCommand::from_buffer(&bytes).expect("Art-Net") {
        ArtCommand::PollReply(reply) => {
            assert_eq!((reply.address, reply.port), ([1, 2, 3, 4].into(), 6454));
            assert_eq!((reply.port_address, reply.bind_index), ([1, 2], 3));
            assert_eq!(&reply.short_name[..8], b"console\0");
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        super::fuzz::artnet_packet(&bytes);
    }

    #[test]
    fn damaged_frames_are_decoded_without_a_panic(
        data in prop::collection::vec(any::<u8>(), 1..=256),
        address in 0..0x8000_u16,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
    ) {
        let even: Vec<u8> = data.iter().chain(&data).copied().collect();
        let mut bytes = dmx(address, 1, &even);
        let decoded = Packet::decode(&bytes);
        let expected = Dmx { sequence: 1, physical: 0, port_address: address, data: &even };
        prop_assert_eq!(decoded, Ok(Packet::Dmx(expected)));
        for (index, byte) in damage {
            let offset = index.index(bytes.len());
            bytes[offset] = byte;
        }
        super::fuzz::artnet_packet(&bytes);
        super::fuzz::artnet_packet(&bytes[..end.index(bytes.len())]);
    }
}

fn unmatched_count(show: &Performance) -> u64 {
    show.router.handle().live().unmatched_count(show.id("net"))
}

#[test]
fn a_reload_keeps_the_merged_sources() {
    let mut show = Show::new(&[], &[("net.1", "probe.one"), ("net.2", "probe.two")]);
    let (first, second) = (peer(), peer_at("127.0.0.2"));
    first.send_to(&dmx(0, 100, &[51, 102, 10, 5]), show.address).expect("sent");
    second.send_to(&dmx(0, 0, &[0, 0, 0, 20]), show.address).expect("sent");
    second.send_to(&dmx(0, 0, &[1, 153, 0, 20]), show.address).expect("sent");
    assert_eq!(show.performance.receive(3).len(), 3);
    // `two` goes, `three` and a 16-bit channel come, and the numbers change.
    let mappings = [("net.3+4", "probe.wide"), ("net.1", "probe.one")];
    assert_eq!(show.adopt(&[], &mappings), [""; 0]);
    assert_eq!(show.performance.received(), [], "nothing is emitted by the reload itself");
    // An unchanged frame brings the new channel, a late one nothing.
    first.send_to(&dmx(0, 90, &[9; 512]), show.address).expect("sent");
    first.send_to(&dmx(0, 101, &[51, 102, 10, 5]), show.address).expect("sent");
    let wide = f64::from(10 << 8 | 20) / 65_535.0;
    assert_eq!(show.performance.receive(1), [("wide".to_owned(), wide)]);
    assert_eq!(show.performance.counters("net").errors, 1, "the late frame");
    first.send_to(&dmx(0, 102, &[0, 102, 10, 5]), show.address).expect("sent");
    let one = ("one".to_owned(), 1.0 / 255.0);
    assert_eq!(show.performance.receive(1), [one], "the other source is still merged");
}

#[test]
fn a_reload_keeps_the_frame_and_its_sequence() {
    let socket = peer();
    let destination = format!("127.0.0.1 {}", socket.local_addr().expect("one").port());
    let options = [("destination", destination.as_str())];
    let mut show = Show::new(&options, &[("probe.a", "net.1"), ("probe.b", "net.2")]);
    show.performance.send_all(&[("a", 0.2), ("b", 0.4)]);
    let (_, sequence, data) = next(&mut show.performance, &socket);
    assert_eq!((sequence, &data[..3]), (1, &[51, 102, 0][..]));
    assert_eq!(show.adopt(&options, &[("probe.c", "net.3"), ("probe.b", "net.2")]), [""; 0]);
    show.performance.send("c", 1.0);
    let (_, sequence, data) = next(&mut show.performance, &socket);
    assert_eq!((sequence, &data[..3]), (2, &[51, 102, 255][..]), "`1` keeps its last level");
    // Lights keep their levels in a panic, and take no texts.
    show.performance.router.handle().panic();
    show.performance.send_text("b", "hello");
    assert_eq!(show.performance.counters("net").dropped, 1);
    let (_, sequence, data) = next(&mut show.performance, &socket);
    assert_eq!((sequence, &data[..3]), (3, &[51, 102, 255][..]), "the frame is kept alive");
}

#[test]
fn merge_and_realtime_are_applied_by_a_reload() {
    let socket = peer();
    let destination = format!("127.0.0.1 {}", socket.local_addr().expect("one").port());
    let mappings = [("net.1", "probe.one"), ("probe.a", "net.1")];
    let mut show = Show::new(&[("destination", &destination)], &mappings);
    let (first, second) = (peer(), peer_at("127.0.0.2"));
    first.send_to(&dmx(0, 0, &[200, 0]), show.address).expect("sent");
    show.performance.receive(1);
    second.send_to(&dmx(0, 0, &[100, 0]), show.address).expect("sent");
    let live = [("destination", destination.as_str()), ("merge", "ltp"), ("realtime", "on")];
    show.performance
        .until("two frames", |show| show.router.handle().live().input(show.id("net")).0 == 2);
    assert_eq!(show.adopt(&live, &mappings), [""; 0]);
    second.send_to(&dmx(0, 0, &[101, 0]), show.address).expect("sent");
    assert_eq!(show.performance.receive(1), [("one".to_owned(), 101.0 / 255.0)]);
    show.performance.send_all(&[("a", 0.2), ("a", 0.4)]);
    let frames = [0, 1].map(|_| next(&mut show.performance, &socket).2[0]);
    assert_eq!(frames, [51, 102]);
}

#[test]
fn another_universe_restarts_the_instance() {
    let mut show = Show::new(&[("universe", "1")], &[("net.1", "probe.one")]);
    let sender = peer();
    sender.send_to(&dmx(1, 0, &[51, 0]), show.address).expect("sent");
    show.performance.receive(1);
    assert_eq!(show.adopt(&[("universe", "2")], &[("net.1", "probe.one")]), ["net"]);
    show.performance.until_state("net", "up");
    sender.send_to(&dmx(1, 0, &[102, 0]), show.address).expect("sent");
    sender.send_to(&dmx(2, 0, &[51, 0]), show.address).expect("sent");
    assert_eq!(show.performance.receive(1), [("one".to_owned(), 0.2)]);
}

#[test]
fn changed_options_of_the_backend_restart_all_but_detect() {
    let port = free_port();
    let show_with = |port: u16, more: &[(&str, &str)]| {
        let mut setup = TestShow::new();
        let bind = format!("127.0.0.1 {port}");
        let mut options = vec![("bind", bind.as_str())];
        options.extend(more);
        setup.backend(&DESCRIPTOR, &options);
        for name in ["a", "b"] {
            setup.instance(&DESCRIPTOR, name, &[]);
            setup.map(&format!("{name}.1"), &format!("probe.{name}"));
        }
        setup
    };
    let mut show = show_with(port, &[]).start();
    show.until_state("b", "up");
    let both = |value: f64| [("a".to_owned(), value), ("b".to_owned(), value)];
    peer().send_to(&dmx(0, 0, &[255, 0]), ("127.0.0.1", port)).expect("sent");
    assert_eq!(show.receive(2), both(1.0));
    assert_eq!(show.adopt(show_with(port, &[("detect", "on")])).restarted, [""; 0]);
    peer().send_to(&dmx(0, 0, &[51, 0]), ("127.0.0.1", port)).expect("sent");
    assert_eq!(show.receive(2), both(0.2));
    let other = free_port();
    assert_eq!(show.adopt(show_with(other, &[("detect", "on")])).restarted, ["a", "b"]);
    show.until_state("b", "up");
    peer().send_to(&dmx(0, 0, &[51, 0]), ("127.0.0.1", other)).expect("sent");
    assert_eq!(show.receive(2), both(0.2));
}

#[test]
fn changed_slots_that_are_not_mapped_are_listed_in_turn_and_counted() {
    let mut show = Show::new(&[], &[("net.1", "probe.one")]);
    let sender = peer();
    let mut data = [0; 512];
    (data[0], data[6]) = (255, 51);
    sender.send_to(&dmx(0, 1, &data), show.address).expect("sent");
    show.performance.receive(1);
    assert_eq!(unmatched_count(&show.performance), 1, "slots that are 0 have not changed");
    let live = show.performance.router.handle().live();
    let net = show.performance.id("net");
    let entries = live.unmatched(net);
    assert_eq!((entries.len(), entries[0].channel.as_str()), (1, "7"));
    assert_eq!((entries[0].types.as_str(), entries[0].raw.to_string()), ("slot", "51".into()));
    assert_eq!(entries[0].value, Some(0.2));
    assert_eq!(entries[0].sender.to_string(), sender.local_addr().expect("one").to_string());
    // All slots change: few are listed with each frame, and all have had their turn in the end.
    for frame in 2..=15_u8 {
        data = [frame; 512];
        sender.send_to(&dmx(0, frame, &data), show.address).expect("sent");
    }
    show.performance.receive(14);
    assert_eq!(unmatched_count(&show.performance), 1 + 14 * 511);
    let mut numbers: Vec<u16> =
        live.unmatched(net).iter().map(|entry| entry.channel.parse().expect("a slot")).collect();
    numbers.sort_unstable();
    assert_eq!((numbers.len(), numbers.last()), (100, Some(&119)), "8 more with each frame");
    assert_eq!(live.input(net).0, 15);
}
