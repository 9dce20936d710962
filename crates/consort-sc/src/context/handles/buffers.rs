//! Handles of buffers.

use std::path::Path;

use futures_lite::future::block_on;

use crate::context::{BufferRead, BufferWrite, Context};
use crate::error::Result;
use crate::pending::Pending;
use crate::queries::BufferInfo;
use crate::requests::Waveform;
use crate::values::ControlValue;

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

    /// The same buffer, with its requests going into a moment or completion.
    #[must_use]
    pub fn within(&self, moment: &Context) -> Self {
        Self { context: moment.clone(), id: self.id }
    }

    /// Closes the file that the buffer streams from or to. `/b_close`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn close(&self) -> Result<()> {
        self.context.close_buffer(self)
    }

    /// Copies frames of this buffer into another with the same number of channels; a `frame_count`
    /// of `None` copies as many as fit. `/b_gen copy`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn copy(
        &self,
        starting_frame: u32,
        target: &Buffer,
        target_starting_frame: u32,
        frame_count: Option<u32>,
    ) -> Result<()> {
        let context = &self.context;
        context.copy_buffer(self, starting_frame, target, target_starting_frame, frame_count)
    }

    /// Sets `count` samples, starting at index `start`, to `value`. `/b_fill`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn fill(&self, start: u32, count: u32, value: f32) -> Result<()> {
        self.context.fill_buffer(self, start, count, value)
    }

    /// Frees the buffer. `/b_free`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn free(&self) -> Result<()> {
        self.context.free_buffer(self)
    }

    /// Fills the buffer with a waveform, as [`Context::generate_buffer`]. `/b_gen`
    ///
    /// # Errors
    /// Same as [`Context::generate_buffer`].
    pub fn generate(
        &self,
        waveform: Waveform,
        normalize: bool,
        as_wavetable: bool,
        clear_first: bool,
    ) -> Result<()> {
        self.context.generate_buffer(self, waveform, normalize, as_wavetable, clear_first)
    }

    /// Asks for the values of at most [`GetBuffer::MAX_SAMPLES`](crate::requests::GetBuffer)
    /// samples. `/b_get`
    ///
    /// # Errors
    /// Same as [`Context::ask_buffer`].
    pub fn ask(&self, indices: &[u32]) -> Result<Pending<Vec<(u32, f32)>>> {
        self.context.ask_buffer(self, indices)
    }

    /// The values of any number of samples. Blocks the calling thread. `/b_get`
    ///
    /// # Errors
    /// Same as [`Context::ask_buffer`].
    pub fn get(&self, indices: &[u32]) -> Result<Vec<(u32, f32)>> {
        block_on(self.context.buffer_samples(self, indices))
    }

    /// Asks for the values of at most
    /// [`GetBufferRange::MAX_SAMPLES`](crate::requests::GetBufferRange) consecutive samples.
    /// `/b_getn`
    ///
    /// # Errors
    /// Same as [`Context::ask_buffer_range`].
    pub fn ask_range(&self, start: u32, count: u32) -> Result<Pending<Vec<f32>>> {
        self.context.ask_buffer_range(self, start, count)
    }

    /// The values of any number of consecutive samples. Blocks the calling thread. `/b_getn`
    ///
    /// # Errors
    /// Same as [`Context::ask_buffer_range`].
    pub fn get_range(&self, start: u32, count: u32) -> Result<Vec<f32>> {
        block_on(self.context.buffer_range(self, start, count))
    }

    /// Scales the buffer so that its peak is `new_maximum`. `/b_gen normalize`, `wnormalize`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn normalize(&self, new_maximum: f32, as_wavetable: bool) -> Result<()> {
        self.context.normalize_buffer(self, new_maximum, as_wavetable)
    }

    /// Asks for the buffer's size. `/b_query`
    ///
    /// # Errors
    /// Same as [`Context::submit`]; the future's errors are those of [`Pending`].
    pub fn ask_info(&self) -> Result<Pending<BufferInfo>> {
        self.context.ask_buffer_info(self)
    }

    /// The buffer's size. Blocks the calling thread. `/b_query`
    ///
    /// # Errors
    /// Same as [`Buffer::ask_info`].
    pub fn query(&self) -> Result<BufferInfo> {
        self.context.immediate().ask_buffer_info(self)?.wait()
    }

    /// Reads a sound file into the buffer. `/b_read`, `/b_readChannel`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn read(&self, path: impl AsRef<Path>, read: BufferRead) -> Result<()> {
        self.context.read_buffer(self, path, read)
    }

    /// Sets one sample. `/b_set`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn set(&self, index: u32, value: f32) -> Result<()> {
        self.context.set_buffer(self, index, value)
    }

    /// Sets consecutive samples, starting at `start`. `/b_setn`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn set_range(&self, start: u32, values: &[f32]) -> Result<()> {
        self.context.set_buffer_range(self, start, values)
    }

    /// Writes the buffer to a sound file. `/b_write`
    ///
    /// # Errors
    /// Same as [`Context::write_buffer`].
    pub fn write(&self, path: impl AsRef<Path>, write: BufferWrite) -> Result<()> {
        self.context.write_buffer(self, path, write)
    }

    /// Sets every sample to 0. `/b_zero`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn zero(&self) -> Result<()> {
        self.context.zero_buffer(self)
    }
}

impl From<&Buffer> for ControlValue {
    /// The buffer's id, for UGens that take a buffer.
    fn from(buffer: &Buffer) -> Self {
        ControlValue::Float(buffer.id as f32)
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

    /// The same buffers, with their requests going into a moment or completion.
    #[must_use]
    pub fn within(&self, moment: &Context) -> Self {
        Self { context: moment.clone(), ..self.clone() }
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
