//! From a show to a router: backends and plans are opened, routes and live values are laid out.

use std::cell::Cell;
use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use mio::{Events, Poll, Waker};
use parking_lot::Mutex;

use super::{Guards, Handle, Mailbox, Router, RunError, Slot};
use crate::activity::Activity;
use crate::backend::{Driver, Plan, Usage};
use crate::blocks::Blocks;
use crate::config::{ChannelRef, Show, ShowInstance};
use crate::context::{DriverId, Shared, WAKER};
use crate::engine::{ChannelFacts, Engine, Mapped};
use crate::event::InstanceId;
use crate::live::{
    ChannelInfo, Live, LiveChannel, LiveInstance, Origin, OriginBackend, OriginInstance,
};
use crate::live_routes::LiveRoutes;
use crate::queue::EventQueue;
use crate::routes::Routes;
use crate::timers::Deadlines;
use crate::transform::{Layer, Transform};
use crate::warn_once::WarnOnce;

fn poll_error(operation: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::Poll { operation, source }
}

/// What views see of an instance's channels.
pub(super) fn channel_infos(names: Vec<String>, plan: &dyn Plan) -> Vec<ChannelInfo> {
    names
        .into_iter()
        .enumerate()
        .map(|(channel, name)| ChannelInfo {
            name,
            is_source: false,
            is_target: false,
            kind: plan.kind(channel as u32),
            resolution: plan.resolution(channel as u32),
        })
        .collect()
}

impl Router {
    /// Builds a router for a show without starting it: backends and plans are opened, instances
    /// are not started. On the thread that will run the show.
    ///
    /// # Errors
    /// When the operating system gives no descriptors to wait on.
    pub fn new(show: Show) -> Result<Self, RunError> {
        let poll = Poll::new().map_err(poll_error("be created"))?;
        let registry = poll.registry().try_clone().map_err(poll_error("be shared"))?;
        let waker = Waker::new(&registry, WAKER).map_err(poll_error("be woken"))?;
        let count = show.instances.len();
        let shapes =
            show.instances.iter().map(|entry| (entry.channels.len(), entry.plan.passes_on()));
        let routes = Arc::new(Routes::new(shapes, &show.mappings));
        let facts = channel_facts(&show.instances);
        let mut engine = Engine::new(
            &routes,
            &Mapped {
                mappings: &show.mappings,
                transforms: &show.transforms,
                layers: &show.layers,
                facts: &facts,
            },
        );
        let blocks = Blocks::new(&routes, &facts, &mut engine.marks);
        drop(facts);
        let mapped = LiveRoutes::new(&engine, show.mappings.len(), &show.transforms, &show.layers);

        let mut origin = Origin { backends: Vec::new(), instances: Vec::with_capacity(count) };
        let mut drivers: Vec<Box<dyn Driver>> = Vec::with_capacity(show.backends.len());
        for entry in show.backends {
            origin.backends.push(Some(OriginBackend { name: entry.name, options: entry.options }));
            drivers.push(entry.backend.open());
        }
        let (mut slots, mut live_instances, mut driver_of) =
            (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
        let mut used = UsedChannels::new(count, &show.mappings);
        used.add(&show.transforms, &show.layers);
        for (index, entry) in show.instances.into_iter().enumerate() {
            let id = InstanceId::new(index as u32);
            let mut infos = channel_infos(entry.channels, &*entry.plan);
            used.mark(index, &mut infos);
            origin
                .instances
                .push(OriginInstance { options: entry.options, passes_on: entry.plan.passes_on() });
            driver_of.push(DriverId(entry.driver as u32));
            slots.push(Slot { id, instance: entry.plan.open(&mut *drivers[entry.driver]) });
            let base = routes.bases[index] as usize;
            live_instances.push(LiveInstance {
                number: index as u32,
                ..LiveInstance::new(entry.name, entry.backend, id, base, infos)
            });
        }
        let mut channels = Vec::new();
        channels.resize_with(routes.channel_count(), LiveChannel::default);
        let live = Arc::new(Live {
            instances: live_instances,
            order: (0..count as u32).collect(),
            channels,
            blocks,
            routes: Arc::clone(&routes),
            mapped: Arc::new(mapped),
            texts: Mutex::default(),
            generation: 1,
            is_replaced: AtomicBool::new(false),
            running: Arc::new(AtomicBool::new(true)),
            holding: Arc::default(),
            origin,
        });
        let now = Instant::now();
        let shared = Shared {
            registry,
            live: Arc::clone(&live),
            bases: routes.bases.clone(),
            started: now,
            now,
            arrived: EventQueue::with_capacity(1_024),
            deferred: EventQueue::with_capacity(1_024),
            deferred_of: vec![0; count],
            delivering: false,
            next_root: Cell::new(1),
            deadlines: Deadlines::new(count),
            // The last one is that of the guards.
            driver_deadlines: Deadlines::new(drivers.len() + 1),
            driver_of,
            again: Vec::with_capacity(count),
            scratch: String::with_capacity(256),
            pass_on_overflow: WarnOnce::default(),
            expecting: None,
            observer: None,
            stopping: false,
            leaving: Vec::new(),
            state_changes: Vec::with_capacity(count),
            frozen_clock: None,
            discarded: Vec::new(),
        };
        let mailbox = Arc::new(Mailbox {
            waker,
            stop: AtomicBool::new(false),
            stop_now: AtomicBool::new(false),
            activity: Activity::default(),
            commands: Mutex::new(VecDeque::new()),
            reload: Mutex::new(None),
            live: Mutex::new(live),
        });
        Ok(Router {
            shared,
            poll,
            events: Events::with_capacity(256),
            slots,
            drivers,
            batches: vec![Vec::new(); count],
            pending: Vec::with_capacity(count),
            routing: EventQueue::with_capacity(1_024),
            expanded: EventQueue::default(),
            visited: HashSet::new(),
            loop_reports: vec![0; routes.loop_count as usize + 1],
            guards: Guards::default(),
            routes,
            engine,
            called: Vec::with_capacity(count),
            reloading: None,
            handle: Handle { mailbox, generation: None },
        })
    }
}

/// What the plans declare about their channels, by the channel's number in the show.
pub(super) fn channel_facts(instances: &[ShowInstance]) -> Vec<ChannelFacts> {
    instances.iter().flat_map(instance_facts).collect()
}

/// What the plan of an instance declares about its channels.
pub(super) fn instance_facts(entry: &ShowInstance) -> Vec<ChannelFacts> {
    let plan = &entry.plan;
    let facts = |channel: u32| ChannelFacts {
        kind: plan.kind(channel),
        resolution: plan.resolution(channel),
        merge: plan.merge(channel),
        passes_on: plan.passes_on(),
        source_slot: plan.slot(channel, Usage::Source),
        target_slot: plan.slot(channel, Usage::Target),
    };
    (0..entry.channels.len() as u32).map(facts).collect()
}

/// Which channels mappings read and write, by slot: one pass over the mappings for all instances.
pub(super) struct UsedChannels {
    sources: Vec<Vec<u32>>,
    targets: Vec<Vec<u32>>,
}

impl UsedChannels {
    pub(super) fn new(count: usize, mappings: &[(ChannelRef, ChannelRef)]) -> Self {
        let mut used =
            UsedChannels { sources: vec![Vec::new(); count], targets: vec![Vec::new(); count] };
        for (source, target) in mappings {
            used.sources[source.instance.index()].push(source.channel);
            used.targets[target.instance.index()].push(target.channel);
        }
        used
    }

    /// The channels that only conditions and layers name.
    pub(super) fn add(&mut self, transforms: &[Transform], layers: &[Layer]) {
        let of_routes = transforms.iter().flat_map(|transform| &*transform.conditions);
        let of_layers = layers.iter().flat_map(|layer| &layer.conditions);
        let conditions = of_routes.chain(of_layers).map(|condition| condition.channel);
        let selects = layers.iter().flat_map(|layer| [layer.select, layer.selector]);
        for source in conditions.chain(selects.flatten()) {
            self.sources[source.instance.index()].push(source.channel);
        }
        for (led, _) in layers.iter().filter_map(|layer| layer.led.as_ref()) {
            self.targets[led.instance.index()].push(led.channel);
        }
    }

    pub(super) fn mark(&mut self, slot: usize, infos: &mut [ChannelInfo]) {
        for channel in std::mem::take(&mut self.sources[slot]) {
            infos[channel as usize].is_source = true;
        }
        for channel in std::mem::take(&mut self.targets[slot]) {
            infos[channel as usize].is_target = true;
        }
    }
}
