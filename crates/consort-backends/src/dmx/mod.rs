//! Code that the backends for DMX universes share.
//!
//! `slots` maps channels to slots, `emission` emits what changes between frames, `output` schedules outgoing frames, `merge` merges several
//! sources, and `interface` has the sockets and multicast groups. `node` combines these for all
//! instances of a backend, and `instance` has the backend's driver and one universe as the router
//! sees them. A backend adds the packets of its protocol: [`Protocol`].

mod config;
mod emission;
mod instance;
mod interface;
mod merge;
mod node;
pub(crate) mod options;
mod output;
mod own;
mod polls;
mod slots;
mod sources;
#[cfg(test)]
mod tests;

pub(crate) use config::{
    BindFlags, InterfaceConfig, Receivers, Transmission, check_outputs, parse_bind,
    parse_destination, read_interface, read_interfaces,
};
pub(crate) use emission::Emission;
pub(crate) use instance::{DmxDriver, DmxPlan};
pub(crate) use interface::Interface;
#[cfg(feature = "fuzzing")]
pub use merge::merge_frames;
pub(crate) use merge::{Frame, Policy, SourceId};
pub(crate) use node::{Detect, NO_UNIVERSE, Node, Universe, UniverseConfig};
pub(crate) use output::{Output, Pace};
pub(crate) use slots::{ChannelSlots, SLOTS, Slots};

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::net::OutgoingDatagrams;

/// A decoded datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Incoming<'a> {
    /// Values of a universe.
    Frame {
        universe: u16,
        frame: Frame<'a>,
        is_preview: bool,
        /// Whether the frame may be one that this program has sent.
        may_be_own: bool,
    },
    /// A source terminates its stream.
    Terminated { universe: u16, source: SourceId },
    /// A peer asks for the nodes of a range of universes, both ends included.
    Poll { first: u16, last: u16 },
    /// A packet that needs no action.
    Other,
}

/// The packets of a protocol.
pub(crate) trait Protocol: 'static {
    /// How long a source may be silent before it is removed.
    const SOURCE_TIMEOUT: Duration;
    /// How often a changed frame is repeated before only keep-alive frames are sent.
    const REPEATS: u8;
    /// Whether sequence number 0 has a special meaning, so that it is skipped.
    const SKIPS_SEQUENCE_ZERO: bool;
    /// The time between two calls of [`Protocol::announce`]; `None` if it is not used.
    const ANNOUNCE_INTERVAL: Option<Duration>;
    /// How many packets are sent to terminate a universe.
    const TERMINATION_PACKETS: u8;

    /// Decodes a datagram.
    ///
    /// # Errors
    /// A message that states why the datagram is invalid.
    fn decode<'a>(&self, bytes: &'a [u8], from: SocketAddr) -> Result<Incoming<'a>, String>;

    /// Encodes a frame of a universe.
    fn encode_frame(
        &self,
        universe: &UniverseConfig,
        sequence: u8,
        data: &[u8; SLOTS],
        bytes: &mut Vec<u8>,
    );

    /// The multicast group of a universe, if the protocol has groups.
    fn group(&self, universe: u16) -> Option<Ipv4Addr> {
        let _ = universe;
        None
    }

    /// Encodes the replies to an [`Incoming::Poll`] of the range of universes.
    fn reply_to_poll<'u>(
        &self,
        universes: impl Iterator<Item = &'u Universe>,
        interface: &Interface,
        number: usize,
        range: (u16, u16),
        peer: SocketAddr,
        outgoing: &mut OutgoingDatagrams,
    ) {
        let _ = (universes, interface, number, range, peer, outgoing);
    }

    /// Encodes the announcement of the universes that are sent.
    fn announce(&self, universes: &[u16], port: u16, outgoing: &mut OutgoingDatagrams) {
        let _ = (universes, port, outgoing);
    }

    /// Encodes a packet that terminates a universe.
    fn encode_termination(
        &self,
        universe: &UniverseConfig,
        sequence: u8,
        data: &[u8; SLOTS],
        bytes: &mut Vec<u8>,
    ) {
        let _ = (universe, sequence, data, bytes);
    }
}
