//! Score files: their encoding and decoding, and the rejection of invalid ones.

use consort_osc::{OscMessage, OscPacket, OscValue};
use consort_sc::score::{Score, ScoreErrorKind};
use proptest::prelude::*;

fn message(address: &str, value: i32) -> OscMessage {
    OscMessage::new(address, vec![OscValue::from(value)])
}

#[test]
fn a_small_score_is_encoded_byte_for_byte() {
    let mut score = Score::new();
    score.send(1.5, message("/b", 2)).expect("the message is valid");
    score.send(0.0, message("/a", 1)).expect("the message is valid");
    score.send(1.5, message("/c", 3)).expect("the message is valid");
    let mut expected = Vec::new();
    let mut bundle = |seconds: u32, fraction: u32, messages: &[(&[u8; 4], u8)]| {
        expected.extend((16 + 16 * messages.len() as u32).to_be_bytes());
        expected.extend(b"#bundle\0");
        expected.extend(seconds.to_be_bytes());
        expected.extend(fraction.to_be_bytes());
        for (address, value) in messages {
            expected.extend([0, 0, 0, 12]);
            expected.extend(*address);
            expected.extend(b",i\0\0");
            expected.extend([0, 0, 0, *value]);
        }
    };
    bundle(0, 0, &[(b"/a\0\0", 1)]);
    bundle(1, 1 << 31, &[(b"/b\0\0", 2), (b"/c\0\0", 3)]);
    bundle(4, 1 << 30, &[]);
    assert_eq!(score.encode(Some(4.25)).expect("the time is valid"), expected);
    assert_eq!(score.duration(), 1.5);
    let decoded = Score::decode(&expected).expect("the score is valid");
    assert_eq!(decoded.duration(), 4.25);
    let entries: Vec<_> =
        decoded.entries().map(|entry| (entry.seconds, entry.packets.len())).collect();
    assert_eq!(entries, [(0.0, 1), (1.5, 2), (4.25, 0)]);
    assert_eq!(decoded.encode(None).expect("a score without an end can be encoded"), expected);
    // Entries after the end are left out.
    let shortened = Score::decode(&score.encode(Some(1.0)).expect("the time is valid"))
        .expect("the score is valid");
    assert_eq!(shortened.entries().map(|entry| entry.seconds).collect::<Vec<_>>(), [0.0, 1.0]);
}

#[test]
fn invalid_times_packets_and_files_are_rejected() {
    let mut score = Score::new();
    for seconds in [-0.1, f64::NAN, f64::INFINITY, 5e9] {
        let error = score.send(seconds, message("/a", 1)).expect_err("the time is invalid");
        assert_eq!(error.kind(), ScoreErrorKind::InvalidTime);
    }
    assert_eq!(
        score.send_encoded(0.0, b"abc").expect_err("the length is not a multiple of 4").kind(),
        ScoreErrorKind::InvalidPacket
    );
    assert!(score.is_empty());
    score.send(0.5, message("/a", 1)).expect("the message is valid");
    let complete = score.encode(None).expect("a score without an end can be encoded");
    for end in 1..complete.len() {
        let error = Score::decode(&complete[..end]).expect_err("the file is truncated");
        assert_eq!(error.kind(), ScoreErrorKind::Malformed);
        assert!(error.offset().expect("the error has an offset") <= end, "{error}");
    }
    let mut file = Vec::new();
    let bytes = OscPacket::from(message("/a", 1)).to_vec().expect("the message is valid");
    file.extend((bytes.len() as u32).to_be_bytes());
    file.extend(&bytes);
    let error = Score::decode(&file).expect_err("the entry is not a bundle");
    assert_eq!((error.kind(), error.offset()), (ScoreErrorKind::Malformed, Some(4)));
    assert!(Score::decode(&[0xff; 8]).is_err(), "the length of the entry is too large");
    let missing = Score::read("/nonexistent/score.osc").expect_err("the file does not exist");
    assert!(missing.to_string().contains("/nonexistent/score.osc"), "{missing}");
}

proptest! {
    #[test]
    fn decoding_an_encoded_score_restores_it(
        messages in proptest::collection::vec((0.0_f64..100.0, any::<i32>()), 0..40)
    ) {
        let mut score = Score::new();
        for (seconds, value) in &messages {
            score.send(*seconds, message("/n_set", *value)).expect("the message is valid");
        }
        let decoded = Score::decode(&score.encode(None).expect("a score without an end can be encoded")).expect("the score is valid");
        prop_assert_eq!(&decoded, &score);
        let packet_count: usize = decoded.entries().map(|entry| entry.packets.len()).sum();
        prop_assert_eq!(packet_count, messages.len());
        let times: Vec<f64> = decoded.entries().map(|entry| entry.seconds).collect();
        prop_assert!(times.is_sorted());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        consort_sc::fuzz::score(&bytes);
    }
}
