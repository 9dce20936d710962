//! From the mappings of a show to the engine.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{
    Channel, Engine, Group, LAYER, LayerState, MARK_ENGINE, MARK_LOOP, Merge, MergeGroup, NONE,
    Route, Watch, Watched,
};
use crate::backend::{ChannelKind, Resolution};
use crate::config::ChannelRef;
use crate::routes::{Routes, Target};
use crate::stage::{Chain, Step};
use crate::transform::{Condition, Layer, Transform};

/// What the instances declare about a channel.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ChannelFacts {
    pub(crate) kind: ChannelKind,
    pub(crate) resolution: Resolution,
    pub(crate) merge: Merge,
    pub(crate) passes_on: bool,
    /// The places of its level in the frames that its instance emits and takes.
    pub(crate) source_slot: Option<u16>,
    pub(crate) target_slot: Option<u16>,
}

/// The parts of a show that the engine is built from.
pub(crate) struct Mapped<'m> {
    pub(crate) mappings: &'m [(ChannelRef, ChannelRef)],
    pub(crate) transforms: &'m [Transform],
    pub(crate) layers: &'m [Layer],
    /// By channel number in the show.
    pub(crate) facts: &'m [ChannelFacts],
}

impl Engine {
    pub(crate) fn new(routes: &Routes, mapped: &Mapped<'_>) -> Self {
        let marks = routes.loops.iter().map(|&number| u8::from(number != 0)).collect();
        let mut engine = Engine { marks, ..Engine::default() };
        debug_assert_eq!(MARK_LOOP, 1);
        let has_merge = mapped.facts.iter().any(|facts| facts.merge != Merge::Latest);
        if mapped.transforms.is_empty() && mapped.layers.is_empty() && !has_merge {
            return engine;
        }
        engine.build(routes, mapped);
        engine
    }

    fn build(&mut self, routes: &Routes, mapped: &Mapped<'_>) {
        self.channels = mapped
            .facts
            .iter()
            .map(|facts| Channel {
                input: f64::NAN,
                current: f64::NAN,
                shown: f64::NAN,
                resolution: facts.resolution,
                kind: facts.kind,
                echo: 0,
            })
            .collect();
        let global = |end: ChannelRef| routes.bases[end.instance.index()] + end.channel;
        let as_target = |end: ChannelRef| Target {
            instance: end.instance.slot(),
            channel: end.channel,
            global: global(end),
            passes_on: mapped.facts[global(end) as usize].passes_on,
        };
        let places = routes.places(mapped.mappings);
        self.of_target = vec![NONE; mapped.mappings.len()];
        self.routes.reserve(mapped.transforms.len());
        let watched = |condition: &Condition| Watched {
            channel: global(condition.channel),
            kind: condition.kind,
        };
        let none: Arc<[Watched]> = Arc::default();
        let mut known: HashMap<*const Condition, Arc<[Watched]>> = HashMap::new();
        for transform in mapped.transforms {
            let (source, target) = mapped.mappings[transform.forward as usize];
            let conditions = match &*transform.conditions {
                [] => Arc::clone(&none),
                // Mappings of one line share their conditions.
                list => Arc::clone(
                    known
                        .entry(list.as_ptr())
                        .or_insert_with(|| list.iter().map(watched).collect()),
                ),
            };
            let number = self.add_route(
                as_target(source),
                as_target(target),
                Arc::clone(&transform.chain),
                conditions,
            );
            let route = &mut self.routes[number as usize];
            route.layer = transform.layer.unwrap_or(NONE);
            route.has_back = transform.back.is_some();
            self.of_target[places[transform.forward as usize] as usize] = number << 1;
            if let Some(back) = transform.back {
                self.of_target[places[back as usize] as usize] = number << 1 | 1;
            }
        }
        self.add_layers(mapped.layers, &as_target, &watched);
        for number in 0..self.routes.len() as u32 {
            for index in 0..self.routes[number as usize].conditions.len() {
                let channel = self.routes[number as usize].conditions[index].channel;
                self.watch(channel, Watch::RouteCondition(number));
            }
            let route = &self.routes[number as usize];
            let (target, has_back) = (route.target.global, route.has_back);
            if has_back {
                self.watch(target, Watch::Back(number));
            }
        }
        self.add_observed(mapped, &places, &as_target);
        self.add_merges(mapped.facts);
        let instances = |(source, target): &(ChannelRef, ChannelRef)| {
            (source.instance.slot(), target.instance.slot())
        };
        self.find_returning(mapped.mappings.iter().map(instances));
        self.mark();
        self.finish_build();
    }

    fn add_route(
        &mut self,
        source: Target,
        target: Target,
        chain: Arc<Chain>,
        conditions: Arc<[Watched]>,
    ) -> u32 {
        let steps = self.steps.len() as u32;
        if chain.has_state {
            let count = chain.stages().len();
            self.steps.extend(std::iter::repeat_n(Step::default(), count));
        }
        self.routes.push(Route {
            source,
            target,
            chain,
            conditions,
            steps,
            layer: NONE,
            blocked: 0,
            control: 0,
            has_back: false,
            may_return: false,
            is_held: false,
            is_active: false,
            delayed: 0,
            merge: NONE,
            sent: f64::NAN,
            root: 0,
        });
        self.routes.len() as u32 - 1
    }

    fn watch(&mut self, channel: u32, watch: Watch) {
        self.watches.entry(channel).or_default().push(watch);
    }

    fn add_layers(
        &mut self,
        layers: &[Layer],
        as_target: &impl Fn(ChannelRef) -> Target,
        watched: &impl Fn(&Condition) -> Watched,
    ) {
        for (number, layer) in layers.iter().enumerate() {
            let number = number as u32;
            let group = match &layer.group {
                None => NONE,
                Some(name) => self.group(name, number, layer.starts),
            };
            let select = layer.select.map(|select| as_target(select).global);
            if let Some(select) = select {
                self.watch(select, Watch::Select(number));
            }
            if let Some(selector) = layer.selector {
                self.watch(as_target(selector).global, Watch::Selector(group));
            }
            let conditions: Vec<Watched> = layer.conditions.iter().map(watched).collect();
            for condition in &conditions {
                self.watch(condition.channel, Watch::LayerCondition(number));
            }
            self.layers.push(LayerState {
                name: layer.name.clone(),
                group,
                conditions,
                led: layer.led.as_ref().map(|(led, chain)| (as_target(*led), Arc::clone(chain))),
                held: layer.held,
                keeps_lights: layer.keeps_lights,
                is_active: false,
                is_selecting: false,
                is_off: false,
                routes: Vec::new(),
            });
        }
        for (number, route) in self.routes.iter().enumerate() {
            if let Some(layer) = self.layers.get_mut(route.layer as usize) {
                layer.routes.push(number as u32);
            }
        }
    }

    fn group(&mut self, name: &str, layer: u32, starts: bool) -> u32 {
        let found = self.groups.iter().position(|group| group.name == name);
        let number = found.unwrap_or_else(|| {
            let (name, layers) = (name.to_owned(), Vec::new());
            self.groups.push(Group { name, layers, selected: layer });
            self.groups.len() - 1
        });
        let group = &mut self.groups[number];
        group.layers.push(layer);
        if starts {
            group.selected = layer;
        }
        number as u32
    }

    /// Gives mappings without stages a route, where the engine has to see their values: at targets
    /// of other routes, and at channels that it watches or merges.
    fn add_observed(
        &mut self,
        mapped: &Mapped<'_>,
        places: &[u32],
        as_target: &impl Fn(ChannelRef) -> Target,
    ) {
        let mut observed: HashSet<u32> =
            self.routes.iter().map(|route| route.target.global).collect();
        observed.extend(self.watches.keys());
        let empty = Arc::new(Chain::default());
        let none: Arc<[Watched]> = Arc::default();
        for (index, (source, target)) in mapped.mappings.iter().enumerate() {
            let place = places[index] as usize;
            let target = as_target(*target);
            let is_merged = mapped.facts[target.global as usize].merge != Merge::Latest;
            if self.of_target[place] == NONE && (is_merged || observed.contains(&target.global)) {
                let source = as_target(*source);
                let number = self.add_route(source, target, Arc::clone(&empty), Arc::clone(&none));
                self.of_target[place] = number << 1;
            }
        }
        for route in &self.routes {
            observed.insert(route.target.global);
        }
        for channel in observed {
            self.marks[channel as usize] |= MARK_ENGINE;
        }
    }

    fn add_merges(&mut self, facts: &[ChannelFacts]) {
        let mut groups: HashMap<u32, u32> = HashMap::new();
        for (number, route) in self.routes.iter_mut().enumerate() {
            let kind = facts[route.target.global as usize].merge;
            if kind == Merge::Latest {
                continue;
            }
            let merges = &mut self.merges;
            let group = *groups.entry(route.target.global).or_insert_with(|| {
                let (routes, contributions) = (Vec::new(), Vec::new());
                merges.push(MergeGroup { kind, routes, contributions });
                merges.len() as u32 - 1
            });
            route.merge = group;
            merges[group as usize].routes.push(number as u32);
            merges[group as usize].contributions.push(f64::NAN);
        }
    }

    fn mark(&mut self) {
        for route in &self.routes {
            self.marks[route.source.global as usize] |= MARK_ENGINE;
            if route.has_back {
                self.marks[route.target.global as usize] |= MARK_ENGINE;
            }
        }
        for &channel in self.watches.keys() {
            self.marks[channel as usize] |= MARK_ENGINE;
        }
    }

    /// Opens what is active at first, and reserves memory for the steady state.
    fn finish_build(&mut self) {
        for layer in 0..self.layers.len() as u32 {
            self.layers[layer as usize].is_active = self.should_be_active(layer);
        }
        for number in 0..self.routes.len() as u32 {
            let bits = self.condition_bits(number);
            let route = &mut self.routes[number as usize];
            let layer = self.layers.get(route.layer as usize);
            let is_active = layer.is_none_or(|layer| layer.is_active);
            route.blocked = bits | if is_active { 0 } else { LAYER };
        }
        let timed = self.routes.iter().filter(|route| route.chain.has_time).count();
        self.active.reserve(timed);
        if self.routes.iter().any(|route| route.chain.has_delay) {
            self.delays.reserve(super::ticks::DELAY_LIMIT);
        }
        if self.routes.iter().any(|route| route.has_back) {
            self.echoes.allocate();
        }
        self.changes.reserve(64);
        self.scratch.reserve(8);
    }

    /// Which layers are active.
    pub(crate) fn active_layers(&self) -> impl Iterator<Item = bool> + '_ {
        self.layers.iter().map(|layer| layer.is_active)
    }

    /// How many routes there are.
    pub(crate) fn route_count(&self) -> usize {
        self.routes.len()
    }

    /// The number of the route of each target, for views; without its way back.
    pub(crate) fn route_of_target(&self, index: usize) -> Option<u32> {
        let number = *self.of_target.get(index)?;
        (number != NONE).then_some(number >> 1)
    }
}
