//! The messages of Open Pixel Control: strip, command, length (big endian), data.

/// The port that the specification assigns.
pub(super) const PORT: u16 = 7890;

/// The bytes before the data of a message.
pub(super) const HEADER_BYTES: usize = 4;

/// The most bytes of data in a message.
pub(super) const MAX_DATA_BYTES: usize = u16::MAX as usize;

/// The command that is not about colours; its data begin with a number of a manufacturer.
pub(super) const SYSTEM_EXCLUSIVE: u8 = 0xFF;

/// How the components of colours are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// One byte for each component: command 0.
    Bytes,
    /// Two bytes for each component, big endian: command 2.
    Words,
}

impl Mode {
    /// The choices of the option.
    pub(super) const WORDS: &'static [&'static str] = &["8bit", "16bit"];

    pub(super) fn read(text: Option<&str>) -> Self {
        match text {
            Some(word) if word.eq_ignore_ascii_case("16bit") => Mode::Words,
            _ => Mode::Bytes,
        }
    }

    /// The command that sets colours.
    pub(super) fn command(self) -> u8 {
        match self {
            Mode::Bytes => 0,
            Mode::Words => 2,
        }
    }

    /// The bytes of a component.
    pub(super) fn width(self) -> usize {
        match self {
            Mode::Bytes => 1,
            Mode::Words => 2,
        }
    }

    /// The highest component of a strip, counted from 1.
    pub(super) fn max_component(self) -> usize {
        MAX_DATA_BYTES / self.width()
    }

    /// The highest raw value of a component.
    pub(super) fn max_raw(self) -> u16 {
        match self {
            Mode::Bytes => 255,
            Mode::Words => u16::MAX,
        }
    }
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) strip: u8,
    pub(super) command: u8,
    pub(super) data: &'a [u8],
}

impl Message<'_> {
    /// Appends the message. Its data must not be longer than [`MAX_DATA_BYTES`].
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&header(self.strip, self.command, self.data.len()));
        bytes.extend_from_slice(self.data);
    }
}

/// The bytes before the data of a message.
pub(super) fn header(strip: u8, command: u8, length: usize) -> [u8; HEADER_BYTES] {
    debug_assert!(length <= MAX_DATA_BYTES);
    let [high, low] = (length as u16).to_be_bytes();
    [strip, command, high, low]
}

/// Splits a stream into messages.
///
/// It keeps what was pushed until a message is complete: at most one message and what was pushed
/// last, if [`next`](Self::next) is called until it returns `None` before more is pushed.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: Vec<u8>,
    /// How many bytes of the buffer were decoded.
    decoded: usize,
}

impl Decoder {
    /// Adds received bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.decoded > 0 {
            self.buffer.drain(..self.decoded);
            self.decoded = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete message.
    pub(super) fn next(&mut self) -> Option<Message<'_>> {
        let rest = &self.buffer[self.decoded..];
        let (&[strip, command, high, low], rest) = rest.split_first_chunk::<HEADER_BYTES>()?;
        let data = rest.get(..usize::from(u16::from_be_bytes([high, low])))?;
        self.decoded += HEADER_BYTES + data.len();
        Some(Message { strip, command, data })
    }

    /// How many bytes wait for the rest of their message.
    pub(super) fn pending(&self) -> usize {
        self.buffer.len() - self.decoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_the_stream_is_divided() {
        let messages = [
            Message { strip: 0, command: 0, data: &[1, 2, 3] },
            Message { strip: 255, command: 2, data: &[] },
            Message { strip: 7, command: SYSTEM_EXCLUSIVE, data: &[0xF0, 0xCA, 0x71, 0x2E] },
            Message { strip: 1, command: 2, data: &[0xAB; MAX_DATA_BYTES] },
        ];
        let mut stream = Vec::new();
        messages.iter().for_each(|message| message.encode(&mut stream));
        assert_eq!(stream[..7], [0, 0, 0, 3, 1, 2, 3]);
        for size in [1, 3, 4, 5, 1_000, stream.len()] {
            let mut decoder = Decoder::default();
            let mut count = 0;
            for part in stream.chunks(size) {
                decoder.push(part);
                while let Some(message) = decoder.next() {
                    assert_eq!(message, messages[count], "{size}");
                    count += 1;
                }
                assert!(decoder.buffer.len() <= HEADER_BYTES + MAX_DATA_BYTES + size);
            }
            assert_eq!((count, decoder.pending()), (messages.len(), 0));
        }
    }

    #[test]
    fn the_ranges_of_the_modes() {
        assert_eq!((Mode::Bytes.max_component(), Mode::Words.max_component()), (65_535, 32_767));
        assert_eq!(Mode::read(Some("16BIT")), Mode::Words);
        assert_eq!(Mode::read(None), Mode::Bytes);
    }
}
