//! Tests of the backend with plain sockets.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use consort_router::testing::{DEADLINE, Performance, TestShow, free_port};
use proptest::prelude::*;

use super::DESCRIPTOR;
use super::codec::{Data, DecodeError, Packet, encode_discovery, group};

fn peer() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(DEADLINE)).expect("set");
    socket
}

fn template(slots: &[u8]) -> Data<'_> {
    Data {
        cid: [1; 16],
        name: b"test",
        priority: 100,
        sync: 0,
        sequence: 1,
        is_preview: false,
        is_terminated: false,
        universe: 1,
        slots,
    }
}

fn packet(data: &Data<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    data.encode(&mut bytes);
    bytes
}

fn show(options: &[(&str, &str)], mappings: &[(&str, &str)]) -> (Performance, SocketAddr) {
    let port = free_port();
    let mut setup = TestShow::new();
    let bind = format!("127.0.0.1 {port} local");
    setup.backend(&DESCRIPTOR, &[("bind", &bind), ("name", "Consort test")]);
    let mut all = vec![("universe", "1")];
    all.extend(options);
    setup.instance(&DESCRIPTOR, "net", &all);
    for (from, to) in mappings {
        setup.map(from, to);
    }
    let mut show = setup.start();
    show.until_state("net", "up");
    (show, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// The next packet that a socket receives.
fn next(show: &mut Performance, socket: &UdpSocket) -> Vec<u8> {
    socket.set_nonblocking(true).expect("set");
    let mut buffer = [0; 2_048];
    let mut count = 0;
    show.until("a packet", |_| match socket.recv(&mut buffer) {
        Ok(bytes) => {
            count = bytes;
            true
        }
        Err(_) => false,
    });
    buffer[..count].to_vec()
}

fn data(bytes: &[u8]) -> Data<'_> {
    match Packet::decode(bytes).expect("sACN") {
        Packet::Data(data) => data,
        other => panic!("{other:?}"),
    }
}

/// The next values, as bytes.
fn bytes_of(show: &mut Performance, count: usize) -> Vec<f64> {
    show.receive(count).into_iter().map(|(_, value)| (value * 255.0).round()).collect()
}

#[test]
fn values_arrive_by_unicast_and_multicast() {
    for unicast in ["off", "on"] {
        let (mut show, to) = show(&[("unicast", unicast)], &[("net.1", "probe.a")]);
        let sender = peer();
        sender.send_to(&packet(&template(&[51])), to).expect("sent");
        assert_eq!(bytes_of(&mut show, 1), [51.0]);
        let socket = socket2::SockRef::from(&sender);
        socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("set");
        let frame = Data { sequence: 2, ..template(&[102]) };
        sender.send_to(&packet(&frame), (group(1), to.port())).expect("sent");
        let frame = Data { sequence: 3, ..template(&[153]) };
        sender.send_to(&packet(&frame), to).expect("sent");
        if unicast == "on" {
            assert_eq!(bytes_of(&mut show, 1), [153.0], "the group is not joined");
        } else {
            let mut both = bytes_of(&mut show, 2);
            both.sort_by(f64::total_cmp);
            assert_eq!(both, [102.0, 153.0]);
        }
    }
}

#[test]
fn more_groups_than_one_socket_can_join_are_received() {
    let port = free_port();
    let mut setup = TestShow::new();
    setup.backend(&DESCRIPTOR, &[("bind", &format!("127.0.0.1 {port}"))]);
    for universe in 1..=64 {
        let name = format!("u{universe}");
        setup.instance(&DESCRIPTOR, &name, &[("universe", &universe.to_string())]);
        setup.map(&format!("{name}.1"), &format!("probe.{name}"));
    }
    let mut show = setup.start();
    show.until_state("u64", "up");
    let sender = peer();
    socket2::SockRef::from(&sender).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("set");
    for universe in 1..=64_u16 {
        let slots = [universe as u8];
        let frame = Data { universe, ..template(&slots) };
        sender.send_to(&packet(&frame), (group(universe), port)).expect("sent");
    }
    let mut values = show.receive(64);
    values.sort_by(|a, b| a.1.total_cmp(&b.1));
    let expected: Vec<_> = (1..=64).map(|n| (format!("u{n}"), f64::from(n) / 255.0)).collect();
    assert_eq!(values, expected);
}

#[test]
fn priorities_preview_and_termination_are_respected() {
    let (mut show, to) = show(&[], &[("net.1", "probe.a")]);
    let sender = peer();
    let send = |data: Data<'_>| {
        sender.send_to(&packet(&data), to).expect("sent");
    };
    send(template(&[10]));
    assert_eq!(bytes_of(&mut show, 1), [10.0]);
    send(Data { cid: [2; 16], priority: 150, ..template(&[5]) });
    assert_eq!(bytes_of(&mut show, 1), [5.0], "the higher priority takes over");
    // All of these are ignored: a lower priority, preview, an old frame, another universe.
    send(Data { sequence: 2, ..template(&[99]) });
    send(Data { cid: [3; 16], is_preview: true, priority: 200, ..template(&[98]) });
    send(Data { cid: [2; 16], priority: 150, sequence: 0, ..template(&[97]) });
    send(Data { universe: 2, priority: 200, ..template(&[96]) });
    send(Data { cid: [2; 16], is_terminated: true, sequence: 2, ..template(&[95]) });
    assert_eq!(bytes_of(&mut show, 1), [99.0], "the other source takes over immediately");
    // The last values are kept.
    send(Data { is_terminated: true, sequence: 3, ..template(&[0]) });
    send(Data { cid: [4; 16], ..template(&[7]) });
    assert_eq!(bytes_of(&mut show, 1), [7.0]);
    assert_eq!(show.counters("net").errors, 1, "the old frame");
}

#[test]
fn options_filter_the_source_and_accept_preview() {
    let from = "0x04 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4";
    let (mut show, to) = show(&[("from", from), ("preview", "on")], &[("net.1", "probe.a")]);
    let sender = peer();
    sender.send_to(&packet(&template(&[9])), to).expect("sent");
    let accepted = Data { cid: [4; 16], is_preview: true, ..template(&[8]) };
    sender.send_to(&packet(&accepted), to).expect("sent");
    assert_eq!(bytes_of(&mut show, 1), [8.0]);
}

#[test]
fn a_silent_source_is_removed() {
    let (mut show, to) = show(&[], &[("net.1", "probe.a")]);
    let sender = peer();
    sender
        .send_to(&packet(&Data { cid: [2; 16], priority: 150, ..template(&[200]) }), to)
        .expect("sent");
    assert_eq!(bytes_of(&mut show, 1), [200.0]);
    let (start, mut sequence, mut next) = (Instant::now(), 0, Instant::now());
    show.until("the other source", |show| {
        if Instant::now() >= next {
            next += Duration::from_millis(300);
            sequence += 1;
            let frame = Data { sequence, ..template(&[100]) };
            sender.send_to(&packet(&frame), to).expect("sent");
        }
        !show.received().is_empty()
    });
    let after = start.elapsed();
    assert!(after >= Duration::from_millis(2_400), "{after:?}");
    assert_eq!(bytes_of(&mut show, 1), [100.0]);
}

#[test]
fn frames_are_sent_with_their_source_until_the_stream_is_terminated() {
    let socket = peer();
    let destination = format!("127.0.0.1 {}", socket.local_addr().expect("one").port());
    let (mut show, _) = show(
        &[("universe", "300"), ("priority", "120"), ("destination", &destination)],
        &[("probe.a", "net.1"), ("probe.b", "net.2+3")],
    );
    show.send_all(&[("a", 1.0), ("b", 258.0 / 65_535.0)]);
    let bytes = next(&mut show, &socket);
    let frame = data(&bytes);
    assert_eq!((frame.universe, frame.priority, frame.sequence), (300, 120, 1));
    assert_eq!(
        (frame.name, frame.is_preview, frame.is_terminated),
        (&b"Consort test"[..], false, false)
    );
    assert_eq!((bytes.len(), &frame.slots[..4]), (638, &[255, 1, 2, 0][..]));
    // Repeated three times, then kept alive.
    let mut times = vec![Instant::now()];
    for sequence in 2..=5 {
        assert_eq!(data(&next(&mut show, &socket)).sequence, sequence);
        times.push(Instant::now());
    }
    assert!(times[4] - times[3] >= Duration::from_millis(790), "{:?}", times[4] - times[3]);
    show.send("a", 0.2);
    show.send("a", 0.4);
    show.finish();
    let (mut ended, mut last) = (0, 0);
    while ended < 3 {
        let bytes = next(&mut show, &socket);
        let frame = data(&bytes);
        if frame.is_terminated {
            ended += 1;
        } else {
            last = frame.slots[0];
        }
    }
    assert_eq!(last, 102, "the last value is sent before the termination");
    // What other instances send while they stop is still sent, and terminated again.
    show.send("a", 0.0);
    let packets = [0; 4].map(|_| next(&mut show, &socket));
    let frames = packets.each_ref().map(|bytes| (data(bytes).slots[0], data(bytes).is_terminated));
    assert_eq!(frames, [(0, false), (0, true), (0, true), (0, true)]);
}

#[test]
fn a_reload_keeps_the_source_and_a_restart_terminates_the_stream() {
    let socket = peer();
    let destination = format!("127.0.0.1 {}", socket.local_addr().expect("one").port());
    let port = free_port();
    let show_with = |universe: &str| {
        let mut setup = TestShow::new();
        setup.backend(&DESCRIPTOR, &[("bind", &format!("127.0.0.1 {port}"))]);
        let options =
            [("universe", universe), ("priority", "100"), ("destination", destination.as_str())];
        setup.instance(&DESCRIPTOR, "net", &options);
        setup.map("probe.a", "net.1");
        setup.map("net.1", "probe.in");
        setup
    };
    let mut show = show_with("3").start();
    show.until_state("net", "up");
    show.send("a", 0.2);
    let bytes = next(&mut show, &socket);
    let (cid, sequence) = (data(&bytes).cid, data(&bytes).sequence);
    assert_eq!(show.adopt(show_with("3")).restarted, [""; 0]);
    show.send("a", 0.4);
    let bytes = next(&mut show, &socket);
    assert_eq!((data(&bytes).cid, data(&bytes).sequence), (cid, sequence + 1));
    assert_eq!(show.adopt(show_with("4")).restarted, ["net"]);
    let mut terminated = 0;
    while terminated < 3 {
        let bytes = next(&mut show, &socket);
        assert_eq!(data(&bytes).universe, 3);
        terminated += u32::from(data(&bytes).is_terminated);
    }
    show.until_state("net", "up");
    show.send("a", 1.0);
    let bytes = next(&mut show, &socket);
    assert_eq!((data(&bytes).universe, data(&bytes).slots[0]), (4, 255));
    assert_eq!(data(&bytes).cid, cid, "the same source");
    // The group of the new universe is joined, the old one is left.
    let sender = peer();
    socket2::SockRef::from(&sender).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("set");
    show.until("the new group", |show| {
        for (universe, value) in [(3, 9), (4, 51)] {
            let slots = [value];
            let frame = Data { universe, ..template(&slots) };
            sender.send_to(&packet(&frame), (group(universe), port)).expect("sent");
        }
        !show.received().is_empty()
    });
    assert_eq!(show.received()[0], ("in".to_owned(), 0.2));
}

#[test]
fn a_universe_that_comes_after_many_others_joins_its_group_on_another_socket() {
    let port = free_port();
    let show_with = |last: &str| {
        let mut setup = TestShow::new();
        setup.backend(&DESCRIPTOR, &[("bind", &format!("127.0.0.1 {port}"))]);
        for universe in 1..=21 {
            let number = if universe == 21 { last.to_owned() } else { universe.to_string() };
            setup.instance(&DESCRIPTOR, &format!("u{universe}"), &[("universe", &number)]);
        }
        setup.map("u21.1", "probe.last");
        setup
    };
    // The group of universe 1 is needed once, then that of universe 99 as well.
    let mut show = show_with("1").start();
    show.until_state("u21", "up");
    assert_eq!(show.adopt(show_with("99")).restarted, ["u21"]);
    let sender = peer();
    socket2::SockRef::from(&sender).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("set");
    show.until("the new group", |show| {
        let frame = Data { universe: 99, ..template(&[51]) };
        sender.send_to(&packet(&frame), (group(99), port)).expect("sent");
        !show.received().is_empty()
    });
}

#[test]
fn universes_are_announced_in_their_group() {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None);
    let listener = listener.expect("a socket");
    listener.set_reuse_address(true).expect("set");
    let port = free_port();
    listener.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into()).expect("bound");
    listener
        .join_multicast_v4(&group(super::DISCOVERY_UNIVERSE), &Ipv4Addr::LOCALHOST)
        .expect("joined");
    let socket: UdpSocket = listener.into();
    let mut setup = TestShow::new();
    let bind = format!("127.0.0.1 {port} local");
    setup.backend(&DESCRIPTOR, &[("bind", &bind)]);
    for universe in ["7", "3", "9"] {
        let mut options = vec![("universe", universe)];
        if universe != "9" {
            options.push(("priority", "100"));
        }
        setup.instance(&DESCRIPTOR, &format!("u{universe}"), &options);
    }
    let mut show = setup.start();
    show.until_state("u9", "up");
    let bytes = next(&mut show, &socket);
    match Packet::decode(&bytes).expect("sACN") {
        Packet::Discovery(discovery) => {
            assert_eq!(discovery.universes().collect::<Vec<_>>(), [3, 7]);
            assert_eq!(
                (discovery.name, discovery.page, discovery.last_page),
                (&b"Consort"[..], 0, 0)
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn discovery_has_pages() {
    let universes: Vec<u16> = (1..=1_200).collect();
    let mut pages = Vec::new();
    encode_discovery([5; 16], b"x", &universes, |page| pages.push(page.to_vec()));
    let mut list = Vec::new();
    for (number, page) in pages.iter().enumerate() {
        match Packet::decode(page).expect("sACN") {
            Packet::Discovery(discovery) => {
                assert_eq!((usize::from(discovery.page), discovery.last_page), (number, 2));
                list.extend(discovery.universes());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(list, universes);
}

#[test]
fn invalid_options_are_reported() {
    let check = |options: &[(&str, &str)], words: &str| {
        let problems = TestShow::new().try_instance(&DESCRIPTOR, "net", options).expect_err(words);
        assert!(problems.iter().any(|problem| problem.message.contains(words)), "{problems:?}");
    };
    check(&[], "missing option `universe`");
    check(&[("universe", "1"), ("interface", "2")], "no interface 2");
    for text in ["", "1 2 3", "0x100 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0", "not-a-uuid"] {
        assert!(super::config::parse_cid(text).is_err(), "{text}");
    }
    let uuid = super::config::parse_cid("00010203-0405-0607-0809-0a0b0c0d0e0f");
    assert_eq!(uuid, Ok([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]));
    assert!(super::config::check_bind("0.0.0.0 5568 other").is_err());
    assert!(super::config::check_name(&"x".repeat(64)).is_err());
}

#[test]
fn each_kind_of_invalid_packet_has_its_error() {
    let valid = packet(&template(&[1, 2]));
    let with = |offset: usize, bytes: &[u8]| {
        let mut packet = valid.clone();
        packet[offset..offset + bytes.len()].copy_from_slice(bytes);
        packet
    };
    let length = |offset, length| DecodeError::Length { offset, length };
    for (bytes, error) in [
        (with(4, b"X"), DecodeError::NotSacn),
        (valid[..43].to_vec(), DecodeError::Truncated { needed: 44, found: 43 }),
        (valid[..127].to_vec(), DecodeError::Truncated { needed: 128, found: 127 }),
        (with(16, &[0x00, 0x70]), length(16, 0x70)),
        (with(38, &[0x70, 0x01]), length(38, 1)),
        (with(115, &[0x70, 0x05]), length(115, 5)),
        (with(118, &[0xA2]), DecodeError::Dmp),
        (with(123, &[0, 0]), DecodeError::Slots(0)),
        (with(123, &[2, 2]), DecodeError::Slots(514)),
        (with(123, &[0, 4]), length(115, 13)),
        (with(113, &[0, 0]), DecodeError::Universe(0)),
        (with(113, &[0xFA, 0]), DecodeError::Universe(64_000)),
        (with(108, &[201]), DecodeError::Priority(201)),
    ] {
        assert_eq!(Packet::decode(&bytes), Err(error), "{error}");
    }
    assert_eq!(Packet::decode(&with(125, &[0xDD])), Ok(Packet::Other), "a start code");
    assert_eq!(Packet::decode(&with(21, &[9])), Ok(Packet::Other), "a root vector");
}

#[test]
fn invalid_packets_are_counted_and_ignored() {
    let (mut show, to) = show(&[], &[("net.1", "probe.a")]);
    let sender = peer();
    let slots = [255; 512];
    let valid = packet(&template(&slots));
    for end in 0..valid.len() {
        sender.send_to(&valid[..end], to).expect("sent");
        if end % 16 == 0 {
            show.router.step(Some(Duration::ZERO)).expect("a turn");
        }
    }
    sender.send_to(&[0xFF; 60_000], to).expect("sent");
    sender.send_to(&valid, to).expect("sent");
    assert_eq!(bytes_of(&mut show, 1), [255.0]);
    assert_eq!(show.counters("net").errors, valid.len() as u64 + 1);
}

#[test]
fn packets_interoperate_with_the_sacn_crate() {
    use sacn::packet::{
        AcnRootLayerProtocol, DataPacketDmpLayer, DataPacketFramingLayer, E131RootLayer,
        E131RootLayerData,
    };
    let own = Data {
        cid: [7; 16],
        name: b"Consort",
        priority: 120,
        sync: 5,
        sequence: 77,
        is_preview: true,
        is_terminated: false,
        universe: 40_000,
        slots: &[1, 2, 3],
    };
    let bytes = packet(&own);
    let parsed = AcnRootLayerProtocol::parse(&bytes).expect("an sACN packet");
    match &parsed.pdu.data {
        E131RootLayerData::DataPacket(frame) => {
            assert_eq!(
                (frame.source_name.as_ref(), frame.priority, frame.universe),
                ("Consort", 120, 40_000)
            );
            assert_eq!(
                (frame.sequence_number, frame.preview_data, frame.synchronization_address),
                (77, true, 5)
            );
            assert_eq!(frame.data.property_values.as_ref(), [0, 1, 2, 3]);
        }
        other => panic!("{other:?}"),
    }
    let foreign = AcnRootLayerProtocol {
        pdu: E131RootLayer {
            cid: parsed.pdu.cid,
            data: E131RootLayerData::DataPacket(DataPacketFramingLayer {
                source_name: "Theirs".into(),
                priority: 1,
                synchronization_address: 0,
                sequence_number: 255,
                preview_data: false,
                stream_terminated: true,
                force_synchronization: false,
                universe: 63_999,
                data: DataPacketDmpLayer { property_values: vec![0, 9, 8].into() },
            }),
        },
    };
    let bytes = foreign.pack_alloc().expect("packed");
    let frame = data(&bytes);
    assert_eq!(
        (frame.cid, frame.name, frame.priority, frame.universe),
        ([7; 16], &b"Theirs"[..], 1, 63_999)
    );
    assert_eq!((frame.sequence, frame.is_terminated, frame.slots), (255, true, &[9, 8][..]));
    encode_discovery([7; 16], b"Consort", &[1, 2, 600], |page| match &AcnRootLayerProtocol::parse(
        page,
    )
    .expect("a packet")
    .pdu
    .data
    {
        E131RootLayerData::UniverseDiscoveryPacket(discovery) => {
            assert_eq!(discovery.data.universes.as_ref(), [1, 2, 600]);
        }
        other => panic!("{other:?}"),
    });
}

proptest! {
    #[test]
    fn damaged_packets_are_decoded_without_a_panic(
        slots in prop::collection::vec(any::<u8>(), 0..=512),
        universe in 1..=63_999_u16,
        priority in 0..=200_u8,
        sequence: u8,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end in any::<prop::sample::Index>(),
        discovery: bool,
    ) {
        let mut bytes = Vec::new();
        if discovery {
            let list: Vec<u16> = slots.iter().map(|&slot| u16::from(slot)).collect();
            encode_discovery([3; 16], b"x", &list, |page| bytes = page.to_vec());
        } else {
            let data = Data { universe, priority, sequence, ..template(&slots) };
            bytes = packet(&data);
            prop_assert_eq!(Packet::decode(&bytes), Ok(Packet::Data(data)));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        super::fuzz::sacn_packet(&bytes);
        super::fuzz::sacn_packet(&bytes[..end.index(bytes.len())]);
        for (index, byte) in damage {
            let offset = index.index(bytes.len());
            bytes[offset] = byte;
        }
        super::fuzz::sacn_packet(&bytes);
    }
}
