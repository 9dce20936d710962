//! Buffers.

use std::path::{Path, PathBuf};

use super::{Context, Effect};
use crate::entities::{Buffer, BufferGroup};
use crate::error::{Error, ErrorKind, Result};
use crate::pending::Pending;
use crate::queries::{BufferInfo, parse_indexed, parse_range};
use crate::requests::*;

/// What a new buffer holds.
#[derive(Clone, Debug, PartialEq)]
pub enum BufferContent {
    /// Silence.
    Empty {
        /// Channels, at least 1.
        channel_count: u32,
        /// Frames, at least 1.
        frame_count: u32,
    },
    /// A sound file that the server can read.
    File {
        /// Its path on the server's machine.
        path: PathBuf,
        /// First frame.
        starting_frame: u32,
        /// Frames; `None` for all.
        frame_count: Option<u32>,
        /// Channels; empty for all.
        channel_indices: Vec<u32>,
    },
}

impl BufferContent {
    /// Silence of this size.
    pub fn empty(channel_count: u32, frame_count: u32) -> Self {
        BufferContent::Empty { channel_count, frame_count }
    }

    /// All of a sound file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        BufferContent::File {
            path: path.into(),
            starting_frame: 0,
            frame_count: None,
            channel_indices: Vec::new(),
        }
    }
}

/// How a sound file is read into a buffer that exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BufferRead {
    /// First frame of the file.
    pub starting_frame: u32,
    /// Frames; `None` for all that fit.
    pub frame_count: Option<u32>,
    /// First frame of the buffer.
    pub buffer_starting_frame: u32,
    /// The file's channels; empty for all.
    pub channel_indices: Vec<u32>,
    /// Keep the file open, for streaming.
    pub leave_open: bool,
}

/// How a buffer is written to a sound file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BufferWrite {
    /// `aiff`, `wav`, `flac` …
    pub header_format: String,
    /// `int16`, `int24`, `float` …
    pub sample_format: String,
    /// First frame of the buffer.
    pub starting_frame: u32,
    /// Frames; `None` for all.
    pub frame_count: Option<u32>,
    /// Keep the file open, for streaming.
    pub leave_open: bool,
}

impl Default for BufferWrite {
    fn default() -> Self {
        Self {
            header_format: "aiff".into(),
            sample_format: "int24".into(),
            starting_frame: 0,
            frame_count: None,
            leave_open: false,
        }
    }
}

fn path_text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidArgument,
            format!("{} cannot be sent: the path is not UTF-8", path.display()),
        )
    })
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

fn too_many(count: usize, limit: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!(
            "{count} samples were asked for in one request; the server answers at most {limit}"
        ),
    )
}

fn no_completion(_: &Context) -> Result<()> {
    Ok(())
}

impl Context {
    fn completion(&self, then: impl FnOnce(&Context) -> Result<()>) -> Result<CompletionRequests> {
        self.collect_completion(then).map(CompletionRequests)
    }

    /// Makes a buffer: `/b_alloc`, `/b_allocRead` or `/b_allocReadChannel`.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`] if no id is left, [`ErrorKind::InvalidArgument`] for a size of
    /// 0, and as [`Context::submit`].
    pub fn add_buffer(&self, content: BufferContent) -> Result<Buffer> {
        self.add_buffer_then(content, |_, _| Ok(()))
    }

    /// As [`Context::add_buffer`]; the server performs what `then` asks for when it is done.
    ///
    /// # Errors
    /// As [`Context::add_buffer`], and those of `then`.
    pub fn add_buffer_then(
        &self,
        content: BufferContent,
        then: impl FnOnce(&Context, &Buffer) -> Result<()>,
    ) -> Result<Buffer> {
        if let BufferContent::Empty { channel_count: 0, .. }
        | BufferContent::Empty { frame_count: 0, .. }
        | BufferContent::File { frame_count: Some(0), .. } = content
        {
            return Err(invalid("a buffer needs at least one frame and one channel"));
        }
        let id = self.shared().lock().buffers.allocate(1)?;
        let buffer = Buffer::new(self.immediate(), id);
        let undo = Effect::Buffers(id, 1);
        let request = self
            .completion(|context| then(context, &buffer))
            .and_then(|completion| self.buffer_request(id, content, completion));
        match request {
            Ok(request) => {
                self.submit_with(request, None, None, Some(undo))?;
                Ok(buffer)
            }
            Err(error) => {
                self.shared().apply([undo]);
                Err(error)
            }
        }
    }

    fn buffer_request(
        &self,
        id: u32,
        content: BufferContent,
        completion: CompletionRequests,
    ) -> Result<Request> {
        Ok(match content {
            BufferContent::Empty { channel_count, frame_count } => {
                AllocateBuffer { id, frame_count, channel_count, completion }.into()
            }
            BufferContent::File { path, starting_frame, frame_count, channel_indices } => {
                let path = path_text(&path)?;
                let frame_count = frame_count.unwrap_or(0);
                if channel_indices.is_empty() {
                    AllocateReadBuffer { id, path, starting_frame, frame_count, completion }.into()
                } else {
                    AllocateReadBufferChannel {
                        id,
                        path,
                        starting_frame,
                        frame_count,
                        channel_indices,
                        completion,
                    }
                    .into()
                }
            }
        })
    }

    /// Makes `count` buffers with neighbouring ids, all of one size.
    ///
    /// # Errors
    /// As [`Context::add_buffer`].
    pub fn add_buffer_group(
        &self,
        count: u32,
        channel_count: u32,
        frame_count: u32,
    ) -> Result<BufferGroup> {
        if channel_count == 0 || frame_count == 0 {
            return Err(invalid("a buffer needs at least one frame and one channel"));
        }
        let first = self.shared().lock().buffers.allocate(count)?;
        for id in first..first + count {
            let request = AllocateBuffer {
                id,
                frame_count,
                channel_count,
                completion: CompletionRequests::default(),
            };
            let undo = Effect::Buffers(id, 1);
            if let Err(error) = self.submit_with(request.into(), None, None, Some(undo)) {
                // Those that were not asked for come back at once.
                self.shared().apply([Effect::Buffers(id + 1, first + count - id - 1)]);
                return Err(error);
            }
        }
        Ok(BufferGroup::new(self.immediate(), first, count))
    }

    /// Frees a buffer; its id comes back when the server says that it is gone. `/b_free`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn free_buffer(&self, buffer: &Buffer) -> Result<()> {
        self.free_buffer_then(buffer, no_completion)
    }

    /// As [`Context::free_buffer`], with a completion.
    ///
    /// # Errors
    /// As [`Context::submit`], and those of `then`.
    pub fn free_buffer_then(
        &self,
        buffer: &Buffer,
        then: impl FnOnce(&Context) -> Result<()>,
    ) -> Result<()> {
        self.check_own(buffer.context(), "buffer")?;
        let completion = self.completion(then)?;
        self.submit(FreeBuffer { id: buffer.id(), completion })
    }

    /// Frees all buffers of a group.
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn free_buffer_group(&self, group: &BufferGroup) -> Result<()> {
        self.check_own(group.context(), "buffer group")?;
        for buffer in group.iter() {
            self.free_buffer(&buffer)?;
        }
        Ok(())
    }

    /// Closes the file that a buffer streams from or to. `/b_close`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn close_buffer(&self, buffer: &Buffer) -> Result<()> {
        self.close_buffer_then(buffer, no_completion)
    }

    /// As [`Context::close_buffer`], with a completion.
    ///
    /// # Errors
    /// As [`Context::submit`], and those of `then`.
    pub fn close_buffer_then(
        &self,
        buffer: &Buffer,
        then: impl FnOnce(&Context) -> Result<()>,
    ) -> Result<()> {
        self.check_own(buffer.context(), "buffer")?;
        let completion = self.completion(then)?;
        self.submit(CloseBuffer { id: buffer.id(), completion })
    }

    /// Sets every sample of a buffer to 0. `/b_zero`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn zero_buffer(&self, buffer: &Buffer) -> Result<()> {
        self.zero_buffer_then(buffer, no_completion)
    }

    /// As [`Context::zero_buffer`], with a completion.
    ///
    /// # Errors
    /// As [`Context::submit`], and those of `then`.
    pub fn zero_buffer_then(
        &self,
        buffer: &Buffer,
        then: impl FnOnce(&Context) -> Result<()>,
    ) -> Result<()> {
        self.check_own(buffer.context(), "buffer")?;
        let completion = self.completion(then)?;
        self.submit(ZeroBuffer { id: buffer.id(), completion })
    }

    /// Copies samples between buffers; `frame_count` of `None` means all that fit. `/b_gen copy`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn copy_buffer(
        &self,
        source: &Buffer,
        source_starting_frame: u32,
        target: &Buffer,
        target_starting_frame: u32,
        frame_count: Option<u32>,
    ) -> Result<()> {
        self.check_own(source.context(), "source buffer")?;
        self.check_own(target.context(), "target buffer")?;
        self.submit(CopyBuffer {
            target_id: target.id(),
            target_starting_frame,
            source_id: source.id(),
            source_starting_frame,
            frame_count,
        })
    }

    /// Sets `count` samples from `start` to `value`. `/b_fill`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn fill_buffer(&self, buffer: &Buffer, start: u32, count: u32, value: f32) -> Result<()> {
        self.check_own(buffer.context(), "buffer")?;
        self.submit(FillBuffer { id: buffer.id(), ranges: vec![(start, count, value)] })
    }

    /// Fills a buffer with a waveform. `/b_gen`
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a waveform without partials, and as
    /// [`Context::submit`].
    pub fn generate_buffer(
        &self,
        buffer: &Buffer,
        waveform: Waveform,
        normalize: bool,
        as_wavetable: bool,
        clear_first: bool,
    ) -> Result<()> {
        self.check_own(buffer.context(), "buffer")?;
        let empty = match &waveform {
            Waveform::Sine1 { amplitudes } | Waveform::Cheby { amplitudes } => {
                amplitudes.is_empty()
            }
            Waveform::Sine2 { partials } => partials.is_empty(),
            Waveform::Sine3 { partials } => partials.is_empty(),
        };
        if empty {
            return Err(invalid("a waveform needs at least one partial"));
        }
        self.submit(GenerateBuffer {
            id: buffer.id(),
            waveform,
            normalize,
            as_wavetable,
            clear_first,
        })
    }

    /// Scales a buffer so that its peak is `new_maximum`. `/b_gen normalize`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn normalize_buffer(
        &self,
        buffer: &Buffer,
        new_maximum: f32,
        as_wavetable: bool,
    ) -> Result<()> {
        self.check_own(buffer.context(), "buffer")?;
        self.submit(NormalizeBuffer { id: buffer.id(), as_wavetable, new_maximum })
    }

    /// Reads a sound file into a buffer. `/b_read`, `/b_readChannel`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn read_buffer(
        &self,
        buffer: &Buffer,
        path: impl AsRef<Path>,
        how: BufferRead,
    ) -> Result<()> {
        self.read_buffer_then(buffer, path, how, no_completion)
    }

    /// As [`Context::read_buffer`], with a completion.
    ///
    /// # Errors
    /// As [`Context::submit`], and those of `then`.
    pub fn read_buffer_then(
        &self,
        buffer: &Buffer,
        path: impl AsRef<Path>,
        how: BufferRead,
        then: impl FnOnce(&Context) -> Result<()>,
    ) -> Result<()> {
        self.check_own(buffer.context(), "buffer")?;
        let read = ReadBuffer {
            id: buffer.id(),
            path: path_text(path.as_ref())?,
            starting_frame: how.starting_frame,
            frame_count: how.frame_count,
            buffer_starting_frame: how.buffer_starting_frame,
            leave_open: how.leave_open,
            completion: self.completion(then)?,
        };
        if how.channel_indices.is_empty() {
            self.submit(read)
        } else {
            self.submit(ReadBufferChannel { read, channel_indices: how.channel_indices })
        }
    }

    /// Writes a buffer to a sound file. `/b_write`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn write_buffer(
        &self,
        buffer: &Buffer,
        path: impl AsRef<Path>,
        how: BufferWrite,
    ) -> Result<()> {
        self.write_buffer_then(buffer, path, how, no_completion)
    }

    /// As [`Context::write_buffer`], with a completion.
    ///
    /// # Errors
    /// As [`Context::submit`], and those of `then`.
    pub fn write_buffer_then(
        &self,
        buffer: &Buffer,
        path: impl AsRef<Path>,
        how: BufferWrite,
        then: impl FnOnce(&Context) -> Result<()>,
    ) -> Result<()> {
        self.check_own(buffer.context(), "buffer")?;
        self.submit(WriteBuffer {
            id: buffer.id(),
            path: path_text(path.as_ref())?,
            header_format: how.header_format,
            sample_format: how.sample_format,
            frame_count: how.frame_count,
            starting_frame: how.starting_frame,
            leave_open: how.leave_open,
            completion: self.completion(then)?,
        })
    }

    /// Sets one sample. `/b_set`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn set_buffer(&self, buffer: &Buffer, index: u32, value: f32) -> Result<()> {
        self.check_own(buffer.context(), "buffer")?;
        self.submit(SetBuffer { id: buffer.id(), values: vec![(index, value)] })
    }

    /// Sets neighbouring samples, however many. `/b_setn`
    ///
    /// What does not fit into a datagram (about 16,000 samples) goes in several; the calling thread
    /// waits for none of them, as [`Context::submit`] says.
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn set_buffer_range(&self, buffer: &Buffer, start: u32, values: &[f32]) -> Result<()> {
        self.check_own(buffer.context(), "buffer")?;
        self.submit(SetBufferRange { id: buffer.id(), ranges: vec![(start, values.to_vec())] })
    }

    /// The values of at most [`GetBuffer::LIMIT`] samples. `/b_get`
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] above the limit, and as [`Context::submit`]; the future's are those
    /// of [`Pending`].
    pub fn ask_buffer(&self, buffer: &Buffer, indices: &[u32]) -> Result<Pending<Vec<(u32, f32)>>> {
        self.check_own(buffer.context(), "buffer")?;
        if indices.is_empty() {
            return Err(invalid("no sample was asked for"));
        }
        if indices.len() > GetBuffer::LIMIT {
            return Err(too_many(indices.len(), GetBuffer::LIMIT));
        }
        let request = GetBuffer { id: buffer.id(), indices: indices.to_vec() };
        self.ask_for(request, |message| parse_indexed(message, 1))
    }

    /// The values of at most [`GetBufferRange::LIMIT`] neighbouring samples. `/b_getn`
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] above the limit, and as [`Context::submit`].
    pub fn ask_buffer_range(
        &self,
        buffer: &Buffer,
        start: u32,
        count: u32,
    ) -> Result<Pending<Vec<f32>>> {
        self.check_own(buffer.context(), "buffer")?;
        if count > GetBufferRange::LIMIT {
            return Err(too_many(count as usize, GetBufferRange::LIMIT as usize));
        }
        let request = GetBufferRange { id: buffer.id(), start, count };
        self.ask_for(request, |message| parse_range(message, 2))
    }

    /// The size of a buffer. `/b_query`
    ///
    /// # Errors
    /// As [`Context::submit`]; the future's are those of [`Pending`].
    pub fn ask_buffer_info(&self, buffer: &Buffer) -> Result<Pending<BufferInfo>> {
        self.check_own(buffer.context(), "buffer")?;
        self.ask_for(QueryBuffers { ids: vec![buffer.id()] }, BufferInfo::parse)
    }
}
