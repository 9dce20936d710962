//! System exclusive messages: patterns in channel names, and assembly from parts.

use std::fmt::Write;

use consort_router::Resolution;

use super::values::{from_fourteen_bits, from_seven_bits, to_fourteen_bits, to_seven_bits};

/// The longest pattern, in bytes.
pub(crate) const MAX_PATTERN_BYTES: usize = 256;

/// The longest message that is assembled from parts, in bytes.
pub(crate) const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// One byte of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum PatternByte {
    /// This byte.
    Byte(u8),
    /// Any byte; 0 when sent.
    Any,
    /// The value, 7 bits.
    Value,
    /// The upper 7 bits of the value.
    High,
    /// The lower 7 bits of the value.
    Low,
}

/// A message with at most one value in it: `F0 7D vv F7`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pattern {
    bytes: Vec<PatternByte>,
}

impl Pattern {
    /// Reads bytes in hexadecimal and the words `vv`, `hh`, `ll` and `xx`, separated by blanks or
    /// `-`. The error is a message.
    pub(crate) fn parse(text: &str) -> Result<Pattern, String> {
        let mut bytes = Vec::new();
        for word in text.split([' ', '-', '\t']).filter(|word| !word.is_empty()) {
            bytes.push(match word {
                "xx" => PatternByte::Any,
                "vv" => PatternByte::Value,
                "hh" => PatternByte::High,
                "ll" => PatternByte::Low,
                _ => match u8::from_str_radix(word, 16) {
                    Ok(byte) if word.len() <= 2 => PatternByte::Byte(byte),
                    _ => {
                        return Err(format!(
                            "expected a byte in hexadecimal, vv, hh, ll or xx, not `{word}`"
                        ));
                    }
                },
            });
            if bytes.len() > MAX_PATTERN_BYTES {
                return Err(format!("expected at most {MAX_PATTERN_BYTES} bytes"));
            }
        }
        let [PatternByte::Byte(0xF0), body @ .., PatternByte::Byte(0xF7)] = bytes.as_slice() else {
            return Err("a system exclusive message must begin with F0 and end with F7".into());
        };
        if let Some(PatternByte::Byte(byte)) =
            body.iter().find(|byte| matches!(byte, PatternByte::Byte(128..)))
        {
            return Err(format!("invalid data byte {byte:02X}: expected 00 to 7F"));
        }
        let count = |wanted| body.iter().filter(|byte| **byte == wanted).count();
        let wide = (count(PatternByte::High), count(PatternByte::Low));
        match (count(PatternByte::Value), wide) {
            (0 | 1, (0, 0)) | (0, (1, 1)) => Ok(Pattern { bytes }),
            _ => Err("expected at most one value: `vv`, or `hh` and `ll`".into()),
        }
    }

    /// The value of a message, if it matches; 1 if the pattern has no value.
    pub(crate) fn value(&self, message: &[u8]) -> Option<f64> {
        if message.len() != self.bytes.len() {
            return None;
        }
        let (mut value, mut wide) = (1.0, None);
        for (expected, &byte) in self.bytes.iter().zip(message) {
            match expected {
                PatternByte::Byte(fixed) if *fixed != byte => return None,
                PatternByte::Byte(_) | PatternByte::Any => {}
                PatternByte::Value => value = from_seven_bits(byte.into()),
                PatternByte::High => *wide.get_or_insert(0) |= i32::from(byte) << 7,
                PatternByte::Low => *wide.get_or_insert(0) |= i32::from(byte),
            }
        }
        Some(wide.map_or(value, from_fourteen_bits))
    }

    /// Whether the message contains a value. Otherwise it is sent for every value above 0.
    pub(crate) fn has_value(&self) -> bool {
        self.bytes.iter().any(|byte| matches!(byte, PatternByte::Value | PatternByte::High))
    }

    /// How finely the message distinguishes values.
    pub(crate) fn resolution(&self) -> Resolution {
        if self.bytes.contains(&PatternByte::High) {
            Resolution::steps(16_384)
        } else if self.bytes.contains(&PatternByte::Value) {
            Resolution::steps(128)
        } else {
            Resolution::CONTINUOUS
        }
    }

    /// Writes the message for a value to `message`.
    pub(crate) fn message(&self, value: f64, message: &mut Vec<u8>) {
        let wide = to_fourteen_bits(value);
        message.clear();
        message.extend(self.bytes.iter().map(|byte| match byte {
            PatternByte::Byte(byte) => *byte,
            PatternByte::Any => 0,
            PatternByte::Value => to_seven_bits(value),
            PatternByte::High => (wide >> 7) as u8,
            PatternByte::Low => (wide & 0x7F) as u8,
        }));
    }
}

/// Appends the channel of a message in mappings; the beginning of a message that is too long for
/// one.
pub(crate) fn write_specification(message: &[u8], text: &mut String) {
    text.push_str("sysex.");
    for (index, byte) in message.iter().take(MAX_PATTERN_BYTES).enumerate() {
        let separator = if index == 0 { "" } else { " " };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}{byte:02X}");
    }
    if message.len() > MAX_PATTERN_BYTES {
        text.push_str(" …");
    }
}

/// Assembles messages that arrive in parts.
#[derive(Default)]
pub(crate) struct Assembler {
    message: Vec<u8>,
}

impl Assembler {
    /// Adds a part. True if [`Assembler::message`] is complete.
    pub(crate) fn add(&mut self, part: &[u8]) -> bool {
        if part.first() == Some(&0xF0) {
            self.message.clear();
        } else if self.message.is_empty() {
            return false;
        }
        if self.message.len() + part.len() > MAX_MESSAGE_BYTES {
            self.message.clear();
            return false;
        }
        self.message.extend_from_slice(part);
        self.message.last() == Some(&0xF7)
    }

    /// The message so far.
    pub(crate) fn message(&self) -> &[u8] {
        &self.message
    }

    /// Discards the message.
    pub(crate) fn clear(&mut self) {
        self.message.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_and_create_messages() {
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
    fn invalid_patterns_are_refused_with_the_reason() {
        for (text, reason) in [
            ("", "must begin with F0"),
            ("F0 01", "must begin with F0"),
            ("F0 80 F7", "invalid data byte 80"),
            ("F0 vv vv F7", "at most one value"),
            ("F0 hh F7", "at most one value"),
            ("F0 zz F7", "`zz`"),
            ("F0 123 F7", "`123`"),
        ] {
            let error = Pattern::parse(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn parts_become_a_message_and_long_messages_are_discarded() {
        let mut assembler = Assembler::default();
        assert!(!assembler.add(&[1, 2]), "a part without a beginning");
        assert!(!assembler.add(&[0xF0, 1]));
        assert!(assembler.add(&[2, 0xF7]));
        assert_eq!(assembler.message(), [0xF0, 1, 2, 0xF7]);
        assert!(!assembler.add(&[0xF0]));
        for _ in 0..100 {
            assert!(!assembler.add(&[0; 1_000]));
        }
        assert!(assembler.message().len() <= MAX_MESSAGE_BYTES);
    }

    proptest! {
        #[test]
        fn a_message_has_the_value_it_was_created_with(number in 0_i32..16_384) {
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
