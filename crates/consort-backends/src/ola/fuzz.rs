//! The body of the fuzz target, which the tests also run on the committed corpus. Not part of the
//! public interface.

use super::calls::{Dmx, Info};
use super::wire::{Decoder, Message, put_frame};

/// Takes any bytes of olad. The first byte decides into how large parts they are divided, which
/// must not change the messages.
pub fn ola_messages(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let whole = messages(bytes.chunks(bytes.len().max(1)));
    let parts = messages(bytes.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, parts);
    for (kind, id, name, body) in &whole {
        if let Ok(dmx) = Dmx::decode(body) {
            assert!(dmx.data.len() <= 512);
            let mut encoded = Vec::new();
            dmx.encode(&mut encoded);
            assert_eq!(Dmx::decode(&encoded), Ok(dmx));
        }
        for info in Info::decode_all(body).unwrap_or_default() {
            assert!(!info.describe().contains(char::is_control));
        }
        let Ok(name) = std::str::from_utf8(name) else { continue };
        let mut encoded = Vec::new();
        put_frame(*kind, *id, name, body, &mut encoded);
        let again = (*kind, *id, name.as_bytes().to_vec(), body.clone());
        assert_eq!(messages([&encoded[..]].into_iter()), [again]);
    }
    // A body without a frame around it.
    let _ = (Dmx::decode(bytes), Info::decode_all(bytes));
}

/// Kind, id, name and body of a message.
type Owned = (u64, u32, Vec<u8>, Vec<u8>);

/// All messages until the first error.
fn messages<'b>(parts: impl Iterator<Item = &'b [u8]>) -> Vec<Owned> {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for part in parts {
        decoder.push(part);
        loop {
            match decoder.next() {
                Ok(Some(Message { kind, id, name, body })) => {
                    found.push((kind, id, name.to_vec(), body.to_vec()));
                }
                Ok(None) => break,
                Err(_) => return found,
            }
        }
    }
    found
}
