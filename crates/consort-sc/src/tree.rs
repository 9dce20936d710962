//! The node tree as the server tells it: data and text.

use std::fmt;

use consort_osc::{OscMessage, OscValue};

use crate::error::{Error, ErrorKind, Result};
use crate::queries::parse_key;
use crate::values::{ControlKey, ControlValue, MapSymbol};
use crate::wire::Arguments;

/// How deep groups may nest in an answer before it is refused.
pub(crate) const MAXIMUM_DEPTH: usize = 512;

/// A synth in a tree.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryTreeSynth {
    /// Its id.
    pub id: i32,
    /// The name of its SynthDef, if known.
    pub synthdef: String,
    /// Its controls, if they were asked for: numbers, or the bus that a control is mapped to.
    pub controls: Vec<(ControlKey, ControlValue)>,
}

/// A group in a tree, with all that is in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryTreeGroup {
    /// Its id.
    pub id: i32,
    /// Its nodes in order.
    pub children: Vec<QueryTreeNode>,
}

/// A node in a tree.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryTreeNode {
    /// A group.
    Group(QueryTreeGroup),
    /// A synth.
    Synth(QueryTreeSynth),
}

impl QueryTreeNode {
    /// The node's id.
    pub fn id(&self) -> i32 {
        match self {
            QueryTreeNode::Group(group) => group.id,
            QueryTreeNode::Synth(synth) => synth.id,
        }
    }
}

impl QueryTreeGroup {
    /// Parses `/g_queryTree.reply`. Bounded: a count is never trusted before its nodes came.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] if the message is not such a reply.
    pub fn parse(message: &OscMessage) -> Result<Self> {
        let with_controls = message.int(0)? != 0;
        let mut stack: Vec<(QueryTreeGroup, usize)> = Vec::new();
        let mut at = 1;
        let mut first = true;
        loop {
            while stack.last().is_some_and(|(_, left)| *left == 0) {
                let Some((group, _)) = stack.pop() else { break };
                match stack.last_mut() {
                    Some((parent, _)) => parent.children.push(QueryTreeNode::Group(group)),
                    None => return Ok(group),
                }
            }
            let id = message.int(at)?;
            let count = message.int(at + 1)?;
            at += 2;
            if let Some((_, left)) = stack.last_mut() {
                *left -= 1;
            }
            if count >= 0 {
                if stack.len() >= MAXIMUM_DEPTH {
                    return Err(Error::new(
                        ErrorKind::Protocol,
                        format!("groups are nested deeper than {MAXIMUM_DEPTH} levels"),
                    ));
                }
                stack.push((QueryTreeGroup { id, children: Vec::new() }, count as usize));
            } else {
                if first {
                    return Err(Error::new(
                        ErrorKind::Protocol,
                        "the tree of a synth was answered; only groups have one",
                    ));
                }
                let synthdef = message.text(at)?.to_owned();
                at += 1;
                let mut controls = Vec::new();
                if with_controls {
                    let count = message.int(at)?;
                    at += 1;
                    for _ in 0..count.max(0) {
                        let key = parse_key(message, at)?;
                        let value = match message.arguments.get(at + 1) {
                            Some(OscValue::String(text)) => {
                                ControlValue::Map(text.parse::<MapSymbol>().map_err(|error| {
                                    Error::new(ErrorKind::Protocol, error.to_string())
                                })?)
                            }
                            _ => ControlValue::Float(message.float(at + 1)?),
                        };
                        controls.push((key, value));
                        at += 2;
                    }
                }
                if let Some((group, _)) = stack.last_mut() {
                    group.children.push(QueryTreeNode::Synth(QueryTreeSynth {
                        id,
                        synthdef,
                        controls,
                    }));
                }
            }
            first = false;
        }
    }

    /// Every node below this group, in the order of the server's work, with its parent's id.
    pub fn walk(&self) -> Vec<(i32, &QueryTreeNode)> {
        let mut result = Vec::new();
        let mut stack: Vec<(i32, &QueryTreeNode)> =
            self.children.iter().rev().map(|child| (self.id, child)).collect();
        while let Some((parent, node)) = stack.pop() {
            result.push((parent, node));
            if let QueryTreeNode::Group(group) = node {
                stack.extend(group.children.iter().rev().map(|child| (group.id, child)));
            }
        }
        result
    }

    /// Calls `visit` for every synth below this group.
    pub(crate) fn synths_mut(&mut self, visit: &mut impl FnMut(&mut QueryTreeSynth)) {
        // As deep as groups nest, which parsing bounds.
        for child in &mut self.children {
            match child {
                QueryTreeNode::Group(group) => group.synths_mut(visit),
                QueryTreeNode::Synth(synth) => visit(synth),
            }
        }
    }

    /// Parses what `/g_dumpTree` prints, from the line `NODE TREE Group 0` on.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] if the lines are no such text.
    pub fn parse_dump(lines: &[String]) -> Result<Self> {
        let bad = |line: &str| {
            Error::new(ErrorKind::Protocol, format!("{line:?} is no line of a tree dump"))
        };
        let mut lines = lines.iter().map(|line| line.trim_end());
        let first = lines.next().unwrap_or_default();
        let id = first
            .strip_prefix("NODE TREE Group ")
            .and_then(|id| id.trim().parse().ok())
            .ok_or_else(|| bad(first))?;
        // Groups that are open, each with the indentation of its line.
        let mut stack: Vec<(QueryTreeGroup, usize)> =
            vec![(QueryTreeGroup { id, children: Vec::new() }, 0)];
        fn close(stack: &mut Vec<(QueryTreeGroup, usize)>) {
            if let Some((group, _)) = stack.pop()
                && let Some((parent, _)) = stack.last_mut()
            {
                parent.children.push(QueryTreeNode::Group(group));
            }
        }
        for line in lines {
            let text = line.trim_start();
            if text.is_empty() {
                continue;
            }
            let indentation = line.len() - text.len();
            if let Some((id, name)) = text.split_once(' ')
                && let Ok(id) = id.parse::<i32>()
                && !name.starts_with(':')
                && !text.contains(": ")
            {
                while stack.len() > 1 && stack.last().is_some_and(|(_, at)| *at >= indentation) {
                    close(&mut stack);
                }
                let Some((parent, _)) = stack.last_mut() else { return Err(bad(line)) };
                if name == "group" || name == "parallel group" {
                    // supernova prints the root a second time.
                    if stack.len() == 1 && stack[0].0.id == id && stack[0].0.children.is_empty() {
                        continue;
                    }
                    if stack.len() >= MAXIMUM_DEPTH {
                        return Err(bad(line));
                    }
                    stack.push((QueryTreeGroup { id, children: Vec::new() }, indentation));
                } else {
                    parent.children.push(QueryTreeNode::Synth(QueryTreeSynth {
                        id,
                        synthdef: name.to_owned(),
                        controls: Vec::new(),
                    }));
                }
            } else {
                let Some((group, _)) = stack.last_mut() else { return Err(bad(line)) };
                let Some(QueryTreeNode::Synth(synth)) = group.children.last_mut() else {
                    return Err(bad(line));
                };
                let mut words = text.split_whitespace();
                while let (Some(key), Some(value)) = (words.next(), words.next()) {
                    let key = key.strip_suffix(':').ok_or_else(|| bad(line))?;
                    let key = match key.parse() {
                        Ok(index) => ControlKey::Index(index),
                        Err(_) => key.into(),
                    };
                    let value = match value.parse::<f32>() {
                        Ok(value) => ControlValue::Float(value),
                        Err(_) => ControlValue::Map(value.parse().map_err(|_| bad(line))?),
                    };
                    synth.controls.push((key, value));
                }
            }
        }
        while stack.len() > 1 {
            close(&mut stack);
        }
        stack.pop().map(|(group, _)| group).ok_or_else(|| bad(first))
    }
}

impl fmt::Display for QueryTreeGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "NODE TREE {} group", self.id)?;
        let mut stack: Vec<(usize, &QueryTreeNode)> =
            self.children.iter().rev().map(|child| (1, child)).collect();
        while let Some((depth, node)) = stack.pop() {
            match node {
                QueryTreeNode::Group(group) => {
                    writeln!(formatter, "{:width$}{} group", "", group.id, width = depth * 4)?;
                    stack.extend(group.children.iter().rev().map(|child| (depth + 1, child)));
                }
                QueryTreeNode::Synth(synth) => {
                    writeln!(
                        formatter,
                        "{:width$}{} {}",
                        "",
                        synth.id,
                        synth.synthdef,
                        width = depth * 4
                    )?;
                    if !synth.controls.is_empty() {
                        write!(formatter, "{:width$}", "", width = (depth + 1) * 4)?;
                        for (index, (key, value)) in synth.controls.iter().enumerate() {
                            let comma = if index == 0 { "" } else { ", " };
                            write!(formatter, "{comma}{key}: {value}")?;
                        }
                        writeln!(formatter)?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> OscMessage {
        OscMessage::new(
            "/g_queryTree.reply",
            vec![
                1.into(),
                0.into(),
                2.into(),
                1.into(),
                1.into(),
                1000.into(),
                (-1).into(),
                "default".into(),
                2.into(),
                "out".into(),
                0.0f32.into(),
                "amplitude".into(),
                0.1f32.into(),
                2.into(),
                1.into(),
                1001.into(),
                (-1).into(),
                "tone".into(),
                1.into(),
                "frequency".into(),
                "c3".into(),
            ],
        )
    }

    const TEXT: &str = "NODE TREE 0 group\n    1 group\n        1000 default\n            \
        out: 0.0, amplitude: 0.1\n    2 group\n        1001 tone\n            frequency: c3\n";

    #[test]
    fn a_tree_reads_as_data_and_as_text() {
        let tree = QueryTreeGroup::parse(&reply()).unwrap();
        assert_eq!(tree.to_string(), TEXT);
        let mut mirror = crate::mirror::Mirror::default();
        mirror.seed(&tree);
        assert_eq!(mirror.children(0).unwrap(), [1, 2]);
        assert_eq!(mirror.synthdef(1001).unwrap().as_ref(), "tone");
    }

    #[test]
    fn a_dump_reads_as_the_same_tree() {
        let lines: Vec<String> = [
            "NODE TREE Group 0",
            "   1 group",
            "      1000 default",
            "        out: 0 amplitude: 0.1",
            "   2 group",
            "      1001 tone",
            "        frequency: c3",
        ]
        .map(str::to_owned)
        .to_vec();
        assert_eq!(QueryTreeGroup::parse_dump(&lines).unwrap().to_string(), TEXT);
    }

    #[test]
    fn a_truncated_or_lying_reply_is_an_error() {
        let whole = reply();
        for length in 0..whole.arguments.len() {
            let cut = OscMessage::new(whole.address.clone(), whole.arguments[..length].to_vec());
            assert!(QueryTreeGroup::parse(&cut).is_err(), "{length} arguments were enough");
        }
        let lying =
            OscMessage::new("/g_queryTree.reply", vec![0.into(), 0.into(), i32::MAX.into()]);
        assert!(QueryTreeGroup::parse(&lying).is_err());
    }
}
