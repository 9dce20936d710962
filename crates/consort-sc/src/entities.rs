//! What a context gives out: buffers, buses, groups and synths. Each knows its context and
//! delegates to it; what it tells of the server comes from the mirrored tree.

use std::fmt;
use std::sync::Arc;

use crate::context::{Context, NodeReference, Placement};
use crate::error::{Error, ErrorKind, Result};
use crate::synthdef_file::{SynthDefInfo, SynthDefReference};
use crate::values::{AddAction, CalculationRate, ControlKey, ControlValue, MapSymbol};

/// A buffer of samples on the server.
#[derive(Clone, Debug)]
pub struct Buffer {
    context: Context,
    id: u32,
}

impl Buffer {
    pub(crate) fn new(context: Context, id: u32) -> Self {
        Self { context, id }
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Whether the server has said that it exists.
    pub fn is_allocated(&self) -> bool {
        self.context.shared().lock().live_buffers.contains(&(self.id as i32))
    }

    /// Frees it. `/b_free`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn free(&self) -> Result<()> {
        self.context.free_buffer(self)
    }

    /// Sets every sample to 0. `/b_zero`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn zero(&self) -> Result<()> {
        self.context.zero_buffer(self)
    }

    /// Sets neighbouring samples. `/b_setn`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn set_range(&self, start: u32, values: &[f32]) -> Result<()> {
        self.context.set_buffer_range(self, start, values)
    }
}

/// Buffers with neighbouring ids.
#[derive(Clone, Debug)]
pub struct BufferGroup {
    context: Context,
    id: u32,
    count: u32,
}

impl BufferGroup {
    pub(crate) fn new(context: Context, id: u32, count: u32) -> Self {
        Self { context, id, count }
    }

    /// The first buffer's id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How many buffers.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Its buffers in order.
    pub fn iter(&self) -> impl Iterator<Item = Buffer> + '_ {
        (self.id..self.id + self.count).map(|id| Buffer::new(self.context.clone(), id))
    }

    /// The buffer at `index`.
    pub fn get(&self, index: u32) -> Option<Buffer> {
        (index < self.count).then(|| Buffer::new(self.context.clone(), self.id + index))
    }

    /// Whether `buffer` is one of them.
    pub fn contains(&self, buffer: &Buffer) -> bool {
        self.context.is_same(&buffer.context)
            && (self.id..self.id + self.count).contains(&buffer.id)
    }

    /// Frees all of them.
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn free(&self) -> Result<()> {
        self.context.free_buffer_group(self)
    }
}

/// A bus. Prints as its map symbol: `c0`, `a16`.
#[derive(Clone, Debug)]
pub struct Bus {
    context: Context,
    rate: CalculationRate,
    id: u32,
}

impl Bus {
    pub(crate) fn new(context: Context, rate: CalculationRate, id: u32) -> Self {
        Self { context, rate, id }
    }

    /// Its index.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its rate.
    pub fn calculation_rate(&self) -> CalculationRate {
        self.rate
    }

    /// Its context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// What to set a control to so that it follows this bus.
    pub fn map_symbol(&self) -> MapSymbol {
        MapSymbol { rate: self.rate, id: self.id }
    }

    /// Sets a control bus. `/c_set`
    ///
    /// # Errors
    /// As [`Context::set_bus`].
    pub fn set(&self, value: f32) -> Result<()> {
        self.context.set_bus(self, value)
    }

    /// Gives it back.
    ///
    /// # Errors
    /// [`ErrorKind::MomentClosed`].
    pub fn free(&self) -> Result<()> {
        self.context.free_bus(self)
    }
}

impl fmt::Display for Bus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map_symbol().fmt(formatter)
    }
}

impl From<&Bus> for ControlValue {
    fn from(bus: &Bus) -> Self {
        ControlValue::Map(bus.map_symbol())
    }
}

/// Neighbouring buses.
#[derive(Clone, Debug)]
pub struct BusGroup {
    context: Context,
    rate: CalculationRate,
    id: u32,
    count: u32,
}

impl BusGroup {
    pub(crate) fn new(context: Context, rate: CalculationRate, id: u32, count: u32) -> Self {
        Self { context, rate, id, count }
    }

    /// The first bus's index.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How many buses.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Their rate.
    pub fn calculation_rate(&self) -> CalculationRate {
        self.rate
    }

    /// Its context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// What to set a control to so that it follows the first of them.
    pub fn map_symbol(&self) -> MapSymbol {
        MapSymbol { rate: self.rate, id: self.id }
    }

    /// Its buses in order.
    pub fn iter(&self) -> impl Iterator<Item = Bus> + '_ {
        (self.id..self.id + self.count).map(|id| Bus::new(self.context.clone(), self.rate, id))
    }

    /// The bus at `index`.
    pub fn get(&self, index: u32) -> Option<Bus> {
        (index < self.count).then(|| Bus::new(self.context.clone(), self.rate, self.id + index))
    }

    /// Whether `bus` is one of them.
    pub fn contains(&self, bus: &Bus) -> bool {
        self.context.is_same(&bus.context)
            && self.rate == bus.rate
            && (self.id..self.id + self.count).contains(&bus.id)
    }

    /// Sets all of them from the first on. `/c_setn`
    ///
    /// # Errors
    /// As [`Context::set_bus`]; [`ErrorKind::InvalidArgument`] for more values than buses.
    pub fn set(&self, values: &[f32]) -> Result<()> {
        if values.len() > self.count as usize {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{} values for {} buses", values.len(), self.count),
            ));
        }
        let first = Bus::new(self.context.clone(), self.rate, self.id);
        self.context.set_bus_range(&first, values)
    }

    /// Gives all of them back.
    ///
    /// # Errors
    /// [`ErrorKind::MomentClosed`].
    pub fn free(&self) -> Result<()> {
        self.context.free_bus_group(self)
    }
}

impl fmt::Display for BusGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map_symbol().fmt(formatter)
    }
}

impl From<&BusGroup> for ControlValue {
    fn from(group: &BusGroup) -> Self {
        ControlValue::Array(
            (group.id..group.id + group.count)
                .map(|id| ControlValue::Map(MapSymbol { rate: group.rate, id }))
                .collect(),
        )
    }
}

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

/// Anything that a context may have given out.
#[derive(Clone, Copy, Debug)]
pub enum Entity<'a> {
    /// A buffer.
    Buffer(&'a Buffer),
    /// A bus.
    Bus(&'a Bus),
    /// A group.
    Group(&'a Group),
    /// A synth.
    Synth(&'a Synth),
}

impl Context {
    /// Whether this server has the object: nodes and buffers as the server told, control and
    /// audio buses each by the count of their own rate.
    pub fn contains(&self, entity: Entity<'_>) -> bool {
        let (context, found) = match entity {
            Entity::Buffer(buffer) => (&buffer.context, buffer.is_allocated()),
            Entity::Bus(bus) => {
                let options = self.options();
                let count = match bus.rate {
                    CalculationRate::Audio => options.audio_bus_channel_count,
                    CalculationRate::Control => options.control_bus_channel_count,
                };
                (&bus.context, bus.id < count)
            }
            Entity::Group(group) => (&group.context, group.is_allocated()),
            Entity::Synth(synth) => (&synth.context, synth.is_allocated()),
        };
        found && self.is_same(context)
    }
}
