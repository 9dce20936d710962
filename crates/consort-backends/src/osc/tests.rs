//! Tests of the backend with plain sockets.
#![allow(clippy::print_stderr)] // skipped tests print the reason

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use consort_osc::{OscMessage, OscPacket, OscValue, Packet};
use consort_router::testing::{DEADLINE, Performance, TestShow, free_port};
use consort_router::{State, Usage};

use super::DESCRIPTOR;

fn peer() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(DEADLINE)).expect("set");
    let port = socket.local_addr().expect("an address").port();
    (socket, port)
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

/// A show with one instance `osc` that receives; returns it with a sender.
fn receiving(options: &[(&str, &str)], channels: &[&str]) -> (Performance, UdpSocket) {
    let port = free_port();
    let mut setup = TestShow::new();
    let bind = format!("127.0.0.1 {port}");
    let mut all = vec![("bind", bind.as_str())];
    all.extend(options);
    setup.instance(&DESCRIPTOR, "osc", &all);
    for channel in channels {
        setup.map(&format!("osc.{channel}"), &format!("probe.{channel}"));
    }
    let mut show = setup.start();
    show.until_state("osc", "up");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    sender.connect(("127.0.0.1", port)).expect("connected");
    (show, sender)
}

/// A show with one instance `osc` that sends to the socket returned.
fn sending(options: &[(&str, &str)], channels: &[&str]) -> (Performance, UdpSocket) {
    let (socket, port) = peer();
    let mut setup = TestShow::new();
    let destination = format!("127.0.0.1 {port}");
    let mut all = vec![("destination", destination.as_str())];
    all.extend(options);
    setup.instance(&DESCRIPTOR, "osc", &all);
    for channel in channels {
        setup.map(&format!("probe.{channel}"), &format!("osc.{channel}"));
    }
    let mut show = setup.start();
    show.until_state("osc", "up");
    (show, socket)
}

/// A show with one instance `osc`, not started. Mappings are written as `SOURCE > TARGET`.
fn setup(backend: &[(&str, &str)], options: &[(&str, &str)], mappings: &[&str]) -> TestShow {
    let mut setup = TestShow::new();
    setup.backend(&DESCRIPTOR, backend);
    setup.instance(&DESCRIPTOR, "osc", options);
    for mapping in mappings {
        let (source, target) = mapping.split_once(" > ").expect("a mapping");
        setup.map(source, target);
    }
    setup
}

/// What arrived at `osc` unmatched, oldest first: channel, types, raw value.
fn unmatched(show: &Performance) -> Vec<(String, String, String)> {
    let live = show.router.handle().live();
    let mut entries = live.unmatched(show.id("osc"));
    entries.reverse();
    entries.into_iter().map(|entry| (entry.channel, entry.types, entry.raw.to_string())).collect()
}

fn unmatched_count(show: &Performance) -> u64 {
    show.router.handle().live().unmatched_count(show.id("osc"))
}

fn values(show: &mut Performance, count: usize) -> Vec<(String, f64)> {
    show.receive(count)
}

#[test]
fn every_numeric_type_has_its_default_range() {
    let channels = ["/a:0", "/a:1", "/a:2", "/a:3", "/a:4", "/a:5", "/a:7"];
    let (mut show, sender) = receiving(&[], &channels);
    let arguments = vec![
        OscValue::Int(51),
        OscValue::Float(0.25),
        OscValue::Long(512),
        OscValue::Double(0.75),
        OscValue::Bool(true),
        OscValue::Bool(false),
        OscValue::String("has no value but is counted".into()),
        OscValue::Int(300),
    ];
    sender.send(&message("/a", arguments)).expect("sent");
    let values: Vec<f64> = values(&mut show, 7).into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [0.2, 0.25, 0.5, 0.75, 1.0, 0.0, 1.0]);
}

#[test]
fn pattern_ranges_scale_and_clip_also_if_reversed() {
    let options = [("/x{1,2}", "if -10 10 0 2"), ("/down", "f 1 0")];
    let (mut show, sender) = receiving(&options, &["/x1", "/x2:1", "/down"]);
    let pair = |a, b| vec![OscValue::Int(a), OscValue::Float(b)];
    sender.send(&message("/x1", pair(-20, 0.0))).expect("sent");
    sender.send(&message("/x1", pair(5, 0.0))).expect("sent");
    sender.send(&message("/x2", pair(0, 0.5))).expect("sent");
    sender.send(&message("/down", vec![OscValue::Float(0.25)])).expect("sent");
    let expected = [("/x1", 0.0), ("/x1", 0.75), ("/x2:1", 0.25), ("/down", 0.75)];
    assert_eq!(values(&mut show, 4), expected.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn a_message_without_arguments_is_a_one() {
    let (mut show, sender) = receiving(&[], &["/go"]);
    sender.send(&message("/go", vec![])).expect("sent");
    assert_eq!(values(&mut show, 1), [("/go".to_owned(), 1.0)]);
}

#[test]
fn empty_and_invalid_datagrams_are_ignored() {
    let (mut show, sender) = receiving(&[], &["/a"]);
    sender.send(&[]).expect("sent");
    sender.send(b"invalid").expect("sent");
    let nan = message("/a", vec![OscValue::Float(f32::NAN)]);
    sender.send(&nan).expect("sent");
    sender.send(&message("/a", vec![OscValue::Float(1.0)])).expect("sent");
    assert_eq!(values(&mut show, 1), [("/a".to_owned(), 1.0)]);
    assert_eq!(show.counters("osc").errors, 1);
}

#[test]
fn the_root_is_a_literal_prefix_of_input_and_output() {
    let (mut show, sender) = receiving(&[("root", "/mixer")], &["/a"]);
    sender.send(&message("/a", vec![OscValue::Float(0.1)])).expect("sent");
    sender.send(&message("/mixer/a", vec![OscValue::Float(0.5)])).expect("sent");
    assert_eq!(values(&mut show, 1), [("/a".to_owned(), 0.5)]);

    let (mut show, socket) = sending(&[("root", "/mixer"), ("/a", "i 0 10")], &["/a"]);
    show.send("/a", 0.5);
    assert_eq!(next(&socket), "/mixer/a ,i 5");
}

#[test]
fn a_bundle_and_an_incoming_pattern_reach_their_channels_in_order() {
    let (mut show, sender) = receiving(&[], &["/a/1", "/a/2", "/b"]);
    let mut bytes = Vec::new();
    let mut bundle = consort_osc::BundleBuilder::new(&mut bytes, consort_osc::TimeTag::IMMEDIATE);
    bundle.message("/b").float(0.25).finish().expect("encodes");
    bundle.message("/a/*").float(0.5).finish().expect("encodes");
    bundle.message("/b").float(0.75).finish().expect("encodes");
    bundle.finish().expect("encodes");
    sender.send(&bytes).expect("sent");
    let expected = [("/b", 0.25), ("/a/1", 0.5), ("/a/2", 0.5), ("/b", 0.75)];
    assert_eq!(values(&mut show, 4), expected.map(|(name, value)| (name.to_owned(), value)));
}

/// Compared with every address, the patterns of one datagram would take seconds.
#[test]
fn patterns_beyond_the_effort_of_a_packet_are_dropped_and_counted() {
    let names: Vec<String> = (0..1_000).map(|number| format!("/fader/channel/{number}")).collect();
    let channels: Vec<&str> = names.iter().map(String::as_str).collect();
    let (mut show, sender) = receiving(&[], &channels);
    let mut bytes = Vec::new();
    let mut bundle = consort_osc::BundleBuilder::new(&mut bytes, consort_osc::TimeTag::IMMEDIATE);
    bundle.message("/*/channel/7").float(0.25).finish().expect("encodes");
    for _ in 0..4_000 {
        bundle.message("/*x").finish().expect("encodes");
    }
    bundle.message("/fader/channel/8").float(0.5).finish().expect("encodes");
    bundle.finish().expect("encodes");
    sender.send(&bytes).expect("sent");
    let expected = [("/fader/channel/7", 0.25), ("/fader/channel/8", 0.5)];
    assert_eq!(values(&mut show, 2), expected.map(|(name, value)| (name.to_owned(), value)));
    let dropped = show.counters("osc").dropped;
    assert!((3_800..4_000).contains(&dropped), "{dropped} of 4,000 patterns were dropped");
    // The effort is limited for each packet separately.
    sender.send(&message("/*/channel/9", vec![OscValue::Float(0.75)])).expect("sent");
    assert_eq!(values(&mut show, 1), [("/fader/channel/9".to_owned(), 0.75)]);
}

#[test]
fn seven_bit_values_survive_a_float_in_between() {
    let (mut show, socket) = sending(&[("/n", "i 0 127")], &["/n"]);
    for number in 0..128 {
        show.send("/n", f64::from((f64::from(number) / 127.0) as f32));
        assert_eq!(next(&socket), format!("/n ,i {number}"));
    }
}

#[test]
fn only_changes_are_sent_but_the_first_value_always_is() {
    let (mut show, socket) = sending(&[("/n", "f 0 1")], &["/n"]);
    show.send("/n", 0.0);
    show.send("/n", 0.0);
    show.send("/n", 0.5);
    show.send("/n", 0.5);
    show.send("/n", 0.0);
    assert_eq!(next(&socket), "/n ,f 0.0");
    assert_eq!(next(&socket), "/n ,f 0.5");
    assert_eq!(next(&socket), "/n ,f 0.0");
}

#[test]
fn arguments_that_change_together_are_sent_in_one_message_and_none_is_lost() {
    let (mut show, socket) = sending(&[("/xy", "ff -1 1 0 2")], &["/xy:0", "/xy:1", "/z"]);
    show.send_all(&[("/xy:0", 1.0), ("/xy:1", 0.5)]);
    assert_eq!(next(&socket), "/xy ,ff 1.0 1.0");
    show.send_all(&[("/xy:0", 0.0), ("/z", 0.5), ("/xy:0", 0.5), ("/xy:1", 1.0)]);
    assert_eq!(next(&socket), "/xy ,ff -1.0 1.0");
    assert_eq!(next(&socket), "/z ,f 0.5");
    assert_eq!(next(&socket), "/xy ,ff 0.0 2.0");
}

#[test]
fn an_argument_without_a_value_is_sent_as_zero_or_the_closest_end_of_its_range() {
    let (mut show, socket) = sending(&[("/xy", "fif 2 5 -3 3 -5 -2")], &["/xy:1"]);
    show.send("/xy:1", 1.0);
    assert_eq!(next(&socket), "/xy ,fif 2.0 3 -2.0");
}

#[test]
fn wide_ranges_keep_their_ends() {
    let range = format!("hi {} {} {} {}", i64::MIN, i64::MAX, i32::MIN, i32::MAX);
    let (mut show, socket) = sending(&[("/w", &range)], &["/w:0", "/w:1"]);
    show.send_all(&[("/w:0", 1.0), ("/w:1", 1.0)]);
    assert_eq!(next(&socket), format!("/w ,hi {} {}", i64::MAX, i32::MAX));
    show.send_all(&[("/w:0", 0.0), ("/w:1", 0.0)]);
    assert_eq!(next(&socket), format!("/w ,hi {} {}", i64::MIN, i32::MIN));
}

#[test]
fn learn_replies_to_the_last_sender_and_to_a_port_if_one_is_given() {
    let (peer, port) = peer();
    for destination in ["learn".to_owned(), format!("learn@{port}")] {
        let bound_port = free_port();
        let mut setup = TestShow::new();
        let bind = format!("127.0.0.1 {bound_port}");
        setup.instance(&DESCRIPTOR, "osc", &[("bind", &bind), ("destination", &destination)]);
        setup.map("probe.a", "osc./a");
        setup.map("osc./hello", "probe.hello");
        let mut show = setup.start();
        show.until_state("osc", "up");
        show.send("a", 0.25);
        assert_eq!(show.counters("osc").dropped, 1, "there is no peer yet");
        let sender = match destination.as_str() {
            "learn" => peer.try_clone().expect("a socket"),
            _ => UdpSocket::bind("127.0.0.1:0").expect("a socket"),
        };
        sender.send_to(&message("/hello", vec![]), ("127.0.0.1", bound_port)).expect("sent");
        show.receive(1);
        show.send("a", 0.25);
        assert_eq!(next(&peer), "/a ,f 0.25");
    }
}

/// Whether `localhost` resolves to ::1 first, where the test sockets do not listen.
fn localhost_is_ipv6_first() -> bool {
    std::net::ToSocketAddrs::to_socket_addrs(&("localhost", 9))
        .is_ok_and(|mut addresses| addresses.next().is_some_and(|first| first.is_ipv6()))
}

#[test]
fn a_host_name_is_looked_up_in_the_background() {
    let (socket, port) = peer();
    let mut setup = TestShow::new();
    setup.instance(&DESCRIPTOR, "osc", &[("destination", &format!("localhost {port}"))]);
    setup.map("probe.a", "osc./a");
    let mut show = setup.start();
    show.until_state("osc", "up");
    show.send("a", 1.0);
    if !localhost_is_ipv6_first() {
        assert_eq!(next(&socket), "/a ,f 1.0");
    }
}

#[test]
fn an_instance_waits_for_a_port_in_use() {
    let (socket, port) = peer();
    let mut setup = TestShow::new();
    setup.instance(&DESCRIPTOR, "osc", &[("bind", &format!("127.0.0.1 {port}"))]);
    setup.map("osc./a", "probe.a");
    let mut show = setup.start();
    match show.state("osc") {
        State::Waiting(reason) => assert!(reason.contains(&port.to_string()), "{reason}"),
        other => panic!("{other:?}"),
    }
    drop(socket);
    show.until_state("osc", "up");
}

#[test]
fn invalid_channels_are_reported() {
    let mut setup = TestShow::new();
    setup.instance(&DESCRIPTOR, "osc", &[("bind", "127.0.0.1 9"), ("/xy", "ff 0 1 0 1")]);
    for (channel, words) in [
        ("osc.a", "not a valid OSC address"),
        ("osc./a*", "not a valid OSC address"),
        ("osc./a//b", "not a valid OSC address"),
        ("osc./", "not a valid OSC address"),
        ("osc./a:64", "from 0 to 63"),
        ("osc./a:x", "from 0 to 63"),
        ("osc./xy:2", "describes 2"),
    ] {
        let error = setup.channel(channel, Usage::Source).expect_err(channel);
        assert!(error.message.contains(words), "{channel}: {error:?}");
    }
}

#[test]
fn invalid_options_are_reported() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("bind", "1"), ("/a*", "every 5 s")], "needs one address"),
        (&[("bind", "1"), ("/a", "x 0 1")], "invalid type `x`"),
        (&[("bind", "1"), ("/a", "f 0")], "upper end"),
        (&[("bind", "1"), ("/a", "d -1e308 1e308")], "too wide"),
        (&[("bind", "1"), ("/a", "i 0 1.5")], "not a valid number of type `i`"),
        (&[("bind", "1"), ("/a", "i 0 3000000000")], "32 bits"),
        (&[("bind", "1"), ("/a[", "f 0 1")], "invalid OSC pattern"),
        (&[("destination", "learn")], "needs `bind`"),
        (
            &[("bind", "1"), ("destination", "learn@1"), ("transport", "tcp")],
            "use the same connection",
        ),
        (&[("bind", "0.0.0.0 1"), ("destination", "::1 2")], "IPv6"),
    ];
    for (options, words) in cases {
        let problems = TestShow::new().try_instance(&DESCRIPTOR, "osc", options).expect_err(words);
        assert!(
            problems.iter().any(|problem| problem.message.contains(words)),
            "{options:?}: {problems:?}"
        );
    }
}

/// As in MIDIMonster, numbers for `i` and `h` may have a fraction of zero, and words after the last
/// range are ignored.
#[test]
fn options_that_midimonster_accepts_are_accepted() {
    let text = "[osc osc]\nbind = 127.0.0.1 9\ndest = 127.0.0.1 8\n/a = ih 0.0 127.0 0x10 1e3\n/b = f 0 1 0 1\n\
                [map]\nosc./a:1 > osc./b\n";
    let loaded = consort_router::config::load_text("show.cfg", text, &[], &[&DESCRIPTOR]);
    let messages: Vec<_> =
        loaded.diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
    assert_eq!(messages, ["unexpected `0` after the last range is ignored"]);
    assert!(loaded.show.is_some());
    let (mut show, socket) = sending(&[("/a", "i 0.0 127.0"), ("/b", "f 0 2 0 1")], &["/a", "/b"]);
    show.send_all(&[("/a", 1.0), ("/b", 1.0)]);
    assert_eq!(next(&socket), "/a ,i 127");
    assert_eq!(next(&socket), "/b ,f 2.0");
}

/// MIDIMonster requires `bind` of instances that only send, too, and lets them share a port.
#[test]
fn instances_that_only_send_yield_a_port_to_the_one_that_receives() {
    let (one, first) = peer();
    let (two, second) = peer();
    let port = free_port();
    let text = |mapping: &str| {
        format!(
            "[osc a]\nbind = 127.0.0.1 {port}\ndestination = 127.0.0.1 {first}\n\
             [osc b]\nbind = 127.0.0.1 {port}\ndestination = 127.0.0.1 {second}\n\
             [osc c]\nbind = 0.0.0.0 {port}\ndestination = 127.0.0.1 {first}\n\
             [map]\nb./in > a./out\nb./in > b./out\nb./in > c./other\n{mapping}"
        )
    };
    let load = |text: &str| {
        let loaded = consort_router::config::load_text("show.cfg", text, &[], &[&DESCRIPTOR]);
        let messages: Vec<_> =
            loaded.diagnostics.iter().map(|diagnostic| diagnostic.message.clone()).collect();
        (messages, loaded.show)
    };
    let (messages, show) = load(&text(""));
    let expected = format!("port {port} is used by instance `b`");
    assert_eq!(messages, [expected.as_str(), &expected]);
    let mut router = consort_router::Router::new(show.expect("only warnings")).expect("a router");
    router.start();
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    sender.send_to(&message("/in", vec![OscValue::Float(0.5)]), ("127.0.0.1", port)).expect("sent");
    for socket in [&one, &two] {
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("set");
    }
    let (mut received, deadline) = (Vec::new(), std::time::Instant::now() + DEADLINE);
    while received.len() < 3 {
        assert!(std::time::Instant::now() < deadline, "{received:?}");
        router.step(Some(Duration::from_millis(5))).expect("a turn");
        for (name, socket) in [("one", &one), ("two", &two)] {
            let mut buffer = [0; 64];
            if let Ok(count) = socket.recv(&mut buffer) {
                let packet = Packet::decode(&buffer[..count]).expect("OSC").to_owned();
                received.push(format!("{name} {packet}"));
            }
        }
    }
    received.sort();
    assert_eq!(received, ["one /other ,f 0.5", "one /out ,f 0.5", "two /out ,f 0.5"]);

    let (messages, show) = load(&text("a./in > c./other\n"));
    assert!(
        messages.iter().any(|message| message.contains("already bound by instance `a`")),
        "{messages:?}"
    );
    assert!(show.is_none());
}

#[test]
fn mapping_to_an_instance_without_a_destination_is_a_warning() {
    for (options, target, warned) in [
        (&[("bind", "127.0.0.1 9")][..], true, true),
        (&[("bind", "127.0.0.1 9")], false, false),
        (&[("bind", "127.0.0.1 9"), ("destination", "learn")], true, false),
        (&[("bind", "127.0.0.1 9"), ("transport", "tcp")], true, false),
    ] {
        let mut setup = TestShow::new();
        setup.instance(&DESCRIPTOR, "osc", options);
        match target {
            true => setup.map("probe.a", "osc./a"),
            false => setup.map("osc./a", "probe.a"),
        }
        let problems = setup.check("osc");
        let has_warning = problems.iter().any(|problem| problem.message.contains("sends nothing"));
        assert_eq!(has_warning, warned, "{options:?}, a target: {target}");
    }
}

fn tcp_show(framing: &str, learn: bool) -> (Performance, u16) {
    let port = TcpListener::bind("127.0.0.1:0").expect("one").local_addr().expect("one").port();
    let mut setup = TestShow::new();
    let bind = format!("127.0.0.1 {port}");
    let mut options = vec![("bind", bind.as_str()), ("transport", "tcp"), ("framing", framing)];
    if learn {
        options.push(("destination", "learn"));
    }
    setup.instance(&DESCRIPTOR, "osc", &options);
    setup.map("osc./in", "probe.in");
    setup.map("probe.out", "osc./out");
    let mut show = setup.start();
    show.until_state("osc", "up");
    (show, port)
}

fn framed(framing: &str, packet: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match framing {
        "slip" => consort_osc::encode_slip(packet, &mut bytes),
        _ => consort_osc::encode_length_prefixed(packet, &mut bytes),
    }
    .expect("encodes");
    bytes
}

#[test]
fn streams_carry_packets_in_both_directions_and_framings() {
    for framing in ["length", "slip"] {
        for learn in [false, true] {
            let (mut show, port) = tcp_show(framing, learn);
            let mut peer = TcpStream::connect(("127.0.0.1", port)).expect("connected");
            peer.set_read_timeout(Some(DEADLINE)).expect("set");
            let bytes = framed(framing, &message("/in", vec![OscValue::Float(0.5)]));
            for byte in bytes.chunks(3) {
                peer.write_all(byte).expect("written");
                show.router.step(Some(Duration::ZERO)).expect("a turn");
            }
            assert_eq!(show.receive(1), [("in".to_owned(), 0.5)]);
            show.send("out", 0.25);
            let expected = framed(framing, &message("/out", vec![OscValue::Float(0.25)]));
            let mut got = vec![0; expected.len()];
            peer.read_exact(&mut got).expect("a packet");
            assert_eq!(got, expected);
        }
    }
}

#[test]
fn a_stream_longer_than_one_turn_is_read_in_the_next_turns() {
    for framing in ["length", "slip"] {
        let (mut show, port) = tcp_show(framing, false);
        let mut peer = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        let mut bytes = Vec::new();
        for number in 0..3_000 {
            let packet = message("/in", vec![OscValue::Double(f64::from(number) / 3_000.0)]);
            bytes.extend(framed(framing, &packet));
        }
        peer.write_all(&bytes).expect("written");
        drop(peer);
        let expected: Vec<_> =
            (0..3_000).map(|number| ("in".to_owned(), f64::from(number) / 3_000.0)).collect();
        assert_eq!(show.receive(3_000), expected);
    }
}

#[test]
fn an_invalid_stream_is_closed_and_the_next_peer_is_served() {
    let (mut show, port) = tcp_show("length", false);
    let mut invalid = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    invalid.write_all(&[0x7F, 0xFF, 0xFF, 0xFF]).expect("written");
    invalid.set_nonblocking(true).expect("set");
    let mut buffer = [0; 8];
    show.until("the connection to be closed", |_| matches!(invalid.read(&mut buffer), Ok(0)));
    let mut valid = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    valid.write_all(&framed("length", &message("/in", vec![]))).expect("written");
    assert_eq!(show.receive(1), [("in".to_owned(), 1.0)]);
}

/// More peers than can be accepted in one turn, and more than the limit.
#[test]
fn peers_beyond_the_limit_replace_silent_ones_and_the_first_is_served() {
    let (mut show, port) = tcp_show("length", false);
    let mut first = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    first.write_all(&framed("length", &message("/in", vec![]))).expect("written");
    assert_eq!(show.receive(1), [("in".to_owned(), 1.0)]);
    let connect = |_| TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let peers: Vec<TcpStream> = (0..100).map(connect).collect();
    show.until("the rest to be replaced", |show| show.counters("osc").errors == 37);
    first.write_all(&framed("length", &message("/in", vec![]))).expect("written");
    assert_eq!(show.receive(1), [("in".to_owned(), 1.0)]);
    drop(peers);
}

/// Otherwise peers whose network has failed would occupy all places, one after another.
#[test]
fn connections_have_keepalive_and_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("one");
    let stream = mio::net::TcpStream::connect(address).expect("a stream");
    crate::net::tcp::configure_stream(&stream).expect("set");
    let socket = socket2::SockRef::from(&stream);
    assert!(socket.keepalive().expect("an option"));
    assert_eq!(socket.tcp_user_timeout().expect("an option"), Some(Duration::from_secs(60)));
}

#[test]
fn a_lost_tcp_destination_is_reconnected() {
    check_reconnect("127.0.0.1");
    if localhost_is_ipv6_first() {
        eprintln!("SKIPPED: `localhost` is ::1 first");
    } else {
        check_reconnect("localhost");
    }
}

fn check_reconnect(host: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("one").port();
    let mut setup = TestShow::new();
    let destination = format!("{host} {port}");
    setup.instance(&DESCRIPTOR, "osc", &[("destination", &destination), ("transport", "tcp")]);
    setup.map("probe.out", "osc./out");
    let mut show = setup.start();
    for round in 1..=2 {
        show.until_state("osc", "up");
        let (mut peer, _) = listener.accept().expect("a connection");
        peer.set_read_timeout(Some(DEADLINE)).expect("set");
        show.send("out", f64::from(round) / 4.0);
        let expected =
            framed("length", &message("/out", vec![OscValue::Float(round as f32 / 4.0)]));
        let mut got = vec![0; expected.len()];
        peer.read_exact(&mut got).expect("a packet");
        assert_eq!(got, expected);
        drop(peer);
        show.until_state("osc", "waiting");
    }
}

#[test]
fn a_flood_of_random_packets_is_ignored() {
    let (mut show, sender) = receiving(&[], &["/a"]);
    // A small generator with a fixed seed; tests/soak sends 64 MB of these to the command.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut sent = 0;
    while sent < 3_200_000 {
        let length = (random() % 1_400) as usize;
        let mut packet: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        if random() % 4 == 0 && length > 12 {
            packet[..8].copy_from_slice(b"#bundle\0");
        } else if random() % 2 == 0 && length > 12 {
            packet[..8].copy_from_slice(b"/a\0\0,fi[");
        }
        sender.send(&packet).expect("sent");
        sent += length;
        show.router.step(Some(Duration::ZERO)).expect("a turn");
    }
    sender.send(&message("/a", vec![OscValue::Float(0.5)])).expect("sent");
    show.until("the valid packet", |show| show.received().last().is_some_and(|last| last.1 == 0.5));
}

#[test]
fn strings_are_texts_unless_an_option_describes_the_argument() {
    let (mut show, sender) = receiving(&[("/n", "ff 0 1 0 1")], &["/name", "/name:1", "/n"]);
    let text = |text: &str| OscValue::String(text.into());
    let symbol = OscValue::Symbol("second".into());
    sender.send(&message("/name", vec![text("first"), symbol])).expect("sent");
    sender.send(&message("/n", vec![text("ignored")])).expect("sent");
    sender.send(&message("/name", vec![text(&"x".repeat(2_000))])).expect("sent");
    sender.send(&message("/name", vec![OscValue::Float(0.5)])).expect("sent");
    assert_eq!(values(&mut show, 1), [("/name".to_owned(), 0.5)]);
    let expected = [("/name", "first"), ("/name:1", "second")];
    let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(show.received_texts(), expected);
    assert_eq!(show.counters("osc").dropped, 1, "the text that is too long");
}

#[test]
fn texts_are_sent_in_order_as_one_string() {
    let (mut show, socket) = sending(&[("root", "/r"), ("/n", "ff 0 1 0 1")], &["/a", "/n:1"]);
    show.send("/a", 0.5);
    show.send_text("/a", "hello");
    show.send_text("/a", "hello");
    show.send_text("/n:1", "ü");
    show.send_text("/a", "a zero \0 byte");
    show.send("/a", 0.25);
    let packets: Vec<String> = (0..5).map(|_| next(&socket)).collect();
    let texts = ["/r/a ,s \"hello\"", "/r/a ,s \"hello\"", "/r/n ,s \"ü\""];
    assert_eq!(packets[0], "/r/a ,f 0.5");
    assert_eq!(packets[1..4], texts);
    assert_eq!(packets[4], "/r/a ,f 0.25");
    assert_eq!(show.counters("osc").dropped, 1, "the text that OSC cannot carry");
}

#[test]
fn texts_without_a_receiver_are_dropped_and_counted() {
    let bind = format!("127.0.0.1 {}", free_port());
    let options = [("bind", bind.as_str()), ("destination", "learn")];
    let mut show = setup(&[], &options, &["probe.a > osc./a"]).start();
    show.until_state("osc", "up");
    show.send_text("a", "hello");
    assert_eq!(show.counters("osc").dropped, 1);
}

#[test]
fn unmatched_input_is_listed_with_its_channel_types_and_sender() {
    let (mut show, sender) = receiving(&[("root", "/r")], &["/xy", "/last"]);
    let float = OscValue::Float(0.25);
    let string = OscValue::String("hello".into());
    let mut bytes = Vec::new();
    let mut bundle = consort_osc::BundleBuilder::new(&mut bytes, consort_osc::TimeTag::IMMEDIATE);
    bundle.message("/r/in/bundle").int(-7).blob(&[1, 2, 3]).finish().expect("encodes");
    bundle.message("/r/go").finish().expect("encodes");
    bundle.finish().expect("encodes");
    for packet in [
        message("/r/xy", vec![float.clone(), OscValue::Long(512), OscValue::Bool(true)]),
        message("/r/name", vec![string, float.clone()]),
        bytes,
        message("/r/a:b", vec![float.clone()]),
        message("/r/x*", vec![float.clone(), float.clone()]),
        message("/r/nowhere*", vec![OscValue::Nil]),
        message("/rest", vec![float.clone()]),
        message("/r/last", vec![float]),
    ] {
        sender.send(&packet).expect("sent");
    }
    let matched = [("/xy", 0.25), ("/xy", 0.25), ("/last", 0.25)];
    assert_eq!(values(&mut show, 3), matched.map(|(name, value)| (name.to_owned(), value)));
    let expected = [
        ("/xy:1", "h", "512"),
        ("/xy:2", "T", "true"),
        ("/name", "sf", "\"hello\""),
        ("/name:1", "f", "0.25"),
        ("/in/bundle", "ib", "-7"),
        ("/in/bundle:1", "b", "3 bytes"),
        ("/go", "", ""),
        ("/a:b:0", "f", "0.25"),
        ("/nowhere*", "N", ""),
    ];
    let mut list = unmatched(&show);
    let mut expected =
        expected.map(|(channel, types, raw)| (channel.into(), types.into(), raw.into()));
    list.sort();
    expected.sort();
    assert_eq!(list, expected);
    assert_eq!(unmatched_count(&show), 10, "the message outside the root is counted");
    let live = show.router.handle().live();
    let entries = live.unmatched(show.id("osc"));
    let entry = |channel: &str| entries.iter().find(|entry| entry.channel == channel).expect("one");
    let sender = sender.local_addr().expect("one").to_string();
    assert!(entries.iter().all(|entry| entry.sender.to_string() == sender));
    let scaled = ["/xy:1", "/name", "/go"].map(|channel| entry(channel).value);
    assert_eq!(scaled, [Some(0.5), None, Some(1.0)]);
    assert_eq!(live.input(show.id("osc")).0, 8, "packets");
}

#[test]
fn what_a_packet_has_unmatched_is_limited_but_counted() {
    let (mut show, sender) = receiving(&[], &["/last"]);
    let mut bytes = Vec::new();
    let mut bundle = consort_osc::BundleBuilder::new(&mut bytes, consort_osc::TimeTag::IMMEDIATE);
    for number in 0..1_000 {
        bundle.message(&format!("/{number}")).float(0.5).finish().expect("encodes");
    }
    bundle.finish().expect("encodes");
    sender.send(&bytes).expect("sent");
    sender.send(&message("/last", vec![])).expect("sent");
    show.receive(1);
    assert_eq!(unmatched_count(&show), 1_000);
    assert!(unmatched(&show).iter().all(|(channel, ..)| channel != "/999"));
}

/// An instance that only sends keeps its socket connected; one that is bound still receives.
#[test]
fn a_bound_instance_that_only_sends_lists_what_arrives_from_anywhere() {
    let (peer, port) = peer();
    let own = free_port();
    let (bind, destination) = (format!("127.0.0.1 {own}"), format!("127.0.0.1 {port}"));
    let options = [("bind", bind.as_str()), ("destination", destination.as_str())];
    let mut show = setup(&[], &options, &["probe.a > osc./a"]).start();
    show.until_state("osc", "up");
    show.send("a", 0.5);
    assert_eq!(next(&peer), "/a ,f 0.5");
    let other = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for socket in [&peer, &other] {
        socket.send_to(&message("/b", vec![]), ("127.0.0.1", own)).expect("sent");
    }
    show.until("both messages", |show| unmatched_count(show) == 2);
    // A source that is added by a reload receives from both.
    let adoption = show.adopt(setup(&[], &options, &["probe.a > osc./a", "osc./b > probe.b"]));
    assert_eq!(adoption.adopted, ["probe", "osc"]);
    for socket in [&peer, &other] {
        socket.send_to(&message("/b", vec![]), ("127.0.0.1", own)).expect("sent");
    }
    show.receive(2);
    show.send("a", 0.25);
    assert_eq!(next(&peer), "/a ,f 0.25");
}

#[test]
fn an_unbound_instance_that_only_sent_receives_after_a_reload() {
    let (peer, port) = peer();
    let destination = format!("127.0.0.1 {port}");
    let options = [("destination", destination.as_str())];
    let mut show = setup(&[], &options, &["probe.a > osc./a"]).start();
    show.until_state("osc", "up");
    show.send("a", 0.5);
    let mut buffer = [0; 64];
    let (_, own) = peer.recv_from(&mut buffer).expect("a packet");
    show.adopt(setup(&[], &options, &["probe.a > osc./a", "osc./b > probe.b"]));
    let other = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    other.send_to(&message("/b", vec![]), ("127.0.0.1", own.port())).expect("sent");
    assert_eq!(show.receive(1), [("b".to_owned(), 1.0)]);
    // Without sources it is connected again.
    show.adopt(setup(&[], &options, &["probe.a > osc./a"]));
    show.send("a", 0.75);
    assert_eq!(peer.recv_from(&mut buffer).expect("a packet").1, own);
}

#[test]
fn a_reload_keeps_the_socket_and_sends_only_what_has_changed() {
    let (peer, port) = peer();
    let destination = format!("127.0.0.1 {port}");
    let show_with = |patterns: &[(&'static str, &'static str)], mappings: &[&str]| {
        let mut options = vec![("destination", destination.as_str())];
        options.extend(patterns);
        setup(&[], &options, mappings)
    };
    let xy = ("/xy", "ff 0 1 0 1");
    let all = ["probe.x > osc./xy", "probe.y > osc./xy:1", "probe.a > osc./a"];
    let mut show = show_with(&[xy], &all).start();
    show.until_state("osc", "up");
    show.send_all(&[("x", 0.25), ("y", 0.75), ("a", 0.5)]);
    let mut buffer = [0; 64];
    let own = peer.recv_from(&mut buffer).expect("a packet").1;
    assert_eq!(next(&peer), "/a ,f 0.5");
    // `/xy:1` goes, the order changes, `/new` comes.
    let mappings = ["probe.new > osc./new", "probe.a > osc./a", "probe.x > osc./xy"];
    let adoption = show.adopt(show_with(&[xy], &mappings));
    assert_eq!(adoption.restarted, [""; 0]);
    show.send_all(&[("a", 0.5), ("x", 0.25), ("new", 0.0)]);
    assert_eq!(next(&peer), "/new ,f 0.0", "the others have not changed");
    show.send("x", 0.5);
    assert_eq!(next(&peer), "/xy ,ff 0.5 0.75", "the receiver's value of `/xy:1` is kept");
    // A changed range: the next value is sent in any case, and others keep their positions.
    show.adopt(show_with(&[("/xy", "ff 0 100 0 1")], &all));
    show.send("y", 0.5);
    assert_eq!(next(&peer), "/xy ,ff 50.0 0.5");
    show.send("x", 0.5);
    assert_eq!(next(&peer), "/xy ,ff 50.0 0.5", "first value in the new range");
    // Another root: every address is new.
    show.adopt(show_with(&[("/xy", "ff 0 100 0 1"), ("root", "/r")], &all));
    show.send("a", 0.5);
    let (count, from) = peer.recv_from(&mut buffer).expect("a packet");
    let packet = Packet::decode(&buffer[..count]).expect("OSC").to_owned().to_string();
    assert_eq!((packet.as_str(), from), ("/r/a ,f 0.5", own));
}

#[test]
fn a_reload_keeps_the_learned_peer_and_applies_live_options() {
    let (peer, _) = peer();
    let bind = format!("127.0.0.1 {}", free_port());
    let options = |more: &[(&'static str, &'static str)]| {
        let mut all = vec![("bind", bind.clone()), ("destination", "learn".to_owned())];
        all.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        all
    };
    let show_with = |backend: &[(&str, &str)], more: &[(&'static str, &'static str)]| {
        let options = options(more);
        let options: Vec<_> = options.iter().map(|(name, value)| (*name, &**value)).collect();
        setup(backend, &options, &["osc./in > probe.in", "probe.out > osc./out"])
    };
    let mut show = show_with(&[], &[]).start();
    show.until_state("osc", "up");
    let port = bind.split_once(' ').expect("a port").1.parse::<u16>().expect("a port");
    let send = |value: f32| {
        let packet = message("/in", vec![OscValue::Float(value)]);
        peer.send_to(&packet, ("127.0.0.1", port)).expect("sent");
    };
    send(0.5);
    assert_eq!(show.receive(1), [("in".to_owned(), 0.5)]);
    let adoption = show.adopt(show_with(&[("detect", "on")], &[("/in", "f 0 2")]));
    assert_eq!(adoption.restarted, [""; 0]);
    show.send("out", 0.25);
    assert_eq!(next(&peer), "/out ,f 0.25", "the peer is still known");
    send(0.5);
    assert_eq!(show.receive(1), [("in".to_owned(), 0.25)], "the new range");
    // Everything else restarts: the peer has to be learned again.
    let adoption = show.adopt(show_with(&[], &[("framing", "slip")]));
    assert_eq!(adoption.restarted, ["osc"]);
    show.until_state("osc", "up");
    show.send("out", 0.5);
    assert_eq!(show.counters("osc").dropped, 1);
    send(1.0);
    assert_eq!(show.receive(1), [("in".to_owned(), 1.0)]);
}

#[test]
fn a_reload_keeps_connections() {
    let port = TcpListener::bind("127.0.0.1:0").expect("one").local_addr().expect("one").port();
    let bind = format!("127.0.0.1 {port}");
    let options = [("bind", bind.as_str()), ("transport", "tcp")];
    let mut show = setup(&[], &options, &["osc./in > probe.in"]).start();
    show.until_state("osc", "up");
    let mut peer = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    peer.set_read_timeout(Some(DEADLINE)).expect("set");
    peer.write_all(&framed("length", &message("/in", vec![]))).expect("written");
    show.receive(1);
    show.adopt(setup(&[], &options, &["probe.out > osc./out", "osc./other > probe.other"]));
    for address in ["/in", "/other"] {
        peer.write_all(&framed("length", &message(address, vec![]))).expect("written");
    }
    assert_eq!(show.receive(1), [("other".to_owned(), 1.0)]);
    assert_eq!(unmatched(&show), [("/in".into(), String::new(), String::new())]);
    let sender = show.router.handle().live().unmatched(show.id("osc"))[0].sender.to_string();
    assert_eq!(sender, peer.local_addr().expect("one").to_string());
    show.send("out", 0.25);
    let expected = framed("length", &message("/out", vec![OscValue::Float(0.25)]));
    let mut got = vec![0; expected.len()];
    peer.read_exact(&mut got).expect("a packet");
    assert_eq!(got, expected);
}

/// `a` gets the port instead of `b` as soon as it receives, so that both are restarted.
#[test]
fn instances_that_share_a_port_change_places_in_a_reload() {
    let (peer, port) = peer();
    let own = free_port();
    let load = |mapping: &str| {
        let text = format!(
            "[osc a]\nbind = 127.0.0.1 {own}\ndestination = 127.0.0.1 {port}\n\
             [osc b]\nbind = 127.0.0.1 {own}\ndestination = 127.0.0.1 {port}\n\
             [map]\n{mapping}\n"
        );
        let loaded = consort_router::config::load_text("show.cfg", &text, &[], &[&DESCRIPTOR]);
        loaded.show.expect("only warnings")
    };
    let mut router = consort_router::Router::new(load("b./in > a./out")).expect("a router");
    router.start();
    let adoption = router.adopt(load("a./in > b./out")).expect("the same instances");
    assert_eq!(adoption.restarted, ["a", "b"]);
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    peer.set_read_timeout(Some(Duration::from_millis(5))).expect("set");
    let (mut buffer, deadline) = ([0; 64], std::time::Instant::now() + DEADLINE);
    while peer.recv(&mut buffer).is_err() {
        assert!(std::time::Instant::now() < deadline, "nothing arrived");
        let packet = message("/in", vec![OscValue::Float(0.5)]);
        sender.send_to(&packet, ("127.0.0.1", own)).expect("sent");
        router.step(Some(Duration::from_millis(50))).expect("a turn");
    }
}

#[test]
fn whole_numbers_have_the_resolution_of_their_range() {
    let mut osc = super::Osc::default();
    let pairs = [("bind", "1"), ("/n", "if 0 127 0 1"), ("/wide", "h 0 1e12")];
    let config = consort_router::InstanceConfig {
        name: "osc".into(),
        options: consort_router::Options::from_pairs(DESCRIPTOR.instance_options, &pairs),
        directory: ".".into(),
    };
    let backend: &mut dyn consort_router::Backend = &mut osc;
    let mut problems = consort_router::Problems::new();
    let mut plan = backend.instance(config, &mut problems).expect("a plan");
    let steps = consort_router::Resolution::steps;
    for (channel, expected) in
        [("/n", steps(128)), ("/n:1", steps(0)), ("/wide", steps(0)), ("/free", steps(0))]
    {
        let number = plan.channel(channel, Usage::Target).expect(channel);
        assert_eq!(plan.resolution(number), expected, "{channel}");
    }
}

/// Every form of output, as bytes on the wire.
#[test]
fn messages_without_numbers_leave_for_every_value_above_zero() {
    let options = [
        ("/none", ""),
        ("/cue/go", "s \"main stage\""),
        ("/true", "T"),
        ("/false", "F"),
        ("/nil", "N"),
        ("/bang", "I"),
        ("/blob", "b 00ff"),
        ("/one", "i 1 1"),
        ("/several", "sif \"a b\" 7 7 0.5 0.5"),
    ];
    let channels: Vec<&str> = options.iter().map(|(name, _)| *name).collect();
    let (mut show, socket) = sending(&options, &channels);
    let expected = [
        ("/none", "/none ,"),
        ("/cue/go", "/cue/go ,s \"main stage\""),
        ("/true", "/true ,T true"),
        ("/false", "/false ,F false"),
        ("/nil", "/nil ,N nil"),
        ("/bang", "/bang ,I impulse"),
        ("/blob", "/blob ,b blob(2 bytes: 00 ff)"),
        ("/one", "/one ,i 1"),
        ("/several", "/several ,sif \"a b\" 7 0.5"),
    ];
    for (channel, text) in expected {
        // Equal values leave, too; 0 never does.
        show.send_all(&[
            (channel, 0.0),
            (channel, 1.0),
            (channel, 1.0),
            (channel, 0.3),
            (channel, 0.0),
        ]);
        for _ in 0..3 {
            assert_eq!(next(&socket), text);
        }
    }
    let counters = show.counters("osc");
    assert_eq!(counters.outgoing, 3 * expected.len() as u64, "`out` counts what left");
    let mut arguments = Vec::new();
    show.send("/blob", 1.0);
    let mut buffer = [0; 64];
    let count = socket.recv(&mut buffer).expect("a packet");
    arguments.extend_from_slice(&buffer[..count]);
    assert_eq!(arguments, b"/blob\0\0\0,b\0\0\0\0\0\x02\0\xff\0\0");
}

#[test]
fn words_are_values_in_both_directions() {
    let (mut show, socket) = sending(&[("/mode", "s off on auto")], &["/mode"]);
    show.send_all(&[("/mode", 0.0), ("/mode", 0.1), ("/mode", 0.5), ("/mode", 1.0)]);
    for word in ["off", "on", "auto"] {
        assert_eq!(next(&socket), format!("/mode ,s \"{word}\""));
    }
    show.send_text("/mode", "another");
    assert_eq!(next(&socket), "/mode ,s \"another\"");
    let options = [("/mode", "s off on auto"), ("/level", "n 0 100"), ("/go", "s start")];
    let (mut show, sender) = receiving(&options, &["/mode", "/level", "/go"]);
    for (address, text) in [
        ("/mode", "on"),
        ("/mode", "nonsense"),
        ("/mode", "auto"),
        ("/level", " 25 "),
        ("/go", "start"),
    ] {
        sender.send(&message(address, vec![text.into()])).expect("sent");
    }
    let received = values(&mut show, 4);
    let numbers: Vec<f64> = received.iter().map(|(_, value)| *value).collect();
    assert_eq!(numbers, [0.5, 1.0, 0.25, 1.0], "{received:?}");
    assert_eq!(unmatched_count(&show), 1, "a word that the option does not have");
}

#[test]
fn texts_and_numbers_share_a_message() {
    let options = [("/label", "sf A 0 1"), ("/name", "s"), ("/db", "n -90 10")];
    let (mut show, socket) = sending(&options, &["/label:1", "/name", "/db"]);
    show.send_all(&[("/label:1", 0.5), ("/db", 0.5)]);
    assert_eq!(next(&socket), "/label ,sf \"A\" 0.5");
    assert_eq!(next(&socket), "/db ,s \"-40\"");
    show.send_text("/name", "Kick");
    assert_eq!(next(&socket), "/name ,s \"Kick\"");
}

#[test]
fn always_sends_equal_values() {
    let (mut show, socket) = sending(&[("/a", "f 0 1 always")], &["/a", "/b"]);
    show.send_all(&[("/a", 1.0), ("/a", 1.0), ("/b", 1.0), ("/b", 1.0), ("/a", 0.0)]);
    let mut sent = Vec::new();
    while sent.len() < 4 {
        sent.push(next(&socket));
    }
    assert_eq!(sent.iter().filter(|text| *text == "/a ,f 1.0").count(), 2, "{sent:?}");
    assert_eq!(sent.iter().filter(|text| *text == "/b ,f 1.0").count(), 1, "{sent:?}");
    assert_eq!(sent.last().map(String::as_str), Some("/a ,f 0.0"));
}

#[test]
fn messages_are_repeated_without_values() {
    let options = [("/xremote", "every 100 ms"), ("/dim", "f 0 1 refresh 100 ms")];
    let (mut show, socket) = sending(&options, &["/dim"]);
    socket.set_nonblocking(true).expect("set");
    let count_until = |show: &mut Performance, text: &str, count: usize| {
        let mut found = 0;
        let mut all = Vec::new();
        show.until(text, |_| {
            let mut buffer = [0; 64];
            while let Ok(length) = socket.recv(&mut buffer) {
                let sent = Packet::decode(&buffer[..length]).expect("OSC").to_owned().to_string();
                found += usize::from(sent == text);
                all.push(sent);
            }
            found >= count
        });
        all
    };
    let all = count_until(&mut show, "/xremote ,", 3);
    assert!(all.iter().all(|sent| sent == "/xremote ,"), "no value, no refresh: {all:?}");
    show.send("/dim", 0.5);
    count_until(&mut show, "/dim ,f 0.5", 3);
}

/// The other side may have changed the value in between.
#[test]
fn a_two_way_route_swallows_no_press() {
    let (socket, peer_port) = peer();
    let port = free_port();
    let (bind, destination) = (format!("127.0.0.1 {port}"), format!("127.0.0.1 {peer_port}"));
    let options = [("bind", bind.as_str()), ("destination", &destination), ("/on", "i 0 1")];
    let mut test = setup(&[], &options, &["probe.on > osc./on", "osc./on > probe.seen"]);
    test.map("probe.other", "osc./other");
    let mut show = test.start();
    show.until_state("osc", "up");
    show.send("on", 1.0);
    assert_eq!(next(&socket), "/on ,i 1");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let send = |number: i32| {
        sender.send_to(&message("/on", vec![number.into()]), ("127.0.0.1", port)).expect("sent");
    };
    send(0);
    assert_eq!(values(&mut show, 1), [("seen".to_owned(), 0.0)]);
    show.send("on", 1.0);
    assert_eq!(next(&socket), "/on ,i 1");
    // What the peer has already is not sent to it again.
    send(1);
    assert_eq!(values(&mut show, 1), [("seen".to_owned(), 1.0)]);
    show.send_all(&[("on", 1.0), ("other", 1.0)]);
    assert_eq!(next(&socket), "/other ,f 1.0");
}

#[test]
fn a_new_peer_gets_the_state() {
    let port = free_port();
    let bind = format!("127.0.0.1 {port}");
    let options = [("bind", bind.as_str()), ("destination", "learn"), ("/go", "")];
    let mut test = setup(&[], &options, &["probe.dim > osc./dim", "probe.go > osc./go"]);
    test.map("osc./hello", "probe.hello");
    let mut show = test.start();
    show.until_state("osc", "up");
    let (first, _) = peer();
    first.send_to(&message("/hello", vec![1.0_f32.into()]), ("127.0.0.1", port)).expect("sent");
    values(&mut show, 1);
    show.send_all(&[("dim", 0.5), ("go", 1.0)]);
    assert_eq!([next(&first), next(&first)], ["/dim ,f 0.5", "/go ,"]);
    // A tablet that replaces it gets the levels, and no cue.
    let (second, _) = peer();
    second.send_to(&message("/hello", vec![1.0_f32.into()]), ("127.0.0.1", port)).expect("sent");
    values(&mut show, 1);
    assert_eq!(next(&second), "/dim ,f 0.5");
    show.send("go", 1.0);
    assert_eq!(next(&second), "/go ,");
}

#[test]
fn addresses_may_have_reserved_characters_and_slashes_at_the_end() {
    let channels = ["/TSPS/personEntered/", "/batch/#0", "/looper~ m", "/a,b"];
    let (mut show, sender) = receiving(&[("root", "/desk/")], &channels);
    for channel in channels {
        let mut packet = Vec::new();
        let address = format!("/desk{channel}");
        consort_osc::MessageBuilder::new(&mut packet, &address).float(0.5).finish().expect("valid");
        sender.send(&packet).expect("sent");
        assert_eq!(values(&mut show, 1), [(channel.to_owned(), 0.5)]);
    }
    let options = [("/batch/#0", "i 0 10"), ("/b/", "i 0 1")];
    let (mut show, socket) = sending(&options, &["/batch/#0", "/b/"]);
    show.send_all(&[("/batch/#0", 0.5), ("/b/", 1.0)]);
    assert_eq!([next(&socket), next(&socket)], ["/batch/#0 ,i 5", "/b/ ,i 1"]);
}

#[test]
fn a_target_that_an_option_nearly_matches_is_a_warning() {
    let options = [("destination", "127.0.0.1 9"), ("/ch*", "i 0 1"), ("/Mute", "i 0 1")];
    let test = setup(&[], &options, &["probe.a > osc./ch/01/on", "probe.b > osc./mute"]);
    let texts: Vec<String> = test
        .check("osc")
        .iter()
        .map(|problem| format!("{} {}", problem.message, problem.hint.as_deref().unwrap_or("")))
        .collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("`/ch/01/on`") && texts[0].contains("unlike in MIDIMonster"));
    assert!(texts[1].contains("`/mute`") && texts[1].contains("upper and lower case"));
}
