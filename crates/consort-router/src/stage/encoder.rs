//! Encoders that send steps instead of positions.

/// How an encoder's byte counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 1–63 upwards, 127–65 downwards.
    Twos,
    /// 65–127 upwards, 63–0 downwards.
    Offset,
    /// 1–63 upwards, 65–127 downwards.
    Sign,
}

impl Encoding {
    /// The steps of a value from 0 to 1, which stands for a byte from 0 to 127.
    pub(super) fn steps(self, value: f64) -> i32 {
        let byte = (value * 127.0).round() as i32;
        match (self, byte) {
            (_, 64) => 0,
            (Encoding::Offset, _) => byte - 64,
            (_, 0..=63) => byte,
            (Encoding::Twos, _) => byte - 128,
            (Encoding::Sign, _) => 64 - byte,
        }
    }
}

/// How near to an end counts as the end: the sum of many small steps is not exact.
const END: f64 = 1e-9;

/// A value after `steps`: rounded, so that a hundred steps of 0.01 are exactly 1, and within 0–1.
pub(super) fn moved(value: f64, steps: i32, step: f64, most: f64, wraps: bool) -> f64 {
    let change = (f64::from(steps) * step).clamp(-most, most);
    let sum = value + change;
    if wraps && sum > 1.0 + END && value >= 1.0 - END {
        return 0.0;
    }
    if wraps && sum < -END && value <= END {
        return 1.0;
    }
    ((sum * 1e9).round() / 1e9).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_as_the_devices_send_them() {
        let steps = |encoding: Encoding, bytes: &[u8]| -> Vec<i32> {
            bytes.iter().map(|&byte| encoding.steps(f64::from(byte) / 127.0)).collect()
        };
        assert_eq!(
            steps(Encoding::Twos, &[0x01, 0x7F, 0x05, 0x7B, 0x3F, 0x41, 0, 64]),
            [1, -1, 5, -5, 63, -63, 0, 0]
        );
        assert_eq!(
            steps(Encoding::Offset, &[0x41, 0x3F, 0x45, 0x3B, 0x7F, 0x00, 64]),
            [1, -1, 5, -5, 63, -64, 0]
        );
        assert_eq!(
            steps(Encoding::Sign, &[0x01, 0x41, 0x07, 0x47, 0x40, 0x00, 0x7F]),
            [1, -1, 7, -7, 0, 0, -63]
        );
    }

    #[test]
    fn ends_are_reached_exactly_and_wrap_only_from_there() {
        let up = |value| moved(value, 1, 0.3, 1.0, true);
        assert_eq!((up(0.9), up(1.0), up(0.0)), (1.0, 0.0, 0.3));
        let down = |value| moved(value, -1, 0.3, 1.0, true);
        assert_eq!((down(0.1), down(0.0)), (0.0, 1.0));
        assert_eq!(moved(1.0, 1, 0.3, 1.0, false), 1.0);
        assert_eq!(moved(0.5, 20, 0.01, 0.05, false), 0.55);
        assert_eq!(moved(0.5, 1, -0.25, 1.0, false), 0.25);
    }
}
