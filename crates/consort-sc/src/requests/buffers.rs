//! Requests about whole buffers and their sound files.
//!
//! Frames are counted from 0. All of these requests but `/b_query` are asynchronous: the server
//! carries them out outside the audio thread and then sends `/done`.

use super::{Command, CompletionRequests, ReplyPattern, write_ids};
use crate::wire::Writer;

/// `/b_alloc`: allocates an empty buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocateBuffer {
    /// The buffer's id.
    pub id: u32,
    /// The number of frames, at least 1.
    pub frame_count: u32,
    /// The number of channels, at least 1.
    pub channel_count: u32,
    /// Requests that the server performs when the buffer is allocated.
    pub completion: CompletionRequests,
}

impl Command for AllocateBuffer {
    confirmed!("/b_alloc", id);
    completes!(completion);

    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id as i32).int(self.frame_count as i32).int(self.channel_count as i32);
        self.completion.write(writer);
    }
}

/// `/b_allocRead`: allocates a buffer and reads a sound file into it.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocateReadBuffer {
    /// The buffer's id.
    pub id: u32,
    /// The file's path on the server's machine.
    pub path: String,
    /// The first frame of the file to read.
    pub starting_frame: u32,
    /// The number of frames; 0 for all.
    pub frame_count: u32,
    /// Requests that the server performs when the file is read.
    pub completion: CompletionRequests,
}

impl Command for AllocateReadBuffer {
    confirmed!("/b_allocRead", id);
    completes!(completion);

    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer
            .int(self.id as i32)
            .string(&self.path)
            .int(self.starting_frame as i32)
            .int(self.frame_count as i32);
        self.completion.write(writer);
    }
}

/// `/b_allocReadChannel`: allocates a buffer and reads some channels of a sound file into it.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocateReadBufferChannel {
    /// The buffer's id.
    pub id: u32,
    /// The file's path on the server's machine.
    pub path: String,
    /// The first frame of the file to read.
    pub starting_frame: u32,
    /// The number of frames; 0 for all.
    pub frame_count: u32,
    /// The channels of the file to read, from 0. They become the buffer's channels in this order.
    pub channel_indices: Vec<u32>,
    /// Requests that the server performs when the file is read.
    pub completion: CompletionRequests,
}

impl Command for AllocateReadBufferChannel {
    confirmed!("/b_allocReadChannel", id);
    completes!(completion);

    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer
            .int(self.id as i32)
            .string(&self.path)
            .int(self.starting_frame as i32)
            .int(self.frame_count as i32);
        write_ids(writer, &self.channel_indices);
        self.completion.write(writer);
    }
}

/// `/b_read`: reads a sound file into an existing buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadBuffer {
    /// The buffer's id.
    pub id: u32,
    /// The file's path on the server's machine.
    pub path: String,
    /// The first frame of the file to read.
    pub starting_frame: u32,
    /// The number of frames; `None` for as many as fit.
    pub frame_count: Option<u32>,
    /// The first frame of the buffer to write.
    pub buffer_starting_frame: u32,
    /// Whether to keep the file open, so that `DiskIn` can stream from it.
    pub leave_open: bool,
    /// Requests that the server performs when the file is read.
    pub completion: CompletionRequests,
}

/// A number of frames, where the server takes -1 for all.
pub(super) fn frames(count: Option<u32>) -> i32 {
    count.map_or(-1, |count| count as i32)
}

impl ReadBuffer {
    /// Writes the arguments that `/b_readChannel` shares.
    fn write_file_arguments(&self, writer: &mut Writer<'_>) {
        writer
            .int(self.id as i32)
            .string(&self.path)
            .int(self.starting_frame as i32)
            .int(frames(self.frame_count))
            .int(self.buffer_starting_frame as i32)
            .int(self.leave_open.into());
    }
}

impl Command for ReadBuffer {
    confirmed!("/b_read", id);
    completes!(completion);

    fn write_arguments(&self, writer: &mut Writer<'_>) {
        self.write_file_arguments(writer);
        self.completion.write(writer);
    }
}

/// `/b_readChannel`: reads some channels of a sound file into an existing buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadBufferChannel {
    /// The buffer, the file, and the part that is read.
    pub read: ReadBuffer,
    /// The channels of the file to read, from 0. Their number has to be that of the buffer's
    /// channels.
    pub channel_indices: Vec<u32>,
}

impl Command for ReadBufferChannel {
    confirmed!("/b_readChannel", read.id);
    completes!(read.completion);

    fn write_arguments(&self, writer: &mut Writer<'_>) {
        self.read.write_file_arguments(writer);
        write_ids(writer, &self.channel_indices);
        self.read.completion.write(writer);
    }
}

/// `/b_write`: writes a buffer to a sound file.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteBuffer {
    /// The buffer's id.
    pub id: u32,
    /// The file's path on the server's machine.
    pub path: String,
    /// The file's format: `aiff`, `wav`, `w64`, `flac`, `caf` …
    pub header_format: String,
    /// The format of its samples: `int16`, `int24`, `int32`, `float` …
    pub sample_format: String,
    /// The number of frames; `None` for all.
    pub frame_count: Option<u32>,
    /// The first frame of the buffer to write.
    pub starting_frame: u32,
    /// Whether to keep the file open, so that `DiskOut` can stream to it.
    pub leave_open: bool,
    /// Requests that the server performs when the file is written.
    pub completion: CompletionRequests,
}

impl Command for WriteBuffer {
    confirmed!("/b_write", id);
    completes!(completion);

    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer
            .int(self.id as i32)
            .string(&self.path)
            .string(&self.header_format)
            .string(&self.sample_format)
            .int(frames(self.frame_count))
            .int(self.starting_frame as i32)
            .int(self.leave_open.into());
        self.completion.write(writer);
    }
}

/// Defines a request that consists of a buffer's id and a completion.
macro_rules! with_completion {
    ($(#[$doc:meta])* $name:ident, $address:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            /// The buffer's id.
            pub id: u32,
            /// Requests that the server performs afterwards.
            pub completion: CompletionRequests,
        }

        impl Command for $name {
            confirmed!($address, id);
            completes!(completion);

            fn write_arguments(&self, writer: &mut Writer<'_>) {
                writer.int(self.id as i32);
                self.completion.write(writer);
            }
        }
    };
}

with_completion!(
    /// `/b_free`: frees a buffer.
    FreeBuffer, "/b_free"
);
with_completion!(
    /// `/b_zero`: sets every sample to 0.
    ZeroBuffer, "/b_zero"
);
with_completion!(
    /// `/b_close`: closes the file that a buffer streams from or to.
    CloseBuffer, "/b_close"
);

/// `/b_query`: asks for the frames, channels and sample rates of buffers. Answered by `/b_info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryBuffers {
    /// The buffers' ids.
    pub ids: Vec<u32>,
}

impl Command for QueryBuffers {
    fn address(&self) -> &str {
        "/b_query"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        write_ids(writer, &self.ids);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        self.ids.first().map(|id| ReplyPattern::new("/b_info", [(*id as i32).into()]))
    }
    fn tag_count(&self) -> usize {
        self.ids.len()
    }
}
