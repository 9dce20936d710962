//! Handles of nodes: groups and synths, with the properties that the mirrored tree has of them.

use std::sync::Arc;

use crate::SynthDefInfo;
use crate::context::{Context, NodeReference, Placement};
use crate::error::Result;
use crate::pending::Pending;
use crate::queries::NodeInfo;
use crate::requests::{DumpTree, TraceNodes};
use crate::synthdefs::SynthDefReference;
use crate::tree::QueryTreeGroup;
use crate::values::{AddAction, ControlKey, ControlValue, MapSymbol};

/// The methods of every kind of node. The type has a method `context`, and a reference to it converts
/// into a [`NodeReference`].
macro_rules! node_methods {
    ($type:ident) => {
        impl $type {
            /// The same node, with its requests going into a moment or completion.
            #[must_use]
            pub fn within(&self, moment: &Context) -> Self {
                let mut node = self.clone();
                node.set_context(moment.clone());
                node
            }

            /// Whether the server has confirmed that the node exists.
            pub fn is_allocated(&self) -> bool {
                self.context().shared().lock().mirror.contains(self.id())
            }

            /// Whether the node exists and is not paused.
            pub fn is_active(&self) -> bool {
                self.context().shared().lock().mirror.is_running(self.id())
            }

            /// The group that contains the node, if the mirror has it.
            pub fn parent(&self) -> Option<Group> {
                let id = self.context().shared().lock().mirror.parent(self.id())?;
                Some(Group::new(self.context().clone(), id))
            }

            /// The groups that contain the node, from its parent up to the root.
            pub fn parentage(&self) -> Vec<Group> {
                let ids = self.context().shared().lock().mirror.parentage(self.id());
                ids.into_iter().map(|id| Group::new(self.context().clone(), id)).collect()
            }

            /// Adds a group relative to this node. `/g_new`
            ///
            /// # Errors
            /// Same as [`Context::add_group`].
            pub fn add_group(&self, add_action: AddAction) -> Result<Group> {
                self.context().add_group(Placement::new(add_action, self))
            }

            /// Starts a synth relative to this node. `/s_new`
            ///
            /// # Errors
            /// Same as [`Context::add_synth`].
            pub fn add_synth<K: Into<ControlKey>, V: Into<ControlValue>>(
                &self,
                synthdef: impl Into<SynthDefReference>,
                add_action: AddAction,
                settings: impl IntoIterator<Item = (K, V)>,
            ) -> Result<Synth> {
                self.context().add_synth(synthdef, Placement::new(add_action, self), settings)
            }

            /// Sets controls of the synth, or of all synths in the group. `/n_set`
            ///
            /// # Errors
            /// Same as [`Context::submit`].
            pub fn set<K: Into<ControlKey>, V: Into<ControlValue>>(
                &self,
                settings: impl IntoIterator<Item = (K, V)>,
            ) -> Result<()> {
                self.context().set_node(self, settings)
            }

            /// Sets consecutive controls, starting at each key. `/n_setn`
            ///
            /// # Errors
            /// Same as [`Context::submit`].
            pub fn set_range<K: Into<ControlKey>>(
                &self,
                settings: impl IntoIterator<Item = (K, Vec<f32>)>,
            ) -> Result<()> {
                self.context().set_node_range(self, settings)
            }

            /// Maps controls to buses; `None` ends a mapping. `/n_map`, `/n_mapa`
            ///
            /// # Errors
            /// Same as [`Context::submit`].
            pub fn map<K: Into<ControlKey>>(
                &self,
                mappings: impl IntoIterator<Item = (K, Option<MapSymbol>)>,
            ) -> Result<()> {
                self.context().map_node(self, mappings)
            }

            /// Maps consecutive controls to consecutive buses: each key with the first bus and the
            /// number of controls. `/n_mapn`, `/n_mapan`
            ///
            /// # Errors
            /// Same as [`Context::submit`].
            pub fn map_range<K: Into<ControlKey>>(
                &self,
                mappings: impl IntoIterator<Item = (K, Option<MapSymbol>, u32)>,
            ) -> Result<()> {
                self.context().map_node_range(self, mappings)
            }

            /// Moves other nodes so that they follow each other, relative to this one. `/n_order`
            ///
            /// # Errors
            /// Same as [`Context::move_node`].
            pub fn order<'b, N: Into<NodeReference<'b>>>(
                &self,
                add_action: AddAction,
                nodes: impl IntoIterator<Item = N>,
            ) -> Result<()> {
                self.context().order_nodes(add_action, self, nodes)
            }

            /// Asks for the node's place in the tree. `/n_query`
            ///
            /// # Errors
            /// Same as [`Context::submit`]; the future's errors are those of [`Pending`].
            pub fn ask_info(&self) -> Result<Pending<NodeInfo>> {
                self.context().ask_node(self)
            }

            /// The node's place in the tree. Blocks the calling thread. `/n_query`
            ///
            /// # Errors
            /// Same as [`Node::ask_info`].
            pub fn query(&self) -> Result<NodeInfo> {
                self.context().immediate().ask_node(self)?.wait()
            }

            /// Makes the server print the values that the node computes. `/n_trace`
            ///
            /// # Errors
            /// Same as [`Context::submit`].
            pub fn trace(&self) -> Result<()> {
                self.context().submit(TraceNodes { ids: vec![self.id()] })
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.id() == other.id() && self.context().is_same(other.context())
            }
        }
    };
}

/// The methods of all nodes but the root: only they can be moved, paused and freed.
macro_rules! placed_node_methods {
    ($type:ident) => {
        impl $type {
            /// Frees the node: `/n_free`, or `/n_set gate 0` for a synth with a gate unless `force`.
            ///
            /// # Errors
            /// Same as [`Context::submit`].
            pub fn free(&self, force: bool) -> Result<()> {
                self.context().free_node(self, force)
            }

            /// Moves the node. `/g_head`, `/g_tail`, `/n_before`, `/n_after`
            ///
            /// # Errors
            /// Same as [`Context::move_node`].
            pub fn move_to<'a>(
                &self,
                add_action: AddAction,
                target: impl Into<NodeReference<'a>>,
            ) -> Result<()> {
                self.context().move_node(self, add_action, target)
            }

            /// Pauses the node. `/n_run`
            ///
            /// # Errors
            /// Same as [`Context::submit`].
            pub fn pause(&self) -> Result<()> {
                self.context().pause_node(self)
            }

            /// Resumes the paused node. `/n_run`
            ///
            /// # Errors
            /// Same as [`Context::submit`].
            pub fn unpause(&self) -> Result<()> {
                self.context().unpause_node(self)
            }
        }
    };
}

/// The methods of nodes that contain others.
macro_rules! group_methods {
    ($type:ident) => {
        impl $type {
            /// Frees all nodes of the group (`/g_freeAll`), or only the synths in it and in its
            /// groups (`/g_deepFree`).
            ///
            /// # Errors
            /// Same as [`Context::submit`].
            pub fn free_children(&self, synths_only: bool) -> Result<()> {
                self.context().free_group_children(self, synths_only)
            }

            /// The nodes directly in the group, in order, as the mirror has them.
            pub fn children(&self) -> Vec<Node> {
                children(self.context(), self.id())
            }

            /// Asks for the tree below the group, which has to fit into one reply of 64 KiB;
            /// [`Server::query_tree`](crate::Server::query_tree) has no such limit.
            /// `/g_queryTree`
            ///
            /// # Errors
            /// Same as [`Context::ask_tree`].
            pub fn ask_tree(&self, include_controls: bool) -> Result<Pending<QueryTreeGroup>> {
                self.context().ask_tree(self, include_controls)
            }

            /// The tree below the group, as [`Group::ask_tree`]. Blocks the calling thread.
            ///
            /// # Errors
            /// Same as [`Context::ask_tree`].
            pub fn query_tree(&self, include_controls: bool) -> Result<QueryTreeGroup> {
                self.context().immediate().ask_tree(self, include_controls)?.wait()
            }

            /// Makes the server print the tree below the group. `/g_dumpTree`
            ///
            /// # Errors
            /// Same as [`Context::submit`].
            pub fn dump_tree(&self, include_controls: bool) -> Result<()> {
                self.context().submit(DumpTree { id: self.id(), include_controls })
            }
        }
    };
}

/// The root of the node tree.
#[derive(Clone, Debug)]
pub struct RootNode {
    context: Context,
}

impl RootNode {
    pub(crate) fn new(context: Context) -> Self {
        Self { context }
    }

    /// The root's id: 0.
    pub fn id(&self) -> i32 {
        0
    }

    /// The server or score that the node belongs to.
    pub fn context(&self) -> &Context {
        &self.context
    }

    fn set_context(&mut self, context: Context) {
        self.context = context;
    }
}
node_methods!(RootNode);
group_methods!(RootNode);

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    context: Context,
    id: i32,
}

impl Group {
    pub(crate) fn new(context: Context, id: i32) -> Self {
        Self { context, id }
    }

    /// The group's id.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// The server or score that the group belongs to.
    pub fn context(&self) -> &Context {
        &self.context
    }

    fn set_context(&mut self, context: Context) {
        self.context = context;
    }
}
node_methods!(Group);
placed_node_methods!(Group);
group_methods!(Group);

/// A synth.
#[derive(Clone, Debug)]
pub struct Synth {
    context: Context,
    id: i32,
    synthdef: Option<Arc<SynthDefInfo>>,
}

impl Synth {
    pub(crate) fn new(context: Context, id: i32, synthdef: Option<Arc<SynthDefInfo>>) -> Self {
        Self { context, id, synthdef }
    }

    /// The synth's id.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// The server or score that the synth belongs to.
    pub fn context(&self) -> &Context {
        &self.context
    }

    fn set_context(&mut self, context: Context) {
        self.context = context;
    }

    /// The synth's SynthDef, if its controls are known.
    pub fn synthdef(&self) -> Option<&Arc<SynthDefInfo>> {
        self.synthdef.as_ref()
    }

    /// Asks for the values of controls. `/s_get`
    ///
    /// # Errors
    /// Same as [`Context::ask_synth_controls`].
    pub fn ask<K: Into<ControlKey>>(
        &self,
        controls: impl IntoIterator<Item = K>,
    ) -> Result<Pending<Vec<(ControlKey, f32)>>> {
        self.context.ask_synth_controls(self, controls)
    }

    /// The values of controls. Blocks the calling thread. `/s_get`
    ///
    /// # Errors
    /// Same as [`Context::ask_synth_controls`].
    pub fn get<K: Into<ControlKey>>(
        &self,
        controls: impl IntoIterator<Item = K>,
    ) -> Result<Vec<(ControlKey, f32)>> {
        self.context.immediate().ask_synth_controls(self, controls)?.wait()
    }

    /// Asks for the values of consecutive controls. `/s_getn`
    ///
    /// # Errors
    /// Same as [`Context::ask_synth_control_range`].
    pub fn ask_range(
        &self,
        control: impl Into<ControlKey>,
        count: u32,
    ) -> Result<Pending<Vec<f32>>> {
        self.context.ask_synth_control_range(self, control, count)
    }

    /// The values of consecutive controls. Blocks the calling thread. `/s_getn`
    ///
    /// # Errors
    /// Same as [`Context::ask_synth_control_range`].
    pub fn get_range(&self, control: impl Into<ControlKey>, count: u32) -> Result<Vec<f32>> {
        self.context.immediate().ask_synth_control_range(self, control, count)?.wait()
    }
}
node_methods!(Synth);
placed_node_methods!(Synth);

/// A node of the mirrored tree.
#[derive(Clone, Debug)]
pub enum Node {
    /// A group.
    Group(Group),
    /// A synth.
    Synth(Synth),
}

impl Node {
    /// The node's id.
    pub fn id(&self) -> i32 {
        match self {
            Node::Group(group) => group.id,
            Node::Synth(synth) => synth.id,
        }
    }

    /// The server or score that the node belongs to.
    pub fn context(&self) -> &Context {
        match self {
            Node::Group(group) => &group.context,
            Node::Synth(synth) => &synth.context,
        }
    }

    fn set_context(&mut self, context: Context) {
        match self {
            Node::Group(group) => group.context = context,
            Node::Synth(synth) => synth.context = context,
        }
    }

    /// The group, if it is one.
    pub fn as_group(&self) -> Option<&Group> {
        match self {
            Node::Group(group) => Some(group),
            Node::Synth(_) => None,
        }
    }

    /// The synth, if it is one.
    pub fn as_synth(&self) -> Option<&Synth> {
        match self {
            Node::Group(_) => None,
            Node::Synth(synth) => Some(synth),
        }
    }
}
node_methods!(Node);
placed_node_methods!(Node);

/// The nodes that the mirror has in a group.
fn children(context: &Context, id: i32) -> Vec<Node> {
    let state = context.shared().lock();
    let ids = state.mirror.children(id).unwrap_or_default();
    ids.iter()
        .map(|id| {
            if state.mirror.is_group(*id) {
                Node::Group(Group::new(context.clone(), *id))
            } else {
                let info = state
                    .mirror
                    .synthdef(*id)
                    .and_then(|name| state.synthdefs.get(name.as_ref()).cloned());
                Node::Synth(Synth::new(context.clone(), *id, info))
            }
        })
        .collect()
}
