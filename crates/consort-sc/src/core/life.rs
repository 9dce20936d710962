//! The futures of a server's life: whether its last start succeeded, and how its last connection
//! ended.
//!
//! A life begins when a start is accepted and ends when the connection is offline again. A start
//! that is rejected, because the server is online for example, does not touch the life that runs.

use std::sync::Arc;

use super::{Action, Core};
use crate::error::{Error, ErrorKind};
use crate::lifecycle::LifecycleEvent;
use crate::pending::Slot;

/// The slots of futures that wait for the same result.
pub(crate) type Waiters = Vec<Arc<Slot<bool>>>;

/// What is known of the current life, and who waits for the rest.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// Whether the start succeeded, once it has finished.
    started: Option<bool>,
    /// Whether the connection was closed in good order, once it has ended.
    ended: Option<bool>,
    /// The server or the connection was lost, or the start failed.
    was_lost: bool,
    start_waiters: Waiters,
    end_waiters: Waiters,
    /// Results that are given to their waiters after the events that led to them.
    resolved: Vec<(Waiters, bool)>,
}

impl Life {
    /// A start was accepted.
    pub(super) fn begin(&mut self) {
        self.started = None;
        self.ended = None;
        self.was_lost = false;
    }

    /// Notes the events that end a life in disorder.
    pub(super) fn note(&mut self, event: LifecycleEvent) {
        if matches!(event, LifecycleEvent::OscPanicked | LifecycleEvent::ProcessPanicked) {
            self.was_lost = true;
        }
    }

    /// The start failed without such an event.
    pub(super) fn note_failure(&mut self) {
        self.was_lost = true;
    }

    /// The start succeeded.
    pub(super) fn started(&mut self) {
        self.finish_start(true);
    }

    fn finish_start(&mut self, success: bool) {
        let success = *self.started.get_or_insert(success);
        let waiters = std::mem::take(&mut self.start_waiters);
        if !waiters.is_empty() {
            self.resolved.push((waiters, success));
        }
    }

    /// The connection is offline.
    pub(super) fn ended(&mut self) {
        self.finish_start(false);
        let in_order = *self.ended.get_or_insert(!self.was_lost);
        let waiters = std::mem::take(&mut self.end_waiters);
        if !waiters.is_empty() {
            self.resolved.push((waiters, in_order));
        }
    }

    /// Results whose waiters have not got them yet.
    pub(super) fn next_resolved(&mut self) -> Option<Action> {
        if self.resolved.is_empty() {
            return None;
        }
        let (waiters, result) = self.resolved.remove(0);
        Some(Action::Resolve(waiters, result))
    }
}

/// A slot with the result, or one that waits for it.
fn slot(result: Option<bool>, waiters: &mut Waiters) -> Arc<Slot<bool>> {
    let slot = Slot::new();
    match result {
        Some(result) => slot.fill(Ok(result)),
        None => {
            // Futures that were dropped are forgotten.
            waiters.retain(|waiter| Arc::strong_count(waiter) > 1);
            waiters.push(slot.clone());
        }
    }
    slot
}

impl Core {
    /// A slot for the result of the start.
    pub(crate) fn start_slot(&mut self) -> Arc<Slot<bool>> {
        slot(self.life.started, &mut self.life.start_waiters)
    }

    /// A slot for the end of the connection.
    pub(crate) fn end_slot(&mut self) -> Arc<Slot<bool>> {
        slot(self.life.ended, &mut self.life.end_waiters)
    }

    /// The driver ends, in whatever phase: everybody who still waits gets a result.
    pub(crate) fn abandon(&mut self) {
        let error = Error::new(ErrorKind::ServerOffline, "the server object was dropped");
        self.fail_start(error.clone());
        if let Some(outcome) = self.start_outcome.take() {
            outcome.fill(Err(error.clone()));
        }
        if let Some(outcome) = self.end_outcome.take() {
            outcome.fill(Err(error.clone()));
        }
        self.pending.clear(&error);
        self.clear_probes(&error);
        self.life.note_failure();
        self.life.ended();
        while let Some(action) = self.next_action() {
            match action {
                Action::Complete(outcome, result) => outcome.fill(result),
                Action::Resolve(waiters, result) => {
                    waiters.iter().for_each(|waiter| waiter.fill(Ok(result)));
                }
                _ => {}
            }
        }
    }
}
