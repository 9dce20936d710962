//! A TCP connection, with or without TLS, that never blocks.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::SockRef;

/// A connection to a broker.
pub(super) struct Transport {
    pub(super) stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    is_established: bool,
}

impl Transport {
    /// Begins to connect.
    pub(super) fn connect(
        address: SocketAddr,
        host: &str,
        tls: Option<&Arc<ClientConfig>>,
    ) -> io::Result<Self> {
        let tls = match tls {
            None => None,
            Some(config) => {
                let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
                let connection = ClientConnection::new(Arc::clone(config), name);
                Some(Box::new(connection.map_err(io::Error::other)?))
            }
        };
        Ok(Transport { stream: TcpStream::connect(address)?, tls, is_established: false })
    }

    /// Checks whether the TCP connection is established.
    pub(super) fn establish(&mut self) -> io::Result<bool> {
        if self.is_established {
            return Ok(true);
        }
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => {
                self.is_established = true;
                // Small packets such as those of faders must not wait for each other.
                self.stream.set_nodelay(true)?;
                SockRef::from(&self.stream).set_keepalive(true)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads what has arrived into `buffer`; 0 at the end of the connection.
    ///
    /// # Errors
    /// `WouldBlock` if nothing has arrived.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.read(buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                result => return result,
            }
            if tls.read_tls(&mut self.stream)? == 0 {
                return Ok(0);
            }
            if let Err(error) = tls.process_new_packets() {
                // The alert tells the broker why; whether it arrives does not matter.
                let _ = tls.write_tls(&mut self.stream);
                return Err(io::Error::other(format!("TLS: {error}")));
            }
            if tls.wants_write() {
                flush_tls(tls, &mut self.stream)?;
            }
        }
    }

    /// Writes as much as possible; returns how many bytes were taken.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        match &mut self.tls {
            None => {
                while written < bytes.len() {
                    match self.stream.write(&bytes[written..]) {
                        Ok(count) => written += count,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            Some(tls) => loop {
                if !flush_tls(tls, &mut self.stream)? || tls.is_handshaking() {
                    break;
                }
                if written == bytes.len() {
                    break;
                }
                // The writer takes a limited number of bytes.
                written += tls.writer().write(&bytes[written..])?;
            },
        }
        Ok(written)
    }

    /// Whether TLS is used.
    pub(super) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether the TLS handshake is still running.
    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }
}

/// Writes the encrypted bytes; returns false if some are left.
fn flush_tls(tls: &mut ClientConnection, stream: &mut TcpStream) -> io::Result<bool> {
    while tls.wants_write() {
        match tls.write_tls(stream) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
