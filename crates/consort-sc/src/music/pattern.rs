//! Patterns of values: sequences, random choices and walks.

use std::fmt;
use std::ops::{Add, Div, Mul, RangeInclusive, Sub};
use std::sync::Arc;

use super::random::Random;

/// The value of a rest. Arithmetic with it gives a rest again.
pub const REST: f64 = f64::NAN;

/// The values of a pattern, one after another.
pub type Values<T> = Box<dyn Iterator<Item = T> + Send>;

/// A description of values that come one after another, with or without an end.
///
/// Each use of a pattern starts its values anew, and makes its random choices anew. Clones are cheap.
///
/// ```
/// use consort_sc::music::*;
///
/// let melody = seq([60.0, 62.0]).repeat(2).then(seq([67.0])) + 12.0;
/// assert_eq!(melody.first(9), [72.0, 74.0, 72.0, 74.0, 79.0]);
/// ```
pub struct Pattern<T> {
    make: Arc<Make<T>>,
}

/// Starts the values of a pattern.
type Make<T> = dyn Fn(&mut Random) -> Values<T> + Send + Sync;

impl<T> Clone for Pattern<T> {
    fn clone(&self) -> Self {
        Self { make: self.make.clone() }
    }
}

impl<T> fmt::Debug for Pattern<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pattern").finish_non_exhaustive()
    }
}

/// What patterns are made of.
pub trait PatternValue: Clone + Send + Sync + 'static {}

impl<T: Clone + Send + Sync + 'static> PatternValue for T {}

impl<T: PatternValue> Pattern<T> {
    /// A pattern of one's own: `make` is called for each use, with random numbers for this use.
    ///
    /// ```
    /// use consort_sc::music::Pattern;
    ///
    /// let dice = Pattern::new(|mut random| std::iter::from_fn(move || Some(1 + random.below(6))));
    /// assert!(dice.first(100).iter().all(|value| (1..=6).contains(value)));
    /// ```
    pub fn new<I: Iterator<Item = T> + Send + 'static>(
        make: impl Fn(Random) -> I + Send + Sync + 'static,
    ) -> Self {
        Self { make: Arc::new(move |random| Box::new(make(random.fork()))) }
    }

    /// A pattern that starts other patterns, with random numbers of which each takes its own.
    pub(super) fn composed(
        make: impl Fn(&mut Random) -> Values<T> + Send + Sync + 'static,
    ) -> Self {
        Self { make: Arc::new(make) }
    }

    /// Starts the values.
    pub fn values(&self, random: &mut Random) -> Values<T> {
        (self.make)(random)
    }

    /// The first values, as they are with the seed 1.
    pub fn first(&self, count: usize) -> Vec<T> {
        self.values(&mut Random::new(1)).take(count).collect()
    }

    /// At most so many values.
    #[must_use]
    pub fn take(self, count: usize) -> Self {
        Self::composed(move |random| Box::new(self.values(random).take(count)))
    }

    /// The pattern so many times.
    #[must_use]
    pub fn repeat(self, times: usize) -> Self {
        self.repeated(Some(times))
    }

    /// The pattern again and again. Without values, it ends.
    #[must_use]
    pub fn forever(self) -> Self {
        self.repeated(None)
    }

    fn repeated(self, times: Option<usize>) -> Self {
        Self::new(move |mut random| {
            let pattern = self.clone();
            let mut left = times;
            let mut values: Option<Values<T>> = None;
            std::iter::from_fn(move || {
                if let Some(value) = values.as_mut().and_then(Iterator::next) {
                    return Some(value);
                }
                if left == Some(0) {
                    return None;
                }
                left = left.map(|left| left - 1);
                let mut next = pattern.values(&mut random);
                let value = next.next();
                values = Some(next);
                if value.is_none() {
                    left = Some(0);
                }
                value
            })
        })
    }

    /// Another pattern after this one.
    #[must_use]
    pub fn then(self, next: impl IntoPattern<T>) -> Self {
        let next = next.into_pattern();
        Self::composed(move |random| {
            let first = self.values(random);
            Box::new(first.chain(next.values(random)))
        })
    }

    /// Each value so many times.
    #[must_use]
    pub fn each(self, times: usize) -> Self {
        Self::composed(move |random| {
            Box::new(self.values(random).flat_map(move |value| std::iter::repeat_n(value, times)))
        })
    }

    /// The values changed by a function.
    pub fn map<U: PatternValue>(
        self,
        function: impl Fn(T) -> U + Send + Sync + 'static,
    ) -> Pattern<U> {
        let function = Arc::new(function);
        Pattern::composed(move |random| {
            let function = function.clone();
            Box::new(self.values(random).map(move |value| function(value)))
        })
    }

    /// The values of two patterns, combined by a function. Ends with the shorter one.
    pub fn zip<U: PatternValue, V: PatternValue>(
        self,
        other: impl IntoPattern<U>,
        function: impl Fn(T, U) -> V + Send + Sync + 'static,
    ) -> Pattern<V> {
        let (other, function) = (other.into_pattern(), Arc::new(function));
        Pattern::composed(move |random| {
            let function = function.clone();
            let left = self.values(random);
            let right = other.values(random);
            Box::new(left.zip(right).map(move |(left, right)| function(left, right)))
        })
    }

    /// Replaces values by another value, each with a probability from 0 to 1.
    #[must_use]
    pub fn sometimes(self, probability: f64, other: T) -> Self {
        Self::composed(move |random| {
            let (mut choice, other) = (random.fork(), other.clone());
            Box::new(
                self.values(random)
                    .map(move |value| if choice.coin(probability) { other.clone() } else { value }),
            )
        })
    }
}

/// A pattern, or a number that is repeated for ever.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a pattern of `{T}`",
    note = "a number stands for itself for ever; write a list as `seq([…])`, or `seq([…]).forever()`"
)]
pub trait IntoPattern<T> {
    /// The pattern.
    fn into_pattern(self) -> Pattern<T>;
}

impl<T: PatternValue> IntoPattern<T> for Pattern<T> {
    fn into_pattern(self) -> Pattern<T> {
        self
    }
}

impl<T: PatternValue> IntoPattern<T> for &Pattern<T> {
    fn into_pattern(self) -> Pattern<T> {
        self.clone()
    }
}

impl IntoPattern<f64> for f64 {
    fn into_pattern(self) -> Pattern<f64> {
        constant(self)
    }
}

impl IntoPattern<f64> for i32 {
    fn into_pattern(self) -> Pattern<f64> {
        constant(f64::from(self))
    }
}

impl IntoPattern<f64> for Pattern<i32> {
    fn into_pattern(self) -> Pattern<f64> {
        self.map(f64::from)
    }
}

/// The same value for ever.
pub fn constant<T: PatternValue>(value: T) -> Pattern<T> {
    Pattern::new(move |_| std::iter::repeat(value.clone()))
}

/// The values one after another, once.
pub fn seq<T: PatternValue>(values: impl IntoIterator<Item = T>) -> Pattern<T> {
    let values: Arc<[T]> = values.into_iter().collect();
    Pattern::new(move |_| {
        let values = values.clone();
        (0..values.len()).map(move |index| values[index].clone())
    })
}

/// A random one of the values, again and again.
pub fn choose<T: PatternValue>(values: impl IntoIterator<Item = T>) -> Pattern<T> {
    let values: Arc<[T]> = values.into_iter().collect();
    Pattern::new(move |mut random| {
        let values = values.clone();
        std::iter::from_fn(move || random.choose(&values).cloned())
    })
}

/// A random one of the values, again and again, but never the same one twice in a row.
pub fn choose_other<T: PatternValue>(values: impl IntoIterator<Item = T>) -> Pattern<T> {
    let values: Arc<[T]> = values.into_iter().collect();
    Pattern::new(move |mut random| {
        let values = values.clone();
        let mut last = None;
        std::iter::from_fn(move || {
            let index = match last {
                Some(last) if values.len() > 1 => {
                    let index = random.below(values.len() - 1);
                    if index >= last { index + 1 } else { index }
                }
                _ => random.below(values.len()),
            };
            last = Some(index);
            values.get(index).cloned()
        })
    })
}

/// A random one of the values, again and again, each as likely as its weight is large.
pub fn choose_weighted<T: PatternValue>(values: impl IntoIterator<Item = (T, f64)>) -> Pattern<T> {
    let values: Arc<[(T, f64)]> = values.into_iter().filter(|(_, weight)| *weight > 0.0).collect();
    let sum: f64 = values.iter().map(|(_, weight)| weight).sum();
    Pattern::new(move |mut random| {
        let values = values.clone();
        std::iter::from_fn(move || {
            let mut position = random.uniform(0.0, sum);
            let found = values.iter().find(|(_, weight)| {
                position -= weight;
                position < 0.0
            });
            found.or(values.last()).map(|(value, _)| value.clone())
        })
    })
}

/// The values in a random order, once; `forever` gives another order each time.
pub fn shuffle<T: PatternValue>(values: impl IntoIterator<Item = T>) -> Pattern<T> {
    let values: Vec<T> = values.into_iter().collect();
    Pattern::new(move |mut random| {
        let mut values = values.clone();
        random.shuffle(&mut values);
        values.into_iter()
    })
}

/// Random numbers in a range, evenly distributed.
pub fn uniform(low: f64, high: f64) -> Pattern<f64> {
    Pattern::new(move |mut random| std::iter::from_fn(move || Some(random.uniform(low, high))))
}

/// Random numbers in a range of positive numbers, evenly distributed over its octaves.
pub fn exponential(low: f64, high: f64) -> Pattern<f64> {
    Pattern::new(move |mut random| std::iter::from_fn(move || Some(random.exponential(low, high))))
}

/// A random walk: each number is at most `step` away from the one before it, and is reflected at the
/// ends of the range. It begins in the middle.
pub fn walk(range: RangeInclusive<f64>, step: f64) -> Pattern<f64> {
    let (low, high) = range.into_inner();
    Pattern::new(move |mut random| {
        let mut value = (low + high) / 2.0;
        std::iter::from_fn(move || {
            let current = value;
            value = reflect(value + random.uniform(-step, step), low, high);
            Some(current)
        })
    })
}

/// A random walk over whole numbers, such as the degrees of a scale. It begins in the middle.
pub fn whole_walk(range: RangeInclusive<i32>, step: i32) -> Pattern<f64> {
    let (low, high) = range.into_inner();
    let (low, high, step) = (f64::from(low), f64::from(high), step.unsigned_abs() as usize);
    Pattern::new(move |mut random| {
        let mut value = ((low + high) / 2.0).round();
        std::iter::from_fn(move || {
            let current = value;
            let change = random.below(2 * step + 1) as f64 - step as f64;
            value = reflect(value + change, low, high);
            Some(current)
        })
    })
}

/// Reflects a value at the end of a range beyond which it is.
fn reflect(value: f64, low: f64, high: f64) -> f64 {
    let reflected = if value < low { low + (low - value) } else { value };
    let reflected = if reflected > high { high - (reflected - high) } else { reflected };
    reflected.max(low).min(high.max(low))
}

/// Numbers that grow by the same amount.
pub fn series(start: f64, step: f64) -> Pattern<f64> {
    Pattern::new(move |_| (0_u64..).map(move |index| start + step * index as f64))
}

/// Numbers that grow by the same factor.
pub fn geometric(start: f64, factor: f64) -> Pattern<f64> {
    Pattern::new(move |_| std::iter::successors(Some(start), move |value| Some(value * factor)))
}

/// A rhythm as text: `x` and `X` are 1, the digits 1 to 9 are tenths, `.` and `-` are rests, and other
/// characters only separate: `steps("x..x ..x.")`.
pub fn steps(rhythm: &str) -> Pattern<f64> {
    seq(rhythm.chars().filter_map(|step| match step {
        'x' | 'X' => Some(1.0),
        '1'..='9' => step.to_digit(10).map(|digit| f64::from(digit) / 10.0),
        '.' | '-' => Some(REST),
        _ => None,
    }))
}

/// An operator between patterns and numbers.
macro_rules! operators {
    ($($trait:ident $method:ident),*) => {$(
        impl<P: IntoPattern<f64>> $trait<P> for Pattern<f64> {
            type Output = Pattern<f64>;
            fn $method(self, other: P) -> Pattern<f64> {
                self.zip(other, f64::$method)
            }
        }

        impl $trait<Pattern<f64>> for f64 {
            type Output = Pattern<f64>;
            fn $method(self, other: Pattern<f64>) -> Pattern<f64> {
                constant(self).zip(other, f64::$method)
            }
        }
    )*};
}

operators!(Add add, Sub sub, Mul mul, Div div);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_repeated_joined_and_changed() {
        let pattern = seq([1, 2]).each(2).then(seq([9]));
        assert_eq!(pattern.first(9), [1, 1, 2, 2, 9]);
        assert_eq!(seq([1, 2]).repeat(2).first(9), [1, 2, 1, 2]);
        assert_eq!(seq([1, 2]).forever().take(5).first(9), [1, 2, 1, 2, 1]);
        assert_eq!(seq([1, 2]).map(|value| value * 10).first(9), [10, 20]);
        assert_eq!((series(0.0, 0.5) * 2.0 + seq([1, 1, 2])).first(9), [1.0, 2.0, 4.0]);
        assert_eq!((1.0 / geometric(1.0, 2.0)).first(3), [1.0, 0.5, 0.25]);
        let none: [i32; 0] = [];
        assert!(seq(none).forever().first(1).is_empty());
        assert_eq!(seq([1]).repeat(0).first(1), []);
    }

    #[test]
    fn random_choices_stay_within_their_values_and_repeat_with_the_seed() {
        let pattern = choose_other([1, 2, 3]);
        let values = pattern.first(200);
        assert_eq!(values, pattern.first(200));
        assert!(values.windows(2).all(|pair| pair[0] != pair[1]));
        assert!([1, 2, 3].iter().all(|value| values.contains(value)));
        let weighted = choose_weighted([("a", 9.0), ("b", 1.0), ("c", 0.0)]).first(1_000);
        let count = weighted.iter().filter(|value| **value == "a").count();
        assert!((850..950).contains(&count), "{count}");
        assert!(!weighted.contains(&"c"));
        let shuffled = shuffle([1, 2, 3, 4]).forever().first(400);
        assert!(shuffled.chunks(4).all(|chunk| chunk.iter().sum::<i32>() == 10));
        assert!(shuffled.chunks(4).any(|chunk| chunk != &shuffled[..4]));
        assert_eq!(choose([5]).first(2), [5, 5]);
    }

    #[test]
    fn walks_stay_within_their_range() {
        let values = walk(0.0..=1.0, 0.3).first(1_000);
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
        assert!(values.windows(2).all(|pair| (pair[0] - pair[1]).abs() <= 0.3));
        let degrees = whole_walk(-3..=4, 2).first(1_000);
        assert!(degrees.iter().all(|value| (-3.0..=4.0).contains(value) && value.fract() == 0.0));
        assert!(degrees.contains(&-3.0) && degrees.contains(&4.0));
    }

    #[test]
    fn rhythms_are_text() {
        let values = steps("x. 5|X").first(9);
        assert_eq!((values[0], values[2], values[3], values.len()), (1.0, 0.5, 1.0, 4));
        assert!(values[1].is_nan() && (values[1] + 12.0).is_nan());
    }
}
