//! What passes between the router's thread and the callback: records of one size.

/// How many bytes of a message one record has. Longer messages take several.
pub(super) const PART_BYTES: usize = 20;

/// The most bytes of a message, a system exclusive one.
pub(super) const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// A message, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The time of the message in ns, of the clock that the callback's periods have; unused in
    /// input.
    pub(super) time: u64,
    /// The number of the port in the instance.
    pub(super) port: u16,
    length: u8,
    /// Whether another part of the same message follows.
    pub(super) is_continued: bool,
    bytes: [u8; PART_BYTES],
}

impl Part {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Splits a message.
    pub(super) fn split(
        message: &[u8],
        time: u64,
        port: u16,
    ) -> impl ExactSizeIterator<Item = Part> {
        let count = message.len().div_ceil(PART_BYTES);
        message.chunks(PART_BYTES).enumerate().map(move |(index, chunk)| {
            let mut bytes = [0; PART_BYTES];
            bytes[..chunk.len()].copy_from_slice(chunk);
            let is_continued = index + 1 < count;
            Part { time, port, length: chunk.len() as u8, is_continued, bytes }
        })
    }
}

/// What the callback has received.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Record {
    Midi(Part),
    /// A value of a port for control voltage.
    Value(u16, f64),
    /// Whether the transport rolls.
    Rolling(bool),
    /// The tempo of the transport in quarter notes per minute.
    Tempo(f64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_its_parts() {
        for length in [1, 3, 20, 21, 40, 41] {
            let message: Vec<u8> = (0..length).collect();
            let parts: Vec<Part> = Part::split(&message, 7, 2).collect();
            let bytes: Vec<u8> = parts.iter().flat_map(|part| part.bytes().to_vec()).collect();
            assert_eq!(bytes, message);
            let continued = parts.iter().filter(|part| part.is_continued).count();
            assert_eq!(continued, parts.len() - 1);
            assert!(!parts.last().expect("a part").is_continued);
        }
        assert!(size_of::<Part>() <= 32 && size_of::<Record>() <= 40);
    }
}
