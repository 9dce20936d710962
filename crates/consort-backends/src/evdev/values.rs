//! Conversion between the values of a show and those of devices.

use super::config::Extent;
use super::system::Axis;

/// How far a value must be up for a key to be pressed: above this.
const PRESSED_ABOVE: f64 = 0.9;

/// The value of an absolute axis. An axis without a range is 0 at its minimum and 1 above it.
#[inline]
pub(super) fn from_axis(axis: &Axis, raw: i32) -> f64 {
    if axis.minimum >= axis.maximum {
        return f64::from(u8::from(raw > axis.minimum));
    }
    let (minimum, maximum) = (f64::from(axis.minimum), f64::from(axis.maximum));
    ((f64::from(raw) - minimum) / (maximum - minimum)).clamp(0.0, 1.0)
}

/// The position of an absolute axis, rounded to the nearest.
#[inline]
pub(super) fn to_axis(axis: &Axis, value: f64) -> i32 {
    let (minimum, maximum) = (f64::from(axis.minimum), f64::from(axis.maximum));
    // The conversion saturates.
    (minimum + value * (maximum - minimum)).round() as i32
}

/// The value of a key, a switch or anything else without a range. A key that repeats sends 2.
#[inline]
pub(super) fn from_state(raw: i32) -> f64 {
    f64::from(raw.clamp(0, 1))
}

/// The state of a key, a switch or anything else without a range.
#[inline]
pub(super) fn to_state(value: f64) -> i32 {
    i32::from(value > PRESSED_ABOVE)
}

/// The value of a relative axis without an extent: its direction.
#[inline]
pub(super) fn from_direction(delta: i32) -> f64 {
    f64::from(delta.signum() + 1) / 2.0
}

/// The step of a relative axis without an extent.
#[inline]
pub(super) fn to_direction(value: f64) -> i32 {
    i32::from(value > 0.5) - i32::from(value < 0.5)
}

/// The position of a relative axis with an extent, which input and output share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Position {
    extent: Extent,
    current: i64,
}

impl Position {
    pub(super) fn new(extent: Extent) -> Self {
        Position { extent, current: extent.initial.into() }
    }

    /// Takes another extent; the position is kept as far as possible.
    pub(super) fn set_extent(&mut self, extent: Extent) {
        self.extent = extent;
        self.current = self.current.min(extent.maximum.into());
    }

    /// Moves the position; returns its value.
    #[inline]
    pub(super) fn advance(&mut self, delta: i32) -> f64 {
        let delta = i64::from(delta);
        let delta = if self.extent.is_inverted { -delta } else { delta };
        self.current = (self.current + delta).clamp(0, self.extent.maximum.into());
        self.current as f64 / f64::from(self.extent.maximum)
    }

    /// Sets the position to a value; returns the step from the last position.
    #[inline]
    pub(super) fn step_to(&mut self, value: f64) -> i32 {
        let target = (value * f64::from(self.extent.maximum)).round() as i64;
        let delta = target - self.current;
        self.current = target;
        // Both are between 0 and a number of 31 bits.
        (if self.extent.is_inverted { -delta } else { delta }) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn axis(minimum: i32, maximum: i32) -> Axis {
        Axis { minimum, maximum, ..Axis::default() }
    }

    #[test]
    fn axes_are_scaled_and_clamped() {
        for (raw, value) in [(-100, 0.0), (0, 0.5), (100, 1.0), (-200, 0.0), (200, 1.0)] {
            assert_eq!(from_axis(&axis(-100, 100), raw), value, "{raw}");
        }
        assert_eq!(to_axis(&axis(-100, 100), 1.0 / 3.0), -33);
        assert_eq!(to_axis(&axis(0, 65_535), 0.5), 32_768, "rounded to the nearest");
        assert_eq!(from_axis(&axis(0, 0), 0), 0.0);
        assert_eq!(from_axis(&axis(0, 0), 7), 1.0);
        let widest = axis(i32::MIN, i32::MAX);
        assert_eq!((to_axis(&widest, 0.0), to_axis(&widest, 1.0)), (i32::MIN, i32::MAX));
        assert_eq!((from_axis(&widest, i32::MIN), from_axis(&widest, i32::MAX)), (0.0, 1.0));
    }

    #[test]
    fn keys_are_pressed_above_nine_tenths() {
        assert_eq!([0.0, 0.9, 0.901, 1.0].map(to_state), [0, 0, 1, 1]);
        assert_eq!([-1, 0, 1, 2].map(from_state), [0.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn directions_are_down_none_and_up() {
        assert_eq!([-7, 0, 3].map(from_direction), [0.0, 0.5, 1.0]);
        assert_eq!([0.0, 0.49, 0.5, 0.51, 1.0].map(to_direction), [-1, -1, 0, 1, 1]);
    }

    /// The figures were measured with MIDIMonster.
    #[test]
    fn positions_follow_steps_and_values() {
        let inverted = Extent { maximum: 1_000, is_inverted: true, initial: 500 };
        let mut position = Position::new(inverted);
        let values = [100, -350, 750].map(|delta| position.advance(delta));
        assert_eq!(values, [0.4, 0.75, 0.0]);
        let mut position = Position::new(Extent { is_inverted: false, ..inverted });
        assert_eq!([0.6, 0.6, 0.25, 1.0].map(|value| position.step_to(value)), [100, 0, -350, 750]);
        assert_eq!(position.advance(-250), 0.75, "input and output share the position");
        position.set_extent(Extent { maximum: 500, is_inverted: false, initial: 0 });
        assert_eq!(position.advance(0), 1.0);
    }

    proptest! {
        #[test]
        fn every_position_of_an_axis_survives_a_round_trip(
            minimum in i32::MIN..i32::MAX,
            span in 1_u32..1 << 20,
            part in 0.0..=1.0,
        ) {
            let axis = axis(minimum, minimum.saturating_add(span as i32));
            let raw = to_axis(&axis, part);
            prop_assert!((axis.minimum..=axis.maximum).contains(&raw));
            prop_assert_eq!(to_axis(&axis, from_axis(&axis, raw)), raw);
        }

        #[test]
        fn a_position_stays_in_its_extent(
            maximum in 1_u32..=i32::MAX as u32,
            is_inverted: bool,
            steps in proptest::collection::vec((any::<i32>(), 0.0..=1.0), 0..20),
        ) {
            let mut position = Position::new(Extent { maximum, is_inverted, initial: maximum / 2 });
            for (delta, value) in steps {
                let moved = position.advance(delta);
                prop_assert!((0.0..=1.0).contains(&moved));
                position.step_to(value);
                prop_assert_eq!(position.step_to(value), 0);
            }
        }
    }
}
