//! The body of the fuzz target, which the tests also run on the committed corpus. Not part of the
//! public interface.

use super::channels::{Order, parse};
use super::codec::{Decoder, Message, Mode};

/// Takes any bytes of a client. The first byte decides into how large parts they are divided,
/// which must not change the messages. The bytes are also read as the name of a channel.
pub fn openpixelcontrol_messages(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let whole = messages(bytes.chunks(bytes.len().max(1)));
    let parts = messages(bytes.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, parts);
    let mut encoded = Vec::new();
    for (strip, command, data) in &whole {
        Message { strip: *strip, command: *command, data }.encode(&mut encoded);
    }
    assert_eq!(encoded, bytes[..encoded.len()]);
    if let (Ok(text), Ok(order)) = (std::str::from_utf8(bytes), Order::parse("grbw"))
        && let Ok(component) = parse(text, Mode::Words, &order)
    {
        let mut name = format!("strip{}.", component.strip);
        order.write_name(component.index.into(), &mut name);
        assert_eq!(parse(&name, Mode::Words, &order), Ok(component));
    }
}

fn messages<'b>(parts: impl Iterator<Item = &'b [u8]>) -> Vec<(u8, u8, Vec<u8>)> {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for part in parts {
        decoder.push(part);
        while let Some(message) = decoder.next() {
            found.push((message.strip, message.command, message.data.to_vec()));
        }
    }
    found
}
