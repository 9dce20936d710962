//! What the core and a worker say to each other.
//!
//! Both directions are a stream of records of twelve bytes, little-endian: a channel's number
//! (`u32`) and a value (`f64`). The number `CONTROL` marks everything else: from the core the
//! value then says what is meant, from the worker a kind and a length (`u32` each) stand in its
//! place and that many bytes follow.

use std::path::Path;

/// The number that is no channel.
pub(crate) const CONTROL: u32 = u32::MAX;

/// Bytes in a record.
pub(crate) const RECORD: usize = 12;

/// The longest text a worker may send at once.
const TEXT_LIMIT: usize = 1 << 17;

/// What the core says besides values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Run the clean-up handler and leave.
    Stop,
    /// Say that you are there.
    Ping,
    /// Look again at what you wait for.
    Wake,
}

/// Appends one value.
#[inline]
pub(crate) fn push_value(bytes: &mut Vec<u8>, channel: u32, value: f64) {
    let mut record = [0; RECORD];
    record[..4].copy_from_slice(&channel.to_le_bytes());
    record[4..].copy_from_slice(&value.to_le_bytes());
    bytes.extend_from_slice(&record);
}

/// Appends an order.
pub(crate) fn push_order(bytes: &mut Vec<u8>, order: Order) {
    let value = match order {
        Order::Stop => 1.0,
        Order::Ping => 2.0,
        Order::Wake => 3.0,
    };
    push_value(bytes, CONTROL, value);
}

/// What a worker is told before anything else.
pub(crate) struct Setup<'a> {
    /// The text of the program that serves the instance.
    pub(crate) program: &'a str,
    /// The monotonic clock when the show started, in nanoseconds.
    pub(crate) epoch: i64,
    /// The folder of the configuration: the first place to look for modules.
    pub(crate) directory: &'a Path,
    /// The handler of unqualified channels, empty for none.
    pub(crate) default_handler: &'a str,
    /// Name of each module, and the path of its source if it was given as a path.
    pub(crate) modules: Vec<(&'a str, Option<&'a Path>)>,
    /// The names of the mapped channels, by number.
    pub(crate) channels: &'a [String],
    /// How each is used: bit 0 as a source, bit 1 as a target.
    pub(crate) usage: &'a [u8],
    /// The last input of each channel, NaN for none.
    pub(crate) inputs: &'a [f64],
}

impl Setup<'_> {
    /// The bytes of it: a length, then fields that each begin with their length.
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
        bytes.extend_from_slice(&length(size));
        for field in fields {
            bytes.extend_from_slice(&length(field.len()));
            bytes.extend_from_slice(field);
        }
        bytes
    }
}

fn length(size: usize) -> [u8; 4] {
    u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes()
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    /// It has put a value out.
    Value(u32, f64),
    /// It is there, and this Python (major, minor).
    Hello(u8, u8),
    /// Its modules are imported.
    Ready,
    /// An error of a new kind: its number, where, and the traceback.
    Error(u32, String),
    /// That error came again.
    Repeat(u32),
    /// Something the user should know.
    Warning(String),
    /// A module ended the instance while it was imported: the module and the exit code.
    Exit(String),
    /// It has cleaned up and ends.
    Bye,
    /// The answer to [`Order::Ping`].
    Pong,
    /// A thread of the script changed what the worker waits for: answer with [`Order::Wake`].
    WakeMe,
}

/// Why the bytes of a worker make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtocolError {
    #[error("an unknown message of kind {0}")]
    Kind(u32),
    #[error("a text of {0} bytes, {TEXT_LIMIT} are allowed")]
    Length(u32),
    #[error("a message of kind {0} that is too short")]
    Short(u32),
    #[error("a value that cannot be, of channel {0}")]
    Value(u32),
}

/// Takes one message from the front of `bytes`; how many bytes it took comes back. None: more
/// bytes are needed.
///
/// # Errors
/// When the bytes are no message.
#[inline]
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Message, usize)>, ProtocolError> {
    let Some((record, rest)) = bytes.split_first_chunk::<RECORD>() else { return Ok(None) };
    let word = |at: usize| {
        u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
    };
    let channel = word(0);
    if channel != CONTROL {
        let value = f64::from_bits(u64::from(word(4)) | u64::from(word(8)) << 32);
        return Ok(Some((Message::Value(channel, value), RECORD)));
    }
    decode_control(word(4), word(8), rest)
}

fn decode_control(
    kind: u32,
    size: u32,
    rest: &[u8],
) -> Result<Option<(Message, usize)>, ProtocolError> {
    if kind == 1 {
        let (major, minor) = ((size >> 8) as u8, size as u8);
        return Ok(Some((Message::Hello(major, minor), RECORD)));
    }
    if size as usize > TEXT_LIMIT {
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
        7 => Message::Bye,
        8 => Message::Pong,
        9 => Message::WakeMe,
        _ => return Err(ProtocolError::Kind(kind)),
    };
    Ok(Some((message, RECORD + payload.len())))
}

/// What the fuzzer and the property test run: decodes to the end, never looks past it.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let mut at = 0;
    while let Ok(Some((message, taken))) = decode(&bytes[at..]) {
        assert!(taken >= RECORD && at + taken <= bytes.len());
        if let Message::Value(channel, value) = message {
            let mut again = Vec::new();
            push_value(&mut again, channel, value);
            assert_eq!(again, &bytes[at..at + taken]);
        }
        at += taken;
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
    fn values_and_messages_follow_each_other() {
        let mut bytes = Vec::new();
        push_value(&mut bytes, 7, 0.25);
        bytes.extend(control(3, b"\x05\0\0\0where\nwhat"));
        bytes.extend(control(2, b""));
        let (first, taken) = decode(&bytes).unwrap().unwrap();
        assert_eq!((first, taken), (Message::Value(7, 0.25), 12));
        let (second, more) = decode(&bytes[taken..]).unwrap().unwrap();
        assert_eq!(second, Message::Error(5, "where\nwhat".into()));
        let third = decode(&bytes[taken + more..]).unwrap().unwrap();
        assert_eq!(third, (Message::Ready, 12));
    }

    #[test]
    fn half_a_message_waits() {
        let bytes = control(5, b"careful");
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Ok(None), "{end} bytes");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(decode(&control(77, b"")), Err(ProtocolError::Kind(77)));
        assert_eq!(decode(&control(3, b"xy")), Err(ProtocolError::Short(3)));
        let mut long = control(5, b"");
        long[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decode(&long), Err(ProtocolError::Length(u32::MAX)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            fuzz(&bytes);
        }

        #[test]
        fn any_control_is_survived(kind in 0_u32..12, payload in ".{0,40}") {
            fuzz(&control(kind, payload.as_bytes()));
        }
    }
}
