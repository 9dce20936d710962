//! Tests of the frames.

use super::*;
use proptest::prelude::*;

fn frame(kind: u32, argument: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_frame(&mut bytes, kind, argument, &[payload]);
    bytes
}

#[test]
fn values_and_messages_are_decoded_in_order() {
    let mut bytes = Vec::new();
    push_value(&mut bytes, 7, 3, 0.25);
    bytes.extend(frame(3, 5, b"where\nwhat"));
    bytes.extend(frame(11, 2, b"\x09\0\0\0caf\xc3\xa9"));
    bytes.extend(frame(2, 0, b""));
    let expected = [
        (Message::Value { number: 7, root: 3, value: 0.25 }, 16),
        (Message::Report(Report::Error(5, "where\nwhat".into())), 32),
        (Message::Text { number: 2, root: 9, text: "café" }, 32),
        (Message::Report(Report::Ready(LoadResult::Complete)), 16),
    ];
    let mut rest = &bytes[..];
    for expected in expected {
        assert_eq!(decode(rest), Ok(Some(expected.clone())));
        rest = &rest[expected.1..];
    }
    assert_eq!(decode(rest), Ok(None));
}

#[test]
fn an_unmatched_output_is_a_value_or_a_text() {
    let number = [&0.5_f64.to_le_bytes()[..], b"fader"].concat();
    let text = [&f64::NAN.to_le_bytes()[..], b"fader", b"hello"].concat();
    let output = |bytes: &[u8]| match decode(bytes) {
        Ok(Some((Message::Unmatched { name: "fader", output }, _))) => {
            format!("{output:?}")
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(output(&frame(13, 5, &number)), "Value(0.5)");
    assert_eq!(output(&frame(13, 5, &text)), "Text(\"hello\")");
}

#[test]
fn an_incomplete_message_needs_more_bytes() {
    let bytes = frame(5, 0, b"careful");
    for end in 0..bytes.len() {
        assert_eq!(decode(&bytes[..end]), Ok(None), "{end} bytes");
    }
}

#[test]
fn invalid_messages_are_errors() {
    assert_eq!(decode(&frame(77, 0, b"")), Err(ProtocolError::Kind(77)));
    assert_eq!(decode(&frame(11, 0, b"xy")), Err(ProtocolError::Payload(11)));
    assert_eq!(decode(&frame(11, 0, b"root\xff")), Err(ProtocolError::Text(11)));
    assert_eq!(decode(&frame(11, 0, &[b'x'; 1_029])), Err(ProtocolError::Text(11)));
    assert_eq!(decode(&frame(13, 9, &[0; 12])), Err(ProtocolError::Payload(13)));
    assert_eq!(decode(&frame(13, 4, &[0; 13])), Err(ProtocolError::Payload(13)));
    let mut long = frame(5, 0, b"");
    long[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(decode(&long), Err(ProtocolError::Length(u32::MAX)));
}

#[test]
fn no_command_is_longer_than_allowed() {
    let long = "x".repeat(1_024);
    for command in [
        Command::Text { number: 0, root: 0, text: &long },
        Command::Channel { number: 0, usage: 3, name: &long },
        Command::DefaultHandler(&long),
    ] {
        let mut bytes = Vec::new();
        push_command(&mut bytes, command);
        assert!(bytes.len() <= RECORD_BYTES + padded(MAX_COMMAND_BYTES));
        assert_eq!(bytes.len() % RECORD_BYTES, 0);
    }
}

proptest! {
    #[test]
    fn any_bytes_can_be_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz(&bytes);
    }

    #[test]
    fn any_frame_can_be_decoded(
        kind in 0_u32..16,
        argument in 0_u32..40,
        payload in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        fuzz(&frame(kind, argument, &payload));
    }
}

/// What a worker written in Rust receives is what the instance has sent.
#[cfg(feature = "lua")]
#[test]
fn commands_and_the_setup_are_decoded_as_they_were_encoded() {
    let commands = [
        Command::Stop,
        Command::Ping,
        Command::Wake,
        Command::Channel { number: 3, usage: 2, name: "fader" },
        Command::Remove(3),
        Command::DefaultHandler("any"),
        Command::Generation(9),
        Command::Text { number: 1, root: 7, text: "één" },
        Command::TimeLimit(250),
    ];
    let mut bytes = Vec::new();
    push_value(&mut bytes, 4, 5, 0.5);
    for command in commands {
        push_command(&mut bytes, command);
    }
    let (first, mut offset) = decode_input(&bytes).unwrap().unwrap();
    assert_eq!(first, Input::Value { number: 4, root: 5, value: 0.5 });
    for command in commands {
        let (input, length) = decode_input(&bytes[offset..]).unwrap().unwrap();
        assert_eq!(input, Input::Command(command));
        offset += length;
    }
    assert_eq!(decode_input(&bytes[offset..]), Ok(None));

    let modules =
        [(b"file"[..].into(), b"/s.lua"[..].into()), (b"code"[..].into(), b""[..].into())];
    let setup = Setup {
        program: "",
        epoch: -5,
        directory: std::path::Path::new("/shows"),
        default_handler: "any",
        time_limit: 200,
        modules: &modules,
        channels: &["a".into(), "b".into()],
        usage: &[1, 2],
        inputs: &[f64::NAN, 0.25],
    };
    let expected = WorkerSetup {
        epoch: -5,
        directory: "/shows".into(),
        default_handler: "any".into(),
        time_limit: 200,
        modules: vec![(b"file".into(), b"/s.lua".into()), (b"code".into(), b"".into())],
        channels: vec!["a".into(), "b".into()],
        usage: vec![1, 2],
        inputs: vec![(1, 0.25)],
    };
    let bytes = setup.encode();
    assert_eq!(WorkerSetup::decode(&bytes[4..]), Some(expected));
    for end in 4..bytes.len() {
        assert_eq!(WorkerSetup::decode(&bytes[4..end]), None, "{end} bytes");
    }
}

#[test]
fn messages_are_decoded_as_they_were_encoded() {
    let text = || "what".to_owned();
    let messages = [
        Message::Value { number: 1, root: 2, value: 0.75 },
        Message::Text { number: 1, root: 2, text: "één" },
        Message::Unmatched { name: "x", output: Output::Value(0.5) },
        Message::Unmatched { name: "x", output: Output::Text("y") },
        Message::File(b"/s.lua"),
        Message::Report(Report::Hello(5, 3)),
        Message::Report(Report::Ready(LoadResult::Complete)),
        Message::Report(Report::Ready(LoadResult::Partial(text()))),
        Message::Report(Report::Ready(LoadResult::Nothing(text()))),
        Message::Report(Report::Error(3, text())),
        Message::Report(Report::Repeat(3)),
        Message::Report(Report::Warning(text())),
        Message::Report(Report::Failed(text())),
        Message::Report(Report::Stopped),
        Message::Report(Report::Pong),
        Message::Report(Report::WakeRequest),
        Message::Report(Report::Generation(8)),
        Message::Report(Report::Ended(text())),
    ];
    for message in messages {
        let mut bytes = Vec::new();
        push_message(&mut bytes, &message);
        assert_eq!(decode(&bytes), Ok(Some((message, bytes.len()))));
    }
    let mut bytes = Vec::new();
    let long = Report::Warning("é".repeat(MAX_MESSAGE_BYTES));
    push_message(&mut bytes, &Message::Report(long));
    assert!(decode(&bytes).is_ok_and(|decoded| decoded.is_some()), "a long text is shortened");
}
