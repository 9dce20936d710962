//! OSC over TCP: packets behind a length, or in SLIP frames.

use std::io::{self, Read, Write};
use std::time::Duration;

use consort_osc::{LengthPrefixDecoder, SlipDecoder, encode_length_prefixed, encode_slip};
use consort_router::{Context, Readiness, State};
use mio::Interest;
use mio::net::{TcpListener, TcpStream};
use socket2::{SockRef, TcpKeepalive};

use super::config::{Destination, Transport};
use super::instance::{Carrier, LIMITS, Receiver};
use crate::net::{Backoff, HostPort, Lookup};

const LISTENER: u32 = 0;
const RESOLVE_BIND: u32 = 1;
const RESOLVE_DESTINATION: u32 = 2;
const OUTBOUND: u32 = 3;
const FIRST_PEER: u32 = 16;

/// How many peers may be connected at once.
const PEER_LIMIT: usize = 64;

/// After how long without a word the kernel asks whether a peer is still there, and how often.
/// One whose network has gone says nothing, and would keep its place for ever.
const ASK_AFTER: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_secs(10);

/// How long what was sent may go unanswered before the connection has ended.
const UNANSWERED: Duration = Duration::from_secs(60);

/// How many bytes may wait for a slow peer.
const OUTGOING_LIMIT: usize = 1 << 20;

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

struct Connection {
    stream: TcpStream,
    key: u32,
    peer: String,
    is_open: bool,
    decoder: Decoder,
    /// What was read and is not decoded yet, because others had to have their turn.
    rest: Vec<u8>,
    outgoing: Vec<u8>,
}

/// Why a connection came to its end.
type Ended = String;

impl Connection {
    fn new(stream: TcpStream, key: u32, peer: String, framing: Transport) -> Self {
        let decoder = match framing {
            Transport::Slip => Decoder::Slip(SlipDecoder::new(LIMITS.size)),
            _ => Decoder::LengthPrefixed(LengthPrefixDecoder::new(LIMITS.size)),
        };
        Connection {
            stream,
            key,
            peer,
            is_open: false,
            decoder,
            rest: Vec::new(),
            outgoing: Vec::new(),
        }
    }

    fn read(&mut self, receiver: &mut Receiver, context: &mut Context<'_>) -> Result<(), Ended> {
        let mut buffer = [0; 16_384];
        let mut rest = std::mem::take(&mut self.rest);
        let mut left = context.budget();
        loop {
            let mut input = match rest.is_empty() {
                false => &rest[..],
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
            while left > 0
                && let Some(packet) = self.decoder.next(&mut input).map_err(|e| e.to_string())?
            {
                left = left.saturating_sub(receiver.receive(packet, context).max(1));
            }
            if left == 0 {
                self.rest = input.to_vec();
                context.call_again(self.key);
                return Ok(());
            }
            rest.clear();
        }
    }

    /// Adds a packet; false when the peer is too slow.
    fn push(&mut self, packet: &[u8]) -> bool {
        if self.outgoing.len() + packet.len() > OUTGOING_LIMIT {
            return false;
        }
        match self.decoder {
            Decoder::LengthPrefixed(_) => encode_length_prefixed(packet, &mut self.outgoing),
            Decoder::Slip(_) => encode_slip(packet, &mut self.outgoing),
        }
        .is_ok()
    }

    fn write(&mut self) -> Result<(), Ended> {
        let mut done = 0;
        while done < self.outgoing.len() {
            match self.stream.write(&self.outgoing[done..]) {
                Ok(count) => done += count,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => break,
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(error.to_string()),
                },
            }
        }
        self.outgoing.drain(..done);
        Ok(())
    }
}

/// What every connection has: faders are small packets that should not wait for each other, and
/// a peer that is gone is noticed.
pub(super) fn set_up(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(
        &TcpKeepalive::new().with_time(ASK_AFTER).with_interval(ASK_EVERY).with_retries(3),
    )?;
    socket.set_tcp_user_timeout(Some(UNANSWERED))
}

pub(super) struct Streams {
    bind: Option<Lookup>,
    destination: Option<Lookup>,
    learn: bool,
    /// The peer that sent last, by key.
    learned: Option<u32>,
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
            framing,
            listener: None,
            outbound: None,
            peers: Vec::new(),
            backoff: Backoff::default(),
        }
    }

    /// Does whatever is missing and says what it waits for.
    fn open(&mut self, context: &mut Context<'_>) {
        if let Err(reason) = self.try_open(context) {
            return self.wait(reason, context);
        }
        let listening = self.bind.is_none() || self.listener.is_some();
        let connected =
            self.destination.is_none() || self.outbound.as_ref().is_some_and(|it| it.is_open);
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
                self.outbound = Some(Connection::new(stream, OUTBOUND, peer, self.framing));
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

    fn accept(&mut self, context: &mut Context<'_>) {
        let Some(listener) = &self.listener else { return };
        // Whoever knocks faster than we open must not keep everyone else waiting.
        let mut left = PEER_LIMIT;
        loop {
            if left == 0 {
                return context.call_again(LISTENER);
            }
            left -= 1;
            let (mut stream, address) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => continue,
                    _ => {
                        // Out of descriptors, say: the connection stays in the queue, and edges
                        // come only for new ones.
                        context.count_errors(1);
                        tracing::warn!(instance = context.name(), "accepting: {error}");
                        context.wake_in(self.backoff.next_delay());
                        return;
                    }
                },
            };
            let slot = match self.peers.iter().position(Option::is_none) {
                Some(slot) => slot,
                None if self.peers.len() < PEER_LIMIT => {
                    self.peers.push(None);
                    self.peers.len() - 1
                }
                None => {
                    context.count_errors(1);
                    tracing::warn!(
                        instance = context.name(),
                        "{address} was turned away: {PEER_LIMIT} peers are connected"
                    );
                    continue;
                }
            };
            let key = FIRST_PEER + slot as u32;
            let both = Interest::READABLE | Interest::WRITABLE;
            let registered =
                set_up(&stream).and_then(|()| context.register(&mut stream, key, both));
            if let Err(error) = registered {
                tracing::warn!(instance = context.name(), "{address}: {error}");
                continue;
            }
            tracing::info!(instance = context.name(), "{address} connected");
            let mut peer = Connection::new(stream, key, address.to_string(), self.framing);
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

    fn end(&mut self, key: u32, reason: &str, context: &mut Context<'_>) {
        let ended = match key {
            OUTBOUND => self.outbound.take(),
            _ => self.peers[(key - FIRST_PEER) as usize].take(),
        };
        let Some(mut ended) = ended else { return };
        if let Err(error) = context.deregister(&mut ended.stream) {
            tracing::debug!(instance = context.name(), "{}: {error}", ended.peer);
        }
        if self.learned == Some(key) {
            self.learned = None;
        }
        if key == OUTBOUND {
            if let Some(lookup) = &mut self.destination {
                lookup.forget();
            }
            let what = if ended.is_open { "the connection to" } else { "no connection to" };
            self.wait(format!("{what} {}: {reason}", ended.peer), context);
        } else {
            tracing::info!(instance = context.name(), "{} is gone: {reason}", ended.peer);
        }
    }

    /// The outbound connection is writable for the first time, or has failed.
    fn connected(connection: &mut Connection) -> Result<bool, Ended> {
        if let Some(error) = connection.stream.take_error().map_err(|e| e.to_string())? {
            return Err(error.to_string());
        }
        match connection.stream.peer_addr() {
            Ok(_) => {
                connection.is_open = true;
                set_up(&connection.stream).map_err(|e| e.to_string())?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    fn serve(
        connection: &mut Connection,
        readiness: Readiness,
        receiver: &mut Receiver,
        context: &mut Context<'_>,
    ) -> Result<(), Ended> {
        if !connection.is_open && !Self::connected(connection)? {
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

    /// Those that output goes to.
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
            Err(reason) => self.end(key, &reason, context),
        }
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        self.open(context);
        self.accept(context);
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

    fn push(&mut self, packet: &[u8]) -> bool {
        let mut taken = true;
        for connection in self.recipients() {
            taken &= connection.push(packet);
        }
        taken
    }

    fn flush(&mut self, context: &mut Context<'_>) {
        let mut ended = Vec::new();
        for connection in self.recipients() {
            if let Err(reason) = connection.write() {
                ended.push((connection.key, reason));
            }
        }
        for (key, reason) in ended {
            self.end(key, &reason, context);
        }
    }
}
