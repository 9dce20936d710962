//! Packets in a byte stream: length-prefixed (OSC 1.0) and SLIP (OSC 1.1).

use crate::{Error, ErrorKind, Result, Sink};

/// Writes `packet` after its size (four bytes, big-endian), the framing of OSC 1.0 for TCP.
/// Returns the bytes written.
///
/// # Errors
///
/// [`ErrorKind::BufferTooSmall`] or [`ErrorKind::TooLarge`]; the sink is then unchanged.
pub fn encode_length_prefixed<S: Sink + ?Sized>(packet: &[u8], sink: &mut S) -> Result<usize> {
    let start = sink.position();
    let Ok(size) = i32::try_from(packet.len()) else {
        return Err(Error::new(ErrorKind::TooLarge { limit: i32::MAX as usize }, 0));
    };
    let written = sink.append(&size.to_be_bytes()).and_then(|()| sink.append(packet));
    if let Err(needed) = written {
        sink.truncate(start);
        return Err(Error::new(ErrorKind::BufferTooSmall { needed }, 0));
    }
    Ok(4 + packet.len())
}

/// Splits a stream of length-prefixed packets, read in pieces of any size, into packets.
///
/// A frame that is complete in the input is returned without a copy. An incomplete one is
/// buffered, up to the limit plus four bytes; memory is allocated as bytes arrive, never for an
/// announced length. Empty frames are skipped.
///
/// ```
/// use consort_osc::LengthPrefixDecoder;
/// let mut decoder = LengthPrefixDecoder::new(65_536);
/// for piece in [&b"\0\0\0\x04/a"[..], b"\0\0\0\0\0\x04/b\0\0\0"] {
///     let mut input = piece;
///     while let Some(packet) = decoder.next(&mut input).unwrap() {
///         assert_eq!(packet.len(), 4);
///     }
/// }
/// assert_eq!(decoder.pending(), 1);
/// ```
#[derive(Debug, Clone)]
pub struct LengthPrefixDecoder {
    limit: usize,
    buffer: Vec<u8>,
    /// The frame in the buffer was returned and is removed at the next call.
    taken: bool,
    /// Bytes of the stream before the input of this call.
    position: usize,
    failed: Option<Error>,
}

impl LengthPrefixDecoder {
    /// A decoder that rejects packets above `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, buffer: Vec::new(), taken: false, position: 0, failed: None }
    }

    /// Takes bytes from the front of `input` until a packet is complete, which is returned;
    /// `None` once the input is used up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] or [`ErrorKind::NegativeSize`], with the offset in the stream.
    /// The start of the next packet is then unknown: every further call returns the same error,
    /// and the caller should close the connection.
    #[inline]
    pub fn next<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8]) -> Result<Option<&'s [u8]>> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.taken {
            self.buffer.clear();
            self.taken = false;
        }
        loop {
            if self.buffer.is_empty() {
                let Some((prefix, rest)) = input.split_first_chunk::<4>() else { break };
                let size = self.size(*prefix)?;
                let Some(frame) = rest.get(..size) else { break };
                *input = &rest[size..];
                self.position += 4 + size;
                if size > 0 {
                    return Ok(Some(frame));
                }
                continue;
            }
            self.fill(input, 4);
            let Some(prefix) = self.buffer.first_chunk::<4>() else { return Ok(None) };
            let size = self.size(*prefix)?;
            self.fill(input, 4 + size);
            if self.buffer.len() < 4 + size {
                return Ok(None);
            }
            self.position += 4 + size;
            if size > 0 {
                self.taken = true;
                return Ok(Some(&self.buffer[4..]));
            }
            self.buffer.clear();
        }
        self.buffer.extend_from_slice(input);
        *input = &[];
        Ok(None)
    }

    /// Takes from the input until the buffer holds `wanted` bytes.
    fn fill(&mut self, input: &mut &[u8], wanted: usize) {
        let count = wanted.saturating_sub(self.buffer.len()).min(input.len());
        let (now, later) = input.split_at(count);
        self.buffer.extend_from_slice(now);
        *input = later;
    }

    #[inline]
    fn size(&mut self, prefix: [u8; 4]) -> Result<usize> {
        let size = i32::from_be_bytes(prefix);
        let kind = match usize::try_from(size) {
            Ok(size) if size <= self.limit => return Ok(size),
            Ok(_) => ErrorKind::TooLarge { limit: self.limit },
            Err(_) => ErrorKind::NegativeSize(size),
        };
        let error = Error::new(kind, self.position);
        self.failed = Some(error);
        self.buffer = Vec::new();
        Err(error)
    }

    /// How many bytes wait for the rest of their packet. If the stream ends with any, it was
    /// truncated.
    pub fn pending(&self) -> usize {
        if self.taken { 0 } else { self.buffer.len() }
    }

    /// Discards all buffered bytes, for a new connection.
    pub fn reset(&mut self) {
        *self = Self::new(self.limit);
    }
}

const END: u8 = 0xc0;
const ESCAPE: u8 = 0xdb;
const ESCAPED_END: u8 = 0xdc;
const ESCAPED_ESCAPE: u8 = 0xdd;

/// Writes `packet` as a SLIP frame (RFC 1055) with an END on either side, the framing of OSC 1.1
/// for streams. Returns the bytes written.
///
/// # Errors
///
/// [`ErrorKind::BufferTooSmall`]; the sink is then unchanged.
pub fn encode_slip<S: Sink + ?Sized>(packet: &[u8], sink: &mut S) -> Result<usize> {
    let start = sink.position();
    let mut write = || -> Result<(), usize> {
        sink.append(&[END])?;
        for part in packet.split_inclusive(|&byte| byte == END || byte == ESCAPE) {
            match part.split_last() {
                Some((&END, before)) => {
                    sink.append(before)?;
                    sink.append(&[ESCAPE, ESCAPED_END])?;
                }
                Some((&ESCAPE, before)) => {
                    sink.append(before)?;
                    sink.append(&[ESCAPE, ESCAPED_ESCAPE])?;
                }
                _ => sink.append(part)?,
            }
        }
        sink.append(&[END])
    };
    if let Err(needed) = write() {
        sink.truncate(start);
        return Err(Error::new(ErrorKind::BufferTooSmall { needed }, 0));
    }
    Ok(sink.position() - start)
}

/// Splits a SLIP stream, read in pieces of any size, into packets.
///
/// At most the limit is buffered. A frame that is too large or has an invalid escape is reported
/// once and skipped up to the next END; decoding continues after it. Empty frames (the double
/// END of RFC 1055) are skipped.
#[derive(Debug, Clone)]
pub struct SlipDecoder {
    limit: usize,
    buffer: Vec<u8>,
    taken: bool,
    escaped: bool,
    skipping: bool,
    position: usize,
}

impl SlipDecoder {
    /// A decoder that rejects packets above `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            buffer: Vec::new(),
            taken: false,
            escaped: false,
            skipping: false,
            position: 0,
        }
    }

    /// Takes bytes from the front of `input` until a packet is complete, which is returned;
    /// `None` once the input is used up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] or [`ErrorKind::InvalidEscape`], with the offset in the stream.
    /// The frame is lost; the next call continues after it.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<&[u8]>> {
        if self.taken {
            self.buffer.clear();
            self.taken = false;
        }
        while let Some((&byte, rest)) = input.split_first() {
            if !self.escaped && !self.skipping && byte != END && byte != ESCAPE {
                // Copy a run of plain bytes at once.
                let plain = input.iter().position(|&byte| byte == END || byte == ESCAPE);
                let (now, later) = input.split_at(plain.unwrap_or(input.len()));
                let room = self.limit - self.buffer.len();
                if now.len() > room {
                    self.position += room;
                    *input = &input[room..];
                    return Err(self.lose(ErrorKind::TooLarge { limit: self.limit }));
                }
                self.buffer.extend_from_slice(now);
                self.position += now.len();
                *input = later;
                continue;
            }
            *input = rest;
            self.position += 1;
            if self.skipping {
                self.skipping = byte != END;
                continue;
            }
            let plain = match (std::mem::take(&mut self.escaped), byte) {
                (true, ESCAPED_END) => END,
                (true, ESCAPED_ESCAPE) => ESCAPE,
                (true, other) => {
                    let error = self.lose(ErrorKind::InvalidEscape(other));
                    self.skipping = other != END;
                    return Err(error);
                }
                (false, END) if self.buffer.is_empty() => continue,
                (false, END) => {
                    self.taken = true;
                    return Ok(Some(&self.buffer));
                }
                (false, _) => {
                    self.escaped = true;
                    continue;
                }
            };
            if self.buffer.len() >= self.limit {
                return Err(self.lose(ErrorKind::TooLarge { limit: self.limit }));
            }
            self.buffer.push(plain);
        }
        Ok(None)
    }

    #[cold]
    fn lose(&mut self, kind: ErrorKind) -> Error {
        self.buffer.clear();
        self.escaped = false;
        self.skipping = true;
        Error::new(kind, self.position)
    }

    /// How many bytes wait for the rest of their packet.
    pub fn pending(&self) -> usize {
        if self.taken { 0 } else { self.buffer.len() }
    }

    /// Discards all buffered bytes, for a new connection.
    pub fn reset(&mut self) {
        *self = Self::new(self.limit);
    }
}
