//! Deliberate faults, for the test suite to prove that it would notice them.

/// A way in which the embedded sequencer can be made to differ from the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Of events with equal stamps the last comes first.
    EqualStampsReversed,
    /// `PRIORITY_HIGH` makes no difference.
    PriorityIgnored,
    /// START keeps the events that wait.
    StartKeepsEvents,
    /// A reader is not told that events were lost.
    OverrunSilent,
    /// Exclusive connections do not exclude others.
    ExclusiveIgnored,
    /// A timestamping port does not stamp.
    PortTimestampForgotten,
    /// Events that cannot be delivered do not come back.
    BounceForgotten,
    /// The end of a connection is not told to anybody.
    UnsubscribeNotAnnounced,
    /// Variable data takes no cells of a pool.
    VariableDataIsFree,
    /// A note is never switched off.
    NoteOffForgotten,
}

impl Fault {
    /// All ten.
    pub const ALL: [Self; 10] = [
        Self::EqualStampsReversed,
        Self::PriorityIgnored,
        Self::StartKeepsEvents,
        Self::OverrunSilent,
        Self::ExclusiveIgnored,
        Self::PortTimestampForgotten,
        Self::BounceForgotten,
        Self::UnsubscribeNotAnnounced,
        Self::VariableDataIsFree,
        Self::NoteOffForgotten,
    ];
}
