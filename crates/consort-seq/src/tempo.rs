//! Tempo maps, which convert between ticks and time.

use crate::event::RealTime;

/// An invalid value for a tempo map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TempoMapError {
    /// Ticks per quarter note must be 1 or more.
    #[error("invalid resolution of 0 ticks per quarter note; expected 1 or more")]
    ZeroResolution,
    /// Microseconds per quarter note must be 1 or more.
    #[error("invalid tempo of 0 µs per quarter note at tick {tick}; expected 1 or more")]
    ZeroTempo {
        /// The tick of the tempo change.
        tick: u64,
    },
}

/// The tempo changes of a piece, which convert its ticks to time and back.
///
/// The conversion is exact. Internally, times are integers in units of a nanosecond divided by the
/// ticks per quarter note. In this unit every tick has a whole duration (its tempo in
/// nanoseconds), so rounding errors do not accumulate over tempo changes.
///
/// ```
/// use consort_seq::{RealTime, TempoMap};
///
/// let mut map = TempoMap::new(96)?; // 120 beats per minute
/// map.set_tempo(192, 1_000_000)?; // 60 from the third beat on
/// assert_eq!(map.real_time(288), RealTime::new(2, 0));
/// assert_eq!(map.tick(RealTime::new(2, 0)), 288);
/// # Ok::<(), consort_seq::TempoMapError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TempoMap {
    ticks_per_quarter: u32,
    /// Sorted by tick; the first is at tick 0.
    changes: Vec<Change>,
}

/// A tempo change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    tick: u64,
    /// Microseconds per quarter note from this tick on.
    tempo: u32,
    /// Time at `tick`, in nanoseconds multiplied by the ticks per quarter note.
    scaled_time: u128,
}

/// The tempo of a new queue in microseconds per quarter note: 120 beats per minute.
const DEFAULT_TEMPO: u32 = 500_000;

impl TempoMap {
    /// A map with `ticks_per_quarter` ticks per quarter note and a constant tempo of 120 beats per
    /// minute, which is the tempo of a new queue.
    ///
    /// # Errors
    /// If `ticks_per_quarter` is 0.
    pub fn new(ticks_per_quarter: u32) -> Result<Self, TempoMapError> {
        if ticks_per_quarter == 0 {
            return Err(TempoMapError::ZeroResolution);
        }
        let first = Change { tick: 0, tempo: DEFAULT_TEMPO, scaled_time: 0 };
        Ok(Self { ticks_per_quarter, changes: vec![first] })
    }

    /// Ticks per quarter note.
    #[must_use]
    pub const fn ticks_per_quarter(&self) -> u32 {
        self.ticks_per_quarter
    }

    /// Sets the tempo from `tick` until the next change, in microseconds per quarter note.
    /// It replaces a change at the same tick.
    ///
    /// # Errors
    /// If `microseconds` is 0.
    pub fn set_tempo(&mut self, tick: u64, microseconds: u32) -> Result<(), TempoMapError> {
        if microseconds == 0 {
            return Err(TempoMapError::ZeroTempo { tick });
        }
        let index = match self.changes.binary_search_by_key(&tick, |change| change.tick) {
            Ok(index) => {
                self.changes[index].tempo = microseconds;
                index
            }
            Err(index) => {
                self.changes.insert(index, Change { tick, tempo: microseconds, scaled_time: 0 });
                index
            }
        };
        for index in index.max(1)..self.changes.len() {
            let previous = self.changes[index - 1];
            self.changes[index].scaled_time = previous.scaled_time_at(self.changes[index].tick);
        }
        Ok(())
    }

    /// The tempo at `tick`, in microseconds per quarter note.
    #[must_use]
    pub fn tempo(&self, tick: u64) -> u32 {
        self.change_at(tick).tempo
    }

    /// The tempo at `tick`, in beats (quarter notes) per minute.
    #[must_use]
    pub fn beats_per_minute(&self, tick: u64) -> f64 {
        60e6 / f64::from(self.tempo(tick))
    }

    /// The changes as ticks and microseconds per quarter note, sorted by tick.
    pub fn changes(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.changes.iter().map(|change| (change.tick, change.tempo))
    }

    /// The time of `tick`, rounded down to the nanosecond.
    #[must_use]
    pub fn real_time(&self, tick: u64) -> RealTime {
        let scaled = self.change_at(tick).scaled_time_at(tick);
        let nanoseconds = scaled / u128::from(self.ticks_per_quarter);
        RealTime::from_nanoseconds(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// The first tick that is not before `time`.
    #[must_use]
    pub fn tick(&self, time: RealTime) -> u64 {
        // This is the smallest tick whose time, rounded down, is not less than `time`.
        let target = u128::from(time.as_nanoseconds()) * u128::from(self.ticks_per_quarter);
        let index = self.changes.partition_point(|change| change.scaled_time < target).max(1) - 1;
        let change = self.changes[index];
        let per_tick = u128::from(change.tempo) * 1000;
        let ticks = (target - change.scaled_time.min(target)).div_ceil(per_tick);
        let tick = change.tick + u64::try_from(ticks).unwrap_or(u64::MAX);
        match self.changes.get(index + 1) {
            Some(next) => tick.min(next.tick),
            None => tick,
        }
    }

    /// The change whose tempo is valid at `tick`.
    fn change_at(&self, tick: u64) -> Change {
        let after = self.changes.partition_point(|change| change.tick <= tick);
        self.changes[after - 1]
    }
}

impl Change {
    /// The scaled time of a tick that has this change's tempo.
    fn scaled_time_at(self, tick: u64) -> u128 {
        self.scaled_time + u128::from(tick - self.tick) * u128::from(self.tempo) * 1000
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_constant_tempo() {
        let map = TempoMap::new(96).unwrap();
        assert_eq!(map.real_time(96), RealTime::new(0, 500_000_000));
        assert_eq!(map.real_time(1), RealTime::new(0, 5_208_333));
        assert_eq!(map.tick(RealTime::new(1, 0)), 192);
        assert!((map.beats_per_minute(5) - 120.0).abs() < 1e-9);
    }

    #[test]
    fn changes_may_come_in_any_order() {
        let mut map = TempoMap::new(480).unwrap();
        map.set_tempo(960, 250_000).unwrap();
        map.set_tempo(0, 1_000_000).unwrap();
        map.set_tempo(480, 500_000).unwrap();
        assert_eq!(map.real_time(1440), RealTime::new(1, 750_000_000));
        map.set_tempo(480, 1_000_000).unwrap();
        assert_eq!(map.real_time(1440), RealTime::new(2, 250_000_000));
        assert_eq!(map.changes().count(), 3);
        assert_eq!(map.tempo(959), 1_000_000);
    }

    #[test]
    fn zeroes_are_rejected() {
        assert_eq!(TempoMap::new(0), Err(TempoMapError::ZeroResolution));
        let mut map = TempoMap::new(1).unwrap();
        assert_eq!(map.set_tempo(7, 0), Err(TempoMapError::ZeroTempo { tick: 7 }));
    }

    proptest! {
        #[test]
        fn a_conversion_to_time_and_back_preserves_ticks(
            resolution in 1u32..2000,
            changes in prop::collection::vec((0u64..100_000, 1000u32..5_000_000), 0..8),
            tick in 0u64..200_000,
        ) {
            let mut map = TempoMap::new(resolution).unwrap();
            for (tick, tempo) in changes {
                map.set_tempo(tick, tempo).unwrap();
            }
            // A tick lasts at least 500 ns here, so rounding down loses less than one tick.
            prop_assert_eq!(map.tick(map.real_time(tick)), tick);
            prop_assert!(map.real_time(tick + 1) > map.real_time(tick));
        }
    }
}
