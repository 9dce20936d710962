//! Services of the local network (mDNS, DNS-SD): announcing and finding them.
//!
//! The protocol runs on a thread of `mdns-sd`, which shares the port with other programs (avahi),
//! and follows interfaces that come and go. Nothing is sent before something is announced or
//! searched for.

#[cfg(any(feature = "osc", feature = "rtpmidi"))]
mod directory;
#[cfg(any(feature = "osc", feature = "rtpmidi"))]
mod driver;

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

use mdns_sd::{IfKind, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};
use mio::Interest;
use mio::unix::pipe;

#[cfg(any(feature = "osc", feature = "rtpmidi"))]
pub(crate) use self::directory::{Directory, FOUND};
#[cfg(any(feature = "osc", feature = "rtpmidi"))]
pub(crate) use self::driver::{MDNS_INTERFACE, MDNS_NAME, MdnsDriver, Settings};
use crate::net::Registrar;

/// The most events that wait for the router; further ones are dropped until it has read them.
const MAX_EVENTS: usize = 256;

/// The most services that are remembered.
const MAX_SERVICES: usize = 256;

/// How long the end waits until the services are withdrawn.
pub(crate) const GOODBYE_TIMEOUT: Duration = Duration::from_millis(100);

/// A service that was found. The names come from the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// The name that a person reads.
    pub(crate) name: String,
    /// The full name, which identifies it.
    pub(crate) full_name: String,
    /// IPv4 addresses first.
    pub(crate) addresses: Vec<SocketAddr>,
}

/// What has become known about a service.
enum Event {
    Found(Service),
    /// The service with this full name is gone.
    Gone(String),
}

/// Announcements and searches of one program. The services are withdrawn when it is dropped.
pub(crate) struct Mdns {
    daemon: ServiceDaemon,
    announced: Vec<String>,
    search: Option<Search>,
}

/// A running search.
struct Search {
    source: pipe::Receiver,
    events: Receiver<Event>,
    services: Vec<Service>,
}

impl Mdns {
    /// Starts the thread.
    ///
    /// # Errors
    /// A message if there is no socket or thread for it.
    pub(crate) fn start(interface: Option<&str>) -> Result<Self, String> {
        let daemon = start_daemon(interface)?;
        Ok(Mdns { daemon, announced: Vec::new(), search: None })
    }

    /// Announces a service of a kind (`_osc._udp`) on this computer, which has the name `host`.
    ///
    /// # Errors
    /// A message if a name is not valid.
    pub(crate) fn announce(
        &mut self,
        kind: &str,
        name: &str,
        host: &str,
        port: u16,
    ) -> Result<(), String> {
        let explain = |error: mdns_sd::Error| format!("cannot announce `{name}`: {error}");
        let properties = HashMap::<String, String>::new();
        let (kind, host) = (format!("{kind}.local."), format!("{host}.local."));
        let service =
            ServiceInfo::new(&kind, name, &host, "", port, properties).map_err(explain)?;
        let service = service.enable_addr_auto();
        let full_name = service.get_fullname().to_owned();
        self.daemon.register(service).map_err(explain)?;
        self.announced.push(full_name);
        Ok(())
    }

    /// Withdraws the service with this name, if it was announced.
    pub(crate) fn withdraw(&mut self, kind: &str, name: &str) {
        let suffix = format!(".{kind}.local.");
        let is_it = |full_name: &String| {
            full_name.strip_suffix(&suffix).is_some_and(|escaped| unescape(escaped) == name)
        };
        if let Some(index) = self.announced.iter().position(is_it) {
            let full_name = self.announced.swap_remove(index);
            if let Err(error) = self.daemon.unregister(&full_name) {
                tracing::debug!("cannot withdraw `{name}`: {error}");
            }
        }
    }

    /// Searches for services of a kind, until the end. The router reports `key` when
    /// [`update`](Self::update) has something new.
    ///
    /// # Errors
    /// A message if there is no pipe or thread for it.
    pub(crate) fn search(
        &mut self,
        kind: &str,
        key: u32,
        registrar: &mut impl Registrar,
    ) -> Result<(), String> {
        if self.search.is_some() {
            return Ok(());
        }
        let explain = |error: String| format!("cannot search for services: {error}");
        let found = self
            .daemon
            .browse(&format!("{kind}.local."))
            .map_err(|error| explain(error.to_string()))?;
        let start = || -> io::Result<Search> {
            let (waker, mut source) = pipe::new()?;
            registrar.register(&mut source, key, Interest::READABLE)?;
            let (sender, events) = mpsc::sync_channel(MAX_EVENTS);
            let forward = move || forward(&found, &sender, waker);
            std::thread::Builder::new().name("mdns".into()).spawn(forward)?;
            Ok(Search { source, events, services: Vec::new() })
        };
        self.search = Some(start().map_err(|error| explain(error.to_string()))?);
        Ok(())
    }

    /// Takes note of what has been found, and of what is gone.
    pub(crate) fn update(&mut self) {
        let Some(search) = &mut self.search else { return };
        let mut bytes = [0; 64];
        // The pipe only wakes the router: how many bytes it holds does not matter.
        while io::Read::read(&mut search.source, &mut bytes).is_ok_and(|count| count > 0) {}
        let announced = &self.announced;
        for event in search.events.try_iter() {
            let (Event::Found(Service { full_name, .. }) | Event::Gone(full_name)) = &event;
            search.services.retain(|service| service.full_name != *full_name);
            if let Event::Found(service) = event
                && search.services.len() < MAX_SERVICES
                && !announced.contains(&service.full_name)
            {
                search.services.push(service);
            }
        }
    }

    /// The services that are there, without those that were announced here.
    pub(crate) fn services(&self) -> &[Service] {
        self.search.as_ref().map_or(&[], |search| &search.services)
    }
}

impl Drop for Mdns {
    fn drop(&mut self) {
        // The thread says goodbye for all services before it ends.
        if let Ok(ended) = self.daemon.shutdown() {
            let _ = ended.recv_timeout(GOODBYE_TIMEOUT);
        }
    }
}

/// Starts the thread, on one interface or on all but the loopback interface.
///
/// # Errors
/// A message if there is no socket or thread for it.
pub(crate) fn start_daemon(interface: Option<&str>) -> Result<ServiceDaemon, String> {
    let explain = |error: mdns_sd::Error| format!("cannot use mDNS: {error}");
    let daemon = ServiceDaemon::new().map_err(explain)?;
    if let Some(interface) = interface {
        daemon.disable_interface(IfKind::All).map_err(explain)?;
        daemon.enable_interface(IfKind::Name(interface.to_owned())).map_err(explain)?;
    } else {
        // Nobody else is there.
        daemon.disable_interface(IfKind::LoopbackV4).map_err(explain)?;
        daemon.disable_interface(IfKind::LoopbackV6).map_err(explain)?;
    }
    Ok(daemon)
}

/// Passes events on until one of both ends is gone.
fn forward(
    found: &mdns_sd::Receiver<ServiceEvent>,
    events: &SyncSender<Event>,
    mut waker: pipe::Sender,
) {
    while let Ok(event) = found.recv() {
        let event = match event {
            ServiceEvent::ServiceResolved(service) => Event::Found(read(&service)),
            ServiceEvent::ServiceRemoved(_, full_name) => Event::Gone(full_name),
            _ => continue,
        };
        if let Err(mpsc::TrySendError::Disconnected(_)) = events.try_send(event) {
            return;
        }
        match waker.write(&[0]) {
            Ok(_) => {}
            // The router has not read the last bytes yet.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// The name and the addresses of a service.
pub(crate) fn read(service: &ResolvedService) -> Service {
    let escaped = service.fullname.strip_suffix(&format!(".{}", service.ty_domain));
    let mut addresses: Vec<SocketAddr> = service
        .addresses
        .iter()
        .map(|address| match address {
            ScopedIp::V6(v6) => {
                // An address of one link needs the interface.
                let scope = if v6.addr().is_unicast_link_local() { v6.scope_id().index } else { 0 };
                SocketAddrV6::new(*v6.addr(), service.port, 0, scope).into()
            }
            other => SocketAddr::new(other.to_ip_addr(), service.port),
        })
        .collect();
    addresses.sort_by_key(|address| match address.ip() {
        IpAddr::V4(ip) => (0, u128::from(ip.to_bits())),
        IpAddr::V6(ip) => (1, ip.to_bits()),
    });
    Service {
        name: unescape(escaped.unwrap_or(&service.fullname)),
        full_name: service.fullname.clone(),
        addresses,
    }
}

/// The name of a service without the marks before dots and backslashes.
fn unescape(name: &str) -> String {
    let mut letters = name.chars();
    let mut text = String::with_capacity(name.len());
    while let Some(letter) = letters.next() {
        text.push(if letter == '\\' { letters.next().unwrap_or(letter) } else { letter });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_marks() {
        assert_eq!(unescape(r"Front of house"), "Front of house");
        assert_eq!(unescape(r"a\.b\\c\"), r"a.b\c\");
    }
}
