//! Input: merges the frames of several sources into one.

use std::time::{Duration, Instant};

use super::slots::SLOTS;

/// The most sources that one universe may have at a time. A further one replaces a silent one, else
/// one of lower priority; otherwise its frames are ignored and counted.
pub(super) const MAX_SOURCES: usize = 16;

/// The identity of a source: its CID or its address.
pub(crate) type SourceId = [u8; 16];

/// How the values of several sources are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// The highest value of a channel takes precedence.
    Highest,
    /// For each channel, the source that changed it last takes precedence.
    Latest,
}

impl Policy {
    /// The choices of the option `merge`.
    pub(crate) const WORDS: &'static [&'static str] = &["htp", "ltp"];

    pub(crate) fn read(text: Option<&str>) -> Self {
        match text {
            Some(word) if word.eq_ignore_ascii_case("ltp") => Policy::Latest,
            _ => Policy::Highest,
        }
    }
}

/// One source and its last frame.
struct Source {
    id: SourceId,
    priority: u8,
    sequence: Option<u8>,
    seen: Instant,
    length: usize,
    data: [u8; SLOTS],
}

/// One frame of one source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) source: SourceId,
    pub(crate) priority: u8,
    /// `None` if the source does not number its frames.
    pub(crate) sequence: Option<u8>,
    /// The values from slot 1 on, at most 512.
    pub(crate) data: &'a [u8],
}

/// The result of [`Merger::accept`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acceptance {
    /// The frame was merged.
    Accepted,
    /// The frame was merged; a source of lower priority was removed in favour of its source.
    Replaced,
    /// A later frame of the same source arrived before it.
    OutOfOrder,
    /// The universe has too many sources.
    TooManySources,
}

/// The sources of one universe and their merged frame.
pub(crate) struct Merger {
    policy: Policy,
    timeout: Duration,
    sources: Vec<Source>,
    merged: [u8; SLOTS],
    length: usize,
}

impl Merger {
    pub(crate) fn new(policy: Policy, timeout: Duration) -> Self {
        Merger { policy, timeout, sources: Vec::new(), merged: [0; SLOTS], length: 0 }
    }

    /// Changes how sources are merged.
    pub(crate) fn set_policy(&mut self, policy: Policy) {
        if self.policy != policy {
            self.policy = policy;
            self.merge();
        }
    }

    /// The merged frame. It has fewer than 512 slots until a source has sent the others.
    pub(crate) fn merged(&self) -> &[u8] {
        &self.merged[..self.length]
    }

    /// How many sources there are.
    pub(crate) fn source_count(&self) -> usize {
        self.sources.len()
    }

    /// When the first of the sources will have been silent for the timeout.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.sources.iter().map(|source| source.seen + self.timeout).min()
    }

    /// Whether all sources have been silent for the timeout, or have terminated their streams.
    pub(crate) fn is_silent(&self, now: Instant) -> bool {
        self.sources.iter().all(|source| now.saturating_duration_since(source.seen) >= self.timeout)
    }

    /// Removes sources that have been silent for the timeout. Returns whether there were any.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let before = self.sources.len();
        if before < 2 {
            return false;
        }
        let timeout = self.timeout;
        let newest = self.sources.iter().map(|source| source.seen).max();
        self.sources.retain(|source| now - source.seen < timeout || Some(source.seen) == newest);
        let changed = self.sources.len() != before;
        if changed {
            self.merge();
        }
        changed
    }

    /// Removes a source that has terminated its stream. Its values are kept if it was the only one.
    pub(crate) fn remove(&mut self, id: SourceId) {
        let before = self.sources.len();
        self.sources.retain(|source| source.id != id);
        if self.sources.len() != before && !self.sources.is_empty() {
            self.merge();
        }
    }

    /// Merges a frame.
    pub(crate) fn accept(&mut self, frame: &Frame<'_>, now: Instant) -> Acceptance {
        let mut acceptance = Acceptance::Accepted;
        let index = match self.sources.iter().position(|source| source.id == frame.source) {
            Some(index) => {
                let source = &mut self.sources[index];
                // A source that was silent for the timeout may have restarted its numbering.
                let is_recent = now.saturating_duration_since(source.seen) < self.timeout;
                if let (Some(last), Some(sequence), true) =
                    (source.sequence, frame.sequence, is_recent)
                    && (-19..0).contains(&(sequence.wrapping_sub(last) as i8))
                {
                    return Acceptance::OutOfOrder;
                }
                index
            }
            None => {
                if self.sources.len() == 1
                    && now.saturating_duration_since(self.sources[0].seen) >= self.timeout
                {
                    self.sources.clear();
                }
                if self.sources.len() >= MAX_SOURCES {
                    let is_active =
                        |source: &Source| now.saturating_duration_since(source.seen) < self.timeout;
                    let rank = |source: &Source| (is_active(source), source.priority, source.seen);
                    let lowest = (0..self.sources.len())
                        .min_by_key(|&index| rank(&self.sources[index]))
                        .unwrap_or(0);
                    if is_active(&self.sources[lowest]) {
                        if self.sources[lowest].priority >= frame.priority {
                            return Acceptance::TooManySources;
                        }
                        acceptance = Acceptance::Replaced;
                    }
                    self.sources.remove(lowest);
                }
                self.sources.push(Source {
                    id: frame.source,
                    priority: frame.priority,
                    sequence: frame.sequence,
                    seen: now,
                    length: 0,
                    data: [0; SLOTS],
                });
                self.sources.len() - 1
            }
        };
        let data = &frame.data[..frame.data.len().min(SLOTS)];
        let source = &mut self.sources[index];
        source.sequence = frame.sequence;
        source.seen = now;
        let priority_changed = source.priority != frame.priority;
        source.priority = frame.priority;
        let highest = self.sources.iter().map(|source| source.priority).max();
        let source = &mut self.sources[index];
        if self.policy == Policy::Latest && highest == Some(source.priority) && !priority_changed {
            for (slot, &byte) in data.iter().enumerate() {
                if slot >= source.length || source.data[slot] != byte {
                    self.merged[slot] = byte;
                }
            }
            self.length = self.length.max(data.len());
        }
        source.length = source.length.max(data.len());
        source.data[..data.len()].copy_from_slice(data);
        if self.policy == Policy::Highest || priority_changed {
            self.merge();
        }
        acceptance
    }

    /// Recomputes the merged frame from the sources of the highest priority. Slots that none of them
    /// sends keep their values.
    fn merge(&mut self) {
        let Some(highest) = self.sources.iter().map(|source| source.priority).max() else { return };
        let has_priority = |source: &&Source| source.priority == highest;
        let sources = || self.sources.iter().filter(has_priority);
        let Some(length) = sources().map(|source| source.length).max() else { return };
        match self.policy {
            Policy::Highest => {
                self.merged[..length].fill(0);
                for source in self.sources.iter().filter(has_priority) {
                    for (merged, &byte) in self.merged.iter_mut().zip(&source.data[..source.length])
                    {
                        *merged = (*merged).max(byte);
                    }
                }
            }
            // The times of changes of single slots are not recorded: the newest frame is used.
            Policy::Latest => {
                if let Some(source) = sources().max_by_key(|source| source.seen) {
                    self.merged[..source.length].copy_from_slice(&source.data[..source.length]);
                }
            }
        }
        self.length = self.length.max(length);
    }
}

/// Merges `count` frames of 512 slots, of two sources in turn, the higher value taking precedence.
/// The instruction counts of `tests/instructions` call it; not part of the public interface.
#[cfg(feature = "fuzzing")]
pub fn merge_frames(count: u64) {
    use std::hint::black_box;

    let now = Instant::now();
    let mut merger = Merger::new(Policy::Highest, Duration::from_secs(2));
    let mut data = [0; SLOTS];
    for number in 0..count {
        data[number as usize % SLOTS] = number as u8;
        let frame = Frame {
            source: [(number % 2) as u8; 16],
            priority: 100,
            sequence: Some((number / 2) as u8),
            data: black_box(&data),
        };
        assert_eq!(merger.accept(&frame, now), Acceptance::Accepted);
        black_box(merger.merged());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(2_500);

    fn frame(source: u8, priority: u8, data: &[u8]) -> Frame<'_> {
        Frame { source: [source; 16], priority, sequence: None, data }
    }

    fn merger(policy: Policy) -> (Merger, Instant) {
        (Merger::new(policy, TIMEOUT), Instant::now())
    }

    #[test]
    fn the_highest_value_takes_precedence() {
        let (mut merger, now) = merger(Policy::Highest);
        merger.accept(&frame(1, 100, &[1, 5, 3]), now);
        merger.accept(&frame(2, 100, &[4, 2]), now);
        assert_eq!(merger.merged(), [4, 5, 3]);
        merger.accept(&frame(1, 100, &[0, 0, 0]), now);
        assert_eq!(merger.merged(), [4, 2, 0]);
    }

    #[test]
    fn the_latest_change_takes_precedence_for_each_channel() {
        let (mut merger, now) = merger(Policy::Latest);
        merger.accept(&frame(1, 100, &[1, 5, 3]), now);
        merger.accept(&frame(2, 100, &[4, 2, 3]), now);
        assert_eq!(merger.merged(), [4, 2, 3]);
        merger.accept(&frame(1, 100, &[1, 5, 9]), now);
        assert_eq!(merger.merged(), [4, 2, 9]);
        merger.accept(&frame(2, 100, &[4, 1, 3]), now);
        assert_eq!(merger.merged(), [4, 1, 9]);
    }

    #[test]
    fn a_changed_policy_merges_the_last_frames_again() {
        let (mut merger, now) = merger(Policy::Highest);
        merger.accept(&frame(1, 100, &[9, 1]), now);
        merger.accept(&frame(2, 100, &[4, 2]), now + Duration::from_secs(1));
        assert_eq!(merger.merged(), [9, 2]);
        merger.set_policy(Policy::Latest);
        assert_eq!(merger.merged(), [4, 2]);
        merger.accept(&frame(1, 100, &[8, 1]), now + Duration::from_secs(1));
        assert_eq!(merger.merged(), [8, 2]);
        merger.set_policy(Policy::Highest);
        assert_eq!(merger.merged(), [8, 2]);
    }

    #[test]
    fn a_higher_priority_takes_over_until_it_ends() {
        for policy in [Policy::Highest, Policy::Latest] {
            let (mut merger, now) = merger(policy);
            merger.accept(&frame(1, 100, &[200, 200]), now);
            merger.accept(&frame(2, 150, &[10, 10]), now);
            assert_eq!(merger.merged(), [10, 10], "{policy:?}");
            merger.accept(&frame(1, 100, &[201, 201]), now);
            assert_eq!(merger.merged(), [10, 10], "{policy:?}");
            merger.accept(&frame(2, 50, &[10, 10]), now);
            assert_eq!(merger.merged(), [201, 201], "{policy:?}");
            merger.accept(&frame(2, 150, &[9, 9]), now);
            merger.remove([2; 16]);
            assert_eq!(merger.merged(), [201, 201], "{policy:?}");
            merger.remove([1; 16]);
            assert_eq!(merger.merged(), [201, 201], "the last values are kept");
        }
    }

    #[test]
    fn silent_sources_are_removed_but_the_last_one_is_kept() {
        let (mut merger, start) = merger(Policy::Highest);
        merger.accept(&frame(1, 100, &[9]), start);
        assert_eq!(merger.deadline(), Some(start + TIMEOUT));
        merger.accept(&frame(2, 100, &[3]), start + Duration::from_secs(1));
        assert_eq!(merger.deadline(), Some(start + TIMEOUT));
        assert!(!merger.expire(start + Duration::from_secs(2)));
        assert!(merger.expire(start + TIMEOUT));
        assert_eq!(merger.merged(), [3]);
        assert!(!merger.expire(start + TIMEOUT * 10));
        // After a long silence, another source replaces it.
        merger.accept(&frame(4, 100, &[1]), start + TIMEOUT * 10);
        assert_eq!((merger.merged(), merger.source_count()), (&[1][..], 1));
    }

    #[test]
    fn old_frames_are_dropped_and_a_restarted_source_is_accepted() {
        let (mut merger, now) = merger(Policy::Highest);
        let mut accept = |sequence: u8, value: u8, after: Duration| {
            let data = [value];
            let frame = Frame { sequence: Some(sequence), ..frame(1, 100, &data) };
            let acceptance = merger.accept(&frame, now + after);
            (acceptance, merger.merged()[0])
        };
        let zero = Duration::ZERO;
        assert_eq!(accept(250, 1, zero), (Acceptance::Accepted, 1));
        assert_eq!(accept(1, 2, zero), (Acceptance::Accepted, 2));
        assert_eq!(accept(255, 3, zero), (Acceptance::OutOfOrder, 2));
        assert_eq!(
            accept(1, 4, zero),
            (Acceptance::Accepted, 4),
            "some sources never increment it"
        );
        assert_eq!(accept(200, 5, zero), (Acceptance::Accepted, 5), "a large step is a restart");
        assert_eq!(accept(190, 6, TIMEOUT), (Acceptance::Accepted, 6), "a restart after a silence");
    }

    #[test]
    fn sources_are_limited() {
        let (mut merger, now) = merger(Policy::Highest);
        for source in 0..MAX_SOURCES as u8 {
            assert_eq!(merger.accept(&frame(source, 100, &[source]), now), Acceptance::Accepted);
        }
        assert_eq!(merger.accept(&frame(99, 100, &[255]), now), Acceptance::TooManySources);
        assert_eq!(merger.merged(), [15]);
    }

    #[test]
    fn a_source_of_higher_priority_always_finds_room() {
        for policy in [Policy::Highest, Policy::Latest] {
            let (mut merger, now) = merger(policy);
            for source in 0..MAX_SOURCES as u8 {
                let time = now + Duration::from_millis(u64::from(source));
                let acceptance = merger.accept(&frame(source, source % 2, &[source]), time);
                assert_eq!(acceptance, Acceptance::Accepted);
            }
            let later = now + Duration::from_millis(100);
            let console = frame(99, 200, &[255]);
            assert_eq!(merger.accept(&console, later), Acceptance::Replaced);
            assert_eq!((merger.merged(), merger.source_count()), (&[255][..], MAX_SOURCES));
            // The oldest source of the lowest priority is gone; the console stays.
            assert!(merger.sources.iter().all(|source| source.id != [0; 16]));
            assert_eq!(merger.accept(&frame(0, 0, &[9]), later), Acceptance::TooManySources);
            assert_eq!(merger.merged(), [255]);
        }
    }

    #[test]
    fn a_new_source_takes_the_place_of_a_silent_one() {
        let (mut merger, now) = merger(Policy::Highest);
        for source in 0..MAX_SOURCES as u8 {
            merger.accept(&frame(source, 100, &[source]), now);
        }
        assert!(!merger.is_silent(now) && merger.is_silent(now + TIMEOUT));
        let acceptance = merger.accept(&frame(99, 0, &[1]), now + TIMEOUT);
        assert_eq!((acceptance, merger.source_count()), (Acceptance::Accepted, MAX_SOURCES));
    }
}
