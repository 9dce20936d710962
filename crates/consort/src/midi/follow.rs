//! Keeps ports connected that appear and disappear.

use std::collections::BTreeMap;
use std::fmt;

use consort_seq::{
    Address, Announcement, ClientBase, Connection, Error, ErrorKind, Port, PortCaps, PortInfo,
    PortOptions, PortType, SubscribeOptions,
};

use super::find::{Use, all_ports, full_name, is_named, name};

/// The name of a port alone if it begins with its client's, as for most devices; else both names.
fn short_name(port: &PortInfo) -> String {
    match port.client_name.as_deref() {
        Some(client) if port.name.starts_with(client) => port.name.clone(),
        _ => name(port),
    }
}

/// A change of the connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A port was connected (again).
    Connected(String),
    /// A port that was connected to the own port of this number disappeared or was disconnected.
    Disconnected(usize, String),
}

/// The ports to connect.
#[derive(Debug)]
enum Wanted {
    /// Those with these names, each to its own port.
    Named(Vec<Wish>),
    /// Every port that sends events, to one port.
    All,
}

/// A port to connect.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    /// A port that exists, or existed.
    Known(PortInfo),
    /// A port that did not exist yet, as the user named it.
    Text(String),
}

impl Wish {
    /// The names of client and port, or what the user gave.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Known(port) => name(port),
            Self::Text(text) => text.clone(),
        }
    }

    /// Whether this is the port.
    fn matches(&self, port: &PortInfo) -> bool {
        match self {
            Self::Known(known) => name(known) == name(port),
            Self::Text(text) => is_named(port, text),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected(name) => write!(formatter, "{name} connected"),
            Self::Disconnected(_, name) => write!(formatter, "{name} disconnected"),
        }
    }
}

/// A port that is connected to an own port, or was until another program disconnected it.
#[derive(Debug)]
struct Source {
    name: String,
    /// The number of the own port.
    number: usize,
    /// Whether its name is the one that the own port waits for.
    is_wanted: bool,
    /// Whether another program disconnected it.
    is_cut: bool,
}

/// Keeps sources connected to own ports; see [`Follower::announced`].
#[derive(Debug)]
pub(super) struct Follower {
    wanted: Wanted,
    /// Own ports: one for each name, or one for all sources.
    ports: Vec<Port>,
    sources: BTreeMap<Address, Source>,
    /// A short name for each port, kept after the port has disappeared.
    names: BTreeMap<Address, String>,
    /// The port that receives announcements.
    announcements: Port,
}

/// Creates a port that receives the sequencer's announcements.
pub(super) fn announcements(client: &ClientBase) -> consort_seq::Result<Port> {
    let options = PortOptions::new("announcements")
        .caps(PortCaps::WRITE | PortCaps::NO_EXPORT)
        .port_type(PortType::APPLICATION);
    let port = client.create_port(options)?;
    port.connect_from(Address::SYSTEM_ANNOUNCE)?;
    Ok(port)
}

impl Follower {
    /// Connects each of `sources` to the port of `ports` with the same index, as soon as it exists.
    pub(super) fn named(
        client: &ClientBase,
        sources: &[Wish],
        ports: Vec<Port>,
    ) -> consort_seq::Result<Self> {
        let mut follower = Self::new(client, Wanted::Named(sources.to_vec()), ports)?;
        for (number, (source, port)) in sources.iter().zip(&follower.ports).enumerate() {
            let Wish::Known(source) = source else { continue };
            port.connect_from(source.address())?;
            let (address, name) = (source.address(), full_name(source));
            let source = Source { name, number, is_wanted: true, is_cut: false };
            follower.sources.insert(address, source);
        }
        Ok(follower)
    }

    /// Connects all ports that send events, except the system's, to `port`.
    pub(super) fn all(client: &ClientBase, port: Port) -> consort_seq::Result<Self> {
        let mut follower = Self::new(client, Wanted::All, vec![port])?;
        follower.reconnect(client);
        Ok(follower)
    }

    fn new(client: &ClientBase, wanted: Wanted, ports: Vec<Port>) -> consort_seq::Result<Self> {
        let announcements = announcements(client)?;
        let (sources, names) = (BTreeMap::new(), BTreeMap::new());
        let mut follower = Self { wanted, ports, sources, names, announcements };
        follower.learn(client);
        Ok(follower)
    }

    /// Updates the names of ports.
    fn learn(&mut self, client: &ClientBase) {
        // Listing fails only for a closed client, which has nothing to follow.
        for port in all_ports(client).unwrap_or_default() {
            self.names.insert(port.address(), short_name(&port));
        }
    }

    /// The short name of a port, or an empty text.
    pub(super) fn name(&self, address: Address) -> &str {
        self.names.get(&address).map_or("", String::as_str)
    }

    /// The number of an own port, counted from 0.
    pub(super) fn track(&self, port: u8) -> Option<usize> {
        self.ports.iter().position(|own| own.port_id() == port)
    }

    /// The names of the connected ports, in order of address.
    pub(super) fn connected(&self) -> impl Iterator<Item = &String> {
        self.sources.values().filter(|source| !source.is_cut).map(|source| &source.name)
    }

    /// Whether this own port is the one that receives announcements.
    pub(super) fn is_announcement(&self, port: u8) -> bool {
        self.announcements.port_id() == port
    }

    /// Updates the connections after an announcement; returns what changed.
    pub(super) fn announced(
        &mut self,
        client: &ClientBase,
        announcement: Announcement,
    ) -> Vec<Change> {
        match announcement {
            Announcement::PortStarted(_)
            | Announcement::PortChanged(_)
            | Announcement::ClientChanged(_) => {
                self.learn(client);
                self.reconnect(client)
            }
            Announcement::Lost => {
                let mut changes = self.remove_stale(client);
                self.learn(client);
                changes.extend(self.reconnect(client));
                changes
            }
            Announcement::PortExited(address) => self.remove(|other| other == address),
            Announcement::ClientExited(number) => self.remove(|other| other.client == number),
            Announcement::Connected(connection) => self.joined(client, connection),
            Announcement::Disconnected(connection) => self.cut(connection),
            _ => Vec::new(),
        }
    }

    /// Removes the sources whose addresses fulfil a condition.
    fn remove(&mut self, is_gone: impl Fn(Address) -> bool) -> Vec<Change> {
        let (removed, kept): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.sources).into_iter().partition(|(port, _)| is_gone(*port));
        self.sources = kept;
        let connected = removed.into_values().filter(|source| !source.is_cut);
        connected.map(|source| Change::Disconnected(source.number, source.name)).collect()
    }

    /// Removes the sources whose connections no longer exist.
    fn remove_stale(&mut self, client: &ClientBase) -> Vec<Change> {
        let is_connected = |(port, source): &(&Address, &Source)| {
            let own = &self.ports[source.number];
            source.is_cut || matches!(client.get_subscription(**port, own), Ok(Some(_)))
        };
        let stale = self.sources.iter().filter(|source| !is_connected(source));
        let stale: Vec<Address> = stale.map(|(port, _)| *port).collect();
        self.remove(|port| stale.contains(&port))
    }

    /// Handles a new connection, which another program may have made.
    fn joined(&mut self, client: &ClientBase, connection: Connection) -> Vec<Change> {
        let own = self.ports.iter().position(|own| own.address() == connection.dest);
        let Some(number) = own else { return Vec::new() };
        let port = connection.sender;
        let known = self.sources.get(&port);
        if known.is_some_and(|source| !source.is_cut) {
            return Vec::new();
        }
        let is_wanted = known.is_some_and(|source| source.is_wanted && source.number == number);
        let all = all_ports(client).unwrap_or_default();
        let info = all.iter().find(|info| info.address() == port);
        let name = info.map_or_else(|| port.to_string(), full_name);
        let source = Source { name: name.clone(), number, is_wanted, is_cut: false };
        self.sources.insert(port, source);
        vec![Change::Connected(name)]
    }

    /// Handles a port that was disconnected: it stays so until it appears anew or another program
    /// connects it again.
    fn cut(&mut self, connection: Connection) -> Vec<Change> {
        match self.sources.get_mut(&connection.sender) {
            Some(source)
                if !source.is_cut && self.ports[source.number].address() == connection.dest =>
            {
                source.is_cut = true;
                vec![Change::Disconnected(source.number, source.name.clone())]
            }
            _ => Vec::new(),
        }
    }

    /// The number of the own port that waits for this port.
    fn waiting_port(&self, port: &PortInfo) -> Option<usize> {
        let Wanted::Named(wishes) = &self.wanted else { return Some(0) };
        let is_free = |number: usize| {
            !self.sources.values().any(|source| source.is_wanted && source.number == number)
        };
        (0..wishes.len()).find(|number| wishes[*number].matches(port) && is_free(*number))
    }

    /// Connects the wanted ports that exist and are not connected.
    fn reconnect(&mut self, client: &ClientBase) -> Vec<Change> {
        let mut changes = Vec::new();
        for port in all_ports(client).unwrap_or_default() {
            let address = port.address();
            if port.client_id == 0
                || self.sources.contains_key(&address)
                || !Use::Source.fits(&port)
            {
                continue;
            }
            let Some(number) = self.waiting_port(&port) else { continue };
            let Some(own) = self.ports.get(number) else { continue };
            if has_connected(client.subscribe_port(address, own, SubscribeOptions::new())) {
                let name = full_name(&port);
                changes.push(Change::Connected(name.clone()));
                let source = Source { name, number, is_wanted: true, is_cut: false };
                self.sources.insert(address, source);
                if let Wanted::Named(wishes) = &mut self.wanted {
                    wishes[number] = Wish::Known(port);
                }
            }
        }
        changes
    }
}

/// Whether connecting succeeded. A port that has disappeared again or is in exclusive use by
/// another program is left alone.
pub(super) fn has_connected(result: Result<(), Error>) -> bool {
    match result {
        Ok(()) => true,
        Err(error) => {
            if error.kind() != ErrorKind::Busy {
                tracing::debug!("cannot connect: {error}");
            }
            false
        }
    }
}
