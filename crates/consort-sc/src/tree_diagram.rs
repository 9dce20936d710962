//! The node tree as a diagram.

use consort_synthdef::{Diagram, DiagramBox};

use crate::tree::{QueryTreeGroup, QueryTreeNode};

/// The colour of groups.
const GROUP_COLOR: &str = "#666666";
/// The colour of synths.
const SYNTH_COLOR: &str = "#1f5fa8";

impl QueryTreeGroup {
    /// The tree as a diagram: a box for each node, from groups to the nodes in them, in the order in which
    /// the server computes them. Synths have their controls, if the tree has them.
    ///
    /// ```
    /// use consort_sc::QueryTreeGroup;
    ///
    /// let tree = QueryTreeGroup { id: 1, children: Vec::new() };
    /// assert!(tree.diagram().graphviz().contains("1 group"));
    /// ```
    pub fn diagram(&self) -> Diagram {
        let mut diagram = Diagram::new();
        let mut waiting: Vec<(Option<usize>, Option<&QueryTreeNode>)> = vec![(None, None)];
        while let Some((parent, node)) = waiting.pop() {
            let (id, children) = match node {
                None => (self.id, &self.children[..]),
                Some(QueryTreeNode::Group(group)) => (group.id, &group.children[..]),
                Some(QueryTreeNode::Synth(synth)) => (synth.id, &[][..]),
            };
            let (title, inputs, color) = match node {
                Some(QueryTreeNode::Synth(synth)) => {
                    let controls = synth.controls.iter();
                    let controls = controls.map(|(key, value)| format!("{key}: {value}"));
                    (format!("{id} {}", synth.synthdef), controls.collect(), SYNTH_COLOR)
                }
                _ => (format!("{id} group"), Vec::new(), GROUP_COLOR),
            };
            let number = diagram.add(DiagramBox { title, inputs, outputs: Vec::new(), color });
            if let Some(parent) = parent {
                diagram.link((parent, None), (number, None));
            }
            waiting.extend(children.iter().rev().map(|child| (Some(number), Some(child))));
        }
        diagram
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::QueryTreeSynth;

    #[test]
    fn a_tree_is_drawn_in_the_order_of_computation() {
        let synth = |id: i32| {
            QueryTreeNode::Synth(QueryTreeSynth {
                id,
                synthdef: "bell".into(),
                controls: vec![("frequency".into(), 440.0.into())],
            })
        };
        let inner = QueryTreeGroup { id: 1000, children: vec![synth(1001), synth(1002)] };
        let tree =
            QueryTreeGroup { id: 0, children: vec![QueryTreeNode::Group(inner), synth(1003)] };
        let diagram = tree.diagram();
        let titles: Vec<&str> = diagram.boxes().iter().map(|found| found.title.as_str()).collect();
        assert_eq!(titles, ["0 group", "1000 group", "1001 bell", "1002 bell", "1003 bell"]);
        assert_eq!(diagram.boxes()[2].inputs, ["frequency: 440.0"]);
        let text = diagram.graphviz();
        for link in ["n0 -> n1", "n1 -> n2", "n1 -> n3", "n0 -> n4"] {
            assert!(text.contains(link), "{text}");
        }
    }
}
