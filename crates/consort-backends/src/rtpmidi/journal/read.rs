//! Reads the entries of a journal, from any sender.

use super::super::packet::Invalid;

/// One entry of a journal. The state is that before the packet that contains the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    Program {
        program: u8,
        bank: Option<(u8, u8)>,
    },
    Controller {
        number: u8,
        value: u8,
    },
    /// A parameter: registered or not, its number and the halves of its value.
    Parameter {
        registered: bool,
        number: u16,
        high: Option<u8>,
        low: Option<u8>,
    },
    /// What is selected after the parameters: the upper half of a number, the last parameter of
    /// the list if `is_selected`, or nothing.
    Selection {
        pending: Option<(bool, u8)>,
        is_selected: bool,
    },
    Bend(u16),
    NoteOn {
        note: u8,
        velocity: u8,
        is_to_play: bool,
    },
    NoteOff(u8),
    Aftertouch(u8),
    Pressure {
        note: u8,
        pressure: u8,
    },
    Song(u8),
    Sequencer {
        is_running: bool,
        position: u32,
    },
    /// A complete system exclusive message: its number, and the bytes between F0 and F7, the last
    /// of them with its highest bit set.
    Exclusive {
        count: u8,
        data: Option<&'a [u8]>,
    },
}

/// The bytes that are left of a part.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Invalid> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Invalid)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Invalid> {
        Ok(self.take(1)?[0])
    }

    fn word(&mut self) -> Result<u16, Invalid> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Splits off a part whose first two bytes state its length in 10 bits, these two included.
    /// Returns these bytes and the rest of the part.
    fn part(&mut self) -> Result<(u16, Bytes<'a>), Invalid> {
        let header = self.word()?;
        let length = usize::from(header & 0x3FF).checked_sub(2).ok_or(Invalid)?;
        Ok((header, Bytes(self.take(length)?)))
    }

    /// The entries of a list: a byte with their number less one, and two bytes for each.
    fn list(&mut self) -> Result<impl Iterator<Item = (u8, u8)> + use<'a>, Invalid> {
        let count = usize::from(self.byte()? & 0x7F) + 1;
        let entries = self.take(count * 2)?;
        Ok(entries.chunks_exact(2).map(|entry| (entry[0] & 0x7F, entry[1])))
    }
}

/// The first packet that a journal covers.
pub(super) fn checkpoint(journal: &[u8]) -> Result<u16, Invalid> {
    let mut bytes = Bytes(journal);
    bytes.byte()?;
    bytes.word()
}

/// Passes each entry with its MIDI channel (0 for those of the system) to `handle`.
///
/// # Errors
/// If the journal is not valid; the entries before the error were handled.
pub(super) fn read<'a>(
    journal: &'a [u8],
    handle: &mut dyn FnMut(u8, Entry<'a>),
) -> Result<(), Invalid> {
    let mut bytes = Bytes(journal);
    let header = bytes.byte()?;
    bytes.word()?;
    if header & 0x40 != 0 {
        read_system(&mut bytes, &mut |entry| handle(0, entry))?;
    }
    if header & 0x20 != 0 {
        for _ in 0..=header & 0xF {
            let (header, mut part) = bytes.part()?;
            let channel = (header >> 11 & 0xF) as u8;
            read_channel(&mut part, &mut |entry| handle(channel, entry))?;
        }
    }
    Ok(())
}

fn read_channel<'a>(
    bytes: &mut Bytes<'a>,
    handle: &mut dyn FnMut(Entry<'a>),
) -> Result<(), Invalid> {
    let contents = bytes.byte()?;
    let has = |bit: u8| contents & bit != 0;
    if has(0x80) {
        let program = bytes.byte()? & 0x7F;
        let (high, low) = (bytes.byte()?, bytes.byte()? & 0x7F);
        let bank = (high & 0x80 != 0).then_some((high & 0x7F, low));
        handle(Entry::Program { program, bank });
    }
    if has(0x40) {
        for (number, value) in bytes.list()? {
            read_controller(number, value, handle);
        }
    }
    if has(0x20) {
        let (header, mut part) = bytes.part()?;
        read_parameters(header, &mut part, handle)?;
    }
    if has(0x10) {
        let (low, high) = (bytes.byte()? & 0x7F, bytes.byte()? & 0x7F);
        handle(Entry::Bend(u16::from(high) << 7 | u16::from(low)));
    }
    if has(0x08) {
        read_notes(bytes, handle)?;
    }
    if has(0x04) {
        // How notes ended, which the show has no channels for.
        bytes.list()?.for_each(drop);
    }
    if has(0x02) {
        handle(Entry::Aftertouch(bytes.byte()? & 0x7F));
    }
    if has(0x01) {
        for (note, pressure) in bytes.list()? {
            handle(Entry::Pressure { note, pressure: pressure & 0x7F });
        }
    }
    Ok(())
}

fn read_controller<'a>(number: u8, value: u8, handle: &mut dyn FnMut(Entry<'a>)) {
    let value = match value {
        0..=0x7F => value,
        // How often a switch changed: an odd number is on.
        0x80..=0xBF => (value & 1) * 127,
        // How often the controller was sent, for those whose value has no meaning.
        _ if number >= 120 => 0,
        _ => return,
    };
    handle(Entry::Controller { number, value });
}

fn read_parameters<'a>(
    header: u16,
    bytes: &mut Bytes<'a>,
    handle: &mut dyn FnMut(Entry<'a>),
) -> Result<(), Invalid> {
    let has = |bit: u16| header & bit << 8 != 0;
    let pending = match has(0x40) {
        true => {
            let byte = bytes.byte()?;
            Some((byte & 0x80 == 0, byte & 0x7F))
        }
        false => None,
    };
    let (all_registered, all_others) = (has(0x10), has(0x08));
    let is_short = has(0x04) && (all_registered || all_others);
    while !bytes.0.is_empty() {
        let low = bytes.byte()? & 0x7F;
        let (registered, high) = match is_short {
            true => (all_registered, 0),
            false => {
                let byte = bytes.byte()?;
                (byte & 0x80 == 0, byte & 0x7F)
            }
        };
        let flags = bytes.byte()?;
        let half = |bytes: &mut Bytes<'a>, bit: u8| match flags & bit {
            0 => Ok(None),
            _ => bytes.byte().map(|byte| Some(byte & 0x7F)),
        };
        let (entry_high, entry_low) = (half(bytes, 0x80)?, half(bytes, 0x40)?);
        // Increments and counts are stepped over.
        bytes.take(usize::from(flags >> 4 & 2))?;
        bytes.take(usize::from(flags >> 3 & 2))?;
        bytes.take(usize::from(flags >> 3 & 1))?;
        let number = u16::from(high) << 7 | u16::from(low);
        handle(Entry::Parameter { registered, number, high: entry_high, low: entry_low });
    }
    handle(Entry::Selection { pending, is_selected: has(0x20) });
    Ok(())
}

fn read_notes<'a>(bytes: &mut Bytes<'a>, handle: &mut dyn FnMut(Entry<'a>)) -> Result<(), Invalid> {
    let count = usize::from(bytes.byte()? & 0x7F);
    let range = bytes.byte()?;
    let (low, high) = (usize::from(range >> 4), usize::from(range & 0xF));
    let count = if count == 127 && range == 0xF0 { 128 } else { count };
    let started = bytes.take(count * 2)?;
    let ended = if low <= high { bytes.take(high - low + 1)? } else { &[] };
    for (octet, bits) in (low..).zip(ended) {
        for bit in (0..8).filter(|bit| bits & 0x80 >> bit != 0) {
            handle(Entry::NoteOff((octet * 8 + bit) as u8));
        }
    }
    for entry in started.chunks_exact(2) {
        let is_to_play = entry[1] & 0x80 != 0;
        handle(Entry::NoteOn { note: entry[0] & 0x7F, velocity: entry[1] & 0x7F, is_to_play });
    }
    Ok(())
}

fn read_system<'a>(
    bytes: &mut Bytes<'a>,
    handle: &mut dyn FnMut(Entry<'a>),
) -> Result<(), Invalid> {
    let (header, mut part) = bytes.part()?;
    let has = |bit: u16| header & bit << 8 != 0;
    if has(0x40) {
        read_simple(&mut part, handle)?;
    }
    if has(0x20) {
        // Active sensing, which nothing depends on.
        part.byte()?;
    }
    if has(0x10) {
        let flags = part.byte()?;
        let low = if flags & 0x10 != 0 { part.word()? } else { 0 };
        if flags & 0x08 != 0 {
            part.take(3)?;
        }
        let position = u32::from(flags & 7) << 16 | u32::from(low);
        handle(Entry::Sequencer { is_running: flags & 0x40 != 0, position });
    }
    if has(0x08) {
        // Time code: the next quarter frames state it again.
        let flags = part.byte()?;
        part.take(usize::from(flags >> 4 & 4))?;
        part.take(usize::from(flags >> 3 & 4))?;
    }
    if has(0x04) {
        while !part.0.is_empty() {
            read_exclusive(&mut part, handle)?;
        }
    }
    Ok(())
}

/// Simple commands of the system: only the song has a value.
fn read_simple<'a>(
    bytes: &mut Bytes<'a>,
    handle: &mut dyn FnMut(Entry<'a>),
) -> Result<(), Invalid> {
    let flags = bytes.byte()?;
    bytes.take(usize::from(flags >> 6 & 1) + usize::from(flags >> 5 & 1))?;
    if flags & 0x10 != 0 {
        handle(Entry::Song(bytes.byte()? & 0x7F));
    }
    for _ in 0..(flags >> 3 & 1) + (flags >> 2 & 1) {
        bytes.part()?;
    }
    for _ in 0..(flags >> 1 & 1) + (flags & 1) {
        let header = bytes.byte()?;
        bytes.take(usize::from(header & 0x1F).checked_sub(1).ok_or(Invalid)?)?;
    }
    Ok(())
}

fn read_exclusive<'a>(
    bytes: &mut Bytes<'a>,
    handle: &mut dyn FnMut(Entry<'a>),
) -> Result<(), Invalid> {
    let flags = bytes.byte()?;
    let has = |bit: u8| flags & bit != 0;
    let count = if has(0x40) { Some(bytes.byte()?) } else { None };
    if has(0x20) {
        bytes.byte()?;
    }
    if has(0x10) {
        // The position of the first byte that is coded.
        let last = bytes.0.iter().take(4).position(|byte| byte & 0x80 == 0).ok_or(Invalid)?;
        bytes.take(last + 1)?;
    }
    let data = match has(0x08) {
        true => {
            let end = bytes.0.iter().position(|byte| byte & 0x80 != 0).ok_or(Invalid)?;
            Some(bytes.take(end + 1)?)
        }
        false => None,
    };
    // Only a message that is there from its beginning to its end can be repeated.
    if let (Some(count), false, 3) = (count, has(0x10), flags & 3) {
        handle(Entry::Exclusive { count, data });
    }
    Ok(())
}
