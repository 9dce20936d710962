//! The graph of one SynthDef: an arena of UGens, their inputs, lists of signals and controls.
//!
//! Everything that enters the graph is checked here: that numbers fit into 32 bits, that signals
//! belong to this graph, that inputs have a rate which the UGen can read, and that nothing exceeds
//! the format's bounds. The first error is kept; what failed becomes [`Signal::INVALID`].

use crate::builtin;
use crate::error::{SynthDefError, SynthDefErrorKind as Kind};
use crate::rate::{ControlRate, Rate};
use crate::signal::{Repr, Signal};
use crate::spec::{CompilerRole, DraftGraph, UGenFlags, UGenSpec};

/// The maximum number of UGens, inputs of one UGen, control values or constants of a SynthDef.
pub(crate) const MAX_ELEMENTS: usize = 65_535;
/// The maximum number of signals that all lists of a SynthDef may hold together.
const MAX_LISTED_SIGNALS: usize = 1 << 22;
/// How deeply lists may be nested.
pub(crate) const MAX_LIST_DEPTH: u8 = 64;
/// Marks a node number as that of a control; the compiler replaces it by a UGen's number.
pub(crate) const CONTROL_BIT: u32 = 1 << 31;

/// An input of a UGen in the graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Input {
    /// A number.
    Constant(f64),
    /// An output of a UGen, or of a control if `node` has the [`CONTROL_BIT`].
    Output { node: u32, output: u32 },
}

/// What a node of the graph is an instance of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NodeKind {
    /// A UGen of the table.
    Table(&'static UGenSpec),
    /// A UGen by name: an index into [`Graph::raw_names`], and what the compiler has to know of it.
    Raw(u32, UGenFlags, CompilerRole),
}

/// A UGen in the graph; its inputs are a range of [`Graph::inputs`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) rate: Rate,
    pub(crate) special_index: i16,
    pub(crate) outputs: u16,
    pub(crate) first_input: u32,
    pub(crate) input_count: u32,
}

impl Node {
    pub(crate) fn flags(&self) -> UGenFlags {
        match self.kind {
            NodeKind::Table(spec) => spec.flags,
            NodeKind::Raw(_, flags, _) => flags,
        }
    }

    pub(crate) fn role(&self) -> CompilerRole {
        match self.kind {
            NodeKind::Table(spec) => spec.role,
            NodeKind::Raw(_, _, role) => role,
        }
    }
}

/// A control in the order in which it was built.
#[derive(Clone, Debug)]
pub(crate) struct ControlEntry {
    pub(crate) name: String,
    pub(crate) rate: ControlRate,
    pub(crate) lag: f64,
    /// Start of its values in [`Graph::control_values`].
    pub(crate) first: u32,
    pub(crate) count: u32,
}

/// The UGens of one SynthDef in the order in which they were built.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// Distinguishes the signals of this graph from those of others.
    pub(crate) id: u32,
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) controls: Vec<ControlEntry>,
    pub(crate) control_values: Vec<f64>,
    pub(crate) raw_names: Vec<String>,
    /// The items of all lists, one list after the other.
    lists: Vec<Signal>,
    error: Option<SynthDefError>,
}

/// Whether the number can be written: not NaN, and not infinite only because 32 bits are too few.
fn fits(value: f64) -> bool {
    !value.is_nan() && (value.is_infinite() || (value as f32).is_finite())
}

impl Graph {
    /// An empty graph with capacity for a small SynthDef.
    pub(crate) fn new(id: u32) -> Self {
        Self {
            id,
            nodes: Vec::with_capacity(16),
            inputs: Vec::with_capacity(64),
            lists: Vec::with_capacity(8),
            ..Self::default()
        }
    }

    /// Keeps the error if it is the first.
    pub(crate) fn fail(&mut self, error: SynthDefError) -> Signal {
        self.error.get_or_insert(error);
        Signal::INVALID
    }

    pub(crate) fn fail_with(&mut self, kind: Kind, message: impl Into<String>) -> Signal {
        self.fail(SynthDefError::new(kind, message))
    }

    /// Takes the first error out of the graph.
    pub(crate) fn take_error(&mut self) -> Option<SynthDefError> {
        self.error.take()
    }

    fn name_of(&self, kind: NodeKind) -> &str {
        match kind {
            NodeKind::Table(spec) => spec.name,
            NodeKind::Raw(index, ..) => &self.raw_names[index as usize],
        }
    }

    /// The kind of a UGen by name. UGens that are alike share one entry of the names if they
    /// follow one another.
    pub(crate) fn raw_kind(
        &mut self,
        name: &str,
        flags: UGenFlags,
        role: CompilerRole,
    ) -> NodeKind {
        if self.raw_names.last().is_none_or(|last| last != name) {
            self.raw_names.push(name.to_owned());
        }
        NodeKind::Raw(self.raw_names.len() as u32 - 1, flags, role)
    }

    pub(crate) fn node_name(&self, node: &Node) -> &str {
        self.name_of(node.kind)
    }

    pub(crate) fn node_inputs(&self, node: &Node) -> &[Input] {
        let first = node.first_input as usize;
        &self.inputs[first..first + node.input_count as usize]
    }

    /// Makes one signal of several channels.
    pub(crate) fn add_list(&mut self, items: &[Signal]) -> Signal {
        let mut depth = 0;
        for item in items {
            match item.0 {
                Repr::Invalid => return *item,
                Repr::Array { depth: inner, .. } => depth = depth.max(inner),
                _ => {}
            }
        }
        if depth >= MAX_LIST_DEPTH {
            return self.fail_with(
                Kind::TooMany,
                format!("lists of signals may be nested at most {MAX_LIST_DEPTH} deep"),
            );
        }
        if !self.has_capacity_for(items.len()) {
            return self.fail_too_many_listed();
        }
        let start = self.lists.len() as u32;
        self.lists.extend_from_slice(items);
        Signal(Repr::Array { graph: self.id, start, length: items.len() as u32, depth: depth + 1 })
    }

    fn has_capacity_for(&self, listed: usize) -> bool {
        self.lists.len() + listed <= MAX_LISTED_SIGNALS
    }

    fn fail_too_many_listed(&mut self) -> Signal {
        self.fail_with(
            Kind::TooMany,
            format!("the lists of a SynthDef may hold at most {MAX_LISTED_SIGNALS} signals"),
        )
    }

    /// An item of a list of this graph.
    pub(crate) fn list_item(&self, start: u32, index: usize) -> Signal {
        self.lists.get(start as usize + index).copied().unwrap_or(Signal::INVALID)
    }

    /// Adds a UGen of the table after checking the rates of its inputs.
    pub(crate) fn add_checked(
        &mut self,
        spec: &'static UGenSpec,
        rate: Rate,
        outputs: u16,
        inputs: &[Signal],
    ) -> Signal {
        if rate != Rate::Demand
            && !spec.flags.contains(UGenFlags::DEMAND_CONSUMER)
            && let Some(position) =
                inputs.iter().position(|input| input.single_rate() == Rate::Demand)
        {
            return self.fail_with(
                Kind::WrongRate,
                format!(
                    "input {position} of {}.{rate} is a demand-rate signal; only Demand, Duty, \
                     DemandEnvGen and demand-rate UGens can read those",
                    spec.name
                ),
            );
        }
        if rate == Rate::Audio {
            let audio_inputs = if spec.flags.contains(UGenFlags::OUTPUT) {
                spec.parameters.len() - 1..inputs.len()
            } else if spec.flags.contains(UGenFlags::SAME_RATE) {
                0..1
            } else {
                0..0
            };
            for position in audio_inputs {
                // `add_node` reports an invalid signal, with a better message.
                if inputs[position].single_rate() != Rate::Audio
                    && inputs[position] != Signal::INVALID
                {
                    let found = match inputs[position].0 {
                        Repr::Constant(value) => format!("the number {value}"),
                        _ => format!("at {}", inputs[position].single_rate()),
                    };
                    return self.fail_with(
                        Kind::WrongRate,
                        format!(
                            "input {position} of {}.ar is {found}, but the UGen reads every \
                             sample of it: use an audio-rate signal (K2A or DC make one)",
                            spec.name
                        ),
                    );
                }
            }
        }
        self.add_node(NodeKind::Table(spec), rate, 0, outputs, inputs)
    }

    /// Appends a node; its outputs become a signal.
    pub(crate) fn add_node(
        &mut self,
        kind: NodeKind,
        rate: Rate,
        special_index: i16,
        outputs: u16,
        inputs: &[Signal],
    ) -> Signal {
        if self.nodes.len() >= MAX_ELEMENTS || inputs.len() > MAX_ELEMENTS {
            return self.fail_with(
                Kind::TooMany,
                format!(
                    "a SynthDef has at most {MAX_ELEMENTS} UGens of at most {MAX_ELEMENTS} inputs"
                ),
            );
        }
        let first_input = self.inputs.len();
        for (position, signal) in inputs.iter().enumerate() {
            let input = match signal.0 {
                Repr::Constant(value) if fits(value) => Input::Constant(value),
                Repr::Constant(value) => {
                    let message = format!(
                        "input {position} of {} is {value}, which is not a 32-bit number",
                        self.name_of(kind)
                    );
                    return self.fail_with(Kind::InvalidConstant, message);
                }
                Repr::Output { graph, node, output, .. } if graph == self.id => {
                    Input::Output { node, output: u32::from(output) }
                }
                Repr::Array { .. } => {
                    let message = format!(
                        "input {position} of {} is a list; expected a single signal",
                        self.name_of(kind)
                    );
                    return self.fail_with(Kind::InvalidInput, message);
                }
                Repr::Output { .. } | Repr::Invalid => {
                    let name = self.name_of(kind).to_owned();
                    return self.fail_foreign(&format!("input {position} of {name}"));
                }
            };
            self.inputs.push(input);
        }
        let node = self.nodes.len() as u32;
        self.nodes.push(Node {
            kind,
            rate,
            special_index,
            outputs,
            first_input: first_input as u32,
            input_count: inputs.len() as u32,
        });
        self.outputs_of(node, outputs, rate)
    }

    fn outputs_of(&mut self, node: u32, outputs: u16, rate: Rate) -> Signal {
        let graph = self.id;
        let output = |output| Signal(Repr::Output { graph, node, output, rate });
        if outputs == 1 {
            return output(0);
        }
        if !self.has_capacity_for(usize::from(outputs)) {
            return self.fail_too_many_listed();
        }
        let start = self.lists.len() as u32;
        self.lists.extend((0..outputs).map(output));
        Signal(Repr::Array { graph, start, length: u32::from(outputs), depth: 1 })
    }

    /// Reports a signal of another graph; `subject` is where it was used.
    pub(crate) fn fail_foreign(&mut self, subject: &str) -> Signal {
        self.fail_with(
            Kind::ForeignSignal,
            format!(
                "{subject} is a signal of another SynthDef, or was created outside of a \
             SynthDef"
            ),
        )
    }

    /// Adds a control.
    pub(crate) fn add_control(
        &mut self,
        name: &str,
        rate: ControlRate,
        values: &[f64],
        lag: f64,
    ) -> Signal {
        let shown = name.escape_debug();
        if name.is_empty() || name.len() > 255 || name.bytes().any(|byte| byte < 32) {
            return self.fail_with(
                Kind::InvalidName,
                format!("invalid control name `{shown}`: expected 1 to 255 printable bytes"),
            );
        }
        if self.controls.iter().any(|control| control.name == name) {
            return self
                .fail_with(Kind::InvalidName, format!("there are two controls named `{shown}`"));
        }
        if let Some(value) = values.iter().chain([&lag]).find(|value| !fits(**value)) {
            return self.fail_with(
                Kind::InvalidConstant,
                format!(
                    "the control `{shown}` has the value {value}, which is not a 32-bit number"
                ),
            );
        }
        if values.is_empty() {
            return self
                .fail_with(Kind::InvalidInput, format!("the control `{shown}` has no value"));
        }
        if self.control_values.len() + values.len() > MAX_ELEMENTS {
            return self.fail_with(
                Kind::TooMany,
                format!("a SynthDef has at most {MAX_ELEMENTS} control values"),
            );
        }
        let index = self.controls.len() as u32;
        self.controls.push(ControlEntry {
            name: name.to_owned(),
            rate,
            lag,
            first: self.control_values.len() as u32,
            count: values.len() as u32,
        });
        self.control_values.extend_from_slice(values);
        self.outputs_of(CONTROL_BIT | index, values.len() as u16, rate.rate())
    }
}

impl DraftGraph for Graph {
    fn flatten_into(&self, signal: Signal, signals: &mut Vec<Signal>) {
        match signal.0 {
            Repr::Array { start, length, .. } => {
                signals.extend((0..length as usize).map(|index| self.list_item(start, index)));
            }
            _ => signals.push(signal),
        }
    }

    fn source_name(&self, signal: Signal) -> String {
        match signal.0 {
            Repr::Output { node, .. } => match self.nodes.get(node as usize) {
                Some(node) => self.node_name(node).to_owned(),
                None => builtin::CONTROL.name.to_owned(),
            },
            _ => "Number".to_owned(),
        }
    }

    fn add_helper(&mut self, spec: &'static UGenSpec, rate: Rate, inputs: &[Signal]) -> Signal {
        self.add_node(NodeKind::Table(spec), rate, 0, 1, inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::UGenType;
    use crate::ugens::{LPF, Out, SinOsc, WhiteNoise};

    fn kind(mut graph: Graph) -> Option<Kind> {
        graph.take_error().map(|error| error.kind())
    }

    fn sine(graph: &mut Graph, rate: Rate) -> Signal {
        graph.add_checked(SinOsc::SPEC, rate, 1, &[440.0, 0.0].map(Signal::number))
    }

    #[test]
    fn nodes_and_inputs_are_stored_in_the_order_of_their_making() {
        let mut graph = Graph::new(1);
        let noise = graph.add_checked(WhiteNoise::SPEC, Rate::Audio, 1, &[]);
        graph.add_checked(LPF::SPEC, Rate::Audio, 1, &[noise, Signal::number(800.0)]);
        assert_eq!(graph.nodes.len(), 2);
        let node = graph.nodes[1];
        assert_eq!(graph.node_name(&node), "LPF");
        let inputs = [Input::Output { node: 0, output: 0 }, Input::Constant(800.0)];
        assert_eq!(graph.node_inputs(&node), inputs);
        assert_eq!(kind(graph), None);
    }

    #[test]
    fn several_outputs_become_a_list() {
        let mut graph = Graph::new(1);
        let signal = graph.add_node(NodeKind::Table(SinOsc::SPEC), Rate::Control, 0, 3, &[]);
        assert_eq!(signal.channel_count(), 3);
        let mut channels = Vec::new();
        graph.flatten_into(signal, &mut channels);
        let output =
            |output| Signal(Repr::Output { graph: 1, node: 0, output, rate: Rate::Control });
        assert_eq!(channels, [0, 1, 2].map(output));
    }

    #[test]
    fn the_first_error_is_kept() {
        let mut graph = Graph::new(1);
        graph.fail_with(Kind::Empty, "first");
        graph.fail_with(Kind::TooMany, "second");
        assert_eq!(kind(graph), Some(Kind::Empty));
    }

    #[test]
    fn numbers_have_to_fit_into_32_bits() {
        for (value, expected) in [
            (f64::INFINITY, None),
            (3e38, None),
            (1e39, Some(Kind::InvalidConstant)),
            (f64::NAN, Some(Kind::InvalidConstant)),
        ] {
            let mut graph = Graph::new(1);
            graph.add_checked(SinOsc::SPEC, Rate::Audio, 1, &[Signal::number(value)]);
            assert_eq!(kind(graph), expected, "{value}");
        }
    }

    #[test]
    fn signals_of_other_graphs_are_rejected() {
        let foreign = sine(&mut Graph::new(1), Rate::Audio);
        let mut graph = Graph::new(2);
        graph.add_checked(LPF::SPEC, Rate::Audio, 1, &[foreign, Signal::number(800.0)]);
        assert_eq!(kind(graph), Some(Kind::ForeignSignal));
    }

    #[test]
    fn audio_inputs_are_checked_where_the_ugen_reads_samples() {
        for (rate, expected) in [(Rate::Audio, None), (Rate::Control, Some(Kind::WrongRate))] {
            let mut graph = Graph::new(1);
            let source = sine(&mut graph, rate);
            graph.add_checked(LPF::SPEC, Rate::Audio, 1, &[source, Signal::number(800.0)]);
            assert_eq!(kind(graph), expected);
            let mut graph = Graph::new(1);
            let source = sine(&mut graph, rate);
            graph.add_checked(Out::SPEC, Rate::Audio, 0, &[Signal::number(0.0), source]);
            assert_eq!(kind(graph), expected);
        }
    }

    #[test]
    fn lists_are_bounded_in_depth() {
        let mut graph = Graph::new(1);
        let mut list = Signal::number(1.0);
        for _ in 0..MAX_LIST_DEPTH {
            list = graph.add_list(&[list]);
        }
        assert_ne!(list, Signal::INVALID);
        assert_eq!(graph.add_list(&[list]), Signal::INVALID);
        assert_eq!(kind(graph), Some(Kind::TooMany));
    }

    #[test]
    fn controls_have_a_name_of_their_own_and_a_value() {
        let add = |names: &[&str], values: &[f64]| {
            let mut graph = Graph::new(1);
            for name in names {
                graph.add_control(name, ControlRate::Control, values, 0.0);
            }
            graph.take_error().map(|error| error.to_string())
        };
        assert_eq!(add(&["gate", "amplitude"], &[1.0]), None);
        let twice = add(&["gate", "gate"], &[1.0]).unwrap();
        assert!(twice.contains("two controls named `gate`"), "{twice}");
        let control_character = add(&["\u{7}"], &[1.0]).unwrap();
        assert!(control_character.contains("invalid control name `\\u{7}`"), "{control_character}");
        assert!(add(&["gate"], &[]).unwrap().contains("has no value"));
    }
}
