//! Ports that come and go: connected whenever they are there.

use std::collections::BTreeMap;
use std::fmt;

use consort_seq::{
    Address, Announcement, ClientBase, Connection, Error, ErrorKind, Port, PortCaps, PortInfo,
    PortOptions, PortType, SubscribeOptions,
};

use super::find::{Use, all_ports, full_name, name};

/// The port's own name where that begins with its client's, as for most devices.
fn short_name(port: &PortInfo) -> String {
    match port.client_name.as_deref() {
        Some(client) if port.name.starts_with(client) => port.name.clone(),
        _ => name(port),
    }
}

/// What has become of the ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A port is connected (again).
    Came(String),
    /// A port that was connected, to own port number so-and-so, has gone or was disconnected.
    Went(usize, String),
}

/// Which ports are connected.
#[derive(Debug)]
enum Wanted {
    /// Those with these names (`client:port`), each to a port of its own.
    Named(Vec<String>),
    /// Every port that events can come from, to one port.
    All,
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Came(name) => write!(formatter, "{name} has come"),
            Self::Went(_, name) => write!(formatter, "{name} has gone"),
        }
    }
}

/// A port that is connected to an own one, or was until somebody disconnected it.
#[derive(Debug)]
struct Source {
    name: String,
    /// The number of the own port.
    number: usize,
    /// Whether its name is the one that the own port waits for.
    is_wanted: bool,
    is_cut: bool,
}

/// Keeps sources connected to own ports; see [`Follower::announced`].
#[derive(Debug)]
pub(super) struct Follower {
    wanted: Wanted,
    /// Own ports: one for each name, or one for all.
    ports: Vec<Port>,
    sources: BTreeMap<Address, Source>,
    /// What to call each port in a narrow column, also after it has gone.
    names: BTreeMap<Address, String>,
    /// Where announcements arrive.
    announcements: Port,
}

fn announcements(client: &ClientBase) -> consort_seq::Result<Port> {
    let options = PortOptions::new("announcements")
        .caps(PortCaps::WRITE | PortCaps::NO_EXPORT)
        .port_type(PortType::APPLICATION);
    let port = client.create_port(options)?;
    port.connect_from(Address::SYSTEM_ANNOUNCE)?;
    Ok(port)
}

impl Follower {
    /// Connects `sources` to `ports`, the first to the first and so on.
    pub(super) fn named(
        client: &ClientBase,
        sources: &[PortInfo],
        ports: Vec<Port>,
    ) -> consort_seq::Result<Self> {
        let wanted = Wanted::Named(sources.iter().map(name).collect());
        let mut this = Self::new(client, wanted, ports)?;
        for (number, (source, port)) in sources.iter().zip(&this.ports).enumerate() {
            port.connect_from(source.address())?;
            let (address, name) = (source.address(), full_name(source));
            let source = Source { name, number, is_wanted: true, is_cut: false };
            this.sources.insert(address, source);
        }
        Ok(this)
    }

    /// Connects all ports that events can come from, but the system's, to `port`.
    pub(super) fn all(client: &ClientBase, port: Port) -> consort_seq::Result<Self> {
        let mut this = Self::new(client, Wanted::All, vec![port])?;
        this.reconnect(client);
        Ok(this)
    }

    fn new(client: &ClientBase, wanted: Wanted, ports: Vec<Port>) -> consort_seq::Result<Self> {
        let announcements = announcements(client)?;
        let (sources, names) = (BTreeMap::new(), BTreeMap::new());
        let mut this = Self { wanted, ports, sources, names, announcements };
        this.learn(client);
        Ok(this)
    }

    fn learn(&mut self, client: &ClientBase) {
        // A closed client has nothing to follow.
        for port in all_ports(client).unwrap_or_default() {
            self.names.insert(port.address(), short_name(&port));
        }
    }

    /// What to call a port, as far as it is known.
    pub(super) fn name(&self, address: Address) -> &str {
        self.names.get(&address).map_or("", String::as_str)
    }

    /// Own port number `number`, from 0.
    pub(super) fn track(&self, port: u8) -> Option<usize> {
        self.ports.iter().position(|own| own.port_id() == port)
    }

    /// The connected ports, by address.
    pub(super) fn connected(&self) -> impl Iterator<Item = &String> {
        self.sources.values().filter(|source| !source.is_cut).map(|source| &source.name)
    }

    /// Whether an event at this port of the own client is an announcement.
    pub(super) fn is_announcement(&self, port: u8) -> bool {
        self.announcements.port_id() == port
    }

    /// Acts on an announcement, and says what that changed.
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
                let mut changes = self.gone_unnoticed(client);
                self.learn(client);
                changes.extend(self.reconnect(client));
                changes
            }
            Announcement::PortExited(address) => self.gone(|other| other == address),
            Announcement::ClientExited(number) => self.gone(|other| other.client == number),
            Announcement::Connected(connection) => self.joined(client, connection),
            Announcement::Disconnected(connection) => self.cut(connection),
            _ => Vec::new(),
        }
    }

    fn gone(&mut self, is_it: impl Fn(Address) -> bool) -> Vec<Change> {
        let (went, stayed): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.sources).into_iter().partition(|(port, _)| is_it(*port));
        self.sources = stayed;
        let connected = went.into_values().filter(|source| !source.is_cut);
        connected.map(|source| Change::Went(source.number, source.name)).collect()
    }

    /// Those whose connections are not there any more.
    fn gone_unnoticed(&mut self, client: &ClientBase) -> Vec<Change> {
        let is_there = |(port, source): &(&Address, &Source)| {
            let own = &self.ports[source.number];
            source.is_cut || matches!(client.get_subscription(**port, own), Ok(Some(_)))
        };
        let gone: Vec<Address> =
            self.sources.iter().filter(|it| !is_there(it)).map(|(port, _)| *port).collect();
        self.gone(|port| gone.contains(&port))
    }

    /// Somebody has connected a port, perhaps to an own one.
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
        vec![Change::Came(name)]
    }

    /// Somebody has disconnected a port: it stays so until it comes anew or is connected again.
    fn cut(&mut self, connection: Connection) -> Vec<Change> {
        match self.sources.get_mut(&connection.sender) {
            Some(source)
                if !source.is_cut && self.ports[source.number].address() == connection.dest =>
            {
                source.is_cut = true;
                vec![Change::Went(source.number, source.name.clone())]
            }
            _ => Vec::new(),
        }
    }

    /// The own port that waits for a port of this name.
    fn place(&self, name: &str) -> Option<usize> {
        let Wanted::Named(names) = &self.wanted else { return Some(0) };
        let is_free = |number: usize| {
            !self.sources.values().any(|source| source.is_wanted && source.number == number)
        };
        (0..names.len()).find(|number| names[*number] == name && is_free(*number))
    }

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
            let Some(number) = self.place(&name(&port)) else { continue };
            let Some(own) = self.ports.get(number) else { continue };
            if is_connected(client.subscribe_port(address, own, SubscribeOptions::new())) {
                let name = full_name(&port);
                changes.push(Change::Came(name.clone()));
                let source = Source { name, number, is_wanted: true, is_cut: false };
                self.sources.insert(address, source);
            }
        }
        changes
    }
}

/// A port that has gone again, or that somebody has for himself, is left alone.
fn is_connected(result: Result<(), Error>) -> bool {
    match result {
        Ok(()) => true,
        Err(error) => {
            if error.kind() != ErrorKind::Busy {
                tracing::debug!("not connected: {error}");
            }
            false
        }
    }
}

/// Receivers of a port, which may go.
#[derive(Debug)]
pub(super) struct Receivers {
    connected: BTreeMap<Address, String>,
    announcements: Port,
}

impl Receivers {
    /// Connects `port` to `targets`.
    pub(super) fn connect(
        client: &ClientBase,
        port: &Port,
        targets: &[PortInfo],
    ) -> consort_seq::Result<Self> {
        let announcements = announcements(client)?;
        let mut connected = BTreeMap::new();
        for target in targets {
            if connected.contains_key(&target.address()) {
                continue;
            }
            port.connect_to(target.address())?;
            connected.insert(target.address(), full_name(target));
        }
        Ok(Self { connected, announcements })
    }

    /// Whether nobody is left.
    pub(super) fn is_empty(&self) -> bool {
        self.connected.is_empty()
    }

    /// Reads what has been announced: the receivers that have gone or were disconnected.
    pub(super) fn gone(
        &mut self,
        client: &ClientBase,
        port: &Port,
    ) -> consort_seq::Result<Vec<String>> {
        let mut went = Vec::new();
        loop {
            let event = match client.try_event_input() {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(went),
                Err(error) if error.kind() == ErrorKind::Overrun => {
                    // Announcements were lost: look who is there.
                    let here: Vec<Address> =
                        port.list_subscribers(None)?.iter().map(|query| query.addr).collect();
                    self.connected.retain(|address, name| {
                        let is_here = here.contains(address);
                        if !is_here {
                            went.push(std::mem::take(name));
                        }
                        is_here
                    });
                    continue;
                }
                Err(error) => return Err(error),
            };
            if event.dest().port != self.announcements.port_id() {
                continue;
            }
            let is_gone: Box<dyn Fn(Address) -> bool> = match Announcement::from_event(&event) {
                Some(Announcement::PortExited(address)) => Box::new(move |it| it == address),
                Some(Announcement::ClientExited(number)) => Box::new(move |it| it.client == number),
                Some(Announcement::Disconnected(connection))
                    if connection.sender == port.address() =>
                {
                    Box::new(move |it| it == connection.dest)
                }
                _ => continue,
            };
            self.connected.retain(|address, name| {
                let is_gone = is_gone(*address);
                if is_gone {
                    went.push(std::mem::take(name));
                }
                !is_gone
            });
        }
    }
}
