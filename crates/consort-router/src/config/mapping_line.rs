//! The parts of a line of `[map]`: both channels, the arrow, and the stages after a bar.
//!
//! MIDIMonster takes everything before and after the first arrow as channels. Its
//! files keep that meaning, with one exception: a bar between blanks that is followed by a word
//! begins a stage. Channels that contain such text, or an arrow, are written in double quotes
//! after the instance's dot: `tablet."/a | b"`. Quotes cannot be escaped: a channel ends at the
//! next quote.

use std::borrow::Cow;
use std::ops::Range;

use super::syntax::Arrow;

/// The parts of a line of `[map]`, as ranges of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MappingLine {
    pub(super) left: Range<usize>,
    pub(super) sign: Range<usize>,
    pub(super) arrow: Arrow,
    pub(super) right: Range<usize>,
    /// The stages without the first bar; empty when there are none.
    pub(super) stages: Range<usize>,
    /// What follows a quoted channel and is neither a stage nor a comment.
    pub(super) rest: Range<usize>,
    /// A quote that begins a channel and is not closed, so that it is part of the channel.
    pub(super) unclosed: Option<usize>,
}

/// Whether `byte` separates words and is trimmed from the ends of lines.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\x0B' | b'\x0C')
}

/// The bytes of `text[range]` without blanks at both ends.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let bytes = text.as_bytes();
    let (mut start, mut end) = (range.start, range.end);
    while start < end && is_blank(bytes[start]) {
        start += 1;
    }
    while end > start && is_blank(bytes[end - 1]) {
        end -= 1;
    }
    start..end
}

/// The end of a quoted channel that begins at or after `start` (`INSTANCE."CHANNEL"`), after the
/// closing quote; `None` when the channel there is not quoted or its quote is not closed.
fn quoted_end(text: &str, start: usize) -> Option<usize> {
    let dot = start
        + text[start..]
            .find(['.', '<', '>'])
            .filter(|&offset| text.as_bytes()[start + offset] == b'.')?;
    let content = dot + 2;
    text[dot..].starts_with(".\"").then_some(())?;
    Some(content + text[content..].find('"')? + 1)
}

/// The first bar of stages in `text[range]`: between blanks and followed by a word.
fn find_stages(text: &str, range: Range<usize>) -> Option<usize> {
    let bytes = &text.as_bytes()[..range.end];
    (range.start.max(1)..range.end).find(|&offset| {
        bytes[offset] == b'|'
            && is_blank(bytes[offset - 1])
            && bytes.get(offset + 1).copied().is_some_and(is_blank)
            && bytes[offset + 1..]
                .iter()
                .find(|&&byte| !is_blank(byte))
                .is_some_and(u8::is_ascii_alphabetic)
    })
}

/// The first bar of stages in the value of an option.
pub(super) fn find_led_stages(text: &str) -> Option<usize> {
    find_stages(text, quoted_end(text, 0).unwrap_or(0)..text.len())
}

/// The end of the stages in `text[range]`: a `;` after a blank and outside parentheses begins a
/// comment.
fn stages_end(text: &str, range: Range<usize>) -> usize {
    let bytes = text.as_bytes();
    let mut depth = 0_u32;
    for offset in range.clone() {
        match bytes[offset] {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b';' if depth == 0 && is_blank(bytes[offset - 1]) => return offset,
            _ => {}
        }
    }
    range.end
}

/// Splits a line at its arrow; `None` when there is no arrow.
pub(super) fn split(line: &str) -> Option<MappingLine> {
    let bytes = line.as_bytes();
    let left_end = quoted_end(line, 0);
    let start = left_end.unwrap_or(0);
    let offset = start + line[start..].find(['<', '>'])?;
    let (arrow, length) = match (bytes[offset], bytes.get(offset + 1)) {
        (b'<', Some(b'>')) | (b'>', Some(b'<')) => (Arrow::Both, 2),
        (b'<', _) => (Arrow::Left, 1),
        _ => (Arrow::Right, 1),
    };
    let sign = offset..offset + length;
    let left = trimmed(line, 0..offset);
    let remainder = trimmed(line, sign.end..line.len());
    let quoted = quoted_end(line, remainder.start);
    let bar = find_stages(line, quoted.unwrap_or(remainder.start)..remainder.end);
    let stages = match bar {
        None => remainder.end..remainder.end,
        Some(bar) => {
            let stages = bar + 1..remainder.end;
            trimmed(line, stages.start..stages_end(line, stages))
        }
    };
    let channel = trimmed(line, remainder.start..bar.unwrap_or(remainder.end));
    let (right, rest) = match quoted {
        None => (channel, remainder.end..remainder.end),
        Some(end) => {
            let rest = trimmed(line, end..channel.end.max(end));
            // A comment after a quoted channel.
            let is_comment = line[rest.clone()].starts_with(';') && end < rest.start;
            (remainder.start..end, if is_comment { rest.end..rest.end } else { rest })
        }
    };
    let behind_left = left_end.map_or(0..0, |end| trimmed(line, end..offset));
    let rest = if behind_left.is_empty() { rest } else { behind_left };
    let unclosed = [&left, &right].into_iter().find_map(|channel| {
        let text = &line[channel.clone()];
        let quote = text.find(".\"")?;
        let is_first_dot = text.find('.') == Some(quote);
        (is_first_dot && quoted_end(text, 0).is_none()).then_some(channel.start + quote + 1)
    });
    Some(MappingLine { left, sign, arrow, right, stages, rest, unclosed })
}

/// The offset of a text in a channel that looks like a comment or stages but is part of it: a `;`,
/// a `#` or a bar after a blank. Quoted channels have none.
pub(super) fn lookalike(channel: &str) -> Option<usize> {
    if is_quoted(channel) {
        return None;
    }
    let bytes = channel.as_bytes();
    (1..bytes.len())
        .find(|&offset| matches!(bytes[offset], b';' | b'#' | b'|') && is_blank(bytes[offset - 1]))
}

/// The offset of a `;`, or of a `#` and a blank, after a blank in a value.
pub(super) fn find_comment(value: &str) -> Option<usize> {
    let bytes = value.as_bytes();
    (1..bytes.len()).find(|&offset| {
        let begins = match bytes[offset] {
            b';' => true,
            b'#' => bytes.get(offset + 1).copied().is_none_or(is_blank),
            _ => false,
        };
        begins && is_blank(bytes[offset - 1])
    })
}

/// What looks like an expression and is part of a channel, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    /// `l.x * 0.5`, `l.x / 2`
    Factor { offset: usize },
    /// `l.x + 0.5`, `l.x - 1`
    Sum { offset: usize },
    /// `l.x, l.y`
    List { offset: usize },
}

impl Arithmetic {
    pub(super) fn offset(self) -> usize {
        match self {
            Arithmetic::Factor { offset }
            | Arithmetic::Sum { offset }
            | Arithmetic::List { offset } => offset,
        }
    }
}

/// Arithmetic with a number, or a list of channels, in a channel that is not quoted.
pub(super) fn arithmetic(channel: &str) -> Option<Arithmetic> {
    if is_quoted(channel) {
        return None;
    }
    let operator = channel.rfind([' ', '\t']).and_then(|blank| {
        let number = &channel[blank + 1..];
        let is_number = number.starts_with(|first: char| first.is_ascii_digit() || first == '.')
            && number.parse::<f64>().is_ok();
        let before = channel[..blank].trim_ascii_end();
        let sign = before.chars().next_back().filter(|_| is_number)?;
        let offset = before.len() - sign.len_utf8();
        before[..offset].ends_with([' ', '\t']).then_some((sign, offset))
    });
    match operator {
        Some(('*' | '/', offset)) => return Some(Arithmetic::Factor { offset }),
        Some(('+' | '-', offset)) => return Some(Arithmetic::Sum { offset }),
        _ => {}
    }
    // The text after the comma has to look like a channel: a name, a dot, and more.
    let offset = channel.find(", ")?;
    let (name, rest) = channel[offset + 1..].trim_ascii_start().split_once('.')?;
    let is_name =
        !name.is_empty() && name.chars().all(|part| part.is_alphanumeric() || "_-".contains(part));
    (is_name && !rest.is_empty()).then_some(Arithmetic::List { offset })
}

/// Whether a channel is written in quotes: `INSTANCE."CHANNEL"`.
pub(super) fn is_quoted(channel: &str) -> bool {
    quoted_end(channel, 0) == Some(channel.len())
}

/// The bytes of `specification` without its quotes.
pub(super) fn unquoted(specification: &str) -> Range<usize> {
    let is_quoted = specification.len() >= 2
        && specification.starts_with('"')
        && specification[1..].find('"') == Some(specification.len() - 2);
    if is_quoted { 1..specification.len() - 1 } else { 0..specification.len() }
}

/// A channel specification as it is written in `[map]` behind `INSTANCE.`: in quotes where they are
/// needed. None when the grammar cannot express it: control characters, expressions' braces, and
/// quotes beside what needs quotes.
pub fn written(specification: &str) -> Option<Cow<'_, str>> {
    let is_plain = |specification: &str| {
        let line = format!("a.{specification} > b.x");
        split(&line).is_some_and(|parts| {
            line[parts.left.clone()][2..] == *specification
                && parts.rest.is_empty()
                && lookalike(&line[parts.left]).is_none()
        }) && unquoted(specification) == (0..specification.len())
            && find_stages(&line, 0..line.len()).is_none()
    };
    if specification.contains(['{', '}']) || specification.contains(char::is_control) {
        return None;
    }
    if is_plain(specification) {
        return Some(specification.into());
    }
    (!specification.contains('"')).then(|| format!("\"{specification}\"").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(line: &str) -> [&str; 5] {
        let parts = split(line).unwrap_or_else(|| panic!("{line}"));
        [
            &line[parts.left],
            &line[parts.sign],
            &line[parts.right],
            &line[parts.stages],
            &line[parts.rest],
        ]
    }

    #[test]
    fn lines_of_midimonster_keep_their_meaning() {
        assert_eq!(parts("a.x > b.y"), ["a.x", ">", "b.y", "", ""]);
        assert_eq!(parts("a.x<>b.y"), ["a.x", "<>", "b.y", "", ""]);
        assert_eq!(parts("a.x >< b.y # z"), ["a.x", "><", "b.y # z", "", ""]);
        assert_eq!(parts("a.x < b.y ; z"), ["a.x", "<", "b.y ; z", "", ""]);
        assert_eq!(parts("a.x > b.y | 3"), ["a.x", ">", "b.y | 3", "", ""]);
        assert_eq!(parts("a.x > b.y|invert"), ["a.x", ">", "b.y|invert", "", ""]);
        assert_eq!(parts("a.x > b.y |"), ["a.x", ">", "b.y |", "", ""]);
        assert_eq!(parts("a.say \"x\" > b.\"open"), ["a.say \"x\"", ">", "b.\"open", "", ""]);
        assert_eq!(split("a.x b.y"), None);
    }

    #[test]
    fn a_bar_and_a_word_begin_stages() {
        assert_eq!(parts("a.x > b.y | invert"), ["a.x", ">", "b.y", "invert", ""]);
        assert_eq!(
            parts("a.x < b.y | from(0, 1) | curve(2)"),
            ["a.x", "<", "b.y", "from(0, 1) | curve(2)", ""]
        );
        assert_eq!(
            parts("a.x > b.y | when(c.z > 0.5) ; why"),
            ["a.x", ">", "b.y", "when(c.z > 0.5)", ""]
        );
        assert_eq!(
            parts("a.x > b.y | points(0:1 ; 1:0)"),
            ["a.x", ">", "b.y", "points(0:1 ; 1:0)", ""]
        );
    }

    #[test]
    fn quotes_take_everything_up_to_the_next_one() {
        assert_eq!(
            parts("a.\"/x > y\" > b.\"/a | b\""),
            ["a.\"/x > y\"", ">", "b.\"/a | b\"", "", ""]
        );
        assert_eq!(parts("a.\"x\"<b.y"), ["a.\"x\"", "<", "b.y", "", ""]);
        assert_eq!(parts("a.x > b.\"# 1\" | invert ; no"), ["a.x", ">", "b.\"# 1\"", "invert", ""]);
        assert_eq!(parts("a.x > b.\"1\" ; comment"), ["a.x", ">", "b.\"1\"", "", ""]);
        assert_eq!(parts("a.x > b.\"1\" 2"), ["a.x", ">", "b.\"1\"", "", "2"]);
    }

    #[test]
    fn quotes_are_closed_and_followed_by_nothing_on_both_sides() {
        assert_eq!(parts("a.\"x\"y > b.z")[4], "y");
        let unclosed = |line: &str| split(line).and_then(|parts| parts.unclosed);
        assert_eq!(unclosed("a.\"x > b.y"), Some(2));
        assert_eq!(unclosed("a.x > b.\"y"), Some(8));
        assert_eq!(unclosed("a.\"x\" > b.y\"z"), None);
    }

    #[test]
    fn channels_are_written_in_quotes_where_they_are_needed() {
        for (specification, expected) in [
            ("/1/fader1", Some("/1/fader1")),
            ("/a>b", Some("\"/a>b\"")),
            ("/p < q", Some("\"/p < q\"")),
            (" /sp ", Some("\" /sp \"")),
            ("/a # 1", Some("\"/a # 1\"")),
            ("/a | b", Some("\"/a | b\"")),
            ("", Some("")),
            ("\"x\"", None),
            ("/a{1..3}", None),
            ("/a\n", None),
        ] {
            let written = written(specification);
            assert_eq!(written.as_deref(), expected, "{specification:?}");
            if let Some(written) = written {
                let line = format!("a.{written} > b.x");
                let parts = split(&line).unwrap();
                let channel = &line[parts.left][2..];
                assert_eq!(&channel[unquoted(channel)], specification);
            }
        }
    }

    #[test]
    fn arithmetic_and_lists_are_found_outside_quotes() {
        assert_eq!(arithmetic("l.x * 0.5"), Some(Arithmetic::Factor { offset: 4 }));
        assert_eq!(arithmetic("l.x - 1"), Some(Arithmetic::Sum { offset: 4 }));
        assert_eq!(arithmetic("l.y, l.z"), Some(Arithmetic::List { offset: 3 }));
        for channel in
            ["l.x", "l.a-1", "l./ch/1 - 1st", "l.\"x * 2\"", "l.one, two", "l.x 1", "l. 5", "é * é"]
        {
            assert_eq!(arithmetic(channel), None, "{channel}");
        }
    }

    #[test]
    fn comments_are_found_behind_blanks() {
        assert_eq!(find_comment("8000 ; tablet"), Some(5));
        assert_eq!(find_comment("8000 # tablet"), Some(5));
        assert_eq!(find_comment("8000 #"), Some(5));
        for value in ["8000;x", "Stage #1", "# x", "", "a#"] {
            assert_eq!(find_comment(value), None, "{value}");
        }
    }

    #[test]
    fn lookalikes_are_found_outside_quotes() {
        assert_eq!(lookalike("b.x # hi"), Some(4));
        assert_eq!(lookalike("b.x | 1"), Some(4));
        assert_eq!(lookalike("b.x#1"), None);
        assert_eq!(lookalike("b.\"x # hi\""), None);
        assert_eq!((unquoted("\"a b\""), unquoted("\"a"), unquoted("\"\"")), (1..4, 0..2, 1..1));
    }
}
