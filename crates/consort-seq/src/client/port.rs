//! Ports of the own client.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::base::ClientBase;
use super::core::Core;
use super::error::{Error, Result, Subject};
use super::info::{
    PortCaps, PortInfo, PortType, RW_PORT, SubscribeOptions, SubscriptionQuery,
    SubscriptionQueryType,
};
use super::routing::Routing;
use super::subscriptions;
use crate::engine::Request;
use crate::event::Address;
use crate::raw;

/// How to create a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortOptions {
    info: PortInfo,
}

impl PortOptions {
    /// A port called `name` (at most 63 bytes) that others may read from and write to, of type
    /// generic MIDI and software, with 16 channels and 64 voices.
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

    /// With these capabilities: [`READ_PORT`](crate::client::READ_PORT) for one that sends,
    /// [`WRITE_PORT`](crate::client::WRITE_PORT) for one that receives.
    #[must_use]
    pub fn caps(mut self, caps: PortCaps) -> Self {
        self.info.capability = caps;
        self
    }

    /// Of this type.
    #[must_use]
    pub fn port_type(mut self, port_type: PortType) -> Self {
        self.info.port_type = port_type;
        self
    }

    /// With exactly this number, 0 to 253. (Linux 7.2 refuses 253; kernels before 7.0 take a
    /// number that is in use, and choose another.)
    #[must_use]
    pub fn port_id(mut self, port: u8) -> Self {
        self.info.port_id = port;
        self.info.port_specified = true;
        self
    }

    /// With this number of MIDI channels.
    #[must_use]
    pub fn midi_channels(mut self, channels: u32) -> Self {
        self.info.midi_channels = channels;
        self
    }

    /// With this number of MIDI voices.
    #[must_use]
    pub fn midi_voices(mut self, voices: u32) -> Self {
        self.info.midi_voices = voices;
        self
    }

    /// With this number of synthesizer voices.
    #[must_use]
    pub fn synth_voices(mut self, voices: u32) -> Self {
        self.info.synth_voices = voices;
        self
    }

    /// Arriving events are stamped with the ticks of `queue`. The stamps are 0 until the queue
    /// runs: its start must have been drained, or use [`Queue::start_now`](crate::Queue::start_now).
    #[must_use]
    pub fn stamp_ticks(self, queue: impl Into<u8>) -> Self {
        self.timestamping(true, false, queue.into())
    }

    /// Arriving events are stamped with the real time of `queue`; see
    /// [`stamp_ticks`](Self::stamp_ticks).
    #[must_use]
    pub fn stamp_real_time(self, queue: impl Into<u8>) -> Self {
        self.timestamping(true, true, queue.into())
    }

    /// Time stamping in all its parts.
    #[must_use]
    pub fn timestamping(mut self, on: bool, real: bool, queue: u8) -> Self {
        self.info.timestamping = on;
        self.info.timestamp_real = real;
        self.info.timestamp_queue_id = queue;
        self
    }
}

impl From<PortInfo> for PortOptions {
    /// A port like the one that is described, number and all if it is specified there.
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

pub(crate) struct PortInner {
    core: Arc<Core>,
    port: u8,
    closed: AtomicBool,
}

impl PortInner {
    fn delete(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let address = Address::new(self.core.client_id, self.port);
        let mut raw = raw::PortInfo { address: address.into(), ..raw::PortInfo::default() };
        let request = Request::DeletePort(&mut raw);
        self.core.ioctl("delete_port", request, || Subject::Port(address))?;
        Ok(())
    }
}

impl Drop for PortInner {
    fn drop(&mut self) {
        // The client may be closed, and its ports gone with it.
        let _ = self.delete();
    }
}

/// A port of the own client. Cloning gives another handle of the same port; it is deleted when
/// the last handle is dropped, or by [`close`](Self::close).
#[derive(Clone)]
pub struct Port {
    inner: Arc<PortInner>,
}

impl ClientBase {
    /// Creates a port (`SNDRV_SEQ_IOCTL_CREATE_PORT`): of a name alone, with the defaults of
    /// [`PortOptions::new`], or of full options.
    ///
    /// # Errors
    /// `ENOMEM` with 254 ports; `EBUSY` on Linux 7.0 and later if a specified number is in use.
    pub fn create_port(&self, options: impl Into<PortOptions>) -> Result<Port> {
        let info = options.into().info;
        let mut raw = info.to_raw();
        raw.address.client = self.client_id();
        let subject = || {
            if info.port_specified {
                Subject::Port(self.address(info.port_id))
            } else {
                Subject::Name(info.name.clone())
            }
        };
        self.core.ioctl("create_port", Request::CreatePort(&mut raw), subject)?;
        let core = Arc::clone(&self.core);
        let inner = PortInner { core, port: raw.address.port, closed: AtomicBool::new(false) };
        Ok(Port { inner: Arc::new(inner) })
    }

    /// A handle of a port of this client that exists already, and from now on owns it: the port
    /// is deleted when the handle is dropped.
    ///
    /// # Errors
    /// `ENOENT` if there is no such port.
    pub fn adopt_port(&self, port: u8) -> Result<Port> {
        self.get_port_info(self.address(port))?;
        let core = Arc::clone(&self.core);
        Ok(Port { inner: Arc::new(PortInner { core, port, closed: AtomicBool::new(false) }) })
    }

    /// Information about any port (`SNDRV_SEQ_IOCTL_GET_PORT_INFO`).
    ///
    /// # Errors
    /// `ENXIO` if there is no such client, `ENOENT` if there is no such port.
    pub fn get_port_info(&self, port: impl Into<Address>) -> Result<PortInfo> {
        let address = port.into();
        let mut raw = raw::PortInfo { address: address.into(), ..raw::PortInfo::default() };
        let request = Request::GetPortInfo(&mut raw);
        self.core.ioctl("get_port_info", request, || Subject::Port(address))?;
        Ok(PortInfo::from_raw(&raw))
    }

    /// Changes name, capabilities, type and time stamping of a port of this client
    /// (`SNDRV_SEQ_IOCTL_SET_PORT_INFO`); the address in `info` does not count. A port that is
    /// not there is passed over silently.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn set_port_info(&self, port: impl Into<u8>, info: &PortInfo) -> Result<()> {
        let address = self.address(port);
        let mut raw = info.to_raw();
        raw.address = address.into();
        let request = Request::SetPortInfo(&mut raw);
        self.core.ioctl("set_port_info", request, || Subject::Port(address))?;
        Ok(())
    }
}

impl Port {
    /// The port's number.
    #[must_use]
    #[inline]
    pub fn port_id(&self) -> u8 {
        self.inner.port
    }

    /// Its client's number.
    #[must_use]
    pub fn client_id(&self) -> u8 {
        self.inner.core.client_id
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::new(self.client_id(), self.port_id())
    }

    fn open(&self, operation: &'static str) -> Result<&Core> {
        if self.inner.closed.load(Ordering::Acquire) || self.inner.core.is_closed() {
            return Err(Error::closed(operation));
        }
        Ok(&self.inner.core)
    }

    /// Deletes the port now, whatever other handles there are
    /// (`SNDRV_SEQ_IOCTL_DELETE_PORT`). Closing twice does nothing.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn close(&self) -> Result<()> {
        self.inner.delete()
    }

    /// Information about the port.
    ///
    /// # Errors
    /// If the port is closed.
    pub fn get_info(&self) -> Result<PortInfo> {
        let core = self.open("get_port_info")?;
        let address = self.address();
        let mut raw = raw::PortInfo { address: address.into(), ..raw::PortInfo::default() };
        core.ioctl("get_port_info", Request::GetPortInfo(&mut raw), || Subject::Port(address))?;
        Ok(PortInfo::from_raw(&raw))
    }

    /// Changes name, capabilities, type and time stamping.
    ///
    /// # Errors
    /// If the port is closed.
    pub fn set_info(&self, info: &PortInfo) -> Result<()> {
        let core = self.open("set_port_info")?;
        let address = self.address();
        let mut raw = info.to_raw();
        raw.address = address.into();
        core.ioctl("set_port_info", Request::SetPortInfo(&mut raw), || Subject::Port(address))?;
        Ok(())
    }

    /// Connects this port to another: what is sent to this one's subscribers arrives there.
    ///
    /// # Errors
    /// As [`ClientBase::subscribe_port`].
    pub fn connect_to(&self, dest: impl Into<Address>) -> Result<()> {
        self.connect_to_with(dest, SubscribeOptions::new())
    }

    /// [`connect_to`](Self::connect_to) with options.
    ///
    /// # Errors
    /// As [`ClientBase::subscribe_port`].
    pub fn connect_to_with(
        &self,
        dest: impl Into<Address>,
        options: SubscribeOptions,
    ) -> Result<()> {
        let core = self.open("connect_to")?;
        subscriptions::subscribe(core, "connect_to", self.address(), dest.into(), options)
    }

    /// Connects another port to this one: what that one sends to its subscribers arrives here.
    ///
    /// # Errors
    /// As [`ClientBase::subscribe_port`].
    pub fn connect_from(&self, source: impl Into<Address>) -> Result<()> {
        self.connect_from_with(source, SubscribeOptions::new())
    }

    /// [`connect_from`](Self::connect_from) with options.
    ///
    /// # Errors
    /// As [`ClientBase::subscribe_port`].
    pub fn connect_from_with(
        &self,
        source: impl Into<Address>,
        options: SubscribeOptions,
    ) -> Result<()> {
        let core = self.open("connect_from")?;
        subscriptions::subscribe(core, "connect_from", source.into(), self.address(), options)
    }

    /// Undoes [`connect_to`](Self::connect_to).
    ///
    /// # Errors
    /// `ENOENT` if the ports are not connected.
    pub fn disconnect_to(&self, dest: impl Into<Address>) -> Result<()> {
        let core = self.open("disconnect_to")?;
        subscriptions::unsubscribe(core, "disconnect_to", self.address(), dest.into())
    }

    /// Undoes [`connect_from`](Self::connect_from).
    ///
    /// # Errors
    /// `ENOENT` if the ports are not connected.
    pub fn disconnect_from(&self, source: impl Into<Address>) -> Result<()> {
        let core = self.open("disconnect_from")?;
        subscriptions::unsubscribe(core, "disconnect_from", source.into(), self.address())
    }

    /// Connections of this port: those that read from it, those that write to it, or (with
    /// `None`) both, in that order.
    ///
    /// # Errors
    /// If the port is closed.
    pub fn list_subscribers(
        &self,
        query_type: Option<SubscriptionQueryType>,
    ) -> Result<Vec<SubscriptionQuery>> {
        let core = self.open("list_subscribers")?;
        subscriptions::list(core, "list_subscribers", self.address(), query_type)
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
