//! Handles of buffers.

use crate::context::Context;
use crate::error::Result;

/// A buffer of samples on the server.
#[derive(Clone, Debug)]
pub struct Buffer {
    context: Context,
    id: u32,
}

impl Buffer {
    pub(crate) fn new(context: Context, id: u32) -> Self {
        Self { context, id }
    }

    /// The buffer's id, for UGens and requests.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The server or score that the buffer belongs to.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Whether the server has confirmed that the buffer exists.
    pub fn is_allocated(&self) -> bool {
        self.context.shared().lock().live_buffers.contains(&(self.id as i32))
    }

    /// Frees the buffer. `/b_free`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn free(&self) -> Result<()> {
        self.context.free_buffer(self)
    }

    /// Sets every sample to 0. `/b_zero`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn zero(&self) -> Result<()> {
        self.context.zero_buffer(self)
    }

    /// Sets consecutive samples, starting at `start`. `/b_setn`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn set_range(&self, start: u32, values: &[f32]) -> Result<()> {
        self.context.set_buffer_range(self, start, values)
    }
}

/// Buffers with consecutive ids.
#[derive(Clone, Debug)]
pub struct BufferGroup {
    context: Context,
    id: u32,
    count: u32,
}

impl BufferGroup {
    pub(crate) fn new(context: Context, id: u32, count: u32) -> Self {
        Self { context, id, count }
    }

    /// The first buffer's id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The number of buffers.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether the group has no buffers.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The server or score that the buffers belong to.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The buffers in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = Buffer> + '_ {
        (self.id..self.id + self.count).map(|id| Buffer::new(self.context.clone(), id))
    }

    /// The buffer at `index`, from 0.
    pub fn get(&self, index: u32) -> Option<Buffer> {
        (index < self.count).then(|| Buffer::new(self.context.clone(), self.id + index))
    }

    /// Whether `buffer` is in the group.
    pub fn contains(&self, buffer: &Buffer) -> bool {
        self.context.is_same(&buffer.context)
            && (self.id..self.id + self.count).contains(&buffer.id)
    }

    /// Frees all buffers of the group. `/b_free`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn free(&self) -> Result<()> {
        self.context.free_buffer_group(self)
    }
}
