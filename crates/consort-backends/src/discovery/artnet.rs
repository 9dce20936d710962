//! Art-Net nodes, which reply to an ArtPoll.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

use if_addrs::{IfAddr, Interface};

use super::{Found, MAX_FOUND, Protocol, entry};
use crate::artnet::codec::{PORT, encode_poll};
use crate::artnet::node::Node;

/// The nodes that have replied, by their addresses and names.
#[derive(Default)]
pub(super) struct Nodes {
    socket: Option<UdpSocket>,
    found: BTreeMap<(Ipv4Addr, String), Found>,
}

impl Nodes {
    /// Sends an ArtPoll to the broadcast address of each interface.
    pub(super) fn start(&mut self, interfaces: &[Interface]) -> Result<(), String> {
        let explain = |error: io::Error| format!("cannot search for Art-Net nodes: {error}");
        // Without the option to reuse the address, the port is not taken from a running show, whose
        // frames would arrive here instead.
        let (socket, note) = match UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)) {
            Ok(socket) => (socket, None),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(explain)?;
                let note = format!(
                    "Art-Net: port {PORT} is in use on this computer, so only nodes are listed \
                     that reply to another port"
                );
                (socket, Some(note))
            }
            Err(error) => return Err(explain(error)),
        };
        socket.set_broadcast(true).map_err(explain)?;
        socket.set_nonblocking(true).map_err(explain)?;
        let mut poll = Vec::new();
        encode_poll(&mut poll);
        for interface in interfaces {
            let IfAddr::V4(address) = &interface.addr else { continue };
            let target = address.broadcast.unwrap_or(address.ip);
            if let Err(error) = socket.send_to(&poll, SocketAddrV4::new(target, PORT)) {
                tracing::debug!("cannot send an ArtPoll to {target}: {error}");
            }
        }
        self.socket = Some(socket);
        note.map_or(Ok(()), Err)
    }

    /// Takes note of what has arrived.
    pub(super) fn read(&mut self) {
        let Some(socket) = &self.socket else { return };
        let mut bytes = [0; 2048];
        // What arrives in one turn is bounded by the socket's buffer.
        for _ in 0..MAX_FOUND {
            let Ok((length, peer)) = socket.recv_from(&mut bytes) else { return };
            let (Some(node), IpAddr::V4(peer)) = (Node::decode(&bytes[..length]), peer.ip()) else {
                continue;
            };
            let address = if node.address.is_unspecified() { peer } else { node.address };
            let key = (address, node.name);
            let name = key.1.clone();
            // A node with many ports sends a reply for every four of them.
            let found = entry(&mut self.found, key, || Found {
                protocol: Protocol::ArtNet,
                name,
                addresses: vec![SocketAddr::new(address.into(), PORT)],
                universes: Default::default(),
            });
            if let Some(found) = found {
                found.universes.extend(node.receives);
            }
        }
    }

    pub(super) fn finish(self) -> impl Iterator<Item = Found> {
        self.found.into_values()
    }
}
