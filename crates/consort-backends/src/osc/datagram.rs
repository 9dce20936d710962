//! OSC over UDP: one packet per datagram.

use std::io;
use std::net::SocketAddr;

use consort_router::inspect::{Endpoint, InstanceReport};
use consort_router::{Context, Readiness, State};
use mio::Interest;

use super::carrier::Carrier;
use super::config::{Destination, LearnedPeer};
use super::receiver::{Origin, Receiver};
use crate::mdns::Service;
use crate::net::loss::LossReport;
use crate::net::{
    Allow, Backoff, DatagramSocket, DenialReport, HostPort, Lookup, OutgoingDatagrams,
};

/// Keys of the descriptors that an instance registers with the router.
const SOCKET: u32 = 0;
const RESOLVE_BIND: u32 = 1;
const RESOLVE_DESTINATION: u32 = 2;
const SENDING_SOCKET: u32 = 3;

/// The average number of values in a packet above which packets are read in small batches.
const HEAVY_PACKET_VALUES: usize = 64;

/// The socket of an instance over UDP.
pub(super) struct Datagrams {
    bind: Option<Lookup>,
    destination: Option<Lookup>,
    /// The name of the service to send to, for `destination = mdns:NAME`.
    service: Option<String>,
    /// Where it was found last.
    found: Option<SocketAddr>,
    /// Set for `destination = learn`, with the port that replies go to, if one is given.
    learn: Option<Option<u16>>,
    learned_peer: LearnedPeer,
    /// Where the packet came from whose sender is followed.
    learned: Option<SocketAddr>,
    allow: Allow,
    denials: DenialReport,
    /// The same at the last call of `has_new_peer`.
    previous_peer: Option<SocketAddr>,
    socket: Option<DatagramSocket>,
    /// A second socket on the bound address, connected to the destination, which sends.
    sending_socket: Option<DatagramSocket>,
    /// Whether the instance uses the values of incoming packets.
    receives: bool,
    outgoing: OutgoingDatagrams,
    awaits_writable: bool,
    backoff: Backoff,
    losses: LossReport,
}

impl Datagrams {
    pub(super) fn new(
        bind: Option<HostPort>,
        destination: Destination,
        allow: Allow,
        learned_peer: LearnedPeer,
    ) -> Self {
        let (mut fixed, mut service, mut learn) = (None, None, None);
        match destination {
            Destination::None => {}
            Destination::Fixed(target) => {
                fixed = Some(Lookup::new(target).reached_from(bind.as_ref()));
            }
            Destination::Service(name) => service = Some(name),
            Destination::Learn(port) => learn = Some(port),
        }
        Datagrams {
            bind: bind.map(Lookup::new),
            destination: fixed,
            service,
            found: None,
            learn,
            learned_peer,
            learned: None,
            allow,
            denials: DenialReport::default(),
            previous_peer: None,
            socket: None,
            sending_socket: None,
            receives: true,
            outgoing: OutgoingDatagrams::default(),
            awaits_writable: false,
            backoff: Backoff::default(),
            losses: LossReport::default(),
        }
    }

    /// The address to send to, if it is known.
    fn target(&self) -> Option<SocketAddr> {
        self.learned.or_else(|| self.given_target())
    }

    /// The address of the destination that the configuration names, if it is known.
    fn given_target(&self) -> Option<SocketAddr> {
        self.found.or_else(|| self.destination.as_ref()?.address())
    }

    /// Why there is no address to send to yet; `None` if there is one, or none is configured.
    fn missing_service(&self) -> Option<String> {
        let name = self.service.as_ref().filter(|_| self.found.is_none())?;
        Some(format!(
            "searching for the OSC service `{name}` on the local network: `consort discover` lists \
             what is there"
        ))
    }

    /// Starts the look-ups and opens the socket where that is not done yet, and sets the state.
    fn open(&mut self, context: &mut Context<'_>) {
        match self.try_open(context) {
            Ok(true) => {
                self.backoff.reset();
                context.set_state(State::Up);
            }
            // A look-up or a search is running.
            Ok(false) => {
                if let Some(reason) = self.missing_service() {
                    context.set_state(State::Waiting(reason));
                }
            }
            Err(reason) => self.wait(reason, context),
        }
    }

    /// Reports the reason and schedules the next attempt.
    fn wait(&mut self, reason: String, context: &mut Context<'_>) {
        context.count_errors(1);
        context.set_state(State::Waiting(reason));
        context.wake_in(self.backoff.next_delay());
    }

    /// Returns whether everything is open; false while a look-up is running.
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
                    let Some(target) = target else {
                        return Ok(self.destination.is_none() && self.service.is_none());
                    };
                    let socket = DatagramSocket::bind_ephemeral(target)
                        .map_err(|error| format!("cannot open a socket: {error}"))?;
                    self.socket = Some(register(socket, SOCKET, context)?);
                    self.connect_if_send_only(context);
                    return Ok(true);
                }
            };
            let Some(local) = local else { return Ok(false) };
            let socket = DatagramSocket::bind(local).map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => format!(
                    "port {} is in use by another program (`ss -lunp sport = :{}` shows which)",
                    local.port(),
                    local.port()
                ),
                io::ErrorKind::PermissionDenied => {
                    format!(
                        "cannot bind {local}: ports below 1024 need root or CAP_NET_BIND_SERVICE"
                    )
                }
                io::ErrorKind::AddrNotAvailable => {
                    format!("this machine does not have the address {}", local.ip())
                }
                _ => format!("cannot bind {local}: {error}"),
            })?;
            self.socket = Some(register(socket, SOCKET, context)?);
        }
        self.connect_if_send_only(context);
        let needs_target = self.destination.is_some() || self.service.is_some();
        Ok(!needs_target || self.given_target().is_some())
    }

    /// Connects the socket of an instance that only sends to its destination: that saves the kernel
    /// a route look-up for each datagram. A bound socket still has to receive from everywhere, so
    /// that a second one is connected beside it.
    fn connect_if_send_only(&mut self, context: &mut Context<'_>) {
        let target = self.given_target();
        let (false, Some(target)) = (self.receives, target) else { return };
        let Some(socket) = &mut self.socket else { return };
        // The socket can send without being connected; if it cannot, sending reports why.
        if self.bind.is_none() {
            if let Err(error) = socket.connect(target) {
                tracing::debug!("cannot connect the socket to {target}: {error}");
            }
        } else if self.sending_socket.is_none() {
            let beside = socket.connect_beside(target).map_err(|error| error.to_string());
            match beside.and_then(|socket| register(socket, SENDING_SOCKET, context)) {
                Ok(socket) => self.sending_socket = Some(socket),
                Err(error) => tracing::debug!("cannot connect a socket to {target}: {error}"),
            }
        }
    }

    /// Reads packets until the socket is empty or the budget of the turn is spent.
    fn read(&mut self, key: u32, receiver: &mut Receiver, context: &mut Context<'_>) {
        let socket =
            if key == SENDING_SOCKET { &mut self.sending_socket } else { &mut self.socket };
        let Some(socket) = socket else { return };
        let mut remaining = context.budget();
        loop {
            let mut spent = 0;
            let (learn, learned, allow) = (self.learn, &mut self.learned, &self.allow);
            let keeps_peer = self.learned_peer == LearnedPeer::First;
            let mut denied = None;
            let received = socket.receive(|bytes, peer| {
                if !allow.is_everyone() {
                    let host = peer.address().map(|address| address.ip());
                    if let Some(host) = host.filter(|host| !allow.contains(*host)) {
                        spent += 1;
                        denied = Some((denied.map_or(1, |(count, _)| count + 1), host));
                        return;
                    }
                }
                spent += receiver.receive(bytes, Origin::Datagram(peer), context).max(1);
                if let Some(port) = learn
                    && receiver.is_addressed()
                    && !(keeps_peer && learned.is_some())
                {
                    *learned = peer.address().map(|mut address| {
                        address.set_port(port.unwrap_or(address.port()));
                        address
                    });
                }
            });
            let denied_count = denied.map_or(0, |(count, _)| count);
            if let Some((count, host)) = denied {
                self.denials.report(count, host, context);
            }
            remaining = remaining.saturating_sub(spent);
            if let Some(losses) = socket.take_losses() {
                self.losses.report(losses, None, context);
            }
            if let Ok(received) = &received
                && received.count as u64 > denied_count
            {
                context.count_input(received.count as u64 - denied_count);
            }
            match received {
                Ok(received) if !received.more => return,
                Ok(received) if remaining == 0 => {
                    // A full batch of such packets would delay all other instances.
                    if spent > received.count * HEAVY_PACKET_VALUES {
                        socket.shrink_batch();
                    }
                    return context.call_again(key);
                }
                Ok(_) => {}
                Err(error) => {
                    context.count_errors(1);
                    tracing::debug!(instance = context.name(), "cannot receive: {error}");
                    return context.call_again(key);
                }
            }
        }
    }
}

/// Registers a new socket with the router.
fn register(
    mut socket: DatagramSocket,
    key: u32,
    context: &mut Context<'_>,
) -> Result<DatagramSocket, String> {
    context
        .register(socket.source(), key, Interest::READABLE)
        .map_err(|error| format!("cannot add a socket to the event loop: {error}"))?;
    Ok(socket)
}

impl Carrier for Datagrams {
    fn searches(&self) -> bool {
        self.service.is_some()
    }

    fn find_service(&mut self, services: &[Service], context: &mut Context<'_>) {
        let Some(name) = &self.service else { return };
        let bind = self.bind.as_ref().and_then(Lookup::address);
        let is_v4 = bind.is_some_and(|address| address.is_ipv4());
        let reachable = |address: &&SocketAddr| address.is_ipv4() || !is_v4;
        let found = services
            .iter()
            .filter(|service| service.name == *name)
            .find_map(|service| service.addresses.iter().find(reachable));
        // A service that is gone may have restarted: what it sent to last stays in use until then.
        let Some(&address) = found.filter(|address| self.found != Some(**address)) else { return };
        self.found = Some(address);
        // These sockets are connected to the last address, or of its family.
        let outdated = match self.bind {
            Some(_) => [self.sending_socket.take(), None],
            None => [self.sending_socket.take(), self.socket.take()],
        };
        for mut socket in outdated.into_iter().flatten() {
            if let Err(error) = context.deregister(socket.source()) {
                tracing::debug!("cannot deregister a socket: {error}");
            }
            self.awaits_writable = false;
        }
        self.open(context);
    }

    fn start(&mut self, receives: bool, context: &mut Context<'_>) {
        self.receives = receives;
        self.open(context);
    }

    fn set_receives(&mut self, receives: bool, context: &mut Context<'_>) {
        let begins = receives && !self.receives;
        self.receives = receives;
        if !receives {
            self.connect_if_send_only(context);
        } else if let (true, None, Some(socket)) = (begins, &self.bind, &mut self.socket) {
            socket.disconnect();
        }
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
                if readiness.writable && self.awaits_writable {
                    self.flush(context);
                }
                if readiness.readable {
                    self.read(key, receiver, context);
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

    fn has_new_peer(&mut self) -> bool {
        let peer = self.learned.or(self.found);
        std::mem::replace(&mut self.previous_peer, peer) != peer
    }

    fn can_send(&self) -> bool {
        self.socket.is_some() && self.target().is_some()
    }

    fn inspect(&self, report: &mut InstanceReport) {
        let local = self.socket.as_ref().and_then(|socket| socket.local_address().ok());
        if let Some(address) = local
            && self.bind.is_some()
        {
            report.listens.push(Endpoint { transport: "UDP", address });
        }
        if let Some(address) = self.target() {
            report.sends.push(Endpoint { transport: "UDP", address });
        } else if let Some(reason) = self.missing_service() {
            report.sends_nothing = Some(reason);
        } else if self.destination.is_none() {
            report.sends_nothing = Some(match self.learn {
                Some(_) => "no peer has sent a packet yet, to which `destination = learn` would \
                            reply: send something from it, or give its address as `destination`"
                    .into(),
                None => "it has no destination: add `destination = HOST PORT`".into(),
            });
        }
    }

    fn push(&mut self, packet: &[u8]) -> bool {
        match self.target() {
            Some(target) => self.outgoing.push(target, |bytes| bytes.extend_from_slice(packet)),
            None => false,
        }
    }

    fn flush(&mut self, context: &mut Context<'_>) {
        let (socket, key) = match (&mut self.sending_socket, &mut self.socket) {
            (Some(socket), _) => (socket, SENDING_SOCKET),
            (None, Some(socket)) => (socket, SOCKET),
            (None, None) => return,
        };
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
        if let Some(losses) = socket.take_losses() {
            self.losses.report(losses, None, context);
        }
        // Writability is requested only while the queue is not empty: otherwise every datagram that
        // is sent would wake the event loop.
        let awaits_writable = !self.outgoing.is_empty();
        if awaits_writable != self.awaits_writable {
            self.awaits_writable = awaits_writable;
            let interest = if awaits_writable {
                Interest::READABLE | Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            if let Err(error) = context.reregister(socket.source(), key, interest) {
                tracing::error!(
                    instance = context.name(),
                    "cannot add a socket to the event loop: {error}"
                );
            }
        }
    }
}
