//! Allocation of ids: those of nodes count up, those of buses and buffers come in blocks.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};

/// The highest client id whose node ids fit into 31 bits.
pub(crate) const MAX_CLIENT_ID: u32 = 31;
/// The bits of a node id below the client id.
const NODE_ID_MASK: u32 = 0x03FF_FFFF;
/// The highest permanent id, without the client id. Temporary ids are above it.
const MAX_PERMANENT_ID: u32 = 999;

/// Allocates the node ids of one client.
///
/// | bits | content |
/// |---|---|
/// | 26 to 30 | the client id |
/// | 0 to 25 | 1 to 999 for permanent ids, 1000 and above for temporary ids |
///
/// Temporary ids count up and wrap around, so that they need not be freed. Permanent ids are for
/// nodes with a long lifetime; they are freed and allocated again, the lowest first.
#[derive(Clone, Debug)]
pub struct NodeIdAllocator {
    client_id: u32,
    initial: u32,
    next: u32,
    /// The lowest permanent id that was never allocated.
    next_permanent: u32,
    /// Permanent ids below `next_permanent` that are free.
    freed_permanent: BTreeSet<u32>,
}

impl NodeIdAllocator {
    /// An allocator for `client_id` (0 to 31) that starts at `initial_id` (at least 1000).
    pub fn new(client_id: u32, initial_id: u32) -> Self {
        Self {
            client_id: client_id.min(MAX_CLIENT_ID),
            initial: initial_id,
            next: initial_id,
            next_permanent: 1,
            freed_permanent: BTreeSet::new(),
        }
    }

    /// Adds the client id to the lower bits of a node id.
    fn with_client_id(&self, id: u32) -> i32 {
        (self.client_id << 26 | id) as i32
    }

    /// The next temporary id. After 2^26 ids they start again at the initial id.
    pub fn allocate(&mut self) -> i32 {
        let id = self.next;
        self.next = if id >= NODE_ID_MASK { self.initial } else { id + 1 };
        self.with_client_id(id)
    }

    /// The lowest free permanent id, from 1 to 999.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`] if all are in use.
    pub fn allocate_permanent(&mut self) -> Result<i32> {
        if let Some(id) = self.freed_permanent.pop_first() {
            return Ok(self.with_client_id(id));
        }
        if self.next_permanent > MAX_PERMANENT_ID {
            return Err(Error::new(
                ErrorKind::Allocation,
                "all 999 permanent node ids of this client are in use; free a permanent node",
            ));
        }
        let id = self.next_permanent;
        self.next_permanent += 1;
        Ok(self.with_client_id(id))
    }

    /// Marks a permanent id of this client as in use, because the server has a node with it that
    /// this allocator did not allocate. Other ids are ignored.
    pub fn reserve_permanent(&mut self, id: i32) {
        let Some(id) = self.own_permanent(id) else { return };
        while self.next_permanent <= id {
            self.freed_permanent.insert(self.next_permanent);
            self.next_permanent += 1;
        }
        self.freed_permanent.remove(&id);
    }

    /// Continues the temporary ids after `id`, if it is one of this client's. The server may have
    /// nodes that this client created before it lost the connection.
    pub fn skip_past(&mut self, id: i32) {
        if self.is_own(id)
            && let id = id as u32 & NODE_ID_MASK
            && id > MAX_PERMANENT_ID
            && id >= self.next
        {
            self.next = if id == NODE_ID_MASK { self.initial } else { id + 1 };
        }
    }

    /// The lower bits of a permanent id of this client.
    fn own_permanent(&self, id: i32) -> Option<u32> {
        let id = u32::try_from(id).ok()?;
        (id >> 26 == self.client_id && (1..=MAX_PERMANENT_ID).contains(&(id & NODE_ID_MASK)))
            .then_some(id & NODE_ID_MASK)
    }

    /// Frees a permanent id. Ids of other clients and temporary ids are ignored.
    pub fn free(&mut self, id: i32) {
        if let Some(id) = self.own_permanent(id)
            && id < self.next_permanent
        {
            self.freed_permanent.insert(id);
        }
    }

    /// The permanent ids and the temporary ids of this client, each as the first and the number.
    pub fn ranges(&self) -> ((u32, u32), (u32, u32)) {
        let first = self.client_id << 26;
        ((first + 1, MAX_PERMANENT_ID), (first + self.initial, NODE_ID_MASK - self.initial + 1))
    }

    /// Whether `id` is a node id of this client.
    pub fn is_own(&self, id: i32) -> bool {
        u32::try_from(id).is_ok_and(|id| id >> 26 == self.client_id)
    }
}

/// Allocates blocks of consecutive ids from a range.
///
/// A block comes from the first gap that is large enough. Adjacent gaps are merged. Each id
/// of a block can be freed on its own.
#[derive(Clone, Debug)]
pub struct BlockAllocator {
    noun: &'static str,
    first: u32,
    count: u32,
    /// The free gaps: their first ids with their lengths.
    gaps: BTreeMap<u32, u32>,
}

impl BlockAllocator {
    /// An allocator of the ids `first` to `first + count - 1`. `noun` names them in errors, in the
    /// plural.
    pub fn new(noun: &'static str, first: u32, count: u32) -> Self {
        let mut gaps = BTreeMap::new();
        if count > 0 {
            gaps.insert(first, count);
        }
        Self { noun, first, count, gaps }
    }

    /// Allocates `count` consecutive ids and returns the first.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`] if no gap is large enough, [`ErrorKind::InvalidArgument`] if
    /// `count` is 0.
    pub fn allocate(&mut self, count: u32) -> Result<u32> {
        if count == 0 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("cannot allocate 0 {}; the count has to be at least 1", self.noun),
            ));
        }
        let gap = self.gaps.iter().find(|(_, length)| **length >= count);
        let Some((&start, &length)) = gap else {
            return Err(Error::new(
                ErrorKind::Allocation,
                format!(
                    "cannot allocate {count} consecutive {}: this client has {}, {} free and at most \
                     {} in a row; free some or raise the server's option",
                    self.noun,
                    self.count,
                    self.gaps.values().sum::<u32>(),
                    self.gaps.values().max().copied().unwrap_or(0),
                ),
            ));
        };
        self.gaps.remove(&start);
        if length > count {
            self.gaps.insert(start + count, length - count);
        }
        Ok(start)
    }

    /// Frees `count` ids from `start` on. Ids that are free already or out of range are ignored.
    pub fn free(&mut self, start: u32, count: u32) {
        for id in start..start.saturating_add(count) {
            self.free_one(id);
        }
    }

    /// Frees one id and merges it with the gaps on either side.
    fn free_one(&mut self, id: u32) {
        if id < self.first || id - self.first >= self.count || !self.is_allocated(id) {
            return;
        }
        let mut start = id;
        let mut length = 1;
        if let Some((&before, &before_length)) = self.gaps.range(..id).next_back()
            && before + before_length == id
        {
            start = before;
            length += before_length;
        }
        if let Some(&after_length) = self.gaps.get(&(id + 1)) {
            self.gaps.remove(&(id + 1));
            length += after_length;
        }
        self.gaps.insert(start, length);
    }

    /// Whether `id` is allocated.
    pub fn is_allocated(&self, id: u32) -> bool {
        let gap = self.gaps.range(..=id).next_back();
        let is_free = gap.is_some_and(|(start, length)| id - start < *length);
        id >= self.first && id - self.first < self.count && !is_free
    }

    /// The first id and the number of ids of the range.
    pub fn range(&self) -> (u32, u32) {
        (self.first, self.count)
    }

    /// All allocated ids, in order.
    pub fn allocated(&self) -> Vec<u32> {
        (self.first..self.first + self.count).filter(|id| self.is_allocated(*id)).collect()
    }
}

/// The first id and the number of ids that belong to `client_id`, where `logins` clients share
/// `total` ids from `first` on.
pub(crate) fn partition(first: u32, total: u32, client_id: u32, logins: u32) -> (u32, u32) {
    let share = total / logins.max(1);
    (first + share * client_id, share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn node_ids_contain_the_client_id_and_the_lowest_permanent_id_is_reused_first() {
        let mut ids = NodeIdAllocator::new(2, 1000);
        assert_eq!(ids.allocate(), (2 << 26) + 1000);
        assert_eq!(ids.allocate(), (2 << 26) + 1001);
        let permanent: Vec<i32> = (0..3).map(|_| ids.allocate_permanent().unwrap()).collect();
        assert_eq!(permanent, [(2 << 26) + 1, (2 << 26) + 2, (2 << 26) + 3]);
        ids.free(permanent[2]);
        ids.free(permanent[0]);
        ids.free(1); // An id of another client.
        assert_eq!(ids.allocate_permanent().unwrap(), permanent[0]);
        assert_eq!(ids.allocate_permanent().unwrap(), permanent[2]);
        assert_eq!(ids.allocate_permanent().unwrap(), (2 << 26) + 4);
    }

    #[test]
    fn exhausted_permanent_ids_are_an_error() {
        let mut ids = NodeIdAllocator::new(0, 1000);
        ids.reserve_permanent(5);
        let allocated: BTreeSet<i32> =
            (0..998).map(|_| ids.allocate_permanent().unwrap()).collect();
        assert!(!allocated.contains(&5));
        let error = ids.allocate_permanent().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Allocation);
        assert!(error.to_string().contains("999"));
    }

    #[test]
    fn node_ids_wrap_around() {
        let mut ids = NodeIdAllocator::new(0, 1000);
        ids.next = NODE_ID_MASK;
        assert_eq!(ids.allocate(), NODE_ID_MASK as i32);
        assert_eq!(ids.allocate(), 1000);
    }

    #[test]
    fn node_ids_continue_after_those_in_use() {
        let mut ids = NodeIdAllocator::new(1, 1000);
        for (passed, next) in [(5, 1000), (2000, 1001), ((1 << 26) + 4, 1002)] {
            ids.skip_past(passed);
            assert_eq!(ids.allocate(), (1 << 26) + next);
        }
        ids.skip_past((1 << 26) + 2000);
        ids.skip_past((1 << 26) + 1500);
        assert_eq!(ids.allocate(), (1 << 26) + 2001);
        ids.skip_past((2 << 26) - 1);
        assert_eq!(ids.allocate(), (1 << 26) + 1000);
    }

    #[test]
    fn an_id_of_a_block_can_be_freed_on_its_own() {
        let mut buffers = BlockAllocator::new("buffers", 0, 8);
        assert_eq!(buffers.allocate(4).unwrap(), 0);
        buffers.free(0, 1);
        // Only buffer 0 is free: a block of two must not overlap buffers 1 to 3.
        assert_eq!(buffers.allocate(2).unwrap(), 4);
        assert_eq!(buffers.allocate(1).unwrap(), 0);
        let error = buffers.allocate(3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Allocation);
        assert!(error.to_string().contains("at most 2 in a row"), "{error}");
    }

    proptest! {
        #[test]
        fn blocks_never_overlap_and_all_ids_can_be_freed(
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
                let count: u32 = blocks.iter().map(|(_, count)| count).sum();
                prop_assert_eq!(allocator.allocated().len() as u32, count);
            }
            for (start, count) in blocks {
                allocator.free(start, count);
            }
            prop_assert_eq!(allocator.allocate(40).unwrap(), 10);
        }
    }
}
