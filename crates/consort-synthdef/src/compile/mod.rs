//! From the graph as it was built to the server's form.
//!
//! The order of the UGens matters twice: the server runs them in it, and a reader who compares two
//! files wants equal graphs to have equal bytes. The steps are those of the language's own
//! compiler: controls first, copies for spectra that are read twice, room for local buffers, a
//! depth-first topological sort, and removal of pure UGens that nobody reads.

use std::collections::HashMap;

use super::error::{SynthDefError, SynthDefErrorKind as Kind};
use super::graph::{CONTROL_BIT, Graph, Input, LIMIT, Node, NodeKind};
use super::model::Control;
use super::rate::{ControlRate, Rate};
use crate::ugens::special::{AUDIO_CONTROL, CONTROL, LAG_CONTROL, TRIG_CONTROL};
use crate::ugens::table::Hook;
use crate::ugens::{BufFrames, LocalBuf, MaxLocalBufs, PV_Copy, UGenFlags, UGenType};

/// Everything of a compiled SynthDef but its name.
pub(crate) struct Compiled {
    pub(crate) body: Vec<u8>,
    pub(crate) controls: Vec<Control>,
}

pub(crate) fn compile(mut graph: Graph, optimize: bool) -> Result<Compiled, SynthDefError> {
    let built = graph.nodes.len() as u32;
    let (control_nodes, controls) = add_controls(&mut graph);
    let mut order: Vec<u32> = Vec::with_capacity(graph.nodes.len() + 4);
    order.extend(control_nodes);
    order.extend(0..built);
    if graph.nodes.iter().any(|node| node.flags().contains(UGenFlags::PV_CHAIN)) {
        order = copy_spectra(&mut graph, order)?;
    }
    if graph.nodes.iter().any(|node| matches!(node.hook(), Hook::LocalBuf | Hook::MaxLocalBufs)) {
        order = reserve_local_buffers(&mut graph, order);
    }
    let mut order = sort(&graph, &order);
    if optimize {
        remove_unread(&graph, &mut order);
    }
    if order.is_empty() {
        return Err(SynthDefError::new(
            Kind::Empty,
            "the SynthDef has no UGen left: nothing reads what it computes (does it write a bus?)",
        ));
    }
    if order.len() > LIMIT {
        return Err(SynthDefError::new(
            Kind::TooMany,
            format!("the SynthDef has {} UGens, at most {LIMIT} are possible", order.len()),
        ));
    }
    let body = encode(&graph, &order, &controls)?;
    Ok(Compiled { body, controls })
}

/// Makes the UGens of the controls, sorted by rate and name, and points the inputs at them.
fn add_controls(graph: &mut Graph) -> (Vec<u32>, Vec<Control>) {
    let mut sorted: Vec<usize> = (0..graph.controls.len()).collect();
    sorted.sort_by(|left, right| {
        let (left, right) = (&graph.controls[*left], &graph.controls[*right]);
        left.rate.cmp(&right.rate).then_with(|| left.name.cmp(&right.name))
    });
    let mut nodes = Vec::new();
    let mut controls = Vec::with_capacity(sorted.len());
    // For each control as it was built: its node, and the output of its first value.
    let mut places = vec![(0, 0); graph.controls.len()];
    let mut special_index = 0;
    for group in
        sorted.chunk_by(|left, right| graph.controls[*left].rate == graph.controls[*right].rate)
    {
        let rate = graph.controls[group[0]].rate;
        let lagged = rate == ControlRate::Control
            && group.iter().any(|index| graph.controls[*index].lag != 0.0);
        let first_input = graph.inputs.len();
        let node = graph.nodes.len() as u32;
        let mut outputs = 0;
        for &index in group {
            let entry = &graph.controls[index];
            places[index] = (node, outputs);
            if lagged {
                let lag = Input::Constant(entry.lag);
                graph.inputs.extend((0..entry.count).map(|_| lag));
            }
            let values = entry.first as usize..(entry.first + entry.count) as usize;
            controls.push(Control {
                name: entry.name.clone(),
                index: special_index + outputs,
                values: graph.control_values[values].iter().map(|value| *value as f32).collect(),
                rate,
                lag: entry.lag as f32,
            });
            outputs += entry.count;
        }
        let spec = match rate {
            ControlRate::Scalar => &CONTROL,
            ControlRate::Trigger => &TRIG_CONTROL,
            ControlRate::Audio => &AUDIO_CONTROL,
            ControlRate::Control if lagged => &LAG_CONTROL,
            ControlRate::Control => &CONTROL,
        };
        graph.nodes.push(Node {
            kind: NodeKind::Table(spec),
            rate: rate.rate(),
            // The format has 16 bits for it; the number of control values is bounded accordingly.
            special_index: special_index as u16 as i16,
            outputs: outputs as u16,
            first_input: first_input as u32,
            input_count: (graph.inputs.len() - first_input) as u32,
        });
        nodes.push(node);
        special_index += outputs;
    }
    for input in &mut graph.inputs {
        if let Input::Output { node, output } = input
            && *node & CONTROL_BIT != 0
        {
            let (control, first) = places[(*node & !CONTROL_BIT) as usize];
            *node = control;
            *output += first;
        }
    }
    (nodes, controls)
}

fn push_node(
    graph: &mut Graph,
    spec: &'static crate::ugens::UGenSpec,
    rate: Rate,
    inputs: &[Input],
) -> u32 {
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

/// Spectra are changed in place: every reader of one but the last gets a copy of its own.
fn copy_spectra(graph: &mut Graph, order: Vec<u32>) -> Result<Vec<u32>, SynthDefError> {
    let is_chain =
        |graph: &Graph, node: u32| graph.nodes[node as usize].flags().contains(UGenFlags::PV_CHAIN);
    // Chains in the order in which they are first read, each with its readers.
    let mut chains: Vec<(u32, Vec<(u32, usize)>)> = Vec::new();
    let mut place: HashMap<u32, usize> = HashMap::new();
    for &reader in &order {
        let node = graph.nodes[reader as usize];
        if !is_chain(graph, reader) || node.hook() == Hook::PvCopy {
            continue;
        }
        for (position, input) in graph.node_inputs(&node).iter().enumerate() {
            if let Input::Output { node: chain, .. } = *input
                && is_chain(graph, chain)
            {
                let index = *place.entry(chain).or_insert_with(|| {
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

/// The size of the buffer in which a chain began, and the UGen that finds it out.
fn spectrum_frames(graph: &mut Graph, chain: u32) -> Result<(Input, Option<u32>), SynthDefError> {
    let mut current = chain;
    // Every step goes to a node that was made earlier, or to a copy of such a one.
    for _ in 0..=graph.nodes.len() {
        let node = graph.nodes[current as usize];
        let first = graph.node_inputs(&node).first().copied();
        if node.hook() == Hook::Fft {
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
            "{name} is read more than once, so that it has to be copied, but its chain does not \
             begin with an FFT"
        ),
    ))
}

/// One `MaxLocalBufs` with the number of local buffers stands before the first of them, and is
/// the last input of each.
fn reserve_local_buffers(graph: &mut Graph, order: Vec<u32>) -> Vec<u32> {
    let hook = |graph: &Graph, node: u32| graph.nodes[node as usize].hook();
    let buffers: Vec<u32> =
        order.iter().copied().filter(|node| hook(graph, *node) == Hook::LocalBuf).collect();
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
        match hook(graph, node) {
            Hook::MaxLocalBufs => continue,
            Hook::LocalBuf => result.extend(reserve.take()),
            _ => {}
        }
        result.push(node);
    }
    result
}

/// Depth-first topological order. A UGen waits for its inputs and for every width-first UGen that
/// was built before it.
fn sort(graph: &Graph, order: &[u32]) -> Vec<u32> {
    const ABSENT: u32 = u32::MAX;
    let count = order.len();
    let mut rank = vec![ABSENT; graph.nodes.len()];
    for (index, node) in order.iter().enumerate() {
        rank[*node as usize] = index as u32;
    }
    let width_first: Vec<bool> = order
        .iter()
        .map(|node| graph.nodes[*node as usize].flags().contains(UGenFlags::WIDTH_FIRST))
        .collect();
    // How many UGens each waits for, and who waits for each; for width-first ones that is simply
    // everything after them.
    let mut waits = vec![0_u32; count];
    let mut edges: Vec<(u32, u32)> = Vec::with_capacity(graph.inputs.len());
    let mut earlier_width_first = 0;
    let mut seen = vec![ABSENT; count];
    for (index, node) in order.iter().enumerate() {
        waits[index] = earlier_width_first;
        for input in graph.node_inputs(&graph.nodes[*node as usize]) {
            let Input::Output { node: source, .. } = *input else {
                continue;
            };
            let source = rank[source as usize];
            if source == ABSENT || width_first[source as usize] {
                // A purged UGen cannot be waited for; width-first ones are counted already.
                continue;
            }
            if seen[source as usize] != index as u32 {
                seen[source as usize] = index as u32;
                waits[index] += 1;
                edges.push((source, index as u32));
            }
        }
        earlier_width_first += u32::from(width_first[index]);
    }
    // Readers of each UGen, in order: the edges are sorted by reader already.
    let mut starts = vec![0_u32; count + 1];
    for (source, _) in &edges {
        starts[*source as usize + 1] += 1;
    }
    for index in 0..count {
        starts[index + 1] += starts[index];
    }
    let mut readers = vec![0_u32; edges.len()];
    let mut next = starts.clone();
    for (source, reader) in &edges {
        readers[next[*source as usize] as usize] = *reader;
        next[*source as usize] += 1;
    }
    let mut stack: Vec<u32> =
        (0..count as u32).rev().filter(|index| waits[*index as usize] == 0).collect();
    let mut sorted = Vec::with_capacity(count);
    while let Some(current) = stack.pop() {
        let mut release = |reader: u32| {
            waits[reader as usize] -= 1;
            if waits[reader as usize] == 0 {
                stack.push(reader);
            }
        };
        if width_first[current as usize] {
            (current + 1..count as u32).rev().for_each(&mut release);
        } else {
            let range = starts[current as usize] as usize..starts[current as usize + 1] as usize;
            readers[range].iter().rev().copied().for_each(&mut release);
        }
        sorted.push(order[current as usize]);
    }
    sorted
}

/// Removes pure UGens that nobody reads, and then those that only they had read.
fn remove_unread(graph: &Graph, order: &mut Vec<u32>) {
    let mut reads = vec![0_u32; graph.nodes.len()];
    for node in order.iter() {
        for input in graph.node_inputs(&graph.nodes[*node as usize]) {
            if let Input::Output { node, .. } = input {
                reads[*node as usize] += 1;
            }
        }
    }
    let mut removed = false;
    let mut keep = vec![true; graph.nodes.len()];
    // Readers stand behind what they read, so one pass from the end finds everything.
    for node in order.iter().rev() {
        let entry = &graph.nodes[*node as usize];
        if reads[*node as usize] == 0 && entry.flags().contains(UGenFlags::PURE) {
            keep[*node as usize] = false;
            removed = true;
            for input in graph.node_inputs(entry) {
                if let Input::Output { node, .. } = input {
                    reads[*node as usize] -= 1;
                }
            }
        }
    }
    if removed {
        order.retain(|node| keep[*node as usize]);
    }
}

/// Numbers in the order of their first use; few are compared one by one, many by a map.
#[derive(Default)]
struct Constants {
    values: Vec<f64>,
    map: HashMap<u64, u32>,
}

impl Constants {
    fn index(&mut self, value: f64) -> u32 {
        const FEW: usize = 24;
        if self.values.len() <= FEW {
            if let Some(index) = self.values.iter().position(|known| *known == value) {
                return index as u32;
            }
            self.values.push(value);
            if self.values.len() > FEW {
                for (index, value) in self.values.iter().enumerate() {
                    self.map.entry(key(*value)).or_insert(index as u32);
                }
            }
            return self.values.len() as u32 - 1;
        }
        let next = self.values.len() as u32;
        let index = *self.map.entry(key(value)).or_insert(next);
        if index == next {
            self.values.push(value);
        }
        index
    }
}

/// Equal numbers have equal keys: minus zero is zero.
fn key(value: f64) -> u64 {
    (value + 0.0).to_bits()
}

fn encode(graph: &Graph, order: &[u32], controls: &[Control]) -> Result<Vec<u8>, SynthDefError> {
    let mut constants = Constants::default();
    let mut ugens = Vec::with_capacity(order.len() * 48);
    let mut place = vec![0_u32; graph.nodes.len()];
    for (index, node) in order.iter().enumerate() {
        place[*node as usize] = index as u32;
    }
    for node in order {
        let node = &graph.nodes[*node as usize];
        let name = graph.node_name(node).as_bytes();
        ugens.push(name.len() as u8);
        ugens.extend_from_slice(name);
        ugens.push(node.rate as u8);
        ugens.extend_from_slice(&node.input_count.to_be_bytes());
        ugens.extend_from_slice(&u32::from(node.outputs).to_be_bytes());
        ugens.extend_from_slice(&node.special_index.to_be_bytes());
        for input in graph.node_inputs(node) {
            let (first, second) = match *input {
                Input::Constant(value) => (u32::MAX, constants.index(value)),
                Input::Output { node, output } => (place[node as usize], output),
            };
            ugens.extend_from_slice(&first.to_be_bytes());
            ugens.extend_from_slice(&second.to_be_bytes());
        }
        ugens.resize(ugens.len() + usize::from(node.outputs), node.rate as u8);
    }
    if constants.values.len() > LIMIT {
        return Err(SynthDefError::new(
            Kind::TooMany,
            format!(
                "the SynthDef has {} different numbers, at most {LIMIT} are possible",
                constants.values.len()
            ),
        ));
    }
    let names: usize = controls.iter().map(|control| control.name.len() + 5).sum();
    let values: usize = controls.iter().map(|control| control.values.len()).sum();
    let size = 18 + 4 * (constants.values.len() + values) + names + ugens.len();
    let mut body = Vec::with_capacity(size);
    body.extend_from_slice(&(constants.values.len() as u32).to_be_bytes());
    for value in &constants.values {
        body.extend_from_slice(&(*value as f32).to_be_bytes());
    }
    body.extend_from_slice(&(values as u32).to_be_bytes());
    for value in controls.iter().flat_map(|control| &control.values) {
        body.extend_from_slice(&value.to_be_bytes());
    }
    body.extend_from_slice(&(controls.len() as u32).to_be_bytes());
    for control in controls {
        body.push(control.name.len() as u8);
        body.extend_from_slice(control.name.as_bytes());
        body.extend_from_slice(&control.index.to_be_bytes());
    }
    body.extend_from_slice(&(order.len() as u32).to_be_bytes());
    body.append(&mut ugens);
    body.extend_from_slice(&0_u16.to_be_bytes());
    Ok(body)
}
