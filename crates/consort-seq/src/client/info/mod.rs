//! Information about clients, ports, queues and the sequencer.

mod client;
mod port;
mod queue;
mod remove;

pub use client::{
    ClientInfo, ClientPool, ClientType, EventFilter, MidiVersion, SequencerType, SystemInfo,
};
pub use port::{
    PortCaps, PortInfo, PortType, READ_PORT, RW_PORT, SubscribeOptions, SubscriptionQuery,
    SubscriptionQueryType, WRITE_PORT,
};
pub use queue::{QueueInfo, QueueStatus, QueueTempo, QueueTimer, QueueTimerType, TimerId};
pub use remove::{RemoveCondition, RemoveEvents};
