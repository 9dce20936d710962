//! The protocol between an instance and its worker, the process that runs a script. It depends on
//! no language: a worker for another one sends and receives the same frames.
//!
//! # Frames
//!
//! Both directions are streams of *records* of 16 bytes, little-endian. A value is one record:
//!
//! | bytes | type | content |
//! |---|---|---|
//! | 0–3 | `u32` | the channel's number, below `CONTROL` |
//! | 4–7 | `u32` | the [root](consort_router::Root) of the input that the value descends from |
//! | 8–15 | `f64` | the value, from 0.0 to 1.0 |
//!
//! Everything else is a *frame*: a header of one record, and a payload that is filled up with
//! zeros to a whole number of records, so that a reader never loses its place among them:
//!
//! | bytes | type | content |
//! |---|---|---|
//! | 0–3 | `u32` | `CONTROL` |
//! | 4–7 | `u32` | the kind |
//! | 8–11 | `u32` | the length of the payload in bytes, without the zeros |
//! | 12–15 | `u32` | the argument |
//!
//! A payload to the worker has at most `MAX_COMMAND_BYTES`, one from the worker at most
//! `MAX_MESSAGE_BYTES`; a text of a channel and a channel's name at most 1,024 bytes each. Texts
//! are UTF-8.
//!
//! # To the worker
//!
//! First a `Setup`, when the worker has sent `Report::Hello`. Then values, and:
//!
//! | kind | name | argument | payload | |
//! |---|---|---|---|---|
//! | 1 | stop | | | run the cleanup handler, send *stopped* and exit |
//! | 2 | ping | | | send *pong* |
//! | 3 | wake | | | return from waiting, and evaluate intervals and sockets again |
//! | 4 | channel | number | usage (1 byte), name | add a channel, or change its usage |
//! | 5 | remove | number | | remove a channel |
//! | 6 | default handler | | name | the handler of channels without a dot is another one |
//! | 7 | generation | generation | | a change of channels is complete |
//! | 8 | text | number | root (4 bytes), text | a text arrives on a channel |
//!
//! # From the worker
//!
//! First *hello*. Then values, and:
//!
//! | kind | name | argument | payload | |
//! |---|---|---|---|---|
//! | 1 | hello | version, major × 256 + minor | | the interpreter has started |
//! | 2 | ready | | | the script is loaded |
//! | 3 | error | error number | place, line break, description | an error of a new kind |
//! | 4 | repeat | error number | | the error occurred again |
//! | 5 | warning | | text | for the log |
//! | 6 | exit | | module, NUL, exit code | loading the script ended the interpreter |
//! | 7 | stopped | | | the cleanup handler has run, the worker exits |
//! | 8 | pong | | | the answer to *ping* |
//! | 9 | wake request | | | a thread changed intervals or sockets: send *wake* |
//! | 10 | generation | generation | | the change is applied |
//! | 11 | text | number | root (4 bytes), text | the script outputs a text |
//! | 12 | file | | path | the script has loaded this file of the show |
//! | 13 | unmatched | length of the name | value (`f64`), name, text | an output on a channel that is not mapped; the value is NaN for a text |
//!
//! # Channels and generations
//!
//! A channel's number belongs to the protocol, not to the router. Setup numbers the mapped
//! channels from 0. When a reload changes them, the instance sends *remove* for each channel that
//! goes, *channel* for each that comes, in mapping order, and *generation* with the next number;
//! the worker then finds the handlers of the new channels in that order. Channels that stay keep
//! their numbers. From the moment of the reload, the instance drops what arrives for a channel
//! that has gone. The number of such a channel is given to another one only after the worker has
//! answered with that *generation*, since values that were on their way until then may still
//! carry it.
//!
//! # Roots
//!
//! What a handler outputs has the root of the value or text that the handler was called with.
//! Outputs of intervals, socket handlers, other threads, imports and the cleanup handler carry
//! `NO_ROOT`: each starts a new root.

use std::path::Path;

use consort_router::context::MAX_TEXT_BYTES;

/// The number in place of a channel's that marks the header of a frame.
pub(crate) const CONTROL: u32 = u32::MAX;

/// The number in place of a root: the value results from no input. (An input has this root once
/// in 2³²; what descends from it starts a new one.)
pub(crate) const NO_ROOT: u32 = u32::MAX;

/// The size of a record.
pub(crate) const RECORD_BYTES: usize = 16;

/// The maximum length of a payload to the worker: a text and its root, or a channel and its usage.
pub(crate) const MAX_COMMAND_BYTES: usize = MAX_TEXT_BYTES + 16;

/// The maximum length of a channel's name in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 1_024;

/// The maximum length of a payload from the worker: 32,000 characters of a traceback.
pub(crate) const MAX_MESSAGE_BYTES: usize = 1 << 17;

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
}

/// Appends one value.
#[inline]
pub(crate) fn push_value(bytes: &mut Vec<u8>, number: u32, root: u32, value: f64) {
    let mut record = [0; RECORD_BYTES];
    record[..4].copy_from_slice(&number.to_le_bytes());
    record[4..8].copy_from_slice(&root.to_le_bytes());
    record[8..].copy_from_slice(&value.to_le_bytes());
    bytes.extend_from_slice(&record);
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
    }
    debug_assert!(bytes.len() - before <= RECORD_BYTES + padded(MAX_COMMAND_BYTES));
}

/// Appends a frame whose payload is joined from parts.
fn push_frame(bytes: &mut Vec<u8>, kind: u32, argument: u32, payload: &[&[u8]]) {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    for word in [CONTROL, kind, length as u32, argument] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    for part in payload {
        bytes.extend_from_slice(part);
    }
    bytes.resize(bytes.len() + padded(length) - length, 0);
}

/// The length of a payload with the zeros behind it.
fn padded(length: usize) -> usize {
    length.next_multiple_of(RECORD_BYTES)
}

/// What a worker is sent first: its program and its settings.
pub(crate) struct Setup<'a> {
    /// The worker's program: for Python, the name and the source of each module, with a NUL
    /// between them.
    pub(crate) program: &'a str,
    /// The reading of the monotonic clock at the start of the show, in nanoseconds.
    pub(crate) epoch: i64,
    /// The folder of the configuration, the first in the module search path.
    pub(crate) directory: &'a Path,
    /// The handler of channels without a dot; empty for none.
    pub(crate) default_handler: &'a str,
    /// The name of each module, and the path of its source if the option gives a path.
    pub(crate) modules: Vec<(&'a str, Option<&'a Path>)>,
    /// The names of the mapped channels, by number.
    pub(crate) channels: &'a [String],
    /// How each channel is used: bit 0 as a source, bit 1 as a target.
    pub(crate) usage: &'a [u8],
    /// The last input of each channel; NaN for none.
    pub(crate) inputs: &'a [f64],
}

impl Setup<'_> {
    /// Encodes it: the length of the rest (`u32`), then the fields, each after its length
    /// (`u32`). The names of channels and the modules are separated by NULs; the inputs are
    /// values.
    pub(crate) fn encode(&self) -> Vec<u8> {
        use std::os::unix::ffi::OsStrExt;
        let mut modules = Vec::new();
        for (name, path) in &self.modules {
            if !modules.is_empty() {
                modules.push(0);
            }
            modules.extend_from_slice(name.as_bytes());
            modules.push(0);
            modules.extend_from_slice(path.map_or(b"", |path| path.as_os_str().as_bytes()));
        }
        let mut inputs = Vec::new();
        for (channel, &value) in self.inputs.iter().enumerate() {
            if !value.is_nan() {
                push_value(&mut inputs, channel as u32, NO_ROOT, value);
            }
        }
        let fields: [&[u8]; 8] = [
            self.program.as_bytes(),
            &self.epoch.to_string().into_bytes(),
            self.directory.as_os_str().as_bytes(),
            self.default_handler.as_bytes(),
            &modules,
            &self.channels.join("\0").into_bytes(),
            self.usage,
            &inputs,
        ];
        let size: usize = fields.iter().map(|field| field.len() + 4).sum();
        let mut bytes = Vec::with_capacity(size + 4);
        bytes.extend_from_slice(&encode_length(size));
        for field in fields {
            bytes.extend_from_slice(&encode_length(field.len()));
            bytes.extend_from_slice(field);
        }
        bytes
    }
}

fn encode_length(size: usize) -> [u8; 4] {
    u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes()
}

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
    /// The script is loaded.
    Ready,
    /// An error of a new kind: its number, and what failed with the traceback.
    Error(u32, String),
    /// The error with this number occurred again.
    Repeat(u32),
    /// A warning for the log.
    Warning(String),
    /// A module ended the interpreter during its import: the module and the exit code, with a NUL
    /// between them.
    Exit(String),
    /// The cleanup handler has run and the worker exits.
    Stopped,
    /// The answer to [`Command::Ping`].
    Pong,
    /// A thread of the script changed intervals or sockets: answer with [`Command::Wake`].
    WakeRequest,
    /// The worker has applied the change of channels with this number.
    Generation(u32),
}

/// A value or a text on its way out of a script.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Output<'a> {
    Value(f64),
    Text(&'a str),
}

/// Why the bytes from a worker are not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtocolError {
    #[error("unknown message kind {0}")]
    Kind(u32),
    #[error("a message of {0} bytes; at most {MAX_MESSAGE_BYTES} are allowed")]
    Length(u32),
    #[error("a message of kind {0} with an invalid length")]
    Payload(u32),
    #[error("a text that is too long or not UTF-8, in a message of kind {0}")]
    Text(u32),
    #[error("an invalid value or channel (channel {0})")]
    Value(u32),
}

/// Decodes the message at the beginning of `bytes`; returns it with its length in bytes, or none
/// if it is incomplete.
///
/// # Errors
/// If the bytes are not a message.
#[inline]
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Message<'_>, usize)>, ProtocolError> {
    let Some((record, rest)) = bytes.split_first_chunk::<RECORD_BYTES>() else { return Ok(None) };
    let word = |offset: usize| {
        let bytes = [record[offset], record[offset + 1], record[offset + 2], record[offset + 3]];
        u32::from_le_bytes(bytes)
    };
    let number = word(0);
    if number != CONTROL {
        let value = f64::from_bits(u64::from(word(8)) | u64::from(word(12)) << 32);
        return Ok(Some((Message::Value { number, root: word(4), value }, RECORD_BYTES)));
    }
    decode_frame(word(4), word(8), word(12), rest)
}

/// Decodes a frame: `rest` is what follows its header.
fn decode_frame(
    kind: u32,
    length: u32,
    argument: u32,
    rest: &[u8],
) -> Result<Option<(Message<'_>, usize)>, ProtocolError> {
    if length as usize > MAX_MESSAGE_BYTES {
        return Err(ProtocolError::Length(length));
    }
    let size = padded(length as usize);
    let Some(payload) = rest.get(..size).map(|payload| &payload[..length as usize]) else {
        return Ok(None);
    };
    let text = || String::from_utf8_lossy(payload).into_owned();
    let report = match kind {
        1 => Report::Hello((argument >> 8) as u8, argument as u8),
        2 => Report::Ready,
        3 => Report::Error(argument, text()),
        4 => Report::Repeat(argument),
        5 => Report::Warning(text()),
        6 => Report::Exit(text()),
        7 => Report::Stopped,
        8 => Report::Pong,
        9 => Report::WakeRequest,
        10 => Report::Generation(argument),
        11 => {
            let (root, text) = payload.split_first_chunk().ok_or(ProtocolError::Payload(kind))?;
            let (number, root) = (argument, u32::from_le_bytes(*root));
            let message = Message::Text { number, root, text: short_text(kind, text)? };
            return Ok(Some((message, RECORD_BYTES + size)));
        }
        12 => return Ok(Some((Message::File(payload), RECORD_BYTES + size))),
        13 => {
            let message = decode_unmatched(kind, argument, payload)?;
            return Ok(Some((message, RECORD_BYTES + size)));
        }
        _ => return Err(ProtocolError::Kind(kind)),
    };
    Ok(Some((Message::Report(report), RECORD_BYTES + size)))
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

/// A text of a channel, or a channel's name.
fn short_text(kind: u32, bytes: &[u8]) -> Result<&str, ProtocolError> {
    if bytes.len() > MAX_TEXT_BYTES.max(MAX_NAME_BYTES) {
        return Err(ProtocolError::Text(kind));
    }
    std::str::from_utf8(bytes).map_err(|_| ProtocolError::Text(kind))
}

/// For the fuzz target and the property test: decodes until an error or the end. The length of a
/// message never exceeds the input, and what is decoded encodes to the same bytes.
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let mut offset = 0;
    while let Ok(Some((message, length))) = decode(&bytes[offset..]) {
        let end = offset + length;
        assert!(length >= RECORD_BYTES && length % RECORD_BYTES == 0 && end <= bytes.len());
        assert!(length <= RECORD_BYTES + MAX_MESSAGE_BYTES);
        let mut encoded = Vec::new();
        match message {
            Message::Value { number, root, value } => {
                push_value(&mut encoded, number, root, value);
            }
            Message::Text { number, root, text } => {
                assert!(text.len() <= MAX_TEXT_BYTES);
                push_frame(&mut encoded, 11, number, &[&root.to_le_bytes(), text.as_bytes()]);
                encoded.truncate(RECORD_BYTES + 4 + text.len());
            }
            Message::Unmatched { name, output: Output::Text(text) } => {
                assert!(name.len() <= MAX_NAME_BYTES && text.len() <= MAX_TEXT_BYTES);
            }
            _ => {}
        }
        assert!(bytes[offset..end].starts_with(&encoded));
        offset = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u32, argument: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_frame(&mut bytes, kind, argument, &[payload]);
        bytes
    }

    #[test]
    fn values_and_messages_are_decoded_in_order() {
        let mut bytes = Vec::new();
        push_value(&mut bytes, 7, 3, 0.25);
        bytes.extend(frame(3, 5, b"where\nwhat"));
        bytes.extend(frame(11, 2, b"\x09\0\0\0caf\xc3\xa9"));
        bytes.extend(frame(2, 0, b""));
        let expected = [
            (Message::Value { number: 7, root: 3, value: 0.25 }, 16),
            (Message::Report(Report::Error(5, "where\nwhat".into())), 32),
            (Message::Text { number: 2, root: 9, text: "café" }, 32),
            (Message::Report(Report::Ready), 16),
        ];
        let mut rest = &bytes[..];
        for expected in expected {
            assert_eq!(decode(rest), Ok(Some(expected.clone())));
            rest = &rest[expected.1..];
        }
        assert_eq!(decode(rest), Ok(None));
    }

    #[test]
    fn an_unmatched_output_is_a_value_or_a_text() {
        let number = [&0.5_f64.to_le_bytes()[..], b"fader"].concat();
        let text = [&f64::NAN.to_le_bytes()[..], b"fader", b"hello"].concat();
        let output = |bytes: &[u8]| match decode(bytes) {
            Ok(Some((Message::Unmatched { name: "fader", output }, _))) => {
                format!("{output:?}")
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(output(&frame(13, 5, &number)), "Value(0.5)");
        assert_eq!(output(&frame(13, 5, &text)), "Text(\"hello\")");
    }

    #[test]
    fn an_incomplete_message_needs_more_bytes() {
        let bytes = frame(5, 0, b"careful");
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Ok(None), "{end} bytes");
        }
    }

    #[test]
    fn invalid_messages_are_errors() {
        assert_eq!(decode(&frame(77, 0, b"")), Err(ProtocolError::Kind(77)));
        assert_eq!(decode(&frame(11, 0, b"xy")), Err(ProtocolError::Payload(11)));
        assert_eq!(decode(&frame(11, 0, b"root\xff")), Err(ProtocolError::Text(11)));
        assert_eq!(decode(&frame(11, 0, &[b'x'; 1_029])), Err(ProtocolError::Text(11)));
        assert_eq!(decode(&frame(13, 9, &[0; 12])), Err(ProtocolError::Payload(13)));
        assert_eq!(decode(&frame(13, 4, &[0; 13])), Err(ProtocolError::Payload(13)));
        let mut long = frame(5, 0, b"");
        long[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decode(&long), Err(ProtocolError::Length(u32::MAX)));
    }

    #[test]
    fn no_command_is_longer_than_allowed() {
        let long = "x".repeat(1_024);
        for command in [
            Command::Text { number: 0, root: 0, text: &long },
            Command::Channel { number: 0, usage: 3, name: &long },
            Command::DefaultHandler(&long),
        ] {
            let mut bytes = Vec::new();
            push_command(&mut bytes, command);
            assert!(bytes.len() <= RECORD_BYTES + padded(MAX_COMMAND_BYTES));
            assert_eq!(bytes.len() % RECORD_BYTES, 0);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            fuzz(&bytes);
        }

        #[test]
        fn any_frame_can_be_decoded(
            kind in 0_u32..16,
            argument in 0_u32..40,
            payload in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            fuzz(&frame(kind, argument, &payload));
        }
    }
}
