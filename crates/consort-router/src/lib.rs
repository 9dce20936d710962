//! The router: configuration, channels, mappings, the event loop and the [`Backend`] trait.
//!
//! A *show* is a set of *instances* (each belonging to a backend: a protocol, a script
//! interpreter, …) whose *channels* are mapped onto each other. The router moves values
//! between 0.0 and 1.0 from channel to channel. It contains no protocol: all input and
//! output is done by [`Instance`]s.
//!
//! ```text
//!  bytes → Instance::ready → Context::emit → routes → Instance::deliver → bytes
//! ```
//!
//! Everything here runs on one thread, the one that calls [`Router::run`]; nothing on it may
//! block. Other threads talk to a running show through [`Handle`] and look at it through
//! [`Live`].

mod activity;
pub mod backend;
mod blocks;
pub mod config;
pub mod context;
mod engine;
mod event;
pub mod inspect;
pub mod live;
mod live_routes;
pub mod options;
mod queue;
mod router;
mod routes;
pub mod stage;
#[cfg(feature = "testing")]
pub mod testing;
mod timers;
pub mod transform;
pub mod unmatched;
mod warn_once;

pub use activity::Stall;
pub use backend::{
    Backend, BackendDescriptor, ChannelError, ChannelKind, ChannelSyntax, ChannelTable, Driver,
    Endpoints, Instance, InstanceConfig, NoDriver, Plan, Readiness, Resolution, Usage, downcast,
    driver,
};
pub use blocks::{Block, BlockSource};
pub use context::{Context, DriverContext};
pub use engine::{Merge, RouteControl};
pub use event::{Event, InstanceId, Root, TextEvent};
pub use live::{ChannelInfo, Live, State};
pub use live_routes::{LayerInfo, RouteInfo, RouteState};
pub use options::{OptionFamily, OptionKind, OptionSpec, Options, Problem, Problems};
pub use router::{Adoption, Handle, Reload, ReloadError, Reloaded, Router, RunError};
pub use unmatched::{RawValue, Sender, Unmatched};
pub use warn_once::WarnOnce;
