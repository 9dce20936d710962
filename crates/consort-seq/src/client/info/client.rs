//! Clients, their memory, and the sequencer as a whole.

use std::fmt;

use crate::event::EventType;
use crate::raw::{self, client_filter, client_type, midi_version};

/// What a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientType {
    /// A process.
    User,
    /// A driver.
    Kernel,
    /// Another number of the kernel's.
    Other(i32),
}

impl ClientType {
    /// From the kernel's number.
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

/// How the sequencer is reached, as `snd_seq_type` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SequencerType {
    /// Through the kernel, or embedded in this process: the only way there is here.
    Hardware = 0,
    /// Through shared memory.
    SharedMemory = 1,
    /// Through the network.
    Internet = 2,
}

/// Which MIDI a client speaks.
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
    /// Another number of the kernel's.
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

/// A set of event types: those that a client lets in.
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

    /// Takes a type out.
    pub const fn remove(&mut self, event_type: EventType) {
        self.0[event_type.0 as usize / 8] &= !(1 << (event_type.0 % 8));
    }

    /// Whether a type is in the set.
    #[must_use]
    pub const fn contains(&self, event_type: EventType) -> bool {
        self.0[event_type.0 as usize / 8] & (1 << (event_type.0 % 8)) != 0
    }

    /// The types in the set, by number.
    pub fn iter(&self) -> impl Iterator<Item = EventType> + '_ {
        (0..=255).map(EventType).filter(|event_type| self.contains(*event_type))
    }

    /// The kernel's bitmap: type n is bit n mod 8 of byte n div 8.
    #[must_use]
    pub const fn bitmap(&self) -> &[u8; 32] {
        &self.0
    }

    /// From the kernel's bitmap.
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

/// A client (`struct snd_seq_client_info`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// Its number.
    pub client_id: u8,
    /// What it is.
    pub client_type: ClientType,
    /// Its name, at most 63 bytes.
    pub name: String,
    /// Whether it takes broadcast events.
    pub broadcast_filter: bool,
    /// Whether it gets queued events back that could not be delivered.
    pub error_bounce: bool,
    /// The event types that it lets in; `None`: all.
    pub event_filter: Option<EventFilter>,
    /// Number of its ports (read-only).
    pub num_ports: u32,
    /// Events that it lost because its input was full.
    pub event_lost: u32,
    /// Sound card of a driver's client (read-only).
    pub card_id: Option<i32>,
    /// Process of a user client, or rather the thread that opened it (read-only).
    pub pid: Option<i32>,
    /// Which MIDI it speaks (Linux 6.5 and later). Clients of this library are
    /// [`MidiVersion::Legacy`]; the others are for the raw interface.
    pub midi_version: MidiVersion,
    /// Whether it takes Universal MIDI Packets unconverted (Linux 6.5 and later).
    pub no_convert: bool,
    /// UMP groups that are let in, a bit each (Linux 6.7 and later).
    pub group_filter: u32,
    /// Filter flags that have no field here, and the multicast bitmap, as the kernel has them.
    pub other_filter: (u32, [u8; 8]),
}

const NAMED_FILTERS: u32 = client_filter::BROADCAST
    | client_filter::BOUNCE
    | client_filter::USE_EVENT
    | client_filter::NO_CONVERT;

impl ClientInfo {
    /// From the kernel's structure.
    #[must_use]
    pub fn from_raw(raw: &raw::ClientInfo) -> Self {
        let known = |number: i32| (number >= 0).then_some(number);
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
            card_id: known(raw.card),
            pid: known(raw.pid),
            midi_version: MidiVersion::from_raw(raw.midi_version),
            no_convert: raw.filter & client_filter::NO_CONVERT != 0,
            group_filter: raw.group_filter,
            other_filter: (raw.filter & !NAMED_FILTERS, raw.multicast_filter),
        }
    }

    /// The kernel's structure.
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

/// A client's memory in the sequencer, in cells of 28 bytes (`struct snd_seq_client_pool`). An
/// event takes one cell, and one more for each 28 bytes of variable data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientPool {
    /// The client.
    pub client_id: u8,
    /// Cells for output, 1 to 2000.
    pub output_pool: u32,
    /// Cells for input, 1 to 2000.
    pub input_pool: u32,
    /// Free output cells from which the client counts as writable.
    pub output_room: u32,
    /// Free output cells (read-only).
    pub output_free: u32,
    /// Free input cells (read-only).
    pub input_free: u32,
}

impl ClientPool {
    /// From the kernel's structure.
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

    /// The kernel's structure.
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

/// Limits and use of the sequencer (`struct snd_seq_system_info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SystemInfo {
    /// Most queues.
    pub queues: u32,
    /// Most clients.
    pub clients: u32,
    /// Most ports a client.
    pub ports: u32,
    /// Most channels a port.
    pub channels: u32,
    /// Clients now.
    pub cur_clients: u32,
    /// Queues now.
    pub cur_queues: u32,
}

impl SystemInfo {
    /// From the kernel's structure.
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
