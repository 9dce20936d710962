//! System exclusive messages: patterns of them, and their assembly from parts.

use super::values::{from_fourteen_bits, from_seven_bits, to_fourteen_bits, to_seven_bits};

/// How long a pattern may be, in bytes.
pub(super) const PATTERN_LIMIT: usize = 256;

/// How long a message may be that is put together from parts, in bytes.
pub(super) const MESSAGE_LIMIT: usize = 64 * 1024;

/// One byte of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Byte(u8),
    /// Any byte; 0 when sent.
    Any,
    /// The value, 7 bits.
    Value,
    /// The upper and the lower 7 bits of the value.
    High,
    Low,
}

/// A message with a place for a value: `F0 7D vv F7`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pattern {
    places: Vec<Place>,
}

impl Pattern {
    /// Reads bytes in hexadecimal and the words `vv`, `hh`, `ll` and `xx`, with blanks or `-`
    /// between them.
    pub(super) fn parse(text: &str) -> Result<Pattern, String> {
        let mut places = Vec::new();
        for word in text.split([' ', '-', '\t']).filter(|word| !word.is_empty()) {
            places.push(match word {
                "xx" => Place::Any,
                "vv" => Place::Value,
                "hh" => Place::High,
                "ll" => Place::Low,
                _ => match u8::from_str_radix(word, 16) {
                    Ok(byte) if word.len() <= 2 => Place::Byte(byte),
                    _ => {
                        return Err(format!(
                            "`{word}` is no byte in hexadecimal, vv, hh, ll or xx"
                        ));
                    }
                },
            });
            if places.len() > PATTERN_LIMIT {
                return Err(format!("more than {PATTERN_LIMIT} bytes"));
            }
        }
        let [Place::Byte(0xF0), body @ .., Place::Byte(0xF7)] = places.as_slice() else {
            return Err("a system exclusive message begins with F0 and ends with F7".into());
        };
        if let Some(Place::Byte(byte)) =
            body.iter().find(|place| matches!(place, Place::Byte(128..)))
        {
            return Err(format!("{byte:02X} is no data byte: expected 00 to 7F"));
        }
        let count = |wanted| body.iter().filter(|place| **place == wanted).count();
        let wide = (count(Place::High), count(Place::Low));
        match (count(Place::Value), wide) {
            (0 | 1, (0, 0)) | (0, (1, 1)) => Ok(Pattern { places }),
            _ => Err("it has one value at most: `vv`, or `hh` and `ll`".into()),
        }
    }

    /// The value of a message that fits (1 where the pattern has no place for one).
    pub(super) fn value(&self, message: &[u8]) -> Option<f64> {
        if message.len() != self.places.len() {
            return None;
        }
        let (mut value, mut wide) = (1.0, None);
        for (place, &byte) in self.places.iter().zip(message) {
            match place {
                Place::Byte(expected) if *expected != byte => return None,
                Place::Byte(_) | Place::Any => {}
                Place::Value => value = from_seven_bits(byte.into()),
                Place::High => *wide.get_or_insert(0) |= i32::from(byte) << 7,
                Place::Low => *wide.get_or_insert(0) |= i32::from(byte),
            }
        }
        Some(wide.map_or(value, from_fourteen_bits))
    }

    /// Whether messages carry the value; else they are sent for every value above 0.
    pub(super) fn has_value(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Value | Place::High))
    }

    /// Puts the message for a value into `message`.
    pub(super) fn message(&self, value: f64, message: &mut Vec<u8>) {
        let wide = to_fourteen_bits(value);
        message.clear();
        message.extend(self.places.iter().map(|place| match place {
            Place::Byte(byte) => *byte,
            Place::Any => 0,
            Place::Value => to_seven_bits(value),
            Place::High => (wide >> 7) as u8,
            Place::Low => (wide & 0x7F) as u8,
        }));
    }
}

/// How a mapping writes a message; of a longer one than it can, the beginning.
pub(super) fn specification(message: &[u8]) -> String {
    let shown = message.iter().take(PATTERN_LIMIT);
    let bytes: Vec<String> = shown.map(|byte| format!("{byte:02X}")).collect();
    let rest = if message.len() > PATTERN_LIMIT { " …" } else { "" };
    format!("sysex.{}{rest}", bytes.join(" "))
}

/// Puts messages together that arrive in parts.
#[derive(Default)]
pub(super) struct Assembler {
    message: Vec<u8>,
}

impl Assembler {
    /// Takes a part; true when [`Assembler::message`] is complete with it.
    pub(super) fn add(&mut self, part: &[u8]) -> bool {
        if part.first() == Some(&0xF0) {
            self.message.clear();
        } else if self.message.is_empty() {
            return false;
        }
        if self.message.len() + part.len() > MESSAGE_LIMIT {
            self.message.clear();
            return false;
        }
        self.message.extend_from_slice(part);
        self.message.last() == Some(&0xF7)
    }

    /// The message so far.
    pub(super) fn message(&self) -> &[u8] {
        &self.message
    }

    /// Forgets it.
    pub(super) fn clear(&mut self) {
        self.message.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_and_make_messages() {
        let pattern = Pattern::parse("F0-7D xx hh ll F7").expect("a pattern");
        let mut message = Vec::new();
        pattern.message(1.0, &mut message);
        assert_eq!(message, [0xF0, 0x7D, 0, 0x7F, 0x7F, 0xF7]);
        assert_eq!(pattern.value(&[0xF0, 0x7D, 9, 0, 1, 0xF7]), Some(1.0 / 16_383.0));
        assert_eq!(pattern.value(&[0xF0, 0x7E, 9, 0, 1, 0xF7]), None);
        assert_eq!(pattern.value(&[0xF0, 0x7D, 9, 0, 1]), None);
        let fixed = Pattern::parse("f0 7e 7f 09 01 f7").expect("a pattern");
        assert!(!fixed.has_value());
        assert_eq!(fixed.value(&[0xF0, 0x7E, 0x7F, 9, 1, 0xF7]), Some(1.0));
    }

    #[test]
    fn what_is_no_message_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "begins with F0"),
            ("F0 01", "begins with F0"),
            ("F0 80 F7", "80 is no data byte"),
            ("F0 vv vv F7", "one value"),
            ("F0 hh F7", "one value"),
            ("F0 zz F7", "`zz`"),
            ("F0 123 F7", "`123`"),
        ] {
            let error = Pattern::parse(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn parts_become_a_message_and_long_ones_are_given_up() {
        let mut assembler = Assembler::default();
        assert!(!assembler.add(&[1, 2]), "a part without a beginning");
        assert!(!assembler.add(&[0xF0, 1]));
        assert!(assembler.add(&[2, 0xF7]));
        assert_eq!(assembler.message(), [0xF0, 1, 2, 0xF7]);
        assert!(!assembler.add(&[0xF0]));
        for _ in 0..100 {
            assert!(!assembler.add(&[0; 1_000]));
        }
        assert!(assembler.message().len() <= MESSAGE_LIMIT);
    }

    proptest! {
        #[test]
        fn a_message_has_the_value_it_was_made_of(number in 0_i32..16_384) {
            let pattern = Pattern::parse("F0 7D hh ll F7").expect("a pattern");
            let mut message = Vec::new();
            pattern.message(from_fourteen_bits(number), &mut message);
            prop_assert_eq!(pattern.value(&message), Some(from_fourteen_bits(number)));
        }

        #[test]
        fn any_text_is_a_pattern_or_an_error(text in "[F0-7vhlx 9a-f-]{0,40}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                let mut message = Vec::new();
                pattern.message(0.5, &mut message);
                prop_assert!(pattern.value(&message).is_some());
            }
        }
    }
}
