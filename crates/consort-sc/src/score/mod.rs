//! Scores: what a server shall do at which second, rendered to a sound file without a sound card.
//!
//! [`Nonrealtime`] has the operations of a server, so that the same code plays and renders;
//! [`Score`] is the list itself, for raw messages and for files of others:
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

use crate::synthdef::SynthDef;

pub use error::{ScoreError, ScoreErrorKind};
pub use nonrealtime::Nonrealtime;
pub use render::{HeaderFormat, Progress, RenderReport, RenderSettings, SampleFormat, render_file};

/// Largest entry that is written or read, in bytes. The server itself stops at 2^30.
pub const MAXIMUM_ENTRY: usize = 1 << 26;
/// Latest second of a score: the server counts them with 32 bits.
pub const MAXIMUM_SECONDS: f64 = 4_294_967_295.0;

/// A list of OSC messages, each at a second counted from the beginning.
///
/// Messages of the same second keep the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// By time tag: the elements of the bundle, each behind its length.
    entries: BTreeMap<u64, Vec<u8>>,
}

/// What a score does at one time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ScoreEntry {
    /// Seconds from the beginning.
    pub seconds: f64,
    /// Messages and inner bundles in order.
    pub packets: Vec<OscPacket>,
}

fn time_tag(seconds: f64) -> Result<u64, ScoreError> {
    if !(0.0..=MAXIMUM_SECONDS).contains(&seconds) {
        return Err(ScoreError::new(
            ScoreErrorKind::InvalidTime,
            format!("a score counts seconds from 0 to {MAXIMUM_SECONDS}, not {seconds}"),
        ));
    }
    // Rounded down, as the language and other libraries do.
    Ok((seconds * 4_294_967_296.0) as u64)
}

fn seconds(tag: u64) -> f64 {
    tag as f64 / 4_294_967_296.0
}

impl Score {
    /// A score without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message, or a bundle, at a second.
    ///
    /// # Errors
    /// When the second is negative or beyond [`MAXIMUM_SECONDS`], or the packet cannot be encoded
    /// or is larger than [`MAXIMUM_ENTRY`].
    pub fn send(&mut self, seconds: f64, packet: impl Into<OscPacket>) -> Result<(), ScoreError> {
        let bytes = packet.into().to_vec().map_err(|error| {
            ScoreError::new(ScoreErrorKind::InvalidPacket, format!("at {seconds} s: {error}"))
                .because(error)
        })?;
        self.send_encoded(seconds, &bytes)
    }

    /// Adds a packet that is encoded already; it is not looked into.
    ///
    /// # Errors
    /// As [`send`](Score::send).
    pub fn send_encoded(&mut self, seconds: f64, packet: &[u8]) -> Result<(), ScoreError> {
        let tag = time_tag(seconds)?;
        if packet.len() > MAXIMUM_ENTRY - 20 || packet.is_empty() || !packet.len().is_multiple_of(4)
        {
            return Err(ScoreError::new(
                ScoreErrorKind::InvalidPacket,
                format!(
                    "at {seconds} s: a packet has 4 to {} bytes, a multiple of 4, not {}",
                    MAXIMUM_ENTRY - 20,
                    packet.len()
                ),
            ));
        }
        let entry = self.entries.entry(tag).or_default();
        entry.extend_from_slice(&(packet.len() as u32).to_be_bytes());
        entry.extend_from_slice(packet);
        Ok(())
    }

    /// Adds SynthDefs at a second (`/d_recv`); they are ready for messages of the same second.
    ///
    /// # Errors
    /// As [`send`](Score::send).
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

    /// Whether the score has no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The second of the last entry, at which rendering ends; zero for an empty score.
    pub fn duration(&self) -> f64 {
        self.entries.last_key_value().map_or(0.0, |(tag, _)| seconds(*tag))
    }

    /// What happens at each time, in order; decoded anew at every call.
    pub fn entries(&self) -> impl Iterator<Item = ScoreEntry> {
        self.entries.iter().map(|(tag, elements)| ScoreEntry {
            seconds: seconds(*tag),
            packets: elements_of(elements).filter_map(|bytes| decode(bytes).ok()).collect(),
        })
    }

    /// The file that the server reads: for each time, a length and a bundle.
    ///
    /// With `until`, later entries are left out and a closing bundle stands at that second, so
    /// that rendering goes on until then.
    ///
    /// # Errors
    /// When `until` is no second of a score.
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
            // More than one entry may hold is spread over several of the same time.
            let mut rest = &elements[..];
            if rest.is_empty() {
                push_bundle(&mut bytes, *tag, rest);
            }
            while !rest.is_empty() {
                let mut end = 0;
                for element in elements_of(rest) {
                    if end > 0 && end + 4 + element.len() > MAXIMUM_ENTRY - 16 {
                        break;
                    }
                    end += 4 + element.len();
                }
                let (now, later) = rest.split_at(end);
                push_bundle(&mut bytes, *tag, now);
                rest = later;
            }
        }
        if let Some(until) = until.filter(|until| last != Some(*until)) {
            push_bundle(&mut bytes, until, &[]);
        }
        Ok(bytes)
    }

    /// Reads a score file, also one of others; entries need not be in order of time.
    ///
    /// # Errors
    /// When the bytes are not a sound file; the error tells the offset.
    pub fn decode(bytes: &[u8]) -> Result<Self, ScoreError> {
        let mut score = Self::new();
        let mut offset = 0;
        while offset < bytes.len() {
            let start = offset;
            let malformed = |offset: usize, message: String| {
                Err(ScoreError::new(ScoreErrorKind::Malformed, message).at(offset))
            };
            let Some((length, rest)) = bytes[offset..].split_first_chunk::<4>() else {
                return malformed(
                    start,
                    format!("{} bytes are left, too few for a length", bytes.len() - offset),
                );
            };
            let length = u32::from_be_bytes(*length) as usize;
            offset += 4;
            if length > MAXIMUM_ENTRY || length > rest.len() || !length.is_multiple_of(4) {
                return malformed(
                    start,
                    format!(
                        "an entry of {length} bytes: it has to be a multiple of 4, at most \
                         {MAXIMUM_ENTRY}, and {} bytes are left",
                        rest.len()
                    ),
                );
            }
            let entry = &rest[..length];
            let limits = Limits::default().with_size(MAXIMUM_ENTRY);
            let packet = Packet::decode_with(entry, &limits).map_err(|error| {
                let place = offset + error.offset();
                ScoreError::new(ScoreErrorKind::Malformed, error.to_string())
                    .because(error)
                    .at(place)
            })?;
            let Packet::Bundle(bundle) = packet else {
                return malformed(offset, "an entry is a message, not a bundle with a time".into());
            };
            // What follows the mark and the time are the elements as they are kept here.
            score.entries.entry(bundle.time().raw()).or_default().extend_from_slice(&entry[16..]);
            offset += length;
        }
        Ok(score)
    }

    /// Reads a score file from disk.
    ///
    /// # Errors
    /// When the file cannot be read or is not sound; the error names it.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ScoreError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| ScoreError::io("read", path, error))?;
        Self::decode(&bytes).map_err(|error| error.in_file(path))
    }

    /// Writes a score file to disk; see [`encode`](Score::encode).
    ///
    /// # Errors
    /// When the file cannot be written, or `until` is no second of a score.
    pub fn write(&self, path: impl AsRef<Path>, until: Option<f64>) -> Result<(), ScoreError> {
        let path = path.as_ref();
        std::fs::write(path, self.encode(until)?)
            .map_err(|error| ScoreError::io("write", path, error))
    }

    /// Renders the score to a sound file with `scsynth -N`; blocks until it is done.
    ///
    /// `until` is the length in seconds; without it the sound ends with the last entry. `progress`
    /// is called on this thread about ten times a second, and may stop the rendering by `false`.
    ///
    /// # Errors
    /// When the score is empty, the server cannot be started or gives up, or the rendering was
    /// stopped. Failures of single messages, such as an unknown SynthDef, do not end a rendering:
    /// see [`RenderReport::failures`].
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
                "the score has no length: add an entry at a later second, or say until when",
            ));
        }
        let folder = render::Folder::new()?;
        let commands = folder.path().join("score.osc");
        self.write(&commands, until)?;
        render::run(&commands, output.as_ref(), settings, duration, progress)
    }
}

fn push_bundle(bytes: &mut Vec<u8>, tag: u64, elements: &[u8]) {
    bytes.extend_from_slice(&(elements.len() as u32 + 16).to_be_bytes());
    bytes.extend_from_slice(b"#bundle\0");
    bytes.extend_from_slice(&TimeTag::from_raw(tag).raw().to_be_bytes());
    bytes.extend_from_slice(elements);
}

/// The elements of a bundle's body, which is sound: it was checked when it was made.
fn elements_of(mut body: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = body.split_first_chunk::<4>()?;
        let (element, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        body = rest;
        Some(element)
    })
}

fn decode(bytes: &[u8]) -> Result<OscPacket, consort_osc::Error> {
    let limits = Limits::default().with_size(MAXIMUM_ENTRY);
    Packet::decode_with(bytes, &limits).map(OscPacket::from)
}

/// Reads arbitrary bytes as a score; what could be read has to survive being written and read
/// again.
#[doc(hidden)]
pub fn fuzz_score(bytes: &[u8]) {
    let Ok(score) = Score::decode(bytes) else {
        return;
    };
    let written = score.encode(None).expect("no second is asked for");
    let again = Score::decode(&written).expect("what was written can be read");
    assert_eq!(again, score);
    for (one, other) in again.entries().zip(score.entries()) {
        assert_eq!(one.packets.len(), other.packets.len());
    }
}
