//! Channels that several shows share through a broker: `share = on`.
//!
//! `wire` has the payloads, `core` decides, without sockets and clocks, what is published and
//! emitted, and `client` connects it to a session and the router.

mod client;
mod core;
#[cfg(test)]
mod simulation;
pub(in crate::mqtt) mod wire;

pub(in crate::mqtt) use client::Shared;
pub(in crate::mqtt) use core::OnLoss;

/// The options of `share = on`.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::mqtt) struct ShareConfig {
    /// How the topics begin.
    pub(in crate::mqtt) prefix: String,
    /// The name of this show for the others.
    pub(in crate::mqtt) name: String,
}
