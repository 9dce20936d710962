//! The rows of the UGens that the graph and the compiler add by themselves: operators, sums and
//! controls. Instruments use them through the operators of Rust, `MulAdd`, `Sum3`, `Sum4` and
//! `Controls`, not through `UGenSpec::at`.

use crate::rate::Rate;
use crate::spec::{
    CompilerRole, Outputs, ParameterDefault, UGenDraft, UGenFlags, UGenParameter, UGenSpec,
};

const fn required(name: &'static str) -> UGenParameter {
    UGenParameter::new(name, ParameterDefault::Required, false)
}

const fn value(name: &'static str, value: f64) -> UGenParameter {
    UGenParameter::new(name, ParameterDefault::Value(value), false)
}

const fn spec(
    name: &'static str,
    rates: &'static [Rate],
    parameters: &'static [UGenParameter],
    flags: UGenFlags,
    documentation: &'static str,
) -> UGenSpec {
    UGenSpec {
        name,
        rates,
        parameters,
        outputs: Outputs::Fixed(1),
        flags,
        documentation,
        role: CompilerRole::Ordinary,
        prepare: Some(reject_direct_use),
    }
}

/// Rejects `UGenSpec::at`, which cannot set the rate of these UGens (it follows from their inputs)
/// or the special index of operators.
fn reject_direct_use(_: &mut UGenDraft<'_>) -> Result<(), String> {
    Err("its rate follows from its inputs: use the type of this name, the operators, or controls"
        .into())
}

const NONE: UGenFlags = UGenFlags::empty();

/// An operator on one signal; the special index is its number.
pub(crate) static UNARY_OPERATOR: UGenSpec = spec(
    "UnaryOpUGen",
    &[],
    &[required("source")],
    UGenFlags::PURE,
    "Applies an operator to one signal.",
);

/// An operator on two signals; the special index is its number.
pub(crate) static BINARY_OPERATOR: UGenSpec = spec(
    "BinaryOpUGen",
    &[],
    &[required("left"), required("right")],
    UGenFlags::PURE,
    "Applies an operator to two signals.",
);

/// Controls at scalar or control rate.
pub(crate) static CONTROL: UGenSpec = spec(
    "Control",
    &[Rate::Scalar, Rate::Control],
    &[],
    NONE,
    "Controls of the synth; the compiler adds it.",
);

/// Controls that return to zero after one control period.
pub(crate) static TRIG_CONTROL: UGenSpec = spec(
    "TrigControl",
    &[Rate::Control],
    &[],
    NONE,
    "Controls that return to zero after one control period; the compiler adds it.",
);

/// Controls at audio rate.
pub(crate) static AUDIO_CONTROL: UGenSpec = spec(
    "AudioControl",
    &[Rate::Audio],
    &[],
    NONE,
    "Controls at audio rate; the compiler adds it.",
);

/// Controls at control rate of which at least one has a lag.
pub(crate) static LAG_CONTROL: UGenSpec = spec(
    "LagControl",
    &[Rate::Control],
    &[UGenParameter::new("lags", ParameterDefault::Required, true)],
    NONE,
    "Smoothed controls; the compiler adds it.",
);

/// `source * multiplier + addend`.
pub(crate) static MUL_ADD: UGenSpec = spec(
    "MulAdd",
    &[],
    &[required("source"), value("multiplier", 1.0), value("addend", 0.0)],
    NONE,
    "Multiplies and adds in one UGen.",
);

/// The sum of three signals.
pub(crate) static SUM_3: UGenSpec = spec(
    "Sum3",
    &[],
    &[required("first"), required("second"), required("third")],
    NONE,
    "Adds three signals in one UGen.",
);

/// The sum of four signals.
pub(crate) static SUM_4: UGenSpec = spec(
    "Sum4",
    &[],
    &[required("first"), required("second"), required("third"), required("fourth")],
    NONE,
    "Adds four signals in one UGen.",
);

/// All rows of this file.
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

/// Whether a UGen with this name holds the values of controls.
pub(crate) fn is_control(name: &str) -> bool {
    ["Control", "TrigControl", "AudioControl", "LagControl"].contains(&name)
}
