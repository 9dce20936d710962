//! Code that the network backends share: addresses as configurations write them, batched
//! datagrams, and name look-ups that do not block the router.
//!
//! Every backend uses a different part of this module, so that a build with few backends leaves
//! some of it unused.

mod address;
mod datagram;
mod resolve;

pub use address::HostPort;
pub use datagram::{DatagramSocket, OutgoingDatagrams, Received};
pub use resolve::Lookup;

use std::time::Duration;

/// The delay before the next attempt of a failed operation: 0.5 s, doubled up to 8 s.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Counts a failure and returns the delay before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        let delay = Duration::from_millis(500 << self.failures.min(4));
        self.failures += 1;
        delay
    }

    /// Starts again at the shortest delay, after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}
