//! The payloads that shows exchange. They are texts, so that they can be read with any client.
//!
//! | topic | payload |
//! |---|---|
//! | `PREFIX/value/CHANNEL` | `1 ORIGIN CONNECTION.SEQUENCE VALUE`, or `"TEXT` instead of the value |
//! | `PREFIX/router/ORIGIN` | `1 ORIGIN CONNECTION present MICROSECONDS NAME` or `1 ORIGIN CONNECTION gone` |
//!
//! The origin is random and has 16 hexadecimal digits; a show makes a new one at each start. The
//! connection counts the connections of the origin, and the sequence its publications on that
//! channel.

use std::fmt::Write;

use consort_router::context::MAX_TEXT_BYTES;

/// The version of the payloads; others are ignored.
const VERSION: &str = "1";

/// The longest name of a show, in bytes; the rest is cut off.
const MAX_NAME_BYTES: usize = 64;

/// A running show among those that share a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::mqtt) struct Origin(pub(in crate::mqtt) u64);

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Origin {
    /// Reads 16 hexadecimal digits.
    pub(in crate::mqtt) fn parse(text: &str) -> Option<Origin> {
        let is_canonical =
            text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_canonical.then(|| u64::from_str_radix(text, 16).ok().map(Origin)).flatten()
    }
}

/// The number of a publication: the connection of its origin, and a count of the origin's
/// publications on the channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::mqtt) struct Sequence {
    /// The connection, from 1.
    pub(in crate::mqtt) connection: u32,
    /// The count, from 1; it continues over connections.
    pub(in crate::mqtt) number: u32,
}

/// What a channel has.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::mqtt) enum Content {
    /// A value from 0 to 1.
    Value(f64),
    /// A text of at most 1,024 bytes.
    Text(Box<str>),
}

/// A payload of a channel.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::mqtt) struct Publication {
    /// Who has published it.
    pub(in crate::mqtt) origin: Origin,
    /// Its number.
    pub(in crate::mqtt) sequence: Sequence,
    /// The value or text.
    pub(in crate::mqtt) content: Content,
}

/// A payload of a presence topic.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::mqtt) struct Presence {
    /// The show.
    pub(in crate::mqtt) origin: Origin,
    /// The connection, from 1.
    pub(in crate::mqtt) connection: u32,
    /// Its name and its round trip through the broker in microseconds; `None` if it is gone.
    pub(in crate::mqtt) present: Option<(u32, String)>,
}

/// Reads a whole number without a sign.
fn whole(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Splits off the version and the origin.
fn head(payload: &[u8]) -> Option<(Origin, &str)> {
    let text = std::str::from_utf8(payload).ok()?;
    let (version, rest) = text.split_once(' ')?;
    let (origin, rest) = rest.split_once(' ')?;
    (version == VERSION).then_some((Origin::parse(origin)?, rest))
}

impl Publication {
    /// Writes the payload.
    pub(in crate::mqtt) fn encode(&self, out: &mut String) {
        out.clear();
        let Sequence { connection, number } = self.sequence;
        // Writing to a string cannot fail.
        let _ = write!(out, "{VERSION} {} {connection}.{number} ", self.origin);
        let _ = match &self.content {
            Content::Value(value) => write!(out, "{value}"),
            Content::Text(text) => write!(out, "\"{text}"),
        };
    }

    /// Reads a payload; `None` if it is not one.
    pub(in crate::mqtt) fn parse(payload: &[u8]) -> Option<Publication> {
        let (origin, rest) = head(payload)?;
        let (sequence, content) = rest.split_once(' ')?;
        let (connection, number) = sequence.split_once('.')?;
        let sequence = Sequence { connection: whole(connection)?, number: whole(number)? };
        let content = match content.strip_prefix('"') {
            Some(text) => Content::Text((text.len() <= MAX_TEXT_BYTES).then(|| text.into())?),
            None => {
                let value: f64 = content.parse().ok()?;
                Content::Value((0.0..=1.0).contains(&value).then_some(value)?)
            }
        };
        Some(Publication { origin, sequence, content })
    }
}

impl Presence {
    /// Writes the payload.
    pub(in crate::mqtt) fn encode(&self) -> String {
        let Presence { origin, connection, present } = self;
        match present {
            None => format!("{VERSION} {origin} {connection} gone"),
            Some((lag, name)) => {
                let mut end = name.len().min(MAX_NAME_BYTES);
                while !name.is_char_boundary(end) {
                    end -= 1;
                }
                format!("{VERSION} {origin} {connection} present {lag} {}", &name[..end])
            }
        }
    }

    /// Reads a payload; `None` if it is not one.
    pub(in crate::mqtt) fn parse(payload: &[u8]) -> Option<Presence> {
        let (origin, rest) = head(payload)?;
        let (connection, rest) = rest.split_once(' ')?;
        let connection = whole(connection)?;
        if rest == "gone" {
            return Some(Presence { origin, connection, present: None });
        }
        let (lag, name) = rest.strip_prefix("present ")?.split_once(' ')?;
        let is_valid = name.len() <= MAX_NAME_BYTES && !name.contains(char::is_control);
        let present = is_valid.then(|| Some((whole(lag)?, name.to_owned()))).flatten()?;
        Some(Presence { origin, connection, present: Some(present) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_read_as_they_are_written() {
        let sequence = Sequence { connection: 2, number: 42 };
        for (content, text) in [
            (Content::Value(0.1), "1 00000000000000ff 2.42 0.1"),
            (Content::Text("a \"b\"".into()), "1 00000000000000ff 2.42 \"a \"b\""),
        ] {
            let publication = Publication { origin: Origin(255), sequence, content };
            let mut out = String::new();
            publication.encode(&mut out);
            assert_eq!(out, text);
            assert_eq!(Publication::parse(out.as_bytes()), Some(publication));
        }
        for present in [None, Some((150, "front of house".to_owned()))] {
            let presence = Presence { origin: Origin(1), connection: 3, present };
            assert_eq!(Presence::parse(presence.encode().as_bytes()), Some(presence));
        }
    }

    #[test]
    fn other_payloads_are_rejected() {
        for payload in [
            "",
            "0.5",
            "2 00000000000000ff 1.1 0.5",
            "1 ff 1.1 0.5",
            "1 00000000000000FF 1.1 0.5",
            "1 00000000000000ff 1 0.5",
            "1 00000000000000ff 1.+1 0.5",
            "1 00000000000000ff 1.1 1.5",
            "1 00000000000000ff 1.1 nan",
            "1 00000000000000ff 1.99999999999 0.5",
        ] {
            assert_eq!(Publication::parse(payload.as_bytes()), None, "{payload}");
        }
        let long = format!("1 00000000000000ff 1.1 \"{}", "x".repeat(MAX_TEXT_BYTES + 1));
        assert_eq!(Publication::parse(long.as_bytes()), None);
        for payload in ["1 00000000000000ff 1 present", "1 00000000000000ff 1 present 5 a\nb"] {
            assert_eq!(Presence::parse(payload.as_bytes()), None, "{payload}");
        }
    }
}
