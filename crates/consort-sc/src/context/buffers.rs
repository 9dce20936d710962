//! Operations on buffers.
//!
//! The server carries out most of them asynchronously, outside the audio thread. They come in two
//! forms: `x`, and `x_then` with a closure whose requests become the *completion*, which the server
//! performs when the operation is done.

use std::path::{Path, PathBuf};

use super::{Buffer, BufferGroup, Context, Release};
use crate::error::{Error, ErrorKind, Result};
use crate::pending::Pending;
use crate::queries::{BufferInfo, parse_indexed, parse_range};
use crate::requests::*;
use crate::sound_formats::check_sound_format;

/// The initial content of a buffer.
#[derive(Clone, Debug, PartialEq)]
pub enum BufferContent {
    /// Silence.
    Empty {
        /// The number of channels, at least 1.
        channel_count: u32,
        /// The number of frames, at least 1.
        frame_count: u32,
    },
    /// A sound file that the server can read.
    File {
        /// The file's path on the server's machine.
        path: PathBuf,
        /// The first frame to read, from 0.
        starting_frame: u32,
        /// The number of frames; `None` for all.
        frame_count: Option<u32>,
        /// The channels to read, from 0; empty for all.
        channel_indices: Vec<u32>,
    },
}

impl BufferContent {
    /// Silence of this size.
    pub fn empty(channel_count: u32, frame_count: u32) -> Self {
        BufferContent::Empty { channel_count, frame_count }
    }

    /// A whole sound file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        BufferContent::File {
            path: path.into(),
            starting_frame: 0,
            frame_count: None,
            channel_indices: Vec::new(),
        }
    }

    /// Rejects buffers without frames or channels.
    fn check(&self) -> Result<()> {
        match self {
            BufferContent::Empty { channel_count: 0, .. }
            | BufferContent::Empty { frame_count: 0, .. }
            | BufferContent::File { frame_count: Some(0), .. } => Err(empty_buffer()),
            _ => Ok(()),
        }
    }

    /// The request that allocates buffer `id` with this content.
    fn into_request(self, id: u32, completion: CompletionRequests) -> Result<Request> {
        Ok(match self {
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
}

/// How a sound file is read into an existing buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BufferRead {
    /// The first frame of the file to read, from 0.
    pub starting_frame: u32,
    /// The number of frames; `None` for as many as fit.
    pub frame_count: Option<u32>,
    /// The first frame of the buffer to write, from 0.
    pub buffer_starting_frame: u32,
    /// The channels of the file to read, from 0; empty for all.
    pub channel_indices: Vec<u32>,
    /// Whether to keep the file open, so that `DiskIn` can stream from it.
    pub leave_open: bool,
}

/// How a buffer is written to a sound file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BufferWrite {
    /// The file's format: `aiff`, `wav`, `w64`, `caf`, `flac`, `ogg` … (`mp3` is not among those
    /// of the server).
    pub header_format: String,
    /// The format of its samples: `int16`, `int24`, `float` …
    pub sample_format: String,
    /// The first frame of the buffer to write, from 0.
    pub starting_frame: u32,
    /// The number of frames; `None` for all.
    pub frame_count: Option<u32>,
    /// Whether to keep the file open, so that `DiskOut` can stream to it.
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

/// How many parts of a range of samples are requested at once.
const MAX_SAMPLE_REQUESTS: usize = 8;

/// A path as OSC carries it.
pub(super) fn path_text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        invalid(format!("cannot send the path {}: it is not valid UTF-8", path.display()))
    })
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

fn empty_buffer() -> Error {
    invalid("a buffer needs at least one frame and one channel")
}

fn too_many_samples(count: usize, limit: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!("cannot get {count} samples with one request; the limit is {limit}"),
    )
}

/// The completion of operations that have none.
fn no_completion(_: &Context) -> Result<()> {
    Ok(())
}

/// Defines, for each request that consists of a buffer's id and a completion, a method and its
/// twin with a completion.
macro_rules! buffer_operations {
    ($(
        $(#[$doc:meta])*
        fn $name:ident, fn $name_then:ident: $request:ident;
    )*) => {
        impl Context {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// Same as [`Context::submit`].
                pub fn $name(&self, buffer: &Buffer) -> Result<()> {
                    self.$name_then(buffer, no_completion)
                }

                #[doc = concat!("Like [`Context::", stringify!($name), "`], with a completion.")]
                ///
                /// # Errors
                /// Same as [`Context::submit`], and those of `then`.
                pub fn $name_then(
                    &self,
                    buffer: &Buffer,
                    then: impl FnOnce(&Context) -> Result<()>,
                ) -> Result<()> {
                    self.check_own(buffer.context(), "buffer")?;
                    let completion = self.collect_completion(then)?;
                    self.submit($request { id: buffer.id(), completion })
                }
            )*
        }
    };
}

buffer_operations! {
    /// Frees a buffer. Its id can be allocated again once the server has confirmed it. `/b_free`
    fn free_buffer, fn free_buffer_then: FreeBuffer;

    /// Closes the file that a buffer streams from or to. `/b_close`
    fn close_buffer, fn close_buffer_then: CloseBuffer;

    /// Sets every sample of a buffer to 0. `/b_zero`
    fn zero_buffer, fn zero_buffer_then: ZeroBuffer;
}

/// Buffers as a whole.
impl Context {
    /// Allocates a buffer: `/b_alloc`, `/b_allocRead` or `/b_allocReadChannel`.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`] if all ids are in use, [`ErrorKind::InvalidArgument`] for a size
    /// of 0, and as [`Context::submit`].
    pub fn add_buffer(&self, content: BufferContent) -> Result<Buffer> {
        self.add_buffer_then(content, |_, _| Ok(()))
    }

    /// Like [`Context::add_buffer`], with a completion: the server performs the requests of `then`
    /// when the buffer is allocated and filled.
    ///
    /// # Errors
    /// Same as [`Context::add_buffer`], and those of `then`.
    pub fn add_buffer_then(
        &self,
        content: BufferContent,
        then: impl FnOnce(&Context, &Buffer) -> Result<()>,
    ) -> Result<Buffer> {
        content.check()?;
        let id = self.shared().lock().buffers.allocate(1)?;
        let buffer = Buffer::new(self.immediate(), id);
        let allocated = Release::Buffers(id, 1);
        let request = self
            .collect_completion(|context| then(context, &buffer))
            .and_then(|completion| content.into_request(id, completion));
        match request {
            Ok(request) => {
                self.submit_with(request, None, None, Some(allocated))?;
                Ok(buffer)
            }
            Err(error) => {
                self.shared().release([allocated]);
                Err(error)
            }
        }
    }

    /// Allocates `count` empty buffers of one size with consecutive ids, by one bundle. `/b_alloc`
    ///
    /// # Errors
    /// Same as [`Context::add_buffer`].
    pub fn add_buffer_group(
        &self,
        count: u32,
        channel_count: u32,
        frame_count: u32,
    ) -> Result<BufferGroup> {
        BufferContent::empty(channel_count, frame_count).check()?;
        let first = self.shared().lock().buffers.allocate(count)?;
        let requests = (first..first + count).map(|id| {
            let completion = CompletionRequests::default();
            AllocateBuffer { id, frame_count, channel_count, completion }.into()
        });
        self.submit_all(requests.collect(), Some(Release::Buffers(first, count)))?;
        Ok(BufferGroup::new(self.immediate(), first, count))
    }

    /// Frees all buffers of a group, by one bundle. `/b_free`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn free_buffer_group(&self, group: &BufferGroup) -> Result<()> {
        self.check_own(group.context(), "buffer group")?;
        let free = |buffer: Buffer| {
            FreeBuffer { id: buffer.id(), completion: CompletionRequests::default() }.into()
        };
        self.submit_all(group.iter().map(free).collect(), None)
    }

    /// Reads a sound file into a buffer. `/b_read`, `/b_readChannel`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn read_buffer(
        &self,
        buffer: &Buffer,
        path: impl AsRef<Path>,
        read: BufferRead,
    ) -> Result<()> {
        self.read_buffer_then(buffer, path, read, no_completion)
    }

    /// Like [`Context::read_buffer`], with a completion.
    ///
    /// # Errors
    /// Same as [`Context::submit`], and those of `then`.
    pub fn read_buffer_then(
        &self,
        buffer: &Buffer,
        path: impl AsRef<Path>,
        read: BufferRead,
        then: impl FnOnce(&Context) -> Result<()>,
    ) -> Result<()> {
        self.check_own(buffer.context(), "buffer")?;
        let request = ReadBuffer {
            id: buffer.id(),
            path: path_text(path.as_ref())?,
            starting_frame: read.starting_frame,
            frame_count: read.frame_count,
            buffer_starting_frame: read.buffer_starting_frame,
            leave_open: read.leave_open,
            completion: self.collect_completion(then)?,
        };
        if read.channel_indices.is_empty() {
            self.submit(request)
        } else {
            let channel_indices = read.channel_indices;
            self.submit(ReadBufferChannel { read: request, channel_indices })
        }
    }

    /// Writes a buffer to a sound file. `/b_write`
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a format that the server cannot write, and as
    /// [`Context::submit`].
    pub fn write_buffer(
        &self,
        buffer: &Buffer,
        path: impl AsRef<Path>,
        write: BufferWrite,
    ) -> Result<()> {
        self.write_buffer_then(buffer, path, write, no_completion)
    }

    /// Like [`Context::write_buffer`], with a completion.
    ///
    /// # Errors
    /// Same as [`Context::write_buffer`], and those of `then`.
    pub fn write_buffer_then(
        &self,
        buffer: &Buffer,
        path: impl AsRef<Path>,
        write: BufferWrite,
        then: impl FnOnce(&Context) -> Result<()>,
    ) -> Result<()> {
        self.check_own(buffer.context(), "buffer")?;
        check_sound_format(&write.header_format, &write.sample_format)?;
        self.submit(WriteBuffer {
            id: buffer.id(),
            path: path_text(path.as_ref())?,
            header_format: write.header_format,
            sample_format: write.sample_format,
            frame_count: write.frame_count,
            starting_frame: write.starting_frame,
            leave_open: write.leave_open,
            completion: self.collect_completion(then)?,
        })
    }

    /// Asks for the size of a buffer. `/b_query`
    ///
    /// # Errors
    /// Same as [`Context::submit`]; the future's errors are those of [`Pending`].
    pub fn ask_buffer_info(&self, buffer: &Buffer) -> Result<Pending<BufferInfo>> {
        self.check_own(buffer.context(), "buffer")?;
        self.ask_for(QueryBuffers { ids: vec![buffer.id()] }, BufferInfo::parse)
    }
}

/// Samples of buffers. The channels of a buffer are interleaved: the sample of a channel in a
/// frame has the index `frame * channel count + channel`.
impl Context {
    /// Copies frames from one buffer to another with the same number of channels; a `frame_count`
    /// of `None` copies as many as fit. `/b_gen copy`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
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

    /// Sets `count` samples, starting at index `start`, to `value`. `/b_fill`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn fill_buffer(&self, buffer: &Buffer, start: u32, count: u32, value: f32) -> Result<()> {
        self.check_own(buffer.context(), "buffer")?;
        self.submit(FillBuffer { id: buffer.id(), ranges: vec![(start, count, value)] })
    }

    /// Fills a buffer with a waveform. `normalize` scales its peak to 1, `as_wavetable` writes the
    /// format that `Osc` reads, and without `clear_first` the waveform is added to the buffer's
    /// content. `/b_gen sine1`, `sine2`, `sine3`, `cheby`
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
        if waveform.is_empty() {
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

    /// Scales a buffer so that its peak is `new_maximum`. `/b_gen normalize`, `wnormalize`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn normalize_buffer(
        &self,
        buffer: &Buffer,
        new_maximum: f32,
        as_wavetable: bool,
    ) -> Result<()> {
        self.check_own(buffer.context(), "buffer")?;
        self.submit(NormalizeBuffer { id: buffer.id(), as_wavetable, new_maximum })
    }

    /// Sets one sample. `/b_set`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn set_buffer(&self, buffer: &Buffer, index: u32, value: f32) -> Result<()> {
        self.check_own(buffer.context(), "buffer")?;
        self.submit(SetBuffer { id: buffer.id(), values: vec![(index, value)] })
    }

    /// Sets any number of consecutive samples from index `start` on. `/b_setn`
    ///
    /// About 16,000 samples fit into one datagram; more of them go out in several datagrams. The
    /// calling thread does not wait for them, as described at [`Context::submit`].
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn set_buffer_range(&self, buffer: &Buffer, start: u32, values: &[f32]) -> Result<()> {
        self.check_own(buffer.context(), "buffer")?;
        self.submit(SetBufferRange { id: buffer.id(), ranges: vec![(start, values.to_vec())] })
    }

    /// Asks for the values of at most [`GetBuffer::MAX_SAMPLES`] samples. `/b_get`
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] above the limit, and as [`Context::submit`]; the future's errors are
    /// those of [`Pending`].
    pub fn ask_buffer(&self, buffer: &Buffer, indices: &[u32]) -> Result<Pending<Vec<(u32, f32)>>> {
        self.check_own(buffer.context(), "buffer")?;
        if indices.is_empty() {
            return Err(invalid("expected at least one sample index"));
        }
        if indices.len() > GetBuffer::MAX_SAMPLES {
            return Err(too_many_samples(indices.len(), GetBuffer::MAX_SAMPLES));
        }
        let request = GetBuffer { id: buffer.id(), indices: indices.to_vec() };
        self.ask_for(request, |message| parse_indexed(message, 1))
    }

    /// Asks for the values of at most [`GetBufferRange::MAX_SAMPLES`] consecutive samples.
    /// `/b_getn`
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] above the limit, and as [`Context::submit`]; the future's errors are
    /// those of [`Pending`].
    pub fn ask_buffer_range(
        &self,
        buffer: &Buffer,
        start: u32,
        count: u32,
    ) -> Result<Pending<Vec<f32>>> {
        self.check_own(buffer.context(), "buffer")?;
        if count > GetBufferRange::MAX_SAMPLES {
            return Err(too_many_samples(count as usize, GetBufferRange::MAX_SAMPLES as usize));
        }
        let request = GetBufferRange { id: buffer.id(), start, count };
        self.ask_for(request, |message| parse_range(message, 2))
    }

    /// The values of any number of samples, requested in parts that fit into a reply. The requests
    /// are sent at once, even on a moment.
    pub(crate) async fn buffer_samples(
        &self,
        buffer: &Buffer,
        indices: &[u32],
    ) -> Result<Vec<(u32, f32)>> {
        let context = self.immediate();
        if indices.len() <= GetBuffer::MAX_SAMPLES {
            return context.ask_buffer(buffer, indices)?.await;
        }
        let mut values = Vec::new();
        for part in indices.chunks(GetBuffer::MAX_SAMPLES) {
            values.extend(context.ask_buffer(buffer, part)?.await?);
        }
        Ok(values)
    }

    /// As [`buffer_samples`](Self::buffer_samples), for consecutive samples.
    pub(crate) async fn buffer_range(
        &self,
        buffer: &Buffer,
        start: u32,
        count: u32,
    ) -> Result<Vec<f32>> {
        let context = self.immediate();
        let mut values = Vec::new();
        let mut next = start;
        let end = start
            .checked_add(count)
            .ok_or_else(|| invalid("the range of samples ends above 2^32"))?;
        while next < end {
            let mut parts = Vec::new();
            while next < end && parts.len() < MAX_SAMPLE_REQUESTS {
                let count = (end - next).min(GetBufferRange::MAX_SAMPLES);
                parts.push(context.ask_buffer_range(buffer, next, count)?);
                next += count;
            }
            for part in parts {
                values.extend(part.await?);
            }
        }
        Ok(values)
    }
}
