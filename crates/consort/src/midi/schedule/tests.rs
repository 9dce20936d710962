use consort_seq::file::Recording;

use super::*;

fn on(note: u8) -> Event {
    Event::note_on(0, note, 100).expect("valid")
}

fn off(note: u8) -> Event {
    Event::note_off(0, note, 64).expect("valid")
}

#[test]
fn speed_transposition_muted_channels_and_an_end_apply() {
    let drum = Event::note_on(9, 36, 100).expect("valid");
    let muted = Event::note_on(2, 60, 100).expect("valid");
    let events = [(0, on(60)), (100, drum.clone()), (150, muted), (200, off(60)), (400, on(62))];
    let file = file(&events, 500);
    let settings = Settings {
        until: Some(RealTime::from_nanoseconds(400_000_000)),
        percent: 50,
        transpose: 12,
        muted: 1 << 2,
        ..ONCE
    };
    let sent: Vec<(u64, Event)> = Schedule::new(vec![&file], settings)
        .map(|timed| (timed.time / 1_000_000, timed.event))
        .collect();
    let drum_off = Event::note_off(9, 36, 64).expect("valid");
    assert_eq!(sent, [(0, on(72)), (200, drum), (400, off(72)), (800, drum_off)]);
    let high = Settings { transpose: 100, ..ONCE };
    let notes = Schedule::new(vec![&file], high);
    assert!(notes.filter(|timed| channel(&timed.event) == Some(0)).count() == 0);
}

fn file(events: &[(u64, Event)], end: u64) -> MidiFile {
    let mut recording = Recording::new(9600, 960_000, &[""]).expect("valid");
    for (milliseconds, event) in events {
        let time = RealTime::from_nanoseconds(milliseconds * 1_000_000);
        assert!(recording.push(0, time, event));
    }
    // Written and read again, as a file would be.
    let bytes = recording.finish(RealTime::from_nanoseconds(end * 1_000_000)).to_bytes();
    MidiFile::read(&bytes.expect("short")).expect("valid")
}

const ONCE: Settings = Settings::ONCE;

fn milliseconds(schedule: &mut Schedule<'_>) -> Vec<(u64, Event)> {
    schedule.map(|timed| (timed.time / 1_000_000, timed.event)).collect()
}

#[test]
fn files_follow_each_other_and_loop() {
    let files =
        [file(&[(0, on(60)), (500, off(60))], 1000), file(&[(100, on(61)), (200, off(61))], 300)];
    let twice = Settings { passes: Some(2), ..ONCE };
    let mut schedule = Schedule::new(files.iter().collect(), twice);
    let times: Vec<u64> = schedule.by_ref().map(|timed| timed.time / 1_000_000).collect();
    assert_eq!(times, [0, 500, 1100, 1200, 1300, 1800, 2400, 2500]);
    assert_eq!(schedule.end(), 2_600_000_000);
    let starts: Vec<(u64, usize)> = std::iter::from_fn(|| schedule.next_segment())
        .map(|segment| (segment.start / 1_000_000, segment.file))
        .collect();
    assert_eq!(starts, [(0, 0), (1000, 1), (1300, 0), (2300, 1)]);
    let endless = Settings { passes: None, ..ONCE };
    let last =
        Schedule::new(files.iter().collect(), endless).nth(4 * 1000 - 1).expect("it is endless");
    assert_eq!(last.time, (999 * 1300 + 1200) * 1_000_000);
}

#[test]
fn notes_that_a_file_leaves_on_are_released() {
    // A file that ends during a note; a recording would release the note itself.
    let bytes = b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk\0\0\0\x08\0\x90\x3c\x40\x60\xff\x2f\0";
    let files = [MidiFile::read(bytes).expect("valid")];
    let all = milliseconds(&mut Schedule::new(files.iter().collect(), ONCE));
    assert_eq!(all, [(0, Event::note_on(0, 60, 64).expect("valid")), (500, off(60))]);
}

#[test]
fn playing_from_the_middle_restores_the_state() {
    let control = |param, value| Event::control_change(1, param, value).expect("valid");
    let program = |number| Event::program_change(1, number).expect("valid");
    let files = [file(
        &[
            (0, program(1)),
            (1, control(7, 1)),
            (2, control(101, 0)),
            (3, control(100, 0)),
            (4, control(6, 12)),
            (5, control(0, 3)),
            (6, program(2)),
            (7, control(7, 2)),
            (8, on(60)),
            (500, on(61)),
            (700, off(61)),
        ],
        1000,
    )];
    let settings = Settings { from: RealTime::from_nanoseconds(400_000_000), ..ONCE };
    let mut schedule = Schedule::new(files.iter().collect(), settings);
    assert_eq!(
        milliseconds(&mut schedule),
        [
            (0, control(101, 0)),
            (1, control(100, 0)),
            (2, control(6, 12)),
            (3, control(0, 3)),
            (4, program(2)),
            (5, control(7, 2)),
            (6 + 100, on(61)),
            (6 + 300, off(61)),
            // The note began before the start position; the recording releases it at its end.
            (6 + 600, off(60)),
        ]
    );
    assert_eq!(schedule.end(), 606_000_000);
    let segment = schedule.next_segment().expect("one");
    assert_eq!((segment.start, segment.position), (6_000_000, 400_000_000));
}

#[test]
fn long_exclusive_messages_go_at_the_rate_of_a_cable() {
    let mut bytes = vec![1; 3125];
    (bytes[0], bytes[3124]) = (0xf0, 0xf7);
    let dump = Event::system_exclusive(&bytes);
    let files = [file(&[(0, dump), (10, on(60)), (2000, off(60))], 2000)];
    let all = milliseconds(&mut Schedule::new(files.iter().collect(), ONCE));
    assert_eq!(all.len(), 13 + 2);
    assert_eq!((all[1].0, all[12].0), (81, 983));
    assert_eq!(all[13], (1000, on(60)), "a note waits for the end of the message");
    assert_eq!(all[14], (2000, off(60)));
    let sent: Vec<u8> = all.iter().flat_map(|(_, event)| event.variable().to_vec()).collect();
    assert_eq!(sent, bytes);
    let fast = Settings { exclusive_rate: 0, ..ONCE };
    let all = milliseconds(&mut Schedule::new(files.iter().collect(), fast));
    assert_eq!((all[12].0, all[13].0), (0, 10));
}

#[test]
fn the_clock_follows_the_tempo_and_stops_with_the_file() {
    // 100 ticks per quarter note: 24 pulses do not fit. 120 bpm, from the second quarter on 60 bpm.
    let bytes = b"MThd\0\0\0\x06\0\0\0\x01\0\x64MTrk\0\0\0\x13\0\x90\x3c\x40\
        \x64\xff\x51\x03\x0f\x42\x40\x64\x80\x3c\x40\0\xff\x2f\0";
    let files = [MidiFile::read(bytes).expect("valid")];
    let settings = Settings { has_clock: true, passes: Some(2), ..ONCE };
    let all: Vec<Timed> = Schedule::new(files.iter().collect(), settings).collect();
    assert!(all.is_sorted_by_key(|timed| timed.time), "{all:?}");
    let clock: Vec<&Timed> = all.iter().filter(|timed| timed.outlet == Outlet::Clock).collect();
    let named = |payload: Payload<'_>| -> Vec<u64> {
        let named = clock.iter().filter(|timed| timed.event.payload() == payload);
        named.map(|timed| timed.time / 1_000).collect()
    };
    assert_eq!(named(Payload::Start { queue: 0 }), [0, 1_501_000]);
    assert_eq!(named(Payload::Stop { queue: 0 }), [1_501_000, 3_002_000]);
    let pulses = named(Payload::Clock { queue: 0 });
    assert_eq!(pulses.len(), 2 * 48);
    // The first pulse is the first beat; half a second has 24, then a second.
    let (first, second) = (1_000, 501_000);
    for (number, time) in pulses[..48].iter().enumerate() {
        let due = match number as u64 {
            pulse @ ..24 => first + pulse * 500_000 / 24,
            pulse => second + (pulse - 24) * 1_000_000 / 24,
        };
        assert!(time.abs_diff(due) <= 1, "pulse {number}: {time} instead of {due}");
    }
    let notes: Vec<u64> = all
        .iter()
        .filter(|timed| timed.outlet == Outlet::Music)
        .map(|timed| timed.time / 1_000)
        .collect();
    assert_eq!(notes, [1_000, 1_501_000, 1_502_000, 3_002_000]);
}

#[test]
fn the_clock_begins_in_the_middle_with_a_song_position() {
    let files = [file(&[(0, on(60)), (2000, off(60))], 2000)];
    let from = RealTime::from_nanoseconds(500_000_000);
    // The clock does not wait for the long end of a half speed.
    let settings = Settings { has_clock: true, from, percent: 50, ..ONCE };
    let all: Vec<Timed> = Schedule::new(files.iter().collect(), settings).collect();
    let mut clock = all.iter().filter(|timed| timed.outlet == Outlet::Clock);
    let mut next = || clock.next().map(|timed| (timed.time / 1_000_000, timed.event.clone()));
    // 62.5 bpm: a sixteenth note has 240 ms, and 720 ms is the first one after the start.
    assert_eq!(next(), Some((0, Event::song_position(3).expect("valid"))));
    assert_eq!(next(), Some((0, Event::new(Payload::Continue { queue: 0 }))));
    assert_eq!(next(), Some((1 + 2 * 220, Event::new(Payload::Clock { queue: 0 }))));
    assert_eq!(next(), Some((1 + 2 * 260, Event::new(Payload::Clock { queue: 0 }))));
}
