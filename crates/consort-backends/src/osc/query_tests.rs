//! The namespace of an instance, as clients read it.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

use consort_router::testing::{Performance, TestShow, free_port};
use tungstenite::Message;

use super::DESCRIPTOR;

/// The deadline for anything that a client waits for.
const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// The body of the answer to a request, or its status.
fn get(port: u16, target: &str) -> Result<serde_json::Value, u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
    let request = format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status: u16 = answer[9..12].parse().expect("a status");
    match status {
        200 => {
            let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
            Ok(serde_json::from_str(body).expect("JSON"))
        }
        status => Err(status),
    }
}

/// Runs a client on another thread while the show turns.
fn with_client<T: Send + 'static>(
    show: &mut Performance,
    client: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, result) = mpsc::channel();
    let thread = std::thread::spawn(move || sender.send(client()).expect("the test waits"));
    let mut answer = None;
    show.until("the client", |_| {
        answer = result.try_recv().ok();
        answer.is_some() || thread.is_finished()
    });
    thread.join().expect("the client");
    answer.or_else(|| result.try_recv().ok()).expect("an answer")
}

fn show(bind: u16, query: u16) -> Performance {
    let mut show = TestShow::new();
    show.instance(
        &DESCRIPTOR,
        "desk",
        &[
            ("bind", &format!("127.0.0.1 {bind}")),
            ("query", &format!("127.0.0.1 {query}")),
            ("destination", "127.0.0.1 9"),
            ("/ch/*", "i 0 127"),
        ],
    );
    show.map("desk./ch/1", "probe.in");
    show.map("probe.out", "desk./meter");
    let mut show = show.start();
    show.until_state("desk", "up");
    show
}

#[test]
fn clients_read_the_tree_and_listen_to_values() {
    let (bind, query) = (free_port(), free_port());
    let mut show = show(bind, query);
    let tree = with_client(&mut show, move || get(query, "/").expect("the tree"));
    let fader = &tree["CONTENTS"]["ch"]["CONTENTS"]["1"];
    assert_eq!((&fader["TYPE"], &fader["ACCESS"]), (&"i".into(), &3.into()));
    assert_eq!(fader["RANGE"][0]["MAX"], 127.0);
    let meter = &tree["CONTENTS"]["meter"];
    assert_eq!((&meter["TYPE"], &meter["ACCESS"]), (&"f".into(), &1.into()));
    let info = with_client(&mut show, move || get(query, "/?HOST_INFO").expect("the host"));
    assert_eq!((&info["NAME"], &info["OSC_PORT"]), (&"desk".into(), &bind.into()));
    for (target, status) in [("/unknown", 404), ("/ch/1?UNIT", 204), ("/%ff", 404)] {
        let answer = with_client(&mut show, move || get(query, target));
        assert_eq!(answer, Err(status), "{target}");
    }
    let packet = with_client(&mut show, move || {
        let stream = TcpStream::connect(("127.0.0.1", query)).expect("connected");
        stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
        let url = format!("ws://127.0.0.1:{query}/");
        let (mut socket, _) = tungstenite::client(url, stream).expect("accepted");
        let listen = r#"{"COMMAND":"LISTEN","DATA":"/ch/1"}"#;
        socket.send(Message::Text(listen.into())).expect("sent");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        sender.send_to(b"/ch/1\0\0\0,i\0\0\0\0\0\x40", ("127.0.0.1", bind)).expect("sent");
        loop {
            if let Message::Binary(packet) = socket.read().expect("a message") {
                return packet.to_vec();
            }
        }
    });
    assert_eq!(packet, b"/ch/1\0\0\0,i\0\0\0\0\0\x40");
    let value = with_client(&mut show, move || get(query, "/ch/1?VALUE").expect("a value"));
    assert_eq!(value["VALUE"][0], 64);
}

#[test]
fn the_option_is_off_by_default_and_needs_an_address() {
    let (bind, query) = (free_port(), free_port());
    let mut show = TestShow::new();
    show.instance(&DESCRIPTOR, "desk", &[("bind", &format!("127.0.0.1 {bind}"))]);
    show.map("desk./a", "probe.in");
    let mut show = show.start();
    show.until_state("desk", "up");
    for port in [bind, query] {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "{port}");
    }
    let mut show = TestShow::new();
    for options in [
        &[("destination", "127.0.0.1 9"), ("query", "on")][..],
        &[("bind", "127.0.0.1 9000"), ("transport", "tcp"), ("query", "on")],
    ] {
        let problems = show.try_instance(&DESCRIPTOR, "other", options).unwrap_err();
        assert!(problems[0].message.starts_with("`query = on` needs"), "{problems:?}");
    }
}
