//! Which port the name of a device means.

use consort_seq::{Address, PortCaps, PortInfo};

/// Which way events go through a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From it.
    Read,
    /// To it.
    Write,
}

impl Direction {
    fn capability(self) -> PortCaps {
        match self {
            Direction::Read => PortCaps::READ | PortCaps::SUBS_READ,
            Direction::Write => PortCaps::WRITE | PortCaps::SUBS_WRITE,
        }
    }
}

/// The port that `text` means among `ports`: an address in numbers, `client:port` in names or
/// with the port's number, a client's or a port's name, or the beginning of one of these. The
/// first that fits counts, whole names before beginnings.
pub(super) fn resolve(text: &str, direction: Direction, ports: &[PortInfo]) -> Option<Address> {
    let fitting = || ports.iter().filter(|port| port.capability.contains(direction.capability()));
    if let Ok(address) = text.parse::<Address>() {
        return fitting().map(PortInfo::address).find(|it| *it == address);
    }
    let names = |port: &PortInfo| {
        let client = port.client_name.clone().unwrap_or_default();
        let pair = format!("{client}:{}", port.name);
        let numbered = format!("{client}:{}", port.port_id);
        [pair, numbered, client, port.name.clone()]
    };
    let named: Vec<_> = fitting().map(|port| (names(port), port)).collect();
    for form in 0..4 {
        if let Some((_, port)) = named.iter().find(|(names, _)| names[form] == text) {
            return Some(port.address());
        }
    }
    if text.is_empty() {
        return None;
    }
    if let Some((client, port)) = text.rsplit_once(':')
        && let Ok(number) = port.parse::<u8>()
    {
        let fits = |port: &&PortInfo| {
            port.port_id == number
                && port.client_name.as_ref().is_some_and(|name| name.starts_with(client))
        };
        if let Some(port) = fitting().find(fits) {
            return Some(port.address());
        }
    }
    let begins = |names: &[String; 4]| names.iter().any(|name| name.starts_with(text));
    named.iter().find(|(names, _)| begins(names)).map(|(_, port)| port.address())
}

/// The ports that there are for a direction, for a message.
pub(super) fn candidates(direction: Direction, ports: &[PortInfo]) -> String {
    let fitting = ports
        .iter()
        .filter(|port| port.client_id != 0 && port.capability.contains(direction.capability()));
    let list: Vec<String> = fitting.take(12).map(|port| format!("`{port}`")).collect();
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(client: u8, port: u8, client_name: &str, name: &str) -> PortInfo {
        PortInfo {
            client_id: client,
            port_id: port,
            name: name.into(),
            client_name: Some(client_name.into()),
            capability: Direction::Read.capability(),
            ..PortInfo::default()
        }
    }

    #[test]
    fn names_prefixes_and_numbers() {
        let ports = [
            port(14, 0, "Midi Through", "Midi Through Port-0"),
            port(20, 0, "Launchpad Mini", "Launchpad Mini MIDI 1"),
            port(20, 1, "Launchpad Mini", "Launchpad Mini MIDI 2"),
            port(24, 0, "Launchpad", "Pads"),
        ];
        let found = |text: &str| resolve(text, Direction::Read, &ports);
        let at = |client, port| Some(Address::new(client, port));
        assert_eq!(found("20:1"), at(20, 1));
        assert_eq!(found("21:0"), None);
        assert_eq!(found("Launchpad"), at(24, 0), "the whole name before a beginning");
        assert_eq!(found("Launchpad M"), at(20, 0));
        assert_eq!(found("Launchpad M:1"), at(20, 1));
        assert_eq!(found("Launchpad Mini:Launchpad Mini MIDI 2"), at(20, 1));
        assert_eq!(found("Pads"), at(24, 0));
        assert_eq!(found(""), None);
        assert_eq!(found("Keystation"), None);
        assert_eq!(resolve("Pads", Direction::Write, &ports), None, "cannot be written");
        assert!(candidates(Direction::Read, &ports).contains("24:0 Launchpad:Pads"));
        assert_eq!(candidates(Direction::Write, &ports), "none");
    }
}
