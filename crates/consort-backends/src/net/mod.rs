//! What the network backends share: addresses as configurations write them, datagrams in
//! batches, and name look-ups that never hold up the router.

mod address;
mod datagram;
mod resolve;

pub use address::HostPort;
pub use datagram::{DatagramSocket, OutgoingDatagrams, Received};
pub use resolve::Lookup;

use std::time::Duration;

/// How long to wait before the next attempt at something that failed: 0.5 s, doubling to 8 s.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Counts a failure and says how long to wait.
    pub fn next_delay(&mut self) -> Duration {
        let delay = Duration::from_millis(500 << self.failures.min(4));
        self.failures += 1;
        delay
    }

    /// Forgets the failures.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}
