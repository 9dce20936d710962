//! Requests about the samples of buffers.
//!
//! Samples are counted from 0, with the channels interleaved: the sample of a channel in a frame has
//! the index `frame * channel count + channel`.

use super::buffers::frames;
use super::{Command, ReplyPattern, range_tags, split_list, split_ranges, write_ids, write_ranges};
use crate::wire::Writer;

/// `/b_set`: sets samples.
#[derive(Clone, Debug, PartialEq)]
pub struct SetBuffer {
    /// The buffer's id.
    pub id: u32,
    /// Sample indices, each with its value.
    pub values: Vec<(u32, f32)>,
}

impl Command for SetBuffer {
    merges!(values, same id);
    splits!(values by split_list, same id);

    fn address(&self) -> &str {
        "/b_set"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id as i32);
        for (index, value) in &self.values {
            writer.int(*index as i32).float(*value);
        }
    }
    fn tag_count(&self) -> usize {
        1 + self.values.len() * 2
    }
}

/// `/b_setn`: sets consecutive samples.
#[derive(Clone, Debug, PartialEq)]
pub struct SetBufferRange {
    /// The buffer's id.
    pub id: u32,
    /// First sample indices, each with the values for it and for those that follow.
    pub ranges: Vec<(u32, Vec<f32>)>,
}

impl Command for SetBufferRange {
    merges!(ranges, same id);
    splits!(ranges by split_ranges, same id);

    fn address(&self) -> &str {
        "/b_setn"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id as i32);
        write_ranges(writer, &self.ranges);
    }
    fn tag_count(&self) -> usize {
        1 + range_tags(&self.ranges)
    }
}

/// `/b_fill`: sets consecutive samples to one value.
#[derive(Clone, Debug, PartialEq)]
pub struct FillBuffer {
    /// The buffer's id.
    pub id: u32,
    /// First sample indices, each with the number of samples and the value.
    pub ranges: Vec<(u32, u32, f32)>,
}

impl Command for FillBuffer {
    merges!(ranges, same id);
    splits!(ranges by split_list, same id);

    fn address(&self) -> &str {
        "/b_fill"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id as i32);
        for (start, count, value) in &self.ranges {
            writer.int(*start as i32).int(*count as i32).float(*value);
        }
    }
    fn tag_count(&self) -> usize {
        1 + self.ranges.len() * 3
    }
}

/// The waveform that [`GenerateBuffer`] computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Waveform {
    /// `sine1`: a sum of harmonics with phase 0.
    Sine1 {
        /// The amplitudes of the harmonics 1, 2, 3 …
        amplitudes: Vec<f32>,
    },
    /// `sine2`: a sum of partials with phase 0.
    Sine2 {
        /// Frequencies, in cycles per buffer, each with its amplitude.
        partials: Vec<(f32, f32)>,
    },
    /// `sine3`: a sum of partials.
    Sine3 {
        /// Frequencies, in cycles per buffer, each with its amplitude and its phase in radians.
        partials: Vec<(f32, f32, f32)>,
    },
    /// `cheby`: a sum of Chebyshev polynomials, as a transfer function for `Shaper`.
    Cheby {
        /// The amplitudes of the polynomials of degree 1, 2, 3 …
        amplitudes: Vec<f32>,
    },
}

impl Waveform {
    /// Whether the waveform has no partials.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Waveform::Sine1 { amplitudes } | Waveform::Cheby { amplitudes } => {
                amplitudes.is_empty()
            }
            Waveform::Sine2 { partials } => partials.is_empty(),
            Waveform::Sine3 { partials } => partials.is_empty(),
        }
    }

    /// The name of the server's generator.
    fn generator(&self) -> &'static str {
        match self {
            Waveform::Sine1 { .. } => "sine1",
            Waveform::Sine2 { .. } => "sine2",
            Waveform::Sine3 { .. } => "sine3",
            Waveform::Cheby { .. } => "cheby",
        }
    }
}

/// `/b_gen` with `sine1`, `sine2`, `sine3` or `cheby`: fills a buffer with a waveform.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateBuffer {
    /// The buffer's id.
    pub id: u32,
    /// The waveform.
    pub waveform: Waveform,
    /// Whether to scale the peak to 1.
    pub normalize: bool,
    /// Whether to write the wavetable format that `Osc` and `Shaper` read; the buffer's size then
    /// has to be a power of two.
    pub as_wavetable: bool,
    /// Whether to clear the buffer first, instead of adding to its content.
    pub clear_first: bool,
}

impl Command for GenerateBuffer {
    confirmed!("/b_gen", id);

    fn write_arguments(&self, writer: &mut Writer<'_>) {
        let flags = i32::from(self.normalize)
            + 2 * i32::from(self.as_wavetable)
            + 4 * i32::from(self.clear_first);
        writer.int(self.id as i32).string(self.waveform.generator()).int(flags);
        match &self.waveform {
            Waveform::Sine1 { amplitudes } | Waveform::Cheby { amplitudes } => {
                for amplitude in amplitudes {
                    writer.float(*amplitude);
                }
            }
            Waveform::Sine2 { partials } => {
                for (frequency, amplitude) in partials {
                    writer.float(*frequency).float(*amplitude);
                }
            }
            Waveform::Sine3 { partials } => {
                for (frequency, amplitude, phase) in partials {
                    writer.float(*frequency).float(*amplitude).float(*phase);
                }
            }
        }
    }
}

/// `/b_gen` with `normalize` or `wnormalize`: scales a buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormalizeBuffer {
    /// The buffer's id.
    pub id: u32,
    /// Whether the buffer is in wavetable format.
    pub as_wavetable: bool,
    /// The absolute value of the new peak.
    pub new_maximum: f32,
}

impl Command for NormalizeBuffer {
    confirmed!("/b_gen", id);

    fn write_arguments(&self, writer: &mut Writer<'_>) {
        let name = if self.as_wavetable { "wnormalize" } else { "normalize" };
        writer.int(self.id as i32).string(name).float(self.new_maximum);
    }
}

/// `/b_gen` with `copy`: copies frames between buffers with the same number of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyBuffer {
    /// The id of the buffer that is written.
    pub target_id: u32,
    /// The first frame to write.
    pub target_starting_frame: u32,
    /// The id of the buffer that is read.
    pub source_id: u32,
    /// The first frame to read.
    pub source_starting_frame: u32,
    /// The number of frames; `None` for as many as fit.
    pub frame_count: Option<u32>,
}

impl Command for CopyBuffer {
    confirmed!("/b_gen", target_id);

    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer
            .int(self.target_id as i32)
            .string("copy")
            .int(self.target_starting_frame as i32)
            .int(self.source_id as i32)
            .int(self.source_starting_frame as i32)
            .int(frames(self.frame_count));
    }
}

/// `/b_get`: asks for the values of samples. Answered by `/b_set`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetBuffer {
    /// The buffer's id.
    pub id: u32,
    /// The indices of the samples.
    pub indices: Vec<u32>,
}

impl GetBuffer {
    /// The most samples that this crate asks for in one request. scsynth does not reply for more
    /// than about 6,000, because the reply would not fit into its buffer.
    pub const MAX_SAMPLES: usize = 4_096;
}

impl Command for GetBuffer {
    fn address(&self) -> &str {
        "/b_get"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id as i32);
        write_ids(writer, &self.indices);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        let first = self.indices.first().copied().unwrap_or(0);
        Some(ReplyPattern::new("/b_set", [(self.id as i32).into(), (first as i32).into()]))
    }
    fn tag_count(&self) -> usize {
        1 + self.indices.len()
    }
}

/// `/b_getn`: asks for the values of consecutive samples. Answered by `/b_setn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetBufferRange {
    /// The buffer's id.
    pub id: u32,
    /// The index of the first sample.
    pub start: u32,
    /// The number of samples; scsynth 3.13 replies with at most 12,999.
    pub count: u32,
}

impl GetBufferRange {
    /// The most samples that this crate asks for in one request; the reply buffer of scsynth 3.13
    /// holds 12,999.
    pub const MAX_SAMPLES: u32 = 8_192;
}

impl Command for GetBufferRange {
    fn address(&self) -> &str {
        "/b_getn"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id as i32).int(self.start as i32).int(self.count as i32);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::new("/b_setn", [(self.id as i32).into(), (self.start as i32).into()]))
    }
}
