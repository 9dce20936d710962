//! Tests against a scripted broker: exact bytes, hostile input, lost connections. Foreign brokers
//! are in `tests/mqtt_interoperability.rs`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use consort_router::State;
use consort_router::testing::{DEADLINE, Performance, TestShow};

use super::DESCRIPTOR;
use super::decode::{Input, MAX_PACKET_BYTES, Malformed, Message, Packet};
use super::encode::{self, Acknowledgement, Alias, Filter, Publication, Qos, Version};
use super::session::{Event, Failure, Identity, Queued, Session};

/// The answers of a broker that accepts the connection.
const CONNACK_V311: &[u8] = &[0x20, 2, 0, 0];
const CONNACK_V5: &[u8] = &[0x20, 3, 0, 0, 0];

/// A broker that sends what a test tells it to.
struct Broker {
    listener: TcpListener,
}

/// A connection of a client to it.
struct Client {
    stream: TcpStream,
}

impl Broker {
    fn new() -> Self {
        Broker { listener: TcpListener::bind("127.0.0.1:0").expect("a socket") }
    }

    fn host(&self) -> String {
        format!("mqtt://{}", self.listener.local_addr().expect("an address"))
    }

    /// Accepts a connection while the show turns.
    fn accept(&self, show: &mut Performance) -> Client {
        self.listener.set_nonblocking(true).expect("set");
        let mut accepted = None;
        show.until("a connection", |_| {
            accepted = self.listener.accept().ok();
            accepted.is_some()
        });
        let (stream, _) = accepted.expect("accepted");
        stream.set_nonblocking(true).expect("set");
        Client { stream }
    }
}

impl Client {
    /// The next packet, while the show turns.
    fn packet(&mut self, show: &mut Performance) -> Vec<u8> {
        let mut bytes = Vec::new();
        show.until("a packet", |_| {
            let mut byte = [0];
            loop {
                let is_complete = match bytes.get(1) {
                    Some(&length) if length < 0x80 => bytes.len() == usize::from(length) + 2,
                    _ => false,
                };
                if is_complete {
                    return true;
                }
                match self.stream.read(&mut byte) {
                    Ok(1) => bytes.push(byte[0]),
                    _ => return false,
                }
            }
        });
        bytes
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("written");
    }
}

/// A show with the instance `m` and mappings, connected to a broker. Returns the packet CONNECT.
fn connected(
    broker: &Broker,
    options: &[(&str, &str)],
    mappings: &[(&str, &str)],
    answer: &[u8],
) -> (Performance, Client, Vec<u8>) {
    let mut setup = TestShow::new();
    let host = broker.host();
    let mut all = vec![("host", host.as_str()), ("clientid", "t")];
    all.extend(options);
    setup.instance(&DESCRIPTOR, "m", &all);
    for (source, target) in mappings {
        setup.map(source, target);
    }
    let mut show = setup.start();
    let mut client = broker.accept(&mut show);
    let connect = client.packet(&mut show);
    client.send(answer);
    show.until_state("m", "up");
    (show, client, connect)
}

#[test]
fn a_connection_begins_with_the_documented_bytes() {
    let broker = Broker::new();
    let (_, _, connect) = connected(&broker, &[("protocol", "3.1.1")], &[], CONNACK_V311);
    assert_eq!(connect, b"\x10\x0d\0\x04MQTT\x04\x02\0\x14\0\x01t");
    let options = [("user", "u"), ("password", "p"), ("will", "w off"), ("qos", "1")];
    let (_, _, connect) = connected(&broker, &options, &[], CONNACK_V5);
    let expected =
        b"\x10\x22\0\x04MQTT\x05\xee\0\x14\x05\x27\0\x10\0\0\0\x01t\0\0\x01w\0\x03off\0\x01u\0\x01p";
    assert_eq!(connect, expected);
}

#[test]
fn values_are_published_and_received_in_both_versions() {
    let broker = Broker::new();
    let mappings = [("probe.x", "m./plain"), ("m./in", "probe.in"), ("m./inv", "probe.inv")];
    for (version, answer) in [("3.1.1", CONNACK_V311), ("5", CONNACK_V5)] {
        let is_v5 = version == "5";
        let (mut show, mut client, _) =
            connected(&broker, &[("protocol", version)], &mappings, answer);
        let subscribe = client.packet(&mut show);
        let expected: &[u8] = match is_v5 {
            false => b"\x82\x0f\0\x01\0\x03/in\0\0\x04/inv\0",
            true => b"\x82\x10\0\x01\0\0\x03/in\0\0\x04/inv\0",
        };
        assert_eq!(subscribe, expected);
        show.send_all(&[("x", 0.5), ("x", 0.5)]);
        let expected: &[u8] = match is_v5 {
            false => b"\x30\x10\0\x06/plain0.500000",
            true => b"\x30\x11\0\x06/plain\x000.500000",
        };
        assert_eq!(client.packet(&mut show), expected);
        assert_eq!(client.packet(&mut show), expected, "an unchanged value is sent again");
        // In pieces, and with a packet of MIDIMonster.
        match is_v5 {
            false => {
                client.send(b"\x30\x07\0\x03/in0");
                client.send(b".\x30\x08\0\x04/inv.7");
                assert_eq!(show.receive(2), [("in".into(), 0.0), ("inv".into(), 0.7)]);
            }
            true => {
                client.send(b"\x30\x0c\0\x03/in\x02\x01\x01\0\x020.\x30\x09\0\x04/inv\0.7");
                assert_eq!(show.receive(2), [("in".into(), 0.0), ("inv".into(), 0.7)]);
            }
        }
    }
}

#[test]
fn a_topic_alias_replaces_a_topic_after_its_first_use() {
    let broker = Broker::new();
    let answer = b"\x20\x06\0\0\x03\x22\0\x01";
    let mappings = [("probe.a", "m.a"), ("probe.b", "m.b")];
    let (mut show, mut client, _) = connected(&broker, &[("decimals", "0")], &mappings, answer);
    show.send_all(&[("a", 1.0), ("a", 0.0), ("b", 1.0)]);
    assert_eq!(client.packet(&mut show), b"\x30\x08\0\x01a\x03\x23\0\x011");
    assert_eq!(client.packet(&mut show), b"\x30\x07\0\0\x03\x23\0\x010");
    assert_eq!(client.packet(&mut show), b"\x30\x05\0\x01b\x001", "only one alias is allowed");
}

#[test]
fn unacknowledged_values_are_sent_again_in_order() {
    let broker = Broker::new();
    let options = [("qos", "1"), ("decimals", "1"), ("protocol", "3.1.1")];
    let mappings = [("probe.a", "m.a"), ("probe.b", "m.b")];
    let (mut show, mut client, _) = connected(&broker, &options, &mappings, CONNACK_V311);
    show.send_all(&[("a", 0.1), ("b", 0.2), ("a", 0.3)]);
    let first = client.packet(&mut show);
    assert_eq!(first[..7], *b"\x32\x08\0\x01a\0\x01");
    client.packet(&mut show);
    client.packet(&mut show);
    client.send(&[0x40, 2, 0, 1]);
    show.until("the acknowledgement", |show| {
        show.counters("m").errors == 0 && {
            show.router.step(Some(Duration::from_millis(1))).is_ok()
        }
    });
    drop(client);
    show.until_state("m", "waiting");
    // Only the newest value of each channel is kept while there is no connection.
    show.send_all(&[("b", 0.8), ("b", 0.9)]);
    assert_eq!(show.counters("m").dropped, 1);
    let mut client = broker.accept(&mut show);
    client.packet(&mut show);
    client.send(CONNACK_V311);
    let contents: Vec<Vec<u8>> = (0..3).map(|_| client.packet(&mut show)[4..].to_vec()).collect();
    let texts: Vec<&[u8]> = contents.iter().map(|bytes| &bytes[bytes.len() - 3..]).collect();
    assert_eq!(texts, [b"0.2".as_slice(), b"0.3", b"0.9"]);
}

#[test]
fn values_without_a_connection_are_counted() {
    let broker = Broker::new();
    let (mut show, client, _) = connected(&broker, &[], &[("probe.a", "m.a")], CONNACK_V5);
    drop(client);
    show.until_state("m", "waiting");
    show.send_all(&[("a", 0.1), ("a", 0.2)]);
    assert_eq!(show.counters("m").dropped, 2);
}

#[test]
fn an_own_publication_does_not_come_back_with_3_1_1() {
    let broker = Broker::new();
    let mappings = [("probe.a", "m.a"), ("m.a", "probe.in")];
    let (mut show, mut client, _) =
        connected(&broker, &[("protocol", "3.1.1")], &mappings, CONNACK_V311);
    client.packet(&mut show);
    show.send("a", 0.5);
    let published = client.packet(&mut show);
    client.send(&published);
    client.send(b"\x30\x06\0\x01a0.7");
    assert_eq!(show.receive(1), [("in".into(), 0.7)]);
    // A second one with the same content is from someone else.
    client.send(&published);
    assert_eq!(show.receive(1), [("in".into(), 0.5)]);
}

#[test]
fn a_broker_without_mqtt_5_gets_3_1_1() {
    let broker = Broker::new();
    let mut setup = TestShow::new();
    setup.instance(&DESCRIPTOR, "m", &[("host", &broker.host()), ("clientid", "t")]);
    let mut show = setup.start();
    let mut client = broker.accept(&mut show);
    assert_eq!(client.packet(&mut show)[8], 5);
    client.send(&[0x20, 2, 0, 1]);
    let mut client = broker.accept(&mut show);
    assert_eq!(client.packet(&mut show)[8], 4);
    client.send(CONNACK_V311);
    show.until_state("m", "up");
    assert_eq!(show.counters("m").errors, 0);
}

#[test]
fn a_refusal_is_a_reason_to_wait() {
    let broker = Broker::new();
    for (answer, reason) in [
        (b"\x20\x03\0\x86\0".as_slice(), "wrong user or password"),
        (
            b"\x20\x09\0\x87\x06\x1f\0\x03no\n",
            "not authorized; check `user` and `password` (no\\n)",
        ),
        (b"\x30\x03\0\x01a", "invalid packet"),
        (b"\x20\xff\xff\xff\xff", "invalid packet"),
    ] {
        let mut setup = TestShow::new();
        setup.instance(&DESCRIPTOR, "m", &[("host", &broker.host())]);
        let mut show = setup.start();
        let mut client = broker.accept(&mut show);
        client.packet(&mut show);
        client.send(answer);
        show.until_state("m", "waiting");
        let State::Waiting(text) = show.state("m") else { unreachable!() };
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn an_oversized_message_is_skipped_and_the_next_one_arrives() {
    let broker = Broker::new();
    let options = [("protocol", "3.1.1")];
    let (mut show, mut client, _) =
        connected(&broker, &options, &[("m.a", "probe.in")], CONNACK_V311);
    client.packet(&mut show);
    let size = MAX_PACKET_BYTES + 1;
    let mut bytes = vec![0x32];
    let mut length = size;
    while length > 0 {
        bytes.push((length & 0x7F) as u8 | if length > 0x7F { 0x80 } else { 0 });
        length >>= 7;
    }
    bytes.extend(b"\0\x01a\0\x07");
    bytes.resize(bytes.len() + size - 5, b'x');
    bytes.extend(b"\x30\x06\0\x01a0.7");
    client.stream.set_nonblocking(false).expect("set");
    let mut writer = client.stream.try_clone().expect("a handle");
    let thread = std::thread::spawn(move || writer.write_all(&bytes));
    assert_eq!(show.receive(1), [("in".into(), 0.7)]);
    thread.join().expect("no panic").expect("written");
    client.stream.set_nonblocking(true).expect("set");
    assert_eq!(client.packet(&mut show), [0x40, 2, 0, 7], "it is acknowledged all the same");
    assert_eq!(show.counters("m").dropped, 1);
}

#[test]
fn members_of_json_documents_are_read_and_written() {
    let broker = Broker::new();
    let options = [("light#/bri", "range 0 255 decimals 0"), ("light#/on", "switch true false")];
    let mappings = [
        ("probe.b", "m.light#/bri"),
        ("probe.o", "m.light#/on"),
        ("m.light#/bri", "probe.bri"),
        ("m.light#/on", "probe.on"),
        ("m.light#/seg/0/name", "probe.name"),
    ];
    let (mut show, mut client, _) = connected(&broker, &options, &mappings, CONNACK_V5);
    client.packet(&mut show);
    show.send_all(&[("b", 0.5), ("o", 1.0)]);
    let packet = client.packet(&mut show);
    assert_eq!(&packet[10..], br#"{"bri":128,"on":true}"#);
    let document = br#"{"bri":51,"on":false,"seg":[{"name":"left"}]}"#;
    let mut bytes = vec![0x30, (document.len() + 8) as u8];
    bytes.extend(b"\0\x05light\0");
    bytes.extend(document);
    client.send(&bytes);
    assert_eq!(show.receive(2), [("bri".into(), 0.2), ("on".into(), 0.0)]);
    assert_eq!(show.received_texts(), [("name".into(), "left".into())]);
}

#[test]
fn a_reload_keeps_the_connection_and_changes_the_subscriptions() {
    let broker = Broker::new();
    let host = broker.host();
    let setup = |mappings: &[(&str, &str)]| {
        let mut setup = TestShow::new();
        let options = [("host", host.as_str()), ("clientid", "t"), ("protocol", "3.1.1")];
        setup.instance(&DESCRIPTOR, "m", &options);
        for (source, target) in mappings {
            setup.map(source, target);
        }
        setup
    };
    let mut show = setup(&[("m.a", "probe.a"), ("m.b", "probe.b")]).start();
    let mut client = broker.accept(&mut show);
    client.packet(&mut show);
    client.send(CONNACK_V311);
    client.packet(&mut show);
    show.until_state("m", "up");
    let adoption = show.adopt(setup(&[("m.c", "probe.c"), ("m.b", "probe.b")]));
    assert_eq!(adoption.restarted, [""; 0]);
    assert_eq!(client.packet(&mut show), b"\xa2\x05\0\x02\0\x01a");
    assert_eq!(client.packet(&mut show), b"\x82\x06\0\x03\0\x01c\0");
    client.send(b"\x30\x04\0\x01c1\x30\x04\0\x01b0");
    assert_eq!(show.receive(2), [("c".into(), 1.0), ("b".into(), 0.0)]);
}

#[test]
fn a_clean_end_publishes_the_will_and_disconnects() {
    let broker = Broker::new();
    let options = [("will", "w gone"), ("birth", "w here"), ("protocol", "3.1.1")];
    let (mut show, mut client, _) = connected(&broker, &options, &[], CONNACK_V311);
    assert_eq!(client.packet(&mut show), b"\x31\x07\0\x01where");
    show.finish();
    let mut rest = Vec::new();
    client.stream.set_nonblocking(false).expect("set");
    client.stream.set_read_timeout(Some(DEADLINE)).expect("set");
    let mut buffer = [0; 64];
    while let Ok(count @ 1..) = client.stream.read(&mut buffer) {
        rest.extend(&buffer[..count]);
        if rest.ends_with(&[0xE0, 0]) {
            break;
        }
    }
    assert_eq!(rest, b"\x31\x07\0\x01wgone\xe0\0");
}

#[test]
fn options_that_do_not_fit_are_reported() {
    let report = |options: &[(&str, &str)]| -> Vec<String> {
        let mut setup = TestShow::new();
        match setup.try_instance(&DESCRIPTOR, "m", options) {
            Ok(()) => Vec::new(),
            Err(problems) => problems.into_iter().map(|problem| problem.message).collect(),
        }
    };
    for (options, expected) in [
        (&[("host", "b"), ("hsot", "x")][..], "`hsot` is not an option"),
        (&[("host", "b"), ("a", "range 1 1")], "is empty"),
        (&[("host", "b"), ("ca", "x.crt")], "`ca` needs TLS"),
        (&[("host", "mqtts://b"), ("ca", "no-such.crt")], "cannot read certificates from"),
        (&[("host", "b"), ("password", "x")], "a password needs a user"),
        (&[("host", "b"), ("share", "on"), ("a", "switch")], "have no effect with `share = on`"),
        (&[("host", "b"), ("share", "on"), ("keep-alive", "0")], "needs a keep-alive time"),
    ] {
        let problems = report(options);
        assert!(problems.iter().any(|text| text.contains(expected)), "{problems:?}");
    }
    assert_eq!(report(&[("host", "b"), ("a/+/b", "range 0 1")]), [""; 0]);
}

/// A session that a broker has accepted.
fn open(version: Version, answer: &[u8], now: Instant) -> Session<u32> {
    let mut session = Session::new(version, now);
    session.begin(now);
    let identity = Identity { client_id: "t".into(), user: None, password: None, keep_alive: 10 };
    session.connect(&identity, None);
    let count = session.outgoing().len();
    session.advance(count, now);
    let mut input = Input::default();
    input.push(answer);
    let packet = input.next(version).expect("a packet").expect("complete");
    assert_eq!(session.handle(packet), Ok(Some(Event::Connected)));
    session
}

#[test]
fn a_silent_broker_is_noticed() {
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let mut session = open(Version::V311, CONNACK_V311, now);
    assert_eq!(session.deadline(), Some(at(5)));
    assert_eq!(session.tick(at(4)), Ok(()));
    assert!(session.outgoing().is_empty());
    assert_eq!(session.tick(at(5)), Ok(()));
    assert_eq!(session.outgoing(), [0xC0, 0]);
    session.advance(2, at(5));
    assert_eq!(session.handle(Packet::PingResp), Ok(None));
    session.received(at(6));
    assert_eq!(session.deadline(), Some(at(10)));
    assert_eq!(session.tick(at(10)), Ok(()));
    assert!(matches!(session.tick(at(20)), Err(Failure::Other(_))));
}

#[test]
fn exactly_once_takes_two_steps_in_both_directions() {
    let now = Instant::now();
    let mut session = open(Version::V5, CONNACK_V5, now);
    let publication =
        Publication { topic: "a", payload: b"1", qos: Qos::ExactlyOnce, retain: false };
    assert_eq!(session.publish(&publication, None, || 7), Queued::Yes);
    let count = session.outgoing().len();
    session.advance(count, now);
    let received = Packet::Acknowledge(Acknowledgement::PubRec, 1, None);
    assert_eq!(session.handle(received), Ok(None));
    assert_eq!(session.outgoing(), [0x62, 2, 0, 1]);
    let completed = Packet::Acknowledge(Acknowledgement::PubComp, 1, None);
    assert_eq!(session.handle(completed), Ok(Some(Event::Delivered(7))));
    let message =
        Message { topic: "b", payload: b"x", qos: Qos::ExactlyOnce, retain: false, id: 9 };
    assert_eq!(session.handle(Packet::Publish(message)), Ok(Some(Event::Message(message))));
    assert_eq!(session.handle(Packet::Publish(message)), Ok(None), "a repeated one");
    let released = Packet::Acknowledge(Acknowledgement::PubRel, 9, None);
    assert_eq!(session.handle(released), Ok(None));
    assert!(session.outgoing().ends_with(&[0x70, 2, 0, 9]));
    assert_eq!(session.handle(Packet::Publish(message)), Ok(Some(Event::Message(message))));
}

#[test]
fn the_limits_of_the_broker_are_kept() {
    let now = Instant::now();
    // Receive maximum 2, maximum quality of service 1, no retained messages, packets of 32 bytes.
    let answer = b"\x20\x0f\0\0\x0c\x21\0\x02\x24\x01\x25\0\x27\0\0\0\x20";
    let mut session = open(Version::V5, answer, now);
    let small = Publication { topic: "a", payload: b"1", qos: Qos::ExactlyOnce, retain: true };
    assert_eq!(session.publish(&small, None, || 1), Queued::Yes);
    assert_eq!(session.outgoing()[0], 0x32);
    assert_eq!(session.publish(&small, None, || 2), Queued::Yes);
    assert_eq!(session.publish(&small, None, || 3), Queued::Full);
    let large = Publication { payload: &[b'x'; 40], ..small };
    assert_eq!(session.publish(&large, None, || 4), Queued::TooLarge);
    assert_eq!(session.close().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_slow_connection_has_a_bounded_queue() {
    let now = Instant::now();
    let mut session = open(Version::V311, CONNACK_V311, now);
    let payload = [b'x'; 1_000];
    let publication =
        Publication { topic: "a", payload: &payload, qos: Qos::AtMostOnce, retain: false };
    let count = (0..10_000).filter(|_| session.publish(&publication, None, || 0) == Queued::Yes);
    assert!((1_000..1_100).contains(&count.count()));
    // A broker that sends without receiving is disconnected before the answers fill the memory.
    let message = Message { topic: "b", payload: b"", qos: Qos::AtLeastOnce, retain: false, id: 1 };
    let end = (0..1_000_000).find(|_| session.handle(Packet::Publish(message)).is_err());
    assert!(end.is_some());
}

#[test]
fn invalid_packets_are_errors() {
    for (bytes, version) in [
        (b"\x36\x03\0\x01a".as_slice(), Version::V311),
        (b"\x30\x03\0\x02a", Version::V311),
        (b"\x30\x03\0\x01\xff", Version::V311),
        (b"\x30\x02\0\0", Version::V311),
        (b"\x30\x06\0\x01a\x02\x99\0", Version::V5),
        (b"\x30\x07\0\x01a\x03\x23\0\x01", Version::V5),
        (b"\x40\x01\0", Version::V311),
        (b"\x10\0", Version::V311),
        (b"\xc0\0", Version::V5),
        (b"\x20\xff\xff\xff\x7f", Version::V5),
    ] {
        let mut input = Input::default();
        input.push(bytes);
        assert!(matches!(input.next(version), Err(Malformed(_))), "{bytes:?}");
    }
}

#[test]
fn subscriptions_and_publications_are_encoded_as_the_specification_says() {
    let mut out = Vec::new();
    let filter = Filter { filter: "a/+", qos: Qos::AtLeastOnce, no_local: true };
    encode::subscribe(&mut out, Version::V5, 10, &[filter]);
    encode::subscribe(&mut out, Version::V311, 10, &[filter]);
    encode::unsubscribe(&mut out, Version::V5, 11, &["a"]);
    let expected =
        b"\x82\x09\0\x0a\0\0\x03a/+\x05\x82\x08\0\x0a\0\x03a/+\x01\xa2\x06\0\x0b\0\0\x01a";
    assert_eq!(out, expected);
    out.clear();
    let payload = vec![b'x'; 200];
    let publication =
        Publication { topic: "a", payload: &payload, qos: Qos::AtLeastOnce, retain: true };
    encode::publish(&mut out, Version::V311, &publication, 258, Alias::First(3));
    assert_eq!(out[..8], [0x33, 0xCD, 0x01, 0, 1, b'a', 1, 2]);
    assert_eq!(out.len(), 3 + 205);
    assert!(encode::publication_bytes(1, 200) >= out.len());
}

/// The corpora of the fuzz targets.
mod corpus {
    use proptest::prelude::*;

    fn replay(target: &str, run: impl Fn(&[u8])) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/");
        let mut count = 0;
        for entry in std::fs::read_dir(format!("{folder}{target}")).expect("a corpus") {
            run(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
            count += 1;
        }
        assert!(count > 3, "{target}");
    }

    #[test]
    fn the_committed_corpora_pass() {
        replay("mqtt_packets", super::super::fuzz::mqtt_packets);
        replay("mqtt_payload", super::super::fuzz::mqtt_payload);
    }

    proptest! {
        #[test]
        fn any_bytes_are_handled(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            super::super::fuzz::mqtt_packets(&bytes);
            super::super::fuzz::mqtt_payload(&bytes);
            let mut connected = vec![bytes.first().copied().unwrap_or(1) | 1];
            connected.extend(super::CONNACK_V5);
            connected.extend(&bytes);
            super::super::fuzz::mqtt_packets(&connected);
        }
    }
}
