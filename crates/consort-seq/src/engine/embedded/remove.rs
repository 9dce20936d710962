//! Requests about pools, and the removal of events.

use super::pool::MAX_POOL_CELLS;
use super::queue::MAX_QUEUES;
use super::state::State;
use crate::engine::Errno;
use crate::event::EventType;
use crate::raw::{ClientPool, Event, RemoveEvents, event_type, remove};

/// Whether an event of the client matches the condition.
fn matches(condition: &RemoveEvents, event: &Event) -> bool {
    let has = |bit: u32| condition.mode & bit != 0;
    let is_at_or_after = || {
        if has(remove::TIME_TICK) {
            event.time.tick() >= condition.time.tick()
        } else {
            event.time.real() >= condition.time.real()
        }
    };
    if has(remove::DEST) && event.dest != condition.dest {
        return false;
    }
    if has(remove::DEST_CHANNEL)
        && !(EventType(event.kind).has_channel() && event.data.note().channel == condition.channel)
    {
        return false;
    }
    if has(remove::TIME_AFTER) && !is_at_or_after() {
        return false;
    }
    if has(remove::TIME_BEFORE) && is_at_or_after() {
        return false;
    }
    if has(remove::EVENT_TYPE) && i32::from(event.kind) != condition.kind {
        return false;
    }
    if has(remove::IGNORE_OFF) && event.kind == event_type::NOTE_OFF {
        return false;
    }
    !has(remove::TAG_MATCH) || event.tag == condition.tag
}

impl State {
    pub(super) fn remove_events(
        &mut self,
        client: u8,
        condition: &RemoveEvents,
    ) -> Result<(), Errno> {
        if condition.mode & remove::INPUT != 0 {
            if let Some(fifo) = self.own(client)?.user.as_mut().and_then(|user| user.fifo.as_mut())
            {
                fifo.clear();
            }
            self.touch(client);
        }
        if condition.mode & remove::OUTPUT != 0 {
            for number in 0..MAX_QUEUES {
                let queue = self.queues[number].as_deref();
                let is_used = queue.is_some_and(|queue| queue.is_used_by(client));
                let is_excluded =
                    condition.mode & remove::DEST != 0 && number != condition.queue as usize;
                if !is_used || is_excluded {
                    continue;
                }
                self.remove_from_queue(number, |event| {
                    event.source.client == client && matches(condition, event)
                });
            }
            self.find_next_due();
        }
        Ok(())
    }

    pub(super) fn get_client_pool(&self, pool: &mut ClientPool) -> Result<(), Errno> {
        let number = u8::try_from(pool.client).map_err(|_| Errno::NOT_FOUND)?;
        let client = self.client(number).ok_or(Errno::NOT_FOUND)?;
        let input = client.user.as_ref().and_then(|user| user.fifo.as_ref());
        *pool = ClientPool {
            client: i32::from(number),
            output_pool: client.pool.size as i32,
            output_room: client.pool.room as i32,
            output_free: client.pool.free_cells() as i32,
            input_pool: input.map_or(0, |fifo| fifo.pool.size as i32),
            input_free: input.map_or(0, |fifo| fifo.pool.free_cells() as i32),
            ..ClientPool::default()
        };
        Ok(())
    }

    pub(super) fn set_client_pool(
        &mut self,
        number: u8,
        request: &mut ClientPool,
    ) -> Result<(), Errno> {
        if request.client != i32::from(number) {
            return Err(Errno::INVALID);
        }
        let size = |cells: i32| {
            u32::try_from(cells).ok().filter(|cells| (1..=MAX_POOL_CELLS).contains(cells))
        };
        let client = self.own(number)?;
        let pool = &mut client.pool;
        if let Some(cells) = size(request.output_pool)
            && !(pool.is_set_up() && cells == pool.size)
        {
            if pool.used > 0 {
                return Err(Errno::BUSY);
            }
            pool.size = cells;
            pool.set_up();
        }
        if let Some(fifo) = client.user.as_mut().and_then(|user| user.fifo.as_mut())
            && let Some(cells) = size(request.input_pool)
            && cells != fifo.pool.size
        {
            fifo.resize(cells);
        }
        if let Ok(room) = u32::try_from(request.output_room)
            && (1..=client.pool.size).contains(&room)
        {
            client.pool.room = room;
        }
        self.touch(number);
        self.get_client_pool(request)
    }
}
