//! The bodies of the fuzz targets, which the tests also run on the committed corpus. Not part of
//! the public interface.

use std::time::Instant;

use super::decode::{Input, MAX_PACKET_BYTES, Packet};
use super::encode::{self, Alias, Filter, Publication, Qos, Version};
use super::json;
use super::session::{Identity, Session};
use super::share::wire;
use super::values::Format;

/// Decodes any bytes as the packets of a broker, in pieces of any size, and handles them in a
/// session. The first byte chooses the version and the size of the pieces. What a publication
/// contains survives a round trip.
pub fn mqtt_packets(bytes: &[u8]) {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let version = if choice & 1 == 0 { Version::V311 } else { Version::V5 };
    let piece = usize::from(choice >> 1) + 1;
    let now = Instant::now();
    let mut session: Session<u32> = Session::new(version, now);
    session.begin(now);
    let identity =
        Identity { client_id: "fuzz".into(), user: None, password: None, keep_alive: 20 };
    session.connect(&identity, None);
    let mut input = Input::default();
    let mut sent = 0;
    for bytes in bytes.chunks(piece) {
        input.push(bytes);
        loop {
            let packet = match input.next(version) {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(error) => return assert!(!error.to_string().is_empty()),
            };
            if let Packet::Publish(message) = packet {
                assert!(message.payload.len() <= MAX_PACKET_BYTES && !message.topic.is_empty());
                round_trip(&message, version);
            }
            if session.handle(packet).is_err() {
                return;
            }
            if session.is_open() {
                sent += 1;
                let qos = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce][sent as usize % 3];
                let publication = Publication { topic: "a", payload: b"1", qos, retain: false };
                session.publish(&publication, Some(sent % 7), || sent);
                session.subscribe(&[Filter { filter: "#", qos, no_local: true }]);
            }
            let count = session.outgoing().len();
            session.advance(count / 2, now);
        }
    }
    let _ = session.close().count();
}

/// Encodes a message that has arrived and decodes it again.
fn round_trip(message: &super::decode::Message<'_>, version: Version) {
    let publication = Publication {
        topic: message.topic,
        payload: message.payload,
        qos: message.qos,
        retain: message.retain,
    };
    let mut bytes = Vec::new();
    encode::publish(&mut bytes, version, &publication, message.id, Alias::None);
    let mut input = Input::default();
    input.push(&bytes);
    if bytes.len() < MAX_PACKET_BYTES {
        assert_eq!(input.next(version), Ok(Some(Packet::Publish(*message))));
    }
}

/// Reads any bytes as the contents of messages: numbers, JSON documents, topic options, and the
/// payloads of shared channels, which survive a round trip.
pub fn mqtt_payload(bytes: &[u8]) {
    if let Some(publication) = wire::Publication::parse(bytes) {
        let mut text = String::new();
        publication.encode(&mut text);
        assert_eq!(wire::Publication::parse(text.as_bytes()), Some(publication));
    }
    if let Some(presence) = wire::Presence::parse(bytes) {
        assert_eq!(wire::Presence::parse(presence.encode().as_bytes()), Some(presence));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = Format::Plain.read(text);
    if let Ok(format) = Format::parse(text, None) {
        let mut out = String::new();
        for value in [0.0, 0.3, 1.0] {
            out.clear();
            if format.write(value, 6, &mut out) {
                let _ = format.read(&out);
            }
        }
    }
    let (pointer, document) = text.split_once('\n').unwrap_or(("/a", text));
    if let Ok(document) = serde_json::from_str(document) {
        json::scalars(&document, 32, &mut |pointer, value| {
            let names = json::parse_pointer(pointer);
            if let Ok(names) = names {
                assert_eq!(json::member(&document, &names), Some(value));
            }
        });
        if let Ok(names) = json::parse_pointer(pointer) {
            let _ = json::member(&document, &names).and_then(json::scalar);
        }
    }
}
