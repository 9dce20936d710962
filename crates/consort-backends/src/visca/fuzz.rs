//! The body of the fuzz target, which the tests also run on the committed corpus. Not part of the
//! public interface.

use std::time::{Duration, Instant};

use consort_router::Usage;

use super::channels::Channel;
use super::config::Range;
use super::flow::{Flow, WINDOW, What};
use super::wire::{Found, Reply, Splitter, decode_framed};

/// Lets a camera reply with any bytes while a show moves it. The first byte chooses the framing and
/// the size of the pieces in which the bytes arrive; the bytes also choose values.
pub fn visca_replies(bytes: &[u8]) {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let (is_framed, size) = (choice & 1 == 1, usize::from(choice >> 1) + 1);
    let range = Range { low: -2448, high: 2448 };
    let settings = super::config::Settings {
        deadzone: 0.1,
        pan: range,
        tilt: range,
        zoom: Range { low: 0, high: 0x4000 },
        focus: Range { low: 0, high: 0x4000 },
        pan_speed: Range { low: 1, high: 24 },
        tilt_speed: Range { low: 1, high: 20 },
        poll: Duration::from_millis(20),
    };
    let channels = ["pan", "move.x", "stop", "zoom", "zoom.in", "memory3", "panspeed"];
    let channels: Vec<Channel> =
        channels.iter().filter_map(|name| Channel::parse(name, Usage::Target).ok()).collect();
    let (mut flow, mut splitter) = (Flow::new(1, settings), Splitter::default());
    let (mut now, mut sequence) = (Instant::now(), 0);
    flow.connected(now);
    for piece in bytes.chunks(size) {
        let value = f64::from(piece[0]) / 255.0;
        flow.set(channels[usize::from(piece[0]) % channels.len()], value);
        now += Duration::from_millis(piece[0].into());
        flow.expire(now);
        let mut replies: Vec<(Vec<u8>, Option<u32>)> = Vec::new();
        let take = |found: Found<'_>| match found {
            Found::Raw(message) => replies.push((message.to_vec(), None)),
            Found::Framed(framed) => {
                replies.push((framed.payload.to_vec(), Some(framed.sequence)));
            }
            Found::Garbage => {}
        };
        match is_framed {
            true => splitter.push_framed(piece, take),
            false => splitter.push_raw(piece, take),
        }
        for (message, number) in &replies {
            if let Some((_, reply)) = Reply::decode(message) {
                flow.reply(reply, *number, now);
            }
        }
        let mut count = 0;
        while let Some(outgoing) = flow.next(now, false, &mut sequence) {
            let bytes = outgoing.message.bytes();
            assert!(bytes.len() >= 3 && bytes[0] == 0x81);
            assert_eq!(bytes.iter().position(|byte| *byte == 0xFF), Some(bytes.len() - 1));
            assert!(flow.unacknowledged() <= WINDOW, "{:?}", outgoing.what);
            count += usize::from(!matches!(outgoing.what, What::Inquiry(_)));
            assert!(count < 64, "it sends without end");
        }
    }
    let _ = decode_framed(bytes);
    let text = String::from_utf8_lossy(bytes);
    if let Err(error) = Channel::parse(&text, Usage::Target) {
        assert!(error.hint.is_some());
    }
}
