//! Packets in streams, in pieces of any size.

use consort_osc::{
    ErrorKind, LengthPrefixDecoder, SliceSink, SlipDecoder, encode_length_prefixed, encode_slip,
};
use proptest::prelude::*;

fn lengths(
    decoder: &mut LengthPrefixDecoder,
    mut input: &[u8],
) -> Result<Vec<Vec<u8>>, consort_osc::Error> {
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next(&mut input)? {
        frames.push(frame.to_vec());
    }
    assert!(input.is_empty());
    Ok(frames)
}

#[test]
fn length_prefixed_streams_end_at_a_bad_length() {
    let mut decoder = LengthPrefixDecoder::new(8);
    assert_eq!(lengths(&mut decoder, b"\0\0\0\x04abcd\0\0"), Ok(vec![b"abcd".to_vec()]));
    assert_eq!(decoder.pending(), 2);
    assert_eq!(lengths(&mut decoder, b"\0\0\0\0\0\x08"), Ok(vec![]));
    let error = lengths(&mut decoder, b"12345678\0\0\0\x09").expect_err("too large");
    assert_eq!((error.kind(), error.offset()), (ErrorKind::TooLarge { limit: 8 }, 24));
    assert_eq!(lengths(&mut decoder, b"\0\0\0\x04abcd"), Err(error));
    decoder.reset();
    assert_eq!(lengths(&mut decoder, b"\0\0\0\x04abcd").map(|frames| frames.len()), Ok(1));
    let error = lengths(&mut decoder, b"\xff\xff\xff\xff").expect_err("negative");
    assert_eq!((error.kind(), error.offset()), (ErrorKind::NegativeSize(-1), 8));
}

#[test]
fn slip_streams_continue_after_an_invalid_frame() {
    let mut decoder = SlipDecoder::new(4);
    let mut input =
        &b"\xc0\xc0ab\xdb\xdc\xdb\xdd\xc012345678\xc0ab\xdbx\xdb\xc0cd\xc0\xdb\xc0ef\xc0"[..];
    let mut next = || decoder.next(&mut input).map(|frame| frame.map(<[u8]>::to_vec));
    assert_eq!(next(), Ok(Some(b"ab\xc0\xdb".to_vec())));
    let error = next().expect_err("too large");
    assert_eq!((error.kind(), error.offset()), (ErrorKind::TooLarge { limit: 4 }, 13));
    let error = next().expect_err("no such escape");
    assert_eq!(error.kind(), ErrorKind::InvalidEscape(b'x'));
    assert_eq!(next(), Ok(Some(b"cd".to_vec())));
    assert_eq!(next().map_err(|error| error.kind()), Err(ErrorKind::InvalidEscape(0xc0)));
    assert_eq!(next(), Ok(Some(b"ef".to_vec())));
    assert_eq!(next(), Ok(None));
}

#[test]
fn slices_that_are_too_small_are_unchanged() {
    let mut buffer = [0; 7];
    let mut sink = SliceSink::new(&mut buffer);
    for error in
        [encode_length_prefixed(b"abcd", &mut sink), encode_slip(b"ab\xc0\xdbcd", &mut sink)]
    {
        assert!(matches!(error.expect_err("too small").kind(), ErrorKind::BufferTooSmall { .. }));
        assert!(sink.bytes().is_empty());
    }
    assert_eq!(encode_slip(b"ab\xc0c", &mut sink), Ok(7));
    assert_eq!(sink.bytes(), b"\xc0ab\xdb\xdcc\xc0");
}

proptest! {
    /// Whatever goes in comes out, in whatever pieces it travels.
    #[test]
    fn frames_survive_any_cuts(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..12),
        cuts in prop::collection::vec(1usize..40, 1..40),
    ) {
        let (mut prefixed, mut slip) = (Vec::new(), Vec::new());
        for packet in &packets {
            encode_length_prefixed(packet, &mut prefixed).unwrap();
            encode_slip(packet, &mut slip).unwrap();
        }
        let pieces = |mut stream: &[u8]| {
            let mut cuts = cuts.iter().cycle();
            let mut pieces = Vec::new();
            while !stream.is_empty() {
                let (piece, rest) = stream.split_at((*cuts.next().unwrap()).min(stream.len()));
                pieces.push(piece.to_vec());
                stream = rest;
            }
            pieces
        };
        let mut decoder = LengthPrefixDecoder::new(50);
        let mut frames = Vec::new();
        for piece in pieces(&prefixed) {
            frames.extend(lengths(&mut decoder, &piece).unwrap());
        }
        prop_assert_eq!(&frames, &packets);
        prop_assert_eq!(decoder.pending(), 0);

        let mut decoder = SlipDecoder::new(50);
        let mut frames = Vec::new();
        for piece in pieces(&slip) {
            let mut input = &piece[..];
            while let Some(frame) = decoder.next(&mut input).unwrap() {
                frames.push(frame.to_vec());
            }
        }
        prop_assert_eq!(&frames, &packets);
    }

    #[test]
    fn never_panics(bytes in prop::collection::vec(
        prop_oneof![Just(0u8), Just(0xc0), Just(0xdb), Just(4), any::<u8>()], 0..300,
    )) {
        consort_osc::fuzz::osc_stream(&bytes);
    }
}
