//! The body of the fuzz target, which the tests run on the committed corpus.

use crate::{Answer, Lines, Request};

/// Reads `bytes` as a client's and as a server's stream. The first byte is the size of
/// the pieces in which the rest arrives, the second limits the length of a line.
///
/// # Panics
/// When lines depend on how the stream is split, the buffer exceeds its limit, or a decoded message
/// is encoded differently.
pub fn control_line(bytes: &[u8]) {
    let [size, limit, stream @ ..] = bytes else { return };
    let (size, limit) = (usize::from(*size).max(1), usize::from(*limit) * 16);
    let mut lines = Lines::new(limit);
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut is_too_long = false;
    for piece in stream.chunks(size) {
        lines.push(piece);
        loop {
            match lines.next_line() {
                Ok(Some(line)) => {
                    assert!(line.len() <= limit, "a line of {} bytes", line.len());
                    found.push(line.to_vec());
                }
                Ok(None) => break,
                Err(_) => {
                    is_too_long = true;
                    break;
                }
            }
        }
    }
    let mut whole: Vec<&[u8]> = stream.split(|&byte| byte == b'\n').collect();
    let rest = whole.pop().unwrap_or_default();
    let first_too_long = whole.iter().position(|line| line.len() > limit);
    assert_eq!(is_too_long, first_too_long.is_some() || rest.len() > limit);
    assert_eq!(found, whole[..first_too_long.unwrap_or(whole.len())]);
    assert!(is_too_long || lines.is_partial() != rest.is_empty());
    for line in &found {
        if let Ok(request) = Request::decode(line) {
            let again = request.encode();
            let again = Request::decode(again.trim_ascii_end()).expect("what was written");
            assert_eq!(again, request);
        }
        if let Ok(answer) = Answer::decode(line) {
            let again = answer.encode();
            assert_eq!(again.iter().filter(|&&byte| byte == b'\n').count(), 1, "one line");
            let again = Answer::decode(again.trim_ascii_end()).expect("what was written");
            assert_eq!(again, answer);
        }
    }
}
