//! The backend against plain sockets.
#![allow(clippy::print_stderr)] // tests that skip say so

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use consort_osc::{OscMessage, OscPacket, OscValue, Packet};
use consort_router::testing::{DEADLINE, Performance, TestShow};
use consort_router::{State, Usage};

use super::DESCRIPTOR;

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.local_addr().expect("an address").port()
}

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

/// What a socket receives next, as text.
fn next(socket: &UdpSocket) -> String {
    let mut buffer = [0; 65_536];
    let count = socket.recv(&mut buffer).expect("a packet");
    Packet::decode(&buffer[..count]).expect("OSC").to_owned().to_string()
}

/// A show with one instance `osc` that receives; returns it with a sender.
fn receiving(options: &[(&str, &str)], channels: &[&str]) -> (Performance, UdpSocket) {
    let port = free_port();
    let mut stage = TestShow::new();
    let bind = format!("127.0.0.1 {port}");
    let mut all = vec![("bind", bind.as_str())];
    all.extend(options);
    stage.instance(&DESCRIPTOR, "osc", &all);
    for channel in channels {
        stage.map(&format!("osc.{channel}"), &format!("probe.{channel}"));
    }
    let mut show = stage.start();
    show.until_state("osc", "up");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    sender.connect(("127.0.0.1", port)).expect("connected");
    (show, sender)
}

/// A show with one instance `osc` that sends to the socket returned.
fn sending(options: &[(&str, &str)], channels: &[&str]) -> (Performance, UdpSocket) {
    let (socket, port) = peer();
    let mut stage = TestShow::new();
    let destination = format!("127.0.0.1 {port}");
    let mut all = vec![("destination", destination.as_str())];
    all.extend(options);
    stage.instance(&DESCRIPTOR, "osc", &all);
    for channel in channels {
        stage.map(&format!("probe.{channel}"), &format!("osc.{channel}"));
    }
    let mut show = stage.start();
    show.until_state("osc", "up");
    (show, socket)
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
        OscValue::String("has no value but keeps its place".into()),
        OscValue::Int(300),
    ];
    sender.send(&message("/a", arguments)).expect("sent");
    let values: Vec<f64> = values(&mut show, 7).into_iter().map(|it| it.1).collect();
    assert_eq!(values, [0.2, 0.25, 0.5, 0.75, 1.0, 0.0, 1.0]);
}

#[test]
fn ranges_of_patterns_apply_and_clip_also_downwards() {
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
fn an_empty_datagram_and_rubbish_harm_nobody() {
    let (mut show, sender) = receiving(&[], &["/a"]);
    sender.send(&[]).expect("sent");
    sender.send(b"rubbish").expect("sent");
    let nan = message("/a", vec![OscValue::Float(f32::NAN)]);
    sender.send(&nan).expect("sent");
    sender.send(&message("/a", vec![OscValue::Float(1.0)])).expect("sent");
    assert_eq!(values(&mut show, 1), [("/a".to_owned(), 1.0)]);
    assert_eq!(show.counters("osc").errors, 1);
}

#[test]
fn the_root_is_a_plain_prefix_both_ways() {
    let (mut show, sender) = receiving(&[("root", "/desk")], &["/a"]);
    sender.send(&message("/a", vec![OscValue::Float(0.1)])).expect("sent");
    sender.send(&message("/desk/a", vec![OscValue::Float(0.5)])).expect("sent");
    assert_eq!(values(&mut show, 1), [("/a".to_owned(), 0.5)]);

    let (mut show, socket) = sending(&[("root", "/desk"), ("/a", "i 0 10")], &["/a"]);
    show.send("/a", 0.5);
    assert_eq!(next(&socket), "/desk/a ,i 5");
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

/// Held against every address, the patterns of one datagram were seconds of work.
#[test]
fn patterns_beyond_what_can_be_compared_in_good_time_are_dropped_and_counted() {
    let names: Vec<String> = (0..1_000).map(|nth| format!("/fader/channel/{nth}")).collect();
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
    // The next packet has an effort of its own.
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
fn only_changes_leave_but_the_first_value_always_does() {
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
fn arguments_that_change_together_leave_together_and_nothing_is_lost() {
    let (mut show, socket) = sending(&[("/xy", "ff -1 1 0 2")], &["/xy:0", "/xy:1", "/z"]);
    show.send_all(&[("/xy:0", 1.0), ("/xy:1", 0.5)]);
    assert_eq!(next(&socket), "/xy ,ff 1.0 1.0");
    show.send_all(&[("/xy:0", 0.0), ("/z", 0.5), ("/xy:0", 0.5), ("/xy:1", 1.0)]);
    assert_eq!(next(&socket), "/xy ,ff -1.0 1.0");
    assert_eq!(next(&socket), "/z ,f 0.5");
    assert_eq!(next(&socket), "/xy ,ff 0.0 2.0");
}

#[test]
fn an_argument_without_a_value_is_zero_or_the_end_of_its_range_next_to_it() {
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
        let at = free_port();
        let mut stage = TestShow::new();
        let bind = format!("127.0.0.1 {at}");
        stage.instance(&DESCRIPTOR, "osc", &[("bind", &bind), ("destination", &destination)]);
        stage.map("probe.a", "osc./a");
        stage.map("osc./hello", "probe.hello");
        let mut show = stage.start();
        show.until_state("osc", "up");
        show.send("a", 0.25);
        assert_eq!(show.counters("osc").dropped, 1, "nobody is known yet");
        let sender = match destination.as_str() {
            "learn" => peer.try_clone().expect("a socket"),
            _ => UdpSocket::bind("127.0.0.1:0").expect("a socket"),
        };
        sender.send_to(&message("/hello", vec![]), ("127.0.0.1", at)).expect("sent");
        show.receive(1);
        show.send("a", 0.25);
        assert_eq!(next(&peer), "/a ,f 0.25");
    }
}

/// The name may mean ::1 first, where nobody listens; then nothing arrives.
fn v6_first() -> bool {
    std::net::ToSocketAddrs::to_socket_addrs(&("localhost", 9))
        .is_ok_and(|mut all| all.next().is_some_and(|first| first.is_ipv6()))
}

#[test]
fn a_host_name_is_looked_up_in_the_background() {
    let (socket, port) = peer();
    let mut stage = TestShow::new();
    stage.instance(&DESCRIPTOR, "osc", &[("destination", &format!("localhost {port}"))]);
    stage.map("probe.a", "osc./a");
    let mut show = stage.start();
    show.until_state("osc", "up");
    show.send("a", 1.0);
    if !v6_first() {
        assert_eq!(next(&socket), "/a ,f 1.0");
    }
}

#[test]
fn a_port_in_use_is_waited_for() {
    let (socket, port) = peer();
    let mut stage = TestShow::new();
    stage.instance(&DESCRIPTOR, "osc", &[("bind", &format!("127.0.0.1 {port}"))]);
    stage.map("osc./a", "probe.a");
    let mut show = stage.start();
    match show.state("osc") {
        State::Waiting(reason) => assert!(reason.contains(&port.to_string()), "{reason}"),
        other => panic!("{other:?}"),
    }
    drop(socket);
    show.until_state("osc", "up");
}

#[test]
fn what_cannot_be_mapped_is_explained() {
    let mut stage = TestShow::new();
    stage.instance(&DESCRIPTOR, "osc", &[("bind", "127.0.0.1 9"), ("/xy", "ff 0 1 0 1")]);
    for (channel, words) in [
        ("osc.a", "no OSC address"),
        ("osc./a b", "no OSC address"),
        ("osc./a:64", "from 0 to 63"),
        ("osc./a:x", "from 0 to 63"),
        ("osc./xy:2", "describes 2"),
    ] {
        let error = stage.channel(channel, Usage::Source).expect_err(channel);
        assert!(error.message.contains(words), "{channel}: {error:?}");
    }
}

#[test]
fn wrong_options_are_explained() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("bind", "1"), ("/a", "")], "types of the arguments are missing"),
        (&[("bind", "1"), ("/a", "x 0 1")], "no type of a number"),
        (&[("bind", "1"), ("/a", "f 0")], "upper end"),
        (&[("bind", "1"), ("/a", "d -1e308 1e308")], "too wide"),
        (&[("bind", "1"), ("/a", "i 0 1.5")], "no number of type `i`"),
        (&[("bind", "1"), ("/a", "f 1 1")], "empty"),
        (&[("bind", "1"), ("/a", "i 0 3000000000")], "32 bits"),
        (&[("bind", "1"), ("/a[", "f 0 1")], "no OSC pattern"),
        (&[("destination", "learn")], "learn from"),
        (&[("bind", "1"), ("destination", "learn@1"), ("transport", "tcp")], "on the connection"),
        (&[("bind", "0.0.0.0 1"), ("destination", "::1 2")], "IPv6"),
    ];
    for (options, words) in cases {
        let problems = TestShow::new().try_instance(&DESCRIPTOR, "osc", options).expect_err(words);
        assert!(problems.iter().any(|it| it.message.contains(words)), "{options:?}: {problems:?}");
    }
}

/// As MIDIMonster reads them: numbers for `i` and `h` may have a fraction of nothing, and words
/// behind the last range say nothing.
#[test]
fn options_that_midimonster_takes_are_taken() {
    let text = "[osc osc]\nbind = 127.0.0.1 9\ndest = 127.0.0.1 8\n/a = ih 0.0 127.0 0x10 1e3\n/b = f 0 1 0 1\n\
                [map]\nosc./a:1 > osc./b\n";
    let loaded = consort_router::config::load_text("show.cfg", text, &[], &[&DESCRIPTOR]);
    let messages: Vec<_> = loaded.diagnostics.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(messages, ["`0` is more than one range needs and is ignored"]);
    assert!(loaded.show.is_some());
    let (mut show, socket) = sending(&[("/a", "i 0.0 127.0"), ("/b", "f 0 2 0 1")], &["/a", "/b"]);
    show.send_all(&[("/a", 1.0), ("/b", 1.0)]);
    assert_eq!(next(&socket), "/a ,i 127");
    assert_eq!(next(&socket), "/b ,f 2.0");
}

/// MIDIMonster wants `bind` also of instances that only send, and lets them share a port.
#[test]
fn instances_that_only_send_leave_a_port_to_the_one_that_hears() {
    let (one, first) = peer();
    let (two, second) = peer();
    let port = free_port();
    let text = |hears: &str| {
        format!(
            "[osc a]\nbind = 127.0.0.1 {port}\ndestination = 127.0.0.1 {first}\n\
             [osc b]\nbind = 127.0.0.1 {port}\ndestination = 127.0.0.1 {second}\n\
             [osc c]\nbind = 0.0.0.0 {port}\ndestination = 127.0.0.1 {first}\n\
             [map]\nb./in > a./out\nb./in > b./out\nb./in > c./other\n{hears}"
        )
    };
    let load = |text: &str| {
        let loaded = consort_router::config::load_text("show.cfg", text, &[], &[&DESCRIPTOR]);
        let said = loaded.diagnostics.iter().map(|it| it.message.clone()).collect::<Vec<_>>();
        (said, loaded.show)
    };
    let (said, show) = load(&text(""));
    let expected = format!("port {port} is that of instance `b`");
    assert_eq!(said, [expected.as_str(), &expected]);
    let mut router = consort_router::Router::new(show.expect("only warnings")).expect("a router");
    router.start();
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    sender.send_to(&message("/in", vec![OscValue::Float(0.5)]), ("127.0.0.1", port)).expect("sent");
    for socket in [&one, &two] {
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("set");
    }
    let (mut heard, deadline) = (Vec::new(), std::time::Instant::now() + DEADLINE);
    while heard.len() < 3 {
        assert!(std::time::Instant::now() < deadline, "{heard:?}");
        router.step(Some(Duration::from_millis(5))).expect("a turn");
        for (name, socket) in [("one", &one), ("two", &two)] {
            let mut buffer = [0; 64];
            if let Ok(count) = socket.recv(&mut buffer) {
                let packet = Packet::decode(&buffer[..count]).expect("OSC").to_owned();
                heard.push(format!("{name} {packet}"));
            }
        }
    }
    heard.sort();
    assert_eq!(heard, ["one /other ,f 0.5", "one /out ,f 0.5", "two /out ,f 0.5"]);

    let (said, show) = load(&text("a./in > c./other\n"));
    assert!(said.iter().any(|it| it.contains("already bound by instance `a`")), "{said:?}");
    assert!(show.is_none());
}

/// As with lights: what goes nowhere is said before the show.
#[test]
fn values_for_an_instance_without_a_destination_are_warned_of() {
    for (options, target, warned) in [
        (&[("bind", "127.0.0.1 9")][..], true, true),
        (&[("bind", "127.0.0.1 9")], false, false),
        (&[("bind", "127.0.0.1 9"), ("destination", "learn")], true, false),
        (&[("bind", "127.0.0.1 9"), ("transport", "tcp")], true, false),
    ] {
        let mut stage = TestShow::new();
        stage.instance(&DESCRIPTOR, "osc", options);
        match target {
            true => stage.map("probe.a", "osc./a"),
            false => stage.map("osc./a", "probe.a"),
        }
        let said = stage.check("osc").iter().any(|it| it.message.contains("sends nothing"));
        assert_eq!(said, warned, "{options:?}, a target: {target}");
    }
}

fn tcp_show(framing: &str, learn: bool) -> (Performance, u16) {
    let port = TcpListener::bind("127.0.0.1:0").expect("one").local_addr().expect("one").port();
    let mut stage = TestShow::new();
    let bind = format!("127.0.0.1 {port}");
    let mut options = vec![("bind", bind.as_str()), ("transport", "tcp"), ("framing", framing)];
    if learn {
        options.push(("destination", "learn"));
    }
    stage.instance(&DESCRIPTOR, "osc", &options);
    stage.map("osc./in", "probe.in");
    stage.map("probe.out", "osc./out");
    let mut show = stage.start();
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
fn streams_carry_packets_both_ways_in_both_framings() {
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
fn what_one_turn_does_not_take_of_a_stream_the_next_ones_do() {
    for framing in ["length", "slip"] {
        let (mut show, port) = tcp_show(framing, false);
        let mut peer = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        let mut bytes = Vec::new();
        for nth in 0..3_000 {
            let packet = message("/in", vec![OscValue::Double(f64::from(nth) / 3_000.0)]);
            bytes.extend(framed(framing, &packet));
        }
        peer.write_all(&bytes).expect("written");
        drop(peer);
        let expected: Vec<_> =
            (0..3_000).map(|nth| ("in".to_owned(), f64::from(nth) / 3_000.0)).collect();
        assert_eq!(show.receive(3_000), expected);
    }
}

#[test]
fn a_broken_stream_is_closed_and_the_next_peer_served() {
    let (mut show, port) = tcp_show("length", false);
    let mut bad = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    bad.write_all(&[0x7F, 0xFF, 0xFF, 0xFF]).expect("written");
    bad.set_nonblocking(true).expect("set");
    let mut buffer = [0; 8];
    show.until("the connection to be closed", |_| matches!(bad.read(&mut buffer), Ok(0)));
    let mut good = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    good.write_all(&framed("length", &message("/in", vec![]))).expect("written");
    assert_eq!(show.receive(1), [("in".to_owned(), 1.0)]);
}

/// More than can be accepted in one turn, and more than there is room for: the rest is turned
/// away, and who was there before is served.
#[test]
fn a_rush_of_peers_is_turned_away_and_the_first_is_served() {
    let (mut show, port) = tcp_show("length", false);
    let mut first = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    first.write_all(&framed("length", &message("/in", vec![]))).expect("written");
    assert_eq!(show.receive(1), [("in".to_owned(), 1.0)]);
    let connect = |_| TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let crowd: Vec<TcpStream> = (0..100).map(connect).collect();
    show.until("the rest to be turned away", |show| show.counters("osc").errors == 37);
    first.write_all(&framed("length", &message("/in", vec![]))).expect("written");
    assert_eq!(show.receive(1), [("in".to_owned(), 1.0)]);
    drop(crowd);
}

/// Else those whose network has gone would fill all places, one by one.
#[test]
fn the_kernel_asks_after_peers_that_say_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("one");
    let stream = mio::net::TcpStream::connect(address).expect("a stream");
    super::stream::set_up(&stream).expect("set");
    let socket = socket2::SockRef::from(&stream);
    assert!(socket.keepalive().expect("an option"));
    assert_eq!(socket.tcp_user_timeout().expect("an option"), Some(Duration::from_secs(60)));
}

#[test]
fn a_destination_over_tcp_is_connected_to_again() {
    connect_again("127.0.0.1");
    if v6_first() {
        eprintln!("SKIPPED: `localhost` is ::1 first");
    } else {
        connect_again("localhost");
    }
}

fn connect_again(host: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("one").port();
    let mut stage = TestShow::new();
    let destination = format!("{host} {port}");
    stage.instance(&DESCRIPTOR, "osc", &[("destination", &destination), ("transport", "tcp")]);
    stage.map("probe.out", "osc./out");
    let mut show = stage.start();
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
fn a_flood_of_random_packets_is_survived() {
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
    show.until("the good packet", |show| show.received().last().is_some_and(|last| last.1 == 0.5));
}
