//! What is on the local network: OSC and OSCQuery hosts and AppleMIDI sessions (mDNS), Art-Net
//! nodes, and sACN sources.
//!
//! [`discover`] sends and listens for a while. It blocks its caller, so it is for commands and not
//! for the router. All names come from the network.

mod artnet;
mod sacn;
mod services;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use if_addrs::{IfAddr, Interface};

use self::artnet::Nodes;
use self::sacn::Sources;
use self::services::Services;

/// The most services, nodes and sources that are listed.
pub const MAX_FOUND: usize = 1024;

/// How often what has arrived is read.
const TURN: Duration = Duration::from_millis(20);

/// What can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Protocol {
    /// Open Sound Control over UDP, announced as `_osc._udp`.
    Osc,
    /// Open Sound Control over TCP, announced as `_osc._tcp`.
    OscTcp,
    /// Hosts that list their OSC addresses over HTTP, announced as `_oscjson._tcp`.
    OscQuery,
    /// Sessions of RTP-MIDI, announced as `_apple-midi._udp`.
    AppleMidi,
    /// Nodes that reply to an ArtPoll.
    ArtNet,
    /// Sources that announce their universes (E1.31, universe discovery), every ten seconds.
    Sacn,
}

impl Protocol {
    /// The word for tables and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Protocol::Osc => "osc",
            Protocol::OscTcp => "osc-tcp",
            Protocol::OscQuery => "oscquery",
            Protocol::AppleMidi => "rtpmidi",
            Protocol::ArtNet => "artnet",
            Protocol::Sacn => "sacn",
        }
    }
}

/// A service, a node or a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// How it was found.
    pub protocol: Protocol,
    /// Its name, as it gives it; it may contain any characters.
    pub name: String,
    /// IPv4 addresses first. The port is 0 for a source of sACN, which only sends.
    pub addresses: Vec<SocketAddr>,
    /// The universes that a node takes from the network, or that a source sends: port-addresses
    /// from 0 (Art-Net), universes from 1 (sACN).
    pub universes: BTreeSet<u16>,
}

/// Where and how long to search.
#[derive(Clone, Debug)]
pub struct Search {
    /// The name of the only network interface to use; `None` for all but the loopback interface.
    pub interface: Option<String>,
    /// How long to listen. Services and nodes reply within a second; sources of sACN announce
    /// themselves every ten seconds.
    pub duration: Duration,
}

/// The result of a search.
#[derive(Clone, Debug, Default)]
pub struct Discovered {
    /// Sorted by protocol and name.
    pub found: Vec<Found>,
    /// Why a protocol could not be searched for, or only partly.
    pub notes: Vec<String>,
}

/// Searches the local network, and blocks for [`Search::duration`].
///
/// It sends an ArtPoll to the broadcast address of each interface, asks for services with mDNS, and
/// joins the multicast group of sACN's universe discovery. A port that another program uses stays
/// with that program: a running show loses nothing.
///
/// # Errors
/// A message if there is no such interface, or the interfaces cannot be listed.
pub fn discover(search: &Search) -> Result<Discovered, String> {
    let interfaces = interfaces(search.interface.as_deref())?;
    let mut discovered = Discovered::default();
    let mut note = |result: Result<(), String>| discovered.notes.extend(result.err());
    let mut services = Services::default();
    note(services.start(search.interface.as_deref()));
    let mut nodes = Nodes::default();
    note(nodes.start(&interfaces));
    let mut sources = Sources::default();
    note(sources.start(&interfaces));
    let end = Instant::now() + search.duration;
    loop {
        services.read();
        nodes.read();
        sources.read();
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        std::thread::sleep(left.min(TURN));
    }
    let found = services.finish().into_iter().chain(nodes.finish()).chain(sources.finish());
    discovered.found = found.take(MAX_FOUND).collect();
    discovered.found.sort_by(|a, b| {
        (a.protocol, &a.name, &a.addresses).cmp(&(b.protocol, &b.name, &b.addresses))
    });
    Ok(discovered)
}

/// What was found under a key; a new one is made, unless there are [`MAX_FOUND`] already.
fn entry<K: Ord>(
    found: &mut BTreeMap<K, Found>,
    key: K,
    make: impl FnOnce() -> Found,
) -> Option<&mut Found> {
    let is_full = found.len() == MAX_FOUND;
    match found.entry(key) {
        Entry::Occupied(known) => Some(known.into_mut()),
        Entry::Vacant(place) => (!is_full).then(|| place.insert(make())),
    }
}

/// The IPv4 interfaces to use.
fn interfaces(name: Option<&str>) -> Result<Vec<Interface>, String> {
    let all = if_addrs::get_if_addrs()
        .map_err(|error| format!("cannot list the network interfaces: {error}"))?;
    if let Some(name) = name
        && !all.iter().any(|interface| interface.name == name)
    {
        let names: BTreeSet<&str> = all.iter().map(|interface| &*interface.name).collect();
        let names: Vec<&str> = names.into_iter().collect();
        return Err(format!(
            "there is no network interface `{name}` with an address; there are: {}",
            names.join(", ")
        ));
    }
    let is_wanted = |interface: &Interface| match name {
        Some(name) => interface.name == name,
        None => !interface.is_loopback(),
    };
    let is_v4 = |interface: &Interface| matches!(interface.addr, IfAddr::V4(_));
    Ok(all.into_iter().filter(|one| is_wanted(one) && is_v4(one)).collect())
}
