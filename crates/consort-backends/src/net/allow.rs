//! The option `allow`: which hosts may send to an instance.

use std::net::{IpAddr, Ipv6Addr};

use consort_router::{Context, OptionKind, OptionSpec, Options, WarnOnce};

/// The option of every backend that listens.
pub(crate) const ALLOW: OptionSpec = OptionSpec {
    name: "allow",
    kind: OptionKind::Checked(check),
    example: "10.0.0.0/8 192.168.1.20",
    documentation: "Networks (`10.0.0.0/8`) and hosts (`192.168.1.20`) from which packets and \
connections are accepted, separated by spaces; `local` is this computer. What others send is \
ignored and counted as an error. By default, everyone is allowed.",
    ..OptionSpec::EMPTY
};

/// Networks whose hosts may send; none: everyone may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    networks: Vec<Network>,
}

/// The hosts whose addresses begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    /// IPv4 addresses in their mapped form.
    bits: u128,
    /// How many bits of `bits` count, 0 to 128.
    length: u32,
}

/// An address as 128 bits; IPv4 in its mapped form.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
    .to_bits()
}

impl Network {
    fn parse(word: &str) -> Result<Self, String> {
        let expected =
            || format!("`{word}` is not a network: expected an address, `10.0.0.0/8`, or `local`");
        let (address, length) = match word.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (word, None),
        };
        let address: IpAddr = address.parse().map_err(|_| expected())?;
        let (longest, offset) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let length = match length {
            None => longest,
            Some(length) => match length.parse::<u32>() {
                Ok(length) if length <= longest => length,
                _ => return Err(format!("`{word}`: expected 0 to {longest} bits after the slash")),
            },
        };
        Ok(Network { bits: bits(address), length: offset + length })
    }

    fn contains(self, address: u128) -> bool {
        let ignored = 128 - self.length;
        self.bits.checked_shr(ignored).unwrap_or(0) == address.checked_shr(ignored).unwrap_or(0)
    }
}

impl Allow {
    /// Parses addresses and networks, separated by spaces or commas.
    ///
    /// # Errors
    /// A message that states what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut networks = Vec::new();
        let is_separator = |letter: char| letter.is_ascii_whitespace() || letter == ',';
        for word in text.split(is_separator).filter(|word| !word.is_empty()) {
            if word.eq_ignore_ascii_case("local") {
                networks.push(Network::parse("127.0.0.0/8")?);
                networks.push(Network { bits: Ipv6Addr::LOCALHOST.to_bits(), length: 128 });
            } else {
                networks.push(Network::parse(word)?);
            }
        }
        match networks.is_empty() {
            true => Err("expected a network, such as `10.0.0.0/8`".to_owned()),
            false => Ok(Allow { networks }),
        }
    }

    /// Reads the option, which was validated.
    pub(crate) fn read(options: &Options) -> Self {
        options.text("allow").and_then(|text| Allow::parse(text).ok()).unwrap_or_default()
    }

    /// Whether everyone may send.
    #[inline]
    pub fn is_everyone(&self) -> bool {
        self.networks.is_empty()
    }

    /// Whether a host may send.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = bits(address);
        self.is_everyone() || self.networks.iter().any(|network| network.contains(address))
    }
}

/// Validates the option.
fn check(text: &str) -> Result<(), String> {
    Allow::parse(text).map(drop)
}

/// Counts what hosts outside [`Allow`] sent, and logs the first.
#[derive(Debug, Default)]
pub(crate) struct DenialReport(WarnOnce);

impl DenialReport {
    /// Counts `count` packets or connections, the last of them from `host`, as errors of the
    /// instance.
    pub(crate) fn report(&mut self, count: u64, host: IpAddr, context: &mut Context<'_>) {
        context.count_errors(count);
        if self.0.is_first() {
            tracing::warn!(
                instance = context.name(),
                "ignored {host}, which is not in `allow`; further ones are only counted"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(text: &str, address: &str) -> bool {
        Allow::parse(text).expect(text).contains(address.parse().expect(address))
    }

    #[test]
    fn addresses_are_compared_by_the_bits_of_the_network() {
        assert!(allows("10.0.0.0/8", "10.255.1.2") && !allows("10.0.0.0/8", "11.0.0.1"));
        assert!(allows("10.1.2.3", "10.1.2.3") && !allows("10.1.2.3", "10.1.2.4"));
        assert!(allows("192.168.1.0/25, 10.0.0.1", "192.168.1.127"));
        assert!(!allows("192.168.1.0/25 10.0.0.1", "192.168.1.128"));
        assert!(allows("0.0.0.0/0", "8.8.8.8") && !allows("0.0.0.0/0", "2001:db8::1"));
        assert!(allows("::/0", "8.8.8.8") && allows("2001:db8::/32", "2001:db8:1::5"));
        assert!(!allows("2001:db8::/32", "2001:db9::5"));
        assert!(allows("local", "127.0.0.5") && allows("Local", "::1"));
        assert!(!allows("local", "10.0.0.1"));
        // An IPv6 socket reports IPv4 hosts in the mapped form.
        assert!(allows("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(Allow::default().contains("8.8.8.8".parse().expect("an address")));
    }

    #[test]
    fn invalid_networks_are_reported() {
        for (text, words) in [
            ("", "expected a network"),
            ("10.0.0", "`10.0.0` is not a network"),
            ("10.0.0.0/33", "0 to 32 bits"),
            ("::/129", "0 to 128 bits"),
            ("10.0.0.0/8 x", "`x` is not a network"),
            ("10.0.0.0/-1", "0 to 32 bits"),
        ] {
            let error = Allow::parse(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
