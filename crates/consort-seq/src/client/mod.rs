//! Clients of the sequencer, their ports and queues.
//!
//! [`SequencerClient`] waits by blocking, [`AsyncSequencerClient`] by futures; what does not
//! wait is common to both and stands in [`ClientBase`], to which both dereference. All of them
//! are `Send + Sync`: input and output have separate locks, which are never held while waiting,
//! so that any number of threads or tasks may read and write at once.

mod asynchronous;
mod base;
mod blocking;
mod buffers;
mod core;
mod discovery;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod info;
mod port;
mod queue;
mod queues;
mod reactor;
#[cfg(feature = "tokio")]
mod reactor_tokio;
mod routing;
mod subscriptions;
mod waiting;
mod watch;

pub use asynchronous::AsyncSequencerClient;
pub use base::{ClientBase, ClientBuilder};
pub use blocking::SequencerClient;
pub use buffers::BytesOrEvent;
pub use discovery::{ListPorts, PortSort};
pub use error::{Error, ErrorKind, Result, Subject};
pub use info::*;
pub use port::{Port, PortOptions};
pub use queue::Queue;
pub use routing::Routing;
pub use waiting::Waited;
pub use watch::{Announcement, AsyncWatch, Watch};
