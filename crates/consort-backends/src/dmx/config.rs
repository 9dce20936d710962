//! Options that the DMX backends share: addresses, interfaces, and conflicting outputs.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use consort_router::{Options, Problems};

use super::node::{MAX_INTERFACES, UniverseConfig};
use crate::net::HostPort;
use crate::net::loss::{RECEIVE_BUFFER_BYTES, rmem_max};

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

/// How much of a receive buffer the frame of one universe takes: its packet in the kernel's memory,
/// as drivers of network cards allocate it.
const FRAME_BUFFER_BYTES: usize = 2_304;

/// The instances of a backend that may receive, for the warning about receive buffers that are too
/// small for a burst of all their universes.
#[derive(Default)]
pub(crate) struct Receivers(Vec<Receiver>);

/// An instance, and where it receives.
struct Receiver {
    name: String,
    universe: (usize, u16),
    is_source: Arc<AtomicBool>,
}

impl Receivers {
    /// Adds an instance. The plan sets the result when a mapping reads one of its channels.
    pub(crate) fn add(&mut self, config: &UniverseConfig) -> Arc<AtomicBool> {
        let is_source = Arc::<AtomicBool>::default();
        self.0.push(Receiver {
            name: config.name.clone(),
            universe: (config.interface, config.number),
            is_source: Arc::clone(&is_source),
        });
        is_source
    }

    /// Warns at the first instance of an interface whose universes do not fit into its receive
    /// buffer at once, because consoles send all universes in one burst.
    pub(crate) fn check(&self, report: &mut dyn FnMut(&str, Problems)) {
        if let Some(limit) = rmem_max() {
            self.check_with(limit, report);
        }
    }

    fn check_with(&self, limit: usize, report: &mut dyn FnMut(&str, Problems)) {
        if limit >= RECEIVE_BUFFER_BYTES {
            return;
        }
        let mut interfaces = std::collections::BTreeMap::new();
        for receiver in self.0.iter().filter(|receiver| receiver.is_source.load(Ordering::Relaxed))
        {
            let (interface, number) = receiver.universe;
            let entry = interfaces.entry(interface);
            let (_, universes) =
                entry.or_insert_with(|| (&receiver.name, std::collections::HashSet::new()));
            universes.insert(number);
        }
        for (name, universes) in interfaces.into_values() {
            // The kernel doubles the size that a program asks for.
            let capacity = 2 * limit / FRAME_BUFFER_BYTES;
            if universes.len() <= capacity {
                continue;
            }
            let mut problems = Problems::new();
            let message = format!(
                "a burst of {} universes may be lost in part: the kernel limits receive buffers to \
                 {limit} bytes (net.core.rmem_max), enough for {capacity}",
                universes.len()
            );
            problems
                .warning(None, message)
                .hint(format!("run `sudo sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}`"));
            report(name, problems);
        }
    }
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
    fn a_receive_buffer_that_is_too_small_for_all_universes_is_reported() {
        let mut receivers = Receivers::default();
        for number in 0..300_u16 {
            let is_source = Arc::new(AtomicBool::new(number > 0));
            let name = format!("u{number}");
            receivers.0.push(Receiver { name, universe: (0, number / 2), is_source });
        }
        let warnings = |limit| {
            let mut list = Vec::new();
            receivers.check_with(limit, &mut |name, problems| {
                let text = problems.into_vec().into_iter().map(|problem| problem.message);
                list.push((name.to_owned(), text.collect::<String>()));
            });
            list
        };
        assert_eq!(warnings(4 << 20), []);
        assert_eq!(warnings(212_992), [], "the buffer holds 184, the show has 150");
        let list = warnings(160_000);
        assert_eq!((list.len(), list[0].0.as_str()), (1, "u1"));
        assert!(
            list[0].1.contains("150 universes") && list[0].1.contains("enough for 138"),
            "{list:?}"
        );
    }

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
