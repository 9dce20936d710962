//! What all clones of one context share: the connection behind a lock, and the host.

use std::sync::{Arc, OnceLock, Weak};

use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};

use super::Host;
use crate::error::{Error, ErrorKind, Result};
use crate::options::Options;
use crate::proto::{Connection, Release, State};

/// The connection that all clones of one context share, and the host that sends its packets.
///
/// The lock is held for one step of the connection or one access to its state, and while packets are
/// given to the system, so that they are sent in the order of their requests.
pub(crate) struct ContextShared {
    name: Option<String>,
    connection: Mutex<Connection>,
    host: OnceLock<Weak<dyn Host>>,
}

impl std::fmt::Debug for ContextShared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ContextShared").field("connection", &self.connection()).finish()
    }
}

impl ContextShared {
    /// The shared part of a context. The host is set when it exists.
    pub(crate) fn new(connection: Connection, name: Option<String>) -> Arc<Self> {
        Arc::new(Self { name, connection: Mutex::new(connection), host: OnceLock::new() })
    }

    /// Sets the host that takes the requests. Later calls have no effect.
    pub(crate) fn set_host(&self, host: Weak<dyn Host>) {
        let _ = self.host.set(host);
    }

    /// The host, unless it was dropped.
    pub(crate) fn host(&self) -> Result<Arc<dyn Host>> {
        self.host.get().and_then(Weak::upgrade).ok_or_else(|| {
            Error::new(ErrorKind::ServerOffline, "the server or score of this object was dropped")
        })
    }

    /// The name for logs.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The connection.
    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock()
    }

    /// The state of the connection: ids, mirror, SynthDefs.
    pub(crate) fn lock(&self) -> MappedMutexGuard<'_, State> {
        MutexGuard::map(self.connection.lock(), Connection::state_mut)
    }

    pub(crate) fn options(&self) -> Options {
        self.lock().options.clone()
    }

    pub(crate) fn is_online(&self) -> bool {
        self.connection().is_online()
    }

    /// A number for the next `/sync`.
    pub(crate) fn next_sync_id(&self) -> i32 {
        self.lock().next_sync_id()
    }

    /// Frees ids.
    pub(crate) fn release(&self, released: impl IntoIterator<Item = Release>) {
        let mut released = released.into_iter().peekable();
        if released.peek().is_some() {
            self.lock().release(released);
        }
    }

    /// Whether the mirror contains the node.
    pub(crate) fn has_node(&self, id: i32) -> bool {
        self.lock().mirror.contains(id)
    }
}
