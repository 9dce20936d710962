//! Bodies of the fuzz targets, shared with the tests that replay the corpus. Not public API.

use super::{MidiDecoder, MidiEncoder};
use crate::event::{Event, EventType};

/// Any bytes, split anywhere: no panic, the same events however they are split, and events that
/// decode to bytes which encode to the same events.
///
/// # Panics
/// If one of these does not hold.
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
    assert_eq!(whole, parts, "the split changed the events");

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
            decoder.decode(event, &mut decoded).expect("every event of the encoder has bytes");
        }
        let mut again = Vec::new();
        MidiEncoder::with_chunk(chunk).encode(&decoded, |event| again.push(event));
        // A system exclusive message that was cut off comes back only as far as it went.
        let complete = |events: &[Event]| {
            events
                .iter()
                .filter(|event| event.event_type() != EventType::SYSTEM_EXCLUSIVE)
                .cloned()
                .collect::<Vec<_>>()
        };
        if whole.iter().all(is_complete) {
            assert_eq!(whole, again, "bytes and events do not round-trip");
        } else {
            assert_eq!(complete(&whole), complete(&again));
        }
    }
}

fn is_complete(event: &Event) -> bool {
    event.event_type() != EventType::SYSTEM_EXCLUSIVE
        || (event.variable().first() == Some(&0xf0) && event.variable().last() == Some(&0xf7))
}
