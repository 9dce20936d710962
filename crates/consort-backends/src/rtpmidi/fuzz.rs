//! The bodies of the fuzz targets, which the tests also run on the committed corpus. Not part of
//! the public interface.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::exchange::Exchange;
use super::journal::repair::repair;
use super::journal::state::State;
use super::packet::Packet;
use super::session::{Effects, Join, Notice, Port, Session, Settings};
use super::stream::Arrival;
use crate::midi_grammar::message::Message;

/// Checks what arrives, and sends nothing.
struct Check;

impl Effects for Check {
    fn send(&mut self, _: Port, _: SocketAddr, bytes: &[u8]) {
        assert!(!bytes.is_empty());
    }

    fn arrive(&mut self, _: u32, arrival: Arrival<'_>) {
        if let Arrival::Message(message) = arrival {
            check_message(&message);
        }
    }

    fn notice(&mut self, _: u32, _: &str, _: SocketAddr, _: Notice<'_>) {}
}

/// The bytes of a message are valid, and give the same message.
fn check_message(message: &Message<'_>) {
    match (message, message.bytes()) {
        (_, Some((bytes, length))) => {
            assert!(bytes[0] >= 0x80 && bytes[1..].iter().all(|byte| *byte < 0x80));
            assert_eq!(Message::data_length(bytes[0]), Some(length - 1));
            assert_eq!(Message::from_bytes(bytes[0], [bytes[1], bytes[2]]), Some(*message));
        }
        (Message::Exclusive(part), None) => {
            let data = part.strip_prefix(&[0xF0]).unwrap_or(part);
            let data = data.strip_suffix(&[0xF7]).unwrap_or(data);
            assert!(data.iter().all(|byte| *byte < 0x80), "{part:X?}");
        }
        _ => panic!("no bytes: {message:?}"),
    }
}

/// Reads any bytes as a packet, as a journal, and as datagrams of both ports of a session. The
/// first byte chooses the lengths of the datagrams.
///
/// # Panics
/// If a message that is passed on is not valid, or the session cannot be served any more.
pub fn rtpmidi_packets(bytes: &[u8]) {
    if let Ok(packet) = Packet::parse(bytes) {
        // An error ends the list; what came before it is checked.
        let _ = packet.commands(|command| {
            if let super::packet::Command::Message(message) = command {
                check_message(&message);
            }
        });
    }
    let mut state = State::new();
    // As above.
    let _ = repair(bytes, &mut state, &mut |message| check_message(&message));
    let Some((&choice, mut rest)) = bytes.split_first() else { return };
    let settings = Settings {
        name: "fuzz".into(),
        ssrc: 1,
        is_direct: choice & 1 != 0,
        join: Join::Everyone,
        learns: choice & 2 != 0,
    };
    let mut now = Instant::now();
    let mut session = Session::new(settings, 7, now);
    let from = SocketAddr::from(([127, 0, 0, 1], 5004));
    session.add_host(0, SocketAddr::from(([127, 0, 0, 1], 7004)), now, &mut Check);
    while let Some((&length, data)) = rest.split_first() {
        let (datagram, after) = data.split_at(usize::from(length & 0x7F).min(data.len()));
        rest = after;
        let port = if length & 0x80 == 0 { Port::Control } else { Port::Data };
        session.receive(port, from, datagram, now, &mut Check);
        session.timer(now, &mut Check);
        let message = Message::NoteOn { channel: 1, note: length & 0x7F, velocity: 1 };
        if session.has_receiver() {
            session.send(&message, now, &mut Check);
            session.flush(now, &mut Check);
        }
        if let Some(exchange) = Exchange::parse(datagram) {
            let mut written = Vec::new();
            exchange.write(&mut written);
            assert_eq!(Exchange::parse(&written), Some(exchange));
        }
        now += Duration::from_millis(u64::from(length) * 50);
    }
    session.close(&mut Check);
    assert!(session.peers().is_empty());
}
