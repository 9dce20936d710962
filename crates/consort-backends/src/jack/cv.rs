//! Control voltage: samples that are computed from values, and values that are found in samples.

/// How values are found in samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Detection {
    /// The mean of the samples.
    #[default]
    Mean,
    /// The largest absolute value.
    Peak,
    /// 1 while the samples are above the middle of the range, and 0 otherwise.
    Gate,
}

/// The samples that stand for 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) min: f32,
    pub(super) max: f32,
}

impl Range {
    /// The sample of a value; not finite values count as 0.
    pub(super) fn sample(self, value: f64) -> f32 {
        let value = if value.is_finite() { value.clamp(0.0, 1.0) } else { 0.0 };
        let (min, max) = (f64::from(self.min), f64::from(self.max));
        // The addition makes 0.0 of -0.0.
        (min + value * (max - min)) as f32 + 0.0
    }

    /// The value of a finite sample, which is clipped to the range.
    fn value(self, sample: f64) -> f64 {
        let (min, max) = (f64::from(self.min), f64::from(self.max));
        ((sample - min) / (max - min)).clamp(0.0, 1.0) + 0.0
    }

    /// What an output sends before its first value: 0, or the end of the range that is closer to it.
    pub(super) fn rest(self) -> f32 {
        0.0_f32.clamp(self.min.min(self.max), self.min.max(self.max)) + 0.0
    }
}

/// The signal of an output.
#[derive(Debug)]
pub(super) struct Ramp {
    is_ramped: bool,
    last: f32,
}

impl Ramp {
    pub(super) fn new(is_ramped: bool, rest: f32) -> Self {
        Ramp { is_ramped, last: rest }
    }

    /// Fills a period: with a line from the last sample to `target`, which the last sample of the
    /// period reaches, or with `target`.
    pub(super) fn fill(&mut self, samples: &mut [f32], target: f32) {
        if self.is_ramped && self.last != target {
            let step = (target - self.last) / samples.len() as f32;
            for (sample, number) in samples.iter_mut().zip(1_u32..) {
                *sample = self.last + step * number as f32;
            }
            if let Some(last) = samples.last_mut() {
                *last = target;
            }
        } else {
            samples.fill(target);
        }
        self.last = target;
    }
}

/// Where a gate opens, and below which it closes, in the range from 0 to 1.
const GATE_OPENS: f64 = 0.5;
const GATE_CLOSES: f64 = 0.4;

/// The smallest change of a value that counts, so that noise is not input.
const MIN_CHANGE: f64 = 1.0 / 16_384.0;

/// Finds the values of an input, at most `rate` a second.
#[derive(Debug)]
pub(super) struct Detector {
    detection: Detection,
    range: Range,
    rate: f64,
    /// How many samples have passed since the last value.
    since: u32,
    sum: f64,
    count: u32,
    peak: f64,
    last: Option<f64>,
    /// Whether the gate is open, and whether it has changed twice since the last value.
    is_open: bool,
    has_pulse: bool,
    /// Samples that were not finite, since the last call of [`take_invalid`](Self::take_invalid).
    invalid: u32,
}

impl Detector {
    /// `rate` is the most values per second.
    pub(super) fn new(detection: Detection, range: Range, rate: f64) -> Self {
        Detector {
            detection,
            range,
            rate,
            since: u32::MAX,
            sum: 0.0,
            count: 0,
            peak: 0.0,
            last: None,
            is_open: false,
            has_pulse: false,
            invalid: 0,
        }
    }

    /// Looks at the samples of a period. `emit` returns whether it could take the value; if not,
    /// the next period tries again.
    pub(super) fn process(
        &mut self,
        samples: &[f32],
        sample_rate: u32,
        mut emit: impl FnMut(f64) -> bool,
    ) {
        let interval = (f64::from(sample_rate) / self.rate) as u32;
        if self.detection == Detection::Gate {
            for &sample in samples {
                self.since = self.since.saturating_add(1);
                self.gate(sample);
                if self.since >= interval {
                    self.emit_gate(&mut emit);
                }
            }
            return;
        }
        for &sample in samples {
            if sample.is_finite() {
                let sample = f64::from(sample);
                self.sum += sample;
                self.count += 1;
                self.peak = self.peak.max(sample.abs());
            } else {
                self.invalid += 1;
            }
        }
        self.since = self.since.saturating_add(samples.len() as u32);
        if self.since < interval || self.count == 0 {
            return;
        }
        let sample = match self.detection {
            Detection::Peak => self.peak,
            _ => self.sum / f64::from(self.count),
        };
        (self.sum, self.count, self.peak) = (0.0, 0, 0.0);
        let value = self.range.value(sample);
        let is_new = self.last.is_none_or(|last| {
            let is_end = value == 0.0 || value == 1.0;
            value != last && (is_end || (value - last).abs() >= MIN_CHANGE)
        });
        if is_new && emit(value) {
            self.last = Some(value);
            self.since = 0;
        }
    }

    fn gate(&mut self, sample: f32) {
        if !sample.is_finite() {
            self.invalid += 1;
            return;
        }
        let value = self.range.value(sample.into());
        let threshold = if self.is_open { GATE_CLOSES } else { GATE_OPENS };
        let is_open = value >= threshold;
        if is_open != self.is_open {
            self.is_open = is_open;
            self.has_pulse = self.last == Some(f64::from(u8::from(is_open)));
        }
    }

    /// Emits the state of the gate if it has changed. Of a pulse that came and went meanwhile,
    /// first the pulse.
    fn emit_gate(&mut self, emit: &mut impl FnMut(f64) -> bool) {
        let value = f64::from(u8::from(self.is_open != self.has_pulse));
        if self.last == Some(value) {
            return;
        }
        if emit(value) {
            self.last = Some(value);
            self.has_pulse = false;
            self.since = 0;
        }
    }

    /// How many samples were not finite since the last call.
    pub(super) fn take_invalid(&mut self) -> u32 {
        std::mem::take(&mut self.invalid)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNIT: Range = Range { min: 0.0, max: 1.0 };

    fn detect(detector: &mut Detector, samples: &[f32]) -> Vec<f64> {
        let mut values = Vec::new();
        detector.process(samples, 48_000, |value| {
            values.push(value);
            true
        });
        values
    }

    #[test]
    fn a_ramp_ends_exactly_at_its_target_and_a_step_begins_there() {
        let mut samples = [9.0; 4];
        let mut ramp = Ramp::new(true, 0.0);
        ramp.fill(&mut samples, 1.0);
        assert_eq!(samples, [0.25, 0.5, 0.75, 1.0]);
        ramp.fill(&mut samples, 1.0);
        assert_eq!(samples, [1.0; 4]);
        let mut step = Ramp::new(false, 0.0);
        step.fill(&mut samples, -2.0);
        assert_eq!(samples, [-2.0; 4]);
    }

    #[test]
    fn values_become_samples_of_the_range_and_never_minus_zero() {
        let volts = Range { min: -5.0, max: 5.0 };
        assert_eq!([0.0, 0.5, 1.0, 7.0].map(|value| volts.sample(value)), [-5.0, 0.0, 5.0, 5.0]);
        assert_eq!(volts.sample(f64::NAN), -5.0);
        assert!(UNIT.sample(-0.0).is_sign_positive());
        assert_eq!(Range { min: 2.0, max: 8.0 }.rest(), 2.0);
        assert_eq!(Range { min: 8.0, max: 2.0 }.rest(), 2.0);
        assert_eq!(volts.rest(), 0.0);
    }

    #[test]
    fn the_mean_and_the_peak_are_taken_of_all_samples_between_two_values() {
        let mut mean = Detector::new(Detection::Mean, UNIT, 100.0);
        assert_eq!(detect(&mut mean, &[0.125, 0.375]), [0.25]);
        // 480 samples at 48 kHz are the shortest time between two values.
        assert!(detect(&mut mean, &[1.0; 240]).is_empty());
        assert_eq!(detect(&mut mean, &[0.0; 240]), [0.5]);
        let mut peak = Detector::new(Detection::Peak, UNIT, 48_000.0);
        assert_eq!(detect(&mut peak, &[0.25, -0.75, 0.5]), [0.75]);
        assert!(detect(&mut peak, &[0.75]).is_empty());
    }

    #[test]
    fn noise_is_not_input_and_the_ends_are_reached() {
        let mut mean = Detector::new(Detection::Mean, UNIT, 48_000.0);
        assert_eq!(detect(&mut mean, &[0.99999]).len(), 1);
        assert!(detect(&mut mean, &[0.999_995]).is_empty());
        assert_eq!(detect(&mut mean, &[1.0]), [1.0]);
        assert!(detect(&mut mean, &[1.5]).is_empty());
    }

    #[test]
    fn samples_that_are_not_finite_are_left_out_and_minus_zero_is_zero() {
        let mut mean = Detector::new(Detection::Mean, UNIT, 48_000.0);
        let values = detect(&mut mean, &[f32::NAN, f32::INFINITY, -0.0]);
        assert_eq!(values, [0.0]);
        assert!(values[0].is_sign_positive());
        assert_eq!(mean.take_invalid(), 2);
        assert!(detect(&mut mean, &[f32::NAN; 64]).is_empty());
        assert!(detect(&mut mean, &[-0.0]).is_empty());
        let mut gate = Detector::new(Detection::Gate, UNIT, 48_000.0);
        assert_eq!(detect(&mut gate, &[1.0, f32::NAN, f32::NEG_INFINITY]), [1.0]);
        assert_eq!(gate.take_invalid(), 2);
    }

    #[test]
    fn a_gate_has_hysteresis_and_its_short_pulses_are_not_lost() {
        let mut gate = Detector::new(Detection::Gate, UNIT, 48_000.0);
        assert_eq!(detect(&mut gate, &[0.0, 0.45, 0.6, 0.45, 0.3]), [0.0, 1.0, 0.0]);
        let mut gate = Detector::new(Detection::Gate, UNIT, 100.0);
        assert_eq!(detect(&mut gate, &[0.0]), [0.0]);
        let mut pulse = [0.0; 480];
        pulse[100] = 1.0;
        assert_eq!(detect(&mut gate, &pulse), [1.0]);
        assert_eq!(detect(&mut gate, &[0.0; 480]), [0.0]);
        assert!(detect(&mut gate, &[0.0; 4_800]).is_empty());
    }

    #[test]
    fn a_value_that_was_not_taken_is_emitted_later() {
        let mut mean = Detector::new(Detection::Mean, UNIT, 48_000.0);
        mean.process(&[1.0], 48_000, |_| false);
        assert_eq!(detect(&mut mean, &[1.0]), [1.0]);
    }

    proptest! {
        #[test]
        fn every_value_is_between_0_and_1_and_never_minus_zero(
            bits in proptest::collection::vec(any::<u32>(), 1..200),
            min in -10.0_f32..0.0, width in 0.001_f32..20.0,
            kind in 0..3_usize,
        ) {
            let samples: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
            let detection = [Detection::Mean, Detection::Peak, Detection::Gate][kind];
            let mut detector =
                Detector::new(detection, Range { min, max: min + width }, 48_000.0);
            for period in samples.chunks(16) {
                for value in detect(&mut detector, period) {
                    prop_assert!((0.0..=1.0).contains(&value) && value.is_sign_positive());
                }
            }
        }
    }
}
