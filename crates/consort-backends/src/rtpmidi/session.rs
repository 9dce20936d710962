//! The sessions of an instance: who its peers are, and what is exchanged with them. Without I/O:
//! datagrams and the time come in, and datagrams and messages go out through [`Effects`].

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::exchange::{self, Exchange};
use super::packet::{self, Packet};
use super::peer::{
    ACCEPTANCE_TIMEOUT, INVITATION_INTERVAL, INVITATION_PAUSE, MAX_INVITATIONS, Peer, Phase,
    SILENCE_TIMEOUT,
};
use super::stream::{Arrival, Outcome, Sender};
use crate::midi_grammar::message::Message;

/// The most peers of an instance.
pub(super) const MAX_PEERS: usize = 16;

/// One of the two ports of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Control,
    Data,
}

/// What happens to peers, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice<'a> {
    Joined,
    /// The reason says why.
    Left(&'a str),
    Refused,
    /// So many packets were lost, and not everything in them could be repaired.
    Lost(u16),
    Repaired(u16),
    /// How long packets take, as the clock synchronisation has measured.
    Latency(Duration),
    Invalid,
}

/// What a session does to the world.
pub(super) trait Effects {
    fn send(&mut self, port: Port, to: SocketAddr, bytes: &[u8]);

    /// Something has arrived from a peer.
    fn arrive(&mut self, peer: u32, arrival: Arrival<'_>);

    /// Something has happened to a peer with this name and address.
    fn notice(&mut self, peer: u32, name: &str, address: SocketAddr, notice: Notice<'_>);
}

/// Which invitations are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Join {
    /// Only those of the hosts that are invited themselves.
    #[default]
    Nobody,
    Everyone,
    /// Those of a session with this name.
    Named(String),
}

/// How a session works.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The name that peers see.
    pub(super) name: String,
    pub(super) ssrc: u32,
    /// Whether there is no session protocol.
    pub(super) is_direct: bool,
    pub(super) join: Join,
    /// In the direct mode, whether output is sent to everyone who has sent.
    pub(super) learns: bool,
}

/// The sessions of an instance.
pub(super) struct Session {
    settings: Settings,
    start: Instant,
    peers: Vec<Peer>,
    next_id: u32,
    /// The state of the generator of tokens and first numbers.
    random: u64,
    /// The commands of the packet that is being filled, and whether there is one.
    list: Vec<u8>,
    is_filling: bool,
    scratch: Vec<u8>,
}

impl Session {
    /// A session without peers. `seed` makes tokens and numbers differ between runs.
    pub(super) fn new(settings: Settings, seed: u64, now: Instant) -> Self {
        Session {
            settings,
            start: now,
            peers: Vec::new(),
            next_id: 0,
            random: seed | 1,
            list: Vec::new(),
            is_filling: false,
            scratch: Vec::new(),
        }
    }

    pub(super) fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// Takes other answers to invitations, from a reload.
    pub(super) fn set_join(&mut self, join: Join) {
        self.settings.join = join;
    }

    /// Takes the option `learn` of a reload. Output continues to those who were learned.
    pub(super) fn set_learns(&mut self, learns: bool) {
        self.settings.learns = learns;
    }

    /// A number that others cannot guess from the last ones on the wire (xorshift of a secret seed).
    fn random(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 32) as u32
    }

    fn new_sender(&mut self) -> Sender {
        let first = self.random() as u16;
        Sender::new(self.settings.ssrc, first)
    }

    fn new_peer(&mut self, data: SocketAddr, now: Instant) -> Peer {
        self.next_id += 1;
        let sender = self.new_sender();
        Peer::new(self.next_id, data, sender, now)
    }

    /// Adds a host of the configuration, or one that was found: in the direct mode its data port,
    /// else its control port.
    pub(super) fn add_host(
        &mut self,
        host: usize,
        address: SocketAddr,
        now: Instant,
        effects: &mut dyn Effects,
    ) {
        if let Some(known) = self.peers.iter().position(|peer| peer.host == Some(host)) {
            if self.peers[known].control.unwrap_or(self.peers[known].data) == address {
                return;
            }
            self.remove(known, "its address has changed", effects);
        }
        if self.peers.len() == MAX_PEERS {
            return;
        }
        let mut peer = self.new_peer(address, now);
        peer.host = Some(host);
        if !self.settings.is_direct {
            let port = address.port().wrapping_add(1);
            peer.data = SocketAddr::new(address.ip(), port);
            peer.control = Some(address);
            peer.is_initiator = true;
            peer.token = self.random();
            peer.phase = Phase::InvitingControl(0, now);
        }
        self.peers.push(peer);
    }

    /// Stops inviting a host, unless it is connected.
    pub(super) fn remove_host(&mut self, host: usize) {
        self.peers.retain(|peer| peer.host != Some(host) || peer.is_connected());
    }

    /// Handles a datagram. Returns false if it is not of this protocol.
    pub(super) fn receive(
        &mut self,
        port: Port,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
        effects: &mut dyn Effects,
    ) -> bool {
        if !exchange::is_exchange(bytes) {
            return port == Port::Data && self.receive_packet(from, bytes, now, effects);
        }
        if self.settings.is_direct {
            return false;
        }
        // Unknown messages of the session protocol are not wrong.
        let Some(exchange) = Exchange::parse(bytes) else { return true };
        match exchange {
            Exchange::Invitation { token, ssrc, name } => match port {
                Port::Control => self.on_invitation(from, token, ssrc, &name, now, effects),
                Port::Data => self.on_data_invitation(from, token, ssrc, now, effects),
            },
            Exchange::Accepted { token, ssrc, name } => {
                self.on_accepted(port, from, token, ssrc, &name, now, effects);
            }
            Exchange::Rejected { token, .. } => self.on_rejected(from, token, now, effects),
            Exchange::Bye { .. } => self.on_bye(from, now, effects),
            Exchange::Clock { step, times, .. } => self.on_clock(from, step, times, now, effects),
            Exchange::Feedback { sequence, .. } => {
                if let Some(peer) = self.connected_from(from) {
                    peer.heard = now;
                    peer.acknowledge(sequence);
                }
            }
        }
        true
    }

    /// The connected peer that has this address as its control or data port.
    fn connected_from(&mut self, from: SocketAddr) -> Option<&mut Peer> {
        let is_it = |peer: &&mut Peer| {
            peer.is_connected() && (peer.data == from || peer.control == Some(from))
        };
        self.peers.iter_mut().find(is_it)
    }

    fn receive_packet(
        &mut self,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
        effects: &mut dyn Effects,
    ) -> bool {
        let Ok(packet) = Packet::parse(bytes) else { return false };
        let is_direct = self.settings.is_direct;
        let known = self.peers.iter().position(|peer| peer.is_connected() && peer.data == from);
        let index = match known {
            Some(index) => index,
            None if is_direct => self.add_sender(from, now, effects),
            None => return false,
        };
        if is_direct && self.settings.learns {
            self.peers[index].sends = true;
        }
        let peer = &mut self.peers[index];
        peer.heard = now;
        let id = peer.id;
        let result = peer.receiver.receive(&packet, &mut |arrival| effects.arrive(id, arrival));
        let notice = match result {
            Ok(Outcome::Lost(count)) => Some(Notice::Lost(count)),
            Ok(Outcome::Repaired(count)) => Some(Notice::Repaired(count)),
            Ok(Outcome::InOrder | Outcome::Late) => None,
            Err(_) => Some(Notice::Invalid),
        };
        if let Some(notice) = notice {
            effects.notice(id, &peer.name, from, notice);
        }
        if !is_direct && result != Ok(Outcome::Late) {
            let is_urgent = result != Ok(Outcome::InOrder);
            peer.schedule_feedback(is_urgent, now);
            self.send_feedback(index, now, effects);
        }
        true
    }

    /// Adds a peer of the direct mode that has sent a packet. It replaces the one that came by
    /// itself and has been silent for longest, if there are too many.
    fn add_sender(&mut self, from: SocketAddr, now: Instant, effects: &mut dyn Effects) -> usize {
        if self.peers.len() == MAX_PEERS {
            let guests = self.peers.iter().enumerate().filter(|(_, peer)| peer.host.is_none());
            let silent = guests.min_by_key(|(_, peer)| peer.heard).map(|(index, _)| index);
            match silent {
                Some(index) => self.remove(index, "there are too many peers", effects),
                // All places are taken by the configuration: the last one receives for it.
                None => return self.peers.len() - 1,
            }
        }
        let mut peer = self.new_peer(from, now);
        peer.sends = self.settings.learns;
        effects.notice(peer.id, &peer.name, from, Notice::Joined);
        self.peers.push(peer);
        self.peers.len() - 1
    }

    fn send_exchange(
        &mut self,
        port: Port,
        to: SocketAddr,
        exchange: &Exchange,
        effects: &mut dyn Effects,
    ) {
        self.scratch.clear();
        exchange.write(&mut self.scratch);
        effects.send(port, to, &self.scratch);
    }

    fn accepted(&self, token: u32) -> Exchange {
        Exchange::Accepted { token, ssrc: self.settings.ssrc, name: self.settings.name.clone() }
    }

    /// Whether an invitation is accepted.
    fn accepts(&self, host: IpAddr, name: &str) -> bool {
        let is_ours = self.peers.iter().any(|peer| {
            peer.host.is_some() && peer.control.is_some_and(|control| control.ip() == host)
        });
        match &self.settings.join {
            Join::Everyone => true,
            Join::Named(wanted) => name == wanted || is_ours,
            Join::Nobody => is_ours,
        }
    }

    fn on_invitation(
        &mut self,
        from: SocketAddr,
        token: u32,
        ssrc: u32,
        name: &str,
        now: Instant,
        effects: &mut dyn Effects,
    ) {
        let own = self.settings.ssrc;
        let known = self.peers.iter().position(|peer| peer.control == Some(from));
        if let Some(index) = known {
            let peer = &self.peers[index];
            // The same invitation again: the answer was lost.
            if !peer.is_initiator && peer.token == token {
                let answer = self.accepted(token);
                return self.send_exchange(Port::Control, from, &answer, effects);
            }
            // Both sides invite each other: the invitation of the greater number counts.
            let is_inviting =
                matches!(peer.phase, Phase::InvitingControl(1.., _) | Phase::InvitingData(..));
            if is_inviting && own > ssrc {
                return;
            }
        }
        let has_room = known.is_some() || self.peers.len() < MAX_PEERS;
        if !has_room || !self.accepts(from.ip(), name) {
            let answer = Exchange::Rejected { token, ssrc: own };
            self.send_exchange(Port::Control, from, &answer, effects);
            return effects.notice(0, name, from, Notice::Refused);
        }
        let host = known.and_then(|index| self.peers[index].host);
        if let Some(index) = known {
            self.remove(index, "it has started a new session", effects);
        }
        let mut peer = self.new_peer(SocketAddr::new(from.ip(), from.port().wrapping_add(1)), now);
        peer.host = host;
        name.clone_into(&mut peer.name);
        peer.control = Some(from);
        (peer.token, peer.ssrc) = (token, ssrc);
        peer.phase = Phase::Accepted(now + ACCEPTANCE_TIMEOUT);
        self.peers.push(peer);
        let answer = self.accepted(token);
        self.send_exchange(Port::Control, from, &answer, effects);
    }

    fn on_data_invitation(
        &mut self,
        from: SocketAddr,
        token: u32,
        ssrc: u32,
        now: Instant,
        effects: &mut dyn Effects,
    ) {
        let is_of_host = |peer: &Peer| {
            !peer.is_initiator && peer.control.is_some_and(|control| control.ip() == from.ip())
        };
        let is_waiting = |peer: &Peer| matches!(peer.phase, Phase::Accepted(_));
        // Some programs use another number, or another token, on the second port.
        let peers = &self.peers;
        let found = peers
            .iter()
            .position(|peer| is_of_host(peer) && peer.token == token)
            .or_else(|| peers.iter().position(|peer| is_of_host(peer) && peer.ssrc == ssrc))
            .or_else(|| peers.iter().position(|peer| is_of_host(peer) && is_waiting(peer)));
        let Some(index) = found else {
            let answer = Exchange::Rejected { token, ssrc: self.settings.ssrc };
            return self.send_exchange(Port::Data, from, &answer, effects);
        };
        let answer = self.accepted(token);
        self.send_exchange(Port::Data, from, &answer, effects);
        if is_waiting(&self.peers[index]) {
            let sender = self.new_sender();
            let peer = &mut self.peers[index];
            peer.data = from;
            peer.connect(sender, now);
            effects.notice(peer.id, &peer.name, from, Notice::Joined);
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of a message and where it came from")]
    fn on_accepted(
        &mut self,
        port: Port,
        from: SocketAddr,
        token: u32,
        ssrc: u32,
        name: &str,
        now: Instant,
        effects: &mut dyn Effects,
    ) {
        let is_it = |peer: &Peer| {
            let address = match port {
                Port::Control => peer.control == Some(from),
                Port::Data => peer.data == from,
            };
            peer.is_initiator && peer.token == token && address
        };
        let Some(index) = self.peers.iter().position(is_it) else { return };
        let sender = self.new_sender();
        let peer = &mut self.peers[index];
        match (port, peer.phase) {
            (Port::Control, Phase::InvitingControl(..)) => {
                peer.ssrc = ssrc;
                name.clone_into(&mut peer.name);
                peer.phase = Phase::InvitingData(0, now);
                self.invite(index, now, effects);
            }
            (Port::Data, Phase::InvitingData(..)) => {
                peer.connect(sender, now);
                effects.notice(peer.id, &peer.name, from, Notice::Joined);
                self.synchronize(index, now, effects);
            }
            _ => {}
        }
    }

    fn on_rejected(
        &mut self,
        from: SocketAddr,
        token: u32,
        now: Instant,
        effects: &mut dyn Effects,
    ) {
        let peer = self.peers.iter_mut().find(|peer| {
            peer.is_initiator
                && peer.token == token
                && (peer.control == Some(from) || peer.data == from)
                && !peer.is_connected()
        });
        if let Some(peer) = peer {
            peer.phase = Phase::Pausing(now + INVITATION_PAUSE);
            effects.notice(peer.id, &peer.name, from, Notice::Left("it refuses the invitation"));
        }
    }

    fn on_bye(&mut self, from: SocketAddr, now: Instant, effects: &mut dyn Effects) {
        let found = self.peers.iter().position(|peer| {
            (peer.control == Some(from) || peer.data == from)
                && matches!(peer.phase, Phase::Connected | Phase::Accepted(_))
        });
        if let Some(index) = found {
            self.end(index, "it has ended the session", now, effects);
        }
    }

    fn on_clock(
        &mut self,
        from: SocketAddr,
        step: u8,
        times: [u64; 3],
        now: Instant,
        effects: &mut dyn Effects,
    ) {
        let clock = self.clock(now);
        let ssrc = self.settings.ssrc;
        let Some(peer) = self.connected_from(from) else { return };
        peer.heard = now;
        let answer = match step {
            0 => [times[0], clock, 0],
            1 if peer.is_initiator => {
                let round_trip = clock.saturating_sub(times[0]).min(100_000);
                let latency = Duration::from_micros(round_trip * 50);
                effects.notice(peer.id, &peer.name, from, Notice::Latency(latency));
                [times[0], times[1], clock]
            }
            _ => return,
        };
        let exchange = Exchange::Clock { ssrc, step: step + 1, times: answer };
        self.send_exchange(Port::Data, from, &exchange, effects);
    }

    /// The time since the start in units of 100 µs.
    fn clock(&self, now: Instant) -> u64 {
        (now - self.start).as_micros() as u64 / 100
    }

    fn synchronize(&mut self, index: usize, now: Instant, effects: &mut dyn Effects) {
        let times = [self.clock(now), 0, 0];
        let exchange = Exchange::Clock { ssrc: self.settings.ssrc, step: 0, times };
        self.peers[index].schedule_sync(now);
        self.send_exchange(Port::Data, self.peers[index].data, &exchange, effects);
    }

    /// Sends an invitation, or pauses after too many.
    fn invite(&mut self, index: usize, now: Instant, effects: &mut dyn Effects) {
        let token = self.random();
        let (own, name) = (self.settings.ssrc, self.settings.name.clone());
        let peer = &mut self.peers[index];
        let again = now + INVITATION_INTERVAL;
        let (port, to) = match peer.phase {
            Phase::Pausing(_) => {
                peer.token = token;
                peer.phase = Phase::InvitingControl(1, again);
                (Port::Control, peer.control)
            }
            Phase::InvitingControl(MAX_INVITATIONS.., _)
            | Phase::InvitingData(MAX_INVITATIONS.., _) => {
                peer.phase = Phase::Pausing(now + INVITATION_PAUSE);
                return;
            }
            Phase::InvitingControl(count, _) => {
                peer.phase = Phase::InvitingControl(count + 1, again);
                (Port::Control, peer.control)
            }
            Phase::InvitingData(count, _) => {
                peer.phase = Phase::InvitingData(count + 1, again);
                (Port::Data, Some(peer.data))
            }
            Phase::Accepted(_) | Phase::Connected => return,
        };
        let exchange = Exchange::Invitation { token: peer.token, ssrc: own, name };
        if let Some(to) = to {
            self.send_exchange(port, to, &exchange, effects);
        }
    }

    fn send_feedback(&mut self, index: usize, now: Instant, effects: &mut dyn Effects) {
        let peer = &mut self.peers[index];
        let (Some(due), Some(sequence), Some(to)) =
            (peer.feedback_due, peer.receiver.last(), peer.control)
        else {
            return;
        };
        if due > now {
            return;
        }
        peer.on_feedback_sent(now);
        let exchange = Exchange::Feedback { ssrc: self.settings.ssrc, sequence };
        self.send_exchange(Port::Control, to, &exchange, effects);
    }

    fn say_bye(&mut self, index: usize, effects: &mut dyn Effects) {
        let peer = &self.peers[index];
        let has_session = !matches!(peer.phase, Phase::Pausing(_) | Phase::InvitingControl(0, _));
        if let (true, Some(control)) = (has_session, peer.control) {
            let exchange = Exchange::Bye { token: peer.token, ssrc: self.settings.ssrc };
            self.send_exchange(Port::Control, control, &exchange, effects);
        }
    }

    /// Releases what a peer holds, and forgets it.
    fn remove(&mut self, index: usize, reason: &str, effects: &mut dyn Effects) {
        let peer = self.peers.swap_remove(index);
        if peer.is_connected() {
            effects.arrive(peer.id, Arrival::Release);
            effects.notice(peer.id, &peer.name, peer.data, Notice::Left(reason));
        }
    }

    /// Ends a session that the peer has left; a host is invited again later.
    fn end(&mut self, index: usize, reason: &str, now: Instant, effects: &mut dyn Effects) {
        let (host, control) = (self.peers[index].host, self.peers[index].control);
        self.remove(index, reason, effects);
        if let (Some(host), Some(control)) = (host, control) {
            self.add_host(host, control, now, effects);
            if let Some(peer) = self.peers.last_mut() {
                peer.phase = Phase::Pausing(now + INVITATION_PAUSE);
            }
        }
    }

    /// When [`timer`](Self::timer) is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.peers.iter().filter_map(Peer::due).min()
    }

    /// Does what is due.
    pub(super) fn timer(&mut self, now: Instant, effects: &mut dyn Effects) {
        // Backwards, because a peer that is removed is replaced by the last one.
        for index in (0..self.peers.len()).rev() {
            if self.peers[index].due().is_some_and(|due| due <= now) {
                self.serve(index, now, effects);
            }
        }
    }

    fn serve(&mut self, index: usize, now: Instant, effects: &mut dyn Effects) {
        let peer = &mut self.peers[index];
        match peer.phase {
            Phase::Accepted(_) => return self.end(index, "it did not answer", now, effects),
            Phase::Connected => {}
            _ => return self.invite(index, now, effects),
        }
        if peer.control.is_some() && peer.heard + SILENCE_TIMEOUT <= now {
            self.say_bye(index, effects);
            return self.end(index, "it has been silent for a minute", now, effects);
        }
        if peer.guard_due.is_some_and(|due| due <= now) && peer.schedule_guard(now) {
            let timestamp = self.clock(now) as u32;
            let peer = &mut self.peers[index];
            self.scratch.clear();
            peer.sender.guard(timestamp, &mut self.scratch);
            effects.send(Port::Data, peer.data, &self.scratch);
        }
        if self.peers[index].sync_due.is_some_and(|due| due <= now) {
            self.synchronize(index, now, effects);
        }
        self.send_feedback(index, now, effects);
    }

    /// Whether output reaches anyone.
    pub(super) fn has_receiver(&self) -> bool {
        self.peers.iter().any(Peer::is_receiving)
    }

    /// Adds a message to the packets for all peers, which [`flush`](Self::flush) sends.
    pub(super) fn send(&mut self, message: &Message<'_>, now: Instant, effects: &mut dyn Effects) {
        if !self.is_filling {
            self.is_filling = true;
            begin(&mut self.peers);
        }
        let timestamp = self.clock(now) as u32;
        let Session { list, peers, scratch, .. } = self;
        packet::push(list, message, |list| {
            finish(peers, scratch, list, timestamp, now, effects);
            begin(peers);
        });
        peers.iter_mut().for_each(|peer| {
            if peer.is_receiving() {
                peer.sender.record(message);
            }
        });
    }

    /// Sends the packets that are being filled.
    pub(super) fn flush(&mut self, now: Instant, effects: &mut dyn Effects) {
        if !std::mem::take(&mut self.is_filling) {
            return;
        }
        let timestamp = self.clock(now) as u32;
        let Session { list, peers, scratch, .. } = self;
        finish(peers, scratch, list, timestamp, now, effects);
        list.clear();
    }

    /// Ends all sessions, and releases what the peers hold.
    pub(super) fn close(&mut self, effects: &mut dyn Effects) {
        for index in 0..self.peers.len() {
            self.say_bye(index, effects);
            if self.peers[index].is_connected() {
                effects.arrive(self.peers[index].id, Arrival::Release);
            }
        }
        self.peers.clear();
    }
}

/// Begins a packet for every peer.
fn begin(peers: &mut [Peer]) {
    peers.iter_mut().filter(|peer| peer.is_receiving()).for_each(|peer| peer.sender.begin());
}

/// Sends a list of commands to every peer, each with its own number and journal.
fn finish(
    peers: &mut [Peer],
    scratch: &mut Vec<u8>,
    list: &[u8],
    timestamp: u32,
    now: Instant,
    effects: &mut dyn Effects,
) {
    for peer in peers.iter_mut().filter(|peer| peer.is_receiving()) {
        scratch.clear();
        peer.sender.finish(list, timestamp, scratch);
        effects.send(Port::Data, peer.data, scratch);
        peer.on_sent(now);
    }
}
