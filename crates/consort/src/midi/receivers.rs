//! Keeps the receivers of a player connected.

use std::collections::BTreeMap;

use consort_seq::{
    Address, Announcement, ClientBase, Connection, ErrorKind, Port, PortInfo, SubscribeOptions,
};

use super::find::{Use, all_ports, full_name, name};
use super::follow::{announcements, has_connected};

/// A change of the receivers of a port; the names are complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReceiverChange {
    /// A receiver disappeared or was disconnected.
    Gone(String),
    /// A receiver that had gone appeared again and was connected.
    Back(String),
}

/// A receiver: its address with its names, and its names alone.
#[derive(Debug, Clone)]
struct Receiver {
    full_name: String,
    name: String,
    /// The own port that sends to it.
    sender: Address,
}

/// The receivers of own ports, which may disappear and return.
#[derive(Debug)]
pub(super) struct Receivers {
    /// The receivers by their addresses and those of the own ports.
    connected: BTreeMap<(Address, Address), Receiver>,
    /// Receivers that have gone.
    missing: Vec<Receiver>,
    announcements: Port,
}

impl Receivers {
    /// Connects own ports to targets.
    pub(super) fn connect(
        client: &ClientBase,
        connections: &[(&Port, PortInfo)],
    ) -> consort_seq::Result<Self> {
        let announcements = announcements(client)?;
        let mut connected = BTreeMap::new();
        for (port, target) in connections {
            let (sender, address) = (port.address(), target.address());
            if connected.contains_key(&(address, sender)) {
                continue;
            }
            port.connect_to(address)?;
            let receiver = Receiver { full_name: full_name(target), name: name(target), sender };
            connected.insert((address, sender), receiver);
        }
        Ok(Self { connected, missing: Vec::new(), announcements })
    }

    /// Whether no receiver is left.
    pub(super) fn is_empty(&self) -> bool {
        self.connected.is_empty()
    }

    /// The complete names of the receivers that have gone.
    pub(super) fn missing(&self) -> Vec<&str> {
        self.missing.iter().map(|receiver| receiver.full_name.as_str()).collect()
    }

    /// Reads announcements; connects receivers that return.
    pub(super) fn update(
        &mut self,
        client: &ClientBase,
    ) -> consort_seq::Result<Vec<ReceiverChange>> {
        let mut changes = Vec::new();
        loop {
            let event = match client.try_event_input() {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(changes),
                Err(error) if error.kind() == ErrorKind::Overrun => {
                    // Announcements were lost, so the connections are looked up.
                    let is_gone = |address, sender| {
                        !matches!(client.get_subscription(sender, address), Ok(Some(_)))
                    };
                    self.remove(is_gone, &mut changes);
                    self.take_back(client, &mut changes);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if event.dest().port != self.announcements.port_id() {
                continue;
            }
            match Announcement::from_event(&event) {
                Some(Announcement::PortExited(address)) => {
                    self.remove(|other, _| other == address, &mut changes);
                }
                Some(Announcement::ClientExited(number)) => {
                    self.remove(|other, _| other.client == number, &mut changes);
                }
                Some(Announcement::Disconnected(Connection { sender, dest, .. })) => {
                    self.remove(|other, own| (other, own) == (dest, sender), &mut changes);
                }
                Some(
                    Announcement::PortStarted(_)
                    | Announcement::PortChanged(_)
                    | Announcement::ClientChanged(_),
                ) => self.take_back(client, &mut changes),
                _ => {}
            }
        }
    }

    /// Removes the receivers that fulfil a condition on their address and the own port's.
    fn remove(
        &mut self,
        is_gone: impl Fn(Address, Address) -> bool,
        changes: &mut Vec<ReceiverChange>,
    ) {
        let all = std::mem::take(&mut self.connected).into_iter();
        let (gone, left): (BTreeMap<_, _>, BTreeMap<_, _>) =
            all.partition(|((port, own), _)| is_gone(*port, *own));
        self.connected = left;
        for receiver in gone.into_values() {
            changes.push(ReceiverChange::Gone(receiver.full_name.clone()));
            self.missing.push(receiver);
        }
    }

    /// Connects the missing receivers that exist.
    fn take_back(&mut self, client: &ClientBase, changes: &mut Vec<ReceiverChange>) {
        if self.missing.is_empty() {
            return;
        }
        for target in all_ports(client).unwrap_or_default() {
            let (address, name) = (target.address(), name(&target));
            if !Use::Target.fits(&target) {
                continue;
            }
            let returns = |receiver: &&Receiver| {
                let connect =
                    || client.subscribe_port(receiver.sender, address, SubscribeOptions::new());
                receiver.name == name
                    && !self.connected.contains_key(&(address, receiver.sender))
                    && has_connected(connect())
            };
            // Each own port is connected to one port of the name.
            let mut back: Vec<Receiver> = Vec::new();
            self.missing.retain(|receiver| {
                let is_new = !back.iter().any(|other| other.sender == receiver.sender);
                let is_back = is_new && returns(&receiver);
                if is_back {
                    back.push(receiver.clone());
                }
                !is_back
            });
            for receiver in back {
                let receiver = Receiver { full_name: full_name(&target), ..receiver };
                changes.push(ReceiverChange::Back(receiver.full_name.clone()));
                self.connected.insert((address, receiver.sender), receiver);
            }
        }
    }
}
