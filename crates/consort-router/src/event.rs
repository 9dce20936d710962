//! The unit that the router moves, and the numbers that name its origin.

/// The number of an instance: a slot of the router and the generation of that slot.
///
/// Slots are numbered from 0 in the order of the configuration. They never move while a show
/// runs: a slot whose instance was removed by a reload is used again with the next generation, so
/// that an old number never means another instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId {
    slot: u32,
    generation: u32,
}

impl InstanceId {
    /// The most slots that a router has.
    pub const MAX_SLOTS: u32 = 1 << 20;

    /// The first instance of a slot.
    pub const fn new(slot: u32) -> Self {
        InstanceId { slot, generation: 0 }
    }

    /// An instance by slot and generation.
    pub const fn with_generation(slot: u32, generation: u32) -> Self {
        InstanceId { slot, generation }
    }

    /// The slot as an index.
    #[inline]
    pub fn index(self) -> usize {
        self.slot as usize
    }

    /// The slot.
    #[inline]
    pub fn slot(self) -> u32 {
        self.slot
    }

    /// How many instances had this slot before.
    #[inline]
    pub fn generation(self) -> u32 {
        self.generation
    }
}

/// The number of the input that an event descends from.
///
/// Every event that an instance emits from outside the router starts a new root. Events that it
/// passes on ([`Context::pass_on`](crate::Context::pass_on)) or emits as the result of a delivery
/// ([`Context::emit_descended`](crate::Context::emit_descended)) keep the root of their cause.
/// Roots find feedback loops and trace the path of a value. They wrap after 2³² events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Root(pub(crate) u32);

impl Root {
    /// The root as a number, for a worker protocol or a view.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The root that [`number`](Self::number) returned.
    pub fn from_number(number: u32) -> Self {
        Root(number)
    }
}

/// One value on one channel.
///
/// Inside an instance's methods `channel` is the number that the instance's own
/// [`Plan::channel`](crate::Plan::channel) returned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// The value, 0.0 to 1.0.
    pub value: f64,
    /// The channel.
    pub channel: u32,
    pub(crate) root: u32,
}

impl Event {
    /// An event made outside a router, for tests of instances.
    pub fn new(channel: u32, value: f64) -> Self {
        Event { value, channel, root: 0 }
    }

    /// The input that this event descends from.
    #[inline]
    pub fn root(&self) -> Root {
        Root(self.root)
    }
}

/// One text on one channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextEvent<'t> {
    /// The text, at most [`MAX_TEXT_BYTES`](crate::context::MAX_TEXT_BYTES) bytes.
    pub text: &'t str,
    /// The channel, numbered as in [`Event`].
    pub channel: u32,
    pub(crate) root: u32,
}

impl<'t> TextEvent<'t> {
    /// A text made outside a router, for tests of instances.
    pub fn new(channel: u32, text: &'t str) -> Self {
        TextEvent { text, channel, root: 0 }
    }

    /// The input that this text descends from.
    pub fn root(&self) -> Root {
        Root(self.root)
    }
}
