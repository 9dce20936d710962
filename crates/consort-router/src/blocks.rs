//! Runs of mappings that go as blocks of levels instead of single events.
//!
//! A *run* is a row of channels, each mapped to one channel only, whose levels are consecutive
//! bytes of a frame at both ends, such as a universe mapped to a universe. Runs are found when the
//! routes are built. What changes in a frame then goes as one block: the levels, and which of them
//! have changed. The router compares the marks of the whole run first; if the engine or a guard
//! needs the events of one of its channels, the block is taken apart into the events that it stands
//! for.
//!
//! Views see the same values and counts. A block adds to counts of eight bits, eight channels in
//! one word; a channel whose count is above 0 has its last value here, any other in its
//! [`LiveChannel`]. Before a count would overflow, and before a single value of a channel is
//! recorded, the counts are *settled*: moved to the [`LiveChannel`].

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crate::engine::{ChannelFacts, MARK_BLOCK};
use crate::live::LiveChannel;
use crate::routes::Routes;

/// The fewest channels that go as a block: fewer are faster as events.
const MIN_LENGTH: u32 = 8;

/// How many blocks are recorded before the counts are settled.
const MAX_PENDING: u32 = u8::MAX as u32;

/// A row of channels of an instance whose changed levels it emits with
/// [`Context::emit_block`](crate::Context::emit_block).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSource {
    pub(crate) run: u32,
    /// The place of the first level in the instance's frame.
    pub slot: u16,
    /// How many levels there are.
    pub length: u16,
}

/// Changed levels of consecutive channels: what single events of the changed channels would be, in
/// the order of their slots.
#[derive(Clone, Copy, Debug)]
pub struct Block<'b> {
    /// The number of the first channel; those of the others follow.
    pub channel: u32,
    /// The place of the first level in the instance's frame.
    pub slot: u16,
    /// The levels of all channels, 0 to 255. Those that have not changed have no meaning.
    pub levels: &'b [u8],
    /// For each channel 1 if its level is a new value, 0 otherwise.
    pub changed: &'b [u8],
    pub(crate) root: u32,
}

impl Block<'_> {
    /// The events that the block stands for.
    pub fn events(&self) -> impl Iterator<Item = crate::Event> {
        let changed = self.changed.iter().zip(self.levels).zip(self.channel..);
        let changed = changed.filter(|((changed, _), _)| **changed != 0);
        changed.zip(0..).map(|(((_, &level), channel), number)| crate::Event {
            value: value(level),
            channel,
            root: self.root.wrapping_add(number),
        })
    }
}

/// The value of a level.
#[inline]
fn value(level: u8) -> f64 {
    f64::from(level) / 255.0
}

/// A run of mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The numbers of the first source and of the first target in the show.
    pub(crate) source: u32,
    pub(crate) target: u32,
    pub(crate) length: u32,
    source_instance: u32,
    pub(crate) target_instance: u32,
    /// The first target's number in its instance.
    pub(crate) target_channel: u32,
    source_slot: u16,
    pub(crate) target_slot: u16,
}

/// The last levels of eight channels, and how many values each had since they were settled.
#[derive(Debug, Default)]
struct Word {
    levels: AtomicU64,
    counts: AtomicU64,
}

/// What views see of one end of a run.
#[derive(Debug)]
struct End {
    /// The first channel's number in the show.
    first: u32,
    length: u32,
    words: Box<[Word]>,
    /// How many blocks were recorded since the counts were settled.
    pending: AtomicU32,
    /// Odd while the counts are being settled.
    version: AtomicU32,
}

/// Eight bytes at most as a word, the first one lowest.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    match <[u8; 8]>::try_from(bytes) {
        Ok(bytes) => u64::from_le_bytes(bytes),
        Err(_) => bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

impl End {
    fn new(first: u32, length: u32) -> Self {
        let mut words = Vec::new();
        words.resize_with(length.div_ceil(8) as usize, Word::default);
        End {
            first,
            length,
            words: words.into(),
            pending: AtomicU32::new(0),
            version: AtomicU32::new(0),
        }
    }

    fn record(&self, levels: &[u8], changed: &[u8], channels: &[LiveChannel]) {
        let pending = self.pending.load(Ordering::Relaxed);
        if pending >= MAX_PENDING {
            self.settle(0..self.length, channels);
            self.pending.store(1, Ordering::Relaxed);
        } else {
            self.pending.store(pending + 1, Ordering::Relaxed);
        }
        let bytes = levels.chunks(8).zip(changed.chunks(8));
        for (place, (levels, changed)) in self.words.iter().zip(bytes) {
            let counts = place.counts.load(Ordering::Relaxed);
            place.levels.store(word(levels), Ordering::Relaxed);
            place.counts.store(counts + word(changed), Ordering::Relaxed);
        }
    }

    /// The level of a channel and its count, by its place in the run.
    fn read(&self, index: u32) -> (u8, u8) {
        let (place, shift) = (&self.words[index as usize / 8], index % 8 * 8);
        let count = (place.counts.load(Ordering::Relaxed) >> shift) as u8;
        ((place.levels.load(Ordering::Relaxed) >> shift) as u8, count)
    }

    /// Moves the counts of channels, by their places in the run, to where single values are
    /// recorded. On the router's thread.
    fn settle(&self, indexes: std::ops::Range<u32>, channels: &[LiveChannel]) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for index in indexes {
            let (level, count) = self.read(index);
            if count > 0 {
                let channel = &channels[(self.first + index) as usize];
                channel.record_many(value(level), count.into());
                let place = &self.words[index as usize / 8];
                let counts = place.counts.load(Ordering::Relaxed);
                let other_counts = counts & !(0xFF << (index % 8 * 8));
                place.counts.store(other_counts, Ordering::Relaxed);
            }
        }
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }
}

/// The runs of a show, and the last levels of their channels.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// By instance and slot of the source.
    runs: Vec<Run>,
    /// The ends of each run in `ends`.
    ends_of: Vec<(u32, u32)>,
    /// By number of the first channel; they do not overlap.
    ends: Vec<End>,
    /// The index of the first run of each instance, and the number of runs.
    starts: Vec<u32>,
}

impl Blocks {
    /// Finds the runs among the routes and marks their channels.
    pub(crate) fn new(routes: &Routes, facts: &[ChannelFacts], marks: &mut [u8]) -> Self {
        if facts.iter().all(|facts| facts.source_slot.is_none()) {
            return Blocks::default();
        }
        let mut runs = find_runs(routes, facts, marks);
        runs.sort_by_key(|run| (run.source_instance, run.source_slot));
        let mut ends = Vec::with_capacity(runs.len() * 2);
        for run in &runs {
            for first in [run.source, run.target] {
                ends.push(End::new(first, run.length));
                marks[first as usize..(first + run.length) as usize].fill(MARK_BLOCK);
            }
        }
        ends.sort_by_key(|end| end.first);
        let place = |first| ends.partition_point(|end: &End| end.first < first) as u32;
        let ends_of = runs.iter().map(|run| (place(run.source), place(run.target))).collect();
        let first_of =
            |slot: usize| runs.partition_point(|run| (run.source_instance as usize) < slot) as u32;
        let starts = (0..routes.bases.len()).map(first_of).collect();
        Blocks { runs, ends_of, ends, starts }
    }

    /// The same runs without counts.
    pub(crate) fn renewed(&self) -> Self {
        Blocks {
            runs: self.runs.clone(),
            ends_of: self.ends_of.clone(),
            ends: self.ends.iter().map(|end| End::new(end.first, end.length)).collect(),
            starts: self.starts.clone(),
        }
    }

    pub(crate) fn run(&self, number: u32) -> Run {
        self.runs[number as usize]
    }

    /// A run of an instance, in the order of slots.
    #[inline]
    pub(crate) fn source(&self, slot: usize, index: usize) -> Option<BlockSource> {
        let (&first, &end) = (self.starts.get(slot)?, self.starts.get(slot + 1)?);
        let number = first as usize + index;
        let run = self.runs[..end as usize].get(number)?;
        let (slot, length) = (run.source_slot, run.length as u16);
        Some(BlockSource { run: number as u32, slot, length })
    }

    /// Records a block at both ends of its run. On the router's thread.
    pub(crate) fn record(&self, run: u32, block: &Block<'_>, channels: &[LiveChannel]) {
        let (source, target) = self.ends_of[run as usize];
        for end in [source, target] {
            self.ends[end as usize].record(block.levels, block.changed, channels);
        }
    }

    /// The end with a channel, and the channel's place in it.
    fn find(&self, channel: u32) -> Option<(&End, u32)> {
        let number = self.ends.partition_point(|end| end.first <= channel).checked_sub(1)?;
        let end = &self.ends[number];
        let index = channel - end.first;
        (index < end.length).then_some((end, index))
    }

    /// Settles the count of a channel before a single value of it is recorded.
    #[inline]
    pub(crate) fn settle(&self, channel: u32, channels: &[LiveChannel]) {
        if !self.ends.is_empty()
            && let Some((end, index)) = self.find(channel)
        {
            end.settle(index..index + 1, channels);
        }
    }

    /// Settles all counts.
    pub(crate) fn settle_all(&self, channels: &[LiveChannel]) {
        for end in &self.ends {
            end.settle(0..end.length, channels);
        }
    }

    /// The last value of a channel and the number of its values, on any thread.
    pub(crate) fn channel(&self, channel: u32, channels: &[LiveChannel]) -> Option<(f64, u64)> {
        let live = &channels[channel as usize];
        let single = || live.last().map(|value| (value, live.count()));
        let Some((end, index)) = self.find(channel) else { return single() };
        loop {
            let version = end.version.load(Ordering::Acquire);
            let (level, count) = end.read(index);
            let recorded = single();
            fence(Ordering::Acquire);
            if version % 2 == 0 && end.version.load(Ordering::Relaxed) == version {
                let events = recorded.map_or(0, |(_, events)| events);
                return match count {
                    0 => recorded,
                    _ => Some((value(level), events + u64::from(count))),
                };
            }
            std::hint::spin_loop();
        }
    }

    /// The number of values of every channel, on any thread.
    pub(crate) fn counts(&self, channels: &[LiveChannel]) -> Vec<u64> {
        let mut counts: Vec<u64> = channels.iter().map(LiveChannel::count).collect();
        for channel in self.ends.iter().flat_map(|end| end.first..end.first + end.length) {
            let count = self.channel(channel, channels).map_or(0, |(_, count)| count);
            counts[channel as usize] = count;
        }
        counts
    }
}

/// The runs among the routes, in the order of their sources.
fn find_runs(routes: &Routes, facts: &[ChannelFacts], marks: &[u8]) -> Vec<Run> {
    let mut feeds = vec![0_u8; routes.channel_count()];
    for index in 0..routes.len() {
        let count = &mut feeds[routes.target(index).global as usize];
        *count = count.saturating_add(1);
    }
    let step = |slot: usize, channel: u32| -> Option<Run> {
        let &[target] = routes.targets(channel) else { return None };
        let (from, to) = (channel as usize, target.global as usize);
        let is_plain = marks[from] == 0
            && marks[to] == 0
            && !target.passes_on
            && !routes.passes_on[slot]
            && (feeds[from], feeds[to]) == (0, 1)
            && routes.targets(target.global).is_empty();
        is_plain.then_some(Run {
            source: channel,
            target: target.global,
            length: 1,
            source_instance: slot as u32,
            target_instance: target.instance,
            target_channel: target.channel,
            source_slot: facts[from].source_slot?,
            target_slot: facts[to].target_slot?,
        })
    };
    let mut runs: Vec<Run> = Vec::new();
    for slot in 0..routes.passes_on.len() {
        let mut open: Option<Run> = None;
        for channel in routes.bases[slot]..routes.bases[slot + 1] {
            let next = step(slot, channel);
            if let (Some(run), Some(next)) = (&mut open, next)
                && run.continues_with(&next)
            {
                run.length += 1;
                continue;
            }
            runs.extend(open.take().filter(|run| run.length >= MIN_LENGTH));
            open = next;
        }
        runs.extend(open.filter(|run| run.length >= MIN_LENGTH));
    }
    runs
}

impl Run {
    /// Whether a run of one mapping directly follows at both ends. Both ends have consecutive
    /// numbers and consecutive slots.
    fn continues_with(&self, next: &Run) -> bool {
        let length = self.length;
        next.source == self.source + length
            && next.target == self.target + length
            && next.target_instance == self.target_instance
            && u32::from(next.source_slot) == u32::from(self.source_slot) + length
            && u32::from(next.target_slot) == u32::from(self.target_slot) + length
            && length < u32::from(u16::MAX)
    }
}
