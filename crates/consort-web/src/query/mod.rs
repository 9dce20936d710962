//! OSCQuery: the namespace of an OSC instance by HTTP, and its values by WebSocket.
//!
//! The proposal is at <https://github.com/Vidvox/OSCQueryProposal>. Everything is read-only: a client
//! sends values by OSC. The router stores nothing for it: when a client asks for values, the server
//! wakes the router, which copies the last values into a [`QueryFeed`], at most 20 times a second.

mod namespace;
mod server;

pub use namespace::{Namespace, QueryArgument, QueryNode, QueryValue};
pub use server::{EncodePacket, QueryFeed, QueryServer, QuerySettings};
