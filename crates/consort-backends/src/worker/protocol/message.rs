//! What a worker sends to its instance.

use super::{MAX_MESSAGE_BYTES, ProtocolError, Record, rooted_text, short_text, split_record};
#[cfg(any(feature = "lua", test))]
use super::{MAX_NAME_BYTES, push_frame, push_value};

/// What a worker sends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message<'a> {
    /// The script has output a value on a channel.
    Value { number: u32, root: u32, value: f64 },
    /// The script has output a text on a channel.
    Text { number: u32, root: u32, text: &'a str },
    /// The script has output a value or a text on a channel that is not mapped.
    Unmatched { name: &'a str, output: Output<'a> },
    /// The script has loaded a file of the show.
    File(&'a [u8]),
    /// What concerns the worker itself.
    Report(Report),
}

/// What concerns a worker itself; rare, so it owns its texts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Report {
    /// The interpreter has started; its version (major, minor).
    Hello(u8, u8),
    /// The script is loaded, as far as it can be.
    Ready(LoadResult),
    /// An error of a new kind: its number, and what failed with the traceback.
    Error(u32, String),
    /// The error with this number occurred again.
    Repeat(u32),
    /// A warning for the log.
    Warning(String),
    /// The script cannot run, for this reason: it is not started again.
    Failed(String),
    /// The script has ended itself on purpose, with a text for the log.
    Ended(String),
    /// The cleanup handler has run and the worker exits.
    Stopped,
    /// The answer to [`Command::Ping`].
    Pong,
    /// A thread of the script changed intervals or sockets: answer with [`Command::Wake`].
    WakeRequest,
    /// The worker has applied the change of channels with this number.
    Generation(u32),
}

/// How much of a script could be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LoadResult {
    Complete,
    /// Some parts, such as modules, could not, for this reason.
    Partial(String),
    /// No part could be loaded, for this reason.
    Nothing(String),
}

/// A value or a text on its way out of a script.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Output<'a> {
    Value(f64),
    Text(&'a str),
}

/// Decodes the message at the beginning of `bytes`; returns it with its length in bytes, or none
/// if it is incomplete.
///
/// # Errors
/// If the bytes are not a message.
#[inline]
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Message<'_>, usize)>, ProtocolError> {
    let Some((record, size)) = split_record(bytes, MAX_MESSAGE_BYTES)? else { return Ok(None) };
    let message = match record {
        Record::Value { number, root, value } => Message::Value { number, root, value },
        Record::Frame(header, payload) => decode_frame(header.kind, header.argument, payload)?,
    };
    Ok(Some((message, size)))
}

/// Decodes what is not a value.
fn decode_frame(kind: u32, argument: u32, payload: &[u8]) -> Result<Message<'_>, ProtocolError> {
    let text = || String::from_utf8_lossy(payload).into_owned();
    Ok(Message::Report(match kind {
        1 => Report::Hello((argument >> 8) as u8, argument as u8),
        2 => Report::Ready(match argument {
            0 => LoadResult::Complete,
            1 => LoadResult::Partial(text()),
            _ => LoadResult::Nothing(text()),
        }),
        3 => Report::Error(argument, text()),
        4 => Report::Repeat(argument),
        5 => Report::Warning(text()),
        6 => Report::Failed(text()),
        7 => Report::Stopped,
        8 => Report::Pong,
        9 => Report::WakeRequest,
        10 => Report::Generation(argument),
        11 => {
            let (root, text) = rooted_text(kind, payload)?;
            return Ok(Message::Text { number: argument, root, text });
        }
        12 => return Ok(Message::File(payload)),
        13 => return decode_unmatched(kind, argument, payload),
        14 => Report::Ended(text()),
        _ => return Err(ProtocolError::Kind(kind)),
    }))
}

fn decode_unmatched(kind: u32, length: u32, payload: &[u8]) -> Result<Message<'_>, ProtocolError> {
    let invalid = ProtocolError::Payload(kind);
    let (value, rest) = payload.split_first_chunk().ok_or(invalid)?;
    let (name, text) = rest.split_at_checked(length as usize).ok_or(invalid)?;
    let value = f64::from_le_bytes(*value);
    let output = match value.is_nan() {
        true => Output::Text(short_text(kind, text)?),
        false if text.is_empty() => Output::Value(value),
        false => return Err(invalid),
    };
    Ok(Message::Unmatched { name: short_text(kind, name)?, output })
}

/// Appends a message. Long texts are shortened to what the protocol allows.
#[cfg(any(feature = "lua", test))]
pub(crate) fn push_message(bytes: &mut Vec<u8>, message: &Message<'_>) {
    let mut push = |kind, argument, payload: &[&[u8]]| push_frame(bytes, kind, argument, payload);
    let report = match message {
        Message::Value { number, root, value } => {
            return push_value(bytes, *number, *root, *value);
        }
        Message::Text { number, root, text } => {
            return push(11, *number, &[&root.to_le_bytes(), text.as_bytes()]);
        }
        Message::Unmatched { name, output } => {
            let (value, text) = match output {
                Output::Value(value) => (*value, ""),
                Output::Text(text) => (f64::NAN, *text),
            };
            debug_assert!(name.len() <= MAX_NAME_BYTES);
            let payload = [&value.to_le_bytes()[..], name.as_bytes(), text.as_bytes()];
            return push(13, name.len() as u32, &payload);
        }
        Message::File(path) => return push(12, 0, &[path]),
        Message::Report(report) => report,
    };
    match report {
        Report::Hello(major, minor) => {
            push(1, u32::from(*major) << 8 | u32::from(*minor), &[]);
        }
        Report::Ready(LoadResult::Complete) => push(2, 0, &[]),
        Report::Ready(LoadResult::Partial(reason)) => push(2, 1, &[shortened(reason)]),
        Report::Ready(LoadResult::Nothing(reason)) => push(2, 2, &[shortened(reason)]),
        Report::Error(number, text) => push(3, *number, &[shortened(text)]),
        Report::Repeat(number) => push(4, *number, &[]),
        Report::Warning(text) => push(5, 0, &[shortened(text)]),
        Report::Failed(reason) => push(6, 0, &[shortened(reason)]),
        Report::Stopped => push(7, 0, &[]),
        Report::Pong => push(8, 0, &[]),
        Report::WakeRequest => push(9, 0, &[]),
        Report::Generation(generation) => push(10, *generation, &[]),
        Report::Ended(text) => push(14, 0, &[shortened(text)]),
    }
}

/// The beginning of a text that fits into a message.
#[cfg(any(feature = "lua", test))]
fn shortened(text: &str) -> &[u8] {
    let mut end = text.len().min(MAX_MESSAGE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text.as_bytes()[..end]
}
