//! The bytes of olad's remote calls: frames, and messages of protocol buffers in them.
//!
//! A frame is a number of 32 bits in the byte order of the machine (4 bits of version, 28 bits of
//! length), and a message `{1: kind, 2: id, 3: name, 4: body}`. The body is another message.
//!
//! The coder is written here because the half-dozen messages have few fields, and because the
//! usual library copies the 512 bytes of a universe into new memory for each message, twice.

/// The version of the protocol.
const VERSION: u32 = 1;

/// The bits of the length in the first number of a frame.
const LENGTH_BITS: u32 = 28;

/// The longest frame that is accepted; olad has the same limit.
pub(super) const MAX_FRAME_BYTES: usize = 1 << 20;

/// The bytes before the message of a frame.
const HEADER_BYTES: usize = 4;

/// What a message is.
pub(super) mod kind {
    pub(in crate::ola) const REQUEST: u64 = 1;
    pub(in crate::ola) const RESPONSE: u64 = 2;
    /// The request failed; the body is a text.
    pub(in crate::ola) const FAILED: u64 = 4;
    pub(in crate::ola) const NOT_IMPLEMENTED: u64 = 5;
    /// A request without an answer.
    pub(in crate::ola) const STREAM: u64 = 10;
}

/// Appends a number in groups of 7 bits.
fn put_varint(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Appends a field with a number.
pub(super) fn put_number(field: u32, number: u64, bytes: &mut Vec<u8>) {
    put_varint(u64::from(field) << 3, bytes);
    put_varint(number, bytes);
}

/// Appends a field with bytes, a text or another message.
pub(super) fn put_bytes(field: u32, value: &[u8], bytes: &mut Vec<u8>) {
    put_varint(u64::from(field) << 3 | 2, bytes);
    put_varint(value.len() as u64, bytes);
    bytes.extend_from_slice(value);
}

/// Appends a frame with a message. An empty name is left out, as in answers.
pub(super) fn put_frame(kind: u64, id: u32, name: &str, body: &[u8], bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; HEADER_BYTES]);
    put_number(1, kind, bytes);
    put_number(2, id.into(), bytes);
    if !name.is_empty() {
        put_bytes(3, name.as_bytes(), bytes);
    }
    put_bytes(4, body, bytes);
    let length = (bytes.len() - start - HEADER_BYTES) as u32;
    let header = VERSION << LENGTH_BITS | length;
    bytes[start..start + HEADER_BYTES].copy_from_slice(&header.to_ne_bytes());
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in the order of the bytes. Ends after the first error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Number(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Number(u32::from_le_bytes(self.take(4)?.try_into().ok()?).into()),
            _ => return None,
        };
        Some((u32::try_from(tag >> 3).ok()?, value))
    }
}

/// A message that ends within a field or has a field of an unknown type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

/// A call or an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) kind: u64,
    pub(super) id: u32,
    pub(super) name: &'a [u8],
    pub(super) body: &'a [u8],
}

impl<'a> Message<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut message = Message::default();
        for field in Fields(bytes) {
            match field? {
                (1, Value::Number(kind)) => message.kind = kind,
                (2, Value::Number(id)) => message.id = id as u32,
                (3, Value::Bytes(name)) => message.name = name,
                (4, Value::Bytes(body)) => message.body = body,
                _ => {}
            }
        }
        Ok(message)
    }
}

/// Splits a stream into frames.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: Vec<u8>,
    /// How many bytes of the buffer were decoded.
    decoded: usize,
}

impl Decoder {
    /// Forgets what was pushed, for a new connection.
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.decoded = 0;
    }

    /// Adds received bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.decoded > 0 {
            self.buffer.drain(..self.decoded);
            self.decoded = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete message; `None` if none is complete.
    ///
    /// # Errors
    /// A message that states why the stream is not one of olad. It is of no more use then.
    pub(super) fn next(&mut self) -> Result<Option<Message<'_>>, String> {
        let rest = &self.buffer[self.decoded..];
        let Some((header, rest)) = rest.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let header = u32::from_ne_bytes(*header);
        let length = (header & ((1 << LENGTH_BITS) - 1)) as usize;
        if header >> LENGTH_BITS != VERSION || length > MAX_FRAME_BYTES {
            return Err("the answer is not one of olad".into());
        }
        let Some(bytes) = rest.get(..length) else { return Ok(None) };
        self.decoded += HEADER_BYTES + length;
        match Message::decode(bytes) {
            Ok(message) => Ok(Some(message)),
            Err(Malformed) => Err("olad sent a message that cannot be decoded".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_bytes_of_olad() {
        // Recorded from olad 0.10.9: the answer to a registration.
        let mut bytes = Vec::new();
        put_frame(kind::RESPONSE, 1, "", &[], &mut bytes);
        assert_eq!(bytes[..4], (1_u32 << 28 | 6).to_ne_bytes());
        assert_eq!(bytes[4..], [0x08, 2, 0x10, 1, 0x22, 0]);
        let mut body = Vec::new();
        put_number(1, 300, &mut body);
        put_bytes(2, &[1, 2], &mut body);
        assert_eq!(body, [0x08, 0xAC, 0x02, 0x12, 2, 1, 2]);
    }

    #[test]
    fn messages_are_found_however_the_stream_is_divided() {
        let mut stream = Vec::new();
        put_frame(kind::REQUEST, 7, "GetDmx", &[8, 3], &mut stream);
        put_frame(kind::STREAM, u32::MAX, "StreamDmxData", &[9; 600], &mut stream);
        for size in [1, 3, 5, stream.len()] {
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for part in stream.chunks(size) {
                decoder.push(part);
                while let Some(message) = decoder.next().expect("a message") {
                    found.push((
                        message.kind,
                        message.id,
                        message.name.to_vec(),
                        message.body.len(),
                    ));
                }
            }
            let expected = [
                (kind::REQUEST, 7, b"GetDmx".to_vec(), 2),
                (kind::STREAM, u32::MAX, b"StreamDmxData".to_vec(), 600),
            ];
            assert_eq!(found, expected, "{size}");
        }
    }

    #[test]
    fn what_is_not_olad_is_rejected() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            &((1_u32 << 28) | ((1 << 20) + 1)).to_ne_bytes(),
            &(2_u32 << 28 | 1).to_ne_bytes(),
        ] {
            let mut decoder = Decoder::default();
            decoder.push(bytes);
            assert!(decoder.next().is_err(), "{bytes:?}");
        }
        // A field that is longer than the message, and a field of an unknown type.
        for body in [[0x22, 9, 1], [0x0B, 0, 0]] {
            let mut decoder = Decoder::default();
            decoder.push(&(1_u32 << 28 | 3).to_ne_bytes());
            decoder.push(&body);
            assert!(decoder.next().is_err(), "{body:?}");
        }
    }

    #[test]
    fn fields_of_all_types_are_read_and_unknown_ones_skipped() {
        let bytes = [
            0x09, 1, 0, 0, 0, 0, 0, 0, 0, // 1: 64 bits
            0x15, 2, 0, 0, 0, // 2: 32 bits
            0x1A, 1, 7, // 3: bytes
            0xA0, 0x06, 0x96, 0x01, // 100: a number
        ];
        let fields: Vec<_> = Fields(&bytes).collect();
        let expected = [
            Ok((1, Value::Number(1))),
            Ok((2, Value::Number(2))),
            Ok((3, Value::Bytes(&[7][..]))),
            Ok((100, Value::Number(150))),
        ];
        assert_eq!(fields, expected);
        // A number of more than 64 bits.
        let endless = [0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        assert_eq!(Fields(&endless).collect::<Vec<_>>(), [Err(Malformed)]);
    }
}
