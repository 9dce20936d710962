//! From bytes to packets. The bytes come from the network: every length is checked, and nothing is
//! stored without a limit.

use super::encode::{Acknowledgement, Qos, Version};

/// The largest packet that is decoded. Larger ones are skipped and reported.
pub(super) const MAX_PACKET_BYTES: usize = 1 << 20;

/// A packet of a broker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Packet<'a> {
    /// The answer to CONNECT.
    ConnAck(ConnAck<'a>),
    /// A message of a topic that the client has subscribed to.
    Publish(Message<'a>),
    /// A step of the acknowledgement of a publication, and whether it reports a failure.
    Acknowledge(Acknowledgement, u16, Option<u8>),
    /// The answer to SUBSCRIBE: one code for each filter.
    SubAck(u16, &'a [u8]),
    /// The answer to UNSUBSCRIBE.
    UnsubAck(u16),
    /// The answer to PINGREQ.
    PingResp,
    /// The broker closes the connection (MQTT 5), with the reason code and text.
    Disconnect(u8, &'a str),
    /// A message that was larger than [`MAX_PACKET_BYTES`] and is skipped: its topic, its size,
    /// and its quality of service and number.
    Oversized(&'a str, usize, Qos, u16),
}

/// The answer to CONNECT.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ConnAck<'a> {
    /// 0 for success; the numbers of failures differ between the versions.
    pub(super) code: u8,
    /// The text of a failure; MQTT 5.
    pub(super) reason: &'a str,
    /// How many publications may be unacknowledged at once.
    pub(super) receive_maximum: u16,
    /// The highest quality of service that the broker supports.
    pub(super) maximum_qos: Qos,
    /// Whether the broker stores retained messages.
    pub(super) retain_available: bool,
    /// The largest packet that the broker accepts.
    pub(super) maximum_packet: u32,
    /// How many topic aliases the broker accepts.
    pub(super) alias_maximum: u16,
    /// The keep-alive time that the broker prescribes, in seconds.
    pub(super) keep_alive: Option<u16>,
}

impl Default for ConnAck<'_> {
    fn default() -> Self {
        ConnAck {
            code: 0,
            reason: "",
            receive_maximum: u16::MAX,
            maximum_qos: Qos::ExactlyOnce,
            retain_available: true,
            maximum_packet: u32::MAX,
            alias_maximum: 0,
            keep_alive: None,
        }
    }
}

/// A message of a topic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Message<'a> {
    /// Its topic.
    pub(super) topic: &'a str,
    /// Its content.
    pub(super) payload: &'a [u8],
    /// The quality of service with which it was sent.
    pub(super) qos: Qos,
    /// Whether the broker had stored it before the subscription.
    pub(super) retain: bool,
    /// Its number for acknowledgements; 0 with [`Qos::AtMostOnce`].
    pub(super) id: u16,
}

/// Why bytes are not a packet. The connection cannot continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// The body of a packet while it is read.
struct Body<'a> {
    bytes: &'a [u8],
}

impl<'a> Body<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(TRUNCATED)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn variable(&mut self) -> Result<usize, Malformed> {
        match variable(self.bytes)? {
            None => Err(TRUNCATED),
            Some((number, count)) => {
                self.bytes = &self.bytes[count..];
                Ok(number)
            }
        }
    }

    fn binary(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    fn string(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.binary()?).map_err(|_| Malformed("a string is not UTF-8"))
    }

    /// Reads the properties of MQTT 5 and calls `handle` for each.
    fn properties(&mut self, mut handle: impl FnMut(u8, Property<'a>)) -> Result<(), Malformed> {
        let length = self.variable()?;
        let mut list = Body { bytes: self.take(length)? };
        while !list.bytes.is_empty() {
            let id = list.byte()?;
            let property = match id {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => {
                    Property::Number(list.byte()?.into())
                }
                0x13 | 0x21 | 0x22 | 0x23 => Property::Number(list.u16()?.into()),
                0x02 | 0x11 | 0x18 | 0x27 => Property::Number(list.u32()?),
                0x0B => Property::Number(list.variable()? as u32),
                0x03 | 0x08 | 0x12 | 0x15 | 0x1A | 0x1C | 0x1F => Property::Text(list.string()?),
                0x09 | 0x16 => {
                    list.binary()?;
                    continue;
                }
                0x26 => {
                    list.string()?;
                    list.string()?;
                    continue;
                }
                _ => return Err(Malformed("an unknown property")),
            };
            handle(id, property);
        }
        Ok(())
    }
}

/// A property of MQTT 5 whose value is used.
#[derive(Clone, Copy)]
enum Property<'a> {
    Number(u32),
    Text(&'a str),
}

const TRUNCATED: Malformed = Malformed("a packet ends too early");

/// Reads a variable-length integer: the number and its bytes; `None` if it is not complete.
fn variable(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut number = 0;
    for (index, &byte) in bytes.iter().take(4).enumerate() {
        number |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((number, index + 1)));
        }
    }
    match bytes.len() {
        0..4 => Ok(None),
        _ => Err(Malformed("a length takes more than four bytes")),
    }
}

/// The bytes that have arrived and are not decoded yet.
#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    start: usize,
    /// How many bytes of an oversized packet are still to be skipped.
    skip: usize,
}

impl Input {
    /// Forgets everything, for a new connection.
    pub(super) fn clear(&mut self) {
        *self = Input::default();
    }

    /// Appends bytes that have arrived.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        bytes = &bytes[skipped..];
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next complete packet.
    ///
    /// # Errors
    /// When the bytes are not a packet; the connection must be closed.
    pub(super) fn next(&mut self, version: Version) -> Result<Option<Packet<'_>>, Malformed> {
        let bytes = &self.bytes[self.start..];
        let Some(&header) = bytes.first() else { return Ok(None) };
        let Some((length, length_bytes)) = variable(&bytes[1..])? else { return Ok(None) };
        let body = &bytes[1 + length_bytes..];
        if length > MAX_PACKET_BYTES {
            return self.oversized(header, length, 1 + length_bytes, version);
        }
        if body.len() < length {
            return Ok(None);
        }
        let start = self.start + 1 + length_bytes;
        self.start = start + length;
        decode(header, &self.bytes[start..start + length], version).map(Some)
    }

    /// Skips a packet that is too large, once its topic and number have arrived.
    fn oversized(
        &mut self,
        header: u8,
        length: usize,
        head: usize,
        _: Version,
    ) -> Result<Option<Packet<'_>>, Malformed> {
        if header >> 4 != 3 {
            return Err(Malformed("a packet that is not a message is too large"));
        }
        let start = self.start + head;
        let available = self.bytes.len() - start;
        if available < 2 {
            return Ok(None);
        }
        let topic = usize::from(u16::from_be_bytes([self.bytes[start], self.bytes[start + 1]]));
        if available < topic + 4 {
            return Ok(None);
        }
        let taken = available.min(length);
        self.start = start + taken;
        self.skip = length - taken;
        let mut body = Body { bytes: &self.bytes[start..start + taken] };
        let topic = body.string()?;
        let qos = qos(header)?;
        let id = if qos == Qos::AtMostOnce { 0 } else { body.u16()? };
        Ok(Some(Packet::Oversized(topic, length, qos, id)))
    }
}

fn qos(header: u8) -> Result<Qos, Malformed> {
    Qos::from_number(header >> 1 & 3).ok_or(Malformed("an invalid quality of service"))
}

/// Decodes the body of a packet.
fn decode(header: u8, bytes: &[u8], version: Version) -> Result<Packet<'_>, Malformed> {
    let mut body = Body { bytes };
    let is_v5 = version == Version::V5;
    let acknowledge = |kind, mut body: Body<'_>| {
        let id = body.u16()?;
        let code = if is_v5 && !body.bytes.is_empty() { body.byte()? } else { 0 };
        Ok(Packet::Acknowledge(kind, id, (code >= 0x80).then_some(code)))
    };
    match header >> 4 {
        2 => connect_acknowledgement(body, version).map(Packet::ConnAck),
        3 => message(header, body, version).map(Packet::Publish),
        4 => acknowledge(Acknowledgement::PubAck, body),
        5 => acknowledge(Acknowledgement::PubRec, body),
        6 if header == 0x62 => acknowledge(Acknowledgement::PubRel, body),
        7 => acknowledge(Acknowledgement::PubComp, body),
        9 => {
            let id = body.u16()?;
            if is_v5 {
                body.properties(|_, _| {})?;
            }
            Ok(Packet::SubAck(id, body.bytes))
        }
        11 => Ok(Packet::UnsubAck(body.u16()?)),
        13 => Ok(Packet::PingResp),
        14 if is_v5 => {
            let code = if bytes.is_empty() { 0 } else { body.byte()? };
            let mut reason = "";
            if !body.bytes.is_empty() {
                body.properties(|id, property| {
                    if let (0x1F, Property::Text(text)) = (id, property) {
                        reason = text;
                    }
                })?;
            }
            Ok(Packet::Disconnect(code, reason))
        }
        _ => Err(Malformed("a packet of a type that brokers do not send")),
    }
}

fn connect_acknowledgement(mut body: Body<'_>, version: Version) -> Result<ConnAck<'_>, Malformed> {
    body.byte()?;
    let mut answer = ConnAck { code: body.byte()?, ..ConnAck::default() };
    // A broker that does not support MQTT 5 answers as in 3.1.1, without properties.
    if version == Version::V5 && !body.bytes.is_empty() {
        body.properties(|id, property| match (id, property) {
            (0x13, Property::Number(seconds)) => answer.keep_alive = Some(seconds as u16),
            (0x1F, Property::Text(text)) => answer.reason = text,
            (0x21, Property::Number(count)) => answer.receive_maximum = (count as u16).max(1),
            (0x22, Property::Number(count)) => answer.alias_maximum = count as u16,
            (0x24, Property::Number(number)) => {
                answer.maximum_qos = Qos::from_number(number as u8).unwrap_or_default();
            }
            (0x25, Property::Number(flag)) => answer.retain_available = flag != 0,
            (0x27, Property::Number(size)) => answer.maximum_packet = size,
            _ => {}
        })?;
    }
    Ok(answer)
}

fn message(header: u8, mut body: Body<'_>, version: Version) -> Result<Message<'_>, Malformed> {
    let qos = qos(header)?;
    let topic = body.string()?;
    let id = if qos == Qos::AtMostOnce { 0 } else { body.u16()? };
    let mut is_text = false;
    if version == Version::V5 {
        let mut has_alias = false;
        body.properties(|id, property| match (id, property) {
            (0x01, Property::Number(1)) => is_text = true,
            (0x23, _) => has_alias = true,
            _ => {}
        })?;
        if has_alias {
            return Err(Malformed("a topic alias, which the client does not allow"));
        }
    }
    if topic.is_empty() {
        return Err(Malformed("a message without a topic"));
    }
    let mut payload = body.bytes;
    // MIDIMonster writes the length in front of a text.
    if let (true, [0, length, text @ ..]) = (is_text, payload)
        && usize::from(*length) == text.len()
    {
        payload = text;
    }
    Ok(Message { topic, payload, qos, retain: header & 1 != 0, id })
}
