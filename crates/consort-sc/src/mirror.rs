//! The mirror: a copy of the server's node tree, kept up to date by notifications.
//!
//! The server sends notifications (`/n_go`, `/n_end`, `/n_move`, `/n_on`, `/n_off`) and replies
//! (`/g_queryTree.reply`, `/synced`) from two queues. Each queue keeps its order, but a reply may
//! overtake notifications: the `/n_go` of a node may arrive after the reply that shows the node,
//! and then it names neighbours that the node had earlier. On a network, datagrams may change
//! places as well, so that an `/n_go` may even arrive after the `/n_end` of the same node.
//!
//! A notification can therefore be older than what the mirror holds, and it has no time stamp that would show it.
//! The mirror resolves this with a *barrier*: a `/sync` that the connection sends after whatever
//! caused the doubt. When its `/synced` has arrived, so has every notification that is older than
//! the cause. Until then the mirror applies what is consistent, records the rest as
//! [`PendingCheck`]s, and at the barrier [`Mirror::reconcile`] decides them.
//!
//! # States of the mirror
//!
//! | state | fields | what a notification may be | left by |
//! |---|---|---|---|
//! | in sync | neither flag | newer than the mirror | a tree reply (to *seeded*); an end or a move of an unknown node, or a contradiction (to *awaiting a barrier*) |
//! | awaiting a barrier | `needs_barrier` | out of order with others | [`Mirror::reconcile`] |
//! | seeded | `needs_barrier`, `is_seeded` | older than the reply, or newer | [`Mirror::reconcile`] |
//! | stale | `is_stale`, beside any of the above | anything: one was lost | a tree reply |
//!
//! # States of a node
//!
//! | state | how it got there | what its `/n_go` does |
//! |---|---|---|
//! | unknown | – | inserts it; if one node is between its new neighbours, that one was replaced |
//! | `seen_before_go` | a reply or an `/n_move` showed it first | clears the flag; nothing moves. It is older than the reply, and so is all that arrived before it: nodes that are `seen_after_reply` had ended before the reply and are dropped |
//! | `seen_after_reply` | its `/n_go` arrived while *seeded*, and the reply does not show it | as for a known node |
//! | known | none of the flags | ignored while *seeded* or if the node already has that position (scsynth repeats `/n_go` when a group is created twice); otherwise the node moves and a check is recorded |
//! | tombstone | it went with its group, was replaced, or is missing in a newer reply | inserts it: the id is used again. An `/n_end` only clears the tombstone |
//! | early end | its `/n_end` arrived while it was unknown | consumes the early end; the node is not inserted |
//!
//! # Example
//!
//! Synths 1000, 1001 and 1002 were created in a row in group 1, then 1001 was freed. The reply to
//! `/g_queryTree` overtakes all four notifications:
//!
//! | arrives | group 1 | state and reason |
//! |---|---|---|
//! | tree reply: 1000, 1002 | 1000, 1002 | *seeded*; both are `seen_before_go`; the connection sends the barrier |
//! | `/n_go` 1000, first and last | 1000, 1002 | the flag of 1000 is cleared; its old neighbours are ignored |
//! | `/n_go` 1001, after 1000, last | 1000, 1001, 1002 | 1001 is `seen_after_reply`; 1002 is where no node should be: a check is recorded, because 1001 may have replaced 1002 |
//! | `/n_go` 1002, after 1001, last | 1000, 1002 | 1002 was `seen_before_go`, so this is older than the reply, and so was the `/n_go` of 1001. The reply does not show 1001, so 1001 ended before it: it becomes a tombstone, and the check is removed |
//! | `/n_end` 1001 | 1000, 1002 | clears the tombstone |
//! | `/synced` | 1000, 1002 | [`Mirror::reconcile`] finds no check: *in sync* |

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::queries::NodeInfo;
use crate::tree::{MAX_GROUP_DEPTH, QueryTreeGroup, QueryTreeNode, QueryTreeSynth};

/// One node of the mirror.
#[derive(Clone, Debug)]
struct MirroredNode {
    /// The group that contains it; `None` for the root.
    parent: Option<i32>,
    /// Whether it computes, that is, is not paused.
    is_running: bool,
    /// The SynthDef's name, if this is a synth and the name is known.
    synthdef: Option<Arc<str>>,
    /// The nodes in it, in order; `Some` for groups only.
    children: Option<Vec<i32>>,
    /// A reply or an `/n_move` showed the node before its `/n_go` arrived. That `/n_go` may still
    /// come, and then it is outdated.
    seen_before_go: bool,
    /// The change number at which its `/n_go` arrived, if that was after a reply that does not
    /// show the node. The reply may be the newer of the two.
    seen_after_reply: Option<u64>,
}

/// The node tree as notifications and replies describe it. See the module documentation for its
/// states.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    nodes: HashMap<i32, MirroredNode>,
    /// SynthDef names of synths that this client requested and whose `/n_go` has not arrived.
    expected_synthdefs: HashMap<i32, Arc<str>>,
    /// A notification contradicted the mirror: another one was lost.
    is_stale: bool,
    /// Notifications may be older than what the mirror holds.
    needs_barrier: bool,
    /// The barrier is needed because of a reply, not only because of a notification.
    is_seeded: bool,
    pending_checks: Vec<PendingCheck>,
    /// Nodes that left the mirror without an `/n_end` of their own: with their group, replaced, or
    /// missing in a reply. An `/n_end` that still arrives for one of them changes nothing.
    tombstones: HashSet<i32>,
    /// Nodes whose `/n_end` arrived before their `/n_go`, oldest first.
    early_ends: VecDeque<i32>,
    /// Counts notifications and replies.
    changes: u64,
}

/// A notification that contradicts the mirror and that the barrier will decide.
#[derive(Clone, Debug)]
struct PendingCheck {
    /// The node of the notification.
    node: i32,
    /// The nodes that are where, by the notification, no node should be.
    between: Vec<i32>,
    /// The notification moved or paused a node that should exist, and did not create one.
    is_move: bool,
    /// The change number of the notification.
    change: u64,
}

impl Default for Mirror {
    fn default() -> Self {
        let root = MirroredNode {
            parent: None,
            is_running: true,
            synthdef: None,
            children: Some(Vec::new()),
            seen_before_go: false,
            seen_after_reply: None,
        };
        Self {
            nodes: HashMap::from([(0, root)]),
            expected_synthdefs: HashMap::new(),
            is_stale: false,
            needs_barrier: false,
            is_seeded: false,
            pending_checks: Vec::new(),
            tombstones: HashSet::new(),
            early_ends: VecDeque::new(),
            changes: 0,
        }
    }
}

/// How many SynthDef names of synths that never appeared are kept at most.
const MAX_EXPECTED_SYNTHDEFS: usize = 1 << 16;
/// How many tombstones are kept at most.
const MAX_TOMBSTONES: usize = 1 << 16;
/// How many early ends are kept at most.
const MAX_EARLY_ENDS: usize = 256;
/// How many checks may be pending at once; with more, the mirror is stale.
const MAX_PENDING_CHECKS: usize = 1 << 12;
/// How many nodes one check may hold; with more, the mirror is stale.
const MAX_CHECKED_NODES: usize = 256;
/// How many nodes are mirrored at most: more than any server can compute.
pub(crate) const MAX_NODES: usize = 1 << 20;

/// The result of inserting a node into its group.
enum Attached {
    /// The node's neighbours are those of the notification.
    Consistent,
    /// The node is as close to the notified position as possible. It is followed by these nodes
    /// although the notification names another successor, or the named neighbours are unknown.
    Conflicting(Vec<i32>),
}

impl Mirror {
    /// Whether the node exists on the server, as far as the client can know.
    pub(crate) fn contains(&self, id: i32) -> bool {
        self.nodes.contains_key(&id)
    }

    /// Whether the node exists and is not paused.
    pub(crate) fn is_running(&self, id: i32) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.is_running)
    }

    /// The group that contains a node.
    pub(crate) fn parent(&self, id: i32) -> Option<i32> {
        self.nodes.get(&id)?.parent
    }

    /// The groups that contain a node, the innermost first.
    pub(crate) fn parentage(&self, id: i32) -> Vec<i32> {
        let mut groups = Vec::new();
        let mut current = id;
        while let Some(parent) = self.parent(current) {
            if groups.len() > self.nodes.len() {
                break;
            }
            groups.push(parent);
            current = parent;
        }
        groups
    }

    /// The nodes in a group, in order; `None` if it is not a group.
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

    /// The number of groups, including the root.
    pub(crate) fn group_count(&self) -> usize {
        self.nodes.values().filter(|node| node.children.is_some()).count()
    }

    /// The name of a synth's SynthDef, if a reply showed it or this client requested the synth.
    pub(crate) fn synthdef(&self, id: i32) -> Option<Arc<str>> {
        self.nodes
            .get(&id)
            .and_then(|node| node.synthdef.as_ref())
            .or(self.expected_synthdefs.get(&id))
            .cloned()
    }

    /// The ids of all nodes.
    pub(crate) fn ids(&self) -> Vec<i32> {
        self.nodes.keys().copied().collect()
    }

    /// Whether the connection should send a barrier, and call [`Mirror::reconcile`] when it is
    /// answered.
    pub(crate) fn needs_barrier(&self) -> bool {
        self.needs_barrier
    }

    /// Whether a notification contradicted the mirror, so that only a tree reply makes it right.
    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// A number that changes whenever the mirror does.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Remembers the SynthDef of a synth that this client requests.
    pub(crate) fn expect_synth(&mut self, id: i32, synthdef: &str) {
        self.expect(id);
        if self.expected_synthdefs.len() < MAX_EXPECTED_SYNTHDEFS {
            self.expected_synthdefs.insert(id, synthdef.into());
        }
    }

    /// This client requests a node; later notifications with its id are about the new node.
    pub(crate) fn expect(&mut self, id: i32) {
        self.early_ends.retain(|early_end| *early_end != id);
    }

    /// Replaces the mirror by the tree of the root from a reply. Notifications may be older than
    /// the reply until [`Mirror::reconcile`].
    pub(crate) fn seed(&mut self, tree: &QueryTreeGroup) {
        if tree.id != 0 {
            return;
        }
        let expected_synthdefs = std::mem::take(&mut self.expected_synthdefs);
        let changes = self.changes + 1;
        let old = std::mem::replace(self, Self { expected_synthdefs, changes, ..Self::default() });
        self.needs_barrier = true;
        self.is_seeded = true;
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
            let previous = old.nodes.get(&id);
            let node = MirroredNode {
                parent: Some(parent),
                is_running: previous.is_none_or(|node| node.is_running),
                synthdef,
                children,
                seen_before_go: previous.is_none_or(|node| node.seen_before_go),
                seen_after_reply: None,
            };
            self.nodes.insert(id, node);
            if let Some(siblings) = self.children_mut(parent) {
                siblings.push(id);
            }
        }
        // Nodes that are missing in the reply have ended; their `/n_end` may still arrive.
        let missing: Vec<i32> =
            old.nodes.keys().filter(|id| !self.nodes.contains_key(id)).copied().collect();
        missing.into_iter().for_each(|id| self.add_tombstone(id));
    }

    /// The barrier was answered: every notification that is older than its cause has arrived.
    /// Decides the pending checks and returns the nodes that turn out to have been replaced.
    pub(crate) fn reconcile(&mut self) -> Vec<i32> {
        // A node that is still marked was created after the reply, which would show it otherwise.
        // So was everything that arrived later.
        let newer_than_reply = self.nodes.values().filter_map(|node| node.seen_after_reply).min();
        self.needs_barrier = false;
        self.is_seeded = false;
        self.early_ends.clear();
        for node in self.nodes.values_mut() {
            node.seen_before_go = false;
            node.seen_after_reply = None;
        }
        let mut replaced = Vec::new();
        for check in std::mem::take(&mut self.pending_checks) {
            let exists = self.nodes.contains_key(&check.node);
            let is_newer = exists || newer_than_reply.is_some_and(|first| first <= check.change);
            match check.between[..] {
                // The node is at the position of its `/n_go`, so it replaced the one that the reply shows.
                [other] if is_newer => {
                    if self.nodes.contains_key(&other) {
                        self.detach(other);
                        self.drop_node(other);
                        replaced.push(other);
                    }
                }
                // The node was created and freed, before the reply or after it.
                [] if !exists => {}
                _ => self.is_stale = true,
            }
        }
        replaced
    }

    /// Records a notification that contradicts the mirror.
    fn add_check(&mut self, node: i32, between: Vec<i32>, is_move: bool) {
        self.needs_barrier = true;
        if self.pending_checks.len() < MAX_PENDING_CHECKS && between.len() <= MAX_CHECKED_NODES {
            let change = self.changes;
            self.pending_checks.push(PendingCheck { node, between, is_move, change });
        } else {
            self.is_stale = true;
        }
    }

    /// The node's position was just confirmed. Earlier checks of that position are settled, and
    /// checks that found this node between others are explained.
    fn confirm(&mut self, id: i32) {
        self.pending_checks.retain_mut(|check| {
            let had_none_between = check.between.is_empty();
            check.between.retain(|between| *between != id);
            (had_none_between && !(check.is_move && check.node == id)) || !check.between.is_empty()
        });
    }

    /// Takes a node out of its group's children.
    fn detach(&mut self, id: i32) {
        let Some(parent) = self.parent(id) else { return };
        if let Some(siblings) = self.children_mut(parent)
            && let Some(index) = siblings.iter().rposition(|sibling| *sibling == id)
        {
            siblings.remove(index);
        }
    }

    /// Inserts a node that is in no group after its `previous_id`, before whatever follows that.
    fn attach(&mut self, info: &NodeInfo) -> Attached {
        let Some(parent) = info.parent_id else { return Attached::Consistent };
        let Some(siblings) = self.children_mut(parent) else {
            return Attached::Conflicting(Vec::new());
        };
        if info.is_unordered {
            siblings.push(info.id);
            return Attached::Consistent;
        }
        let position = |id: i32| siblings.iter().rposition(|sibling| *sibling == id);
        let start = match info.previous_id {
            None => Some(0),
            Some(previous) => position(previous).map(|index| index + 1),
        };
        let end = match info.next_id {
            None => Some(siblings.len()),
            Some(next) => position(next),
        };
        match (start, end) {
            (Some(start), Some(end)) if start <= end => {
                let between = siblings[start..end].to_vec();
                siblings.insert(start, info.id);
                if between.is_empty() {
                    return Attached::Consistent;
                }
                return Attached::Conflicting(between);
            }
            (Some(start), _) => siblings.insert(start, info.id),
            (None, Some(end)) => siblings.insert(end, info.id),
            (None, None) => siblings.push(info.id),
        }
        Attached::Conflicting(Vec::new())
    }

    /// Whether a node already has the position of a notification.
    fn is_positioned_as(&self, info: &NodeInfo) -> bool {
        let Some(node) = self.nodes.get(&info.id) else { return false };
        if node.parent != info.parent_id || node.children.is_some() != info.is_group {
            return false;
        }
        let Some(siblings) = node.parent.and_then(|parent| self.children(parent)) else {
            return true;
        };
        let Some(index) = siblings.iter().rposition(|id| *id == info.id) else { return false };
        info.is_unordered
            || (index.checked_sub(1).map(|before| siblings[before]) == info.previous_id
                && siblings.get(index + 1).copied() == info.next_id)
    }

    /// Whether the neighbours that a notification names are adjacent when the node itself is left
    /// out.
    fn has_gap_for(&self, info: &NodeInfo) -> bool {
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

    /// `/n_go`: a node was created. Returns the nodes that it replaced, for which the server sends
    /// no `/n_end`.
    pub(crate) fn node_started(&mut self, info: &NodeInfo) -> Vec<i32> {
        if info.id == 0 {
            return Vec::new();
        }
        if self.is_full_for(info.id) {
            return Vec::new();
        }
        if let Some(index) = self.early_ends.iter().position(|id| *id == info.id) {
            self.early_ends.remove(index);
            self.expected_synthdefs.remove(&info.id);
            return Vec::new();
        }
        self.changes += 1;
        self.tombstones.remove(&info.id);
        let synthdef = self.expected_synthdefs.remove(&info.id);
        if self.nodes.contains_key(&info.id) {
            return self.known_node_started(info, synthdef);
        }
        self.insert(info, synthdef, false);
        let Attached::Conflicting(between) = self.attach(info) else { return Vec::new() };
        // A new node replaces exactly one. A node that only a reply showed there proves nothing: it
        // may be newer than this notification, or have been moved there since.
        let is_seeded = self.is_seeded;
        let (shown_by_reply, notified): (Vec<i32>, Vec<i32>) =
            between.into_iter().partition(|id| {
                is_seeded && self.nodes.get(id).is_none_or(|node| node.seen_after_reply.is_none())
            });
        let replaced = match notified[..] {
            [one] => {
                self.detach(one);
                self.drop_node(one);
                notified
            }
            _ => Vec::new(),
        };
        if replaced.is_empty() || !shown_by_reply.is_empty() {
            self.add_check(info.id, shown_by_reply, false);
        }
        replaced
    }

    /// `/n_go` of a node that the mirror already contains.
    fn known_node_started(&mut self, info: &NodeInfo, synthdef: Option<Arc<str>>) -> Vec<i32> {
        let Some(node) = self.nodes.get_mut(&info.id) else { return Vec::new() };
        if synthdef.is_some() {
            node.synthdef = synthdef;
        }
        if std::mem::take(&mut node.seen_before_go) {
            return self.drop_outdated();
        }
        let is_shown_by_reply = self.is_seeded && node.seen_after_reply.is_none();
        if is_shown_by_reply || self.is_positioned_as(info) {
            // scsynth repeats `/n_go` when a group is created twice.
            return Vec::new();
        }
        if info.is_group != self.is_group(info.id) {
            // The id is used again, and the `/n_end` of its first node was lost.
            let synthdef = self.synthdef(info.id);
            self.remove(info.id);
            self.insert(info, synthdef, false);
        }
        self.detach(info.id);
        if let Some(node) = self.nodes.get_mut(&info.id) {
            node.parent = info.parent_id;
        }
        self.attach(info);
        self.add_check(info.id, Vec::new(), true);
        Vec::new()
    }

    /// The `/n_go` of a node that a reply shows has only arrived now, so everything that arrived
    /// before it is older than the reply. Nodes that were created meanwhile and that the reply
    /// does not show ended before the reply. Returns them: if their `/n_end` never arrives, they
    /// were replaced.
    fn drop_outdated(&mut self) -> Vec<i32> {
        let marked: Vec<i32> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.seen_after_reply.is_some())
            .map(|(id, _)| *id)
            .collect();
        let mut dropped = Vec::new();
        for id in marked {
            let children = self.children(id).unwrap_or_default();
            if children.iter().all(|child| {
                self.nodes.get(child).is_none_or(|node| node.seen_after_reply.is_some())
            }) {
                self.remove(id);
                dropped.push(id);
            }
        }
        self.pending_checks.retain(|check| check.is_move);
        dropped
    }

    fn insert(&mut self, info: &NodeInfo, synthdef: Option<Arc<str>>, seen_before_go: bool) {
        let children = info.is_group.then(Vec::new);
        let node = MirroredNode {
            parent: info.parent_id,
            is_running: true,
            synthdef,
            children,
            seen_before_go,
            seen_after_reply: self.is_seeded.then_some(self.changes),
        };
        self.nodes.insert(info.id, node);
    }

    /// Whether there is no space for another node; if so, the mirror becomes stale.
    fn is_full_for(&mut self, id: i32) -> bool {
        let is_full = self.nodes.len() >= MAX_NODES && !self.nodes.contains_key(&id);
        self.is_stale |= is_full;
        is_full
    }

    fn add_tombstone(&mut self, id: i32) {
        if self.tombstones.len() >= MAX_TOMBSTONES {
            self.tombstones.clear();
        }
        self.tombstones.insert(id);
    }

    /// Removes a node that is detached from its group, and everything in it.
    fn drop_node(&mut self, id: i32) {
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if let Some(node) = self.nodes.remove(&id) {
                stack.extend(node.children.unwrap_or_default());
                self.add_tombstone(id);
            }
        }
    }

    fn remove(&mut self, id: i32) {
        if id != 0 {
            self.detach(id);
            self.drop_node(id);
        }
    }

    /// `/n_end`: a node was freed, with everything in it.
    pub(crate) fn node_ended(&mut self, info: &NodeInfo) {
        if info.id == 0 {
            return;
        }
        self.changes += 1;
        self.expected_synthdefs.remove(&info.id);
        if self.nodes.contains_key(&info.id) {
            self.remove(info.id);
            self.tombstones.remove(&info.id);
        } else if !self.tombstones.remove(&info.id) {
            if self.early_ends.len() >= MAX_EARLY_ENDS {
                self.early_ends.pop_front();
            }
            self.early_ends.push_back(info.id);
            self.needs_barrier = true;
        }
    }

    /// `/n_move`: a node has a new position.
    pub(crate) fn node_moved(&mut self, info: &NodeInfo) {
        if info.id == 0 || self.tombstones.contains(&info.id) || self.is_full_for(info.id) {
            return;
        }
        self.changes += 1;
        if let Some(node) = self.nodes.get(&info.id) {
            // The move may be older or newer than a reply that shows the node elsewhere.
            let is_uncertain = self.is_seeded && node.seen_after_reply.is_none();
            if self.is_positioned_as(info) {
                return;
            }
            if is_uncertain || (self.needs_barrier && !self.has_gap_for(info)) {
                self.add_check(info.id, Vec::new(), true);
            }
            if self.needs_barrier && !self.has_gap_for(info) {
                return;
            }
            self.detach(info.id);
            if let Some(node) = self.nodes.get_mut(&info.id) {
                node.parent = info.parent_id;
            }
            if is_uncertain {
                self.attach(info);
                return;
            }
        } else {
            // The node's `/n_go` is late or lost.
            let synthdef = self.expected_synthdefs.remove(&info.id);
            self.insert(info, synthdef, true);
            self.needs_barrier = true;
        }
        // A move replaces nothing: nodes in between mean that notifications arrived out of order.
        match self.attach(info) {
            Attached::Consistent => self.confirm(info.id),
            Attached::Conflicting(_) => self.add_check(info.id, Vec::new(), true),
        }
    }

    /// `/n_on` and `/n_off`: a node runs or is paused.
    pub(crate) fn set_running(&mut self, id: i32, is_running: bool) {
        self.changes += 1;
        match self.nodes.get_mut(&id) {
            Some(node) => node.is_running = is_running,
            None if self.tombstones.contains(&id) => {}
            None => self.add_check(id, Vec::new(), true),
        }
    }

    /// The mirrored tree below a group, without controls. `None` if the node is not a group, or if
    /// its groups are nested deeper than a reply may be.
    pub(crate) fn tree(&self, id: i32) -> Option<QueryTreeGroup> {
        self.children(id)?;
        // Built level by level and from the leaves up, because dropping a tree needs stack space
        // for its depth.
        let mut order = vec![id];
        let (mut start, mut depth) = (0, 0);
        while start < order.len() {
            depth += 1;
            if depth > MAX_GROUP_DEPTH + 1 {
                return None;
            }
            let level = start..order.len();
            start = level.end;
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
