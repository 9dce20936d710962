//! What an instance sends to its worker.

use super::{MAX_COMMAND_BYTES, RECORD_BYTES, padded, push_frame};
#[cfg(feature = "lua")]
use super::{ProtocolError, Record, rooted_text, short_text, split_record};

/// What an instance sends besides values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    /// Run the cleanup handler and exit.
    Stop,
    /// Answer with [`Report::Pong`].
    Ping,
    /// Return from `poll` and evaluate the intervals and sockets again.
    Wake,
    /// Add a channel, or change its usage: bit 0 as a source, bit 1 as a target.
    Channel { number: u32, usage: u8, name: &'a str },
    /// Remove a channel.
    Remove(u32),
    /// The handler of channels without a dot; empty for none.
    DefaultHandler(&'a str),
    /// A change of channels is complete: find the handlers, answer with
    /// [`Report::Generation`].
    Generation(u32),
    /// A text arrives on a channel.
    Text { number: u32, root: u32, text: &'a str },
    /// The maximum time for one call in milliseconds; 0 for no limit.
    TimeLimit(u32),
}

/// Appends a command.
pub(crate) fn push_command(bytes: &mut Vec<u8>, command: Command<'_>) {
    let before = bytes.len();
    let mut push =
        |kind, argument, payload: [&[u8]; 2]| push_frame(bytes, kind, argument, &payload);
    match command {
        Command::Stop => push(1, 0, [b"", b""]),
        Command::Ping => push(2, 0, [b"", b""]),
        Command::Wake => push(3, 0, [b"", b""]),
        Command::Channel { number, usage, name } => push(4, number, [&[usage], name.as_bytes()]),
        Command::Remove(number) => push(5, number, [b"", b""]),
        Command::DefaultHandler(name) => push(6, 0, [name.as_bytes(), b""]),
        Command::Generation(generation) => push(7, generation, [b"", b""]),
        Command::Text { number, root, text } => {
            push(8, number, [&root.to_le_bytes(), text.as_bytes()]);
        }
        Command::TimeLimit(limit) => push(9, limit, [b"", b""]),
    }
    debug_assert!(bytes.len() - before <= RECORD_BYTES + padded(MAX_COMMAND_BYTES));
}

/// What a worker receives.
#[cfg(feature = "lua")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Input<'a> {
    /// A value arrives on a channel.
    Value { number: u32, root: u32, value: f64 },
    /// Anything else.
    Command(Command<'a>),
}

/// Decodes what is at the beginning of `bytes`; returns it with its length in bytes, or none if it
/// is incomplete.
///
/// # Errors
/// If the bytes are not what an instance sends.
#[cfg(feature = "lua")]
#[inline]
pub(crate) fn decode_input(bytes: &[u8]) -> Result<Option<(Input<'_>, usize)>, ProtocolError> {
    let Some((record, size)) = split_record(bytes, MAX_COMMAND_BYTES)? else { return Ok(None) };
    let (header, payload) = match record {
        Record::Value { number, root, value } => {
            return Ok(Some((Input::Value { number, root, value }, size)));
        }
        Record::Frame(header, payload) => (header, payload),
    };
    let (kind, argument) = (header.kind, header.argument);
    let command = match kind {
        1 => Command::Stop,
        2 => Command::Ping,
        3 => Command::Wake,
        4 => {
            let (&usage, name) = payload.split_first().ok_or(ProtocolError::Payload(kind))?;
            Command::Channel { number: argument, usage, name: short_text(kind, name)? }
        }
        5 => Command::Remove(argument),
        6 => Command::DefaultHandler(short_text(kind, payload)?),
        7 => Command::Generation(argument),
        8 => {
            let (root, text) = rooted_text(kind, payload)?;
            Command::Text { number: argument, root, text }
        }
        9 => Command::TimeLimit(argument),
        _ => return Err(ProtocolError::Kind(kind)),
    };
    Ok(Some((Input::Command(command), size)))
}
