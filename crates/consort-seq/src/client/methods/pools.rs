//! The memory that the sequencer reserves for a client's events.

use super::ClientBase;
use crate::client::error::{OperationName, Result};
use crate::client::info::ClientPool;
use crate::engine::Request;

impl ClientBase {
    /// This client's pools (`SNDRV_SEQ_IOCTL_GET_CLIENT_POOL`).
    ///
    /// # Errors
    /// If the client is closed.
    pub fn get_client_pool(&self) -> Result<ClientPool> {
        self.get_any_client_pool(self.core.client_id)
    }

    /// Any client's pools (`SNDRV_SEQ_IOCTL_GET_CLIENT_POOL`).
    ///
    /// # Errors
    /// `ENOENT` if there is no such client.
    pub fn get_any_client_pool(&self, client: u8) -> Result<ClientPool> {
        let raw = self.core.pool(client).during("get_client_pool")?;
        Ok(ClientPool::from_raw(&raw))
    }

    /// Changes this client's pools (`SNDRV_SEQ_IOCTL_SET_CLIENT_POOL`). Changing the size of a
    /// pool discards its events. The kernel ignores sizes that are out of range.
    ///
    /// # Errors
    /// `EBUSY` while the output pool is in use.
    pub fn set_client_pool(&self, pool: &ClientPool) -> Result<()> {
        let mut raw = pool.to_raw();
        raw.client = i32::from(self.core.client_id);
        let request = Request::SetClientPool(&mut raw);
        self.core.ioctl(request, || self.core.subject()).during("set_client_pool")?;
        self.core.input().fit_pool(pool.input_pool);
        Ok(())
    }

    /// Sets the size of the output pool in cells, 1 to 2000.
    ///
    /// # Errors
    /// `EBUSY` while the pool is in use.
    pub fn set_client_pool_output(&self, cells: u32) -> Result<()> {
        let pool = self.get_client_pool()?;
        self.set_client_pool(&ClientPool { output_pool: cells, ..pool })
    }

    /// Sets the size of the input pool in cells, 1 to 2000.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn set_client_pool_input(&self, cells: u32) -> Result<()> {
        let pool = self.get_client_pool()?;
        self.set_client_pool(&ClientPool { input_pool: cells, ..pool })
    }

    /// Sets the minimum number of free cells at which the client counts as writable.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn set_client_pool_output_room(&self, cells: u32) -> Result<()> {
        let pool = self.get_client_pool()?;
        self.set_client_pool(&ClientPool { output_room: cells, ..pool })
    }
}
