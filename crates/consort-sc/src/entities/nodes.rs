//! Nodes: groups and synths, as the mirrored tree shows them.

use std::sync::Arc;

use crate::SynthDefInfo;
use crate::context::{Context, NodeReference, Placement};
use crate::error::Result;
use crate::synthdefs::SynthDefReference;
use crate::values::{AddAction, ControlKey, ControlValue, MapSymbol};

macro_rules! node_methods {
    ($type:ident) => {
        impl $type {
            /// Its context.
            pub fn context(&self) -> &Context {
                &self.context
            }

            /// The same node, whose requests are collected in a moment or completion.
            #[must_use]
            pub fn within(&self, moment: &Context) -> Self {
                let mut node = self.clone();
                node.context = moment.clone();
                node
            }

            /// Whether the server has said that it exists.
            pub fn is_allocated(&self) -> bool {
                self.context.shared().lock().mirror.contains(self.id())
            }

            /// Whether it exists and is not paused.
            pub fn is_active(&self) -> bool {
                self.context.shared().lock().mirror.is_running(self.id())
            }

            /// The group that it is in, as far as is known.
            pub fn parent(&self) -> Option<Group> {
                let id = self.context.shared().lock().mirror.parent(self.id())?;
                Some(Group::new(self.context.clone(), id))
            }

            /// The groups that it is in, the nearest first; the last is the root.
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

macro_rules! placed_node_methods {
    ($type:ident) => {
        impl $type {
            /// Its id.
            pub fn id(&self) -> i32 {
                self.id
            }

            /// Frees it. `/n_free`, or `/n_set gate 0` for a synth with a gate unless `force`.
            ///
            /// # Errors
            /// As [`Context::submit`].
            pub fn free(&self, force: bool) -> Result<()> {
                self.context.free_node(self, force)
            }

            /// Sets controls. `/n_set`
            ///
            /// # Errors
            /// As [`Context::submit`].
            pub fn set<K: Into<ControlKey>, V: Into<ControlValue>>(
                &self,
                settings: impl IntoIterator<Item = (K, V)>,
            ) -> Result<()> {
                self.context.set_node(self, settings)
            }

            /// Lets controls follow buses. `/n_map`, `/n_mapa`
            ///
            /// # Errors
            /// As [`Context::submit`].
            pub fn map<K: Into<ControlKey>>(
                &self,
                mappings: impl IntoIterator<Item = (K, Option<MapSymbol>)>,
            ) -> Result<()> {
                self.context.map_node(self, mappings)
            }

            /// Moves it.
            ///
            /// # Errors
            /// As [`Context::move_node`].
            pub fn move_to<'a>(
                &self,
                add_action: AddAction,
                target: impl Into<NodeReference<'a>>,
            ) -> Result<()> {
                self.context.move_node(self, add_action, target)
            }

            /// Pauses it. `/n_run`
            ///
            /// # Errors
            /// As [`Context::submit`].
            pub fn pause(&self) -> Result<()> {
                self.context.pause_node(self)
            }

            /// Lets it run. `/n_run`
            ///
            /// # Errors
            /// As [`Context::submit`].
            pub fn unpause(&self) -> Result<()> {
                self.context.unpause_node(self)
            }
        }
    };
}

/// The root of the tree.
#[derive(Clone, Debug)]
pub struct RootNode {
    context: Context,
}

impl RootNode {
    pub(crate) fn new(context: Context) -> Self {
        Self { context }
    }

    /// Its id: 0.
    pub fn id(&self) -> i32 {
        0
    }

    /// The nodes in it, as far as is known.
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

    /// A new group at its head. `/g_new`
    ///
    /// # Errors
    /// As [`Context::add_group`].
    pub fn add_group(&self, add_action: AddAction) -> Result<Group> {
        self.context.add_group(Placement::new(add_action, self))
    }

    /// A new synth relative to it. `/s_new`
    ///
    /// # Errors
    /// As [`Context::add_synth`].
    pub fn add_synth<K: Into<ControlKey>, V: Into<ControlValue>>(
        &self,
        synthdef: impl Into<SynthDefReference>,
        add_action: AddAction,
        settings: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Synth> {
        self.context.add_synth(synthdef, Placement::new(add_action, self), settings)
    }

    /// Frees the nodes in it. `/g_freeAll`, `/g_deepFree`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn free_children(&self, synths_only: bool) -> Result<()> {
        self.context.free_group_children(self, synths_only)
    }

    /// The nodes in it, as far as is known.
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

    /// Its SynthDef, if its controls are known.
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
    /// Its id.
    pub fn id(&self) -> i32 {
        match self {
            Node::Group(group) => group.id,
            Node::Synth(synth) => synth.id,
        }
    }
}

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
