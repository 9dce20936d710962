//! Requests about buffers as a whole, and about their sound files. Frames are counted from 0; a
//! frame count of -1 means "as many as there are".

use super::{Command, CompletionRequests, ReplyPattern};
use crate::wire::Writer;

/// `/b_alloc`: make an empty buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocateBuffer {
    /// The buffer's id.
    pub id: u32,
    /// Frames.
    pub frame_count: u32,
    /// Channels.
    pub channel_count: u32,
    /// Performed when done.
    pub completion: CompletionRequests,
}

impl Command for AllocateBuffer {
    fn address(&self) -> &str {
        "/b_alloc"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id as i32).int(self.frame_count as i32).int(self.channel_count as i32);
        self.completion.write(writer);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::done_with("/b_alloc", self.id))
    }
}

/// `/b_allocRead`: make a buffer with the content of a sound file.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocateReadBuffer {
    /// The buffer's id.
    pub id: u32,
    /// The file on the server's machine.
    pub path: String,
    /// First frame of the file.
    pub starting_frame: u32,
    /// Frames; 0 for all.
    pub frame_count: u32,
    /// Performed when done.
    pub completion: CompletionRequests,
}

impl Command for AllocateReadBuffer {
    fn address(&self) -> &str {
        "/b_allocRead"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer
            .int(self.id as i32)
            .string(&self.path)
            .int(self.starting_frame as i32)
            .int(self.frame_count as i32);
        self.completion.write(writer);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::done_with("/b_allocRead", self.id))
    }
}

/// `/b_allocReadChannel`: make a buffer with some channels of a sound file.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocateReadBufferChannel {
    /// The buffer's id.
    pub id: u32,
    /// The file on the server's machine.
    pub path: String,
    /// First frame of the file.
    pub starting_frame: u32,
    /// Frames; 0 for all.
    pub frame_count: u32,
    /// The file's channels to read.
    pub channel_indices: Vec<u32>,
    /// Performed when done.
    pub completion: CompletionRequests,
}

impl Command for AllocateReadBufferChannel {
    fn address(&self) -> &str {
        "/b_allocReadChannel"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer
            .int(self.id as i32)
            .string(&self.path)
            .int(self.starting_frame as i32)
            .int(self.frame_count as i32);
        for index in &self.channel_indices {
            writer.int(*index as i32);
        }
        self.completion.write(writer);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::done_with("/b_allocReadChannel", self.id))
    }
}

/// `/b_read`: read a sound file into a buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadBuffer {
    /// The buffer's id.
    pub id: u32,
    /// The file on the server's machine.
    pub path: String,
    /// First frame of the file.
    pub starting_frame: u32,
    /// Frames; `None` for all that fit.
    pub frame_count: Option<u32>,
    /// First frame of the buffer.
    pub buffer_starting_frame: u32,
    /// Keep the file open, for streaming from disk.
    pub leave_open: bool,
    /// Performed when done.
    pub completion: CompletionRequests,
}

pub(super) fn frames(count: Option<u32>) -> i32 {
    count.map_or(-1, |count| count as i32)
}

impl Command for ReadBuffer {
    fn address(&self) -> &str {
        "/b_read"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer
            .int(self.id as i32)
            .string(&self.path)
            .int(self.starting_frame as i32)
            .int(frames(self.frame_count))
            .int(self.buffer_starting_frame as i32)
            .int(self.leave_open.into());
        self.completion.write(writer);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::done_with("/b_read", self.id))
    }
}

/// `/b_readChannel`: read some channels of a sound file into a buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadBufferChannel {
    /// What [`ReadBuffer`] says.
    pub read: ReadBuffer,
    /// The file's channels to read.
    pub channel_indices: Vec<u32>,
}

impl Command for ReadBufferChannel {
    fn address(&self) -> &str {
        "/b_readChannel"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        let read = &self.read;
        writer
            .int(read.id as i32)
            .string(&read.path)
            .int(read.starting_frame as i32)
            .int(frames(read.frame_count))
            .int(read.buffer_starting_frame as i32)
            .int(read.leave_open.into());
        for index in &self.channel_indices {
            writer.int(*index as i32);
        }
        read.completion.write(writer);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::done_with("/b_readChannel", self.read.id))
    }
}

/// `/b_write`: write a buffer to a sound file.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteBuffer {
    /// The buffer's id.
    pub id: u32,
    /// The file on the server's machine.
    pub path: String,
    /// `aiff`, `wav`, `w64`, `flac`, `caf` …
    pub header_format: String,
    /// `int16`, `int24`, `int32`, `float` …
    pub sample_format: String,
    /// Frames; `None` for all.
    pub frame_count: Option<u32>,
    /// First frame of the buffer.
    pub starting_frame: u32,
    /// Keep the file open, for streaming to disk.
    pub leave_open: bool,
    /// Performed when done.
    pub completion: CompletionRequests,
}

impl Command for WriteBuffer {
    fn address(&self) -> &str {
        "/b_write"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
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
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::done_with("/b_write", self.id))
    }
}

macro_rules! with_completion {
    ($(#[$doc:meta])* $name:ident, $address:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            /// The buffer's id.
            pub id: u32,
            /// Performed when done.
            pub completion: CompletionRequests,
        }

        impl Command for $name {
            fn address(&self) -> &str {
                $address
            }
            fn arguments(&self, writer: &mut Writer<'_>) {
                writer.int(self.id as i32);
                self.completion.write(writer);
            }
            fn reply(&self) -> Option<ReplyPattern> {
                Some(ReplyPattern::done_with($address, self.id))
            }
        }
    };
}

with_completion!(
    /// `/b_free`: free a buffer.
    FreeBuffer, "/b_free"
);
with_completion!(
    /// `/b_zero`: set every sample to 0.
    ZeroBuffer, "/b_zero"
);
with_completion!(
    /// `/b_close`: close the file that a buffer streams from or to.
    CloseBuffer, "/b_close"
);

/// `/b_query`: frames, channels and sample rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryBuffers {
    /// Buffer ids.
    pub ids: Vec<u32>,
}

impl Command for QueryBuffers {
    fn address(&self) -> &str {
        "/b_query"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        for id in &self.ids {
            writer.int(*id as i32);
        }
    }
    fn reply(&self) -> Option<ReplyPattern> {
        self.ids.first().map(|id| ReplyPattern::new("/b_info", [(*id as i32).into()]))
    }
    fn tags(&self) -> usize {
        self.ids.len()
    }
}
