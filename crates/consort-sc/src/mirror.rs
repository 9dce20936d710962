//! The node tree as it is mirrored from notifications.
//!
//! Notifications are told by another queue of the server than answers: `/n_go` of a node may come
//! after the `/g_queryTree` answer that shows the node, and then speaks of neighbours of the
//! past; on a network, it may even come after the node's `/n_end`. So after an answer, and after
//! anything that does not fit, the mirror is *unsettled* until the server has answered one more
//! question: what fits is taken meanwhile, what does not is kept as a doubt, and judged when
//! everything older has come.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::queries::NodeInfo;
use crate::tree::{MAX_GROUP_DEPTH, QueryTreeGroup, QueryTreeNode, QueryTreeSynth};

/// What the mirror knows of one node.
#[derive(Clone, Debug)]
struct MirroredNode {
    parent: Option<i32>,
    running: bool,
    synthdef: Option<Arc<str>>,
    /// `Some` for groups.
    children: Option<Vec<i32>>,
    /// Known otherwise than by its `/n_go`, which may still come, and is old news then.
    ahead: bool,
    /// When it was told of, if that was since an answer that does not show it, and that may be
    /// newer.
    fresh: Option<u64>,
}

/// The tree as notifications tell it.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    nodes: HashMap<i32, MirroredNode>,
    /// SynthDef names of synths that were asked for and are not there yet.
    names: HashMap<i32, Arc<str>>,
    /// A notification did not fit: something was lost on the way.
    stale: bool,
    /// What is told now may be older than what is known.
    unsettled: bool,
    /// It was unsettled by an answer.
    answered: bool,
    doubts: Vec<Doubt>,
    /// Nodes that went with their group, or were replaced: an `/n_end` of their own says nothing.
    gone: HashSet<i32>,
    /// Nodes whose `/n_end` came before their `/n_go`, the last at the end.
    ended: VecDeque<i32>,
    /// How often something was told.
    changes: u64,
}

/// A notification that does not fit what is known.
#[derive(Clone, Debug)]
struct Doubt {
    /// The node that was told of.
    id: i32,
    /// Nodes that stand where the notification says there are none.
    between: Vec<i32>,
    is_move: bool,
    at: u64,
}

impl Default for Mirror {
    fn default() -> Self {
        let root = MirroredNode {
            parent: None,
            running: true,
            synthdef: None,
            children: Some(Vec::new()),
            ahead: false,
            fresh: None,
        };
        Self {
            nodes: HashMap::from([(0, root)]),
            names: HashMap::new(),
            stale: false,
            unsettled: false,
            answered: false,
            doubts: Vec::new(),
            gone: HashSet::new(),
            ended: VecDeque::new(),
            changes: 0,
        }
    }
}

/// Names are kept for at most this many synths that never appeared.
const MAXIMUM_NAMES: usize = 1 << 16;
/// At most this many nodes are remembered that went without an `/n_end` of their own.
const MAXIMUM_GONE: usize = 1 << 16;
/// At most this many nodes are remembered that ended before they began.
const MAXIMUM_ENDED: usize = 256;
/// At most this many doubts are kept; with more, the mirror is stale.
const MAXIMUM_DOUBTS: usize = 1 << 12;
/// At most this many nodes are kept in one doubt.
const MAXIMUM_BETWEEN: usize = 256;
/// At most this many nodes are mirrored: more than any server computes.
pub(crate) const MAXIMUM_NODES: usize = 1 << 20;

/// What became of an attempt to put a node at its place.
enum Place {
    /// It stands where the notification says.
    Fits,
    /// As well as could be; these stand where there should be none, or its neighbours are not
    /// known.
    Contradicts(Vec<i32>),
}

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

    fn children_mut(&mut self, id: i32) -> Option<&mut Vec<i32>> {
        self.nodes.get_mut(&id)?.children.as_mut()
    }

    /// Whether a node is a group.
    pub(crate) fn is_group(&self, id: i32) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.children.is_some())
    }

    /// How many groups there are, the root included.
    pub(crate) fn group_count(&self) -> usize {
        self.nodes.values().filter(|node| node.children.is_some()).count()
    }

    /// The name of a synth's SynthDef, if it is known: from an answer, or because this client
    /// asked for the synth.
    pub(crate) fn synthdef(&self, id: i32) -> Option<Arc<str>> {
        self.nodes.get(&id).and_then(|node| node.synthdef.as_ref()).or(self.names.get(&id)).cloned()
    }

    /// Every node's id.
    pub(crate) fn ids(&self) -> Vec<i32> {
        self.nodes.keys().copied().collect()
    }

    /// Whether one more question should be asked, and [`Mirror::settle`] be called when it is
    /// answered.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.unsettled
    }

    /// Whether a notification contradicted the mirror, so that a query should seed it anew.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    /// A number that changes whenever the mirror does.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Remembers the SynthDef of a synth that was asked for.
    pub(crate) fn expect_synth(&mut self, id: i32, synthdef: &str) {
        self.expect(id);
        if self.names.len() < MAXIMUM_NAMES {
            self.names.insert(id, synthdef.into());
        }
    }

    /// A node was asked for: what is told of its id from now on means a new one.
    pub(crate) fn expect(&mut self, id: i32) {
        self.ended.retain(|ended| *ended != id);
    }

    /// Replaces what is known by the tree of the root. What is told from now on may be older,
    /// until [`Mirror::settle`].
    pub(crate) fn seed(&mut self, tree: &QueryTreeGroup) {
        if tree.id != 0 {
            return;
        }
        let names = std::mem::take(&mut self.names);
        let changes = self.changes + 1;
        let old = std::mem::replace(self, Self { names, changes, ..Self::default() });
        self.unsettled = true;
        self.answered = true;
        for (parent, node) in tree.walk() {
            let (id, synthdef, children) = match node {
                QueryTreeNode::Group(group) => (group.id, None, Some(Vec::new())),
                QueryTreeNode::Synth(synth) => {
                    let known = old.nodes.get(&synth.id).and_then(|node| node.synthdef.clone());
                    let name = Some(synth.synthdef.as_str()).filter(|name| !name.is_empty());
                    (synth.id, known.or_else(|| name.map(Into::into)), None)
                }
            };
            if self.nodes.contains_key(&id) {
                continue;
            }
            let before = old.nodes.get(&id);
            let running = before.is_none_or(|node| node.running);
            let ahead = before.is_none_or(|node| node.ahead);
            let parent_id = Some(parent);
            let fresh = None;
            self.nodes.insert(
                id,
                MirroredNode { parent: parent_id, running, synthdef, children, ahead, fresh },
            );
            if let Some(siblings) = self.children_mut(parent) {
                siblings.push(id);
            }
        }
        // What is not there any more ended; that will be told, too.
        let vanished: Vec<i32> =
            old.nodes.keys().filter(|id| !self.nodes.contains_key(id)).copied().collect();
        vanished.into_iter().for_each(|id| self.mark_gone(id));
    }

    /// Everything that is older than what made the mirror unsettled has been told. Returns nodes
    /// that turn out to have been replaced.
    pub(crate) fn settle(&mut self) -> Vec<i32> {
        // What was told from here on is newer than the answer: the answer would show these nodes.
        let news = self.nodes.values().filter_map(|node| node.fresh).min();
        self.unsettled = false;
        self.answered = false;
        self.ended.clear();
        for node in self.nodes.values_mut() {
            node.ahead = false;
            node.fresh = None;
        }
        let mut replaced = Vec::new();
        for doubt in std::mem::take(&mut self.doubts) {
            let lives = self.nodes.contains_key(&doubt.id);
            let is_news = lives || news.is_some_and(|news| news <= doubt.at);
            match doubt.between[..] {
                // It stands where it says, and what the answer shows there is replaced.
                [one] if is_news => {
                    if self.nodes.contains_key(&one) {
                        self.detach(one);
                        self.drop_node(one);
                        replaced.push(one);
                    }
                }
                // It came and went, before the answer or after.
                [] if !lives => {}
                _ => self.stale = true,
            }
        }
        replaced
    }

    /// A notification does not fit.
    fn doubt(&mut self, id: i32, between: Vec<i32>, is_move: bool) {
        self.unsettled = true;
        if self.doubts.len() < MAXIMUM_DOUBTS && between.len() <= MAXIMUM_BETWEEN {
            self.doubts.push(Doubt { id, between, is_move, at: self.changes });
        } else {
            self.stale = true;
        }
    }

    /// The node stands where it was just told: older doubts of where it stands mean nothing, and
    /// it explains what stood between others.
    fn certain(&mut self, id: i32) {
        self.doubts.retain_mut(|doubt| {
            let unexplained = doubt.between.is_empty();
            doubt.between.retain(|between| *between != id);
            (unexplained && !(doubt.is_move && doubt.id == id)) || !doubt.between.is_empty()
        });
    }

    fn detach(&mut self, id: i32) {
        let Some(parent) = self.parent(id) else { return };
        if let Some(siblings) = self.children_mut(parent)
            && let Some(at) = siblings.iter().rposition(|sibling| *sibling == id)
        {
            siblings.remove(at);
        }
    }

    /// Puts a node that is in no group after `previous`, before what else stands there.
    fn attach(&mut self, info: &NodeInfo) -> Place {
        let Some(parent) = info.parent_id else { return Place::Fits };
        let Some(siblings) = self.children_mut(parent) else {
            return Place::Contradicts(Vec::new());
        };
        if info.is_unordered {
            siblings.push(info.id);
            return Place::Fits;
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
                let between = siblings[at..end].to_vec();
                siblings.insert(at, info.id);
                if between.is_empty() {
                    return Place::Fits;
                }
                return Place::Contradicts(between);
            }
            (Some(at), _) => siblings.insert(at, info.id),
            (None, Some(end)) => siblings.insert(end, info.id),
            (None, None) => siblings.push(info.id),
        }
        Place::Contradicts(Vec::new())
    }

    /// Whether a node stands where a notification says.
    fn stands(&self, info: &NodeInfo) -> bool {
        let Some(node) = self.nodes.get(&info.id) else { return false };
        if node.parent != info.parent_id || node.children.is_some() != info.is_group {
            return false;
        }
        let Some(siblings) = node.parent.and_then(|parent| self.children(parent)) else {
            return true;
        };
        let Some(at) = siblings.iter().rposition(|id| *id == info.id) else { return false };
        info.is_unordered
            || (at.checked_sub(1).map(|before| siblings[before]) == info.previous_id
                && siblings.get(at + 1).copied() == info.next_id)
    }

    /// Whether the neighbours that a notification names stand side by side, but for the node.
    fn has_place_for(&self, info: &NodeInfo) -> bool {
        let Some(parent) = info.parent_id else { return true };
        let Some(siblings) = self.children(parent) else { return false };
        let mut others = siblings.iter().copied().filter(|id| *id != info.id);
        if info.is_unordered {
            return true;
        }
        match info.previous_id {
            Some(previous) if !others.any(|id| id == previous) => false,
            _ => others.next() == info.next_id,
        }
    }

    /// `/n_go`: a node appeared. Returns the nodes that it replaced: the server never says so.
    pub(crate) fn go(&mut self, info: &NodeInfo) -> Vec<i32> {
        if info.id == 0 {
            return Vec::new();
        }
        if self.is_full_for(info.id) {
            return Vec::new();
        }
        if let Some(at) = self.ended.iter().position(|id| *id == info.id) {
            // Its end came first.
            self.ended.remove(at);
            self.names.remove(&info.id);
            return Vec::new();
        }
        self.changes += 1;
        self.gone.remove(&info.id);
        let name = self.names.remove(&info.id);
        if let Some(node) = self.nodes.get_mut(&info.id) {
            if let Some(name) = name {
                node.synthdef = Some(name);
            }
            if std::mem::take(&mut node.ahead) {
                // An answer, or a later notification, showed it already.
                return self.drop_fresh();
            }
            let is_shown = self.answered && node.fresh.is_none();
            if is_shown || self.stands(info) {
                // Told again, as scsynth does when a group is made twice.
                return Vec::new();
            }
            if info.is_group != self.is_group(info.id) {
                // Its end was lost.
                let synthdef = self.synthdef(info.id);
                self.remove(info.id);
                self.insert(info, synthdef, false);
            }
            self.detach(info.id);
            if let Some(node) = self.nodes.get_mut(&info.id) {
                node.parent = info.parent_id;
            }
            self.attach(info);
            self.doubt(info.id, Vec::new(), true);
            return Vec::new();
        }
        self.insert(info, name, false);
        let Place::Contradicts(between) = self.attach(info) else { return Vec::new() };
        // A new node replaces one. What an answer shows there may also be newer than this, or have
        // been moved there since: that is known when all has been told.
        let answered = self.answered;
        let (shown, told): (Vec<i32>, Vec<i32>) = between
            .into_iter()
            .partition(|id| answered && self.nodes.get(id).is_none_or(|node| node.fresh.is_none()));
        let replaced = match told[..] {
            [one] => {
                self.detach(one);
                self.drop_node(one);
                told
            }
            _ => Vec::new(),
        };
        if replaced.is_empty() || !shown.is_empty() {
            self.doubt(info.id, shown, false);
        }
        replaced
    }

    /// A node of an answer was told of only now. What was told before it, and is not in the
    /// answer, ended before the answer; if its end is never told, it was replaced.
    fn drop_fresh(&mut self) -> Vec<i32> {
        let fresh: Vec<i32> =
            self.nodes.iter().filter(|(_, node)| node.fresh.is_some()).map(|(id, _)| *id).collect();
        let mut dropped = Vec::new();
        for id in fresh {
            let children = self.children(id).unwrap_or_default();
            if children
                .iter()
                .all(|child| self.nodes.get(child).is_none_or(|node| node.fresh.is_some()))
            {
                self.remove(id);
                dropped.push(id);
            }
        }
        self.doubts.retain(|doubt| doubt.is_move);
        dropped
    }

    fn insert(&mut self, info: &NodeInfo, synthdef: Option<Arc<str>>, ahead: bool) {
        let children = info.is_group.then(Vec::new);
        let node = MirroredNode {
            parent: info.parent_id,
            running: true,
            synthdef,
            children,
            ahead,
            fresh: self.answered.then_some(self.changes),
        };
        self.nodes.insert(info.id, node);
    }

    /// Whether one more node is not taken; the mirror is stale then.
    fn is_full_for(&mut self, id: i32) -> bool {
        let is_full = self.nodes.len() >= MAXIMUM_NODES && !self.nodes.contains_key(&id);
        self.stale |= is_full;
        is_full
    }

    fn mark_gone(&mut self, id: i32) {
        if self.gone.len() >= MAXIMUM_GONE {
            self.gone.clear();
        }
        self.gone.insert(id);
    }

    /// Forgets a node that is in no group any more, with all that is in it.
    fn drop_node(&mut self, id: i32) {
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if let Some(node) = self.nodes.remove(&id) {
                stack.extend(node.children.unwrap_or_default());
                self.mark_gone(id);
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
        if info.id == 0 {
            return;
        }
        self.changes += 1;
        self.names.remove(&info.id);
        if self.nodes.contains_key(&info.id) {
            self.remove(info.id);
            self.gone.remove(&info.id);
        } else if !self.gone.remove(&info.id) {
            if self.ended.len() >= MAXIMUM_ENDED {
                self.ended.pop_front();
            }
            self.ended.push_back(info.id);
            self.unsettled = true;
        }
    }

    /// `/n_move`: a node stands elsewhere.
    pub(crate) fn moved(&mut self, info: &NodeInfo) {
        if info.id == 0 || self.gone.contains(&info.id) || self.is_full_for(info.id) {
            return;
        }
        self.changes += 1;
        if let Some(node) = self.nodes.get(&info.id) {
            // A move may be older or newer than an answer that shows the node elsewhere.
            let is_doubtful = self.answered && node.fresh.is_none();
            if self.stands(info) {
                return;
            }
            if is_doubtful || (self.unsettled && !self.has_place_for(info)) {
                self.doubt(info.id, Vec::new(), true);
            }
            if self.unsettled && !self.has_place_for(info) {
                return;
            }
            self.detach(info.id);
            if let Some(node) = self.nodes.get_mut(&info.id) {
                node.parent = info.parent_id;
            }
            if is_doubtful {
                self.attach(info);
                return;
            }
        } else {
            // Its `/n_go` is late, or lost.
            let name = self.names.remove(&info.id);
            self.insert(info, name, true);
            self.unsettled = true;
        }
        // Nothing is replaced by a move; what stands between was told out of order.
        match self.attach(info) {
            Place::Fits => self.certain(info.id),
            Place::Contradicts(_) => self.doubt(info.id, Vec::new(), true),
        }
    }

    /// `/n_on` and `/n_off`: a node runs or is paused.
    pub(crate) fn set_running(&mut self, id: i32, running: bool) {
        self.changes += 1;
        match self.nodes.get_mut(&id) {
            Some(node) => node.running = running,
            None if self.gone.contains(&id) => {}
            None => self.doubt(id, Vec::new(), true),
        }
    }

    /// The mirrored tree below a group, without controls; `None` if it is no group, or if groups
    /// nest deeper in it than in any answer.
    pub(crate) fn tree(&self, id: i32) -> Option<QueryTreeGroup> {
        self.children(id)?;
        // Built from the leaves up, level by level. Whoever drops a tree needs stack for its depth.
        let mut order = vec![id];
        let (mut at, mut depth) = (0, 0);
        while at < order.len() {
            depth += 1;
            if depth > MAX_GROUP_DEPTH + 1 {
                return None;
            }
            let level = at..order.len();
            at = level.end;
            for node in level {
                order.extend_from_slice(self.children(order[node]).unwrap_or_default());
                if order.len() > self.nodes.len() {
                    return None;
                }
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
mod tests;
