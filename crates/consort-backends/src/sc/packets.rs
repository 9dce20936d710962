//! Messages for the server, gathered into packets: a single message is sent as it is, several as
//! a bundle. Nothing is allocated once the buffers have grown.

use consort_osc::{MessageBuilder, TimeTag};

/// A packet that has grown beyond this size, in bytes, takes no further messages. The limit keeps
/// bundles far below the size of a datagram.
const FULL_PACKET_BYTES: usize = 8_192;

/// The size of a bundle's header: `#bundle\0` and the time.
const BUNDLE_HEADER_BYTES: usize = 16;

/// Messages to send.
#[derive(Debug, Default)]
pub(super) struct Packets {
    bytes: Vec<u8>,
    /// The offset of each packet in `bytes`, and the number of its messages.
    packets: Vec<(usize, u32)>,
}

impl Packets {
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Adds a message; `write` adds its arguments. A message that cannot be encoded (a name with
    /// a zero byte) is logged and left out.
    pub(super) fn message(
        &mut self,
        address: &str,
        write: impl FnOnce(&mut MessageBuilder<'_, Vec<u8>>),
    ) {
        let is_open = self
            .packets
            .last()
            .is_some_and(|(start, _)| self.bytes.len() - start < FULL_PACKET_BYTES);
        if !is_open {
            self.packets.push((self.bytes.len(), 0));
            self.bytes.extend_from_slice(b"#bundle\0\0\0\0\0\0\0\0\x01");
        }
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        let mut builder = MessageBuilder::with_tags(&mut self.bytes, address, 16);
        write(&mut builder);
        let written = builder.finish();
        drop(builder);
        match written {
            Ok(_) => {
                let size = (self.bytes.len() - offset - 4) as u32;
                self.bytes[offset..offset + 4].copy_from_slice(&size.to_be_bytes());
                if let Some((_, count)) = self.packets.last_mut() {
                    *count += 1;
                }
            }
            Err(error) => {
                tracing::error!("cannot encode a message to {address}: {error}");
                self.bytes.truncate(offset);
                if let Some((start, 0)) = self.packets.last() {
                    self.bytes.truncate(*start);
                    self.packets.pop();
                }
            }
        }
    }

    /// Passes every packet to `packet`, in order, and clears the buffer. With a time, every packet
    /// is a bundle with that time.
    pub(super) fn send(&mut self, time: Option<TimeTag>, mut packet: impl FnMut(&[u8])) {
        let end = self.bytes.len();
        for index in 0..self.packets.len() {
            let (start, count) = self.packets[index];
            let end = self.packets.get(index + 1).map_or(end, |next| next.0);
            match (time, count) {
                (None, 1) => packet(&self.bytes[start + BUNDLE_HEADER_BYTES + 4..end]),
                (None, _) => packet(&self.bytes[start..end]),
                (Some(time), _) => {
                    self.bytes[start + 8..start + BUNDLE_HEADER_BYTES]
                        .copy_from_slice(&time.raw().to_be_bytes());
                    packet(&self.bytes[start..end]);
                }
            }
        }
        self.clear();
    }

    /// Discards all messages.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.packets.clear();
    }
}

#[cfg(test)]
mod tests {
    use consort_osc::{OscPacket, Packet};

    use super::*;

    fn sent(packets: &mut Packets, time: Option<TimeTag>) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        packets.send(time, |packet| all.push(packet.to_vec()));
        assert!(packets.is_empty());
        all
    }

    #[test]
    fn one_message_is_sent_alone_and_several_in_a_bundle() {
        let mut packets = Packets::default();
        packets.message("/n_set", |message| {
            message.int(5).string("gate").float(0.0);
        });
        let single = sent(&mut packets, None);
        let Packet::Message(message) = Packet::decode(&single[0]).expect("OSC") else {
            panic!("a bundle")
        };
        assert_eq!((message.address(), message.type_tags()), ("/n_set", &b"isf"[..]));
        for id in 0..3 {
            packets.message("/n_free", |message| {
                message.int(id);
            });
        }
        let bundle = sent(&mut packets, None);
        assert_eq!(bundle.len(), 1);
        assert_eq!(Packet::decode(&bundle[0]).expect("OSC").messages().count(), 3);
        packets.message("/n_free", |message| {
            message.int(7);
        });
        let time = TimeTag::from_unix_seconds(1e9);
        let timed = sent(&mut packets, Some(time));
        let OscPacket::Bundle(bundle) = OscPacket::decode(&timed[0]).expect("OSC") else {
            panic!("a message")
        };
        assert_eq!((bundle.time, bundle.elements.len()), (time, 1));
    }

    #[test]
    fn many_messages_become_several_packets_in_order() {
        let mut packets = Packets::default();
        for id in 0..2_000 {
            packets.message("/n_free", |message| {
                message.int(id);
            });
        }
        packets.message("/n_set", |message| {
            message.string("a\0b");
        });
        let mut next = 0;
        for bytes in sent(&mut packets, None) {
            assert!(bytes.len() < FULL_PACKET_BYTES + 100);
            for message in Packet::decode(&bytes).expect("OSC").messages() {
                let id = message.arguments().next().and_then(|argument| argument.as_i32());
                assert_eq!(id, Some(next));
                next += 1;
            }
        }
        assert_eq!(next, 2_000);
    }
}
