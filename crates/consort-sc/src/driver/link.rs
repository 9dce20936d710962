//! The socket to a server. Any thread may send; the I/O thread receives.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use consort_osc::LengthPrefixDecoder;
use parking_lot::Mutex;
use socket2::{Domain, Socket, Type};

use crate::error::{Error, ErrorKind, Result};
use crate::options::{Options, Protocol};

/// The requested size of the socket's receive buffer. The system may grant less.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;
/// The requested size of the socket's send buffer.
const SEND_BUFFER_BYTES: usize = 1 << 20;
/// How many bytes may wait for a slow TCP server.
const MAX_BACKLOG_BYTES: usize = 64 << 20;

/// A socket to the server. Any thread may send through it.
#[derive(Debug)]
pub(super) enum Link {
    Udp(UdpSocket),
    Tcp {
        stream: TcpStream,
        /// The bytes that the server has not accepted yet.
        backlog: Mutex<Vec<u8>>,
    },
}

/// The address to connect to. A server that listens on all addresses is reached through the local
/// one.
fn connect_address(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => ([127, 0, 0, 1], v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        address => address,
    }
}

impl Link {
    /// Opens a socket. A TCP connection has to be established within `timeout`. A datagram socket
    /// is bound to the port `local_port` if that is free, because the server identifies clients by
    /// their ports.
    pub(super) fn open(
        options: &Options,
        timeout: Duration,
        local_port: Option<u16>,
    ) -> Result<Self> {
        let address = connect_address(SocketAddr::new(options.ip_address, options.port));
        let fail = |error: io::Error| {
            let refused = error.kind() == io::ErrorKind::ConnectionRefused;
            let hint = if refused { "; no server is listening there" } else { "" };
            Error::io(format!("cannot connect to {address}{hint}"), error)
                .with_kind(ErrorKind::CannotConnect)
        };
        match options.protocol {
            Protocol::Udp => {
                let socket =
                    Socket::new(Domain::for_address(address), Type::DGRAM, None).map_err(fail)?;
                // Only root may exceed the system's limit; others get as much as it permits.
                if rustix::net::sockopt::set_socket_recv_buffer_size_force(
                    &socket,
                    RECEIVE_BUFFER_BYTES,
                )
                .is_err()
                {
                    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
                }
                let _ = socket.set_send_buffer_size(SEND_BUFFER_BYTES);
                socket.set_nonblocking(true).map_err(fail)?;
                if let Some(port) = local_port {
                    let unspecified: IpAddr = match address {
                        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                    };
                    // If another program uses the port now, any other port will do.
                    let _ = socket.bind(&SocketAddr::new(unspecified, port).into());
                }
                socket.connect(&address.into()).map_err(fail)?;
                Ok(Link::Udp(socket.into()))
            }
            Protocol::Tcp => {
                let mut stream = TcpStream::connect_timeout(&address, timeout).map_err(fail)?;
                stream.set_nodelay(true).map_err(fail)?;
                if let Some(password) = &options.password {
                    // The first packet is the password with a terminating zero byte.
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

    /// Sends one packet without waiting. With TCP, bytes that the server does not accept now are
    /// left to the I/O thread; then true is returned.
    ///
    /// # Errors
    /// With UDP, [`io::ErrorKind::WouldBlock`] if the system does not accept a datagram now.
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
                let mut backlog = backlog.lock();
                if backlog.len() + packet.len() > MAX_BACKLOG_BYTES {
                    return Err(io::Error::other(format!(
                        "the server does not read its input; {MAX_BACKLOG_BYTES} bytes are already \
                         queued"
                    )));
                }
                let was_empty = backlog.is_empty();
                backlog.extend_from_slice(&(packet.len() as u32).to_be_bytes());
                backlog.extend_from_slice(packet);
                if was_empty { flush(stream, &mut backlog) } else { Ok(true) }
            }
        }
    }

    /// Sends the waiting bytes. Returns whether some still wait.
    pub(super) fn flush(&self) -> io::Result<bool> {
        match self {
            Link::Udp(_) => Ok(false),
            Link::Tcp { stream, backlog } => flush(stream, &mut backlog.lock()),
        }
    }

    /// Whether bytes wait to be sent.
    pub(super) fn has_backlog(&self) -> bool {
        match self {
            Link::Udp(_) => false,
            Link::Tcp { backlog, .. } => !backlog.lock().is_empty(),
        }
    }

    /// The descriptor for `poll`.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Link::Udp(socket) => socket.as_fd(),
            Link::Tcp { stream, .. } => stream.as_fd(),
        }
    }
}

/// Writes as much of the backlog as the server accepts. Returns whether some is left.
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

/// The state of the socket after receiving.
#[derive(Debug)]
pub(super) enum Received {
    /// More packets may arrive.
    Open,
    /// The port is closed.
    Refused,
    /// The connection has ended, for this reason.
    Closed(Box<dyn std::error::Error + Send + Sync>),
}

/// The receiving half of a [`Link`], which belongs to the I/O thread.
#[derive(Debug)]
pub(super) struct Receiver {
    buffer: Vec<u8>,
    frames: LengthPrefixDecoder,
}

/// How many packets are received before the I/O thread looks after its other descriptors.
const MAX_RECEIVE_BATCH: usize = 256;

impl Receiver {
    pub(super) fn new() -> Self {
        let limit = Protocol::Tcp.packet_limit();
        Self { buffer: vec![0; 65_536], frames: LengthPrefixDecoder::new(limit) }
    }

    /// Calls `packet` for each packet that has arrived.
    pub(super) fn receive(&mut self, link: &Link, packet: &mut dyn FnMut(&[u8])) -> Received {
        match link {
            Link::Udp(socket) => {
                for _ in 0..MAX_RECEIVE_BATCH {
                    match socket.recv(&mut self.buffer) {
                        Ok(length) => packet(&self.buffer[..length]),
                        Err(error) => match error.kind() {
                            io::ErrorKind::WouldBlock => return Received::Open,
                            io::ErrorKind::Interrupted => {}
                            io::ErrorKind::ConnectionRefused => return Received::Refused,
                            _ => return Received::Closed(error.into()),
                        },
                    }
                }
                Received::Open
            }
            Link::Tcp { stream, .. } => {
                let mut stream = stream;
                for _ in 0..MAX_RECEIVE_BATCH {
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
                                    Err(error) => return Received::Closed(error.into()),
                                }
                            }
                        }
                        Err(error) => match error.kind() {
                            io::ErrorKind::WouldBlock => return Received::Open,
                            io::ErrorKind::Interrupted => {}
                            _ => return Received::Closed(error.into()),
                        },
                    }
                }
                Received::Open
            }
        }
    }
}
