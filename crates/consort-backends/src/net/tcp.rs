//! Outgoing TCP connections in the router's loop: look-up, connecting, queue and back-off.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::Interest;
use mio::net::TcpStream;
use socket2::{SockRef, TcpKeepalive};

use super::{Backoff, HostPort, Lookup, Registrar};

/// How long a connection may be idle before the kernel sends keepalive probes. Without them, a peer
/// whose network has failed would occupy its place for ever.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// The time between two keepalive probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How long sent data may remain unacknowledged before the kernel closes the connection.
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a connection attempt may take. The kernel's own limit is more than two minutes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection must last for the next attempt to be made quickly again. A peer may accept
/// connections and close them at once.
const STABLE: Duration = Duration::from_secs(1);

/// Sets the socket options of a connection: `TCP_NODELAY`, because small packets such as those of
/// faders should not wait for each other, and keepalive, which detects peers that have failed.
///
/// # Errors
/// The error of the operating system.
pub(crate) fn configure_stream(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEPALIVE_IDLE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(3),
    )?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_TIMEOUT))
}

/// Reads what a stream has; `None` if that is nothing at present.
///
/// # Errors
/// A message that states why the connection has ended.
pub(crate) fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<Option<usize>, String> {
    loop {
        match stream.read(buffer) {
            Ok(0) => return Err("the peer closed the connection".into()),
            Ok(count) => return Ok(Some(count)),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return Ok(None),
                io::ErrorKind::Interrupted => {}
                _ => return Err(error.to_string()),
            },
        }
    }
}

/// A connection to one peer, which is made again whenever it is lost.
///
/// | state | `stream` | `is_open` | `due` |
/// |---|---|---|---|
/// | looking the name up | none | no | none: the end of the look-up is reported |
/// | connecting | some | no | when the attempt has failed |
/// | open | some | yes | none |
/// | lost | none | no | the next attempt |
pub(crate) struct Outbound {
    lookup: Lookup,
    resolve_key: u32,
    connection_key: u32,
    stream: Option<TcpStream>,
    is_open: bool,
    opened: Option<Instant>,
    /// What waits to be written, of which `written` bytes were.
    outgoing: Vec<u8>,
    written: usize,
    backoff: Backoff,
    due: Option<Instant>,
    problem: Option<String>,
}

impl Outbound {
    /// A connection that is not started. The keys are those with which the router reports the end
    /// of a look-up and the readiness of the connection.
    pub(crate) fn new(target: HostPort, resolve_key: u32, connection_key: u32) -> Self {
        Outbound {
            lookup: Lookup::new(target),
            resolve_key,
            connection_key,
            stream: None,
            is_open: false,
            opened: None,
            outgoing: Vec::new(),
            written: 0,
            backoff: Backoff::default(),
            due: None,
            problem: None,
        }
    }

    /// Whether the connection is established.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Why there is no connection; `None` while the first attempt runs and when there is one.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// The peer's address, once it is known.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.lookup.address()
    }

    /// When [`timer`](Self::timer) is to be called next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Connects, or looks the name up first.
    pub(crate) fn start(&mut self, registrar: &mut impl Registrar, now: Instant) {
        self.due = None;
        if let Err(reason) = self.try_start(registrar, now) {
            self.fail(reason, registrar, now);
        }
    }

    fn try_start(&mut self, registrar: &mut impl Registrar, now: Instant) -> Result<(), String> {
        if self.stream.is_some() {
            return Ok(());
        }
        self.lookup.start(self.resolve_key, registrar)?;
        let Some(address) = self.lookup.address() else { return Ok(()) };
        let key = self.connection_key;
        let stream = TcpStream::connect(address).and_then(|mut stream| {
            registrar.register(&mut stream, key, Interest::READABLE | Interest::WRITABLE)?;
            Ok(stream)
        });
        let explain = |error| format!("cannot connect to {}: {error}", self.lookup.target());
        self.stream = Some(stream.map_err(explain)?);
        self.due = Some(now + CONNECT_TIMEOUT);
        Ok(())
    }

    /// Takes a report with one of the keys. Returns true when the connection has just been
    /// established.
    pub(crate) fn ready(&mut self, key: u32, registrar: &mut impl Registrar, now: Instant) -> bool {
        if key == self.resolve_key {
            match self.lookup.finish(registrar) {
                Ok(()) => self.start(registrar, now),
                Err(reason) => self.fail(reason, registrar, now),
            }
            return false;
        }
        if self.is_open {
            return false;
        }
        match self.establish() {
            Ok(is_established) => {
                if is_established {
                    (self.is_open, self.opened) = (true, Some(now));
                    (self.due, self.problem) = (None, None);
                }
                is_established
            }
            Err(error) => {
                let reason = format!("cannot connect to {}: {error}", self.lookup.target());
                self.fail(reason, registrar, now);
                false
            }
        }
    }

    /// Whether the connection is established now.
    fn establish(&self) -> io::Result<bool> {
        let Some(stream) = &self.stream else { return Ok(false) };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => configure_stream(stream).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tries again, or gives an attempt up, if that is due.
    pub(crate) fn timer(&mut self, registrar: &mut impl Registrar, now: Instant) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        if self.stream.is_some() {
            let target = self.lookup.target();
            let reason = format!(
                "cannot connect to {target}: no answer within {} s",
                CONNECT_TIMEOUT.as_secs()
            );
            return self.fail(reason, registrar, now);
        }
        self.start(registrar, now);
    }

    /// Reads what has arrived; `None` if that is nothing at present.
    ///
    /// # Errors
    /// The reason why the connection is lost, for [`lose`](Self::lose).
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, String> {
        match &mut self.stream {
            Some(stream) if self.is_open => read(stream, buffer),
            _ => Ok(None),
        }
    }

    /// What waits to be written, to be appended to. It is bounded by the caller.
    pub(crate) fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.outgoing
    }

    /// How many bytes wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.outgoing.len() - self.written
    }

    /// Writes as much as the socket accepts.
    ///
    /// # Errors
    /// The reason why the connection is lost, for [`lose`](Self::lose).
    pub(crate) fn flush(&mut self) -> Result<(), String> {
        let Some(stream) = self.stream.as_mut().filter(|_| self.is_open) else { return Ok(()) };
        while self.written < self.outgoing.len() {
            match stream.write(&self.outgoing[self.written..]) {
                Ok(0) => return Err("the peer accepts nothing".into()),
                Ok(count) => self.written += count,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(()),
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(error.to_string()),
                },
            }
        }
        self.outgoing.clear();
        self.written = 0;
        Ok(())
    }

    /// Closes an established connection, and schedules the next attempt.
    pub(crate) fn lose(&mut self, reason: &str, registrar: &mut impl Registrar, now: Instant) {
        let reason = format!("lost the connection to {}: {reason}", self.lookup.target());
        self.fail(reason, registrar, now);
    }

    /// Notes why there is no connection, and schedules the next attempt.
    fn fail(&mut self, reason: String, registrar: &mut impl Registrar, now: Instant) {
        self.close(registrar);
        if self.opened.take().is_some_and(|opened| now >= opened + STABLE) {
            self.backoff.reset();
        }
        // The address of a name may have changed.
        self.lookup.forget();
        self.problem = Some(reason);
        self.due = Some(now + self.backoff.next_delay());
    }

    /// Closes the connection and forgets what waits to be written.
    pub(crate) fn close(&mut self, registrar: &mut impl Registrar) {
        if let Some(mut stream) = self.stream.take()
            && let Err(error) = registrar.deregister(&mut stream)
        {
            tracing::debug!("cannot deregister a connection: {error}");
        }
        self.is_open = false;
        self.outgoing.clear();
        self.written = 0;
        self.due = None;
    }
}
