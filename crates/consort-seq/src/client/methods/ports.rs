//! Creating ports, and information about any port.

use std::sync::Arc;

use super::ClientBase;
use crate::client::error::{OperationName, Result, Subject};
use crate::client::info::PortInfo;
use crate::client::port::{Port, PortOptions};
use crate::engine::Request;
use crate::event::Address;

impl ClientBase {
    /// Creates a port (`SNDRV_SEQ_IOCTL_CREATE_PORT`), from a name with the defaults of
    /// [`PortOptions::new`], or from full options.
    ///
    /// # Errors
    /// `ENOMEM` if the client has 254 ports; `EBUSY` on Linux 7.0 and later if a specified number
    /// is in use.
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
        self.core.ioctl(Request::CreatePort(&mut raw), subject).during("create_port")?;
        Ok(Port::new(Arc::clone(&self.core), raw.address.port))
    }

    /// A handle that takes ownership of an existing port of this client: the port is deleted when
    /// the handle is dropped.
    ///
    /// # Errors
    /// `ENOENT` if there is no such port.
    pub fn adopt_port(&self, port: u8) -> Result<Port> {
        self.get_port_info(self.address(port))?;
        Ok(Port::new(Arc::clone(&self.core), port))
    }

    /// Information about any port (`SNDRV_SEQ_IOCTL_GET_PORT_INFO`).
    ///
    /// # Errors
    /// `ENXIO` if there is no such client, `ENOENT` if there is no such port.
    pub fn get_port_info(&self, port: impl Into<Address>) -> Result<PortInfo> {
        self.core.port_info(port.into()).during("get_port_info")
    }

    /// Changes name, capabilities, type and time stamping of a port of this client
    /// (`SNDRV_SEQ_IOCTL_SET_PORT_INFO`); the address in `info` is ignored. The sequencer silently
    /// ignores a request for a port that does not exist.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn set_port_info(&self, port: impl Into<u8>, info: &PortInfo) -> Result<()> {
        self.core.set_port_info(self.address(port), info).during("set_port_info")
    }
}
