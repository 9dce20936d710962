//! A page with a show that the test plays, and what a browser sends to it.
#![allow(dead_code)] // not every test uses all of it

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use consort_web::{Page, Role, Settings, Tokens};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{HandshakeError, Message, WebSocket};

/// The deadline for anything that a test waits for.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// A page whose connections to the show arrive at the test.
pub(crate) struct Served {
    pub(crate) page: Page,
    pub(crate) tokens: Tokens,
    pub(crate) shows: Receiver<UnixStream>,
}

pub(crate) fn serve(highest_role: Role) -> Served {
    serve_with(highest_role, None)
}

pub(crate) fn serve_with(highest_role: Role, tls: Option<Arc<rustls::ServerConfig>>) -> Served {
    let tokens = Tokens::random().expect("random numbers");
    let (sender, shows) = channel();
    let connect = Arc::new(move || {
        let (client, show) = UnixStream::pair()?;
        show.set_read_timeout(Some(WAIT_TIMEOUT))?;
        sender.send(show).map_err(std::io::Error::other)?;
        Ok(client)
    });
    let address = "127.0.0.1:0".parse().expect("an address");
    let settings = Settings { address, highest_role, tokens: tokens.clone(), tls, surfaces: None };
    Served { page: Page::start(settings, connect).expect("listening"), tokens, shows }
}

impl Served {
    pub(crate) fn address(&self) -> SocketAddr {
        self.page.address()
    }

    /// The headers of the page's own requests.
    pub(crate) fn headers(&self, role: Option<Role>) -> String {
        let address = self.address();
        let cookie = role
            .map_or(String::new(), |role| format!("Cookie: consort={}\r\n", self.tokens.of(role)));
        format!("Host: {address}\r\nOrigin: http://{address}\r\n{cookie}")
    }

    /// Sends a request with these headers, and returns the whole answer.
    pub(crate) fn ask(&self, line: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).expect("connected");
        stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
        let length = body.len();
        write!(
            stream,
            "{line} HTTP/1.1\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The status of a WebSocket's handshake that is refused.
    pub(crate) fn refused(&self, host: &str, origin: Option<&str>, cookie: Option<&str>) -> u16 {
        match self.socket(host, origin, cookie) {
            Ok(_) => 101,
            Err(status) => status,
        }
    }

    /// A WebSocket with the headers of the page itself.
    pub(crate) fn connect(&self, role: Role) -> WebSocket<TcpStream> {
        let host = self.address().to_string();
        let cookie = format!("consort={}", self.tokens.of(role));
        self.socket(&host, Some(&format!("http://{host}")), Some(&cookie)).expect("accepted")
    }

    pub(crate) fn socket(
        &self,
        host: &str,
        origin: Option<&str>,
        cookie: Option<&str>,
    ) -> Result<WebSocket<TcpStream>, u16> {
        let stream = TcpStream::connect(self.address()).expect("connected");
        stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
        let url = format!("ws://{}/control", self.address());
        let mut request = url.into_client_request().expect("a request");
        let headers = request.headers_mut();
        headers.insert("Host", HeaderValue::from_str(host).expect("a header"));
        for (name, value) in [("Origin", origin), ("Cookie", cookie)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_str(value).expect("a header"));
            }
        }
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(socket),
            Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                Err(response.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The show's side of the next connection.
    pub(crate) fn show(&self) -> UnixStream {
        self.shows.recv_timeout(WAIT_TIMEOUT).expect("a connection to the show")
    }
}

/// The next text; pings are answered.
pub(crate) fn text(socket: &mut WebSocket<TcpStream>) -> String {
    loop {
        match socket.read().expect("a message") {
            Message::Text(text) => return text.trim_end().to_owned(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("expected a text: {other:?}"),
        }
    }
}

/// The code with which the server closes, and the texts before it.
pub(crate) fn closed(socket: &mut WebSocket<TcpStream>) -> (Vec<String>, u16) {
    let mut texts = Vec::new();
    loop {
        match socket.read().expect("a message") {
            Message::Text(text) => texts.push(text.trim_end().to_owned()),
            Message::Close(Some(frame)) => return (texts, frame.code.into()),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("expected a close: {other:?}"),
        }
    }
}
