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
//! | 9 | time limit | milliseconds, 0 for none | | the time limit of calls is another one |
//!
//! # From the worker
//!
//! First *hello*. Then values, and:
//!
//! | kind | name | argument | payload | |
//! |---|---|---|---|---|
//! | 1 | hello | version, major × 256 + minor | | the interpreter has started |
//! | 2 | ready | 0: whole, 1: in part, 2: no part | reason, unless 0 | the script is loaded |
//! | 3 | error | error number | place, line break, description | an error of a new kind |
//! | 4 | repeat | error number | | the error occurred again |
//! | 5 | warning | | text | for the log |
//! | 6 | failed | | reason | the script cannot run: it is not started again |
//! | 7 | stopped | | | the cleanup handler has run, the worker exits |
//! | 8 | pong | | | the answer to *ping* |
//! | 9 | wake request | | | a thread changed intervals or sockets: send *wake* |
//! | 10 | generation | generation | | the change is applied |
//! | 11 | text | number | root (4 bytes), text | the script outputs a text |
//! | 12 | file | | path | the script has loaded this file of the show |
//! | 13 | unmatched | length of the name | value (`f64`), name, text | an output on a channel that is not mapped; the value is NaN for a text |
//! | 14 | ended | | text for the log | the script ended itself on purpose: it is not started again |
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

mod command;
mod message;
mod setup;
#[cfg(test)]
mod tests;

use consort_router::context::MAX_TEXT_BYTES;

pub(crate) use command::{Command, push_command};
#[cfg(feature = "lua")]
pub(crate) use command::{Input, decode_input};
#[cfg(any(feature = "lua", test))]
pub(crate) use message::push_message;
pub(crate) use message::{LoadResult, Message, Output, Report, decode};
#[cfg(feature = "lua")]
pub(crate) use setup::WorkerSetup;
pub(crate) use setup::{ScriptPart, Setup};

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

/// Appends one value.
#[inline]
pub(crate) fn push_value(bytes: &mut Vec<u8>, number: u32, root: u32, value: f64) {
    let mut record = [0; RECORD_BYTES];
    record[..4].copy_from_slice(&number.to_le_bytes());
    record[4..8].copy_from_slice(&root.to_le_bytes());
    record[8..].copy_from_slice(&value.to_le_bytes());
    bytes.extend_from_slice(&record);
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

/// The header of a frame.
#[derive(Clone, Copy, Debug)]
struct Header {
    kind: u32,
    argument: u32,
}

/// The record at the beginning of some bytes.
enum Record<'a> {
    Value { number: u32, root: u32, value: f64 },
    Frame(Header, &'a [u8]),
}

/// Takes the record or frame at the beginning of `bytes`; returns it with its length in bytes, or
/// none if it is incomplete.
#[inline]
fn split_record(
    bytes: &[u8],
    max_payload: usize,
) -> Result<Option<(Record<'_>, usize)>, ProtocolError> {
    let Some((record, rest)) = bytes.split_first_chunk::<RECORD_BYTES>() else { return Ok(None) };
    let word = |offset: usize| {
        let bytes = [record[offset], record[offset + 1], record[offset + 2], record[offset + 3]];
        u32::from_le_bytes(bytes)
    };
    let number = word(0);
    if number != CONTROL {
        let value = f64::from_bits(u64::from(word(8)) | u64::from(word(12)) << 32);
        return Ok(Some((Record::Value { number, root: word(4), value }, RECORD_BYTES)));
    }
    let (header, length) = (Header { kind: word(4), argument: word(12) }, word(8));
    if length as usize > max_payload {
        return Err(ProtocolError::Length(length));
    }
    let size = padded(length as usize);
    let payload = rest.get(..size).map(|payload| &payload[..length as usize]);
    Ok(payload.map(|payload| (Record::Frame(header, payload), RECORD_BYTES + size)))
}

/// The root at the beginning of a payload, and the text behind it.
fn rooted_text(kind: u32, payload: &[u8]) -> Result<(u32, &str), ProtocolError> {
    let (root, text) = payload.split_first_chunk().ok_or(ProtocolError::Payload(kind))?;
    Ok((u32::from_le_bytes(*root), short_text(kind, text)?))
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
