//! `HOST PORT`, as configurations write it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A host and a port.
///
/// Written `HOST PORT` (`127.0.0.1 8000`, `:: 8000`, `console.local 9000`), `HOST:PORT`,
/// `[::1]:8000`, or `PORT` alone for the address `::`, which is every interface, IPv6 and IPv4.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name, an IPv4 or an IPv6 address.
    pub host: String,
    /// The port, 1 to 65535 (0 where any free port will do).
    pub port: u16,
}

impl HostPort {
    /// Parses any of the written forms.
    ///
    /// # Errors
    /// A message that states what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (host, port) = match text.split_once(char::is_whitespace) {
            Some((host, port)) => (host, port.trim_start()),
            None if text.chars().all(|c| c.is_ascii_digit()) && !text.is_empty() => ("::", text),
            None => match text.rsplit_once(':') {
                Some((host, port)) if host.starts_with('[') && host.ends_with(']') => {
                    (&host[1..host.len() - 1], port)
                }
                Some((host, port)) if !host.contains(':') && !host.is_empty() => (host, port),
                _ => return Err("expected a host and a port, such as `127.0.0.1 8000`".into()),
            },
        };
        let port = port
            .parse()
            .map_err(|_| format!("invalid port `{port}`: expected a number from 1 to 65535"))?;
        let host = if host == "*" { "::" } else { host };
        let is_invalid = |c: char| !(c.is_ascii_alphanumeric() || ".:-_%".contains(c));
        if host.len() > 253 || host.contains(is_invalid) {
            return Err(format!("`{host}` is not a valid host name or address"));
        }
        if is_impossible_ipv4(host) {
            return Err(format!(
                "`{host}` is not a valid IPv4 address: expected four numbers from 0 to 255"
            ));
        }
        if host.parse::<IpAddr>().is_err() && host.contains(':') && !host.contains('%') {
            return Err(format!("`{host}` is not a valid IPv6 address"));
        }
        Ok(HostPort { host: host.to_owned(), port })
    }

    /// Validates a value of an option, for the option tables.
    ///
    /// # Errors
    /// See [`HostPort::parse`].
    pub fn check(text: &str) -> Result<(), String> {
        HostPort::parse(text).map(drop)
    }

    /// The socket address, if the host is a literal address rather than a name.
    pub fn literal(&self) -> Option<SocketAddr> {
        let address: IpAddr = self.host.parse().ok()?;
        Some(SocketAddr::new(address, self.port))
    }

    /// Whether sockets bound to both addresses would conflict.
    pub fn overlaps(&self, other: &HostPort) -> bool {
        let is_wildcard =
            |bind: &HostPort| bind.literal().is_some_and(|address| address.ip().is_unspecified());
        self.port == other.port
            && self.port != 0
            && (self.host == other.host || is_wildcard(self) || is_wildcard(other))
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Whether a host is written as an IPv4 address and cannot be one. The short and octal forms that
/// the system's look-up accepts (`127.1`, `010.0.0.1`) can.
fn is_impossible_ipv4(host: &str) -> bool {
    let parts = || host.split('.');
    let is_numeric =
        parts().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let is_large = |part: &str| part.parse::<u8>().is_err();
    is_numeric && (parts().count() > 4 || parts().count() == 4 && parts().any(is_large))
}

/// Converts an address to the family of the socket that sends to it: an IPv6 socket reaches IPv4
/// addresses in their mapped form. `None` if the socket cannot reach the address.
pub(crate) fn for_family(address: SocketAddr, socket_is_v6: bool) -> Option<SocketAddr> {
    match (address.ip(), socket_is_v6) {
        (IpAddr::V4(ip), true) => Some(SocketAddr::new(ip.to_ipv6_mapped().into(), address.port())),
        (IpAddr::V6(ip), false) => {
            Some(SocketAddr::new(ip.to_ipv4_mapped()?.into(), address.port()))
        }
        _ => Some(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_parsed() {
        for (text, host, port) in [
            ("127.0.0.1 8000", "127.0.0.1", 8000),
            (":: 8000", "::", 8000),
            ("::1\t 9", "::1", 9),
            ("console.local 9000", "console.local", 9000),
            ("console.local:9000", "console.local", 9000),
            ("127.1 9000", "127.1", 9000),
            ("010.0.0.1 9000", "010.0.0.1", 9000),
            ("desk-2 9000", "desk-2", 9000),
            ("2nd-desk.7a 9000", "2nd-desk.7a", 9000),
            ("[::1]:8000", "::1", 8000),
            ("8000", "::", 8000),
            ("* 8000", "::", 8000),
            ("fe80::1%eth0 8000", "fe80::1%eth0", 8000),
        ] {
            let expected = HostPort { host: host.into(), port };
            assert_eq!(HostPort::parse(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "console",
            "console port",
            "1.2.3.4 65536",
            "1.2.3.4 -1",
            "::1",
            "a b c",
            "x:y:z 1",
            "bad host! 1",
            "10.0.0.256 1",
            "10.0.0.0.1 1",
        ] {
            assert!(HostPort::parse(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn binds_overlap_if_port_and_address_do() {
        let bind = |text| HostPort::parse(text).expect("an address");
        assert!(bind("8000").overlaps(&bind("127.0.0.1 8000")));
        assert!(bind("127.0.0.1 8000").overlaps(&bind("0.0.0.0 8000")));
        assert!(!bind("127.0.0.1 8000").overlaps(&bind("127.0.0.2 8000")));
        assert!(!bind("8000").overlaps(&bind("8001")));
        assert!(!bind("0").overlaps(&bind("0")));
    }
}
