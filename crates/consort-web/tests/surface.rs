//! Control surfaces that join the page: who may use them, and phones that are slow or send too much.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use consort_web::{
    Layout, Page, Role, Settings, SurfaceChannel, SurfaceFeed, SurfaceToken, Surfaces, Tokens,
};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{HandshakeError, Message, WebSocket};

/// The deadline for anything that a test waits for.
const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// A page with the surface `band`.
struct Served {
    page: Page,
    tokens: Tokens,
    token: SurfaceToken,
    surfaces: Surfaces,
    feed: SurfaceFeed,
}

fn serve(highest_role: Role, channels: usize) -> Served {
    let channel = |number: usize| SurfaceChannel {
        name: format!("fader.{number}"),
        is_source: true,
        is_button: false,
    };
    let layout = Layout { title: "Band".into(), columns: 4, pages: Vec::new() };
    let feed = SurfaceFeed::new(&layout, (0..channels).map(channel).collect(), Box::new(|| {}));
    let surfaces = Surfaces::default();
    surfaces.add("band", feed.surface());
    let token = SurfaceToken::random().expect("random numbers");
    let tokens = Tokens::random().expect("random numbers");
    let settings = Settings {
        address: "127.0.0.1:0".parse().expect("an address"),
        highest_role,
        tokens: tokens.clone(),
        tls: None,
        surfaces: Some((surfaces.clone(), token.clone())),
    };
    let connect = Arc::new(|| UnixStream::pair().map(|(client, _)| client));
    let page = Page::start(settings, connect).expect("listening");
    Served { page, tokens, token, surfaces, feed }
}

impl Served {
    fn address(&self) -> SocketAddr {
        self.page.address()
    }

    /// The first line of the answer to a request.
    fn ask(&self, request: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).expect("connected");
        stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
        let (host, length) = (self.address(), body.len());
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        )
        .expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A WebSocket, or the status with which it is refused.
    fn socket(&self, path: &str, origin: &str, cookie: &str) -> Result<WebSocket<TcpStream>, u16> {
        let stream = TcpStream::connect(self.address()).expect("connected");
        stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
        let url = format!("ws://{}{path}", self.address());
        let mut request = url.into_client_request().expect("a request");
        for (name, value) in [("Origin", origin), ("Cookie", cookie)] {
            request.headers_mut().insert(name, HeaderValue::from_str(value).expect("a header"));
        }
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(socket),
            Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                Err(response.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address())
    }

    fn phone(&self) -> WebSocket<TcpStream> {
        let cookie = format!("consort-surface={}", self.token.text());
        self.socket("/surface/band/socket", &self.origin(), &cookie).expect("accepted")
    }
}

#[test]
fn the_token_of_surfaces_unlocks_them_and_nothing_else() {
    let served = serve(Role::Control, 1);
    let (own, token) = (served.origin(), served.token.text());
    let cookie = format!("consort-surface={token}");
    let headers = format!("Origin: {own}\r\n");
    let answer = served.ask("POST /surface-session", &headers, token);
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let lower = answer.to_ascii_lowercase();
    assert!(lower.contains(&format!("set-cookie: {cookie}; path=/; ")), "{answer}");
    assert!(lower.contains("httponly; samesite=strict"), "{answer}");
    // The page does not accept it, under either name.
    let answer = served.ask("POST /session", &headers, token);
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    for cookie in [cookie.clone(), format!("consort={token}")] {
        assert_eq!(served.socket("/control", &own, &cookie).err(), Some(403));
    }
    let path = "/surface/band/socket";
    assert!(served.socket(path, &own, &cookie).is_ok());
    assert_eq!(served.socket("/surface/crew/socket", &own, &cookie).err(), Some(404));
    assert_eq!(served.socket(path, "http://evil.example", &cookie).err(), Some(403));
    assert_eq!(served.socket(path, &own, "consort-surface=x").err(), Some(403));
    assert_eq!(served.ask("POST /surface-session", "", token).get(9..12), Some("403"));
    assert_eq!(served.ask("POST /surface-session", &headers, "x").get(9..12), Some("403"));
    served.surfaces.remove(&served.feed.surface());
    assert_eq!(served.socket(path, &own, &cookie).err(), Some(404));
}

#[test]
fn a_session_for_control_may_use_surfaces_and_one_for_view_may_not() {
    for (highest, role, expected) in [
        (Role::Control, Role::Control, None),
        (Role::Control, Role::View, Some(403)),
        (Role::View, Role::Control, Some(403)),
    ] {
        let served = serve(highest, 1);
        let cookie = format!("consort={}", served.tokens.of(role));
        let result = served.socket("/surface/band/socket", &served.origin(), &cookie);
        assert_eq!(result.err(), expected, "{highest:?} {role:?}");
    }
}

#[test]
fn a_phone_that_does_not_read_gets_the_newest_values_at_last() {
    let served = serve(Role::View, 100);
    let mut phone = served.phone();
    let begin = Instant::now();
    let mut rounds = 0;
    // More than fits into the buffers of both sockets, if each value were queued.
    while begin.elapsed() < Duration::from_secs(2) {
        rounds += 1;
        for channel in 0..100 {
            served.feed.set(channel, f64::from(rounds % 1_000) / 1_000.0);
        }
        served.feed.notify();
    }
    for channel in 0..100 {
        served.feed.set(channel, 1.0);
    }
    served.feed.notify();
    let mut messages = 0;
    loop {
        assert!(begin.elapsed() < WAIT_TIMEOUT, "the newest values");
        if let Message::Text(text) = phone.read().expect("a message") {
            messages += 1;
            if text.contains("\"fader.0\":1,") && text.contains("\"fader.99\":1}") {
                break;
            }
        }
    }
    assert!(messages < 1_000, "{messages} messages for {rounds} rounds");
}

#[test]
fn input_of_phones_waits_for_the_router_without_growing() {
    let served = serve(Role::View, 1);
    let mut phone = served.phone();
    phone.get_mut().set_write_timeout(Some(Duration::from_millis(500))).expect("set");
    let change = "[\"fader.0\",0.5],".repeat(63) + "[\"fader.0\",0.25]";
    let message = format!("{{\"set\":[{change}]}}");
    // 250 messages of 64 changes at once would be 16,000.
    for _ in 0..250 {
        if phone.send(Message::Text(message.as_str().into())).is_err() {
            break;
        }
    }
    let deadline = Instant::now() + WAIT_TIMEOUT;
    let mut taken = 0;
    while taken < 4_096 {
        assert!(Instant::now() < deadline, "{taken} changes");
        std::thread::sleep(Duration::from_millis(50));
        let mut waiting = 0;
        while served.feed.take(256, |_, _| waiting += 1) {}
        assert!(waiting < 4_096 + 64, "{waiting} changes waited");
        taken += waiting;
    }
}
