//! Body of the fuzz target, shared with the tests that replay the corpus. Not public API.

use super::{Body, FileEvent, MidiFile};
use crate::event::RealTime;

/// Any bytes as a file: no panic, events in order of time, the strict and the partial reading
/// agree, and what was read is written and read again as the same.
///
/// # Panics
/// If one of these does not hold.
pub fn midi_file(data: &[u8]) {
    let strict = MidiFile::read(data);
    let (file, errors) = match MidiFile::read_partial(data) {
        Ok(partial) => partial,
        Err(error) => {
            assert_eq!(strict, Err(error), "the header is damaged for one reading only");
            return;
        }
    };
    match strict {
        Ok(strict) => assert!(errors.is_empty() && strict == file, "partial differs from strict"),
        Err(error) => assert_eq!(errors.first(), Some(&error)),
    }
    for error in &errors {
        assert!(error.position() <= data.len(), "{error}");
    }
    let mut before = (0, RealTime::ZERO);
    for (index, event) in file.events().enumerate() {
        let now = (event.tick, file.time(event.tick));
        assert!(now >= before, "event {index} is before the one before it");
        before = now;
        assert!(event.tick <= file.end_tick());
        assert!(usize::from(event.track) < file.track_count());
        assert!(file.index_at(now.1) <= index);
        match (event.body, event.to_event()) {
            (Body::Meta(..), None) => {}
            (Body::Exclusive(bytes), Some(sent)) => assert_eq!(sent.variable(), bytes),
            (Body::Message(bytes), Some(sent)) => {
                let again = crate::midi::bytes_from_event(&sent).expect("it has bytes");
                assert_eq!(again, bytes, "a message changed on the way through the sequencer");
            }
            other => panic!("{other:?}"),
        }
    }
    let Ok(written) = file.to_bytes() else { return };
    let again = MidiFile::read(&written).expect("what was written is sound");
    // Very long pauses are bridged by empty texts.
    let filled =
        |event: &FileEvent<'_>| !matches!(event.body, Body::Meta(1, text) if text.is_empty());
    assert!(again.events().filter(filled).eq(file.events().filter(filled)), "events changed");
    assert_eq!(again.division(), file.division());
    assert_eq!(again.tempo_map(), file.tempo_map());
    assert_eq!(again.end_tick(), file.end_tick());
    assert_eq!(again.to_bytes().expect("it was written once"), written);
}
