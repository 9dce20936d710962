//! Signals: handles to what UGens produce and take.

use crate::rate::Rate;

/// A number, an output of a UGen, or several of these: the channels of a signal.
///
/// A signal is a small handle into the SynthDef that is being built; copy it as often as you
/// like. A signal that is used outside of its SynthDef makes the build fail with
/// [`ForeignSignal`](crate::SynthDefErrorKind::ForeignSignal).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signal(pub(crate) Repr);

/// What a signal refers to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Repr {
    /// A number.
    Constant(f64),
    /// One output of a UGen, or one value of a control.
    Output { graph: u32, node: u32, output: u16, rate: Rate },
    /// A list of signals: a range of the graph's arena of lists. `depth` is 1 for a list of
    /// single channels, and one more than its deepest item otherwise.
    Array { graph: u32, start: u32, length: u32, depth: u8 },
    /// Replaces a signal that could not be built; the graph holds the error.
    Invalid,
}

impl Signal {
    /// The signal that replaces one that could not be built.
    pub(crate) const INVALID: Self = Self(Repr::Invalid);

    /// A signal that is a number.
    pub(crate) const fn number(value: f64) -> Self {
        Self(Repr::Constant(value))
    }

    /// The value of a signal that is a number.
    pub(crate) fn as_number(self) -> Option<f64> {
        match self.0 {
            Repr::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// Whether the signal is this number; outputs of UGens never are.
    pub(crate) fn is_number(self, number: f64) -> bool {
        self.as_number() == Some(number)
    }

    /// Whether the signal is a list of channels.
    pub(crate) fn is_array(self) -> bool {
        matches!(self.0, Repr::Array { .. })
    }

    /// The rate of a single channel; numbers and lists count as scalar.
    pub(crate) fn single_rate(self) -> Rate {
        match self.0 {
            Repr::Output { rate, .. } => rate,
            _ => Rate::Scalar,
        }
    }

    /// The signal itself, so that signals and UGens can be written alike.
    #[must_use]
    pub fn signal(self) -> Self {
        self
    }

    /// Number of channels: one for a number or an output.
    pub fn channel_count(self) -> usize {
        match self.0 {
            Repr::Array { length, .. } => length as usize,
            _ => 1,
        }
    }
}
