//! When events are sent: files in sequence, looped, from a given time on.

use std::collections::VecDeque;

use consort_seq::file::MidiFile;
use consort_seq::{Event, HeldNotes, Payload, RealTime};

use super::chase::state_before;

/// The time between the events that restore the state at the start position: about what a MIDI
/// cable needs for one event, so that no receiver overflows.
const RESTORE_STEP_NANOSECONDS: u64 = 1_000_000;
/// System exclusive messages up to this length are sent at once; longer ones in parts.
const MAX_WHOLE_EXCLUSIVE_BYTES: usize = 1024;
/// The length of a part.
const EXCLUSIVE_PART_BYTES: usize = 256;

/// How files are played.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// The start position in the first file.
    pub(super) from: RealTime,
    /// How often all files are played; `None` means endlessly.
    pub(super) passes: Option<u32>,
    /// Bytes per second for long system exclusive messages; 0 sends them at once.
    pub(super) exclusive_rate: u32,
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
        for event in restored {
            self.pending.push_back(Timed { time: self.base, event });
            self.base = self.base.saturating_add(RESTORE_STEP_NANOSECONDS);
        }
        self.segments.push_back(Segment { start: self.base, file: number, position: from });
        self.current = Some((number, index));
    }

    /// Ends a file: releases held notes, and goes on to the next file or pass.
    fn finish(&mut self, number: usize) {
        let length = self.files[number].length().as_nanoseconds();
        let end = self.base.saturating_add(length.saturating_sub(self.from(number)));
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
            let Some(event) = file.get(index) else {
                self.finish(number);
                continue;
            };
            self.current = Some((number, index + 1));
            if let Some(sent) = event.to_event() {
                let offset = file.time(event.tick).as_nanoseconds() - self.from(number);
                self.push(self.base.saturating_add(offset), sent);
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

    const ONCE: Settings = Settings { from: RealTime::ZERO, passes: Some(1), exclusive_rate: 3125 };

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
