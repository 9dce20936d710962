//! The ids that belong to this client.

use super::Context;

/// Consecutive ids: the first, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The first id.
    pub first: u32,
    /// The number of ids.
    pub count: u32,
}

impl IdRange {
    /// Whether the range has this id.
    pub fn contains(&self, id: u32) -> bool {
        id.checked_sub(self.first).is_some_and(|offset| offset < self.count)
    }
}

/// The ids that this client allocates. Those of other clients of the server do not overlap with
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRanges {
    /// Permanent node ids. Those of the default groups are among them, and are never allocated.
    pub permanent_nodes: IdRange,
    /// Temporary node ids.
    pub nodes: IdRange,
    /// Private audio buses, which follow those of the hardware.
    pub audio_buses: IdRange,
    /// Control buses.
    pub control_buses: IdRange,
    /// Buffers.
    pub buffers: IdRange,
    /// Scope buffers in the server's shared memory.
    pub scope_buffers: IdRange,
}

impl Context {
    /// The ids that belong to this client, by the number of logins that the server reports. Before
    /// a connection they are those of the only client.
    pub fn id_ranges(&self) -> IdRanges {
        let state = self.shared().lock();
        let range = |(first, count): (u32, u32)| IdRange { first, count };
        let (permanent, temporary) = state.nodes.ranges();
        IdRanges {
            permanent_nodes: range(permanent),
            nodes: range(temporary),
            audio_buses: range(state.audio_buses.range()),
            control_buses: range(state.control_buses.range()),
            buffers: range(state.buffers.range()),
            scope_buffers: range(state.scope_buffers.range()),
        }
    }
}
