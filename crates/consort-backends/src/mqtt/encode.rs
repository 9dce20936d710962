//! From packets to bytes.

/// The version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// MQTT 3.1.1, protocol level 4.
    V311,
    /// MQTT 5, protocol level 5.
    V5,
}

/// The quality of service of a publication or a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::enum_variant_names, reason = "the names of the specification")]
pub(super) enum Qos {
    /// Sent once, not acknowledged.
    #[default]
    AtMostOnce,
    /// Sent again until it is acknowledged.
    AtLeastOnce,
    /// Acknowledged in two steps, so that it arrives once within a connection.
    ExactlyOnce,
}

impl Qos {
    /// The quality of service with a number from 0 to 2.
    pub(super) fn from_number(number: u8) -> Option<Qos> {
        [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce].get(usize::from(number)).copied()
    }
}

/// The longest string of the protocol, in bytes.
pub(super) const MAX_STRING_BYTES: usize = 65_535;

/// The largest value of a variable-length integer.
const MAX_VARIABLE: usize = 268_435_455;

/// What a client asks for when it connects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connect<'a> {
    /// The version of the protocol.
    pub(super) version: Version,
    /// The identifier of the client, unique at its broker.
    pub(super) client_id: &'a str,
    /// The seconds after which the broker expects a packet.
    pub(super) keep_alive: u16,
    /// The user's name.
    pub(super) user: Option<&'a str>,
    /// The password.
    pub(super) password: Option<&'a str>,
    /// What the broker publishes, retained, when the connection is lost.
    pub(super) will: Option<Will<'a>>,
    /// The largest packet that the client accepts; MQTT 5.
    pub(super) maximum_packet: u32,
}

/// A message that the broker publishes when it loses a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Will<'a> {
    /// Its topic.
    pub(super) topic: &'a str,
    /// Its content.
    pub(super) payload: &'a [u8],
    /// Its quality of service.
    pub(super) qos: Qos,
}

/// A message that a client publishes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Publication<'a> {
    /// Its topic.
    pub(super) topic: &'a str,
    /// Its content.
    pub(super) payload: &'a [u8],
    /// Its quality of service.
    pub(super) qos: Qos,
    /// Whether the broker keeps it for later subscribers.
    pub(super) retain: bool,
}

/// Appends a variable-length integer.
fn variable(out: &mut Vec<u8>, mut number: usize) {
    debug_assert!(number <= MAX_VARIABLE);
    loop {
        let byte = (number & 0x7F) as u8;
        number >>= 7;
        if number == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

/// How many bytes a variable-length integer takes.
fn variable_bytes(number: usize) -> usize {
    match number {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Appends bytes with their length; the caller has checked the length.
fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= MAX_STRING_BYTES);
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a CONNECT packet with a clean session.
pub(super) fn connect(out: &mut Vec<u8>, connect: &Connect<'_>) {
    let mut body = Vec::with_capacity(128);
    string(&mut body, b"MQTT");
    let level = match connect.version {
        Version::V311 => 4,
        Version::V5 => 5,
    };
    let mut flags = 0x02;
    if let Some(will) = &connect.will {
        flags |= 0x04 | 0x20 | (will.qos as u8) << 3;
    }
    flags |= u8::from(connect.password.is_some()) << 6 | u8::from(connect.user.is_some()) << 7;
    body.extend([level, flags]);
    body.extend(connect.keep_alive.to_be_bytes());
    if connect.version == Version::V5 {
        body.extend([5, 0x27]);
        body.extend(connect.maximum_packet.to_be_bytes());
    }
    string(&mut body, connect.client_id.as_bytes());
    if let Some(will) = &connect.will {
        if connect.version == Version::V5 {
            body.push(0);
        }
        string(&mut body, will.topic.as_bytes());
        string(&mut body, will.payload);
    }
    for text in [connect.user, connect.password].into_iter().flatten() {
        string(&mut body, text.as_bytes());
    }
    out.push(0x10);
    variable(out, body.len());
    out.extend(body);
}

/// The alias of a topic in MQTT 5: a number that replaces the topic after its first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alias {
    /// The topic has no alias.
    None,
    /// The topic and its new alias are sent.
    First(u16),
    /// Only the alias is sent.
    Known(u16),
}

/// Appends a PUBLISH packet. `id` is not used with [`Qos::AtMostOnce`], and `alias` only with
/// MQTT 5. Topic and content must fit into a packet.
pub(super) fn publish(
    out: &mut Vec<u8>,
    version: Version,
    publication: &Publication<'_>,
    id: u16,
    alias: Alias,
) {
    let Publication { topic, payload, qos, retain } = *publication;
    let (topic, alias) = match alias {
        _ if version == Version::V311 => (topic, 0),
        Alias::None => (topic, 0),
        Alias::First(alias) => (topic, alias),
        Alias::Known(alias) => ("", alias),
    };
    let mut length = 2 + topic.len() + payload.len();
    if qos != Qos::AtMostOnce {
        length += 2;
    }
    if version == Version::V5 {
        length += if alias > 0 { 4 } else { 1 };
    }
    out.reserve(length + 5);
    out.push(0x30 | (qos as u8) << 1 | u8::from(retain));
    variable(out, length);
    string(out, topic.as_bytes());
    if qos != Qos::AtMostOnce {
        out.extend_from_slice(&id.to_be_bytes());
    }
    if version == Version::V5 {
        if alias > 0 {
            out.extend_from_slice(&[3, 0x23]);
            out.extend_from_slice(&alias.to_be_bytes());
        } else {
            out.push(0);
        }
    }
    out.extend_from_slice(payload);
}

/// The bytes that a PUBLISH packet takes at most.
pub(super) fn publication_bytes(topic: usize, payload: usize) -> usize {
    let length = 2 + topic + 2 + 4 + payload;
    1 + variable_bytes(length) + length
}

/// A subscription: a filter with its options.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter<'a> {
    /// A topic, or a pattern with `+` and `#`.
    pub(super) filter: &'a str,
    /// The quality of service with which messages are to be sent.
    pub(super) qos: Qos,
    /// Whether the client's own publications are not to be sent to it; MQTT 5.
    pub(super) no_local: bool,
}

/// Appends a SUBSCRIBE packet.
pub(super) fn subscribe(out: &mut Vec<u8>, version: Version, id: u16, filters: &[Filter<'_>]) {
    let mut length = 2 + usize::from(version == Version::V5);
    length += filters.iter().map(|filter| filter.filter.len() + 3).sum::<usize>();
    out.push(0x82);
    variable(out, length);
    out.extend(id.to_be_bytes());
    if version == Version::V5 {
        out.push(0);
    }
    for filter in filters {
        string(out, filter.filter.as_bytes());
        let no_local = filter.no_local && version == Version::V5;
        out.push(filter.qos as u8 | u8::from(no_local) << 2);
    }
}

/// Appends an UNSUBSCRIBE packet.
pub(super) fn unsubscribe(out: &mut Vec<u8>, version: Version, id: u16, filters: &[&str]) {
    let mut length = 2 + usize::from(version == Version::V5);
    length += filters.iter().map(|filter| filter.len() + 2).sum::<usize>();
    out.push(0xA2);
    variable(out, length);
    out.extend(id.to_be_bytes());
    if version == Version::V5 {
        out.push(0);
    }
    for filter in filters {
        string(out, filter.as_bytes());
    }
}

/// The packets that acknowledge a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "the names of the specification")]
pub(super) enum Acknowledgement {
    /// The answer to a publication that arrives at least once.
    PubAck,
    /// The first answer to a publication that arrives exactly once.
    PubRec,
    /// The sender's answer to [`PubRec`](Self::PubRec).
    PubRel,
    /// The answer to [`PubRel`](Self::PubRel).
    PubComp,
}

/// Appends an acknowledgement of success.
pub(super) fn acknowledge(out: &mut Vec<u8>, kind: Acknowledgement, id: u16) {
    let header = match kind {
        Acknowledgement::PubAck => 0x40,
        Acknowledgement::PubRec => 0x50,
        Acknowledgement::PubRel => 0x62,
        Acknowledgement::PubComp => 0x70,
    };
    out.extend([header, 2]);
    out.extend(id.to_be_bytes());
}

/// Appends a PINGREQ packet.
pub(super) fn ping(out: &mut Vec<u8>) {
    out.extend([0xC0, 0]);
}

/// Appends a DISCONNECT packet, after which the broker does not publish the will.
pub(super) fn disconnect(out: &mut Vec<u8>) {
    out.extend([0xE0, 0]);
}
