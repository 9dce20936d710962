//! Writing messages and bundles into a caller's buffer.

mod bundle;
mod message;
mod sink;

pub use bundle::BundleBuilder;
pub use message::{MessageBuilder, encode_message};
pub use sink::{Sink, SliceSink};
