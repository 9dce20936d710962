//! Instances in a show, with phones that are sockets of the tests.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::Duration;

use consort_router::testing::{Performance, TestShow, free_port};
use consort_router::{BackendDescriptor, State};
use consort_web::{SurfaceToken, Surfaces};
use tempfile::TempDir;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

use super::{DESCRIPTOR, Web, log_link};

/// The deadline for anything that a phone waits for.
const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// The folder with the token of the tests' surfaces.
static STATE: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// The backend with a folder of its own for the token.
const BACKEND: BackendDescriptor = BackendDescriptor {
    create: || {
        let state = Some(STATE.path().to_owned());
        Box::new(Web { state, ..Web::new(Surfaces::default(), log_link) })
    },
    ..DESCRIPTOR
};

/// The token of the tests' surfaces.
fn token() -> String {
    SurfaceToken::load(STATE.path()).expect("a token").text().to_owned()
}

/// Connects a phone to the surface `band` at a port.
fn phone(port: u16, token: &str) -> Result<WebSocket<TcpStream>, u16> {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
    let url = format!("ws://127.0.0.1:{port}/surface/band/socket");
    let mut request = url.into_client_request().expect("a request");
    for (name, value) in [
        ("Origin", format!("http://127.0.0.1:{port}")),
        ("Cookie", format!("consort-surface={token}")),
    ] {
        request.headers_mut().insert(name, HeaderValue::from_str(&value).expect("a header"));
    }
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
            Err(response.status().as_u16())
        }
        Err(error) => panic!("{error}"),
    }
}

/// The next text; pings are answered.
fn text(socket: &mut WebSocket<TcpStream>) -> String {
    loop {
        match socket.read().expect("a message") {
            Message::Text(text) => return text.as_str().to_owned(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("expected a text: {other:?}"),
        }
    }
}

fn send(socket: &mut WebSocket<TcpStream>, text: &str) {
    socket.send(Message::Text(text.into())).expect("sent");
}

/// A show with the surface `band` at a port.
fn show(port: u16) -> Performance {
    let mut show = TestShow::new();
    show.instance(
        &BACKEND,
        "band",
        &[
            ("bind", &format!("127.0.0.1 {port}")),
            ("title", "The band"),
            ("fader.b.order", "1"),
            ("button.go.page", "More"),
        ],
    );
    show.map("band.fader.a", "probe.a");
    show.map("band.button.go", "probe.go");
    show.map("probe.in", "band.fader.b");
    show.map("probe.cue", "band.text.cue");
    let mut show = show.start();
    show.until_state("band", "up");
    show
}

/// Checks the next values that the probe gets.
fn received(show: &mut Performance, expected: &[(&str, f64)]) {
    let expected: Vec<(String, f64)> =
        expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    assert_eq!(show.receive(expected.len()), expected);
}

#[test]
fn a_phone_plays_a_surface_and_sees_its_targets() {
    let port = free_port();
    let mut show = show(port);
    let mut phone = phone(port, &token()).expect("accepted");
    let layout = text(&mut phone);
    let names = ["\"fader.b\"", "\"fader.a\"", "\"text.cue\"", "\"button.go\""];
    let places = names.map(|name| layout.find(name).expect(name));
    assert!(places.is_sorted() && layout.contains("\"The band\""), "{layout}");
    send(&mut phone, r#"{"set":[["fader.a",0.5],["button.go",1],["fader.b",1]]}"#);
    received(&mut show, &[("a", 0.5), ("go", 1.0)]);
    assert_eq!(text(&mut phone), r#"{"values":{"fader.a":0.5,"button.go":1},"texts":{}}"#);
    show.send("in", 0.25);
    assert_eq!(text(&mut phone), r#"{"values":{"fader.b":0.25},"texts":{}}"#);
    show.send_text("cue", "Intro");
    assert_eq!(text(&mut phone), r#"{"values":{},"texts":{"text.cue":"Intro"}}"#);
    drop(phone);
    received(&mut show, &[("go", 0.0)]);
}

#[test]
fn a_message_that_is_not_one_ends_the_connection_and_releases_buttons() {
    let port = free_port();
    let mut show = show(port);
    let mut phone = phone(port, &token()).expect("accepted");
    send(&mut phone, r#"{"set":[["button.go",1]]}"#);
    received(&mut show, &[("go", 1.0)]);
    send(&mut phone, r#"{"panic":true}"#);
    received(&mut show, &[("go", 0.0)]);
    let frame = loop {
        if let Message::Close(Some(frame)) = phone.read().expect("a message") {
            break frame;
        }
    };
    assert_eq!(u16::from(frame.code), 1008);
}

#[test]
fn what_is_held_is_released_when_the_show_ends() {
    let port = free_port();
    let mut show = show(port);
    let mut phone = phone(port, &token()).expect("accepted");
    send(&mut phone, r#"{"set":[["button.go",1]]}"#);
    received(&mut show, &[("go", 1.0)]);
    show.finish();
    let last = show.received().last().cloned();
    assert_eq!(last, Some(("go".to_owned(), 0.0)));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the port is closed");
}

#[test]
fn a_wrong_token_and_a_network_that_is_not_allowed_are_refused() {
    let port = free_port();
    let _show = show(port);
    assert_eq!(phone(port, "x").err(), Some(403));
    let port = free_port();
    let mut closed = TestShow::new();
    let bind = format!("127.0.0.1 {port}");
    closed.instance(&BACKEND, "band", &[("bind", &bind), ("allow", "10.0.0.0/8")]);
    closed.map("band.fader.a", "probe.a");
    let mut closed = closed.start();
    closed.until_state("band", "up");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer, b"");
}

#[test]
fn a_reload_changes_widgets_of_a_connected_phone() {
    let port = free_port();
    let mut running = show(port);
    let mut phone = phone(port, &token()).expect("accepted");
    text(&mut phone);
    send(&mut phone, r#"{"set":[["fader.a",0.5]]}"#);
    received(&mut running, &[("a", 0.5)]);
    text(&mut phone);
    let mut next = TestShow::new();
    let bind = format!("127.0.0.1 {port}");
    next.instance(&BACKEND, "band", &[("bind", &bind), ("fader.a.label", "Loud")]);
    next.map("probe.in", "band.meter.m");
    next.map("band.fader.a", "probe.a");
    assert_eq!(running.adopt(next).adopted, ["probe", "band"]);
    let layout = text(&mut phone);
    assert!(layout.contains("\"Loud\"") && !layout.contains("button.go"), "{layout}");
    assert_eq!(text(&mut phone), r#"{"values":{"fader.a":0.5},"texts":{}}"#);
    send(&mut phone, r#"{"set":[["fader.a",0.75],["button.go",1]]}"#);
    received(&mut running, &[("a", 0.75)]);
}

#[test]
fn without_a_page_and_without_bind_a_surface_waits() {
    let mut show = TestShow::new();
    show.instance(&BACKEND, "band", &[]);
    show.map("band.fader.a", "probe.a");
    let mut show = show.start();
    show.until_state("band", "waiting");
    let State::Waiting(reason) = show.state("band") else { panic!("it waits") };
    assert!(reason.contains("`--web`") && reason.contains("`bind"), "{reason}");
}

#[test]
fn a_port_in_use_is_waited_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut show = TestShow::new();
    show.instance(&BACKEND, "band", &[("bind", &format!("127.0.0.1 {port}"))]);
    show.map("band.fader.a", "probe.a");
    let mut show = show.start();
    show.until_state("band", "waiting");
    drop(listener);
    show.until_state("band", "up");
}

#[test]
fn wrong_options_are_reported_where_they_are() {
    for (name, value, message) in [
        ("fader.a", "x", "`fader.a` is not a property of a widget"),
        ("fader.a.lable", "x", "a widget has no property `lable`"),
        ("fader.a.colour", "reed", "`reed` is not a colour: expected a name or `#rrggbb`"),
        ("fader.a.order", "-1", "expected a whole number from 0 to 9999"),
        ("fader.a.width", "13", "expected a whole number from 1 to 12"),
        ("certificate", "x.pem", "missing option `key`"),
    ] {
        let mut show = TestShow::new();
        let problems = show.try_instance(&BACKEND, "band", &[(name, value)]).unwrap_err();
        assert!(problems.iter().any(|problem| problem.message == message), "{problems:?}");
    }
    let mut show = TestShow::new();
    show.instance(&BACKEND, "band", &[("fader.a.label", "x"), ("fader.b.label", "y")]);
    show.map("band.fader.a", "probe.a");
    let messages: Vec<_> = show.check("band").into_iter().map(|problem| problem.message).collect();
    assert_eq!(messages, ["no mapping uses the widget `fader.b`"]);
}
