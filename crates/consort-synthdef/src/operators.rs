//! The operators of the server, and their results on numbers.
//!
//! Each operator has one row in one of two tables: its documentation, its name, its number on the
//! server, and the method of [`Operations`](crate::Operations) that applies it, if any. The tables
//! are macros that hand their rows to another macro, since the enums here and the methods in
//! `operations.rs` are made from the same rows.

/// Hands the rows of the unary operators to the macro of the given name.
macro_rules! unary_operators {
    ($callback:ident) => {
        $callback! {
            /// Negates `a`.
            Negative = 0 negate;
            /// One where `a` is zero or negative, else zero.
            Not = 1 logical_not;
            /// The language's test for nil; signals are never nil.
            IsNil = 2;
            /// The language's test for a value other than nil; signals are never nil.
            NotNil = 3;
            /// Inverts the bits of the integer part of `a`.
            BitNot = 4 bit_not;
            /// Absolute value of `a`.
            Absolute = 5 absolute;
            /// The language's conversion to a floating-point number, which every signal is already.
            AsFloat = 6;
            /// The integer part of `a`.
            AsInteger = 7 integer_part;
            /// Rounds up to an integer.
            Ceiling = 8 ceiling;
            /// Rounds down to an integer.
            Floor = 9 floor;
            /// Distance of `a` from the next lower integer.
            FractionalPart = 10 fractional_part;
            /// -1, 0 or 1: the sign of `a`.
            Sign = 11 sign;
            /// `a²`.
            Squared = 12 squared;
            /// `a³`.
            Cubed = 13 cubed;
            /// Square root; for a negative `a`, the negated root of its absolute value.
            SquareRoot = 14 square_root;
            /// `e` to the power of `a`.
            Exponential = 15 exponential;
            /// `1 / a`.
            Reciprocal = 16 reciprocal;
            /// Converts a MIDI note number to a frequency in hertz.
            MidiToHertz = 17 midi_to_hertz;
            /// Converts a frequency in hertz to a MIDI note number.
            HertzToMidi = 18 hertz_to_midi;
            /// Converts an interval in semitones to a frequency ratio.
            SemitonesToRatio = 19 semitones_to_ratio;
            /// Converts a frequency ratio to an interval in semitones.
            RatioToSemitones = 20 ratio_to_semitones;
            /// Converts decibels to a linear amplitude.
            DecibelsToAmplitude = 21 decibels_to_amplitude;
            /// Converts a linear amplitude to decibels.
            AmplitudeToDecibels = 22 amplitude_to_decibels;
            /// Converts decimal octaves to a frequency in hertz.
            OctaveToHertz = 23 octave_to_hertz;
            /// Converts a frequency in hertz to decimal octaves.
            HertzToOctave = 24 hertz_to_octave;
            /// Natural logarithm.
            Logarithm = 25 logarithm;
            /// Logarithm to base two.
            Logarithm2 = 26 logarithm_2;
            /// Logarithm to base ten.
            Logarithm10 = 27 logarithm_10;
            /// Sine; `a` is in radians.
            Sine = 28 sine;
            /// Cosine; `a` is in radians.
            Cosine = 29 cosine;
            /// Tangent; `a` is in radians.
            Tangent = 30 tangent;
            /// Inverse sine in radians.
            ArcSine = 31 arc_sine;
            /// Inverse cosine in radians.
            ArcCosine = 32 arc_cosine;
            /// Inverse tangent in radians.
            ArcTangent = 33 arc_tangent;
            /// Hyperbolic sine.
            HyperbolicSine = 34 hyperbolic_sine;
            /// Hyperbolic cosine.
            HyperbolicCosine = 35 hyperbolic_cosine;
            /// Hyperbolic tangent, a smooth distortion.
            HyperbolicTangent = 36 hyperbolic_tangent;
            /// Random number from zero to `a`, evenly distributed.
            Random = 37 random;
            /// Random number from `-a` to `a`, evenly distributed.
            Random2 = 38 random_bipolar;
            /// Random number from zero to `a`; lower numbers are more likely.
            LinearRandom = 39 linear_random;
            /// Random number from `-a` to `a`; numbers near zero are more likely.
            BilinearRandom = 40 bilinear_random;
            /// Random number from `-a` to `a`, nearly normally distributed.
            Sum3Random = 41 sum_3_random;
            /// `a / (1 + |a|)`, a smooth distortion.
            Distort = 42 distort;
            /// Distortion that is linear within ±0.5 and approaches ±1 beyond.
            SoftClip = 43 soft_clip;
            /// One with the probability `a`, else zero.
            Coin = 44 coin;
            /// The language's value of a digit character; signals have no characters.
            DigitValue = 45;
            /// Zero, whatever `a` is.
            Silence = 46 silence;
            /// Passes `a` on unchanged.
            Through = 47 through;
            /// Rectangular window: one for `a` from 0 to 1, else zero.
            RectangleWindow = 48 rectangle_window;
            /// Hann window for `a` from 0 to 1, else zero.
            HanningWindow = 49 hanning_window;
            /// Welch window for `a` from 0 to 1, else zero.
            WelchWindow = 50 welch_window;
            /// Triangular window for `a` from 0 to 1, else zero.
            TriangleWindow = 51 triangle_window;
            /// Limits `a` to the range from 0 to 1.
            Ramp = 52 ramp;
            /// S-shaped curve from 0 to 1, constant for `a` outside of this range.
            SCurve = 53 s_curve;
        }
    };
}

/// Hands the rows of the binary operators to the macro of the given name.
macro_rules! binary_operators {
    ($callback:ident) => {
        $callback! {
            /// `a + b`.
            Addition = 0;
            /// `a - b`.
            Subtraction = 1;
            /// `a * b`.
            Multiplication = 2;
            /// Quotient of `a` and `b` without its fraction.
            IntegerDivision = 3 integer_division;
            /// `a / b`.
            Division = 4;
            /// Remainder of `a / b`, with the sign of `b`.
            Modulo = 5 modulo;
            /// One where `a` equals `b`, else zero.
            Equal = 6 equal;
            /// One where `a` differs from `b`, else zero.
            NotEqual = 7 not_equal;
            /// One where `a < b`, else zero.
            LessThan = 8 less_than;
            /// One where `a > b`, else zero.
            GreaterThan = 9 greater_than;
            /// One where `a <= b`, else zero.
            LessThanOrEqual = 10 less_than_or_equal;
            /// One where `a >= b`, else zero.
            GreaterThanOrEqual = 11 greater_than_or_equal;
            /// The smaller of `a` and `b`.
            Minimum = 12 minimum;
            /// The larger of `a` and `b`.
            Maximum = 13 maximum;
            /// Bitwise and of the integer parts.
            BitAnd = 14 bit_and;
            /// Bitwise or of the integer parts.
            BitOr = 15 bit_or;
            /// Bitwise exclusive or of the integer parts.
            BitXor = 16 bit_xor;
            /// Least common multiple of the integer parts.
            LeastCommonMultiple = 17 least_common_multiple;
            /// Greatest common divisor of the integer parts.
            GreatestCommonDivisor = 18 greatest_common_divisor;
            /// Rounds `a` to the nearest multiple of `b`.
            Round = 19 round_to;
            /// Rounds `a` up to a multiple of `b`.
            RoundUp = 20 round_up_to;
            /// Rounds `a` towards zero to a multiple of `b`.
            Truncate = 21 truncate_to;
            /// Angle in radians of the point whose coordinates are (`b`, `a`).
            ArcTangent2 = 22 arc_tangent_2;
            /// Square root of `a² + b²`.
            Hypotenuse = 23 hypotenuse;
            /// Approximation of the hypotenuse that needs no square root.
            HypotenuseApproximation = 24 hypotenuse_approximation;
            /// `a` to the power of `b`.
            Power = 25 power;
            /// Shifts the bits of `a` to the left by `b`.
            ShiftLeft = 26 shift_left;
            /// Shifts the bits of `a` to the right by `b`, keeping the sign.
            ShiftRight = 27 shift_right;
            /// Shifts the bits of `a` to the right by `b`, filling with zeros.
            UnsignedShift = 28 unsigned_shift;
            /// Reserved; the server does not implement it.
            Fill = 29;
            /// Ring modulation plus the first signal: `a * b + a`.
            Ring1 = 30 ring_1;
            /// Ring modulation plus both signals: `a * b + a + b`.
            Ring2 = 31 ring_2;
            /// `a * a * b`.
            Ring3 = 32 ring_3;
            /// `a * a * b - a * b * b`.
            Ring4 = 33 ring_4;
            /// `a² - b²`.
            DifferenceOfSquares = 34 difference_of_squares;
            /// `a² + b²`.
            SumOfSquares = 35 sum_of_squares;
            /// `(a + b)²`.
            SquareOfSum = 36 square_of_sum;
            /// `(a - b)²`.
            SquareOfDifference = 37 square_of_difference;
            /// `|a - b|`.
            AbsoluteDifference = 38 absolute_difference;
            /// `a` where it is at least `b`, else zero.
            Threshold = 39 threshold;
            /// `a * b` where `b` is positive, else zero.
            AmplitudeClip = 40 amplitude_clip;
            /// `a * b` where `a` is negative, else `a`.
            ScaleNegative = 41 scale_negative;
            /// Limits `a` to the range from `-b` to `b`.
            Clip2 = 42 clip_2;
            /// The part of `a` beyond the range from `-b` to `b`, which `clip_2` removes.
            Excess = 43 excess;
            /// Folds `a` into the range from `-b` to `b`.
            Fold2 = 44 fold_2;
            /// Wraps `a` into the range from `-b` to `b`.
            Wrap2 = 45 wrap_2;
            /// `a`, after `b` has been computed.
            FirstArgument = 46 first_argument;
            /// Random number between `a` and `b`, evenly distributed.
            RandomRange = 47 random_range;
            /// Random number between `a` and `b`, exponentially distributed.
            ExponentialRandomRange = 48 exponential_random_range;
        }
    };
}

pub(crate) use {binary_operators, unary_operators};

/// Defines the enum of the unary operators.
macro_rules! unary_enum {
    ($($(#[$doc:meta])* $name:ident = $number:literal $($method:ident)?;)*) => {
        /// An operator on one signal, `a`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum UnaryOperator {
            $($(#[$doc])* $name = $number,)*
        }

        impl UnaryOperator {
            /// All operators in the order of their numbers.
            const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

/// Defines the enum of the binary operators.
macro_rules! binary_enum {
    ($($(#[$doc:meta])* $name:ident = $number:literal $($method:ident)?;)*) => {
        /// An operator on two signals, `a` and `b`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum BinaryOperator {
            $($(#[$doc])* $name = $number,)*
        }

        impl BinaryOperator {
            /// All operators in the order of their numbers.
            const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

unary_operators!(unary_enum);
binary_operators!(binary_enum);

impl UnaryOperator {
    /// The operator with this number on the server.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl BinaryOperator {
    /// The operator with this number on the server.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// Remainder with the sign of the divisor.
fn modulo(left: f64, right: f64) -> f64 {
    let remainder = left % right;
    if remainder != 0.0 && (remainder < 0.0) != (right < 0.0) {
        remainder + right
    } else {
        remainder
    }
}

/// Quotient rounded down, computed from the remainder so that it stays exact.
fn floor_division(left: f64, right: f64) -> f64 {
    let quotient = (left - modulo(left, right)) / right;
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}

/// Truth as a signal has it: one or zero.
fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

impl UnaryOperator {
    /// The result for a number that is known while building; `None` if only the server can
    /// compute it.
    pub(crate) fn fold(self, value: f64) -> Option<f64> {
        Some(match self {
            Self::Negative => -value,
            Self::BitNot => truth(value == 0.0),
            Self::Absolute => value.abs(),
            Self::AsInteger => floor_division(value, 1.0),
            Self::Ceiling => value.ceil(),
            Self::Floor => value.floor(),
            Self::FractionalPart => modulo(value, 1.0),
            Self::Squared => value * value,
            Self::Cubed => value.powi(3),
            Self::SquareRoot if value >= 0.0 => value.sqrt(),
            Self::Reciprocal => 1.0 / value,
            Self::Logarithm if value > 0.0 => value.ln(),
            Self::Logarithm2 if value > 0.0 => value.log2(),
            Self::Logarithm10 if value > 0.0 => value.log10(),
            Self::Sine => value.sin(),
            Self::Cosine => value.cos(),
            Self::Tangent => value.tan(),
            Self::ArcSine if value.abs() <= 1.0 => value.asin(),
            Self::ArcCosine if value.abs() <= 1.0 => value.acos(),
            Self::ArcTangent => value.atan(),
            Self::HyperbolicSine => value.sinh(),
            Self::HyperbolicCosine => value.cosh(),
            Self::HyperbolicTangent => value.tanh(),
            Self::Distort => value / (1.0 + value.abs()),
            Self::Silence => 0.0,
            Self::Through => value,
            _ => return None,
        })
    }
}

impl BinaryOperator {
    /// The result for numbers that are known while building; `None` if only the server can
    /// compute it.
    pub(crate) fn fold(self, left: f64, right: f64) -> Option<f64> {
        Some(match self {
            Self::Addition => left + right,
            Self::Subtraction => left - right,
            Self::Multiplication => left * right,
            Self::IntegerDivision if right != 0.0 => floor_division(left, right),
            Self::Division => left / right,
            Self::Modulo if right != 0.0 => modulo(left, right),
            Self::Equal => truth(left == right),
            Self::NotEqual => truth(left != right),
            Self::LessThan => truth(left < right),
            Self::GreaterThan => truth(left > right),
            Self::LessThanOrEqual => truth(left <= right),
            Self::GreaterThanOrEqual => truth(left >= right),
            Self::Minimum => {
                if right < left {
                    right
                } else {
                    left
                }
            }
            Self::Maximum => {
                if right > left {
                    right
                } else {
                    left
                }
            }
            Self::ArcTangent2 => left.atan2(right),
            Self::Hypotenuse => left.hypot(right),
            Self::Power => left.powf(right),
            Self::Ring1 => left * right + left,
            Self::Ring2 => left * right + left + right,
            Self::Ring3 => left * left * right,
            Self::Ring4 => left * left * right - left * right * right,
            Self::DifferenceOfSquares => left * left - right * right,
            Self::SumOfSquares => left * left + right * right,
            Self::SquareOfSum => (left + right) * (left + right),
            Self::SquareOfDifference => (left - right) * (left - right),
            Self::AbsoluteDifference => (left - right).abs(),
            Self::Threshold => {
                if left < right {
                    0.0
                } else {
                    left
                }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{BinaryOperator, UnaryOperator, floor_division, modulo};

    #[test]
    fn numbers_are_positions_in_the_tables() {
        for (number, operator) in (0..).zip(UnaryOperator::ALL) {
            assert_eq!(*operator as u16, number);
            assert_eq!(UnaryOperator::from_number(number), Some(*operator));
        }
        for (number, operator) in (0..).zip(BinaryOperator::ALL) {
            assert_eq!(*operator as u16, number);
            assert_eq!(BinaryOperator::from_number(number), Some(*operator));
        }
        assert_eq!(UnaryOperator::ALL.len(), 54);
        assert_eq!(BinaryOperator::ALL.len(), 49);
        assert_eq!(UnaryOperator::from_number(54), None);
        assert_eq!(BinaryOperator::from_number(49), None);
    }

    #[test]
    fn results_that_only_the_server_has_are_not_folded() {
        assert_eq!(UnaryOperator::SquareRoot.fold(4.0), Some(2.0));
        assert_eq!(UnaryOperator::SquareRoot.fold(-4.0), None);
        assert_eq!(UnaryOperator::Logarithm.fold(0.0), None);
        assert_eq!(UnaryOperator::ArcSine.fold(1.5), None);
        assert_eq!(UnaryOperator::Random.fold(1.0), None);
        assert_eq!(BinaryOperator::Modulo.fold(1.0, 0.0), None);
        assert_eq!(BinaryOperator::IntegerDivision.fold(1.0, 0.0), None);
        assert_eq!(BinaryOperator::Division.fold(1.0, 4.0), Some(0.25));
        assert_eq!(BinaryOperator::RandomRange.fold(0.0, 1.0), None);
    }

    #[test]
    fn remainders_have_the_sign_of_the_divisor() {
        assert_eq!(modulo(5.0, 3.0), 2.0);
        assert_eq!(modulo(-5.0, 3.0), 1.0);
        assert_eq!(modulo(5.0, -3.0), -1.0);
        assert_eq!(floor_division(-5.0, 3.0), -2.0);
        assert_eq!(floor_division(6.0, 3.0), 2.0);
    }
}
