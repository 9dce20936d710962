//! A WebSocket over TCP that never blocks. The library `tungstenite` has the handshake and the
//! frames; this is its socket in the router's loop.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpStream;
use socket2::SockRef;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::{ClientHandshake, Request};
use tungstenite::handshake::{HandshakeError, MidHandshake};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket};

use crate::net::HostPort;

/// The longest message of a console.
pub(super) const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// The most bytes that wait to be written.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// How far the connection is.
enum Stage {
    Connecting(TcpStream, Box<Request>),
    Handshaking(Box<MidHandshake<ClientHandshake<TcpStream>>>),
    Open(Box<WebSocket<TcpStream>>),
    Closed,
}

/// A connection to a console.
pub(super) struct Socket {
    stage: Stage,
    is_blocked: bool,
}

/// What has been read.
pub(super) enum Received {
    Text(String),
    /// A message that is not text.
    Other,
    /// Nothing more has arrived.
    Nothing,
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WAITING_BYTES)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
}

/// The error as the state of an instance shows it.
fn explain(error: Error) -> String {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => {
            "the console closed the connection".into()
        }
        Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            "the console closed the connection".into()
        }
        Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}

fn would_block(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

impl Socket {
    /// Begins to connect. `register` registers the stream with the loop.
    pub(super) fn connect(
        address: SocketAddr,
        host: &HostPort,
        register: impl FnOnce(&mut TcpStream) -> io::Result<()>,
    ) -> Result<Self, String> {
        let request = format!("ws://{host}/?ma=1").into_client_request();
        // An address with a zone is not part of a URI.
        let request =
            request.or_else(|_| "ws://console/?ma=1".into_client_request()).map_err(explain)?;
        let mut stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
        register(&mut stream).map_err(|error| error.to_string())?;
        Ok(Socket { stage: Stage::Connecting(stream, Box::new(request)), is_blocked: false })
    }

    /// Continues to connect. Returns whether messages can be sent.
    pub(super) fn advance(&mut self) -> Result<bool, String> {
        let result = match std::mem::replace(&mut self.stage, Stage::Closed) {
            Stage::Connecting(stream, request) => {
                if let Some(error) = stream.take_error().map_err(|error| error.to_string())? {
                    return Err(error.to_string());
                }
                match stream.peer_addr() {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                        self.stage = Stage::Connecting(stream, request);
                        return Ok(false);
                    }
                    Err(error) => return Err(error.to_string()),
                }
                // Small messages such as those of faders must not wait for each other.
                let options = stream.set_nodelay(true);
                options
                    .and_then(|()| SockRef::from(&stream).set_keepalive(true))
                    .map_err(|error| error.to_string())?;
                ClientHandshake::start(stream, *request, Some(config()))
                    .map_err(explain)?
                    .handshake()
            }
            Stage::Handshaking(handshake) => handshake.handshake(),
            Stage::Open(socket) => {
                self.stage = Stage::Open(socket);
                return Ok(true);
            }
            Stage::Closed => return Err("the connection is closed".into()),
        };
        match result {
            Ok((socket, _)) => {
                self.stage = Stage::Open(Box::new(socket));
                Ok(true)
            }
            Err(HandshakeError::Interrupted(handshake)) => {
                self.stage = Stage::Handshaking(Box::new(handshake));
                Ok(false)
            }
            Err(HandshakeError::Failure(error)) => {
                Err(format!("it is not a web remote: {}", explain(error)))
            }
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    /// Whether what was written waits for the console.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Reads a message.
    pub(super) fn read(&mut self) -> Result<Received, String> {
        let Stage::Open(socket) = &mut self.stage else { return Ok(Received::Nothing) };
        match socket.read() {
            Ok(Message::Text(text)) => Ok(Received::Text(text.as_str().to_owned())),
            Ok(Message::Binary(_)) => Ok(Received::Other),
            // Pings are answered by the library.
            Ok(_) => Ok(Received::Text(String::new())),
            Err(error) if would_block(&error) => Ok(Received::Nothing),
            Err(error) => Err(explain(error)),
        }
    }

    /// Writes a message, or keeps it until the console takes it.
    pub(super) fn write(&mut self, text: String) -> Result<(), String> {
        let Stage::Open(socket) = &mut self.stage else { return Ok(()) };
        match socket.send(Message::text(text)) {
            Ok(()) => Ok(()),
            Err(error) if would_block(&error) => {
                self.is_blocked = true;
                Ok(())
            }
            Err(error) => Err(explain(error)),
        }
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self) -> Result<(), String> {
        let Stage::Open(socket) = &mut self.stage else { return Ok(()) };
        match socket.flush() {
            Ok(()) => {
                self.is_blocked = false;
                Ok(())
            }
            Err(error) if would_block(&error) => {
                self.is_blocked = true;
                Ok(())
            }
            Err(error) => Err(explain(error)),
        }
    }

    /// Announces the end of the connection.
    pub(super) fn close(&mut self) {
        if let Stage::Open(socket) = &mut self.stage {
            // Whether the console takes it does not matter.
            let _ = socket.close(None);
            let _ = socket.flush();
        }
    }
}
