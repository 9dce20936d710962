//! Deliberate faults of the embedded engine. The conformance suite switches each one on, and must
//! then fail: this proves that it would detect such a difference from the kernel.

/// A way in which the embedded sequencer can be made to differ from the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Of events with equal time stamps, the last is delivered first.
    EqualStampsReversed,
    /// `PRIORITY_HIGH` has no effect.
    PriorityIgnored,
    /// START keeps the events in the queue.
    StartKeepsEvents,
    /// A read does not report that events were lost.
    OverrunSilent,
    /// Exclusive connections can be shared.
    ExclusiveIgnored,
    /// A timestamping port does not stamp events.
    PortTimestampMissing,
    /// Events that cannot be delivered are not bounced.
    BounceMissing,
    /// The end of a connection is not announced.
    UnsubscribeNotAnnounced,
    /// Variable data does not count as cells of a pool.
    VariableDataIsFree,
    /// A note is never switched off.
    NoteOffMissing,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 10] = [
        Self::EqualStampsReversed,
        Self::PriorityIgnored,
        Self::StartKeepsEvents,
        Self::OverrunSilent,
        Self::ExclusiveIgnored,
        Self::PortTimestampMissing,
        Self::BounceMissing,
        Self::UnsubscribeNotAnnounced,
        Self::VariableDataIsFree,
        Self::NoteOffMissing,
    ];
}
