//! The order in which the server runs the UGens, and which of them it needs.

use crate::graph::{Graph, Input};
use crate::spec::UGenFlags;

/// Sorts topologically, depth first. A UGen waits for its inputs and for every width-first UGen
/// that was built before it.
///
/// After a UGen has been placed, the first of its readers that waits for nothing else follows, then
/// that reader's readers, and so on:
///
/// ```text
/// built   a  b  c = f(a)  d = g(b)  e = h(c, d)
/// sorted  a  c  b  d  e
/// ```
pub(super) fn sort(graph: &Graph, order: &[u32]) -> Vec<u32> {
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
    // How many UGens each one waits for, and the edges from a UGen to its readers. Width-first UGens
    // have no edges: everything after them waits for them.
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
                // A dropped UGen has no position; width-first UGens are counted already.
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
    // The readers of each UGen in order; the edges are sorted by reader already.
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

/// Removes pure UGens whose outputs are not read, and then those that only removed UGens read.
pub(super) fn remove_unread(graph: &Graph, order: &mut Vec<u32>) {
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
    // Readers come after what they read, so that one pass from the end finds everything.
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

#[cfg(test)]
mod tests {
    use super::{remove_unread, sort};
    use crate::graph::Graph;
    use crate::open::build_graph;
    use crate::signal::Signal;
    use crate::ugens::{DC, LFTri, LPF, Out, RandSeed, SinOsc, WhiteNoise};

    fn graph(function: impl FnOnce()) -> Graph {
        build_graph(function).expect("a valid graph")
    }

    fn sorted(graph: &Graph) -> Vec<u32> {
        sort(graph, &(0..graph.nodes.len() as u32).collect::<Vec<_>>())
    }

    fn sine(frequency: Signal) -> Signal {
        SinOsc::ar(frequency).signal()
    }

    #[test]
    fn readers_follow_what_they_read_depth_first() {
        let graph = graph(|| {
            let first = LFTri::ar(1.0).signal();
            let second = LFTri::ar(2.0).signal();
            let first_reader = sine(first);
            let second_reader = sine(second);
            LPF::ar(first_reader, second_reader);
        });
        assert_eq!(sorted(&graph), [0, 2, 1, 3, 4]);
    }

    #[test]
    fn everything_waits_for_earlier_width_first_ugens() {
        let graph = graph(|| {
            let noise = WhiteNoise::ar().signal();
            RandSeed::kr().signal();
            sine(noise);
            WhiteNoise::ar();
        });
        assert_eq!(sorted(&graph), [0, 1, 2, 3]);
    }

    #[test]
    fn unread_pure_ugens_are_removed_with_what_only_they_read() {
        let graph = graph(|| {
            let source = LFTri::ar(1.0).signal();
            sine(sine(source));
            WhiteNoise::ar();
            Out::ar(0, DC::ar(0.0));
        });
        let mut order = sorted(&graph);
        remove_unread(&graph, &mut order);
        let names: Vec<&str> =
            order.iter().map(|node| graph.node_name(&graph.nodes[*node as usize])).collect();
        assert_eq!(names, ["WhiteNoise", "DC", "Out"], "noise is not pure");
    }
}
