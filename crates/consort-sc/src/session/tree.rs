//! Queries of node trees of any size.
//!
//! scsynth builds a reply in a buffer of 64 KiB and does not answer if the tree does not fit. Then
//! the nodes are queried without controls, or one by one; and the controls group by group, or synth
//! by synth where a single group is too large.

use std::collections::{BTreeSet, HashMap};

use super::Session;
use crate::context::NodeReference;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{MAX_NODES, Mirror};
use crate::pending::Pending;
use crate::queries::{NodeInfo, parse_controls};
use crate::requests::{DumpTree, GetSynthControls, Sync};
use crate::tree::{QueryTreeGroup, QueryTreeNode, QueryTreeSynth};
use crate::values::{ControlKey, ControlValue};

/// How many requests with small replies are in flight at once.
const MAX_SMALL_REQUESTS: usize = 64;
/// How many requests with replies of up to 64 KiB are in flight at once.
const MAX_LARGE_REQUESTS: usize = 8;
/// How often a walk is repeated if nodes ended during it.
const MAX_WALKS: u32 = 4;

/// The controls of a synth.
type Controls = Vec<(ControlKey, ControlValue)>;

/// A `/g_queryTree` in flight, with the `/sync` that ends the wait for its reply.
struct TreeRequest {
    tree: Pending<QueryTreeGroup>,
    synced: Pending<()>,
}

impl TreeRequest {
    /// The tree; `None` if the server did not answer because the reply does not fit into its
    /// buffer.
    async fn reply(self) -> Result<Option<QueryTreeGroup>> {
        self.synced.await?;
        // The server answers in order, so a reply that is missing now will not arrive.
        match futures_lite::future::poll_once(self.tree).await {
            Some(Err(error))
                if error.kind() == ErrorKind::RequestFailed
                    && error.to_string().contains("overflow") =>
            {
                Ok(None)
            }
            reply => reply.transpose(),
        }
    }
}

/// The nodes in one group: its groups, and its synths with the names of their SynthDefs.
#[derive(Default)]
struct Content {
    groups: Vec<i32>,
    synths: Vec<(i32, String)>,
}

/// The nodes of each group of a tree.
fn contents(tree: &QueryTreeGroup) -> HashMap<i32, Content> {
    let mut contents: HashMap<i32, Content> = HashMap::new();
    for (parent, node) in tree.walk() {
        let content = contents.entry(parent).or_default();
        match node {
            QueryTreeNode::Group(group) => content.groups.push(group.id),
            QueryTreeNode::Synth(synth) => content.synths.push((synth.id, synth.synthdef.clone())),
        }
    }
    contents
}

/// All synths of a tree.
fn synths(tree: &QueryTreeGroup) -> impl Iterator<Item = &QueryTreeSynth> {
    tree.walk().into_iter().filter_map(|(_, node)| match node {
        QueryTreeNode::Synth(synth) => Some(synth),
        QueryTreeNode::Group(_) => None,
    })
}

impl Session {
    pub(crate) async fn query_tree(
        &self,
        group: NodeReference<'_>,
        include_controls: bool,
    ) -> Result<QueryTreeGroup> {
        self.context.check_node(&group)?;
        let id = group.id();
        if self.context.conventions().plain_tree_queries {
            return self.context.ask_tree(id, include_controls)?.await;
        }
        if let Some(tree) = self.ask_tree(id, include_controls)?.reply().await? {
            return Ok(tree);
        }
        tracing::debug!(id, "the tree does not fit into one reply; assembling it from several");
        let plain = if include_controls { self.ask_tree(id, false)?.reply().await? } else { None };
        let mut tree = match plain {
            Some(tree) => tree,
            None => self.walk_tree(id).await?,
        };
        if include_controls {
            self.add_controls(&mut tree).await?;
        }
        Ok(tree)
    }

    fn ask_tree(&self, id: i32, include_controls: bool) -> Result<TreeRequest> {
        let moment = self.context.at(None)?;
        let tree = moment.ask_tree(id, include_controls)?;
        let sync = self.context.shared().next_sync_id();
        let synced = moment.ask_for(Sync { id: sync }, |_| Ok(()))?;
        moment.send()?;
        Ok(TreeRequest { tree, synced })
    }

    // ---- nodes one by one -------------------------------------------------------------------

    /// Queries every node with `/n_query`, for trees whose ids and names alone do not fit into a
    /// reply.
    async fn walk_tree(&self, id: i32) -> Result<QueryTreeGroup> {
        let mut walks = 0;
        let (mut tree, changes) = loop {
            walks += 1;
            let changes = self.context.shared().lock().mirror.changes();
            let (infos, is_whole) = self.query_nodes(id).await?;
            if is_whole || walks >= MAX_WALKS {
                break (self.arrange(id, infos)?, changes);
            }
        };
        if synths(&tree).any(|synth| synth.synthdef.is_empty()) {
            // `/n_query` does not return names. They are missing for synths of other clients, and for
            // those whose notification was lost.
            let dumped = self.dumped(id, false).await;
            let names: HashMap<i32, &str> = dumped
                .iter()
                .flat_map(synths)
                .map(|synth| (synth.id, synth.synthdef.as_str()))
                .collect();
            tree.synths_mut(&mut |synth| {
                if synth.synthdef.is_empty()
                    && let Some(name) = names.get(&synth.id)
                {
                    (*name).clone_into(&mut synth.synthdef);
                }
            });
        }
        // The tree seeds the mirror, as a single reply does.
        self.driver.shared.step(|connection, now| connection.seed(&tree, Some(changes), now));
        Ok(tree)
    }

    /// The infos of all nodes below a group, and whether none of them ended meanwhile.
    async fn query_nodes(&self, id: i32) -> Result<(HashMap<i32, NodeInfo>, bool)> {
        let known = self.context.shared().lock().mirror.tree(id);
        let mut unqueried: BTreeSet<i32> =
            known.iter().flat_map(QueryTreeGroup::walk).map(|(_, node)| node.id()).collect();
        let from_mirror = unqueried.clone();
        unqueried.insert(id);
        let mut infos: HashMap<i32, Option<NodeInfo>> = HashMap::new();
        let mut is_whole = true;
        while !unqueried.is_empty() {
            if infos.len() > MAX_NODES {
                return Err(Error::new(
                    ErrorKind::Protocol,
                    format!("the server reports more than {MAX_NODES} nodes"),
                ));
            }
            let mut waiting = Vec::new();
            while waiting.len() < MAX_SMALL_REQUESTS
                && let Some(node) = unqueried.pop_first()
            {
                waiting.push((node, self.context.ask_node(node)?));
            }
            for (node, reply) in waiting {
                let info = match reply.await {
                    Ok(info) => Some(info),
                    Err(error) if error.kind() == ErrorKind::RequestFailed && node != id => {
                        // A missing neighbour breaks the chain. A node that only the mirror
                        // contained may have ended before.
                        is_whole &= from_mirror.contains(&node);
                        None
                    }
                    Err(error) => return Err(error),
                };
                if let Some(info) = &info {
                    let siblings =
                        if node == id { [None, None] } else { [info.previous_id, info.next_id] };
                    let neighbours =
                        siblings.into_iter().chain([info.head_id, info.tail_id]).flatten();
                    unqueried.extend(neighbours.filter(|id| !infos.contains_key(id)));
                }
                infos.insert(node, info);
                unqueried.remove(&node);
            }
        }
        Ok((infos.into_iter().filter_map(|(id, info)| Some((id, info?))).collect(), is_whole))
    }

    /// Builds the tree: each group from its head along the `next_id` of its nodes.
    fn arrange(&self, id: i32, mut infos: HashMap<i32, NodeInfo>) -> Result<QueryTreeGroup> {
        let mut mirror = Mirror::default();
        let mut stack = vec![id];
        {
            let state = self.context.shared().lock();
            while let Some(node) = stack.pop() {
                let Some(info) = infos.remove(&node) else { continue };
                if node == id {
                    mirror.node_started(&NodeInfo {
                        parent_id: Some(0),
                        is_unordered: true,
                        ..info
                    });
                } else {
                    if let Some(name) = state.mirror.synthdef(node) {
                        mirror.expect_synth(node, &name);
                    }
                    // The nodes of a group are visited in order, so each one is appended.
                    mirror.node_started(&NodeInfo { is_unordered: true, ..info });
                    stack.extend(info.next_id);
                }
                stack.extend(info.head_id);
            }
        }
        mirror.tree(id).ok_or_else(|| {
            Error::new(
                ErrorKind::RequestFailed,
                format!(
                    "group {id} was freed during the query, or its groups are nested too deeply"
                ),
            )
        })
    }

    // ---- controls ---------------------------------------------------------------------------

    /// Queries the controls of all synths of a tree.
    async fn add_controls(&self, tree: &mut QueryTreeGroup) -> Result<()> {
        let contents = contents(tree);
        let mut found: HashMap<i32, Controls> = HashMap::new();
        let mut single = Vec::new();
        // Groups whose reply does not fit.
        let mut large = vec![tree.id];
        while let Some(group) = large.pop() {
            let Some(content) = contents.get(&group) else { continue };
            single.extend(content.synths.iter().cloned());
            for groups in content.groups.chunks(MAX_LARGE_REQUESTS) {
                let mut requests = Vec::new();
                for id in groups.iter().filter(|id| contents.contains_key(id)) {
                    requests.push((*id, self.ask_tree(*id, true)?));
                }
                for (id, request) in requests {
                    match request.reply().await {
                        Ok(Some(tree)) => found
                            .extend(synths(&tree).map(|synth| (synth.id, synth.controls.clone()))),
                        Ok(None) => large.push(id),
                        // It was freed during the query.
                        Err(error) if error.kind() == ErrorKind::RequestFailed => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        if !single.is_empty() {
            let keys = self.control_keys(tree, &single, &found).await;
            self.get_controls(&single, &keys, &mut found).await?;
        }
        tree.synths_mut(&mut |synth| {
            if let Some(controls) = found.remove(&synth.id) {
                synth.controls = controls;
            }
        });
        Ok(())
    }

    /// The names of the controls of these synths' SynthDefs: from SynthDefs that this client loaded,
    /// from replies about other synths, or from the server's output.
    async fn control_keys(
        &self,
        tree: &QueryTreeGroup,
        wanted: &[(i32, String)],
        found: &HashMap<i32, Controls>,
    ) -> HashMap<String, Vec<ControlKey>> {
        let keys_of = |controls: &Controls| controls.iter().map(|(key, _)| key.clone()).collect();
        let mut keys: HashMap<String, Vec<ControlKey>> = HashMap::new();
        {
            let state = self.context.shared().lock();
            for (_, name) in wanted {
                if !keys.contains_key(name)
                    && let Some(info) = state.synthdefs.get(name)
                {
                    let controls = info.controls.iter();
                    let names = controls.map(|control| control.name.as_str().into()).collect();
                    keys.insert(name.clone(), names);
                }
            }
        }
        for synth in synths(tree) {
            if let Some(controls) = found.get(&synth.id)
                && !keys.contains_key(&synth.synthdef)
            {
                keys.insert(synth.synthdef.clone(), keys_of(controls));
            }
        }
        let is_unknown =
            |keys: &HashMap<_, _>| wanted.iter().any(|(_, name)| !keys.contains_key(name));
        if is_unknown(&keys) {
            for synth in self.dumped(tree.id, true).await.iter().flat_map(synths) {
                keys.entry(synth.synthdef.clone()).or_insert_with(|| keys_of(&synth.controls));
            }
        }
        if is_unknown(&keys) {
            let unknown: BTreeSet<&str> = wanted
                .iter()
                .map(|(_, name)| name.as_str())
                .filter(|name| !keys.contains_key(*name))
                .collect();
            tracing::warn!(
                ?unknown,
                "the tree does not fit into one reply and this client does not know the controls of \
                 these SynthDefs; their controls are omitted"
            );
        }
        keys
    }

    /// Gets the controls of synths one by one.
    async fn get_controls(
        &self,
        synths: &[(i32, String)],
        keys: &HashMap<String, Vec<ControlKey>>,
        found: &mut HashMap<i32, Controls>,
    ) -> Result<()> {
        for batch in synths.chunks(MAX_SMALL_REQUESTS) {
            let mut waiting = Vec::new();
            let moment = self.context.at(None)?;
            for (id, name) in batch {
                if let Some(controls) = keys.get(name).filter(|controls| !controls.is_empty()) {
                    let request = GetSynthControls { id: *id, controls: controls.clone() };
                    waiting.push((*id, moment.ask_for(request, parse_controls)?));
                }
            }
            moment.send()?;
            for (id, reply) in waiting {
                match reply.await {
                    Ok(controls) => {
                        let controls = controls
                            .into_iter()
                            .map(|(key, value)| (key, ControlValue::Float(value)))
                            .collect();
                        found.insert(id, controls);
                    }
                    // It was freed during the query.
                    Err(error) if error.kind() == ErrorKind::RequestFailed => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// The tree from the server's output, if this client can read it.
    async fn dumped(&self, id: i32, include_controls: bool) -> Option<QueryTreeGroup> {
        self.driver.shared.process_id()?;
        self.printed_tree(DumpTree { id, include_controls }).await.ok().flatten()
    }
}
