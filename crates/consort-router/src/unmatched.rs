//! Input that belongs to no mapped channel: what arrived last, for the question "why does my
//! fader do nothing?".

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// How many different unmatched inputs are kept for each instance; a new one
/// replaces the one that arrived longest ago.
pub const MAX_UNMATCHED: usize = 100;

/// The longest text that is kept of an unmatched input, in bytes; more is cut off.
pub const MAX_UNMATCHED_TEXT: usize = 64;

/// A value as the protocol carried it, before any scaling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RawValue<'a> {
    /// No value, such as an OSC message without arguments.
    None,
    /// A whole number: a MIDI value, a DMX level, an OSC `i`.
    Integer(i64),
    /// A number.
    Number(f64),
    /// A truth value.
    Flag(bool),
    /// A text.
    Text(&'a str),
    /// Bytes that are not a number or text; their count.
    Bytes(usize),
}

impl fmt::Display for RawValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RawValue::None => Ok(()),
            RawValue::Integer(number) => write!(f, "{number}"),
            RawValue::Number(number) => write!(f, "{number}"),
            RawValue::Flag(flag) => write!(f, "{flag}"),
            RawValue::Text(text) => write!(f, "{text:?}"),
            RawValue::Bytes(count) => write!(f, "{count} bytes"),
        }
    }
}

/// Who sent an unmatched input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender<'a> {
    /// The protocol does not identify the sender.
    Unknown,
    /// A host and port.
    Address(SocketAddr),
    /// A device or program by name.
    Name(&'a str),
}

impl fmt::Display for Sender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sender::Unknown => Ok(()),
            Sender::Address(address) => write!(f, "{address}"),
            Sender::Name(name) => f.write_str(name),
        }
    }
}

/// Input that belongs to no mapped channel, the argument of
/// [`Context::unmatched`](crate::Context::unmatched).
#[derive(Clone, Copy, Debug)]
pub struct Unmatched<'a> {
    /// The types of the values in the protocol's notation, such as `f` or `si` for OSC, `cc`.
    pub types: &'a str,
    /// The first value as it arrived.
    pub raw: RawValue<'a>,
    /// The value scaled to 0.0–1.0 as a channel without options would have it, if it has one.
    pub value: Option<f64>,
    /// Who sent it.
    pub sender: Sender<'a>,
}

/// One unmatched input as views see it.
#[derive(Clone, Debug, PartialEq)]
pub struct UnmatchedInput {
    /// The channel as one would write it in `[map]` after `INSTANCE.`.
    pub channel: String,
    /// The types, as in [`Unmatched::types`].
    pub types: String,
    /// The last raw value.
    pub raw: OwnedRawValue,
    /// The lowest and highest raw number so far.
    pub range: Option<(f64, f64)>,
    /// The last scaled value.
    pub value: Option<f64>,
    /// Who sent it; empty when unknown.
    pub sender: OwnedSender,
    /// How many times it arrived.
    pub count: u64,
    /// When it last arrived, since the start of the show.
    pub last: Duration,
}

/// [`RawValue`] that owns its text.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnedRawValue {
    /// [`RawValue::None`].
    None,
    /// [`RawValue::Integer`].
    Integer(i64),
    /// [`RawValue::Number`].
    Number(f64),
    /// [`RawValue::Flag`].
    Flag(bool),
    /// [`RawValue::Text`], cut to [`MAX_UNMATCHED_TEXT`] bytes.
    Text(String),
    /// [`RawValue::Bytes`].
    Bytes(usize),
}

/// [`Sender`] that owns its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedSender {
    /// [`Sender::Unknown`].
    Unknown,
    /// [`Sender::Address`].
    Address(SocketAddr),
    /// [`Sender::Name`], cut to [`MAX_UNMATCHED_TEXT`] bytes.
    Name(String),
}

impl fmt::Display for OwnedRawValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OwnedRawValue::None => Ok(()),
            OwnedRawValue::Integer(number) => write!(f, "{number}"),
            OwnedRawValue::Number(number) => write!(f, "{number}"),
            OwnedRawValue::Flag(flag) => write!(f, "{flag}"),
            OwnedRawValue::Text(text) => write!(f, "{text:?}"),
            OwnedRawValue::Bytes(count) => write!(f, "{count} bytes"),
        }
    }
}

impl fmt::Display for OwnedSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OwnedSender::Unknown => Ok(()),
            OwnedSender::Address(address) => write!(f, "{address}"),
            OwnedSender::Name(name) => f.write_str(name),
        }
    }
}

/// Cuts a text to at most `limit` bytes at a character boundary.
fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn assign(field: &mut String, text: &str, limit: usize) {
    field.clear();
    field.push_str(cut(text, limit));
}

impl OwnedRawValue {
    /// Takes a new value; a text reuses the memory of the last one.
    pub(crate) fn assign(&mut self, raw: RawValue<'_>) {
        *self = match raw {
            RawValue::None => OwnedRawValue::None,
            RawValue::Integer(number) => OwnedRawValue::Integer(number),
            RawValue::Number(number) => OwnedRawValue::Number(number),
            RawValue::Flag(flag) => OwnedRawValue::Flag(flag),
            RawValue::Bytes(count) => OwnedRawValue::Bytes(count),
            RawValue::Text(text) => {
                let mut memory = match std::mem::replace(self, OwnedRawValue::None) {
                    OwnedRawValue::Text(memory) => memory,
                    _ => String::with_capacity(MAX_UNMATCHED_TEXT),
                };
                assign(&mut memory, text, MAX_UNMATCHED_TEXT);
                OwnedRawValue::Text(memory)
            }
        };
    }
}

impl OwnedSender {
    fn equals(&self, sender: Sender<'_>) -> bool {
        match (self, sender) {
            (OwnedSender::Unknown, Sender::Unknown) => true,
            (OwnedSender::Address(ours), Sender::Address(theirs)) => *ours == theirs,
            (OwnedSender::Name(ours), Sender::Name(theirs)) => {
                ours == cut(theirs, MAX_UNMATCHED_TEXT)
            }
            _ => false,
        }
    }

    fn assign(&mut self, sender: Sender<'_>) {
        *self = match sender {
            Sender::Unknown => OwnedSender::Unknown,
            Sender::Address(address) => OwnedSender::Address(address),
            Sender::Name(name) => {
                let mut memory = match std::mem::replace(self, OwnedSender::Unknown) {
                    OwnedSender::Name(memory) => memory,
                    _ => String::with_capacity(MAX_UNMATCHED_TEXT),
                };
                assign(&mut memory, name, MAX_UNMATCHED_TEXT);
                OwnedSender::Name(memory)
            }
        };
    }
}

/// The last unmatched inputs of an instance, one entry for each channel and sender.
#[derive(Debug, Default)]
pub(crate) struct UnmatchedLog {
    entries: Vec<UnmatchedInput>,
    /// The entry of the last input. The search begins there: the same input usually repeats, or a
    /// few of them do in the same order.
    last: usize,
}

impl UnmatchedLog {
    /// Records an input. Allocates for the first [`MAX_UNMATCHED`] different ones and for longer
    /// texts than an entry held before, and never in the steady state.
    pub(crate) fn record(&mut self, channel: &str, input: Unmatched<'_>, now: Duration) {
        let is_same = |index: &usize| {
            let entry = &self.entries[*index];
            entry.channel == channel && entry.sender.equals(input.sender)
        };
        let index = (self.last..self.entries.len()).chain(0..self.last).find(is_same);
        let index = index.unwrap_or_else(|| self.claim(channel, input.sender));
        self.last = index;
        let entry = &mut self.entries[index];
        assign(&mut entry.types, input.types, MAX_UNMATCHED_TEXT);
        entry.raw.assign(input.raw);
        entry.value = input.value;
        entry.count += 1;
        entry.last = now;
        let number = match input.raw {
            RawValue::Integer(number) => number as f64,
            RawValue::Number(number) if number.is_finite() => number,
            _ => return,
        };
        let (low, high) = entry.range.unwrap_or((number, number));
        entry.range = Some((low.min(number), high.max(number)));
    }

    /// An empty entry for a channel: a new one, or the one whose last input is the oldest.
    fn claim(&mut self, channel: &str, sender: Sender<'_>) -> usize {
        let index = if self.entries.len() < MAX_UNMATCHED {
            self.entries.push(UnmatchedInput {
                channel: String::new(),
                types: String::new(),
                raw: OwnedRawValue::None,
                range: None,
                value: None,
                sender: OwnedSender::Unknown,
                count: 0,
                last: Duration::ZERO,
            });
            self.entries.len() - 1
        } else {
            let oldest = self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.last);
            oldest.map_or(0, |(index, _)| index)
        };
        let entry = &mut self.entries[index];
        assign(&mut entry.channel, channel, usize::MAX);
        entry.sender.assign(sender);
        (entry.count, entry.range) = (0, None);
        index
    }

    /// All entries, the newest first.
    pub(crate) fn newest_first(&self) -> Vec<UnmatchedInput> {
        let mut entries = self.entries.clone();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.last));
        entries
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes the entries of a channel, which is mapped now.
    pub(crate) fn remove(&mut self, channel: &str) {
        self.entries.retain(|entry| entry.channel != channel);
        self.last = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(raw: f64) -> Unmatched<'static> {
        let sender = Sender::Address(([10, 0, 0, 7], 9000).into());
        Unmatched {
            types: "f",
            raw: RawValue::Number(raw),
            value: Some(raw.clamp(0.0, 1.0)),
            sender,
        }
    }

    #[test]
    fn repeated_inputs_share_an_entry_that_shows_the_range() {
        let mut log = UnmatchedLog::default();
        for (second, raw) in [(1, 0.0), (2, 127.0), (3, 64.0)] {
            log.record("/fader", number(raw), Duration::from_secs(second));
        }
        log.record(
            "/name",
            Unmatched { raw: RawValue::Text("hello"), types: "s", ..number(0.0) },
            Duration::from_secs(4),
        );
        let entries = log.newest_first();
        assert_eq!(entries.len(), 2);
        assert_eq!(
            (entries[0].channel.as_str(), entries[0].raw.to_string()),
            ("/name", "\"hello\"".into())
        );
        assert_eq!((entries[1].count, entries[1].range), (3, Some((0.0, 127.0))));
        assert_eq!(entries[1].raw, OwnedRawValue::Number(64.0));
        assert_eq!(entries[1].sender.to_string(), "10.0.0.7:9000");
    }

    #[test]
    fn a_new_input_replaces_the_entry_with_the_oldest_input() {
        let mut log = UnmatchedLog::default();
        for index in 0..MAX_UNMATCHED as u64 + 1 {
            log.record(&format!("/{index}"), number(0.5), Duration::from_secs(index));
        }
        let entries = log.newest_first();
        assert_eq!(entries.len(), MAX_UNMATCHED);
        assert_eq!(entries[0].channel, format!("/{MAX_UNMATCHED}"));
        assert!(entries.iter().all(|entry| entry.channel != "/0"));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let mut log = UnmatchedLog::default();
        let text = "ü".repeat(100);
        log.record("/x", Unmatched { raw: RawValue::Text(&text), ..number(0.0) }, Duration::ZERO);
        let OwnedRawValue::Text(kept) = &log.newest_first()[0].raw else { panic!("a text") };
        assert_eq!(kept.len(), MAX_UNMATCHED_TEXT);
    }
}
