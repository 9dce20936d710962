//! What stays when a reload replaces the mappings of a running show.

use std::collections::{HashMap, HashSet};

use super::control::HELD;
use super::{Engine, NONE, Out, ROUTE_SOLOED};
use crate::routes::Routes;

/// For each new route the old one that it continues.
pub(crate) struct Continued {
    old_of_new: Vec<Option<u32>>,
}

impl Continued {
    /// For each old route the new one that continues it.
    pub(super) fn new_of_old(&self, count: usize) -> Vec<Option<u32>> {
        let mut new_of_old = vec![None; count];
        for (new, old) in self.old_of_new.iter().enumerate() {
            if let Some(old) = old {
                new_of_old[*old as usize] = Some(new as u32);
            }
        }
        new_of_old
    }
}

impl Engine {
    /// Relates the routes of this engine to those of the one before. A route continues another one
    /// when source, target, stages and the name of the layer are the same: that is, when the text
    /// of its line is. `renumber` gives old channels their new numbers.
    pub(crate) fn continued(
        &self,
        old: &Engine,
        renumber: &impl Fn(u32) -> Option<u32>,
    ) -> Continued {
        type Key<'k> = (u32, u32, Option<&'k str>);
        let mut known: HashMap<Key<'_>, Vec<u32>> = HashMap::new();
        for (number, route) in old.routes.iter().enumerate().rev() {
            let (Some(source), Some(target)) =
                (renumber(route.source.global), renumber(route.target.global))
            else {
                continue;
            };
            let name = old.layers.get(route.layer as usize).map(|layer| &*layer.name);
            known.entry((source, target, name)).or_default().push(number as u32);
        }
        let old_of_new = self
            .routes
            .iter()
            .map(|route| {
                let name = self.layers.get(route.layer as usize).map(|layer| &*layer.name);
                let list = known.get_mut(&(route.source.global, route.target.global, name))?;
                let fits = |&number: &u32| {
                    let before = &old.routes[number as usize];
                    before.has_back == route.has_back && before.chain == route.chain
                };
                let index = list.iter().rposition(fits)?;
                Some(list.remove(index))
            })
            .collect();
        Continued { old_of_new }
    }

    /// Ends at their targets the presses of routes that do not continue.
    pub(crate) fn release_others(&mut self, continued: &Continued, out: &mut Out<'_>) {
        let mut stays = vec![false; self.routes.len()];
        for old in continued.old_of_new.iter().flatten() {
            stays[*old as usize] = true;
        }
        for number in 0..self.routes.len() as u32 {
            if stays[number as usize] {
                continue;
            }
            if self.routes[number as usize].is_held {
                self.release(number, out);
            }
            self.finish(number, out);
            self.withdraw(number, out);
        }
        self.settle(out);
    }

    /// Takes the state of the engine before: values of channels, the selected layer of each group,
    /// and what continued routes remember.
    pub(crate) fn carry_over(
        &mut self,
        mut old: Engine,
        (old_routes, routes): (&Routes, &Routes),
        continued: &Continued,
        renumber: &impl Fn(u32) -> Option<u32>,
    ) {
        for (number, channel) in old.channels.iter().enumerate() {
            let new = renumber(number as u32);
            if let Some(new) = new.and_then(|new| self.channels.get_mut(new as usize)) {
                (new.input, new.current) = (channel.input, channel.current);
                (new.shown, new.echo) = (channel.shown, channel.echo);
            }
        }
        std::mem::swap(&mut self.echoes, &mut old.echoes);
        if self.routes.iter().any(|route| route.has_back) {
            self.echoes.allocate();
        }
        for group in &mut self.groups {
            let before = old.groups.iter().find(|before| before.name == group.name);
            let name = before.and_then(|before| old.layers.get(before.selected as usize));
            let selected = name.and_then(|name| {
                let is_it = |layer: &&u32| self.layers[**layer as usize].name == name.name;
                group.layers.iter().find(is_it)
            });
            if let Some(&selected) = selected {
                group.selected = selected;
            }
        }
        for layer in &mut self.layers {
            if let Some(before) = old.layers.iter().find(|before| before.name == layer.name) {
                (layer.is_off, layer.is_selecting) = (before.is_off, before.is_selecting);
            }
        }
        for number in 0..self.routes.len() {
            let Some(before) = continued.old_of_new[number] else { continue };
            let before = &old.routes[before as usize];
            let route = &mut self.routes[number];
            (route.sent, route.root) = (before.sent, before.root);
            (route.is_held, route.control) = (before.is_held, before.control);
            if route.chain.has_state {
                let count = route.chain.stages().len();
                let steps = &old.steps[before.steps as usize..][..count];
                self.steps[route.steps as usize..][..count].copy_from_slice(steps);
            }
            if before.is_active {
                route.is_active = true;
                self.active.push(number as u32);
            }
            if let (Some(group), Some(old_group)) =
                (self.merges.get_mut(route.merge as usize), old.merges.get(before.merge as usize))
            {
                let old_number = continued.old_of_new[number].expect("just found");
                let value = old_group.contributions[old_group.slot_of(old_number)];
                let slot = group.slot_of(number as u32);
                group.contributions[slot] = value;
            }
        }
        self.carry_delays(&mut old, continued);
        self.is_holding = old.is_holding;
        self.carry_plain_controls(&old, (old_routes, routes), renumber);
        let is_soloed = |control: &u8| control & ROUTE_SOLOED != 0;
        self.soloed = self.routes.iter().filter(|route| is_soloed(&route.control)).count()
            + self.plain_control.iter().filter(|control| is_soloed(control)).count();
        self.mark_controlled(routes);
        for layer in 0..self.layers.len() as u32 {
            self.layers[layer as usize].is_active = self.should_be_active(layer);
        }
        for number in 0..self.routes.len() as u32 {
            let bits = self.condition_bits(number);
            let control = self.controlled(self.routes[number as usize].control);
            let route = &mut self.routes[number as usize];
            let layer = self.layers.get(route.layer as usize);
            let is_active = layer.is_none_or(|layer| layer.is_active);
            route.blocked = bits | control | if is_active { 0 } else { super::LAYER };
        }
    }

    /// Carries the mute, solo and freeze of mappings over that have neither stages nor a layer. One
    /// of them may have a route in one of the engines and none in the other.
    fn carry_plain_controls(
        &mut self,
        old: &Engine,
        (old_routes, routes): (&Routes, &Routes),
        renumber: &impl Fn(u32) -> Option<u32>,
    ) {
        let mut taken = HashSet::new();
        for (index, control) in old.plain_controls(old_routes) {
            let source = renumber(old_routes.channel_of(index));
            let target = renumber(old_routes.target(index).global);
            let (Some(source), Some(target)) = (source, target) else { continue };
            let found = routes.range(source).find(|&index| {
                routes.target(index).global == target
                    && self.is_plain(index)
                    && !taken.contains(&index)
            });
            let Some(index) = found else { continue };
            taken.insert(index);
            match self.of_target.get(index).copied().unwrap_or(NONE) {
                NONE => {
                    if self.plain_control.is_empty() {
                        self.plain_control = vec![0; routes.len()];
                    }
                    self.plain_control[index] = control;
                }
                number => {
                    let route = &mut self.routes[(number >> 1) as usize];
                    route.is_held |= control & HELD != 0;
                    route.control = control & !HELD;
                }
            }
        }
    }

    /// The mappings without stages and layers that have a mute, solo, freeze or held press.
    fn plain_controls(&self, routes: &Routes) -> impl Iterator<Item = (usize, u8)> + '_ {
        let has_control = self.routes.iter().any(|route| route.control != 0);
        let is_used = has_control || !self.plain_control.is_empty();
        let count = if is_used { routes.len() } else { 0 };
        (0..count).filter(|&index| self.is_plain(index)).filter_map(|index| {
            let control = match self.of_target.get(index).copied().unwrap_or(NONE) {
                NONE => self.plain_control.get(index).copied().unwrap_or(0),
                number => self.routes[(number >> 1) as usize].control,
            };
            (control != 0).then_some((index, control))
        })
    }

    /// Whether the mapping with that index in the routing table has neither stages nor a layer.
    fn is_plain(&self, index: usize) -> bool {
        match self.of_target.get(index).copied().unwrap_or(NONE) {
            NONE => true,
            number => {
                let route = &self.routes[(number >> 1) as usize];
                number & 1 == 0
                    && route.layer == NONE
                    && !route.has_back
                    && route.chain.stages().is_empty()
            }
        }
    }

    /// Shows views the state that was carried over.
    pub(crate) fn publish(&self, live: &crate::live::Live) {
        for (index, control) in self.plain_control.iter().enumerate() {
            if control & !HELD != 0 {
                live.record_plain_control(index as u32, control & !HELD);
            }
        }
        for (number, route) in self.routes.iter().enumerate() {
            let number = number as u32;
            live.record_route(number, route.sent);
            live.record_control(number, route.control);
            if route.chain.has_takeover() {
                self.publish_takeover(number, live);
            }
        }
        for (number, layer) in self.layers.iter().enumerate() {
            live.record_layer(number as u32, layer.is_active);
        }
    }
}
