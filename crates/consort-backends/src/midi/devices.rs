//! Finding the port of a device by its address or name.

use consort_seq::{Address, ListPorts, PortCaps, PortInfo, Result, SequencerClient};
use consort_suggest::NameMatch;

/// The direction of events between the show and a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the device.
    Read,
    /// To the device.
    Write,
}

impl Direction {
    /// The capabilities that a port needs for connections in this direction.
    fn capability(self) -> PortCaps {
        match self {
            Direction::Read => PortCaps::READ | PortCaps::SUBS_READ,
            Direction::Write => PortCaps::WRITE | PortCaps::SUBS_WRITE,
        }
    }
}

/// Lists every port except those of the show.
pub(super) fn list_ports(client: &SequencerClient) -> Result<Vec<PortInfo>> {
    let mut ports = client.list_ports(&ListPorts::everything())?;
    ports.retain(|port| port.client_id != client.client_id());
    Ok(ports)
}

/// Finds a port by `text`: an address in numbers, `client:port` with the port's name or number, the
/// name of a client or port, or any part of one of these, in any case. A whole name is preferred to
/// a beginning, and that to another part; otherwise the first matching port is returned.
pub(super) fn resolve(text: &str, direction: Direction, ports: &[PortInfo]) -> Option<Address> {
    let usable = || ports.iter().filter(|port| port.capability.contains(direction.capability()));
    if let Ok(address) = text.parse::<Address>() {
        return usable().map(PortInfo::address).find(|found| *found == address);
    }
    let names = |port: &PortInfo| {
        let client = port.client_name.as_deref().unwrap_or_default().to_owned();
        let pair = format!("{client}:{}", port.name);
        let numbered = format!("{client}:{}", port.port_id);
        [pair, numbered, client, port.name.clone()]
    };
    let named: Vec<_> = usable().map(|port| (names(port), port)).collect();
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
        let matching = usable().filter(|port| port.port_id == number).filter_map(|port| {
            let name = port.client_name.as_deref().unwrap_or_default();
            Some((NameMatch::of(name, client)?, port))
        });
        if let Some((_, port)) = matching.min_by_key(|(found, _)| *found) {
            return Some(port.address());
        }
    }
    let best =
        |names: &[String; 4]| names.iter().filter_map(|name| NameMatch::of(name, text)).min();
    let matching = named.iter().filter_map(|(names, port)| Some((best(names)?, port)));
    matching.min_by_key(|(found, _)| *found).map(|(_, port)| port.address())
}

/// The available ports for a direction, as a list for messages.
pub(super) fn candidates(direction: Direction, ports: &[PortInfo]) -> String {
    let usable = ports
        .iter()
        .filter(|port| port.client_id != 0 && port.capability.contains(direction.capability()));
    let list: Vec<String> = usable.take(12).map(|port| format!("`{port}`")).collect();
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
    fn devices_are_found_by_name_part_and_number() {
        let ports = [
            port(14, 0, "Midi Through", "Midi Through Port-0"),
            port(20, 0, "Launchpad Mini", "Launchpad Mini MIDI 1"),
            port(20, 1, "Launchpad Mini", "Launchpad Mini MIDI 2"),
            port(24, 0, "Launchpad", "Pads"),
        ];
        let found = |text: &str| resolve(text, Direction::Read, &ports);
        let address = |client, port| Some(Address::new(client, port));
        assert_eq!(found("20:1"), address(20, 1));
        assert_eq!(found("21:0"), None);
        assert_eq!(found("Launchpad"), address(24, 0), "an exact match is preferred to a prefix");
        assert_eq!(found("Launchpad M"), address(20, 0));
        assert_eq!(found("Launchpad M:1"), address(20, 1));
        assert_eq!(found("Launchpad Mini:Launchpad Mini MIDI 2"), address(20, 1));
        assert_eq!(found("Pads"), address(24, 0));
        assert_eq!(found("launchpad m"), address(20, 0), "in any case");
        assert_eq!(found("through"), address(14, 0), "any part");
        assert_eq!(found("MIDI 2"), address(20, 1));
        assert_eq!(found("mini:1"), address(20, 1));
        assert_eq!(found("pad"), address(24, 0), "a beginning is preferred to another part");
        assert_eq!(found(""), None);
        assert_eq!(found("Keystation"), None);
        assert_eq!(resolve("Pads", Direction::Write, &ports), None, "it is not writable");
        assert!(candidates(Direction::Read, &ports).contains("24:0 Launchpad:Pads"));
        assert_eq!(candidates(Direction::Write, &ports), "none");
    }
}
