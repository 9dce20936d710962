//! Options that the DMX backends share: addresses, interfaces, and conflicting outputs.

use std::net::Ipv4Addr;

use consort_router::{Options, Problems};

use super::node::{MAX_INTERFACES, UniverseConfig};
use crate::net::HostPort;

/// The flags that may follow `bind = HOST PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BindFlags {
    /// The address to announce instead of the bound one.
    pub(crate) announce: Option<Ipv4Addr>,
    /// Whether packets to multicast groups are also delivered to programs on this machine.
    pub(crate) loops_back: bool,
}

/// One `bind` option.
#[derive(Clone, Debug)]
pub(crate) struct InterfaceConfig {
    pub(crate) address: HostPort,
    pub(crate) flags: BindFlags,
}

/// Reads the `bind` options of a backend, or their default.
pub(crate) fn read_interfaces(
    options: &Options,
    problems: &mut Problems,
    default_port: u16,
    read_flags: fn(&[String]) -> Result<BindFlags, String>,
) -> Vec<InterfaceConfig> {
    let mut interfaces = Vec::new();
    let mut add = |text: &str, position: Option<usize>| {
        let result =
            parse_bind(text, default_port).and_then(|bind| Ok((read_flags(&bind.flags)?, bind)));
        match result {
            Ok((flags, bind)) => {
                interfaces.push(InterfaceConfig { address: bind.address, flags });
            }
            Err(message) => {
                problems.error(position, message);
            }
        }
    };
    for (position, entry) in options.all("bind").take(MAX_INTERFACES) {
        add(&entry.value, Some(position));
    }
    if !options.is_set("bind")
        && let Some(text) = options.text("bind")
    {
        add(text, None);
    }
    interfaces
}

/// Reads `interface`, the index of a `bind` option.
pub(crate) fn read_interface(
    options: &Options,
    count: usize,
    backend: &str,
    problems: &mut Problems,
) -> Option<usize> {
    let interface = options.integer("interface").unwrap_or(0) as usize;
    if interface < count {
        return Some(interface);
    }
    problems
        .error(
            options.position("interface"),
            format!("there is no interface {interface}: the backend has {count}"),
        )
        .hint(format!(
            "interfaces are numbered from 0, in the order of the `bind` options in [backend {backend}]"
        ));
    None
}

/// What an instance sends and where, to find instances that send the same universe.
pub(crate) struct Transmission {
    name: String,
    number: u16,
    interface: usize,
    destination: Option<HostPort>,
}

impl Transmission {
    /// `None` if the instance does not send.
    pub(crate) fn from_config(config: &UniverseConfig) -> Option<Self> {
        config.is_output.then(|| Transmission {
            name: config.name.clone(),
            number: config.number,
            interface: config.interface,
            destination: config.destination.clone(),
        })
    }
}

/// Warns about instances that send the same universe to the same destination.
pub(crate) fn check_outputs(outputs: &[Transmission], report: &mut dyn FnMut(&str, Problems)) {
    let mut senders = std::collections::HashMap::new();
    for output in outputs {
        let target = (output.number, output.interface, &output.destination);
        let Some(other) = senders.insert(target, &output.name) else { continue };
        let mut problems = Problems::new();
        problems
            .warning(
                None,
                format!("instance `{other}` sends the same universe to the same destination"),
            )
            .hint("map everything to one of them: receivers cannot distinguish their frames");
        report(&output.name, problems);
    }
}

/// `bind = HOST [PORT] [OPTION…]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) address: HostPort,
    /// The words after host and port.
    pub(crate) flags: Vec<String>,
}

/// Parses an address to bind. A port alone, and the host `*`, are every IPv4 address, because these
/// protocols use the groups and broadcasts of IPv4.
///
/// # Errors
/// A message that states what was expected.
pub(crate) fn parse_bind(text: &str, default_port: u16) -> Result<Bind, String> {
    let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
    if words.is_empty() {
        return Err(format!("expected an address and a port, such as `0.0.0.0 {default_port}`"));
    }
    let count = match words.get(1) {
        Some(word) if word.bytes().all(|byte| byte.is_ascii_digit()) => 2,
        _ => 1,
    };
    let flags = words.split_off(count);
    let mut address = parse_host(&words, default_port)?;
    let is_port_alone = words.len() == 1 && words[0].bytes().all(|byte| byte.is_ascii_digit());
    if is_port_alone || words[0].starts_with('*') {
        "0.0.0.0".clone_into(&mut address.host);
    }
    Ok(Bind { address, flags: flags.into_iter().map(str::to_owned).collect() })
}

/// Parses an address to send to.
///
/// # Errors
/// A message that states what was expected.
pub(crate) fn parse_destination(text: &str, default_port: u16) -> Result<HostPort, String> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if words.is_empty() || words.len() > 2 {
        return Err("expected an address, such as `10.2.2.2`".into());
    }
    let address = parse_host(&words, default_port)?;
    if words.len() == 1 && words[0].bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("expected an address, not a port alone".into());
    }
    if address.port == 0 {
        return Err("cannot send to port 0".into());
    }
    Ok(address)
}

/// Parses a host and an optional port.
fn parse_host(words: &[&str], default_port: u16) -> Result<HostPort, String> {
    match words {
        [host, port] => HostPort::parse(&format!("{host} {port}")),
        [word] => match HostPort::parse(word) {
            Ok(address) => Ok(address),
            Err(_) => HostPort::parse(&format!("{word} {default_port}")),
        },
        _ => Err("expected a host and a port".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed_with_and_without_ports_and_flags() {
        for (text, host, port, flags) in [
            ("127.0.0.1 6454", "127.0.0.1", 6454, &[][..]),
            ("127.0.0.1", "127.0.0.1", 77, &[]),
            ("127.0.0.1:6455", "127.0.0.1", 6455, &[]),
            ("0.0.0.0 5568 local", "0.0.0.0", 5568, &["local"]),
            ("0.0.0.0 local", "0.0.0.0", 77, &["local"]),
            ("6454", "0.0.0.0", 6454, &[]),
            ("* 6454 a=b c", "0.0.0.0", 6454, &["a=b", "c"]),
            (":: 6454", "::", 6454, &[]),
        ] {
            let bind = parse_bind(text, 77).expect(text);
            assert_eq!((bind.address.host.as_str(), bind.address.port), (host, port), "{text}");
            assert_eq!(bind.flags, flags, "{text}");
        }
        for text in ["", "1.2.3.4 70000", "bad!host"] {
            assert!(parse_bind(text, 77).is_err(), "{text}");
        }
        assert_eq!(parse_destination("10.2.2.2", 9).map(|address| address.port), Ok(9));
        assert_eq!(parse_destination("10.2.2.2 1", 9).map(|address| address.port), Ok(1));
        for text in ["", "6454", "10.2.2.2 0", "10.2.2.2 1 x"] {
            assert!(parse_destination(text, 9).is_err(), "{text}");
        }
    }
}
