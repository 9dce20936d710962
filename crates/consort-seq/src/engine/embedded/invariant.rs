//! The invariants of the embedded engine, which hold whatever requests its clients send.

use super::Embedded;
use super::queue::MAX_QUEUES;
use super::state::State;

impl Embedded {
    /// Checks the engine's counters, connections and timers against the events that it stores.
    ///
    /// # Panics
    /// If an invariant does not hold.
    #[doc(hidden)]
    pub fn check_invariants(&self) {
        self.engine.core.with(|state| check(state));
    }
}

fn check(state: &State) {
    let mut queued_cells = [0_u32; 256];
    for number in 0..MAX_QUEUES {
        if let Some(queue) = state.queues[number].as_deref() {
            queue.for_each(|stored| {
                queued_cells[stored.event.source.client as usize] += stored.cells;
            });
        }
    }
    for client in state.clients.iter().flatten() {
        let number = client.number;
        let queued = queued_cells[number as usize];
        assert_eq!(client.pool.used, queued, "output cells of client {number}");
        assert!(client.pool.used <= client.pool.total, "output pool of client {number}");
        if let Some(fifo) = client.user.as_ref().and_then(|user| user.fifo.as_ref()) {
            assert_eq!(fifo.pool.used, fifo.cells(), "input cells of client {number}");
            assert!(fifo.pool.used <= fifo.pool.total, "input pool of client {number}");
        }
        for port in client.ports.values() {
            for connection in &port.readers.list {
                let other = state.port(connection.dest).expect("the destination port exists");
                assert!(other.writers.list.contains(connection), "{connection:?} has one end");
            }
            for connection in &port.writers.list {
                let other = state.port(connection.sender).expect("the sender port exists");
                assert!(other.readers.list.contains(connection), "{connection:?} has one end");
            }
            for group in [&port.readers, &port.writers] {
                let exclusive = group.list.iter().any(|connection| connection.is_exclusive());
                assert!(!exclusive || group.list.len() == 1, "an exclusive port is shared");
            }
        }
    }
    let due = state.queues.iter().flatten().filter_map(|queue| queue.next_due()).min();
    let is_scheduled = due.is_none_or(|due| state.next_due.is_some_and(|next| next <= due));
    assert!(is_scheduled, "`next_due` is later than the next event");
}
