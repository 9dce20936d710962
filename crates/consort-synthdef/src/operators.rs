//! Operators of the server, and what they do to two numbers known in advance.

use super::graph::{binary, unary};
use super::signal::{IntoSignal, Signal};

/// An operator on one signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum UnaryOperator {
    /// Operator 0 of the server: negative.
    Negative = 0,
    /// Operator 1 of the server: not.
    Not = 1,
    /// Operator 2 of the server: is nil.
    IsNil = 2,
    /// Operator 3 of the server: not nil.
    NotNil = 3,
    /// Operator 4 of the server: bit not.
    BitNot = 4,
    /// Operator 5 of the server: absolute.
    Absolute = 5,
    /// Operator 6 of the server: as float.
    AsFloat = 6,
    /// Operator 7 of the server: as integer.
    AsInteger = 7,
    /// Operator 8 of the server: ceiling.
    Ceiling = 8,
    /// Operator 9 of the server: floor.
    Floor = 9,
    /// Operator 10 of the server: fractional part.
    FractionalPart = 10,
    /// Operator 11 of the server: sign.
    Sign = 11,
    /// Operator 12 of the server: squared.
    Squared = 12,
    /// Operator 13 of the server: cubed.
    Cubed = 13,
    /// Operator 14 of the server: square root.
    SquareRoot = 14,
    /// Operator 15 of the server: exponential.
    Exponential = 15,
    /// Operator 16 of the server: reciprocal.
    Reciprocal = 16,
    /// Operator 17 of the server: midi to hertz.
    MidiToHertz = 17,
    /// Operator 18 of the server: hertz to midi.
    HertzToMidi = 18,
    /// Operator 19 of the server: semitones to ratio.
    SemitonesToRatio = 19,
    /// Operator 20 of the server: ratio to semitones.
    RatioToSemitones = 20,
    /// Operator 21 of the server: decibels to amplitude.
    DecibelsToAmplitude = 21,
    /// Operator 22 of the server: amplitude to decibels.
    AmplitudeToDecibels = 22,
    /// Operator 23 of the server: octave to hertz.
    OctaveToHertz = 23,
    /// Operator 24 of the server: hertz to octave.
    HertzToOctave = 24,
    /// Operator 25 of the server: logarithm.
    Logarithm = 25,
    /// Operator 26 of the server: logarithm 2.
    Logarithm2 = 26,
    /// Operator 27 of the server: logarithm 10.
    Logarithm10 = 27,
    /// Operator 28 of the server: sine.
    Sine = 28,
    /// Operator 29 of the server: cosine.
    Cosine = 29,
    /// Operator 30 of the server: tangent.
    Tangent = 30,
    /// Operator 31 of the server: arc sine.
    ArcSine = 31,
    /// Operator 32 of the server: arc cosine.
    ArcCosine = 32,
    /// Operator 33 of the server: arc tangent.
    ArcTangent = 33,
    /// Operator 34 of the server: hyperbolic sine.
    HyperbolicSine = 34,
    /// Operator 35 of the server: hyperbolic cosine.
    HyperbolicCosine = 35,
    /// Operator 36 of the server: hyperbolic tangent.
    HyperbolicTangent = 36,
    /// Operator 37 of the server: random.
    Random = 37,
    /// Operator 38 of the server: random 2.
    Random2 = 38,
    /// Operator 39 of the server: linear random.
    LinearRandom = 39,
    /// Operator 40 of the server: bilinear random.
    BilinearRandom = 40,
    /// Operator 41 of the server: sum 3 random.
    Sum3Random = 41,
    /// Operator 42 of the server: distort.
    Distort = 42,
    /// Operator 43 of the server: soft clip.
    SoftClip = 43,
    /// Operator 44 of the server: coin.
    Coin = 44,
    /// Operator 45 of the server: digit value.
    DigitValue = 45,
    /// Operator 46 of the server: silence.
    Silence = 46,
    /// Operator 47 of the server: through.
    Through = 47,
    /// Operator 48 of the server: rectangle window.
    RectangleWindow = 48,
    /// Operator 49 of the server: hanning window.
    HanningWindow = 49,
    /// Operator 50 of the server: welch window.
    WelchWindow = 50,
    /// Operator 51 of the server: triangle window.
    TriangleWindow = 51,
    /// Operator 52 of the server: ramp.
    Ramp = 52,
    /// Operator 53 of the server: s curve.
    SCurve = 53,
}

impl UnaryOperator {
    const ALL: &'static [UnaryOperator] = &[
        Self::Negative,
        Self::Not,
        Self::IsNil,
        Self::NotNil,
        Self::BitNot,
        Self::Absolute,
        Self::AsFloat,
        Self::AsInteger,
        Self::Ceiling,
        Self::Floor,
        Self::FractionalPart,
        Self::Sign,
        Self::Squared,
        Self::Cubed,
        Self::SquareRoot,
        Self::Exponential,
        Self::Reciprocal,
        Self::MidiToHertz,
        Self::HertzToMidi,
        Self::SemitonesToRatio,
        Self::RatioToSemitones,
        Self::DecibelsToAmplitude,
        Self::AmplitudeToDecibels,
        Self::OctaveToHertz,
        Self::HertzToOctave,
        Self::Logarithm,
        Self::Logarithm2,
        Self::Logarithm10,
        Self::Sine,
        Self::Cosine,
        Self::Tangent,
        Self::ArcSine,
        Self::ArcCosine,
        Self::ArcTangent,
        Self::HyperbolicSine,
        Self::HyperbolicCosine,
        Self::HyperbolicTangent,
        Self::Random,
        Self::Random2,
        Self::LinearRandom,
        Self::BilinearRandom,
        Self::Sum3Random,
        Self::Distort,
        Self::SoftClip,
        Self::Coin,
        Self::DigitValue,
        Self::Silence,
        Self::Through,
        Self::RectangleWindow,
        Self::HanningWindow,
        Self::WelchWindow,
        Self::TriangleWindow,
        Self::Ramp,
        Self::SCurve,
    ];

    /// The operator by its number on the server.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// An operator on two signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BinaryOperator {
    /// Operator 0 of the server: addition.
    Addition = 0,
    /// Operator 1 of the server: subtraction.
    Subtraction = 1,
    /// Operator 2 of the server: multiplication.
    Multiplication = 2,
    /// Operator 3 of the server: integer division.
    IntegerDivision = 3,
    /// Operator 4 of the server: division.
    Division = 4,
    /// Operator 5 of the server: modulo.
    Modulo = 5,
    /// Operator 6 of the server: equal.
    Equal = 6,
    /// Operator 7 of the server: not equal.
    NotEqual = 7,
    /// Operator 8 of the server: less than.
    LessThan = 8,
    /// Operator 9 of the server: greater than.
    GreaterThan = 9,
    /// Operator 10 of the server: less than or equal.
    LessThanOrEqual = 10,
    /// Operator 11 of the server: greater than or equal.
    GreaterThanOrEqual = 11,
    /// Operator 12 of the server: minimum.
    Minimum = 12,
    /// Operator 13 of the server: maximum.
    Maximum = 13,
    /// Operator 14 of the server: bit and.
    BitAnd = 14,
    /// Operator 15 of the server: bit or.
    BitOr = 15,
    /// Operator 16 of the server: bit xor.
    BitXor = 16,
    /// Operator 17 of the server: least common multiple.
    LeastCommonMultiple = 17,
    /// Operator 18 of the server: greatest common divisor.
    GreatestCommonDivisor = 18,
    /// Operator 19 of the server: round.
    Round = 19,
    /// Operator 20 of the server: round up.
    RoundUp = 20,
    /// Operator 21 of the server: truncate.
    Truncate = 21,
    /// Operator 22 of the server: arc tangent 2.
    ArcTangent2 = 22,
    /// Operator 23 of the server: hypotenuse.
    Hypotenuse = 23,
    /// Operator 24 of the server: hypotenuse approximation.
    HypotenuseApproximation = 24,
    /// Operator 25 of the server: power.
    Power = 25,
    /// Operator 26 of the server: shift left.
    ShiftLeft = 26,
    /// Operator 27 of the server: shift right.
    ShiftRight = 27,
    /// Operator 28 of the server: unsigned shift.
    UnsignedShift = 28,
    /// Operator 29 of the server: fill.
    Fill = 29,
    /// Operator 30 of the server: ring 1.
    Ring1 = 30,
    /// Operator 31 of the server: ring 2.
    Ring2 = 31,
    /// Operator 32 of the server: ring 3.
    Ring3 = 32,
    /// Operator 33 of the server: ring 4.
    Ring4 = 33,
    /// Operator 34 of the server: difference of squares.
    DifferenceOfSquares = 34,
    /// Operator 35 of the server: sum of squares.
    SumOfSquares = 35,
    /// Operator 36 of the server: square of sum.
    SquareOfSum = 36,
    /// Operator 37 of the server: square of difference.
    SquareOfDifference = 37,
    /// Operator 38 of the server: absolute difference.
    AbsoluteDifference = 38,
    /// Operator 39 of the server: threshold.
    Threshold = 39,
    /// Operator 40 of the server: amplitude clip.
    AmplitudeClip = 40,
    /// Operator 41 of the server: scale negative.
    ScaleNegative = 41,
    /// Operator 42 of the server: clip 2.
    Clip2 = 42,
    /// Operator 43 of the server: excess.
    Excess = 43,
    /// Operator 44 of the server: fold 2.
    Fold2 = 44,
    /// Operator 45 of the server: wrap 2.
    Wrap2 = 45,
    /// Operator 46 of the server: first argument.
    FirstArgument = 46,
    /// Operator 47 of the server: random range.
    RandomRange = 47,
    /// Operator 48 of the server: exponential random range.
    ExponentialRandomRange = 48,
}

impl BinaryOperator {
    const ALL: &'static [BinaryOperator] = &[
        Self::Addition,
        Self::Subtraction,
        Self::Multiplication,
        Self::IntegerDivision,
        Self::Division,
        Self::Modulo,
        Self::Equal,
        Self::NotEqual,
        Self::LessThan,
        Self::GreaterThan,
        Self::LessThanOrEqual,
        Self::GreaterThanOrEqual,
        Self::Minimum,
        Self::Maximum,
        Self::BitAnd,
        Self::BitOr,
        Self::BitXor,
        Self::LeastCommonMultiple,
        Self::GreatestCommonDivisor,
        Self::Round,
        Self::RoundUp,
        Self::Truncate,
        Self::ArcTangent2,
        Self::Hypotenuse,
        Self::HypotenuseApproximation,
        Self::Power,
        Self::ShiftLeft,
        Self::ShiftRight,
        Self::UnsignedShift,
        Self::Fill,
        Self::Ring1,
        Self::Ring2,
        Self::Ring3,
        Self::Ring4,
        Self::DifferenceOfSquares,
        Self::SumOfSquares,
        Self::SquareOfSum,
        Self::SquareOfDifference,
        Self::AbsoluteDifference,
        Self::Threshold,
        Self::AmplitudeClip,
        Self::ScaleNegative,
        Self::Clip2,
        Self::Excess,
        Self::Fold2,
        Self::Wrap2,
        Self::FirstArgument,
        Self::RandomRange,
        Self::ExponentialRandomRange,
    ];

    /// The operator by its number on the server.
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

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

impl UnaryOperator {
    /// The result for a number that is known while building; `None` where only the server knows.
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
    /// The result for numbers that are known while building; `None` where only the server knows.
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

/// Every operator of the server as a method, on signals and on UGens that are being built.
///
/// In the descriptions `a` is the signal and `b` the argument.
pub trait Operations: IntoSignal {
    /// `-a`.
    fn negate(self) -> Signal {
        unary(UnaryOperator::Negative, self.into_signal())
    }

    /// One where `a` is zero or below, else zero.
    fn logical_not(self) -> Signal {
        unary(UnaryOperator::Not, self.into_signal())
    }

    /// Inverts the bits of the integer part.
    fn bit_not(self) -> Signal {
        unary(UnaryOperator::BitNot, self.into_signal())
    }

    /// `|a|`.
    fn absolute(self) -> Signal {
        unary(UnaryOperator::Absolute, self.into_signal())
    }

    /// The integer part.
    fn integer_part(self) -> Signal {
        unary(UnaryOperator::AsInteger, self.into_signal())
    }

    /// Rounds up to an integer.
    fn ceiling(self) -> Signal {
        unary(UnaryOperator::Ceiling, self.into_signal())
    }

    /// Rounds down to an integer.
    fn floor(self) -> Signal {
        unary(UnaryOperator::Floor, self.into_signal())
    }

    /// What lies above the next lower integer.
    fn fractional_part(self) -> Signal {
        unary(UnaryOperator::FractionalPart, self.into_signal())
    }

    /// -1, 0 or 1.
    fn sign(self) -> Signal {
        unary(UnaryOperator::Sign, self.into_signal())
    }

    /// `a²`.
    fn squared(self) -> Signal {
        unary(UnaryOperator::Squared, self.into_signal())
    }

    /// `a³`.
    fn cubed(self) -> Signal {
        unary(UnaryOperator::Cubed, self.into_signal())
    }

    /// Square root; of a negative number the negative root of its absolute value.
    fn square_root(self) -> Signal {
        unary(UnaryOperator::SquareRoot, self.into_signal())
    }

    /// `e` to the power of `a`.
    fn exponential(self) -> Signal {
        unary(UnaryOperator::Exponential, self.into_signal())
    }

    /// `1 / a`.
    fn reciprocal(self) -> Signal {
        unary(UnaryOperator::Reciprocal, self.into_signal())
    }

    /// MIDI note number to frequency in hertz.
    fn midi_to_hertz(self) -> Signal {
        unary(UnaryOperator::MidiToHertz, self.into_signal())
    }

    /// Frequency in hertz to MIDI note number.
    fn hertz_to_midi(self) -> Signal {
        unary(UnaryOperator::HertzToMidi, self.into_signal())
    }

    /// Interval in semitones to frequency ratio.
    fn semitones_to_ratio(self) -> Signal {
        unary(UnaryOperator::SemitonesToRatio, self.into_signal())
    }

    /// Frequency ratio to interval in semitones.
    fn ratio_to_semitones(self) -> Signal {
        unary(UnaryOperator::RatioToSemitones, self.into_signal())
    }

    /// Decibels to linear amplitude.
    fn decibels_to_amplitude(self) -> Signal {
        unary(UnaryOperator::DecibelsToAmplitude, self.into_signal())
    }

    /// Linear amplitude to decibels.
    fn amplitude_to_decibels(self) -> Signal {
        unary(UnaryOperator::AmplitudeToDecibels, self.into_signal())
    }

    /// Decimal octaves to frequency in hertz.
    fn octave_to_hertz(self) -> Signal {
        unary(UnaryOperator::OctaveToHertz, self.into_signal())
    }

    /// Frequency in hertz to decimal octaves.
    fn hertz_to_octave(self) -> Signal {
        unary(UnaryOperator::HertzToOctave, self.into_signal())
    }

    /// Natural logarithm.
    fn logarithm(self) -> Signal {
        unary(UnaryOperator::Logarithm, self.into_signal())
    }

    /// Logarithm to base two.
    fn logarithm_2(self) -> Signal {
        unary(UnaryOperator::Logarithm2, self.into_signal())
    }

    /// Logarithm to base ten.
    fn logarithm_10(self) -> Signal {
        unary(UnaryOperator::Logarithm10, self.into_signal())
    }

    /// Sine of radians.
    fn sine(self) -> Signal {
        unary(UnaryOperator::Sine, self.into_signal())
    }

    /// Cosine of radians.
    fn cosine(self) -> Signal {
        unary(UnaryOperator::Cosine, self.into_signal())
    }

    /// Tangent of radians.
    fn tangent(self) -> Signal {
        unary(UnaryOperator::Tangent, self.into_signal())
    }

    /// Inverse sine in radians.
    fn arc_sine(self) -> Signal {
        unary(UnaryOperator::ArcSine, self.into_signal())
    }

    /// Inverse cosine in radians.
    fn arc_cosine(self) -> Signal {
        unary(UnaryOperator::ArcCosine, self.into_signal())
    }

    /// Inverse tangent in radians.
    fn arc_tangent(self) -> Signal {
        unary(UnaryOperator::ArcTangent, self.into_signal())
    }

    /// Hyperbolic sine.
    fn hyperbolic_sine(self) -> Signal {
        unary(UnaryOperator::HyperbolicSine, self.into_signal())
    }

    /// Hyperbolic cosine.
    fn hyperbolic_cosine(self) -> Signal {
        unary(UnaryOperator::HyperbolicCosine, self.into_signal())
    }

    /// Hyperbolic tangent; a smooth distortion.
    fn hyperbolic_tangent(self) -> Signal {
        unary(UnaryOperator::HyperbolicTangent, self.into_signal())
    }

    /// Random number from zero to `a`.
    fn random(self) -> Signal {
        unary(UnaryOperator::Random, self.into_signal())
    }

    /// Random number from `-a` to `a`.
    fn random_bipolar(self) -> Signal {
        unary(UnaryOperator::Random2, self.into_signal())
    }

    /// Random number from zero to `a`, the lower the likelier.
    fn linear_random(self) -> Signal {
        unary(UnaryOperator::LinearRandom, self.into_signal())
    }

    /// Random number from `-a` to `a`, the nearer to zero the likelier.
    fn bilinear_random(self) -> Signal {
        unary(UnaryOperator::BilinearRandom, self.into_signal())
    }

    /// Random number from `-a` to `a`, nearly normally distributed.
    fn sum_3_random(self) -> Signal {
        unary(UnaryOperator::Sum3Random, self.into_signal())
    }

    /// `a / (1 + |a|)`: a smooth distortion.
    fn distort(self) -> Signal {
        unary(UnaryOperator::Distort, self.into_signal())
    }

    /// Linear within ±0.5, bent beyond.
    fn soft_clip(self) -> Signal {
        unary(UnaryOperator::SoftClip, self.into_signal())
    }

    /// One with a chance of `a`, else zero.
    fn coin(self) -> Signal {
        unary(UnaryOperator::Coin, self.into_signal())
    }

    /// Zero.
    fn silence(self) -> Signal {
        unary(UnaryOperator::Silence, self.into_signal())
    }

    /// The signal itself.
    fn through(self) -> Signal {
        unary(UnaryOperator::Through, self.into_signal())
    }

    /// One between 0 and 1, else zero.
    fn rectangle_window(self) -> Signal {
        unary(UnaryOperator::RectangleWindow, self.into_signal())
    }

    /// Hann window over 0 to 1.
    fn hanning_window(self) -> Signal {
        unary(UnaryOperator::HanningWindow, self.into_signal())
    }

    /// Welch window over 0 to 1.
    fn welch_window(self) -> Signal {
        unary(UnaryOperator::WelchWindow, self.into_signal())
    }

    /// Triangle over 0 to 1.
    fn triangle_window(self) -> Signal {
        unary(UnaryOperator::TriangleWindow, self.into_signal())
    }

    /// Limits to 0 to 1.
    fn ramp(self) -> Signal {
        unary(UnaryOperator::Ramp, self.into_signal())
    }

    /// S-shaped curve from 0 to 1.
    fn s_curve(self) -> Signal {
        unary(UnaryOperator::SCurve, self.into_signal())
    }

    /// Quotient without its fraction.
    fn integer_division(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::IntegerDivision, self.into_signal(), other.into_signal())
    }

    /// Remainder with the divisor's sign.
    fn modulo(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Modulo, self.into_signal(), other.into_signal())
    }

    /// One where both are equal, else zero.
    fn equal(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Equal, self.into_signal(), other.into_signal())
    }

    /// One where both differ, else zero.
    fn not_equal(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::NotEqual, self.into_signal(), other.into_signal())
    }

    /// One where `a < b`, else zero.
    fn less_than(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::LessThan, self.into_signal(), other.into_signal())
    }

    /// One where `a > b`, else zero.
    fn greater_than(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::GreaterThan, self.into_signal(), other.into_signal())
    }

    /// One where `a <= b`, else zero.
    fn less_than_or_equal(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::LessThanOrEqual, self.into_signal(), other.into_signal())
    }

    /// One where `a >= b`, else zero.
    fn greater_than_or_equal(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::GreaterThanOrEqual, self.into_signal(), other.into_signal())
    }

    /// The smaller.
    fn minimum(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Minimum, self.into_signal(), other.into_signal())
    }

    /// The larger.
    fn maximum(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Maximum, self.into_signal(), other.into_signal())
    }

    /// Bitwise and of the integer parts.
    fn bit_and(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::BitAnd, self.into_signal(), other.into_signal())
    }

    /// Bitwise or of the integer parts.
    fn bit_or(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::BitOr, self.into_signal(), other.into_signal())
    }

    /// Bitwise exclusive or of the integer parts.
    fn bit_xor(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::BitXor, self.into_signal(), other.into_signal())
    }

    /// Least common multiple.
    fn least_common_multiple(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::LeastCommonMultiple, self.into_signal(), other.into_signal())
    }

    /// Greatest common divisor.
    fn greatest_common_divisor(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::GreatestCommonDivisor, self.into_signal(), other.into_signal())
    }

    /// Rounds to a multiple of `b`.
    fn round_to(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Round, self.into_signal(), other.into_signal())
    }

    /// Rounds up to a multiple of `b`.
    fn round_up_to(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::RoundUp, self.into_signal(), other.into_signal())
    }

    /// Rounds towards zero to a multiple of `b`.
    fn truncate_to(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Truncate, self.into_signal(), other.into_signal())
    }

    /// Angle of the point (b, a) in radians.
    fn arc_tangent_2(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::ArcTangent2, self.into_signal(), other.into_signal())
    }

    /// Square root of `a² + b²`.
    fn hypotenuse(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Hypotenuse, self.into_signal(), other.into_signal())
    }

    /// Quick approximation of the hypotenuse.
    fn hypotenuse_approximation(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::HypotenuseApproximation, self.into_signal(), other.into_signal())
    }

    /// `a` to the power of `b`.
    fn power(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Power, self.into_signal(), other.into_signal())
    }

    /// Shifts bits to the left.
    fn shift_left(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::ShiftLeft, self.into_signal(), other.into_signal())
    }

    /// Shifts bits to the right.
    fn shift_right(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::ShiftRight, self.into_signal(), other.into_signal())
    }

    /// Shifts bits to the right, filling with zeros.
    fn unsigned_shift(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::UnsignedShift, self.into_signal(), other.into_signal())
    }

    /// `a * b + a`.
    fn ring_1(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Ring1, self.into_signal(), other.into_signal())
    }

    /// `a * b + a + b`.
    fn ring_2(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Ring2, self.into_signal(), other.into_signal())
    }

    /// `a * a * b`.
    fn ring_3(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Ring3, self.into_signal(), other.into_signal())
    }

    /// `a * a * b - a * b * b`.
    fn ring_4(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Ring4, self.into_signal(), other.into_signal())
    }

    /// `a² - b²`.
    fn difference_of_squares(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::DifferenceOfSquares, self.into_signal(), other.into_signal())
    }

    /// `a² + b²`.
    fn sum_of_squares(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::SumOfSquares, self.into_signal(), other.into_signal())
    }

    /// `(a + b)²`.
    fn square_of_sum(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::SquareOfSum, self.into_signal(), other.into_signal())
    }

    /// `(a - b)²`.
    fn square_of_difference(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::SquareOfDifference, self.into_signal(), other.into_signal())
    }

    /// `|a - b|`.
    fn absolute_difference(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::AbsoluteDifference, self.into_signal(), other.into_signal())
    }

    /// `a` where it is not below `b`, else zero.
    fn threshold(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Threshold, self.into_signal(), other.into_signal())
    }

    /// `a * b` where `b` is positive, else zero.
    fn amplitude_clip(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::AmplitudeClip, self.into_signal(), other.into_signal())
    }

    /// `a * b` where `a` is negative, else `a`.
    fn scale_negative(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::ScaleNegative, self.into_signal(), other.into_signal())
    }

    /// Limits `a` to ±`b`.
    fn clip_2(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Clip2, self.into_signal(), other.into_signal())
    }

    /// What `clip_2` takes away.
    fn excess(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Excess, self.into_signal(), other.into_signal())
    }

    /// Folds `a` into ±`b`.
    fn fold_2(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Fold2, self.into_signal(), other.into_signal())
    }

    /// Wraps `a` into ±`b`.
    fn wrap_2(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::Wrap2, self.into_signal(), other.into_signal())
    }

    /// `a`, once `b` has been computed.
    fn first_argument(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::FirstArgument, self.into_signal(), other.into_signal())
    }

    /// Random number between `a` and `b`.
    fn random_range(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::RandomRange, self.into_signal(), other.into_signal())
    }

    /// Random number between `a` and `b`, exponential distribution.
    fn exponential_random_range(self, other: impl IntoSignal) -> Signal {
        binary(BinaryOperator::ExponentialRandomRange, self.into_signal(), other.into_signal())
    }
}
