//! Channels of a universe: `1` to `512`, and `1+2` for 16 bits over two of them.

use consort_router::{ChannelError, Usage};

/// How many slots a universe has.
pub(crate) const SLOTS: usize = 512;

const UNMAPPED: u32 = u32::MAX;

/// What a byte stands for: `BYTE_VALUES[k] == k / 255`.
const BYTE_VALUES: [f64; 256] = {
    let mut values = [0.0; 256];
    let mut byte = 0;
    while byte < 256 {
        values[byte] = byte as f64 / 255.0;
        byte += 1;
    }
    values
};

/// One channel: a slot, or the high and the low byte's slot. Slots are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) high: u16,
    pub(crate) low: Option<u16>,
}

/// The mapped channels of one universe.
pub(crate) struct Slots {
    places: Vec<Place>,
    /// The channel of each slot.
    by_slot: Box<[u32; SLOTS]>,
    has_wide: bool,
    pub(crate) is_source: bool,
    pub(crate) is_target: bool,
}

impl Default for Slots {
    fn default() -> Self {
        Slots {
            places: Vec::new(),
            by_slot: Box::new([UNMAPPED; SLOTS]),
            has_wide: false,
            is_source: false,
            is_target: false,
        }
    }
}

fn slot(text: &str) -> Option<u16> {
    let number = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u16>().ok())??;
    (1..=SLOTS as u16).contains(&number).then(|| number - 1)
}

impl Slots {
    /// Finds or makes a channel.
    pub(crate) fn channel(&mut self, text: &str, usage: Usage) -> Result<u32, ChannelError> {
        let no_channel = |part: &str, start: usize| {
            let message = format!("`{part}` is no channel: expected a number from 1 to {SLOTS}");
            ChannelError::new(message)
                .with_hint("write `7` for one channel, `7+8` for 16 bits (high byte first)")
                .with_range(start, start + part.len())
        };
        let place = match text.split_once('+') {
            None => Place { high: slot(text).ok_or_else(|| no_channel(text, 0))?, low: None },
            Some((high, low)) => {
                let place = Place {
                    high: slot(high).ok_or_else(|| no_channel(high, 0))?,
                    low: Some(slot(low).ok_or_else(|| no_channel(low, high.len() + 1))?),
                };
                if place.low == Some(place.high) {
                    return Err(ChannelError::new(
                        "a 16-bit channel needs two different channels for its bytes",
                    ));
                }
                place
            }
        };
        let number = self.find_or_make(place)?;
        match usage {
            Usage::Source => self.is_source = true,
            Usage::Target => self.is_target = true,
        }
        Ok(number)
    }

    fn find_or_make(&mut self, place: Place) -> Result<u32, ChannelError> {
        for slot in [Some(place.high), place.low].into_iter().flatten() {
            let taken = self.by_slot[usize::from(slot)];
            if taken == UNMAPPED {
                continue;
            }
            let other = self.places[taken as usize];
            if other == place {
                return Ok(taken);
            }
            let message = format!("channel {} is already mapped as `{}`", slot + 1, name(other));
            return Err(ChannelError::new(message)
                .with_hint("the parts of a 16-bit channel cannot be mapped on their own"));
        }
        let number = self.places.len() as u32;
        self.places.push(place);
        self.by_slot[usize::from(place.high)] = number;
        if let Some(low) = place.low {
            self.by_slot[usize::from(low)] = number;
            self.has_wide = true;
        }
        Ok(number)
    }

    /// Where a channel stands.
    #[inline]
    pub(crate) fn place(&self, channel: u32) -> Place {
        self.places[channel as usize]
    }

    /// Gives the value of every channel that differs between two frames to `emit`, in the
    /// order of slots. With no old frame, all of the new one.
    pub(crate) fn changes(
        &self,
        old: Option<&[u8]>,
        new: &[u8],
        mut emit: impl FnMut(Result<u32, Place>, f64),
    ) {
        let differs = |slot: usize| match old {
            Some(old) => old.get(slot) != new.get(slot),
            None => slot < new.len(),
        };
        for (slot, &byte) in new.iter().enumerate().take(SLOTS) {
            if !differs(slot) {
                continue;
            }
            let channel = self.by_slot[slot];
            if channel == UNMAPPED {
                let place = Place { high: slot as u16, low: None };
                emit(Err(place), BYTE_VALUES[usize::from(byte)]);
                continue;
            }
            if !self.has_wide {
                emit(Ok(channel), BYTE_VALUES[usize::from(byte)]);
                continue;
            }
            let place = self.places[channel as usize];
            let Some(low) = place.low else {
                emit(Ok(channel), BYTE_VALUES[usize::from(byte)]);
                continue;
            };
            let (high, low) = (usize::from(place.high), usize::from(low));
            // Both bytes changed: once, at the first of them.
            let other = if slot == high { low } else { high };
            if other < slot && differs(other) {
                continue;
            }
            let part = |slot: usize| u16::from(new.get(slot).copied().unwrap_or(0));
            emit(Ok(channel), f64::from(part(high) << 8 | part(low)) / 65_535.0);
        }
    }
}

/// A channel as configurations write it.
pub(crate) fn name(place: Place) -> String {
    match place.low {
        None => (place.high + 1).to_string(),
        Some(low) => format!("{}+{}", place.high + 1, low + 1),
    }
}

/// A value as 8 bits.
#[inline]
pub(crate) fn to_byte(value: f64) -> u8 {
    // Saturates, and NaN is 0; adding a half rounds what is not negative.
    (value * 255.0 + 0.5) as u8
}

/// A value as 16 bits.
#[inline]
pub(crate) fn to_word(value: f64) -> u16 {
    (value * 65_535.0 + 0.5) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_survives_the_way_there_and_back() {
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
    fn channels_are_found_again_and_parts_refused() {
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
    fn changes_name_each_channel_once() {
        let mut slots = Slots::default();
        for text in ["1", "2+4", "6+5"] {
            slots.channel(text, Usage::Source).expect(text);
        }
        let changes = |old: Option<&[u8]>, new: &[u8]| {
            let mut list = Vec::new();
            slots.changes(old, new, |channel, value| {
                list.push((channel.map_err(|place| place.high), (value * 65_535.0).round()));
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
        // A longer frame than before: the slots it adds are changes.
        assert_eq!(changes(Some(&old[..1]), &[0, 1]), [(Ok(1), 256.0)]);
    }
}
