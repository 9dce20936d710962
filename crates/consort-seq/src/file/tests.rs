use midly::{MetaMessage, Smf, TrackEventKind};
use proptest::prelude::*;

use super::*;
use crate::event::Payload;

/// A file with these tracks; an end is added to each.
fn smf(format: u16, division: u16, tracks: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"MThd\0\0\0\x06".to_vec();
    for word in [format, tracks.len() as u16, division] {
        bytes.extend(word.to_be_bytes());
    }
    for track in tracks {
        bytes.extend(b"MTrk");
        bytes.extend((track.len() as u32 + 4).to_be_bytes());
        bytes.extend(*track);
        bytes.extend([0, 0xff, 0x2f, 0]);
    }
    bytes
}

/// The events of a file: tick, track and content.
fn list(file: &MidiFile) -> Vec<(u64, u16, Body<'_>)> {
    file.events().map(|event| (event.tick, event.track, event.body)).collect()
}

fn error(bytes: &[u8]) -> (FileErrorKind, String) {
    let error = MidiFile::read(bytes).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn tracks_are_merged_by_time_and_the_tempo_determines_real_time() {
    let tempo: &[u8] = &[
        0, 0xff, 3, 4, b's', b'o', b'n', b'g', // the name
        0, 0xff, 0x51, 3, 0x0f, 0x42, 0x40, // 1,000,000 µs from the beginning
        96, 0xff, 0x51, 3, 0x03, 0xd0, 0x90, // 250,000 µs from the second quarter
    ];
    let notes: &[u8] = &[0, 0x93, 60, 100, 96, 62, 100, 0x81, 0x40, 60, 0, 0, 62, 0];
    let file = MidiFile::read(&smf(1, 96, &[tempo, notes])).unwrap();
    assert_eq!((file.format(), file.track_count()), (1, 2));
    assert_eq!((file.len(), file.message_count()), (7, 4));
    assert_eq!(file.name().as_deref(), Some("song"));
    let messages: Vec<_> = file
        .events()
        .filter_map(|event| Some((file.time(event.tick), event.to_event()?.payload().event_type())))
        .map(|(time, _)| time.as_nanoseconds())
        .collect();
    assert_eq!(messages, [0, 1_000_000_000, 1_500_000_000, 1_500_000_000]);
    assert_eq!(file.length(), RealTime::new(1, 500_000_000));
    assert_eq!(file.index_at(RealTime::new(1, 0)), 3);
    // At the same tick the tempo of track 0 precedes the note of track 1.
    assert!(matches!(list(&file)[3], (96, 0, Body::Meta(0x51, _))));
}

#[test]
fn smpte_time_ignores_the_tempo() {
    let track: &[u8] = &[0, 0xff, 0x51, 3, 0, 0, 1, 0x87, 0x68, 0x90, 60, 1];
    for (division, nanoseconds) in [
        (0xe728, 1_000_000_000), // 25 frames of 40 ticks: milliseconds
        (0xe850, 520_833_333),   // 24 of 80
        (0xe250, 416_666_666),   // 30 of 80
        (0xe350, 417_083_333),   // 30 000/1001 of 80
    ] {
        let file = MidiFile::read(&smf(0, division, &[track])).unwrap();
        assert_eq!(file.length().as_nanoseconds(), nanoseconds, "{division:#x}");
        assert_eq!(file.to_bytes().unwrap(), smf(0, division, &[track]));
    }
    let file = MidiFile::read(&smf(0, 0xe350, &[])).unwrap();
    assert_eq!(file.division().to_string(), "29.97 frames per second of 80 ticks");
}

#[test]
fn system_exclusive_messages_in_parts_and_escapes_are_read() {
    let track: &[u8] = &[
        0, 0xf0, 3, 0x43, 0x12, 0x00, // the first part of a message
        10, 0xf7, 1, 0xf8, // a clock between its parts
        10, 0xf7, 2, 0x43, 0x12, // the next part
        10, 0xf7, 3, 0x01, 0x02, 0xf7, // the last part
        5, 0xf0, 2, 0x7e, 0xf7, // a complete message
        5, 0xf7, 5, 0xf3, 1, 0xf2, 5, 1, // song select and song position
        5, 0x90, 60, 1, 0, 0xf7, 0, 0, 61, 1, // running status across an empty escape
    ];
    let bytes = smf(0, 96, &[track]);
    let file = MidiFile::read(&bytes).unwrap();
    assert_eq!(
        list(&file),
        [
            (0, 0, Body::Exclusive(&[0xf0, 0x43, 0x12, 0])),
            (10, 0, Body::Message(&[0xf8])),
            (20, 0, Body::Exclusive(&[0x43, 0x12])),
            (30, 0, Body::Exclusive(&[1, 2, 0xf7])),
            (35, 0, Body::Exclusive(&[0xf0, 0x7e, 0xf7])),
            (40, 0, Body::Message(&[0xf3, 1])),
            (40, 0, Body::Message(&[0xf2, 5, 1])),
            (45, 0, Body::Message(&[0x90, 60, 1])),
            (45, 0, Body::Message(&[0x90, 61, 1])),
        ]
    );
    let event = file.get(6).and_then(|event| event.to_event()).unwrap();
    assert!(matches!(event.payload(), Payload::SongPosition(value) if value.value == 133));
    assert_eq!(MidiFile::read(&file.to_bytes().unwrap()).unwrap(), file);
}

#[test]
fn errors_have_positions() {
    use FileErrorKind::{Corrupt, NotMidi, TooLarge, Truncated, Unsupported};
    let valid = smf(1, 96, &[&[0, 0x90, 60, 1], &[0, 0x91, 61, 1, 96, 61, 0]]);
    let cases: Vec<(Vec<u8>, FileErrorKind, &str)> = vec![
        (vec![], NotMidi, "at byte 0: the file is empty"),
        (b"MTh".to_vec(), NotMidi, "ends inside MThd"),
        (b"RIFF\0\0\0\0WAVEfmt ".to_vec(), NotMidi, "at byte 8: the file is a RIFF file of"),
        (b"\x7fELF and more".to_vec(), NotMidi, "begins with \"\\u{7f}ELF\"; expected MThd"),
        (valid[..12].to_vec(), Truncated, "at byte 8: the header has 4 bytes; expected 6"),
        (smf(7, 96, &[]), Unsupported, "format 7; expected 0, 1 or 2"),
        (smf(1, 0, &[]), Corrupt, "at byte 12: 0 ticks per quarter note"),
        (smf(1, 0xe900, &[]), Corrupt, "23 frames per second; expected 24, 25, 29 or 30"),
        (smf(1, 0xe700, &[]), Corrupt, "0 ticks per frame"),
        (valid[..30].to_vec(), Truncated, "at byte 30: the file ends after 1 of the 2 tracks"),
        (
            valid[..40].to_vec(),
            Truncated,
            "at byte 40 (track 2): the file ends inside a message; found 2 of the track's 11 bytes",
        ),
        (smf(0, 96, &[&[0, 60, 1]]), Corrupt, "at byte 23 (track 1): found data byte 0x3c"),
        (
            smf(0, 96, &[&[0, 0x90, 0x80, 1]]),
            Corrupt,
            "at byte 24 (track 1): found status byte 0x80",
        ),
        (smf(0, 96, &[&[0, 0xf2, 1, 1]]), Corrupt, "the status 0xf2 is not allowed in a file"),
        (smf(0, 96, &[&[0x80, 0x80, 0x80, 0x80, 0]]), Corrupt, "a time has more than 4 bytes"),
        (smf(0, 96, &[&[0, 0xff, 0x51, 3, 0, 0, 0]]), Corrupt, "invalid tempo of 0 µs"),
        (smf(0, 96, &[&[0, 0xff, 0x51, 2, 1, 0]]), Corrupt, "invalid tempo of 2 bytes; expected 3"),
        (smf(0, 96, &[&[0, 0xf0, 99, 0]]), Corrupt, "a system exclusive message extends past"),
        (vec![0; MAX_FILE_BYTES + 1], TooLarge, "67108865 bytes; expected at most 67108864"),
    ];
    for (bytes, kind, text) in cases {
        let (found, message) = error(&bytes);
        assert!(found == kind && message.contains(text), "{found:?} {message}: expected {text}");
    }
}

#[test]
fn damaged_events_are_left_out() {
    let notes = |count: u8| -> Vec<u8> {
        (0..count).flat_map(|note| [0, 0x90, 60 + note, 100, 48, 0x80, 60 + note, 64]).collect()
    };
    for bad in [&[0, 0xb0, 7, 0xff][..], &[0, 0xf8], &[0, 0xff, 0x51, 3, 0, 0, 0], &[0, 0xf2, 1, 1]]
    {
        let track = [notes(2), bad.to_vec(), notes(10)].concat();
        let (file, damage) = MidiFile::read_partial(&smf(1, 96, &[&track, &notes(1)])).unwrap();
        assert_eq!((file.len(), file.end_tick()), (26, 12 * 48), "{bad:x?}");
        assert_eq!((damage.count(), damage.errors()[0].track()), (1, Some(0)));
    }
    // Garbage has no known length. The note before it is ended with the track.
    let track = [&[0, 0x90, 50, 1, 0, 0xf0, 0x7f][..], &notes(4)].concat();
    let (file, damage) = MidiFile::read_partial(&smf(0, 96, &[&track])).unwrap();
    assert_eq!((file.len(), damage.count()), (10, 1));
    assert_eq!(list(&file)[9], (192, 0, Body::Message(&[0x80, 50, 64])));
}

#[test]
fn patterns_follow_one_another() {
    let first: &[u8] = &[0, 0xff, 0x51, 3, 0x0f, 0x42, 0x40, 0, 0x90, 60, 1, 96, 60, 0];
    let second: &[u8] = &[0, 0x90, 61, 1, 96, 61, 0];
    let bytes = smf(2, 96, &[first, second]);
    let file = MidiFile::read(&bytes).unwrap();
    assert_eq!((file.format(), file.end_tick()), (2, 192));
    // A quarter note of a second, then one of the default tempo.
    assert_eq!(file.length(), RealTime::new(1, 500_000_000));
    assert_eq!(MidiFile::read(&file.to_bytes().unwrap()).unwrap(), file);
    let single = file.single_track(1).unwrap();
    assert_eq!((single.length(), single.len()), (RealTime::new(0, 500_000_000), 2));
    assert!(file.single_track(2).is_none());
}

#[test]
fn bars_follow_the_time_signatures() {
    let track: &[u8] = &[
        0, 0xff, 0x58, 4, 3, 2, 24, 8, // 3/4
        0x84, 0x40, 0xff, 0x58, 4, 6, 3, 24, 8, // after 576 ticks, two bars: 6/8
        0x84, 0x40, 0x90, 60, 0, // two bars later
    ];
    let file = MidiFile::read(&smf(0, 96, &[track])).unwrap();
    let ticks: Vec<_> = (0..6).map(|bar| file.bar_tick(bar)).collect();
    assert_eq!(ticks, [None, Some(0), Some(288), Some(576), Some(864), Some(1152)]);
    assert_eq!(file.bar_count(), 4);
    assert_eq!(file.time_signatures()[1].denominator, 8);
}

#[test]
fn irregularities_that_players_accept_are_read() {
    let track: &[u8] = &[
        0, 0x90, 60, 1, 0, 0xff, 1, 1, b'x', 4, 61, 1, // running status across a text
        0, 0xff, 0x59, 0, // a key signature without data
        0, 0xff, 0x54, 5, 0xff, 0xff, 0xff, 0xff, 0xff, // an invalid SMPTE offset
    ];
    let plain = smf(0, 96, &[track]);
    let file = MidiFile::read(&plain).unwrap();
    assert_eq!(file.len(), 5);
    // A longer header, an unknown chunk, and bytes after the last track.
    let mut bytes = b"MThd\0\0\0\x08\0\0\0\x01\0\x60\xab\xcdXFIH\0\0\0\x03abc".to_vec();
    bytes.extend(&plain[14..]);
    bytes.extend(b"garbage");
    assert_eq!(MidiFile::read(&bytes).unwrap(), file);
    // More tracks than the header declares, and another file after them.
    let mut bytes = smf(1, 96, &[&[0, 0x90, 60, 1], &[0, 0x91, 61, 1], &[0, 0x92, 62, 1]]);
    let tracks = list(&MidiFile::read(&bytes).unwrap()).len();
    bytes[11] = 1;
    bytes.extend(&plain);
    let (file, damage) = MidiFile::read_partial(&bytes).unwrap();
    assert_eq!((file.track_count(), file.len()), (3, tracks));
    let text = damage.errors()[0].to_string();
    assert_eq!(text, "at byte 10: the header declares 1 tracks; found 3");
    // A track without its end, and format 0 with two tracks.
    let mut bytes = smf(0, 96, &[&[0, 0x90, 60, 1], &[0, 0x91, 60, 1]]);
    bytes.truncate(bytes.len() - 4);
    let last = bytes.len() - 4 - 4;
    bytes[last..last + 4].copy_from_slice(&4u32.to_be_bytes());
    let file = MidiFile::read(&bytes).unwrap();
    assert_eq!((file.format(), file.len()), (1, 2));
    // A file in a RIFF wrapper.
    let mut riff = b"RIFF\0\0\0\0RMIDINFO\x03\0\0\0abc\0data".to_vec();
    riff.extend((plain.len() as u32).to_le_bytes());
    let offset = riff.len();
    riff.extend(&plain);
    assert_eq!(MidiFile::read(&riff).unwrap().len(), 5);
    riff.truncate(offset + 25);
    assert_eq!(MidiFile::read(&riff).unwrap_err().position(), offset + 25);
}

#[test]
fn a_recording_keeps_times_and_releases_held_notes() {
    let mut recording = Recording::new(9600, 500_000, &["keys"]).unwrap();
    let time = |microseconds: u64| RealTime::from_nanoseconds(microseconds * 1000);
    let on = Event::note_on(0, 60, 100).unwrap();
    assert!(recording.push(0, time(1_000_013), &on));
    assert!(recording.push(0, time(1_500_000), &Event::control_14(2, 7, 300).unwrap()));
    assert!(recording.push(0, time(1_500_000), &Event::system_exclusive(&[0xf0, 1])));
    assert!(recording.push(0, time(1_600_000), &Event::system_exclusive(&[2, 0xf7])));
    assert!(recording.push(0, time(1_700_000), &Event::new(Payload::Clock { queue: 0 })));
    assert!(!recording.push(0, time(0), &Event::tempo(0, 1).unwrap()));
    assert!(!recording.push(1, time(0), &on));
    assert_eq!(recording.len(), 5);
    let file = recording.finish(time(2_000_000));
    assert_eq!(
        list(&file),
        [
            (0, 0, Body::Meta(0x51, &[7, 0xa1, 0x20])),
            (0, 0, Body::Meta(3, b"keys")),
            (19_200, 0, Body::Message(&[0x90, 60, 100])),
            (28_800, 0, Body::Message(&[0xb2, 7, 2])),
            (28_800, 0, Body::Message(&[0xb2, 39, 44])),
            (28_800, 0, Body::Exclusive(&[0xf0, 1, 2, 0xf7])),
            (32_640, 0, Body::Message(&[0xf8])),
            (38_400, 0, Body::Message(&[0x80, 60, 64])),
        ]
    );
    assert_eq!(file.length(), RealTime::new(2, 0));
    assert_eq!(MidiFile::read(&file.to_bytes().unwrap()).unwrap(), file);

    let mut recording = Recording::new(480, 600_000, &["a", ""]).unwrap();
    recording.push(1, time(600_000), &on);
    let file = recording.finish(RealTime::ZERO);
    assert_eq!((file.format(), file.track_count(), file.end_tick()), (1, 3, 480));
    assert_eq!(list(&file)[2], (480, 2, Body::Message(&[0x90, 60, 100])));
    for (resolution, tempo, tracks) in [(0, 1, 1), (0x8000, 1, 1), (1, 0, 1), (1, 1 << 24, 1)] {
        assert!(Recording::new(resolution, tempo, &vec![""; tracks]).is_err());
    }
    assert!(Recording::new(1, 1, &[]).is_err());
}

#[test]
fn a_release_is_not_earlier_than_its_note() {
    let mut recording = Recording::new(480, 500_000, &["keys", "pads"]).unwrap();
    let on = Event::note_on(0, 60, 100).unwrap();
    recording.push(0, RealTime::new(2, 0), &on);
    recording.push(1, RealTime::new(1, 0), &on);
    // The caller may have read the clock before the event arrived.
    recording.release_all(RealTime::new(1, 0));
    let file = recording.finish(RealTime::new(3, 0));
    let off: &[u8] = &[0x80, 60, 64];
    let offs = list(&file).into_iter().filter(|(.., body)| *body == Body::Message(off));
    assert_eq!(
        offs.map(|(tick, track, _)| (tick, track)).collect::<Vec<_>>(),
        [(960, 2), (1920, 1)]
    );
}

#[test]
fn long_pauses_are_bridged_by_empty_events() {
    let mut recording = Recording::new(0x7fff, 1, &[""]).unwrap();
    let pause = RealTime::new(600, 0);
    recording.push(0, pause, &Event::note_on(0, 60, 0).unwrap());
    let file = recording.finish(pause);
    assert_eq!(file.to_bytes(), Ok(file.to_bytes().unwrap()));
    let again = MidiFile::read(&file.to_bytes().unwrap()).unwrap();
    assert_eq!(again.end_tick(), file.end_tick());
    assert_eq!(again.length(), pause);
    let mut recording = Recording::new(0x7fff, 1, &[""]).unwrap();
    recording.push(0, RealTime::MAX, &Event::note_on(0, 60, 0).unwrap());
    assert_eq!(recording.finish(RealTime::ZERO).to_bytes(), Err(TooLong));
}

/// The events that midly reads from a file: tick, track and bytes, in the order of time.
fn read_by_midly(bytes: &[u8]) -> Vec<(u64, u16, Vec<u8>)> {
    let smf = Smf::parse(bytes).expect("midly reads the file");
    let mut all = Vec::new();
    for (track, events) in (0..).zip(&smf.tracks) {
        let mut tick = 0;
        for event in events {
            tick += u64::from(event.delta.as_int());
            let mut content = Vec::new();
            match event.kind {
                TrackEventKind::Midi { channel, message } => {
                    let live = midly::live::LiveEvent::Midi { channel, message };
                    live.write_std(&mut content).expect("writing to a vector succeeds");
                }
                TrackEventKind::SysEx(data) => content = [&[0xf0], data].concat(),
                TrackEventKind::Escape(data) => content.extend_from_slice(data),
                TrackEventKind::Meta(MetaMessage::EndOfTrack) => continue,
                TrackEventKind::Meta(MetaMessage::Tempo(tempo)) => {
                    content = [&[0x51], &tempo.as_int().to_be_bytes()[1..]].concat();
                }
                TrackEventKind::Meta(MetaMessage::Text(data)) => content = [&[1], data].concat(),
                TrackEventKind::Meta(other) => panic!("{other:?}"),
            }
            all.push((tick, track, content));
        }
    }
    all.sort_by_key(|(tick, ..)| *tick);
    all
}

/// The events of our reader in the same form.
fn read_by_us(file: &MidiFile) -> Vec<(u64, u16, Vec<u8>)> {
    let bytes = |body: Body<'_>| match body {
        Body::Message(bytes) | Body::Exclusive(bytes) => bytes.to_vec(),
        Body::Meta(kind, data) => [&[kind], data].concat(),
    };
    file.events().map(|event| (event.tick, event.track, bytes(event.body))).collect()
}

/// An event of a track, as the bytes after its delta.
fn any_event() -> impl Strategy<Value = Vec<u8>> {
    let seven = || 0u8..0x80;
    let exclusive = prop::collection::vec(seven(), 0..40).prop_map(|mut data| {
        data.push(0xf7);
        [vec![0xf0, data.len() as u8], data].concat()
    });
    prop_oneof![
        8 => (0x80u8..0xc0, seven(), seven()).prop_map(|(status, first, second)| vec![status, first, second]),
        1 => (0xc0u8..0xe0, seven()).prop_map(|(status, data)| vec![status, data]),
        1 => (0xe0u8..0xf0, seven(), seven()).prop_map(|(status, first, second)| vec![status, first, second]),
        1 => exclusive,
        1 => (0xf8u8..=0xff).prop_filter("undefined", |status| !matches!(status, 0xf9 | 0xfd))
            .prop_map(|status| vec![0xf7, 1, status]),
        1 => (1u32..1 << 24).prop_map(|tempo| {
            [&[0xff, 0x51, 3], &tempo.to_be_bytes()[1..]].concat()
        }),
        1 => prop::collection::vec(any::<u8>(), 1..20)
            .prop_map(|text| [vec![0xff, 1, text.len() as u8], text].concat()),
    ]
}

fn any_track() -> impl Strategy<Value = Vec<u8>> {
    let delta = prop_oneof![3 => 0u32..300, 1 => 0u32..1 << 28];
    prop::collection::vec((delta, any_event()), 0..40).prop_map(|events| {
        let mut track = Vec::new();
        for (delta, event) in events {
            let groups = (1..4).rev().filter(|group| delta >> (7 * group) != 0);
            track.extend(groups.map(|group| 0x80 | (delta >> (7 * group)) as u8 & 0x7f));
            track.push(delta as u8 & 0x7f);
            track.extend(event);
        }
        track
    })
}

proptest! {
    #[test]
    fn valid_files_are_read_as_midly_reads_them(
        division in prop_oneof![4 => 1u16..0x8000, 1 => Just(0xe728u16), 1 => Just(0xe350u16)],
        tracks in prop::collection::vec(any_track(), 1..5),
    ) {
        let parts: Vec<&[u8]> = tracks.iter().map(Vec::as_slice).collect();
        let bytes = smf(u16::from(parts.len() > 1), division, &parts);
        let file = MidiFile::read(&bytes).unwrap();
        prop_assert_eq!(read_by_us(&file), read_by_midly(&bytes));
        prop_assert_eq!(MidiFile::read(&file.to_bytes().unwrap()).unwrap(), file);
        fuzz::midi_file(&bytes);
    }

    #[test]
    fn damaged_files_cause_no_panic(
        tracks in prop::collection::vec(any_track(), 1..4),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let parts: Vec<&[u8]> = tracks.iter().map(Vec::as_slice).collect();
        let mut bytes = smf(1, 96, &parts);
        for (index, value) in changes {
            let index = index.index(bytes.len());
            bytes[index] = value;
        }
        fuzz::midi_file(&bytes);
        fuzz::midi_file(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn recorded_times_are_rounded_to_the_nearest_tick(
        resolution in 1u16..0x8000,
        tempo in 1u32..1 << 24,
        times in prop::collection::vec(0u64..1 << 42, 1..30),
    ) {
        let mut recording = Recording::new(resolution, tempo, &[""]).unwrap();
        let mut times = times;
        times.sort_unstable();
        for time in &times {
            let event = Event::control_change(0, 1, 2).unwrap();
            prop_assert!(recording.push(0, RealTime::from_nanoseconds(*time), &event));
        }
        let file = recording.finish(RealTime::ZERO);
        let half = u64::from(tempo) * 1000 / u64::from(resolution) / 2 + 1;
        let events = file.events().filter(|event| !matches!(event.body, Body::Meta(..)));
        for (event, time) in events.zip(times) {
            let kept = file.time(event.tick).as_nanoseconds();
            prop_assert!(kept.abs_diff(time) <= half, "{kept} for {time}, half a tick is {half}");
        }
    }
}
