//! The server's node tree as data and as text.

use std::fmt;

use consort_osc::{OscMessage, OscValue};

use crate::error::{Error, ErrorKind, Result};
use crate::queries::parse_key;
use crate::values::{ControlKey, ControlValue, MapSymbol};
use crate::wire::Arguments;

/// How deep groups may nest in a tree of the server.
pub(crate) const MAX_GROUP_DEPTH: usize = 512;

/// A synth in a tree.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryTreeSynth {
    /// The synth's id.
    pub id: i32,
    /// The name of the SynthDef, if known.
    pub synthdef: String,
    /// The controls, if requested: numbers, or the bus that a control is mapped to.
    pub controls: Vec<(ControlKey, ControlValue)>,
}

/// A group in a tree, with all nodes below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryTreeGroup {
    /// The group's id.
    pub id: i32,
    /// The nodes of the group, in the order in which the server computes them.
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

fn protocol_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, message)
}

fn invalid_line(line: &str) -> Error {
    protocol_error(format!("invalid line in a tree dump: {line:?}"))
}

/// The controls of a synth in a reply, starting at argument `*argument`, which is moved past them.
fn parse_synth_controls(
    message: &OscMessage,
    argument: &mut usize,
) -> Result<Vec<(ControlKey, ControlValue)>> {
    let count = message.int(*argument)?;
    *argument += 1;
    let mut controls = Vec::new();
    for _ in 0..count.max(0) {
        let key = parse_key(message, *argument)?;
        let value = match message.arguments.get(*argument + 1) {
            Some(OscValue::String(text)) => ControlValue::Map(
                text.parse::<MapSymbol>().map_err(|error| protocol_error(error.to_string()))?,
            ),
            _ => ControlValue::Float(message.float(*argument + 1)?),
        };
        controls.push((key, value));
        *argument += 2;
    }
    Ok(controls)
}

impl QueryTreeGroup {
    /// Parses `/g_queryTree.reply`. Memory is bounded by the size of the message: a group's count
    /// of nodes reserves nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] if the message is not a valid reply.
    pub fn parse(message: &OscMessage) -> Result<Self> {
        let has_controls = message.int(0)? != 0;
        // The open groups, each with the number of nodes that are still to come.
        let mut stack: Vec<(QueryTreeGroup, usize)> = Vec::new();
        let mut argument = 1;
        loop {
            while stack.last().is_some_and(|(_, missing)| *missing == 0) {
                let Some((group, _)) = stack.pop() else { break };
                match stack.last_mut() {
                    Some((parent, _)) => parent.children.push(QueryTreeNode::Group(group)),
                    None => return Ok(group),
                }
            }
            let id = message.int(argument)?;
            // The number of nodes in a group; -1 for a synth.
            let count = message.int(argument + 1)?;
            argument += 2;
            if let Some((_, missing)) = stack.last_mut() {
                *missing -= 1;
            }
            if count >= 0 {
                if stack.len() >= MAX_GROUP_DEPTH {
                    return Err(protocol_error(format!(
                        "groups are nested deeper than {MAX_GROUP_DEPTH} levels"
                    )));
                }
                stack.push((QueryTreeGroup { id, children: Vec::new() }, count as usize));
                continue;
            }
            let synthdef = message.text(argument)?.to_owned();
            argument += 1;
            let controls = if has_controls {
                parse_synth_controls(message, &mut argument)?
            } else {
                Vec::new()
            };
            let Some((group, _)) = stack.last_mut() else {
                return Err(protocol_error("the reply is the tree of a synth, not of a group"));
            };
            group.children.push(QueryTreeNode::Synth(QueryTreeSynth { id, synthdef, controls }));
        }
    }

    /// All nodes below this group, each with its parent's id, in the order in which the server
    /// computes them.
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
        // The recursion is as deep as groups nest, which parsing bounds.
        for child in &mut self.children {
            match child {
                QueryTreeNode::Group(group) => group.synths_mut(visit),
                QueryTreeNode::Synth(synth) => visit(synth),
            }
        }
    }

    /// Parses the lines that `/g_dumpTree` prints, from `NODE TREE Group 0` on.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] if a line is not valid.
    pub fn parse_dump(lines: &[String]) -> Result<Self> {
        let mut lines = lines.iter().map(|line| line.trim_end());
        let first = lines.next().unwrap_or_default();
        let id = first
            .strip_prefix("NODE TREE Group ")
            .and_then(|id| id.trim().parse().ok())
            .ok_or_else(|| invalid_line(first))?;
        let mut groups = OpenGroups::new(id);
        for line in lines {
            let text = line.trim_start();
            if text.is_empty() {
                continue;
            }
            let indentation = line.len() - text.len();
            // A node is `ID NAME`; a line of controls is `KEY: VALUE KEY: VALUE …`.
            if let Some((id, name)) = text.split_once(' ')
                && let Ok(id) = id.parse::<i32>()
                && !name.starts_with(':')
                && !text.contains(": ")
            {
                groups.add_node(id, name, indentation).ok_or_else(|| invalid_line(line))?;
            } else {
                let synth = groups.last_synth().ok_or_else(|| invalid_line(line))?;
                parse_dumped_controls(text, synth).ok_or_else(|| invalid_line(line))?;
            }
        }
        Ok(groups.finish())
    }
}

/// Parses the controls of a synth in a tree dump; `None` if they are not valid.
fn parse_dumped_controls(text: &str, synth: &mut QueryTreeSynth) -> Option<()> {
    let mut words = text.split_whitespace();
    while let (Some(key), Some(value)) = (words.next(), words.next()) {
        let key = key.strip_suffix(':')?;
        let key = match key.parse() {
            Ok(index) => ControlKey::Index(index),
            Err(_) => key.into(),
        };
        let value = match value.parse::<f32>() {
            Ok(value) => ControlValue::Float(value),
            Err(_) => ControlValue::Map(value.parse().ok()?),
        };
        synth.controls.push((key, value));
    }
    Some(())
}

/// The groups of a tree dump whose nodes may still follow.
struct OpenGroups {
    root: QueryTreeGroup,
    /// The groups below the root, from the outermost to the innermost, each with the indentation of
    /// its line.
    inner: Vec<(QueryTreeGroup, usize)>,
}

impl OpenGroups {
    fn new(id: i32) -> Self {
        Self { root: QueryTreeGroup { id, children: Vec::new() }, inner: Vec::new() }
    }

    /// The group that new nodes go to.
    fn innermost(&mut self) -> &mut QueryTreeGroup {
        match self.inner.last_mut() {
            Some((group, _)) => group,
            None => &mut self.root,
        }
    }

    fn close_innermost(&mut self) {
        if let Some((group, _)) = self.inner.pop() {
            self.innermost().children.push(QueryTreeNode::Group(group));
        }
    }

    /// Adds the node of one line; `None` if groups nest too deep.
    fn add_node(&mut self, id: i32, name: &str, indentation: usize) -> Option<()> {
        while self.inner.last().is_some_and(|(_, other)| *other >= indentation) {
            self.close_innermost();
        }
        if name != "group" && name != "parallel group" {
            let (synthdef, controls) = (name.to_owned(), Vec::new());
            let synth = QueryTreeSynth { id, synthdef, controls };
            self.innermost().children.push(QueryTreeNode::Synth(synth));
            return Some(());
        }
        // supernova prints the root a second time.
        if self.inner.is_empty() && self.root.id == id && self.root.children.is_empty() {
            return Some(());
        }
        if self.inner.len() + 1 >= MAX_GROUP_DEPTH {
            return None;
        }
        self.inner.push((QueryTreeGroup { id, children: Vec::new() }, indentation));
        Some(())
    }

    /// The synth that was added last, if it is the last node of its group.
    fn last_synth(&mut self) -> Option<&mut QueryTreeSynth> {
        match self.innermost().children.last_mut() {
            Some(QueryTreeNode::Synth(synth)) => Some(synth),
            _ => None,
        }
    }

    fn finish(mut self) -> QueryTreeGroup {
        while !self.inner.is_empty() {
            self.close_innermost();
        }
        self.root
    }
}

/// A tree as text, with annotations or without the ids, which differ from run to run.
///
/// ```
/// use consort_sc::{QueryTreeGroup, QueryTreeNode, QueryTreeSynth};
///
/// let synth = QueryTreeSynth { id: 1000, synthdef: "bell".into(), controls: Vec::new() };
/// let tree = QueryTreeGroup { id: 1, children: vec![QueryTreeNode::Synth(synth)] };
/// let name = |id: i32| (id == 1000).then(|| "the first note".to_owned());
/// assert_eq!(
///     tree.text().annotated(&name).to_string(),
///     "NODE TREE 1 group\n    1000 bell (the first note)\n"
/// );
/// assert_eq!(tree.text().without_ids().to_string(), "NODE TREE ... group\n    ... bell\n");
/// ```
#[derive(Clone, Copy)]
pub struct TreeText<'a> {
    tree: &'a QueryTreeGroup,
    annotation: Option<&'a dyn Fn(i32) -> Option<String>>,
    without_ids: bool,
}

impl fmt::Debug for TreeText<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl<'a> TreeText<'a> {
    /// Writes the annotation of a node, if it has one, in parentheses after its name.
    #[must_use]
    pub fn annotated(mut self, annotation: &'a dyn Fn(i32) -> Option<String>) -> Self {
        self.annotation = Some(annotation);
        self
    }

    /// Writes `...` in place of the ids.
    #[must_use]
    pub fn without_ids(mut self) -> Self {
        self.without_ids = true;
        self
    }

    /// Writes the line of a node after its indentation.
    fn write_node(&self, formatter: &mut fmt::Formatter<'_>, id: i32, name: &str) -> fmt::Result {
        if self.without_ids {
            write!(formatter, "... {name}")?;
        } else {
            write!(formatter, "{id} {name}")?;
        }
        if let Some(annotation) = self.annotation.and_then(|annotation| annotation(id)) {
            write!(formatter, " ({annotation})")?;
        }
        writeln!(formatter)
    }
}

impl fmt::Display for TreeText<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NODE TREE ")?;
        self.write_node(formatter, self.tree.id, "group")?;
        let mut stack: Vec<(usize, &QueryTreeNode)> =
            self.tree.children.iter().rev().map(|child| (1, child)).collect();
        while let Some((depth, node)) = stack.pop() {
            write!(formatter, "{:width$}", "", width = depth * 4)?;
            match node {
                QueryTreeNode::Group(group) => {
                    self.write_node(formatter, group.id, "group")?;
                    stack.extend(group.children.iter().rev().map(|child| (depth + 1, child)));
                }
                QueryTreeNode::Synth(synth) => {
                    self.write_node(formatter, synth.id, &synth.synthdef)?;
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

impl QueryTreeGroup {
    /// The tree as text, whose form can be changed. `Display` of the tree writes it unchanged.
    pub fn text(&self) -> TreeText<'_> {
        TreeText { tree: self, annotation: None, without_ids: false }
    }
}

impl fmt::Display for QueryTreeGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(formatter)
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
    fn a_reply_parses_as_data_and_prints_as_text() {
        let tree = QueryTreeGroup::parse(&reply()).unwrap();
        assert_eq!(tree.to_string(), TEXT);
        let mut mirror = crate::mirror::Mirror::default();
        mirror.seed(&tree);
        assert_eq!(mirror.children(0).unwrap(), [1, 2]);
        assert_eq!(mirror.synthdef(1001).unwrap().as_ref(), "tone");
    }

    #[test]
    fn a_dump_parses_as_the_same_tree() {
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
    fn a_truncated_or_inconsistent_reply_is_an_error() {
        let complete = reply();
        for length in 0..complete.arguments.len() {
            let truncated =
                OscMessage::new(complete.address.clone(), complete.arguments[..length].to_vec());
            assert!(QueryTreeGroup::parse(&truncated).is_err(), "{length} arguments");
        }
        let inconsistent =
            OscMessage::new("/g_queryTree.reply", vec![0.into(), 0.into(), i32::MAX.into()]);
        assert!(QueryTreeGroup::parse(&inconsistent).is_err());
    }
}
