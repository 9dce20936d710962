//! Addresses of ports: a client's number and a port's number.

use std::fmt;
use std::str::FromStr;

/// The address of a port: client number and port number
/// (`struct snd_seq_addr` of the kernel's `asequencer.h`).
///
/// Written and read as `client:port`, for example `128:0`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address {
    /// The client's number, 0 to 255.
    pub client: u8,
    /// The port's number within the client, 0 to 255.
    pub port: u8,
}

impl Address {
    /// All ports that are subscribed to the sending port (`254:0`).
    pub const SUBSCRIBERS: Address = Address::new(254, 0);
    /// The system timer's port (`0:0`), where queue control events go.
    pub const SYSTEM_TIMER: Address = Address::new(0, 0);
    /// The system's announcement port (`0:1`): connect from it to hear of clients and ports
    /// that come and go.
    pub const SYSTEM_ANNOUNCE: Address = Address::new(0, 1);
    /// The client number that stands for "every subscriber" (`SNDRV_SEQ_ADDRESS_SUBSCRIBERS`).
    pub const CLIENT_SUBSCRIBERS: u8 = 254;
    /// The client number that stands for "every client" (`SNDRV_SEQ_ADDRESS_BROADCAST`).
    pub const CLIENT_BROADCAST: u8 = 255;
    /// A number that is not known (`SNDRV_SEQ_ADDRESS_UNKNOWN`).
    pub const UNKNOWN: u8 = 253;

    /// The address `client:port`.
    #[must_use]
    pub const fn new(client: u8, port: u8) -> Self {
        Self { client, port }
    }

    /// Whether this address stands for all subscribers of the sending port.
    #[must_use]
    pub const fn is_subscribers(self) -> bool {
        self.client == Self::CLIENT_SUBSCRIBERS
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.client, self.port)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.client, self.port)
    }
}

impl From<(u8, u8)> for Address {
    fn from((client, port): (u8, u8)) -> Self {
        Self { client, port }
    }
}

impl From<&Address> for Address {
    fn from(address: &Address) -> Self {
        *address
    }
}

/// A text that is no numeric address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no address: {reason}; expected CLIENT:PORT or CLIENT.PORT in numbers of 0 to 255, \
     for example 128:0 (look names up with a client)"
)]
#[non_exhaustive]
pub struct AddressError {
    text: String,
    reason: &'static str,
}

impl AddressError {
    /// The text that was given, cut to 80 characters.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The errno that `snd_seq_parse_address` answers: `EINVAL`.
    #[must_use]
    pub fn errno(&self) -> i32 {
        libc::EINVAL
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads what `snd_seq_parse_address` reads: `128:1` or `128.1`, `128` for `128:0`, with
    /// leading blanks, a prefix `0x` (or of the client `0` for octal numbers) and quotes around the
    /// client.
    ///
    /// Stricter in two things: a number above 255 is an error instead of wrapping round, and so
    /// is a port that is no number instead of counting as 0.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fail = |reason| AddressError { text: text.chars().take(80).collect(), reason };
        let trimmed = text.trim_start();
        let (client, rest) = match trimmed.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                let inner = &trimmed[1..];
                let end = inner.find(quote).ok_or_else(|| fail("the quote is not closed"))?;
                (&inner[..end], &inner[end + 1..])
            }
            Some(_) => match trimmed.find([':', '.']) {
                Some(at) => trimmed.split_at(at),
                None => (trimmed, ""),
            },
            None => return Err(fail("it is empty")),
        };
        // The whole address in quotes: libasound takes the quoted text for a name.
        let client = number(client.trim_end(), 8).map_err(fail)?;
        let port = match rest.strip_prefix([':', '.']) {
            None if rest.trim().is_empty() => 0,
            None => return Err(fail("a separator ':' or '.' is missing")),
            Some(port) if port.trim().is_empty() => 0,
            Some(port) => number(port.trim(), 10).map_err(fail)?,
        };
        Ok(Self { client, port })
    }
}

/// A number; `after_zero` is the base of one that begins with 0.
fn number(text: &str, after_zero: u32) -> Result<u8, &'static str> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text.starts_with('-') {
        return Err("a number is negative");
    }
    let (digits, radix) = if let Some(digits) = text.strip_prefix("0x").or(text.strip_prefix("0X"))
    {
        (digits, 16)
    } else if text.len() > 1 && text.starts_with('0') {
        (&text[1..], after_zero)
    } else {
        (text, 10)
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err("it holds something that is no number");
    }
    u8::from_str_radix(digits, radix).map_err(|_| "a number is above 255")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_libasound_reads() {
        for (text, client, port) in [
            ("128", 128, 0),
            ("128:1", 128, 1),
            ("128.1", 128, 1),
            (" 128:1", 128, 1),
            ("\t12:3", 12, 3),
            ("0x80", 128, 0),
            ("0x80:0x1", 128, 1),
            ("'128':1", 128, 1),
            ("\"14\"", 14, 0),
            ("128:", 128, 0),
            ("128: 5", 128, 5),
            ("128:1 ", 128, 1),
            ("010:07", 8, 7),
            ("1:010", 1, 10),
            ("1:08", 1, 8),
            ("+12:+3", 12, 3),
            ("0:0", 0, 0),
        ] {
            assert_eq!(text.parse(), Ok(Address::new(client, port)), "{text:?}");
        }
    }

    #[test]
    fn refuses_names_and_negative_numbers() {
        for text in [
            "", "x", ":1", "128:-1", "-1:0", "128'1", "'128:1", "'128:1'", "1 2:3", "128x:1",
            "128:x", "300:0", "1:256", "0x", "08:1",
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert_eq!(error.errno(), libc::EINVAL);
            assert!(error.to_string().contains("expected CLIENT:PORT"), "{error}");
        }
    }

    #[test]
    fn text_round_trips() {
        for client in [0, 14, 128, 255] {
            let address = Address::new(client, 7);
            assert_eq!(address.to_string().parse(), Ok(address));
        }
    }
}
