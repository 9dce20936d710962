//! Ids: of nodes, which count up, and of buses and buffers, which come in blocks.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};

/// Highest client id whose node ids fit into 31 bits.
pub(crate) const MAXIMUM_CLIENT_ID: u32 = 31;
const NODE_ID_MASK: u32 = 0x03FF_FFFF;

/// Node ids of one client: 26 bits that count up, and the client's id above them.
#[derive(Clone, Debug)]
pub struct NodeIdAllocator {
    client: u32,
    initial: u32,
    next: u32,
    next_permanent: u32,
    freed_permanent: BTreeSet<u32>,
}

impl NodeIdAllocator {
    /// An allocator for `client_id` (0 to 31) that starts at `initial_id` (at least 1000).
    pub fn new(client_id: u32, initial_id: u32) -> Self {
        Self {
            client: client_id.min(MAXIMUM_CLIENT_ID),
            initial: initial_id,
            next: initial_id,
            next_permanent: 1,
            freed_permanent: BTreeSet::new(),
        }
    }

    fn full(&self, id: u32) -> i32 {
        (self.client << 26 | id) as i32
    }

    /// The next id; after 2^26 of them they start again.
    pub fn allocate(&mut self) -> i32 {
        let id = self.next;
        self.next = if id >= NODE_ID_MASK { self.initial } else { id + 1 };
        self.full(id)
    }

    /// An id of 1 to 999, the lowest that is free.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`] if all are taken.
    pub fn allocate_permanent(&mut self) -> Result<i32> {
        if let Some(id) = self.freed_permanent.pop_first() {
            return Ok(self.full(id));
        }
        if self.next_permanent > 999 {
            return Err(Error::new(
                ErrorKind::Allocation,
                "all 999 permanent node ids of this client are in use; free a permanent node",
            ));
        }
        let id = self.next_permanent;
        self.next_permanent += 1;
        Ok(self.full(id))
    }

    /// Marks a permanent id of this client as taken by somebody else's doing.
    pub fn reserve_permanent(&mut self, id: i32) {
        let Some(id) = self.own_permanent(id) else { return };
        while self.next_permanent <= id {
            self.freed_permanent.insert(self.next_permanent);
            self.next_permanent += 1;
        }
        self.freed_permanent.remove(&id);
    }

    /// Goes on behind an id of this client that is in use already: of nodes that it made before it
    /// lost sight of the server.
    pub fn pass(&mut self, id: i32) {
        if self.is_own(id)
            && let id @ 1000.. = id as u32 & NODE_ID_MASK
            && id >= self.next
        {
            self.next = if id == NODE_ID_MASK { self.initial } else { id + 1 };
        }
    }

    fn own_permanent(&self, id: i32) -> Option<u32> {
        let id = u32::try_from(id).ok()?;
        (id >> 26 == self.client && (1..1000).contains(&(id & NODE_ID_MASK)))
            .then_some(id & NODE_ID_MASK)
    }

    /// Gives a permanent id back; ids of other clients and passing ids are left alone.
    pub fn free(&mut self, id: i32) {
        if let Some(id) = self.own_permanent(id)
            && id < self.next_permanent
        {
            self.freed_permanent.insert(id);
        }
    }

    /// Whether `id` is one of this client's.
    pub fn is_own(&self, id: i32) -> bool {
        u32::try_from(id).is_ok_and(|id| id >> 26 == self.client)
    }
}

/// A range of ids given out in blocks: the first hole that fits, holes grow together when
/// their neighbours are freed. Every id of a block can be freed by itself.
#[derive(Clone, Debug)]
pub struct BlockAllocator {
    what: &'static str,
    first: u32,
    count: u32,
    /// Start and length of every hole.
    free: BTreeMap<u32, u32>,
}

impl BlockAllocator {
    /// Ids `first` to `first + count - 1`; `what` names them in errors.
    pub fn new(what: &'static str, first: u32, count: u32) -> Self {
        let mut free = BTreeMap::new();
        if count > 0 {
            free.insert(first, count);
        }
        Self { what, first, count, free }
    }

    /// The first id of `count` neighbours.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`] if there is no such hole.
    pub fn allocate(&mut self, count: u32) -> Result<u32> {
        if count == 0 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("0 {} were asked for; at least 1 is needed", self.what),
            ));
        }
        let hole = self.free.iter().find(|(_, length)| **length >= count);
        let Some((&start, &length)) = hole else {
            return Err(Error::new(
                ErrorKind::Allocation,
                format!(
                    "no {count} neighbouring {} are free: this client has {} of them ({} free, \
                     at most {} side by side); free some or raise the server's option",
                    self.what,
                    self.count,
                    self.free.values().sum::<u32>(),
                    self.free.values().max().copied().unwrap_or(0),
                ),
            ));
        };
        self.free.remove(&start);
        if length > count {
            self.free.insert(start + count, length - count);
        }
        Ok(start)
    }

    /// Frees `count` ids from `start`; what is free already or out of range is ignored.
    pub fn free(&mut self, start: u32, count: u32) {
        for id in start..start.saturating_add(count) {
            self.free_one(id);
        }
    }

    fn free_one(&mut self, id: u32) {
        if id < self.first || id - self.first >= self.count || !self.is_allocated(id) {
            return;
        }
        let mut start = id;
        let mut length = 1;
        if let Some((&before, &before_length)) = self.free.range(..id).next_back()
            && before + before_length == id
        {
            start = before;
            length += before_length;
        }
        if let Some(&after_length) = self.free.get(&(id + 1)) {
            self.free.remove(&(id + 1));
            length += after_length;
        }
        self.free.insert(start, length);
    }

    /// Whether `id` is given out.
    pub fn is_allocated(&self, id: u32) -> bool {
        let hole = self.free.range(..=id).next_back();
        let is_free = hole.is_some_and(|(start, length)| id - start < *length);
        id >= self.first && id - self.first < self.count && !is_free
    }

    /// First id and count of the range.
    pub fn range(&self) -> (u32, u32) {
        (self.first, self.count)
    }

    /// Every id that is given out, in order.
    pub fn allocated(&self) -> Vec<u32> {
        (self.first..self.first + self.count).filter(|id| self.is_allocated(*id)).collect()
    }
}

/// The part of `total` ids from `first` on that belongs to `client_id` of `logins`.
pub(crate) fn partition(first: u32, total: u32, client_id: u32, logins: u32) -> (u32, u32) {
    let share = total / logins.max(1);
    (first + share * client_id, share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn node_ids_carry_the_client_and_permanent_ids_come_back_lowest_first() {
        let mut ids = NodeIdAllocator::new(2, 1000);
        assert_eq!(ids.allocate(), (2 << 26) + 1000);
        assert_eq!(ids.allocate(), (2 << 26) + 1001);
        let permanent: Vec<i32> = (0..3).map(|_| ids.allocate_permanent().unwrap()).collect();
        assert_eq!(permanent, [(2 << 26) + 1, (2 << 26) + 2, (2 << 26) + 3]);
        ids.free(permanent[2]);
        ids.free(permanent[0]);
        ids.free(1); // another client's
        assert_eq!(ids.allocate_permanent().unwrap(), permanent[0]);
        assert_eq!(ids.allocate_permanent().unwrap(), permanent[2]);
        assert_eq!(ids.allocate_permanent().unwrap(), (2 << 26) + 4);
    }

    #[test]
    fn permanent_ids_run_out_with_a_message() {
        let mut ids = NodeIdAllocator::new(0, 1000);
        ids.reserve_permanent(5);
        let given: BTreeSet<i32> = (0..998).map(|_| ids.allocate_permanent().unwrap()).collect();
        assert!(!given.contains(&5));
        let error = ids.allocate_permanent().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Allocation);
        assert!(error.to_string().contains("999"));
    }

    #[test]
    fn node_ids_start_again_at_the_end() {
        let mut ids = NodeIdAllocator::new(0, 1000);
        ids.next = NODE_ID_MASK;
        assert_eq!(ids.allocate(), NODE_ID_MASK as i32);
        assert_eq!(ids.allocate(), 1000);
    }

    #[test]
    fn node_ids_go_on_behind_those_in_use() {
        let mut ids = NodeIdAllocator::new(1, 1000);
        for (passed, next) in [(5, 1000), (2000, 1001), ((1 << 26) + 4, 1002)] {
            ids.pass(passed);
            assert_eq!(ids.allocate(), (1 << 26) + next);
        }
        ids.pass((1 << 26) + 2000);
        ids.pass((1 << 26) + 1500);
        assert_eq!(ids.allocate(), (1 << 26) + 2001);
        ids.pass((2 << 26) - 1);
        assert_eq!(ids.allocate(), (1 << 26) + 1000);
    }

    #[test]
    fn one_id_of_a_block_is_freed_alone() {
        let mut buffers = BlockAllocator::new("buffers", 0, 8);
        assert_eq!(buffers.allocate(4).unwrap(), 0);
        buffers.free(0, 1);
        // Only the first is free: a block of two must not overlap buffers 1 to 3.
        assert_eq!(buffers.allocate(2).unwrap(), 4);
        assert_eq!(buffers.allocate(1).unwrap(), 0);
        let error = buffers.allocate(3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Allocation);
        assert!(error.to_string().contains("at most 2 side by side"), "{error}");
    }

    proptest! {
        #[test]
        fn blocks_never_overlap_and_everything_comes_back(
            steps in proptest::collection::vec((1u32..6, any::<bool>(), any::<usize>()), 1..120)
        ) {
            let mut allocator = BlockAllocator::new("buses", 10, 40);
            let mut blocks: Vec<(u32, u32)> = Vec::new();
            for (count, allocate, pick) in steps {
                if allocate {
                    if let Ok(start) = allocator.allocate(count) {
                        for (other, length) in &blocks {
                            prop_assert!(start + count <= *other || other + length <= start);
                        }
                        prop_assert!(start >= 10 && start + count <= 50);
                        blocks.push((start, count));
                    }
                } else if !blocks.is_empty() {
                    let (start, count) = blocks.swap_remove(pick % blocks.len());
                    allocator.free(start, count);
                }
                let held: u32 = blocks.iter().map(|(_, count)| count).sum();
                prop_assert_eq!(allocator.allocated().len() as u32, held);
            }
            for (start, count) in blocks {
                allocator.free(start, count);
            }
            prop_assert_eq!(allocator.allocate(40).unwrap(), 10);
        }
    }
}
