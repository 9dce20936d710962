//! Watching clients, ports and connections appear and disappear.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::builder::ClientBuilder;
use super::error::{ErrorKind, Result};
use super::info::{PortCaps, PortInfo, PortType};
use super::methods::{ClientBase, ListPorts};
use super::port::{Port, PortOptions};
use super::{AsyncSequencerClient, SequencerClient};
use crate::engine::Engine;
use crate::event::{Address, Connection, Event, Payload};

/// The size of a watch's input pool: how many announcements can wait before some are lost.
const INPUT_POOL_CELLS: u32 = 2000;

/// A change of the sequencer's clients, ports or connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Announcement {
    /// A client has started. It has no name yet; Linux 7.0 and later announce the name as a
    /// change. On earlier kernels, look it up when the client's first port starts.
    ClientStarted(u8),
    /// A client has exited.
    ClientExited(u8),
    /// A client's information has changed (Linux 7.0 and later).
    ClientChanged(u8),
    /// A port has been created.
    PortStarted(Address),
    /// A port has been deleted.
    PortExited(Address),
    /// A port's information has changed (Linux 7.0 and later).
    PortChanged(Address),
    /// Two ports were connected.
    Connected(Connection),
    /// Two ports were disconnected.
    Disconnected(Connection),
    /// Announcements were lost; list the ports again.
    Lost,
}

impl fmt::Display for Announcement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientStarted(client) => write!(formatter, "client {client} started"),
            Self::ClientExited(client) => write!(formatter, "client {client} exited"),
            Self::ClientChanged(client) => write!(formatter, "client {client} changed"),
            Self::PortStarted(address) => write!(formatter, "port {address} started"),
            Self::PortExited(address) => write!(formatter, "port {address} exited"),
            Self::PortChanged(address) => write!(formatter, "port {address} changed"),
            Self::Connected(connection) => {
                write!(formatter, "{} connected to {}", connection.sender, connection.dest)
            }
            Self::Disconnected(connection) => {
                write!(formatter, "{} disconnected from {}", connection.sender, connection.dest)
            }
            Self::Lost => formatter.write_str("announcements were lost; list the ports again"),
        }
    }
}

impl Announcement {
    /// The announcement in an event from the system's announcement port; `None` for other events.
    #[must_use]
    pub fn from_event(event: &Event) -> Option<Self> {
        Some(match event.payload() {
            Payload::ClientStart(address) => Self::ClientStarted(address.client),
            Payload::ClientExit(address) => Self::ClientExited(address.client),
            Payload::ClientChange(address) => Self::ClientChanged(address.client),
            Payload::PortStart(address) => Self::PortStarted(address),
            Payload::PortExit(address) => Self::PortExited(address),
            Payload::PortChange(address) => Self::PortChanged(address),
            Payload::PortSubscribed(connection) => Self::Connected(connection),
            Payload::PortUnsubscribed(connection) => Self::Disconnected(connection),
            _ => return None,
        })
    }

    /// Whether the announcement concerns this client, its ports or their connections.
    fn is_about(&self, client: u8) -> bool {
        match self {
            Self::ClientStarted(other) | Self::ClientExited(other) | Self::ClientChanged(other) => {
                *other == client
            }
            Self::PortStarted(address) | Self::PortExited(address) | Self::PortChanged(address) => {
                address.client == client
            }
            Self::Connected(connection) | Self::Disconnected(connection) => {
                connection.sender.client == client || connection.dest.client == client
            }
            Self::Lost => false,
        }
    }
}

fn builder(engine: Engine) -> ClientBuilder {
    ClientBuilder::new("consort watch").engine(engine)
}

fn subscribe(client: &ClientBase) -> Result<Port> {
    client.set_client_pool_input(INPUT_POOL_CELLS)?;
    let options = PortOptions::new("announcements")
        .caps(PortCaps::WRITE | PortCaps::NO_EXPORT)
        .port_type(PortType::APPLICATION);
    let port = client.create_port(options)?;
    port.connect_from(Address::SYSTEM_ANNOUNCE)?;
    Ok(port)
}

fn list(client: &ClientBase) -> Result<Vec<PortInfo>> {
    let mut ports = client.list_ports(&ListPorts::everything())?;
    ports.retain(|port| port.client_id != client.client_id());
    Ok(ports)
}

/// The announcement in the result of reading one event; `None` to skip it.
fn announcement(client: &ClientBase, event: Result<Option<Event>>) -> Result<Option<Announcement>> {
    match event {
        Ok(event) => Ok(event
            .as_ref()
            .and_then(Announcement::from_event)
            .filter(|announcement| !announcement.is_about(client.client_id()))),
        Err(error) if error.kind() == ErrorKind::Overrun => Ok(Some(Announcement::Lost)),
        Err(error) => Err(error),
    }
}

impl SequencerClient {
    /// Watches clients and ports, through a client of its own on the same engine.
    ///
    /// # Errors
    /// If that client cannot be opened.
    pub fn watch(&self) -> Result<Watch> {
        Watch::open(self.engine().clone())
    }
}

impl AsyncSequencerClient {
    /// Watches clients and ports, through a client of its own on the same engine.
    ///
    /// # Errors
    /// If that client cannot be opened.
    pub fn watch(&self) -> Result<AsyncWatch> {
        AsyncWatch::open(self.engine().clone())
    }
}

/// Watches clients, ports and connections, blocking the thread. It is an iterator over
/// [`Announcement`]s in order, except those about the watch itself, and ends only by an error.
///
/// To miss no change, open the watch first, then call [`list_ports`](Self::list_ports), and then
/// read the announcements.
///
/// ```no_run
/// use consort_seq::{Announcement, SequencerClient};
///
/// let mut watch = SequencerClient::new("watcher")?.watch()?;
/// for port in watch.list_ports()? {
///     println!("{port}");
/// }
/// for announcement in watch {
///     println!("{}", announcement?);
/// }
/// # Ok::<(), consort_seq::Error>(())
/// ```
#[derive(Debug)]
pub struct Watch {
    _port: Port,
    client: SequencerClient,
}

impl Watch {
    /// Opens a watch on an engine.
    ///
    /// # Errors
    /// If its client cannot be opened.
    pub fn open(engine: Engine) -> Result<Self> {
        let client = builder(engine).open()?;
        Ok(Self { _port: subscribe(&client)?, client })
    }

    /// All ports that exist now, except those of the watch.
    ///
    /// # Errors
    /// If the list cannot be made.
    pub fn list_ports(&self) -> Result<Vec<PortInfo>> {
        list(&self.client)
    }

    /// The watch's client, for requests about what it announces.
    #[must_use]
    pub fn client(&self) -> &ClientBase {
        &self.client
    }

    /// Waits for the next announcement; `None` after `timeout`.
    ///
    /// # Errors
    /// If reading fails.
    pub fn next_timeout(&mut self, timeout: Option<Duration>) -> Result<Option<Announcement>> {
        let deadline = super::core::deadline(timeout);
        loop {
            let remaining =
                deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let event = self.client.event_input(remaining);
            let is_over = matches!(event, Ok(None));
            if let Some(announcement) = announcement(&self.client, event)? {
                return Ok(Some(announcement));
            }
            if is_over {
                return Ok(None);
            }
        }
    }
}

impl Iterator for Watch {
    type Item = Result<Announcement>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_timeout(None).transpose()
    }
}

/// The future of the event that a stream waits for.
type NextEvent = Pin<Box<dyn Future<Output = Result<Option<Event>>> + Send>>;

/// Watches clients, ports and connections. It is a stream of [`Announcement`]s, and otherwise like
/// [`Watch`].
pub struct AsyncWatch {
    pending: Option<NextEvent>,
    _port: Port,
    client: Arc<AsyncSequencerClient>,
}

impl AsyncWatch {
    /// Opens a watch on an engine.
    ///
    /// # Errors
    /// If its client cannot be opened.
    pub fn open(engine: Engine) -> Result<Self> {
        let client = Arc::new(builder(engine).open_async()?);
        Ok(Self { pending: None, _port: subscribe(&client)?, client })
    }

    /// All ports that exist now, except those of the watch.
    ///
    /// # Errors
    /// If the list cannot be made.
    pub fn list_ports(&self) -> Result<Vec<PortInfo>> {
        list(&self.client)
    }

    /// The watch's client, for requests about what it announces.
    #[must_use]
    pub fn client(&self) -> &ClientBase {
        &self.client
    }

    /// Waits for the next announcement.
    ///
    /// # Errors
    /// If reading fails.
    pub async fn next(&mut self) -> Result<Announcement> {
        loop {
            let event = self.client.event_input(None).await;
            if let Some(announcement) = announcement(&self.client, event)? {
                return Ok(announcement);
            }
        }
    }
}

impl fmt::Debug for AsyncWatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AsyncWatch").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Stream for AsyncWatch {
    type Item = Result<Announcement>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let client = Arc::clone(&self.client);
            let pending = self.pending.get_or_insert_with(|| {
                let client = Arc::clone(&client);
                Box::pin(async move { client.event_input(None).await })
            });
            let Poll::Ready(event) = pending.as_mut().poll(context) else { return Poll::Pending };
            self.pending = None;
            match announcement(&client, event) {
                Ok(Some(announcement)) => return Poll::Ready(Some(Ok(announcement))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}
