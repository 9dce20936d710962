//! Pattern options: which arguments the messages of an address have, and when they are sent.
//!
//! ```text
//! VALUE     = [ TYPES ARGUMENT… ] [ always ] [ refresh TIME ] [ every TIME ]
//! ARGUMENT  = LOW HIGH            of i f h d, and of n: a number in a text
//!           | WORD | "TEXT"       of s, the constant; if s is the only type, any number of them
//!           | HEX                 of b, the constant
//!           |                     of T F N I, and of s alone: a text
//! TIME      = NUMBER ( s | ms )
//! ```

use std::sync::Arc;
use std::time::Duration;

use consort_osc::{MessageBuilder, Pattern};
use consort_router::Resolution;
use consort_router::options::parse_integer;

use super::config::{Kind, Parameter};

/// The most arguments that a pattern option may describe.
const MAX_PARAMETERS: usize = 64;

/// The shortest time between two repetitions.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// The longest time between two repetitions.
const MAX_INTERVAL: Duration = Duration::from_secs(3_600);

/// One argument of a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// A number with its range.
    Number(Parameter),
    /// A number that is written as a text.
    NumberText(Parameter),
    /// One of several texts, evenly spaced from 0.0 to 1.0.
    Words(Arc<[Box<str>]>),
    /// Any text, which only a text can change.
    Text,
    /// Always the same.
    Constant(Constant),
}

/// An argument that is always the same.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    /// A number: of a range with equal ends.
    Number(Parameter),
    Text(Box<str>),
    Blob(Box<[u8]>),
    /// A type without data: `T`, `F`, `N`, `I`.
    Tag(u8),
}

impl Shape {
    /// How many values the argument distinguishes.
    pub(super) fn resolution(&self) -> Resolution {
        match self {
            Shape::Number(parameter) => parameter.resolution(),
            Shape::Words(words) => Resolution::steps(words.len() as u32),
            Shape::Constant(_) => Resolution::steps(2),
            Shape::NumberText(_) | Shape::Text => Resolution::CONTINUOUS,
        }
    }

    /// Whether its size differs from message to message.
    pub(super) fn is_variable(&self) -> bool {
        matches!(self, Shape::NumberText(_) | Shape::Words(_) | Shape::Text)
    }
}

impl Constant {
    /// Adds it to a message.
    pub(super) fn append<S: consort_osc::Sink + ?Sized>(
        &self,
        message: &mut MessageBuilder<'_, S>,
    ) {
        match self {
            Constant::Number(Parameter { kind, high, .. }) => match kind {
                Kind::Int => message.int(*high as i32),
                Kind::Float => message.float(*high as f32),
                Kind::Long => message.long(*high as i64),
                Kind::Double => message.double(*high),
            },
            Constant::Text(text) => message.string(text),
            Constant::Blob(bytes) => message.blob(bytes),
            Constant::Tag(b'N') => message.nil(),
            Constant::Tag(b'I') => message.impulse(),
            Constant::Tag(tag) => message.bool(*tag == b'T'),
        };
    }

    /// The size of its data in a message.
    pub(super) fn length(&self) -> usize {
        match self {
            Constant::Number(parameter) => parameter.kind.length(),
            Constant::Text(text) => text.len() / 4 * 4 + 4,
            Constant::Blob(bytes) => 4 + bytes.len().next_multiple_of(4),
            Constant::Tag(_) => 0,
        }
    }
}

/// When messages are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sending {
    /// Every value is sent, not only changes.
    pub(super) always: bool,
    /// The last message is sent again at this interval.
    pub(super) refresh: Option<Duration>,
    /// The message is sent at this interval, also without any value.
    pub(super) every: Option<Duration>,
}

/// Which addresses a pattern option describes.
enum Addresses {
    Pattern(Pattern),
    /// An address that has characters which OSC reserves.
    Literal(String),
}

/// A pattern option: the addresses that it matches and the arguments of their messages.
pub(super) struct PathPattern {
    name: String,
    addresses: Addresses,
    pub(super) shapes: Arc<[Shape]>,
    pub(super) sending: Sending,
}

impl PathPattern {
    /// Whether the option describes an address.
    pub(super) fn matches(&self, address: &str) -> bool {
        match &self.addresses {
            Addresses::Pattern(pattern) => pattern.matches(address),
            Addresses::Literal(literal) => literal == address,
        }
    }

    /// The pattern as the option writes it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it matches only the address of the same text.
    pub(super) fn is_literal(&self) -> bool {
        !consort_osc::is_pattern(&self.name)
    }

    /// Whether it would match if its `*` also matched slashes, as in MIDIMonster.
    pub(super) fn matches_across_slashes(&self, address: &str) -> bool {
        let mut parts = self.name.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = address.strip_prefix(first) else { return false };
        let parts: Vec<&str> = parts.collect();
        let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
        for part in middle {
            let Some(position) = rest.find(part) else { return false };
            rest = &rest[position + part.len()..];
        }
        rest.ends_with(last)
    }

    /// Reads an option. The second result is a warning about words that are ignored, as
    /// MIDIMonster ignores them.
    pub(super) fn read(name: &str, value: &str) -> Result<(Self, Option<String>), String> {
        let addresses =
            if consort_osc::is_pattern(name) || consort_osc::validate_address(name).is_ok() {
                let pattern = Pattern::new(name)
                    .map_err(|error| format!("invalid OSC pattern `{name}`: {error}"))?;
                Addresses::Pattern(pattern)
            } else {
                super::paths::check_channel_address(name)
                    .map_err(|error| format!("invalid OSC pattern `{name}`: {error}"))?;
                Addresses::Literal(name.to_owned())
            };
        let mut words = Words { rest: value.trim() };
        let shapes = match words.peek() {
            None | Some("always" | "refresh" | "every") => Vec::new(),
            Some(_) => read_shapes(&mut words)?,
        };
        let mut sending = Sending::default();
        let mut warning = None;
        while let Some(word) = words.next()? {
            match word.text {
                "always" => sending.always = true,
                "refresh" => sending.refresh = Some(words.time("refresh")?),
                "every" => sending.every = Some(words.time("every")?),
                other => {
                    warning = Some(format!("unexpected `{other}` after the last range is ignored"));
                    break;
                }
            }
        }
        if sending.every.is_some() && consort_osc::is_pattern(name) {
            return Err("`every` needs one address, not a pattern".into());
        }
        let name = name.to_owned();
        Ok((PathPattern { name, addresses, shapes: shapes.into(), sending }, warning))
    }
}

/// A word of an option's value.
struct Word<'v> {
    text: &'v str,
    is_quoted: bool,
}

/// The words of an option's value; texts in quotes are one word.
struct Words<'v> {
    rest: &'v str,
}

impl<'v> Words<'v> {
    /// The next word without its quotes.
    fn next(&mut self) -> Result<Option<Word<'v>>, String> {
        let rest = self.rest.trim_start();
        if rest.is_empty() {
            return Ok(None);
        }
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').ok_or("a quotation mark is missing at the end of a text")?;
            self.rest = &quoted[end + 1..];
            return Ok(Some(Word { text: &quoted[..end], is_quoted: true }));
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
        self.rest = &rest[end..];
        Ok(Some(Word { text: &rest[..end], is_quoted: false }))
    }

    /// The next word, which stays.
    fn peek(&self) -> Option<&'v str> {
        self.rest.split_ascii_whitespace().next()
    }

    /// A time, such as `5 s`, `5s` or `500 ms`.
    fn time(&mut self, word: &str) -> Result<Duration, String> {
        let expected = || format!("expected a time after `{word}`, such as `{word} 5 s`");
        let number = self.next()?.ok_or_else(expected)?.text;
        let digits = number.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &number[digits.len()..] {
            "" => self.next()?.ok_or_else(expected)?.text,
            unit => unit,
        };
        let factor = match unit {
            "s" => 1.0,
            "ms" => 0.001,
            _ => return Err(expected()),
        };
        let seconds: f64 = digits.parse().map_err(|_| expected())?;
        let time = Duration::try_from_secs_f64(seconds * factor).map_err(|_| expected())?;
        if !(MIN_INTERVAL..=MAX_INTERVAL).contains(&time) {
            return Err(format!("the time after `{word}` must be from 100 ms to 3600 s"));
        }
        Ok(time)
    }
}

fn read_shapes(words: &mut Words<'_>) -> Result<Vec<Shape>, String> {
    let types = words.next()?.map_or("", |word| word.text);
    if types.len() > MAX_PARAMETERS {
        return Err(format!("too many arguments: expected at most {MAX_PARAMETERS}"));
    }
    let is_only = types.len() == 1;
    let mut shapes = Vec::with_capacity(types.len());
    for (index, letter) in types.chars().enumerate() {
        shapes.push(match letter {
            'i' => number(words, Kind::Int, index, letter)?,
            'f' => number(words, Kind::Float, index, letter)?,
            'h' => number(words, Kind::Long, index, letter)?,
            'd' => number(words, Kind::Double, index, letter)?,
            'n' => match number(words, Kind::Double, index, letter)? {
                Shape::Number(parameter) => Shape::NumberText(parameter),
                constant => constant,
            },
            'T' | 'F' | 'N' | 'I' => Shape::Constant(Constant::Tag(letter as u8)),
            's' => texts(words, is_only)?,
            'b' => Shape::Constant(blob(words)?),
            other => {
                return Err(format!(
                    "invalid type `{other}`: expected `i`, `f`, `h`, `d`, `s`, `n`, `b`, `T`, \
                     `F`, `N` or `I`"
                ));
            }
        });
    }
    Ok(shapes)
}

/// The range of a number.
fn number(words: &mut Words<'_>, kind: Kind, index: usize, letter: char) -> Result<Shape, String> {
    let mut end = |which: &str| {
        let word = words.next()?.map(|word| word.text).ok_or_else(|| {
            format!("the {which} end of the range of argument {index} (`{letter}`) is missing")
        })?;
        let number = || word.parse().ok().filter(|number: &f64| number.is_finite());
        let number = match kind {
            // MIDIMonster also accepts `127.0`.
            Kind::Int | Kind::Long => parse_integer(word)
                .map(|number| number as f64)
                .or_else(|| number().filter(|number| number.fract() == 0.0)),
            Kind::Float | Kind::Double => number(),
        };
        number.ok_or_else(|| format!("`{word}` is not a valid number of type `{letter}`"))
    };
    let (low, high) = (end("lower")?, end("upper")?);
    if !(high - low).is_finite() {
        return Err(format!("the range of argument {index} is too wide: {low} to {high}"));
    }
    let fits = |number: f64| f64::from(i32::MIN) <= number && number <= f64::from(i32::MAX);
    if kind == Kind::Int && !(fits(low) && fits(high)) {
        return Err(format!(
            "the range of argument {index} does not fit into 32 bits: use type `h`"
        ));
    }
    let parameter = Parameter { kind, low, high };
    Ok(if low != high {
        Shape::Number(parameter)
    } else if letter == 'n' {
        Shape::Constant(Constant::Text(high.to_string().into()))
    } else {
        Shape::Constant(Constant::Number(parameter))
    })
}

/// The texts of an argument: all words that follow if it is the only one, else one word.
fn texts(words: &mut Words<'_>, is_only: bool) -> Result<Shape, String> {
    let mut texts: Vec<Box<str>> = Vec::new();
    while let Some(next) = words.peek() {
        if matches!(next, "always" | "refresh" | "every") || !is_only && !texts.is_empty() {
            break;
        }
        let Some(word) = words.next()? else { break };
        if word.text.contains('\0') {
            return Err("a text must not contain a zero byte".into());
        }
        debug_assert!(word.is_quoted || !word.text.is_empty());
        texts.push(word.text.into());
    }
    Ok(match texts.len() {
        0 => Shape::Text,
        1 => Shape::Constant(Constant::Text(texts.remove(0))),
        _ => Shape::Words(texts.into()),
    })
}

/// The bytes of a blob, in hexadecimal.
fn blob(words: &mut Words<'_>) -> Result<Constant, String> {
    let expected = "expected the bytes of a blob in hexadecimal after `b`, such as `b 00ff`";
    let word = words.next()?.ok_or(expected)?.text;
    if !word.len().is_multiple_of(2) || !word.is_ascii() {
        return Err(expected.into());
    }
    let byte = |index: usize| u8::from_str_radix(&word[index * 2..index * 2 + 2], 16);
    let bytes: Result<Vec<u8>, _> = (0..word.len() / 2).map(byte).collect();
    Ok(Constant::Blob(bytes.map_err(|_| expected)?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<(Vec<Shape>, Sending), String> {
        let (option, _) = PathPattern::read("/x", value)?;
        Ok((option.shapes.to_vec(), option.sending))
    }

    #[test]
    fn every_form_is_read() {
        let text = |text: &str| Shape::Constant(Constant::Text(text.into()));
        assert_eq!(read("").expect("no arguments"), (vec![], Sending::default()));
        assert_eq!(read("s \"main stage\"").expect("a text").0, [text("main stage")]);
        assert_eq!(read("s main").expect("a text").0, [text("main")]);
        assert_eq!(read("s").expect("any text").0, [Shape::Text]);
        let words: Arc<[Box<str>]> = ["off", "on", "auto"].map(Box::from).into();
        assert_eq!(read("s off on auto").expect("words").0, [Shape::Words(words)]);
        assert_eq!(
            read("sT \"a b\" always refresh 5 s").expect("two constants"),
            (
                vec![text("a b"), Shape::Constant(Constant::Tag(b'T'))],
                Sending { always: true, refresh: Some(Duration::from_secs(5)), every: None }
            )
        );
        assert_eq!(read("every 900ms").expect("a time").1.every, Some(Duration::from_millis(900)));
        let one = Parameter { kind: Kind::Int, low: 1.0, high: 1.0 };
        assert_eq!(read("i 1 1").expect("one").0, [Shape::Constant(Constant::Number(one))]);
        let blob = Constant::Blob([0, 0xFF].into());
        assert_eq!(read("b 00ff").expect("a blob").0, [Shape::Constant(blob)]);
    }

    #[test]
    fn invalid_options_say_what_was_expected() {
        for (value, expected) in [
            ("x 0 1", "invalid type `x`"),
            ("f 0", "the upper end of the range of argument 0 (`f`) is missing"),
            ("s \"main", "quotation mark"),
            ("b 0g", "hexadecimal"),
            ("b 0", "hexadecimal"),
            ("every 9", "such as `every 5 s`"),
            ("refresh 1 ms", "from 100 ms to 3600 s"),
        ] {
            let error = read(value).expect_err(value);
            assert!(error.contains(expected), "{value}: {error}");
        }
        assert!(PathPattern::read("/x*", "every 9 s").is_err());
    }

    #[test]
    fn a_star_that_crosses_slashes_is_recognised() {
        let option = |name: &str| PathPattern::read(name, "f 0 1").expect("valid").0;
        assert!(option("/a*").matches_across_slashes("/a/b") && !option("/a*").matches("/a/b"));
        assert!(option("/*/on").matches_across_slashes("/ch/1/on"));
        assert!(!option("/*/on").matches_across_slashes("/ch/1/off"));
    }
}
