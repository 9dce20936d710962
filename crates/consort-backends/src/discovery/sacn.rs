//! Sources of sACN, which announce their universes.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};

use if_addrs::{IfAddr, Interface};
use socket2::{Domain, Protocol as Transport, Socket, Type};

use super::{Found, MAX_FOUND, Protocol, entry};
use crate::sacn::codec::{Cid, DISCOVERY_UNIVERSE, PORT, Packet, group};

/// The sources that have announced themselves, by their identifiers.
#[derive(Default)]
pub(super) struct Sources {
    socket: Option<UdpSocket>,
    found: BTreeMap<Cid, Found>,
}

impl Sources {
    /// Joins the group of universe discovery on each interface.
    pub(super) fn start(&mut self, interfaces: &[Interface]) -> Result<(), String> {
        let socket = open(interfaces)
            .map_err(|error| format!("cannot listen for sources of sACN: {error}"))?;
        self.socket = Some(socket);
        Ok(())
    }

    /// Takes note of what has arrived.
    pub(super) fn read(&mut self) {
        let Some(socket) = &self.socket else { return };
        let mut bytes = [0; 2048];
        for _ in 0..MAX_FOUND {
            let Ok((length, peer)) = socket.recv_from(&mut bytes) else { return };
            let Ok(Packet::Discovery(page)) = Packet::decode(&bytes[..length]) else { continue };
            let found = entry(&mut self.found, page.cid, || Found {
                protocol: Protocol::Sacn,
                name: String::from_utf8_lossy(page.name).into_owned(),
                addresses: vec![SocketAddr::new(peer.ip(), 0)],
                universes: Default::default(),
            });
            if let Some(found) = found {
                found.universes.extend(page.universes());
            }
        }
    }

    pub(super) fn finish(self) -> impl Iterator<Item = Found> {
        self.found.into_values()
    }
}

fn open(interfaces: &[Interface]) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Transport::UDP))?;
    // The port is shared with running shows. A socket that is bound to the group receives only what
    // is sent to the group, and so takes nothing from them.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    let group = group(DISCOVERY_UNIVERSE);
    socket.bind(&SocketAddrV4::new(group, PORT).into())?;
    let mut joined = None;
    for interface in interfaces {
        let IfAddr::V4(address) = &interface.addr else { continue };
        let result = socket.join_multicast_v4(&group, &address.ip);
        if let Err(error) = &result {
            tracing::debug!("cannot join {group} on {}: {error}", interface.name);
        }
        if !matches!(joined, Some(Ok(()))) {
            joined = Some(result);
        }
    }
    joined.unwrap_or(Ok(()))?;
    Ok(socket.into())
}
