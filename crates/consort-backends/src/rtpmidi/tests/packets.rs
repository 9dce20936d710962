//! Packets and lists of commands, byte by byte.

use proptest::prelude::*;

use super::super::exchange::Exchange;
use super::super::packet::{self, Command, Invalid, Packet};
use crate::midi_grammar::message::Message;

/// A packet around a command section.
fn packet(section: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, 0x61, 0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 2];
    bytes.extend(section);
    bytes
}

/// The commands of a section in words.
fn commands(section: &[u8]) -> Result<Vec<String>, Invalid> {
    let bytes = packet(section);
    let mut found = Vec::new();
    Packet::parse(&bytes)?.commands(|command| {
        found.push(match command {
            Command::Message(Message::Exclusive(part)) => format!("{part:02X?}"),
            Command::Message(message) => format!("{message:?}"),
            Command::Cancelled => "cancelled".to_owned(),
        });
    })?;
    Ok(found)
}

#[test]
fn a_note_has_the_bytes_that_everyone_understands() {
    let mut list = Vec::new();
    let message = Message::NoteOn { channel: 1, note: 60, velocity: 100 };
    packet::push(&mut list, &message, |_| panic!("the list is full"));
    let mut bytes = Vec::new();
    packet::write(&mut bytes, 0x1234, 1, 2, &list, &[]);
    assert_eq!(bytes, packet(&[0x03, 0x91, 60, 100]), "no times, no marker, the short length");
    packet::push(&mut list, &message, |_| panic!("the list is full"));
    assert_eq!(list, [0x91, 60, 100, 0, 0x91, 60, 100], "a time before the second command");
    bytes.clear();
    packet::write(&mut bytes, 0x1234, 1, 2, &[0; 300], &[9]);
    assert_eq!(bytes[12..14], [0xC1, 0x2C], "the long length, and a journal");
}

#[test]
fn every_form_of_a_list_is_read() {
    let on = "NoteOn { channel: 0, note: 60, velocity: 1 }";
    assert_eq!(commands(&[0x03, 0x90, 60, 1]), Ok(vec![on.into()]));
    // Running status, times of one and two bytes, and a real-time message between.
    let section = [0x0B, 0x90, 60, 1, 5, 60, 1, 0x81, 0, 0xF8, 0, 60];
    assert_eq!(commands(&section), Err(Invalid), "the last note is cut off");
    let section = [0x0C, 0x90, 60, 1, 5, 60, 1, 0x81, 0, 0xF8, 0, 60, 1];
    assert_eq!(commands(&section), Ok(vec![on.into(), on.into(), "Clock".into(), on.into()]));
    // A time before the first command, the long length, and a journal behind the list.
    let section = [0xE0, 0x05, 0x81, 0x00, 0x90, 60, 1, 0xAA];
    assert_eq!(commands(&section), Ok(vec![on.into()]));
    let bytes = packet(&section);
    assert_eq!(Packet::parse(&bytes).expect("a packet").journal, Some(&[0xAA][..]));
    // A list may end with a time.
    assert_eq!(commands(&[0x04, 0x90, 60, 1, 0]), Ok(vec![on.into()]));
    assert_eq!(commands(&[0x00]), Ok(vec![]));
    // Parts of system exclusive messages.
    let parts = [0x0E, 0xF0, 1, 0xF0, 0, 0xF7, 2, 0xF0, 0, 0xF7, 3, 0xF7, 0, 0xF0, 0xF4];
    assert_eq!(
        commands(&parts),
        Ok(vec!["[F0, 01]".into(), "[02]".into(), "[03, F7]".into(), "cancelled".into()])
    );
    // System common messages are stepped over, and end running status.
    let section = [0x09, 0xF1, 7, 0, 0xF3, 9, 0, 0xF6, 0, 0xFE];
    let expected = ["QuarterFrame(7)", "SongSelect(9)", "TuneRequest", "ActiveSensing"];
    assert_eq!(commands(&section), Ok(expected.map(str::to_owned).to_vec()));
    assert_eq!(commands(&[0x05, 0xF3, 9, 0, 60, 1]), Err(Invalid), "no running status");
}

#[test]
fn wrong_packets_are_refused() {
    for (bytes, reason) in [
        (&[0x80, 0x61][..], "too short"),
        (&[0x40, 0x61, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], "another version"),
        (&[0x80, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], "a payload type of audio"),
        (&packet(&[])[..], "no command section"),
        (&packet(&[0x04, 0x90, 60, 1])[..], "a list that is cut off"),
    ] {
        assert_eq!(Packet::parse(bytes).map(|_| ()), Err(Invalid), "{reason}");
    }
    for section in [&[0x03, 0x90, 0x90, 1][..], &[0x02, 60, 1], &[0x03, 0xF0, 1, 0x90]] {
        assert_eq!(commands(section), Err(Invalid), "{section:X?}");
    }
    // Padding, contributing sources and an extension are stepped over.
    let mut bytes = packet(&[]);
    bytes[0] = 0x80 | 0x20 | 0x10 | 1;
    bytes.extend([9, 9, 9, 9, 0, 0, 0, 1, 8, 8, 8, 8, 0x03, 0x90, 60, 1, 0, 2]);
    let mut count = 0;
    let packet = Packet::parse(&bytes).expect("a packet");
    packet.commands(|_| count += 1).expect("commands");
    assert_eq!((count, packet.sequence, packet.ssrc), (1, 0x1234, 2));
}

#[test]
fn the_messages_of_sessions_have_their_bytes() {
    let name = "Stage".to_owned();
    let invitation = Exchange::Invitation { token: 1, ssrc: 2, name };
    let mut bytes = Vec::new();
    invitation.write(&mut bytes);
    assert_eq!(bytes, b"\xFF\xFFIN\0\0\0\x02\0\0\0\x01\0\0\0\x02Stage\0");
    assert_eq!(Exchange::parse(&bytes), Some(invitation));
    // A name without an end, without anything, and with bytes that are not UTF-8.
    let cut = Exchange::parse(b"\xFF\xFFOK\0\0\0\x02\0\0\0\x01\0\0\0\x02\xFFx").expect("a message");
    assert_eq!(cut, Exchange::Accepted { token: 1, ssrc: 2, name: "\u{FFFD}x".into() });
    assert!(Exchange::parse(b"\xFF\xFFNO\0\0\0\x02\0\0\0\x01\0\0\0\x02").is_some());
    assert_eq!(Exchange::parse(b"\xFF\xFFRL\0\0\0\x02\0\0\0\x01"), None);
    bytes.clear();
    Exchange::Clock { ssrc: 1, step: 1, times: [1, 2, 3] }.write(&mut bytes);
    assert_eq!(bytes.len(), 36);
    bytes.clear();
    Exchange::Feedback { ssrc: 1, sequence: 0x1234 }.write(&mut bytes);
    assert_eq!(bytes, b"\xFF\xFFRS\0\0\0\x01\x12\x34\0\0");
}

/// Any message that is sent.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let exclusive = prop::collection::vec(0_u8..128, 0..3_000);
    prop_oneof![
        4 => (0x80_u8..0xF0, 0_u8..128, 0_u8..128).prop_map(|(status, first, second)| {
            let length = Message::data_length(status).unwrap_or(0);
            [status, first, second][..=length].to_vec()
        }),
        1 => prop::sample::select(vec![0xF6_u8, 0xF8, 0xFA, 0xFB, 0xFC, 0xFE, 0xFF])
            .prop_map(|status| vec![status]),
        1 => exclusive.prop_map(|data| [&[0xF0], &data[..], &[0xF7]].concat()),
    ]
}

proptest! {
    #[test]
    fn what_is_sent_is_received(messages in prop::collection::vec(any_message(), 1..60)) {
        let mut packets = Vec::new();
        let mut list = Vec::new();
        let mut write = |list: &[u8]| {
            let mut bytes = Vec::new();
            packet::write(&mut bytes, packets.len() as u16, 0, 0, list, &[]);
            packets.push(bytes);
        };
        for bytes in &messages {
            let data = [bytes.get(1).copied().unwrap_or(0), bytes.get(2).copied().unwrap_or(0)];
            let message =
                Message::from_bytes(bytes[0], data).unwrap_or(Message::Exclusive(bytes));
            packet::push(&mut list, &message, |list| write(list));
        }
        write(&list);
        let (mut received, mut partial) = (Vec::new(), Vec::new());
        for bytes in &packets {
            prop_assert!(bytes.len() < 1_400);
            let packet = Packet::parse(bytes).expect("a packet");
            let result = packet.commands(|command| match command {
                Command::Message(Message::Exclusive(part)) => {
                    partial.extend_from_slice(part);
                    if part.last() == Some(&0xF7) {
                        received.push(std::mem::take(&mut partial));
                    }
                }
                Command::Message(message) => {
                    let (bytes, length) = message.bytes().expect("bytes");
                    received.push(bytes[..length].to_vec());
                }
                Command::Cancelled => panic!("nothing is cancelled"),
            });
            prop_assert_eq!(result, Ok(()));
        }
        prop_assert_eq!(received, messages);
    }
}
