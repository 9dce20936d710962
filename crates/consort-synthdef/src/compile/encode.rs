//! Encoding a graph as the bytes of a SynthDef file.

use std::collections::HashMap;

use crate::error::{SynthDefError, SynthDefErrorKind as Kind};
use crate::graph::{Graph, Input, MAX_ELEMENTS};
use crate::model::Control;

/// The number of constants up to which a linear search is faster than a map.
const MAX_SEARCHED_CONSTANTS: usize = 24;

/// Constants in the order of their first use.
#[derive(Default)]
struct Constants {
    values: Vec<f64>,
    /// The index of each constant, once there are more than [`MAX_SEARCHED_CONSTANTS`].
    map: HashMap<u64, u32>,
}

impl Constants {
    /// The position of a constant, which is added if it is new.
    fn index(&mut self, value: f64) -> u32 {
        if self.values.len() <= MAX_SEARCHED_CONSTANTS {
            if let Some(index) = self.values.iter().position(|known| *known == value) {
                return index as u32;
            }
            self.values.push(value);
            if self.values.len() > MAX_SEARCHED_CONSTANTS {
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

/// A key for the map: equal numbers have equal keys, also zero and minus zero.
fn key(value: f64) -> u64 {
    (value + 0.0).to_bits()
}

/// The SynthDef in the form of a version 2 file, without its name.
pub(crate) fn encode(
    graph: &Graph,
    order: &[u32],
    controls: &[Control],
) -> Result<Vec<u8>, SynthDefError> {
    let mut constants = Constants::default();
    let mut ugens = Vec::with_capacity(order.len() * 48);
    let mut index_of = vec![0_u32; graph.nodes.len()];
    for (index, node) in order.iter().enumerate() {
        index_of[*node as usize] = index as u32;
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
            let (source, index) = match *input {
                Input::Constant(value) => (u32::MAX, constants.index(value)),
                Input::Output { node, output } => (index_of[node as usize], output),
            };
            ugens.extend_from_slice(&source.to_be_bytes());
            ugens.extend_from_slice(&index.to_be_bytes());
        }
        ugens.resize(ugens.len() + usize::from(node.outputs), node.rate as u8);
    }
    if constants.values.len() > MAX_ELEMENTS {
        return Err(SynthDefError::new(
            Kind::TooMany,
            format!(
                "the SynthDef has {} different constants; the maximum is {MAX_ELEMENTS}",
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

#[cfg(test)]
mod tests {
    use super::{Constants, MAX_SEARCHED_CONSTANTS};

    #[test]
    fn constants_keep_the_position_of_their_first_use() {
        let mut constants = Constants::default();
        for _ in 0..2 {
            for value in 0..2 * MAX_SEARCHED_CONSTANTS as u32 {
                assert_eq!(constants.index(f64::from(value)), value);
            }
        }
        assert_eq!(constants.values.len(), 2 * MAX_SEARCHED_CONSTANTS);
        assert_eq!(constants.index(-0.0), 0, "minus zero is zero");
    }
}
