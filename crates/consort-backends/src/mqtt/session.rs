//! The state of a connection to a broker, without sockets and clocks: packets in, events and bytes
//! out.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::decode::{ConnAck, Malformed, Message, Packet};
use super::encode::{
    self, Acknowledgement, Alias, Connect, Filter, Publication, Qos, Version, Will,
};

/// The most bytes that may wait to be sent.
const MAX_OUTGOING_BYTES: usize = 1 << 20;

/// The most publications that may be unacknowledged at once, whatever the broker allows.
const MAX_IN_FLIGHT: usize = 4_096;

/// The most topic aliases that are used, whatever the broker allows.
const MAX_ALIASES: u16 = 4_096;

/// How long a broker may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the client sends when it connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The identifier of the client.
    pub(super) client_id: String,
    /// The user's name.
    pub(super) user: Option<String>,
    /// The password.
    pub(super) password: Option<String>,
    /// The seconds after which the broker expects a packet; 0 for never.
    pub(super) keep_alive: u16,
}

/// A will that owns its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnedWill {
    /// Its topic.
    pub(super) topic: String,
    /// Its content.
    pub(super) payload: Vec<u8>,
    /// Its quality of service.
    pub(super) qos: Qos,
}

/// Why a connection has ended or must be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The broker does not support the version of the protocol.
    UnsupportedVersion,
    /// Anything else, for people.
    Other(String),
}

impl Failure {
    /// The reason as the state of an instance shows it.
    pub(super) fn reason(&self) -> &str {
        match self {
            Failure::UnsupportedVersion => "the broker does not support this version of MQTT",
            Failure::Other(reason) => reason,
        }
    }
}

impl From<Malformed> for Failure {
    fn from(error: Malformed) -> Self {
        Failure::Other(format!("the broker sent an invalid packet: {error}"))
    }
}

/// What a packet means for the instance.
#[derive(Debug, PartialEq)]
pub(super) enum Event<'p, T> {
    /// The broker has accepted the connection.
    Connected,
    /// A message has arrived.
    Message(Message<'p>),
    /// The broker has answered a subscription: the number of [`Session::subscribe`] and a code for
    /// each filter, 0x80 or more for those that it refuses.
    Subscribed(u16, &'p [u8]),
    /// The broker has accepted a publication.
    Delivered(T),
    /// The broker has refused a publication, with a reason code.
    Refused(T, u8),
    /// A message that is too large was skipped: its topic and its size in bytes.
    Oversized(&'p str, usize),
}

/// What became of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queued {
    /// It will be sent.
    Yes,
    /// Too much is waiting, or there is no connection; try again later.
    Full,
    /// The broker does not accept messages of this size.
    TooLarge,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Connecting,
    Open,
}

/// A publication that is not acknowledged yet.
#[derive(Debug)]
struct InFlight<T> {
    id: u16,
    /// Whether the broker has received it, and only the second step is missing.
    is_received: bool,
    token: T,
}

/// A connection's state. `T` identifies a publication that waits for its acknowledgement.
#[derive(Debug)]
pub(super) struct Session<T> {
    version: Version,
    phase: Phase,
    out: Vec<u8>,
    sent: usize,
    next_id: u16,
    in_flight: VecDeque<InFlight<T>>,
    /// The numbers of messages that arrive exactly once and are not released by the broker.
    unreleased: HashSet<u16>,
    limits: ConnAck<'static>,
    /// The alias of each topic, by its number; 0 for none.
    aliases: Vec<u16>,
    next_alias: u16,
    keep_alive: Duration,
    opened: Instant,
    last_sent: Instant,
    last_received: Instant,
    ping_sent: Option<Instant>,
}

impl<T> Session<T> {
    /// A session without a connection.
    pub(super) fn new(version: Version, now: Instant) -> Self {
        Session {
            version,
            phase: Phase::Closed,
            out: Vec::new(),
            sent: 0,
            next_id: 1,
            in_flight: VecDeque::new(),
            unreleased: HashSet::new(),
            limits: ConnAck::default(),
            aliases: Vec::new(),
            next_alias: 1,
            keep_alive: Duration::ZERO,
            opened: now,
            last_sent: now,
            last_received: now,
            ping_sent: None,
        }
    }

    /// The version of the protocol.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Changes the version for the next connection.
    pub(super) fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Whether the broker has accepted the connection.
    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Begins a connection attempt: only its duration is limited until [`connect`](Self::connect).
    pub(super) fn begin(&mut self, now: Instant) {
        self.phase = Phase::Connecting;
        self.opened = now;
        self.out.clear();
        self.sent = 0;
        self.unreleased.clear();
        self.limits = ConnAck::default();
        self.aliases.clear();
        self.next_alias = 1;
        self.ping_sent = None;
        (self.last_sent, self.last_received) = (now, now);
    }

    /// Queues CONNECT, when bytes can be sent.
    pub(super) fn connect(&mut self, identity: &Identity, will: Option<&OwnedWill>) {
        self.keep_alive = Duration::from_secs(identity.keep_alive.into());
        let connect = Connect {
            version: self.version,
            client_id: &identity.client_id,
            keep_alive: identity.keep_alive,
            user: identity.user.as_deref(),
            password: identity.password.as_deref(),
            will: will.map(|will| Will {
                topic: &will.topic,
                payload: &will.payload,
                qos: will.qos,
            }),
            maximum_packet: super::decode::MAX_PACKET_BYTES as u32,
        };
        encode::connect(&mut self.out, &connect);
    }

    /// Ends the session; returns what was not acknowledged, in the order of its publication.
    pub(super) fn close(&mut self) -> impl Iterator<Item = T> {
        self.phase = Phase::Closed;
        self.out.clear();
        self.sent = 0;
        std::mem::take(&mut self.in_flight)
            .into_iter()
            .filter(|publication| !publication.is_received)
            .map(|publication| publication.token)
    }

    /// The bytes that wait to be sent.
    pub(super) fn outgoing(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    /// Takes note that the first bytes of [`outgoing`](Self::outgoing) were sent.
    pub(super) fn advance(&mut self, count: usize, now: Instant) {
        self.sent += count;
        if count > 0 {
            self.last_sent = now;
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        } else if self.sent > MAX_OUTGOING_BYTES / 2 {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Takes note that bytes have arrived.
    pub(super) fn received(&mut self, now: Instant) {
        self.last_received = now;
    }

    /// Whether nothing waits to be sent or acknowledged.
    pub(super) fn is_idle(&self) -> bool {
        self.outgoing().is_empty() && self.in_flight.is_empty()
    }

    /// How many publications are not acknowledged.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The quality of service that the broker supports, at most the given one.
    pub(super) fn supported(&self, qos: Qos) -> Qos {
        qos.min(self.limits.maximum_qos)
    }

    fn take_id(&mut self) -> u16 {
        let id = self.next_id;
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        id
    }

    /// Whether the oldest publication has waited so long that its number would soon be used again.
    fn is_oldest_overdue(&self) -> bool {
        let oldest = self.in_flight.front();
        oldest.is_some_and(|oldest| self.next_id.wrapping_sub(oldest.id) > u16::MAX / 2)
    }

    /// Calls `change` for the token of each publication that is not acknowledged, for a reload.
    pub(super) fn change_tokens(&mut self, change: impl FnMut(&mut T)) {
        self.in_flight.iter_mut().map(|publication| &mut publication.token).for_each(change);
    }

    /// Changes the numbers of topics for a reload; topics that are gone have no new one.
    pub(super) fn change_topics(&mut self, new_number: impl Fn(u32) -> Option<u32>) {
        for (old, alias) in std::mem::take(&mut self.aliases).into_iter().enumerate() {
            if let (Some(new), true) = (new_number(old as u32), alias > 0) {
                let index = new as usize;
                self.aliases.resize(self.aliases.len().max(index + 1), 0);
                self.aliases[index] = alias;
            }
        }
    }

    /// Queues a publication. `topic` is a number of its topic, for aliases; `token` is returned
    /// when the broker has acknowledged it, which it does not with [`Qos::AtMostOnce`].
    pub(super) fn publish(
        &mut self,
        publication: &Publication<'_>,
        topic: Option<u32>,
        token: impl FnOnce() -> T,
    ) -> Queued {
        if self.phase != Phase::Open {
            return Queued::Full;
        }
        let size = encode::publication_bytes(publication.topic.len(), publication.payload.len());
        if size > self.limits.maximum_packet as usize {
            return Queued::TooLarge;
        }
        let qos = self.supported(publication.qos);
        let window = MAX_IN_FLIGHT.min(self.limits.receive_maximum.into());
        let is_full = self.outgoing().len() + size > MAX_OUTGOING_BYTES
            || (qos != Qos::AtMostOnce
                && (self.in_flight.len() >= window || self.is_oldest_overdue()));
        if is_full {
            return Queued::Full;
        }
        let alias = topic.map_or(Alias::None, |topic| self.alias(topic));
        let mut id = 0;
        if qos != Qos::AtMostOnce {
            id = self.take_id();
            self.in_flight.push_back(InFlight { id, is_received: false, token: token() });
        }
        let retain = publication.retain && self.limits.retain_available;
        let publication = Publication { qos, retain, ..*publication };
        encode::publish(&mut self.out, self.version, &publication, id, alias);
        Queued::Yes
    }

    fn alias(&mut self, topic: u32) -> Alias {
        let maximum = self.limits.alias_maximum.min(MAX_ALIASES);
        if maximum == 0 {
            return Alias::None;
        }
        let index = topic as usize;
        match self.aliases.get(index) {
            Some(&alias) if alias > 0 => Alias::Known(alias),
            _ if self.next_alias > maximum => Alias::None,
            _ => {
                if self.aliases.len() <= index {
                    self.aliases.resize(index + 1, 0);
                }
                self.aliases[index] = self.next_alias;
                self.next_alias += 1;
                Alias::First(self.aliases[index])
            }
        }
    }

    /// Queues a subscription; returns its number.
    pub(super) fn subscribe(&mut self, filters: &[Filter<'_>]) -> u16 {
        let id = self.take_id();
        encode::subscribe(&mut self.out, self.version, id, filters);
        id
    }

    /// Queues the end of subscriptions.
    pub(super) fn unsubscribe(&mut self, filters: &[&str]) {
        let id = self.take_id();
        encode::unsubscribe(&mut self.out, self.version, id, filters);
    }

    /// Queues DISCONNECT.
    pub(super) fn disconnect(&mut self) {
        if self.phase == Phase::Open {
            encode::disconnect(&mut self.out);
        }
    }

    /// When [`tick`](Self::tick) is to be called next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Closed => None,
            Phase::Connecting => Some(self.opened + CONNECT_TIMEOUT),
            Phase::Open if self.keep_alive.is_zero() => None,
            Phase::Open => Some(match self.ping_sent {
                Some(sent) => sent + self.keep_alive,
                None => self.last_sent.min(self.last_received) + self.keep_alive / 2,
            }),
        }
    }

    /// Sends a ping when it is due.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub(super) fn tick(&mut self, now: Instant) -> Result<(), Failure> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        match (self.phase, self.ping_sent) {
            (Phase::Open, None) => {
                self.ping_sent = Some(now);
                encode::ping(&mut self.out);
                Ok(())
            }
            (Phase::Open, Some(sent)) if self.last_received > sent => {
                self.ping_sent = None;
                Ok(())
            }
            (Phase::Open, Some(_)) => {
                let seconds = self.keep_alive.as_secs();
                Err(Failure::Other(format!("the broker has not answered for {seconds} s")))
            }
            _ => Err(Failure::Other("the broker does not answer".into())),
        }
    }

    /// Handles a packet and queues the answer that the protocol requires.
    ///
    /// # Errors
    /// When the connection cannot continue.
    pub(super) fn handle<'p>(
        &mut self,
        packet: Packet<'p>,
    ) -> Result<Option<Event<'p, T>>, Failure> {
        if self.phase != Phase::Open && !matches!(packet, Packet::ConnAck(_)) {
            return Err(Malformed("a packet before the connection is accepted").into());
        }
        if self.outgoing().len() > 2 * MAX_OUTGOING_BYTES {
            return Err(Failure::Other("the broker sends, but does not receive".into()));
        }
        match packet {
            Packet::ConnAck(answer) => self.connected(&answer).map(Some),
            Packet::Publish(message) => {
                let is_new = self.acknowledge(message.qos, message.id);
                Ok(is_new.then_some(Event::Message(message)))
            }
            Packet::Oversized(topic, size, qos, id) => {
                self.acknowledge(qos, id);
                Ok(Some(Event::Oversized(topic, size)))
            }
            Packet::Acknowledge(Acknowledgement::PubRel, id, _) => {
                self.unreleased.remove(&id);
                encode::acknowledge(&mut self.out, Acknowledgement::PubComp, id);
                Ok(None)
            }
            Packet::Acknowledge(kind, id, failure) => Ok(self.acknowledged(kind, id, failure)),
            Packet::SubAck(id, codes) => Ok(Some(Event::Subscribed(id, codes))),
            Packet::UnsubAck(_) => Ok(None),
            Packet::PingResp => {
                self.ping_sent = None;
                Ok(None)
            }
            Packet::Disconnect(code, reason) => Err(Failure::Other(with_reason(
                format!("the broker closed the connection: {}", disconnect_reason(code)),
                reason,
            ))),
        }
    }

    fn connected(&mut self, answer: &ConnAck<'_>) -> Result<Event<'static, T>, Failure> {
        if self.phase != Phase::Connecting {
            return Err(Malformed("a second answer to the connection").into());
        }
        match answer.code {
            0 => {}
            // MQTT 3.1.1 brokers answer 1, whatever the client speaks.
            1 | 0x84 => return Err(Failure::UnsupportedVersion),
            code => {
                let message = format!("the broker refuses the connection: {}", refusal(code));
                return Err(Failure::Other(with_reason(message, answer.reason)));
            }
        }
        self.phase = Phase::Open;
        self.limits = ConnAck { reason: "", ..*answer };
        if let Some(seconds) = answer.keep_alive {
            self.keep_alive = Duration::from_secs(seconds.into());
        }
        Ok(Event::Connected)
    }

    /// Acknowledges a message; returns whether it is new.
    fn acknowledge(&mut self, qos: Qos, id: u16) -> bool {
        match qos {
            Qos::AtMostOnce => true,
            Qos::AtLeastOnce => {
                encode::acknowledge(&mut self.out, Acknowledgement::PubAck, id);
                true
            }
            Qos::ExactlyOnce => {
                encode::acknowledge(&mut self.out, Acknowledgement::PubRec, id);
                self.unreleased.insert(id)
            }
        }
    }

    fn acknowledged(
        &mut self,
        kind: Acknowledgement,
        id: u16,
        failure: Option<u8>,
    ) -> Option<Event<'static, T>> {
        let index = self.in_flight.iter().position(|publication| publication.id == id)?;
        if kind == Acknowledgement::PubRec && failure.is_none() {
            self.in_flight[index].is_received = true;
            encode::acknowledge(&mut self.out, Acknowledgement::PubRel, id);
            return None;
        }
        let token = self.in_flight.remove(index)?.token;
        Some(match failure {
            None => Event::Delivered(token),
            Some(code) => Event::Refused(token, code),
        })
    }
}

fn with_reason(message: String, reason: &str) -> String {
    match reason.is_empty() {
        true => message,
        // Control characters of a broker do not belong in a log.
        false => format!("{message} ({})", reason.escape_debug()),
    }
}

/// The meaning of a code of CONNACK, of both versions.
fn refusal(code: u8) -> String {
    match code {
        2 | 0x85 => "it does not accept the client identifier; set `clientid`".into(),
        3 | 0x88 => "it is not available".into(),
        4 | 0x86 => "wrong user or password".into(),
        5 | 0x87 => "not authorized; check `user` and `password`".into(),
        0x89 => "it is busy".into(),
        0x8A => "this client is banned".into(),
        0x97 => "its quota is exceeded".into(),
        0x9F => "too many connections".into(),
        code => format!("reason code 0x{code:02X}"),
    }
}

/// The meaning of a code of DISCONNECT.
fn disconnect_reason(code: u8) -> String {
    match code {
        0x00 => "normally".into(),
        0x87 => "not authorized".into(),
        0x8B => "it shuts down".into(),
        0x8D => "the keep-alive time has passed".into(),
        0x8E => "another client has connected with the same `clientid`".into(),
        0x95 => "a packet was too large".into(),
        0x97 => "its quota is exceeded".into(),
        code => format!("reason code 0x{code:02X}"),
    }
}

/// The meaning of a code with which a broker refuses a publication or a subscription.
pub(super) fn refused_reason(code: u8) -> String {
    match code {
        0x87 => "not authorized".into(),
        0x8F => "invalid filter".into(),
        0x90 => "invalid topic".into(),
        0x97 => "quota exceeded".into(),
        0x9E => "shared subscriptions are not supported".into(),
        0xA2 => "wildcards are not supported".into(),
        0x80 => "refused".into(),
        code => format!("reason code 0x{code:02X}"),
    }
}
