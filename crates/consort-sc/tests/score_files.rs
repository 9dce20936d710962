//! Score files: what is written, what is read, what is refused.

use consort_osc::{OscMessage, OscPacket, OscValue};
use consort_sc::score::{Score, ScoreErrorKind};
use proptest::prelude::*;

fn message(address: &str, value: i32) -> OscMessage {
    OscMessage::new(address, vec![OscValue::from(value)])
}

#[test]
fn bytes_of_a_small_score() {
    let mut score = Score::new();
    score.send(1.5, message("/b", 2)).expect("a message");
    score.send(0.0, message("/a", 1)).expect("a message");
    score.send(1.5, message("/c", 3)).expect("a message");
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
    assert_eq!(score.encode(Some(4.25)).expect("a length"), expected);
    assert_eq!(score.duration(), 1.5);
    let read = Score::decode(&expected).expect("a sound file");
    assert_eq!(read.duration(), 4.25);
    let entries: Vec<_> =
        read.entries().map(|entry| (entry.seconds, entry.packets.len())).collect();
    assert_eq!(entries, [(0.0, 1), (1.5, 2), (4.25, 0)]);
    assert_eq!(read.encode(None).expect("no length"), expected);
    // What lies behind the end is left out.
    let short = Score::decode(&score.encode(Some(1.0)).expect("a length")).expect("sound");
    assert_eq!(short.entries().map(|entry| entry.seconds).collect::<Vec<_>>(), [0.0, 1.0]);
}

#[test]
fn what_is_refused() {
    let mut score = Score::new();
    for seconds in [-0.1, f64::NAN, f64::INFINITY, 5e9] {
        let error = score.send(seconds, message("/a", 1)).expect_err("no second of a score");
        assert_eq!(error.kind(), ScoreErrorKind::InvalidTime);
    }
    assert_eq!(
        score.send_encoded(0.0, b"abc").expect_err("not a multiple of four").kind(),
        ScoreErrorKind::InvalidPacket
    );
    assert!(score.is_empty());
    score.send(0.5, message("/a", 1)).expect("a message");
    let whole = score.encode(None).expect("no length");
    for end in 1..whole.len() {
        let error = Score::decode(&whole[..end]).expect_err("the file is cut");
        assert_eq!(error.kind(), ScoreErrorKind::Malformed);
        assert!(error.offset().expect("an offset") <= end, "{error}");
    }
    let bare = message("/a", 1);
    let mut file = Vec::new();
    let bytes = OscPacket::from(bare).to_vec().expect("a message");
    file.extend((bytes.len() as u32).to_be_bytes());
    file.extend(&bytes);
    let error = Score::decode(&file).expect_err("no bundle");
    assert_eq!((error.kind(), error.offset()), (ScoreErrorKind::Malformed, Some(4)));
    assert!(Score::decode(&[0xff; 8]).is_err(), "longer than anything");
    let missing = Score::read("/nonexistent/score.osc").expect_err("no such file");
    assert!(missing.to_string().contains("/nonexistent/score.osc"), "{missing}");
}

proptest! {
    #[test]
    fn scores_survive_their_file(
        messages in proptest::collection::vec((0.0_f64..100.0, any::<i32>()), 0..40)
    ) {
        let mut score = Score::new();
        for (seconds, value) in &messages {
            score.send(*seconds, message("/n_set", *value)).expect("a message");
        }
        let read = Score::decode(&score.encode(None).expect("no length")).expect("a sound file");
        prop_assert_eq!(&read, &score);
        prop_assert_eq!(read.entries().map(|entry| entry.packets.len()).sum::<usize>(), messages.len());
        let times: Vec<f64> = read.entries().map(|entry| entry.seconds).collect();
        prop_assert!(times.is_sorted());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        consort_sc::fuzz::score(&bytes);
    }
}
