//! The bodies of the fuzz targets. Tests run them on the committed corpus. Not part of the public
//! interface.

pub use crate::shared_memory::fuzzing::{example_segment, fuzz_shared_memory as sc_shared_memory};

use std::time::Duration;

use crate::lifecycle::Timeouts;
use crate::options::Options;
use crate::proto::{Connection, Event};
use crate::requests::{GetControlBusRange, QueryNodes, QueryTree, Request, Sync};
use crate::score::Score;

/// Arbitrary bytes as a score file: a score that can be decoded is the same after it is encoded and
/// decoded again.
pub fn score(bytes: &[u8]) {
    let Ok(score) = Score::decode(bytes) else {
        return;
    };
    let encoded = score.encode(None).expect("a score without an end can be encoded");
    let decoded = Score::decode(&encoded).expect("an encoded score can be decoded");
    assert_eq!(decoded, score);
    for (entry, other) in decoded.entries().zip(score.entries()) {
        assert_eq!(entry.packets.len(), other.packets.len());
    }
}

/// Arbitrary packets as what a server sends, during the handshake and afterwards. Each is preceded
/// by its length in two bytes, big-endian.
pub fn sc_reply(bytes: &[u8]) {
    let mut connection = Connection::new(Options::default(), Timeouts::default());
    let mut now = Duration::ZERO;
    connection.connect(Options::default(), now).expect("the connection is offline");
    connection.socket_opened(now);
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (packet, after) = after.split_at(length);
        rest = after;
        connection.handle_packet(packet, now);
        let requests: [Request; 4] = [
            Sync { id: 1 }.into(),
            QueryNodes { ids: vec![1000] }.into(),
            QueryTree { id: 0, include_controls: true }.into(),
            GetControlBusRange { start: 0, count: 2 }.into(),
        ];
        for request in requests {
            let _ = connection.request(&request, now);
        }
        if !connection.has_queue() {
            let _ = connection.submit_encoded(&[0; 40_000], None, now);
        }
        while connection.poll_transmit(now).is_some() {}
        now += Duration::from_millis(300);
        connection.handle_timeout(now);
        while let Some(event) = connection.poll_event() {
            if let Event::Open(_) = event {
                connection.socket_opened(now);
            }
        }
    }
    let state = connection.state();
    for id in state.mirror.ids() {
        let _ = state.mirror.parentage(id);
    }
    let _ = state.mirror.tree(0).map(|tree| tree.to_string());
}
