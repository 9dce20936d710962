//! The server for futures.

use std::sync::Arc;

use crate::context::Context;
use crate::session::Session;

/// A SuperCollider server, for tasks.
///
/// The futures need no particular executor: an I/O thread of the server's own wakes them. Has
/// every operation of a [`Context`]; those send and return. Cheap to clone, `Send` and `Sync`.
/// When the last clone is dropped, a server that was booted is ended (which may block for the
/// deadlines of [`Timeouts`](crate::Timeouts)), and one that was connected to is left.
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
