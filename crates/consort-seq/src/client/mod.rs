//! Clients of the sequencer, their ports and queues.
//!
//! [`SequencerClient`] waits by blocking, [`AsyncSequencerClient`] by futures. The operations that
//! do not wait are common to both: they are methods of [`ClientBase`], to which both dereference.
//! All three are `Send + Sync`. Input and output have separate locks, which are never held during
//! a wait, so any number of threads or tasks may read and write at the same time.
//!
//! # Why `Deref`, and why `get_` names
//!
//! The Rust API guidelines advise against `Deref` as inheritance and against `get_` prefixes. Both
//! are deliberate here. The names are those of libasound and python-alsa-midi
//! (`get_client_info` for `snd_seq_get_client_info`), so that their documentation and existing
//! programs carry over method by method. `Deref` gives both clients the whole set of these methods
//! as one type with one documentation, as the base class does in python-alsa-midi; a function that
//! does not wait can take a `&ClientBase` and serves both.

mod asynchronous;
mod blocking;
mod buffers;
mod builder;
mod core;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod info;
mod listening;
mod methods;
mod port;
mod queue;
mod reactor;
#[cfg(feature = "tokio")]
mod reactor_tokio;
mod routing;
mod stream;
mod watch;

#[doc(hidden)] // for clients of other runtimes, which wait by their own means
pub use self::core::{OutputStep, RoomWait};
pub use self::core::{RECEIVER_TIMEOUT, Undelivered};
pub use asynchronous::AsyncSequencerClient;
pub use blocking::SequencerClient;
pub use buffers::BytesOrEvent;
pub use builder::ClientBuilder;
pub use error::{Error, ErrorKind, Result, Subject};
pub use info::*;
pub use listening::Listening;
pub use methods::{ClientBase, ListPorts, PortSort, Waited};
pub use port::{Port, PortOptions};
pub use queue::Queue;
pub use routing::Routing;
pub use stream::MidiStream;
pub use watch::{Announcement, AsyncWatch, Watch};
