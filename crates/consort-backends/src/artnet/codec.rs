//! Art-Net 4 packets: bytes to values and back. Source: the Art-Net 4 specification by Artistic
//! Licence. Art-Net™ designed by and copyright Artistic Licence.

use std::fmt;
use std::net::Ipv4Addr;

/// The port of everything in Art-Net.
pub const PORT: u16 = 6454;

/// What every packet begins with.
const ID: &[u8; 8] = b"Art-Net\0";

/// The protocol's version since its beginning.
const VERSION: u16 = 14;

const OP_POLL: u16 = 0x2000;
const OP_POLL_REPLY: u16 = 0x2100;
const OP_DMX: u16 = 0x5000;
const OP_SYNC: u16 = 0x5200;

/// How long an ArtPollReply is.
pub const POLL_REPLY_LENGTH: usize = 239;

/// A packet, borrowed from the datagram it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet<'a> {
    /// ArtDmx: values of a universe.
    Dmx(Dmx<'a>),
    /// ArtPoll: who is there?
    Poll {
        /// The port-addresses it is about, both ends included.
        first: u16,
        /// The last of them.
        last: u16,
    },
    /// ArtPollReply: somebody else is.
    PollReply,
    /// ArtSync: show now what was sent before.
    Sync,
    /// Any other operation.
    Other(u16),
}

/// An ArtDmx packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dmx<'a> {
    /// 1 to 255; 0 where the source does not count.
    pub sequence: u8,
    /// The physical input the values come from, for information.
    pub physical: u8,
    /// Net (7 bits), sub-net (4 bits) and universe (4 bits), 0 to 32767.
    pub port_address: u16,
    /// 1 to 512 slots.
    pub data: &'a [u8],
}

/// Why bytes are no Art-Net packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// It does not begin as one.
    NotArtNet,
    /// It ends too soon.
    Truncated {
        /// How many bytes were needed.
        needed: usize,
        /// How many there were.
        found: usize,
    },
    /// Made for an older protocol than any that was used.
    Version(u16),
    /// An ArtDmx with no slots, or more than 512.
    Length(u16),
    /// A port-address beyond 32767.
    PortAddress(u16),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::NotArtNet => write!(f, "it does not begin with `Art-Net`"),
            DecodeError::Truncated { needed, found } => {
                write!(f, "it ends after {found} bytes where {needed} are needed")
            }
            DecodeError::Version(version) => {
                write!(f, "its protocol version is {version}, expected at least {VERSION}")
            }
            DecodeError::Length(length) => {
                write!(f, "it claims {length} channels, expected 1 to 512")
            }
            DecodeError::PortAddress(address) => {
                write!(f, "its port-address is {address}, expected 0 to 32767")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

fn little(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn big(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

impl<'a> Packet<'a> {
    /// Reads a datagram. Bytes behind the packet are ignored, as later versions add fields.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let need = |needed: usize| match bytes.len() {
            found if found < needed => Err(DecodeError::Truncated { needed, found }),
            _ => Ok(()),
        };
        if bytes.len() < ID.len() || !bytes.starts_with(ID) {
            return Err(DecodeError::NotArtNet);
        }
        need(10)?;
        let operation = little(bytes, 8);
        if operation == OP_POLL_REPLY {
            // It alone has no version. The first edition had 207 bytes.
            need(207)?;
            return Ok(Packet::PollReply);
        }
        need(12)?;
        let version = big(bytes, 10);
        if version < VERSION {
            return Err(DecodeError::Version(version));
        }
        match operation {
            OP_POLL => {
                // The first edition ends here, without flags.
                let is_targeted = bytes.get(12).is_some_and(|flags| flags & 0x20 != 0);
                if is_targeted && bytes.len() >= 18 {
                    return Ok(Packet::Poll { first: big(bytes, 16), last: big(bytes, 14) });
                }
                Ok(Packet::Poll { first: 0, last: 0x7FFF })
            }
            OP_DMX => {
                need(18)?;
                let port_address = little(bytes, 14);
                if port_address > 0x7FFF {
                    return Err(DecodeError::PortAddress(port_address));
                }
                let length = big(bytes, 16);
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
    /// Appends the packet. `data` is 2 to 512 slots, an even number.
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

/// Appends an ArtPoll for all port-addresses, without subscription to changes.
pub fn encode_poll(bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(ID);
    bytes.extend(OP_POLL.to_le_bytes());
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend([0, 0]);
}

/// What an ArtPollReply says about one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollReply<'a> {
    /// The node's address.
    pub address: Ipv4Addr,
    /// The port at which it listens.
    pub port: u16,
    /// The port-address of the universe.
    pub port_address: u16,
    /// Counts the ports of a node from 1.
    pub bind_index: u8,
    /// At most 17 bytes of it are sent.
    pub short_name: &'a str,
    /// At most 63 bytes of it are sent.
    pub long_name: &'a str,
    /// Whether the node takes the universe from the network, and whether it has done so.
    pub takes: Option<bool>,
    /// Whether it merges several sources.
    pub is_merging: bool,
    /// Whether the later value wins when it merges.
    pub is_latest: bool,
    /// Whether the node gives the universe to the network, and whether it has done so.
    pub gives: Option<bool>,
}

fn put_text(field: &mut [u8], text: &str) {
    let mut end = text.len().min(field.len() - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    field[..end].copy_from_slice(&text.as_bytes()[..end]);
}

impl PollReply<'_> {
    /// Appends the packet, 239 bytes.
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
        packet[24..26].copy_from_slice(&0x7FF0_u16.to_le_bytes()); // ESTA: for experiments
        put_text(&mut packet[26..44], self.short_name);
        put_text(&mut packet[44..108], self.long_name);
        put_text(&mut packet[108..172], "#0001 [0000] running");
        packet[173] = 1; // one port
        let universe = subnet_universe & 0xF;
        if let Some(has_data) = self.takes {
            packet[174] |= 0x80; // a port that outputs what the network says, DMX512
            packet[182] = if has_data { 0x80 } else { 0 }
                | if self.is_merging { 0x08 } else { 0 }
                | if self.is_latest { 0x02 } else { 0 };
            packet[190] = universe;
        }
        if let Some(has_data) = self.gives {
            packet[174] |= 0x40; // a port whose input goes to the network, DMX512
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
