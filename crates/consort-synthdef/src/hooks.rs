//! What is particular about some UGens when they are built.

use super::error::{SynthDefError, SynthDefErrorKind as Kind};
use super::graph::{Graph, NodeKind};
use super::rate::Rate;
use super::signal::{Repr, Signal};
use crate::ugens::table::Hook;
use crate::ugens::{LocalBuf, UGenSpec, UGenType};

fn number(value: f64) -> Signal {
    Signal(Repr::Constant(value))
}

fn constant(input: Option<Signal>) -> Option<f64> {
    match input {
        Some(Signal(Repr::Constant(value))) => Some(value),
        _ => None,
    }
}

/// Enters a UGen whose inputs are not simply those of its parameters.
pub(crate) fn enter(
    graph: &mut Graph,
    spec: &'static UGenSpec,
    rate: Rate,
    outputs: u16,
    inputs: &[Option<Signal>],
) -> Signal {
    let mut filled = [None; 16];
    filled[..inputs.len()].copy_from_slice(inputs);
    let filled = &mut filled[..inputs.len()];
    let invalid = |graph: &mut Graph, message: String| {
        graph.fail(SynthDefError::new(Kind::InvalidInput, format!("{}: {message}", spec.name)))
    };
    match spec.hook {
        Hook::None | Hook::PvCopy | Hook::LocalBuf | Hook::MaxLocalBufs => {}
        Hook::Demand => {
            // One output for each source.
            let sources = list(graph, filled[2]);
            return graph.enter_plain(spec, rate, sources.len() as u16, filled);
        }
        Hook::Fft => {
            if filled[0].is_none() {
                // The window's size, where it is known not to be zero.
                let frames = match filled[5] {
                    Some(size) if !size.is_number(0.0) => size,
                    _ => number(2048.0),
                };
                let kind = NodeKind::Table(LocalBuf::SPEC);
                filled[0] = Some(graph.node(kind, Rate::Scalar, 0, 1, &[number(1.0), frames]));
            }
        }
        Hook::CopyDefault => {
            // What is not given is the same as the parameter before it.
            for index in 1..filled.len() {
                if filled[index].is_none() {
                    filled[index] = filled[index - 1];
                }
            }
        }
        Hook::StepperReset => {
            // Back to the lowest value, unless said otherwise.
            if filled[5].is_none() {
                filled[5] = filled[2];
            }
        }
        Hook::LeakDc => {
            if filled[1].is_none() {
                filled[1] = Some(number(if rate == Rate::Audio { 0.995 } else { 0.9 }));
            }
        }
        Hook::LocalIn => {
            let defaults = list(graph, filled[0]);
            if defaults.is_empty() || defaults.iter().any(|item| constant(Some(*item)).is_none()) {
                return invalid(graph, "the defaults have to be numbers".into());
            }
            let repeated: Vec<Signal> =
                defaults.iter().copied().cycle().take(usize::from(outputs)).collect();
            return graph.checked(spec, rate, outputs, &repeated);
        }
        Hook::Mfcc => match constant(filled[1]) {
            Some(count) if (1.0..=65_535.0).contains(&count) => {
                return graph.enter_plain(spec, rate, count as u16, filled);
            }
            _ => return invalid(graph, "coefficient_count has to be a number above zero".into()),
        },
        Hook::IntegerDoneAction => {
            let position = spec.position("done_action").unwrap_or(0);
            if let Some(action) = constant(filled[position]) {
                if !(0.0..15.0).contains(&action) {
                    return invalid(graph, format!("{action} is no done action (0 to 14)"));
                }
                filled[position] = Some(number(action.trunc()));
            }
        }
        Hook::SortedRange => {
            if let (Some(low), Some(high)) = (constant(filled[0]), constant(filled[1]))
                && low > high
            {
                filled.swap(0, 1);
            }
        }
        Hook::IntegerRange => {
            for input in &mut filled[..2] {
                if let Some(value) = constant(*input) {
                    *input = Some(number(value.trunc()));
                }
            }
        }
        Hook::PostMode => {
            if let Some(mode) = constant(filled[2])
                && ![0.0, 1.0, 2.0].contains(&mode)
            {
                return invalid(graph, format!("{mode} is no post mode (0, 1 or 2)"));
            }
        }
        Hook::Poll => {
            let label = match filled[3] {
                Some(label) => list(graph, Some(label)),
                None => text(&source_name(graph, filled[1])),
            };
            let mut all: Vec<Signal> = filled[..3].iter().copied().flatten().collect();
            all.push(number(label.len() as f64));
            all.extend(label);
            return graph.checked(spec, rate, outputs, &all);
        }
        Hook::SendReply => {
            let name = reply_name(graph, filled[2]);
            let mut all: Vec<Signal> = filled[..2].iter().copied().flatten().collect();
            all.push(number(name.len() as f64));
            all.extend(name);
            all.extend(list(graph, filled[3]));
            return graph.checked(spec, rate, outputs, &all);
        }
        Hook::SendPeakRms => {
            let name = reply_name(graph, filled[4]);
            let sources = list(graph, filled[3]);
            let mut all: Vec<Signal> = filled[..3].iter().copied().flatten().collect();
            all.push(number(sources.len() as f64));
            all.extend(sources);
            all.push(number(name.len() as f64));
            all.extend(name);
            return graph.checked(spec, rate, outputs, &all);
        }
        Hook::Dwrand => {
            let sequence = list(graph, filled[2]);
            let mut weights = list(graph, filled[1]);
            weights.resize(sequence.len(), number(0.0));
            let mut all: Vec<Signal> = filled[..1].iter().copied().flatten().collect();
            all.push(number(sequence.len() as f64));
            all.extend(weights);
            all.extend(sequence);
            return graph.checked(spec, rate, outputs, &all);
        }
        Hook::Sum | Hook::Operator | Hook::Control => {
            return invalid(
                graph,
                "its rate follows from its inputs: use the type of this name, the operators, or \
                 controls"
                    .into(),
            );
        }
    }
    graph.enter_plain(spec, rate, outputs, filled)
}

fn list(graph: &Graph, input: Option<Signal>) -> Vec<Signal> {
    let mut signals = Vec::new();
    if let Some(input) = input {
        graph.append(input, &mut signals);
    }
    signals
}

fn text(text: &str) -> Vec<Signal> {
    text.bytes().map(|byte| number(f64::from(byte))).collect()
}

fn reply_name(graph: &Graph, input: Option<Signal>) -> Vec<Signal> {
    match input {
        Some(_) => list(graph, input),
        None => text("/reply"),
    }
}

/// What a poll is labelled with when no label is given.
fn source_name(graph: &Graph, source: Option<Signal>) -> String {
    match source {
        Some(Signal(Repr::Output { node, .. })) => match graph.nodes.get(node as usize) {
            Some(node) => graph.node_name(node).to_owned(),
            None => "Control".to_owned(),
        },
        _ => "Number".to_owned(),
    }
}
