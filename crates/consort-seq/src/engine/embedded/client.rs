//! Clients, their ports, and the subscriptions of ports.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pool::{DEFAULT_OUTPUT_CELLS, Fifo, Pool};
use super::signal::{Readiness, Signal};
use crate::raw::{
    self, Address, ClientInfo, PortInfo, PortSubscribe, client_filter, client_type,
    port_capability, port_direction, port_flag, subscription_flag,
};

/// The maximum number of clients: numbers 0 to 191.
pub(super) const MAX_CLIENTS: usize = 192;
/// First number of a user client.
pub(super) const FIRST_USER_CLIENT: usize = 128;
/// The maximum number of ports of a client: numbers 0 to 253.
pub(super) const MAX_PORTS: usize = 254;

/// The part of a user client that a kernel client does not have.
#[derive(Debug)]
pub(super) struct User {
    pub(super) signal: Arc<Signal>,
    /// The readiness that the descriptor shows at present.
    pub(super) shown: Readiness,
    /// Whether the client is in the list of those whose descriptor may have to change.
    pub(super) is_dirty: bool,
    /// The input queue, if the client was opened for input.
    pub(super) fifo: Option<Fifo>,
    pub(super) accepts_output: bool,
    /// The thread that opened the client; the kernel reports it as the client's process.
    pub(super) process: i32,
}

/// A client: a user client with a connection, or one of the kernel's own.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) number: u8,
    pub(super) name: [u8; 64],
    pub(super) filter: u32,
    pub(super) event_filter: [u8; 32],
    pub(super) lost_events: i32,
    pub(super) midi_version: u32,
    pub(super) group_filter: u32,
    pub(super) user_version: i32,
    pub(super) ports: BTreeMap<u8, Port>,
    pub(super) pool: Pool,
    /// `None` for a kernel client.
    pub(super) user: Option<User>,
}

impl Client {
    pub(super) fn new(number: u8, name: &str, user: Option<User>) -> Self {
        let mut field = [0; 64];
        raw::set_name(&mut field, name);
        Self {
            number,
            name: field,
            filter: 0,
            event_filter: [0; 32],
            lost_events: 0,
            midi_version: 0,
            group_filter: 0,
            user_version: 0,
            ports: BTreeMap::new(),
            pool: Pool::new(if user.is_some() { DEFAULT_OUTPUT_CELLS } else { 0 }),
            user,
        }
    }

    pub(super) fn accepts_input(&self) -> bool {
        self.user.as_ref().is_none_or(|user| user.fifo.is_some())
    }

    /// Whether the client's filter accepts events of a type.
    pub(super) const fn accepts_type(&self, kind: u8) -> bool {
        self.filter & client_filter::USE_EVENT == 0
            || self.event_filter[kind as usize / 8] & (1 << (kind % 8)) != 0
    }

    pub(super) fn info(&self, into: &mut ClientInfo) {
        *into = ClientInfo {
            client: i32::from(self.number),
            kind: if self.user.is_some() { client_type::USER } else { client_type::KERNEL },
            name: self.name,
            filter: self.filter,
            event_filter: self.event_filter,
            port_count: self.ports.len() as i32,
            lost_events: self.lost_events,
            card: -1,
            pid: self.user.as_ref().map_or(-1, |user| user.process),
            midi_version: self.midi_version,
            group_filter: self.group_filter,
            ..ClientInfo::default()
        };
    }

    /// The lowest free port number.
    pub(super) fn free_port(&self) -> u8 {
        (0..=u8::MAX).find(|number| !self.ports.contains_key(number)).unwrap_or(u8::MAX)
    }
}

/// One connection. Both of its ports store a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) sender: Address,
    pub(super) dest: Address,
    pub(super) voices: u32,
    pub(super) flags: u32,
    pub(super) queue: u8,
}

impl Subscription {
    pub(super) const fn new(request: &PortSubscribe) -> Self {
        Self {
            sender: request.sender,
            dest: request.dest,
            voices: request.voices,
            flags: request.flags,
            queue: request.queue,
        }
    }

    pub(super) const fn is_exclusive(&self) -> bool {
        self.flags & subscription_flag::EXCLUSIVE != 0
    }

    /// Whether a request for this connection refers to `other`. A request without flags refers to
    /// any connection between the two ports, one with flags only to a connection with the same
    /// flags and queue.
    pub(super) fn matches(&self, other: &Self) -> bool {
        self.sender == other.sender
            && self.dest == other.dest
            && (self.flags == 0 || (self.flags == other.flags && self.queue == other.queue))
    }
}

/// The connections of a port in one direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) list: Vec<Subscription>,
    pub(super) exclusive: bool,
}

/// A port of a client.
#[derive(Clone, Debug)]
pub(super) struct Port {
    pub(super) name: [u8; 64],
    pub(super) capability: u32,
    pub(super) kind: u32,
    pub(super) midi_channels: i32,
    pub(super) midi_voices: i32,
    pub(super) synth_voices: i32,
    pub(super) timestamping: bool,
    pub(super) time_real: bool,
    pub(super) time_queue: u8,
    pub(super) direction: u8,
    pub(super) ump_group: u8,
    pub(super) is_midi1: bool,
    /// Connections that read from it.
    pub(super) readers: Group,
    /// Connections that write to it.
    pub(super) writers: Group,
}

impl Port {
    pub(super) fn new(number: u8) -> Self {
        let mut name = [0; 64];
        raw::set_name(&mut name, &format!("port-{number}"));
        Self {
            name,
            capability: 0,
            kind: 0,
            midi_channels: 0,
            midi_voices: 0,
            synth_voices: 0,
            timestamping: false,
            time_real: false,
            time_queue: 0,
            direction: 0,
            ump_group: 0,
            is_midi1: false,
            readers: Group::default(),
            writers: Group::default(),
        }
    }

    pub(super) const fn has(&self, capability: u32) -> bool {
        self.capability & capability == capability
    }

    pub(super) fn set_info(&mut self, info: &PortInfo) {
        if info.name[0] != 0 {
            self.name = info.name;
            self.name[63] = 0;
        }
        self.capability = info.capability;
        self.kind = info.kind;
        self.midi_channels = info.midi_channels;
        self.midi_voices = info.midi_voices;
        self.synth_voices = info.synth_voices;
        self.timestamping = info.flags & port_flag::TIMESTAMP != 0;
        self.time_real = info.flags & port_flag::TIME_REAL != 0;
        self.time_queue = info.time_queue;
        self.ump_group = info.ump_group;
        self.is_midi1 = info.flags & port_flag::IS_MIDI1 != 0;
        self.direction = info.direction;
        if self.direction == port_direction::UNKNOWN {
            if self.capability & port_capability::READ != 0 {
                self.direction |= port_direction::INPUT;
            }
            if self.capability & port_capability::WRITE != 0 {
                self.direction |= port_direction::OUTPUT;
            }
        }
    }

    pub(super) fn info(&self, into: &mut PortInfo) {
        into.name = self.name;
        into.capability = self.capability;
        into.kind = self.kind;
        into.midi_channels = self.midi_channels;
        into.midi_voices = self.midi_voices;
        into.synth_voices = self.synth_voices;
        into.read_use = self.readers.list.len() as i32;
        into.write_use = self.writers.list.len() as i32;
        into.flags = 0;
        if self.timestamping {
            into.flags |= port_flag::TIMESTAMP;
            if self.time_real {
                into.flags |= port_flag::TIME_REAL;
            }
            into.time_queue = self.time_queue;
        }
        if self.is_midi1 {
            into.flags |= port_flag::IS_MIDI1;
        }
        into.direction = self.direction;
        into.ump_group = self.ump_group;
    }
}
