//! Receivers that do not read their input: who gets an event, and what happens to an event that
//! one of them cannot take.
//!
//! The sequencer delivers a direct event inside the write. If the input pool of a receiver is full,
//! the write fails with `EAGAIN`, although every other receiver has the event already:
//!
//! | receivers | meaning of a failed write | what the client does |
//! |---|---|---|
//! | none, or the event goes to a queue | the own output pool is full | waits, tries again |
//! | one | nobody has the event | waits, tries again, fails after [`RECEIVER_TIMEOUT`] |
//! | several | the others have the event | counts it as undelivered, goes on with the next |
//!
//! Kernel clients such as Midi Through have no input pool and pass events on inside the write, so
//! what counts is the number of ports that they pass it on to.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::ClientCore;
use crate::client::error::{Failure, Outcome};
use crate::client::info::{ClientType, SubscriptionQuery, SubscriptionQueryType};
use crate::event::{Address, Cell, QUEUE_DIRECT};

/// How long an output waits for a receiver that does not read its input.
pub const RECEIVER_TIMEOUT: Duration = Duration::from_secs(2);

/// The maximum number of entries of the list of undelivered events.
const MAX_ENTRIES: usize = 256;

/// Events that a receiver did not get, because its input pool was full while other receivers got
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undelivered {
    /// The port that sent the events.
    pub source: Address,
    /// The receiver that did not read its input when the first of the events was sent; `None` if
    /// it could not be determined.
    pub receiver: Option<Address>,
    /// The number of events.
    pub count: u64,
}

/// What the client knows about receivers that do not read.
#[derive(Debug, Default)]
pub(super) struct StuckReceivers {
    undelivered: Vec<Undelivered>,
    /// The receiver that blocks the output, and since when no output has succeeded.
    blocked: Option<(Address, Instant)>,
}

/// Who gets an event inside the write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receivers {
    /// Nobody: it goes to a queue, or nobody is subscribed.
    Nobody,
    /// One port.
    One(Address),
    /// Several ports.
    Several,
}

/// The fields of a cell as it is written.
fn source(cell: &Cell) -> Address {
    Address::new(cell.0[12], cell.0[13])
}

impl ClientCore {
    /// Who gets a direct event of this client inside the write.
    pub(super) fn receivers(&self, cell: &Cell) -> Receivers {
        if cell.0[3] != QUEUE_DIRECT {
            return Receivers::Nobody;
        }
        let dest = Address::new(cell.0[14], cell.0[15]);
        let first = if dest.client == Address::CLIENT_SUBSCRIBERS {
            self.readers(Address::new(self.client_id, source(cell).port))
        } else {
            Receivers::One(dest)
        };
        let Receivers::One(dest) = first else { return first };
        let is_kernel =
            self.client_info(dest.client).is_ok_and(|info| info.client_type == ClientType::Kernel);
        match self.readers(dest) {
            _ if !is_kernel => first,
            Receivers::Nobody => first,
            next => next,
        }
    }

    /// The ports that are subscribed to a port.
    fn readers(&self, port: Address) -> Receivers {
        match self.query_subscription(&SubscriptionQuery::new(port, SubscriptionQueryType::Read, 0))
        {
            Ok(answer) if answer.num_subs > 1 => Receivers::Several,
            Ok(answer) => Receivers::One(answer.addr),
            Err(_) => Receivers::Nobody,
        }
    }

    /// Counts an event that one of several receivers did not get. Its port is looked up for the
    /// first event of a source only.
    pub(super) fn count_undelivered(&self, cell: &Cell) {
        let source = Address::new(self.client_id, source(cell).port);
        {
            let mut stuck = self.stuck.lock();
            if let Some(entry) = stuck.undelivered.iter_mut().find(|entry| entry.source == source) {
                entry.count += 1;
                return;
            }
            if stuck.undelivered.len() >= MAX_ENTRIES {
                return;
            }
        }
        let receiver = self.fullest_reader(source);
        self.stuck.lock().undelivered.push(Undelivered { source, receiver, count: 1 });
    }

    /// The subscriber of a port whose input pool has the fewest free cells, relative to no others:
    /// a full pool has none or a few.
    fn fullest_reader(&self, port: Address) -> Option<Address> {
        let readers = self.subscriptions(port, Some(SubscriptionQueryType::Read)).ok()?;
        let free = |address: &Address| {
            let pool = self.pool(address.client).ok().filter(|pool| pool.input_pool > 0)?;
            Some(pool.input_free)
        };
        let addresses = readers.iter().map(|reader| reader.addr);
        addresses.filter_map(|address| Some((free(&address)?, address))).min().map(|(_, at)| at)
    }

    /// The undelivered events since the last call.
    pub(crate) fn take_undelivered(&self) -> Vec<Undelivered> {
        std::mem::take(&mut self.stuck.lock().undelivered)
    }

    /// Notes that a receiver blocks the output.
    pub(super) fn set_blocked(&self, receiver: Address, has_progress: bool) {
        let mut stuck = self.stuck.lock();
        let since = match stuck.blocked {
            Some((blocked, since)) if blocked == receiver && !has_progress => since,
            _ => Instant::now(),
        };
        stuck.blocked = Some((receiver, since));
        self.is_blocked.store(true, Ordering::Relaxed);
    }

    /// Notes that an output succeeded, or that it waits for room in its own pool.
    #[inline]
    pub(super) fn clear_blocked(&self) {
        if self.is_blocked.load(Ordering::Relaxed) {
            self.is_blocked.store(false, Ordering::Relaxed);
            self.stuck.lock().blocked = None;
        }
    }

    /// The receiver that blocks the output, and since when.
    pub(super) fn blocked(&self) -> Option<(Address, Instant)> {
        self.stuck.lock().blocked
    }

    /// Fails if a receiver has blocked the output for [`RECEIVER_TIMEOUT`].
    pub(crate) fn check_receiver(&self) -> Outcome<()> {
        match self.blocked() {
            Some((receiver, since)) if since.elapsed() >= RECEIVER_TIMEOUT => {
                Err(self.stuck(receiver))
            }
            _ => Ok(()),
        }
    }

    /// The failure of an output to a receiver that does not read.
    #[cold]
    pub(super) fn stuck(&self, receiver: Address) -> Failure {
        let name = self.client_info(receiver.client).map(|info| info.name).unwrap_or_default();
        Failure::stuck(
            receiver,
            format!("{name:?} does not read its input, and its input pool is full"),
        )
    }
}
