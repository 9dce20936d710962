//! Code that the network backends share: addresses as configurations write them, batched
//! datagrams, connections, and name look-ups that do not block the router.
//!
//! Every backend uses a different part of this module, so that a build with few backends leaves
//! some of it unused.

mod address;
mod allow;
mod datagram;
pub(crate) mod loss;
mod resolve;
pub(crate) mod tcp;
mod wake;

pub use address::HostPort;
pub(crate) use address::for_family;
pub use allow::Allow;
pub(crate) use allow::{ALLOW, DenialReport};
pub use datagram::{DatagramSocket, OutgoingDatagrams, Peer, Received};
pub use loss::Losses;
pub use resolve::Lookup;
pub(crate) use wake::Wake;

use std::io;
use std::time::Duration;

use consort_router::{Context, DriverContext};
use mio::Interest;
use mio::event::Source;

/// Where event sources are registered: the context of an instance or of a driver.
pub trait Registrar {
    /// See [`Context::register`].
    ///
    /// # Errors
    /// The error of the operating system.
    fn register(
        &mut self,
        source: &mut impl Source,
        key: u32,
        interest: Interest,
    ) -> io::Result<()>;

    /// See [`Context::deregister`].
    ///
    /// # Errors
    /// The error of the operating system.
    fn deregister(&mut self, source: &mut impl Source) -> io::Result<()>;
}

impl Registrar for Context<'_> {
    fn register(
        &mut self,
        source: &mut impl Source,
        key: u32,
        interest: Interest,
    ) -> io::Result<()> {
        Context::register(self, source, key, interest)
    }

    fn deregister(&mut self, source: &mut impl Source) -> io::Result<()> {
        Context::deregister(self, source)
    }
}

impl Registrar for DriverContext<'_> {
    fn register(
        &mut self,
        source: &mut impl Source,
        key: u32,
        interest: Interest,
    ) -> io::Result<()> {
        DriverContext::register(self, source, key, interest)
    }

    fn deregister(&mut self, source: &mut impl Source) -> io::Result<()> {
        DriverContext::deregister(self, source)
    }
}

/// How often a delay is used before it is doubled.
const ATTEMPTS_PER_DELAY: u32 = 4;

/// The delay before the next attempt of a failed operation: 0.5 s four times, then doubled after every
/// four attempts, up to 8 s.
///
/// A network that comes up with the show, a few seconds late, is used within a second: after 2 s of
/// failures the delay is 1 s, after 6 s it is 2 s, after 14 s it is 4 s, and from 30 s on it is 8 s.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Counts a failure and returns the delay before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        let delay = Duration::from_millis(500 << (self.failures / ATTEMPTS_PER_DELAY).min(4));
        self.failures = self.failures.saturating_add(1);
        delay
    }

    /// Starts again at the shortest delay, after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_comes_up_late_is_tried_soon() {
        let mut backoff = Backoff::default();
        let (mut elapsed, mut longest) = (Duration::ZERO, Vec::new());
        for limit in [5, 13, 60] {
            while elapsed < Duration::from_secs(limit) {
                let delay = backoff.next_delay();
                elapsed += delay;
                longest.push(delay);
            }
            let most = longest.iter().max().copied().expect("a delay");
            assert!(most <= Duration::from_secs(limit).mul_f64(0.21).max(Duration::from_secs(1)));
        }
        assert_eq!(backoff.next_delay(), Duration::from_secs(8));
        backoff.reset();
        assert_eq!(backoff.next_delay(), Duration::from_millis(500));
    }
}
