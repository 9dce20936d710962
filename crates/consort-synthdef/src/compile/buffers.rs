//! Local buffers: the copies of spectra, and the number of buffers that the server has to reserve.

use std::collections::HashMap;

use crate::error::{SynthDefError, SynthDefErrorKind as Kind};
use crate::graph::{Graph, Input, Node, NodeKind};
use crate::rate::Rate;
use crate::spec::{CompilerRole, UGenFlags, UGenSpec, UGenType};
use crate::ugens::{BufFrames, LocalBuf, MaxLocalBufs, PV_Copy};

/// Appends a UGen of one output.
fn push_node(graph: &mut Graph, spec: &'static UGenSpec, rate: Rate, inputs: &[Input]) -> u32 {
    let first_input = graph.inputs.len() as u32;
    graph.inputs.extend_from_slice(inputs);
    graph.nodes.push(Node {
        kind: NodeKind::Table(spec),
        rate,
        special_index: 0,
        outputs: 1,
        first_input,
        input_count: inputs.len() as u32,
    });
    graph.nodes.len() as u32 - 1
}

/// UGens change spectra in place, so that every reader of a spectrum except the last gets a copy.
pub(super) fn copy_spectra(graph: &mut Graph, order: Vec<u32>) -> Result<Vec<u32>, SynthDefError> {
    let is_chain =
        |graph: &Graph, node: u32| graph.nodes[node as usize].flags().contains(UGenFlags::PV_CHAIN);
    // Spectra in the order in which they are first read, each with its readers and their inputs.
    let mut chains: Vec<(u32, Vec<(u32, usize)>)> = Vec::new();
    let mut index_of: HashMap<u32, usize> = HashMap::new();
    for &reader in &order {
        let node = graph.nodes[reader as usize];
        if !is_chain(graph, reader) || node.role() == CompilerRole::PvCopy {
            continue;
        }
        for (position, input) in graph.node_inputs(&node).iter().enumerate() {
            if let Input::Output { node: chain, .. } = *input
                && is_chain(graph, chain)
            {
                let index = *index_of.entry(chain).or_insert_with(|| {
                    chains.push((chain, Vec::new()));
                    chains.len() - 1
                });
                chains[index].1.push((reader, position));
            }
        }
    }
    let mut before: HashMap<u32, Vec<u32>> = HashMap::new();
    for (chain, readers) in chains {
        for &(reader, position) in &readers[..readers.len() - 1] {
            let added = before.entry(reader).or_default();
            let (frames, frames_node) = spectrum_frames(graph, chain)?;
            added.extend(frames_node);
            let buffer =
                push_node(graph, LocalBuf::SPEC, Rate::Scalar, &[Input::Constant(1.0), frames]);
            let source = Input::Output { node: chain, output: 0 };
            let target = Input::Output { node: buffer, output: 0 };
            let copy = push_node(graph, PV_Copy::SPEC, Rate::Control, &[source, target]);
            let slot = graph.nodes[reader as usize].first_input as usize + position;
            graph.inputs[slot] = Input::Output { node: copy, output: 0 };
            added.extend([buffer, copy]);
        }
    }
    if before.is_empty() {
        return Ok(order);
    }
    let mut result = Vec::with_capacity(graph.nodes.len());
    for node in order {
        result.extend(before.remove(&node).unwrap_or_default());
        result.push(node);
    }
    Ok(result)
}

/// The size of the buffer in which a chain begins, and the UGen that reads this size.
fn spectrum_frames(graph: &mut Graph, chain: u32) -> Result<(Input, Option<u32>), SynthDefError> {
    let mut current = chain;
    // Every step leads to a node that was built earlier, or to the copy of such a node, so that the
    // loop ends; the bound protects against an error in this reasoning.
    for _ in 0..=graph.nodes.len() {
        let node = graph.nodes[current as usize];
        let first = graph.node_inputs(&node).first().copied();
        if node.role() == CompilerRole::Fft {
            let buffer = first.unwrap_or(Input::Constant(0.0));
            let frames = push_node(graph, BufFrames::SPEC, Rate::Scalar, &[buffer]);
            return Ok((Input::Output { node: frames, output: 0 }, Some(frames)));
        }
        match first {
            Some(Input::Output { node: earlier, .. })
                if graph.nodes[earlier as usize].flags().contains(UGenFlags::PV_CHAIN) =>
            {
                current = earlier;
            }
            _ => break,
        }
    }
    let name = graph.node_name(&graph.nodes[chain as usize]).to_owned();
    Err(SynthDefError::new(
        Kind::InvalidInput,
        format!(
            "{name} has several readers and needs a copy for each, but its chain does not begin \
             with an FFT"
        ),
    ))
}

/// Puts one `MaxLocalBufs` with the number of local buffers before the first of them, and makes it
/// the last input of each. Others that the instrument added are dropped.
pub(super) fn reserve_local_buffers(graph: &mut Graph, order: Vec<u32>) -> Vec<u32> {
    let role = |graph: &Graph, node: u32| graph.nodes[node as usize].role();
    let buffers: Vec<u32> =
        order.iter().copied().filter(|node| role(graph, *node) == CompilerRole::LocalBuf).collect();
    let mut reserve = None;
    if !buffers.is_empty() {
        let count = Input::Constant(buffers.len() as f64);
        let node = push_node(graph, MaxLocalBufs::SPEC, Rate::Scalar, &[count]);
        for buffer in &buffers {
            let old = graph.nodes[*buffer as usize];
            let first_input = graph.inputs.len() as u32;
            let old_inputs = old.first_input as usize..old.first_input as usize + 2;
            graph.inputs.extend_from_within(old_inputs);
            graph.inputs.push(Input::Output { node, output: 0 });
            let buffer = &mut graph.nodes[*buffer as usize];
            buffer.first_input = first_input;
            buffer.input_count = 3;
        }
        reserve = Some(node);
    }
    let mut result = Vec::with_capacity(order.len() + 1);
    for node in order {
        match role(graph, node) {
            CompilerRole::MaxLocalBufs => continue,
            CompilerRole::LocalBuf => result.extend(reserve.take()),
            _ => {}
        }
        result.push(node);
    }
    result
}
