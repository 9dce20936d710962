//! Requests that wait for their reply, and the futures that their callers hold.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use consort_osc::{OscMessage, OscValue};

use crate::error::{Error, ErrorKind, Result};
use crate::queries::FailInfo;
use crate::requests::{ReplyPattern, Request};

#[derive(Debug)]
enum SlotState<T> {
    Waiting(Option<Waker>),
    Done(Result<T>),
    Taken,
}

/// A place for one result: filled by the I/O thread, awaited by a caller.
#[derive(Debug)]
pub(crate) struct Slot<T>(Mutex<SlotState<T>>);

impl<T> Slot<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(SlotState::Waiting(None))))
    }

    /// Fills the slot, the first time only, and wakes who waits.
    pub(crate) fn fill(&self, result: Result<T>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let SlotState::Waiting(waker) = &mut *state {
            let waker = waker.take();
            *state = SlotState::Done(result);
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn poll(&self, task: &mut TaskContext<'_>) -> Poll<Result<T>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, SlotState::Taken) {
            SlotState::Waiting(_) => {
                *state = SlotState::Waiting(Some(task.waker().clone()));
                Poll::Pending
            }
            SlotState::Done(result) => Poll::Ready(result),
            SlotState::Taken => Poll::Ready(Err(Error::new(
                ErrorKind::InvalidArgument,
                "the result of this request was taken before",
            ))),
        }
    }
}

/// Waits for a slot.
#[derive(Debug)]
pub(crate) struct SlotFuture<T>(pub(crate) Arc<Slot<T>>);

impl<T> Future for SlotFuture<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        self.0.poll(task)
    }
}

type Parse<T> = Box<dyn FnOnce(&OscMessage) -> Result<T> + Send>;

/// The reply to a request, once it comes: a future, and [`wait`](Pending::wait) for threads.
///
/// Ends with an error when the server says `/fail`, when the deadline passes, and when the
/// server goes offline; so it always ends. Dropping it does no harm: the reply is then ignored.
#[must_use = "a reply that nobody waits for is ignored"]
pub struct Pending<T> {
    slot: Arc<Slot<OscMessage>>,
    parse: Option<Parse<T>>,
}

impl<T> std::fmt::Debug for Pending<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Pending")
    }
}

impl<T> Pending<T> {
    pub(crate) fn new(
        slot: Arc<Slot<OscMessage>>,
        parse: impl FnOnce(&OscMessage) -> Result<T> + Send + 'static,
    ) -> Self {
        Self { slot, parse: Some(Box::new(parse)) }
    }

    /// Blocks the calling thread until the reply is there.
    ///
    /// # Errors
    /// [`ErrorKind::RequestFailed`], [`ErrorKind::Timeout`], [`ErrorKind::ServerOffline`] or
    /// [`ErrorKind::Protocol`].
    pub fn wait(self) -> Result<T> {
        futures_lite::future::block_on(self)
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        match self.slot.poll(task) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(result) => {
                Poll::Ready(result.and_then(|message| match self.parse.take() {
                    Some(parse) => parse(&message),
                    None => Err(Error::new(
                        ErrorKind::InvalidArgument,
                        "the result of this request was taken before",
                    )),
                }))
            }
        }
    }
}

/// One request that waits.
#[derive(Debug)]
struct Entry {
    command: String,
    pattern: ReplyPattern,
    /// A failure that is not `/fail` with the command's address.
    failure: Option<(String, Vec<OscValue>)>,
    slot: Arc<Slot<OscMessage>>,
    deadline: Duration,
    timeout: Duration,
    number: u64,
    /// The last packet of the request, if it waits to be sent.
    ticket: u64,
}

/// At most this many requests may wait at once.
const MAXIMUM_WAITING: usize = 65_536;

/// All requests that wait, in the order of their sending.
#[derive(Debug, Default)]
pub(crate) struct PendingTable {
    entries: Vec<Entry>,
    numbers: u64,
}

impl PendingTable {
    /// Lets `slot` wait for the reply of `request` for `timeout`. Returns the wait's number.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the request has no reply, [`ErrorKind::Allocation`] if
    /// too many requests wait already.
    pub(crate) fn add(
        &mut self,
        request: &Request,
        slot: Arc<Slot<OscMessage>>,
        timeout: Duration,
        now: Duration,
    ) -> Result<u64> {
        let pattern = request.reply().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("{} has no reply to wait for", request.address()),
            )
        })?;
        if self.entries.len() >= MAXIMUM_WAITING {
            return Err(Error::new(
                ErrorKind::Allocation,
                format!("{MAXIMUM_WAITING} requests wait for replies already"),
            ));
        }
        self.entries.push(Entry {
            command: request.address().to_owned(),
            pattern,
            failure: None,
            slot,
            deadline: now + timeout,
            timeout,
            number: self.numbers,
            ticket: 0,
        });
        self.numbers += 1;
        Ok(self.numbers - 1)
    }

    /// These requests wait to be sent, up to the packet with the number `ticket`.
    pub(crate) fn hold(&mut self, waits: Range<u64>, ticket: u64) {
        for entry in self.entries.iter_mut().filter(|entry| waits.contains(&entry.number)) {
            entry.ticket = ticket;
        }
    }

    /// The queue moved up to the packet `first_waiting`: what is in it, or just was, has its
    /// whole time again.
    pub(crate) fn renew(&mut self, first_waiting: u64, now: Duration) {
        for entry in self.entries.iter_mut().filter(|entry| entry.ticket >= first_waiting) {
            entry.deadline = entry.deadline.max(now + entry.timeout);
        }
    }

    /// These requests are never sent.
    pub(crate) fn forget(&mut self, waits: Range<u64>) {
        self.entries.retain(|entry| !waits.contains(&entry.number));
    }

    /// Gives a reply to the first request that waits for it. True if there was one.
    pub(crate) fn reply(&mut self, message: &OscMessage) -> bool {
        let found = self.entries.iter().position(|entry| entry.pattern.matches(message));
        let Some(at) = found else { return false };
        let entry = self.entries.remove(at);
        entry.slot.fill(Ok(message.clone()));
        true
    }

    /// Ends the request that a `/fail` speaks of. True if there was one.
    pub(crate) fn fail(&mut self, fail: &FailInfo) -> bool {
        let same = |entry: &Entry| {
            entry.command == fail.command
                || entry.failure.as_ref().is_some_and(|(address, prefix)| {
                    *address == fail.command && crate::requests::starts_with(&fail.other, prefix)
                })
        };
        let mentions = |entry: &Entry| {
            let ids = entry.pattern.prefix.iter().filter_map(OscValue::as_i32);
            let mut ids = ids.peekable();
            ids.peek().is_some()
                && ids.any(|id| {
                    fail.other.iter().filter_map(OscValue::as_i32).any(|other| other == id)
                        || fail
                            .reason
                            .split(|character: char| {
                                !character.is_ascii_digit() && character != '-'
                            })
                            .any(|word| word.parse() == Ok(id))
                })
        };
        let candidates: Vec<usize> =
            (0..self.entries.len()).filter(|at| same(&self.entries[*at])).collect();
        // The one whose id the server names, else the one that waits longest.
        let best = candidates
            .iter()
            .copied()
            .find(|at| mentions(&self.entries[*at]))
            .or(candidates.first().copied());
        let Some(at) = best else { return false };
        let entry = self.entries.remove(at);
        entry.slot.fill(Err(Error::new(
            ErrorKind::RequestFailed,
            format!("the server refused {}: {}", fail.command, fail.reason),
        )));
        true
    }

    /// Ends what has waited until now.
    pub(crate) fn expire(&mut self, now: Duration) {
        self.entries.retain(|entry| {
            if entry.deadline > now {
                return true;
            }
            entry.slot.fill(Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "no reply to {} ({} expected) within its deadline",
                    entry.command, entry.pattern.address
                ),
            )));
            false
        });
    }

    /// The next deadline.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.entries.iter().map(|entry| entry.deadline).min()
    }

    /// Ends everything.
    pub(crate) fn clear(&mut self, error: &Error) {
        for entry in self.entries.drain(..) {
            entry.slot.fill(Err(error.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::{QueryNodes, Sync};

    fn waiting(
        table: &mut PendingTable,
        request: impl Into<Request>,
        deadline: u64,
    ) -> Pending<i32> {
        let slot = Slot::new();
        let timeout = Duration::from_secs(deadline);
        table.add(&request.into(), slot.clone(), timeout, Duration::ZERO).unwrap();
        Pending::new(slot, |message| crate::wire::Arguments::int(message, 0))
    }

    #[test]
    fn a_reply_ends_its_own_request_once() {
        let mut table = PendingTable::default();
        let first = waiting(&mut table, Sync { id: 1 }, 5);
        let second = waiting(&mut table, Sync { id: 2 }, 5);
        let synced = |id: i32| OscMessage::new("/synced", [id.into()]);
        assert!(table.reply(&synced(2)));
        assert!(!table.reply(&synced(2)), "a repeated reply found a request");
        assert!(!table.reply(&synced(9)));
        assert_eq!(second.wait().unwrap(), 2);
        assert!(table.reply(&synced(1)));
        assert_eq!(first.wait().unwrap(), 1);
        assert!(table.entries.is_empty());
    }

    #[test]
    fn a_failure_ends_the_request_that_it_names() {
        let mut table = PendingTable::default();
        let first = waiting(&mut table, QueryNodes { ids: vec![5] }, 5);
        let second = waiting(&mut table, QueryNodes { ids: vec![77] }, 5);
        let fail = FailInfo {
            command: "/n_query".into(),
            reason: "Node 77 not found".into(),
            other: vec![],
        };
        assert!(table.fail(&fail));
        let error = second.wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RequestFailed);
        assert!(error.to_string().contains("Node 77 not found"));
        table.expire(Duration::from_secs(5));
        assert_eq!(first.wait().unwrap_err().kind(), ErrorKind::Timeout);
        assert!(!table.fail(&fail));
    }
}
