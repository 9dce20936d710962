//! What comes in: one frame out of those of several sources.

use std::time::{Duration, Instant};

use super::slots::SLOTS;

/// How many sources one universe may have at a time; more are ignored and counted.
const SOURCE_LIMIT: usize = 16;

/// Who sends: a CID, or an address.
pub(crate) type SourceId = [u8; 16];

/// How the values of several sources become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// The highest value of a channel counts.
    Highest,
    /// The source that changed a channel last counts, channel by channel.
    Latest,
}

impl Policy {
    /// For the tables of options.
    pub(crate) const WORDS: &'static [&'static str] = &["htp", "ltp"];

    pub(crate) fn read(text: Option<&str>) -> Self {
        match text {
            Some(word) if word.eq_ignore_ascii_case("ltp") => Policy::Latest,
            _ => Policy::Highest,
        }
    }
}

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
    /// None where the source does not count its frames.
    pub(crate) sequence: Option<u8>,
    /// The slots from 1 on, at most 512.
    pub(crate) data: &'a [u8],
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It counts.
    Yes,
    /// Later frames of its source were here before it.
    TooLate,
    /// There are too many sources.
    TooMany,
}

/// The sources of one universe and what they add up to.
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

    /// What the sources add up to; shorter than 512 while nobody has sent the rest.
    pub(crate) fn merged(&self) -> &[u8] {
        &self.merged[..self.length]
    }

    /// How many sources there are.
    pub(crate) fn source_count(&self) -> usize {
        self.sources.len()
    }

    /// When sources must be looked at again; only if there are several: what a single one said
    /// last holds.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.sources.len() < 2 {
            return None;
        }
        self.sources.iter().map(|source| source.seen + self.timeout).min()
    }

    /// Forgets sources that have been silent for too long.
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

    /// Forgets a source that said it ends. Its values hold if it was the only one.
    pub(crate) fn remove(&mut self, id: SourceId) {
        let before = self.sources.len();
        self.sources.retain(|source| source.id != id);
        if self.sources.len() != before && !self.sources.is_empty() {
            self.merge();
        }
    }

    /// Takes a frame.
    pub(crate) fn take(&mut self, frame: &Frame<'_>, now: Instant) -> Taken {
        let at = match self.sources.iter().position(|source| source.id == frame.source) {
            Some(at) => {
                let source = &mut self.sources[at];
                // A source that was away may have begun to count anew.
                let is_recent = now.saturating_duration_since(source.seen) < self.timeout;
                if let (Some(last), Some(sequence), true) =
                    (source.sequence, frame.sequence, is_recent)
                    && (-19..0).contains(&(sequence.wrapping_sub(last) as i8))
                {
                    return Taken::TooLate;
                }
                at
            }
            None => {
                if self.sources.len() == 1
                    && now.saturating_duration_since(self.sources[0].seen) >= self.timeout
                {
                    self.sources.clear();
                }
                if self.sources.len() >= SOURCE_LIMIT {
                    return Taken::TooMany;
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
        let source = &mut self.sources[at];
        source.sequence = frame.sequence;
        source.seen = now;
        let priority_changed = source.priority != frame.priority;
        source.priority = frame.priority;
        let highest = self.sources.iter().map(|source| source.priority).max();
        let source = &mut self.sources[at];
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
        Taken::Yes
    }

    /// Puts the frame together anew, out of the sources of the highest priority. What none of
    /// them sends keeps its value.
    fn merge(&mut self) {
        let Some(highest) = self.sources.iter().map(|source| source.priority).max() else { return };
        let counts = |source: &&Source| source.priority == highest;
        let Some(length) = self.sources.iter().filter(counts).map(|it| it.length).max() else {
            return;
        };
        match self.policy {
            Policy::Highest => {
                self.merged[..length].fill(0);
                for source in self.sources.iter().filter(counts) {
                    for (merged, &byte) in self.merged.iter_mut().zip(&source.data[..source.length])
                    {
                        *merged = (*merged).max(byte);
                    }
                }
            }
            // Of what was changed when, only the newest frame is left to tell.
            Policy::Latest => {
                if let Some(source) = self.sources.iter().filter(counts).max_by_key(|it| it.seen) {
                    self.merged[..source.length].copy_from_slice(&source.data[..source.length]);
                }
            }
        }
        self.length = self.length.max(length);
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
    fn the_highest_counts() {
        let (mut it, now) = merger(Policy::Highest);
        it.take(&frame(1, 100, &[1, 5, 3]), now);
        it.take(&frame(2, 100, &[4, 2]), now);
        assert_eq!(it.merged(), [4, 5, 3]);
        it.take(&frame(1, 100, &[0, 0, 0]), now);
        assert_eq!(it.merged(), [4, 2, 0]);
    }

    #[test]
    fn the_latest_counts_channel_by_channel() {
        let (mut it, now) = merger(Policy::Latest);
        it.take(&frame(1, 100, &[1, 5, 3]), now);
        it.take(&frame(2, 100, &[4, 2, 3]), now);
        assert_eq!(it.merged(), [4, 2, 3]);
        it.take(&frame(1, 100, &[1, 5, 9]), now);
        assert_eq!(it.merged(), [4, 2, 9]);
        it.take(&frame(2, 100, &[4, 1, 3]), now);
        assert_eq!(it.merged(), [4, 1, 9]);
    }

    #[test]
    fn a_higher_priority_takes_over_and_gives_back() {
        for policy in [Policy::Highest, Policy::Latest] {
            let (mut it, now) = merger(policy);
            it.take(&frame(1, 100, &[200, 200]), now);
            it.take(&frame(2, 150, &[10, 10]), now);
            assert_eq!(it.merged(), [10, 10], "{policy:?}");
            it.take(&frame(1, 100, &[201, 201]), now);
            assert_eq!(it.merged(), [10, 10], "{policy:?}");
            it.take(&frame(2, 50, &[10, 10]), now);
            assert_eq!(it.merged(), [201, 201], "{policy:?}");
            it.take(&frame(2, 150, &[9, 9]), now);
            it.remove([2; 16]);
            assert_eq!(it.merged(), [201, 201], "{policy:?}");
            it.remove([1; 16]);
            assert_eq!(it.merged(), [201, 201], "the last look holds");
        }
    }

    #[test]
    fn silent_sources_are_forgotten_the_last_one_holds() {
        let (mut it, start) = merger(Policy::Highest);
        it.take(&frame(1, 100, &[9]), start);
        assert_eq!(it.deadline(), None);
        it.take(&frame(2, 100, &[3]), start + Duration::from_secs(1));
        assert_eq!(it.deadline(), Some(start + TIMEOUT));
        assert!(!it.expire(start + Duration::from_secs(2)));
        assert!(it.expire(start + TIMEOUT));
        assert_eq!(it.merged(), [3]);
        assert!(!it.expire(start + TIMEOUT * 10));
        // Another one after a long silence takes its place.
        it.take(&frame(4, 100, &[1]), start + TIMEOUT * 10);
        assert_eq!((it.merged(), it.source_count()), (&[1][..], 1));
    }

    #[test]
    fn old_frames_are_dropped_and_a_restarted_source_is_heard() {
        let (mut it, now) = merger(Policy::Highest);
        let mut take = |sequence: u8, value: u8, after: Duration| {
            let data = [value];
            let frame = Frame { sequence: Some(sequence), ..frame(1, 100, &data) };
            let taken = it.take(&frame, now + after);
            (taken, it.merged()[0])
        };
        let zero = Duration::ZERO;
        assert_eq!(take(250, 1, zero), (Taken::Yes, 1));
        assert_eq!(take(1, 2, zero), (Taken::Yes, 2));
        assert_eq!(take(255, 3, zero), (Taken::TooLate, 2));
        assert_eq!(take(1, 4, zero), (Taken::Yes, 4), "some never count");
        assert_eq!(take(200, 5, zero), (Taken::Yes, 5), "a jump is a new beginning");
        assert_eq!(take(190, 6, TIMEOUT), (Taken::Yes, 6), "as after a silence");
    }

    #[test]
    fn sources_are_limited() {
        let (mut it, now) = merger(Policy::Highest);
        for source in 0..SOURCE_LIMIT as u8 {
            assert_eq!(it.take(&frame(source, 100, &[source]), now), Taken::Yes);
        }
        assert_eq!(it.take(&frame(99, 200, &[255]), now), Taken::TooMany);
        assert_eq!(it.merged(), [15]);
    }
}
