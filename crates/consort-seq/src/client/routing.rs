//! Overrides of the address and queue in an event, for one output.

use crate::event::{Address, Cell};

/// Overrides for one output: each field that is set replaces the event's own.
///
/// It can be made from `()` (no override) or a [`&Port`](crate::Port) (send from this port).
///
/// ```
/// use consort_seq::Routing;
///
/// let routing = Routing::new().port(0).queue(3).dest((128, 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Routing {
    queue: Option<u8>,
    port: Option<u8>,
    dest: Option<Address>,
}

impl Routing {
    /// No override.
    #[must_use]
    pub const fn new() -> Self {
        Self { queue: None, port: None, dest: None }
    }

    /// Sends through this queue.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<u8>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Sends from this port of the client.
    #[must_use]
    pub fn port(mut self, port: impl Into<u8>) -> Self {
        self.port = Some(port.into());
        self
    }

    /// Sends to this port.
    #[must_use]
    pub fn dest(mut self, dest: impl Into<Address>) -> Self {
        self.dest = Some(dest.into());
        self
    }

    #[inline]
    pub(crate) fn apply(&self, cell: &mut [u8; Cell::SIZE], client: u8) {
        if let Some(queue) = self.queue {
            cell[3] = queue;
        }
        if let Some(port) = self.port {
            cell[12] = client;
            cell[13] = port;
        }
        if let Some(dest) = self.dest {
            cell[14] = dest.client;
            cell[15] = dest.port;
        }
    }
}

impl From<()> for Routing {
    #[inline]
    fn from((): ()) -> Self {
        Self::new()
    }
}
