//! Handles of nodes: groups and synths, with the properties that the mirrored tree has of them.

use std::sync::Arc;

use crate::SynthDefInfo;
use crate::context::{Context, NodeReference, Placement};
use crate::error::Result;
use crate::synthdefs::SynthDefReference;
use crate::values::{AddAction, ControlKey, ControlValue, MapSymbol};

/// The methods of every kind of node.
macro_rules! node_methods {
    ($type:ident) => {
        impl $type {
            /// The server or score that the node belongs to.
            pub fn context(&self) -> &Context {
                &self.context
            }

            /// The same node, with its requests going into a moment or completion.
            #[must_use]
            pub fn within(&self, moment: &Context) -> Self {
                let mut node = self.clone();
                node.context = moment.clone();
                node
            }

            /// Whether the server has confirmed that the node exists.
            pub fn is_allocated(&self) -> bool {
                self.context.shared().lock().mirror.contains(self.id())
            }

            /// Whether the node exists and is not paused.
            pub fn is_active(&self) -> bool {
                self.context.shared().lock().mirror.is_running(self.id())
            }

            /// The group that contains the node, if the mirror has it.
            pub fn parent(&self) -> Option<Group> {
                let id = self.context.shared().lock().mirror.parent(self.id())?;
                Some(Group::new(self.context.clone(), id))
            }

            /// The groups that contain the node, from its parent up to the root.
            pub fn parentage(&self) -> Vec<Group> {
                let ids = self.context.shared().lock().mirror.parentage(self.id());
                ids.into_iter().map(|id| Group::new(self.context.clone(), id)).collect()
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.id() == other.id() && self.context.is_same(&other.context)
            }
        }
    };
}

/// The methods of groups and synths, which unlike the root can be set, moved and freed.
macro_rules! placed_node_methods {
    ($type:ident) => {
        impl $type {
            /// The node's id.
            pub fn id(&self) -> i32 {
                self.id
            }

            /// Frees the node: `/n_free`, or `/n_set gate 0` for a synth with a gate unless `force`.
            ///
            /// # Errors
            /// Same as [`Context::submit`].
            pub fn free(&self, force: bool) -> Result<()> {
                self.context.free_node(self, force)
            }

            /// Sets controls of the synth, or of all synths in the group. `/n_set`
            ///
            /// # Errors
            /// Same as [`Context::submit`].
            pub fn set<K: Into<ControlKey>, V: Into<ControlValue>>(
                &self,
                settings: impl IntoIterator<Item = (K, V)>,
            ) -> Result<()> {
                self.context.set_node(self, settings)
            }

            /// Maps controls to buses; `None` ends a mapping. `/n_map`, `/n_mapa`
            ///
            /// # Errors
            /// Same as [`Context::submit`].
            pub fn map<K: Into<ControlKey>>(
                &self,
                mappings: impl IntoIterator<Item = (K, Option<MapSymbol>)>,
            ) -> Result<()> {
                self.context.map_node(self, mappings)
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
                self.context.move_node(self, add_action, target)
            }

            /// Pauses the node. `/n_run`
            ///
            /// # Errors
            /// Same as [`Context::submit`].
            pub fn pause(&self) -> Result<()> {
                self.context.pause_node(self)
            }

            /// Resumes the paused node. `/n_run`
            ///
            /// # Errors
            /// Same as [`Context::submit`].
            pub fn unpause(&self) -> Result<()> {
                self.context.unpause_node(self)
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

    /// The nodes directly in the group, in order, as the mirror has them.
    pub fn children(&self) -> Vec<Node> {
        children(&self.context, 0)
    }
}
node_methods!(RootNode);

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

    /// Adds a group relative to this one. `/g_new`
    ///
    /// # Errors
    /// Same as [`Context::add_group`].
    pub fn add_group(&self, add_action: AddAction) -> Result<Group> {
        self.context.add_group(Placement::new(add_action, self))
    }

    /// Starts a synth relative to this group. `/s_new`
    ///
    /// # Errors
    /// Same as [`Context::add_synth`].
    pub fn add_synth<K: Into<ControlKey>, V: Into<ControlValue>>(
        &self,
        synthdef: impl Into<SynthDefReference>,
        add_action: AddAction,
        settings: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Synth> {
        self.context.add_synth(synthdef, Placement::new(add_action, self), settings)
    }

    /// Frees all nodes of the group (`/g_freeAll`), or only the synths in it and in its groups
    /// (`/g_deepFree`).
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn free_children(&self, synths_only: bool) -> Result<()> {
        self.context.free_group_children(self, synths_only)
    }

    /// The nodes directly in the group, in order, as the mirror has them.
    pub fn children(&self) -> Vec<Node> {
        children(&self.context, self.id)
    }
}
node_methods!(Group);
placed_node_methods!(Group);

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

    /// The synth's SynthDef, if its controls are known.
    pub fn synthdef(&self) -> Option<&Arc<SynthDefInfo>> {
        self.synthdef.as_ref()
    }
}
node_methods!(Synth);
placed_node_methods!(Synth);

/// A node of the mirrored tree.
#[derive(Clone, Debug, PartialEq)]
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
}

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
