//! The body of the fuzz target, shared with the tests that replay its corpus. Not public API.

use super::{Body, FileEvent, MidiFile};
use crate::event::RealTime;

/// Reads any bytes as a file and checks that strict and partial reading agree, that the events are
/// in the order of their times, and that the file is the same after it is written and read again.
///
/// # Panics
/// If one of these checks fails.
pub fn midi_file(data: &[u8]) {
    let strict = MidiFile::read(data);
    let (file, damage) = match MidiFile::read_partial(data) {
        Ok(partial) => partial,
        Err(error) => {
            assert_eq!(strict, Err(error), "only one of the readings reports an invalid header");
            return;
        }
    };
    match strict {
        Ok(strict) => {
            assert!(damage.is_empty() && strict == file, "partial and strict reading differ")
        }
        Err(error) => assert_eq!(damage.errors().first(), Some(&error)),
    }
    for error in damage.errors() {
        assert!(error.position() <= data.len(), "{error}");
    }
    let mut previous = (0, RealTime::ZERO);
    for (index, event) in file.events().enumerate() {
        let current = (event.tick, file.time(event.tick));
        assert!(current >= previous, "event {index} is earlier than its predecessor");
        previous = current;
        assert!(event.tick <= file.end_tick());
        assert!(usize::from(event.track) < file.track_count());
        assert!(file.index_at(current.1) <= index);
        match (event.body, event.to_event()) {
            (Body::Meta(..), None) => {}
            (Body::Exclusive(bytes), Some(sent)) => assert_eq!(sent.variable(), bytes),
            (Body::Message(bytes), Some(sent)) => {
                let again = crate::midi::bytes_from_event(&sent).expect("a message has bytes");
                assert_eq!(again, bytes, "a message changed when converted to an event and back");
            }
            other => panic!("{other:?}"),
        }
    }
    let Ok(written) = file.to_bytes() else { return };
    let again = MidiFile::read(&written).expect("a written file is valid");
    // The writer bridges very long pauses by empty text events.
    let is_content =
        |event: &FileEvent<'_>| !matches!(event.body, Body::Meta(1, text) if text.is_empty());
    let is_equal = again.events().filter(is_content).eq(file.events().filter(is_content));
    assert!(is_equal, "events changed");
    assert_eq!(again.division(), file.division());
    assert_eq!(again.tempo_map(), file.tempo_map());
    assert_eq!(again.end_tick(), file.end_tick());
    assert_eq!(again.to_bytes().expect("the file was written before"), written);
}
