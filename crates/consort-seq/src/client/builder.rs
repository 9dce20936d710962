//! How to open a client.

use std::sync::Arc;

use super::core::ClientCore;
use super::error::{Failure, OperationName, Result};
use super::methods::ClientBase;
use crate::engine::{Embedded, Engine, OpenMode};

/// How to open a client. The engine is the kernel's sequencer, unless the environment variable
/// `CONSORT_SEQ` is `embedded` or [`engine`](Self::engine) is called. There is no fallback from
/// one engine to the other.
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    name: String,
    mode: OpenMode,
    engine: Option<Engine>,
}

impl ClientBuilder {
    /// A client called `name` (at most 63 bytes), for input and output.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), mode: OpenMode::Duplex, engine: None }
    }

    /// Opens the client for input only, for output only, or for both (the default).
    #[must_use]
    pub fn streams(mut self, mode: OpenMode) -> Self {
        self.mode = mode;
        self
    }

    /// Opens the client on this engine, regardless of the environment.
    #[must_use]
    pub fn engine(mut self, engine: impl Into<Engine>) -> Self {
        self.engine = Some(engine.into());
        self
    }

    /// Opens the part that both kinds of client share. `may_block`: whether the handles of ports
    /// and queues may wait for room.
    pub(crate) fn open_base(self, may_block: bool) -> Result<ClientBase> {
        let open = |error| Failure::open(error).during("open");
        let engine = match self.engine {
            Some(engine) => engine,
            None => Engine::from_environment().map_err(open)?,
        };
        let connection = engine.open(self.mode).map_err(open)?;
        let core = ClientCore::new(Arc::from(connection), engine, may_block).during("open")?;
        let base = ClientBase::new(Arc::new(core), self.mode);
        base.set_client_name(&self.name)?;
        Ok(base)
    }
}

impl From<Embedded> for Engine {
    fn from(embedded: Embedded) -> Self {
        Self::Embedded(embedded)
    }
}
