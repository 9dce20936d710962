//! Requests about ports and subscriptions.

use super::client::{MAX_PORTS, Port, Subscription};
use super::state::{State, fault};
use crate::engine::Errno;
use crate::raw::{
    Address, Connect, PortInfo, PortSubscribe, QuerySubscribers, address, event_type,
    port_capability, port_flag, query_type,
};

/// The capabilities that another client needs of a port to subscribe to it.
const READ: u32 = port_capability::READ | port_capability::SUBSCRIBE_READ;
/// The capabilities that another client needs of a port to send to it by subscription.
const WRITE: u32 = port_capability::WRITE | port_capability::SUBSCRIBE_WRITE;

impl State {
    pub(super) fn port(&self, address: Address) -> Option<&Port> {
        self.client(address.client)?.ports.get(&address.port)
    }

    pub(super) fn port_mut(&mut self, address: Address) -> Option<&mut Port> {
        self.client_mut(address.client)?.ports.get_mut(&address.port)
    }

    pub(super) fn create_port(&mut self, number: u8, info: &mut PortInfo) -> Result<(), Errno> {
        if info.address.client != number {
            return Err(Errno::NOT_PERMITTED);
        }
        let client = self.own(number)?;
        if client.ports.len() >= MAX_PORTS {
            return Err(Errno::NO_MEMORY);
        }
        let is_given = info.flags & port_flag::GIVEN_PORT != 0;
        if is_given && info.address.port as usize >= MAX_PORTS {
            return Err(Errno::INVALID);
        }
        if is_given && client.ports.contains_key(&info.address.port) {
            return Err(Errno::BUSY);
        }
        // A client can have only one UMP endpoint.
        if info.capability & port_capability::UMP_ENDPOINT != 0
            && client.ports.values().any(|port| port.has(port_capability::UMP_ENDPOINT))
        {
            return Err(Errno::BUSY);
        }
        let port_number = if is_given { info.address.port } else { client.free_port() };
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

    /// Removes a port with its connections and notifies the ports at their other ends.
    pub(super) fn remove_port(&mut self, client: u8, number: u8) {
        let Some(port) = self.client_mut(client).and_then(|client| client.ports.remove(&number))
        else {
            return;
        };
        self.disconnect(port);
        self.announce(event_type::PORT_EXIT, client, number);
    }

    /// Ends the connections of a port that has been removed from its client.
    pub(super) fn disconnect(&mut self, port: Port) {
        for connection in port.readers.list {
            if let Some(other) = self.port_mut(connection.dest) {
                remove_from(&mut other.writers, &connection);
                self.notify_port(event_type::PORT_UNSUBSCRIBED, connection.dest, &connection);
            }
        }
        for connection in port.writers.list {
            if let Some(other) = self.port_mut(connection.sender) {
                remove_from(&mut other.readers, &connection);
                self.notify_port(event_type::PORT_UNSUBSCRIBED, connection.sender, &connection);
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
        // As on the kernel, a port that does not exist is not an error.
        if let Some(port) = self.port_mut(info.address) {
            port.set_info(info);
            self.announce(event_type::PORT_CHANGE, number, info.address.port);
        }
        Ok(())
    }

    pub(super) fn query_next_port(&self, info: &mut PortInfo) -> Result<(), Errno> {
        let client = self.client(info.address.client).ok_or(Errno::NO_SUCH_ADDRESS)?;
        let first = info.address.port.wrapping_add(1);
        // Inactive ports are skipped unless the query has their bit set.
        let inactive = port_capability::INACTIVE;
        let includes_inactive = info.capability & inactive != 0;
        let (&number, port) = client
            .ports
            .range(first..)
            .find(|(_, port)| includes_inactive || port.capability & inactive == 0)
            .ok_or(Errno::NOT_FOUND)?;
        info.address.port = number;
        port.info(info);
        Ok(())
    }

    /// The sender and destination ports of a request; the error is `missing` if one of them does
    /// not exist.
    fn ends(&self, request: &PortSubscribe, missing: Errno) -> Result<(&Port, &Port), Errno> {
        let dest = self.port(request.dest).ok_or(missing)?;
        let sender = self.port(request.sender).ok_or(missing)?;
        Ok((sender, dest))
    }

    fn may_connect(number: u8, request: &PortSubscribe, ends: (&Port, &Port)) -> bool {
        let (sender, dest) = ends;
        let owns_sender = request.sender.client == number;
        let owns_dest = request.dest.client == number;
        let is_exported = owns_sender
            || owns_dest
            || (sender.capability | dest.capability) & port_capability::NO_EXPORT == 0;
        is_exported && (owns_sender || sender.has(READ)) && (owns_dest || dest.has(WRITE))
    }

    pub(super) fn subscribe(&mut self, number: u8, request: &PortSubscribe) -> Result<(), Errno> {
        let ends = self.ends(request, Errno::INVALID)?;
        if !Self::may_connect(number, request, ends) {
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
        for (end, is_sender) in [(request.sender, true), (request.dest, false)] {
            if let Some(port) = self.port_mut(end) {
                let group = if is_sender { &mut port.readers } else { &mut port.writers };
                group.list.push(connection);
                group.exclusive = connection.is_exclusive();
            }
        }
        self.notify(event_type::PORT_SUBSCRIBED, number, &connection);
        Ok(())
    }

    pub(super) fn unsubscribe(&mut self, number: u8, request: &PortSubscribe) -> Result<(), Errno> {
        let ends = self.ends(request, Errno::NO_SUCH_ADDRESS)?;
        if !Self::may_connect(number, request, ends) {
            return Err(Errno::NOT_PERMITTED);
        }
        let (sender, _) = ends;
        let requested = Subscription::new(request);
        let connection = *sender
            .readers
            .list
            .iter()
            .find(|connection| requested.matches(connection))
            .ok_or(Errno::NOT_FOUND)?;
        if let Some(sender) = self.port_mut(request.sender) {
            remove_from(&mut sender.readers, &connection);
        }
        if let Some(dest) = self.port_mut(request.dest) {
            remove_from(&mut dest.writers, &connection);
        }
        if !fault!(self, UnsubscribeNotAnnounced) {
            self.notify(event_type::PORT_UNSUBSCRIBED, number, &connection);
        }
        Ok(())
    }

    /// Notifies the ends of a connection that did not request the change, and the subscribers of
    /// the announcement port.
    fn notify(&mut self, kind: u8, requester: u8, connection: &Subscription) {
        for end in [connection.sender, connection.dest] {
            if end.client != requester {
                self.notify_port(kind, end, connection);
            }
        }
        let connect = Connect { sender: connection.sender, dest: connection.dest };
        self.system_event(kind, connect, Address::new(address::SUBSCRIBERS, 0));
    }

    /// Sends a notice about a connection directly to a port, if it belongs to a user client.
    fn notify_port(&mut self, kind: u8, port: Address, connection: &Subscription) {
        if self.client(port.client).is_some_and(|client| client.user.is_some()) {
            let connect = Connect { sender: connection.sender, dest: connection.dest };
            self.system_event(kind, connect, port);
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

/// Removes one connection from a group.
fn remove_from(group: &mut super::client::Group, connection: &Subscription) {
    if let Some(index) = group.list.iter().position(|other| other == connection) {
        group.list.remove(index);
        group.exclusive = false;
    }
}
