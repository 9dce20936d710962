//! Real time of a queue: seconds and nanoseconds.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

/// A position or a span of a queue's real time (`struct snd_seq_real_time`): seconds and
/// nanoseconds, always normalised (less than 10⁹ nanoseconds), up to about 136 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RealTime {
    seconds: u32,
    nanoseconds: u32,
}

/// The error for a value that is not a valid real time of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RealTimeError {
    /// A negative number of seconds.
    #[error("a queue's real time cannot be negative; expected 0 or more seconds")]
    Negative,
    /// More than 2³² − 1 seconds, or not a number.
    #[error("a queue's real time is too large; expected at most 4294967295 seconds")]
    TooLarge,
    /// A text that is not a number.
    #[error("a queue's real time is not a number; expected seconds, such as 1.5")]
    NotANumber,
}

const NANOSECONDS_PER_SECOND: u32 = 1_000_000_000;

impl RealTime {
    /// Zero: the beginning of a queue's time.
    pub const ZERO: RealTime = RealTime { seconds: 0, nanoseconds: 0 };
    /// The largest value.
    pub const MAX: RealTime =
        RealTime { seconds: u32::MAX, nanoseconds: NANOSECONDS_PER_SECOND - 1 };

    /// Creates a time of `seconds` and `nanoseconds`; nanoseconds above 10⁹ − 1 carry over.
    /// Saturates at [`RealTime::MAX`].
    #[must_use]
    pub const fn new(seconds: u32, nanoseconds: u32) -> Self {
        if nanoseconds < NANOSECONDS_PER_SECOND {
            return Self { seconds, nanoseconds };
        }
        match seconds.checked_add(nanoseconds / NANOSECONDS_PER_SECOND) {
            Some(seconds) => Self { seconds, nanoseconds: nanoseconds % NANOSECONDS_PER_SECOND },
            None => Self::MAX,
        }
    }

    /// Creates a time from nanoseconds. Saturates at [`RealTime::MAX`].
    #[must_use]
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        let seconds = nanoseconds / NANOSECONDS_PER_SECOND as u64;
        if seconds > u32::MAX as u64 {
            return Self::MAX;
        }
        Self {
            seconds: seconds as u32,
            nanoseconds: (nanoseconds % NANOSECONDS_PER_SECOND as u64) as u32,
        }
    }

    /// Creates a time from seconds, rounded to the nearest nanosecond.
    ///
    /// # Errors
    /// The number is negative, above 2³² − 1, or NaN.
    pub fn try_from_seconds(seconds: f64) -> Result<Self, RealTimeError> {
        if seconds < 0.0 {
            return Err(RealTimeError::Negative);
        }
        if seconds.is_nan() || seconds >= f64::from(u32::MAX) + 1.0 {
            return Err(RealTimeError::TooLarge);
        }
        let whole = seconds.trunc();
        let nanoseconds = ((seconds - whole) * f64::from(NANOSECONDS_PER_SECOND)).round();
        Ok(Self::new(whole as u32, nanoseconds as u32))
    }

    /// Whole seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.seconds
    }

    /// Nanoseconds within the second, below 10⁹.
    #[must_use]
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// The whole time in nanoseconds.
    #[must_use]
    pub const fn as_nanoseconds(self) -> u64 {
        self.seconds as u64 * NANOSECONDS_PER_SECOND as u64 + self.nanoseconds as u64
    }

    /// The whole time in seconds, with fraction.
    #[must_use]
    pub fn as_seconds(self) -> f64 {
        f64::from(self.seconds) + f64::from(self.nanoseconds) / f64::from(NANOSECONDS_PER_SECOND)
    }
}

impl From<Duration> for RealTime {
    /// Saturates at [`RealTime::MAX`].
    fn from(duration: Duration) -> Self {
        match u32::try_from(duration.as_secs()) {
            Ok(seconds) => Self { seconds, nanoseconds: duration.subsec_nanos() },
            Err(_) => Self::MAX,
        }
    }
}

impl From<RealTime> for Duration {
    fn from(time: RealTime) -> Self {
        Duration::new(u64::from(time.seconds), time.nanoseconds)
    }
}

impl Add for RealTime {
    type Output = Self;

    /// Saturates at [`RealTime::MAX`].
    fn add(self, other: Self) -> Self {
        Self::from_nanoseconds(self.as_nanoseconds() + other.as_nanoseconds())
    }
}

impl Sub for RealTime {
    type Output = Self;

    /// Saturates at zero.
    fn sub(self, other: Self) -> Self {
        Self::from_nanoseconds(self.as_nanoseconds().saturating_sub(other.as_nanoseconds()))
    }
}

impl fmt::Display for RealTime {
    /// Seconds with nine decimals: `1.500000000`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:09}", self.seconds, self.nanoseconds)
    }
}

impl fmt::Debug for RealTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self} s")
    }
}

impl FromStr for RealTime {
    type Err = RealTimeError;

    /// Parses decimal seconds exactly, without binary fractions; digits after the ninth decimal
    /// are ignored.
    fn from_str(text: &str) -> Result<Self, RealTimeError> {
        let text = text.trim();
        if let Some(positive) = text.strip_prefix('-') {
            return match positive.parse::<RealTime>() {
                Ok(RealTime::ZERO) => Ok(RealTime::ZERO),
                Ok(_) => Err(RealTimeError::Negative),
                Err(error) => Err(error),
            };
        }
        let text = text.strip_prefix('+').unwrap_or(text);
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() || !digits(whole) || !digits(fraction) {
            // Other notations, such as exponents, are parsed as floating-point numbers.
            let seconds: f64 = text.parse().map_err(|_| RealTimeError::NotANumber)?;
            return Self::try_from_seconds(seconds);
        }
        let seconds = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| RealTimeError::TooLarge)?
        };
        let mut nanoseconds = 0;
        for index in 0..9 {
            let digit = fraction.as_bytes().get(index).map_or(0, |byte| byte - b'0');
            nanoseconds = nanoseconds * 10 + u32::from(digit);
        }
        Ok(Self::new(seconds, nanoseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_normalised_and_ordered() {
        assert_eq!(RealTime::new(1, 2_500_000_000), RealTime::new(3, 500_000_000));
        assert!(RealTime::new(1, 999_999_999) < RealTime::new(2, 0));
        assert_eq!(RealTime::new(u32::MAX, u32::MAX), RealTime::MAX);
    }

    #[test]
    fn times_are_converted_from_and_to_text() {
        assert_eq!("1.5".parse(), Ok(RealTime::new(1, 500_000_000)));
        assert_eq!(".1".parse(), Ok(RealTime::new(0, 100_000_000)));
        assert_eq!("2".parse(), Ok(RealTime::new(2, 0)));
        assert_eq!("1e-3".parse(), Ok(RealTime::new(0, 1_000_000)));
        assert_eq!(RealTime::new(1, 5).to_string(), "1.000000005");
        assert_eq!("-1".parse::<RealTime>(), Err(RealTimeError::Negative));
        assert_eq!("".parse::<RealTime>(), Err(RealTimeError::NotANumber));
        assert_eq!("nan".parse::<RealTime>(), Err(RealTimeError::TooLarge));
        assert_eq!("5000000000".parse::<RealTime>(), Err(RealTimeError::TooLarge));
    }

    #[test]
    fn seconds_round_to_nanoseconds() {
        assert_eq!(RealTime::try_from_seconds(0.1), Ok(RealTime::new(0, 100_000_000)));
        assert_eq!(RealTime::try_from_seconds(1.999_999_999_9), Ok(RealTime::new(2, 0)));
        assert_eq!(RealTime::try_from_seconds(-0.5), Err(RealTimeError::Negative));
    }

    #[test]
    fn arithmetic_saturates() {
        let one = RealTime::new(1, 0);
        assert_eq!(RealTime::ZERO - one, RealTime::ZERO);
        assert_eq!(RealTime::MAX + one, RealTime::MAX);
        assert_eq!(one + RealTime::new(0, 1), RealTime::new(1, 1));
    }
}
