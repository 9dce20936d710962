//! Between values and the texts that messages contain.

use std::fmt::Write;

use consort_router::Resolution;

/// The most decimals.
pub(super) const MAX_DECIMALS: u8 = 15;

/// One line `discrete`: values in a range have a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    low: f64,
    high: f64,
    /// The value of the text when it arrives.
    value: f64,
    text: String,
}

/// How the values of a channel are written and read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Format {
    /// A number from 0 to 1.
    Plain,
    /// A number in a range; the lower end may be greater than the upper end.
    Range { low: f64, high: f64, decimals: Option<u8> },
    /// One of several texts.
    Discrete(Vec<Entry>),
    /// One of two words.
    Switch { on: String, off: String },
}

/// What a text contains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reading {
    /// A value from 0 to 1.
    Value(f64),
    /// Neither a number nor one of the texts of the format.
    Text,
    /// NaN, which is not a value.
    NotANumber,
}

impl Format {
    /// Reads a topic option. `before` is the format of earlier options for the topic.
    pub(super) fn parse(text: &str, before: Option<Format>) -> Result<Format, String> {
        let (keyword, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        match (keyword, before) {
            ("range", None) => range(rest),
            ("switch", None) => switch(rest),
            ("discrete", before) => {
                let mut entries = match before {
                    None => Vec::new(),
                    Some(Format::Discrete(entries)) => entries,
                    Some(_) => return Err("`discrete` cannot follow another format".into()),
                };
                entries.push(discrete(rest)?);
                Ok(Format::Discrete(entries))
            }
            ("range" | "switch", Some(_)) => Err("the topic has a format already".into()),
            _ => Err(format!(
                "`{keyword}` is not a format of a topic: expected `range MIN MAX`, \
                 `discrete MIN MAX TEXT` or `switch ON OFF`"
            )),
        }
    }

    /// Writes a value; returns false if the format has no text for it.
    pub(super) fn write(&self, value: f64, decimals: u8, out: &mut String) -> bool {
        let number = match self {
            Format::Plain => value,
            Format::Range { low, high, .. } => {
                let span = (high - low).abs() * value;
                if high < low { low - span } else { low + span }
            }
            Format::Discrete(entries) => {
                let entry = entries.iter().find(|entry| (entry.low..=entry.high).contains(&value));
                if let Some(entry) = entry {
                    out.push_str(&entry.text);
                }
                return entry.is_some();
            }
            Format::Switch { on, off } => {
                out.push_str(if value >= 0.5 { on } else { off });
                return true;
            }
        };
        let decimals = match self {
            Format::Range { decimals: Some(decimals), .. } => *decimals,
            _ => decimals,
        };
        let start = out.len();
        // Writing to a string cannot fail.
        let _ = write!(out, "{number:.*}", usize::from(decimals));
        // A small negative number that is rounded to zero.
        if out[start..].starts_with('-')
            && !out[start..].contains(|c: char| ('1'..='9').contains(&c))
        {
            out.remove(start);
        }
        true
    }

    /// Reads a text that has arrived.
    pub(super) fn read(&self, text: &str) -> Reading {
        match self {
            Format::Discrete(entries) => match entries.iter().find(|entry| entry.text == text) {
                Some(entry) => Reading::Value(entry.value),
                None => Reading::Text,
            },
            Format::Switch { on, .. } if text.trim().eq_ignore_ascii_case(on) => {
                Reading::Value(1.0)
            }
            Format::Switch { off, .. } if text.trim().eq_ignore_ascii_case(off) => {
                Reading::Value(0.0)
            }
            _ => self.read_number(text),
        }
    }

    fn read_number(&self, text: &str) -> Reading {
        let Some(number) = leading_number(text) else {
            let word = text.trim();
            return match () {
                () if is_one_of(word, &["on", "true"]) => Reading::Value(1.0),
                () if is_one_of(word, &["off", "false"]) => Reading::Value(0.0),
                () => Reading::Text,
            };
        };
        if number.is_nan() {
            return Reading::NotANumber;
        }
        let value = match self {
            Format::Range { low, high, .. } if high < low => (low - number) / (low - high),
            Format::Range { low, high, .. } => (number - low) / (high - low),
            _ => number,
        };
        Reading::Value(value.clamp(0.0, 1.0))
    }

    /// How finely the format distinguishes values.
    pub(super) fn resolution(&self, decimals: u8) -> Resolution {
        let (span, decimals) = match self {
            Format::Switch { .. } => return Resolution::steps(2),
            Format::Discrete(_) => return Resolution::CONTINUOUS,
            Format::Plain => (1.0, decimals),
            Format::Range { low, high, decimals: own } => {
                ((high - low).abs(), own.unwrap_or(decimals))
            }
        };
        let steps = span * 10_f64.powi(decimals.into()) + 1.0;
        // Six decimals are finer than any control.
        if steps < 1e6 { Resolution::steps(steps as u32) } else { Resolution::CONTINUOUS }
    }
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|other| other.eq_ignore_ascii_case(word))
}

fn number(word: &str) -> Result<f64, String> {
    let number = word.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| format!("`{word}` is not a number"))
}

fn range(rest: &str) -> Result<Format, String> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (low, high, decimals) = match words[..] {
        [low, high] => (low, high, None),
        [low, high, "decimals", count] => match count.parse::<u8>() {
            Ok(count) if count <= MAX_DECIMALS => (low, high, Some(count)),
            _ => return Err(format!("expected a number of decimals from 0 to {MAX_DECIMALS}")),
        },
        _ => return Err("expected `range MIN MAX` or `range MIN MAX decimals N`".into()),
    };
    let (low, high) = (number(low)?, number(high)?);
    if low == high || !(high - low).is_finite() {
        return Err(format!("the range from {low} to {high} is empty or too wide"));
    }
    Ok(Format::Range { low, high, decimals })
}

fn switch(rest: &str) -> Result<Format, String> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    match words[..] {
        [] => Ok(Format::Switch { on: "on".into(), off: "off".into() }),
        [on, off] if !on.eq_ignore_ascii_case(off) => {
            Ok(Format::Switch { on: on.into(), off: off.into() })
        }
        _ => Err("expected `switch` with two different words, such as `switch ON OFF`".into()),
    }
}

fn discrete(rest: &str) -> Result<Entry, String> {
    let usage = || "expected `discrete MIN MAX TEXT`, such as `discrete 0 !0.5 off`".to_owned();
    let (low, rest) = rest.trim_start().split_once(char::is_whitespace).ok_or_else(usage)?;
    let rest = rest.trim_start();
    let (high, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if high.is_empty() {
        return Err(usage());
    }
    let limit = |word: &str| -> Result<(f64, bool), String> {
        let bare = word.strip_prefix('!').unwrap_or(word);
        Ok((number(bare)?.clamp(0.0, 1.0), bare.len() < word.len()))
    };
    let ((low, low_is_marked), (high, high_is_marked)) = (limit(low)?, limit(high)?);
    if high < low {
        return Err(format!("MAX is less than MIN: {high} < {low}"));
    }
    let value = match (low_is_marked, high_is_marked) {
        (true, true) => return Err("mark only one of MIN and MAX with `!`".into()),
        (true, false) => low,
        (false, true) => high,
        (false, false) => f64::midpoint(low, high),
    };
    Ok(Entry { low, high, value, text: text.trim_start().to_owned() })
}

/// The number at the beginning of a text, as the C function `strtod` reads it; what follows is
/// ignored. `inf` and `nan` must be the whole text, so that words that begin with them stay texts.
pub(super) fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim_start();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if let Some(digits) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"))
        && let Some(number) = hexadecimal(digits.as_bytes())
    {
        return Some(sign * number);
    }
    let bytes = unsigned.as_bytes();
    let digits =
        |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(0);
    let mut end = whole;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        if whole + fraction > 0 {
            end += 1 + fraction;
        }
    }
    if end == 0 {
        let word = unsigned.trim_end();
        return word.parse().ok().map(|number: f64| sign * number);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let from = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if from <= bytes.len() && digits(from) > 0 {
            end = from + digits(from);
        }
    }
    unsigned[..end].parse().ok().map(|number: f64| sign * number)
}

/// A hexadecimal number behind `0x`, with an optional binary exponent.
fn hexadecimal(bytes: &[u8]) -> Option<f64> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (mut number, mut scale, mut count, mut offset) = (0.0_f64, 1.0_f64, 0, 0);
    let mut is_fraction = false;
    while let Some(byte) = bytes.get(offset) {
        match digit(byte) {
            Some(value) if is_fraction => {
                scale /= 16.0;
                number += f64::from(value) * scale;
                count += 1;
            }
            Some(value) => {
                number = number * 16.0 + f64::from(value);
                count += 1;
            }
            None if *byte == b'.' && !is_fraction => is_fraction = true,
            None => break,
        }
        offset += 1;
    }
    if count == 0 {
        return None;
    }
    if matches!(bytes.get(offset), Some(b'p' | b'P')) {
        let rest = std::str::from_utf8(&bytes[offset + 1..]).unwrap_or_default();
        let signs = usize::from(rest.starts_with(['+', '-']));
        let end = signs + rest[signs..].bytes().take_while(u8::is_ascii_digit).count();
        if let Ok(exponent) = rest[..end].parse::<i32>() {
            number *= 2_f64.powi(exponent);
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The default of the option `decimals`, as MIDIMonster writes numbers.
    const DEFAULT_DECIMALS: u8 = 6;

    fn parse(options: &[&str]) -> Format {
        let parse = |before, text: &&str| Some(Format::parse(text, before).expect(text));
        options.iter().fold(None, parse).expect("at least one option")
    }

    fn write(format: &Format, value: f64) -> Option<String> {
        let mut out = String::new();
        format.write(value, DEFAULT_DECIMALS, &mut out).then_some(out)
    }

    #[test]
    fn numbers_are_written_as_midimonster_writes_them() {
        for (value, text) in [(0.5, "0.500000"), (1.0 / 3.0, "0.333333"), (1.0, "1.000000")] {
            assert_eq!(write(&Format::Plain, value).as_deref(), Some(text));
        }
        let up = parse(&["range -10 10"]);
        let down = parse(&["range 10 -10"]);
        assert_eq!(write(&up, 0.25).as_deref(), Some("-5.000000"));
        assert_eq!(write(&down, 0.25).as_deref(), Some("5.000000"));
        assert_eq!(write(&down, 0.5).as_deref(), Some("0.000000"));
        let whole = parse(&["range 0 255 decimals 0"]);
        assert_eq!(write(&whole, 0.5).as_deref(), Some("128"));
        assert_eq!(write(&parse(&["range 0 -1 decimals 0"]), 0.1).as_deref(), Some("0"));
        assert_eq!(whole.resolution(6).count(), Some(256));
        assert_eq!(Format::Plain.resolution(6).count(), None);
    }

    #[test]
    fn the_beginning_of_a_text_is_read_as_a_number() {
        for (text, value) in [
            ("0.25abc", 0.25),
            (" 0.75", 0.75),
            ("1e-1", 0.1),
            ("0x1p-1", 0.5),
            ("0x.8", 0.5),
            ("7", 1.0),
            ("-3", 0.0),
            ("inf", 1.0),
            ("-inf ", 0.0),
            (".5", 0.5),
            ("0.5e", 0.5),
            ("0.5e+x", 0.5),
            ("0x", 0.0),
            ("ON", 1.0),
            ("false", 0.0),
        ] {
            assert_eq!(Format::Plain.read(text), Reading::Value(value), "{text}");
        }
        for text in ["abc", "", "-", ".", "info", "e5", "nanny"] {
            assert_eq!(Format::Plain.read(text), Reading::Text, "{text}");
        }
        assert_eq!(Format::Plain.read("nan"), Reading::NotANumber);
        let down = parse(&["range 10 -10"]);
        let values = ["5", "-5", "99", "-99"].map(|text| down.read(text));
        assert_eq!(values, [0.25, 0.75, 0.0, 1.0].map(Reading::Value));
    }

    #[test]
    fn the_first_discrete_entry_that_has_the_value_is_written() {
        let format = parse(&["discrete 0 0.5 off", "discrete 0.5 !1 on  air", "discrete -1 0"]);
        assert_eq!(write(&format, 0.5).as_deref(), Some("off"));
        assert_eq!(write(&format, 0.51).as_deref(), Some("on  air"));
        assert_eq!(format.read("off"), Reading::Value(0.25));
        assert_eq!(format.read("on  air"), Reading::Value(1.0));
        assert_eq!(format.read(""), Reading::Value(0.0));
        assert_eq!(format.read("OFF"), Reading::Text);
        assert_eq!(write(&parse(&["discrete 0.2 0.3 x"]), 0.5), None);
    }

    #[test]
    fn switches_are_read_in_any_case() {
        let format = parse(&["switch ON OFF"]);
        assert_eq!(write(&format, 0.5).as_deref(), Some("ON"));
        assert_eq!(write(&format, 0.49).as_deref(), Some("OFF"));
        let read = |text: &str| format.read(text);
        assert_eq!(["on", " Off", "1"].map(read), [1.0, 0.0, 1.0].map(Reading::Value));
    }

    #[test]
    fn invalid_formats_are_rejected_with_what_was_expected() {
        for (text, reason) in [
            ("range 1", "expected `range MIN MAX`"),
            ("range 1 1", "is empty"),
            ("range 0 x", "`x` is not a number"),
            ("range 0 1 decimals 99", "from 0 to 15"),
            ("discrete 1 0 x", "MAX is less than MIN"),
            ("discrete 1", "expected `discrete"),
            ("discrete !0 !1 x", "mark only one"),
            ("switch on ON", "two different words"),
            ("Range 0 1", "`Range` is not a format"),
        ] {
            let error = Format::parse(text, None).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(Format::parse("range 0 1", Some(Format::Plain)).is_err());
        assert!(Format::parse("discrete 0 1 x", Some(parse(&["range 0 1"]))).is_err());
    }
}
