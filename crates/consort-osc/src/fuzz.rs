//! Bodies of the fuzz targets, also run on the committed corpus by the tests. Not part of the
//! interface.

use crate::{
    LengthPrefixDecoder, OscPacket, Packet, Pattern, SlipDecoder, address_matches,
    encode_length_prefixed, encode_slip, validate_address,
};

/// Decodes any bytes; accepted packets must survive a round trip through the owned types.
pub fn osc_decode(bytes: &[u8]) {
    let packet = match Packet::decode(bytes) {
        Ok(packet) => packet,
        Err(error) => {
            assert!(error.offset() <= bytes.len(), "offset beyond the packet: {error}");
            return;
        }
    };
    for message in packet.messages() {
        assert!(message.arguments().count() <= message.type_tags().len());
        let brackets = message.type_tags().iter().filter(|tag| b"[]".contains(tag)).count();
        let plain = message.type_tags().len() - brackets;
        assert_eq!(count(message.arguments()), plain, "an argument was lost");
    }
    let owned = OscPacket::from(packet);
    assert_eq!(owned.to_string(), packet.to_string());
    let again = owned.to_vec().unwrap_or_else(|error| panic!("cannot encode {owned}: {error}"));
    let decoded = Packet::decode(&again).unwrap_or_else(|error| panic!("{owned}: {error}"));
    // NaN is not equal to itself, so the bytes are compared.
    let once_more = OscPacket::from(decoded).to_vec();
    assert_eq!(once_more.as_ref(), Ok(&again));
    assert_eq!(again.len(), canonical_length(packet));
}

fn count(arguments: crate::Arguments<'_>) -> usize {
    arguments.map(|argument| argument.as_array().map_or(1, |array| count(array.iter()))).sum()
}

/// The size of the packet when written: a message without type tags gains an empty list.
fn canonical_length(packet: Packet<'_>) -> usize {
    match packet {
        Packet::Message(message) => {
            let bare = message.address().len() / 4 * 4 + 4 == message.as_bytes().len();
            message.as_bytes().len() + if bare { 4 } else { 0 }
        }
        Packet::Bundle(bundle) => {
            16 + bundle.elements().map(|element| 4 + canonical_length(element)).sum::<usize>()
        }
    }
}

/// The first line is a pattern, the second an address: both matchers must agree.
pub fn osc_pattern(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (pattern, address) = text.split_once('\n').unwrap_or((text, text));
    let _ = validate_address(address);
    let borrowed = address_matches(pattern, address);
    match Pattern::new(pattern) {
        Ok(compiled) => {
            assert_eq!(borrowed, Ok(compiled.matches(address)), "{pattern:?} on {address:?}");
            assert_eq!(compiled.as_str(), pattern);
            if compiled.is_literal() {
                assert!(compiled.matches(pattern));
            }
        }
        Err(error) => {
            assert!(error.offset() <= pattern.len(), "{error}");
            // An address of the same text needs no compiling.
            assert!(borrowed != Ok(true) || pattern == address);
        }
    }
}

/// The first byte is the size of the pieces into which the rest is split: both framings must
/// decode the same packets however the stream is split, and decode what they encoded.
pub fn osc_stream(bytes: &[u8]) {
    let Some((&step, stream)) = bytes.split_first() else { return };
    let step = usize::from(step).max(1);
    let limit = 256;

    let lengths = |step: usize| {
        let mut decoder = LengthPrefixDecoder::new(limit);
        let mut frames = Vec::new();
        for mut input in stream.chunks(step) {
            loop {
                match decoder.next(&mut input) {
                    Ok(Some(frame)) => frames.push(frame.to_vec()),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error)),
                }
            }
            assert!(decoder.pending() <= limit + 4);
        }
        (frames, None)
    };
    assert_eq!(lengths(step), lengths(stream.len().max(1)));

    let slips = |step: usize| {
        let mut decoder = SlipDecoder::new(limit);
        let mut frames = Vec::new();
        for mut input in stream.chunks(step) {
            loop {
                match decoder.next(&mut input) {
                    Ok(Some(frame)) => frames.push(Ok(frame.to_vec())),
                    Ok(None) => break,
                    Err(error) => frames.push(Err(error)),
                }
            }
            assert!(decoder.pending() <= limit);
        }
        frames
    };
    assert_eq!(slips(step), slips(stream.len().max(1)));

    if !stream.is_empty() {
        let mut framed = Vec::new();
        assert!(encode_slip(stream, &mut framed).is_ok());
        let mut input = &framed[..];
        let mut decoder = SlipDecoder::new(stream.len());
        assert_eq!(decoder.next(&mut input), Ok(Some(stream)));
        framed.clear();
        assert!(encode_length_prefixed(stream, &mut framed).is_ok());
        let mut input = &framed[..];
        let mut decoder = LengthPrefixDecoder::new(stream.len());
        assert_eq!(decoder.next(&mut input), Ok(Some(stream)));
    }
}
