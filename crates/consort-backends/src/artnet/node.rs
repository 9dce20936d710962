//! What the reply of a node (ArtPollReply) says about it.

use std::net::Ipv4Addr;

use super::codec::Packet;

/// A reply of a node, which describes up to four of its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The node's address, as it reports it.
    pub address: Ipv4Addr,
    /// The long name, or the short one if there is none. It comes from the network.
    pub name: String,
    /// The port-addresses (net, sub-net and universe) that the node takes from the network.
    pub receives: Vec<u16>,
    /// The port-addresses that the node sends to the network.
    pub sends: Vec<u16>,
}

impl Node {
    /// Reads an ArtPollReply (Art-Net 4). `None` if the bytes are anything else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Node> {
        // A valid reply has at least the 207 bytes of the first edition.
        if !matches!(Packet::decode(bytes), Ok(Packet::PollReply)) {
            return None;
        }
        let text = |field: &[u8]| {
            let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
            String::from_utf8_lossy(&field[..end]).trim().to_owned()
        };
        let (short, long) = (text(&bytes[26..44]), text(&bytes[44..108]));
        let base = u16::from(bytes[18] & 0x7F) << 8 | u16::from(bytes[19] & 0xF) << 4;
        let count = usize::from(u16::from_be_bytes([bytes[172], bytes[173]])).min(4);
        let (mut receives, mut sends) = (Vec::new(), Vec::new());
        for port in 0..count {
            // Of the port's type, bit 7 is output from the network, and bit 6 input to it.
            let kind = bytes[174 + port];
            if kind & 0x80 != 0 {
                receives.push(base | u16::from(bytes[190 + port] & 0xF));
            }
            if kind & 0x40 != 0 {
                sends.push(base | u16::from(bytes[186 + port] & 0xF));
            }
        }
        let address = Ipv4Addr::new(bytes[10], bytes[11], bytes[12], bytes[13]);
        Some(Node { address, name: if long.is_empty() { short } else { long }, receives, sends })
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::PollReply;
    use super::*;

    #[test]
    fn a_reply_is_read_as_it_was_written() {
        let reply = PollReply {
            address: Ipv4Addr::new(10, 0, 0, 7),
            port: 6454,
            port_address: 0x123,
            bind_index: 1,
            short_name: "dimmer",
            long_name: "Dimmer rack, stage left",
            receives: Some(true),
            is_merging: false,
            is_latest: false,
            sends: None,
        };
        let mut bytes = Vec::new();
        reply.encode(&mut bytes);
        let node = Node::decode(&bytes).expect("a node");
        assert_eq!(node.address, reply.address);
        assert_eq!(node.name, "Dimmer rack, stage left");
        assert_eq!((node.receives, node.sends), (vec![0x123], vec![]));
        bytes.clear();
        PollReply { long_name: "", receives: None, sends: Some(false), ..reply }.encode(&mut bytes);
        let node = Node::decode(&bytes).expect("a node");
        assert_eq!(node.name, "dimmer");
        assert_eq!((node.receives, node.sends), (vec![], vec![0x123]));
        for end in 0..207 {
            assert_eq!(Node::decode(&bytes[..end]), None);
        }
        assert!(Node::decode(&bytes[..207]).is_some());
    }
}
