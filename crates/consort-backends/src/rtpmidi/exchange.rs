//! The messages of Apple's session protocol: invitations, clock synchronisation, feedback.

/// The longest name of a session that is kept, in characters.
const MAX_NAME_CHARS: usize = 64;

/// The version of the protocol.
const VERSION: u32 = 2;

/// A message of the session protocol. `token` identifies an invitation, `ssrc` its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    Invitation {
        token: u32,
        ssrc: u32,
        name: String,
    },
    Accepted {
        token: u32,
        ssrc: u32,
        name: String,
    },
    Rejected {
        token: u32,
        ssrc: u32,
    },
    Bye {
        token: u32,
        ssrc: u32,
    },
    /// Clocks in units of 100 µs; `step` is 0, 1 or 2 and says how many of them follow the first.
    Clock {
        ssrc: u32,
        step: u8,
        times: [u64; 3],
    },
    /// The last packet that has arrived.
    Feedback {
        ssrc: u32,
        sequence: u16,
    },
}

/// Whether a datagram is of the session protocol, not a packet with MIDI.
pub(super) fn is_exchange(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0xFF])
}

/// A number of four bytes at a position.
fn number(bytes: &[u8], position: usize) -> Option<u32> {
    let bytes = bytes.get(position..position + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// The name at the end of an invitation or of the answer; none is an empty one.
fn name(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).chars().take(MAX_NAME_CHARS).collect()
}

impl Exchange {
    /// Reads a datagram; `None` for unknown or incomplete messages.
    pub(super) fn parse(bytes: &[u8]) -> Option<Exchange> {
        let body = bytes.strip_prefix(&[0xFF, 0xFF])?;
        let (command, body) = body.split_at_checked(2)?;
        let invitation = || {
            let (token, ssrc) = (number(body, 4)?, number(body, 8)?);
            Some((token, ssrc, name(body.get(12..).unwrap_or_default())))
        };
        match command {
            b"IN" => {
                let (token, ssrc, name) = invitation()?;
                Some(Exchange::Invitation { token, ssrc, name })
            }
            b"OK" => {
                let (token, ssrc, name) = invitation()?;
                Some(Exchange::Accepted { token, ssrc, name })
            }
            b"NO" => {
                let (token, ssrc, _) = invitation()?;
                Some(Exchange::Rejected { token, ssrc })
            }
            b"BY" => {
                let (token, ssrc, _) = invitation()?;
                Some(Exchange::Bye { token, ssrc })
            }
            b"CK" => {
                let (ssrc, step) = (number(body, 0)?, *body.get(4)?);
                let time = |index: usize| {
                    let at = 8 + index * 8;
                    Some(u64::from(number(body, at)?) << 32 | u64::from(number(body, at + 4)?))
                };
                let times = [time(0)?, time(1)?, time(2)?];
                (step < 3).then_some(Exchange::Clock { ssrc, step, times })
            }
            b"RS" => {
                let (ssrc, sequence) = (number(body, 0)?, number(body, 4)? >> 16);
                Some(Exchange::Feedback { ssrc, sequence: sequence as u16 })
            }
            _ => None,
        }
    }

    /// Appends the message.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut invitation = |command: &[u8; 2], token: u32, ssrc: u32, name: Option<&str>| {
            out.extend([0xFF, 0xFF]);
            out.extend(command);
            out.extend(VERSION.to_be_bytes());
            out.extend(token.to_be_bytes());
            out.extend(ssrc.to_be_bytes());
            if let Some(name) = name {
                out.extend(name.bytes().filter(|byte| *byte != 0));
                out.push(0);
            }
        };
        match self {
            Exchange::Invitation { token, ssrc, name } => {
                invitation(b"IN", *token, *ssrc, Some(name));
            }
            Exchange::Accepted { token, ssrc, name } => {
                invitation(b"OK", *token, *ssrc, Some(name));
            }
            Exchange::Rejected { token, ssrc } => invitation(b"NO", *token, *ssrc, None),
            Exchange::Bye { token, ssrc } => invitation(b"BY", *token, *ssrc, None),
            Exchange::Clock { ssrc, step, times } => {
                out.extend(b"\xFF\xFFCK");
                out.extend(ssrc.to_be_bytes());
                out.extend([*step, 0, 0, 0]);
                times.iter().for_each(|time| out.extend(time.to_be_bytes()));
            }
            Exchange::Feedback { ssrc, sequence } => {
                out.extend(b"\xFF\xFFRS");
                out.extend(ssrc.to_be_bytes());
                out.extend(sequence.to_be_bytes());
                out.extend([0, 0]);
            }
        }
    }
}
