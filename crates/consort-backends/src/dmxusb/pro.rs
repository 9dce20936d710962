//! The messages of the Enttec DMX USB Pro and compatible interfaces, according to the manufacturer's
//! "DMX USB Pro Widget API Specification 1.44". No I/O.
//!
//! A message is `7E LABEL LENGTH-LSB LENGTH-MSB DATA… E7`.

use crate::dmx::SLOTS;

/// The first byte of a message.
const START: u8 = 0x7E;

/// The last byte of a message.
const END: u8 = 0xE7;

/// The most bytes of data of a message.
const MAX_DATA: usize = 600;

/// The labels that are used here.
pub(super) mod label {
    /// Parameters of the interface: its firmware, break time, mark time and frame rate.
    pub(in super::super) const PARAMETERS: u8 = 3;
    /// A received frame.
    pub(in super::super) const RECEIVED: u8 = 5;
    /// A frame to send.
    pub(in super::super) const SEND: u8 = 6;
    /// Whether every received frame is reported (0) or only changes are (1).
    pub(in super::super) const RECEIVE_MODE: u8 = 8;
    /// Changes of a received frame.
    pub(in super::super) const CHANGES: u8 = 9;
    /// The serial number.
    pub(in super::super) const SERIAL: u8 = 10;
    /// Sets break time, mark time and frame rate.
    pub(in super::super) const SET_PARAMETERS: u8 = 4;
}

/// Appends a message.
pub(super) fn encode(label: u8, data: &[u8], bytes: &mut Vec<u8>) {
    debug_assert!(data.len() <= MAX_DATA);
    bytes.extend_from_slice(&[START, label]);
    bytes.extend_from_slice(&(data.len() as u16).to_le_bytes());
    bytes.extend_from_slice(data);
    bytes.push(END);
}

/// Appends a frame of 512 slots to send.
pub(super) fn encode_frame(slots: &[u8; SLOTS], bytes: &mut Vec<u8>) {
    let mut data = [0; SLOTS + 1];
    data[1..].copy_from_slice(slots); // behind the start code 0
    encode(label::SEND, &data, bytes);
}

/// The unit of break and mark times: 10.67 µs.
const TIME_UNIT_NANOSECONDS: u64 = 10_667;

/// The data of [`label::SET_PARAMETERS`]; times are rounded up to the interface's unit.
pub(super) fn parameters(break_micros: u64, mark_micros: u64, rate: u8) -> [u8; 5] {
    let units = |micros: u64, least: u64| {
        let units = (micros * 1_000).div_ceil(TIME_UNIT_NANOSECONDS);
        units.clamp(least, 127) as u8
    };
    // The interface sends at most 40 frames per second by its own clock; 0 is as fast as possible.
    let rate = if rate > 40 { 0 } else { rate };
    [0, 0, units(break_micros, 9), units(mark_micros, 1), rate]
}

/// What an interface has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incoming<'a> {
    /// A received frame with the start code 0: the values from slot 1 on. `has_error`: the
    /// interface has lost a part of it or another frame.
    Frame { slots: &'a [u8], has_error: bool },
    /// Changes of the received frame: the first slot, counted from 0 for the start code; which of
    /// the 40 slots from there on have changed; and their values.
    Changes { first: usize, changed: u64, values: &'a [u8] },
    /// The version of the firmware: major and minor.
    Firmware(u8, u8),
    /// The serial number, whose decimal digits are the hexadecimal ones of the number.
    Serial(u32),
    /// A message or a start code that is not used here.
    Other,
}

/// Decodes a message. `None` if its data are too short or contradict themselves.
pub(super) fn decode(label: u8, data: &[u8]) -> Option<Incoming<'_>> {
    Some(match label {
        label::PARAMETERS => {
            let (minor, major) = (*data.first()?, *data.get(1)?);
            Incoming::Firmware(major, minor)
        }
        label::SERIAL => Incoming::Serial(u32::from_le_bytes(data.get(..4)?.try_into().ok()?)),
        label::RECEIVED => match data {
            [status, 0, slots @ ..] if slots.len() <= SLOTS => {
                Incoming::Frame { slots, has_error: status & 3 != 0 }
            }
            [_, 0, ..] | [] => return None,
            _ => Incoming::Other, // a status alone, or another start code
        },
        label::CHANGES => {
            let [first, bits @ ..] = data else { return None };
            let (bits, values) = bits.split_first_chunk::<5>()?;
            let [b0, b1, b2, b3, b4] = *bits;
            let changed = u64::from_le_bytes([b0, b1, b2, b3, b4, 0, 0, 0]);
            let first = usize::from(*first) * 8;
            let last = (64 - changed.leading_zeros() as usize).saturating_sub(1);
            let fits = changed == 0 || first + last <= SLOTS;
            if !fits || values.len() < changed.count_ones() as usize {
                return None;
            }
            Incoming::Changes { first, changed, values }
        }
        _ => Incoming::Other,
    })
}

/// The received frame, to which changes are applied.
#[derive(Clone, Debug)]
pub(super) struct ReceivedFrame {
    slots: [u8; SLOTS],
    length: usize,
}

impl Default for ReceivedFrame {
    fn default() -> Self {
        ReceivedFrame { slots: [0; SLOTS], length: 0 }
    }
}

impl ReceivedFrame {
    /// The values from slot 1 on, as far as any have been received.
    pub(super) fn slots(&self) -> &[u8] {
        &self.slots[..self.length]
    }

    /// Takes a frame, which may be shorter than the last one.
    pub(super) fn set(&mut self, slots: &[u8]) {
        self.slots[..slots.len()].copy_from_slice(slots);
        self.length = self.length.max(slots.len());
    }

    /// Takes decoded changes.
    pub(super) fn change(&mut self, first: usize, changed: u64, values: &[u8]) {
        let numbers = (0..40).filter(|bit| changed >> bit & 1 == 1).map(|bit| first + bit);
        for (number, value) in numbers.zip(values) {
            // Number 0 is the start code.
            if let Some(slot) = number.checked_sub(1)
                && let Some(place) = self.slots.get_mut(slot)
            {
                *place = *value;
                self.length = self.length.max(slot + 1);
            }
        }
    }
}

/// Finds messages in the bytes that an interface sends.
#[derive(Default)]
pub(super) struct Decoder {
    bytes: Vec<u8>,
}

/// The result of [`Decoder::next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A message: its label and data.
    Message(u8, &'a [u8]),
    /// This many bytes belong to no message.
    Garbage(usize),
}

impl Decoder {
    /// Takes bytes. Call [`Decoder::next`] until it returns nothing before the next call; then at
    /// most one incomplete message is kept.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next message or the bytes before it, and passes it to `take`. False if the bytes
    /// contain no complete message.
    pub(super) fn next(&mut self, take: impl FnOnce(Found<'_>)) -> bool {
        let Some(start) = self.bytes.iter().position(|byte| *byte == START) else {
            return self.skip(self.bytes.len(), take);
        };
        if start > 0 {
            return self.skip(start, take);
        }
        let Some(header) = self.bytes.first_chunk::<4>() else { return false };
        let [_, label, low, high] = *header;
        let length = usize::from(u16::from_le_bytes([low, high]));
        if length > MAX_DATA {
            return self.skip(1, take); // a data byte, not the start of a message
        }
        let end = 4 + length;
        match self.bytes.get(end) {
            None => false,
            Some(&END) => {
                take(Found::Message(label, &self.bytes[4..end]));
                self.bytes.drain(..=end);
                true
            }
            Some(_) => self.skip(1, take),
        }
    }

    fn skip(&mut self, count: usize, take: impl FnOnce(Found<'_>)) -> bool {
        if count == 0 {
            return false;
        }
        take(Found::Garbage(count));
        self.bytes.drain(..count);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn messages(decoder: &mut Decoder) -> (Vec<(u8, Vec<u8>)>, usize) {
        let (mut found, mut garbage) = (Vec::new(), 0);
        while decoder.next(|part| match part {
            Found::Message(label, data) => found.push((label, data.to_vec())),
            Found::Garbage(count) => garbage += count,
        }) {}
        (found, garbage)
    }

    #[test]
    fn messages_have_the_bytes_of_the_specification() {
        let mut bytes = Vec::new();
        encode(label::PARAMETERS, &[0, 0], &mut bytes);
        encode(label::SERIAL, &[], &mut bytes);
        encode(label::RECEIVE_MODE, &[1], &mut bytes);
        assert_eq!(
            bytes,
            [
                0x7E, 3, 2, 0, 0, 0, 0xE7, //
                0x7E, 10, 0, 0, 0xE7, //
                0x7E, 8, 1, 0, 1, 0xE7,
            ]
        );
        bytes.clear();
        let mut slots = [0; SLOTS];
        (slots[0], slots[511]) = (11, 22);
        encode_frame(&slots, &mut bytes);
        assert_eq!(bytes.len(), 518);
        assert_eq!(bytes[..6], [0x7E, 6, 0x01, 0x02, 0, 11]);
        assert_eq!(bytes[516..], [22, 0xE7]);
    }

    #[test]
    fn times_are_rounded_up_to_units_of_the_interface() {
        assert_eq!(parameters(176, 16, 44), [0, 0, 17, 2, 0]);
        assert_eq!(parameters(92, 12, 40), [0, 0, 9, 2, 40]);
        assert_eq!(parameters(1, 1, 1), [0, 0, 9, 1, 1]);
        assert_eq!(parameters(1_000_000, 1_000_000, 30), [0, 0, 127, 127, 30]);
    }

    #[test]
    fn answers_and_frames_are_decoded() {
        for (label, data, expected) in [
            (3, &[44, 1, 9, 1, 40][..], Some(Incoming::Firmware(1, 44))),
            (3, &[44], None),
            (10, &[0x23, 0x01, 0x10, 0x02], Some(Incoming::Serial(0x0210_0123))),
            (10, &[1, 2, 3], None),
            (5, &[0, 0, 7, 8], Some(Incoming::Frame { slots: &[7, 8], has_error: false })),
            (5, &[2, 0, 7], Some(Incoming::Frame { slots: &[7], has_error: true })),
            (5, &[0, 0xCC, 1], Some(Incoming::Other)),
            (5, &[1], Some(Incoming::Other)),
            (5, &[], None),
            (9, &[1, 0x03, 0, 0, 0, 0, 5, 6], {
                Some(Incoming::Changes { first: 8, changed: 3, values: &[5, 6] })
            }),
            (9, &[1, 0x03, 0, 0, 0, 0, 5], None),
            (9, &[1, 0x03, 0, 0], None),
            (9, &[64, 0x01, 0, 0, 0, 0, 5], {
                Some(Incoming::Changes { first: 512, changed: 1, values: &[5] })
            }),
            (9, &[64, 0x02, 0, 0, 0, 0, 5], None),
            (77, &[], Some(Incoming::Other)),
        ] {
            assert_eq!(decode(label, data), expected, "{label} {data:?}");
        }
        let too_long = [0; 515];
        assert_eq!(decode(5, &too_long), None);
    }

    #[test]
    fn changes_are_applied_to_the_frame() {
        let mut frame = ReceivedFrame::default();
        frame.change(0, 0b110, &[10, 20]);
        assert_eq!(frame.slots(), [10, 20]);
        frame.change(8, 1, &[80]);
        assert_eq!(frame.slots(), [10, 20, 0, 0, 0, 0, 0, 80]);
        frame.change(0, 1, &[0xCC]);
        assert_eq!(frame.slots()[0], 10, "number 0 is the start code");
        frame.set(&[1]);
        assert_eq!(frame.slots(), [1, 20, 0, 0, 0, 0, 0, 80]);
        frame.change(512, 1, &[99]);
        assert_eq!((frame.slots().len(), frame.slots()[511]), (512, 99));
    }

    #[test]
    fn messages_are_found_between_garbage() {
        let mut decoder = Decoder::default();
        decoder.push(&[1, 2, 0x7E, 10, 4, 0, 1, 2, 3]);
        assert_eq!(messages(&mut decoder), (vec![], 2));
        decoder.push(&[4, 0xE7, 0x7E, 3, 0, 0, 0, 0x7E, 8, 0, 0, 0xE7]);
        let (found, garbage) = messages(&mut decoder);
        assert_eq!(found, [(10, vec![1, 2, 3, 4]), (8, vec![])]);
        assert_eq!(garbage, 5, "a message without its end");
        decoder.push(&[0x7E, 5, 0xFF, 0xFF, 0x7E, 10, 0, 0, 0xE7]);
        assert_eq!(messages(&mut decoder), (vec![(10, vec![])], 4), "a length that is impossible");
    }

    proptest! {
        #[test]
        fn messages_survive_any_division_of_the_bytes(
            list in proptest::collection::vec(
                (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..=600)),
                0..6,
            ),
            size in 1_usize..100,
        ) {
            let mut bytes = Vec::new();
            list.iter().for_each(|(label, data)| encode(*label, data, &mut bytes));
            let mut decoder = Decoder::default();
            let mut all = Vec::new();
            for part in bytes.chunks(size) {
                decoder.push(part);
                let (found, garbage) = messages(&mut decoder);
                prop_assert_eq!(garbage, 0);
                all.extend(found);
            }
            prop_assert_eq!(all, list);
            prop_assert!(decoder.bytes.is_empty());
        }
    }
}
