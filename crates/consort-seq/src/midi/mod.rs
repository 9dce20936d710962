//! MIDI bytes and events: the stateful coder.
//!
//! The words are ALSA's: to *encode* is to make events of bytes, to *decode* is to make bytes of
//! events. The encoder keeps its state over calls, so that messages may be split anywhere,
//! several may stand in one buffer, running status works, and real-time bytes may stand inside
//! any message. System exclusive messages longer than the chunk size become several events.

mod decode;
mod encode;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;

pub use decode::{MidiDecoder, NotMidi};
pub use encode::{DEFAULT_CHUNK, MidiEncoder};

use crate::event::Event;

/// Both directions in one, as the clients hold it.
#[derive(Debug, Clone, Default)]
pub struct MidiCoder {
    /// Bytes to events.
    pub encoder: MidiEncoder,
    /// Events to bytes.
    pub decoder: MidiDecoder,
}

impl MidiCoder {
    /// A coder in its first state: chunks of 1024 bytes, no running status on output.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes events of `bytes`; see [`MidiEncoder::encode`].
    pub fn encode(&mut self, bytes: &[u8], sink: impl FnMut(Event)) {
        self.encoder.encode(bytes, sink);
    }

    /// Appends the bytes of `event` to `bytes`; see [`MidiDecoder::decode`].
    ///
    /// # Errors
    /// For an event that has no bytes in MIDI.
    pub fn decode(&mut self, event: &Event, bytes: &mut Vec<u8>) -> Result<usize, NotMidi> {
        self.decoder.decode(event, bytes)
    }
}

/// The events that a complete buffer of MIDI bytes makes, from a fresh encoder.
#[must_use]
pub fn events_from_bytes(bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    MidiEncoder::new().encode(bytes, |event| events.push(event));
    events
}

/// The MIDI bytes of one event, without running status.
///
/// # Errors
/// For an event that has no bytes in MIDI.
pub fn bytes_from_event(event: &Event) -> Result<Vec<u8>, NotMidi> {
    let mut bytes = Vec::new();
    MidiDecoder::new().decode(event, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
