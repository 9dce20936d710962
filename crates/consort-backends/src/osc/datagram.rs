//! OSC over UDP: one packet a datagram.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use consort_router::{Context, Readiness, State};
use mio::Interest;

use super::Port;
use super::config::Destination;
use super::instance::{Carrier, Receiver};
use crate::net::{Backoff, DatagramSocket, HostPort, Lookup, OutgoingDatagrams};

const SOCKET: u32 = 0;
const RESOLVE_BIND: u32 = 1;
const RESOLVE_DESTINATION: u32 = 2;

/// Packets with so many values each are read in small batches.
const HEAVY: usize = 64;

pub(super) struct Datagrams {
    bind: Option<Lookup>,
    port: Rc<Port>,
    destination: Option<Lookup>,
    /// `learn`, and the port that replies go to.
    learn: Option<Option<u16>>,
    learned: Option<SocketAddr>,
    socket: Option<DatagramSocket>,
    /// Whether anything that comes in is of use.
    receives: bool,
    outgoing: OutgoingDatagrams,
    awaits_room: bool,
    backoff: Backoff,
}

impl Datagrams {
    pub(super) fn new(bind: Option<HostPort>, destination: Destination, port: Rc<Port>) -> Self {
        let (destination, learn) = match destination {
            Destination::None => (None, None),
            Destination::Fixed(target) => {
                (Some(Lookup::new(target).reached_from(bind.as_ref())), None)
            }
            Destination::Learn(port) => (None, Some(port)),
        };
        Datagrams {
            bind: bind.map(Lookup::new),
            port,
            destination,
            learn,
            learned: None,
            socket: None,
            receives: true,
            outgoing: OutgoingDatagrams::default(),
            awaits_room: false,
            backoff: Backoff::default(),
        }
    }

    fn target(&self) -> Option<SocketAddr> {
        self.learned.or_else(|| self.destination.as_ref()?.address())
    }

    /// Does whatever is missing: look-ups, the socket. Says what it is waiting for.
    fn open(&mut self, context: &mut Context<'_>) {
        match self.try_open(context) {
            Ok(true) => {
                self.backoff.reset();
                context.set_state(State::Up);
            }
            Ok(false) => {} // a look-up is under way
            Err(reason) => self.wait(reason, context),
        }
    }

    fn wait(&mut self, reason: String, context: &mut Context<'_>) {
        context.count_errors(1);
        context.set_state(State::Waiting(reason));
        context.wake_in(self.backoff.next_delay());
    }

    fn try_open(&mut self, context: &mut Context<'_>) -> Result<bool, String> {
        let lookups =
            [(&mut self.bind, RESOLVE_BIND), (&mut self.destination, RESOLVE_DESTINATION)];
        for (lookup, key) in lookups {
            if let Some(lookup) = lookup {
                lookup.start(key, context)?;
            }
        }
        if self.socket.is_none() {
            let local = match (&self.bind, self.target()) {
                (Some(bind), _) => bind.address(),
                (None, target) => {
                    let Some(target) = target else { return Ok(self.destination.is_none()) };
                    let socket = DatagramSocket::unbound_for(target)
                        .map_err(|error| format!("cannot open a socket: {error}"))?;
                    self.watch(socket, context)?;
                    self.tie();
                    return Ok(true);
                }
            };
            let Some(local) = local else { return Ok(false) };
            let socket = DatagramSocket::bind(local).map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => format!(
                    "port {} is in use by another program (`ss -lunp sport = :{}` names it)",
                    local.port(),
                    local.port()
                ),
                io::ErrorKind::PermissionDenied => {
                    format!("ports below 1024 are not for everyone: cannot bind {local}")
                }
                io::ErrorKind::AddrNotAvailable => {
                    format!("this machine does not have the address {}", local.ip())
                }
                _ => format!("cannot bind {local}: {error}"),
            })?;
            self.watch(socket, context)?;
        }
        self.tie();
        Ok(self.destination.as_ref().is_none_or(|lookup| lookup.address().is_some()))
    }

    /// Ties a socket that only sends to its destination.
    fn tie(&mut self) {
        let to = self.destination.as_ref().and_then(Lookup::address);
        if let (false, Some(socket), Some(to)) = (self.receives, &mut self.socket, to)
            && let Err(error) = socket.connect(to)
        {
            // It can send all the same, or says why when it does.
            tracing::debug!("connecting to {to}: {error}");
        }
    }

    fn watch(
        &mut self,
        mut socket: DatagramSocket,
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        context
            .register(socket.source(), SOCKET, Interest::READABLE)
            .map_err(|error| format!("cannot watch a socket: {error}"))?;
        if self.learn.is_none() {
            socket.ignore_peers();
        }
        self.socket = Some(socket);
        Ok(())
    }

    fn read(&mut self, receiver: &mut Receiver, context: &mut Context<'_>) {
        let Some(socket) = &mut self.socket else { return };
        let mut left = context.budget();
        loop {
            let mut spent = 0;
            let (learn, learned) = (self.learn, &mut self.learned);
            let received = socket.receive(|bytes, peer| {
                if let Some(port) = learn
                    && !bytes.is_empty()
                {
                    *learned = peer.address().map(|mut address| {
                        address.set_port(port.unwrap_or(address.port()));
                        address
                    });
                }
                spent += receiver.receive(bytes, context).max(1);
            });
            left = left.saturating_sub(spent);
            match received {
                Ok(received) if !received.more => return,
                Ok(received) if left == 0 => {
                    // A whole batch of such packets would be a long turn for all others.
                    if spent > received.count * HEAVY {
                        socket.take_few();
                    }
                    return context.call_again(SOCKET);
                }
                Ok(_) => {}
                Err(error) => {
                    context.count_errors(1);
                    tracing::debug!(instance = context.name(), "receiving: {error}");
                    return context.call_again(SOCKET);
                }
            }
        }
    }
}

impl Carrier for Datagrams {
    fn start(&mut self, receives: bool, context: &mut Context<'_>) {
        self.receives = receives;
        if self.port.is_left.get() {
            self.bind = None;
        }
        self.open(context);
    }

    fn ready(
        &mut self,
        key: u32,
        readiness: Readiness,
        receiver: &mut Receiver,
        context: &mut Context<'_>,
    ) {
        let lookup = match key {
            RESOLVE_BIND => self.bind.as_mut(),
            RESOLVE_DESTINATION => self.destination.as_mut(),
            _ => {
                if readiness.writable && self.awaits_room {
                    self.flush(context);
                }
                if readiness.readable {
                    self.read(receiver, context);
                }
                return;
            }
        };
        let Some(lookup) = lookup else { return };
        match lookup.finish(context) {
            Ok(()) => self.open(context),
            Err(reason) => self.wait(reason, context),
        }
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        self.open(context);
    }

    fn can_send(&self) -> bool {
        self.socket.is_some() && self.target().is_some()
    }

    fn push(&mut self, packet: &[u8]) -> bool {
        match self.target() {
            Some(to) => self.outgoing.push(to, |bytes| bytes.extend_from_slice(packet)),
            None => false,
        }
    }

    fn flush(&mut self, context: &mut Context<'_>) {
        let Some(socket) = &mut self.socket else { return };
        while !self.outgoing.is_empty() {
            match socket.send(&mut self.outgoing) {
                Ok(()) => {
                    if context.state() != State::Up {
                        context.set_state(State::Up);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    context.count_errors(1);
                    context.count_dropped(1);
                    context.set_state(State::Waiting(format!("cannot send: {error}")));
                }
            }
        }
        // Room is only asked for while it is needed: every datagram that leaves would be an event.
        let awaits_room = !self.outgoing.is_empty();
        if awaits_room != self.awaits_room {
            self.awaits_room = awaits_room;
            let interest = if awaits_room {
                Interest::READABLE | Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            if let Err(error) = context.reregister(socket.source(), SOCKET, interest) {
                tracing::error!(instance = context.name(), "cannot watch a socket: {error}");
            }
        }
    }
}
