//! Who waits for what the connection reports: the slots of requests, of commands and of the server's
//! life, by the ids that the connection gave them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use consort_osc::OscMessage;
use parking_lot::Mutex;

use crate::error::{Error, ErrorKind, Result};
use crate::pending::Slot;
use crate::proto::{CommandId, RequestId};

/// Slots by the id of what they wait for.
#[derive(Debug)]
pub(super) struct Slots<I, T>(Mutex<HashMap<I, Arc<Slot<T>>>>);

impl<I, T> Default for Slots<I, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<I: Eq + Hash, T> Slots<I, T> {
    /// Lets a slot wait. The connection is locked meanwhile, so that the result cannot come first.
    pub(super) fn add(&self, id: I, slot: &Arc<Slot<T>>) {
        self.0.lock().insert(id, slot.clone());
    }

    /// Removes slots whose requests are never sent.
    pub(super) fn remove(&self, ids: impl IntoIterator<Item = I>) {
        let mut slots = self.0.lock();
        ids.into_iter().for_each(|id| drop(slots.remove(&id)));
    }

    /// Gives a slot its result.
    pub(super) fn fill(&self, id: I, result: Result<T>) {
        let slot = self.0.lock().remove(&id);
        if let Some(slot) = slot {
            slot.fill(result);
        }
    }

    /// Gives all slots an error.
    fn clear(&self, error: &Error) {
        let slots = std::mem::take(&mut *self.0.lock());
        slots.into_values().for_each(|slot| slot.fill(Err(error.clone())));
    }
}

/// Slots that wait for a result of a life of the server, by the number of the life.
#[derive(Debug, Default)]
pub(super) struct LifeSlots(Mutex<Vec<(u64, Arc<Slot<bool>>)>>);

impl LifeSlots {
    /// A slot with the result, or one that waits for it. The connection is locked meanwhile.
    pub(super) fn slot(&self, (life, result): (u64, Option<bool>)) -> Arc<Slot<bool>> {
        let slot = Slot::new();
        match result {
            Some(result) => slot.fill(Ok(result)),
            None => {
                let mut slots = self.0.lock();
                // Futures that were dropped are forgotten.
                slots.retain(|(_, slot)| Arc::strong_count(slot) > 1);
                slots.push((life, slot.clone()));
            }
        }
        slot
    }

    /// Gives the slots of this life and of those before it the result.
    pub(super) fn fill(&self, life: u64, result: bool) {
        let done: Vec<_> = self.0.lock().extract_if(.., |(number, _)| *number <= life).collect();
        done.iter().for_each(|(_, slot)| slot.fill(Ok(result)));
    }
}

/// All slots of a server.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    pub(super) replies: Slots<RequestId, OscMessage>,
    pub(super) commands: Slots<CommandId, ()>,
    pub(super) probes: Slots<CommandId, Vec<bool>>,
    pub(super) starts: LifeSlots,
    pub(super) ends: LifeSlots,
}

impl Waiters {
    /// The driver ends: everybody who still waits gets a result.
    pub(super) fn abandon(&self) {
        let error = Error::new(ErrorKind::ServerOffline, "the server object was dropped");
        self.replies.clear(&error);
        self.commands.clear(&error);
        self.probes.clear(&error);
        self.starts.fill(u64::MAX, false);
        self.ends.fill(u64::MAX, false);
    }
}
