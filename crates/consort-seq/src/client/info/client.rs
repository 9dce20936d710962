//! Information about clients, their pools, and the sequencer.

use std::fmt;

use crate::event::EventType;
use crate::raw::{self, client_filter, client_type, midi_version};

/// The kind of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientType {
    /// A process.
    User,
    /// A driver.
    Kernel,
    /// Any other number.
    Other(i32),
}

impl ClientType {
    /// Converts the kernel's number.
    #[must_use]
    pub const fn from_raw(number: i32) -> Self {
        match number {
            client_type::USER => Self::User,
            client_type::KERNEL => Self::Kernel,
            other => Self::Other(other),
        }
    }

    /// The kernel's number.
    #[must_use]
    pub const fn raw(self) -> i32 {
        match self {
            Self::User => client_type::USER,
            Self::Kernel => client_type::KERNEL,
            Self::Other(other) => other,
        }
    }
}

/// The kind of access to the sequencer, as `snd_seq_type` returns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SequencerType {
    /// Through the kernel, or embedded in this process. This library has no other.
    Hardware = 0,
    /// Through shared memory.
    SharedMemory = 1,
    /// Through the network.
    Internet = 2,
}

/// The MIDI version of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum MidiVersion {
    /// Events of 28 bytes.
    #[default]
    Legacy,
    /// Universal MIDI Packets, MIDI 1.0 protocol.
    Ump1,
    /// Universal MIDI Packets, MIDI 2.0 protocol.
    Ump2,
    /// Any other number.
    Other(u32),
}

impl MidiVersion {
    const fn from_raw(number: u32) -> Self {
        match number {
            midi_version::LEGACY => Self::Legacy,
            midi_version::UMP_MIDI_1_0 => Self::Ump1,
            midi_version::UMP_MIDI_2_0 => Self::Ump2,
            other => Self::Other(other),
        }
    }

    const fn raw(self) -> u32 {
        match self {
            Self::Legacy => midi_version::LEGACY,
            Self::Ump1 => midi_version::UMP_MIDI_1_0,
            Self::Ump2 => midi_version::UMP_MIDI_2_0,
            Self::Other(other) => other,
        }
    }
}

/// A set of event types: those that a client accepts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EventFilter([u8; 32]);

impl EventFilter {
    /// No type.
    #[must_use]
    pub const fn none() -> Self {
        Self([0; 32])
    }

    /// Adds a type.
    pub const fn insert(&mut self, event_type: EventType) {
        self.0[event_type.0 as usize / 8] |= 1 << (event_type.0 % 8);
    }

    /// Removes a type.
    pub const fn remove(&mut self, event_type: EventType) {
        self.0[event_type.0 as usize / 8] &= !(1 << (event_type.0 % 8));
    }

    /// Whether a type is in the set.
    #[must_use]
    pub const fn contains(&self, event_type: EventType) -> bool {
        self.0[event_type.0 as usize / 8] & (1 << (event_type.0 % 8)) != 0
    }

    /// The types in the set, sorted by number.
    pub fn iter(&self) -> impl Iterator<Item = EventType> + '_ {
        (0..=255).map(EventType).filter(|event_type| self.contains(*event_type))
    }

    /// The kernel's bitmap: type n is bit n mod 8 of byte n div 8.
    #[must_use]
    pub const fn bitmap(&self) -> &[u8; 32] {
        &self.0
    }

    /// Converts the kernel's bitmap.
    #[must_use]
    pub const fn from_bitmap(bitmap: [u8; 32]) -> Self {
        Self(bitmap)
    }
}

impl FromIterator<EventType> for EventFilter {
    fn from_iter<I: IntoIterator<Item = EventType>>(types: I) -> Self {
        let mut filter = Self::none();
        for event_type in types {
            filter.insert(event_type);
        }
        filter
    }
}

impl fmt::Debug for EventFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

/// Information about a client (`struct snd_seq_client_info`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// The client's number.
    pub client_id: u8,
    /// The kind of the client.
    pub client_type: ClientType,
    /// The client's name, at most 63 bytes.
    pub name: String,
    /// Whether the client accepts broadcast events.
    pub broadcast_filter: bool,
    /// Whether queued events that cannot be delivered are returned to the client.
    pub error_bounce: bool,
    /// The event types that the client accepts; `None` for all.
    pub event_filter: Option<EventFilter>,
    /// Number of the client's ports (read-only).
    pub num_ports: u32,
    /// Number of events that were lost because the client's input was full.
    pub event_lost: u32,
    /// Sound card of a client that belongs to a driver (read-only).
    pub card_id: Option<i32>,
    /// The thread that opened a user client (read-only).
    pub pid: Option<i32>,
    /// The client's MIDI version (Linux 6.5 and later). Clients of this library are
    /// [`MidiVersion::Legacy`]; the others are for the raw interface.
    pub midi_version: MidiVersion,
    /// Whether the client receives Universal MIDI Packets unconverted (Linux 6.5 and later).
    pub no_convert: bool,
    /// The UMP groups that the client accepts, one bit each (Linux 6.7 and later).
    pub group_filter: u32,
    /// The filter flags that have no field here, and the multicast bitmap, in the kernel's form.
    pub other_filter: (u32, [u8; 8]),
}

/// The filter flags that have fields of their own in [`ClientInfo`].
const NAMED_FILTERS: u32 = client_filter::BROADCAST
    | client_filter::BOUNCE
    | client_filter::USE_EVENT
    | client_filter::NO_CONVERT;

impl ClientInfo {
    /// Converts the kernel's structure.
    #[must_use]
    pub fn from_raw(raw: &raw::ClientInfo) -> Self {
        let non_negative = |number: i32| (number >= 0).then_some(number);
        let uses_filter = raw.filter & client_filter::USE_EVENT != 0;
        Self {
            client_id: raw.client as u8,
            client_type: ClientType::from_raw(raw.kind),
            name: raw::name(&raw.name).into_owned(),
            broadcast_filter: raw.filter & client_filter::BROADCAST != 0,
            error_bounce: raw.filter & client_filter::BOUNCE != 0,
            event_filter: uses_filter.then_some(EventFilter(raw.event_filter)),
            num_ports: raw.port_count.max(0) as u32,
            event_lost: raw.lost_events.max(0) as u32,
            card_id: non_negative(raw.card),
            pid: non_negative(raw.pid),
            midi_version: MidiVersion::from_raw(raw.midi_version),
            no_convert: raw.filter & client_filter::NO_CONVERT != 0,
            group_filter: raw.group_filter,
            other_filter: (raw.filter & !NAMED_FILTERS, raw.multicast_filter),
        }
    }

    /// Converts to the kernel's structure.
    #[must_use]
    pub fn to_raw(&self) -> raw::ClientInfo {
        let mut raw = raw::ClientInfo {
            client: i32::from(self.client_id),
            kind: self.client_type.raw(),
            filter: self.other_filter.0 & !NAMED_FILTERS,
            multicast_filter: self.other_filter.1,
            port_count: self.num_ports as i32,
            lost_events: self.event_lost as i32,
            card: self.card_id.unwrap_or(-1),
            pid: self.pid.unwrap_or(-1),
            midi_version: self.midi_version.raw(),
            group_filter: self.group_filter,
            ..raw::ClientInfo::default()
        };
        raw::set_name(&mut raw.name, &self.name);
        for (on, bit) in [
            (self.broadcast_filter, client_filter::BROADCAST),
            (self.error_bounce, client_filter::BOUNCE),
            (self.no_convert, client_filter::NO_CONVERT),
        ] {
            if on {
                raw.filter |= bit;
            }
        }
        if let Some(EventFilter(bitmap)) = self.event_filter {
            raw.filter |= client_filter::USE_EVENT;
            raw.event_filter = bitmap;
        }
        raw
    }
}

impl fmt::Display for ClientInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} '{}' [{:?}]", self.client_id, self.name, self.client_type)
    }
}

/// A client's event memory in the sequencer, in cells of 28 bytes
/// (`struct snd_seq_client_pool`). An event uses one cell, and one more for each 28 bytes of
/// variable data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientPool {
    /// The client's number.
    pub client_id: u8,
    /// Cells for output, 1 to 2000.
    pub output_pool: u32,
    /// Cells for input, 1 to 2000.
    pub input_pool: u32,
    /// The minimum number of free output cells at which the client counts as writable.
    pub output_room: u32,
    /// Number of free output cells (read-only).
    pub output_free: u32,
    /// Number of free input cells (read-only).
    pub input_free: u32,
}

impl ClientPool {
    /// Converts the kernel's structure.
    #[must_use]
    pub fn from_raw(raw: &raw::ClientPool) -> Self {
        Self {
            client_id: raw.client as u8,
            output_pool: raw.output_pool.max(0) as u32,
            input_pool: raw.input_pool.max(0) as u32,
            output_room: raw.output_room.max(0) as u32,
            output_free: raw.output_free.max(0) as u32,
            input_free: raw.input_free.max(0) as u32,
        }
    }

    /// Converts to the kernel's structure.
    #[must_use]
    pub fn to_raw(&self) -> raw::ClientPool {
        raw::ClientPool {
            client: i32::from(self.client_id),
            output_pool: self.output_pool as i32,
            input_pool: self.input_pool as i32,
            output_room: self.output_room as i32,
            output_free: self.output_free as i32,
            input_free: self.input_free as i32,
            ..raw::ClientPool::default()
        }
    }
}

/// Limits of the sequencer, and how much of them is in use (`struct snd_seq_system_info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SystemInfo {
    /// Maximum number of queues.
    pub queues: u32,
    /// Maximum number of clients.
    pub clients: u32,
    /// Maximum number of ports per client.
    pub ports: u32,
    /// Maximum number of channels per port.
    pub channels: u32,
    /// Current number of clients.
    pub cur_clients: u32,
    /// Current number of queues.
    pub cur_queues: u32,
}

impl SystemInfo {
    /// Converts the kernel's structure.
    #[must_use]
    pub fn from_raw(raw: &raw::SystemInfo) -> Self {
        Self {
            queues: raw.queues.max(0) as u32,
            clients: raw.clients.max(0) as u32,
            ports: raw.ports.max(0) as u32,
            channels: raw.channels.max(0) as u32,
            cur_clients: raw.current_clients.max(0) as u32,
            cur_queues: raw.current_queues.max(0) as u32,
        }
    }
}
