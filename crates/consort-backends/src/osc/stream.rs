//! OSC over TCP: packets with a length prefix, or in SLIP frames.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use consort_osc::{LengthPrefixDecoder, SlipDecoder, encode_length_prefixed, encode_slip};
use consort_router::inspect::{Endpoint, InstanceReport};
use consort_router::{Context, Readiness, State, WarnOnce};
use mio::Interest;
use mio::net::{TcpListener, TcpStream};

use super::carrier::Carrier;
use super::config::{Destination, LearnedPeer, Transport};
use super::receiver::{Origin, PACKET_LIMITS, Receiver};
use crate::net::tcp::configure_stream;
use crate::net::{Allow, Backoff, DenialReport, HostPort, Lookup};

const LISTENER: u32 = 0;
const RESOLVE_BIND: u32 = 1;
const RESOLVE_DESTINATION: u32 = 2;
const OUTBOUND: u32 = 3;
const FIRST_PEER: u32 = 16;

/// The most peers that may be connected at once.
const MAX_PEERS: usize = 64;

/// How long a packet may take from its first byte to its last one.
const PARTIAL_PACKET_TIMEOUT: Duration = Duration::from_secs(10);

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
    opened: Instant,
    /// When the last whole packet arrived.
    last_packet: Option<Instant>,
    /// Since when a packet has been incomplete.
    partial_since: Option<Instant>,
}

/// The reason why a connection was closed.
type CloseReason = String;

impl Connection {
    fn new(
        stream: TcpStream,
        key: u32,
        (peer, address): (String, SocketAddr),
        framing: Transport,
        now: Instant,
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
            opened: now,
            last_packet: None,
            partial_since: None,
        }
    }

    /// Notes whether a packet is incomplete, after something was read.
    fn note_progress(&mut self, has_packet: bool, now: Instant) {
        let pending = match &self.decoder {
            Decoder::LengthPrefixed(decoder) => decoder.pending(),
            Decoder::Slip(decoder) => decoder.pending(),
        };
        if has_packet {
            (self.last_packet, self.partial_since) = (Some(now), None);
        }
        match pending > 0 && self.undecoded.is_empty() {
            true => _ = self.partial_since.get_or_insert(now),
            false => self.partial_since = None,
        }
    }

    /// Reads packets until the stream is empty or the budget of the turn is spent. Returns whether
    /// one of them was meant for the instance.
    fn read(
        &mut self,
        receiver: &mut Receiver,
        context: &mut Context<'_>,
    ) -> Result<bool, CloseReason> {
        let mut buffer = [0; 16_384];
        let mut undecoded = std::mem::take(&mut self.undecoded);
        let mut remaining = context.budget();
        let (mut has_packet, mut is_addressed) = (false, false);
        loop {
            let mut input = match undecoded.is_empty() {
                false => &undecoded[..],
                true => match self.stream.read(&mut buffer) {
                    Ok(0) => return Err("the peer closed the connection".into()),
                    Ok(count) => &buffer[..count],
                    Err(error) => match error.kind() {
                        io::ErrorKind::WouldBlock => {
                            self.note_progress(has_packet, context.now());
                            return Ok(is_addressed);
                        }
                        io::ErrorKind::Interrupted => continue,
                        _ => return Err(error.to_string()),
                    },
                },
            };
            while remaining > 0
                && let Some(packet) = self.decoder.next(&mut input).map_err(|e| e.to_string())?
            {
                context.count_input(1);
                has_packet = true;
                let spent = receiver.receive(packet, Origin::Stream(self.address), context);
                remaining = remaining.saturating_sub(spent.max(1));
                is_addressed |= receiver.is_addressed();
            }
            if remaining == 0 {
                self.undecoded = input.to_vec();
                self.note_progress(has_packet, context.now());
                context.call_again(self.key);
                return Ok(is_addressed);
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

/// The listener and the connections of an instance over TCP.
pub(super) struct Streams {
    bind: Option<Lookup>,
    destination: Option<Lookup>,
    learn: bool,
    learned_peer: LearnedPeer,
    /// The key of the peer that is followed.
    learned: Option<u32>,
    allow: Allow,
    denials: DenialReport,
    replacements: WarnOnce,
    /// When the first incomplete packet has taken too long.
    partial_due: Option<Instant>,
    /// When what has failed is tried again.
    retry_due: Option<Instant>,
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
        allow: Allow,
        learned_peer: LearnedPeer,
    ) -> Self {
        let (destination, learn) = match destination {
            // A service is searched for only over UDP.
            Destination::None | Destination::Service(_) => (None, false),
            Destination::Fixed(target) => (Some(target), false),
            Destination::Learn(_) => (None, true),
        };
        Streams {
            bind: bind.map(Lookup::new),
            destination: destination.map(Lookup::new),
            learn,
            learned_peer,
            learned: None,
            allow,
            denials: DenialReport::default(),
            replacements: WarnOnce::default(),
            partial_due: None,
            retry_due: None,
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
        self.retry(context);
    }

    /// Schedules the next attempt of what has failed.
    fn retry(&mut self, context: &mut Context<'_>) {
        self.retry_due = Some(context.now() + self.backoff.next_delay());
        self.schedule(context);
    }

    fn schedule(&self, context: &mut Context<'_>) {
        let next = self.retry_due.into_iter().chain(self.partial_due).min();
        if next != context.wake_time() {
            context.wake_at(next);
        }
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
                self.outbound = Some(Connection::new(
                    stream,
                    OUTBOUND,
                    (peer, address),
                    self.framing,
                    context.now(),
                ));
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
        // Peers that connect faster than they can be accepted must not block the event loop.
        let mut remaining = MAX_PEERS;
        loop {
            if remaining == 0 {
                return context.call_again(LISTENER);
            }
            remaining -= 1;
            let Some(listener) = &self.listener else { return };
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
                        return self.retry(context);
                    }
                },
            };
            if !self.allow.contains(address.ip()) {
                self.denials.report(1, address.ip(), context);
                continue;
            }
            let slot = self.free_slot(address, context);
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
            let mut peer = Connection::new(stream, key, names, self.framing, context.now());
            peer.is_open = true;
            self.peers[slot] = Some(peer);
        }
    }

    /// A place for a new connection. If there is none, the connection that has been silent for
    /// longest gives way, among those of the host that has most, and one that never sent a packet
    /// before others: one host with many connections cannot keep others out.
    fn free_slot(&mut self, address: SocketAddr, context: &mut Context<'_>) -> usize {
        if let Some(slot) = self.peers.iter().position(Option::is_none) {
            return slot;
        }
        if self.peers.len() < MAX_PEERS {
            self.peers.push(None);
            return self.peers.len() - 1;
        }
        let connections_of = |host: std::net::IpAddr| {
            self.peers.iter().flatten().filter(|peer| peer.address.ip() == host).count()
        };
        let rank = |peer: &Connection| {
            (std::cmp::Reverse(connections_of(peer.address.ip())), peer.last_packet, peer.opened)
        };
        let peers = self.peers.iter().flatten();
        let key = peers.min_by_key(|peer| rank(peer)).map_or(FIRST_PEER, |peer| peer.key);
        context.count_errors(1);
        if self.replacements.is_first() {
            tracing::warn!(
                instance = context.name(),
                "{MAX_PEERS} peers are connected: {address} replaces the one that has been silent \
                 for longest; further replacements are only counted"
            );
        }
        self.close(key, "another peer took its place", context);
        (key - FIRST_PEER) as usize
    }

    /// Closes connections whose packet has been incomplete for too long.
    fn close_partial(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        let is_late = |peer: &&Connection| {
            peer.partial_since
                .is_some_and(|since| now.saturating_duration_since(since) >= PARTIAL_PACKET_TIMEOUT)
        };
        let late: Vec<u32> =
            self.peers.iter().flatten().filter(is_late).map(|peer| peer.key).collect();
        for key in late {
            context.count_errors(1);
            self.close(key, "a packet was incomplete for 10 seconds", context);
        }
        let partial = self.peers.iter().flatten().filter_map(|peer| peer.partial_since);
        self.partial_due = partial.min().map(|since| since + PARTIAL_PACKET_TIMEOUT);
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

    /// Handles the readiness of one connection. Returns whether it brought a packet that was meant
    /// for the instance.
    fn serve(
        connection: &mut Connection,
        readiness: Readiness,
        receiver: &mut Receiver,
        context: &mut Context<'_>,
    ) -> Result<bool, CloseReason> {
        if !connection.is_open && !Self::finish_connecting(connection)? {
            return Ok(false);
        }
        if readiness.writable {
            connection.write()?;
        }
        if readiness.readable { connection.read(receiver, context) } else { Ok(false) }
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
            Ok(_) if !was_open => self.open(context),
            Ok(is_addressed) => {
                let keeps_peer = self.learned_peer == LearnedPeer::First && self.learned.is_some();
                if self.learn && key != OUTBOUND && !keeps_peer && is_addressed {
                    self.learned = Some(key);
                }
                let since = self.connection(key).and_then(|connection| connection.partial_since);
                if let (Some(since), None, true) = (since, self.partial_due, key != OUTBOUND) {
                    self.partial_due = Some(since + PARTIAL_PACKET_TIMEOUT);
                    self.schedule(context);
                }
            }
            Err(reason) => self.close(key, &reason, context),
        }
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        if self.partial_due.is_some_and(|due| due <= now) {
            self.close_partial(context);
        }
        if self.retry_due.is_some_and(|due| due <= now) {
            self.retry_due = None;
            self.open(context);
            self.accept(context);
        }
        self.schedule(context);
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
