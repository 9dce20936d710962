//! The socket to a server. Any thread may send; the I/O thread receives.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use consort_osc::LengthPrefixDecoder;
use socket2::{Domain, Socket, Type};

use crate::error::{Error, ErrorKind, Result};
use crate::options::{Options, Protocol};

/// Room asked for datagrams that wait to be read; the system may give less.
const RECEIVE_BUFFER: usize = 8 << 20;
/// The most bytes that may wait for a slow TCP peer.
const MAXIMUM_BACKLOG: usize = 64 << 20;

#[derive(Debug)]
pub(super) enum Link {
    Udp(UdpSocket),
    Tcp { stream: TcpStream, backlog: Mutex<Vec<u8>> },
}

fn wildcard(address: SocketAddr) -> SocketAddr {
    // A server that listens on all addresses is reached through the local one.
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => ([127, 0, 0, 1], v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        address => address,
    }
}

impl Link {
    /// Opens a socket; a TCP connection is waited for at most `timeout`. A datagram socket has the
    /// port `from` if that is free: a server knows its clients by their ports.
    pub(super) fn open(options: &Options, timeout: Duration, from: Option<u16>) -> Result<Self> {
        let address = wildcard(SocketAddr::new(options.ip_address, options.port));
        let fail = |error: io::Error| {
            let refused = error.kind() == io::ErrorKind::ConnectionRefused;
            let hint = if refused { "; nothing listens there" } else { "" };
            Error::io(format!("cannot connect to {address}{hint}"), error)
                .with_kind(ErrorKind::CannotConnect)
        };
        match options.protocol {
            Protocol::Udp => {
                let socket =
                    Socket::new(Domain::for_address(address), Type::DGRAM, None).map_err(fail)?;
                // Best effort: as root beyond the system's limit, else up to it.
                if rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER)
                    .is_err()
                {
                    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
                }
                let _ = socket.set_send_buffer_size(RECEIVE_BUFFER / 8);
                socket.set_nonblocking(true).map_err(fail)?;
                if let Some(port) = from {
                    let any: IpAddr = match address {
                        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                    };
                    // Taken by somebody else meanwhile: any other does.
                    let _ = socket.bind(&SocketAddr::new(any, port).into());
                }
                socket.connect(&address.into()).map_err(fail)?;
                Ok(Link::Udp(socket.into()))
            }
            Protocol::Tcp => {
                let mut stream = TcpStream::connect_timeout(&address, timeout).map_err(fail)?;
                stream.set_nodelay(true).map_err(fail)?;
                if let Some(password) = &options.password {
                    // The first packet is the password, with its closing zero.
                    let mut packet = (password.len() as u32 + 1).to_be_bytes().to_vec();
                    packet.extend_from_slice(password.as_bytes());
                    packet.push(0);
                    stream.write_all(&packet).map_err(fail)?;
                }
                stream.set_nonblocking(true).map_err(fail)?;
                Ok(Link::Tcp { stream, backlog: Mutex::default() })
            }
        }
    }

    /// The port of a datagram socket.
    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Link::Udp(socket) => Some(socket.local_addr().ok()?.port()),
            Link::Tcp { .. } => None,
        }
    }

    /// Sends one packet, without waiting. For TCP, what the peer does not take now waits for the
    /// I/O thread; true is returned then.
    ///
    /// # Errors
    /// For UDP, [`io::ErrorKind::WouldBlock`] if the network is slower than we are.
    pub(super) fn send(&self, packet: &[u8]) -> io::Result<bool> {
        match self {
            Link::Udp(socket) => loop {
                match socket.send(packet) {
                    Ok(_) => return Ok(false),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            },
            Link::Tcp { stream, backlog } => {
                let mut backlog = backlog.lock().unwrap_or_else(PoisonError::into_inner);
                if backlog.len() + packet.len() > MAXIMUM_BACKLOG {
                    return Err(io::Error::other(format!(
                        "the server takes nothing; {MAXIMUM_BACKLOG} bytes wait already"
                    )));
                }
                let was_empty = backlog.is_empty();
                backlog.extend_from_slice(&(packet.len() as u32).to_be_bytes());
                backlog.extend_from_slice(packet);
                if was_empty { flush(stream, &mut backlog) } else { Ok(true) }
            }
        }
    }

    /// Sends what waits; true if something still does.
    pub(super) fn flush(&self) -> io::Result<bool> {
        match self {
            Link::Udp(_) => Ok(false),
            Link::Tcp { stream, backlog } => {
                flush(stream, &mut backlog.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    pub(super) fn has_backlog(&self) -> bool {
        match self {
            Link::Udp(_) => false,
            Link::Tcp { backlog, .. } => {
                !backlog.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
            }
        }
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Link::Udp(socket) => socket.as_fd(),
            Link::Tcp { stream, .. } => stream.as_fd(),
        }
    }
}

fn flush(mut stream: &TcpStream, backlog: &mut Vec<u8>) -> io::Result<bool> {
    let mut sent = 0;
    while sent < backlog.len() {
        match stream.write(&backlog[sent..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    backlog.drain(..sent);
    Ok(!backlog.is_empty())
}

/// What receiving found besides packets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// There may be more later.
    Open,
    /// The port is closed.
    Refused,
    /// The connection is over.
    Closed(String),
}

/// Receives packets: the I/O thread's half of a [`Link`].
#[derive(Debug)]
pub(super) struct Receiver {
    buffer: Vec<u8>,
    frames: LengthPrefixDecoder,
}

/// Packets that are handled before others get their turn.
const BATCH: usize = 256;

impl Receiver {
    pub(super) fn new() -> Self {
        let limit = Protocol::Tcp.packet_limit();
        Self { buffer: vec![0; 65_536], frames: LengthPrefixDecoder::new(limit) }
    }

    pub(super) fn receive(&mut self, link: &Link, packet: &mut dyn FnMut(&[u8])) -> Received {
        match link {
            Link::Udp(socket) => {
                for _ in 0..BATCH {
                    match socket.recv(&mut self.buffer) {
                        Ok(length) => packet(&self.buffer[..length]),
                        Err(error) => match error.kind() {
                            io::ErrorKind::WouldBlock => return Received::Open,
                            io::ErrorKind::Interrupted => {}
                            io::ErrorKind::ConnectionRefused => return Received::Refused,
                            _ => return Received::Closed(error.to_string()),
                        },
                    }
                }
                Received::Open
            }
            Link::Tcp { stream, .. } => {
                let mut stream = stream;
                for _ in 0..BATCH {
                    match stream.read(&mut self.buffer) {
                        Ok(0) => {
                            return Received::Closed("the server closed the connection".into());
                        }
                        Ok(length) => {
                            let mut input = &self.buffer[..length];
                            loop {
                                match self.frames.next(&mut input) {
                                    Ok(Some(frame)) => packet(frame),
                                    Ok(None) => break,
                                    Err(error) => return Received::Closed(error.to_string()),
                                }
                            }
                        }
                        Err(error) => match error.kind() {
                            io::ErrorKind::WouldBlock => return Received::Open,
                            io::ErrorKind::Interrupted => {}
                            _ => return Received::Closed(error.to_string()),
                        },
                    }
                }
                Received::Open
            }
        }
    }
}
