//! Addresses as the options of these backends write them.

use std::net::Ipv4Addr;

use consort_router::{Options, Problems};

use super::interface::Interface;
use super::node::{INTERFACE_LIMIT, UniverseConfig};
use crate::net::HostPort;

/// What the words behind `bind = HOST PORT` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BindWords {
    /// The address to announce instead of the bound one.
    pub(crate) announce: Option<Ipv4Addr>,
    /// Whether what is sent to groups comes back to programs on this machine.
    pub(crate) loops_back: bool,
}

/// Reads the `bind` options of a backend, or their default.
pub(crate) fn read_interfaces(
    options: &Options,
    problems: &mut Problems,
    default_port: u16,
    read_words: fn(&[String]) -> Result<BindWords, String>,
) -> Vec<Interface> {
    let mut interfaces = Vec::new();
    let mut add = |text: &str, at: Option<usize>| {
        let read =
            parse_bind(text, default_port).and_then(|bind| Ok((read_words(&bind.words)?, bind)));
        match read {
            Ok((words, bind)) => {
                interfaces.push(Interface::new(&bind, words.announce, words.loops_back));
            }
            Err(message) => {
                problems.error(at, message);
            }
        }
    };
    for (at, entry) in options.all("bind").take(INTERFACE_LIMIT) {
        add(&entry.value, Some(at));
    }
    if !options.is_set("bind")
        && let Some(text) = options.text("bind")
    {
        add(text, None);
    }
    interfaces
}

/// Reads `interface`, the number of a `bind` option.
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
            format!("there is no interface {interface}: there are {count}"),
        )
        .hint(format!(
            "interfaces are counted from 0, in the order of `bind` in [backend {backend}]"
        ));
    None
}

/// Who sends which universe where, to find those that would contradict each other.
pub(crate) struct Sending {
    name: String,
    number: u16,
    interface: usize,
    destination: Option<HostPort>,
}

impl Sending {
    pub(crate) fn of(config: &UniverseConfig) -> Option<Self> {
        config.is_output.then(|| Sending {
            name: config.name.clone(),
            number: config.number,
            interface: config.interface,
            destination: config.destination.clone(),
        })
    }
}

/// Reports instances that send one universe to one place.
pub(crate) fn check_outputs(outputs: &[Sending], report: &mut dyn FnMut(&str, Problems)) {
    let mut first = std::collections::HashMap::new();
    for it in outputs {
        let place = (it.number, it.interface, &it.destination);
        let Some(other) = first.insert(place, &it.name) else { continue };
        let mut problems = Problems::new();
        problems
            .warning(None, format!("instance `{other}` sends the same universe to the same place"))
            .hint(
                "map everything to one of them: receivers see one source that contradicts itself",
            );
        report(&it.name, problems);
    }
}

/// `bind = HOST [PORT] [OPTION…]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) address: HostPort,
    /// What follows host and port.
    pub(crate) words: Vec<String>,
}

/// Reads an address to bind. A port alone, and the host `*`, mean every IPv4 address: the groups
/// and broadcasts of these protocols are IPv4's.
///
/// # Errors
/// Says what was expected.
pub(crate) fn parse_bind(text: &str, default_port: u16) -> Result<Bind, String> {
    let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
    if words.is_empty() {
        return Err(format!("expected an address and a port, such as `0.0.0.0 {default_port}`"));
    }
    let count = match words.get(1) {
        Some(word) if word.bytes().all(|byte| byte.is_ascii_digit()) => 2,
        _ => 1,
    };
    let rest = words.split_off(count);
    let mut address = parse_host(&words, default_port)?;
    let alone = words.len() == 1 && words[0].bytes().all(|byte| byte.is_ascii_digit());
    if alone || words[0].starts_with('*') {
        "0.0.0.0".clone_into(&mut address.host);
    }
    Ok(Bind { address, words: rest.into_iter().map(str::to_owned).collect() })
}

/// Reads an address to send to.
///
/// # Errors
/// Says what was expected.
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
        return Err("port 0 cannot be sent to".into());
    }
    Ok(address)
}

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
    fn reads_addresses_with_and_without_ports_and_options() {
        for (text, host, port, words) in [
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
            assert_eq!(bind.words, words, "{text}");
        }
        for text in ["", "1.2.3.4 70000", "bad!host"] {
            assert!(parse_bind(text, 77).is_err(), "{text}");
        }
        assert_eq!(parse_destination("10.2.2.2", 9).map(|it| it.port), Ok(9));
        assert_eq!(parse_destination("10.2.2.2 1", 9).map(|it| it.port), Ok(1));
        for text in ["", "6454", "10.2.2.2 0", "10.2.2.2 1 x"] {
            assert!(parse_destination(text, 9).is_err(), "{text}");
        }
    }
}
