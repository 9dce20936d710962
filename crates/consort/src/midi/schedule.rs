//! When events are sent: files in sequence, looped, from a given time on.

use std::collections::VecDeque;
use std::iter::Peekable;

use consort_seq::file::MidiFile;
use consort_seq::{Event, HeldNotes, Key, Payload, RealTime};

use super::chase::state_before;
use super::pulses::Pulses;
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
    /// Whether MIDI clock goes to the clock's port.
    pub(super) has_clock: bool,
}

impl Settings {
    /// Plays the files once, as they are.
    pub(super) const ONCE: Self = Self {
        from: RealTime::ZERO,
        until: None,
        passes: Some(1),
        exclusive_rate: 3125,
        percent: 100,
        transpose: 0,
        muted: 0,
        has_clock: false,
    };

    /// The time that a time of a file takes at this speed, in nanoseconds.
    pub(super) fn scaled(&self, nanoseconds: u64) -> u64 {
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

/// The port that an event leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outlet {
    Music,
    Clock,
}

/// An event and its time in nanoseconds from the start.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timed {
    pub(super) time: u64,
    pub(super) event: Event,
    pub(super) outlet: Outlet,
}

impl Timed {
    /// An event of a file.
    fn music(time: u64, event: Event) -> Self {
        Self { time, event, outlet: Outlet::Music }
    }
}

/// From the time `start` on, `file` plays, beginning at `position`; both in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Segment {
    pub(super) start: u64,
    pub(super) file: usize,
    pub(super) position: u64,
    /// The number of passes through all files before this one.
    passes_done: u32,
}

/// What to play instead of the rest of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skip {
    /// The next file; after the last one the first one of the next pass, or nothing.
    Next,
    /// The previous file; of the first one the beginning.
    Previous,
    /// The file from its beginning, or from the start position of the first file.
    Again,
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
    /// The clock of the files that have begun and are not over, with the next pulse of each.
    clocks: VecDeque<Peekable<Pulses<'a>>>,
    /// The next event of the files, which waits for pulses of the clock that are due before it.
    next_music: Option<Timed>,
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
            clocks: VecDeque::new(),
            next_music: None,
        }
    }

    /// [`new`](Self::new), with the first file at a time in nanoseconds.
    pub(super) fn starting_at(start: u64, files: Vec<&'a MidiFile>, settings: Settings) -> Self {
        Self { base: start, ..Self::new(files, settings) }
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

    /// Continues at `time` with another file than the rest of `playing`, the file that plays then;
    /// `None` if none has begun.
    pub(super) fn restart(&mut self, playing: Option<Segment>, skip: Skip, time: u64) {
        let (file, passes_done) =
            playing.map_or((0, 0), |segment| (segment.file, segment.passes_done));
        self.passes_done = passes_done;
        self.next_file = match skip {
            Skip::Next => file + 1,
            Skip::Previous => file.saturating_sub(1),
            Skip::Again => file,
        };
        self.is_over = false;
        self.end_pass();
        self.current = None;
        self.base = time;
        self.busy_until = time;
        self.pending.clear();
        self.next_music = None;
        self.clocks.clear();
        self.segments.clear();
        self.held = HeldNotes::new();
    }

    /// Begins the next pass if the last file has been played.
    fn end_pass(&mut self) {
        if self.next_file == self.files.len() {
            self.next_file = 0;
            self.passes_done = self.passes_done.saturating_add(1);
            self.is_over = self.settings.passes.is_some_and(|passes| self.passes_done >= passes);
        }
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
            self.pending.push_back(Timed::music(self.base, event));
            self.base = self.base.saturating_add(RESTORE_STEP_NANOSECONDS);
        }
        if self.settings.has_clock {
            // Receivers need a moment between the start and the first pulse.
            let announced = self.base;
            self.base = self.base.saturating_add(RESTORE_STEP_NANOSECONDS);
            let until = self.until(number);
            let pulses = Pulses::new(file, self.settings, announced, self.base, from..until);
            self.clocks.extend(pulses.map(Iterator::peekable));
        }
        let passes_done = self.passes_done;
        self.segments.push_back(Segment {
            start: self.base,
            file: number,
            position: from,
            passes_done,
        });
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
            self.pending.push_back(Timed::music(self.base, event));
        }
        self.current = None;
        self.next_file += 1;
        self.end_pass();
    }

    /// Adds an event; splits a long system exclusive message into parts.
    fn push(&mut self, time: u64, event: Event) {
        let time = time.max(self.busy_until);
        self.held.track(&event);
        let bytes = match event.payload() {
            Payload::SystemExclusive(bytes) if bytes.len() > MAX_WHOLE_EXCLUSIVE_BYTES => bytes,
            _ => return self.pending.push_back(Timed::music(time, event)),
        };
        let rate = u64::from(self.settings.exclusive_rate);
        let after = |count: usize| match rate {
            0 => time,
            rate => time.saturating_add(count as u64 * 1_000_000_000 / rate),
        };
        for (number, part) in bytes.chunks(EXCLUSIVE_PART_BYTES).enumerate() {
            let event = Event::system_exclusive(part);
            self.pending.push_back(Timed::music(after(number * EXCLUSIVE_PART_BYTES), event));
        }
        self.busy_until = after(bytes.len());
    }
}

impl Iterator for Schedule<'_> {
    type Item = Timed;

    fn next(&mut self) -> Option<Timed> {
        let next = self.next_music.take().or_else(|| self.next_music());
        while let Some(pulses) = self.clocks.front_mut() {
            let is_first = |pulse: &Timed| next.as_ref().is_none_or(|next| pulse.time <= next.time);
            if let Some(pulse) = pulses.next_if(is_first) {
                self.next_music = next;
                return Some(pulse);
            }
            if pulses.peek().is_some() {
                break;
            }
            self.clocks.pop_front();
        }
        next
    }
}

impl Schedule<'_> {
    /// The next event of the files.
    fn next_music(&mut self) -> Option<Timed> {
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
mod tests;
