//! The server's sample clock, as far as the server tells it.

use std::time::Duration;

use crate::queries::StatusInfo;

/// How much a measurement counts against those before.
const WEIGHT: f64 = 0.1;
/// A sample rate that deviates by more than this from the nominal one is a wrong measurement, as
/// servers report it directly after their start; the quartz of a sound card deviates by less than
/// 0.0002.
const MAX_DEVIATION: f64 = 0.002;

/// Relates the time of this computer to the seconds of sound that the server has computed, at its
/// nominal sample rate. The two drift apart, because a sound card has a clock of its own.
///
/// The position is continuous: a new measurement changes only how fast it continues.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SampleClock {
    /// When `ratio` was last changed.
    anchor: Duration,
    /// The position at that time, in seconds of sound.
    position: f64,
    /// Seconds of sound in a second of this computer.
    ratio: f64,
}

impl Default for SampleClock {
    fn default() -> Self {
        Self { anchor: Duration::ZERO, position: 0.0, ratio: 1.0 }
    }
}

impl SampleClock {
    /// The server reported its sample rates.
    pub(super) fn measure(&mut self, status: &StatusInfo, now: Duration) {
        let measured = status.actual_sample_rate / status.target_sample_rate;
        if (measured - 1.0).abs() > MAX_DEVIATION || measured.is_nan() {
            return;
        }
        self.position = self.position(now);
        self.anchor = now;
        self.ratio += (measured - self.ratio) * WEIGHT;
    }

    /// Seconds of sound in a second of this computer, 1 until the server has told its rate.
    pub(crate) fn ratio(&self) -> f64 {
        self.ratio
    }

    /// The position at `now`, in seconds of sound. Only differences have a meaning.
    pub(crate) fn position(&self, now: Duration) -> f64 {
        self.position + (now.as_secs_f64() - self.anchor.as_secs_f64()) * self.ratio
    }

    /// In how many seconds of this computer, counted from `now`, the position will be reached;
    /// negative if it has been reached.
    pub(crate) fn seconds_until(&self, position: f64, now: Duration) -> f64 {
        (position - self.position(now)) / self.ratio
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(actual: f64) -> StatusInfo {
        StatusInfo {
            ugen_count: 0,
            synth_count: 0,
            group_count: 1,
            synthdef_count: 0,
            average_cpu_usage: 0.0,
            peak_cpu_usage: 0.0,
            target_sample_rate: 48_000.0,
            actual_sample_rate: actual,
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_position_follows_the_measured_rate_without_jumps() {
        let mut clock = SampleClock::default();
        assert_eq!(clock.position(seconds(10)), 10.0);
        // The sound card is 100 ppm fast.
        for second in 10..610 {
            let before = clock.position(seconds(second));
            clock.measure(&status(48_004.8), seconds(second));
            assert!((clock.position(seconds(second)) - before).abs() < 1e-9);
        }
        assert!((clock.ratio() - 1.0001).abs() < 1e-6, "{}", clock.ratio());
        // In ten minutes of this computer it computes 60 ms more.
        let start = clock.position(seconds(610));
        let sound = clock.position(seconds(1_210)) - start;
        assert!((sound - 600.06).abs() < 0.001, "{sound}");
        let until = clock.seconds_until(start + 600.06, seconds(610));
        assert!((until - 600.0).abs() < 0.001, "{until}");
        assert!(clock.seconds_until(start, seconds(620)) < -9.9);
    }

    #[test]
    fn wrong_measurements_are_ignored() {
        let mut clock = SampleClock::default();
        for actual in [0.0, -48_000.0, f64::NAN, f64::INFINITY, 24_000.0, 48_100.0] {
            clock.measure(&status(actual), seconds(1));
        }
        clock.measure(&StatusInfo { target_sample_rate: 0.0, ..status(48_000.0) }, seconds(2));
        assert_eq!((clock.ratio(), clock.position(seconds(3))), (1.0, 3.0));
    }
}
