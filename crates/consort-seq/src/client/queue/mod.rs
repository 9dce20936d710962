//! Queues that a client uses: the handles, and the registry through which they are shared.

mod handle;
mod registry;

pub use handle::Queue;
pub(crate) use registry::QueueRegistry;
