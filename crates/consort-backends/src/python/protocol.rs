//! The protocol between an instance and its worker.
//!
//! Both directions are streams of records of twelve bytes, little-endian:
//!
//! | direction | bytes 0–3 (`u32`) | bytes 4–11 | after the record |
//! |---|---|---|---|
//! | both | a channel's number | its value (`f64`) | |
//! | to the worker | `CONTROL` | the `Command`'s number (`f64`) | |
//! | from the worker | `CONTROL` | the `Message`'s kind and a length (`u32` each) | that many bytes |
//!
//! The first record from a worker, `Message::Hello`, has its version in place of the length.
//! The first bytes to a worker are a `Setup`.

use std::path::Path;

/// The number in place of a channel's that marks a command or a message.
pub(crate) const CONTROL: u32 = u32::MAX;

/// The size of a record.
pub(crate) const RECORD_BYTES: usize = 12;

/// The maximum length of a message's text.
const MAX_TEXT_BYTES: usize = 1 << 17;

/// What an instance sends besides values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Run the cleanup handler and exit.
    Stop,
    /// Answer with [`Message::Pong`].
    Ping,
    /// Return from `poll` and evaluate the intervals and sockets again.
    Wake,
}

/// Appends one value.
#[inline]
pub(crate) fn push_value(bytes: &mut Vec<u8>, channel: u32, value: f64) {
    let mut record = [0; RECORD_BYTES];
    record[..4].copy_from_slice(&channel.to_le_bytes());
    record[4..].copy_from_slice(&value.to_le_bytes());
    bytes.extend_from_slice(&record);
}

/// Appends a command.
pub(crate) fn push_command(bytes: &mut Vec<u8>, command: Command) {
    let value = match command {
        Command::Stop => 1.0,
        Command::Ping => 2.0,
        Command::Wake => 3.0,
    };
    push_value(bytes, CONTROL, value);
}

/// What a worker is sent first: its program and its settings.
pub(crate) struct Setup<'a> {
    /// The source of the worker's program.
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
    /// Encodes it: the length of the rest, then the fields, each after its length.
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
                push_value(&mut inputs, channel as u32, value);
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
pub(crate) enum Message {
    /// The script has output a value on a channel.
    Value(u32, f64),
    /// The interpreter has started; its version of Python (major, minor).
    Hello(u8, u8),
    /// The modules are imported.
    Ready,
    /// An error of a new kind: its number, and what failed with the traceback.
    Error(u32, String),
    /// The error with this number occurred again.
    Repeat(u32),
    /// A warning for the log.
    Warning(String),
    /// A module called `sys.exit` during its import: the module and the exit code, with a NUL
    /// between them.
    Exit(String),
    /// The cleanup handler has run and the worker exits.
    Stopped,
    /// The answer to [`Command::Ping`].
    Pong,
    /// A thread of the script changed intervals or sockets: answer with [`Command::Wake`].
    WakeRequest,
}

/// Why the bytes from a worker are not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtocolError {
    #[error("unknown message kind {0}")]
    Kind(u32),
    #[error("a text of {0} bytes; at most {MAX_TEXT_BYTES} are allowed")]
    Length(u32),
    #[error("a message of kind {0} is too short")]
    Short(u32),
    #[error("an invalid value or channel (channel {0})")]
    Value(u32),
}

/// Decodes the message at the beginning of `bytes`; returns it with its length in bytes, or none
/// if it is incomplete.
///
/// # Errors
/// If the bytes are not a message.
#[inline]
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Message, usize)>, ProtocolError> {
    let Some((record, rest)) = bytes.split_first_chunk::<RECORD_BYTES>() else { return Ok(None) };
    let word = |offset: usize| {
        let bytes = [record[offset], record[offset + 1], record[offset + 2], record[offset + 3]];
        u32::from_le_bytes(bytes)
    };
    let channel = word(0);
    if channel != CONTROL {
        let value = f64::from_bits(u64::from(word(4)) | u64::from(word(8)) << 32);
        return Ok(Some((Message::Value(channel, value), RECORD_BYTES)));
    }
    decode_control(word(4), word(8), rest)
}

/// Decodes a message that is not a value: `rest` is what follows its record.
fn decode_control(
    kind: u32,
    size: u32,
    rest: &[u8],
) -> Result<Option<(Message, usize)>, ProtocolError> {
    if kind == 1 {
        let (major, minor) = ((size >> 8) as u8, size as u8);
        return Ok(Some((Message::Hello(major, minor), RECORD_BYTES)));
    }
    if size as usize > MAX_TEXT_BYTES {
        return Err(ProtocolError::Length(size));
    }
    let Some(payload) = rest.get(..size as usize) else { return Ok(None) };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let numbered = || {
        let (number, rest) = payload.split_first_chunk::<4>().ok_or(ProtocolError::Short(kind))?;
        Ok((u32::from_le_bytes(*number), rest))
    };
    let message = match kind {
        2 => Message::Ready,
        3 => {
            let (number, rest) = numbered()?;
            Message::Error(number, text(rest))
        }
        4 => Message::Repeat(numbered()?.0),
        5 => Message::Warning(text(payload)),
        6 => Message::Exit(text(payload)),
        7 => Message::Stopped,
        8 => Message::Pong,
        9 => Message::WakeRequest,
        _ => return Err(ProtocolError::Kind(kind)),
    };
    Ok(Some((message, RECORD_BYTES + payload.len())))
}

/// For the fuzz target and the property test: decodes until an error or the end. The length of a
/// message never exceeds the input, and a decoded value encodes to the same bytes.
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let mut offset = 0;
    while let Ok(Some((message, length))) = decode(&bytes[offset..]) {
        assert!(length >= RECORD_BYTES && offset + length <= bytes.len());
        if let Message::Value(channel, value) = message {
            let mut encoded = Vec::new();
            push_value(&mut encoded, channel, value);
            assert_eq!(encoded, &bytes[offset..offset + length]);
        }
        offset += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn control(kind: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = CONTROL.to_le_bytes().to_vec();
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn values_and_messages_are_decoded_in_order() {
        let mut bytes = Vec::new();
        push_value(&mut bytes, 7, 0.25);
        bytes.extend(control(3, b"\x05\0\0\0where\nwhat"));
        bytes.extend(control(2, b""));
        let (first, length) = decode(&bytes).unwrap().unwrap();
        assert_eq!((first, length), (Message::Value(7, 0.25), 12));
        let (second, second_length) = decode(&bytes[length..]).unwrap().unwrap();
        assert_eq!(second, Message::Error(5, "where\nwhat".into()));
        let third = decode(&bytes[length + second_length..]).unwrap().unwrap();
        assert_eq!(third, (Message::Ready, 12));
    }

    #[test]
    fn an_incomplete_message_needs_more_bytes() {
        let bytes = control(5, b"careful");
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Ok(None), "{end} bytes");
        }
    }

    #[test]
    fn invalid_messages_are_errors() {
        assert_eq!(decode(&control(77, b"")), Err(ProtocolError::Kind(77)));
        assert_eq!(decode(&control(3, b"xy")), Err(ProtocolError::Short(3)));
        let mut long = control(5, b"");
        long[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decode(&long), Err(ProtocolError::Length(u32::MAX)));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            fuzz(&bytes);
        }

        #[test]
        fn any_control_message_can_be_decoded(kind in 0_u32..12, payload in ".{0,40}") {
            fuzz(&control(kind, payload.as_bytes()));
        }
    }
}
