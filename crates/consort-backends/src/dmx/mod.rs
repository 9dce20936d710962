//! What the backends for universes of 512 slots share: channels, the outgoing frame and its
//! rate, merging of sources, sockets that several instances use.
//!
//! `slots` knows channels, `output` when a frame leaves, `merge` what several sources add up to,
//! `interface` sockets and groups, `node` ties them together for all instances of a backend, and
//! `instance` is the router's side. A protocol adds its packets: [`Protocol`].

mod config;
mod instance;
mod interface;
mod merge;
mod node;
pub(crate) mod options;
mod output;
mod slots;

pub(crate) use config::{
    Bind, BindWords, Sending, check_outputs, parse_bind, parse_destination, read_interface,
    read_interfaces,
};
pub(crate) use instance::DmxInstance;
pub(crate) use interface::Interface;
pub(crate) use merge::{Frame, Policy, SourceId};
pub(crate) use node::{Detect, Node, Universe, UniverseConfig};
pub(crate) use slots::SLOTS;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::net::OutgoingDatagrams;

/// What a datagram said.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Incoming<'a> {
    /// Values of a universe.
    Frame { universe: u16, frame: Frame<'a>, is_preview: bool },
    /// A source ends its stream.
    Terminated { universe: u16, source: SourceId },
    /// Somebody asks who is there, as far as these universes are concerned.
    Poll { first: u16, last: u16 },
    /// Something that needs no answer.
    Other,
}

/// The packets of a protocol.
pub(crate) trait Protocol: 'static {
    /// After how long without a packet a source is gone.
    const SOURCE_TIMEOUT: Duration;
    /// How often an unchanged frame is said again before it is only kept alive.
    const REPEATS: u8;
    /// Whether sequence number 0 means something else.
    const SKIPS_ZERO: bool;
    /// How often [`Protocol::announce`] is called; none: never.
    const ANNOUNCE: Option<Duration>;
    /// How often it is said that a universe ends.
    const FAREWELLS: u8;

    /// Reads a datagram.
    ///
    /// # Errors
    /// Says why it is none of this protocol.
    fn read<'a>(&self, bytes: &'a [u8], from: SocketAddr) -> Result<Incoming<'a>, String>;

    /// Writes a frame of a universe.
    fn write(
        &self,
        universe: &UniverseConfig,
        sequence: u8,
        data: &[u8; SLOTS],
        bytes: &mut Vec<u8>,
    );

    /// The group in which a universe is heard and sent, where there is one.
    fn group(&self, universe: u16) -> Option<Ipv4Addr> {
        let _ = universe;
        None
    }

    /// Answers a [`Incoming::Poll`].
    fn answer(
        &self,
        universes: &[Universe],
        interface: &Interface,
        number: usize,
        range: (u16, u16),
        to: SocketAddr,
        outgoing: &mut OutgoingDatagrams,
    ) {
        let _ = (universes, interface, number, range, to, outgoing);
    }

    /// Says what is sent here.
    fn announce(&self, universes: &[u16], port: u16, outgoing: &mut OutgoingDatagrams) {
        let _ = (universes, port, outgoing);
    }

    /// Writes that a universe ends.
    fn farewell(
        &self,
        universe: &UniverseConfig,
        sequence: u8,
        data: &[u8; SLOTS],
        bytes: &mut Vec<u8>,
    ) {
        let _ = (universe, sequence, data, bytes);
    }
}
