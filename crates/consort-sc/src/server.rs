//! The blocking server.

use std::sync::Arc;

use crate::context::Context;
use crate::session::Session;

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
