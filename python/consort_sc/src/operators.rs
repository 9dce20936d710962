//! The methods of `UGenOperable` that apply operators. The numbers are those of the server.
#![allow(unsafe_op_in_unsafe_fn)] // in what PyO3 makes of special methods inside of macros

use pyo3::prelude::*;

use crate::algebra;
use crate::operable::UGenOperable;
use crate::value::Value;

/// Defines methods that apply an operator to the object.
macro_rules! unary_methods {
    ($($name:ident $number:literal $doc:literal;)*) => {
        #[pymethods]
        impl UGenOperable {
            $(
                #[doc = $doc]
                fn $name<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                    algebra::unary(slf.as_any(), $number)
                }
            )*
        }
    };
}

/// Defines methods that apply an operator to the object and an argument.
macro_rules! binary_methods {
    ($($name:ident $number:literal $doc:literal;)*) => {
        #[pymethods]
        impl UGenOperable {
            $(
                #[doc = $doc]
                fn $name<'py>(
                    slf: &Bound<'py, Self>,
                    expr: &Bound<'py, PyAny>,
                ) -> PyResult<Bound<'py, PyAny>> {
                    algebra::binary(slf.as_any(), expr, $number)
                }
            )*
        }
    };
}

/// Defines the special methods of Python's operators, with the object on the left and on the right.
macro_rules! operator_methods {
    ($($left:ident $right:ident $number:literal;)*) => {
        #[pymethods]
        impl UGenOperable {
            $(
                fn $left<'py>(
                    slf: &Bound<'py, Self>,
                    expr: &Bound<'py, PyAny>,
                ) -> PyResult<Bound<'py, PyAny>> {
                    algebra::binary(slf.as_any(), expr, $number)
                }

                fn $right<'py>(
                    slf: &Bound<'py, Self>,
                    expr: &Bound<'py, PyAny>,
                ) -> PyResult<Bound<'py, PyAny>> {
                    algebra::binary(expr, slf.as_any(), $number)
                }
            )*
        }
    };
}

unary_methods! {
    acos 32 "Inverse cosine, in radians.";
    amplitude_to_db 22 "Converts a linear amplitude to decibels.";
    asin 31 "Inverse sine, in radians.";
    atan 33 "Inverse tangent, in radians.";
    bi_lin_rand 40 "Random number from `-a` to `a`; numbers near zero are more likely.";
    bi_rand 38 "Random number from `-a` to `a`, evenly distributed.";
    cos 29 "Cosine of an angle in radians.";
    cosh 35 "Hyperbolic cosine.";
    cubed 13 "Third power.";
    db_to_amplitude 21 "Converts decibels to a linear amplitude.";
    digit_value 7 "The integer part.";
    distort 42 "A smooth distortion, `a / (1 + abs(a))`.";
    exponential 15 "`e` to the power of the signal.";
    fractional_part 10 "Distance from the next lower integer.";
    hanning_window 49 "Hann window for a signal from 0 to 1, else zero.";
    hz_to_midi 18 "Converts a frequency in hertz to a MIDI note number.";
    hz_to_octave 24 "Converts a frequency in hertz to decimal octaves.";
    lin_rand 39 "Random number from zero to `a`; lower numbers are more likely.";
    log 25 "Natural logarithm.";
    log10 27 "Logarithm to base ten.";
    log2 26 "Logarithm to base two.";
    midi_to_hz 17 "Converts a MIDI note number to a frequency in hertz.";
    octave_to_hz 23 "Converts decimal octaves to a frequency in hertz.";
    rand 37 "Random number from zero to `a`, evenly distributed.";
    ratio_to_semitones 20 "Converts a frequency ratio to semitones.";
    reciprocal 16 "`1 / a`.";
    rectangle_window 48 "Rectangular window: one for a signal from 0 to 1, else zero.";
    s_curve 53 "S-shaped curve from 0 to 1.";
    semitones_to_ratio 19 "Converts semitones to a frequency ratio.";
    sign 11 "-1, 0 or 1: the sign of the signal.";
    silence 46 "Zero, whatever the signal is.";
    sin 28 "Sine of an angle in radians.";
    sinh 34 "Hyperbolic sine.";
    softclip 43 "Distortion that is linear within 0.5 and approaches 1.";
    sqrt 14 "Square root.";
    squared 12 "Second power.";
    sum3_rand 41 "Random number from `-a` to `a`, nearly normally distributed.";
    tan 30 "Tangent of an angle in radians.";
    tanh 36 "Hyperbolic tangent, a smooth distortion.";
    through 47 "The signal, unchanged.";
    triangle_window 51 "Triangular window for a signal from 0 to 1, else zero.";
    welch_window 50 "Welch window for a signal from 0 to 1, else zero.";
    __abs__ 5 "Absolute value.";
    __ceil__ 8 "Rounds up to an integer.";
    __floor__ 9 "Rounds down to an integer.";
    __invert__ 4 "Inverts the bits of the integer part.";
    __neg__ 0 "Changes the sign.";
}

binary_methods! {
    absdiff 38 "Absolute value of the difference.";
    am_clip 40 "The signal multiplied by the positive part of the other.";
    atan2 22 "Angle of the point with these coordinates, in radians.";
    clip2 42 "Limits the signal to the range from `-b` to `b`.";
    difference_of_squares 34 "`a² - b²`.";
    exceeds 39 "The signal where it is at least `b`, else zero.";
    excess 43 "What `clip2` cuts off.";
    exponential_rand_range 48 "Random number between both, exponentially distributed.";
    fill 29 "Reserved by the server.";
    first_arg 46 "The signal; both are computed.";
    fold2 44 "Folds the signal into the range from `-b` to `b`.";
    gcd 18 "Greatest common divisor.";
    hypot 23 "`sqrt(a² + b²)`.";
    hypotx 24 "An approximation of `hypot`.";
    is_equal_to 6 "One where both are equal, else zero.";
    is_not_equal_to 7 "One where both differ, else zero.";
    lcm 17 "Least common multiple.";
    max 13 "The larger of both.";
    min 12 "The smaller of both.";
    rand_range 47 "Random number between both, evenly distributed.";
    ring1 30 "`a * b + a`.";
    ring2 31 "`a * b + a + b`.";
    ring3 32 "`a * a * b`.";
    ring4 33 "`a * a * b - a * b * b`.";
    round 19 "Rounds to the nearest multiple.";
    round_up 20 "Rounds up to a multiple.";
    scale_negative 41 "Multiplies the negative part of the signal.";
    square_of_difference 37 "`(a - b)²`.";
    square_of_sum 36 "`(a + b)²`.";
    sum_of_squares 35 "`a² + b²`.";
    truncate 21 "Rounds down to a multiple.";
    unsigned_shift 28 "Shifts bits to the right without sign.";
    wrap2 45 "Wraps the signal into the range from `-b` to `b`.";
}

operator_methods! {
    __add__ __radd__ 0;
    __sub__ __rsub__ 1;
    __mul__ __rmul__ 2;
    __floordiv__ __rfloordiv__ 3;
    __truediv__ __rtruediv__ 4;
    __mod__ __rmod__ 5;
    __and__ __rand__ 14;
    __or__ __ror__ 15;
    __xor__ __rxor__ 16;
    __lshift__ __rlshift__ 26;
    __rshift__ __rrshift__ 27;
}

#[pymethods]
impl UGenOperable {
    fn __pow__<'py>(
        slf: &Bound<'py, Self>,
        expr: &Bound<'py, PyAny>,
        _modulo: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        algebra::binary(slf.as_any(), expr, 25)
    }

    fn __rpow__<'py>(
        slf: &Bound<'py, Self>,
        expr: &Bound<'py, PyAny>,
        _modulo: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        algebra::binary(expr, slf.as_any(), 25)
    }

    /// Transposes a frequency in hertz by semitones.
    fn transpose<'py>(
        slf: &Bound<'py, Self>,
        semitones: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let note = algebra::unary(slf.as_any(), 18)?;
        algebra::unary(&algebra::binary(&note, semitones, algebra::ADDITION)?, 17)
    }

    /// Maps a range to another: linearly, or exponentially with `LinExp`.
    #[pyo3(signature = (input_minimum, input_maximum, output_minimum, output_maximum,
        exponential=false))]
    fn scale<'py>(
        slf: &Bound<'py, Self>,
        input_minimum: &Bound<'py, PyAny>,
        input_maximum: &Bound<'py, PyAny>,
        output_minimum: &Bound<'py, PyAny>,
        output_maximum: &Bound<'py, PyAny>,
        exponential: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        if exponential {
            let more = [
                Value::from_python(input_minimum, Some("input_minimum"))?,
                Value::from_python(input_maximum, Some("input_maximum"))?,
                Value::from_python(output_minimum, Some("output_minimum"))?,
                Value::from_python(output_maximum, Some("output_maximum"))?,
            ];
            return algebra::mapped(slf.as_any(), "LinExp", None, more);
        }
        let module = slf.py().import("consort_sc.ugens.lines")?;
        let arguments = (slf, input_minimum, input_maximum, output_minimum, output_maximum);
        module.call_method1("_linear_map", arguments)
    }

    /// Smooths changes with `Lag`, `Lag2` or `Lag3`, or with `LagUD`, `Lag2UD` or `Lag3UD` if times
    /// up and down differ. Times are in seconds; `factor` is 1, 2 or 3.
    #[pyo3(
        signature = (lag_time_up=None, lag_time_down=None, factor=1),
        text_signature = "($self, lag_time_up=0.5, lag_time_down=None, factor=1)"
    )]
    fn lagged<'py>(
        slf: &Bound<'py, Self>,
        lag_time_up: Option<&Bound<'py, PyAny>>,
        lag_time_down: Option<&Bound<'py, PyAny>>,
        factor: i64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut name = match factor {
            1 => "Lag".to_owned(),
            2 | 3 => format!("Lag{factor}"),
            _ => {
                return Err(pyo3::exceptions::PyValueError::new_err(format!(
                    "invalid factor {factor}: expected 1, 2 or 3"
                )));
            }
        };
        let mut more = vec![match lag_time_up {
            Some(time) => Value::from_python(time, Some("lag_time_up"))?,
            None => Value::Number(0.5),
        }];
        if let Some(time) = lag_time_down {
            name.push_str("UD");
            more.push(Value::from_python(time, Some("lag_time_down"))?);
        }
        algebra::mapped(slf.as_any(), &name, None, more)
    }
}
