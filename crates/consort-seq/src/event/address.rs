//! Addresses of ports: a client number and a port number.

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
    /// All subscribers of the sending port (`254:0`).
    pub const SUBSCRIBERS: Address = Address::new(254, 0);
    /// The system timer's port (`0:0`), where queue control events go.
    pub const SYSTEM_TIMER: Address = Address::new(0, 0);
    /// The system's announcement port (`0:1`): connect from it to receive events about clients and
    /// ports that appear and disappear.
    pub const SYSTEM_ANNOUNCE: Address = Address::new(0, 1);
    /// The client number of all subscribers (`SNDRV_SEQ_ADDRESS_SUBSCRIBERS`).
    pub const CLIENT_SUBSCRIBERS: u8 = 254;
    /// The client number of all clients (`SNDRV_SEQ_ADDRESS_BROADCAST`).
    pub const CLIENT_BROADCAST: u8 = 255;
    /// An unknown client or port number (`SNDRV_SEQ_ADDRESS_UNKNOWN`).
    pub const UNKNOWN: u8 = 253;

    /// The address `client:port`.
    #[must_use]
    pub const fn new(client: u8, port: u8) -> Self {
        Self { client, port }
    }

    /// Whether this is the address of all subscribers of the sending port.
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

/// The error for a text that is not a numeric address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid address {text:?}: {reason}; expected CLIENT:PORT or CLIENT.PORT with numbers from 0 \
     to 255, such as 128:0 (to look up a port by its name, use a client)"
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

    /// The errno that `snd_seq_parse_address` returns: `EINVAL`.
    #[must_use]
    pub fn errno(&self) -> i32 {
        libc::EINVAL
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Parses what `snd_seq_parse_address` parses: `128:1` or `128.1`, `128` for `128:0`, with
    /// leading blanks, a prefix `0x` (or, for the client, `0` for octal numbers) and quotes around
    /// the client.
    ///
    /// It is stricter in two points: a number above 255 is an error and does not wrap round, and a
    /// port that is not a number is an error and does not count as 0.
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
                Some(separator) => trimmed.split_at(separator),
                None => (trimmed, ""),
            },
            None => return Err(fail("it is empty")),
        };
        // A whole address in quotes is an error: libasound treats the quoted text as a name.
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

/// Parses a number; `zero_radix` is the radix of a number that begins with 0.
fn number(text: &str, zero_radix: u32) -> Result<u8, &'static str> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text.starts_with('-') {
        return Err("a number is negative");
    }
    let (digits, radix) = if let Some(digits) = text.strip_prefix("0x").or(text.strip_prefix("0X"))
    {
        (digits, 16)
    } else if text.len() > 1 && text.starts_with('0') {
        (&text[1..], zero_radix)
    } else {
        (text, 10)
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err("the client or port is not a number");
    }
    u8::from_str_radix(digits, radix).map_err(|_| "a number is above 255")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed_as_libasound_parses_them() {
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
    fn names_and_numbers_out_of_range_are_rejected() {
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
    fn an_address_survives_conversion_to_text() {
        for client in [0, 14, 128, 255] {
            let address = Address::new(client, 7);
            assert_eq!(address.to_string().parse(), Ok(address));
        }
    }
}
