//! Requests about queues.

use super::queue::{MAX_QUEUES, Queue, SKEW_BASE};
use super::state::{State, fault};
use crate::engine::{Errno, ProtocolVersion};
use crate::raw::{
    self, Event, QueueClient, QueueInfo, QueueStatus, QueueTempo, QueueTimer, timer_type,
};

impl State {
    pub(super) fn create_queue(&mut self, client: u8, info: &mut QueueInfo) -> Result<(), Errno> {
        let number = self.queues.iter().position(Option::is_none).ok_or(Errno::NO_MEMORY)?;
        let now = self.now;
        let mut queue = Queue::new(client, info.locked(), info.flags);
        queue.set_used(client, true, now);
        if info.name[0] == 0 {
            raw::set_name(&mut info.name, &format!("Queue-{number}"));
        }
        queue.name = info.name;
        queue.name[63] = 0;
        info.queue = number as i32;
        info.owner = i32::from(client);
        self.queues[number] = Some(Box::new(queue));
        Ok(())
    }

    pub(super) fn delete_queue(&mut self, client: u8, number: i32) -> Result<(), Errno> {
        if self.queue(number).is_none_or(|queue| queue.owner != client) {
            return Err(Errno::INVALID);
        }
        self.drop_queue(number as usize);
        Ok(())
    }

    fn drop_queue(&mut self, number: usize) {
        self.remove_from_queue(number, |_| true);
        self.queues[number] = None;
        self.find_next_due();
    }

    /// Removes events from a queue and frees their cells.
    pub(super) fn remove_from_queue(&mut self, number: usize, selects: impl FnMut(&Event) -> bool) {
        let mut freed = [0_u32; 256];
        if let Some(queue) = self.queues[number].as_deref_mut() {
            queue.remove(selects, |stored| {
                freed[stored.event.source.client as usize] += stored.cells;
            });
        }
        for (client, &cells) in freed.iter().enumerate() {
            if cells > 0 {
                self.free_cells(client as u8, cells);
            }
        }
    }

    /// Deletes the queues of a client that closes, and removes its events from the other queues;
    /// from queues that it uses, also the events addressed to it.
    pub(super) fn leave_queues(&mut self, client: u8) {
        let now = self.now;
        for number in 0..MAX_QUEUES {
            let Some(queue) = self.queues[number].as_deref() else { continue };
            if queue.owner == client {
                self.drop_queue(number);
            } else {
                let is_used = queue.is_used_by(client);
                self.remove_from_queue(number, |event| {
                    event.source.client == client || is_used && event.dest.client == client
                });
                if let Some(queue) = self.queues[number].as_deref_mut() {
                    queue.set_used(client, false, now);
                }
            }
        }
        self.find_next_due();
    }

    /// Empties a queue that a START event is about to start.
    pub(super) fn clear_for_start(&mut self, number: i32) {
        if fault!(self, StartKeepsEvents) {
            return;
        }
        if let Ok(number) = usize::try_from(number)
            && number < MAX_QUEUES
        {
            self.remove_from_queue(number, |_| true);
        }
    }

    fn fill_queue_info(queue: &Queue, number: i32, info: &mut QueueInfo) {
        info.queue = number;
        info.owner = i32::from(queue.owner);
        info.set_locked(queue.locked);
        info.name = queue.name;
    }

    pub(super) fn get_queue_info(&self, info: &mut QueueInfo) -> Result<(), Errno> {
        let number = info.queue;
        let queue = self.queue(number).ok_or(Errno::INVALID)?;
        *info = QueueInfo::default();
        Self::fill_queue_info(queue, number, info);
        Ok(())
    }

    pub(super) fn set_queue_info(&mut self, client: u8, info: &QueueInfo) -> Result<(), Errno> {
        let now = self.now;
        if info.owner != i32::from(client) {
            return Err(Errno::INVALID);
        }
        let queue = self.queue_mut(info.queue).ok_or(Errno::NOT_PERMITTED)?;
        if !queue.may_be_controlled_by(client) {
            return Err(Errno::NOT_PERMITTED);
        }
        queue.owner = client;
        queue.locked = info.locked();
        if queue.locked {
            queue.set_used(client, true, now);
        }
        queue.name = info.name;
        queue.name[63] = 0;
        self.find_next_due();
        Ok(())
    }

    pub(super) fn get_named_queue(&self, info: &mut QueueInfo) -> Result<(), Errno> {
        let name = raw::name(&info.name).into_owned();
        let (number, queue) = self
            .queues
            .iter()
            .enumerate()
            .find_map(|(number, queue)| {
                let queue = queue.as_deref().filter(|queue| raw::name(&queue.name) == name)?;
                Some((number, queue))
            })
            .ok_or(Errno::INVALID)?;
        info.queue = number as i32;
        info.owner = i32::from(queue.owner);
        info.set_locked(queue.locked);
        Ok(())
    }

    pub(super) fn get_queue_status(&self, status: &mut QueueStatus) -> Result<(), Errno> {
        let queue = self.queue(status.queue).ok_or(Errno::INVALID)?;
        *status = QueueStatus {
            queue: status.queue,
            events: queue.event_count() as i32,
            tick: queue.timer.tick(self.now),
            time: queue.timer.real_time(self.now),
            running: i32::from(queue.timer.running),
            flags: queue.flags.cast_signed(),
            ..QueueStatus::default()
        };
        Ok(())
    }

    /// Whether a client has announced a protocol version that has `tempo_base`.
    fn supports_tempo_base(&self, client: u8) -> bool {
        self.client(client)
            .is_some_and(|client| client.user_version >= ProtocolVersion::TEMPO_BASE.raw())
    }

    pub(super) fn get_queue_tempo(&self, client: u8, tempo: &mut QueueTempo) -> Result<(), Errno> {
        let timer = &self.queue(tempo.queue).ok_or(Errno::INVALID)?.timer;
        *tempo = QueueTempo {
            queue: tempo.queue,
            tempo: timer.tempo,
            ppq: timer.ppq,
            skew_value: timer.skew,
            skew_base: SKEW_BASE,
            tempo_base: if self.supports_tempo_base(client) { timer.tempo_base } else { 0 },
            ..QueueTempo::default()
        };
        Ok(())
    }

    pub(super) fn set_queue_tempo(&mut self, client: u8, tempo: &QueueTempo) -> Result<(), Errno> {
        let now = self.now;
        let base = if self.supports_tempo_base(client) { tempo.tempo_base } else { 0 };
        let queue = self.queue_mut(tempo.queue).ok_or(Errno::NOT_PERMITTED)?;
        if !queue.may_be_controlled_by(client) {
            return Err(Errno::NOT_PERMITTED);
        }
        let timer = &mut queue.timer;
        timer.set_tempo_and_resolution(now, tempo.tempo, tempo.ppq, base)?;
        let result = if tempo.skew_base > 0 {
            timer.set_skew(now, tempo.skew_value, tempo.skew_base)
        } else {
            Ok(())
        };
        self.find_next_due();
        result
    }

    pub(super) fn get_queue_timer(&self, timer: &mut QueueTimer) -> Result<(), Errno> {
        let queue = self.queue(timer.queue).ok_or(Errno::INVALID)?;
        *timer = QueueTimer { queue: timer.queue, ..queue.timer.source };
        Ok(())
    }

    pub(super) fn set_queue_timer(&mut self, client: u8, timer: &QueueTimer) -> Result<(), Errno> {
        if timer.kind != timer_type::ALSA {
            return Err(Errno::INVALID);
        }
        let queue = self.queue_mut(timer.queue).ok_or(Errno::NOT_PERMITTED)?;
        if !queue.may_be_controlled_by(client) {
            return Err(Errno::NOT_PERMITTED);
        }
        queue.timer.source = QueueTimer {
            kind: timer.kind,
            id: timer.id,
            resolution: timer.resolution,
            ..QueueTimer::default()
        };
        Ok(())
    }

    pub(super) fn get_queue_client(
        &self,
        client: u8,
        usage: &mut QueueClient,
    ) -> Result<(), Errno> {
        let queue = self.queue(usage.queue).ok_or(Errno::INVALID)?;
        usage.used = i32::from(queue.is_used_by(client));
        usage.client = i32::from(client);
        Ok(())
    }

    pub(super) fn set_queue_client(
        &mut self,
        client: u8,
        usage: &mut QueueClient,
    ) -> Result<(), Errno> {
        let now = self.now;
        if usage.used >= 0 {
            let queue = self.queue_mut(usage.queue).ok_or(Errno::INVALID)?;
            queue.set_used(client, usage.used > 0, now);
            self.find_next_due();
        }
        self.get_queue_client(client, usage)
    }
}
