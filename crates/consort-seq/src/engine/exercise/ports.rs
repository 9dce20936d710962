//! Steps about ports and subscriptions.

use super::{Request, Runner};
use crate::raw::{
    Address, PortInfo, PortSubscribe, QuerySubscribers, port_capability, port_flag, set_name,
};

impl Runner<'_> {
    pub(super) fn send_create_port(&mut self, slot: usize, capability: u32, flags: u32, port: u8) {
        let Some(client) = &self.clients[slot] else { return };
        let number = client.number;
        let client = if self.input.chance(8) { number ^ 1 } else { number };
        let mut info = PortInfo {
            address: Address::new(client, port),
            capability,
            kind: 0x2_0002,
            midi_channels: 16,
            flags,
            time_queue: self.input.below(4),
            ..PortInfo::default()
        };
        if self.input.chance(128) {
            set_name(&mut info.name, "a port");
        }
        self.ask(slot, &mut info, |info| Request::CreatePort(info));
    }

    pub(super) fn create_port(&mut self, slot: usize) {
        let capability = if self.input.chance(96) {
            // Kernels differ about MIDI 2.0 endpoints, so these are not compared.
            self.input.word() & if self.is_comparable() { 0x1ff } else { 0x3ff }
        } else {
            self.input.pick(&[0x63, 0x63, 0x21, 0x42, 0x03, 0xe3])
        };
        let mut flags = self.input.pick(&[
            0,
            0,
            port_flag::TIMESTAMP,
            port_flag::TIMESTAMP | port_flag::TIME_REAL,
        ]);
        let port = self.port_number();
        // Kernels answer differently to a number that is already in use.
        if self.input.chance(32) && port >= 3 {
            flags |= port_flag::GIVEN_PORT;
        }
        self.send_create_port(slot, capability, flags, port);
    }

    pub(super) fn change_port(&mut self, slot: usize) {
        let mut info = PortInfo { address: self.address(), ..PortInfo::default() };
        match self.input.below(8) {
            0 => {
                self.ask(slot, &mut info, |info| Request::DeletePort(info));
            }
            1 | 2 => {
                info.address = self.user_address();
                info.capability = self.input.pick(&[0x63, 0x63, 0x21, 0x42, 0x83]);
                info.flags = self.input.pick(&[0, port_flag::TIMESTAMP]);
                info.time_queue = self.input.below(3);
                info.ump_group = 0;
                self.ask(slot, &mut info, |info| Request::SetPortInfo(info));
            }
            3 => {
                info.address.port = self.input.pick(&[255, 0, 1, 2]);
                info.capability = self.input.pick(&[0, port_capability::INACTIVE]);
                self.ask(slot, &mut info, |info| Request::QueryNextPort(info));
            }
            _ => {
                self.ask(slot, &mut info, |info| Request::GetPortInfo(info));
            }
        }
    }

    pub(super) fn subscribe(&mut self, slot: usize) {
        let (sender, dest) = match self.input.below(4) {
            0 => (self.address(), self.user_address()),
            1 => (self.user_address(), self.address()),
            2 => (Address::new(0, self.input.below(2)), self.user_address()),
            _ => (self.user_address(), self.user_address()),
        };
        let mut subscription = PortSubscribe {
            sender,
            dest,
            voices: 0,
            flags: self.input.pick(&[0, 0, 0, 0, 0, 1, 2, 6]),
            queue: self.input.below(3),
            ..PortSubscribe::default()
        };
        let request: fn(&mut PortSubscribe) -> Request<'_> = match self.input.below(8) {
            0 | 1 => |subscription| Request::UnsubscribePort(subscription),
            2 => |subscription| Request::GetSubscription(subscription),
            _ => |subscription| Request::SubscribePort(subscription),
        };
        self.ask(slot, &mut subscription, request);
    }

    pub(super) fn query_subscribers(&mut self, slot: usize) {
        let mut query = QuerySubscribers {
            root: self.address(),
            kind: self.input.pick(&[0, 0, 1, 1, 2]),
            index: self.input.pick(&[0, 0, 0, 1, 1, 2, -1, 5]),
            ..QuerySubscribers::default()
        };
        self.ask(slot, &mut query, |query| Request::QuerySubscribers(query));
    }
}
