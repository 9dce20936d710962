//! Operations on nodes: groups and synths.

use std::sync::Arc;

use consort_suggest::did_you_mean_or_list;

use super::{Bus, Context, Group, Node, Release, RootNode, Synth};
use crate::SynthDefInfo;
use crate::error::{Error, ErrorKind, Result};
use crate::pending::Pending;
use crate::queries::{NodeInfo, parse_controls, parse_range};
use crate::requests::*;
use crate::synthdefs::SynthDefReference;
use crate::tree::QueryTreeGroup;
use crate::values::{
    AddAction, CalculationRate, ControlKey, ControlValue, MapSymbol, collect_settings,
};

/// The kind of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// The root of the tree.
    Root,
    /// A group.
    Group,
    /// A synth.
    Synth,
    /// A node of which only the id is known.
    Unknown,
}

/// The node that an operation refers to: any of the node handles, or an id.
#[derive(Clone, Copy, Debug)]
pub struct NodeReference<'a> {
    pub(crate) id: i32,
    pub(crate) kind: NodeKind,
    pub(crate) context: Option<&'a Context>,
    pub(crate) synthdef: Option<&'a Arc<SynthDefInfo>>,
}

impl NodeReference<'_> {
    /// The node's id.
    pub fn id(&self) -> i32 {
        self.id
    }
}

impl From<i32> for NodeReference<'_> {
    fn from(id: i32) -> Self {
        let kind = if id == 0 { NodeKind::Root } else { NodeKind::Unknown };
        Self { id, kind, context: None, synthdef: None }
    }
}

impl<'a> From<&'a RootNode> for NodeReference<'a> {
    fn from(node: &'a RootNode) -> Self {
        Self { id: 0, kind: NodeKind::Root, context: Some(node.context()), synthdef: None }
    }
}

impl<'a> From<&'a Group> for NodeReference<'a> {
    fn from(node: &'a Group) -> Self {
        Self { id: node.id(), kind: NodeKind::Group, context: Some(node.context()), synthdef: None }
    }
}

impl<'a> From<&'a Synth> for NodeReference<'a> {
    fn from(node: &'a Synth) -> Self {
        Self {
            id: node.id(),
            kind: NodeKind::Synth,
            context: Some(node.context()),
            synthdef: node.synthdef(),
        }
    }
}

impl<'a> From<&'a Node> for NodeReference<'a> {
    fn from(node: &'a Node) -> Self {
        match node {
            Node::Group(group) => group.into(),
            Node::Synth(synth) => synth.into(),
        }
    }
}

/// Where a new node goes, and whether its id is permanent (from 1 to 999) or temporary.
///
/// The default is the head of this client's own group. `AddAction`, `(AddAction, &node)` and
/// `&group` (for its head) convert into a placement.
#[derive(Clone, Copy, Debug, Default)]
pub struct Placement<'a> {
    add_action: AddAction,
    target: Option<NodeReference<'a>>,
    permanent: bool,
}

impl<'a> Placement<'a> {
    /// A placement relative to `target`.
    pub fn new(add_action: AddAction, target: impl Into<NodeReference<'a>>) -> Self {
        Self { add_action, target: Some(target.into()), permanent: false }
    }

    /// The same placement with a permanent id, which stays the same for the node's lifetime and is
    /// reused after its end. Temporary ids count up and are not reused.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.permanent = true;
        self
    }
}

impl<'a, T: Into<NodeReference<'a>>> From<(AddAction, T)> for Placement<'a> {
    fn from((add_action, target): (AddAction, T)) -> Self {
        Placement::new(add_action, target)
    }
}

impl From<AddAction> for Placement<'_> {
    fn from(add_action: AddAction) -> Self {
        Self { add_action, target: None, permanent: false }
    }
}

impl<'a> From<&'a Group> for Placement<'a> {
    fn from(group: &'a Group) -> Self {
        Placement::new(AddAction::ToHead, group)
    }
}

impl<'a> From<&'a RootNode> for Placement<'a> {
    fn from(root: &'a RootNode) -> Self {
        Placement::new(AddAction::ToHead, root)
    }
}

/// Checks whether a node of this kind can be the target of the add action.
fn check_add_action(add_action: AddAction, kind: NodeKind) -> Result<()> {
    let is_inside = matches!(add_action, AddAction::ToHead | AddAction::ToTail);
    let is_valid = match kind {
        NodeKind::Root => is_inside,
        NodeKind::Synth => !is_inside,
        NodeKind::Group | NodeKind::Unknown => true,
    };
    if is_valid {
        return Ok(());
    }
    let (target, alternatives) = match kind {
        NodeKind::Root => ("the root node", "ToHead or ToTail"),
        _ => ("a synth", "Before, After or Replace"),
    };
    Err(invalid_argument(format!("cannot use {add_action:?} with {target}; use {alternatives}")))
}

fn invalid_argument(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

impl Context {
    /// Rejects a node of another server or score.
    pub(crate) fn check_node(&self, node: &NodeReference<'_>) -> Result<()> {
        match node.context {
            Some(context) => self.check_own(context, "node"),
            None => Ok(()),
        }
    }

    /// Allocates the id of a new node; returns it with the target's id.
    fn place(&self, placement: &Placement<'_>) -> Result<(i32, i32)> {
        let target = match &placement.target {
            Some(target) => {
                self.check_node(target)?;
                check_add_action(placement.add_action, target.kind)?;
                target.id
            }
            None => self.shared().host()?.default_target(self.client_id()),
        };
        let mut state = self.shared().lock();
        let id = if placement.permanent {
            state.nodes.allocate_permanent()?
        } else {
            state.nodes.allocate()
        };
        state.mirror.expect(id);
        Ok((id, target))
    }

    fn add_group_of_kind(&self, placement: Placement<'_>, parallel: bool) -> Result<Group> {
        let (id, target_id) = self.place(&placement)?;
        let group = NewGroup { id, add_action: placement.add_action, target_id };
        let request = NewGroups { parallel, groups: vec![group] };
        self.submit_with(request.into(), None, None, Some(Release::Node(id)))?;
        Ok(Group::new(self.immediate(), id))
    }

    /// Adds a group. `/g_new`
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the target does not allow this add action,
    /// [`ErrorKind::Allocation`] if all permanent ids are in use, and as [`Context::submit`].
    pub fn add_group<'a>(&self, placement: impl Into<Placement<'a>>) -> Result<Group> {
        self.add_group_of_kind(placement.into(), false)
    }

    /// Adds a group whose nodes supernova may compute in parallel. `/p_new`
    ///
    /// # Errors
    /// Same as [`Context::add_group`].
    pub fn add_parallel_group<'a>(&self, placement: impl Into<Placement<'a>>) -> Result<Group> {
        self.add_group_of_kind(placement.into(), true)
    }

    /// Starts a synth with some of its controls set. A control that the SynthDef does not have
    /// causes a warning, which suggests the most similar name. `/s_new`
    ///
    /// # Errors
    /// Same as [`Context::add_group`].
    pub fn add_synth<'a, K: Into<ControlKey>, V: Into<ControlValue>>(
        &self,
        synthdef: impl Into<SynthDefReference>,
        placement: impl Into<Placement<'a>>,
        settings: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Synth> {
        let placement = placement.into();
        let SynthDefReference { name, info } = synthdef.into();
        let info = info.or_else(|| self.shared().lock().synthdefs.get(&name).cloned());
        let settings = collect_settings(settings);
        if let Some(info) = &info {
            self.check_controls(info, settings.iter().map(|(key, _)| key));
        }
        let settings = self.conventions().apply_to_new_synth(settings, info.as_ref());
        let (id, target_id) = self.place(&placement)?;
        {
            let mut state = self.shared().lock();
            state.mirror.expect_synth(id, &name);
            if let Some(info) = &info
                && !state.synthdefs.contains_key(&name)
            {
                state.synthdefs.insert(name.clone(), info.clone());
            }
        }
        let request =
            NewSynth { synthdef: name, id, add_action: placement.add_action, target_id, settings };
        self.submit_with(request.into(), None, None, Some(Release::Node(id)))?;
        Ok(Synth::new(self.immediate(), id, info))
    }

    /// Warns about controls that the SynthDef does not have.
    fn check_controls<'k>(
        &self,
        info: &SynthDefInfo,
        keys: impl IntoIterator<Item = &'k ControlKey>,
    ) {
        for key in keys {
            let problem = match key {
                ControlKey::Name(name) if !info.has_control(name) => {
                    let names = info.controls.iter().map(|control| control.name.as_str());
                    let hint = did_you_mean_or_list(name, "controls", names);
                    format!("SynthDef `{}` has no control `{name}`; {hint}", info.name)
                }
                ControlKey::Index(index) if *index >= info.value_count => {
                    format!(
                        "SynthDef `{}` has no control value {index}; it has {}",
                        info.name, info.value_count
                    )
                }
                _ => continue,
            };
            if let Ok(host) = self.shared().host() {
                host.warn(&problem);
            }
        }
    }

    /// Whether a node is a synth whose SynthDef has a control `gate`. The SynthDef of a node that is
    /// given by its id is that of the mirrored tree.
    fn has_gate(&self, node: &NodeReference<'_>) -> bool {
        match node.synthdef {
            Some(info) => info.has_control("gate"),
            None if matches!(node.kind, NodeKind::Unknown | NodeKind::Synth) => {
                let state = self.shared().lock();
                let name = state.mirror.synthdef(node.id);
                name.and_then(|name| state.synthdefs.get(name.as_ref()))
                    .is_some_and(|info| info.has_control("gate"))
            }
            None => false,
        }
    }

    /// Frees a node. A synth whose SynthDef has a control `gate` is released (`/n_set gate 0`) and
    /// frees itself after its envelope; with `force`, and without a gate, the node is freed at once.
    /// `/n_free`
    ///
    /// It does not matter whether the synth is given by its handle or by its id: the mirrored tree
    /// has the SynthDefs of all synths, and this client knows the controls of those that it loaded.
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn free_node<'a>(&self, node: impl Into<NodeReference<'a>>, force: bool) -> Result<()> {
        let node = node.into();
        self.check_node(&node)?;
        if !force && self.has_gate(&node) {
            let settings = vec![("gate".into(), 0.0.into())];
            return self.submit(SetNode { id: node.id, settings });
        }
        self.submit(FreeNodes { ids: vec![node.id] })
    }

    /// Frees all nodes of a group (`/g_freeAll`), or only the synths in it and in its groups
    /// (`/g_deepFree`).
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn free_group_children<'a>(
        &self,
        group: impl Into<NodeReference<'a>>,
        synths_only: bool,
    ) -> Result<()> {
        let group = group.into();
        self.check_node(&group)?;
        if synths_only {
            self.submit(FreeGroupDeep { id: group.id })
        } else {
            self.submit(FreeGroupChildren { id: group.id })
        }
    }

    /// Sets controls of a synth, or of all synths in a group. `/n_set`
    ///
    /// This is the fastest path: it does not block, and outside of a moment the calling thread
    /// sends the datagram itself.
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn set_node<'a, K: Into<ControlKey>, V: Into<ControlValue>>(
        &self,
        node: impl Into<NodeReference<'a>>,
        settings: impl IntoIterator<Item = (K, V)>,
    ) -> Result<()> {
        let node = node.into();
        self.check_node(&node)?;
        let mut settings = collect_settings(settings);
        if let Some(info) = node.synthdef {
            self.check_controls(info, settings.iter().map(|(key, _)| key));
        }
        self.conventions().apply_to_entries(&mut settings);
        self.submit(SetNode { id: node.id, settings })
    }

    /// Sets consecutive controls, starting at each key. `/n_setn`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn set_node_range<'a, K: Into<ControlKey>>(
        &self,
        node: impl Into<NodeReference<'a>>,
        settings: impl IntoIterator<Item = (K, Vec<f32>)>,
    ) -> Result<()> {
        let node = node.into();
        self.check_node(&node)?;
        let mut settings: Vec<(ControlKey, Vec<f32>)> =
            settings.into_iter().map(|(key, values)| (key.into(), values)).collect();
        if let Some(info) = node.synthdef {
            self.check_controls(info, settings.iter().map(|(key, _)| key));
        }
        self.conventions().apply_to_entries(&mut settings);
        self.submit(SetNodeRange { id: node.id, settings })
    }

    /// Maps controls to buses; `None` ends a mapping. Buses of both rates are mapped by one bundle.
    /// `/n_map`, `/n_mapa`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn map_node<'a, K: Into<ControlKey>>(
        &self,
        node: impl Into<NodeReference<'a>>,
        mappings: impl IntoIterator<Item = (K, Option<MapSymbol>)>,
    ) -> Result<()> {
        let node = node.into();
        self.check_node(&node)?;
        let mut control = Vec::new();
        let mut audio = Vec::new();
        for (key, symbol) in mappings {
            match symbol {
                Some(MapSymbol { rate: CalculationRate::Audio, id }) => {
                    audio.push((key.into(), Some(id)));
                }
                Some(MapSymbol { rate: CalculationRate::Control, id }) => {
                    control.push((key.into(), Some(id)));
                }
                None => control.push((key.into(), None)),
            }
        }
        if let Some(info) = node.synthdef {
            self.check_controls(info, control.iter().chain(&audio).map(|(key, _)| key));
        }
        let conventions = self.conventions();
        let rates = [(CalculationRate::Control, control), (CalculationRate::Audio, audio)];
        let rates = rates.into_iter().filter(|(_, mappings)| !mappings.is_empty());
        let requests = rates.map(|(rate, mut mappings)| {
            conventions.apply_to_entries(&mut mappings);
            MapNode { id: node.id, rate, mappings }.into()
        });
        self.submit_all(requests.collect(), None)
    }

    /// Maps `count` consecutive controls to consecutive buses; `None` ends the mappings of that many
    /// controls. `/n_mapn`, `/n_mapan`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn map_node_range<'a, K: Into<ControlKey>>(
        &self,
        node: impl Into<NodeReference<'a>>,
        mappings: impl IntoIterator<Item = (K, Option<MapSymbol>, u32)>,
    ) -> Result<()> {
        let node = node.into();
        self.check_node(&node)?;
        let mut control = Vec::new();
        let mut audio = Vec::new();
        for (key, symbol, count) in mappings {
            let id = symbol.map(|symbol| symbol.id);
            match symbol.map(|symbol| symbol.rate) {
                Some(CalculationRate::Audio) => audio.push((key.into(), id, count)),
                _ => control.push((key.into(), id, count)),
            }
        }
        let conventions = self.conventions();
        let rates = [(CalculationRate::Control, control), (CalculationRate::Audio, audio)];
        let rates = rates.into_iter().filter(|(_, mappings)| !mappings.is_empty());
        let requests = rates.map(|(rate, mut mappings)| {
            conventions.apply_to_entries(&mut mappings);
            MapNodeRange { id: node.id, rate, mappings }.into()
        });
        self.submit_all(requests.collect(), None)
    }

    /// Moves a node. `/g_head`, `/g_tail`, `/n_before`, `/n_after`
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the target does not allow this add action, and as
    /// [`Context::submit`].
    pub fn move_node<'a, 'b>(
        &self,
        node: impl Into<NodeReference<'a>>,
        add_action: AddAction,
        target: impl Into<NodeReference<'b>>,
    ) -> Result<()> {
        let (node, target) = (node.into(), target.into());
        self.check_node(&node)?;
        self.check_node(&target)?;
        self.check_move(add_action, &target)?;
        self.submit(MoveNode { id: node.id, add_action, target_id: target.id })
    }

    /// Checks the add action with which an existing node is moved.
    fn check_move(&self, add_action: AddAction, target: &NodeReference<'_>) -> Result<()> {
        if add_action == AddAction::Replace {
            return Err(invalid_argument(
                "an existing node cannot replace another; free the other one",
            ));
        }
        check_add_action(add_action, target.kind)
    }

    /// Moves nodes so that they follow each other in the given order. `/n_order`
    ///
    /// # Errors
    /// Same as [`Context::move_node`].
    pub fn order_nodes<'a, 'b, N: Into<NodeReference<'b>>>(
        &self,
        add_action: AddAction,
        target: impl Into<NodeReference<'a>>,
        nodes: impl IntoIterator<Item = N>,
    ) -> Result<()> {
        let target = target.into();
        self.check_node(&target)?;
        self.check_move(add_action, &target)?;
        let mut ids = Vec::new();
        for node in nodes {
            let node = node.into();
            self.check_node(&node)?;
            ids.push(node.id);
        }
        if ids.is_empty() {
            return Err(invalid_argument("expected at least one node to move"));
        }
        self.submit(OrderNodes { add_action, target_id: target.id, ids })
    }

    /// Pauses a node. `/n_run`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn pause_node<'a>(&self, node: impl Into<NodeReference<'a>>) -> Result<()> {
        let node = node.into();
        self.check_node(&node)?;
        self.submit(RunNodes { nodes: vec![(node.id, false)] })
    }

    /// Resumes a paused node. `/n_run`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn unpause_node<'a>(&self, node: impl Into<NodeReference<'a>>) -> Result<()> {
        let node = node.into();
        self.check_node(&node)?;
        self.submit(RunNodes { nodes: vec![(node.id, true)] })
    }

    /// Asks for a node's place in the tree. `/n_query`
    ///
    /// # Errors
    /// Same as [`Context::submit`]; the future's errors are those of [`Pending`].
    pub fn ask_node<'a>(&self, node: impl Into<NodeReference<'a>>) -> Result<Pending<NodeInfo>> {
        self.ask_node_reference(node.into())
    }

    pub(crate) fn ask_node_reference(&self, node: NodeReference<'_>) -> Result<Pending<NodeInfo>> {
        self.check_node(&node)?;
        self.ask_for(QueryNodes { ids: vec![node.id] }, NodeInfo::parse)
    }

    /// Asks for the tree below a group. It has to fit into one reply of 64 KiB; `query_tree` of a
    /// server assembles larger trees from several replies. `/g_queryTree`
    ///
    /// # Errors
    /// Same as [`Context::submit`]; the future's errors are those of [`Pending`]. The
    /// server does not answer if the tree is too large, and the future times out.
    pub fn ask_tree<'a>(
        &self,
        group: impl Into<NodeReference<'a>>,
        include_controls: bool,
    ) -> Result<Pending<QueryTreeGroup>> {
        let group = group.into();
        self.check_node(&group)?;
        self.ask_for(QueryTree { id: group.id, include_controls }, QueryTreeGroup::parse)
    }

    /// Asks for the values of a synth's controls. The server replies 0 for a control that does not
    /// exist. `/s_get`
    ///
    /// # Errors
    /// Same as [`Context::submit`]; the future's errors are those of [`Pending`].
    pub fn ask_synth_controls<K: Into<ControlKey>>(
        &self,
        synth: &Synth,
        controls: impl IntoIterator<Item = K>,
    ) -> Result<Pending<Vec<(ControlKey, f32)>>> {
        self.check_own(synth.context(), "synth")?;
        let controls: Vec<ControlKey> = controls.into_iter().map(Into::into).collect();
        if controls.is_empty() {
            return Err(invalid_argument("expected at least one control"));
        }
        if let Some(info) = synth.synthdef() {
            self.check_controls(info, &controls);
        }
        self.ask_for(GetSynthControls { id: synth.id(), controls }, parse_controls)
    }

    /// Asks for the values of consecutive controls. `/s_getn`
    ///
    /// # Errors
    /// Same as [`Context::submit`]; the future's errors are those of [`Pending`].
    pub fn ask_synth_control_range(
        &self,
        synth: &Synth,
        control: impl Into<ControlKey>,
        count: u32,
    ) -> Result<Pending<Vec<f32>>> {
        self.check_own(synth.context(), "synth")?;
        let control = control.into();
        if let Some(info) = synth.synthdef() {
            self.check_controls(info, [&control]);
        }
        let request = GetSynthControlRange { id: synth.id(), control, count };
        self.ask_for(request, |message| parse_range(message, 2))
    }

    /// Releases the synth's id; the synth continues to run with an id that the server chooses.
    /// `/s_noid`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn forget_synth(&self, synth: &Synth) -> Result<()> {
        self.check_own(synth.context(), "synth")?;
        self.submit(AutoReassignSynthIds { ids: vec![synth.id()] })
    }

    /// Pairs a control with the bus that it follows, for [`Context::map_node`].
    pub fn mapping(control: impl Into<ControlKey>, bus: &Bus) -> (ControlKey, Option<MapSymbol>) {
        (control.into(), Some(bus.map_symbol()))
    }
}
