//! Ports and connections.

use std::fmt;

use bitflags::bitflags;

use crate::event::Address;
use crate::raw::{self, port_flag, query_type, subscription_flag};

bitflags! {
    /// What may be done with a port (`SNDRV_SEQ_PORT_CAP_*`).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct PortCaps: u32 {
        /// Events can be read from it.
        const READ = 1 << 0;
        /// Events can be written to it.
        const WRITE = 1 << 1;
        /// For synchronised reading; the kernel does nothing with it.
        const SYNC_READ = 1 << 2;
        /// For synchronised writing; the kernel does nothing with it.
        const SYNC_WRITE = 1 << 3;
        /// Reading and writing belong together.
        const DUPLEX = 1 << 4;
        /// Others may connect from it.
        const SUBS_READ = 1 << 5;
        /// Others may connect to it.
        const SUBS_WRITE = 1 << 6;
        /// Only its owner may connect it.
        const NO_EXPORT = 1 << 7;
        /// Not active at present (Linux 6.5 and later).
        const INACTIVE = 1 << 8;
        /// The UMP endpoint's port (Linux 6.5 and later).
        const UMP_ENDPOINT = 1 << 9;
        const _ = !0;
    }
}

/// Capabilities of a port that others read from.
pub const READ_PORT: PortCaps = PortCaps::READ.union(PortCaps::SUBS_READ);
/// Capabilities of a port that others write to.
pub const WRITE_PORT: PortCaps = PortCaps::WRITE.union(PortCaps::SUBS_WRITE);
/// Capabilities of a port for both directions.
pub const RW_PORT: PortCaps = READ_PORT.union(WRITE_PORT);

bitflags! {
    /// What a port leads to (`SNDRV_SEQ_PORT_TYPE_*`).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct PortType: u32 {
        /// Specific to the hardware.
        const SPECIFIC = 1 << 0;
        /// Understands MIDI.
        const MIDI_GENERIC = 1 << 1;
        /// General MIDI.
        const MIDI_GM = 1 << 2;
        /// Roland GS.
        const MIDI_GS = 1 << 3;
        /// Yamaha XG.
        const MIDI_XG = 1 << 4;
        /// Roland MT-32.
        const MIDI_MT32 = 1 << 5;
        /// General MIDI 2.
        const MIDI_GM2 = 1 << 6;
        /// Universal MIDI Packets (Linux 6.5 and later).
        const MIDI_UMP = 1 << 7;
        /// A synthesizer that does not understand MIDI.
        const SYNTH = 1 << 10;
        /// Samples can be loaded.
        const DIRECT_SAMPLE = 1 << 11;
        /// Samples can be loaded at any time.
        const SAMPLE = 1 << 12;
        /// A hardware device.
        const HARDWARE = 1 << 16;
        /// A program.
        const SOFTWARE = 1 << 17;
        /// Makes sound.
        const SYNTHESIZER = 1 << 18;
        /// Leads to other devices.
        const PORT = 1 << 19;
        /// An application.
        const APPLICATION = 1 << 20;
        const _ = !0;
    }
}

impl PortType {
    /// No condition on the type.
    pub const ANY: PortType = PortType::empty();
}

/// A port (`struct snd_seq_port_info`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortInfo {
    /// Number of its client.
    pub client_id: u8,
    /// Number of the port.
    pub port_id: u8,
    /// Name of the port, at most 63 bytes.
    pub name: String,
    /// Name of the client, where it is known (`list_ports`, `find_port`).
    pub client_name: Option<String>,
    /// What may be done with it.
    pub capability: PortCaps,
    /// What it leads to.
    pub port_type: PortType,
    /// MIDI channels.
    pub midi_channels: u32,
    /// MIDI voices.
    pub midi_voices: u32,
    /// Synthesizer voices.
    pub synth_voices: u32,
    /// Connections from it (read-only).
    pub read_use: u32,
    /// Connections to it (read-only).
    pub write_use: u32,
    /// Whether the port is to be created with exactly `port_id`.
    pub port_specified: bool,
    /// Whether arriving events are stamped.
    pub timestamping: bool,
    /// Whether they are stamped with real time, else with ticks.
    pub timestamp_real: bool,
    /// The queue whose time they are stamped with.
    pub timestamp_queue_id: u8,
    /// Direction (Linux 6.5 and later): 0 unknown, 1 input, 2 output, 3 both.
    pub direction: u8,
    /// UMP group (Linux 6.5 and later): 0 for none, or 1 to 16.
    pub ump_group: u8,
}

impl PortInfo {
    /// The port's address.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::new(self.client_id, self.port_id)
    }

    /// From the kernel's structure.
    #[must_use]
    pub fn from_raw(raw: &raw::PortInfo) -> Self {
        Self {
            client_id: raw.address.client,
            port_id: raw.address.port,
            name: raw::name(&raw.name).into_owned(),
            client_name: None,
            capability: PortCaps::from_bits_retain(raw.capability),
            port_type: PortType::from_bits_retain(raw.kind),
            midi_channels: raw.midi_channels.max(0) as u32,
            midi_voices: raw.midi_voices.max(0) as u32,
            synth_voices: raw.synth_voices.max(0) as u32,
            read_use: raw.read_use.max(0) as u32,
            write_use: raw.write_use.max(0) as u32,
            port_specified: raw.flags & port_flag::GIVEN_PORT != 0,
            timestamping: raw.flags & port_flag::TIMESTAMP != 0,
            timestamp_real: raw.flags & port_flag::TIME_REAL != 0,
            timestamp_queue_id: raw.time_queue,
            direction: raw.direction,
            ump_group: raw.ump_group,
        }
    }

    /// The kernel's structure.
    #[must_use]
    pub fn to_raw(&self) -> raw::PortInfo {
        let mut raw = raw::PortInfo {
            address: self.address().into(),
            capability: self.capability.bits(),
            kind: self.port_type.bits(),
            midi_channels: self.midi_channels as i32,
            midi_voices: self.midi_voices as i32,
            synth_voices: self.synth_voices as i32,
            time_queue: self.timestamp_queue_id,
            direction: self.direction,
            ump_group: self.ump_group,
            ..raw::PortInfo::default()
        };
        raw::set_name(&mut raw.name, &self.name);
        for (on, bit) in [
            (self.port_specified, port_flag::GIVEN_PORT),
            (self.timestamping, port_flag::TIMESTAMP),
            (self.timestamp_real, port_flag::TIME_REAL),
        ] {
            if on {
                raw.flags |= bit;
            }
        }
        raw
    }
}

impl From<&PortInfo> for Address {
    fn from(info: &PortInfo) -> Self {
        info.address()
    }
}

impl fmt::Display for PortInfo {
    /// `128:0 client:port`, or without the client's name where it is not known.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.client_name {
            Some(client) => write!(formatter, "{} {client}:{}", self.address(), self.name),
            None => write!(formatter, "{} {}", self.address(), self.name),
        }
    }
}

/// How two ports are to be connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscribeOptions {
    /// The queue whose time stamps the events; used with `time_update`.
    pub queue: Option<u8>,
    /// No other connection may share the ports.
    pub exclusive: bool,
    /// Events are stamped on their way.
    pub time_update: bool,
    /// They are stamped with real time, else with ticks.
    pub time_real: bool,
}

impl SubscribeOptions {
    /// A plain connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No other connection may share the ports.
    #[must_use]
    pub const fn exclusive(mut self) -> Self {
        self.exclusive = true;
        self
    }

    /// Events are stamped on their way with the ticks of `queue`.
    #[must_use]
    pub fn stamp_ticks(mut self, queue: impl Into<u8>) -> Self {
        (self.queue, self.time_update, self.time_real) = (Some(queue.into()), true, false);
        self
    }

    /// Events are stamped on their way with the real time of `queue`.
    #[must_use]
    pub fn stamp_real_time(mut self, queue: impl Into<u8>) -> Self {
        (self.queue, self.time_update, self.time_real) = (Some(queue.into()), true, true);
        self
    }

    pub(crate) fn from_raw(raw: &raw::PortSubscribe) -> Self {
        let time_update = raw.flags & subscription_flag::TIMESTAMP != 0;
        Self {
            queue: time_update.then_some(raw.queue),
            exclusive: raw.flags & subscription_flag::EXCLUSIVE != 0,
            time_update,
            time_real: raw.flags & subscription_flag::TIME_REAL != 0,
        }
    }

    pub(crate) fn to_raw(self, sender: Address, dest: Address) -> raw::PortSubscribe {
        raw::PortSubscribe {
            sender: sender.into(),
            dest: dest.into(),
            flags: subscription_bits(self.exclusive, self.time_update, self.time_real),
            queue: self.queue.unwrap_or(0),
            ..raw::PortSubscribe::default()
        }
    }
}

fn subscription_bits(exclusive: bool, time_update: bool, time_real: bool) -> u32 {
    let bit = |on, bit| if on { bit } else { 0 };
    bit(exclusive, subscription_flag::EXCLUSIVE)
        | bit(time_update, subscription_flag::TIMESTAMP)
        | bit(time_real, subscription_flag::TIME_REAL)
}

/// Which subscribers of a port are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum SubscriptionQueryType {
    /// Those that read from the port.
    #[default]
    Read = 0,
    /// Those that write to the port.
    Write = 1,
}

/// A connection of a port, as question and as answer (`struct snd_seq_query_subs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscriptionQuery {
    /// The port whose connections are asked for.
    pub root: Address,
    /// Which of them.
    pub query_type: SubscriptionQueryType,
    /// Which one, from 0.
    pub index: u32,
    /// How many there are (answer).
    pub num_subs: u32,
    /// The other port (answer).
    pub addr: Address,
    /// Queue of the time stamps (answer).
    pub queue_id: u8,
    /// Whether it is exclusive (answer).
    pub exclusive: bool,
    /// Whether events are stamped (answer).
    pub time_update: bool,
    /// Whether they are stamped with real time (answer).
    pub time_real: bool,
}

impl SubscriptionQuery {
    /// The question for connection `index` of `root`.
    #[must_use]
    pub fn new(root: impl Into<Address>, query_type: SubscriptionQueryType, index: u32) -> Self {
        Self { root: root.into(), query_type, index, ..Self::default() }
    }

    /// From the kernel's structure.
    #[must_use]
    pub fn from_raw(raw: &raw::QuerySubscribers) -> Self {
        Self {
            root: raw.root.into(),
            query_type: match raw.kind {
                query_type::WRITE => SubscriptionQueryType::Write,
                _ => SubscriptionQueryType::Read,
            },
            index: raw.index.max(0) as u32,
            num_subs: raw.subscriber_count.max(0) as u32,
            addr: raw.address.into(),
            queue_id: raw.queue,
            exclusive: raw.flags & subscription_flag::EXCLUSIVE != 0,
            time_update: raw.flags & subscription_flag::TIMESTAMP != 0,
            time_real: raw.flags & subscription_flag::TIME_REAL != 0,
        }
    }

    /// The kernel's structure.
    #[must_use]
    pub fn to_raw(&self) -> raw::QuerySubscribers {
        raw::QuerySubscribers {
            root: self.root.into(),
            kind: self.query_type as i32,
            index: self.index as i32,
            subscriber_count: self.num_subs as i32,
            address: self.addr.into(),
            queue: self.queue_id,
            flags: subscription_bits(self.exclusive, self.time_update, self.time_real),
            ..raw::QuerySubscribers::default()
        }
    }
}
