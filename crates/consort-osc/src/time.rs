//! Time tags: NTP timestamps with their rollover.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds from 1900-01-01 (NTP) to 1970-01-01 (Unix).
const UNIX_OFFSET: u64 = 2_208_988_800;
/// Seconds in one NTP era.
const ERA: u64 = 1 << 32;
const FRACTIONS: f64 = 4_294_967_296.0;
const HALF: u64 = 1 << 63;

/// An OSC time tag: 32 bits of seconds since 1900-01-01 00:00 UTC and 32 bits of fraction,
/// about 0.23 ns each (the NTP timestamp format, RFC 5905 section 6).
///
/// The seconds roll over on 2036-02-07 06:28:16 UTC. As RFC 4330 advises, a tag with the
/// highest bit set means 1968–2036 and one without it for 2036–2104; order, conversion
/// and arithmetic follow this rule, so the rollover does not interrupt a running show.
///
/// The raw value 1 means "immediately" and precedes every other tag.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeTag(u64);

impl TimeTag {
    /// "Immediately": 63 zero bits and a one (OSC 1.0).
    pub const IMMEDIATE: Self = Self(1);

    /// From the 64 bits of a packet.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The 64 bits as in a packet.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// From seconds since 1900 (inside their era) and fractions of 2⁻³² s.
    pub const fn from_parts(seconds: u32, fraction: u32) -> Self {
        Self((seconds as u64) << 32 | fraction as u64)
    }

    /// The seconds since the start of the era.
    pub const fn seconds(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The fraction of a second, in units of 2⁻³² s.
    pub const fn fraction(self) -> u32 {
        self.0 as u32
    }

    /// Whether this is [`TimeTag::IMMEDIATE`].
    pub const fn is_immediate(self) -> bool {
        self.0 == Self::IMMEDIATE.0
    }

    /// The current time of the system clock.
    pub fn now() -> Self {
        Self::from_system_time(SystemTime::now())
    }

    /// From a point in time, rounded to the nearest 2⁻³² s. Eras wrap.
    pub fn from_system_time(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self::from_parts(UNIX_OFFSET as u32, 0) + since,
            Err(before) => Self::from_parts(UNIX_OFFSET as u32, 0) - before.duration(),
        }
    }

    /// The point in time between 20 January 1968 and 26 February 2104 (where the first half of
    /// an era changes to the second), rounded to the nearest nanosecond.
    ///
    /// [`TimeTag::IMMEDIATE`] is not a point in time; test [`is_immediate`](Self::is_immediate)
    /// first.
    pub fn to_system_time(self) -> SystemTime {
        let era = if self.0 & HALF == 0 { ERA } else { 0 };
        at_unix(i128::from(self.0) + (i128::from(era) << 32))
    }

    /// The point in time that is nearest to `reference` among all eras, for tags that may be
    /// more than 68 years away from 2036.
    pub fn to_system_time_near(self, reference: SystemTime) -> SystemTime {
        let now = match reference.duration_since(UNIX_EPOCH) {
            Ok(since) => fractions(since),
            Err(before) => -fractions(before.duration()),
        } + (i128::from(UNIX_OFFSET) << 32);
        let difference = self.0.wrapping_sub(now as u64) as i64;
        at_unix(now + i128::from(difference))
    }

    /// From seconds on the NTP scale itself, with no epoch offset, as a SuperCollider score
    /// counts from its beginning. Rounded to the nearest 2⁻³² s, wrapping at 2³² s; a number
    /// that is not finite gives [`TimeTag::IMMEDIATE`].
    pub fn from_ntp_seconds(seconds: f64) -> Self {
        if !seconds.is_finite() {
            return Self::IMMEDIATE;
        }
        let whole = seconds.floor();
        let fraction = ((seconds - whole) * FRACTIONS).round() as u64;
        let whole = whole.rem_euclid(FRACTIONS) as u64;
        Self((whole << 32).wrapping_add(fraction))
    }

    /// Seconds on the NTP scale inside the era. An `f64` of a present-day tag resolves about
    /// 0.5 µs.
    pub fn to_ntp_seconds(self) -> f64 {
        f64::from(self.seconds()) + f64::from(self.fraction()) / FRACTIONS
    }

    /// From seconds since 1970-01-01 UTC, which may be negative. Rounding and numbers that
    /// are not finite: as in [`from_ntp_seconds`](Self::from_ntp_seconds).
    pub fn from_unix_seconds(seconds: f64) -> Self {
        if !seconds.is_finite() {
            return Self::IMMEDIATE;
        }
        // The fraction is taken before the offset is added, so that no precision is lost.
        let whole = seconds.floor();
        let Self(tag) = Self::from_ntp_seconds(whole + UNIX_OFFSET as f64);
        Self(tag.wrapping_add(((seconds - whole) * FRACTIONS).round() as u64))
    }

    /// Seconds since 1970-01-01 UTC, for a point in time between 1968 and 2104.
    pub fn to_unix_seconds(self) -> f64 {
        let era = if self.0 & HALF == 0 { ERA as f64 } else { 0.0 };
        (f64::from(self.seconds()) + era - UNIX_OFFSET as f64)
            + f64::from(self.fraction()) / FRACTIONS
    }

    /// How much later this tag is than `earlier`, or `None` if it is not later. Counted the
    /// shorter way round, so the rollover between the two does not matter.
    pub fn duration_since(self, earlier: Self) -> Option<Duration> {
        let difference = self.0.wrapping_sub(earlier.0);
        (difference < HALF).then(|| duration(difference))
    }

    /// `self - other` in seconds, negative if `self` is earlier; the shorter way round.
    pub fn seconds_since(self, other: Self) -> f64 {
        self.0.wrapping_sub(other.0) as i64 as f64 / FRACTIONS
    }

    /// Moved by `seconds`, which may be negative, rounded to the nearest 2⁻³² s. A number that
    /// is not finite leaves the tag unchanged.
    #[must_use]
    pub fn add_seconds(self, seconds: f64) -> Self {
        if !seconds.is_finite() {
            return self;
        }
        Self(self.0.wrapping_add(Self::from_ntp_seconds(seconds).0))
    }
}

/// Units of 2⁻³² s in a duration, to the nearest.
fn fractions(duration: Duration) -> i128 {
    let nanoseconds = u64::from(duration.subsec_nanos());
    let fraction = ((nanoseconds << 32) + 500_000_000) / 1_000_000_000;
    (i128::from(duration.as_secs()) << 32) + i128::from(fraction)
}

/// The duration of a number of units of 2⁻³² s, to the nearest nanosecond.
fn duration(units: u64) -> Duration {
    let nanoseconds = ((units & (ERA - 1)) * 1_000_000_000 + (ERA >> 1)) >> 32;
    Duration::new(units >> 32, 0) + Duration::from_nanos(nanoseconds)
}

/// The system time of a number of units of 2⁻³² s since 1900.
fn at_unix(units: i128) -> SystemTime {
    let since_1970 = units - (i128::from(UNIX_OFFSET) << 32);
    let seconds = since_1970.div_euclid(i128::from(ERA));
    let part = duration(since_1970.rem_euclid(i128::from(ERA)) as u64);
    if seconds >= 0 {
        UNIX_EPOCH + Duration::from_secs(seconds as u64) + part
    } else {
        UNIX_EPOCH - Duration::from_secs(seconds.unsigned_abs() as u64) + part
    }
}

impl Default for TimeTag {
    fn default() -> Self {
        Self::IMMEDIATE
    }
}

impl From<SystemTime> for TimeTag {
    fn from(time: SystemTime) -> Self {
        Self::from_system_time(time)
    }
}

impl Add<Duration> for TimeTag {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.wrapping_add(fractions(duration) as u64))
    }
}

impl Sub<Duration> for TimeTag {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.wrapping_sub(fractions(duration) as u64))
    }
}

impl AddAssign<Duration> for TimeTag {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl SubAssign<Duration> for TimeTag {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

/// In order of time from 1968 to 2104, "immediately" first.
impl Ord for TimeTag {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |tag: &Self| (!tag.is_immediate(), tag.0 ^ HALF);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for TimeTag {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `immediately`, or the date and time in UTC with microseconds (truncated).
impl fmt::Display for TimeTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_immediate() {
            return f.write_str("immediately");
        }
        let era = if self.0 & HALF == 0 { ERA } else { 0 };
        let seconds = u64::from(self.seconds()) + era;
        let (year, month, day) = date_since_1900(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        let micros = (u64::from(self.fraction()) * 1_000_000) >> 32;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// Year, month and day of the `days`th day after 1900-01-01, in the Gregorian calendar.
fn date_since_1900(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1900;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

impl fmt::Debug for TimeTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimeTag({:#018x} {self})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points() {
        let epoch = TimeTag::from_system_time(UNIX_EPOCH);
        assert_eq!((epoch.seconds(), epoch.fraction()), (2_208_988_800, 0));
        assert_eq!(epoch.to_string(), "1970-01-01T00:00:00.000000Z");
        let leap = TimeTag::from_unix_seconds(1_709_210_096.5);
        assert_eq!(leap.to_string(), "2024-02-29T12:34:56.500000Z");
        assert_eq!(leap.fraction(), 1 << 31);
        assert_eq!(leap.to_unix_seconds(), 1_709_210_096.5);
        assert_eq!(TimeTag::from_unix_seconds(-0.25), epoch - Duration::from_millis(250));
        assert_eq!(TimeTag::from_ntp_seconds(2.5).raw(), 0x0000_0002_8000_0000);
        assert_eq!(TimeTag::from_ntp_seconds(f64::NAN), TimeTag::IMMEDIATE);
        assert_eq!(TimeTag::IMMEDIATE.to_string(), "immediately");
    }

    #[test]
    fn rollover_of_2036() {
        let rollover = UNIX_EPOCH + Duration::from_secs(ERA - UNIX_OFFSET);
        let after = TimeTag::from_system_time(rollover);
        let before = TimeTag::from_system_time(rollover - Duration::from_millis(500));
        assert_eq!(after.raw(), 0);
        assert_eq!(after.to_string(), "2036-02-07T06:28:16.000000Z");
        assert_eq!(before.to_string(), "2036-02-07T06:28:15.500000Z");
        assert!(before < after);
        assert_eq!(before + Duration::from_secs(1), after + Duration::from_millis(500));
        assert_eq!(after - Duration::from_millis(500), before);
        assert_eq!(after.duration_since(before), Some(Duration::from_millis(500)));
        assert_eq!(before.duration_since(after), None);
        assert_eq!(before.seconds_since(after), -0.5);
        assert_eq!(before.add_seconds(0.75).add_seconds(-0.25), after);
        assert_eq!(after.to_system_time(), rollover);
        assert_eq!(before.to_system_time(), rollover - Duration::from_millis(500));
        assert_eq!(after.to_unix_seconds(), (ERA - UNIX_OFFSET) as f64);
        assert_eq!(TimeTag::from_unix_seconds((ERA - UNIX_OFFSET) as f64), after);
    }

    #[test]
    fn eras_beyond_2104_and_before_1968_need_a_reference() {
        for seconds in [4_500_000_000u64, 9_000_000_000, 20_000_000_000] {
            let time = UNIX_EPOCH + Duration::new(seconds, 123_456_789);
            let tag = TimeTag::from_system_time(time);
            assert_eq!(tag.to_system_time_near(time + Duration::from_secs(1_000_000_000)), time);
            assert_eq!(tag.to_system_time_near(time - Duration::from_secs(1_000_000_000)), time);
        }
        let early = UNIX_EPOCH - Duration::from_secs(1_500_000_000);
        assert_eq!(TimeTag::from(early).to_system_time_near(UNIX_EPOCH), early);
    }

    #[test]
    fn immediately_precedes_all() {
        for raw in [0, 2, HALF - 1, HALF, HALF + 1, u64::MAX] {
            assert!(TimeTag::IMMEDIATE < TimeTag::from_raw(raw));
        }
        assert!(TimeTag::from_raw(u64::MAX) < TimeTag::from_raw(0));
        assert!(TimeTag::from_raw(HALF) < TimeTag::from_raw(u64::MAX));
    }
}
