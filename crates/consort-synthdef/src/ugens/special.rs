//! UGens whose rate follows their inputs, and those that the compiler itself adds.

use super::table::{Hook, Outputs, ParameterDefault, UGenFlags, UGenParameter, UGenSpec, UGenType};
use crate::synthdef::{IntoSignal, Rate, Signal, multiply_add, sum_three_or_four};

const fn required(name: &'static str) -> UGenParameter {
    UGenParameter { name, default: ParameterDefault::Required, list: false }
}

const fn value(name: &'static str, value: f64) -> UGenParameter {
    UGenParameter { name, default: ParameterDefault::Value(value), list: false }
}

const fn spec(
    name: &'static str,
    rates: &'static [Rate],
    parameters: &'static [UGenParameter],
    flags: UGenFlags,
    hook: Hook,
    documentation: &'static str,
) -> UGenSpec {
    UGenSpec { name, rates, parameters, outputs: Outputs::Fixed(1), flags, documentation, hook }
}

const NONE: UGenFlags = UGenFlags::empty();

pub(crate) static UNARY_OPERATOR: UGenSpec = spec(
    "UnaryOpUGen",
    &[],
    &[required("source")],
    UGenFlags::PURE,
    Hook::Operator,
    "Applies an operator to one signal.",
);

pub(crate) static BINARY_OPERATOR: UGenSpec = spec(
    "BinaryOpUGen",
    &[],
    &[required("left"), required("right")],
    UGenFlags::PURE,
    Hook::Operator,
    "Applies an operator to two signals.",
);

pub(crate) static CONTROL: UGenSpec = spec(
    "Control",
    &[Rate::Scalar, Rate::Control],
    &[],
    NONE,
    Hook::Control,
    "Controls of the synth; the compiler adds it.",
);

pub(crate) static TRIG_CONTROL: UGenSpec = spec(
    "TrigControl",
    &[Rate::Control],
    &[],
    NONE,
    Hook::Control,
    "Controls that fall back to zero after one control period; the compiler adds it.",
);

pub(crate) static AUDIO_CONTROL: UGenSpec = spec(
    "AudioControl",
    &[Rate::Audio],
    &[],
    NONE,
    Hook::Control,
    "Controls at audio rate; the compiler adds it.",
);

pub(crate) static LAG_CONTROL: UGenSpec = spec(
    "LagControl",
    &[Rate::Control],
    &[UGenParameter { name: "lags", default: ParameterDefault::Required, list: true }],
    NONE,
    Hook::Control,
    "Smoothed controls; the compiler adds it.",
);

static MUL_ADD: UGenSpec = spec(
    "MulAdd",
    &[],
    &[required("source"), value("multiplier", 1.0), value("addend", 0.0)],
    NONE,
    Hook::Sum,
    "Multiplies and adds in one UGen.",
);

static SUM_3: UGenSpec = spec(
    "Sum3",
    &[],
    &[required("first"), required("second"), required("third")],
    NONE,
    Hook::Sum,
    "Adds three signals in one UGen.",
);

static SUM_4: UGenSpec = spec(
    "Sum4",
    &[],
    &[required("first"), required("second"), required("third"), required("fourth")],
    NONE,
    Hook::Sum,
    "Adds four signals in one UGen.",
);

pub(crate) const TABLE: &[&UGenSpec] = &[
    &UNARY_OPERATOR,
    &BINARY_OPERATOR,
    &CONTROL,
    &TRIG_CONTROL,
    &AUDIO_CONTROL,
    &LAG_CONTROL,
    &MUL_ADD,
    &SUM_3,
    &SUM_4,
];

/// Multiplies and adds in one UGen where the rates allow it; where a factor or a summand is
/// neutral, less than that.
#[derive(Clone, Copy, Debug)]
pub struct MulAdd;

impl UGenType for MulAdd {
    const SPEC: &'static UGenSpec = &MUL_ADD;
}

impl MulAdd {
    /// `source * multiplier + addend`, each channel at the highest rate of its inputs.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(
        source: impl IntoSignal,
        multiplier: impl IntoSignal,
        addend: impl IntoSignal,
    ) -> Signal {
        multiply_add(source.into_signal(), multiplier.into_signal(), addend.into_signal())
    }
}

/// Adds three signals in one UGen.
#[derive(Clone, Copy, Debug)]
pub struct Sum3;

impl UGenType for Sum3 {
    const SPEC: &'static UGenSpec = &SUM_3;
}

impl Sum3 {
    /// `first + second + third`, each channel at the highest rate of its inputs.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(first: impl IntoSignal, second: impl IntoSignal, third: impl IntoSignal) -> Signal {
        sum_three_or_four(&[first.into_signal(), second.into_signal(), third.into_signal()])
    }
}

/// Adds four signals in one UGen.
#[derive(Clone, Copy, Debug)]
pub struct Sum4;

impl UGenType for Sum4 {
    const SPEC: &'static UGenSpec = &SUM_4;
}

impl Sum4 {
    /// `first + second + third + fourth`, each channel at the highest rate of its inputs.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(
        first: impl IntoSignal,
        second: impl IntoSignal,
        third: impl IntoSignal,
        fourth: impl IntoSignal,
    ) -> Signal {
        sum_three_or_four(&[
            first.into_signal(),
            second.into_signal(),
            third.into_signal(),
            fourth.into_signal(),
        ])
    }
}
