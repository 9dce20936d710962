//! Listing ports, and finding one by its address or name.

use std::fmt;
use std::sync::Arc;

use super::ClientBase;
use crate::client::error::{ErrorKind, Failure, OperationName, Outcome, Result, Subject};
use crate::client::info::{PortCaps, PortInfo, PortType, READ_PORT, WRITE_PORT};
use crate::engine::{Errno, Request};
use crate::event::Address;
use crate::raw::{self, port_flag};

/// The name of the kernel's loop-back client.
const MIDI_THROUGH: &str = "Midi Through";

/// How a list of ports is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PortSort {
    /// The port that is probably the most useful first: Midi Through last, then by type
    /// (synthesizers first in a list of ports to write to), then by address.
    #[default]
    Usefulness,
    /// By client and port number.
    Address,
}

/// Which ports to list. The default is every port of type generic MIDI that can be connected in
/// at least one direction, without the ports of the system client.
///
/// ```
/// use consort_seq::ListPorts;
///
/// let synthesizers = ListPorts::writable().without_midi_through();
/// ```
#[derive(Clone)]
pub struct ListPorts {
    /// Only ports to read from.
    pub input: bool,
    /// Only ports to write to.
    pub output: bool,
    /// Only ports that have all these type bits.
    pub port_type: PortType,
    /// Includes the ports of the system client.
    pub include_system: bool,
    /// Includes Midi Through.
    pub include_midi_through: bool,
    /// Includes ports with [`PortCaps::NO_EXPORT`].
    pub include_no_export: bool,
    /// Only ports that other clients may connect.
    pub only_connectable: bool,
    /// The order of the list.
    pub sort: PortSort,
    /// Includes ports that can be neither read nor written.
    pub any_capability: bool,
}

impl Default for ListPorts {
    fn default() -> Self {
        Self {
            input: false,
            output: false,
            port_type: PortType::MIDI_GENERIC,
            include_system: false,
            include_midi_through: true,
            include_no_export: true,
            only_connectable: true,
            sort: PortSort::Usefulness,
            any_capability: false,
        }
    }
}

impl ListPorts {
    /// The default list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All ports, sorted by address.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            port_type: PortType::ANY,
            include_system: true,
            only_connectable: false,
            sort: PortSort::Address,
            any_capability: true,
            ..Self::default()
        }
    }

    /// Ports to read from: sources of events.
    #[must_use]
    pub fn readable() -> Self {
        Self { input: true, ..Self::default() }
    }

    /// Ports to write to: destinations of events.
    #[must_use]
    pub fn writable() -> Self {
        Self { output: true, ..Self::default() }
    }

    /// Only ports that have all these type bits.
    #[must_use]
    pub fn port_type(mut self, port_type: PortType) -> Self {
        self.port_type = port_type;
        self
    }

    /// Excludes Midi Through.
    #[must_use]
    pub fn without_midi_through(mut self) -> Self {
        self.include_midi_through = false;
        self
    }

    /// Excludes ports with [`PortCaps::NO_EXPORT`].
    #[must_use]
    pub fn without_no_export(mut self) -> Self {
        self.include_no_export = false;
        self
    }

    /// Includes the ports of the system client.
    #[must_use]
    pub fn with_system(mut self) -> Self {
        self.include_system = true;
        self
    }

    /// Sorted by client and port number.
    #[must_use]
    pub fn by_address(mut self) -> Self {
        self.sort = PortSort::Address;
        self
    }

    /// Whether the list includes a port with this capability and type.
    fn includes(&self, capability: PortCaps, port_type: PortType) -> bool {
        if !port_type.contains(self.port_type)
            || !self.include_no_export && capability.contains(PortCaps::NO_EXPORT)
        {
            return false;
        }
        let (read, write) = if self.only_connectable {
            (READ_PORT, WRITE_PORT)
        } else {
            (PortCaps::READ, PortCaps::WRITE)
        };
        let (can_read, can_write) = (capability.contains(read), capability.contains(write));
        match (self.input, self.output) {
            (false, false) if self.any_capability => true,
            (false, false) => can_read || can_write,
            (input, output) => (!input || can_read) && (!output || can_write),
        }
    }

    /// The sort key of a port for [`PortSort::Usefulness`]. The sort is stable, so ports of equal
    /// rank stay sorted by address.
    fn rank(&self, port_type: PortType, is_midi_through: bool) -> (bool, usize) {
        let generic = PortType::MIDI_GENERIC;
        let preferred: &[PortType] = if self.output && !self.input {
            &[
                generic.union(PortType::MIDI_GM).union(PortType::SYNTHESIZER),
                generic.union(PortType::SYNTHESIZER),
                generic.union(PortType::MIDI_GM),
                generic,
            ]
        } else {
            &[generic]
        };
        let rank = preferred.iter().position(|bits| port_type.contains(*bits));
        (is_midi_through, rank.unwrap_or(preferred.len()))
    }

    fn rank_of(&self, info: &PortInfo) -> (bool, usize) {
        self.rank(info.port_type, info.client_name.as_deref() == Some(MIDI_THROUGH))
    }
}

impl fmt::Debug for ListPorts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ListPorts")
            .field("input", &self.input)
            .field("output", &self.output)
            .field("port_type", &self.port_type)
            .field("sort", &self.sort)
            .finish_non_exhaustive()
    }
}

impl ClientBase {
    /// The port of `client` after `previous` in numeric order, or the first
    /// (`SNDRV_SEQ_IOCTL_QUERY_NEXT_PORT`); `None` after the last.
    ///
    /// # Errors
    /// `ENXIO` if there is no such client.
    pub fn query_next_port(&self, client: u8, previous: Option<u8>) -> Result<Option<PortInfo>> {
        // The sequencer starts the search at the next number, and 255 wraps to 0.
        let port = previous.unwrap_or(255);
        if previous == Some(255) {
            return Ok(None);
        }
        let address = raw::Address { client, port };
        let mut raw = raw::PortInfo { address, ..raw::PortInfo::default() };
        let subject = || Subject::Client(i32::from(client));
        match self.core.ioctl(Request::QueryNextPort(&mut raw), subject) {
            Ok(_) => Ok(Some(PortInfo::from_raw(&raw))),
            Err(failure) if failure.errno() == Some(Errno::NOT_FOUND) => Ok(None),
            Err(failure) => Err(failure.during("query_next_port")),
        }
    }

    /// The ports that `options` select, with the names of their clients.
    ///
    /// A client that disappears while the list is made is left out.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn list_ports(&self, options: &ListPorts) -> Result<Vec<PortInfo>> {
        self.matching_ports(options).during("list_ports")
    }

    fn matching_ports(&self, options: &ListPorts) -> Outcome<Vec<PortInfo>> {
        let connection = self.core.connection()?;
        let failed = |errno| Failure::system(Subject::None, errno);
        let mut ports = Vec::new();
        // Most lists are in the right order already, and then sorting is skipped.
        let mut last = (false, 0);
        let mut sorted = true;
        let mut client = raw::ClientInfo { client: -1, ..raw::ClientInfo::default() };
        loop {
            match connection.ioctl(Request::QueryNextClient(&mut client)) {
                Ok(_) => {}
                Err(Errno::NOT_FOUND) => break,
                Err(errno) => return Err(failed(errno)),
            }
            if client.client == 0 && !options.include_system || client.port_count == 0 {
                continue;
            }
            let client_name: Arc<str> = raw::name(&client.name).into();
            let is_midi_through = &*client_name == MIDI_THROUGH;
            if !options.include_midi_through && is_midi_through {
                continue;
            }
            ports.reserve(usize::try_from(client.port_count).unwrap_or(0));
            let address = raw::Address { client: client.client as u8, port: 255 };
            let mut port = raw::PortInfo { address, ..raw::PortInfo::default() };
            for _ in 0..client.port_count {
                match connection.ioctl(Request::QueryNextPort(&mut port)) {
                    Ok(_) => {}
                    Err(Errno::NOT_FOUND | Errno::NO_SUCH_ADDRESS) => break,
                    Err(errno) => return Err(failed(errno)),
                }
                if port.flags & port_flag::TIMESTAMP == 0 {
                    // The kernel does not set the field then, so it holds that of the port before.
                    port.time_queue = 0;
                }
                let capability = PortCaps::from_bits_retain(port.capability);
                let port_type = PortType::from_bits_retain(port.kind);
                if options.includes(capability, port_type) {
                    let rank = options.rank(port_type, is_midi_through);
                    sorted &= last <= rank;
                    last = rank;
                    ports.push(PortInfo::with_client_name(&port, Some(Arc::clone(&client_name))));
                }
            }
        }
        if options.sort == PortSort::Usefulness && !sorted {
            ports.sort_by_key(|info| options.rank_of(info));
        }
        Ok(ports)
    }

    /// Finds a port by its address or name. `text` is matched in this order:
    ///
    /// 1. a numeric address (`128:0`, or `128` for its port 0),
    /// 2. the full name `client:port c:p` as MIDO writes it,
    /// 3. the names `client:port`, or a client's name and a port's number (`Midi Through:0`),
    /// 4. a client's name (for its first port),
    /// 5. a port's name,
    /// 6. the beginning of one of these names, if it matches only one port.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) or [`Ambiguous`](ErrorKind::Ambiguous), with the
    /// candidates.
    pub fn find_port(&self, text: &str) -> Result<PortInfo> {
        self.matching_port(text).during("find_port")
    }

    fn matching_port(&self, text: &str) -> Outcome<PortInfo> {
        let all = self.matching_ports(&ListPorts::everything())?;
        if let Ok(address) = text.parse::<Address>() {
            let found = all.into_iter().find(|info| info.address() == address);
            return found.ok_or_else(|| {
                let note = format!("there is no port {address}");
                Failure::name(text, ErrorKind::NotFound, note)
            });
        }
        let names = |info: &PortInfo| {
            let client = info.client_name.as_deref().unwrap_or_default().to_owned();
            let pair = format!("{client}:{}", info.name);
            let numbered = format!("{client}:{}", info.port_id);
            let full = format!("{pair} {}", info.address());
            [full, pair, numbered, client, info.name.clone()]
        };
        let named: Vec<_> = all.iter().map(|info| (names(info), info)).collect();
        for form in 0..5 {
            if let Some((_, info)) = named.iter().find(|(names, _)| names[form] == text) {
                return Ok((*info).clone());
            }
        }
        let is_prefix = |names: &[String; 5]| {
            !text.is_empty() && names.iter().any(|name| name.starts_with(text))
        };
        let found: Vec<_> = named.iter().filter(|(names, _)| is_prefix(names)).collect();
        let list = |ports: &mut dyn Iterator<Item = &PortInfo>| {
            let texts: Vec<String> = ports.take(12).map(|info| format!("'{info}'")).collect();
            texts.join(", ")
        };
        match found.as_slice() {
            [(_, info)] => Ok((*info).clone()),
            [] => {
                let available = list(&mut all.iter().filter(|info| info.client_id != 0));
                let note = match available.as_str() {
                    "" => "no ports are available".to_owned(),
                    ports => format!("no port has this address or name; available ports: {ports}"),
                };
                Err(Failure::name(text, ErrorKind::NotFound, note))
            }
            several => {
                let ports = list(&mut several.iter().map(|(_, info)| *info));
                let note = format!("the name matches several ports: {ports}");
                Err(Failure::name(text, ErrorKind::Ambiguous, note))
            }
        }
    }

    /// The address of a port given by its address or name. A numeric address is returned without
    /// a request to the sequencer; otherwise this is [`find_port`](Self::find_port).
    ///
    /// # Errors
    /// As [`find_port`](Self::find_port).
    pub fn parse_address(&self, text: &str) -> Result<Address> {
        match text.parse() {
            Ok(address) => Ok(address),
            Err(_) => Ok(self.find_port(text)?.address()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(client: u8, name: &str, capability: PortCaps, port_type: PortType) -> PortInfo {
        let client_name = Some(name.into());
        PortInfo { client_id: client, client_name, capability, port_type, ..PortInfo::default() }
    }

    #[test]
    fn synthesizers_come_first_and_midi_through_last() {
        let generic = PortType::MIDI_GENERIC;
        let both = READ_PORT | WRITE_PORT;
        let mut ports = [
            port(14, MIDI_THROUGH, both, generic | PortType::SYNTHESIZER),
            port(20, "plain", both, generic),
            port(128, "synth", both, generic | PortType::SYNTHESIZER | PortType::MIDI_GM),
            port(129, "gm", both, generic | PortType::MIDI_GM),
            port(130, "specific", both, PortType::SPECIFIC),
        ];
        let order = |options: ListPorts, ports: &mut [PortInfo]| {
            ports.sort_by_key(PortInfo::address);
            ports.sort_by_key(|info| options.rank_of(info));
            ports.iter().map(|info| info.client_id).collect::<Vec<_>>()
        };
        assert_eq!(order(ListPorts::writable(), &mut ports), [128, 129, 20, 130, 14]);
        assert_eq!(order(ListPorts::readable(), &mut ports), [20, 128, 129, 130, 14]);
    }

    #[test]
    fn capabilities_and_types_select() {
        let generic = PortType::MIDI_GENERIC;
        let only_read = ListPorts::readable();
        assert!(only_read.includes(READ_PORT, generic | PortType::HARDWARE));
        assert!(!only_read.includes(PortCaps::READ, generic));
        assert!(!only_read.includes(WRITE_PORT, generic));
        assert!(!only_read.includes(READ_PORT, PortType::SPECIFIC));
        assert!(
            ListPorts { only_connectable: false, ..ListPorts::readable() }
                .includes(PortCaps::READ, generic)
        );
        assert!(ListPorts::new().includes(WRITE_PORT, generic));
        assert!(!ListPorts::new().includes(PortCaps::READ | PortCaps::SUBS_WRITE, generic));
        let hidden = READ_PORT | PortCaps::NO_EXPORT;
        assert!(ListPorts::readable().includes(hidden, generic));
        assert!(!ListPorts::readable().without_no_export().includes(hidden, generic));
        let both = ListPorts { output: true, ..ListPorts::readable() };
        assert!(
            !both.includes(READ_PORT, generic) && both.includes(READ_PORT | WRITE_PORT, generic)
        );
    }
}
