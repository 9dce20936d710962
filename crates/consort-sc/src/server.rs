//! The blocking server.

use std::sync::Arc;

use crate::context::Context;
use crate::session::Session;

/// A SuperCollider server with blocking operations.
///
/// It dereferences to a [`Context`], whose operations send a request and return at once. The
/// operations of this type that wait for the server block the calling thread, and their
/// documentation says so; do not call them on a thread that runs futures, but use
/// [`AsyncServer`](crate::AsyncServer) there.
///
/// It is cheap to clone, and threads may share it (`Send` and `Sync`). When the last clone is
/// dropped, a server that it booted is quit, which may block for the deadlines of
/// [`Timeouts`](crate::Timeouts); from a server that it connected to it logs out.
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
