//! The node tree: as the server tells it (data and text), and as it is mirrored from
//! notifications.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use consort_osc::{OscMessage, OscValue};

use crate::error::{Error, ErrorKind, Result};
use crate::queries::{NodeInfo, parse_key};
use crate::values::{ControlKey, ControlValue, MapSymbol};
use crate::wire::Arguments;

/// How deep groups may nest in an answer before it is refused.
const MAXIMUM_DEPTH: usize = 512;

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

/// What the mirror knows of one node.
#[derive(Clone, Debug)]
struct MirroredNode {
    parent: Option<i32>,
    running: bool,
    synthdef: Option<Arc<str>>,
    /// `Some` for groups.
    children: Option<Vec<i32>>,
}

/// The tree as notifications tell it.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    nodes: HashMap<i32, MirroredNode>,
    /// SynthDef names of synths that were asked for and are not there yet.
    names: HashMap<i32, Arc<str>>,
    /// A notification did not fit: something was lost on the way.
    stale: bool,
}

impl Default for Mirror {
    fn default() -> Self {
        let root = MirroredNode {
            parent: None,
            running: true,
            synthdef: None,
            children: Some(Vec::new()),
        };
        Self { nodes: HashMap::from([(0, root)]), names: HashMap::new(), stale: false }
    }
}

/// Names are kept for at most this many synths that never appeared.
const MAXIMUM_NAMES: usize = 1 << 16;

impl Mirror {
    /// Whether the node exists on the server, as far as is known.
    pub(crate) fn contains(&self, id: i32) -> bool {
        self.nodes.contains_key(&id)
    }

    /// Whether the node exists and is not paused.
    pub(crate) fn is_running(&self, id: i32) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.running)
    }

    /// The group that a node is in.
    pub(crate) fn parent(&self, id: i32) -> Option<i32> {
        self.nodes.get(&id)?.parent
    }

    /// The groups that a node is in, the nearest first.
    pub(crate) fn parentage(&self, id: i32) -> Vec<i32> {
        let mut result = Vec::new();
        let mut at = id;
        while let Some(parent) = self.parent(at) {
            if result.len() > self.nodes.len() {
                break;
            }
            result.push(parent);
            at = parent;
        }
        result
    }

    /// The nodes in a group, in order; `None` if it is no group.
    pub(crate) fn children(&self, id: i32) -> Option<&[i32]> {
        self.nodes.get(&id)?.children.as_deref()
    }

    /// Whether a node is a group.
    pub(crate) fn is_group(&self, id: i32) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.children.is_some())
    }

    /// The name of a synth's SynthDef, if it is known.
    pub(crate) fn synthdef(&self, id: i32) -> Option<Arc<str>> {
        self.nodes.get(&id)?.synthdef.clone()
    }

    /// Every node's id.
    pub(crate) fn ids(&self) -> Vec<i32> {
        self.nodes.keys().copied().collect()
    }

    /// Whether a notification contradicted the mirror, so that a query should seed it anew.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Remembers the SynthDef of a synth that was asked for.
    pub(crate) fn expect_synth(&mut self, id: i32, synthdef: &str) {
        if self.names.len() < MAXIMUM_NAMES {
            self.names.insert(id, synthdef.into());
        }
    }

    /// Replaces what is known below the tree's group by the tree.
    pub(crate) fn seed(&mut self, tree: &QueryTreeGroup) {
        let old_names: HashMap<i32, Arc<str>> = self
            .nodes
            .iter()
            .filter_map(|(id, node)| Some((*id, node.synthdef.clone()?)))
            .collect();
        let paused: Vec<i32> =
            self.nodes.iter().filter(|(_, node)| !node.running).map(|(id, _)| *id).collect();
        if tree.id == 0 {
            *self = Self { names: std::mem::take(&mut self.names), ..Self::default() };
        } else if let Some(children) = self.children(tree.id).map(<[i32]>::to_vec) {
            for child in children {
                self.remove(child);
            }
        } else {
            return;
        }
        for (parent, node) in tree.walk() {
            let (id, synthdef, children) = match node {
                QueryTreeNode::Group(group) => (group.id, None, Some(Vec::new())),
                QueryTreeNode::Synth(synth) => {
                    let name: Arc<str> = synth.synthdef.as_str().into();
                    (synth.id, Some(old_names.get(&synth.id).cloned().unwrap_or(name)), None)
                }
            };
            if self.nodes.contains_key(&id) {
                continue;
            }
            let running = !paused.contains(&id);
            self.nodes
                .insert(id, MirroredNode { parent: Some(parent), running, synthdef, children });
            if let Some(siblings) =
                self.nodes.get_mut(&parent).and_then(|node| node.children.as_mut())
            {
                siblings.push(id);
            }
        }
    }

    fn detach(&mut self, id: i32) {
        let Some(parent) = self.parent(id) else { return };
        if let Some(siblings) = self.nodes.get_mut(&parent).and_then(|node| node.children.as_mut())
            && let Some(at) = siblings.iter().rposition(|sibling| *sibling == id)
        {
            siblings.remove(at);
        }
    }

    /// Puts a node that is in no group after `previous`; returns siblings that stand where the
    /// server says there are none: they were replaced.
    fn attach(&mut self, info: &NodeInfo) -> Vec<i32> {
        let Some(parent) = info.parent_id else { return Vec::new() };
        let Some(siblings) = self.nodes.get_mut(&parent).and_then(|node| node.children.as_mut())
        else {
            self.stale = true;
            return Vec::new();
        };
        if info.is_unordered {
            siblings.push(info.id);
            return Vec::new();
        }
        let position = |id: i32| siblings.iter().rposition(|sibling| *sibling == id);
        let at = match info.previous_id {
            None => Some(0),
            Some(previous) => position(previous).map(|at| at + 1),
        };
        let end = match info.next_id {
            None => Some(siblings.len()),
            Some(next) => position(next),
        };
        match (at, end) {
            (Some(at), Some(end)) if at <= end => {
                let replaced = siblings.splice(at..end, [info.id]).collect();
                return replaced;
            }
            (Some(at), _) => siblings.insert(at, info.id),
            (None, Some(end)) => siblings.insert(end, info.id),
            (None, None) => siblings.push(info.id),
        }
        self.stale = true;
        Vec::new()
    }

    /// `/n_go`: a node appeared. Returns the nodes that it replaced: the server never says so.
    pub(crate) fn go(&mut self, info: &NodeInfo) -> Vec<i32> {
        if let Some(name) = self.names.remove(&info.id) {
            self.insert(info, Some(name));
        }
        if !self.nodes.contains_key(&info.id) {
            self.insert(info, None);
        } else {
            // Told again, as scsynth does when a group is made twice: where it stands is news.
            self.detach(info.id);
            if let Some(node) = self.nodes.get_mut(&info.id) {
                node.parent = info.parent_id;
            }
        }
        let replaced = self.attach(info);
        for id in &replaced {
            self.drop_node(*id);
        }
        replaced
    }

    fn insert(&mut self, info: &NodeInfo, synthdef: Option<Arc<str>>) {
        if self.nodes.contains_key(&info.id) {
            self.remove(info.id);
        }
        self.nodes.insert(
            info.id,
            MirroredNode {
                parent: info.parent_id,
                running: true,
                synthdef,
                children: info.is_group.then(Vec::new),
            },
        );
    }

    fn drop_node(&mut self, id: i32) {
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if let Some(node) = self.nodes.remove(&id) {
                stack.extend(node.children.unwrap_or_default());
            }
        }
    }

    fn remove(&mut self, id: i32) {
        if id != 0 {
            self.detach(id);
            self.drop_node(id);
        }
    }

    /// `/n_end`: a node went, with all that was in it.
    pub(crate) fn end(&mut self, info: &NodeInfo) {
        self.names.remove(&info.id);
        self.remove(info.id);
    }

    /// `/n_move`: a node stands elsewhere.
    pub(crate) fn moved(&mut self, info: &NodeInfo) {
        if !self.nodes.contains_key(&info.id) {
            self.stale = true;
            self.insert(info, None);
        }
        self.detach(info.id);
        if let Some(node) = self.nodes.get_mut(&info.id) {
            node.parent = info.parent_id;
        }
        // Nothing is replaced by a move; what stands between was told out of order.
        let between = self.attach(info);
        if !between.is_empty() {
            self.stale = true;
            if let Some(siblings) = info
                .parent_id
                .and_then(|parent| self.nodes.get_mut(&parent))
                .and_then(|node| node.children.as_mut())
                && let Some(at) = siblings.iter().position(|id| *id == info.id)
            {
                siblings.splice(at..at, between);
            }
        }
    }

    /// `/n_on` and `/n_off`: a node runs or is paused.
    pub(crate) fn set_running(&mut self, id: i32, running: bool) {
        match self.nodes.get_mut(&id) {
            Some(node) => node.running = running,
            None => self.stale = true,
        }
    }

    /// The mirrored tree below a group, without controls.
    pub(crate) fn tree(&self, id: i32) -> Option<QueryTreeGroup> {
        self.children(id)?;
        // Built from the leaves up, so that depth costs no stack.
        let mut order = vec![id];
        let mut at = 0;
        while at < order.len() {
            order.extend_from_slice(self.children(order[at]).unwrap_or_default());
            at += 1;
            if order.len() > self.nodes.len() {
                return None;
            }
        }
        let mut groups: HashMap<i32, QueryTreeGroup> = HashMap::new();
        for id in order.into_iter().rev() {
            let Some(children) = self.children(id) else { continue };
            let children = children
                .iter()
                .map(|child| match groups.remove(child) {
                    Some(group) => QueryTreeNode::Group(group),
                    None => QueryTreeNode::Synth(QueryTreeSynth {
                        id: *child,
                        synthdef: self
                            .synthdef(*child)
                            .map_or_else(String::new, |name| name.as_ref().to_owned()),
                        controls: Vec::new(),
                    }),
                })
                .collect();
            groups.insert(id, QueryTreeGroup { id, children });
        }
        groups.remove(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(id: i32, parent: i32, previous: i32, next: i32, is_group: bool) -> NodeInfo {
        let some = |id: i32| (id >= 0).then_some(id);
        NodeInfo {
            id,
            parent_id: some(parent),
            previous_id: some(previous),
            next_id: some(next),
            is_group,
            is_unordered: false,
            head_id: None,
            tail_id: None,
        }
    }

    fn small() -> Mirror {
        let mut mirror = Mirror::default();
        mirror.go(&info(1, 0, -1, -1, true));
        for (id, previous) in [(1000, -1), (1001, 1000), (1002, 1001)] {
            mirror.go(&info(id, 1, previous, -1, false));
        }
        mirror
    }

    #[test]
    fn a_replaced_node_leaves_the_mirror_without_a_notification() {
        let mut mirror = small();
        let replaced = mirror.go(&info(1003, 1, 1000, 1002, false));
        assert_eq!(replaced, [1001]);
        assert_eq!(mirror.children(1).unwrap(), [1000, 1003, 1002]);
        assert!(!mirror.contains(1001) && !mirror.is_stale());
    }

    #[test]
    fn moves_ends_and_pauses_are_followed() {
        let mut mirror = small();
        mirror.moved(&info(1002, 1, -1, 1000, false));
        assert_eq!(mirror.children(1).unwrap(), [1002, 1000, 1001]);
        mirror.moved(&info(1000, 0, 1, -1, false));
        assert_eq!(mirror.children(0).unwrap(), [1, 1000]);
        assert_eq!(mirror.parentage(1001), [1, 0]);
        mirror.set_running(1001, false);
        assert!(!mirror.is_running(1001));
        mirror.end(&info(1, -1, -1, -1, true));
        assert!(!mirror.contains(1001));
        assert_eq!(mirror.tree(0).unwrap().to_string(), "NODE TREE 0 group\n    1000 \n");
        assert!(!mirror.is_stale());
        mirror.go(&info(5, 99, -1, -1, false));
        assert!(mirror.is_stale(), "a parent that nobody knows was not noticed");
    }

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
        let mut mirror = Mirror::default();
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
