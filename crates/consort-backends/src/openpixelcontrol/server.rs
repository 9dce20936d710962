//! The clients that send to an instance.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use consort_router::{Context, Sender, WarnOnce};
use mio::Interest;
use mio::net::{TcpListener, TcpStream};

use super::codec::Decoder;
use super::input::Inputs;
use crate::net::tcp::{configure_stream, read};
use crate::net::{Allow, Backoff, DenialReport, HostPort, Lookup};

/// The keys of the listener and its look-up; those of the clients follow.
pub(super) const LISTENER: u32 = 8;
pub(super) const RESOLVE_LISTEN: u32 = 9;
pub(super) const FIRST_CLIENT: u32 = 16;

/// The most clients that may be connected at once.
pub(super) const MAX_CLIENTS: usize = 64;

/// How long a message may take from its first byte to its last one.
const PARTIAL_MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes are read at once.
const READ_BYTES: usize = 65_536;

/// A connected client.
struct Client {
    stream: TcpStream,
    address: SocketAddr,
    decoder: Decoder,
    opened: Instant,
    /// When the last whole message arrived.
    last_message: Option<Instant>,
    /// Since when a message has been incomplete.
    partial_since: Option<Instant>,
}

/// The listener and the clients of an instance.
pub(super) struct Server {
    bind: Lookup,
    listener: Option<TcpListener>,
    clients: Vec<Option<Client>>,
    allow: Allow,
    denials: DenialReport,
    replacements: WarnOnce,
    backoff: Backoff,
    /// When what has failed is tried again.
    retry_due: Option<Instant>,
    /// When the first incomplete message has taken too long.
    partial_due: Option<Instant>,
    problem: Option<String>,
    buffer: Box<[u8]>,
}

impl Server {
    pub(super) fn new(bind: HostPort, allow: Allow) -> Self {
        Server {
            bind: Lookup::new(bind),
            listener: None,
            clients: Vec::new(),
            allow,
            denials: DenialReport::default(),
            replacements: WarnOnce::default(),
            backoff: Backoff::default(),
            retry_due: None,
            partial_due: None,
            problem: None,
            buffer: vec![0; READ_BYTES].into(),
        }
    }

    /// Whether clients can connect.
    pub(super) fn is_open(&self) -> bool {
        self.listener.is_some()
    }

    /// Why they cannot.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// The address of the listener.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.listener.as_ref()?.local_addr().ok()
    }

    /// When [`timer`](Self::timer) is to be called next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.retry_due.into_iter().chain(self.partial_due).min()
    }

    /// Opens the listener, or looks its name up first.
    pub(super) fn open(&mut self, context: &mut Context<'_>) {
        if let Err(reason) = self.try_open(context) {
            context.count_errors(1);
            self.problem = Some(reason);
            self.bind.forget();
            self.retry_due = Some(context.now() + self.backoff.next_delay());
        }
    }

    fn try_open(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        if self.listener.is_some() {
            return Ok(());
        }
        self.bind.start(RESOLVE_LISTEN, context)?;
        let Some(address) = self.bind.address() else { return Ok(()) };
        let listener = TcpListener::bind(address).and_then(|mut listener| {
            context.register(&mut listener, LISTENER, Interest::READABLE)?;
            Ok(listener)
        });
        let explain = |error| format!("cannot listen on {}: {error}", self.bind.target());
        self.listener = Some(listener.map_err(explain)?);
        self.problem = None;
        self.backoff.reset();
        Ok(())
    }

    /// Takes a report with one of the keys of this module.
    pub(super) fn ready(
        &mut self,
        key: u32,
        inputs: &mut Inputs,
        detect: bool,
        context: &mut Context<'_>,
    ) {
        match key {
            LISTENER => self.accept(context),
            RESOLVE_LISTEN => match self.bind.finish(context) {
                Ok(()) => self.open(context),
                Err(reason) => {
                    context.count_errors(1);
                    self.problem = Some(reason);
                    self.retry_due = Some(context.now() + self.backoff.next_delay());
                }
            },
            _ => self.serve(key, inputs, detect, context),
        }
    }

    /// Does what is due.
    pub(super) fn timer(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        if self.retry_due.is_some_and(|due| due <= now) {
            self.retry_due = None;
            self.open(context);
            self.accept(context);
        }
        if self.partial_due.is_some_and(|due| due <= now) {
            let is_late = |client: &Client| {
                client.partial_since.is_some_and(|since| now >= since + PARTIAL_MESSAGE_TIMEOUT)
            };
            for slot in 0..self.clients.len() {
                if self.clients[slot].as_ref().is_some_and(is_late) {
                    context.count_errors(1);
                    self.close(slot, "a message was incomplete for 10 seconds", context);
                }
            }
            let partial = self.clients.iter().flatten().filter_map(|client| client.partial_since);
            self.partial_due = partial.min().map(|since| since + PARTIAL_MESSAGE_TIMEOUT);
        }
    }

    /// Accepts the connections that are waiting.
    fn accept(&mut self, context: &mut Context<'_>) {
        // Clients that connect faster than they can be accepted must not block the event loop.
        for _ in 0..MAX_CLIENTS {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((stream, address)) => self.add(stream, address, context),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => {
                        // For example, no file descriptors are left. The connection remains in
                        // the backlog, and only a new one triggers a readiness event: a timer
                        // tries again.
                        context.count_errors(1);
                        tracing::warn!(
                            instance = context.name(),
                            "cannot accept a connection: {error}"
                        );
                        self.retry_due = Some(context.now() + self.backoff.next_delay());
                        return;
                    }
                },
            }
        }
        context.call_again(LISTENER);
    }

    fn add(&mut self, mut stream: TcpStream, address: SocketAddr, context: &mut Context<'_>) {
        if !self.allow.contains(address.ip()) {
            return self.denials.report(1, address.ip(), context);
        }
        let slot = self.free_slot(address, context);
        let key = FIRST_CLIENT + slot as u32;
        let registered = configure_stream(&stream)
            .and_then(|()| context.register(&mut stream, key, Interest::READABLE));
        if let Err(error) = registered {
            let instance = context.name();
            return tracing::warn!(
                instance,
                "cannot accept the connection from {address}: {error}"
            );
        }
        tracing::info!(instance = context.name(), "{address} connected");
        self.clients[slot] = Some(Client {
            stream,
            address,
            decoder: Decoder::default(),
            opened: context.now(),
            last_message: None,
            partial_since: None,
        });
    }

    /// A place for a new client. If there is none, the client that has been silent for longest
    /// gives way, among those of the host that has most, and one that never sent a message before
    /// others: one host with many connections cannot keep others out.
    fn free_slot(&mut self, address: SocketAddr, context: &mut Context<'_>) -> usize {
        if let Some(slot) = self.clients.iter().position(Option::is_none) {
            return slot;
        }
        if self.clients.len() < MAX_CLIENTS {
            self.clients.push(None);
            return self.clients.len() - 1;
        }
        let clients = || self.clients.iter().flatten();
        let connections_of =
            |host: IpAddr| clients().filter(|client| client.address.ip() == host).count();
        let rank = |client: &Client| {
            let count = connections_of(client.address.ip());
            (std::cmp::Reverse(count), client.last_message, client.opened)
        };
        let slots = self.clients.iter().enumerate();
        let slot = slots
            .filter_map(|(slot, client)| Some((slot, rank(client.as_ref()?))))
            .min_by_key(|(_, rank)| *rank)
            .map_or(0, |(slot, _)| slot);
        context.count_errors(1);
        if self.replacements.is_first() {
            tracing::warn!(
                instance = context.name(),
                "{MAX_CLIENTS} clients are connected: {address} replaces the one that has been \
                 silent for longest; further replacements are only counted"
            );
        }
        self.close(slot, "another client took its place", context);
        slot
    }

    fn close(&mut self, slot: usize, reason: &str, context: &mut Context<'_>) {
        let Some(mut client) = self.clients[slot].take() else { return };
        if let Err(error) = context.deregister(&mut client.stream) {
            tracing::debug!("cannot deregister a client: {error}");
        }
        tracing::info!(instance = context.name(), "{} disconnected: {reason}", client.address);
    }

    /// Reads what a client has sent.
    fn serve(&mut self, key: u32, inputs: &mut Inputs, detect: bool, context: &mut Context<'_>) {
        let Some(slot) = key.checked_sub(FIRST_CLIENT).map(|slot| slot as usize) else { return };
        let Some(Some(client)) = self.clients.get_mut(slot) else { return };
        match client.read(&mut self.buffer, inputs, detect, context) {
            Ok(is_drained) => {
                if !is_drained {
                    context.call_again(key);
                }
                if let Some(since) = client.partial_since {
                    self.partial_due.get_or_insert(since + PARTIAL_MESSAGE_TIMEOUT);
                }
            }
            Err(reason) => self.close(slot, &reason, context),
        }
    }
}

impl Client {
    /// Takes messages until nothing is left or the budget of the turn is spent; returns false in
    /// the second case.
    fn read(
        &mut self,
        buffer: &mut [u8],
        inputs: &mut Inputs,
        detect: bool,
        context: &mut Context<'_>,
    ) -> Result<bool, String> {
        let mut remaining = context.budget();
        let now = context.now();
        let mut has_message = false;
        let is_drained = loop {
            while remaining > 0
                && let Some(message) = self.decoder.next()
            {
                let sender = Sender::Address(self.address);
                let spent = inputs.receive(&message, sender, detect, context);
                remaining = remaining.saturating_sub(spent);
                has_message = true;
            }
            if remaining == 0 {
                break false;
            }
            let Some(count) = read(&mut self.stream, buffer)? else { break true };
            self.decoder.push(&buffer[..count]);
        };
        if has_message {
            (self.last_message, self.partial_since) = (Some(now), None);
        }
        match is_drained && self.decoder.pending() > 0 {
            true => _ = self.partial_since.get_or_insert(now),
            false => self.partial_since = None,
        }
        Ok(is_drained)
    }
}
