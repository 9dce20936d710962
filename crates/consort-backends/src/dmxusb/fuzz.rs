//! The body of the fuzz target, which the tests also run on the committed corpus. Not part of the
//! public interface.

use super::pro::{Decoder, Found, Incoming, ReceivedFrame, decode, encode};

/// Takes any bytes of an interface. The first byte decides into how large parts they are divided,
/// which must not change what is found.
pub fn dmxusb_messages(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let whole = messages(bytes.chunks(bytes.len().max(1)));
    let parts = messages(bytes.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, parts);
    let mut frame = ReceivedFrame::default();
    for (label, data) in &whole {
        match decode(*label, data) {
            Some(Incoming::Frame { slots, .. }) => frame.set(slots),
            Some(Incoming::Changes { first, changed, values }) => {
                assert!(values.len() >= changed.count_ones() as usize);
                frame.change(first, changed, values);
            }
            _ => {}
        }
        assert!(frame.slots().len() <= 512);
        let mut encoded = Vec::new();
        encode(*label, data, &mut encoded);
        assert_eq!(messages([&encoded[..]].into_iter()), [(*label, data.clone())]);
    }
}

fn messages<'b>(parts: impl Iterator<Item = &'b [u8]>) -> Vec<(u8, Vec<u8>)> {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for part in parts {
        decoder.push(part);
        while decoder.next(|next| {
            if let Found::Message(label, data) = next {
                found.push((label, data.to_vec()));
            }
        }) {}
    }
    found
}
