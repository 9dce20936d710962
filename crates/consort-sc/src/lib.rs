//! SuperCollider for Rust: boot or join a server, manage its nodes, buses and buffers, compile
//! SynthDefs and render scores; blocking or asynchronous, in real time or into a file.
//!
//! | to … | use … |
//! |---|---|
//! | boot, join and quit a server | [`Server`], which blocks, or [`AsyncServer`], whose futures run on any executor; [`Options`], [`Timeouts`] |
//! | create nodes, buses and buffers | the methods of [`Context`], which both servers have; [`Synth`], [`Group`], [`Bus`], [`Buffer`] |
//! | let requests take effect together, at one time | [`Context::at_time`], [`Moment`], [`Context::after`], [`Clock`] |
//! | let the server do something when a request is done | [`Completion`], the methods that end in `_then` |
//! | learn which SynthDefs the server refused | [`Server::install_synthdefs`], [`Event::SynthDefRefused`] |
//! | write instruments | [`synthdef`], [`ugens`] |
//! | read SynthDef files of other programs | [`SynthDefFile`] |
//! | render sound without a sound card | [`score::Nonrealtime`], [`score::Score`] |
//! | receive messages, failures, warnings and events from the server | [`EventReceiver`], [`CallbackHandle`], [`Capture`] |
//! | play, render or draw a SynthDef, a score or a buffer in one call | [`Audition`], [`Context::play`], [`Buffer::plot`], [`Sound`], `diagram` |
//! | play patterns in beats, in real time or in a score | [`music`] |
//! | set controls of several types | [`settings!`] |
//! | send the same bytes as Supriya | [`Conventions`] |
//! | read control buses and scopes without a request | [`SharedMemory`] |
//! | send the server's own requests | [`requests`] |
//! | use a server from an event loop of one's own | [`proto`] |
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
//!
//! # Failures and warnings
//!
//! Requests that are sent without waiting cannot return the server's failures. Every `/fail` that no
//! request waits for, every refused SynthDef and every warning (such as a control that a SynthDef does
//! not have) is an [`Event`] for receivers ([`Server::events`]) and a warning of `tracing`. If there is
//! no receiver and the program has no `tracing` subscriber for warnings, it is a line on standard
//! error. The same warning is given once for each connection.
//!
//! # Layers
//!
//! Each layer uses those below it. Callers lock the connection, make their requests and send the
//! packets on their own threads; the I/O thread of a server receives and keeps the time.
//!
//! ```text
//!  Server (blocking)   AsyncServer (futures)      score::Nonrealtime (into a file)
//!          \               /                                |
//!       operations, realtime                                |
//!               |                                           |
//!  Session: every operation that waits, as a future         |
//!               |                                           |
//!  Context, Moment, handles (Synth, Group, Bus, Buffer): requests by name
//!               |                                           |
//!          Host::transmit                             Host::transmit
//!               |                                           |
//!  driver: socket, process, I/O thread,               score::Score
//!  callbacks, events, captures, slots of futures            |
//!               |                                           |
//!  proto::Connection, without I/O, without a lock and without a clock
//!    |- state, mirror: ids; the node tree from notifications and replies
//!    |- handshake, closing, process, life: from the start to the end
//!    |- pending: requests that wait for replies
//!    |- outbox, send_window: packets; large datagrams, a window at a time
//!    `- probe: which SynthDefs the server has
//!               |
//!  requests, bundling, queries, tree, wire: encoding and decoding
//!               |
//!          consort-osc
//! ```
//!
//! # Why servers dereference to `Context`
//!
//! [`Server`], [`AsyncServer`], [`Moment`] and [`score::Nonrealtime`] implement `Deref` to
//! [`Context`] so that each of the about one hundred operations exists once and is called by the
//! same name on all four. This is what Supriya does by inheritance (its `Server`, `AsyncServer` and
//! `Score` are subclasses of `Context`), and parity with Supriya is a goal of this crate.

mod allocator;
mod async_server;
mod audition;
mod bundling;
mod callbacks;
mod capture;
mod clock;
mod context;
mod driver;
mod error;
mod events;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod lifecycle;
mod mirror;
mod moment;
pub mod music;
mod operations;
mod options;
mod output;
mod pending;
mod process;
pub mod proto;
mod queries;
mod realtime;
pub mod requests;
pub mod score;
mod server;
mod session;
mod settings;
mod shared_memory;
mod sound;
mod sound_formats;
mod synthdefs;
mod tree;
mod tree_diagram;
mod values;
mod wire;

pub use allocator::{BlockAllocator, NodeIdAllocator};
pub use async_server::AsyncServer;
pub use audition::Audition;
pub use callbacks::{CallbackHandle, OscPattern};
pub use capture::{Capture, CapturedPacket, Direction};
pub use clock::Clock;
pub use consort_osc::{OscMessage, OscValue};
/// The crate that builds, compiles and reads SynthDefs.
pub use consort_synthdef as synthdef;
#[doc(inline)]
pub use consort_synthdef::ugens;
pub use consort_synthdef::{ControlInfo, SynthDefFile, SynthDefInfo};
pub use context::{
    Buffer, BufferContent, BufferGroup, BufferRead, BufferWrite, Bus, BusGroup, BusRange,
    Completion, Context, Conventions, Entity, Group, Host, IdRange, IdRanges, Node, NodeKind,
    NodeReference, Outgoing, Placement, ReplyWait, RootNode, Scope, ScopeBuffer, Synth,
};
pub use error::{Error, ErrorKind, Result};
pub use events::{Event, EventFilter, EventReceiver};
pub use lifecycle::{BootStatus, HealthCheck, LifecycleEvent, Timeouts};
pub use moment::Moment;
pub use options::{Options, Protocol};
pub use output::{PrintedLine, RefusalCause, SynthDefRefusal};
pub use pending::Pending;
pub use process::{EXECUTABLE_VARIABLE, find_executable};
pub use queries::{BufferInfo, FailInfo, NodeInfo, StatusInfo, VersionInfo};
pub use server::Server;
pub use shared_memory::{ScopeDescription, ScopeFrames, SharedMemory};
pub use sound::Sound;
pub use synthdefs::SynthDefReference;
pub use tree::{QueryTreeGroup, QueryTreeNode, QueryTreeSynth, TreeText};
pub use values::{
    AddAction, CalculationRate, ControlKey, ControlValue, MapSymbol, NO_SETTINGS, Settings,
};
pub use wire::Arguments;

/// The examples of this crate's README, of the workspace's and of the book, compiled with the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../../../README.md")]
#[doc = include_str!("../../../docs/music-in-rust.md")]
mod readme {}
