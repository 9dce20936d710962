//! UGens while they are being built.

use std::marker::PhantomData;

use crate::conversion::IntoSignal;
use crate::error::{SynthDefError, SynthDefErrorKind};
use crate::open;
use crate::rate::Rate;
use crate::signal::Signal;
use crate::spec::{UGenSpec, UGenType};

/// A UGen whose inputs can still be set.
///
/// It is added to the SynthDef when it is used: as an input of another UGen, in arithmetic, by
/// [`signal`](UGenBuilder::signal), or at the latest when it is dropped, at the end of its
/// statement or scope. To use it more than once, take its signal:
/// `let voice = Saw::ar(110.0).signal();`.
#[derive(Debug)]
pub struct UGenBuilder<T: UGenType, const N: usize> {
    inputs: [Option<Signal>; N],
    channels: Option<u16>,
    rate: Rate,
    is_added: bool,
    ugen: PhantomData<T>,
}

impl<T: UGenType, const N: usize> UGenBuilder<T, N> {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { inputs: [None; N], channels: None, rate, is_added: false, ugen: PhantomData }
    }

    pub(crate) fn set(&mut self, position: usize, signal: Signal) {
        self.inputs[position] = Some(signal);
    }

    /// Sets the number of outputs, for UGens that let you choose it: `In::ar(0).channels(2)`.
    /// For others the build fails.
    #[must_use]
    pub fn channels(mut self, count: u16) -> Self {
        self.channels = Some(count);
        self
    }

    /// Adds the UGen to the SynthDef; the signal may be used as often as you like.
    pub fn signal(mut self) -> Signal {
        self.add()
    }

    fn add(&mut self) -> Signal {
        self.is_added = true;
        open::add_ugen(T::SPEC, self.rate, self.channels, &self.inputs)
    }
}

impl<T: UGenType, const N: usize> IntoSignal for UGenBuilder<T, N> {
    fn into_signal(self) -> Signal {
        self.signal()
    }
}

impl<T: UGenType, const N: usize> Drop for UGenBuilder<T, N> {
    fn drop(&mut self) {
        if !self.is_added {
            self.add();
        }
    }
}

impl UGenSpec {
    /// Starts a UGen of this row: `spec.at(Rate::Audio).input("frequency", 440.0)`.
    pub fn at(&'static self, rate: Rate) -> DynamicBuilder {
        let inputs = vec![None; self.parameters.len()];
        DynamicBuilder { spec: self, rate, channels: None, inputs }
    }
}

/// A UGen that is chosen at run time by its row of the table; see [`UGenSpec::at`].
#[derive(Debug)]
#[must_use = "`signal` adds the UGen to the SynthDef"]
pub struct DynamicBuilder {
    spec: &'static UGenSpec,
    rate: Rate,
    channels: Option<u16>,
    inputs: Vec<Option<Signal>>,
}

impl DynamicBuilder {
    /// Sets an input by name; a name that the UGen does not have makes the build fail.
    pub fn input(mut self, name: &str, value: impl IntoSignal) -> Self {
        match self.spec.position(name) {
            Some(position) => self.inputs[position] = Some(value.into_signal()),
            None => open::fail(SynthDefError::new(
                SynthDefErrorKind::InvalidInput,
                unknown_input(self.spec, name),
            )),
        }
        self
    }

    /// Sets the number of outputs, for UGens that let you choose it.
    pub fn channels(mut self, count: u16) -> Self {
        self.channels = Some(count);
        self
    }

    /// Adds the UGen to the SynthDef.
    pub fn signal(self) -> Signal {
        open::add_ugen(self.spec, self.rate, self.channels, &self.inputs)
    }
}

fn unknown_input(spec: &UGenSpec, name: &str) -> String {
    let names = spec.parameters.iter().map(|parameter| parameter.name);
    let hint = consort_suggest::did_you_mean_or_list(name, "inputs", names);
    format!("{} has no input named `{name}`; {hint}", spec.name)
}

impl IntoSignal for DynamicBuilder {
    fn into_signal(self) -> Signal {
        self.signal()
    }
}

/// A UGen by name, for plugins that the table does not have.
///
/// Only the origin of the inputs is checked: the rate, the order of the inputs and the number of
/// outputs have to be those that the plugin expects. Lists are expanded into several UGens, as
/// with every other UGen.
#[derive(Clone, Debug)]
#[must_use = "`signal` adds the UGen to the SynthDef"]
pub struct RawUGen {
    name: String,
    rate: Rate,
    inputs: Vec<Signal>,
    outputs: u16,
    special_index: i16,
}

impl RawUGen {
    /// A UGen of this name without inputs and with one output.
    pub fn new(name: impl Into<String>, rate: Rate) -> Self {
        Self { name: name.into(), rate, inputs: Vec::new(), outputs: 1, special_index: 0 }
    }

    /// Appends an input.
    pub fn input(mut self, value: impl IntoSignal) -> Self {
        self.inputs.push(value.into_signal());
        self
    }

    /// Number of outputs; one if not set.
    pub fn outputs(mut self, count: u16) -> Self {
        self.outputs = count;
        self
    }

    /// The special index, by which some UGens choose among variants; zero if not set.
    pub fn special_index(mut self, index: i16) -> Self {
        self.special_index = index;
        self
    }

    /// Adds the UGen to the SynthDef.
    pub fn signal(self) -> Signal {
        open::add_raw(&self.name, self.rate, self.special_index, self.outputs, &self.inputs)
    }
}

impl IntoSignal for RawUGen {
    fn into_signal(self) -> Signal {
        self.signal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ugens::{SinOsc, WhiteNoise};

    #[test]
    fn a_dropped_builder_is_added_once() {
        let graph = open::build_graph(|| {
            WhiteNoise::ar();
            let noise = WhiteNoise::ar().signal();
            assert_eq!(noise.channel_count(), 1);
        });
        assert_eq!(graph.unwrap().nodes.len(), 2);
    }

    #[test]
    fn a_misspelt_input_gets_a_hint() {
        for (name, hint) in [
            ("freq", "SinOsc has no input named `freq`; did you mean `frequency`?"),
            ("cutoff", "SinOsc has no input named `cutoff`; the inputs are: frequency, phase"),
        ] {
            let result = open::build_graph(|| SinOsc::SPEC.at(Rate::Audio).input(name, 440.0));
            assert_eq!(result.unwrap_err().to_string(), hint);
        }
    }
}
