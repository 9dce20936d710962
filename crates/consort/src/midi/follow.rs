//! Ports that come and go: connected whenever they are there.

use std::collections::BTreeMap;

use consort_seq::{
    Address, Announcement, ClientBase, Error, ErrorKind, Port, PortCaps, PortInfo, PortOptions,
    PortType, SubscribeOptions,
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
    /// A port has come (again), and is connected.
    Came(String),
    /// A port that was connected, to own port number so-and-so, has gone.
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

/// Keeps sources connected to own ports; see [`Follower::announced`].
#[derive(Debug)]
pub(super) struct Follower {
    wanted: Wanted,
    /// Own ports: one for each name, or one for all.
    ports: Vec<Port>,
    /// Their names, and the number of the own port.
    connected: BTreeMap<Address, (String, usize)>,
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
            this.connected.insert(source.address(), (full_name(source), number));
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
        let (connected, names) = (BTreeMap::new(), BTreeMap::new());
        let mut this = Self { wanted, ports, connected, names, announcements };
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
        self.connected.values().map(|(name, _)| name)
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
            Announcement::PortStarted(_) | Announcement::PortChanged(_) | Announcement::Lost => {
                self.learn(client);
                self.reconnect(client)
            }
            Announcement::PortExited(address) => self.gone(|other| other == address),
            Announcement::ClientExited(number) => self.gone(|other| other.client == number),
            _ => Vec::new(),
        }
    }

    fn gone(&mut self, is_it: impl Fn(Address) -> bool) -> Vec<Change> {
        let (went, stayed): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.connected).into_iter().partition(|(port, _)| is_it(*port));
        self.connected = stayed;
        went.into_values().map(|(name, number)| Change::Went(number, name)).collect()
    }

    fn reconnect(&mut self, client: &ClientBase) -> Vec<Change> {
        let mut changes = Vec::new();
        for port in all_ports(client).unwrap_or_default() {
            let address = port.address();
            if port.client_id == 0
                || self.connected.contains_key(&address)
                || !Use::Source.fits(&port)
            {
                continue;
            }
            let number = match &self.wanted {
                Wanted::All => Some(0),
                Wanted::Named(names) => names.iter().position(|wanted| *wanted == name(&port)),
            };
            let Some(number) = number else { continue };
            let Some(own) = self.ports.get(number) else { continue };
            if is_connected(client.subscribe_port(address, own, SubscribeOptions::new())) {
                self.connected.insert(address, (full_name(&port), number));
                changes.push(Change::Came(full_name(&port)));
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
