//! Conversion between values of the show (0.0 to 1.0) and numbers of the server: ranges and
//! curves.

/// How values are distributed over a range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Curve {
    #[default]
    Linear,
    /// Equal steps are equal ratios, as for frequencies and times.
    Exponential,
    /// The square of the value, as for levels.
    Squared,
    /// The ends are in decibels, the number is an amplitude.
    Decibels,
    /// SuperCollider's curve value: above 0 slow at first, below 0 fast at first. Not 0.
    Bent(f64),
}

/// A range with its curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) curve: Curve,
    /// The number until the first value arrives.
    pub(super) start: Option<f64>,
}

impl Scale {
    pub(super) const UNIT: Scale = Scale { low: 0.0, high: 1.0, curve: Curve::Linear, start: None };

    const fn new(low: f64, high: f64, curve: Curve) -> Self {
        Scale { low, high, curve, start: None }
    }

    /// The range of a control that the configuration does not set, by the control's name.
    pub(super) fn default_for(name: &str) -> Self {
        match name {
            "frequency" | "freq" => Scale::new(20.0, 20_000.0, Curve::Exponential),
            "cutoff" | "ffreq" | "filter" => Scale::new(50.0, 15_000.0, Curve::Exponential),
            "pan" | "position" => Scale::new(-1.0, 1.0, Curve::Linear),
            "note" | "midinote" => Scale::new(0.0, 127.0, Curve::Linear),
            _ => Scale::UNIT,
        }
    }

    /// Reads `LOW HIGH [CURVE] [start NUMBER]`.
    ///
    /// # Errors
    /// If the text is not a valid range; the message says what was expected.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_ascii_whitespace();
        let low = number(words.next().ok_or(EXPECTED_RANGE)?)?;
        let high = number(words.next().ok_or("expected the upper end of the range")?)?;
        if low == high {
            return Err(format!("the range from {low} to {high} is empty"));
        }
        let mut scale = Scale::new(low, high, Curve::Linear);
        let mut word = words.next();
        if let Some(name) = word
            && name != "start"
        {
            scale.curve = curve(name)?;
            word = words.next();
        }
        if word == Some("start") {
            scale.start = Some(number(words.next().ok_or("expected a number after `start`")?)?);
            word = words.next();
        }
        if let Some(word) = word {
            return Err(format!("unexpected `{word}`: {EXPECTED_RANGE}"));
        }
        if scale.curve == Curve::Exponential && low * high <= 0.0 {
            return Err(format!(
                "both ends of an exponential range must be above 0, or both below 0, not {low} \
                 and {high}"
            ));
        }
        // The server's numbers have 32 bits. Every curve is monotonic, so the ends are enough.
        if [0.0, 1.0].iter().any(|end| !(scale.number(*end) as f32).is_finite()) {
            return Err(format!(
                "the range from {low} to {high} is too large for the server's numbers"
            ));
        }
        Ok(scale)
    }

    /// The number for a value.
    #[inline]
    pub(super) fn number(&self, value: f64) -> f64 {
        let value = value.clamp(0.0, 1.0);
        let (low, high) = (self.low, self.high);
        match self.curve {
            Curve::Linear => low + (high - low) * value,
            Curve::Exponential => low * (high / low).powf(value),
            Curve::Squared => low + (high - low) * value * value,
            Curve::Decibels => amplitude(low + (high - low) * value),
            Curve::Bent(bend) => low + (high - low) * (bend * value).exp_m1() / bend.exp_m1(),
        }
    }

    /// The value for a number, clipped to 0.0–1.0; `None` for NaN.
    #[inline]
    pub(super) fn value(&self, number: f64) -> Option<f64> {
        let (low, high) = (self.low, self.high);
        let share = |number: f64| (number - low) / (high - low);
        let value = match self.curve {
            Curve::Linear => share(number),
            Curve::Exponential => {
                // A number on the other side of zero has no ratio; the nearer end is the value.
                if number / low <= 0.0 {
                    return Some(if low.abs() < high.abs() { 0.0 } else { 1.0 });
                }
                (number / low).ln() / (high / low).ln()
            }
            Curve::Squared => share(number).clamp(0.0, 1.0).sqrt(),
            Curve::Decibels => {
                if number <= 0.0 {
                    return Some(if low < high { 0.0 } else { 1.0 });
                }
                share(20.0 * number.log10())
            }
            Curve::Bent(bend) => (share(number).clamp(0.0, 1.0) * bend.exp_m1()).ln_1p() / bend,
        };
        (!value.is_nan()).then(|| value.clamp(0.0, 1.0))
    }
}

/// The syntax of a range, for messages.
const EXPECTED_RANGE: &str = "expected `LOW HIGH`, a curve (`linear`, `exponential`, `squared`, \
                              `decibels` or a number from -20 to 20) and `start NUMBER`, such as \
                              `200 8000 exponential start 1200`";

fn curve(word: &str) -> Result<Curve, String> {
    Ok(match word.to_ascii_lowercase().as_str() {
        "linear" => Curve::Linear,
        "exponential" => Curve::Exponential,
        "squared" => Curve::Squared,
        "decibels" => Curve::Decibels,
        other => match other.parse::<f64>() {
            Ok(bend) if bend.abs() < 1e-6 => Curve::Linear,
            Ok(bend) if bend.abs() <= 20.0 => Curve::Bent(bend),
            _ => {
                return Err(format!(
                    "unknown curve `{word}`: expected `linear`, `exponential`, `squared`, \
                     `decibels` or a number from -20 to 20"
                ));
            }
        },
    })
}

/// Reads a finite number of at most 10^9, positive or negative.
pub(super) fn number(word: &str) -> Result<f64, String> {
    word.parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && number.abs() <= 1e9)
        .ok_or_else(|| format!("expected a number from -1000000000 to 1000000000, not `{word}`"))
}

/// Converts decibels to an amplitude.
pub(super) fn amplitude(decibels: f64) -> f64 {
    10.0_f64.powf(decibels / 20.0)
}

/// The frequency of a note (60 is middle C, 69 is 440 Hz), in hertz.
pub(super) fn frequency(note: f64) -> f64 {
    440.0 * 2.0_f64.powf((note - 69.0) / 12.0)
}

/// Converts a pitch bend of 14 bits to -1.0–1.0. The centre is 8192/16383, not 0.5.
pub(super) fn bend(value: f64) -> f64 {
    let steps = value.clamp(0.0, 1.0) * 16_383.0 - 8_192.0;
    // A centre that was rounded to 32 bits is still the centre.
    if steps.abs() < 0.01 {
        0.0
    } else if steps < 0.0 {
        steps / 8_192.0
    } else {
        steps / 8_191.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read_with_curves_and_start_numbers() {
        let scale = Scale::parse("200 8000 exponential start 1200").expect("a range");
        assert_eq!((scale.low, scale.high, scale.start), (200.0, 8000.0, Some(1200.0)));
        assert!((scale.number(0.5) - 1264.911).abs() < 0.001);
        assert_eq!(Scale::parse("1 0").expect("downwards").number(0.25), 0.75);
        assert_eq!(Scale::parse("0 1 0").expect("flat").curve, Curve::Linear);
        assert_eq!(Scale::parse("0 2 squared").expect("squared").number(0.5), 0.5);
        assert!((Scale::parse("-60 0 decibels").expect("dB").number(0.5) - 0.0316).abs() < 0.0001);
        assert!((Scale::parse("0 1 4").expect("bent").number(0.5) - 0.1192).abs() < 0.0001);
        assert_eq!(Scale::parse("0 1 start 0.5").expect("start").start, Some(0.5));
    }

    #[test]
    fn invalid_ranges_are_rejected() {
        for (text, expected) in [
            ("", "expected `LOW HIGH`"),
            ("1", "expected the upper end"),
            ("1 1", "the range from 1 to 1 is empty"),
            ("a 1", "expected a number from -1000000000 to 1000000000, not `a`"),
            ("0 inf", "expected a number from -1000000000 to 1000000000, not `inf`"),
            ("0 1 curvy", "unknown curve `curvy`"),
            ("0 1 99", "unknown curve `99`"),
            ("0 1 exponential", "both ends of an exponential range must be above 0"),
            ("-1 1 exponential", "both ends of an exponential range must be above 0"),
            ("0 1 start", "expected a number after `start`"),
            ("0 1 linear 3", "unexpected `3`"),
            ("0 1000 decibels", "too large for the server's numbers"),
            ("1e-300 1e9 exponential", "too large for the server's numbers"),
        ] {
            let error = Scale::parse(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn the_centre_of_the_pitch_wheel_is_zero() {
        assert_eq!(bend(8192.0 / 16383.0), 0.0);
        assert_eq!(bend(f64::from((8192.0 / 16383.0) as f32)), 0.0);
        assert_eq!((bend(0.0), bend(1.0)), (-1.0, 1.0));
        assert!(bend(0.5).abs() < 0.0001);
        assert!((frequency(69.0) - 440.0).abs() < 1e-9);
        assert!((frequency(57.0) - 220.0).abs() < 1e-9);
    }

    fn scales() -> impl Strategy<Value = Scale> {
        let curve = prop_oneof![
            Just(Curve::Linear),
            Just(Curve::Exponential),
            Just(Curve::Squared),
            Just(Curve::Decibels),
            (-20.0..20.0_f64).prop_filter("flat", |bend| bend.abs() > 0.01).prop_map(Curve::Bent),
        ];
        (0.001..1000.0_f64, 1.01..1000.0_f64, any::<bool>(), curve).prop_map(
            |(low, ratio, down, curve)| {
                let (low, high) = match curve {
                    // The amplitude of thousands of decibels exceeds the range of an `f64`.
                    Curve::Decibels => (-low / 10.0, ratio / 100.0),
                    _ => (low, low * ratio),
                };
                if down { Scale::new(high, low, curve) } else { Scale::new(low, high, curve) }
            },
        )
    }

    proptest! {
        #[test]
        fn values_survive_a_round_trip(scale in scales(), value in 0.0..=1.0_f64) {
            let number = scale.number(value);
            let back = scale.value(number).expect("a value");
            prop_assert!((back - value).abs() < 1e-4, "{:?}: {} {} {}", scale, value, number, back);
            if scale.curve != Curve::Decibels {
                prop_assert!((scale.number(0.0) / scale.low - 1.0).abs() < 1e-9);
                prop_assert!((scale.number(1.0) / scale.high - 1.0).abs() < 1e-9);
            }
        }

        #[test]
        fn any_number_gives_a_value_in_range(scale in scales(), number in any::<f64>()) {
            if let Some(value) = scale.value(number) {
                prop_assert!((0.0..=1.0).contains(&value));
            }
        }

        #[test]
        fn any_text_is_a_range_or_an_error(text in ".{0,40}") {
            let _ = Scale::parse(&text);
        }
    }
}
