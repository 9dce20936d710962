//! SynthDefs from UGens that another program keeps, such as the objects of a binding to another
//! language.
//!
//! An [`Assembly`] takes controls and UGens in the order in which they were built, and compiles them
//! as [`SynthDef::build`] does. There is no expansion, no algebra, and no thread-local state.
//!
//! ```
//! use consort_synthdef::assembly::{Assembly, AssemblyInput, AssemblyUGen};
//! use consort_synthdef::{ControlRate, Rate};
//!
//! let mut assembly = Assembly::new();
//! let frequency = assembly.add_control("frequency", ControlRate::Control, &[440.0], 0.0)?;
//! let frequency = AssemblyInput::Control { control: frequency, value: 0 };
//! let inputs = [frequency, AssemblyInput::Constant(0.0)];
//! let sine = assembly.add_ugen(&AssemblyUGen::new("SinOsc", Rate::Audio, 1), inputs)?;
//! let sine = AssemblyInput::Output { ugen: sine, output: 0 };
//! assembly.add_ugen(
//!     &AssemblyUGen::new("Out", Rate::Audio, 0),
//!     [AssemblyInput::Constant(0.0), sine],
//! )?;
//! let assembled = assembly.compile(true)?;
//! assert_eq!(assembled.ugens().len(), 3);
//! let synthdef = assembled.into_synthdef(Some("tone".to_owned()))?;
//! assert_eq!(&synthdef.compile()[..4], b"SCgf");
//! # Ok::<(), consort_synthdef::SynthDefError>(())
//! ```

use crate::compile;
use crate::error::{SynthDefError, SynthDefErrorKind as Kind};
use crate::graph::{CONTROL_BIT, Graph, Input, MAX_ELEMENTS, Node};
use crate::model::{Control, SynthDef, check_name};
use crate::rate::{ControlRate, Rate};
use crate::spec::{CompilerRole, UGenFlags};

/// The UGens and controls of one SynthDef in the order in which they were built.
#[derive(Debug)]
pub struct Assembly {
    graph: Graph,
}

/// What a UGen is, apart from its inputs.
#[derive(Clone, Copy, Debug)]
pub struct AssemblyUGen<'a> {
    /// Name of the UGen on the server: 1 to 255 bytes.
    pub name: &'a str,
    /// Rate at which it runs.
    pub rate: Rate,
    /// How many outputs it has.
    pub outputs: u16,
    /// Operator of `UnaryOpUGen` and `BinaryOpUGen`, first control of control UGens.
    pub special_index: i16,
    /// Whether the compiler may remove, has to run first, or has to copy it; other flags have no
    /// effect.
    pub flags: UGenFlags,
}

impl<'a> AssemblyUGen<'a> {
    /// A UGen without flags and with the special index 0.
    pub fn new(name: &'a str, rate: Rate, outputs: u16) -> Self {
        Self { name, rate, outputs, special_index: 0, flags: UGenFlags::empty() }
    }
}

/// Where an input of a UGen comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AssemblyInput {
    /// A number, which has to fit into 32 bits.
    Constant(f64),
    /// An output of a UGen that was added earlier.
    Output {
        /// What [`Assembly::add_ugen`] returned.
        ugen: u32,
        /// Index of its output.
        output: u32,
    },
    /// A value of a control.
    Control {
        /// What [`Assembly::add_control`] returned.
        control: u32,
        /// Index of the value; 0 unless the control is an array.
        value: u32,
    },
}

/// UGens that have a meaning for the compiler, by name.
fn role(name: &str) -> CompilerRole {
    match name {
        "FFT" => CompilerRole::Fft,
        "PV_Copy" => CompilerRole::PvCopy,
        "LocalBuf" => CompilerRole::LocalBuf,
        "MaxLocalBufs" => CompilerRole::MaxLocalBufs,
        _ => CompilerRole::Ordinary,
    }
}

impl Default for Assembly {
    fn default() -> Self {
        Self::new()
    }
}

impl Assembly {
    /// An assembly without UGens.
    pub fn new() -> Self {
        Self { graph: Graph::new(0) }
    }

    /// Adds a control with one value, or several for an array; `lag` is in seconds. Returns its
    /// number.
    ///
    /// # Errors
    /// If the name is invalid or used twice, if a number does not fit into 32 bits, or if there are
    /// more than 65,535 values.
    pub fn add_control(
        &mut self,
        name: &str,
        rate: ControlRate,
        values: &[f64],
        lag: f64,
    ) -> Result<u32, SynthDefError> {
        self.graph.add_control(name, rate, values, lag);
        self.graph.take_error().map_or(Ok(self.graph.controls.len() as u32 - 1), Err)
    }

    /// Adds a UGen and returns its number.
    ///
    /// # Errors
    /// If the name is invalid, if a number does not fit into 32 bits, if an input is not an output
    /// of an earlier UGen or a value of a control, or if there are more than 65,535 UGens or inputs
    /// of a UGen.
    pub fn add_ugen(
        &mut self,
        ugen: &AssemblyUGen<'_>,
        inputs: impl IntoIterator<Item = AssemblyInput>,
    ) -> Result<u32, SynthDefError> {
        if ugen.name.is_empty() || ugen.name.len() > 255 {
            return Err(SynthDefError::new(
                Kind::InvalidName,
                format!("invalid UGen name: expected 1 to 255 bytes, found {}", ugen.name.len()),
            ));
        }
        let number = self.graph.nodes.len();
        let first_input = self.graph.inputs.len();
        for (position, input) in inputs.into_iter().enumerate() {
            let input = self.input(input).map_err(|found| {
                let kind = if found.starts_with("the number") {
                    Kind::InvalidConstant
                } else {
                    Kind::ForeignSignal
                };
                SynthDefError::new(kind, format!("input {position} of {} is {found}", ugen.name))
            })?;
            self.graph.inputs.push(input);
        }
        let input_count = self.graph.inputs.len() - first_input;
        let minimum = if role(ugen.name) == CompilerRole::LocalBuf { 2 } else { 0 };
        if input_count < minimum {
            return Err(SynthDefError::new(
                Kind::InvalidInput,
                format!("LocalBuf has {input_count} inputs; expected a channel and a frame count"),
            ));
        }
        if number >= MAX_ELEMENTS || input_count > MAX_ELEMENTS {
            return Err(SynthDefError::new(
                Kind::TooMany,
                format!(
                    "a SynthDef has at most {MAX_ELEMENTS} UGens of at most {MAX_ELEMENTS} inputs"
                ),
            ));
        }
        let kind = self.graph.raw_kind(ugen.name, ugen.flags, role(ugen.name));
        self.graph.nodes.push(Node {
            kind,
            rate: ugen.rate,
            special_index: ugen.special_index,
            outputs: ugen.outputs,
            first_input: first_input as u32,
            input_count: input_count as u32,
        });
        Ok(number as u32)
    }

    /// The input of the graph; an error describes what was found.
    fn input(&self, input: AssemblyInput) -> Result<Input, String> {
        match input {
            AssemblyInput::Constant(value)
                if value.is_nan() || (value.is_finite() && (value as f32).is_infinite()) =>
            {
                Err(format!("the number {value}; expected a number that fits into 32 bits"))
            }
            AssemblyInput::Constant(value) => Ok(Input::Constant(value)),
            AssemblyInput::Output { ugen, output } => match self.graph.nodes.get(ugen as usize) {
                Some(node) if output < u32::from(node.outputs) => {
                    Ok(Input::Output { node: ugen, output })
                }
                Some(node) => Err(format!(
                    "output {output} of {}, which has {}",
                    self.graph.node_name(node),
                    node.outputs
                )),
                None => Err(format!("UGen {ugen}, which does not precede it")),
            },
            AssemblyInput::Control { control, value } => {
                match self.graph.controls.get(control as usize) {
                    Some(entry) if value < entry.count => {
                        Ok(Input::Output { node: CONTROL_BIT | control, output: value })
                    }
                    _ => Err(format!("value {value} of control {control}, which does not exist")),
                }
            }
        }
    }

    /// Compiles the graph; with `optimize`, UGens that are pure and not read are removed.
    ///
    /// # Errors
    /// If no UGen is left, if a spectrum that several UGens read does not begin with an `FFT`, or
    /// if there are more than 65,535 UGens or constants.
    pub fn compile(mut self, optimize: bool) -> Result<Assembled, SynthDefError> {
        let (order, controls) = compile::arrange(&mut self.graph, optimize)?;
        let body = compile::encode(&self.graph, &order, &controls)?;
        Ok(Assembled { graph: self.graph, order, controls, body })
    }

    /// Compiles UGens that are sorted already and include those that hold the controls: `controls`
    /// are the name, the index of the first value and the values of each, by index.
    ///
    /// # Errors
    /// As [`compile`](Self::compile); if a name is invalid or a number does not fit into 32 bits.
    pub fn compile_sorted(
        self,
        controls: impl IntoIterator<Item = (String, u32, Vec<f64>)>,
    ) -> Result<Assembled, SynthDefError> {
        let mut checks = Self::new();
        let mut entries = Vec::new();
        for (name, index, values) in controls {
            checks.add_control(&name, ControlRate::Control, &values, 0.0)?;
            let values = values.iter().map(|value| *value as f32).collect();
            entries.push(Control::new(name, index, values, ControlRate::Control, 0.0));
        }
        if self.graph.nodes.is_empty() {
            return Err(SynthDefError::new(Kind::Empty, "the SynthDef has no UGens"));
        }
        let order: Vec<u32> = (0..self.graph.nodes.len() as u32).collect();
        let body = compile::encode(&self.graph, &order, &entries)?;
        Ok(Assembled { graph: self.graph, order, controls: entries, body })
    }
}

/// A compiled graph: its bytes, and its UGens in the order in which the server runs them.
#[derive(Debug)]
pub struct Assembled {
    graph: Graph,
    order: Vec<u32>,
    controls: Vec<Control>,
    body: Vec<u8>,
}

/// A UGen of a compiled graph.
#[derive(Clone, Debug, PartialEq)]
pub struct AssembledUGen {
    /// Its number in the assembly; `None` if the compiler added it.
    pub number: Option<u32>,
    /// Name of the UGen on the server.
    pub name: String,
    /// Rate at which it runs.
    pub rate: Rate,
    /// Operator of `UnaryOpUGen` and `BinaryOpUGen`, first control of control UGens.
    pub special_index: i16,
    /// Where the inputs come from; `ugen` is the position in the compiled order.
    pub inputs: Vec<AssemblyInput>,
    /// How many outputs it has.
    pub outputs: u16,
}

impl Assembled {
    /// The controls by index.
    pub fn controls(&self) -> &[Control] {
        &self.controls
    }

    /// The UGens in the order in which the server runs them, with constants in 64 bits. `added`
    /// UGens have no number.
    pub fn ugens(&self) -> Vec<AssembledUGen> {
        let mut position = vec![u32::MAX; self.graph.nodes.len()];
        for (index, node) in self.order.iter().enumerate() {
            position[*node as usize] = index as u32;
        }
        self.order.iter().map(|number| self.ugen(*number, &position)).collect()
    }

    fn ugen(&self, number: u32, position: &[u32]) -> AssembledUGen {
        let node = &self.graph.nodes[number as usize];
        let inputs = self.graph.node_inputs(node).iter().map(|input| match *input {
            Input::Constant(value) => AssemblyInput::Constant(value),
            Input::Output { node, output } => {
                AssemblyInput::Output { ugen: position[node as usize], output }
            }
        });
        AssembledUGen {
            // The compiler uses the rows of the table for what it adds.
            number: matches!(node.kind, crate::graph::NodeKind::Raw(..)).then_some(number),
            name: self.graph.node_name(node).to_owned(),
            rate: node.rate,
            special_index: node.special_index,
            inputs: inputs.collect(),
            outputs: node.outputs,
        }
    }

    /// The compiled SynthDef; without a name, its name is derived from the graph.
    ///
    /// # Errors
    /// If the name is empty or longer than 255 bytes.
    pub fn synthdef(&self, name: Option<String>) -> Result<SynthDef, SynthDefError> {
        name.as_deref().map_or(Ok(()), check_name)?;
        Ok(SynthDef::from_parts(name, self.body.clone(), self.controls.clone()))
    }

    /// As [`synthdef`](Self::synthdef), without copying the graph.
    ///
    /// # Errors
    /// If the name is empty or longer than 255 bytes.
    pub fn into_synthdef(self, name: Option<String>) -> Result<SynthDef, SynthDefError> {
        name.as_deref().map_or(Ok(()), check_name)?;
        Ok(SynthDef::from_parts(name, self.body, self.controls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    fn sine(assembly: &mut Assembly, frequency: AssemblyInput) -> AssemblyInput {
        let kind =
            AssemblyUGen { flags: UGenFlags::PURE, ..AssemblyUGen::new("SinOsc", Rate::Audio, 1) };
        let ugen = assembly.add_ugen(&kind, [frequency, AssemblyInput::Constant(0.0)]).unwrap();
        AssemblyInput::Output { ugen, output: 0 }
    }

    fn out(assembly: &mut Assembly, source: AssemblyInput) {
        let kind = AssemblyUGen::new("Out", Rate::Audio, 0);
        assembly.add_ugen(&kind, [AssemblyInput::Constant(0.0), source]).unwrap();
    }

    #[test]
    fn the_bytes_equal_those_of_an_instrument_in_rust() {
        let mut assembly = Assembly::new();
        let control =
            assembly.add_control("frequency", ControlRate::Control, &[440.0], 0.5).unwrap();
        let first = sine(&mut assembly, AssemblyInput::Control { control, value: 0 });
        sine(&mut assembly, AssemblyInput::Constant(3.0));
        out(&mut assembly, first);
        let assembled = assembly.compile(true).unwrap();
        let numbers: Vec<_> = assembled.ugens().iter().map(|ugen| ugen.number).collect();
        assert_eq!(numbers, [None, Some(0), Some(2)]);
        let built = SynthDef::build("tone", |controls| {
            let frequency = controls.lagged("frequency", 440.0, 0.5);
            Out::ar(0, SinOsc::ar(frequency));
        })
        .unwrap();
        assert_eq!(assembled.into_synthdef(Some("tone".into())).unwrap(), built);
    }

    #[test]
    fn spectra_are_copied_and_local_buffers_are_counted() {
        let chain = |name| AssemblyUGen {
            flags: UGenFlags::WIDTH_FIRST | UGenFlags::PV_CHAIN,
            ..AssemblyUGen::new(name, Rate::Control, 1)
        };
        let mut assembly = Assembly::new();
        let source = sine(&mut assembly, AssemblyInput::Constant(440.0));
        let fft = assembly.add_ugen(&chain("FFT"), [AssemblyInput::Constant(0.0), source]).unwrap();
        let fft = AssemblyInput::Output { ugen: fft, output: 0 };
        for name in ["PV_MagSquared", "PV_MagNoise"] {
            assembly.add_ugen(&chain(name), [fft]).unwrap();
        }
        let names: Vec<String> =
            assembly.compile(true).unwrap().ugens().into_iter().map(|ugen| ugen.name).collect();
        for added in ["BufFrames", "MaxLocalBufs", "LocalBuf", "PV_Copy"] {
            assert!(names.iter().any(|name| name == added), "{added} is missing in {names:?}");
        }
    }

    #[test]
    fn sorted_ugens_are_compiled_as_they_are() {
        let mut assembly = Assembly::new();
        let holder = AssemblyUGen::new("Control", Rate::Control, 1);
        let control = assembly.add_ugen(&holder, []).unwrap();
        let tone = sine(&mut assembly, AssemblyInput::Output { ugen: control, output: 0 });
        sine(&mut assembly, AssemblyInput::Constant(1.0));
        out(&mut assembly, tone);
        let controls = [("frequency".to_owned(), 0, vec![440.0])];
        let synthdef =
            assembly.compile_sorted(controls).unwrap().into_synthdef(Some("x".into())).unwrap();
        assert_eq!(synthdef.ugens().len(), 4);
        assert_eq!(SynthDef::read_all(&synthdef.compile()).unwrap(), [synthdef]);
    }

    #[test]
    fn invalid_inputs_are_errors() {
        let mut assembly = Assembly::new();
        let kind = AssemblyUGen::new("SinOsc", Rate::Audio, 1);
        for (input, expected) in [
            (AssemblyInput::Constant(f64::NAN), Kind::InvalidConstant),
            (AssemblyInput::Constant(1e39), Kind::InvalidConstant),
            (AssemblyInput::Output { ugen: 7, output: 0 }, Kind::ForeignSignal),
            (AssemblyInput::Control { control: 0, value: 0 }, Kind::ForeignSignal),
        ] {
            assert_eq!(assembly.add_ugen(&kind, [input]).unwrap_err().kind(), expected);
        }
        assert_eq!(
            assembly.add_ugen(&AssemblyUGen { name: "", ..kind }, []).unwrap_err().kind(),
            Kind::InvalidName
        );
        assert_eq!(assembly.compile(true).unwrap_err().kind(), Kind::Empty);
    }
}
