//! RTP packets with MIDI: the header, the list of commands, and where the recovery journal begins
//! (RFC 6295, section 3).

use crate::midi_grammar::message::Message;

/// The bytes of the RTP header.
const HEADER_BYTES: usize = 12;

/// The payload type that everyone uses.
const PAYLOAD_TYPE: u8 = 0x61;

/// The most bytes of commands in one packet that is sent.
pub(super) const MAX_LIST_BYTES: usize = 1_200;

/// The most data bytes in one part of a system exclusive message that is sent.
const MAX_PART_BYTES: usize = 1_100;

/// A datagram that is not a packet of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid;

/// A packet that has arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) sequence: u16,
    /// The sender's identifier of the stream.
    pub(super) ssrc: u32,
    commands: &'a [u8],
    /// Whether a time precedes the first command, too.
    has_first_time: bool,
    pub(super) journal: Option<&'a [u8]>,
}

/// One entry of the list of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Message(Message<'a>),
    /// The system exclusive message so far is not continued.
    Cancelled,
}

impl<'a> Packet<'a> {
    /// Reads the headers of a datagram.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Invalid> {
        let (header, mut rest) = bytes.split_at_checked(HEADER_BYTES).ok_or(Invalid)?;
        let (flags, payload_type) = (header[0], header[1] & 0x7F);
        // Version 2; the dynamic payload types.
        if flags & 0xC0 != 0x80 || payload_type < 96 {
            return Err(Invalid);
        }
        if flags & 0x20 != 0 {
            let padding = usize::from(*rest.last().ok_or(Invalid)?);
            let length = rest.len().checked_sub(padding.max(1)).ok_or(Invalid)?;
            rest = &rest[..length];
        }
        rest = rest.get(usize::from(flags & 0xF) * 4..).ok_or(Invalid)?;
        if flags & 0x10 != 0 {
            let words =
                u16::from_be_bytes([*rest.get(2).ok_or(Invalid)?, *rest.get(3).ok_or(Invalid)?]);
            rest = rest.get(4 + usize::from(words) * 4..).ok_or(Invalid)?;
        }
        let (&section, rest) = rest.split_first().ok_or(Invalid)?;
        let (length, rest) = if section & 0x80 == 0 {
            (usize::from(section & 0xF), rest)
        } else {
            let (&low, rest) = rest.split_first().ok_or(Invalid)?;
            (usize::from(section & 0xF) << 8 | usize::from(low), rest)
        };
        let (commands, journal) = rest.split_at_checked(length).ok_or(Invalid)?;
        Ok(Packet {
            sequence: u16::from_be_bytes([header[2], header[3]]),
            ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            commands,
            has_first_time: section & 0x20 != 0,
            journal: (section & 0x40 != 0).then_some(journal),
        })
    }

    /// Passes each command to `handle`. The times of the commands are not used.
    ///
    /// # Errors
    /// If the list is not valid; the commands before the error were handled.
    pub(super) fn commands(&self, mut handle: impl FnMut(Command<'a>)) -> Result<(), Invalid> {
        let mut list = List { bytes: self.commands, running: None };
        let mut has_time = self.has_first_time;
        while !list.bytes.is_empty() {
            if has_time {
                list.skip_time()?;
                // A list may end with a time.
                if list.bytes.is_empty() {
                    break;
                }
            }
            has_time = true;
            handle(list.command()?);
        }
        Ok(())
    }
}

/// The rest of a list of commands.
struct List<'a> {
    bytes: &'a [u8],
    /// The status of the last command, if the next one may leave it out.
    running: Option<u8>,
}

impl<'a> List<'a> {
    fn skip_time(&mut self) -> Result<(), Invalid> {
        let last = self.bytes.iter().take(4).position(|byte| byte & 0x80 == 0).ok_or(Invalid)?;
        self.bytes = &self.bytes[last + 1..];
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Invalid> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(Invalid)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn command(&mut self) -> Result<Command<'a>, Invalid> {
        let first = *self.bytes.first().ok_or(Invalid)?;
        if matches!(first, 0xF0 | 0xF7) {
            return self.exclusive();
        }
        let status = if first & 0x80 == 0 {
            self.running.ok_or(Invalid)?
        } else {
            self.take(1)?;
            first
        };
        match status {
            ..0xF0 => self.running = Some(status),
            0xF0..0xF8 => self.running = None,
            0xF8.. => {}
        }
        // An undefined message has no data.
        let length = Message::data_length(status).unwrap_or(0);
        let mut data = [0; 2];
        data[..length].copy_from_slice(self.take(length)?);
        match Message::from_bytes(status, data) {
            Some(message) => Ok(Command::Message(message)),
            None if data == [0; 2] => Ok(Command::Cancelled),
            None => Err(Invalid),
        }
    }

    /// A system exclusive message, or a part of one: `F0 … F7` is complete, `F0 … F0` begins,
    /// `F7 … F0` continues, `F7 … F7` ends, and F4 at the end cancels.
    fn exclusive(&mut self) -> Result<Command<'a>, Invalid> {
        self.running = None;
        let end = 1 + self.bytes[1..].iter().position(|byte| byte & 0x80 != 0).ok_or(Invalid)?;
        let part = self.take(end + 1)?;
        let start = usize::from(part[0] == 0xF7);
        match part[end] {
            0xF0 => Ok(Command::Message(Message::Exclusive(&part[start..end]))),
            0xF7 => Ok(Command::Message(Message::Exclusive(&part[start..=end]))),
            0xF4 => Ok(Command::Cancelled),
            _ => Err(Invalid),
        }
    }
}

/// Writes the RTP header, the list of commands and the journal, which may be empty.
pub(super) fn write(
    out: &mut Vec<u8>,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    list: &[u8],
    journal: &[u8],
) {
    out.extend([0x80, PAYLOAD_TYPE]);
    out.extend(sequence.to_be_bytes());
    out.extend(timestamp.to_be_bytes());
    out.extend(ssrc.to_be_bytes());
    let flags = if journal.is_empty() { 0 } else { 0x40 };
    // Some programs understand only the short form, so that it is used where it suffices.
    match list.len() {
        length @ ..16 => out.push(flags | length as u8),
        length => out.extend([0x80 | flags | (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(list);
    out.extend_from_slice(journal);
}

/// Appends a message, which is not a long system exclusive one, to a list of commands.
fn append(list: &mut Vec<u8>, message: &[u8]) {
    if !list.is_empty() {
        // Every command but the first has a time: none later than the one before.
        list.push(0);
    }
    list.extend_from_slice(message);
}

/// Appends a message to a list of commands. Calls `full` with the list, and empties it, when the
/// next command, or the next part of a long system exclusive message, needs another packet.
pub(super) fn push(list: &mut Vec<u8>, message: &Message<'_>, mut full: impl FnMut(&mut Vec<u8>)) {
    let mut flush = |list: &mut Vec<u8>| {
        full(list);
        list.clear();
    };
    if let Some((bytes, length)) = message.bytes() {
        if list.len() + length >= MAX_LIST_BYTES {
            flush(list);
        }
        return append(list, &bytes[..length]);
    }
    let Message::Exclusive(message) = *message else { return };
    if message.len() <= MAX_PART_BYTES {
        if list.len() + message.len() >= MAX_LIST_BYTES {
            flush(list);
        }
        return append(list, message);
    }
    if !list.is_empty() {
        flush(list);
    }
    let data = message.strip_prefix(&[0xF0]).unwrap_or(message);
    let data = data.strip_suffix(&[0xF7]).unwrap_or(data);
    let count = data.len().div_ceil(MAX_PART_BYTES);
    for (index, part) in data.chunks(MAX_PART_BYTES).enumerate() {
        list.push(if index == 0 { 0xF0 } else { 0xF7 });
        list.extend_from_slice(part);
        list.push(if index + 1 == count { 0xF7 } else { 0xF0 });
        if index + 1 < count {
            flush(list);
        }
    }
}
