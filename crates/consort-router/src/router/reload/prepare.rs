//! Preparing a reload on any thread: the new show is compared with the running one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;

use super::{Fate, NewDriver, NewInstance, Release, Reload};
use crate::backend::{ChannelKind, ChannelTable};
use crate::blocks::Blocks;
use crate::config::{ChannelRef, Show, ShowBackend, written};
use crate::engine::{ChannelFacts, Engine, Mapped};
use crate::event::InstanceId;
use crate::live::{Live, LiveChannel, LiveInstance, Origin, OriginBackend, OriginInstance};
use crate::live_routes::LiveRoutes;
use crate::options::restart_option;
use crate::router::Handle;
use crate::router::build::{UsedChannels, channel_infos, instance_facts};
use crate::routes::Routes;
use crate::transform::{Condition, Layer, Transform};

impl Reload {
    /// Compares a new show with the one that runs. On any thread; does not wait for the router.
    ///
    /// An instance of the same name and backend whose options of the kind `restart` are the same
    /// is adopted, unless one of the files that it has loaded has changed.
    pub fn new(show: Show, handle: &Handle) -> Reload {
        Reload::between(&handle.live(), show)
    }

    pub(in crate::router) fn between(before: &Live, show: Show) -> Reload {
        let Show { backends, instances, mappings, mut transforms, mut layers } = show;
        let (drivers, closed_drivers, origin_backends) = compare_drivers(before, backends);

        let by_name: HashMap<&str, usize> = before
            .order
            .iter()
            .map(|&slot| (before.instances[slot as usize].name.as_str(), slot as usize))
            .collect();
        let kept = |name: &str, backend: &str| {
            let slot = *by_name.get(name)?;
            (before.instances[slot].backend == backend).then_some(slot)
        };
        let kept: Vec<Option<usize>> =
            instances.iter().map(|entry| kept(&entry.name, entry.backend)).collect();
        let slots = assign_slots(&kept);
        let stays: HashSet<usize> = kept.iter().flatten().copied().collect();
        let old_slots = before.order.iter().map(|&slot| slot as usize);
        let closed: Vec<usize> = old_slots.filter(|slot| !stays.contains(slot)).collect();
        let count = slots.iter().map(|slot| slot + 1).fold(before.instances.len(), usize::max);

        let mut tables: Vec<ChannelTable> = (0..count)
            .map(|slot| {
                let old = before.instances.get(slot).map_or(0, |old| old.channels.len());
                ChannelTable::unrelated(old, 0)
            })
            .collect();
        let mut shapes = vec![(0, false); count];
        for ((entry, &slot), kept) in instances.iter().zip(&slots).zip(&kept) {
            shapes[slot] = (entry.channels.len(), entry.plan.passes_on());
            tables[slot] = match kept {
                Some(_) => {
                    let old: Vec<&str> = before.instances[slot].names().collect();
                    ChannelTable::between(&old, &entry.channels)
                }
                None => ChannelTable::unrelated(tables[slot].old_count(), entry.channels.len()),
            };
        }

        let mut live_instances: Vec<LiveInstance> = (0..count)
            .map(|slot| match before.instances.get(slot) {
                Some(old) if closed.contains(&slot) => LiveInstance::vacant(next(old.id)),
                Some(old) => LiveInstance::vacant(old.id),
                None => LiveInstance::vacant(InstanceId::new(slot as u32)),
            })
            .collect();
        let ids: Vec<InstanceId> = slots.iter().map(|&slot| live_instances[slot].id).collect();
        let mappings: Vec<(ChannelRef, ChannelRef)> = mappings
            .into_iter()
            .map(|(source, target)| (placed(source, &ids), placed(target, &ids)))
            .collect();
        place_conditions(&mut transforms, &mut layers, &ids);
        let routes = Arc::new(Routes::new(shapes.iter().copied(), &mappings));
        let facts: Vec<ChannelFacts> = {
            let mut by_slot = vec![Vec::new(); count];
            for (entry, &slot) in instances.iter().zip(&slots) {
                by_slot[slot] = instance_facts(entry);
            }
            by_slot.concat()
        };
        let mapped =
            Mapped { mappings: &mappings, transforms: &transforms, layers: &layers, facts: &facts };
        let mut engine = Engine::new(&routes, &mapped);
        let blocks = Blocks::new(&routes, &facts, &mut engine.marks);
        let mapped = LiveRoutes::new(&engine, mappings.len(), &transforms, &layers);
        let mut used = UsedChannels::new(count, &mappings);
        used.add(&transforms, &layers);

        let mut origin_instances: Vec<OriginInstance> = Vec::new();
        origin_instances.resize_with(count, OriginInstance::default);
        let mut new_instances = Vec::with_capacity(instances.len());
        for ((mut entry, &slot), kept) in instances.into_iter().zip(&slots).zip(&kept) {
            entry.plan.prepare();
            let driver = &drivers[entry.driver];
            let fate = match kept {
                None => Fate::Open,
                Some(_) => {
                    let old = &before.origin.instances[slot].options;
                    let specs = entry.options.specs();
                    match restart_option(old, &entry.options, specs, entry.families) {
                        Some(option) => Fate::Restart(format!("the option `{option}` changed")),
                        None if matches!(driver.fate, Fate::Restart(_)) => Fate::Restart(format!(
                            "an option of [backend {}] changed",
                            entry.backend
                        )),
                        None => match before.changed_file(before.instances[slot].id) {
                            Some(file) => Fate::Restart(format!("{} changed", file.display())),
                            None => Fate::Adopt,
                        },
                    }
                }
            };
            let mut infos = channel_infos(entry.channels, &*entry.plan);
            used.mark(slot, &mut infos);
            let base = routes.bases[slot] as usize;
            let vacant = &live_instances[slot];
            live_instances[slot] = match fate {
                Fate::Adopt => before.instances[slot].adopted(base, infos.into()),
                Fate::Restart(_) => {
                    LiveInstance::new(entry.name, entry.backend, next(vacant.id), base, infos)
                }
                Fate::Open => LiveInstance::new(entry.name, entry.backend, vacant.id, base, infos),
            };
            origin_instances[slot] =
                OriginInstance { options: entry.options, passes_on: entry.plan.passes_on() };
            let driver = driver.slot;
            new_instances.push(NewInstance { slot, driver, plan: Some(entry.plan), fate });
        }
        for (slot, instance) in live_instances.iter_mut().enumerate() {
            instance.base = routes.bases[slot] as usize;
        }
        let order: Vec<u32> = slots.iter().map(|&slot| slot as u32).collect();
        for (number, &slot) in slots.iter().enumerate() {
            live_instances[slot].number = number as u32;
        }

        let mut copies = Vec::new();
        for (slot, table) in tables.iter().enumerate().take(before.instances.len()) {
            let (old_base, new_base) = (before.routes.bases[slot], routes.bases[slot]);
            let numbers = 0..table.new_count() as u32;
            copies.extend(
                numbers.filter_map(|new| Some((old_base + table.old_number(new)?, new_base + new))),
            );
        }
        let mut channels = Vec::new();
        channels.resize_with(routes.channel_count(), LiveChannel::default);
        let live = Live {
            instances: live_instances,
            order,
            channels,
            blocks,
            routes: Arc::clone(&routes),
            mapped: Arc::new(mapped),
            texts: Mutex::default(),
            generation: before.generation + 1,
            is_replaced: AtomicBool::new(false),
            running: Arc::clone(&before.running),
            holding: Arc::clone(&before.holding),
            origin: Origin { backends: origin_backends, instances: origin_instances },
        };
        let mut reload = Reload {
            base_generation: before.generation,
            closed_names: closed.iter().map(|&slot| before.instances[slot].name.clone()).collect(),
            instances: new_instances,
            drivers,
            closed,
            closed_drivers,
            added_mappings: Vec::new(),
            removed_mappings: Vec::new(),
            releases: Vec::new(),
            loop_reports: vec![0; routes.loop_count as usize + 1],
            routes,
            engine,
            continued: None,
            live,
            copies,
            tables,
        };
        reload.compare_mappings(before);
        reload
    }

    /// Finds the mappings that come and go, and the routes through which something may be held.
    fn compare_mappings(&mut self, before: &Live) {
        let pairs = |routes: &Routes| {
            let indexes = 0..routes.len();
            let pairs = indexes.map(|at| (routes.channel_of(at), routes.target(at).global));
            pairs.collect::<Vec<_>>()
        };
        let (old, new) = (pairs(&before.routes), pairs(&self.routes));
        let new_numbers: HashMap<u32, u32> = self.copies.iter().copied().collect();
        let renumbered = |(source, target): (u32, u32)| {
            Some((*new_numbers.get(&source)?, *new_numbers.get(&target)?))
        };
        let wanted: HashSet<(u32, u32)> = new.iter().copied().collect();
        let is_kept =
            |pair: (u32, u32)| renumbered(pair).is_some_and(|pair| wanted.contains(&pair));
        // The engine releases what is held through routes with stages or in layers.
        let plain = old.iter().enumerate().filter(|(at, _)| before.route_form(*at).is_none());
        let gone: Vec<(u32, u32)> =
            plain.map(|(_, &pair)| pair).filter(|&pair| !is_kept(pair)).collect();

        let stopping: HashSet<usize> = self.stopping().into_iter().collect();
        let momentary = |global: u32| {
            let (slot, channel) = before.place(global);
            before.instances[slot].channels[channel as usize].kind == ChannelKind::Momentary
        };
        let mut others: HashMap<u32, Vec<u32>> =
            gone.iter().map(|&(_, target)| (target, Vec::new())).collect();
        for &(source, target) in old.iter().filter(|&&pair| is_kept(pair)) {
            if let Some(sources) = others.get_mut(&target) {
                sources.push(source);
            }
        }
        for &(source, target_global) in &gone {
            let (source_slot, _) = before.place(source);
            let target = before.place(target_global);
            let (is_source_momentary, is_target_momentary) =
                (momentary(source), momentary(target_global));
            // Instances that stop release what they and their sources hold, and instances that keep
            // running release what is held on channels that go: another spelling may be the same
            // channel to them.
            let stops = stopping.contains(&source_slot) || stopping.contains(&target.0);
            let is_own = is_target_momentary && !new_numbers.contains_key(&target_global);
            if !stops && !is_own && (is_source_momentary || is_target_momentary) {
                let others = others[&target_global].clone();
                self.releases.push(Release {
                    source,
                    target,
                    target_global,
                    is_source_momentary,
                    is_target_momentary,
                    others,
                });
            }
        }
        let old_forms: Vec<Form<'_>> = old
            .iter()
            .enumerate()
            .map(|(at, &pair)| (renumbered(pair), form(before, at)))
            .collect();
        let new_forms: Vec<Form<'_>> =
            new.iter().enumerate().map(|(at, &pair)| (Some(pair), form(&self.live, at))).collect();
        let present: HashSet<&Form<'_>> = old_forms.iter().collect();
        let wanted: HashSet<&Form<'_>> = new_forms.iter().collect();
        let lines = |live: &Live, pairs: &[(u32, u32)], forms: &[Form<'_>], others: &HashSet<_>| {
            let changed = pairs.iter().zip(forms).filter(|(_, form)| !others.contains(form));
            changed.map(|(&pair, (_, form))| mapping_text(live, pair, *form)).collect()
        };
        let removed = lines(before, &old, &old_forms, &wanted);
        let added = lines(&self.live, &new, &new_forms, &present);
        (self.removed_mappings, self.added_mappings) = (removed, added);
    }
}

/// The number of the next instance in a slot.
pub(super) fn next(id: InstanceId) -> InstanceId {
    InstanceId::with_generation(id.slot(), id.generation() + 1)
}

/// One end of a mapping by its slot instead of its place in the configuration.
fn placed(end: ChannelRef, ids: &[InstanceId]) -> ChannelRef {
    ChannelRef { instance: ids[end.instance.index()], ..end }
}

/// Gives every entry a slot: the one that it has, or else the first free one.
fn assign_slots(kept: &[Option<usize>]) -> Vec<usize> {
    let taken: HashSet<usize> = kept.iter().flatten().copied().collect();
    let mut free = (0..).filter(|slot| !taken.contains(slot));
    let slots = kept.iter().map(|slot| slot.or_else(|| free.next()));
    slots.map(|slot| slot.expect("there are more numbers than instances")).collect()
}

/// Compares the backends: the new drivers in the order of the show, the slots of those that go,
/// and what the configuration contains by slot.
fn compare_drivers(
    before: &Live,
    backends: Vec<ShowBackend>,
) -> (Vec<NewDriver>, Vec<usize>, Vec<Option<OriginBackend>>) {
    let old = &before.origin.backends;
    let position = |name: &str| {
        old.iter().position(|entry| entry.as_ref().is_some_and(|entry| entry.name == name))
    };
    let kept: Vec<Option<usize>> = backends.iter().map(|entry| position(entry.name)).collect();
    let slots = assign_slots(&kept);
    let is_closed = |slot: &usize| old[*slot].is_some() && !kept.contains(&Some(*slot));
    let closed: Vec<usize> = (0..old.len()).filter(is_closed).collect();
    let count = slots.iter().map(|slot| slot + 1).fold(old.len(), usize::max);
    let mut origin: Vec<Option<OriginBackend>> = Vec::new();
    origin.resize_with(count, || None);
    let mut drivers = Vec::with_capacity(backends.len());
    for ((entry, &slot), kept) in backends.into_iter().zip(&slots).zip(&kept) {
        let fate = match kept.and_then(|slot| old[slot].as_ref()) {
            None => Fate::Open,
            Some(old) => {
                match restart_option(&old.options, &entry.options, entry.options.specs(), &[]) {
                    Some(option) => Fate::Restart(format!("the option `{option}` changed")),
                    None => Fate::Adopt,
                }
            }
        };
        origin[slot] = Some(OriginBackend { name: entry.name, options: entry.options });
        drivers.push(NewDriver { slot, backend: Some(entry.backend), fate });
    }
    (drivers, closed, origin)
}

/// The stages of a mapping and the name of its layer.
type Written<'l> = (&'l str, Option<&'l str>);

/// A mapping by the new numbers of its ends, if both stay, and what is written besides.
type Form<'l> = (Option<(u32, u32)>, Written<'l>);

fn form(live: &Live, index: usize) -> Written<'_> {
    live.route_form(index).map_or(("", None), |(text, layer)| (&**text, layer))
}

/// Gives the channels of conditions and layers their slots instead of their places in the
/// configuration.
fn place_conditions(transforms: &mut [Transform], layers: &mut [Layer], ids: &[InstanceId]) {
    let place =
        |condition: &Condition| Condition { channel: placed(condition.channel, ids), ..*condition };
    let mut known: HashMap<*const Condition, Arc<[Condition]>> = HashMap::new();
    // The old lists are kept until all are placed, so that no new one has the address of an old.
    let mut old = Vec::new();
    for transform in transforms.iter_mut().filter(|transform| !transform.conditions.is_empty()) {
        let list = known
            .entry(transform.conditions.as_ptr())
            .or_insert_with(|| transform.conditions.iter().map(place).collect());
        old.push(std::mem::replace(&mut transform.conditions, Arc::clone(list)));
    }
    for layer in layers {
        layer.conditions = layer.conditions.iter().map(place).collect();
        layer.select = layer.select.map(|end| placed(end, ids));
        layer.selector = layer.selector.map(|end| placed(end, ids));
        layer.led = layer.led.take().map(|(end, chain)| (placed(end, ids), chain));
    }
}

/// The new number in the show of each old channel that stays.
pub(super) fn renumbering<'r>(
    before: &'r Live,
    tables: &'r [ChannelTable],
    routes: &'r Routes,
) -> impl Fn(u32) -> Option<u32> + use<'r> {
    move |old| {
        let (slot, channel) = before.place(old);
        let new = tables[slot].new_number(channel)?;
        Some(routes.bases[slot] + new)
    }
}

/// A mapping as one writes it, from the numbers of its ends in the show.
fn mapping_text(live: &Live, (source, target): (u32, u32), (stages, layer): Written<'_>) -> String {
    let end = |global: u32| {
        let (slot, channel) = live.place(global);
        let instance = &live.instances[slot];
        let name = &instance.channels[channel as usize].name;
        let name = written(name).unwrap_or_else(|| name.into());
        format!("{}.{name}", instance.name)
    };
    let stages = if stages.is_empty() { String::new() } else { format!(" | {stages}") };
    let layer = layer.map(|layer| format!("[map {layer}] ")).unwrap_or_default();
    format!("{layer}{} > {}{stages}", end(source), end(target))
}
