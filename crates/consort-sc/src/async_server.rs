//! The asynchronous server.

use std::sync::Arc;

use crate::context::Context;
use crate::session::Session;

/// A SuperCollider server with asynchronous operations.
///
/// Its futures run on any executor: the server's own I/O thread wakes them. It dereferences to a
/// [`Context`], whose operations send a request and return at once.
///
/// It is cheap to clone, and threads may share it (`Send` and `Sync`). When the last clone is
/// dropped, a server that it booted is quit, which may block for the deadlines of
/// [`Timeouts`](crate::Timeouts); from a server that it connected to it logs out.
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
