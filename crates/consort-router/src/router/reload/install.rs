//! Changing the layout: routes, channel numbers, and what other threads see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::Reload;
use super::prepare::{next, renumbering};
use super::swap::Vacant;
use crate::context::DriverId;
use crate::live::{Live, LiveChannel};
use crate::router::{Router, Slot};

impl Router {
    /// Gives an instance that returned its plan the next generation of its slot.
    pub(super) fn renew_live(&mut self, index: usize) {
        let before = Arc::clone(&self.shared.live);
        before.blocks.settle_all(&before.channels);
        let instances = before.instances.iter().enumerate().map(|(other, live)| {
            let channels = Arc::clone(&live.channels);
            if other == index {
                live.renewed(next(live.id))
            } else {
                live.adopted(live.base, channels)
            }
        });
        let live = Live {
            instances: instances.collect(),
            order: before.order.clone(),
            channels: before.channels.iter().map(LiveChannel::copied).collect(),
            blocks: before.blocks.renewed(),
            routes: Arc::clone(&self.routes),
            mapped: Arc::clone(&before.mapped),
            texts: Mutex::new(std::mem::take(&mut *before.texts.lock())),
            generation: before.generation + 1,
            is_replaced: AtomicBool::new(false),
            running: Arc::clone(&before.running),
            holding: Arc::clone(&before.holding),
            origin: before.origin.clone(),
        };
        self.slots[index].id = live.instances[index].id;
        self.replace_live(live);
    }

    /// Changes routes, channel numbers and the view of other threads at once.
    pub(super) fn install(&mut self, reload: &mut Reload) {
        let mut live = std::mem::replace(&mut reload.live, Live::empty());
        let before = Arc::clone(&self.shared.live);
        before.blocks.settle_all(&before.channels);
        for &(old, new) in &reload.copies {
            live.channels[new as usize] = before.channels[old as usize].copied();
        }
        let texts = std::mem::take(&mut *before.texts.lock());
        let new_number = renumbering(&before, &reload.tables, &reload.routes);
        *live.texts.get_mut() =
            texts.into_iter().filter_map(|(old, text)| Some((new_number(old)?, text))).collect();
        if let Some(continued) = &reload.continued {
            let old = std::mem::take(&mut self.engine);
            reload.engine.carry_over(old, (&before.routes, &reload.routes), continued, &new_number);
        }
        // Events that instances emitted while the last turn was routed get the new numbers.
        self.shared.deferred.renumber(new_number);
        self.engine = std::mem::take(&mut reload.engine);

        let count = live.instances.len();
        self.shared.bases.clone_from(&reload.routes.bases);
        // Events of channels that have gone are no longer among those that wait.
        self.shared.deferred_of.clear();
        self.shared.deferred_of.resize(count, 0);
        for channel in self.shared.deferred.channels() {
            self.shared.deferred_of[live.place(channel).0] += 1;
        }
        self.shared.deadlines.resize(count);
        self.shared.driver_of.resize(count, DriverId(0));
        self.batches.resize_with(count, Vec::new);
        for instance in &reload.instances {
            self.shared.driver_of[instance.slot] = DriverId(instance.driver as u32);
        }
        for (slot, instance) in live.instances.iter().enumerate() {
            match self.slots.get_mut(slot) {
                Some(slot) => slot.id = instance.id,
                None => self.slots.push(Slot { id: instance.id, instance: Box::new(Vacant) }),
            }
            let mut unmatched = instance.unmatched.lock();
            if !unmatched.is_empty() {
                for channel in instance.channels.iter().filter(|channel| channel.is_source) {
                    unmatched.remove(&channel.name);
                }
            }
        }
        self.loop_reports = std::mem::take(&mut reload.loop_reports);
        self.routes = Arc::clone(&reload.routes);
        self.replace_live(live);
        self.engine.publish(&self.shared.live);
    }

    fn replace_live(&mut self, live: Live) {
        let live = Arc::new(live);
        let old = std::mem::replace(&mut self.shared.live, Arc::clone(&live));
        *self.handle.mailbox.live.lock() = live;
        old.is_replaced.store(true, Ordering::Release);
    }
}
