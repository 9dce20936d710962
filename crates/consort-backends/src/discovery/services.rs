//! Services that are announced with mDNS.

use std::collections::BTreeMap;

use mdns_sd::{Receiver, ServiceDaemon, ServiceEvent};

use super::{Found, Protocol, entry};
use crate::mdns::{self, GOODBYE_TIMEOUT};

/// The kinds that are searched for.
const KINDS: [(&str, Protocol); 4] = [
    ("_osc._udp.local.", Protocol::Osc),
    ("_osc._tcp.local.", Protocol::OscTcp),
    ("_oscjson._tcp.local.", Protocol::OscQuery),
    ("_apple-midi._udp.local.", Protocol::AppleMidi),
];

/// The running searches, and what they have found, by the full name.
#[derive(Default)]
pub(super) struct Services {
    daemon: Option<ServiceDaemon>,
    searches: Vec<(Protocol, Receiver<ServiceEvent>)>,
    found: BTreeMap<String, Found>,
}

impl Services {
    pub(super) fn start(&mut self, interface: Option<&str>) -> Result<(), String> {
        let daemon = mdns::start_daemon(interface)?;
        for (kind, protocol) in KINDS {
            let search = daemon
                .browse(kind)
                .map_err(|error| format!("cannot search for services: {error}"))?;
            self.searches.push((protocol, search));
        }
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Takes note of what has arrived.
    pub(super) fn read(&mut self) {
        for (protocol, search) in &self.searches {
            for event in search.try_iter() {
                match event {
                    ServiceEvent::ServiceResolved(service) => {
                        let service = mdns::read(&service);
                        let found = entry(&mut self.found, service.full_name, || Found {
                            protocol: *protocol,
                            name: service.name,
                            addresses: Vec::new(),
                            universes: Default::default(),
                        });
                        if let Some(found) = found {
                            found.addresses = service.addresses;
                        }
                    }
                    ServiceEvent::ServiceRemoved(_, full_name) => {
                        self.found.remove(&full_name);
                    }
                    _ => {}
                }
            }
        }
    }

    pub(super) fn finish(self) -> Vec<Found> {
        drop(self.searches);
        if let Some(ended) = self.daemon.and_then(|daemon| daemon.shutdown().ok()) {
            let _ = ended.recv_timeout(GOODBYE_TIMEOUT);
        }
        self.found.into_values().collect()
    }
}
