//! Information about ports and connections.

use std::fmt;
use std::sync::Arc;

use bitflags::bitflags;

use crate::event::Address;
use crate::raw::{self, port_flag, query_type, subscription_flag};

bitflags! {
    /// Capabilities of a port: what other clients may do with it (`SNDRV_SEQ_PORT_CAP_*`).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct PortCaps: u32 {
        /// Events can be read from the port.
        const READ = 1 << 0;
        /// Events can be written to the port.
        const WRITE = 1 << 1;
        /// For synchronised reading; the kernel ignores it.
        const SYNC_READ = 1 << 2;
        /// For synchronised writing; the kernel ignores it.
        const SYNC_WRITE = 1 << 3;
        /// The port supports both directions.
        const DUPLEX = 1 << 4;
        /// Other clients may connect the port as a sender.
        const SUBS_READ = 1 << 5;
        /// Other clients may connect the port as a destination.
        const SUBS_WRITE = 1 << 6;
        /// Only the port's owner may connect it.
        const NO_EXPORT = 1 << 7;
        /// The port is inactive at present (Linux 6.5 and later).
        const INACTIVE = 1 << 8;
        /// The port of a UMP endpoint (Linux 6.5 and later).
        const UMP_ENDPOINT = 1 << 9;
        const _ = !0;
    }
}

/// Capabilities of a port that other clients read from.
pub const READ_PORT: PortCaps = PortCaps::READ.union(PortCaps::SUBS_READ);
/// Capabilities of a port that other clients write to.
pub const WRITE_PORT: PortCaps = PortCaps::WRITE.union(PortCaps::SUBS_WRITE);
/// Capabilities of a port for both directions.
pub const RW_PORT: PortCaps = READ_PORT.union(WRITE_PORT);

bitflags! {
    /// The type of a port: what is behind it (`SNDRV_SEQ_PORT_TYPE_*`).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct PortType: u32 {
        /// Specific to the hardware.
        const SPECIFIC = 1 << 0;
        /// Supports MIDI.
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
        /// A synthesizer without MIDI support.
        const SYNTH = 1 << 10;
        /// A synthesizer to which samples can be downloaded.
        const DIRECT_SAMPLE = 1 << 11;
        /// A synthesizer to which samples can be downloaded at any time.
        const SAMPLE = 1 << 12;
        /// A hardware device.
        const HARDWARE = 1 << 16;
        /// Implemented in software.
        const SOFTWARE = 1 << 17;
        /// Generates sound.
        const SYNTHESIZER = 1 << 18;
        /// Connects to other devices.
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

/// Information about a port (`struct snd_seq_port_info`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortInfo {
    /// Number of the port's client.
    pub client_id: u8,
    /// Number of the port.
    pub port_id: u8,
    /// Name of the port, at most 63 bytes.
    pub name: String,
    /// Name of the client, which the ports of one client share. Only `list_ports` and `find_port`
    /// fill it in.
    pub client_name: Option<Arc<str>>,
    /// What other clients may do with the port.
    pub capability: PortCaps,
    /// The type of the port.
    pub port_type: PortType,
    /// Number of MIDI channels.
    pub midi_channels: u32,
    /// Number of MIDI voices.
    pub midi_voices: u32,
    /// Number of synthesizer voices.
    pub synth_voices: u32,
    /// Number of connections from the port (read-only).
    pub read_use: u32,
    /// Number of connections to the port (read-only).
    pub write_use: u32,
    /// Whether a new port must have the number `port_id`.
    pub port_specified: bool,
    /// Whether arriving events are time-stamped.
    pub timestamping: bool,
    /// Whether the stamps are real time; otherwise they are ticks.
    pub timestamp_real: bool,
    /// The queue from which the stamps are taken.
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

    /// Converts the kernel's structure.
    #[must_use]
    pub fn from_raw(raw: &raw::PortInfo) -> Self {
        Self::with_client_name(raw, None)
    }

    #[inline]
    pub(crate) fn with_client_name(raw: &raw::PortInfo, client_name: Option<Arc<str>>) -> Self {
        Self {
            client_id: raw.address.client,
            port_id: raw.address.port,
            name: raw::name(&raw.name).into_owned(),
            client_name,
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

    /// Converts to the kernel's structure.
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
    /// `128:0 client:port`, or `128:0 port` if the client's name is not filled in.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.client_name {
            Some(client) => write!(formatter, "{} {client}:{}", self.address(), self.name),
            None => write!(formatter, "{} {}", self.address(), self.name),
        }
    }
}

/// Options of a connection between two ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscribeOptions {
    /// The queue from which time stamps are taken; used with `time_update`.
    pub queue: Option<u8>,
    /// Whether the ports accept no other connection.
    pub exclusive: bool,
    /// Whether events are time-stamped when they are delivered.
    pub time_update: bool,
    /// Whether the stamps are real time; otherwise they are ticks.
    pub time_real: bool,
}

impl SubscribeOptions {
    /// A shared connection without time stamps.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the connection exclusive: the ports accept no other.
    #[must_use]
    pub const fn exclusive(mut self) -> Self {
        self.exclusive = true;
        self
    }

    /// Stamps events with the ticks of `queue` when they are delivered.
    #[must_use]
    pub fn stamp_ticks(mut self, queue: impl Into<u8>) -> Self {
        (self.queue, self.time_update, self.time_real) = (Some(queue.into()), true, false);
        self
    }

    /// Stamps events with the real time of `queue` when they are delivered.
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

/// Which subscribers of a port to query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum SubscriptionQueryType {
    /// Those that read from the port.
    #[default]
    Read = 0,
    /// Those that write to the port.
    Write = 1,
}

/// A query for one connection of a port, and its answer (`struct snd_seq_query_subs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscriptionQuery {
    /// The port whose connections are queried.
    pub root: Address,
    /// Whether to query the readers or the writers.
    pub query_type: SubscriptionQueryType,
    /// The index of the connection, from 0.
    pub index: u32,
    /// Number of connections (answer).
    pub num_subs: u32,
    /// The other port (answer).
    pub addr: Address,
    /// Queue of the time stamps (answer).
    pub queue_id: u8,
    /// Whether the connection is exclusive (answer).
    pub exclusive: bool,
    /// Whether events are time-stamped (answer).
    pub time_update: bool,
    /// Whether the stamps are real time; otherwise they are ticks (answer).
    pub time_real: bool,
}

impl SubscriptionQuery {
    /// The query for connection `index` of `root`.
    #[must_use]
    pub fn new(root: impl Into<Address>, query_type: SubscriptionQueryType, index: u32) -> Self {
        Self { root: root.into(), query_type, index, ..Self::default() }
    }

    /// Converts the kernel's structure.
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

    /// Converts to the kernel's structure.
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
