//! Scope buffers: places in the server's memory that `ScopeOut2` writes and this crate reads.

use super::{Context, Effect};
use crate::error::{Error, ErrorKind, Result};
use crate::shared_memory::ScopeFrames;

/// A place in the server's memory for the samples of a scope.
#[derive(Clone, Debug)]
pub struct ScopeBuffer {
    context: Context,
    id: u32,
}

impl ScopeBuffer {
    /// Its index, for the `scopeNum` of `ScopeOut2`.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Gives it back.
    ///
    /// # Errors
    /// [`ErrorKind::MomentClosed`].
    pub fn free(&self) -> Result<()> {
        self.context.free_scope_buffer(self)
    }

    /// The newest samples, if there are newer ones than at the last call. Only the frames that
    /// were written are copied. One reader only.
    ///
    /// # Errors
    /// [`ErrorKind::SharedMemory`] if the server's memory cannot be reached.
    pub fn read(&self) -> Result<Option<ScopeFrames>> {
        let memory = self.context.shared().host()?.shared_memory().ok_or_else(|| {
            Error::new(
                ErrorKind::SharedMemory,
                "the server's shared memory cannot be reached from here; scopes need it",
            )
        })?;
        memory.read_scope_buffer(self.id)
    }
}

impl Context {
    /// A scope buffer of this client's own.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`] if none is left.
    pub fn add_scope_buffer(&self) -> Result<ScopeBuffer> {
        let id = self.shared().lock().scope_buffers.allocate(1)?;
        self.effect_if_dropped(Effect::ScopeBuffer(id))?;
        Ok(ScopeBuffer { context: self.immediate(), id })
    }

    /// Gives a scope buffer back.
    ///
    /// # Errors
    /// [`ErrorKind::MomentClosed`].
    pub fn free_scope_buffer(&self, buffer: &ScopeBuffer) -> Result<()> {
        self.check_own(&buffer.context, "scope buffer")?;
        self.effect_if_sent(Effect::ScopeBuffer(buffer.id))
    }
}
