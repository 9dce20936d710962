//! Conversion between values of the router and numbers of MIDI. Every 7- and 14-bit number
//! survives the conversion to a value and back, even if the value is rounded to 32 bits.

/// The 7-bit number nearest to a value.
pub(crate) fn to_seven_bits(value: f64) -> u8 {
    (value.clamp(0.0, 1.0) * 127.0).round() as u8
}

/// The 14-bit number nearest to a value.
pub(crate) fn to_fourteen_bits(value: f64) -> u16 {
    (value.clamp(0.0, 1.0) * 16_383.0).round() as u16
}

/// The value of a 7-bit number, which is clipped to 0–127.
pub(crate) fn from_seven_bits(number: i32) -> f64 {
    f64::from(number.clamp(0, 127)) / 127.0
}

/// The value of a 14-bit number, which is clipped to 0–16383.
pub(crate) fn from_fourteen_bits(number: i32) -> f64 {
    f64::from(number.clamp(0, 16_383)) / 16_383.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_number_survives_even_as_a_32_bit_float() {
        for number in 0..128_u8 {
            let value = from_seven_bits(number.into());
            assert_eq!(to_seven_bits(value), number);
            assert_eq!(to_seven_bits(f64::from(value as f32)), number);
        }
        for number in 0..16_384_u16 {
            let value = from_fourteen_bits(number.into());
            assert_eq!(to_fourteen_bits(value), number);
            assert_eq!(to_fourteen_bits(f64::from(value as f32)), number);
        }
    }

    proptest! {
        #[test]
        fn any_value_gives_the_nearest_number(value in any::<f64>()) {
            prop_assert!(to_seven_bits(value) <= 127);
            prop_assert!(to_fourteen_bits(value) <= 16_383);
            if (0.0..=1.0).contains(&value) {
                let back = from_seven_bits(to_seven_bits(value).into());
                prop_assert!((back - value).abs() <= 0.5 / 127.0 + 1e-12);
            }
        }

        #[test]
        fn numbers_outside_their_range_are_clipped(number in any::<i32>()) {
            prop_assert!((0.0..=1.0).contains(&from_seven_bits(number)));
            prop_assert!((0.0..=1.0).contains(&from_fourteen_bits(number)));
        }
    }
}
