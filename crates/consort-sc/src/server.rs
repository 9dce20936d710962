//! The blocking server.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::block_on;

use crate::context::{Context, NodeReference};
use crate::entities::{Buffer, Bus, Synth};
#[allow(unused_imports)] // For the documentation.
use crate::error::{ErrorKind, Result};
use crate::lifecycle::Timeouts;
use crate::options::Options;
use crate::queries::*;
use crate::session::Session;
use crate::tree::QueryTreeGroup;
use crate::values::ControlKey;

/// A SuperCollider server, for threads.
///
/// Has every operation of a [`Context`]; those send and return. What waits for the server says
/// so. Cheap to clone, `Send` and `Sync`: threads may share it. When the last clone is dropped, a
/// server that was booted is ended, and one that was connected to is left.
///
/// Operations that block must not be called on a thread that runs futures; see
/// [`AsyncServer`](crate::AsyncServer).
#[derive(Clone, Debug)]
pub struct Server {
    pub(crate) session: Arc<Session>,
}

impl std::ops::Deref for Server {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.session.context
    }
}

impl Server {
    /// A server with these options; nothing is started or connected yet.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOptions`]; [`ErrorKind::Io`] if no thread can be started.
    pub fn new(options: Options) -> Result<Self> {
        Self::with_timeouts(options, None, Timeouts::default())
    }

    /// As [`Server::new`], with a name for logs, and with deadlines.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn with_timeouts(
        options: Options,
        name: Option<String>,
        timeouts: Timeouts,
    ) -> Result<Self> {
        Ok(Self { session: Arc::new(Session::new(options, name, timeouts)?) })
    }

    /// Starts the server with the options in force and connects to it. Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOnline`], [`ErrorKind::ServerCannotBoot`] with what the process printed,
    /// [`ErrorKind::InvalidOptions`], [`ErrorKind::CannotConnect`].
    pub fn boot(&self) -> Result<()> {
        block_on(self.session.boot(None))
    }

    /// As `boot`, with other options, which stay in force. Blocks.
    ///
    /// # Errors
    /// As `boot`.
    pub fn boot_with(&self, options: Options) -> Result<()> {
        block_on(self.session.boot(Some(options)))
    }

    /// Connects to a running server at the address of the options; it is not this client's to end. Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOnline`], [`ErrorKind::CannotConnect`] within the deadline of
    /// [`Timeouts::connect`], [`ErrorKind::TooManyClients`].
    pub fn connect(&self) -> Result<()> {
        block_on(self.session.connect(None))
    }

    /// As `connect`, with other options, which stay in force. Blocks.
    ///
    /// # Errors
    /// As `connect`.
    pub fn connect_with(&self, options: Options) -> Result<()> {
        block_on(self.session.connect(Some(options)))
    }

    /// Logs out and disconnects from a server that this client does not own. Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::OwnedServerShutdown`].
    pub fn disconnect(&self) -> Result<()> {
        block_on(self.session.disconnect())
    }

    /// Ends the server that this client started. A process that does not end is killed. Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::UnownedServerShutdown`].
    pub fn quit(&self) -> Result<()> {
        block_on(self.session.quit(false))
    }

    /// Ends the server, whoever started it. `/quit` Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`].
    pub fn force_quit(&self) -> Result<()> {
        block_on(self.session.quit(true))
    }

    /// Quits the server that this client started, and boots it anew. Blocks.
    ///
    /// # Errors
    /// As `quit` and `boot`.
    pub fn reboot(&self) -> Result<()> {
        block_on(self.session.reboot())
    }

    /// Frees this client's nodes, buffers and ids. What other clients made stays. Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::Timeout`].
    pub fn reset(&self) -> Result<()> {
        block_on(self.session.reset())
    }

    /// Waits until everything asynchronous that was sent before is done. `/sync` Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::Timeout`].
    pub fn sync(&self) -> Result<()> {
        block_on(self.session.sync(None, None))
    }

    /// As `sync`, with an id of the caller's (0 or more) and a deadline. Blocks.
    ///
    /// # Errors
    /// As `sync`.
    pub fn sync_with(&self, id: i32, timeout: Duration) -> Result<()> {
        block_on(self.session.sync(Some(id), Some(timeout)))
    }

    /// What the server is busy with. `/status` Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub fn query_status(&self) -> Result<StatusInfo> {
        block_on(self.session.query_status())
    }

    /// Which program answers. `/version` Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub fn query_version(&self) -> Result<VersionInfo> {
        block_on(self.session.query_version())
    }

    /// The size of a buffer. `/b_query` Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub fn query_buffer(&self, buffer: &Buffer) -> Result<BufferInfo> {
        block_on(self.session.query_buffer(buffer))
    }

    /// Where a node stands. `/n_query` Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub fn query_node<'a>(&self, node: impl Into<NodeReference<'a>>) -> Result<NodeInfo> {
        block_on(self.session.query_node(node.into()))
    }

    /// The tree below a group, however large. `/g_queryTree`, and `/s_get` where the answer would
    /// not fit into the server's buffer (the controls of SynthDefs that this client never
    /// loaded are left out then). Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub fn query_tree<'a>(
        &self,
        group: impl Into<NodeReference<'a>>,
        include_controls: bool,
    ) -> Result<QueryTreeGroup> {
        block_on(self.session.query_tree(group.into(), include_controls))
    }

    /// Lets the server print its tree; what it printed is returned as data. `/g_dumpTree` Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub fn dump_tree<'a>(
        &self,
        group: impl Into<NodeReference<'a>>,
        include_controls: bool,
    ) -> Result<QueryTreeGroup> {
        block_on(self.session.dump_tree(group.into(), include_controls))
    }

    /// Lets the server print what a node computes; the lines are returned if this client started
    /// the server. `/n_trace` Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub fn trace_node<'a>(
        &self,
        node: impl Into<NodeReference<'a>>,
    ) -> Result<Option<Vec<String>>> {
        block_on(self.session.trace_node(node.into()))
    }

    /// The values of samples. `/b_get` Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub fn get_buffer(&self, buffer: &Buffer, indices: &[u32]) -> Result<Vec<(u32, f32)>> {
        block_on(self.session.get_buffer(buffer, indices))
    }

    /// The values of neighbouring samples, however many. `/b_getn` Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub fn get_buffer_range(&self, buffer: &Buffer, start: u32, count: u32) -> Result<Vec<f32>> {
        block_on(self.session.get_buffer_range(buffer, start, count))
    }

    /// The value of a control bus. `/c_get` Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub fn get_bus(&self, bus: &Bus) -> Result<f32> {
        block_on(self.session.get_bus(bus))
    }

    /// The value of a control bus through the server's memory, or as `get_bus` where that cannot
    /// be reached. Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub fn get_bus_now(&self, bus: &Bus) -> Result<f32> {
        block_on(self.session.get_bus_now(bus))
    }

    /// The values of neighbouring control buses. `/c_getn` Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub fn get_bus_range(&self, bus: &Bus, count: u32) -> Result<Vec<f32>> {
        block_on(self.session.get_bus_range(bus, count))
    }

    /// The values of controls. `/s_get` Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub fn get_synth_controls<K: Into<ControlKey>>(
        &self,
        synth: &Synth,
        controls: impl IntoIterator<Item = K>,
    ) -> Result<Vec<(ControlKey, f32)>> {
        block_on(
            self.session.get_synth_controls(synth, controls.into_iter().map(Into::into).collect()),
        )
    }

    /// The values of neighbouring controls. `/s_getn` Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub fn get_synth_control_range(
        &self,
        synth: &Synth,
        control: impl Into<ControlKey>,
        count: u32,
    ) -> Result<Vec<f32>> {
        block_on(self.session.get_synth_control_range(synth, control.into(), count))
    }
}
