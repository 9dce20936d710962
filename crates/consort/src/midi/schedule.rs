//! When events are sent: files in sequence, looped, from a given time on.

use std::collections::VecDeque;

use consort_seq::file::MidiFile;
use consort_seq::{Event, HeldNotes, Key, Payload, RealTime};

use super::chase::state_before;
use super::words::channel;

/// The time between the events that restore the state at the start position: about what a MIDI
/// cable needs for one event, so that no receiver overflows.
const RESTORE_STEP_NANOSECONDS: u64 = 1_000_000;
/// System exclusive messages up to this length are sent at once; longer ones in parts.
const MAX_WHOLE_EXCLUSIVE_BYTES: usize = 1024;
/// The length of a part.
const EXCLUSIVE_PART_BYTES: usize = 256;

/// The channel of drums, whose notes are instruments rather than pitches.
const DRUM_CHANNEL: u8 = 9;

/// How files are played.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// The start position in the first file.
    pub(super) from: RealTime,
    /// The end position in the first file; `None` is its end.
    pub(super) until: Option<RealTime>,
    /// How often all files are played; `None` means endlessly.
    pub(super) passes: Option<u32>,
    /// Bytes per second for long system exclusive messages; 0 sends them at once.
    pub(super) exclusive_rate: u32,
    /// The speed in percent of that of the files, at least 1.
    pub(super) percent: u32,
    /// Semitones by which notes are transposed, except those of channel 9 (drums).
    pub(super) transpose: i8,
    /// A bit for each channel whose messages are not sent.
    pub(super) muted: u16,
}

impl Settings {
    /// Plays the files once, as they are.
    #[cfg(test)]
    pub(super) const ONCE: Self = Self {
        from: RealTime::ZERO,
        until: None,
        passes: Some(1),
        exclusive_rate: 3125,
        percent: 100,
        transpose: 0,
        muted: 0,
    };

    /// The time that a time of a file takes at this speed, in nanoseconds.
    fn scaled(&self, nanoseconds: u64) -> u64 {
        let scaled = u128::from(nanoseconds) * 100 / u128::from(self.percent.max(1));
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }

    /// An event as it is sent; `None` if its channel is muted or its note leaves the range.
    fn adapted(&self, mut event: Event) -> Option<Event> {
        let Some(channel) = channel(&event) else { return Some(event) };
        if self.muted & 1 << channel != 0 {
            return None;
        }
        if self.transpose == 0 || channel == DRUM_CHANNEL {
            return Some(event);
        }
        let moved = |note: u8| note.checked_add_signed(self.transpose).filter(|note| *note < 128);
        let payload = match event.payload() {
            Payload::NoteOn(key) => Payload::NoteOn(Key { note: moved(key.note)?, ..key }),
            Payload::NoteOff(key) => Payload::NoteOff(Key { note: moved(key.note)?, ..key }),
            Payload::KeyPressure(key) => {
                Payload::KeyPressure(Key { note: moved(key.note)?, ..key })
            }
            _ => return Some(event),
        };
        event.set_payload(payload);
        Some(event)
    }
}

/// An event and its time in nanoseconds from the start.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timed {
    pub(super) time: u64,
    pub(super) event: Event,
}

/// From the time `start` on, `file` plays, beginning at `position`; both in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Segment {
    pub(super) start: u64,
    pub(super) file: usize,
    pub(super) position: u64,
}

/// An iterator over the events to send, in order of time.
pub(super) struct Schedule<'a> {
    files: Vec<&'a MidiFile>,
    settings: Settings,
    passes_done: u32,
    /// The current file and its next event; `None` between files.
    current: Option<(usize, usize)>,
    next_file: usize,
    /// The time of position 0 of the current file (it may lie before the start), or of the next
    /// file's begin.
    base: u64,
    pending: VecDeque<Timed>,
    /// The time until which a long system exclusive message occupies the cable.
    busy_until: u64,
    held: HeldNotes,
    is_over: bool,
    /// Files that have begun and were not returned by `next_segment` yet.
    segments: VecDeque<Segment>,
}

impl<'a> Schedule<'a> {
    /// If `settings.passes` is `None`, at least one of `files` must have a length.
    pub(super) fn new(files: Vec<&'a MidiFile>, settings: Settings) -> Self {
        let is_over = files.is_empty() || settings.passes == Some(0);
        Self {
            files,
            settings,
            passes_done: 0,
            current: None,
            next_file: 0,
            base: 0,
            pending: VecDeque::new(),
            busy_until: 0,
            held: HeldNotes::new(),
            is_over,
            segments: VecDeque::new(),
        }
    }

    /// The time at which everything has been played; known once the iterator has ended.
    pub(super) fn end(&self) -> u64 {
        self.base
    }

    /// The time of a file that passes in a time of the schedule, in nanoseconds.
    pub(super) fn unscaled(&self, nanoseconds: u64) -> u64 {
        let unscaled = u128::from(nanoseconds) * u128::from(self.settings.percent) / 100;
        u64::try_from(unscaled).unwrap_or(u64::MAX)
    }

    /// The next file that has begun.
    pub(super) fn next_segment(&mut self) -> Option<Segment> {
        self.segments.pop_front()
    }

    /// The start position in a file.
    fn from(&self, file: usize) -> u64 {
        if file == 0 { self.settings.from.as_nanoseconds() } else { 0 }
    }

    /// Begins a file; restores the state at its start position.
    fn begin(&mut self, number: usize) {
        let file = self.files[number];
        let from = self.from(number);
        let index = if from == 0 { 0 } else { file.index_at(self.settings.from) };
        let restored = if from == 0 { Vec::new() } else { state_before(file, index) };
        for event in restored.into_iter().filter_map(|event| self.settings.adapted(event)) {
            self.pending.push_back(Timed { time: self.base, event });
            self.base = self.base.saturating_add(RESTORE_STEP_NANOSECONDS);
        }
        self.segments.push_back(Segment { start: self.base, file: number, position: from });
        self.current = Some((number, index));
    }

    /// The end position in a file, in nanoseconds.
    fn until(&self, file: usize) -> u64 {
        let length = self.files[file].length().as_nanoseconds();
        match self.settings.until {
            Some(until) if file == 0 => until.as_nanoseconds().min(length),
            _ => length,
        }
    }

    /// Ends a file: releases held notes, and goes on to the next file or pass.
    fn finish(&mut self, number: usize) {
        let played = self.until(number).saturating_sub(self.from(number));
        let end = self.base.saturating_add(self.settings.scaled(played));
        self.base = end.max(self.busy_until);
        for event in self.held.releases() {
            self.pending.push_back(Timed { time: self.base, event });
        }
        self.current = None;
        self.next_file += 1;
        if self.next_file == self.files.len() {
            self.next_file = 0;
            self.passes_done = self.passes_done.saturating_add(1);
            self.is_over = self.settings.passes.is_some_and(|passes| self.passes_done >= passes);
        }
    }

    /// Adds an event; splits a long system exclusive message into parts.
    fn push(&mut self, time: u64, event: Event) {
        let time = time.max(self.busy_until);
        self.held.track(&event);
        let bytes = match event.payload() {
            Payload::SystemExclusive(bytes) if bytes.len() > MAX_WHOLE_EXCLUSIVE_BYTES => bytes,
            _ => return self.pending.push_back(Timed { time, event }),
        };
        let rate = u64::from(self.settings.exclusive_rate);
        let after = |count: usize| match rate {
            0 => time,
            rate => time.saturating_add(count as u64 * 1_000_000_000 / rate),
        };
        for (number, part) in bytes.chunks(EXCLUSIVE_PART_BYTES).enumerate() {
            let event = Event::system_exclusive(part);
            self.pending.push_back(Timed { time: after(number * EXCLUSIVE_PART_BYTES), event });
        }
        self.busy_until = after(bytes.len());
    }
}

impl Iterator for Schedule<'_> {
    type Item = Timed;

    fn next(&mut self) -> Option<Timed> {
        loop {
            if let Some(timed) = self.pending.pop_front() {
                return Some(timed);
            }
            let Some((number, index)) = self.current else {
                if self.is_over {
                    return None;
                }
                self.begin(self.next_file);
                continue;
            };
            let file = self.files[number];
            let is_cut = number == 0 && self.settings.until.is_some();
            let is_due = |tick| !is_cut || file.time(tick).as_nanoseconds() < self.until(number);
            let Some(event) = file.get(index).filter(|event| is_due(event.tick)) else {
                self.finish(number);
                continue;
            };
            self.current = Some((number, index + 1));
            if let Some(sent) = event.to_event().and_then(|event| self.settings.adapted(event)) {
                let offset = file.time(event.tick).as_nanoseconds() - self.from(number);
                self.push(self.base.saturating_add(self.settings.scaled(offset)), sent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
        let events =
            [(0, on(60)), (100, drum.clone()), (150, muted), (200, off(60)), (400, on(62))];
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
        let files = [
            file(&[(0, on(60)), (500, off(60))], 1000),
            file(&[(100, on(61)), (200, off(61))], 300),
        ];
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
        let last = Schedule::new(files.iter().collect(), endless)
            .nth(4 * 1000 - 1)
            .expect("it is endless");
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
}
