//! The tree of nodes, however large, and however the server must be asked for it.
//!
//! scsynth puts an answer together in 64 KiB and says nothing when it does not fit. Then the
//! nodes are asked for without controls, or one by one; the controls group by group, and synth
//! by synth where a group alone is too large.

use std::collections::{BTreeSet, HashMap};

use super::Session;
use crate::context::NodeReference;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{MAXIMUM_NODES, Mirror};
use crate::pending::Pending;
use crate::queries::{NodeInfo, parse_controls};
use crate::requests::{DumpTree, GetSynthControls, Sync};
use crate::tree::{QueryTreeGroup, QueryTreeNode, QueryTreeSynth};
use crate::values::{ControlKey, ControlValue};

/// Small questions that are under way at once.
const AT_ONCE: usize = 64;
/// Questions that are under way at once when each answer may have 64 KiB.
const LARGE_AT_ONCE: usize = 8;
/// How often nodes are asked for one by one while others come and go.
const WALKS: u32 = 4;

type Controls = Vec<(ControlKey, ControlValue)>;

/// A `/g_queryTree` under way, with the `/sync` that ends the wait for its answer.
struct AskedTree {
    tree: Pending<QueryTreeGroup>,
    synced: Pending<()>,
}

impl AskedTree {
    /// `None` if the server passed the question over, which it does when the answer does not
    /// fit into its buffer.
    async fn answer(self) -> Result<Option<QueryTreeGroup>> {
        self.synced.await?;
        // Answered in order: what is not there now will not come.
        match futures_lite::future::poll_once(self.tree).await {
            Some(Err(error))
                if error.kind() == ErrorKind::RequestFailed
                    && error.to_string().contains("overflow") =>
            {
                Ok(None)
            }
            answer => answer.transpose(),
        }
    }
}

/// What is in each group of a tree: its groups, and its synths with their SynthDefs.
#[derive(Default)]
struct Content {
    groups: Vec<i32>,
    synths: Vec<(i32, String)>,
}

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
        if let Some(tree) = self.ask_tree(id, include_controls)?.answer().await? {
            return Ok(tree);
        }
        tracing::debug!(id, "the tree does not fit into one answer; it is put together");
        let plain = if include_controls { self.ask_tree(id, false)?.answer().await? } else { None };
        let mut tree = match plain {
            Some(tree) => tree,
            None => self.walk_tree(id).await?,
        };
        if include_controls {
            self.add_controls(&mut tree).await?;
        }
        Ok(tree)
    }

    fn ask_tree(&self, id: i32, include_controls: bool) -> Result<AskedTree> {
        let moment = self.context.at(None)?;
        let tree = moment.ask_tree(id, include_controls)?;
        let sync = self.context.shared().next_sync_id();
        let synced = moment.ask_for(Sync { id: sync }, |_| Ok(()))?;
        moment.send()?;
        Ok(AskedTree { tree, synced })
    }

    // ---- nodes one by one -------------------------------------------------------------------

    /// The tree from `/n_query`: for trees whose bare ids and names are too many for one answer.
    async fn walk_tree(&self, id: i32) -> Result<QueryTreeGroup> {
        let mut walks = 0;
        let (mut tree, changes) = loop {
            walks += 1;
            let changes = self.context.shared().lock().mirror.changes();
            let (infos, is_whole) = self.query_nodes(id).await?;
            if is_whole || walks >= WALKS {
                break (self.arrange(id, infos)?, changes);
            }
        };
        if synths(&tree).any(|synth| synth.synthdef.is_empty()) {
            // Of other clients' synths, or such as this one was never told of.
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
        // As an answer of the server's would.
        self.driver.shared.command(|core, now| core.seed(&tree, Some(changes), now));
        Ok(tree)
    }

    /// What the server says of each node below a group; and whether none went meanwhile.
    async fn query_nodes(&self, id: i32) -> Result<(HashMap<i32, NodeInfo>, bool)> {
        let known = self.context.shared().lock().mirror.tree(id);
        let mut ask: BTreeSet<i32> =
            known.iter().flat_map(QueryTreeGroup::walk).map(|(_, node)| node.id()).collect();
        let guessed = ask.clone();
        ask.insert(id);
        let mut infos: HashMap<i32, Option<NodeInfo>> = HashMap::new();
        let mut is_whole = true;
        while !ask.is_empty() {
            if infos.len() > MAXIMUM_NODES {
                return Err(Error::new(
                    ErrorKind::Protocol,
                    format!("the server speaks of more than {MAXIMUM_NODES} nodes"),
                ));
            }
            let mut waiting = Vec::new();
            while waiting.len() < AT_ONCE
                && let Some(node) = ask.pop_first()
            {
                waiting.push((node, self.context.ask_node(node)?));
            }
            for (node, answer) in waiting {
                let info = match answer.await {
                    Ok(info) => Some(info),
                    Err(error) if error.kind() == ErrorKind::RequestFailed && node != id => {
                        // A neighbour that is gone breaks the chain; a mere guess does not.
                        is_whole &= guessed.contains(&node);
                        None
                    }
                    Err(error) => return Err(error),
                };
                if let Some(info) = &info {
                    let siblings =
                        if node == id { [None, None] } else { [info.previous_id, info.next_id] };
                    let neighbours =
                        siblings.into_iter().chain([info.head_id, info.tail_id]).flatten();
                    ask.extend(neighbours.filter(|id| !infos.contains_key(id)));
                }
                infos.insert(node, info);
                ask.remove(&node);
            }
        }
        Ok((infos.into_iter().filter_map(|(id, info)| Some((id, info?))).collect(), is_whole))
    }

    /// Puts nodes in order: each group from its head along the nodes' next.
    fn arrange(&self, id: i32, mut infos: HashMap<i32, NodeInfo>) -> Result<QueryTreeGroup> {
        let mut mirror = Mirror::default();
        let mut stack = vec![id];
        {
            let state = self.context.shared().lock();
            while let Some(at) = stack.pop() {
                let Some(info) = infos.remove(&at) else { continue };
                if at == id {
                    mirror.go(&NodeInfo { parent_id: Some(0), is_unordered: true, ..info });
                } else {
                    if let Some(name) = state.mirror.synthdef(at) {
                        mirror.expect_synth(at, &name);
                    }
                    // Each comes last in its group, since the group is walked in order.
                    mirror.go(&NodeInfo { is_unordered: true, ..info });
                    stack.extend(info.next_id);
                }
                stack.extend(info.head_id);
            }
        }
        mirror.tree(id).ok_or_else(|| {
            Error::new(
                ErrorKind::RequestFailed,
                format!("group {id} has gone meanwhile, or groups nest too deep in it"),
            )
        })
    }

    // ---- controls ---------------------------------------------------------------------------

    async fn add_controls(&self, tree: &mut QueryTreeGroup) -> Result<()> {
        let contents = contents(tree);
        let mut found: HashMap<i32, Controls> = HashMap::new();
        let mut single = Vec::new();
        // Groups that are too large as a whole.
        let mut large = vec![tree.id];
        while let Some(group) = large.pop() {
            let Some(content) = contents.get(&group) else { continue };
            single.extend(content.synths.iter().cloned());
            for groups in content.groups.chunks(LARGE_AT_ONCE) {
                let mut asked = Vec::new();
                for id in groups.iter().filter(|id| contents.contains_key(id)) {
                    asked.push((*id, self.ask_tree(*id, true)?));
                }
                for (id, asked) in asked {
                    match asked.answer().await {
                        Ok(Some(tree)) => found
                            .extend(synths(&tree).map(|synth| (synth.id, synth.controls.clone()))),
                        Ok(None) => large.push(id),
                        // Freed meanwhile.
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

    /// The controls that synths of these SynthDefs have: as this client loaded them, as answers
    /// for other synths showed them, or as the server prints them.
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
                "the tree is too large for one answer, and the controls of these SynthDefs are \
                 not known to this client; they are left out"
            );
        }
        keys
    }

    async fn get_controls(
        &self,
        synths: &[(i32, String)],
        keys: &HashMap<String, Vec<ControlKey>>,
        found: &mut HashMap<i32, Controls>,
    ) -> Result<()> {
        for batch in synths.chunks(AT_ONCE) {
            let mut waiting = Vec::new();
            let moment = self.context.at(None)?;
            for (id, name) in batch {
                if let Some(controls) = keys.get(name).filter(|controls| !controls.is_empty()) {
                    let request = GetSynthControls { id: *id, controls: controls.clone() };
                    waiting.push((*id, moment.ask_for(request, parse_controls)?));
                }
            }
            moment.send()?;
            for (id, answer) in waiting {
                match answer.await {
                    Ok(controls) => {
                        let controls = controls
                            .into_iter()
                            .map(|(key, value)| (key, ControlValue::Float(value)))
                            .collect();
                        found.insert(id, controls);
                    }
                    // Freed meanwhile.
                    Err(error) if error.kind() == ErrorKind::RequestFailed => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// The tree as the server prints it, if this client can read that.
    async fn dumped(&self, id: i32, include_controls: bool) -> Option<QueryTreeGroup> {
        self.driver.shared.process_id()?;
        self.printed_tree(DumpTree { id, include_controls }).await.ok().flatten()
    }
}
