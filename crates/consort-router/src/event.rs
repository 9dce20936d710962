//! The unit that the router moves.

/// The number of an instance: its place in the order of the configuration, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(pub u32);

impl InstanceId {
    /// The number as an index.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One value on one channel.
///
/// Inside an instance's methods `channel` is the number that the instance's own
/// [`Instance::channel`](crate::Instance::channel) returned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// The value, 0.0 to 1.0.
    pub value: f64,
    /// The channel.
    pub channel: u32,
    /// The number of the input that this event descends from: events that an instance passes on with
    /// [`Context::echo_all`](crate::Context::echo_all) keep it, which is how feedback is recognised.
    pub(crate) root: u32,
}

impl Event {
    /// An event made outside a router, for tests of instances.
    pub fn new(channel: u32, value: f64) -> Self {
        Event { value, channel, root: 0 }
    }
}
