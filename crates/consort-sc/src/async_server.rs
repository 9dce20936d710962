//! The server for futures.

use std::sync::Arc;
use std::time::Duration;

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

/// A SuperCollider server, for tasks.
///
/// The futures need no particular executor: an I/O thread of the server's own wakes them. Has
/// every operation of a [`Context`]; those send and return. Cheap to clone, `Send` and `Sync`.
/// When the last clone is dropped, a server that was booted is ended (which may block for the
/// deadlines of [`Timeouts`]), and one that was connected to is left.
#[derive(Clone, Debug)]
pub struct AsyncServer {
    pub(crate) session: Arc<Session>,
}

impl std::ops::Deref for AsyncServer {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.session.context
    }
}

impl AsyncServer {
    /// A server with these options; nothing is started or connected yet.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOptions`]; [`ErrorKind::Io`] if no thread can be started.
    pub fn new(options: Options) -> Result<Self> {
        Self::with_timeouts(options, None, Timeouts::default())
    }

    /// As [`AsyncServer::new`], with a name for logs, and with deadlines.
    ///
    /// # Errors
    /// As [`AsyncServer::new`].
    pub fn with_timeouts(
        options: Options,
        name: Option<String>,
        timeouts: Timeouts,
    ) -> Result<Self> {
        Ok(Self { session: Arc::new(Session::new(options, name, timeouts)?) })
    }

    /// Starts the server with the options in force and connects to it.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOnline`], [`ErrorKind::ServerCannotBoot`] with what the process printed,
    /// [`ErrorKind::InvalidOptions`], [`ErrorKind::CannotConnect`].
    pub async fn boot(&self) -> Result<()> {
        self.session.boot(None).await
    }

    /// As `boot`, with other options, which stay in force.
    ///
    /// # Errors
    /// As `boot`.
    pub async fn boot_with(&self, options: Options) -> Result<()> {
        self.session.boot(Some(options)).await
    }

    /// Connects to a running server at the address of the options; it is not this client's to end.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOnline`], [`ErrorKind::CannotConnect`] within the deadline of
    /// [`Timeouts::connect`], [`ErrorKind::TooManyClients`].
    pub async fn connect(&self) -> Result<()> {
        self.session.connect(None).await
    }

    /// As `connect`, with other options, which stay in force.
    ///
    /// # Errors
    /// As `connect`.
    pub async fn connect_with(&self, options: Options) -> Result<()> {
        self.session.connect(Some(options)).await
    }

    /// Logs out and disconnects from a server that this client does not own.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::OwnedServerShutdown`].
    pub async fn disconnect(&self) -> Result<()> {
        self.session.disconnect().await
    }

    /// Ends the server that this client started. A process that does not end is killed.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::UnownedServerShutdown`].
    pub async fn quit(&self) -> Result<()> {
        self.session.quit(false).await
    }

    /// Ends the server, whoever started it. `/quit`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`].
    pub async fn force_quit(&self) -> Result<()> {
        self.session.quit(true).await
    }

    /// Quits the server that this client started, and boots it anew.
    ///
    /// # Errors
    /// As `quit` and `boot`.
    pub async fn reboot(&self) -> Result<()> {
        self.session.reboot().await
    }

    /// Frees this client's nodes, buffers and ids. What other clients made stays.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::Timeout`].
    pub async fn reset(&self) -> Result<()> {
        self.session.reset().await
    }

    /// Waits until everything asynchronous that was sent before is done. `/sync`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::Timeout`].
    pub async fn sync(&self) -> Result<()> {
        self.session.sync(None, None).await
    }

    /// As `sync`, with an id of the caller's (0 or more) and a deadline.
    ///
    /// # Errors
    /// As `sync`.
    pub async fn sync_with(&self, id: i32, timeout: Duration) -> Result<()> {
        self.session.sync(Some(id), Some(timeout)).await
    }

    /// What the server is busy with. `/status`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub async fn query_status(&self) -> Result<StatusInfo> {
        self.session.query_status().await
    }

    /// Which program answers. `/version`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub async fn query_version(&self) -> Result<VersionInfo> {
        self.session.query_version().await
    }

    /// The size of a buffer. `/b_query`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub async fn query_buffer(&self, buffer: &Buffer) -> Result<BufferInfo> {
        self.session.query_buffer(buffer).await
    }

    /// Where a node stands. `/n_query`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub async fn query_node<'a>(&self, node: impl Into<NodeReference<'a>>) -> Result<NodeInfo> {
        self.session.query_node(node.into()).await
    }

    /// The tree below a group, however large. `/g_queryTree`, and `/s_get` where the answer would
    /// not fit into the server's buffer (the controls of SynthDefs that this client never
    /// loaded are left out then).
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub async fn query_tree<'a>(
        &self,
        group: impl Into<NodeReference<'a>>,
        include_controls: bool,
    ) -> Result<QueryTreeGroup> {
        self.session.query_tree(group.into(), include_controls).await
    }

    /// Lets the server print its tree; what it printed is returned as data. `/g_dumpTree`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub async fn dump_tree<'a>(
        &self,
        group: impl Into<NodeReference<'a>>,
        include_controls: bool,
    ) -> Result<QueryTreeGroup> {
        self.session.dump_tree(group.into(), include_controls).await
    }

    /// Lets the server print what a node computes; the lines are returned if this client started
    /// the server. `/n_trace`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub async fn trace_node<'a>(
        &self,
        node: impl Into<NodeReference<'a>>,
    ) -> Result<Option<Vec<String>>> {
        self.session.trace_node(node.into()).await
    }

    /// The values of samples. `/b_get`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub async fn get_buffer(&self, buffer: &Buffer, indices: &[u32]) -> Result<Vec<(u32, f32)>> {
        self.session.get_buffer(buffer, indices).await
    }

    /// The values of neighbouring samples, however many. `/b_getn`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub async fn get_buffer_range(
        &self,
        buffer: &Buffer,
        start: u32,
        count: u32,
    ) -> Result<Vec<f32>> {
        self.session.get_buffer_range(buffer, start, count).await
    }

    /// The value of a control bus. `/c_get`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub async fn get_bus(&self, bus: &Bus) -> Result<f32> {
        self.session.get_bus(bus).await
    }

    /// The value of a control bus through the server's memory, or as `get_bus` where that cannot
    /// be reached.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub async fn get_bus_now(&self, bus: &Bus) -> Result<f32> {
        self.session.get_bus_now(bus).await
    }

    /// The values of neighbouring control buses. `/c_getn`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub async fn get_bus_range(&self, bus: &Bus, count: u32) -> Result<Vec<f32>> {
        self.session.get_bus_range(bus, count).await
    }

    /// The values of controls. `/s_get`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub async fn get_synth_controls<K: Into<ControlKey>>(
        &self,
        synth: &Synth,
        controls: impl IntoIterator<Item = K>,
    ) -> Result<Vec<(ControlKey, f32)>> {
        self.session.get_synth_controls(synth, controls.into_iter().map(Into::into).collect()).await
    }

    /// The values of neighbouring controls. `/s_getn`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    pub async fn get_synth_control_range(
        &self,
        synth: &Synth,
        control: impl Into<ControlKey>,
        count: u32,
    ) -> Result<Vec<f32>> {
        self.session.get_synth_control_range(synth, control.into(), count).await
    }
}
