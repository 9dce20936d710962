//! What goes to the server: messages, gathered into packets. A message alone travels bare,
//! several as a bundle. Nothing is allocated once the space is there.

use consort_osc::{MessageBuilder, TimeTag};

/// A packet is closed when it has grown beyond this, in bytes: a bundle that the server takes
/// in one go, far below a datagram's limit.
const PACKET_SIZE: usize = 8_192;

const HEADER: usize = 16;

/// Messages that are to be sent.
#[derive(Debug, Default)]
pub(super) struct Packets {
    bytes: Vec<u8>,
    /// Where each packet begins, and how many messages are in it.
    packets: Vec<(usize, u32)>,
}

impl Packets {
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Adds a message; `write` adds its arguments. One that cannot be written (a name with a
    /// zero byte) is left out.
    pub(super) fn message(
        &mut self,
        address: &str,
        write: impl FnOnce(&mut MessageBuilder<'_, Vec<u8>>),
    ) {
        let is_open =
            self.packets.last().is_some_and(|(start, _)| self.bytes.len() - start < PACKET_SIZE);
        if !is_open {
            self.packets.push((self.bytes.len(), 0));
            self.bytes.extend_from_slice(b"#bundle\0\0\0\0\0\0\0\0\x01");
        }
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        let mut builder = MessageBuilder::with_tags(&mut self.bytes, address, 16);
        write(&mut builder);
        let written = builder.finish();
        drop(builder);
        match written {
            Ok(_) => {
                let size = (self.bytes.len() - at - 4) as u32;
                self.bytes[at..at + 4].copy_from_slice(&size.to_be_bytes());
                if let Some((_, count)) = self.packets.last_mut() {
                    *count += 1;
                }
            }
            Err(error) => {
                tracing::error!("a message {address} cannot be written: {error}");
                self.bytes.truncate(at);
                if let Some((start, 0)) = self.packets.last() {
                    self.bytes.truncate(*start);
                    self.packets.pop();
                }
            }
        }
    }

    /// Hands every packet over, in order, and forgets them. With a time, they take effect then.
    pub(super) fn send(&mut self, time: Option<TimeTag>, mut packet: impl FnMut(&[u8])) {
        let end = self.bytes.len();
        for at in 0..self.packets.len() {
            let (start, count) = self.packets[at];
            let end = self.packets.get(at + 1).map_or(end, |next| next.0);
            match (time, count) {
                (None, 1) => packet(&self.bytes[start + HEADER + 4..end]),
                (None, _) => packet(&self.bytes[start..end]),
                (Some(time), _) => {
                    self.bytes[start + 8..start + HEADER]
                        .copy_from_slice(&time.raw().to_be_bytes());
                    packet(&self.bytes[start..end]);
                }
            }
        }
        self.clear();
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.packets.clear();
    }
}

#[cfg(test)]
mod tests {
    use consort_osc::{OscPacket, Packet};

    use super::*;

    fn taken(packets: &mut Packets, time: Option<TimeTag>) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        packets.send(time, |packet| all.push(packet.to_vec()));
        assert!(packets.is_empty());
        all
    }

    #[test]
    fn one_message_is_bare_and_several_are_a_bundle() {
        let mut packets = Packets::default();
        packets.message("/n_set", |it| {
            it.int(5).string("gate").float(0.0);
        });
        let bare = taken(&mut packets, None);
        let Packet::Message(message) = Packet::decode(&bare[0]).expect("OSC") else {
            panic!("a bundle")
        };
        assert_eq!((message.address(), message.type_tags()), ("/n_set", &b"isf"[..]));
        for id in 0..3 {
            packets.message("/n_free", |it| {
                it.int(id);
            });
        }
        let bundle = taken(&mut packets, None);
        assert_eq!(bundle.len(), 1);
        assert_eq!(Packet::decode(&bundle[0]).expect("OSC").messages().count(), 3);
        packets.message("/n_free", |it| {
            it.int(7);
        });
        let time = TimeTag::from_unix_seconds(1e9);
        let timed = taken(&mut packets, Some(time));
        let OscPacket::Bundle(bundle) = OscPacket::decode(&timed[0]).expect("OSC") else {
            panic!("a message")
        };
        assert_eq!((bundle.time, bundle.elements.len()), (time, 1));
    }

    #[test]
    fn many_messages_become_several_packets_in_order() {
        let mut packets = Packets::default();
        for id in 0..2_000 {
            packets.message("/n_free", |it| {
                it.int(id);
            });
        }
        packets.message("/n_set", |it| {
            it.string("a\0b");
        });
        let mut next = 0;
        for bytes in taken(&mut packets, None) {
            assert!(bytes.len() < PACKET_SIZE + 100);
            for message in Packet::decode(&bytes).expect("OSC").messages() {
                let id = message.arguments().next().and_then(|it| it.as_i32());
                assert_eq!(id, Some(next));
                next += 1;
            }
        }
        assert_eq!(next, 2_000);
    }
}
