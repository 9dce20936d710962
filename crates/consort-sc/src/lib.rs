//! SuperCollider servers: boot, connect, nodes, buses, buffers, SynthDefs and scores, blocking and async

mod allocator;
mod async_server;
mod bundling;
mod callbacks;
mod capture;
mod context;
mod core;
mod driver;
mod entities;
mod error;
mod events;
#[doc(hidden)]
pub mod fuzz;
mod lifecycle;
mod mirror;
mod moment;
mod operations;
mod options;
mod pace;
mod pending;
mod process;
mod queries;
mod realtime;
pub mod requests;
pub mod score;
mod server;
mod session;
mod shared_memory;
pub mod synthdef;
mod synthdef_file;
mod tree;
pub mod ugens;
mod values;
mod wire;

pub use allocator::{BlockAllocator, NodeIdAllocator};
pub use async_server::AsyncServer;
pub use callbacks::{CallbackHandle, OscPattern};
pub use capture::{Capture, CapturedPacket, Direction};
pub use consort_osc::{OscMessage, OscValue};
pub use context::{
    BufferContent, BufferRead, BufferWrite, Context, Host, NodeKind, NodeReference, Outgoing,
    Placement, Scope, ScopeBuffer,
};
pub use entities::{Buffer, BufferGroup, Bus, BusGroup, Entity, Group, Node, RootNode, Synth};
pub use error::{Error, ErrorKind, Result};
pub use events::{Event, EventFilter, EventReceiver};
pub use lifecycle::{BootStatus, HealthCheck, LifecycleEvent, Timeouts};
pub use moment::Moment;
pub use options::{Options, Protocol};
pub use pending::Pending;
pub use process::{EXECUTABLE_VARIABLE, find_executable};
pub use queries::{BufferInfo, FailInfo, NodeInfo, StatusInfo, VersionInfo};
pub use server::Server;
pub use shared_memory::{ScopeDescription, ScopeFrames, SharedMemory};
#[doc(hidden)]
pub use shared_memory::{example_segment, fuzz_shared_memory};
pub use synthdef_file::{ControlInfo, SynthDefFile, SynthDefInfo, SynthDefReference};
pub use tree::{QueryTreeGroup, QueryTreeNode, QueryTreeSynth};
pub use values::{
    AddAction, CalculationRate, ControlKey, ControlValue, MapSymbol, NO_SETTINGS, Settings,
};
pub use wire::Arguments;

/// The examples of the README, compiled with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}
