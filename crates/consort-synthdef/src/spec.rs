//! The ground floor: what a UGen is like (a row of the table), and what a row may do to its
//! inputs before they enter the graph.

use crate::rate::Rate;
use crate::signal::Signal;

/// The maximum number of parameters of a row.
pub(crate) const MAX_PARAMETERS: usize = 16;

/// What a UGen is like: a row of the table of UGens.
///
/// The names, rates, parameters, defaults and output counts are those of the standard server's
/// plugins; the order of `parameters` is the order of the inputs in a compiled SynthDef.
#[derive(Debug)]
#[non_exhaustive]
pub struct UGenSpec {
    /// Name of the UGen on the server, for example `SinOsc`.
    pub name: &'static str,
    /// Rates at which the UGen runs; empty for those whose rate follows their inputs.
    pub rates: &'static [Rate],
    /// Inputs in the order of the compiled form.
    pub parameters: &'static [UGenParameter],
    /// How many outputs the UGen has.
    pub outputs: Outputs,
    /// Properties that the compiler and the checks depend on.
    pub flags: UGenFlags,
    /// One line of documentation.
    pub documentation: &'static str,
    /// How the compiler treats the UGen.
    pub(crate) role: CompilerRole,
    /// Changes the inputs before they enter the graph, for the few UGens that need it.
    pub(crate) prepare: Option<Prepare>,
}

/// A parameter of a UGen.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct UGenParameter {
    /// Name in lower case with underscores.
    pub name: &'static str,
    /// Value if none is given.
    pub default: ParameterDefault,
    /// Whether the parameter takes a list of signals, each of which becomes an input of its own,
    /// instead of being expanded into several UGens.
    pub list: bool,
}

impl UGenParameter {
    /// A parameter; for the tables of this crate.
    pub(crate) const fn new(name: &'static str, default: ParameterDefault, list: bool) -> Self {
        Self { name, default, list }
    }
}

/// The value of a parameter that is not given.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ParameterDefault {
    /// None: the parameter has to be given.
    Required,
    /// This number.
    Value(f64),
    /// Depends on the other parameters or on the rate.
    Automatic,
}

impl ParameterDefault {
    /// The default as a signal, if it is a number.
    pub(crate) fn signal(self) -> Option<Signal> {
        match self {
            Self::Value(value) => Some(Signal::number(value)),
            Self::Required | Self::Automatic => None,
        }
    }
}

/// How many outputs a UGen has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outputs {
    /// Always this many.
    Fixed(u16),
    /// As many as `channels` asks for; this many if it was not called.
    Variable(u16),
    /// Depends on the inputs.
    ByInput,
}

bitflags::bitflags! {
    /// Properties of a UGen that the compiler and the checks depend on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct UGenFlags: u8 {
        /// Has no side effects: removed if nothing reads it.
        const PURE = 1;
        /// Runs before every UGen that was built after it.
        const WIDTH_FIRST = 1 << 1;
        /// Sets the server's done flag, which `Done` and `FreeSelfWhenDone` read.
        const DONE = 1 << 2;
        /// Reads buses.
        const INPUT = 1 << 3;
        /// Writes buses.
        const OUTPUT = 1 << 4;
        /// Changes a spectrum in place, so that a second reader needs a copy.
        const PV_CHAIN = 1 << 5;
        /// Takes values from demand-rate signals.
        const DEMAND_CONSUMER = 1 << 6;
        /// At audio rate the first input has to run at audio rate, too.
        const SAME_RATE = 1 << 7;
    }
}

/// UGens that the compiler recognises, copies or inserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompilerRole {
    /// Compiled as it was built.
    Ordinary,
    /// Begins a chain of spectra; its buffer has the size that copies need.
    Fft,
    /// The copy of a spectrum; reads a chain without changing it.
    PvCopy,
    /// A local buffer; its last input is the `MaxLocalBufs` of the SynthDef.
    LocalBuf,
    /// The number of local buffers; the compiler inserts one and drops all others.
    MaxLocalBufs,
}

/// Changes the inputs of a UGen before they enter the graph.
///
/// # Errors
/// A message without the UGen's name; the graph adds it.
pub(crate) type Prepare = fn(&mut UGenDraft<'_>) -> Result<(), String>;

/// A UGen with its inputs before it enters the graph.
pub(crate) struct UGenDraft<'a> {
    pub(crate) spec: &'static UGenSpec,
    pub(crate) rate: Rate,
    /// How many outputs the UGen gets.
    pub(crate) outputs: u16,
    /// One entry for each parameter; `None` for an automatic one that was not given.
    pub(crate) inputs: &'a mut [Option<Signal>],
    /// The inputs of the compiled UGen, if they are not those of `inputs` in their order.
    pub(crate) compiled_inputs: Option<Vec<Signal>>,
    pub(crate) graph: &'a mut dyn DraftGraph,
}

/// What a draft may ask of the graph that it is about to enter. A trait, so that the rows of the
/// table do not depend on the graph.
pub(crate) trait DraftGraph {
    /// Appends the channels of a list, or the one signal.
    fn flatten_into(&self, signal: Signal, signals: &mut Vec<Signal>);
    /// The name of the UGen whose output the signal is; `Control` or `Number` for others.
    fn source_name(&self, signal: Signal) -> String;
    /// Adds a UGen of one output, whose inputs are single channels.
    fn add_helper(&mut self, spec: &'static UGenSpec, rate: Rate, inputs: &[Signal]) -> Signal;
}

impl UGenDraft<'_> {
    /// The value of an input that is a number.
    pub(crate) fn number(&self, position: usize) -> Option<f64> {
        self.inputs[position].and_then(Signal::as_number)
    }

    /// The channels of an input; none if it was not given.
    pub(crate) fn channels(&self, position: usize) -> Vec<Signal> {
        let mut signals = Vec::new();
        if let Some(input) = self.inputs[position] {
            self.graph.flatten_into(input, &mut signals);
        }
        signals
    }

    /// The inputs before `end` that were given, as they are.
    pub(crate) fn given_before(&self, end: usize) -> Vec<Signal> {
        self.inputs[..end].iter().copied().flatten().collect()
    }
}

/// The bytes of a text as numbers: how UGens take text.
pub(crate) fn text_signals(text: &str) -> Vec<Signal> {
    text.bytes().map(|byte| Signal::number(f64::from(byte))).collect()
}

impl UGenSpec {
    /// Position of a parameter by name.
    pub const fn position(&self, name: &str) -> Option<usize> {
        let mut index = 0;
        while index < self.parameters.len() {
            if same(self.parameters[index].name.as_bytes(), name.as_bytes()) {
                return Some(index);
            }
            index += 1;
        }
        None
    }

    /// Whether the UGen runs at the rate.
    pub fn supports(&self, rate: Rate) -> bool {
        self.rates.is_empty() || self.rates.contains(&rate)
    }
}

/// Compares two byte strings while compiling, where `==` cannot be used.
const fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut index = 0;
    while index < left.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// A UGen of the table as a type.
pub trait UGenType {
    /// The row of the table.
    const SPEC: &'static UGenSpec;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ugens::SinOsc;

    #[test]
    fn parameters_are_found_by_their_whole_name() {
        let spec = SinOsc::SPEC;
        assert_eq!(spec.position("frequency"), Some(0));
        assert_eq!(spec.position("phase"), Some(1));
        assert_eq!(spec.position("freq"), None);
    }

    #[test]
    fn a_ugen_without_a_list_of_rates_runs_at_any_rate() {
        assert!(!SinOsc::SPEC.supports(Rate::Demand));
        assert!(crate::builtin::BINARY_OPERATOR.supports(Rate::Demand));
    }

    #[test]
    fn only_numbers_are_defaults_that_can_be_filled_in() {
        assert_eq!(ParameterDefault::Value(0.5).signal(), Some(Signal::number(0.5)));
        assert_eq!(ParameterDefault::Required.signal(), None);
        assert_eq!(ParameterDefault::Automatic.signal(), None);
    }
}
