//! Waiting until the sequencer has delivered everything that a client has written.

use super::ClientCore;
use crate::client::error::Outcome;
use crate::engine::Request;
use crate::raw;

/// While one of these exists, the client counts as writable only when its output pool is empty.
///
/// The sequencer has no request that waits for delivery, but each undelivered event keeps its
/// cells in the pool, and the client becomes writable when the number of free cells reaches the
/// pool's `output_room`. Setting that to the whole pool makes a wait for "writable" a wait for
/// "everything is delivered". Several waits may overlap; the last one restores the value.
pub(crate) struct EmptyPoolWait<'a> {
    core: &'a ClientCore,
}

/// The waits for an empty output pool that are going on.
#[derive(Default)]
pub(super) struct EmptyPoolWaits {
    count: u32,
    /// The `output_room` that the client had before the first of them.
    previous_room: i32,
}

impl<'a> EmptyPoolWait<'a> {
    /// `None` if the client has never written anything, so that there is nothing to wait for.
    pub(crate) fn begin(core: &'a ClientCore) -> Outcome<Option<Self>> {
        let mut waits = core.empty_pool_waits.lock();
        if waits.count == 0 {
            let pool = core.pool(core.client_id)?;
            if pool.output_room == 0 {
                return Ok(None);
            }
            set_room(core, pool.output_pool)?;
            waits.previous_room = pool.output_room;
        }
        waits.count += 1;
        Ok(Some(Self { core }))
    }
}

/// Sets `output_room`; sizes of 0 leave the pools as they are.
fn set_room(core: &ClientCore, room: i32) -> Outcome<()> {
    let client = i32::from(core.client_id);
    let mut pool = raw::ClientPool { client, output_room: room, ..raw::ClientPool::default() };
    core.ioctl(Request::SetClientPool(&mut pool), || core.subject())?;
    Ok(())
}

impl Drop for EmptyPoolWait<'_> {
    fn drop(&mut self) {
        let mut waits = self.core.empty_pool_waits.lock();
        waits.count -= 1;
        // If the client was closed meanwhile, its pool is gone. If another thread has set the
        // room meanwhile, that value stays.
        if waits.count == 0
            && let Ok(pool) = self.core.pool(self.core.client_id)
            && pool.output_room == pool.output_pool
        {
            let _ = set_room(self.core, waits.previous_room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{ClockKind, Embedded};
    use crate::{Event, SequencerClient};

    #[test]
    fn overlapping_waits_leave_the_room_as_it_was() {
        let engine = Embedded::new(ClockKind::Virtual);
        let client = SequencerClient::builder("sync").engine(engine).open().unwrap();
        let port = client.create_port("out").unwrap();
        client.event_output_direct(&Event::note_on(0, 60, 100).unwrap(), &port).unwrap();
        let room = || client.get_client_pool().unwrap().output_room;
        let before = room();
        let first = EmptyPoolWait::begin(&client.core).unwrap();
        let second = EmptyPoolWait::begin(&client.core).unwrap();
        assert_eq!(room(), 500);
        drop(first);
        assert_eq!(room(), 500, "the second still waits");
        drop(second);
        assert_eq!(room(), before);
    }

    #[test]
    fn a_wait_keeps_a_pool_size_that_was_set_meanwhile() {
        let engine = Embedded::new(ClockKind::Virtual);
        let client = SequencerClient::builder("sync").engine(engine).open().unwrap();
        let port = client.create_port("out").unwrap();
        client.event_output_direct(&Event::note_on(0, 60, 100).unwrap(), &port).unwrap();
        let wait = EmptyPoolWait::begin(&client.core).unwrap();
        client.set_client_pool_input(400).unwrap();
        drop(wait);
        assert_eq!(client.get_client_pool().unwrap().input_pool, 400);
    }
}
