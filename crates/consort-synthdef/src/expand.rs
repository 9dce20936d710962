//! Multichannel expansion: a UGen whose inputs are lists becomes several UGens.
//!
//! ```text
//! SinOsc::ar([440, 443])          two oscillators, one list of two signals
//! Pan2::ar(voice, [-1, 0, 1])     three panners: the single input is used three times
//! LPF::ar([a, b, c], [800, 900])  three filters, of 800, 900 and again 800 Hz
//! Out::ar(0, [a, b])              one Out: its last parameter takes a list
//! Out::ar(0, [[a, b], [c, d]])    two Outs: only the inner lists are taken as they are
//! ```

use crate::error::SynthDefErrorKind as Kind;
use crate::graph::{Graph, MAX_LIST_DEPTH};
use crate::rate::Rate;
use crate::signal::{Repr, Signal};
use crate::spec::{
    CompilerRole, DraftGraph, MAX_PARAMETERS, Outputs, ParameterDefault, UGenDraft, UGenFlags,
    UGenSpec,
};

impl Graph {
    /// Calls `make` once for each channel of the widest input and returns a list of the results.
    /// Narrower inputs start again at their first channel. An input for which `is_list` is true
    /// takes a list of single channels as it is, so that only nested lists are expanded.
    pub(crate) fn expand(
        &mut self,
        is_list: &dyn Fn(usize) -> bool,
        inputs: &[Option<Signal>],
        make: &mut dyn FnMut(&mut Graph, &[Option<Signal>]) -> Signal,
    ) -> Signal {
        self.expand_below(is_list, inputs, 0, make)
    }

    fn expand_below(
        &mut self,
        is_list: &dyn Fn(usize) -> bool,
        inputs: &[Option<Signal>],
        depth: u8,
        make: &mut dyn FnMut(&mut Graph, &[Option<Signal>]) -> Signal,
    ) -> Signal {
        let mut width = 0;
        for (position, input) in inputs.iter().enumerate() {
            let Some(Signal(Repr::Array { graph, start, length, .. })) = *input else {
                continue;
            };
            if graph != self.id {
                return self.fail_foreign("a list");
            }
            if !is_list(position) {
                if length == 0 {
                    return self.fail_with(
                        Kind::InvalidInput,
                        "a signal without channels cannot be an input (UGens such as Out have \
                         no outputs)",
                    );
                }
                width = width.max(length as usize);
            } else if self.is_nested(start, length) {
                width = width.max(length as usize);
            }
        }
        if width == 0 {
            return make(self, inputs);
        }
        if depth > MAX_LIST_DEPTH {
            return self.fail_with(Kind::TooMany, "lists of signals are nested too deeply");
        }
        let mut results = Vec::with_capacity(width);
        let mut channel = inputs.to_vec();
        for index in 0..width {
            for (position, input) in inputs.iter().enumerate() {
                let Some(Signal(Repr::Array { start, length, .. })) = *input else {
                    continue;
                };
                if !is_list(position) || self.is_nested(start, length) {
                    channel[position] = Some(self.list_item(start, index % length as usize));
                }
            }
            let result = self.expand_below(is_list, &channel, depth + 1, make);
            if result == Signal::INVALID {
                return result;
            }
            results.push(result);
        }
        if results.len() == 1 { results[0] } else { self.add_list(&results) }
    }

    /// Whether a list has a list among its items.
    fn is_nested(&self, start: u32, length: u32) -> bool {
        (0..length as usize).any(|index| self.list_item(start, index).is_array())
    }

    /// Adds a UGen of the table, or several if inputs are lists; fills in defaults.
    pub(crate) fn add_ugen(
        &mut self,
        spec: &'static UGenSpec,
        rate: Rate,
        channels: Option<u16>,
        inputs: &[Option<Signal>],
    ) -> Signal {
        if !spec.supports(rate) {
            let rates: Vec<_> = spec.rates.iter().map(|rate| rate.token()).collect();
            return self.fail_with(
                Kind::WrongRate,
                format!("{} does not run at {rate}; it runs at {}", spec.name, rates.join(", ")),
            );
        }
        let mut filled = [None; MAX_PARAMETERS];
        let Some(filled) = filled.get_mut(..spec.parameters.len()) else {
            return self.fail_with(Kind::TooMany, format!("{} has too many inputs", spec.name));
        };
        for (index, parameter) in spec.parameters.iter().enumerate() {
            filled[index] =
                inputs.get(index).copied().flatten().or_else(|| parameter.default.signal());
        }
        let missing: Vec<&str> = (spec.parameters.iter().zip(filled.iter()))
            .filter(|(parameter, input)| {
                input.is_none() && parameter.default == ParameterDefault::Required
            })
            .map(|(parameter, _)| parameter.name)
            .collect();
        if let [first, ..] = missing[..] {
            let noun = if missing.len() == 1 { "input" } else { "inputs" };
            let names = missing.join("` and `");
            let message = format!(
                "{} needs the {noun} `{names}`; give it to the constructor or set it by name, as in \
                 `.{first}(…)`",
                spec.name
            );
            return self.fail_with(Kind::MissingInput, message);
        }
        if !filled.iter().flatten().any(|input| input.is_array()) {
            return self.add_single(spec, rate, channels, filled);
        }
        let is_list = |position: usize| spec.parameters[position].list;
        self.expand(&is_list, filled, &mut |graph, inputs| {
            graph.add_single(spec, rate, channels, inputs)
        })
    }

    /// Adds one UGen of the table, which no longer needs expansion.
    fn add_single(
        &mut self,
        spec: &'static UGenSpec,
        rate: Rate,
        channels: Option<u16>,
        inputs: &[Option<Signal>],
    ) -> Signal {
        let outputs = match (spec.outputs, channels) {
            (Outputs::Fixed(count), None) => count,
            (Outputs::Variable(_), Some(count)) if count > 0 => count,
            (Outputs::Variable(count), None) => count,
            (Outputs::ByInput, None) => 0,
            (_, Some(count)) => {
                return self.fail_with(
                    Kind::InvalidInput,
                    format!("{} cannot have {count} channels", spec.name),
                );
            }
        };
        let Some(prepare) = spec.prepare else {
            return self.add_flattened(spec, rate, outputs, inputs);
        };
        let mut filled = [None; MAX_PARAMETERS];
        let filled = &mut filled[..inputs.len()];
        filled.copy_from_slice(inputs);
        let mut draft =
            UGenDraft { spec, rate, outputs, inputs: filled, compiled_inputs: None, graph: self };
        if let Err(message) = prepare(&mut draft) {
            return self.fail_with(Kind::InvalidInput, format!("{}: {message}", spec.name));
        }
        let UGenDraft { outputs, compiled_inputs, .. } = draft;
        match compiled_inputs {
            Some(signals) => self.add_checked(spec, rate, outputs, &signals),
            None => self.add_flattened(spec, rate, outputs, filled),
        }
    }

    /// Adds a UGen whose inputs are those of its parameters, lists item by item.
    fn add_flattened(
        &mut self,
        spec: &'static UGenSpec,
        rate: Rate,
        outputs: u16,
        inputs: &[Option<Signal>],
    ) -> Signal {
        let mut signals = Vec::with_capacity(inputs.len());
        for input in inputs.iter().flatten() {
            self.flatten_into(*input, &mut signals);
        }
        self.add_checked(spec, rate, outputs, &signals)
    }

    /// Adds a UGen by name, or several if inputs are lists.
    pub(crate) fn add_raw(
        &mut self,
        name: &str,
        rate: Rate,
        special_index: i16,
        outputs: u16,
        inputs: &[Signal],
    ) -> Signal {
        if name.is_empty() || name.len() > 255 {
            return self.fail_with(
                Kind::InvalidName,
                format!(
                    "invalid UGen name `{name}`: expected 1 to 255 bytes, found {}",
                    name.len()
                ),
            );
        }
        let kind = self.raw_kind(name, UGenFlags::empty(), CompilerRole::Ordinary);
        let inputs: Vec<Option<Signal>> = inputs.iter().copied().map(Some).collect();
        self.expand(&|_| false, &inputs, &mut |graph, inputs| {
            let channels: Vec<Signal> = inputs.iter().copied().flatten().collect();
            graph.add_node(kind, rate, special_index, outputs, &channels)
        })
    }
}

/// The inputs of one expanded operation, none of which is optional.
pub(crate) fn all_given<const N: usize>(inputs: &[Option<Signal>]) -> [Signal; N] {
    std::array::from_fn(|index| inputs.get(index).copied().flatten().unwrap_or(Signal::INVALID))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Input;
    use crate::spec::UGenType;
    use crate::ugens::{In, LPF, Out, Pluck, SinOsc, WhiteNoise};

    fn numbers(graph: &mut Graph, values: &[f64]) -> Signal {
        let items: Vec<Signal> = values.iter().copied().map(Signal::number).collect();
        graph.add_list(&items)
    }

    /// The constants at input `position` of all UGens with this name.
    fn constants(graph: &Graph, name: &str, position: usize) -> Vec<f64> {
        let nodes = graph.nodes.iter().filter(|node| graph.node_name(node) == name);
        nodes
            .map(|node| match graph.node_inputs(node)[position] {
                Input::Constant(value) => value,
                Input::Output { .. } => panic!("input {position} of {name} is not a number"),
            })
            .collect()
    }

    fn error(mut graph: Graph) -> (Kind, String) {
        let error = graph.take_error().expect("an error");
        (error.kind(), error.to_string())
    }

    #[test]
    fn narrower_inputs_start_again() {
        let mut graph = Graph::new(1);
        let noise = graph.add_ugen(WhiteNoise::SPEC, Rate::Audio, None, &[]);
        let sources = graph.add_list(&[noise; 3]);
        let cutoffs = numbers(&mut graph, &[800.0, 900.0]);
        let inputs = [Some(sources), Some(cutoffs)];
        let filters = graph.add_ugen(LPF::SPEC, Rate::Audio, None, &inputs);
        assert_eq!(filters.channel_count(), 3);
        assert_eq!(constants(&graph, "LPF", 1), [800.0, 900.0, 800.0]);
    }

    #[test]
    fn nested_lists_expand_into_nested_lists() {
        let mut graph = Graph::new(1);
        let inner = numbers(&mut graph, &[2.0, 3.0]);
        let frequencies = graph.add_list(&[Signal::number(1.0), inner]);
        let sines = graph.add_ugen(SinOsc::SPEC, Rate::Audio, None, &[Some(frequencies)]);
        assert_eq!(constants(&graph, "SinOsc", 0), [1.0, 2.0, 3.0]);
        let mut items = Vec::new();
        graph.flatten_into(sines, &mut items);
        assert_eq!(items.iter().map(|item| item.channel_count()).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_list_parameter_takes_a_list_but_not_lists_of_lists() {
        let mut graph = Graph::new(1);
        let noise = graph.add_ugen(WhiteNoise::SPEC, Rate::Audio, None, &[]);
        let pair = graph.add_list(&[noise, noise]);
        graph.add_ugen(Out::SPEC, Rate::Audio, None, &[None, Some(pair)]);
        assert_eq!(graph.nodes.len(), 2);
        let pairs = graph.add_list(&[pair, pair]);
        graph.add_ugen(Out::SPEC, Rate::Audio, None, &[None, Some(pairs)]);
        assert_eq!(graph.nodes.len(), 4);
        assert_eq!(graph.nodes[3].input_count, 3, "the bus and two channels");
    }

    #[test]
    fn a_list_of_one_expands_into_one_ugen() {
        let mut graph = Graph::new(1);
        let one = numbers(&mut graph, &[440.0]);
        let sine = graph.add_ugen(SinOsc::SPEC, Rate::Audio, None, &[Some(one)]);
        assert!(!sine.is_array());
    }

    #[test]
    fn an_empty_list_and_a_foreign_list_are_errors() {
        let mut graph = Graph::new(1);
        let empty = graph.add_list(&[]);
        graph.add_ugen(SinOsc::SPEC, Rate::Audio, None, &[Some(empty)]);
        let (kind, text) = error(graph);
        assert_eq!(kind, Kind::InvalidInput);
        assert!(text.contains("without channels"), "{text}");

        let foreign = numbers(&mut Graph::new(1), &[1.0, 2.0]);
        let mut graph = Graph::new(2);
        graph.add_ugen(SinOsc::SPEC, Rate::Audio, None, &[Some(foreign)]);
        assert_eq!(error(graph).0, Kind::ForeignSignal);
    }

    #[test]
    fn the_number_of_outputs_can_be_chosen_where_it_varies() {
        let mut graph = Graph::new(1);
        assert_eq!(graph.add_ugen(In::SPEC, Rate::Audio, Some(2), &[]).channel_count(), 2);
        assert_eq!(graph.add_ugen(In::SPEC, Rate::Audio, None, &[]).channel_count(), 1);
        graph.add_ugen(SinOsc::SPEC, Rate::Audio, Some(2), &[]);
        assert!(error(graph).1.contains("SinOsc cannot have 2 channels"));
    }

    #[test]
    fn missing_inputs_and_wrong_rates_are_errors() {
        let mut graph = Graph::new(1);
        graph.add_ugen(LPF::SPEC, Rate::Audio, None, &[]);
        let (kind, text) = error(graph);
        assert_eq!(kind, Kind::MissingInput);
        assert!(
            text.contains("LPF needs the input `source`") && text.contains("`.source(…)`"),
            "{text}"
        );
        let mut graph = Graph::new(1);
        graph.add_ugen(Pluck::SPEC, Rate::Audio, None, &[]);
        let text = error(graph).1;
        assert!(text.contains("Pluck needs the inputs `source` and `trigger`"), "{text}");
        let mut graph = Graph::new(1);
        graph.add_ugen(SinOsc::SPEC, Rate::Demand, None, &[]);
        let (kind, text) = error(graph);
        assert_eq!(kind, Kind::WrongRate);
        assert!(text.contains("SinOsc does not run at dr; it runs at ar, kr"), "{text}");
    }

    #[test]
    fn raw_ugens_expand_too() {
        let mut graph = Graph::new(1);
        let frequencies = numbers(&mut graph, &[1.0, 2.0]);
        graph.add_raw("Plugin", Rate::Audio, -1, 1, &[frequencies, Signal::number(0.5)]);
        assert_eq!(constants(&graph, "Plugin", 0), [1.0, 2.0]);
        assert_eq!(constants(&graph, "Plugin", 1), [0.5, 0.5]);
        graph.add_raw("", Rate::Audio, 0, 1, &[]);
        assert_eq!(error(graph).0, Kind::InvalidName);
    }
}
