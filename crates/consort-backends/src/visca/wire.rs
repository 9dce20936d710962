//! Messages: commands, inquiries and replies of VISCA, the header of Sony's VISCA over IP, and
//! finding messages in a stream. No I/O.

/// The longest message, from the address to the terminator (Sony: VISCA packets have 3 to 16
/// bytes).
pub(super) const MAX_MESSAGE_BYTES: usize = 16;

/// The bytes of Sony's header.
pub(super) const HEADER_BYTES: usize = 8;

/// The byte that ends a message.
const TERMINATOR: u8 = 0xFF;

/// A message for a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    bytes: [u8; MAX_MESSAGE_BYTES],
    length: u8,
}

impl Message {
    /// A message to camera `id` (1 to 7; 8 is every camera).
    pub(super) fn new(id: u8, body: &[u8]) -> Self {
        let mut bytes = [0; MAX_MESSAGE_BYTES];
        let length = body.len().min(MAX_MESSAGE_BYTES - 2);
        bytes[0] = 0x80 | id & 0x0F;
        bytes[1..=length].copy_from_slice(&body[..length]);
        bytes[length + 1] = TERMINATOR;
        Message { bytes, length: length as u8 + 2 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// The four nibbles of a number, one in each byte.
pub(super) fn nibbles(number: u16) -> [u8; 4] {
    [12, 8, 4, 0].map(|shift| (number >> shift) as u8 & 0x0F)
}

/// The number of four nibbles; `None` if there are fewer bytes.
fn from_nibbles(bytes: &[u8]) -> Option<u16> {
    let nibbles = bytes.get(..4)?;
    Some(nibbles.iter().fold(0, |number, nibble| number << 4 | u16::from(nibble & 0x0F)))
}

/// What is asked of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inquiry {
    /// Vendor and model; every camera answers it, also while it is switched off.
    Version,
    PanTilt,
    Zoom,
    Focus,
    AutoFocus,
    WhiteMode,
    WhiteRed,
    WhiteBlue,
    Power,
}

impl Inquiry {
    pub(super) const ALL: [Inquiry; 9] = [
        Inquiry::Version,
        Inquiry::PanTilt,
        Inquiry::Zoom,
        Inquiry::Focus,
        Inquiry::AutoFocus,
        Inquiry::WhiteMode,
        Inquiry::WhiteRed,
        Inquiry::WhiteBlue,
        Inquiry::Power,
    ];

    /// Its bit in a set.
    pub(super) fn bit(self) -> u16 {
        1 << self as u16
    }

    pub(super) fn message(self, id: u8) -> Message {
        let body: [u8; 3] = match self {
            Inquiry::Version => [0x09, 0x00, 0x02],
            Inquiry::PanTilt => [0x09, 0x06, 0x12],
            Inquiry::Zoom => [0x09, 0x04, 0x47],
            Inquiry::Focus => [0x09, 0x04, 0x48],
            Inquiry::AutoFocus => [0x09, 0x04, 0x38],
            Inquiry::WhiteMode => [0x09, 0x04, 0x35],
            Inquiry::WhiteRed => [0x09, 0x04, 0x43],
            Inquiry::WhiteBlue => [0x09, 0x04, 0x44],
            Inquiry::Power => [0x09, 0x04, 0x00],
        };
        Message::new(id, &body)
    }

    /// Decodes the answer: one number, and a second one for the position of the head. `None` if it
    /// does not fit.
    pub(super) fn decode(self, data: &[u8]) -> Option<[i32; 2]> {
        Some(match self {
            Inquiry::Version => [0, 0],
            Inquiry::PanTilt => {
                // Some cameras have five nibbles for each axis; the last four are enough for the
                // sign and the range.
                let half = data.len() / 2;
                if half < 4 {
                    return None;
                }
                let axis = |nibbles: &[u8]| {
                    from_nibbles(&nibbles[nibbles.len() - 4..])
                        .map(|number| i32::from(number.cast_signed()))
                };
                [axis(&data[..half])?, axis(&data[half..half * 2])?]
            }
            Inquiry::Zoom | Inquiry::Focus | Inquiry::WhiteRed | Inquiry::WhiteBlue => {
                [from_nibbles(data)?.into(), 0]
            }
            Inquiry::AutoFocus | Inquiry::WhiteMode | Inquiry::Power => {
                [i32::from(*data.first()?), 0]
            }
        })
    }
}

/// A message of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply<'m> {
    /// A command is accepted and runs in this socket.
    Acknowledged(u8),
    /// The command of this socket is complete.
    Completed(u8),
    /// The answer to an inquiry.
    Answer(&'m [u8]),
    /// A command or inquiry is refused: socket and reason.
    Refused(u8, u8),
    /// The addresses of the line must be assigned again.
    NetworkChanged,
    /// How many cameras have got an address, plus one.
    AddressSet(u8),
    /// Anything else.
    Other,
}

/// Reasons of refused commands.
pub(super) mod reason {
    pub(in crate::visca) const SYNTAX: u8 = 0x02;
    pub(in crate::visca) const BUFFER_FULL: u8 = 0x03;
    pub(in crate::visca) const CANCELLED: u8 = 0x04;
    pub(in crate::visca) const NO_SOCKET: u8 = 0x05;

    /// A reason, for people.
    pub(in crate::visca) fn text(reason: u8) -> &'static str {
        match reason {
            0x01 => "wrong length of the message",
            SYNTAX => "the camera does not know it or its value",
            BUFFER_FULL => "too many commands at once",
            CANCELLED => "cancelled",
            NO_SOCKET => "nothing to cancel",
            0x41 => "not possible at the moment; is the camera switched off or in another mode?",
            _ => "unknown reason",
        }
    }
}

impl<'m> Reply<'m> {
    /// Decodes a message that ends with its terminator. Returns the number of the camera (1 to 7;
    /// 8 for a broadcast) and the reply; `None` if it is not a message of a camera.
    pub(super) fn decode(message: &'m [u8]) -> Option<(u8, Reply<'m>)> {
        let (&last, rest) = message.split_last()?;
        let (&address, body) = rest.split_first()?;
        if last != TERMINATOR || message.len() > MAX_MESSAGE_BYTES {
            return None;
        }
        if address == 0x88 {
            let reply = match *body {
                [0x30, next] => Reply::AddressSet(next),
                _ => Reply::Other,
            };
            return Some((8, reply));
        }
        if address & 0x8F != 0x80 || address < 0x90 {
            return None;
        }
        let id = (address >> 4) - 8;
        let reply = match *body {
            [0x38] => Reply::NetworkChanged,
            [first] if first >> 4 == 4 => Reply::Acknowledged(first & 0x0F),
            [first] if first >> 4 == 5 => Reply::Completed(first & 0x0F),
            [first, why] if first >> 4 == 6 => Reply::Refused(first & 0x0F, why),
            [0x50, ..] => Reply::Answer(&body[1..]),
            _ => Reply::Other,
        };
        Some((id, reply))
    }
}

/// The types of Sony's messages.
pub(super) mod payload {
    pub(in crate::visca) const COMMAND: u16 = 0x0100;
    pub(in crate::visca) const INQUIRY: u16 = 0x0110;
    pub(in crate::visca) const REPLY: u16 = 0x0111;
    pub(in crate::visca) const CONTROL: u16 = 0x0200;
    pub(in crate::visca) const CONTROL_REPLY: u16 = 0x0201;
}

/// A message of Sony's VISCA over IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Framed<'m> {
    pub(super) kind: u16,
    pub(super) sequence: u32,
    pub(super) payload: &'m [u8],
}

/// Writes a message with Sony's header.
pub(super) fn encode_framed(kind: u16, sequence: u32, payload: &[u8], out: &mut Vec<u8>) {
    out.extend(kind.to_be_bytes());
    out.extend((payload.len() as u16).to_be_bytes());
    out.extend(sequence.to_be_bytes());
    out.extend(payload);
}

/// Decodes one message with Sony's header, and returns how many bytes it has. `Ok(None)` if more
/// bytes are needed.
///
/// # Errors
/// If the bytes are not such a message.
pub(super) fn decode_framed(bytes: &[u8]) -> Result<Option<(Framed<'_>, usize)>, ()> {
    let number = |offset: usize| bytes.get(offset).copied().map(u16::from);
    let Some(kind) = number(0).zip(number(1)).map(|(high, low)| high << 8 | low) else {
        return Ok(None);
    };
    if !matches!(kind, 0x0100 | 0x0110 | 0x0111 | 0x0120 | 0x0200 | 0x0201) {
        return Err(());
    }
    let Some(length) = number(2).zip(number(3)).map(|(high, low)| high << 8 | low) else {
        return Ok(None);
    };
    let length = usize::from(length);
    if !(1..=MAX_MESSAGE_BYTES).contains(&length) {
        return Err(());
    }
    let Some(message) = bytes.get(..HEADER_BYTES + length) else { return Ok(None) };
    let sequence = u32::from_be_bytes([message[4], message[5], message[6], message[7]]);
    let framed = Framed { kind, sequence, payload: &message[HEADER_BYTES..] };
    Ok(Some((framed, message.len())))
}

/// Finds messages in a stream: bytes up to a terminator, or Sony's header and payload. It keeps at
/// most one incomplete message.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    held: Vec<u8>,
    /// Whether bytes are skipped up to the next terminator.
    is_skipping: bool,
}

/// What a [`Splitter`] finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'m> {
    /// A message with its terminator.
    Raw(&'m [u8]),
    /// A message with Sony's header.
    Framed(Framed<'m>),
    /// Bytes that are not a message.
    Garbage,
}

impl Splitter {
    /// Discards what is incomplete.
    pub(super) fn clear(&mut self) {
        *self = Splitter::default();
    }

    /// Takes bytes of a stream of bare messages.
    pub(super) fn push_raw(&mut self, bytes: &[u8], mut found: impl FnMut(Found<'_>)) {
        for &byte in bytes {
            if self.is_skipping {
                self.is_skipping = byte != TERMINATOR;
                continue;
            }
            self.held.push(byte);
            if byte == TERMINATOR {
                found(Found::Raw(&self.held));
                self.held.clear();
            } else if self.held.len() == MAX_MESSAGE_BYTES {
                found(Found::Garbage);
                self.held.clear();
                self.is_skipping = true;
            }
        }
    }

    /// Takes bytes of a stream of messages with Sony's header.
    pub(super) fn push_framed(&mut self, bytes: &[u8], mut found: impl FnMut(Found<'_>)) {
        for &byte in bytes {
            self.held.push(byte);
            let length = match decode_framed(&self.held) {
                Ok(None) => continue,
                Ok(Some((framed, length))) => {
                    found(Found::Framed(framed));
                    length
                }
                // The stream is read again from the next byte on.
                Err(()) => {
                    found(Found::Garbage);
                    1
                }
            };
            self.held.drain(..length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_encoded_as_the_specification_says() {
        assert_eq!(Message::new(3, &[1, 6, 4]).bytes(), [0x83, 1, 6, 4, 0xFF]);
        assert_eq!(Inquiry::PanTilt.message(1).bytes(), [0x81, 9, 6, 0x12, 0xFF]);
        assert_eq!(nibbles(0xF670), [0xF, 6, 7, 0]);
        let mut out = Vec::new();
        encode_framed(payload::COMMAND, 0x0102, &[0x81, 1, 6, 4, 0xFF], &mut out);
        assert_eq!(out, [1, 0, 0, 5, 0, 0, 1, 2, 0x81, 1, 6, 4, 0xFF]);
    }

    #[test]
    fn replies_are_decoded() {
        for (bytes, id, reply) in [
            (&[0x90, 0x41, 0xFF][..], 1, Reply::Acknowledged(1)),
            (&[0xA0, 0x52, 0xFF], 2, Reply::Completed(2)),
            (&[0x90, 0x60, 2, 0xFF], 1, Reply::Refused(0, 2)),
            (&[0x90, 0x50, 2, 0xFF], 1, Reply::Answer(&[2])),
            (&[0xF0, 0x38, 0xFF], 7, Reply::NetworkChanged),
            (&[0x88, 0x30, 3, 0xFF], 8, Reply::AddressSet(3)),
            (&[0x88, 1, 0, 1, 0xFF], 8, Reply::Other),
            (&[0x90, 7, 0xFF], 1, Reply::Other),
        ] {
            assert_eq!(Reply::decode(bytes), Some((id, reply)), "{bytes:x?}");
        }
        for bytes in
            [&[][..], &[0xFF], &[0x90], &[0x81, 1, 0xFF], &[0x90, 0x41], &[0x98, 0x41, 0xFF]]
        {
            assert_eq!(Reply::decode(bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn answers_are_decoded() {
        let position = Inquiry::PanTilt.decode(&[0xF, 6, 7, 0, 0, 5, 1, 0]);
        assert_eq!(position, Some([-2448, 1296]));
        let five_nibbles = Inquiry::PanTilt.decode(&[0xF, 0xF, 6, 7, 0, 0, 0, 5, 1, 0]);
        assert_eq!(five_nibbles, position);
        assert_eq!(Inquiry::Zoom.decode(&[4, 0, 0, 0]), Some([0x4000, 0]));
        assert_eq!(Inquiry::Power.decode(&[2]), Some([2, 0]));
        assert_eq!(Inquiry::PanTilt.decode(&[1, 2, 3]), None);
        assert_eq!(Inquiry::Zoom.decode(&[]), None);
    }

    #[test]
    fn a_stream_is_split_into_messages() {
        let found = |pieces: &[&[u8]], is_framed: bool| {
            let (mut splitter, mut all) = (Splitter::default(), Vec::new());
            for piece in pieces {
                let take = |found: Found<'_>| all.push(format!("{found:x?}"));
                match is_framed {
                    true => splitter.push_framed(piece, take),
                    false => splitter.push_raw(piece, take),
                }
            }
            all
        };
        let raw = found(&[&[0x90, 0x41], &[0xFF, 0x90, 0x51, 0xFF, 0x90]], false);
        assert_eq!(raw, ["Raw([90, 41, ff])", "Raw([90, 51, ff])"]);
        let noise = [&[7; 40][..], &[0xFF, 0x90, 0x41, 0xFF]];
        assert_eq!(found(&noise, false), ["Garbage", "Raw([90, 41, ff])"]);
        let framed: &[u8] = &[9, 1, 0x11, 0, 3, 0, 0, 0, 7, 0x90, 0x41, 0xFF];
        let expected =
            ["Garbage", "Framed(Framed { kind: 111, sequence: 7, payload: [90, 41, ff] })"];
        assert_eq!(found(&[framed], true), expected);
        assert_eq!(found(&[&framed[..5], &framed[5..]], true), expected);
    }
}
