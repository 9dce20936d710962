//! The body of the fuzz target, shared with the tests that replay its corpus. Not public API.

use super::{MidiDecoder, MidiEncoder};
use crate::event::{Event, EventType};

/// Encodes any bytes and checks that the events do not depend on where the bytes are split, and
/// that the events decode to bytes which encode to the same events.
///
/// # Panics
/// If one of these checks fails.
pub fn midi_coder(data: &[u8]) {
    let (chunk, split, bytes) = match data {
        [chunk, split, bytes @ ..] => (usize::from(*chunk) + 1, usize::from(*split) + 1, bytes),
        _ => (1024, 1, data),
    };
    let mut whole = Vec::new();
    MidiEncoder::with_chunk(chunk).encode(bytes, |event| whole.push(event));
    let mut parts = Vec::new();
    let mut encoder = MidiEncoder::with_chunk(chunk);
    for piece in bytes.chunks(split) {
        encoder.encode(piece, |event| parts.push(event));
    }
    assert_eq!(whole, parts, "splitting the bytes changed the events");

    for event in &whole {
        if event.event_type() == EventType::SYSTEM_EXCLUSIVE {
            assert!(event.variable().len() <= chunk);
        }
    }
    for running_status in [false, true] {
        let mut decoder = MidiDecoder::new();
        decoder.set_running_status(running_status);
        let mut decoded = Vec::new();
        for event in &whole {
            decoder.decode(event, &mut decoded).expect("every encoded event has bytes");
        }
        let mut again = Vec::new();
        MidiEncoder::with_chunk(chunk).encode(&decoded, |event| again.push(event));
        // An interrupted system exclusive message does not survive the conversion, so only the
        // other events are compared.
        let others = |events: &[Event]| {
            events
                .iter()
                .filter(|event| event.event_type() != EventType::SYSTEM_EXCLUSIVE)
                .cloned()
                .collect::<Vec<_>>()
        };
        if whole.iter().all(is_complete) {
            assert_eq!(whole, again, "bytes and events do not round-trip");
        } else {
            assert_eq!(others(&whole), others(&again));
        }
    }
}

fn is_complete(event: &Event) -> bool {
    event.event_type() != EventType::SYSTEM_EXCLUSIVE
        || (event.variable().first() == Some(&0xf0) && event.variable().last() == Some(&0xf7))
}
