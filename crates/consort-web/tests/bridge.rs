//! What is passed between a browser and the show.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;

use consort_control::{Answer, Delta};
use consort_web::{Page, Role, Settings, Tokens};
use support::{WAIT_TIMEOUT, closed, serve, serve_with, text};
use tungstenite::Message;

#[test]
fn requests_and_answers_are_passed_on_in_order() {
    let served = serve(Role::Control);
    let mut socket = served.connect(Role::Control);
    let show = served.show();
    let mut lines = BufReader::new(show.try_clone().expect("a descriptor")).lines();
    for request in [r#"{"hello":{"version":2}}"#, r#""layout""#, r#""panic""#] {
        socket.send(Message::text(request)).expect("sent");
        assert_eq!(lines.next().expect("a line").expect("read"), request);
    }
    for answer in [r#"{"error":"one"}"#, r#"{"stale":{"generation":7}}"#, r#""done""#] {
        writeln!(&show, "{answer}").expect("sent");
        assert_eq!(text(&mut socket), answer);
    }
}

#[test]
fn a_browser_that_reads_slowly_gets_fewer_and_newer_deltas() {
    const DELTAS: u64 = 2_000;
    const CHANNELS: u32 = 1_000;
    let served = serve(Role::View);
    let mut socket = served.connect(Role::View);
    let show = served.show();
    // The browser reads nothing while far more than all buffers hold is sent.
    for count in 1..=DELTAS {
        let values = (0..CHANNELS).map(|channel| (channel, 0.123_456_789, count)).collect();
        let delta = Delta { running: true, values, ..Delta::default() };
        (&show).write_all(&Answer::Delta(delta).encode()).expect("the page reads on");
    }
    (&show).write_all(b"\"done\"\n").expect("sent");
    let (mut received, mut newest) = (0, 0);
    loop {
        let message = text(&mut socket);
        match Answer::decode(message.as_bytes()).expect("an answer") {
            Answer::Delta(delta) => {
                assert_eq!(delta.values.len(), CHANNELS as usize);
                assert!(delta.values[0].2 > newest, "in order");
                newest = delta.values[0].2;
                received += 1;
            }
            Answer::Done => break,
            other => panic!("unexpected: {other:?}"),
        }
    }
    assert_eq!(newest, DELTAS, "the newest arrives");
    assert!(received < DELTAS, "{received} of {DELTAS} deltas were sent");
}

#[test]
fn the_end_of_the_show_is_reported() {
    let served = serve(Role::View);
    let mut socket = served.connect(Role::View);
    drop(served.show());
    assert_eq!(closed(&mut socket), (Vec::new(), 1001));
}

#[test]
fn a_show_that_is_not_running_is_reported() {
    let tokens = Tokens::random().expect("random numbers");
    let settings = Settings {
        address: "127.0.0.1:0".parse().expect("an address"),
        highest_role: Role::View,
        tokens: tokens.clone(),
        tls: None,
        surfaces: None,
    };
    let page = Page::start(settings, Arc::new(|| Err(std::io::ErrorKind::NotFound.into())));
    let (_, shows) = std::sync::mpsc::channel();
    let served = support::Served { page: page.expect("listening"), tokens, shows };
    let mut socket = served.connect(Role::View);
    assert_eq!(closed(&mut socket), (Vec::new(), 1013));
}

#[test]
fn the_page_ends_with_its_connections() {
    let served = serve(Role::View);
    let address = served.address();
    let mut socket = served.connect(Role::View);
    let mut show = served.show();
    drop(served.page);
    assert!(socket.read().is_err(), "disconnected");
    let mut rest = Vec::new();
    show.read_to_end(&mut rest).expect("disconnected");
    assert!(std::net::TcpStream::connect(address).is_err(), "the port is free");
}

#[test]
fn the_page_is_served_by_https() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let config = consort_web::server_config(&cert, &key).expect("usable");
    let served = serve_with(Role::View, Some(config));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("added");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().expect("a name");
    let client = rustls::ClientConnection::new(Arc::new(config), name).expect("a client");
    let stream = std::net::TcpStream::connect(served.address()).expect("connected");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
    let mut stream = rustls::StreamOwned::new(client, stream);
    let port = served.address().port();
    let token = served.tokens.of(Role::View);
    write!(
        stream,
        "POST /session HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: https://localhost:{port}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{token}",
        token.len()
    )
    .expect("sent");
    let mut answer = String::new();
    // The end may come without an alert of TLS.
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("; Secure"), "{answer}");
}

#[test]
fn a_client_without_a_handshake_of_tls_is_disconnected() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let config = consort_web::server_config(&cert, &key).expect("usable");
    let served = serve_with(Role::View, Some(config));
    let mut stream = std::net::TcpStream::connect(served.address()).expect("connected");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
    let mut answer = Vec::new();
    assert!(stream.read_to_end(&mut answer).is_ok_and(|count| count < 100), "closed");
}
