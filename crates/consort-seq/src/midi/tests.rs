use proptest::prelude::*;

use super::*;
use crate::event::{EventType, Payload};

/// The events of `bytes`, each with its type and its own bytes.
fn summary(bytes: &[u8]) -> Vec<(EventType, Vec<u8>)> {
    events_from_bytes(bytes)
        .iter()
        .map(|event| (event.event_type(), bytes_from_event(event).unwrap()))
        .collect()
}

/// The expected events are those of libasound 1.2.8's encoder for the same bytes.
#[test]
fn bytes_are_encoded_as_libasound_encodes_them() {
    use EventType as T;
    type Case<'a> = (&'a [u8], &'a [(T, &'a [u8])]);
    let cases: &[Case<'_>] = &[
        (
            &[0x90, 0x3c, 0x40, 0x3d, 0x41],
            &[(T::NOTE_ON, &[0x90, 0x3c, 0x40]), (T::NOTE_ON, &[0x90, 0x3d, 0x41])],
        ),
        (
            &[0xf2, 5, 1, 0xf3, 3, 0xf6, 0xf9, 0xfd, 0xf4, 0xf5, 0xff],
            &[
                (T::SONG_POSITION, &[0xf2, 5, 1]),
                (T::SONG_SELECT, &[0xf3, 3]),
                (T::TUNE_REQUEST, &[0xf6]),
                (T::RESET, &[0xff]),
            ],
        ),
        (
            &[0xf0, 1, 0xf8, 2, 0xf7],
            &[(T::CLOCK, &[0xf8]), (T::SYSTEM_EXCLUSIVE, &[0xf0, 1, 2, 0xf7])],
        ),
        (&[0xf0, 1, 0x90, 0x3c, 0x40], &[(T::NOTE_ON, &[0x90, 0x3c, 0x40])]),
        (&[0xf7, 0x40, 0x40], &[]),
        (&[0xf0, 1, 2, 0xf6, 3, 0xf7], &[(T::TUNE_REQUEST, &[0xf6])]),
        (
            &[0x90, 0xf8, 0x3c, 0xf8, 0x40],
            &[(T::CLOCK, &[0xf8]), (T::CLOCK, &[0xf8]), (T::NOTE_ON, &[0x90, 0x3c, 0x40])],
        ),
        (&[0x90, 0x3c, 0xf6, 0x40, 0x40], &[(T::TUNE_REQUEST, &[0xf6])]),
        (
            &[0x90, 0x3c, 0x40, 0xf6, 0x3d, 0x40],
            &[(T::NOTE_ON, &[0x90, 0x3c, 0x40]), (T::TUNE_REQUEST, &[0xf6])],
        ),
        (&[0xf0, 0xf0, 1, 0xf7], &[(T::SYSTEM_EXCLUSIVE, &[0xf0, 1, 0xf7])]),
        (&[0xf1, 0xf2, 1, 2], &[(T::SONG_POSITION, &[0xf2, 1, 2])]),
        (&[0xf0, 1, 0xf4, 2, 0xf7], &[]),
        (&[0xc0, 5, 6], &[(T::PROGRAM_CHANGE, &[0xc0, 5]), (T::PROGRAM_CHANGE, &[0xc0, 6])]),
    ];
    for (bytes, expected) in cases {
        let expected: Vec<_> =
            expected.iter().map(|(event_type, bytes)| (*event_type, bytes.to_vec())).collect();
        assert_eq!(summary(bytes), expected, "{bytes:02x?}");
    }
}

#[test]
fn long_messages_are_split_into_chunks() {
    for (length, expected) in
        [(3000, vec![1024, 1024, 954]), (1022, vec![1024]), (1023, vec![1024, 1])]
    {
        let mut bytes = vec![1; length + 2];
        bytes[0] = 0xf0;
        bytes[length + 1] = 0xf7;
        let events = events_from_bytes(&bytes);
        let lengths: Vec<usize> = events.iter().map(|event| event.variable().len()).collect();
        assert_eq!(lengths, expected);
        let joined: Vec<u8> = events.iter().flat_map(|event| event.variable().to_vec()).collect();
        assert_eq!(joined, bytes);
    }
}

#[test]
fn fourteen_bit_controllers_and_parameters_become_several_messages() {
    let cases: Vec<(Event, Vec<u8>)> = vec![
        (Event::control_14(1, 7, 300).unwrap(), vec![0xb1, 7, 2, 0xb1, 0x27, 0x2c]),
        (Event::control_14(1, 64, 5000).unwrap(), vec![0xb1, 0x40, 8]),
        (
            Event::non_registered_parameter(1, 300, 300).unwrap(),
            vec![0xb1, 0x63, 2, 0xb1, 0x62, 0x2c, 0xb1, 6, 2, 0xb1, 0x26, 0x2c],
        ),
        (
            Event::registered_parameter(1, 7, 8191).unwrap(),
            vec![0xb1, 0x65, 0, 0xb1, 0x64, 7, 0xb1, 6, 0x3f, 0xb1, 0x26, 0x7f],
        ),
        (Event::pitch_bend(1, -8192).unwrap(), vec![0xe1, 0, 0]),
        (Event::pitch_bend(1, 300).unwrap(), vec![0xe1, 0x2c, 0x42]),
    ];
    for (event, bytes) in cases {
        assert_eq!(bytes_from_event(&event).unwrap(), bytes, "{event}");
    }
}

#[test]
fn running_status_omits_repeated_status_bytes() {
    let mut decoder = MidiDecoder::new();
    decoder.set_running_status(true);
    let mut bytes = Vec::new();
    for event in [
        Event::note_on(1, 60, 64).unwrap(),
        Event::note_on(1, 61, 64).unwrap(),
        Event::new(Payload::Clock { queue: 0 }),
        Event::note_on(1, 62, 64).unwrap(),
        Event::control_14(1, 7, 300).unwrap(),
        Event::new(Payload::TuneRequest),
        Event::control_change(1, 7, 3).unwrap(),
    ] {
        decoder.decode(&event, &mut bytes).unwrap();
    }
    assert_eq!(
        bytes,
        [0x91, 60, 64, 61, 64, 0xf8, 62, 64, 0xb1, 7, 2, 0x27, 0x2c, 0xf6, 0xb1, 7, 3]
    );
}

#[test]
fn events_without_midi_bytes_are_errors() {
    let error = bytes_from_event(&Event::note(0, 60, 100, 10).unwrap()).unwrap_err();
    assert_eq!(error.errno(), libc::ENOENT);
    assert!(error.to_string().contains("NOTE"), "{error}");
    for (event_type, _) in EventType::ALL {
        let event = Event::with_data(*event_type, [0xff; 12]);
        if let Ok(bytes) = bytes_from_event(&event) {
            for (index, byte) in bytes.iter().enumerate() {
                assert!(index == 0 || *byte < 0x80 || *byte == 0xbf, "{event_type} {bytes:02x?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_survive_any_split(data in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz::midi_coder(&data);
    }

    #[test]
    fn typical_bytes_survive_any_split(
        data in prop::collection::vec(
            prop_oneof![
                4 => 0u8..0x80,
                2 => 0x80u8..0xf0,
                1 => Just(0xf0u8),
                1 => Just(0xf7u8),
                1 => 0xf1u8..=0xff,
            ],
            0..600,
        )
    ) {
        fuzz::midi_coder(&data);
    }
}
