//! Requests that wait for their reply.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::ops::Range;
use std::time::Duration;

use consort_osc::{OscMessage, OscValue};

use crate::error::{Error, ErrorKind, Result};
use crate::queries::FailInfo;
use crate::requests::{ReplyPattern, Request};

/// One request that waits.
#[derive(Debug)]
struct Entry {
    command: String,
    pattern: ReplyPattern,
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

/// Below this number of deadlines, those that do not count any more are kept.
const MIN_COMPACTED_DEADLINES: usize = 64;

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
/// Replies and failures find their request by its address and its ids, and deadlines by their time,
/// in logarithmic time, however many wait.
#[derive(Debug, Default)]
pub(super) struct PendingTable {
    /// By number, which is the order of registration.
    entries: BTreeMap<u64, Entry>,
    /// Pairs of a key and a number, so that the numbers of a key are in order.
    index: BTreeSet<(u64, u64)>,
    /// Pairs of a deadline and a number, the earliest first. A pair counts only if its request still
    /// waits and has this deadline; the others are removed when they come first, or when there are
    /// many.
    deadlines: BinaryHeap<Reverse<(Duration, u64)>>,
    keys: Keys,
    next_number: u64,
}

impl PendingTable {
    /// Waits for the reply to `request` for `timeout`. Returns the number of the wait.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the request has no reply, [`ErrorKind::Allocation`] if
    /// too many requests wait already.
    pub(super) fn add(
        &mut self,
        request: &Request,
        timeout: Duration,
        now: Duration,
    ) -> Result<u64> {
        let pattern = request.reply().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("cannot wait for {}: the server sends no reply to it", request.address()),
            )
        })?;
        self.add_pattern(request.address().to_owned(), pattern, timeout, now)
    }

    /// Waits for a message that matches `pattern`, or for a `/fail` of `command`.
    /// Returns the number of the wait.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`] if too many requests wait already.
    pub(super) fn add_pattern(
        &mut self,
        command: String,
        pattern: ReplyPattern,
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
        let entry = Entry { command, pattern, deadline: now + timeout, timeout, ticket: 0 };
        self.index.extend(self.keys.of(&entry).map(|key| (key, number)));
        self.deadlines.push(Reverse((entry.deadline, number)));
        self.entries.insert(number, entry);
        self.compact_deadlines();
        Ok(number)
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        for key in self.keys.of(&entry) {
            self.index.remove(&(key, number));
        }
        Some(entry)
    }

    /// Removes the deadlines of requests that wait no more, if they are the majority.
    fn compact_deadlines(&mut self) {
        if self.deadlines.len() > 2 * self.entries.len() + MIN_COMPACTED_DEADLINES {
            let entries = self.entries.iter();
            self.deadlines =
                entries.map(|(number, entry)| Reverse((entry.deadline, *number))).collect();
        }
    }

    /// The numbers of a key, in order.
    fn numbers(&self, key: u64) -> impl Iterator<Item = u64> + '_ {
        self.index.range((key, 0)..=(key, u64::MAX)).map(|(_, number)| *number)
    }

    /// Marks requests as waiting in the send window, up to the packet with the number `ticket`.
    pub(super) fn hold(&mut self, waits: Range<u64>, ticket: u64) {
        if waits.is_empty() {
            return;
        }
        for (_, entry) in self.entries.range_mut(waits) {
            entry.ticket = ticket;
        }
    }

    /// The send window moved up to the packet `first_waiting`: requests that are in it, or just
    /// were, get their full time again.
    pub(super) fn renew(&mut self, first_waiting: u64, now: Duration) {
        let held = self.entries.iter_mut().filter(|(_, entry)| entry.ticket >= first_waiting);
        for (number, entry) in held {
            let deadline = entry.deadline.max(now + entry.timeout);
            if deadline != entry.deadline {
                entry.deadline = deadline;
                self.deadlines.push(Reverse((deadline, *number)));
            }
        }
        self.compact_deadlines();
    }

    /// Removes requests that are never sent.
    pub(super) fn forget(&mut self, waits: Range<u64>) {
        for number in waits {
            self.remove(number);
        }
    }

    /// The number of the first request that waits for this reply, which waits no more.
    pub(super) fn reply(&mut self, message: &OscMessage) -> Option<u64> {
        if self.entries.is_empty() {
            return None;
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
        self.remove(first?);
        first
    }

    /// The number of the request that a `/fail` is about, which waits no more, and its error.
    pub(super) fn fail(&mut self, fail: &FailInfo) -> Option<(u64, Error)> {
        if self.entries.is_empty() {
            return None;
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
        let number = found?;
        self.remove(number);
        let error = Error::new(
            ErrorKind::RequestFailed,
            format!("the server rejected {}: {}", fail.command, fail.reason),
        );
        Some((number, error))
    }

    /// Ends the requests whose deadline has passed, in the order in which they were sent.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<(u64, Error)> {
        let mut expired = Vec::new();
        while let Some(deadline) = self.next_deadline()
            && deadline <= now
            && let Some(Reverse((_, number))) = self.deadlines.pop()
        {
            expired.push(number);
        }
        expired.sort_unstable();
        let ended = expired.into_iter().filter_map(|number| Some((number, self.remove(number)?)));
        let with_error = ended.map(|(number, entry)| {
            let message = format!(
                "no reply to {} within {:?} (expected {})",
                entry.command, entry.timeout, entry.pattern.address
            );
            (number, Error::new(ErrorKind::Timeout, message))
        });
        with_error.collect()
    }

    /// The earliest deadline.
    pub(super) fn next_deadline(&mut self) -> Option<Duration> {
        while let Some(Reverse((deadline, number))) = self.deadlines.peek() {
            if self.entries.get(number).is_some_and(|entry| entry.deadline == *deadline) {
                return Some(*deadline);
            }
            self.deadlines.pop();
        }
        None
    }

    /// Ends all requests. Returns their numbers, in order.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = u64> + use<> {
        self.index.clear();
        self.deadlines.clear();
        std::mem::take(&mut self.entries).into_keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::{GetControlBusRange, QueryNodes, Sync};

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Adds a request with a deadline in seconds.
    fn add(table: &mut PendingTable, request: impl Into<Request>, deadline: u64) -> u64 {
        table.add(&request.into(), seconds(deadline), Duration::ZERO).unwrap()
    }

    fn synced(id: i32) -> OscMessage {
        OscMessage::new("/synced", [id.into()])
    }

    #[test]
    fn a_reply_ends_its_own_request_once() {
        let mut table = PendingTable::default();
        let first = add(&mut table, Sync { id: 1 }, 5);
        let second = add(&mut table, Sync { id: 2 }, 5);
        assert_eq!(table.reply(&synced(2)), Some(second));
        assert_eq!(table.reply(&synced(2)), None, "a repeated reply found a request");
        assert_eq!(table.reply(&synced(9)), None);
        assert_eq!(table.reply(&synced(1)), Some(first));
        assert_eq!(table.next_deadline(), None);
        assert!(table.entries.is_empty() && table.index.is_empty() && table.deadlines.is_empty());
    }

    #[test]
    fn a_failure_ends_the_request_that_it_names() {
        let mut table = PendingTable::default();
        let first = add(&mut table, QueryNodes { ids: vec![5] }, 5);
        let second = add(&mut table, QueryNodes { ids: vec![77] }, 5);
        let fail = FailInfo {
            command: "/n_query".into(),
            reason: "Node 77 not found".into(),
            other: vec![],
        };
        let (number, error) = table.fail(&fail).unwrap();
        assert_eq!((number, error.kind()), (second, ErrorKind::RequestFailed));
        assert!(error.to_string().contains("Node 77 not found"));
        let expired = table.expire(seconds(5));
        assert_eq!((expired.len(), expired[0].0), (1, first));
        assert_eq!(expired[0].1.kind(), ErrorKind::Timeout);
        assert!(table.fail(&fail).is_none());
    }

    #[test]
    fn a_reply_goes_to_the_oldest_request_whatever_its_pattern_and_number_type() {
        let mut table = PendingTable::default();
        let mut wait_for =
            |count: u32| add(&mut table, GetControlBusRange { start: 3, count }, 1 << 40);
        let (first, second, other) = (wait_for(2), wait_for(2), wait_for(4));
        let reply = |value: f32| {
            OscMessage::new("/c_setn", [3.0f64.into(), 2i64.into(), value.into(), 0.0f32.into()])
        };
        assert_eq!(table.reply(&reply(1.0)), Some(first));
        assert_eq!(table.reply(&reply(2.0)), Some(second));
        assert_eq!(table.reply(&reply(3.0)), None);
        assert_eq!(table.clear().collect::<Vec<_>>(), [other]);
        assert_eq!(table.next_deadline(), None);
    }

    #[test]
    fn renewed_deadlines_replace_the_old_ones() {
        let mut table = PendingTable::default();
        let held = add(&mut table, Sync { id: 1 }, 5);
        let other = add(&mut table, Sync { id: 2 }, 6);
        table.hold(held..held + 1, 1);
        table.renew(1, seconds(3));
        assert_eq!(table.next_deadline(), Some(seconds(6)));
        let numbers = |expired: Vec<(u64, Error)>| -> Vec<u64> {
            expired.into_iter().map(|(number, _)| number).collect()
        };
        assert_eq!(numbers(table.expire(seconds(7))), [other]);
        assert_eq!(table.next_deadline(), Some(seconds(8)));
        assert_eq!(numbers(table.expire(seconds(8))), [held]);
    }

    #[test]
    fn deadlines_of_answered_requests_do_not_gather() {
        let mut table = PendingTable::default();
        let last = add(&mut table, Sync { id: -1 }, 5);
        for id in 0..10_000 {
            add(&mut table, Sync { id }, 9);
            assert!(table.reply(&synced(id)).is_some());
        }
        assert!(table.deadlines.len() <= 2 * 2 + MIN_COMPACTED_DEADLINES);
        assert_eq!(table.next_deadline(), Some(seconds(5)));
        assert_eq!(table.expire(seconds(5))[0].0, last);
    }

    #[test]
    fn a_full_table_answers_quickly_and_rejects_further_requests() {
        let mut table = PendingTable::default();
        let count = MAX_WAITING_REQUESTS as i32;
        let numbers: Vec<u64> =
            (0..count).map(|id| add(&mut table, Sync { id }, id as u64 % 7)).collect();
        let error =
            table.add(&Sync { id: count }.into(), Duration::ZERO, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Allocation);
        // The newest first: the last in a list that is searched from its beginning.
        for id in (count / 2..count).rev() {
            assert_eq!(table.reply(&synced(id)), Some(numbers[id as usize]));
        }
        let expired = table.expire(seconds(7));
        assert!(expired.iter().map(|(number, _)| number).eq(&numbers[..count as usize / 2]));
    }
}
