//! Requests about ports and subscriptions.

use super::client::{PORT_LIMIT, Port, Subscription};
use super::state::{State, fault};
use crate::engine::Errno;
use crate::raw::{
    Address, Connect, PortInfo, PortSubscribe, QuerySubscribers, address, event_type,
    port_capability, port_flag, query_type,
};

const READ: u32 = port_capability::READ | port_capability::SUBSCRIBE_READ;
const WRITE: u32 = port_capability::WRITE | port_capability::SUBSCRIBE_WRITE;

impl State {
    pub(super) fn port(&self, at: Address) -> Option<&Port> {
        self.client(at.client)?.ports.get(&at.port)
    }

    pub(super) fn port_mut(&mut self, at: Address) -> Option<&mut Port> {
        self.client_mut(at.client)?.ports.get_mut(&at.port)
    }

    pub(super) fn create_port(&mut self, number: u8, info: &mut PortInfo) -> Result<(), Errno> {
        if info.address.client != number {
            return Err(Errno::NOT_PERMITTED);
        }
        let client = self.own(number)?;
        if client.ports.len() >= PORT_LIMIT {
            return Err(Errno::NO_MEMORY);
        }
        let given = info.flags & port_flag::GIVEN_PORT != 0;
        if given && info.address.port as usize >= PORT_LIMIT {
            return Err(Errno::INVALID);
        }
        if given && client.ports.contains_key(&info.address.port) {
            return Err(Errno::BUSY);
        }
        // A client has one UMP endpoint.
        if info.capability & port_capability::UMP_ENDPOINT != 0
            && client.ports.values().any(|port| port.has(port_capability::UMP_ENDPOINT))
        {
            return Err(Errno::BUSY);
        }
        let port_number = if given { info.address.port } else { client.free_port(0) };
        let mut port = Port::new(port_number);
        port.set_info(info);
        client.ports.insert(port_number, port);
        info.address.port = port_number;
        self.announce(event_type::PORT_START, number, port_number);
        Ok(())
    }

    pub(super) fn delete_port(&mut self, number: u8, info: &PortInfo) -> Result<(), Errno> {
        if info.address.client != number {
            return Err(Errno::NOT_PERMITTED);
        }
        if self.port(info.address).is_none() {
            return Err(Errno::NOT_FOUND);
        }
        self.remove_port(number, info.address.port);
        Ok(())
    }

    /// Takes a port away with its connections; their other ends are told.
    pub(super) fn remove_port(&mut self, client: u8, number: u8) {
        let Some(port) = self.client_mut(client).and_then(|client| client.ports.remove(&number))
        else {
            return;
        };
        self.disconnect(port);
        self.announce(event_type::PORT_EXIT, client, number);
    }

    /// Ends the connections of a port that has been taken away.
    pub(super) fn disconnect(&mut self, port: Port) {
        for connection in port.readers.list {
            if let Some(other) = self.port_mut(connection.dest) {
                leave(&mut other.writers, &connection);
                self.tell_other_end(event_type::PORT_UNSUBSCRIBED, connection.dest, &connection);
            }
        }
        for connection in port.writers.list {
            if let Some(other) = self.port_mut(connection.sender) {
                leave(&mut other.readers, &connection);
                self.tell_other_end(event_type::PORT_UNSUBSCRIBED, connection.sender, &connection);
            }
        }
    }

    pub(super) fn get_port_info(&self, info: &mut PortInfo) -> Result<(), Errno> {
        let client = self.client(info.address.client).ok_or(Errno::NO_SUCH_ADDRESS)?;
        client.ports.get(&info.address.port).ok_or(Errno::NOT_FOUND)?.info(info);
        Ok(())
    }

    pub(super) fn set_port_info(&mut self, number: u8, info: &PortInfo) -> Result<(), Errno> {
        if info.address.client != number {
            return Err(Errno::NOT_PERMITTED);
        }
        // A port that is not there is passed over silently.
        if let Some(port) = self.port_mut(info.address) {
            port.set_info(info);
            self.announce(event_type::PORT_CHANGE, number, info.address.port);
        }
        Ok(())
    }

    pub(super) fn query_next_port(&self, info: &mut PortInfo) -> Result<(), Errno> {
        let client = self.client(info.address.client).ok_or(Errno::NO_SUCH_ADDRESS)?;
        let first = info.address.port.wrapping_add(1);
        // Inactive ports are passed over unless the question says that it wants them.
        let inactive = port_capability::INACTIVE;
        let wants_all = info.capability & inactive != 0;
        let (&number, port) = client
            .ports
            .range(first..)
            .find(|(_, port)| wants_all || port.capability & inactive == 0)
            .ok_or(Errno::NOT_FOUND)?;
        info.address.port = number;
        port.info(info);
        Ok(())
    }

    /// Both ports of a connection, looked up as a request needs them.
    fn ends(&self, request: &PortSubscribe, missing: Errno) -> Result<(&Port, &Port), Errno> {
        let dest = self.port(request.dest).ok_or(missing)?;
        let sender = self.port(request.sender).ok_or(missing)?;
        Ok((sender, dest))
    }

    fn check_permission(number: u8, request: &PortSubscribe, ends: (&Port, &Port)) -> bool {
        let (sender, dest) = ends;
        let own_sender = request.sender.client == number;
        let own_dest = request.dest.client == number;
        let exported = own_sender
            || own_dest
            || (sender.capability | dest.capability) & port_capability::NO_EXPORT == 0;
        exported && (own_sender || sender.has(READ)) && (own_dest || dest.has(WRITE))
    }

    pub(super) fn subscribe(&mut self, number: u8, request: &PortSubscribe) -> Result<(), Errno> {
        let ends = self.ends(request, Errno::INVALID)?;
        if !Self::check_permission(number, request, ends) {
            return Err(Errno::NOT_PERMITTED);
        }
        let connection = Subscription::new(request);
        let may_join = |group: &super::client::Group| {
            if group.list.iter().any(|other| connection.matches(other)) {
                return false;
            }
            if fault!(self, ExclusiveIgnored) {
                return true;
            }
            if connection.is_exclusive() { group.list.is_empty() } else { !group.exclusive }
        };
        let (sender, dest) = ends;
        if !may_join(&sender.readers) || !may_join(&dest.writers) {
            return Err(Errno::BUSY);
        }
        for (at, reads) in [(request.sender, true), (request.dest, false)] {
            if let Some(port) = self.port_mut(at) {
                let group = if reads { &mut port.readers } else { &mut port.writers };
                group.list.push(connection);
                group.exclusive = connection.is_exclusive();
            }
        }
        self.notify(event_type::PORT_SUBSCRIBED, number, &connection);
        Ok(())
    }

    pub(super) fn unsubscribe(&mut self, number: u8, request: &PortSubscribe) -> Result<(), Errno> {
        let ends = self.ends(request, Errno::NO_SUCH_ADDRESS)?;
        if !Self::check_permission(number, request, ends) {
            return Err(Errno::NOT_PERMITTED);
        }
        let wanted = Subscription::new(request);
        let connection = *ends
            .0
            .readers
            .list
            .iter()
            .find(|connection| wanted.matches(connection))
            .ok_or(Errno::NOT_FOUND)?;
        if let Some(sender) = self.port_mut(request.sender) {
            leave(&mut sender.readers, &connection);
        }
        if let Some(dest) = self.port_mut(request.dest) {
            leave(&mut dest.writers, &connection);
        }
        if !fault!(self, UnsubscribeNotAnnounced) {
            self.notify(event_type::PORT_UNSUBSCRIBED, number, &connection);
        }
        Ok(())
    }

    /// Tells the ends that have not asked for it, and all who listen to announcements.
    fn notify(&mut self, kind: u8, asked_by: u8, connection: &Subscription) {
        for end in [connection.sender, connection.dest] {
            if end.client != asked_by {
                self.tell_other_end(kind, end, connection);
            }
        }
        let connect = Connect { sender: connection.sender, dest: connection.dest };
        self.system_event(kind, connect, Address::new(address::SUBSCRIBERS, 0));
    }

    /// A notice straight to a port of a user client.
    fn tell_other_end(&mut self, kind: u8, end: Address, connection: &Subscription) {
        if self.client(end.client).is_some_and(|client| client.user.is_some()) {
            let connect = Connect { sender: connection.sender, dest: connection.dest };
            self.system_event(kind, connect, end);
        }
    }

    pub(super) fn query_subscribers(&self, query: &mut QuerySubscribers) -> Result<(), Errno> {
        let port = self.port(query.root).ok_or(Errno::NO_SUCH_ADDRESS)?;
        let group = match query.kind {
            query_type::READ => &port.readers,
            query_type::WRITE => &port.writers,
            _ => return Err(Errno::NO_SUCH_ADDRESS),
        };
        query.subscriber_count = group.list.len() as i32;
        let connection = usize::try_from(query.index)
            .ok()
            .and_then(|index| group.list.get(index))
            .ok_or(Errno::NOT_FOUND)?;
        query.address =
            if query.kind == query_type::READ { connection.dest } else { connection.sender };
        query.flags = connection.flags;
        query.queue = connection.queue;
        Ok(())
    }

    pub(super) fn get_subscription(&self, request: &mut PortSubscribe) -> Result<(), Errno> {
        let port = self.port(request.sender).ok_or(Errno::INVALID)?;
        let connection = port
            .readers
            .list
            .iter()
            .find(|connection| connection.dest == request.dest)
            .ok_or(Errno::NOT_FOUND)?;
        *request = PortSubscribe {
            sender: connection.sender,
            dest: connection.dest,
            voices: connection.voices,
            flags: connection.flags,
            queue: connection.queue,
            ..PortSubscribe::default()
        };
        Ok(())
    }
}

/// Takes one connection out of a group.
fn leave(group: &mut super::client::Group, connection: &Subscription) {
    if let Some(index) = group.list.iter().position(|other| other == connection) {
        group.list.remove(index);
        group.exclusive = false;
    }
}
