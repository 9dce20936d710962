//! Channels of a universe: `1` to `512`, and `1+2` for 16 bits in two slots.

use std::num::NonZeroU64;
use std::ops::Range;

use consort_router::{ChannelError, Resolution, Usage};

/// The number of slots of a universe.
pub(crate) const SLOTS: usize = 512;

/// The channel of a slot that is not mapped.
const UNMAPPED: u32 = u32::MAX;

/// The value of each byte: `BYTE_VALUES[k] == k / 255`.
const BYTE_VALUES: [f64; 256] = {
    let mut values = [0.0; 256];
    let mut byte = 0;
    while byte < 256 {
        values[byte] = byte as f64 / 255.0;
        byte += 1;
    }
    values
};

/// The slots of one channel: one slot, or those of the high and the low byte. They are counted
/// from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChannelSlots {
    pub(crate) high: u16,
    pub(crate) low: Option<u16>,
}

/// The mapped channels of one universe.
pub(crate) struct Slots {
    channels: Vec<ChannelSlots>,
    /// The channel of each slot.
    by_slot: Box<[u32; SLOTS]>,
    /// Whether any channel has 16 bits.
    has_wide: bool,
    pub(crate) is_source: bool,
    pub(crate) is_target: bool,
}

impl Default for Slots {
    fn default() -> Self {
        Slots {
            channels: Vec::new(),
            by_slot: Box::new([UNMAPPED; SLOTS]),
            has_wide: false,
            is_source: false,
            is_target: false,
        }
    }
}

/// Parses the number of a slot, from 1 to 512.
fn parse_slot(text: &str) -> Option<u16> {
    let number =
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u16>().ok())??;
    (1..=SLOTS as u16).contains(&number).then(|| number - 1)
}

impl Slots {
    /// Finds or adds a channel.
    pub(crate) fn channel(&mut self, text: &str, usage: Usage) -> Result<u32, ChannelError> {
        let invalid_channel = |part: &str, start: usize| {
            let message = format!("invalid channel `{part}`: expected a number from 1 to {SLOTS}");
            ChannelError::new(message)
                .with_hint("write `7` for one channel, `7+8` for 16 bits (high byte first)")
                .with_range(start, start + part.len())
        };
        let slots = match text.split_once('+') {
            None => ChannelSlots {
                high: parse_slot(text).ok_or_else(|| invalid_channel(text, 0))?,
                low: None,
            },
            Some((high, low)) => {
                let slots = ChannelSlots {
                    high: parse_slot(high).ok_or_else(|| invalid_channel(high, 0))?,
                    low: Some(parse_slot(low).ok_or_else(|| invalid_channel(low, high.len() + 1))?),
                };
                if slots.low == Some(slots.high) {
                    return Err(ChannelError::new(
                        "a 16-bit channel needs two different channels for its bytes",
                    ));
                }
                slots
            }
        };
        let number = self.find_or_add(slots)?;
        match usage {
            Usage::Source => self.is_source = true,
            Usage::Target => self.is_target = true,
        }
        Ok(number)
    }

    /// The channel with these slots, which is added if none of them is mapped yet.
    fn find_or_add(&mut self, slots: ChannelSlots) -> Result<u32, ChannelError> {
        for slot in [Some(slots.high), slots.low].into_iter().flatten() {
            let channel = self.by_slot[usize::from(slot)];
            if channel == UNMAPPED {
                continue;
            }
            let other = self.channels[channel as usize];
            if other == slots {
                return Ok(channel);
            }
            let message = format!("channel {} is already mapped as `{}`", slot + 1, name(other));
            return Err(ChannelError::new(message)
                .with_hint("the two channels of a 16-bit channel cannot be mapped separately"));
        }
        let number = self.channels.len() as u32;
        self.channels.push(slots);
        self.by_slot[usize::from(slots.high)] = number;
        if let Some(low) = slots.low {
            self.by_slot[usize::from(low)] = number;
            self.has_wide = true;
        }
        Ok(number)
    }

    /// The slots of a channel.
    #[inline]
    pub(crate) fn slots_of(&self, channel: u32) -> ChannelSlots {
        self.channels[channel as usize]
    }

    /// The slot of a channel of 8 bits.
    pub(crate) fn narrow(&self, channel: u32) -> Option<u16> {
        let slots = self.channels.get(channel as usize)?;
        slots.low.is_none().then_some(slots.high)
    }

    /// How finely a channel distinguishes values.
    pub(crate) fn resolution(&self, channel: u32) -> Resolution {
        match self.channels.get(channel as usize).is_some_and(|slots| slots.low.is_some()) {
            true => Resolution::steps(1 << 16),
            false => Resolution::steps(1 << 8),
        }
    }

    /// How many channels there are.
    pub(crate) fn channel_count(&self) -> u32 {
        self.channels.len() as u32
    }

    /// The value of a channel in a frame. `None` if the frame is too short for it.
    pub(crate) fn value(&self, channel: u32, frame: &[u8]) -> Option<f64> {
        let slots = self.channels.get(channel as usize)?;
        let high = *frame.get(usize::from(slots.high))?;
        Some(match slots.low {
            None => BYTE_VALUES[usize::from(high)],
            Some(low) => {
                let low = *frame.get(usize::from(low))?;
                f64::from(u16::from_be_bytes([high, low])) / 65_535.0
            }
        })
    }

    /// Calls `emit` for every channel whose value differs between two frames at one of the slots of
    /// a range, in the order of slots. Slots that are not mapped are passed as `Err`, counted from 0. Without an old frame,
    /// all channels differ.
    pub(crate) fn changes(
        &self,
        old: Option<&[u8]>,
        new: &[u8],
        range: Range<usize>,
        mut emit: impl FnMut(Result<u32, u16>, f64),
    ) {
        let differs = |slot: usize| match old {
            Some(old) => old.get(slot) != new.get(slot),
            None => slot < new.len(),
        };
        let end = range.end.min(new.len()).min(SLOTS);
        for (slot, &byte) in new[..end].iter().enumerate().skip(range.start) {
            if !differs(slot) {
                continue;
            }
            let channel = self.by_slot[slot];
            if channel == UNMAPPED {
                emit(Err(slot as u16), BYTE_VALUES[usize::from(byte)]);
                continue;
            }
            if !self.has_wide {
                emit(Ok(channel), BYTE_VALUES[usize::from(byte)]);
                continue;
            }
            let slots = self.channels[channel as usize];
            let Some(low) = slots.low else {
                emit(Ok(channel), BYTE_VALUES[usize::from(byte)]);
                continue;
            };
            let (high, low) = (usize::from(slots.high), usize::from(low));
            // If both bytes have changed, the value is emitted once, at the lower slot.
            let other = if slot == high { low } else { high };
            if other < slot && differs(other) {
                continue;
            }
            let byte = |slot: usize| u16::from(new.get(slot).copied().unwrap_or(0));
            emit(Ok(channel), f64::from(byte(high) << 8 | byte(low)) / 65_535.0);
        }
    }
}

/// A set of slots.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SlotSet([u64; SLOTS / 64]);

impl SlotSet {
    #[inline]
    pub(crate) fn insert(&mut self, slot: u16) {
        self.0[usize::from(slot) / 64] |= 1 << (slot % 64);
    }

    /// How many slots the set has.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Removes and returns the first slot from `start` on; after the last one the search continues
    /// at the beginning.
    pub(crate) fn take_from(&mut self, start: u16) -> Option<u16> {
        let (word, bit) = (usize::from(start) / 64 % self.0.len(), start % 64);
        let first = self.0[word] & (u64::MAX << bit);
        let found = match NonZeroU64::new(first) {
            Some(bits) => Some((word, bits)),
            None => (1..=self.0.len())
                .map(|distance| (word + distance) % self.0.len())
                .find_map(|word| Some((word, NonZeroU64::new(self.0[word])?))),
        };
        let (word, bits) = found?;
        let bit = bits.trailing_zeros();
        self.0[word] &= !(1 << bit);
        Some((word * 64) as u16 + bit as u16)
    }
}

/// The name of a channel, as configurations write it.
fn name(slots: ChannelSlots) -> String {
    match slots.low {
        None => (slots.high + 1).to_string(),
        Some(low) => format!("{}+{}", slots.high + 1, low + 1),
    }
}

/// Converts a value to 8 bits.
#[inline]
pub(crate) fn to_byte(value: f64) -> u8 {
    // The conversion saturates and turns NaN into 0. Adding one half rounds, because values are
    // not negative.
    (value * 255.0 + 0.5) as u8
}

/// Converts a value to 16 bits.
#[inline]
pub(crate) fn to_word(value: f64) -> u16 {
    (value * 65_535.0 + 0.5) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_survives_a_round_trip() {
        for byte in 0..=255_u8 {
            let value = BYTE_VALUES[usize::from(byte)];
            assert_eq!(to_byte(value), byte);
            assert_eq!(to_byte(f64::from(value as f32)), byte);
        }
        for word in 0..=u16::MAX {
            let value = f64::from(word) / 65_535.0;
            assert_eq!(to_word(value), word);
            assert_eq!(to_word(f64::from(value as f32)), word);
        }
        assert_eq!((to_byte(-1.0), to_byte(2.0), to_byte(f64::NAN)), (0, 255, 0));
    }

    #[test]
    fn channels_are_found_again_and_their_parts_are_rejected() {
        let mut slots = Slots::default();
        assert_eq!(slots.channel("1", Usage::Source), Ok(0));
        assert_eq!(slots.channel("512", Usage::Source), Ok(1));
        assert_eq!(slots.channel("5+123", Usage::Source), Ok(2));
        assert_eq!(slots.channel("05+123", Usage::Target), Ok(2));
        assert_eq!(slots.channel("001", Usage::Target), Ok(0));
        for (text, words) in [
            ("0", "from 1 to 512"),
            ("513", "from 1 to 512"),
            ("65537", "from 1 to 512"),
            ("", "from 1 to 512"),
            ("-1", "from 1 to 512"),
            ("+1", "from 1 to 512"),
            ("1+2+3", "from 1 to 512"),
            ("7+513", "`513`"),
            ("8+8", "two different"),
            ("5", "already mapped as `5+123`"),
            ("123", "already mapped as `5+123`"),
            ("123+5", "already mapped as `5+123`"),
            ("1+2", "already mapped as `1`"),
        ] {
            let error = slots.channel(text, Usage::Source).expect_err(text);
            assert!(error.message.contains(words), "{text}: {error:?}");
        }
    }

    #[test]
    fn a_set_of_slots_is_taken_from_any_place_on() {
        let mut set = SlotSet::default();
        for slot in [0, 63, 64, 300, 511] {
            set.insert(slot);
        }
        assert_eq!(set.count(), 5);
        let mut start = 64;
        let order = std::iter::from_fn(|| {
            let slot = set.take_from(start)?;
            start = slot + 1;
            Some(slot)
        });
        assert_eq!(order.collect::<Vec<_>>(), [64, 300, 511, 0, 63]);
        set.insert(5);
        assert_eq!(set.take_from(512), Some(5));
        assert_eq!(set.take_from(5), None);
    }

    #[test]
    fn values_and_resolutions_of_single_channels() {
        let mut slots = Slots::default();
        slots.channel("1", Usage::Source).expect("a channel");
        slots.channel("3+2", Usage::Source).expect("a channel");
        assert_eq!(slots.value(0, &[51]), Some(0.2));
        assert_eq!(slots.value(1, &[0, 2, 1]), Some(258.0 / 65_535.0));
        assert_eq!((slots.value(1, &[0, 2]), slots.value(2, &[0; 512])), (None, None));
        assert_eq!(slots.resolution(0), Resolution::steps(256));
        assert_eq!(slots.resolution(1), Resolution::steps(65_536));
    }

    #[test]
    fn each_changed_channel_is_emitted_once() {
        let mut slots = Slots::default();
        for text in ["1", "2+4", "6+5"] {
            slots.channel(text, Usage::Source).expect(text);
        }
        let changes = |old: Option<&[u8]>, new: &[u8]| {
            let mut list = Vec::new();
            slots.changes(old, new, 0..SLOTS, |channel, value| {
                list.push((channel, (value * 65_535.0).round()));
            });
            list
        };
        let old = [0_u8; 6];
        assert_eq!(
            changes(None, &[255, 1, 0, 2, 3, 4]),
            [(Ok(0), 65_535.0), (Ok(1), 258.0), (Err(2), 0.0), (Ok(2), 1_027.0)]
        );
        assert_eq!(changes(Some(&old), &[0, 0, 0, 7, 0, 0]), [(Ok(1), 7.0)]);
        assert_eq!(changes(Some(&old), &[0, 1, 0, 1, 0, 0]), [(Ok(1), 257.0)]);
        assert_eq!(changes(Some(&old), &[0, 0, 0, 0, 0, 1]), [(Ok(2), 256.0)]);
        assert_eq!(changes(Some(&old), &[0, 0, 0, 0, 9, 0]), [(Ok(2), 9.0)]);
        assert_eq!(changes(Some(&old), &old), []);
        // If a frame is longer than the old one, the added slots are changes.
        assert_eq!(changes(Some(&old[..1]), &[0, 1]), [(Ok(1), 256.0)]);
    }
}
