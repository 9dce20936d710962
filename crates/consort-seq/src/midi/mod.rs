//! Conversion between MIDI bytes and events.
//!
//! The terms are ALSA's: to *encode* is to convert bytes to events, to *decode* is to convert events
//! to bytes. The encoder keeps its state between calls: messages may be split anywhere, one buffer
//! may contain several messages, running status works, and real-time bytes may occur inside any
//! message. System exclusive messages longer than the chunk size become several events.

mod decode;
mod encode;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;

pub use decode::{MidiDecoder, NotMidi};
pub use encode::{DEFAULT_CHUNK, MidiEncoder};

use crate::event::Event;

/// An encoder and a decoder, as the clients use them.
#[derive(Debug, Clone, Default)]
pub struct MidiCoder {
    /// Converts bytes to events.
    pub encoder: MidiEncoder,
    /// Converts events to bytes.
    pub decoder: MidiDecoder,
}

impl MidiCoder {
    /// Creates a coder with chunks of 1024 bytes and without running status on output.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Converts `bytes` to events; see [`MidiEncoder::encode`].
    pub fn encode(&mut self, bytes: &[u8], sink: impl FnMut(Event)) {
        self.encoder.encode(bytes, sink);
    }

    /// Appends the bytes of `event` to `bytes`; see [`MidiDecoder::decode`].
    ///
    /// # Errors
    /// The event has no MIDI bytes.
    pub fn decode(&mut self, event: &Event, bytes: &mut Vec<u8>) -> Result<usize, NotMidi> {
        self.decoder.decode(event, bytes)
    }
}

/// Converts a complete buffer of MIDI bytes to events, with a new encoder.
#[must_use]
pub fn events_from_bytes(bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    MidiEncoder::new().encode(bytes, |event| events.push(event));
    events
}

/// Converts one event to MIDI bytes, without running status.
///
/// # Errors
/// The event has no MIDI bytes.
pub fn bytes_from_event(event: &Event) -> Result<Vec<u8>, NotMidi> {
    let mut bytes = Vec::new();
    MidiDecoder::new().decode(event, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
