//! OSC over TCP: packets with a length prefix, or in SLIP frames.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use consort_osc::{LengthPrefixDecoder, SlipDecoder, encode_length_prefixed, encode_slip};
use consort_router::inspect::{Endpoint, InstanceReport};
use consort_router::{Context, Readiness, State};
use mio::Interest;
use mio::net::{TcpListener, TcpStream};
use socket2::{SockRef, TcpKeepalive};

use super::carrier::Carrier;
use super::config::{Destination, Transport};
use super::receiver::{Origin, PACKET_LIMITS, Receiver};
use crate::net::{Backoff, HostPort, Lookup};

const LISTENER: u32 = 0;
const RESOLVE_BIND: u32 = 1;
const RESOLVE_DESTINATION: u32 = 2;
const OUTBOUND: u32 = 3;
const FIRST_PEER: u32 = 16;

/// The most peers that may be connected at once.
const MAX_PEERS: usize = 64;

/// How long a connection may be idle before the kernel sends keepalive probes. Without them, a peer
/// whose network has failed would occupy its place for ever.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// The time between two keepalive probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How long sent data may remain unacknowledged before the kernel closes the connection.
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(60);

/// The most bytes that may wait for a slow peer.
const MAX_OUTGOING_BYTES: usize = 1 << 20;

/// Splits a stream into packets.
enum Decoder {
    LengthPrefixed(LengthPrefixDecoder),
    Slip(SlipDecoder),
}

impl Decoder {
    fn next<'s, 'i: 's>(
        &'s mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<&'s [u8]>, consort_osc::Error> {
        match self {
            Decoder::LengthPrefixed(decoder) => decoder.next(input),
            Decoder::Slip(decoder) => decoder.next(input),
        }
    }
}

/// A connection to one peer, accepted or outbound.
struct Connection {
    stream: TcpStream,
    key: u32,
    /// The peer as messages name it.
    peer: String,
    address: SocketAddr,
    is_open: bool,
    decoder: Decoder,
    /// Bytes that were read but not decoded yet, because the budget of the turn was spent.
    undecoded: Vec<u8>,
    outgoing: Vec<u8>,
}

/// The reason why a connection was closed.
type CloseReason = String;

impl Connection {
    fn new(
        stream: TcpStream,
        key: u32,
        (peer, address): (String, SocketAddr),
        framing: Transport,
    ) -> Self {
        let decoder = match framing {
            Transport::Slip => Decoder::Slip(SlipDecoder::new(PACKET_LIMITS.size)),
            _ => Decoder::LengthPrefixed(LengthPrefixDecoder::new(PACKET_LIMITS.size)),
        };
        Connection {
            stream,
            key,
            peer,
            address,
            is_open: false,
            decoder,
            undecoded: Vec::new(),
            outgoing: Vec::new(),
        }
    }

    /// Reads packets until the stream is empty or the budget of the turn is spent.
    fn read(
        &mut self,
        receiver: &mut Receiver,
        context: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        let mut buffer = [0; 16_384];
        let mut undecoded = std::mem::take(&mut self.undecoded);
        let mut remaining = context.budget();
        loop {
            let mut input = match undecoded.is_empty() {
                false => &undecoded[..],
                true => match self.stream.read(&mut buffer) {
                    Ok(0) => return Err("the peer closed the connection".into()),
                    Ok(count) => &buffer[..count],
                    Err(error) => match error.kind() {
                        io::ErrorKind::WouldBlock => return Ok(()),
                        io::ErrorKind::Interrupted => continue,
                        _ => return Err(error.to_string()),
                    },
                },
            };
            while remaining > 0
                && let Some(packet) = self.decoder.next(&mut input).map_err(|e| e.to_string())?
            {
                context.count_input(1);
                let spent = receiver.receive(packet, Origin::Stream(self.address), context);
                remaining = remaining.saturating_sub(spent.max(1));
            }
            if remaining == 0 {
                self.undecoded = input.to_vec();
                context.call_again(self.key);
                return Ok(());
            }
            undecoded.clear();
        }
    }

    /// Queues a packet; returns false if the peer is too slow and the queue is full.
    fn push(&mut self, packet: &[u8]) -> bool {
        if self.outgoing.len() + packet.len() > MAX_OUTGOING_BYTES {
            return false;
        }
        match self.decoder {
            Decoder::LengthPrefixed(_) => encode_length_prefixed(packet, &mut self.outgoing),
            Decoder::Slip(_) => encode_slip(packet, &mut self.outgoing),
        }
        .is_ok()
    }

    /// Writes as much of the queue as the socket accepts.
    fn write(&mut self) -> Result<(), CloseReason> {
        let mut written = 0;
        while written < self.outgoing.len() {
            match self.stream.write(&self.outgoing[written..]) {
                Ok(count) => written += count,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => break,
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(error.to_string()),
                },
            }
        }
        self.outgoing.drain(..written);
        Ok(())
    }
}

/// Sets the socket options of a connection: `TCP_NODELAY`, because small packets such as those of
/// faders should not wait for each other, and keepalive, which detects peers that have failed.
pub(super) fn configure_stream(stream: &TcpStream) -> io::Result<()> {
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

/// The listener and the connections of an instance over TCP.
pub(super) struct Streams {
    bind: Option<Lookup>,
    destination: Option<Lookup>,
    learn: bool,
    /// The key of the peer that sent last.
    learned: Option<u32>,
    /// The same at the last call of `has_new_peer`.
    previous_peer: Option<u32>,
    framing: Transport,
    listener: Option<TcpListener>,
    outbound: Option<Connection>,
    peers: Vec<Option<Connection>>,
    backoff: Backoff,
}

impl Streams {
    pub(super) fn new(
        bind: Option<HostPort>,
        destination: Destination,
        framing: Transport,
    ) -> Self {
        let (destination, learn) = match destination {
            Destination::None => (None, false),
            Destination::Fixed(target) => (Some(target), false),
            Destination::Learn(_) => (None, true),
        };
        Streams {
            bind: bind.map(Lookup::new),
            destination: destination.map(Lookup::new),
            learn,
            learned: None,
            previous_peer: None,
            framing,
            listener: None,
            outbound: None,
            peers: Vec::new(),
            backoff: Backoff::default(),
        }
    }

    /// Starts the look-ups and opens the sockets where that is not done yet, and sets the state.
    fn open(&mut self, context: &mut Context<'_>) {
        if let Err(reason) = self.try_open(context) {
            return self.wait(reason, context);
        }
        let listening = self.bind.is_none() || self.listener.is_some();
        let is_open = |connection: &Connection| connection.is_open;
        let connected = self.destination.is_none() || self.outbound.as_ref().is_some_and(is_open);
        if listening && connected {
            self.backoff.reset();
            context.set_state(State::Up);
        }
    }

    fn wait(&mut self, reason: String, context: &mut Context<'_>) {
        context.count_errors(1);
        context.set_state(State::Waiting(reason));
        context.wake_in(self.backoff.next_delay());
    }

    fn try_open(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        if let (Some(lookup), None) = (&mut self.bind, &self.listener) {
            lookup.start(RESOLVE_BIND, context)?;
            if let Some(address) = lookup.address() {
                let listener = TcpListener::bind(address).and_then(|mut listener| {
                    context.register(&mut listener, LISTENER, Interest::READABLE)?;
                    Ok(listener)
                });
                let explain = |error| format!("cannot listen on {}: {error}", lookup.target());
                self.listener = Some(listener.map_err(explain)?);
            }
        }
        if let (Some(lookup), None) = (&mut self.destination, &self.outbound) {
            lookup.start(RESOLVE_DESTINATION, context)?;
            if let Some(address) = lookup.address() {
                let stream = TcpStream::connect(address).and_then(|mut stream| {
                    let both = Interest::READABLE | Interest::WRITABLE;
                    context.register(&mut stream, OUTBOUND, both)?;
                    Ok(stream)
                });
                let explain = |error| format!("cannot connect to {}: {error}", lookup.target());
                let peer = lookup.target().to_string();
                let stream = stream.map_err(explain)?;
                self.outbound =
                    Some(Connection::new(stream, OUTBOUND, (peer, address), self.framing));
            }
        }
        Ok(())
    }

    fn resolved(&mut self, key: u32, context: &mut Context<'_>) {
        let lookup = if key == RESOLVE_BIND { &mut self.bind } else { &mut self.destination };
        match lookup.as_mut().map_or(Ok(()), |lookup| lookup.finish(context)) {
            Ok(()) => self.open(context),
            Err(reason) => self.wait(reason, context),
        }
    }

    /// Accepts the connections that are waiting.
    fn accept(&mut self, context: &mut Context<'_>) {
        let Some(listener) = &self.listener else { return };
        // Peers that connect faster than they can be accepted must not block the event loop.
        let mut remaining = MAX_PEERS;
        loop {
            if remaining == 0 {
                return context.call_again(LISTENER);
            }
            remaining -= 1;
            let (mut stream, address) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => continue,
                    _ => {
                        // For example, no file descriptors are left. The connection remains in
                        // the backlog, and only a new one triggers a readiness event: a timer
                        // tries again.
                        context.count_errors(1);
                        tracing::warn!(
                            instance = context.name(),
                            "cannot accept a connection: {error}"
                        );
                        context.wake_in(self.backoff.next_delay());
                        return;
                    }
                },
            };
            let slot = match self.peers.iter().position(Option::is_none) {
                Some(slot) => slot,
                None if self.peers.len() < MAX_PEERS => {
                    self.peers.push(None);
                    self.peers.len() - 1
                }
                None => {
                    context.count_errors(1);
                    tracing::warn!(
                        instance = context.name(),
                        "rejected {address}: {MAX_PEERS} peers are connected"
                    );
                    continue;
                }
            };
            let key = FIRST_PEER + slot as u32;
            let both = Interest::READABLE | Interest::WRITABLE;
            let registered =
                configure_stream(&stream).and_then(|()| context.register(&mut stream, key, both));
            if let Err(error) = registered {
                tracing::warn!(
                    instance = context.name(),
                    "cannot accept the connection from {address}: {error}"
                );
                continue;
            }
            tracing::info!(instance = context.name(), "{address} connected");
            let names = (address.to_string(), address);
            let mut peer = Connection::new(stream, key, names, self.framing);
            peer.is_open = true;
            self.peers[slot] = Some(peer);
        }
    }

    fn connection(&mut self, key: u32) -> Option<&mut Connection> {
        match key {
            OUTBOUND => self.outbound.as_mut(),
            _ => self.peers.get_mut((key.checked_sub(FIRST_PEER)?) as usize)?.as_mut(),
        }
    }

    /// Closes a connection and logs the reason.
    fn close(&mut self, key: u32, reason: &str, context: &mut Context<'_>) {
        let closed = match key {
            OUTBOUND => self.outbound.take(),
            _ => self.peers[(key - FIRST_PEER) as usize].take(),
        };
        let Some(mut closed) = closed else { return };
        if let Err(error) = context.deregister(&mut closed.stream) {
            tracing::debug!(
                instance = context.name(),
                "cannot deregister {}: {error}",
                closed.peer
            );
        }
        if self.learned == Some(key) {
            self.learned = None;
        }
        if key == OUTBOUND {
            if let Some(lookup) = &mut self.destination {
                lookup.forget();
            }
            let problem =
                if closed.is_open { "lost the connection to" } else { "cannot connect to" };
            self.wait(format!("{problem} {}: {reason}", closed.peer), context);
        } else {
            tracing::info!(instance = context.name(), "{} disconnected: {reason}", closed.peer);
        }
    }

    /// Checks whether the outbound connection is established; returns false if it is still pending.
    fn finish_connecting(connection: &mut Connection) -> Result<bool, CloseReason> {
        if let Some(error) = connection.stream.take_error().map_err(|e| e.to_string())? {
            return Err(error.to_string());
        }
        match connection.stream.peer_addr() {
            Ok(_) => {
                connection.is_open = true;
                configure_stream(&connection.stream).map_err(|e| e.to_string())?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Handles the readiness of one connection.
    fn serve(
        connection: &mut Connection,
        readiness: Readiness,
        receiver: &mut Receiver,
        context: &mut Context<'_>,
    ) -> Result<(), CloseReason> {
        if !connection.is_open && !Self::finish_connecting(connection)? {
            return Ok(());
        }
        if readiness.writable {
            connection.write()?;
        }
        if readiness.readable {
            connection.read(receiver, context)?;
        }
        Ok(())
    }

    /// The connections that output is sent to.
    fn recipients(&mut self) -> impl Iterator<Item = &mut Connection> {
        let to_all = !self.learn && self.destination.is_none();
        let learned = self.learned;
        let peers = self.peers.iter_mut().flatten();
        peers
            .filter(move |peer| to_all || learned == Some(peer.key))
            .chain(self.outbound.as_mut())
            .filter(|connection| connection.is_open)
    }
}

impl Carrier for Streams {
    fn start(&mut self, _: bool, context: &mut Context<'_>) {
        self.open(context);
    }

    fn set_receives(&mut self, _: bool, _: &mut Context<'_>) {}

    fn ready(
        &mut self,
        key: u32,
        readiness: Readiness,
        receiver: &mut Receiver,
        context: &mut Context<'_>,
    ) {
        match key {
            LISTENER => return self.accept(context),
            RESOLVE_BIND | RESOLVE_DESTINATION => return self.resolved(key, context),
            _ => {}
        }
        let Some(connection) = self.connection(key) else { return };
        let was_open = connection.is_open;
        match Self::serve(connection, readiness, receiver, context) {
            Ok(()) if !was_open => self.open(context),
            Ok(()) => {
                if self.learn && key != OUTBOUND && readiness.readable {
                    self.learned = Some(key);
                }
            }
            Err(reason) => self.close(key, &reason, context),
        }
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        self.open(context);
        self.accept(context);
    }

    fn has_new_peer(&mut self) -> bool {
        std::mem::replace(&mut self.previous_peer, self.learned) != self.learned
            && self.learned.is_some()
    }

    fn can_send(&self) -> bool {
        let open = |connection: &Connection| connection.is_open;
        if self.learn {
            self.learned.is_some()
        } else if self.destination.is_some() {
            self.outbound.as_ref().is_some_and(open)
        } else {
            self.peers.iter().flatten().any(open)
        }
    }

    fn inspect(&self, report: &mut InstanceReport) {
        let endpoint = |address| Endpoint { transport: "TCP", address };
        let listens = self.listener.as_ref().and_then(|listener| listener.local_addr().ok());
        report.listens.extend(listens.map(endpoint));
        let connections = self.outbound.iter().chain(self.peers.iter().flatten());
        let open = connections.filter(|connection| connection.is_open);
        report.sends.extend(open.map(|connection| endpoint(connection.address)));
        if !self.can_send() && self.destination.is_none() {
            report.sends_nothing = Some(
                "no peer is connected: connect from it, or add `destination = HOST PORT`".into(),
            );
        }
    }

    fn push(&mut self, packet: &[u8]) -> bool {
        let mut accepted = true;
        for connection in self.recipients() {
            accepted &= connection.push(packet);
        }
        accepted
    }

    fn flush(&mut self, context: &mut Context<'_>) {
        let mut closed = Vec::new();
        for connection in self.recipients() {
            if let Err(reason) = connection.write() {
                closed.push((connection.key, reason));
            }
        }
        for (key, reason) in closed {
            self.close(key, &reason, context);
        }
    }
}
