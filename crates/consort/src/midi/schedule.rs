//! What is sent when: files one after the other, again and again, from a moment on.

use std::collections::VecDeque;

use consort_seq::file::MidiFile;
use consort_seq::{Event, HeldNotes, Payload, RealTime};

use super::chase::state_before;

/// Nanoseconds between the events that restore the state before the moment to play from: about
/// what a MIDI cable needs for one, so that no receiver is flooded.
const RESTORE_STEP: u64 = 1_000_000;
/// System exclusive messages up to this are sent at once; longer ones at the rate of a cable.
const WHOLE_EXCLUSIVE: usize = 1024;
/// Bytes of a part of a longer one.
const EXCLUSIVE_PART: usize = 256;

/// How files are played.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// Where the first file begins.
    pub(super) from: RealTime,
    /// How often all is played; `None`: for ever.
    pub(super) passes: Option<u32>,
    /// Bytes a second at which long system exclusive messages are sent; 0: all at once.
    pub(super) exclusive_rate: u32,
}

/// An event and when it is due, in nanoseconds from the beginning.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timed {
    pub(super) time: u64,
    pub(super) event: Event,
}

/// From `start` on it is `file` that is heard, and at `start` it stands at `position`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Segment {
    pub(super) start: u64,
    pub(super) file: usize,
    pub(super) position: u64,
}

/// An iterator over what is sent, in order of time.
pub(super) struct Schedule<'a> {
    files: Vec<&'a MidiFile>,
    settings: Settings,
    passes_done: u32,
    /// The file that is played and its next event; `None` between files.
    now: Option<(usize, usize)>,
    next_file: usize,
    /// When the present file's time 0 is (or would have been), or the next file begins.
    base: u64,
    pending: VecDeque<Timed>,
    /// Until when a long system exclusive message occupies the cable.
    busy_until: u64,
    held: HeldNotes,
    is_over: bool,
    /// Files that have begun and that nobody has asked for yet.
    segments: VecDeque<Segment>,
}

impl<'a> Schedule<'a> {
    /// Something that lasts must be in `files` if `settings.passes` is `None`.
    pub(super) fn new(files: Vec<&'a MidiFile>, settings: Settings) -> Self {
        let is_over = files.is_empty() || settings.passes == Some(0);
        Self {
            files,
            settings,
            passes_done: 0,
            now: None,
            next_file: 0,
            base: 0,
            pending: VecDeque::new(),
            busy_until: 0,
            held: HeldNotes::new(),
            is_over,
            segments: VecDeque::new(),
        }
    }

    /// When everything is over, once the last event has been taken.
    pub(super) fn end(&self) -> u64 {
        self.base
    }

    /// The next file that has begun.
    pub(super) fn next_segment(&mut self) -> Option<Segment> {
        self.segments.pop_front()
    }

    fn from(&self, file: usize) -> u64 {
        if file == 0 { self.settings.from.as_nanoseconds() } else { 0 }
    }

    fn begin(&mut self, number: usize) {
        let file = self.files[number];
        let from = self.from(number);
        let index = if from == 0 { 0 } else { file.index_at(self.settings.from) };
        let restored = if from == 0 { Vec::new() } else { state_before(file, index) };
        for event in restored {
            self.pending.push_back(Timed { time: self.base, event });
            self.base = self.base.saturating_add(RESTORE_STEP);
        }
        self.segments.push_back(Segment { start: self.base, file: number, position: from });
        self.now = Some((number, index));
    }

    fn finish(&mut self, number: usize) {
        let length = self.files[number].length().as_nanoseconds();
        let end = self.base.saturating_add(length.saturating_sub(self.from(number)));
        self.base = end.max(self.busy_until);
        for event in self.held.releases() {
            self.pending.push_back(Timed { time: self.base, event });
        }
        self.now = None;
        self.next_file += 1;
        if self.next_file == self.files.len() {
            self.next_file = 0;
            self.passes_done = self.passes_done.saturating_add(1);
            self.is_over = self.settings.passes.is_some_and(|passes| self.passes_done >= passes);
        }
    }

    fn push(&mut self, time: u64, event: Event) {
        let time = time.max(self.busy_until);
        self.held.track(&event);
        let bytes = match event.payload() {
            Payload::SystemExclusive(bytes) if bytes.len() > WHOLE_EXCLUSIVE => bytes,
            _ => return self.pending.push_back(Timed { time, event }),
        };
        let rate = u64::from(self.settings.exclusive_rate);
        let after = |count: usize| match rate {
            0 => time,
            rate => time.saturating_add(count as u64 * 1_000_000_000 / rate),
        };
        for (number, part) in bytes.chunks(EXCLUSIVE_PART).enumerate() {
            let event = Event::system_exclusive(part);
            self.pending.push_back(Timed { time: after(number * EXCLUSIVE_PART), event });
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
            let Some((number, index)) = self.now else {
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
            self.now = Some((number, index + 1));
            if let Some(sent) = event.to_event() {
                let into = file.time(event.tick).as_nanoseconds() - self.from(number);
                self.push(self.base.saturating_add(into), sent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use consort_seq::file::Recording;

    use super::*;

    fn on(note: u8) -> Event {
        Event::note_on(0, note, 100).expect("sound")
    }

    fn off(note: u8) -> Event {
        Event::note_off(0, note, 64).expect("sound")
    }

    fn file(events: &[(u64, Event)], end: u64) -> MidiFile {
        let mut recording = Recording::new(9600, 960_000, &[""]).expect("sound");
        for (milliseconds, event) in events {
            let time = RealTime::from_nanoseconds(milliseconds * 1_000_000);
            assert!(recording.push(0, time, event));
        }
        // Through bytes, and without the recording's own note-offs.
        let bytes = recording.finish(RealTime::from_nanoseconds(end * 1_000_000)).to_bytes();
        MidiFile::read(&bytes.expect("short")).expect("sound")
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
            .expect("it has no end");
        assert_eq!(last.time, (999 * 1300 + 1200) * 1_000_000);
    }

    #[test]
    fn notes_that_a_file_leaves_on_are_released() {
        // A file whose end cuts a note: written by hand, as a recording would end it itself.
        let bytes = b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk\0\0\0\x08\0\x90\x3c\x40\x60\xff\x2f\0";
        let files = [MidiFile::read(bytes).expect("sound")];
        let all = milliseconds(&mut Schedule::new(files.iter().collect(), ONCE));
        assert_eq!(all, [(0, Event::note_on(0, 60, 64).expect("sound")), (500, off(60))]);
    }

    #[test]
    fn playing_from_the_middle_restores_the_state() {
        let control = |param, value| Event::control_change(1, param, value).expect("sound");
        let program = |number| Event::program_change(1, number).expect("sound");
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
                // Released by the recording at its end, as the note began before.
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
