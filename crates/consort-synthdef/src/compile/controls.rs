//! The UGens that hold the values of the controls.

use crate::builtin::{AUDIO_CONTROL, CONTROL, LAG_CONTROL, TRIG_CONTROL};
use crate::graph::{CONTROL_BIT, Graph, Input, Node, NodeKind};
use crate::model::Control;
use crate::rate::ControlRate;

/// Adds the UGens of the controls, sorted by rate and name, and points the inputs at them.
pub(super) fn add_controls(graph: &mut Graph) -> (Vec<u32>, Vec<Control>) {
    let mut sorted: Vec<usize> = (0..graph.controls.len()).collect();
    sorted.sort_by(|left, right| {
        let (left, right) = (&graph.controls[*left], &graph.controls[*right]);
        left.rate.cmp(&right.rate).then_with(|| left.name.cmp(&right.name))
    });
    let mut nodes = Vec::new();
    let mut controls = Vec::with_capacity(sorted.len());
    // For each control in the order of building: its node, and the output of its first value.
    let mut targets = vec![(0, 0); graph.controls.len()];
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
            targets[index] = (node, outputs);
            if lagged {
                let lag = Input::Constant(entry.lag);
                graph.inputs.extend((0..entry.count).map(|_| lag));
            }
            let values = entry.first as usize..(entry.first + entry.count) as usize;
            controls.push(Control::new(
                entry.name.clone(),
                special_index + outputs,
                graph.control_values[values].iter().map(|value| *value as f32).collect(),
                rate,
                entry.lag as f32,
            ));
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
            // 16 bits suffice: a graph has at most 65,535 control values.
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
            let (control, first) = targets[(*node & !CONTROL_BIT) as usize];
            *node = control;
            *output += first;
        }
    }
    (nodes, controls)
}
