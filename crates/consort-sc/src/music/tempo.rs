//! Tempo and metre: beats, bars and seconds.

use crate::error::{Error, ErrorKind, Result};

/// The slowest and the fastest tempo, in beats a minute.
const TEMPO_RANGE: std::ops::RangeInclusive<f64> = 0.1..=10_000.0;

/// The metre of bars, as in 3/4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metre {
    /// Notes in a bar, 1 to 128.
    pub count: u8,
    /// The kind of note: 1, 2, 4, 8, 16, 32 or 64.
    pub unit: u8,
}

impl Metre {
    /// Four quarter notes in a bar.
    pub const COMMON: Self = Self { count: 4, unit: 4 };

    /// The length of a bar in beats; a beat is a quarter note.
    pub fn beats(self) -> f64 {
        f64::from(self.count) * 4.0 / f64::from(self.unit)
    }
}

/// A change of tempo.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Change {
    beat: f64,
    /// Over how many beats the tempo changes; 0 for a jump.
    ramp: f64,
    tempo: f64,
}

/// A stretch in which the tempo is constant or changes evenly from beat to beat.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Segment {
    beat: f64,
    seconds: f64,
    tempo: f64,
    /// How much the tempo changes from one beat to the next.
    slope: f64,
}

impl Segment {
    /// Seconds from the beginning of the segment to a number of beats later.
    fn seconds_after(&self, beats: f64) -> f64 {
        let change = self.slope * beats / self.tempo;
        // 60/tempo * beats for a constant tempo, and the integral of 60/tempo otherwise.
        let stretch = if change.abs() < 1e-12 { 1.0 } else { change.ln_1p() / change };
        60.0 / self.tempo * beats * stretch
    }

    /// Beats from the beginning of the segment to a number of seconds later.
    fn beats_after(&self, seconds: f64) -> f64 {
        let exponent = self.slope * seconds / 60.0;
        let stretch = if exponent.abs() < 1e-12 { 1.0 } else { exponent.exp_m1() / exponent };
        self.tempo / 60.0 * seconds * stretch
    }
}

/// Which beat falls on which second, and in which bar: a tempo with its changes, and the metres.
///
/// Beats are quarter notes; beat 0, bar 0 and second 0 are the same. Before beat 0 the first tempo
/// applies.
///
/// ```
/// use consort_sc::music::{Metre, Tempo};
///
/// let mut tempo = Tempo::new(120.0)?;
/// tempo.set(8.0, 60.0)?;
/// assert_eq!(tempo.seconds_at(8.0), 4.0);
/// assert_eq!(tempo.seconds_at(9.0), 5.0);
/// tempo.set_metre(8.0, Metre { count: 3, unit: 4 })?;
/// assert_eq!(tempo.bar_at(11.0), (3, 0.0));
/// # Ok::<(), consort_sc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tempo {
    /// The tempo before the first change.
    initial: f64,
    /// By beat.
    changes: Vec<Change>,
    /// Computed from the changes; the first begins at beat 0.
    segments: Vec<Segment>,
    /// Beat and bar at which each metre begins.
    metres: Vec<(f64, u64, Metre)>,
}

impl Tempo {
    /// A constant tempo in beats a minute, 0.1 to 10,000, in bars of four beats.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for another tempo.
    pub fn new(tempo: f64) -> Result<Self> {
        let initial = checked_tempo(tempo)?;
        let metres = vec![(0.0, 0, Metre::COMMON)];
        let mut map = Self { initial, changes: Vec::new(), segments: Vec::new(), metres };
        map.compute_segments();
        Ok(map)
    }

    /// Changes the tempo at a beat. A change at the same beat is replaced, later ones remain.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a negative beat, or a tempo out of range.
    pub fn set(&mut self, beat: f64, tempo: f64) -> Result<()> {
        self.ramp(beat, 0.0, tempo)
    }

    /// From a beat on, changes the tempo evenly over a number of beats. If another change follows
    /// before the end, it ends there.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for negative beats, or a tempo out of range.
    pub fn ramp(&mut self, beat: f64, beats: f64, tempo: f64) -> Result<()> {
        let change = Change {
            beat: checked_beat(beat)?,
            ramp: checked_beat(beats)?,
            tempo: checked_tempo(tempo)?,
        };
        // A ramp begins at the tempo that a jump at the same beat sets.
        self.changes.retain(|other| other.beat != beat || beats > 0.0 && other.ramp == 0.0);
        let position = self.changes.partition_point(|change| change.beat <= beat);
        self.changes.insert(position, change);
        self.compute_segments();
        Ok(())
    }

    fn compute_segments(&mut self) {
        let mut before = Segment { beat: 0.0, seconds: 0.0, tempo: self.initial, slope: 0.0 };
        self.segments.clear();
        self.segments.push(before);
        for (index, change) in self.changes.iter().enumerate() {
            // The end of a ramp that the change cuts off is behind it.
            if let Some(segment) = self.segments.iter().rfind(|segment| segment.beat <= change.beat)
            {
                before = *segment;
            }
            let seconds = before.seconds + before.seconds_after(change.beat - before.beat);
            let tempo = before.tempo + before.slope * (change.beat - before.beat);
            if change.ramp == 0.0 {
                let tempo = change.tempo;
                self.segments.push(Segment { beat: change.beat, seconds, tempo, slope: 0.0 });
                continue;
            }
            let slope = (change.tempo - tempo) / change.ramp;
            let ramp = Segment { beat: change.beat, seconds, tempo, slope };
            self.segments.push(ramp);
            let end = change.beat + change.ramp;
            if self.changes.get(index + 1).is_none_or(|next| next.beat > end) {
                let seconds = seconds + ramp.seconds_after(change.ramp);
                self.segments.push(Segment { beat: end, seconds, tempo: change.tempo, slope: 0.0 });
            }
        }
    }

    /// The last segment for which the condition is true, or the first one.
    fn segment(&self, begins: impl Fn(&Segment) -> bool) -> &Segment {
        &self.segments[self.segments.partition_point(begins).saturating_sub(1)]
    }

    /// The time of a beat in seconds.
    pub fn seconds_at(&self, beat: f64) -> f64 {
        let segment = self.segment(|segment| segment.beat <= beat);
        segment.seconds + segment.seconds_after(beat - segment.beat)
    }

    /// The beat at a time in seconds.
    pub fn beat_at(&self, seconds: f64) -> f64 {
        let segment = self.segment(|segment| segment.seconds <= seconds);
        segment.beat + segment.beats_after(seconds - segment.seconds)
    }

    /// The tempo at a beat, in beats a minute.
    pub fn tempo_at(&self, beat: f64) -> f64 {
        let segment = self.segment(|segment| segment.beat <= beat);
        segment.tempo + segment.slope * (beat - segment.beat).max(0.0)
    }

    /// Changes the metre from the first bar on that begins at a beat or after it. Metres that begin
    /// there or later are removed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a negative beat, or a metre that does not exist.
    pub fn set_metre(&mut self, beat: f64, metre: Metre) -> Result<()> {
        checked_beat(beat)?;
        if !(1..=128).contains(&metre.count) || !metre.unit.is_power_of_two() || metre.unit > 64 {
            return Err(invalid(format!(
                "invalid metre {}/{}: expected 1 to 128 notes of 1, 2, 4, 8, 16, 32 or 64",
                metre.count, metre.unit
            )));
        }
        let (bar, position) = self.bar_at(beat);
        let bar = if position > 0.0 { bar + 1 } else { bar };
        let start = self.beat_of_bar(bar);
        self.metres.retain(|(from, ..)| *from < start || *from == 0.0 && start > 0.0);
        self.metres.push((start, bar, metre));
        Ok(())
    }

    /// The metre at a beat.
    pub fn metre_at(&self, beat: f64) -> Metre {
        self.metre(|(from, ..)| *from <= beat).2
    }

    fn metre(&self, begins: impl Fn(&(f64, u64, Metre)) -> bool) -> (f64, u64, Metre) {
        self.metres[self.metres.partition_point(begins).saturating_sub(1)]
    }

    /// The bar of a beat, from 0, and the beats since its beginning.
    pub fn bar_at(&self, beat: f64) -> (u64, f64) {
        let (from, bar, metre) = self.metre(|(from, ..)| *from <= beat);
        let beats = (beat - from).max(0.0);
        // Beats that are sums of fractions may be slightly before the bar that they mean.
        let bars = (beats / metre.beats() + 1e-9).floor();
        (bar + bars as u64, (beats - bars * metre.beats()).max(0.0))
    }

    /// The beat at which a bar begins.
    pub fn beat_of_bar(&self, bar: u64) -> f64 {
        let (from, first, metre) = self.metre(|(_, first, _)| *first <= bar);
        from + (bar - first) as f64 * metre.beats()
    }

    /// The beginning of the first bar at a beat or after it.
    pub fn next_bar(&self, beat: f64) -> f64 {
        let (bar, position) = self.bar_at(beat);
        self.beat_of_bar(if position > 1e-9 { bar + 1 } else { bar })
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

fn checked_tempo(tempo: f64) -> Result<f64> {
    if TEMPO_RANGE.contains(&tempo) {
        return Ok(tempo);
    }
    let (slowest, fastest) = TEMPO_RANGE.into_inner();
    Err(invalid(format!("invalid tempo {tempo}: expected {slowest} to {fastest} beats a minute")))
}

/// A number of beats that is finite and not negative.
pub(super) fn checked_beat(beat: f64) -> Result<f64> {
    if beat.is_finite() && beat >= 0.0 {
        return Ok(beat);
    }
    Err(invalid(format!("invalid number of beats {beat}: expected 0 or more")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-9
    }

    #[test]
    fn beats_and_seconds_are_inverse_over_all_changes() {
        let mut tempo = Tempo::new(120.0).unwrap();
        tempo.set(16.0, 90.0).unwrap();
        tempo.ramp(4.0, 4.0, 60.0).unwrap();
        // 4 beats at 120, then from 120 to 60 in 4 beats, then 8 beats at 60.
        let ramp = 4.0 * 60.0 / 60.0 * 2.0_f64.ln();
        assert!(near(tempo.seconds_at(8.0), 2.0 + ramp));
        assert!(near(tempo.seconds_at(16.0), 2.0 + ramp + 8.0));
        assert!(near(tempo.seconds_at(17.5), 2.0 + ramp + 8.0 + 1.0));
        assert!(near(tempo.tempo_at(6.0), 90.0) && near(tempo.tempo_at(10.0), 60.0));
        for step in -8..400 {
            let beat = f64::from(step) / 16.0;
            assert!(near(tempo.beat_at(tempo.seconds_at(beat)), beat), "{beat}");
        }
    }

    #[test]
    fn a_change_replaces_one_at_its_beat_and_ends_a_ramp() {
        let mut tempo = Tempo::new(60.0).unwrap();
        tempo.set(0.0, 120.0).unwrap();
        assert!(near(tempo.seconds_at(2.0), 1.0));
        tempo.ramp(0.0, 8.0, 240.0).unwrap();
        assert!(near(tempo.tempo_at(0.0), 120.0) && near(tempo.tempo_at(4.0), 180.0));
        tempo.set(4.0, 60.0).unwrap();
        assert!(near(tempo.tempo_at(3.0), 165.0) && near(tempo.tempo_at(9.0), 60.0));
        assert!(near(tempo.beat_at(tempo.seconds_at(12.0)), 12.0));
    }

    #[test]
    fn bars_follow_the_metres() {
        let mut tempo = Tempo::new(120.0).unwrap();
        tempo.set_metre(7.0, Metre { count: 3, unit: 4 }).unwrap();
        tempo.set_metre(14.0, Metre { count: 6, unit: 8 }).unwrap();
        // Bars of 4 beats until 8, then of 3.
        assert_eq!(tempo.bar_at(7.5), (1, 3.5));
        assert_eq!(tempo.bar_at(8.0), (2, 0.0));
        assert_eq!(tempo.bar_at(11.5), (3, 0.5));
        assert_eq!(tempo.beat_of_bar(4), 14.0);
        assert_eq!(tempo.metre_at(14.0).beats(), 3.0);
        assert_eq!((tempo.next_bar(8.5), tempo.next_bar(11.0)), (11.0, 11.0));
        assert_eq!(tempo.bar_at(8.0 - 1e-12).0, 2);
    }

    #[test]
    fn invalid_values_are_errors() {
        assert!(Tempo::new(0.0).is_err() && Tempo::new(f64::NAN).is_err());
        let mut tempo = Tempo::new(100.0).unwrap();
        assert!(tempo.set(-1.0, 100.0).is_err() && tempo.set(f64::INFINITY, 100.0).is_err());
        let error = tempo.set(1.0, 1e9).unwrap_err().to_string();
        assert_eq!(error, "invalid tempo 1000000000: expected 0.1 to 10000 beats a minute");
        assert!(tempo.set_metre(0.0, Metre { count: 4, unit: 3 }).is_err());
    }
}
