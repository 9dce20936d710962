//! Which queues a client uses, so that all its handles of one queue share one use.

use std::collections::HashMap;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::client::core::ClientCore;
use crate::client::error::Outcome;

/// The queues that a client uses now, by number.
///
/// The lock is held while a queue is taken into use or released at the sequencer. Otherwise a
/// handle that is made while the last one of the same queue is being dropped could lose its use.
#[derive(Default)]
pub(crate) struct QueueRegistry {
    uses: Mutex<HashMap<u8, Weak<QueueUse>>>,
}

/// A client's use of one queue, which all handles of that queue share. It ends with the last
/// handle, or earlier by [`release`](Self::release).
pub(super) struct QueueUse {
    pub(super) core: Arc<ClientCore>,
    registry: Arc<QueueRegistry>,
    pub(super) queue: u8,
    /// Whether this client owns the queue and deletes it at the end, instead of only ending its
    /// use of another client's queue.
    pub(super) owned: bool,
    closed: AtomicBool,
}

impl QueueRegistry {
    /// The use of a queue that this client has created.
    pub(super) fn created(self: &Arc<Self>, core: &Arc<ClientCore>, queue: u8) -> Arc<QueueUse> {
        self.insert(&mut self.uses.lock(), core, queue, true)
    }

    /// The use of a queue by its number: the present one, or else a new one, for which the queue
    /// is marked as used by this client.
    pub(super) fn obtain(
        self: &Arc<Self>,
        core: &Arc<ClientCore>,
        queue: u8,
    ) -> Outcome<Arc<QueueUse>> {
        core.connection()?;
        let mut uses = self.uses.lock();
        if let Some(present) = uses.get(&queue).and_then(Weak::upgrade)
            && !present.is_closed()
        {
            return Ok(present);
        }
        core.queue_info(queue)?;
        core.set_queue_usage(queue, true)?;
        Ok(self.insert(&mut uses, core, queue, false))
    }

    fn insert(
        self: &Arc<Self>,
        uses: &mut HashMap<u8, Weak<QueueUse>>,
        core: &Arc<ClientCore>,
        queue: u8,
        owned: bool,
    ) -> Arc<QueueUse> {
        let queue_use = Arc::new(QueueUse {
            core: Arc::clone(core),
            registry: Arc::clone(self),
            queue,
            owned,
            closed: AtomicBool::new(false),
        });
        uses.insert(queue, Arc::downgrade(&queue_use));
        queue_use
    }
}

impl QueueUse {
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Ends the use; the second time it does nothing.
    pub(super) fn release(&self) -> Outcome<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let mut uses = self.registry.uses.lock();
        match uses.get(&self.queue) {
            Some(present) if ptr::eq(present.as_ptr(), self) => {
                uses.remove(&self.queue);
            }
            // A new use has begun while this one was ending. The sequencer counts one use per
            // client, and that now belongs to the new one.
            Some(present) if !self.owned && present.strong_count() > 0 => return Ok(()),
            _ => {}
        }
        if self.owned {
            self.core.delete_queue(self.queue)
        } else {
            self.core.set_queue_usage(self.queue, false)
        }
    }
}

impl Drop for QueueUse {
    fn drop(&mut self) {
        // This fails if the client is closed, but then its queues are gone, too.
        let _ = self.release();
    }
}
