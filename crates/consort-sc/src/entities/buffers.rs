//! Buffers.

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

    /// Its id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Whether the server has said that it exists.
    pub fn is_allocated(&self) -> bool {
        self.context.shared().lock().live_buffers.contains(&(self.id as i32))
    }

    /// Frees it. `/b_free`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn free(&self) -> Result<()> {
        self.context.free_buffer(self)
    }

    /// Sets every sample to 0. `/b_zero`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn zero(&self) -> Result<()> {
        self.context.zero_buffer(self)
    }

    /// Sets neighbouring samples. `/b_setn`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn set_range(&self, start: u32, values: &[f32]) -> Result<()> {
        self.context.set_buffer_range(self, start, values)
    }
}

/// Buffers with neighbouring ids.
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

    /// How many buffers.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Its buffers in order.
    pub fn iter(&self) -> impl Iterator<Item = Buffer> + '_ {
        (self.id..self.id + self.count).map(|id| Buffer::new(self.context.clone(), id))
    }

    /// The buffer at `index`.
    pub fn get(&self, index: u32) -> Option<Buffer> {
        (index < self.count).then(|| Buffer::new(self.context.clone(), self.id + index))
    }

    /// Whether `buffer` is one of them.
    pub fn contains(&self, buffer: &Buffer) -> bool {
        self.context.is_same(&buffer.context)
            && (self.id..self.id + self.count).contains(&buffer.id)
    }

    /// Frees all of them.
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn free(&self) -> Result<()> {
        self.context.free_buffer_group(self)
    }
}
