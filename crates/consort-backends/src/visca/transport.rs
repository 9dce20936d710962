//! What messages are written to and read from: a datagram socket, a stream or a serial line. Nothing
//! blocks.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use mio::Interest;
use mio::net::{TcpStream, UdpSocket};
use mio::unix::SourceFd;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::hotplug;
use crate::net::{HostPort, Registrar};
use crate::serial::SerialLine;

/// An open connection to one camera or several.
pub(super) enum Transport {
    Udp(UdpSocket),
    Tcp {
        stream: TcpStream,
        is_established: bool,
    },
    /// `None` only while it is dropped.
    Serial(Option<SerialLine>),
}

impl Transport {
    /// Opens a datagram socket that sends to and receives from one peer.
    pub(super) fn udp(peer: SocketAddr, bind: Option<&HostPort>) -> io::Result<Self> {
        let local = match bind {
            Some(bind) => bind.literal().ok_or_else(|| {
                io::Error::other(format!("`bind`: `{}` is not an address", bind.host))
            })?,
            None if peer.is_ipv4() => SocketAddr::from(([0, 0, 0, 0], 0)),
            None => SocketAddr::from(([0_u16; 8], 0)),
        };
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
        // Several cameras may answer to one port: each socket receives from its own.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&local.into())?;
        let peer = crate::net::for_family(peer, local.is_ipv6()).ok_or_else(|| {
            io::Error::other("the camera has an IPv6 address, and `bind` an IPv4 address")
        })?;
        socket.connect(&peer.into())?;
        Ok(Transport::Udp(UdpSocket::from_std(socket.into())))
    }

    /// Begins to connect.
    pub(super) fn tcp(peer: SocketAddr) -> io::Result<Self> {
        Ok(Transport::Tcp { stream: TcpStream::connect(peer)?, is_established: false })
    }

    pub(super) fn register(&mut self, key: u32, registrar: &mut impl Registrar) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self {
            Transport::Udp(socket) => registrar.register(socket, key, Interest::READABLE),
            Transport::Tcp { stream, .. } => registrar.register(stream, key, both),
            Transport::Serial(line) => match line {
                Some(line) => {
                    let descriptor = line.descriptor().as_raw_fd();
                    registrar.register(&mut SourceFd(&descriptor), key, both)
                }
                None => Ok(()),
            },
        }
    }

    pub(super) fn deregister(&mut self, registrar: &mut impl Registrar) -> io::Result<()> {
        match self {
            Transport::Udp(socket) => registrar.deregister(socket),
            Transport::Tcp { stream, .. } => registrar.deregister(stream),
            Transport::Serial(line) => match line {
                Some(line) => {
                    let descriptor = line.descriptor().as_raw_fd();
                    registrar.deregister(&mut SourceFd(&descriptor))
                }
                None => Ok(()),
            },
        }
    }

    /// Checks whether the connection is established.
    ///
    /// # Errors
    /// Why it cannot be established.
    pub(super) fn establish(&mut self) -> io::Result<bool> {
        let Transport::Tcp { stream, is_established } = self else { return Ok(true) };
        if *is_established {
            return Ok(true);
        }
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => {
                *is_established = true;
                // A stop must not wait for an acknowledgement of TCP.
                stream.set_nodelay(true)?;
                SockRef::from(&*stream).set_keepalive(true)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn is_datagram(&self) -> bool {
        matches!(self, Transport::Udp(_))
    }

    /// Reads what has arrived; 0 at the end of a stream.
    ///
    /// # Errors
    /// `WouldBlock` if nothing has arrived.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Udp(socket) => socket.recv(buffer),
            Transport::Tcp { stream, .. } => stream.read(buffer),
            Transport::Serial(Some(line)) => Ok(rustix::io::read(line.descriptor(), buffer)?),
            Transport::Serial(None) => Ok(0),
        }
    }

    /// Writes a part of the bytes, or one datagram.
    ///
    /// # Errors
    /// `WouldBlock` if nothing can be written now.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Udp(socket) => socket.send(bytes),
            Transport::Tcp { stream, .. } => stream.write(bytes),
            Transport::Serial(Some(line)) => Ok(rustix::io::write(line.descriptor(), bytes)?),
            Transport::Serial(None) => Ok(0),
        }
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        if let Transport::Serial(line) = self
            && let Some(line) = line.take()
        {
            // Closing waits for what is written.
            hotplug::close(line);
        }
    }
}
