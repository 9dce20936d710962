//! Requests about the samples in buffers, counted from 0.

use super::{Command, ReplyPattern, buffers::frames, buses::cut_ranges, cut};
use crate::wire::Writer;

/// `/b_set`: set samples.
#[derive(Clone, Debug, PartialEq)]
pub struct SetBuffer {
    /// The buffer's id.
    pub id: u32,
    /// Sample indices and values.
    pub values: Vec<(u32, f32)>,
}

impl Command for SetBuffer {
    fn address(&self) -> &str {
        "/b_set"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id as i32);
        for (index, value) in &self.values {
            writer.int(*index as i32).float(*value);
        }
    }
    fn merge(&mut self, other: &Self) -> bool {
        if self.id != other.id {
            return false;
        }
        self.values.extend_from_slice(&other.values);
        true
    }
    fn halves(&self) -> Option<(Self, Self)> {
        let id = self.id;
        cut(&self.values)
            .map(|(first, second)| (Self { id, values: first }, Self { id, values: second }))
    }
    fn tags(&self) -> usize {
        1 + self.values.len() * 2
    }
}

/// `/b_setn`: set neighbouring samples.
#[derive(Clone, Debug, PartialEq)]
pub struct SetBufferRange {
    /// The buffer's id.
    pub id: u32,
    /// First samples, each with the values for it and for those that follow.
    pub ranges: Vec<(u32, Vec<f32>)>,
}

impl Command for SetBufferRange {
    fn address(&self) -> &str {
        "/b_setn"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id as i32);
        for (start, values) in &self.ranges {
            writer.int(*start as i32).int(values.len() as i32);
            for value in values {
                writer.float(*value);
            }
        }
    }
    fn merge(&mut self, other: &Self) -> bool {
        if self.id != other.id {
            return false;
        }
        self.ranges.extend_from_slice(&other.ranges);
        true
    }
    fn halves(&self) -> Option<(Self, Self)> {
        let id = self.id;
        cut_ranges(&self.ranges)
            .map(|[first, second]| (Self { id, ranges: first }, Self { id, ranges: second }))
    }
    fn tags(&self) -> usize {
        1 + self.ranges.iter().map(|(_, values)| 2 + values.len()).sum::<usize>()
    }
}

/// `/b_fill`: set neighbouring samples to one value.
#[derive(Clone, Debug, PartialEq)]
pub struct FillBuffer {
    /// The buffer's id.
    pub id: u32,
    /// First samples, each with a count and the value.
    pub ranges: Vec<(u32, u32, f32)>,
}

impl Command for FillBuffer {
    fn address(&self) -> &str {
        "/b_fill"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id as i32);
        for (start, count, value) in &self.ranges {
            writer.int(*start as i32).int(*count as i32).float(*value);
        }
    }
    fn merge(&mut self, other: &Self) -> bool {
        if self.id != other.id {
            return false;
        }
        self.ranges.extend_from_slice(&other.ranges);
        true
    }
    fn halves(&self) -> Option<(Self, Self)> {
        let id = self.id;
        cut(&self.ranges)
            .map(|(first, second)| (Self { id, ranges: first }, Self { id, ranges: second }))
    }
    fn tags(&self) -> usize {
        1 + self.ranges.len() * 3
    }
}

/// What [`GenerateBuffer`] fills a buffer with.
#[derive(Clone, Debug, PartialEq)]
pub enum Waveform {
    /// Harmonics by amplitude.
    Sine1 {
        /// Amplitudes of the harmonics 1, 2, 3 …
        amplitudes: Vec<f32>,
    },
    /// Partials by frequency (in cycles a buffer) and amplitude.
    Sine2 {
        /// Frequencies and amplitudes.
        partials: Vec<(f32, f32)>,
    },
    /// Partials by frequency, amplitude and phase (in radians).
    Sine3 {
        /// Frequencies, amplitudes and phases.
        partials: Vec<(f32, f32, f32)>,
    },
    /// Chebyshev polynomials by amplitude.
    Cheby {
        /// Amplitudes of the polynomials 1, 2, 3 …
        amplitudes: Vec<f32>,
    },
}

/// `/b_gen` with `sine1`, `sine2`, `sine3` or `cheby`.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateBuffer {
    /// The buffer's id.
    pub id: u32,
    /// What to generate.
    pub waveform: Waveform,
    /// Bring the peak to 1.
    pub normalize: bool,
    /// Write the wavetable format that oscillators read.
    pub as_wavetable: bool,
    /// Clear the buffer first, instead of adding to it.
    pub clear_first: bool,
}

impl Command for GenerateBuffer {
    fn address(&self) -> &str {
        "/b_gen"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        let flags = i32::from(self.normalize)
            + 2 * i32::from(self.as_wavetable)
            + 4 * i32::from(self.clear_first);
        let name = match &self.waveform {
            Waveform::Sine1 { .. } => "sine1",
            Waveform::Sine2 { .. } => "sine2",
            Waveform::Sine3 { .. } => "sine3",
            Waveform::Cheby { .. } => "cheby",
        };
        writer.int(self.id as i32).string(name).int(flags);
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
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::done_with("/b_gen", self.id))
    }
}

/// `/b_gen` with `normalize` or `wnormalize`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormalizeBuffer {
    /// The buffer's id.
    pub id: u32,
    /// The buffer is in wavetable format.
    pub as_wavetable: bool,
    /// The new peak.
    pub new_maximum: f32,
}

impl Command for NormalizeBuffer {
    fn address(&self) -> &str {
        "/b_gen"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        let name = if self.as_wavetable { "wnormalize" } else { "normalize" };
        writer.int(self.id as i32).string(name).float(self.new_maximum);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::done_with("/b_gen", self.id))
    }
}

/// `/b_gen` with `copy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyBuffer {
    /// The buffer that is written.
    pub target_id: u32,
    /// Its first sample.
    pub target_starting_frame: u32,
    /// The buffer that is read.
    pub source_id: u32,
    /// Its first sample.
    pub source_starting_frame: u32,
    /// Samples; `None` for all that fit.
    pub frame_count: Option<u32>,
}

impl Command for CopyBuffer {
    fn address(&self) -> &str {
        "/b_gen"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer
            .int(self.target_id as i32)
            .string("copy")
            .int(self.target_starting_frame as i32)
            .int(self.source_id as i32)
            .int(self.source_starting_frame as i32)
            .int(frames(self.frame_count));
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::done_with("/b_gen", self.target_id))
    }
}

/// `/b_get`: the values of samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetBuffer {
    /// The buffer's id.
    pub id: u32,
    /// Sample indices.
    pub indices: Vec<u32>,
}

impl GetBuffer {
    /// The most samples that are asked for at once; the answers to more than about 6,000 would not
    /// fit into scsynth's reply buffer, and never come.
    pub const LIMIT: usize = 4_096;
}

impl Command for GetBuffer {
    fn address(&self) -> &str {
        "/b_get"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id as i32);
        for index in &self.indices {
            writer.int(*index as i32);
        }
    }
    fn reply(&self) -> Option<ReplyPattern> {
        let first = self.indices.first().copied().unwrap_or(0);
        Some(ReplyPattern::new("/b_set", [(self.id as i32).into(), (first as i32).into()]))
    }
    fn tags(&self) -> usize {
        1 + self.indices.len()
    }
}

/// `/b_getn`: the values of neighbouring samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetBufferRange {
    /// The buffer's id.
    pub id: u32,
    /// The first sample.
    pub start: u32,
    /// How many; scsynth 3.13 answers at most 12,999 at once.
    pub count: u32,
}

impl GetBufferRange {
    /// The most samples that are asked for at once; scsynth 3.13's reply buffer ends at 12,999.
    pub const LIMIT: u32 = 8_192;
}

impl Command for GetBufferRange {
    fn address(&self) -> &str {
        "/b_getn"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id as i32).int(self.start as i32).int(self.count as i32);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::new("/b_setn", [(self.id as i32).into(), (self.start as i32).into()]))
    }
}
