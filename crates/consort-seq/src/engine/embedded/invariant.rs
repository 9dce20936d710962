//! What must hold whatever a program does.

use super::Embedded;
use super::queue::QUEUE_LIMIT;
use super::state::State;

impl Embedded {
    /// Checks the engine's books against what it really holds.
    ///
    /// # Panics
    /// If they differ.
    #[doc(hidden)]
    pub fn check_invariants(&self) {
        self.engine.core.with(|state| check(state));
    }
}

fn check(state: &State) {
    let mut held = [0_u32; 256];
    for number in 0..QUEUE_LIMIT {
        if let Some(queue) = state.queues[number].as_deref() {
            queue.for_each(|stored| held[stored.event.source.client as usize] += stored.cells);
        }
    }
    for client in state.clients.iter().flatten() {
        let number = client.number;
        assert_eq!(client.pool.used, held[number as usize], "output cells of client {number}");
        assert!(client.pool.used <= client.pool.total, "output pool of client {number}");
        if let Some(fifo) = client.user.as_ref().and_then(|user| user.fifo.as_ref()) {
            assert_eq!(fifo.pool.used, fifo.cells(), "input cells of client {number}");
            assert!(fifo.pool.used <= fifo.pool.total, "input pool of client {number}");
        }
        for port in client.ports.values() {
            for connection in &port.readers.list {
                let other = state.port(connection.dest).expect("a connection leads somewhere");
                assert!(other.writers.list.contains(connection), "{connection:?} has one end");
            }
            for connection in &port.writers.list {
                let other =
                    state.port(connection.sender).expect("a connection comes from somewhere");
                assert!(other.readers.list.contains(connection), "{connection:?} has one end");
            }
            for group in [&port.readers, &port.writers] {
                let exclusive = group.list.iter().any(|connection| connection.is_exclusive());
                assert!(!exclusive || group.list.len() == 1, "shared though exclusive");
            }
        }
    }
    let due = state.queues.iter().flatten().filter_map(|queue| queue.next_due()).min();
    let known = due.is_none_or(|due| state.next_due.is_some_and(|next| next <= due));
    assert!(known, "something due is not known to be");
}
