//! Medians, quantiles and intervals.

use std::time::Duration;

/// How many resamples an interval is computed from.
const RESAMPLES: usize = 2_000;

/// The median of some values: with an even number of them the mean of the two in the middle, of
/// none NaN.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    median_of(&mut values)
}

/// The median; the order of the values changes.
fn median_of(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let middle = values.len() / 2;
    let is_odd = values.len() % 2 == 1;
    let (lower, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if is_odd {
        return upper;
    }
    let lower = lower.iter().copied().max_by(f64::total_cmp);
    lower.map_or(upper, |lower| f64::midpoint(lower, upper))
}

/// Figures in the order in which they were measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds a figure.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// All figures, in the order in which they were measured.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// How many figures there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no figure was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The median; NaN if no figure was measured.
    pub fn median(&self) -> f64 {
        median(self.0.iter().copied())
    }

    /// The figures that the given shares (0 to 1) of all figures do not exceed: `[0.5, 0.99]` are
    /// p50 and p99, `[0.0, 1.0]` the range. NaN if no figure was measured.
    pub fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [f64; N] {
        if self.0.is_empty() {
            return [f64::NAN; N];
        }
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        shares.map(|share| sorted[((sorted.len() - 1) as f64 * share).round() as usize])
    }

    /// The figure that the given share of all figures does not exceed; see
    /// [`quantiles`](Self::quantiles).
    pub fn quantile(&self, share: f64) -> f64 {
        self.quantiles([share])[0]
    }

    /// The smallest figure; NaN if no figure was measured.
    pub fn min(&self) -> f64 {
        self.quantile(0.0)
    }

    /// The largest figure; NaN if no figure was measured.
    pub fn max(&self) -> f64 {
        self.quantile(1.0)
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Samples(values.into_iter().collect())
    }
}

impl Extend<f64> for Samples {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        self.0.extend(values);
    }
}

/// An estimate with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The figure of all pairs.
    pub estimate: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The median of `ours / floor` over the pairs that were measured together, with the 95 % interval
/// of the bootstrap over the pairs. Surplus figures of the longer side are ignored.
pub fn median_ratio(ours: &Samples, floor: &Samples) -> Interval {
    bootstrap(ours.0.iter().zip(&floor.0).map(|(ours, floor)| ours / floor).collect())
}

/// Like [`median_ratio`], for `ours - floor`.
pub fn median_difference(ours: &Samples, floor: &Samples) -> Interval {
    bootstrap(ours.0.iter().zip(&floor.0).map(|(ours, floor)| ours - floor).collect())
}

/// The percentile interval of the median of some figures. The random numbers are the same in every
/// call, so that the same figures give the same interval.
fn bootstrap(values: Vec<f64>) -> Interval {
    let estimate = median(values.iter().copied());
    if values.is_empty() {
        return Interval { estimate, low: f64::NAN, high: f64::NAN };
    }
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random_index = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % values.len()
    };
    let mut resample = vec![0.0; values.len()];
    let medians: Samples = (0..RESAMPLES)
        .map(|_| {
            resample.fill_with(|| values[random_index()]);
            median_of(&mut resample)
        })
        .collect();
    let [low, high] = medians.quantiles([0.025, 0.975]);
    Interval { estimate, low, high }
}

/// Counts of durations in equal steps, for so many that [`Samples`] would be too large.
#[derive(Clone, Debug)]
pub struct Histogram {
    step: Duration,
    counts: Vec<u64>,
    max: Duration,
}

impl Histogram {
    /// A histogram of `steps` steps. Longer durations are counted in the last one.
    pub fn new(step: Duration, steps: usize) -> Self {
        Histogram { step, counts: vec![0; steps], max: Duration::ZERO }
    }

    /// Counts a duration.
    pub fn push(&mut self, duration: Duration) {
        let index = (duration.as_nanos() / self.step.as_nanos()) as usize;
        let last = self.counts.len() - 1;
        self.counts[index.min(last)] += 1;
        self.max = self.max.max(duration);
    }

    /// How many durations were counted.
    pub fn len(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Whether no duration was counted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The upper end of the step that the given share of all durations does not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.len() as f64 * share) as u64;
        let mut seen = 0;
        let index = self.counts.iter().position(|count| {
            seen += count;
            seen > wanted
        });
        self.step * index.map_or(self.counts.len(), |index| index + 1) as u32
    }

    /// The longest duration.
    pub fn max(&self) -> Duration {
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quantiles() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 3.0, 2.0]), 2.5);
        assert!(median([]).is_nan() && Samples::default().quantile(0.5).is_nan());
        let samples: Samples = (1..=100).rev().map(f64::from).collect();
        assert_eq!(samples.values()[0], 100.0);
        assert_eq!(samples.quantiles([0.0, 0.99, 1.0]), [1.0, 99.0, 100.0]);
        assert_eq!((samples.min(), samples.median(), samples.max()), (1.0, 50.5, 100.0));
    }

    #[test]
    fn the_interval_of_a_ratio_contains_it_and_excludes_others() {
        let noise = |index: i32| f64::from(index * 37 % 11) / 100.0;
        let floor: Samples = (0..40).map(|index| 10.0 + noise(index)).collect();
        let ours: Samples = (0..40).map(|index| 12.0 + noise(index + 5)).collect();
        let ratio = median_ratio(&ours, &floor);
        assert!(ratio.low <= ratio.estimate && ratio.estimate <= ratio.high, "{ratio:?}");
        assert!(ratio.low > 1.18 && ratio.high < 1.22, "{ratio:?}");
        assert_eq!(ratio, median_ratio(&ours, &floor), "it is reproducible");
        let difference = median_difference(&ours, &floor);
        assert!(difference.low > 1.9 && difference.high < 2.1, "{difference:?}");
        let same = median_ratio(&floor, &floor);
        assert_eq!((same.low, same.estimate, same.high), (1.0, 1.0, 1.0));
    }

    #[test]
    fn a_histogram_counts_in_steps() {
        let mut histogram = Histogram::new(Duration::from_micros(10), 100);
        assert!(histogram.is_empty());
        for microseconds in [1, 2, 3, 15, 5_000] {
            histogram.push(Duration::from_micros(microseconds));
        }
        assert_eq!(histogram.len(), 5);
        assert_eq!(histogram.quantile(0.5), Duration::from_micros(10));
        assert_eq!(histogram.quantile(0.99), Duration::from_millis(1), "the last step");
        assert_eq!(histogram.max(), Duration::from_millis(5));
    }
}
