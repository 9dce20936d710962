//! Bodies of the fuzz targets, shared with the tests that replay the corpus. Not public API.

use super::buffers::parse_cell;
use crate::raw::Cells;

/// Any bytes as cells that were read: no panic, an end, and the same events as the raw iterator
/// finds.
///
/// # Panics
/// If one of these does not hold.
pub fn seq_cells(data: &[u8]) {
    let mut raw = Cells::legacy(data).into_iter();
    let mut rest = data;
    while !rest.is_empty() {
        let Ok((event, taken)) = parse_cell(rest) else {
            assert!(!matches!(raw.next(), Some(Ok((event, _))) if !event.is_ump()));
            return;
        };
        assert!(taken > 0 && taken <= rest.len());
        let _ = (event.to_string(), event.payload().event_type());
        match raw.next() {
            Some(Ok((cell, variable))) if !cell.is_ump() => {
                assert_eq!(cell.legacy().kind, event.event_type().0);
                assert_eq!(variable, event.variable());
                let again = crate::Event::from_raw(event.to_raw(), event.variable().to_vec());
                assert_eq!(again, event, "raw and back changed the event");
                if !event.is_variable() {
                    assert_eq!(cell.legacy(), event.to_raw());
                }
                let mut copy = event.clone();
                copy.set_payload(event.payload());
                assert_eq!(copy.payload(), event.payload(), "the typed view does not round-trip");
            }
            // A UMP cell (a legacy client never gets one), or a last event without its padding:
            // the raw iterator is stricter there.
            _ => return,
        }
        rest = &rest[taken..];
    }
    assert!(raw.next().is_none());
}
