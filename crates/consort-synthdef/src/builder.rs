//! UGens while they are being built.

use std::marker::PhantomData;

use super::error::{SynthDefError, SynthDefErrorKind};
use super::graph;
use super::rate::Rate;
use super::signal::{IntoSignal, Signal};
use crate::ugens::{ParameterDefault, UGenSpec, UGenType};

/// A UGen of which inputs can still be set.
///
/// It enters the SynthDef when it is used: as an input of another UGen, in arithmetic, by
/// [`signal`](UGenBuilder::signal), or at the latest at the end of its statement or scope. To use
/// it more than once, take its signal: `let voice = Saw::ar(110.0).signal();`.
#[derive(Debug)]
pub struct UGenBuilder<T: UGenType, const N: usize> {
    inputs: [Option<Signal>; N],
    channels: Option<u16>,
    rate: Rate,
    entered: bool,
    ugen: PhantomData<T>,
}

impl<T: UGenType, const N: usize> UGenBuilder<T, N> {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { inputs: [None; N], channels: None, rate, entered: false, ugen: PhantomData }
    }

    pub(crate) fn set(&mut self, position: usize, signal: Signal) {
        self.inputs[position] = Some(signal);
    }

    /// How many outputs the UGen has, for those that let one choose: `In::ar(0).channels(2)`.
    /// For others the build fails.
    #[must_use]
    pub fn channels(mut self, count: u16) -> Self {
        self.channels = Some(count);
        self
    }

    /// Enters the UGen into the SynthDef; the signal may be used as often as you like.
    pub fn signal(mut self) -> Signal {
        self.enter()
    }

    fn enter(&mut self) -> Signal {
        self.entered = true;
        graph::enter(T::SPEC, self.rate, self.channels, &self.inputs)
    }
}

impl<T: UGenType, const N: usize> IntoSignal for UGenBuilder<T, N> {
    fn into_signal(self) -> Signal {
        self.signal()
    }
}

impl<T: UGenType, const N: usize> Drop for UGenBuilder<T, N> {
    fn drop(&mut self) {
        if !self.entered {
            self.enter();
        }
    }
}

/// A UGen that is known by its row of the table only; see [`UGenSpec::at`].
#[derive(Debug)]
#[must_use = "the UGen enters the SynthDef by `signal`"]
pub struct DynamicBuilder {
    spec: &'static UGenSpec,
    rate: Rate,
    channels: Option<u16>,
    inputs: Vec<Option<Signal>>,
}

impl DynamicBuilder {
    pub(crate) fn new(spec: &'static UGenSpec, rate: Rate) -> Self {
        Self { spec, rate, channels: None, inputs: vec![None; spec.parameters.len()] }
    }

    /// Sets an input by name; a name that the UGen does not have makes the build fail.
    pub fn input(mut self, name: &str, value: impl IntoSignal) -> Self {
        match self.spec.position(name) {
            Some(position) => self.inputs[position] = Some(value.into_signal()),
            None => graph::fail(SynthDefError::new(
                SynthDefErrorKind::InvalidInput,
                format!("{} has no input named {name:?}", self.spec.name),
            )),
        }
        self
    }

    /// How many outputs the UGen has, for those that let one choose.
    pub fn channels(mut self, count: u16) -> Self {
        self.channels = Some(count);
        self
    }

    /// Enters the UGen into the SynthDef.
    pub fn signal(self) -> Signal {
        graph::enter(self.spec, self.rate, self.channels, &self.inputs)
    }
}

impl IntoSignal for DynamicBuilder {
    fn into_signal(self) -> Signal {
        self.signal()
    }
}

/// A UGen by name, for plugins that the table does not know.
///
/// Nothing but the inputs' origin is checked: the rate, the order of the inputs and the number of
/// outputs have to be those that the plugin expects. Lists are expanded into several UGens, as for
/// every other UGen.
#[derive(Clone, Debug)]
#[must_use = "the UGen enters the SynthDef by `signal`"]
pub struct RawUGen {
    pub(crate) name: String,
    pub(crate) rate: Rate,
    pub(crate) inputs: Vec<Signal>,
    pub(crate) outputs: u16,
    pub(crate) special_index: i16,
}

impl RawUGen {
    /// A UGen of the name with no inputs and one output.
    pub fn new(name: impl Into<String>, rate: Rate) -> Self {
        Self { name: name.into(), rate, inputs: Vec::new(), outputs: 1, special_index: 0 }
    }

    /// Adds an input after those that were added before.
    pub fn input(mut self, value: impl IntoSignal) -> Self {
        self.inputs.push(value.into_signal());
        self
    }

    /// Number of outputs, one unless set.
    pub fn outputs(mut self, count: u16) -> Self {
        self.outputs = count;
        self
    }

    /// The special index, which some UGens use to choose among variants.
    pub fn special_index(mut self, index: i16) -> Self {
        self.special_index = index;
        self
    }

    /// Enters the UGen into the SynthDef.
    pub fn signal(self) -> Signal {
        graph::enter_raw(&self)
    }
}

impl IntoSignal for RawUGen {
    fn into_signal(self) -> Signal {
        self.signal()
    }
}

/// The signal of a parameter that was not given.
pub(crate) fn default_signal(default: ParameterDefault) -> Option<Signal> {
    match default {
        ParameterDefault::Value(value) => Some(value.into_signal()),
        ParameterDefault::Required | ParameterDefault::Automatic => None,
    }
}
