//! Information about clients.

use super::ClientBase;
use crate::client::error::{ErrorKind, OperationName, Result, Subject};
use crate::client::info::ClientInfo;
use crate::engine::Request;
use crate::event::EventType;
use crate::raw;

impl ClientBase {
    /// Information about this client (`SNDRV_SEQ_IOCTL_GET_CLIENT_INFO`).
    ///
    /// # Errors
    /// If the client is closed.
    pub fn get_client_info(&self) -> Result<ClientInfo> {
        self.get_any_client_info(self.core.client_id)
    }

    /// Information about any client (`SNDRV_SEQ_IOCTL_GET_CLIENT_INFO`).
    ///
    /// # Errors
    /// `ENOENT` if there is no such client.
    pub fn get_any_client_info(&self, client: u8) -> Result<ClientInfo> {
        self.core.client_info(client).during("get_client_info")
    }

    /// Changes the name, the filters and the count of lost events of this client
    /// (`SNDRV_SEQ_IOCTL_SET_CLIENT_INFO`).
    ///
    /// # Errors
    /// `EPERM` if `info` is about another client.
    pub fn set_client_info(&self, info: &ClientInfo) -> Result<()> {
        let mut raw = info.to_raw();
        let subject = || Subject::Client(i32::from(info.client_id));
        self.core.ioctl(Request::SetClientInfo(&mut raw), subject).during("set_client_info")?;
        Ok(())
    }

    /// Renames this client; at most 63 bytes of the name are kept.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn set_client_name(&self, name: &str) -> Result<()> {
        let mut info = self.get_client_info()?;
        name.clone_into(&mut info.name);
        self.set_client_info(&info)
    }

    /// Accepts events of this type. Once this has been called, the client receives only the types
    /// for which it was called.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn set_client_event_filter(&self, event_type: EventType) -> Result<()> {
        let mut info = self.get_client_info()?;
        info.event_filter.get_or_insert_default().insert(event_type);
        self.set_client_info(&info)
    }

    /// The client after `previous` in numeric order, or the first
    /// (`SNDRV_SEQ_IOCTL_QUERY_NEXT_CLIENT`); `None` after the last.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn query_next_client(&self, previous: Option<u8>) -> Result<Option<ClientInfo>> {
        let client = previous.map_or(-1, i32::from);
        let mut raw = raw::ClientInfo { client, ..raw::ClientInfo::default() };
        let request = Request::QueryNextClient(&mut raw);
        match self.core.ioctl(request, || Subject::Client(client)) {
            Ok(_) => Ok(Some(ClientInfo::from_raw(&raw))),
            Err(failure) if failure.kind() == ErrorKind::NotFound => Ok(None),
            Err(failure) => Err(failure.during("query_next_client")),
        }
    }

    /// All clients, sorted by number.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn list_clients(&self) -> Result<Vec<ClientInfo>> {
        let mut clients = Vec::new();
        let mut previous = None;
        while let Some(info) = self.query_next_client(previous)? {
            previous = Some(info.client_id);
            clients.push(info);
        }
        Ok(clients)
    }
}
