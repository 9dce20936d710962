//! Tests of running instances with sockets of this computer.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use consort_router::inspect::InstanceReport;
use consort_router::testing::{DEADLINE, Performance, TestShow};
use socket2::{Domain, SockRef, Socket, Type};

use super::DESCRIPTOR;
use super::codec::{Decoder, Message};
use super::server::MAX_CLIENTS;

/// A server that an instance sends to.
struct Server {
    listener: TcpListener,
    stream: Option<TcpStream>,
    decoder: Decoder,
}

impl Server {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        listener.set_nonblocking(true).expect("non-blocking");
        Server { listener, stream: None, decoder: Decoder::default() }
    }

    fn address(&self) -> String {
        let address = self.listener.local_addr().expect("an address");
        format!("127.0.0.1 {}", address.port())
    }

    fn accept(&mut self, show: &mut Performance) {
        show.until("a connection", |_| match self.listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true).expect("non-blocking");
                self.stream = Some(stream);
                self.decoder = Decoder::default();
                true
            }
            Err(_) => false,
        });
    }

    /// The messages that have arrived.
    fn messages(&mut self) -> Vec<(u8, u8, Vec<u8>)> {
        let mut buffer = [0; 65_536];
        let mut messages = Vec::new();
        let Some(stream) = &mut self.stream else { return messages };
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            self.decoder.push(&buffer[..count]);
            while let Some(message) = self.decoder.next() {
                messages.push((message.strip, message.command, message.data.to_vec()));
            }
        }
        messages
    }

    /// Turns until so many messages have arrived, and returns them.
    fn receive(&mut self, show: &mut Performance, count: usize) -> Vec<(u8, u8, Vec<u8>)> {
        let mut messages = Vec::new();
        show.until(&format!("{count} messages"), |_| {
            messages.extend(self.messages());
            messages.len() >= count
        });
        messages
    }
}

/// What the instance `leds` reports about itself. The request waits for the router, so that it is
/// made on another thread.
fn inspect(show: &mut Performance) -> InstanceReport {
    let (handle, id) = (show.router.handle(), show.id("leds"));
    let request = std::thread::spawn(move || handle.inspect(id, 0..0, DEADLINE));
    show.until("the report", |_| request.is_finished());
    request.join().expect("no panic").expect("a report")
}

/// The address on which the instance `leds` listens.
fn address(show: &mut Performance) -> SocketAddr {
    show.until_state("leds", "up");
    inspect(show).listens.first().expect("a listener").address
}

/// Connects a client to the instance `leds`.
fn connect(show: &mut Performance) -> TcpStream {
    TcpStream::connect(address(show)).expect("connected")
}

fn send(stream: &mut TcpStream, strip: u8, command: u8, data: &[u8]) {
    let mut bytes = Vec::new();
    Message { strip, command, data }.encode(&mut bytes);
    stream.write_all(&bytes).expect("sent");
}

fn show_of(options: &[(&str, &str)], mappings: &[(&str, &str)]) -> TestShow {
    let mut show = TestShow::new();
    show.instance(&DESCRIPTOR, "leds", options);
    for (source, target) in mappings {
        show.map(source, target);
    }
    show
}

const LISTEN: (&str, &str) = ("listen", "127.0.0.1 0");

#[test]
fn values_are_sent_and_a_server_that_returns_gets_the_newest() {
    let mut server = Server::new();
    let options = [("destination", &*server.address()), ("order", "grb")];
    let mappings = [("probe.a", "leds.strip1.red1"), ("probe.b", "leds.strip1.green2")];
    let mut show = show_of(&options, &mappings).start();
    server.accept(&mut show);
    show.until_state("leds", "up");
    show.send("a", 0.2);
    assert_eq!(server.receive(&mut show, 1), [(1, 0, vec![0, 51, 0, 0, 0, 0])]);
    // Values of one turn are one message.
    show.send_all(&[("a", 0.4), ("b", 1.0)]);
    assert_eq!(server.receive(&mut show, 1), [(1, 0, vec![0, 102, 0, 255, 0, 0])]);

    server.stream = None;
    show.until_state("leds", "waiting");
    let reason = show.state("leds").reason().unwrap_or_default().to_owned();
    assert!(reason.contains("lost the connection to 127.0.0.1:"), "{reason}");
    show.send("a", 0.6);
    show.send("a", 0.8);
    server.accept(&mut show);
    show.until_state("leds", "up");
    let newest = (1, 0, vec![0, 204, 0, 255, 0, 0]);
    show.until("the newest value", |_| server.messages().last() == Some(&newest));
    show.finish();
}

#[test]
fn the_last_values_are_sent_at_the_end_whatever_the_rate() {
    let mut server = Server::new();
    let options = [("destination", &*server.address()), ("rate", "1")];
    let mut show = show_of(&options, &[("probe.a", "leds.strip1.red1")]).start();
    server.accept(&mut show);
    show.until_state("leds", "up");
    show.send("a", 0.2);
    show.send("a", 0.4);
    show.send("a", 0.6);
    show.finish();
    let messages = server.messages();
    assert_eq!(messages.last(), Some(&(1, 0, vec![153, 0, 0])), "{messages:?}");
}

#[test]
fn a_missing_server_and_a_taken_port_are_reasons_to_wait() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let port = taken.local_addr().expect("an address").port();
    let options = [("listen", &*format!("127.0.0.1 {port}"))];
    let mut show = show_of(&options, &[("leds.strip1.red1", "probe.a")]).start();
    show.until_state("leds", "waiting");
    let reason = show.state("leds").reason().unwrap_or_default().to_owned();
    assert!(reason.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{reason}");
    drop(taken);
    show.until_state("leds", "up");

    // A port that is taken and on which nobody listens.
    let mute = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    mute.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("bound");
    let port = mute.local_addr().expect("one").as_socket().expect("an address").port();
    let options = [("destination", &*format!("127.0.0.1 {port}"))];
    let mut show = show_of(&options, &[("probe.a", "leds.red1")]).start();
    show.until_state("leds", "waiting");
    let reason = show.state("leds").reason().unwrap_or_default().to_owned();
    assert!(reason.contains(&format!("cannot connect to 127.0.0.1:{port}")), "{reason}");
}

#[test]
fn changes_are_emitted_and_the_first_message_is_emitted_whole() {
    let mappings = [
        ("leds.strip1.red1", "probe.r"),
        ("leds.strip1.blue2", "probe.b"),
        ("leds.strip2.red1", "probe.other"),
    ];
    let mut show = show_of(&[LISTEN], &mappings).start();
    let mut client = connect(&mut show);
    let named = |name: &str, value| (name.to_owned(), value);
    // A message that ends within a pixel.
    send(&mut client, 1, 0, &[0, 9, 9, 8]);
    assert_eq!(show.receive(1), [named("r", 0.0)]);
    send(&mut client, 1, 0, &[51, 9, 9, 8, 9, 255, 7]);
    assert_eq!(show.receive(2), [named("r", 0.2), named("b", 1.0)]);
    // Nothing changes; then a message of another client, which counts as well.
    let mut second = connect(&mut show);
    send(&mut client, 1, 0, &[51, 9, 9, 8, 9, 255, 7]);
    send(&mut client, 1, 0xFF, &[0xF0, 0xCA, 0x71, 0x2E]);
    send(&mut client, 1, 0, &[]);
    send(&mut second, 2, 0, &[102]);
    assert_eq!(show.receive(1), [named("other", 0.4)]);
    // Strip 0 is every mapped strip.
    send(&mut second, 0, 0, &[255]);
    assert_eq!(show.receive(2), [named("r", 1.0), named("other", 1.0)]);
    assert_eq!(show.counters("leds").errors, 0);
    // Another mode and an unknown command.
    send(&mut client, 1, 2, &[0, 0]);
    send(&mut client, 1, 77, &[0, 0]);
    show.until("two errors", |show| show.counters("leds").errors == 2);
    assert_eq!(inspect(&mut show).invalid_packets, 2);
}

#[test]
fn sixteen_bits_pass_from_one_instance_to_another_unchanged() {
    let mut show = show_of(&[LISTEN, ("mode", "16bit")], &[("leds.strip3.green1", "probe.out")]);
    let mut receiver = show.start();
    let destination = format!("127.0.0.1 {}", address(&mut receiver).port());
    let options = [("destination", &*destination), ("mode", "16bit"), ("rate", "0")];
    show = show_of(&options, &[("probe.in", "leds.strip3.green1")]);
    let mut sender = show.start();
    sender.until("the connection", |show| {
        receiver.router.step(Some(std::time::Duration::from_millis(1))).expect("a turn");
        show.state("leds").word() == "up"
    });
    for raw in [0_u32, 1, 255, 256, 32_768, 65_534, 65_535] {
        let value = f64::from(raw) / 65_535.0;
        sender.send("in", value);
        assert_eq!(receiver.receive(1), [("out".to_owned(), value)]);
    }
}

#[test]
fn unmatched_components_are_listed_by_the_names_that_map_them() {
    let mut show = show_of(&[LISTEN, ("order", "grbw")], &[]).start();
    let mut client = connect(&mut show);
    // Without a source, strip 0 is listed as strip 1. Zeros of the first message are not listed.
    send(&mut client, 0, 0, &[0, 0, 0, 0, 0, 7, 0, 9]);
    let id = show.id("leds");
    let live = show.router.handle().live();
    show.until("two", |_| live.unmatched_count(id) == 2);
    let listed = || {
        let list = live.unmatched(id);
        let mut names: Vec<String> = list.iter().map(|entry| entry.channel.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(listed(), ["strip1.red2", "strip1.white2"]);
    // All of a long message are counted; eight of each are listed, others with the next one.
    for level in 1..=3 {
        send(&mut client, 2, 0, &[level; 20]);
    }
    show.until("all", |_| live.unmatched_count(id) == 62);
    assert_eq!(listed().len(), 2 + 20);
}

#[test]
fn a_reload_keeps_connections_and_emits_new_channels_with_the_next_message() {
    let mut show = show_of(&[LISTEN], &[("leds.strip1.red1", "probe.r")]).start();
    let mut client = connect(&mut show);
    send(&mut client, 1, 0, &[51, 102, 153]);
    assert_eq!(show.receive(1), [("r".to_owned(), 0.2)]);
    let mappings = [("leds.strip1.blue1", "probe.b"), ("leds.strip1.red1", "probe.r")];
    let adoption = show.adopt(show_of(&[LISTEN], &mappings));
    assert!(adoption.restarted.is_empty(), "{adoption:?}");
    send(&mut client, 1, 0, &[51, 102, 153]);
    assert_eq!(show.receive(1), [("b".to_owned(), 0.6)]);
    send(&mut client, 1, 0, &[255, 102, 153]);
    assert_eq!(show.receive(1), [("r".to_owned(), 1.0)]);
}

#[test]
fn the_number_of_clients_is_bounded_and_hosts_that_are_not_allowed_are_refused() {
    let mut show = show_of(&[LISTEN], &[("leds.strip1.red1", "probe.r")]).start();
    let mut active = connect(&mut show);
    send(&mut active, 1, 0, &[51]);
    show.receive(1);
    let idle: Vec<TcpStream> = (0..MAX_CLIENTS + 5).map(|_| connect(&mut show)).collect();
    // One that has sent a message is replaced last.
    show.until("replacements", |show| show.counters("leds").errors == 6);
    send(&mut active, 1, 0, &[255]);
    assert_eq!(show.receive(1), [("r".to_owned(), 1.0)]);
    drop(idle);

    let options = [LISTEN, ("allow", "192.0.2.1")];
    let mut show = show_of(&options, &[("leds.strip1.red1", "probe.r")]).start();
    let mut client = connect(&mut show);
    show.until("the refusal", |show| show.counters("leds").errors == 1);
    client.set_read_timeout(Some(std::time::Duration::from_secs(30))).expect("set");
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0, "the connection is closed");
}

#[test]
fn a_slow_server_gets_the_newest_values_and_memory_is_bounded() {
    let mut server = Server::new();
    let options = [("destination", &*server.address()), ("rate", "0")];
    let mappings = [("probe.a", "leds.strip1.channel1"), ("probe.z", "leds.strip1.channel65535")];
    let mut show = show_of(&options, &mappings).start();
    server.accept(&mut show);
    show.until_state("leds", "up");
    // More than the buffers of both sockets hold.
    for round in 0..2_000 {
        show.send_all(&[("a", f64::from(round % 250) / 255.0), ("z", 1.0)]);
    }
    show.send("a", 1.0);
    assert!(show.counters("leds").dropped > 0, "the socket took more than 100 MB");
    show.until("the newest value", |_| {
        server.messages().iter().any(|(_, _, data)| (data[0], data[65_534]) == (255, 255))
    });
}

#[test]
fn wrong_options_are_reported() {
    let mut show = TestShow::new();
    let problems =
        show.try_instance(&DESCRIPTOR, "leds", &[("mode", "8bit")]).expect_err("neither");
    assert!(problems[0].message.contains("neither sends nor receives"), "{problems:?}");
    show.instance(&DESCRIPTOR, "in", &[LISTEN]);
    show.instance(&DESCRIPTOR, "out", &[("destination", "127.0.0.1 1")]);
    let error = show.channel("in.red1", consort_router::Usage::Target).expect_err("no destination");
    assert!(error.message.contains("no `destination`"), "{error:?}");
    let error = show.channel("out.strip1.red1", consort_router::Usage::Source).expect_err("mute");
    assert!(error.message.contains("no `listen`"), "{error:?}");
    for (value, is_right) in [("::1 7890", true), ("7890", true), ("a b c", false)] {
        assert_eq!(super::config::check_listen(value).is_ok(), is_right, "{value}");
    }
}

/// A peer that breaks its connections in every way, ten times in this test; the soak has a hundred
/// real processes.
#[test]
fn connections_that_break_are_no_fault() {
    let mut show = show_of(&[LISTEN], &[("leds.strip1.red1", "probe.r")]).start();
    for round in 1..=10_u8 {
        let mut client = connect(&mut show);
        send(&mut client, 1, 0, &[round]);
        show.receive(1);
        client.write_all(&[1, 0, 0xFF]).expect("the begin of a message");
        match round % 3 {
            0 => client.shutdown(Shutdown::Write).expect("closed"),
            1 => {
                SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).expect("a reset")
            }
            _ => {}
        }
    }
    assert_eq!(show.state("leds").word(), "up");
}
