//! Sums and products in one UGen, whose rate follows their inputs.

use crate::builtin::{MUL_ADD, SUM_3, SUM_4};
use crate::conversion::IntoSignal;
use crate::open;
use crate::signal::Signal;
use crate::spec::{UGenSpec, UGenType};

/// Multiplies and adds in one UGen where the rates allow it, and in two operators otherwise. A
/// multiplier of 0, 1 or -1 and an addend of 0 are simplified away.
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
        open::multiply_add(source.into_signal(), multiplier.into_signal(), addend.into_signal())
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
        open::sum_3([first.into_signal(), second.into_signal(), third.into_signal()])
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
        open::sum_4([
            first.into_signal(),
            second.into_signal(),
            third.into_signal(),
            fourth.into_signal(),
        ])
    }
}
