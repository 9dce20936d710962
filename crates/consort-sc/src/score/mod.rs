//! Scores: requests with times, which a server renders into a sound file without a sound card.
//!
//! [`Nonrealtime`] has the operations of a server, so that the same code plays and renders.
//! [`Score`] is the list of messages itself, for messages of one's own and for the score files of
//! other programs:
//!
//! ```no_run
//! use consort_osc::{OscMessage, OscValue};
//! use consort_sc::score::{RenderSettings, Score};
//! use consort_sc::synthdef::system;
//!
//! let mut score = Score::new();
//! score.add_synthdefs(0.0, [&system::default()])?;
//! score.send(0.0, OscMessage::new("/s_new", vec![
//!     OscValue::from("default"), OscValue::from(1000), OscValue::from(0), OscValue::from(0),
//! ]))?;
//! score.send(1.0, OscMessage::new("/n_set", vec![
//!     OscValue::from(1000), OscValue::from("gate"), OscValue::from(0),
//! ]))?;
//! let report = score.render("out.wav", &RenderSettings::default(), Some(2.0), |_| true)?;
//! println!("{:.3} s of sound", report.duration);
//! # Ok::<(), consort_sc::score::ScoreError>(())
//! ```

mod error;
mod nonrealtime;
mod render;

use std::collections::BTreeMap;
use std::path::Path;

use consort_osc::{Limits, OscMessage, OscPacket, OscValue, Packet, TimeTag};

use crate::bundling::BUNDLE_HEADER_BYTES;
use crate::synthdef::SynthDef;

pub use error::{ScoreError, ScoreErrorKind};
pub use nonrealtime::Nonrealtime;
pub(crate) use render::TemporaryFolder;
pub use render::{HeaderFormat, Progress, RenderReport, RenderSettings, SampleFormat, render_file};

/// The largest entry that is written or read, in bytes. The server's own limit is 2^30.
pub const MAX_ENTRY_BYTES: usize = 1 << 26;
/// The largest packet of an entry: the rest is the bundle's header and the packet's length.
const MAX_PACKET_BYTES: usize = MAX_ENTRY_BYTES - BUNDLE_HEADER_BYTES - 4;
/// The latest time of a score in seconds, because time tags count seconds with 32 bits.
pub const MAX_SECONDS: f64 = 4_294_967_295.0;

/// Time tags count in units of 2^-32 seconds.
const UNITS_PER_SECOND: f64 = 4_294_967_296.0;

/// A list of OSC messages, each with a time in seconds from the start.
///
/// Messages with the same time keep the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// For each time tag the encoded elements of the bundle, each preceded by its length.
    entries: BTreeMap<u64, Vec<u8>>,
}

/// The messages of a score at one time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ScoreEntry {
    /// The time in seconds from the start.
    pub seconds: f64,
    /// Messages and nested bundles, in order.
    pub packets: Vec<OscPacket>,
}

/// The time tag of a time in seconds.
fn time_tag(seconds: f64) -> Result<u64, ScoreError> {
    if !(0.0..=MAX_SECONDS).contains(&seconds) {
        return Err(ScoreError::new(
            ScoreErrorKind::InvalidTime,
            format!("expected a time from 0 to {MAX_SECONDS} seconds, not {seconds}"),
        ));
    }
    // Rounded down, as sclang and Supriya do.
    Ok((seconds * UNITS_PER_SECOND) as u64)
}

/// The time in seconds of a time tag.
fn seconds(tag: u64) -> f64 {
    tag as f64 / UNITS_PER_SECOND
}

impl Score {
    /// A score without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message or a bundle at a time in seconds.
    ///
    /// # Errors
    /// [`ScoreErrorKind::InvalidTime`] if the time is negative or beyond [`MAX_SECONDS`];
    /// [`ScoreErrorKind::InvalidPacket`] if the packet cannot be encoded or is larger than
    /// [`MAX_ENTRY_BYTES`].
    pub fn send(&mut self, seconds: f64, packet: impl Into<OscPacket>) -> Result<(), ScoreError> {
        let bytes = packet.into().to_vec().map_err(|error| {
            ScoreError::new(
                ScoreErrorKind::InvalidPacket,
                format!("cannot encode the packet at {seconds} s: {error}"),
            )
            .with_source(error)
        })?;
        self.send_encoded(seconds, &bytes)
    }

    /// Adds an encoded packet, whose content is not checked.
    ///
    /// # Errors
    /// Same as [`send`](Score::send).
    pub fn send_encoded(&mut self, seconds: f64, packet: &[u8]) -> Result<(), ScoreError> {
        let tag = time_tag(seconds)?;
        if packet.len() > MAX_PACKET_BYTES || packet.is_empty() || !packet.len().is_multiple_of(4) {
            return Err(ScoreError::new(
                ScoreErrorKind::InvalidPacket,
                format!(
                    "expected a packet of 4 to {MAX_PACKET_BYTES} bytes, a multiple of 4, at \
                     {seconds} s, not {} bytes",
                    packet.len()
                ),
            ));
        }
        let entry = self.entries.entry(tag).or_default();
        entry.extend_from_slice(&(packet.len() as u32).to_be_bytes());
        entry.extend_from_slice(packet);
        Ok(())
    }

    /// Adds SynthDefs at a time in seconds (`/d_recv`). Later messages with the same time can use
    /// them.
    ///
    /// # Errors
    /// Same as [`send`](Score::send).
    pub fn add_synthdefs<'a>(
        &mut self,
        seconds: f64,
        synthdefs: impl IntoIterator<Item = &'a SynthDef>,
    ) -> Result<(), ScoreError> {
        for synthdef in synthdefs {
            let blob = OscValue::Blob(synthdef.compile());
            self.send(seconds, OscMessage::new("/d_recv", vec![blob]))?;
        }
        Ok(())
    }

    /// Whether the score has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The time of the last entry in seconds, at which rendering ends; 0 for an empty score.
    pub fn duration(&self) -> f64 {
        self.entries.last_key_value().map_or(0.0, |(tag, _)| seconds(*tag))
    }

    /// The entries in the order of their times. Each call decodes them again.
    pub fn entries(&self) -> impl Iterator<Item = ScoreEntry> {
        self.entries.iter().map(|(tag, elements)| ScoreEntry {
            seconds: seconds(*tag),
            packets: elements_of(elements).filter_map(|bytes| decode(bytes).ok()).collect(),
        })
    }

    /// Encodes the file that the server reads: for each time, a length and a bundle.
    ///
    /// With `until`, in seconds, later entries are left out, and an empty bundle at that time makes
    /// the rendering last until then.
    ///
    /// # Errors
    /// [`ScoreErrorKind::InvalidTime`] if `until` is negative or beyond [`MAX_SECONDS`].
    pub fn encode(&self, until: Option<f64>) -> Result<Vec<u8>, ScoreError> {
        let until = until.map(time_tag).transpose()?;
        let size: usize = self.entries.values().map(|elements| elements.len() + 20).sum();
        let mut bytes = Vec::with_capacity(size + 20);
        let mut last = None;
        for (tag, elements) in &self.entries {
            if until.is_some_and(|until| *tag > until) {
                break;
            }
            last = Some(*tag);
            // What is too large for one entry becomes several entries with the same time.
            let mut rest = &elements[..];
            if rest.is_empty() {
                push_bundle(&mut bytes, *tag, rest);
            }
            while !rest.is_empty() {
                let mut end = 0;
                for element in elements_of(rest) {
                    if end > 0 && end + 4 + element.len() > MAX_ENTRY_BYTES - BUNDLE_HEADER_BYTES {
                        break;
                    }
                    end += 4 + element.len();
                }
                let (fitting, remaining) = rest.split_at(end);
                push_bundle(&mut bytes, *tag, fitting);
                rest = remaining;
            }
        }
        if let Some(until) = until.filter(|until| last != Some(*until)) {
            push_bundle(&mut bytes, until, &[]);
        }
        Ok(bytes)
    }

    /// Decodes a score file, also of another program. Entries need not be in the order of their
    /// times.
    ///
    /// # Errors
    /// [`ScoreErrorKind::Malformed`], with the offset, if the bytes are not a valid score.
    pub fn decode(bytes: &[u8]) -> Result<Self, ScoreError> {
        let mut score = Self::new();
        let mut offset = 0;
        while offset < bytes.len() {
            let start = offset;
            let malformed = |offset: usize, message: String| {
                Err(ScoreError::new(ScoreErrorKind::Malformed, message).at_offset(offset))
            };
            let Some((length, rest)) = bytes[offset..].split_first_chunk::<4>() else {
                return malformed(
                    start,
                    format!(
                        "expected the length of an entry, 4 bytes, but only {} are left",
                        bytes.len() - offset
                    ),
                );
            };
            let length = u32::from_be_bytes(*length) as usize;
            offset += 4;
            if length > MAX_ENTRY_BYTES || length > rest.len() || !length.is_multiple_of(4) {
                return malformed(
                    start,
                    format!(
                        "invalid length of an entry: {length} bytes; expected a multiple of 4, at \
                         most {MAX_ENTRY_BYTES} and at most the {} bytes that are left",
                        rest.len()
                    ),
                );
            }
            let entry = &rest[..length];
            let limits = Limits::default().with_size(MAX_ENTRY_BYTES);
            let packet = Packet::decode_with(entry, &limits).map_err(|error| {
                let error_offset = offset + error.offset();
                ScoreError::new(ScoreErrorKind::Malformed, error.to_string())
                    .with_source(error)
                    .at_offset(error_offset)
            })?;
            let Packet::Bundle(bundle) = packet else {
                return malformed(offset, "expected a bundle with a time, found a message".into());
            };
            // Behind the header are the elements in the form in which a score stores them.
            let elements = &entry[BUNDLE_HEADER_BYTES..];
            score.entries.entry(bundle.time().raw()).or_default().extend_from_slice(elements);
            offset += length;
        }
        Ok(score)
    }

    /// Reads a score file from disk.
    ///
    /// # Errors
    /// [`ScoreErrorKind::Io`] or [`ScoreErrorKind::Malformed`]; the message contains the path.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ScoreError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| ScoreError::io("read", path, error))?;
        Self::decode(&bytes).map_err(|error| error.in_file(path))
    }

    /// Writes a score file to disk; see [`encode`](Score::encode).
    ///
    /// # Errors
    /// [`ScoreErrorKind::Io`], and as [`encode`](Score::encode).
    pub fn write(&self, path: impl AsRef<Path>, until: Option<f64>) -> Result<(), ScoreError> {
        let path = path.as_ref();
        std::fs::write(path, self.encode(until)?)
            .map_err(|error| ScoreError::io("write", path, error))
    }

    /// Renders the score to a sound file with `scsynth -N`. Blocks until the rendering is done.
    ///
    /// `until` is the duration in seconds; without it the sound ends with the last entry. The
    /// calling thread calls `progress` about ten times a second; returning `false` stops the
    /// rendering.
    ///
    /// # Errors
    /// [`ScoreErrorKind::Empty`], [`ScoreErrorKind::InvalidSetting`],
    /// [`ScoreErrorKind::CannotStart`], [`ScoreErrorKind::ServerFailed`],
    /// [`ScoreErrorKind::Stopped`] or [`ScoreErrorKind::Io`]. Messages that fail, for example
    /// because of an unknown SynthDef, do not end the rendering; they are in
    /// [`RenderReport::failures`].
    pub fn render(
        &self,
        output: impl AsRef<Path>,
        settings: &RenderSettings,
        until: Option<f64>,
        progress: impl FnMut(&Progress) -> bool,
    ) -> Result<RenderReport, ScoreError> {
        let duration = until.unwrap_or_else(|| self.duration());
        if duration <= 0.0 {
            return Err(ScoreError::new(
                ScoreErrorKind::Empty,
                "the score has no duration; add an entry at a later time, or give a duration",
            ));
        }
        let folder = render::TemporaryFolder::new()?;
        let file = folder.path().join("score.osc");
        self.write(&file, until)?;
        render::run(&file, output.as_ref(), settings, duration, progress)
    }
}

/// Appends an entry: its length and a bundle with these elements.
fn push_bundle(bytes: &mut Vec<u8>, tag: u64, elements: &[u8]) {
    bytes.extend_from_slice(&((elements.len() + BUNDLE_HEADER_BYTES) as u32).to_be_bytes());
    bytes.extend_from_slice(b"#bundle\0");
    bytes.extend_from_slice(&TimeTag::from_raw(tag).raw().to_be_bytes());
    bytes.extend_from_slice(elements);
}

/// The elements of a bundle's body, which is valid because it was checked when it was added.
fn elements_of(mut body: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = body.split_first_chunk::<4>()?;
        let (element, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        body = rest;
        Some(element)
    })
}

fn decode(bytes: &[u8]) -> Result<OscPacket, consort_osc::Error> {
    let limits = Limits::default().with_size(MAX_ENTRY_BYTES);
    Packet::decode_with(bytes, &limits).map(OscPacket::from)
}
