//! Requests that wait for their reply, and the futures that their callers hold.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use consort_osc::{OscMessage, OscValue};
use parking_lot::Mutex;

use crate::error::{Error, ErrorKind, Result};
use crate::queries::FailInfo;
use crate::requests::{ReplyPattern, Request};

/// The state of a [`Slot`].
#[derive(Debug)]
enum SlotState<T> {
    Waiting(Option<Waker>),
    Done(Result<T>),
    Taken,
}

/// A place for one result: filled by the I/O thread, awaited by a caller.
///
/// It is not a one-shot channel, because several parties may fill it and the first one wins: a
/// moment that cannot be sent, the reply, the deadline, and the end of the connection.
#[derive(Debug)]
pub(crate) struct Slot<T>(Mutex<SlotState<T>>);

impl<T> Slot<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(SlotState::Waiting(None))))
    }

    /// Fills the slot and wakes its waiter. Only the first call has an effect.
    pub(crate) fn fill(&self, result: Result<T>) {
        let mut state = self.0.lock();
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
        let mut state = self.0.lock();
        match std::mem::replace(&mut *state, SlotState::Taken) {
            SlotState::Waiting(_) => {
                *state = SlotState::Waiting(Some(task.waker().clone()));
                Poll::Pending
            }
            SlotState::Done(result) => Poll::Ready(result),
            SlotState::Taken => Poll::Ready(Err(result_taken())),
        }
    }
}

fn result_taken() -> Error {
    Error::new(ErrorKind::InvalidArgument, "the result of this request was already taken")
}

/// A future of a slot's result.
#[derive(Debug)]
pub(crate) struct SlotFuture<T>(pub(crate) Arc<Slot<T>>);

impl<T> Future for SlotFuture<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        self.0.poll(task)
    }
}

/// Reads a reply as the caller's type.
type Parse<T> = Box<dyn FnOnce(&OscMessage) -> Result<T> + Send>;

/// The reply to a request: a future, and [`wait`](Pending::wait) for threads.
///
/// It always ends: with an error when the server answers `/fail`, when the deadline passes, and
/// when the server goes offline. Dropping it is harmless: the reply is then ignored.
#[must_use = "the reply is ignored unless it is awaited"]
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

    /// Blocks the calling thread until the reply arrives.
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
                    None => Err(result_taken()),
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
    slot: Arc<Slot<OscMessage>>,
    deadline: Duration,
    timeout: Duration,
    /// The number of the request's last packet, if it waits in the send window.
    ticket: u64,
}

impl Entry {
    /// The ids that the request expects in its reply.
    fn ids(&self) -> impl Iterator<Item = i32> + '_ {
        self.pattern.prefix.iter().filter_map(OscValue::as_i32)
    }
}

/// How many requests may wait at once.
const MAX_WAITING_REQUESTS: usize = 65_536;
/// How many leading arguments of a reply are part of its key. Two distinguish all replies that
/// may wait in numbers: a command and an id, or an id and an index.
const KEY_ARGUMENTS: usize = 2;

/// The hashes under which a request can be found. Different requests may share one, so that
/// whatever is found is compared again.
#[derive(Debug, Default)]
struct Keys(RandomState);

impl Keys {
    /// The key of a reply with this address and these leading arguments.
    fn reply(&self, address: &str, arguments: &[OscValue]) -> u64 {
        let mut hasher = self.0.build_hasher();
        ("reply", address).hash(&mut hasher);
        for argument in arguments {
            // Numbers of all types are equal if their values are; adding 0 turns -0 into 0.
            match (argument.as_f64(), argument.as_str()) {
                (Some(number), _) => (number + 0.0).to_bits().hash(&mut hasher),
                (None, Some(text)) => text.hash(&mut hasher),
                (None, None) => {}
            }
        }
        hasher.finish()
    }

    /// The key of all requests with a command, or of those that also mention an id.
    fn command(&self, command: &str, id: Option<i32>) -> u64 {
        self.0.hash_one(("command", command, id))
    }

    /// All keys of an entry.
    fn of(&self, entry: &Entry) -> impl Iterator<Item = u64> {
        let prefix = &entry.pattern.prefix;
        let key_arguments = &prefix[..prefix.len().min(KEY_ARGUMENTS)];
        let mut keys = vec![
            self.reply(&entry.pattern.address, key_arguments),
            self.command(&entry.command, None),
        ];
        keys.extend(entry.ids().map(|id| self.command(&entry.command, Some(id))));
        keys.into_iter()
    }
}

/// All requests that wait, in the order in which they were sent.
///
/// Replies, failures and deadlines find their request in logarithmic time, however many wait.
#[derive(Debug, Default)]
pub(crate) struct PendingTable {
    /// By number, which is the order of registration.
    entries: BTreeMap<u64, Entry>,
    /// Pairs of a key and a number, so that the numbers of a key are in order.
    index: BTreeSet<(u64, u64)>,
    /// Pairs of a deadline and a number.
    deadlines: BTreeSet<(Duration, u64)>,
    keys: Keys,
    next_number: u64,
}

impl PendingTable {
    /// Lets `slot` wait for the reply to `request` for `timeout`. Returns the number of the wait.
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
                format!("cannot wait for {}: the server sends no reply to it", request.address()),
            )
        })?;
        self.add_pattern(request.address().to_owned(), pattern, slot, timeout, now)
    }

    /// Lets `slot` wait for a message that matches `pattern`, or for a `/fail` of `command`.
    /// Returns the number of the wait.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`] if too many requests wait already.
    pub(crate) fn add_pattern(
        &mut self,
        command: String,
        pattern: ReplyPattern,
        slot: Arc<Slot<OscMessage>>,
        timeout: Duration,
        now: Duration,
    ) -> Result<u64> {
        if self.entries.len() >= MAX_WAITING_REQUESTS {
            return Err(Error::new(
                ErrorKind::Allocation,
                format!("{MAX_WAITING_REQUESTS} requests are already waiting for replies"),
            ));
        }
        let number = self.next_number;
        self.next_number += 1;
        let entry = Entry { command, pattern, slot, deadline: now + timeout, timeout, ticket: 0 };
        self.index.extend(self.keys.of(&entry).map(|key| (key, number)));
        self.deadlines.insert((entry.deadline, number));
        self.entries.insert(number, entry);
        Ok(number)
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        for key in self.keys.of(&entry) {
            self.index.remove(&(key, number));
        }
        self.deadlines.remove(&(entry.deadline, number));
        Some(entry)
    }

    /// The numbers of a key, in order.
    fn numbers(&self, key: u64) -> impl Iterator<Item = u64> + '_ {
        self.index.range((key, 0)..=(key, u64::MAX)).map(|(_, number)| *number)
    }

    /// Marks requests as waiting in the send window, up to the packet with the number `ticket`.
    pub(crate) fn hold(&mut self, waits: Range<u64>, ticket: u64) {
        if waits.is_empty() {
            return;
        }
        for (_, entry) in self.entries.range_mut(waits) {
            entry.ticket = ticket;
        }
    }

    /// The send window moved up to the packet `first_waiting`: requests that are in it, or just
    /// were, get their full time again.
    pub(crate) fn renew(&mut self, first_waiting: u64, now: Duration) {
        let held = self.entries.iter_mut().filter(|(_, entry)| entry.ticket >= first_waiting);
        for (number, entry) in held {
            let deadline = entry.deadline.max(now + entry.timeout);
            self.deadlines.remove(&(entry.deadline, *number));
            self.deadlines.insert((deadline, *number));
            entry.deadline = deadline;
        }
    }

    /// Removes requests that are never sent.
    pub(crate) fn forget(&mut self, waits: Range<u64>) {
        for number in waits {
            self.remove(number);
        }
    }

    /// Gives a reply to the first request that waits for it. Returns whether there was one.
    pub(crate) fn reply(&mut self, message: &OscMessage) -> bool {
        if self.entries.is_empty() {
            return false;
        }
        // A request may expect fewer leading arguments than the reply has.
        let first = (0..=message.arguments.len().min(KEY_ARGUMENTS))
            .filter_map(|count| {
                let key = self.keys.reply(&message.address, &message.arguments[..count]);
                self.numbers(key).find(|number| {
                    self.entries.get(number).is_some_and(|entry| entry.pattern.matches(message))
                })
            })
            .min();
        let Some(entry) = first.and_then(|number| self.remove(number)) else { return false };
        entry.slot.fill(Ok(message.clone()));
        true
    }

    /// Ends the request that a `/fail` is about. Returns whether there was one.
    pub(crate) fn fail(&mut self, fail: &FailInfo) -> bool {
        if self.entries.is_empty() {
            return false;
        }
        let is_separator = |character: char| !character.is_ascii_digit() && character != '-';
        let ids_in_reason = fail.reason.split(is_separator).filter_map(|word| word.parse().ok());
        let mentioned_ids: BTreeSet<i32> =
            fail.other.iter().filter_map(OscValue::as_i32).chain(ids_in_reason).collect();
        let first_with = |id: Option<i32>| {
            self.numbers(self.keys.command(&fail.command, id)).find(|number| {
                self.entries.get(number).is_some_and(|entry| {
                    entry.command == fail.command
                        && id.is_none_or(|id| entry.ids().any(|own| own == id))
                })
            })
        };
        // The one whose id the server mentions, otherwise the one that waits longest.
        let found = mentioned_ids
            .into_iter()
            .filter_map(|id| first_with(Some(id)))
            .min()
            .or_else(|| first_with(None));
        let Some(entry) = found.and_then(|number| self.remove(number)) else { return false };
        entry.slot.fill(Err(Error::new(
            ErrorKind::RequestFailed,
            format!("the server rejected {}: {}", fail.command, fail.reason),
        )));
        true
    }

    /// Ends the requests whose deadline has passed, in the order in which they were sent.
    pub(crate) fn expire(&mut self, now: Duration) {
        let mut expired: Vec<u64> = self
            .deadlines
            .iter()
            .take_while(|(deadline, _)| *deadline <= now)
            .map(|(_, number)| *number)
            .collect();
        expired.sort_unstable();
        for entry in
            expired.into_iter().filter_map(|number| self.remove(number)).collect::<Vec<_>>()
        {
            entry.slot.fill(Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "no reply to {} within {:?} (expected {})",
                    entry.command, entry.timeout, entry.pattern.address
                ),
            )));
        }
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Ends all requests with `error`.
    pub(crate) fn clear(&mut self, error: &Error) {
        self.index.clear();
        self.deadlines.clear();
        for entry in std::mem::take(&mut self.entries).into_values() {
            entry.slot.fill(Err(error.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::{GetControlBusRange, QueryNodes, Sync};

    /// A pending reply with a deadline in seconds.
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
        assert!(table.entries.is_empty() && table.index.is_empty() && table.deadlines.is_empty());
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

    #[test]
    fn a_reply_goes_to_the_oldest_request_whatever_its_pattern_and_number_type() {
        let mut table = PendingTable::default();
        let mut wait_for = |count: u32| {
            let slot = Slot::new();
            let request = GetControlBusRange { start: 3, count }.into();
            table.add(&request, slot.clone(), Duration::MAX / 2, Duration::ZERO).unwrap();
            Pending::new(slot, |message| crate::wire::Arguments::float(message, 2))
        };
        let (first, second, other) = (wait_for(2), wait_for(2), wait_for(4));
        let reply = |value: f32| {
            OscMessage::new("/c_setn", [3.0f64.into(), 2i64.into(), value.into(), 0.0f32.into()])
        };
        assert!(table.reply(&reply(1.0)));
        assert!(table.reply(&reply(2.0)));
        assert!(!table.reply(&reply(3.0)));
        assert_eq!((first.wait().unwrap(), second.wait().unwrap()), (1.0, 2.0));
        table.clear(&Error::new(ErrorKind::ServerOffline, "test"));
        assert_eq!(other.wait().unwrap_err().kind(), ErrorKind::ServerOffline);
        assert_eq!(table.next_deadline(), None);
    }

    #[test]
    fn a_full_table_answers_quickly_and_rejects_further_requests() {
        let mut table = PendingTable::default();
        let count = MAX_WAITING_REQUESTS as i32;
        let pending: Vec<_> = (0..count).map(|id| waiting(&mut table, Sync { id }, 5)).collect();
        let error = table
            .add(&Sync { id: count }.into(), Slot::new(), Duration::ZERO, Duration::ZERO)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Allocation);
        // The newest first: the last in a list that is searched from its beginning.
        for id in (0..count).rev() {
            assert!(table.reply(&OscMessage::new("/synced", [id.into()])));
        }
        for (id, pending) in (0..count).zip(pending) {
            assert_eq!(pending.wait().unwrap(), id);
        }
    }
}
