//! Decoding and encoding of Streaming ACN packets. Source: ANSI E1.31-2018, on the root layer of
//! ANSI E1.17.

use std::fmt;
use std::net::Ipv4Addr;

/// The UDP port of sACN.
pub const PORT: u16 = 5568;

/// The highest universe number.
pub const MAX_UNIVERSE: u16 = 63_999;

/// The universe whose group carries universe discovery.
pub const DISCOVERY_UNIVERSE: u16 = 64_214;

/// The first bytes of every packet: preamble size, postamble size and packet identifier.
const PACKET_START: &[u8; 16] = b"\0\x10\0\0ASC-E1.17\0\0\0";

const ROOT_DATA: u32 = 4;
const ROOT_EXTENDED: u32 = 8;
const FRAMING_DATA: u32 = 2;
const FRAMING_SYNC: u32 = 1;
const FRAMING_DISCOVERY: u32 = 2;
const DISCOVERY_LIST: u32 = 1;

const PREVIEW: u8 = 0x80;
const TERMINATED: u8 = 0x40;

/// The most universes that one page of universe discovery lists.
const MAX_PAGE_UNIVERSES: usize = 512;

/// A component identifier (CID), unique to each source.
pub type Cid = [u8; 16];

/// The multicast group of a universe: 239.255, followed by its number.
pub fn group(universe: u16) -> Ipv4Addr {
    let [high, low] = universe.to_be_bytes();
    Ipv4Addr::new(239, 255, high, low)
}

/// A decoded packet, borrowed from its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet<'a> {
    /// Values of a universe.
    Data(Data<'a>),
    /// Output the previously sent frames now.
    Sync {
        /// The synchronisation universe.
        universe: u16,
    },
    /// The universes that a source sends.
    Discovery(Discovery<'a>),
    /// Another vector of the root layer, of the framing layer, or another DMX start code.
    Other,
}

/// An E1.31 data packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// The identifier of the source.
    pub cid: Cid,
    /// The name of the source, at most 63 bytes, without trailing zeros.
    pub name: &'a [u8],
    /// 0 to 200; higher takes precedence.
    pub priority: u8,
    /// The synchronisation universe, or 0 for none.
    pub sync: u16,
    /// The number of the packet within the universe.
    pub sequence: u8,
    /// Whether the data is not intended for live output.
    pub is_preview: bool,
    /// Whether the source terminates this universe; the data is then invalid.
    pub is_terminated: bool,
    /// The universe, 1 to 63999.
    pub universe: u16,
    /// Up to 512 slots after start code 0.
    pub slots: &'a [u8],
}

/// An E1.31 universe discovery packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discovery<'a> {
    /// The identifier of the source.
    pub cid: Cid,
    /// The name of the source, without trailing zeros.
    pub name: &'a [u8],
    /// The number of this page, from 0.
    pub page: u8,
    /// The number of the last page.
    pub last_page: u8,
    /// The universes as two bytes each, high byte first.
    list: &'a [u8],
}

impl Discovery<'_> {
    /// The universes of this page.
    pub fn universes(&self) -> impl Iterator<Item = u16> + '_ {
        self.list.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
    }
}

/// Why bytes are not a valid sACN packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The ACN packet identifier is missing.
    NotSacn,
    /// The packet ends too early.
    Truncated {
        /// The least number of bytes expected.
        needed: usize,
        /// The number of bytes found.
        found: usize,
    },
    /// The length of a layer does not match its contents.
    Length {
        /// The offset of the length in the packet.
        offset: usize,
        /// The length.
        length: u16,
    },
    /// The DMP layer does not contain the slots of a universe.
    Dmp,
    /// More than 512 slots, or no start code.
    Slots(u16),
    /// A universe outside of 1 to 63999.
    Universe(u16),
    /// A priority above 200.
    Priority(u8),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::NotSacn => write!(f, "it does not start with the ACN packet identifier"),
            DecodeError::Truncated { needed, found } => {
                write!(f, "it has {found} bytes, expected at least {needed}")
            }
            DecodeError::Length { offset, length } => {
                write!(f, "the length {length} at byte {offset} does not match the contents")
            }
            DecodeError::Dmp => write!(f, "it does not contain the slots of a universe"),
            DecodeError::Slots(count) => {
                write!(
                    f,
                    "invalid property count {count}, expected 1 to 513 (start code and slots)"
                )
            }
            DecodeError::Universe(universe) => {
                write!(f, "invalid universe {universe}, expected 1 to {MAX_UNIVERSE}")
            }
            DecodeError::Priority(priority) => {
                write!(f, "invalid priority {priority}, expected 0 to 200")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// Reads at fixed offsets of a packet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Checks that the packet has at least `needed` bytes.
    fn need(&self, needed: usize) -> Result<(), DecodeError> {
        match self.0.len() {
            found if found < needed => Err(DecodeError::Truncated { needed, found }),
            _ => Ok(()),
        }
    }

    fn u16(&self, offset: usize) -> u16 {
        u16::from_be_bytes([self.0[offset], self.0[offset + 1]])
    }

    fn u32(&self, offset: usize) -> u32 {
        u32::from(self.u16(offset)) << 16 | u32::from(self.u16(offset + 2))
    }

    /// The end of the layer whose flags and length are at `offset`; it must be within the packet.
    fn end(&self, offset: usize) -> Result<usize, DecodeError> {
        let word = self.u16(offset);
        let length = word & 0x0FFF;
        if word >> 12 != 7 || usize::from(length) < 2 {
            return Err(DecodeError::Length { offset, length });
        }
        let end = offset + usize::from(length);
        self.need(end)?;
        Ok(end)
    }

    fn cid(&self) -> Cid {
        let mut cid = [0; 16];
        cid.copy_from_slice(&self.0[22..38]);
        cid
    }

    fn name(&self) -> &'a [u8] {
        let field = &self.0[44..108];
        let end = field.iter().position(|&byte| byte == 0).unwrap_or(63);
        &field[..end.min(63)]
    }
}

impl<'a> Packet<'a> {
    /// Decodes a datagram. Bytes after the packet are ignored.
    ///
    /// # Errors
    /// The reason why the datagram is invalid.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if bytes.len() < PACKET_START.len() || !bytes.starts_with(PACKET_START) {
            return Err(DecodeError::NotSacn);
        }
        let reader = Reader(bytes);
        reader.need(44)?;
        let root_end = reader.end(16)?;
        let root = reader.u32(18);
        if root != ROOT_DATA && root != ROOT_EXTENDED {
            return Ok(Packet::Other);
        }
        let framing_end = reader.end(38)?;
        if framing_end > root_end {
            return Err(DecodeError::Length { offset: 38, length: reader.u16(38) & 0xFFF });
        }
        match (root, reader.u32(40)) {
            (ROOT_DATA, FRAMING_DATA) => Self::data(&reader, framing_end),
            (ROOT_EXTENDED, FRAMING_SYNC) => {
                reader.need(49)?;
                Ok(Packet::Sync { universe: reader.u16(45) })
            }
            (ROOT_EXTENDED, FRAMING_DISCOVERY) => Self::discovery(&reader, framing_end),
            _ => Ok(Packet::Other),
        }
    }

    /// Decodes the framing and DMP layers of a data packet.
    fn data(reader: &Reader<'a>, framing_end: usize) -> Result<Self, DecodeError> {
        reader.need(126)?;
        let end = reader.end(115)?;
        let length_error = DecodeError::Length { offset: 115, length: reader.u16(115) & 0xFFF };
        if end > framing_end {
            return Err(length_error);
        }
        let bytes = reader.0;
        if bytes[117] != 2 || bytes[118] != 0xA1 || reader.u16(119) != 0 || reader.u16(121) != 1 {
            return Err(DecodeError::Dmp);
        }
        let count = reader.u16(123);
        if !(1..=513).contains(&count) {
            return Err(DecodeError::Slots(count));
        }
        if 125 + usize::from(count) > end {
            return Err(length_error);
        }
        let universe = reader.u16(113);
        if universe == 0 || universe > MAX_UNIVERSE {
            return Err(DecodeError::Universe(universe));
        }
        let priority = bytes[108];
        if priority > 200 {
            return Err(DecodeError::Priority(priority));
        }
        if bytes[125] != 0 {
            return Ok(Packet::Other);
        }
        Ok(Packet::Data(Data {
            cid: reader.cid(),
            name: reader.name(),
            priority,
            sync: reader.u16(109),
            sequence: bytes[111],
            is_preview: bytes[112] & PREVIEW != 0,
            is_terminated: bytes[112] & TERMINATED != 0,
            universe,
            slots: &bytes[126..125 + usize::from(count)],
        }))
    }

    /// Decodes a universe discovery packet.
    fn discovery(reader: &Reader<'a>, framing_end: usize) -> Result<Self, DecodeError> {
        reader.need(120)?;
        let end = reader.end(112)?;
        let list =
            end.checked_sub(120).filter(|list| *list <= MAX_PAGE_UNIVERSES * 2 && list % 2 == 0);
        let Some(list) = list.filter(|_| end <= framing_end) else {
            return Err(DecodeError::Length { offset: 112, length: reader.u16(112) & 0xFFF });
        };
        if reader.u32(114) != DISCOVERY_LIST {
            return Ok(Packet::Other);
        }
        Ok(Packet::Discovery(Discovery {
            cid: reader.cid(),
            name: reader.name(),
            page: reader.0[118],
            last_page: reader.0[119],
            list: &reader.0[120..120 + list],
        }))
    }
}

/// Appends the flags and the length of a layer.
fn put_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend((0x7000 | length as u16).to_be_bytes());
}

/// Appends a source name, padded with zeros to 64 bytes.
fn put_name(bytes: &mut Vec<u8>, name: &[u8]) {
    let name = &name[..name.len().min(63)];
    bytes.extend_from_slice(name);
    bytes.resize(bytes.len() + 64 - name.len(), 0);
}

/// Appends the root layer and the start of the framing layer of a packet of `length` bytes.
fn put_start(bytes: &mut Vec<u8>, length: usize, root: u32, cid: Cid, framing: u32) {
    bytes.extend_from_slice(PACKET_START);
    put_length(bytes, length - 16);
    bytes.extend(root.to_be_bytes());
    bytes.extend(cid);
    put_length(bytes, length - 38);
    bytes.extend(framing.to_be_bytes());
}

impl Data<'_> {
    /// Appends the packet to `bytes`: 126 bytes and the slots, of which there may be up to 512.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        debug_assert!(self.slots.len() <= 512);
        let length = 126 + self.slots.len();
        put_start(bytes, length, ROOT_DATA, self.cid, FRAMING_DATA);
        put_name(bytes, self.name);
        bytes.push(self.priority);
        bytes.extend(self.sync.to_be_bytes());
        bytes.push(self.sequence);
        bytes.push(
            if self.is_preview { PREVIEW } else { 0 }
                | if self.is_terminated { TERMINATED } else { 0 },
        );
        bytes.extend(self.universe.to_be_bytes());
        put_length(bytes, length - 115);
        bytes.extend([0x02, 0xA1, 0, 0, 0, 1]);
        bytes.extend((self.slots.len() as u16 + 1).to_be_bytes());
        bytes.push(0); // start code
        bytes.extend_from_slice(self.slots);
    }
}

/// Calls `page` for each packet of a universe discovery. The universes must be sorted; at most
/// 131,072 are listed.
pub fn encode_discovery(cid: Cid, name: &[u8], universes: &[u16], mut page: impl FnMut(&[u8])) {
    let last = universes.len().div_ceil(MAX_PAGE_UNIVERSES).saturating_sub(1).min(255);
    let mut bytes = Vec::new();
    for (number, list) in universes.chunks(MAX_PAGE_UNIVERSES).take(256).enumerate() {
        bytes.clear();
        let length = 120 + list.len() * 2;
        put_start(&mut bytes, length, ROOT_EXTENDED, cid, FRAMING_DISCOVERY);
        put_name(&mut bytes, name);
        bytes.extend([0; 4]);
        put_length(&mut bytes, length - 112);
        bytes.extend(DISCOVERY_LIST.to_be_bytes());
        bytes.extend([number as u8, last as u8]);
        for universe in list {
            bytes.extend(universe.to_be_bytes());
        }
        page(&bytes);
    }
}
