//! SuperCollider: start or join a server, keep its tree, compile SynthDefs, render scores;
//! blocking and async, in real time or into a file.
//!
//! | to … | take … |
//! |---|---|
//! | start, join and end a server | [`Server`], which blocks, or [`AsyncServer`], whose futures need no particular executor; [`Options`], [`Timeouts`] |
//! | make nodes, buses, buffers | the methods of [`Context`], which both have; [`Synth`], [`Group`], [`Bus`], [`Buffer`] |
//! | have requests take effect together, at one time | [`Moment`] |
//! | write instruments | [`synthdef`], [`ugens`] |
//! | read SynthDef files of others | [`SynthDefFile`] |
//! | render sound without a sound card | [`score::Nonrealtime`], [`score::Score`] |
//! | hear what the server says | [`EventReceiver`], [`CallbackHandle`], [`Capture`] |
//! | read control buses and scopes without asking | [`SharedMemory`] |
//! | send the server's own requests | [`requests`] |
//!
//! # Example
//!
//! ```no_run
//! use consort_sc::synthdef::prelude::*;
//! use consort_sc::{AddAction, Options, Server};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ping = SynthDef::build("ping", |controls| {
//!     let frequency = controls.control("frequency", 440.0);
//!     let ring = EnvGen::kr(Envelope::percussive(0.01, 1.0)).done_action(DoneAction::FreeSynth);
//!     Out::ar(0, Pan2::ar(SinOsc::ar(frequency) * ring * 0.2));
//! })?;
//! let server = Server::new(Options::default())?;
//! server.boot()?;
//! server.add_synthdefs([ping.file()])?;
//! server.sync()?;
//! let group = server.default_group();
//! server.add_synth(&ping, (AddAction::ToHead, &group), [("frequency", 660.0)])?;
//! # Ok(())
//! # }
//! ```

mod allocator;
mod async_server;
mod bundling;
mod callbacks;
mod capture;
mod context;
mod core;
mod driver;
mod error;
mod events;
#[cfg(any(test, feature = "fuzzing"))]
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
    Buffer, BufferContent, BufferGroup, BufferRead, BufferWrite, Bus, BusGroup, Context, Entity,
    Group, Host, Node, NodeKind, NodeReference, Outgoing, Placement, RootNode, Scope, ScopeBuffer,
    Synth,
};
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
pub use synthdef_file::{ControlInfo, SynthDefFile, SynthDefInfo, SynthDefReference};
pub use tree::{QueryTreeGroup, QueryTreeNode, QueryTreeSynth};
pub use values::{
    AddAction, CalculationRate, ControlKey, ControlValue, MapSymbol, NO_SETTINGS, Settings,
};
pub use wire::Arguments;

/// The examples of the READMEs, this crate's and the workspace's, compiled with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../../../README.md")]
mod readme {}
