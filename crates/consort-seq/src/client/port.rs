//! Ports of this client: their options and handles.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::core::ClientCore;
use super::error::{Failure, OperationName, Outcome, Result};
use super::info::{
    PortCaps, PortInfo, PortType, RW_PORT, SubscribeOptions, SubscriptionQuery,
    SubscriptionQueryType,
};
use super::routing::Routing;
use crate::event::Address;

/// How to create a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortOptions {
    pub(super) info: PortInfo,
}

impl PortOptions {
    /// A port called `name` (at most 63 bytes) that other clients may read from and write to, of
    /// type generic MIDI and software, with 16 channels and 64 voices.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            info: PortInfo {
                name: name.into(),
                capability: RW_PORT,
                port_type: PortType::MIDI_GENERIC | PortType::SOFTWARE,
                midi_channels: 16,
                midi_voices: 64,
                ..PortInfo::default()
            },
        }
    }

    /// Sets the capabilities: [`READ_PORT`](crate::client::READ_PORT) for a port that sends,
    /// [`WRITE_PORT`](crate::client::WRITE_PORT) for a port that receives.
    #[must_use]
    pub fn caps(mut self, caps: PortCaps) -> Self {
        self.info.capability = caps;
        self
    }

    /// Sets the type.
    #[must_use]
    pub fn port_type(mut self, port_type: PortType) -> Self {
        self.info.port_type = port_type;
        self
    }

    /// Requests this port number, 0 to 253. (Linux 7.2 rejects 253. Kernels before 7.0 choose
    /// another number if it is in use.)
    #[must_use]
    pub fn port_id(mut self, port: u8) -> Self {
        self.info.port_id = port;
        self.info.port_specified = true;
        self
    }

    /// Sets the number of MIDI channels.
    #[must_use]
    pub fn midi_channels(mut self, channels: u32) -> Self {
        self.info.midi_channels = channels;
        self
    }

    /// Sets the number of MIDI voices.
    #[must_use]
    pub fn midi_voices(mut self, voices: u32) -> Self {
        self.info.midi_voices = voices;
        self
    }

    /// Sets the number of synthesizer voices.
    #[must_use]
    pub fn synth_voices(mut self, voices: u32) -> Self {
        self.info.synth_voices = voices;
        self
    }

    /// Stamps arriving events with the ticks of `queue`. The stamps are 0 until the queue runs:
    /// drain the output after starting it, or use [`Queue::start_now`](crate::Queue::start_now).
    #[must_use]
    pub fn stamp_ticks(self, queue: impl Into<u8>) -> Self {
        self.timestamping(true, false, queue.into())
    }

    /// Stamps arriving events with the real time of `queue`; see
    /// [`stamp_ticks`](Self::stamp_ticks).
    #[must_use]
    pub fn stamp_real_time(self, queue: impl Into<u8>) -> Self {
        self.timestamping(true, true, queue.into())
    }

    /// Sets all options of time stamping: whether events are stamped, with real time or else with
    /// ticks, and of which queue.
    #[must_use]
    pub fn timestamping(mut self, on: bool, real: bool, queue: u8) -> Self {
        self.info.timestamping = on;
        self.info.timestamp_real = real;
        self.info.timestamp_queue_id = queue;
        self
    }
}

impl From<PortInfo> for PortOptions {
    /// Options for a port like the one described, including its number if `port_specified` is set.
    fn from(info: PortInfo) -> Self {
        Self { info }
    }
}

impl From<&str> for PortOptions {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for PortOptions {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

/// A port, which all its handles share.
struct PortInner {
    core: Arc<ClientCore>,
    port: u8,
    closed: AtomicBool,
}

impl PortInner {
    fn delete(&self) -> Outcome<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.core.delete_port(Address::new(self.core.client_id, self.port))
    }
}

impl Drop for PortInner {
    fn drop(&mut self) {
        // This fails if the client is closed, but then its ports are gone, too.
        let _ = self.delete();
    }
}

/// A port of this client. Cloning gives another handle of the same port; the port is deleted when
/// the last handle is dropped, or by [`close`](Self::close).
#[derive(Clone)]
pub struct Port {
    inner: Arc<PortInner>,
}

impl Port {
    /// A handle of the port with this number, which now owns it.
    pub(crate) fn new(core: Arc<ClientCore>, port: u8) -> Self {
        Self { inner: Arc::new(PortInner { core, port, closed: AtomicBool::new(false) }) }
    }

    /// The port's number.
    #[must_use]
    #[inline]
    pub fn port_id(&self) -> u8 {
        self.inner.port
    }

    /// The number of the port's client.
    #[must_use]
    pub fn client_id(&self) -> u8 {
        self.inner.core.client_id
    }

    /// The port's address.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::new(self.client_id(), self.port_id())
    }

    /// The client, unless it or this port is closed.
    fn open(&self) -> Outcome<&ClientCore> {
        if self.inner.closed.load(Ordering::Acquire) || self.inner.core.is_closed() {
            return Err(Failure::closed());
        }
        Ok(&self.inner.core)
    }

    /// Deletes the port now, even if other handles exist (`SNDRV_SEQ_IOCTL_DELETE_PORT`). Closing
    /// twice does nothing.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn close(&self) -> Result<()> {
        self.inner.delete().during("delete_port")
    }

    /// Information about the port.
    ///
    /// # Errors
    /// If the port is closed.
    pub fn get_info(&self) -> Result<PortInfo> {
        self.open().and_then(|core| core.port_info(self.address())).during("get_port_info")
    }

    /// Changes name, capabilities, type and time stamping.
    ///
    /// # Errors
    /// If the port is closed.
    pub fn set_info(&self, info: &PortInfo) -> Result<()> {
        self.open()
            .and_then(|core| core.set_port_info(self.address(), info))
            .during("set_port_info")
    }

    /// Connects this port to `dest`, which then receives what this port sends to its subscribers.
    ///
    /// # Errors
    /// As [`ClientBase::subscribe_port`](crate::ClientBase::subscribe_port).
    pub fn connect_to(&self, dest: impl Into<Address>) -> Result<()> {
        self.connect_to_with(dest, SubscribeOptions::new())
    }

    /// [`connect_to`](Self::connect_to) with options.
    ///
    /// # Errors
    /// As [`ClientBase::subscribe_port`](crate::ClientBase::subscribe_port).
    pub fn connect_to_with(
        &self,
        dest: impl Into<Address>,
        options: SubscribeOptions,
    ) -> Result<()> {
        self.open()
            .and_then(|core| core.subscribe(self.address(), dest.into(), options))
            .during("connect_to")
    }

    /// Connects `source` to this port, which then receives what `source` sends to its subscribers.
    ///
    /// # Errors
    /// As [`ClientBase::subscribe_port`](crate::ClientBase::subscribe_port).
    pub fn connect_from(&self, source: impl Into<Address>) -> Result<()> {
        self.connect_from_with(source, SubscribeOptions::new())
    }

    /// [`connect_from`](Self::connect_from) with options.
    ///
    /// # Errors
    /// As [`ClientBase::subscribe_port`](crate::ClientBase::subscribe_port).
    pub fn connect_from_with(
        &self,
        source: impl Into<Address>,
        options: SubscribeOptions,
    ) -> Result<()> {
        self.open()
            .and_then(|core| core.subscribe(source.into(), self.address(), options))
            .during("connect_from")
    }

    /// Undoes [`connect_to`](Self::connect_to).
    ///
    /// # Errors
    /// `ENOENT` if the ports are not connected.
    pub fn disconnect_to(&self, dest: impl Into<Address>) -> Result<()> {
        self.open()
            .and_then(|core| core.unsubscribe(self.address(), dest.into()))
            .during("disconnect_to")
    }

    /// Undoes [`connect_from`](Self::connect_from).
    ///
    /// # Errors
    /// `ENOENT` if the ports are not connected.
    pub fn disconnect_from(&self, source: impl Into<Address>) -> Result<()> {
        self.open()
            .and_then(|core| core.unsubscribe(source.into(), self.address()))
            .during("disconnect_from")
    }

    /// The connections of this port: those that read from it, those that write to it, or (with
    /// `None`) both, in that order.
    ///
    /// # Errors
    /// If the port is closed.
    pub fn list_subscribers(
        &self,
        query_type: Option<SubscriptionQueryType>,
    ) -> Result<Vec<SubscriptionQuery>> {
        self.open()
            .and_then(|core| core.subscriptions(self.address(), query_type))
            .during("list_subscribers")
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Port({})", self.address())
    }
}

impl From<&Port> for Address {
    fn from(port: &Port) -> Self {
        port.address()
    }
}

impl From<&Port> for u8 {
    fn from(port: &Port) -> Self {
        port.port_id()
    }
}

impl From<&Port> for Routing {
    #[inline]
    fn from(port: &Port) -> Self {
        Routing::new().port(port)
    }
}
