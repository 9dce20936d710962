//! The body of the fuzz target `seq_cells`, which the test that replays the corpus shares. This is
//! not public API.

use super::buffers::parse_cell;
use crate::raw::Cells;

/// Parses arbitrary bytes as cells that were read from the sequencer.
///
/// # Panics
/// If the events differ from those of the raw iterator, or do not survive a conversion.
pub fn seq_cells(data: &[u8]) {
    let mut raw = Cells::legacy(data).into_iter();
    let mut rest = data;
    while !rest.is_empty() {
        let Ok((event, length)) = parse_cell(rest) else {
            assert!(!matches!(raw.next(), Some(Ok((event, _))) if !event.is_ump()));
            return;
        };
        assert!(length > 0 && length <= rest.len());
        let _ = (event.to_string(), event.payload().event_type());
        match raw.next() {
            Some(Ok((cell, variable))) if !cell.is_ump() => {
                assert_eq!(cell.legacy().kind, event.event_type().0);
                assert_eq!(variable, event.variable());
                let again = crate::Event::from_raw(event.to_raw(), event.variable().to_vec());
                assert_eq!(again, event, "a conversion to raw and back changed the event");
                if !event.is_variable() {
                    assert_eq!(cell.legacy(), event.to_raw());
                }
                let mut copy = event.clone();
                copy.set_payload(event.payload());
                assert_eq!(copy.payload(), event.payload(), "the typed view does not round-trip");
            }
            // The raw iterator is stricter with UMP cells, which a legacy client never receives,
            // and with a last event without padding.
            _ => return,
        }
        rest = &rest[length..];
    }
    assert!(raw.next().is_none());
}
