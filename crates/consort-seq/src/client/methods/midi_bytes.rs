//! Conversion between MIDI bytes and events with the client's own coder.

use super::ClientBase;
use crate::event::Event;

impl ClientBase {
    /// Converts MIDI bytes to events with this client's coder, which keeps its state between calls,
    /// and passes each event to `sink`; see [`MidiEncoder`](crate::MidiEncoder).
    pub fn encode_midi_bytes(&self, bytes: &[u8], sink: impl FnMut(Event)) {
        self.core.encoder.lock().encode(bytes, sink);
    }

    /// Converts an event to MIDI bytes with this client's coder; `None` for an event without a MIDI
    /// form.
    #[must_use]
    pub fn decode_midi_bytes(&self, event: &Event) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.core.decoder.lock().decode(event, &mut bytes).ok().map(|_| bytes)
    }

    /// Discards unfinished MIDI messages in both directions.
    pub fn reset_midi_coder(&self) {
        self.core.encoder.lock().reset();
        self.core.decoder.lock().reset();
    }
}
