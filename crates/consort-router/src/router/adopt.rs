//! Replacing the configuration of a running show: instances adopt their new plans, mappings
//! change between two turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::Router;
use super::build::{OriginEntry, UsedChannels, channel_infos};
use crate::backend::ChannelTable;
use crate::config::Show;
use crate::context::{Context, DriverContext, DriverId, Owner};
use crate::event::InstanceId;
use crate::live::{Live, LiveChannel, LiveInstance};
use crate::options::needs_restart;
use crate::routes::Routes;

/// What became of each instance of an adopted show, by name, in the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoption {
    /// Instances that adopted their new plan and kept running.
    pub adopted: Vec<String>,
    /// Instances that were stopped and opened again.
    pub restarted: Vec<String>,
}

/// A show that cannot replace the running one, because it has other instances or backends.
pub struct RefusedShow {
    /// The show, unchanged.
    pub show: Show,
    /// The first difference.
    pub reason: String,
}

impl std::fmt::Debug for RefusedShow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RefusedShow").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl Router {
    /// Replaces the configuration of the running show by that of `show`, which must have the same
    /// instances of the same backends in the same order. Options, channels and mappings may
    /// differ. Called between two turns.
    ///
    /// An instance whose options of the kind `restart` are unchanged adopts its new plan; any
    /// other, and one that returns its plan, is stopped and opened again in the next generation
    /// of its slot. Channels of the same name keep their last values; these are not sent again.
    ///
    /// # Errors
    /// When instances or backends differ. Nothing is changed then.
    pub fn adopt(&mut self, show: Show) -> Result<Adoption, Box<RefusedShow>> {
        if let Some(reason) = self.difference(&show) {
            return Err(Box::new(RefusedShow { show, reason }));
        }
        // Events of the last turn, and commands with old channel numbers, use the old mappings.
        self.route_deferred();
        self.take_commands();
        let Show { backends, instances, mappings } = show;

        let mut restarts: Vec<bool> = instances
            .iter()
            .zip(&self.origin.instances)
            .map(|(new, old)| {
                let (old, new, families) = (&old.options, &new.options, new.families);
                needs_restart(old, new, new.specs(), families)
            })
            .collect();
        let mut reopened = Vec::new();
        for (index, entry) in backends.into_iter().enumerate() {
            let old = &mut self.origin.backends[index].1;
            let changed = needs_restart(old, &entry.options, entry.options.specs(), &[]);
            *old = entry.options;
            let id = DriverId(index as u32);
            let refused = if changed {
                Err(entry.backend)
            } else {
                let mut context = DriverContext::new(&mut self.shared, id);
                self.drivers[index].adopt(entry.backend, &mut context)
            };
            if let Err(backend) = refused {
                let affected = instances.iter().map(|entry| entry.driver == index);
                restarts
                    .iter_mut()
                    .zip(affected)
                    .for_each(|(restart, is_affected)| *restart |= is_affected);
                reopened.push((index, backend));
            }
        }
        // The last events of instances that are restarted use the old mappings, too.
        for index in (0..self.slots.len()).filter(|&index| restarts[index]) {
            self.call(index, |instance, context| instance.stop(context));
        }

        let shapes = instances.iter().map(|entry| (entry.channels.len(), entry.plan.passes_on()));
        let routes = Routes::new(shapes, &mappings);
        let mut used = UsedChannels::new(instances.len(), &mappings);
        let mut plans = Vec::with_capacity(instances.len());
        let (mut tables, mut live_instances) = (Vec::new(), Vec::new());
        for (index, entry) in instances.into_iter().enumerate() {
            let before = &self.shared.live.instances[index];
            let old_names: Vec<String> =
                before.channels.iter().map(|channel| channel.name.clone()).collect();
            tables.push(ChannelTable::between(&old_names, &entry.channels));
            let mut infos = channel_infos(entry.channels, &*entry.plan);
            used.mark(index, &mut infos);
            let base = routes.bases[index] as usize;
            live_instances.push(if restarts[index] {
                self.next_generation(index, base, infos)
            } else {
                before.adopted(base, infos)
            });
            self.origin.instances[index] =
                OriginEntry { options: entry.options, passes_on: entry.plan.passes_on() };
            self.shared.driver_of[index] = DriverId(entry.driver as u32);
            plans.push((entry.plan, entry.driver));
        }
        self.install(routes, live_instances, &tables);
        for (index, backend) in reopened {
            self.drivers[index] = backend.open();
            // What the old driver asked for does not concern the new one.
            let id = DriverId(index as u32);
            self.shared.driver_deadlines.set(index, None);
            self.shared.again.retain(|(owner, _)| *owner != Owner::Driver(id));
        }

        let mut adoption = Adoption::default();
        for (index, (plan, driver)) in plans.into_iter().enumerate() {
            let mut refused = Some(plan);
            if !restarts[index] {
                let slot = &mut self.slots[index];
                let mut context = Context::new(&mut self.shared, slot.id);
                let plan = refused.take().expect("just made");
                refused = slot.instance.adopt(plan, &tables[index], &mut context).err();
                if refused.is_some() {
                    self.call(index, |instance, context| instance.stop(context));
                    self.renew_live(index);
                }
            }
            let name = self.shared.live.instances[index].name.clone();
            match refused {
                None => adoption.adopted.push(name),
                Some(plan) => {
                    self.slots[index].id = self.shared.live.instances[index].id;
                    self.slots[index].instance = plan.open(&mut *self.drivers[driver]);
                    self.shared.deadlines.set(index, None);
                    self.call(index, |instance, context| instance.start(context));
                    adoption.restarted.push(name);
                }
            }
        }
        self.route();
        Ok(adoption)
    }

    /// The first difference in instances and backends that rules an adoption out.
    fn difference(&self, show: &Show) -> Option<String> {
        let live = &self.shared.live;
        let names = |index: usize| live.instances.get(index).map(|old| (&*old.name, old.backend));
        let count = live.instances.len().max(show.instances.len());
        for index in 0..count {
            let new = show.instances.get(index).map(|new| (&*new.name, new.backend));
            if names(index) != new {
                let (name, _) = new.or(names(index))?;
                return Some(format!("instance `{name}` was added, removed, moved or changed"));
            }
        }
        let old = self.origin.backends.iter().map(|(name, _)| *name);
        let is_same = old.eq(show.backends.iter().map(|backend| backend.name));
        (!is_same).then(|| "the show uses other backends".to_owned())
    }

    fn next_generation(
        &self,
        index: usize,
        base: usize,
        infos: Vec<crate::live::ChannelInfo>,
    ) -> LiveInstance {
        let before = &self.shared.live.instances[index];
        let id = InstanceId::with_generation(index as u32, before.id.generation() + 1);
        LiveInstance::new(before.name.clone(), before.backend, id, base, infos)
    }

    /// Gives an instance that returned its plan the next generation of its slot.
    fn renew_live(&mut self, index: usize) {
        let entry = &self.shared.live.instances[index];
        let renewed = self.next_generation(index, entry.base, entry.channels.clone());
        let instances = self.shared.live.instances.iter().enumerate().map(|(other, live)| {
            if other == index {
                renewed.adopted(renewed.base, renewed.channels.clone())
            } else {
                live.adopted(live.base, live.channels.clone())
            }
        });
        let instances = instances.collect();
        let channels = self.shared.live.channels.iter().map(LiveChannel::copied).collect();
        self.replace_live(instances, channels);
    }

    /// Changes routes, channel numbers and the view of other threads at once.
    fn install(&mut self, routes: Routes, instances: Vec<LiveInstance>, tables: &[ChannelTable]) {
        let old_bases = std::mem::replace(&mut self.shared.bases, routes.bases.clone());
        let mut channels = Vec::new();
        channels.resize_with(routes.channel_count(), LiveChannel::default);
        let mut texts = std::collections::HashMap::new();
        let old_texts = std::mem::take(&mut *self.shared.live.texts.lock());
        for (index, table) in tables.iter().enumerate() {
            for new in 0..table.new_count() as u32 {
                let Some(old) = table.old_number(new) else { continue };
                let (old, new) = (old_bases[index] + old, routes.bases[index] + new);
                channels[new as usize] = self.shared.live.channels[old as usize].copied();
                if let Some(text) = old_texts.get(&old) {
                    texts.insert(new, text.clone());
                }
            }
        }
        // Events that instances emitted while the last turn was routed get the new numbers.
        let renumber = |old: u32| -> Option<u32> {
            let index = old_bases.partition_point(|&base| base <= old) - 1;
            let new = tables[index].new_number(old - old_bases[index])?;
            Some(routes.bases[index] + new)
        };
        self.shared.deferred.renumber(renumber);
        self.loop_reports = vec![0; routes.loop_count as usize + 1];
        for (index, live) in instances.iter().enumerate() {
            let mut unmatched = live.unmatched.lock();
            for channel in live.channels.iter().filter(|channel| channel.is_source) {
                unmatched.remove(&channel.name);
            }
            debug_assert_eq!(live.base, routes.bases[index] as usize);
        }
        self.routes = Arc::new(routes);
        self.replace_live(instances, channels);
        *self.shared.live.texts.lock() = texts;
    }

    fn replace_live(&mut self, instances: Vec<LiveInstance>, channels: Vec<LiveChannel>) {
        let live = Arc::new(Live {
            instances,
            channels,
            routes: Arc::clone(&self.routes),
            texts: Mutex::new(std::mem::take(&mut *self.shared.live.texts.lock())),
            generation: self.shared.live.generation + 1,
            is_replaced: AtomicBool::new(false),
            running: Arc::clone(&self.shared.live.running),
        });
        let old = std::mem::replace(&mut self.shared.live, Arc::clone(&live));
        *self.handle.mailbox.live.lock() = live;
        old.is_replaced.store(true, Ordering::Release);
    }
}
