//! The table of the server's operators.
//!
//! Each operator has one row: its documentation, its name, its number on the server, how Rust writes
//! it, if it does, and the methods of [`Operations`](crate::Operations) that apply it: our own name
//! first, then the names of sclang and of Rust's numbers. The two parts of the table are macros that
//! hand their rows to another macro, since the enums in `operators.rs`, the methods in
//! `operations.rs` and the documentation are made from the same rows.

/// Hands the rows of the unary operators to the macro of the given name.
macro_rules! unary_operators {
    ($callback:ident) => {
        $callback! {
            /// Negates `a`.
            Negative = 0 "-a": negate;
            /// One where `a` is zero or negative, else zero.
            Not = 1 "!a": logical_not;
            /// The language's test for nil; signals are never nil.
            IsNil = 2;
            /// The language's test for a value other than nil; signals are never nil.
            NotNil = 3;
            /// Inverts the bits of the integer part of `a`.
            BitNot = 4: bit_not;
            /// Absolute value of `a`.
            Absolute = 5: absolute abs;
            /// The language's conversion to a floating-point number, which every signal is already.
            AsFloat = 6;
            /// The integer part of `a`.
            AsInteger = 7: integer_part;
            /// Rounds up to an integer.
            Ceiling = 8: ceiling ceil;
            /// Rounds down to an integer.
            Floor = 9: floor;
            /// Distance of `a` from the next lower integer.
            FractionalPart = 10: fractional_part frac fract;
            /// -1, 0 or 1: the sign of `a`.
            Sign = 11: sign signum;
            /// `a²`.
            Squared = 12: squared;
            /// `a³`.
            Cubed = 13: cubed;
            /// Square root; for a negative `a`, the negated root of its absolute value.
            SquareRoot = 14: square_root sqrt;
            /// `e` to the power of `a`.
            Exponential = 15: exponential exp;
            /// `1 / a`.
            Reciprocal = 16: reciprocal recip;
            /// Converts a MIDI note number to a frequency in hertz.
            MidiToHertz = 17: midi_to_hertz midicps;
            /// Converts a frequency in hertz to a MIDI note number.
            HertzToMidi = 18: hertz_to_midi cpsmidi;
            /// Converts an interval in semitones to a frequency ratio.
            SemitonesToRatio = 19: semitones_to_ratio midiratio;
            /// Converts a frequency ratio to an interval in semitones.
            RatioToSemitones = 20: ratio_to_semitones ratiomidi;
            /// Converts decibels to a linear amplitude.
            DecibelsToAmplitude = 21: decibels_to_amplitude dbamp;
            /// Converts a linear amplitude to decibels.
            AmplitudeToDecibels = 22: amplitude_to_decibels ampdb;
            /// Converts decimal octaves to a frequency in hertz.
            OctaveToHertz = 23: octave_to_hertz octcps;
            /// Converts a frequency in hertz to decimal octaves.
            HertzToOctave = 24: hertz_to_octave cpsoct;
            /// Natural logarithm.
            Logarithm = 25: logarithm log ln;
            /// Logarithm to base two.
            Logarithm2 = 26: logarithm_2 log2;
            /// Logarithm to base ten.
            Logarithm10 = 27: logarithm_10 log10;
            /// Sine; `a` is in radians.
            Sine = 28: sine sin;
            /// Cosine; `a` is in radians.
            Cosine = 29: cosine cos;
            /// Tangent; `a` is in radians.
            Tangent = 30: tangent tan;
            /// Inverse sine in radians.
            ArcSine = 31: arc_sine asin;
            /// Inverse cosine in radians.
            ArcCosine = 32: arc_cosine acos;
            /// Inverse tangent in radians.
            ArcTangent = 33: arc_tangent atan;
            /// Hyperbolic sine.
            HyperbolicSine = 34: hyperbolic_sine sinh;
            /// Hyperbolic cosine.
            HyperbolicCosine = 35: hyperbolic_cosine cosh;
            /// Hyperbolic tangent, a smooth distortion.
            HyperbolicTangent = 36: hyperbolic_tangent tanh;
            /// Random number from zero to `a`, evenly distributed.
            Random = 37: random rand;
            /// Random number from `-a` to `a`, evenly distributed.
            Random2 = 38: random_bipolar rand2;
            /// Random number from zero to `a`; lower numbers are more likely.
            LinearRandom = 39: linear_random linrand;
            /// Random number from `-a` to `a`; numbers near zero are more likely.
            BilinearRandom = 40: bilinear_random bilinrand;
            /// Random number from `-a` to `a`, nearly normally distributed.
            Sum3Random = 41: sum_3_random sum3rand;
            /// `a / (1 + |a|)`, a smooth distortion.
            Distort = 42: distort;
            /// Distortion that is linear within ±0.5 and approaches ±1 beyond.
            SoftClip = 43: soft_clip softclip;
            /// One with the probability `a`, else zero.
            Coin = 44: coin;
            /// The language's value of a digit character; signals have no characters.
            DigitValue = 45;
            /// Zero, whatever `a` is.
            Silence = 46: silence;
            /// Passes `a` on unchanged.
            Through = 47: through thru;
            /// Rectangular window: one for `a` from 0 to 1, else zero.
            RectangleWindow = 48: rectangle_window rect_window;
            /// Hann window for `a` from 0 to 1, else zero.
            HanningWindow = 49: hanning_window han_window;
            /// Welch window for `a` from 0 to 1, else zero.
            WelchWindow = 50: welch_window wel_window;
            /// Triangular window for `a` from 0 to 1, else zero.
            TriangleWindow = 51: triangle_window tri_window;
            /// Limits `a` to the range from 0 to 1.
            Ramp = 52: ramp;
            /// S-shaped curve from 0 to 1, constant for `a` outside of this range.
            SCurve = 53: s_curve scurve;
        }
    };
}

/// Hands the rows of the binary operators to the macro of the given name.
macro_rules! binary_operators {
    ($callback:ident) => {
        $callback! {
            /// `a + b`.
            Addition = 0 "a + b";
            /// `a - b`.
            Subtraction = 1 "a - b";
            /// `a * b`.
            Multiplication = 2 "a * b";
            /// Quotient of `a` and `b` without its fraction.
            IntegerDivision = 3: integer_division int_div;
            /// `a / b`.
            Division = 4 "a / b";
            /// Remainder of `a / b`, with the sign of `b`.
            Modulo = 5 "a % b": modulo;
            /// One where `a` equals `b`, else zero.
            Equal = 6: equal;
            /// One where `a` differs from `b`, else zero.
            NotEqual = 7: not_equal;
            /// One where `a < b`, else zero.
            LessThan = 8: less_than lt;
            /// One where `a > b`, else zero.
            GreaterThan = 9: greater_than gt;
            /// One where `a <= b`, else zero.
            LessThanOrEqual = 10: less_than_or_equal le;
            /// One where `a >= b`, else zero.
            GreaterThanOrEqual = 11: greater_than_or_equal ge;
            /// The smaller of `a` and `b`.
            Minimum = 12: minimum min;
            /// The larger of `a` and `b`.
            Maximum = 13: maximum max;
            /// Bitwise and of the integer parts.
            BitAnd = 14 "a & b": bit_and;
            /// Bitwise or of the integer parts.
            BitOr = 15 "a | b": bit_or;
            /// Bitwise exclusive or of the integer parts.
            BitXor = 16 "a ^ b": bit_xor;
            /// Least common multiple of the integer parts.
            LeastCommonMultiple = 17: least_common_multiple lcm;
            /// Greatest common divisor of the integer parts.
            GreatestCommonDivisor = 18: greatest_common_divisor gcd;
            /// Rounds `a` to the nearest multiple of `b`.
            Round = 19: round_to round;
            /// Rounds `a` up to a multiple of `b`.
            RoundUp = 20: round_up_to round_up;
            /// Rounds `a` towards zero to a multiple of `b`.
            Truncate = 21: truncate_to trunc;
            /// Angle in radians of the point whose coordinates are (`b`, `a`).
            ArcTangent2 = 22: arc_tangent_2 atan2;
            /// Square root of `a² + b²`.
            Hypotenuse = 23: hypotenuse hypot;
            /// Approximation of the hypotenuse that needs no square root.
            HypotenuseApproximation = 24: hypotenuse_approximation hypot_apx;
            /// `a` to the power of `b`.
            Power = 25: power pow;
            /// Shifts the bits of `a` to the left by `b`.
            ShiftLeft = 26 "a << b": shift_left left_shift;
            /// Shifts the bits of `a` to the right by `b`, keeping the sign.
            ShiftRight = 27 "a >> b": shift_right right_shift;
            /// Shifts the bits of `a` to the right by `b`, filling with zeros.
            UnsignedShift = 28: unsigned_shift unsigned_right_shift;
            /// Reserved; the server does not implement it.
            Fill = 29;
            /// Ring modulation plus the first signal: `a * b + a`.
            Ring1 = 30: ring_1 ring1;
            /// Ring modulation plus both signals: `a * b + a + b`.
            Ring2 = 31: ring_2 ring2;
            /// `a * a * b`.
            Ring3 = 32: ring_3 ring3;
            /// `a * a * b - a * b * b`.
            Ring4 = 33: ring_4 ring4;
            /// `a² - b²`.
            DifferenceOfSquares = 34: difference_of_squares difsqr;
            /// `a² + b²`.
            SumOfSquares = 35: sum_of_squares sumsqr;
            /// `(a + b)²`.
            SquareOfSum = 36: square_of_sum sqrsum;
            /// `(a - b)²`.
            SquareOfDifference = 37: square_of_difference sqrdif;
            /// `|a - b|`.
            AbsoluteDifference = 38: absolute_difference absdif;
            /// `a` where it is at least `b`, else zero.
            Threshold = 39: threshold thresh;
            /// `a * b` where `b` is positive, else zero.
            AmplitudeClip = 40: amplitude_clip amclip;
            /// `a * b` where `a` is negative, else `a`.
            ScaleNegative = 41: scale_negative scaleneg;
            /// Limits `a` to the range from `-b` to `b`.
            Clip2 = 42: clip_2 clip2;
            /// The part of `a` beyond the range from `-b` to `b`, which `clip2` removes.
            Excess = 43: excess;
            /// Folds `a` into the range from `-b` to `b`.
            Fold2 = 44: fold_2 fold2;
            /// Wraps `a` into the range from `-b` to `b`.
            Wrap2 = 45: wrap_2 wrap2;
            /// `a`, after `b` has been computed.
            FirstArgument = 46: first_argument first_arg;
            /// Random number between `a` and `b`, evenly distributed.
            RandomRange = 47: random_range rrand;
            /// Random number between `a` and `b`, exponentially distributed.
            ExponentialRandomRange = 48: exponential_random_range exprand;
        }
    };
}

pub(crate) use {binary_operators, unary_operators};
