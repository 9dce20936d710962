//! The operations that wait for the server, written once for [`Server`], which blocks, and
//! [`AsyncServer`], which returns futures.

use std::time::Duration;

use futures_lite::future::block_on;

use crate::SynthDefFile;
use crate::async_server::AsyncServer;
use crate::context::{Buffer, Bus, NodeReference, Synth};
#[allow(unused_imports)] // The documentation links to it.
use crate::error::{ErrorKind, Result};
#[allow(unused_imports)] // The documentation links to it.
use crate::lifecycle::Timeouts;
use crate::options::Options;
use crate::queries::{BufferInfo, NodeInfo, StatusInfo, VersionInfo};
use crate::server::Server;
use crate::tree::QueryTreeGroup;
use crate::values::ControlKey;

/// Defines methods of both servers. Each has a name, generics in brackets, parameters, and the
/// operation of the [`Session`](crate::session::Session) as a future.
macro_rules! operations {
    ($(
        $(#[$meta:meta])*
        fn $name:ident [$($generics:tt)*] ($($argument:ident: $type:ty),* $(,)?) -> $result:ty {
            $session:ident => $operation:expr
        }
    )*) => {
        impl Server {
            $(
                $(#[$meta])*
                ///
                /// Blocks the calling thread.
                pub fn $name<$($generics)*>(&self, $($argument: $type),*) -> $result {
                    let $session = &self.session;
                    block_on($operation)
                }
            )*
        }

        impl AsyncServer {
            $(
                $(#[$meta])*
                pub async fn $name<$($generics)*>(&self, $($argument: $type),*) -> $result {
                    let $session = &self.session;
                    $operation.await
                }
            )*
        }
    };
}

operations! {
    /// Boots the server with the options in force and connects to it.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOnline`], [`ErrorKind::ServerCannotBoot`] with the output of the process,
    /// [`ErrorKind::InvalidOptions`], [`ErrorKind::CannotConnect`].
    fn boot[]() -> Result<()> {
        session => session.boot(None)
    }

    /// As `boot`, with other options, which remain in force.
    ///
    /// # Errors
    /// As `boot`.
    fn boot_with[](options: Options) -> Result<()> {
        session => session.boot(Some(options))
    }

    /// Connects to a running server at the address in the options. This client does not own it and
    /// cannot `quit` it.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOnline`], [`ErrorKind::CannotConnect`] after at most
    /// [`Timeouts::connect`], [`ErrorKind::TooManyClients`].
    fn connect[]() -> Result<()> {
        session => session.connect(None)
    }

    /// As `connect`, with other options, which remain in force.
    ///
    /// # Errors
    /// As `connect`.
    fn connect_with[](options: Options) -> Result<()> {
        session => session.connect(Some(options))
    }

    /// Logs out and disconnects from a server that this client does not own.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::OwnedServerShutdown`].
    fn disconnect[]() -> Result<()> {
        session => session.disconnect()
    }

    /// Quits the server that this client booted. A process that does not exit in time is killed.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::UnownedServerShutdown`].
    fn quit[]() -> Result<()> {
        session => session.quit(false)
    }

    /// Quits the server, even if another process started it. `/quit`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`].
    fn force_quit[]() -> Result<()> {
        session => session.quit(true)
    }

    /// Quits the server that this client booted, and boots it again.
    ///
    /// # Errors
    /// As `quit` and `boot`.
    fn reboot[]() -> Result<()> {
        session => session.reboot()
    }

    /// Frees this client's nodes, buffers and ids. Those of other clients remain.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::Timeout`].
    fn reset[]() -> Result<()> {
        session => session.reset()
    }

    /// Waits until the server has finished all asynchronous requests that were sent before. `/sync`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::Timeout`].
    fn sync[]() -> Result<()> {
        session => session.sync(None, None)
    }

    /// As `sync`, with an id of 0 or more and a timeout.
    ///
    /// # Errors
    /// As `sync`.
    fn sync_with[](id: i32, timeout: Duration) -> Result<()> {
        session => session.sync(Some(id), Some(timeout))
    }

    /// Sends SynthDefs and waits until the server has loaded them. A server confirms also those that
    /// it refuses, because a plugin is missing for example; this method finds out.
    /// `/d_recv`
    ///
    /// If another program started the server, the cause of a refusal is unknown, because the server
    /// prints it there. Nothing is found out about a running supernova.
    ///
    /// # Errors
    /// [`ErrorKind::SynthDefRefused`] with the names and causes of all refused SynthDefs
    /// ([`Error::synthdef_refusals`](crate::Error::synthdef_refusals)); the others are loaded.
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::TooLarge`], [`ErrorKind::Timeout`].
    fn install_synthdefs['a](files: impl IntoIterator<Item = &'a SynthDefFile>) -> Result<()> {
        session => session.install_synthdefs(files.into_iter().cloned().collect())
    }

    /// The server's load and counts of UGens, nodes and SynthDefs. `/status`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    fn query_status[]() -> Result<StatusInfo> {
        session => session.query_status()
    }

    /// The server program and its version. `/version`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    fn query_version[]() -> Result<VersionInfo> {
        session => session.query_version()
    }

    /// The size of a buffer. `/b_query`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    fn query_buffer[](buffer: &Buffer) -> Result<BufferInfo> {
        session => session.query_buffer(buffer)
    }

    /// The position of a node in the tree. `/n_query`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    fn query_node['a](node: impl Into<NodeReference<'a>>) -> Result<NodeInfo> {
        session => session.query_node(node.into())
    }

    /// The tree below a group, however large. `/g_queryTree`
    ///
    /// A tree that does not fit into the server's reply is assembled from `/n_query`,
    /// `/g_queryTree` of inner groups, and `/s_get`. The last needs the names of the controls: if
    /// this client did not load the SynthDef, has not seen it in another reply, and cannot read
    /// the server's output, the controls are left out and a warning is logged.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    fn query_tree['a](
        group: impl Into<NodeReference<'a>>,
        include_controls: bool,
    ) -> Result<QueryTreeGroup> {
        session => session.query_tree(group.into(), include_controls)
    }

    /// Lets the server print its tree and returns the output as data. `/g_dumpTree`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    fn dump_tree['a](
        group: impl Into<NodeReference<'a>>,
        include_controls: bool,
    ) -> Result<QueryTreeGroup> {
        session => session.dump_tree(group.into(), include_controls)
    }

    /// Lets the server print the values that a node computes. Returns the lines if this client
    /// started the server, otherwise `None`. `/n_trace`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    fn trace_node['a](node: impl Into<NodeReference<'a>>) -> Result<Option<Vec<String>>> {
        session => session.trace_node(node.into())
    }

    /// The values of any number of samples. `/b_get`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    fn get_buffer[](buffer: &Buffer, indices: &[u32]) -> Result<Vec<(u32, f32)>> {
        session => session.get_buffer(buffer, indices)
    }

    /// The values of any number of consecutive samples. `/b_getn`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    fn get_buffer_range[](buffer: &Buffer, start: u32, count: u32) -> Result<Vec<f32>> {
        session => session.get_buffer_range(buffer, start, count)
    }

    /// The value of a control bus. `/c_get`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    fn get_bus[](bus: &Bus) -> Result<f32> {
        session => session.get_bus(bus)
    }

    /// The value of a control bus from the server's shared memory, or as `get_bus` if that is not
    /// available.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    fn get_bus_now[](bus: &Bus) -> Result<f32> {
        session => session.get_bus_now(bus)
    }

    /// The values of consecutive control buses. `/c_getn`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    fn get_bus_range[](bus: &Bus, count: u32) -> Result<Vec<f32>> {
        session => session.get_bus_range(bus, count)
    }

    /// The values of controls. `/s_get`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    fn get_synth_controls[K: Into<ControlKey>](
        synth: &Synth,
        controls: impl IntoIterator<Item = K>,
    ) -> Result<Vec<(ControlKey, f32)>> {
        session => session.get_synth_controls(synth, controls.into_iter().map(Into::into).collect())
    }

    /// The values of consecutive controls. `/s_getn`
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::RequestFailed`] with the server's reason,
    /// [`ErrorKind::Timeout`].
    fn get_synth_control_range[](
        synth: &Synth,
        control: impl Into<ControlKey>,
        count: u32,
    ) -> Result<Vec<f32>> {
        session => session.get_synth_control_range(synth, control.into(), count)
    }
}
