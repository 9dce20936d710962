//! Decoding and encoding of Art-Net 4 packets. Source: the Art-Net 4 specification by Artistic
//! Licence. Art-Net™ designed by and copyright Artistic Licence.

use std::fmt;
use std::net::Ipv4Addr;

/// The UDP port of Art-Net.
pub const PORT: u16 = 6454;

/// The first bytes of every packet.
const ID: &[u8; 8] = b"Art-Net\0";

/// The protocol version, which has never changed.
const VERSION: u16 = 14;

const OP_POLL: u16 = 0x2000;
const OP_POLL_REPLY: u16 = 0x2100;
const OP_DMX: u16 = 0x5000;
const OP_SYNC: u16 = 0x5200;

/// The length of an ArtPollReply in bytes.
pub const POLL_REPLY_LENGTH: usize = 239;

/// A decoded packet, borrowed from its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet<'a> {
    /// ArtDmx: values of a universe.
    Dmx(Dmx<'a>),
    /// ArtPoll: a request for replies of all nodes.
    Poll {
        /// The first port-address that the poll concerns.
        first: u16,
        /// The last port-address that the poll concerns.
        last: u16,
    },
    /// ArtPollReply: the reply of another node.
    PollReply,
    /// ArtSync: output the previously sent frames now.
    Sync,
    /// Any other operation.
    Other(u16),
}

/// An ArtDmx packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dmx<'a> {
    /// 1 to 255, or 0 if the source does not number its frames.
    pub sequence: u8,
    /// The physical input that the values come from, for information only.
    pub physical: u8,
    /// Net (7 bits), sub-net (4 bits) and universe (4 bits), 0 to 32767.
    pub port_address: u16,
    /// 1 to 512 slots.
    pub data: &'a [u8],
}

/// Why bytes are not a valid Art-Net packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The identifier `Art-Net` is missing.
    NotArtNet,
    /// The packet ends too early.
    Truncated {
        /// The least number of bytes expected.
        needed: usize,
        /// The number of bytes found.
        found: usize,
    },
    /// The protocol version is lower than any that was published.
    Version(u16),
    /// An ArtDmx packet without slots or with more than 512.
    Length(u16),
    /// A port-address beyond 32767.
    PortAddress(u16),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::NotArtNet => write!(f, "it does not start with `Art-Net`"),
            DecodeError::Truncated { needed, found } => {
                write!(f, "it has {found} bytes, expected at least {needed}")
            }
            DecodeError::Version(version) => {
                write!(f, "invalid protocol version {version}, expected at least {VERSION}")
            }
            DecodeError::Length(length) => {
                write!(f, "invalid length {length}, expected 1 to 512 slots")
            }
            DecodeError::PortAddress(address) => {
                write!(f, "invalid port-address {address}, expected 0 to 32767")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

fn u16_le(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([bytes[offset], bytes[offset + 1]])
}

fn u16_be(bytes: &[u8], offset: usize) -> u16 {
    u16::from_be_bytes([bytes[offset], bytes[offset + 1]])
}

impl<'a> Packet<'a> {
    /// Decodes a datagram. Bytes after the packet are ignored, because later versions of the
    /// protocol add fields.
    ///
    /// # Errors
    /// The reason why the datagram is invalid.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let need = |needed: usize| match bytes.len() {
            found if found < needed => Err(DecodeError::Truncated { needed, found }),
            _ => Ok(()),
        };
        if bytes.len() < ID.len() || !bytes.starts_with(ID) {
            return Err(DecodeError::NotArtNet);
        }
        need(10)?;
        let operation = u16_le(bytes, 8);
        if operation == OP_POLL_REPLY {
            // Unlike all other packets, it has no version. In the first edition it had 207 bytes.
            need(207)?;
            return Ok(Packet::PollReply);
        }
        need(12)?;
        let version = u16_be(bytes, 10);
        if version < VERSION {
            return Err(DecodeError::Version(version));
        }
        match operation {
            OP_POLL => {
                // In the first edition, the packet ends here and has no flags.
                let is_targeted = bytes.get(12).is_some_and(|flags| flags & 0x20 != 0);
                if is_targeted && bytes.len() >= 18 {
                    return Ok(Packet::Poll { first: u16_be(bytes, 16), last: u16_be(bytes, 14) });
                }
                Ok(Packet::Poll { first: 0, last: 0x7FFF })
            }
            OP_DMX => {
                need(18)?;
                let port_address = u16_le(bytes, 14);
                if port_address > 0x7FFF {
                    return Err(DecodeError::PortAddress(port_address));
                }
                let length = u16_be(bytes, 16);
                if !(1..=512).contains(&length) {
                    return Err(DecodeError::Length(length));
                }
                need(18 + usize::from(length))?;
                Ok(Packet::Dmx(Dmx {
                    sequence: bytes[12],
                    physical: bytes[13],
                    port_address,
                    data: &bytes[18..18 + usize::from(length)],
                }))
            }
            OP_SYNC => Ok(Packet::Sync),
            other => Ok(Packet::Other(other)),
        }
    }
}

impl Dmx<'_> {
    /// Appends the packet to `bytes`. `data` must have 2 to 512 slots, an even number.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        debug_assert!(self.data.len().is_multiple_of(2) && (2..=512).contains(&self.data.len()));
        bytes.extend_from_slice(ID);
        bytes.extend(OP_DMX.to_le_bytes());
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend([self.sequence, self.physical]);
        bytes.extend(self.port_address.to_le_bytes());
        bytes.extend((self.data.len() as u16).to_be_bytes());
        bytes.extend_from_slice(self.data);
    }
}

/// Appends an ArtPoll for all port-addresses, without a subscription to changes.
pub fn encode_poll(bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(ID);
    bytes.extend(OP_POLL.to_le_bytes());
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend([0, 0]);
}

/// An ArtPollReply for one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollReply<'a> {
    /// The node's address.
    pub address: Ipv4Addr,
    /// The UDP port on which the node listens.
    pub port: u16,
    /// The port-address of the universe.
    pub port_address: u16,
    /// The number of the port within the node, from 1.
    pub bind_index: u8,
    /// The short name; at most 17 bytes are sent.
    pub short_name: &'a str,
    /// The long name; at most 63 bytes are sent.
    pub long_name: &'a str,
    /// `Some` if the node receives the universe from the network: whether it has received data.
    pub receives: Option<bool>,
    /// Whether the node merges several sources.
    pub is_merging: bool,
    /// Whether the node merges by latest value (LTP) rather than highest value (HTP).
    pub is_latest: bool,
    /// `Some` if the node sends the universe to the network: whether it has sent data.
    pub sends: Option<bool>,
}

/// Writes a text and a terminating zero into a field; a long text is cut at a character boundary.
fn put_text(field: &mut [u8], text: &str) {
    let mut end = text.len().min(field.len() - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    field[..end].copy_from_slice(&text.as_bytes()[..end]);
}

impl PollReply<'_> {
    /// Appends the packet of 239 bytes to `bytes`.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let mut packet = [0_u8; POLL_REPLY_LENGTH];
        packet[..8].copy_from_slice(ID);
        packet[8..10].copy_from_slice(&OP_POLL_REPLY.to_le_bytes());
        packet[10..14].copy_from_slice(&self.address.octets());
        packet[14..16].copy_from_slice(&self.port.to_le_bytes());
        packet[17] = 1; // firmware 0.1
        let [net, subnet_universe] = self.port_address.to_be_bytes();
        packet[18] = net;
        packet[19] = subnet_universe >> 4;
        packet[20..22].copy_from_slice(&0x00FF_u16.to_be_bytes()); // OEM code: unknown
        packet[23] = 0xE0; // indicators normal, port-address set by software
        packet[24..26].copy_from_slice(&0x7FF0_u16.to_le_bytes()); // ESTA: experimental
        put_text(&mut packet[26..44], self.short_name);
        put_text(&mut packet[44..108], self.long_name);
        put_text(&mut packet[108..172], "#0001 [0000] running");
        packet[173] = 1; // one port
        let universe = subnet_universe & 0xF;
        if let Some(has_data) = self.receives {
            packet[174] |= 0x80; // a port that outputs data from the network, DMX512
            packet[182] = if has_data { 0x80 } else { 0 }
                | if self.is_merging { 0x08 } else { 0 }
                | if self.is_latest { 0x02 } else { 0 };
            packet[190] = universe;
        }
        if let Some(has_data) = self.sends {
            packet[174] |= 0x40; // a port that inputs data to the network, DMX512
            packet[178] = if has_data { 0x80 } else { 0 };
            packet[186] = universe;
        }
        packet[200] = 0; // StNode
        packet[207..211].copy_from_slice(&self.address.octets());
        packet[211] = self.bind_index;
        packet[212] = 0x08; // 15-bit port-addresses
        bytes.extend_from_slice(&packet);
    }
}
